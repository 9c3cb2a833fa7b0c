"""Parquet: real lists and times, a dictionary for what repeats, and the bounds of times and numbers to skip rows by."""

from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.exports.arrow import Slices
from analyzer.exports.rowgroups import RowGroups
from analyzer.memory import give_back_free
from analyzer.workers import count_processors, in_threads

if TYPE_CHECKING:
    import pandas as pd

ROWS = 98_304
"""Rows of a row group; of no more row groups than a few for each thread are made at a time."""
MOST_THREADS = 4
"""How many row groups are encoded at a time: with more, the encoded ones take more memory than it is worth."""
LOOKED_AT = 50_000
"""How many numbers of a column tell whether a dictionary serves."""
LEVEL = 1
"""Of Zstandard: higher ones take longer and are hardly smaller."""
NEAR = 0xFFFF
"""How far apart numbers lie at most that a dictionary serves; ports, statuses and sizes repeat, packets do not."""
TIMES = 16
"""About how often memory is given back: to look for what is free takes the longer the more memory there is."""


def write_parquet(frame: "pd.DataFrame", file: BinaryIO) -> None:
    """Write frame to file as Parquet, compressed with Zstandard."""
    numbers = [str(name) for name in frame.columns if frame[name].dtype.kind in "iu"]
    times = [str(name) for name in frame.columns if frame[name].dtype.kind == "M"]
    words = [str(name) for name in frame.columns if frame[name].dtype == "category"]
    repeated = words + [name for name in numbers if _near(frame[name])]
    options = {"use_dictionary": repeated, "write_statistics": numbers + times}
    groups = RowGroups(file)
    # pyarrow writes a file in one thread; but row groups can be encoded apart.
    encode = partial(_encode, Slices(frame), options=options)
    starts = range(0, max(len(frame), 1), ROWS)
    seldom = max(len(starts) // TIMES, 1)
    for number, group in enumerate(in_threads(encode, starts, threads=min(count_processors(), MOST_THREADS))):
        groups.append(group)
        if number % seldom == 0:
            give_back_free()  # of each group Arrow leaves as much free as its bytes are
    groups.finish()


def _encode(slices: Slices, start: int, *, options: dict[str, list[str]]) -> pa.Buffer:
    """Return the rows from start on as a Parquet file with one row group."""
    sink = pa.BufferOutputStream()
    pq.write_table(slices.table(start, start + ROWS), sink, compression="zstd", compression_level=LEVEL, **options)
    return sink.getvalue()


def _near(numbers: "pd.Series[Any]") -> bool:
    """Return whether there are numbers, none far from another, by some of them: a mistake makes a file larger."""
    known = numbers.iloc[:: len(numbers) // LOOKED_AT + 1].dropna()
    return len(known) > 0 and int(known.max()) - int(known.min()) <= NEAR
