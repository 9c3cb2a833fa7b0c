"""Kernels that give each packet its one fate, and write those that may carry SIP.

What most packets are, and SIP too, is one kernel; the other one knows of tunnels and fragments as well, and is not
compiled before it is needed.
"""

# ruff: noqa: PLR0917, SIM109 (kernels are called by position, and compile best as flat loops)

import numpy as np

from analyzer.compiled import kernel, part
from analyzer.engines._flows import settle_segment
from analyzer.engines._fragments import join
from analyzer.engines._headers import decode_chain, decode_ethertype, decode_ip, decode_link, decode_tcp, decode_udp
from analyzer.engines._layout import (
    AT,
    BAD_BLOCK,
    BAD_IP,
    BAD_TCP,
    BAD_UDP,
    CAPTURED_STOP,
    CHAIN,
    CUT,
    DATAGRAM,
    DONE,
    END,
    ETHERTYPE,
    FIRST,
    FRAGMENT,
    FULL,
    GRE_HEADER,
    GUESS,
    HEP,
    HOMER,
    INTERFACE_OF,
    IPV6,
    JOINED,
    LAST,
    LETTER,
    LINK_TYPE,
    MAX_LAYERS,
    NEXT,
    NO_INTERFACE,
    NO_SIP,
    NOTED,
    NUMBER,
    PACKET,
    PAYLOAD,
    PENDING,
    PIECE,
    PPP,
    ROOM,
    ROOM_OF_ROWS,
    ROWS,
    SEGMENT,
    SEGMENTS,
    SHARED,
    SHIFT,
    SIP,
    SIP_PORT,
    START,
    STOP,
    STRAYS,
    STRAYS_AT_ONCE,
    STREAM,
    TCP_HEADER,
    TIME,
    TOO_DEEP,
    TYPE,
    UDP,
    UDP_TUNNEL,
    UNUSUAL,
    WHEN,
    WIRE_STOP,
)  # fmt: skip
from analyzer.engines._rows import settle_datagram
from analyzer.engines._start_lines import may_be_sip
from analyzer.engines._strays import note_stray, tell_stray
from analyzer.engines._tunnels import (
    decode_gre,
    decode_homer,
    decode_mpls,
    decode_payload,
    decode_ppp,
    may_be_tunnel,
)  # fmt: skip
from analyzer.engines.strays import NOTHING


@part
def has_room(joined: np.ndarray, tally: np.ndarray) -> bool:
    """Say whether whatever the next packet turns out to be can be written."""
    return (
        tally[ROWS] < tally[ROOM_OF_ROWS]
        and tally[SEGMENTS] < tally[ROOM_OF_ROWS]
        and tally[STRAYS] < STRAYS_AT_ONCE
        and tally[JOINED] <= len(joined) - ROOM
    )


@part
def begin(
    data: np.ndarray, found: np.ndarray, index: int, links: np.ndarray, place: np.ndarray, tally: np.ndarray
) -> int:  # fmt: skip
    """Set place to the beginning of packet index of those that were found, and say what begins there."""
    place[TIME] = found[index, WHEN]
    place[AT] = found[index, START]
    place[STOP] = found[index, CAPTURED_STOP]
    place[END] = found[index, WIRE_STOP]
    place[PACKET] = tally[NUMBER] + 1
    place[SHARED] = 1
    place[SHIFT] = 0
    if place[AT] < 0:
        return BAD_BLOCK
    interface = found[index, INTERFACE_OF]
    if not 0 <= interface < len(links):
        return NO_INTERFACE
    return decode_link(data, place, links[interface]["link"])


@part
def settle(fate: int, interface: int, links: np.ndarray, place: np.ndarray, written: np.void) -> None:
    """Give a packet its number, and its fate unless that has to wait."""
    tally = written["tally"]
    tally[NUMBER] += 1
    time = place[TIME]
    if time >= 0:
        tally[LAST] = max(tally[LAST], time)
        tally[FIRST] = time if tally[FIRST] < 0 else min(tally[FIRST], time)
    if fate == PENDING:
        return
    packets = place[SHARED]
    if fate == SIP:
        tally[ROWS] += 1
    elif fate == SEGMENT:
        tally[SEGMENTS] += 1
        written["fates"][FRAGMENT] += packets - 1  # the segment itself is one packet
        packets = np.int64(1)
    written["fates"][fate] += packets
    if fate == LINK_TYPE:
        links[interface]["aside"] += 1
    elif fate >= CUT and tally[NOTED] < len(written["odd"]):
        odd = written["odd"][tally[NOTED]]
        odd["number"] = tally[NUMBER]
        odd["time"] = time
        odd["fate"] = fate
        tally[NOTED] += 1


