import csv
import io
import itertools
import os
import shutil
import struct
import subprocess
import time
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import naive_packets as naive
import numpy as np
import pytest
from engines import pcaps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.capture import Blocks
from analyzer.engines import ENGINES, TRANSPORTS, UDP, native
from analyzer.engines import _layout as layout
from analyzer.errors import CaptureError

CORPUS = Path(__file__).parents[2] / "../shared/corpus"
TIME = 1_700_000_000_000_005_000
"""Of the first packet of pcaps.pcap() and of each of pcaps.epb()."""


@pytest.fixture
def read(tmp_path):
    """Read a capture given as bytes, and check what holds for every one."""

    def read_bytes(data, **options):
        path = tmp_path / "capture"
        path.write_bytes(data)
        return check(list(native.read_packets(path, **options)))

    return read_bytes


def check(blocks):
    assert blocks
    for block in blocks:
        segments = 0 if block.segments is None else len(block.segments)
        settled = block.carriers + sum(block.set_aside.values()) + sum(block.unreadable.values())
        assert settled + segments == block.captured
        assert all(block.set_aside.values())
        for reason, count in block.unreadable.items():
            told = sum(anomaly.reason == reason and anomaly.packet > 0 for anomaly in block.anomalies)
            assert told == count or (told < count and any(a.reason == reason and not a.packet for a in block.anomalies))
        for rows in (block, block.segments):
            if rows is None:
                continue
            assert (rows.start >= 0).all()
            assert (rows.length >= 0).all()
            assert (rows.missing >= 0).all()
            assert (rows.start + rows.length <= len(rows.data)).all()
            assert rows.source.shape == rows.destination.shape == (len(rows), 2)
    return blocks


def total(blocks, what):
    counts = {}
    for block in blocks:
        for reason, count in getattr(block, what).items():
            counts[reason] = counts.get(reason, 0) + count
    return counts


def address(halves):
    address = IPv6Address((int(halves[0]) << 64) + int(halves[1]))
    return str(address.ipv4_mapped or address)


def rows(blocks):
    """Each candidate as (number, time, source, port, destination, port, ttl, payload, missing)."""
    return [
        (
            int(block.number[i]), int(block.time[i]), address(block.source[i]), int(block.source_port[i]),
            address(block.destination[i]), int(block.destination_port[i]), int(block.ttl[i]),
            block.data[block.start[i] : block.start[i] + block.length[i]].tobytes(), int(block.missing[i]),
        )
        for block in blocks
        for i in range(len(block))
    ]  # fmt: skip


def segments(blocks):
    """Each segment as (number, source, port, destination, port, sequence, flags, payload, missing)."""
    return [
        (
            int(part.number[i]), address(part.source[i]), int(part.source_port[i]), address(part.destination[i]),
            int(part.destination_port[i]), int(part.sequence[i]), int(part.flags[i]),
            part.data[part.start[i] : part.start[i] + part.length[i]].tobytes(), int(part.missing[i]),
        )
        for part in (block.segments for block in blocks)
        if part is not None
        for i in range(len(part))
    ]  # fmt: skip


def nest(times):
    """An IPv4 packet in that many others."""
    packet = pcaps.ipv4()
    for _ in range(times - 1):
        packet = pcaps.ipv4(packet, protocol=4, source="198.51.100.1")
    return packet


def anomalies(blocks):
    return [anomaly for block in blocks for anomaly in block.anomalies]


ROW = (1, TIME, "192.0.2.1", 5060, "192.0.2.2", 5060, 64, pcaps.OPTIONS, 0)
ROW6 = (1, TIME, "2001:db8::1", 5060, "2001:db8::2", 5060, 64, pcaps.OPTIONS, 0)


def test_the_engine_is_registered():
    assert ENGINES["native"] is native.read_packets


# --- pcap


@pytest.mark.parametrize(("order", "word"), [("<", "little"), (">", "big")])
@pytest.mark.parametrize(
    ("magic", "time", "unit"),
    [(0xA1B2C3D4, TIME, "µs"), (0xA1B23C4D, 1_700_000_000_000_000_005, "ns"), (0xA1B2CD34, TIME, "µs")],
)
def test_pcap_of_every_byte_order_and_resolution(read, order, word, magic, time, unit):
    (block,) = read(pcaps.pcap([pcaps.ethernet()], order=order, magic=magic))
    assert rows([block]) == [(1, time, *ROW[2:])]
    assert block.format == f"pcap, {word}-endian, {unit}"
    assert (block.first, block.last, block.captured, block.dropped) == (time, time, 1, None)
    assert block.transport.tolist() == [UDP]


def test_dtypes_are_those_of_the_contract(read):
    (block,) = read(pcaps.pcap([pcaps.ethernet()]))
    for name, dtype in {
        "data": np.uint8, "number": np.int64, "time": np.int64, "transport": np.uint8, "ttl": np.uint8,
        "source": np.uint64, "source_port": np.uint16, "destination": np.uint64, "destination_port": np.uint16,
        "start": np.int64, "length": np.int64, "missing": np.int64,
    }.items():  # fmt: skip
        assert getattr(block, name).dtype == dtype


def test_an_address_keeps_all_its_bits(read):
    wide = "ffff:ffff:ffff:ffff:8000::ffff"
    found = rows(read(pcaps.pcap([pcaps.ethernet(pcaps.ipv6(source=wide), 0x86DD)])))
    assert found[0][2] == wide


def test_bits_above_the_link_type_are_no_link_type(read):
    assert rows(read(pcaps.pcap([pcaps.ethernet()], link=0x3400_0001))) == [ROW]


def test_first_and_last_are_of_all_packets_in_any_order(read):
    times = [(7, 0), (3, 0), (9, 0)]
    packets = [pcaps.ethernet(ethertype=0x0806), pcaps.ethernet(ethertype=0x0806), b"cut"]
    (block,) = read(pcaps.pcap(packets, times=times))
    assert (block.first, block.last) == (3_000_000_000, 9_000_000_000)
    (block,) = read(pcaps.pcap([]))
    assert (block.first, block.last, block.captured) == (-1, -1, 0)


def test_times_of_pcap_do_not_overflow(read):
    (block,) = read(pcaps.pcap([pcaps.ethernet()], times=[(2**32 - 1, 2**32 - 1)]))
    assert block.time[0] == (2**32 - 1) * 10**9 + (2**32 - 1) * 1000


# --- links, IP, UDP


