"""The store's files: written whole or not at all, for their owner alone, and on the disk before they count."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from analyzer.errors import StoreError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
UNFINISHED = ".part"
"""What the names of files end in that are being written; they begin with a dot, so that no reader takes them."""
_REMEDIES = {
    errno.ENOSPC: "the disk is full; make room, and add the capture again: nothing that was there is lost",
    errno.EDQUOT: "your quota is used up; make room, and add the capture again: nothing that was there is lost",
    errno.EROFS: "the file system is read-only; name a folder that can be written",
    errno.EACCES: "permission denied; ask for the right to write there",
    errno.EPERM: "permission denied; ask for the right to write there",
}


@contextmanager
def said(folder: Path) -> Iterator[None]:
    """Raise a StoreError in place of an OSError, with what is to be done."""
    try:
        yield
    except OSError as error:
        path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else folder
        where = folder if path.is_relative_to(folder) or error.errno in (errno.ENOSPC, errno.EDQUOT) else path
        remedy = _REMEDIES.get(error.errno or 0, f"{error.strerror or error}; check the disk that it lies on")
        raise StoreError(where, remedy) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for the owner alone."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        with suppress(FileExistsError):
            made.mkdir(mode=FOLDER_MODE)
        sync_folder(made.parent)


def write_unfinished(target: Path, write: Callable[[BinaryIO], None]) -> Path:
    """Write a file beside target and return its path; it is to be synchronised, and to replace target."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}{UNFINISHED}")
    try:
        with open(unfinished, "wb", opener=_open_privately) as file:
            write(file)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return unfinished


def write_whole(target: Path, text: str) -> None:
    """Write a small file, whole or not at all, its name on the disk too."""
    unfinished = write_unfinished(target, lambda file: _write(file, text))
    put_in_place([(unfinished, target)])


def put_in_place(files: Sequence[tuple[Path, Path]]) -> None:
    """Give unfinished files the names that they are to have, once all of them are on the disk; then have the names so.

    One after the other, what a disk does for the first serves the next ones too.
    """
    for unfinished, _ in files:
        _sync(unfinished, os.O_RDONLY)
    for unfinished, target in files:
        unfinished.replace(target)
    for folder in sorted({target.parent for _, target in files}):
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk; where folders cannot be synchronised, nothing is done."""
    with suppress(PermissionError), _where_possible():
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


@contextmanager
def _where_possible() -> Iterator[None]:
    """Pass over what a file system cannot do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _sync(path: Path, flags: int) -> None:
    number = os.open(path, flags)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _write(file: BinaryIO, text: str) -> None:
    file.write(text.encode())


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)
