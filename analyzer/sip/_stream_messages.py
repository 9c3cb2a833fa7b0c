"""Compiled loops that find the messages in the bytes of a stream: start lines, headers, bodies, WebSocket frames.

As in _kernels.py, a function takes arrays and numbers, raises nothing, and reads only between start and stop.
"""

# ruff: noqa: PLR0913, PLR0917, PLR1714, SIM109, FBT001 -- flat loops compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.engines._layout import SIP_PORT
from analyzer.engines._start_lines import may_be_sip
from analyzer.sip._framing import (
    BAD_FRAME,
    COMPRESSED,
    CONTINUATION,
    CONTROL,
    copy,
    has_sip_header,
    is_between,
    is_http_line,
    is_sip_handshake,
    may_begin,
    read_frame,
    read_length,
    unmask,
)
from analyzer.sip._scan import CR, LF, find
from analyzer.sip._stream_books import (
    ASSEMBLED,
    BETWEEN,
    BODY,
    FATE,
    FATES,
    FRAGMENTED,
    FRAMES,
    HANDSHAKE,
    HEADERS,
    HELD,
    IN_STEP,
    KEEP_ALIVE,
    KEPT,
    KEPT_AT,
    LINE,
    MAX_BODY,
    MAX_HEADERS,
    MAX_LINE,
    NEED,
    NO,
    NOTHING,
    NOWHERE,
    ODD_BETWEEN,
    ODD_FRAME,
    ODD_HEADERS,
    ODD_LENGTH,
    RAW,
    SCANNED,
    SEEN,
    SEG_SOURCE_PORT,
    SEG_TARGET_PORT,
    SKIP,
    STAGE,
    START_LINE,
    TCP,
    WITHOUT_SIP,
    WS,
    WS_CONTROL,
    WS_HANDSHAKE,
    YES,
    Books,
    drop,
    emit,
    note,
    restart,
)
from analyzer.sip.grammar import NONE

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
