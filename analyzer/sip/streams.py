"""TCP segments to the messages in them: order, framing, WebSocket.

Reasons of what is set aside: those of SET_ASIDE. Reasons of anomalies: those of REASONS.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.engines import Anomaly, Packets
from analyzer.sip import _stream_books as books
from analyzer.sip import _stream_kernels as kernels
from analyzer.sip.columns import readonly
from analyzer.sip.grammar import NONE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.engines import Segments

SET_ASIDE: dict[Any, str] = {
    books.TCP_HANDSHAKE: "tcp handshake",
    books.KEEP_ALIVE: "tcp keep-alive",
    books.WITHOUT_SIP: "tcp without sip",
    books.RETRANSMISSION: "tcp retransmission",
    books.INCOMPLETE: "tcp incomplete message",
    books.WS_HANDSHAKE: "websocket handshake",
    books.WS_CONTROL: "websocket control frame",
}
"""Why segments carry no message; the first: they have no payload (SYN, FIN, RST, ACK)."""
REASONS: dict[Any, str] = {
    books.ODD_GAP: "tcp gap",
    books.ODD_OVERLAP: "tcp overlap",
    books.ODD_INCOMPLETE: "incomplete message",
    books.ODD_BETWEEN: "bytes between messages",
    books.ODD_HEADERS: "headers too long",
    books.ODD_LENGTH: "content-length out of bounds",
    books.ODD_FRAME: "bad websocket frame",
    books.ODD_GIVEN_UP: "stream given up",
}
"""The word for each anomaly of a stream."""
_DETAILS: dict[Any, str] = {
    books.ODD_GAP: "{:,} bytes of the stream were not captured before this packet",
    books.ODD_OVERLAP: "a segment repeats {:,} bytes, and not all are as they were; the first ones were taken",
    books.ODD_INCOMPLETE: "the stream ends, or has a gap, after {:,} bytes of the message",
    books.ODD_BETWEEN: "what follows the last message of the stream is none; the next start line is searched",
    books.ODD_HEADERS: "no blank line within {:,} bytes; the next start line is searched",
    books.ODD_FRAME: "a frame of {:,} bytes or more that is compressed, out of order, too long or malformed",
    books.ODD_GIVEN_UP: "too many streams, or bytes of unfinished messages, or too long a silence; {:,} bytes waited",
}
_CHUNK = 65_536
"""How many segments are taken in at a time."""
_NOTES = 1000
"""How many anomalies of a block are told one by one."""
_SMALLEST_ARENA = 1 << 20
_SECOND = 1_000_000_000
_HASH_FACTOR = np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is remembered of streams."""

    streams: int = 131_072
    """How many directions of connections are known at a time; those that are silent longest are given up."""
    stream_bytes: int = 1 << 20
    """How many bytes of one stream may wait for those before them."""
    stream_segments: int = 1024
    """How many segments of one stream may."""
    total_bytes: int = 64 << 20
    """How many bytes of all streams may wait, or be of unfinished messages."""
    gap_seconds: float = 30
    """After how long without progress, in the time of the capture, a gap is given up."""
    idle_seconds: float = 7200
    """After how long a silence, in the time of the capture, a stream is given up."""


