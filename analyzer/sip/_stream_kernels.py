"""Compiled loops from the segments of TCP streams to the messages in them.

Each direction of a connection is a stream of its own, a row of `state`. Its segments are taken in the order of the
capture: what is next is framed at once, what is ahead waits in `records`, a list per stream sorted by sequence number.
The bytes of an unfinished message, and those that wait, are in `arena`; what is in use is at most a bound, or the
stream that was silent longest is given up. Nothing depends on where a block of the capture ends.

As in _kernels.py, a kernel takes arrays and numbers, raises nothing, and reads only between start and stop. Where room
may run out the kernel returns before it has touched a segment, and is called again with more.
"""

# ruff: noqa: C901, PLR0912, PLR0913, PLR0917, PLR1714, SIM109, FBT001 -- flat loops compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

from typing import NamedTuple

import numpy as np

from analyzer.compiled import kernel, part
from analyzer.engines import TCP as TCP_CODE
from analyzer.engines import WS as WS_CODE
from analyzer.engines._layout import SIP_PORT
from analyzer.engines._start_lines import may_be_sip
from analyzer.sip._framing import (
    BAD_FRAME,
    COMPRESSED,
    CONTINUATION,
    CONTROL,
    CR,
    LF,
    copy,
    find,
    has_sip_header,
    is_between,
    is_http_line,
    is_sip_handshake,
    may_begin,
    read_frame,
    read_length,
    unmask,
)
from analyzer.sip.grammar import NONE

# --- columns of segments
(
    SEG_SOURCE, SEG_SOURCE_LOW, SEG_TARGET, SEG_TARGET_LOW, SEG_SOURCE_PORT, SEG_TARGET_PORT, SEG_NUMBER, SEG_TIME,
    SEG_TTL, SEG_SEQUENCE, SEG_FLAGS, SEG_START, SEG_LENGTH, SEG_MISSING, SEG_HASH, SEGMENT,
) = range(16)  # fmt: skip
KEY = 6
"""How many columns of a segment, and of a stream, tell which stream it is."""
FIN, SYN, RST = 1, 2, 4

# --- columns of state: a stream
HASH = 6
CHAIN = 7  # the next stream of the same hash, or of the free ones
OLDER, NEWER = 8, 9  # its neighbours in the order of their last segments
CLASS = 10  # 1 if it has had payload
FIRST = 11  # sequence number of the first byte, as its SYN says; NONE without one
NEXT = 12  # sequence number of the byte that is awaited
OTHER_FIRST = 13  # first byte of another stream with the same addresses, as a later SYN says; or NONE
CLOSED = 14
FIN_AT = 15  # sequence number of the FIN, or NONE
LAST = 16  # time of the last segment
PROGRESS = 17  # time at which bytes were last delivered, or began to wait
STAGE = 18
IN_STEP = 19  # 1 if what is next must be a message
SEEN = 20  # how many messages it had
BASE, ROOM = 21, 22  # the place in arena that it has
KEPT_AT, KEPT = 23, 24  # the bytes that are kept of it: an unfinished message or frame
SCANNED = 25  # how many of these have been searched
LINE = 26  # where among these the last line begins
NEED = 27  # how many bytes the message has
HELD = 28  # segments whose bytes these are, and whose fate is open
NUMBER, TIME, TTL = 29, 30, 31  # of the latest packet of the message
HEAD, TAIL = 32, 33  # the first and the last record that waits
WAITING_BYTES, WAITING = 34, 35
ASSEMBLED = 36  # WebSocket: bytes of payload so far, before the frames
RAW = 37  # WebSocket: where among the kept bytes the next frame begins
FRAGMENTED = 38  # WebSocket: 1 if a message has begun
STREAM = 39

# --- stages
BETWEEN, START_LINE, HEADERS, BODY, SKIP, HANDSHAKE, FRAMES = map(np.int64, range(7))

# --- columns of records: bytes that wait
(
    REC_SEQUENCE, REC_AT, REC_SIZE, REC_MISSING, REC_NUMBER, REC_TIME, REC_TTL, REC_COUNTS, REC_NEXT, REC_PREVIOUS,
    RECORD,
) = range(11)  # fmt: skip
RECORD_BYTES = 8 * RECORD

