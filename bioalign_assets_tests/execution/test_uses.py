"""What demo and run are to make of a study."""

import itertools

import pytest
from click.testing import CliRunner

from bioalign_assets.cli import cli
from bioalign_assets.definitions import build_defs
from bioalign_assets.errors import StudyError
from bioalign_assets.execution.processes import Workplace
from bioalign_assets.execution.uses import Selection, in_demo, runs_at_once, selected
from bioalign_assets.freshness.partition_graph import AssetPartition, PartitionGraph
from bioalign_assets.settings import Settings
from bioalign_assets.study import BUILT_IN_STUDIES, Study, load_study
from bioalign_assets_tests.micro import without_pictures

P = AssetPartition
EXPERIMENTS = {
    "untuned": {"evaluate_on": ["one"]},
    "first": {"train_on": "one", "evaluate_on": ["one"], "steps": 1},
    "second": {"train_on": "one", "evaluate_on": ["one", "two"], "steps": 1},
}


def study(*, order=tuple(EXPERIMENTS), negatives="uniform", experiments=EXPERIMENTS):
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
            "experiments": {name: experiments[name] for name in order},
        }
    )


def graph_of(study, tmp_path, **settings):
    settings = Settings(warehouse=tmp_path, **settings)
    workplace = Workplace(study=study, settings=settings, build=build_defs)
    return workplace, PartitionGraph(build_defs(settings=settings, study=study).resolve_asset_graph())


def demo_of(study, tmp_path, **settings):
    workplace, graph = graph_of(study, tmp_path, **settings)
    return in_demo(workplace, graph=graph)


@pytest.mark.parametrize("name", BUILT_IN_STUDIES)
def test_the_demo_makes_what_the_study_file_has_in_it_and_all_that_this_needs(name, tmp_path):
    built_in = load_study(name)
    sources = {"ctd_source": "demo", "ctd_diseases_source": "demo"}
    workplace, graph = graph_of(built_in, tmp_path, **sources)
    found = in_demo(workplace, graph=graph)
    variants = {v.key for v in built_in.variants if built_in.experiments[v.experiment].in_demo}
    assert {node.partition for node in found if node.asset == "inference.answers"} == variants
    datasets = {name for name, spec in built_in.datasets.items() if spec.in_demo}
    assert {node.partition for node in found if node.asset == "curation.pairs"} == datasets
    tuned = {key for key in variants if built_in.training_dataset(built_in.variant(key)) is not None}
    assert {node.partition for node in found if node.asset == "evaluation.comparisons"} == tuned
    for node in found:
        edges = [edge for edge in graph.edges[node.asset] if not edge.takes_what_is_there]
        for edge in edges:
            if not graph.is_setting(edge.parent):
                assert {P(edge.parent, each) for each in edge.reads.get(node.partition, ())} <= found


def test_what_lacks_a_vocabulary_is_left_out(tmp_path):
    found = demo_of(study(negatives="same-class"), tmp_path)
    assert P("ctd.diseases", None) not in found
    assert {node.partition for node in found if node.asset == "curation.pairs"} == {"one"}
    assert {node.partition for node in found if node.asset == "evaluation.comparisons"} == {
        "m@first",
        "n@first",
    }
    found = demo_of(
        study(negatives="same-class"), tmp_path, ctd_diseases_source="/somewhere/CTD_diseases.csv.gz"
    )
    assert P("ctd.diseases", None) in found
    assert P("curation.disease_classes", "two") in found


def test_the_synthetic_vocabulary_goes_with_the_synthetic_release_alone(tmp_path):
    demo = load_study("demo")
    assert P("ctd.diseases", None) in demo_of(demo, tmp_path)
    assert P("ctd.diseases", None) not in demo_of(demo, tmp_path, ctd_source="/somewhere/else")


def test_what_has_no_test_set_in_common_with_the_untuned_model_is_not_compared(tmp_path):
    changed = EXPERIMENTS | {"second": {"train_on": "one", "evaluate_on": ["two"], "steps": 1}}
    found = demo_of(study(experiments=changed), tmp_path)
    assert {node.partition for node in found if node.asset == "evaluation.comparisons"} == {
        "m@first",
        "n@first",
    }


