"""The plan of a whole study: no run before what it reads, in whatever order the file names things."""

import itertools

import pytest

from bioalign_assets.demo import plan
from bioalign_assets.settings import Settings
from bioalign_assets.study import BUILT_IN_STUDIES, Study, load_study

EXPERIMENTS = {
    "untuned": {"evaluate_on": ["one"]},
    "first": {"train_on": "one", "evaluate_on": ["one"], "steps": 1},
    "second": {"train_on": "one", "evaluate_on": ["two"], "steps": 1},
}


def study(*, order=tuple(EXPERIMENTS), negatives="uniform"):
    return Study.model_validate(
        {
            "title": "T",
            "models": {
                "m": {"tiny": "llama"},
                "n": {"tiny": "phi3"},
                "b": {"tiny": "llama", "role": "benchmark"},
            },
            "datasets": {
                "one": {"sampler": "stable", "split": "pair"},
                "two": {"sampler": "stable", "split": "pair", "negatives": negatives},
            },
            "experiments": {name: EXPERIMENTS[name] for name in order},
        }
    )


def planned(study, tmp_path):
    runs = plan(study, settings=Settings(warehouse=tmp_path))
    return [(name, run.partition) for run in runs for name in run.assets]


@pytest.mark.parametrize("order", list(itertools.permutations(EXPERIMENTS)))
def test_a_comparison_comes_after_the_inference_of_both_variants(order, tmp_path):
    found = planned(study(order=order), tmp_path)
    for model, experiment in itertools.product("mn", ("first", "second")):
        at = found.index(("evaluation.comparisons", f"{model}@{experiment}"))
        for table, variant in itertools.product(("embeddings", "answers", "names"), (experiment, "untuned")):
            assert found.index((f"inference.{table}", f"{model}@{variant}")) < at
        assert at < found.index(("report.improvements", None))
    assert len(found) == len(set(found))


def test_what_lacks_a_dataset_is_not_compared(tmp_path):
    found = planned(study(negatives="same-class"), tmp_path)  # of a study without MEDIC
    assert {partition for name, partition in found if name == "evaluation.comparisons"} == {
        "m@first",
        "n@first",
    }


@pytest.mark.parametrize("name", BUILT_IN_STUDIES)
def test_every_tuned_variant_of_a_built_in_study_is_compared(name, tmp_path):
    built_in = load_study(name)
    tuned = {v.key for v in built_in.variants if built_in.training_dataset(v) is not None}
    found = planned(built_in, tmp_path)
    compared = {partition for table, partition in found if table == "evaluation.comparisons"}
    planned_variants = {partition for table, partition in found if table == "inference.answers"}
    assert compared == tuned & planned_variants
