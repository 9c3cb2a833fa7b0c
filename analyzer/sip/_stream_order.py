"""Compiled loops that put the bytes of a stream in order: what is next is delivered, what is ahead waits.

As in _kernels.py, a function takes arrays and numbers, raises nothing, and reads only between start and stop.
"""

# ruff: noqa: PLR0913, PLR0917, PLR1714, SIM109, FBT001 -- flat loops compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.engines._start_lines import may_be_sip
from analyzer.sip._framing import copy
from analyzer.sip._stream_books import (
    ASSEMBLED,
    BEHIND,
    BETWEEN,
    BODY,
    FATE,
    FATES,
    FIN_AT,
    FRAGMENTED,
    FRAMES,
    FREE_RECORD,
    FRESH_RECORD,
    GAP_TIME,
    HEAD,
    HEADERS,
    HELD,
    IN_STEP,
    INCOMPLETE,
    KEEP_ALIVE,
    KEPT,
    KEPT_AT,
    LIVE,
    LOW,
    MOST_RECORDS,
    MOST_WAITING,
    NEED,
    NEXT,
    NOTHING,
    NOW_NUMBER,
    NOW_TIME,
    NOW_TTL,
    NUMBER,
    ODD_GAP,
    ODD_INCOMPLETE,
    PROGRESS,
    RAW,
    REC_AT,
    REC_COUNTS,
    REC_MISSING,
    REC_NEXT,
    REC_NUMBER,
    REC_PREVIOUS,
    REC_SEQUENCE,
    REC_SIZE,
    REC_TIME,
    REC_TTL,
    RECORD_BYTES,
    RECORDS,
    RETRANSMISSION,
    SEG_LENGTH,
    SEG_MISSING,
    SEG_NUMBER,
    SEG_START,
    SEG_TIME,
    SEG_TTL,
    SETTLED,
    SKIP,
    STAGE,
    START_LINE,
    TAIL,
    TCP,
    TIME,
    TTL,
    WAITING,
    WAITING_BYTES,
    WITHOUT_SIP,
    Books,
    drop,
    emit,
    give_back,
    keep,
    note,
    settle,
    take,
)
from analyzer.sip._stream_messages import frame, on_sip_port, read_frames
from analyzer.sip.grammar import NONE

# --- order (RFC 9293 3.4)


@part
def lose_track(books: Books, k: int) -> None:
    """Forget what is kept of stream k, and search for the next start line."""
    state = books.state
    drop(books, k, state[k, KEPT])
    state[k, STAGE] = SKIP
    state[k, IN_STEP] = 0
    state[k, ASSEMBLED] = state[k, RAW] = state[k, FRAGMENTED] = 0


@part
def has_begun(books: Books, k: int) -> bool:
    """Say whether a message, or a frame, of stream k has begun and is not complete."""
    stage = books.state[k, STAGE]
    return books.state[k, KEPT] > 0 and (stage == HEADERS or stage == BODY or stage == FRAMES)


@part
def give_up_message(books: Books, k: int) -> None:
    """End a message that cannot be completed: a row if all its headers are there, else its segments are set aside."""
    state = books.state
    stage = state[k, STAGE]
    books.pool[SETTLED] = 1
    if has_begun(books, k):
        note(books, k, ODD_INCOMPLETE, state[k, KEPT])
        if stage == BODY:
            at = state[k, KEPT_AT]
            emit(books, k, books.frozen, at, at + state[k, KEPT], NOTHING, TCP)
        settle(books, k, INCOMPLETE)
    else:
        settle(books, k, WITHOUT_SIP)
    lose_track(books, k)


@part
def cut(books: Books, k: int, missing: int) -> None:
    """End the message of which the capture left out missing bytes (snap length)."""
    state = books.state
    stage = state[k, STAGE]
    at, kept = state[k, KEPT_AT], state[k, KEPT]
    known = stage == HEADERS or stage == BODY
    if kept > 0 and (known or (stage == START_LINE and may_be_sip(books.frozen, at, at + kept, on_sip_port(books, k)))):
        if stage == BODY:
            missing = state[k, NEED] - kept
        emit(books, k, books.frozen, at, at + kept, missing, TCP)
    elif kept > 0:
        settle(books, k, WITHOUT_SIP)
    lose_track(books, k)


