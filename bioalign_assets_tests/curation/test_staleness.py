"""MEDIC through Dagster: what depends on it, and what must not."""

import csv
from collections.abc import Iterator

import dagster as dg
import pytest

from bioalign_assets.ctd.synthetic import write_demo_diseases
from bioalign_assets.errors import CurationError, WarehouseError
from bioalign_assets.execution import uses
from bioalign_assets_tests.micro import Micro, release_file, whole_micro, without_pictures

CLASSES = "curation.disease_classes[same-class]"
TWO_DATASETS = """
title = "Same class"

[models.tiny-llama]
tiny = "llama"

[datasets.stable]
sampler = "stable"
split = "pair"

[datasets.same-class]
sampler = "stable"
split = "pair"
negatives = "same-class"

[experiments.untuned]
evaluate_on = ["stable"]
"""


@pytest.fixture(scope="module")
def micro() -> Micro:
    return whole_micro()


@pytest.fixture(autouse=True)
def _no_pictures() -> Iterator[None]:
    with without_pictures():
        yield


def run_now(house, name):
    """Make one asset partition, however it stands, as a person does in the UI; return the step."""
    with uses.walk(house.workplace, at_once=1) as walking:
        return walking.run_now(house.nodes(name), why="by hand")


def write_medic(path, *, study, change):
    """Write the demo vocabulary with some of its rows changed."""
    write_demo_diseases(path, spec=study.demo_release)
    lines = path.read_text().splitlines()
    header = [line for line in lines if line.startswith("#")]
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    with path.open("w", newline="") as file:
        file.write("\n".join(header) + "\n")
        csv.writer(file).writerows(change(row) for row in rows)


def other_parents(row):
    return [*row[:4], row[4] or "MESH:X", *row[5:]]


def other_classes(row):
    return [*row[:8], row[8] and ("One" if row[1].endswith(("1", "3", "5", "7")) else row[8])]


def test_nothing_but_same_class_datasets_depends_on_medic(micro):
    graph = micro.graph
    depends = micro.nodes("ctd.diseases")
    for node in graph:
        if not depends.isdisjoint(graph.parents(node)):
            depends.add(node)
    reports = {node for node in depends if node.room == "report"}
    trees = {node for node in depends if str(node).startswith("evaluation.medic_alignment[")}
    assert len(trees) == len(micro.study.variants)
    assert {node.partition for node in depends - reports - trees} == {None, "same-class"}
    assert {str(node) for node in depends} >= {CLASSES, "curation.pairs[same-class]"}


def test_a_new_medic_makes_stale_what_it_changes_and_nothing_else(micro, tmp_path):
    house = micro.copy(tmp_path / "house")
    assert house.of_state("stale") == set()
    # what holds geometry against MEDIC's tree follows any change of it
    trees = {f"evaluation.medic_alignment[{variant.key}]" for variant in house.study.variants}
    medic = tmp_path / "CTD_diseases.csv"
    house.use(ctd_diseases_source=str(medic))

    write_medic(medic, study=house.study, change=other_parents)
    assert run_now(house, "ctd.diseases").outcome == "changed"
    assert house.of_state("stale") == {CLASSES} | trees
    assert run_now(house, CLASSES).outcome == "same"  # looked at, and found to be no matter for the classes
    assert house.of_state("stale") == trees

    write_medic(medic, study=house.study, change=other_classes)
    run_now(house, "ctd.diseases")
    assert house.of_state("stale") == {CLASSES} | trees
    assert run_now(house, CLASSES).outcome == "changed"
    assert house.of_state("stale") - trees == {"curation.pairs[same-class]", "curation.profile[same-class]"}


def test_without_medic_only_same_class_datasets_stop_and_say_why(tmp_path):
    house = Micro(tmp_path, text=TWO_DATASETS)
    house.use(ctd_source=str(release_file(tmp_path / "release.csv")))
    steps = house.walk("curation.pairs")
    assert {step.title for step in steps if step.outcome == "made"} == {
        "ctd.release", "ctd.associations", "curation.pairs [stable]",
    }  # fmt: skip
    waits = {str(node): step.why for step in steps if step.outcome == "waits" for node in step.nodes}
    assert waits.keys() == {"ctd.diseases", CLASSES, "curation.pairs[same-class]"}
    assert "BIOALIGN_CTD_DISEASES_SOURCE" in waits["ctd.diseases"]
    # a person who wants them all the same is told what it takes
    for name, kind, told in (
        (CLASSES, CurationError, r"found none: ctd\.diseases .* BIOALIGN_CTD_DISEASES_SOURCE"),
        (
            "curation.pairs[same-class]",
            WarehouseError,
            "Materialise curation/disease_classes for same-class first",
        ),
    ):
        failed = run_now(house, name)
        with pytest.raises(kind, match=told):
            raise failed.error


@pytest.mark.parametrize(
    ("name", "more"),
    [("degree-matched", set()), ("same-class", {"classes"}), ("published-entity-held-out", {"unseen"})],
)
def test_pictures_of_each_kind_are_in_the_metadata(micro, name, more):
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(["curation", "profile"]), asset_partitions=[name])
    (record,) = micro.instance.fetch_materializations(wanted, limit=1).records
    metadata = record.asset_materialization.metadata
    pictures = {key for key, value in metadata.items() if "data:image/png;base64," in str(value.value)}
    assert pictures == {"class_balance", "text_lengths", "entity_frequency", "evidence", "frequencies"} | more
