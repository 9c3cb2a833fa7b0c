"""Packets out of Python values: what the engines share that are built on libraries.

Such an engine decodes one packet after the other and hands it over here. What is SIP, and which TCP flows may carry
it, is decided by the native engine's kernels; the words for fates are the native engine's, too.
"""

import logging
import struct
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from analyzer.compiled import kernel
from analyzer.engines import TCP, UDP, Anomaly, Packets, Segments
from analyzer.engines import strays as kinds
from analyzer.engines._flows import is_sip_port
from analyzer.engines._layout import SIP_PORT
from analyzer.engines._start_lines import may_be_sip, opens_sip
from analyzer.engines._strays import tell_datagram, tell_segment
from analyzer.formats import PCAP_MAGICS, PCAPNG_MAGIC, find_foreign

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_PACKETS = 5_000
"""How many packets of a capture make a block."""
CUT = ("cut before the payload", "the captured bytes end before the payload begins")
BAD_IP = ("bad ip header", "version or lengths of the IP headers contradict each other")
BAD_UDP = ("bad udp header", "the UDP length is less than that of a UDP header")
BAD_TCP = ("bad tcp header", "the length of the TCP header contradicts that of the packet")
BAD_FRAGMENT = ("bad fragment", "the fragment does not lie within a datagram, or does not end where fragments may")
TOO_DEEP = ("too many headers", "more headers or packets within each other than any network needs")
NO_INTERFACE = ("unknown interface", "the packet's interface is not described before it")
_NOTES = 100
"""How many unreadable packets of a block are told one by one."""
_MOST_FLOWS = 65_536
_MAPPED = bytes(10) + b"\xff\xff"
"""What stands before an IPv4 address in its 128 bits (RFC 4291 2.5.5.2)."""
_PROTOCOLS = {
    1: "icmp", 58: "icmp", 6: "tcp", 17: "udp without sip", 47: "tunnel (gre)", 97: "tunnel (other)",
    115: "tunnel (other)", 143: "tunnel (other)", 132: "sctp", 137: "tunnel (mpls)",
}  # fmt: skip
_CHUNK = struct.Struct(">HHH")


def _begins_sip(data: "NDArray[np.uint8]", sip_port: bool) -> bool:  # noqa: FBT001 (a kernel is called by position)
    return may_be_sip(data, 0, len(data), sip_port)


def _opens_sip(data: "NDArray[np.uint8]", source_port: int) -> bool:
    return opens_sip(data, 0, len(data), source_port)


def _tells_datagram(data: "NDArray[np.uint8]", size: int, source: int, destination: int) -> int:
    return tell_datagram(data, 0, len(data), size, source, destination)


def _tells_segment(flags: int, size: int, source: int, destination: int) -> int:
    return tell_segment(flags, size, source, destination)


_begins, _opens = kernel(_begins_sip), kernel(_opens_sip)
_datagram, _segment = kernel(_tells_datagram), kernel(_tells_segment)
_is_sip_port = is_sip_port.py_func


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
    transport: int = UDP


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
    strays: dict[tuple[Any, ...], list[int]] = field(default_factory=dict)
    """First number, earliest and latest time, and packets of each stray, by kind and ends."""
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
        carried: Payload | None = payload
        homer = payload.data[:4] == b"HEP3"
        if homer:
            carried = read_homer(payload)
        if carried is not None and is_message(carried):
            self.rows.append(carried)
            self.carried += parts
        else:
            self.set_aside("tunnel (hep)" if homer else "udp without sip", parts)
            if not homer:
                self._see_stray(_tell_datagram(payload), payload)

    def add_segment(self, payload: Payload, parts: int = 1) -> None:
        """Take in a TCP segment of a flow that may carry SIP, and that came in so many packets."""
        self.segments.append(payload)
        self.set_aside("fragment", parts - 1)
        self._see_stray(_tell_segment(payload), payload)

    def pass_segment(self, payload: Payload, parts: int = 1) -> None:
        """Set aside a TCP segment, that came in so many packets, of a flow that carries no SIP."""
        self.set_aside("tcp", parts)
        self._see_stray(_tell_segment(payload), payload)

    def _see_stray(self, kind: int, payload: Payload) -> None:
        """Count a packet among the strays of a kind."""
        if kind == kinds.NOTHING:
            return
        ends, number, time = payload.ends, payload.number, payload.time
        key = (kind, ends.source, ends.destination, ends.source_port, ends.destination_port)
        if kind == kinds.OPENED:
            key = (kind, ends.destination, ends.source, 0, ends.source_port)
        elif kind != kinds.MEDIA:
            key = (*key[:3], 0, ends.destination_port)
        known = self.strays.setdefault(key, [number, time, time, 0])
        times = [known[1], time]
        known[1:] = min((time for time in times if time >= 0), default=-1), max(known[2], time), known[3] + 1

    def set_aside(self, reason: str, count: int = 1) -> None:
        """Count packets that carry no SIP."""
        if count:
            self.aside[reason] += count

    def reject(self, number: int, time: int, why: tuple[str, str], parts: int = 1) -> None:
        """Count a packet, or those that its datagram came in, as not decoded; why is a reason and the particulars."""
        reason, detail = why
        self.unreadable[reason] += parts
        if self.noted.total() < _NOTES:
            self.noted[reason] += parts
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
            transport=np.array([row.transport for row in self.rows], np.uint8),
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
            strays=_strays(self.strays),
        )


