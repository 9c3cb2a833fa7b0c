"""The slow and obvious twin of every kernel of the native engine."""

# ruff: noqa: C901, N818, PLR0911
import re
import struct

from analyzer.engines import _layout as layout

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


class Settled(Exception):
    """The fate of a packet is known."""

    def __init__(self, fate, view, row=None):
        super().__init__(fate)
        self.fate, self.view, self.row = fate, view, row


class View:
    """What is left of a packet: data[at:stop] was captured, and it ended at end."""

    def __init__(self, data, at, stop, end):
        self.data, self.at, self.stop, self.end = data, at, min(stop, end), end

    def need(self, size):
        if self.stop - self.at < size:
            raise Settled(layout.CUT, self)

    def unpack(self, form, at=0):
        self.need(at + struct.calcsize(form))
        return struct.unpack_from(form, self.data, self.at + at)

    def skip(self, size):
        return View(self.data, self.at + size, self.stop, self.end)

    def bound(self, size):
        return View(self.data, self.at, self.stop, min(self.end, self.at + size))

    @property
    def held(self):
        return self.data[self.at : self.stop]

    @property
    def room(self):
        return self.end - self.at


EXTENSIONS = (0, 43, 44, 51, 60, 135, 139, 140)
CARRIED = (0x0800, 0x86DD, 0x8847, 0x8848, 0x8864, 0x8100, 0x88A8, 0x9100, 0x9200)


def decode(packet, wire, link, decoder=None):
    """Return what became of a packet, its row if that is SIP or a segment, and how many packets share that.

    wire is its length on the wire.
    """
    decoder = decoder or Decoder()
    decoder.guessed, decoder.layers, decoder.packets = False, 0, 1
    try:
        decoder.link(View(packet, 0, len(packet), wire), link)
    except Settled as settled:
        fate, view = settled.fate, settled.view
        bad = (layout.BAD_IP, layout.BAD_UDP, layout.BAD_TCP)
        if decoder.guessed and (fate in bad or (fate == layout.CUT and view.stop == view.end)):
            fate = layout.UDP_TUNNEL
        return fate, settled.row, decoder.packets
    raise AssertionError


