"""Compiled loops from the bytes of a capture to the packets that may carry SIP.

A kernel takes arrays and numbers, writes into arrays its caller made, and returns numbers. It raises nothing and
reads only between start and stop: compiled code does not check bounds, and the bytes come from attackers. All
numbers from the wire are int64 before anything is computed with them, and are compared before they are used.
"""

# ruff: noqa: FBT001, PLR0917 (kernels are called by position)

from typing import Any

import numba
import numpy as np

KERNEL = numba.njit(cache=True, nogil=True)
"""Compiles what Python calls."""
_INNER: dict[str, Any] = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
PART = numba.njit(cache=True, nogil=True, **_INNER)
"""Compiles what only kernels call.

Without wrappers it compiles twice as fast. Without numba's runtime, arrays that are handed on are not counted as
referenced and released: those two atomic operations per call took nine tenths of the time.
"""

# --- what became of a packet: the index into fates
SIP = 0
TCP = 1
FRAGMENT = 2
ICMP = 3
SCTP = 4
NO_SIP = 5
NOT_IP = 6
OTHER_PROTOCOL = 7
GRE = 8
IP_IN_IP = 9
PPPOE = 10
MPLS = 11
OTHER_TUNNEL = 12
LINK_TYPE = 13
CUT = 14  # this and all that follow are unreadable
BAD_IP = 15
BAD_UDP = 16
TOO_DEEP = 17
BAD_BLOCK = 18
NO_INTERFACE = 19
FATES = 20

# --- why a walk ended: its second result
MORE = 0  # the bytes end within a record
DAMAGED = 1  # a record cannot be as long as it says
FULL = 2  # there is no room for another row
SECTION = 3  # a pcapng block that the caller has to read
INTERFACE = 4
STATISTICS = 5

# --- the index into tally
ROWS = 0  # rows written
NUMBER = 1  # number of the last packet
NOTED = 2  # unreadable packets written into odd
FIRST = 3  # earliest time, -1 if none
LAST = 4  # latest time, -1 if none
TALLY = 5

ROW = np.dtype(
    [
        ("number", np.int64),
        ("time", np.int64),
        ("source", np.int64, (2,)),
        ("destination", np.int64, (2,)),
        ("start", np.int64),
        ("length", np.int64),
        ("missing", np.int64),
        ("source_port", np.uint16),
        ("destination_port", np.uint16),
        ("ttl", np.uint8),
    ]
)
"""A packet that may carry SIP; addresses are the bits of uint64."""
ODD = np.dtype([("number", np.int64), ("time", np.int64), ("fate", np.int64)])
"""An unreadable packet."""
LINK = np.dtype(
    [
        ("link", np.int64),  # link type
        ("snap", np.int64),  # snap length, 0 if there is none
        ("resolution", np.int64),  # if_tsresol
        ("offset", np.int64),  # if_tsoffset in ns
        ("aside", np.int64),  # packets set aside for their link type
    ]
)
"""An interface."""

LATEST = 9_000_000_000 * 1_000_000_000
"""Where times end, in ns: the year 2255, and short of what int64 holds, so that a few years can be added."""
LOW = 0xFFFFFFFF
POWERS = np.array([10**exponent for exponent in range(10)], np.int64)
METHODS = np.zeros((14, 10), np.uint8)
"""The methods of RFC 3261 and its extensions, in capitals, each with a zero behind it."""
for _row, _method in zip(
    METHODS,
    (
        b"INVITE", b"ACK", b"BYE", b"CANCEL", b"REGISTER", b"OPTIONS", b"PRACK", b"SUBSCRIBE", b"NOTIFY", b"PUBLISH",
        b"INFO", b"REFER", b"MESSAGE", b"UPDATE",
    ),
    strict=True,
):  # fmt: skip
    _row[: len(_method)] = np.frombuffer(_method, np.uint8)

