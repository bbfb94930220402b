"""One way to train one model of ``benchmarks.gpu_qlora``, in a process of its own.

Each way begins with an empty card that way, one that runs out of memory takes no other with it, and Unsloth, which
rewrites transformers and TRL when it is imported, is imported before them and where only its own training sees it.
"""

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

__all__ = ["run_way"]

SPACE = "BioAlign, packed, activations kept"
COMPILED = "BioAlign, packed, activations kept, compiled"
WAYS = ("TRL, padded 2 x 4", "Unsloth", "BioAlign, packed", SPACE, COMPILED)


def run_way(way: str, *, folder: Path, steps: int, warm_up: int) -> dict[str, Any]:
    """Return what was measured (``benchmarks.ways.Timed`` as a mapping), or ``error`` with its reason.

    :param folder: the base model's, with ``rows.parquet`` and ``resolved.json`` in it
    """
    try:
        # imported here: after Unsloth
        from benchmarks.gpu_qlora_training import train

        return asdict(train(way, folder=folder, steps=steps, warm_up=warm_up))
    except Exception as error:  # noqa: BLE001 - out of memory, a kernel that the card lacks: the others go on
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


if __name__ == "__main__":
    _, chosen, place, count, before, result = sys.argv
    if chosen == "Unsloth":
        importlib.import_module("unsloth")
    measured = run_way(chosen, folder=Path(place), steps=int(count), warm_up=int(before))
    Path(result).write_text(json.dumps(measured), encoding="utf-8")
