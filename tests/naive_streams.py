"""The slow and obvious twins of the looks at a stream's bytes, and what a WebSocket does to a message."""

import re
import struct

BAD, NONE = -2, -1
CONTROL, COMPRESSED, BAD_FRAME = 3, 4, 5


def values(head, name):
    """Yield the values of the headers of that name, as a regular expression, in head: bytes of whole lines."""
    lines = rb"(?i)(?:\A|(?<=\n))(?:%s)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)"
    return [match[1] for match in re.finditer(lines % name, head)]


def read_length(head):
    for value in values(head, rb"content-length|l"):
        digits = re.fullmatch(rb"0*([0-9]+)", value.strip(b" \t\r\n"))
        return int(digits[1]) if digits and len(digits[1]) <= 18 else BAD
    return NONE


def has_sip_header(head):
    names = rb"(?i)(?:via|from|to|call-id|cseq)[ \t]*:|[vfti][ \t\r]*:"
    return any(re.match(names, line) for line in head.split(b"\n"))


def is_sip_handshake(head):
    return any(
        word.strip(b" \t\r\n").lower() == b"sip"
        for value in values(head, rb"sec-websocket-protocol")
        for word in value.split(b",")
    )


def read_frame(data):
    """Return bytes of header, bytes of payload, kind, final, and where the mask is (RFC 6455 5.2)."""
    if len(data) < 2:
        return 0, 0, 0, False, NONE
    final, reserved, compressed, opcode = data[0] >= 128, data[0] & 0x30, data[0] & 0x40, data[0] & 15
    masked, size = data[1] >= 128, data[1] & 127
    control = opcode in (8, 9, 10)
    if reserved or (opcode > 2 and not control) or (control and (not final or size > 125 or compressed)):
        return 2, 0, BAD_FRAME, False, NONE
    more = {126: 2, 127: 8}.get(size, 0)
    if len(data) < 2 + more + 4 * masked:
        return 0, 0, 0, False, NONE
    if more:
        size = int.from_bytes(data[2 : 2 + more])
    if size >> 63:
        return 2, 0, BAD_FRAME, False, NONE
    kind = CONTROL if control else COMPRESSED if compressed else opcode
    return 2 + more + 4 * masked, size, kind, final, 2 + more if masked else NONE


def websocket_frame(payload, *, opcode=1, final=True, mask=None, reserved=0):
    """Return a frame of that payload."""
    size = len(payload)
    short = size if size < 126 else 126 if size < 65536 else 127
    head = bytes([final * 128 | reserved | opcode, (mask is not None) * 128 | short])
    head += b"" if short < 126 else struct.pack(">H" if short == 126 else ">Q", size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
