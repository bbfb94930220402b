import dataclasses

import pyarrow as pa
import pytest

from bioalign_assets.curation.quality import (
    QUALITY_CHECKS,
    label_balance,
    no_positive_among_negatives,
    no_text_in_both_splits,
    text_form,
    unique_pairs,
)
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.curation.helpers import build, spec_of

SCHEMA = TABLES["curation.pairs"].arrow


@pytest.fixture(scope="module")
def good(small):
    return build(small, spec=spec_of())


def row_of(pairs, **values):
    """The first row that has these values."""
    return next(row for row in pairs.to_pylist() if all(row[name] == value for name, value in values.items()))


def with_rows(pairs, *rows):
    return pa.concat_tables([pairs, pa.Table.from_pylist(list(rows), schema=SCHEMA)])


@pytest.mark.parametrize("check", QUALITY_CHECKS.values(), ids=QUALITY_CHECKS)
def test_a_good_dataset_passes(good, check):
    finding = check(good)
    assert finding.passed
    assert finding.summary
    assert all(type(value) is int for value in finding.counts.values())
    with pytest.raises(dataclasses.FrozenInstanceError):
        finding.passed = False


@pytest.mark.parametrize("check", QUALITY_CHECKS.values(), ids=QUALITY_CHECKS)
def test_checks_survive_an_empty_table(check):
    assert check(SCHEMA.empty_table()).passed is (check is not label_balance)


@pytest.mark.parametrize("check", QUALITY_CHECKS.values(), ids=QUALITY_CHECKS)
def test_chunks_don_t_matter(good, check):
    assert check(pa.concat_tables([good.slice(0, 5), good.slice(5)])) == check(good)


def test_checks_are_named_after_their_functions():
    assert list(QUALITY_CHECKS) == [
        "label_balance", "unique_pairs", "no_positive_among_negatives", "no_text_in_both_splits", "text_form",
    ]  # fmt: skip


def test_label_balance_counts_each_split(good):
    assert label_balance(good).counts == {
        "positives": 600, "negatives": 600,
        "train_positives": 480, "train_negatives": 480, "test_positives": 120, "test_negatives": 120,
    }  # fmt: skip
    finding = label_balance(good.slice(1))
    assert not finding.passed
    assert {finding.counts["positives"], finding.counts["negatives"]} == {599, 600}
    assert "599" in finding.summary


def test_unique_pairs_counts_repeats_after_the_first(good):
    row = row_of(good, split="train")
    finding = unique_pairs(with_rows(good, row, row | {"label": 1 - row["label"]}))
    assert not finding.passed
    assert finding.counts == {"rows": 1202, "repeated": 2}


def test_no_positive_among_negatives(good):
    false_row = row_of(good, label=1) | {"label": 0, "label_source": "generated"}
    finding = no_positive_among_negatives(with_rows(good, false_row))
    assert not finding.passed
    assert finding.counts == {"negatives": 601, "mislabelled": 1}


def test_no_text_in_both_splits(good):
    leaked = row_of(good, split="train") | {"split": "test"}
    finding = no_text_in_both_splits(with_rows(good, leaked, leaked))
    assert not finding.passed
    assert finding.counts == {"test_texts": 241, "texts_in_both_splits": 1}


@pytest.mark.parametrize(
    "text", ["", "TNF causes Asthma", "TNF is associated with  Asthma", "tnf is associated with Asthma"]
)
def test_text_form(good, text):
    finding = text_form(
        with_rows(good, row_of(good) | {"gene_symbol": "TNF", "disease_name": "Asthma", "text": text})
    )
    assert not finding.passed
    assert finding.counts == {"rows": 1201, "malformed": 1, "blank": 0}


@pytest.mark.parametrize(("gene", "disease"), [("", "Asthma"), ("TNF", " "), ("\t", "")])
def test_blank_names(good, gene, disease):
    row = row_of(good) | {
        "gene_symbol": gene,
        "disease_name": disease,
        "text": f"{gene} is associated with {disease}",
    }
    finding = text_form(with_rows(good, row))
    assert not finding.passed
    assert finding.counts == {"rows": 1201, "malformed": 0, "blank": 1}
