"""What a process of its own does for a job: analyse a capture, make a report, remove old tables.

It reads what attackers wrote, so it may do little, and what it takes is bounded; if it ends, recording goes on.
Everything may be done again: what is there already is found by content, or by name.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.errors import AnalyzerError, CaptureError
from analyzer.jobs import disk, rights, shelf
from analyzer.jobs.captures import Capture, look
from analyzer.jobs.lock import locked
from analyzer.jobs.retention import Thing, choose
from analyzer.jobs.settings import Job

if TYPE_CHECKING:
    from analyzer.analysis import Analysis
    from analyzer.store import Store

PATIENCE = 60.0
"""Seconds in which a process ends that a crash left behind."""
UNTOLD = "untold"
"""The folder, beside the store, of notes on captures of which no report has told."""
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of a piece of work."""

    problem: str | None = None
    """Why it failed; None if it did not."""
    identity: str = ""
    """The id of the content of a capture that was analysed."""
    new: bool = False
    """Whether the store did not hold it before."""
    messages: int = 0
    packets: int = 0
    attacks: int = 0
    campaigns: int = 0
    path: Path | None = None
    """The report that was made."""
    removed: int = 0
    """How many captures the store no longer holds."""


def serve(name: str, job: Job, *arguments: Any) -> Done:  # noqa: ANN401
    """Do a piece of work, by its name in WORK, in a process that does nothing else."""
    try:
        if not _RESTRAINTS:
            _RESTRAINTS.append(_restrain(job))
    except AnalyzerError as error:
        return Done(problem=str(error))
    rights.limit_time(job.time)
    try:
        return do(name, job, *arguments)
    finally:
        rights.limit_time(None)


def do(name: str, job: Job, *arguments: Any) -> Done:  # noqa: ANN401
    """Do a piece of work, by its name in WORK; what goes wrong with it is its result."""
    try:
        return WORK[name](job, *arguments)
    except AnalyzerError as error:
        return Done(problem=str(error))
    except MemoryError:
        return Done(problem=f"{job.memory / 1e9:.3g} GB of memory are too little; raise memory in [analysis]")
    except Exception as error:  # noqa: BLE001  whatever it is, it is told, and recording goes on
        return Done(problem=f"{type(error).__name__}: {error}")


_RESTRAINTS: list[ExitStack] = []
"""What is held until this process ends."""


def _restrain(job: Job) -> ExitStack:
    """Let this process do little, take little, and be the only one that works for a job."""
    from analyzer.reading import save_memory

    rights.give_up_rights()
    rights.give_way()
    rights.limit_memory(job.memory)
    save_memory()
    stack = ExitStack()
    stack.enter_context(locked(job.state / "work.lock", "analyses for this job", wait=PATIENCE))
    return stack


# --- a capture


def analyse(job: Job, capture: Capture, before: tuple[int, str] | None = None) -> Done:
    """Add a capture to the store, unless it holds it; before is the size and the id of an earlier state of the file."""
    from analyzer.analysis import examine
    from analyzer.detectors import configure
    from analyzer.reading import read_captures
    from analyzer.store import Store, content_id

    store = Store.create(job.tables)
    identity = content_id(capture.path)
    if store.holds(identity):
        return Done(identity=identity)
    if before and _begins_with(capture.path, *before):
        problem = "grew after it was analysed, and what was added does not count; raise settle in [spool]"
        raise CaptureError(capture.path, problem)
    reading = read_captures(capture.path, signatures=job.signatures, jobs=1)
    detectors = configure(job.detectors, file=str(job.file))
    attacks = examine(reading, detectors=detectors, signatures=job.signatures).attacks
    if look(capture.path) != capture:
        raise CaptureError(capture.path, "changed while it was read; it is read again when nobody writes it")
    _note_untold(job, identity)
    new = store.add(identity, reading, attacks)
    return Done(
        identity=identity,
        new=new,
        messages=len(reading.messages),
        packets=int(reading.captures["packets"].sum()),
        attacks=len(attacks),
    )


def _begins_with(path: Path, size: int, identity: str) -> bool:
    """Say whether the first bytes of a file are a content known by its id."""
    digest = sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, _CHUNK_BYTES))):
            digest.update(piece)
            size -= len(piece)
    return size == 0 and digest.hexdigest() == identity


