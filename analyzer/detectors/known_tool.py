"""A program that is known to attack, whatever little it sent."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from analyzer.evidence import describe, per_bout
from analyzer.tables import ATTACKS


@dataclass(frozen=True, kw_only=True)
class KnownTool:
    """One request that gives an attack tool away is enough."""

    kind: ClassVar[str] = "tool"
    technique: ClassVar[str] = "T1595"

    confidence: float = 0.8
    """How sure the recognition of the tool must be (analyzer.tools)."""
    testers: frozenset[str] = frozenset({"SIPp"})
    """Tools that load one's own servers: what they do elsewhere is for the other detectors to judge."""
    administrators: frozenset[str] = frozenset({"sipsak"})
    """Tools that administrators use too: with OPTIONS and few targets they watch over a server."""
    watched: int = 3
    """The most targets that an administrator's tool watches over."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one attack for each bout in which a tool was recognised."""
        # A proxy that hands a scanner's request on is not the scanner.
        rows = requests[(requests["tool_confidence"].fillna(0) >= self.confidence) & ~requests["from_server"]]
        rows = rows[~rows["tool"].isin(self.testers)]
        if rows.empty:
            return ATTACKS.empty()
        dual = rows["tool"].isin(self.administrators)
        asking = (rows["method"] != "OPTIONS").groupby(rows["bout"]).any()
        around = per_bout(rows, dual, "destination") > self.watched
        rows = rows[~dual | rows["bout"].map(asking | around).astype(bool)]
        if rows.empty:
            return ATTACKS.empty()
        confidence = rows.groupby("bout")["tool_confidence"].max()
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)
