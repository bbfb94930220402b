"""Embeddings of statements against the published procedure, side by side: padded batches of 32 in file order.

The published way runs each batch through the whole model, product with the vocabulary included, and asks for the
hidden states of all layers. It averages over padding too; for the comparison of vectors the mean is taken over a
statement's own tokens. Ours is ``inference.embeddings.embed``. Both embed the same test rows with the same tiny
model, 4-bit NF4 weights, in one thread. Run ``python -m benchmarks.embeddings``.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.curation import default_source
from benchmarks.inference import prepared
from benchmarks.side_by_side import machine, side_by_side
from bioalign_assets.inference.embeddings import NOTEBOOK_BATCH_SIZE, embed
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.study.models import TinyArchitecture

__all__ = ["main"]

_LARGEST = 1e-4
"""Difference of two values of a vector that the order of sums may make."""


def published(texts: Sequence[str], *, loaded: LoadedModel) -> npt.NDArray[Any]:
    """Return the embeddings of the published procedure, averaged over a statement's own tokens."""
    vectors = []
    for start in range(0, len(texts), NOTEBOOK_BATCH_SIZE):
        batch = loaded.tokenizer(
            list(texts[start : start + NOTEBOOK_BATCH_SIZE]),
            padding=True,
            padding_side="right",
            return_tensors="pt",
        ).to(loaded.device)
        with torch.no_grad():
            hidden = loaded.model(**batch, output_hidden_states=True).hidden_states[-1].float()
        mask = batch["attention_mask"].unsqueeze(-1)
        vectors.append(((hidden * mask).sum(dim=1) / mask.sum(dim=1)).cpu().numpy())
    return np.concatenate(vectors)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embeddings", description=__doc__)
    parser.add_argument("--source", default=default_source(), help="a CTD file, or the word synthetic")
    parser.add_argument("--model", default="llama", choices=get_args(TinyArchitecture))
    parser.add_argument(
        "--tuned", action="store_true", help="with an adapter of the paper's shape on the model"
    )
    parser.add_argument("--rows", type=int, default=1000, help="test rows")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # as tiny models run in the demo
    with tempfile.TemporaryDirectory(prefix="bioalign-benchmark-") as scratch:
        setting = prepared(
            options.source,
            model=options.model,
            is_tuned=options.tuned,
            rows=options.rows,
            folder=Path(scratch),
        )
        ours, theirs = (call(setting.texts, loaded=setting.loaded) for call in (embed, published))
        largest = float(np.abs(ours - theirs).max())
        if not largest < _LARGEST:
            raise SystemExit(f"the embeddings differ by up to {largest:g}")
        print(machine())
        print(f"{setting.told}, one thread ({options.source})")
        print(f"largest difference of two values: {largest:.2g} (values up to {np.abs(theirs).max():.2g})")
        side_by_side(
            lambda: embed(setting.texts, loaded=setting.loaded),
            lambda: published(setting.texts, loaded=setting.loaded),
            names=("ours", "padded, in file order"),
            repeats=options.repeats,
        )


if __name__ == "__main__":
    main()
