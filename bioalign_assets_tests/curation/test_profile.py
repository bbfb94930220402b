import statistics
from collections import Counter

import pyarrow as pa
import pytest

from bioalign_assets.curation.profile import (
    TOP,
    evidence_counts,
    most_frequent,
    profile_dataset,
    text_lengths,
)
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.curation.helpers import build, classes_of, spec_of

SCHEMA = TABLES["curation.pairs"].arrow


@pytest.fixture(scope="module", params=["pair", "entity"])
def pairs(request, small):
    return build(small, spec=spec_of("published", split=request.param, name="a"))


def values(pairs, section):
    return {
        row["name"]: row["value"] for row in profile_dataset(pairs).to_pylist() if row["section"] == section
    }


def made_of(*rows):
    """Rows of (gene, disease, label, split, pubmed ids)."""
    records = [
        {
            "dataset": "a", "row_number": n, "pair_id": str(n),
            "gene_symbol": gene, "gene_id": 1, "disease_name": disease, "disease_id": "MESH:D1",
            "text": f"{gene} is associated with {disease}", "pubmed_ids": ids,
            "label": label, "label_source": "ctd" if label else "generated", "split": split, "unseen": None,
        }
        for n, (gene, disease, label, split, ids) in enumerate(rows)
    ]  # fmt: skip
    return pa.Table.from_pylist(records, schema=SCHEMA)


def test_table_fits_its_schema_and_names_are_unique(pairs):
    profile = profile_dataset(pairs)
    profile.validate(full=True)
    assert profile.schema.equals(TABLES["curation.profile"].arrow)
    keys = [(row["dataset"], row["section"], row["name"]) for row in profile.to_pylist()]
    assert len(set(keys)) == len(keys)
    assert all(column.null_count == 0 for column in profile.columns)
    assert all(profile["unit"].to_pylist())


def test_figures_agree_with_the_rows_counted_by_hand(pairs):
    rows = pairs.to_pylist()
    lengths = [len(row["text"]) for row in rows]
    assert values(pairs, "text_length") == pytest.approx(
        {
            "mean": statistics.mean(lengths),
            "median": statistics.median(lengths),
            "min": min(lengths),
            "max": max(lengths),
            "sd": statistics.stdev(lengths),
        }
    )
    assert values(pairs, "size") == {
        "rows": 1200,
        "positives": 600,
        "negatives": 600,
        "genes": len({row["gene_symbol"] for row in rows}),
        "diseases": len({row["disease_name"] for row in rows}),
    }
    train, test = ([row for row in rows if row["split"] == split] for split in ("train", "test"))
    unseen = {
        column: {row[column] for row in test} - {row[column] for row in train}
        for column in ("gene_symbol", "disease_name")
    }
    with_gene = [row["gene_symbol"] in unseen["gene_symbol"] for row in test]
    with_disease = [row["disease_name"] in unseen["disease_name"] for row in test]
    assert values(pairs, "split") == {
        "train_rows": len(train),
        "train_positives": sum(row["label"] for row in train),
        "train_negatives": sum(1 - row["label"] for row in train),
        "test_rows": len(test),
        "test_positives": sum(row["label"] for row in test),
        "test_negatives": sum(1 - row["label"] for row in test),
        "genes_only_in_test": len(unseen["gene_symbol"]),
        "diseases_only_in_test": len(unseen["disease_name"]),
        "test_rows_with_unseen_gene": sum(with_gene),
        "test_rows_with_unseen_disease": sum(with_disease),
        "test_rows_with_unseen_gene_or_disease": sum(map(max, zip(with_gene, with_disease, strict=True))),
    }


@pytest.mark.parametrize(("kind", "column"), [("gene", "gene_symbol"), ("disease", "disease_name")])
def test_the_most_frequent_come_first(pairs, kind, column):
    counts = Counter(pairs[column].to_pylist())
    found = values(pairs, f"most_frequent_{kind}")
    assert len(found) == TOP
    assert list(found.values()) == sorted(counts.values(), reverse=True)[:TOP]
    assert all(counts[name] == count for name, count in found.items())


