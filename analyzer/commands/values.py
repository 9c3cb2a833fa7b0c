"""What options take: periods, sizes, times and ports, as people write them."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Generic, TypeVar

import click

from analyzer.quantities import moment, period, size

T = TypeVar("T")


class Written(click.ParamType[T], Generic[T]):
    """A value that a function reads, which raises ValueError or OverflowError for a text that is none."""

    def __init__(self, name: str, read: Callable[[str], T]) -> None:
        """Take what such a value is called, and what reads it."""
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """Return what the text means."""
        try:
            return self._read(value)
        except (ValueError, OverflowError) as error:
            self.fail(str(error), param, ctx)


def _ports(text: str) -> int | tuple[int, int]:
    """Return a port such as 5060, or the first and the last one of a range such as 5060-5080."""
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    first = int(match[1]) if match else 0
    last = int(match[2] or match[1]) if match else 0
    if not 1 <= first <= last <= 65_535:
        raise ValueError(f"{text!r} is no port; write 5060, or 5060-5080 for a range")
    return first if first == last else (first, last)


DURATION = Written("time", partial(period, unit="s", most=timedelta(days=3660)))
"""How long something goes on; a number alone is one of seconds."""
BAN = Written("period", partial(period, most=timedelta(days=365)))
"""How long somebody is blocked."""
SIZE = Written("size", size)
MOMENT = Written("time", moment)
PORTS = Written("port", _ports)
