"""Where the packets of a live capture come from: a pipe or a file, or an interface, which may go down and come back."""

import io
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Protocol

from analyzer.capture import STDIN, Readable
from analyzer.errors import UnavailableError
from analyzer.tap import Tap, open_descriptor

if TYPE_CHECKING:
    from analyzer.recorders import LiveStream

ASKED_SECONDS = 0.5
"""How often a recorder that can is asked what it lost."""
WAIT_SECONDS = 1.0
"""How often an interface that is down is looked after."""


class Feed(Protocol):
    """Brings one stream of packets after the other."""

    name: str

    @property
    def bytes_read(self) -> int:
        """How many bytes came so far."""

    @property
    def waiting(self) -> int:
        """How many of them were not taken yet."""

    @property
    def pressed(self) -> bool:
        """Whether so many wait that their reader had better not."""

    def streams(self) -> Iterator[tuple[Readable, str]]:
        """Yield each stream when it begins, with the name of its capture; what was yielded before is read by then.

        Raises AnalyzerError if nothing more can come, and not because it was stopped.
        """

    def dropped(self) -> int | None:
        """Return how many packets were lost so far, as the recorder says beside the stream; None if it does not."""

    def stop(self) -> None:
        """Bring no more than what was recorded."""


class BytesFeed:
    """A stream that is in memory."""

    waiting, pressed = 0, False

    def __init__(self, name: str, content: bytes) -> None:
        """Bring content."""
        self.name = name
        self.bytes_read = len(content)
        self._content = content

    def streams(self) -> Iterator[tuple[Readable, str]]:
        """Yield it."""
        yield io.BytesIO(self._content), self.name

    def dropped(self) -> None:
        """Return None: nobody recorded this."""

    def stop(self) -> None:
        """Do nothing."""


class _Tapped:
    """What comes through one tap after the other."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tap: Any = None
        self._before = 0

    @property
    def bytes_read(self) -> int:
        """How many bytes came so far."""
        tap = self._tap
        return self._before + (tap.bytes_read if tap else 0)

    @property
    def waiting(self) -> int:
        """How many of them were not taken yet."""
        tap = self._tap
        return tap.waiting if tap else 0

    @property
    def pressed(self) -> bool:
        """Whether so many wait that their reader had better not."""
        tap = self._tap
        return tap is not None and tap.pressed


class PathFeed(_Tapped):
    """A FIFO, a capture file, or standard input; it is read from the beginning, whenever its stream is asked for."""

    def __init__(self, path: Path) -> None:
        """Open it; raise CaptureError if there is nothing to be read."""
        self._descriptor, name = open_descriptor(path)
        super().__init__(name)
        self._close = path != STDIN
        self._tap: Tap = Tap(self._descriptor, name).__enter__()

    def streams(self) -> Iterator[tuple[Readable, str]]:
        """Yield it."""
        try:
            yield self._tap, self.name
        finally:
            self._tap.__exit__()
            if self._close:
                os.close(self._descriptor)

    def dropped(self) -> None:
        """Return None: whoever records says it in the stream, or elsewhere."""

    def stop(self) -> None:
        """Read no further."""
        self._tap.stop()


class InterfaceFeed(_Tapped):
    """An interface, by way of a recorder; when it goes down it is waited for, and the next stream begins."""

    def __init__(self, interface: str, *, recorder: str | None = None, **options: Any) -> None:  # noqa: ANN401
        """Record an interface, with options as analyzer.recorders.stream() has them, once streams are asked for.

        Without a recorder, tcpdump if it may record, since it says what it lost while it runs; else as stream() does.
        Raises CaptureError if there is no such interface, UnavailableError if there is no recorder.
        """
        super().__init__(interface)
        self._options: dict[str, Any] = {**options, "recorder": _best(recorder)}
        self._stopped = Event()
        self._recording: LiveStream | None = None
        self._lost: int | None = None
        self._lock = Lock()
        self._asked = 0.0

    def streams(self) -> Iterator[tuple[Readable, str]]:
        """Yield a stream each time the interface is up."""
        from analyzer.recorders import stream
        from analyzer.recorders.interfaces import is_up

        name = self.name
        while not self._stopped.is_set():
            with stream(self.name, **self._options) as recording, Tap(recording.file.fileno(), name) as tap:
                with self._lock:
                    self._recording, self._tap = recording, tap
                if not self._stopped.is_set():
                    yield tap, name
                problem = None if self._stopped.is_set() else recording.problem()
            self._settle(recording, tap)
            if problem is not None and is_up(self.name):
                raise problem
            while not is_up(self.name) and not self._stopped.wait(WAIT_SECONDS):
                pass
            name = f"{self.name} since {datetime.now(UTC):%H:%M:%S}"

    def _settle(self, recording: "LiveStream", tap: Tap) -> None:
        """Take over what a recorder that has ended counted."""
        with self._lock:
            self._recording, self._tap = None, None
            self._before += tap.bytes_read
            lost = recording.lost().total
            self._lost = self._lost if lost is None else (self._lost or 0) + lost

    def dropped(self) -> int | None:
        """Return how many packets the recorders lost, as far as they have said."""
        with self._lock:
            if self._recording is None:
                return self._lost
            if time.monotonic() - self._asked > ASKED_SECONDS:
                self._asked = time.monotonic()
                self._recording.ask()
            lost = self._recording.lost().total
            return self._lost if lost is None else (self._lost or 0) + lost

    def stop(self) -> None:
        """Have the recorder end; what it holds comes still."""
        self._stopped.set()
        with self._lock:
            if self._recording is not None:
                self._recording.end()


def _best(recorder: str | None) -> str | None:
    """Return the recorder that is asked for; without one tcpdump, if we may record."""
    if recorder is not None or os.geteuid() != 0:
        return recorder
    from analyzer.recorders import choose

    try:
        choose("tcpdump")
    except UnavailableError:
        return None
    return "tcpdump"


def is_interface(name: str) -> bool:
    """Say whether a name is that of an interface, rather than of a file: a file of that name is ./NAME."""
    from analyzer.recorders.interfaces import ANY, list_interfaces

    return "/" not in name and name != str(STDIN) and (name == ANY or name in list_interfaces())


def open_feed(name: str, **options: Any) -> Feed:  # noqa: ANN401
    """Return what brings the packets of an interface, a FIFO, a capture, or of standard input ("-").

    A name without "/" of something that is neither there nor an interface is taken for one that is misspelt. The
    options are those of InterfaceFeed. Raises CaptureError if there is nothing of that name, or it cannot be read.
    """
    path = Path(name)
    if is_interface(name) or ("/" not in name and name != str(STDIN) and not os.path.lexists(path)):
        from analyzer.recorders.interfaces import check_interface

        check_interface(name)
        return InterfaceFeed(name, **options)
    return PathFeed(path)
