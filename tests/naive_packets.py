"""The slow and obvious twin of every kernel of the native engine."""

# ruff: noqa: PLR0911
import re
import struct

from analyzer.engines import _kernels as kernels

TOKEN = rb"[A-Za-z0-9\-.!%*_+`'~]"
METHODS = set(
    b"INVITE ACK BYE CANCEL REGISTER OPTIONS PRACK SUBSCRIBE NOTIFY PUBLISH INFO REFER MESSAGE UPDATE".split()
)
LATEST = 9_000_000_000_000_000_000


def nanoseconds(high, low, resolution, offset):
    ticks = (high << 32) + low
    exponent = resolution & 0x7F
    ns = ticks * 10**9 // (2**exponent if resolution & 0x80 else 10**exponent)
    return max(0, min(min(ns, LATEST) + offset, LATEST))


def may_be_sip(payload, sip_port):
    text = payload[re.match(rb"[ \t\r\n]{0,64}", payload).end() :]
    if len(text) < 4:
        return False
    if re.match(TOKEN + rb"{3}/", text):
        if re.match(rb"SIP/[0-9]\.[0-9][ \t][0-9]{3}", text, re.IGNORECASE):
            return True
        return sip_port and text[:4].upper() == b"SIP/"
    method = re.match(TOKEN + rb"{1,128}(?=[ \t])", text)
    if not method:
        return False
    line = re.split(rb"[\r\n]", text[method.end() :][:8192])[0].strip(b" \t")
    if re.search(rb"(^|[ \t])SIP/[0-9]\.[0-9]\Z", line, re.IGNORECASE):
        return True
    if method[0].upper() not in METHODS or not line:
        return False
    if len(line) >= 5 and re.match(rb"(sips?|tel):", line, re.IGNORECASE):
        return True
    return sip_port and not re.search(rb"P/[0-9]", line[-8:], re.IGNORECASE)


def decode(packet, wire, link):
    """Return what became of a packet, and its row if that is SIP; wire is its length on the wire."""
    size = {1: 14, 113: 16, 276: 20, 0: 4, 108: 4, 12: 1, 14: 1, 101: 1, 228: 1, 229: 1}.get(link)
    if size is None:
        return kernels.LINK_TYPE, None
    if len(packet) < size:
        return kernels.CUT, None
    if link in (1, 113):
        return _ethertype(packet, size, wire, int.from_bytes(packet[size - 2 : size]))
    if link == 276:
        return _ethertype(packet, size, wire, int.from_bytes(packet[:2]))
    if size == 4:
        families = {int.from_bytes(packet[:4], order) for order in ("big", "little")}
        if families & {2}:
            return _ipv4(packet, 4, wire)
        if families & {10, 23, 24, 28, 30}:
            return _ipv6(packet, 4, wire)
        return kernels.NOT_IP, None
    version = packet[0] >> 4
    if {228: 4, 229: 6}.get(link, version) != version:
        return kernels.BAD_IP, None
    return _ipv4(packet, 0, wire) if version == 4 else _ipv6(packet, 0, wire)


def _ethertype(packet, at, wire, ethertype):
    tags = 0
    while ethertype in (0x8100, 0x88A8, 0x9100, 0x9200):
        if tags == 8:
            return kernels.TOO_DEEP, None
        if len(packet) < at + 4:
            return kernels.CUT, None
        ethertype = int.from_bytes(packet[at + 2 : at + 4])
        at += 4
        tags += 1
    if ethertype == 0x0800:
        return _ipv4(packet, at, wire)
    if ethertype == 0x86DD:
        return _ipv6(packet, at, wire)
    tunnels = {
        0x8864: kernels.PPPOE, 0x8847: kernels.MPLS, 0x8848: kernels.MPLS,
        0x88E7: kernels.OTHER_TUNNEL, 0x894F: kernels.OTHER_TUNNEL,
    }  # fmt: skip
    return tunnels.get(ethertype, kernels.NOT_IP), None


def _ipv4(packet, at, wire):
    if len(packet) < at + 20:
        return kernels.CUT, None
    version, _, total, _, fragment, ttl, protocol, _, *addresses = struct.unpack_from("!BBHHHBBH4s4s", packet, at)
    header = (version & 15) * 4
    total = total or wire - at
    if version >> 4 != 4 or header < 20 or total < header:
        return kernels.BAD_IP, None
    if fragment & 0x3FFF:
        return kernels.FRAGMENT, None
    if len(packet) < at + header:
        return kernels.CUT, None
    source, destination = (bytes(10) + b"\xff\xff" + address for address in addresses)
    return _protocol(packet, at + header, at + total, protocol, (source, destination, ttl))


def _ipv6(packet, at, wire):
    if len(packet) < at + 40:
        return kernels.CUT, None
    word, length, protocol, ttl, source, destination = struct.unpack_from("!IHBB16s16s", packet, at)
    if word >> 28 != 6:
        return kernels.BAD_IP, None
    at += 40
    end = at + length if length else max(wire, at)
    headers = 0
    while protocol in (0, 43, 44, 51, 60, 135, 139, 140):
        headers += 1
        if headers > 16:
            return kernels.TOO_DEEP, None
        if at + 8 > end:
            return kernels.BAD_IP, None
        if at + 8 > len(packet):
            return kernels.CUT, None
        following, size, fragment = struct.unpack_from("!BBH", packet, at)
        if protocol == 44 and fragment & 0xFFF9:
            return kernels.FRAGMENT, None
        at += {44: 8, 51: 4 * (size + 2)}.get(protocol, 8 * (size + 1))
        protocol = following
    if headers == 16:
        return kernels.TOO_DEEP, None
    return _protocol(packet, at, end, protocol, (source, destination, ttl))


