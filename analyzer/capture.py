"""Captures as files, folders and pipes: which there are, and their bytes, decompressed, block by block."""

import glob
import io
import os
import re
import select
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, Self

from analyzer.decompress import Decompressed, Flaw
from analyzer.errors import CaptureError
from analyzer.formats import HEAD_BYTES, PCAP_MAGICS, PCAPNG_MAGIC, find_compression, find_foreign, is_capture, say_what
from analyzer.pcapng import MOST_BLOCK_BYTES

if TYPE_CHECKING:
    from numpy import uint8
    from numpy.typing import NDArray

__all__ = [
    "BLOCK_BYTES", "LARGEST_PACKET", "MOST_INTERFACES", "PCAPNG_MAGIC", "PCAP_MAGICS", "STDIN", "STDIN_NAME",
    "USUAL_PACKET", "Blocks", "Meter", "Readable", "Stream", "check", "describe", "find_captures", "measure",
    "open_blocks", "open_stream",
]  # fmt: skip

BLOCK_BYTES = 8 << 20
"""How many bytes the native engine decodes at a time; as many blocks as there are threads wait in memory, and two.

Memory below 32 MiB is taken and given back without the system: two thirds of its share of the time was that."""
_HELD_HERE = 2
"""How many hold a buffer that only a list holds, and the one who asks."""
_MOST_BUFFERS = 4
"""How many are kept for later: as many as there are blocks between the one that is read and the one that is parsed."""
LARGEST_PACKET = MOST_BLOCK_BYTES
"""A packet, or a block of pcapng, that says it has more bytes is damaged."""
USUAL_PACKET = 262_144
"""The snap length that libpcap sets where none is asked for: a packet of so many bytes is never too long."""
MOST_INTERFACES = 65_536
"""Interfaces of a section of pcapng that are taken note of."""
STDIN = Path("-")
"""The path that stands for standard input."""
STDIN_NAME = "standard input"
_STDIN_NUMBER = 0
_MOST_LAYERS = 2
"""How many compressions, one within the other, are undone."""
_CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 32
"""Those of the header of a capture, and more: 24 of pcap, 28 of pcapng."""
_KINDS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class Readable(Protocol):
    """Whatever bytes can be read from, one piece after the other: a file, a pipe, what decompresses one."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer as far as there are bytes, and return how many; 0 at the end."""


class Blocks:
    """The bytes of a capture, block by block; what one block leaves over begins the next.

    Each block is a buffer of its own, so that whoever holds an earlier one keeps it intact.
    """

    def __init__(self, file: Readable, block_bytes: int, size: int | None = None, *, eager: bool = False) -> None:
        """Read file in blocks of block_bytes; size is the number of its bytes where that is known.

        With eager=True, a block is whatever one step of reading brings, up to block_bytes: a live capture is not
        waited for until a block is full.
        """
        import numpy as np

        self.size = size
        self.offset = 0
        """Where in the capture data begins."""
        self.data: NDArray[uint8] = np.empty(0, np.uint8)
        """The block: uint8, C-contiguous, writable."""
        self.ended = False
        """There is nothing after data."""
        self._file = file
        self._block_bytes = max(block_bytes, 1)
        self._eager = eager
        self._buffers: list[NDArray[uint8]] = []
        """Those of blocks, to be used again when no view of them is left."""

    def count_rest(self, used: int) -> int | None:
        """Return how many bytes there are beyond used bytes of data; None while that is not known."""
        if self.size is not None:
            return max(self.size - self.offset, used) - used
        return len(self.data) - used if self.ended else None

    @property
    def flaw(self) -> Flaw | None:
        """Why the capture ends before its end, if that is not the capture's own fault but its compression's."""
        return self._file.flaw if isinstance(self._file, Stream) else None

    def begin(self) -> Self:
        """Read the first block, which holds the header of the capture if that is whole."""
        while len(self.data) < _HEADER_BYTES and not self.ended:
            self.advance(0)
        return self

    def advance(self, used: int) -> None:
        """Drop the first used bytes of data and read on; without any to drop, make the block larger."""
        rest = self.data[used:]
        wanted = self._block_bytes if used or not len(rest) else 2 * len(rest)
        wanted = max(wanted, len(rest) + 1, self._block_bytes if self._eager else 0)
        ahead = 0 if self.size is None else self.size - self.offset - used
        if ahead > len(rest):  # one byte more than is expected shows the end
            wanted = min(wanted, ahead + 1)
        block = self._make_buffer(wanted)
        block[: len(rest)] = rest
        filled = len(rest)
        while filled < wanted:
            count = self._file.readinto(block.data[filled:])
            if not count:
                self.ended = True
                break
            filled += count
            if self._eager:
                break
        self.data = block[:filled]
        self.offset += used

    def _make_buffer(self, size: int) -> "NDArray[uint8]":
        """Return a buffer of that many bytes which nobody holds: an earlier one, or else a new one.

        For a new one, the system has to find and clear memory, which takes half as long as to read the bytes.
        """
        import numpy as np

        buffers = self._buffers
        for place in range(len(buffers)):
            if len(buffers[place]) >= size and sys.getrefcount(buffers[place]) == _HELD_HERE:
                return buffers[place][:size]
        buffer = np.empty(size, np.uint8)
        if size == self._block_bytes and len(buffers) < _MOST_BUFFERS:
            buffers.append(buffer)
        return buffer


