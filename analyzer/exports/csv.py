"""CSV (RFC 4180) that a spreadsheet can open without running what an attacker wrote.

One header line, commas, quotes only where they are needed, LF. Missing is an empty cell, an empty text
is `""`. Times are ISO 8601 in UTC with nanoseconds. Lists are joined by `;`. In text, characters that
cannot be seen are escaped, so that a row is always one line, and a leading `= + - @` (or tab, or CR)
is preceded by `'`; numbers stay numbers.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from analyzer.exports.arrow import arrow_columns
from analyzer.exports.cells import Part, parts_of, text
from analyzer.exports.escape import escape

if TYPE_CHECKING:
    import pandas as pd

ROWS = 8192
"""Rows that are made at a time, at most."""
BYTES = 1 << 23
"""Bytes of values that are made to lines at a time, but for a single row that has more; bounds the memory."""
AHEAD = 1
"""Slices that are made for each thread before those before them are written."""


def write_csv(frame: "pd.DataFrame", file: BinaryIO) -> None:
    """Write frame to file as CSV."""
    header = [escape(str(name)) for name in frame.columns]
    file.write((",".join(header) + "\n").encode())
    if frame.empty:
        return
    parts = parts_of(arrow_columns(frame))
    slices = list(_slices(parts, len(frame)))
    if len(slices) == 1:
        file.write(_lines(parts, *slices[0]))
        return
    with ThreadPoolExecutor(pa.cpu_count()) as pool:
        waiting: deque[Future[memoryview]] = deque()
        for start, stop in slices:
            waiting.append(pool.submit(_lines, parts, start, stop))
            if len(waiting) > pa.cpu_count() + AHEAD:
                file.write(waiting.popleft().result())
        while waiting:
            file.write(waiting.popleft().result())


def _slices(parts: list[Part], rows: int) -> Iterator[tuple[int, int]]:
    """Yield where to cut a table of so many rows."""
    for start, stop in pairwise([*range(0, rows, ROWS), rows]):
        yield from _halves(parts, start, stop)


def _halves(parts: list[Part], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield rows that together have no more than BYTES bytes."""
    if stop - start == 1 or sum(part.bytes(start, stop) for part in parts) <= BYTES:
        yield start, stop
        return
    middle = (start + stop) // 2
    yield from _halves(parts, start, middle)
    yield from _halves(parts, middle, stop)


def _lines(parts: list[Part], start: int, stop: int) -> memoryview:
    """Return the lines of the rows from start to stop."""
    *before, last = (part.cells(start, stop) for part in parts)
    ended = pc.binary_join_element_wise(last, text("\n"), text(""))
    lines = pc.binary_join_element_wise(*before, ended, text(","))
    length = pc.sum(pc.binary_length(lines)).as_py()
    return memoryview(lines.buffers()[2])[:length]
