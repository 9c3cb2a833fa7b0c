"""The scapy engine: packets as Scapy dissects them, from pcap and pcapng files.

Slow, and independent of the native engine's kernels: it shows where either of the two is wrong. Scapy finds the
innermost IP packet; its header, and that of UDP or TCP, are read by the rules of the native engine, whose reasons
of unreadable packets and of anomalies these are. What Scapy does not tell: the packets that a recorder lost, and the
offset of an interface's clock (pcapng).
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

from analyzer.capture import PCAP_MAGICS, Stream, open_stream
from analyzer.engines import Anomaly, Packets
from analyzer.engines.datagrams import Datagram, Datagrams, Fragment, is_sound
from analyzer.engines.rows import (
    BAD_FRAGMENT,
    BAD_IP,
    BAD_TCP,
    BAD_UDP,
    BLOCK_PACKETS,
    CUT,
    NO_INTERFACE,
    TOO_DEEP,
    Block,
    Ends,
    Flows,
    Payload,
    holds_sip,
    name_format,
    reason_of,
    silence,
)  # fmt: skip
from analyzer.errors import CaptureError, UnavailableError

_LAYERS = (
    "layers.inet", "layers.inet6", "layers.l2tp", "layers.ppp", "layers.sctp", "layers.vxlan",
    "contrib.erspan", "contrib.geneve", "contrib.gtp", "contrib.mpls",
)  # fmt: skip
_LOGGERS = ("scapy.runtime", "scapy.loading", "scapy.interactive")
_MOST_BYTES = 1 << 18
"""Bytes of a packet that Scapy is asked for: by its own bound, packets of segmentation offload would be cut."""
_MOST_LAYERS = 16
"""Packets within each other, and datagrams put together, that are looked at."""
_OLD_TAGS = (0x9100, 0x9200)
"""Ethernet types of VLAN tags, from before 802.1ad, that Scapy does not know."""
_FAMILIES = (10, 23, 24, 28, 30)
"""IPv6 to Linux, Windows and three BSDs, of which Scapy knows the one that it runs on."""
_PACKET_BLOCKS = (2, 3, 6)
_EXTENSIONS = frozenset((0, 43, 44, 51, 60, 135, 139, 140))
_MOST_EXTENSIONS = 16


class Frame(NamedTuple):
    """A captured packet, as it is in the file."""

    number: int
    time: int
    """Nanoseconds since 1970; -1 if there is none."""
    data: bytes
    wire: int
    """How many bytes it had on the wire."""
    link: int
    """Its link type; -1 if its interface is not described."""
    parts: int = 1
    """How many packets share its fate: more than one where a datagram was put together."""
    depth: int = 0
    """Within how many packets it was found."""


def read_packets(path: Path) -> Iterator[Packets]:
    """Yield the packets of the pcap or pcapng file at path, some thousand at a time.

    Raises CaptureError if it cannot be read, or if Scapy reads no such file, UnavailableError without Scapy.
    """
    try:
        with silence(*_LOGGERS):
            _load()
    except ModuleNotFoundError as error:
        raise UnavailableError("the engine 'scapy' needs the Python package 'scapy'; install it with pip") from error
    with open_stream(path) as stream:
        yield from _read(path, _Watched(stream))


def _load() -> None:
    """Import Scapy and the layers that packets may be wrapped in, without its writing a cache."""
    main: Any = import_module("scapy.main")
    folder, main.SCAPY_CACHE_FOLDER = main.SCAPY_CACHE_FOLDER, None
    try:
        for name in _LAYERS:
            import_module(f"scapy.{name}")
    finally:
        main.SCAPY_CACHE_FOLDER = folder
    layers = import_module("scapy.layers.l2")
    # For reading only: bind_layers would also change what the same process builds with Scapy.
    bind = import_module("scapy.packet").bind_bottom_up
    for lower in (layers.Ether, layers.Dot1Q):
        known = {fields.get("type") for fields, _ in lower.payload_guess}
        for tag in _OLD_TAGS:
            if tag not in known:
                bind(lower, layers.Dot1Q, type=tag)
    ipv6 = import_module("scapy.layers.inet6").IPv6
    known = {fields.get("type") for fields, _ in layers.Loopback.payload_guess}
    for family in _FAMILIES:
        if family not in known:
            bind(layers.Loopback, ipv6, type=family)


# --- the file


class _Watched:
    """A stream that remembers whether it ended within what was to be read."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.offset = 0
        self.mark = 0
        """Where the record, or the block, begins that is being read."""
        self._ended = False

    @property
    def cut(self) -> bool:
        """Whether the stream ended within a record or a block."""
        return self._ended and self.offset > self.mark

    def read(self, size: int) -> bytes:
        """Return size bytes, or as many as there are."""
        data = self.stream.read(size)
        self._ended = self._ended or len(data) < size
        self.offset += len(data)
        return data

    def close(self) -> None:
        """Leave the stream to whoever opened it."""


