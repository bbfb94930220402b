"""The report's sections on data: the datasets (Table 1, figures 2 to 5), and what changed in the release."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.curation.fairness_figures import frequencies, unseen_parts
from bioalign_assets.curation.figures import (
    class_balance,
    evidence_per_positive,
    most_frequent_entities,
    text_lengths_by_label,
)
from bioalign_assets.report.blocks import Album, Block, Cell, Details, Link, Section, Table, Text
from bioalign_assets.report.reading import Reading

__all__ = ["change_section", "ctd_link", "dataset_section"]

_MOST_CHANGES = 10
_COUNTED = ("most_frequent_gene", "most_frequent_disease")
_SECTIONS = {"size": "", "split": "", "text_length": "text length, ", "evidence": "evidence, "}


def dataset_section(reading: Reading, *, datasets: Sequence[str], album: Album) -> Section:
    """Return Table 1, a column for each dataset, and the pictures of each, the first one's open.

    :param datasets: those of the study, in its order
    """
    there = [name for name in datasets if name in reading.partitions("curation.profile")]
    blocks: list[Block] = []
    if there:
        blocks.append(_profile_table(reading.all_rows("curation.profile", of=there), datasets=there))
    drawn = [name for name in datasets if name in reading.partitions("curation.pairs")]
    for place, name in enumerate(drawn):
        pairs = reading.rows("curation.pairs", partition=name)
        blocks.append(_dataset_pictures(pairs, name=name, album=album, is_open=place == 0))
    missing = [name for name in datasets if name not in there]
    if missing:
        blocks.append(Text(parts=(f"Not built yet: {', '.join(missing)}.",), warning=True))
    return Section(key="datasets", title="Datasets", blocks=blocks)


def _profile_table(profile: pa.Table, *, datasets: Sequence[str]) -> Table:
    values: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in profile.to_pylist():
        if row["section"] not in _COUNTED:
            key = (row["section"], row["name"], row["unit"])
            values.setdefault(key, {})[row["dataset"]] = row["value"]
    rows = [
        [_figure_name(section, name), *(_number(found.get(dataset)) for dataset in datasets), unit]
        for (section, name, unit), found in values.items()
    ]
    return Table(
        caption="Table 1. What each dataset holds",
        columns=("figure", *datasets, "unit"),
        rows=rows,
        numeric=frozenset(range(1, len(datasets) + 1)),
    )


def _figure_name(section: str, name: str) -> str:
    return _SECTIONS.get(section, f"{section}, ") + name.replace("_", " ")


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _dataset_pictures(pairs: pa.Table, *, name: str, album: Album, is_open: bool) -> Details:
    figures = [
        (class_balance(pairs), f"Class balance of {name}: positives and negatives in each split (figure 2 of the paper)."),
        (text_lengths_by_label(pairs), f"Text lengths of {name} by label (figure 3 of the paper)."),
        (
            most_frequent_entities(pairs, stacked=True),
            f"The genes and diseases in most rows of {name}, divided by label (figure 4 of the paper).",
        ),
        (
            evidence_per_positive(pairs),
            f"How many PubMed ids the positives of {name} have (figure 5 of the paper).",
        ),
        (
            frequencies(pairs),
            f"In how many positives and negatives each name of {name} stands: off the line, a name alone gives "
            "the label away.",
        ),
    ]  # fmt: skip
    if pairs["unseen"].null_count < len(pairs):
        figures.append((unseen_parts(pairs), f"What the test rows of {name} name that no training row does."))
    pictures = [album.picture(figure, caption=caption) for figure, caption in figures]
    return Details(title=f"Pictures of {name}", blocks=pictures, is_open=is_open)


def change_section(reading: Reading) -> Section:
    """Return how many associations changed since the release before, and the first of each kind, with links."""
    rows = reading.rows("ctd.changes")
    if not len(rows):
        told = "Nothing differs from a release before this one, or there was none."
        return Section(key="changes", title="What changed", blocks=[Text(parts=(told,))])
    kinds = [kind for kind in ("added", "removed", "changed") if pc.any(pc.equal(rows["change"], kind)).as_py()]
    blocks: list[Block] = []
    counts = []
    for kind in kinds:
        of_kind = rows.filter(pc.equal(rows["change"], kind))
        counts.append([kind, f"{len(of_kind):,}"])
        shown = of_kind.slice(0, _MOST_CHANGES).to_pylist()
        first = f"the first {len(shown)} of {len(of_kind):,}" if len(of_kind) > len(shown) else "all"
        blocks.append(
            Table(
                caption=f"Associations {kind}, {first}",
                columns=("gene", "disease", *(("what differs",) if kind == "changed" else ())),
                rows=[_change(row) for row in shown],
            )
        )
    table = Table(
        caption="Associations that differ from the release before",
        columns=("change", "associations"),
        rows=counts,
        numeric=frozenset({1}),
    )
    return Section(key="changes", title="What changed", blocks=[table, *blocks])


def _change(row: dict[str, Any]) -> list[Cell]:
    cells: list[Cell] = [
        Link(text=row["gene_symbol"], href=ctd_link("gene", str(row["gene_id"]))),
        Link(text=row["disease_name"], href=ctd_link("disease", row["disease_id"])),
    ]
    return [*cells, row["detail"]] if row["change"] == "changed" else cells


def ctd_link(kind: str, identifier: str) -> str:
    """Return the address of a record's page at CTD, as CTD's terms want it linked.

    :param kind: ``gene`` or ``disease``
    :param identifier: GeneID, or MESH:… or OMIM:…
    """
    return f"https://ctdbase.org/detail.go?type={kind}&acc={quote(identifier, safe=':')}"