# --- the index into pool
TOP = 0  # where arena is free
LIVE = 1  # bytes in use: of arena, and of records
STREAMS = 2
FREE_STREAM, FREE_RECORD = 3, 4
OLDEST, NEWEST = 5, 7  # by CLASS
COUNTS = 9  # of streams by CLASS
RECORDS = 11  # in use
FRESH_RECORD = 21  # the first that was never used
WANTED = 22  # free bytes of arena that the next segment may need
ROWS, OUT, NOTED, UNTOLD = 12, 13, 14, 15  # used of rows, out and odd; anomalies that found no room
NOW_NUMBER, NOW_TIME, NOW_TTL = 16, 17, 18  # the segment that is being delivered
SETTLED = 19  # 1 if its fate is
FATE = 20  # its fate if it carries no message

MOST_STREAMS, MOST_WAITING, MOST_RECORDS, MOST_BYTES, GAP_TIME, IDLE_TIME = range(23, 29)  # what is allowed
FATES = 29  # how many segments had each fate

# --- fates of segments, counted from pool[FATES] on
(
    CARRIED, TCP_HANDSHAKE, KEEP_ALIVE, WITHOUT_SIP, RETRANSMISSION, INCOMPLETE, WS_HANDSHAKE, WS_CONTROL,
) = map(np.int64, range(8))  # fmt: skip
POOL = 37

# --- anomalies: time, number, reason and value are the columns of odd
ODD_GAP, ODD_OVERLAP, ODD_INCOMPLETE, ODD_BETWEEN, ODD_HEADERS, ODD_LENGTH, ODD_FRAME, ODD_GIVEN_UP = map(
    np.int64, range(8)
)
ODD = 4

# --- columns of rows: a message
(
    ROW_NUMBER, ROW_TIME, ROW_TTL, ROW_SOURCE, ROW_SOURCE_LOW, ROW_TARGET, ROW_TARGET_LOW, ROW_SOURCE_PORT,
    ROW_TARGET_PORT, ROW_TRANSPORT, ROW_START, ROW_LENGTH, ROW_MISSING, ROW,
) = range(14)  # fmt: skip

TCP, WS = np.int64(TCP_CODE), np.int64(WS_CODE)

# --- why a run ended
DONE, MORE_ROWS, MORE_ARENA, MORE_STREAMS, MORE_RECORDS = range(5)

LOW = 0xFFFFFFFF
BEHIND = 1 << 20
"""How many bytes back a segment may lie and be a repetition; what lies further back is from another stream."""
MAX_LINE = 8192
"""The longest start line, in bytes."""
MAX_HEADERS = 65_536
"""The most bytes of start line and headers; stacks allow less."""
MAX_BODY = 1 << 20
"""The largest body, and the largest message of a WebSocket, in bytes."""
SMALLEST = 6
"""Bytes of the smallest message: 'SIP/', and two line ends."""
SMALL_ROOM = 64
SCRATCH = MAX_LINE
"""The first bytes of arena are no stream's: a start line stands there without its mask."""
NOWHERE = np.int64(0)
NOTHING = np.int64(0)
YES, NO = np.bool_(1), np.bool_(0)
"""No literals: numba would compile a function again for each."""


class Books(NamedTuple):
    """All that is known of the streams, and what is written: arrays of int64 but for the bytes."""

    state: np.ndarray
    records: np.ndarray
    slots: np.ndarray
    pool: np.ndarray
    arena: np.ndarray
    frozen: np.ndarray
    """arena, but read-only: kernels are compiled for one kind of array that is read."""
    rows: np.ndarray
    out: np.ndarray
    odd: np.ndarray


# --- what is written


@part
def note(books: Books, k: int, reason: int, value: int) -> None:
    """Write an anomaly of stream k, at the latest packet of its message."""
    used = books.pool[NOTED]
    if used == len(books.odd):
        books.pool[UNTOLD] += 1
        return
    books.odd[used, 0] = books.state[k, TIME]
    books.odd[used, 1] = books.state[k, NUMBER]
    books.odd[used, 2] = reason
    books.odd[used, 3] = value
    books.pool[NOTED] += 1


@part
def settle(books: Books, k: int, fate: int) -> None:
    """Settle the fate of the segments that are held, and of the one that is being delivered."""
    books.pool[FATES + fate] += books.state[k, HELD]
    books.state[k, HELD] = 0
    if not books.pool[SETTLED]:
        books.pool[SETTLED] = 1
        books.pool[FATES + fate] += 1


@part
def restart(books: Books, k: int) -> None:
    """Begin a new message with the segment that is being delivered; earlier ones that are held carried none."""
    books.pool[FATES + WITHOUT_SIP] += books.state[k, HELD]
    books.state[k, HELD] = 0
    books.state[k, NUMBER] = books.pool[NOW_NUMBER]
    books.state[k, TIME] = books.pool[NOW_TIME]
    books.state[k, TTL] = books.pool[NOW_TTL]


