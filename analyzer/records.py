"""The records of captures as they lie in the file: for whoever copies packets, or changes them.

The same kernels as those of the native engine find them, block by block; nothing is decoded here.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analyzer.capture import BLOCK_BYTES, PCAP_MAGICS, Blocks, open_blocks
from analyzer.engines import _layout as layout
from analyzer.engines._records import find_in_pcap, find_in_pcapng

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 8192
"""The records of one Records at the most."""
_LARGEST_PACKET = 256 << 20
_USUAL_PACKET = 262_144
_MOST_INTERFACES = 65_536
_NO_LINK = 0xFFFF


@dataclass(frozen=True, kw_only=True)
class Records:
    """Some records of a capture, one after the other, as columns over one byte buffer."""

    data: "NDArray[np.uint8]"
    found: "NDArray[np.int64]"
    """Shape (n, FOUND) of analyzer.engines._layout: START (-1 if it cannot be told), CAPTURED_STOP, WIRE_STOP, WHEN
    (ns since 1970; -1 if it cannot be told) and INTERFACE_OF."""
    links: "NDArray[np.void]"
    """The interfaces of the section, as rows of analyzer.engines._layout.LINK."""
    first: int
    """1-based number of the first of them in the capture."""

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self.found)

    def link_of(self, index: int) -> int:
        """Return the link type of a record; -1 if its interface is not described."""
        interface = int(self.found[index, layout.INTERFACE_OF])
        return int(self.links["link"][interface]) if 0 <= interface < len(self.links) else -1

    def snap_of(self, index: int) -> int:
        """Return the snap length of a record's interface; 0 if there is none."""
        interface = int(self.found[index, layout.INTERFACE_OF])
        return int(self.links["snap"][interface]) if 0 <= interface < len(self.links) else 0

    def bytes_of(self, index: int) -> bytes:
        """Return what was captured of a packet."""
        start, stop = self.found[index, layout.START], self.found[index, layout.CAPTURED_STOP]
        return self.data[start:stop].tobytes() if start >= 0 else b""

    def missing_of(self, index: int) -> int:
        """Return how many bytes of a packet were not captured."""
        return int(self.found[index, layout.WIRE_STOP] - self.found[index, layout.CAPTURED_STOP])

    def time_of(self, index: int) -> int:
        """Return the time of a packet in ns since 1970; -1 if it cannot be told."""
        return int(self.found[index, layout.WHEN])


def read_records(path: Path, *, block_bytes: int = BLOCK_BYTES, most_bytes: int | None = None) -> Iterator[Records]:
    """Yield the records of the pcap or pcapng file at path, in order; of one that is cut short, those that are whole.

    Packets have the numbers that every engine gives them. The buffers of earlier Records stay intact.
    Raises CaptureError if it cannot be read or is neither.
    """
    with open_blocks(path, block_bytes, most_bytes=most_bytes) as blocks:
        magic = blocks.data[:4].tobytes()
        yield from _of_pcap(blocks, magic) if magic in PCAP_MAGICS else _of_pcapng(blocks)


def _of_pcap(blocks: Blocks, magic: bytes) -> Iterator[Records]:
    order, resolution, header = PCAP_MAGICS[magic]
    if len(blocks.data) < 24:
        return
    snap, link = struct.unpack_from((">" if order == "big" else "<") + "II", blocks.data[:24].tobytes(), 16)
    links = np.zeros(1, layout.LINK)
    links["link"], links["snap"] = link & 0x03FFFFFF, snap
    limit = min(max(snap, _USUAL_PACKET), _LARGEST_PACKET)
    tick, big = 1000 if resolution == "µs" else 1, order == "big"
    at, number = 24, 1
    while True:
        found = np.empty((AT_ONCE, layout.FOUND), np.int64)
        at, why, count = find_in_pcap(blocks.data, at, len(blocks.data), header, big, tick, limit, found)
        if count:
            yield Records(data=blocks.data, found=found[:count], links=links, first=number)
            number += count
        if why == layout.DAMAGED or (why == layout.MORE and blocks.ended):
            return
        if why == layout.MORE:
            blocks.advance(at)
            at = 0


def _of_pcapng(blocks: Blocks) -> Iterator[Records]:
    order, links, at, number = "<", np.zeros(0, layout.LINK), 0, 1
    while True:
        data = blocks.data
        found = np.empty((AT_ONCE, layout.FOUND), np.int64)
        at, why, count = find_in_pcapng(data, at, len(data), order == ">", _LARGEST_PACKET, links, found)
        if count:
            yield Records(data=data, found=found[:count], links=links, first=number)
            number += count
        if why == layout.DAMAGED or (why == layout.MORE and blocks.ended):
            return
        if why == layout.MORE:
            blocks.advance(at)
            at = 0
        elif why != layout.ENOUGH:
            if why == layout.SECTION:
                order, links = ">" if data[at + 8] == 0x1A else "<", links[:0]
            (size,) = struct.unpack(order + "I", data[at + 4 : at + 8].tobytes())
            if why == layout.INTERFACE and len(links) < _MOST_INTERFACES:
                links = np.append(links, _describe(data[at : at + size].tobytes(), order))
            at += size


def _describe(block: bytes, order: str) -> "NDArray[np.void]":
    """Return what an Interface Description Block says."""
    link, snap = struct.unpack_from(order + "HxxI", block, 8) if len(block) >= 20 else (_NO_LINK, 0)
    resolution, offset = 6, 0
    for code, value in options(block, 16, order):
        if code == 9 and value:
            resolution = value[0]
        elif code == 14 and len(value) >= 8:
            (offset,) = struct.unpack_from(order + "q", value)
    row = np.zeros(1, layout.LINK)
    row["link"], row["snap"], row["resolution"] = link, snap, resolution
    row["offset"] = max(min(offset * 1_000_000_000, layout.LATEST), -layout.LATEST)
    return row


def options(block: bytes, start: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield code and value of each option of a pcapng block, up to the first that does not fit."""
    stop = len(block) - 4
    while stop - start >= 4:
        code, size = struct.unpack_from(order + "HH", block, start)
        start += 4
        if code == 0 or size > stop - start:
            return
        yield code, block[start : start + size]
        start += size + (-size % 4)