class Streams:
    """The TCP streams of one capture, of which the messages are cut.

    A message's packet, time and ttl are those of the latest packet that carries a part of it. Of bytes that are sent
    twice the first are taken. A gap is given up when as much waits behind it as is allowed, after gap_seconds of the
    capture in which nothing moved, or at the end; then the next start line is searched, at the beginning of a line or
    of a segment. Messages end where Content-Length says (RFC 3261 18.3), at the blank line where there is none.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        """Begin a capture."""
        limits = limits or Limits()
        self._seed = np.uint64(int.from_bytes(os.urandom(8)))
        self._pool = np.zeros(books.POOL, np.int64)
        self._pool[books.TOP] = books.SCRATCH
        allowed = (
            limits.streams,
            limits.stream_bytes,
            limits.stream_segments,
            limits.total_bytes,
            limits.gap_seconds * _SECOND,
            limits.idle_seconds * _SECOND,
        )
        self._pool[books.MOST_STREAMS : books.MOST_STREAMS + len(allowed)] = allowed
        self._pool[[books.FREE_STREAM, books.FREE_RECORD]] = NONE
        self._pool[books.OLDEST : books.OLDEST + 4] = NONE
        self._state = np.zeros((64, books.STREAM), np.int64)
        self._records = np.zeros((64, books.RECORD), np.int64)
        self._slots = np.full(128, NONE, np.int64)
        self._arena = np.empty(_SMALLEST_ARENA, np.uint8)
        self._piece = np.zeros(books.RECORD, np.int64)

    def add(self, segments: "Segments") -> Packets:
        """Take in the segments of a block, and return the messages that they complete, as rows over their own buffer.

        The packets that are captured are the segments whose fate is settled now, whichever block they came with.
        """
        return self._run(segments)

    def finish(self) -> Packets:
        """End all streams, and return what is left of them: messages behind gaps, and unfinished ones."""
        return self._run(None)

    def _run(self, segments: "Segments | None") -> Packets:
        count = 0 if segments is None else len(segments)
        data = np.empty(0, np.uint8) if segments is None else segments.data
        room = int(self._pool[books.LIVE]) + (0 if segments is None else int(segments.length.sum()))
        work = _Work(count + 64, room)
        self._pool[[books.ROWS, books.OUT, books.NOTED, books.UNTOLD]] = 0
        self._pool[books.FATES :] = 0
        for first in range(0, max(count, 1), _CHUNK):
            table = np.empty((0, books.SEGMENT), np.int64)
            if segments is not None:
                table = self._table(segments, first, min(first + _CHUNK, count))
            at, why = 0, books.MORE_ROWS
            while why != books.DONE:
                at, why = kernels.run(
                    self._books(work), readonly(table), readonly(data), self._piece, at, segments is None
                )
                self._make_room(why, work)
        return work.packets(self._pool)

    def _books(self, work: "_Work") -> books.Books:
        return books.Books(
            state=self._state,
            records=self._records,
            slots=self._slots,
            pool=self._pool,
            arena=self._arena,
            frozen=readonly(self._arena),
            rows=work.rows,
            out=work.out,
            odd=work.odd,
        )

    def _make_room(self, why: int, work: "_Work") -> None:
        """Enlarge what the kernel wants more of."""
        if why == books.MORE_ROWS:
            work.rows = _doubled(work.rows)
        elif why == books.MORE_RECORDS:
            self._records = _doubled(self._records)
        elif why == books.MORE_STREAMS:
            self._state = _doubled(self._state)
            self._slots = np.full(2 * len(self._state), NONE, np.int64)
            kernels.fill_slots(self._books(work))
        elif why == books.MORE_ARENA:
            size = books.SCRATCH + 2 * int(self._pool[books.LIVE]) + int(self._pool[books.WANTED])
            arena = np.empty(max(size, _SMALLEST_ARENA), np.uint8)
            kernels.compact(self._books(work), arena)
            self._arena = arena

    def _table(self, segments: "Segments", first: int, stop: int) -> "NDArray[np.int64]":
        """Return the segments first to stop as a table for the kernel."""
        rows = slice(first, stop)
        table = np.empty((stop - first, books.SEGMENT), np.int64)
        columns: dict[int, NDArray[Any]] = {
            books.SEG_SOURCE_PORT: segments.source_port,
            books.SEG_TARGET_PORT: segments.destination_port,
            books.SEG_NUMBER: segments.number,
            books.SEG_TIME: segments.time,
            books.SEG_TTL: segments.ttl,
            books.SEG_SEQUENCE: segments.sequence,
            books.SEG_FLAGS: segments.flags,
            books.SEG_START: segments.start,
            books.SEG_LENGTH: segments.length,
            books.SEG_MISSING: segments.missing,
        }
        for column, values in columns.items():
            table[:, column] = values[rows]
        table[:, books.SEG_SOURCE : books.SEG_SOURCE + 2] = segments.source[rows].view(np.int64)
        table[:, books.SEG_TARGET : books.SEG_TARGET + 2] = segments.destination[rows].view(np.int64)
        mixed = np.full(stop - first, self._seed)
        for column in range(books.KEY):
            mixed = (mixed ^ table[:, column].view(np.uint64)) * _HASH_FACTOR
            mixed ^= mixed >> np.uint64(32)
        table[:, books.SEG_HASH] = (mixed >> np.uint64(1)).view(np.int64)
        return table


class _Work:
    """What the kernels write for one block."""

    def __init__(self, rows: int, room: int) -> None:
        self.rows = np.empty((rows, books.ROW), np.int64)
        self.out = np.empty(room, np.uint8)
        self.odd = np.empty((_NOTES, books.ODD), np.int64)

    def packets(self, pool: "NDArray[np.int64]") -> Packets:
        """Return what was written as packets."""
        rows = self.rows[: pool[books.ROWS]]
        fates = pool[books.FATES :]
        return Packets(
            data=self.out[: pool[books.OUT]],
            number=rows[:, books.ROW_NUMBER].copy(),
            time=rows[:, books.ROW_TIME].copy(),
            transport=rows[:, books.ROW_TRANSPORT].astype(np.uint8),
            ttl=rows[:, books.ROW_TTL].astype(np.uint8),
            source=rows[:, books.ROW_SOURCE : books.ROW_SOURCE + 2].astype(np.uint64),
            source_port=rows[:, books.ROW_SOURCE_PORT].astype(np.uint16),
            destination=rows[:, books.ROW_TARGET : books.ROW_TARGET + 2].astype(np.uint64),
            destination_port=rows[:, books.ROW_TARGET_PORT].astype(np.uint16),
            start=rows[:, books.ROW_START].copy(),
            length=rows[:, books.ROW_LENGTH].copy(),
            missing=rows[:, books.ROW_MISSING].copy(),
            captured=int(fates.sum()),
            carried=int(fates[books.CARRIED]),
            set_aside={word: int(fates[fate]) for fate, word in SET_ASIDE.items() if fates[fate]},
            anomalies=tuple(self._anomalies(pool)),
        )

    def _anomalies(self, pool: "NDArray[np.int64]") -> list[Anomaly]:
        told = self.odd[: pool[books.NOTED]].tolist()
        found = [Anomaly(time, number, REASONS[reason], _detail(reason, value)) for time, number, reason, value in told]
        if untold := int(pool[books.UNTOLD]):
            found.append(Anomaly(-1, 0, "stream given up", f"{untold:,} more anomalies of streams, not listed"))
        return found


def _detail(reason: int, value: int) -> str:
    if reason == books.ODD_LENGTH:
        promised = f"{value:,} bytes, more than {books.MAX_BODY:,}" if value >= 0 else "no number"
        return f"Content-Length is {promised}; the body is not read, and the next start line is searched"
    return _DETAILS[reason].format(value)


def _doubled(array: "NDArray[np.int64]") -> "NDArray[np.int64]":
    larger = np.zeros((2 * len(array), array.shape[1]), np.int64)
    larger[: len(array)] = array
    return larger
