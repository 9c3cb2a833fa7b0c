"""Tables to people: the answer in words, in the terminal and as a page that can be handed on."""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Self, cast

from analyzer.exports import EXPORTS
from analyzer.exports.files import make_folder, open_whole
from analyzer.exports.secrets import mask_secrets
from analyzer.registry import Registry
from analyzer.tables import TABLES
from analyzer.workers import Copy, EndedError, count_processors

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.analysis import Analysis
    from analyzer.exports import Export
    from analyzer.reports.answer import Answer


class Report(Protocol):
    """Writes one analysis as one file."""

    def __call__(
        self, analysis: "Analysis", path: str | Path, *, show_secrets: bool = False, told: "Answer | None" = None
    ) -> None:
        """Write the analysis; passwords are masked unless show_secrets is true; told is its answer, if known."""


REPORTS: Registry[Report] = Registry(
    "report",
    {
        "report.html": "analyzer.reports.html:write_html",
        "summary.json": "analyzer.reports.summary:write_summary",
    },
)
"""What a report folder holds beside the tables, by the names of the files."""


def write_report(
    analysis: "Analysis", folder: str | Path, *, tables: Iterable[str] = ("csv",), show_secrets: bool = False
) -> dict[str, Path]:
    """Write report.html, summary.json and every table, in each of the formats, into folder.

    Returns the files written, by name. The folder is made if it is missing; files of an earlier report in it are
    replaced. Passwords that were found are masked unless show_secrets is true.
    Raises SettingsError for an unknown format and for a folder that cannot be written.
    """
    with Writing(folder, tables=tables, show_secrets=show_secrets) as writing:
        return writing.write(analysis)


APART = 100_000
"""The rows of a table from which on it is written by a process of its own: the analysis has the interpreter alone."""


class Writing:
    """A report that is being written: its largest table may begin before the analysis has ended.

    It is a context; left by an exception, it stops at once, and files that were not whole are gone.
    """

    def __init__(self, folder: str | Path, *, tables: Iterable[str] = ("csv",), show_secrets: bool = False) -> None:
        """Take the arguments of write_report(); raise SettingsError for an unknown format."""
        self._folder = Path(folder)
        self._formats = list(dict.fromkeys(tables))
        for name in self._formats:
            EXPORTS[name]  # an unknown format is said before anything is written
        self._show_secrets = show_secrets
        self._made = False
        self._analysed, self._stopped = Event(), False
        self._beside = ThreadPoolExecutor(1)
        self._begun: dict[str, Future[None]] = {}
        self._copy: Copy | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for what is being written; after an exception, stop it."""
        self._stopped = kind is not None
        self._analysed.set()
        if self._stopped and self._copy is not None:
            self._copy.kill()
        self._beside.shutdown(cancel_futures=self._stopped)
        if self._stopped and self._made:
            with suppress(OSError):
                self._folder.rmdir()

    def begin(self, messages: "pd.DataFrame") -> None:
        """Begin to write the messages table beside the analysis; the file is there when the rest is written too.

        A large one is written, in the first of the formats, by a copy of this process. Raises SettingsError for a
        folder that cannot be made.
        """
        self._make_folder()
        if len(messages) >= APART and self._formats and Copy.is_possible() and count_processors() > 1:
            copied = Event()
            name = f"messages.{self._formats[0]}"
            self._begun[name] = self._beside.submit(self._write_apart, name, _own_labels(messages), copied)
            copied.wait()  # nothing else goes on while the process is copied
        self._submit("messages", messages)

    def write(self, analysis: "Analysis", told: "Answer | None" = None) -> dict[str, Path]:
        """Write what is left, and return all files by name; told is the answer of the analysis, if it is known.

        Raises SettingsError for a file or a folder that cannot be written.
        """
        from analyzer.reports.answer import answer

        self._make_folder()
        self._analysed.set()
        for table in TABLES:
            self._submit(table, getattr(analysis, table))
        reports = {name: self._folder / name for name in REPORTS}
        told = told or answer(analysis, show_secrets=self._show_secrets)
        for name, path in reports.items():
            REPORTS[name](analysis, path, show_secrets=self._show_secrets, told=told)
        for future in self._begun.values():
            future.result()
        return reports | {
            f"{table}.{suffix}": self._folder / f"{table}.{suffix}" for table in TABLES for suffix in self._formats
        }

    def _make_folder(self) -> None:
        self._made = self._made or not self._folder.exists()
        make_folder(self._folder)

    def _submit(self, table: str, frame: "pd.DataFrame") -> None:
        for suffix in self._formats:
            name = f"{table}.{suffix}"
            if name not in self._begun:
                self._begun[name] = self._beside.submit(self._write_table, name, suffix, _own_labels(frame))

    def _write_table(self, name: str, suffix: str, frame: "pd.DataFrame") -> None:
        with open_whole(self._folder / name) as file:
            self._fill(EXPORTS[suffix], frame, file)
            self._analysed.wait()
            self.heed()

    def _write_apart(self, name: str, frame: "pd.DataFrame", copied: Event) -> None:
        try:
            with open_whole(self._folder / name) as file:
                write = EXPORTS[self._formats[0]]
                if not self._copy_writes(write, frame, file, copied):
                    self.heed()
                    file.seek(0)
                    file.truncate()
                    self._fill(write, frame, file)
                self._analysed.wait()
                self.heed()
        finally:
            copied.set()

    def _copy_writes(self, write: "Export", frame: "pd.DataFrame", file: BinaryIO, copied: Event) -> bool:
        """Have a copy of this process write a table, and wait for it; say whether there was one, and it did."""
        try:
            self._copy = Copy(lambda: self._write_alone(write, frame, file))
        except OSError:  # no process more, or no memory for its tables
            return False
        copied.set()
        if self._stopped:
            self._copy.kill()
        try:
            self._copy.wait()
        except EndedError:
            return False
        return True

    def _write_alone(self, write: "Export", frame: "pd.DataFrame", file: BinaryIO) -> None:
        """Write a table in a copy of this process, which leaves one processor to the analysis."""
        import pyarrow as pa

        pa.set_cpu_count(max(count_processors() - 1, 1))
        self._fill(write, frame, file)
        file.flush()

    def _fill(self, write: "Export", frame: "pd.DataFrame", file: BinaryIO) -> None:
        write(frame if self._show_secrets else mask_secrets(frame), cast("BinaryIO", _Heeding(file, self)))

    def heed(self) -> None:
        """Raise an exception, which nobody sees, if writing is to stop."""
        if self._stopped:
            raise _StoppedError


class _StoppedError(Exception):
    """Ends a thread that writes a table."""


class _Heeding:
    """A file that is written to until writing is to stop."""

    def __init__(self, file: BinaryIO, writing: Writing) -> None:
        self._file = file
        self._writing = writing

    def write(self, data: bytes) -> int:
        self._writing.heed()
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._file, name)


def _own_labels(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the same columns under labels of their own.

    To find a column, pandas makes a table of the labels when it first looks for one; two threads may not do so at once.
    """
    return frame.set_axis(list(frame.columns), axis="columns")