@part
def deliver(books: Books, k: int, data: np.ndarray, piece: np.ndarray, skip: int) -> None:
    """Take in a piece, which lies in data, but for its first skip bytes; it is what the stream awaits."""
    state, pool = books.state, books.pool
    start, stop = piece[REC_AT] + skip, piece[REC_AT] + piece[REC_SIZE]
    missing, number = piece[REC_MISSING], piece[REC_NUMBER]
    pool[NOW_NUMBER], pool[NOW_TIME], pool[NOW_TTL] = number, piece[REC_TIME], piece[REC_TTL]
    pool[SETTLED] = 1 - piece[REC_COUNTS]
    pool[FATE] = KEEP_ALIVE if missing == 0 else WITHOUT_SIP
    state[k, NEXT] = (state[k, NEXT] + stop - start + missing) & LOW
    if state[k, STAGE] == SKIP:
        state[k, STAGE] = BETWEEN  # out of step, a message may begin where a segment does
    kept = state[k, KEPT]
    if kept == 0 or number > state[k, NUMBER]:
        state[k, NUMBER], state[k, TIME], state[k, TTL] = number, piece[REC_TIME], piece[REC_TTL]
    if kept == 0 and state[k, STAGE] != FRAMES:
        at = frame(books, k, data, start, stop, start)
        if at < stop:
            keep(books, k, data, at, stop)
    else:
        keep(books, k, data, start, stop)
        if state[k, STAGE] != FRAMES:
            at = state[k, KEPT_AT]
            used = frame(books, k, books.frozen, at, at + state[k, KEPT], at + kept) - at
            drop(books, k, used)
    if state[k, STAGE] == FRAMES and state[k, KEPT] > 0:
        read_frames(books, k)
    if missing > 0:
        cut(books, k, missing)
    if pool[SETTLED] == 0:
        if state[k, KEPT] > 0:
            state[k, HELD] += 1
        else:
            pool[FATES + pool[FATE]] += 1
        pool[SETTLED] = 1


@part
def differs(books: Books, k: int, data: np.ndarray, start: int, stop: int, back: int) -> bool:
    """Say whether data[start:stop], which begins back bytes before what is awaited, differs from what is kept."""
    state = books.state
    if state[k, STAGE] == FRAMES:
        return False
    end = state[k, KEPT_AT] + state[k, KEPT]
    for i in range(max(back - state[k, KEPT], 0), min(stop - start, back)):
        if data[start + i] != books.frozen[end - back + i]:
            return True
    return False


# --- bytes that wait, because those before them are not there yet


@part
def link(books: Books, k: int, before: int, at: int, size: int, sequence: int) -> int:
    """Put a new record behind before (NONE: first), and return it."""
    state, records, pool = books.state, books.records, books.pool
    r = pool[FREE_RECORD]
    if r == NONE:
        r = pool[FRESH_RECORD]
        pool[FRESH_RECORD] += 1
    else:
        pool[FREE_RECORD] = records[r, REC_NEXT]
    pool[RECORDS] += 1
    after = state[k, HEAD] if before == NONE else records[before, REC_NEXT]
    records[r, REC_SEQUENCE] = sequence
    records[r, REC_AT] = at
    records[r, REC_SIZE] = size
    records[r, REC_PREVIOUS] = before
    records[r, REC_NEXT] = after
    if before == NONE:
        state[k, HEAD] = r
    else:
        records[before, REC_NEXT] = r
    if after == NONE:
        state[k, TAIL] = r
    else:
        records[after, REC_PREVIOUS] = r
    pool[LIVE] += RECORD_BYTES
    state[k, WAITING] += 1
    state[k, WAITING_BYTES] += size
    return r


@part
def unlink_head(books: Books, k: int) -> None:
    """Forget the first record that waits."""
    state, records, pool = books.state, books.records, books.pool
    r = state[k, HEAD]
    after = records[r, REC_NEXT]
    state[k, HEAD] = after
    if after == NONE:
        state[k, TAIL] = NONE
    else:
        records[after, REC_PREVIOUS] = NONE
    records[r, REC_NEXT] = pool[FREE_RECORD]
    pool[FREE_RECORD] = r
    pool[RECORDS] -= 1
    pool[LIVE] -= RECORD_BYTES
    state[k, WAITING] -= 1
    state[k, WAITING_BYTES] -= records[r, REC_SIZE]
    give_back(books, records[r, REC_AT], records[r, REC_SIZE])