TOKEN = np.zeros(256, np.bool_)
"""Which bytes a method consists of: token of RFC 3261 section 25.1."""
TOKEN[np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-.!%*_+`'~", np.uint8)] = True

MAX_TAGS = 8  # VLAN tags in a row
MAX_EXTENSIONS = 16  # IPv6 extension headers in a row
MAX_LEADING = 64  # white space before a start line
MAX_METHOD = 128  # the longest of RFC 4475 has 44
MAX_LINE = 8192  # bytes of a start line that are looked at
SIP_PORT = 5060


# --- numbers


@PART
def big16(data: np.ndarray, at: int) -> int:
    """Return two bytes as a number, the high one first."""
    return np.int64(data[at]) << 8 | np.int64(data[at + 1])


@PART
def big32(data: np.ndarray, at: int) -> int:
    """Return four bytes as a number, the high one first."""
    return big16(data, at) << 16 | big16(data, at + 2)


@PART
def number16(data: np.ndarray, at: int, big: bool) -> int:
    """Return two bytes as a number in the byte order of a capture."""
    if big:
        return big16(data, at)
    return np.int64(data[at]) | np.int64(data[at + 1]) << 8


@PART
def number32(data: np.ndarray, at: int, big: bool) -> int:
    """Return four bytes as a number in the byte order of a capture."""
    if big:
        return big32(data, at)
    return number16(data, at, False) | number16(data, at + 2, False) << 16


@PART
def nanoseconds(high: int, low: int, resolution: int, offset: int) -> int:
    """Return the time of a pcapng timestamp, in ns; exact, and kept within 0 and LATEST.

    high and low are its 32-bit halves, resolution is if_tsresol, offset is in ns.
    """
    exponent = resolution & 0x7F
    shift = 0
    factor = 1_000_000_000
    if resolution & 0x80:
        shift = exponent
    elif exponent <= 9:
        factor = int(POWERS[9 - exponent])
    else:
        factor = 1
        for _ in range(min(exponent - 9, 20)):  # 10 ** 20 exceeds 64 bits
            low = ((high % 10) << 32 | low) // 10
            high //= 10
    lower = low * factor
    upper = high * factor + (lower >> 32)
    lower &= LOW
    if shift >= 32:
        time = upper >> min(shift - 32, 63)
    elif upper >> (31 + shift):  # the result has more than 63 bits
        time = LATEST
    else:
        time = upper << (32 - shift) | lower >> shift
    time = min(time, LATEST)
    return max(time + min(offset, LATEST - time), 0)


# --- is it SIP?


@PART
def is_blank(byte: int) -> bool:
    """Say whether byte is a space or a tab."""
    return byte == 32 or byte == 9


@PART
def is_digit(byte: int) -> bool:
    """Say whether byte is a decimal digit."""
    return 48 <= byte <= 57


@PART
def is_letter(byte: int, capital: int) -> bool:
    """Say whether byte is the letter capital, in either case."""
    return (byte & 0xDF) == capital


@PART
def find_sip_version(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether "SIP/" digit "." digit, in any case, begins at start (RFC 3261 section 7.1)."""
    return (
        stop - start >= 7
        and is_letter(data[start], 83)
        and is_letter(data[start + 1], 73)
        and is_letter(data[start + 2], 80)
        and data[start + 3] == 47
        and is_digit(data[start + 4])
        and data[start + 5] == 46
        and is_digit(data[start + 6])
    )


@PART
def is_known_method(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] is a method of METHODS, in any case."""
    size = stop - start
    if size > 9 or size < 3:
        return False
    for method in METHODS:
        same = 0
        while same < size and (data[start + same] & 0xDF) == method[same]:
            same += 1
        if same == size and method[size] == 0:
            return True
    return False


@PART
def has_sip_scheme(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether sip:, sips: or tel: begins at start, in any case."""
    if stop - start < 5:
        return False
    if is_letter(data[start], 83) and is_letter(data[start + 1], 73) and is_letter(data[start + 2], 80):
        return data[start + 3] == 58 or (is_letter(data[start + 3], 83) and data[start + 4] == 58)
    tel = is_letter(data[start], 84) and is_letter(data[start + 1], 69) and is_letter(data[start + 2], 76)
    return tel and data[start + 3] == 58


@PART
def has_other_version(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether the line data[start:stop] ends in the version of HTTP, RTSP or another "…P/" digit protocol."""
    for at in range(max(start, stop - 8), stop - 2):
        if is_letter(data[at], 80) and data[at + 1] == 47 and is_digit(data[at + 2]):
            return True
    return False


@PART
def may_be_sip(data: np.ndarray, start: int, stop: int, sip_port: bool) -> bool:
    """Say whether data[start:stop] begins with a start line of SIP (RFC 3261 section 7), if need be a broken one.

    White space before it is passed over (section 7.5). On the SIP port a known method, or "SIP/", suffices.
    """
    bound = min(stop, start + MAX_LEADING)
    while start < bound and (is_blank(data[start]) or data[start] == 13 or data[start] == 10):
        start += 1
    if stop - start < 4 or not TOKEN[data[start]]:
        return False
    bound = min(stop, start + MAX_METHOD + 1)
    at = start + 1
    while at < bound and TOKEN[data[at]]:
        at += 1
    if at == start + 3 and at < bound and data[at] == 47:
        return is_status_line(data, start, stop, sip_port)
    if at == bound or not is_blank(data[at]):
        return False
    return is_request_line(data, start, at, stop, sip_port)


@PART
def is_status_line(data: np.ndarray, start: int, stop: int, sip_port: bool) -> bool:
    """Say whether a status line begins at start, where three token characters and a slash are."""
    versioned = find_sip_version(data, start, stop) and stop - start >= 11 and is_blank(data[start + 7])
    if versioned and is_digit(data[start + 8]) and is_digit(data[start + 9]) and is_digit(data[start + 10]):
        return True
    named = is_letter(data[start], 83) and is_letter(data[start + 1], 73) and is_letter(data[start + 2], 80)
    return sip_port and named


@PART
def is_request_line(data: np.ndarray, start: int, method_stop: int, stop: int, sip_port: bool) -> bool:
    """Say whether data[start:stop] begins with a request line, its method being data[start:method_stop]."""
    bound = min(stop, method_stop + MAX_LINE)
    end = method_stop
    while end < bound and data[end] != 13 and data[end] != 10:
        end += 1
    uri = method_stop
    while uri < end and is_blank(data[uri]):
        uri += 1
    while end > uri and is_blank(data[end - 1]):
        end -= 1
    if uri == end:
        return False
    if end - 7 >= uri and is_blank(data[end - 8]) and find_sip_version(data, end - 7, end):
        return True
    if not is_known_method(data, start, method_stop):
        return False
    return has_sip_scheme(data, uri, end) or (sip_port and not has_other_version(data, uri, end))


# --- from link to payload: each function returns a fate, and fills rows[row] if that is SIP


@PART
def decode(data: np.ndarray, start: int, stop: int, wire_stop: int, link: int, rows: np.ndarray, row: int) -> int:
    """Decode the packet data[start:stop] of a link type down to its payload; on the wire it ended at wire_stop."""
    if link == 1:
        if stop - start < 14:
            return CUT
        return decode_ethertype(data, start + 12, stop, wire_stop, rows, row)
    if link == 113:
        if stop - start < 16:
            return CUT
        return decode_ethertype(data, start + 14, stop, wire_stop, rows, row)
    if link == 276:
        if stop - start < 20:
            return CUT
        return decode_after(data, start + 20, stop, wire_stop, big16(data, start), rows, row)
    if link == 12 or link == 14 or link == 101 or link == 228 or link == 229:
        if stop - start < 1:
            return CUT
        version = data[start] >> 4
        if (link == 228 and version != 4) or (link == 229 and version != 6):
            return BAD_IP
        if version == 4:
            return decode_ipv4(data, start, stop, wire_stop, rows, row)
        return decode_ipv6(data, start, stop, wire_stop, rows, row)
    if link == 0 or link == 108:
        return decode_null(data, start, stop, wire_stop, rows, row)
    return LINK_TYPE


@PART
def decode_null(data: np.ndarray, start: int, stop: int, wire_stop: int, rows: np.ndarray, row: int) -> int:
    """Decode after a BSD address family of four bytes, in either byte order."""
    if stop - start < 4:
        return CUT
    family = big32(data, start)
    if family > 0xFFFF:
        family = number32(data, start, False)
    if family == 2:
        return decode_ipv4(data, start + 4, stop, wire_stop, rows, row)
    if family == 10 or family == 23 or family == 24 or family == 28 or family == 30:  # Linux, Windows, three BSDs
        return decode_ipv6(data, start + 4, stop, wire_stop, rows, row)
    return NOT_IP


@PART
def decode_ethertype(data: np.ndarray, at: int, stop: int, wire_stop: int, rows: np.ndarray, row: int) -> int:
    """Decode what follows the Ethernet type at at, which was captured."""
    return decode_after(data, at + 2, stop, wire_stop, big16(data, at), rows, row)


@PART
def decode_after(
    data: np.ndarray, at: int, stop: int, wire_stop: int, ethertype: int, rows: np.ndarray, row: int
) -> int:
    """Decode what begins at at and is of ethertype; VLAN tags (802.1Q, 802.1ad) are passed over."""
    tags = 0
    while ethertype == 0x8100 or ethertype == 0x88A8 or ethertype == 0x9100 or ethertype == 0x9200:
        if tags == MAX_TAGS:
            return TOO_DEEP
        if stop - at < 4:
            return CUT
        ethertype = big16(data, at + 2)
        at += 4
        tags += 1
    if ethertype == 0x0800:
        return decode_ipv4(data, at, stop, wire_stop, rows, row)
    if ethertype == 0x86DD:
        return decode_ipv6(data, at, stop, wire_stop, rows, row)
    if ethertype == 0x8864:
        return PPPOE
    if ethertype == 0x8847 or ethertype == 0x8848:
        return MPLS
    if ethertype == 0x88E7 or ethertype == 0x894F:  # 802.1ah, network service header
        return OTHER_TUNNEL
    return NOT_IP


@PART
def decode_ipv4(data: np.ndarray, at: int, stop: int, wire_stop: int, rows: np.ndarray, row: int) -> int:
    """Decode an IPv4 header at at (RFC 791) and what follows."""
    if stop - at < 20:
        return CUT
    header = np.int64(data[at] & 15) * 4
    total = big16(data, at + 2)
    if total == 0:  # left to the network card (segmentation offload)
        total = wire_stop - at
    if data[at] >> 4 != 4 or header < 20 or total < header:
        return BAD_IP
    if big16(data, at + 6) & 0x3FFF:
        return FRAGMENT
    if stop - at < header:
        return CUT
    return decode_protocol(data, at, at + header, stop, at + total, np.int64(data[at + 9]), rows, row)


@PART
def decode_ipv6(data: np.ndarray, ip: int, stop: int, wire_stop: int, rows: np.ndarray, row: int) -> int:
    """Decode an IPv6 header at ip (RFC 8200), its extension headers and what follows."""
    if stop - ip < 40:
        return CUT
    if data[ip] >> 4 != 6:
        return BAD_IP
    end = ip + 40 + big16(data, ip + 4)
    if end == ip + 40:  # a jumbogram (RFC 2675), or segmentation offload
        end = max(wire_stop, end)
    protocol = np.int64(data[ip + 6])
    at = ip + 40
    for _ in range(MAX_EXTENSIONS):
        if not is_extension(protocol):
            return decode_protocol(data, ip, at, stop, end, protocol, rows, row)
        if end - at < 8:
            return BAD_IP
        if stop - at < 8:
            return CUT
        if protocol == 44:
            if big16(data, at + 2) & 0xFFF9:  # an atomic fragment (RFC 6946) is a whole
                return FRAGMENT
            size = np.int64(8)
        elif protocol == 51:
            size = (np.int64(data[at + 1]) + 2) * 4
        else:
            size = (np.int64(data[at + 1]) + 1) * 8
        protocol = np.int64(data[at])
        at += size
    return TOO_DEEP


@PART
def is_extension(protocol: int) -> bool:
    """Say whether an IPv6 header of that protocol is followed by another header, unencrypted."""
    return (
        protocol == 0 or protocol == 43 or protocol == 44 or protocol == 51 or protocol == 60
        or protocol == 135 or protocol == 139 or protocol == 140
    )  # fmt: skip


@PART
def decode_protocol(
    data: np.ndarray, ip: int, at: int, stop: int, end: int, protocol: int, rows: np.ndarray, row: int
) -> int:
    """Decode what begins at at, in the IP packet that begins at ip and ends at end."""
    if protocol == 17:
        return decode_udp(data, ip, at, stop, end, rows, row)
    if protocol == 6:
        return TCP
    if protocol == 1 or protocol == 58:
        return ICMP
    if protocol == 132:
        return SCTP
    if protocol == 47:
        return GRE
    if protocol == 4 or protocol == 41:
        return IP_IN_IP
    if protocol == 137:
        return MPLS
    if protocol == 97 or protocol == 115 or protocol == 143:  # EtherIP, L2TP, Ethernet
        return OTHER_TUNNEL
    return OTHER_PROTOCOL


@PART
def decode_udp(data: np.ndarray, ip: int, at: int, stop: int, end: int, rows: np.ndarray, row: int) -> int:
    """Decode a UDP header at at (RFC 768); write the row if its payload may be SIP."""
    if end - at < 8:
        return BAD_IP
    if stop - at < 8:
        return CUT
    size = big16(data, at + 4)
    if size == 0:  # a jumbogram (RFC 2675 section 4), or segmentation offload
        size = end - at
    if size < 8:
        return BAD_UDP
    end = min(end, at + size)
    payload = at + 8
    stop = min(stop, end)
    if stop == payload and end > payload:
        return CUT
    source_port = big16(data, at)
    destination_port = big16(data, at + 2)
    if not may_be_sip(data, payload, stop, source_port == SIP_PORT or destination_port == SIP_PORT):
        return NO_SIP
    write_addresses(data, ip, rows, row)
    rows[row]["source_port"] = source_port
    rows[row]["destination_port"] = destination_port
    rows[row]["start"] = payload
    rows[row]["length"] = stop - payload
    rows[row]["missing"] = end - stop
    return SIP


@PART
def write_addresses(data: np.ndarray, ip: int, rows: np.ndarray, row: int) -> None:
    """Write the addresses and the time to live of the IP header at ip; IPv4 as ::ffff:a.b.c.d."""
    if data[ip] >> 4 == 4:
        rows[row]["ttl"] = data[ip + 8]
        rows[row]["source"][0] = 0
        rows[row]["source"][1] = 0xFFFF00000000 | big32(data, ip + 12)
        rows[row]["destination"][0] = 0
        rows[row]["destination"][1] = 0xFFFF00000000 | big32(data, ip + 16)
        return
    rows[row]["ttl"] = data[ip + 7]
    for half in range(2):
        at = ip + 8 + 8 * half
        rows[row]["source"][half] = big32(data, at) << 32 | big32(data, at + 4)
        at += 16
        rows[row]["destination"][half] = big32(data, at) << 32 | big32(data, at + 4)


@PART
def settle(
    data: np.ndarray, start: int, stop: int, wire_stop: int, time: int, interface: int, links: np.ndarray,
    rows: np.ndarray, odd: np.ndarray, tally: np.ndarray, fates: np.ndarray,
) -> None:  # fmt: skip
    """Give the packet data[start:stop] its number and its one fate."""
    tally[NUMBER] += 1
    if time >= 0:
        tally[LAST] = max(tally[LAST], time)
        tally[FIRST] = time if tally[FIRST] < 0 else min(tally[FIRST], time)
    if start < 0:
        fate = BAD_BLOCK
    elif not 0 <= interface < len(links):
        fate = NO_INTERFACE
    else:
        fate = decode(data, start, stop, wire_stop, links[interface]["link"], rows, tally[ROWS])
    fates[fate] += 1
    if fate == SIP:
        rows[tally[ROWS]]["number"] = tally[NUMBER]
        rows[tally[ROWS]]["time"] = time
        tally[ROWS] += 1
    elif fate == LINK_TYPE:
        links[interface]["aside"] += 1
    elif fate >= CUT and tally[NOTED] < len(odd):
        note = tally[NOTED]
        odd[note]["number"] = tally[NUMBER]
        odd[note]["time"] = time
        odd[note]["fate"] = fate
        tally[NOTED] += 1


# --- the two file formats


@KERNEL
def walk_pcap(
    data: np.ndarray, start: int, stop: int, header: int, big: bool, tick: int, limit: int, links: np.ndarray,
    rows: np.ndarray, odd: np.ndarray, tally: np.ndarray, fates: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """Settle all whole records of data[start:stop]; return where the rest begins, and MORE, DAMAGED or FULL.

    A record's header has that many bytes, its fraction of a second is in ticks of that many ns, and it holds at
    most limit bytes of a packet.
    """
    at = start
    while stop - at >= header:
        captured = number32(data, at + 8, big)
        if captured > limit:
            return at, DAMAGED
        if stop - at - header < captured:
            return at, MORE
        if tally[ROWS] >= len(rows):
            return at, FULL
        time = number32(data, at, big) * 1_000_000_000 + number32(data, at + 4, big) * tick
        packet = at + header
        wire = max(number32(data, at + 12, big), captured)
        at = packet + captured
        settle(data, packet, at, packet + wire, time, 0, links, rows, odd, tally, fates)
    return at, MORE


@PART
def measure_block(data: np.ndarray, at: int, stop: int, big: bool, limit: int) -> int:
    """Return the bytes of the pcapng block at at; 0 if it does not end before stop, -1 if it is damaged."""
    if stop - at < 8:
        return 0
    size = number32(data, at + 4, big)
    if size < 12 or size > limit or size & 3:
        return -1
    if stop - at < size:
        return 0
    return size if number32(data, at + size - 4, big) == size else -1


@KERNEL
def walk_pcapng(
    data: np.ndarray, start: int, stop: int, big: bool, limit: int, links: np.ndarray,
    rows: np.ndarray, odd: np.ndarray, tally: np.ndarray, fates: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """Settle the packets of all whole blocks of data[start:stop]; return where the rest begins, and why.

    That is MORE, DAMAGED or FULL, or the kind of a block that is whole and that the caller has to read.
    """
    at = start
    while stop - at >= 12:
        kind = number32(data, at, big)
        if kind == 0x0A0D0D0A:
            order = big32(data, at + 8)
            if order != 0x1A2B3C4D and order != 0x4D3C2B1A:
                return at, DAMAGED
            big = order == 0x1A2B3C4D
        size = measure_block(data, at, stop, big, limit)
        if size <= 0:
            return at, MORE if size == 0 else DAMAGED
        if kind == 0x0A0D0D0A:
            return at, SECTION if size >= 28 else DAMAGED
        if kind == 1:
            return at, INTERFACE
        if kind == 5:
            return at, STATISTICS
        if kind == 2 or kind == 3 or kind == 6:
            if tally[ROWS] >= len(rows):
                return at, FULL
            settle_block(data, at, at + size, kind, big, links, rows, odd, tally, fates)
        at += size
    return at, MORE


@PART
def settle_block(
    data: np.ndarray, start: int, stop: int, kind: int, big: bool, links: np.ndarray,
    rows: np.ndarray, odd: np.ndarray, tally: np.ndarray, fates: np.ndarray,
) -> None:  # fmt: skip
    """Settle the packet of the Enhanced (6), Simple (3) or obsolete (2) Packet Block data[start:stop]."""
    packet = time = -1
    interface = captured = wire = 0
    room = stop - start - (16 if kind == 3 else 32)
    if kind == 3 and room >= 0:
        packet = start + 12
        wire = number32(data, start + 8, big)
        captured = min(wire, room)
        if len(links) and links[0]["snap"]:
            captured = min(captured, links[0]["snap"])
    elif room >= 0:
        interface = number32(data, start + 8, big) if kind == 6 else number16(data, start + 8, big)
        captured = number32(data, start + 20, big)
        wire = max(number32(data, start + 24, big), captured)
        packet = start + 28 if captured <= room else -1
        if interface < len(links):
            time = nanoseconds(
                number32(data, start + 12, big),
                number32(data, start + 16, big),
                links[interface]["resolution"],
                links[interface]["offset"],
            )
    settle(data, packet, packet + captured, packet + wire, time, interface, links, rows, odd, tally, fates)
