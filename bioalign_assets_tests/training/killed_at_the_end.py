"""A training in a process of its own, that stops when its adapter is written but has no name yet, to be killed there.

Usage: python -m bioalign_assets_tests.training.killed_at_the_end WAREHOUSE
"""

import sys
import time
from pathlib import Path

from bioalign_assets.training import qlora
from bioalign_assets_tests.training.test_interrupted import train


def wait(_folder: Path) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    time.sleep(3600)


if __name__ == "__main__":
    qlora.adapter_sha256 = wait
    train(Path(sys.argv[1]))
