"""Recording with a program that writes its files itself: no packet passes through Python.

A program that tells what it lost only when it ends (dumpcap) records one segment, and another one takes over before it
ends: for a second both see the same packets. What both have is then cut off the earlier segment, so that each packet
is in one of them, and each segment has counters of its own.
"""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import AnalyzerError, CaptureError
from analyzer.pcapng import Lost, statistics
from analyzer.recorders.interfaces import is_up
from analyzer.recorders.process import Process
from analyzer.segments import Follower, begin, cut_after, cut_overlap

if TYPE_CHECKING:
    from analyzer.recording import Books

LOOK_SECONDS = 0.2
SECONDS_BEHIND = 0.7
"""The kernel hands packets on after a quarter of a second at the latest, and the recorder writes them in as much."""
SECONDS_TO_MEET = 30.0
"""How long the earlier recorder may take to come to where the later one began, on a busy machine."""
SECONDS_TO_MEET_AT_ONCE = 1.5
"""As much when all is to end."""
_BILLION = 1_000_000_000
_MOST_QUOTED = 200
_FULL = ("no space", "No space", "disk is full", "Disk quota")


class Run:
    """A program at work on one segment."""

    def __init__(self, books: "Books") -> None:
        """Start it; raise what went wrong if it does not begin."""
        self._books = books
        recorder = books.recorder
        self.claim = begin(books.folder)
        comment = ["--capture-comment", books.comment] if books.comment else []
        command = [*recorder.command(books.order, str(self.claim.path)), *comment]
        self.process = Process(command, inherited=[self.claim.descriptor])
        if not books.begin(self.process):
            self.process.stop()
            self.discard()
            raise self.explain()
        books.comment = ""
        self.began = time.monotonic()
        self.began_at = time.time_ns()
        self.follower = Follower(self.claim.path)

    def discard(self) -> None:
        """Take the empty segment away."""
        self.claim.path.unlink(missing_ok=True)
        self.claim.release()

    def explain(self) -> AnalyzerError:
        """Return why the program ended."""
        said, name = self.process.said, self._books.recorder.name
        last = " ".join(said.split())[-_MOST_QUOTED:] or "without a word"
        ended = CaptureError(self._books.recording.interface, f"{name} ended ({last}); see whether it runs by itself")
        return self.explain_for_good() or ended

    def explain_for_good(self) -> AnalyzerError | None:
        """Return why it is of no use to start the program again, if that is known."""
        if any(words in self.process.said for words in _FULL):
            return CaptureError(self._books.folder, "the disk is full; make room on it, then start again")
        return self._books.recorder.explain(self.process.said, self._books.order)

    def size(self) -> int:
        """Return the bytes of the segment so far."""
        return self.claim.path.stat().st_size

    def close(self, following: "Run | None" = None) -> None:
        """End the program and finish the segment, without what the following run has as well."""
        try:
            self.process.stop()
            self._finish(following)
        finally:
            self.claim.release()

    def _finish(self, following: "Run | None") -> None:
        path = self.claim.path
        if following is not None and self.follower.follow().last >= following.began_at - _BILLION:
            _wait_for_same(self._books, self, following)
            cut_overlap(path, following.claim.path)
        left = self._books.packets_left()
        if left is not None:
            cut_after(path, left)
        whole = Follower(path).follow()
        if whole.stop == 0:
            path.unlink(missing_ok=True)
            return
        lost = self._books.recorder.lost(self.process.said)
        _append_counters(path, whole, lost)
        self._books.enter(path, whole.packets, lost)


def record_files(books: "Books") -> AnalyzerError:
    """Record until all is done, the interface goes down, or the program ends; return why, should it be the last.

    Raises what is of no use to try again.
    """
    try:
        run = Run(books)
    except AnalyzerError as error:
        if books.stop.is_set():
            return error
        raise
    try:
        while True:
            _wait(books, run)
            if run.process.ended() or books.done() or not is_up(books.recording.interface) or _is_enough(books, run):
                break
            run = _take_over(books, run)
    finally:
        if not run.process.ended():
            _wait_for_rest(run)
        run.close()
    if (problem := run.explain_for_good()) and not books.done():
        raise problem
    return run.explain()


def _take_over(books: "Books", run: Run) -> Run:
    """Start the run that follows, end this one, and return the one at work."""
    try:
        following = Run(books)
    except AnalyzerError:
        if books.stop.is_set():
            return run
        raise
    try:
        _wait_to_meet(books, run, following)
    finally:
        run.close(following)
    return following


def _wait(books: "Books", run: Run) -> None:
    """Wait until something is to be done."""
    interface = books.recording.interface
    while not (run.process.ended() or books.done() or books.due(run.began, run.size())):
        if not is_up(interface) or _is_enough(books, run):
            return
        books.stop.wait(min(LOOK_SECONDS, max(books.seconds_left(), 0)))


def _is_enough(books: "Books", run: Run) -> bool:
    left = books.packets_left()
    return left is not None and run.follower.follow().packets >= left


def _wait_to_meet(books: "Books", run: Run, following: Run) -> None:
    """Wait until the run has all packets from before the following one's first."""
    time.sleep(SECONDS_BEHIND)
    end = time.monotonic() + SECONDS_TO_MEET
    size, since = -1, time.monotonic()
    while not run.process.ended() and time.monotonic() < end:
        if books.stop.is_set():
            end = min(end, time.monotonic() + SECONDS_TO_MEET_AT_ONCE)
        if run.size() != size or not run.process.rests():
            size, since = run.size(), time.monotonic()
        met = following.follower.follow().first or following.began_at
        if run.follower.follow().last > met:
            return
        if time.monotonic() - since > SECONDS_BEHIND * (2 if following.follower.packets else 1):
            return
        time.sleep(LOOK_SECONDS / 2)


def _wait_for_rest(run: Run) -> None:
    """Wait until what has come is handed on."""
    time.sleep(SECONDS_BEHIND)
    end = time.monotonic() + SECONDS_TO_MEET_AT_ONCE
    while not run.process.rests() and time.monotonic() < end:
        time.sleep(LOOK_SECONDS / 4)


def _wait_for_same(books: "Books", run: Run, following: Run) -> None:
    """Wait until the following run, too, has written the last packet of one that has ended."""
    end = time.monotonic() + SECONDS_TO_MEET
    size, since = -1, time.monotonic()
    while time.monotonic() < end and not following.process.ended():
        if books.stop.is_set():
            end = min(end, time.monotonic() + SECONDS_TO_MEET_AT_ONCE)
        if following.size() != size or not following.process.rests():
            size, since = following.size(), time.monotonic()
        last = following.follower.follow().last
        if last > run.follower.last or time.monotonic() - since > 2 * SECONDS_BEHIND:
            return
        time.sleep(LOOK_SECONDS / 4)


def _append_counters(path: Path, whole: Follower, lost: Lost) -> None:
    """Write the counters at the end of a segment, in the place of those that the program may have written."""
    told = replace(lost, received=whole.packets)
    block = statistics(max(time.time_ns(), whole.last), told, ticks=whole.ticks)
    os.truncate(path, whole.stop)
    try:
        with path.open("ab") as file:
            file.write(block)
    except OSError:  # the disk is full: the packets stay, and what was lost is unknown
        os.truncate(path, whole.stop)
