"""What each model of a study needs: to be fetched, to be trained, to be asked."""

from dataclasses import dataclass
from pathlib import Path

from bioalign_assets.doctor.machine import Machine
from bioalign_assets.models.architecture import PUBLISHED, TINY, Architecture
from bioalign_assets.models.fetching import cached
from bioalign_assets.models.loading import number_bytes
from bioalign_assets.models.model_files import config_of, gguf_lacks
from bioalign_assets.models.needs import gigabytes, scoring_bytes, training_bytes
from bioalign_assets.models.resolved import held_models
from bioalign_assets.study import Study
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.training.on_base import training_load
from bioalign_assets.warehouse.tables import Tables

__all__ = ["ModelNeeds", "model_needs", "obstacles"]

_CHECKPOINT = 6
"""Sizes of an adapter that a training's checkpoints take: two of them, each with weights and two moments."""
_VECTORS = 5_000
"""Embeddings that are kept of a variant at the least, of rows and of names."""
_TOO_MUCH_FOR_A_CPU = 1_000_000_000
"""Parameters from which on a training step takes a CPU minutes, and a study weeks."""


@dataclass(frozen=True, kw_only=True)
class ModelNeeds:
    """What one model needs. None: not known.

    :param source: repository and revision, path, or ``tiny``
    :param commit: at which it is held, where that is recorded
    :param is_here: whether nothing of it is to be fetched (a tiny model is built here)
    :param lacks: what keeps a model that is to be found on this machine from being used; an empty text if nothing does
    :param download_bytes: what would be fetched: 0 if it is here
    :param training_bytes: memory for the largest training that the study has for it; 0 if it has none
    :param scoring_bytes: memory for answers and embeddings
    :param parameters: number of them
    :param disk_bytes: what its adapters, the checkpoints of one training and its embeddings take at the least
    """

    model: str
    source: str
    commit: str | None
    backend: str
    is_here: bool
    download_bytes: int | None
    training_bytes: int | None
    scoring_bytes: int | None
    parameters: int | None
    lacks: str
    disk_bytes: int | None

    @property
    def needs_card(self) -> bool:
        """Whether a CPU is too slow for the model; also where its size is not known."""
        return self.parameters is None or self.parameters >= _TOO_MUCH_FOR_A_CPU


def model_needs(study: Study, *, warehouse: Path, on_card: bool) -> list[ModelNeeds]:
    """Return what each model of a study needs, in the study's order.

    :param on_card: whether there is a CUDA card. What a model too large for a CPU needs is told for one in any case
    """
    rows = held_models(Tables(warehouse), specs=study.models)
    found = []
    for name, spec in study.models.items():
        held = rows.get(name)
        path = spec.path or (held.origin if held is not None else None)
        if spec.tiny is not None:
            found.append(_tiny(name, spec=spec, study=study, on_card=on_card))
        elif path is not None:
            at = warehouse / held.path if held is not None else Path(path)
            needs = _on_this_machine(name, spec=spec, study=study, path=Path(path), at=at, on_card=on_card)
            found.append(needs)
        else:
            found.append(
                _published(
                    name, spec=spec, study=study, commit=held.revision if held else None, on_card=on_card
                )
            )
    return found


def obstacles(needs: ModelNeeds, *, machine: Machine) -> list[str]:
    """Return what keeps a model from running here; none if nothing does."""
    found = []
    device = "the card" if machine.card else "this machine"
    there = machine.card.total_bytes if machine.card else machine.memory_bytes
    if machine.card is None and needs.needs_card:
        found.append("no CUDA card (a CPU would take weeks)")
    if needs.backend == "unsloth" and machine.unsloth_lacks and needs.training_bytes != 0:
        found.append(f'backend = "unsloth": {machine.unsloth_lacks}')
    for what, wanted in (("training", needs.training_bytes), ("scoring", needs.scoring_bytes)):
        is_judged = machine.card is not None or not needs.needs_card
        if is_judged and wanted is not None and wanted > there:
            found.append(f"{what} needs about {gigabytes(wanted)}, {device} has {gigabytes(there)}")
    if needs.lacks:
        found.append(needs.lacks)
    if not needs.is_here and not machine.hub.answers:
        found.append("not fetched yet, and no hub answers")
    return found


