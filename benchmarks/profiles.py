"""What each kind of dataset looks like, made from one release, and how much of it a small change moves.

`moved`: rows that leave plus rows that come (pair, label and split), as a share of the rows before, when a random 0.5%
of the associations leave the release; mean of three draws. Run ``python -m benchmarks.profiles``; without a
release it makes up the demo's.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.baselines import KINDS, read_release
from benchmarks.curation import default_source
from benchmarks.side_by_side import machine
from bioalign_assets.curation.classes import disease_classes
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.curation.profile import profile_dataset
from bioalign_assets.study.datasets import DatasetSpec

__all__ = ["main"]

SHARE = 0.005
SEEDS = (1, 2, 3)
HEADINGS = (
    "dataset", "pairs", "train", "test", "genes", "diseases", "gene counts unmatched", "disease counts unmatched",
    "test pairs unseen: gene / disease / both", "moved by 0.5%",
)  # fmt: skip


def table(associations: pa.Table, *, diseases: pa.Table | None) -> Iterator[tuple[str, ...]]:
    """Give the table's rows, one a dataset."""
    for kind in KINDS:
        if kind.needs_classes and diseases is None:
            continue
        classes = (
            disease_classes(diseases, dataset=kind.name)
            if kind.needs_classes and diseases is not None
            else None
        )
        pairs = build_dataset(associations, spec=kind, classes=classes)
        rows = profile_dataset(pairs, classes=classes).to_pylist()
        found = {(row["section"], row["name"]): row["value"] for row in rows}
        moved = [
            moved_share(
                pairs, build_dataset(_without_some(associations, seed=seed), spec=kind, classes=classes)
            )
            for seed in SEEDS
        ]
        yield (
            kind.name,
            *(f"{found['size', 'rows']:,.0f}", f"{found['split', 'train_rows']:,.0f}"),
            f"{found['split', 'test_rows']:,.0f}",
            *(f"{found['size', name]:,.0f}" for name in ("genes", "diseases")),
            *(_unmatched(found, kinds=kinds) for kinds in ("genes", "diseases")),
            _unseen(found, kind=kind),
            f"{np.mean(moved):.1%}",
        )


def moved_share(before: pa.Table, after: pa.Table) -> float:
    """Return the rows that left plus those that came, over the rows before."""
    old, new = (
        Counter(zip(*(pairs[name].to_pylist() for name in ("pair_id", "label", "split")), strict=True))
        for pairs in (before, after)
    )
    return ((old - new).total() + (new - old).total()) / len(before)


def _without_some(associations: pa.Table, *, seed: int) -> pa.Table:
    generator = np.random.default_rng(seed)
    kept = np.sort(generator.permutation(len(associations))[round(SHARE * len(associations)) :])
    rows = associations.take(kept)
    place = rows.schema.get_field_index("row_number")
    return rows.set_column(place, rows.schema.field(place), pa.array(np.arange(len(kept))))


def _unmatched(found: dict[tuple[str, str], float], *, kinds: str) -> str:
    return f"{sum(found['frequency', f'{split}_{kinds}_unmatched'] for split in ('train', 'test')):,.0f}"


def _unseen(found: dict[tuple[str, str], float], *, kind: DatasetSpec) -> str:
    if kind.split != "entity":
        return ""
    parts = (
        sum(found["unseen", f"{part}_{label}"] for label in ("positives", "negatives"))
        for part in ("gene", "disease", "both")
    )
    return " / ".join(f"{count:,.0f}" for count in parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiles", description=__doc__)
    parser.add_argument("--release", default=default_source(), help="a CTD file, or the word synthetic")
    parser.add_argument("--diseases", type=Path, help="CTD_diseases.csv.gz of it, for same-class negatives")
    options = parser.parse_args(arguments)
    associations, diseases = read_release(options.release, diseases=options.diseases)
    print(machine())
    print(f"{len(associations):,} associations ({options.release})\n")
    print(f"| {' | '.join(HEADINGS)} |")
    print(f"| {' | '.join(['---', *['---:'] * (len(HEADINGS) - 1)])} |")
    for row in table(associations, diseases=diseases):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
