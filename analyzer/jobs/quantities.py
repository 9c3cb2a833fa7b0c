"""Periods and sizes as people write them: "15m", "7d", "20 GB"."""

import re
from datetime import timedelta

PERIODS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZES |= {f"{letter}IB": 1 << shift for letter, shift in (("K", 10), ("M", 20), ("G", 30), ("T", 40))}
LONGEST = timedelta(days=36500)
"""The longest period that makes sense, and that can be counted back from any date of ours."""
_AMOUNT = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([a-zA-Z]*)\s*")


def period(written: object) -> timedelta:
    """Return the period that "90s", "15m", "1h", "7d", "2w" or a number of seconds means; raise ValueError if none."""
    if isinstance(written, int | float) and not isinstance(written, bool):
        written = f"{written}s"
    found = _AMOUNT.fullmatch(written) if isinstance(written, str) else None
    if found is None or found[2].lower() not in PERIODS:
        raise ValueError(f"{written!r} is no period; write 30s, 15m, 1h, 7d or 2w")
    amount = float(found[1]) * PERIODS[found[2].lower()].total_seconds()
    if not 0 < amount <= LONGEST.total_seconds():
        raise ValueError(f"{written!r} is no period that can be waited for; write 30s, 15m, 1h, 7d or 2w")
    return timedelta(seconds=amount)


def size(written: object) -> int:
    """Return how many bytes "500 MB", "20 GB", "1 GiB" or a number means; raise ValueError if none."""
    if isinstance(written, int) and not isinstance(written, bool):
        written = str(written)
    found = _AMOUNT.fullmatch(written) if isinstance(written, str) else None
    if found is None or found[2].upper() not in SIZES or not float(found[1]):
        raise ValueError(f"{written!r} is no size; write 500 MB, 20 GB or 1 TB")
    return int(float(found[1]) * SIZES[found[2].upper()])


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


def count(number: int, what: str) -> str:
    """Return a number of things in words: '1 capture', '2,000 captures'."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
