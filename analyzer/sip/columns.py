"""Columns of text, filled chunk by chunk from spans of bytes, without a Python object per row."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analyzer.sip import _kernels
from analyzer.sip.grammar import NONE

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXT_DTYPE = pd.StringDtype(na_value=np.nan)
_ESCAPED = 4
"""How many bytes at most one byte becomes as text: `\\xNN`."""


def readonly(array: "NDArray[Any]") -> "NDArray[Any]":
    """Return a contiguous view that cannot be written: the one type that the kernels are compiled for."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def arrow_texts(offsets: "NDArray[np.int64]", data: "NDArray[np.uint8]") -> pa.Array:
    """Return the text between each two offsets, of shape (n + 1,); missing where there is none."""
    present = offsets[1:] > offsets[:-1]
    nulls = len(present) - int(np.count_nonzero(present))
    valid = pa.py_buffer(np.packbits(present, bitorder="little")) if nulls else None
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(data[: offsets[-1]])]
    return pa.Array.from_buffers(pa.large_string(), len(present), buffers, null_count=nulls)


def text_array(texts: "pa.Array | pa.ChunkedArray") -> pd.api.extensions.ExtensionArray:
    """Return Arrow text as an array of dtype str, without a copy."""
    array: pd.api.extensions.ExtensionArray = TEXT_DTYPE.__from_arrow__(texts)  # type: ignore[attr-defined]
    return array


def word_array(codes: "NDArray[np.int32]", words: pa.Array) -> "pd.Categorical[Any]":
    """Return the categorical of codes, NONE for missing; words may hold the same text twice."""
    distinct = words.dictionary_encode()
    if len(distinct.dictionary) < len(words):
        to_distinct = np.append(distinct.indices.to_numpy(), NONE).astype(np.int32)
        codes = to_distinct[codes]
    categories = pd.Index(text_array(distinct.dictionary))
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(categories), validate=False)


def _grow(array: "NDArray[Any]", used: int, needed: int) -> "NDArray[Any]":
    """Return array with room for needed elements: itself, or a larger one with the used ones copied."""
    if needed <= len(array):
        return array
    larger = np.empty(max(needed, 2 * len(array)), array.dtype)
    larger[:used] = array[:used]
    return larger


class Texts:
    """A column of text that seldom repeats: the bytes of all rows, one after the other (Arrow's large_string)."""

    def __init__(self, rows: int) -> None:
        """Make room for rows."""
        self._offsets = np.zeros(rows + 1, np.int64)
        self._data = np.empty(1024, np.uint8)
        self._rows = 0

    def append(
        self,
        data: "NDArray[np.uint8]",
        starts: "NDArray[np.int64]",
        lengths: "NDArray[np.int64]",
        odd: "NDArray[np.uint8]",
        bound: int,
    ) -> None:
        """Append a row for each span; bound is at least the bytes of all of them together."""
        used = int(self._offsets[self._rows])
        self._data = _grow(self._data, used, used + bound * _ESCAPED)
        stop = self._rows + len(starts)
        _kernels.append_texts(data, starts, lengths, odd, self._offsets[self._rows : stop + 1], self._data)
        self._rows = stop

    def arrow(self) -> pa.Array:
        """Return the column, missing where a span was empty, with no more memory than it takes."""
        return arrow_texts(self._offsets, self._data[: self._offsets[-1]].copy())


class Words:
    """A column of text that repeats: a code per row, and each distinct word once."""

    def __init__(self, rows: int) -> None:
        """Make room for rows."""
        self.codes: NDArray[np.int32] = np.empty(rows, np.int32)
        """The code of each row; NONE where the span was empty."""
        self._rows = 0
        self._count = 0
        self._slots = np.full(64, NONE, np.int32)
        self._hashes = np.empty(32, np.uint64)
        self._recent = np.full(_kernels.RECENT, NONE, np.int32)
        self._offsets = np.zeros(33, np.int64)
        self._store = np.empty(1024, np.uint8)

    def append(
        self, data: "NDArray[np.uint8]", starts: "NDArray[np.int64]", lengths: "NDArray[np.int64]", bound: int
    ) -> None:
        """Append a row for each span; bound is at least the bytes of all of them together."""
        self._reserve(self._count + len(starts), bound)
        stop = self._rows + len(starts)
        self._count = _kernels.encode(
            data, starts, lengths, self.codes[self._rows : stop],
            self._slots, self._hashes, self._offsets, self._store, self._recent, self._count,
        )  # fmt: skip
        self._rows = stop

    @property
    def count(self) -> int:
        """How many distinct words there are."""
        return self._count

    def packed(self, width: int) -> pa.Array:
        """Return the distinct words as they were on the wire, by code; each has width bytes."""
        data = pa.py_buffer(self._store[: self._count * width].copy())
        return pa.Array.from_buffers(pa.binary(width), self._count, [None, data])

    def arrow(self) -> pa.Array:
        """Return the distinct words as text, by code; two that were written differently may be the same text."""
        texts = Texts(self._count)
        starts = self._offsets[: self._count]
        lengths = np.diff(self._offsets[: self._count + 1])
        odd = np.ones(self._count, np.uint8)
        texts.append(readonly(self._store), starts, lengths, odd, int(self._offsets[self._count]))
        return texts.arrow()

    def _reserve(self, words: int, bound: int) -> None:
        used = int(self._offsets[self._count])
        self._store = _grow(self._store, used, used + bound)
        if words > len(self._hashes):
            self._hashes = _grow(self._hashes, self._count, words)
            self._offsets = _grow(self._offsets, self._count + 1, len(self._hashes) + 1)
        if 2 * words > len(self._slots):
            self._slots = np.full(1 << (2 * words - 1).bit_length(), NONE, np.int32)
            _kernels.rehash(self._slots, self._hashes, self._count)


def pair(first: Words, second: Words) -> tuple["NDArray[np.int32]", pa.Array, pa.Array]:
    """Return a code per row for what two columns hold together, and the distinct pairs by code, null for missing."""
    if not first.count and not second.count:
        return np.zeros(len(first.codes), np.int32), pa.nulls(1, pa.large_string()), pa.nulls(1, pa.large_string())
    width = second.count + 1
    both = (first.codes.astype(np.int64) + 1) * width + (second.codes + 1)
    codes, distinct = pd.factorize(both)
    left, right = distinct // width - 1, distinct % width - 1
    return (
        codes.astype(np.int32),
        first.arrow().take(pa.array(left, mask=left < 0)),
        second.arrow().take(pa.array(right, mask=right < 0)),
    )
