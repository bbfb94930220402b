"""What is stale, and why: one step far, by what was read against what is there."""

import pytest

from bioalign_assets.freshness.partition_graph import AssetPartition
from bioalign_assets.freshness.stale import partition_states
from bioalign_assets_tests.freshness.ledger import Ledger
from bioalign_assets_tests.micro import STUDY

P = AssetPartition
RELEASE, ASSOCIATIONS = P("ctd.release", None), P("ctd.associations", None)
LEADERBOARD = P("report.leaderboard", None)


def test_what_was_just_made_is_fresh_and_what_never_was_is_missing(ledger):
    assert ledger.of_state("stale") == set()
    assert {node.partition for node in ledger.of_state("missing")} == {"tiny-benchmark@untuned"}


def test_another_version_makes_stale_what_reads_it_and_nothing_further(ledger):
    ledger.record(RELEASE, "another")
    assert ledger.of_state("stale") == {ASSOCIATIONS, P("report.study", None)}  # the page tells the release
    assert ledger.look().why(ASSOCIATIONS) == "ctd.release changed"


def test_the_same_version_once_more_makes_nothing_stale(ledger):
    ledger.record(RELEASE, ledger.versions[RELEASE])
    assert ledger.of_state("stale") == set()


def test_a_version_that_comes_back_is_the_one_that_was_read(ledger):
    pairs = P("curation.pairs", "published")
    before = ledger.versions[pairs]
    ledger.record(pairs, "another")
    assert ledger.look().state(P("evaluation.baselines", "published")) == "stale"
    ledger.record(pairs, before)
    assert ledger.of_state("stale") == set()


def test_a_partition_changes_its_own_readers_alone(ledger, graph):
    ledger.record(P("curation.pairs", "stable"), "another")
    assert ledger.of_state("stale") == {
        P("curation.profile", "stable"), P("evaluation.baselines", "stable"), P("report.study", None),
    }  # fmt: skip


def test_another_code_version_makes_all_partitions_of_that_asset_stale(ledger):
    ledger.code_versions["evaluation.kg_separation"] = "of another day"
    ledger.record(P("evaluation.kg_separation", "tiny-llama@paper"), "v")
    look = ledger.look()
    assert look.state(P("evaluation.kg_separation", "tiny-llama@paper")) == "stale"
    assert "has a new code version" in look.why(P("evaluation.kg_separation", "tiny-llama@paper"))


def test_settings_that_were_observed_make_stale_what_reads_them(ledger):
    ledger.observe(P("study.training", "tiny-llama@paper"), "more steps")
    assert ledger.of_state("stale") == {
        P("training.adapter", "tiny-llama@paper"), P("training.log", "tiny-llama@paper"),
        P("report.seeds", None), P("report.study", None),
    }  # fmt: skip
    why = ledger.look().why(P("training.adapter", "tiny-llama@paper"))
    assert why == "the setting study.training[tiny-llama@paper] of the study file changed"


def test_settings_at_hand_count_more_than_those_on_record(ledger):
    now = {P("study.datasets", "stable"): "another seed"}
    look = ledger.look(settings=now)
    assert look.state(P("curation.pairs", "stable")) == "stale"
    assert look.state(P("curation.pairs", "published")) == "fresh"
    assert ledger.of_state("stale") == set()  # nothing was written


def test_what_reads_more_or_less_than_before_is_stale(ledger, graph):
    node = P("evaluation.baselines", "stable")
    ledger.record(node, "v")
    ledger.history.read(instance=ledger.instance)
    made = ledger.history.made(node)
    made.inputs["curation.gone"] = ("v", 1)
    del made.inputs["study.links"]
    why = ledger.look().why(node)
    assert "no longer reads curation.gone" in why
    assert "reads the setting study.links of the study file, which it did not before" in why


def test_a_new_partition_is_one_more_that_a_leaderboard_reads(ledger):
    ledger.make(P("evaluation.zero_shot", "tiny-benchmark@untuned"))
    assert LEADERBOARD in ledger.of_state("stale")


def many(variants):
    """A study of so many variants."""
    models = "".join(
        f'[models.m{number}]\ntiny = "llama"\nrole = "benchmark"\n\n' for number in range(variants)
    )
    start, end = STUDY.index("[models.tiny-llama]"), STUDY.index("[datasets.published]")
    paper, evaluation = STUDY.index("[experiments.paper]"), STUDY.index("[evaluation]")
    return STUDY[:start] + models + STUDY[end:paper] + STUDY[evaluation:]


@pytest.mark.parametrize("variants", [3, 101])
def test_a_leaderboard_is_stale_at_any_number_of_variants(graph_of, variants):
    """Dagster ignores an edge to 100 partitions or more, and the leaderboard never got stale."""
    graph = graph_of(many(variants))
    assert len(graph.partitions["evaluation.zero_shot"]) == variants
    ledger = Ledger(graph)
    ledger.make_all()
    assert LEADERBOARD not in ledger.of_state("stale")
    ledger.record(P("evaluation.zero_shot", "m1@untuned"), "another")
    assert LEADERBOARD in ledger.of_state("stale")
    assert ledger.due() == {LEADERBOARD, P("report.improvements", None), P("report.seeds", None)}


def test_the_states_of_all_tell_what_may_follow(ledger):
    ledger.record(RELEASE, "another")
    states = {state.node: state for state in partition_states(graph=ledger.graph, history=ledger.history)}
    ledger.history.read(instance=ledger.instance)
    states = {state.node: state for state in partition_states(graph=ledger.graph, history=ledger.history)}
    assert list(states) == list(ledger.graph)
    assert states[ASSOCIATIONS].state == "stale"
    assert states[LEADERBOARD] == (
        LEADERBOARD, "fresh", "ctd.associations is stale: this follows if that comes out different",
    )  # fmt: skip
    assert states[P("training.adapter", "tiny-benchmark@untuned")].why == ""


def test_partitions_are_listed_in_the_order_in_which_data_flows(graph):
    seen = set()
    for node in graph:
        assert set(graph.parents(node)) <= seen
        seen.add(node)


def test_what_was_made_without_an_input_that_is_still_not_there_is_fresh(graph):
    ledger = Ledger(graph)
    ledger.make_all(but=[P("report.improvements", None)])
    assert P("report.study", None) not in ledger.of_state("stale")
    ledger.make(P("report.improvements", None))
    assert P("report.study", None) in ledger.of_state("stale")
