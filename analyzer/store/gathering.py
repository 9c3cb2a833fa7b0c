"""A period out of the store: its rows as what was read from captures."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.dataset import dataset

from analyzer.errors import StoreError
from analyzer.reading import Progress, Reading, count_threads
from analyzer.sip.assembly import categorical
from analyzer.store import FORMAT, explain_format
from analyzer.store.records import Entry, Record, load
from analyzer.store.schema import DAY_OF, DERIVED, NANOSECOND, STORED, from_arrow, schema_of
from analyzer.store.writing import FORMAT_KEY
from analyzer.tables import ANOMALIES, ATTACKS, CAPTURES, FATES, MESSAGES, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.store.period import Period

    Truth = NDArray[np.bool_]

AROUND = timedelta(minutes=3)
"""How long before and after a period its requests' answers, challenges and first copies are looked for.

That is how long an INVITE may wait for its answer at a proxy (timer C, RFC 3261 16.6)."""
DAMAGED = "damaged"
"""The reason of an anomaly: what is on the disk cannot be read."""
PAST = ("campaign", "source", "start", "end", "keys")
"""What the history needs of an attack."""
_UNREADABLE = (OSError, pa.ArrowException, ValueError, KeyError)
"""What a damaged file, or one that is gone, may lead to."""


def gather(  # noqa: PLR0913, PLR0917
    folder: Path,
    entries: Sequence[Entry],
    period: "Period",
    signatures: Sequence[str | Path],
    threads: int | None,
    progress: Callable[[Progress], None] | None,
) -> Reading:
    """Return what was read of a period; see Store.read()."""
    from analyzer.sip.transactions import follow
    from analyzer.strays import without_spoken
    from analyzer.tools import load_signatures, recognise

    known, several = load_signatures(*signatures), count_threads(threads)
    gathering = _Gathering(folder, entries, period, progress)
    messages = gathering.messages()
    messages = follow(recognise(messages, known, threads=several), threads=several)
    messages = _kept(messages, gathering.within(messages, "time"))
    strays = without_spoken(gathering.rows("strays"), messages)
    flows = gathering.rows("flows")
    anomalies = gathering.rows("anomalies")  # last: it tells of files that could not be read, too
    return Reading(
        messages=messages,
        anomalies=gathering.complained(anomalies),
        fates=gathering.told(FATES),
        captures=gathering.told(CAPTURES),
        strays=strays,
        flows=flows,
        store=str(folder),
        period=None if period.is_endless else period,
    )


@dataclass(frozen=True)
class _Capture:
    """A capture that the period touches, or that touches its surroundings."""

    record: Record
    name: str
    """Its name; with the beginning of its id if another has that name too."""
    counts: bool
    """Whether it has a part in the period itself."""

    def files(self, table: str, days: tuple[str, str]) -> Iterator[tuple[str, str]]:
        """Yield the paths of its files of a table on these days, and the days."""
        for path in sorted(self.record.files):
            kind, day, _ = PurePath(path).parts
            if kind == table and days[0] <= day.removeprefix("day=") <= days[1]:
                yield path, day.removeprefix("day=")


class _Gathering:
    """The captures of one period, and their files."""

    def __init__(
        self,
        folder: Path,
        entries: Sequence[Entry],
        period: "Period",
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._folder = folder
        self._period = period
        self._around = period.widened(AROUND)
        self._problems: list[tuple[_Capture, str, str]] = []
        self._captures = _named(
            [
                (record, _overlaps(record, period))
                for entry in entries
                if entry.touches(self._around) and (record := load(entry)) and _overlaps(record, self._around)
            ]
        )
        self._progress = progress

    # --- rows

    def messages(self) -> pd.DataFrame:
        """Return the messages of the period and its surroundings, in the order of time, capture and packet."""
        columns = [name for name in (*MESSAGES.columns, NANOSECOND) if name not in DERIVED and name != "capture"]
        files = [
            (capture, path) for capture in self._captures for path, _ in capture.files("messages", self._around.days)
        ]
        parts = []
        for number, (capture, path) in enumerate(files, 1):
            parts.append((capture, self._read(capture, path, columns)))
            self._tell(files, number, parts)
        return _by_time(self._frame(MESSAGES, parts, columns))

    def rows(self, table: str) -> pd.DataFrame:
        """Return the rows of another table that lie in the period, capture after capture."""
        columns = [name for name in STORED[table].columns if name != "capture"]
        days = self._period.days
        parts = []
        for capture in self._captures:
            if capture.counts:
                # What lasts, such as media, may have begun on any day before.
                since = days[0] if table == "anomalies" else capture.record.first
                parts += [
                    (capture, self._read(capture, path, columns)) for path, _ in capture.files(table, (since, days[1]))
                ]
        frame = self._frame(STORED[table], parts, columns)
        return _kept(frame, self.within(frame, DAY_OF[table], "end" if "end" in frame else None))

    def within(self, frame: pd.DataFrame, begin: str, end: str | None = None) -> "Truth":
        """Say which rows lie in the period, or reach into it; those without a time lie where their capture began."""
        since, until = self._period.since, self._period.until
        if since is None and until is None:
            return np.ones(len(frame), np.bool_)
        starts = pd.Series({capture.name: capture.record.start for capture in self._captures}, dtype="str")
        began = pd.to_datetime(starts, utc=True, format="ISO8601").astype("datetime64[ns, UTC]")
        words = began.reindex(frame["capture"].cat.categories.astype("str"))
        instead = words.take(frame["capture"].cat.codes.to_numpy()).reset_index(drop=True)
        start, last = (frame[name].fillna(instead) for name in (begin, end or begin))
        inside = np.ones(len(frame), np.bool_)
        if since is not None:
            inside &= (last >= since).to_numpy()
        if until is not None:
            inside &= (start < until).to_numpy() | (start.isna().to_numpy() & (since is None))
        return inside

    def told(self, table: Table) -> pd.DataFrame:
        """Return the rows of the captures or the fates table, from the records."""
        rows = [
            {**row, "capture": capture.name}
            for capture in self._captures
            if capture.counts
            for row in getattr(capture.record, table.name)
        ]
        frame = pd.DataFrame(rows, columns=list(table.columns))
        if table is CAPTURES:
            times = {name: pd.to_datetime(frame[name], utc=True, format="ISO8601") for name in ("start", "end")}
            frame = frame.assign(**times)
        return table.conform(frame)

    def complained(self, anomalies: pd.DataFrame) -> pd.DataFrame:
        """Return the anomalies, with one for each file that could not be read."""
        if not self._problems:
            return anomalies
        rows = [
            {"capture": capture.name, "packet": 0, "reason": DAMAGED, "detail": f"{path} of the store {problem}"}
            for capture, path, problem in self._problems
        ]
        return ANOMALIES.conform(pd.concat([anomalies, ANOMALIES.conform(pd.DataFrame(rows), missing=True)]))

    # --- files

    def _read(self, capture: _Capture, path: str, columns: Sequence[str]) -> pa.Table | None:
        """Return the columns of a file, of row groups that may hold rows of the period; None if it is damaged."""
        table = STORED[PurePath(path).parts[0]]
        try:
            return read_columns(self._folder / path, table, columns, self._around)
        except StoreError:
            raise
        except FileNotFoundError:
            self._problems.append((capture, path, f"is gone; add {capture.record.capture} again"))
        except _UNREADABLE as error:
            reason = str(error).splitlines()[0].strip(" .")
            again = f"remove it, and add {capture.record.capture} again"
            self._problems.append((capture, path, f"cannot be read ({reason}); {again}"))
        return None

    def _frame(
        self, table: Table, parts: "Sequence[tuple[_Capture, pa.Table | None]]", columns: Sequence[str]
    ) -> pd.DataFrame:
        """Return what was read of files as one frame, with the names of their captures."""
        whole = [(capture, part) for capture, part in parts if part is not None and len(part)]
        frame = from_arrow(table, [part for _, part in whole], columns)
        names = [capture.name for capture in self._captures]
        place = {name: number for number, name in enumerate(names)}
        codes = np.repeat([place[capture.name] for capture, _ in whole], [len(part) for _, part in whole])
        column = categorical(codes.astype(np.int64), pa.array(names, pa.large_string()))
        return frame.assign(capture=column.remove_unused_categories())

    def _tell(self, files: "list[tuple[_Capture, str]]", done: int, parts: "list[Any]") -> None:
        if self._progress is None:
            return
        sizes = [capture.record.files[path] for capture, path in files]
        capture, _ = files[done - 1]
        self._progress(
            Progress(
                capture=capture.name,
                bytes_read=sizes[done - 1],
                bytes_total=sizes[done - 1],
                all_bytes_read=sum(sizes[:done]),
                all_bytes_total=sum(sizes),
                packets=sum(capture.record.captures[0]["packets"] for capture in self._captures),
                messages=sum(len(part) for _, part in parts if part is not None),
                captures_done=done,
                captures_total=len(files),
            )
        )


def read_columns(path: Path, table: Table, columns: Sequence[str], period: "Period | None" = None) -> pa.Table:
    """Return columns of a file, of row groups that may hold rows of the period.

    Raises StoreError if it is of another format, and what pyarrow raises if it is damaged.
    """
    with pq.ParquetFile(path, pre_buffer=True) as file:
        found = (file.metadata.metadata or {}).get(FORMAT_KEY, b"")
        if found != str(FORMAT).encode():
            raise StoreError(path, explain_format(int(found) if found.isdigit() else "unknown"))
        there = [name for name in columns if name in file.schema_arrow.names]
        groups = _groups(file.metadata, there, DAY_OF.get(table.name), period)
        return _during(file.read_row_groups(groups, columns=there), period)


def _groups(metadata: Any, names: Sequence[str], column: str | None, period: "Period | None") -> list[int]:  # noqa: ANN401
    """Return the row groups of messages that may have rows in the period, by their bounds."""
    every = list(range(metadata.num_row_groups))
    if period is None or column != "time" or "time" not in names or metadata.num_row_groups == 0:
        return every
    return [number for number in every if _may_touch(_bounds(metadata.row_group(number)), period)]


def _during(rows: pa.Table, period: "Period | None") -> pa.Table:
    """Return the rows of the period, of a table that has times; those without a time are kept."""
    if period is None or "time" not in rows.column_names:
        return rows
    for edge, is_within in ((period.since, pc.greater_equal), (period.until, pc.less)):
        if edge is not None:
            within = pc.fill_null(is_within(rows["time"], pa.scalar(edge, rows["time"].type)), True)
            rows = rows if pc.all(within).as_py() else rows.filter(within)
    return rows


def _bounds(group: Any) -> tuple[Any, Any] | None:  # noqa: ANN401
    """Return the earliest and the latest time of a row group; None if that is not known of all its rows."""
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == "time":
            found = column.statistics
            known = found is not None and found.has_min_max and found.null_count == 0
            return (found.min, found.max) if known else None
    return None


def _may_touch(bounds: tuple[Any, Any] | None, period: "Period") -> bool:
    if bounds is None:
        return True
    first, last = (pd.Timestamp(bound) for bound in bounds)
    first, last = (time.tz_localize("UTC") if time.tz is None else time for time in (first, last))
    after = period.since is None or last >= pd.Timestamp(period.since)
    return after and (period.until is None or first < pd.Timestamp(period.until))


def _overlaps(record: Record, period: "Period") -> bool:
    """Say whether a capture has a part in the period; one without times has if the period has no beginning."""
    if record.start is None or record.end is None:
        return period.since is None
    start, end = pd.Timestamp(record.start), pd.Timestamp(record.end)
    return (period.since is None or end >= period.since) and (period.until is None or start < period.until)


def _named(records: "list[tuple[Record, bool]]") -> list[_Capture]:
    """Return the captures in the order of their names, which are told apart."""
    often: dict[str, int] = {}
    for record, _ in records:
        often[record.capture] = often.get(record.capture, 0) + 1
    captures = [
        _Capture(
            record,
            record.capture if often[record.capture] == 1 else f"{record.capture} ({record.id[:8]})",
            counts,
        )
        for record, counts in records
    ]
    return sorted(captures, key=lambda capture: (PurePath(capture.record.capture), capture.record.id))


def _by_time(messages: pd.DataFrame) -> pd.DataFrame:
    """Return messages in the order of time, capture (by name) and packet; those without a time last."""
    time = messages["time"].to_numpy("M8[ns]").view(np.int64).copy()
    time[time == pd.NaT.value] = np.iinfo(np.int64).max
    if bool((time[1:] > time[:-1]).all()):
        return messages
    order = np.lexsort((messages["packet"].to_numpy(), messages["capture"].cat.codes.to_numpy(), time))
    if bool((order[1:] > order[:-1]).all()):
        return messages
    return messages.take(order).reset_index(drop=True)


def _kept(frame: pd.DataFrame, rows: "Truth") -> pd.DataFrame:
    """Return some rows, renumbered, without the words that they do not have."""
    if rows.all():
        return frame
    part = frame[rows].reset_index(drop=True)
    words = {name: part[name].cat.remove_unused_categories() for name in part if part[name].dtype == "category"}
    return part.assign(**{str(name): values for name, values in words.items()})


# --- the past


def gather_past(folder: Path, entries: Sequence[Entry], period: "Period") -> pd.DataFrame:
    """Return the attacks that began in a period, as the columns PAST; files that cannot be read are passed over.

    No record is opened: with years of hours there are many.
    """
    known = {entry.id for entry in entries}
    first, last = period.days
    paths = [
        path
        for day in sorted((folder / ATTACKS.name).glob("day=*"))
        if first <= day.name.removeprefix("day=") <= last
        for path in sorted(day.glob("*.parquet"))
        if path.stem in known
    ]
    past = from_arrow(ATTACKS, _read_many(paths, PAST), PAST)[list(PAST)]
    return past if period.until is None else past[past["start"] < period.until].reset_index(drop=True)


def _read_many(paths: Sequence[Path], columns: Sequence[str]) -> list[pa.Table]:
    """Return columns of many small files: all in one go, or one by one if some cannot be read."""
    if not paths:
        return []
    kept = pa.schema([field for field in schema_of(ATTACKS) if field.name in columns])
    try:
        return [dataset(paths, schema=kept, format="parquet").to_table()]
    except _UNREADABLE:
        tables = []
        for path in paths:
            with suppress(*_UNREADABLE):
                tables.append(read_columns(path, ATTACKS, columns))
        return tables
