"""Compiled looks at the bytes of a stream: line ends, Content-Length, the handshake and the frames of a WebSocket.

As in _kernels.py, a function takes an array and numbers, returns numbers, raises nothing, and reads only between
start and stop. All are linear in the bytes that they are given.
"""

# ruff: noqa: PLR0913, PLR0917, PLR1714, SIM109 -- flat loops compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.sip._scan import COLON, COMMA, CR, LF, SPACE, TAB, begins, find, trim_end
from analyzer.sip.grammar import NONE, TOKEN

BAD = -2
"""What read_length returns for a Content-Length that is no number."""
MOST_DIGITS = 18
"""The most digits of a number that is read; more are no length of anything."""

# --- kinds of WebSocket frames (RFC 6455 5.2)
CONTINUATION, TEXT, BINARY, CONTROL, COMPRESSED = 0, 1, 2, 3, 4
BAD_FRAME = 5


def _word(text: bytes) -> np.ndarray:
    return np.frombuffer(text, np.uint8)


CONTENT_LENGTH = _word(b"content-length")
COMPACT_LENGTH = _word(b"l")
PROTOCOL = _word(b"sec-websocket-protocol")
GET = _word(b"get ")
HTTP = _word(b"http/1.1")
SWITCHING = _word(b"http/1.1 101")
SIP_PROTOCOL = _word(b"sip")
VIA, FROM, TO, CALL_ID, CSEQ = map(_word, (b"via", b"from", b"to", b"call-id", b"cseq"))


@part
def is_between(byte: int) -> bool:
    """Say whether byte is a keep-alive or padding between messages: CR, LF (RFC 5626 3.5.1) or NUL."""
    return byte == CR or byte == LF or byte == 0


@part
def may_begin(byte: int) -> bool:
    """Say whether a start line may begin with byte: a token's, or a blank before it."""
    return byte == SPACE or byte == TAB or TOKEN[byte] != 0


@part
def find_value(data: np.ndarray, start: int, stop: int, word: np.ndarray) -> int:
    """Return where the value of a header begins if the line data[start:stop] is one of that name, or NONE."""
    if not begins(data, start, stop, word):
        return NONE
    at = start + len(word)
    while at < stop and (data[at] == SPACE or data[at] == TAB):
        at += 1
    return at + 1 if at < stop and data[at] == COLON else NONE


@part
def end_value(data: np.ndarray, start: int, stop: int) -> int:
    """Return where the value that begins at start ends, its folded lines included (RFC 3261 7.3.1)."""
    end = find(data, start, stop, LF)
    while end + 1 < stop and (data[end + 1] == SPACE or data[end + 1] == TAB):
        end = find(data, end + 1, stop, LF)
    return end


@part
def read_digits(data: np.ndarray, start: int, stop: int) -> int:
    """Return the decimal number that data[start:stop] is but for white space around it, or BAD."""
    while start < stop and (data[start] == SPACE or data[start] == TAB or data[start] == CR or data[start] == LF):
        start += 1
    stop = trim_end(data, start, stop)
    while start < stop - 1 and data[start] == 48:
        start += 1
    if start == stop or stop - start > MOST_DIGITS:
        return BAD
    value = 0
    for i in range(start, stop):
        digit = np.int64(data[i]) - 48
        if digit < 0 or digit > 9:
            return BAD
        value = value * 10 + digit
    return value


@part
def read_length(data: np.ndarray, start: int, stop: int) -> int:
    """Return the first Content-Length among the header lines data[start:stop] (RFC 3261 20.14), NONE or BAD."""
    line = start
    while line < stop:
        value = find_value(data, line, stop, CONTENT_LENGTH)
        if value == NONE:
            value = find_value(data, line, stop, COMPACT_LENGTH)
        if value != NONE:
            return read_digits(data, value, end_value(data, value, stop))
        line = find(data, line, stop, LF) + 1
    return NONE


