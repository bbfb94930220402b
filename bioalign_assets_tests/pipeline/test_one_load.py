"""What a variant is asked comes from one loaded model, whatever of it is wanted."""

import dagster as dg
import pytest

from bioalign_assets.training import adapters
from bioalign_assets.warehouse.schemas import TABLES

ASKED = [name for name, schema in TABLES.items() if schema.room == "inference"]


@pytest.fixture
def loads(monkeypatch):
    """The variants whose models were loaded."""
    found = []
    load = adapters.load_variant

    def counted(variant, **more):
        found.append(variant.key)
        return load(variant, **more)

    monkeypatch.setattr(adapters, "load_variant", counted)
    return found


@pytest.mark.parametrize("wanted", [ASKED, ["inference.names"], ["inference.answers", "inference.rankings"]])
def test_a_variant_is_loaded_once_and_asked_what_is_wanted(micro, tmp_path, loads, wanted):
    own = micro.copy(tmp_path)
    keys = [dg.AssetKey(name.split(".")) for name in wanted]
    result = own.defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=own.instance, asset_selection=keys, partition_key="tiny-llama@paper"
    )
    events = result.get_asset_materialization_events()
    assert {event.asset_key for event in events} == set(keys)
    assert loads == ["tiny-llama@paper"]


def test_rankings_alone_follow_from_their_settings(micro):
    graph = micro.graph
    reads = {asset: {edge.parent for edge in graph.edges[asset]} for asset in ASKED}
    assert "study.links" in reads.pop("inference.rankings")
    assert all("study.links" not in parents and "study.inference" in parents for parents in reads.values())
