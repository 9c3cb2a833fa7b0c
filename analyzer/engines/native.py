"""The native engine: compiled loops over the bytes of a pcap or pcapng file, block by block.

Reasons of unreadable packets: those of UNREADABLE. Reasons of anomalies: these, and 'incomplete datagram' and
'overlapping fragments' (of IP), 'cut short' (the capture ends within a packet), 'damaged' (it cannot be read any
further), 'unsupported link type' and 'recording gap' (an interface that was recorded was down meanwhile).

Packets in packets are decoded down to the innermost one, 16 deep: VLAN tags, MPLS, PPPoE, GRE, ERSPAN, IP in IP,
EtherIP, VXLAN, Geneve, GTP-U, L2TP, and HEP3. Datagrams are put together from their fragments.
"""

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.capture import BLOCK_BYTES, LARGEST_PACKET, MOST_INTERFACES, PCAP_MAGICS, Blocks, open_blocks
from analyzer.engines import Anomaly, Packets, Segments
from analyzer.engines import _kernels as kernels
from analyzer.engines import _layout as layout
from analyzer.engines._fragments import give_up_all
from analyzer.engines._records import find_in_pcap, find_in_pcapng
from analyzer.engines.links import HEADER_BYTES, make_links, read_header, read_link
from analyzer.engines.memory import make_memory, tell_lost
from analyzer.pcapng import COMMENT, GAP, read_options

if TYPE_CHECKING:
    from numpy.typing import NDArray

SET_ASIDE = {
    layout.TCP: "tcp",
    layout.FRAGMENT: "fragment",
    layout.ICMP: "icmp",
    layout.SCTP: "sctp",
    layout.NO_SIP: "udp without sip",
    layout.NOT_IP: "not ip",
    layout.OTHER_PROTOCOL: "other ip protocol",
    layout.GRE: "tunnel (gre)",
    layout.PPPOE: "tunnel (pppoe)",
    layout.MPLS: "tunnel (mpls)",
    layout.HEP: "tunnel (hep)",
    layout.UDP_TUNNEL: "tunnel (udp)",
    layout.OTHER_TUNNEL: "tunnel (other)",
}
UNREADABLE = {
    layout.CUT: "cut before the payload",
    layout.BAD_IP: "bad ip header",
    layout.BAD_UDP: "bad udp header",
    layout.BAD_TCP: "bad tcp header",
    layout.BAD_FRAGMENT: "bad fragment",
    layout.TOO_DEEP: "too many headers",
    layout.BAD_BLOCK: "bad packet block",
    layout.NO_INTERFACE: "unknown interface",
}
_DETAILS = {
    layout.CUT: "the captured bytes end before the payload begins",
    layout.BAD_IP: "version or lengths of the IP headers contradict each other",
    layout.BAD_UDP: "the UDP length is less than that of a UDP header",
    layout.BAD_TCP: "the TCP header is shorter than any, or longer than the segment",
    layout.BAD_FRAGMENT: "the fragment is empty, is not a multiple of 8 bytes, or reaches beyond 65,535 bytes",
    layout.TOO_DEEP: "more tunnels, VLAN tags or IPv6 extension headers in a row than any network needs",
    layout.BAD_BLOCK: "the packet is longer than the block that holds it",
    layout.NO_INTERFACE: "the packet's interface is not described before it",
}

_JOINED_BYTES = layout.ROOM + (7 << 20)
_PACKETS_AT_ONCE = 8192
"""So few that what is known of them stays in the processor's cache."""
_MOST = 2**63 - 1
_COLUMNS = ("number", "time", "ttl", "source_port", "destination_port", "start", "length", "missing")
_ISB_DROPS = (5, 7)
"""The options isb_ifdrop and isb_osdrop."""
_MOST_OF_A_COMMENT = 1000
_MOST_GAPS = 100


def read_packets(path: Path, *, block_bytes: int = BLOCK_BYTES, most_bytes: int | None = None) -> Iterator[Packets]:
    """Yield the packets of the pcap or pcapng file at path, about block_bytes of it at a time.

    It may be compressed, a pipe, or standard input (analyzer.capture.STDIN); at most most_bytes are decompressed,
    without it as many as analyzer.decompress allows.
    Raises CaptureError if it cannot be read or is neither.
    """
    with open_blocks(path, block_bytes, most_bytes=most_bytes) as blocks:
        yield from read_blocks(blocks)


def read_blocks(blocks: Blocks) -> Iterator[Packets]:
    """Yield the packets of a capture that is pcap or pcapng, and of which the first block was read."""
    magic = blocks.data[:4].tobytes()
    return _read_pcap(blocks, magic) if magic in PCAP_MAGICS else _read_pcapng(blocks)


