"""Packets to a pcapng file (draft-ietf-opsawg-pcapng), with comments: one section, times in nanoseconds."""

from typing import BinaryIO

from analyzer.pcapng import interface, packet, section


class PcapngWriter:
    """Writes one section, interface by interface and packet by packet."""

    def __init__(self, file: BinaryIO, *, comment: str = "", program: str = "") -> None:
        """Begin a section, with a comment and the name of the program that writes it."""
        self._file = file
        self._interfaces = 0
        self._file.write(section(comment=comment, program=program))

    def add_interface(self, link: int, *, snap: int = 0, name: str = "", description: str = "") -> int:
        """Describe an interface: link type, snap length (0: none), where its packets are from; return its number."""
        self._file.write(interface(link, snap=snap, name=name, description=description))
        self._interfaces += 1
        return self._interfaces - 1

    def add_packet(self, interface: int, time: int, data: bytes, *, missing: int = 0, comment: str = "") -> None:
        """Write a packet: time in ns since 1970 (0 where it is not known), missing bytes that were not captured."""
        self._file.write(packet(max(time, 0), data, len(data) + missing, interface=interface, comment=comment))
