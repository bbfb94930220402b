"""The study file: what is valid is taken, and what is not is named, with what is allowed."""

import re

import pytest
from pydantic import ValidationError

from bioalign_assets.errors import StudyError
from bioalign_assets.study import BUILT_IN_STUDIES, UNTUNED, Study, load_study

_GOOD = """\
title = "A study"

[models.small]
tiny = "llama"

[models.other]
tiny = "phi3"
role = "benchmark"

[datasets.one]
sampler = "published"
split = "pair"

[datasets.two]
sampler = "stable"
split = "pair"

[experiments.untuned]
evaluate_on = ["one", "two"]

[experiments.first]
train_on = "one"
evaluate_on = ["one", "two"]
steps = 10
"""


def _file(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def load(tmp_path):
    """Load the good study with some of its text replaced, or with more behind it."""

    def load_changed(*changes, more=""):
        text = _GOOD
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        return load_study(str(_file(tmp_path, text + more)))

    return load_changed


def _told(load, *changes, more=""):
    with pytest.raises(StudyError) as error:
        load(*changes, more=more)
    return error.value.found


# What is valid


def test_demo_laptop_and_paper_are_built_in():
    assert BUILT_IN_STUDIES == ("demo", "laptop", "paper")


@pytest.mark.parametrize("name", BUILT_IN_STUDIES)
def test_a_built_in_study_loads_and_is_valid(name):
    study = load_study(name)
    assert study.title
    assert study.models
    assert UNTUNED in study.experiments
    assert Study.model_validate(study.model_dump(exclude={"datasets": {"__all__": {"name"}}})) == study


def _variants_run_by_demo(study):
    return [v.key for v in study.variants if study.experiments[v.experiment].in_demo]


def test_the_demo_runs_untuned_paper_and_one_fair_experiment():
    study = load_study("demo")
    assert _variants_run_by_demo(study) == [
        "tiny-llama@untuned", "tiny-llama@paper", "tiny-llama@degree-matched", "tiny-mistral@untuned",
        "tiny-mistral@paper", "tiny-phi3@untuned", "tiny-phi3@paper", "tiny-benchmark@untuned",
    ]  # fmt: skip
    needed = {
        name
        for variant in study.variants
        if study.experiments[variant.experiment].in_demo
        for name in study.datasets_of(variant)
    }
    assert {name for name, spec in study.datasets.items() if spec.in_demo} == needed


ABLATIONS = {
    "rank-8", "rank-32", "rank-64", "one-epoch", "paper-full-text", "stable", "degree-matched", "same-class",
    "entity-held-out", "varied", "paper-seed-43", "paper-seed-44",
}  # fmt: skip


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_all_ablations_are_there_and_all_kinds_of_datasets(name):
    study = load_study(name)
    assert set(study.experiments) >= {"untuned", "paper"} | ABLATIONS
    made = {(spec.sampler, spec.negatives, spec.split) for spec in study.datasets.values()}
    assert made >= {
        ("published", "uniform", "pair"), ("published", "uniform", "entity"), ("stable", "uniform", "pair"),
        ("stable", "degree-matched", "pair"), ("stable", "same-class", "pair"),
    }  # fmt: skip
    assert any(sampler == "stable" and split == "entity" for sampler, _, split in made)


@pytest.mark.parametrize("name", BUILT_IN_STUDIES)
def test_what_was_trained_on_random_negatives_is_tested_on_fair_ones(name):
    assert set(load_study(name).experiments["paper"].evaluate_on) >= {"published", "degree-matched"}


@pytest.mark.parametrize("name", BUILT_IN_STUDIES)
def test_nothing_untuned_needs_medic(name):
    """Without MEDIC everything but the same-class partitions runs."""
    study = load_study(name)
    for dataset in study.experiments[UNTUNED].evaluate_on:
        assert not study.datasets[dataset].needs_classes


@pytest.mark.parametrize("name", BUILT_IN_STUDIES)
def test_a_tuned_model_has_a_test_set_in_common_with_the_untuned_one(name):
    experiments = load_study(name).experiments
    for experiment in experiments.values():
        assert set(experiment.evaluate_on) & set(experiments[UNTUNED].evaluate_on)


def test_the_paper_study_has_all_its_models_in_every_experiment():
    study = load_study("paper")
    tuned = ("llama-3-8b", "mistral-7b", "phi-3-mini")
    expected = [f"{model}@{name}" for model in tuned for name in study.experiments]
    assert [variant.key for variant in study.variants] == [*expected, "biomistral-7b@untuned"]
    assert _variants_run_by_demo(study) == [variant.key for variant in study.variants]


def test_the_paper_study_has_the_papers_settings():
    """REFERENCE: rank 16, alpha 32, batch 2 x 4, 2e-4, linear with 10 warm-up steps, 8-bit AdamW, 2,000 steps."""
    paper = load_study("paper").experiments["paper"]
    assert (paper.rank, paper.alpha, paper.steps, paper.epochs) == (16, 32, 2000, None)
    assert (paper.batch_size, paper.accumulation, paper.learning_rate) == (2, 4, 2e-4)
    assert (paper.schedule, paper.warmup_steps, paper.optimiser) == ("linear", 10, "adamw_8bit")
    assert set(paper.targets) == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_the_laptop_study_trains_as_the_paper_does():
    paper, laptop = load_study("paper"), load_study("laptop")
    for name in ("paper", "stable", "degree-matched"):
        # longer texts are let in; they train alike
        free = {"max_tokens", "evaluate_on"}
        told = laptop.experiments[name].model_dump(exclude=free)
        assert told == paper.experiments[name].model_dump(exclude=free)
        assert laptop.experiments[name].evaluate_on[0] == name or name == "paper"
        assert "degree-matched" in laptop.experiments[name].evaluate_on
    seeds = {name: each.seed for name, each in laptop.experiments.items() if name.startswith("stable")}
    assert seeds == {"stable": 42, "stable-seed-43": 43, "stable-seed-44": 44}
    assert laptop.source.ctd == paper.source.ctd
    assert not any(spec.needs_classes for spec in laptop.datasets.values())  # no MEDIC


def test_the_ablations_of_the_paper_study_change_one_thing_each():
    experiments = load_study("paper").experiments
    paper = experiments["paper"].model_dump()

    def differs(name):
        return {key for key, value in experiments[name].model_dump().items() if value != paper[key]}

    assert differs("paper-full-text") == {"loss"}
    assert differs("rank-8") == differs("rank-32") == differs("rank-64") == {"rank", "alpha"}
    assert differs("one-epoch") == {"steps", "epochs"}
    assert differs("paper-seed-43") == differs("paper-seed-44") == {"seed"}
    assert differs("varied") == {"prompts"}
    for dataset in ("stable", "degree-matched", "same-class", "entity-held-out", "published-entity-held-out"):
        assert differs(dataset) == {"train_on", "evaluate_on"}
        assert experiments[dataset].train_on == dataset
    assert all(e.alpha == 2 * e.rank for name, e in experiments.items() if name.startswith("rank-"))


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_a_benchmark_model_only_runs_untuned(name):
    study = load_study(name)
    benchmarks = {model for model, spec in study.models.items() if spec.role == "benchmark"}
    assert benchmarks
    assert {v.experiment for v in study.variants if v.model in benchmarks} == {UNTUNED}


def test_a_file_is_loaded_with_its_order(load):
    study = load()
    assert [variant.key for variant in study.variants] == ["small@untuned", "small@first", "other@untuned"]
    assert study.datasets["two"].name == "two"
    assert study.source.ctd == "demo"


def test_an_experiment_may_name_its_models(load):
    study = load(
        ("steps = 10", 'steps = 10\nmodels = ["third"]'), more='\n[models.third]\ntiny = "mistral"\n'
    )
    assert [variant.key for variant in study.variants] == [
        "small@untuned", "other@untuned", "third@untuned", "third@first",
    ]  # fmt: skip


def test_what_a_variant_reads(load):
    study = load(('evaluate_on = ["one", "two"]\nsteps', 'evaluate_on = ["two"]\nsteps'))
    untuned, first = study.variant("small@untuned"), study.variant("small@first")
    assert study.training_dataset(untuned) is None
    assert study.training_dataset(first) == "one"
    assert study.datasets_of(untuned) == ("one", "two")
    assert study.datasets_of(first) == ("two", "one")


def test_a_dataset_that_is_read_twice_is_named_once(load):
    study = load()
    assert study.datasets_of(study.variant("small@first")) == ("one", "two")


def test_an_unknown_variant_is_told_with_those_there_are(load):
    with pytest.raises(StudyError, match="small@untuned, small@first, other@untuned") as error:
        load().variant("other@first")
    assert "Variant other@first" in str(error.value)


def test_a_study_is_frozen(load):
    with pytest.raises(ValidationError):
        load().title = "Another"


def test_a_name_that_says_its_dataset_again_is_fine(load):
    assert load(("[datasets.one]", '[datasets.one]\nname = "one"')).datasets["one"].name == "one"


# Where the file is


def test_a_path_with_a_tilde_is_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    _file(tmp_path, _GOOD)
    assert load_study("~/study.toml").title == "A study"


def test_a_relative_path_is_below_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _file(tmp_path, _GOOD)
    assert load_study("study.toml").title == "A study"


@pytest.mark.parametrize(
    "name", ["demos", "Demo", "nothing.toml", "", "~nobody-of-this-name/study.toml", "/"]
)
def test_a_file_that_is_not_there_is_told_with_the_studies_there_are(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match="no such file") as error:
        load_study(name)
    assert f"BIOALIGN_STUDY={name}" in str(error.value)
    assert "demo, laptop, paper, or the path" in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title = ", "end of document"),
        ("title = 'a'\n[models.small\n", "line 2"),
        ("title = 'a'\ntitle = 'b'\n", "line 2"),
        ("a: yaml", "line 1"),
    ],
)
def test_what_is_not_toml_is_told_with_its_line(text, told, tmp_path):
    with pytest.raises(StudyError, match="TOML") as error:
        load_study(str(_file(tmp_path, text)))
    assert told in error.value.found
    assert str(tmp_path / "study.toml") in error.value.subject