@pytest.mark.parametrize(
    ("link", "packet"),
    [
        (pcaps.ETHERNET, pcaps.ethernet()),
        (pcaps.ETHERNET, pcaps.vlan()),
        (pcaps.ETHERNET, pcaps.vlan(outer=0x88A8, tags=2)),
        (pcaps.ETHERNET, pcaps.vlan(outer=0x9100, tags=8)),
        (pcaps.SLL, pcaps.sll()),
        (pcaps.SLL2, pcaps.sll2()),
        *[(link, pcaps.ipv4()) for link in (12, 14, 101, 228)],
        (pcaps.NULL, pcaps.family(order="<")),
        (pcaps.NULL, pcaps.family(order=">")),
        (pcaps.LOOP, pcaps.family(order=">")),
        (pcaps.ETHERNET, pcaps.ethernet() + bytes(6)),
        (pcaps.ETHERNET, pcaps.ethernet(pcaps.ipv4(options=b"\x01" * 40))),
        (pcaps.ETHERNET, pcaps.ethernet(pcaps.ipv4(fragment=0x4000))),
        (pcaps.ETHERNET, pcaps.ethernet(pcaps.ipv4(total=0))),
    ],
)
def test_ipv4_on_every_link(read, link, packet):
    assert rows(read(pcaps.pcap([packet], link=link))) == [ROW]


@pytest.mark.parametrize(
    ("link", "packet"),
    [
        (pcaps.ETHERNET, pcaps.ethernet(pcaps.ipv6(), 0x86DD)),
        (pcaps.ETHERNET, pcaps.vlan(pcaps.ipv6(), tags=2, ethertype=0x86DD)),
        (pcaps.SLL, pcaps.sll(pcaps.ipv6(), 0x86DD)),
        (pcaps.SLL2, pcaps.sll2(pcaps.ipv6(), 0x86DD)),
        *[(link, pcaps.ipv6()) for link in (12, 14, 101, 229)],
        *[(pcaps.NULL, pcaps.family(pcaps.ipv6(), number)) for number in (10, 23, 24, 28, 30)],
        *[(101, pcaps.ipv6(pcaps.extension(pcaps.udp()), protocol=protocol)) for protocol in (0, 43, 60, 135)],
        (101, pcaps.ipv6(pcaps.extension(pcaps.udp(), size=2), protocol=0)),
        (101, pcaps.ipv6(bytes([17, 4]) + bytes(22) + pcaps.udp(), protocol=51)),
        (101, pcaps.ipv6(pcaps.extension(pcaps.extension(pcaps.udp()), protocol=60), protocol=0)),
        (101, pcaps.ipv6(pcaps.extension(pcaps.udp()), protocol=44)),
        (101, pcaps.ipv6(pcaps.udp(length=0), length=0)),
    ],
)
def test_ipv6_on_every_link(read, link, packet):
    assert rows(read(pcaps.pcap([packet], link=link))) == [ROW6]


def test_padding_is_no_payload(read):
    short = b"SIP/2.0 200"
    packet = pcaps.ethernet(pcaps.ipv4(pcaps.udp(short))) + b"padding"
    assert rows(read(pcaps.pcap([packet])))[0][7:] == (short, 0)


def test_the_payload_ends_where_the_first_length_says(read):
    by_udp = pcaps.ethernet(pcaps.ipv4(pcaps.udp(length=8 + 33)))
    by_ip = pcaps.ethernet(pcaps.ipv4(pcaps.udp(length=9000), total=20 + 8 + 33))
    for found in rows(read(pcaps.pcap([by_udp, by_ip]))):
        assert found[7:] == (pcaps.OPTIONS[:33], 0)


def test_what_the_snap_length_left_out_is_missing(read):
    found = rows(read(pcaps.pcap([pcaps.ethernet()], snapped=14 + 28 + 33)))
    assert found[0][7:] == (pcaps.OPTIONS[:33], len(pcaps.OPTIONS) - 33)


@pytest.mark.parametrize(
    ("reason", "packet"),
    [
        ("tcp", pcaps.ethernet(pcaps.ipv4(pcaps.tcp(b"GET / HTTP/1.1", source=4711, destination=80), protocol=6))),
        ("tcp", pcaps.ethernet(pcaps.ipv4(pcaps.tcp(b"SIP/2.0 200 OK", source=80, destination=4711), protocol=6))),
        ("icmp", pcaps.ethernet(pcaps.ipv4(b"\x03\x03" + bytes(6) + pcaps.ipv4(), protocol=1))),
        ("icmp", pcaps.ethernet(pcaps.ipv6(protocol=58), 0x86DD)),
        ("sctp", pcaps.ethernet(pcaps.ipv4(protocol=132))),
        ("udp without sip", pcaps.ethernet(pcaps.ipv4(pcaps.udp(b"")))),
        ("not ip", pcaps.ethernet(ethertype=0x0806)),
        ("not ip", pcaps.ethernet(ethertype=100)),
        ("other ip protocol", pcaps.ethernet(pcaps.ipv4(protocol=50))),
        ("tunnel (gre)", pcaps.ethernet(pcaps.ipv4(pcaps.gre(kind=0x0806), protocol=47))),
        ("tunnel (gre)", pcaps.ethernet(pcaps.ipv4(pcaps.gre(flags=0x4000), protocol=47))),
        ("tunnel (pppoe)", pcaps.ethernet(pcaps.pppoe(code=9), 0x8864)),
        ("not ip", pcaps.ethernet(pcaps.pppoe(pcaps.ppp(protocol=b"\xc0\x21")), 0x8864)),
        ("tunnel (mpls)", pcaps.ethernet(pcaps.mpls(bytes(40)), 0x8847)),
        ("tunnel (hep)", pcaps.ethernet(pcaps.ipv4(pcaps.udp(pcaps.hep(b"{}"))))),
        ("tunnel (hep)", pcaps.ethernet(pcaps.ipv4(pcaps.udp(pcaps.hep(chunks=[(15, pcaps.OPTIONS)]))))),
        ("tunnel (udp)", pcaps.ethernet(pcaps.ipv4(pcaps.udp(pcaps.gtp(kind=1), destination=2152)))),
        (
            "tunnel (udp)",
            pcaps.ethernet(pcaps.ipv4(pcaps.udp(pcaps.vxlan(pcaps.ethernet(b"\x44" * 30)), destination=4789))),
        ),
        ("tunnel (other)", pcaps.ethernet(pcaps.ipv4(protocol=115))),
        ("udp without sip", pcaps.ethernet(pcaps.ipv4(pcaps.udp(b"\x09" * 60, destination=4789)))),
    ],
)
def test_set_aside(read, reason, packet):
    (block,) = read(pcaps.pcap([packet]))
    assert (len(block), block.set_aside, block.unreadable, block.anomalies) == (0, {reason: 1}, {}, ())


