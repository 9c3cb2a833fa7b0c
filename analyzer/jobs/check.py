"""What is wrong with a job before it runs, and what it will do."""

import ctypes
import ctypes.util
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

from analyzer.errors import AnalyzerError, SettingsError
from analyzer.jobs import disk
from analyzer.jobs.lock import holder
from analyzer.jobs.schedule import utc_now
from analyzer.jobs.settings import Command, Job, Limit, Record, Spool, join_problems, read_job
from analyzer.quantities import each, say_period, say_size

SHOWN = 5
"""How many of the next times are shown."""
_DLT_EN10MB = 1
_SNAP = 262_144


def require(file: str) -> Job:
    """Return the job of a file; raise SettingsError with all that keeps it from running."""
    job, problems, _ = find_problems(file)
    if problems or job is None:
        raise join_problems(file, problems)
    return job


def find_problems(file: str) -> tuple[Job | None, list[SettingsError], list[str]]:
    """Return a job, everything that is wrong with it, and what is remarkable but not wrong."""
    job, problems = read_job(file)
    if job is None:
        return None, problems, []
    problems = [SettingsError(text, file=file, key=key) for key, text in _problems(job)]
    return job, problems, list(_remarks(job))


def _problems(job: Job) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, by the key of the settings."""
    yield from _folder_problems(job)
    yield from _recording_problems(job)
    yield from _file_problems(job)
    for key, commands in (("after_report", job.after_report), ("on_break_in", job.on_break_in)):
        for number, command in enumerate(commands, 1):
            if problem := _command_problem(command):
                yield f"{key}[{number}].command", problem


# --- folders


def _folder_problems(job: Job) -> Iterator[tuple[str, str]]:
    folders = {"folders.tables": job.tables, "folders.reports": job.reports}
    if isinstance(job.source, Spool):
        if not job.captures.is_dir():
            yield "spool.folder", f"there is no folder '{job.captures}'; make it, or correct its path"
        elif not os.access(job.captures, os.R_OK | os.X_OK):
            yield "spool.folder", f"'{job.captures}' cannot be read; permission denied"
        here = {"spool.folder": job.captures} | folders
    else:
        here = folders = {"folders.captures": job.captures} | folders
    for (one, first), (other, second) in combinations(here.items(), 2):
        if first.resolve() == second.resolve():
            yield other, f"this is the folder of {one}; each needs one of its own"
        elif "spool.folder" in (one, other) and first.resolve() in second.resolve().parents:
            yield other, f"this lies in {one}, where captures are looked for; name a folder elsewhere"
    for key, folder in folders.items():
        if problem := _unwritable(folder):
            yield key, problem


def _unwritable(folder: Path) -> str | None:
    """Return why a folder can be neither written nor made; a full or read-only disk is a matter of time."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return f"'{there}' is a file; name another folder"
    if not os.access(there, os.W_OK | os.X_OK) and not _is_read_only(there):
        what = "cannot be written" if there == folder else f"cannot be made in '{there}'"
        return f"'{folder}' {what}: permission denied"
    return None


def _is_read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


# --- recording


def _recording_problems(job: Job) -> Iterator[tuple[str, str]]:
    if (record := job.record) is None:
        return
    from analyzer.recorders import choose

    try:
        choose(record.recorder)
    except AnalyzerError as error:
        yield "record.recorder", str(error)
    if record.filter and (problem := _filter_problem(record.filter)):
        yield "record.filter", f"this is no capture filter: {problem}; see man pcap-filter"


def _filter_problem(text: str) -> str | None:
    """Return what libpcap has against a filter; None if nothing, or if there is no libpcap to ask."""
    name = ctypes.util.find_library("pcap")
    if name is None:
        return None
    try:
        libpcap = ctypes.CDLL(name)
        libpcap.pcap_open_dead.restype = ctypes.c_void_p
        libpcap.pcap_geterr.restype = ctypes.c_char_p
        handle = ctypes.c_void_p(libpcap.pcap_open_dead(_DLT_EN10MB, _SNAP))
        program = (ctypes.c_uint64 * 2)()
        failed = libpcap.pcap_compile(handle, ctypes.byref(program), text.encode(), 1, 0xFFFFFFFF)
        problem = libpcap.pcap_geterr(handle).decode("utf-8", "replace") if failed else None
        libpcap.pcap_close(handle)
    except (OSError, AttributeError):
        return None
    return problem


# --- files and commands


def _file_problems(job: Job) -> Iterator[tuple[str, str]]:
    from analyzer.allow import load_allowed
    from analyzer.detectors import configure
    from analyzer.places import load_places
    from analyzer.tools import load_signatures

    loaders: dict[str, tuple[Callable[..., object], tuple[Path, ...]]] = {
        "analysis.allow": (load_allowed, job.allow),
        "analysis.geoip": (load_places, job.geoip),
        "analysis.signatures": (load_signatures, job.signatures),
    }
    for key, (load, paths) in loaders.items():
        for path in paths:
            try:
                load(path)
            except AnalyzerError as error:
                yield key, str(error)
    for name, thresholds in job.detectors.items():
        try:
            configure({name: thresholds})
        except SettingsError as error:
            key = error.key or name
            yield key if key.startswith("detectors.") else f"detectors.{key}", str(error).removeprefix(f"{key}: ")


