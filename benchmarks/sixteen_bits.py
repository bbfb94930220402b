"""How far figures in bfloat16 are from those in float32: what a real model is asked, and what it learns.

The same model (4-bit NF4 weights where its study file would have them), statements and seed in both types: p_true and
answers to the unseen prompt, embeddings, and the losses of a short training with the paper's settings. No times. Run
``python -m benchmarks.sixteen_bits --model FOLDER``.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.stats import spearmanr

from benchmarks.curation import default_source
from benchmarks.packing import real_model
from benchmarks.side_by_side import machine
from benchmarks.ways import train_ours
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.inference.answers import ask
from bioalign_assets.inference.embeddings import embed
from bioalign_assets.inference.sample import evaluation_sample
from bioalign_assets.models.loading import load_base
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.training.samples import training_rows

__all__ = ["main"]


@dataclass(frozen=True, kw_only=True)
class _Figures:
    p_true: npt.NDArray[np.float64]
    answers: Sequence[str]
    embeddings: npt.NDArray[np.float32]
    losses: npt.NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sixteen_bits", description=__doc__)
    parser.add_argument("--source", default=default_source(), help="a CTD file")
    parser.add_argument("--model", type=Path, required=True, help="a folder with a model")
    parser.add_argument("--rows", type=int, default=200, help="test rows that it is asked about")
    parser.add_argument("--steps", type=int, default=12, help="of the training")
    options = parser.parse_args(arguments)
    pairs = build_dataset(
        read_associations(Path(options.source)).associations,
        spec=DatasetSpec(name="published", sampler="published", split="pair"),
    )
    texts = evaluation_sample(pairs, size=options.rows, seed=42, sampler="published")["text"].to_pylist()
    rows = training_rows(pairs, dataset="published").slice(0, 8 * options.steps)
    print(machine())
    with tempfile.TemporaryDirectory(prefix="bioalign-benchmark-") as scratch:
        plain, short = (
            _figures(
                options.model, dtype=dtype, texts=texts, rows=rows, steps=options.steps, folder=Path(scratch)
            )
            for dtype in ("float32", "bfloat16")
        )
    differences = np.abs(plain.p_true - short.p_true)
    others = sum(one != other for one, other in zip(plain.answers, short.answers, strict=True))
    print(
        f"p_true of {len(texts):,} statements: differs by {differences.mean():.2g} on the mean, "
        f"{differences.max():.2g} at the most; rank correlation {_rank_correlation(plain.p_true, short.p_true):.4f}"
    )
    print(f"answers: {others:,} of {len(texts):,} are others")
    cosines = (plain.embeddings * short.embeddings).sum(1) / (
        np.linalg.norm(plain.embeddings, axis=1) * np.linalg.norm(short.embeddings, axis=1)
    )
    print(
        f"embeddings: cosine with the same in float32 {cosines.mean():.5f} on the mean, "
        f"{cosines.min():.5f} at the least"
    )
    apart = np.abs(plain.losses - short.losses)
    print(
        f"losses of {options.steps} steps: the first {plain.losses[0]:.3f} and {short.losses[0]:.3f}, the last "
        f"{plain.losses[-1]:.3f} and {short.losses[-1]:.3f} (float32, bfloat16); apart by {apart.mean():.2g} on the "
        f"mean, {apart.max():.2g} at the most"
    )


def _figures(
    model: Path, *, dtype: str, texts: list[str], rows: pa.Table, steps: int, folder: Path
) -> _Figures:
    resolved, spec = real_model(model, dtype=dtype)
    loaded = load_base(resolved, spec=spec, warehouse=folder)
    asked = ask(texts, prompt=PROMPTS["unseen"], loaded=loaded)
    vectors = embed(texts, loaded=loaded)
    trained = train_ours(
        rows, loaded=loaded, warm_up=1,
        spec=ExperimentSpec(train_on="published", evaluate_on=("published",), steps=steps, max_tokens=256),
    )  # fmt: skip
    return _Figures(
        p_true=asked.p_true, answers=asked.answer, embeddings=vectors, losses=np.array(trained.losses)
    )


def _rank_correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return float(spearmanr(one, other).statistic)


if __name__ == "__main__":
    main()
