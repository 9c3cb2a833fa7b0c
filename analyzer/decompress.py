"""Compressed bytes, decompressed as they are read: a step at a time, up to a limit, as far as they are sound."""

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from analyzer.formats import COMPRESSED, find_compression, is_skippable

if TYPE_CHECKING:
    import zstandard

    from analyzer.capture import Readable

MOST_BYTES = 64 << 30
"""The bytes that are decompressed of one capture, unless more are asked for."""
MOST_RATIO = 400
"""How many times as large as the compressed bytes the decompressed may be, once they are more than SAFE_BYTES.

Captures of packets that repeat reach 200; gzip can reach 1,030, and zstd 30,000.
"""
SAFE_BYTES = 1 << 30

_INPUT_BYTES = 64 << 10
_OUTPUT_BYTES = 64 << 10
"""The most that one step decompresses, where the library can be told."""
_PADDING_BYTES = 512
"""How much padding is looked at in one go."""
_MOST_MEMORY = 128 << 20
"""The most memory that a stream may ask for to be decompressed: that of zstd --long and xz -9, and no more."""
_CARE = 256
"""A step is 1/256 of what came before it, so that bytes that prove damaged take no more than that with them."""


class Flaw(NamedTuple):
    """Why a stream ends before its end."""

    reason: str
    """'cut short', 'damaged' or 'too large'."""
    detail: str


class _Member(Protocol):
    """One gzip member, zstd frame, xz stream …, of which a file may hold several."""

    piece_bytes: int
    """The most compressed bytes that one step is given."""

    @property
    def ended(self) -> bool:
        """The member is whole."""

    @property
    def hungry(self) -> bool:
        """It can give nothing more before it is given more."""

    def step(self, piece: memoryview, most: int) -> tuple[bytes, bytes]:
        """Decompress piece to at most that many bytes; return them, and what is left over of the input."""


class _Gzip:
    """A gzip member (RFC 1952)."""

    piece_bytes = 8 << 10
    hungry = True

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def ended(self) -> bool:
        return self._inner.eof

    def step(self, piece: memoryview, most: int) -> tuple[bytes, bytes]:
        output = self._inner.decompress(piece, most)
        return output, self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail


class _Zstd:
    """A zstd frame (RFC 8878): its library does not stop at most bytes, so that it is given little."""

    piece_bytes = 1 << 10
    hungry = True

    def __init__(self, frames: "zstandard.ZstdDecompressor") -> None:
        self._inner = frames.decompressobj()

    @property
    def ended(self) -> bool:
        return self._inner.eof

    def step(self, piece: memoryview, most: int) -> tuple[bytes, bytes]:  # noqa: ARG002
        output = self._inner.decompress(piece)
        return output, self._inner.unused_data


class _Inner(Protocol):
    """A decompressor of the standard library's form, which keeps what it cannot yet use."""

    @property
    def eof(self) -> bool:
        """The member is whole."""

    @property
    def needs_input(self) -> bool:
        """It can give nothing more before it is given more."""

    @property
    def unused_data(self) -> bytes | None:
        """What came after the member."""

    def decompress(self, data: memoryview, max_length: int) -> bytes:
        """Return at most max_length bytes."""


class _Keeping:
    """A member whose decompressor keeps what it was given and could not yet use."""

    piece_bytes = 8 << 10

    def __init__(self, inner: _Inner) -> None:
        self._inner = inner
        self._stuck = False

    @property
    def ended(self) -> bool:
        return self._inner.eof

    @property
    def hungry(self) -> bool:
        return self._inner.needs_input or self._stuck

    def step(self, piece: memoryview, most: int) -> tuple[bytes, bytes]:
        output = self._inner.decompress(piece, most)
        self._stuck = not output
        return output, (self._inner.unused_data or b"") if self._inner.eof else b""


def _find_opener(compression: str) -> Callable[[], _Member]:
    """Return what opens one member after the other."""
    match compression:
        case "gzip":
            return _Gzip
        case "zstd":
            import zstandard

            frames = zstandard.ZstdDecompressor(max_window_size=_MOST_MEMORY)
            return lambda: _Zstd(frames)
        case "lz4":
            import lz4.frame

            return lambda: _Keeping(lz4.frame.LZ4FrameDecompressor())
        case "bzip2":
            import bz2

            return lambda: _Keeping(bz2.BZ2Decompressor())
        case _:
            import lzma

            return lambda: _Keeping(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY))


