"""Packets out of Python values: what the engines share that are built on libraries.

Such an engine decodes one packet after the other and hands it over here; the test of a payload for SIP is the native
engine's, and so are the words for fates.
"""

import logging
import re
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from analyzer.capture import PCAP_MAGICS, PCAPNG_MAGIC
from analyzer.engines import UDP, Anomaly, Packets, Segments
from analyzer.engines import _kernels as kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_PACKETS = 5_000
"""How many packets of a capture make a block."""
_NOTES = 100
"""How many unreadable packets of a block are told one by one."""
SIP_PORTS = frozenset((5060, 5061))
_MOST_FLOWS = 65_536
_WEBSOCKET = re.compile(rb"\nSec-WebSocket-Protocol[ \t]*:[^\r\n]*\bsip\b", re.IGNORECASE)
_MAPPED = bytes(10) + b"\xff\xff"
"""What stands before an IPv4 address in its 128 bits (RFC 4291 2.5.5.2)."""


def _begins_sip(data: "NDArray[np.uint8]", sip_port: bool) -> bool:  # noqa: FBT001 (a kernel is called by position)
    return kernels.may_be_sip(data, 0, len(data), sip_port)


_kernel = kernels.KERNEL(_begins_sip)


def holds_sip(data: bytes, *, sip_port: bool) -> bool:
    """Say whether data begins with a start line of SIP, by the native engine's test."""
    return bool(_kernel(np.frombuffer(data, np.uint8), sip_port))


class Ends(NamedTuple):
    """Where a packet came from and went to."""

    ttl: int
    source: bytes
    """The address, of 4 or 16 bytes."""
    source_port: int
    destination: bytes
    """As source."""
    destination_port: int


class Payload(NamedTuple):
    """What one packet, or the packet that completed a datagram, carries."""

    number: int
    time: int
    """Nanoseconds since 1970; -1 if unknown."""
    ends: Ends
    data: bytes
    missing: int
    """How many bytes of it were not captured."""
    sequence: int = 0
    """As in Segments, for a TCP segment."""
    flags: int = 0
    """As in Segments, for a TCP segment."""


@dataclass
class Block:
    """The packets of one block; each is handed over once, when its fate is settled."""

    format: str
    rows: list[Payload] = field(default_factory=list)
    segments: list[Payload] = field(default_factory=list)
    carried: int = 0
    aside: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    anomalies: list[Anomaly] = field(default_factory=list)
    noted: Counter[str] = field(default_factory=Counter)
    """Unreadable packets that have an anomaly of their own."""
    seen: int = 0
    """Packets that were read, whether or not their fate is settled."""
    first: int = -1
    last: int = -1

    def see(self, time: int) -> None:
        """Count a packet that was captured at time (ns; -1 if unknown)."""
        self.seen += 1
        if time >= 0:
            self.last = max(self.last, time)
            self.first = time if self.first < 0 else min(self.first, time)

    def add_datagram(self, payload: Payload, parts: int = 1) -> None:
        """Take in the payload of a UDP datagram that came in so many packets, whether or not it is SIP."""
        sip_port = kernels.SIP_PORT in (payload.ends.source_port, payload.ends.destination_port)
        if holds_sip(payload.data, sip_port=sip_port):
            self.rows.append(payload)
            self.carried += parts
        else:
            self.set_aside("udp without sip", parts)

    def add_segment(self, payload: Payload) -> None:
        """Take in a TCP segment of a flow that may carry SIP."""
        self.segments.append(payload)

    def set_aside(self, reason: str, count: int = 1) -> None:
        """Count packets that carry no SIP."""
        self.aside[reason] += count

    def reject(self, number: int, time: int, reason: str, detail: str) -> None:
        """Count a packet that cannot be decoded, and say why."""
        self.unreadable[reason] += 1
        if self.noted.total() < _NOTES:
            self.noted[reason] += 1
            self.anomalies.append(Anomaly(time, number, reason, detail))

    def note(self, reason: str, detail: str) -> None:
        """Add an anomaly of the capture itself."""
        self.anomalies.append(Anomaly(-1, 0, reason, detail))

    def finish(self) -> Packets:
        """Return the packets of the block."""
        for reason, count in (self.unreadable - self.noted).items():
            self.note(reason, f"{count:,} more packet(s) like this, not listed one by one")
        settled = self.carried + self.aside.total() + self.unreadable.total() + len(self.segments)
        return Packets(
            transport=np.full(len(self.rows), UDP, np.uint8),
            **_columns(self.rows),
            captured=settled,
            carried=self.carried,
            segments=_segments(self.segments) if self.segments else None,
            set_aside=dict(self.aside),
            unreadable=dict(self.unreadable),
            anomalies=tuple(self.anomalies),
            first=self.first,
            last=self.last,
            format=self.format,
        )


