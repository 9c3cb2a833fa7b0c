"""Parquet: real lists and times, a dictionary for text that repeats."""

from typing import TYPE_CHECKING, BinaryIO

import pyarrow.parquet as pq

from analyzer.exports.arrow import arrow_table

if TYPE_CHECKING:
    import pandas as pd


def write_parquet(frame: "pd.DataFrame", file: BinaryIO) -> None:
    """Write frame to file as Parquet, compressed with Zstandard."""
    pq.write_table(arrow_table(frame), file, compression="zstd")
