"""p_true alone: how probable a model finds ``true`` after a prompt, from one forward pass a batch.

What needs no words (rankings, scores of a list of pairs) is scored here; what the model writes is in ``answers``.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from bioalign_assets.curation.prompts import Prompt
from bioalign_assets.errors import ModelError
from bioalign_assets.inference.batches import BatchSize, Places
from bioalign_assets.inference.prefix import PromptBatch
from bioalign_assets.inference.prompting import run_prompts
from bioalign_assets.models.answer_tokens import AnswerTokens, answer_tokens
from bioalign_assets.models.loading import LoadedModel

__all__ = ["p_true", "probability", "require_finite"]


def p_true(
    texts: Sequence[str],
    *,
    prompt: Prompt,
    loaded: LoadedModel,
    batch_size: BatchSize = "auto",
    is_chat: bool = False,
    what: str = "scoring",
) -> npt.NDArray[np.float64]:
    """Return the probability of true against false as the first word of a model's answer.

    The same as ``p_true`` of ``answers.ask``, without writing anything: the vocabulary-wide product is made for
    the last position only, and what all prompts begin with goes through the model once.

    :param texts: n statements
    :param batch_size: most prompts in one forward pass; it moves no figure but in its last digits
    :param is_chat: whether the prompt is put inside the model's chat template
    :param what: of the progress bar
    :returns: shape (n,), 0 to 1, in the order of ``texts``
    :raises ModelError: if a probability is not a number, the tokenizer does not suit the prompt, or one prompt does not
        fit into memory
    """
    answers = answer_tokens(prompt, tokenizer=loaded.tokenizer, is_chat=is_chat)
    probabilities = np.empty(len(texts), dtype=np.float64)

    def shared(places: Places, batch: PromptBatch, ids: torch.Tensor) -> None:
        probabilities[places] = probability(batch.next_logits(ids), answers=answers)

    def whole(places: Places, ids: torch.Tensor, mask: torch.Tensor) -> None:
        logits = loaded.model(
            input_ids=ids,
            attention_mask=mask,
            # padding stands on the left: without this a prompt's first token would not be at position 0
            position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
            use_cache=False,
            logits_to_keep=1,
        ).logits[:, -1]
        probabilities[places] = probability(logits, answers=answers)

    run_prompts(
        texts, prompt=prompt, loaded=loaded, is_chat=is_chat, answer_length=0, batch_size=batch_size, what=what,
        shared=shared, whole=whole,
    )  # fmt: skip
    return require_finite(probabilities, prompt=prompt)


def probability(logits: torch.Tensor, *, answers: AnswerTokens) -> npt.NDArray[np.float64]:
    """Return the softmax of true over true and false, shape (rows,).

    :param logits: of the first answer position, shape (rows, vocabulary)
    """
    two = logits[:, [answers.false_id, answers.true_id]].double()
    found: npt.NDArray[np.float64] = torch.softmax(two, dim=1)[:, 1].cpu().numpy()
    return found


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
