"""What attackers got: accounts taken over and calls that were answered, each with the message that proves it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from analyzer.reports.phone import wanted_number

if TYPE_CHECKING:
    from analyzer.analysis import Analysis

SUCCESS = range(200, 300)
"""Final responses that grant what was asked for (RFC 3261 21.2)."""
MARGIN = pd.Timedelta("1s")
"""How much later than the end of an attack its last request may be."""
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


def find_breaches(analysis: "Analysis") -> list[Breach]:
    """Return the breaches of all attacks, earliest first, each account and source once."""
    attacks = _with_any(analysis.attacks, "breached")
    tries = _requests_of(analysis.messages, attacks)
    tries = tries[tries["authorized"]]
    owner = tries["auth_user"].astype("str").fillna(tries["from_user"].astype("str"))
    grouped = tries.groupby([tries["source"].astype("str"), owner]).indices
    times = _response_times(analysis.messages, tries[_granted(tries)], attacks)
    found: dict[tuple[str, str], Breach] = {}
    for attack, account in _each(attacks, "breached"):
        its_tries = _within(tries.iloc[grouped.get((attack["source"], account), [])], attack)
        found.setdefault((account, attack["source"]), _breach(attack, account, its_tries, times))
    return sorted(found.values(), key=_when)


def find_answered_calls(analysis: "Analysis") -> list[AnsweredCall]:
    """Return the answered calls of all attacks, earliest first, each number as dialled and source once."""
    attacks = _with_any(analysis.attacks, "answered")
    calls = _requests_of(analysis.messages, attacks)
    calls = calls[(calls["method"] == "INVITE") & _granted(calls) & ~calls["repeated"] & ~calls["in_dialog"]]
    grouped = calls.groupby([calls["source"].astype("str"), calls["uri_user"].astype("str")]).indices
    times = _response_times(analysis.messages, calls, attacks)
    ends = _call_ends(analysis.messages, calls)
    found: dict[tuple[str, str], AnsweredCall] = {}
    for attack, dialled in _each(attacks, "answered"):
        its_calls = _within(calls.iloc[grouped.get((attack["source"], dialled), [])], attack)
        found.setdefault((dialled, attack["source"]), _answered_call(attack, dialled, its_calls, times, ends))
    return sorted(found.values(), key=_when)


def _breach(attack: "pd.Series", account: str, tries: pd.DataFrame, times: _Times) -> Breach:
    accepted = tries[_granted(tries)].head(1)
    guesses, password = None, None
    if len(accepted):
        password = _word(accepted["tag_password"].iloc[0])
        guesses = int((~tries["repeated"] & (tries["time"] <= accepted["time"].iloc[0])).sum())
    proof = _proof(attack, accepted, times)
    return Breach(account=account, guesses=guesses, password=password, **_origin(attack), **proof._asdict())


def _answered_call(
    attack: "pd.Series", dialled: str, calls: pd.DataFrame, times: _Times, ends: "pd.Series[pd.Timestamp]"
) -> AnsweredCall:
    proof = _proof(attack, calls.head(1), times)
    return AnsweredCall(
        dialled=dialled,
        wanted=wanted_number(dialled, attack["numbers"]),
        talked=_talked(calls.head(1), proof.time, ends),
        times=max(len(calls), 1),
        **_origin(attack),
        **proof._asdict(),
    )


def _origin(attack: "pd.Series") -> dict[str, Any]:
    return {"source": str(attack["source"]), "campaign": _word(attack["campaign"])}


def _proof(attack: "pd.Series", request: pd.DataFrame, times: _Times) -> _Proof:
    """Return the response that granted the request; without one, what the attack calls decisive."""
    if len(request):
        capture, packet = _word(request["capture"].iloc[0]), request["answer_packet"].iloc[0]
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


def _call_ends(messages: pd.DataFrame, calls: pd.DataFrame) -> "pd.Series[pd.Timestamp]":
    """Return when the first BYE of each call was captured, by Call-ID."""
    byes = (
        (messages["method"] == "BYE") & messages["status"].isna() & messages["call_id"].isin(calls["call_id"].dropna())
    )
    return messages[byes].groupby("call_id")["time"].min()


def _talked(call: pd.DataFrame, answered: pd.Timestamp | None, ends: "pd.Series[pd.Timestamp]") -> float | None:
    end = None if call.empty else ends.get(call["call_id"].iloc[0])
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


def _within(requests: pd.DataFrame, attack: "pd.Series") -> pd.DataFrame:
    """Return the requests that were sent while the attack lasted; all if it does not say when it did."""
    start, end = attack["start"], attack["end"]
    since = pd.isna(start) | (requests["time"] >= start - MARGIN)
    until = pd.isna(end) | (requests["time"] <= end + MARGIN)
    lasting: pd.DataFrame = requests[since & until]
    return lasting


def _granted(requests: pd.DataFrame) -> "pd.Series[bool]":
    return requests["answer"].between(SUCCESS.start, SUCCESS.stop - 1).fillna(False).astype("bool")


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _when(finding: Breach | AnsweredCall) -> tuple[bool, pd.Timestamp]:
    return finding.time is None, finding.time or pd.Timestamp(0, tz="UTC")
