"""Scored pairs and candidates as a person reads them in a terminal, and as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape as escape_markup
from rich.table import Table

from bioalign_assets.curation.prompts import ANSWERS
from bioalign_assets.lookup.asking import AskedVariant
from bioalign_assets.lookup.candidates import Candidates
from bioalign_assets.lookup.score import ScoredPair
from bioalign_assets.lookup.vocabulary import Entity

__all__ = ["candidates_csv", "candidates_for_terminal", "pairs_csv", "pairs_for_terminal"]

_MOST_ARTICLES = 8
_PUBMED = "https://pubmed.ncbi.nlm.nih.gov/"
_CITE = "CTD data: cite CTD and link to its pages (see NOTICE)."
_TINY = "This is a tiny model: it shows that everything runs and says nothing about biology."
_UNSEEN = (
    "Unseen is not false: that CTD has not curated a pair says nothing about whether it is true. A high p_true is a "
    "reason to look, never evidence."
)


def pairs_for_terminal(pairs: Sequence[ScoredPair], *, asked: AskedVariant) -> RenderableType:
    """Return scored pairs for a terminal: one below the other in full, or a table where there are more than three."""
    head = f"[bold]{escape(asked.variant.key)}[/bold], {asked.prompt} prompt"
    parts: list[RenderableType] = [head]
    if len(pairs) > 3:
        parts.append(_pairs_table(pairs))
    else:
        parts += [_pair_in_full(pair) for pair in pairs]
    return Group(*parts, *_notes(asked, unseen=any(pair.association is None for pair in pairs)))


def candidates_for_terminal(found: Candidates, *, asked: AskedVariant) -> RenderableType:
    """Return ranked candidates for a terminal."""
    table = Table(
        title=f"Genes that CTD has not curated for {escape(found.disease.name)}", title_justify="left",
        box=box.SIMPLE_HEAD,
    )  # fmt: skip
    for name in ("rank", "gene"):
        table.add_column(name, no_wrap=True)
    for name in ("p_true", "popularity", "its rank"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("CTD", overflow="fold")
    for each in found.best:
        name = escape(each.gene.name) + (" *" if each.trained_as_false else "")
        link = each.gene.link or ""
        table.add_row(
            str(each.rank),
            name,
            f"{each.p_true:.3f}",
            f"{each.popularity:,}",
            f"{each.popularity_rank:,}",
            link,
        )
    told = (
        "can't be told"
        if found.correlation_with_popularity is None
        else f"{found.correlation_with_popularity:+.2f}"
    )
    head = (
        f"[bold]{escape(asked.variant.key)}[/bold], {asked.prompt} prompt: {found.candidates:,} genes ranked, "
        f"{found.curated:,} curated ones left out.   {found.disease.link or ''}"
    )
    popularity = (
        "Popularity: number of diseases that CTD has curated for the gene. Its rank correlation with p_true over all "
        f"candidates: {told} (near +1 the ranking is little else)."
    )
    lines: list[RenderableType] = [
        head,
        table,
        popularity,
    ]
    if any(each.trained_as_false for each in found.best):
        lines.append("* In training the variant was told that this pair is false: a drawn negative.")
    return Group(*lines, *_notes(asked, unseen=True))


def pairs_csv(pairs: Iterable[ScoredPair]) -> str:
    """Return scored pairs as CSV, all of them."""
    header = (
        "gene_symbol", "gene_id", "disease_name", "disease_id", "p_true", "is_in_ctd", "direct_evidence", "pubmed_ids",
        "trained_as", "gene_link", "disease_link", "nearest",
    )  # fmt: skip
    rows = [
        (
            pair.gene.name, pair.gene.identifier, pair.disease.name, pair.disease.identifier, repr(pair.p_true),
            str(pair.association is not None).lower(),
            "|".join(pair.association.direct_evidence) if pair.association else "",
            "|".join(pair.association.pubmed_ids) if pair.association else "",
            "" if pair.trained_as is None else ANSWERS[pair.trained_as],
            pair.gene.link, pair.disease.link,
            "|".join(f"{near.gene_symbol}:{near.disease_name}:{near.cosine:.4f}" for near in pair.nearest),
        )
        for pair in pairs
    ]  # fmt: skip
    return _csv(header, rows)


def candidates_csv(found: Candidates) -> str:
    """Return ranked candidates as CSV."""
    header = (
        "rank", "gene_symbol", "gene_id", "disease_name", "disease_id", "p_true", "popularity", "popularity_rank",
        "trained_as_false", "gene_link", "disease_link",
    )  # fmt: skip
    rows = [
        (
            each.rank, each.gene.name, each.gene.identifier, found.disease.name, found.disease.identifier,
            repr(each.p_true), each.popularity, each.popularity_rank, str(each.trained_as_false).lower(),
            each.gene.link, found.disease.link,
        )
        for each in found.best
    ]  # fmt: skip
    return _csv(header, rows)


def _pairs_table(pairs: Sequence[ScoredPair]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("gene", "disease"):
        table.add_column(name)
    table.add_column("p_true", justify="right")
    for name in ("in CTD", "PubMed", "trained as", "nearest known pair"):
        table.add_column(name)
    for pair in pairs:
        near = pair.nearest[0] if pair.nearest else None
        table.add_row(
            escape(pair.gene.name) + _unknown(pair.gene),
            escape(pair.disease.name) + _unknown(pair.disease),
            f"{pair.p_true:.3f}",
            "no" if pair.association is None else "yes",
            "" if pair.association is None else _articles(pair.association.pubmed_ids, most=2),
            "" if pair.trained_as is None else ANSWERS[pair.trained_as],
            ""
            if near is None
            else f"{escape(near.gene_symbol)}, {escape(near.disease_name)} ({near.cosine:.2f})",
        )
    return table


def _pair_in_full(pair: ScoredPair) -> Table:
    table = Table(
        title=f"{escape(pair.gene.name)} and {escape(pair.disease.name)}", title_justify="left", box=box.SIMPLE,
        show_header=False,
    )  # fmt: skip
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("p_true", f"[bold]{pair.p_true:.3f}[/bold]")
    if pair.association is None:
        table.add_row("known in CTD", "no")
    else:
        table.add_row(
            "known in CTD",
            f"yes: {escape(', '.join(pair.association.direct_evidence)) or 'no evidence named'}",
        )
        if pair.association.pubmed_ids:
            table.add_row("PubMed", _articles(pair.association.pubmed_ids, most=_MOST_ARTICLES))
            table.add_row("", _PUBMED + pair.association.pubmed_ids[0])
    trained = "not on this pair" if pair.trained_as is None else f"as {ANSWERS[pair.trained_as]}"
    table.add_row("trained", trained)
    for entity in (pair.gene, pair.disease):
        told = entity.link or f"not in the release{_suggested(entity)}"
        table.add_row(entity.kind, told)
    for place, near in enumerate(pair.nearest):
        table.add_row(
            "" if place else "nearest known pairs",
            f"{near.cosine:.3f}  {escape(near.gene_symbol)}, {escape(near.disease_name)}",
        )
    return table


def _notes(asked: AskedVariant, *, unseen: bool) -> list[str]:
    notes = [_UNSEEN] if unseen else []
    if asked.is_tiny:
        notes.append(f"[yellow]{_TINY}[/yellow]")
    return [*notes, _CITE]


def escape(text: str) -> str:
    """Return a text that neither rich nor a terminal takes for more than text."""
    return escape_markup("".join(letter if letter.isprintable() else "�" for letter in text))


def _articles(pubmed_ids: Sequence[str], *, most: int) -> str:
    more = f", and {len(pubmed_ids) - most:,} more" if len(pubmed_ids) > most else ""
    return ", ".join(map(escape, pubmed_ids[:most])) + more


def _unknown(entity: Entity) -> str:
    return "" if entity.identifier is not None else " (not in the release)"


def _suggested(entity: Entity) -> str:
    return f"; did you mean {escape(', '.join(entity.close))}?" if entity.close else ""


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return text.getvalue().rstrip("\n")
