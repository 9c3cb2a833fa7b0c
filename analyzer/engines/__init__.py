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
ADDRESS_BYTES = 16
"""An address takes so many bytes, in `Packets.source` and wherever it is kept."""


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
class Segments:
    """TCP segments of one block that may carry SIP, as columns over one byte buffer.

    They belong to flows on SIP ports, or to flows in which a SIP start line or the handshake of a WebSocket
    for SIP (RFC 7118) was seen. analyzer.sip.streams puts them in order and settles the fate of each.
    Columns as those of Packets, with one row per segment; those without payload have length 0.
    """

    data: "NDArray[np.uint8]"
    number: "NDArray[np.int64]"
    time: "NDArray[np.int64]"
    ttl: "NDArray[np.uint8]"
    source: "NDArray[np.uint64]"
    source_port: "NDArray[np.uint16]"
    destination: "NDArray[np.uint64]"
    destination_port: "NDArray[np.uint16]"
    sequence: "NDArray[np.uint32]"
    """Sequence number of the first byte of the payload (of the SYN itself, if the segment is one)."""
    flags: "NDArray[np.uint8]"
    """FIN 1, SYN 2, RST 4, PSH 8, ACK 16 (RFC 9293 3.1)."""
    start: "NDArray[np.int64]"
    length: "NDArray[np.int64]"
    missing: "NDArray[np.int64]"

    def __len__(self) -> int:
        """Return how many segments there are."""
        return len(self.number)


@dataclass(frozen=True, kw_only=True)
class Packets:
    """The messages' payloads of one block, as columns over one byte buffer.

    A row is a payload that may be a SIP message: a UDP datagram, or what analyzer.sip.streams cut out of a TCP
    stream. Row i's payload is `data[start[i] : start[i] + length[i]]`.

    Every captured packet has one fate: `carried + set aside + unreadable + len(segments) == captured`, where the
    segments are still to be settled. A packet is counted in the block in which its fate is settled (a fragment: when
    its datagram is complete, or is given up).
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
    """How many packets are accounted for here, of any kind."""
    carried: int | None = None
    """How many packets carry the rows or parts of them; as many as there are rows where this is None."""
    segments: Segments | None = None
    """The TCP segments of the block that may carry SIP."""
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
    strays: "NDArray[np.void] | None" = None
    """Packets without SIP that tell something, as rows of analyzer.engines.strays.STRAY."""

    def __len__(self) -> int:
        """Return how many payloads may be SIP messages."""
        return len(self.number)

    @property
    def carriers(self) -> int:
        """How many packets carry the rows or parts of them."""
        return len(self) if self.carried is None else self.carried


class Engine(Protocol):
    """Reads a capture, block by block."""

    def __call__(self, path: Path) -> Iterator[Packets]:
        """Yield the packets of the capture at path; raise CaptureError if it is none."""


ENGINES: Registry[Engine] = Registry(
    "engine",
    {
        "native": "analyzer.engines.native:read_packets",
        "scapy": "analyzer.engines.scapy:read_packets",
        "pyshark": "analyzer.engines.pyshark:read_packets",
    },
)
