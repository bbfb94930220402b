"""The paper's draw of negatives, vectorised, against the textbook loop that draws one pair at a time.

Both get the same genes, diseases and positives, with their own look-up ready (sorted codes; a set of pairs),
and must give the same pairs and leave the generator in the same state. Run ``python -m benchmarks.curation``.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.side_by_side import machine, side_by_side
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.curation.negatives import published_uniform
from bioalign_assets.curation.positives import published_positives
from bioalign_assets.curation.universe import Universe, universe_of

__all__ = ["main"]

SEED = 42
REAL = {"rows": 34_222, "genes": 9_111, "diseases": 5_858}
"""Size of the real release of 2025-08-27."""


def default_source() -> str:
    """Return the path of the real release where it is on this machine, else ``synthetic``."""
    named = os.environ.get("BIOALIGN_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    releases = sorted(folder.glob("ctd/CTD_curated_genes_diseases*.csv*"))
    return str(releases[-1]) if releases else "synthetic"


def synthetic_positives(rows: int) -> pa.Table:
    """Return distinct random pairs, with genes and diseases in proportion to the real release."""
    generator = np.random.default_rng(SEED)
    genes, diseases = (max(2, REAL[kind] * rows // REAL["rows"]) for kind in ("genes", "diseases"))
    # a quarter of all pairs at most, so that small inputs leave room for negatives
    codes = generator.choice(genes * diseases, size=min(rows, genes * diseases // 4), replace=False)
    gene, disease = np.divmod(codes, diseases)
    return pa.table(
        {
            "gene_symbol": [f"GENE{number}" for number in gene],
            "gene_id": gene + 1,
            "disease_name": [f"Disease {number}" for number in disease],
            "disease_id": [f"MESH:{number}" for number in disease],
        }
    )


def one_by_one(
    genes: Sequence[str],
    diseases: Sequence[str],
    *,
    positives: set[tuple[str, str]],
    count: int,
    generator: np.random.Generator,
) -> list[tuple[str, str]]:
    """Draw as the paper describes it: a gene, a disease, look, keep or not."""
    negatives: list[tuple[str, str]] = []
    while len(negatives) < count:
        gene = genes[int(generator.integers(len(genes)))]
        disease = diseases[int(generator.integers(len(diseases)))]
        pair = (gene, disease)
        if pair not in positives:
            negatives.append(pair)
    return negatives


def _check(universe: Universe, *, vectorised: npt.NDArray[np.int64], looped: list[tuple[str, str]]) -> None:
    genes, diseases = (universe.genes.take(vectorised[:, 0]), universe.diseases.take(vectorised[:, 1]))
    if list(zip(genes.to_pylist(), diseases.to_pylist(), strict=True)) != looped:
        raise SystemExit("the vectorised draw differs from drawing one by one")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curation", description=__doc__)
    parser.add_argument("--source", default=default_source(), help="a CTD file, or the word synthetic")
    parser.add_argument("--rows", type=int, help="take only so many associations, or make so many up")
    parser.add_argument("--repeats", type=int, default=11, help="timed calls of each")
    options = parser.parse_args(arguments)
    if options.source == "synthetic":
        positives = synthetic_positives(options.rows or REAL["rows"])
    else:
        associations = read_associations(Path(options.source)).associations
        positives = published_positives(associations.slice(0, options.rows))
    universe = universe_of(positives)
    count = positives.num_rows
    genes, diseases = universe.genes.to_pylist(), universe.diseases.to_pylist()
    true_pairs = set(
        zip(positives["gene_symbol"].to_pylist(), positives["disease_name"].to_pylist(), strict=True)
    )

    streams = [np.random.default_rng(SEED), np.random.default_rng(SEED)]
    _check(
        universe,
        vectorised=published_uniform(universe, count=count, generator=streams[0]),
        looped=one_by_one(genes, diseases, positives=true_pairs, count=count, generator=streams[1]),
    )
    if streams[0].bit_generator.state != streams[1].bit_generator.state:
        raise SystemExit("the vectorised draw leaves the generator in another state")

    print(machine())
    print(f"{count:,} negatives among {len(genes):,} genes and {len(diseases):,} diseases ({options.source})")
    print("equal pairs and equal generator afterwards: yes")
    side_by_side(
        lambda: published_uniform(universe, count=count, generator=np.random.default_rng(SEED)),
        lambda: one_by_one(
            genes, diseases, positives=true_pairs, count=count, generator=np.random.default_rng(SEED)
        ),
        names=("vectorised", "one by one"),
        repeats=options.repeats,
    )


if __name__ == "__main__":
    main()
