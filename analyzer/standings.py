"""How campaigns and sources stand at one moment, and which of them are asked for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from analyzer.tables import OUTCOMES

ORDERS = ("last", "requests", "rate", "sources", "outcome")
"""What campaigns and sources may be sorted by."""
EVERYTHING = "everything"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A campaign or an attacking source, as it is shown."""

    name: str
    """The id of a campaign, the address of a source."""
    title: str
    campaign: str
    tools: tuple[str, ...]
    kinds: tuple[str, ...]
    sources: int
    targets: int
    accounts: int
    numbers: tuple[str, ...]
    requests: int
    rate: float
    """Requests a second of late."""
    last: int
    """When the last request was captured, in ns."""
    outcome: str
    country: str = ""
    network: str = ""
    allowed: str = ""
    more: bool = False
    """There are more targets, accounts or numbers than are told apart."""
    reasons: tuple[str, ...] = ()


def sort_key(order: str) -> Callable[[Row], Any]:
    """Return what rows are sorted by, the greatest first: a name of ORDERS."""
    if order == "outcome":
        return lambda row: (OUTCOMES.index(row.outcome), row.last, row.name)
    return lambda row: (getattr(row, order), row.last, row.name)


def choose(rows: Iterable[Row], *, order: str = "last", only: str = EVERYTHING) -> list[Row]:
    """Return the rows that are asked for, in the order that is."""
    return sorted((row for row in rows if fits(row, only)), key=sort_key(order), reverse=True)


def fits(row: Row, only: str) -> bool:
    """Say whether a row came as far as an outcome, or has a kind, a tool, a campaign, a number or an address."""
    if only == EVERYTHING:
        return True
    if only in OUTCOMES:
        return OUTCOMES.index(row.outcome) >= OUTCOMES.index(only)
    words = (row.name, row.campaign, *row.tools, *row.kinds, *row.numbers, row.country)
    return any(only.lower() == word.lower() for word in words)


def foremost(rows: list[Row], most: int) -> tuple[Row, ...]:
    """Return the rows that may be shown: so many in each order."""
    if len(rows) <= most:
        return tuple(rows)
    return tuple({row.name: row for order in ORDERS for row in nlargest(most, rows, sort_key(order))}.values())
