"""A program that is known to attack, whatever little it sent."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from analyzer.evidence import DESCRIBED, describe, dialled_calls, per_bout, walking
from analyzer.grouping import any_in
from analyzer.tables import ATTACKS

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    """The targets beyond which an administrator's tool looks around, unless it comes back to them."""
    rounds: float = 3.0
    """Requests per target from which on it comes back."""

    softphones: frozenset[str] = frozenset({"VaxSIPUserAgent", "Conaito"})
    """Kits that telephones of customers are made with, too: whose credentials are accepted has one of those."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one attack for each bout in which a tool was recognised."""
        # A proxy that hands a scanner's request on is not the scanner.
        known = (requests["tool_confidence"] >= self.confidence) & ~requests["tool"].isin(self.testers)
        known &= ~requests["from_server"] & ~self._customers(requests)
        rows = requests.loc[known, list(DESCRIBED)]
        if rows.empty:
            return ATTACKS.empty()
        dual = rows["tool"].isin(self.administrators)
        asking = (rows["method"] != "OPTIONS").groupby(rows["bout"]).any()
        targets = per_bout(rows, dual, "destination").reindex(asking.index)
        around = (targets > self.watched) & (rows.groupby("bout").size().lt(self.rounds * targets))
        if dual.any():
            rows = rows[~dual | rows["bout"].map(asking | around).astype(bool)]
        if rows.empty:
            return ATTACKS.empty()
        calls = dialled_calls(requests).loc[lambda calls: calls["wanted"] & calls.index.isin(rows.index)]
        rows = rows.assign(number=calls["number"].reindex(rows.index), prefix=calls["prefix"].reindex(rows.index))
        confidence = rows.groupby("bout")["tool_confidence"].max()
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)

    def _customers(self, requests: pd.DataFrame) -> "NDArray[np.bool_]":
        """Say which requests are of softphones, by sources that walk through no accounts and have one of their own."""
        phone = requests["tool"].isin(self.softphones).to_numpy(dtype=np.bool_)
        if not phone.any():
            return phone
        own = (requests["accepted"] & requests["authorized"]).to_numpy()
        return phone & any_in(requests["bout"].to_numpy(), own) & ~walking(requests)
