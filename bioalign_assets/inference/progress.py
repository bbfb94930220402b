"""One progress bar a pass, on a terminal; nothing elsewhere."""

from collections.abc import Iterator, Sequence

from tqdm import tqdm

from bioalign_assets.terminal import terminal

__all__ = ["progress"]


def progress(batches: Sequence[list[int]], *, what: str, total: int) -> Iterator[list[int]]:
    """Give the batches one by one and show how many of ``total`` rows are done."""
    # disable=None: shown on a terminal, silent in logs and tests
    with tqdm(total=total, desc=what, unit="row", file=terminal(), disable=None, leave=False) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))
