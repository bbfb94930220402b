"""Content hashes: the data version of every table is the SHA-256 of its rows, whatever file they stand in.

Two tables have the same hash exactly when they have the same columns, types, rows and row order. Chunking,
slices, file layout, compression and the bits under a null don't enter it. Memory: one column at a time.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.warehouse.schemas import TableSchema

__all__ = ["content_hash", "file_sha256", "files_sha256"]


def content_hash(table: pa.Table, *, schema: TableSchema | None = None) -> str:
    """Return the SHA-256 (hex) of a table's rows.

    :param table: shape (rows, columns)
    :param schema: hash only its versioned columns, in its order and types; without it, all columns as they are
    :raises KeyError: if a versioned column is missing
    :raises TypeError: if a column has a type that no schema has, such as binary
    """
    if schema is not None:
        names = schema.versioned_columns
        table = table.select(names).cast(pa.schema([schema.arrow.field(name) for name in names]))
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_dictionary(column.type):  # a way to store the values, not another content
            column = column.cast(column.type.value_type)  # noqa: PLW2901 - the same column, plain
        digest.update(f"{name}\x1f{column.type}\x1f{len(column)}\x1e".encode())
        _update(digest, column)
    return digest.hexdigest()


def _update(digest: Any, values: pa.ChunkedArray) -> None:
    # Chunks are never joined: a column of text may be longer than the 2 GB that one Arrow array can hold.
    digest.update(np.packbits(_numpy(pc.is_valid(values))).tobytes())
    kind = values.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        digest.update(_numpy(pc.fill_null(pc.list_value_length(values), 0)).astype("<i8").tobytes())
        _update(digest, pc.list_flatten(values))
        return
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        digest.update(_numpy(pc.fill_null(pc.binary_length(values), 0)).astype("<i8").tobytes())
        for chunk in values.chunks:
            filled = pc.fill_null(chunk, "").cast(pa.large_binary())
            if len(filled):
                offsets = np.frombuffer(filled.buffers()[1], dtype="<i8")
                first, last = offsets[filled.offset], offsets[filled.offset + len(filled)]
                digest.update(memoryview(filled.buffers()[2] or b"")[first:last])
        return
    if pa.types.is_boolean(kind):
        digest.update(np.packbits(_numpy(pc.fill_null(values, False))).tobytes())  # noqa: FBT003
        return
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("us", tz=kind.tz)).cast(pa.int64())
    if pa.types.is_floating(values.type):
        # one bit pattern for every NaN and one for zero
        for chunk in values.chunks:
            with np.errstate(invalid="ignore"):  # a signalling NaN
                reals = pc.fill_null(chunk, 0.0).to_numpy(zero_copy_only=False) + 0.0
            reals[np.isnan(reals)] = np.nan
            digest.update(reals.data)
        return
    if not pa.types.is_integer(values.type):
        raise TypeError(f"no content hash for columns of {kind}: the schemas have none")
    digest.update(_numpy(pc.fill_null(values, 0)).astype("<i8").tobytes())


def _numpy(values: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    return values.to_numpy()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: list[Path], *, root: Path, instead: Mapping[Path, bytes] | None = None) -> str:
    """Return one SHA-256 (hex) over several files: their names below ``root`` and their bytes, by name.

    :param instead: bytes that stand for a file's own
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        given = (instead or {}).get(path)
        content = file_sha256(path) if given is None else hashlib.sha256(given).hexdigest()
        digest.update(f"{path.relative_to(root).as_posix()}\x1f{content}\x1e".encode())
    return digest.hexdigest()
