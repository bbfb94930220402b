"""MEDIC through Dagster: what depends on it, and what must not."""

import csv

import dagster as dg
import pytest

from bioalign_assets.ctd.synthetic import write_demo_diseases
from bioalign_assets.curation.assets import build_assets
from bioalign_assets.errors import CurationError
from bioalign_assets.execution.uses import walk
from bioalign_assets.freshness.partition_graph import AssetPartition
from bioalign_assets.partitions import Partitions
from bioalign_assets.study import Study
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets_tests.micro import whole_micro, without_pictures

PICTURES = {"class_balance", "text_lengths", "entity_frequency", "evidence", "frequencies"}
KINDS = {"degree-matched": set(), "same-class": {"classes"}, "published-entity-held-out": {"unseen"}}
"""Datasets of the micro study, and the pictures that each has beside the common ones."""
CLASSES = "curation.disease_classes[same-class]"


def run_now(house, asset, partition=None):
    """Make one asset partition, whether it is stale or not."""
    with walk(house.workplace, at_once=1) as walking:
        step = walking.run_now([AssetPartition(asset, partition)], why="asked for")
    if step.error is not None:
        raise step.error


def use_medic(house, change):
    """Take the demo vocabulary with some of its rows changed."""
    path = house.root.parent / "CTD_diseases.csv"
    write_demo_diseases(path, spec=house.study.demo_release)
    lines = path.read_text().splitlines()
    header = [line for line in lines if line.startswith("#")]
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    with path.open("w", newline="") as file:
        file.write("\n".join(header) + "\n")
        csv.writer(file).writerows(change(row) for row in rows)
    house.use(ctd_diseases_source=str(path))
    run_now(house, "ctd.diseases")


def pictures_of(micro, dataset):
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(["curation", "profile"]), asset_partitions=[dataset])
    (record,) = micro.instance.fetch_materializations(wanted, limit=1).records
    metadata = record.asset_materialization.metadata
    return {key for key, value in metadata.items() if "data:image/png;base64," in str(value.value)}


@pytest.mark.slow
def test_pictures_of_each_kind_are_in_the_metadata():
    micro = whole_micro()
    for dataset, more in KINDS.items():
        assert pictures_of(micro, dataset) == PICTURES | more


@pytest.mark.slow
def test_only_same_class_datasets_follow_medic(tmp_path):
    house = whole_micro().copy(tmp_path)
    with without_pictures():
        # other parents of the diseases: looked at, and found to be no matter for the classes
        use_medic(house, lambda row: [*row[:4], row[4] or "MESH:X", *row[5:]])
        assert house.of_state("stale") == {CLASSES}
        house.make(CLASSES)
        assert house.of_state("stale") == set()

        # other classes
        is_one = ("1", "3", "5", "7")
        use_medic(house, lambda row: [*row[:8], row[8] and ("One" if row[1].endswith(is_one) else row[8])])
        assert house.of_state("stale") == {CLASSES}
        run_now(house, "curation.disease_classes", "same-class")
        assert house.of_state("stale") == {f"curation.{name}[same-class]" for name in ("pairs", "profile")}


def test_without_medic_the_classes_say_which_setting_it_takes(tmp_path):
    study = Study.model_validate(
        {
            "title": "t",
            "models": {"m": {"tiny": "llama"}},
            "datasets": {"d": {"sampler": "stable", "split": "pair", "negatives": "same-class"}},
            "experiments": {"untuned": {"evaluate_on": ["d"]}},
        }
    )
    classes, *_ = build_assets(study, partitions=Partitions(study))
    with pytest.raises(CurationError, match=r"found none: ctd\.diseases .* BIOALIGN_CTD_DISEASES_SOURCE"):
        classes(
            dg.build_asset_context(
                partition_key="d", resources={"warehouse": Warehouse(folder=str(tmp_path))}
            )
        )
