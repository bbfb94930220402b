"""What may be made now: the cases that a condition of Dagster's built-ins fails in."""

from collections import Counter

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from bioalign_assets.dagster_private import newest_event_id
from bioalign_assets.execution.walk import MODEL_ROOMS
from bioalign_assets.freshness.look import CODE_TAG, WALK_TAG, at_work_elsewhere, in_progress
from bioalign_assets.freshness.partition_graph import AssetPartition, key_of

P = AssetPartition
RELEASE, ASSOCIATIONS = P("ctd.release", None), P("ctd.associations", None)
ADAPTER, LOG = P("training.adapter", "tiny-llama@paper"), P("training.log", "tiny-llama@paper")
UNBUILT = "tiny-benchmark@untuned"
UNTRAINED = {P("training.adapter", "tiny-llama@untuned"), P("training.log", "tiny-llama@untuned")}
TABLE_ROOMS = ("ctd", "curation", "alignment", "evaluation", "report")
REPORT = {P(f"report.{name}", None) for name in ("improvements", "leaderboard", "seeds", "study")}


def test_an_identical_download_makes_nothing_due(ledger):
    ledger.record(RELEASE, ledger.versions[RELEASE])
    assert ledger.due() == set()


def test_a_new_release_makes_each_partition_once_in_order(ledger, graph):
    built = set(graph) - ledger.of_state("missing")
    ledger.record(RELEASE, "new")
    made = ledger.settle()
    # MEDIC has a source of its own, and an untuned variant reads no pairs
    apart = {RELEASE, P("ctd.diseases", None), P("curation.disease_classes", "same-class")}
    assert Counter(made) == Counter(dict.fromkeys(built - apart, 1))
    for node in made:
        place = made.index(node)
        assert all(parent not in made or made.index(parent) < place for parent in graph.parents(node))
    assert set(made[-4:]) == REPORT
    assert ledger.of_state("stale") == set()
    assert {node.partition for node in ledger.of_state("missing")} == {
        UNBUILT
    }  # what nobody has asked for stays so


def test_what_comes_out_as_it_was_stops_the_chain(ledger):
    ledger.same |= {"curation.pairs", "models.base", "alignment.edges"}
    ledger.record(RELEASE, "the same pairs")
    expected = {ASSOCIATIONS, P("ctd.changes", None), P("report.study", None)}
    expected |= {node for node in ledger.graph if node.asset in ledger.same} - ledger.of_state("missing")
    assert set(ledger.settle()) == expected


def test_a_code_version_makes_that_asset_and_what_comes_out_different(ledger):
    node = P("evaluation.kg_separation", "tiny-llama@paper")
    version = ledger.versions[node]
    ledger.code_versions[node.asset] = "old"
    ledger.record(node, version)
    ledger.code_versions.clear()
    ledger.same.add(node.asset)
    assert ledger.settle() == [node]


def test_a_release_that_comes_during_a_training_is_not_lost(ledger):
    ledger.record(RELEASE, "new")
    ledger.settle("ctd", "curation", "models")
    read = P("curation.pairs", "published")
    pointer = newest_event_id(ledger.instance)
    # the training reads, another release comes, and then the training ends with what it had read
    version = ledger.versions[read]
    tags = _tags_of(ledger, ADAPTER)
    ledger.record(RELEASE, "newer")
    ledger.settle("ctd", "curation", "models")
    assert ledger.versions[read] != version
    tags["dagster/input_event_pointer/curation/pairs"] = str(pointer)
    for node in (ADAPTER, LOG):
        ledger.report(
            dg.AssetMaterialization(key_of(node.asset), partition=node.partition, tags=tags), node=node
        )
    assert ADAPTER in ledger.due()


def _tags_of(ledger, node):
    ledger.record(node, "trained")
    found = ledger.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key_of(node.asset), asset_partitions=[node.partition]), limit=1
    )
    return dict(found.records[0].asset_materialization.tags)


