"""Packets to a pcapng file (draft-ietf-opsawg-pcapng), with comments: one section, times in nanoseconds."""

import struct
from typing import BinaryIO

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_COMMENT, _PROGRAM, _NAME, _DESCRIPTION, _RESOLUTION = 1, 4, 2, 3, 9
_LONGEST = 0xFFFF
"""The most bytes that the value of an option has."""
_TEXT = "utf-8", "replace"


class PcapngWriter:
    """Writes one section, interface by interface and packet by packet."""

    def __init__(self, file: BinaryIO, *, comment: str = "", program: str = "") -> None:
        """Begin a section, with a comment and the name of the program that writes it."""
        self._file = file
        self._interfaces = 0
        options = _option(_COMMENT, comment) + _option(_PROGRAM, program)
        self._write(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), options)

    def add_interface(self, link: int, *, snap: int = 0, name: str = "", description: str = "") -> int:
        """Describe an interface: link type, snap length (0: none), where its packets are from; return its number."""
        options = _option(_NAME, name) + _option(_DESCRIPTION, description) + _option(_RESOLUTION, b"\x09")
        self._write(_INTERFACE, struct.pack("<HHI", link & 0xFFFF, 0, snap), options)
        self._interfaces += 1
        return self._interfaces - 1

    def add_packet(self, interface: int, time: int, packet: bytes, *, missing: int = 0, comment: str = "") -> None:
        """Write a packet: time in ns since 1970 (0 where it is not known), missing bytes that were not captured."""
        time = max(time, 0)
        head = struct.pack("<IIIII", interface, time >> 32, time & 0xFFFFFFFF, len(packet), len(packet) + missing)
        self._write(_PACKET, head + packet + bytes(-len(packet) % 4), _option(_COMMENT, comment))

    def _write(self, kind: int, body: bytes, options: bytes) -> None:
        if options:
            options += bytes(4)
        size = 12 + len(body) + len(options)
        self._file.write(struct.pack("<II", kind, size) + body + options + struct.pack("<I", size))


def _option(code: int, value: str | bytes) -> bytes:
    raw = value.encode(*_TEXT) if isinstance(value, str) else value
    if not raw:
        return b""
    if len(raw) > _LONGEST:
        raw = raw[:_LONGEST].decode("utf-8", "ignore").encode()
    return struct.pack("<HH", code, len(raw)) + raw + bytes(-len(raw) % 4)
