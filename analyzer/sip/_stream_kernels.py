"""Compiled loops from the segments of TCP streams to the messages in them.

Each direction of a connection is a stream of its own, a row of `state`. Its segments are taken in the order of the
capture: what is next is framed at once, what is ahead waits in `records`, a list per stream sorted by sequence number.
The bytes of an unfinished message, and those that wait, are in `arena`; what is in use is at most a bound, or the
stream that was silent longest is given up. Nothing depends on where a block of the capture ends.

As in _kernels.py, a kernel takes arrays and numbers, raises nothing, and reads only between start and stop. Where room
may run out the kernel returns before it has touched a segment, and is called again with more.
"""

# ruff: noqa: C901, PLR0912, PLR0913, PLR0917, FBT001 -- flat loops compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import kernel, part
from analyzer.sip._framing import copy
from analyzer.sip._stream_books import (
    BASE,
    BEHIND,
    BETWEEN,
    CHAIN,
    CLASS,
    CLOSED,
    COUNTS,
    DONE,
    FATES,
    FIN,
    FIN_AT,
    FIRST,
    FREE_STREAM,
    HASH,
    HEAD,
    IDLE_TIME,
    IN_STEP,
    KEEP_ALIVE,
    KEPT,
    KEPT_AT,
    KEY,
    LAST,
    LIVE,
    LOW,
    MORE_ARENA,
    MORE_RECORDS,
    MORE_ROWS,
    MORE_STREAMS,
    MOST_BYTES,
    MOST_STREAMS,
    NEWER,
    NEWEST,
    NEXT,
    ODD_GIVEN_UP,
    ODD_OVERLAP,
    OLDER,
    OLDEST,
    OTHER_FIRST,
    REC_AT,
    REC_COUNTS,
    REC_MISSING,
    REC_NEXT,
    REC_NUMBER,
    REC_SEQUENCE,
    REC_SIZE,
    REC_TIME,
    REC_TTL,
    RECORD_BYTES,
    RECORDS,
    RETRANSMISSION,
    ROOM,
    ROWS,
    RST,
    SCRATCH,
    SEEN,
    SEG_FLAGS,
    SEG_HASH,
    SEG_LENGTH,
    SEG_MISSING,
    SEG_NUMBER,
    SEG_SEQUENCE,
    SEG_START,
    SEG_TIME,
    SEG_TTL,
    SMALL_ROOM,
    SMALLEST,
    STAGE,
    STREAMS,
    SYN,
    TAIL,
    TCP_HANDSHAKE,
    TOP,
    WAITING,
    WAITING_BYTES,
    WANTED,
    WITHOUT_SIP,
    Books,
    note,
)
from analyzer.sip._stream_order import differs, has_begun, move, wait
from analyzer.sip.grammar import NONE

# --- streams


@part
def unqueue(books: Books, k: int) -> None:
    """Take stream k out of the order of last segments."""
    state, pool = books.state, books.pool
    group = state[k, CLASS]
    older, newer = state[k, OLDER], state[k, NEWER]
    if older == NONE:
        pool[OLDEST + group] = newer
    else:
        state[older, NEWER] = newer
    if newer == NONE:
        pool[NEWEST + group] = older
    else:
        state[newer, OLDER] = older
    pool[COUNTS + group] -= 1


@part
def enqueue(books: Books, k: int, group: int, time: int) -> None:
    """Make stream k the one with the last segment."""
    state, pool = books.state, books.pool
    newest = pool[NEWEST + group]
    state[k, CLASS] = group
    state[k, OLDER] = newest
    state[k, NEWER] = NONE
    state[k, LAST] = time
    if newest == NONE:
        pool[OLDEST + group] = k
    else:
        state[newest, NEWER] = k
    pool[NEWEST + group] = k
    pool[COUNTS + group] += 1


@part
def look_up(books: Books, segments: np.ndarray, i: int) -> int:
    """Return the stream of segment i, or NONE."""
    state = books.state
    k = books.slots[segments[i, SEG_HASH] & (len(books.slots) - 1)]
    while k != NONE:
        same = 0
        while same < KEY and state[k, same] == segments[i, same]:
            same += 1
        if same == KEY:
            return k
        k = state[k, CHAIN]
    return NONE


