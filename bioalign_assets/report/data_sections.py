"""The report's sections on data: the datasets (Table 1, figures 2 to 5), and what changed in the release."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.ctd.record_page import record_page
from bioalign_assets.curation.figures import (
    class_balance,
    evidence_per_positive,
    frequencies,
    most_frequent_entities,
    text_lengths_by_label,
    unseen_parts,
)
from bioalign_assets.report.blocks import Album, Block, Cell, Details, Link, Section, Table, Text
from bioalign_assets.report.reading import Reading

__all__ = ["change_section", "dataset_section"]

_MOST_CHANGES = 10
_WIDTH = 5.6
"""Inches: narrower than these figures are made for elsewhere, so that their texts can be read on a phone."""
_COUNTED = ("most_frequent_gene", "most_frequent_disease")
_TABLE_1 = ("size", "text_length", "evidence", "split")
"""What the paper's table tells, and how the rows are divided; the rest says how fair the negatives are."""
_PLAIN = ("size", "split")
_FIRST = (
    "rows",
    "positives",
    "negatives",
    "genes",
    "diseases",
    "mean",
    "median",
    "sd",
    "min",
    "max",
    "train_rows",
    "train_positives",
    "train_negatives",
    "test_rows",
    "test_positives",
    "test_negatives",
)


def dataset_section(reading: Reading, *, datasets: Sequence[str], album: Album) -> Section:
    """Return Table 1, a column for each dataset, and the pictures of each, the first one's open.

    :param datasets: those of the study, in its order
    """
    there = [name for name in datasets if name in reading.partitions("curation.profile")]
    blocks: list[Block] = []
    if there:
        blocks += _profile_tables(reading.all_rows("curation.profile", of=there), datasets=there)
    drawn = [name for name in datasets if name in reading.partitions("curation.pairs")]
    for place, name in enumerate(drawn):
        pairs = reading.rows("curation.pairs", partition=name)
        blocks.append(_dataset_pictures(pairs, name=name, album=album, is_open=place == 0))
    missing = [name for name in datasets if name not in there]
    if missing:
        blocks.append(Text(parts=(f"Not built yet: {', '.join(missing)}.",), warning=True))
    return Section(key="datasets", title="Datasets", blocks=blocks)


def _profile_tables(profile: pa.Table, *, datasets: Sequence[str]) -> list[Block]:
    """Return Table 1, and what is known beyond it, on demand."""
    values: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in profile.to_pylist():
        if row["section"] not in _COUNTED:
            key = (row["section"], row["name"], row["unit"])
            values.setdefault(key, {})[row["dataset"]] = row["value"]
    first = {key: found for key, found in sorted(values.items(), key=_place) if key[0] in _TABLE_1}
    further = {key: found for key, found in sorted(values.items(), key=_place) if key[0] not in _TABLE_1}
    blocks: list[Block] = [
        _profile_table(first, datasets=datasets, caption="Table 1. What each dataset holds")
    ]
    if further:
        table = _profile_table(further, datasets=datasets, caption="How fair the datasets are")
        blocks.append(Details(title="How fair the datasets are", blocks=[table]))
    return blocks


def _place(item: tuple[tuple[str, str, str], object]) -> tuple[int, str, int, str]:
    """Return where a figure stands: by section, then in the paper's order, then by name."""
    (section, name, _), _ = item
    at = _TABLE_1.index(section) if section in _TABLE_1 else len(_TABLE_1)
    return at, section, _FIRST.index(name) if name in _FIRST else len(_FIRST), name


def _profile_table(
    values: Mapping[tuple[str, str, str], Mapping[str, float]], *, datasets: Sequence[str], caption: str
) -> Table:
    return Table(
        caption=caption,
        columns=("figure", *datasets, "unit"),
        rows=[
            [_figure_name(section, name), *(_number(found.get(dataset)) for dataset in datasets), unit]
            for (section, name, unit), found in values.items()
        ],
        numeric=frozenset(range(1, len(datasets) + 1)),
    )


def _figure_name(section: str, name: str) -> str:
    return ("" if section in _PLAIN else f"{section.replace('_', ' ')}: ") + name.replace("_", " ")


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _dataset_pictures(pairs: pa.Table, *, name: str, album: Album, is_open: bool) -> Details:
    figures = [
        (class_balance(pairs), f"Positives and negatives of {name} in each split (figure 2 of the paper)."),
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
            frequencies(pairs, stacked=True),
            f"In how many positives and negatives each name of {name} stands: off the line, it gives the label away.",
        ),
    ]  # fmt: skip
    if pairs["unseen"].null_count < len(pairs):
        figures.append((unseen_parts(pairs), f"What the test rows of {name} name that no training row does."))
    pictures = [album.picture(figure, caption=caption, width=_WIDTH) for figure, caption in figures]
    return Details(title=f"Pictures of {name}", blocks=pictures, is_open=is_open)


def change_section(reading: Reading) -> Section:
    """Return how many associations changed since the release before, and the first of each kind, with links."""
    rows = reading.rows("ctd.changes")
    if not len(rows):
        told = "Nothing differs from a release before this one, or there was none."
        return Section(key="changes", title="What changed", blocks=[Text(parts=(told,))])
    kinds = [
        kind for kind in ("added", "removed", "changed") if pc.any(pc.equal(rows["change"], kind)).as_py()
    ]
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
        Link(text=row["gene_symbol"], href=record_page("gene", str(row["gene_id"]))),
        Link(text=row["disease_name"], href=record_page("disease", row["disease_id"])),
    ]
    return [*cells, row["detail"]] if row["change"] == "changed" else cells
