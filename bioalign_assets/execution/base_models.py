"""The base models at a person's word: ``models --move`` and ``models --take``, each a run of ``models/base``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bioalign_assets.errors import StudyError
from bioalign_assets.execution.processes import Workplace
from bioalign_assets.execution.uses import make, walk, with_needed
from bioalign_assets.execution.walk import Step
from bioalign_assets.freshness.partition_graph import AssetPartition

__all__ = ["move_models", "take_models"]


def move_models(workplace: Workplace, *, names: Sequence[str]) -> Iterator[Step]:
    """Make ``models/base`` of some models as what the study names is now (commit, folder); give each step.

    What was trained on other weights becomes stale by that, and follows as everything stale does.

    :param names: of models of the study that are not tiny
    :raises StudyError: if the study has no such model, or it is a tiny one
    """
    models = workplace.study.models
    movable = [name for name, spec in models.items() if spec.tiny is None]
    _refuse_others(names, allowed=movable, option="--move")
    yield from _make_models(
        workplace,
        asked={
            name: (f"moved to what {models[name].path or models[name].revision} is now", {"move": True})
            for name in names
        },
    )


def take_models(workplace: Workplace, *, paths: Mapping[str, Path]) -> Iterator[Step]:
    """Make ``models/base`` of some published models from folders or GGUF files, not from the hub; give each step.

    They stay there until they are moved, or the study names another repository or revision.

    :param paths: by model of the study, absolute
    :raises StudyError: if the study has no such model, or it is no published one
    """
    models = workplace.study.models
    published = [name for name, spec in models.items() if spec.repo_id is not None]
    _refuse_others(list(paths), allowed=published, option="--take")
    yield from _make_models(
        workplace,
        asked={
            name: (f"{path} in the place of {models[name].repo_id}", {"take": str(path)})
            for name, path in paths.items()
        },
    )


def _refuse_others(names: Sequence[str], *, allowed: Sequence[str], option: str) -> None:
    for name in names:
        if name not in allowed:
            raise StudyError(
                f"bioalign models {option} {name}", found="no model of that name in the study that it is for",
                expected=f"one of {', '.join(allowed) or 'none: this study has no such models'}",
                remedy="Correct the name, or set BIOALIGN_STUDY. A tiny model is built here; one with a path is "
                "named in the study file.",
            )  # fmt: skip


def _make_models(
    workplace: Workplace, *, asked: Mapping[str, tuple[str, Mapping[str, Any]]]
) -> Iterator[Step]:
    """Make ``models/base`` of some models; of each is given why, and the config of its run."""
    if not asked:
        return
    with walk(workplace, at_once=1) as walking:
        nodes = {AssetPartition("models.base", name) for name in asked}
        needed = with_needed(nodes, graph=walking.graph) - nodes
        # in a new warehouse this may be the first that is asked for
        if any(walking.history.made(node) is None for node in needed):
            yield from make(walking, workplace, nodes=needed)
        for name, (why, config) in asked.items():
            yield walking.run_now(
                [AssetPartition("models.base", name)],
                why=why,
                config={"ops": {"models__base": {"config": config}}},
            )
