"""Looking for SIP servers: one source, many targets."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from analyzer.evidence import REPLIED, between, describe, per_bout
from analyzer.grouping import codes_of, numbered
from analyzer.tables import ATTACKS

_COLUMNS = (
    "bout", "destination", "destination_port", "repeated", "accepted", "pursued", "level", "method", "answer",
    "account",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Many targets were asked once or twice each, and few of them know the source.

    A server that looks after its telephones asks the same targets again and again, and they answer; a sweep
    asks each target once, and most are silent or refuse. A server whose telephones are away asks each for its own
    user, and again.
    """

    kind: ClassVar[str] = "sweep"
    technique: ClassVar[str] = "T1595.001"

    targets: int = 10
    """The targets, as address and port, without success that make a sweep."""
    rounds: float = 3.0
    """Requests per target (retransmissions left out): with more of them the source is a visitor that comes back."""
    served: float = 0.5
    """The share of targets that accept the source from which on it is a customer."""
    sure: int = 40
    """The number of targets at which the confidence is highest."""
    named: float = 0.8
    """Different users per target from which on, if each is asked for again, a server asks its own telephones."""
    insistent: float = 2.0
    """Requests per target, retransmissions among them, from which on it is asked for again."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one attack for each bout that visits enough strangers."""
        asked = requests.loc[~requests["from_server"], list(_COLUMNS)]
        destination = codes_of(asked["destination"])
        target = np.where(destination < 0, -1, numbered(destination, asked["destination_port"].to_numpy()))
        asked = asked.assign(target=target)
        fresh = ~asked["repeated"]
        welcome = asked["accepted"] | asked["pursued"] | (asked["level"] > REPLIED + 1)
        total = per_bout(asked, fresh, "target")
        cold = total - per_bout(asked, welcome, "target")
        rounds = asked[fresh].groupby("bout").size() / total
        customers = 1 - cold / total.where(total > 0)
        swept = (cold >= self.targets) & (rounds <= self.rounds) & (customers < self.served)
        if not swept.any():
            return ATTACKS.empty()
        steady = _steady(asked[fresh])
        swept &= ~steady.reindex(swept.index, fill_value=False)
        named = per_bout(asked, ~welcome, "account") >= self.named * cold
        again = asked.groupby("bout").size() >= self.insistent * total
        swept &= ~(named & again)
        rows = requests[asked["bout"].isin(swept.index[swept]).reindex(requests.index, fill_value=False)]
        if rows.empty:
            return ATTACKS.empty()
        confidence = 0.8 + 0.18 * (cold / self.sure).clip(upper=1)
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)


def _steady(requests: pd.DataFrame) -> "pd.Series[bool]":
    """Say of which bouts at least half of the targets answered 2xx to OPTIONS that name a user of theirs.

    That is a server that watches over its registered telephones, each at its own contact (RFC 3261 11).
    """
    watch = requests[requests["method"] == "OPTIONS"]
    good = between(watch["answer"], 200, 299)
    named = per_bout(watch, good, "account") > 0.5 * per_bout(watch, good | ~good, "destination").clip(lower=1)
    answered = good.groupby(watch["bout"]).mean() > 0.5
    return named & answered.reindex(named.index, fill_value=False)
