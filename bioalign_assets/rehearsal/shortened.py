"""The study that is played: the real one with stand-ins for its models, and as short as it can be."""

from collections.abc import Mapping
from pathlib import Path

from bioalign_assets.study import Study
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.study.models import ModelSpec

__all__ = ["STEPS", "shortened"]

STEPS = 2
"""Optimiser steps of a training: the second one sees what the first has done."""
_TRAINED_ON = 60
_ASKED = 200
"""Test rows; a model that was trained on another dataset is asked some fifteen of a hundred of them."""


def shortened(study: Study, *, stand_ins: Mapping[str, Path]) -> Study:
    """Return a study with the same datasets, experiments and variants, to be played in minutes.

    Trainings take two steps on some dozen rows, with a checkpoint after each. Test sets have some dozen rows, rankings
    a query, figures few resamples. All else is as it stands.

    :param stand_ins: folders by model
    """
    models = {
        name: _played_by(spec, folder=stand_ins[name]) if name in stand_ins else spec
        for name, spec in study.models.items()
    }
    experiments = {name: _short(spec) for name, spec in study.experiments.items()}
    evaluation = study.evaluation.model_copy(
        update={
            "sample_size": _ASKED, "resamples": 100, "link_queries": 1, "link_candidates": 10, "link_exact": False,
            "map_size": 20,
        }
    )  # fmt: skip
    return study.model_copy(update={"models": models, "experiments": experiments, "evaluation": evaluation})


def _played_by(spec: ModelSpec, *, folder: Path) -> ModelSpec:
    # Unsloth needs a card, and so do trainings in float16: here transformers trains, in what the CPU computes in
    dtype = "auto" if spec.dtype == "float16" else spec.dtype
    return spec.model_copy(
        update={"repo_id": None, "revision": "main", "path": str(folder), "backend": "auto", "dtype": dtype}
    )


def _short(spec: ExperimentSpec) -> ExperimentSpec:
    if spec.is_untuned:
        return spec
    return spec.model_copy(
        update={"steps": STEPS, "epochs": None, "checkpoint_every": 1, "rows": _TRAINED_ON}
    )
