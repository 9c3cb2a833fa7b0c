"""The store: what many captures held, as Parquet files by day, so that a report over a period need not read captures.

    STORE/store.json                            that it is one, and of which format
    STORE/messages/day=2026-11-22/<id>.parquet  likewise attacks, anomalies, strays, flows, fates and captures
    STORE/records/<day>_<day>_<id>.json         one for each capture; what has none does not count
    STORE/adding/                               what is being added, or was when a process was killed

Days are those of UTC. An id is the SHA-256 of what was recorded: a capture counts once, whatever its name is and
however it is compressed. Each table keeps the declared columns (analyzer.tables, and analyzer.store.schema on times).

A capture is in the store from the moment that its record is there, and each file is on the disk before that. Whoever
adds the next capture removes what a process left that was killed before. Several processes may add at once.

The messages, and the passwords that they give away, are stored as they were sent: detectors count them. Files are
readable for their owner alone.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Self

from analyzer.errors import SettingsError, StoreError
from analyzer.store.files import make_folder, said, write_whole
from analyzer.store.period import Period, Since, Until, make_period, read_time
from analyzer.store.records import ADDING, RECORDS, Entry, Record, intending, left_behind, list_entries, load

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.reading import Progress, Reading

__all__ = [
    "FORMAT", "Period", "Since", "Store", "Until", "content_id", "find_store", "is_store", "make_period", "read_time",
]  # fmt: skip

FORMAT = 1
"""The version of the layout and of the columns' types; columns may be added without a new one."""
MARKER = "store.json"
_CHUNK_BYTES = 1 << 20


def content_id(path: str | Path, *, most_bytes: int | None = None) -> str:
    """Return the SHA-256 of a capture's bytes, decompressed, in hexadecimal: 64 characters.

    At most most_bytes are decompressed, see analyzer.decompress. Raises CaptureError if it cannot be read, and for a
    pipe, whose bytes could be read only once.
    """
    from analyzer.capture import STDIN, describe, open_stream
    from analyzer.errors import CaptureError

    path = Path(path)
    name, size = describe(path)
    if path == STDIN or size is None:
        raise CaptureError(name, "is a pipe, which can be read only once; save it to a file and add that")
    digest = sha256()
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    with open_stream(path, most_bytes=most_bytes, foreign=True) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def is_store(path: str | Path) -> bool:
    """Say whether there is a store, of whatever format, at path."""
    with suppress(OSError, ValueError):
        return Path(path, MARKER).is_file()
    return False


def find_store(paths: Sequence[str | Path], since: Since = None, until: Until = None) -> "Store | None":
    """Return the store that is meant where captures may be; None if captures are.

    Raises SettingsError for a store beside anything else, and for what is no period; StoreError for a store that cannot
    be read, and for a period of what is no store.
    """
    stores = [path for path in paths if is_store(path)]
    if stores and len(paths) > 1:
        raise SettingsError(f"{stores[0]} is a store; name it alone, and add captures to it with sipscope store")
    if stores:
        return Store.open(stores[0])
    if since is not None or until is not None:
        make_period(since, until)  # what is wrong with it is said first
        where = next((path for path in paths if not Path(path).exists()), paths[0])
        return Store.open(where)
    return None


