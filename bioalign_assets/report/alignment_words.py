"""Whether the geometry agrees with the graph, in words that need no statistics: the report's first sentences.

Every sentence follows from the tables of graph alignment. A model that tuning did not move is said not to be moved.
"""

from collections.abc import Sequence

from bioalign_assets.report.alignment import (
    Alignment,
    Row,
    contestant,
    has_moved,
    is_above_chance,
    is_tuned,
    of,
)
from bioalign_assets.report.numbers import interval, p_value, real
from bioalign_assets.report.words import listed

__all__ = ["alignment_answer", "alignment_verdict"]

_SCALE = (
    "Measured is whether two diseases that share genes also lie close together inside the model, beyond what their "
    "spelling and their numbers of genes explain: from 0, which is chance (the same graph with its partners dealt out "
    "anew), to 1, the best possible."
)
_NAMED = 3  # of the models that moved, at most
_BASELINES = {
    "names-lsa": "the spelling of the names alone {}",
    "transe": "TransE {} (it was fitted on the graph itself)",
    "random": "random vectors {}",
}


def alignment_answer(alignment: Alignment) -> list[str]:
    """Return the answer in sentences: the verdict, what the scale means, the figures, and what stands beside them."""
    sentences = [alignment_verdict(alignment)]
    found = of(alignment.figures)
    beside = _beside(of(alignment.baselines))
    if not found and not beside:
        return sentences
    sentences.append(_SCALE)
    if found:
        sentences += _of_one(_shown(found, changes=of(alignment.changes)), among=found, alignment=alignment)
    return [*sentences, *beside]


def alignment_verdict(alignment: Alignment) -> str:
    """Say in a sentence whether tuning moved any model's geometry towards the graph, beyond chance."""
    found = of(alignment.figures)
    if not found:
        return "That is still open: no model's geometry has been measured yet."
    tuned = [row for row in found if is_tuned(row)]
    if not tuned:
        return "That is still open: no tuned model has been measured yet."
    above = [row for row in tuned if is_above_chance(row)]
    if not above:
        which = contestant(tuned[0]) if len(tuned) == 1 else f"none of {len(tuned)} tuned models"
        agrees = "does not agree" if len(tuned) == 1 else "agrees"
        return (
            f"No: the geometry of {which} {agrees} with the graph better than with rewired graphs, in which every "
            "name keeps its number of partners and nothing else."
        )
    changes = {contestant(row): row for row in of(alignment.changes)}
    if not changes.keys() & {contestant(row) for row in tuned}:
        return (
            f"{_agree(above, among=tuned)} better than chance allows, but whether tuning did that is still open: no "
            "tuned model stands beside the same model untuned yet."
        )
    moved = [name for row in above if (name := contestant(row)) in changes and has_moved(changes[name])]
    if not moved:
        closer = "closer than before it was tuned" if len(above) == 1 else "more than before they were tuned"
        return f"No: {_agree(above, among=tuned)} better than chance allows, but not surely {closer}."
    if len(tuned) == 1:
        start = f"Yes: tuning moved the geometry of {moved[0]}"
    else:
        whose = f"of {listed(moved)}" if len(moved) <= _NAMED else "of these"
        start = f"For {len(moved)} of {len(tuned)} tuned models, yes: tuning moved the geometry {whose}"
    return f"{start} towards the graph, beyond chance{_on_unseen(moved, alignment=alignment)}."


def _agree(above: Sequence[Row], *, among: Sequence[Row]) -> str:
    if len(among) == 1:
        return f"{contestant(above[0])} agrees with the graph"
    return (
        f"{len(above)} of {len(among)} tuned models {'agrees' if len(above) == 1 else 'agree'} with the graph"
    )


def _on_unseen(moved: Sequence[str], *, alignment: Alignment) -> str:
    """Say whether those that moved did so on edges that training never saw."""
    held_out = {contestant(row): row for row in of(alignment.changes, edges="held-out")}
    there = [name for name in moved if name in held_out]
    too = [name for name in there if has_moved(held_out[name])]
    unseen = "on associations that training never saw"
    if not there:
        return f"; {unseen} that was not measured"
    if len(too) == len(moved):
        return f", also {unseen}"
    if too:
        return f", {unseen} surely {len(too)} of them"
    return f", but not surely so {unseen}"


def _shown(found: Sequence[Row], *, changes: Sequence[Row]) -> Row:
    """Return the row that figures are told of: the highest of those moved, else of those tuned, else of all."""
    moved = {contestant(row) for row in changes if has_moved(row)}
    choices = (
        [row for row in found if contestant(row) in moved and is_above_chance(row)],
        [row for row in found if is_tuned(row)],
        found,
    )
    return max(next(rows for rows in choices if rows), key=lambda row: row["calibrated"])


def _of_one(row: Row, *, among: Sequence[Row], alignment: Alignment) -> list[str]:
    name = contestant(row)
    scale = interval(row["calibrated"], row["calibrated_ci_low"], row["calibrated_ci_high"])
    told = [f"{name} reaches {scale} ({_p(row['p_value'])} against chance)"]
    changes = {
        edges: change
        for edges in ("all", "trained", "held-out")
        for change in of(alignment.changes, edges=edges)
        if contestant(change) == name
    }
    if "all" in changes:
        told[0] += f", after {_before(changes['all'])}"
    told += [
        f"on associations that it {did} {real(changes[edges]['tuned_calibrated'])}, after {_before(changes[edges])}"
        for edges, did in (("trained", "was trained on"), ("held-out", "never saw"))
        if edges in changes
    ]
    genes = next((each for each in of(alignment.figures, kind="gene") if contestant(each) == name), None)
    if genes is not None:
        told.append(f"for genes {real(genes['calibrated'])} ({_p(genes['p_value'])} against chance)")
    sentences = [f"{'; '.join(told)}."]
    tried = sum(map(is_tuned, among))
    if tried > 1:
        sentences.append(f"Nothing is corrected for {tried} tuned models having been tried.")
    return sentences


def _before(change: Row) -> str:
    return f"{real(change['untuned_calibrated'])} untuned ({_p(change['p_value'])} for no change)"


def _beside(baselines: Sequence[Row]) -> list[str]:
    """Return what those reach that are no language models; no sentence where there are none."""
    scores = {row["model"]: real(row["calibrated"]) for row in baselines}
    told = [_BASELINES[name].format(scores[name]) for name in _BASELINES if name in scores]
    return [f"For comparison, on the same scale: {listed(told)}."] if told else []


def _p(value: float) -> str:
    told = p_value(value)
    return f"p {told}" if told.startswith("<") else f"p = {told}"
