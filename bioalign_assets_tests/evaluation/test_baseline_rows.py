"""The rows of the baselines: scopes, the parts of an entity split, link prediction, and what raises."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bioalign_assets.errors import CurationError
from bioalign_assets.evaluation import baseline_rows as module
from bioalign_assets.evaluation.baseline_rows import LEAST_PART, baseline_rows
from bioalign_assets.evaluation.baselines import BASELINES, LINK_BASELINES
from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.link_metrics import LINK_METRICS
from bioalign_assets.evaluation.zero_shot import ZERO_SHOT_METRICS
from bioalign_assets.inference.sample import evaluation_sample
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import pairs, popular_pairs

SPEC = EvaluationSpec(sample_size=100, resamples=100, map_size=40, link_queries=12, link_candidates=6)
LINK = {declared["name"] for declared in LINK_METRICS}


def where(table, **values):
    for name, value in values.items():
        table = table.filter(pc.equal(table[name], value))
    return table


def test_baseline_rows_on_sample_and_full():
    table = popular_pairs(rows=3000)
    rows = baseline_rows(table, dataset_spec_sampler="stable", spec=SPEC)
    assert rows.schema == TABLES["evaluation.baselines"].arrow
    answered = rows.filter(pc.is_in(rows["metric"], pa.array(ZERO_SHOT_METRICS)))
    assert len(answered) == 2 * len(ZERO_SHOT_METRICS) * len(BASELINES)
    assert set(rows["model"].to_pylist()) == set(BASELINES)
    for name, value in {
        "dataset": "toy",
        "test_set": "toy",
        "experiment": "baseline",
        "prompt": None,
    }.items():
        assert set(rows[name].to_pylist()) == {value}
    assert set(where(rows, scope="full")["n"].to_pylist()) == {600}
    assert set(where(answered, scope="sample")["n"].to_pylist()) == {100}
    assert where(rows, scope="full", metric="auroc", model="popularity")["value"][0].as_py() > 0.8


@pytest.mark.parametrize("sampler", ["published", "stable"])
def test_the_baseline_is_scored_on_the_very_rows_of_the_sample(monkeypatch, sampler):
    table = popular_pairs(rows=3000)
    sample = evaluation_sample(table, size=100, seed=42, sampler=sampler)
    chosen = set(sample["row_number"].to_pylist())

    def score(rows):
        right = np.isin(rows["row_number"].to_numpy(), list(chosen))
        return np.where(right, rows["label"].to_numpy(), 1 - rows["label"].to_numpy()).astype(float)

    monkeypatch.setattr(module, "BASELINES", {"oracle": lambda *_, **__: score})
    rows = baseline_rows(table, dataset_spec_sampler=sampler, spec=SPEC)
    assert where(rows, scope="sample", metric="accuracy")["value"].to_pylist() == [1.0]
    assert where(rows, scope="full", metric="accuracy")["value"].to_pylist() == [pytest.approx(100 / 600)]


def test_several_datasets_raise():
    both = pa.concat_tables([popular_pairs(), popular_pairs(dataset="other")])
    with pytest.raises(EvaluationError, match="2 datasets"):
        baseline_rows(both, dataset_spec_sampler="stable", spec=SPEC)


def test_test_rows_of_one_label_raise():
    rows = [("A", "x", 1, "train"), ("B", "y", 0, "train"), ("A", "y", 1, "test"), ("B", "x", 1, "test")]
    with pytest.raises(CurationError, match="2 true and 0 false"):
        baseline_rows(pairs(rows), dataset_spec_sampler="stable", spec=SPEC)


def test_a_baseline_that_scores_too_few_rows_raises(monkeypatch):
    monkeypatch.setattr(module, "BASELINES", {"short": lambda *_, **__: lambda _: np.zeros(3)})
    with pytest.raises(ValueError, match="baseline short returned shape"):
        baseline_rows(popular_pairs(), dataset_spec_sampler="stable", spec=SPEC)


def entity_pairs(parts):
    """An entity split in miniature: training rows, and test rows of each part, (part, true, false) many."""
    rows = [(f"G{i % 30}", f"D{(i * 7) % 31}", i % 2, "train") for i in range(400)]
    unseen = [None] * len(rows)
    for part, true, false in parts:
        for place in range(true + false):
            gene = f"new{part}{place}" if part != "disease" else f"G{place % 30}"
            disease = f"new {part} {place}" if part != "gene" else f"D{place % 31}"
            rows.append((gene, disease, int(place < true), "test"))
            unseen.append(part)
    table = pairs(rows)
    place = table.schema.get_field_index("unseen")
    return table.set_column(place, table.schema.field(place), pa.array(unseen, pa.string()))


def test_an_entity_split_has_figures_of_its_parts():
    table = entity_pairs([("gene", 30, 25), ("disease", 40, 20), ("both", 10, 15)])
    rows = baseline_rows(table, dataset_spec_sampler="stable", spec=SPEC)
    counts = {
        scope: set(where(rows, scope=scope, metric="accuracy")["n"].to_pylist())
        for scope in ("gene-unseen", "disease-unseen", "both-unseen", "full")
    }
    assert counts == {"gene-unseen": {55}, "disease-unseen": {60}, "both-unseen": {25}, "full": {140}}
    assert rows.schema == TABLES["evaluation.baselines"].arrow
    # nothing is known of either name: every such pair is alike to popularity
    both = where(rows, scope="both-unseen", metric="auroc", model="popularity")
    assert both["value"].to_pylist() == [0.5]


def test_parts_add_up_to_the_whole():
    table = entity_pairs([("gene", 30, 25), ("disease", 40, 20), ("both", 10, 15)])
    rows = where(baseline_rows(table, dataset_spec_sampler="stable", spec=SPEC), metric="accuracy")
    for name in BASELINES:
        own = where(rows, model=name)
        right = {
            scope: where(own, scope=scope)["value"][0].as_py() * where(own, scope=scope)["n"][0].as_py()
            for scope in ("gene-unseen", "disease-unseen", "both-unseen", "full")
        }
        assert sum(right.values()) == pytest.approx(2 * right["full"])


@pytest.mark.parametrize(
    ("small", "is_there"),
    [
        (("both", LEAST_PART - 5, 4), False), (("both", LEAST_PART - 5, 5), True),
        (("both", 40, 0), False), (("both", 0, 40), False),
    ],
)  # fmt: skip
def test_a_part_of_few_rows_or_one_label_is_left_out(small, is_there):
    table = entity_pairs([("gene", 30, 25), small])
    rows = baseline_rows(table, dataset_spec_sampler="stable", spec=SPEC)
    assert ("both-unseen" in rows["scope"].to_pylist()) == is_there
    assert "gene-unseen" in rows["scope"].to_pylist()
    assert "disease-unseen" not in rows["scope"].to_pylist()


def test_other_splits_have_no_parts():
    rows = baseline_rows(popular_pairs(), dataset_spec_sampler="stable", spec=SPEC)
    assert set(rows["scope"].to_pylist()) == {"sample", "full"}


def test_those_that_rank_have_all_of_link_predictions_figures_and_no_other_has():
    rows = baseline_rows(popular_pairs(rows=3000), dataset_spec_sampler="stable", spec=SPEC)
    for name in BASELINES:
        found = where(rows, model=name)
        ranked = found.filter(pc.is_in(found["metric"], pa.array(sorted(LINK))))
        assert set(ranked["metric"].to_pylist()) == (LINK if name in LINK_BASELINES else set())
        assert set(ranked["scope"].to_pylist()) <= {"sample"}
        assert set(ranked["n"].to_pylist()) <= {12}


def test_few_drawn_candidates_are_easier_than_all():
    rows = baseline_rows(popular_pairs(rows=3000), dataset_spec_sampler="stable", spec=SPEC)
    for name in LINK_BASELINES:
        value = {row["metric"]: row["value"] for row in where(rows, model=name).to_pylist()}
        for target in ("disease", "gene"):
            assert value[f"{target}_mrr_sampled"] > value[f"{target}_mrr"]
            assert (
                value[f"{target}_hits_at_1"] <= value[f"{target}_hits_at_3"] <= value[f"{target}_hits_at_10"]
            )
            assert value[f"{target}_hits_at_10_sampled"] == 1  # of seven candidates


def test_the_settings_of_the_queries_move_no_other_figure():
    table = popular_pairs(rows=3000)
    one = baseline_rows(table, dataset_spec_sampler="stable", spec=SPEC)
    other = SPEC.model_copy(update={"link_queries": 20, "link_candidates": 9})
    two = baseline_rows(table, dataset_spec_sampler="stable", spec=other)
    mask = [pc.invert(pc.is_in(rows["metric"], pa.array(sorted(LINK)))) for rows in (one, two)]
    assert one.filter(mask[0]).equals(two.filter(mask[1]))
    assert not one.equals(two)
