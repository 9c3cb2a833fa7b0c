"""From packet to packet within it: each function here decodes one layer of a tunnel, and says what follows it.

Where that is, and where the packet ends, is in the array place, which each function moves on.
"""

# ruff: noqa: C901, PLR0911, PLR1714 (kernels are called by position, and compile best as flat loops)
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.engines._headers import is_tag
from analyzer.engines._layout import (
    AT,
    CUT,
    END,
    ETHERTYPE,
    GRE,
    GUESS,
    HEP,
    HOMER,
    IP,
    IPV4,
    IPV6,
    LABELS,
    LETTER,
    MAX_EXTENSIONS,
    MAX_LAYERS,
    MPLS,
    NO_SIP,
    NOT_IP,
    PACKET,
    PPP,
    SCTP,
    SHIFT,
    STOP,
    TIME,
    TOO_DEEP,
    TYPE,
    UDP_TUNNEL,
)  # fmt: skip
from analyzer.engines._words import big16, big32


@part
def decode_ppp(data: np.ndarray, place: np.ndarray) -> int:
    """Decode a PPP frame (RFC 1661), with or without address and control, the protocol in one byte or two."""
    at, stop = place[AT], place[STOP]
    if stop - at >= 2 and data[at] == 0xFF and data[at + 1] == 3:
        at += 2
    if stop - at < 2:
        return CUT
    size = 1 if data[at] & 1 else 2
    protocol = np.int64(data[at]) if size == 1 else big16(data, at)
    place[AT] = at + size
    if protocol == 0x21:
        return IPV4
    if protocol == 0x57:
        return IPV6
    return LABELS if protocol == 0x281 else NOT_IP


@part
def decode_mpls(data: np.ndarray, place: np.ndarray) -> int:
    """Decode a stack of MPLS labels (RFC 3032) and guess what it carries: IP, or a pseudo-wire with Ethernet."""
    at, stop, end = place[AT], place[STOP], place[END]
    labels = 0
    bottom = False
    while not bottom:
        if labels == MAX_LAYERS or stop - at < 4:
            return TOO_DEEP if labels == MAX_LAYERS else CUT
        bottom = data[at + 2] & 1 == 1
        at += 4
        labels += 1
    if stop - at < 20:
        return CUT
    place[AT] = at
    version = data[at] >> 4
    if version == 4 and data[at] & 15 >= 5 and big16(data, at + 2) <= end - at:
        return IPV4 | GUESS
    if version == 6 and big16(data, at + 4) <= end - at - 40:
        return IPV6 | GUESS
    at += 12
    if version == 0 and not is_carried(big16(data, at)):  # a control word (RFC 4448)
        at += 4
        if not is_carried(big16(data, at)):
            return MPLS
    place[AT] = at
    return TYPE | GUESS


@part
def is_carried(ethertype: int) -> bool:
    """Say whether what is of that Ethernet type may hold IP."""
    return (
        ethertype == 0x0800 or ethertype == 0x86DD or ethertype == 0x8847 or ethertype == 0x8848
        or ethertype == 0x8864 or is_tag(ethertype)
    )  # fmt: skip


@part
def decode_gre(data: np.ndarray, place: np.ndarray) -> int:
    """Decode a GRE header (RFC 2784, RFC 2890), also that of PPTP (RFC 2637) and those of ERSPAN."""
    at, stop = place[AT], place[STOP]
    if stop - at < 4:
        return CUT
    flags = big16(data, at)
    ethertype = big16(data, at + 2)
    if flags & 7 == 1 and ethertype == 0x880B and stop - at >= 8:
        size = big16(data, at + 4)
        at += 8 + (4 if flags & 0x1000 else 0) + (4 if flags & 0x80 else 0)
        end = min(place[END], at + size)
        place[AT], place[STOP], place[END] = at, min(stop, end), end
        return PPP if size else GRE
    if flags & 7 or flags & 0x4000:  # source routes (RFC 1701) are gone
        return GRE
    at += 4 + (4 if flags & 0x8000 else 0) + (4 if flags & 0x2000 else 0) + (4 if flags & 0x1000 else 0)
    place[AT] = at
    if ethertype == 0x88BE:  # ERSPAN I, or II with a header
        place[AT] = at + (20 if flags & 0x1000 else 12)
        return TYPE
    if ethertype == 0x6558:
        place[AT] = at + 12
        return TYPE
    if ethertype == 0x880B:
        return PPP
    if ethertype != 0x22EB:
        return ETHERTYPE + ethertype if is_carried(ethertype) else GRE
    return decode_erspan(data, place)


@part
def decode_erspan(data: np.ndarray, place: np.ndarray) -> int:
    """Decode the header of ERSPAN III (draft-foschiano-erspan)."""
    at = place[AT]
    if place[STOP] - at < 12:
        return CUT
    kind = data[at + 10] >> 2 & 31
    at += 20 if data[at + 11] & 1 else 12
    place[AT] = at + 12 if kind == 0 else at
    if kind == 0:
        return TYPE
    return IP if kind == 2 else GRE


@part
def may_be_tunnel(data: np.ndarray, place: np.ndarray) -> bool:
    """Say whether decode_payload has to look at a UDP payload: of any other it says NO_SIP."""
    at = place[AT]
    if place[STOP] - at < 8:
        return False
    return is_tunnel_port(big16(data, at - 6)) or is_tunnel_port(big16(data, at - 8)) or big32(data, at) == 0x48455033


@part
def is_tunnel_port(port: int) -> bool:
    """Say whether one of the tunnels of decode_payload is at home on a port."""
    return port == 4789 or port == 8472 or port == 6081 or port == 2152 or port == 1701 or port == 6635


