"""What keeps a published model from being fetched, told as what it is, with what to do."""

import httpx
from huggingface_hub.errors import (
    DryRunError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from bioalign_assets.errors import ModelError
from bioalign_assets.models.model_files import model_error
from bioalign_assets.study.models import ModelSpec

__all__ = ["UNREACHABLE", "hub_error", "hub_subject"]

UNREACHABLE = (httpx.HTTPError, OfflineModeIsEnabled, LocalEntryNotFoundError, DryRunError)
"""Errors after which the local cache may still have what is wanted."""
_OUT_OF_ORDER = 500
_LATER = "run it again: what was fetched is kept."


def hub_subject(spec: ModelSpec, *, name: str) -> str:
    """Return a published model of the study in words, for what is told of it."""
    return f"Model {name} ({spec.repo_id} at {spec.revision})"


def hub_error(error: Exception, *, spec: ModelSpec, name: str, revision: str) -> ModelError:
    """Return in words what the hub's library raised.

    :param revision: the one that was asked for, a commit or as the study names it
    """
    key = f"models.{name}"
    if isinstance(error, GatedRepoError):
        found, remedy = "that its licence was not granted to you", (
            f"Open https://huggingface.co/{spec.repo_id} in a browser, accept the licence, and set HF_TOKEN. "
            "Nothing was fetched."
        )  # fmt: skip
    elif isinstance(error, RevisionNotFoundError) and revision != spec.revision:
        found, remedy = f"no longer the commit {revision} that models.base recorded", (
            f"Take the commit that {spec.revision} stands at now: bioalign models --move {name}"
        )  # fmt: skip
    elif isinstance(error, RevisionNotFoundError):
        found, remedy = "no such revision", f"Correct {key}.revision in the study file."
    elif isinstance(error, HfHubHTTPError) and (refused := _refused(error, spec=spec)):
        found, remedy = refused
    elif isinstance(error, RepositoryNotFoundError):
        found, remedy = "no such repository on the hub, or none that you may see", (
            f"Correct {key}.repo_id in the study file, or set HF_TOKEN if the model is private."
        )  # fmt: skip
    elif isinstance(error, HFValidationError):
        found, remedy = (
            "an identifier that the hub does not allow",
            f"Correct {key}.repo_id in the study file.",
        )
    elif isinstance(error, UNREACHABLE):
        reason = error.__cause__ or error
        found, remedy = f"neither its files in the local cache nor a hub that answers ({type(reason).__name__})", (
            "Run it once with a network, copy the hub's cache folder (HF_HOME) to this machine, or take a folder or "
            f"GGUF file in its place: bioalign models --take {name}=PATH. BIOALIGN_STUDY=demo needs no hub."
        )  # fmt: skip
    else:
        found, remedy = f"a download that failed ({error})", (
            "Mend what the message names (free disk space, rights on the cache folder HF_HOME) and run it again."
        )  # fmt: skip
    return model_error(hub_subject(spec, name=name), found=found, remedy=remedy)


def _refused(error: HfHubHTTPError, *, spec: ModelSpec) -> tuple[str, str] | None:
    """Return in words what a hub answers that refuses, and what to do; None where it is no such answer."""
    status = error.response.status_code
    said = f"{status}: {error.server_message}" if error.server_message else str(status)
    has_login = "Authorization" in error.response.request.headers
    told = None
    if status == 401 and has_login:
        told = f"a hub that does not accept the login ({said})", (
            "The token may have expired or been withdrawn: make another (https://huggingface.co/settings/tokens) and "
            "set HF_TOKEN, or do without where the model needs none (hf auth logout)."
        )  # fmt: skip
    elif status == 401 and not isinstance(
        error, RepositoryNotFoundError
    ):  # it answers so for what isn't there, too
        told = f"a hub that asks for a login ({said})", "Set HF_TOKEN to a token of that hub."
    elif status == 403:
        told = f"a hub that refuses access ({said})", (
            f"See in a browser whether you may read https://huggingface.co/{spec.repo_id}, and whether the token may: "
            "a fine-grained one names the repositories that it is for."
        )  # fmt: skip
    elif status == 429:
        told = (
            f"a hub that was asked too often ({said})",
            f"Wait some minutes and {_LATER} With a login (HF_TOKEN) it may be asked more often.",
        )
    elif status >= _OUT_OF_ORDER:
        told = f"a hub that is out of order ({said})", f"Wait until it is mended and {_LATER}"
    return told
