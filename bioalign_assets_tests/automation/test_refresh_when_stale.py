"""The automation's condition over the real asset graph: the cases that a condition of built-ins fails in."""

from collections import Counter

import dagster as dg
import pytest
from bioalign_assets.automation.staleness import ordered_partitions
from bioalign_assets.running import PlannedRun
from dagster_shared.record import copy

import bioalign_assets.training.qlora as training
from bioalign_assets.automation.sensors import MODEL_ROOMS, TABLE_ROOMS
from bioalign_assets.curation.quality import QUALITY_CHECKS
from bioalign_assets.findings import Finding
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.automation.conftest import ONE_DATASET, UNBUILT
from bioalign_assets_tests.automation.releases import dated, with_other_omim_ids, without_rows

pytestmark = pytest.mark.slow

FIRST_ROOMS = ("ctd", "curation", "models")
"""Where a release goes first: enough for what does not depend on the rest of the way."""
VARIANTS = ("tiny-llama@paper", "tiny-llama@untuned")
DATASETS = ("published", "stable")
SOURCES = {("ctd.release", None), ("ctd.diseases", None)}
# an untuned variant reads no pairs, and its model was not pre-trained on the release's names: a release is no
# reason to look at these
UNTOUCHED = {("training.adapter", "tiny-llama@untuned"), ("training.log", "tiny-llama@untuned")}
REPORT = {(f"report.{name}", None) for name in ("improvements", "leaderboard", "seeds", "study")}


def everything_built(automated):
    return {key for key, state in automated.states().items() if state.state != "missing"}


def of_variant(variant):
    return {
        (name, variant)
        for name, schema in TABLES.items()
        # what has nothing to be compared with has no comparison
        if schema.partitioned_by == "variant"
        and (name != "evaluation.comparisons" or variant == "tiny-llama@paper")
    }


def assert_in_order(launched, defs):
    """Nothing was launched before what it is made from."""
    graph = defs.resolve_asset_graph()
    place = {}
    for number, (name, _) in enumerate(launched):
        place.setdefault(name, []).append(number)
    for name, numbers in place.items():
        for parent in graph.get(dg.AssetKey(name.split("."))).parent_keys:
            above = ".".join(parent.path)
            if above in place:
                assert max(place[above]) < max(numbers), (above, name)


def test_partitions_are_listed_in_the_order_in_which_data_flows(automated):
    graph = automated.defs.resolve_asset_graph()
    seen = set()
    for key, _ in ordered_partitions(automated.defs):
        assert {parent for parent in graph.get(key).parent_keys if not graph.get(parent).is_external} <= seen
        seen.add(key)


def test_an_identical_download_reruns_nothing(automated, release):
    automated.ingest()
    assert automated.settle() == []
    automated.publish(dated(release, year=2031))  # the header's date alone is another one
    automated.ingest()
    assert automated.failed == []
    assert automated.settle() == []
    assert automated.of_state("stale") == set()


def test_a_new_release_reruns_each_partition_once_in_order(automated, release):
    built = everything_built(automated)
    assert automated.settle() == []
    automated.publish(without_rows(dated(release, year=2031), share=0.02, seed=1))
    automated.ingest()
    launched = automated.settle()
    assert automated.failed == []
    assert Counter(launched) == Counter(dict.fromkeys(built - SOURCES - UNTOUCHED, 1))
    assert_in_order(launched, automated.defs)
    assert set(launched[-4:]) == REPORT
    assert automated.of_state("stale") == set()
    # what nobody has asked for stays unbuilt
    assert automated.of_state("missing") - SOURCES == of_variant(UNBUILT)


def test_a_release_with_identical_pairs_stops_at_curation(automated, release):
    automated.publish(with_other_omim_ids(release))
    automated.ingest()
    launched = automated.settle()
    # the base models read the names in the associations, and come out the same; the page tells what changed
    expected = {("ctd.associations", None), ("ctd.changes", None), ("report.study", None)}
    expected |= {("curation.pairs", name) for name in DATASETS}
    expected |= {("models.base", name) for name in ("tiny-llama", "tiny-benchmark")}
    assert Counter(launched) == Counter(dict.fromkeys(expected, 1))


def bumped(*names, to="bumped"):  # a version that no asset ever has
    keys = {dg.AssetKey(name.split(".")) for name in names}

    def bump(spec):
        return spec.replace_attributes(code_version=to) if spec.key in keys else spec

    def change(defs):
        assets = [
            next(iter(dg.map_asset_specs(bump, [asset]))) if isinstance(asset, dg.AssetsDefinition) else asset
            for asset in defs.assets
        ]
        return copy(defs, assets=assets)

    return change


def test_a_code_version_with_the_same_output_reruns_just_that_asset(automated):
    automated.change_defs = bumped("evaluation.kg_separation")
    assert Counter(automated.settle()) == Counter({("evaluation.kg_separation", v): 1 for v in VARIANTS})


