"""A job's settings: a TOML file to a frozen dataclass, with all that is wrong with it said at once."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from analyzer.errors import SettingsError
from analyzer.jobs.schedule import Schedule
from analyzer.quantities import SHORTEST, period, say_period, size

EXAMPLE = """\
# What is recorded. Or, in its place, a folder that another recorder fills:
# [spool]
# folder = "/var/spool/sip"
[record]
interface = "eth0"
ports = [5060, 5061]        # or: filter = "udp portrange 5060-5090"
segment = "5m"              # a new file as often ...
segment_bytes = "256 MB"    # ... and whenever it has so many bytes

[report]
every = "1h"                # by the clock, in UTC
covers = "1d"               # what each report looks back on
tables = ["csv"]            # also json, parquet

[folders]
captures = "/var/lib/sipscope/captures"
tables = "/var/lib/sipscope/tables"         # the store: Parquet, by day
reports = "/var/lib/sipscope/reports"

[keep]                      # what is not named here is kept for ever
captures = { age = "7d", bytes = "20 GB" }  # never before they are analysed
tables = { age = "90d" }
reports = { age = "90d" }

[analysis]                  # one that needs more fails; recording goes on
memory = "2 GB"
time = "30m"
# allow = ["known-good.txt"]
# signatures = ["tools.toml"]
# geoip = ["countries.mmdb"]

[detectors.password-guessing]
attempts = 30

# Commands get summary.json on standard input. No shell is involved.
# [[after_report]]
# command = ["/usr/local/bin/mail-report", "noc@example.com"]
# time = "30s"
#
# [[on_break_in]]
# command = ["/usr/local/bin/wake-somebody"]

[disk]
trouble = "wait"            # if full or read-only: wait, or "stop"
"""
"""A job that `sipscope job check` accepts; `sipscope job --help` shows it."""

RECORDERS = ("dumpcap", "tcpdump", "scapy", "pyshark")
TABLE_FORMATS = ("csv", "json", "parquet")
TROUBLE = ("wait", "stop")
LEAST_MEMORY = 512 << 20
"""An analysis of nothing needs about half of this."""
LONGEST_NAME = 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
NOWHERE = Path("/nonexistent")
"""Takes the place of what must be there and is not, until all problems are found."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is recorded, and how."""

    interface: str
    recorder: str | None = None
    """A name of analyzer.recorders.RECORDERS; without one, the first that the machine has."""
    ports: tuple[int | tuple[int, int], ...] = (5060, 5061)
    filter: str | None = None
    """A capture filter in libpcap's language, instead of the one that is made of the ports."""
    promiscuous: bool = False
    segment: timedelta = timedelta(minutes=5)
    segment_bytes: int = 256 * 10**6


