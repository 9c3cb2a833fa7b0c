"""Builds packets and captures, byte by byte, for tests."""

import struct
from ipaddress import ip_address
from itertools import pairwise

OPTIONS = b"OPTIONS sip:100@192.0.2.2 SIP/2.0\r\nCall-ID: 1\r\n\r\n"
ETHERNET, RAW, NULL, LOOP, SLL, SLL2 = 1, 101, 0, 108, 113, 276


def udp(payload=OPTIONS, *, source=5060, destination=5060, length=None):
    return struct.pack("!HHHH", source, destination, 8 + len(payload) if length is None else length, 0) + payload


def ipv4(
    payload=None,
    *,
    source="192.0.2.1",
    destination="192.0.2.2",
    protocol=17,
    ttl=64,
    fragment=0,
    options=b"",
    total=None,
):
    payload = udp() if payload is None else payload
    header = 20 + len(options)
    total = header + len(payload) if total is None else total
    fields = (0x40 | header // 4, 0, total, 1, fragment, ttl, protocol, 0)
    addresses = ip_address(source).packed + ip_address(destination).packed
    return struct.pack("!BBHHHBBH", *fields) + addresses + options + payload


def ipv6(payload=None, *, source="2001:db8::1", destination="2001:db8::2", protocol=17, ttl=64, length=None):
    payload = udp() if payload is None else payload
    length = len(payload) if length is None else length
    addresses = ip_address(source).packed + ip_address(destination).packed
    return struct.pack("!IHBB", 6 << 28, length, protocol, ttl) + addresses + payload


def extension(payload, *, protocol=17, size=0):
    """An IPv6 extension header of 8 + 8 * size bytes before the payload."""
    return bytes([protocol, size]) + bytes(6 + 8 * size) + payload


def ethernet(payload=None, ethertype=0x0800):
    return b"\x02" * 12 + struct.pack("!H", ethertype) + (ipv4() if payload is None else payload)


def vlan(payload=None, *, outer=0x8100, tags=1, ethertype=0x0800, inner=0x8100):
    payload = ipv4() if payload is None else payload
    for tag in range(tags):
        payload = struct.pack("!HH", 5, ethertype if tag == 0 else inner) + payload
    return ethernet(payload, outer)


def sll(payload=None, ethertype=0x0800):
    return struct.pack("!HHH8sH", 0, 1, 6, b"\x02" * 8, ethertype) + (ipv4() if payload is None else payload)


def sll2(payload=None, ethertype=0x0800):
    header = struct.pack("!HHIHBB8s", ethertype, 0, 1, 1, 0, 6, b"\x02" * 8)
    return header + (ipv4() if payload is None else payload)


def family(payload=None, number=2, order="<"):
    return struct.pack(order + "I", number) + (ipv4() if payload is None else payload)


def tcp(payload=OPTIONS, *, source=5060, destination=5060, sequence=1, flags=0x18, options=b"", offset=None):
    offset = 5 + len(options) // 4 if offset is None else offset
    return struct.pack("!HHIIBBHHH", source, destination, sequence, 1, offset << 4, flags, 9, 0, 0) + options + payload


def gre(payload=None, kind=0x0800, *, flags=0, extra=b""):
    """A GRE header; extra are checksum, key and sequence number, as the flags say."""
    return struct.pack("!HH", flags, kind) + extra + (ipv4() if payload is None else payload)


def ppp(payload=None, protocol=b"\x00\x21"):
    return protocol + (ipv4() if payload is None else payload)


def pppoe(payload=None, *, code=0, size=None):
    payload = ppp() if payload is None else payload
    return struct.pack("!BBHH", 0x11, code, 7, len(payload) if size is None else size) + payload


def mpls(payload=None, labels=1):
    stack = b"".join(struct.pack("!I", 16 << 12 | (i == labels - 1) << 8 | 64) for i in range(labels))
    return stack + (ipv4() if payload is None else payload)


def vxlan(payload=None):
    return struct.pack("!II", 0x08000000, 7 << 8) + (ethernet() if payload is None else payload)


def geneve(payload=None, kind=0x6558, options=b""):
    return (
        struct.pack("!BBHI", len(options) // 4, 0, kind, 7 << 8)
        + options
        + (ethernet() if payload is None else payload)
    )


def gtp(payload=None, *, flags=0x30, optional=b"", kind=255):
    payload = optional + (ipv4() if payload is None else payload)
    return struct.pack("!BBHI", flags, kind, len(payload), 1) + payload


def l2tp(payload=None, *, flags=2, optional=b""):
    """optional is what follows the session: sequence numbers and offset; with a length if the flags say so."""
    payload = struct.pack("!HH", 1, 2) + optional + (ppp() if payload is None else payload)
    size = struct.pack("!H", 4 + len(payload)) if flags & 0x4000 else b""
    return struct.pack("!H", flags) + size + payload


def hep(payload=OPTIONS, *, source="192.0.2.1", destination="192.0.2.2", ports=(5060, 5060), protocol=17, chunks=None):
    """A HEP3 packet."""
    ends = [ip_address(source).packed, ip_address(destination).packed]
    six = len(ends[0]) == 16
    if chunks is None:
        chunks = [
            (1, bytes([10 if six else 2])), (2, bytes([protocol])), (5 if six else 3, ends[0]),
            (6 if six else 4, ends[1]), (7, struct.pack("!H", ports[0])), (8, struct.pack("!H", ports[1])),
            (9, bytes(4)), (10, bytes(4)), (11, b"\x01"), (12, bytes(4)), (15, payload),
        ]  # fmt: skip
    body = b"".join(struct.pack("!HHH", 0, kind, 6 + len(value)) + value for kind, value in chunks)
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


def fragments(payload, *cuts, identification=1, version=4, protocol=17, source=None, destination=None):
    """The fragments of an IP payload that is cut there (multiples of 8), as IP packets."""
    ends = {"source": source, "destination": destination}
    ends = {name: end for name, end in ends.items() if end}
    edges = [0, *cuts, len(payload)]
    made = []
    for start, stop in pairwise(edges):
        more = stop < len(payload)
        made.append(fragment(payload[start:stop], start, more, identification, version, protocol, **ends))
    return made


def fragment(payload, offset, more, identification=1, version=4, protocol=17, **ends):
    if version == 4:
        packet = bytearray(ipv4(payload, protocol=protocol, fragment=more << 13 | offset >> 3, **ends))
        packet[4:6] = struct.pack("!H", identification)
        return bytes(packet)
    head = struct.pack("!BBHI", protocol, 0, offset | more, identification)
    return ipv6(head + payload, protocol=44, **ends)


def pcap(packets, *, order="<", link=ETHERNET, magic=0xA1B2C3D4, snap=262144, wire=0, times=None, snapped=None):
    """A pcap file; packet i is of second 1_700_000_000 + i and fraction 5 + i, unless times gives pairs."""
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)
    for i, packet in enumerate(packets):
        second, fraction = times[i] if times else (1_700_000_000 + i, 5 + i)
        held = packet[:snapped]
        data += struct.pack(order + "IIII", second, fraction, len(held), wire or len(packet))
        data += bytes(8) if magic == 0xA1B2CD34 else b""
        data += held
    return data


def option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind, body, order="<", size=None):
    body += bytes(-len(body) % 4)
    size = 12 + len(body) if size is None else size
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def shb(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def idb(order="<", *, link=ETHERNET, snap=0, resolution=None, offset=None):
    options = b"" if resolution is None else option(9, bytes([resolution]), order)
    options += b"" if offset is None else option(14, struct.pack(order + "q", offset), order)
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)


