r"""Where the answer begins, in tokens.

SentencePiece tokenizers give a word one id after a space and another after a newline: ``true`` alone is not the
token that follows ``### Response:\n``. So ids are always taken from the tokenised prompt with its answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from bioalign_assets.curation.prompts import Prompt
from bioalign_assets.errors import ModelError

__all__ = [
    "AnswerTokens",
    "answer_tokens",
    "encode_answers",
    "encode_prompts",
]

_EXAMPLE = "A is associated with B"


@dataclass(frozen=True, kw_only=True)
class AnswerTokens:
    """The first token of each answer, as it stands right after a prompt."""

    true_id: int
    false_id: int


def encode_prompts(
    texts: Sequence[str], *, prompt: Prompt, tokenizer: PreTrainedTokenizerBase, is_chat: bool = False
) -> list[list[int]]:
    """Return the token ids of a prompt about each of n statements, with the tokenizer's beginning-of-text token."""
    rendered, add_special = [], True
    for text in texts:
        whole, add_special = _render(text, prompt=prompt, tokenizer=tokenizer, is_chat=is_chat)
        rendered.append(whole)
    if not rendered:
        return []
    return _ids(rendered, tokenizer=tokenizer, adds_special=add_special)


def encode_answers(
    texts: Sequence[str],
    *,
    labels: Sequence[int],
    prompts: Sequence[Prompt],
    tokenizer: PreTrainedTokenizerBase,
    is_chat: bool = False,
) -> list[tuple[list[int], int]]:
    """Return for each of n statements the token ids of prompt and right answer, and how many of them are the prompt.

    :raises ModelError: if the tokens of a prompt change when the answer follows (no border to train at)
    """
    befores, wholes, adds_special = [], [], True
    for text, label, prompt in zip(texts, labels, prompts, strict=True):
        rendered, adds_special = _render(text, prompt=prompt, tokenizer=tokenizer, is_chat=is_chat)
        answer = prompt.answer(label)
        befores.append(rendered)
        wholes.append(rendered + (answer.lstrip() if is_chat else answer))
    if not befores:
        return []
    encoded = [_ids(each, tokenizer=tokenizer, adds_special=adds_special) for each in (befores, wholes)]
    found = []
    for before, whole, label, prompt in zip(*encoded, labels, prompts, strict=True):
        if whole[: len(before)] != before or len(whole) == len(before):
            raise ModelError(
                f"Tokenizer {tokenizer.name_or_path}",
                found=f"that the prompt {prompt.name!r} ends in other tokens once {prompt.answer(label)!r} follows it",
                expected="a border between prompt and answer",
                remedy="Give the prompt another ending in bioalign_assets/curation/prompts.py.",
            )
        found.append((whole, len(before)))
    return found


def answer_tokens(
    prompt: Prompt, *, tokenizer: PreTrainedTokenizerBase, is_chat: bool = False
) -> AnswerTokens:
    """Return the first token of ``true`` and of ``false`` as they stand after a prompt.

    :raises ModelError: if both answers begin with the same token
    """
    encoded = encode_answers(
        [_EXAMPLE] * 2, labels=(1, 0), prompts=[prompt] * 2, tokenizer=tokenizer, is_chat=is_chat
    )
    true_id, false_id = (whole[border] for whole, border in encoded)
    if true_id == false_id:
        raise ModelError(
            f"Tokenizer {tokenizer.name_or_path}",
            found=f"the same first token ({true_id}) for both answers after the prompt {prompt.name!r}",
            expected="answers that differ in their first token",
            remedy="Give the prompt another ending in bioalign_assets/curation/prompts.py.",
        )
    return AnswerTokens(true_id=true_id, false_id=false_id)


def _ids(texts: Sequence[str], *, tokenizer: PreTrainedTokenizerBase, adds_special: bool) -> list[list[int]]:
    """Return the token ids of at least one text.

    Rust's tokenizer is asked itself where there is one: transformers would make offsets and masks of each text besides,
    which takes most of the time over a training split.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    asked = list(texts if backend is None else texts[:1])
    ids: list[list[int]] = tokenizer(asked, add_special_tokens=adds_special)["input_ids"]
    if backend is None or len(ids) == len(texts):
        return ids
    # transformers has just told it to neither pad nor cut
    found = backend.encode_batch_fast(list(texts), add_special_tokens=adds_special)
    return [encoding.ids for encoding in found]


def _render(
    text: str, *, prompt: Prompt, tokenizer: PreTrainedTokenizerBase, is_chat: bool
) -> tuple[str, bool]:
    """Return the prompt as text, and whether the tokenizer is still to add its special tokens."""
    rendered = prompt.render(text)
    if not is_chat:
        return rendered, True
    if tokenizer.chat_template is None:
        raise ModelError(
            f"Tokenizer {tokenizer.name_or_path}",
            found="no chat template",
            expected='one, because the study file says prompt = "chat" for this model',
            remedy='Set prompt = "plain" for the model in the study file.',
        )
    return (
        tokenizer.apply_chat_template(
            [{"role": "user", "content": rendered}], add_generation_prompt=True, tokenize=False
        ),
        False,
    )
