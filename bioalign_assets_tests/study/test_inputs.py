"""Which settings belong to what: exactly those that a figure depends on."""

import pytest

from bioalign_assets.study import BUILT_IN_STUDIES, load_study
from bioalign_assets.study.inputs import settings_groups
from bioalign_assets_tests.micro import STUDY


def versions(path, text):
    path.write_text(text, encoding="utf-8")
    return {
        (group.name, partition): group.version(partition)
        for group in settings_groups(load_study(str(path)))
        for partition in group.values
    }


def changed(tmp_path, old, new):
    assert old in STUDY
    before = versions(tmp_path / "before.toml", STUDY)
    after = versions(tmp_path / "after.toml", STUDY.replace(old, new))
    assert before.keys() == after.keys()
    return {key for key in before if before[key] != after[key]}


def test_where_a_models_weights_lie_is_read_by_the_model_alone(tmp_path):
    texts = [STUDY.replace('tiny = "llama"', f'path = "{path}"', 1) for path in ("a", "b")]
    before, after = (versions(tmp_path / "study.toml", text) for text in texts)
    assert {key for key in before if before[key] != after[key]} == {("models", "tiny-llama")}


LLAMA = {("training", "tiny-llama@paper"), ("training", "tiny-llama@untuned")}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("steps = 3\n", "steps = 4\n", {("training", "tiny-llama@paper")}),
        ("batch_size = 4\n", "batch_size = 2\n", {("training", "tiny-llama@paper")}),
        ('tiny = "llama"\n', 'tiny = "llama"\nseed = 3\n', {("models", "tiny-llama")}),
        ('tiny = "llama"\n', 'tiny = "llama"\nbatch_size = 3\n', set()),
        (
            'tiny = "llama"\n', 'tiny = "llama"\nprompt = "chat"\n',
            {("inference", "tiny-llama@paper"), ("inference", "tiny-llama@untuned")},
        ),
        (
            'tiny = "llama"\n', 'tiny = "llama"\ndtype = "float32"\n',
            LLAMA | {("inference", "tiny-llama@paper"), ("inference", "tiny-llama@untuned")},
        ),
        ('tiny = "llama"\n', 'tiny = "llama"\nbackend = "transformers"\n', set()),
        ('tiny = "llama"\n', 'tiny = "llama"\nbackend = "unsloth"\n', LLAMA),
        (
            'tiny = "llama"\n', 'tiny = "llama"\nattention = "eager"\n',
            LLAMA | {("inference", "tiny-llama@paper"), ("inference", "tiny-llama@untuned")},
        ),
        ('[datasets.stable]\n', '[datasets.stable]\nseed = 3\n', {("datasets", "stable")}),
        ("resamples = 100", "resamples = 200", {("evaluation", None)}),
        ("link_queries = 10", "link_queries = 11", {("links", None)}),
        ("link_candidates = 5", "link_candidates = 6", {("links", None)}),
        ("link_candidates = 5", "link_candidates = 5\nlink_exact = true", {("links", None)}),
        ('title = "Micro study"', 'title = "Another title"', set()),
        ('ctd = "demo"', 'ctd = "demo"\ncheck_every_minutes = 5', set()),
        ("[evaluation]", "[automation]\ntraining = true\n\n[evaluation]", set()),
        (
            '[experiments.paper]\ntrain_on = "published"\nevaluate_on = ["published"]',
            '[experiments.paper]\ntrain_on = "published"\nevaluate_on = ["published", "stable"]',
            {("inference", "tiny-llama@paper")},
        ),
    ],
)  # fmt: skip
def test_a_setting_changes_the_version_of_what_reads_it(tmp_path, old, new, expected):
    assert changed(tmp_path, old, new) == expected


def test_every_asked_row_depends_on_the_sample(tmp_path):
    found = changed(tmp_path, "sample_size = 80", "sample_size = 90")
    assert {name for name, _ in found} == {"inference", "evaluation"}


@pytest.mark.parametrize("name", BUILT_IN_STUDIES)
def test_every_partition_of_a_study_has_its_settings(name):
    study = load_study(name)
    groups = {group.name: group for group in settings_groups(study)}
    assert set(groups["datasets"].values) == set(study.datasets)
    assert set(groups["models"].values) == set(study.models)
    for kind in ("training", "inference"):
        assert set(groups[kind].values) == {variant.key for variant in study.variants}
    for group in groups.values():
        for partition in group.values:
            assert len(group.version(partition)) == 64


def test_the_order_of_keys_in_the_file_means_nothing(tmp_path):
    swapped = STUDY.replace("steps = 3\nbatch_size = 4\n", "batch_size = 4\nsteps = 3\n")
    assert swapped != STUDY
    assert versions(tmp_path / "a.toml", STUDY) == versions(tmp_path / "b.toml", swapped)


def test_settings_that_came_later_leave_older_versions_as_they_were(tmp_path):
    """The values of a warehouse from before there were backends and attentions to choose from."""
    path = tmp_path / "micro.toml"
    path.write_text(STUDY, encoding="utf-8")
    groups = {group.name: group.values["tiny-llama@paper"] for group in settings_groups(load_study(str(path)))
              if group.partitioned_by == "variant"}  # fmt: skip
    assert {name: groups[name]["backend"] for name in groups} == {
        "training": "transformers", "inference": "transformers",
    }  # fmt: skip
    assert not {"attention"} & (groups["training"].keys() | groups["inference"].keys())
