"""Probes: a stranger who asks once or twice. Nothing by itself; many with something in common are a campaign."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from analyzer.evidence import DESCRIBED, RANG, REPLIED, describe, dialled_calls, knows_domain, number_form
from analyzer.grouping import any_in, coded, codes_of, count_distinct, numbered, sum_in, told
from analyzer.links import pretends
from analyzer.tables import ATTACKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Truth = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A source that asks a few times, is given nothing, and does not come back with credentials.

    Where the sources of an attack never repeat (Sality: three million), no source does enough to be noticed. Each
    is a suspicion here, and analyzer.campaigns decides on what many of them share. Who asks the server by its name
    was once set up to do so.
    """

    kind: ClassVar[str] = "probe"
    technique: ClassVar[str] = "T1595"

    most: int = 20
    """The most requests of a source that only probes."""
    served: float = 0.5
    """The share of calls that are put through from which on a source with several calls is a customer."""
    few: int = 2
    """The most requests that are not several."""
    confidence: float = 0.3
    """The confidence of a probe alone: a suspicion."""
    polite: float = 0.2
    """The same for who is answered by each of several targets: peers do so too. It confirms nobody else."""
    abroad: float = 0.4
    """The same for a call with an international prefix."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one suspicion for each bout that only probes."""
        bout, level = requests["bout"].to_numpy(), requests["level"].to_numpy()
        customer = requests["accepted"] | requests["authorized"] | requests["pursued"] | requests["from_server"]
        customer |= requests["mute"] | knows_domain(requests)
        insisting = requests["repeated"].to_numpy() & (level < RANG)
        size = np.bincount(bout)[bout] if len(bout) else bout
        destination = codes_of(requests["destination"]).astype(np.int64)
        targets = count_distinct(bout, destination, int(bout.max(initial=0)) + 1)[bout]
        watching = (level == REPLIED) & (size > targets)
        # Telephones look for their provisioning server in a group (RFC 6080 5.1.4.2).
        group = told(coded(requests["destination"]), lambda text: text if _is_group(text) else None)[0] >= 0
        probing = ~any_in(bout, customer.to_numpy() | insisting | watching | group) & (size <= self.most)
        if not probing.any():
            return ATTACKS.empty()
        calls = dialled_calls(requests).loc[lambda calls: calls["wanted"] & probing[calls.index]]
        led = calls[~calls["prefix"].isin(["", "+"])]
        # Who is put through without a prefix was known to the dial plan.
        served = level >= RANG
        reached = sum_in(bout, served) / size
        served[led.index] = False
        probing &= ~any_in(bout, served) & ((reached < self.served) | (size <= self.few))
        rows = requests.loc[probing, list(DESCRIBED)]
        if rows.empty:
            return ATTACKS.empty()
        confidence = self._confidence(rows, size[rows.index], led)
        rows = rows.assign(number=calls["number"].reindex(rows.index), prefix=calls["prefix"].reindex(rows.index))
        rows = rows.assign(shy=_mute(rows, size[rows.index]))
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

    def _confidence(self, rows: pd.DataFrame, size: "NDArray[np.int64]", led: pd.DataFrame) -> "pd.Series[float]":
        """Return the confidence of each bout; the calls in led have a prefix."""
        polite = rows.loc[(rows["level"] == REPLIED).to_numpy() & (size > 1), "bout"].unique()
        confidence = pd.Series(self.confidence, index=rows["bout"].unique())
        confidence[polite] = self.polite
        confidence[led.loc[led["abroad"] & led["bout"].isin(rows["bout"]), "bout"].unique()] = self.abroad
        return confidence


def _is_group(address: str) -> bool:
    try:
        return ip_address(address).is_multicast
    except ValueError:
        return False


def _mute(rows: pd.DataFrame, size: "NDArray[np.int64]") -> "Truth":
    """Say how which requests are written tells nothing about who sent them.

    One OPTIONS that is answered is what many peers of one make send. A call from an address of record elsewhere, or
    from one telephone number to another, is what SIP is for. A telephone registers, and asks for its messages
    (RFC 3842), again and again; a scanner asks each target, or account, once.
    """
    alone = ((rows["level"] == REPLIED) & rows["uri_user"].isna()).to_numpy() & (size == 1)
    numbers = [told(coded(rows[name]), number_form)[0] >= 0 for name in ("from_user", "uri_user")]
    caller = (rows["method"] == "INVITE").to_numpy() & (~pretends(rows) | (numbers[0] & numbers[1]))
    own = rows["method"].isin(["REGISTER", "SUBSCRIBE"]).to_numpy()
    again = numbered(rows["bout"].to_numpy(), codes_of(rows["destination"]), codes_of(rows["account"]))
    insisting = any_in(rows["bout"].to_numpy(), own & (sum_in(again, own) > 1))
    return alone | caller | insisting
