"""The rows of the evaluation tables: schemas, grouping, seeds, order, and what raises."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bioalign_assets.evaluation import rows as rows_module
from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.rows import (
    cluster_rows,
    metric_generator,
    probe_rows,
    separation_rows,
    zero_shot_rows,
)
from bioalign_assets.evaluation.zero_shot import ZERO_SHOT_METRICS
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import answers, embeddings

SPEC = EvaluationSpec(sample_size=100, resamples=100, map_size=40)
TWO = pa.concat_tables(
    [embeddings(test_set="published"), embeddings(test_set="held-out", shift=3.0, rows=80, seed=1)]
)
ASKED = pa.concat_tables(
    [
        answers(prompt="unseen"),
        answers(prompt="training", skill=3.0, seed=1),
        answers(test_set="held-out", rows=90, skill=0.0, seed=2),
    ]
)

EMBEDDING_ROWS = {
    "evaluation.kg_separation": (separation_rows, {"kg_separation", "kg_separation_signed"}),
    "evaluation.embedding_probe": (
        probe_rows,
        {"probe_accuracy", "probe_auroc", "probe_cv_accuracy", "probe_cv_auroc"},
    ),
    "evaluation.cluster_quality": (
        lambda table, *, spec: cluster_rows(table, spec=spec)[0],
        {"silhouette_tsne", "silhouette"},
    ),
}


def where(table, **values):
    for name, value in values.items():
        table = table.filter(pc.equal(table[name], value))
    return table


@pytest.mark.parametrize("name", EMBEDDING_ROWS)
def test_embedding_figures_have_the_schema_and_one_row_per_test_set_and_metric(name):
    make, metrics = EMBEDDING_ROWS[name]
    table = make(TWO, spec=SPEC)
    assert table.schema == TABLES[name].arrow
    found = {(row["test_set"], row["metric"]) for row in table.to_pylist()}
    assert found == {(test_set, metric) for test_set in ("published", "held-out") for metric in metrics}
    assert len(table) == len(found)
    assert set(table["prompt"].to_pylist()) == {None}
    assert set(table["scope"].to_pylist()) == {"sample"}
    assert set(table["seed"].to_pylist()) == {42}
    assert set(table["variant"].to_pylist()) == {"m@untuned"}


@pytest.mark.parametrize("name", EMBEDDING_ROWS)
def test_a_test_set_has_the_same_figures_alone_and_in_any_storage_order(name):
    make, _ = EMBEDDING_ROWS[name]
    both = make(TWO, spec=SPEC)
    shuffled = make(TWO.take(np.random.default_rng(0).permutation(len(TWO))), spec=SPEC)
    assert content_hash(both) == content_hash(shuffled)
    alone = make(where(TWO, test_set="held-out"), spec=SPEC)
    assert alone.equals(where(both, test_set="held-out"))


@pytest.mark.parametrize("name", EMBEDDING_ROWS)
@pytest.mark.parametrize("seed", [1, 2])
def test_another_seed_gives_other_draws(name, seed):
    make, _ = EMBEDDING_ROWS[name]
    plain, other = (make(TWO, spec=SPEC.model_copy(update={"seed": each})) for each in (42, seed))
    assert not plain.drop_columns("seed").equals(other.drop_columns("seed"))


def test_n_of_the_probe_is_its_scored_third_and_of_separation_all_rows():
    probed = where(probe_rows(TWO, spec=SPEC), test_set="published").to_pylist()
    assert {row["metric"]: row["n"] for row in probed} == {
        "probe_accuracy": 36, "probe_auroc": 36, "probe_cv_accuracy": 120, "probe_cv_auroc": 120,
    }  # fmt: skip
    assert set(where(separation_rows(TWO, spec=SPEC), test_set="published")["n"].to_pylist()) == {120}


def test_cluster_map_has_its_schema_and_the_rows_that_were_scored():
    rows, map_ = cluster_rows(TWO, spec=SPEC)
    assert map_.schema == TABLES["evaluation.cluster_map"].arrow
    assert where(rows, metric="silhouette_tsne")["n"].to_pylist() == [40, 40]
    assert set(where(rows, metric="silhouette")["n"].to_pylist()) == {120, 80}
    for test_set in ("published", "held-out"):
        part = where(map_, test_set=test_set)
        assert len(part) == 40
        assert pc.sum(part["label"]).as_py() == 20
        source = {row["row_number"]: row for row in where(TWO, test_set=test_set).to_pylist()}
        for row in part.to_pylist():
            assert (row["pair_id"], row["label"]) == (
                source[row["row_number"]]["pair_id"],
                source[row["row_number"]]["label"],
            )


def test_zero_shot_rows_by_test_set_and_prompt():
    table = zero_shot_rows(ASKED, spec=SPEC)
    assert table.schema == TABLES["evaluation.zero_shot"].arrow
    keys = {(row["test_set"], row["prompt"]) for row in table.to_pylist()}
    assert keys == {("published", "unseen"), ("published", "training"), ("held-out", "unseen")}
    assert len(table) == 3 * len(ZERO_SHOT_METRICS)
    part = where(ASKED, test_set="published", prompt="training")
    accuracy = np.mean(part["predicted"].to_numpy() == part["label"].to_numpy())
    found = where(table, test_set="published", prompt="training", metric="accuracy")
    assert found["value"].to_pylist() == [pytest.approx(accuracy)]
    assert found["n"].to_pylist() == [200]


def test_a_new_metric_moves_no_other_figure(monkeypatch):
    before = zero_shot_rows(ASKED, spec=SPEC)
    plain = rows_module.zero_shot

    def more(labels, *, rngs, **rest):
        rngs["share_answered_true"].random(1000)  # whatever another metric draws
        return plain(labels, rngs=rngs, **rest)

    monkeypatch.setattr(rows_module, "zero_shot", more)
    after = zero_shot_rows(ASKED, spec=SPEC)
    for name in set(ZERO_SHOT_METRICS) - {"share_answered_true"}:
        assert where(before, metric=name).equals(where(after, metric=name))
    assert not where(before, metric="share_answered_true").equals(where(after, metric="share_answered_true"))


def test_generators_differ_by_seed_test_set_and_metric():
    def first(**changed):
        given = {"spec": SPEC, "test_set": "a", "metric": "auroc", **changed}
        return metric_generator(given["spec"], test_set=given["test_set"], metric=given["metric"]).integers(
            2**62
        )

    other = SPEC.model_copy(update={"seed": 7})
    drawn = [first(), first(test_set="b"), first(metric="accuracy"), first(spec=other)]
    assert len(set(drawn)) == 4
    assert first() == drawn[0]


def test_two_variants_in_one_table_are_kept_apart():
    table = separation_rows(
        pa.concat_tables([embeddings(variant="m@untuned"), embeddings(variant="m@paper", shift=5.0)]),
        spec=SPEC,
    )
    assert [(row["variant"], row["model"], row["experiment"]) for row in table.to_pylist()[::2]] == [
        ("m@paper", "m", "paper"),
        ("m@untuned", "m", "untuned"),
    ]


@pytest.mark.parametrize("make", [separation_rows, probe_rows, cluster_rows])
def test_broken_embeddings_raise_and_name_the_variant_and_test_set(make):
    rows = embeddings().to_pylist()
    rows[3]["embedding"][0] = float("nan")
    broken = pa.Table.from_pylist(rows, schema=TABLES["inference.embeddings"].arrow)
    with pytest.raises(
        EvaluationError, match=r"inference\.embeddings of m@untuned on published.*not_finite 1"
    ):
        make(broken, spec=SPEC)


@pytest.mark.parametrize("make", [separation_rows, probe_rows, cluster_rows])
def test_one_label_raises(make):
    with pytest.raises(EvaluationError, match="60 true and 0 false"):
        make(where(embeddings(), label=1), spec=SPEC)


@pytest.mark.parametrize("make", [separation_rows, probe_rows, cluster_rows, zero_shot_rows])
def test_no_rows_raise(make):
    table = ASKED if make is zero_shot_rows else TWO
    with pytest.raises(EvaluationError, match="found no rows"):
        make(table.slice(0, 0), spec=SPEC)