def test_what_is_not_utf_8_is_told(tmp_path):
    path = tmp_path / "study.toml"
    path.write_bytes("title = 'é'".encode("latin-1"))
    with pytest.raises(StudyError, match="TOML in UTF-8"):
        load_study(str(path))


def test_an_empty_file_lacks_everything(tmp_path):
    with pytest.raises(StudyError) as error:
        load_study(str(_file(tmp_path, "")))
    for key in ("title", "models", "datasets", "experiments"):
        assert f"{key}: missing" in error.value.found


# What is not valid


@pytest.mark.parametrize(
    ("old", "new", "key", "hint"),
    [
        ('tiny = "llama"', 'tiny = "llama"\nrol = "tuned"', "models.small.rol", "role"),
        ("steps = 10", "step = 10", "experiments.first.step", "steps"),
        ("steps = 10", "steps = 10\nlearning_rat = 1e-3", "experiments.first.learning_rat", "learning_rate"),
        ('split = "pair"', 'split = "pair"\nseeds = 1', "datasets.one.seeds", "seed"),
        ("title", "titel", "titel", "title"),
        ("[experiments.first]", "[experiment.first]", "experiment", "experiments"),
    ],
)
def test_an_unknown_key_is_told_with_those_allowed_and_a_close_one(old, new, key, hint, load):
    found = _told(load, (old, new))
    assert re.search(rf"(^|; ){re.escape(key)}: unknown key; allowed are [^;]*\b{hint}\b", found)
    assert f"(did you mean {hint}?)" in found


