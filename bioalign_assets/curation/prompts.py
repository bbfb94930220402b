r"""The prompts that models are trained on and asked with, and the words that they answer.

Templates are data; what a tokenizer makes of them is settled where tokens are. The border between prompt and
answer is part of a prompt, because tokenizers cut "true", " true" and "\ntrue" differently.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["ANSWERS", "PROMPTS", "Prompt", "training_prompt", "unseen_prompt"]

_SLOT = "{text}"

ANSWERS: Mapping[int, str] = {1: "true", 0: "false"}
"""The word that is the right answer to a statement of each label."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One way to ask whether a statement is true.

    :raises ValueError: if the template does not hold ``{text}`` exactly once
    """

    name: str
    """Name of the prompt in the study file and in tables"""
    template: str
    """What is asked, with ``{text}`` where the statement goes"""
    answer_prefix: Literal["", " "]
    """What stands between the prompt and the answer word: nothing, or a space"""

    def __post_init__(self) -> None:
        if self.template.count(_SLOT) != 1:
            raise ValueError(f"prompt {self.name!r}: the template must hold {_SLOT} once: {self.template!r}")
        if self.answer_prefix not in {"", " "}:
            raise ValueError(
                f"prompt {self.name!r}: the answer prefix is '' or ' ', not {self.answer_prefix!r}"
            )

    @property
    def shared_prefix(self) -> str:
        """What stands before the statement: the same in every sample."""
        return self.template.partition(_SLOT)[0]

    def render(self, text: str) -> str:
        """Return the prompt for one statement, up to where the answer begins.

        :raises ValueError: if the statement is blank
        """
        if not text.strip():
            raise ValueError(f"prompt {self.name!r}: the statement is blank")
        return self.template.replace(_SLOT, text)

    def answer(self, label: int) -> str:
        """Return what follows the prompt when a model answers rightly: prefix and word.

        :raises KeyError: if the label is neither 1 nor 0
        """
        return self.answer_prefix + ANSWERS[label]


# Alpaca's form for an instruction with an input (Taori et al. 2023, github.com/tatsu-lab/stanford_alpaca)
_TRAINING = Prompt(
    name="training",
    template=(
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nDetermine if the following gene-disease association is true or false.\n\n"
        "### Input:\n{text}\n\n"
        "### Response:\n"
    ),
    answer_prefix="",
)

# never trained on: shows whether a tuned model knows more than the form of its training prompt
_UNSEEN = Prompt(
    name="unseen",
    template="Is this statement true or false? Answer with one word.\n{text}\nAnswer:",
    answer_prefix=" ",
)

PROMPTS: Mapping[str, Prompt] = {prompt.name: prompt for prompt in (_TRAINING, _UNSEEN)}
"""Every prompt by name."""


def training_prompt(text: str) -> str:
    """Return the prompt that models are tuned on, for one statement; the answer word follows directly."""
    return _TRAINING.render(text)


def unseen_prompt(text: str) -> str:
    """Return the zero-shot prompt for one statement; the answer word follows after a space."""
    return _UNSEEN.render(text)
