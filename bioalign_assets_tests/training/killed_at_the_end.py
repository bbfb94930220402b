"""A training in a process of its own, that stops at a place and waits there to be killed.

Usage: python -m bioalign_assets_tests.training.run_and_wait step|save|end WAREHOUSE
"""

import sys
import time
from pathlib import Path

from transformers import TrainerState

from bioalign_assets.training import qlora, trainer
from bioalign_assets_tests import tiny_models


def wait(*_: object, **__: object) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    time.sleep(600)


def wait_at_step_3(_self: object, _args: object, state: TrainerState, *_: object, **__: object) -> None:
    if state.global_step == 3:
        wait()


def main(place: str, folder: Path) -> None:
    if place == "step":
        trainer.ProgressBar.on_step_end = wait_at_step_3
    elif place == "save":
        qlora.files_sha256 = (
            wait  # called when all files of the adapter are written, before they get their name
        )
    training = qlora.train_adapter(
        tiny_models.training_rows(18),
        loaded=tiny_models.load("phi3"),
        spec=tiny_models.experiment(),
        adapters=folder / "adapters",
        name="toy",
    )
    sys.stdout.write(f"{training.sha256}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
