"""The walker: order, what goes in one run, how many at once, and what stands in the way. Without real runs."""

import random
from collections import Counter
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

import dagster as dg
import pytest

from bioalign_assets.errors import ModelError, StudyError
from bioalign_assets.execution import walk as walk_module
from bioalign_assets.execution.runs import PlannedRun
from bioalign_assets.execution.walk import MODEL_ROOMS, Walk, Wanted
from bioalign_assets.freshness.look import WALK_TAG
from bioalign_assets.freshness.partition_graph import AssetPartition, key_of
from bioalign_assets_tests.freshness.ledger import Ledger

P = AssetPartition
RELEASE, ASSOCIATIONS, MEDIC = P("ctd.release", None), P("ctd.associations", None), P("ctd.diseases", None)
ADAPTER, LOG = P("training.adapter", "tiny-llama@paper"), P("training.log", "tiny-llama@paper")
LEADERBOARD = P("report.leaderboard", None)


@dataclass
class Pretended:
    """Executes runs by writing down what they would record."""

    ledger: Ledger
    at_once: int = 1
    fails: dict[AssetPartition, Exception] = field(default_factory=dict)
    runs: list[PlannedRun] = field(default_factory=list)
    under_way: list[tuple[PlannedRun, Future]] = field(default_factory=list)
    most: int = 0
    together: list[set[str]] = field(default_factory=list)

    def submit(self, planned):
        self.runs.append(planned)
        told = Future()
        self.under_way.append((planned, told))
        self.most = max(self.most, len(self.under_way))
        self.together.append({run.title for run, _ in self.under_way})
        return told

    def end(self, place):
        """End one of the runs that are under way."""
        planned, told = self.under_way.pop(place)
        nodes = [P(name, planned.partition) for name in planned.assets]
        wrong = None
        for node in nodes:
            if node in self.fails:
                wrong = wrong or self.fails[node]
            elif wrong is None or not set(self.ledger.graph.parents(node)) & set(nodes):
                self.ledger.make(node)
        if wrong is None:
            told.set_result(f"run {len(self.runs)}")
        else:
            told.set_exception(wrong)


@pytest.fixture
def walking(small, monkeypatch):
    """Return a walk over a ledger, and what pretends to execute its runs: of those under way the oldest ends."""

    def made(ledger, **more):
        executes = Pretended(ledger, **more)

        def end_and_wait(told, **how):
            executes.end(0)
            return wait(told, **how)

        monkeypatch.setattr(walk_module, "wait", end_and_wait)
        return Walk(small.graph, instance=ledger.instance, study=small.study, executes=executes), executes

    return made


def everything(graph, **more):
    return Wanted(nodes=set(graph), builds=True, **more)


def go(walk, wanted):
    return list(walk.go(wanted))


def made_nodes(executes):
    return [P(name, run.partition) for run in executes.runs for name in run.assets]


def failure(text="a failure"):
    return ModelError("Training", found=text, expected="none", remedy="Wait.")


# Order


def test_everything_is_made_once_and_nothing_before_what_it_is_made_from(empty, walking, small):
    walk, executes = walking(empty)
    steps = go(walk, everything(small.graph))
    made = made_nodes(executes)
    assert Counter(made) == Counter(dict.fromkeys(small.graph, 1))
    for node in made:
        assert all(made.index(parent) < made.index(node) for parent in small.graph.parents(node))
    assert {step.outcome for step in steps} == {"made"}
    assert {node for step in steps for node in step.nodes} == set(small.graph)


def test_when_all_is_fresh_nothing_is_run(whole, walking, small):
    walk, executes = walking(whole)
    assert go(walk, everything(small.graph)) == []
    assert executes.runs == []


def test_what_is_stale_is_made_anew_as_far_as_it_comes_out_different(whole, walking, small):
    whole.same |= {"curation.pairs", "models.base", "alignment.edges"}
    whole.record(RELEASE, "another")
    walk, _ = walking(whole)
    steps = go(walk, everything(small.graph))
    found = {str(node): step.outcome for step in steps for node in step.nodes}
    expected = {"ctd.associations": "changed", "ctd.changes": "changed", "report.study": "changed"}
    expected |= {"alignment.edges": "same"}
    expected |= {f"curation.pairs[{name}]": "same" for name in small.study.datasets}
    expected |= {f"models.base[{name}]": "same" for name in small.study.models}
    assert found == expected
    assert next(step.why for step in steps if ASSOCIATIONS in step.nodes) == "ctd.release changed"


