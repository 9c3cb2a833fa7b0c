"""Packets with other names in them, layer by layer, in the same length, with checksums as right as they were.

What is not understood is dropped as a packet where nothing of it is, and zeroed where it is the payload of one.
"""

import re
from collections import Counter
from typing import TYPE_CHECKING

from analyzer.anonymizing.assembly import Assembly, Datagram
from analyzer.anonymizing.checksums import adjust, crc32c, total
from analyzer.anonymizing.names import Names
from analyzer.anonymizing.sip import Messages
from analyzer.anonymizing.streams import rewrite_messages, rewrite_stream, speaks_sip

if TYPE_CHECKING:
    from collections.abc import Callable

UDP, TCP, ICMP, ICMPV6, SCTP = 17, 6, 1, 58, 132
SIP_PORTS = (5060, 5061, 5080)
_EXTENSIONS = frozenset({0, 43, 44, 51, 60, 135, 139, 140})
_TAGS = frozenset({0x8100, 0x88A8, 0x9100, 0x9200})
_MOST_LAYERS = 16
LOWEST_MEDIA = 1024
"""The lowest port that media come from or go to (RFC 6335 6)."""
_COOKIE = 0x2112A442
_KEEPS_ALIVE = re.compile(rb"[\r\n\0 ]*")
Ends = tuple[bytes, bytes]


class DroppedError(Exception):
    """A packet of which nothing is understood, and what it is."""


