"""The cells of CSV: columns as text that a spreadsheet takes for text, quoted where they must be.

Texts are looked at in bulk, byte by byte; only those that need care are taken up one by one. Columns of few values
that stand side by side are one part of a line: it is made once for each combination of values, not for each row.
"""

from collections.abc import Iterable
from functools import cache, cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.exports.escape import escape

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"
"""What makes a spreadsheet take a text for a formula."""
NEEDS_QUOTES = r'[",;]|^$'
MOST = 0xFFFF
"""Combinations of values that a part of several columns has at most."""
WIDEST = 512
"""Bytes of a combination at most; wider columns are parts of their own."""
RANGE = 4096
"""How far apart the numbers of a column are at most for it to be one of few values."""
SECOND = 1_000_000_000
"""Nanoseconds."""
DAY = 86_400
"""Seconds."""
STAMP_SIGNS = np.frombuffer(b"YYYY-MM-DDTHH:MM:SS.NNNNNNNNNZ", np.uint8)
STAMP = len(STAMP_SIGNS)
SPACE, QUOTE, COMMA, SEMICOLON, TILDE = np.frombuffer(b' ",;~', np.uint8)
BEGINS_FORMULA = np.isin(np.arange(256), list(b"=+-@"))
"""The signs, of those that can be seen, that make a spreadsheet take a text for a formula."""


def text(value: str | None) -> pa.Scalar:
    """Return a text as Arrow has it."""
    return pa.scalar(value, pa.large_string())


class Varied:
    """A column whose cells are made row by row."""

    def __init__(self, column: pa.Array | pa.ChunkedArray) -> None:
        """Take a column of any type."""
        self.column = column

    def cells(self, start: int, stop: int) -> pa.Array:
        """Return the text of the rows from start to stop."""
        rows = self.column.slice(start, stop - start)
        if isinstance(rows, pa.ChunkedArray):
            rows = rows.chunk(0) if rows.num_chunks == 1 else rows.combine_chunks()
        return pc.fill_null(_cells(rows), "")

    def bytes(self, start: int, stop: int) -> int:
        """Return how many bytes the values of the rows from start to stop take."""
        return int(self.column.slice(start, stop - start).nbytes)


class Repeated:
    """Text that repeats, of one or more columns: each row has the place of its text."""

    def __init__(self, places: "NDArray[Any]", texts: pa.Array) -> None:
        """Take the place of each row's text, as integers of any size, and the texts, none of them missing."""
        self.places = places
        self.texts = texts

    @cached_property
    def widths(self) -> "NDArray[np.int64]":
        """The bytes of each text."""
        return np.asarray(pc.binary_length(self.texts))

    def cells(self, start: int, stop: int) -> pa.Array:
        """Return the text of the rows from start to stop."""
        return pc.take(self.texts, pa.array(self.places[start:stop]), boundscheck=False)

    def bytes(self, start: int, stop: int) -> int:
        """Return how many bytes the text of the rows from start to stop takes."""
        return int(self.widths[self.places[start:stop]].sum())


Part = Varied | Repeated


def parts_of(columns: Iterable[pa.Array | pa.ChunkedArray]) -> list[Part]:
    """Return the parts of a table's lines, from left to right."""
    parts: list[Part] = []
    run: list[Repeated] = []
    for column in columns:
        part = _repeated(column)
        if part is None:
            parts += [*_joined(run), Varied(column)]
            run = []
            continue
        if not _fits([*run, part]):
            run = _joined(run)
            if not _fits([*run, part]):
                parts += run
                run = []
        run.append(part)
    return [*parts, *_joined(run)]


def _fits(run: list[Repeated]) -> bool:
    """Return whether parts may become one."""
    return prod(len(part.texts) for part in run) <= MOST and sum(int(part.widths.max()) for part in run) <= WIDEST


def _joined(run: list[Repeated]) -> list[Repeated]:
    """Return parts as one, with a text for each combination that there is; of nothing, nothing."""
    if len(run) < 2:
        return run
    places = np.zeros(len(run[0].places), np.uint16)
    for part in run:
        if len(part.texts) > 1:
            places *= np.uint16(len(part.texts))
            places += part.places.astype(np.uint16, copy=False)
    found = np.zeros(prod(len(part.texts) for part in run), bool)
    found[places] = True
    rest = kept = np.flatnonzero(found)
    texts = []
    for part in reversed(run):
        rest, own = np.divmod(rest, len(part.texts))
        texts.append(part.texts.take(pa.array(own)))
    renumbered = np.zeros(len(found), np.uint16)
    renumbered[kept] = np.arange(len(kept), dtype=np.uint16)
    return [Repeated(renumbered[places], pc.binary_join_element_wise(*reversed(texts), text(",")))]


def _repeated(column: pa.Array | pa.ChunkedArray) -> Repeated | None:
    """Return a column of few values, or of texts that repeat; of others None."""
    kind = column.type
    if column.null_count == len(column):
        return Repeated(np.zeros(len(column), np.uint8), pa.array([""], pa.large_string()))
    if pa.types.is_dictionary(kind):
        if isinstance(column, pa.ChunkedArray):
            column = column.unify_dictionaries().combine_chunks()
        distinct = column.dictionary.cast(pa.large_string())
        return _places(column.indices, 0, _cells(distinct))
    if pa.types.is_boolean(kind):
        return _places(column.cast(pa.uint8()), 0, pa.array(["false", "true"], pa.large_string()))
    if pa.types.is_integer(kind):
        bounds = pc.min_max(column)
        low, high = bounds["min"].as_py(), bounds["max"].as_py()
        if high - low < RANGE:
            return _places(column, low, pa.array([str(number) for number in range(low, high + 1)], pa.large_string()))
    return None