@part
def decode_payload(data: np.ndarray, place: np.ndarray) -> int:
    """Decode a UDP payload that is no SIP: a tunnel, by its ports or its magic, and by the form of its header."""
    at = place[AT]
    if place[STOP] - at < 8:
        return NO_SIP
    source = big16(data, at - 8)
    destination = big16(data, at - 6)
    word = big32(data, at)
    if word == 0x48455033:
        return HOMER
    if destination == 4789 or destination == 8472:
        if word == 0x08000000 and data[at + 7] == 0:  # VXLAN (RFC 7348)
            place[AT] = at + 20
            return TYPE | GUESS
    elif destination == 6081:
        if data[at] >> 6 == 0 and data[at + 1] & 0x3F == 0 and data[at + 7] == 0:  # Geneve (RFC 8926)
            ethertype = word & 0xFFFF
            at += 8 + 4 * np.int64(data[at] & 0x3F)
            place[AT] = at + 12 if ethertype == 0x6558 else at
            if ethertype == 0x6558:
                return TYPE | GUESS
            return (ETHERTYPE + ethertype) | GUESS if is_carried(ethertype) else UDP_TUNNEL
    elif destination == 2152 or source == 2152:
        return decode_gtp(data, place)
    elif destination == 1701 or source == 1701:
        return decode_l2tp(data, place)
    elif destination == 6635:  # MPLS (RFC 7510)
        return LABELS | GUESS
    return NO_SIP


@part
def decode_gtp(data: np.ndarray, place: np.ndarray) -> int:
    """Decode a GTP-U header and its extensions (3GPP TS 29.281); at least eight bytes were captured."""
    at = place[AT]
    flags = data[at]
    if flags & 0xF0 != 0x30:
        return NO_SIP
    if data[at + 1] != 255:  # no G-PDU
        return UDP_TUNNEL
    end = min(place[END], at + 8 + big16(data, at + 2))
    stop = min(place[STOP], end)
    place[STOP], place[END] = stop, end
    at += 8
    place[AT] = at
    if flags & 7 == 0:
        return IP | GUESS
    at += 4
    headers = 0
    while stop > at and flags & 4 and data[at - 1]:
        if headers == MAX_EXTENSIONS or data[at] == 0:
            return UDP_TUNNEL
        at += 4 * np.int64(data[at])
        headers += 1
    place[AT] = at
    return IP | GUESS if stop > at else UDP_TUNNEL


@part
def decode_l2tp(data: np.ndarray, place: np.ndarray) -> int:
    """Decode the header of an L2TP data message (RFC 2661); at least eight bytes were captured."""
    at = place[AT]
    flags = big16(data, at)
    if flags & 0x34FF != 2:  # reserved bits, and the version
        return NO_SIP
    if flags & 0x8000:
        return UDP_TUNNEL
    if flags & 0x4000:
        place[END] = min(place[END], at + big16(data, at + 2))
        place[STOP] = min(place[STOP], place[END])
        at += 2
    at += 10 if flags & 0x0800 else 6
    if flags & 0x0200:
        if place[STOP] - at < 2:
            return UDP_TUNNEL
        at += 2 + big16(data, at)
    place[AT] = at
    return PPP | GUESS


@part
def decode_homer(data: np.ndarray, place: np.ndarray, row: np.void) -> int:
    """Decode a HEP3 packet (the capture protocol of Homer): write the ends that it tells, and place its payload."""
    start = place[AT]
    place[END] = end = min(place[END], start + big16(data, start + 4))
    place[STOP] = stop = min(place[STOP], end)
    found = np.int64(0)
    protocol = np.int64(17)
    payload = payload_stop = payload_end = start
    row["source_port"] = row["destination_port"] = row["ttl"] = 0  # the time to live is not told
    row["number"] = place[PACKET]
    row["time"] = place[TIME]
    at = start + 6
    while stop - at >= 6:
        size = big16(data, at + 4)
        if size < 6 or at + size > end:
            return HEP
        kind = big16(data, at + 2) if big16(data, at) == 0 else np.int64(0)
        if kind == 15:
            payload, payload_stop, payload_end = at + 6, min(at + size, stop), at + size
            found |= 4
        elif kind == 2 and size == 7 and stop - at >= size:
            protocol = np.int64(data[at + 6])
        elif 3 <= kind <= 8 and stop - at >= size:
            found |= read_end(data, at, size, kind, row)
        at += size
    row["transport"] = 1 if protocol == 6 else 0
    row["start"] = payload + place[SHIFT]
    row["length"] = payload_stop - payload
    row["missing"] = payload_end - payload_stop
    if found != 7:
        return CUT if stop < end else HEP
    if protocol == 132:
        return SCTP
    if payload_stop == payload and payload_end > payload:
        return CUT
    place[AT], place[STOP], place[END] = payload, payload_stop, payload_end
    return LETTER


@part
def read_end(data: np.ndarray, at: int, size: int, kind: int, row: np.void) -> int:
    """Write an address (kinds 3 to 6) or a port (7, 8) that a chunk of HEP3 tells; those of odd kinds are the source's.

    Return 1 for the address of the source, 2 for that of the destination, 0 for ports.
    """
    if kind == 7 and size == 8:
        row["source_port"] = big16(data, at + 6)
    elif kind == 8 and size == 8:
        row["destination_port"] = big16(data, at + 6)
    elif kind <= 6 and size == (10 if kind <= 4 else 22):
        ends = row["source"] if kind & 1 else row["destination"]
        ends[0] = np.int64(0) if kind <= 4 else big32(data, at + 6) << 32 | big32(data, at + 10)
        low = at + size - 8
        ends[1] = (0xFFFF if kind <= 4 else big32(data, low)) << 32 | big32(data, low + 4)
        return 2 - (kind & 1)
    return 0
