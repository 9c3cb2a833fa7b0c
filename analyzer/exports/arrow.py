"""Tables of this package as Arrow tables: real lists, real times, a dictionary for text that repeats."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analyzer.tables import COLUMNS, LIST

if TYPE_CHECKING:
    import pandas as pd

MANY = 8
"""Words are many where there is more than one for so many rows of a slice: all words of a long table in each slice of
it would make the time quadratic."""


def arrow_columns(frame: "pd.DataFrame") -> Iterator[pa.Array | pa.ChunkedArray]:
    """Yield the columns of frame as Arrow has them."""
    for name in frame.columns:
        yield _array(frame[name], _list_type(frame[name]))


class Slices:
    """A frame of which each slice can be had as an Arrow table of one schema, in any thread."""

    def __init__(self, frame: "pd.DataFrame") -> None:
        """Look at every column once: threads may not look for one at the same time."""
        self._columns = {str(name): (frame[name], _list_type(frame[name])) for name in frame.columns}

    def table(self, start: int, stop: int) -> pa.Table:
        """Return the rows from start on and before stop; of many words, those that are among them."""
        return pa.table({name: _slice(values.iloc[start:stop], kind) for name, (values, kind) in self._columns.items()})


def _slice(values: "pd.Series[Any]", kind: pa.DataType | None) -> pa.Array | pa.ChunkedArray:
    if values.dtype != "category" or len(values.cat.categories) <= len(values) // MANY:
        return _array(values, kind)
    # As remove_unused_categories() does, which sorts: all of Parquet would take a fifth longer.
    words, codes = values.cat.categories, values.cat.codes.to_numpy()
    used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(words)))
    place = np.zeros(len(words) + 1, codes.dtype)
    place[used] = np.arange(len(used))
    return pa.DictionaryArray.from_arrays(pa.array(place[codes], mask=codes < 0), pa.array(words.take(used)))


def _list_type(values: "pd.Series[Any]") -> pa.DataType | None:
    """Return the type of a column that holds lists; of others None."""
    declared = COLUMNS.get(str(values.name))
    if declared is None or declared.dtype != LIST:
        return None
    numbers = {isinstance(item, int) for cell in values for item in cell}
    return pa.list_(pa.int64() if numbers == {True} else pa.string())


def _array(values: "pd.Series[Any]", kind: pa.DataType | None) -> pa.Array | pa.ChunkedArray:
    if kind is None:
        return pa.Array.from_pandas(values)
    if pa.types.is_integer(kind.value_type):
        return pa.array(values.tolist(), type=kind)
    return pa.array([[_encodable(str(item)) for item in cell] for cell in values], type=kind)


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
