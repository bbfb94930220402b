"""Partitions and their mappings: each variant depends on what it reads, and on nothing else."""

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.partitions import Partitions
from bioalign_assets.study import BUILT_IN_STUDIES, Study, load_study


def _study(*, models=("m", "n"), benchmarks=("b",), datasets=("one", "two"), experiments=None):
    if experiments is None:
        experiments = {
            "untuned": {"evaluate_on": ["one"]},
            "first": {"train_on": "one", "evaluate_on": ["one", "two"], "steps": 1},
            "second": {"train_on": "two", "evaluate_on": ["one"], "steps": 1},
        }
    return Study.model_validate(
        {
            "title": "T",
            "models": {name: {"tiny": "llama"} for name in models}
            | {name: {"tiny": "llama", "role": "benchmark"} for name in benchmarks},
            "datasets": {name: {"sampler": "stable", "split": "pair"} for name in datasets},
            "experiments": experiments,
        }
    )


def _upstream(mapping, variant, *, upstream, partitions):
    """The upstream partitions that Dagster reads for a variant."""
    subset = partitions.variant.empty_subset().with_partition_keys([variant])
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, partitions.variant, upstream)
    assert found.required_but_nonexistent_subset.is_empty
    return set(found.partitions_subset.get_partition_keys())


def _downstream(mapping, key, *, upstream, partitions):
    """The variants that a change of an upstream partition touches."""
    subset = upstream.empty_subset().with_partition_keys([key])
    return set(
        mapping.get_downstream_partitions_for_partitions(
            subset, upstream, partitions.variant
        ).get_partition_keys()
    )


def _all_mappings(partitions):
    return {
        "model": (partitions.model_to_variant, partitions.model),
        "training": (partitions.training_dataset_to_variant, partitions.dataset),
        "dataset": (partitions.dataset_to_variant, partitions.dataset),
    }


def test_the_keys_are_those_of_the_study():
    partitions = Partitions(_study())
    assert partitions.model.get_partition_keys() == ["m", "n", "b"]
    assert partitions.dataset.get_partition_keys() == ["one", "two"]
    assert partitions.variant.get_partition_keys() == [
        "m@untuned", "m@first", "m@second", "n@untuned", "n@first", "n@second", "b@untuned",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variant", "model", "training", "read"),
    [
        ("m@untuned", {"m"}, set(), {"one"}),
        ("m@first", {"m"}, {"one"}, {"one", "two"}),
        ("n@second", {"n"}, {"two"}, {"one", "two"}),
        ("b@untuned", {"b"}, set(), {"one"}),
    ],
)
def test_a_variant_reads_its_model_and_datasets_and_no_other(variant, model, training, read):
    partitions = Partitions(_study())
    found = {
        name: _upstream(mapping, variant, upstream=upstream, partitions=partitions)
        for name, (mapping, upstream) in _all_mappings(partitions).items()
    }
    assert found == {"model": model, "training": training, "dataset": read}


@pytest.mark.parametrize(
    ("which", "key", "touched"),
    [
        ("model", "m", {"m@untuned", "m@first", "m@second"}),
        ("model", "b", {"b@untuned"}),
        ("training", "one", {"m@first", "n@first"}),
        ("training", "two", {"m@second", "n@second"}),
        ("dataset", "two", {"m@first", "n@first", "m@second", "n@second"}),
        (
            "dataset",
            "one",
            {f"{m}@{e}" for m in "mn" for e in ("untuned", "first", "second")} | {"b@untuned"},
        ),
    ],
)
def test_a_change_touches_the_variants_that_read_it_and_no_other(which, key, touched):
    partitions = Partitions(_study())
    mapping, upstream = _all_mappings(partitions)[which]
    assert _downstream(mapping, key, upstream=upstream, partitions=partitions) == touched


def test_a_new_experiment_changes_no_other_variants_reading():
    experiments = {
        "untuned": {"evaluate_on": ["one"]},
        "first": {"train_on": "one", "evaluate_on": ["one"], "steps": 1},
    }
    before = Partitions(_study(experiments=experiments))
    more = {"rank-8": {"train_on": "two", "evaluate_on": ["two"], "rank": 8, "steps": 1}}
    after = Partitions(_study(experiments=experiments | more))
    new = {"m@rank-8", "n@rank-8"}
    assert set(after.variant.get_partition_keys()) - set(before.variant.get_partition_keys()) == new
    for variant in before.variant.get_partition_keys():
        for name in _all_mappings(before):
            (old, up), (now, _) = _all_mappings(before)[name], _all_mappings(after)[name]
            assert _upstream(old, variant, upstream=up, partitions=before) == _upstream(
                now, variant, upstream=up, partitions=after
            )
    assert _downstream(after.dataset_to_variant, "two", upstream=after.dataset, partitions=after) == new


def test_a_dataset_that_only_one_experiment_asks_about_touches_only_its_variants():
    experiments = {
        "untuned": {"evaluate_on": ["one"]},
        "first": {"train_on": "one", "evaluate_on": ["one", "three"], "steps": 1},
    }
    partitions = Partitions(_study(datasets=("one", "two", "three"), experiments=experiments))
    for key, touched in (("three", {"m@first", "n@first"}), ("two", set())):
        for mapping in (partitions.dataset_to_variant,):
            assert _downstream(mapping, key, upstream=partitions.dataset, partitions=partitions) == touched