class Decoder:
    """What remembers flows and fragments, without bounds, and decodes layer after layer until one is Settled."""

    def __init__(self):
        self.flows = set()
        self.pending = {}
        self.lost = []
        self.number = self.time = 0
        self.given_up = 0

    def settle(self, time, packet, wire, link):
        self.number += 1
        self.time = time
        return time, *decode(packet, wire, link, self)

    def skip(self, time, fate):
        self.number += 1
        return time, fate, None, 1

    def end(self):
        for key in list(self.pending):
            self.give_up(key)

    def link(self, view, link):
        if link in (1, 113, 104):
            self.type(view.skip({1: 12, 113: 14, 104: 2}[link]))
        if link == 276:
            view.need(20)
            self.ethertype(view.skip(20), *view.unpack("!H"))
        if link in (12, 14, 101, 228, 229):
            self.ip(view, {228: 4, 229: 6}.get(link))
        if link == 9:
            self.ppp(view)
        if link == 51:
            self.ethertype(view, 0x8864)
        if link in (0, 108):
            view.need(4)
            families = {int.from_bytes(view.held[:4], order) for order in ("big", "little")}
            for family, version in ((2, 4), (10, 6), (23, 6), (24, 6), (28, 6), (30, 6)):
                if family in families:
                    self.ip(view.skip(4), version)
            raise Settled(layout.NOT_IP, view)
        raise Settled(layout.LINK_TYPE, view)

    def type(self, view):
        self.ethertype(view.skip(2), *view.unpack("!H"))

    def ethertype(self, view, ethertype):
        tags = 0
        while ethertype in (0x8100, 0x88A8, 0x9100, 0x9200):
            if tags == 8:
                raise Settled(layout.TOO_DEEP, view)
            _, ethertype = view.unpack("!HH")
            view = view.skip(4)
            tags += 1
        if ethertype in (0x0800, 0x86DD):
            self.ip(view, 4 if ethertype == 0x0800 else 6)
        if ethertype in (0x8847, 0x8848):
            self.mpls(view)
        if ethertype == 0x88E7:
            self.type(view.skip(16))
        if ethertype == 0x8864:
            version, code, _, size = view.unpack("!BBHH")
            if (version, code) != (0x11, 0):
                raise Settled(layout.PPPOE, view)
            self.ppp(view.bound(6 + size).skip(6))
        if ethertype == 0x894F:
            raise Settled(layout.OTHER_TUNNEL, view)
        if ethertype <= 1500:
            view = view.bound(ethertype)
            if view.held[:3] == b"\x06\x06\x03":
                self.ip(view.skip(3), None)
            if view.held[:6] == b"\xaa\xaa\x03\0\0\0" and len(view.held) >= 8:
                self.ethertype(view.skip(8), *view.unpack("!H", 6))
        raise Settled(layout.NOT_IP, view)

    def ppp(self, view):
        if view.held[:2] == b"\xff\x03":
            view = view.skip(2)
        (protocol,) = view.unpack("!H")
        size = 2
        if protocol & 0x100:
            protocol, size = protocol >> 8, 1
        view = view.skip(size)
        if protocol in (0x21, 0x57):
            self.ip(view, 4 if protocol == 0x21 else 6)
        if protocol == 0x281:
            self.mpls(view)
        raise Settled(layout.NOT_IP, view)

    def mpls(self, view):
        for _ in range(16):
            (label,) = view.unpack("!I")
            view = view.skip(4)
            if label & 0x100:
                break
        else:
            raise Settled(layout.TOO_DEEP, view)
        view.need(20)
        head = view.held
        self.guessed = True
        if head[0] >> 4 == 4 and head[0] & 15 >= 5 and int.from_bytes(head[2:4]) <= view.room:
            self.ip(view, 4)
        if head[0] >> 4 == 6 and int.from_bytes(head[4:6]) + 40 <= view.room:
            self.ip(view, 6)
        if head[0] >> 4 == 0 and int.from_bytes(head[12:14]) not in CARRIED:
            if int.from_bytes(head[16:18]) not in CARRIED:
                raise Settled(layout.MPLS, view)
            view = view.skip(4)
        self.type(view.skip(12))

    def layer(self, view):
        self.layers += 1
        if self.layers > 16:
            raise Settled(layout.TOO_DEEP, view)

    def ip(self, view, version):
        self.layer(view)
        view.need(20)
        found = view.held[0] >> 4
        if found not in (4, 6) or version not in (None, found):
            raise Settled(layout.BAD_IP, view)
        if found == 4:
            self.ipv4(view)
        _, size, protocol, ttl, source, destination = view.unpack("!IHBB16s16s")
        end = view.at + 40 + size if size else max(view.end, view.at + 40)
        self.chain(View(view.data, view.at + 40, view.stop, end), protocol, (6, source, destination, ttl))

    def ipv4(self, view):
        first, _, total, identity, fragment, ttl, protocol, _, *ends = view.unpack("!BBHHHBBH4s4s")
        header = (first & 15) * 4
        total = total or view.room
        if header < 20 or total < header:
            raise Settled(layout.BAD_IP, view)
        view.need(header)
        ip = (4, *(bytes(10) + b"\xff\xff" + end for end in ends), ttl)
        inner = View(view.data, view.at + header, view.stop, view.at + total)
        if fragment & 0x3FFF:
            self.fragment(inner, ip, (protocol, identity), protocol, (fragment & 0x1FFF) * 8, fragment & 0x2000)
        self.chain(inner, protocol, ip)

    def chain(self, view, protocol, ip):
        headers = 0
        while protocol in (EXTENSIONS if ip[0] == 6 else (51,)):
            if view.room < 8:
                raise Settled(layout.BAD_IP, view)
            following, size, fragment, identity = view.unpack("!BBHI")
            if headers == 16:
                raise Settled(layout.TOO_DEEP, view)
            if protocol == 44 and fragment & 0xFFF9:
                self.fragment(view.skip(8), ip, identity, following, fragment & 0xFFF8, fragment & 1)
            view = view.skip({44: 8, 51: 4 * (size + 2)}.get(protocol, 8 * (size + 1)))
            protocol = following
            headers += 1
        if protocol == 17:
            self.udp(view, ip)
        if protocol == 6:
            self.tcp(view, ip)
        if protocol in (4, 41):
            self.ip(view, 4 if protocol == 4 else 6)
        if protocol == 47:
            self.gre(view)
        if protocol == 137:
            self.mpls(view)
        if protocol in (97, 143):
            self.type(view.skip(14 if protocol == 97 else 12))
        fates = {1: layout.ICMP, 58: layout.ICMP, 132: layout.SCTP, 115: layout.OTHER_TUNNEL}
        raise Settled(fates.get(protocol, layout.OTHER_PROTOCOL), view)

    def gre(self, view):
        flags, kind = view.unpack("!HH")
        if flags & 7 == 1 and kind == 0x880B and len(view.held) >= 8:
            (size,) = view.unpack("!H", 4)
            if not size:
                raise Settled(layout.GRE, view)
            self.ppp(view.skip(8 + 4 * bool(flags & 0x1000) + 4 * bool(flags & 0x80)).bound(size))
        if flags & 0x4007:
            raise Settled(layout.GRE, view)
        view = view.skip(4 + sum(4 for bit in (0x8000, 0x2000, 0x1000) if flags & bit))
        if kind == 0x88BE:
            self.type(view.skip(20 if flags & 0x1000 else 12))
        if kind == 0x6558:
            self.type(view.skip(12))
        if kind == 0x880B:
            self.ppp(view)
        if kind == 0x22EB:
            (last,) = view.unpack("!H", 10)
            view = view.skip(20 if last & 1 else 12)
            if last >> 10 & 31 == 0:
                self.type(view.skip(12))
            if last >> 10 & 31 == 2:
                self.ip(view, None)
        elif kind in CARRIED:
            self.ethertype(view, kind)
        raise Settled(layout.GRE, view)

    def udp(self, view, ip):
        if view.room < 8:
            raise Settled(layout.BAD_IP, view)
        source, destination, size, _ = view.unpack("!HHHH")
        size = size or view.room
        if size < 8:
            raise Settled(layout.BAD_UDP, view)
        view = view.bound(size).skip(8)
        if not view.held and view.room:
            raise Settled(layout.CUT, view)
        if may_be_sip(view.held, 5060 in (source, destination)):
            raise Settled(layout.SIP, view, _row(ip, (source, destination), view))
        if len(view.held) >= 8:
            self.payload(view, source, destination)
        raise Settled(layout.NO_SIP, view)

    def payload(self, view, source, destination):
        head = view.held[:8]
        if head[:4] == b"HEP3":
            self.homer(view)
        elif destination in (4789, 8472):
            if head[:4] == b"\x08\0\0\0" and head[7] == 0:
                self.guessed = True
                self.type(view.skip(20))
        elif destination == 6081:
            if head[0] < 64 and not head[1] & 63 and not head[7]:
                kind = int.from_bytes(head[2:4])
                view = view.skip(8 + 4 * head[0])
                if kind != 0x6558 and kind not in CARRIED:
                    raise Settled(layout.UDP_TUNNEL, view)
                self.guessed = True
                if kind == 0x6558:
                    self.type(view.skip(12))
                self.ethertype(view, kind)
        elif 2152 in (source, destination):
            self.gtp(view)
        elif 1701 in (source, destination):
            self.l2tp(view)
        elif destination == 6635:
            self.guessed = True
            self.mpls(view)

    def gtp(self, view):
        flags, kind, size = view.unpack("!BBH")
        if flags >> 4 != 3:
            return
        if kind != 255:
            raise Settled(layout.UDP_TUNNEL, view)
        view = view.bound(8 + size).skip(8)
        if flags & 7:
            view = view.skip(4)
            for header in range(17):
                if not view.held:
                    raise Settled(layout.UDP_TUNNEL, view)
                if not flags & 4 or view.data[view.at - 1] == 0:
                    break
                if header == 16 or view.held[0] == 0:
                    raise Settled(layout.UDP_TUNNEL, view)
                view = view.skip(4 * view.held[0])
        self.guessed = True
        self.ip(view, None)

    def l2tp(self, view):
        flags, size = view.unpack("!HH")
        if flags & 0x34FF != 2:
            return
        if flags & 0x8000:
            raise Settled(layout.UDP_TUNNEL, view)
        if flags & 0x4000:
            view = view.bound(size).skip(2)
        view = view.skip(10 if flags & 0x0800 else 6)
        if flags & 0x0200:
            if len(view.held) < 2:
                raise Settled(layout.UDP_TUNNEL, view)
            view = view.skip(2 + int.from_bytes(view.held[:2]))
        self.guessed = True
        self.ppp(view)

    def tcp(self, view, ip):
        if view.room < 20:
            raise Settled(layout.BAD_IP, view)
        source, destination, sequence, _, offset, flags = view.unpack("!HHIIBB6x")
        header = (offset >> 4) * 4
        if header < 20 or header > view.room:
            raise Settled(layout.BAD_TCP, view)
        payload = view.skip(header)
        flow = frozenset([(ip[1], source), (ip[2], destination)])
        followed = flow in self.flows or any(port in (5060, 5061, 5080) for port in (source, destination))
        if not followed and opens_flow(payload.held, source):
            self.flows.add(flow)
            followed = True
        if len(view.held) < header if followed else not payload.held and payload.room:
            raise Settled(layout.CUT, view)
        if not followed:
            raise Settled(layout.TCP, view)
        row = _row(ip, (source, destination), payload) | {"sequence": sequence, "flags": flags & 31}
        raise Settled(layout.SEGMENT, view, row)

    def homer(self, view):
        view = view.bound(int.from_bytes(view.held[4:6]))
        chunks = {2: b"\x11", 7: b"\0\0", 8: b"\0\0"}
        body = None
        inner = view.skip(6)
        while len(inner.held) >= 6:
            vendor, kind, size = inner.unpack("!HHH")
            if size < 6 or size > inner.room:
                raise Settled(layout.HEP, inner)
            chunk = inner.bound(size).skip(6)
            if vendor == 0 and kind == 15:
                body = chunk
            elif vendor == 0 and kind in (2, 3, 4, 5, 6, 7, 8) and not chunk.room - len(chunk.held):
                sizes = {2: 1, 3: 4, 4: 4, 5: 16, 6: 16, 7: 2, 8: 2}
                if chunk.room == sizes[kind]:
                    chunks[{5: 3, 6: 4}.get(kind, kind)] = chunk.held
            inner = inner.skip(size)
        if body is None or 3 not in chunks or 4 not in chunks:
            raise Settled(layout.CUT if view.stop < view.end else layout.HEP, View(b"", 0, 0, 1))
        if chunks[2] == b"\x84":
            raise Settled(layout.SCTP, view)
        if not body.held and body.room:
            raise Settled(layout.CUT, View(b"", 0, 0, 1))
        ports = [int.from_bytes(chunks[kind]) for kind in (7, 8)]
        if not may_be_sip(body.held, 5060 in ports):
            raise Settled(layout.HEP, view)
        ends = [end if len(end) == 16 else bytes(10) + b"\xff\xff" + end for end in (chunks[3], chunks[4])]
        row = _row((0, *ends, 0), ports, body) | {"transport": int(chunks[2] == b"\x06")}
        raise Settled(layout.SIP, view, row)

    def fragment(self, view, ip, identity, protocol, offset, more):
        self.layer(view)
        finish = offset + view.room
        if finish <= offset or finish > 65_535 or (more and finish % 8):
            raise Settled(layout.BAD_FRAGMENT, view)
        if self.time >= 0:
            for key, datagram in list(self.pending.items()):
                if not 0 <= datagram.time < self.time - 60 * 10**9:
                    break
                self.give_up(key)
        key = (ip[:3], identity)
        datagram = self.pending.setdefault(key, Datagram(self.number, self.time, ip[0]))
        datagram.numbers.append(self.number)
        datagram.packets += self.packets
        if offset == 0:
            datagram.protocol = protocol
        datagram.take_in(view.held, offset, finish, more)
        if not datagram.complete:
            raise Settled(layout.PENDING, view)
        if datagram.clashed:
            self.lost.append(datagram)
        del self.pending[key]
        self.packets = datagram.packets
        whole = bytes(datagram.bytes[at] for at in range(min(datagram.total, datagram.held)))
        self.chain(View(whole, 0, len(whole), datagram.total), datagram.protocol, ip)

    def give_up(self, key):
        datagram = self.pending.pop(key)
        self.lost.append(datagram)
        self.given_up += datagram.packets


