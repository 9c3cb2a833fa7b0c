"""How far a command has come: a bar on a terminal, and a sentence for whoever stops it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from analyzer.reading import Progress

NAME_WIDTH = 24
"""The columns of an 80-column terminal that the name of a capture may take."""
STEP_WIDTH = 48
"""The columns that the words for a step may take."""


class Work:
    """What a command has done so far; call it with each Progress of the reading."""

    def __init__(self, bar: "Bar | None" = None) -> None:
        """Show it in a bar, or nowhere."""
        self._bar = bar
        self._read: Progress | None = None
        self._step = "before anything was read"
        self._whole = "nothing was written"

    def __call__(self, read: "Progress") -> None:
        """Take note of what was read."""
        self._read = read
        if self._bar:
            self._bar.show(read)
        if read.captures_done == read.captures_total:
            self.begin(f"while looking for attacks in {read.messages:,} messages")

    def begin(self, step: str, *, whole: str = "nothing was written") -> None:
        """Take note of the step that begins, and of what there is if it is stopped."""
        self._step, self._whole, self._read = step, whole, None
        if self._bar:
            self._bar.wait(step.removeprefix("while "))

    def announce(self, sentence: str) -> None:
        """Say something above the bar; nothing without one."""
        if self._bar:
            self._bar.say(sentence)

    def __str__(self) -> str:
        """Return what was done so far, to follow 'stopped'."""
        if self._read is None:
            return f"{self._step}; {self._whole}"
        read = self._read
        of = "" if read.bytes_total is None else f" of {megabytes(read.bytes_total)}"
        place = f"at {megabytes(read.bytes_read)}{of} of {read.capture}"
        if read.captures_total > 1:
            place += f" (capture {read.captures_done + 1:,} of {read.captures_total:,})"
        return f"{place}, after {read.packets:,} packets and {read.messages:,} SIP messages; {self._whole}"


class Bar:
    """A bar with bytes, rate and time left, on standard error; it is gone when the work is done."""

    def __init__(self) -> None:
        """Begin; nothing is known yet."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._console = Console(stderr=True)
        self._reading: RichProgress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(None), DownloadColumn(), TransferSpeedColumn(),
            TimeRemainingColumn(compact=True), console=self._console, transient=True, expand=True,
        )  # fmt: skip
        self._waiting: RichProgress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(None), console=self._console, transient=True,
            expand=True,
        )  # fmt: skip
        self._task: TaskID | None = None

    def show(self, read: "Progress") -> None:
        """Show how far the reading is."""
        at = f"[{read.captures_done + 1}/{read.captures_total}] " if read.captures_total > 1 else ""
        name = at + shortened(PurePath(read.capture).name, NAME_WIDTH - len(at))
        if self._task is None:
            self._task = self._reading.add_task(name, total=read.all_bytes_total)
            self._reading.start()
        self._reading.update(self._task, description=name, completed=read.all_bytes_read)

    def wait(self, step: str) -> None:
        """Show that a step goes on whose end is not known."""
        self.close()
        self._waiting.start()
        self._waiting.add_task(shortened(step, STEP_WIDTH), total=None)

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(sentence, highlight=False, markup=False)

    def close(self) -> None:
        """Take the bar away."""
        self._reading.stop()
        self._waiting.stop()
        for task in self._waiting.task_ids:
            self._waiting.remove_task(task)


@contextmanager
def watched(*, quiet: bool) -> Iterator[Work]:
    """Yield the Work of a command, with a bar where standard error is a terminal, unless quiet.

    Raises KeyboardInterrupt with the sentence that says what was done so far.
    """
    bar = None if quiet or not sys.stderr.isatty() else Bar()
    work = Work(bar)
    try:
        yield work
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped {work}") from None
    finally:
        if bar:
            bar.close()


def megabytes(count: int) -> str:
    """Return a number of bytes for people (1 MB is a million bytes)."""
    return f"{count / 1e6:,.1f} MB"


def shortened(name: str, width: int) -> str:
    """Return a name in at most width characters, the middle left out; what does not print is replaced."""
    printable = "".join(sign if sign.isprintable() else "?" for sign in name)
    if len(printable) <= width:
        return printable
    keep = (width - 1) // 2
    return f"{printable[: width - 1 - keep]}…{printable[-keep:]}"