class Packets:
    """Renames packets: first all are collected, then all are rewritten, in the same order."""

    def __init__(self, names: Names, messages: Messages, assembly: Assembly) -> None:
        """Take the names, what rewrites messages, and what puts pieces together."""
        self._names, self._messages, self.assembly = names, messages, assembly
        self.zeroed: Counter[str] = Counter()
        """How many payloads were zeroed, by what they were."""
        self.originals: frozenset[bytes] = frozenset()
        """The addresses of packets that are renamed."""
        self._layers = 0
        self._transports: dict[int, Callable[..., None]] = {
            UDP: self._udp, TCP: self._tcp, ICMP: self._icmp, ICMPV6: self._icmpv6, SCTP: self._sctp,
        }  # fmt: skip

    def rewrite(self, packet: bytearray, link: int) -> None:
        """Rewrite a packet of a link type where it is; raises DroppedError for one that must not go out."""
        self._layers = 0
        try:
            self._link(packet, link)
        except IndexError as error:
            raise DroppedError("cut within its headers") from error

    @property
    def blotted(self) -> Counter[str]:
        """How many bodies were blotted out, by type."""
        return self._messages.bodies.blotted

    # --- links

    def _link(self, packet: bytearray, link: int) -> None:
        end = len(packet)
        match link:
            case 1:
                self._ethernet(packet, 0, end)
            case 113:
                packet[6:14] = self._hardware(packet[6:14], int.from_bytes(packet[4:6], "big"))
                self._ethertype(packet, 16, end, _u16(packet, 14))
            case 276:
                packet[12:20] = self._hardware(packet[12:20], packet[11])
                self._ethertype(packet, 20, end, _u16(packet, 0))
            case 12 | 14 | 101 | 228 | 229:
                self._ip(packet, 0, end)
            case 0 | 108:
                self._ip(packet, 4, end)
            case 9:
                self._ppp(packet, 0, end)
            case 51:
                self._ethertype(packet, 0, end, 0x8864)
            case 104:
                self._ethertype(packet, 4, end, _u16(packet, 2))
            case _:
                raise DroppedError(f"link type {link}" if link >= 0 else "unknown interface")

    def _hardware(self, address: bytearray, size: int) -> bytes:
        """Return the name of an address of a cooked capture, which has eight bytes."""
        if len(address) < 8:
            raise IndexError
        return self._names.mac(bytes(address[:6])) + bytes(len(address) - 6) if size == 6 else bytes(len(address))

    def _ethernet(self, packet: bytearray, at: int, end: int) -> None:
        for place in (at, at + 6):
            packet[place : place + 6] = self._names.mac(bytes(packet[place : place + 6]))
        self._ethertype(packet, at + 14, end, _u16(packet, at + 12))

    def _ethertype(self, packet: bytearray, at: int, end: int, kind: int) -> None:
        while kind in _TAGS:
            kind, at = _u16(packet, at + 2), at + 4
        if kind in {0x0800, 0x86DD}:
            self._ip(packet, at, end)
        elif kind in {0x8847, 0x8848}:
            self._mpls(packet, at, end)
        elif kind == 0x0806:
            self._arp(packet, at, end)
        elif kind == 0x88E7:
            self._ethernet(packet, at + 4, end)
        elif kind == 0x8864 and packet[at] == 0x11 and not packet[at + 1]:
            self._ppp(packet, at + 6, min(end, at + 6 + _u16(packet, at + 4)))
        elif kind <= 1500:
            self._llc(packet, at, end)
        else:
            raise DroppedError(f"Ethernet type 0x{kind:04x}")

    def _llc(self, packet: bytearray, at: int, end: int) -> None:
        if packet[at : at + 3] == b"\x06\x06\x03":
            self._ip(packet, at + 3, end)
        elif packet[at : at + 6] == b"\xaa\xaa\x03\0\0\0":
            self._ethertype(packet, at + 8, end, _u16(packet, at + 6))
        else:
            raise DroppedError("802.3 without IP")

    def _arp(self, packet: bytearray, at: int, end: int) -> None:
        if packet[at : at + 6] != b"\0\x01\x08\0\x06\x04" or end - at < 28:
            raise DroppedError("ARP of another kind")
        for place in (at + 8, at + 18):
            packet[place : place + 6] = self._names.mac(bytes(packet[place : place + 6]))
            self._rename(packet, place + 6, 4)
        _zero(packet, at + 28, end)

    def _ppp(self, packet: bytearray, at: int, end: int) -> None:
        at += 2 if packet[at : at + 2] == b"\xff\x03" else 0
        size = 1 if packet[at] & 1 else 2
        protocol = int.from_bytes(packet[at : at + size], "big")
        if protocol in {0x21, 0x57}:
            self._ip(packet, at + size, end)
        elif protocol == 0x281:
            self._mpls(packet, at + size, end)
        else:
            raise DroppedError("PPP without IP")

    def _mpls(self, packet: bytearray, at: int, end: int) -> None:
        while not packet[at + 2] & 1:
            at += 4
        at += 4
        if packet[at] >> 4 in {4, 6}:
            self._ip(packet, at, end)
            return
        at += 4 if packet[at] >> 4 == 0 and _u16(packet, at + 12) not in {0x0800, 0x86DD, *_TAGS} else 0
        self._ethernet(packet, at, end)

    # --- IP

    def _rename(self, packet: bytearray, at: int, size: int) -> int:
        """Rename the address at at; return what the sum of its words changed by."""
        old = bytes(packet[at : at + size])
        if len(old) < size:
            raise DroppedError("cut within its headers")
        new = self._names.address.packed(old)
        packet[at : at + size] = new
        return total(new) - total(old)

    def _ip(self, packet: bytearray, at: int, end: int, *, quoted: bool = False) -> None:
        self._layers += 1
        if self._layers > _MOST_LAYERS:
            raise DroppedError("too many headers")
        version = packet[at] >> 4
        if version == 4:
            self._ipv4(packet, at, end, quoted=quoted)
        elif version == 6:
            self._ipv6(packet, at, end, quoted=quoted)
        else:
            raise DroppedError("no IP where it should be")

    def _ipv4(self, packet: bytearray, at: int, end: int, *, quoted: bool) -> None:
        header = (packet[at] & 15) * 4
        size = _u16(packet, at + 2) or end - at
        if header < 20 or size < header or end - at < header:
            raise DroppedError("bad IP header")
        stop = min(end, at + size)
        _zero(packet, stop, end)
        old = bytes(packet[at : at + header])
        packet[at + 20 : at + header] = b"\x01" * (header - 20)  # options name addresses, too
        change = self._rename(packet, at + 12, 4) + self._rename(packet, at + 16, 4)
        ends, protocol, flags = (old[12:16], old[16:20]), old[9], _u16(packet, at + 6)
        if flags & 0x3FFF and not quoted:
            key = (*ends, protocol, old[4:6])
            self._piece(packet, at + header, stop, key, (flags & 0x1FFF) * 8, not flags & 0x2000, protocol, change)
        elif flags & 0x1FFF:
            _zero(packet, at + header, stop)
        else:
            self._transport(protocol, packet, at + header, stop, ends, change, quoted=quoted)
        adjust(packet, at + 10, total(packet[at : at + header]) - total(old))

    def _ipv6(self, packet: bytearray, at: int, end: int, *, quoted: bool) -> None:
        if end - at < 40:
            raise DroppedError("cut within its headers")
        size = _u16(packet, at + 4)
        stop = min(end, at + 40 + size) if size else end
        _zero(packet, stop, end)
        ends = bytes(packet[at + 8 : at + 24]), bytes(packet[at + 24 : at + 40])
        change = self._rename(packet, at + 8, 16) + self._rename(packet, at + 24, 16)
        protocol, at = packet[at + 6], at + 40
        while protocol in _EXTENSIONS:
            if protocol == 44:
                offset = _u16(packet, at + 2)
                if offset & 0xFFF9:
                    if quoted:
                        _zero(packet, at + 8, stop)
                        return
                    key = (*ends, packet[at], bytes(packet[at + 4 : at + 8]))
                    self._piece(packet, at + 8, stop, key, offset & 0xFFF8, not offset & 1, packet[at], change)
                    return
                width = 8
            elif protocol == 51:
                width = (packet[at + 1] + 2) * 4
            else:
                width = (packet[at + 1] + 1) * 8
                if protocol != 0:
                    packet[at + 4 : at + min(width, stop - at)] = bytes(max(min(width, stop - at) - 4, 0))
            protocol, at = packet[at], at + width
        self._transport(protocol, packet, min(at, stop), stop, ends, change, quoted=quoted)

    def _piece(  # noqa: PLR0913, PLR0917
        self, packet: bytearray, at: int, stop: int, key: tuple[object, ...], offset: int, last: bool, protocol: int,  # noqa: FBT001
        change: int,
    ) -> None:  # fmt: skip
        """Collect a fragment, or put what stands for it in its place."""
        datagram = self.assembly.datagram(key)
        if self.assembly.collecting:
            if datagram.add(offset, bytes(packet[at:stop]), last=last):
                self._whole(datagram, protocol, (key[0], key[1]), change)  # type: ignore[arg-type]
                datagram.renamed = False
            return
        if datagram.whole is None:
            self.zeroed["fragment of an incomplete datagram"] += 1
            _zero(packet, at + (8 if offset == 0 and protocol == UDP else 0), stop)
            return
        if not datagram.renamed:
            self._whole(datagram, protocol, (key[0], key[1]), change)  # type: ignore[arg-type]
        piece = datagram.whole[offset : offset + stop - at]
        packet[at:stop] = bytes(piece) + bytes(stop - at - len(piece))

    def _whole(self, datagram: Datagram, protocol: int, ends: Ends, change: int) -> None:
        """Rename a datagram that was put together; while collecting, only look into it."""
        before, whole = self.assembly.inside(datagram), bytearray(datagram.whole or b"")
        self._transport(protocol, whole, 0, len(whole), ends, change, quoted=False)
        self.assembly.resume(before)
        if not self.assembly.collecting:
            datagram.whole, datagram.renamed = whole, True

    # --- what IP carries

    def _transport(  # noqa: PLR0913, PLR0917
        self, protocol: int, packet: bytearray, at: int, stop: int, ends: Ends, change: int, *, quoted: bool
    ) -> None:
        if protocol in self._transports:
            self._transports[protocol](packet, at, stop, ends, change, quoted=quoted)
        elif protocol in {4, 41}:
            self._ip(packet, at, stop, quoted=quoted)
        elif protocol == 47:
            self._gre(packet, at, stop)
        elif protocol in {97, 143}:
            self._ethernet(packet, at + (2 if protocol == 97 else 0), stop)
        elif protocol == 51:
            self._transport(packet[at], packet, at + (packet[at + 1] + 2) * 4, stop, ends, change, quoted=quoted)
        elif protocol == 137:
            self._mpls(packet, at, stop)
        elif protocol != 59:
            raise DroppedError("encrypted (ESP)" if protocol == 50 else f"IP protocol {protocol}")

    def _udp(self, packet: bytearray, at: int, stop: int, ends: Ends, change: int, *, quoted: bool) -> None:  # noqa: ARG002, PLR0913
        if stop - at < 8:
            _zero(packet, at + 4, stop)
            return
        size = _u16(packet, at + 4)
        end = min(stop, at + size) if size >= 8 else stop
        _zero(packet, end, stop)
        old = bytes(packet[at:end])
        if not self.assembly.collecting or self._is_tunnel(packet, at, end):
            self._datagram(packet, at + 8, end, (_u16(packet, at), _u16(packet, at + 2)))
        adjust(packet, at + 6, total(packet[at:end]) - total(old) + change, udp=True)

    def _tcp(self, packet: bytearray, at: int, stop: int, ends: Ends, change: int, *, quoted: bool) -> None:  # noqa: PLR0913
        if stop - at < 20 or quoted:
            _zero(packet, at + 8, stop) if stop - at < 20 else _zero(packet, at + 20, stop)
            return
        header = (packet[at + 12] >> 4) * 4
        if header < 20 or header > stop - at:
            raise DroppedError("bad TCP header")
        old = bytes(packet[at:stop])
        sequence, flags = int.from_bytes(old[4:8], "big"), old[13]
        stream = self.assembly.stream((*ends, old[:4]), sequence, flags)
        if self.assembly.collecting:
            self.assembly.add(stream, sequence + bool(flags & 2) & 0xFFFFFFFF, old[header:])
            return
        if stream.runs is None:
            stream.rename(lambda data: rewrite_stream(self._messages, data))
        payload = old[header:]
        if payload:
            named = stream.read(sequence + bool(flags & 2) & 0xFFFFFFFF, len(payload))
            if named is None:
                named = self._cleared(payload, "TCP payload")
            packet[at + header : stop] = named
        adjust(packet, at + 16, total(packet[at:stop]) - total(old) + change)

    def _cleared(self, payload: bytes, kind: str) -> bytes:
        """Return zeros for a payload that is not understood; what only keeps a path open stays."""
        if _KEEPS_ALIVE.fullmatch(payload):
            return payload
        self.zeroed[kind] += 1
        return bytes(len(payload))

    # --- UDP

    @staticmethod
    def _is_tunnel(packet: bytearray, at: int, end: int) -> bool:
        """Say whether packets may be in a datagram."""
        ports = _u16(packet, at), _u16(packet, at + 2)
        return end - at >= 16 and (ports[1] in {4789, 8472, 6081, 6635} or bool({2152, 1701} & set(ports)))

    def _datagram(self, packet: bytearray, at: int, end: int, ports: tuple[int, int]) -> None:
        """Rewrite the payload of UDP."""
        payload = bytes(packet[at:end])
        if self._tunnel(packet, at, end, ports):
            return
        if payload[:4] == b"HEP3":
            self._homer(packet, at, end)
            return
        text = payload.decode("latin-1")
        if speaks_sip(text) or (set(ports) & set(SIP_PORTS) and re.search(r"\bSIP/2\.0\b", text[:4096])):
            named = self._message(text)
        else:
            named = self._other(payload, lowest=min(ports))
        packet[at:end] = named

    def _message(self, text: str) -> bytes:
        """Return a datagram that is a message, or more of them."""
        lead = len(text) - len(text.lstrip("\r\n\0"))
        return (text[:lead] + self._messages.rewrite(text[lead:])).encode("latin-1")

    def _other(self, payload: bytes, *, lowest: int = LOWEST_MEDIA) -> bytes:
        """Return a payload that is no SIP: of media, which no system port carries, its header, of others nothing."""
        if len(payload) >= 20 and payload[0] < 64 and int.from_bytes(payload[4:8], "big") == _COOKIE:
            self.zeroed["STUN"] += 1
            return payload[:8] + self._names.token(payload[8:20]) + bytes(len(payload) - 20)
        if len(payload) >= 8 and payload[0] >> 6 == 2 and lowest >= LOWEST_MEDIA:
            if 200 <= payload[1] <= 207 and 8 <= 4 * _u16(payload, 2) + 4 <= len(payload):
                self.zeroed["RTCP"] += 1
                return _control(payload)
            header = 12 + 4 * (payload[0] & 15)
            kind = payload[1] & 0x7F
            if len(payload) >= header and (kind <= 34 or kind >= 96) and not self._shows(payload[:12]):
                self.zeroed["RTP"] += 1
                return _media(payload)
        return self._cleared(payload, "UDP payload")

    def _shows(self, data: bytes) -> bool:
        """Say whether an address of the capture is in bytes: then they are not what they seem."""
        return any(data[at : at + 4] in self.originals for at in range(len(data) - 3))

    def _tunnel(self, packet: bytearray, at: int, end: int, ports: tuple[int, int]) -> bool:
        """Rewrite the packet in a tunnel; return whether there is one."""
        if end - at < 8:
            return False
        word = int.from_bytes(packet[at : at + 4], "big")
        if ports[1] in {4789, 8472} and word == 0x08000000 and not packet[at + 7]:
            self._ethernet(packet, at + 8, end)
        elif ports[1] == 6081 and packet[at] >> 6 == 0 and not packet[at + 7]:
            start = at + 8 + 4 * (packet[at] & 0x3F)
            _zero(packet, at + 8, min(start, end))
            if word & 0xFFFF == 0x6558:
                self._ethernet(packet, start, end)
            else:
                self._ethertype(packet, start, end, word & 0xFFFF)
        elif 2152 in ports and packet[at] & 0xF0 == 0x30 and packet[at + 1] == 255:
            self._gtp(packet, at, end)
        elif 1701 in ports and packet[at + 1] & 0x0F == 2 and not packet[at] & 0x80:
            self._l2tp(packet, at, end)
        elif ports[1] == 6635:
            self._mpls(packet, at, end)
        else:
            return False
        return True

    def _gtp(self, packet: bytearray, at: int, end: int) -> None:
        flags, stop, at = packet[at], min(end, at + 8 + _u16(packet, at + 2)), at + 8
        if flags & 7:
            at += 4
            while flags & 4 and packet[at - 1] and packet[at]:
                at += 4 * packet[at]
        self._ip(packet, at, stop)

    def _l2tp(self, packet: bytearray, at: int, end: int) -> None:
        flags = packet[at]
        start = at + 6 + (2 if flags & 0x40 else 0) + (4 if flags & 0x08 else 0)
        if flags & 0x02:
            start += 2 + _u16(packet, start)
        self._ppp(packet, start, end)

    def _homer(self, packet: bytearray, at: int, end: int) -> None:
        """Rewrite a HEP3 packet, chunk by chunk."""
        stop, place = min(end, at + _u16(packet, at + 4)), at + 6
        _zero(packet, stop, end)
        while stop - place >= 6:
            vendor, kind, size = (_u16(packet, place + skip) for skip in (0, 2, 4))
            start, done = place + 6, min(stop, place + max(size, 6))
            value = bytes(packet[start:done])
            if vendor or size < 6:
                _zero(packet, start, done)
            elif kind in {3, 4, 5, 6}:
                self._rename(packet, start, 4 if kind < 5 else 16)
            elif kind == 15:
                text = value.decode("latin-1")
                packet[start:done] = self._message(text) if speaks_sip(text) else self._other(value)
            elif kind in {14, 17, 19}:
                text = value.decode("latin-1")
                named = self._messages.header("call-id", text) if kind == 17 else self._names.secret(text)
                packet[start:done] = named.encode("latin-1")
            elif kind > 12:
                _zero(packet, start, done)
            place = done

    # --- GRE, ICMP, SCTP

    def _gre(self, packet: bytearray, at: int, stop: int) -> None:
        flags, kind = _u16(packet, at), _u16(packet, at + 2)
        old, start = bytes(packet[at:stop]), at + 4
        start += sum(4 for bit in (0x8000, 0x2000, 0x1000) if flags & bit)
        if flags & 7 == 1 and kind == 0x880B:
            start = at + 8 + (4 if flags & 0x1000 else 0) + (4 if flags & 0x80 else 0)
            self._ppp(packet, start, stop)
        elif flags & 7 or flags & 0x4000:
            raise DroppedError("GRE of another kind")
        elif kind in {0x88BE, 0x22EB}:
            self._erspan(packet, start, stop, three=kind == 0x22EB, numbered=bool(flags & 0x1000))
        elif kind == 0x6558:
            self._ethernet(packet, start, stop)
        elif kind == 0x880B:
            self._ppp(packet, start, stop)
        else:
            self._ethertype(packet, start, stop, kind)
        if flags & 0x8000:
            adjust(packet, at + 4, total(packet[at:stop]) - total(old))

    def _erspan(self, packet: bytearray, at: int, stop: int, *, three: bool, numbered: bool) -> None:
        if not three:
            self._ethernet(packet, at + (8 if numbered else 0), stop)
            return
        kind = packet[at + 10] >> 2 & 31
        start = at + (20 if packet[at + 11] & 1 else 12)
        if kind == 2:
            self._ip(packet, start, stop)
        else:
            self._ethernet(packet, start, stop)

    def _icmp(self, packet: bytearray, at: int, stop: int, ends: Ends, change: int, *, quoted: bool) -> None:  # noqa: ARG002, PLR0913
        old = bytes(packet[at:stop])
        if old[0] in {3, 4, 5, 11, 12} and stop - at >= 28 and not quoted:
            if old[0] == 5:
                self._rename(packet, at + 4, 4)
            self._quoted(packet, at + 8, stop)
        else:
            _zero(packet, at + 8, stop)
        adjust(packet, at + 2, total(packet[at:stop]) - total(old))

    def _icmpv6(self, packet: bytearray, at: int, stop: int, ends: Ends, change: int, *, quoted: bool) -> None:  # noqa: ARG002, PLR0913
        old = bytes(packet[at:stop])
        if old[0] < 128 and stop - at >= 48 and not quoted:
            self._quoted(packet, at + 8, stop)
        elif old[0] in {135, 136, 137} and stop - at >= 24:
            self._rename(packet, at + 8, 16)
            if old[0] == 137 and stop - at >= 40:
                self._rename(packet, at + 24, 16)
            self._neighbours(packet, at + (40 if old[0] == 137 else 24), stop)
        elif old[0] in {133, 134}:
            self._neighbours(packet, at + (8 if old[0] == 133 else 16), stop)
        elif old[0] not in {130, 131, 132, 143}:
            _zero(packet, at + 8, stop)
        adjust(packet, at + 2, total(packet[at:stop]) - total(old) + change)

    def _neighbours(self, packet: bytearray, at: int, stop: int) -> None:
        """Rewrite the options of neighbour discovery (RFC 4861 4.6)."""
        while stop - at >= 8 and packet[at + 1]:
            end = min(stop, at + 8 * packet[at + 1])
            if packet[at] in {1, 2}:
                packet[at + 2 : at + 8] = self._names.mac(bytes(packet[at + 2 : at + 8]))
            elif packet[at] == 3 and end - at >= 32:
                self._rename(packet, at + 16, 16)
            elif packet[at] != 5:
                _zero(packet, at + 2, end)
            at = end
        _zero(packet, at, stop)

    def _quoted(self, packet: bytearray, at: int, stop: int) -> None:
        """Rewrite the packet that an error quotes, as far as it goes."""
        try:
            self._ip(packet, at, stop, quoted=True)
        except (DroppedError, IndexError):
            self.zeroed["packet in an ICMP error"] += 1
            _zero(packet, at, stop)

    def _sctp(self, packet: bytearray, at: int, stop: int, ends: Ends, change: int, *, quoted: bool) -> None:  # noqa: ARG002, PLR0913
        """Rewrite SCTP (RFC 9260): SIP in DATA, and addresses; cookies are zeroed."""
        old = bytes(packet[at:stop])
        if len(old) < 12 or quoted:
            _zero(packet, at + 8, stop)
            return
        right = crc32c(old[:8] + bytes(4) + old[12:]).to_bytes(4, "little") == old[8:12]
        place = at + 12
        while stop - place >= 4:
            size = max(_u16(packet, place + 2), 4)
            self._chunk(packet, place, min(stop, place + size))
            place += size + -size % 4
        if right:
            packet[at + 8 : at + 12] = bytes(4)
            packet[at + 8 : at + 12] = crc32c(bytes(packet[at:stop])).to_bytes(4, "little")

    def _chunk(self, packet: bytearray, at: int, end: int) -> None:
        kind = packet[at]
        if kind == 0 and end - at > 16:
            text = bytes(packet[at + 16 : end]).decode("latin-1")
            if speaks_sip(text):
                packet[at + 16 : end] = rewrite_messages(self._messages, text).encode("latin-1")
            else:
                packet[at + 16 : end] = self._cleared(bytes(packet[at + 16 : end]), "SCTP payload")
        elif kind in {1, 2}:
            place = at + 20
            while end - place >= 4 and _u16(packet, place + 2) >= 4:
                sort, size = _u16(packet, place), _u16(packet, place + 2)
                if sort in {5, 6} and size == (8 if sort == 5 else 20) and end - place >= size:
                    self._rename(packet, place + 4, size - 4)
                elif sort not in {9, 12, 0x8000, 0x8008, 0xC000}:
                    _zero(packet, place + 4, min(end, place + size))
                place += size + -size % 4
        elif kind in {4, 5}:
            _zero(packet, at + 8, end)
        elif kind == 10:
            _zero(packet, at + 4, end)