class Stream:
    """The bytes of a capture as it was recorded, from the first to the last: decompressed if need be."""

    def __init__(self, file: Readable, size: int | None = None, *, most_bytes: int | None = None) -> None:
        """Read file, of size bytes where that is known, and undo its compressions (see Decompressed)."""
        self._layers: list[Decompressed] = []
        self._file = _Peeked(file)
        self.compressions: list[str] = []
        """The names of the compressions that are undone, outermost first."""
        while len(self._layers) < _MOST_LAYERS and (name := find_compression(self._file.head)):
            within = f"what the {self.compressions[-1]} data holds" if self._layers else "the file"
            self._layers.append(Decompressed(self._file, name, most_bytes=most_bytes, within=within))
            self._file = _Peeked(self._layers[-1])
            self.compressions.append(name)
        self.size = None if self._layers else size
        """How many bytes there are to read, where that is known."""

    @property
    def head(self) -> bytes:
        """The first bytes: up to formats.HEAD_BYTES, as many as say what the file is."""
        return self._file.head

    @property
    def flaw(self) -> Flaw | None:
        """Why there is nothing more, if it is compressed and not whole and sound; known at the end."""
        return next((layer.flaw for layer in self._layers if layer.flaw), None)

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as one step goes, and return how many bytes; 0 at the end."""
        return self._file.readinto(buffer)

    def read(self, size: int = -1) -> bytes:
        """Return size bytes, fewer only at the end; all that is left without a size."""
        pieces = []
        while size:
            buffer = bytearray(min(size, _CHUNK_BYTES) if size > 0 else _CHUNK_BYTES)
            count = self.readinto(memoryview(buffer))
            if not count:
                break
            pieces.append(bytes(memoryview(buffer)[:count]))
            size -= count if size > 0 else 0
        return b"".join(pieces)


class _Peeked:
    """A readable of which the first bytes are known before they are read; no more than say that it is a capture."""

    def __init__(self, file: Readable) -> None:
        buffer = memoryview(bytearray(HEAD_BYTES))
        filled = 0
        while filled < HEAD_BYTES and not is_capture(buffer[:4].tobytes()):
            count = file.readinto(buffer[filled:])
            if not count:
                break
            filled += count
        self.head = buffer[:filled].tobytes()
        self._rest = memoryview(self.head)
        self._file = file

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer, first with what was looked at already."""
        if not self._rest:
            return self._file.readinto(buffer) or 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Waiting:
    """A file that is waited for where its descriptor would not wait itself (O_NONBLOCK)."""

    def __init__(self, file: io.FileIO, meter: "Meter") -> None:
        self._file = file
        self._meter = meter

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer with what there is, and return how many bytes; 0 at the end."""
        while (count := self._file.readinto(buffer)) is None:
            poll = select.poll()
            poll.register(self._file, select.POLLIN)
            poll.poll()
        self._meter.bytes_read += count
        return count


class Meter:
    """How many bytes of captures were read, as they lie on the disk: compressed, if they are."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.bytes_read = 0


