"""The files of a published model, from the hub or its local cache; what stands in the way is told before fetching."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub.constants
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    HFValidationError,
    LocalEntryNotFoundError,
    RevisionNotFoundError,
    XetDownloadError,
)

from bioalign_assets.models.architecture import Architecture
from bioalign_assets.models.hub_errors import UNREACHABLE, hub_error, hub_subject
from bioalign_assets.models.model_files import FILES, PICKLED, model_error, weight_files
from bioalign_assets.models.needs import gigabytes, refuse_too_little, scoring_bytes
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.warehouse.disk import existing_parent

__all__ = ["SPARE_DISK", "Outline", "cache_folder", "cached", "fetch", "fetch_outline", "free_disk"]

SPARE_DISK = 100 * 2**20
"""What a machine should still have on the disk after a download."""


def fetch(
    spec: ModelSpec,
    *,
    name: str,
    revision: str,
    token: str | None = None,
    card_bytes: int | None = None,
) -> Path:
    """Return the folder with the files of a commit; it bears the commit's name.

    :param name: name of the model in the study file
    :param revision: a commit, or a branch that is resolved now
    :param card_bytes: memory of the CUDA card; None where there is none, then nothing is asked of it
    :raises ModelError: if there is no such model or revision, access is not granted, the hub can't be reached, or
        the disk or the card is too small
    """
    wanted: dict[str, Any] = {
        "repo_id": spec.repo_id,
        "revision": revision,
        "allow_patterns": [*FILES, *PICKLED],
        "ignore_patterns": ["*/*"],
    }
    try:
        try:
            listed = snapshot_download(**wanted, token=token, dry_run=True)
        except UNREACHABLE as error:
            if isinstance(error, RevisionNotFoundError) and revision == spec.revision:
                raise  # a name that is wrong; what an older branch of that name left in the cache is not meant
            return _from_cache(wanted, error=error)
        files = _without_second_form(listed)
        wanted |= {"revision": listed[0].commit_hash if listed else revision, "token": token}
        _refuse_other_forms(listed, wanted=wanted, spec=spec, name=name)
        lacking = [file for file in files if file.will_download]
        if lacking:
            _refuse_small_disk(lacking, spec=spec, name=name)
            _refuse_small_card(wanted, spec=spec, name=name, card_bytes=card_bytes)
        return Path(snapshot_download(**wanted | {"allow_patterns": [file.filename for file in files]}))
    except (httpx.HTTPError, HFValidationError, XetDownloadError, OSError) as error:
        raise hub_error(error, spec=spec, name=name, revision=revision) from error


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What of a published model tells its kind and size, without its weights.

    :param folder: with ``config.json`` and the tokenizer's files
    :param weight_bytes: size of the weight files; None where the hub was not asked
    :param is_pickled: whether these are in the form before safetensors; None where the hub was not asked
    """

    folder: Path
    weight_bytes: int | None = None
    is_pickled: bool | None = None


def fetch_outline(spec: ModelSpec, *, name: str, token: str | None = None) -> Outline:
    """Return configuration and tokenizer of a published model, some MB, from the hub or its local cache.

    :param name: name of the model in the study file
    :raises ModelError: as :func:`fetch`
    """
    wanted: dict[str, Any] = {
        "repo_id": spec.repo_id,
        "revision": spec.revision,
        "allow_patterns": [file for file in FILES if "safetensors" not in file],
        "ignore_patterns": ["*/*"],
    }
    try:
        try:
            listed = _without_second_form(
                snapshot_download(
                    **wanted | {"allow_patterns": [*FILES, *PICKLED]}, token=token, dry_run=True
                )
            )
        except UNREACHABLE as error:
            if isinstance(error, RevisionNotFoundError):
                raise
            return Outline(folder=_from_cache(wanted, error=error, files=wanted["allow_patterns"]))
        _refuse_other_forms(listed, wanted=wanted | {"token": token}, spec=spec, name=name)
        weights = [file for file in listed if file.filename.endswith((".safetensors", ".bin"))]
        return Outline(
            folder=Path(snapshot_download(**wanted, token=token)),
            weight_bytes=sum(file.file_size or 0 for file in weights),
            is_pickled=any(file.filename.endswith(".bin") for file in weights),
        )
    except (httpx.HTTPError, HFValidationError, XetDownloadError, OSError) as error:
        raise hub_error(error, spec=spec, name=name, revision=spec.revision) from error


