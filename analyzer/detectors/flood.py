"""Flooding: more requests than anybody needs, and little comes of them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from analyzer.evidence import RANG, REPLIED, describe
from analyzer.grouping import codes_of, count_distinct, numbered, sum_in
from analyzer.tables import ATTACKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Flood:
    """One source asks one target the same, at a rate that only a program reaches, and is not served.

    A load test and a call centre are served; the telephones of an office that restart together ask once each.
    """

    kind: ClassVar[str] = "flood"
    technique: ClassVar[str] = "T1499"

    requests: int = 500
    """The requests within a window that make a flood (the common rules fire at 100 in 60 s, on any busy customer)."""
    window: timedelta = timedelta(seconds=10)
    """The length of a window."""
    success: float = 0.4
    """The share of requests that succeed from which on the source is served."""
    replayed: float = 0.9
    """The share of retransmissions above which they are no timer's work (RFC 3261 17.1), but the flood itself."""
    testers: frozenset[str] = frozenset({"SIPp"})
    """Tools that load one's own servers; an overloaded server serves few."""
    same: float = 0.1
    """Different accounts per request below which the source asks for the same."""
    sure: int = 5000
    """The number of requests within a window at which the confidence is highest."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one attack for each bout with at least one window of flooding."""
        asked = ~requests["from_server"] & ~requests["authorized"] & ~requests["tool"].isin(self.testers)
        rows = np.flatnonzero(asked & requests["destination"].notna())
        bout = requests["bout"].to_numpy()
        rows = rows[_size(bout[rows]) >= self.requests]
        repeated = requests["repeated"].to_numpy()[rows]
        again = sum_in(bout[rows], repeated) / _size(bout[rows])
        rows = rows[~repeated | (again > self.replayed)]
        rows, size = self._flooding(requests, rows)
        if not len(rows):
            return ATTACKS.empty()
        peak = pd.Series(size).groupby(bout[rows]).max()
        confidence = 0.7 + 0.25 * (peak / self.sure).clip(upper=1)
        return describe(requests.take(rows), kind=self.kind, technique=self.technique, confidence=confidence)

    def _flooding(self, requests: pd.DataFrame, rows: "Numbers") -> "tuple[Numbers, Numbers]":
        """Return which of rows are in a window of flooding, and how many requests each of these windows has."""
        asked = requests[["bout", "destination", "time", "accepted", "pursued", "level", "account"]].take(rows)
        window = asked["time"].to_numpy(dtype="datetime64[ns]").view(np.int64) // int(self.window.total_seconds() * 1e9)
        key = numbered(asked["bout"].to_numpy(), codes_of(asked["destination"]), window)
        served = asked["accepted"] | asked["pursued"] | (asked["level"] >= RANG) | (asked["level"] == REPLIED)
        size = _size(key)
        success = sum_in(key, served.to_numpy()) / size
        accounts = count_distinct(key, codes_of(asked["account"]).astype(np.int64) + 1, len(key))[key]
        flooding = (size >= self.requests) & (success <= self.success) & (accounts <= self.same * size)
        return rows[flooding], size[flooding]


def _size(groups: "Numbers") -> "Numbers":
    """Return for each row how many rows its group has."""
    return np.bincount(groups)[groups] if len(groups) else groups
