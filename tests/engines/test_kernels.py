"""Every kernel against its twin: compiled, compiled with bounds checked, and interpreted."""

import os
import struct

import naive_packets as naive
import numba
import numpy as np
import pytest
from again import run_again
from engines import pcaps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.engines import _kernels, _records, _start_lines, _words
from analyzer.engines import _layout as layout
from analyzer.engines._fragments import give_up_all
from analyzer.engines.memory import make_memory

MODE = os.environ.get("SIPSCOPE_KERNELS", "compiled")
many = settings(
    max_examples=300 if MODE == "compiled" else 60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


@numba.njit
def nanoseconds(high, low, resolution, offset):
    return _records.nanoseconds(high, low, resolution, offset)


@numba.njit
def may_be_sip(data, start, stop, sip_port):
    return _start_lines.may_be_sip(data, start, stop, sip_port)


@numba.njit
def big32(data, at):
    return _words.big32(data, at)


def array_of(data):
    """Bytes as an array of exactly that size, so that the checked run sees every step beyond."""
    return np.frombuffer(bytearray(data), np.uint8) if data else np.empty(0, np.uint8)


@st.composite
def mutated(draw, valid, changes=4):
    """A valid thing with some bytes changed, inserted or removed, or cut."""
    data = bytearray(draw(valid))
    for _ in range(draw(st.integers(0, changes))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        how = draw(st.sampled_from(["change", "change", "insert", "remove", "cut"]))
        if how == "change" and data:
            data[at] = draw(st.sampled_from([0, 1, 4, 8, 17, 44, 60, 0x45, 0x60, 0x81, 255]) | st.integers(0, 255))
        elif how == "insert":
            data[at:at] = draw(st.binary(max_size=9))
        elif how == "remove":
            del data[at : at + draw(st.integers(1, 9))]
        elif how == "cut":
            del data[at:]
    return bytes(data)


LINES = [
    b"OPTIONS sip:100@192.0.2.2 SIP/2.0\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"sip/2.0 404\n", b"SIP/2.0 20\r\n",
    b"NOTIFY * HTTP/1.1\r\n", b"OPTIONS * RTSP/1.0\r\n", b"INVITE tel:+1 \r\n", b"REGISTER  sips:a  SIP/2.0 \r\n",
    b"FOO bar SIP/2.0", b"FOO SIP/2.0\r\n", b"invite sip:a\r\n", b"MESSAGE x\r\n", b"hello", b"\r\n\r\n",
    b"\x80\x08" * 9,
    b"INVITE " + b"a" * 8200 + b" SIP/2.0\r\n", b"A" * 128 + b" sip:a SIP/2.0\r\n",
    b"A" * 129 + b" sip:a SIP/2.0\r\n", b"\r\n" * 33 + b"ACK sip:a SIP/2.0\r\n",
    b"ACK", b"ACK ", b"ACK sip", b"BYE sip:", b"SIP/", b"BYE \t\r\n",
]  # fmt: skip
HANDSHAKES = [
    b"GET / HTTP/1.1\r\nSec-WebSocket-Protocol: sip\r\n\r\n", b"get /ws HTTP/1.1\nsec-websocket-protocol:a, SIP\n",
    b"GET / HTTP/1.1\r\nSec-WebSocket-Protocol: chat\r\nX: sip\r\n", b"GET / HTTP/1.1\r\nHost: sip\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"GET / HTTP/1.1",
]  # fmt: skip
PIECES = [
    b"SIP/2.0",
    b"SIP/2.0 200",
    b"INVITE",
    b"ACK",
    b" ",
    b"\t",
    b"\r\n",
    b"sip:",
    b"tel:1",
    b"P/1",
    b"/",
    b"\x00",
    b"x",
]
PAYLOADS = st.one_of(
    mutated(st.sampled_from(LINES)),
    st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join),
    st.binary(max_size=30),
)
NUMBERS = st.sampled_from([0, 1, 2, 17, 2**16 - 1, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)


@many
@given(NUMBERS, NUMBERS, st.integers(0, 255), st.integers(-naive.LATEST, naive.LATEST))
def test_nanoseconds(high, low, resolution, offset):
    assert nanoseconds(high, low, resolution, offset) == naive.nanoseconds(high, low, resolution, offset)


@pytest.mark.parametrize("resolution", [*range(30), 0x7F, *range(0x80, 0x80 + 70), 0xFF])
@pytest.mark.parametrize(("high", "low"), [(0, 0), (0, 999), (394_000, 2**32 - 1), (2**32 - 1, 2**32 - 1)])
def test_nanoseconds_of_every_resolution(high, low, resolution):
    assert nanoseconds(high, low, resolution, 0) == naive.nanoseconds(high, low, resolution, 0)


@many
@given(PAYLOADS, PAYLOADS, st.booleans())
def test_may_be_sip(payload, after, sip_port):
    wanted = bool(naive.may_be_sip(payload, sip_port))
    assert may_be_sip(array_of(payload), 0, len(payload), sip_port) == wanted
    padded = array_of(b"ACK " + payload + after)
    assert may_be_sip(padded, 4, 4 + len(payload), sip_port) == wanted


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:20])
@pytest.mark.parametrize("sip_port", [False, True])
def test_may_be_sip_of_known_lines(line, sip_port):
    for stop in range(min(len(line), 160) + 1):
        assert may_be_sip(array_of(line), 0, stop, sip_port) == bool(naive.may_be_sip(line[:stop], sip_port))