def test_a_study_that_tunes_nothing_has_no_training_dataset():
    partitions = Partitions(_study(experiments={"untuned": {"evaluate_on": ["one"]}}))
    for variant in partitions.variant.get_partition_keys():
        mapping = partitions.training_dataset_to_variant
        assert _upstream(mapping, variant, upstream=partitions.dataset, partitions=partitions) == set()


@pytest.mark.parametrize("name", BUILT_IN_STUDIES)
def test_built_in_studies_agree_with_what_their_variants_read(name):
    study = load_study(name)
    partitions = Partitions(study)
    for variant in study.variants:
        training = study.training_dataset(variant)
        expected = {
            "model": {variant.model},
            "training": set() if training is None else {training},
            "dataset": set(study.datasets_of(variant)),
        }
        for which, (mapping, upstream) in _all_mappings(partitions).items():
            assert (
                _upstream(mapping, variant.key, upstream=upstream, partitions=partitions) == expected[which]
            )


@given(
    experiments=st.dictionaries(
        st.sampled_from(["e1", "e2", "e3"]),
        st.tuples(
            st.sampled_from(["one", "two"]),
            st.lists(st.sampled_from(["one", "two"]), min_size=1, max_size=2, unique=True),
            st.none() | st.lists(st.sampled_from(["m", "n"]), min_size=1, unique=True),
        ),
        max_size=3,
    )
)
@settings(deadline=None, max_examples=40)
def test_both_directions_of_a_mapping_agree(experiments):
    told = {"untuned": {"evaluate_on": ["one"]}} | {
        name: {"train_on": trained, "evaluate_on": asked, "models": models, "steps": 1}
        for name, (trained, asked, models) in experiments.items()
    }
    partitions = Partitions(_study(experiments=told))
    for mapping, upstream in _all_mappings(partitions).values():
        down = {
            (key, variant)
            for key in upstream.get_partition_keys()
            for variant in _downstream(mapping, key, upstream=upstream, partitions=partitions)
        }
        up = {
            (key, variant)
            for variant in partitions.variant.get_partition_keys()
            for key in _upstream(mapping, variant, upstream=upstream, partitions=partitions)
        }
        assert down == up


def test_the_partitions_are_static():
    partitions = Partitions(_study())
    for definition in (partitions.model, partitions.dataset, partitions.variant):
        assert isinstance(definition, dg.StaticPartitionsDefinition)


def _downstream_tuned(mapping, key, *, upstream, partitions):
    subset = upstream.empty_subset().with_partition_keys([key])
    return set(
        mapping.get_downstream_partitions_for_partitions(
            subset, upstream, partitions.tuned
        ).get_partition_keys()
    )


def _upstream_of_tuned(mapping, key, *, upstream, partitions):
    subset = partitions.tuned.empty_subset().with_partition_keys([key])
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, partitions.tuned, upstream)
    return set(found.partitions_subset.get_partition_keys())


def test_a_comparison_reads_the_tuned_variant_and_its_model_untuned():
    partitions = Partitions(_study())
    assert partitions.tuned.get_partition_keys() == ["m@first", "m@second", "n@first", "n@second"]
    mapping, variants = partitions.variant_to_tuned, partitions.variant
    read = _upstream_of_tuned(mapping, "m@second", upstream=variants, partitions=partitions)
    assert read == {"m@untuned", "m@second"}
    for key, touched in {
        "m@untuned": {"m@first", "m@second"}, "n@first": {"n@first"}, "b@untuned": set(),
    }.items():  # fmt: skip
        assert _downstream_tuned(mapping, key, upstream=variants, partitions=partitions) == touched


def test_a_comparison_reads_the_datasets_that_both_are_asked_about():
    partitions = Partitions(_study())
    for key in ("m@first", "m@second"):
        read = _upstream_of_tuned(
            partitions.dataset_to_tuned, key, upstream=partitions.dataset, partitions=partitions
        )
        assert read == {"one"}  # the untuned experiment is asked about nothing else


def test_without_an_untuned_counterpart_there_is_no_comparison():
    experiments = {
        "untuned": {"evaluate_on": ["one"], "models": ["n"]},
        "first": {"train_on": "one", "evaluate_on": ["one"], "steps": 1},
    }
    partitions = Partitions(_study(experiments=experiments))
    assert partitions.tuned.get_partition_keys() == ["n@first"]
    only_tuned = {"first": experiments["first"]}
    assert Partitions(_study(benchmarks=(), experiments=only_tuned)).tuned.get_partition_keys() == []


@pytest.mark.parametrize("name", BUILT_IN_STUDIES)
def test_built_in_studies_compare_every_tuned_variant(name):
    study = load_study(name)
    tuned = [variant.key for variant in study.variants if study.training_dataset(variant) is not None]
    assert Partitions(study).tuned.get_partition_keys() == tuned
