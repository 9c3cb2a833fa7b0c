"""Fragments of IP datagrams: kept until their datagram is whole, too old, or in the way."""

# ruff: noqa: FBT001, PLR0913, PLR0917, SIM110 (kernels are called by position, and compile best as flat loops)
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import kernel, part
from analyzer.engines._layout import (
    AT,
    BAD_FRAGMENT,
    CHAIN,
    CHUNK,
    CHUNKS,
    CLASHED,
    END,
    FRAGMENT,
    GROWING,
    HEADER,
    IP_AT,
    JOINED,
    LEFT,
    LOST,
    NOTES,
    OLDEST,
    PACKET,
    PENDING,
    PLACES,
    SHARED,
    SHOWN,
    SPARE,
    SPOILT,
    STOP,
    TIME,
    TIMEOUT,
    UNUSED,
    VERSION_6,
    WORDS,
)  # fmt: skip
from analyzer.engines._places import add_place, drop_place, find_place, is_full
from analyzer.engines._words import big16, big32

ZERO, ONE, ALL = np.uint64(0), np.uint64(1), np.uint64(2**64 - 1)


@part
def give_up(memory: np.void, which: int) -> None:
    """Forget a datagram."""
    spare = memory["spare"]
    for slot in range(CHUNKS):
        chunk = memory["chunks"][which, slot]
        if chunk >= 0:
            memory["after"][chunk] = spare[SPARE]
            spare[SPARE] = chunk
            spare[LEFT] += 1
    drop_place(memory["datagrams"], which)


@part
def lose(memory: np.void, written: np.void, which: int) -> None:
    """Forget a datagram that is not whole: tell so, and settle the fate of its fragments."""
    tell_lost(memory, written, which)
    written["fates"][FRAGMENT] += memory["facts"][which]["packets"]
    give_up(memory, which)


@part
def tell_lost(memory: np.void, written: np.void, place: int) -> None:
    """Write what is known of a datagram, as far as there is room."""
    row = written["tally"][LOST]
    written["tally"][LOST] += 1
    if row < NOTES:
        written["lost"][row] = memory["facts"][place]


@kernel
def give_up_all(memory: np.void, written: np.void) -> None:
    """Settle the fate of all fragments that are pending."""
    while memory["datagrams"]["state"][OLDEST] >= 0:
        lose(memory, written, memory["datagrams"]["state"][OLDEST])


@part
def must_give_up(memory: np.void, time: int) -> bool:
    """Say whether the oldest datagram is too old at time, or there may be no room for another fragment."""
    state = memory["datagrams"]["state"]
    oldest = state[OLDEST]
    if oldest < 0:
        return False
    began = memory["facts"][oldest]["time"]
    late = 0 <= began < time - TIMEOUT
    return late or memory["spare"][LEFT] < CHUNKS or is_full(memory["datagrams"])


@part
def ask_datagram(keys: np.ndarray, data: np.ndarray, ip: int, at: int) -> None:
    """Make the datagram of a fragment the key that is looked for (RFC 791 section 3.2, RFC 8200 section 4.5)."""
    for which in range(2):
        for half in range(2):
            keys[PLACES, 2 * which + half] = address_half(data, ip, which, half)
    if data[ip] >> 4 == 4:
        keys[PLACES, 4] = np.int64(data[ip + 9]) << 32 | big16(data, ip + 4)
    else:
        keys[PLACES, 4] = VERSION_6 | big32(data, at + 4)


@part
def address_half(data: np.ndarray, ip: int, which: int, half: int) -> int:
    """Return half of the source (0) or destination (1) of the IP header at ip; IPv4 as ::ffff:a.b.c.d."""
    if data[ip] >> 4 == 4:
        return 0xFFFF00000000 | big32(data, ip + 12 + 4 * which) if half else np.int64(0)
    at = ip + 8 + 16 * which + 8 * half
    return big32(data, at) << 32 | big32(data, at + 4)


@part
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
    for slot in range(CHUNKS):
        memory["chunks"][place, slot] = -1
    return place


@part
def find_chunk(memory: np.void, place: int, slot: int) -> int:
    """Return the chunk that holds that part of a datagram, if need be a spare one; must_give_up sees to them."""
    chunk = np.int64(memory["chunks"][place, slot])
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
    memory["chunks"][place, slot] = chunk
    return chunk


@part
def count_bits(word: int) -> int:
    """Return how many bits of a uint64 are set."""
    count = np.int64(0)
    while word != ZERO:
        word &= word - ONE
        count += 1
    return count


@part
def bits_of(first: int, last: int) -> int:
    """Return a uint64 with the bits from first up to but without last, both within 0 and 64."""
    bits = ALL if last - first == 64 else (ONE << np.uint64(last - first)) - ONE
    return bits << np.uint64(first)


@part
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


@part
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


@part
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


@part
def join(data: np.ndarray, place: np.ndarray, joined: np.ndarray, memory: np.void, written: np.void) -> int:
    """Take in a fragment; return PENDING, or what begins in its whole datagram, the place of which in joined is place.

    How many packets all that came in is beside the place.
    """
    ip, at, stop = place[IP_AT], place[AT], place[STOP]
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
    finish = offset + place[END] - payload
    if finish <= offset or finish > 65_535 or (more and finish & 7):
        return BAD_FRAGMENT
    which = remember(data, place, memory, written)
    facts = memory["facts"][which]
    if offset == 0 and version == 6:
        facts["protocol"] = np.int64(data[at])
    known = offset + max(stop - payload, 0)
    if facts["state"] == SPOILT or not take_in(memory, which, data, payload, offset, finish, known, more):
        return PENDING
    if facts["state"] == CLASHED:
        tell_lost(memory, written, which)
    what = CHAIN + facts["protocol"]
    write_whole(data, place, joined, memory, written, which)
    give_up(memory, which)
    return what


@part
def remember(data: np.ndarray, place: np.ndarray, memory: np.void, written: np.void) -> int:
    """Return the datagram of a fragment, which is counted; make room for it first."""
    time = place[TIME]
    while must_give_up(memory, time):
        lose(memory, written, memory["datagrams"]["state"][OLDEST])
    ask_datagram(memory["datagrams"]["keys"], data, place[IP_AT], place[AT])
    which = find_place(memory["datagrams"])
    if which < 0:
        which = begin_datagram(memory, time, place[PACKET])
    facts = memory["facts"][which]
    if facts["fragments"] < SHOWN:
        facts["shown"][facts["fragments"]] = place[PACKET]
    facts["fragments"] += 1
    facts["packets"] += place[SHARED]
    return which


@part
def write_whole(
    data: np.ndarray, place: np.ndarray, joined: np.ndarray, memory: np.void, written: np.void, which: int
) -> None:  # fmt: skip
    """Write a datagram into joined, behind the IP header of its last fragment, and move place there."""
    facts = memory["facts"][which]
    ip = place[IP_AT]
    base = written["tally"][JOINED]
    start = base + HEADER
    for i in range(20 if data[ip] >> 4 == 4 else HEADER):
        joined[base + i] = data[ip + i]
    held = min(facts["total"], facts["held"])
    for i in range(held):
        joined[start + i] = memory["pool"][memory["chunks"][which, i // CHUNK], i % CHUNK]
    written["tally"][JOINED] = start + held
    place[IP_AT] = base
    place[AT] = start
    place[STOP] = start + held
    place[END] = start + facts["total"]
    place[SHARED] = facts["packets"]