def transports():
    """What follows an IP header: (protocol, bytes)."""
    datagrams = PAYLOADS.flatmap(lambda payload: st.sampled_from([pcaps.udp(payload), pcaps.udp(payload, length=0)]))
    ports = st.sampled_from([5060, 5061, 80, 8080, 4711])
    streams = st.builds(
        pcaps.tcp, PAYLOADS | st.sampled_from(HANDSHAKES), source=ports, destination=ports,
        options=st.sampled_from([b"", b"\x01" * 4, b"\x01" * 40]), offset=st.sampled_from([None, None, None, 4, 15]),
    )  # fmt: skip
    reports = st.builds(
        pcaps.hep, PAYLOADS, protocol=st.sampled_from([17, 6, 132]),
        source=st.sampled_from(["192.0.2.1", "2001:db8::1"]), destination=st.just("2001:db8::2"),
    )  # fmt: skip
    return st.one_of(
        datagrams.map(lambda data: (17, data)),
        streams.map(lambda data: (6, data)),
        reports.map(lambda data: (17, pcaps.udp(data, source=9060, destination=9060))),
    )


def ip_packets(inner):
    """IP packets around (protocol, bytes), as (Ethernet type, bytes)."""
    odd = st.sampled_from([None] * 12 + [1, 50, 58, 97, 115, 132, 137, 143])
    four = st.tuples(inner, odd).flatmap(
        lambda both: st.builds(
            pcaps.ipv4,
            st.just(both[0][1]),
            protocol=st.just(both[1] or both[0][0]),
            options=st.sampled_from([b"", b"\x01" * 4, b"\x01" * 40]),
            fragment=st.sampled_from([0, 0, 0, 0x4000, 0x2000, 7]),
            total=st.sampled_from([None, None, None, 0, 5, 24, 60, 65535]),
        )
    )
    six = st.tuples(inner, st.sampled_from([None, None, 0, 5])).map(
        lambda both: pcaps.ipv6(both[0][1], protocol=both[0][0], length=both[1])
    )
    chains = st.lists(st.sampled_from([0, 43, 44, 51, 60, 135, 139, 140]), max_size=18)
    extended = st.tuples(inner, chains).map(lambda both: chain(both[0][1], both[1], both[0][0]))
    whole = st.one_of(four, six, extended)
    return whole.map(lambda packet: (0x86DD if packet[0] >> 4 == 6 else 0x0800, packet))