def test_refreshing_makes_nothing_that_was_never_made(empty, walking, small):
    unbuilt = {node for node in small.graph if node.partition == "tiny-benchmark@untuned"}
    empty.make_all(but=unbuilt)
    empty.record(RELEASE, "another")
    walk, executes = walking(empty)
    go(walk, Wanted(nodes=set(small.graph), builds=False))
    assert not unbuilt & set(made_nodes(executes))
    assert LEADERBOARD in made_nodes(executes)


@pytest.mark.parametrize("seed", range(4))
def test_a_walk_that_was_stopped_anywhere_goes_on_where_it_stopped(empty, walking, small, seed):
    after = random.Random(seed).randrange(1, 12)
    first, before = walking(empty)
    steps = first.go(everything(small.graph))
    for _ in range(after):
        next(steps)
    steps.close()
    second, then = walking(empty)
    go(second, everything(small.graph))
    assert Counter(made_nodes(before) + made_nodes(then)) == Counter(dict.fromkeys(small.graph, 1))


def test_what_is_not_wanted_is_left_alone(whole, walking):
    whole.record(RELEASE, "another")
    walk, executes = walking(whole)
    go(walk, Wanted(nodes={ASSOCIATIONS}, builds=True))
    assert made_nodes(executes) == [ASSOCIATIONS]


# Groups


def test_a_run_makes_what_goes_together_of_one_partition(empty, walking, small):
    walk, executes = walking(empty)
    go(walk, everything(small.graph))
    groups = {(run.partition, frozenset(run.assets)) for run in executes.runs}
    assert (None, frozenset({"ctd.release", "ctd.associations", "ctd.changes"})) in groups
    assert (None, frozenset({"ctd.diseases"})) in groups  # it may be silent, and the rest goes on
    assert ("stable", frozenset({"curation.pairs", "curation.profile", "evaluation.baselines"})) in groups
    assert ("tiny-llama@paper", frozenset({"training.adapter", "training.log"})) in groups
    assert (
        None,
        frozenset(f"report.{name}" for name in ("improvements", "leaderboard", "seeds", "study")),
    ) in groups
    (of_variant,) = [
        assets
        for partition, assets in groups
        if partition == "tiny-llama@paper" and "inference.answers" in assets
    ]
    assert {name.split(".")[0] for name in of_variant} == {"inference", "evaluation"}
    assert all(run.title for run in executes.runs)


def test_a_step_that_loads_a_published_model_has_a_run_of_its_own_and_each_model_is_loaded_once(
    empty, walking, small
):
    walk, executes = walking(empty)
    go(walk, everything(small.graph, alone=True))
    loading = [run for run in executes.runs if run.assets[0].split(".")[0] in MODEL_ROOMS]
    for run in loading:
        assert len({small.graph.step_of(asset) for asset in run.assets}) == 1
    # all that a variant is asked comes from one run, and so from one loaded model
    asking = Counter(run.partition for run in loading if run.assets[0].startswith("inference."))
    assert asking == dict.fromkeys((variant.key for variant in small.study.variants), 1)


def test_what_may_turn_out_fresh_is_in_no_run_with_what_it_is_made_from(whole, walking, small):
    whole.record(P("curation.pairs", "stable"), "another")
    whole.record(RELEASE, "another")
    walk, executes = walking(whole)
    go(walk, everything(small.graph))
    # the profile is stale by itself, so it goes right after the pairs; the adapter is fresh until they came out
    (run,) = [run for run in executes.runs if "curation.pairs" in run.assets and run.partition == "stable"]
    assert set(run.assets) == {"curation.pairs", "curation.profile", "evaluation.baselines"}
    (run,) = [run for run in executes.runs if "curation.pairs" in run.assets and run.partition == "published"]
    assert run.assets == ("curation.pairs",)


