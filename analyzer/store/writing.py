"""One capture into the store, and out of it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.errors import StoreError
from analyzer.exports.rowgroups import RowGroups
from analyzer.store import FORMAT
from analyzer.store.files import UNFINISHED, make_folder, put_in_place, sync_folder, write_unfinished
from analyzer.store.records import DAYLESS, RECORDS, SUFFIX, Entry, Record, load, save, write_intent
from analyzer.store.schema import STORED, by_day, schema_of, to_arrow
from analyzer.workers import count_processors, in_threads

if TYPE_CHECKING:
    from analyzer.reading import Reading

ROWS = 131_072
"""Rows of a row group."""
MOST_THREADS = 4
"""How many row groups are encoded at a time."""
LEVEL = 1
"""Of Zstandard: higher ones take longer and are hardly smaller."""
MOST_DAYS = 1000
"""The days that one capture may touch; a broken clock could touch a hundred thousand, with a file for each."""
FORMAT_KEY = b"sipscope.store"
"""The key of a file's metadata under which the format is."""


@dataclass(frozen=True)
class _File:
    """A file to be: its path in the store, and its rows."""

    path: str
    day: str
    table: str
    rows: pd.DataFrame


def write_capture(folder: Path, intent: Path, identity: str, reading: "Reading", attacks: pd.DataFrame) -> None:
    """Write the files of a capture and then its record; after an error nothing of it is left.

    Raises StoreError if its packets lie on too many days, ValueError if reading is of several captures.
    """
    if len(reading.captures) != 1:
        raise ValueError(f"a capture at a time, not {len(reading.captures)}")
    files = list(_plan(identity, reading, attacks))
    days = sorted({file.day for file in files})
    if len(days) > MOST_DAYS:
        problem = f"its packets lie on {len(days):,} days, more than the {MOST_DAYS:,} that a store takes"
        raise StoreError(reading.captures["capture"].iloc[0], f"{problem}; split it, or correct its clock (editcap)")
    paths = [file.path for file in files]
    write_intent(intent, paths)
    try:
        sizes = _write_all(folder, files)
        save(folder, _record(identity, reading, days, sizes))
    except BaseException:
        with suppress(OSError):
            for record in (folder / RECORDS).glob(f"*_{identity}{SUFFIX}"):  # it may be there, and not for certain
                record.unlink()
            remove_files(folder, paths)
        raise


def _plan(identity: str, reading: "Reading", attacks: pd.DataFrame) -> Iterator[_File]:
    """Yield the files of a capture; tables without rows have none."""
    began = reading.captures["start"].iloc[0]
    first = DAYLESS if pd.isna(began) else f"{began:%Y-%m-%d}"
    for name in STORED:
        frame = attacks if name == "attacks" else getattr(reading, name)
        for day, rows in by_day(name, frame, first):
            yield _File(f"{name}/day={day}/{identity}.parquet", day, name, rows)


def _write_all(folder: Path, files: list[_File]) -> dict[str, int]:
    """Write files, first all beside their places, then into them; return their sizes by path."""
    unfinished: list[tuple[Path, Path]] = []
    sizes = {}
    for file in files:
        target = folder / file.path
        make_folder(target.parent)
        written = write_unfinished(target, partial(_write_parquet, table=file.table, frame=file.rows))
        unfinished.append((written, target))
        sizes[file.path] = written.stat().st_size
    put_in_place(unfinished)
    return sizes


def _write_parquet(file: BinaryIO, *, table: str, frame: pd.DataFrame) -> None:
    options = _options(table)
    groups = RowGroups(file)
    slices = (frame.iloc[start : start + ROWS] for start in range(0, len(frame), ROWS))
    encode = partial(_encode, table=table, options=options)
    for group in in_threads(encode, slices, threads=min(count_processors(), MOST_THREADS)):
        groups.append(group)
    groups.finish()


def _options(table: str) -> dict[str, Any]:
    """Return how a table is encoded: dictionaries for words, bounds of times and numbers to skip rows by."""
    schema = schema_of(STORED[table])
    words = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    ports = [field.name for field in schema if pa.types.is_integer(field.type) and field.name not in {"packet"}]
    bounded = [field.name for field in schema if pa.types.is_timestamp(field.type) or pa.types.is_integer(field.type)]
    return {"use_dictionary": words + ports, "write_statistics": bounded}


def _encode(frame: pd.DataFrame, *, table: str, options: dict[str, Any]) -> pa.Buffer:
    """Return rows as a Parquet file with one row group."""
    arrow = to_arrow(STORED[table], frame)
    arrow = arrow.replace_schema_metadata({FORMAT_KEY: str(FORMAT).encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(arrow, sink, compression="zstd", compression_level=LEVEL, **options)
    return sink.getvalue()


def _record(identity: str, reading: "Reading", days: list[str], sizes: dict[str, int]) -> Record:
    (capture,) = _plain(reading.captures)
    edges = [f"{time:%Y-%m-%d}" for time in reading.captures[["start", "end"]].iloc[0] if not pd.isna(time)]
    every = sorted([*days, *edges])
    return Record(
        id=identity,
        capture=str(capture["capture"]),
        first=every[0],
        last=every[-1],
        start=capture["start"],
        end=capture["end"],
        files=sizes,
        captures=[capture],
        fates=_plain(reading.fates),
        format=FORMAT,
        sipscope=version("sipscope"),
    )


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON has them."""
    rows = []
    for row in frame.to_dict("records"):
        plain = {}
        for name, value in row.items():
            if isinstance(value, pd.Timestamp):
                value = value.isoformat()  # noqa: PLW2901
            plain[str(name)] = None if pd.isna(value) else value
        rows.append(plain)
    return rows


def remove_capture(folder: Path, entry: Entry, intent: Path) -> Record | None:
    """Remove a record and then the files of its capture; None if it was removed meanwhile."""
    try:
        record = load(entry)
    except StoreError:  # its files cannot be known
        record = None
    if record is not None:
        write_intent(intent, list(record.files))
    entry.path.unlink(missing_ok=True)
    sync_folder(entry.path.parent)
    if record is not None:
        remove_files(folder, list(record.files))
    return record


def remove_files(folder: Path, paths: list[str]) -> None:
    """Remove files of a capture, finished or not, and the folders that they leave empty."""
    for path in paths:
        target = folder / path
        target.unlink(missing_ok=True)
        for unfinished in target.parent.glob(f".{target.name}.*{UNFINISHED}"):
            unfinished.unlink(missing_ok=True)
        with suppress(OSError):
            target.parent.rmdir()
