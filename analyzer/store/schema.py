"""Tables of this package as the store's Parquet files have them, and back.

The columns are those of analyzer.tables, under the same names. Words are dictionaries, lists are lists, times are in
microseconds and in UTC, which pandas, DuckDB and Spark all read; what a message's time has beyond that is in the
column `nanosecond`, so that nothing is lost. A column that a file lacks, because it is older, is missing.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.sip.assembly import categorical, nothing, text_array
from analyzer.tables import (
    ANOMALIES,
    ATTACKS,
    CAPTURES,
    COUNT,
    FATES,
    FLAG,
    FLOWS,
    LIST,
    MESSAGES,
    NUMBER,
    SECONDS,
    SHARE,
    STRAYS,
    TEXT,
    TIME,
    WORD,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.tables import Table

STORED = {table.name: table for table in (MESSAGES, ATTACKS, ANOMALIES, STRAYS, FLOWS, FATES, CAPTURES)}
"""The tables that a store holds, by name; each has a folder."""
DAY_OF = {"messages": "time", "anomalies": "time", "attacks": "start", "strays": "start", "flows": "start"}
"""The column that says on which day a row belongs; in other tables that is the day on which the capture began."""
NANOSECOND = "nanosecond"
"""The column of messages with the nanoseconds (0 to 999) of the time beyond its microsecond."""
DERIVED = frozenset(
    {
        "tool", "tool_confidence", "tool_reason", "tag_target", "tag_account", "tag_password",
        "answer", "answer_packet", "rang", "repeated", "pursued", "in_dialog", "from_server", "proof",
    }
)  # fmt: skip
"""The columns of messages that are made anew of the others when a period is read."""
_MICRO = 1000
_TEXT = pa.large_string()
_INTEGERS = frozenset({"evidence"})
"""The lists that hold numbers."""
_KINDS = {
    TIME: pa.timestamp("us", "UTC"),
    WORD: pa.dictionary(pa.int32(), _TEXT),
    TEXT: _TEXT,
    COUNT: pa.int64(),
    NUMBER: pa.int64(),
    SHARE: pa.float64(),
    SECONDS: pa.float64(),
    FLAG: pa.bool_(),
}


def schema_of(table: "Table") -> pa.Schema:
    """Return the names and types of a table's columns in a file."""
    fields = [pa.field(name, _kind(name, column.dtype)) for name, column in table.contract.items()]
    if table is MESSAGES:
        fields.append(pa.field(NANOSECOND, pa.int16()))
    return pa.schema(fields)


def _kind(name: str, dtype: str) -> pa.DataType:
    if dtype == LIST:
        return pa.list_(pa.int64() if name in _INTEGERS else pa.string())
    return _KINDS[dtype]


# --- to files


def by_day(name: str, frame: pd.DataFrame, otherwise: str) -> "Iterator[tuple[str, pd.DataFrame]]":
    """Yield each day (UTC, '2026-11-22') with the rows that belong on it, in their order; rows without a time last.

    Rows without a time belong on the day that is named otherwise.
    """
    if frame.empty:
        return
    if name not in DAY_OF:
        yield otherwise, frame
        return
    days = frame[DAY_OF[name]].to_numpy("M8[ns]").astype("M8[D]")
    default = np.datetime64(otherwise, "D")
    days = np.where(np.isnat(days), default, days)
    for day in np.unique(days):
        rows = days == day
        yield str(day), frame if rows.all() else _only(frame, rows)


def _only(frame: pd.DataFrame, rows: "NDArray[np.bool_]") -> pd.DataFrame:
    """Return some rows, without the words that they do not have."""
    part = frame[rows]
    words = {name: part[name].cat.remove_unused_categories() for name in part if part[name].dtype == "category"}
    return part.assign(**{str(name): values for name, values in words.items()})


def to_arrow(table: "Table", frame: pd.DataFrame) -> pa.Table:
    """Return a conforming frame as an Arrow table with the types of the files."""
    schema = schema_of(table)
    columns = [_array(frame, field) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _array(frame: pd.DataFrame, field: pa.Field) -> "pa.Array | pa.ChunkedArray":
    if field.name == NANOSECOND:
        times = frame["time"].to_numpy("M8[ns]")
        return pa.array(times.view(np.int64) % _MICRO, pa.int16(), mask=np.isnat(times))
    values = frame[field.name]
    if pa.types.is_timestamp(field.type):
        return pa.array(values.to_numpy("M8[ns]").astype("M8[us]")).cast(field.type)
    if pa.types.is_dictionary(field.type):
        codes = values.cat.codes.to_numpy()
        words = pa.array(values.cat.categories.astype("str"), from_pandas=True)
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), _flat(words))
    if pa.types.is_list(field.type):
        return _lists(values, field.type)
    return pa.array(values, from_pandas=True).cast(field.type)