_METER: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def measure() -> Iterator[Meter]:
    """Count what is read of the captures that are opened meanwhile, whichever engine opens them."""
    meter = Meter()
    before = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(before)


@contextmanager
def open_blocks(path: Path, block_bytes: int, *, most_bytes: int | None = None) -> Iterator[Blocks]:
    """Open the capture at path, its first block read, as open_stream() opens it."""
    with open_stream(path, most_bytes=most_bytes) as stream:
        yield Blocks(stream, block_bytes, stream.size).begin()


@contextmanager
def open_stream(path: Path, *, most_bytes: int | None = None, foreign: bool = False) -> Iterator[Stream]:
    """Open the capture at path, or standard input for STDIN, decompressed if its content says so.

    At most most_bytes are decompressed; without it, as many as analyzer.decompress allows. With foreign=True,
    captures that Wireshark alone reads are opened too.
    Raises CaptureError if it is no capture, or cannot be read.
    """
    try:
        with io.FileIO(_STDIN_NUMBER, closefd=False) if path == STDIN else path.open("rb", buffering=0) as file:
            _refuse_terminal(path, file)
            status = os.fstat(file.fileno())
            size = max(status.st_size - file.tell(), 0) if stat.S_ISREG(status.st_mode) else None
            stream = Stream(_Waiting(file, _METER.get() or Meter()), size, most_bytes=most_bytes)
            if complaint := _complain(stream, foreign=foreign):
                raise CaptureError(_name(path), complaint)
            yield stream
    except OSError as error:
        _refuse(path, error)


def find_captures(paths: str | Path | Iterable[str | Path], *, foreign: bool = False) -> list[Path]:
    """Return the captures at paths, one or several: a file is itself, a folder all captures below it, sorted.

    "-" is standard input. A pattern (* ? [ ]) that is no file's name is the files that match it. In folders,
    captures are known by their content; hidden and other files are passed over. A file that is named twice counts
    once. With foreign=True, captures that Wireshark alone reads count too.
    Raises CaptureError for what is missing, cannot be read, or is no capture, and for a folder without captures.
    """
    found: dict[tuple[int, int], Path] = {}
    names = [paths] if isinstance(paths, str | Path) else paths
    for path in (path for name in names for path in _expand(name)):
        for capture in _captures_at(path, foreign=foreign):
            status = _status(capture)
            found.setdefault((status.st_dev, status.st_ino), capture)
    return list(found.values())


def describe(path: Path) -> tuple[str, int | None]:
    """Return how the capture at path is called for people, and how many bytes it takes up; None for a pipe."""
    status = _status(path)
    return _name(path), status.st_size if stat.S_ISREG(status.st_mode) else None


