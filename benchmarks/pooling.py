"""What the pooling of the embeddings does to the figures: mean over the statement's tokens, or over padding too.

One tiny model, built as the demo does, embeds the demo's test sample (statements and bare names) with ``mean`` and
with ``padded-mean``, the published notebooks' way, each also with the rows in another order. The figures are of
the rows in the dataset's order each time, so whatever differs between two orders comes from the neighbours that a
row was batched with. Run ``python -m benchmarks.pooling``; docs/pooling.md has the result.
"""

import argparse
import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.side_by_side import machine
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.synthetic import write_demo_release
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.evaluation.edge_separation import edge_cosines, edge_separation
from bioalign_assets.evaluation.kg_separation import SignedSeparation
from bioalign_assets.evaluation.probe import cross_validated_probe
from bioalign_assets.evaluation.statistic import Statistic
from bioalign_assets.inference.batches import BatchSize
from bioalign_assets.inference.embeddings import embed
from bioalign_assets.inference.rows_asked import distinct_names
from bioalign_assets.inference.sample import evaluation_sample
from bioalign_assets.models.base import resolve_model
from bioalign_assets.models.loading import LoadedModel, load_base
from bioalign_assets.models.threads import reproducible_threads
from bioalign_assets.study import Study, load_study
from bioalign_assets.study.evaluation import Pooling

__all__ = ["Setting", "figures", "main"]

POOLINGS: tuple[Pooling, ...] = ("mean", "padded-mean")
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is embedded, by which model.

    :param sample: test rows to score
    :param batch_size: of the mean; the padded mean has the notebooks' own
    """

    study: Study
    loaded: LoadedModel
    sample: pa.Table
    batch_size: BatchSize


def prepared(study: Study, *, model: str, dataset: str, folder: Path) -> Setting:
    """Return the demo's test sample and an untuned model, built below a folder."""
    release = folder / "release.csv"
    write_demo_release(release, spec=study.demo_release)
    associations = read_associations(release).associations
    pairs = build_dataset(associations, spec=study.datasets[dataset])
    sample = evaluation_sample(
        pairs,
        size=study.evaluation.most_rows,
        seed=study.evaluation.seed,
        sampler=study.datasets[dataset].sampler,
    )
    spec = study.models[model]
    resolved = resolve_model(spec, name=model, associations=associations, warehouse=folder)
    loaded = load_base(resolved, spec=spec, warehouse=folder)
    return Setting(study=study, loaded=loaded, sample=sample, batch_size=spec.batch_size)


def figures(setting: Setting, *, pooling: Pooling, is_shuffled: bool) -> dict[str, float]:
    """Return the figures of embeddings that were made with one pooling.

    :param is_shuffled: whether the texts are embedded in another order, and put back after it
    """
    spec, sample = setting.study.evaluation, setting.sample
    labels = sample["label"].to_numpy()
    names = distinct_names(sample)

    def vectors(texts: list[str]) -> Floats:
        order = np.arange(len(texts))
        if is_shuffled:
            order = np.random.default_rng(spec.seed).permutation(len(texts))
        found = np.empty((len(texts), setting.loaded.model.config.hidden_size), dtype=np.float32)
        found[order] = embed(
            [texts[place] for place in order],
            loaded=setting.loaded,
            batch_size=setting.batch_size,
            pooling=pooling,
        )
        return found

    statements, named = vectors(sample["text"].to_pylist()), vectors(names["name"].to_pylist())
    sides = []
    for kind, column in (("gene", "gene_symbol"), ("disease", "disease_name")):
        is_kind = pc.equal(names["kind"], kind)
        places = pc.index_in(sample[column], value_set=names["name"].filter(is_kind).combine_chunks())
        sides.append((named[is_kind.to_numpy()], places.to_numpy()))
    cosines = edge_cosines(sides[0][0], diseases=sides[1][0], gene=sides[0][1], disease=sides[1][1])
    statistics: dict[str, Statistic] = {
        "kg_separation_signed": SignedSeparation(statements, labels=labels),
        **cross_validated_probe(statements, labels=labels, seed=spec.seed),
        **edge_separation(cosines, labels=labels),
    }
    return {name: statistic.value for name, statistic in statistics.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="demo", help="study file, or the name of a built-in study")
    parser.add_argument("--model", default="tiny-llama", help="a tiny model of the study")
    parser.add_argument("--dataset", default="published", help="a dataset of the study")
    options = parser.parse_args(arguments)
    study = load_study(options.study)
    with (
        tempfile.TemporaryDirectory() as folder,
        reproducible_threads(study.models[options.model]),
    ):
        setting = prepared(study, model=options.model, dataset=options.dataset, folder=Path(folder))
        found = {
            f"{pooling}, {'another order' if is_shuffled else 'the order of the sample'}": figures(
                setting, pooling=pooling, is_shuffled=is_shuffled
            )
            for pooling, is_shuffled in itertools.product(POOLINGS, (False, True))
        }
    print(f"{machine()}; {options.model}, untuned, {len(setting.sample):,} rows of {options.dataset}\n")
    metrics = list(next(iter(found.values())))
    print("| pooling | " + " | ".join(metrics) + " |")
    print("| --- |" + " ---: |" * len(metrics))
    for title, values in found.items():
        print(f"| {title} | " + " | ".join(f"{values[name]:.5f}" for name in metrics) + " |")


if __name__ == "__main__":
    main()