PUBLISHED = ('tiny = "llama"', 'repo_id = "some/model"')
ON_DISK = ('tiny = "llama"', 'path = "some/model"')


@pytest.mark.parametrize(
    ("changes", "more", "size"),
    [
        ((), "", 1000),
        ((), '[evaluation]\nsample_size = "auto"\n', 1000),
        ((), '[evaluation]\nsample_size = "all"\n', "all"),
        ((), "[evaluation]\nsample_size = 70\n", 70),
        ((PUBLISHED,), "", "all"),
        ((ON_DISK,), "", "all"),
        ((PUBLISHED,), '[evaluation]\nsample_size = "auto"\nseed = 3\n', "all"),
        ((PUBLISHED,), "[evaluation]\nsample_size = 70\n", 70),
    ],
)
def test_the_study_alone_settles_how_many_rows_are_scored(changes, more, size, load):
    assert load(*changes, more=more).evaluation.sample_size == size


def test_the_papers_models_are_asked_the_whole_test_split():
    assert load_study("paper").evaluation.most_rows is None


def test_sizes_that_are_none_are_told(load):
    found = _told(load, ('tiny = "llama"', 'tiny = "llama"\nbatch_size = 0'))
    assert "models.small.batch_size = 0: a whole number from 1 to 4096, or auto" in found
    found = _told(load, more='[evaluation]\nsample_size = "many"\n')
    assert "evaluation.sample_size = 'many': a whole number of 50 or more, or one of all, auto" in found