@pytest.mark.parametrize("order", list(itertools.permutations(EXPERIMENTS)))
def test_in_whatever_order_the_file_has_things_nothing_comes_before_what_it_is_made_from(order, tmp_path):
    _, graph = graph_of(study(order=order), tmp_path)
    seen = set()
    for node in graph:
        assert set(graph.parents(node)) <= seen
        seen.add(node)


# Selections


@pytest.fixture(scope="module")
def selecting(tmp_path_factory):
    made = study(negatives="same-class")
    _, graph = graph_of(made, tmp_path_factory.mktemp("w"), ctd_diseases_source="demo")
    return lambda **names: selected(made, Selection(**names), graph=graph)


def partitions(found, asset):
    return {node.partition for node in found if node.asset == asset}


def test_a_variant_comes_with_what_it_is_made_from_and_the_report(selecting):
    found = selecting(variants=["m@first"])
    assert partitions(found, "inference.answers") == {
        "m@first",
        "m@untuned",
    }  # it is compared with the latter
    assert partitions(found, "models.base") == {"m"}
    assert partitions(found, "curation.pairs") == {"one"}
    assert partitions(found, "curation.disease_classes") == set()
    assert P("report.leaderboard", None) in found
    assert P("ctd.release", None) in found


def test_a_model_comes_with_all_its_variants(selecting):
    found = selecting(models=["n"])
    assert partitions(found, "inference.answers") == {"n@untuned", "n@first", "n@second"}
    assert partitions(found, "curation.pairs") == {"one", "two"}
    assert P("ctd.diseases", None) in found


def test_a_dataset_comes_without_models(selecting):
    found = selecting(datasets=["two"])
    assert partitions(found, "evaluation.baselines") == {"two"}
    assert {node.room for node in found} == {"ctd", "curation", "alignment", "evaluation", "report"}
    assert partitions(found, "curation.pairs") == {"two"}


def test_nothing_named_is_all(selecting):
    assert len(selecting()) > len(selecting(models=["m", "n", "b"]))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"variants": ["m@frist"]}, r"--variant m@frist.*no variant.*m@first"),
        ({"models": ["x"]}, r"--model x.*one of m, n, b"),
        ({"datasets": ["x"]}, r"--dataset x.*one of one, two"),
    ],
)
def test_a_name_that_leads_nowhere_is_told(selecting, names, told):
    with pytest.raises(StudyError, match=told):
        selecting(**names)


def test_only_tiny_models_go_at_once(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert runs_at_once(load_study("demo")) == 2
    assert runs_at_once(load_study("paper")) == 1
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    assert runs_at_once(load_study("demo")) == 1


# One whole way, through the commands


def test_a_study_is_made_told_and_refreshed_by_the_commands(new_warehouse, tmp_path, monkeypatch):
    micro = new_warehouse.copy(tmp_path)
    for name, value in {
        "BIOALIGN_STUDY": micro.study_file, "BIOALIGN_WAREHOUSE": micro.root, "OMP_NUM_THREADS": 1,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))

    def bioalign(*arguments):
        with without_pictures():
            return CliRunner().invoke(cli, arguments)

    # nothing was built: a refresh builds nothing but the release that it finds
    told = bioalign("refresh", "--at-once", "1")
    assert told.exit_code == 0, told.output
    assert "ctd.release" in told.output
    assert "curation" not in told.output
    told = bioalign("run", "--dataset", "stable", "--at-once", "1")
    assert told.exit_code == 0, told.output
    assert "curation + evaluation [stable]" in told.output
    assert "published" not in told.output
    told = bioalign("run", "--dataset", "stable", "--at-once", "1")
    assert "the source: No new release" in told.output  # each begins there
    assert "Everything that was built is fresh." in told.output
    micro.edit_study("[datasets.stable]\n", "[datasets.stable]\nseed = 7\n")
    told = bioalign("status", "--stale")
    assert "1 stale" in told.output
    assert "`bioalign refresh` reruns what is stale" in told.output
    told = bioalign("refresh", "--at-once", "1")
    assert "rerun, changed" in told.output
    assert told.output.index("curation.pairs [stable]") < told.output.index("report")
    assert "1 made" not in told.output
    wrong = bioalign("run", "--variant", "tiny-llama@nothing")
    assert isinstance(wrong.exception, StudyError)
