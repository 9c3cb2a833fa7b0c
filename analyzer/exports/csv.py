"""CSV (RFC 4180) that a spreadsheet can open without running what an attacker wrote.

One header line, commas, quotes only where they are needed, LF. Missing is an empty cell, an empty text
is `""`. Times are ISO 8601 in UTC with nanoseconds. Lists are joined by `;`. In text, characters that
cannot be seen are escaped, so that a row is always one line, and a leading `= + - @` (or tab, or CR)
is preceded by `'`; numbers stay numbers.
"""

from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from analyzer.exports.arrow import arrow_table
from analyzer.exports.escape import escape

if TYPE_CHECKING:
    import pandas as pd

ROWS = 8192
"""Rows that are written at a time; bounds the memory that long texts take."""
FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"
"""What makes a spreadsheet take a text for a formula."""
NEEDS_QUOTES = r'[",;]|^$'


def _text(value: str | None) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())


def write_csv(frame: "pd.DataFrame", file: BinaryIO) -> None:
    """Write frame to file as CSV."""
    header = [escape(str(name)) for name in frame.columns]
    file.write((",".join(header) + "\n").encode())
    if frame.empty:
        return
    table = arrow_table(frame)
    table = pa.table([_ready(column.combine_chunks()) for column in table.columns], names=table.column_names)
    for batch in table.to_batches(max_chunksize=ROWS):
        cells = [_cells(column) for column in batch.columns]
        lines = pc.binary_join_element_wise(*cells, _text(","))
        file.write(_bytes(lines))


def _ready(column: pa.Array) -> pa.Array:
    """Return the column with its distinct values made ready, if it has a dictionary of texts."""
    if isinstance(column, pa.DictionaryArray):
        distinct = _quote(_harmless(column.dictionary.cast(pa.large_string())))
        return pa.DictionaryArray.from_arrays(column.indices, distinct)
    return column


def _cells(column: pa.Array) -> pa.Array:
    """Return the column as the text of its cells."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        cells = column.dictionary_decode()
    elif pa.types.is_list(kind):
        cells = _quote(_join_lists(column))
    elif pa.types.is_timestamp(kind):
        cells = _iso(column)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        cells = _quote(_harmless(column.cast(pa.large_string())))
    else:
        cells = column.cast(pa.large_string())
    return pc.fill_null(cells, "")


def _harmless(texts: pa.Array) -> pa.Array:
    """Return texts that a spreadsheet takes for text, all of them printable."""
    formula = pc.match_substring_regex(texts, FORMULA)
    texts = _escape(texts)
    return pc.if_else(formula, pc.binary_join_element_wise(_text("'"), texts, _text("")), texts)


def _escape(texts: pa.Array) -> pa.Array:
    """Return texts with an escape for each unprintable character; only those that need it are touched one by one."""
    unprintable = pc.invert(pc.fill_null(pc.utf8_is_printable(texts), True))
    found = texts.filter(unprintable)
    if not len(found):
        return texts
    escaped = pa.array([escape(text) for text in found.to_pylist()], type=texts.type)
    return pc.replace_with_mask(texts, unprintable, escaped)


def _quote(texts: pa.Array) -> pa.Array:
    quote = _text('"')
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise(quote, doubled, quote, _text(""))
    return pc.if_else(pc.match_substring_regex(texts, NEEDS_QUOTES), quoted, texts)


def _join_lists(lists: pa.Array) -> pa.Array:
    """Return each list as `;`-joined text, an empty one as missing."""
    items = lists.flatten().cast(pa.large_string())
    if not pa.types.is_integer(lists.type.value_type):
        items = pc.replace_substring(_harmless(items), ";", "\\x3b")
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, items), _text(";"))
    return pc.if_else(pc.equal(lengths, 0), _text(None), joined)


def _iso(times: pa.Array) -> pa.Array:
    utc = times.cast(pa.timestamp("ns")).cast(pa.large_string())
    utc = pc.replace_substring(utc, " ", "T")
    return pc.binary_join_element_wise(utc, _text("Z"), _text(""))


def _bytes(lines: pa.Array) -> memoryview:
    """Return lines, each with its line end, as they lie in memory."""
    ended = pc.binary_join_element_wise(lines, _text(""), _text("\n"))
    length = pc.sum(pc.binary_length(ended)).as_py()
    return memoryview(ended.buffers()[2])[:length]
