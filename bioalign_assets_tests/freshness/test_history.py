"""What was recorded is read once, for whole assets, and only where there is something new."""

import pytest

from bioalign_assets.freshness.history import History
from bioalign_assets.freshness.partition_graph import AssetPartition

P = AssetPartition
PAIRS = P("curation.pairs", "stable")


class Counted:
    """An instance whose event log counts how often it is asked."""

    def __init__(self, instance):
        self._instance = instance
        self.asked = 0

    def __getattr__(self, name):
        found = getattr(self._instance, name)
        if name in {"fetch_materializations", "fetch_observations"}:
            self.asked += 1
        return found


def test_where_no_event_is_new_nothing_is_read(ledger):
    history = History(ledger.graph)
    history.read(instance=ledger.instance)
    counted = Counted(ledger.instance)
    history.read(instance=counted)
    assert counted.asked == 0
    ledger.record(PAIRS, "another")
    history.read(instance=counted)
    assert history.version(PAIRS) == "another"
    assert 0 < counted.asked <= len(ledger.graph.assets) + len(ledger.graph.settings)


def test_an_asset_is_read_at_once_however_many_partitions_it_has(ledger):
    counted = Counted(ledger.instance)
    History(ledger.graph).read(instance=counted)
    assert counted.asked <= len(ledger.graph.assets) + len(ledger.graph.settings)


def test_versions_at_a_moment(ledger):
    then = ledger.history.read(instance=ledger.instance)
    before, release = ledger.versions[PAIRS], ledger.versions[P("ctd.release", None)]
    ledger.record(PAIRS, "later")
    ledger.record(P("ctd.release", None), "later")
    now = ledger.history.read(instance=ledger.instance)
    for node, old in ((PAIRS, before), (P("ctd.release", None), release)):
        assert ledger.history.version_at(node, then) == old
        assert ledger.history.version_at(node, now) == "later"
        assert ledger.history.version_at(node, None) is None
    assert ledger.history.version_at(PAIRS, 1) is None


def test_an_older_copy_of_the_records_is_read_anew(ledger, graph):
    from bioalign_assets_tests.freshness.ledger import Ledger

    history = History(graph)
    history.read(instance=ledger.instance)
    older = Ledger(graph)
    older.record(P("ctd.release", None), "first")
    history.read(instance=older.instance)
    assert history.version(P("ctd.release", None)) == "first"
    assert history.made(PAIRS) is None


@pytest.mark.parametrize(
    "node", [P("curation.pairs", "no such"), P("training.adapter", "tiny-benchmark@untuned")]
)
def test_what_was_never_made_is_none(ledger, node):
    ledger.history.read(instance=ledger.instance)
    assert ledger.history.made(node) is None
    assert ledger.history.version(node) is None
