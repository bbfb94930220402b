"""The whole check-up: machine and models together, and whether the study can run here."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bioalign_assets.doctor.machine import Line, Machine, look_at_machine
from bioalign_assets.doctor.models import ModelNeeds, model_needs, obstacles
from bioalign_assets.models.fetching import cache_folder, free_disk
from bioalign_assets.models.needs import gigabytes
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study
from bioalign_assets.warehouse.atomic import size_of
from bioalign_assets.warehouse.disk import why_not_written

__all__ = ["Checkup", "check_up"]

_TABLES = 500_000_000
"""What tables, pages and the history of a study on the real release take beside adapters and embeddings, in bytes."""
_LEAST_DISK = 100_000_000
"""Below so much nothing is begun, also where all is made: each run writes its history and a new catalogue."""


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """What was found."""

    study: str
    machine: tuple[Line, ...]
    models: tuple[ModelNeeds, ...]
    obstacles: dict[str, list[str]]
    """What keeps each model from running here, by its name"""
    downloads: Line

    @property
    def can_run(self) -> bool:
        """Whether the whole study can run on this machine."""
        lines = (*self.machine, self.downloads)
        return not any(line.state == "missing" for line in lines) and not any(self.obstacles.values())

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON's values; sizes in bytes, null where not known."""
        return {
            "study": self.study,
            "can_run": self.can_run,
            "machine": [asdict(line) for line in (*self.machine, self.downloads)],
            "models": [asdict(model) | {"obstacles": self.obstacles[model.model]} for model in self.models],
        }


def check_up(study: Study, *, settings: Settings) -> Checkup:
    """Return what this machine has, what the study needs, and whether they fit."""
    import torch

    on_card = torch.cuda.is_available()
    needs = tuple(model_needs(study, warehouse=settings.warehouse, on_card=on_card))
    machine = look_at_machine(
        token=settings.hf_token.get_secret_value() if settings.hf_token else None,
        needs_card=any(model.needs_card for model in needs),
        needs_hub=not all(model.is_here for model in needs),
    )
    return Checkup(
        study=study.title,
        machine=(*machine.lines, _warehouse_disk(needs, warehouse=settings.warehouse)),
        models=needs,
        obstacles={model.model: obstacles(model, machine=machine) for model in needs},
        downloads=_downloads(needs, machine=machine),
    )


def _warehouse_disk(needs: tuple[ModelNeeds, ...], *, warehouse: Path) -> Line:
    """Return whether the warehouse can be written, and whether its disk has room for what the study still makes."""
    what = "disk, warehouse"
    refused = why_not_written(warehouse)
    if refused:
        return Line(
            what=what, found=f"{warehouse} can't be written ({refused})", state="missing",
            mend="Name a folder that can be written in BIOALIGN_WAREHOUSE, or free some of its disk.",
        )  # fmt: skip
    # of what is there, that alone which the study would make: old versions and raw files make no room
    made = sum(size_of(warehouse / name) for name in ("adapters", "checkpoints", "tables/inference"))
    made = min(made, sum(model.disk_bytes or 0 for model in needs))
    needed = max(_LEAST_DISK, _TABLES + sum(model.disk_bytes or 0 for model in needs) - made)
    free = free_disk(warehouse)
    found = f"{gigabytes(free)} free in {warehouse}"
    if free < needed:
        return Line(
            what=what, found=f"{found}; the study needs about {gigabytes(needed)} more", state="missing",
            mend="Free that much, or name a folder on a larger disk in BIOALIGN_WAREHOUSE.",
        )  # fmt: skip
    return Line(what=what, found=f"{found}; the study needs about {gigabytes(needed)} more")


def _downloads(needs: tuple[ModelNeeds, ...], *, machine: Machine) -> Line:
    """Return whether the disk has room for all that is still to be fetched."""
    lacking = [model for model in needs if not model.is_here]
    known = sum(model.download_bytes or 0 for model in lacking)
    unknown = [model.model for model in lacking if model.download_bytes is None]
    if not lacking:
        return Line(what="to fetch", found="nothing")
    found = f"about {gigabytes(known)} for {len(lacking)} models"
    if unknown:
        found += f", and what {', '.join(unknown)} take (not known before the hub is asked)"
    refused = why_not_written(cache_folder())
    if refused:
        return Line(
            what="to fetch", found=f"{found}; {cache_folder()} can't be written ({refused})", state="missing",
            mend="Set HF_HOME to a folder that can be written.",
        )  # fmt: skip
    if known > machine.free_cache_bytes:
        return Line(
            what="to fetch", found=f"{found}; {gigabytes(machine.free_cache_bytes)} are free", state="missing",
            mend="Free that much on the disk of the hub's cache, or set HF_HOME to a folder on a larger disk.",
        )  # fmt: skip
    return Line(
        what="to fetch", found=found, state="note", mend="It happens when models/base is materialised."
    )
