"""What attackers got: accounts taken over and calls that were answered, each with the message that proves it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from analyzer.reports.phone import wanted_number
from analyzer.reports.tally import nanoseconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.analysis import Analysis

SUCCESS = range(200, 300)
"""Final responses that grant what was asked for (RFC 3261 21.2)."""
MARGIN = pd.Timedelta("1s")
"""How much later than the end of an attack its last request may be."""
NOWHERE = np.array([], np.intp)
NEEDED = [
    "time",
    "capture",
    "source",
    "method",
    "uri_user",
    "from_user",
    "auth_user",
    "authorized",
    "call_id",
    "tag_password",
    "answer",
    "answer_packet",
    "repeated",
    "in_dialog",
]
"""The columns that tell what became of a request; frames of few columns are taken apart faster."""


@dataclass(frozen=True, kw_only=True)
class Breach:
    """An account whose credentials were accepted; what the tables do not tell is None."""

    account: str
    source: str
    campaign: str | None
    time: pd.Timestamp | None
    guesses: int | None
    """The requests with credentials for the account, retransmissions apart, up to the accepted one."""
    password: str | None
    """The password that was accepted, where the request gives it away."""
    capture: str | None
    packet: int | None
    """The packet of the response that accepted the credentials."""


@dataclass(frozen=True, kw_only=True)
class AnsweredCall:
    """A call of an attacker that was answered; what the tables do not tell is None."""

    dialled: str
    wanted: str | None
    """The number without its prefixes."""
    source: str
    campaign: str | None
    time: pd.Timestamp | None
    talked: float | None
    """Seconds from the answer to the first BYE."""
    audio: str | None
    """two-way, one-way or none, as in the calls table."""
    times: int
    """How many calls of this source to this number were answered."""
    capture: str | None
    packet: int | None
    """The packet of the response that answered the call."""


_Times = dict[tuple[str, int], pd.Timestamp]
"""When a packet of a capture was captured."""


class _Proof(NamedTuple):
    time: pd.Timestamp | None = None
    capture: str | None = None
    packet: int | None = None


class _Requests:
    """Requests in the order of time, of which those of one source about one account or number are found at once."""

    def __init__(self, requests: pd.DataFrame, key: "pd.Series[Any]") -> None:
        """Take requests in the order of time, and the account or the number that each is about."""
        self.frame = requests
        self.times = nanoseconds(requests["time"])
        self.granted = _granted(requests).to_numpy()
        self.repeated = requests["repeated"].to_numpy(bool)
        indices = requests.groupby([requests["source"].astype("str"), key.astype("str")]).indices
        self.places = {pair: np.asarray(places, np.intp) for pair, places in indices.items()}

    def during(self, attack: "pd.Series", key: str) -> "NDArray[np.intp]":
        """Return where the requests of the attack's source are that were sent while it lasted, as far as it says."""
        places = self.places.get((attack["source"], key), NOWHERE)
        since, until = 0, len(places)
        if not pd.isna(attack["start"]):
            since = int(np.searchsorted(self.times[places], (attack["start"] - MARGIN).value))
        if not pd.isna(attack["end"]):
            until = int(np.searchsorted(self.times[places], (attack["end"] + MARGIN).value, side="right"))
        return places[since:until]


def find_breaches(analysis: "Analysis") -> list[Breach]:
    """Return the breaches of all attacks, earliest first, each account and source once."""
    attacks = _with_any(analysis.attacks, "breached")
    tries = _requests_of(analysis.messages, attacks)
    tries = tries[tries["authorized"]]
    every = _Requests(tries, tries["auth_user"].astype("str").fillna(tries["from_user"].astype("str")))
    times = _response_times(analysis.messages, tries[_granted(tries)], attacks)
    found: dict[tuple[str, str], Breach] = {}
    for attack, account in _each(attacks, "breached"):
        if (account, attack["source"]) not in found:
            found[account, attack["source"]] = _breach(attack, account, every, times)
    return sorted(found.values(), key=_when)


def find_answered_calls(analysis: "Analysis") -> list[AnsweredCall]:
    """Return the answered calls of all attacks, earliest first, each number as dialled and source once."""
    attacks = _with_any(analysis.attacks, "answered")
    calls = _requests_of(analysis.messages, attacks)
    calls = calls[(calls["method"] == "INVITE") & _granted(calls) & ~calls["repeated"] & ~calls["in_dialog"]]
    every = _Requests(calls, calls["uri_user"])
    times = _response_times(analysis.messages, calls, attacks)
    ends = _call_ends(analysis.messages, calls)
    audio = _audio(analysis.calls)
    found: dict[tuple[str, str], AnsweredCall] = {}
    for attack, dialled in _each(attacks, "answered"):
        if (dialled, attack["source"]) not in found:
            call = _answered_call(attack, dialled, every, times, ends)
            found[dialled, attack["source"]] = replace(call, audio=audio.get((call.capture, call.packet)))
    return sorted(found.values(), key=_when)