def _command_problem(command: Command) -> str | None:
    program = command.command[0]
    if "/" in program and not Path(program).is_absolute():
        return f"'{program}' is relative, and to what is not certain; write its whole path"
    if shutil.which(program) is None:
        return f"there is no program '{program}' that can be run; correct its path, or make it executable"
    return None


# --- what is remarkable


def _remarks(job: Job) -> Iterator[str]:
    yield from _recording_remarks(job)
    for what, limit, folder in _limits(job):
        with suppress(OSError):
            free = disk.room(folder)
            if limit.bytes and limit.bytes > free + _used(folder):
                yield f"the disk has no room for {say_size(limit.bytes)} of {what}: {say_size(free)} are free"
    for folder in (job.tables, job.reports):
        if folder.exists() and _is_read_only(folder):
            yield f"'{folder}' lies on a disk that is read-only now"
    for path, what in ((job.recording_lock, "records"), (job.reporting_lock, "analyses and reports")):
        if who := holder(path):
            yield f"{who} {what} for this job now"


def _recording_remarks(job: Job) -> Iterator[str]:
    from analyzer.recorders.interfaces import check_interface, is_up

    if job.record is None:
        return
    try:
        check_interface(job.record.interface)
        if not is_up(job.record.interface):
            yield f"the interface {job.record.interface} is down; it is waited for"
    except AnalyzerError as error:
        yield f"{error}; it is waited for"
    if job.keep.captures == Limit():
        yield "captures are never removed, and will fill the disk; set captures in [keep]"


def _limits(job: Job) -> Iterator[tuple[str, Limit, Path]]:
    if job.record is not None:
        yield "captures", job.keep.captures, job.captures
    yield "tables", job.keep.tables, job.tables
    yield "reports", job.keep.reports, job.reports


def _used(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*")) if folder.exists() else 0


# --- what it does


def describe(job: Job, remarks: list[str], now: datetime | None = None) -> str:
    """Return what a job does, in lines of at most 80 columns where its paths allow, and its next times."""
    rows = [
        ("reads", _say_source(job)),
        ("reports", f"every {each(job.every)}, on the last {each(job.covers)}"),
        ("keeps", "; ".join(f"{what} {_say_limit(limit)}" for what, limit in _kept(job))),
        ("into", str(job.reports)),
        ("", str(job.tables)),
    ]
    if job.record is not None:
        rows.append(("", str(job.captures)))
    for event, commands in (("after each report", job.after_report), ("on a break-in", job.on_break_in)):
        rows += [("runs", f"{command.command[0]} {event}, {say_period(command.time)} at most") for command in commands]
    rows.append(("disk", "a full or read-only disk is waited for" if job.trouble == "wait" else "a full disk ends it"))
    rows += [("note", remark) for remark in remarks]
    times = job.schedule.upcoming(now or utc_now(), SHOWN)
    rows += [
        ("next" if number == 0 else "", f"{time.astimezone(UTC):%a %Y-%m-%d %H:%M:%S} UTC")
        for number, time in enumerate(times)
    ]
    return "\n".join([f"The job {job.name} is in order.", "", *_wrapped(rows)])


def _kept(job: Job) -> Iterator[tuple[str, Limit]]:
    yield "captures", job.keep.captures
    yield "tables", job.keep.tables
    yield "reports", job.keep.reports


def _say_limit(limit: Limit) -> str:
    parts = [say_period(limit.age)] if limit.age else []
    parts += [f"up to {say_size(limit.bytes)}"] if limit.bytes is not None else []
    return ", ".join(parts) or "for ever"


def _say_source(job: Job) -> str:
    if isinstance(job.source, Record):
        record = job.source
        what = f"filter '{record.filter}'" if record.filter else f"ports {', '.join(map(_say_port, record.ports))}"
        size = f"{say_period(record.segment)} or {say_size(record.segment_bytes)}"
        return f"{record.interface} with {record.recorder or 'the best recorder'}, {what}, in segments of {size}"
    return f"captures that another recorder leaves in {job.captures}"


def _say_port(port: int | tuple[int, int]) -> str:
    return str(port) if isinstance(port, int) else f"{port[0]}-{port[1]}"


def _wrapped(rows: list[tuple[str, str]]) -> Iterator[str]:
    """Yield rows of a name and a text as lines, long texts on several."""
    import textwrap

    for name, text in rows:
        lines = textwrap.wrap(text, 69, break_long_words=False, break_on_hyphens=False) or [""]
        yield f"{name:<9} {lines[0]}".rstrip()
        yield from (f"{'':<9} {line}" for line in lines[1:])
