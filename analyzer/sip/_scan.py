"""Compiled looks at bytes: characters, words, numbers, quoted strings, parameters and lines (RFC 3261 7.3, 25.1).

As in _kernels.py, a function takes arrays and numbers, raises nothing, and reads only between start and stop.
"""

# ruff: noqa: PLR0913, PLR0917, PLR1714, SIM109 -- flat loops over arrays compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.sip._wide import WIDE, copy_wide, index_of, index_of_difference
from analyzer.sip.grammar import NONE, TOKEN

TAB, LF, CR, SPACE, QUOTE, COMMA, SLASH, COLON, SEMICOLON = map(np.uint8, b'\t\n\r ",/:;')
LESS, EQUALS, GREATER, QUESTION, AT, BACKSLASH = map(np.uint8, b"<=>?@\\")


@part
def is_space(byte: int) -> bool:
    return byte in (SPACE, TAB, CR, LF)


@part
def skip_space(data: np.ndarray, start: int, stop: int) -> int:
    """Return where white space (line ends too, for folds) that begins at start ends."""
    i = start
    while i < stop and is_space(data[np.uint64(i)]):
        i += 1
    return i


@part
def skip_word(data: np.ndarray, start: int, stop: int) -> int:
    """Return where the first white space is, or stop."""
    return find_any(data, start, stop, SPACE, TAB, CR, LF)


@part
def trim_end(data: np.ndarray, start: int, stop: int) -> int:
    """Return where data[start:stop] ends without its trailing white space."""
    while stop > start and is_space(data[np.uint64(stop - 1)]):
        stop -= 1
    return stop


@part
def find_any(data: np.ndarray, start: int, stop: int, first: int, second: int, third: int, fourth: int) -> int:
    """Return where the first of four bytes is, or stop; a byte may be given twice."""
    i = start
    while i < stop and i + WIDE <= len(data):
        near = index_of(data, i, first, second, third, fourth)
        i += near
        if near < WIDE:
            break
    else:
        while i < stop:
            byte = data[np.uint64(i)]
            if byte == first or byte == second or byte == third or byte == fourth:
                break
            i += 1
    return i if i < stop else max(start, stop)


@part
def find(data: np.ndarray, start: int, stop: int, byte: int) -> int:
    """Return where byte is first, or stop."""
    return find_any(data, start, stop, byte, byte, byte, byte)


