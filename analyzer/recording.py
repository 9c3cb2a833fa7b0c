"""Record an interface into segments: by time or size, none half-written, with what was lost in each."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analyzer.errors import CaptureError, SettingsError
from analyzer.pcapng import GAP, Lost
from analyzer.recorders import SIP_PORTS, Order, Recorder, choose, make_order
from analyzer.recorders.interfaces import is_up
from analyzer.recorders.process import Process
from analyzer.segments import finish, recover

LOOK_SECONDS = 0.2
"""How often a recording looks whether something is to be done."""
_ABOUT = timedelta(seconds=1)
"""What came so shortly before an interface went down may be lost with it."""
_SECONDS_TO_BEGIN = 60.0
"""A recorder that has not begun after so long is given up."""
_MOST_FAILURES = 3
_SECONDS_OF_HEALTH = 5.0
"""A recorder that ran so long before it failed may be started again."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What is to be recorded, and where to."""

    interface: str
    """Its name, or 'any' for all."""
    folder: str | Path
    """Where the segments go; it is made if need be."""
    recorder: str | None = None
    """A name of analyzer.recorders.RECORDERS; without one, the first that this machine has."""
    filter: str | None = None
    """A capture filter (pcap-filter(7)) in place of the default one."""
    ports: tuple[int | tuple[int, int], ...] = SIP_PORTS
    """The ports, or ranges of them, of SIP."""
    period: timedelta | None = None
    """How long a segment lasts."""
    most_bytes: int | None = None
    """About how many bytes a segment has at most."""
    duration: timedelta | None = None
    """How long to record; without end if None."""
    packets: int | None = None
    """How many packets to record; without end if None."""
    promiscuous: bool = False
    """Record what is for other machines, too."""

    def __post_init__(self) -> None:
        """Refuse what cannot be; raises SettingsError."""
        if self.filter is not None and self.ports != SIP_PORTS:
            raise SettingsError("a filter of one's own says all; leave the ports out", key="filter")
        for key in ("most_bytes", "packets"):
            if (value := getattr(self, key)) is not None and value < 1:
                raise SettingsError(f"{value} is not allowed; 1 or more is", key=key)
        for key in ("period", "duration"):
            if (span := getattr(self, key)) is not None and span < timedelta(seconds=1):
                raise SettingsError("a second is the least", key=key)
        for port in self.ports:
            first, last = (port, port) if isinstance(port, int) else port
            if not 1 <= first <= last <= 65_535:
                raise SettingsError(f"{port} is no port; ports are 1 to 65535", key="ports")


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A time in which nothing was recorded."""

    start: datetime
    end: datetime
    why: str

    def __str__(self) -> str:
        """Return it in words, as it is kept in the segment that follows."""
        return f"{GAP}: nothing from {self.start:%F %T} to {self.end:%F %T} UTC, {self.why}"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What became of a recording."""

    packets: int
    dropped: int | None
    """Packets that the kernel or the interface lost, by the recorder's own counters; None if it does not tell."""
    segments: tuple[Path, ...]
    gaps: tuple[Gap, ...]