@part
def open_stream(books: Books, k: int, first: int, known: bool) -> None:
    """Make stream k begin with the byte first; known says that a SYN told so."""
    state = books.state
    state[k, FIRST] = first if known else NONE
    state[k, NEXT] = first
    state[k, OTHER_FIRST] = state[k, FIN_AT] = NONE
    state[k, CLOSED] = state[k, SEEN] = 0
    state[k, STAGE] = BETWEEN
    state[k, IN_STEP] = 1 if known else 0


@part
def add_stream(books: Books, segments: np.ndarray, i: int) -> int:
    """Return a new stream for segment i, not queued yet; the caller has made sure that there is room."""
    state, pool = books.state, books.pool
    k = pool[FREE_STREAM]
    if k == NONE:
        k = pool[STREAMS]
        pool[STREAMS] += 1
    else:
        pool[FREE_STREAM] = state[k, CHAIN]
    state[k, :] = 0
    for column in range(KEY):
        state[k, column] = segments[i, column]
    state[k, HASH] = segments[i, SEG_HASH]
    slot = state[k, HASH] & (len(books.slots) - 1)
    state[k, CHAIN] = books.slots[slot]
    books.slots[slot] = k
    state[k, HEAD] = state[k, TAIL] = NONE
    return k


@part
def remove(books: Books, k: int) -> None:
    """Forget stream k, of which nothing is open."""
    state, pool = books.state, books.pool
    unqueue(books, k)
    slot = state[k, HASH] & (len(books.slots) - 1)
    if books.slots[slot] == k:
        books.slots[slot] = state[k, CHAIN]
    else:
        before = books.slots[slot]
        while state[before, CHAIN] != k:
            before = state[before, CHAIN]
        state[before, CHAIN] = state[k, CHAIN]
    state[k, CHAIN] = pool[FREE_STREAM]
    pool[FREE_STREAM] = k


@part
def pick_victim(books: Books, now: int, more: bool) -> int:
    """Return the stream that has to go before anything else is done, or NONE; more: another one is to come.

    Those without payload go first, so that a flood of SYNs does not drive out conversations.
    """
    state, pool = books.state, books.pool
    idle, old = pool[OLDEST], pool[OLDEST + 1]
    if old != NONE and now - state[old, LAST] > pool[IDLE_TIME]:
        return old
    if idle != NONE and now - state[idle, LAST] > pool[IDLE_TIME]:
        return idle
    count = pool[COUNTS] + pool[COUNTS + 1]
    if more and count >= pool[MOST_STREAMS]:
        return idle if idle != NONE and (old == NONE or 2 * pool[COUNTS] >= count) else old
    if pool[LIVE] > pool[MOST_BYTES] and pool[COUNTS + 1] > 1:
        return old
    return NONE


# --- segments


@part
def new_first(books: Books, k: int, segments: np.ndarray, i: int) -> int:
    """Return the first byte of another stream that segment i opens in the place of stream k, or NONE.

    A later SYN opens it when data follow it, or at once where the old stream is closed: a SYN alone may be forged.
    """
    state = books.state
    sequence = segments[i, SEG_SEQUENCE]
    if segments[i, SEG_FLAGS] & SYN:
        sequence = (sequence + 1) & LOW
        if sequence != state[k, FIRST]:
            if state[k, CLOSED] or state[k, CLASS] == 0:
                return sequence
            state[k, OTHER_FIRST] = sequence
    if segments[i, SEG_LENGTH] + segments[i, SEG_MISSING] == 0:
        return NONE
    other = state[k, OTHER_FIRST]
    ahead = (sequence - state[k, NEXT]) & LOW
    if other != NONE:
        further = (sequence - other) & LOW
        if further < BEHIND and further < ahead:
            return other
        if ahead == 0:
            state[k, OTHER_FIRST] = NONE  # the stream goes on
    elif state[k, CLOSED] and BEHIND < ahead < LOW + 1 - BEHIND:
        return sequence
    return NONE


