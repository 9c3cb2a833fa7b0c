"""Strays as engines see them: all see the same, a slow twin agrees, and hostile packets are bounded."""

import struct

import numpy as np
import pytest
from engines import pcaps
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import CAPTURES, program

from analyzer.engines import ENGINES, _layout
from analyzer.engines import strays as kinds
from analyzer.engines.native import read_packets
from analyzer.engines.rows import Ends, Payload, _tell_datagram, _tell_segment

SYN, SYN_ACK, ACK, PUSH = 2, 18, 16, 24
STUN = bytes.fromhex("000100002112a442") + bytes(12)
OLD_STUN = bytes.fromhex("00010000") + bytes(16)
DHT = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
UTP = bytes.fromhex("41020000") + bytes(16)


def rtp(sequence=32, kind=8, size=160):
    return struct.pack("!BBHII", 0x80, kind, sequence, 5, 6) + bytes(size)


def udp(payload, *, source=40_000, destination=5060, **ends):
    return pcaps.ethernet(pcaps.ipv4(pcaps.udp(payload, source=source, destination=destination), **ends))


def tcp(flags, payload=b"", *, source=40_000, destination=5060, **ends):
    segment = pcaps.tcp(payload, source=source, destination=destination, flags=flags)
    return pcaps.ethernet(pcaps.ipv4(segment, protocol=6, **ends))


def gathered(path, engine="native", **options):
    gathering = kinds.Gathering()
    for packets in ENGINES[engine](path, **options):
        gathering.add(packets.strays)
    rows = gathering.of(*range(1, 9))
    return sorted(tuple(row[name].tolist() for name in row.dtype.names) for row in rows)


def seen(tmp_path, *packets, **options):
    """Return (kind, destination port, packets) of the strays of some packets."""
    path = tmp_path / "strays.pcap"
    path.write_bytes(pcaps.pcap(packets))
    return [(row[-1], row[-2], row[3]) for row in gathered(path, **options)]


# --- what is one


@pytest.mark.parametrize(
    ("packet", "kind"),
    [
        (tcp(SYN), kinds.SYN),
        (tcp(SYN, destination=5061), kinds.SYN),
        (tcp(SYN | 0xC0, destination=5080), kinds.SYN),  # with congestion notification (RFC 3168)
        (tcp(SYN, destination=1720), kinds.H323),
        (tcp(PUSH, b"x"), kinds.SPOKEN),
        (udp(b""), kinds.EMPTY),
        (udp(b"", destination=5080), kinds.EMPTY),
        (udp(b"\r\n\r\n"), kinds.KEEP_ALIVE),
        (udp(b"\0\0\0\0"), kinds.KEEP_ALIVE),
        (udp(b"\0"), kinds.KEEP_ALIVE),
        (udp(STUN), kinds.KEEP_ALIVE),
        (udp(OLD_STUN), kinds.KEEP_ALIVE),
        (udp(b"hello"), kinds.GARBAGE),
        (udp(b"\r\n" * 50), kinds.GARBAGE),
        (udp(bytes(100)), kinds.GARBAGE),
        (udp(b"GET / HTTP/1.0\r\n\r\n"), kinds.GARBAGE),
        (udp(rtp(), destination=20_000), kinds.MEDIA),
        (udp(rtp(kind=0xE0), destination=20_000), kinds.MEDIA),
        (udp(rtp()), kinds.MEDIA),
    ],
)
def test_a_stray_is_what_it_is(packet, kind, tmp_path):
    ((found, port, packets),) = seen(tmp_path, packet)
    assert (found, packets) == (kind, 1)
    assert port in (5060, 5061, 5080, 1720, 20_000)


@pytest.mark.parametrize(
    "packet",
    [
        tcp(SYN, destination=80),
        tcp(SYN_ACK),
        tcp(ACK),
        tcp(SYN_ACK, source=1720),
        tcp(PUSH, b"x", destination=1720),
        udp(b"", destination=80),
        udp(b"", source=53),
        udp(pcaps.OPTIONS),
        udp(b"hello", source=53),
        udp(b"hello", destination=6000),
        udp(DHT),
        udp(UTP),
        udp(rtp(33), destination=20_000),
        udp(rtp(kind=200)),
        udp(rtp(), destination=53),
        udp(rtp()[:11], destination=20_000),
        udp(b"\x8f" + rtp(size=8)[1:], destination=20_000),
    ],
)
def test_nothing_else_is(packet, tmp_path):
    assert seen(tmp_path, packet) == []


