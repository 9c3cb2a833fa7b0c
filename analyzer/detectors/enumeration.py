"""Looking for accounts: one source, many names, none of them its own."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from analyzer.evidence import CHALLENGED, NO_REPLY, RANG, between, describe, per_bout
from analyzer.grouping import any_in, coded, codes_of, numbered, sum_in, told
from analyzer.tables import ATTACKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Truth = NDArray[np.bool_]

_COLUMNS = ("bout", "account", "destination", "method", "level", "answer", "accepted", "authorized", "pursued")
LONGEST = 512
"""The characters of a Contact that are searched for a host; who writes more wants to keep us busy."""
AWAY = (480, 486, 600, 603)
"""What is answered for a telephone that is there, but busy, away, or declines."""
_CONTACT = re.compile(r"(?:@|sips?:)([^;>@\s]+)(?:[;>\s]|$)")


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
        asked = requests.loc[requests["account"].notna() & ~requests["from_server"], list(_COLUMNS)]
        if asked.empty:
            return ATTACKS.empty()
        owner = numbered(asked["bout"].to_numpy(), codes_of(asked["account"]), codes_of(asked["destination"]))
        served = asked["accepted"] | asked["authorized"] | asked["pursued"] | (asked["level"] >= RANG) | _met(asked)
        owned = pd.Series(any_in(owner, served.to_numpy()), index=asked.index)
        tried = ~owned & ~asked["method"].isin(["MESSAGE", "NOTIFY"])
        strange, every = per_bout(asked, tried, "account"), per_bout(asked, tried | owned, "account")
        found = (strange >= self.accounts) & (strange >= self.share * every)
        if not found.any():
            return ATTACKS.empty()
        unheard = tried & ~any_in(owner, asked["level"].to_numpy() > NO_REPLY) & _of(asked, found)
        silent, crowd = per_bout(asked, unheard, "account"), _contacts(requests, asked, unheard)
        strange = strange - silent.where(crowd >= self.crowd * silent, 0)
        found &= (strange >= self.accounts) & (strange >= self.share * every)
        guilty = _of(asked, found)
        guilty &= tried | _bare(requests, asked, guilty & ~tried)
        rows = requests.loc[guilty.index[guilty]]
        if rows.empty:
            return ATTACKS.empty()
        confidence = 0.8 + 0.18 * (strange / self.sure).clip(upper=1)
        rows = rows.assign(found=_different(rows))
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)


def _met(asked: pd.DataFrame) -> "pd.Series[bool]":
    """Say which calls found their telephone busy or away, from who is put through to others.

    The callee's end system was contacted successfully (RFC 3261 21.4.18, 21.4.24, 21.6): so it is for carriers.
    """
    call = asked["method"] == "INVITE"
    through = any_in(asked["bout"].to_numpy(), (call & (asked["level"] >= RANG)).to_numpy())
    return call & through & asked["answer"].isin(AWAY)


def _of(rows: pd.DataFrame, bouts: "pd.Series[bool]") -> "pd.Series[bool]":
    """Say which rows are of those bouts."""
    return rows["bout"].isin(bouts.index[bouts])


def _bare(requests: pd.DataFrame, asked: pd.DataFrame, mask: "pd.Series[bool]") -> "pd.Series[bool]":
    """Say which of the masked ask without credentials in a call in which none follow: no telephone leaves it at that.

    They belong to the enumeration of an account that was guessed, and perhaps taken over, later.
    """
    bare = mask & ~asked["authorized"] & (asked["level"] < RANG) & (asked["method"] == "REGISTER")
    if not bare.any():
        return bare
    calls = requests["call_id"]
    rows = bare.index[bare]
    pursued = calls.loc[rows].isin(calls.loc[asked.index[asked["authorized"]]])
    bare.loc[rows[pursued]] = False
    return bare


def _contacts(requests: pd.DataFrame, asked: pd.DataFrame, mask: "pd.Series[bool]") -> "pd.Series[int]":
    """Return how many different addresses and ports the masked rows of each bout ask to be reached at."""
    rows = np.flatnonzero(mask)
    host = np.full(len(asked), -1, np.int64)
    host[rows], _ = told(coded(requests["contact"].loc[asked.index[rows]]), _host)
    return per_bout(asked.assign(host=host), mask, "host")


def _host(contact: str) -> str | None:
    found = _CONTACT.search(contact, 0, LONGEST)
    return found[1] if found else None


def _different(rows: pd.DataFrame) -> "Truth":
    """Say which accounts the answers gave away: challenged or rung where most were told that they do not exist.

    A server that answers all alike gives nothing away (Asterisk's alwaysauthreject).
    """
    answer = rows["answer"].to_numpy(dtype=np.int64, na_value=0)
    unknown = np.isin(answer, (404, 403, 410, 604, 480))
    exists = ((rows["level"] == CHALLENGED) | between(rows["answer"], 200, 299)).to_numpy()
    target = numbered(rows["bout"].to_numpy(), codes_of(rows["destination"]), codes_of(rows["method"]))
    return exists & (sum_in(target, exists) < sum_in(target, unknown))
