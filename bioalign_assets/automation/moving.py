"""``bioalign models --move``: let a published model follow its branch to where it stands now."""

from collections.abc import Iterator, Sequence

import dagster as dg

from bioalign_assets.automation.refresh import RefreshStep, walk
from bioalign_assets.errors import StudyError
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study

__all__ = ["move_models"]

_BASE = dg.AssetKey(["models", "base"])
_CONFIG = {"ops": {"models__base": {"config": {"move": True}}}}


def move_models(study: Study, *, settings: Settings, names: Sequence[str]) -> Iterator[RefreshStep]:
    """Materialise ``models/base`` for some models at the commits that their revisions name now; give each step.

    What was trained on another commit becomes stale by that, and follows as everything stale does.

    :param names: of published models of the study
    :raises StudyError: if the study has no such model, or it is a tiny one
    """
    published = [name for name, spec in study.models.items() if spec.repo_id is not None]
    for name in names:
        if name not in published:
            raise StudyError(
                f"bioalign models --move {name}", found="no published model of that name in the study",
                expected=f"one of {', '.join(published) or 'none: all models of this study are tiny ones'}",
                remedy="Correct the name, or set BIOALIGN_STUDY.",
            )  # fmt: skip
    with walk(study, settings=settings) as walking:
        for name in names:
            revision = study.models[name].revision
            yield walking.run(
                {_BASE}, partition=name, why=f"moved to where {revision} stands now", config=_CONFIG
            )
