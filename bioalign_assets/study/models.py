"""What a study file says about a base model."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from bioalign_assets.study.spec import ReadBy, Reader, Spec, not_read

__all__ = ["ModelSpec", "TinyArchitecture"]

TinyArchitecture = Literal["llama", "mistral", "phi3"]


_IS = ReadBy(Reader.MODELS)
_RUNS = ReadBy(Reader.TRAINING, Reader.INFERENCE)


class ModelSpec(Spec):
    """One entry of ``[models.<name>]``: a published model, one in a folder or file, or a tiny one built here."""

    repo_id: Annotated[str | None, _IS] = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    """Identifier on the model hub, such as ``unsloth/phi-3-mini-4k-instruct-bnb-4bit``."""
    revision: Annotated[str, _IS] = Field(default="main", min_length=1)
    """Commit of the model, or a branch that is resolved once, when ``models.base`` is first materialised."""
    path: Annotated[str | None, _IS] = Field(default=None, min_length=1)
    """Folder as transformers saves a model, or a ``.gguf`` file, instead of ``repo_id``; absolute once it is loaded."""
    tiny: Annotated[TinyArchitecture | None, _IS] = None
    """Architecture of a tiny model that is built and pre-trained here, instead of ``repo_id``."""
    pretraining_steps: Annotated[int, _IS] = Field(default=100, ge=0, le=100_000)
    """Steps of the tiny model's pre-training on names and sentence forms (never on labels)."""
    seed: Annotated[int, _IS] = Field(default=42, ge=0, lt=2**32)
    """Seed of a tiny model's weights and pre-training."""
    role: Annotated[Literal["tuned", "benchmark"], _IS] = "tuned"
    """``tuned`` models are fine-tuned by the experiments, a ``benchmark`` model only ever runs untuned."""
    dtype: Annotated[Literal["auto", "bfloat16", "float16", "float32"], _RUNS] = "auto"
    """Compute type; ``auto`` is bfloat16 where the card has it, float16 on older cards. On a CPU it is
    bfloat16 for a published model where the CPU multiplies in it, else float32."""
    quantisation: Annotated[Literal["nf4", "none"], _IS] = "nf4"
    """How the base weights are held in memory."""
    prompt: Annotated[Literal["plain", "chat"], ReadBy(Reader.INFERENCE)] = "plain"
    """Whether a test prompt is given as it is or inside the model's chat template."""
    backend: Annotated[Literal["auto", "transformers", "unsloth"], ReadBy(Reader.TRAINING)] = "auto"
    """What trains the model (docs/models.md); ``auto`` is ``transformers``, on every machine."""
    attention: Annotated[Literal["auto", "sdpa", "flash_attention_2", "eager"], _RUNS] = "auto"
    """Implementation of attention; ``auto`` is PyTorch's own (``sdpa``), and ``eager`` on a CPU in 16 bits. Packed
    training works with these two."""
    batch_size: Annotated[int | Literal["auto"], not_read("batches change no figure")] = "auto"
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
        if sum(origin is not None for origin in (self.repo_id, self.path, self.tiny)) != 1:
            raise ValueError(
                "give one of repo_id (a published model), path (a folder or .gguf file) and tiny (llama, mistral, phi3)"
            )
        return self

    @property
    def trained_by(self) -> Literal["transformers", "unsloth"]:
        """The backend that trains the model: ``auto`` is decided here, not by what a machine has."""
        return "unsloth" if self.backend == "unsloth" else "transformers"

    def as_run(self) -> dict[str, Any]:
        """Return the settings as they work: ``auto`` is what it takes; PyTorch's own attention and no path go unsaid.

        A path is where to look. What was found there is in ``models.base``, and only that asset reads this setting:
        the same weights in another place make it look again, and nothing that follows from it stale.
        """
        settings = super().as_run() | {"backend": self.trained_by}
        # as it was before there was a choice: nothing becomes stale by that
        if self.attention in {"auto", "sdpa"}:
            del settings["attention"]
        if self.path is None:
            del settings["path"]
        return settings
