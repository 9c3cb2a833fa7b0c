"""The segments of a recording: their names, and what is left of one that was not finished.

A segment is called by the time (UTC) at which it began, 20261122T091400.123456Z.pcapng, and ends in .partial as long
as it is being written. Whoever writes one holds its lock, which a crash does not leave behind.
"""

import ctypes
import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from analyzer.pcapng import PACKET, PACKETS, STATISTICS, Block, File, Lost

SUFFIX = ".pcapng"
PARTIAL = ".partial"
_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)(?:-(\d+))?\.pcapng(?:\.partial)?")
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_PATIENCE = 10.0
"""Seconds in which a recorder that lost its master finishes its file."""
_NEAR = 5_000_000
"""The ns by which the times may differ that two recorders give to the same packet."""
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100


class Claim:
    """A segment that is being written: its path and its lock."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Hold the lock of the file at path by its open descriptor; whoever inherits that holds it, too."""
        self.path = path
        self.descriptor = descriptor

    def release(self) -> None:
        """Give the lock up; it is free when all who inherited it have ended."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def begin(folder: Path, now: datetime | None = None) -> Claim:
    """Return the claim on a new, empty partial segment in folder, called by the time now.

    Raises OSError if it cannot be made. No name is used twice: the second of the same microsecond ends in -2.
    """
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime(_STAMP)
    number = 1
    while True:
        name = f"{stamp}-{number}{SUFFIX}" if number > 1 else f"{stamp}{SUFFIX}"
        number += 1
        if (folder / name).exists():
            continue
        path = folder / (name + PARTIAL)
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return Claim(path, descriptor)


def list_segments(folder: str | Path) -> list[Path]:
    """Return the whole segments in folder, the one that began first at the head."""
    return _listed(Path(folder), SUFFIX)


def list_partial(folder: str | Path) -> list[Path]:
    """Return the segments in folder that are being written, or were when their writer crashed, in order."""
    return _listed(Path(folder), SUFFIX + PARTIAL)


def when(segment: Path) -> datetime:
    """Return when a segment began, by its name."""
    return datetime.strptime(_key(segment)[0], _STAMP).replace(tzinfo=UTC)


def finish(partial: Path) -> Path:
    """Give a partial segment its name, on the disk for certain, and return it; nothing is overwritten."""
    folder = partial.parent
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    whole = partial.with_name(partial.name.removesuffix(PARTIAL))
    number = 1
    while not _rename(partial, whole):
        number += 1
        stamp, _, _ = partial.name.partition("Z")
        whole = partial.with_name(f"{stamp}Z-{number}{SUFFIX}")
    _sync(folder)
    return whole


def recover(folder: str | Path) -> list[Path]:
    """Finish what a crash left in folder, up to the last whole packet, and return those segments.

    Segments without a packet are removed, those that are still being written are left alone. What two partial
    segments both hold, because one recorder took over from another, is kept once.
    """
    recovered = []
    left = list_partial(folder)
    for number, partial in enumerate(left):
        with _locked(partial) as free:
            if not free or not partial.exists():
                continue
            for later in left[number + 1 :]:
                if cut_overlap(partial, later):
                    break
            if _cut_short(partial):
                recovered.append(finish(partial))
            else:
                partial.unlink(missing_ok=True)
    return recovered


class Follower:
    """How far a segment that is being written has come."""

    def __init__(self, path: Path) -> None:
        """Begin at the beginning of the file at path."""
        self.packets = 0
        self.first = 0
        """When the first packet was seen, in ns since 1970; 0 before it was."""
        self.last = 0
        """When the last packet was seen, likewise."""
        self.stop = 0
        """Where the last whole block ends, statistics at the end left out."""
        self._path = path
        self._at = 0
        self._ticks = 1

    def follow(self) -> "Follower":
        """Walk through what was written since, and return itself."""
        with File(self._path) as file:
            self._ticks = self._ticks if self._at else file.ticks()
            last = None
            for block in file.blocks(self._at):
                self._at = block.stop
                if block.kind in PACKETS:
                    self.packets += 1
                if block.kind != STATISTICS:
                    self.stop = block.stop
                if block.kind == PACKET:
                    last = block
                    self.first = self.first or file.time(block, self._ticks)
            if last:
                self.last = file.time(last, self._ticks)
        return self

    @property
    def ticks(self) -> int:
        """The ns in a tick of the segment's clock."""
        return self._ticks


