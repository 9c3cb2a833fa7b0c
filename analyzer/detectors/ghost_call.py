"""Ghost calls: telephones and meeting rooms ring, and nobody is there."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from analyzer.evidence import ANSWERED, RANG, describe
from analyzer.tables import ATTACKS


@dataclass(frozen=True, kw_only=True)
class GhostCall:
    """A stranger who pretends to be an extension makes telephones ring, and gives up when they do.

    Scanners call as 100 or 1000 at the victim's own address (SIPVicious: svmap, svwar in INVITE mode). A caller
    who is let down calls from an address of its own, or as somebody that the server knows.
    """

    kind: ClassVar[str] = "ghost-call"
    technique: ClassVar[str] = "T1595"

    calls: int = 3
    """Calls that rang without being answered that are an attack."""
    answered: float = 0.3
    """The share of calls that are answered from which on somebody is really calling."""
    extension: int = 6
    """The most digits of an extension that a caller pretends to be."""
    sure: int = 10
    """The number of calls at which the confidence is highest."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one attack for each bout of ghost calls."""
        reached = (requests["method"] == "INVITE") & (requests["level"] >= RANG)
        calls = requests[reached & ~requests["from_server"] & ~requests["repeated"] & ~requests["authorized"]]
        if calls.empty:
            return ATTACKS.empty()
        known = requests.loc[requests["accepted"], "bout"].unique()
        calls = calls[~calls["bout"].isin(known)]
        calls = calls[self._pretending(calls)]
        if calls.empty:
            return ATTACKS.empty()
        answered = (calls["level"] == ANSWERED).groupby(calls["bout"]).mean()
        rang = calls[calls["level"] == RANG].groupby("bout")["call_id"].nunique().reindex(answered.index, fill_value=0)
        ghosts = (rang >= self.calls) & (answered <= self.answered)
        rows = calls[calls["bout"].map(ghosts).astype(bool)]
        if rows.empty:
            return ATTACKS.empty()
        confidence = 0.7 + 0.25 * (rang / self.sure).clip(upper=1)
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)

    def _pretending(self, calls: pd.DataFrame) -> "pd.Series[bool]":
        """Say which callers claim to be an extension of somebody else's host."""
        user, host = calls["from_user"].astype("str"), calls["from_host"].astype("str")
        address = host.str.replace(r":\d+$", "", regex=True).str.strip("[]")
        extension = user.str.fullmatch(rf"\d{{1,{self.extension}}}", na=False)
        return extension & (address != calls["source"].astype("str"))
