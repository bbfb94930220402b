"""The environment, read in one place: which study, which warehouse, which sources, which hub login.

No other module of BioAlign reads the environment.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bioalign_assets.errors import StudyError

__all__ = ["PROJECT_ROOT", "Settings"]

PROJECT_ROOT = Path(__file__).resolve().parents[1]


class Settings(BaseModel):
    """What the environment says. An empty variable counts as one that is not set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str = "demo"
    """``BIOALIGN_STUDY``: ``demo``, ``laptop``, ``paper`` or the path of a study file."""
    warehouse: Path
    """``BIOALIGN_WAREHOUSE``: the folder of the warehouse, absolute."""
    ctd_source: str | None = Field(default=None, repr=False)
    """``BIOALIGN_CTD_SOURCE``: ``demo``, a URL, a file or a folder; the study file's source if not set.
    May hold a password: shown by ``public_source`` alone"""
    ctd_diseases_source: str | None = Field(default=None, repr=False)
    """``BIOALIGN_CTD_DISEASES_SOURCE``: the disease vocabulary MEDIC, in the same forms."""
    hf_token: SecretStr | None = None
    """``HF_TOKEN``: login of the model hub, for models behind a licence."""
    dagster_home: Path | None = None
    """``DAGSTER_HOME``: folder of a Dagster instance; ``bioalign init --adopt`` alone goes by it."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Return the settings that the environment gives.

        :raises StudyError: if the warehouse is not a local folder
        """
        warehouse = environ.get("BIOALIGN_WAREHOUSE")
        token = environ.get("HF_TOKEN")
        home = environ.get("DAGSTER_HOME")
        return cls(
            study=environ.get("BIOALIGN_STUDY") or "demo",
            warehouse=_warehouse(warehouse),
            ctd_source=environ.get("BIOALIGN_CTD_SOURCE") or None,
            ctd_diseases_source=environ.get("BIOALIGN_CTD_DISEASES_SOURCE") or None,
            hf_token=SecretStr(token) if token else None,
            dagster_home=Path(home).expanduser().absolute() if home else None,
        )


def _warehouse(named: str | None) -> Path:
    if named and "://" in named:  # as a path it would be a folder s3: right here
        raise StudyError(
            f"BIOALIGN_WAREHOUSE={named}", found="an object store or another URL",
            expected="a folder on this machine",
            remedy="Name a local folder; a warehouse on object storage is not supported yet.",
        )  # fmt: skip
    if named:
        return Path(named).expanduser().absolute()
    in_checkout = (PROJECT_ROOT / "workspace.yaml").is_file()
    return (PROJECT_ROOT if in_checkout else Path.cwd()) / "data_warehouse"