def _control(payload: bytes) -> bytes:
    """Return RTCP of which only reports are left; others become a BYE, or an APP if they are long, of nobody."""
    named, at = bytearray(len(payload)), 0
    while len(payload) - at >= 4:
        kind, words = payload[at + 1], payload[at + 2 : at + 4]
        if payload[at] >> 6 != 2 or not 200 <= kind <= 207:  # encrypted, or not what it seems
            kind, words = 0, ((len(payload) - at) // 4 - 1).to_bytes(2, "big")
        size = 4 + 4 * int.from_bytes(words, "big")
        told = {200: 28, 201: 8}.get(kind, 0) + 24 * (payload[at] & 31)
        if kind in {200, 201} and told <= size:
            named[at : at + told] = (bytes([payload[at] & 0xDF]) + payload[at + 1 : at + told])[: len(named) - at]
        else:
            named[at : at + 4] = _nobodys(words)
        at += size
    return bytes(named)


def _nobodys(words: bytes) -> bytes:
    """Return the header of RTCP without content: BYE of sources 0, or APP without a name (RFC 3550 6.6, 6.7)."""
    count = int.from_bytes(words, "big")
    return (bytes([0x80 | count, 203]) if count < 32 else bytes([0x80, 204])) + words


def _media(payload: bytes) -> bytes:
    """Return RTP of which only the header is left; neither padding nor extension follows it any more."""
    first = payload[0] & 0xC0
    return bytes([first]) + payload[1:12] + bytes(len(payload) - 12)


def _u16(packet: bytes | bytearray, at: int) -> int:
    if at + 2 > len(packet):
        raise IndexError
    return packet[at] << 8 | packet[at + 1]


def _zero(packet: bytearray, at: int, end: int) -> None:
    if end > at:
        packet[at:end] = bytes(end - at)
