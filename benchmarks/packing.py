"""Shared-prefix packing against TRL's stock path: whole trainings through the same SFTTrainer, side by side.

Both train the same adapter on the same samples with the paper's effective batch of 2 x 4, NF4 base and 8-bit AdamW;
the stock path pads each forward pass of two samples, ours runs the eight in one row. Model loading and tokenising
are in the times of both. A third line shows padding with the eight in one forward pass. Run
``python -m benchmarks.packing``.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from benchmarks.curation import default_source
from benchmarks.side_by_side import machine, side_by_side
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.synthetic import DemoRelease, write_demo_release
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.curation.spec import DatasetSpec
from bioalign_assets.models.base import resolve_model
from bioalign_assets.models.loading import load_base
from bioalign_assets.models.spec import ModelSpec, TinyArchitecture
from bioalign_assets.training.qlora import Training, train_adapter
from bioalign_assets.training.samples import training_rows
from bioalign_assets.training.spec import ExperimentSpec

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packing", description=__doc__)
    parser.add_argument("--source", default=default_source(), help="a CTD file, or the word synthetic")
    parser.add_argument("--model", default="llama", choices=get_args(TinyArchitecture))
    parser.add_argument("--steps", type=int, default=40, help="optimiser steps of each training")
    parser.add_argument("--repeats", type=int, default=5, help="timed trainings of each")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # as tiny models train in the demo
    with tempfile.TemporaryDirectory(prefix="bioalign-benchmark-") as scratch:
        folder = Path(scratch)
        source = Path(options.source)
        if options.source == "synthetic":
            source = folder / "demo.csv"
            write_demo_release(source, spec=DemoRelease())
        associations = read_associations(source).associations
        model = ModelSpec(tiny=options.model, pretraining_steps=0)
        resolved = resolve_model(model, name=options.model, associations=associations, warehouse=folder)
        pairs = build_dataset(
            associations, spec=DatasetSpec(name="published", sampler="published", split="pair")
        )
        rows = training_rows(pairs, dataset="published").slice(0, 8 * options.steps)

        def train(*, packing: bool, batch_size: int) -> Training:
            spec = ExperimentSpec(
                train_on="published", evaluate_on=("published",), steps=options.steps, packing=packing,
                batch_size=batch_size, accumulation=8 // batch_size, gradient_checkpointing=False,
            )  # fmt: skip
            loaded = load_base(resolved, spec=model, warehouse=folder)
            return train_adapter(
                rows, loaded=loaded, spec=spec, adapters=folder / "adapters", name="benchmark"
            )

        _same_curve(train(packing=True, batch_size=2), train(packing=False, batch_size=2))
        print(machine())
        print(f"tiny {options.model}, {options.steps} steps of 8 samples, one thread ({options.source})")
        print("against padding with 8 samples in one forward pass:")
        side_by_side(
            lambda: train(packing=True, batch_size=2), lambda: train(packing=False, batch_size=8),
            names=("packed", "padded 8 x 1"), repeats=options.repeats,
        )  # fmt: skip
        print("against the stock path with the paper's 2 x 4:")
        side_by_side(
            lambda: train(packing=True, batch_size=2), lambda: train(packing=False, batch_size=2),
            names=("packed", "padded 2 x 4"), repeats=options.repeats,
        )  # fmt: skip


def _same_curve(packed: Training, padded: Training) -> None:
    """Refuse to time what does not learn the same."""
    ours, other = (np.array(training.log["loss"].to_pylist()) for training in (packed, padded))
    if not np.allclose(ours, other, rtol=1e-2):
        raise SystemExit(f"the loss curves differ by up to {np.abs(ours - other).max():g}")
    print(f"largest difference of the two loss curves: {np.abs(ours - other).max():.2g} nats")


if __name__ == "__main__":
    main()
