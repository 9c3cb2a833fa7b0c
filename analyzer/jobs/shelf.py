"""The reports of a job: folders that are called by their time, whole or not there."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analyzer.jobs.disk import sync_tree

UNFINISHED = ".partial"
REMOVED = ".removed"
LATEST = "latest"
"""The link to the newest report."""
TOLD = ".told"
"""The file in a report that says that all commands were told of it."""
SUMMARY = "summary.json"
_NAME = re.compile(r"(\d{8}T\d{6}Z)(?:-(\d+))?")
_STAMP = "%Y%m%dT%H%M%SZ"


def list_reports(folder: Path) -> list[Path]:
    """Return the whole reports in a folder, the oldest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()), key=_key)


def when(report: Path) -> datetime:
    """Return the time that a report is called by."""
    return datetime.strptime(_key(report)[0], _STAMP).replace(tzinfo=UTC)


@contextmanager
def writing(folder: Path, time: datetime) -> Iterator[list[Path]]:
    """Yield a new folder to write a report into, as the only item of a list; when left, replace it by the report.

    The report has its name once all of it is on the disk. Nothing is overwritten: the second of a time ends in -2.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = _free(folder, time.astimezone(UTC).strftime(_STAMP))
    unfinished = folder / f".{path.name}{UNFINISHED}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    where = [unfinished]
    try:
        yield where
        sync_tree(unfinished)
        unfinished.rename(path)
        sync_tree(path)
        where[0] = path
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    with suppress(OSError):  # the link is for people's convenience
        link = folder / f".{LATEST}"
        link.unlink(missing_ok=True)
        link.symlink_to(path.name)
        link.replace(folder / LATEST)


def remove(report: Path) -> None:
    """Remove a report: it is gone at once, its files somewhat later."""
    gone = report.with_name(f".{report.name}{REMOVED}")
    shutil.rmtree(gone, ignore_errors=True)
    report.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def tidy(folder: Path) -> None:
    """Remove what a crash left of reports that were being written, or removed."""
    if folder.is_dir():
        for path in folder.iterdir():
            name = path.name.removeprefix(".").removesuffix(UNFINISHED).removesuffix(REMOVED)
            if path.name.startswith(".") and _NAME.fullmatch(name) and not path.name.endswith("Z"):
                shutil.rmtree(path, ignore_errors=True)


def size(report: Path) -> int:
    """Return how many bytes a report has."""
    total = 0
    for path in report.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total


def summary(report: Path) -> dict[str, Any]:
    """Return what the summary of a report says; nothing if it cannot be read."""
    with suppress(OSError, ValueError):
        said = json.loads((report / SUMMARY).read_bytes())
        if isinstance(said, dict):
            return said
    return {}


def break_ins(report: Path) -> list[dict[str, Any]]:
    """Return the break-ins that a report tells of (see analyzer.reports.summary)."""
    said = summary(report).get("breaches")
    return [breach for breach in said if isinstance(breach, dict)] if isinstance(said, list) else []


def new_break_ins(report: Path, before: Path | None) -> list[dict[str, Any]]:
    """Return the break-ins that the report before did not tell of."""
    told = {_who(breach) for breach in break_ins(before)} if before else set()
    return [breach for breach in break_ins(report) if _who(breach) not in told]


def _who(breach: dict[str, Any]) -> tuple[str, str]:
    return str(breach.get("account")), str(breach.get("source"))


def _key(path: Path) -> tuple[str, int]:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"'{path.name}' is no report's name")
    return match[1], int(match[2] or 1)


def _free(folder: Path, stamp: str) -> Path:
    path, number = folder / stamp, 1
    while path.exists():
        number += 1
        path = folder / f"{stamp}-{number}"
    return path
