"""What rows must be to be stored."""

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse.conform import conform
from bioalign_assets.warehouse.schemas import TABLES, Column, TableSchema

from ._make import CHANGES, EMBEDDINGS, changes, embeddings, rows_of

_THING = TableSchema(
    room="test", name="thing", row="One thing", unique=("name",),
    columns=(
        Column(name="name", type=pa.string(), meaning="Name"),
        Column(name="count", type=pa.int64(), meaning="How many", minimum=0, maximum=10),
        Column(name="share", type=pa.float64(), meaning="Share", minimum=0, maximum=1, nullable=True),
        Column(name="kind", type=pa.string(), meaning="Kind", allowed=("a", "b"), nullable=True),
        Column(name="labels", type=pa.list_(pa.string()), meaning="Labels"),
        Column(name="vector", type=pa.list_(pa.float32()), meaning="Vector"),
        Column(name="when", type=pa.timestamp("us", tz="UTC"), meaning="When", nullable=True),
    ),
)  # fmt: skip
_GOOD = {
    "name": "x", "count": 1, "share": 0.5, "kind": "a", "labels": ["l"], "vector": [1.0],
    "when": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
}  # fmt: skip


def _table(**changed):
    row = _GOOD | changed
    return pa.Table.from_pylist([row, _GOOD | {"name": "y"}])


def _refused(table, *, schema=_THING):
    with pytest.raises(WarehouseError) as error:
        conform(table, schema=schema)
    return str(error.value)


def test_good_rows_come_back_with_the_exact_schema():
    assert conform(_table(), schema=_THING).schema.equals(_THING.arrow)


def test_columns_are_put_in_the_order_of_the_schema():
    table = _table()
    assert conform(table.select(table.column_names[::-1]), schema=_THING).equals(
        conform(table, schema=_THING)
    )


def test_rows_are_put_in_the_order_of_the_unique_columns():
    table = pa.Table.from_pylist([_GOOD | {"name": name} for name in "zax"])
    assert conform(table, schema=_THING)["name"].to_pylist() == ["a", "x", "z"]


def test_rows_without_a_unique_column_keep_their_order():
    table = pa.concat_tables([changes(n=1, mark=9), changes(n=1, mark=1), changes(n=1, mark=5)])
    assert conform(table, schema=CHANGES)["gene_id"].to_pylist() == [9, 1, 5]


def test_an_empty_table_is_fine():
    assert len(conform(_THING.arrow.empty_table(), schema=_THING)) == 0


def test_a_missing_column_is_named():
    assert "missing: ['share']" in _refused(_table().drop_columns(["share"]))


def test_an_unknown_column_is_named():
    assert "unknown: ['extra']" in _refused(_table().append_column("extra", pa.array([1, 2])))


def test_a_repeated_column_is_named():
    assert "repeated: ['name']" in _refused(_table().append_column("name", pa.array(["p", "q"])))


def test_the_error_says_which_table():
    assert "Table test.thing" in _refused(_table().drop_columns(["share"]))


@pytest.mark.parametrize("column", ["name", "count", "labels", "vector"])
def test_an_empty_value_where_one_must_be_is_counted(column):
    told = _refused(_table(**{column: None}))
    assert f"column {column}" in told
    assert "1 empty values" in told


@pytest.mark.parametrize("column", ["share", "kind", "when"])
def test_an_empty_value_may_be_where_the_schema_says_so(column):
    assert conform(_table(**{column: None}), schema=_THING)[column].null_count == 1


def test_a_column_of_reals_may_be_empty_from_top_to_bottom():
    table = _table().set_column(2, "share", pa.nulls(2, pa.float64()))
    assert conform(table, schema=_THING)["share"].null_count == 2


def test_a_column_of_untyped_nulls_converts():
    table = _table().set_column(2, "share", pa.nulls(2))
    assert conform(table, schema=_THING)["share"].type == pa.float64()


def test_a_value_that_is_not_allowed_is_shown():
    told = _refused(_table(kind="c"))
    assert "the values ['c']" in told
    assert "expected a, b" in told


@pytest.mark.parametrize(
    ("column", "value"), [("count", -1), ("count", 11), ("share", -0.01), ("share", 1.01)]
)
def test_a_value_beyond_the_range_is_shown(column, value):
    told = _refused(_table(**{column: value}))
    assert f"column {column}" in told
    assert str(value) in told


@pytest.mark.parametrize(("column", "value"), [("count", 0), ("count", 10), ("share", 0.0), ("share", 1.0)])
def test_the_ends_of_a_range_belong_to_it(column, value):
    assert value in conform(_table(**{column: value}), schema=_THING)[column].to_pylist()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_finite_number_is_refused(value):
    assert "not finite" in _refused(_table(share=value))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_a_vector_with_what_is_no_finite_number_is_refused(value):
    assert "column vector" in _refused(_table(vector=[1.0, value]))


@pytest.mark.parametrize(("column", "value"), [("labels", ["a", None]), ("vector", [None])])
def test_an_empty_value_within_a_list_is_refused(column, value):
    told = _refused(_table(**{column: value}))
    assert "within lists" in told
    assert column in told


def test_an_empty_list_is_fine():
    assert [] in conform(_table(labels=[]), schema=_THING)["labels"].to_pylist()


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("count", ["many", "few"]), ("count", [1.5, 2.0]), ("share", ["half", "all"]), ("labels", [1, 2]),
        ("labels", ["a", "b"]), ("vector", [["x"], ["y"]]), ("when", ["soon", "later"]), ("name", [[1], [2]]),
    ],
)  # fmt: skip
def test_a_type_that_does_not_convert_is_refused(column, values):
    index = _THING.arrow.get_field_index(column)
    told = _refused(_table().set_column(index, column, pa.array(values)))
    assert "does not convert" in told


def test_an_integer_that_is_too_long_is_refused():
    schema = TABLES["inference.embeddings"]
    table = embeddings("a@b").set_column(6, "label", pa.array([0, 1, 300], type=pa.int64()))
    with pytest.raises(WarehouseError, match="does not convert"):
        conform(table, schema=schema)


def test_text_as_large_strings_or_dictionaries_converts():
    table = embeddings("a@b")
    plain = conform(table, schema=EMBEDDINGS)
    for index, type_ in ((0, pa.large_string()), (1, pa.dictionary(pa.int32(), pa.string()))):
        table = table.set_column(index, table.column_names[index], table.column(index).cast(type_))
    assert conform(table, schema=EMBEDDINGS).equals(plain)


@pytest.mark.parametrize("name", TABLES)
@given(data=st.data())
@settings(deadline=None, max_examples=10)
def test_what_a_schema_allows_is_accepted_and_conforming_again_changes_nothing(name, data):
    schema = TABLES[name]
    once = conform(data.draw(rows_of(schema, partition="p")), schema=schema)
    assert conform(once, schema=schema).equals(once)
    assert once.schema.equals(schema.arrow)
