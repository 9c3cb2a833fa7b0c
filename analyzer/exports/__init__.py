"""Tables to programs: each file here writes one format.

An export is a callable `export(frame, file)` that writes a table to a binary file. All of them keep
the declared columns, their order and their rows; `write_table` chooses one by the name of the file.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from analyzer.errors import SettingsError
from analyzer.exports.files import open_whole
from analyzer.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

STANDARD_OUTPUT = "-"
TEXT_FORMATS = ("csv", "json")
"""The formats that may go to standard output."""


class Export(Protocol):
    """Writes a table in one format."""

    def __call__(self, frame: "pd.DataFrame", file: BinaryIO) -> None:
        """Write frame, all of it, to file."""


EXPORTS: Registry[Export] = Registry(
    "export format",
    {
        "csv": "analyzer.exports.csv:write_csv",
        "json": "analyzer.exports.json:write_json",
        "parquet": "analyzer.exports.parquet:write_parquet",
    },
)


def write_table(frame: "pd.DataFrame", path: str | Path, *, format: str | None = None) -> None:  # noqa: A002
    """Write a table to path, whole or not at all, in the format named or in that of the path's suffix.

    The path "-" is standard output, for csv (where no format is named) and json.
    Raises SettingsError for an unknown format and for a path that cannot be written.
    """
    if str(path) == STANDARD_OUTPUT:
        _write_to_standard_output(frame, format or TEXT_FORMATS[0])
        return
    export = EXPORTS[format] if format else _export_for(Path(path))
    with open_whole(path) as file:
        export(frame, file)


def _export_for(path: Path) -> Export:
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in EXPORTS:
        allowed = ", ".join(f".{name}" for name in EXPORTS)
        raise SettingsError(
            f"cannot tell the format of '{path}' from its suffix; use one of {allowed}, or name a format"
        )
    return EXPORTS[suffix]


def _write_to_standard_output(frame: "pd.DataFrame", name: str) -> None:
    export = EXPORTS[name]
    if name not in TEXT_FORMATS:
        raise SettingsError(
            f"{name} is not text, write it to a file; standard output takes {' or '.join(TEXT_FORMATS)}"
        )
    sys.stdout.flush()
    export(frame, sys.stdout.buffer)
    sys.stdout.buffer.flush()
