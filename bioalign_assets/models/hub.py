"""Published models: resolved to a commit, fetched from the model hub or taken from its local cache."""

import dataclasses

from bioalign_assets.models.fetching import fetch
from bioalign_assets.models.folder import describe
from bioalign_assets.models.hub_errors import hub_subject
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.models import ModelSpec

__all__ = ["resolve_hub_model"]


def resolve_hub_model(
    spec: ModelSpec,
    *,
    name: str,
    token: str | None = None,
    commit: str | None = None,
    card_bytes: int | None = None,
) -> ResolvedModel:
    """Return a published model, its files in the hub's local cache.

    It is held at ``commit`` where that is given, else at the commit that its revision names now. A commit whose files
    are in the cache already needs no network; nor does a branch that was resolved before, where the hub can't be
    reached.

    :param name: name of the model in the study file
    :param token: login of the hub, for models behind a licence
    :param commit: where the model was recorded to stand
    :param card_bytes: memory of the CUDA card; None where there is none, then nothing is asked of it
    :raises ModelError: if there is no such model or revision, access is not granted, the hub can't be reached,
        the disk or the card is too small (said before anything large is fetched), or what is published can't be
        run here
    """
    if spec.repo_id is None:
        raise ValueError(f"{name} is no published model")
    folder = fetch(spec, name=name, revision=commit or spec.revision, token=token, card_bytes=card_bytes)
    found = describe(folder, spec=spec, name=name, what=hub_subject(spec, name=name), source="hub")
    return dataclasses.replace(
        found, repo_id=spec.repo_id, revision=folder.name, named_revision=spec.revision
    )
