"""Compiled loops from the bytes of a capture to the packets that may carry SIP.

A kernel takes arrays and numbers, writes into arrays its caller made, and returns numbers. It raises nothing and
reads only between start and stop: compiled code does not check bounds, and the bytes come from attackers. All
numbers from the wire are int64 before anything is computed with them, and are compared before they are used.
"""

# ruff: noqa: FBT001, PLR0917, SIM109, SIM110 (kernels are called by position, and compile best as flat loops)

from typing import Any

import numba
import numpy as np

from analyzer.compiled import keep_compiled

keep_compiled()

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
IP = 32  # of the version that its first bits tell
IPV4 = 33
IPV6 = 34
TYPE = 35  # an Ethernet type and what follows
PPP = 36
LABELS = 37  # MPLS
UDP = 38
TCP_HEADER = 39
GRE_HEADER = 40
PAYLOAD = 41  # of UDP, and no SIP
HOMER = 42  # a HEP3 packet
PIECE = 43  # a fragment: at its payload in IPv4, at its fragment header in IPv6
DATAGRAM = 44  # the payload of UDP
STREAM = 45  # a TCP segment, at its header
LETTER = 46  # the payload of a HEP3 packet
CHAIN = 256  # plus an IP protocol: what follows an IP header
ETHERTYPE = 1 << 10  # plus an Ethernet type: what follows it
GUESS = 1 << 20  # added where only a port, or the look of the bytes, tells that this is next

