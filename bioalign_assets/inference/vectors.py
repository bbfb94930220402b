"""Embeddings from their Arrow column to matrices, and what can be wrong with them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.errors import EvaluationError

__all__ = ["embedding_faults", "embedding_matrix", "unit_vectors"]

_ROWS_AT_ONCE = 4096
Matrix = npt.NDArray[np.floating[Any]]


def embedding_faults(column: pa.Array | pa.ChunkedArray) -> dict[str, int]:
    """Count the rows whose embedding can't be used.

    :param column: lists of numbers, one a row
    :returns: ``missing`` (null or empty), ``not_finite`` (holds NaN or infinity), ``zero_norm``,
        and ``dimensions``, the number of different lengths among the others (1 is right)
    """
    missing = not_finite = zero = 0
    lengths: set[int] = set()
    for part in _parts(column):
        length = pc.fill_null(pc.list_value_length(part), 0).to_numpy(zero_copy_only=False)
        empty = length == 0
        values = part.flatten().to_numpy(zero_copy_only=False)
        parents = np.repeat(np.arange(len(part)), length)
        broken = np.zeros(len(part), dtype=bool)
        broken[parents[~np.isfinite(values)]] = True
        has_length = np.zeros(len(part), dtype=bool)
        has_length[parents[values != 0]] = True
        missing += int(empty.sum())
        not_finite += int(broken.sum())
        zero += int((~has_length & ~empty & ~broken).sum())
        lengths.update(np.unique(length[~empty]).tolist())
    return {"missing": missing, "not_finite": not_finite, "zero_norm": zero, "dimensions": len(lengths)}


def embedding_matrix(column: pa.Array | pa.ChunkedArray, *, subject: str = "embeddings") -> Matrix:
    """Return the embeddings as a matrix of the column's number type.

    :param column: lists of numbers, one a row
    :param subject: what is read, for the error
    :returns: shape (rows, dimensions), finite, no row all zero
    :raises EvaluationError: if there are no rows, or rows that can't be used, or rows of several lengths
    """
    faults = embedding_faults(column)
    right = {"missing": 0, "not_finite": 0, "zero_norm": 0, "dimensions": 1}
    if faults != right:
        wrong = ", ".join(f"{name} {count}" for name, count in faults.items() if count != right[name])
        raise EvaluationError(
            subject,
            found=f"{len(column)} rows with {wrong}",
            expected="vectors of one length, all numbers finite and not all of them zero",
            remedy="Embed them again; if it stays, the model overflows in its number type (try bfloat16).",
        )
    parts = list(_parts(column))
    width = int(pc.list_value_length(parts[0])[0].as_py())
    kind = parts[0].type.value_type.to_pandas_dtype()
    matrix = np.empty((len(column), width), dtype=kind)
    start = 0
    for part in parts:
        flat = part.flatten().to_numpy(zero_copy_only=False)
        matrix[start : start + len(part)] = flat.reshape(len(part), width)
        start += len(part)
    return matrix


def unit_vectors(matrix: Matrix) -> npt.NDArray[np.float64]:
    """Return the rows scaled to length one, in double precision.

    :param matrix: shape (n, d)
    :raises EvaluationError: if a row is not finite or has no length
    """
    vectors = np.array(matrix, dtype=np.float64)
    # by the largest entry first: squares of very large or small entries leave the range of doubles
    largest = np.abs(vectors).max(axis=1, initial=0.0, keepdims=True)
    bad = ~(np.isfinite(largest) & (largest > 0)).ravel()
    if bad.any():
        raise EvaluationError(
            "embeddings",
            found=f"{np.count_nonzero(bad)} of {len(vectors)} vectors not finite or of no length",
            expected="finite vectors that are not all zero",
            remedy="Embed the statements again; a cosine with such a vector means nothing.",
        )
    vectors /= largest
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _parts(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return [
        chunk.slice(start, _ROWS_AT_ONCE) for chunk in chunks for start in range(0, len(chunk), _ROWS_AT_ONCE)
    ]