def _protocol(packet, at, end, protocol, address):
    if protocol != 17:
        fates = {
            6: kernels.TCP, 1: kernels.ICMP, 58: kernels.ICMP, 132: kernels.SCTP, 47: kernels.GRE, 4: kernels.IP_IN_IP,
            41: kernels.IP_IN_IP, 137: kernels.MPLS, 97: kernels.OTHER_TUNNEL, 115: kernels.OTHER_TUNNEL,
            143: kernels.OTHER_TUNNEL,
        }  # fmt: skip
        return fates.get(protocol, kernels.OTHER_PROTOCOL), None
    if at + 8 > end:
        return kernels.BAD_IP, None
    if at + 8 > len(packet):
        return kernels.CUT, None
    source_port, destination_port, length, _ = struct.unpack_from("!HHHH", packet, at)
    length = length or end - at
    if length < 8:
        return kernels.BAD_UDP, None
    end = min(end, at + length)
    payload = packet[at + 8 : end]
    if not payload and end > at + 8:
        return kernels.CUT, None
    if not may_be_sip(payload, 5060 in (source_port, destination_port)):
        return kernels.NO_SIP, None
    source, destination, ttl = address
    row = {
        "source": source, "destination": destination, "ttl": ttl, "source_port": source_port,
        "destination_port": destination_port, "payload": payload, "missing": end - at - 8 - len(payload),
    }  # fmt: skip
    return kernels.SIP, row


def read_pcap(records, *, order, header, tick, limit, link):
    """Return why the records of a pcap file end, where, and [(time, fate, row)]."""
    packets = []
    at = 0
    while len(records) >= at + header:
        second, fraction, captured, wire = struct.unpack_from(order + "IIII", records, at)
        if captured > limit:
            return kernels.DAMAGED, at, packets
        packet = records[at + header : at + header + captured]
        if len(packet) < captured:
            break
        packets.append((second * 10**9 + fraction * tick, *decode(packet, max(wire, captured), link)))
        at += header + captured
    return kernels.MORE, at, packets


def read_pcapng(data, *, limit):
    """Return why the blocks of a pcapng file end, where, and [(time, fate, row)]."""
    packets = []
    links = []
    order = "<"
    at = 0
    while len(data) >= at + 12:
        (kind,) = struct.unpack_from(order + "I", data, at)
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}.get(data[at + 8 : at + 12])
            if order is None:
                return kernels.DAMAGED, at, packets
            links = []
        (size,) = struct.unpack_from(order + "I", data, at + 4)
        if size < 12 or size > limit or size % 4:
            return kernels.DAMAGED, at, packets
        block = data[at : at + size]
        if len(block) < size:
            break
        if struct.unpack(order + "I", block[-4:]) != (size,) or (kind == 0x0A0D0D0A and size < 28):
            return kernels.DAMAGED, at, packets
        if kind == 1:
            links.append(_interface(block, order))
        elif kind in (2, 3, 6):
            packets.append(_packet(kind, block[8:-4], order, links))
        at += size
    return kernels.MORE, at, packets


def _interface(block, order):
    if len(block) < 20:
        return 0xFFFF, 0, 6, 0
    link, snap = struct.unpack_from(order + "HxxI", block, 8)
    resolution, offset = 6, 0
    rest = block[16:-4]
    while len(rest) >= 4:
        code, size = struct.unpack_from(order + "HH", rest)
        if code == 0 or size > len(rest) - 4:
            break
        value = rest[4 : 4 + size]
        if code == 9 and value:
            resolution = value[0]
        if code == 14 and size >= 8:
            (offset,) = struct.unpack_from(order + "q", value)
        rest = rest[4 + size + (-size % 4) :]
    return link, snap, resolution, max(-LATEST, min(offset * 10**9, LATEST))


def _packet(kind, body, order, links):
    interface, time = 0, -1
    if kind == 3:
        if len(body) < 4:
            return -1, kernels.BAD_BLOCK, None
        (wire,) = struct.unpack_from(order + "I", body)
        captured = min(wire, len(body) - 4)
        if links and links[0][1]:
            captured = min(captured, links[0][1])
        packet = body[4 : 4 + captured]
    else:
        if len(body) < 20:
            return -1, kernels.BAD_BLOCK, None
        interface, high, low, captured, wire = struct.unpack_from(order + "IIIII", body)
        if kind == 2:
            (interface,) = struct.unpack_from(order + "H", body)
        if interface < len(links):
            time = nanoseconds(high, low, *links[interface][2:])
        packet = body[20 : 20 + captured]
        if len(packet) < captured:
            return time, kernels.BAD_BLOCK, None
    if interface >= len(links):
        return time, kernels.NO_INTERFACE, None
    return (time, *decode(packet, max(wire, captured), links[interface][0]))
