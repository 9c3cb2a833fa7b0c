"""When a job reports: at the multiples of its period, by the clock in UTC.

The times follow from the clock and the period alone, so that nothing has to be remembered, and a clock that steps
changes nothing but the hour. Weeks begin on Monday.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
"""What the multiples of a period are counted from: a midnight, and the beginning of a week."""
STEP = timedelta(minutes=10)
"""A clock that goes so much faster or slower than time passes has been set."""
REST = timedelta(days=1)
"""How long nothing is removed for its age after the clock was set forward: it may be set back."""


@dataclass(frozen=True)
class Schedule:
    """The times of a job's reports: the multiples of a period, each later by the same offset."""

    every: timedelta
    offset: timedelta = timedelta(0)

    def last(self, now: datetime) -> datetime:
        """Return the latest time of the schedule that is not after now."""
        since = now - MONDAY - self.offset
        return MONDAY + self.offset + (since // self.every) * self.every

    def next(self, now: datetime) -> datetime:
        """Return the first time of the schedule after now."""
        return self.last(now) + self.every

    def upcoming(self, now: datetime, count: int) -> list[datetime]:
        """Return the first so many times after now."""
        first = self.next(now)
        return [first + number * self.every for number in range(count)]


def utc_now() -> datetime:
    """Return the time by the clock, in UTC."""
    return datetime.now(UTC)


def uptime() -> float:
    """Return the seconds that have passed since the machine started, whatever its clock says; sleep counts."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Steps:
    """Notices when the clock is set, by the time that really passes."""

    def __init__(self, clock: Callable[[], datetime] = utc_now, passed: Callable[[], float] = uptime) -> None:
        """Begin to watch a clock; passed counts seconds that no clock changes."""
        self._clock, self._passed = clock, passed
        self._at, self._then = clock(), passed()
        self._trusted_from = self._then

    def look(self) -> timedelta | None:
        """Return by how much the clock was set since the last look; None if it was not."""
        now, passed = self._clock(), self._passed()
        step = (now - self._at) - timedelta(seconds=passed - self._then)
        self._at, self._then = now, passed
        if abs(step) < STEP:
            return None
        if step > timedelta(0):
            self._trusted_from = passed + REST.total_seconds()
        return step

    @property
    def trusted(self) -> bool:
        """Whether things may be called old by this clock: it was not set forward within the last day."""
        return self._passed() >= self._trusted_from
