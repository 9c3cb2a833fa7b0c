"""What is known of TCP streams: columns, stages and fates, and the room that their bytes have.

Each direction of a connection is a stream of its own, a row of `state`. All is in arrays, for the compiled loops.
"""

# ruff: noqa: PLR0913, PLR0917 -- flat loops compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

from typing import NamedTuple

import numpy as np

from analyzer.compiled import part
from analyzer.engines import TCP as TCP_CODE
from analyzer.engines import WS as WS_CODE
from analyzer.sip._framing import copy

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
