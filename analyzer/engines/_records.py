"""Kernels that find the packets in the records of a pcap file and in the blocks of a pcapng file."""

# ruff: noqa: FBT001, PLR0911, PLR0913, PLR0917, PLR1714 (kernels are called by position, and compile best as flat loops)
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import kernel, part
from analyzer.engines._layout import (
    CAPTURED_STOP,
    DAMAGED,
    ENOUGH,
    INTERFACE,
    INTERFACE_OF,
    LATEST,
    MORE,
    SECTION,
    START,
    STATISTICS,
    WHEN,
    WIRE_STOP,
)  # fmt: skip
from analyzer.engines._words import big32, number32

LOW = 0xFFFFFFFF
POWERS = np.array([10**exponent for exponent in range(10)], np.int64)


@part
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


@kernel
def find_in_pcap(
    data: np.ndarray, start: int, stop: int, header: int, big: bool, tick: int, limit: int, found: np.ndarray
) -> tuple[int, int, int]:  # fmt: skip
    """Find the packets of all whole records of data[start:stop], as many as found has room for.

    A record's header has that many bytes, its fraction of a second is in ticks of that many ns, and it holds at
    most limit bytes of a packet. Return where the rest begins, MORE, DAMAGED or ENOUGH, and how many were found.
    """
    at = start
    count = 0
    while stop - at >= header:
        captured = number32(data, at + 8, big)
        if captured > limit:
            return at, DAMAGED, count
        if stop - at - header < captured:
            break
        if count == len(found):
            return at, ENOUGH, count
        found[count, WHEN] = number32(data, at, big) * 1_000_000_000 + number32(data, at + 4, big) * tick
        found[count, WIRE_STOP] = at + header + max(number32(data, at + 12, big), captured)
        found[count, START] = at + header
        found[count, INTERFACE_OF] = 0
        at += header + captured
        found[count, CAPTURED_STOP] = at
        count += 1
    return at, MORE, count


@part
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


@kernel
def find_in_pcapng(
    data: np.ndarray, start: int, stop: int, big: bool, limit: int, links: np.ndarray, found: np.ndarray
) -> tuple[int, int, int]:  # fmt: skip
    """Find the packets of all whole blocks of data[start:stop], as many as found has room for.

    Return where the rest begins, why, and how many were found: MORE, DAMAGED or ENOUGH, or the kind of a block that
    is whole and that the caller has to read.
    """
    at = start
    count = 0
    while stop - at >= 12:
        kind = number32(data, at, big)
        if kind == 0x0A0D0D0A:
            order = big32(data, at + 8)
            if order != 0x1A2B3C4D and order != 0x4D3C2B1A:
                return at, DAMAGED, count
            big = order == 0x1A2B3C4D
        size = measure_block(data, at, stop, big, limit)
        if size <= 0:
            return at, MORE if size == 0 else DAMAGED, count
        if kind == 0x0A0D0D0A:
            return at, SECTION if size >= 28 else DAMAGED, count
        if kind == 1:
            return at, INTERFACE, count
        if kind == 5:
            return at, STATISTICS, count
        if kind == 2 or kind == 3 or kind == 6:
            if count == len(found):
                return at, ENOUGH, count
            find_in_block(data, at, at + size, kind, big, links, found, count)
            count += 1
        at += size
    return at, MORE, count


@part
def find_in_block(
    data: np.ndarray, start: int, stop: int, kind: int, big: bool, links: np.ndarray,
    found: np.ndarray, count: int,
) -> None:  # fmt: skip
    """Write the packet of the Enhanced (6), Simple (3) or obsolete (2) Packet Block data[start:stop] into found."""
    at = time = -1
    interface = captured = wire = 0
    room = stop - start - (16 if kind == 3 else 32)
    if kind == 3 and room >= 0:
        at = start + 12
        wire = number32(data, start + 8, big)
        captured = min(wire, room)
        if len(links) and links[0]["snap"]:
            captured = min(captured, links[0]["snap"])
    elif room >= 0:
        interface = number32(data, start + 8, big)
        if kind == 2:  # the other half counts lost packets
            interface = interface >> 16 if big else interface & 0xFFFF
        captured = number32(data, start + 20, big)
        wire = max(number32(data, start + 24, big), captured)
        at = start + 28 if captured <= room else -1
        if interface < len(links):
            high, low = number32(data, start + 12, big), number32(data, start + 16, big)
            time = nanoseconds(high, low, links[interface]["resolution"], links[interface]["offset"])
    found[count, START] = at
    found[count, CAPTURED_STOP] = at + captured
    found[count, WIRE_STOP] = at + wire
    found[count, WHEN] = time
    found[count, INTERFACE_OF] = interface