def _flat(texts: "pa.Array | pa.ChunkedArray") -> pa.Array:
    return (texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts).cast(_TEXT)


def _lists(values: "pd.Series[Any]", kind: pa.DataType) -> pa.Array:
    if pa.types.is_integer(kind.value_type):
        return pa.array(values.tolist(), type=kind)
    texts = [[str(item).encode("utf-8", "backslashreplace").decode() for item in cell] for cell in values]
    return pa.array(texts, type=kind)


# --- from files


def from_arrow(table: "Table", tables: Sequence[pa.Table], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return Arrow tables, one below the other, as one frame with the declared dtypes.

    With columns, the others are missing in all rows: they were not read.
    """
    schema = schema_of(table)
    names = list(schema.names if columns is None else columns)
    rows = sum(len(part) for part in tables)
    frame: dict[str, Any] = {}
    for name in table.columns:
        dtype = table.contract[name].dtype
        if name not in names and dtype not in {LIST, COUNT}:
            frame[name] = nothing(dtype, rows)  # conform() would do so too, in more time
        elif name in names:
            pieces = [_piece(part, schema.field(name)) for part in tables]
            frame[name] = _column(pa.chunked_array(pieces, pieces[0].type if pieces else schema.field(name).type))
    if table is MESSAGES and tables and "time" in frame:
        beyond = pa.chunked_array([_piece(part, schema.field(NANOSECOND)) for part in tables])
        nanoseconds = np.asarray(pc.fill_null(beyond, 0), np.int64)
        if nanoseconds.any():
            frame["time"] = frame["time"] + pd.to_timedelta(nanoseconds, unit="ns")
    return table.conform(pd.DataFrame(frame, index=pd.RangeIndex(rows), copy=False), missing=True)


def _piece(part: pa.Table, field: pa.Field) -> pa.Array:
    """Return a column of a file as one array of the type that it has today; missing if the file does not have it."""
    if field.name not in part.column_names:
        return pa.nulls(len(part), field.type)
    column = part.column(field.name)
    if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(column.type):
        column = column.cast(_TEXT).dictionary_encode()
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return whole if whole.type == field.type else whole.cast(field.type)


def _column(column: pa.ChunkedArray) -> Any:  # noqa: ANN401
    """Return a column of a file as pandas has it."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _words(column)
    if kind == _TEXT:
        return text_array(column)
    if pa.types.is_timestamp(kind):
        return _times(column)
    if pa.types.is_list(kind):
        return pd.Series([cell or [] for cell in column.to_pylist()], dtype="object")
    if pa.types.is_integer(kind):
        return _numbers(column)
    absent, dtype = (False, np.bool_) if pa.types.is_boolean(kind) else (np.nan, np.float64)
    return np.asarray(pc.fill_null(column, absent), dtype)


def _times(column: pa.ChunkedArray) -> pd.DatetimeIndex:
    micros = np.asarray(pc.fill_null(column.cast(pa.int64()), 0), np.int64)
    times = (micros * _MICRO).view("M8[ns]")
    times[np.asarray(column.is_null(), np.bool_)] = np.datetime64("NaT")
    return pd.DatetimeIndex(times, copy=False).tz_localize("UTC")


def _numbers(column: pa.ChunkedArray) -> "NDArray[np.int64] | pd.arrays.IntegerArray":
    numbers = np.asarray(pc.fill_null(column, 0), np.int64)
    return pd.arrays.IntegerArray(numbers, np.asarray(column.is_null(), np.bool_)) if column.null_count else numbers


def _words(column: pa.ChunkedArray) -> "pd.Categorical[Any]":
    """Return dictionaries, one below the other, as a category; its words are in the order of first appearance."""
    shift, codes, words = 0, [], []
    for chunk in column.chunks:
        at = np.asarray(pc.fill_null(chunk.indices, -1), np.int64)
        codes.append(np.where(at < 0, -1, at + shift))
        words.append(chunk.dictionary.cast(_TEXT))
        shift += len(chunk.dictionary)
    distinct = pa.concat_arrays(words or [pa.array([], _TEXT)]).dictionary_encode()
    places = np.append(distinct.indices.to_numpy(), -1)
    every = places[np.concatenate([*codes, np.empty(0, np.int64)])]
    return categorical(every.astype(np.min_scalar_type(-len(distinct.dictionary) - 1)), distinct.dictionary)
