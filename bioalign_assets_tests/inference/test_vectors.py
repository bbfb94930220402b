"""Embeddings from Arrow: chunks, slices, number types, and everything that can be wrong with them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.errors import EvaluationError
from bioalign_assets.inference import vectors
from bioalign_assets.inference.vectors import embedding_faults, embedding_matrix, unit_vectors

FLOATS = pa.list_(pa.float32())


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 7), st.integers(0, 10))
def test_matrix_is_what_went_in_however_it_is_chunked(rows, width, chunk, offset):
    values = np.random.default_rng(0).normal(size=(rows + offset, width)).astype(np.float32)
    whole = pa.array(list(values), FLOATS)
    column = pa.chunked_array([whole.slice(start, chunk) for start in range(0, len(whole), chunk)]).slice(
        offset
    )
    matrix = embedding_matrix(column)
    assert np.array_equal(matrix, values[offset:])
    assert matrix.dtype == np.float32


def test_fixed_size_lists_and_doubles_are_read_too():
    values = np.random.default_rng(0).normal(size=(6, 3))
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 3)
    assert np.array_equal(embedding_matrix(column.slice(2)), values[2:])


def test_more_rows_than_are_read_at_once(monkeypatch):
    monkeypatch.setattr(vectors, "_ROWS_AT_ONCE", 4)
    values = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
    assert np.array_equal(embedding_matrix(pa.array(list(values), FLOATS)), values)


BROKEN = {
    "missing": [[1.0, 2.0], None, []],
    "not_finite": [[1.0, float("nan")], [float("inf"), 1.0], [1.0, 1.0]],
    "zero_norm": [[0.0, 0.0], [-0.0, 0.0], [1.0, 1.0]],
    "dimensions": [[1.0], [1.0, 2.0]],
}


@pytest.mark.parametrize("fault", BROKEN)
def test_each_fault_is_counted_and_raises(fault):
    column = pa.array(BROKEN[fault], FLOATS)
    faults = embedding_faults(column)
    assert faults[fault] == 2
    others = {name: count for name, count in faults.items() if name not in {fault, "dimensions"}}
    assert not any(others.values())
    with pytest.raises(EvaluationError, match=f"{fault} 2"):
        embedding_matrix(column, subject="embeddings of m@x")


def test_faults_are_found_behind_the_first_block(monkeypatch):
    monkeypatch.setattr(vectors, "_ROWS_AT_ONCE", 2)
    column = pa.array([[1.0, 1.0]] * 5 + [[float("nan"), 0.0]] + [[0.0, 0.0]], FLOATS)
    assert embedding_faults(column) == {"missing": 0, "not_finite": 1, "zero_norm": 1, "dimensions": 1}


def test_no_rows_raise():
    with pytest.raises(EvaluationError, match="0 rows"):
        embedding_matrix(pa.array([], FLOATS))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_tiny_and_huge_float32_vectors_keep_their_direction(scale):
    matrix = np.array([[3.0, 4.0], [-4.0, 3.0]]) * scale
    assert unit_vectors(matrix.astype(np.float32)) == pytest.approx(
        np.array([[0.6, 0.8], [-0.8, 0.6]]), rel=1e-6
    )


@pytest.mark.parametrize("bad", [[1.0, np.nan, 1.0], [1.0, -np.inf, 1.0], [0.0, 0.0, 0.0]])
def test_a_vector_that_is_not_finite_or_has_no_length_has_no_direction(bad):
    with pytest.raises(EvaluationError, match="1 of 4 vectors"):
        unit_vectors(np.vstack([np.ones((2, 3)), bad, np.ones(3)]))