@kernel
def settle_usual(
    data: np.ndarray, found: np.ndarray, first: int, count: int, links: np.ndarray, joined: np.ndarray,
    memory: np.void, written: np.void,
) -> tuple[int, int]:  # fmt: skip
    """Settle packets first up to but without count of those that were found, as long as they are usual ones.

    Return which is the next one, and DONE, FULL or UNUSUAL.
    """
    place, tally = written["place"], written["tally"]
    for index in range(first, count):
        if not has_room(joined, tally):
            return index, FULL
        what = begin(data, found, index, links, place, tally)
        if what == TYPE or what >= ETHERTYPE:
            what = decode_ethertype(data, place, what)
        if NEXT <= what <= IPV6:
            what = decode_ip(data, place, what)
            if CHAIN <= what < ETHERTYPE:
                what = decode_chain(data, place, what - CHAIN)
        if what == UDP:
            what = decode_udp(data, place)
            if what == DATAGRAM:
                what = settle_datagram(data, place, written["rows"][tally[ROWS]])
                if what == PAYLOAD and not may_be_tunnel(data, place):
                    what = np.int64(NO_SIP)
        elif what == TCP_HEADER:
            what = decode_tcp(data, place)
            if what == STREAM:
                what = settle_segment(data, place, memory["flows"], written["segments"][tally[SEGMENTS]])
        if what >= NEXT:
            return index, UNUSUAL
        stray = tell_stray(data, place, what)
        if stray != NOTHING:
            note_stray(data, place, what, stray, written)
        settle(what, found[index, INTERFACE_OF], links, place, written)
    return count, DONE


@part
def decode_layer(data: np.ndarray, what: int, place: np.ndarray) -> int:
    """Decode the next layer, which is what."""
    if what >= ETHERTYPE or what == TYPE:
        return decode_ethertype(data, place, what)
    if what >= CHAIN:
        return decode_chain(data, place, what - CHAIN)
    if what == UDP:
        return decode_udp(data, place)
    if what <= IPV6:
        return decode_ip(data, place, what)
    if what == TCP_HEADER:
        return decode_tcp(data, place)
    if what == PPP:
        return decode_ppp(data, place)
    if what == GRE_HEADER:
        return decode_gre(data, place)
    if what == PAYLOAD:
        return decode_payload(data, place)
    return decode_mpls(data, place)


@part
def settle_letter(data: np.ndarray, place: np.ndarray, row: np.void) -> int:
    """Return the fate of the payload of a HEP3 packet, its row written."""
    sip_port = row["source_port"] == SIP_PORT or row["destination_port"] == SIP_PORT
    return SIP if may_be_sip(data, place[AT], place[STOP], sip_port) else HEP


@part
def decode(data: np.ndarray, what: int, joined: np.ndarray, memory: np.void, written: np.void) -> int:
    """Decode a packet, which begins with what, down to its innermost payload; return its fate."""
    place, tally = written["place"], written["tally"]
    row = written["rows"][tally[ROWS]]
    block = len(data)
    guessed = False
    layers = 0
    while what >= NEXT:
        if what <= IPV6 or what == PIECE:
            layers += 1
            if layers > MAX_LAYERS:
                return TOO_DEEP
        if what == DATAGRAM:
            what = settle_datagram(data, place, row)
        elif what == STREAM:
            what = settle_segment(data, place, memory["flows"], written["segments"][tally[SEGMENTS]])
        elif what == HOMER:
            what = decode_homer(data, place, row)
        elif what == LETTER:
            what = settle_letter(data, place, row)
        elif what == PIECE:
            what = join(data, place, joined, memory, written)
            if what >= NEXT:
                data = joined
                place[SHIFT] = block
        else:
            what = decode_layer(data, what, place)
            guessed |= what >= GUESS
            what &= GUESS - 1
    cut = what == CUT and place[STOP] == place[END]
    return UDP_TUNNEL if guessed and (cut or what == BAD_IP or what == BAD_UDP or what == BAD_TCP) else what


@kernel
def settle_all(
    data: np.ndarray, found: np.ndarray, first: int, count: int, links: np.ndarray, joined: np.ndarray,
    memory: np.void, written: np.void,
) -> tuple[int, int]:  # fmt: skip
    """Settle packets first up to but without count of those that were found, whatever they are.

    Return which is the next one, and DONE or FULL.
    """
    tally = written["tally"]
    for index in range(first, count):
        if not has_room(joined, tally):
            return index, FULL
        used = tally[JOINED]
        what = begin(data, found, index, links, written["place"], tally)
        if what >= NEXT:
            what = decode(data, what, joined, memory, written)
        if what != SIP and what != SEGMENT:
            tally[JOINED] = used  # nobody points there
        held = joined if written["place"][SHIFT] else data
        stray = tell_stray(held, written["place"], what)
        if stray != NOTHING:
            note_stray(held, written["place"], what, stray, written)
        settle(what, found[index, INTERFACE_OF], links, written["place"], written)
    return count, DONE
