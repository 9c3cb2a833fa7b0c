"""The parts of a table as one table, with the dtypes that analyzer.tables declares."""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.engines import ADDRESS_BYTES
from analyzer.sip.grammar import NONE
from analyzer.sip.parts import Coded, Part
from analyzer.tables import COLUMNS, FLAG, NUMBER, SHARE, TEXT, TIME, WORD, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXT_DTYPE = pd.StringDtype(na_value=np.nan)
_MAPPED = np.frombuffer(bytes(10) + b"\xff\xff", np.uint8)
"""What stands before an IPv4 address in its 128 bits (RFC 4291 2.5.5.2)."""
_TEXT = pa.large_string()
_LATEST = np.iinfo(np.int64).max


def assemble(table: Table, parts: Sequence[Part], *, by_time: bool = False) -> pd.DataFrame:
    """Return the table of all parts, one below the other; with by_time sorted by time, capture and packet.

    The columns are taken out of the parts one after the other, so that each is in memory once. Words are in the
    order in which they first appear. The time is linear in rows plus words, but for the sorting of what is unsorted.
    """
    order = _order(parts) if by_time else None
    frame: dict[str, Any] = {}
    for name in table.columns:
        if name == "capture":
            frame[name] = _captures(parts, order)
        else:
            chunks = _Chunks([(part.rows, part.columns.pop(name, None)) for part in parts if part.rows], order)
            frame[name] = _column(name, chunks)
    return pd.DataFrame(frame, copy=False)


def _order(parts: Sequence[Part]) -> "NDArray[np.int64] | None":
    """Return the rows in the order of time, capture and packet, those without time last; None if they are."""
    filled = [part for part in parts if part.rows]
    time = _joined([part.columns["time"] for part in filled])
    time[time < 0] = _LATEST
    if bool((time[1:] > time[:-1]).all()):
        return None
    packet = _joined([part.columns["packet"] for part in filled])
    order = np.lexsort((packet, _numbered(parts), time))
    return None if bool((order[1:] > order[:-1]).all()) else order


def _joined(arrays: "Sequence[Any]") -> "NDArray[np.int64]":
    """Return a copy of all arrays, one after the other."""
    return np.concatenate([np.empty(0, np.int64), *arrays]).astype(np.int64, copy=False)


