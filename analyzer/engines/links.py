"""What captures say of the interfaces that their packets are from, as the kernels are given it."""

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analyzer.capture import LARGEST_PACKET, PCAP_MAGICS, USUAL_PACKET
from analyzer.engines import _layout as layout
from analyzer.pcapng import read_interface

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADER_BYTES = 24
"""Those of the header of a pcap file."""
_LINK_TYPE = 0x03FF_FFFF
"""The bits above tell of frame check sequences."""


class Header(NamedTuple):
    """What the header of a pcap file says."""

    big: bool
    """Its numbers are big-endian."""
    tick: int
    """The ns in a tick of its clock."""
    record_bytes: int
    """Those of the header of a record."""
    limit: int
    """How many bytes a packet may have."""
    links: "NDArray[np.void]"
    """Its one interface, as a row of analyzer.engines._layout.LINK."""


def read_header(data: "NDArray[np.uint8]") -> Header | None:
    """Return what the header says that data, the first bytes of a pcap file, begin with; None if it is not whole."""
    if len(data) < HEADER_BYTES:
        return None
    head = data[:HEADER_BYTES].tobytes()
    order, resolution, record_bytes = PCAP_MAGICS[head[:4]]
    snap, link = struct.unpack_from((">" if order == "big" else "<") + "II", head, 16)
    links = make_links(1)
    links["link"], links["snap"] = link & _LINK_TYPE, snap
    limit = min(max(snap, USUAL_PACKET), LARGEST_PACKET)
    return Header(order == "big", 1000 if resolution == "µs" else 1, record_bytes, limit, links)


def read_link(block: bytes, order: str) -> tuple[int, ...]:
    """Return what an Interface Description Block says, as a row of analyzer.engines._layout.LINK."""
    link, snap, resolution, offset = read_interface(block, order)
    nanoseconds = max(min(offset * 1_000_000_000, layout.LATEST), -layout.LATEST)
    return link, snap, resolution, nanoseconds, 0


def make_links(count: int) -> "NDArray[np.void]":
    """Return rows of LINK of which nothing is known yet."""
    return np.zeros(count, layout.LINK)
