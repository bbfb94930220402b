"""p_true alone: how probable a model finds ``true`` after a prompt, from one forward pass a batch.

What needs no words (rankings, scores of a list of pairs) is scored here; what the model writes is in ``answers``.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bioalign_assets.curation.prompts import Prompt
from bioalign_assets.errors import ModelError
from bioalign_assets.inference.progress import progress
from bioalign_assets.models.answer_tokens import answer_tokens, encode_prompt
from bioalign_assets.models.loading import LoadedModel

__all__ = ["p_true", "prompt_batches", "require_finite"]


def p_true(
    texts: Sequence[str],
    *,
    prompt: Prompt,
    loaded: LoadedModel,
    batch_size: int,
    is_chat: bool = False,
    what: str = "scoring",
) -> npt.NDArray[np.float64]:
    """Return the probability of true against false as the first word of a model's answer.

    The same as ``p_true`` of ``answers.ask``, without writing anything: the vocabulary-wide product is made for
    the last position only.

    :param texts: n statements
    :param batch_size: prompts in one forward pass; it moves no figure but in its last digits
    :param is_chat: whether the prompt is put inside the model's chat template
    :param what: of the progress bar
    :returns: shape (n,), 0 to 1, in the order of ``texts``
    :raises ModelError: if a probability is not a number, or the tokenizer does not suit the prompt
    """
    ids = answer_tokens(prompt, tokenizer=loaded.tokenizer, is_chat=is_chat)
    probabilities = np.empty(len(texts), dtype=np.float64)
    with torch.inference_mode():
        for rows, encoded in prompt_batches(
            texts, prompt=prompt, loaded=loaded, batch_size=batch_size, is_chat=is_chat, what=what
        ):
            mask = encoded["attention_mask"]
            logits = loaded.model(
                **encoded,
                # padding stands on the left: without this a prompt's first token would not be at position 0
                position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
                use_cache=False,
                logits_to_keep=1,
            ).logits[:, -1, [ids.false_id, ids.true_id]]
            probabilities[rows] = torch.softmax(logits.double(), dim=1)[:, 1].cpu().numpy()
    return require_finite(probabilities, prompt=prompt)


def prompt_batches(
    texts: Sequence[str],
    *,
    prompt: Prompt,
    loaded: LoadedModel,
    batch_size: int,
    is_chat: bool,
    what: str,
) -> Iterator[tuple[list[int], Any]]:
    """Give the prompts about some statements in batches of like length, padded on the left.

    :returns: places in ``texts``, and the tokenizer's encoding of their prompts on the model's device
    """
    tokenizer = loaded.tokenizer
    prompts = [encode_prompt(text, prompt=prompt, tokenizer=tokenizer, is_chat=is_chat) for text in texts]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    for batch in progress(batches, what=what, total=len(prompts)):
        encoded = tokenizer.pad(
            {"input_ids": [prompts[i] for i in batch]}, padding_side="left", return_tensors="pt"
        )
        yield batch, encoded.to(loaded.device)


def require_finite(probabilities: npt.NDArray[np.float64], *, prompt: Prompt) -> npt.NDArray[np.float64]:
    """Return the probabilities of a model's answers.

    :raises ModelError: if one is not a number
    """
    if not np.isfinite(probabilities).all():
        raise ModelError(
            f"Answers to the prompt {prompt.name!r}",
            found=f"{int((~np.isfinite(probabilities)).sum())} probabilities that are not numbers",
            expected="finite values",
            remedy="Set dtype = 'bfloat16' or 'float32' for the model; float16 overflows in some models.",
        )
    return probabilities
