"""Periods of time: what people write for them, and the days (UTC) that they touch."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from analyzer.errors import SettingsError
from analyzer.quantities import EARLIEST, LATEST, moment, period

Since = str | timedelta | datetime | None
"""From when on: a time, or an age before the end."""
Until = str | datetime | None


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
            since=None if self.since is None else max(self.since - by, EARLIEST),
            until=None if self.until is None else min(self.until + by, LATEST),
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
        last = last or read_time(now or datetime.now(UTC))
        if age > last - EARLIEST:
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
            raise SettingsError(f"'{since}' is neither an age, as in 7d, nor a time, as in 2026-11-22T06:00") from error
        raise


def read_time(time: str | datetime) -> datetime:
    """Return a time in UTC, given as a datetime or as '2026-11-22', '2026-11-22T06:00' or '2026-11-22 06:00+01:00'.

    What has no zone is UTC. Raises SettingsError for anything else.
    """
    try:
        return moment(time)
    except (ValueError, OverflowError) as error:
        raise SettingsError(str(error)) from error


def _age(since: object) -> timedelta | None:
    """Return the age that a text like '7d' names; None for other texts."""
    if isinstance(since, str):
        try:
            age = period(since, least=timedelta(0), most=timedelta.max)
        except ValueError:
            return None
    elif isinstance(since, timedelta):
        age = since
    else:
        return None
    if age <= timedelta(0):
        raise SettingsError(f"a period of {since} is empty; name a longer one, as in 7d")
    return age