@part
def emit(books: Books, k: int, data: np.ndarray, start: int, stop: int, missing: int, transport: int) -> None:
    """Write the message data[start:stop] of stream k as a row."""
    state = books.state
    row = books.rows[books.pool[ROWS]]
    row[ROW_NUMBER] = state[k, NUMBER]
    row[ROW_TIME] = state[k, TIME]
    row[ROW_TTL] = state[k, TTL]
    for i in range(KEY):
        row[ROW_SOURCE + i] = state[k, i]
    at = books.pool[OUT]
    row[ROW_TRANSPORT] = transport
    row[ROW_START] = at
    row[ROW_LENGTH] = stop - start
    row[ROW_MISSING] = missing
    copy(data, start, stop, books.out, at)
    books.pool[OUT] = at + stop - start
    books.pool[ROWS] += 1
    state[k, SEEN] += 1
    settle(books, k, CARRIED)
    restart(books, k)


# --- room in arena


@part
def take(books: Books, size: int) -> int:
    """Return where size bytes of arena are free, and take them; the caller has made sure that they are."""
    at = books.pool[TOP]
    books.pool[TOP] = at + size
    books.pool[LIVE] += size
    return at


@part
def give_back(books: Books, at: int, size: int) -> None:
    """Return size bytes of arena; only the last ones can be taken again before it is compacted."""
    books.pool[LIVE] -= size
    if at + size == books.pool[TOP]:
        books.pool[TOP] = at


@part
def keep(books: Books, k: int, data: np.ndarray, start: int, stop: int) -> None:
    """Append data[start:stop] to the bytes that are kept of stream k."""
    state = books.state
    kept = state[k, KEPT]
    total = kept + stop - start
    if state[k, KEPT_AT] + total > state[k, BASE] + state[k, ROOM]:
        if 2 * total <= state[k, ROOM]:
            copy(books.frozen, state[k, KEPT_AT], state[k, KEPT_AT] + kept, books.arena, state[k, BASE])
        else:
            room = max(2 * total, SMALL_ROOM)
            at = take(books, room)
            copy(books.frozen, state[k, KEPT_AT], state[k, KEPT_AT] + kept, books.arena, at)
            give_back(books, state[k, BASE], state[k, ROOM])
            state[k, BASE] = at
            state[k, ROOM] = room
        state[k, KEPT_AT] = state[k, BASE]
    copy(data, start, stop, books.arena, state[k, KEPT_AT] + kept)
    state[k, KEPT] = total


@part
def drop(books: Books, k: int, size: int) -> None:
    """Forget the first size of the bytes that are kept of stream k."""
    state = books.state
    state[k, KEPT_AT] += size
    state[k, KEPT] -= size
    if state[k, KEPT] == 0:
        give_back(books, state[k, BASE], state[k, ROOM])
        state[k, BASE] = state[k, ROOM] = state[k, KEPT_AT] = 0


# --- framing (RFC 3261 7.5, 18.3)


@part
def on_sip_port(books: Books, k: int) -> bool:
    """Say whether a port of the stream is that of SIP."""
    return books.state[k, SEG_SOURCE_PORT] == SIP_PORT or books.state[k, SEG_TARGET_PORT] == SIP_PORT


@part
def lose_step(books: Books, k: int) -> None:
    """Note that what is there is no message."""
    books.pool[FATE] = WITHOUT_SIP
    if books.state[k, IN_STEP] and books.state[k, SEEN]:
        note(books, k, ODD_BETWEEN, NOTHING)
    books.state[k, IN_STEP] = 0


@part
def reject(books: Books, k: int, stage: int) -> None:
    """Give up what may have been a message, and go on in that stage."""
    lose_step(books, k)
    restart(books, k)
    books.state[k, STAGE] = stage