def _read(path: Path, file: _Watched) -> Iterator[Packets]:
    decoder = _Decoder()
    form = name_format(file.stream.head)
    frames = _frames(path, file)
    ended = False
    while not ended:
        block = Block(form)
        with silence(*_LOGGERS):
            for frame in islice(frames, BLOCK_PACKETS):
                block.see(frame.time)
                decoder.take(frame, block)
        ended = block.seen < BLOCK_PACKETS
        if ended:
            decoder.end(block)
            _tell_end(file, block)
        yield block.finish()


def _frames(path: Path, file: _Watched) -> Iterator[Frame]:
    from scapy.error import Scapy_Exception
    from scapy.utils import RawPcapNgReader, RawPcapReader

    try:
        reader = RawPcapReader(cast("Any", file))
    except Scapy_Exception as error:
        _, _, header = PCAP_MAGICS.get(file.stream.head[:4], ("", "", 16))
        if header == 16:
            return
        raise CaptureError(path, "is a variant of pcap that Scapy does not read; use the native engine") from error
    tell = _tell_ng if isinstance(reader, RawPcapNgReader) else _tell_pcap
    if isinstance(reader, RawPcapNgReader):
        for kind in _PACKET_BLOCKS:
            reader.blocktypes[kind] = _keeping(reader.blocktypes[kind])
        _mark_blocks(cast("Any", reader), file)
    number = 0
    while True:
        file.mark = file.offset
        try:
            data, facts = reader._read_packet(_MOST_BYTES)  # noqa: SLF001 (the only way past Scapy's bound)
        except (EOFError, Scapy_Exception):
            return
        if file.cut:
            return
        number += 1
        yield tell(number, data, facts, reader)


def _keeping(read: Callable[[bytes, int], Any]) -> Callable[[bytes, int], Any]:
    """Make Scapy hand over the packets, too, that it would drop as their interface is not described."""

    def read_or_keep(block: bytes, size: int) -> Any:  # noqa: ANN401 (what Scapy returns)
        return read(block, size) or (b"", None)

    return read_or_keep


def _mark_blocks(reader: Any, file: _Watched) -> None:  # noqa: ANN401 (Scapy has no types here)
    """Make Scapy mark where each block begins, not only those that hold packets."""
    read = reader._read_block  # noqa: SLF001 (there is no public way)

    def mark_and_read(size: int) -> Any:  # noqa: ANN401 (what Scapy returns)
        file.mark = file.offset
        return read(size=size)

    reader._read_block = mark_and_read  # noqa: SLF001


def _tell_pcap(number: int, data: bytes, facts: Any, reader: Any) -> Frame:  # noqa: ANN401 (Scapy has no types here)
    time = facts.sec * 1_000_000_000 + facts.usec * (1 if reader.nano else 1000)
    return Frame(number, time, data, max(facts.wirelen, len(data)), reader.linktype & 0x03FFFFFF)


