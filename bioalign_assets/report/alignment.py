"""Graph alignment as the report takes it: rows of its tables, the headline, and what may be said of a row.

The headline is partial RSA of diseases over all edges: spelling and degree, with which any model could agree with the
graph without knowing anything of it, are taken off there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from bioalign_assets.report.reading import Reading
from bioalign_assets.study import UNTUNED
from bioalign_assets.warehouse.schemas import TABLES

__all__ = [
    "ALIGNMENT_TABLES",
    "HEADLINE",
    "Alignment",
    "contestant",
    "has_moved",
    "is_above_chance",
    "is_tuned",
    "of",
    "read_alignment",
]

ALIGNMENT_TABLES = (
    "evaluation.graph_alignment",
    "evaluation.graph_alignment_baselines",
    "evaluation.graph_alignment_changes",
    "evaluation.graph_alignment_layers",
    "evaluation.medic_alignment",
)
HEADLINE = "partial_rsa"
_LEVEL = 0.05

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """Rows of the tables of graph alignment, as dictionaries.

    :param figures: of ``evaluation.graph_alignment``
    :param baselines: of ``evaluation.graph_alignment_baselines``
    :param changes: of ``evaluation.graph_alignment_changes``
    :param layers: of ``evaluation.graph_alignment_layers``
    :param medic: of ``evaluation.medic_alignment``
    """

    figures: Sequence[Row] = ()
    baselines: Sequence[Row] = ()
    changes: Sequence[Row] = ()
    layers: Sequence[Row] = ()
    medic: Sequence[Row] = ()

    @property
    def beside(self) -> list[Row]:
        """What stands beside the models: the baselines, and each model's input embeddings alone (layer 0)."""
        inputs: dict[tuple[str, str, str], Row] = {}
        for row in self.layers:
            if row["layer"] == 0:
                shown = {**row, "model": f"{row['model']}, input embeddings", "edges": "all"}
                del shown["experiment"]
                # adapters leave them as they are, so one variant of a model stands for all
                inputs.setdefault((row["model"], row["measure"], row["kind"]), shown)
        return [*self.baselines, *inputs.values()]

    def __bool__(self) -> bool:
        """Whether there is any row."""
        return any(getattr(self, field.name) for field in fields(self))


def read_alignment(reading: Reading, *, variants: Sequence[str]) -> Alignment:
    """Return the rows of the variants of a study, in its order; none where nothing was measured.

    :param variants: partition keys
    """
    figures, baselines, changes, layers, medic = (
        reading.all_rows(name, of=list(variants)) if TABLES[name].partitioned_by else reading.rows(name)
        for name in ALIGNMENT_TABLES
    )
    return Alignment(
        figures=figures.to_pylist(),
        baselines=baselines.to_pylist(),
        changes=changes.to_pylist(),
        layers=layers.to_pylist(),
        medic=medic.to_pylist(),
    )


def of(rows: Sequence[Row], *, kind: str = "disease", edges: str = "all") -> list[Row]:
    """Return the rows of the headline measure that can be calibrated: chance is not the best possible already."""
    wanted = (HEADLINE, kind, edges)
    scores = ("calibrated", "untuned_calibrated", "tuned_calibrated")  # of a figure, or of a change
    return [
        row
        for row in rows
        if (row["measure"], row["kind"], row["edges"]) == wanted
        and all(row.get(name, 0.0) is not None for name in scores)
    ]


def contestant(row: Row) -> str:
    """Return the name of a row's variant, or of its baseline."""
    return f"{row['model']}@{row['experiment']}" if row.get("experiment") else str(row["model"])


def is_tuned(row: Row) -> bool:
    """Whether a row is of a tuned variant."""
    return row.get("experiment") not in {None, UNTUNED}


def is_above_chance(row: Row) -> bool:
    """Whether fewer than one rewired graph in twenty is matched as well."""
    return bool(row["p_value"] < _LEVEL)


def has_moved(change: Row) -> bool:
    """Whether a figure rose surely: the interval of its change lies above 0, and it rose above its own null too.

    Null and figure may rise together, as they do where vectors only come to reflect degrees.
    """
    return bool(change["change_ci_low"] > 0 and change["tuned_calibrated"] > change["untuned_calibrated"])
