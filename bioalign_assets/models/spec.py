"""What a study file says about a base model."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["ModelSpec", "TinyArchitecture"]

TinyArchitecture = Literal["llama", "mistral", "phi3"]


class ModelSpec(BaseModel):
    """One entry of ``[models.<name>]``: a published model or a tiny one that is built here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo_id: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    """Identifier on the model hub, such as ``unsloth/Phi-3-mini-4k-instruct``."""
    revision: str = Field(default="main", min_length=1)
    """Commit of the model, or a branch that is resolved once, when ``models.base`` is first materialised."""
    tiny: TinyArchitecture | None = None
    """Architecture of a tiny model that is built and pre-trained here, instead of ``repo_id``."""
    pretraining_steps: int = Field(default=100, ge=0, le=100_000)
    """Steps of the tiny model's pre-training on names and sentence forms (never on labels)."""
    seed: int = Field(default=42, ge=0, lt=2**32)
    """Seed of a tiny model's weights and pre-training."""
    role: Literal["tuned", "benchmark"] = "tuned"
    """``tuned`` models are fine-tuned by the experiments, a ``benchmark`` model only ever runs untuned."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Compute type; ``auto`` is bfloat16 where the card has it, float16 on older cards, float32 on a CPU."""
    quantisation: Literal["nf4", "none"] = "nf4"
    """How the base weights are held in memory."""
    prompt: Literal["plain", "chat"] = "plain"
    """Whether a test prompt is given as it is or inside the model's chat template."""
    backend: Literal["auto", "transformers", "unsloth"] = "auto"
    """What trains the model (docs/models.md); ``auto`` is ``transformers``, on every machine."""
    attention: Literal["auto", "sdpa", "flash_attention_2", "eager"] = "auto"
    """Implementation of attention; ``auto`` is PyTorch's own (``sdpa``), the one that packed training works with."""
    batch_size: int | Literal["auto"] = "auto"
    """Most statements in one forward pass when embedding and answering; ``auto``: as many as memory has room for."""

    @field_validator("batch_size", mode="before")
    @classmethod
    def _a_number_or_auto(cls, size: Any) -> Any:
        is_number = isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= 4096
        if not is_number and size != "auto":
            raise ValueError("a whole number from 1 to 4096, or auto")
        return size

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.repo_id is None) == (self.tiny is None):
            raise ValueError(
                "give either repo_id (a published model) or tiny (llama, mistral, phi3), not both"
            )
        return self

    @property
    def trained_by(self) -> Literal["transformers", "unsloth"]:
        """The backend that trains the model: ``auto`` is decided here, not by what a machine has."""
        return "unsloth" if self.backend == "unsloth" else "transformers"