def tunnels(ip):
    """(protocol, bytes) of every tunnel around (Ethernet type, bytes)."""
    frames = ip.map(lambda both: pcaps.ethernet(both[1], both[0]))
    points = ip.map(lambda both: pcaps.ppp(both[1], b"\0\x21" if both[0] == 0x0800 else b"\xff\x03\x57"))
    labels = st.tuples(
        ip.map(lambda both: both[1]) | frames | frames.map(lambda data: bytes(4) + data), st.integers(1, 17)
    )
    mpls = labels.map(lambda both: pcaps.mpls(both[0], both[1]))
    port = {4789: frames.map(pcaps.vxlan), 6635: mpls, 1701: points.map(pcaps.l2tp)}
    port[6081] = frames.map(lambda data: pcaps.geneve(data, options=bytes(8)))
    port[2152] = ip.map(lambda both: pcaps.gtp(both[1], flags=0x34, optional=b"\0\0\0\x85\1\0\0\0"))
    port[9999] = ip.map(lambda both: pcaps.gtp(both[1]))
    return st.one_of(
        ip.map(lambda both: (4 if both[0] == 0x0800 else 41, both[1])),
        ip.map(lambda both: (47, pcaps.gre(both[1], both[0], flags=0xB000, extra=bytes(12)))),
        frames.map(lambda data: (47, pcaps.gre(data, 0x6558))),
        frames.map(lambda data: (47, pcaps.gre(bytes(8) + data, 0x88BE, flags=0x1000, extra=bytes(4)))),
        frames.map(lambda data: (47, pcaps.gre(bytes(12) + data, 0x22EB, flags=0x1000, extra=bytes(4)))),
        points.map(lambda data: (47, pcaps.gre(data, 0x880B))),
        points.map(
            lambda data: (47, pcaps.gre(data, 0x880B, flags=0x3001, extra=struct.pack("!HHI", len(data), 1, 1)))
        ),
        mpls.map(lambda data: (137, data)),
        frames.map(lambda data: (143, data)),
        frames.map(lambda data: (97, b"\x30\0" + data)),
        *[
            made.map(lambda data, number=number: (17, pcaps.udp(data, source=number, destination=number)))
            for number, made in port.items()
        ],
    )


def packets():
    """(link type, packet) of every kind that is decoded."""
    ip = ip_packets(st.recursive(transports(), lambda inner: tunnels(ip_packets(inner)), max_leaves=3))
    types = st.sampled_from([0x88E7, 0x894F, 0x0806, 5, 60])
    return st.one_of(
        ip.map(lambda packet: (1, pcaps.ethernet(packet[1], packet[0]))),
        types.map(lambda ethertype: (1, pcaps.ethernet(ethertype=ethertype))),
        st.tuples(ip, st.integers(1, 9)).map(
            lambda both: (1, pcaps.vlan(both[0][1], tags=both[1], ethertype=both[0][0]))
        ),
        ip.map(lambda both: (1, pcaps.ethernet(b"\xaa\xaa\3\0\0\0" + struct.pack("!H", both[0]) + both[1], 1500))),
        ip.map(lambda both: (1, pcaps.ethernet(b"\6\6\3" + both[1], 1500))),
        ip.map(lambda both: (1, pcaps.ethernet(pcaps.mpls(both[1]), 0x8847))),
        ip.map(lambda both: (51, pcaps.pppoe(pcaps.ppp(both[1])))),
        ip.map(lambda both: (1, pcaps.ethernet(pcaps.pppoe(pcaps.ppp(both[1], b"\x57")), 0x8864))),
        ip.map(lambda both: (1, pcaps.ethernet(bytes(4) + pcaps.ethernet(both[1], both[0]), 0x88E7))),
        ip.map(lambda both: (9, pcaps.ppp(both[1]))),
        ip.map(lambda both: (104, b"\x0f\0" + struct.pack("!H", both[0]) + both[1])),
        ip.map(lambda packet: (113, pcaps.sll(packet[1], packet[0]))),
        ip.map(lambda packet: (276, pcaps.sll2(packet[1], packet[0]))),
        st.tuples(ip, st.sampled_from([12, 14, 101, 228, 229])).map(lambda both: (both[1], both[0][1])),
        st.tuples(ip, st.sampled_from([2, 10, 23, 24, 28, 30, 7]), st.sampled_from("<>")).map(
            lambda three: (0, pcaps.family(three[0][1], three[1], three[2]))
        ),
        st.tuples(st.sampled_from([105, 147, 2**31]), st.binary(max_size=40)),
    )


def chain(payload, protocols, protocol=17):
    """An IPv6 packet whose extension headers are of those protocols."""
    for extension in reversed(protocols):
        payload = pcaps.extension(payload, protocol=protocol, size=4 if extension == 51 else 0)
        protocol = extension
    return pcaps.ipv6(payload, protocol=protocol)


def unpacked(row, data, *, segment=False):
    """A row of layout.ROW as the twin tells it."""
    start, length = int(row["start"]), int(row["length"])
    assert 0 <= start <= start + length <= len(data)
    told = {
        "source": row["source"].astype(">i8").tobytes(),
        "destination": row["destination"].astype(">i8").tobytes(),
        "ttl": row["ttl"],
        "source_port": row["source_port"],
        "destination_port": row["destination_port"],
        "payload": data[start : start + length].tobytes(),
        "missing": row["missing"],
        "transport": row["transport"],
    }
    return told | ({"sequence": row["sequence"], "flags": row["flags"]} if segment else {})


