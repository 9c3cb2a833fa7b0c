"""Rows of a table, block by block, in as few bytes as hold them.

Nothing here, nor what makes parts, needs pandas, which takes long to import: messages are parsed meanwhile.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NARROW = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32)


@dataclass
class Coded:
    """A column of words: a code per row, NONE for missing, and the word of each code."""

    codes: "NDArray[Any]"
    words: pa.Array
    """Text (large_string), maybe the same more than once; or the 16 bytes of addresses (binary(16))."""


Column: TypeAlias = "NDArray[Any] | Coded | pa.Array"


@dataclass
class Part:
    """Rows of one capture: numbers as narrow as they are (NONE: missing), words coded, text as Arrow has it.

    Times are int64 nanoseconds since 1970, -1 for none. Columns that are not there are missing in every row.
    """

    capture: str
    rows: int = 0
    columns: dict[str, Column] = field(default_factory=dict)


def narrow(numbers: "NDArray[Any]") -> "NDArray[Any]":
    """Return a copy of integers in the narrowest type that holds them all."""
    if not len(numbers):
        return np.empty(0, np.int8)
    low, high = int(numbers.min()), int(numbers.max())
    fitting = (dtype for dtype in _NARROW if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max)
    return numbers.astype(next(fitting, np.int64))
