"""Answers to prompts: what the model writes greedily, and how probable it finds ``true``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bioalign_assets.curation.prompts import Prompt
from bioalign_assets.inference.scoring import prompt_batches, require_finite
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
    texts: Sequence[str], *, prompt: Prompt, loaded: LoadedModel, batch_size: int, is_chat: bool = False
) -> Answers:
    """Ask a model about statements: greedy answers and p_true, from the same batched forward passes.

    p_true is the softmax of the first answer position over the first tokens of ``true`` and ``false`` as they
    stand after this very prompt. Prompts are batched by length and padded on the left.

    :param texts: n statements
    :param is_chat: whether the prompt is put inside the model's chat template
    :raises ModelError: if a probability is not a number, or the tokenizer does not suit the prompt
    """
    tokenizer = loaded.tokenizer
    ids = answer_tokens(prompt, tokenizer=tokenizer, is_chat=is_chat)
    answers = [""] * len(texts)
    p_true = np.empty(len(texts), dtype=np.float64)
    with torch.inference_mode():
        for batch, encoded in prompt_batches(
            texts,
            prompt=prompt,
            loaded=loaded,
            batch_size=batch_size,
            is_chat=is_chat,
            what=f"asking ({prompt.name})",
        ):
            written = loaded.model.generate(
                **encoded,
                max_new_tokens=ANSWER_LENGTH,
                do_sample=False,
                output_logits=True,
                return_dict_in_generate=True,
                pad_token_id=tokenizer.pad_token_id,
            )
            first = written.logits[0][:, [ids.false_id, ids.true_id]].double()
            p_true[batch] = torch.softmax(first, dim=1)[:, 1].cpu().numpy()
            new = written.sequences[:, encoded["input_ids"].shape[1] :]
            for i, answer in zip(batch, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True):
                answers[i] = answer
    predicted = np.array([predicted_label(answer) for answer in answers], dtype=np.int8)
    return Answers(answer=answers, predicted=predicted, p_true=require_finite(p_true, prompt=prompt))
