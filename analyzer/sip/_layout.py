"""Compiled loops that write the layout: the order and form of the headers.

As in _kernels.py, a function takes arrays and numbers, raises nothing, and reads only between start and stop.
"""

# ruff: noqa: FBT001, PLR0913, PLR0917 -- flat loops over arrays compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.sip._scan import COLON, COMMA, QUESTION, SPACE, TAB, copy_apart, same
from analyzer.sip.grammar import ELLIPSIS, MAX_GAP, MAX_LAYOUT_NAMES, MAX_NAME

USED, ITEM, ITEM_END, ITEMS, PEN = 0, 1, 2, 3, 4
"""What the layout's pen remembers: bytes written, the last item's start and end, how many items; and its length."""


@part
def write_gap(data: np.ndarray, start: int, stop: int, layout: np.ndarray, used: int) -> int:
    """Write the blanks of data[start:stop] as _ and ~; return how many bytes are used."""
    for i in range(start, min(stop, start + MAX_GAP)):
        layout[used] = 126 if data[np.uint64(i)] == TAB else 95
        used += 1
    return used


@part
def skip_blanks(data: np.ndarray, start: int, stop: int) -> int:
    """Return where spaces and tabs end."""
    while start < stop and (data[np.uint64(start)] == SPACE or data[np.uint64(start)] == TAB):
        start += 1
    return start


@part
def write_item(
    data: np.ndarray, start: int, name_stop: int, token: bool, colon: int, stop: int, layout: np.ndarray, used: int
) -> int:
    """Write a header's name, and what stands between it and its value unless that is ': '; return the bytes used."""
    if token and name_stop - start <= MAX_NAME:
        copy_apart(data, start, name_stop - start, layout, used)
        used += name_stop - start
    else:
        layout[used] = QUESTION
        used += 1
    value = skip_blanks(data, colon + 1, stop)
    if name_stop == colon and value == colon + 2 and data[colon + 1] == SPACE:
        return used
    used = write_gap(data, name_stop, colon, layout, used)
    layout[used] = COLON
    return write_gap(data, colon + 1, value, layout, used + 1)


@part
def write_layout(
    data: np.ndarray,
    start: int,
    name_stop: int,
    token: bool,
    colon: int,
    stop: int,
    layout: np.ndarray,
    pen: np.ndarray,
) -> None:
    """Append a header to the layout, unless it looks like the one before it or there are enough."""
    if pen[ITEMS] > MAX_LAYOUT_NAMES:
        return
    used = pen[USED]
    if pen[ITEMS] > 0:
        layout[used] = COMMA
        used += 1
    end = write_item(data, start, name_stop, token, colon, stop, layout, used)
    if pen[ITEMS] > 0 and same(layout, pen[ITEM], pen[ITEM_END], used, end):
        return
    if pen[ITEMS] == MAX_LAYOUT_NAMES:
        for i in range(len(ELLIPSIS)):
            layout[used + i] = ELLIPSIS[i]
        end = used + len(ELLIPSIS)
    pen[ITEM] = used
    pen[ITEM_END] = end
    pen[USED] = end
    pen[ITEMS] += 1
