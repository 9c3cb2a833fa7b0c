"""The captures of a job: which are whole, and which have been analysed."""

import fcntl
import json
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from analyzer.errors import SettingsError
from analyzer.exports.files import open_whole
from analyzer.formats import HEAD_BYTES, find_compression, is_capture
from analyzer.jobs.settings import Job, Spool
from analyzer.segments import list_segments

UNFINISHED = (".partial", ".part", ".tmp", ".filepart", ".crdownload")
"""What the names of files end in that others have not finished."""
_KNOWN = "known.json"


@dataclass(frozen=True, order=True)
class Capture:
    """A whole capture, as it lies on the disk: what of it changes when its content does."""

    path: Path
    bytes: int
    changed: int
    """When it was last changed, in ns since 1970."""
    inode: int

    @property
    def mark(self) -> str:
        """What tells this state of the file from all others."""
        return f"{self.bytes} {self.changed} {self.inode}"


def list_captures(job: Job, now: datetime) -> list[Capture]:
    """Return the whole captures of a job, in the order of their names; what is being written is left out.

    Raises SettingsError if the folder cannot be read.
    """
    try:
        if isinstance(job.source, Spool):
            settle = job.source.settle
            return sorted(
                found for found in _below(job.captures) if not _is_fresh(found, now, settle) and _is_whole(found)
            )
        segments = list_segments(job.captures) if job.captures.exists() else []
        return [found for path in segments if (found := look(path))]
    except OSError as error:
        raise SettingsError(f"the captures in '{job.captures}' cannot be listed: {error.strerror or error}") from error


def has_fresh(job: Job, now: datetime) -> bool:
    """Say whether captures lie in a spool folder that changed so shortly ago that they do not count as whole yet."""
    if not isinstance(job.source, Spool):
        return False
    with suppress(OSError):
        return any(_is_fresh(found, now, job.source.settle) for found in _below(job.captures))
    return False


def _below(folder: Path) -> Iterator[Capture]:
    """Yield the files in and below a folder that may be captures."""
    for where, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(where, name)
            if not name.startswith(".") and not name.lower().endswith(UNFINISHED) and not path.is_symlink():
                found = look(path)
                if found and found.bytes:
                    yield found


def _is_fresh(capture: Capture, now: datetime, settle: timedelta) -> bool:
    """Say whether a file has just changed; one from the future has not: the clock was set."""
    age = now.timestamp() - capture.changed / 1e9
    return abs(age) < settle.total_seconds()


def _is_whole(capture: Capture) -> bool:
    return _is_capture(capture.path) and not _is_written(capture.path)


def _refuse(error: OSError) -> None:
    raise error


def look(path: Path) -> Capture | None:
    """Return a file as it is now; None if it is gone, or no regular file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return Capture(path, status.st_size, status.st_mtime_ns, status.st_ino) if path.is_file() else None


def _is_capture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return True  # that it cannot be read is said when it is analysed
    return is_capture(head) or bool(find_compression(head))


def _is_written(path: Path) -> bool:
    """Say whether some process has a file open for writing, where the kernel tells: of files of one's own.

    A lease for reading is granted only if nobody writes. Who then wants to write makes the kernel send SIGIO.
    """
    try:
        with suppress(ValueError):  # another thread than the main one
            signal.signal(signal.SIGIO, signal.SIG_IGN)
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(number)
    return False


class Known:
    """The captures that are known to be analysed, so that their content need not be looked at again.

    It is kept beside the store, and may be lost: then the store is asked by content, which takes a little time.
    """

    def __init__(self, job: Job) -> None:
        """Read what is known; nothing if there is nothing that can be read."""
        self._folder, self._path = job.captures, job.state / _KNOWN
        self._found: dict[str, tuple[str, int, str]] = {}
        with suppress(OSError, ValueError, TypeError):
            for name, (mark, size, identity) in json.loads(self._path.read_bytes()).items():
                self._found[name] = str(mark), int(size), str(identity)
        self._saved = dict(self._found)

    def __contains__(self, capture: Capture) -> bool:
        """Say whether a capture, in just this state, has been analysed."""
        found = self._found.get(self._name(capture))
        return found is not None and found[0] == capture.mark

    def before(self, capture: Capture) -> tuple[int, str] | None:
        """Return the size, and the content's id, of an earlier state of a capture that has been analysed."""
        found = self._found.get(self._name(capture))
        return found and found[1:]

    def add(self, capture: Capture, identity: str) -> None:
        """Note that a capture has been analysed, and that this is on the disk."""
        self._found[self._name(capture)] = capture.mark, capture.bytes, identity

    def save(self, present: Iterable[Capture]) -> None:
        """Write down what is known of those captures that are still there; a full disk is no loss."""
        names = {self._name(capture) for capture in present}
        self._found = {name: found for name, found in self._found.items() if name in names}
        if self._found == self._saved:
            return
        with suppress(SettingsError, OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open_whole(self._path) as file:
                file.write(json.dumps(self._found).encode())
            self._saved = dict(self._found)

    def _name(self, capture: Capture) -> str:
        return str(capture.path.relative_to(self._folder))