@part
def wait(books: Books, k: int, segments: np.ndarray, i: int, data: np.ndarray, start: int, sequence: int) -> None:
    """Let segment i wait from data[start] on, whose number is sequence: those bytes that do not wait already."""
    state, records = books.state, books.records
    stop = segments[i, SEG_START] + segments[i, SEG_LENGTH]
    awaited = state[k, NEXT]
    place = (sequence - awaited) & LOW
    before = state[k, TAIL]
    while before != NONE and (records[before, REC_SEQUENCE] - awaited) & LOW > place:
        before = records[before, REC_PREVIOUS]
    if before == NONE:
        after = state[k, HEAD]
    else:
        skip = ((records[before, REC_SEQUENCE] - awaited) & LOW) + records[before, REC_SIZE] - place
        start += max(skip, 0)
        place += max(skip, 0)
        after = records[before, REC_NEXT]
    counts = 1
    last = NONE
    size = 0
    if state[k, HEAD] == NONE:
        state[k, PROGRESS] = segments[i, SEG_TIME]
    while start < stop:
        size = stop - start
        if after != NONE:
            size = min(size, ((records[after, REC_SEQUENCE] - awaited) & LOW) - place)
        if size > 0:
            at = take(books, size)
            copy(data, start, start + size, books.arena, at)
            before = last = link(books, k, before, at, size, (awaited + place) & LOW)
            records[last, REC_MISSING] = 0
            records[last, REC_NUMBER] = segments[i, SEG_NUMBER]
            records[last, REC_TIME] = segments[i, SEG_TIME]
            records[last, REC_TTL] = segments[i, SEG_TTL]
            records[last, REC_COUNTS] = counts
            counts = 0
        if after == NONE:
            break
        ahead = ((records[after, REC_SEQUENCE] - awaited) & LOW) + records[after, REC_SIZE] - place
        start += ahead
        place += ahead
        before = after
        after = records[after, REC_NEXT]
    if counts:
        books.pool[FATES + RETRANSMISSION] += 1
    elif start + size == stop:
        records[last, REC_MISSING] = segments[i, SEG_MISSING]


@part
def leap(books: Books, k: int) -> None:
    """Give up the bytes that are missing before those that wait (at least one record does)."""
    state, records = books.state, books.records
    r = state[k, HEAD]
    gap = (records[r, REC_SEQUENCE] - state[k, NEXT]) & LOW
    give_up_message(books, k)
    state[k, NUMBER], state[k, TIME] = records[r, REC_NUMBER], records[r, REC_TIME]
    note(books, k, ODD_GAP, gap)
    state[k, NEXT] = records[r, REC_SEQUENCE]


@part
def waits_too_long(books: Books, k: int, now: int) -> bool:
    """Say whether the gap before what waits has to be given up."""
    state, pool = books.state, books.pool
    return (
        state[k, WAITING_BYTES] > pool[MOST_WAITING]
        or state[k, WAITING] > pool[MOST_RECORDS]
        or now - state[k, PROGRESS] > pool[GAP_TIME]
    )


@part
def move(books: Books, k: int, data: np.ndarray, piece: np.ndarray, now: int, ending: bool) -> None:
    """Deliver a piece, if its length is not 0, and what waits as far as nothing is missing before it.

    piece: the columns of a record, REC_AT being its place in data. ending: deliver all, gaps or not, and give up what
    remains, as is done too when the FIN is reached.
    """
    state, records = books.state, books.records
    source = data
    direct = len(piece) > 0
    while direct or state[k, HEAD] != NONE:
        if not direct:
            source = books.frozen
            piece = records[state[k, HEAD]]
        back = (state[k, NEXT] - piece[REC_SEQUENCE]) & LOW
        if back > BEHIND:
            if not ending and not waits_too_long(books, k, now):
                break
            leap(books, k)
            state[k, PROGRESS] = now
            continue
        if direct or back < piece[REC_SIZE]:
            deliver(books, k, source, piece, back)
            state[k, PROGRESS] = now
        elif piece[REC_COUNTS]:
            books.pool[FATES + RETRANSMISSION] += 1
        if not direct:
            unlink_head(books, k)
        direct = False
        if state[k, FIN_AT] == state[k, NEXT]:
            ending = True
    if ending:
        give_up_message(books, k)
