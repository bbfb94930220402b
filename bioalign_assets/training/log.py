"""The loss curve of a training as a table: what the trainer logged, step by step."""

import math
from typing import Any

import pyarrow as pa

from bioalign_assets.errors import ModelError
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["RESUMED", "log_table", "resumed_after"]

RESUMED = "resumed"
"""Key of the entries that say after which step an interrupted training went on."""


def log_table(history: list[dict[str, Any]], *, name: str) -> pa.Table:
    """Return the logged steps; throughput is taken between two logged steps.

    :param history: the trainer's ``log_history``, with an entry ``RESUMED`` where an interrupted training went on:
        the trainer's clock begins at 0 there
    :param name: what the training is called in an error
    :return: schema of ``training.log`` without its variant column
    :raises ModelError: if no step was logged
    """
    if not any("loss" in entry for entry in history):
        raise ModelError(
            f"Training {name}", found="no logged step", expected="a loss curve",
            remedy="Give the experiment more steps.",
        )  # fmt: skip
    schema = pa.schema([field for field in TABLES["training.log"].arrow if field.name != "variant"])
    rows = []
    tokens_before, seconds_before = 0.0, 0.0
    for entry in history:
        if RESUMED in entry:
            seconds_before = 0.0
        if "loss" not in entry:
            continue
        tokens, seconds = float(entry["num_input_tokens_seen"]), float(entry["train_runtime"])
        rows.append(
            {
                "step": entry["step"],
                "loss": float(entry["loss"]),
                "learning_rate": float(entry["learning_rate"]),
                # no number where the loss scaler of float16 skips a step: that is no fault of the training
                "grad_norm": norm if math.isfinite(norm := float(entry["grad_norm"])) else None,
                "tokens_per_s": (tokens - tokens_before) / max(seconds - seconds_before, 1e-9),
            }
        )
        tokens_before, seconds_before = tokens, seconds
    return pa.Table.from_pylist(rows, schema=schema)


def resumed_after(history: list[dict[str, Any]]) -> tuple[int, ...]:
    """Return the steps after which an interrupted training went on.

    :param history: the trainer's ``log_history``
    """
    return tuple(entry["step"] for entry in history if RESUMED in entry)