def _strays(known: "dict[tuple[Any, ...], list[int]]") -> "NDArray[np.void]":
    rows = np.zeros(len(known), kinds.STRAY)
    rows["kind"], rows["source_port"], rows["destination_port"] = ([key[place] for key in known] for place in (0, 3, 4))
    for name, place in (("source", 1), ("destination", 2)):
        rows[name] = _addresses([key[place] for key in known]).view(np.int64)
    for name, place in (("number", 0), ("start", 1), ("end", 2), ("packets", 3)):
        rows[name] = [fact[place] for fact in known.values()]
    return rows


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
        "data": np.frombuffer(bytearray().join(payload.data for payload in payloads), np.uint8),
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


# --- what the native engine decides


def holds_sip(data: bytes, *ports: int) -> bool:
    """Say whether data, seen between those UDP ports, begins with a start line of SIP."""
    return bool(_begins(np.frombuffer(data, np.uint8), SIP_PORT in ports))


def _tell_datagram(payload: Payload) -> int:
    """Return what a UDP datagram without SIP is to strays."""
    size, ends = len(payload.data) + payload.missing, payload.ends
    return int(_datagram(np.frombuffer(payload.data, np.uint8), size, ends.source_port, ends.destination_port))


def _tell_segment(payload: Payload) -> int:
    """Return what a TCP segment is to strays."""
    size, ends = len(payload.data) + payload.missing, payload.ends
    return int(_segment(payload.flags & 0xFF, size, ends.source_port, ends.destination_port))


def is_message(payload: Payload) -> bool:
    """Say whether the payload of a datagram may be a SIP message."""
    return holds_sip(payload.data, payload.ends.source_port, payload.ends.destination_port)


class Flows:
    """The TCP flows in which SIP is to be looked for; how many are kept in mind is bounded."""

    def __init__(self) -> None:
        """Know none."""
        self._known: OrderedDict[frozenset[tuple[bytes, int]], None] = OrderedDict()

    def may_carry_sip(self, payload: Payload) -> bool:
        """Say whether a segment belongs to a flow on a SIP port, or to one in which SIP or its WebSocket was seen."""
        ends = payload.ends
        if _is_sip_port(ends.source_port) or _is_sip_port(ends.destination_port):
            return True
        key = frozenset(((ends.source, ends.source_port), (ends.destination, ends.destination_port)))
        if key in self._known:
            self._known.move_to_end(key)
            return True
        if not _opens(np.frombuffer(payload.data, np.uint8), ends.source_port):
            return False
        self._known[key] = None
        if len(self._known) > _MOST_FLOWS:
            self._known.popitem(last=False)
        return True


# --- small things


def read_homer(packet: Payload) -> Payload | None:
    """Return what a HEP3 packet (the capture protocol of Homer) carries; None if that is not told."""
    chunks = _homer_chunks(packet.data, packet.missing)
    source, destination = (chunks.get(four) or chunks.get(six) for four, six in ((3, 5), (4, 6)))
    if source is None or destination is None or 15 not in chunks:
        return None
    source_port, destination_port, protocol = (int.from_bytes(chunks.get(kind, (b"", 0))[0]) for kind in (7, 8, 2))
    data, size = chunks[15]
    ends = Ends(0, source[0], source_port, destination[0], destination_port)
    transport = TCP if protocol == 6 else UDP
    return packet._replace(ends=ends, data=data, missing=size - len(data), transport=transport)


_CHUNK_BYTES = {2: 1, 3: 4, 4: 4, 5: 16, 6: 16, 7: 2, 8: 2}
"""How many bytes the chunks of HEP3 have that tell where a payload came from."""


def _homer_chunks(data: bytes, missing: int) -> dict[int, tuple[bytes, int]]:
    """Return what was captured of each chunk, and its size, by kind; nothing if the chunks exceed the packet."""
    chunks: dict[int, tuple[bytes, int]] = {}
    end, at = min(len(data) + missing, int.from_bytes(data[4:6])), 6
    while at + 6 <= min(end, len(data)):
        vendor, kind, size = _CHUNK.unpack_from(data, at)
        if size < 6 or at + size > end:
            return {}
        if vendor == 0 and _CHUNK_BYTES.get(kind, size - 6) == size - 6:
            chunks[kind] = data[at + 6 : at + size], size - 6
        at += size
    return chunks


def reason_of(protocol: int) -> str:
    """Return why an IP packet of that protocol is set aside where nothing was found in it."""
    return _PROTOCOLS.get(protocol, "other ip protocol")


def name_format(head: bytes) -> str:
    """Say what a capture that begins with head is, in the words of the native engine where it reads such captures."""
    if head[:4] in PCAP_MAGICS:
        order, resolution, _ = PCAP_MAGICS[head[:4]]
        return f"pcap, {order}-endian, {resolution}"
    if head[:4] == PCAPNG_MAGIC:
        return f"pcapng, {'big' if head[8:9] == bytes([0x1A]) else 'little'}-endian"
    return find_foreign(head)


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
