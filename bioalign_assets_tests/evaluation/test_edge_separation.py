"""Edge separation: cosines against a loop, the rows' joins, and what raises."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation import edge_separation as module
from bioalign_assets.evaluation.edge_separation import (
    cosines_of_rows,
    edge_cosines,
    edge_rows,
    edge_separation,
)
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import named_study

SPEC = EvaluationSpec(sample_size=60, resamples=200, map_size=30)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_cosines_are_those_of_a_loop(seed, rows_at_once):
    rng = np.random.default_rng(seed)
    genes, diseases = rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=(6, 4)) * 1e3
    gene, disease = rng.integers(5, size=17), rng.integers(6, size=17)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS_AT_ONCE", rows_at_once)
        found = edge_cosines(genes, diseases=diseases, gene=gene, disease=disease)
    expected = [
        genes[g] @ diseases[d] / np.linalg.norm(genes[g]) / np.linalg.norm(diseases[d])
        for g, d in zip(gene, disease, strict=True)
    ]
    assert found == pytest.approx(expected, abs=1e-6)
    assert (np.abs(found) <= 1).all()


def test_separation_is_the_difference_of_means_and_auroc_scikit_learns():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 100)
    cosines = np.tanh(rng.normal(size=100) + labels)
    found = edge_separation(cosines, labels=labels)
    assert found["edge_separation"].value == pytest.approx(
        cosines[labels == 1].mean() - cosines[labels == 0].mean()
    )
    assert found["edge_auroc"].value == pytest.approx(roc_auc_score(labels, cosines))
    assert {statistic.n for statistic in found.values()} == {100}


@pytest.mark.parametrize(("true", "value", "area"), [(1.0, 2.0, 1.0), (-1.0, -2.0, 0.0)])
def test_the_ends_of_the_range(true, value, area):
    labels = np.arange(20) % 2
    found = edge_separation(np.where(labels == 1, true, -true), labels=labels)
    for name, expected in (("edge_separation", value), ("edge_auroc", area)):
        replicates = found[name].replicates(resamples=100, rng=np.random.default_rng(0))
        assert np.array_equal(replicates, np.full(100, expected))
        assert found[name].value == expected


def test_rows_are_drawn_within_each_label_and_by_the_labels_alone():
    labels = np.array([1] * 10 + [0] * 20)
    cosines = np.random.default_rng(3).uniform(-1, 1, 30)
    rng = np.random.default_rng(4)
    found = edge_separation(cosines, labels=labels)["edge_separation"].replicates(resamples=50, rng=rng)
    again = np.random.default_rng(4)
    true, false = again.integers(10, size=(50, 10)), again.integers(20, size=(50, 20))
    expected = [np.mean(cosines[:10][t]) - np.mean(cosines[10:][f]) for t, f in zip(true, false, strict=True)]
    assert found == pytest.approx(expected, abs=1e-12)
    assert rng.bit_generator.state == again.bit_generator.state


def test_one_label_and_misshapen_input_raise():
    with pytest.raises(EvaluationError, match="expected both"):
        edge_separation(np.array([0.1, 0.2]), labels=[1, 1])
    with pytest.raises(ValueError, match="shapes differ"):
        edge_cosines(np.eye(2), diseases=np.eye(2), gene=np.array([0]), disease=np.array([0, 1]))


def test_rows_join_each_statement_with_its_two_names():
    embeddings, names, pairs, cosine = named_study(rows=60)
    table = edge_rows(embeddings, names=names, pairs=pairs, spec=SPEC)
    assert table.schema == TABLES["evaluation.kg_separation"].arrow
    found = {row["metric"]: row for row in table.to_pylist()}
    labels = embeddings["label"].to_numpy()
    assert set(found) == {"edge_separation", "edge_auroc"}
    assert found["edge_separation"]["value"] == pytest.approx(
        cosine[labels == 1].mean() - cosine[labels == 0].mean(), abs=1e-6
    )
    assert found["edge_auroc"]["value"] == pytest.approx(roc_auc_score(labels, cosine))
    assert {row["n"] for row in found.values()} == {60}


def test_storage_order_and_other_datasets_variants_and_test_sets_don_t_matter():
    embeddings, names, pairs, _ = named_study(rows=60)
    rng = np.random.default_rng(0)
    plain = edge_rows(embeddings, names=names, pairs=pairs, spec=SPEC)
    _, other_names, other_pairs, _ = named_study(rows=60, test_set="other", seed=9)
    _, tuned_names, _, _ = named_study(rows=60, variant="m@paper", seed=5)
    more = {
        "names": pa.concat_tables([tuned_names, other_names, names]),
        "pairs": pa.concat_tables([other_pairs, pairs]),
    }
    shuffled = {name: table.take(rng.permutation(len(table))) for name, table in more.items()}
    found = edge_rows(embeddings.take(rng.permutation(len(embeddings))), **shuffled, spec=SPEC)
    assert found.equals(plain)


def test_a_name_that_is_both_gene_and_disease_has_two_vectors():
    embeddings, names, pairs, cosine = named_study(rows=60, shared_name=True)
    assert cosines_of_rows(embeddings, names=names, pairs=pairs) == pytest.approx(cosine, abs=1e-6)


def test_a_missing_name_is_named():
    embeddings, names, pairs, _ = named_study(rows=60)
    first = pairs["disease_name"][0].as_py()
    fewer = names.filter(pc.not_equal(names["name"], first))
    with pytest.raises(EvaluationError, match=rf"inference\.names \(disease\).*'{first}'"):
        edge_rows(embeddings, names=fewer, pairs=pairs, spec=SPEC)


@pytest.mark.parametrize("break_it", ["missing", "other", "dataset"])
def test_pairs_that_are_not_the_sampled_ones_raise(break_it):
    embeddings, names, pairs, _ = named_study(rows=60)
    rows = pairs.to_pylist()
    if break_it == "missing":
        rows = rows[2:]
    elif break_it == "other":
        rows[0]["pair_id"], rows[1]["pair_id"] = rows[1]["pair_id"], rows[0]["pair_id"]
    else:
        rows = [row | {"dataset": "other"} for row in rows]
    broken = pa.Table.from_pylist(rows, schema=pairs.schema)
    with pytest.raises(EvaluationError, match=r"(2|60) of 60 rows.*again"):
        edge_rows(embeddings, names=names, pairs=broken, spec=SPEC)


def test_a_name_whose_vector_is_not_finite_raises():
    embeddings, names, pairs, _ = named_study(rows=60)
    rows = names.to_pylist()
    rows[0]["embedding"] = [float("nan")] * len(rows[0]["embedding"])
    broken = pa.Table.from_pylist(rows, schema=names.schema)
    with pytest.raises(EvaluationError, match="not_finite 1"):
        cosines_of_rows(embeddings, names=broken, pairs=pairs)
