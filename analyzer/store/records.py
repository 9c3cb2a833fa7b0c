"""What the store knows of each capture: its record, the commit point of everything else.

A record is a file whose name tells the days that the capture touches and its id, so that a listing of one folder
tells which captures a period needs. It is written last and removed first: files of which no record tells do not count.
While a capture is being added there is an intent, locked by whoever adds it; an intent that nobody holds any more was
left by a crash, and what it names is removed.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.errors import StoreError
from analyzer.store.files import FILE_MODE, write_whole

if TYPE_CHECKING:
    from analyzer.store.period import Period

RECORDS = "records"
"""The folder of records."""
ADDING = "adding"
"""The folder of intents."""
DAYLESS = "1970-01-01"
"""The day of what has no time at all."""
SUFFIX = ".json"
_NAME = re.compile(r"(?P<first>\d{4}-\d\d-\d\d)_(?P<last>\d{4}-\d\d-\d\d)_(?P<id>\w+)\.json")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One capture in the store."""

    id: str
    """The SHA-256 of its bytes, decompressed."""
    capture: str
    """Its name."""
    first: str
    last: str
    """The first and the last day that it touches."""
    start: str | None
    end: str | None
    """When its first and its last packet were captured, in ISO 8601; None if no packet has a time."""
    files: dict[str, int]
    """The store's files of it, by their paths in the store, with their sizes in bytes."""
    captures: list[dict[str, Any]]
    fates: list[dict[str, Any]]
    """Its rows of these tables."""
    format: int
    sipscope: str
    """The version that added it."""

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.first}_{self.last}_{self.id}{SUFFIX}"


@dataclass(frozen=True)
class Entry:
    """What the name of a record tells."""

    first: str
    last: str
    id: str
    path: Path

    def touches(self, period: "Period") -> bool:
        """Say whether the days of the capture and of the period have one in common."""
        first, last = period.days
        return self.first <= last and first <= self.last


def list_entries(folder: Path) -> list[Entry]:
    """Return what the names of all records tell, in the order of days."""
    entries = []
    with os.scandir(folder / RECORDS) as files:
        for file in files:
            match = _NAME.fullmatch(file.name)
            if match:
                entries.append(Entry(match["first"], match["last"], match["id"], Path(file.path)))
    return sorted(entries, key=lambda entry: (entry.first, entry.last, entry.id))


def load(entry: Entry) -> Record | None:
    """Return a record; None if it was removed meanwhile. Raises StoreError if it is damaged."""
    try:
        return Record(**json.loads(entry.path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        problem = f"this record is damaged ({error}); remove it and add its capture again"
        raise StoreError(entry.path, problem) from error


def save(folder: Path, record: Record) -> None:
    """Write a record: from here on its capture counts."""
    write_whole(folder / RECORDS / record.name, json.dumps(asdict(record), indent=1))


@contextmanager
def intending(folder: Path, identity: str) -> Iterator[Path]:
    """Hold the intent to add, or to remove, a capture, as the only one on this machine; wait until that is so."""
    path = folder / ADDING / f"{identity}{SUFFIX}"
    with _locked(path, fcntl.LOCK_EX):
        yield path
        path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[int]:
    """Open and lock a file, made if need be; again if it was removed before it was locked. Gone, if it is held."""
    while True:
        number = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
        try:
            fcntl.flock(number, how)
            if _is_still(number, path):
                yield number
                return
        finally:
            os.close(number)


def _is_still(number: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(number), path.stat())
    return False


def write_intent(path: Path, files: list[str]) -> None:
    """Write what is going to be made into an intent that is held."""
    with path.open("r+", encoding="utf-8") as file:
        file.truncate()
        json.dump(files, file)
        file.flush()
        os.fsync(file.fileno())


def left_behind(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the id and the files of each intent that nobody holds; it is held meanwhile, and removed afterwards."""
    for path in sorted((folder / ADDING).glob(f"*{SUFFIX}")):
        with suppress(BlockingIOError, FileNotFoundError), _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
            try:
                files = json.loads(path.read_bytes() or b"[]")
            except ValueError:  # the crash came while it was written, before any file
                files = []
            yield path.name.removesuffix(SUFFIX), files
            path.unlink(missing_ok=True)
