"""Periods, sizes, times and counts: as people write them ("15m", "20 GB", "2026-11-22"), and in words for people."""

import re
from datetime import UTC, datetime, timedelta

PERIODS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZES |= {f"{letter}IB": 1 << shift for letter, shift in (("K", 10), ("M", 20), ("G", 30), ("T", 40))}
SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(days=36500)
"""The longest period that makes sense, and that can be counted back from any date of ours."""
EARLIEST, LATEST = datetime(1678, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
"""The times that nanoseconds since 1970 can say."""
_NUMBER = r"(\d{1,15}(?:\.\d{1,9})?)"
_PART = re.compile(_NUMBER + r"\s*([a-z]+)\s*")
_PARTS = re.compile(f"(?:{_PART.pattern})+")
_SIZE = re.compile(_NUMBER + r"\s*([A-Z]*)")


def period(written: object, *, unit: str = "", least: timedelta = SHORTEST, most: timedelta = LONGEST) -> timedelta:
    """Return the period that "90s", "15m", "1.5 h", "7d", "1w2d" or a number of seconds means.

    A text that is a number alone is none, unless unit says what it counts. Raises ValueError for what is no period, and
    for what is not from least to most.
    """
    length = _length(written, unit)
    if length is None or not least <= length <= most:
        limits = f"from {_spelled(least)} to {_spelled(most)}"
        raise ValueError(f"{written!r} is no period {limits}; write 90s, 15m, 12h, 7d or 1w2d")
    return length


def _length(written: object, unit: str) -> timedelta | None:
    """Return the period that is written, of any length; None if there is none."""
    if isinstance(written, int | float) and not isinstance(written, bool):
        written = f"{written}s"
    if not isinstance(written, str):
        return None
    text = written.strip().lower()
    if unit and re.fullmatch(_NUMBER, text):
        text += unit
    parts = _PART.findall(text) if _PARTS.fullmatch(text) else []
    if not parts or any(name not in PERIODS for _, name in parts):
        return None
    try:
        return sum((float(number) * PERIODS[name] for number, name in parts), timedelta(0))
    except OverflowError:
        return None


def _spelled(length: timedelta) -> str:
    """Return a period as period() reads it."""
    for name in "dhm":
        if length and not length % PERIODS[name]:
            return f"{length // PERIODS[name]}{name}"
    return f"{length.total_seconds():g}s"


def size(written: object) -> int:
    """Return how many bytes "500MB", "20 GB", "1.5 GiB" or a number means; raise ValueError for what is none."""
    if isinstance(written, int) and not isinstance(written, bool):
        written = str(written)
    found = _SIZE.fullmatch(written.strip().upper()) if isinstance(written, str) else None
    count = int(float(found[1]) * SIZES[found[2]]) if found and found[2] in SIZES else 0
    if not count:
        raise ValueError(f"{written!r} is no size; write 500MB, 20GB or 1GiB")
    return count


def moment(written: str | datetime) -> datetime:
    """Return a time in UTC, written as "2026-11-22", "2026-11-22T06:00" or "2026-11-22 06:00+01:00", or a datetime.

    What has no zone is UTC. Raises ValueError for what is no time, OverflowError for one before EARLIEST or after
    LATEST.
    """
    try:
        time = datetime.fromisoformat(written.strip()) if isinstance(written, str) else written
    except ValueError as error:
        raise ValueError(f"{written!r} is no time; write 2026-11-22T14:40 or 2026-11-22, which are UTC") from error
    try:
        told = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        told = None
    if told is None or not EARLIEST <= told <= LATEST:
        raise OverflowError(
            f"the year {time.year} is out of reach; name one from {EARLIEST.year + 1} to {LATEST.year - 1}"
        )
    return told


def say_period(length: timedelta) -> str:
    """Return a period in words: '5 minutes', 'a day', '1 h 30 min'."""
    seconds = length.total_seconds()
    for word, unit in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= unit and seconds % unit == 0:
            count = int(seconds // unit)
            return f"{count:,} {word}s" if count > 1 else f"{'an' if word == 'hour' else 'a'} {word}"
    if seconds < 60:
        return f"{seconds:g} seconds"
    hours, rest = divmod(round(seconds), 3600)
    parts = [(hours, "h"), (rest // 60, "min"), (rest % 60, "s")]
    return " ".join(f"{count:,} {unit}" for count, unit in parts if count)


def say_size(count: int) -> str:
    """Return a number of bytes in words (1 MB is a million bytes)."""
    for unit in ("TB", "GB", "MB", "KB"):
        if count >= SIZES[unit]:
            return (
                f"{count / SIZES[unit]:.3g} {unit}"
                if count < 1000 * SIZES[unit]
                else f"{count // SIZES[unit]:,} {unit}"
            )
    return f"{count:,} bytes"


def each(length: timedelta) -> str:
    """Return a period in words, to follow 'every': '5 minutes', 'day'."""
    return say_period(length).removeprefix("an ").removeprefix("a ")


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number of things in words: '0 captures', '1 capture', '2,000 captures'."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
