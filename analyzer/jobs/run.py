"""The loop: what is recorded is analysed as it comes, and reported at the times of the schedule."""

import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from analyzer.errors import AnalyzerError, SettingsError
from analyzer.jobs import hooks, shelf
from analyzer.jobs.captures import Capture, Known, has_fresh, list_captures
from analyzer.jobs.disk import find_trouble
from analyzer.jobs.lock import holder, locked
from analyzer.jobs.log import LOGGER
from analyzer.jobs.recorder import FIRST_PAUSE, LONGEST_PAUSE, PROGRAM, REFUSED, STEADY, await_disk
from analyzer.jobs.retention import Thing, choose
from analyzer.jobs.schedule import Steps, uptime, utc_now
from analyzer.jobs.settings import Job, Record
from analyzer.jobs.work import Done
from analyzer.quantities import count, say_size
from analyzer.workers import EndedError, run

ENDING = 4.0
"""Seconds that the recorder has to finish its segment."""
LOOKING = timedelta(seconds=1), timedelta(seconds=15)
"""The least and the most between two looks for captures that have become whole."""
GRACE = 5.0
"""Seconds in which another process gives a lock back."""
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
Perform = Callable[[str, Sequence[tuple[Any, ...]]], Iterator[Done]]


class _StopError(BaseException):
    """SIGTERM, SIGINT, or the recorder's end: everything is to end."""


# --- one round


@dataclass
class Rounds:
    """What a job does again and again: analyse what is new, report if it is time, remove what is old."""

    job: Job
    perform: Perform
    clock: Callable[[], datetime] = utc_now
    passed: Callable[[], float] = uptime
    """Seconds that pass whatever the clock says."""
    known: Known = field(init=False)
    failed: set[Capture] = field(default_factory=set)
    """Captures that could not be analysed; they are tried again at the next time of the schedule."""
    said: str = ""
    """The last problem that was said."""

    def __post_init__(self) -> None:
        """Take note of what is on the disk."""
        self.known = Known(self.job)
        self.steps = Steps(self.clock, self.passed)

    def beat(self, due: datetime | None) -> bool:
        """Analyse what is new; if a report is due, make it, and remove what is old; say whether all went well."""
        try:
            if due is None:
                return self.analyse()
            self.failed.clear()
            self.remove(tables=False)
            good = self.analyse()
            good = self.report(due) and good
            self.remove()
        except AnalyzerError as error:
            self._complain(str(error))
            return False
        return good

    def _complain(self, problem: str) -> None:
        """Say what is wrong, but not again and again."""
        if problem != self.said:
            LOGGER.error("%s", problem)
        self.said = problem

    def analyse(self) -> bool:
        """Analyse the whole captures that are not known; say whether that went well."""
        captures = list_captures(self.job, self.clock())
        new = [capture for capture in captures if capture not in self.known and capture not in self.failed]
        tasks = [(self.job, capture, self.known.before(capture)) for capture in new]
        for capture, done in zip(new, self.perform("analyse", tasks), strict=True):
            self._hear(capture, done)
        if new:
            self.known.save(captures)
        return not self.failed.intersection(new)

    def _hear(self, capture: Capture, done: Done) -> None:
        if done.problem:
            self.failed.add(capture)
            LOGGER.error("not analysed: %s", _with_name(done.problem, capture.path))
            return
        self.known.add(capture, done.identity)
        if done.new:
            said = count(done.packets, "packet"), count(done.messages, "message"), count(done.attacks, "attack")
            LOGGER.info("analysed %s: %s, %s, %s", capture.path.name, *said)

    def report(self, due: datetime) -> bool:
        """Make the report of a time, and tell the commands; say whether that went well."""
        (done,) = self.perform("report", [(self.job, due, self.clock())])
        if done.problem or done.path is None:
            LOGGER.error("no report of %s: %s", f"{due:%Y-%m-%d %H:%M} UTC", done.problem)
            return False
        said = count(done.messages, "message"), count(done.campaigns, "campaign")
        LOGGER.info("reported %s: %s, %s", done.path, *said)
        self.tell()
        return True

    def tell(self) -> None:
        """Tell the commands of the newest report, unless that has been done; at least once, whenever one is killed."""
        job = self.job
        reports = shelf.list_reports(job.reports)
        if not reports or (reports[-1] / shelf.TOLD).exists() or not (job.after_report or job.on_break_in):
            return
        newest, before = reports[-1], reports[-2] if len(reports) > 1 else None
        about = {"job": job.name, "report": str(newest)}
        summary = newest / shelf.SUMMARY
        if found := shelf.new_break_ins(newest, before):
            LOGGER.warning("%s of which no report told before", count(len(found), "break-in"))
            hooks.tell(job.on_break_in, summary, about | {"event": "break-in"})
        hooks.tell(job.after_report, summary, about | {"event": "report"})
        with suppress(OSError):
            (newest / shelf.TOLD).touch()

    def remove(self, *, tables: bool = True) -> None:
        """Remove captures, tables and reports that are not to be kept."""
        self.notice_steps()
        now = self.clock() if self.steps.trusted else None
        self._remove_captures(now)
        self._remove_reports(now)
        keep = self.job.keep.tables
        if tables and (keep.age or keep.bytes is not None):
            (done,) = self.perform("prune", [(self.job, now)])
            if done.problem:
                LOGGER.error("tables were not removed: %s", done.problem)
            elif done.removed:
                LOGGER.info("removed the tables of %s", count(done.removed, "capture"))

    def notice_steps(self) -> None:
        """Say that the clock was set, if it was."""
        if step := self.steps.look():
            way = "forward: nothing is removed for its age for a day" if step > timedelta(0) else "back"
            LOGGER.warning("the clock was set by %s %s", abs(step), way)

    def _remove_captures(self, now: datetime | None) -> None:
        limit = self.job.keep.captures
        if limit.age is None and limit.bytes is None:
            return
        captures = list_captures(self.job, self.clock())
        things = [Thing(it, _when(it.changed), it.bytes, stays=it not in self.known) for it in captures]
        gone = [thing for thing in choose(things, limit, now) if _unlink(thing.what.path)]
        if gone:
            LOGGER.info("removed %s, %s", count(len(gone), "capture"), say_size(sum(thing.bytes for thing in gone)))
            self.known.save(list_captures(self.job, self.clock()))

    def _remove_reports(self, now: datetime | None) -> None:
        limit = self.job.keep.reports
        reports = shelf.list_reports(self.job.reports)
        if limit.age is None and limit.bytes is None:
            return
        things = [Thing(path, shelf.when(path), shelf.size(path), stays=path == reports[-1]) for path in reports]
        for thing in choose(things, limit, now):
            try:
                shelf.remove(thing.what)
            except OSError as error:
                LOGGER.error("cannot remove the report '%s': %s", thing.what, error.strerror or error)