def cached(repo_id: str, *, revision: str) -> Path | None:
    """Return the folder of a commit (or branch) in the local cache, without asking the hub; None if it lacks files."""
    try:
        found = snapshot_download(
            repo_id, revision=revision, allow_patterns=list(FILES), ignore_patterns=["*/*"],
            local_files_only=True,
        )  # fmt: skip
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    folder = Path(found)
    try:
        files = weight_files(folder)
    except ValueError:
        return None
    is_whole = bool(files) and all(file.is_file() for file in (folder / "config.json", *files))
    return folder if is_whole else None


def cache_folder() -> Path:
    """Return the folder in which the hub's library keeps what it fetched."""
    return Path(huggingface_hub.constants.HF_HUB_CACHE)


def free_disk(folder: Path) -> int:
    """Return the bytes that are free on the disk that a folder is on, or will be on once it is made."""
    return shutil.disk_usage(existing_parent(folder)).free


def _from_cache(wanted: dict[str, Any], *, error: Exception, files: Sequence[str] = FILES) -> Path:
    """Return what the cache has; raise what kept from looking at the hub if it has nothing."""
    try:  # a cache that another program or an older release of the hub's library filled has no list of files
        return Path(snapshot_download(**wanted | {"allow_patterns": list(files)}, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    if isinstance(error, DryRunError) and isinstance(error.__cause__, Exception):
        raise error.__cause__  # the library's sentence about a dry run would help nobody
    raise error


def _without_second_form(files: Sequence[Any]) -> list[Any]:
    """Return the files without pickled weights, if there are safe ones."""
    if not any(file.filename.endswith(".safetensors") for file in files):
        return list(files)
    return [file for file in files if not file.filename.startswith("pytorch_model")]


def _refuse_other_forms(listed: Sequence[Any], *, wanted: dict[str, Any], spec: ModelSpec, name: str) -> None:
    """Raise if a repository has no weights as transformers saves them, but GGUF files or an adapter."""
    if any(file.filename.endswith((".safetensors", ".bin")) for file in listed):
        return
    others = snapshot_download(
        **wanted | {"allow_patterns": ["*.gguf", "adapter_config.json"], "ignore_patterns": None},
        dry_run=True,
    )
    names = sorted(file.filename for file in others)
    files = [name for name in names if name.endswith(".gguf")]
    what = hub_subject(spec, name=name)
    if files:
        raise model_error(
            what, found=f"GGUF files only ({len(files)}, such as {files[0]})",
            remedy=f"Download one (hf download {spec.repo_id} {files[0]} --local-dir FOLDER) and name the file: "
            f"models.{name}.path in the study file, in the place of repo_id.",
        )  # fmt: skip
    if names:
        raise model_error(
            what, found="an adapter and no model (adapter_config.json)",
            remedy="Name the repository of the model that it was trained on.",
        )  # fmt: skip


def _refuse_small_disk(lacking: Sequence[Any], *, spec: ModelSpec, name: str) -> None:
    needed = sum(file.file_size or 0 for file in lacking)
    folder = cache_folder()
    free = free_disk(folder)
    if needed + SPARE_DISK > free:
        raise model_error(
            hub_subject(spec, name=name), found=f"{gigabytes(free)} free on the disk of {folder}",
            expected=f"{gigabytes(needed)} to fetch {len(lacking)} files",
            remedy="Free that much, or set HF_HOME to a folder on a larger disk. Nothing was fetched.",
        )  # fmt: skip


def _refuse_small_card(wanted: dict[str, Any], *, spec: ModelSpec, name: str, card_bytes: int | None) -> None:
    """Raise if the card can't even score with the model. Its configuration, a few kB, is fetched to tell."""
    if card_bytes is None:
        return
    folder = Path(snapshot_download(**wanted | {"allow_patterns": ["config.json"]}))
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # told once everything is here
    architecture = Architecture.from_config(config)
    if architecture is None:
        return
    is_nf4 = spec.quantisation == "nf4"
    refuse_too_little(
        f"{hub_subject(spec, name=name)}, before its weights were fetched",
        needed=scoring_bytes(architecture, is_nf4=is_nf4, width=4 if spec.dtype == "float32" else 2, on_card=True),
        there=card_bytes, place="the CUDA card",
    )  # fmt: skip
