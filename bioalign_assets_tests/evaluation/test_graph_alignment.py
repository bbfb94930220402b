"""Graph alignment as rows: whose edges, paired changes, layers; what stands beside the models."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bioalign_assets.alignment.graph import graph_of_pairs
from bioalign_assets.alignment.measures import measure
from bioalign_assets.alignment.nulls import Agreement, best_layer
from bioalign_assets.alignment.representations import graph_factors, random_vectors
from bioalign_assets.alignment.rewiring import rewire
from bioalign_assets.alignment.targets import targets_of
from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.alignment_metrics import ALIGNMENT_METRICS
from bioalign_assets.evaluation.graph_alignment import (
    aligned,
    alignment_rows,
    baseline_alignment_rows,
    change_rows,
    layer_rows,
    medic_rows,
    model_vectors,
    trained_edges,
)
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES

SPEC = EvaluationSpec(resamples=200, seed=7)
KEY = {"variant": "m@x", "model": "m", "experiment": "x"}
METRICS = {metric.name: metric for metric in ALIGNMENT_METRICS}


@pytest.fixture(scope="module")
def graph():
    """Two blocks of genes and diseases, most edges within them."""
    rng = np.random.default_rng(0)
    genes, diseases = rng.integers(0, 60, 900), rng.integers(0, 40, 900)
    near = (genes % 2 == diseases % 2) | (rng.random(900) < 0.1)
    return graph_of_pairs(
        pa.array([f"G{each}" for each in genes[near]]),
        diseases=pa.array([f"D{each}" for each in diseases[near]]),
    )


@pytest.fixture(scope="module")
def rewirings(graph):
    return rewire(graph, count=60, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def trained(graph):
    return np.random.default_rng(2).random(len(graph.gene)) < 0.7


@pytest.fixture(scope="module")
def targets(rewirings, trained):
    return dict(targets_of(rewirings, trained=trained, seed=3))


def test_what_knows_the_graph_is_found_and_chance_is_not(graph, targets):
    made = [graph_factors(graph, width=4), random_vectors(graph, rng=np.random.default_rng(4))]
    found = aligned(made, targets=targets.items(), spec=SPEC)
    rows = {
        name: list(alignment_rows(own, key=KEY)) for name, own in zip(("knows", "random"), found, strict=True)
    }
    schema = TABLES["evaluation.graph_alignment"].arrow
    for found in rows.values():
        assert len(pa.Table.from_pylist(found, schema=schema)) == len(found)
        assert {row["edges"] for row in found} == {"all", "trained", "held-out"}
        for row in found:
            low, high = METRICS[row["measure"]].range
            assert low <= row["value"] <= high
            assert row["ci_low"] <= row["ci_high"]
            assert row["rewirings"] == 60
    rsa = {
        (name, row["kind"]): row
        for name, found in rows.items()
        for row in found
        if (row["measure"], row["edges"]) == ("rsa", "all")
    }
    for kind in ("gene", "disease"):
        assert rsa["knows", kind]["p_value"] == 1 / 61
        assert rsa["knows", kind]["calibrated_ci_low"] > 0.2
        assert rsa["random", kind]["p_value"] > 0.02
        assert abs(rsa["random", kind]["calibrated"]) < 0.1


def test_edges_that_were_trained_on_are_those_of_the_training_positives(graph):
    names = {"gene_symbol": graph.genes.take(graph.gene), "disease_name": graph.diseases.take(graph.disease)}
    pairs = pa.table(
        names
        | {
            "split": ["train" if place % 3 else "test" for place in range(len(graph.gene))],
            "label": [1] * len(graph.gene),
        }
    )
    others = pa.table(
        {
            "gene_symbol": ["G1", "none"],
            "disease_name": ["none", "D1"],
            "split": ["train"] * 2,
            "label": [1] * 2,
        }
    )
    wrong = pairs.set_column(3, "label", pa.array([0] * len(pairs)))
    found = trained_edges(graph, pairs=pa.concat_tables([pairs, others, wrong], promote_options="default"))
    assert (found == (np.arange(len(graph.gene)) % 3 != 0)).all()


def test_a_change_is_paired_and_of_no_change_there_is_none(graph, targets):
    made = [graph_factors(graph, width=4), random_vectors(graph, rng=np.random.default_rng(4))]
    knows, random = aligned(made, targets=targets.items(), spec=SPEC)
    same = list(change_rows(knows, knows, key=KEY))
    assert {(row["change"], row["change_ci_low"], row["change_ci_high"], row["p_value"]) for row in same} == {
        (0.0, 0.0, 0.0, 1.0)
    }
    better = [
        row for row in change_rows(random, knows, key=KEY) if (row["measure"], row["edges"]) == ("rsa", "all")
    ]
    for row in better:
        assert row["change"] == pytest.approx(row["tuned"] - row["untuned"])
        assert 0 < row["change_ci_low"] < row["change"] < row["change_ci_high"]
        assert row["p_value"] < 0.02


def test_baselines_are_of_the_same_form(rewirings):
    rows = baseline_alignment_rows(rewirings, spec=SPEC)
    assert rows.schema == TABLES["evaluation.graph_alignment_baselines"].arrow
    assert set(rows["model"].to_pylist()) == {"random", "names-lsa", "transe"}
    transe = rows.filter(
        pc.and_(pc.equal(rows["model"], "transe"), pc.equal(rows["measure"], "edge_procrustes"))
    )
    held_out = transe.filter(pc.equal(transe["edges"], "held-out")).to_pylist()[0]
    assert held_out["p_value"] < 0.05  # two blocks are easily learned


def test_the_best_layer_bears_the_corrected_p():
    rng = np.random.default_rng(5)
    figures = [Agreement(value=value, null=rng.normal(size=40)) for value in (0.5, 3.0, 1.0)]
    layers = pa.Table.from_pylist(
        [
            {**KEY, "measure": "rsa", "kind": "gene", "layer": layer, "value": each.value,
             "null_values": each.null.tolist(), "resampled": None if layer else [0.25, 0.5, 0.75], "n": 9}
            for layer, each in enumerate(figures)
        ],
        schema=TABLES["inference.layer_alignment"].arrow,
    )  # fmt: skip
    rows = layer_rows(layers.take([2, 0, 1])).to_pylist()
    assert [row["layer"] for row in rows] == [0, 1, 2]
    best = best_layer(figures)
    assert [row["is_best"] for row in rows] == [False, True, False]
    assert [row["best_p_value"] for row in rows] == [None, best.p_value, None]
    assert best.p_value >= rows[1]["p_value"]
    assert (
        rows[0]["ci_low"] < rows[0]["value"] < rows[0]["ci_high"]
    )  # the input embeddings stand beside models
    assert rows[0]["calibrated_ci_low"] < rows[0]["calibrated"] < rows[0]["calibrated_ci_high"]
    assert {row["calibrated_ci_low"] for row in rows[1:]} == {None}


def names_of(graph, *, width=5, but=()):
    rng = np.random.default_rng(6)
    names = [("gene", name) for name in graph.genes.to_pylist()]
    names += [("disease", name) for name in graph.diseases.to_pylist()]
    kept = [each for each in names if each[1] not in but]
    return pa.table(
        {
            "kind": [kind for kind, _ in kept],
            "name": [name for _, name in kept],
            "embedding": pa.array(list(rng.normal(size=(len(kept), width)).astype(np.float32))),
        }
    )


def test_a_models_vectors_stand_in_the_order_of_the_graph(graph, targets):
    names = names_of(graph)
    found = measure(model_vectors(names, graph=graph), target=targets["all"], measures=["disease_rsa"])
    shuffled = names.take(np.random.default_rng(8).permutation(len(names)))
    again = measure(model_vectors(shuffled, graph=graph), target=targets["all"], measures=["disease_rsa"])
    assert found["disease_rsa"].value == again["disease_rsa"].value


def test_a_name_without_a_vector_is_named(graph):
    with pytest.raises(EvaluationError, match=r"no vector of 1 names, such as 'D3'"):
        model_vectors(names_of(graph, but=("D3",)), graph=graph)


def test_against_medics_tree_and_without_one(graph):
    medic = pa.table(
        {
            "disease_name": graph.diseases,
            "tree_numbers": [
                [f"C{int(name[1:]) % 2:02}.{int(name[1:])}"] for name in graph.diseases.to_pylist()
            ],
        }
    )
    vectors = graph_factors(graph, width=4)
    rows = list(medic_rows(vectors, graph=graph, medic=medic, key=KEY, spec=SPEC))
    assert {row["measure"] for row in rows} == {"medic_rsa", "medic_partial_rsa"}
    assert all(row["p_value"] < 0.01 for row in rows)
    assert len(pa.Table.from_pylist(rows, schema=TABLES["evaluation.medic_alignment"].arrow)) == 2
    assert list(medic_rows(vectors, graph=graph, medic=medic.slice(0, 5), key=KEY, spec=SPEC)) == []
