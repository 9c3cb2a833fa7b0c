"""Toll fraud: trying to place chargeable calls, one dial prefix after another."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from analyzer.dialling import leads_abroad
from analyzer.evidence import CHALLENGED, RANG, delivered, describe, dialled_calls, peering, per_bout
from analyzer.grouping import any_in, codes_of, count_distinct, numbered
from analyzer.sip.transactions import CHALLENGES
from analyzer.tables import ATTACKS

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class TollFraud:
    """One number behind several prefixes, or many calls abroad by a stranger who is refused.

    A customer dials a number the way that works; a call centre's calls are let through. Who is challenged and
    has no credentials, and dials on, is looking for a way out.
    """

    kind: ClassVar[str] = "toll-fraud"
    technique: ClassVar[str] = "T1496"

    prefixes: int = 3
    """Different prefixes before one number, by a source without an account, that are an attack."""
    customer_prefixes: int = 6
    """The same, by a source whose credentials were accepted."""
    refused: int = 5
    """Different strings dialled with an international prefix, without credentials and refused, that are an attack."""
    share: float = 0.6
    """Their share of all that the source dials."""
    thefts: int = 20
    """Refused credentials from which on a source whose credentials are accepted is no customer: it guessed them."""
    fresh: float = 0.9
    """Numbers per call from which on each is dialled once."""
    callers: int = 5
    """Callers from which on calls abroad that are refused, each number once and in one form, may be an exchange's."""
    exchange: float = 0.4
    """The confidence of those: a suspicion. Its line was closed, or its dial plan is at fault."""
    sure: int = 8
    """The number of prefixes, or of refused strings, at which the confidence is highest."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one attack for each bout that tries its way out."""
        calls = dialled_calls(requests)
        if calls.empty:
            return ATTACKS.empty()
        asked = requests[["uri_user", "level", "authorized", "pursued", "mute"]].loc[calls.index]
        calls = calls.assign(uri_user=asked["uri_user"])
        customer = self._customers(requests)[calls["bout"].to_numpy()]
        wanted = numbered(calls["bout"].to_numpy(), codes_of(calls["number"]))
        prefixes = count_distinct(wanted, codes_of(calls["prefix"]).astype(np.int64), len(calls))[wanted]
        varied = prefixes >= np.where(customer, self.customer_prefixes, self.prefixes)
        known = asked["mute"] | asked["authorized"] | asked["pursued"] | customer | peering(requests)[calls.index]
        refused = (asked["level"] < RANG) & ~known & ~self._carried(requests, calls)
        abroad = per_bout(calls, refused & calls["abroad"], "uri_user")
        insisting = (abroad >= self.refused) & (abroad >= self.share * per_bout(calls, refused | True, "uri_user"))
        guilty = pd.Series(varied).groupby(calls["bout"].to_numpy()).any() | insisting
        rows = calls[calls["bout"].isin(guilty.index[guilty]) & (varied | ~customer)]
        if rows.empty:
            return ATTACKS.empty()
        effort = pd.concat([pd.Series(prefixes).groupby(calls["bout"].to_numpy()).max(), abroad], axis=1).max(axis=1)
        confidence = (0.75 + 0.23 * (effort / self.sure).clip(upper=1)).mask(
            self._exchanges(requests, calls), self.exchange
        )
        rows = requests.loc[rows.index].assign(number=rows["number"], prefix=rows["prefix"])
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence, accounts="from_user")

    def _exchanges(self, requests: pd.DataFrame, calls: pd.DataFrame) -> "pd.Series[bool]":
        """Say of which bouts many callers dial ever other numbers, each but once, and none of them in two forms."""
        bout = numbered(calls["bout"].to_numpy())
        size = len(calls)
        number, dialled = (codes_of(column).astype(np.int64) for column in (calls["number"], calls["uri_user"]))
        numbers, strings = (count_distinct(bout, codes, size) for codes in (number, dialled))
        callers = count_distinct(bout, codes_of(requests["from_user"].loc[calls.index]).astype(np.int64), size)
        many = (
            (callers >= self.callers)
            & (numbers == strings)
            & (numbers >= self.fresh * np.bincount(bout, minlength=size))
        )
        return pd.Series(many[bout], index=calls["bout"].to_numpy()).groupby(level=0).first()

    def _carried(self, requests: pd.DataFrame, calls: pd.DataFrame) -> "NDArray[np.bool_]":
        """Say which calls a carrier delivers: no prefix of its own leads abroad."""
        foreign = calls["prefix"].map(leads_abroad).astype(bool).to_numpy()
        return delivered(requests.loc[calls.index]) & ~any_in(calls["bout"].to_numpy(), foreign)

    def _customers(self, requests: pd.DataFrame) -> "NDArray[np.bool_]":
        """Say of each bout, by its number, whether its credentials were accepted, and not after guessing them.

        A call that is refused with its credentials is refused for its number (no route, no credit, busy) unless it is
        challenged again. Whose answers were not captured may be a customer.
        """
        register = requests["method"] == "REGISTER"
        refused = requests["authorized"] & requests["answer"].isin(CHALLENGES).fillna(value=False)
        refused |= requests["authorized"] & register & requests["level"].le(CHALLENGED) & requests["answer"].notna()
        bout = requests["bout"].to_numpy()
        thefts = np.bincount(bout[refused], minlength=int(bout.max(initial=0)) + 1)
        accepted = np.bincount(bout[requests["accepted"] | requests["mute"]], minlength=len(thefts)) > 0
        return accepted & (thefts < self.thefts)
