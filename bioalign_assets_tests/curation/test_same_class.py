from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.curation import same_class as module
from bioalign_assets.curation.classes import class_matrix, disease_classes
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.curation.positives import stable_positives
from bioalign_assets.curation.same_class import same_class
from bioalign_assets.curation.universe import universe_of
from bioalign_assets.errors import CurationError
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.curation.helpers import CLASSES, associations, classes_of, synthetic

NONE = np.empty(0, dtype=np.int64)
SPEC = DatasetSpec(name="classed", sampler="stable", split="pair", negatives="same-class")


@pytest.fixture(scope="module")
def many():
    return universe_of(stable_positives(synthetic(n_genes=150, n_diseases=120, rows=1500)))


def flags_of(found, *, number, without=0):
    """One or two classes for each disease but the first few."""
    generator = np.random.default_rng(5)
    flags = np.zeros((len(found.diseases), number), dtype=bool)
    for _ in range(2):
        flags[np.arange(len(flags)), generator.integers(0, number, size=len(flags))] = True
    flags[:without] = False
    return flags


def assert_good(found, negatives, *, positives, flags, taken=NONE):
    codes = negatives @ [len(found.diseases), 1]
    assert len(set(codes.tolist())) == len(positives)
    assert not found.is_true(codes).any()
    assert not set(codes.tolist()) & set(taken.tolist())
    true = {}
    for gene, disease in found.positives.tolist():
        true.setdefault(gene, np.zeros(flags.shape[1], dtype=bool))
        true[gene] |= flags[disease]
    assert all((true[gene] & flags[disease]).any() for gene, disease in negatives.tolist())


def unmatched(positives, negatives, *, column):
    return (Counter(negatives[:, column].tolist()) - Counter(positives[:, column].tolist())).total()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("number", [1, 5, 20])
def test_every_negative_shares_a_class_and_names_stand_as_often(many, seed, number):
    flags = flags_of(many, number=number)
    negatives = same_class(many, positives=many.positives, taken=NONE, classes=flags, seed=seed)
    assert_good(many, negatives, positives=many.positives, flags=flags)
    for column in (0, 1):
        assert unmatched(many.positives, negatives, column=column) < 0.02 * len(negatives)
    # classes too: none of them tells the labels apart
    share = [flags[pairs[:, 1]].mean(axis=0) for pairs in (many.positives, negatives)]
    assert np.abs(share[0] - share[1]).max() < 0.02


def test_diseases_without_a_class_are_no_negatives_and_others_fill_in(many):
    flags = flags_of(many, number=5, without=20)
    negatives = same_class(many, positives=many.positives, taken=NONE, classes=flags, seed=1)
    assert_good(many, negatives, positives=many.positives, flags=flags)
    classless = (many.positives[:, 1] < 20).sum()
    assert classless > 100
    assert classless <= unmatched(many.positives, negatives, column=1) < classless + 30


def test_what_others_took_is_left_alone(many):
    flags = flags_of(many, number=3)
    half = many.positives[::2], many.positives[1::2]
    first = same_class(many, positives=half[0], taken=NONE, classes=flags, seed=1)
    taken = np.sort(first @ [len(many.diseases), 1])
    second = same_class(many, positives=half[1], taken=taken, classes=flags, seed=1)
    assert_good(many, second, positives=half[1], flags=flags, taken=taken)


@pytest.mark.parametrize("block", [1, 500, 1 << 18])
def test_blocks_don_t_matter(many, monkeypatch, block):
    flags = flags_of(many, number=5, without=20)
    whole = same_class(many, positives=many.positives, taken=NONE, classes=flags, seed=1)
    monkeypatch.setattr(module, "_BLOCK", block)
    assert np.array_equal(
        same_class(many, positives=many.positives, taken=NONE, classes=flags, seed=1), whole
    )