def epb(packet=None, order="<", *, interface=0, ticks=1_700_000_000_000_005, wire=None, captured=None):
    packet = ethernet() if packet is None else packet
    captured = len(packet) if captured is None else captured
    wire = len(packet) if wire is None else wire
    return block(
        6, struct.pack(order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, captured, wire) + packet, order
    )


def obsolete(packet=None, order="<", *, interface=0, ticks=1_700_000_000_000_005):
    packet = ethernet() if packet is None else packet
    fields = (interface, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(2, struct.pack(order + "HHIIII", *fields) + packet, order)


def spb(packet=None, order="<", *, wire=None):
    packet = ethernet() if packet is None else packet
    return block(3, struct.pack(order + "I", len(packet) if wire is None else wire) + packet, order)


def isb(order="<", *, interface=0, ifdrop=None, osdrop=None):
    options = b"" if ifdrop is None else option(5, struct.pack(order + "Q", ifdrop), order)
    options += b"" if osdrop is None else option(7, struct.pack(order + "Q", osdrop), order)
    return block(5, struct.pack(order + "III", interface, 0, 0) + options, order)


def pcapng(*packets, order="<", **interface):
    """A pcapng file of one section and one interface."""
    return shb(order) + idb(order, **interface) + b"".join(epb(packet, order) for packet in packets)