@many
@given(packets(), st.data(), st.integers(0, 20), st.booleans())
def test_decode(both, data, more, usual):
    link, packet = both
    packet = data.draw(mutated(st.just(packet)))
    fate, wanted, _ = naive.decode(packet, len(packet) + more, link)
    for before, after in ((b"", b""), (b"before", pcaps.OPTIONS)):
        array = array_of(before + packet + after)
        start, stop = len(before), len(before) + len(packet)
        written = Written([link], usual=usual)
        assert written.settle_one(array, start, stop, stop + more) == fate
        if wanted:
            segment = fate == layout.SEGMENT
            row = written.written["segments" if segment else "rows"][0]
            assert unpacked(row, array, segment=segment) == wanted


class Written:
    """The arrays that a walk reads and writes."""

    def __init__(self, links, rows=50, *, usual=True, **limits):
        self.usual = usual
        self.found = np.zeros((4, layout.FOUND), np.int64)
        self.links = np.zeros(len(links), layout.LINK)
        self.links["link"] = links
        self.links["resolution"] = 6
        self.memory = make_memory(**limits)
        self.joined = np.zeros(layout.ROOM + 70_000, np.uint8)
        self.written = np.zeros(1, layout.WRITTEN)[0]
        self.tally = self.written["tally"]
        self.tally[[layout.FIRST, layout.LAST, layout.ROOM_OF_ROWS]] = -1, -1, rows
        self.fates = self.written["fates"]

    @property
    def arrays(self):
        return self.links, self.joined, self.memory, self.written

    def settle(self, array, count):
        """Settle the packets that were found: usual ones by one kernel, all from the first other one by the other."""
        at, why = 0, layout.UNUSUAL
        if self.usual:
            at, why = _kernels.settle_usual(array, self.found, 0, count, *self.arrays)
        if why == layout.UNUSUAL:
            at, why = _kernels.settle_all(array, self.found, at, count, *self.arrays)
        assert (why == layout.DONE) == (at == count)
        return why

    def settle_one(self, array, start, stop, end):
        """Return the fate of one packet."""
        before = self.fates.copy()
        self.found[0] = start, stop, end, 0, 0
        assert self.settle(array, 1) == layout.DONE
        (fates,) = np.nonzero(self.fates - before)
        return fates[0] if len(fates) else layout.PENDING

    def walk(self, find, array, at, *format_):
        """Settle all packets of array from at on; return where the rest begins, and why."""
        while True:
            at, why, count = find(array, at, len(array), *format_, self.found)
            if self.settle(array, count) == layout.FULL:
                return None, layout.FULL
            if why != layout.ENOUGH:
                return at, why

    def walk_pcap(self, array, at, *format_):
        """Settle all packets of the records."""
        return self.walk(_records.find_in_pcap, array, at, *format_)

    def walk_pcapng(self, array, at, *format_):
        """Settle all packets of the blocks."""
        return self.walk(_records.find_in_pcapng, array, at, *format_, self.links)

    def check(self, data, told, decoder):
        """Compare with [(time, fate, row, packets)] of the twin."""
        data = np.concatenate([data, self.joined[: self.tally[layout.JOINED]]])
        times = [time for time, *_ in told if time >= 0]
        assert self.tally[layout.NUMBER] == len(told)
        fates = [0] * (layout.FATES + 1)
        for _, fate, _, packets in told:
            fates[fate] += 1 if fate == layout.SEGMENT else packets
            fates[layout.FRAGMENT] += packets - 1 if fate == layout.SEGMENT else 0
        fates[layout.FRAGMENT] += decoder.given_up
        assert self.fates.tolist() == fates[: layout.FATES]
        assert self.tally[layout.FIRST] == min(times, default=-1)
        assert self.tally[layout.LAST] == max(times, default=-1)
        for kind, fate, count in (("rows", layout.SIP, layout.ROWS), ("segments", layout.SEGMENT, layout.SEGMENTS)):
            wanted = [(number, time, row) for number, (time, its, row, _) in enumerate(told, 1) if its == fate]
            rows = self.written[kind][: self.tally[count]]
            segment = fate == layout.SEGMENT
            assert [(row["number"], row["time"], unpacked(row, data, segment=segment)) for row in rows] == wanted
        odd = [
            (number, time, fate) for number, (time, fate, *_) in enumerate(told, 1) if layout.CUT <= fate < layout.FATES
        ]
        assert self.written["odd"][: self.tally[layout.NOTED]].tolist() == odd[: layout.NOTES]
        assert self.links["aside"].sum() == self.fates[layout.LINK_TYPE]
        assert self.tally[layout.LOST] == len(decoder.lost)
        for facts, datagram in zip(self.written["lost"], decoder.lost, strict=False):
            assert (facts["number"], facts["time"]) == (datagram.number, datagram.time)
            assert facts["shown"][: facts["fragments"]].tolist() == datagram.numbers[: layout.SHOWN]
            assert (facts["fragments"], facts["packets"]) == (len(datagram.numbers), datagram.packets)
            assert facts["state"] == (2 if datagram.spoilt else int(datagram.clashed))