@pytest.mark.parametrize(
    ("section", "key", "known"),
    [
        ("evaluation", "samplesize", "sample_size"),
        ("source", "ctdd", "ctd"),
        ("demo_release", "gene", "genes"),
    ],
)
def test_an_unknown_key_of_a_section_is_told(section, key, known, load):
    found = _told(load, more=f"\n[{section}]\n{key} = 1\n")
    assert f"{section}.{key}: unknown key; allowed are" in found
    assert f"(did you mean {known}?)" in found


def test_a_key_like_no_other_gets_no_hint(load):
    found = _told(load, ("steps = 10", "steps = 10\nzzzzzz = 1"))
    assert "experiments.first.zzzzzz: unknown key; allowed are train_on," in found
    assert "did you mean" not in found


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("steps = 10", 'steps = "many"', "experiments.first.steps = 'many': Input should be a valid integer"),
        ("steps = 10", "steps = 0", "experiments.first.steps = 0: Input should be greater than or equal to 1"),
        ("steps = 10", "steps = 1.5", "experiments.first.steps = 1.5"),
        ("steps = 10", "steps = 10\nrank = -1", "experiments.first.rank = -1"),
        ("steps = 10", "steps = 10\nlearning_rate = nan", "experiments.first.learning_rate = nan"),
        ("steps = 10", 'steps = 10\ntargets = ["q"]', "experiments.first.targets.0 = 'q'"),
        ("steps = 10", 'steps = 10\nloss = "all"', "Input should be 'answer' or 'full'"),
        ('tiny = "llama"', 'tiny = "gpt"', "Input should be 'llama', 'mistral' or 'phi3'"),
        ('role = "benchmark"', 'role = "judge"', "models.other.role = 'judge': Input should be 'tuned' or 'benchmark'"),
        ('sampler = "stable"', 'sampler = "random"', "datasets.two.sampler = 'random'"),
        ('sampler = "stable"\n', "", "datasets.two.sampler: missing"),
        ("steps = 10", 'steps = 10\ntargets = "q_proj"', "experiments.first.targets = 'q_proj': Input should be a list"),
        ('title = "A study"', 'title = ""', "title = ''"),
        ('title = "A study"', "title = 5", "title = 5: Input should be a valid string"),
        ("evaluate_on = [\"one\", \"two\"]\n\n", "evaluate_on = []\n\n", "experiments.untuned.evaluate_on = []"),
        ("evaluate_on = [\"one\", \"two\"]\n\n", "\n", "experiments.untuned.evaluate_on: missing"),
        ("[datasets.one]\n", "[datasets]\none = 5\n[datasets.three]\n", "datasets.one = 5"),
    ],
)  # fmt: skip
def test_a_bad_value_is_told_with_its_key_and_what_is_allowed(old, new, told, load):
    assert told in _told(load, (old, new))


@pytest.mark.parametrize("section", ["models", "datasets", "experiments"])
def test_a_section_that_is_no_table_is_told(section, tmp_path):
    text = re.sub(rf"\[{section}\.\w+\]\n(.+\n)+\n?", "", _GOOD)
    with pytest.raises(StudyError) as error:
        load_study(str(_file(tmp_path, f"{section} = 5\n{text}")))
    assert f"{section} = 5: Input should be a table" in error.value.found


def test_a_model_needs_one_origin(load):
    assert "models.small: give one of repo_id" in _told(load, ('tiny = "llama"', 'role = "tuned"'))
    for more in ('repo_id = "a/b"', 'path = "a"'):
        both = f'tiny = "llama"\n{more}'
        assert "models.small: give one of repo_id" in _told(load, ('tiny = "llama"', both))