@pytest.mark.parametrize(
    ("reason", "packet"),
    [
        ("cut before the payload", b"short"),
        ("cut before the payload", pcaps.ethernet()[:40]),
        ("cut before the payload", pcaps.ethernet()[:42]),
        ("cut before the payload", pcaps.vlan()[:17]),
        ("bad ip header", pcaps.ethernet(b"\x44" + pcaps.ipv4()[1:])),
        ("bad ip header", pcaps.ethernet(pcaps.ipv6())),
        ("bad ip header", pcaps.ethernet(pcaps.ipv4(total=19))),
        ("bad ip header", pcaps.ethernet(pcaps.ipv4(total=27))),
        ("bad ip header", pcaps.ethernet(pcaps.ipv6(pcaps.extension(b"", size=9), protocol=0), 0x86DD)),
        ("bad udp header", pcaps.ethernet(pcaps.ipv4(pcaps.udp(length=7)))),
        ("bad tcp header", pcaps.ethernet(pcaps.ipv4(pcaps.tcp(offset=4), protocol=6))),
        ("bad tcp header", pcaps.ethernet(pcaps.ipv4(pcaps.tcp(b"", offset=6), protocol=6))),
        ("cut before the payload", pcaps.ethernet(pcaps.ipv4(pcaps.tcp(), protocol=6))[: 14 + 20 + 19]),
        ("cut before the payload", pcaps.ethernet(pcaps.ipv4(pcaps.tcp(options=bytes(8)), protocol=6))[: 14 + 20 + 24]),
        ("bad fragment", pcaps.ethernet(pcaps.fragment(bytes(12), 0, True))),
        ("bad fragment", pcaps.ethernet(pcaps.fragment(b"", 8, False))),
        ("bad fragment", pcaps.ethernet(pcaps.fragment(bytes(24), 65_528, False))),
        ("too many headers", pcaps.ethernet(nest(17))),
        ("too many headers", pcaps.vlan(tags=9)),
        ("too many headers", pcaps.ethernet(pcaps.ipv6((b"\x3c" + bytes(7)) * 40, protocol=60), 0x86DD)),
    ],
)
def test_unreadable(read, reason, packet):
    (block,) = read(pcaps.pcap([packet]))
    assert (len(block), block.set_aside, block.unreadable) == (0, {}, {reason: 1})
    (anomaly,) = block.anomalies
    assert anomaly[:3] == (TIME, 1, reason)
    assert anomaly.detail


def test_many_unreadable_packets_are_told_in_a_few_anomalies(read):
    (block,) = read(pcaps.pcap([b"short"] * 1000))
    assert block.unreadable == {"cut before the payload": 1000}
    assert len(block.anomalies) == 101
    assert block.anomalies[-1].detail == "900 more packet(s) like this, not listed one by one"


def test_a_link_type_that_is_not_known_is_named_once(read):
    blocks = read(pcaps.pcap([pcaps.ethernet()] * 50, link=105), block_bytes=500)
    assert len(blocks) > 1
    assert total(blocks, "set_aside") == {"link type 105": 50}
    (anomaly,) = anomalies(blocks)
    assert anomaly.reason == "unsupported link type"
    assert "105" in anomaly.detail


# --- what is SIP

LONG = b"INVITE sip:" + b"a" * 2000 + b"@192.0.2.2 SIP/2.0\r\n\r\n"


@pytest.mark.parametrize(
    "payload",
    [
        b"OPTIONS sip:a SIP/2.0\r\n\r\n", b"OPTIONS sip:a SIP/2.0\n\n", b"options sip:a sip/2.0\r\n", LONG,
        b"!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI@example.com SIP/2.0\r\n",
        b"FROB urn:x SIP/2.0 \r\n",
        b"SIP/2.0 200 OK\r\n", b"SIP/2.0 100", b"SIP/2.0 4294967301 better not break the receiver\r\n",
        b"SIP/7.0 200\r\n",
        b"\r\n\r\nOPTIONS sip:a SIP/2.0\r\n", b" \t\r\nSIP/2.0 200 OK\r\n", b"INVITE  sip:a  SIP/2.0\r\n",
        b"INVITE sip:a\r\nVia: x\r\n", b"INVITE sips:a", b"REGISTER TEL:1 SIP/2\r\n", b"INVITE sip:cut@snapped",
        b"OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0\r\n",
    ],
    ids=lambda payload: payload[:30],
)  # fmt: skip
def test_sip_is_known_by_its_start_line_on_any_port(read, payload):
    packet = pcaps.ethernet(pcaps.ipv4(pcaps.udp(payload, source=9999, destination=4711)))
    assert rows(read(pcaps.pcap([packet])))[0][7] == payload


@pytest.mark.parametrize("payload", [b"INVITE \x00\x01", b"invite 100\r\n", b"SIP/2.0\r\n", b"sip/x", b"ACK a b c\r\n"])
def test_broken_start_lines_are_kept_on_the_sip_port(read, payload):
    ports = [(5060, 1), (1, 5060), (4711, 4712)]
    packets = [pcaps.ethernet(pcaps.ipv4(pcaps.udp(payload, source=s, destination=d))) for s, d in ports]
    (block,) = read(pcaps.pcap(packets))
    assert block.number.tolist() == [1, 2]


@pytest.mark.parametrize(
    "payload",
    [
        b"NOTIFY * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n", b"M-SEARCH * HTTP/1.1\r\n", b"OPTIONS * RTSP/1.0\r\n",
        b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"\r\n\r\n", b"\r\n", b"\x00" * 4, b" ", b"hello",
        b"hello there",
        b"\x80\x08" * 86, b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), b"\x01\x00\x00\x00" + b"\x55" * 144,
        b"INVITE", b"ACK\r\n", b"(x) sip:a SIP/2.0\r\n", b"A" * 129 + b" sip:a SIP/2.0\r\n",
        b"<30>Nov 22 10:00:00 proxy: INVITE sip:a SIP/2.0", b"x y\r\nz SIP/2.0\r\n",
        b"\r\n" * 40 + b"ACK sip:a SIP/2.0\r\n",
    ],
    ids=lambda payload: payload[:30],
)  # fmt: skip
def test_other_payloads_on_the_sip_port_are_none(read, payload):
    (block,) = read(pcaps.pcap([pcaps.ethernet(pcaps.ipv4(pcaps.udp(payload)))]))
    assert (len(block), block.set_aside) == (0, {"udp without sip": 1})


