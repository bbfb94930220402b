"""The declarations, and the rows of the metric tables: what each figure bears, its seed, its group, and what raises."""

import numpy as np
import pyarrow as pa
import pytest

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.alignment_metrics import ALIGNMENT_METRICS
from bioalign_assets.evaluation.answers import ANSWERS
from bioalign_assets.evaluation.clusters import map_rows, map_silhouette_rows
from bioalign_assets.evaluation.edge_separation import edge_rows
from bioalign_assets.evaluation.link_prediction import link_rows
from bioalign_assets.evaluation.metrics import FAMILIES, METRICS, embedding_rows, zero_shot_rows
from bioalign_assets.evaluation.quality import metrics_are_in_range
from bioalign_assets.evaluation.rows import labels_of, metric_generator, metric_rows
from bioalign_assets.evaluation.statistic import Mean
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import answers, embeddings, named_study, rankings, where

SPEC = EvaluationSpec(sample_size=100, resamples=100, map_size=40)
TEST_SETS = {"published": {"rows": 120, "shift": 1.0}, "held-out": {"rows": 80, "shift": 3.0, "seed": 1}}


def of_embeddings(name):
    return lambda rows, *, spec: embedding_rows(rows, table=f"evaluation.{name}", spec=spec, drawn=DRAWN)


def of_map(rows, *, spec):
    return map_silhouette_rows(map_rows(rows, spec=spec), spec=spec)


def of_edges(rows, *, spec):
    """All rows are sampled ones of a study whose names and pairs are there."""
    parts = [named_study(test_set=name, rows=TEST_SETS[name]["rows"]) for name in TEST_SETS]
    names, pairs = (pa.concat_tables([part[place] for part in parts]) for place in (1, 2))
    return edge_rows(rows, names=names, pairs=pairs, spec=spec)


