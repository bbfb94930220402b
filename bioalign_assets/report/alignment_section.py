"""The report's first section: does the geometry agree with the graph?"""

from collections.abc import Mapping, Sequence

from bioalign_assets.evaluation.metrics import METRICS
from bioalign_assets.report.alignment import HEADLINE, Alignment, Row, contestant, of
from bioalign_assets.report.alignment_figure import alignment_figure
from bioalign_assets.report.blocks import Album, Block, Details, Section, Table, Text
from bioalign_assets.report.numbers import interval, p_value, real

__all__ = ["alignment_section"]

_KINDS = {"disease": "diseases", "gene": "genes"}
_NOTE = (
    "Partial RSA: Spearman's correlation, over pairs of names, of how close they lie in the model with how many "
    "partners they share in the graph, given how alike they are spelt and how many partners they have. Each figure "
    "stands beside the same figure on rewired graphs, in which every name keeps its number of partners: calibrated, "
    "their mean is 0 and the best possible is 1; p is the share of them that do as well. Nothing is corrected for how "
    "many contestants and measures there are, but the best layer is for having been chosen. What each measure compares "
    "stands in docs/alignment.md."
)


def alignment_section(alignment: Alignment, *, roles: Mapping[str, str], album: Album) -> Section | None:
    """Return the figure, every contestant against its null, what tuning changed, and the best layers; or nothing.

    :param roles: ``tuned`` or ``benchmark`` by model
    """
    if not alignment:
        return None
    figures = [*alignment.figures, *alignment.beside]
    first = [row for kind in _KINDS for row in of(figures, kind=kind)]
    others = [row for row in figures if row not in first]
    others += [{**row, "edges": "none: a tree"} for row in alignment.medic]
    blocks: list[Block] = []
    if first:
        caption = (
            "How far each contestant's geometry agrees with the graph: calibrated partial RSA of diseases and genes, "
            "with its 95% interval. 0 is chance: rewired graphs, 95% of them within the grey band. Arrows lead from a "
            "model untuned to it tuned."
        )
        blocks.append(album.picture(alignment_figure(alignment, roles=roles), caption=caption))
        blocks.append(_figures(first, caption="Agreement with the graph, over all edges, against its null"))
    if others:
        table = _figures(others, caption="Further measures, and parts of the graph")
        blocks.append(Details(title=f"Further measures and edges ({len(others)} rows)", blocks=[table]))
    blocks += _changes(alignment.changes)
    best = [row for row in alignment.layers if row["is_best"]]
    if best:
        blocks.append(_layers(best, among=alignment.layers))
    blocks += [Text(parts=(told,)) for told in _lacking(alignment)]
    blocks.append(Text(parts=(_NOTE,)))
    return Section(key="alignment", title="Does the geometry agree with the graph?", blocks=blocks)


def _figures(rows: Sequence[Row], *, caption: str) -> Table:
    return Table(
        caption=caption,
        columns=("contestant", "measure", "edges", "value [95%]", "null", "z", "p", "calibrated [95%]", "n"),
        rows=[
            [
                contestant(row), _measure(row), row["edges"],
                interval(row["value"], row["ci_low"], row["ci_high"]),
                f"{real(row['null_mean'])} ± {real(row['null_sd'])}",
                "–" if row["z"] is None else f"{row['z']:.1f}".replace("-", "−"),
                p_value(row["p_value"]),
                interval(row["calibrated"], row["calibrated_ci_low"], row["calibrated_ci_high"]),
                f"{row['n']:,}",
            ]
            for row in rows
        ],
        numeric=frozenset({3, 4, 5, 6, 7, 8}),
        names=frozenset({0, 2}),
    )  # fmt: skip


def _changes(rows: Sequence[Row]) -> list[Block]:
    headline = [row for row in rows if row["measure"] == HEADLINE]
    others = [row for row in rows if row["measure"] != HEADLINE]
    blocks: list[Block] = []
    if headline:
        caption = "Tuned minus untuned: over all edges, those trained on, and those held out"
        blocks.append(_change_table(headline, caption=caption))
    if others:
        table = _change_table(others, caption="Tuned minus untuned, further measures")
        blocks.append(Details(title=f"Further changes ({len(others)} rows)", blocks=[table]))
    return blocks


def _change_table(rows: Sequence[Row], *, caption: str) -> Table:
    return Table(
        caption=caption,
        columns=("model", "measure", "edges", "untuned", "tuned", "change [95%]", "p",
                 "calibrated, untuned → tuned", "n"),
        rows=[
            [
                contestant(row), _measure(row), row["edges"],
                real(row["untuned"]), real(row["tuned"]),
                interval(row["change"], row["change_ci_low"], row["change_ci_high"], is_change=True),
                p_value(row["p_value"]),
                f"{real(row['untuned_calibrated'])} → {real(row['tuned_calibrated'])}",
                f"{row['n']:,}",
            ]
            for row in rows
        ],
        numeric=frozenset({3, 4, 5, 6, 7, 8}),
        names=frozenset({0, 2}),
    )  # fmt: skip


def _layers(best: Sequence[Row], *, among: Sequence[Row]) -> Table:
    last = {
        row["variant"]: max(each["layer"] for each in among if each["variant"] == row["variant"])
        for row in best
    }
    return Table(
        caption="The layer that lies highest above its null",
        columns=("contestant", "measure", "best layer", "value", "null", "calibrated",
                 "p, corrected for the choice"),
        rows=[
            [
                contestant(row), _measure(row),
                f"{row['layer']} of {last[row['variant']]}",
                real(row["value"]), f"{real(row['null_mean'])} ± {real(row['null_sd'])}", real(row["calibrated"]),
                p_value(row["best_p_value"]),
            ]
            for row in best
        ],
        numeric=frozenset({2, 3, 4, 5, 6}),
        names=frozenset({0}),
    )  # fmt: skip


def _lacking(alignment: Alignment) -> list[str]:
    """Return what a reader may look for in vain, and why it is not there."""
    told = []
    if not alignment.figures:
        told.append("No language model has been measured yet.")
    elif not alignment.changes:
        told.append("No tuned model stands beside the same model untuned yet.")
    if not alignment.medic:
        told.append(
            "Nothing stands against MEDIC's tree: the study has no source of it, or it has too few of the diseases."
        )
    return told


def _measure(row: Row) -> str:
    title = METRICS[row["measure"]].title.removesuffix(" with the graph")  # as the section's own title says
    return title if row["kind"] == "edge" else f"{title}, {_KINDS[row['kind']]}"
