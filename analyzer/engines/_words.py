"""The numbers that kernels read from the bytes of a capture.

A kernel takes arrays and numbers, writes into arrays its caller made, and returns numbers. It raises nothing and
reads only between start and stop: compiled code does not check bounds, and the bytes come from attackers. All
numbers from the wire are int64 before anything is computed with them, and are compared before they are used.

A constant argument makes numba compile a function once more for that constant alone, so none is handed on.
"""

# ruff: noqa: FBT001 (kernels are called by position, and compile best as flat loops)
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part


@part
def big16(data: np.ndarray, at: int) -> int:
    """Return two bytes as a number, the high one first."""
    return np.int64(data[at]) << 8 | np.int64(data[at + 1])


@part
def big32(data: np.ndarray, at: int) -> int:
    """Return four bytes as a number, the high one first."""
    high = np.int64(data[at]) << 24 | np.int64(data[at + 1]) << 16
    return high | np.int64(data[at + 2]) << 8 | np.int64(data[at + 3])


@part
def little32(data: np.ndarray, at: int) -> int:
    """Return four bytes as a number, the low one first."""
    low = np.int64(data[at]) | np.int64(data[at + 1]) << 8
    return low | np.int64(data[at + 2]) << 16 | np.int64(data[at + 3]) << 24


@part
def number32(data: np.ndarray, at: int, big: bool) -> int:
    """Return four bytes as a number in the byte order of a capture."""
    return big32(data, at) if big else little32(data, at)