def test_evidence_is_that_of_positives():
    pairs = made_of(
        ("A", "X", 1, "train", ["1", "2", "3"]), ("B", "X", 1, "test", []), ("C", "X", 1, "test", ["7"]),
        ("A", "Y", 0, "train", []), ("B", "Y", 0, "train", []), ("C", "Y", 0, "train", []),
    )  # fmt: skip
    assert evidence_counts(pairs).tolist() == [3, 0, 1]
    assert values(pairs, "evidence") == pytest.approx(
        {"mean": 4 / 3, "median": 1, "max": 3, "more_than_one": 1, "none": 1}
    )


def test_equally_frequent_names_go_by_positives_then_by_name():
    pairs = made_of(
        ("D", "X", 0, "train", []), ("C", "X", 1, "train", []),
        ("B", "X", 1, "train", []), ("A", "X", 0, "train", []),
    )  # fmt: skip
    assert most_frequent(pairs, column="gene_symbol") == [("B", 1), ("C", 1), ("A", 1), ("D", 1)]
    assert most_frequent(pairs, column="gene_symbol", top=1) == [("B", 1)]


def test_lengths_are_characters_not_bytes():
    assert text_lengths(made_of(("β", "é", 1, "train", []))).tolist() == [22]


def test_one_row_has_no_spread():
    assert values(made_of(("A", "X", 1, "train", [])), "text_length")["sd"] == 0


def test_tables_that_are_no_dataset_are_refused(pairs):
    two = pa.concat_tables(
        [made_of(("A", "X", 1, "train", [])), pairs.set_column(0, SCHEMA.field(0), pa.repeat("b", 1200))]
    )
    with pytest.raises(ValueError, match="the table holds 2"):
        profile_dataset(two)
    with pytest.raises(ValueError, match="the table holds 0"):
        profile_dataset(SCHEMA.empty_table())
    with pytest.raises(ValueError, match="holds no positive"):
        profile_dataset(made_of(("A", "X", 0, "train", [])))


KINDS = {kind: spec_of(negatives=kind, name="a") for kind in ("uniform", "degree-matched", "same-class")}
KINDS["entity"] = spec_of(split="entity", held_out_share=0.3, name="a")


@pytest.mark.parametrize("kind", KINDS)
def test_unmatched_frequencies_are_those_counted_by_hand(small, kind):
    pairs = build(small, spec=KINDS[kind])
    found = values(pairs, "frequency")
    for split in ("train", "test"):
        for kinds, column in (("genes", "gene_symbol"), ("diseases", "disease_name")):
            counts = [
                Counter(
                    row[column] for row in pairs.to_pylist() if (row["split"], row["label"]) == (split, label)
                )
                for label in (0, 1)
            ]
            assert found[f"{split}_{kinds}_unmatched"] == (counts[0] - counts[1]).total()
    assert (set(found.values()) == {0}) == (kind == "degree-matched")


def test_parts_of_an_entity_split_are_told_and_no_other_dataset_has_them(small):
    pairs = build(small, spec=KINDS["entity"])
    found = values(pairs, "unseen")
    rows = pairs.to_pylist()
    for kind in ("gene", "disease", "both"):
        for label, name in ((1, "positives"), (0, "negatives")):
            assert (
                found[f"{kind}_{name}"]
                == sum((row["unseen"], row["label"]) == (kind, label) for row in rows)
                > 0
            )
    assert found["test_share"] == pytest.approx(100 * sum(row["split"] == "test" for row in rows) / len(rows))
    assert values(build(small, spec=KINDS["uniform"]), "unseen") == {}


def test_classes_are_told_where_there_are_some(small):
    pairs = build(small, spec=KINDS["same-class"])
    lacking = sorted(set(small["disease_id"].to_pylist()))[:3]
    classes = classes_of(small, dataset="a", without=lacking)
    profile = profile_dataset(pairs, classes=classes)
    found = {row["name"]: row["value"] for row in profile.to_pylist() if row["section"] == "classes"}
    assert found == {
        "classes": 4,
        "positives_without_class": sum(
            r["label"] == 1 and r["disease_id"] in lacking for r in pairs.to_pylist()
        ),
        "negatives_without_class": sum(
            r["label"] == 0 and r["disease_id"] in lacking for r in pairs.to_pylist()
        ),
    }
    assert values(pairs, "classes") == {}
