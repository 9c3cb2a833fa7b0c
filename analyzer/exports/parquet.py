"""Parquet: real lists and times, a dictionary for what repeats, and the bounds of times and numbers to skip rows by."""

from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow.parquet as pq

from analyzer.exports.arrow import arrow_slices

if TYPE_CHECKING:
    import pandas as pd

ROWS = 131_072
"""Rows of a row group; no more are made at a time."""
LEVEL = 1
"""Of Zstandard: higher ones take longer and are hardly smaller."""
NEAR = 0xFFFF
"""How far apart numbers lie at most that a dictionary serves; ports, statuses and sizes repeat, packets do not."""


def write_parquet(frame: "pd.DataFrame", file: BinaryIO) -> None:
    """Write frame to file as Parquet, compressed with Zstandard."""
    numbers = [str(name) for name in frame.columns if frame[name].dtype.kind in "iu"]
    times = [str(name) for name in frame.columns if frame[name].dtype.kind == "M"]
    words = [str(name) for name in frame.columns if frame[name].dtype == "category"]
    repeated = words + [name for name in numbers if _near(frame[name])]
    tables = arrow_slices(frame, ROWS)
    first = next(tables)
    with pq.ParquetWriter(
        file,
        first.schema,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=repeated,
        write_statistics=numbers + times,
    ) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def _near(numbers: "pd.Series[Any]") -> bool:
    """Return whether there are numbers, none far from another."""
    known = numbers.dropna()
    return len(known) > 0 and int(known.max()) - int(known.min()) <= NEAR
