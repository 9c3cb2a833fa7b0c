"""Every kernel against its twin: compiled, compiled with bounds checked, and interpreted."""

import os
import subprocess
import sys
from pathlib import Path

import naive_packets as naive
import numba
import numpy as np
import pytest
from engines import pcaps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.engines import _kernels as kernels

MODE = os.environ.get("SIPSCOPE_KERNELS", "compiled")
many = settings(
    max_examples=300 if MODE == "compiled" else 60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


@numba.njit
def nanoseconds(high, low, resolution, offset):
    return kernels.nanoseconds(high, low, resolution, offset)


@numba.njit
def may_be_sip(data, start, stop, sip_port):
    return kernels.may_be_sip(data, start, stop, sip_port)


@numba.njit
def decode(data, start, stop, wire_stop, link, rows):  # noqa: PLR0917
    return kernels.decode(data, start, stop, wire_stop, link, rows, 0)


@numba.njit
def big32(data, at):
    return kernels.big32(data, at)


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


def packets():
    """(link type, packet) of every kind that is decoded."""
    inner = PAYLOADS.flatmap(lambda payload: st.sampled_from([pcaps.udp(payload), pcaps.udp(payload, length=0)]))
    four = st.builds(
        pcaps.ipv4,
        inner,
        options=st.sampled_from([b"", b"\x01" * 4, b"\x01" * 40]),
        protocol=st.sampled_from([17, 17, 17, 17, 1, 4, 6, 41, 47, 50, 58, 97, 115, 132, 137, 143]),
        fragment=st.sampled_from([0, 0, 0, 0x4000, 0x2000, 7]),
        total=st.sampled_from([None, None, 0, 5, 24, 60, 65535]),
    )
    six = st.builds(pcaps.ipv6, inner, length=st.sampled_from([None, None, 0, 5]))
    chains = st.lists(st.sampled_from([0, 43, 44, 51, 60, 135, 139, 140]), max_size=18)
    extended = st.builds(chain, inner, chains)
    ip = st.one_of(four, six, extended).map(lambda packet: (0x86DD if packet[0] >> 4 == 6 else 0x0800, packet))
    types = st.sampled_from([0x8864, 0x8847, 0x8848, 0x88E7, 0x894F, 0x0806, 5])
    return st.one_of(
        ip.map(lambda packet: (1, pcaps.ethernet(packet[1], packet[0]))),
        types.map(lambda ethertype: (1, pcaps.ethernet(ethertype=ethertype))),
        st.tuples(ip, st.integers(1, 9)).map(
            lambda both: (1, pcaps.vlan(both[0][1], tags=both[1], ethertype=both[0][0]))
        ),
        ip.map(lambda packet: (113, pcaps.sll(packet[1], packet[0]))),
        ip.map(lambda packet: (276, pcaps.sll2(packet[1], packet[0]))),
        st.tuples(ip, st.sampled_from([12, 14, 101, 228, 229])).map(lambda both: (both[1], both[0][1])),
        st.tuples(ip, st.sampled_from([2, 10, 23, 24, 28, 30, 7]), st.sampled_from("<>")).map(
            lambda three: (0, pcaps.family(three[0][1], three[1], three[2]))
        ),
        st.tuples(st.sampled_from([105, 147, 2**31]), st.binary(max_size=40)),
    )


def chain(payload, protocols):
    """An IPv6 packet whose extension headers are of those protocols."""
    protocol = 17
    for extension in reversed(protocols):
        payload = pcaps.extension(payload, protocol=protocol, size=4 if extension == 51 else 0)
        protocol = extension
    return pcaps.ipv6(payload, protocol=protocol)


def unpacked(row, data):
    """A row of kernels.ROW as the twin tells it."""
    start, length = int(row["start"]), int(row["length"])
    assert 0 <= start <= start + length <= len(data)
    return {
        "source": row["source"].astype(">i8").tobytes(),
        "destination": row["destination"].astype(">i8").tobytes(),
        "ttl": row["ttl"],
        "source_port": row["source_port"],
        "destination_port": row["destination_port"],
        "payload": data[start : start + length].tobytes(),
        "missing": row["missing"],
    }


@many
@given(packets(), st.data(), st.integers(0, 20))
def test_decode(both, data, more):
    link, packet = both
    packet = data.draw(mutated(st.just(packet)))
    rows = np.zeros(1, kernels.ROW)
    fate, wanted = naive.decode(packet, len(packet) + more, link)
    array = array_of(packet)
    assert decode(array, 0, len(packet), len(packet) + more, link, rows) == fate
    if wanted:
        assert unpacked(rows[0], array) == wanted
    array = array_of(b"before" + packet + pcaps.OPTIONS)
    stop = 6 + len(packet)
    assert decode(array, 6, stop, stop + more, link, rows) == fate
    if wanted:
        assert unpacked(rows[0], array) == wanted


class Written:
    """The arrays that a walk writes into."""

    def __init__(self, links, rows=50, odd=50):
        self.links = np.zeros(len(links), kernels.LINK)
        self.links["link"] = links
        self.links["resolution"] = 6
        self.rows = np.zeros(rows, kernels.ROW)
        self.odd = np.zeros(odd, kernels.ODD)
        self.tally = np.array([0, 0, 0, -1, -1], np.int64)
        self.fates = np.zeros(kernels.FATES, np.int64)

    def check(self, data, told):
        """Compare with [(time, fate, row)] of the twin."""
        times = [time for time, _, _ in told if time >= 0]
        assert self.tally[kernels.NUMBER] == len(told) == self.fates.sum()
        assert self.fates.tolist() == [sum(fate == at for _, fate, _ in told) for at in range(kernels.FATES)]
        assert self.tally[kernels.FIRST] == min(times, default=-1)
        assert self.tally[kernels.LAST] == max(times, default=-1)
        messages = [(number, time, row) for number, (time, _, row) in enumerate(told, 1) if row]
        rows = self.rows[: self.tally[kernels.ROWS]]
        assert [(row["number"], row["time"], unpacked(row, data)) for row in rows] == messages
        odd = [(number, time, fate) for number, (time, fate, _) in enumerate(told, 1) if fate >= kernels.CUT]
        assert self.odd[: self.tally[kernels.NOTED]].tolist() == odd[: len(self.odd)]
        assert self.links["aside"].sum() == self.fates[kernels.LINK_TYPE]

    def __iter__(self):
        return iter((self.links, self.rows, self.odd, self.tally, self.fates))


@many
@given(
    st.lists(packets(), max_size=6), st.data(), st.sampled_from("<>"), st.sampled_from([16, 24]), st.binary(max_size=3)
)
def test_walk_pcap(links, data, order, header, before):
    link = links[0][0] & 0xFFFF if links else 1
    magic = 0xA1B2CD34 if header == 24 else 0xA1B2C3D4
    body = data.draw(mutated(st.just(pcaps.pcap([packet for _, packet in links], order=order, magic=magic)[24:])))
    written = Written([link], odd=2)
    array = array_of(before + body)
    at, why = kernels.walk_pcap(array, len(before), len(array), header, order == ">", 1000, 4096, *written)
    wanted = naive.read_pcap(body, order=order, header=header, tick=1000, limit=4096, link=link)
    assert (why, at - len(before)) == wanted[:2]
    written.check(array, wanted[2])


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
    at, why = kernels.walk_pcapng(array, len(before), len(array), order == ">", 4096, *written)
    wanted, end, told = naive.read_pcapng(section + body[: at - len(before)], limit=4096)
    assert (wanted, end) == (kernels.MORE, len(section) + at - len(before))
    written.check(array, told)
    if why in (kernels.MORE, kernels.DAMAGED):
        assert naive.read_pcapng(section + body, limit=4096)[:2] == (why, end)


@pytest.mark.parametrize("walk", ["pcap", "pcapng"])
def test_a_walk_stops_where_there_is_no_room(walk):
    written = Written([1], rows=2)
    if walk == "pcap":
        array = array_of(pcaps.pcap([pcaps.ethernet()] * 3)[24:])
        at, why = kernels.walk_pcap(array, 0, len(array), 16, False, 1, 4096, *written)
    else:
        array = array_of(pcaps.epb() * 3)
        at, why = kernels.walk_pcapng(array, 0, len(array), False, 4096, *written)
    assert (at, why) == (len(array) // 3 * 2, kernels.FULL)
    assert written.tally[kernels.NUMBER] == 2


if MODE == "compiled":

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("mode", "variable"), [("checked", "NUMBA_BOUNDSCHECK"), ("interpreted", "NUMBA_DISABLE_JIT")]
    )
    def test_again(mode, variable, tmp_path):
        here = Path(__file__)
        environment = os.environ | {variable: "1", "SIPSCOPE_KERNELS": mode, "NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(here)]
        run = subprocess.run(
            command, env=environment, cwd=here.parents[2], capture_output=True, text=True, timeout=300, check=False
        )
        assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
        assert " passed" in run.stdout

else:

    def test_bounds_are_checked_here():
        with pytest.raises(IndexError):
            big32(np.zeros(2, np.uint8), 0)
