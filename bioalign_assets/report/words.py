"""The questions of a study, and the second one's answer in words, made from its leaderboard.

Every sentence follows from the tables. A model that does not beat counting names is said not to, first of all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from bioalign_assets.report.numbers import interval

__all__ = ["QUESTION", "SECOND_QUESTION", "answer", "cautions", "listed"]

QUESTION = (
    "The question: does fine-tuning with QLoRA make a language model's inner geometry agree with the knowledge graph "
    "of genes and diseases?"
)
SECOND_QUESTION = (
    "The second question: does it make the model tell CTD's curated gene-disease associations from generated ones, "
    "better than baselines that never read a sentence?"
)
_POPULARITY = "That baseline only counts how often a gene and a disease occur among the training positives."

Row = Mapping[str, Any]


def answer(leaderboard: pa.Table) -> list[str]:
    """Return the answer in sentences: the verdict over all test sets first, then one sentence or two on each.

    The best model of a test set is the one with the highest AUROC over all its prompts, tuned or not. It beats
    popularity, or the best baseline, where the whole 95% interval of the lift over it lies above 0. With many
    contestants one of them does so by chance, so it is said how many there were.

    :param leaderboard: schema ``report.leaderboard``
    """
    by_test_set: dict[str, list[Row]] = {}
    for row in leaderboard.to_pylist():
        by_test_set.setdefault(row["test_set"], []).append(row)
    asked = {name: rows for name, rows in by_test_set.items() if any(map(_is_model, rows))}
    if not asked:
        return ["The answer is still open: no model has been asked yet."]
    sentences = [_verdict(asked)]
    for name, rows in asked.items():
        sentences += _on_test_set(name, rows)
    return sentences


def cautions(leaderboard: pa.Table, *, is_synthetic: bool) -> list[str]:
    """Return what a reader must know before the figures: tiny models, a synthetic release.

    :param leaderboard: schema ``report.leaderboard``
    :param is_synthetic: whether the release is the built-in demo release
    """
    models = [row for row in leaderboard.to_pylist() if _is_model(row)]
    tiny = sorted({row["model"] for row in models if row["is_tiny"]})
    told = []
    if tiny:
        which = "All models here are" if all(row["is_tiny"] for row in models) else f"{listed(tiny)} are"
        if len(tiny) == 1 and which.endswith(" are") and not which.startswith("All"):
            which = f"{tiny[0]} is"
        told.append(
            f"{which} tiny: built for running everything, not for science. "
            "Such figures say nothing about the models that the paper tuned."
        )
    if is_synthetic:
        told.append(
            "The release is the built-in synthetic one: its genes, diseases and associations are made up, "
            "and it holds no CTD data."
        )
    return told


def _is_model(row: Row) -> bool:
    return bool(row["role"] != "baseline")


def _best(rows: Sequence[Row]) -> Row:
    return min(
        filter(_is_model, rows),
        key=lambda row: (-row["auroc"], row["model"], row["experiment"], row["prompt"] or ""),
    )


def _verdict(asked: Mapping[str, Sequence[Row]]) -> str:
    """Say on which test sets any model at all beats popularity."""
    flags = {
        name: [row["is_above_popularity"] for row in rows if _is_model(row)] for name, rows in asked.items()
    }
    judged = [name for name, found in flags.items() if any(flag is not None for flag in found)]
    above = [name for name in judged if any(flags[name])]
    if not judged:
        return "Whether a model beats popularity is open: that baseline has not been run."
    everywhere = judged[0] if len(judged) == 1 else f"all {len(judged)} test sets"
    if not above:
        where = judged[0] if len(judged) == 1 else f"any of the {len(judged)} test sets"
        return f"No model beats the popularity baseline on {where}. {_POPULARITY}"
    if len(above) == len(judged):
        return f"A model beats the popularity baseline on {everywhere}. {_POPULARITY}"
    others = [name for name in judged if name not in above]
    return (
        f"A model beats the popularity baseline on {len(above)} of {len(judged)} test sets ({listed(above)}); "
        f"on {listed(others)} none does. {_POPULARITY}"
    )


def _on_test_set(name: str, rows: Sequence[Row]) -> list[str]:
    row = _best(rows)
    prompt = f", {row['prompt']} prompt" if row["prompt"] else ""
    area = interval(row["auroc"], row["auroc_ci_low"], row["auroc_ci_high"])
    best = f"On {name} the best model is {_who(row)} ({row['role']}{prompt})"
    tried = sum(map(_is_model, rows))
    of_many = f" of {tried} asked" if tried > 1 else ""
    sentences = [f"{best}{of_many}: AUROC {area}, accuracy {row['accuracy']:.1%}, n = {row['n']:,}."]
    popularity = next((each for each in rows if not _is_model(each) and each["model"] == "popularity"), None)
    if popularity is not None and row["is_above_popularity"] is not None:
        does = "beats" if row["is_above_popularity"] else "does not beat"
        sentences.append(f"It {does} popularity (AUROC {popularity['auroc']:.3f}).")
        others = sorted({_who(each) for each in rows if each["is_above_popularity"]})
        if others and not row["is_above_popularity"]:
            sentences.append(f"But {listed(others)} does, with a narrower interval.")
    if row["lift"] is None:
        sentences.append("No baseline has been run on this test set.")
        return sentences
    lift = interval(row["lift"], row["lift_ci_low"], row["lift_ci_high"], is_change=True)
    rival = f"the best baseline, {row['best_baseline']}"
    if row["lift_ci_low"] > 0:
        sentences.append(f"It beats {rival}: the lift is {lift}, above 0 with its whole interval.")
    elif row["lift_ci_high"] < 0:
        sentences.append(f"It does not beat {rival}, but lies below it: the lift is {lift}.")
    else:
        sentences.append(f"It does not surely beat {rival}: the lift is {lift}, which may be none.")
    return sentences


def _who(row: Row) -> str:
    return f"{row['model']}@{row['experiment']}"


def listed(names: Sequence[str]) -> str:
    """Return some names, at least one, as a part of a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
