"""The licence of a base model, where something at hand says it."""

from pathlib import Path

from huggingface_hub import ModelCard

from bioalign_assets.models.model_files import gguf_lacks
from bioalign_assets.models.resolved import ResolvedModel

__all__ = ["licence_of"]


def licence_of(base: ResolvedModel, *, warehouse: Path) -> str | None:
    """Return the identifier of a base's licence, as its own card or file says it; None where nothing at hand does."""
    if base.source == "tiny":
        return None
    said = _of_card(base.folder(warehouse=warehouse) / "README.md")
    if said is None and base.source == "gguf":
        said = _of_gguf(Path(base.origin or ""))
    return said


def _of_card(path: Path) -> str | None:
    try:
        said = ModelCard.load(path, ignore_metadata_errors=True).data.license
    except Exception:  # noqa: BLE001 - anybody's file: whatever is wrong with it, it says no licence
        return None
    return said if isinstance(said, str) else None


def _of_gguf(path: Path) -> str | None:
    if gguf_lacks() or not path.is_file():
        return None
    import gguf

    try:
        field = gguf.GGUFReader(path).get_field("general.license")
    except Exception:  # noqa: BLE001 - whatever its arrays run into
        return None
    return str(field.contents()) if field is not None else None