def _with_name(problem: str, path: Path) -> str:
    return problem if str(path) in problem else f"{path}: {problem}"


def _when(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        LOGGER.error("cannot remove the capture '%s': %s", path, error.strerror or error)
        return False
    return True


def perform_apart(name: str, tasks: Sequence[tuple[Any, ...]]) -> Iterator[Done]:
    """Yield what becomes of tasks, in a process of their own; one that ends the process fails, the next go on."""
    left = list(tasks)
    while left:
        with closing(run("analyzer.jobs.work:serve", [(name, *task) for task in left], processes=1)) as results:
            try:
                while left:
                    done = next(results)
                    left.pop(0)
                    yield done
            except EndedError as error:
                left.pop(0)
                yield Done(problem=f"the process that worked on it ended {error}{_explain(str(error))}")
            except OSError as error:
                left.pop(0)
                yield Done(problem=f"no process could be started for it: {error.strerror or error}")


def _explain(how: str) -> str:
    if "SIGALRM" in how:
        return ": it took too long; raise time in [analysis]"
    return "; raise memory in [analysis]" if "SIGKILL" in how or "SIGABRT" in how else ""


# --- the process that records


class Watchdog:
    """Keeps the process that records running: one that dies is started again."""

    def __init__(self, job: Job, *, quiet: bool, gave_up: Callable[[], None]) -> None:
        """Start it; gave_up is called, in another thread, when it ends because the settings say so."""
        self._order = pickle.dumps((job, quiet))
        self._gave_up = gave_up
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self.refused = False
        self._thread.start()

    def stop(self) -> None:
        """End it; it has some seconds to finish its segment."""
        with self._lock:
            self._stop.set()
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(GRACE)

    def _watch(self) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                code: object = self._run()
            except OSError as error:
                code = error.strerror or error
            if self._stop.is_set():
                return
            if code == REFUSED:
                self.refused = True
                self._gave_up()
                return
            pause = FIRST_PAUSE if time.monotonic() - began > STEADY else pause
            LOGGER.error("the process that records ended (%s); it is started again in %g s", code, pause)
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _run(self) -> int | None:
        with self._lock:
            if self._stop.is_set():
                return None
            process = self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-c", PROGRAM, *sys.path],
                stdin=subprocess.PIPE,
                process_group=0,  # Ctrl-C on a terminal is for the one that started it, which then ends it
            )
        with suppress(BrokenPipeError):
            process.stdin.write(self._order)  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
        code = process.wait()
        with suppress(BrokenPipeError):
            process.stdin.close()  # type: ignore[union-attr]
        return code