def test_a_code_version_with_another_output_reruns_what_follows(automated, monkeypatch):
    from bioalign_assets.curation import assets

    profile_dataset = assets.profile_dataset

    def shorter(pairs, **named):
        return profile_dataset(pairs, **named).slice(1)

    build_dataset = assets.build_dataset

    def turned(associations, *, spec, **named):
        rows = build_dataset(associations, spec=spec, **named)
        return (
            rows
            if spec.name != "stable"
            else build_dataset(associations, spec=spec.model_copy(update={"seed": 7}), **named)
        )

    monkeypatch.setattr(assets, "profile_dataset", shorter)
    monkeypatch.setattr(assets, "build_dataset", turned)
    automated.change_defs = bumped("curation.pairs", "curation.profile")
    launched = automated.settle()
    # no variant reads the dataset stable, so its baselines and what ranks them are all that follows
    expected = {("curation.pairs", name) for name in DATASETS} | {
        ("curation.profile", name) for name in DATASETS
    }
    expected |= {("evaluation.baselines", "stable"), ("report.leaderboard", None), ("report.study", None)}
    assert Counter(launched) == Counter(dict.fromkeys(expected, 1))


def test_a_release_that_comes_during_a_training_is_not_lost(automated, release, monkeypatch):
    automated.publish(without_rows(release, share=0.02, seed=1))
    automated.ingest()
    train_adapter = training.train_adapter
    during = []

    def interrupted(*arguments, **named):
        if not during:  # a release comes while the first training is at work, and the daemon ticks
            during.append("ingested")
            automated.publish(without_rows(release, share=0.04, seed=2))
            automated.ingest()
            for planned in automated.tick("ctd", "curation"):
                during.extend((name, planned.partition) for name in planned.assets)
                automated.execute(planned)
            assert ("training.adapter", "tiny-llama@paper") not in {
                (name, planned.partition) for planned in automated.tick() for name in planned.assets
            }
        return train_adapter(*arguments, **named)

    monkeypatch.setattr(training, "train_adapter", interrupted)
    launched = automated.settle(*FIRST_ROOMS, "training")
    assert during[0] == "ingested"
    assert Counter(launched)["training.adapter", "tiny-llama@paper"] == 2
    assert {name.split(".")[0] for name, _ in automated.of_state("stale")} == {
        "inference",
        "evaluation",
        "report",
    }


def test_releases_that_come_while_the_daemon_is_down_are_made_good_once(automated, release):
    assert automated.settle(*FIRST_ROOMS) == []
    for seed in (1, 2):
        automated.publish(without_rows(release, share=0.02, seed=seed))
        automated.ingest()
        automated.run([("ctd.associations", None)])
    launched = automated.settle(*FIRST_ROOMS)
    rest = {("ctd.changes", None)} | {("models.base", name) for name in ("tiny-llama", "tiny-benchmark")}
    rest |= {(name, dataset) for name in ("curation.pairs", "curation.profile") for dataset in DATASETS}
    assert Counter(launched) == Counter(dict.fromkeys(rest, 1))


def test_a_failed_partition_waits_for_the_next_change_and_the_rest_goes_on(automated, monkeypatch):
    assert automated.settle() == []

    def fail(*_, **__):
        from bioalign_assets.errors import ModelError

        raise ModelError("Training", found="a failure", expected="none", remedy="Wait.")

    with monkeypatch.context() as failing:
        failing.setattr(training, "train_adapter", fail)
        automated.edit_study("steps = 1\n", "steps = 2\n")
        automated.edit_study(*ONE_DATASET)
        launched = automated.settle()
        assert Counter(launched)["training.adapter", "tiny-llama@paper"] == 1
        assert ("training.adapter", "tiny-llama@paper") in automated.failed
        assert set(launched) >= {("evaluation.baselines", "stable"), ("report.leaderboard", None)}
        assert automated.settle() == []
    automated.failed.clear()
    assert automated.settle() == []  # mended, but nothing has changed: a person or the next change retries
    automated.edit_study("steps = 2\n", "steps = 3\n")
    launched = automated.settle("training")
    assert automated.failed == []
    assert Counter(launched) == {(f"training.{name}", "tiny-llama@paper"): 1 for name in ("adapter", "log")}


def test_a_failed_blocking_check_holds_what_follows_until_it_is_mended(automated, release, monkeypatch):
    assert automated.settle() == []
    fails = Finding(passed=False, summary="broken on purpose", counts={})
    with monkeypatch.context() as broken:
        broken.setitem(QUALITY_CHECKS, "label_balance", lambda _: fails)
        automated.restart()
        automated.publish(without_rows(release, share=0.02, seed=1))
        automated.ingest()
        launched = automated.settle()
        rooms = {name.split(".")[0] for name, _ in launched}
        assert rooms <= {"ctd", "curation", "models"}
        assert {name for name, _ in launched if name.startswith("curation")} == {"curation.pairs"}
        assert automated.settle() == []
    automated.failed.clear()
    automated.restart()
    automated.run([("curation.pairs", name) for name in DATASETS])
    launched = automated.settle("curation", "training")
    assert automated.failed == []
    follows = {("curation.profile", name) for name in DATASETS}
    follows |= {(f"training.{name}", "tiny-llama@paper") for name in ("adapter", "log")}
    assert Counter(launched) == Counter(dict.fromkeys(follows, 1))