def _places(numbers: pa.Array | pa.ChunkedArray, low: int, texts: pa.Array) -> Repeated:
    """Return the texts of numbers, the first of which stands for low; what is missing is an empty one, the last."""
    size = np.uint16 if len(texts) < MOST else np.int32
    places = (np.asarray(pc.fill_null(numbers, low)) - low).astype(size)
    if numbers.null_count:
        places[~np.asarray(numbers.is_valid())] = len(texts)
    return Repeated(places, pa.concat_arrays([pc.fill_null(texts, ""), pa.array([""], pa.large_string())]))


def _cells(column: pa.Array) -> pa.Array:
    """Return the values of a column as the text of its cells."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _cells(column.dictionary_decode())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _text_cells(column.cast(pa.large_string()))
    if pa.types.is_list(kind):
        return _quote(_join_lists(column))
    if pa.types.is_timestamp(kind):
        return _stamps(column.cast(pa.timestamp("ns")))
    return column.cast(pa.large_string())


def _text_cells(texts: pa.Array) -> pa.Array:
    """Return texts made harmless, and quoted where they must be."""
    care, quotes = _doubtful(texts)
    cells = texts
    if quotes.any():
        mark = pc.if_else(pa.array(quotes), text('"'), text(""))
        cells = pc.binary_join_element_wise(mark, texts, mark, text(""))
    if care.any():
        chosen = pa.array(care)
        cells = pc.replace_with_mask(cells, chosen, _quote(_harmless(texts.filter(chosen))))
    return cells


def _doubtful(texts: pa.Array) -> tuple["NDArray[np.bool_]", "NDArray[np.bool_]"]:
    """Return which texts may need an escape, an apostrophe or a quote doubled, and which of the rest need quotes."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    signs = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]]
    filled = bounds[:-1] < bounds[1:]
    starts = bounds[:-1][filled] - bounds[0]
    care, quotes = np.zeros((2, len(texts)), bool)
    care[filled] = BEGINS_FORMULA[signs[starts]] | _any((signs - SPACE > TILDE - SPACE) | (signs == QUOTE), starts)
    quotes[filled] = _any((signs == COMMA) | (signs == SEMICOLON), starts)
    if filled.sum() + texts.null_count < len(texts):
        quotes |= ~filled & np.asarray(texts.is_valid())
    return care, quotes


def _any(found: "NDArray[np.bool_]", starts: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    """Return whether anything is found in each stretch; the stretches lie end to end."""
    return np.logical_or.reduceat(found, starts) if found.any() else np.zeros(len(starts), bool)


def _stamps(times: pa.Array) -> pa.Array:
    """Return times as ISO 8601 in UTC, with nanoseconds."""
    if times.null_count:
        stamps = _stamps(times.drop_null())
        return pc.replace_with_mask(pa.nulls(len(times), stamps.type), times.is_valid(), stamps)
    seconds, nanoseconds = np.divmod(np.asarray(times.cast(pa.int64())), SECOND)
    days, seconds = np.divmod(seconds, DAY)
    every, places = np.unique(days, return_inverse=True)
    signs = np.empty((len(times), STAMP), np.uint8)
    signs[:] = STAMP_SIGNS
    dates = np.array([str(day) for day in every.astype("datetime64[D]")], "S10")
    signs[:, :10] = dates.view(np.uint8).reshape(-1, 10)[places]
    signs[:, 11:19] = _clock()[seconds]
    thousands, rest = np.divmod(nanoseconds, 1_000_000)
    for place, digits in ((20, thousands), (23, rest // 1000), (26, rest % 1000)):
        signs[:, place : place + 3] = _digits()[digits]
    bounds = np.arange(0, signs.size + 1, STAMP)
    return pa.LargeStringArray.from_buffers(len(times), pa.py_buffer(bounds), pa.py_buffer(signs))


@cache
def _clock() -> "NDArray[np.uint8]":
    """Return the text of each second of a day."""
    texts = [f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}" for second in range(DAY)]
    return np.array(texts, "S8").view(np.uint8).reshape(-1, 8)


@cache
def _digits() -> "NDArray[np.uint8]":
    """Return the text of each number of three digits."""
    return np.array([f"{number:03}" for number in range(1000)], "S3").view(np.uint8).reshape(-1, 3)


def _harmless(texts: pa.Array) -> pa.Array:
    """Return texts that a spreadsheet takes for text, all of them printable."""
    formula = pc.match_substring_regex(texts, FORMULA)
    texts = _escape(texts)
    return pc.if_else(formula, pc.binary_join_element_wise(text("'"), texts, text("")), texts)


def _escape(texts: pa.Array) -> pa.Array:
    """Return texts with an escape for each unprintable character; only those that need it are touched one by one."""
    unprintable = pc.invert(pc.fill_null(pc.utf8_is_printable(texts), True))
    found = texts.filter(unprintable)
    if not len(found):
        return texts
    escaped = pa.array([escape(value) for value in found.to_pylist()], type=texts.type)
    return pc.replace_with_mask(texts, unprintable, escaped)


def _quote(texts: pa.Array) -> pa.Array:
    quote = text('"')
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise(quote, doubled, quote, text(""))
    return pc.if_else(pc.match_substring_regex(texts, NEEDS_QUOTES), quoted, texts)


def _join_lists(lists: pa.Array) -> pa.Array:
    """Return each list as `;`-joined text, an empty one as missing."""
    items = lists.flatten().cast(pa.large_string())
    if not pa.types.is_integer(lists.type.value_type):
        items = pc.replace_substring(_harmless(items), ";", "\\x3b")
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, items), text(";"))
    return pc.if_else(pc.equal(lengths, 0), text(None), joined)
