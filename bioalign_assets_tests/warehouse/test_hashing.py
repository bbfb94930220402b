"""Content hashes: equal rows, equal hash, however they are stored; other rows, another hash."""

import hashlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.warehouse.hashing import content_hash, file_sha256, files_sha256
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

from ._make import CHANGES, EMBEDDINGS, changes, embeddings, rows_of

_TYPES = {
    "text": (pa.string(), st.text(max_size=6)),
    "large text": (pa.large_string(), st.text(max_size=6)),
    "integer": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "small integer": (pa.int8(), st.integers(-128, 127)),
    "real": (pa.float64(), st.floats(allow_nan=False)),
    "short real": (pa.float32(), st.floats(width=32, allow_nan=False)),
    "flag": (pa.bool_(), st.booleans()),
    "moment": (pa.timestamp("us", tz="UTC"), st.integers(0, 2**50)),
    "texts": (pa.list_(pa.string()), st.lists(st.none() | st.text(max_size=3), max_size=3)),
    "reals": (pa.list_(pa.float32()), st.lists(st.floats(width=32, allow_nan=False), max_size=3)),
    "lists of lists": (
        pa.list_(pa.list_(pa.int64())),
        st.lists(st.lists(st.integers(0, 9), max_size=2), max_size=2),
    ),
}


@st.composite
def _columns(draw, *, min_size: int = 0):
    """Some columns of one length: name to (type, values with empty ones)."""
    kinds = draw(st.lists(st.sampled_from(sorted(_TYPES)), min_size=1, max_size=4))
    n = draw(st.integers(min_size, 8))
    return {
        f"c{i}": (_TYPES[kind][0], draw(st.lists(st.none() | _TYPES[kind][1], min_size=n, max_size=n)))
        for i, kind in enumerate(kinds)
    }


def _table(columns):
    return pa.table({name: pa.array(values, type=type_) for name, (type_, values) in columns.items()})


@given(_columns(), st.lists(st.integers(0, 8), max_size=4))
@settings(deadline=None, max_examples=60)
def test_chunks_and_slices_do_not_matter(columns, cuts):
    table = _table(columns)
    places = [0, *sorted(min(cut, len(table)) for cut in cuts), len(table)]
    pieces = [table.slice(low, high - low) for low, high in pairwise(places)]
    assert content_hash(pa.concat_tables(pieces)) == content_hash(table)
    around = pa.concat_tables([table, table, table]).combine_chunks().slice(len(table), len(table))
    assert content_hash(around) == content_hash(table)


@given(_columns())
@settings(deadline=None, max_examples=40)
def test_the_hash_is_that_of_the_same_values_built_again(columns):
    assert content_hash(_table(columns)) == content_hash(_table(columns))


@given(_columns(min_size=1), _columns(min_size=1))
@settings(deadline=None, max_examples=150)
def test_the_hash_is_the_same_only_for_the_same_content(one, other):
    is_same = _table(one).equals(_table(other))
    assert (content_hash(_table(one)) == content_hash(_table(other))) == is_same


@given(_columns(min_size=1), st.data())
@settings(deadline=None, max_examples=150)
def test_one_changed_value_changes_the_hash(columns, data):
    name = data.draw(st.sampled_from(sorted(columns)))
    type_, values = columns[name]
    place = data.draw(st.integers(0, len(values) - 1))
    strategy = next(strategy for other, strategy in _TYPES.values() if other == type_)
    value = data.draw(st.none() | strategy)
    changed = _table(columns | {name: (type_, [*values[:place], value, *values[place + 1 :]])})
    is_same = changed.equals(_table(columns))
    assert (content_hash(changed) == content_hash(_table(columns))) == is_same