def test_the_open_port_is_told_of_the_one_that_asked(tmp_path):
    syn = tcp(SYN, source=40_000, destination=5061)
    answer = tcp(SYN_ACK, source=5061, destination=40_000)
    assert seen(tmp_path, syn) == [(kinds.SYN, 5061, 1)]
    assert seen(tmp_path, answer) == [(kinds.OPENED, 5061, 1)]


def test_streams_are_told_apart_by_their_ports(tmp_path):
    packets = [udp(rtp(16 * i), source=30_000 + 2 * (i % 3), destination=20_000) for i in range(30)]
    assert seen(tmp_path, *packets) == [(kinds.MEDIA, 20_000, 10)] * 3
    knocks = [udp(b"", source=30_000 + i) for i in range(30)]
    assert seen(tmp_path, *knocks) == [(kinds.EMPTY, 5060, 30)]


def test_it_may_come_in_fragments_and_tunnels(tmp_path):
    whole = pcaps.udp(b"garbage " * 20, source=40_000)
    parts = [pcaps.ethernet(part) for part in pcaps.fragments(whole, 16, 64)]
    inner = pcaps.ipv4(pcaps.udp(b"", source=40_000), source="10.9.9.9")
    tunnel = pcaps.ethernet(pcaps.ipv4(pcaps.gre(inner), protocol=47))
    knock = pcaps.ethernet(pcaps.ipv4(pcaps.gre(pcaps.ipv4(pcaps.tcp(b"", flags=SYN), protocol=6)), protocol=47))
    assert seen(tmp_path, *parts, tunnel, knock) == [
        (kinds.GARBAGE, 5060, 1), (kinds.EMPTY, 5060, 1), (kinds.SYN, 5060, 1)
    ]  # fmt: skip


# --- a slow twin


def naive_datagram(data, size, source, destination):  # noqa: PLR0911
    if min(source, destination) < 1024:
        return kinds.NOTHING
    version = data[0] >> 6 if data else None
    if version == 2 and len(data) >= 12 + 4 * (data[0] & 15) and (data[1] & 127) not in range(35, 96):
        return kinds.MEDIA if data[3] % 16 == 0 else kinds.NOTHING
    if destination not in (5060, 5061, 5080):
        return kinds.NOTHING
    if size == 0:
        return kinds.EMPTY
    if version == 2 and len(data) >= 8 and data[1] in range(192, 224):
        return kinds.NOTHING
    if len(data) >= 20 and data[:1] == b"d" and data[1:2].isdigit() and data[2:3] == b":":
        return kinds.NOTHING
    if len(data) >= 20 and data[0] in (0x01, 0x11, 0x21, 0x31, 0x41) and data[1] in (0, 1, 2):
        return kinds.NOTHING
    stun = len(data) >= 20 and version == 0 and len(data) % 4 == 0
    stun = stun and (data[4:8] == bytes.fromhex("2112a442") or int.from_bytes(data[2:4]) == len(data) - 20)
    blank = len(data) <= 8 and not data.strip(b"\0\r\n ")
    return kinds.KEEP_ALIVE if len(data) == size and (stun or blank) else kinds.GARBAGE


def naive_segment(flags, size, source, destination):
    home = (5060, 5061, 5080)
    if flags & 2 and not flags & 16:
        return kinds.H323 if destination == 1720 else kinds.SYN if destination in home else kinds.NOTHING
    if flags & 2:
        return kinds.OPENED if source in home else kinds.NOTHING
    return kinds.SPOKEN if size and destination in home else kinds.NOTHING


PORTS = st.sampled_from([53, 1023, 1024, 1720, 5059, 5060, 5061, 5080, 40_000])
PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.binary(max_size=12).map(lambda rest: b"\0" * 8 + rest),
    st.sampled_from([STUN, OLD_STUN, DHT, UTP, rtp(), rtp(17), b"\r\n", b"\0\0\0\0", b"", b"\x80\xc8" + bytes(6)]),
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=30)).map(
        lambda parts: bytes(parts[:2]) + parts[2]
    ),
)


