"""Probes: a stranger who asks once or twice. Nothing by itself; many with something in common are a campaign."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from analyzer.evidence import RANG, REPLIED, describe, dialled_calls
from analyzer.tables import ATTACKS


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A source that asks a few times, is given nothing, and does not come back with credentials.

    Where the sources of an attack never repeat (Sality: three million), no source does enough to be noticed. Each
    is a suspicion here, and analyzer.campaigns decides on what many of them share.
    """

    kind: ClassVar[str] = "probe"
    technique: ClassVar[str] = "T1595"

    most: int = 5
    """The most requests of a source that only probes."""
    confidence: float = 0.3
    """The confidence of a probe alone: a suspicion."""
    abroad: float = 0.4
    """The same for a call with an international prefix."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one suspicion for each bout that only probes."""
        bout = requests["bout"]
        customer = requests["accepted"] | requests["authorized"] | requests["pursued"] | requests["from_server"]
        insisting = requests["repeated"] & (requests["level"] < RANG)
        size = bout.groupby(bout).transform("size")
        watching = (requests["level"] == REPLIED) & (requests["uri_user"].isna() | (size > 1))
        ordinary = (customer | insisting | watching).groupby(bout).transform("any")
        rows = requests[~ordinary & (size <= self.most)]
        if rows.empty:
            return ATTACKS.empty()
        calls = dialled_calls(rows)
        led = calls[calls["prefix"].str.len().gt(0) & (calls["prefix"] != "+")]
        rows = rows.assign(number=led["number"].reindex(rows.index), prefix=led["prefix"].reindex(rows.index))
        confidence = pd.Series(self.confidence, index=rows["bout"].unique())
        confidence[led.loc[led["abroad"], "bout"].unique()] = self.abroad
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)