def _tell_ng(number: int, data: bytes, facts: Any, reader: Any) -> Frame:  # noqa: ANN401, ARG001 (as _tell_pcap)
    if facts is None:
        return Frame(number, -1, b"", 0, -1)
    time = -1
    if facts.tshigh is not None:
        time = min((facts.tshigh << 32 | facts.tslow) * 1_000_000_000 // facts.tsresol, 9_000_000_000 * 1_000_000_000)
    return Frame(number, time, data, max(facts.wirelen, len(data)), facts.linktype)


def _tell_end(file: _Watched, block: Block) -> None:
    """Note it if the capture did not end where a packet ends."""
    where = f"at byte {file.offset:,}"
    if file.stream.flaw is not None:
        block.note(*file.stream.flaw)
    elif file.cut or file.offset < 24:
        block.note("cut short", f"the capture ends within a record, {where}")
    elif file.read(1):
        block.note("damaged", f"a record cannot be as long as it says it is, {where}: the rest was not read")


# --- the packets


class _Decoder:
    """Decodes the packets of a capture, one after the other."""

    def __init__(self) -> None:
        from scapy.config import conf
        from scapy.layers.inet import IP, UDP, IPerror
        from scapy.layers.inet6 import IPerror6, IPv6
        from scapy.packet import NoPayload

        self._links = conf.l2types.num2layer
        self._dissectors = {4: IP, 6: IPv6}
        self._networks = (IP, IPv6)
        self._datagram = UDP
        self._ends = (NoPayload, IPerror, IPerror6)
        self._refused: set[int] = set()
        self.flows = Flows()
        self.datagrams = Datagrams()

    def take(self, frame: Frame, block: Block) -> None:
        """Settle the fate of a packet."""
        self._give_up(self.datagrams.give_up(frame.time), block)
        if frame.link == -1:
            block.reject(frame.number, frame.time, NO_INTERFACE)
        elif frame.link not in self._links:
            self._refuse(frame.link, block)
        else:
            self.dissect(frame, block, self._links[frame.link], frame.data)

    def end(self, block: Block) -> None:
        """Settle what waited for more packets."""
        self._give_up(self.datagrams.give_up_all(), block)

    def dissect(self, frame: Frame, block: Block, dissector: Callable[[bytes], Any], data: bytes) -> None:
        """Settle the fate of a frame, or what was found in it, that dissector is to read."""
        try:
            layer = dissector(data)
        except Exception:  # noqa: BLE001 (Scapy raises what it likes where bytes are lacking)
            block.reject(frame.number, frame.time, CUT, frame.parts)
            return
        networks, names = self._descend(layer)
        frame = frame._replace(depth=frame.depth + max(len(networks), 1))
        if frame.depth > _MOST_LAYERS:
            block.reject(frame.number, frame.time, TOO_DEEP, frame.parts)
        elif networks:
            _Network(self, frame, block, networks[-1]).take()
        else:
            block.set_aside(next((_LINKS[name] for name in names if name in _LINKS), "not ip"), frame.parts)

    def redissect(self, frame: Frame, block: Block, data: bytes) -> None:
        """Settle the fate of a datagram that was put together."""
        self.dissect(frame, block, self._dissectors[data[0] >> 4], data)

    def _descend(self, layer: Any) -> tuple[list[bytes], list[str]]:  # noqa: ANN401 (a packet of Scapy's)
        """Return the IP packets within each other, and the names of all layers, down to SIP or to what is quoted."""
        networks, names = [], []
        while not isinstance(layer, self._ends):
            names.append(type(layer).__name__)
            if isinstance(layer, self._networks):
                networks.append(layer.original)
            elif isinstance(layer, self._datagram) and holds_sip(layer.original[8:], layer.sport, layer.dport):
                break
            layer = layer.payload
        return networks, names

    def _refuse(self, link: int, block: Block) -> None:
        block.set_aside(f"link type {link}")
        if link not in self._refused:
            self._refused.add(link)
            block.note("unsupported link type", f"link type {link} is not decoded: its packets are set aside")

    @staticmethod
    def _give_up(datagrams: Iterator[Datagram], block: Block) -> None:
        for datagram in datagrams:
            block.set_aside("fragment", datagram.packets)
            what = f"{datagram.packets:,} packet(s) hold fragments that do not make up a datagram"
            block.anomalies.append(Anomaly(datagram.time, datagram.number, "incomplete datagram", what))


_LINKS = {"PPPoE": "tunnel (pppoe)", "MPLS": "tunnel (mpls)", "Dot1AH": "tunnel (other)"}


class _Network(NamedTuple):
    """An IP packet: the innermost of its frame."""

    decoder: _Decoder
    frame: Frame
    block: Block
    data: bytes
    """What was captured from its header on."""

    def take(self) -> None:
        """Settle its fate."""
        spare = max(self.frame.wire - len(self.frame.data), 0)
        data = self.data
        if len(data) < (40 if data[:1] >= b"\x60" else 20):
            self._reject(CUT)
            return
        if data[0] >> 4 == 6:
            self._take_ipv6(40 + (int.from_bytes(data[4:6]) or len(data) - 40 + spare))
            return
        header, end = (data[0] & 15) * 4, int.from_bytes(data[2:4]) or len(data) + spare
        if data[0] >> 4 != 4 or header < 20 or end < header:
            self._reject(BAD_IP)
        elif len(data) < header:
            self._reject(CUT)
        elif int.from_bytes(data[6:8]) & 0x3FFF:
            word = int.from_bytes(data[6:8])
            key = data[12:20] + data[4:6] + data[9:10]
            place = (word & 0x1FFF) << 3, bool(word & 0x2000)
            self._join(Fragment(key, False, data[9], *place, data[header:end], end - header))
        else:
            self._take_transport(data[9], header, end)

    def _take_ipv6(self, end: int) -> None:
        data, protocol, at = self.data, self.data[6], 40
        for _ in range(_MOST_EXTENSIONS):
            if protocol not in _EXTENSIONS:
                self._take_transport(protocol, at, end)
                return
            if self._lacks(8, at, end):
                return
            word = int.from_bytes(data[at + 2 : at + 4])
            if protocol == 44 and word & 0xFFF9:
                key, place = data[8:40] + data[at + 4 : at + 8], (word & 0xFFF8, bool(word & 1))
                self._join(Fragment(key, True, data[at], *place, data[at + 8 : end], end - at - 8))
                return
            size = 8 if protocol == 44 else (data[at + 1] + 2) * 4 if protocol == 51 else (data[at + 1] + 1) * 8
            protocol, at = data[at], at + size
        self._reject(TOO_DEEP)

    def _join(self, fragment: Fragment) -> None:
        """Keep a fragment, or settle the fate of the datagram that it completes."""
        if not is_sound(fragment):
            self._reject(BAD_FRAGMENT)
            return
        whole = self.decoder.datagrams.join(fragment, self.frame.time, self.frame.number, self.frame.parts)
        if whole is None:
            return
        held, protocol = bytes(whole.data[: min(whole.held, whole.total)]), bytes([whole.protocol])
        if fragment.six:
            header = self.data[:4] + whole.total.to_bytes(2) + protocol + self.data[7:40]
        else:
            size = (20 + whole.total if 20 + whole.total <= 0xFFFF else 0).to_bytes(2)
            header = b"\x45" + self.data[1:2] + size + bytes(4) + self.data[8:9] + protocol + self.data[10:20]
        self.decoder.redissect(self.frame._replace(parts=whole.packets), self.block, header + held)

    def _take_transport(self, protocol: int, at: int, end: int) -> None:
        """Settle the fate of what begins at at, in a packet that ended, on the wire, at end."""
        if protocol == 17:
            self._take_udp(at, end)
        elif protocol == 6:
            self._take_tcp(at, end)
        elif protocol == 51 and len(self.data) >= at + 8:  # in IPv4: an authentication header (RFC 4302)
            self._take_transport(self.data[at], at + (self.data[at + 1] + 2) * 4, end)
        else:
            self.block.set_aside(reason_of(protocol), self.frame.parts)

    def _take_udp(self, at: int, end: int) -> None:
        if self._lacks(8, at, end):
            return
        size = int.from_bytes(self.data[at + 4 : at + 6]) or end - at
        if size < 8:
            self._reject(BAD_UDP)
            return
        end = min(end, at + size)
        payload = self.data[at + 8 : end]
        if not payload and end > at + 8:
            self._reject(CUT)
            return
        self.block.add_datagram(self._payload(at, payload, end - at - 8 - len(payload)), self.frame.parts)

    def _take_tcp(self, at: int, end: int) -> None:
        if self._lacks(20, at, end):
            return
        header = (self.data[at + 12] >> 4) * 4
        if header < 20 or at + header > end:
            self._reject(BAD_TCP)
            return
        payload = self.data[at + header : end]
        segment = self._payload(at, payload, end - at - header - len(payload))._replace(
            sequence=int.from_bytes(self.data[at + 4 : at + 8]), flags=self.data[at + 13]
        )
        if self.decoder.flows.may_carry_sip(segment):
            self.block.add_segment(segment, self.frame.parts)
        elif segment.missing and not payload:
            self._reject(CUT)
        else:
            self.block.pass_segment(segment, self.frame.parts)

    def _payload(self, at: int, payload: bytes, missing: int) -> Payload:
        return Payload(self.frame.number, self.frame.time, _ends(self.data, at), payload, missing)

    def _lacks(self, size: int, at: int, end: int) -> bool:
        """Say whether there are fewer than size bytes at at, and if so, reject the packet."""
        if end - at < size:
            self._reject(BAD_IP)
        elif len(self.data) - at < size:
            self._reject(CUT)
        return min(end, len(self.data)) - at < size

    def _reject(self, why: tuple[str, str]) -> None:
        self.block.reject(self.frame.number, self.frame.time, why, self.frame.parts)


def _ends(ip: bytes, at: int) -> Ends:
    """Return the ends of a packet whose header of UDP or TCP is at at."""
    ttl, first, size = (ip[8], 12, 4) if ip[0] >> 4 == 4 else (ip[7], 8, 16)
    middle, last = first + size, first + 2 * size
    ports = int.from_bytes(ip[at : at + 2]), int.from_bytes(ip[at + 2 : at + 4])
    return Ends(ttl, ip[first:middle], ports[0], ip[middle:last], ports[1])
