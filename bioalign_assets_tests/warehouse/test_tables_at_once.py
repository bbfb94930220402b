"""Tables in several processes at once: no conflict, no bad read, no row too many."""

from deltalake import DeltaTable

from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

from ._make import (
    CHANGES,
    EMBEDDINGS,
    changes,
    create_all,
    embeddings,
    in_processes,
    overwrite,
    overwrite_whole,
    read_on,
)


def test_processes_write_their_own_partitions_while_another_reads(tmp_path):
    variants = ["a@x", "b@x", "c@x"]
    for variant in variants:
        Tables(tmp_path).write(embeddings(variant, mark=-1), schema=EMBEDDINGS, partition=variant)
    *written, reading = in_processes(
        [(overwrite, (tmp_path, variant, list(range(10)))) for variant in variants]
        + [(read_on, (tmp_path, 3.0, variants))]
    )
    assert written == [10, 10, 10]
    assert reading["bad"] == []
    assert reading["reads"] > 2
    rows = Tables(tmp_path).read(EMBEDDINGS)
    assert {row["embedding"][0] for row in rows.to_pylist()} == {9.0}
    assert len(rows) == 3 * 2


def test_first_writers_of_different_partitions_all_keep_their_rows(tmp_path):
    variants = [f"m{i}@x" for i in range(4)]
    told = in_processes([(overwrite, (tmp_path, variant, [i])) for i, variant in enumerate(variants)])
    assert told == [1] * 4
    rows = Tables(tmp_path).read(EMBEDDINGS).to_pylist()
    found = {(row["variant"], row["embedding"][0]) for row in rows}
    assert found == {(variant, float(i)) for i, variant in enumerate(variants)}


def test_of_writers_of_the_same_partition_one_write_stands_whole(tmp_path):
    told = in_processes([(overwrite, (tmp_path, "a@x", [10.0 * i + j for j in range(6)])) for i in range(3)])
    assert told == [6] * 3
    rows = Tables(tmp_path).read(EMBEDDINGS).to_pylist()
    marks = {row["embedding"][0] for row in rows}
    assert len(marks) == 1
    # the last write of any process: another process can't bring an earlier one back
    assert marks <= {5.0, 15.0, 25.0}
    assert len(rows) == 2 + 5 % 3
    assert len(DeltaTable(Tables(tmp_path).folder(EMBEDDINGS)).history()) == 1 + 18


def test_of_first_writers_of_an_unpartitioned_table_one_write_stands_whole(tmp_path):
    assert in_processes([(overwrite_whole, (tmp_path, [i])) for i in range(1, 4)]) == [1] * 3
    marks = Tables(tmp_path).read(CHANGES)["gene_id"].to_pylist()
    assert len(marks) == 2
    assert len(set(marks)) == 1


def test_of_writers_of_an_unpartitioned_table_one_write_stands_whole(tmp_path):
    Tables(tmp_path).write(changes(), schema=CHANGES)
    told = in_processes([(overwrite_whole, (tmp_path, [10 * i + j for j in range(5)])) for i in range(1, 4)])
    assert told == [5] * 3
    marks = Tables(tmp_path).read(CHANGES)["gene_id"].to_pylist()
    assert set(marks) <= {14, 24, 34}
    assert len(marks) == 2 + 4 % 3


def test_processes_create_the_tables_at_once(tmp_path):
    assert in_processes([(create_all, (tmp_path,))] * 4) == [len(TABLES)] * 4
    for schema in TABLES.values():
        assert Tables(tmp_path).create(schema).version() == 0