def _segments(segments: list[Payload]) -> Segments:
    return Segments(
        sequence=np.array([segment.sequence & 0xFFFFFFFF for segment in segments], np.uint32),
        flags=np.array([segment.flags & 0x1F for segment in segments], np.uint8),
        **_columns(segments),
    )


def _columns(payloads: list[Payload]) -> dict[str, Any]:
    """Return the columns that Packets and Segments share."""
    ends = [payload.ends for payload in payloads]
    length = np.array([len(payload.data) for payload in payloads], np.int64)
    return {
        "data": np.frombuffer(b"".join(payload.data for payload in payloads), np.uint8),
        "number": np.array([payload.number for payload in payloads], np.int64),
        "time": np.array([payload.time for payload in payloads], np.int64),
        "ttl": np.array([end.ttl for end in ends], np.uint8),
        "source": _addresses([end.source for end in ends]),
        "source_port": np.array([end.source_port for end in ends], np.uint16),
        "destination": _addresses([end.destination for end in ends]),
        "destination_port": np.array([end.destination_port for end in ends], np.uint16),
        "start": np.cumsum(length) - length,
        "length": length,
        "missing": np.array([payload.missing for payload in payloads], np.int64),
    }


def _addresses(addresses: list[bytes]) -> "NDArray[np.uint64]":
    joined = b"".join(address if len(address) == 16 else _MAPPED + address for address in addresses)
    return np.frombuffer(joined, ">u8").reshape(-1, 2).astype(np.uint64)


class Flows:
    """The TCP flows in which SIP is to be looked for; how many are kept in mind is bounded."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[bytes, int, bytes, int], None] = OrderedDict()

    def may_carry_sip(self, payload: Payload) -> bool:
        """Say whether a segment belongs to a flow on a SIP port, or to one in which SIP or its WebSocket was seen."""
        ends = payload.ends
        if not SIP_PORTS.isdisjoint((ends.source_port, ends.destination_port)):
            return True
        flow = (ends.source, ends.source_port, ends.destination, ends.destination_port)
        reverse = (ends.destination, ends.destination_port, ends.source, ends.source_port)
        key = min(flow, reverse)
        if key in self._known:
            self._known.move_to_end(key)
            return True
        if not holds_sip(payload.data, sip_port=False) and not _opens_websocket(payload.data):
            return False
        self._known[key] = None
        if len(self._known) > _MOST_FLOWS:
            self._known.popitem(last=False)
        return True


def _opens_websocket(data: bytes) -> bool:
    """Say whether data is half of the handshake of a WebSocket for SIP (RFC 7118 section 4)."""
    return data.startswith((b"GET ", b"HTTP/1.1 101")) and _WEBSOCKET.search(data) is not None


def reason_of(protocol: int) -> str:
    """Return why an IP packet of that protocol is set aside where nothing was found in it."""
    return _PROTOCOLS.get(protocol, "other ip protocol")


_PROTOCOLS = {
    1: "icmp", 58: "icmp", 4: "tunnel (ip in ip)", 41: "tunnel (ip in ip)", 6: "tcp", 17: "udp without sip",
    47: "tunnel (gre)", 97: "tunnel (other)", 115: "tunnel (other)", 143: "tunnel (other)", 132: "sctp",
    137: "tunnel (mpls)",
}  # fmt: skip


@contextmanager
def silence(*names: str) -> Iterator[None]:
    """Keep the loggers of those names quiet for as long as the context lasts."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def name_format(path: Path) -> str:
    """Say what the capture at path is, in the words of the native engine where it reads such captures."""
    with path.open("rb") as file:
        head = file.read(16)
    if head[:4] in PCAP_MAGICS:
        order, resolution, _ = PCAP_MAGICS[head[:4]]
        return f"pcap, {order}-endian, {resolution}"
    if head[:4] == PCAPNG_MAGIC:
        return f"pcapng, {'big' if head[8:9] == bytes([0x1A]) else 'little'}-endian"
    return "another format, read by TShark"