# --- pcapng


@pytest.mark.parametrize(("order", "word"), [("<", "little"), (">", "big")])
def test_pcapng_of_both_byte_orders(read, order, word):
    data = pcaps.shb(order) + pcaps.idb(order) + pcaps.epb(order=order) + pcaps.obsolete(order=order)
    (block,) = read(data)
    assert rows([block]) == [ROW, (2, *ROW[1:])]
    assert block.format == f"pcapng, {word}-endian"


def test_sections_have_their_own_order_and_interfaces(read):
    raw = pcaps.shb(">") + pcaps.idb(">", link=101) + pcaps.epb(pcaps.ipv4(), ">")
    (block,) = read(pcaps.pcapng(pcaps.ethernet()) + raw + pcaps.shb() + pcaps.epb())
    assert rows([block]) == [ROW, (2, *ROW[1:])]
    assert block.unreadable == {"unknown interface": 1}
    assert block.anomalies[0].packet == 3


def test_interfaces_differ(read):
    data = pcaps.shb() + pcaps.idb() + pcaps.idb(link=101, resolution=9) + pcaps.idb(link=147)
    data += pcaps.epb(pcaps.ipv4(), interface=1, ticks=77) + pcaps.epb() + pcaps.epb(b"x" * 9, interface=2)
    (block,) = read(data)
    assert rows([block]) == [(1, 77, *ROW[2:]), (2, *ROW[1:])]
    assert block.set_aside == {"link type 147": 1}
    assert [anomaly.packet for anomaly in block.anomalies] == [0]


def test_more_interfaces_than_were_made_room_for(read):
    data = pcaps.shb() + pcaps.idb(link=147) * 40 + pcaps.idb() + pcaps.epb(interface=40)
    assert rows(read(data)) == [ROW]