def test_releases_that_come_while_the_daemon_is_down_are_made_good_once(ledger):
    for number in range(2):
        ledger.record(RELEASE, f"release {number}")
        ledger.make(ASSOCIATIONS)
    made = ledger.settle()
    assert max(Counter(made).values()) == 1
    assert ASSOCIATIONS not in made
    assert ADAPTER in made


def test_what_failed_waits_for_the_next_change_and_the_rest_goes_on(ledger):
    ledger.observe(P("study.training", "tiny-llama@paper"), "more steps")
    ledger.observe(P("study.datasets", "stable"), "another seed")
    for node in (ADAPTER, LOG):
        ledger.fail(node)
    made = ledger.settle()
    assert ADAPTER not in made
    assert {P("evaluation.baselines", "stable"), P("report.leaderboard", None)} <= set(made)
    assert ledger.due() == set()  # nothing has changed: a person or the next change tries again
    ledger.observe(P("study.training", "tiny-llama@paper"), "fewer steps")
    assert {ADAPTER, LOG} <= ledger.due()
    ledger.make(ADAPTER, LOG)
    assert not {ADAPTER, LOG} & ledger.due()


def test_what_failed_is_tried_again_by_other_code(ledger):
    leaderboard = P("report.leaderboard", None)
    ledger.record(P("evaluation.zero_shot", "tiny-llama@paper"), "another")
    assert leaderboard in ledger.due()
    ledger.fail(leaderboard, tags={CODE_TAG: "old"})
    assert leaderboard not in ledger.look(code="old").due.get("report.leaderboard", ())
    assert ledger.look(code="new").due["report.leaderboard"] == {None}


@pytest.mark.parametrize(
    ("found", "holds"),
    [({"passed": False}, True), ({"passed": False, "warns": True}, False), ({"passed": True}, False)],
)
def test_a_failed_blocking_check_holds_what_follows(ledger, found, holds):
    ledger.record(RELEASE, "new")
    ledger.settle("ctd")
    pairs = P("curation.pairs", "published")
    ledger.make(pairs)
    ledger.check(pairs, **found)
    made = ledger.settle("ctd", "curation", "models", "training")
    assert P("curation.profile", "stable") in made
    follows = {P("curation.profile", "published"), ADAPTER}
    assert follows & set(made) == (set() if holds else follows)
    told = [text for node in follows for text in ledger.look().held_by_checks(node)]
    assert bool(told) is holds
    assert all("curation.pairs[published]" in text and "as recorded here" in text for text in told)


def test_what_a_person_made_by_hand_is_left_alone(ledger):
    ledger.record(RELEASE, "new")
    by_hand = [ASSOCIATIONS, P("curation.pairs", "published"), P("models.base", "tiny-llama"), ADAPTER, LOG]
    ledger.make(*by_hand)
    made = ledger.settle()
    assert not set(by_hand) & set(made)
    assert P("inference.answers", "tiny-llama@paper") in made


def test_an_adapter_that_a_person_builds_starts_nothing_else(ledger):
    ledger.make(P("training.adapter", UNBUILT), P("training.log", UNBUILT))
    assert ledger.settle() == [P("report.study", None)]  # the page names every adapter
    assert {node.partition for node in ledger.of_state("missing")} == {UNBUILT}


def test_while_models_wait_what_follows_from_them_waits_too(ledger):
    ledger.record(RELEASE, "new")
    made = ledger.settle(*TABLE_ROOMS)
    assert P("evaluation.baselines", "stable") in made
    # a leaderboard with this release's baselines and the last one's models would compare what can't be
    assert not REPORT & set(made)
    assert {node.room for node in ledger.due()} == {"models"}
    rest = ledger.settle(*TABLE_ROOMS, *MODEL_ROOMS)
    assert set(rest) >= REPORT
    assert ledger.of_state("stale") == set()