EXTENSION = 255
PROTOCOLS = np.full(256, OTHER_PROTOCOL, np.uint8)
"""What an IP protocol is; EXTENSION where another header follows, unencrypted."""
PROTOCOLS[[0, 43, 44, 51, 60, 135, 139, 140]] = EXTENSION
PROTOCOLS[[1, 58]] = ICMP
PROTOCOLS[[4, 6, 17, 41, 47]] = IPV4, TCP_HEADER, UDP, IPV6, GRE_HEADER
PROTOCOLS[[97, 115, 132, 137, 143]] = TYPE, OTHER_TUNNEL, SCTP, LABELS, TYPE

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
        ("flags", np.uint8),  # this and the next of TCP segments only
        ("sequence", np.uint32),
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
SHOWN = 8
FACTS = np.dtype(
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
ASKED = 6  # the chain of the key that is looked for
STATE = 7

# --- the index into the links of a place
CHAINED = 0  # the next place in the chain
OLDER = 1
NEWER = 2
CHAIN_OF = 3

# --- the index into what is known of spare chunks
SPARE = 0  # the first one
UNUSED = 1  # the first one that was never used
LEFT = 2  # how many may still be used

VERSION_6 = 1 << 40  # in the key of a datagram

TABLE = np.dtype(
    [
        ("state", np.int64, (STATE,)),
        ("keys", np.int64, (PLACES + 1, KEY)),  # the last is the one that is looked for
        ("heads", np.int32, (PLACES,)),  # one more than the first place of each chain, 0 if there is none
        ("links", np.int32, (PLACES, 4)),
    ]
)
"""A hash table of numbered places, each in a chain (by hash) and in a queue (by age)."""
MEMORY = np.dtype(
    [
        ("flows", TABLE),  # TCP flows in which SIP was seen
        ("datagrams", TABLE),  # those of which fragments came
        ("facts", FACTS, (PLACES,)),
        ("units", np.uint64, (PLACES, WORDS)),  # a bit for each unit of eight bytes that came
        ("chunks", np.int32, (PLACES, CHUNKS)),  # where in the pool the bytes are, -1 where there are none
        ("spare", np.int64, (3,)),  # chunks
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
        ("segments", ROW, (ROWS_AT_ONCE,)),
        ("odd", ODD, (NOTES,)),
        ("lost", FACTS, (NOTES,)),  # those that were given up, and those that clashed
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


# --- from link to payload: each function decodes one layer


@PART
def decode_link(data: np.ndarray, at: int, stop: int, end: int, link: int) -> Place:
    """Say what begins in the packet data[at:stop] of a link type; on the wire it ended at end."""
    what = np.int64(LINK_TYPE)
    if link == 1:
        return TYPE, at, at + 12, stop, end
    if link == 113:
        return TYPE, at, at + 14, stop, end
    if link == 276:
        what, at = (ETHERTYPE + big16(data, at), at + 20) if stop - at >= 20 else (CUT, at)
    elif link == 12 or link == 14 or link == 101:
        what = np.int64(IP)
    elif link == 228:
        what = np.int64(IPV4)
    elif link == 229:
        what = np.int64(IPV6)
    elif link == 9:
        what = np.int64(PPP)
    elif link == 51:
        what = np.int64(ETHERTYPE + 0x8864)
    elif link == 104:  # Cisco HDLC
        what, at = np.int64(TYPE), at + 2
    elif link == 0 or link == 108:
        what, at = decode_family(data, at, stop), at + 4
    return what, at, at, stop, end


@PART
def decode_family(data: np.ndarray, at: int, stop: int) -> int:
    """Say what follows a BSD address family of four bytes, in either byte order."""
    if stop - at < 4:
        return CUT
    family = big32(data, at)
    if family > 0xFFFF:
        family = number32(data, at, False)
    if family == 2:
        return IPV4
    if family == 10 or family == 23 or family == 24 or family == 28 or family == 30:  # Linux, Windows, three BSDs
        return IPV6
    return NOT_IP


@PART
def decode_layer(data: np.ndarray, what: int, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode the layer at at, which is what."""
    if what >= ETHERTYPE or what == TYPE:
        return decode_ethertype(data, what, ip, at, stop, end)
    if what >= CHAIN:
        return decode_chain(data, what - CHAIN, ip, at, stop, end)
    if what == UDP:
        return decode_udp(data, ip, at, stop, end)
    if what <= IPV6:
        return decode_ip(data, what, at, stop, end)
    if what == TCP_HEADER:
        return decode_tcp(data, ip, at, stop, end)
    if what == PPP:
        return decode_ppp(data, ip, at, stop, end)
    if what == GRE_HEADER:
        return decode_gre(data, ip, at, stop, end)
    if what == PAYLOAD:
        return decode_payload(data, ip, at, stop, end)
    return decode_mpls(data, ip, at, stop, end)


@PART
def decode_ethertype(data: np.ndarray, what: int, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode what an Ethernet type at at, or the one in what, tells; VLAN tags (802.1Q, 802.1ad) are passed over."""
    ethertype = what - ETHERTYPE
    if what == TYPE:
        if stop - at < 2:
            return CUT, ip, at, stop, end
        ethertype = big16(data, at)
        at += 2
    tags = 0
    while is_tag(ethertype):
        if tags == MAX_TAGS or stop - at < 4:
            return (TOO_DEEP if tags == MAX_TAGS else CUT), ip, at, stop, end
        ethertype = big16(data, at + 2)
        at += 4
        tags += 1
    if ethertype == 0x0800:
        return IPV4, ip, at, stop, end
    if ethertype == 0x86DD:
        return IPV6, ip, at, stop, end
    if ethertype == 0x8847 or ethertype == 0x8848:
        return LABELS, ip, at, stop, end
    if ethertype == 0x88E7:  # 802.1ah: flags and a service, then a frame
        return TYPE, ip, at + 16, stop, end
    if ethertype == 0x8864:
        if stop - at < 6:
            return CUT, ip, at, stop, end
        if data[at] != 0x11 or data[at + 1] != 0:  # of PPPoE (RFC 2516) no session
            return PPPOE, ip, at, stop, end
        end = min(end, at + 6 + big16(data, at + 4))
        return PPP, ip, at + 6, min(stop, end), end
    if ethertype <= 1500:
        return decode_llc(data, ip, at, stop, min(end, at + ethertype))
    return (OTHER_TUNNEL if ethertype == 0x894F else NOT_IP), ip, at, stop, end  # network service header


@PART
def is_tag(ethertype: int) -> bool:
    """Say whether a VLAN tag is of that Ethernet type."""
    return ethertype == 0x8100 or ethertype == 0x88A8 or ethertype == 0x9100 or ethertype == 0x9200


@PART
def decode_llc(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a frame of IEEE 802.3: IP in LLC, or with a SNAP header (RFC 1042)."""
    stop = min(stop, end)
    if stop - at >= 3 and data[at] == 6 and data[at + 1] == 6 and data[at + 2] == 3:
        return IP, ip, at + 3, stop, end
    if stop - at >= 8 and big32(data, at) == 0xAAAA0300 and data[at + 4] == 0 and data[at + 5] == 0:
        return ETHERTYPE + big16(data, at + 6), ip, at + 8, stop, end
    return NOT_IP, ip, at, stop, end


@PART
def decode_ppp(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a PPP frame (RFC 1661), with or without address and control, the protocol in one byte or two."""
    if stop - at >= 2 and data[at] == 0xFF and data[at + 1] == 3:
        at += 2
    if stop - at < 2:
        return CUT, ip, at, stop, end
    size = 1 if data[at] & 1 else 2
    protocol = np.int64(data[at]) if size == 1 else big16(data, at)
    what = NOT_IP
    if protocol == 0x21:
        what = IPV4
    elif protocol == 0x57:
        what = IPV6
    elif protocol == 0x281:
        what = LABELS
    return what, ip, at + size, stop, end


@PART
def decode_mpls(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a stack of MPLS labels (RFC 3032) and guess what it carries: IP, or a pseudo-wire with Ethernet."""
    labels = 0
    bottom = False
    while not bottom:
        if labels == MAX_LAYERS or stop - at < 4:
            return (TOO_DEEP if labels == MAX_LAYERS else CUT), ip, at, stop, end
        bottom = data[at + 2] & 1 == 1
        at += 4
        labels += 1
    if stop - at < 20:
        return CUT, ip, at, stop, end
    version = data[at] >> 4
    if version == 4 and data[at] & 15 >= 5 and big16(data, at + 2) <= end - at:
        return IPV4 | GUESS, ip, at, stop, end
    if version == 6 and big16(data, at + 4) <= end - at - 40:
        return IPV6 | GUESS, ip, at, stop, end
    at += 12
    if version == 0 and not is_carried(big16(data, at)):  # a control word (RFC 4448)
        at += 4
        if not is_carried(big16(data, at)):
            return MPLS, ip, at, stop, end
    return TYPE | GUESS, ip, at, stop, end


@PART
def is_carried(ethertype: int) -> bool:
    """Say whether what is of that Ethernet type may hold IP."""
    return (
        ethertype == 0x0800 or ethertype == 0x86DD or ethertype == 0x8847 or ethertype == 0x8848
        or ethertype == 0x8864 or is_tag(ethertype)
    )  # fmt: skip


@PART
def decode_ip(data: np.ndarray, what: int, ip: int, stop: int, end: int) -> Place:
    """Decode a header of IPv4 (RFC 791) or IPv6 (RFC 8200), or of what the first bits tell."""
    if stop - ip < 20:
        return CUT, ip, ip, stop, end
    version = data[ip] >> 4
    if version == 4 and what != IPV6:
        header = np.int64(data[ip] & 15) * 4
        total = big16(data, ip + 2)
        if total == 0:  # left to the network card (segmentation offload)
            total = end - ip
        if header < 20 or total < header:
            return BAD_IP, ip, ip, stop, end
        if stop - ip < header:
            return CUT, ip, ip, stop, end
        end = ip + total
        part = big16(data, ip + 6) & 0x3FFF
        what = np.int64(PROTOCOLS[data[ip + 9]])
        if what == TYPE or what == EXTENSION:
            what = CHAIN + np.int64(data[ip + 9])
        return (PIECE if part else what), ip, ip + header, min(stop, end), end
    if version != 6 or what == IPV4:
        return BAD_IP, ip, ip, stop, end
    if stop - ip < 40:
        return CUT, ip, ip, stop, end
    size = big16(data, ip + 4)
    end = ip + 40 + size if size else max(end, ip + 40)  # without: a jumbogram (RFC 2675), or segmentation offload
    return CHAIN + np.int64(data[ip + 6]), ip, ip + 40, min(stop, end), end


@PART
def decode_chain(data: np.ndarray, protocol: int, ip: int, at: int, stop: int, end: int) -> Place:
    """Say what begins at at, in the IP packet at ip; IPv6 extension headers are passed over, in IPv4 only AH."""
    version = data[ip] >> 4
    headers = 0
    while PROTOCOLS[protocol] == EXTENSION and (version == 6 or protocol == 51):
        if end - at < 8:
            return BAD_IP, ip, at, stop, end
        if stop - at < 8:
            return CUT, ip, at, stop, end
        if headers == MAX_EXTENSIONS:
            return TOO_DEEP, ip, at, stop, end
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
        headers += 1
    if protocol == 97:  # EtherIP (RFC 3378)
        at += 14
    elif protocol == 143:  # Ethernet
        at += 12
    what = np.int64(PROTOCOLS[protocol])
    return (what if what != EXTENSION else OTHER_PROTOCOL), ip, at, stop, end


@PART
def decode_gre(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a GRE header (RFC 2784, RFC 2890), also that of PPTP (RFC 2637) and those of ERSPAN."""
    if stop - at < 4:
        return CUT, ip, at, stop, end
    flags = big16(data, at)
    ethertype = big16(data, at + 2)
    if flags & 7 == 1 and ethertype == 0x880B and stop - at >= 8:
        size = big16(data, at + 4)
        at += 8 + (4 if flags & 0x1000 else 0) + (4 if flags & 0x80 else 0)
        end = min(end, at + size)
        return (PPP if size else GRE), ip, at, min(stop, end), end
    if flags & 7 or flags & 0x4000:  # source routes (RFC 1701) are gone
        return GRE, ip, at, stop, end
    at += 4 + (4 if flags & 0x8000 else 0) + (4 if flags & 0x2000 else 0) + (4 if flags & 0x1000 else 0)
    if ethertype == 0x88BE:  # ERSPAN I, or II with a header
        return TYPE, ip, at + (20 if flags & 0x1000 else 12), stop, end
    if ethertype == 0x6558:
        return TYPE, ip, at + 12, stop, end
    if ethertype == 0x880B:
        return PPP, ip, at, stop, end
    if ethertype != 0x22EB:
        return (ETHERTYPE + ethertype if is_carried(ethertype) else GRE), ip, at, stop, end
    if stop - at < 12:
        return CUT, ip, at, stop, end
    kind = data[at + 10] >> 2 & 31  # ERSPAN III (draft-foschiano-erspan)
    at += 20 if data[at + 11] & 1 else 12
    if kind == 0:
        return TYPE, ip, at + 12, stop, end
    return (IP if kind == 2 else GRE), ip, at, stop, end


@PART
def decode_udp(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a UDP header (RFC 768)."""
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
    at += 8
    return (CUT if stop == at and end > at else DATAGRAM), ip, at, stop, end


@PART
def decode_tcp(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a TCP header (RFC 9293 section 3.1)."""
    if end - at < 20:
        return BAD_IP, ip, at, stop, end
    if stop - at < 20:
        return CUT, ip, at, stop, end
    header = np.int64(data[at + 12] >> 4) * 4
    return (BAD_TCP if header < 20 or header > end - at else STREAM), ip, at, stop, end


@PART
def decode_payload(data: np.ndarray, ip: int, at: int, stop: int, end: int) -> Place:
    """Decode a UDP payload that is no SIP: a tunnel, by its ports or its magic, and by the form of its header."""
    if stop - at < 8:
        return NO_SIP, ip, at, stop, end
    source = big16(data, at - 8)
    destination = big16(data, at - 6)
    word = big32(data, at)
    if word == 0x48455033:
        return HOMER, ip, at, stop, end
    if destination == 4789 or destination == 8472:
        if word == 0x08000000 and data[at + 7] == 0:  # VXLAN (RFC 7348)
            return TYPE | GUESS, ip, at + 20, stop, end
    elif destination == 6081:
        if data[at] >> 6 == 0 and data[at + 1] & 0x3F == 0 and data[at + 7] == 0:  # Geneve (RFC 8926)
            ethertype = word & 0xFFFF
            at += 8 + 4 * np.int64(data[at] & 0x3F)
            if ethertype == 0x6558:
                return TYPE | GUESS, ip, at + 12, stop, end
            return ((ETHERTYPE + ethertype) | GUESS if is_carried(ethertype) else UDP_TUNNEL), ip, at, stop, end
    elif destination == 2152 or source == 2152:
        return decode_gtp(data, ip, at, stop, end)
    elif destination == 1701 or source == 1701:
        return decode_l2tp(data, ip, at, stop, end)
    elif destination == 6635:  # MPLS (RFC 7510)
        return LABELS | GUESS, ip, at, stop, end
    return NO_SIP, ip, at, stop, end


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
    if flags & 7 == 0:
        return IP | GUESS, ip, at, stop, end
    at += 4
    headers = 0
    while stop > at and flags & 4 and data[at - 1]:
        if headers == MAX_EXTENSIONS or data[at] == 0:
            return UDP_TUNNEL, ip, at, stop, end
        at += 4 * np.int64(data[at])
        headers += 1
    return (IP | GUESS if stop > at else UDP_TUNNEL), ip, at, stop, end


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
    at += 10 if flags & 0x0800 else 6
    if flags & 0x0200:
        if stop - at < 2:
            return UDP_TUNNEL, ip, at, stop, end
        at += 2 + big16(data, at)
    return PPP | GUESS, ip, at, stop, end


# --- tables that remember: no more places than they have, and no more work per packet than a few steps


@PART
def find_place(table: np.void) -> int:
    """Return the place of the key that is looked for, -1 if it has none.

    Its chain is a polynomial over 2 ** 31 - 1 at a secret point: who writes packets cannot make chains long.
    """
    keys = table["keys"]
    state = table["state"]
    total = np.int64(0)
    for part in range(KEY):
        word = keys[PLACES, part]
        for shift in range(0, 64, 22):
            total = total * state[SECRET] + (word >> shift & 0x3FFFFF)
            total = (total & 0x7FFFFFFF) + (total >> 31)
            total = (total & 0x7FFFFFFF) + (total >> 31)
    state[ASKED] = total & (PLACES - 1)
    place = np.int64(table["heads"][state[ASKED]]) - 1
    while place >= 0:
        same = 0
        while same < KEY and keys[place, same] == keys[PLACES, same]:
            same += 1
        if same == KEY:
            break
        place = np.int64(table["links"][place, CHAINED])
    return place


@PART
def is_full(table: np.void) -> bool:
    """Say whether no place is free."""
    return table["state"][FREE] < 0 and table["state"][FRESH] >= table["state"][LIMIT]


@PART
def add_place(table: np.void) -> int:
    """Give the key that find_place did not find a place, and return it; there must be a free one."""
    state = table["state"]
    links = table["links"]
    place = state[FREE]
    if place >= 0:
        state[FREE] = links[place, CHAINED]
    else:
        place = state[FRESH]
        state[FRESH] += 1
    for part in range(KEY):
        table["keys"][place, part] = table["keys"][PLACES, part]
    links[place, CHAIN_OF] = state[ASKED]
    links[place, CHAINED] = table["heads"][state[ASKED]] - 1
    table["heads"][state[ASKED]] = place + 1
    queue_place(table, place)
    return place


@PART
def queue_place(table: np.void, place: int) -> None:
    """Make a place the newest."""
    newest = table["state"][NEWEST]
    table["links"][place, OLDER] = newest
    table["links"][place, NEWER] = -1
    if newest >= 0:
        table["links"][newest, NEWER] = place
    else:
        table["state"][OLDEST] = place
    table["state"][NEWEST] = place


@PART
def leave_queue(table: np.void, place: int) -> None:
    """Take a place out of the order of age."""
    older = np.int64(table["links"][place, OLDER])
    newer = np.int64(table["links"][place, NEWER])
    if older >= 0:
        table["links"][older, NEWER] = newer
    else:
        table["state"][OLDEST] = newer
    if newer >= 0:
        table["links"][newer, OLDER] = older
    else:
        table["state"][NEWEST] = older


@PART
def drop_place(table: np.void, place: int) -> None:
    """Make a place free."""
    links = table["links"]
    chain = links[place, CHAIN_OF]
    at = np.int64(table["heads"][chain]) - 1
    if at == place:
        table["heads"][chain] = links[place, CHAINED] + 1
    else:
        while links[at, CHAINED] != place:
            at = np.int64(links[at, CHAINED])
        links[at, CHAINED] = links[place, CHAINED]
    leave_queue(table, place)
    links[place, CHAINED] = table["state"][FREE]
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
def ask_flow(keys: np.ndarray, row: np.void) -> None:
    """Make the flow of a segment the key that is looked for; both directions are one flow."""
    source, destination = row["source"], row["destination"]
    turned = source[0] > destination[0] or (source[0] == destination[0] and source[1] > destination[1])
    if source[0] == destination[0] and source[1] == destination[1]:
        turned = row["source_port"] > row["destination_port"]
    for half in range(2):
        keys[PLACES, half] = destination[half] if turned else source[half]
        keys[PLACES, 2 + half] = source[half] if turned else destination[half]
    ports = np.int64(row["source_port"]), np.int64(row["destination_port"])
    keys[PLACES, 4] = ports[1] << 16 | ports[0] if turned else ports[0] << 16 | ports[1]


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
    if stop - start < 12 or (data[start] | 32 != 103 and data[start] | 32 != 104):  # neither g nor h
        return False
    if not starts_with(data, start, stop, GET):
        return starts_with(data, start, stop, SWITCHED)
    stop = min(stop, start + MAX_LINE)
    named = False  # within the header Sec-WebSocket-Protocol
    for at in range(start, stop):
        if data[at] == 10:
            named = starts_with(data, at + 1, stop, PROTOCOL)
        elif named and starts_with(data, at, stop, SIP_NAME):
            return True
    return False


@PART
def opens_sip(data: np.ndarray, start: int, stop: int, source: int) -> bool:
    """Say whether the payload data[start:stop] from TCP port source tells that its flow carries SIP.

    A status line from a port of HTTP does not: there are servers that answer HTTP requests with one.
    """
    if stop <= start:
        return False
    if may_be_sip(data, start, stop, False):
        web = source == 80 or source == 8080
        return not (web and starts_with(data, start, stop, VERSION))
    return opens_websocket(data, start, stop)


@PART
def is_followed(table: np.void, row: np.void, opens: bool) -> bool:
    """Say whether a TCP segment belongs to a flow that may carry SIP; remember the flow if its payload opens one.

    What came on a flow before its first start line is not remembered: on ports that are not those of SIP, segments
    that overtook it are lost. When there is no more room, the flow that was silent longest is forgotten.
    """
    if is_sip_port(row["source_port"]) or is_sip_port(row["destination_port"]):
        return True
    if not opens and table["state"][NEWEST] < 0:
        return False
    ask_flow(table["keys"], row)
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
def give_up(memory: np.void, written: np.void, place: int, lost: bool) -> None:
    """Forget a datagram; if it is lost, tell so and settle the fate of its fragments."""
    if lost:
        tell_lost(memory, written, place)
        written["fates"][FRAGMENT] += memory["facts"][place]["packets"]
    spare = memory["spare"]
    for part in range(CHUNKS):
        chunk = memory["chunks"][place, part]
        if chunk >= 0:
            memory["after"][chunk] = spare[SPARE]
            spare[SPARE] = chunk
            spare[LEFT] += 1
    drop_place(memory["datagrams"], place)


@PART
def tell_lost(memory: np.void, written: np.void, place: int) -> None:
    """Write what is known of a datagram, as far as there is room."""
    row = written["tally"][LOST]
    written["tally"][LOST] += 1
    if row < NOTES:
        written["lost"][row] = memory["facts"][place]


@KERNEL
def give_up_all(memory: np.void, written: np.void) -> None:
    """Settle the fate of all fragments that are pending."""
    while memory["datagrams"]["state"][OLDEST] >= 0:
        give_up(memory, written, memory["datagrams"]["state"][OLDEST], True)


@PART
def must_give_up(memory: np.void, time: int) -> bool:
    """Say whether the oldest datagram is too old at time, or there may be no room for another fragment."""
    state = memory["datagrams"]["state"]
    oldest = state[OLDEST]
    if oldest < 0:
        return False
    began = memory["facts"][oldest]["time"]
    late = 0 <= began < time - TIMEOUT
    return late or memory["spare"][LEFT] < CHUNKS or is_full(memory["datagrams"])


@PART
def ask_datagram(keys: np.ndarray, data: np.ndarray, ip: int, at: int) -> None:
    """Make the datagram of a fragment the key that is looked for (RFC 791 section 3.2, RFC 8200 section 4.5)."""
    for which in range(2):
        for half in range(2):
            keys[PLACES, 2 * which + half] = address_half(data, ip, which, half)
    if data[ip] >> 4 == 4:
        keys[PLACES, 4] = np.int64(data[ip + 9]) << 32 | big16(data, ip + 4)
    else:
        keys[PLACES, 4] = VERSION_6 | big32(data, at + 4)


@PART
def begin_datagram(memory: np.void, time: int, number: int) -> int:
    """Give the datagram that is looked for a place, and return it."""
    place = add_place(memory["datagrams"])
    keys = memory["datagrams"]["keys"]
    facts = memory["facts"][place]
    facts["time"] = time
    facts["number"] = number
    facts["fragments"] = facts["packets"] = facts["reach"] = facts["units"] = 0
    facts["total"] = -1
    facts["held"] = 1 << 16
    facts["protocol"] = keys[place, 4] >> 32 & 0xFF
    facts["state"] = GROWING
    for half in range(2):
        facts["source"][half] = keys[place, half]
        facts["destination"][half] = keys[place, 2 + half]
    for word in range(WORDS):
        memory["units"][place, word] = 0
    for part in range(CHUNKS):
        memory["chunks"][place, part] = -1
    return place


@PART
def find_chunk(memory: np.void, place: int, part: int) -> int:
    """Return the chunk that holds that part of a datagram, if need be a spare one; must_give_up sees to them."""
    chunk = np.int64(memory["chunks"][place, part])
    if chunk >= 0:
        return chunk
    spare = memory["spare"]
    chunk = spare[SPARE]
    if chunk >= 0:
        spare[SPARE] = memory["after"][chunk]
    else:
        chunk = spare[UNUSED]
        spare[UNUSED] += 1
    spare[LEFT] -= 1
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
def copy_or_compare(
    memory: np.void, place: int, data: np.ndarray, at: int, start: int, stop: int, compare: bool
) -> bool:  # fmt: skip
    """Store bytes start to stop of a datagram, all in one chunk, from at; or say whether it holds others there."""
    if stop <= start:
        return False
    chunk = find_chunk(memory, place, start // CHUNK)
    base = start % CHUNK
    pool = memory["pool"]
    if compare:
        for i in range(stop - start):
            if pool[chunk, base + i] != data[at + i]:
                return True
        return False
    for i in range(stop - start):
        pool[chunk, base + i] = data[at + i]
    return False


@PART
def fill(
    memory: np.void, place: int, data: np.ndarray, at: int, offset: int, finish: int, known: int
) -> int:  # fmt: skip
    """Take in bytes offset to finish of a datagram, of which those before known lie at at.

    The fragment that came first counts. Return 1 if some of them had come before, plus 2 if they were others, plus
    4 if some had not.
    """
    found = np.int64(0)
    facts = memory["facts"][place]
    last = (finish + 7) >> 3
    unit = offset >> 3
    while unit < last:
        word = unit >> 6
        base = word << 6
        wanted = bits_of(unit - base, min(last - base, 64))
        old = memory["units"][place, word] & wanted
        new = wanted & ~old
        memory["units"][place, word] |= new
        facts["units"] += count_bits(new)
        found |= (4 if new != ZERO else 0) | (1 if old != ZERO else 0)
        after = base + 64 if old == ZERO else unit + 1
        while unit < min(base + 64, last):  # a word that is new at once, any other unit by unit
            compare = old >> np.uint64(unit - base) & ONE == ONE
            start = unit << 3
            stop = min(after << 3, known, facts["held"]) if compare else min(after << 3, known)
            if not (compare and found & 2) and copy_or_compare(
                memory, place, data, at + start - offset, start, stop, compare
            ):
                found |= 2
            unit = after
            after += 1
    return found


@PART
def take_in(
    memory: np.void, place: int, data: np.ndarray, at: int, offset: int, finish: int, known: int, more: int
) -> bool:  # fmt: skip
    """Take in a fragment of a datagram that is not spoilt; say whether the datagram is complete.

    IPv4 leaves overlaps to the receiver: the first one counts, as in many of them. In IPv6 an overlap spoils the
    datagram (RFC 5722), but for repeated fragments (RFC 8200 section 4.5).
    """
    facts = memory["facts"][place]
    total = facts["total"]
    if (total >= 0 and (finish > total or (not more and finish != total))) or (not more and facts["reach"] > finish):
        facts["state"] = SPOILT
        return False
    facts["reach"] = max(facts["reach"], finish)
    if not more:
        facts["total"] = total = finish
    found = fill(memory, place, data, at, offset, finish, known)
    if known < finish:
        facts["held"] = min(facts["held"], known)
    if memory["datagrams"]["keys"][place, 4] & VERSION_6 and (found & 2 or found == 5):
        facts["state"] = SPOILT
        return False
    if found & 2:
        facts["state"] = CLASHED
    return total >= 0 and facts["units"] == (total + 7) >> 3


@PART
def join(
    data: np.ndarray, ip: int, at: int, stop: int, end: int, packets: int, time: int, joined: np.ndarray,
    memory: np.void, written: np.void,
) -> tuple[int, int, int, int, int, int]:  # fmt: skip
    """Take in a fragment that came in so many packets; return PENDING, or the place of the whole datagram in joined.

    Behind the place is in how many packets that came.
    """
    version = data[ip] >> 4
    if version == 4:
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
    while must_give_up(memory, time):
        give_up(memory, written, memory["datagrams"]["state"][OLDEST], True)
    ask_datagram(memory["datagrams"]["keys"], data, ip, at)
    place = find_place(memory["datagrams"])
    number = written["tally"][NUMBER]
    if place < 0:
        place = begin_datagram(memory, time, number)
    facts = memory["facts"][place]
    if facts["fragments"] < SHOWN:
        facts["shown"][facts["fragments"]] = number
    facts["fragments"] += 1
    facts["packets"] += packets
    if offset == 0 and version == 6:
        facts["protocol"] = np.int64(data[at])
    known = offset + max(stop - payload, 0)
    if facts["state"] == SPOILT or not take_in(memory, place, data, payload, offset, finish, known, more):
        return PENDING, ip, at, stop, end, packets
    if facts["state"] == CLASHED:
        tell_lost(memory, written, place)
    base = written["tally"][JOINED]
    start = base + HEADER
    for i in range(20 if version == 4 else HEADER):
        joined[base + i] = data[ip + i]
    held = min(facts["total"], facts["held"])
    for part in range((held + CHUNK - 1) // CHUNK):
        chunk = memory["chunks"][place, part]
        for i in range(min(held - part * CHUNK, CHUNK)):
            joined[start + part * CHUNK + i] = memory["pool"][chunk, i]
    written["tally"][JOINED] = start + held
    end = start + facts["total"]
    packets = facts["packets"]
    what = CHAIN + facts["protocol"]
    give_up(memory, written, place, False)
    return what, base, start, start + held, end, packets


# --- from packet to fate


@PART
def write_row(
    data: np.ndarray, ip: int, ports: int, start: int, stop: int, end: int, time: int, number: int, row: np.void
) -> None:  # fmt: skip
    """Write the ends of a packet, of which the ports lie at ports, when it came, and where its payload lies."""
    row["number"] = number
    row["time"] = time
    source, destination = row["source"], row["destination"]
    if data[ip] >> 4 == 4:
        row["ttl"] = data[ip + 8]
        source[0] = destination[0] = 0
        source[1] = 0xFFFF00000000 | big32(data, ip + 12)
        destination[1] = 0xFFFF00000000 | big32(data, ip + 16)
    else:
        row["ttl"] = data[ip + 7]
        for half in range(2):
            source[half] = address_half(data, ip, 0, half)
            destination[half] = address_half(data, ip, 1, half)
    row["source_port"] = big16(data, ports)
    row["destination_port"] = big16(data, ports + 2)
    row["transport"] = 0
    row["start"] = start
    row["length"] = stop - start
    row["missing"] = end - stop


@PART
def decode_homer(
    data: np.ndarray, start: int, stop: int, end: int, time: int, number: int, row: np.void
) -> Place:  # fmt: skip
    """Decode a HEP3 packet (the capture protocol of Homer): write the ends that it tells, and place its payload."""
    end = min(end, start + big16(data, start + 4))
    stop = min(stop, end)
    found = np.int64(0)
    protocol = np.int64(17)
    payload = payload_stop = payload_end = start
    row["source_port"] = row["destination_port"] = row["ttl"] = 0  # the time to live is not told
    row["number"] = number
    row["time"] = time
    at = start + 6
    while stop - at >= 6:
        size = big16(data, at + 4)
        if size < 6 or at + size > end:
            return HEP, start, at, stop, end
        kind = big16(data, at + 2) if big16(data, at) == 0 else np.int64(0)
        whole = stop - at >= size
        if kind == 15:
            payload, payload_stop, payload_end = at + 6, min(at + size, stop), at + size
            found |= 4
        elif kind == 2 and size == 7 and whole:
            protocol = np.int64(data[at + 6])
        elif kind == 7 and size == 8 and whole:
            row["source_port"] = big16(data, at + 6)
        elif kind == 8 and size == 8 and whole:
            row["destination_port"] = big16(data, at + 6)
        elif 3 <= kind <= 6 and size == (10 if kind <= 4 else 22) and whole:
            ends = row["source"] if kind & 1 else row["destination"]
            ends[0] = np.int64(0) if kind <= 4 else big32(data, at + 6) << 32 | big32(data, at + 10)
            low = at + size - 8
            ends[1] = (0xFFFF if kind <= 4 else big32(data, low)) << 32 | big32(data, low + 4)
            found |= 2 - (kind & 1)
        at += size
    row["transport"] = 1 if protocol == 6 else 0
    row["start"] = payload
    row["length"] = payload_stop - payload
    row["missing"] = payload_end - payload_stop
    if found != 7:
        return (CUT if stop < end else HEP), start, at, stop, end
    if protocol == 132:
        return SCTP, start, at, stop, end
    if payload_stop == payload and payload_end > payload:
        return CUT, start, at, stop, end
    return LETTER, start, payload, payload_stop, payload_end


@PART
def settle_segment(
    data: np.ndarray, tcp: int, payload: int, stop: int, end: int, table: np.void, row: np.void
) -> int:  # fmt: skip
    """Return the fate of a TCP segment of which the row is begun."""
    if not is_followed(table, row, opens_sip(data, payload, stop, row["source_port"])):
        return CUT if stop <= payload < end else TCP
    if stop < payload:
        return CUT
    row["sequence"] = big32(data, tcp + 4)
    row["flags"] = data[tcp + 13] & 31
    return SEGMENT


@PART
def decode(
    data: np.ndarray, start: int, stop: int, end: int, link: int, time: int, joined: np.ndarray, memory: np.void,
    written: np.void,
) -> tuple[int, int]:  # fmt: skip
    """Decode a packet down to its innermost payload and write that if it may be SIP.

    Return its fate, and how many packets share it: more than one where a datagram was put together.
    """
    tally = written["tally"]
    row = written["rows"][tally[ROWS]]
    number = tally[NUMBER]
    what, ip, at, stop, end = decode_link(data, start, stop, end, link)
    packets = np.int64(1)
    shift = np.int64(0)
    guessed = False
    layers = 0
    while what >= NEXT:
        if what == UDP:
            what, ip, at, stop, end = decode_udp(data, ip, at, stop, end)
            if what == DATAGRAM:
                sip_port = big16(data, at - 8) == SIP_PORT or big16(data, at - 6) == SIP_PORT
                if may_be_sip(data, at, stop, sip_port):
                    break
                what = np.int64(PAYLOAD)
            continue
        if what == STREAM or what == LETTER:
            break
        if what <= IPV6 or what == PIECE:
            layers += 1
            if layers > MAX_LAYERS:
                return TOO_DEEP, packets
        if what == PIECE:
            behind = shift if shift else len(data)
            what, ip, at, stop, end, packets = join(data, ip, at, stop, end, packets, time, joined, memory, written)
            if what >= NEXT:
                data = joined
                shift = behind
        elif what == HOMER:
            what, ip, at, stop, end = decode_homer(data, at, stop, end, time, number, row)
        else:
            what, ip, at, stop, end = decode_layer(data, what, ip, at, stop, end)
            guessed |= what >= GUESS
            what &= GUESS - 1
    if what == DATAGRAM or what == STREAM:
        ports = at - 8
        if what == STREAM:
            ports, at = at, at + np.int64(data[at + 12] >> 4) * 4
            row = written["segments"][tally[SEGMENTS]]
        write_row(data, ip, ports, at, stop, end, time, number, row)
        what = settle_segment(data, ports, at, stop, end, memory["flows"], row) if what == STREAM else SIP
    elif what == LETTER:
        port = row["source_port"] if row["source_port"] == SIP_PORT else row["destination_port"]
        what = SIP if may_be_sip(data, at, stop, port == SIP_PORT) else HEP
    elif guessed and (what == BAD_IP or what == BAD_UDP or what == BAD_TCP or (what == CUT and stop == end)):
        what = UDP_TUNNEL
    row["start"] += shift
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
    if fate == SIP:
        tally[ROWS] += 1
    elif fate == SEGMENT:
        tally[SEGMENTS] += 1
    else:
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
