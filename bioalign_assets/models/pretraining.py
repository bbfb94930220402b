"""Brief pre-training of a tiny model: names and sentence forms of the release, never a label.

Real models know the names and how to answer a question; a tiny model learns both here. Genes and diseases are
drawn independently and uniformly, and the answer word is a fair coin, so that nothing of which pairs CTD has
curated, nor of how often a name occurs there, can leak from here into any test split.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.errors import ModelError
from bioalign_assets.terminal import terminal

__all__ = ["TOKENIZER_SENTENCES", "pretrain", "pretraining_texts"]

TOKENIZER_SENTENCES = 6000
_BATCH = 16
_LEARNING_RATE = 2e-3
_SHARE_OF_WARMUP = 0.3


def pretraining_texts(
    associations: pa.Table, *, rng: np.random.Generator, end_of_text: str = ""
) -> Iterator[str]:
    """Give sentences without end: the plain statement, or a prompt with an answer word drawn by a coin.

    :param associations: ``ctd.associations``; only the distinct names in it are used
    :param end_of_text: put after an answer
    """
    genes, diseases = _names(associations, "gene_symbol"), _names(associations, "disease_name")
    prompts = list(PROMPTS.values())
    while True:
        text = f"{genes[rng.integers(len(genes))]} is associated with {diseases[rng.integers(len(diseases))]}"
        form = int(rng.integers(len(prompts) + 1))
        label = int(rng.integers(2))
        if form == len(prompts):
            yield text
        else:
            yield prompts[form].render(text) + prompts[form].answer(label) + end_of_text


def _names(associations: pa.Table, column: str) -> list[str]:
    # sorted: the same names give the same model, in whatever order a release lists them
    names: list[str] = sorted(pc.unique(associations[column]).to_pylist())
    if not names:
        raise ModelError(
            "Pre-training of a tiny model", found="no association", expected="the names of a CTD release",
            remedy="Materialise ctd/associations first.",
        )  # fmt: skip
    return names


def pretrain(
    model: PreTrainedModel,
    *,
    tokenizer: PreTrainedTokenizerFast,
    associations: pa.Table,
    steps: int,
    rng: np.random.Generator,
    name: str,
) -> list[float]:
    """Train all weights of a tiny model in place, next-token prediction over whole sentences.

    The same arguments on the same machine give the same weights.

    :param name: what to call it in the progress bar
    :return: the loss at each step, in nats per token
    :raises ModelError: if the loss is no number
    """
    if steps == 0:
        return []
    texts = pretraining_texts(associations, rng=rng, end_of_text=tokenizer.eos_token)
    optimiser = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=_LEARNING_RATE, total_steps=steps, pct_start=_SHARE_OF_WARMUP
    )
    losses = []
    model.train()
    name_of_bar = f"pre-training {name}"
    for _ in tqdm(range(steps), name_of_bar, unit="step", file=terminal(), disable=None, leave=False):
        batch: Any = tokenizer([next(texts) for _ in range(_BATCH)], padding=True, return_tensors="pt")
        targets = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        loss = model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=targets
        ).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        losses.append(float(loss.detach()))
    model.eval()
    if not np.isfinite(losses).all():
        raise ModelError(
            f"Pre-training of {name}", found="a loss that is no number", expected="a finite loss",
            remedy="Give the model another seed in the study file.",
        )  # fmt: skip
    return losses
