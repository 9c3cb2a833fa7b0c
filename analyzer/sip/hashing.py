"""Columns as 64-bit hashes: equal where the text is, and so cheaper to compare and to group than the text.

The keys are random and new each time: no sender can choose two texts that collide. Two given texts do with
a probability of at most 2**-56 (multilinear hashing; one more than each byte counts, so that length does too).
"""

import secrets
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analyzer.sip._hashing import hash_spans
from analyzer.sip.columns import readonly

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

PART = 1 << 17
"""About how many hashes are numbered at a time."""
ABSENT = np.uint64(0)
"""The hash of a missing value, and of nothing else."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


class Hasher:
    """Hashes with keys of its own: those of one can be compared with each other only."""

    def __init__(self) -> None:
        """Draw the keys."""
        self._keys = _random(4096)
        self._drawing = Lock()

    def column(self, values: "pd.Series[Any]", rows: "NDArray[np.int64] | None" = None) -> "NDArray[np.uint64]":
        """Return the hash of each text, plain or categorical, or of those at rows, which ascend; ABSENT if missing."""
        if isinstance(values.dtype, pd.CategoricalDtype):
            words = np.append(self._texts(pd.Series(values.cat.categories, dtype="str")), ABSENT)
            codes = values.cat.codes.to_numpy()
            return words[codes if rows is None else codes[rows]]
        return self._texts(values, rows)

    def _texts(self, values: "pd.Series[Any]", rows: "NDArray[np.int64] | None" = None) -> "NDArray[np.uint64]":
        texts = pa.array(values.astype("str"), from_pandas=True)
        chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
        hashes = np.empty(len(values) if rows is None else len(rows), np.uint64)
        first = done = 0
        for chunk in chunks:
            if rows is None:
                own, stop = None, done + len(chunk)
            else:
                stop = int(np.searchsorted(rows, first + len(chunk)))
                own = rows[done:stop] - first
            if stop > done:
                self._chunk(chunk, own, hashes[done:stop])
            first, done = first + len(chunk), stop
        return hashes

    def _chunk(self, texts: pa.Array, rows: "NDArray[np.int64] | None", hashes: "NDArray[np.uint64]") -> None:
        texts = texts.cast(pa.large_string())
        _, offset_bytes, data_bytes = texts.buffers()
        offsets = np.frombuffer(offset_bytes, np.int64, len(texts) + 1, 8 * texts.offset)
        data = np.frombuffer(data_bytes, np.uint8) if data_bytes else np.empty(0, np.uint8)
        starts, stops = (offsets[:-1], offsets[1:]) if rows is None else (offsets[rows], offsets[rows + 1])
        longest = int((stops - starts).max())
        with self._drawing:  # or two threads would draw different keys
            if longest > len(self._keys):
                self._keys = np.append(self._keys, _random(longest - len(self._keys)))
        hash_spans(readonly(starts), readonly(stops), readonly(data), readonly(self._keys), hashes)
        np.maximum(hashes, np.uint64(1), out=hashes)
        if texts.null_count:
            missing = texts.is_null().to_numpy(zero_copy_only=False)
            hashes[missing if rows is None else missing[rows]] = ABSENT


def mix(columns: "Iterable[NDArray[Any]]") -> "NDArray[np.uint64]":
    """Return one hash of each row of several columns of hashes, codes or numbers."""
    mixed: NDArray[np.uint64] | None = None
    for column in columns:
        words = column.astype(np.uint64)
        if mixed is not None:
            words ^= mixed
        words *= _MIX
        words ^= words >> _SHIFT
        mixed = words
    if mixed is None:
        raise ValueError("nothing to mix")
    return mixed


def number_hashes(hashes: "NDArray[np.uint64]") -> "tuple[NDArray[np.int32], int]":
    """Return a number for each hash, from 0, the same for the same hash, and how many there are.

    Many hashes are numbered part by part, by their first bits, so that the table of each part stays in the cache.
    """
    bits = max(len(hashes) // PART, 1).bit_length() - 1
    if not bits:
        codes, distinct = pd.factorize(hashes)
        return codes.astype(np.int32), len(distinct)
    part = (hashes >> np.uint64(64 - bits)).astype(np.uint16)
    order = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=1 << bits))
    del part
    numbers, count, start = np.empty(len(hashes), np.int32), 0, 0
    for end in ends.tolist():
        rows = order[start:end]
        codes, distinct = pd.factorize(hashes[rows])
        numbers[rows] = codes + count
        count, start = count + len(distinct), end
    return numbers, count


def _random(count: int) -> "NDArray[np.uint64]":
    return np.frombuffer(secrets.token_bytes(8 * count), np.uint64)
