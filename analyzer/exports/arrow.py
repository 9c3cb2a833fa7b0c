"""Tables of this package as Arrow tables: real lists, real times, a dictionary for text that repeats."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analyzer.tables import COLUMNS, LIST

if TYPE_CHECKING:
    import pandas as pd


def arrow_columns(frame: "pd.DataFrame") -> Iterator[pa.Array | pa.ChunkedArray]:
    """Yield the columns of frame as Arrow has them."""
    for name in frame.columns:
        yield _array(frame[name], _list_type(frame[name]))


def arrow_slices(frame: "pd.DataFrame", rows: int) -> Iterator[pa.Table]:
    """Yield frame as Arrow tables of one schema, each of at most so many rows; at least one."""
    kinds = {name: _list_type(frame[name]) for name in frame.columns}
    for start in range(0, max(len(frame), 1), rows):
        part = frame.iloc[start : start + rows]
        yield pa.table({str(name): _array(part[name], kind) for name, kind in kinds.items()})


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
