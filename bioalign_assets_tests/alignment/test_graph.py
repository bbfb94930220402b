"""The graph of a release, and which of its names are compared."""

import numpy as np
import pyarrow as pa
import pytest

from bioalign_assets.alignment.graph import core, edge_hashes, graph_of, graph_of_pairs
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.synthetic import write_demo_release
from bioalign_assets.curation.positives import stable_positives
from bioalign_assets.errors import EvaluationError
from bioalign_assets.study.source import DemoRelease
from bioalign_assets_tests.alignment._make import random_graph


def names_of_edges(graph):
    genes, diseases = graph.genes.to_pylist(), graph.diseases.to_pylist()
    return [(genes[gene], diseases[disease]) for gene, disease in zip(graph.gene, graph.disease, strict=True)]


def test_a_release_s_graph_is_its_curated_pairs_of_names(tmp_path):
    write_demo_release(tmp_path / "release.csv", spec=DemoRelease(genes=60, diseases=30, associations=150))
    associations = read_associations(tmp_path / "release.csv").associations
    positives = stable_positives(associations)
    expected = zip(positives["gene_symbol"].to_pylist(), positives["disease_name"].to_pylist(), strict=True)
    assert names_of_edges(graph_of(associations)) == sorted(expected)


def test_a_graph_hangs_on_the_set_of_its_pairs_alone():
    genes, diseases = ["b", "a", "b", "a", "b"], ["y", "x", "x", "x", "y"]
    graph = graph_of_pairs(pa.array(genes), diseases=pa.chunked_array([diseases[:2], diseases[2:]]))
    assert names_of_edges(graph) == [("a", "x"), ("b", "x"), ("b", "y")]
    assert graph.degrees("gene").tolist() == [1, 2]
    assert graph.degrees("disease").tolist() == [2, 1]
    again = graph_of_pairs(pa.array(genes[::-1]), diseases=pa.array(diseases[::-1]))
    assert names_of_edges(again) == names_of_edges(graph)
    assert (edge_hashes(again, seed=1) == edge_hashes(graph, seed=1)).all()
    part = graph.of_edges(np.array([True, False, True]))
    assert (names_of_edges(part), len(part.genes)) == ([("a", "x"), ("b", "y")], 2)


def test_the_core_are_names_with_partners_and_a_smaller_one_is_part_of_it():
    graph = random_graph()
    every = core(graph, kind="gene", least=2)
    assert set(every) == set(np.flatnonzero(graph.degrees("gene") >= 2))
    some = core(graph, kind="gene", least=2, most=8)
    fewer = core(graph, kind="gene", least=2, most=5)
    assert (len(some), len(fewer)) == (8, 5)
    assert set(fewer) < set(some) < set(every)
    assert set(core(graph, kind="gene", least=2, most=8, seed=1)) != set(some)


def test_too_few_names_with_partners_are_told():
    graph = graph_of_pairs(pa.array(["a", "b", "a"]), diseases=pa.array(["x", "y", "z"]))
    with pytest.raises(
        EvaluationError, match="diseases of the graph: found 0 with at least 3 partners, of 3 with one"
    ):
        core(graph, kind="disease")
