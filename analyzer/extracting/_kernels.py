"""Kernels that tell of each packet which connection, stream of media or datagram it is a part of, and copy packets."""

# ruff: noqa: PLR0917, SIM109 (kernels are called by position, and compile best as flat loops)
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import kernel, part
from analyzer.engines._kernels import begin, decode_layer
from analyzer.engines._layout import (
    AT,
    CAPTURED_STOP,
    CHAIN,
    DATAGRAM,
    EXTENSION,
    GUESS,
    HOMER,
    IP_AT,
    IPV6,
    LETTER,
    MAX_LAYERS,
    NEXT,
    PIECE,
    PROTOCOLS,
    START,
    STOP,
    STREAM,
    TYPE,
    WHEN,
)  # fmt: skip
from analyzer.engines._tunnels import decode_payload, may_be_tunnel
from analyzer.engines._words import big16, big32

PRIME = (1 << 31) - 1
SECRETS = (1_103_515_245, 742_938_285)
UDP_PROTOCOL, TCP_PROTOCOL = 17, 6
PACKET_BLOCK, COMMENT = 6, 1  # of pcapng

# --- the index into what is told of a packet
FLOW = 0  # its flow, whichever way it goes; 0 if it has none
PART_OF = 1  # the datagram that it is a fragment of; 0 if it is none
FLAGS = 2  # of TCP; -1 if it is no segment
SEQUENCE = 3
TURNED = 4  # 1 if it goes the other way
TOLD = 5


@part
def mix_address(data: np.ndarray, at: int, version: int, total: int, secret: int) -> int:
    """Return total with an address mixed in, IPv4 as ::ffff:a.b.c.d."""
    if version == 4:
        total = total * secret % PRIME
        total = total * secret % PRIME
        total = (total * secret + 0xFFFF) % PRIME
        return (total * secret + big32(data, at)) % PRIME
    for word in range(4):
        total = (total * secret + big32(data, at + 4 * word)) % PRIME
    return total


@part
def note_flow(data: np.ndarray, place: np.ndarray, ports: int, protocol: int, told: np.ndarray) -> None:
    """Note the flow of a packet: its two ends, in either order, and the protocol."""
    ip = place[IP_AT]
    version = np.int64(data[ip] >> 4)
    size = 4 if version == 4 else 16
    first = ip + 12 if version == 4 else ip + 8
    key = np.int64(0)
    told[TURNED] = 0
    for secret in SECRETS:
        one = mix_address(data, first, version, protocol, secret)
        other = mix_address(data, first + size, version, protocol, secret)
        one = (one * secret + big16(data, ports)) % PRIME
        other = (other * secret + big16(data, ports + 2)) % PRIME
        key = key << 31 | (one + other) % PRIME
        told[TURNED] = 1 if one > other else 0
    told[FLOW] = key | 1 << 62


@part
def note_piece(data: np.ndarray, place: np.ndarray, told: np.ndarray) -> int:
    """Note which datagram a fragment is of; return what begins next if it is the first one, else 0."""
    ip, at = place[IP_AT], place[AT]
    version = np.int64(data[ip] >> 4)
    size = 4 if version == 4 else 16
    first = ip + 12 if version == 4 else ip + 8
    if version == 4:
        ident, protocol, offset = big16(data, ip + 4), np.int64(data[ip + 9]), big16(data, ip + 6) & 0x1FFF
    else:
        if place[STOP] - at < 8:
            return 0
        ident, protocol, offset = big32(data, at + 4), np.int64(data[at]), big16(data, at + 2) & 0xFFF8
        place[AT] = at + 8
    key = np.int64(0)
    for secret in SECRETS:
        total = mix_address(data, first, version, protocol, secret)
        total = mix_address(data, first + size, version, total, secret)
        key = key << 31 | (total * secret + ident) % PRIME
    told[PART_OF] = key | 1 << 62
    if offset != 0:
        return 0
    what = np.int64(PROTOCOLS[protocol])
    return CHAIN + protocol if version == 6 or what == TYPE or what == EXTENSION else what


@part
def tell_layer(data: np.ndarray, what: int, place: np.ndarray, told: np.ndarray) -> int:
    """Decode the next layer, and note what it tells; return what follows, below NEXT if nothing does."""
    if what == PIECE:
        return note_piece(data, place, told)
    if what == STREAM:
        tcp = place[AT]
        note_flow(data, place, tcp, TCP_PROTOCOL, told)
        told[FLAGS], told[SEQUENCE] = data[tcp + 13] & 31, big32(data, tcp + 4)
        return 0
    if what == DATAGRAM:
        note_flow(data, place, place[AT] - 8, UDP_PROTOCOL, told)
        if not may_be_tunnel(data, place):
            return 0
        what = decode_payload(data, place) & (GUESS - 1)
        return 0 if what == HOMER else what
    if what == HOMER or what == LETTER:
        return 0
    return decode_layer(data, what, place) & (GUESS - 1)


@kernel
def tell_packets(
    data: np.ndarray, found: np.ndarray, links: np.ndarray, place: np.ndarray, tally: np.ndarray, told: np.ndarray
) -> int:  # fmt: skip
    """Write what is told of each packet that was found, of the innermost packet in it; return how many were told of."""
    for index in range(len(found)):
        row = told[index]
        row[:] = 0
        row[FLAGS] = -1
        what = begin(data, found, index, links, place, tally)
        layers = 0
        while what >= NEXT:
            if what <= IPV6 or what == PIECE:
                layers += 1
                if layers > MAX_LAYERS:
                    break
            what = tell_layer(data, what, place, row)
    return len(found)


@part
def put32(out: np.ndarray, at: int, value: int) -> int:
    """Write a number of 32 bits, the least byte first; return where the next one goes."""
    for index in range(4):
        out[at + index] = value >> (8 * index) & 0xFF
    return at + 4


@kernel
def put_blocks(
    data: np.ndarray, found: np.ndarray, missing: np.ndarray, interfaces: np.ndarray, text: np.ndarray,
    texts: np.ndarray, ends: np.ndarray, out: np.ndarray,
) -> int:  # fmt: skip
    """Write an Enhanced Packet Block for each packet that was found, with its comment; return how many were written.

    Out is zeros. The comment of a packet ends in text where texts says, its block ends in out where ends says.
    """
    start, said = np.int64(0), np.int64(0)
    for index in range(len(found)):
        first, stop, end = found[index, START], found[index, CAPTURED_STOP], ends[index]
        time = max(found[index, WHEN], 0)
        at = put32(out, start, PACKET_BLOCK)
        at = put32(out, at, end - start)
        at = put32(out, at, interfaces[index])
        at = put32(out, at, time >> 32)
        at = put32(out, at, time & 0xFFFFFFFF)
        at = put32(out, at, stop - first)
        at = put32(out, at, stop - first + missing[index])
        for byte in range(first, stop):
            out[at + byte - first] = data[byte]
        at += stop - first + (first - stop) % 4
        size = texts[index] - said
        if size > 0:
            out[at], out[at + 2], out[at + 3] = COMMENT, size & 0xFF, size >> 8
            for byte in range(size):
                out[at + 4 + byte] = text[said + byte]
        said = texts[index]
        put32(out, end - 4, end - start)
        start = end
    return len(found)
