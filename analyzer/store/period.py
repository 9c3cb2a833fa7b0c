"""Periods of time: what people write for them, and the days (UTC) that they touch."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from analyzer.errors import SettingsError

UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
"""What may follow the number of an age."""
Since = str | timedelta | datetime | None
"""From when on: a time, or an age before the end."""
Until = str | datetime | None
_AGE = re.compile(r"(\d{1,6}) *([a-z]+)")
_FIRST, _LAST = datetime(1678, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
"""The times that nanoseconds since 1970 can say."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """From since on and before until, both in UTC; without one of them, without end on that side."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_endless(self) -> bool:
        """Whether it is all time."""
        return self.since is None and self.until is None

    @property
    def days(self) -> tuple[str, str]:
        """The first and the last day that it touches, as '2026-11-22'; texts of days compare as the days do."""
        first = "0000" if self.since is None else f"{self.since:%Y-%m-%d}"
        last = "9999" if self.until is None else f"{self.until - timedelta(microseconds=1):%Y-%m-%d}"
        return first, last

    def widened(self, by: timedelta) -> "Period":
        """Return the period that begins so much earlier and ends so much later."""
        return Period(
            since=None if self.since is None else max(self.since - by, _FIRST),
            until=None if self.until is None else min(self.until + by, _LAST),
        )


def make_period(
    since: Since = None,
    until: Until = None,
    *,
    now: datetime | None = None,
) -> Period:
    """Return the period between two times, of which the first may be an age ('7d', or a timedelta) before the last.

    An age counts back from until, or from now, which is the clock's time without. Times without a zone are UTC.
    Raises SettingsError for what is neither, and for a period that ends before it begins.
    """
    last = None if until is None else read_time(until)
    age = _age(since)
    if age is not None:
        last = last or _in_utc(now or datetime.now(UTC))
        if age > last - _FIRST:
            raise SettingsError(f"{since} before {last:%Y-%m-%d} is before any capture; name a shorter time")
        return Period(since=last - age, until=last)
    first = None if since is None else _beginning(since)  # type: ignore[arg-type]  # a timedelta is an age
    if first is not None and last is not None and first >= last:
        raise SettingsError(f"the period ends ({last:%Y-%m-%d %H:%M}) before it begins ({first:%Y-%m-%d %H:%M})")
    return Period(since=first, until=last)


def _beginning(since: str | datetime) -> datetime:
    try:
        return read_time(since)
    except SettingsError as error:
        if isinstance(since, str) and isinstance(error.__cause__, ValueError):
            raise SettingsError(f"'{since}' is neither an age, as 7d, nor a time, as 2026-11-22T06:00") from error
        raise


def read_time(time: str | datetime) -> datetime:
    """Return a time in UTC, given as a datetime or as '2026-11-22', '2026-11-22T06:00' or '2026-11-22 06:00+01:00'.

    What has no zone is UTC. Raises SettingsError for anything else.
    """
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time.strip())
        except ValueError as error:
            raise SettingsError(f"'{time}' is no time; write it as 2026-11-22 or 2026-11-22T06:00 (UTC)") from error
    told = _in_utc(time)
    if not _FIRST <= told <= _LAST:
        raise SettingsError(f"the year {told.year} is out of reach; name one from {_FIRST.year + 1} to {_LAST.year}")
    return told


def _in_utc(time: datetime) -> datetime:
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError as error:
        raise SettingsError(f"the year {time.year} is out of reach; name a later one") from error


def _age(text: object) -> timedelta | None:
    """Return the age that a text like '7d' names; None for other texts."""
    if isinstance(text, timedelta):
        age = text
    else:
        match = _AGE.fullmatch(text.strip().lower()) if isinstance(text, str) else None
        if match is None:
            return None
        number, unit = match.groups()
        if unit not in UNITS:
            raise SettingsError(f"'{text}' is no time; write a number and one of {', '.join(UNITS)}, as in 7d")
        age = timedelta(**{UNITS[unit]: int(number)})
    if age <= timedelta(0):
        raise SettingsError(f"a period of {text} is empty; name a longer one, as in 7d")
    return age
