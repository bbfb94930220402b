"""Rows for tests of the warehouse, and what their processes run."""

import multiprocessing
import sys
import time
from pathlib import Path

import pyarrow as pa
from hypothesis import strategies as st

from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse.catalogue import open_catalogue, rebuild_catalogue
from bioalign_assets.warehouse.schemas import TABLES, Column, TableSchema
from bioalign_assets.warehouse.tables import Tables

EMBEDDINGS = TABLES["inference.embeddings"]
CHANGES = TABLES["ctd.changes"]
SPAWN = multiprocessing.get_context("spawn")


def embeddings(variant: str, *, n: int = 3, mark: float = 0.0, width: int = 4) -> pa.Table:
    """Rows of one variant; all of them bear the mark, so that a mixture of two writes shows."""
    model, experiment = variant.split("@")
    return pa.Table.from_pylist(
        [
            {
                "variant": variant, "model": model, "experiment": experiment, "test_set": "published",
                "row_number": i, "pair_id": f"{i:016x}", "label": i % 2, "embedding": [mark] * width,
            }
            for i in range(n)
        ],
        schema=EMBEDDINGS.arrow,
    )  # fmt: skip


def changes(*, n: int = 3, mark: int = 1) -> pa.Table:
    """Rows of an unpartitioned table without a key."""
    return pa.Table.from_pylist(
        [
            {
                "change": "added", "gene_symbol": f"G{i}", "gene_id": mark, "disease_name": "D",
                "disease_id": "MESH:D1", "detail": None,
            }
            for i in range(n)
        ],
        schema=CHANGES.arrow,
    )  # fmt: skip


def _values(type_: pa.DataType, column: Column) -> st.SearchStrategy:
    if column.allowed is not None:
        return st.sampled_from(column.allowed)
    if pa.types.is_list(type_):
        return st.lists(_values(type_.value_type, column), max_size=4)
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return _numbers(type_, column)
    return {
        pa.string(): st.text(max_size=12),
        pa.bool_(): st.booleans(),
        pa.timestamp("us", tz="UTC"): st.integers(0, 4_000_000_000_000_000),
    }[type_]


def _numbers(type_: pa.DataType, column: Column) -> st.SearchStrategy:
    low, high = column.minimum, column.maximum
    if pa.types.is_integer(type_):
        return st.integers(-(2**63) if low is None else int(low), 2**63 - 1 if high is None else int(high))
    width = 32 if pa.types.is_float32(type_) else 64
    return st.floats(low, high, width=width, allow_nan=False, allow_infinity=False)


@st.composite
def rows_of(draw, schema: TableSchema, *, partition: str | None = None, max_size: int = 6) -> pa.Table:
    """Any rows that a schema allows."""
    n = draw(st.integers(0, max_size))
    columns = {}
    for column in schema.columns:
        values = _values(column.type, column)
        if column.nullable:
            values = st.none() | values
        drawn = draw(st.lists(values, min_size=n, max_size=n))
        if column.name == schema.partitioned_by:
            drawn = [partition] * n
        columns[column.name] = pa.array(drawn, type=column.type)
    return pa.table(columns, schema=schema.arrow)


def in_processes(jobs, *, timeout: float = 120) -> list:
    """Run (function, arguments) pairs at once in fresh processes; return what they report, in order."""
    queue = SPAWN.Queue()
    go = SPAWN.Event()
    processes = [
        SPAWN.Process(target=_reported, args=(queue, go, number, function, arguments))
        for number, (function, arguments) in enumerate(jobs)
    ]
    for process in processes:
        process.start()
    for _ in processes:
        queue.get(timeout=timeout)  # ready
    go.set()
    found = dict(queue.get(timeout=timeout) for _ in processes)
    for process in processes:
        process.join(timeout)
    return [found[number] for number in range(len(processes))]


def _reported(queue, go, number, function, arguments):
    queue.put(number)
    go.wait()
    try:
        told = function(*arguments)
    except BaseException as error:  # noqa: BLE001 - delta-rs panics with one; the test looks at it
        told = f"{type(error).__name__}: {error}"
    queue.put((number, told))


def overwrite(root: Path, variant: str, marks: list[float]) -> int:
    """Write a partition again and again; each time with another number of rows."""
    for i, mark in enumerate(marks):
        Tables(root).write(embeddings(variant, n=2 + i % 3, mark=mark), schema=EMBEDDINGS, partition=variant)
    return len(marks)


def overwrite_whole(root: Path, marks: list[int]) -> int:
    for i, mark in enumerate(marks):
        Tables(root).write(changes(n=2 + i % 3, mark=mark), schema=CHANGES)
    return len(marks)


def read_on(root: Path, seconds: float, variants: list[str]) -> dict:
    """Read in a loop; tell how often, and each reading that is no single write's rows."""
    tables, bad, reads, end = Tables(root), [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        rows = tables.read(EMBEDDINGS).to_pylist()
        reads += 1
        for variant in variants:
            of = [row for row in rows if row["variant"] == variant]
            marks = {row["embedding"][0] for row in of}
            numbers = [row["row_number"] for row in of]
            if len(marks) > 1 or numbers != list(range(len(of))):
                bad.append((variant, marks, numbers))
    return {"reads": reads, "bad": bad}


def create_all(root: Path) -> int:
    tables = Tables(root)
    return len([tables.create(schema) for schema in TABLES.values()])


def rebuild(root: Path, times: int) -> int:
    for _ in range(times):
        rebuild_catalogue(Tables(root))
    return times


def query_on(root: Path, seconds: float) -> dict:
    """Open the catalogue and query it in a loop; tell the errors."""
    import duckdb

    errors, queries, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with open_catalogue(root) as session:
                session.execute("SELECT count(*) FROM inference.embeddings").fetchall()
        except (duckdb.Error, WarehouseError) as error:
            errors.append(str(error))
        queries += 1
    return {"queries": queries, "errors": errors}


def rebuild_and_hang(root: Path, started) -> None:
    """Hold the lock of a rebuild with its files half written, until killed."""
    from bioalign_assets.warehouse import catalogue

    def hang(path, **_more):
        path.write_bytes(b"half")
        path.with_name(path.name + ".wal").write_bytes(b"half")
        started.set()
        time.sleep(600)

    sys.argv = ["/usr/bin/bioalign", "run", "--of=nobody"]
    catalogue._build = hang
    catalogue.rebuild_catalogue(Tables(root))
