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
SEGMENT = 1  # of a TCP stream that may carry SIP
TCP = 2
FRAGMENT = 3
ICMP = 4
SCTP = 5
NO_SIP = 6
NOT_IP = 7
OTHER_PROTOCOL = 8
GRE = 9
PPPOE = 10
MPLS = 11
HEP = 12
UDP_TUNNEL = 13
OTHER_TUNNEL = 14
LINK_TYPE = 15
CUT = 16  # this and all that follow are unreadable
BAD_IP = 17
BAD_UDP = 18
BAD_TCP = 19
BAD_FRAGMENT = 20
TOO_DEEP = 21
BAD_BLOCK = 22
NO_INTERFACE = 23
FATES = 24
PENDING = 24  # a fragment whose fate is not settled yet

# --- what is to be decoded next; all are above the fates
NEXT = 32
ETHERNET = 32
IP = 33  # of the version that its first bits tell
PPP = 34
LABELS = 35  # MPLS
HOMER = 36  # a HEP3 packet
PIECE = 37  # a fragment: at its payload in IPv4, at its fragment header in IPv6
CHAIN = 256  # plus an IP protocol: what follows an IP header
ETHERTYPE = 1 << 10  # plus an Ethernet type
GUESS = 1 << 20  # added where only a port, or the look of the bytes, tells that this is next

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
SEGMENTS = 5  # segments written
LOST = 6  # datagrams that had a line in lost, or would have had if there had been room
JOINED = 7  # bytes of joined that are in use
ROOM_OF_ROWS = 8  # rows and segments that may be written
TALLY = 9

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
        ("transport", np.uint8),
    ]
)
"""A packet that may carry SIP; addresses are the bits of uint64."""
PART_OF_STREAM = np.dtype([*ROW.descr[:-1], ("flags", np.uint8), ("sequence", np.uint32)])
"""A TCP segment."""
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
SHOWN = 8
DATAGRAM = np.dtype(
    [
        ("time", np.int64),  # of the first fragment that came
        ("number", np.int64),  # of the same
        ("shown", np.int64, (SHOWN,)),  # numbers of the first few
        ("fragments", np.int64),
        ("packets", np.int64),  # as many, unless fragments came in fragments
        ("source", np.int64, (2,)),
        ("destination", np.int64, (2,)),
        ("total", np.int64),  # bytes of the whole, -1 until the last fragment came
        ("reach", np.int64),  # where the furthest fragment ends
        ("held", np.int64),  # where the first byte is that was not captured
        ("units", np.int64),  # of eight bytes, that came
        ("protocol", np.int64),
        ("state", np.int64),  # GROWING, CLASHED or SPOILT
    ]
)
"""A datagram of which fragments came."""
GROWING = 0
CLASHED = 1  # fragments contradicted each other, the first one counted
SPOILT = 2  # fragments contradicted each other, or its size; nobody puts this together


# --- what is remembered from packet to packet, within bounds
PLACES = 32_768  # of a table; a power of two
KEY = 5
CHUNK = 2048
CHUNKS = 32  # that hold 65,536 bytes
POOL = 32_768  # chunks: 64 MiB
WORDS = 128  # of 64 units of eight bytes
TIMEOUT = 60 * 1_000_000_000  # RFC 8200 section 4.5
MAX_LAYERS = 16  # packets in packets, and datagrams put together

# --- the index into the state of a table
FRESH = 0  # places from here on were never used
FREE = 1  # a place that was dropped; the next is beside it in the chain
OLDEST = 2
NEWEST = 3
LIMIT = 4  # how many places may be used
SECRET = 5  # makes hashes that nobody who writes packets can foresee
STATE = 6

TABLE = np.dtype(
    [
        ("state", np.int64, (STATE,)),
        ("keys", np.int64, (PLACES + 1, KEY)),  # the last is the one that is looked for
        ("heads", np.int32, (PLACES,)),  # the first place of each chain, -1 if there is none
        ("links", np.int32, (PLACES, 3)),  # the next place in the chain, the next older and the next newer one
    ]
)
"""A hash table of numbered places, each in a chain (by hash) and in a queue (by age)."""
MEMORY = np.dtype(
    [
        ("flows", TABLE),  # TCP flows in which SIP was seen
        ("datagrams", TABLE),  # those of which fragments came
        ("facts", DATAGRAM, (PLACES,)),
        ("units", np.uint64, (PLACES, WORDS)),  # a bit for each unit of eight bytes that came
        ("chunks", np.int32, (PLACES, CHUNKS)),  # where in the pool the bytes are, -1 where there are none
        ("spare", np.int64, (3,)),  # the first spare chunk, the first unused one, and how many may be used
        ("after", np.int32, (POOL,)),  # the chunk that is spare after this one
        ("pool", np.uint8, (POOL, CHUNK)),
    ]
)
"""One record of it is passed by its address: arrays that are passed one by one make compiling slow."""

# --- what is written of one block
ROWS_AT_ONCE = 65_536
NOTES = 100
HEADER = 40  # bytes before a datagram that was put together
ROOM = MAX_LAYERS * (HEADER + 65_536)
WRITTEN = np.dtype(
    [
        ("tally", np.int64, (TALLY,)),
        ("fates", np.int64, (FATES,)),
        ("rows", ROW, (ROWS_AT_ONCE,)),
        ("segments", PART_OF_STREAM, (ROWS_AT_ONCE,)),
        ("odd", ODD, (NOTES,)),
        ("lost", DATAGRAM, (NOTES,)),  # those that were given up, and those that clashed
    ]
)

Place = tuple[int, int, int, int, int]
"""What is next (a fate if nothing is), its IP header, where it begins, where what was captured of it ends, where it
ended on the wire."""

ZERO, ONE, ALL = np.uint64(0), np.uint64(1), np.uint64(2**64 - 1)
SWITCHED, GET, PROTOCOL, SIP_NAME, VERSION = (
    np.frombuffer(text, np.uint8) for text in (b"http/1.1 101", b"get ", b"sec-websocket-protocol:", b"sip", b"sip/")
)

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


# --- from link to payload: each function returns a Place


@PART
def decode_link(data: np.ndarray, at: int, stop: int, end: int, link: int) -> Place:
    """Decode the packet data[at:stop] of a link type; on the wire it ended at end."""
    if link == 1:
        return decode_ethernet(data, at, stop, end)
    if link == 113:
        return decode_ethertype(data, at + 14, stop, end)
    if link == 276:
        if stop - at < 20:
            return CUT, at, at, stop, end
        return decode_after(data, at + 20, stop, end, big16(data, at))
    if link == 12 or link == 14 or link == 101 or link == 228 or link == 229:
        if stop - at >= 1 and ((link == 228 and data[at] >> 4 != 4) or (link == 229 and data[at] >> 4 != 6)):
            return BAD_IP, at, at, stop, end
        return decode_ip(data, at, stop, end)
    if link == 0 or link == 108:
        return decode_null(data, at, stop, end)
    if link == 9:
        return decode_ppp(data, at, stop, end)
    if link == 51:
        return decode_pppoe(data, at, stop, end)
    if link == 104:  # Cisco HDLC
        return decode_ethertype(data, at + 2, stop, end)
    return LINK_TYPE, at, at, stop, end