CLOUDS = pa.concat_tables([embeddings(test_set=name, **shape) for name, shape in TEST_SETS.items()])
DRAWN = {
    name: np.random.default_rng(0).permutation(where(CLOUDS, test_set=name)["row_number"])
    for name in TEST_SETS
}
NAMED = pa.concat_tables(
    [named_study(test_set=name, rows=shape["rows"])[0] for name, shape in TEST_SETS.items()]
)
ASKED = pa.concat_tables(
    [answers(test_set=name, rows=shape["rows"], skill=shape["shift"]) for name, shape in TEST_SETS.items()]
)
RANKED = pa.concat_tables(
    [rankings(test_set=name, queries=shape["rows"] // 3) for name, shape in TEST_SETS.items()]
)
MADE = {
    "kg_separation": ("evaluation.kg_separation", of_embeddings("kg_separation"), CLOUDS),
    "embedding_probe": ("evaluation.embedding_probe", of_embeddings("embedding_probe"), CLOUDS),
    "cluster_quality": ("evaluation.cluster_quality", of_embeddings("cluster_quality"), CLOUDS),
    "map": ("evaluation.cluster_quality", of_map, CLOUDS),
    "edges": ("evaluation.kg_separation", of_edges, NAMED),
    "zero_shot": ("evaluation.zero_shot", zero_shot_rows, ASKED),
    "link_prediction": ("evaluation.link_prediction", link_rows, RANKED),
}


@pytest.fixture(scope="module", params=MADE)
def made(request):
    """Table, what makes its rows, what from, and the rows."""
    table, make, given = MADE[request.param]
    return table, make, given, make(given, spec=SPEC)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_is_declared_in_full(metric):
    low, high = metric.range
    assert low < high
    assert metric.direction in {"higher", "lower", "none"}
    for text in (metric.title, metric.formula, metric.source, metric.cannot_tell):
        assert text.strip() == text
        assert len(text) > 3
    assert metric.cannot_tell.endswith(".")
    assert metric.cannot_tell[0].isupper()


def test_every_metric_is_declared_once_and_made_by_someone():
    names = [metric.name for family in FAMILIES for metric in family.metrics]
    of_graphs = {
        metric.name for metric in ALIGNMENT_METRICS
    }  # made for a graph and its nulls: test_graph_alignment
    assert len(names) == len(set(names)) == len(METRICS) - len(of_graphs)
    assert set(METRICS) == of_graphs | set(names)
    emitted = {
        name for _, make, given in MADE.values() for name in make(given, spec=SPEC)["metric"].to_pylist()
    }
    assert emitted == set(names)


def test_rows_bear_the_figures_of_the_families_of_their_table(made):
    table, _, _, rows = made
    assert rows.schema == TABLES[table].arrow
    assert metrics_are_in_range(rows).passed
    found = [(row["test_set"], row["metric"]) for row in rows.to_pylist()]
    assert len(found) == len(set(found))
    metrics = {metric for _, metric in found}
    assert set(found) == {(test_set, metric) for test_set in TEST_SETS for metric in metrics}
    declared = [{metric.name for metric in each.metrics} for each in FAMILIES if each.table == table]
    assert all(family <= metrics or not family & metrics for family in declared)
    told = {name: set(rows[name].to_pylist()) for name in ("variant", "model", "experiment", "scope", "seed")}
    assert told == {
        "variant": {"m@untuned"}, "model": {"m"}, "experiment": {"untuned"}, "scope": {"sample"}, "seed": {42},
    }  # fmt: skip
    assert set(rows["prompt"].to_pylist()) == {"unseen" if "prompt" in made[2].column_names else None}


def test_a_test_set_has_the_same_figures_alone_and_in_any_storage_order(made):
    _, make, given, rows = made
    shuffled = given.take(np.random.default_rng(0).permutation(len(given)))
    assert content_hash(make(shuffled, spec=SPEC)) == content_hash(rows)
    alone = make(where(given, test_set="held-out"), spec=SPEC)
    assert alone.equals(where(rows, test_set="held-out"))


def test_rows_of_kg_separation_say_what_chance_gives_and_those_of_names_don_t():
    columns = ["null_mean", "p_value", "n_true", "n_false"]
    _, make, given = MADE["kg_separation"]
    for row in make(given, spec=SPEC).to_pylist():
        assert 0 < row["p_value"] <= 1
        assert row["n_true"] + row["n_false"] == row["n"]
        assert row["null_mean"] is not None
    _, make, given = MADE["edges"]
    assert make(given, spec=SPEC).select(columns).to_pylist() == [dict.fromkeys(columns)] * 4


def test_two_variants_in_one_table_are_kept_apart():
    make = of_embeddings("kg_separation")
    both = [embeddings(variant="m@untuned"), embeddings(variant="m@paper", shift=5.0)]
    rows = make(pa.concat_tables(both), spec=SPEC)
    for each, variant in zip(both, ("m@untuned", "m@paper"), strict=True):
        assert where(rows, variant=variant).equals(make(each, spec=SPEC))
    assert set(rows["experiment"].to_pylist()) == {"untuned", "paper"}


def test_two_prompts_in_one_table_are_kept_apart():
    both = {"unseen": answers(), "training": answers(prompt="training", skill=3.0, seed=1)}
    rows = zero_shot_rows(pa.concat_tables(both.values()), spec=SPEC)
    for prompt, asked in both.items():
        accuracy = np.mean(asked["predicted"].to_numpy() == asked["label"].to_numpy())
        found = where(rows, prompt=prompt, metric="accuracy").to_pylist()
        assert [(row["value"], row["n"]) for row in found] == [(pytest.approx(accuracy), 200)]


def test_another_seed_gives_other_draws(made):
    _, make, given, rows = made
    other = make(given, spec=SPEC.model_copy(update={"seed": 7}))
    assert not other.drop_columns("seed").equals(rows.drop_columns("seed"))


def test_each_figure_draws_from_its_own_generator():
    """A new metric moves no other figure."""
    values = np.random.default_rng(0).random(50)
    statistics = {name: Mean(values) for name in ("accuracy", "auroc", "share_answered_true")}
    key = {"variant": "m@x", "model": "m", "experiment": "x", "test_set": "published"}
    rows = metric_rows(ANSWERS, statistics=statistics, key=key, spec=SPEC)
    assert len({row["ci_low"] for row in rows}) == 3
    alone = metric_rows(ANSWERS, statistics={"auroc": statistics["auroc"]}, key=key, spec=SPEC)
    assert alone == [rows[1]]
    expected = statistics["auroc"].estimate(
        resamples=100, rng=metric_generator(SPEC, test_set="published", metric="auroc")
    )
    assert (rows[1]["value"], rows[1]["ci_low"], rows[1]["ci_high"], rows[1]["n"]) == tuple(
        vars(expected).values()
    )


def test_generators_differ_by_seed_test_set_and_metric():
    def first(*, spec=SPEC, test_set="a", metric="auroc"):
        return metric_generator(spec, test_set=test_set, metric=metric).integers(2**62)

    other = SPEC.model_copy(update={"seed": 7})
    assert len({first(), first(test_set="b"), first(metric="accuracy"), first(spec=other)}) == 4
    assert first() == first()


def test_a_figure_that_its_family_does_not_declare_never_reaches_a_table():
    with pytest.raises(ValueError, match=r"does not declare.*f7"):
        metric_rows(ANSWERS, statistics={"f7": Mean([1.0])}, key={"test_set": "published"}, spec=SPEC)


@pytest.mark.parametrize("name", ["kg_separation", "embedding_probe", "cluster_quality", "map"])
def test_broken_embeddings_raise_and_name_the_variant_and_test_set(name):
    rows = embeddings().to_pylist()
    rows[3]["embedding"][0] = float("nan")
    broken = pa.Table.from_pylist(rows, schema=TABLES["inference.embeddings"].arrow)
    with pytest.raises(
        EvaluationError, match=r"inference\.embeddings of m@untuned on published.*not_finite 1"
    ):
        MADE[name][1](broken, spec=SPEC)


@pytest.mark.parametrize(
    "name", ["kg_separation", "embedding_probe", "cluster_quality", "map", "edges", "zero_shot"]
)
def test_one_label_raises(name):
    _, make, given = MADE[name]
    with pytest.raises(EvaluationError, match="60 true and 0 false"):
        make(where(given, label=1, test_set="published"), spec=SPEC)


def test_no_rows_raise(made):
    _, make, given, _ = made
    with pytest.raises(EvaluationError, match="found no rows"):
        make(given.slice(0, 0), spec=SPEC)


@pytest.mark.parametrize(
    ("labels", "least", "said"),
    [([1, 1], 1, "2 true and 0 false"), ([1, 0, 1], 2, "at least 2"), ([1, 0, 2], 1, "neither 1 nor 0")],
)
def test_labels_that_can_not_serve_raise(labels, least, said):
    with pytest.raises(EvaluationError, match=said):
        labels_of(pa.table({"label": pa.array(labels, pa.int8())}), subject="t", least=least)


def test_as_many_of_a_label_as_are_needed_will_do():
    table = pa.table({"label": pa.array([1, 0, 1, 0], pa.int8())})
    assert labels_of(table, subject="t", least=2).tolist() == [1, 0, 1, 0]