def _tiny(name: str, *, spec: ModelSpec, study: Study, on_card: bool) -> ModelNeeds:
    return ModelNeeds(
        model=name, source=f"tiny {spec.tiny}, built here", commit=None, backend=spec.trained_by, is_here=True,
        lacks="", download_bytes=0, parameters=TINY.parameters,
        **_memory(TINY, name=name, spec=spec, study=study, on_card=on_card),
    )  # fmt: skip


def _published(name: str, *, spec: ModelSpec, study: Study, commit: str | None, on_card: bool) -> ModelNeeds:
    repo_id = spec.repo_id or ""
    folder = cached(repo_id, revision=commit or spec.revision)
    known = PUBLISHED.get(repo_id)
    shape = None if folder is None else _shape(folder)
    if shape is None and known is not None:
        shape = known.architecture
    return ModelNeeds(
        model=name, source=f"{repo_id} at {spec.revision}", commit=commit, backend=spec.trained_by,
        is_here=folder is not None, lacks="",
        download_bytes=0 if folder is not None else known.file_bytes if known else None,
        parameters=shape.parameters if shape else None,
        **_memory(shape, name=name, spec=spec, study=study, on_card=on_card),
    )  # fmt: skip


def _on_this_machine(
    name: str, *, spec: ModelSpec, study: Study, path: Path, at: Path, on_card: bool
) -> ModelNeeds:
    """Return what a model in a folder or file needs.

    :param path: the folder or file
    :param at: the folder that it is loaded from, where that is known; else the same
    """
    shape = _shape(at)
    lacks = "" if path.exists() or at.exists() else f"nothing at {path}"
    if path.suffix == ".gguf" and not at.is_dir():
        lacks = lacks or gguf_lacks()
    return ModelNeeds(
        model=name, source=str(path), commit=None, backend=spec.trained_by, is_here=True, lacks=lacks,
        download_bytes=0, parameters=shape.parameters if shape else None,
        **_memory(shape, name=name, spec=spec, study=study, on_card=on_card),
    )  # fmt: skip


def _memory(
    shape: Architecture | None, *, name: str, spec: ModelSpec, study: Study, on_card: bool
) -> dict[str, int | None]:
    trainings = study.trainings_of(name).values()
    on_card = on_card or (shape is not None and shape.parameters >= _TOO_MUCH_FOR_A_CPU)
    if shape is None:
        return {"training_bytes": None if trainings else 0, "scoring_bytes": None, "disk_bytes": None}
    is_nf4, width = spec.quantisation == "nf4", number_bytes(spec, on_card=on_card)
    return {
        "training_bytes": max(
            (
                training_bytes(
                    shape, load=training_load(experiment, model_spec=spec), is_nf4=is_nf4, width=width,
                    on_card=on_card,
                )
                for experiment in trainings
            ),
            default=0,
        ),
        "scoring_bytes": scoring_bytes(shape, is_nf4=is_nf4, width=width, on_card=on_card),
        "disk_bytes": _disk(shape, name=name, study=study),
    }  # fmt: skip


def _disk(shape: Architecture, *, name: str, study: Study) -> int:
    adapters = [
        4 * shape.lora_parameters(rank=experiment.rank, targets=experiment.targets)
        for experiment in study.trainings_of(name).values()
    ]
    variants = sum(variant.model == name for variant in study.variants)
    return sum(adapters) + _CHECKPOINT * max(adapters, default=0) + variants * _VECTORS * 4 * shape.hidden


def _shape(folder: Path) -> Architecture | None:
    config = config_of(folder)
    return None if config is None else Architecture.from_config(config)