@given(_columns(min_size=2), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_the_order_of_rows_enters(columns, random):
    table = _table(columns)
    order = list(range(len(table)))
    random.shuffle(order)
    moved = table.take(order)
    assert (content_hash(moved) == content_hash(table)) == moved.equals(table)


def test_the_order_and_names_of_columns_enter():
    table = pa.table({"a": [1], "b": [2]})
    others = [table.select(["b", "a"]), table.rename_columns(["a", "c"]), table.select(["a"])]
    assert len({content_hash(each) for each in [table, *others]}) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1], pa.int64()), pa.array([1], pa.int8())),
        (pa.array([1.0], pa.float64()), pa.array([1.0], pa.float32())),
        (pa.array([1], pa.int64()), pa.array([1.0], pa.float64())),
        (pa.array(["1"]), pa.array([1])),
        (pa.array([None], pa.string()), pa.array([""])),
        (pa.array([None], pa.int64()), pa.array([0])),
        (pa.array([None], pa.float64()), pa.array([0.0])),
        (pa.array([None], pa.float64()), pa.array([float("nan")])),
        (pa.array([None], pa.bool_()), pa.array([False])),
        (pa.array([None], pa.list_(pa.string())), pa.array([[]], pa.list_(pa.string()))),
        (pa.array([[None]], pa.list_(pa.string())), pa.array([[""]])),
        (pa.array([[], ["a"]]), pa.array([["a"], []])),
        (pa.array([["a"], ["b", "c"]]), pa.array([["a", "b"], ["c"]])),
        (pa.array([["ab"]]), pa.array([["a", "b"]])),
        (pa.array(["ab", "c"]), pa.array(["a", "bc"])),
        (pa.array(["a"]), pa.array(["a", ""])),
        (pa.array([0], pa.timestamp("us", tz="UTC")), pa.array([0], pa.timestamp("us"))),
        (pa.array([True, True]), pa.array([True, False])),
        (pa.array([], pa.int64()), pa.array([], pa.string())),
        (pa.array([1e-300]), pa.array([0.0])),
        (pa.array(["é"]), pa.array(["e\u0301"])),
    ],
)
def test_contents_that_are_nearly_the_same_have_other_hashes(one, other):
    assert content_hash(pa.table({"a": one})) != content_hash(pa.table({"a": other}))


def test_rows_across_columns_do_not_run_into_each_other():
    one = pa.table({"a": ["x", "y"], "b": ["", "z"]})
    other = pa.table({"a": ["x", ""], "b": ["y", "z"]})
    assert content_hash(one) != content_hash(other)


@pytest.mark.parametrize("type_", [pa.float64(), pa.float32()])
def test_zero_has_one_sign(type_):
    one, other = (pa.table({"a": pa.array([zero], type_)}) for zero in (0.0, -0.0))
    assert content_hash(one) == content_hash(other)
    within = (pa.table({"a": pa.array([[zero]], pa.list_(type_))}) for zero in (0.0, -0.0))
    assert len({content_hash(table) for table in within}) == 1


def test_all_nan_are_one():
    bits = np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001], dtype=np.uint64).view(
        np.float64
    )
    assert np.isnan(bits).all()
    assert (
        len({content_hash(pa.table({"a": pa.array(bits[i : i + 1], from_pandas=False)})) for i in range(3)})
        == 1
    )


@pytest.mark.parametrize(
    ("type_", "dtype"), [(pa.int64(), np.int64), (pa.float64(), np.float64), (pa.int8(), np.int8)]
)
def test_the_bits_under_an_empty_value_do_not_matter(type_, dtype):
    validity = pa.py_buffer(b"\x05")  # rows 0 and 2 have values
    tables = [
        pa.table(
            {"a": pa.Array.from_buffers(type_, 3, [validity, pa.py_buffer(np.array([1, under, 3], dtype))])}
        )
        for under in (0, 77)
    ]
    assert tables[0]["a"].to_pylist() == [1, None, 3]
    assert content_hash(tables[0]) == content_hash(tables[1])


def test_the_text_under_an_empty_value_does_not_matter():
    validity = pa.py_buffer(b"\x01")
    hidden = pa.Array.from_buffers(
        pa.string(), 2, [validity, pa.py_buffer(np.array([0, 1, 4], np.int32)), pa.py_buffer(b"axyz")]
    )
    assert hidden.to_pylist() == ["a", None]
    assert content_hash(pa.table({"a": hidden})) == content_hash(pa.table({"a": ["a", None]}))


def test_the_items_under_an_empty_list_do_not_matter():
    hidden = pa.ListArray.from_arrays(
        pa.array([0, 1, 3], pa.int32()), pa.array(["a", "x", "y"]), mask=pa.array([False, True])
    )
    assert hidden.to_pylist() == [["a"], None]
    assert content_hash(pa.table({"a": hidden})) == content_hash(pa.table({"a": [["a"], None]}))


def test_a_validity_bitmap_without_empty_values_does_not_matter():
    marked = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x03"), pa.py_buffer(np.array([1, 2]))])
    assert content_hash(pa.table({"a": marked})) == content_hash(pa.table({"a": [1, 2]}))


@pytest.mark.parametrize("order", [["a", "b"], ["b", "a"], ["z", "b", "q", "a"]])
def test_a_dictionary_and_its_order_do_not_matter(order):
    values = ["a", "b", None, "a"]
    indices = pa.array([None if value is None else order.index(value) for value in values], pa.int32())
    coded = pa.DictionaryArray.from_arrays(indices, pa.array(order))
    assert content_hash(pa.table({"a": coded})) == content_hash(pa.table({"a": values}))


def test_dictionaries_that_differ_from_chunk_to_chunk_do_not_matter():
    chunked = pa.chunked_array(
        [pa.array(["a"]).dictionary_encode(), pa.array(["b", "a"]).dictionary_encode()]
    )
    assert content_hash(pa.table({"a": chunked})) == content_hash(pa.table({"a": ["a", "b", "a"]}))