@many
@given(
    st.lists(packets(), max_size=6), st.data(), st.sampled_from("<>"), st.sampled_from([16, 24]), st.binary(max_size=3),
    st.booleans(),
)  # fmt: skip
def test_walk_pcap(links, data, order, header, before, usual):
    link = links[0][0] & 0xFFFF if links else 1
    magic = 0xA1B2CD34 if header == 24 else 0xA1B2C3D4
    body = data.draw(mutated(st.just(pcaps.pcap([packet for _, packet in links], order=order, magic=magic)[24:])))
    written = Written([link], usual=usual)
    decoder = naive.Decoder()
    array = array_of(before + body)
    at, why = written.walk_pcap(array, len(before), header, order == ">", 1000, 4096)
    wanted = naive.read_pcap(body, order=order, header=header, tick=1000, limit=4096, link=link, decoder=decoder)
    assert (why, at - len(before)) == wanted[:2]
    written.check(array, wanted[2], decoder)


@st.composite
def pieces(draw):
    """The fragments of one datagram as IP packets: not all of them, some twice, some changed, some overlapping."""
    kind = draw(st.sampled_from(["udp", "tcp", "long", "nested", "binary"]))
    body = {
        "udp": pcaps.udp(),
        "tcp": pcaps.tcp(),
        "long": pcaps.udp(pcaps.OPTIONS + bytes(3000)),
        "nested": b"".join(pcaps.fragments(pcaps.udp(), 24)[:1]),
        "binary": pcaps.udp(draw(st.binary(max_size=70))),
    }[kind]
    protocol = {"tcp": 6, "nested": 4}.get(kind, 17)
    version = draw(st.sampled_from([4, 4, 6]))
    name = {"identification": draw(st.integers(1, 2)), "version": version, "protocol": protocol}
    cuts = sorted(draw(st.sets(st.integers(1, max(len(body) // 8 - 1, 1)).map(lambda unit: 8 * unit), max_size=4)))
    made = pcaps.fragments(body, *[cut for cut in cuts if cut < len(body)], **name)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        start = 8 * draw(st.integers(0, len(body) // 8))
        stop = draw(st.sampled_from([start + 8, start + 16, start + 24, len(body), start + 5]))
        piece = bytearray(body[start:stop])
        if piece and draw(st.booleans()):
            piece[draw(st.integers(0, len(piece) - 1))] ^= 1
        made.append(pcaps.fragment(bytes(piece), start, draw(st.booleans()), **name))
    return made + draw(st.lists(st.sampled_from(made), max_size=2))


@many
@given(st.lists(pieces(), min_size=1, max_size=3), st.data())
def test_fragments(datagrams, data):
    packets = data.draw(st.permutations([piece for made in datagrams for piece in made]))
    packets = packets[: data.draw(st.sampled_from([len(packets)] * 3 + [2]))]
    step = data.draw(st.sampled_from([0, 1, 30, 61]))
    snapped = data.draw(st.sampled_from([None, None, None, 60, 100]))
    times = [(1000 + step * i, 0) for i in range(len(packets))]
    body = pcaps.pcap(packets, times=times, snapped=snapped)[24:]
    array = array_of(body)
    written = Written([101])
    decoder = naive.Decoder()
    assert written.walk_pcap(array, 0, 16, False, 1000, 9999) == (len(array), layout.MORE)
    told = naive.read_pcap(body, order="<", header=16, tick=1000, limit=9999, link=101, decoder=decoder)[2]
    written.check(array, told, decoder)
    give_up_all(written.memory, written.written)
    decoder.end()
    written.check(array, told, decoder)
    assert written.fates.sum() == len(packets)


@many
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([b"", b"hello", pcaps.OPTIONS])), max_size=30))
def test_flows(steps):
    """More flows than there is room for: whoever is followed was seen, and is one of the last."""
    written = Written([101], places=3)
    recent = []
    for number, payload in steps:
        ends = {"source": f"2001:db8::{number}", "destination": "2001:db8::a"}
        ports = (4711, 4712)
        if number % 2:
            ends, ports = {"source": ends["destination"], "destination": ends["source"]}, (4712, 4711)
        packet = pcaps.ipv6(pcaps.tcp(payload, source=ports[0], destination=ports[1]), protocol=6, **ends)
        array = array_of(packet)
        followed = number in recent or payload == pcaps.OPTIONS
        wanted = layout.SEGMENT if followed else layout.TCP
        assert written.settle_one(array, 0, len(array), len(array)) == wanted
        if followed:
            recent = [number, *[other for other in recent if other != number]][:3]


def test_memory_for_fragments_is_bounded():
    """Of 40 datagrams that wait, a memory for 5 keeps the last."""
    written = Written([101], places=5)
    ends = [pcaps.fragments(pcaps.udp(), 24, identification=i) for i in range(40)]
    packets = [first for first, _ in ends] + [last for _, last in ends]
    array = array_of(pcaps.pcap(packets)[24:])
    written.walk_pcap(array, 0, 16, False, 1000, 9999)
    give_up_all(written.memory, written.written)
    assert written.fates.sum() == 80
    assert written.memory["datagrams"]["state"][layout.FRESH] == 5
    written = Written([101], chunks=40)
    array = array_of(pcaps.pcap([pcaps.fragment(bytes(8), 65528 - 8 * (i % 8000), True, i) for i in range(900)])[24:])
    written.walk_pcap(array, 0, 16, False, 1000, 9999)
    give_up_all(written.memory, written.written)
    assert written.fates[layout.FRAGMENT] + written.fates[layout.BAD_FRAGMENT] == 900
    assert written.memory["spare"][layout.UNUSED] <= 40
    assert written.memory["spare"][layout.LEFT] == 40


@st.composite
def blocks(draw, order):
    """The blocks of a pcapng section of one Ethernet interface, after its description."""
    packet = pcaps.ethernet(pcaps.ipv4(pcaps.udp(draw(PAYLOADS))))
    kind = draw(st.sampled_from([pcaps.epb, pcaps.obsolete, pcaps.spb, "unknown"]))
    if kind == "unknown":
        return pcaps.block(draw(st.integers(7, 2**31)), draw(st.binary(max_size=9)), order)
    if kind is pcaps.spb:
        return pcaps.spb(packet, order, wire=draw(st.sampled_from([None, 0, 44, 2**32 - 1])))
    return kind(packet, order, interface=draw(st.sampled_from([0, 0, 0, 1])), ticks=draw(st.integers(0, 2**64 - 1)))


@many
@given(st.data(), st.sampled_from("<>"), st.binary(max_size=3))
def test_walk_pcapng(data, order, before):
    section = pcaps.shb(order) + pcaps.idb(order)
    body = data.draw(mutated(st.lists(blocks(order), max_size=6).map(b"".join), changes=2))
    written = Written([1])
    array = array_of(before + body)
    at, why = written.walk_pcapng(array, len(before), order == ">", 4096)
    decoder = naive.Decoder()
    wanted, end, told = naive.read_pcapng(section + body[: at - len(before)], limit=4096, decoder=decoder)
    assert (wanted, end) == (layout.MORE, len(section) + at - len(before))
    written.check(array, told, decoder)
    if why in (layout.MORE, layout.DAMAGED):
        assert naive.read_pcapng(section + body, limit=4096)[:2] == (why, end)


@pytest.mark.parametrize("walk", ["pcap", "pcapng"])
def test_a_walk_stops_where_there_is_no_room(walk):
    written = Written([1], rows=2)
    if walk == "pcap":
        array = array_of(pcaps.pcap([pcaps.ethernet()] * 3)[24:])
        _, why = written.walk_pcap(array, 0, 16, False, 1, 4096)
    else:
        array = array_of(pcaps.epb() * 3)
        _, why = written.walk_pcapng(array, 0, False, 4096)
    assert why == layout.FULL
    assert written.tally[layout.NUMBER] == 2


if MODE == "compiled":

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("mode", "variable"), [("checked", "NUMBA_BOUNDSCHECK"), ("interpreted", "NUMBA_DISABLE_JIT")]
    )
    def test_again(mode, variable):
        run = run_again(__file__, variable=variable, SIPSCOPE_KERNELS=mode)
        assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
        assert " passed" in run.stdout

else:

    def test_bounds_are_checked_here():
        with pytest.raises(IndexError):
            big32(np.zeros(2, np.uint8), 0)