class Store:
    """A folder of analysed captures; make it with Store.create() or Store.open()."""

    def __init__(self, folder: str | Path) -> None:
        """Take a folder that is known to be a store of this format."""
        self.folder = Path(folder)

    @classmethod
    def create(cls, folder: str | Path) -> Self:
        """Return the store at folder, which is made one if it is missing or empty.

        Raises StoreError for a folder that holds something else, or cannot be written.
        """
        path = Path(folder)
        with said(path):
            if not is_store(path):
                make_folder(path)
                # Another process may be making it at this moment: its folders are there before the marker is.
                ours = {RECORDS, ADDING, MARKER, "lost+found"}
                if any(entry.name not in ours for entry in path.iterdir() if not entry.name.startswith(".")):
                    raise StoreError(path, "is no store, and holds other files; name a new or an empty folder")
                for name in (RECORDS, ADDING):
                    make_folder(path / name)
                write_whole(path / MARKER, json.dumps({"format": FORMAT, "sipscope": version("sipscope")}) + "\n")
        return cls.open(path)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Return the store at folder.

        Raises StoreError if there is none, if it cannot be read, and if a newer sipscope made it.
        """
        path = Path(folder)
        with said(path):
            if not path.exists():
                raise StoreError(path, f"does not exist; make it: sipscope store CAPTURE... -o {path}")
            if not is_store(path):
                raise StoreError(path, "is no store; make one of captures: sipscope store CAPTURE... -o STORE")
            _check_format(path)
        return cls(path)

    def holds(self, identity: str) -> bool:
        """Say whether the capture with that content_id() is in the store, with all its files as they were written."""
        return any(self._is_whole(entry) for entry in self._entries() if entry.id == identity)

    def captures(self) -> list[Record]:
        """Return what is known of each capture in the store, in the order of days."""
        with said(self.folder):
            return [record for entry in self._entries() if (record := load(entry))]

    def add(self, identity: str, reading: "Reading", attacks: "pd.DataFrame") -> bool:
        """Add one capture, whole or not at all; return False if it was there already.

        Args:
            identity: its content_id().
            reading: what was read of this one capture.
            attacks: the attacks that were found in it (analyzer.tables.ATTACKS), for the history of campaigns.

        Raises StoreError if the store cannot be written; what was there before is there afterwards.
        """
        from analyzer.store.writing import write_capture

        with said(self.folder):
            self.repair()
            with intending(self.folder, identity) as intent:
                if self.holds(identity):
                    return False
                for entry in self._entries():
                    if entry.id == identity:  # damaged: it is replaced
                        self._remove(entry, intent)
                write_capture(self.folder, intent, identity, reading, attacks)
        return True

    def read(
        self,
        since: "Since | Period" = None,
        until: Until = None,
        *,
        signatures: Sequence[str | Path] = (),
        threads: int | None = None,
        progress: "Callable[[Progress], None] | None" = None,
    ) -> "Reading":
        """Return the messages from since on and before until, and the captures that have a part in that period.

        What became of requests is looked up anew among all messages of the period, and those shortly before and after
        it; which tools wrote them, too. Of captures that reach beyond the period, fates and strays are told whole. A
        file that is damaged or gone is an anomaly ('damaged') of its capture. since may be a Period, and until is None
        then; else they are those of make_period(). The other arguments are those of analyze().
        """
        from analyzer.store.gathering import gather

        with said(self.folder):
            period = since if isinstance(since, Period) else make_period(since, until)
            return gather(self.folder, self._entries(), period, signatures, threads, progress)

    def past(self, before: str | datetime) -> "pd.DataFrame":
        """Return the attacks that began before that time: the columns campaign, source, start, end and keys."""
        from analyzer.store.gathering import gather_past

        with said(self.folder):
            return gather_past(self.folder, self._entries(), Period(until=read_time(before)))

    def prune(self, before: str | datetime) -> list[Record]:
        """Remove the captures of which all days are before that of the time given; return their records.

        Days are never cut in two, nor are captures: what is kept still adds up.
        """
        day = f"{read_time(before):%Y-%m-%d}"
        removed = []
        with said(self.folder):
            self.repair()
            for entry in self._entries():
                if entry.last < day:
                    with intending(self.folder, entry.id) as intent:
                        removed += [record for record in [self._remove(entry, intent)] if record]
        return removed

    def repair(self) -> None:
        """Remove what processes left that were killed while they added, or removed, a capture."""
        from analyzer.store.writing import remove_files

        with said(self.folder):
            for identity, files in left_behind(self.folder):
                if not any(entry.id == identity for entry in self._entries()):
                    remove_files(self.folder, files)

    def _entries(self) -> list[Entry]:
        with said(self.folder):
            return list_entries(self.folder)

    def _is_whole(self, entry: Entry) -> bool:
        try:
            record = load(entry)
            return record is not None and all(
                (self.folder / name).stat().st_size == size for name, size in record.files.items()
            )
        except (OSError, StoreError):
            return False

    def _remove(self, entry: Entry, intent: Path) -> Record | None:
        from analyzer.store.writing import remove_capture

        return remove_capture(self.folder, entry, intent)


def _check_format(path: Path) -> None:
    marker = path / MARKER
    try:
        found = json.loads(marker.read_bytes())["format"]
    except (ValueError, KeyError, TypeError) as error:
        remedy = f'if the store is of this version, write {{"format": {FORMAT}}} into it'
        raise StoreError(marker, f"is damaged; {remedy}") from error
    if found != FORMAT:
        raise StoreError(path, explain_format(found))


def explain_format(found: object) -> str:
    """Return a sentence on a store, or a file of one, that has another format."""
    if isinstance(found, int) and found > FORMAT:
        return f"was written by a newer sipscope (format {found}; this one knows {FORMAT}); update sipscope"
    return f"is of format {found}, which is not read any more; make a new store from the captures"
