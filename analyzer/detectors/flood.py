"""Flooding: more requests than anybody needs, and little comes of them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import pandas as pd

from analyzer.evidence import RANG, REPLIED, describe
from analyzer.tables import ATTACKS


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
    success: float = 0.2
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
        asked = requests[~requests["from_server"] & ~requests["authorized"] & ~requests["tool"].isin(self.testers)]
        again = asked["repeated"].groupby(asked["bout"]).transform("mean")
        asked = asked[~asked["repeated"] | (again > self.replayed)]
        window = asked["time"].astype("int64") // int(self.window.total_seconds() * 1e9)
        key = [asked["bout"], asked["destination"], window]
        served = asked["accepted"] | asked["pursued"] | (asked["level"] >= RANG) | (asked["level"] == REPLIED)
        size = served.groupby(key, observed=True).transform("size")
        full = size >= self.requests
        asked, served, size = asked[full], served[full], size[full]
        if asked.empty:
            return ATTACKS.empty()
        key = [part[full] for part in key]
        success = served.groupby(key, observed=True).transform("mean")
        accounts = asked["account"].astype("str").fillna("").groupby(key, observed=True).transform("nunique")
        flooding = (success <= self.success) & (accounts <= self.same * size)
        rows = asked[flooding]
        if rows.empty:
            return ATTACKS.empty()
        peak = size[flooding].groupby(rows["bout"]).max()
        confidence = 0.7 + 0.25 * (peak / self.sure).clip(upper=1)
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)
