"""Looking for accounts: one source, many names, none of them its own."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from analyzer.evidence import CHALLENGED, NO_REPLY, RANG, describe, per_bout
from analyzer.tables import ATTACKS


@dataclass(frozen=True, kw_only=True)
class Enumeration:
    """Many accounts were tried, and nobody came back with credentials for them.

    A telephone that is challenged answers with credentials, or tries the one account that it has. Behind one
    address there may be many telephones; each has an address and port of its own in Contact, and succeeds.
    """

    kind: ClassVar[str] = "enumeration"
    technique: ClassVar[str] = "T1589.002"

    accounts: int = 10
    """The accounts without success that make an enumeration."""
    share: float = 0.6
    """Their share of all accounts that the source uses."""
    crowd: float = 0.5
    """Contacts (as address and port) per account from which on the silence of a server meets a crowd of telephones."""
    sure: int = 50
    """The number of accounts at which the confidence is highest."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one attack for each bout that tries enough accounts of others."""
        asked = requests[requests["account"].notna() & ~requests["from_server"]]
        owner = asked["account"].astype("str") + "\0" + asked["destination"].astype("str")
        asked = asked.assign(owner=owner.astype("category"))
        owned = _any(asked, asked["accepted"] | asked["authorized"] | asked["pursued"] | (asked["level"] >= RANG))
        tried = ~owned & ~asked["method"].isin(["MESSAGE", "NOTIFY"])
        strange, every = per_bout(asked, tried, "account"), per_bout(asked, tried | owned, "account")
        heard = _any(asked, asked["level"] > NO_REPLY)
        silent, crowd = per_bout(asked, tried & ~heard, "account"), _contacts(asked, tried & ~heard)
        strange = strange - silent.where(crowd >= self.crowd * silent, 0)
        found = (strange >= self.accounts) & (strange >= self.share * every)
        rows = asked[asked["bout"].map(found).astype(bool) & (tried | _bare(asked))]
        if rows.empty:
            return ATTACKS.empty()
        confidence = 0.8 + 0.18 * (strange / self.sure).clip(upper=1)
        rows = rows.assign(found=_different(rows))
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)


def _any(rows: pd.DataFrame, mask: "pd.Series[bool]") -> "pd.Series[bool]":
    """Say of each row whether any row of the same bout and account is masked."""
    return mask.groupby([rows["bout"], rows["owner"]], observed=True).transform("any").astype(bool)


def _bare(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Say which requests ask without credentials in a call in which none follow: no telephone leaves it at that.

    They belong to the enumeration of an account that was guessed, and perhaps taken over, later.
    """
    pursued = rows["call_id"].isin(rows.loc[rows["authorized"], "call_id"])
    return ~rows["authorized"] & ~pursued & (rows["level"] < RANG) & (rows["method"] == "REGISTER")


def _contacts(rows: pd.DataFrame, mask: "pd.Series[bool]") -> "pd.Series[int]":
    """Return how many different addresses and ports the masked rows of each bout ask to be reached at."""
    host = rows["contact"].astype("str").str.extract(r"(?:@|sips?:)([^;>@\s]+)(?:[;>\s]|$)", expand=False)
    return per_bout(rows.assign(contact=host), mask, "contact")


def _different(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Say which accounts the answers gave away: challenged or rung where most were told that they do not exist.

    A server that answers all alike gives nothing away (Asterisk's alwaysauthreject).
    """
    unknown = rows["answer"].isin([404, 403, 410, 604, 480]).fillna(value=False).astype(bool)
    exists = rows["level"].isin([CHALLENGED]) | rows["answer"].between(200, 299).fillna(value=False).astype(bool)
    target = [rows["bout"], rows["destination"], rows["method"]]
    known = exists.groupby(target, observed=True).transform("sum")
    return exists & (known < unknown.groupby(target, observed=True).transform("sum"))