@settings(deadline=None)
@given(PAYLOADS, st.integers(0, 9), PORTS, PORTS)
def test_datagrams_are_told_as_a_slow_twin_tells_them(data, missing, source, destination):
    payload = Payload(1, 0, Ends(64, bytes(4), source, bytes(4), destination), data, missing if data else 0)
    size = len(data) + payload.missing
    assert _tell_datagram(payload) == naive_datagram(data, size, source, destination)


@settings(deadline=None)
@given(st.integers(0, 255), st.binary(max_size=3), PORTS, PORTS)
def test_segments_are_told_as_a_slow_twin_tells_them(flags, data, source, destination):
    payload = Payload(1, 0, Ends(64, bytes(4), source, bytes(4), destination), data, 0, 1, flags)
    assert _tell_segment(payload) == naive_segment(flags, len(data), source, destination)


# --- all engines


@pytest.mark.parametrize("engine", ["scapy", "pyshark"])
@pytest.mark.parametrize("name", ["nmap-sipsak.pcap", "tollfraud.pcap", "svmap-sweep.pcap"])
def test_engines_see_the_same_in_captures(engine, name):
    if engine == "pyshark":
        program("tshark")
    assert gathered(CAPTURES / name, engine) == gathered(CAPTURES / name)


@pytest.mark.parametrize("engine", ["scapy", "pyshark"])
def test_engines_see_the_same_of_made_packets(engine, tmp_path):
    if engine == "pyshark":
        program("tshark")
    payloads = [b"", b"\r\n", b"hello", STUN, OLD_STUN, DHT, UTP, rtp(), rtp(17), rtp(kind=99), bytes(100)]
    six = pcaps.ethernet(pcaps.ipv6(pcaps.udp(b"", source=40_000)), 0x86DD)
    packets = [udp(payload, destination=port) for payload in payloads for port in (5060, 5080, 20_000)]
    packets += [tcp(flags, data, destination=port) for flags in (SYN, SYN_ACK, PUSH) for data in (b"", b"hi")
                for port in (5060, 5061, 1720, 80)]  # fmt: skip
    packets += [tcp(SYN_ACK, source=5060, destination=9999), six, six]
    path = tmp_path / "made.pcap"
    path.write_bytes(pcaps.pcap(packets))
    expected = gathered(path)
    assert len(expected) > 12
    assert gathered(path, engine) == expected


@pytest.mark.parametrize("size", [200, 1000, 10_000])
def test_blocks_do_not_matter(size):
    path = CAPTURES / "tollfraud.pcap"
    assert gathered(path, block_bytes=size) == gathered(path)


# --- hostile packets


def test_a_flood_ends_a_block_and_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "flood.pcap"
    count = _layout.STRAYS_AT_ONCE + 500
    record = np.frombuffer(pcaps.pcap([tcp(SYN)])[24:], np.uint8)
    flood = np.tile(record, (count, 1))
    flood[:, 16 + 14 + 12 : 16 + 14 + 16] = np.arange(count, dtype=">u4").view(np.uint8).reshape(-1, 4)
    path.write_bytes(pcaps.pcap([]) + flood.tobytes())
    blocks = list(read_packets(path))
    assert [len(packets.strays) for packets in blocks] == [_layout.STRAYS_AT_ONCE, 500]
    assert sum(packets.captured for packets in blocks) == count
    monkeypatch.setattr(kinds, "WAITING", 1000)
    gathering = kinds.Gathering(most=100)
    for packets in blocks:
        gathering.add(packets.strays)
    assert len(gathering.of(kinds.SYN)) == 100
    assert gathering.rest == {(kinds.SYN, 5060): count - 100}


def test_ends_that_share_a_slot_are_told_apart(tmp_path):
    path = tmp_path / "slots.pcap"
    rng = np.random.default_rng(7)
    sources = rng.integers(0, 20_000, 60_000)
    record = np.frombuffer(pcaps.pcap([tcp(SYN)])[24:], np.uint8)
    flood = np.tile(record, (len(sources), 1))
    flood[:, 16 + 14 + 12 : 16 + 14 + 16] = sources.astype(">u4").view(np.uint8).reshape(-1, 4)
    path.write_bytes(pcaps.pcap([]) + flood.tobytes())
    counts = {row[4][1] & 0xFFFFFFFF: row[3] for row in gathered(path)}
    assert counts == dict(zip(*(part.tolist() for part in np.unique(sources, return_counts=True)), strict=True))
