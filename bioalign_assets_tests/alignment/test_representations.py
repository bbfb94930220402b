"""What stands beside models: a planted structure is found by those that know it, and by no other."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

from bioalign_assets.alignment.graph import Graph, graph_of
from bioalign_assets.alignment.measures import measure, target_of
from bioalign_assets.alignment.representations import (
    graph_factors,
    lsa_of_names,
    random_vectors,
    vectors_by_name,
)
from bioalign_assets.alignment.rewiring import rewire
from bioalign_assets.alignment.vectors import representation
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.synthetic import planted_compatibility, write_demo_release
from bioalign_assets.ctd.synthetic_names import CLASS_WORDS, FAMILY_SYLLABLES
from bioalign_assets.study import load_study
from bioalign_assets_tests.alignment._make import planted_graph, random_graph


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "release.csv"
    write_demo_release(path, spec=load_study("demo").demo_release)
    graph = graph_of(read_associations(path).associations)
    target = target_of(rewire(graph, count=49, rng=np.random.default_rng(0)), rng=np.random.default_rng(0))
    return graph, target


def planted(graph):
    """Return vectors of what was planted: each class an axis, and a gene in the direction of its family's classes."""
    spec = load_study("demo").demo_release
    family, class_ = (
        np.array([[word in name for word in words[:count]] for name in names.to_pylist()]).argmax(axis=1)
        for names, words, count in (
            (graph.genes, FAMILY_SYLLABLES, spec.gene_families),
            (graph.diseases, CLASS_WORDS, spec.disease_classes),
        )
    )
    compatible = planted_compatibility(spec).astype(float)
    return representation(graph, genes=compatible[family], diseases=np.eye(spec.disease_classes)[class_])


def test_on_the_demo_release_what_was_planted_is_found_by_every_measure(demo):
    graph, target = demo
    for vectors in (planted(graph), graph_factors(graph)):
        found = measure(vectors, target=target)
        assert {name: each.p_value for name, each in found.items()} == dict.fromkeys(found, 1 / 50)
        assert found["edge_procrustes"].calibrated > 0.1


def test_on_the_demo_release_chance_is_not_found(demo):
    graph, target = demo
    under: dict[str, list[bool]] = {}
    for seed in range(20):
        vectors = random_vectors(graph, rng=np.random.default_rng(seed), width=20)
        for name, found in measure(vectors, target=target).items():
            under.setdefault(name, []).append(found.p_value < 0.05)
    for name, each in under.items():
        assert sum(each) <= binom.ppf(0.999, 20, 0.05), name


def test_on_rewired_graphs_p_values_are_under_a_twentieth_no_more_often_than_that():
    graph = planted_graph()
    known = graph_factors(graph)
    under = {}
    for number, diseases in enumerate(rewire(graph, count=40, rng=np.random.default_rng(0)).diseases):
        wired = Graph(genes=graph.genes, diseases=graph.diseases, gene=graph.gene, disease=diseases)
        rng = np.random.default_rng([1, number])
        target = target_of(rewire(wired, count=39, rng=rng), rng=rng)
        for title, vectors in (("graph", known), ("own", graph_factors(wired))):
            for name, found in measure(vectors, target=target).items():
                under.setdefault((title, name), []).append(found.p_value < 0.05)
    for (title, name), each in under.items():
        if title == "graph":
            assert sum(each) <= binom.ppf(0.999, 40, 0.05), name
        elif name in {"disease_rsa", "gene_rsa", "edge_cosine"}:
            assert sum(each) == 40, name


def test_vectors_by_name_and_the_mean_for_the_others():
    found = vectors_by_name(pa.array(["b", "x", "a"]), known=pa.array(["a", "b"]), vectors=[[1, 2], [3, 6]])
    assert found.tolist() == [[3, 6], [2, 4], [1, 2]]


def test_names_of_one_letter_and_small_graphs_have_vectors_too():
    graph = random_graph(0, genes=9, diseases=7, edges=40)
    for vectors in (lsa_of_names(graph), graph_factors(graph)):
        assert np.isfinite(vectors.genes).all()
        assert np.isfinite(vectors.diseases).all()
        assert vectors.diseases.any()