@part
def is_sip_frame(books: Books, data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether a WebSocket frame with the first line of a SIP message begins at start."""
    header, size, kind, _, mask = read_frame(data, start, stop)
    if header == 0 or kind == CONTINUATION or kind >= CONTROL or size > MAX_BODY:
        return False
    payload = start + header
    bound = min(stop, payload + size, payload + MAX_LINE)
    unmask(data, payload, bound, mask, books.arena, NOWHERE)
    return may_be_sip(books.frozen, NOWHERE, bound - payload, NO)


@part
def begin(books: Books, k: int, data: np.ndarray, at: int, stop: int, fresh: int) -> tuple[int, bool]:
    """Skip what may stand between messages, and look how it goes on (RFC 3261 7.5)."""
    while at < stop and is_between(data[np.uint64(at)]):
        at += 1
    if at == stop:
        return at, False
    restart(books, k)
    if at == fresh and is_sip_frame(books, data, at, stop):
        books.state[k, STAGE] = FRAMES
        return at, False
    if may_begin(data[at]):
        books.state[k, STAGE] = START_LINE
        books.state[k, SCANNED] = 0
    else:
        reject(books, k, SKIP)
    return at, True


@part
def read_start_line(books: Books, k: int, data: np.ndarray, at: int, stop: int, fresh: int) -> tuple[int, bool]:
    """Look whether the line at at opens a message, or a WebSocket; out of step, a segment may begin with one too."""
    state = books.state
    bound = min(stop, at + MAX_LINE)
    end = find(data, at + state[k, SCANNED], bound, LF)
    if end == bound:
        if stop - at >= MAX_LINE:
            reject(books, k, SKIP)
            return bound, True
        state[k, SCANNED] = stop - at
        return at, False
    end += 1
    sip_port = on_sip_port(books, k)
    state[k, STAGE] = HEADERS
    if not may_be_sip(data, at, end, sip_port):
        if is_http_line(data, at, end):
            state[k, STAGE] = HANDSHAKE
        elif at < fresh < end and not state[k, IN_STEP] and may_be_sip(data, fresh, end, sip_port):
            reject(books, k, HEADERS)
            at = fresh
        else:
            reject(books, k, BETWEEN)
            return end, True
    state[k, SCANNED] = state[k, LINE] = end - at
    return at, True


@part
def find_blank_line(books: Books, k: int, data: np.ndarray, at: int, stop: int) -> int:
    """Return where the header lines of what begins at at end, behind their blank line; NONE if it is not there yet."""
    state = books.state
    bound = min(stop, at + MAX_HEADERS)
    line = at + state[k, LINE]
    scan = at + state[k, SCANNED]
    while True:
        end = find(data, scan, bound, LF)
        if end == bound:
            break
        if end == line or (end == line + 1 and data[line] == CR):
            return end + 1
        line = scan = end + 1
    state[k, LINE] = line - at
    state[k, SCANNED] = bound - at
    return NONE


@part
def read_headers(books: Books, k: int, data: np.ndarray, at: int, stop: int) -> tuple[int, bool]:
    """Find where the headers end, and how long the body will be."""
    state = books.state
    head = find_blank_line(books, k, data, at, stop)
    if head == NONE:
        if stop - at < MAX_HEADERS:
            return at, False
        note(books, k, ODD_HEADERS, stop - at)
        emit(books, k, data, at, at + MAX_HEADERS, NOTHING, TCP)
        state[k, IN_STEP] = 0
        state[k, STAGE] = SKIP
        return at + MAX_HEADERS, True
    first = find(data, at, head, LF) + 1
    if not on_sip_port(books, k) and not has_sip_header(data, first, head):
        reject(books, k, BETWEEN)
        return head, True
    length = read_length(data, first, head)
    if length < NONE or length > MAX_BODY:
        note(books, k, ODD_LENGTH, length)
        emit(books, k, data, at, head, NOTHING, TCP)
        state[k, IN_STEP] = 0
        state[k, STAGE] = BETWEEN
        return head, True
    state[k, NEED] = head - at + max(length, 0)
    state[k, STAGE] = BODY
    return at, True


@part
def read_body(books: Books, k: int, data: np.ndarray, at: int, stop: int) -> tuple[int, bool]:
    """Write the message if all of it is there."""
    state = books.state
    end = at + state[k, NEED]
    if end > stop:
        return at, False
    emit(books, k, data, at, end, NOTHING, TCP)
    state[k, IN_STEP] = 1
    state[k, STAGE] = BETWEEN
    return end, True


@part
def read_handshake(books: Books, k: int, data: np.ndarray, at: int, stop: int) -> tuple[int, bool]:
    """Look whether the headers of HTTP open a WebSocket for SIP; then frames follow."""
    state = books.state
    head = find_blank_line(books, k, data, at, stop)
    if head == NONE:
        if stop - at < MAX_HEADERS:
            return at, False
        reject(books, k, SKIP)
        return at + MAX_HEADERS, True
    if not is_sip_handshake(data, find(data, at, head, LF) + 1, head):
        reject(books, k, BETWEEN)
        return head, True
    books.pool[FATES + WS_HANDSHAKE] += state[k, HELD]
    state[k, HELD] = 0
    restart(books, k)
    books.pool[FATE] = WS_HANDSHAKE
    state[k, IN_STEP] = 1
    state[k, STAGE] = FRAMES
    return head, False


@part
def frame(books: Books, k: int, data: np.ndarray, at: int, stop: int, fresh: int) -> int:
    """Find messages in data[at:stop], of which what begins at fresh is new; return where what is to be kept begins."""
    more = True
    while more and at < stop:
        stage = books.state[k, STAGE]
        if stage == BETWEEN:
            at, more = begin(books, k, data, at, stop, fresh)
        elif stage == START_LINE:
            at, more = read_start_line(books, k, data, at, stop, fresh)
        elif stage == HEADERS:
            at, more = read_headers(books, k, data, at, stop)
        elif stage == BODY:
            at, more = read_body(books, k, data, at, stop)
        elif stage == HANDSHAKE:
            at, more = read_handshake(books, k, data, at, stop)
        else:
            at = min(find(data, at, stop, LF) + 1, stop)
            books.state[k, STAGE] = BETWEEN
    return at


# --- WebSocket (RFC 6455, RFC 7118)


@part
def leave_frames(books: Books, k: int) -> None:
    """Give up a WebSocket whose frames make no sense; later ones are found at the beginning of a segment."""
    state = books.state
    note(books, k, ODD_FRAME, state[k, KEPT])
    drop(books, k, state[k, KEPT])
    state[k, IN_STEP] = 0
    reject(books, k, SKIP)
    state[k, ASSEMBLED] = state[k, RAW] = state[k, FRAGMENTED] = 0


@part
def end_message(books: Books, k: int) -> None:
    """Write the message that the payload of frames makes up (RFC 7118 5), if it is one."""
    state = books.state
    start = state[k, KEPT_AT]
    stop = start + state[k, ASSEMBLED]
    if may_be_sip(books.frozen, start, stop, YES):
        emit(books, k, books.frozen, start, stop, NOTHING, WS)
        return
    at = start
    while at < stop and is_between(books.frozen[at]):
        at += 1
    fate = KEEP_ALIVE if at == stop else WITHOUT_SIP
    books.pool[FATES + fate] += state[k, HELD]
    state[k, HELD] = 0
    books.pool[FATE] = fate
    restart(books, k)


@part
def take_frame(books: Books, k: int, payload: int, size: int, kind: int, final: bool, mask: int) -> bool:
    """Take in a frame that is all there, and say whether it makes sense."""
    state = books.state
    if kind == CONTROL or kind == COMPRESSED or (kind == CONTINUATION and not state[k, FRAGMENTED]):
        if kind != CONTROL:
            note(books, k, ODD_FRAME, size)
        if not state[k, FRAGMENTED]:
            books.pool[FATES + WS_CONTROL] += state[k, HELD]
            state[k, HELD] = 0
            restart(books, k)
        books.pool[FATE] = WS_CONTROL
        return True
    if kind != CONTINUATION and state[k, FRAGMENTED]:
        return False
    to = state[k, KEPT_AT] + state[k, ASSEMBLED]
    unmask(books.frozen, payload, payload + size, mask, books.arena, to)
    state[k, ASSEMBLED] += size
    state[k, FRAGMENTED] = 1
    if state[k, ASSEMBLED] > MAX_BODY:
        return False
    if final:
        end_message(books, k)
        state[k, ASSEMBLED] = state[k, FRAGMENTED] = 0
    return True


@part
def close_ranks(books: Books, k: int) -> None:
    """Forget the frames that are done with, so that what is kept is payload and, next to it, the frames to come."""
    state = books.state
    done, raw = state[k, ASSEMBLED], state[k, RAW]
    if done == 0:
        drop(books, k, raw)
        state[k, RAW] = 0
    elif raw - done > MAX_LINE:
        start = state[k, KEPT_AT]
        copy(books.frozen, start + raw, start + state[k, KEPT], books.arena, start + done)
        state[k, KEPT] -= raw - done
        state[k, RAW] = done


@part
def read_frames(books: Books, k: int) -> None:
    """Take in all frames that are complete among the bytes that are kept."""
    state = books.state
    while True:
        start = state[k, KEPT_AT] + state[k, RAW]
        stop = state[k, KEPT_AT] + state[k, KEPT]
        header, size, kind, final, mask = read_frame(books.frozen, start, stop)
        if header == 0:
            break
        if kind == BAD_FRAME or size > MAX_BODY:
            leave_frames(books, k)
            return
        if size > stop - start - header:
            break
        state[k, RAW] += header + size
        if not take_frame(books, k, start + header, size, kind, final, mask):
            leave_frames(books, k)
            return
        if state[k, ASSEMBLED] == 0 and state[k, RAW] < state[k, KEPT]:
            drop(books, k, state[k, RAW])
            state[k, RAW] = 0
    close_ranks(books, k)


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