@pytest.mark.parametrize(
    ("setting", "rooms"),
    [
        (P("study.training", "tiny-llama@paper"), {"training", "report"}),
        (P("study.models", "tiny-llama"), {"models", "report"}),
        (P("study.inference", "tiny-llama@untuned"), {"inference"}),
        (P("study.evaluation", None), {"alignment", "evaluation"}),
        (P("study.links", None), {"inference", "evaluation"}),
        (P("study.datasets", "stable"), {"curation"}),
    ],
)
def test_a_setting_makes_stale_what_reads_it(ledger, setting, rooms):
    ledger.observe(setting, "another")
    stale = ledger.of_state("stale")
    assert {node.room for node in stale} == rooms
    if setting.partition is not None:
        assert {node.partition for node in stale} <= {setting.partition, None}


# What is in progress


def start(ledger, *nodes, status=dg.DagsterRunStatus.STARTED, tags=None):
    @dg.asset
    def anything():
        pass

    job = dg.Definitions(assets=[anything]).resolve_implicit_global_asset_job_def()
    run = ledger.instance.create_run_for_job(job, tags=tags or {})
    location = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("bioalign"), "__repository__")
    record = run._replace(
        status=status,
        asset_selection=frozenset(key_of(node.asset) for node in nodes) or None,
        remote_job_origin=RemoteJobOrigin(location, "__ASSET_JOB"),
    )
    ledger.instance.delete_run(run.run_id)
    ledger.instance.add_run(record)
    return record.run_id


def on(partition):
    return {"dagster/partition": partition}


def test_what_is_in_progress_and_what_reads_it_is_not_due(ledger):
    ledger.record(RELEASE, "new")
    run = start(ledger, ASSOCIATIONS)
    assert ledger.due() == set()
    ledger.instance.delete_run(run)
    ledger.make(ASSOCIATIONS)
    start(ledger, P("curation.pairs", "published"), tags=on("published"))
    due = ledger.due()
    assert P("curation.pairs", "stable") in due
    assert not {P("curation.pairs", "published"), ADAPTER} & due


@pytest.mark.parametrize("status", ["QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_a_run_is_in_progress_from_its_record_to_its_end(ledger, graph, status):
    run = start(ledger, ASSOCIATIONS, status=dg.DagsterRunStatus(status))
    assert in_progress(graph, instance=ledger.instance) == {ASSOCIATIONS: run}
    has_begun = status not in {
        "QUEUED",
        "NOT_STARTED",
    }  # a walk does not wait for a daemon that may not be there
    assert bool(at_work_elsewhere(graph, instance=ledger.instance, walk="mine")) is has_begun


def test_a_run_that_has_ended_is_not(ledger, graph):
    start(ledger, ASSOCIATIONS, status=dg.DagsterRunStatus.FAILURE)
    assert in_progress(graph, instance=ledger.instance) == {}


def test_a_walk_does_not_wait_for_its_own_runs(ledger, graph):
    start(ledger, ASSOCIATIONS, tags={WALK_TAG: "mine"})
    assert at_work_elsewhere(graph, instance=ledger.instance, walk="mine") == {}
    assert at_work_elsewhere(graph, instance=ledger.instance, walk="other").keys() == {ASSOCIATIONS}


def test_a_run_over_a_range_or_over_all_partitions(ledger, graph):
    every = graph.partitions["curation.pairs"]
    ends = {"dagster/asset_partition_range_start": every[1], "dagster/asset_partition_range_end": every[2]}
    start(ledger, P("curation.pairs", None), tags=ends)
    found = in_progress(graph, instance=ledger.instance)
    assert found.keys() == {P("curation.pairs", each) for each in every[1:3]}
    start(ledger)
    assert in_progress(graph, instance=ledger.instance).keys() == set(graph)


@pytest.mark.parametrize("gone", ["dagster/asset_partition_range_start", "dagster/asset_partition_range_end"])
def test_a_run_over_a_range_whose_end_is_no_partition_any_more_counts_for_all(ledger, graph, gone):
    every = graph.partitions["curation.pairs"]
    ends = {"dagster/asset_partition_range_start": every[1], "dagster/asset_partition_range_end": every[2]}
    start(ledger, P("curation.pairs", None), tags=ends | {gone: "of-an-older-study"})
    found = in_progress(graph, instance=ledger.instance)
    assert found.keys() == {P("curation.pairs", each) for each in every}
