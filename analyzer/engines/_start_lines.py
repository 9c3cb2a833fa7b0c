"""Is it SIP? The start line of RFC 3261 section 7, if need be a broken one, and the handshake of RFC 7118."""

# ruff: noqa: FBT001, PLR1714, SIM109 (kernels are called by position, and compile best as flat loops)
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.engines._words import big32

SWITCHED, GET, PROTOCOL, SIP_NAME, VERSION = (
    np.frombuffer(text, np.uint8) for text in (b"http/1.1 101", b"get ", b"sec-websocket-protocol:", b"sip", b"sip/")
)
METHODS = np.zeros((14, 10), np.uint8)
"""The methods of RFC 3261 and its extensions, in capitals, each with a zero behind it."""
for _row, _method in zip(
    METHODS,
    (
        b"INVITE", b"ACK", b"BYE", b"CANCEL", b"REGISTER", b"OPTIONS", b"PRACK", b"SUBSCRIBE", b"NOTIFY", b"PUBLISH",
        b"INFO", b"REFER", b"MESSAGE", b"UPDATE",
    ),
    strict=True,
):  # fmt: skip
    _row[: len(_method)] = np.frombuffer(_method, np.uint8)

TOKEN = np.zeros(256, np.bool_)
"""Which bytes a method consists of: token of RFC 3261 section 25.1."""
TOKEN[np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-.!%*_+`'~", np.uint8)] = True
BLANK = np.zeros(256, np.bool_)
BLANK[[9, 32]] = True
DIGIT = np.zeros(256, np.bool_)
DIGIT[48:58] = True

CAPITALS = 0xDFDFDFDF  # keeps of four letters what is the same in either case
SIP_SLASH, SIP_COLON, SIPS, TEL_COLON = 0x5349502F, 0x5349503A, 0x53495053, 0x54454C3A
THREE_CAPITALS = 0xDFDFDFFF
MAX_LEADING = 64  # white space before a start line
MAX_METHOD = 128  # the longest of RFC 4475 has 44
MAX_LINE = 8192  # bytes of a start line that are looked at
NOWHERE = np.bool_(False)


@part
def find_sip_version(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether "SIP/" digit "." digit, in any case, begins at start (RFC 3261 section 7.1)."""
    return (
        stop - start >= 7
        and big32(data, start) & THREE_CAPITALS == SIP_SLASH
        and DIGIT[data[start + 4]]
        and data[start + 5] == 46
        and DIGIT[data[start + 6]]
    )


@part
def is_known_method(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] is a method of METHODS, in any case."""
    size = stop - start
    if size > 9 or size < 3:
        return False
    for method in range(len(METHODS)):
        same = 0
        while same < size and (data[start + same] & 0xDF) == METHODS[method, same]:
            same += 1
        if same == size and METHODS[method, size] == 0:
            return True
    return False


@part
def has_sip_scheme(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether sip:, sips: or tel: begins at start, in any case."""
    if stop - start < 5:
        return False
    word = big32(data, start)
    three = word & THREE_CAPITALS
    return three == SIP_COLON or three == TEL_COLON or (word & CAPITALS == SIPS and data[start + 4] == 58)


@part
def has_other_version(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether the line data[start:stop] ends in the version of HTTP, RTSP or another "…P/" digit protocol."""
    for at in range(max(start, stop - 8), stop - 2):
        if data[at] & 0xDF == 80 and data[at + 1] == 47 and DIGIT[data[at + 2]]:
            return True
    return False


@part
def may_be_sip(data: np.ndarray, start: int, stop: int, sip_port: bool) -> bool:
    """Say whether data[start:stop] begins with a start line of SIP (RFC 3261 section 7), if need be a broken one.

    White space before it is passed over (section 7.5). On the SIP port a known method, or "SIP/", suffices.
    """
    bound = min(stop, start + MAX_LEADING)
    while start < bound and (BLANK[data[start]] or data[start] == 13 or data[start] == 10):
        start += 1
    if stop - start < 4 or not TOKEN[data[start]]:
        return False
    bound = min(stop, start + MAX_METHOD + 1)
    at = start + 1
    while at < bound and TOKEN[data[at]]:
        at += 1
    if at == start + 3 and at < bound and data[at] == 47:
        return is_status_line(data, start, stop, sip_port)
    if at == bound or not BLANK[data[at]]:
        return False
    return is_request_line(data, start, at, stop, sip_port)


@part
def is_status_line(data: np.ndarray, start: int, stop: int, sip_port: bool) -> bool:
    """Say whether a status line begins at start, where three token characters and a slash are."""
    if find_sip_version(data, start, stop) and stop - start >= 11 and BLANK[data[start + 7]]:
        at = start + 8
        if DIGIT[data[at]] and DIGIT[data[at + 1]] and DIGIT[data[at + 2]]:
            return True
    return sip_port and big32(data, start) & THREE_CAPITALS == SIP_SLASH


@part
def is_request_line(data: np.ndarray, start: int, method_stop: int, stop: int, sip_port: bool) -> bool:
    """Say whether data[start:stop] begins with a request line, its method being data[start:method_stop]."""
    bound = min(stop, method_stop + MAX_LINE)
    end = method_stop
    while end < bound and data[end] != 13 and data[end] != 10:
        end += 1
    uri = method_stop
    while uri < end and BLANK[data[uri]]:
        uri += 1
    while end > uri and BLANK[data[end - 1]]:
        end -= 1
    if uri == end:
        return False
    if end - 7 >= uri and BLANK[data[end - 8]] and find_sip_version(data, end - 7, end):
        return True
    if not is_known_method(data, start, method_stop):
        return False
    return has_sip_scheme(data, uri, end) or (sip_port and not has_other_version(data, uri, end))


@part
def starts_with(data: np.ndarray, start: int, stop: int, text: np.ndarray) -> bool:
    """Say whether data[start:stop] begins with text, which is in lower case, in either case."""
    if stop - start < len(text):
        return False
    for i in range(len(text)):
        byte = data[start + i]
        if byte != text[i] and (byte | 32 != text[i] or not 65 <= byte <= 90):
            return False
    return True


@part
def opens_websocket(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] asks for a WebSocket for SIP (RFC 7118 section 4), or grants one for anything."""
    if stop - start < 12 or (data[start] | 32 != 103 and data[start] | 32 != 104):  # neither g nor h
        return False
    if not starts_with(data, start, stop, GET):
        return starts_with(data, start, stop, SWITCHED)
    stop = min(stop, start + MAX_LINE)
    named = False  # within the header Sec-WebSocket-Protocol
    for at in range(start, stop):
        if data[at] == 10:
            named = starts_with(data, at + 1, stop, PROTOCOL)
        elif named and starts_with(data, at, stop, SIP_NAME):
            return True
    return False


@part
def opens_sip(data: np.ndarray, start: int, stop: int, source: int) -> bool:
    """Say whether the payload data[start:stop] from TCP port source tells that its flow carries SIP.

    A status line from a port of HTTP does not: there are servers that answer HTTP requests with one.
    """
    if stop <= start:
        return False
    if may_be_sip(data, start, stop, NOWHERE):
        web = source == 80 or source == 8080
        return not (web and starts_with(data, start, stop, VERSION))
    return opens_websocket(data, start, stop)