@dataclass(frozen=True, kw_only=True)
class Spool:
    """A folder that another recorder fills with captures."""

    folder: Path
    settle: timedelta = timedelta(seconds=10)
    """How long a capture has not changed before it counts as whole."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What is kept; None keeps all."""

    age: timedelta | None = None
    bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Keep:
    """What is kept of what a job makes; nothing is removed unless the settings say so."""

    captures: Limit = Limit()
    tables: Limit = Limit()
    reports: Limit = Limit()


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program that is told of a report: its arguments, and the time that it may take."""

    command: tuple[str, ...]
    time: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Job:
    """All settings of a job, with their defaults filled in; paths are absolute."""

    file: Path
    name: str
    source: Record | Spool
    captures: Path
    """The folder of segments: the spool folder if there is one."""
    tables: Path
    """The folder of the store."""
    reports: Path
    every: timedelta = timedelta(hours=1)
    offset: timedelta = timedelta(0)
    covers: timedelta = timedelta(days=1)
    report_tables: tuple[str, ...] = ("csv",)
    show_secrets: bool = False
    keep: Keep = Keep()
    memory: int = 2 * 10**9
    time: timedelta = timedelta(minutes=30)
    """How long analysing one capture, or making one report, may take."""
    allow: tuple[Path, ...] = ()
    signatures: tuple[Path, ...] = ()
    geoip: tuple[Path, ...] = ()
    detectors: Mapping[str, Any] = field(default_factory=dict)
    """The thresholds that analyzer.detectors.configure() takes."""
    after_report: tuple[Command, ...] = ()
    on_break_in: tuple[Command, ...] = ()
    trouble: str = "wait"

    @property
    def schedule(self) -> Schedule:
        """When the job reports."""
        return Schedule(self.every, self.offset)

    @property
    def record(self) -> Record | None:
        """What the job records; None if another recorder fills a spool folder."""
        return self.source if isinstance(self.source, Record) else None

    @property
    def recording_lock(self) -> Path:
        """The file that the process that records has locked."""
        return self.captures / ".recording.lock"

    @property
    def reporting_lock(self) -> Path:
        """The file that the process that analyses and reports has locked."""
        return self.state / "lock"

    @property
    def state(self) -> Path:
        """The folder, in the store, for what the job would otherwise have to find out again; readers ignore it."""
        return self.tables / ".job"


def load_job(file: str | Path) -> Job:
    """Return the job of a TOML file; raise SettingsError with all that is wrong with it."""
    job, problems = read_job(file)
    if problems or job is None:
        raise join_problems(file, problems)
    return job


def join_problems(file: str | Path, problems: Sequence[SettingsError]) -> SettingsError:
    """Return one error for all problems of a file: the problem itself if there is one, a line for each if more."""
    if len(problems) == 1:
        return problems[0]
    lines = "".join(f"\n  {str(problem).removeprefix(f'{file}: ')}" for problem in problems)
    return SettingsError(f"{len(problems)} problems{lines}", file=file)


def read_job(file: str | Path) -> tuple[Job | None, list[SettingsError]]:
    """Return the job of a TOML file, and everything that is wrong with what the file says; None if it is no job."""
    path = Path(file)
    try:
        with path.open("rb") as stream:
            data = tomllib.load(stream)
    except OSError as error:
        problem = f"the job cannot be read ({error.strerror or error}); check its path"
        return None, [SettingsError(problem, file=file)]
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return None, [SettingsError(f"this is no TOML: {error}", file=file)]
    top = _Section(data, str(file), path.absolute().parent)
    job = _job(top, path.absolute())
    top.finish()
    return (None if top.problems else job), top.problems


def _job(top: "_Section", file: Path) -> Job:
    folders, report, analysis = top.section("folders"), top.section("report"), top.section("analysis")
    every = report.take("every", period, Job.every)
    source = _source(top)
    spool = source.folder if isinstance(source, Spool) else None
    if spool and "captures" in folders.data:
        folders.wrong("captures", "the captures are in the spool folder; leave this out")
    keep = top.section("keep")
    job = Job(
        file=file,
        name=top.take("name", _name, re.sub(r"[^A-Za-z0-9_.-]+", "-", file.stem).strip("-.") or "job"),
        source=source,
        captures=spool or folders.need("captures", folders.path, not spool),
        tables=folders.need("tables", folders.path),
        reports=folders.need("reports", folders.path),
        every=every,
        offset=report.take("offset", _offset, Job.offset),
        covers=report.take("covers", period, max(every, Job.covers)),
        report_tables=report.take("tables", _each(_choice(TABLE_FORMATS)), Job.report_tables),
        show_secrets=report.take("show_secrets", _flag, Job.show_secrets),
        keep=Keep(**{name: _limit(keep.section(name)) for name in ("captures", "tables", "reports")}),
        memory=analysis.take("memory", _memory, Job.memory),
        time=analysis.take("time", period, Job.time),
        allow=analysis.take("allow", _each(analysis.path), ()),
        signatures=analysis.take("signatures", _each(analysis.path), ()),
        geoip=analysis.take("geoip", _each(analysis.path), ()),
        detectors=top.take("detectors", _mapping, {}),
        after_report=_commands(top, "after_report"),
        on_break_in=_commands(top, "on_break_in"),
        trouble=top.section("disk").take("trouble", _choice(TROUBLE), Job.trouble),
    )
    if job.covers < job.every:
        report.wrong("covers", f"a report has to cover what came since the one before: {say_period(job.every)} or more")
    if job.offset >= job.every:
        report.wrong("offset", f"an offset is shorter than the period, {say_period(job.every)}")
    return job


def _source(top: "_Section") -> Record | Spool:
    record, spool = top.section("record"), top.section("spool")
    if record.present == spool.present:
        what = (
            "either [record] or [spool] is read, not both" if record.present else "add [record] interface, or [spool]"
        )
        top.wrong("record", f"{what}; sipscope job --help shows an example")
    if spool.present and not record.present:
        return Spool(
            folder=spool.need("folder", spool.path),
            settle=spool.take("settle", period, Spool.settle),
        )
    if "filter" in record.data and "ports" in record.data:
        record.wrong("ports", "a filter takes the place of the ports; leave one of them out")
    return Record(
        interface=record.need("interface", _word, record.present),
        recorder=record.take("recorder", _choice(RECORDERS), None),
        ports=record.take("ports", _each(_port), Record.ports),
        filter=record.take("filter", _word, None),
        promiscuous=record.take("promiscuous", _flag, Record.promiscuous),
        segment=record.take("segment", _segment, Record.segment),
        segment_bytes=record.take("segment_bytes", _segment_bytes, Record.segment_bytes),
    )


def _limit(section: "_Section") -> Limit:
    return Limit(age=section.take("age", period, None), bytes=section.take("bytes", size, None))


def _commands(top: "_Section", key: str) -> tuple[Command, ...]:
    return tuple(
        Command(command=section.need("command", _arguments), time=section.take("time", period, Command.time))
        for section in top.sections(key)
    )


# --- what a value may be: each returns it, or raises ValueError with what is allowed


def _segment(value: object) -> timedelta:
    found = period(value)
    if found % SHORTEST or found > timedelta(days=1):
        raise ValueError(f"{value!r} does not fit: a segment is whole seconds long, and no longer than a day")
    return found


def _offset(value: object) -> timedelta:
    return period(value, least=timedelta(0))


def _segment_bytes(value: object) -> int:
    found = size(value)
    if not 10**5 <= found <= 2 * 10**9:
        raise ValueError(f"{value!r} does not fit: a segment has 100 KB to 2 GB")
    return found


def _memory(value: object) -> int:
    found = size(value)
    if found < LEAST_MEMORY:
        raise ValueError(f"{value!r} is too little to analyse anything; 512 MiB is the least")
    return found


def _word(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f"{value!r} does not fit: some text is expected")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value) or len(value) > LONGEST_NAME:
        raise ValueError(f"{value!r} is no name; use letters, digits, '-', '_' and '.', at most {LONGEST_NAME}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} does not fit: write true or false")  # noqa: TRY004 (the reader of a file sees it)
    return value


def _port(value: object) -> int | tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", str(value)) if isinstance(value, int | str) else None
    first, last = (int(found[1]), int(found[2] or found[1])) if found and not isinstance(value, bool) else (0, 0)
    if not 0 < first <= last < 65536:
        raise ValueError(f'{value!r} is no port; write 5060, or "5060-5090" for a range; ports are from 1 to 65535')
    return first if first == last else (first, last)


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("tables of thresholds are expected, as in [detectors.sweep]")  # noqa: TRY004
    return value


def _arguments(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        words = ", ".join(f'"{word}"' for word in value.split())
        raise ValueError(f"no shell is involved; write a list: [{words}]")  # noqa: TRY004
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(part, str) and "\0" not in part for part in value)
    ):
        raise ValueError(f"{value!r} is no command; write a list of words, the program first")
    if not value[0]:
        raise ValueError("the program's name is empty")
    return tuple(value)


def _choice(allowed: Sequence[str]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"{value!r} does not fit; choose from {', '.join(allowed)}")
        return value

    return check


def _each(check: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    def check_all(value: object) -> tuple[T, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError(f"{value!r} does not fit: a list is expected, as in [...]")
        return tuple(check(part) for part in value)

    return check_all


# --- sections


class _Section:
    """A table of the file: hands out its values, and notes what is wrong with them."""

    def __init__(
        self,
        data: Any,  # noqa: ANN401  whatever a TOML file has there
        file: str,
        base: Path,
        where: str = "",
        parent: "_Section | None" = None,
    ) -> None:
        self.present = data is not None
        self.data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        self._file, self._base, self._where = file, base, where
        self.problems: list[SettingsError] = parent.problems if parent else []
        self._sections: dict[str, _Section] = {}
        self._known: dict[str, None] = {}
        if self.present and not isinstance(data, Mapping):
            self._note(where, "a table is expected here, as in [section] or { key = value }")

    def section(self, key: str) -> "_Section":
        """Return a section of this one; it is empty if it is not there."""
        self._known[key] = None
        return self._sections.get(self._name(key)) or self._add(self.data.get(key), key)

    def sections(self, key: str) -> "list[_Section]":
        """Return the sections that [[key]] names, in order."""
        self._known[key] = None
        value = self.data.get(key, [])
        if not isinstance(value, list):
            self.wrong(key, f"write [[{key}]], once for each command")
            return []
        return [self._add(part, f"{key}[{number}]") for number, part in enumerate(value, 1)]

    def take(self, key: str, check: Callable[[object], T], default: T) -> T:
        """Return the value of a key, as check makes it; the default if it is missing or wrong, which is noted."""
        self._known[key] = None
        if key not in self.data:
            return default
        try:
            return check(self.data[key])
        except ValueError as error:
            self.wrong(key, str(error))
            return default

    def need(self, key: str, check: Callable[[object], T], told: bool = True) -> T:  # noqa: FBT001, FBT002
        """Return the value of a key that must be there; note it if it is not, if that is to be told."""
        self._known[key] = None
        if key not in self.data:
            if told:
                self.wrong(key, "this is missing")
        else:
            try:
                return check(self.data[key])
            except ValueError as error:
                self.wrong(key, str(error))
        return NOWHERE  # type: ignore[return-value]  # there is a problem, so that nobody gets to see it

    def path(self, value: object) -> Path:
        """Return a path, which is relative to the folder of the file; raise ValueError if it is none."""
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError(f"{value!r} is no path")
        return Path(self._base / value)

    def wrong(self, key: str, problem: str) -> None:
        """Note what is wrong with a key."""
        self._note(self._name(key), problem)

    def finish(self) -> None:
        """Note the keys, here and further in, that nobody asked for."""
        for key in self.data:
            if key not in self._known:
                self.wrong(key, f"there is no such setting; allowed here are {', '.join(sorted(self._known))}")
        for section in self._sections.values():
            section.finish()

    def _add(self, data: Any, key: str) -> "_Section":  # noqa: ANN401
        section = self._sections[self._name(key)] = _Section(data, self._file, self._base, self._name(key), self)
        return section

    def _name(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key

    def _note(self, key: str, problem: str) -> None:
        self.problems.append(SettingsError(problem, file=self._file, key=key))
