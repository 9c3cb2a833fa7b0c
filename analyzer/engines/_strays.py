"""Kernels that tell which packets without SIP are strays, and write their rows (see analyzer.engines.strays)."""

# ruff: noqa: PLR0913, PLR0917, PLR1714 (kernels are called by position, and compile best as flat loops)
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.engines._flows import is_sip_port
from analyzer.engines._layout import AT, END, NO_SIP, RECENT, ROWS, SEGMENT, STOP, STRAYS, TCP
from analyzer.engines._rows import write_row
from analyzer.engines._words import big16, big32
from analyzer.engines.strays import EMPTY, GARBAGE, H323, KEEP_ALIVE, MEDIA, NOTHING, OPENED, SPOKEN, SYN

H323_PORT = 1720
WELL_KNOWN = 1024
"""Below it are the ports of services: what comes from there is an answer, and is no media."""
LONGEST_KEEP_ALIVE = 8
COOKIE = 0x2112A442
"""What marks STUN (RFC 8489 section 5)."""
SAMPLED = 15
"""Of media, packets whose sequence numbers have none of these bits."""
SYN_FLAG, ACK_FLAG = 2, 16
LOW = 0xFFFFFFFF


@part
def is_media(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] begins like RTP (RFC 3550 section 5.1) with a payload type of RFC 3551."""
    if stop - start < 12 or data[start] >> 6 != 2:
        return False
    kind = data[start + 1] & 0x7F
    return (kind <= 34 or kind >= 96) and stop - start >= 12 + 4 * np.int64(data[start] & 15)


@part
def is_control(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] begins like RTCP (RFC 3550 section 6.4)."""
    return stop - start >= 8 and data[start] >> 6 == 2 and 192 <= data[start + 1] <= 223


@part
def keeps_alive(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] only keeps a path open: a few line breaks, blanks or zeros, or STUN."""
    size = stop - start
    if size >= 20 and data[start] < 64:
        known = big32(data, start + 4) == COOKIE or big16(data, start + 2) == size - 20
        return known and size & 3 == 0
    if size > LONGEST_KEEP_ALIVE:
        return False
    for at in range(start, stop):
        byte = data[at]
        if byte != 0 and byte != 10 and byte != 13 and byte != 32:
            return False
    return True


@part
def is_of_peers(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] is BitTorrent's: its clients use any port, also those of SIP (BEP 5, BEP 29)."""
    if stop - start < 20:
        return False
    table = data[start] == 100 and 48 <= data[start + 1] <= 57 and data[start + 2] == 58
    return table or (data[start] & 15 == 1 and data[start] >> 4 <= 4 and data[start + 1] <= 2)


@part
def tell_datagram(data: np.ndarray, start: int, stop: int, end: int, source: int, destination: int) -> int:
    """Return what a UDP payload between two ports, which is no SIP, is to strays; on the wire it ended at end."""
    if source < WELL_KNOWN or destination < WELL_KNOWN:
        return NOTHING
    if is_media(data, start, stop):
        return NOTHING if data[start + 3] & SAMPLED else MEDIA
    if not is_sip_port(destination):
        return NOTHING
    if end == start:
        return EMPTY
    if is_control(data, start, stop) or is_of_peers(data, start, stop):
        return NOTHING
    return KEEP_ALIVE if stop == end and keeps_alive(data, start, stop) else GARBAGE


@part
def tell_segment(flags: int, length: int, source: int, destination: int) -> int:
    """Return what a TCP segment between two ports is to strays; length is that of its payload on the wire."""
    handshake = flags & (SYN_FLAG | ACK_FLAG)
    if handshake == SYN_FLAG:
        if destination == H323_PORT:
            return H323
        return SYN if is_sip_port(destination) else NOTHING
    if handshake == SYN_FLAG | ACK_FLAG:
        return OPENED if is_sip_port(source) else NOTHING
    return SPOKEN if length > 0 and is_sip_port(destination) else NOTHING


@part
def is_same(stray: np.void, source: np.ndarray, destination: np.ndarray, ports: int, kind: int) -> bool:
    """Say whether a stray is of that kind and between those ends."""
    own = np.int64(stray["source_port"]) << 16 | np.int64(stray["destination_port"])
    return (
        own == ports
        and stray["kind"] == kind
        and stray["source"][1] == source[1]
        and stray["destination"][1] == destination[1]
        and stray["source"][0] == source[0]
        and stray["destination"][0] == destination[0]
    )


@part
def find_slot(source: np.ndarray, destination: np.ndarray, ports: int, kind: int) -> int:
    """Return where the place of a stray of that kind and between those ends is looked for."""
    one, two = source[0] ^ source[1], destination[0] ^ destination[1]
    one = (one ^ one >> 32) & LOW
    two = (two ^ two >> 32) & LOW
    mixed = one * 0x2545F491 ^ two * 0x5851F42D ^ ports * 0x61C88647 ^ kind
    return (mixed >> 24 ^ mixed >> 12 ^ mixed) & (RECENT - 1)


@part
def tell_stray(data: np.ndarray, place: np.ndarray, fate: int) -> int:
    """Return what a packet is to strays that was found to be NO_SIP, SEGMENT or TCP; of others NOTHING."""
    at = place[AT]
    if fate == NO_SIP:
        return tell_datagram(data, at, place[STOP], place[END], big16(data, at - 8), big16(data, at - 6))
    if fate != SEGMENT and fate != TCP:
        return NOTHING
    length = place[END] - at - np.int64(data[at + 12] >> 4) * 4
    return tell_segment(np.int64(data[at + 13]), length, big16(data, at), big16(data, at + 2))


@part
def note_stray(data: np.ndarray, place: np.ndarray, fate: int, kind: int, written: np.void) -> None:
    """Count a packet of that fate among the strays of that kind.

    Where another one took its slot, the same ends get another row: whoever sends both fills rows, and no more.
    """
    at = place[AT]
    row = written["rows"][written["tally"][ROWS]]  # nothing else is written there for such a packet
    write_row(data, place, at - 8 if fate == NO_SIP else at, at, row)
    source, destination = row["source"], row["destination"]
    port, other = np.int64(row["destination_port"]), np.int64(row["source_port"])
    if kind == OPENED:
        source, destination, port = destination, source, other
    ports = other << 16 | port if kind == MEDIA else port
    slot = find_slot(source, destination, ports, kind)
    strays, recent, tally = written["strays"], written["recent"], written["tally"]
    place = np.int64(recent[slot]) - 1
    if place < 0 or not is_same(strays[place], source, destination, ports, kind):
        place = tally[STRAYS]
        tally[STRAYS] += 1
        recent[slot] = tally[STRAYS]
        stray = strays[place]
        for half in range(2):
            stray["source"][half] = source[half]
            stray["destination"][half] = destination[half]
        stray["source_port"] = ports >> 16
        stray["destination_port"] = port
        stray["kind"] = kind
        stray["number"] = row["number"]
        stray["start"] = stray["end"] = row["time"]
        stray["packets"] = 0
    stray = strays[place]
    stray["packets"] += 1
    stray["end"] = max(stray["end"], row["time"])
    if row["time"] >= 0 and (stray["start"] < 0 or row["time"] < stray["start"]):
        stray["start"] = row["time"]
