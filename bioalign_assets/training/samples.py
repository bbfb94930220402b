"""Training samples: the prompt, the right answer and the end of text, as tokens with a mask of what counts."""

from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from transformers import PreTrainedTokenizerBase

from bioalign_assets.curation.prompts import PROMPTS, Prompt, varied_prompt
from bioalign_assets.errors import CurationError, ModelError
from bioalign_assets.models.answer_tokens import encode_answers
from bioalign_assets.study.experiments import ExperimentSpec

__all__ = ["experiment_samples", "sample_prompts", "tokenise_samples", "training_rows"]


def training_rows(pairs: pa.Table, *, dataset: str, most: int | None = None) -> pa.Table:
    """Return the training split of one dataset, in row order.

    :param pairs: rows of ``curation.pairs``, of one or several datasets
    :param most: rows that are taken, from the first; None for all
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
    return rows if most is None else rows.slice(0, most)


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
    what: str = "Training samples",
) -> list[dict[str, Any]]:
    """Return one sample a statement: ``input_ids`` and ``labels``, -100 where no loss is taken.

    The answer's tokens are those that stand after the prompt, never those of the word alone. With
    ``loss="answer"`` the answer and the end-of-text token count, with ``"full"`` every token.

    :param texts: n statements
    :param labels: n labels, 1 or 0
    :param prompts: n templates
    :param what: the samples, in an error
    :raises ModelError: if a sample is longer than ``max_tokens`` (cutting would drop the answer)
    """
    samples = []
    encoded = encode_answers(texts, labels=labels, prompts=prompts, tokenizer=tokenizer)
    end = tokenizer.eos_token_id  # a look-up in the vocabulary
    for ids, border in encoded:
        ids.append(end)
        counted = [-100] * border + ids[border:] if loss == "answer" else list(ids)
        samples.append({"input_ids": ids, "labels": counted})
    lengths = [len(sample["input_ids"]) for sample in samples]
    longest = max(lengths, default=0)
    if longest > max_tokens:
        too_many = sum(length > max_tokens for length in lengths)
        raise ModelError(
            what,
            found=f"{too_many:,} of {len(lengths):,} with more tokens than max_tokens = {max_tokens}, the longest with "
            f"{longest}: {texts[lengths.index(longest)]!r}",
            expected=f"at most {max_tokens} tokens",
            remedy=f"Set max_tokens to {longest} or more in the experiment; a sample that is cut loses its answer.",
        )
    return samples


def experiment_samples(
    rows: pa.Table, *, spec: ExperimentSpec, tokenizer: PreTrainedTokenizerBase, model: str
) -> list[dict[str, Any]]:
    """Return the training samples of an experiment, as :func:`tokenise_samples` does; no weights are needed for them.

    :param rows: training rows with ``pair_id``, ``text`` and ``label``
    :param model: whose tokenizer it is, in an error
    :raises ModelError: if one is longer than the experiment allows
    """
    return tokenise_samples(
        rows["text"].to_pylist(),
        labels=rows["label"].to_pylist(),
        prompts=sample_prompts(rows["pair_id"].to_pylist(), prompts=spec.prompts, seed=spec.seed),
        tokenizer=tokenizer,
        loss=spec.loss,
        max_tokens=spec.max_tokens,
        what=f"Training samples of {spec.train_on} by the tokenizer of {model}",
    )