@part
def find_stream(books: Books, segments: np.ndarray, i: int, k: int) -> int:
    """Return the stream of segment i, with k the one that is known: a new one if need be; NONE if it needs none."""
    state = books.state
    syn = segments[i, SEG_FLAGS] & SYN
    payload = segments[i, SEG_LENGTH] + segments[i, SEG_MISSING]
    group = 1 if payload else 0
    if k != NONE:
        group = max(group, state[k, CLASS])
        unqueue(books, k)
    elif syn or payload:
        k = add_stream(books, segments, i)
        open_stream(books, k, (segments[i, SEG_SEQUENCE] + (syn != 0)) & LOW, syn != 0)
    else:
        return NONE
    enqueue(books, k, group, segments[i, SEG_TIME])
    return k


@part
def take_segment(books: Books, k: int, segments: np.ndarray, i: int, data: np.ndarray, piece: np.ndarray) -> bool:
    """Take in segment i of stream k, and say whether it is what is awaited: then piece tells what to deliver of it."""
    state, pool = books.state, books.pool
    flags = segments[i, SEG_FLAGS]
    length, missing = segments[i, SEG_LENGTH], segments[i, SEG_MISSING]
    sequence = (segments[i, SEG_SEQUENCE] + (flags & SYN != 0)) & LOW
    end = (sequence + length + missing) & LOW
    if flags & FIN:
        state[k, FIN_AT] = end
    if flags & RST and end == state[k, NEXT]:
        state[k, CLOSED] = 1
    if length + missing == 0:
        pool[FATES + TCP_HANDSHAKE] += 1
        return False
    start = segments[i, SEG_START]
    back = (state[k, NEXT] - sequence) & LOW
    if 0 < back <= BEHIND:
        if length > 1 and differs(books, k, data, start, start + length, back):
            note(books, k, ODD_OVERLAP, min(length, back))
        if length <= back:
            probe = length <= 1 and back == 1  # a keep-alive repeats the last byte (RFC 9293 3.8.4)
            pool[FATES + (KEEP_ALIVE if probe else RETRANSMISSION)] += 1
            return False
        start += back
        sequence = state[k, NEXT]
    stop = segments[i, SEG_START] + length
    head = state[k, HEAD]
    free = head == NONE or (books.records[head, REC_SEQUENCE] - sequence) & LOW >= stop - start + missing
    if sequence == state[k, NEXT] and free:
        piece[REC_SEQUENCE], piece[REC_AT], piece[REC_SIZE], piece[REC_MISSING] = sequence, start, stop - start, missing
        piece[REC_NUMBER], piece[REC_TIME] = segments[i, SEG_NUMBER], segments[i, SEG_TIME]
        piece[REC_TTL], piece[REC_COUNTS] = segments[i, SEG_TTL], 1
        return True
    if length == 0:
        pool[FATES + WITHOUT_SIP] += 1
    else:
        wait(books, k, segments, i, data, start, sequence)
    return False


@part
def room_for(books: Books, k: int, length: int) -> int:
    """Return how many bytes stream k may have to give out, or to copy, when length more come."""
    if k == NONE:
        return length
    return length + books.state[k, KEPT] + books.state[k, WAITING_BYTES]


@part
def pick_stream(books: Books, segments: np.ndarray, i: int, ending: bool) -> tuple[int, int]:
    """Return the stream of segment i and the one that has to go before, NONE if there is none; ending: all have to."""
    pool = books.pool
    if i < len(segments):
        k = look_up(books, segments, i)
        return k, pick_victim(books, segments[i, SEG_TIME], k == NONE)
    if not ending:
        return NONE, NONE
    return NONE, pool[OLDEST + 1] if pool[OLDEST + 1] != NONE else pool[OLDEST]


