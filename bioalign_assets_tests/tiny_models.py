"""Tiny models for the tests of models, training and inference: built once, loaded once, copied as often as wanted."""

import copy
import dataclasses
import functools
import importlib.metadata
import json
from pathlib import Path

import pyarrow as pa
import torch

from bioalign_assets.models.base import resolve_model
from bioalign_assets.models.loading import LoadedModel, load_base
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.settings import PROJECT_ROOT
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.study.models import ModelSpec
from bioalign_assets_tests.kept import kept

torch.set_num_threads(1)  # more spin on a machine with few cores, and sums depend on their number

ARCHITECTURES = ("llama", "mistral", "phi3")
LEARNED = 60
"""Steps of pre-training after which the tiny Llama knows the names: enough to learn something about them."""
GENES = tuple(f"{family}{i}" for family in ("TNF", "HLA-DRB", "C1orf") for i in range(1, 9))
DISEASES = (
    "Breast Neoplasms", "Diabetes Mellitus, Type 2", "Sjögren's Syndrome", "Asthma", "Alzheimer Disease",
    "Ménière Disease", "46,XY Sex Reversal 1", "Carcinoma, Non-Small-Cell Lung",
)  # fmt: skip


def associations(genes: tuple[str, ...] = GENES, diseases: tuple[str, ...] = DISEASES) -> pa.Table:
    """Pairs in which every gene and every disease stands, with the two columns that a tiny model looks at."""
    return pa.table(
        {"gene_symbol": genes, "disease_name": [diseases[i % len(diseases)] for i in range(len(genes))]}
    )


def spec_of(architecture: str, **more: object) -> ModelSpec:
    return ModelSpec.model_validate({"tiny": architecture, "pretraining_steps": 4, **more})


@functools.cache
def warehouse() -> Path:
    """The folder of the tiny models, kept between runs: no test changes it."""
    package = PROJECT_ROOT / "bioalign_assets"
    return kept(
        "tiny-models",
        made_from=[
            *(package / name for name in ("models", "curation/prompts.py", "study/models.py")),
            Path(__file__),
            *(importlib.metadata.version(name) for name in ("torch", "transformers", "tokenizers", "numpy")),
            torch.backends.cpu.get_cpu_capability(),  # another kind sums in another order
        ],
        build=_build,
    )


def _build(folder: Path) -> None:
    for architecture, steps in (*((each, 4) for each in ARCHITECTURES), ("llama", LEARNED)):
        made = resolve_model(
            spec_of(architecture, pretraining_steps=steps),
            name=f"tiny-{architecture}",
            associations=associations(),
            warehouse=folder,
        )
        row = json.dumps(dataclasses.asdict(made))
        (folder / f"{architecture}-{steps}.json").write_text(row, encoding="utf-8")


def resolved(architecture: str, *, pretraining_steps: int = 4) -> ResolvedModel:
    row = (warehouse() / f"{architecture}-{pretraining_steps}.json").read_text(encoding="utf-8")
    return ResolvedModel(**json.loads(row))


@functools.cache
def _loaded(architecture: str, **more: object) -> LoadedModel:
    spec = spec_of(architecture, **more)
    base = resolved(architecture, pretraining_steps=spec.pretraining_steps)
    return load_base(base, spec=spec, warehouse=warehouse())


def load(architecture: str, **more: object) -> LoadedModel:
    """A copy of the model in memory, to train or to break."""
    return copy.deepcopy(_loaded(architecture, **more))


def statements(count: int) -> list[str]:
    """Statements of very different lengths (some longer than the tiny Mistral's window), none twice in a row."""
    joined = [
        DISEASES[i % len(DISEASES)] + ", " * (i % 5 == 0) + " and ".join(DISEASES[: i % 4])
        for i in range(count)
    ]
    return [f"{GENES[i * 7 % len(GENES)]} is associated with {joined[i]}" for i in range(count)]


def labelled(texts: list[str]) -> pa.Table:
    """Training rows of these statements, true and false by turns."""
    ids = [f"{i:016x}" for i in range(len(texts))]
    return pa.table({"pair_id": ids, "text": texts, "label": [(i + 1) % 2 for i in range(len(texts))]})


def training_rows(count: int) -> pa.Table:
    """Rows whose label follows from the disease: a thing that can be learned."""
    return pa.table(
        {
            "pair_id": [f"{i:016x}" for i in range(count)],
            "text": [
                f"{GENES[i * 7 % len(GENES)]} is associated with {DISEASES[i % len(DISEASES)]}"
                for i in range(count)
            ],
            "label": pa.array([i % len(DISEASES) < len(DISEASES) // 2 for i in range(count)]).cast(pa.int8()),
        }
    )


def experiment(**more: object) -> ExperimentSpec:
    """The paper's settings in small."""
    small = {
        "train_on": "toy", "evaluate_on": ["toy"], "steps": 6, "rank": 4, "alpha": 8, "learning_rate": 2e-3,
        "warmup_steps": 2, "batch_size": 4, "accumulation": 1, "gradient_checkpointing": False,
    }  # fmt: skip
    settings = small | more
    if "epochs" in more:
        del settings["steps"]
    return ExperimentSpec.model_validate(settings)
