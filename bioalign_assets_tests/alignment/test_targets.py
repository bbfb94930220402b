"""What variants are held against: parts, each the same whoever asks, made once in a process."""

import numpy as np
import pytest

from bioalign_assets.alignment import targets as room
from bioalign_assets.alignment.rewiring import rewire
from bioalign_assets.alignment.targets import targets_of, whole_target
from bioalign_assets.errors import EvaluationError
from bioalign_assets_tests.alignment._make import random_graph


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(room, "_kept", type(room._kept)())


@pytest.fixture(scope="module")
def graph():
    return random_graph(1)


@pytest.fixture(scope="module")
def rewirings(graph):
    return rewire(graph, count=30, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def trained(graph):
    return np.random.default_rng(2).random(len(graph.gene)) < 0.6


def test_a_part_without_enough_edges_is_left_out_and_the_rest_goes_on(rewirings, graph):
    few = np.ones(len(graph.gene), dtype=bool)
    few[:3] = False
    assert set(dict(targets_of(rewirings, trained=few, seed=3))) == {"all", "trained"}
    assert set(dict(targets_of(rewirings, trained=None, seed=3))) == {"all"}
    assert set(dict(targets_of(rewirings, trained=~few | few, seed=3))) == {"all"}


def test_a_part_is_the_same_where_another_could_not_be_made(rewirings, trained, monkeypatch):
    whole = dict(targets_of(rewirings, trained=trained, seed=3))

    def all_but_trained(graph, *, moved, **how):
        if (moved == trained).all():
            raise EvaluationError("edges", found="too few", expected="more", remedy="none")
        return rewire(graph, moved=moved, **how)

    monkeypatch.setattr(room, "_kept", type(room._kept)())
    monkeypatch.setattr(room, "rewire", all_but_trained)
    made = dict(targets_of(rewirings, trained=trained, seed=3))
    assert set(made) == {"all", "held-out"}
    assert (made["held-out"].rewirings.diseases == whole["held-out"].rewirings.diseases).all()


def test_the_next_variant_of_a_process_is_held_against_what_was_made_for_the_last(rewirings, trained):
    before = dict(targets_of(rewirings, trained=trained, seed=3))
    after = dict(targets_of(rewirings, trained=trained, seed=3))
    assert set(before) == {"all", "trained", "held-out"}
    assert all(after[part] is before[part] for part in before)
    assert whole_target(rewirings, seed=3) is before["all"]


def test_what_differs_is_made_anew(rewirings, trained):
    before = dict(targets_of(rewirings, trained=trained, seed=3))
    others = trained.copy()
    others[:5] = ~others[:5]
    after = dict(targets_of(rewirings, trained=others, seed=3))
    assert after["all"] is before["all"]
    assert after["trained"] is not before["trained"]
    assert whole_target(rewirings, seed=4) is not before["all"]


def test_no_more_is_kept_than_there_is_room_for(rewirings, trained, monkeypatch):
    size = whole_target(rewirings, seed=3).nbytes
    monkeypatch.setattr(room, "_KEPT_BYTES", 2 * size)
    for seed in range(5):
        whole_target(rewirings, seed=seed)
        assert sum(each.nbytes for each in room._kept.values()) <= 2 * size
    monkeypatch.setattr(room, "_KEPT_BYTES", size - 1)
    assert whole_target(rewirings, seed=9) is not whole_target(rewirings, seed=9)