def check(path: Path, *, foreign: bool = False) -> Path:
    """Return path if there is a capture that can be read; raise CaptureError, with the reason, if not.

    Of pipes nothing is read, since that could not be read again.
    """
    mode = _status(path).st_mode
    if path == STDIN and not stat.S_ISREG(mode):
        with io.FileIO(_STDIN_NUMBER, closefd=False) as file:
            _refuse_terminal(path, file)
    elif stat.S_ISDIR(mode):
        raise CaptureError(path, "is a folder; name a capture in it")
    elif stat.S_ISREG(mode):
        _check_content(path, foreign=foreign)
    elif not stat.S_ISFIFO(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise CaptureError(path, f"is {kind}; name a capture file (pcap or pcapng) instead")
    return path


def _check_content(path: Path, *, foreign: bool) -> None:
    if path == STDIN:  # reading it would move on in it
        return
    with open_stream(path, foreign=foreign):
        pass


def _expand(name: str | Path) -> list[Path]:
    """Return the paths that name stands for."""
    if str(name) == str(STDIN):
        return [STDIN]
    path = Path(name)
    if not re.search(r"[*?\[]", str(path)) or os.path.lexists(path):
        return [_tell_apart(path)]
    matches = sorted(glob.glob(str(path)))  # noqa: PTH207  a Path globs relative patterns only
    if not matches:
        raise CaptureError(path, "matches no file; check the pattern")
    return [_tell_apart(Path(match)) for match in matches]


def _tell_apart(path: Path) -> Path:
    """Return path such that a file called "-" is not taken for standard input."""
    return path.absolute() if path == STDIN else path


def _captures_at(path: Path, *, foreign: bool) -> list[Path]:
    if stat.S_ISDIR(_status(path).st_mode) and path != STDIN:
        return _captures_below(path, foreign=foreign)
    return [check(path, foreign=foreign)]


def _captures_below(folder: Path, *, foreign: bool) -> list[Path]:
    captures = []
    strange: list[str] = []
    for path in _files_below(folder):
        try:
            with path.open("rb", buffering=0) as file:
                stream = Stream(file)
        except OSError as error:
            _refuse(path, error)
        if not _complain(stream, foreign=foreign):
            captures.append(_tell_apart(path))
        elif name := find_foreign(stream.head):
            strange.append(name)
    if captures:
        return captures
    if strange:
        hint = f" but {len(strange)} that Wireshark alone reads ({strange[0]}); read them with --engine pyshark"
    else:
        hint = "; name one that does"
    raise CaptureError(folder, f"holds no captures (pcap or pcapng){hint}")


def _files_below(folder: Path) -> list[Path]:
    files = []
    for place, folders, names in os.walk(folder, onerror=lambda error: _refuse(folder, error)):
        folders[:] = [name for name in folders if not name.startswith(".")]
        visible = [Path(place, name) for name in names if not name.startswith(".")]
        try:
            files += [path for path in visible if path.is_file()]
        except OSError as error:
            _refuse(folder, error)
    return sorted(files)


def _status(path: Path) -> os.stat_result:
    try:
        return os.fstat(_STDIN_NUMBER) if path == STDIN else path.stat()
    except (OSError, ValueError) as error:
        _refuse(path, error)


def _name(path: Path) -> str:
    return STDIN_NAME if path == STDIN else str(path)


def _refuse_terminal(path: Path, file: io.FileIO) -> None:
    if file.isatty():
        remedy = "pipe one into it (tcpdump -w - | sipscope report -), or name a file"
        raise CaptureError(_name(path), f"is a terminal, from which no capture comes; {remedy}")


def _refuse(path: Path, error: OSError | ValueError) -> NoReturn:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        raise CaptureError(path, "does not exist; check the name") from error
    if isinstance(error, PermissionError):
        where = error.filename if error.filename and str(error.filename) != str(path) else ""
        what = f"cannot be read, permission denied for {where}" if where else "cannot be read, permission denied"
        raise CaptureError(path, f"{what}; ask for the right to read it") from error
    reason = getattr(error, "strerror", None) or str(error)
    remedy = "check what is piped into it" if path == STDIN else "check the file and the disk that it lies on"
    raise CaptureError(_name(path), f"cannot be read ({reason}); {remedy}") from error


def _complain(stream: Stream, *, foreign: bool) -> str:
    """Return what is wrong with a stream that is no capture, and what to do; "" if it is one."""
    head = stream.head
    if is_capture(head) or (foreign and find_foreign(head)):
        return ""
    compressions = " within ".join(reversed(stream.compressions))
    if stream.flaw and len(head) < HEAD_BYTES:
        return f"holds no whole capture: {stream.flaw.detail}; get it again"
    if not head:
        return f"is empty{f' (in {compressions})' if compressions else ''}; record the capture again"
    if find_compression(head):
        return f"is compressed more than twice ({compressions} …); unpack it first"
    what, remedy = say_what(head)
    return f"is {what}{f' (in {compressions})' if compressions else ''}; {remedy}"
