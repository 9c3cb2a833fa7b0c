"""One job per folder: a lock that ends with the process that holds it, however that ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from analyzer.errors import SettingsError

PAUSE = 0.05
"""Seconds between two attempts to lock."""


@contextmanager
def locked(path: Path, what: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file at path; what is the deed that only one process may do at a time.

    The file stays, but nobody holds it once this process has ended, by kill -9 too: the kernel keeps count.
    Raises SettingsError if another process holds it for so many seconds, or if the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SettingsError(f"cannot lock '{path}': {error.strerror or error}") from error
    try:
        _wait(file, path, what, time.monotonic() + wait)
        with suppress(OSError):  # a full disk: the number is for people only
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)


def holder(path: Path) -> str | None:
    """Return who holds the lock at path, as 'process 123'; None if nobody does."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        number = os.pread(file, 20, 0).decode("ascii", "replace").strip()
        return f"process {number}" if number.isdigit() else "another process"
    except OSError:
        return None
    finally:
        os.close(file)
    return None


def _wait(file: int, path: Path, what: str, until: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(PAUSE)
                continue
            number = os.pread(file, 20, 0).decode("ascii", "replace").strip()
            who = f"process {number}" if number.isdigit() else "another process"
            raise SettingsError(
                f"{who} {what} already; stop it first, or use other folders", file=path.parent
            ) from None
        except OSError as error:
            raise SettingsError(f"cannot lock '{path}': {error.strerror or error}") from error
        return
