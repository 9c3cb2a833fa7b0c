"""What can go wrong, and only what the caller can do something about.

    AnalyzerError
    ├── CaptureError       a capture cannot be read (path, offset)
    ├── StoreError         a store cannot be read or written (path)
    ├── UnavailableError   a package or program that was asked for is missing
    ├── TableError         a table does not have the columns it promises
    └── SettingsError      a setting is not known or not allowed (file, key)

Malformed traffic is none of these: it is a row of the anomalies table.
Every message is one sentence that says what is wrong and what to do.
"""

from pathlib import Path


class AnalyzerError(Exception):
    """The root of all errors that this package raises on purpose."""


class CaptureError(AnalyzerError):
    """A capture cannot be read."""

    def __init__(self, path: str | Path, problem: str, *, offset: int | None = None) -> None:
        """Say what is wrong with the capture at path, and at which byte if that is known."""
        self.path = str(path)
        self.offset = offset
        where = "" if offset is None else f" (at byte {offset:,})"
        super().__init__(f"{self.path}: {problem}{where}")


class StoreError(AnalyzerError):
    """A store cannot be read or written."""

    def __init__(self, path: str | Path, problem: str) -> None:
        """Say what is wrong with the store, or with the file of it, at path."""
        self.path = str(path)
        super().__init__(f"{path}: {problem}")


class UnavailableError(AnalyzerError):
    """A package or a program that was asked for is not installed."""


class TableError(AnalyzerError):
    """A table does not have the columns that it promises."""


class SettingsError(AnalyzerError):
    """A setting is unknown, or its value is not allowed."""

    def __init__(self, problem: str, *, file: str | Path | None = None, key: str | None = None) -> None:
        """Say what is wrong with the setting named key in file."""
        self.file = None if file is None else str(file)
        self.key = key
        where = ": ".join(part for part in (self.file, key) if part)
        super().__init__(f"{where}: {problem}" if where else problem)