@part
def has_sip_header(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether the header lines data[start:stop] have one that every SIP message must have (RFC 3261 8.1.1)."""
    line = start
    while line < stop:
        end = find(data, line, stop, LF)
        colon = find(data, line, end, COLON)
        name_stop = trim_end(data, line, colon)
        if colon < end and name_stop - line == 1:
            letter = data[line] & 0xDF
            if letter == 86 or letter == 70 or letter == 84 or letter == 73:  # v, f, t, i
                return True
        elif colon < end and (
            find_value(data, line, end, VIA) != NONE
            or find_value(data, line, end, FROM) != NONE
            or find_value(data, line, end, TO) != NONE
            or find_value(data, line, end, CALL_ID) != NONE
            or find_value(data, line, end, CSEQ) != NONE
        ):
            return True
        line = end + 1
    return False


# --- WebSocket


@part
def is_http_line(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether a line may open a WebSocket: a GET of HTTP/1.1, or its answer 101 (RFC 6455 1.3)."""
    stop = trim_end(data, start, stop)
    if begins(data, start, stop, GET):
        return begins(data, max(stop - len(HTTP), start), stop, HTTP)
    return begins(data, start, stop, SWITCHING)


@part
def lists_sip(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether 'sip' is one of the comma-separated words of data[start:stop], in any case."""
    while start < stop:
        end = find(data, start, stop, COMMA)
        while start < end and (data[start] == SPACE or data[start] == TAB or data[start] == CR or data[start] == LF):
            start += 1
        if trim_end(data, start, end) - start == len(SIP_PROTOCOL) and begins(data, start, end, SIP_PROTOCOL):
            return True
        start = end + 1
    return False


@part
def is_sip_handshake(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether the header lines data[start:stop] of HTTP ask for, or grant, the subprotocol sip (RFC 7118 4.1)."""
    line = start
    while line < stop:
        value = find_value(data, line, stop, PROTOCOL)
        if value != NONE and lists_sip(data, value, end_value(data, value, stop)):
            return True
        line = find(data, line, stop, LF) + 1
    return False


@part
def read_frame(data: np.ndarray, start: int, stop: int) -> tuple[int, int, int, bool, int]:
    """Read the header of the frame at start (RFC 6455 5.2).

    Returns the bytes of the header, those of the payload, its kind, whether it ends its message, and where its mask
    is (NONE if it has none). The bytes of the header are 0 as long as not all of them are there.
    """
    if stop - start < 2:
        return 0, 0, 0, False, NONE
    first = np.int64(data[start])
    size = np.int64(data[start + 1] & 0x7F)
    final = first >= 0x80
    opcode = first & 0x0F
    if first & 0x30 or (opcode > 2 and (opcode < 8 or opcode > 10 or size > 125 or not final or first & 0x40)):
        return 2, 0, BAD_FRAME, False, NONE
    header = 2 if size < 126 else 4 if size == 126 else 10
    mask = start + header if data[start + 1] & 0x80 else NONE
    if mask != NONE:
        header += 4
    if stop - start < header:
        return 0, 0, 0, False, NONE
    if size >= 126:
        bytes_of_size = 2 if size == 126 else 8
        if bytes_of_size == 8 and data[start + 2] & 0x80:
            return 2, 0, BAD_FRAME, False, NONE
        size = np.int64(0)
        for i in range(bytes_of_size):
            size = size << 8 | np.int64(data[start + 2 + i])
    kind = CONTROL if opcode > 2 else COMPRESSED if first & 0x40 else opcode
    return header, size, kind, final, mask


@part
def copy(data: np.ndarray, start: int, stop: int, out: np.ndarray, at: int) -> None:
    """Copy data[start:stop] to out[at:], byte after byte, so that a span may be moved towards its beginning."""
    for i in range(stop - start):
        out[np.uint64(at + i)] = data[np.uint64(start + i)]


@part
def unmask(data: np.ndarray, start: int, stop: int, mask: int, out: np.ndarray, at: int) -> None:
    """Copy data[start:stop] to out[at:], without its mask if there is one (RFC 6455 5.3); at <= start if both are one.

    The mask is read before out is written, which may be where it was.
    """
    if mask == NONE:
        copy(data, start, stop, out, at)
        return
    first, second, third, fourth = data[mask], data[mask + 1], data[mask + 2], data[mask + 3]
    for i in range(stop - start):
        turn = i & 3
        key = first if turn == 0 else second if turn == 1 else third if turn == 2 else fourth
        out[np.uint64(at + i)] = data[np.uint64(start + i)] ^ key
