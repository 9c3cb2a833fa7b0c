"""Ghost calls: telephones and meeting rooms ring, and nobody is there."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from analyzer.evidence import ANSWERED, RANG, describe
from analyzer.grouping import any_in, coded, count_distinct, numbered
from analyzer.tables import ATTACKS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class GhostCall:
    """A stranger who pretends to be an extension makes telephones ring, and gives up when they do.

    Scanners call as 100 or 1000 at the victim's own address (SIPVicious: svmap, svwar in INVITE mode). A caller
    who is let down calls from an address of its own, or as somebody that the server knows. Whatever it calls itself:
    who rings one meeting room after another as one and the same, and waits for nobody to answer, calls nobody.
    """

    kind: ClassVar[str] = "ghost-call"
    technique: ClassVar[str] = "T1595"

    calls: int = 3
    """Calls that rang without being answered that are an attack."""
    answered: float = 0.3
    """The share of calls that are answered from which on somebody is really calling."""
    rooms: int = 4
    """Hosts rung by one caller, whatever it pretends to be, none of which ever answers, that are an attack."""
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
        calls = calls[self._pretending(calls) | self._ringing_round(calls)]
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

    def _ringing_round(self, calls: pd.DataFrame) -> "NDArray[np.bool_]":
        """Say which calls are of bouts in which one caller makes one host after another ring, and gives up each time.

        A proxy that rings a group of telephones hands on the calls of many, and some are answered.
        """
        bout = numbered(calls["bout"].to_numpy())
        size = len(calls)
        hosts, callers = (
            count_distinct(bout, coded(calls[name])[0], size)[bout] for name in ("destination", "from_user")
        )
        answered = any_in(bout, (calls["level"] == ANSWERED).to_numpy())
        return (hosts >= self.rooms) & (callers <= 1) & ~answered