@dataclass
class _Pass:
    """What is known of a capture so far, and what the kernels write of the block at hand."""

    blocks: Blocks
    format: str = ""
    links: "NDArray[Any]" = field(default_factory=lambda: make_links(0))
    memory: np.void = field(default_factory=make_memory)
    joined: "NDArray[np.uint8]" = field(default_factory=lambda: np.empty(_JOINED_BYTES, np.uint8))
    """The datagrams of the block that were put together."""
    found: "NDArray[np.int64]" = field(default_factory=lambda: np.empty((_PACKETS_AT_ONCE, layout.FOUND), np.int64))
    """The packets of the block that are settled next."""
    written: np.void = field(default_factory=lambda: np.zeros(1, layout.WRITTEN)[0])
    number: int = 0
    dropped: int | None = None
    anomalies: list[Anomaly] = field(default_factory=list)
    aside: dict[int, int] = field(default_factory=dict)
    """Packets of the block by their unsupported link type."""
    refused: set[int] = field(default_factory=set)
    """The unsupported link types that have their anomaly."""

    def begin(self) -> None:
        """Make room for the packets of a block."""
        self.tally[:] = 0
        self.tally[[layout.NUMBER, layout.FIRST, layout.LAST]] = self.number, -1, -1
        self.tally[layout.ROOM_OF_ROWS] = layout.ROWS_AT_ONCE
        self.fates[:] = 0
        self.written["recent"][:] = 0
        self.dropped = None
        self.anomalies = []
        self.aside = {}

    @property
    def arrays(self) -> "tuple[NDArray[Any], NDArray[np.uint8], np.void, np.void]":
        """What a walk reads and writes beside the bytes of the capture."""
        return self.links, self.joined, self.memory, self.written

    @property
    def tally(self) -> "NDArray[np.int64]":
        """What the walk counted."""
        return self.written["tally"]

    @property
    def fates(self) -> "NDArray[np.int64]":
        """How many packets had each fate."""
        return self.written["fates"]

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
        offset, rest = self.blocks.offset + used, self.blocks.count_rest(used)
        left = "what comes" if rest is None else f"the {rest:,} byte(s)"
        detail = f"{what} at byte {offset:,}: {left} from there on {'was' if rest is None else 'were'} not read"
        self.anomalies.append(Anomaly(-1, 0, reason, detail))

    def stop_short(self, used: int, what: str) -> None:
        """Note that the capture ends after this block, used bytes of which are whole, and why."""
        if flaw := self.blocks.flaw:
            self.anomalies.append(Anomaly(-1, 0, *flaw))
        elif used < len(self.blocks.data):
            self.stop_at(used, "cut short", what)

    def settle(self, count: int) -> Iterator[Packets]:
        """Settle the packets that were found; whenever there is no room for more, yield those settled so far."""
        at = 0
        while True:
            at, why = kernels.settle_usual(self.blocks.data, self.found, at, count, *self.arrays)
            if why == layout.UNUSUAL:
                at, why = kernels.settle_all(self.blocks.data, self.found, at, count, *self.arrays)
            if why == layout.DONE:
                return
            yield self.finish()
            self.begin()

    def end(self) -> None:
        """Settle what waits for packets that do not come any more."""
        if self.memory["datagrams"]["state"][layout.OLDEST] < 0:
            return
        give_up_all(self.memory, self.written)

    def finish(self) -> Packets:
        """Return the packets of the block."""
        self.gather_aside()
        self.number = int(self.tally[layout.NUMBER])
        set_aside = {SET_ASIDE[fate]: int(self.fates[fate]) for fate in SET_ASIDE if self.fates[fate]}
        set_aside |= {f"link type {kind}": packets for kind, packets in self.aside.items()}
        rows = self.written["rows"][: int(self.tally[layout.ROWS])]
        segments = self.written["segments"][: int(self.tally[layout.SEGMENTS])]
        data = self.blocks.data
        if self.tally[layout.JOINED]:
            data = np.concatenate([data, self.joined[: int(self.tally[layout.JOINED])]])
        return Packets(
            **_columns(rows),
            data=data,
            transport=rows["transport"].copy(),
            captured=int(self.fates.sum()),
            carried=int(self.fates[layout.SIP]),
            segments=_make_segments(segments, data) if len(segments) else None,
            set_aside=set_aside,
            unreadable={UNREADABLE[fate]: int(self.fates[fate]) for fate in UNREADABLE if self.fates[fate]},
            anomalies=(
                *self._tell_odd(),
                *tell_lost(self.written["lost"], int(self.tally[layout.LOST])),
                *self.anomalies,
            ),
            first=int(self.tally[layout.FIRST]),
            last=int(self.tally[layout.LAST]),
            dropped=self.dropped,
            format=self.format,
            strays=self.written["strays"][: int(self.tally[layout.STRAYS])].copy(),
        )

    def _tell_odd(self) -> Iterator[Anomaly]:
        told = self.written["odd"][: int(self.tally[layout.NOTED])]
        for number, time, fate in told.tolist():
            yield Anomaly(time, number, UNREADABLE[fate], _DETAILS[fate])
        for fate, reason in UNREADABLE.items():
            more = int(self.fates[fate]) - int((told["fate"] == fate).sum())
            if more:
                yield Anomaly(-1, 0, reason, f"{more:,} more packet(s) like this, not listed one by one")