# At once


def test_two_go_at_once_and_one_trains_at_a_time(empty, walking, small):
    walk, executes = walking(empty, at_once=2)
    go(walk, everything(small.graph))
    assert executes.most == 2
    assert Counter(made_nodes(executes)) == Counter(dict.fromkeys(small.graph, 1))
    assert all(sum("training" in title for title in titles) <= 1 for titles in executes.together)


def test_of_what_may_begin_a_training_goes_first(empty, walking, small):
    walk, executes = walking(empty)
    go(walk, everything(small.graph))
    titles = [run.title for run in executes.runs]
    first_training = next(place for place, title in enumerate(titles) if "training" in title)
    base, pairs = (
        next(place for place, title in enumerate(titles) if part in title)
        for part in ("models.base [tiny-llama]", "[published]")
    )
    assert first_training in {base + 1, pairs + 1, max(base, pairs) + 1}


# What stands in the way


def test_what_failed_holds_up_what_is_made_from_it_and_nothing_else(empty, walking, small):
    walk, executes = walking(empty, fails={ADAPTER: failure()})
    steps = go(walk, everything(small.graph))
    failed = [step for step in steps if step.outcome == "failed"]
    assert [step.title for step in failed] == ["training.adapter + log [tiny-llama@paper]"]
    assert "found a failure" in failed[0].why
    waits = {node: step.why for step in steps if step.outcome == "waits" for node in step.nodes}
    assert {node.partition for node in waits} == {"tiny-llama@paper"}
    assert set(waits.values()) == {"waits for training.adapter[tiny-llama@paper]"}
    assert LEADERBOARD in made_nodes(executes)  # it takes the variants that there are
    again, then = walking(empty)
    go(again, everything(small.graph))
    assert {ADAPTER, *waits} <= set(made_nodes(then))
    assert {node.room for node in set(made_nodes(then)) - {ADAPTER, LOG, *waits}} == {"report"}


def test_what_a_failed_run_has_made_stays_made(empty, walking, small):
    profile = P("curation.profile", "stable")
    walk, _ = walking(empty, fails={profile: failure()})
    steps = go(walk, everything(small.graph))
    assert [step.title for step in steps if step.outcome == "failed"] == ["curation + evaluation [stable]"]
    assert P("curation.pairs", "stable") in empty.versions
    assert [step for step in steps if step.outcome == "waits"] == []
    again, then = walking(empty)
    go(again, everything(small.graph))
    assert P("curation.pairs", "stable") not in made_nodes(then)
    assert profile in made_nodes(then)


def test_a_source_that_is_silent_leaves_what_it_gave_last_in_force(whole, walking, small):
    whole.observe(P("study.datasets", "stable"), "another seed")
    walk, executes = walking(whole, fails={RELEASE: failure("silence")})
    assert walk.run_now([RELEASE], why="a look").outcome == "failed"
    settings = {P("study.datasets", "stable"): "another seed"}
    walk._settings = {**walk._settings, **settings}
    steps = go(walk, everything(small.graph))
    assert P("curation.pairs", "stable") in made_nodes(executes)
    assert [step for step in steps if step.outcome in {"waits", "failed"}] == []


def test_a_source_that_never_gave_anything_holds_up_all(empty, walking, small):
    walk, executes = walking(empty, fails={RELEASE: failure("nothing there")})
    steps = go(walk, everything(small.graph))
    assert made_nodes(executes)[0] == RELEASE
    # MEDIC is another source, and so are the classes that are taken from it alone
    made = {node.asset for node in empty.versions if not small.graph.is_setting(node.asset)}
    assert made == {"ctd.diseases", "curation.disease_classes"}
    assert "waits for ctd.release" in {step.why for step in steps if step.outcome == "waits"}


