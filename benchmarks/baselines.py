"""Every baseline on every kind of dataset, made from one release: the full test split, as a Markdown table.

Accuracy and AUROC say how far a dataset gives its labels away without a language model; the ranking of all diseases
for a gene (MRR over the link queries) says how much of it helps to find a disease. Run
``python -m benchmarks.baselines``; without a release it makes up the demo's.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from time import perf_counter

import pyarrow as pa

from benchmarks.curation import default_source
from benchmarks.side_by_side import machine
from bioalign_assets.ctd.diseases import read_diseases
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.synthetic import write_demo_diseases, write_demo_release
from bioalign_assets.curation.classes import disease_classes
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.evaluation.baselines import baseline_rows
from bioalign_assets.study import load_study
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.study.evaluation import EvaluationSpec

__all__ = ["main"]

KINDS = (
    DatasetSpec(name="published", sampler="published", split="pair"),
    DatasetSpec(name="published-entity-held-out", sampler="published", split="entity"),
    DatasetSpec(name="stable", sampler="stable", split="pair"),
    DatasetSpec(name="stable-entity", sampler="stable", split="entity"),
    DatasetSpec(name="entity-held-out", sampler="stable", split="entity", negatives="degree-matched"),
    DatasetSpec(name="degree-matched", sampler="stable", split="pair", negatives="degree-matched"),
    DatasetSpec(name="same-class", sampler="stable", split="pair", negatives="same-class"),
)
"""One dataset of each kind; same-class ones need the vocabulary of diseases."""

SCOPES = {
    "full": "",
    "gene-unseen": ", unseen gene",
    "disease-unseen": ", unseen disease",
    "both-unseen": ", both unseen",
}
HEADINGS = ("dataset", "rows", "baseline", "accuracy [95%]", "AUROC [95%]", "disease MRR [95%]")


def table(
    associations: pa.Table, *, diseases: pa.Table | None, spec: EvaluationSpec
) -> Iterator[tuple[str, ...]]:
    """Give the table's rows: each dataset, each part of its test split, each baseline."""
    for kind in KINDS:
        if kind.needs_classes and diseases is None:
            continue
        classes = (
            disease_classes(diseases, dataset=kind.name)
            if kind.needs_classes and diseases is not None
            else None
        )
        pairs = build_dataset(associations, spec=kind, classes=classes)
        rows = baseline_rows(pairs, sampler=kind.sampler, spec=spec).to_pylist()
        found = {(row["model"], row["scope"], row["metric"]): row for row in rows}
        models = list(dict.fromkeys(row["model"] for row in rows))
        for scope, words in SCOPES.items():
            for model in models:
                accuracy = found.get((model, scope, "accuracy"))
                if accuracy is None:
                    continue
                # link queries are the same whatever the part: told once
                mrr = found.get((model, "sample", "disease_mrr")) if scope == "full" else None
                yield (
                    kind.name + words,
                    f"{accuracy['n']:,}",
                    model,
                    _figure(accuracy),
                    _figure(found[model, scope, "auroc"]),
                    "" if mrr is None else _figure(mrr),
                )


def _figure(row: dict[str, float]) -> str:
    return f"{row['value']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"


def _demo(folder: Path) -> tuple[pa.Table, pa.Table]:
    """Return the associations and diseases of the demo release."""
    spec = load_study("demo").demo_release
    release, diseases = folder / "release.csv", folder / "diseases.csv"
    write_demo_release(release, spec=spec)
    write_demo_diseases(diseases, spec=spec)
    return read_associations(release).associations, read_diseases(diseases).diseases


def read_release(source: str, *, diseases: Path | None) -> tuple[pa.Table, pa.Table | None]:
    """Return the associations of a release, and its diseases where they are there.

    :param source: a CTD file, or the word synthetic for the demo release, which has diseases
    """
    if source == "synthetic":
        with tempfile.TemporaryDirectory() as folder:
            return _demo(Path(folder))
    associations = read_associations(Path(source)).associations
    return associations, None if diseases is None else read_diseases(diseases).diseases


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baselines", description=__doc__)
    parser.add_argument("--release", default=default_source(), help="a CTD file, or the word synthetic")
    parser.add_argument("--diseases", type=Path, help="CTD_diseases.csv.gz of it, for same-class negatives")
    parser.add_argument("--rows", type=int, help="take only so many associations")
    parser.add_argument("--resamples", type=int, default=1000, help="behind each interval")
    options = parser.parse_args(arguments)
    associations, diseases = read_release(options.release, diseases=options.diseases)
    associations = associations.slice(0, options.rows)

    print(f"{machine()}; {Path(options.release).name}, {len(associations):,} associations\n")
    started = perf_counter()
    lines: list[tuple[str, ...]] = [HEADINGS, ("---", "---:", "---", "---", "---", "---")]
    for cells in chain(
        lines, table(associations, diseases=diseases, spec=EvaluationSpec(resamples=options.resamples))
    ):
        print("| " + " | ".join(cells) + " |", flush=True)
    print(f"\n{perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