@part
def lacks(books: Books, k: int, victim: int, length: int) -> int:
    """Return what there must be more of before length bytes of stream k are taken in, or victim goes; else DONE."""
    state, pool = books.state, books.pool
    room = length
    waiting = 0
    for stream in (k, victim):
        if stream != NONE:
            room += state[stream, KEPT] + state[stream, WAITING_BYTES]
            waiting += state[stream, WAITING]
    if len(books.rows) - pool[ROWS] < room // SMALLEST + 4:
        return MORE_ROWS
    pool[WANTED] = 8 * room + 4 * SMALL_ROOM
    if len(books.arena) - pool[TOP] < pool[WANTED]:
        return MORE_ARENA
    if k == NONE and pool[FREE_STREAM] == NONE and pool[STREAMS] == len(state):
        return MORE_STREAMS
    if len(books.records) - pool[RECORDS] < waiting + 1:
        return MORE_RECORDS
    return DONE


@kernel
def run(
    books: Books, segments: np.ndarray, data: np.ndarray, piece: np.ndarray, i: int, ending: bool
) -> tuple[int, int]:
    """Take in the segments from i on, and at the end of the capture end all streams.

    segments: int64, shape (n, SEGMENT); data: uint8; piece: int64, shape (RECORD,), is scratch. Returns the segment to
    go on with, and why: DONE, or what there must be more of.
    """
    state = books.state
    while True:
        k, victim = pick_stream(books, segments, i, ending)
        last = i == len(segments)
        if last and victim == NONE:
            return i, DONE
        more = lacks(books, k, victim, 0 if last else segments[i, SEG_LENGTH])
        if more != DONE:
            return i, more
        now = state[victim, LAST] if last else segments[i, SEG_TIME]
        first = NONE
        if victim == NONE and k != NONE:
            first = new_first(books, k, segments, i)
        closing = victim != NONE or first != NONE
        given = piece[:0]
        if victim != NONE:
            k = victim
            if not last and (has_begun(books, k) or state[k, WAITING]):
                note(books, k, ODD_GIVEN_UP, state[k, KEPT] + state[k, WAITING_BYTES])
        elif not closing:
            k = find_stream(books, segments, i, k)
            if k == NONE:
                books.pool[FATES + TCP_HANDSHAKE] += 1
                i += 1
                continue
            if take_segment(books, k, segments, i, data, piece):
                given = piece
            i += 1
        if closing or len(given) > 0 or state[k, HEAD] != NONE or state[k, FIN_AT] == state[k, NEXT]:
            move(books, k, data, given, now, closing or state[k, FIN_AT] == state[k, NEXT])
        if victim != NONE:
            remove(books, k)
        elif first != NONE:
            open_stream(books, k, first, state[k, OTHER_FIRST] == first or segments[i, SEG_FLAGS] & SYN != 0)
        elif state[k, FIN_AT] == state[k, NEXT]:
            state[k, CLOSED] = 1
            state[k, FIN_AT] = NONE


@kernel
def compact(books: Books, arena: np.ndarray) -> int:
    """Copy all bytes that are in use to another arena, which has room for them, and return how many there are."""
    state, records, pool = books.state, books.records, books.pool
    used = SCRATCH
    live = 0
    for group in range(2):
        k = pool[OLDEST + group]
        while k != NONE:
            kept = state[k, KEPT]
            copy(books.frozen, state[k, KEPT_AT], state[k, KEPT_AT] + kept, arena, used)
            state[k, BASE] = state[k, KEPT_AT] = used
            state[k, ROOM] = kept
            used += kept
            r = state[k, HEAD]
            while r != NONE:
                size = records[r, REC_SIZE]
                copy(books.frozen, records[r, REC_AT], records[r, REC_AT] + size, arena, used)
                records[r, REC_AT] = used
                used += size
                live += RECORD_BYTES
                r = records[r, REC_NEXT]
            k = state[k, NEWER]
    pool[TOP] = used
    pool[LIVE] = used - SCRATCH + live
    return used


@kernel
def fill_slots(books: Books) -> None:
    """Enter all streams into slots, which are empty."""
    state, pool = books.state, books.pool
    for group in range(2):
        k = pool[OLDEST + group]
        while k != NONE:
            slot = state[k, HASH] & (len(books.slots) - 1)
            state[k, CHAIN] = books.slots[slot]
            books.slots[slot] = k
            k = state[k, NEWER]
