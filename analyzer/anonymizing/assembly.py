"""What comes in pieces: datagrams in fragments, and TCP streams in segments; put together, renamed, and cut again."""

import re
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

REASSEMBLY = 60_000_000_000
"""Within how many ns the fragments of one datagram come (RFC 8200 4.5)."""
MOST_BYTES = 1 << 18
"""How much of a stream is kept in which nothing of SIP was seen."""
MOST_SILENT = 1 << 26
"""How much of all such streams is kept; then half of it, of those that began first, is forgotten."""
LARGEST = 65_535
_SPEAKS = re.compile(rb"SIP/2\.0|[Ss]ec-[Ww]eb[Ss]ocket-[Pp]rotocol", re.ASCII)
_SYN = 2


@dataclass
class Datagram:
    """A datagram of which fragments came."""

    time: int
    pieces: dict[int, bytes] = field(default_factory=dict)
    size: int = -1
    """Bytes of the whole; -1 until the last fragment came."""
    whole: bytearray | None = None
    """All its bytes, once they came; with other names, once it was renamed."""
    renamed: bool = False

    def add(self, offset: int, data: bytes, *, last: bool) -> bool:
        """Take in a fragment; return whether it is the one that completes the datagram."""
        if self.whole is not None or offset + len(data) > LARGEST:
            return False
        if len(data) >= len(self.pieces.get(offset, b"")):
            self.pieces[offset] = data
        self.size = offset + len(data) if last else self.size
        if self.size < 0 or sum(map(len, self.pieces.values())) < self.size:
            return False
        whole, reach = bytearray(self.size), 0
        for at in sorted(self.pieces):
            if at > reach:
                return False
            piece = self.pieces[at][: max(self.size - at, 0)]
            whole[at : at + len(piece)] = piece
            reach = max(reach, at + len(piece))
        if reach < self.size:
            return False
        self.whole = whole
        self.pieces.clear()
        return True


@dataclass
class Stream:
    """One direction of a TCP connection."""

    base: int
    """The sequence number of its first byte, or of the first one that was seen."""
    pieces: dict[int, bytes] = field(default_factory=dict)
    """What segments carry, by where it begins; the first that came of each."""
    held: int = 0
    speaks: bool = False
    deaf: bool = False
    """So much came without SIP that none is expected any more."""
    runs: list[tuple[int, bytearray]] | None = None
    """What is without gaps, and where it begins, with other names; None before it was renamed."""

    def offset(self, sequence: int) -> int:
        """Return how far from the base a sequence number is; negative if it is before."""
        return (sequence - self.base + (1 << 31) & 0xFFFFFFFF) - (1 << 31)

    def add(self, sequence: int, data: bytes) -> None:
        """Take in a segment."""
        if not data or self.deaf:
            return
        self.speaks = self.speaks or _SPEAKS.search(data) is not None
        at = self.offset(sequence)
        if len(data) > len(self.pieces.get(at, b"")):
            self.held += len(data)
            self.pieces[at] = data
        if self.held > MOST_BYTES and not self.speaks:
            self.forget()
            self.deaf = True

    @property
    def silent(self) -> int:
        """How many bytes are kept of it though nothing of SIP was seen."""
        return 0 if self.speaks else self.held

    def forget(self) -> None:
        """Forget what segments carried."""
        self.pieces.clear()
        self.held = 0

    def rename(self, rewrite: Callable[[bytes], bytes | None]) -> None:
        """Put the runs together, and have them rewritten; those that are no SIP are forgotten."""
        runs: list[tuple[int, bytearray]] = []
        for at in sorted(self.pieces):
            piece = self.pieces[at]
            if runs and at <= runs[-1][0] + len(runs[-1][1]):
                start, run = runs[-1]
                run += piece[max(start + len(run) - at, 0) :]
            else:
                runs.append((at, bytearray(piece)))
        self.pieces.clear()
        named = ((at, rewrite(bytes(run))) for at, run in runs)
        self.runs = [(at, bytearray(text)) for at, text in named if text is not None]

    def read(self, sequence: int, size: int) -> bytes | None:
        """Return what stands for a segment's payload; None if it was not understood."""
        at = self.offset(sequence)
        for start, run in self.runs or ():
            if start <= at and at + size <= start + len(run):
                return bytes(run[at - start : at - start + size])
        return None


class Assembly:
    """All datagrams and streams of a capture; first they are collected, then looked up in the same order."""

    def __init__(self) -> None:
        """Know none."""
        self.collecting = True
        self._datagrams: dict[Hashable, Datagram] = {}
        self._streams: dict[Hashable, Stream] = {}
        self._placed: dict[Hashable, Datagram | Stream] = {}
        self._waiting: deque[Stream] = deque()
        self._silent = 0
        self._number: Hashable = 0
        self._nth = 0
        self.time = 0

    def begin(self, number: Hashable, time: int) -> None:
        """Begin with a packet."""
        self._number, self._nth, self.time = number, 0, time

    def inside(self, datagram: Datagram) -> tuple[Hashable, int]:
        """Begin with a datagram that was put together; return where to go on afterwards, for resume()."""
        before = self._number, self._nth
        self._number, self._nth = ("datagram", id(datagram)), 0
        return before

    def resume(self, before: tuple[Hashable, int]) -> None:
        """Go on with the packet that a datagram came in."""
        self._number, self._nth = before

    def datagram(self, key: Hashable) -> Datagram:
        """Return the datagram that the fragment at hand is of."""
        if not self.collecting:
            found = self._placed[self._place()]
            assert isinstance(found, Datagram)  # noqa: S101 (the same packet, read again)
            return found
        datagram = self._datagrams.get(key)
        if datagram is None or datagram.whole is not None or abs(self.time - datagram.time) > REASSEMBLY:
            datagram = self._datagrams[key] = Datagram(self.time)
        self._placed[self._place()] = datagram
        return datagram

    def stream(self, key: Hashable, sequence: int, flags: int) -> Stream:
        """Return the stream that the segment at hand is of."""
        if not self.collecting:
            found = self._placed[self._place()]
            assert isinstance(found, Stream)  # noqa: S101 (the same packet, read again)
            return found
        stream = self._streams.get(key)
        base = sequence + 1 & 0xFFFFFFFF if flags & _SYN else sequence
        if stream is None or (flags & _SYN and stream.base != base):
            stream = self._streams[key] = Stream(base)
            self._waiting.append(stream)
        self._placed[self._place()] = stream
        return stream

    def add(self, stream: Stream, sequence: int, data: bytes) -> None:
        """Take in a segment of a stream; forget the oldest streams without SIP if too much of them is kept."""
        before = stream.silent
        stream.add(sequence, data)
        self._silent += stream.silent - before
        if self._silent <= MOST_SILENT:
            return
        for _ in range(len(self._waiting)):
            oldest = self._waiting.popleft()
            if not oldest.speaks:
                self._silent -= oldest.held
                oldest.forget()
                self._waiting.append(oldest)
            if self._silent <= MOST_SILENT // 2:
                break

    def _place(self) -> Hashable:
        self._nth += 1
        return self._number, self._nth
