"""How long the samples of a training are: what its memory is reckoned from, before any weight is loaded."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["TYPICAL", "SampleLengths", "lengths_of"]


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
        chance in fewer than one pass of a million (of many samples the sum is near normal). The longest sample comes
        for certain, with others of the mean; and n of the longest are never passed.
        """
        if not packs:
            return samples * self.longest
        own = self.longest - self.shared
        likely = samples * self.mean + 5 * math.sqrt(samples) * self.sd
        certain = own + (samples - 1) * self.mean
        return self.shared + min(math.ceil(max(likely, certain)), samples * own)


def lengths_of(samples: Sequence[Mapping[str, Any]]) -> SampleLengths:
    """Return how long samples are.

    :param samples: at least one, as :func:`~bioalign_assets.training.samples.tokenise_samples` gives them
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


TYPICAL = SampleLengths(longest=151, shared=62, mean=26.2, sd=7.3)
"""Samples of the release of 2025-08-27, ``published``, by Phi-3's tokenizer, which makes most tokens of them of the
paper's three (``python -m benchmarks.sample_lengths``): what is reckoned with before a dataset is there."""
