"""From link to payload: each function here decodes one layer that packets usually have, and says what follows it.

Where that is, and where the packet ends, is in the array place, which each function moves on.
"""

# ruff: noqa: C901, PLR0911, PLR1714, SIM109 (kernels are called by position, and compile best as flat loops)
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.engines._layout import (
    AT,
    BAD_IP,
    BAD_TCP,
    BAD_UDP,
    CHAIN,
    CUT,
    DATAGRAM,
    END,
    ETHERTYPE,
    EXTENSION,
    IP,
    IP_AT,
    IPV4,
    IPV6,
    LABELS,
    LINK_TYPE,
    MAX_EXTENSIONS,
    NOT_IP,
    OTHER_PROTOCOL,
    OTHER_TUNNEL,
    PIECE,
    PPP,
    PPPOE,
    PROTOCOLS,
    STOP,
    STREAM,
    TOO_DEEP,
    TYPE,
)  # fmt: skip
from analyzer.engines._words import big16, big32, little32

MAX_TAGS = 8  # VLAN tags in a row


@part
def decode_link(data: np.ndarray, place: np.ndarray, link: int) -> int:
    """Say what begins in a packet of a link type."""
    at = place[AT]
    if link == 1:
        place[AT] = at + 12
        return TYPE
    if link == 113:
        place[AT] = at + 14
        return TYPE
    if link == 276:
        if place[STOP] - at < 20:
            return CUT
        place[AT] = at + 20
        return ETHERTYPE + big16(data, at)
    if link == 12 or link == 14 or link == 101:
        return IP
    if link == 228:
        return IPV4
    if link == 229:
        return IPV6
    if link == 9:
        return PPP
    if link == 51:
        return ETHERTYPE + 0x8864
    if link == 104:  # Cisco HDLC
        place[AT] = at + 2
        return TYPE
    if link == 0 or link == 108:
        return decode_family(data, place)
    return LINK_TYPE


@part
def decode_family(data: np.ndarray, place: np.ndarray) -> int:
    """Say what follows a BSD address family of four bytes, in either byte order."""
    at = place[AT]
    if place[STOP] - at < 4:
        return CUT
    place[AT] = at + 4
    family = big32(data, at)
    if family > 0xFFFF:
        family = little32(data, at)
    if family == 2:
        return IPV4
    if family == 10 or family == 23 or family == 24 or family == 28 or family == 30:  # Linux, Windows, three BSDs
        return IPV6
    return NOT_IP


@part
def decode_ethertype(data: np.ndarray, place: np.ndarray, what: int) -> int:
    """Decode what the next Ethernet type, or the one in what, tells; VLAN tags (802.1Q, 802.1ad) are passed over."""
    at, stop, end = place[AT], place[STOP], place[END]
    ethertype = what - ETHERTYPE
    if what == TYPE:
        if stop - at < 2:
            return CUT
        ethertype = big16(data, at)
        at += 2
    tags = 0
    while is_tag(ethertype):
        if tags == MAX_TAGS or stop - at < 4:
            return TOO_DEEP if tags == MAX_TAGS else CUT
        ethertype = big16(data, at + 2)
        at += 4
        tags += 1
    place[AT] = at
    if ethertype == 0x0800:
        return IPV4
    if ethertype == 0x86DD:
        return IPV6
    if ethertype == 0x8847 or ethertype == 0x8848:
        return LABELS
    if ethertype == 0x88E7:  # 802.1ah: flags and a service, then a frame
        place[AT] = at + 16
        return TYPE
    if ethertype == 0x8864:
        if stop - at < 6:
            return CUT
        if data[at] != 0x11 or data[at + 1] != 0:  # of PPPoE (RFC 2516) no session
            return PPPOE
        place[END] = end = min(end, at + 6 + big16(data, at + 4))
        place[STOP] = min(stop, end)
        place[AT] = at + 6
        return PPP
    if ethertype <= 1500:
        place[END] = end = min(end, at + ethertype)
        place[STOP] = min(stop, end)
        return decode_llc(data, place)
    return OTHER_TUNNEL if ethertype == 0x894F else NOT_IP  # network service header


