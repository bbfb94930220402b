import pyarrow as pa
import pytest

from bioalign_assets.curation.promises import (
    classes_shared,
    entities_held_out,
    frequencies_match,
    promises_kept,
)
from bioalign_assets_tests.curation.helpers import CLASSES, build, classes_of, spec_of

STABLE, MATCHED, CLASSED = (
    spec_of(negatives=kind, name=kind) for kind in ("uniform", "degree-matched", "same-class")
)
HELD, PUBLISHED_HELD = spec_of(split="entity", held_out_share=0.3), spec_of("published", split="entity")


@pytest.fixture(scope="module")
def classes(small):
    return classes_of(small, dataset=CLASSED.name)


def changed(pairs, row, **values):
    """The rows with one of them changed."""
    rows = pairs.to_pylist()
    rows[row] |= values
    return pa.Table.from_pylist(rows, schema=pairs.schema)


def place(pairs, **values):
    """Where the first row with these values stands."""
    return next(
        n
        for n, row in enumerate(pairs.to_pylist())
        if all(row[name] == value for name, value in values.items())
    )


def test_each_kind_keeps_what_it_promises(small, classes):
    for spec, kept in ((MATCHED, 1), (CLASSED, 1), (HELD, 1), (PUBLISHED_HELD, 1), (STABLE, 0)):
        findings = list(promises_kept(build(small, spec=spec), spec=spec, classes=classes))
        assert len(findings) == kept
        assert all(finding.passed for finding in findings)
        assert all(type(count) is int for finding in findings for count in finding.counts.values())


def test_one_gene_more_among_the_negatives_is_found(small):
    pairs = build(small, spec=MATCHED)
    for split in ("train", "test"):
        row = place(pairs, label=0, split=split)
        symbol = "G1" if pairs["gene_symbol"][row].as_py() != "G1" else "G2"
        finding = frequencies_match(changed(pairs, row, gene_symbol=symbol), spec=MATCHED)
        assert not finding.passed
        assert finding.counts == {
            f"{s}_{kind}_unmatched": int(s == split and kind == "genes")
            for s in ("train", "test")
            for kind in ("genes", "diseases")
        }


def test_a_row_in_the_other_split_is_found(small):
    pairs = build(small, spec=MATCHED)
    finding = frequencies_match(
        changed(pairs, place(pairs, label=1, split="test"), split="train"), spec=MATCHED
    )
    assert not finding.passed
    assert set(finding.counts.values()) == {1}


def test_frequencies_of_other_datasets_are_told_and_not_judged(small):
    finding = frequencies_match(build(small, spec=STABLE), spec=STABLE)
    assert finding.passed
    assert finding.summary.startswith("Not promised by this dataset; ")
    assert finding.counts["train_genes_unmatched"] > 50


def test_a_negative_of_a_foreign_class_is_found(small, classes):
    pairs = build(small, spec=CLASSED)
    row = place(pairs, label=0)
    gene = pairs["gene_symbol"][row].as_py()
    true = [r["disease_id"] for r in pairs.to_pylist() if r["gene_symbol"] == gene and r["label"]]
    mine = pairs["disease_id"][row].as_py()
    # the gene's own classes go to its true diseases, one of its own to this one
    rows = [r for r in classes.to_pylist() if r["disease_id"] not in {mine, *true}]
    rows += [{"dataset": CLASSED.name, "disease_id": each, "disease_class": "Class 0"} for each in true]
    rows.append({"dataset": CLASSED.name, "disease_id": mine, "disease_class": "Class of its own"})
    before = classes_shared(pairs, spec=CLASSED, classes=classes)
    finding = classes_shared(pairs, spec=CLASSED, classes=pa.Table.from_pylist(rows, schema=CLASSES))
    assert before.passed
    assert before.counts["without_shared_class"] == 0
    assert not finding.passed
    assert finding.counts["without_shared_class"] >= 1
    assert "share no class with a true disease of their gene" in finding.summary


def test_no_classes_fail_only_who_needs_them(small):
    empty = CLASSES.empty_table()
    assert not classes_shared(build(small, spec=CLASSED), spec=CLASSED, classes=empty).passed
    assert classes_shared(build(small, spec=STABLE), spec=STABLE, classes=empty).passed


@pytest.mark.parametrize("spec", [HELD, PUBLISHED_HELD], ids=lambda spec: spec.name)
def test_a_test_gene_in_training_is_found(small, spec):
    pairs = build(small, spec=spec)
    gene = pairs["gene_symbol"][place(pairs, unseen="gene")].as_py()
    finding = entities_held_out(changed(pairs, place(pairs, split="train"), gene_symbol=gene), spec=spec)
    assert not finding.passed
    assert finding.counts["test_rows_with_both_seen"] > 0


@pytest.mark.parametrize(("was", "says"), [("gene", "both"), ("both", "disease"), ("disease", None)])
def test_a_row_that_says_something_else_is_found(small, was, says):
    pairs = build(small, spec=HELD)
    finding = entities_held_out(changed(pairs, place(pairs, unseen=was), unseen=says), spec=HELD)
    assert not finding.passed
    assert finding.counts["rows_that_say_otherwise"] == 1


def test_a_lopsided_part_is_found_but_for_the_published_sampler(small):
    pairs = build(small, spec=HELD)
    row = place(pairs, unseen="both", label=0)
    lopsided = pa.Table.from_pylist(
        [r for n, r in enumerate(pairs.to_pylist()) if n != row], schema=pairs.schema
    )
    assert not entities_held_out(lopsided, spec=HELD).passed
    counts = entities_held_out(build(small, spec=PUBLISHED_HELD), spec=PUBLISHED_HELD).counts
    assert counts["unseen_gene"] + counts["unseen_disease"] + counts["unseen_both"] > 0


def test_pair_splits_promise_nothing_about_names(small):
    finding = entities_held_out(build(small, spec=STABLE), spec=STABLE)
    assert finding.passed
    assert "Not promised" in finding.summary