def _numbered(parts: Sequence[Part]) -> "NDArray[np.int32]":
    """Return the number of each row's capture."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(part.capture for part in parts))}
    return np.repeat(
        np.array([numbers[part.capture] for part in parts], np.int32), np.array([part.rows for part in parts], np.int64)
    )


def _captures(parts: Sequence[Part], order: "NDArray[np.int64] | None") -> "pd.Categorical[Any]":
    names = list(dict.fromkeys(part.capture for part in parts))
    if len(names) == 1:
        codes = np.zeros(sum(part.rows for part in parts), np.int8)
    else:
        codes = _numbered(parts).astype(_code_type(len(names)))
        codes = codes if order is None else codes[order]
    return categorical(codes, pa.array(names, _TEXT))


@dataclass
class _Chunks:
    """A column in pieces: rows and values of each, None where all are missing; and the order of all rows."""

    pieces: "list[tuple[int, Any]]"
    order: "NDArray[np.int64] | None"

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(rows for rows, _ in self.pieces)

    def fill(self, dtype: "type[np.integer[Any]]", look: "Callable[[int, Any], Any]") -> "NDArray[Any]":
        """Return what look returns of the number and the values of each piece, in order; lets go of the pieces."""
        filled = np.empty(self.rows, dtype)
        at = 0
        for number, (rows, _) in enumerate(self.pieces):
            filled[at : at + rows] = look(number, self.pieces[number][1])
            self.pieces[number] = rows, None
            at += rows
        return filled if self.order is None else filled[self.order]


def _column(name: str, chunks: _Chunks) -> Any:  # noqa: ANN401
    """Return the column of that name, as analyzer.tables declares it."""
    dtype = COLUMNS[name].dtype
    if all(values is None for _, values in chunks.pieces):
        return nothing(dtype, chunks.rows)
    if dtype in {WORD, TEXT}:
        return _words(chunks) if dtype == WORD else _texts(chunks)
    if dtype == FLAG:
        return chunks.fill(np.int8, lambda _, values: 0 if values is None else values).view(np.bool_)
    return _as(dtype, chunks.fill(np.int64, _numbers))


def _as(dtype: str, numbers: "NDArray[np.int64]") -> Any:  # noqa: ANN401
    """Return numbers as a column of times, of counts, or of numbers that may be missing."""
    if dtype == TIME:
        return make_times(numbers)
    return pd.arrays.IntegerArray(numbers, numbers == NONE) if dtype == NUMBER else numbers


def _numbers(_: int, values: "NDArray[Any] | None") -> "NDArray[Any] | int":
    return NONE if values is None else values


def _texts(chunks: _Chunks) -> pd.api.extensions.ExtensionArray:
    pieces = [pa.nulls(rows, _TEXT) if values is None else values for rows, values in chunks.pieces]
    chunks.pieces.clear()
    texts = pa.chunked_array(pieces, type=_TEXT)
    return text_array(texts if chunks.order is None else texts.take(pa.array(chunks.order)))


def _words(chunks: _Chunks) -> "pd.Categorical[Any]":
    """Return coded columns, one below the other."""
    dictionaries = [values.words for _, values in chunks.pieces if values is not None]
    sizes = [0 if values is None else len(values.words) for _, values in chunks.pieces]
    shifts = np.cumsum([0, *sizes])
    distinct = pa.concat_arrays(dictionaries).dictionary_encode()
    dictionaries.clear()
    width = _code_type(len(distinct.dictionary))
    places = np.append(distinct.indices.to_numpy(), NONE).astype(width)

    def look(number: int, values: Coded | None) -> Any:  # noqa: ANN401
        if values is None:
            return NONE
        return np.append(places[shifts[number] : shifts[number + 1]], places[-1:])[values.codes]

    codes = chunks.fill(width, look)
    words = distinct.dictionary
    return categorical(codes, words if words.type == _TEXT else _formatted(words))


def text_array(texts: "pa.Array | pa.ChunkedArray") -> pd.api.extensions.ExtensionArray:
    """Return Arrow text as an array of dtype str, without a copy."""
    array: pd.api.extensions.ExtensionArray = TEXT_DTYPE.__from_arrow__(texts)  # type: ignore[attr-defined]
    return array


def categorical(codes: "NDArray[Any]", words: pa.Array) -> "pd.Categorical[Any]":
    """Return the categorical of codes, NONE for missing, into words that are distinct."""
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(pd.Index(text_array(words))), validate=False)


def _code_type(words: int) -> "type[np.integer[Any]]":
    """Return the type that pandas chooses for the codes of so many words."""
    fitting = (dtype for dtype in (np.int8, np.int16, np.int32) if words < np.iinfo(dtype).max)
    return next(fitting, np.int64)


def make_times(nanoseconds: "NDArray[np.int64]") -> pd.DatetimeIndex:
    """Return the times; a packet without one (a Simple Packet Block) has none here either."""
    nanoseconds[nanoseconds < 0] = pd.NaT.value
    return pd.DatetimeIndex(nanoseconds.view("M8[ns]"), copy=False).tz_localize("UTC")


def nothing(dtype: str, rows: int) -> Any:  # noqa: ANN401
    """Return rows missing values of a dtype of analyzer.tables, or False for flags.

    Where zeros will do they are np.zeros', which take no memory before something else is written.
    """
    if dtype == WORD:
        return categorical(np.full(rows, NONE, np.int8), pa.array([], _TEXT))
    if dtype == TEXT:
        valid, offsets = pa.py_buffer(np.zeros(rows // 8 + 1, np.uint8)), pa.py_buffer(np.zeros(rows + 1, np.int64))
        return text_array(pa.Array.from_buffers(_TEXT, rows, [valid, offsets, pa.py_buffer(b"")], rows))
    if dtype == FLAG:
        return np.zeros(rows, np.bool_)
    if dtype == SHARE:
        return np.full(rows, np.nan)
    if dtype == NUMBER:
        return pd.arrays.IntegerArray(np.zeros(rows, np.int64), np.ones(rows, np.bool_))
    return _as(dtype, np.full(rows, NONE, np.int64))


# --- tables that were assembled


def merge(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return tables with the same columns and dtypes, one below the other, with the categories of all.

    Categories are in the order in which they first appear. The time is linear in rows plus categories.
    """
    if len(tables) == 1:
        return tables[0]
    columns: dict[str, Any] = {}
    for name in tables[0].columns:
        parts = [table[name] for table in tables]
        is_word = isinstance(parts[0].dtype, pd.CategoricalDtype)
        columns[name] = _merge_words(parts) if is_word else pd.concat(parts, ignore_index=True).array
    return pd.DataFrame(columns, copy=False)


def _merge_words(parts: "list[pd.Series[Any]]") -> "pd.Categorical[Any]":
    """Return categorical columns, one below the other."""
    dictionaries = [pa.array(part.cat.categories, pa.large_string()) for part in parts]
    shifts = np.cumsum([0, *map(len, dictionaries)])
    codes = [
        np.where(part.cat.codes.to_numpy() < 0, NONE, part.cat.codes.to_numpy().astype(np.int32) + shift)
        for part, shift in zip(parts, shifts, strict=False)
    ]
    return word_array(np.concatenate(codes).astype(np.int32), pa.concat_arrays(dictionaries))


def word_array(codes: "NDArray[np.int32]", words: pa.Array) -> "pd.Categorical[Any]":
    """Return the categorical of codes, NONE for missing; words may hold the same text twice."""
    distinct = words.dictionary_encode()
    if len(distinct.dictionary) < len(words):
        to_distinct = np.append(distinct.indices.to_numpy(), NONE).astype(np.int32)
        codes = to_distinct[codes]
    categories = pd.Index(text_array(distinct.dictionary))
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(categories), validate=False)


# --- addresses


def _formatted(packed: pa.Array) -> pa.Array:
    """Return addresses of 16 bytes as canonical text (RFC 5952), those that are IPv4's as such."""
    octets = np.frombuffer(packed.buffers()[1], np.uint8, len(packed) * ADDRESS_BYTES, packed.offset * ADDRESS_BYTES)
    octets = octets.reshape(-1, ADDRESS_BYTES)
    others = np.flatnonzero((octets[:, :12] != _MAPPED).any(axis=1))
    numbers = pa.array([str(number) for number in range(256)], _TEXT)
    parts = [numbers.take(pa.array(octets[:, place])) for place in range(12, ADDRESS_BYTES)]
    texts = pc.binary_join_element_wise(*parts, pa.scalar(".", _TEXT))
    if not len(others):
        return texts
    mask = np.zeros(len(octets), np.bool_)
    mask[others] = True
    shown = [str(ipaddress.IPv6Address(octets[row].tobytes())) for row in others.tolist()]
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(shown, _TEXT))