@settings(deadline=None, max_examples=100)
@given(
    pairs=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=15),
    kinds=st.lists(st.integers(0, 2), min_size=6, max_size=6),
    seed=st.integers(0, 99),
)
def test_as_many_as_asked_or_an_error_that_counts_the_candidates(pairs, kinds, seed):
    found = universe_of(
        stable_positives(associations([(f"G{gene}", f"D{disease}") for gene, disease in pairs]))
    )
    # class 0 is none
    flags = np.array(
        [[kinds[int(name[1:])] == kind for kind in (1, 2)] for name in found.diseases.to_pylist()]
    )
    true = set(map(tuple, found.positives.tolist()))
    candidates = {
        (gene, other)
        for gene, disease in true
        for other in range(len(found.diseases))
        if (flags[disease] & flags[other]).any()
    } - true
    try:
        negatives = same_class(found, positives=found.positives, taken=NONE, classes=flags, seed=seed)
    except CurationError as error:
        assert len(candidates) < len(true)
        assert f"found {len(candidates)} pairs that are not curated" in str(error)  # noqa: PT017
    else:
        assert len(candidates) >= len(true)
        assert_good(found, negatives, positives=found.positives, flags=flags)
        assert set(map(tuple, negatives.tolist())) <= candidates


def test_without_medic_the_dataset_says_which_setting_it_takes(small):
    for classes in (None, CLASSES.empty_table()):
        with pytest.raises(CurationError, match="BIOALIGN_CTD_DISEASES_SOURCE") as caught:
            build_dataset(small, spec=SPEC, classes=classes)
        assert "all others run without" in str(caught.value)


def test_a_medic_of_another_release_is_an_error(small):
    foreign = classes_of(synthetic(n_genes=5, n_diseases=5, rows=20), dataset="classed")
    foreign = foreign.set_column(
        1, CLASSES.field(1), pc.binary_join_element_wise(foreign["disease_id"], "x", "-")
    )
    with pytest.raises(CurationError, match="none of the 40 of the release among them"):
        build_dataset(small, spec=SPEC, classes=foreign)


def diseases_table(*rows):
    names = ("disease_id", "disease_name", "alternative_ids", "parent_ids", "tree_numbers", "classes")
    rows = [dict(zip(names, (row[0], row[0].lower(), row[1], [], [], row[2]), strict=True)) for row in rows]
    return pa.Table.from_pylist(rows, schema=TABLES["ctd.diseases"].arrow)


def test_classes_stand_under_every_identifier_once():
    table = diseases_table(
        ("MESH:1", ["OMIM:1", "OMIM:2"], ["Cancer", "Skin disease"]),
        ("MESH:2", ["OMIM:1"], ["Cancer"]),
        ("MESH:3", [], []),
    )
    found = disease_classes(table, dataset="a")
    assert found.schema.equals(CLASSES)
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("a", disease_id, name)
        for disease_id, names in (
            ("MESH:1", ["Cancer", "Skin disease"]),
            ("MESH:2", ["Cancer"]),
            ("OMIM:1", ["Cancer", "Skin disease"]),
            ("OMIM:2", ["Cancer", "Skin disease"]),
        )
        for name in names
    ]
    matrix = class_matrix(found, disease_ids=pa.array(["MESH:3", "OMIM:1", "MESH:2"]))
    assert matrix.tolist() == [[False, False], [True, True], [True, False]]


def test_a_medic_without_classes_is_an_error():
    with pytest.raises(CurationError, match="1 diseases, none of them with a class"):
        disease_classes(diseases_table(("MESH:1", [], [])), dataset="a")


def test_a_synonym_in_medic_changes_nothing_of_the_classes():
    rows = ("MESH:1", ["OMIM:1"], ["Cancer"])
    table = diseases_table(rows)
    renamed = table.set_column(1, table.schema.field(1), pa.array(["another name"]))
    assert disease_classes(renamed, dataset="a").equals(disease_classes(table, dataset="a"))
