"""MEDIC through Dagster: what depends on it, and what must not."""

import csv

import dagster as dg
import pytest
from bioalign_assets.automation.staleness import partition_states
from bioalign_assets.demo import run_study
from bioalign_assets.running import PlannedRun

from bioalign_assets.ctd.synthetic import write_demo_diseases
from bioalign_assets.errors import CurationError, WarehouseError
from bioalign_assets_tests.micro import Micro

pytestmark = pytest.mark.slow

CURATION = ("curation.pairs", "curation.profile")
DATASETS = ("stable", "degree-matched", "same-class")


class House(Micro):
    """A micro study of which only tables are made."""

    def make(self, *assets, partition=None):
        run = PlannedRun(title=f"{assets} {partition}", assets=assets, partition=partition)
        assert len(list(run_study(self.study, settings=self.settings, runs=[run]))) == 1

    def use_medic(self, path):
        self.settings = self.settings.model_copy(update={"ctd_diseases_source": str(path)})
        self.make("ctd.diseases")

    def stale(self):
        states = partition_states(self.defs, instance=self.instance)
        return {(state.asset, state.partition) for state in states if state.state == "stale"}


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    made.make("ctd.release", "ctd.associations")
    return made


@pytest.fixture
def medic(house, tmp_path):
    """Write the demo vocabulary with some of its rows changed; return its path."""

    def write(change):
        path = tmp_path / "CTD_diseases.csv"
        write_demo_diseases(path, spec=house.study.demo_release)
        lines = path.read_text().splitlines()
        header = [line for line in lines if line.startswith("#")]
        rows = list(csv.reader(line for line in lines if not line.startswith("#")))
        with path.open("w", newline="") as file:
            file.write("\n".join(header) + "\n")
            csv.writer(file).writerows(change(row) for row in rows)
        return path

    return write


def test_a_new_medic_makes_same_class_datasets_stale_and_nothing_else(house, medic):
    house.use_medic(medic(lambda row: row))
    house.make("curation.disease_classes", partition="same-class")
    for name in DATASETS:
        house.make(*CURATION, partition=name)
    assert house.stale() == set()

    # other parents of the diseases: looked at, and found to be no matter for the classes
    house.use_medic(medic(lambda row: [*row[:4], row[4] or "MESH:X", *row[5:]]))
    assert house.stale() == {("curation.disease_classes", "same-class")}
    house.make("curation.disease_classes", partition="same-class")
    assert house.stale() == set()

    # other classes
    house.use_medic(
        medic(lambda row: [*row[:8], row[8] and ("One" if row[1].endswith(("1", "3", "5", "7")) else row[8])])
    )
    assert house.stale() == {("curation.disease_classes", "same-class")}
    house.make("curation.disease_classes", partition="same-class")
    assert house.stale() == {(name, "same-class") for name in CURATION}
    house.make(*CURATION, partition="same-class")
    assert house.stale() == set()


def test_without_medic_only_same_class_datasets_stop_and_say_why(house):
    with pytest.raises(CurationError, match=r"found none: ctd\.diseases .* BIOALIGN_CTD_DISEASES_SOURCE"):
        house.make("curation.disease_classes", partition="same-class")
    with pytest.raises(WarehouseError, match=r"Materialise curation/disease_classes for same-class first"):
        house.make("curation.pairs", partition="same-class")
    for name in ("stable", "degree-matched", "published", "published-entity-held-out"):
        house.make(*CURATION, partition=name)


def test_pictures_of_each_kind_are_in_the_metadata(house, medic):
    house.use_medic(medic(lambda row: row))
    house.make("curation.disease_classes", partition="same-class")
    common = {"class_balance", "text_lengths", "entity_frequency", "evidence", "frequencies"}
    for name, more in (
        ("degree-matched", set()),
        ("same-class", {"classes"}),
        ("published-entity-held-out", {"unseen"}),
    ):
        house.make(*CURATION, partition=name)
        wanted = dg.AssetRecordsFilter(
            asset_key=dg.AssetKey(["curation", "profile"]), asset_partitions=[name]
        )
        (record,) = house.instance.fetch_materializations(wanted, limit=1).records
        metadata = record.asset_materialization.metadata
        pictures = {key for key, value in metadata.items() if "data:image/png;base64," in str(value.value)}
        assert pictures == common | more
