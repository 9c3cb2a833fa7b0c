"""SIP in streams: messages one after the other, plain or in the frames of a WebSocket (RFC 7118)."""

import re

from analyzer.anonymizing.sip import Messages

START = re.compile(
    r"^(?:[^\s:]{1,64} +[^\r\n]{1,8192} +SIP/2\.0[ \t]*\r?$|SIP/2\.0 +\d{3})", re.MULTILINE | re.IGNORECASE
)
"""How a message begins."""
_HEAD_END = re.compile(r"\r?\n\r?\n")
_LENGTH = re.compile(r"^(?:content-length|l)[ \t]*:[ \t]*(\d{1,9})[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_UPGRADE = re.compile(r"^upgrade[ \t]*:[ \t]*websocket", re.MULTILINE | re.IGNORECASE)
_REQUEST = re.compile(r"(\S+ )(\S+)( HTTP/[\d.]+)")
_DATA_FRAMES = (0, 1, 2)


def speaks_sip(text: str) -> bool:
    """Say whether text (bytes as latin-1) begins like a SIP message, blank lines before it apart."""
    return START.match(text, len(text) - len(text.lstrip("\r\n\0"))) is not None


def rewrite_stream(messages: Messages, data: bytes) -> bytes | None:
    """Return what one side of a connection said, with other names, in the same length; None if it is no SIP."""
    text = data.decode("latin-1")
    if text.startswith(("GET ", "HTTP/1.")) and _UPGRADE.search(text[:16_384]):
        named = _rewrite_web_socket(messages, text)
    elif START.search(text):
        named = rewrite_messages(messages, text)
    else:
        return None
    return named.encode("latin-1")


def rewrite_messages(messages: Messages, text: str) -> str:
    """Return messages, one after the other, with other names; what lies between them is blotted out."""
    pieces, at = [], 0
    while found := START.search(text, at):
        pieces.append(blotted(text[at : found.start()]))
        end = _HEAD_END.search(text, found.start())
        stop = len(text)
        if end:
            length = _LENGTH.search(text, found.start(), end.start())
            stop = min(stop, end.end() + int(length[1])) if length else _next(text, end.end())
        pieces.append(messages.rewrite(text[found.start() : stop]))
        at = stop
    return "".join(pieces) + blotted(text[at:])


def _next(text: str, at: int) -> int:
    """Return where the message after one without Content-Length begins."""
    found = START.search(text, at)
    return found.start() if found else len(text)


def blotted(text: str) -> str:
    """Return zeros for text, but for line breaks and blanks, which keep a connection open."""
    return re.sub(r"[^\r\n \0]", "\0", text)


def _rewrite_web_socket(messages: Messages, text: str) -> str:
    """Return a handshake and the frames behind it."""
    end = _HEAD_END.search(text)
    head = text[: end.end()] if end else text
    first, line, rest = head.partition("\n")
    request = _REQUEST.match(first)
    if request:
        first = request[1] + messages.names.secret(request[2]) + request[3] + first[request.end() :]
    return first + line + messages.headers(rest) + _rewrite_frames(messages, text[len(head) :].encode("latin-1"))


def _rewrite_frames(messages: Messages, data: bytes) -> str:
    """Return the frames of a WebSocket (RFC 6455 5.2), what they carry with other names."""
    pieces, at = [], 0
    while len(data) - at >= 2:
        size, header = data[at + 1] & 0x7F, 2
        if size > 125:
            wide = 2 if size == 126 else 8
            size, header = int.from_bytes(data[at + 2 : at + 2 + wide], "big"), 2 + wide
        masked = data[at + 1] & 0x80
        mask = data[at + header : at + header + 4] if masked else b"\0\0\0\0"
        header += 4 if masked else 0
        body = data[at + header : at + header + size]
        if len(mask) < 4:
            break
        pieces.append(data[at : at + header])
        text = _masked(body, mask).decode("latin-1")
        plain = data[at] & 0x0F in _DATA_FRAMES and not data[at] & 0x70
        named = rewrite_messages(messages, text) if plain and START.search(text) else blotted(text)
        pieces.append(_masked(named.encode("latin-1"), mask))
        at += header + size
    rest = data[min(at, len(data)) :]
    return b"".join([*pieces, bytes(len(rest))]).decode("latin-1")


def _masked(data: bytes, mask: bytes) -> bytes:
    if not data or mask == b"\0\0\0\0":
        return data
    long = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(long, "big")).to_bytes(len(data), "big")
