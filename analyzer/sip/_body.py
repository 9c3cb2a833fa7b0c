"""Compiled loops over bodies: where they end (RFC 3261 18.3), and what SDP says (RFC 4566).

As in _kernels.py, a function takes arrays and numbers, raises nothing, and reads only between start and stop.
"""

# ruff: noqa: PLR0913, PLR0917 -- flat loops over arrays compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.sip._findings import flag, put, quote
from analyzer.sip._scan import (
    EQUALS,
    SLASH,
    find,
    find_line_end,
    is_space,
    next_line,
    read_number,
    skip_space,
    skip_word,
    trim_end,
)
from analyzer.sip.grammar import NONE, Evidence, Field, Header, Number, Reason


@part
def read_origin(data: np.ndarray, start: int, stop: int, row: int, starts: np.ndarray, lengths: np.ndarray) -> None:
    """Read o= (RFC 4566 5.2): user name and address; a user name may have spaces, the five words after it have none."""
    stop = trim_end(data, start, stop)
    end = stop
    address = NONE
    for _ in range(5):
        word = end
        while word > start and not is_space(data[np.uint64(word - 1)]):
            word -= 1
        if word == end or word <= start:
            put(starts, lengths, Field.SDP_NAME, row, start, skip_word(data, start, stop))
            return
        address = word if address == NONE else address
        end = trim_end(data, start, word)
    put(starts, lengths, Field.SDP_NAME, row, start, end)
    put(starts, lengths, Field.SDP_ADDRESS, row, address, stop)


@part
def nth_word(data: np.ndarray, start: int, stop: int, count: int) -> tuple[int, int]:
    """Return start and stop of the word after count words, up to a slash."""
    word = skip_space(data, start, stop)
    for _ in range(count):
        word = skip_space(data, skip_word(data, word, stop), stop)
    return word, find(data, word, skip_word(data, word, stop), SLASH)


@part
def read_sdp(data: np.ndarray, start: int, stop: int, row: int, starts: np.ndarray, lengths: np.ndarray) -> None:
    """Read o=, s=, c= and the first m= of a session description (RFC 4566) that begins with a v= line."""
    begun = False
    media = 0
    while start < stop and media < 2:
        end = find_line_end(data, start, stop)
        kind = data[np.uint64(start)] if end - start > 2 and data[start + 1] == EQUALS else 0
        value = skip_space(data, start + 2, end) if kind else end
        if kind == 118:  # v
            begun = True
        elif not begun or value == end:
            pass
        elif kind == 111 and lengths[Field.SDP_NAME, row] == NONE:  # o
            read_origin(data, value, end, row, starts, lengths)
        elif kind == 115 and lengths[Field.SDP_SESSION, row] == NONE:  # s
            put(starts, lengths, Field.SDP_SESSION, row, value, trim_end(data, value, end))
        elif kind == 99:  # c
            word, word_stop = nth_word(data, value, end, np.int64(2))
            put(starts, lengths, Field.MEDIA_ADDRESS, row, word, word_stop)
        elif kind == 109:  # m
            media += 1
            word, word_stop = nth_word(data, value, end, np.int64(1))
            if media == 1 and read_number(data, word, word_stop) != NONE:
                put(starts, lengths, Field.MEDIA_PORT, row, word, word_stop)
        start = next_line(data, end, stop)


@part
def only_space(data: np.ndarray, start: int, stop: int) -> bool:
    return skip_space(data, start, stop) == stop


@part
def measure_body(
    data: np.ndarray,
    body: int,
    stop: int,
    missing: int,
    values: np.ndarray,
    row: int,
    numbers: np.ndarray,
    quoted: np.ndarray,
) -> int:
    """Return how many of the bytes from body to stop belong to the message (RFC 3261 18.3, 20.14)."""
    there = stop - body
    start, end = values[0, Header.CONTENT_LENGTH], values[1, Header.CONTENT_LENGTH]
    if start == NONE:
        return there
    promised = read_number(data, start, end)
    numbers[Number.PROMISED, row] = promised
    if promised == NONE:
        quote(numbers, quoted, row, Reason.BAD_LENGTH, Evidence.LENGTH, start, end)
        return there
    if promised - there > missing:
        flag(numbers, row, Reason.LENGTH_TOO_LARGE)
    if promised < there and not only_space(data, body + promised, stop):
        flag(numbers, row, Reason.SURPLUS)
        numbers[Number.SURPLUS, row] = there - promised
    return min(promised, there)
