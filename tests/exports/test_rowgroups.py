"""Row groups that were encoded apart make the file that one writer would have made."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyzer.exports.rowgroups import RowGroups, move_offsets

OPTIONS = [
    {},
    {"use_dictionary": False, "compression": "none"},
    {"write_page_index": True, "write_statistics": True},
    {"bloom_filter_options": {"text": {"ndv": 100}}},
]


def table(seed, rows=500):
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "text": [f"invité {number}" if number % 7 else None for number in random.integers(0, 90, rows)],
            "number": random.integers(-(2**60), 2**60, rows),
            "truth": random.integers(0, 2, rows) == 1,
            "share": random.random(rows),
            "list": [list(range(number)) for number in random.integers(0, 20, rows)],
        }
    )


def apart(tables, options):
    file = io.BytesIO()
    groups = RowGroups(file)
    for each in tables:
        sink = pa.BufferOutputStream()
        pq.write_table(each, sink, **options)
        groups.append(sink.getvalue())
    groups.finish()
    return file


def at_once(tables, options):
    file = io.BytesIO()
    with pq.ParquetWriter(file, tables[0].schema, **options) as writer:
        for each in tables:
            writer.write_table(each)
    return file


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("count", [1, 2, 20])
def test_the_rows_are_those_of_all_row_groups(options, count):
    tables = [table(seed, rows=1 + 97 * seed) for seed in range(count)]
    assert pq.read_table(apart(tables, options)).equals(pa.concat_tables(tables))


@pytest.mark.parametrize("options", OPTIONS[:2], ids=str)
def test_one_writer_makes_the_same_file(options):
    tables = [table(seed) for seed in range(5)]
    mine, theirs = apart(tables, options), at_once(tables, options)
    assert len(mine.getvalue()) == pytest.approx(len(theirs.getvalue()), abs=20)  # it numbers the row groups
    read, expected = (pq.ParquetFile(file).metadata for file in (mine, theirs))
    for group in range(5):
        for column in range(expected.num_columns):
            assert (
                read.row_group(group).column(column).to_dict() == expected.row_group(group).column(column).to_dict()
            ), (group, column)


def test_row_groups_are_found_by_their_statistics():
    tables = [pa.table({"time": np.arange(start, start + 100)}) for start in (0, 100, 200)]
    read = pq.read_table(apart(tables, {"write_page_index": True}), filters=[("time", ">=", 150), ("time", "<", 210)])
    assert read["time"].to_pylist() == list(range(150, 210))


def test_what_is_no_footer_is_an_error():
    with pytest.raises(ValueError, match="the kind 11"):
        move_offsets(b"\x1b\x00", 1)