def test_a_models_path_is_relative_to_the_study_file(load, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def loaded(path):
        return load(('tiny = "llama"', f'path = "{path}"')).models["small"].path

    assert loaded("weights/small") == str(tmp_path / "weights" / "small")
    assert loaded("/weights/small.gguf") == "/weights/small.gguf"
    assert loaded("~/small") == str(tmp_path / "home" / "small")
    assert "models.small.path = 5" in _told(load, ('tiny = "llama"', "path = 5"))


@pytest.mark.parametrize("length", ["steps = 10\nepochs = 1.0", ""])
def test_a_training_has_steps_or_epochs(length, load):
    assert "experiments.first: give exactly one of steps and epochs" in _told(load, ("steps = 10", length))


def test_a_length_without_a_training_set_is_told(load):
    assert "experiments.first: steps needs train_on" in _told(load, ('train_on = "one"\n', ""))


def test_an_experiment_without_a_training_set_is_called_untuned(load):
    found = _told(load, more='\n[experiments.plain]\nevaluate_on = ["one"]\n')
    assert "experiments.plain: the experiment without train_on, and only that one, is called untuned" in found


def test_an_experiment_with_a_training_set_is_not_called_untuned(load):
    found = _told(load, ("[experiments.untuned]", '[experiments.untuned]\ntrain_on = "one"\nsteps = 1'))
    assert "experiments.untuned: the experiment without train_on, and only that one" in found


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('train_on = "one"', 'train_on = "onee"', "experiments.first.train_on = 'onee': allowed are one, two (did you"),
        ('evaluate_on = ["one", "two"]\nsteps', 'evaluate_on = ["tow"]\nsteps', "first.evaluate_on = 'tow': allowed"),
        ("steps = 10", 'steps = 10\nmodels = ["smal"]', "first.models = 'smal': allowed are small, other (did you"),
        ("steps = 10", 'steps = 10\nmodels = ["other"]', "first.models: other is a benchmark model, it only runs untuned"),
    ],
)  # fmt: skip
def test_a_name_that_leads_nowhere_is_told(old, new, told, load):
    assert told in _told(load, (old, new))


def test_a_benchmark_model_may_be_named_where_nothing_is_tuned(load):
    study = load(("[experiments.untuned]", '[experiments.untuned]\nmodels = ["other"]'))
    assert [variant.key for variant in study.variants] == ["small@first", "other@untuned"]


def test_a_study_without_a_single_variant_is_told(load):
    found = _told(load, ('tiny = "llama"', 'tiny = "llama"\nrole = "benchmark"'),
                  ('[experiments.untuned]\nevaluate_on = ["one", "two"]\n', ""))  # fmt: skip
    assert "no model takes part in any experiment" in found


_BAD_NAMES = ["Big", "a_b", "a b", "a@b", "-a", "a-", ".a", "a/b", "ü", "a'b", "", "a" * 65, "a\\n"]


@pytest.mark.parametrize("name", _BAD_NAMES)
@pytest.mark.parametrize("section", ["models", "experiments"])
def test_a_name_with_other_characters_is_told(name, section, load):
    body = {"models": 'tiny = "llama"', "experiments": 'train_on = "one"\nevaluate_on = ["one"]\nsteps = 1'}
    found = _told(load, more=f'\n[{section}."{name}"]\n{body[section]}\n')
    assert f"{section}.{name}: a name has small letters".replace("\\n", "\n") in found


@pytest.mark.parametrize("name", [*_BAD_NAMES, "a.b"])
def test_a_datasets_name_with_other_characters_is_told(name, load):
    found = _told(load, more=f'\n[datasets."{name}"]\nsampler = "stable"\nsplit = "pair"\n')
    assert f"datasets.{name}: a".replace("\\n", "\n") in found
    assert "small letters, digits" in found


@pytest.mark.parametrize("name", ["a", "7b", "llama-3.1-8b", "a" * 64])
def test_good_names_are_taken(name, load):
    study = load(more=f'\n[models."{name}"]\ntiny = "llama"\n')
    assert study.variant(f"{name}@first").model == name


def test_a_dataset_with_two_names_is_told(load):
    found = _told(load, ("[datasets.one]", '[datasets.one]\nname = "two"'))
    assert "one.name = 'two'" in found


def test_all_problems_are_told_at_once(load):
    found = _told(
        load, ('tiny = "llama"', 'tiny = "gpt"'), ("steps = 10", 'steps = "many"'), ("title", "titel")
    )
    for key in ("models.small.tiny", "experiments.first.steps", "titel", "title: missing"):
        assert key in found


def test_problems_between_sections_are_told_at_once(load):
    found = _told(load, ('train_on = "one"', 'train_on = "x"'), more='\n[models.Big]\ntiny = "llama"\n')
    assert "experiments.first.train_on" in found
    assert "models.Big" in found


def test_the_papers_sampler_with_fair_negatives_is_told(load):
    found = _told(load, ('sampler = "stable"', 'sampler = "published"\nnegatives = "degree-matched"'))
    assert "datasets.two: " in found
    assert 'needs sampler = "stable"' in found
