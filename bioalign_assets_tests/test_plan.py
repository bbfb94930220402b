"""The plan of a whole study: no run before what it reads, in whatever order the file names things."""

import itertools

import pytest
from bioalign_assets.demo import plan, run_study

from bioalign_assets.definitions import build_defs
from bioalign_assets.errors import BioAlignError
from bioalign_assets.settings import Settings
from bioalign_assets.study import BUILT_IN_STUDIES, Study, load_study

EXPERIMENTS = {
    "untuned": {"evaluate_on": ["one"]},
    "first": {"train_on": "one", "evaluate_on": ["one"], "steps": 1},
    "second": {"train_on": "one", "evaluate_on": ["one", "two"], "steps": 1},
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


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("name", BUILT_IN_STUDIES)
def test_a_run_comes_after_all_that_it_reads(name, at_once, tmp_path):
    built_in = load_study(name)
    settings = Settings(warehouse=tmp_path, ctd_source="demo", ctd_diseases_source="demo")
    graph = build_defs(settings=settings, study=built_in).resolve_asset_graph()
    runs = plan(built_in, settings=settings, at_once=at_once)
    assert len({run.title for run in runs}) == len(runs)
    made = {(key, run.partition): run for run in runs for key in run.selection}
    before = {}
    for run in runs:
        assert run.after <= set(before)  # in order, too
        before[run.title] = run.after.union(*(before[title] for title in run.after))
        for key in run.selection:
            for parent in parents_of(graph, key, run.partition):
                if parent in made and made[parent] is not run:
                    assert made[parent].title in before[run.title], (run.title, parent)


def parents_of(graph, key, partition):
    """The assets and partitions that Dagster says are read."""
    for parent in graph.get(key).parent_keys:
        definition = graph.get(parent).partitions_def
        if definition is None:
            yield parent, None
        elif partition is None:
            yield from ((parent, name) for name in definition.get_partition_keys())
        else:
            mapping = graph.get_partition_mapping(key, parent)
            read = mapping.get_upstream_mapped_partitions_result_for_partitions(
                graph.get(key).partitions_def.subset_with_partition_keys([partition]),
                graph.get(key).partitions_def,
                definition,
            )
            yield from ((parent, name) for name in read.partitions_subset.get_partition_keys())


@pytest.mark.parametrize("name", BUILT_IN_STUDIES)
def test_every_tuned_variant_of_a_built_in_study_is_compared(name, tmp_path):
    built_in = load_study(name)
    tuned = {v.key for v in built_in.variants if built_in.training_dataset(v) is not None}
    found = planned(built_in, tmp_path)
    compared = {partition for table, partition in found if table == "evaluation.comparisons"}
    planned_variants = {partition for table, partition in found if table == "inference.answers"}
    assert compared == tuned & planned_variants


def test_what_has_no_test_set_in_common_with_the_untuned_model_is_not_compared(tmp_path, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "second", {"train_on": "one", "evaluate_on": ["two"], "steps": 1})
    found = planned(study(), tmp_path)
    assert {partition for name, partition in found if name == "evaluation.comparisons"} == {
        "m@first",
        "n@first",
    }


@pytest.mark.parametrize("at_once", [1, 2])
def test_without_medic_the_rest_goes_on_and_the_error_comes_last(at_once, tmp_path):
    medic = tmp_path / "CTD_diseases.csv"
    medic.write_text("<html>a CAPTCHA page</html>")
    (tmp_path / "medic.toml").write_text(SMALL)
    made = load_study(str(tmp_path / "medic.toml"))
    settings = Settings(
        study=str(tmp_path / "medic.toml"), warehouse=tmp_path / "warehouse", ctd_diseases_source=str(medic)
    )
    wanted = [
        run for run in plan(made, settings=settings) if run.assets[0].split(".")[0] in {"ctd", "curation"}
    ]
    assert {run.title for run in wanted if run.needs_it} == {"classes for hard", "dataset hard"}
    done = []
    ended = run_study(made, settings=settings, runs=wanted, at_once=at_once)
    with pytest.raises(BioAlignError, match="CTD_diseases"):
        done.extend(planned.title for planned, _, _ in ended)
    assert done == ["CTD release", "dataset one"]


SMALL = """
title = "T"
[demo_release]
genes = 60
diseases = 30
associations = 200
[models.m]
tiny = "llama"
[datasets.one]
sampler = "stable"
split = "pair"
[datasets.hard]
sampler = "stable"
split = "pair"
negatives = "same-class"
[experiments.untuned]
evaluate_on = ["one"]
"""
