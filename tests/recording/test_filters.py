import itertools
import subprocess

import pytest
from needs import program
from recording.wire import IPV4, IPV6, frame, ipv4, ipv6, sip, tcp, udp, write_pcap

from analyzer.recorders import SIP_PORTS
from analyzer.recorders.filters import default_filter

HEP = b"HEP3" + bytes(20)
INNER = ipv4(udp(sip()))
MINE = {
    "udp": (IPV4, INNER),
    "tcp": (IPV4, ipv4(tcp(sip()), 6)),
    "to another port": (IPV4, ipv4(udp(sip(), 40_000, 5060))),
    "sips": (IPV4, ipv4(tcp(b"", 5061), 6)),
    "udp over ipv6": (IPV6, ipv6(udp(sip()))),
    "tcp over ipv6": (IPV6, ipv6(tcp(sip()), 6)),
    "first fragment": (IPV4, ipv4(udp(sip()), more=True)),
    "next fragment": (IPV4, ipv4(b"of a message", offset=1480, more=True)),
    "last fragment": (IPV4, ipv4(b"of a message", offset=2960)),
    "fragment of ipv6": (IPV6, ipv6(b"\x11\0\x05\xa9" + bytes(4) + b"of a message", 44)),
    "destination options": (IPV6, ipv6(b"\x11\0\x01\x04" + bytes(4) + udp(sip()), 60)),
    "hop by hop": (IPV6, ipv6(b"\x11\0\x01\x04" + bytes(4) + udp(sip()), 0)),
    "authenticated": (IPV4, ipv4(b"\x11\x04" + bytes(22) + udp(sip()), 51)),
    "ip in ip": (IPV4, ipv4(INNER, 4)),
    "6in4": (IPV4, ipv4(ipv6(udp(sip())), 41)),
    "ip over ipv6": (IPV6, ipv6(INNER, 4)),
    "gre": (IPV4, ipv4(b"\0\0\x08\0" + INNER, 47)),
    "gre over ipv6": (IPV6, ipv6(b"\0\0\x08\0" + INNER, 47)),
    "vxlan": (IPV4, ipv4(udp(b"\x08" + bytes(7) + frame(INNER), 4789))),
    "geneve": (IPV4, ipv4(udp(b"\0\0\x65\x58" + bytes(4) + frame(INNER), 6081))),
    "gtp-u": (IPV4, ipv4(udp(b"\x30\xff\0\x10" + bytes(4) + INNER, 2152))),
    "l2tp": (IPV4, ipv4(udp(b"\0\x02\0\1\0\1\xff\x03\0\x21" + INNER, 1701))),
    "mpls": (0x8847, b"\0\0\x11\x40" + INNER),
    "pppoe": (0x8864, b"\x11\0\0\1\0\x50\0\x21" + INNER),
    "hep3": (IPV4, ipv4(udp(HEP, 9060))),
    "hep3 over tcp": (IPV4, ipv4(tcp(HEP, 9060), 6)),
}
OTHERS = {
    "dns": (IPV4, ipv4(udp(bytes(30), 53))),
    "web": (IPV4, ipv4(tcp(b"GET / HTTP/1.1", 80), 6)),
    "web over ipv6": (IPV6, ipv6(tcp(b"GET / HTTP/1.1", 80), 6)),
    "ping": (IPV4, ipv4(b"\x08" + bytes(30), 1)),
    "arp": (0x0806, bytes(28)),
    "neighbours": (IPV6, ipv6(b"\x87" + bytes(23), 58)),
    "multicast": (IPV6, ipv6(b"\x3a\0\x05\x02\0\0\x01\0\x8f" + bytes(23), 0)),
    "sip in the payload": (IPV4, ipv4(udp(sip(), 40_001))),
}
TAGS = {"plain": (), "tagged": (0x8100,), "two tags": (0x8100, 0x8100), "qinq": (0x88A8, 0x8100)}


def passed(path, text):
    """Return how many frames of a pcap file the compiled filter lets through."""
    command = [program("tcpdump"), "-r", path, "-w", "-", text]
    out = subprocess.run(command, capture_output=True, check=True).stdout
    count, at = 0, 24
    while at < len(out):
        at += 16 + int.from_bytes(out[at + 8 : at + 12], "little")
        count += 1
    return count


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
@pytest.mark.parametrize("name", MINE)
def test_sip_is_found_in_whatever_carries_it(tmp_path, name, tags):
    kind, payload = MINE[name]
    path = write_pcap(tmp_path / "one.pcap", [frame(payload, kind, tags)])
    assert passed(path, default_filter(SIP_PORTS)) == 1


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
def test_what_is_no_sip_is_left_out(tmp_path, tags):
    path = write_pcap(tmp_path / "others.pcap", [frame(payload, kind, tags) for kind, payload in OTHERS.values()])
    assert passed(path, default_filter(SIP_PORTS)) == 0


def test_a_plain_filter_loses_much_of_it(tmp_path):
    frames = [frame(payload, kind, tags) for (kind, payload), tags in itertools.product(MINE.values(), TAGS.values())]
    path = write_pcap(tmp_path / "all.pcap", frames)
    assert passed(path, default_filter(SIP_PORTS)) == len(frames)
    assert passed(path, "port 5060") < len(frames) / 8


@pytest.mark.parametrize("link", ["EN10MB", "RAW", "LINUX_SLL", "LINUX_SLL2", "PPP", "NULL"])
def test_links_without_tags_have_a_filter_that_compiles(link):
    text = default_filter(SIP_PORTS, tagged=link == "EN10MB")
    subprocess.run([program("tcpdump"), "-y", link, "-d", text], check=True, capture_output=True)


@pytest.mark.parametrize(("link", "head"), [(101, b""), (113, b"\0\0\0\1\0\x06" + bytes(8) + b"\x08\0")])
def test_it_finds_sip_on_links_without_tags(tmp_path, link, head):
    frames = [head + payload for kind, payload in MINE.values() if kind == IPV4]
    path = write_pcap(tmp_path / "raw.pcap", frames, link)
    assert passed(path, default_filter(SIP_PORTS, tagged=False)) == len(frames)


def test_tags_that_linux_left_are_found_on_any(tmp_path):
    cooked = b"\0\0\0\1\0\x06" + bytes(8) + b"\x81\0" + b"\0\5\x08\0" + INNER
    path = write_pcap(tmp_path / "any.pcap", [cooked], 113)
    assert passed(path, default_filter(SIP_PORTS, tagged=False)) == 1


def test_ports_and_ranges_are_chosen(tmp_path):
    ports = [5059, 5060, 5061, 5070, 5080, 5081, 7000]
    path = write_pcap(tmp_path / "ports.pcap", [frame(ipv4(udp(sip(), port))) for port in ports])
    assert passed(path, default_filter([(5060, 5080), 7000])) == 5
