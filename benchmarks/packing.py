"""Our training against TRL's stock path: steps per second of the same training, side by side.

Both train the same adapter on the same samples of the release, in the same order, with the paper's settings: an
effective batch of 2 x 4, NF4 base, 8-bit AdamW. The stock path is a plain SFTTrainer: TRL's own collator, padding and
loss on the answer, four passes of two samples a step, gradient checkpointing; ours runs the eight in one row behind
what they share, keeps activations and unpacked weights as far as memory allows (``--checkpointed`` does without the
former), and joins base and adapter. The stock adapter is held in float32 as ours is, which TRL would not do: so both
learn the same, and the loss curves must coincide before anything is timed.

``--model FOLDER`` takes a real model instead of the tiny ones, ours in ``--dtype`` (auto: bfloat16 where the CPU has
it) against a stock path in ``--stock-dtype``. Where the two differ in type, so do the curves by rounding, by less than
1e-2 of the largest loss on the mean. A stock path in bfloat16 loses what its adapter adds (docs/performance.md), so its
curve is told beside ours and not held to it.

What is timed: the steps within ``trainer.train()``, from the end of the last warm-up step to the end of the last step,
on the clock and in this process's processor time (which a busy machine does not lengthen). Then whole trainings, from
texts to a saved adapter (the stock path saves none), without loading the base. The last line is the smallest ratio of
steps per second among the models. Run ``python -m benchmarks.packing``.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple, get_args

import numpy as np
import pyarrow as pa
import torch

from benchmarks.curation import default_source
from benchmarks.side_by_side import machine, ratio_of
from benchmarks.ways import Timed, load_stock, train_ours, train_stock
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.synthetic import write_demo_release
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.models.base import resolve_model
from bioalign_assets.models.loading import load_base
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.study.models import ModelSpec, TinyArchitecture
from bioalign_assets.study.source import DemoRelease
from bioalign_assets.training.samples import training_rows

__all__ = ["main", "real_model"]

NAMES = ("packed", "stock TRL")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packing", description=__doc__)
    parser.add_argument("--source", default=default_source(), help="a CTD file, or the word synthetic")
    parser.add_argument(
        "--models", nargs="+", default=get_args(TinyArchitecture), choices=get_args(TinyArchitecture)
    )
    parser.add_argument("--steps", type=int, default=30, help="optimiser steps that are timed")
    parser.add_argument("--warm-up", type=int, default=3, help="steps before them")
    parser.add_argument("--repeats", type=int, default=5, help="trainings of each, by turns")
    parser.add_argument("--checkpointed", action="store_true", help="no activations are kept by ours either")
    parser.add_argument(
        "--model", type=Path, help="a folder with a real model, in the place of the tiny ones"
    )
    parser.add_argument("--dtype", default="auto", choices=("auto", "bfloat16", "float32"), help="of ours")
    parser.add_argument("--stock-dtype", default="float32", choices=("bfloat16", "float32"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # as tiny models train in the demo
    spec = ExperimentSpec(
        train_on="published", evaluate_on=("published",), steps=options.warm_up + options.steps,
        gradient_checkpointing=options.checkpointed or "auto", max_tokens=256,
    )  # fmt: skip
    stock_spec = spec.model_copy(update={"gradient_checkpointing": True})
    print(machine())
    print(
        f"{options.steps} steps of 8 samples after {options.warm_up}, one thread ({options.source}); ours in "
        f"{options.dtype}, stock in {options.stock_dtype}"
    )
    with tempfile.TemporaryDirectory(prefix="bioalign-benchmark-") as scratch:
        associations = _associations(options.source, folder=Path(scratch))
        pairs = build_dataset(
            associations, spec=DatasetSpec(name="published", sampler="published", split="pair")
        )
        rows = training_rows(pairs, dataset="published").slice(0, 8 * (spec.steps or 0))
        subjects = (
            [_real(options.model, dtypes=(options.dtype, options.stock_dtype))]
            if options.model
            else [_tiny(name, associations=associations, folder=Path(scratch)) for name in options.models]
        )
        ratios = [
            _compare(
                subject, rows=rows, specs=(spec, stock_spec), warm_up=options.warm_up, repeats=options.repeats,
                folder=Path(scratch),
            )
            for subject in subjects
        ]  # fmt: skip
    print(f"ratio {min(ratios):.3f}")


def _associations(source: str, *, folder: Path) -> pa.Table:
    path = Path(source)
    if source == "synthetic":
        path = folder / "demo.csv"
        write_demo_release(path, spec=DemoRelease())
    return read_associations(path).associations


class _Subject(NamedTuple):
    """A model that both train: as ours loads it, and as the stock path does."""

    name: str
    resolved: ResolvedModel
    ours: ModelSpec
    stock: ModelSpec


def _tiny(name: TinyArchitecture, *, associations: pa.Table, folder: Path) -> _Subject:
    spec = ModelSpec(tiny=name, pretraining_steps=0)
    resolved = resolve_model(spec, name=name, associations=associations, warehouse=folder)
    return _Subject(f"tiny {name}", resolved, spec, spec)


def _real(folder: Path, *, dtypes: tuple[str, str]) -> _Subject:
    (resolved, ours), (_, stock) = (real_model(folder, dtype=dtype) for dtype in dtypes)
    return _Subject(folder.name, resolved, ours, stock)


def real_model(folder: Path, *, dtype: str) -> tuple[ResolvedModel, ModelSpec]:
    """Return the model in a folder, to compute in a type, and what a study file would say of it."""
    spec = ModelSpec.model_validate({"path": str(folder.absolute()), "dtype": dtype})
    return resolve_model(spec, name=folder.name, associations=pa.table({}), warehouse=folder), spec


def _compare(
    subject: _Subject, *, rows: pa.Table, specs: tuple[ExperimentSpec, ExperimentSpec], warm_up: int,
    repeats: int, folder: Path,
) -> float:  # fmt: skip
    """Print the figures of one model; return how many times the steps per second of stock TRL ours makes."""
    timed: tuple[list[Timed], list[Timed]] = ([], [])
    for _ in range(repeats):
        loaded = load_base(subject.resolved, spec=subject.ours, warehouse=folder)
        timed[0].append(train_ours(rows, loaded=loaded, spec=specs[0], warm_up=warm_up))
        loaded = load_stock(subject.resolved, spec=subject.stock, warehouse=folder)
        timed[1].append(train_stock(rows, loaded=loaded, spec=specs[1], warm_up=warm_up, in_float32=True))
        if len(timed[0]) == 1:
            print(f"\n{subject.name}")
            _same_curve(timed[0][0], timed[1][0], is_held=subject.stock.dtype != "bfloat16")
    print("a step:")
    ratio = ratio_of(*([t.seconds / t.steps for t in way] for way in timed), names=NAMES)
    processor = [median(t.processor_seconds for t in way) for way in timed]
    print(f"steps per second: {ratio:.2f} times; by processor time: {processor[1] / processor[0]:.2f} times")
    print("whole trainings:")
    whole = ratio_of(*([t.whole_seconds for t in way] for way in timed), names=NAMES)
    print(f"whole trainings: {whole:.2f} times as fast; tokens run: {_tokens(timed):.2f} times fewer")
    return ratio


def _tokens(timed: tuple[list[Timed], list[Timed]]) -> float:
    return timed[1][0].tokens / timed[0][0].tokens


def _same_curve(ours: Timed, stock: Timed, *, is_held: bool) -> None:
    """Refuse to time what does not learn the same.

    :param is_held: whether the curves are held to each other, or only told
    """
    differences = np.abs(np.array(ours.losses) - np.array(stock.losses)) / max(stock.losses)
    if is_held and differences.mean() > 1e-2:
        raise SystemExit(f"the loss curves differ: {ours.losses}, {stock.losses}")
    print(
        f"the two loss curves differ by {differences.mean():.2g} of the largest loss on the mean, "
        f"by {differences.max():.2g} at the most"
    )
    print(f"mean loss of the last third: ours {_end(ours):.3f}, stock {_end(stock):.3f}")


def _end(timed: Timed) -> float:
    return float(np.mean(timed.losses[-max(1, len(timed.losses) // 3) :]))


if __name__ == "__main__":
    main()