class Decompressed:
    """What compressed bytes decompress to, readable from the first byte to the last."""

    def __init__(
        self, source: "Readable", compression: str, *, most_bytes: int | None = None, within: str = "the file"
    ) -> None:
        """Decompress source, which begins with the magic of compression (a key of COMPRESSED).

        No more than most_bytes are given; without it, MOST_BYTES, and no more than MOST_RATIO times what was read
        once they are more than SAFE_BYTES. Within says where source is, for the flaw's detail.
        """
        self.flaw: Flaw | None = None
        """Why there is nothing more, if the compressed bytes are not whole and sound; known at the end."""
        self.given = 0
        """How many bytes were decompressed."""
        self._source = source
        self._compression = compression
        self._open_member = _find_opener(compression)
        self._most_bytes = most_bytes
        self._within = within
        self._member: _Member | None = None
        self._ended = False
        self._ready = memoryview(b"")
        self._input = memoryview(b"")
        self._begun = False
        self._consumed = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer with what one step gives, or begin to; return how many bytes, 0 at the end."""
        while not self._ready and not self._ended:
            if self._member is None:
                self._begin()
            else:
                self._step(self._member, len(buffer))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _begin(self) -> None:
        """Begin the next member, if there is one; zeros between members are padding."""
        while self._begun and (not self._input or not self._input[0]):
            ahead = self._input[:_PADDING_BYTES].tobytes()
            self._drop(len(ahead) - len(ahead.lstrip(b"\x00")))
            if not self._input and not self._fill(1):
                self._ended = True
                return
        self._fill(len(COMPRESSED[self._compression]) + 8)
        head = self._input[:32].tobytes()
        if self._fits(head):
            self._member = self._open_member()
            self._begun = True
        elif COMPRESSED[self._compression].startswith(head):
            self._drop(len(head))
            self._stop_cut()
        else:
            self._stop(
                "damaged",
                f"after the {self._compression} data, from byte {self._consumed:,} of {self._within} on, comes"
                f" something else: it was not read",
            )

    def _fits(self, head: bytes) -> bool:
        """Say whether a member of this compression begins with head."""
        skippable = self._compression in {"zstd", "lz4"} and is_skippable(head)
        return skippable or find_compression(head) == self._compression

    def _step(self, member: _Member, room: int) -> None:
        """Decompress a little more of the member."""
        care = max(self._consumed // _CARE, 16)
        piece = self._input[:0]
        starved = False
        if member.hungry:
            starved = not self._fill(1)
            piece = self._input[: min(care, member.piece_bytes)]
        most = min(room, max(self.given // _CARE, 1), _OUTPUT_BYTES)
        try:
            output, left = member.step(piece, most)
        except _library_errors() as error:
            self._stop_damaged(error)
            return
        self._take(len(piece), left)
        self._give(output)
        if member.ended:
            self._member = None
        elif starved and not output:
            self._stop_cut()

    def _give(self, output: bytes) -> None:
        """Make output ready, as far as the limit allows."""
        limit = self._most_bytes
        if limit is None:
            limit = max(SAFE_BYTES, min(MOST_BYTES, MOST_RATIO * self._consumed))
        room = max(limit - self.given, 0)
        self._ready = memoryview(output)[:room]
        self.given += len(self._ready)
        if len(output) > room:
            self._stop(
                "too large",
                f"the {self._compression} data was decompressed up to byte {self._consumed:,} of {self._within} only,"
                f" byte {self.given:,} of the capture: raise the limit with --most-bytes to read on",
            )

    def _fill(self, wanted: int) -> bool:
        """Read on until there are that many bytes of input; say whether there are."""
        while len(self._input) < wanted:
            buffer = bytearray(_INPUT_BYTES)
            count = self._source.readinto(memoryview(buffer)) or 0
            if not count:
                return False
            fresh = memoryview(buffer)[:count]
            self._input = memoryview(self._input.tobytes() + fresh) if self._input else fresh
        return True

    def _take(self, count: int, left: bytes) -> None:
        """Drop count bytes of input, but for those that are left over; they may be more than that."""
        if len(left) > count:
            self._input = memoryview(left + self._input[count:])
            self._consumed += count - len(left)
        else:
            self._drop(count - len(left))

    def _drop(self, count: int) -> None:
        self._input = self._input[count:]
        self._consumed += count

    def _stop(self, reason: str, detail: str) -> None:
        self.flaw = Flaw(reason, detail)
        self._ended = True

    def _stop_cut(self) -> None:
        self._stop(
            "cut short",
            f"the {self._compression} data ends too early, at byte {self._consumed:,} of {self._within}: of the"
            f" capture, {self.given:,} byte(s) were read",
        )

    def _stop_damaged(self, error: Exception) -> None:
        why = str(error) or type(error).__name__
        self._stop(
            "damaged",
            f"the {self._compression} data cannot be decompressed beyond byte {self._consumed:,} of {self._within}"
            f" ({why}): of the capture, {self.given:,} byte(s) were read",
        )


def _library_errors() -> tuple[type[Exception], ...]:
    """Return what the libraries raise for bytes that are damaged, or that ask for too much memory."""
    import lzma

    import zstandard

    return zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError, RuntimeError, MemoryError
