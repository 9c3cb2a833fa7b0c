"""Counts, times and lists in words, the same in every report."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

import pandas as pd

from analyzer.exports.escape import escape
from analyzer.quantities import count as some

SHOWN = 80
"""Characters of a text from the wire that a sentence quotes at most."""
MINUTE = 60
HOUR = 3600
DAY = 86_400
SHORT = pd.Timedelta("1h")
"""What lasts shorter is told with seconds."""


def count(number: int, one: str, many: str | None = None) -> str:
    """Return '1 source', '2 sources', 'no sources'."""
    return some(number, one, many) if number else f"no {many or f'{one}s'}"


def listed(items: Iterable[str], limit: int, *, more: str = "more") -> str:
    """Return items in a row, those beyond limit as a number."""
    every = list(items)
    if len(every) <= limit:
        return ", ".join(every)
    return f"{', '.join(every[:limit])} and {len(every) - limit:,} {more}"


def few(texts: Iterable[object], limit: int, *, of: int) -> str:
    """Return the first of so many texts from the wire in a row, fit for a sentence, and the others as a number.

    Only what is shown is looked at.
    """
    shown = ", ".join(map(quoted, islice(texts, limit)))
    return f"{shown} and {of - limit:,} more" if of > limit else shown


def quoted(text: object) -> str:
    """Return text from the wire, fit for a sentence."""
    return escape(str(text), limit=SHOWN)


def account(name: str) -> str:
    """Return 'extension 101' or 'account alice'."""
    kind = "extension" if name.isascii() and name.isdigit() else "account"
    return f"{kind} {quoted(name)}"


def lasted(seconds: float) -> str:
    """Return a duration as '41 s', '3 min 20 s' or '1 h 2 min'."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def silent(seconds: float) -> str:
    """Return a silence as '3 days', or as lasted() has it if it is shorter than two days."""
    days = int(seconds // DAY)
    return f"{days:,} days" if days > 1 else lasted(seconds)


def within(since: datetime | None, until: datetime | None) -> str:
    """Return '2026-11-15 09:00 to 2026-11-22 09:00 UTC', or what there is of it: 'since …', 'before …'."""
    if since is None:
        return "" if until is None else f"before {until:%Y-%m-%d %H:%M} UTC"
    if until is None:
        return f"since {since:%Y-%m-%d %H:%M} UTC"
    last = f"{until:%H:%M}" if since.date() == until.date() else f"{until:%Y-%m-%d %H:%M}"
    return f"{since:%Y-%m-%d %H:%M} to {last} UTC"


def span(start: pd.Timestamp | None, end: pd.Timestamp | None) -> str:
    """Return '2026-11-22 09:14 to 11:02 UTC', with both dates if they differ and with seconds if need be."""
    if start is None or end is None:
        return ""
    if start.floor("s") == end.floor("s"):
        return f"{start:%Y-%m-%d %H:%M:%S} UTC"
    clock = "%H:%M:%S" if start.floor("min") == end.floor("min") else "%H:%M"
    last = clock if start.date() == end.date() else f"%Y-%m-%d {clock}"
    return f"{start:%Y-%m-%d} {start.strftime(clock)} to {end.strftime(last)} UTC"


class Clock:
    """Says when something was: with the date if what is reported lasted for days, with seconds if it was short."""

    def __init__(self, times: Sequence[pd.Timestamp]) -> None:
        """Take the times of what is reported."""
        self.dated = len({time.date() for time in times}) > 1
        lasted = max(times) - min(times) if times else pd.Timedelta(0)
        self.clock = "%H:%M:%S" if lasted < SHORT else "%H:%M"

    def at(self, time: pd.Timestamp) -> str:
        """Return '09:41:07'."""
        return time.strftime("%Y-%m-%d %H:%M:%S" if self.dated else "%H:%M:%S")

    def between(self, start: pd.Timestamp, end: pd.Timestamp) -> str:
        """Return '09:14-09:41', or one time if both are the same, or nothing if one is missing."""
        if pd.Series([start, end]).isna().any():
            return ""
        day = "%Y-%m-%d " if self.dated else ""
        first, last = start.strftime(day + self.clock), end.strftime(day + self.clock)
        if first == last:
            return first
        return f"{first} to {last}" if start.date() != end.date() else f"{first}-{end.strftime(self.clock)}"