@part
def is_tag(ethertype: int) -> bool:
    """Say whether a VLAN tag is of that Ethernet type."""
    return ethertype == 0x8100 or ethertype == 0x88A8 or ethertype == 0x9100 or ethertype == 0x9200


@part
def decode_llc(data: np.ndarray, place: np.ndarray) -> int:
    """Decode a frame of IEEE 802.3: IP in LLC, or with a SNAP header (RFC 1042)."""
    at = place[AT]
    size = place[STOP] - at
    if size >= 3 and data[at] == 6 and data[at + 1] == 6 and data[at + 2] == 3:
        place[AT] = at + 3
        return IP
    if size >= 8 and big32(data, at) == 0xAAAA0300 and data[at + 4] == 0 and data[at + 5] == 0:
        place[AT] = at + 8
        return ETHERTYPE + big16(data, at + 6)
    return NOT_IP


@part
def decode_ip(data: np.ndarray, place: np.ndarray, what: int) -> int:
    """Decode a header of IPv4 (RFC 791) or IPv6 (RFC 8200), or of what the first bits tell."""
    ip, stop, end = place[AT], place[STOP], place[END]
    place[IP_AT] = ip
    if stop - ip < 20:
        return CUT
    version = data[ip] >> 4
    if version == 4 and what != IPV6:
        header = np.int64(data[ip] & 15) * 4
        total = big16(data, ip + 2)
        if total == 0:  # left to the network card (segmentation offload)
            total = end - ip
        if header < 20 or total < header:
            return BAD_IP
        if stop - ip < header:
            return CUT
        place[AT] = ip + header
        place[END] = ip + total
        place[STOP] = min(stop, ip + total)
        if big16(data, ip + 6) & 0x3FFF:
            return PIECE
        what = np.int64(PROTOCOLS[data[ip + 9]])
        return CHAIN + np.int64(data[ip + 9]) if what == TYPE or what == EXTENSION else what
    if version != 6 or what == IPV4:
        return BAD_IP
    if stop - ip < 40:
        return CUT
    size = big16(data, ip + 4)
    end = ip + 40 + size if size else max(end, ip + 40)  # without: a jumbogram (RFC 2675), or segmentation offload
    place[AT] = ip + 40
    place[END] = end
    place[STOP] = min(stop, end)
    return CHAIN + np.int64(data[ip + 6])


@part
def decode_chain(data: np.ndarray, place: np.ndarray, protocol: int) -> int:
    """Say what begins next in an IP packet; IPv6 extension headers are passed over, in IPv4 only AH."""
    at, stop, end = place[AT], place[STOP], place[END]
    version = data[place[IP_AT]] >> 4
    headers = 0
    while PROTOCOLS[protocol] == EXTENSION and (version == 6 or protocol == 51):
        if end - at < 8:
            return BAD_IP
        if stop - at < 8:
            return CUT
        if headers == MAX_EXTENSIONS:
            return TOO_DEEP
        if protocol == 44:
            if big16(data, at + 2) & 0xFFF9:  # an atomic fragment (RFC 6946) is a whole
                place[AT] = at
                return PIECE
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
    place[AT] = at
    what = np.int64(PROTOCOLS[protocol])
    return OTHER_PROTOCOL if what == EXTENSION else what


@part
def decode_udp(data: np.ndarray, place: np.ndarray) -> int:
    """Decode a UDP header (RFC 768)."""
    at, stop, end = place[AT], place[STOP], place[END]
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
    stop = min(stop, end)
    at += 8
    place[AT], place[STOP], place[END] = at, stop, end
    return CUT if stop == at and end > at else DATAGRAM


@part
def decode_tcp(data: np.ndarray, place: np.ndarray) -> int:
    """Decode a TCP header (RFC 9293 section 3.1)."""
    at, end = place[AT], place[END]
    if end - at < 20:
        return BAD_IP
    if place[STOP] - at < 20:
        return CUT
    header = np.int64(data[at + 12] >> 4) * 4
    return BAD_TCP if header < 20 or header > end - at else STREAM