def test_without_models_what_loads_one_waits_and_what_mixes_old_with_new_too(whole, walking, small):
    whole.record(RELEASE, "another")
    walk, executes = walking(whole)
    steps = go(walk, Wanted(nodes=set(small.graph), builds=False, loads_models=False))
    rooms = {node.room for node in made_nodes(executes)}
    assert rooms == {"ctd", "curation", "alignment", "evaluation"}
    waits = {node: step.why for step in steps if step.outcome == "waits" for node in step.nodes}
    assert "--training" in waits[P("models.base", "tiny-llama")]
    assert "waits for models.base[tiny-llama]" in waits[LEADERBOARD] or "waits for" in waits[LEADERBOARD]
    assert P("evaluation.baselines", "stable") in made_nodes(executes)


def test_what_can_not_be_had_is_told_and_leaves_the_rest(empty, walking, small):
    walk, executes = walking(empty)
    steps = go(walk, everything(small.graph, lacks={MEDIC: "there is no MEDIC"}))
    waits = {node: step.why for step in steps if step.outcome == "waits" for node in step.nodes}
    assert waits[MEDIC] == "there is no MEDIC"
    waiting = {node for node in waits if node.asset != "evaluation.medic_alignment"}
    assert {node.partition for node in waiting} == {None, "same-class"}
    assert {node.partition for node in waits} - {None, "same-class"} == {v.key for v in small.study.variants}
    assert P("evaluation.graph_alignment", "tiny-llama@paper") in made_nodes(executes)
    assert LEADERBOARD in made_nodes(executes)


def test_a_failed_blocking_check_holds_what_follows(whole, walking, small):
    pairs = P("curation.pairs", "stable")
    whole.record(pairs, "another")
    whole.check(pairs, passed=False)
    walk, executes = walking(whole)
    steps = go(walk, everything(small.graph))
    assert P("evaluation.baselines", "stable") not in made_nodes(executes)
    (why,) = {step.why for step in steps if step.outcome == "waits"}
    assert "a blocking check failed: curation.pairs[stable]" in why


def test_settings_that_change_meanwhile_end_the_walk(empty, walking, small):
    changed = StudyError("Study file", found="other settings", expected="the same", remedy="Run it again.")
    walk, _ = walking(empty, fails={ASSOCIATIONS: changed})
    with pytest.raises(StudyError, match="other settings"):
        go(walk, everything(small.graph))


def test_an_error_of_programming_is_raised_as_it_is(empty, walking, small):
    walk, _ = walking(empty, fails={ASSOCIATIONS: ZeroDivisionError("ours")})
    with pytest.raises(ZeroDivisionError, match="ours"):
        go(walk, everything(small.graph))


# Other hands


def another_run(ledger, node, *, tags):
    @dg.asset
    def anything():
        pass

    job = dg.Definitions(assets=[anything]).resolve_implicit_global_asset_job_def()
    run = ledger.instance.create_run_for_job(job, tags={"dagster/partition": node.partition or "", **tags})
    ledger.instance.delete_run(run.run_id)
    ledger.instance.add_run(
        run._replace(status=dg.DagsterRunStatus.STARTED, asset_selection=frozenset({key_of(node.asset)}))
    )
    return run


def test_what_another_run_is_at_is_waited_for_and_not_made_again(empty, walking, small, monkeypatch):
    run = another_run(empty, ADAPTER, tags={})
    looks = []

    def other_run_ends(_):
        looks.append(1)
        empty.make(ADAPTER, LOG)
        empty.instance.delete_run(run.run_id)

    monkeypatch.setattr(walk_module.time, "sleep", other_run_ends)
    monkeypatch.setattr(walk_module, "mend_killed_runs", lambda _: [])
    walk, executes = walking(empty)
    go(walk, everything(small.graph))
    assert looks == [1]  # everything else went on before
    made = made_nodes(executes)
    assert not {ADAPTER, LOG} & set(made)
    assert P("inference.answers", "tiny-llama@paper") in made


def test_a_walks_own_runs_are_not_waited_for(empty, walking, small):
    walk, executes = walking(empty)
    another_run(empty, ADAPTER, tags={WALK_TAG: walk._name})
    go(walk, everything(small.graph))
    assert ADAPTER in made_nodes(executes)
    assert all(run.tags[WALK_TAG] == walk._name for run in executes.runs)
