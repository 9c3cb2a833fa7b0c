"""The records of captures as they lie in the file: for whoever copies packets, or changes them.

The same kernels as those of the native engine find them, block by block; nothing is decoded here.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analyzer.capture import BLOCK_BYTES, LARGEST_PACKET, MOST_INTERFACES, PCAP_MAGICS, Blocks, open_blocks
from analyzer.engines import _layout as layout
from analyzer.engines._records import find_in_pcap, find_in_pcapng
from analyzer.engines.links import HEADER_BYTES, make_links, read_header, read_link

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 8192
"""The records of one Records at the most."""


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
        is_pcap = blocks.data[:4].tobytes() in PCAP_MAGICS
        yield from _of_pcap(blocks) if is_pcap else _of_pcapng(blocks)


def _of_pcap(blocks: Blocks) -> Iterator[Records]:
    header = read_header(blocks.data)
    if header is None:
        return
    at, number = HEADER_BYTES, 1
    while True:
        found = np.empty((AT_ONCE, layout.FOUND), np.int64)
        at, why, count = find_in_pcap(
            blocks.data, at, len(blocks.data), header.record_bytes, header.big, header.tick, header.limit, found
        )
        if count:
            yield Records(data=blocks.data, found=found[:count], links=header.links, first=number)
            number += count
        if why == layout.DAMAGED or (why == layout.MORE and blocks.ended):
            return
        if why == layout.MORE:
            blocks.advance(at)
            at = 0


def _of_pcapng(blocks: Blocks) -> Iterator[Records]:
    order, links, at, number = "<", make_links(0), 0, 1
    while True:
        data = blocks.data
        found = np.empty((AT_ONCE, layout.FOUND), np.int64)
        at, why, count = find_in_pcapng(data, at, len(data), order == ">", LARGEST_PACKET, links, found)
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
            if why == layout.INTERFACE and len(links) < MOST_INTERFACES:
                row = read_link(data[at : at + size].tobytes(), order)
                links = np.append(links, np.array([row], layout.LINK))
            at += size
