"""The trainings of ``benchmarks.gpu_qlora``: the paper's settings, on a base model in a folder."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.gpu_qlora_way import COMPILED, SPACE, WAYS
from benchmarks.ways import Timed, compile_layers, train_ours, train_stock, train_unsloth
from bioalign_assets.models.loading import load_base
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.study.models import ModelSpec

__all__ = ["train"]

LONGEST = 256
"""Tokens. The paper's 128 hold every sample by Llama-3's tokenizer alone, and not by one that is trained for this."""


def train(way: str, *, folder: Path, steps: int, warm_up: int) -> Timed:
    """Train one way and return its times.

    :param way: one of ``WAYS``
    :param steps: optimiser steps that are timed, after ``warm_up`` others
    """
    rows = pq.read_table(folder / "rows.parquet").slice(0, 8 * (warm_up + steps))
    spec = ExperimentSpec(
        train_on="published", evaluate_on=("published",), steps=warm_up + steps, max_tokens=LONGEST,
        gradient_checkpointing="auto" if way in {SPACE, COMPILED} else True,
    )  # fmt: skip
    if way == "Unsloth":
        return train_unsloth(rows, folder=folder, spec=spec, warm_up=warm_up)
    resolved = ResolvedModel(**json.loads((folder / "resolved.json").read_text(encoding="utf-8")))
    loaded = load_base(resolved, spec=ModelSpec(tiny="llama"), warehouse=folder.parent)
    if way == WAYS[0]:
        return train_stock(rows, loaded=loaded, spec=spec, warm_up=warm_up)
    if way == COMPILED:
        compile_layers(loaded.model)
    return train_ours(rows, loaded=loaded, spec=spec, warm_up=warm_up)