@pytest.mark.parametrize(
    ("resolution", "offset", "ticks", "time"),
    [
        (None, None, 1_700_000_000_000_005, TIME),
        (6, 3600, 5, 3600_000_005_000),
        (0, None, 12, 12 * 10**9),
        (9, None, 2**60 + 1, 2**60 + 1),
        (12, None, 10**18 + 999, 10**15),
        (0x80 | 10, None, 1025, 1_000_976_562),
        (0x80 | 32, None, (7 << 32) + 1, 7 * 10**9),
        (0x80 | 63, None, 2**63 + 2**62, 15 * 10**8),
        (127, None, 2**64 - 1, 0),
        (0, None, 2**64 - 1, layout.LATEST),
        (6, 2**62, 5, layout.LATEST),
        (6, -(2**62), 5, 0),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_resolution_and_offset(read, order, resolution, offset, ticks, time):
    data = (
        pcaps.shb(order) + pcaps.idb(order, resolution=resolution, offset=offset) + pcaps.epb(None, order, ticks=ticks)
    )
    assert rows(read(data)) == [(1, time, *ROW[2:])]


def test_a_simple_packet_has_no_time(read):
    snap = 14 + 28 + 33
    data = pcaps.shb() + pcaps.idb(snap=snap) + pcaps.spb(pcaps.ethernet()[:snap], wire=len(pcaps.ethernet()))
    (block,) = read(data)
    assert rows([block]) == [(1, -1, *ROW[2:7], pcaps.OPTIONS[:33], len(pcaps.OPTIONS) - 33)]
    assert (block.first, block.last) == (-1, -1)


def test_other_blocks_are_skipped(read):
    extras = [pcaps.block(kind, b"whatever") for kind in (4, 9, 10, 0xBAD, 0x40000BAD, 0x80000001)]
    assert rows(read(pcaps.shb() + extras[0] + pcaps.idb() + b"".join(extras) + pcaps.epb())) == [ROW]


def test_a_packet_longer_than_its_block_is_unreadable(read):
    data = pcaps.pcapng() + pcaps.epb(captured=5000) + pcaps.block(6, b"") + pcaps.block(3, b"") + pcaps.epb()
    (block,) = read(data)
    assert block.unreadable == {"bad packet block": 3}
    assert block.number.tolist() == [4]


def test_lost_packets_are_those_since_the_last_statistics(read):
    head = pcaps.pcapng(pcaps.ethernet()) + pcaps.idb()
    first = pcaps.isb(ifdrop=5, osdrop=2) + pcaps.isb(interface=1, ifdrop=3) + pcaps.isb(interface=2, ifdrop=7)
    blocks = read(head + first + pcaps.block(0xBAD, bytes(4000)) + pcaps.isb(ifdrop=9, osdrop=2), block_bytes=512)
    lost = [block.dropped for block in blocks if block.dropped is not None]
    assert sum(lost) == 14
    assert len(lost) > 1
    assert [block.dropped for block in read(head + pcaps.isb())] == [None]
    assert [block.dropped for block in read(head + pcaps.isb(ifdrop=2**64 - 1, osdrop=2**64 - 1))] == [2**63 - 1]


@pytest.mark.parametrize("size", [0, 4, 11, 13, 2**31, 2**32 - 1, 40])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_block_that_cannot_be_that_long_ends_the_capture(read, order, size):
    head = pcaps.pcapng(pcaps.ethernet(), order=order)
    data = head + pcaps.block(6, bytes(40), order, size) + pcaps.epb(order=order)
    blocks = read(data)
    assert rows(blocks) == [ROW]
    (anomaly,) = anomalies(blocks)
    assert anomaly.reason == "damaged"
    assert f"byte {len(head):,}:" in anomaly.detail
    assert f"{len(data) - len(head):,} byte(s)" in anomaly.detail


def test_a_section_without_byte_order_ends_the_capture(read):
    damaged = pcaps.shb()[:8] + b"nope" + pcaps.shb()[12:]
    blocks = read(pcaps.pcapng(pcaps.ethernet()) + damaged)
    assert rows(blocks) == [ROW]
    assert [anomaly.reason for anomaly in anomalies(blocks)] == ["damaged"]


# --- blocks, cuts, damage


def mixed_packets():
    packets = [
        pcaps.ethernet(),
        pcaps.ethernet(ethertype=0x0806),
        b"odd",
        pcaps.vlan(),
        pcaps.ethernet(pcaps.ipv4(protocol=6)),
    ]
    return packets + [pcaps.ethernet(pcaps.ipv4(pcaps.udp(LONG)))] * 2


CAPTURES = {
    "pcap": pcaps.pcap(mixed_packets()),
    "pcapng": pcaps.pcapng(*mixed_packets()) + pcaps.isb(ifdrop=4) + pcaps.pcapng(*mixed_packets(), order=">"),
}


@pytest.mark.parametrize("kind", CAPTURES)
@pytest.mark.parametrize("size", [1, 7, 64, 100, 999, 4096])
def test_blocks_of_any_size_hold_the_same(read, kind, size):
    (whole,) = read(CAPTURES[kind])
    blocks = read(CAPTURES[kind], block_bytes=size)
    assert rows(blocks) == rows([whole])
    assert total(blocks, "set_aside") == whole.set_aside
    assert total(blocks, "unreadable") == whole.unreadable
    assert sum(block.captured for block in blocks) == whole.captured
    assert [anomaly[:3] for anomaly in anomalies(blocks)] == [anomaly[:3] for anomaly in whole.anomalies]
    assert min(block.first for block in blocks if block.first >= 0) == whole.first
    assert max(block.last for block in blocks) == whole.last


@pytest.mark.parametrize("kind", CAPTURES)
@pytest.mark.parametrize("size", [200, 1 << 20])
def test_a_capture_cut_anywhere_yields_what_it_holds(read, kind, size):
    data = CAPTURES[kind]
    whole = rows(read(data))
    for stop in range(4, len(data), 7):
        blocks = read(data[:stop], block_bytes=size)
        found = rows(blocks)
        assert found == whole[: len(found)]
        cut = [anomaly for anomaly in anomalies(blocks) if anomaly.reason in ("cut short", "damaged")]
        assert len(cut) <= 1
        if kind == "pcap":
            end, _ = boundary(data, stop)
            assert [anomaly.reason for anomaly in cut] == ["cut short"] * (stop != end)
            assert all(f"at byte {end:,}:" in anomaly.detail for anomaly in cut)


def boundary(data, stop):
    """Where the last whole record of a little-endian pcap file before stop ends, and how many there are."""
    if stop < 24:
        return 0, 0
    at, count = 24, 0
    while at + 16 <= stop:
        size = 16 + struct.unpack_from("<I", data, at + 8)[0]
        if at + size > stop:
            break
        at, count = at + size, count + 1
    return at, count


@pytest.mark.parametrize("length", [262_145, 2**31, 2**32 - 1])
def test_a_record_that_cannot_be_that_long_ends_the_capture(read, length):
    damaged = struct.pack("<IIII", 1, 1, length, length) + bytes(300_000)
    blocks = read(pcaps.pcap([pcaps.ethernet()]) + damaged)
    assert rows(blocks) == [ROW]
    (anomaly,) = anomalies(blocks)
    assert anomaly.reason == "damaged"
    assert "300,016 byte(s)" in anomaly.detail


def test_a_larger_snap_length_allows_larger_records(read):
    packet = pcaps.ethernet() + bytes(300_000)
    (block,) = read(pcaps.pcap([packet], snap=500_000))
    assert (len(block), block.anomalies) == (1, ())


def test_earlier_blocks_stay_as_they_were(read):
    blocks = read(pcaps.pcap([pcaps.ethernet()] * 100), block_bytes=1000)
    assert len(blocks) > 5
    assert {found[7] for found in rows(blocks)} == {pcaps.OPTIONS}


def test_what_is_no_capture_is_refused(tmp_path):
    path = tmp_path / "notes"
    path.write_text("no capture")
    with pytest.raises(CaptureError, match="no capture"):
        list(native.read_packets(path))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    st.sampled_from(sorted(CAPTURES)),
    st.lists(st.tuples(st.integers(4, 6000), st.binary(min_size=1, max_size=6)), max_size=6),
    st.integers(1, 3000),
)
def test_fates_add_up_under_any_change(kind, changes, size):
    data = bytearray(CAPTURES[kind])
    for where, change in changes:
        at = 4 + where % (len(data) - 4)
        data[at : at + len(change)] = change
    blocks = Blocks(io.BytesIO(bytes(data)), size, len(data))
    blocks.advance(0)
    while len(blocks.data) < 32 and not blocks.ended:
        blocks.advance(0)
    found = check(list(native.read_blocks(blocks)))
    if kind == "pcapng":
        _, _, told = naive.read_pcapng(bytes(data), limit=256 << 20)
        assert sum(block.captured for block in found) == len(told)
        assert [row[7] for row in rows(found)] == [row["payload"] for _, fate, row, _ in told if fate == layout.SIP]


# --- packets in packets

FOUR, SIX = pcaps.ipv4(), pcaps.ipv6()
OUTER = {"source": "198.51.100.1", "destination": "198.51.100.2"}
FRAME = pcaps.ethernet()


def over_udp(payload, port):
    return pcaps.ethernet(pcaps.ipv4(pcaps.udp(payload, source=40_000, destination=port), **OUTER))


def over_ip(payload, protocol):
    return pcaps.ethernet(pcaps.ipv4(payload, protocol=protocol, **OUTER))


TUNNELS = {
    "mpls": pcaps.ethernet(pcaps.mpls(FOUR, 3), 0x8847),
    "mpls ipv6": pcaps.ethernet(pcaps.mpls(SIX), 0x8847),
    "mpls, pseudo-wire": pcaps.ethernet(pcaps.mpls(FRAME), 0x8847),
    "mpls, pseudo-wire with a control word": pcaps.ethernet(pcaps.mpls(bytes(4) + FRAME), 0x8847),
    "mpls in ip": over_ip(pcaps.mpls(FOUR), 137),
    "mpls in udp": over_udp(pcaps.mpls(FOUR), 6635),
    "pppoe": pcaps.ethernet(pcaps.pppoe(), 0x8864),
    "pppoe ipv6": pcaps.ethernet(pcaps.pppoe(pcaps.ppp(SIX, b"\0\x57")), 0x8864),
    "802.1ad, 802.1q, pppoe": pcaps.vlan(pcaps.pppoe(), tags=2, outer=0x88A8, ethertype=0x8864),
    "802.1ah": pcaps.ethernet(bytes(4) + FRAME, 0x88E7),
    "snap": pcaps.ethernet(b"\xaa\xaa\3\0\0\0\x08\0" + FOUR, 8 + len(FOUR)),
    "llc": pcaps.ethernet(b"\6\6\3" + FOUR, 3 + len(FOUR)),
    "gre": over_ip(pcaps.gre(), 47),
    "gre ipv6": over_ip(pcaps.gre(SIX, 0x86DD), 47),
    "gre with checksum, key and sequence number": over_ip(pcaps.gre(flags=0xB000, extra=bytes(12)), 47),
    "gre ethernet": over_ip(pcaps.gre(FRAME, 0x6558, flags=0x2000, extra=bytes(4)), 47),
    "gre mpls": over_ip(pcaps.gre(pcaps.mpls(FOUR), 0x8847), 47),
    "gre ppp": over_ip(pcaps.gre(pcaps.ppp(b"" + FOUR), 0x880B), 47),
    "pptp": over_ip(pcaps.gre(b"\xff\3\x21" + FOUR, 0x880B, flags=0x3081,
        extra=struct.pack("!HHII", 3 + len(FOUR), 1, 2, 3)), 47),
    "erspan i": over_ip(pcaps.gre(FRAME, 0x88BE), 47),
    "erspan ii": over_ip(pcaps.gre(b"\x10" + bytes(7) + FRAME, 0x88BE, flags=0x1000, extra=bytes(4)), 47),
    "erspan iii": over_ip(pcaps.gre(b"\x20" + bytes(11) + FRAME, 0x22EB, flags=0x1000, extra=bytes(4)), 47),
    "erspan iii with a subheader": over_ip(
        pcaps.gre(b"\x20" + bytes(10) + b"\1" + bytes(8) + FRAME, 0x22EB, flags=0x1000, extra=bytes(4)), 47),
    "ip in ip": over_ip(FOUR, 4),
    "6in4": over_ip(SIX, 41),
    "4in6": pcaps.ethernet(pcaps.ipv6(FOUR, protocol=4), 0x86DD),
    "6in6": pcaps.ethernet(pcaps.ipv6(SIX, protocol=41, source="2001:db8::9"), 0x86DD),
    "ah": over_ip(b"\4\4" + bytes(22) + FOUR, 51),
    "etherip": over_ip(b"\x30\0" + FRAME, 97),
    "vxlan": over_udp(pcaps.vlan(pcaps.vxlan(), ethertype=0)[18:], 4789),
    "vxlan on 8472": over_udp(pcaps.vxlan(pcaps.vlan()), 8472),
    "geneve": over_udp(pcaps.geneve(), 6081),
    "geneve ipv4 with options": over_udp(pcaps.geneve(FOUR, 0x0800, bytes(12)), 6081),
    "gtp-u": over_udp(pcaps.gtp(), 2152),
    "gtp-u with a sequence number": over_udp(pcaps.gtp(flags=0x32, optional=bytes(4)), 2152),
    "gtp-u with extension headers": over_udp(
        pcaps.gtp(flags=0x34, optional=b"\0\0\0\x85\1\x10\0\x85\1\x10\0\0"), 2152),
    "l2tp": over_udp(pcaps.l2tp(), 1701),
    "l2tp with all fields": over_udp(pcaps.l2tp(flags=0x4A02, optional=bytes(4) + b"\0\4" + bytes(4)), 1701),
    "vxlan in gre in mpls": pcaps.ethernet(pcaps.mpls(pcaps.ipv4(pcaps.gre(pcaps.ipv4(
        pcaps.udp(pcaps.vxlan(), source=1, destination=4789), **OUTER)), protocol=47, **OUTER)), 0x8847),
    "16 deep": pcaps.ethernet(nest(16)),
}  # fmt: skip


@pytest.mark.parametrize("name", TUNNELS)
def test_the_innermost_packet_counts(read, name):
    wanted = ROW6 if "ipv6" in name or name in ("6in4", "6in6") else ROW
    assert rows(read(pcaps.pcap([TUNNELS[name]]))) == [wanted]


@pytest.mark.parametrize("name", sorted(set(TUNNELS) - {"mpls, pseudo-wire"}))  # TShark guesses none
def test_tshark_finds_the_same_in_tunnels(name, tmp_path):
    found = tshark(tmp_path, pcaps.pcap([TUNNELS[name]]), "ip.src", "ipv6.src", "udp.dstport", "sip.Method")
    (row,) = found
    ends = [end for field in row[:2] for end in field.split(",") if end]
    assert row[3] == "OPTIONS"
    assert row[2].split(",")[-1] == "5060"
    assert ("2001:db8::1" if "ipv6" in name or name in ("6in4", "6in6") else "192.0.2.1") in ends


def tshark(tmp_path, data, *fields):
    """What TShark makes of a capture, a row per packet."""
    if not shutil.which("tshark"):
        if os.environ.get("SIPSCOPE_TESTS") == "all":
            pytest.fail("tshark is missing")
        pytest.skip("tshark is missing")
    path = tmp_path / "capture"
    path.write_bytes(data)
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-d", "udp.port==8472,vxlan"]
    command += [part for field in fields for part in ("-e", field)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [line.split("\t") for line in run.stdout.splitlines()]


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize(("protocol", "transport"), [(17, "udp"), (6, "tcp")])
def test_hep_tells_the_ends(read, six, protocol, transport):
    ends = ("2001:db8::a", "2001:db8::b") if six else ("203.0.113.1", "203.0.113.2")
    payload = pcaps.hep(source=ends[0], destination=ends[1], ports=(1, 2), protocol=protocol)
    blocks = read(pcaps.pcap([over_udp(payload, 9060), over_udp(payload, 7)]))
    assert [row[2:] for row in rows(blocks)] == [(ends[0], 1, ends[1], 2, 0, pcaps.OPTIONS, 0)] * 2
    assert {TRANSPORTS[code] for code in blocks[0].transport} == {transport}


def test_hep_that_was_cut(read):
    payload = pcaps.hep(pcaps.OPTIONS + bytes(100))
    whole = over_udp(payload, 9060)
    assert rows(read(pcaps.pcap([whole], snapped=len(whole) - 100)))[0][7:] == (pcaps.OPTIONS, 100)


def test_sip_on_the_port_of_a_tunnel_is_sip(read):
    ports = [4789, 8472, 6081, 2152, 1701, 6635, 9060]
    blocks = read(pcaps.pcap([over_udp(pcaps.OPTIONS, port) for port in ports]))
    assert [row[5] for row in rows(blocks)] == ports


# --- TCP


def stream(payload=pcaps.OPTIONS, ports=(4711, 4712), **options):
    return pcaps.ethernet(pcaps.ipv4(pcaps.tcp(payload, source=ports[0], destination=ports[1], **options), protocol=6))


@pytest.mark.parametrize("port", [5060, 5061, 5080])
def test_all_segments_on_sip_ports_are_handed_on(read, port):
    packets = [
        stream(b"", (4711, port), flags=2, sequence=7, options=b"\2\4\5\xb4"), stream(b"", (port, 4711), flags=0x12),
        stream(b"junk", (port, 4711), sequence=2**32 - 1) + b"padding", stream(b"", (4711, port), flags=0x14),
    ]  # fmt: skip
    blocks = read(pcaps.pcap(packets))
    assert segments(blocks) == [
        (1, "192.0.2.1", 4711, "192.0.2.2", port, 7, 2, b"", 0),
        (2, "192.0.2.1", port, "192.0.2.2", 4711, 1, 0x12, b"", 0),
        (3, "192.0.2.1", port, "192.0.2.2", 4711, 2**32 - 1, 0x18, b"junk", 0),
        (4, "192.0.2.1", 4711, "192.0.2.2", port, 1, 0x14, b"", 0),
    ]
    assert blocks[0].carriers == 0


@pytest.mark.parametrize("size", [1 << 20, 100])
@pytest.mark.parametrize(
    "opening",
    [
        pcaps.OPTIONS,
        b"\r\n\r\nSIP/2.0 200 OK\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nsec-websocket-protocol: xmpp, sip\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_a_flow_is_followed_from_its_opening_on(read, opening, size):
    back = pcaps.ethernet(
        pcaps.ipv4(
            pcaps.tcp(b"back", source=4712, destination=4711), protocol=6, source="192.0.2.2", destination="192.0.2.1"
        )
    )
    packets = [stream(b"before"), stream(opening), stream(b"other", (1, 2)), back, stream(b"", flags=17)]
    blocks = read(pcaps.pcap(packets), block_bytes=size)
    assert [(part[0], part[7]) for part in segments(blocks)] == [(2, opening), (4, b"back"), (5, b"")]
    assert total(blocks, "set_aside") == {"tcp": 2}


def test_a_segment_that_was_cut_is_missing_bytes(read):
    (part,) = segments(read(pcaps.pcap([stream()], snapped=14 + 40 + 33)))
    assert part[7:] == (pcaps.OPTIONS[:33], len(pcaps.OPTIONS) - 33)


def test_segments_in_tunnels_are_handed_on(read):
    inner = pcaps.ipv4(pcaps.tcp(), protocol=6)
    packets = [over_ip(inner, 4), over_udp(pcaps.vxlan(pcaps.ethernet(inner)), 4789)]
    assert [part[1:5] for part in segments(read(pcaps.pcap(packets)))] == [("192.0.2.1", 5060, "192.0.2.2", 5060)] * 2


# --- fragments


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_fragments_in_every_order(read, version, order):
    pieces = pcaps.fragments(pcaps.udp(), 8, 24, 32, version=version)
    blocks = read(pcaps.pcap([pieces[i] for i in order], link=101))
    row = ROW if version == 4 else ROW6
    assert rows(blocks) == [(4, TIME + 3 * (10**9 + 1000), *row[2:])]
    assert (blocks[0].carriers, blocks[0].set_aside, blocks[0].anomalies) == (4, {}, ())


@pytest.mark.parametrize("version", [4, 6])
def test_repeated_fragments_change_nothing(read, version):
    first, second = pcaps.fragments(pcaps.udp(), 24, version=version)
    blocks = read(pcaps.pcap([first, first, second], link=101))
    assert [row[7] for row in rows(blocks)] == [pcaps.OPTIONS]
    assert blocks[0].carriers == 3


def test_of_overlapping_ipv4_fragments_the_first_counts(read):
    first, second = pcaps.fragments(pcaps.udp(), 24)
    other = pcaps.fragment(bytes(16), 16, True)
    blocks = read(pcaps.pcap([first, other, second], link=101))
    assert rows(blocks)[0][7] == pcaps.OPTIONS[:16] + bytes(8) + pcaps.OPTIONS[24:]
    assert [anomaly.reason for anomaly in anomalies(blocks)] == ["overlapping fragments"]
    assert blocks[0].carriers == 3


def test_overlapping_ipv6_fragments_spoil_their_datagram(read):
    first, second = pcaps.fragments(pcaps.udp(), 24, version=6)
    other = pcaps.fragment(pcaps.udp()[16:32], 16, True, version=6)
    blocks = read(pcaps.pcap([first, other, second], link=101))
    assert (rows(blocks), total(blocks, "set_aside")) == ([], {"fragment": 3})
    assert [anomaly.reason for anomaly in anomalies(blocks)] == ["overlapping fragments"]


def test_an_incomplete_datagram_is_an_anomaly(read):
    pieces = pcaps.fragments(pcaps.udp(pcaps.OPTIONS * 9), *range(8, 100, 8))
    blocks = read(pcaps.pcap([pcaps.ipv4(), *pieces[1:]], link=101))
    (anomaly,) = anomalies(blocks)
    assert anomaly[:3] == (TIME + 10**9 + 1000, 2, "incomplete datagram")
    assert "12 fragment(s) from 192.0.2.1 to 192.0.2.2 (packets 2, 3, 4, 5, 6, 7, 8, 9 and 4 more)" in anomaly.detail
    assert total(blocks, "set_aside") == {"fragment": 12}


def test_a_datagram_is_given_up_after_a_minute(read):
    first, second = pcaps.fragments(pcaps.udp(), 24)
    assert len(rows(read(pcaps.pcap([first, second], link=101, times=[(100, 0), (160, 0)])))) == 1
    blocks = read(pcaps.pcap([first, second], link=101, times=[(100, 0), (161, 0)]))
    assert (rows(blocks), total(blocks, "set_aside"), len(anomalies(blocks))) == ([], {"fragment": 2}, 2)


def test_fragments_that_were_cut_are_missing_bytes(read):
    pieces = pcaps.fragments(pcaps.udp(), 40)
    blocks = read(pcaps.pcap(pieces, link=101, snapped=20 + 8 + 28))
    assert rows(blocks)[0][7:] == (pcaps.OPTIONS[:28], len(pcaps.OPTIONS) - 28)


def fragmented_packets():
    """Fragments of many sources, interleaved, with other packets between them; in tunnels, too."""
    made = []
    for i in range(6):
        ends = {"source": f"192.0.2.{i + 1}", "destination": "198.51.100.7"}
        version = 6 if i % 3 == 2 else 4
        if version == 6:
            ends = {"source": f"2001:db8::{i}", "destination": "2001:db8::ff"}
        body = [pcaps.udp(), pcaps.tcp(), pcaps.udp(LONG)][i % 3]
        protocol = 6 if i % 3 == 1 else 17
        pieces = pcaps.fragments(body, 16, 40, version=version, protocol=protocol, **ends)
        if i > 3:
            pieces = [pcaps.ipv4(pcaps.gre(piece, 0x86DD if version == 6 else 0x0800), protocol=47) for piece in pieces]
        if i == 5:
            pieces = [part for n, piece in enumerate(pieces) for part in pcaps.fragments(
                piece[20:], 24, protocol=47, identification=n)]  # fmt: skip
        made.append(pieces)
    mixed = [piece for row in itertools.zip_longest(*made) for piece in row if piece]
    return [packet for piece in mixed for packet in (piece, pcaps.ipv4(pcaps.udp(b"")))]


@pytest.mark.parametrize("size", [1, 64, 100, 999, 1 << 20])
def test_fragments_of_many_sources_across_blocks(read, size):
    blocks = read(pcaps.pcap(fragmented_packets(), link=101), block_bytes=size)
    payloads = [row[7] for row in rows(blocks)]
    assert sorted(payloads) == sorted([pcaps.OPTIONS] * 2 + [LONG] * 2)
    assert [part[7] for part in segments(blocks)] == [pcaps.OPTIONS] * 2
    assert [anomaly.reason for anomaly in anomalies(blocks)] == []
    assert sum(block.carriers for block in blocks) == 3 + 3 + 3 + 6


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(st.tuples(st.integers(24, 6000), st.binary(min_size=1, max_size=6)), max_size=6), st.integers(1, 3000))
def test_fates_of_fragments_add_up_under_any_change(changes, size):
    data = bytearray(FRAGMENTED)
    for where, change in changes:
        at = 24 + where % (len(data) - 24)
        data[at : at + len(change)] = change
    blocks = Blocks(io.BytesIO(bytes(data)), size, len(data))
    blocks.advance(0)
    while len(blocks.data) < 32 and not blocks.ended:
        blocks.advance(0)
    found = check(list(native.read_blocks(blocks)))
    told = naive.read_pcap(bytes(data[24:]), order="<", header=16, tick=1000, limit=262_144, link=101)[2]
    assert sum(block.captured for block in found) == len(told)
    assert [row[7] for row in rows(found)] == [row["payload"] for _, fate, row, _ in told if fate == layout.SIP]


@pytest.mark.parametrize("kind", ["overlapping", "of one datagram each", "of one byte"])
def test_floods_of_fragments_end_soon(read, kind):
    """65,535 fragments, and a SIP message behind them, in seconds."""
    size = 1 if kind == "of one byte" else 1400
    single = kind in ("overlapping", "of one byte")
    packets = [pcaps.fragment(bytes(size), 8 * (i * 7 % 8000), size > 1, 1 if single else i) for i in range(65_535)]
    data = b"".join([pcaps.pcap([], link=101), *(pcaps.pcap([packet])[24:] for packet in [*packets, pcaps.ipv4()])])
    began = time.process_time()
    blocks = read(data)
    assert time.process_time() - began < 10
    assert [row[0] for row in rows(blocks)] == [65_536]
    assert total(blocks, "set_aside")["fragment"] > 50_000
    assert len(anomalies(blocks)) < 5000


FRAGMENTED = pcaps.pcap(fragmented_packets(), link=101)


# --- captures that this project did not make


def corpus():
    manifest = CORPUS / "MANIFEST.csv"
    if not manifest.exists():
        return []
    with manifest.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def corpus_here():
    if not corpus():
        if os.environ.get("SIPSCOPE_TESTS") == "all":
            pytest.fail("the corpus is missing")
        pytest.skip("the corpus is missing")


def truth_of(path):
    """The lines of the ground truth by the number of their packet: those of UDP, and those of TCP and WebSocket."""
    with Path(f"{path}.sip.tsv").open() as file:
        lines = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return tuple(
        {int(line["frame.number"]): line for line in lines if line["transport"] in kinds and line["in_icmp"] != "1"}
        for kinds in (("udp",), ("tcp", "ws"))
    )


@pytest.mark.usefixtures("corpus_here")
@pytest.mark.parametrize("size", [32 << 20, 3000])
@pytest.mark.parametrize("entry", corpus() or [{"file": "none"}], ids=lambda entry: entry["file"])
def test_corpus(entry, size):
    path = CORPUS / entry["file"]
    blocks = check(list(native.read_packets(path, block_bytes=size)))
    assert sum(block.captured for block in blocks) == int(entry["packets"])
    assert anomalies(blocks) == []
    truth, streams = truth_of(path) if int(entry["sip_messages"]) else ({}, {})
    found = {row[0]: row for row in rows(blocks)}
    assert sorted(found) == sorted(truth)
    for number, line in truth.items():
        _, time, source, source_port, destination, destination_port, *_ = found[number]
        second, fraction = line["frame.time_epoch"].split(".")
        assert time == int(second) * 10**9 + int(fraction.ljust(9, "0"))
        assert (source, destination) == (str(ip_address(line["ip.src"])), str(ip_address(line["ip.dst"])))
        assert (source_port, destination_port) == (int(line["srcport"]), int(line["dstport"]))
    parts = {part[0]: part for part in segments(blocks)}
    assert set(streams) <= set(parts)
    for number, line in streams.items():
        ends = (str(ip_address(line["ip.src"])), int(line["srcport"]), str(ip_address(line["ip.dst"])))
        assert parts[number][1:5] == (*ends, int(line["dstport"]))


@pytest.mark.usefixtures("corpus_here")
def test_the_torture_messages_are_sip_on_any_port(read):
    messages = [path.read_bytes() for path in sorted((CORPUS / "torture").glob("*.dat"))]
    packets = [pcaps.ethernet(pcaps.ipv4(pcaps.udp(message, source=1, destination=2))) for message in messages]
    assert [found[7] for found in rows(read(pcaps.pcap(packets)))] == messages
    assert len(messages) == 13


def test_ipv4_mapped_addresses_are_ipv4():
    assert address((0, 0xFFFF00000000 | int(IPv4Address("192.0.2.1")))) == "192.0.2.1"
