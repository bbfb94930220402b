"""Tuned against untuned: which rows are matched, what the figures are, and what raises."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.comparisons import COMPARED_METRICS, LEAST_COMMON_ROWS, comparison_rows
from bioalign_assets.evaluation.edge_separation import edge_rows
from bioalign_assets.evaluation.metrics import METRICS, embedding_rows, zero_shot_rows
from bioalign_assets.evaluation.quality import changes_are_in_range
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import answers, named_study, where

SPEC = EvaluationSpec(sample_size=60, resamples=200, map_size=30)
UNTUNED, TUNED = "m@untuned", "m@paper"


def given(*, rows=80, test_sets=("published",), prompts=("unseen", "training"), skill=2.0):
    """The inference tables of both variants, and the pairs; the tuned one knows more."""
    tables = {"answers": [], "embeddings": [], "names": [], "pairs": []}
    for number, variant in enumerate((UNTUNED, TUNED)):
        for test_set in test_sets:
            embeddings, names, pairs, _ = named_study(
                rows=rows, variant=variant, test_set=test_set, seed=10 + number, shift=0.2 + 2 * number
            )
            tables["embeddings"].append(embeddings)
            tables["names"].append(names)
            if number == 0:
                tables["pairs"].append(pairs)
            for place, prompt in enumerate(prompts):
                tables["answers"].append(
                    answers(
                        rows=rows,
                        skill=skill * number,
                        seed=10 * number + place,
                        variant=variant,
                        test_set=test_set,
                        prompt=prompt,
                    )
                )
    return {name: pa.concat_tables(parts) for name, parts in tables.items()}


def compare(tables, *, spec=SPEC, tuned=TUNED, untuned=UNTUNED):
    return comparison_rows(**tables, tuned=tuned, untuned=untuned, spec=spec)


def keep(tables, keep_row, *, of=TUNED, names=("answers", "embeddings")):
    """The tables, with only those rows of one variant that a function of the row number accepts."""
    changed = dict(tables)
    for name in names:
        table = tables[name]
        chosen = [
            variant != of or keep_row(number)
            for variant, number in zip(
                table["variant"].to_pylist(), table["row_number"].to_pylist(), strict=True
            )
        ]
        changed[name] = table.filter(pa.array(chosen))
    return changed


@pytest.fixture(scope="module")
def tables():
    return given(test_sets=("published", "held-out"))


@pytest.fixture(scope="module")
def compared(tables):
    return compare(tables)


def test_every_compared_metric_has_a_row_by_test_set_and_prompt(compared):
    assert compared.schema == TABLES["evaluation.comparisons"].arrow
    keys = [(row["test_set"], row["prompt"], row["metric"]) for row in compared.to_pylist()]
    assert len(keys) == len(set(keys))
    assert {metric for *_, metric in keys} == set(COMPARED_METRICS) <= set(METRICS)
    without_prompt = {metric for _, prompt, metric in keys if prompt is None}
    assert without_prompt == {
        "kg_separation_signed", "probe_cv_accuracy", "probe_cv_auroc", "edge_separation", "edge_auroc",
    }  # fmt: skip
    assert len(keys) == 2 * (2 * (len(COMPARED_METRICS) - 5) + 5)
    assert set(compared["variant"].to_pylist()) == {TUNED}
    assert set(compared["n"].to_pylist()) == {80}
    finding = changes_are_in_range(compared)
    assert finding.passed, finding.summary


def test_mcnemar_is_for_shares_of_answers_and_of_the_probe(compared):
    kinds = {row["metric"]: row["test"] for row in compared.to_pylist()}
    by_mcnemar = {metric for metric, kind in kinds.items() if kind.startswith("mcnemar")}
    assert by_mcnemar == {"accuracy", "share_answered_true", "probe_cv_accuracy"}


def test_where_both_were_asked_the_same_rows_the_figures_are_those_of_the_metric_tables(tables, compared):
    figures = pa.concat_tables(
        [
            zero_shot_rows(tables["answers"], spec=SPEC),
            *(
                embedding_rows(tables["embeddings"], table=f"evaluation.{name}", spec=SPEC)
                for name in ("kg_separation", "embedding_probe")
            ),
            edge_rows(tables["embeddings"], names=tables["names"], pairs=tables["pairs"], spec=SPEC),
        ],
        promote_options="default",
    )
    values = {
        (row["variant"], row["test_set"], row["prompt"], row["metric"]): row["value"]
        for row in figures.to_pylist()
    }
    for row in compared.to_pylist():
        key = (row["test_set"], row["prompt"], row["metric"])
        assert row["untuned"] == pytest.approx(values[UNTUNED, *key], abs=1e-12)
        assert row["tuned"] == pytest.approx(values[TUNED, *key], abs=1e-12)


def test_a_model_that_learned_is_seen_and_one_that_did_not_is_not(compared):
    learned = where(compared, test_set="published", prompt="unseen", metric="auroc").to_pylist()[0]
    assert learned["change"] > 0.2
    assert learned["change_ci_low"] > 0
    assert learned["p_value"] == pytest.approx(2 / 201)
    tables = given(skill=0.0)
    same = {**tables, "answers": _as_tuned(tables["answers"])}
    for row in where(compare(same), prompt="unseen").to_pylist():
        assert (row["change"], row["change_ci_low"], row["change_ci_high"], row["p_value"]) == (0, 0, 0, 1)


def _as_tuned(table):
    """The untuned answers, given by the tuned variant too."""
    rows = where(table, variant=UNTUNED).to_pylist()
    copies = [row | {"variant": TUNED, "experiment": "paper"} for row in rows]
    return pa.Table.from_pylist(rows + copies, schema=table.schema)


@pytest.mark.parametrize("of", [UNTUNED, TUNED])
def test_only_common_rows_count(of):
    tables = given()
    fewer = keep(tables, lambda number: number % 10 != 3, of=of)
    found = compare(fewer)
    assert set(found["n"].to_pylist()) == {72}
    other = TUNED if of == UNTUNED else UNTUNED
    both = keep(fewer, lambda number: number % 10 != 3, of=other)
    assert found.equals(compare(both))


def test_storage_order_means_nothing(tables, compared):
    rng = np.random.default_rng(0)
    shuffled = {name: table.take(rng.permutation(len(table))) for name, table in tables.items()}
    assert compare(shuffled).equals(compared)


def test_another_test_set_moves_no_figure(tables, compared):
    alone = {
        name: where(table, **{"dataset" if name == "pairs" else "test_set": "published"})
        for name, table in tables.items()
    }
    assert compare(alone).equals(where(compared, test_set="published"))


def test_only_common_test_sets_and_prompts_are_compared(tables):
    answers_ = tables["answers"]
    asked_less = answers_.filter(
        pc.invert(pc.and_(pc.equal(answers_["variant"], UNTUNED), pc.equal(answers_["prompt"], "training")))
    )
    embeddings = tables["embeddings"]
    embedded_less = embeddings.filter(
        pc.invert(
            pc.and_(pc.equal(embeddings["variant"], UNTUNED), pc.equal(embeddings["test_set"], "held-out"))
        )
    )
    found = compare({**tables, "answers": asked_less, "embeddings": embedded_less})
    assert {(row["test_set"], row["prompt"]) for row in found.to_pylist()} == {
        ("published", "unseen"), ("held-out", "unseen"), ("published", None),
    }  # fmt: skip


def test_another_seed_gives_other_intervals(tables, compared):
    other = compare(tables, spec=SPEC.model_copy(update={"seed": 7}))
    assert set(other["seed"].to_pylist()) == {7}
    assert not other["change_ci_low"].equals(compared["change_ci_low"])


@pytest.mark.parametrize("gone", [UNTUNED, TUNED])
@pytest.mark.parametrize("table", ["answers", "embeddings"])
def test_a_variant_without_rows_is_named(tables, gone, table):
    rows = tables[table].filter(pc.not_equal(tables[table]["variant"], gone))
    with pytest.raises(
        EvaluationError, match=rf"no rows of {gone}.*Materialise inference/{table} for {gone}"
    ):
        compare({**tables, table: rows})


def test_no_common_test_set_is_told():
    tables = given()
    answers_ = tables["answers"].to_pylist()
    moved = [row | ({"test_set": "other"} if row["variant"] == TUNED else {}) for row in answers_]
    rows = pa.Table.from_pylist(moved, schema=tables["answers"].schema)
    with pytest.raises(
        EvaluationError, match=r"no common test_set and prompt.*published/unseen.*other/unseen"
    ):
        compare({**tables, "answers": rows})


def test_a_test_set_with_too_few_common_rows_is_left_out():
    """A tuned variant is spared what it was trained on: that must not stop what can be compared, nor the report."""
    tables = given()
    enough = keep(tables, lambda number: number < LEAST_COMMON_ROWS)
    assert set(compare(enough)["n"].to_pylist()) == {LEAST_COMMON_ROWS}
    none = compare(keep(tables, lambda number: number < LEAST_COMMON_ROWS - 1))
    assert none.schema == TABLES["evaluation.comparisons"].arrow
    assert len(none) == 0


@pytest.mark.parametrize(("column", "value"), [("pair_id", "f" * 16), ("label", None)])
def test_rows_of_one_number_that_are_other_statements_raise(column, value):
    tables = given()
    rows = tables["answers"].to_pylist()
    rows[0][column] = 1 - rows[0]["label"] if value is None else value
    broken = pa.Table.from_pylist(rows, schema=tables["answers"].schema)
    with pytest.raises(EvaluationError, match=f"different {column}"):
        compare({**tables, "answers": broken})


def test_one_label_raises():
    tables = given(rows=120)
    with pytest.raises(EvaluationError, match="60 true and 0 false"):
        compare(keep(tables, lambda number: number % 2 == 1))
