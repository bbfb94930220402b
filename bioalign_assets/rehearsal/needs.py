"""What the real study needs of each model: to be fetched, to be trained, to be asked; from real row lengths."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from transformers import PreTrainedTokenizerBase

from bioalign_assets.models.loading import number_bytes
from bioalign_assets.models.needs import scoring_bytes, training_bytes
from bioalign_assets.rehearsal.originals import Original
from bioalign_assets.study import Study
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.training.lengths import SampleLengths, lengths_of
from bioalign_assets.training.on_base import training_load
from bioalign_assets.training.samples import experiment_samples

__all__ = ["RealNeeds", "lengths_over", "real_needs"]

_SAMPLED = 1000
_AT_ONCE = 200
_WHERE_THEY_MEET = 4
"""Tokens that a statement may have more inside a prompt than alone and the prompt without it: spaces, quotes"""


@dataclass(frozen=True, kw_only=True)
class RealNeeds:
    """What one model needs on a card. None: not known.

    :param training_bytes: memory for its largest training, with activations computed anew; 0 if it has none
    :param roomy_bytes: the same with activations kept, which is faster
    """

    fetched_bytes: int | None
    training_bytes: int | None
    roomy_bytes: int | None
    scoring_bytes: int | None


def real_needs(
    name: str, *, study: Study, original: Original, lengths: Mapping[str, SampleLengths]
) -> RealNeeds:
    """Return what a model of a study needs.

    :param study: the real one
    :param lengths: of its samples, by experiment; typical ones are reckoned with for the others
    """
    shape, spec = original.shape, study.models[name]
    if shape is None:
        return RealNeeds(
            fetched_bytes=original.fetched_bytes, training_bytes=None, roomy_bytes=None, scoring_bytes=None
        )
    is_nf4 = original.is_nf4 or spec.quantisation == "nf4"
    width = number_bytes(spec, on_card=True)
    experiments = study.trainings_of(name)

    def largest(*, is_checkpointed: bool) -> int:
        return max(
            (
                training_bytes(
                    shape,
                    load=training_load(
                        each.model_copy(update={"gradient_checkpointing": is_checkpointed}),
                        model_spec=spec,
                        lengths=lengths.get(experiment),
                    ),
                    is_nf4=is_nf4, width=width, on_card=True,
                )
                for experiment, each in experiments.items()
            ),
            default=0,
        )  # fmt: skip

    return RealNeeds(
        fetched_bytes=original.fetched_bytes,
        training_bytes=largest(is_checkpointed=True),
        roomy_bytes=largest(is_checkpointed=False),
        scoring_bytes=scoring_bytes(shape, is_nf4=is_nf4, width=width, on_card=True),
    )


def lengths_over(
    rows: pa.Table, *, spec: ExperimentSpec, tokenizer: PreTrainedTokenizerBase, model: str
) -> SampleLengths:
    """Return how long an experiment's samples are; each is looked at that could be the longest.

    A sample has at most the tokens of its statement, of what stands around it, and a few where they meet; a statement
    has at most as many tokens as bytes. So most are left out before they are built, or before they are tokenised. Mean
    and spread are of rows that are spread over all.

    :raises ModelError: if one is longer than the experiment allows
    """
    whole = spec.model_copy(update={"max_tokens": 10**6})

    def of(taken: pa.Table, *, limits: ExperimentSpec = whole) -> SampleLengths:
        return lengths_of(experiment_samples(taken, spec=limits, tokenizer=tokenizer, model=model))

    sampled = rows.take(np.linspace(0, len(rows) - 1, min(_SAMPLED, len(rows))).astype(np.int64))
    usual = of(sampled)
    place = sampled.column_names.index("text")
    shortest = sampled.set_column(place, "text", pa.repeat("x", len(sampled)))
    around = of(shortest).longest + _WHERE_THEY_MEET
    longest = usual.longest
    sizes = pc.binary_length(rows["text"].cast(pa.binary()))
    longer = rows.filter(pc.greater(sizes, longest - around))
    if len(longer):
        ids = tokenizer(longer["text"].to_pylist(), add_special_tokens=False)["input_ids"]
        counts = np.array([len(each) for each in ids])
        order = np.argsort(-counts, kind="stable")
        seen = 0
        while seen < len(order) and counts[order[seen]] > longest - around:
            part = order[seen : seen + _AT_ONCE]
            longest, seen = max(longest, of(longer.take(part)).longest), seen + len(part)
    if longest > spec.max_tokens:
        of(rows, limits=spec)  # which tells how many, of all
    return SampleLengths(longest=longest, shared=usual.shared, mean=usual.mean, sd=usual.sd)