@part
def is_token(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] is a token (RFC 3261 25.1)."""
    for i in range(start, stop):
        if not TOKEN[data[np.uint64(i)]]:
            return False
    return stop > start


@part
def equals(data: np.ndarray, start: int, stop: int, word: np.ndarray) -> bool:
    """Say whether data[start:stop] is word, in any case; word is in lower case."""
    if stop - start != len(word):
        return False
    for i in range(len(word)):
        byte = data[np.uint64(start + i)]
        if 65 <= byte <= 90:
            byte += 32
        if byte != word[i]:
            return False
    return True


@part
def begins(data: np.ndarray, start: int, stop: int, word: np.ndarray) -> bool:
    """Say whether data[start:stop] begins with word, in any case."""
    return stop - start >= len(word) and equals(data, start, start + len(word), word)


@part
def same(data: np.ndarray, start: int, stop: int, other: int, other_stop: int) -> bool:
    """Say whether two spans hold the same bytes."""
    return stop - start == other_stop - other and agree(data, start, data, other, stop - start)


@part
def agree(data: np.ndarray, start: int, other: np.ndarray, at: int, length: int) -> bool:
    """Say whether data from start on and other from at on hold the same bytes, as many as length."""
    i = 0
    while i < length and start + i + WIDE <= len(data) and at + i + WIDE <= len(other):
        near = index_of_difference(data, start + i, other, at + i)
        if near < WIDE:
            return i + near >= length
        i += WIDE
    while i < length:
        if data[np.uint64(start + i)] != other[np.uint64(at + i)]:
            return False
        i += 1
    return True


@part
def copy_apart(data: np.ndarray, start: int, length: int, out: np.ndarray, at: int) -> None:
    """Copy data[start:start + length] to out[at:], another array; bytes after those may be written too."""
    i = 0
    while i < length and start + i + WIDE <= len(data) and at + i + WIDE <= len(out):
        copy_wide(data, start + i, out, at + i)
        i += WIDE
    while i < length:
        out[np.uint64(at + i)] = data[np.uint64(start + i)]
        i += 1


@part
def read_number(data: np.ndarray, start: int, stop: int) -> int:
    """Return the decimal number that data[start:stop] is, or NONE if it is none or does not fit int64."""
    if start >= stop:
        return NONE
    value = 0
    for i in range(start, stop):
        digit = data[np.uint64(i)] - np.int64(48)
        if digit < 0 or digit > 9 or value > (0x7FFFFFFFFFFFFFFF - digit) // 10:
            return NONE
        value = value * 10 + digit
    return value


@part
def close_quote(data: np.ndarray, start: int, stop: int) -> int:
    """Return where the quoted string whose text begins at start has its closing quote, or stop (RFC 3261 25.1)."""
    i = find_any(data, start, stop, QUOTE, BACKSLASH, QUOTE, QUOTE)
    while i < stop and data[np.uint64(i)] == BACKSLASH:
        i = find_any(data, i + 2, stop, QUOTE, BACKSLASH, QUOTE, QUOTE)
    return min(i, stop)


@part
def find_unquoted(data: np.ndarray, start: int, stop: int, byte: int) -> int:
    """Return where byte is first outside quoted strings, or stop; a quote that is never closed quotes nothing."""
    quotes = True
    i = find_any(data, start, stop, byte, QUOTE, byte, byte)
    while i < stop and data[np.uint64(i)] != byte:
        if quotes:
            close = close_quote(data, i + 1, stop)
            quotes = close < stop
            i = close if quotes else i
        i = find_any(data, i + 1, stop, byte, QUOTE, byte, byte)
    return min(i, stop)


@part
def first_value(data: np.ndarray, start: int, stop: int) -> int:
    """Return where the first of comma-separated values ends: a comma outside quotes and angle brackets, or stop."""
    quotes = angles = True
    i = find_any(data, start, stop, COMMA, QUOTE, LESS, LESS)
    while i < stop and data[np.uint64(i)] != COMMA:
        if data[np.uint64(i)] == LESS:
            close = find(data, i + 1, stop, GREATER) if angles else i
            angles = angles and close < stop
        else:
            close = close_quote(data, i + 1, stop) if quotes else i
            quotes = quotes and close < stop
        i = find_any(data, (close if close < stop else i) + 1, stop, COMMA, QUOTE, LESS, LESS)
    return min(i, stop)


@part
def unquote(data: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """Return the span's start and stop without white space around it, and without its quotes if it begins with one."""
    start = skip_space(data, start, stop)
    stop = trim_end(data, start, stop)
    if start < stop and data[np.uint64(start)] == QUOTE:
        close = close_quote(data, start + 1, stop)
        if close < stop:
            return start + 1, close
    return start, stop


@part
def find_param(data: np.ndarray, start: int, stop: int, name: np.ndarray, separator: int) -> tuple[int, int]:
    """Return start and stop of the value of the first parameter of that name, unquoted; NONE, NONE if there is none."""
    quotes = True
    begin = start
    equal = NONE
    i = start
    while i <= stop:
        i = find_any(data, i, stop, separator, EQUALS, QUOTE, QUOTE)
        byte = data[np.uint64(i)] if i < stop else separator
        if byte == separator:
            name_stop = i if equal == NONE else equal
            name_start = skip_space(data, begin, name_stop)
            if equals(data, name_start, trim_end(data, name_start, name_stop), name):
                return unquote(data, i if equal == NONE else equal + 1, i)
            begin = i + 1
            equal = NONE
        elif byte == EQUALS and equal == NONE:
            equal = i
        elif byte == QUOTE and quotes:
            close = close_quote(data, i + 1, stop)
            quotes = close < stop
            i = close if quotes else i
        i += 1
    return NONE, NONE


@part
def find_line_end(data: np.ndarray, start: int, stop: int) -> int:
    """Return where the line ends: at CR, LF or stop."""
    return find_any(data, start, stop, CR, LF, LF, LF)


@part
def next_line(data: np.ndarray, end: int, stop: int) -> int:
    """Return where the line after the one that ends at end begins: after CRLF, LF or CR."""
    if end + 1 < stop and data[np.uint64(end)] == CR and data[np.uint64(end + 1)] == LF:
        return end + 2
    return min(end + 1, stop)
