"""Answers to prompts: what the model writes greedily, and how probable it finds ``true``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bioalign_assets.curation.prompts import Prompt
from bioalign_assets.inference.batches import BatchSize, Places
from bioalign_assets.inference.prefix import PromptBatch
from bioalign_assets.inference.prompting import run_prompts
from bioalign_assets.inference.scoring import probability, require_finite
from bioalign_assets.models.answer_tokens import answer_tokens
from bioalign_assets.models.loading import LoadedModel

__all__ = ["ANSWER_LENGTH", "Answers", "ask", "predicted_label"]

ANSWER_LENGTH = 3
"""Tokens of an answer, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers to n statements, in their order."""

    answer: list[str]
    """What the model wrote, n texts"""
    predicted: np.ndarray[Any, np.dtype[np.int8]]
    """1 where the answer holds the word true, else 0; shape (n,)"""
    p_true: np.ndarray[Any, np.dtype[np.float64]]
    """Probability of true against false as the first word; shape (n,), 0 to 1"""


def predicted_label(answer: str) -> int:
    """Return 1 if the word true stands anywhere in an answer, else 0 (the paper's rule, small or capital)."""
    return int("true" in answer.lower())


def ask(
    texts: Sequence[str],
    *,
    prompt: Prompt,
    loaded: LoadedModel,
    batch_size: BatchSize = "auto",
    is_chat: bool = False,
) -> Answers:
    """Ask a model about statements: greedy answers and p_true, from the same batched forward passes.

    p_true is the softmax of the first answer position over the first tokens of ``true`` and ``false`` as they
    stand after this very prompt. An answer ends where ``generate`` would end it.

    :param texts: n statements
    :param batch_size: most prompts in one forward pass; it moves no figure but in its last digits
    :param is_chat: whether the prompt is put inside the model's chat template
    :raises ModelError: if a probability is not a number, the tokenizer does not suit the prompt, or one prompt does not
        fit into memory
    """
    tokenizer = loaded.tokenizer
    answers = answer_tokens(prompt, tokenizer=tokenizer, is_chat=is_chat)
    written = np.empty((len(texts), ANSWER_LENGTH), dtype=np.int64)
    p_true = np.empty(len(texts), dtype=np.float64)

    def shared(places: Places, batch: PromptBatch, ids: torch.Tensor) -> None:
        new, first = _greedy(batch, ids, loaded=loaded)
        p_true[places] = probability(first, answers=answers)
        written[places] = new.cpu().numpy()

    def whole(places: Places, ids: torch.Tensor, mask: torch.Tensor) -> None:
        found = loaded.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=ANSWER_LENGTH,
            do_sample=False,
            repetition_penalty=1.0,
            output_logits=True,
            return_dict_in_generate=True,
            pad_token_id=tokenizer.pad_token_id,
        )
        p_true[places] = probability(found.logits[0], answers=answers)
        new = found.sequences[:, ids.shape[1] :].cpu().numpy()
        written[places] = tokenizer.pad_token_id
        written[places, : new.shape[1]] = new

    run_prompts(
        texts, prompt=prompt, loaded=loaded, is_chat=is_chat, answer_length=ANSWER_LENGTH, batch_size=batch_size,
        what=f"asking ({prompt.name})", shared=shared, whole=whole,
    )  # fmt: skip
    answer = tokenizer.batch_decode(written, skip_special_tokens=True) if len(texts) else []
    return Answers(
        answer=answer,
        predicted=np.array([predicted_label(each) for each in answer], dtype=np.int8),
        p_true=require_finite(p_true, prompt=prompt),
    )


def _greedy(
    batch: PromptBatch, ids: torch.Tensor, *, loaded: LoadedModel
) -> tuple[torch.Tensor, torch.Tensor]:
    """Write the likeliest tokens after each prompt of a batch, padding once an end of text is written.

    :returns: tokens, shape (rows, ANSWER_LENGTH), and the logits of the first answer position
    """
    pad = loaded.tokenizer.pad_token_id
    ends = loaded.model.generation_config.eos_token_id
    ends = torch.tensor([] if ends is None else ends, dtype=torch.int64, device=ids.device).reshape(-1)
    new = ids.new_full((len(ids), ANSWER_LENGTH), pad)
    has_ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    first = batch.next_logits(ids)
    logits = first
    for place in range(ANSWER_LENGTH):
        new[:, place] = logits.argmax(dim=-1).masked_fill(has_ended, pad)
        has_ended |= torch.isin(new[:, place], ends)
        if place + 1 == ANSWER_LENGTH or has_ended.all():
            break
        logits = batch.next_logits(new[:, place, None])
    return new, first