def read_counters(segment: Path) -> Lost:
    """Return what a whole segment says was received and lost, by its last block."""
    with File(segment) as file:
        return file.last_counters()


def cut_overlap(earlier: Path, later: Path) -> bool:
    """Cut out of earlier, in place, what later holds as well; say whether later holds a packet at all.

    Two recorders saw the same packets for a while, with times of their own: packets are the same if their bytes are,
    and their times are nearest. One that later lacks stays, even among others that it has: while libpcap sets the
    filter of an interface, packets pass it by.
    """
    last = Follower(earlier).follow().last
    with File(later) as file:
        if not any(block.kind in PACKETS for block in file.blocks()):
            return False
        seen = _gather(file, 0, last + _NEAR)
    if not seen:
        return True
    first = min(found[0][0] for found in seen.values())
    with File(earlier) as file:
        tail = _gather(file, first - _NEAR, last)
        same = {
            block
            for data, found in tail.items()
            if data in seen
            for block in _match(found, [at for at, _ in seen[data]])
        }
        if not same:
            return True
        start = min(block.at for block in same)
        kept = [block for found in tail.values() for _, block in found if block not in same and block.at > start]
        rest = b"".join(file.data[block.at : block.stop] for block in sorted(kept))
    with earlier.open("r+b", buffering=0) as written:
        written.seek(start)
        written.write(rest)
        written.truncate()
    return True


def _gather(file: File, start: int, stop: int) -> dict[bytes, list[tuple[int, Block]]]:
    """Return the packets seen from start to stop (ns since 1970), each with its time, by their bytes."""
    ticks = file.ticks()
    found: dict[bytes, list[tuple[int, Block]]] = {}
    for block in file.blocks():
        if block.kind == PACKET and start <= (at := file.time(block, ticks)) <= stop:
            found.setdefault(file.bytes_of(block), []).append((at, block))
    return found


def _match(found: list[tuple[int, Block]], times: list[int]) -> Iterator[Block]:
    """Yield those of packets alike that were seen elsewhere at these times, each of them the nearest in time."""
    number = 0
    for this, (at, block) in enumerate(found):
        while number < len(times) and times[number] < at - _NEAR:
            number += 1
        if number == len(times):
            return
        distance = abs(times[number] - at)
        following = found[this + 1][0] if this + 1 < len(found) else None
        if distance > _NEAR or (following is not None and abs(times[number] - following) < distance):
            continue
        number += 1
        yield block


def cut_after(path: Path, packets: int) -> None:
    """Cut a segment after so many packets, if it holds more, in place."""
    with File(path) as file:
        count = 0
        for block in file.blocks():
            count += block.kind in PACKETS
            if count > packets:
                os.truncate(path, block.at)
                return


def _cut_short(partial: Path) -> bool:
    """Cut a partial segment after its last whole block; say whether there is a packet."""
    with File(partial) as file:
        stop, packets = 0, 0
        for block in file.blocks():
            stop = block.stop
            packets += block.kind in PACKETS
    os.truncate(partial, stop)
    return packets > 0


@contextmanager
def _locked(partial: Path) -> Iterator[bool]:
    """Wait a while for the lock of a partial segment, and say whether it was free."""
    try:
        file = partial.open("rb+")
    except FileNotFoundError:
        yield False
        return
    with file:
        end = time.monotonic() + _PATIENCE
        while not (free := _try_lock(file.fileno())) and time.monotonic() < end:
            time.sleep(0.05)
        yield free


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _listed(folder: Path, suffix: str) -> list[Path]:
    return sorted(
        (path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.name.endswith(suffix)), key=_key
    )


def _key(path: Path) -> tuple[str, int]:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"'{path.name}' is no segment's name")
    return match[1], int(match[2] or 1)


def _rename(old: Path, new: Path) -> bool:
    """Rename a file, unless there is one of the new name; say whether that was done."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return _rename_by_look(old, new)
    if libc.renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), _RENAME_NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        return False
    if number in (errno.EINVAL, errno.ENOSYS):  # the file system cannot
        return _rename_by_look(old, new)
    raise OSError(number, os.strerror(number), str(old))


def _rename_by_look(old: Path, new: Path) -> bool:
    if new.exists():
        return False
    old.rename(new)
    return True


def _sync(folder: Path) -> None:
    """Have the names in a folder written to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