def _columns(rows: "NDArray[Any]") -> "dict[str, NDArray[Any]]":
    """Return the columns that payloads and segments share."""
    columns = {name: rows[name].copy() for name in _COLUMNS}
    return columns | {name: rows[name].copy().view(np.uint64) for name in ("source", "destination")}


def _make_segments(rows: "NDArray[Any]", data: "NDArray[np.uint8]") -> Segments:
    return Segments(**_columns(rows), data=data, sequence=rows["sequence"].copy(), flags=rows["flags"].copy())


def _read_pcap(blocks: Blocks, magic: bytes) -> Iterator[Packets]:
    order, resolution, _ = PCAP_MAGICS[magic]
    walk = _Pass(blocks, f"pcap, {order}-endian, {resolution}", make_links(1))
    header = read_header(blocks.data)
    if header is None:
        walk.begin()
        walk.stop_short(0, "the capture ends within its header")
        yield walk.finish()
        return
    _, tick, record_bytes, limit, walk.links = header
    at, big = HEADER_BYTES, header.big
    walk.begin()
    while True:
        at, why, count = find_in_pcap(blocks.data, at, len(blocks.data), record_bytes, big, tick, limit, walk.found)
        yield from walk.settle(count)
        if why == layout.ENOUGH:
            continue
        if _end(walk, at, why):
            walk.end()
            yield walk.finish()
            return
        if walk.tally[layout.NUMBER] > walk.number:
            yield walk.finish()
        blocks.advance(at)
        at = 0
        walk.begin()


def _end(walk: _Pass, at: int, why: int) -> bool:
    """Say whether the capture ends here, and note if it should not."""
    if why == layout.DAMAGED:
        walk.stop_at(at, "damaged", "a record cannot be as long as it says it is")
        return True
    if why != layout.MORE or not walk.blocks.ended:
        return False
    walk.stop_short(at, "the capture ends within a record that begins")
    return True


def _read_pcapng(blocks: Blocks) -> Iterator[Packets]:
    walk = _Pass(blocks)
    section = _Section(walk)
    at = 0
    while True:
        walk.begin()
        at, why = yield from section.walk(at)
        ended = _end(walk, at, why)
        section.finish()
        if ended:
            walk.end()
        if ended or walk.tally[layout.NUMBER] > walk.number or walk.dropped is not None or walk.anomalies:
            yield walk.finish()
        if ended:
            return
        blocks.advance(at)
        at = 0


class _Section:
    """A section of a pcapng file: its byte order, its interfaces, and what they lost."""

    def __init__(self, walk: _Pass) -> None:
        self._walk = walk
        self._gaps = 0
        self._open("<")

    def _open(self, order: str) -> None:
        self._order = order
        self._count = 0
        self._table = make_links(16)
        self._lost: dict[int, int] = {}
        self._walk.links = self._table[:0]
        self._walk.format = f"pcapng, {'big' if order == '>' else 'little'}-endian"

    def walk(self, at: int) -> Generator[Packets, None, tuple[int, int]]:
        """Settle the packets of the block from at on; return where the rest begins, and why."""
        walk = self._walk
        data = walk.blocks.data
        while True:
            big = self._order == ">"
            at, why, count = find_in_pcapng(data, at, len(data), big, LARGEST_PACKET, walk.links, walk.found)
            yield from walk.settle(count)
            if why in (layout.MORE, layout.DAMAGED):
                return at, why
            if why == layout.ENOUGH:
                continue
            if why == layout.SECTION:
                self.finish()
                self._open(">" if data[at + 8] == 0x1A else "<")
            (size,) = struct.unpack(self._order + "I", data[at + 4 : at + 8].tobytes())
            block = data[at : at + size].tobytes()
            if why == layout.SECTION:
                self._tell_gap(block)
            elif why == layout.INTERFACE:
                self._describe(block)
            elif why == layout.STATISTICS:
                self._count_lost(block)
            at += size

    def finish(self) -> None:
        """Take over what was counted per interface."""
        self._walk.gather_aside()

    def _tell_gap(self, block: bytes) -> None:
        """Tell what the comment of a Section Header Block says was not recorded, if analyzer.recording wrote it."""
        for code, value in read_options(block, 24, len(block) - 4, self._order):
            text = value[:_MOST_OF_A_COMMENT].decode(errors="replace")
            if code == COMMENT and text.startswith(f"{GAP}: ") and self._gaps < _MOST_GAPS:
                self._gaps += 1
                self._walk.anomalies.append(Anomaly(-1, 0, GAP, text.removeprefix(f"{GAP}: ")))

    def _describe(self, block: bytes) -> None:
        """Read an Interface Description Block."""
        if self._count == MOST_INTERFACES:
            return
        if self._count == len(self._table):
            self._table = np.concatenate([self._table, make_links(len(self._table))])
        self._table[self._count] = read_link(block, self._order)
        self._count += 1
        self._walk.links = self._table[: self._count]

    def _count_lost(self, block: bytes) -> None:
        """Read an Interface Statistics Block; its counts run from the beginning of the capture."""
        drops = [
            struct.unpack_from(self._order + "Q", value)[0]
            for code, value in read_options(block, 20, len(block) - 4, self._order)
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
