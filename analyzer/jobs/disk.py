"""Whether folders can be written, and what is to be done if they cannot."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from analyzer.errors import SettingsError

PROBE_BYTES = 1 << 20
"""So much has to fit on a disk before anybody tries again to write to it."""
_REMEDIES = {
    errno.ENOSPC: "the disk is full; make room on it",
    errno.EDQUOT: "the quota is used up; make room",
    errno.EROFS: "the disk is read-only; mount it for writing",
    errno.EACCES: "permission denied; let the user of the job write there",
    errno.EPERM: "permission denied; let the user of the job write there",
    errno.ENOTDIR: "there is a file in its place; remove it, or name another folder",
    errno.EEXIST: "there is a file in its place; remove it, or name another folder",
    errno.EIO: "the disk fails; replace it",
}


def find_trouble(folders: Iterable[Path]) -> SettingsError | None:
    """Return what is wrong with the first of the folders, made if need be, that cannot be written; None if none is."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _probe(folder)
        except OSError as error:
            remedy = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
            return SettingsError(f"nothing can be written there: {remedy}", file=folder)
    return None


def _probe(folder: Path) -> None:
    """Write a little, and remove it again; raise OSError if that fails."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(PROBE_BYTES))
        file.flush()
        os.fsync(file.fileno())


def room(folder: Path) -> int:
    """Return how many bytes fit on the disk where a folder is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def sync_tree(folder: Path) -> None:
    """Have a folder, and all that is in it, on the disk."""
    for path in [*folder.rglob("*"), folder, folder.parent]:
        sync(path)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(number)
    finally:
        os.close(number)