def test_metadata_does_not_matter():
    table = pa.table({"a": [1]})
    assert content_hash(table.replace_schema_metadata({"made": "today"})) == content_hash(table)


@pytest.mark.parametrize(
    "type_", [pa.binary(), pa.date32(), pa.decimal128(5, 2), pa.struct([("a", pa.int64())])]
)
def test_a_type_that_no_schema_has_is_refused(type_):
    with pytest.raises(TypeError, match="no content hash"):
        content_hash(pa.table({"a": pa.nulls(2, type_)}))


def test_a_schema_takes_its_versioned_columns_only():
    schema = TABLES["training.log"]
    rows = {"variant": ["a@x"], "step": [1], "loss": [0.5], "learning_rate": [1e-3], "grad_norm": [1.0]}
    hashes = {
        content_hash(pa.table(rows | {"tokens_per_s": [speed]}, schema=schema.arrow), schema=schema)
        for speed in (10.0, 99.0)
    }
    assert len(hashes) == 1
    other = pa.table(rows | {"loss": [0.6], "tokens_per_s": [10.0]}, schema=schema.arrow)
    assert content_hash(other, schema=schema) not in hashes


@pytest.mark.parametrize("name", TABLES)
@given(data=st.data())
@settings(deadline=None, max_examples=6)
def test_columns_outside_the_version_do_not_matter_in_any_table(name, data):
    schema = TABLES[name]
    rows = data.draw(rows_of(schema, partition="p"))
    others = data.draw(rows_of(schema, partition="p").filter(lambda table: len(table) >= len(rows)))
    for i, column in enumerate(schema.columns):
        if not column.in_version:
            changed = rows.set_column(
                i, schema.arrow.field(column.name), others[column.name].slice(0, len(rows))
            )
            assert content_hash(changed, schema=schema) == content_hash(rows, schema=schema)


def test_a_schema_gives_order_and_types():
    rows = embeddings("a@x")
    loose = rows.select(rows.column_names[::-1])
    index = loose.column_names.index("label")
    loose = loose.set_column(index, "label", loose["label"].cast(pa.int64()))
    assert content_hash(loose, schema=EMBEDDINGS) == content_hash(rows, schema=EMBEDDINGS)


def test_a_missing_versioned_column_is_an_error():
    with pytest.raises(KeyError, match="gene_id"):
        content_hash(changes().drop_columns(["gene_id"]), schema=CHANGES)


def test_the_hash_survives_the_trip_through_the_warehouse(tmp_path):
    tables = Tables(tmp_path)
    rows = pa.concat_tables([embeddings("a@x", n=5, mark=float(i)).slice(i, 1) for i in range(5)])
    before = content_hash(rows, schema=EMBEDDINGS)
    tables.write(rows, schema=EMBEDDINGS, partition="a@x")
    assert content_hash(tables.read(EMBEDDINGS), schema=EMBEDDINGS) == before


def test_the_hash_of_a_table_without_a_key_survives_the_trip_in_chunks(tmp_path):
    rows = pa.concat_tables([changes(n=1, mark=mark) for mark in (5, 3, 9, 1, 7)])
    Tables(tmp_path).write(rows, schema=CHANGES)
    back = Tables(tmp_path).read(CHANGES)
    assert content_hash(back, schema=CHANGES) == content_hash(rows, schema=CHANGES)


def test_the_hash_of_a_known_table_stays():
    """Another value here makes everything in every warehouse stale."""
    table = pa.table(
        {
            "s": ["a", None, "", "ü"],
            "i": pa.array([1, None, 3, 4], pa.int8()),
            "f": [1.0, float("nan"), -0.0, None],
            "l": [["a", None], [], None, ["b"]],
            "b": [True, None, False, True],
            "t": pa.array([1, 2, None, 4], pa.timestamp("us", tz="UTC")),
        }
    )
    assert content_hash(table) == "dd7f37de91925a4793ca86b49df63b4fa3cd1884dd963b297f492b95664f967d"


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 1_000_001)
    assert file_sha256(path) == hashlib.sha256(b"x" * 1_000_001).hexdigest()


def test_the_hash_of_files_has_their_names_and_bytes_in_it_and_no_order(tmp_path):
    def hash_of(files, *, backwards=False):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        return files_sha256(sorted((folder / name for name in files), reverse=backwards), root=folder)

    first = hash_of({"a": "1", "b/c": "2"})
    assert hash_of({"a": "1", "b/c": "2"}, backwards=True) == first
    others = [{"a": "1", "b/d": "2"}, {"a": "2", "b/c": "1"}, {"a": "1"}, {"a": "1", "b/c": "2", "e": ""}]
    assert len({first, *(hash_of(files) for files in others)}) == 5
