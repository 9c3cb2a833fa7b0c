"""For how long: by what was done, longer for who comes back, never for ever."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.blocking.accusations import Accusation

DAY = timedelta(days=1)
DAYS = {
    "probe": 1, "flood": 1, "tool": 3, "sweep": 3, "enumeration": 7, "ghost-call": 7, "exploit": 7,
    "password-guessing": 7, "toll-fraud": 7,
}  # fmt: skip
"""Days by kind of attack; of several the longest. A week is what others use (APIBAN)."""
TAKEN = ("answered", "breached")
"""The outcomes that double the time: somebody got what he wanted, and comes back."""
CEILING = 24 * DAY
"""The longest that a repeater is blocked unless a period is asked for; no whole day more fits ipset's timeouts."""
LONGEST = 365 * DAY
"""The longest period that may be asked for."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Whom to block, and for how long."""

    sure: float = 0.6
    """The confidence, of an attack or of the campaign that confirms it, from which on its source is blocked."""
    spoofable: bool = False
    """Also block sources whose attack may have been sent by anybody in their name."""
    private: bool = False
    """Also block private and reserved addresses; never loopback, link-local, multicast and unspecified ones."""
    aggregate: bool = True
    """Block a network where attackers fill it and no innocent was seen in it."""
    period: timedelta | None = None
    """How long after its last attack a source is blocked; by kind, outcome and returns without."""
    from_now: bool = False
    """Count the period from now instead."""

    def until(self, accusation: "Accusation", now: datetime) -> datetime:
        """Return when the block of an accused source ends; in whole seconds."""
        begins = now if self.from_now else min(accusation.last, now)
        return (begins + self.lasting(accusation) + timedelta(milliseconds=999)).replace(microsecond=0)

    def lasting(self, accusation: "Accusation") -> timedelta:
        """Return for how long a source is blocked."""
        if self.period is not None:
            return min(self.period, LONGEST)
        days = max(DAYS.get(kind, 1) for kind in accusation.kinds)
        doubled = accusation.visits - 1 + (accusation.outcome in TAKEN)
        return min(DAY * days * 2 ** min(doubled, 10), CEILING)
