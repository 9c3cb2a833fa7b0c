"""Probes: a stranger who asks once or twice. Nothing by itself; many with something in common are a campaign."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from analyzer.evidence import RANG, REPLIED, describe, dialled_calls
from analyzer.grouping import any_in, sum_in
from analyzer.tables import ATTACKS


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A source that asks a few times, is given nothing, and does not come back with credentials.

    Where the sources of an attack never repeat (Sality: three million), no source does enough to be noticed. Each
    is a suspicion here, and analyzer.campaigns decides on what many of them share.
    """

    kind: ClassVar[str] = "probe"
    technique: ClassVar[str] = "T1595"

    most: int = 20
    """The most requests of a source that only probes."""
    served: float = 0.5
    """The share of calls that are put through from which on a source with several calls is a customer."""
    confidence: float = 0.3
    """The confidence of a probe alone: a suspicion."""
    abroad: float = 0.4
    """The same for a call with an international prefix."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one suspicion for each bout that only probes."""
        bout, level = requests["bout"].to_numpy(), requests["level"].to_numpy()
        customer = requests["accepted"] | requests["authorized"] | requests["pursued"] | requests["from_server"]
        insisting = requests["repeated"].to_numpy() & (level < RANG)
        size = np.bincount(bout)[bout] if len(bout) else bout
        watching = (level == REPLIED) & (size > 1)
        probing = ~any_in(bout, customer.to_numpy() | insisting | watching) & (size <= self.most)
        if not probing.any():
            return ATTACKS.empty()
        calls = dialled_calls(requests).loc[lambda calls: calls["wanted"] & probing[calls.index]]
        led = calls[~calls["prefix"].isin(["", "+"])]
        # Who is put through without a prefix was known to the dial plan.
        served = level >= RANG
        reached = sum_in(bout, served) / size
        served[led.index] = False
        probing &= ~any_in(bout, served) & ((reached < self.served) | (size == 1))
        rows = requests[probing]
        if rows.empty:
            return ATTACKS.empty()
        rows = rows.assign(number=calls["number"].reindex(rows.index), prefix=calls["prefix"].reindex(rows.index))
        # One OPTIONS that is answered is what many peers of one make send: how it is written says nothing then.
        rows = rows.assign(shy=(rows["level"] == REPLIED) & rows["uri_user"].isna())
        confidence = pd.Series(self.confidence, index=rows["bout"].unique())
        confidence[led.loc[led["abroad"] & led["bout"].isin(rows["bout"]), "bout"].unique()] = self.abroad
        dialling = set(led.loc[led["abroad"], "bout"])
        calling = rows["bout"].isin(dialling)
        found = [
            describe(part, kind=kind, technique=technique, confidence=confidence)
            for part, kind, technique in (
                (rows[calling], "toll-fraud", "T1496"),
                (rows[~calling], self.kind, self.technique),
            )
            if len(part)
        ]
        return pd.concat(found)