# --- the loop


def run_job(job: Job, *, once: bool = False, record: bool = True, report: bool = True, quiet: bool = False) -> None:
    """Run a job until SIGTERM or SIGINT; with once, for one round: until the next report is made.

    Without record, or without report, it does the rest only: two processes may share the work.

    Raises SettingsError if another process runs the job, if folders cannot be written and the settings say not to wait
    for that, and, with once, if something failed.
    """
    watchdog = None
    with _stoppable() as give_up, ExitStack() as held:
        if report and not once:
            await_disk(job, _folders(job), threading.Event())
            held.enter_context(locked(job.reporting_lock, "runs this job", wait=GRACE))
        if record and job.record is not None and not (once and holder(job.recording_lock)):
            watchdog = Watchdog(job, quiet=quiet, gave_up=give_up)
            held.callback(watchdog.stop)
        try:
            if once:
                _round(job, watchdog, report=report)
            else:
                _loop(job, report=report)
        except _StopError:
            if watchdog is None or not watchdog.refused:
                LOGGER.info("stopped")
    if watchdog is not None and watchdog.refused:
        raise SettingsError("recording was given up, for the reason above", file=job.file)


@contextmanager
def _stoppable() -> Iterator[Callable[[], None]]:
    """Let SIGTERM and others raise a _StopError, once; yield what does the same from another thread."""
    main = threading.get_ident()
    before = {number: signal.getsignal(number) for number in STOPPING}

    def stop(*_: object) -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        raise _StopError

    for number in STOPPING:
        signal.signal(number, stop)
    try:
        yield lambda: signal.pthread_kill(main, signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _folders(job: Job) -> list[Path]:
    return [job.tables, job.reports]


def _round(job: Job, watchdog: Watchdog | None, *, report: bool) -> None:
    """Record until the next time of the schedule, if there is something to record, and report."""
    if watchdog is not None:
        _sleep_until(job.schedule.next(utc_now()))
        watchdog.stop()
    if not report:
        return
    if trouble := find_trouble(_folders(job)):
        raise trouble
    with locked(job.reporting_lock, "runs this job", wait=job.every.total_seconds()):
        rounds = Rounds(job, perform_apart)
        while has_fresh(job, utc_now()):
            time.sleep(LOOKING[0].total_seconds())
        rounds.tell()
        rounds.remove(tables=False)
        rounds.analyse()
        good = rounds.report(utc_now())
        rounds.remove()
    if not good or rounds.failed:
        raise SettingsError("not all was done, for the reasons above", file=job.file)


def _loop(job: Job, *, report: bool) -> None:
    """Analyse what comes, and report at the times of the schedule, for ever."""
    while not report:
        time.sleep(3600)
    LOGGER.info(
        "running %s; the next report is due at %s", job.name, f"{job.schedule.next(utc_now()):%Y-%m-%d %H:%M:%S} UTC"
    )
    rounds = Rounds(job, perform_apart)
    reports = shelf.list_reports(job.reports)
    last = shelf.when(reports[-1]) if reports else job.schedule.last(utc_now()) if job.record else None
    rounds.tell()
    while True:
        due = job.schedule.last(utc_now())
        good = rounds.beat(due if due != last else None)
        if not good and find_trouble(_folders(job)):
            await_disk(job, _folders(job), threading.Event())
            rounds.failed.clear()
            continue
        last = due
        _sleep_until(min(job.schedule.next(utc_now()), utc_now() + _pause(job)))


def _pause(job: Job) -> timedelta:
    """Return how long to wait before the next look for captures that have become whole."""
    span = job.source.segment if isinstance(job.source, Record) else job.source.settle
    return min(max(span / 10, LOOKING[0]), LOOKING[1])


def _sleep_until(time_: datetime) -> None:
    """Sleep until a time by the clock, which may be set meanwhile."""
    while (left := (time_ - utc_now()).total_seconds()) > 0:
        time.sleep(min(left, 1.0))