def _breach(attack: "pd.Series", account: str, tries: _Requests, times: _Times) -> Breach:
    its = tries.during(attack, account)
    accepted = its[tries.granted[its]][:1]
    guesses, password = None, None
    if len(accepted):
        password = _word(tries.frame["tag_password"].iloc[accepted[0]])
        guesses = int((~tries.repeated[its] & (tries.times[its] <= tries.times[accepted[0]])).sum())
    proof = _proof(attack, tries.frame, accepted, times)
    return Breach(account=account, guesses=guesses, password=password, **_origin(attack), **proof._asdict())


def _answered_call(
    attack: "pd.Series", dialled: str, calls: _Requests, times: _Times, ends: dict[str, pd.Timestamp]
) -> AnsweredCall:
    its = calls.during(attack, dialled)
    proof = _proof(attack, calls.frame, its[:1], times)
    return AnsweredCall(
        dialled=dialled,
        wanted=wanted_number(dialled, attack["numbers"]),
        talked=_talked(calls.frame["call_id"].iloc[its[0]] if len(its) else None, proof.time, ends),
        audio=None,
        times=max(len(its), 1),
        **_origin(attack),
        **proof._asdict(),
    )


def _origin(attack: "pd.Series") -> dict[str, Any]:
    return {"source": str(attack["source"]), "campaign": _word(attack["campaign"])}


def _proof(attack: "pd.Series", requests: pd.DataFrame, which: "NDArray[np.intp]", times: _Times) -> _Proof:
    """Return the response that granted the request that is meant; without one, what the attack calls decisive."""
    if len(which):
        capture, packet = _word(requests["capture"].iloc[which[0]]), requests["answer_packet"].iloc[which[0]]
    else:
        capture, packet = _word(attack["capture"]), attack["decisive"]
    if capture is None or pd.isna(packet):
        return _Proof()
    return _Proof(times.get((capture, int(packet))), capture, int(packet))


def _response_times(messages: pd.DataFrame, requests: pd.DataFrame, attacks: pd.DataFrame) -> _Times:
    """Return when the responses to requests, and the decisive messages of attacks, were captured."""
    packets = pd.concat([requests["answer_packet"], attacks["decisive"]]).dropna().unique()
    rows = messages.loc[messages["packet"].isin(packets), ["capture", "packet", "status", "time"]]
    rows = rows.sort_values("status", na_position="first")
    return dict(zip(zip(rows["capture"].astype("str"), rows["packet"], strict=True), rows["time"], strict=True))


def _call_ends(messages: pd.DataFrame, calls: pd.DataFrame) -> dict[str, pd.Timestamp]:
    """Return when the first BYE of each call was captured, by Call-ID."""
    byes = (
        (messages["method"] == "BYE") & messages["status"].isna() & messages["call_id"].isin(calls["call_id"].dropna())
    )
    ended = messages.loc[byes, ["call_id", "time"]].groupby("call_id")["time"].min()
    return dict(zip(ended.index, ended, strict=True))


def _audio(calls: pd.DataFrame) -> "dict[tuple[str | None, int | None], str]":
    """Return whether media was seen, by capture and packet of the response that answered the call."""
    heard = calls[calls["audio"].notna() & calls["answer_packet"].notna()]
    packets = heard["answer_packet"].astype("int64").tolist()
    return dict(
        zip(zip(heard["capture"].astype("str"), packets, strict=True), heard["audio"].astype("str"), strict=True)
    )


def _talked(call_id: object, answered: pd.Timestamp | None, ends: dict[str, pd.Timestamp]) -> float | None:
    end = ends.get(call_id) if isinstance(call_id, str) else None
    if answered is None or end is None or end < answered:
        return None
    return float((end - answered).total_seconds())


def _with_any(attacks: pd.DataFrame, column: str) -> pd.DataFrame:
    return attacks[attacks[column].map(len) > 0].sort_values("start", kind="stable")


def _each(attacks: pd.DataFrame, column: str) -> Iterator[tuple["pd.Series", str]]:
    for _, attack in attacks.iterrows():
        for value in attack[column]:
            yield attack, str(value)


def _requests_of(messages: pd.DataFrame, attacks: pd.DataFrame) -> pd.DataFrame:
    """Return the requests of the sources of attacks, in the order of time."""
    theirs = messages["source"].isin(attacks["source"].astype("str").unique()) & messages["status"].isna()
    return messages.loc[theirs, NEEDED].sort_values("time", kind="stable")


def _granted(requests: pd.DataFrame) -> "pd.Series[bool]":
    return requests["answer"].between(SUCCESS.start, SUCCESS.stop - 1).fillna(False).astype("bool")


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _when(finding: Breach | AnsweredCall) -> tuple[bool, pd.Timestamp]:
    return finding.time is None, finding.time or pd.Timestamp(0, tz="UTC")
