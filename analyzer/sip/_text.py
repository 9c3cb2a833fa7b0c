"""Compiled loops over text: UTF-8 (RFC 3629), and columns of text that seldom repeats.

As in _kernels.py, a function takes arrays and numbers, raises nothing, and reads only between start and stop.
"""

# ruff: noqa: PLR0913, PLR0917 -- flat loops over arrays compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import kernel, part
from analyzer.sip._findings import flag
from analyzer.sip._scan import BACKSLASH, CR, LF, SPACE, TAB, copy_apart, skip_space
from analyzer.sip.grammar import HEX, Field, Number, Reason

HIGH, FOLD = 1, 2
"""Bits of `odd`: the message has bytes above 127, or folded headers, so its text cannot be copied as it is."""


@part
def utf8_length(data: np.ndarray, start: int, stop: int) -> int:
    """Return how many bytes the UTF-8 character at start has, or 0 if there is none (RFC 3629)."""
    lead = data[np.uint64(start)]
    if lead < 0x80:
        return 1
    if lead < 0xC2 or lead > 0xF4:
        return 0
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if stop - start < length:
        return 0
    second = data[start + 1]
    if (
        (lead == 0xE0 and second < 0xA0)
        or (lead == 0xED and second > 0x9F)
        or (lead == 0xF0 and second < 0x90)
        or (lead == 0xF4 and second > 0x8F)
    ):
        return 0
    for i in range(start + 1, start + length):
        if data[np.uint64(i)] & 0xC0 != 0x80:
            return 0
    return length


@part
def is_utf8(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] is UTF-8."""
    i = start
    while i < stop:
        length = utf8_length(data, i, stop)
        if length == 0:
            return False
        i += length
    return True


@part
def check_utf8(data: np.ndarray, row: int, starts: np.ndarray, lengths: np.ndarray, numbers: np.ndarray) -> None:
    """Note the fields that are not UTF-8."""
    bad = np.int64(0)
    for field in range(len(starts)):
        if lengths[field, row] > 0:
            start = starts[field, row]
            if not is_utf8(data, start, start + lengths[field, row]):
                bad |= np.int64(1) << np.int64(field)
    numbers[Number.NOT_UTF8, row] = bad
    if bad:
        flag(numbers, row, Reason.NOT_UTF8)


@part
def mark_high(data: np.ndarray, row: int, starts: np.ndarray, lengths: np.ndarray, odd: np.ndarray) -> None:
    """Note bytes above 127 in the fields of the body, which the scan of the headers has not seen."""
    for field in range(Field.SDP_NAME, Field.MEDIA_PORT + 1):
        for i in range(starts[field, row], starts[field, row] + max(lengths[field, row], 0)):
            if data[np.uint64(i)] > 127:
                odd[row] |= HIGH
                return


@part
def write_text(data: np.ndarray, start: int, stop: int, out: np.ndarray, used: int) -> int:
    r"""Write data[start:stop] as UTF-8, folds as one space and other bytes as \xNN; return the bytes of out used.

    It writes at most four times as many bytes as it reads.
    """
    first = used
    i = start
    while i < stop:
        byte = data[np.uint64(i)]
        if byte in (CR, LF):
            while used > first and (out[used - 1] == SPACE or out[used - 1] == TAB):
                used -= 1
            out[used] = SPACE
            used += 1
            i = skip_space(data, i, stop)
            continue
        length = utf8_length(data, i, stop)
        if length == 0:
            out[used] = BACKSLASH
            out[used + 1] = 120  # x
            out[used + 2] = HEX[byte >> 4]
            out[used + 3] = HEX[byte & 15]
            used += 4
            i += 1
            continue
        for k in range(length):
            out[used + k] = data[np.uint64(i + k)]
        used += length
        i += length
    return used


def _append(
    data: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    odd: np.ndarray,
    offsets: np.ndarray,
    out: np.ndarray,
) -> int:
    """Append each span's text to out, with its end in offsets; return the bytes of out used.

    starts, lengths: int64, shape (n,). odd: uint8, shape (n,): 0 where the bytes can be copied as they are.
    offsets: int64, shape (n + 1,), the first of them given. out: uint8, with room for four times the bytes.
    """
    used = offsets[0]
    for row in range(len(starts)):
        start, length = starts[row], lengths[row]
        if odd[row]:
            used = write_text(data, start, start + max(length, 0), out, used)
        elif length > 0:
            copy_apart(data, start, length, out, used)
            used += length
        offsets[row + 1] = used
    return int(used)


append, append_texts = part(_append), kernel(_append)
"""The same for kernels and for Python."""
