"""Looking for accounts: one source, many names, none of them its own."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from analyzer.evidence import (
    CHALLENGED,
    NO_REPLY,
    RANG,
    between,
    delivered,
    describe,
    dialled_calls,
    is_private,
    peering,
    per_bout,
    rehearsed,
)
from analyzer.grouping import any_in, coded, codes_of, count_distinct, numbered, sum_in, told
from analyzer.tables import ATTACKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Truth = NDArray[np.bool_]

_COLUMNS = (
    "bout", "account", "destination", "destination_port", "method", "level", "answer", "accepted", "authorized",
    "pursued", "mute",
)  # fmt: skip
_STEADY = ("bout", "time", "call_id", "from_tag", "contact", "method", "level", "repeated")
REGISTRAR = "uloc-"
"""How the tags begin with which Kamailio asks whether a registered contact is alive."""
LONGEST = 512
"""The characters of a Contact that are searched for a host; who writes more wants to keep us busy."""
AWAY = (480, 486, 600, 603)
"""What is answered for a telephone that is there, but busy, away, or declines."""
_CONTACT = re.compile(r"(?:@|sips?:)([^;>@\s]+)(?:[;>\s]|$)")


@dataclass(frozen=True, kw_only=True)
class Enumeration:
    """Many accounts were tried, and nobody came back with credentials for them.

    A telephone that is challenged answers with credentials, or tries the one account that it has. Behind one
    address there may be many telephones; each has an address and port of its own in Contact, and succeeds, or
    comes back for its own account. A server asks each of its telephones for its account at its own port.
    """

    kind: ClassVar[str] = "enumeration"
    technique: ClassVar[str] = "T1589.002"

    accounts: int = 10
    """The accounts without success that make an enumeration."""
    share: float = 0.6
    """Their share of all accounts that the source uses."""
    crowd: float = 0.5
    """Contacts (as address and port) per account from which on the silence of a server meets a crowd of telephones."""
    lodgers: float = 0.8
    """Private addresses in Contact per account, all of one network (/24), that make a crowd of telephones."""
    visits: int = 3
    """Requests for one account, with a pause between them, that are a telephone's if they are written as one's."""
    pause: timedelta = timedelta(seconds=2)
    """The least pause between visits."""
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
        calling = peering(requests) & (requests["method"] == "INVITE").to_numpy()
        calling |= requests.index.isin(dialled_calls(requests).index)  # those are numbers, no accounts
        spared = pd.Series(delivered(requests) | rehearsed(requests) | calling, index=requests.index).loc[asked.index]
        tried = ~owned & ~asked["method"].isin(["MESSAGE", "NOTIFY"]) & ~asked["mute"] & ~spared & ~_watching(asked)
        strange, every = per_bout(asked, tried, "account"), per_bout(asked, tried | owned, "account")
        found = (strange >= self.accounts) & (strange >= self.share * every)
        if not found.any():
            return ATTACKS.empty()
        tried &= ~self._steady(requests, owner, tried & _of(asked, found))
        strange = per_bout(asked, tried, "account")
        found = _crowded(asked, tried) & (strange >= self.accounts) & (strange >= self.share * every)
        unheard = tried & ~any_in(owner, asked["level"].to_numpy() > NO_REPLY) & _of(asked, found)
        silent, crowd = per_bout(asked, unheard, "account"), _contacts(requests, asked, unheard)
        strange = strange - silent.where(crowd >= self.crowd * silent, 0)
        strange = strange.where(_lodgers(requests, asked, tried & _of(asked, found)) < self.lodgers * strange, 0)
        found &= (strange >= self.accounts) & (strange >= self.share * every)
        guilty = _of(asked, found)
        guilty &= tried | _bare(requests, asked, guilty & ~tried)
        rows = requests.loc[guilty.index[guilty]]
        if rows.empty:
            return ATTACKS.empty()
        confidence = 0.8 + 0.18 * (strange / self.sure).clip(upper=1)
        rows = rows.assign(found=_different(rows))
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)

    def _steady(self, requests: pd.DataFrame, owner: "Numbers", mask: "pd.Series[bool]") -> "pd.Series[bool]":
        """Say which of the masked rows are a telephone's that comes back for its account, or a server's keep-alive.

        A telephone keeps its Call-ID (RFC 3261 10.2.4), or is alone at its Contact; keep-alives with OPTIONS go on
        without an answer. A scanner does not come back for an account, and has one Contact or ever new ones.
        """
        steady = pd.Series(data=False, index=mask.index)
        rows = requests.loc[mask.index[mask], [*_STEADY]].assign(owner=owner[mask.to_numpy()])
        rows = rows[~rows["repeated"]]
        if rows.empty:
            return steady
        rows = rows.sort_values(["owner", "time"], kind="stable")
        since = rows["time"].groupby(rows["owner"]).diff()
        contact = told(coded(rows["contact"]), _host)[0]
        of, group = numbered(rows["owner"].to_numpy()), numbered(rows["bout"].to_numpy(), contact)
        size = len(rows)
        again = sum_in(of, (since >= self.pause).to_numpy()) + 1
        alone = (contact >= 0) & (count_distinct(of, contact, size)[of] == 1)
        alone &= count_distinct(group, of, size)[group] == 1
        ping = rows["from_tag"].str.startswith(REGISTRAR).fillna(value=False).to_numpy(dtype=np.bool_)
        kept = 2 * count_distinct(of, coded(rows["call_id"])[0], size)[of] <= again
        watch = ((rows["method"] == "OPTIONS") & (rows["level"] == NO_REPLY)).to_numpy()
        bout = numbered(rows["bout"].to_numpy())
        watched = watch & (ping | (2 * sum_in(bout, watch & (again > 1)) > sum_in(bout, watch)))
        known = of[((again >= self.visits) & (alone | kept)) | watched]
        steady[mask] = np.isin(owner[mask.to_numpy()], rows["owner"].to_numpy()[np.isin(of, known)])
        return steady


def _crowded(asked: pd.DataFrame, tried: "pd.Series[bool]") -> "pd.Series[bool]":
    """Say in which bouts there are several accounts for each target: a server asks its telephones for one each."""
    target = numbered(codes_of(asked["destination"]), asked["destination_port"].to_numpy())
    asked = asked.assign(target=target)
    return per_bout(asked, tried, "account") >= 2 * per_bout(asked, tried, "target")


def _met(asked: pd.DataFrame) -> "pd.Series[bool]":
    """Say which calls found their telephone busy or away, from who is put through to others.

    The callee's end system was contacted successfully (RFC 3261 21.4.18, 21.4.24, 21.6): so it is for carriers.
    """
    call = asked["method"] == "INVITE"
    through = any_in(asked["bout"].to_numpy(), (call & (asked["level"] >= RANG)).to_numpy())
    return call & through & asked["answer"].isin(AWAY)


def _watching(asked: pd.DataFrame) -> "Truth":
    """Say which requests watch over others (RFC 3265), from who has an account: buddies and lamps of who has left."""
    own = (asked["accepted"] & asked["authorized"]).to_numpy()
    return (asked["method"] == "SUBSCRIBE").to_numpy() & any_in(asked["bout"].to_numpy(), own)


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


def _lodgers(requests: pd.DataFrame, asked: pd.DataFrame, mask: "pd.Series[bool]") -> "pd.Series[int]":
    """Return how many private addresses the masked rows of each bout ask to be reached at, if all are neighbours."""
    rows = np.flatnonzero(mask)
    contact = coded(requests["contact"].loc[asked.index[rows]])
    columns = {}
    for name, tell in (("lodger", _lodger), ("network", _neighbourhood)):
        columns[name] = np.full(len(asked), -1, np.int64)
        columns[name][rows], _ = told(contact, tell)
    asked = asked.assign(**columns)
    return per_bout(asked, mask, "lodger").where(per_bout(asked, mask, "network") == 1, 0)


def _lodger(contact: str) -> str | None:
    address = (_host(contact) or "").rpartition(":")[0] or _host(contact) or ""
    return address if is_private(address) else None


def _neighbourhood(contact: str) -> str | None:
    address = _lodger(contact)
    return address.rpartition(".")[0] if address else None


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
