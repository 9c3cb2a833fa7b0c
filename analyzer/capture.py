"""Captures as files: which there are, and their bytes, block by block."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

from analyzer.errors import CaptureError

if TYPE_CHECKING:
    from numpy import uint8
    from numpy.typing import NDArray

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
PCAP_MAGICS = {
    b"\xa1\xb2\xc3\xd4": ("big", "µs", 16),
    b"\xd4\xc3\xb2\xa1": ("little", "µs", 16),
    b"\xa1\xb2\x3c\x4d": ("big", "ns", 16),
    b"\x4d\x3c\xb2\xa1": ("little", "ns", 16),
    b"\xa1\xb2\xcd\x34": ("big", "µs", 24),
    b"\x34\xcd\xb2\xa1": ("little", "µs", 24),
}
"""Byte order, resolution and bytes of a record's header, by the first four bytes of a pcap file."""

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7z",
}
_FOREIGN = {
    b"snoop\x00\x00\x00": "Solaris snoop",
    b"RTSS": "Microsoft Network Monitor 1",
    b"GMBU": "Microsoft Network Monitor 2",
    b"XCP\x00": "NetXRay / Windows Sniffer",
    b"TRSNIFF data    \x1a": "DOS Sniffer",
    b"\xac\x01\x00\x1c": "IXIA",
    b"\xab\x01\x00\x1c": "IXIA",
    b"\x7fver": "WildPackets (Peek)",
}
_HEAD_BYTES = 32
_KINDS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


class Readable(Protocol):
    """Whatever bytes can be read from, one piece after the other: a file today, a pipe tomorrow."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer as far as there are bytes, and return how many; 0 at the end."""


class Blocks:
    """The bytes of a capture, block by block; what one block leaves over begins the next.

    Each block is a buffer of its own, so that whoever holds an earlier one keeps it intact.
    """

    def __init__(self, file: Readable, block_bytes: int, size: int | None = None) -> None:
        """Read file in blocks of block_bytes; size is the number of its bytes where that is known."""
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

    def advance(self, used: int) -> None:
        """Drop the first used bytes of data and read on; without any to drop, make the block larger."""
        import numpy as np

        rest = self.data[used:]
        wanted = self._block_bytes if used or not len(rest) else 2 * len(rest)
        wanted = max(wanted, len(rest) + 1)
        ahead = 0 if self.size is None else self.size - self.offset - used
        if ahead > len(rest):  # one byte more than is expected shows the end
            wanted = min(wanted, ahead + 1)
        block = np.empty(wanted, np.uint8)
        block[: len(rest)] = rest
        filled = len(rest)
        while filled < wanted:
            count = self._file.readinto(block.data[filled:])
            if not count:
                self.ended = True
                break
            filled += count
        self.data = block[:filled]
        self.offset += used


@contextmanager
def open_blocks(path: Path, block_bytes: int) -> Iterator[Blocks]:
    """Open the capture at path, its first block read; raise CaptureError if it is none, or cannot be read."""
    check(path)
    try:
        with path.open("rb", buffering=0) as file:
            blocks = Blocks(file, block_bytes, path.stat().st_size)
            while len(blocks.data) < _HEAD_BYTES and not blocks.ended:
                blocks.advance(0)
            yield blocks
    except OSError as error:
        _refuse(path, error)


def find_captures(paths: Iterable[str | Path]) -> list[Path]:
    """Return the captures at paths: a file is itself, a folder all captures below it, sorted.

    In folders, captures are known by their content; hidden and other files are passed over. A file that is
    named twice counts once. Raises CaptureError for what is missing, cannot be read, or is no capture, and for
    a folder without captures.
    """
    found: dict[tuple[int, int], Path] = {}
    for name in paths:
        path = Path(name)
        for capture in _captures_below(path) if _status(path, "d") else [check(path)]:
            status = capture.stat()
            found.setdefault((status.st_dev, status.st_ino), capture)
    return list(found.values())


def check(path: Path) -> Path:
    """Return path if there is a capture that can be read; raise CaptureError, with the reason, if not."""
    if _status(path, "d"):
        raise CaptureError(path, "is a folder; name a capture in it")
    if not _status(path, "f"):
        kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode), "no regular file")
        raise CaptureError(path, f"is {kind}; name a capture file (pcap or pcapng) instead")
    head = _head(path)
    if not head:
        raise CaptureError(path, "is empty; record the capture again")
    if not _is_capture(head):
        raise CaptureError(path, _why_not(head))
    return path


def _captures_below(folder: Path) -> list[Path]:
    captures = []
    compressed = 0
    for path in _files_below(folder):
        head = _head(path)
        if _is_capture(head):
            captures.append(path)
        elif _starts_with(head, _COMPRESSED):
            compressed += 1
    if captures:
        return captures
    hint = f" but {compressed} compressed file(s); unpack them first" if compressed else "; name one that does"
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


def _status(path: Path, kind: str) -> bool:
    """Say whether path is a file ("f") or a folder ("d"); raise CaptureError if it is nothing."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        _refuse(path, error)
    return stat.S_ISDIR(mode) if kind == "d" else stat.S_ISREG(mode)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        _refuse(path, error)


def _refuse(path: Path, error: OSError | ValueError) -> NoReturn:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        raise CaptureError(path, "does not exist; check the name") from error
    if isinstance(error, PermissionError):
        where = error.filename if error.filename and str(error.filename) != str(path) else ""
        what = f"cannot be read, permission denied for {where}" if where else "cannot be read, permission denied"
        raise CaptureError(path, f"{what}; ask for the right to read it") from error
    reason = getattr(error, "strerror", None) or str(error)
    raise CaptureError(path, f"cannot be read ({reason}); check the file and the disk that it lies on") from error


def _is_capture(head: bytes) -> bool:
    return head[:4] in PCAP_MAGICS or head[:4] == PCAPNG_MAGIC


def _starts_with(head: bytes, magics: dict[bytes, str]) -> str:
    return next((word for magic, word in magics.items() if head.startswith(magic)), "")


def _why_not(head: bytes) -> str:
    if compression := _starts_with(head, _COMPRESSED):
        return f"is compressed ({compression}); unpack it first"
    if foreign := _starts_with(head, _FOREIGN):
        return f"is a capture of another format ({foreign}); convert it to pcapng with Wireshark's editcap first"
    return "is no capture; name a pcap or pcapng file"
