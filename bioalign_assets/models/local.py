"""Models on this machine: a folder as transformers saves it, used where it lies, or a GGUF file, unpacked.

The study file names one with ``path``; ``bioalign models --take`` puts one in the place of a published model.
"""

import dataclasses
from pathlib import Path

from bioalign_assets.models.folder import describe
from bioalign_assets.models.gguf import unpacked
from bioalign_assets.models.model_files import model_error
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.warehouse.hashing import file_sha256

__all__ = ["resolve_local_model"]


def resolve_local_model(
    path: Path, *, spec: ModelSpec, name: str, warehouse: Path, held: ResolvedModel | None = None
) -> ResolvedModel:
    """Return a model that is on this machine, its files hashed; for a published one, it stands in the hub's place.

    :param path: absolute
    :param name: name of the model in the study file
    :param warehouse: the warehouse folder; a GGUF file is unpacked below ``models/``
    :param held: the model as it was recorded, to which it is held; None to take what is there
    :raises ModelError: if nothing is there, it is no model that can be run here, or another one than ``held``
    """
    stands_for = f", in the place of {spec.repo_id}" if spec.repo_id is not None else ""
    what = f"Model {name} ({path}{stands_for})"
    is_absent = not path.exists() and not _is_unpacked(held, warehouse=warehouse)
    if not path.is_absolute() or is_absent:
        raise model_error(
            what, found="nothing at that path" if path.is_absolute() else "a path that is not absolute",
            remedy=f"Correct models.{name}.path in the study file." if spec.path is not None
            else f"Name the place where it is: bioalign models --take {name}=PATH. "
            f"Or go back to the hub: bioalign models --move {name}",
        )  # fmt: skip
    if path.is_dir():
        found = describe(path, spec=spec, name=name, what=what, source="folder")
    elif path.suffix == ".gguf":
        folder = _unpacked(path, what=what, warehouse=warehouse, held=held)
        found = describe(folder, spec=spec, name=name, what=what, source="gguf")
        found = dataclasses.replace(found, path=folder.relative_to(warehouse).as_posix())
    else:
        raise model_error(
            what, found="neither a folder nor a .gguf file",
            remedy="Name the folder that it lies in, if that holds a whole model, or a .gguf file.",
        )  # fmt: skip
    if held is not None and found.weights_sha256 != held.weights_sha256:
        raise held.changed_error()
    return dataclasses.replace(
        found,
        origin=str(path),
        repo_id=spec.repo_id,
        named_revision=None if spec.repo_id is None else spec.revision,
    )


def _is_unpacked(held: ResolvedModel | None, *, warehouse: Path) -> bool:
    return held is not None and held.source == "gguf" and (warehouse / held.path).is_dir()


def _unpacked(path: Path, *, what: str, warehouse: Path, held: ResolvedModel | None) -> Path:
    """Return the folder that a file is unpacked in; the file itself may be gone since.

    :raises ModelError: if it is another one than ``held``, before it is unpacked
    """
    kept = warehouse / held.path if held is not None and _is_unpacked(held, warehouse=warehouse) else None
    if kept is not None and not path.is_file():
        return kept
    sha256 = file_sha256(path)
    if held is not None and held.source == "gguf" and Path(held.path).name != sha256:
        raise held.changed_error()
    return unpacked(path, sha256=sha256, what=what, warehouse=warehouse)
