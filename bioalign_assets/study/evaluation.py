"""What a researcher sets about the evaluation: the section ``[evaluation]`` of the study file."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from bioalign_assets.study.spec import ReadBy, Reader, Spec

__all__ = ["SAMPLE_SIZE", "EvaluationSpec", "Pooling", "Prompt", "SampleSize"]

Pooling = Literal["mean", "padded-mean"]
Prompt = Literal["unseen", "training"]
SampleSize = int | Literal["all", "auto"]
SAMPLE_SIZE = 1000
"""Test rows that are scored where models run on a CPU and the study file says nothing else, as in the paper."""


_ASKED_AND_MEASURED = ReadBy(Reader.INFERENCE, Reader.EVALUATION)
_ASKED = ReadBy(Reader.INFERENCE)
_MEASURED = ReadBy(Reader.EVALUATION)
_RANKED = ReadBy(Reader.LINKS)


class EvaluationSpec(Spec):
    """How many rows are scored, which draws are made, and how.

    The confidence of the intervals is no setting: the tables' columns say 95%.
    """

    sample_size: Annotated[SampleSize, _ASKED_AND_MEASURED] = Field(
        default="auto",
        description="Test rows that each model scores: a number, all, or auto (all where the study has a published "
        "model, which needs a GPU; 1,000 where every model is a tiny one)",
    )
    # the upper bound is that of scikit-learn's and pandas' random states
    seed: Annotated[int, _ASKED_AND_MEASURED] = Field(
        default=42, ge=0, lt=2**32, description="Seed of the sample, bootstrap, split and map"
    )
    resamples: Annotated[int, _MEASURED] = Field(
        default=1000,
        ge=100,
        description="Bootstrap resamples behind each interval, and permutations behind each null",
    )
    pooling: Annotated[Pooling, _ASKED] = Field(
        default="mean", description="mean over the tokens; padded-mean repeats the notebooks' flaw"
    )
    prompts: Annotated[tuple[Prompt, ...], _ASKED] = Field(
        default=("unseen",), min_length=1, description="Prompts to ask"
    )
    link_queries: Annotated[int, _RANKED] = Field(
        default=100, ge=1, description="Held-out true pairs whose answer is ranked"
    )
    link_candidates: Annotated[int, _RANKED] = Field(
        default=100, ge=1, description="Wrong answers that are drawn for each ranking, beside the true one"
    )
    link_exact: Annotated[bool, _RANKED] = Field(
        default=False,
        description="Whether language models rank all candidates too (baselines always do): thousands a query",
    )
    map_size: Annotated[int, _MEASURED] = Field(default=400, ge=20, description="Rows on the t-SNE map")

    @field_validator("sample_size", mode="before")
    @classmethod
    def _a_size_or_a_word(cls, size: Any) -> Any:
        is_number = isinstance(size, int) and not isinstance(size, bool) and size >= 50
        if not is_number and size not in ("all", "auto"):
            raise ValueError("a whole number of 50 or more, or one of all, auto")
        return size

    @field_validator("prompts")
    @classmethod
    def _each_prompt_once(cls, prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
        if len(set(prompts)) != len(prompts):
            raise ValueError(f"each prompt may stand once, found {', '.join(prompts)}")
        return prompts

    @property
    def most_rows(self) -> int | None:
        """Test rows that are scored at most; None for all.

        A study has settled what ``auto`` means for it (``Study``); by itself it means 1,000.
        """
        if self.sample_size == "all":
            return None
        return SAMPLE_SIZE if self.sample_size == "auto" else self.sample_size