def test_a_sensor_switched_on_late_leaves_alone_what_a_person_reran(automated, release):
    assert automated.cursor is None  # it has never ticked
    automated.publish(without_rows(release, share=0.02, seed=1))
    automated.ingest()
    by_hand = [
        ("ctd.associations", None),
        ("curation.pairs", "published"),
        ("models.base", "tiny-llama"),
        ("training.adapter", "tiny-llama@paper"),
    ]
    # the log is made with the adapter, in one step
    automated.run(by_hand[:-1])
    automated.execute(
        PlannedRun(title="by hand", assets=("training.adapter", "training.log"), partition="tiny-llama@paper")
    )
    launched = automated.settle(*FIRST_ROOMS, "training", "inference")
    assert not set(by_hand) & set(launched)
    assert ("inference.answers", "tiny-llama@paper") in launched
    assert {name.split(".")[0] for name, _ in automated.of_state("stale")} <= {"evaluation", "report"}


def test_a_release_and_new_code_together_rerun_each_partition_once(automated, release):
    rooms = (*FIRST_ROOMS, "training")
    built = {key for key in everything_built(automated) if key[0].split(".")[0] in rooms}
    automated.publish(without_rows(release, share=0.02, seed=1))
    automated.ingest()
    automated.change_defs = bumped("curation.pairs", "training.adapter")
    launched = automated.settle(*rooms)
    # new code of the pairs has an untuned variant looked at too, which trains nothing and comes out the same
    assert max(Counter(launched).values()) == 1
    assert set(launched) - UNTOUCHED == built - SOURCES - UNTOUCHED
    assert_in_order(launched, automated.defs)


def test_an_adapter_that_a_person_builds_starts_nothing_else(automated):
    automated.execute(
        PlannedRun(title="by hand", assets=("training.adapter", "training.log"), partition=UNBUILT)
    )
    assert automated.settle() == [("report.study", None)]  # the page names every adapter
    rest = {key for key in of_variant(UNBUILT) if not key[0].startswith("training")}
    assert automated.of_state("missing") - SOURCES == rest


def test_without_the_second_sensor_tables_follow_and_models_wait(automated, release):
    assert automated.settle(*TABLE_ROOMS) == []
    automated.publish(without_rows(release, share=0.02, seed=1))
    automated.ingest()
    launched = automated.settle(*TABLE_ROOMS)
    assert {name.split(".")[0] for name, _ in launched} <= {"ctd", "curation", "evaluation"}
    assert {("evaluation.baselines", name) for name in DATASETS} <= set(launched)
    # a leaderboard with this release's baselines and the last one's models would compare what can't be
    assert not REPORT & set(launched)
    automated.cursor = None  # the second sensor is switched on
    first = automated.tick(*TABLE_ROOMS, *MODEL_ROOMS)
    asked_for = {(name, run.partition) for run in first for name in run.assets}
    assert asked_for == {("models.base", name) for name in ("tiny-llama", "tiny-benchmark")}


@pytest.mark.parametrize(
    ("old", "new", "follows"),
    [
        ("steps = 1\n", "steps = 2\n", of_variant("tiny-llama@paper")),
        (
            'tiny = "llama"\n', 'tiny = "llama"\nseed = 5\n',
            of_variant("tiny-llama@paper") | of_variant("tiny-llama@untuned") | {("models.base", "tiny-llama")},
        ),
    ],
)  # fmt: skip
def test_a_change_of_one_experiment_or_model_makes_just_its_variants_stale(automated, old, new, follows):
    automated.edit_study(old, new)
    launched = automated.settle(*MODEL_ROOMS)
    # an untuned variant has no loss curve that could change, so what follows is at most all of its tables
    assert set(launched) <= follows
    assert {partition for _, partition in launched} == {partition for _, partition in follows}
    assert max(Counter(launched).values()) == 1
    stale = automated.of_state("stale")
    assert stale <= follows | REPORT
    assert {name.split(".")[0] for name, _ in stale} == {"evaluation", "report"}


def test_asking_otherwise_trains_nothing_again(automated):
    automated.edit_study('prompts = ["unseen", "training"]', 'prompts = ["unseen"]')
    launched = automated.settle(*MODEL_ROOMS)
    assert {name.split(".")[0] for name, _ in launched} == {"inference"}
    assert {partition for name, partition in launched if name == "inference.answers"} == set(VARIANTS)


def test_other_intervals_ask_nothing_again(automated):
    automated.edit_study("resamples = 100", "resamples = 120")
    assert automated.settle(*MODEL_ROOMS) == []
    first = automated.tick()
    assert {name.split(".")[0] for run in first for name in run.assets} == {"evaluation"}


def test_settings_that_change_no_figure_make_nothing_stale(automated):
    automated.edit_study('role = "benchmark"', 'role = "benchmark"\nbatch_size = 3')
    assert automated.settle() == []