@dataclass
class Books:
    """A recording that goes on: what is done, and what is still to be done."""

    recording: Recording
    recorder: Recorder
    order: Order
    stop: threading.Event
    hear: Callable[[Path], None] | None = None
    began: float | None = None
    """When the first recorder had begun (monotonic)."""
    since: float | None = None
    """When the recorder at work had begun; None if it has not."""
    packets: int = 0
    dropped: int | None = None
    segments: list[Path] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    comment: str = ""
    """What the next segment has to tell of the time before it."""

    @property
    def folder(self) -> Path:
        """Where the segments go."""
        return Path(self.recording.folder)

    def begin(self, process: Process) -> bool:
        """Say whether the recorder has begun; wait for that, unless it ends or all is to end."""
        self.since, end = None, time.monotonic() + _SECONDS_TO_BEGIN
        while not (begun := process.wait_for(self.recorder.begun, LOOK_SECONDS)):
            if process.ended() or self.stop.is_set() or time.monotonic() > end:
                break
        if begun:
            self.since = time.monotonic()
            self.began = self.began or self.since
        return begun

    def seconds_left(self) -> float:
        """Return how long is still to be recorded."""
        if self.recording.duration is None or self.began is None:
            return float("inf")
        return self.began + self.recording.duration.total_seconds() - time.monotonic()

    def packets_left(self) -> int | None:
        """Return how many packets are still to be recorded; None if that is not limited."""
        return None if self.recording.packets is None else max(self.recording.packets - self.packets, 0)

    def done(self) -> bool:
        """Say whether all is recorded that was asked for."""
        return self.stop.is_set() or self.seconds_left() <= 0 or self.packets_left() == 0

    def due(self, began: float, size: int) -> bool:
        """Say whether a segment that began then (monotonic) and has so many bytes is to end."""
        period, most = self.recording.period, self.recording.most_bytes
        late = period is not None and time.monotonic() - began >= period.total_seconds()
        return late or (most is not None and size >= most)

    def enter(self, partial: Path, packets: int, lost: Lost) -> None:
        """Finish a segment and tell of it."""
        self.packets += packets
        known = None not in (lost.total, self.dropped if self.segments else 0)
        self.dropped = (self.dropped or 0) + (lost.total or 0) if known else None
        self.announce(finish(partial))

    def announce(self, segment: Path) -> None:
        """Tell of a segment that is whole."""
        self.segments.append(segment)
        if self.hear:
            self.hear(segment)

    def enter_gap(self, start: datetime, why: str) -> None:
        """Note that nothing was recorded from start until now."""
        gap = Gap(start=start, end=datetime.now(UTC), why=why)
        self.gaps.append(gap)
        self.comment = "; ".join([*filter(None, [self.comment]), str(gap)])


def record(
    recording: Recording, *, stop: threading.Event | None = None, on_segment: Callable[[Path], None] | None = None
) -> Recorded:
    """Record until stop is set, or all is recorded that was asked for, and return what became of it.

    Each segment is handed to on_segment as soon as it is whole, in the order of time; first those that an earlier
    recording into the same folder left unfinished. An interface that goes down is waited for.

    Raises CaptureError if the interface or the folder cannot be used or the disk is full, UnavailableError if there is
    no recorder, SettingsError if the filter is none. What was recorded until then is whole.
    """
    books = Books(
        recording=recording,
        recorder=choose(recording.recorder),
        order=make_order(
            recording.interface, ports=recording.ports, filter=recording.filter, promiscuous=recording.promiscuous
        ),
        stop=stop or threading.Event(),
        hear=on_segment,
    )
    try:
        books.folder.mkdir(parents=True, exist_ok=True)
        recovered = recover(books.folder)
        for segment in recovered:
            books.announce(segment)
        books.segments.clear()
        _record(books)
    except OSError as error:
        raise _translate(error, books.folder) from error
    return Recorded(
        packets=books.packets, dropped=books.dropped, segments=tuple(books.segments), gaps=tuple(books.gaps)
    )


def _record(books: Books) -> None:
    """Record in one go as long as the interface is up; wait for it when it is not."""
    from analyzer.recorders.filed import record_files
    from analyzer.recorders.piped import record_pipe

    run = record_files if books.recorder.writes_files else record_pipe
    interface = books.recording.interface
    failures = 0
    while not books.done():
        if not is_up(interface):
            _wait_until_up(books, datetime.now(UTC))
            continue
        problem = run(books)
        if books.done():
            return
        start = datetime.now(UTC) - _ABOUT
        if not is_up(interface):
            _wait_until_up(books, start)
            continue
        healthy = books.since is not None and time.monotonic() - books.since > _SECONDS_OF_HEALTH
        failures = 1 if healthy else failures + 1
        if failures >= _MOST_FAILURES:
            raise problem
        books.enter_gap(start, f"{books.recorder.name} ended and was started again")


def _wait_until_up(books: Books, start: datetime) -> None:
    while not is_up(books.recording.interface):
        if books.done():
            break
        books.stop.wait(LOOK_SECONDS)
    books.enter_gap(start, f"the interface {books.recording.interface} was down")


def _translate(error: OSError, folder: Path) -> CaptureError:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CaptureError(folder, "the disk is full; make room on it, then start again")
    if error.errno == errno.EROFS:
        return CaptureError(folder, "cannot be written, the disk is read-only; choose another folder")
    if isinstance(error, PermissionError):
        return CaptureError(folder, "cannot be written, permission denied; choose another folder, or ask for the right")
    if isinstance(error, FileExistsError | NotADirectoryError):
        return CaptureError(folder, "is no folder; choose another name")
    return CaptureError(folder, f"cannot be written ({error.strerror or error}); check the disk that it lies on")
