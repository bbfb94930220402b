"""Models on this machine: a folder as transformers saves it, used where it lies."""

import dataclasses
from pathlib import Path

from bioalign_assets.models.folder import describe
from bioalign_assets.models.model_files import model_error
from bioalign_assets.models.resolved import ResolvedModel, file_facts
from bioalign_assets.study.models import ModelSpec

__all__ = ["resolve_local_model"]


def resolve_local_model(
    path: Path, *, spec: ModelSpec, name: str, held: ResolvedModel | None = None
) -> ResolvedModel:
    """Return a model that is on this machine, its files hashed.

    :param path: absolute
    :param name: name of the model in the study file
    :param held: the model as it was recorded, to which it is held; None to take what is there
    :raises ModelError: if nothing is there, it is no model that can be run here, or another one than ``held``
    """
    what = f"Model {name} ({path})"
    if not path.is_dir():
        raise model_error(
            what, found="a file" if path.exists() else "nothing at that path",
            remedy=f"Correct models.{name}.path in the study file.",
        )  # fmt: skip
    found = dataclasses.replace(
        describe(path, spec=spec, name=name, what=what, source="folder"),
        origin=str(path),
        files=file_facts(path),
    )
    if held is not None and found.weights_sha256 != held.weights_sha256:
        raise held.changed_error()
    return found