class Datagram:
    """The fragments of a datagram, byte by byte."""

    def __init__(self, number, time, version):
        self.number, self.time, self.version = number, time, version
        self.numbers, self.packets = [], 0
        self.units, self.bytes, self.held = set(), {}, 1 << 16
        self.total, self.reach, self.protocol = None, 0, 59
        self.clashed = self.spoilt = False

    def take_in(self, data, offset, finish, more):
        if self.spoilt:
            return
        late = self.total is not None and (finish > self.total or (not more and finish != self.total))
        if late or (not more and self.reach > finish):
            self.spoilt = True
            return
        self.reach = max(self.reach, finish)
        self.total = self.total if more else finish
        units = set(range(offset // 8, (finish + 7) // 8))
        old, new = units & self.units, units - self.units
        clash = False
        for at, byte in enumerate(data, offset):
            if at // 8 in new:
                self.bytes[at] = byte
            elif at < self.held:
                clash |= self.bytes[at] != byte
        self.units |= new
        if offset + len(data) < finish:
            self.held = min(self.held, offset + len(data))
        self.clashed |= clash
        self.spoilt = self.version == 6 and bool(clash or (old and new))

    @property
    def complete(self):
        return not self.spoilt and self.total is not None and len(self.units) == (self.total + 7) // 8


def opens_flow(payload, source):
    if may_be_sip(payload, False):
        return not (source in (80, 8080) and payload[:4].lower() == b"sip/")
    if payload[:12].lower() == b"http/1.1 101":
        return True
    if len(payload) < 12 or payload[:4].lower() != b"get ":
        return False
    names = re.findall(rb"\nsec-websocket-protocol:([^\n]*)", payload[:8192], re.IGNORECASE)
    return any(b"sip" in name.lower() for name in names)


def _row(ip, ports, view):
    _, source, destination, ttl = ip
    return {
        "source": source, "destination": destination, "ttl": ttl, "source_port": ports[0],
        "destination_port": ports[1], "payload": view.held, "missing": view.end - view.stop, "transport": 0,
    }  # fmt: skip


def read_pcap(records, *, order, header, tick, limit, link, decoder=None):
    """Return why the records of a pcap file end, where, and [(time, fate, row, packets)]."""
    decoder = decoder or Decoder()
    packets = []
    at = 0
    while len(records) >= at + header:
        second, fraction, captured, wire = struct.unpack_from(order + "IIII", records, at)
        if captured > limit:
            return layout.DAMAGED, at, packets
        packet = records[at + header : at + header + captured]
        if len(packet) < captured:
            break
        packets.append(decoder.settle(second * 10**9 + fraction * tick, packet, max(wire, captured), link))
        at += header + captured
    return layout.MORE, at, packets


def read_pcapng(data, *, limit, decoder=None):
    """Return why the blocks of a pcapng file end, where, and [(time, fate, row, packets)]."""
    decoder = decoder or Decoder()
    packets = []
    links = []
    order = "<"
    at = 0
    while len(data) >= at + 12:
        (kind,) = struct.unpack_from(order + "I", data, at)
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}.get(data[at + 8 : at + 12])
            if order is None:
                return layout.DAMAGED, at, packets
            links = []
        (size,) = struct.unpack_from(order + "I", data, at + 4)
        if size < 12 or size > limit or size % 4:
            return layout.DAMAGED, at, packets
        block = data[at : at + size]
        if len(block) < size:
            break
        if struct.unpack(order + "I", block[-4:]) != (size,) or (kind == 0x0A0D0D0A and size < 28):
            return layout.DAMAGED, at, packets
        if kind == 1:
            links.append(_interface(block, order))
        elif kind in (2, 3, 6):
            packets.append(_packet(kind, block[8:-4], order, links, decoder))
        at += size
    return layout.MORE, at, packets


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


def _packet(kind, body, order, links, decoder):
    interface, time = 0, -1
    if kind == 3:
        if len(body) < 4:
            return decoder.skip(-1, layout.BAD_BLOCK)
        (wire,) = struct.unpack_from(order + "I", body)
        captured = min(wire, len(body) - 4)
        if links and links[0][1]:
            captured = min(captured, links[0][1])
        packet = body[4 : 4 + captured]
    else:
        if len(body) < 20:
            return decoder.skip(-1, layout.BAD_BLOCK)
        interface, high, low, captured, wire = struct.unpack_from(order + "IIIII", body)
        if kind == 2:
            (interface,) = struct.unpack_from(order + "H", body)
        if interface < len(links):
            time = nanoseconds(high, low, *links[interface][2:])
        packet = body[20 : 20 + captured]
        if len(packet) < captured:
            return decoder.skip(time, layout.BAD_BLOCK)
    if interface >= len(links):
        return decoder.skip(time, layout.NO_INTERFACE)
    return decoder.settle(time, packet, max(wire, captured), links[interface][0])
