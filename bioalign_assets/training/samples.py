"""Training samples: the prompt, the right answer and the end of text, as tokens with a mask of what counts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from transformers import PreTrainedTokenizerBase

from bioalign_assets.curation.prompts import PROMPTS, Prompt, varied_prompt
from bioalign_assets.errors import CurationError, ModelError
from bioalign_assets.models.answer_tokens import encode_answers

__all__ = ["SampleLengths", "lengths_of", "sample_prompts", "tokenise_samples", "training_rows"]


@dataclass(frozen=True, kw_only=True)
class SampleLengths:
    """How long the samples of a training are, in tokens.

    :param longest: the longest one
    :param shared: what all begin with
    :param mean: of what a sample has behind that
    :param sd: standard deviation of the same
    """

    longest: int
    shared: int
    mean: float
    sd: float

    def tokens(self, samples: int, *, packs: bool) -> int:
        """Return how many tokens a forward pass of some samples has at the most.

        Packed, the own tokens of n samples come to n times their mean; five standard deviations more are passed by
        chance in fewer than one pass of a million (the sum is near normal), and never more than n of the longest.
        """
        if not packs:
            return samples * self.longest
        likely = samples * self.mean + 5 * math.sqrt(samples) * self.sd
        return self.shared + min(math.ceil(likely), samples * (self.longest - self.shared))


def lengths_of(samples: Sequence[Mapping[str, Any]]) -> SampleLengths:
    """Return how long samples are.

    :param samples: at least one, as :func:`tokenise_samples` gives them
    """
    ids = [sample["input_ids"] for sample in samples]
    lengths = np.array([len(each) for each in ids])
    # what the first and the last in lexical order begin with, all between them begin with too
    pairs = zip(min(ids), max(ids), strict=False)
    shared = next((place for place, (one, other) in enumerate(pairs) if one != other), int(lengths.min()))
    own = lengths - shared
    return SampleLengths(
        longest=int(lengths.max()), shared=shared, mean=float(own.mean()), sd=float(own.std())
    )


def training_rows(pairs: pa.Table, *, dataset: str) -> pa.Table:
    """Return the training split of one dataset, in row order.

    :param pairs: rows of ``curation.pairs``, of one or several datasets
    :raises CurationError: if there is none
    """
    frame = pairs.select(["dataset", "split", "row_number", "pair_id", "text", "label"])
    rows = frame.filter(
        pc.and_(pc.equal(frame["dataset"], dataset), pc.equal(frame["split"], "train"))
    ).sort_by("row_number")
    if not len(rows):
        raise CurationError(
            f"Dataset {dataset}",
            found="no training row",
            expected="a training split",
            remedy=f"Materialise curation/pairs for the partition {dataset} first.",
        )
    return rows


def sample_prompts(
    pair_ids: Sequence[str], *, prompts: Literal["training", "varied"], seed: int
) -> list[Prompt]:
    """Return the template of each training sample.

    :param pair_ids: n pairs
    :param prompts: ``training``: the paper's template for all; ``varied``: one of several, by hash of pair and seed
    :param seed: of the experiment
    """
    if prompts == "training":
        return [PROMPTS["training"]] * len(pair_ids)
    return [varied_prompt(pair_id, seed=seed) for pair_id in pair_ids]


def tokenise_samples(
    texts: Sequence[str],
    *,
    labels: Sequence[int],
    prompts: Sequence[Prompt],
    tokenizer: PreTrainedTokenizerBase,
    loss: Literal["answer", "full"],
    max_tokens: int,
) -> list[dict[str, Any]]:
    """Return one sample a statement: ``input_ids`` and ``labels``, -100 where no loss is taken.

    The answer's tokens are those that stand after the prompt, never those of the word alone. With
    ``loss="answer"`` the answer and the end-of-text token count, with ``"full"`` every token.

    :param texts: n statements
    :param labels: n labels, 1 or 0
    :param prompts: n templates
    :raises ModelError: if a sample is longer than ``max_tokens`` (cutting would drop the answer)
    """
    samples = []
    encoded = encode_answers(texts, labels=labels, prompts=prompts, tokenizer=tokenizer)
    for text, (ids, border) in zip(texts, encoded, strict=True):
        ids.append(tokenizer.eos_token_id)
        if len(ids) > max_tokens:
            raise ModelError(
                f"Training sample {text!r}",
                found=f"{len(ids)} tokens",
                expected=f"at most {max_tokens} (max_tokens of the experiment)",
                remedy="Set a larger max_tokens in the study file; a sample that is cut would lose its answer.",
            )
        counted = [-100] * border + ids[border:] if loss == "answer" else list(ids)
        samples.append({"input_ids": ids, "labels": counted})
    return samples
