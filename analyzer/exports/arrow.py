"""Tables of this package as Arrow tables: real lists, real times, a dictionary for text that repeats."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analyzer.tables import COLUMNS, LIST

if TYPE_CHECKING:
    import pandas as pd


def arrow_table(frame: "pd.DataFrame") -> pa.Table:
    """Return frame as an Arrow table with the same columns."""
    return pa.table({str(name): _array(str(name), frame[name]) for name in frame.columns})


def _array(name: str, values: "pd.Series[Any]") -> pa.Array:
    declared = COLUMNS.get(name)
    if declared is not None and declared.dtype == LIST:
        return _list_array(values.tolist())
    return pa.Array.from_pandas(values)


def _list_array(cells: list[list[Any]]) -> pa.Array:
    numbers = {isinstance(item, int) for cell in cells for item in cell}
    if numbers == {True}:
        return pa.array(cells, type=pa.list_(pa.int64()))
    texts = [[_encodable(str(item)) for item in cell] for cell in cells]
    return pa.array(texts, type=pa.list_(pa.string()))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
