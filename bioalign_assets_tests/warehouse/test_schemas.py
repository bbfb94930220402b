"""The schemas themselves: complete, and in the form that the rest relies on."""

import re

import pyarrow as pa
import pytest

from bioalign_assets.settings import PROJECT_ROOT
from bioalign_assets.warehouse.catalogue import sql_type
from bioalign_assets.warehouse.dictionary import data_dictionary
from bioalign_assets.warehouse.schemas import TABLES, Column, TableSchema


@pytest.mark.parametrize("schema", TABLES.values(), ids=TABLES)
def test_a_table_says_what_a_row_is_and_has_the_columns_of_its_key(schema):
    assert schema.row
    assert schema.row[0].isupper()
    assert set(schema.unique) <= set(schema.by_name)
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", schema.full_name)


@pytest.mark.parametrize("schema", TABLES.values(), ids=TABLES)
def test_each_column_says_what_it_means_and_has_a_type_that_duckdb_has(schema):
    for column in schema.columns:
        assert len(column.meaning) > 5
        assert not column.meaning.endswith(".")
        assert sql_type(column.type)
        if column.minimum is not None and column.maximum is not None:
            assert column.minimum < column.maximum


@pytest.mark.parametrize("schema", TABLES.values(), ids=TABLES)
def test_something_enters_the_data_version(schema):
    assert schema.versioned_columns


@pytest.mark.parametrize("schema", TABLES.values(), ids=TABLES)
def test_column_names_are_distinct(schema):
    assert len(schema.arrow.names) == len(set(schema.arrow.names))


def test_a_partition_column_can_hold_no_empty_value():
    for schema in TABLES.values():
        if schema.partitioned_by:
            column = schema.by_name[schema.partitioned_by]
            assert column.type == pa.string()
            assert not column.nullable


def test_a_key_with_an_unknown_column_is_refused():
    column = Column(name="a", type=pa.string(), meaning="A")
    with pytest.raises(ValueError, match="no such columns: \\['b'\\]"):
        TableSchema(room="r", name="t", row="R", columns=(column,), unique=("b",))


def test_a_partition_by_an_unknown_column_is_refused():
    column = Column(name="a", type=pa.string(), meaning="A")
    with pytest.raises(ValueError, match="variant"):
        TableSchema(room="r", name="t", row="R", columns=(column,), partitioned_by="variant")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, ""), ({"unit": "s"}, "s"), ({"minimum": 0}, "0 …"), ({"minimum": 0, "maximum": 1}, "0 … 1"),
        ({"maximum": 2.5}, "… 2.5"), ({"unit": "bytes", "minimum": 1}, "bytes, 1 …"), ({"allowed": (0, 1)}, "0, 1"),
    ],
)  # fmt: skip
def test_the_range_is_told(more, told):
    assert Column(name="a", type=pa.int64(), meaning="A", **more).unit_or_range == told


def test_a_table_without_rows_is_a_fault_but_where_that_is_an_answer():
    assert {name for name, schema in TABLES.items() if schema.may_be_empty} == {
        "ctd.changes", "evaluation.comparisons", "evaluation.graph_alignment_changes", "evaluation.medic_alignment",
        "alignment.rewirings", "inference.layer_alignment", "evaluation.graph_alignment",
        "evaluation.graph_alignment_layers", "evaluation.graph_alignment_baselines",
        "report.improvements", "report.seeds",
    }  # fmt: skip


def test_the_data_dictionary_is_of_these_schemas():
    """A range or a meaning that changes shows in the page that people read, never in a table alone."""
    page = PROJECT_ROOT / "docs" / "data_dictionary.md"
    assert page.read_text(encoding="utf-8") == data_dictionary()
