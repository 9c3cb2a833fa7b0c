"""What compiled loops find in a message, and what is wrong with it.

As in _kernels.py, a function takes arrays and numbers, raises nothing, and reads only between start and stop.
"""

# ruff: noqa: PLR0913, PLR0917 -- flat loops over arrays compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.sip.grammar import MAX_QUOTE, Number


@part
def put(starts: np.ndarray, lengths: np.ndarray, field: int, row: int, start: int, stop: int) -> None:
    if start >= 0 and stop > start:
        starts[field, row] = start
        lengths[field, row] = stop - start


@part
def flag(numbers: np.ndarray, row: int, reason: int) -> None:
    numbers[Number.ANOMALIES, row] |= np.int64(1) << np.int64(reason)


@part
def quote(numbers: np.ndarray, quoted: np.ndarray, row: int, reason: int, evidence: int, start: int, stop: int) -> None:
    """Flag an anomaly, and keep the span that the first of its kind is about."""
    bit = np.int64(1) << np.int64(reason)
    if not numbers[Number.ANOMALIES, row] & bit:
        numbers[Number.ANOMALIES, row] |= bit
        quoted[evidence, row, 0] = start
        quoted[evidence, row, 1] = min(stop - start, MAX_QUOTE)
