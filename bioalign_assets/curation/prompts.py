r"""The prompts that models are trained on and asked with, and the words that they answer.

Templates are data; what a tokenizer makes of them is settled where tokens are. The border between prompt and
answer is part of a prompt, because tokenizers cut "true", " true" and "\ntrue" differently.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["ANSWERS", "PROMPTS", "VARIED_PROMPTS", "Prompt", "varied_prompt"]

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
"""Every prompt that models are asked with, by name."""

# as unlike each other as the task allows: question, statement, form to fill, record, talk; none like those above
_VARIED: Mapping[str, str] = {
    "claim": "Claim: {text}.\nVerdict (true or false):",
    "curator": (
        "You curate a database of genes and diseases. Decide whether the record below is true or false.\n\n"
        "Record: {text}\nDecision:"
    ),
    "literature": (
        "Does the literature support that {text}? Say true if it does and false if it does not.\nReply:"
    ),
    "exam": "Genetics exam. Mark each item as true or false.\n\n1. {text}\n\nMark for item 1:",
    "assertion": "{text}. As far as curated evidence goes, this assertion is (true/false):",
    "form": 'Fill in the missing value, true or false.\n{"assertion": "{text}", "value":',
    "talk": "Student: I read that {text}. Should I believe it?\nProfessor, who only says true or false:",
    "edge": "Check of one edge in a knowledge graph.\nEdge: {text}\nLabel, out of [true, false]:",
}

VARIED_PROMPTS: Mapping[str, Prompt] = {
    f"varied-{name}": Prompt(name=f"varied-{name}", template=template, answer_prefix=" ")
    for name, template in _VARIED.items()
}
"""Templates of the prompt set ``varied``, by name: trained on, never asked with."""


def varied_prompt(pair_id: str, *, seed: int) -> Prompt:
    """Return the template that a pair is trained with in the prompt set ``varied``.

    The template with the highest hash of pair, seed and its own name (rendezvous hashing; Thaler & Ravishankar
    1998, doi:10.1109/90.663936): the same in every release, and a template that is added takes its share of the
    pairs from all others and moves no pair between these.

    :param pair_id: of ``curation.pairs``
    :param seed: of the experiment
    """
    return max(
        VARIED_PROMPTS.values(),
        key=lambda prompt: hashlib.blake2b(
            f"bioalign\x1fprompt\x1f{seed}\x1f{prompt.name}\x1f{pair_id}".encode(), digest_size=8
        ).digest(),
    )
