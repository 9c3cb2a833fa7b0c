"""Tables to people: the answer in words, in the terminal and as a page that can be handed on."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from analyzer.exports import EXPORTS, write_table
from analyzer.exports.files import make_folder
from analyzer.exports.secrets import mask_secrets
from analyzer.registry import Registry
from analyzer.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.analysis import Analysis


class Report(Protocol):
    """Writes one analysis as one file."""

    def __call__(self, analysis: "Analysis", path: str | Path, *, show_secrets: bool = False) -> None:
        """Write the analysis to path; passwords are masked unless show_secrets is true."""


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
    formats = list(dict.fromkeys(tables))
    for name in formats:
        EXPORTS[name]  # an unknown format is said before anything is written
    place = make_folder(folder)
    reports = {name: place / name for name in REPORTS}
    frames = {
        place / f"{table}.{suffix}": _own_labels(getattr(analysis, table)) for table in TABLES for suffix in formats
    }
    with ThreadPoolExecutor(1) as beside:
        tables_written = beside.submit(_write_tables, frames, show_secrets=show_secrets)
        for name, path in reports.items():
            REPORTS[name](analysis, path, show_secrets=show_secrets)
        tables_written.result()
    return reports | {path.name: path for path in frames}


def _write_tables(frames: "Mapping[Path, pd.DataFrame]", *, show_secrets: bool) -> None:
    for path, frame in frames.items():
        write_table(frame if show_secrets else mask_secrets(frame), path)


def _own_labels(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the same columns under labels of their own.

    To find a column, pandas makes a table of the labels when it first looks for one; two threads may not do so at once.
    """
    return frame.set_axis(list(frame.columns), axis="columns")
