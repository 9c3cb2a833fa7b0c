"""The native engine: compiled loops over the bytes of a pcap or pcapng file, block by block.

Reasons of unreadable packets: those of UNREADABLE. Reasons of anomalies: these, and 'cut short' (the capture ends
within a packet), 'damaged' (it cannot be read any further) and 'unsupported link type'.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.capture import PCAP_MAGICS, Blocks, open_blocks
from analyzer.engines import UDP, Anomaly, Packets
from analyzer.engines import _kernels as kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_BYTES = 32 << 20
SET_ASIDE = {
    kernels.TCP: "tcp",
    kernels.FRAGMENT: "fragment",
    kernels.ICMP: "icmp",
    kernels.SCTP: "sctp",
    kernels.NO_SIP: "udp without sip",
    kernels.NOT_IP: "not ip",
    kernels.OTHER_PROTOCOL: "other ip protocol",
    kernels.GRE: "tunnel (gre)",
    kernels.IP_IN_IP: "tunnel (ip in ip)",
    kernels.PPPOE: "tunnel (pppoe)",
    kernels.MPLS: "tunnel (mpls)",
    kernels.OTHER_TUNNEL: "tunnel (other)",
}
UNREADABLE = {
    kernels.CUT: "cut before the payload",
    kernels.BAD_IP: "bad ip header",
    kernels.BAD_UDP: "bad udp header",
    kernels.TOO_DEEP: "too many headers",
    kernels.BAD_BLOCK: "bad packet block",
    kernels.NO_INTERFACE: "unknown interface",
}
_DETAILS = {
    kernels.CUT: "the captured bytes end before the payload begins",
    kernels.BAD_IP: "version or lengths of the IP headers contradict each other",
    kernels.BAD_UDP: "the UDP length is less than that of a UDP header",
    kernels.TOO_DEEP: "more VLAN tags or IPv6 extension headers in a row than any network needs",
    kernels.BAD_BLOCK: "the packet is longer than the block that holds it",
    kernels.NO_INTERFACE: "the packet's interface is not described before it",
}

_NOTES = 100
"""How many unreadable packets of a block are told one by one."""
_SMALLEST_SIP = 54
"""Bytes of the smallest record that becomes a row: headers of record, IP and UDP, and ten bytes of a start line."""
_LARGEST_PACKET = 256 << 20
_USUAL_PACKET = 262_144
"""The snap length that libpcap sets where none is asked for."""
_MOST_INTERFACES = 65_536
_MOST = 2**63 - 1
_ISB_DROPS = (5, 7)
"""The options isb_ifdrop and isb_osdrop."""


def read_packets(path: Path, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Packets]:
    """Yield the packets of the pcap or pcapng file at path, about block_bytes of it at a time.

    Raises CaptureError if it cannot be read or is neither.
    """
    with open_blocks(path, block_bytes) as blocks:
        yield from read_blocks(blocks)


def read_blocks(blocks: Blocks) -> Iterator[Packets]:
    """Yield the packets of a capture that is pcap or pcapng, and of which the first block was read."""
    magic = blocks.data[:4].tobytes()
    return _read_pcap(blocks, magic) if magic in PCAP_MAGICS else _read_pcapng(blocks)


def _make_links(count: int) -> "NDArray[Any]":
    return np.zeros(count, kernels.LINK)


@dataclass
class _Pass:
    """What is known of a capture so far, and what the kernels write of the block at hand."""

    blocks: Blocks
    format: str = ""
    links: "NDArray[Any]" = field(default_factory=lambda: _make_links(0))
    number: int = 0
    dropped: int | None = None
    anomalies: list[Anomaly] = field(default_factory=list)
    aside: dict[int, int] = field(default_factory=dict)
    """Packets of the block by their unsupported link type."""
    refused: set[int] = field(default_factory=set)
    """The unsupported link types that have their anomaly."""

    def begin(self) -> None:
        """Make room for the packets of a block."""
        self.rows = np.empty(len(self.blocks.data) // _SMALLEST_SIP + 1, kernels.ROW)
        self.odd = np.empty(_NOTES, kernels.ODD)
        self.tally = np.array([0, self.number, 0, -1, -1], np.int64)
        self.fates = np.zeros(kernels.FATES, np.int64)
        self.dropped = None
        self.anomalies = []
        self.aside = {}

    @property
    def written(self) -> tuple["NDArray[Any]", ...]:
        """The arrays that a walk writes into."""
        return self.links, self.rows, self.odd, self.tally, self.fates

    def gather_aside(self) -> None:
        """Take over what the interfaces counted of unsupported link types."""
        for link in self.links[self.links["aside"] > 0]:
            kind = int(link["link"])
            self.aside[kind] = self.aside.get(kind, 0) + int(link["aside"])
            if kind not in self.refused:
                self.refused.add(kind)
                detail = f"link type {kind} is not decoded: its packets are set aside"
                self.anomalies.append(Anomaly(-1, 0, "unsupported link type", detail))
        self.links["aside"] = 0

    def stop_at(self, used: int, reason: str, what: str) -> None:
        """Note that the capture cannot be read beyond used bytes of this block."""
        offset = self.blocks.offset + used
        size = self.blocks.size
        rest = max(size, offset) - offset if size is not None else len(self.blocks.data) - used
        detail = f"{what} at byte {offset:,}: the {rest:,} byte(s) from there on were not read"
        self.anomalies.append(Anomaly(-1, 0, reason, detail))

    def finish(self) -> Packets:
        """Return the packets of the block."""
        self.gather_aside()
        count, number, _, first, last = (int(value) for value in self.tally)
        captured, self.number = number - self.number, number
        rows = self.rows[:count]
        set_aside = {SET_ASIDE[fate]: int(self.fates[fate]) for fate in SET_ASIDE if self.fates[fate]}
        set_aside |= {f"link type {kind}": packets for kind, packets in self.aside.items()}
        return Packets(
            data=self.blocks.data,
            number=rows["number"].copy(),
            time=rows["time"].copy(),
            transport=np.full(count, UDP, np.uint8),
            ttl=rows["ttl"].copy(),
            source=rows["source"].copy().view(np.uint64),
            source_port=rows["source_port"].copy(),
            destination=rows["destination"].copy().view(np.uint64),
            destination_port=rows["destination_port"].copy(),
            start=rows["start"].copy(),
            length=rows["length"].copy(),
            missing=rows["missing"].copy(),
            captured=captured,
            set_aside=set_aside,
            unreadable={UNREADABLE[fate]: int(self.fates[fate]) for fate in UNREADABLE if self.fates[fate]},
            anomalies=(*self._tell_odd(), *self.anomalies),
            first=first,
            last=last,
            dropped=self.dropped,
            format=self.format,
        )

    def _tell_odd(self) -> Iterator[Anomaly]:
        told = self.odd[: int(self.tally[kernels.NOTED])]
        for number, time, fate in told.tolist():
            yield Anomaly(time, number, UNREADABLE[fate], _DETAILS[fate])
        for fate, reason in UNREADABLE.items():
            more = int(self.fates[fate]) - int((told["fate"] == fate).sum())
            if more:
                yield Anomaly(-1, 0, reason, f"{more:,} more packet(s) like this, not listed one by one")


def _read_pcap(blocks: Blocks, magic: bytes) -> Iterator[Packets]:
    order, resolution, header = PCAP_MAGICS[magic]
    walk = _Pass(blocks, f"pcap, {order}-endian, {resolution}", _make_links(1))
    if len(blocks.data) < 24:
        walk.begin()
        walk.stop_at(0, "cut short", "the capture ends within its header")
        yield walk.finish()
        return
    snap, link = struct.unpack_from((">" if order == "big" else "<") + "II", blocks.data[:24].tobytes(), 16)
    walk.links["link"] = link & 0x03FFFFFF  # the bits above tell of frame check sequences
    limit = min(max(snap, _USUAL_PACKET), _LARGEST_PACKET)
    tick = 1000 if resolution == "µs" else 1
    at, why = 24, kernels.FULL
    while why == kernels.FULL or not blocks.ended:
        if why == kernels.MORE:
            blocks.advance(at)
            at = 0
        walk.begin()
        at, why = kernels.walk_pcap(
            blocks.data, at, len(blocks.data), header, order == "big", tick, limit, *walk.written
        )
        if _end(walk, at, why):
            yield walk.finish()
            return
        if walk.tally[kernels.NUMBER] > walk.number:
            yield walk.finish()


def _end(walk: _Pass, at: int, why: int) -> bool:
    """Say whether the capture ends here, and note if it should not."""
    if why == kernels.DAMAGED:
        walk.stop_at(at, "damaged", "a record cannot be as long as it says it is")
        return True
    if why != kernels.MORE or not walk.blocks.ended:
        return False
    if at < len(walk.blocks.data):
        walk.stop_at(at, "cut short", "the capture ends within a record that begins")
    return True


def _read_pcapng(blocks: Blocks) -> Iterator[Packets]:
    walk = _Pass(blocks)
    section = _Section(walk)
    at, why = 0, kernels.FULL
    while True:
        if why == kernels.MORE:
            blocks.advance(at)
            at = 0
        walk.begin()
        at, why = section.walk(at)
        ended = _end(walk, at, why)
        section.finish()
        if ended or walk.tally[kernels.NUMBER] > walk.number or walk.dropped is not None or walk.anomalies:
            yield walk.finish()
        if ended:
            return


class _Section:
    """A section of a pcapng file: its byte order, its interfaces, and what they lost."""

    def __init__(self, walk: _Pass) -> None:
        self._walk = walk
        self._open("<")

    def _open(self, order: str) -> None:
        self._order = order
        self._count = 0
        self._table = _make_links(16)
        self._lost: dict[int, int] = {}
        self._walk.links = self._table[:0]
        self._walk.format = f"pcapng, {'big' if order == '>' else 'little'}-endian"

    def walk(self, at: int) -> tuple[int, int]:
        """Settle the packets of the block from at on; return where the rest begins, and why."""
        data = self._walk.blocks.data
        while True:
            big = self._order == ">"
            at, why = kernels.walk_pcapng(data, at, len(data), big, _LARGEST_PACKET, *self._walk.written)
            if why in (kernels.MORE, kernels.DAMAGED, kernels.FULL):
                return at, why
            if why == kernels.SECTION:
                self.finish()
                self._open(">" if data[at + 8] == 0x1A else "<")
            (size,) = struct.unpack(self._order + "I", data[at + 4 : at + 8].tobytes())
            block = data[at : at + size].tobytes()
            if why == kernels.INTERFACE:
                self._describe(block)
            elif why == kernels.STATISTICS:
                self._count_lost(block)
            at += size

    def finish(self) -> None:
        """Take over what was counted per interface."""
        self._walk.gather_aside()

    def _describe(self, block: bytes) -> None:
        """Read an Interface Description Block."""
        if self._count == _MOST_INTERFACES:
            return
        if self._count == len(self._table):
            self._table = np.concatenate([self._table, _make_links(len(self._table))])
        link, snap = struct.unpack_from(self._order + "HxxI", block, 8) if len(block) >= 20 else (0xFFFF, 0)
        resolution, offset = 6, 0
        for code, value in _options(block, 16, self._order):
            if code == 9 and value:
                resolution = value[0]
            elif code == 14 and len(value) >= 8:
                (offset,) = struct.unpack_from(self._order + "q", value)
        offset = max(min(offset * 1_000_000_000, kernels.LATEST), -kernels.LATEST)
        self._table[self._count] = (link, snap, resolution, offset, 0)
        self._count += 1
        self._walk.links = self._table[: self._count]

    def _count_lost(self, block: bytes) -> None:
        """Read an Interface Statistics Block; its counts run from the beginning of the capture."""
        drops = [
            struct.unpack_from(self._order + "Q", value)[0]
            for code, value in _options(block, 20, self._order)
            if code in _ISB_DROPS and len(value) >= 8
        ]
        if len(block) < 24 or not drops:
            return
        (interface,) = struct.unpack_from(self._order + "I", block, 8)
        if interface >= self._count:
            return
        lost = min(sum(drops), _MOST)
        before = self._lost.get(interface, 0)
        self._lost[interface] = max(lost, before)
        self._walk.dropped = min((self._walk.dropped or 0) + max(lost - before, 0), _MOST)


def _options(block: bytes, start: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield code and value of each option of a pcapng block, up to the first that does not fit."""
    stop = len(block) - 4
    while stop - start >= 4:
        code, size = struct.unpack_from(order + "HH", block, start)
        start += 4
        if code == 0 or size > stop - start:
            return
        yield code, block[start : start + size]
        start += size + (-size % 4)
