"""What the benchmarks of answers and embeddings run on: a tiny model and test rows of a release."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.synthetic import write_demo_release
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.inference.sample import evaluation_sample
from bioalign_assets.models.base import resolve_model
from bioalign_assets.models.loading import LoadedModel, load_base
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.study.models import ModelSpec, TinyArchitecture
from bioalign_assets.study.source import DemoRelease

__all__ = ["Setting", "prepared"]

# random weights: how well it answers is nothing to the time, and answers of all sorts are worth comparing
_PRETRAINING_STEPS = 0


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A model in memory, and statements."""

    loaded: LoadedModel
    texts: list[str]
    told: str
    """Both, in words"""


def prepared(source: str, *, model: TinyArchitecture, is_tuned: bool, rows: int, folder: Path) -> Setting:
    """Return a tiny model and some of the published test rows of a release.

    :param source: a CTD file, or the word ``synthetic``
    :param is_tuned: whether an adapter of the paper's rank and targets is on it, with random weights
    :param folder: for the model's files
    """
    path = Path(source)
    if source == "synthetic":
        path = folder / "demo.csv"
        write_demo_release(path, spec=DemoRelease())
    associations = read_associations(path).associations
    spec = ModelSpec(tiny=model, pretraining_steps=_PRETRAINING_STEPS)
    resolved = resolve_model(spec, name=model, associations=associations, warehouse=folder)
    loaded = load_base(resolved, spec=spec, warehouse=folder)
    if is_tuned:
        loaded = _with_random_adapter(loaded)
    pairs = build_dataset(associations, spec=DatasetSpec(name="published", sampler="published", split="pair"))
    texts = evaluation_sample(pairs, size=rows, seed=42, sampler="published")["text"].to_pylist()
    told = f"tiny {model}{' with an adapter' if is_tuned else ''}, {len(texts):,} statements"
    return Setting(loaded=loaded, texts=texts, told=told)


def _with_random_adapter(loaded: LoadedModel) -> LoadedModel:
    paper = ExperimentSpec(train_on="published", evaluate_on=("published",), steps=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LoraConfig(
            r=paper.rank, lora_alpha=paper.alpha, target_modules="all-linear", init_lora_weights=False,
            task_type="CAUSAL_LM",
        )  # fmt: skip
        tuned = get_peft_model(loaded.model, config)
    return replace(loaded, model=tuned.eval())
