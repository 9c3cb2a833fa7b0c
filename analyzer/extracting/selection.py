"""Which messages prove an attack, and in what words."""

import difflib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.errors import SettingsError
from analyzer.exports.escape import escape
from analyzer.extracting.tracks import Media, flow_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.analysis import Analysis

    Truth = NDArray[np.bool_]

DIALOGS, SOURCES, CAMPAIGNS, TARGETS = WIDTHS = (
    "the messages of the attacks and the dialogs that they belong to",
    "all messages of their sources",
    "all messages of the sources of their campaigns",
    "all messages of the targets too",
)
"""How much may be needed until what was found is found again, from the least to the most."""
SUGGESTED = 8
"""How many ids an error lists."""
LONGEST = 120
"""How many characters of one text of the wire a comment shows."""
SLACK = pd.Timedelta("5s")
"""How long before a call is answered its media may begin."""
_UDP = 17


def choose_attacks(
    analysis: "Analysis", *, campaigns: Sequence[str] = (), attacks: Sequence[str] = (), sources: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the rows of the attacks table that are asked for.

    Raises SettingsError for an id or an address that there is none of, and names those that there are.
    """
    table = analysis.attacks
    senders = analysis.messages["source"].cat.categories
    asked = (("campaign", campaigns, table["campaign"]), ("attack", attacks, table["attack"]))
    for kind, names, known in asked:
        _check(kind, names, known.dropna().astype("str").unique().tolist())
    _check("source", sources, senders.tolist(), table["source"].astype("str").unique().tolist())
    chosen = table["campaign"].isin(campaigns) | table["attack"].isin(attacks) | table["source"].isin(sources)
    return table[chosen].reset_index(drop=True)


def _check(kind: str, names: Iterable[str], known: list[str], suggested: list[str] | None = None) -> None:
    """Raise SettingsError for the first name that is not known."""
    for name in names:
        if name in known:
            continue
        offered = known if suggested is None else suggested
        near = difflib.get_close_matches(name, offered, SUGGESTED, 0.5)
        listed = near or offered[:SUGGESTED]
        more = f" and {len(offered) - len(listed):,} more" if len(offered) > len(listed) and not near else ""
        there = {"campaign": "campaigns", "attack": "attacks", "source": "attacking sources"}[kind]
        told = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(listed)}{more}"
        if not offered:
            told = f"these captures have no {there}"
        what = f"no request comes from '{name}'" if kind == "source" else f"there is no {kind} '{name}'"
        raise SettingsError(f"{what}; {told}")


def choose_messages(analysis: "Analysis", attacks: pd.DataFrame, sources: Sequence[str], width: str) -> "Truth":
    """Return which rows of the messages table prove attacks, and all that the named sources sent and got.

    width is one of WIDTHS. The dialogs of what is chosen (the same Call-ID) are always whole.
    """
    messages = analysis.messages
    chosen = _involving(messages, sources)
    if width == DIALOGS:
        time = messages["time"]
        for attack in attacks.to_dict("records"):
            during = ((time >= attack["start"]) & (time <= attack["end"])).to_numpy()
            chosen |= _involving(messages, [attack["source"]]) & during
    else:
        chosen |= _involving(messages, attacks["source"].astype("str").unique())
    if width in (CAMPAIGNS, TARGETS):
        members = analysis.attacks[analysis.attacks["campaign"].isin(attacks["campaign"])]
        chosen |= _involving(messages, members["source"].astype("str").unique())
        if width == TARGETS:
            chosen |= _involving(messages, {target for cell in members["targets"] for target in cell})
    calls = messages["call_id"][chosen].dropna().unique()
    return chosen | messages["call_id"].isin(calls).to_numpy()


def _involving(messages: pd.DataFrame, addresses: Iterable[str]) -> "Truth":
    """Return which messages were sent by, or to, one of the addresses."""
    known = list(addresses)
    return np.array(messages["source"].isin(known) | messages["destination"].isin(known), np.bool_)


def explain(messages: pd.DataFrame, chosen: "Truth", attacks: pd.DataFrame) -> dict[str, dict[int, str]]:
    """Return, by capture and packet, why each packet that completes a chosen message is there."""
    rows = messages[chosen]
    sources = attacks["source"].astype("str")
    own = {source: attacks[sources == source].to_dict("records") for source in sources.unique()}
    decisive = {
        (attack["capture"], int(attack["decisive"])): attack
        for attack in attacks.to_dict("records")
        if not pd.isna(attack["decisive"])
    }
    evidence = {
        (attack["capture"], int(number)): attack
        for attack in attacks.to_dict("records")
        for number in attack["evidence"]
    }
    told: dict[str, dict[int, str]] = {}
    columns = ("capture", "packet", "source", "destination", "time", "method", "status", "uri_user", "to_user")
    for row in rows[list(columns)].itertuples(index=False):
        place = (row.capture, row.packet)
        attack = next(
            (one for end in (row.source, row.destination) for one in own.get(end, ()) if _during(row, one)), None
        )
        said = _shown(row)
        if place in decisive:
            why = f"{_headline(decisive[place], row)}; {_named(decisive[place])}"
        elif place in evidence:
            why = f"{said}; evidence of {_named(evidence[place])}"
        else:
            why = f"{said}; {_named(attack) if attack else 'dialog or company of the evidence'}"
        packets, number = told.setdefault(str(row.capture), {}), int(str(row.packet))
        packets[number] = f"{packets[number]} | {why}" if number in packets else why
    return told


def _during(row: Any, attack: Mapping[Hashable, Any]) -> bool:  # noqa: ANN401
    return bool(attack["start"] <= row.time <= attack["end"])


def _named(attack: Mapping[Hashable, Any]) -> str:
    return f"{attack['kind']} by {attack['source']} (attack {attack['attack']}, campaign {attack['campaign']})"


def _shown(row: Any) -> str:  # noqa: ANN401
    """Return a message in a few words."""
    method = "request" if pd.isna(row.method) else _plain(row.method)
    about = row.to_user if method == "REGISTER" or pd.isna(row.uri_user) else row.uri_user
    whom = "" if pd.isna(about) else f" for {_plain(about)}"
    return f"{method}{whom}" if pd.isna(row.status) else f"{row.status} to {method}{whom}"


def _headline(attack: Mapping[Hashable, Any], row: Any) -> str:  # noqa: ANN401
    """Return what the message that reached an attack's outcome says."""
    answer = _shown(row)
    match attack["outcome"]:
        case "breached":
            account = row.to_user if not pd.isna(row.to_user) else "; ".join(attack["breached"])
            code = "request" if pd.isna(row.status) else f"{row.status} to {row.method}"
            return f"breach: credentials of {_plain(account)} accepted ({code})"
        case "answered":
            return f"answered: the call was put through and taken ({answer})"
        case "rang":
            return f"rang: a telephone was made to ring ({answer})"
        case "accounts-found":
            return f"accounts found: the answer gives an account away ({answer})"
        case outcome:
            return f"{outcome}: the worst that this attack reached ({answer})"


def _plain(text: object) -> str:
    return escape(str(text), limit=LONGEST)


def find_media(analysis: "Analysis", flows: pd.DataFrame, chosen: "Truth") -> dict[str, list[Media]]:
    """Return, by capture, the streams of media of the answered calls among chosen messages."""
    calls = analysis.calls
    known = analysis.messages["call_id"][chosen].dropna().unique()
    calls = calls[calls["call_id"].isin(known) & calls["audio"].isin(["two-way", "one-way"])]
    found: dict[str, list[Media]] = {}
    if calls.empty or flows.empty:
        return found
    ends = _announced(analysis.messages, calls)
    flows = flows.astype(dict.fromkeys(("capture", "source", "destination"), "str"))
    for call in calls.to_dict("records"):
        asked = ends.get(call["call_id"], set())
        start = call["answered_at"] - SLACK
        for flow in flows[flows["capture"] == str(call["capture"])].to_dict("records"):
            sides = {_end(flow[side], flow[f"{side}_port"]) for side in ("source", "destination")}
            if sides & asked and flow["end"] >= start:
                sides_of = flow["source"], flow["source_port"], flow["destination"], flow["destination_port"]
                why = f"audio of the answered call to {_plain(call['dialled'])}"
                media = Media(flow_key(*sides_of, protocol=_UDP), start.value, why)
                found.setdefault(str(call["capture"]), []).append(media)
    return found


def _announced(messages: pd.DataFrame, calls: pd.DataFrame) -> dict[str, set[str]]:
    """Return where the sides of each call asked media to be sent to, as 'address:port'."""
    rows = messages[messages["call_id"].isin(calls["call_id"]) & messages["media"].notna()]
    media = rows["media"].astype("str").groupby(rows["call_id"].astype("str")).agg(set)
    return {str(call): set(ends) for call, ends in media.items()}


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