def _note_untold(job: Job, identity: str) -> None:
    """Note, on the disk, that no report has told of a capture, so that the next one does."""
    folder = job.state / UNTOLD
    folder.mkdir(parents=True, exist_ok=True)
    (folder / identity).touch()
    disk.sync(folder)


# --- a report


def report(job: Job, time: datetime, now: datetime) -> Done:
    """Make the report of a time: on what the job covers up to now, and on captures of which no report has told."""
    from analyzer.store import Store

    store = Store.create(job.tables)
    shelf.tidy(job.reports)
    untold = list((job.state / UNTOLD).glob("*"))
    since, until = _period(job, now, _spans(store, {note.name for note in untold}))
    analysis = _examine(job, store, since, until)
    path = _write(job, analysis, time)
    for note in untold:
        note.unlink(missing_ok=True)
    return Done(
        path=path,
        messages=len(analysis.messages),
        packets=int(analysis.captures["packets"].sum()),
        attacks=len(analysis.attacks),
        campaigns=len(analysis.campaigns),
    )


def _spans(store: "Store", identities: set[str]) -> list[tuple[datetime, datetime]]:
    """Return from when to when the packets of captures are, by the ids of the captures."""
    return [
        (_time(record.start), _time(record.end))
        for record in store.captures()
        if record.id in identities and record.start and record.end
    ]


def _time(text: str) -> datetime:
    """Return a time from ISO 8601 in UTC, of which the nanoseconds are left out."""
    return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)


def _period(job: Job, now: datetime, spans: list[tuple[datetime, datetime]]) -> tuple[datetime, datetime]:
    """Return from when on, and before when, a report covers: no longer ago than the store keeps."""
    since = min([now - job.covers, *(start for start, _ in spans)])
    until = max([now, *(end for _, end in spans)]) + timedelta(seconds=1)
    if job.keep.tables.age:
        since = max(since, min(now - job.keep.tables.age, now - job.covers))
    return since, until


def _examine(job: Job, store: "Store", since: datetime, until: datetime) -> "Analysis":
    from analyzer.allow import load_allowed
    from analyzer.analysis import examine
    from analyzer.detectors import configure
    from analyzer.places import load_places

    analysis = examine(
        store.read(since, until, signatures=job.signatures),
        detectors=configure(job.detectors, file=str(job.file)),
        signatures=job.signatures,
        allowed=load_allowed(*job.allow),
        places=load_places(*job.geoip),
        past=store.past(since),
    )
    told = replace(analysis.settings, allow=tuple(map(str, job.allow)), recorded=_recorded(job))
    return replace(analysis, settings=told)


def _recorded(job: Job) -> str | None:
    """Return what a job records, in words; None if another recorder does."""
    if job.record is None:
        return None
    ports = ", ".join(str(port) if isinstance(port, int) else f"{port[0]}-{port[1]}" for port in job.record.ports)
    what = f"the filter {job.record.filter}" if job.record.filter else f"SIP ports {ports}"
    return f"{job.record.interface}, {what}"


def _write(job: Job, analysis: "Analysis", time: datetime) -> Path:
    """Write a report into a folder that is called by its time, and return that."""
    from analyzer.reports import write_report

    with shelf.writing(job.reports, time) as folder:
        write_report(analysis, folder[0], tables=job.report_tables, show_secrets=job.show_secrets)
    return folder[0]


# --- old tables


def prune(job: Job, now: datetime | None) -> Done:
    """Remove tables that are too old, or too many, and what a crash left; without now none is too old."""
    from analyzer.store import Store, is_store

    if not is_store(job.tables):
        return Done()
    store = Store.open(job.tables)
    store.repair()
    days: dict[str, int] = {}
    for record in store.captures():
        days[record.last] = days.get(record.last, 0) + sum(record.files.values())
    things = [Thing(day, _end(day), size) for day, size in days.items()]
    chosen = choose(things, job.keep.tables, now)
    removed = store.prune(max(thing.ended for thing in chosen)) if chosen else []
    return Done(removed=len(removed))


def _end(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)


WORK: dict[str, Callable[..., Done]] = {"analyse": analyse, "report": report, "prune": prune}