@PART
def decode_layer(data: np.ndarray, what: int, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode the layer at at, which is what: one from NEXT on, but no PIECE."""
    if what >= ETHERTYPE:
        return decode_after(data, at, stop, end, what - ETHERTYPE)
    if what >= CHAIN:
        if data[ip] >> 4 == 6:
            return decode_chain(data, ip, at, stop, end, what - CHAIN)
        return decode_protocol(data, ip, at, stop, end, what - CHAIN)
    if what == ETHERNET:
        return decode_ethernet(data, at, stop, end)
    if what == IP:
        return decode_ip(data, at, stop, end)
    if what == PPP:
        return decode_ppp(data, at, stop, end)
    return decode_mpls(data, at, stop, end)


@PART
def decode_null(data: np.ndarray, at: int, stop: int, end: int) -> Place:
    """Decode after a BSD address family of four bytes, in either byte order."""
    if stop - at < 4:
        return CUT, at, at, stop, end
    family = big32(data, at)
    if family > 0xFFFF:
        family = number32(data, at, False)
    if family == 2:
        return decode_ipv4(data, at + 4, stop, end)
    if family == 10 or family == 23 or family == 24 or family == 28 or family == 30:  # Linux, Windows, three BSDs
        return decode_ipv6(data, at + 4, stop, end)
    return NOT_IP, at, at, stop, end


@PART
def decode_ethernet(data: np.ndarray, at: int, stop: int, end: int) -> Place:
    """Decode an Ethernet header."""
    return decode_ethertype(data, at + 12, stop, end)


@PART
def decode_ethertype(data: np.ndarray, at: int, stop: int, end: int) -> Place:
    """Decode what follows the Ethernet type at at."""
    if stop - at < 2:
        return CUT, at, at, stop, end
    return decode_after(data, at + 2, stop, end, big16(data, at))


@PART
def decode_after(data: np.ndarray, at: int, stop: int, end: int, ethertype: int) -> Place:
    """Decode what begins at at and is of ethertype; VLAN tags (802.1Q, 802.1ad) are passed over."""
    tags = 0
    while is_tag(ethertype):
        if tags == MAX_TAGS:
            return TOO_DEEP, at, at, stop, end
        if stop - at < 4:
            return CUT, at, at, stop, end
        ethertype = big16(data, at + 2)
        at += 4
        tags += 1
    if ethertype == 0x0800:
        return decode_ipv4(data, at, stop, end)
    if ethertype == 0x86DD:
        return decode_ipv6(data, at, stop, end)
    if ethertype == 0x8864:
        return decode_pppoe(data, at, stop, end)
    if ethertype == 0x8847 or ethertype == 0x8848:
        return LABELS, at, at, stop, end
    if ethertype == 0x88E7:  # 802.1ah: flags and a service, then a frame
        return ETHERNET, at, at + 4, stop, end
    if ethertype == 0x894F:  # network service header
        return OTHER_TUNNEL, at, at, stop, end
    if ethertype <= 1500:
        return decode_llc(data, at, stop, end, ethertype)
    return NOT_IP, at, at, stop, end


@PART
def is_tag(ethertype: int) -> bool:
    """Say whether a VLAN tag is of that Ethernet type."""
    return ethertype == 0x8100 or ethertype == 0x88A8 or ethertype == 0x9100 or ethertype == 0x9200


@PART
def decode_llc(data: np.ndarray, at: int, stop: int, end: int, size: int) -> Place:
    """Decode a frame of IEEE 802.3 with that many bytes: IP in LLC, or with a SNAP header (RFC 1042)."""
    end = min(end, at + size)
    stop = min(stop, end)
    if stop - at < 3:
        return NOT_IP, at, at, stop, end
    if data[at] == 6 and data[at + 1] == 6 and data[at + 2] == 3:
        return decode_ip(data, at + 3, stop, end)
    if stop - at < 8 or big32(data, at) != 0xAAAA0300 or data[at + 4] != 0 or data[at + 5] != 0:
        return NOT_IP, at, at, stop, end
    return ETHERTYPE + big16(data, at + 6), at, at + 8, stop, end


@PART
def decode_pppoe(data: np.ndarray, at: int, stop: int, end: int) -> Place:
    """Decode the header of a PPPoE session (RFC 2516)."""
    if stop - at < 6:
        return CUT, at, at, stop, end
    if data[at] != 0x11 or data[at + 1] != 0:
        return PPPOE, at, at, stop, end
    end = min(end, at + 6 + big16(data, at + 4))
    return PPP, at, at + 6, min(stop, end), end


@PART
def decode_ppp(data: np.ndarray, at: int, stop: int, end: int) -> Place:
    """Decode a PPP frame (RFC 1661), with or without address and control, the protocol in one byte or two."""
    if stop - at >= 2 and data[at] == 0xFF and data[at + 1] == 3:
        at += 2
    if stop - at < 2:
        return CUT, at, at, stop, end
    size = 1 if data[at] & 1 else 2
    protocol = np.int64(data[at]) if size == 1 else big16(data, at)
    at += size
    if protocol == 0x21:
        return decode_ipv4(data, at, stop, end)
    if protocol == 0x57:
        return decode_ipv6(data, at, stop, end)
    if protocol == 0x281:
        return LABELS, at, at, stop, end
    return NOT_IP, at, at, stop, end


@PART
def decode_mpls(data: np.ndarray, at: int, stop: int, end: int) -> Place:
    """Decode a stack of MPLS labels (RFC 3032) and guess what it carries: IP, or a pseudo-wire with Ethernet."""
    for _ in range(MAX_LAYERS):
        if stop - at < 4:
            return CUT, at, at, stop, end
        bottom = data[at + 2] & 1
        at += 4
        if bottom:
            break
    else:
        return TOO_DEEP, at, at, stop, end
    if stop - at < 20:
        return CUT, at, at, stop, end
    version = data[at] >> 4
    room = end - at
    if version == 4 and data[at] & 15 >= 5 and big16(data, at + 2) <= room:
        return IP | GUESS, at, at, stop, end
    if version == 6 and big16(data, at + 4) <= room - 40:
        return IP | GUESS, at, at, stop, end
    if version == 0 and not is_carried(big16(data, at + 12)):  # a control word (RFC 4448)
        at += 4
        if stop - at < 14 or not is_carried(big16(data, at + 12)):
            return MPLS, at, at, stop, end
    return ETHERNET | GUESS, at, at, stop, end


@PART
def is_carried(ethertype: int) -> bool:
    """Say whether what is of that Ethernet type may hold IP."""
    return (
        ethertype == 0x0800 or ethertype == 0x86DD or ethertype == 0x8847 or ethertype == 0x8848
        or ethertype == 0x8864 or is_tag(ethertype)
    )  # fmt: skip


@PART
def decode_ip(data: np.ndarray, at: int, stop: int, end: int) -> Place:
    """Decode IP of the version that is in its first bits."""
    if stop - at < 1:
        return CUT, at, at, stop, end
    if data[at] >> 4 == 4:
        return decode_ipv4(data, at, stop, end)
    return decode_ipv6(data, at, stop, end)


@PART
def decode_ipv4(data: np.ndarray, ip: int, stop: int, end: int) -> Place:
    """Decode an IPv4 header (RFC 791) and what follows."""
    if stop - ip < 20:
        return CUT, ip, ip, stop, end
    header = np.int64(data[ip] & 15) * 4
    total = big16(data, ip + 2)
    if total == 0:  # left to the network card (segmentation offload)
        total = end - ip
    if data[ip] >> 4 != 4 or header < 20 or total < header:
        return BAD_IP, ip, ip, stop, end
    if stop - ip < header:
        return CUT, ip, ip, stop, end
    end = ip + total
    stop = min(stop, end)
    if big16(data, ip + 6) & 0x3FFF:
        return PIECE, ip, ip + header, stop, end
    return decode_protocol(data, ip, ip + header, stop, end, np.int64(data[ip + 9]))


@PART
def decode_ipv6(data: np.ndarray, ip: int, stop: int, end: int) -> Place:
    """Decode an IPv6 header (RFC 8200) and what follows."""
    if stop - ip < 40:
        return CUT, ip, ip, stop, end
    if data[ip] >> 4 != 6:
        return BAD_IP, ip, ip, stop, end
    size = big16(data, ip + 4)
    end = ip + 40 + size if size else max(end, ip + 40)  # without: a jumbogram (RFC 2675), or segmentation offload
    return decode_chain(data, ip, ip + 40, min(stop, end), end, np.int64(data[ip + 6]))


@PART
def decode_chain(data: np.ndarray, ip: int, at: int, stop: int, end: int, protocol: int) -> Place:
    """Decode the IPv6 extension headers from at on, and what follows."""
    for _ in range(MAX_EXTENSIONS):
        if not is_extension(protocol):
            return decode_protocol(data, ip, at, stop, end, protocol)
        if end - at < 8:
            return BAD_IP, ip, at, stop, end
        if stop - at < 8:
            return CUT, ip, at, stop, end
        if protocol == 44:
            if big16(data, at + 2) & 0xFFF9:  # an atomic fragment (RFC 6946) is a whole
                return PIECE, ip, at, stop, end
            size = np.int64(8)
        elif protocol == 51:
            size = (np.int64(data[at + 1]) + 2) * 4
        else:
            size = (np.int64(data[at + 1]) + 1) * 8
        protocol = np.int64(data[at])
        at += size
    return TOO_DEEP, ip, at, stop, end


@PART
def is_extension(protocol: int) -> bool:
    """Say whether an IPv6 header of that protocol is followed by another header, unencrypted."""
    return (
        protocol == 0 or protocol == 43 or protocol == 44 or protocol == 51 or protocol == 60
        or protocol == 135 or protocol == 139 or protocol == 140
    )  # fmt: skip


@PART
def decode_protocol(data: np.ndarray, ip: int, at: int, stop: int, end: int, protocol: int) -> Place:
    """Decode what begins at at, in the IP packet that begins at ip and ends at end."""
    if protocol == 17:
        return decode_udp(data, ip, at, stop, end)
    if protocol == 6:
        return decode_tcp(data, ip, at, stop, end)
    if protocol == 1 or protocol == 58:
        return ICMP, ip, at, stop, end
    if protocol == 132:
        return SCTP, ip, at, stop, end
    if protocol == 47:
        return decode_gre(data, ip, at, stop, end)
    if protocol == 4:
        return ETHERTYPE + 0x0800, ip, at, stop, end
    if protocol == 41:
        return ETHERTYPE + 0x86DD, ip, at, stop, end
    if protocol == 137:
        return LABELS, ip, at, stop, end
    if protocol == 97:  # EtherIP (RFC 3378)
        return ETHERNET, ip, at + 2, stop, end
    if protocol == 143:
        return ETHERNET, ip, at, stop, end
    if protocol == 51 and stop - at >= 8:  # in IPv4: an authentication header (RFC 4302)
        return CHAIN + np.int64(data[at]), ip, at + (np.int64(data[at + 1]) + 2) * 4, stop, end
    if protocol == 115:  # L2TP version 3
        return OTHER_TUNNEL, ip, at, stop, end
    return OTHER_PROTOCOL, ip, at, stop, end


@PART
def decode_gre(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a GRE header (RFC 2784, RFC 2890), also that of PPTP (RFC 2637) and those of ERSPAN."""
    if stop - at < 4:
        return CUT, ip, at, stop, end
    flags = big16(data, at)
    ethertype = big16(data, at + 2)
    version = flags & 7
    if version == 1 and ethertype == 0x880B and stop - at >= 8:
        size = big16(data, at + 4)
        at += 8 + (4 if flags & 0x1000 else 0) + (4 if flags & 0x80 else 0)
        end = min(end, at + size)
        return (PPP if size else GRE), ip, at, min(stop, end), end
    if version != 0 or flags & 0x4000:  # source routes (RFC 1701) are gone
        return GRE, ip, at, stop, end
    at += 4 + (4 if flags & 0x8000 else 0) + (4 if flags & 0x2000 else 0) + (4 if flags & 0x1000 else 0)
    if ethertype == 0x88BE:  # ERSPAN I, or II with a header
        return ETHERNET, ip, at + (8 if flags & 0x1000 else 0), stop, end
    if ethertype == 0x22EB:
        return decode_erspan(data, ip, at, stop, end)
    if ethertype == 0x6558:
        return ETHERNET, ip, at, stop, end
    if ethertype == 0x880B:
        return PPP, ip, at, stop, end
    return (ETHERTYPE + ethertype if is_carried(ethertype) else GRE), ip, at, stop, end


@PART
def decode_erspan(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a header of ERSPAN III (draft-foschiano-erspan)."""
    if stop - at < 12:
        return CUT, ip, at, stop, end
    kind = data[at + 10] >> 2 & 31
    at += 20 if data[at + 11] & 1 else 12
    if kind == 0:
        return ETHERNET, ip, at, stop, end
    return (IP if kind == 2 else GRE), ip, at, stop, end


@PART
def decode_udp(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a UDP header (RFC 768); a payload that may be SIP is none of a tunnel, whatever the ports."""
    if end - at < 8:
        return BAD_IP, ip, at, stop, end
    if stop - at < 8:
        return CUT, ip, at, stop, end
    size = big16(data, at + 4)
    if size == 0:  # a jumbogram (RFC 2675 section 4), or segmentation offload
        size = end - at
    if size < 8:
        return BAD_UDP, ip, at, stop, end
    end = min(end, at + size)
    stop = min(stop, end)
    source = big16(data, at)
    destination = big16(data, at + 2)
    at += 8
    if stop == at and end > at:
        return CUT, ip, at, stop, end
    if may_be_sip(data, at, stop, source == SIP_PORT or destination == SIP_PORT):
        return SIP, ip, at, stop, end
    return decode_payload(data, ip, at, stop, end, source, destination)


@PART
def decode_payload(
    data: np.ndarray, ip: int, at: int, stop: int, end: int, source: int, destination: int
) -> Place:  # fmt: skip
    """Decode a UDP payload that is no SIP: a tunnel, by its ports or its magic, and by the form of its header."""
    if stop - at < 8:
        return NO_SIP, ip, at, stop, end
    word = big32(data, at)
    if word == 0x48455033:
        return HOMER, ip, at, stop, end
    if destination == 4789 or destination == 8472:
        if word == 0x08000000 and data[at + 7] == 0:  # VXLAN (RFC 7348)
            return ETHERNET | GUESS, ip, at + 8, stop, end
    elif destination == 6081:
        return decode_geneve(data, ip, at, stop, end)
    elif destination == 2152 or source == 2152:
        return decode_gtp(data, ip, at, stop, end)
    elif destination == 1701 or source == 1701:
        return decode_l2tp(data, ip, at, stop, end)
    elif destination == 6635:  # MPLS (RFC 7510)
        return LABELS | GUESS, ip, at, stop, end
    return NO_SIP, ip, at, stop, end


@PART
def decode_geneve(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a Geneve header and its options (RFC 8926); at least eight bytes were captured."""
    ethertype = big16(data, at + 2)
    if data[at] >> 6 or data[at + 1] & 0x3F or data[at + 7]:
        return NO_SIP, ip, at, stop, end
    at += 8 + 4 * np.int64(data[at] & 0x3F)
    if ethertype == 0x6558:
        return ETHERNET | GUESS, ip, at, stop, end
    if is_carried(ethertype):
        return (ETHERTYPE + ethertype) | GUESS, ip, at, stop, end
    return UDP_TUNNEL, ip, at, stop, end


@PART
def decode_gtp(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a GTP-U header and its extensions (3GPP TS 29.281); at least eight bytes were captured."""
    flags = data[at]
    if flags & 0xF0 != 0x30:
        return NO_SIP, ip, at, stop, end
    if data[at + 1] != 255:  # no G-PDU
        return UDP_TUNNEL, ip, at, stop, end
    end = min(end, at + 8 + big16(data, at + 2))
    stop = min(stop, end)
    at += 8
    if not flags & 7:
        return IP | GUESS, ip, at, stop, end
    at += 4
    for _ in range(MAX_EXTENSIONS):
        if stop - at < 1:
            break
        if not flags & 4 or data[at - 1] == 0:
            return IP | GUESS, ip, at, stop, end
        if data[at] == 0:
            break
        at += 4 * np.int64(data[at])
    return UDP_TUNNEL, ip, at, stop, end


@PART
def decode_l2tp(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode the header of an L2TP data message (RFC 2661); at least eight bytes were captured."""
    flags = big16(data, at)
    if flags & 0x34FF != 2:  # reserved bits, and the version
        return NO_SIP, ip, at, stop, end
    if flags & 0x8000:
        return UDP_TUNNEL, ip, at, stop, end
    if flags & 0x4000:
        end = min(end, at + big16(data, at + 2))
        stop = min(stop, end)
        at += 2
    at += 6 + (4 if flags & 0x0800 else 0)
    if flags & 0x0200:
        if stop - at < 2:
            return UDP_TUNNEL, ip, at, stop, end
        at += 2 + big16(data, at)
    return PPP | GUESS, ip, at, stop, end


@PART
def decode_tcp(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a TCP header (RFC 9293 section 3.1); the place is that of the header."""
    if end - at < 20:
        return BAD_IP, ip, at, stop, end
    if stop - at < 20:
        return CUT, ip, at, stop, end
    header = np.int64(data[at + 12] >> 4) * 4
    if header < 20 or header > end - at:
        return BAD_TCP, ip, at, stop, end
    return SEGMENT, ip, at, stop, end


# --- tables that remember: no more places than they have, and no more work per packet than a few steps


@PART
def hash_key(table: np.void, place: int) -> int:
    """Return the chain of the key in that place: a polynomial over 2 ** 31 - 1 at a secret point.

    Whoever writes packets does not know the point, and cannot make the chains long.
    """
    point = table["state"][SECRET]
    total = np.int64(0)
    for part in range(KEY):
        word = table["keys"][place, part]
        for shift in range(0, 64, 22):
            total = total * point + (word >> shift & 0x3FFFFF)
            total = (total & 0x7FFFFFFF) + (total >> 31)
            total = (total & 0x7FFFFFFF) + (total >> 31)
    return total & (PLACES - 1)


@PART
def find_place(table: np.void) -> int:
    """Return the place of the key that is looked for, -1 if it has none."""
    wanted = PLACES
    place = np.int64(table["heads"][hash_key(table, wanted)])
    while place >= 0:
        same = 0
        while same < KEY and table["keys"][place, same] == table["keys"][wanted, same]:
            same += 1
        if same == KEY:
            break
        place = np.int64(table["links"][place, 0])
    return place


@PART
def is_full(table: np.void) -> bool:
    """Say whether no place is free."""
    return table["state"][FREE] < 0 and table["state"][FRESH] >= table["state"][LIMIT]


@PART
def add_place(table: np.void) -> int:
    """Give the key that is looked for a place, and return it; there must be a free one."""
    place = table["state"][FREE]
    if place >= 0:
        table["state"][FREE] = table["links"][place, 0]
    else:
        place = table["state"][FRESH]
        table["state"][FRESH] += 1
    for part in range(KEY):
        table["keys"][place, part] = table["keys"][PLACES, part]
    chain = hash_key(table, place)
    table["links"][place, 0] = table["heads"][chain]
    table["heads"][chain] = place
    queue_place(table, place)
    return place


@PART
def queue_place(table: np.void, place: int) -> None:
    """Make a place the newest."""
    newest = table["state"][NEWEST]
    table["links"][place, 1] = newest
    table["links"][place, 2] = -1
    if newest >= 0:
        table["links"][newest, 2] = place
    else:
        table["state"][OLDEST] = place
    table["state"][NEWEST] = place


@PART
def leave_queue(table: np.void, place: int) -> None:
    """Take a place out of the order of age."""
    older = np.int64(table["links"][place, 1])
    newer = np.int64(table["links"][place, 2])
    if older >= 0:
        table["links"][older, 2] = newer
    else:
        table["state"][OLDEST] = newer
    if newer >= 0:
        table["links"][newer, 1] = older
    else:
        table["state"][NEWEST] = older


@PART
def drop_place(table: np.void, place: int) -> None:
    """Make a place free."""
    chain = hash_key(table, place)
    at = np.int64(table["heads"][chain])
    if at == place:
        table["heads"][chain] = table["links"][place, 0]
    else:
        while table["links"][at, 0] != place:
            at = np.int64(table["links"][at, 0])
        table["links"][at, 0] = table["links"][place, 0]
    leave_queue(table, place)
    table["links"][place, 0] = table["state"][FREE]
    table["state"][FREE] = place


# --- TCP flows


@PART
def address_half(data: np.ndarray, ip: int, which: int, half: int) -> int:
    """Return half of the source (0) or destination (1) of the IP header at ip; IPv4 as ::ffff:a.b.c.d."""
    if data[ip] >> 4 == 4:
        return 0xFFFF00000000 | big32(data, ip + 12 + 4 * which) if half else np.int64(0)
    at = ip + 8 + 16 * which + 8 * half
    return big32(data, at) << 32 | big32(data, at + 4)


@PART
def ask_flow(table: np.void, data: np.ndarray, ip: int, tcp: int) -> None:
    """Make the flow of a TCP header the key that is looked for; both directions are one flow."""
    source = address_half(data, ip, 0, 0), address_half(data, ip, 0, 1), big16(data, tcp)
    destination = address_half(data, ip, 1, 0), address_half(data, ip, 1, 1), big16(data, tcp + 2)
    first = source if source < destination else destination
    second = destination if source < destination else source
    key = PLACES
    table["keys"][key, 0] = first[0]
    table["keys"][key, 1] = first[1]
    table["keys"][key, 2] = second[0]
    table["keys"][key, 3] = second[1]
    table["keys"][key, 4] = first[2] << 16 | second[2]


@PART
def is_sip_port(port: int) -> bool:
    """Say whether SIP over TCP, or TLS, is at home on a port: 5060, 5061, and 5080 where a PBX has a second one."""
    return port == 5060 or port == 5061 or port == 5080


@PART
def starts_with(data: np.ndarray, start: int, stop: int, text: np.ndarray) -> bool:
    """Say whether data[start:stop] begins with text, which is in lower case, in either case."""
    if stop - start < len(text):
        return False
    for i in range(len(text)):
        byte = data[start + i]
        if byte != text[i] and (byte | 32 != text[i] or not 65 <= byte <= 90):
            return False
    return True


@PART
def opens_websocket(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] asks for a WebSocket for SIP (RFC 7118 section 4), or grants one for anything."""
    if starts_with(data, start, stop, SWITCHED):
        return True
    if not starts_with(data, start, stop, GET):
        return False
    stop = min(stop, start + MAX_LINE)
    at = start
    while at < stop:
        while at < stop and data[at] != 10:
            at += 1
        at += 1
        if starts_with(data, at, stop, PROTOCOL):
            at += len(PROTOCOL)
            while at < stop and data[at] != 10:
                if starts_with(data, at, stop, SIP_NAME):
                    return True
                at += 1
    return False


@PART
def opens_sip(data: np.ndarray, start: int, stop: int, source: int) -> bool:
    """Say whether the payload data[start:stop] tells that its flow carries SIP.

    A status line from a port of HTTP does not: there are servers that answer HTTP requests with one.
    """
    if stop <= start:
        return False
    if may_be_sip(data, start, stop, False):
        web = source == 80 or source == 8080
        return not (web and starts_with(data, start, stop, VERSION))
    return opens_websocket(data, start, stop)


@PART
def is_followed(
    table: np.void, data: np.ndarray, ip: int, tcp: int, payload: int, stop: int
) -> bool:  # fmt: skip
    """Say whether a TCP segment belongs to a flow that may carry SIP; remember the flow if its payload says so.

    What came on a flow before its first start line is not remembered: on ports that are not those of SIP, segments
    that overtook it are lost. When there is no more room, the flow that was silent longest is forgotten.
    """
    source = big16(data, tcp)
    destination = big16(data, tcp + 2)
    if is_sip_port(source) or is_sip_port(destination):
        return True
    opens = opens_sip(data, payload, stop, source)
    if not opens and table["state"][NEWEST] < 0:
        return False
    ask_flow(table, data, ip, tcp)
    place = find_place(table)
    if place >= 0:
        leave_queue(table, place)
        queue_place(table, place)
        return True
    if opens:
        if is_full(table):
            drop_place(table, table["state"][OLDEST])
        add_place(table)
    return opens


# --- fragments of IP datagrams


@PART
def ask_datagram(table: np.void, data: np.ndarray, ip: int, at: int) -> None:
    """Make the datagram of a fragment the key that is looked for (RFC 791 section 3.2, RFC 8200 section 4.5)."""
    key = PLACES
    for which in range(2):
        for half in range(2):
            table["keys"][key, 2 * which + half] = address_half(data, ip, which, half)
    if data[ip] >> 4 == 4:
        table["keys"][key, 4] = np.int64(data[ip + 9]) << 32 | big16(data, ip + 4)
    else:
        table["keys"][key, 4] = np.int64(1) << 40 | big32(data, at + 4)


@PART
def release(memory: np.void, place: int) -> None:
    """Forget a datagram."""
    for part in range(CHUNKS):
        chunk = memory["chunks"][place, part]
        if chunk >= 0:
            memory["after"][chunk] = memory["spare"][0]
            memory["spare"][0] = chunk
    drop_place(memory["datagrams"], place)


@PART
def tell_lost(memory: np.void, place: int, written: np.void) -> None:
    """Write what is known of a datagram, as far as there is room."""
    row = written["tally"][LOST]
    written["tally"][LOST] += 1
    if row < len(written["lost"]):
        written["lost"][row] = memory["facts"][place]


@PART
def give_up(memory: np.void, place: int, written: np.void) -> None:
    """Settle the fate of the fragments of a datagram that is not complete."""
    tell_lost(memory, place, written)
    written["fates"][FRAGMENT] += memory["facts"][place]["packets"]
    release(memory, place)


@KERNEL
def give_up_all(memory: np.void, written: np.void) -> None:
    """Settle the fate of all fragments that are pending."""
    while memory["datagrams"]["state"][OLDEST] >= 0:
        give_up(memory, memory["datagrams"]["state"][OLDEST], written)


@PART
def give_up_late(memory: np.void, time: int, written: np.void) -> None:
    """Settle the fate of the fragments of datagrams that began long before time."""
    oldest = memory["datagrams"]["state"][OLDEST]
    while oldest >= 0 and 0 <= memory["facts"][oldest]["time"] < time - TIMEOUT:
        give_up(memory, oldest, written)
        oldest = memory["datagrams"]["state"][OLDEST]


@PART
def begin_datagram(memory: np.void, data: np.ndarray, ip: int, time: int, number: int) -> int:
    """Give the datagram that is looked for a place, and return it."""
    place = add_place(memory["datagrams"])
    facts = memory["facts"]
    facts[place]["time"] = time
    facts[place]["number"] = number
    facts[place]["fragments"] = 0
    facts[place]["packets"] = 0
    facts[place]["total"] = -1
    facts[place]["reach"] = 0
    facts[place]["held"] = 1 << 16
    facts[place]["units"] = 0
    facts[place]["protocol"] = np.int64(data[ip + 9]) if data[ip] >> 4 == 4 else np.int64(59)  # nothing follows
    facts[place]["state"] = GROWING
    for half in range(2):
        facts[place]["source"][half] = address_half(data, ip, 0, half)
        facts[place]["destination"][half] = address_half(data, ip, 1, half)
    for word in range(WORDS):
        memory["units"][place, word] = 0
    for part in range(CHUNKS):
        memory["chunks"][place, part] = -1
    return place


@PART
def find_chunk(memory: np.void, place: int, part: int, written: np.void) -> int:
    """Return the chunk that holds that part of a datagram; if there is none left, give up the oldest datagram."""
    chunk = np.int64(memory["chunks"][place, part])
    if chunk >= 0:
        return chunk
    spare = memory["spare"]
    while spare[0] < 0 and spare[1] >= spare[2]:
        oldest = memory["datagrams"]["state"][OLDEST]
        give_up(memory, oldest if oldest != place else np.int64(memory["datagrams"]["links"][place, 2]), written)
    chunk = spare[0]
    if chunk >= 0:
        spare[0] = memory["after"][chunk]
    else:
        chunk = spare[1]
        spare[1] += 1
    memory["chunks"][place, part] = chunk
    return chunk


@PART
def count_bits(word: int) -> int:
    """Return how many bits of a uint64 are set."""
    count = np.int64(0)
    while word != ZERO:
        word &= word - ONE
        count += 1
    return count


@PART
def bits_of(first: int, last: int) -> int:
    """Return a uint64 with the bits from first up to but without last, both within 0 and 64."""
    bits = ALL if last - first == 64 else (ONE << np.uint64(last - first)) - ONE
    return bits << np.uint64(first)


@PART
def differs(
    memory: np.void, place: int, data: np.ndarray, at: int, offset: int, start: int, stop: int
) -> bool:  # fmt: skip
    """Say whether bytes start to stop of a datagram, which are held, are others than those at at, offset of it."""
    for byte in range(start, stop):
        chunk = memory["chunks"][place, byte // CHUNK]
        if memory["pool"][chunk, byte % CHUNK] != data[at + byte - offset]:
            return True
    return False


@PART
def keep(
    memory: np.void, place: int, data: np.ndarray, at: int, offset: int, start: int, stop: int, written: np.void
) -> None:  # fmt: skip
    """Store bytes start to stop of a datagram, all in one chunk, from a fragment's payload at at, offset of it."""
    if stop <= start:
        return
    chunk = find_chunk(memory, place, start // CHUNK, written)
    base = start % CHUNK
    source = at + start - offset
    for i in range(stop - start):
        memory["pool"][chunk, base + i] = data[source + i]


@PART
def fill(
    memory: np.void, place: int, data: np.ndarray, at: int, offset: int, finish: int, known: int, written: np.void
) -> int:  # fmt: skip
    """Take in bytes offset to finish of a datagram, of which those before known lie at at.

    The fragment that came first counts. Return 1 if some of them had come before, plus 2 if they were others, plus
    4 if some had not.
    """
    found = np.int64(0)
    held = memory["facts"][place]["held"]
    first = offset >> 3
    last = (finish + 7) >> 3
    for word in range(first >> 6, (last + 63) >> 6):
        base = word << 6
        wanted = bits_of(max(first - base, 0), min(last - base, 64))
        old = memory["units"][place, word] & wanted
        new = wanted & ~old
        if new != ZERO:
            found |= 4
            memory["units"][place, word] |= new
            memory["facts"][place]["units"] += count_bits(new)
        start = max(offset, base << 3)
        stop = min(known, (base + 64) << 3)
        if old == ZERO:
            keep(memory, place, data, at, offset, start, stop, written)
            continue
        found |= 1
        for unit in range(start >> 3, (stop + 7) >> 3):
            lower = unit << 3
            upper = min(lower + 8, stop)
            if new >> np.uint64(unit - base) & ONE:
                keep(memory, place, data, at, offset, lower, upper, written)
            elif not found & 2 and differs(memory, place, data, at, offset, lower, min(upper, held)):
                found |= 2
    return found


@PART
def contradicts(facts: np.ndarray, place: int, finish: int, more: int) -> bool:
    """Say whether a fragment that ends at finish, and after which there are more, denies the size that is known."""
    total = facts[place]["total"]
    if total >= 0 and (finish > total or (not more and finish != total)):
        return True
    return not more and facts[place]["reach"] > finish


@PART
def take_in(
    memory: np.void, place: int, data: np.ndarray, at: int, offset: int, finish: int, known: int, more: int,
    written: np.void,
) -> bool:  # fmt: skip
    """Take in a fragment of a datagram that is not spoilt; say whether the datagram is complete.

    IPv4 leaves overlaps to the receiver: the first one counts, as in most of them. In IPv6 an overlap spoils the
    datagram (RFC 5722), but for repeated fragments (RFC 8200 section 4.5).
    """
    facts = memory["facts"]
    if contradicts(facts, place, finish, more):
        facts[place]["state"] = SPOILT
        return False
    facts[place]["reach"] = max(facts[place]["reach"], finish)
    if not more:
        facts[place]["total"] = finish
    found = fill(memory, place, data, at, offset, finish, known, written)
    if known < finish:
        facts[place]["held"] = min(facts[place]["held"], known)
    version6 = memory["datagrams"]["keys"][place, 4] >> 40
    if version6 and (found & 2 or found == 5):
        facts[place]["state"] = SPOILT
        return False
    if found & 2:
        facts[place]["state"] = CLASHED
    total = facts[place]["total"]
    return total >= 0 and facts[place]["units"] == (total + 7) >> 3


@PART
def join(
    data: np.ndarray, ip: int, at: int, stop: int, end: int, packets: int, time: int,
    joined: np.ndarray, memory: np.void, written: np.void,
) -> tuple[int, int, int, int, int, int]:  # fmt: skip
    """Take in a fragment that came in so many packets; return PENDING, or the place of the whole datagram in joined.

    Behind the place is in how many packets that came.
    """
    if data[ip] >> 4 == 4:
        word = big16(data, ip + 6)
        offset = (word & 0x1FFF) << 3
        more = word & 0x2000
        payload = at
    else:
        word = big16(data, at + 2)
        offset = word & 0xFFF8
        more = word & 1
        payload = at + 8
    finish = offset + end - payload
    if finish <= offset or finish > 65_535 or (more and finish & 7):
        return BAD_FRAGMENT, ip, at, stop, end, packets
    give_up_late(memory, time, written)
    ask_datagram(memory["datagrams"], data, ip, at)
    place = find_place(memory["datagrams"])
    number = written["tally"][NUMBER]
    if place < 0:
        if is_full(memory["datagrams"]):
            give_up(memory, memory["datagrams"]["state"][OLDEST], written)
        place = begin_datagram(memory, data, ip, time, number)
    facts = memory["facts"]
    if facts[place]["fragments"] < SHOWN:
        facts[place]["shown"][facts[place]["fragments"]] = number
    facts[place]["fragments"] += 1
    facts[place]["packets"] += packets
    if offset == 0 and data[ip] >> 4 == 6:
        facts[place]["protocol"] = np.int64(data[at])
    if facts[place]["state"] == SPOILT:
        return PENDING, ip, at, stop, end, packets
    known = offset + max(stop - payload, 0)
    if not take_in(memory, place, data, payload, offset, finish, known, more, written):
        return PENDING, ip, at, stop, end, packets
    if facts[place]["state"] == CLASHED:
        tell_lost(memory, place, written)
    return deliver(data, ip, joined, memory, place, written)


@PART
def deliver(
    data: np.ndarray, ip: int, joined: np.ndarray, memory: np.void, place: int, written: np.void
) -> tuple[int, int, int, int, int, int]:  # fmt: skip
    """Put a datagram together in joined, behind the IP header at ip, and forget it; return its place and packets."""
    base = written["tally"][JOINED]
    for i in range(20 if data[ip] >> 4 == 4 else HEADER):
        joined[base + i] = data[ip + i]
    start = base + HEADER
    total = memory["facts"][place]["total"]
    held = min(total, memory["facts"][place]["held"])
    for part in range((held + CHUNK - 1) // CHUNK):
        chunk = memory["chunks"][place, part]
        for i in range(min(held - part * CHUNK, CHUNK)):
            joined[start + part * CHUNK + i] = memory["pool"][chunk, i]
    written["tally"][JOINED] = start + held
    protocol = memory["facts"][place]["protocol"]
    packets = memory["facts"][place]["packets"]
    release(memory, place)
    return CHAIN + protocol, base, start, start + held, start + total, packets


# --- from packet to fate


@PART
def write_addresses(data: np.ndarray, ip: int, rows: np.ndarray, row: int) -> None:
    """Write the addresses and the time to live of the IP header at ip."""
    rows[row]["ttl"] = data[ip + (8 if data[ip] >> 4 == 4 else 7)]
    for half in range(2):
        rows[row]["source"][half] = address_half(data, ip, 0, half)
        rows[row]["destination"][half] = address_half(data, ip, 1, half)


@PART
def write_payload(
    rows: np.ndarray, row: int, number: int, time: int, start: int, stop: int, end: int, shift: int
) -> None:  # fmt: skip
    """Write when a payload came, and where it lies; shift is where its buffer begins for those who read the row."""
    rows[row]["number"] = number
    rows[row]["time"] = time
    rows[row]["start"] = start + shift
    rows[row]["length"] = stop - start
    rows[row]["missing"] = end - stop


@PART
def write_message(
    data: np.ndarray, ip: int, at: int, stop: int, end: int, shift: int, time: int, written: np.void
) -> int:  # fmt: skip
    """Write a row for the payload data[at:stop] of a UDP packet; return its fate."""
    rows = written["rows"]
    row = written["tally"][ROWS]
    write_addresses(data, ip, rows, row)
    write_payload(rows, row, written["tally"][NUMBER], time, at, stop, end, shift)
    rows[row]["source_port"] = big16(data, at - 8)
    rows[row]["destination_port"] = big16(data, at - 6)
    rows[row]["transport"] = 0
    written["tally"][ROWS] += 1
    return SIP


@PART
def write_segment(
    data: np.ndarray, ip: int, tcp: int, stop: int, end: int, shift: int, time: int, memory: np.void, written: np.void
) -> int:  # fmt: skip
    """Write the TCP segment with its header at tcp if its flow may carry SIP; return its fate."""
    payload = tcp + np.int64(data[tcp + 12] >> 4) * 4
    if not is_followed(memory["flows"], data, ip, tcp, payload, stop):
        return CUT if stop <= payload and payload < end else TCP
    if stop < payload:
        return CUT
    segments = written["segments"]
    row = written["tally"][SEGMENTS]
    write_addresses(data, ip, segments, row)
    write_payload(segments, row, written["tally"][NUMBER], time, payload, stop, end, shift)
    segments[row]["source_port"] = big16(data, tcp)
    segments[row]["destination_port"] = big16(data, tcp + 2)
    segments[row]["sequence"] = big32(data, tcp + 4)
    segments[row]["flags"] = data[tcp + 13] & 31
    written["tally"][SEGMENTS] += 1
    return SEGMENT


@PART
def write_homer(
    data: np.ndarray, start: int, stop: int, end: int, shift: int, time: int, written: np.void
) -> int:  # fmt: skip
    """Write a row for what a HEP3 packet (the capture protocol of Homer) carries, if that is SIP; return its fate."""
    end = min(end, start + big16(data, start + 4))
    stop = min(stop, end)
    rows = written["rows"]
    row = written["tally"][ROWS]
    found = np.int64(0)
    protocol = np.int64(17)
    source = destination = payload = payload_stop = payload_end = np.int64(0)
    at = start + 6
    while stop - at >= 6:
        size = big16(data, at + 4)
        if size < 6 or at + size > end:
            return HEP
        kind = big16(data, at + 2) if big16(data, at) == 0 else np.int64(-1)
        if kind == 15:
            payload, payload_stop, payload_end = at + 6, min(at + size, stop), at + size
            found |= 4
        elif kind == 2 and size == 7 and stop - at >= 7:
            protocol = np.int64(data[at + 6])
        elif (kind == 7 or kind == 8) and size == 8 and stop - at >= 8:
            port = big16(data, at + 6)
            source, destination = (port, destination) if kind == 7 else (source, port)
        elif 3 <= kind <= 6 and stop - at >= size and size == (10 if kind <= 4 else 22):
            write_homer_address(data, at + 6, kind, rows, row)
            found |= 2 - (kind & 1)
        at += size
    if found != 7:
        return CUT if stop < end else HEP
    if protocol == 132:
        return SCTP
    if payload_stop == payload and payload_end > payload:
        return CUT
    if not may_be_sip(data, payload, payload_stop, source == SIP_PORT or destination == SIP_PORT):
        return HEP
    write_payload(rows, row, written["tally"][NUMBER], time, payload, payload_stop, payload_end, shift)
    rows[row]["ttl"] = 0  # not told
    rows[row]["source_port"] = source
    rows[row]["destination_port"] = destination
    rows[row]["transport"] = 1 if protocol == 6 else 0
    written["tally"][ROWS] += 1
    return SIP


@PART
def write_homer_address(data: np.ndarray, at: int, kind: int, rows: np.ndarray, row: int) -> None:
    """Write the address at at: an IPv4 source (3) or destination (4), or an IPv6 source (5) or destination (6)."""
    if kind <= 4:
        high, low = np.int64(0), 0xFFFF00000000 | big32(data, at)
    else:
        high, low = big32(data, at) << 32 | big32(data, at + 4), big32(data, at + 8) << 32 | big32(data, at + 12)
    if kind & 1:
        rows[row]["source"][0] = high
        rows[row]["source"][1] = low
    else:
        rows[row]["destination"][0] = high
        rows[row]["destination"][1] = low


@PART
def decode(
    data: np.ndarray, start: int, stop: int, end: int, link: int, time: int, joined: np.ndarray, memory: np.void, written: np.void
) -> tuple[int, int]:  # fmt: skip
    """Decode a packet down to its innermost payload and write that if it may be SIP.

    Return its fate, and how many packets share it: more than one where a datagram was put together.
    """
    what, ip, at, stop, end = decode_link(data, start, stop, end, link)
    packets = np.int64(1)
    shift = np.int64(0)
    guessed = False
    layers = 0
    while what >= NEXT and what != HOMER and layers < MAX_LAYERS:
        layers += 1
        guessed |= what >= GUESS
        what &= GUESS - 1
        if what == PIECE:
            base = len(data) if shift == 0 else shift
            what, ip, at, stop, end, packets = join(data, ip, at, stop, end, packets, time, joined, memory, written)
            if what != PENDING and what != BAD_FRAGMENT:
                data = joined
                shift = base
        else:
            what, ip, at, stop, end = decode_layer(data, what, ip, at, stop, end)
    if what == SIP:
        return write_message(data, ip, at, stop, end, shift, time, written), packets
    if what == SEGMENT:
        return write_segment(data, ip, at, stop, end, shift, time, memory, written), packets
    if what == HOMER:
        return write_homer(data, at, stop, end, shift, time, written), packets
    if what >= NEXT:
        return TOO_DEEP, packets
    if guessed and (what == BAD_IP or what == BAD_UDP or what == BAD_TCP or (what == CUT and stop == end)):
        return UDP_TUNNEL, packets
    return what, packets


@PART
def settle(
    data: np.ndarray, start: int, stop: int, wire_stop: int, time: int, interface: int, links: np.ndarray,
    joined: np.ndarray, memory: np.void, written: np.void,
) -> None:  # fmt: skip
    """Give the packet data[start:stop] its number, and its one fate unless that has to wait."""
    tally = written["tally"]
    tally[NUMBER] += 1
    if time >= 0:
        tally[LAST] = max(tally[LAST], time)
        tally[FIRST] = time if tally[FIRST] < 0 else min(tally[FIRST], time)
    packets = np.int64(1)
    used = tally[JOINED]
    if start < 0:
        fate = BAD_BLOCK
    elif not 0 <= interface < len(links):
        fate = NO_INTERFACE
    else:
        fate, packets = decode(data, start, stop, wire_stop, links[interface]["link"], time, joined, memory, written)
    if fate != SIP and fate != SEGMENT:
        tally[JOINED] = used  # nobody points there
    if fate == PENDING:
        return
    if fate == SEGMENT:
        written["fates"][FRAGMENT] += packets - 1  # the segment itself is one packet
        packets = np.int64(1)
    written["fates"][fate] += packets
    if fate == LINK_TYPE:
        links[interface]["aside"] += 1
    elif fate >= CUT and tally[NOTED] < len(written["odd"]):
        note = tally[NOTED]
        written["odd"][note]["number"] = tally[NUMBER]
        written["odd"][note]["time"] = time
        written["odd"][note]["fate"] = fate
        tally[NOTED] += 1


@PART
def has_room(joined: np.ndarray, written: np.void) -> bool:
    """Say whether whatever the next packet turns out to be can be written."""
    return (
        written["tally"][ROWS] < written["tally"][ROOM_OF_ROWS]
        and written["tally"][SEGMENTS] < written["tally"][ROOM_OF_ROWS]
        and written["tally"][JOINED] <= len(joined) - ROOM
    )


# --- the two file formats


@KERNEL
def walk_pcap(
    data: np.ndarray, start: int, stop: int, header: int, big: bool, tick: int, limit: int, links: np.ndarray,
    joined: np.ndarray, memory: np.void, written: np.void,
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
        if not has_room(joined, written):
            return at, FULL
        time = number32(data, at, big) * 1_000_000_000 + number32(data, at + 4, big) * tick
        packet = at + header
        wire = max(number32(data, at + 12, big), captured)
        at = packet + captured
        settle(data, packet, at, packet + wire, time, 0, links, joined, memory, written)
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
    joined: np.ndarray, memory: np.void, written: np.void,
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
            if not has_room(joined, written):
                return at, FULL
            settle_block(data, at, at + size, kind, big, links, joined, memory, written)
        at += size
    return at, MORE


@PART
def settle_block(
    data: np.ndarray, start: int, stop: int, kind: int, big: bool, links: np.ndarray,
    joined: np.ndarray, memory: np.void, written: np.void,
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
    settle(data, packet, packet + captured, packet + wire, time, interface, links, joined, memory, written)
