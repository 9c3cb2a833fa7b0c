"""Recording with a program that writes pcap into a pipe: read here, and written as segments of pcapng."""

import select
import struct
import time
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from analyzer.errors import AnalyzerError, CaptureError
from analyzer.formats import PCAP_MAGICS
from analyzer.pcapng import MOST_BLOCK_BYTES, Lost, interface, packet, section, statistics
from analyzer.recorders import SNAP_BYTES, LiveStream
from analyzer.recorders.interfaces import is_up
from analyzer.recorders.process import FEW_BYTES, REST_SECONDS
from analyzer.segments import begin

if TYPE_CHECKING:
    from analyzer.recording import Books

LOOK_SECONDS = 0.2
SECONDS_TO_END = 3.0
"""How long a program may take to hand over what it still holds."""
_PIECE = 1 << 20
_HEADER = 24


class Segment:
    """A segment that is being written."""

    def __init__(self, books: "Books", link: int, lost: Lost) -> None:
        """Begin it; lost is what the program had lost before."""
        self._books = books
        self._before = lost
        self.claim = begin(books.folder)
        self.file: BinaryIO = self.claim.path.open("r+b", buffering=1 << 18)
        order = books.order
        self.file.write(section(comment=books.comment))
        self.file.write(interface(link, name=order.interface, snap=SNAP_BYTES, filtered=order.filter))
        books.comment = ""
        self.began = time.monotonic()
        self.packets = 0
        self.bytes = 0

    def add(self, when: int, data: bytes, wire: int) -> None:
        """Write a packet, seen when, in ns since 1970."""
        block = packet(when, data, wire)
        self.file.write(block)
        self.packets += 1
        self.bytes += len(block)

    def close(self, lost: Lost) -> None:
        """Finish it; lost is what the program has lost by now."""
        own = _since(self._before, lost)
        try:
            with self.file:
                self.file.write(statistics(time.time_ns(), replace(own, received=self.packets)))
            self._books.enter(self.claim.path, self.packets, own)
        finally:
            self.claim.release()


def _since(before: Lost, now: Lost) -> Lost:
    def step(name: str) -> int | None:
        count = getattr(now, name)
        return None if count is None else max(count - (getattr(before, name) or 0), 0)

    return Lost(kernel=step("kernel"), interface=step("interface"))


class Pipe:
    """What a program writes: the header, then record after record."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.link = -1
        """The link type; -1 until the header came."""
        self._held = b""
        self._order = "<"
        self._tick = 1

    def take(self, piece: bytes) -> list[tuple[int, bytes, int]]:
        """Return the packets that are whole with this piece: the time in ns, the bytes, the length on the wire."""
        data = self._held + piece
        at = self._read_header(data) if self.link < 0 else 0
        found = []
        head = struct.Struct(self._order + "IIII").unpack_from
        while self.link >= 0 and len(data) - at >= 16:
            seconds, rest, captured, wire = head(data, at)
            if captured > MOST_BLOCK_BYTES:
                raise CaptureError("the recorder", "wrote what is no capture; choose another one")
            if len(data) - at - 16 < captured:
                break
            at += 16 + captured
            found.append((seconds * 1_000_000_000 + rest * self._tick, data[at - captured : at], wire))
        self._held = data[at:]
        return found

    def _read_header(self, data: bytes) -> int:
        if len(data) < _HEADER:
            return 0
        if data[:4] not in PCAP_MAGICS:
            raise CaptureError("the recorder", "wrote what is no capture; choose another one")
        order, resolution, _ = PCAP_MAGICS[data[:4]]
        self._order = ">" if order == "big" else "<"
        self._tick = 1000 if resolution == "µs" else 1
        (self.link,) = struct.unpack_from(self._order + "I", data, 20)
        return _HEADER


def record_pipe(books: "Books") -> AnalyzerError:
    """Record until all is done, the interface goes down, or the program ends; return why, should it be the last.

    Raises what is of no use to try again.
    """
    live = LiveStream(books.recorder, books.order)
    try:
        if books.begin(live.process):
            _Writing(books, live).run()
        live.close()
        interface, name = books.recording.interface, books.recorder.name
        if (problem := live.problem()) and not books.done():
            raise problem
        return CaptureError(interface, f"{name} ended; see whether it runs by itself")
    finally:
        live.close()


class _Writing:
    """What comes through the pipe, on its way into segments."""

    def __init__(self, books: "Books", live: LiveStream) -> None:
        self._books = books
        self._live = live
        self._pipe = Pipe()
        self._segment: Segment | None = None
        self._asked = time.monotonic()
        self._ending = 0.0
        """When the program is given up, once it was told to end."""

    def run(self) -> None:
        """Write until the pipe ends."""
        try:
            while self._take() and not (self._ending and time.monotonic() > self._ending):
                self._look()
        finally:
            if self._segment:
                self._live.close()
                self._segment.close(self._live.lost())

    def _take(self) -> bool:
        """Write what is in the pipe; say whether more may come."""
        file = self._live.file
        ready, _, _ = select.select([file], [], [], LOOK_SECONDS)
        if not ready:
            return True
        piece = file.read(_PIECE)
        if 0 < len(piece) < FEW_BYTES:
            time.sleep(REST_SECONDS)
        found = self._pipe.take(piece)
        if self._segment is None and self._pipe.link >= 0:
            self._segment = Segment(self._books, self._pipe.link, Lost())
        if self._segment:
            left = self._books.packets_left()
            for each in found if left is None else found[: left - self._segment.packets]:
                self._segment.add(*each)
        return bool(piece)

    def _look(self) -> None:
        """Do what time, size and number demand."""
        now, segment = time.monotonic(), self._segment
        if not self._ending and (self._is_enough() or not is_up(self._books.recording.interface)):
            self._live.end()
            self._ending = now + SECONDS_TO_END
        elif segment and not self._ending and self._books.due(segment.began, segment.bytes):
            self._change(segment)
        if now - self._asked > LOOK_SECONDS:
            self._asked = now
            self._live.ask()
            if self._segment:
                self._segment.file.flush()

    def _is_enough(self) -> bool:
        """Say whether all is recorded."""
        return self._books.done() or (self._segment is not None and self._segment.packets == self._books.packets_left())

    def _change(self, segment: Segment) -> None:
        """End a segment and begin the next."""
        self._live.ask()
        select.select([self._live.file], [], [], LOOK_SECONDS)  # a moment, in which it tells its counters
        lost = self._live.lost()
        segment.close(lost)
        self._segment = Segment(self._books, self._pipe.link, lost)
