"""Captures to packets: each engine here reads the same files and yields the same `Packets`.

An engine is a callable `engine(path) -> Iterator[Packets]`: one `Packets` per block of the
capture, so that a capture of any size is never in memory as a whole. It yields at least one
`Packets` for every readable capture, if need be an empty one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from analyzer.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UDP, TCP, WS = 0, 1, 2
TRANSPORTS = ("udp", "tcp", "ws")
"""The word for each code of `Packets.transport`."""


class Anomaly(NamedTuple):
    """Something in a capture that could not be understood, and why."""

    time: int
    """Nanoseconds since 1970 (UTC); -1 where there is none."""
    packet: int
    """1-based number of the packet; 0 for the capture itself."""
    reason: str
    """A word from a closed list, see the engine or parser that makes it."""
    detail: str
    """The particulars, for people."""


@dataclass(frozen=True, kw_only=True)
class Packets:
    """The packets of one block that may carry SIP, as columns over one byte buffer.

    Packets without SIP are only counted: `len(packets) + set aside + unreadable == captured`.
    Row i's payload is `data[start[i] : start[i] + length[i]]`. The arrays have one row per packet.
    """

    data: "NDArray[np.uint8]"
    """The buffer that start and length point into; for the native engine a block of the file itself."""
    number: "NDArray[np.int64]"
    """1-based number of the packet in its capture."""
    time: "NDArray[np.int64]"
    """Nanoseconds since 1970 (UTC)."""
    transport: "NDArray[np.uint8]"
    """UDP, TCP or WS, see TRANSPORTS."""
    ttl: "NDArray[np.uint8]"
    """Time to live, or hop limit."""
    source: "NDArray[np.uint64]"
    """Shape (n, 2): the 128 bits of the address, high half first; IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2)."""
    source_port: "NDArray[np.uint16]"
    destination: "NDArray[np.uint64]"
    """As source."""
    destination_port: "NDArray[np.uint16]"
    start: "NDArray[np.int64]"
    """Where the payload begins in data."""
    length: "NDArray[np.int64]"
    """How many bytes of the payload were captured."""
    missing: "NDArray[np.int64]"
    """How many bytes of the payload the capture left out (snap length)."""

    captured: int
    """How many packets the block holds, of any kind."""
    set_aside: Mapping[str, int] = field(default_factory=dict)
    """How many packets carry no SIP that this engine decodes, by reason."""
    unreadable: Mapping[str, int] = field(default_factory=dict)
    """How many packets could not be decoded, by reason; each is an anomaly too."""
    anomalies: tuple[Anomaly, ...] = ()
    first: int = -1
    """Time of the earliest packet of the block, of any kind, in ns; -1 if there is none."""
    last: int = -1
    """Time of the latest packet of the block, of any kind, in ns; -1 if there is none."""
    dropped: int | None = None
    """Packets that the recorder says it lost, where this block says so (pcapng interface statistics)."""
    format: str = ""
    """What the file is, e.g. 'pcap, little-endian, µs' or 'pcapng'."""

    def __len__(self) -> int:
        """Return how many packets may carry SIP."""
        return len(self.number)


class Engine(Protocol):
    """Reads a capture, block by block."""

    def __call__(self, path: Path) -> Iterator[Packets]:
        """Yield the packets of the capture at path; raise CaptureError if it is none."""


ENGINES: Registry[Engine] = Registry("engine", {"native": "analyzer.engines.native:read_packets"})
