"""What is kept, and what is removed: by age and by bytes, the oldest first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from analyzer.jobs.settings import Limit

T = TypeVar("T")


@dataclass(frozen=True)
class Thing(Generic[T]):
    """Something that may be removed: when it ended, how large it is, and whether it has to stay."""

    what: T
    ended: datetime
    bytes: int
    stays: bool = False


def choose(things: Iterable[Thing[T]], limit: Limit, now: datetime | None) -> list[Thing[T]]:
    """Return what is to be removed, the oldest first: what is too old, and then what is too much.

    What has to stay counts, but is never chosen. Without now nothing is too old, because the clock is in doubt.
    """
    oldest_first = sorted(things, key=lambda thing: thing.ended)
    before = now - limit.age if now and limit.age else None
    over = sum(thing.bytes for thing in oldest_first) - limit.bytes if limit.bytes is not None else 0
    chosen = []
    for thing in oldest_first:
        if thing.stays:
            continue
        if over > 0 or (before and thing.ended < before):
            chosen.append(thing)
            over -= thing.bytes
    return chosen
