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
    administrators: frozenset[str] = frozenset({"SIPp", "sipsak"})
    """Tools that administrators use too: they attack only where they look around."""
    strangers: int = 3
    """An administrator's tool that asks more targets than this, or more accounts, looks around."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one attack for each bout in which a tool was recognised."""
        rows = requests[requests["tool_confidence"].fillna(0) >= self.confidence]
        dual = rows["tool"].isin(self.administrators)
        if dual.any():
            everything = pd.Series(data=True, index=rows.index)
            around = (per_bout(rows, everything, "destination") > self.strangers) | (
                per_bout(rows, everything, "account") > self.strangers
            )
            rows = rows[~dual | rows["bout"].map(around)]
        if rows.empty:
            return ATTACKS.empty()
        confidence = rows.groupby("bout")["tool_confidence"].max()
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)
