"""Which messages prove an attack, and in what words."""

import difflib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from analyzer.errors import SettingsError
from analyzer.exports.escape import escape
from analyzer.extracting.tracks import Media, flow_key
from analyzer.grouping import is_among

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
        chosen |= _during(messages, attacks)
    else:
        chosen |= _involving(messages, attacks["source"].astype("str").unique())
    if width in (CAMPAIGNS, TARGETS):
        members = analysis.attacks[analysis.attacks["campaign"].isin(attacks["campaign"])]
        chosen |= _involving(messages, members["source"].astype("str").unique())
        if width == TARGETS:
            chosen |= _involving(messages, {target for cell in members["targets"] for target in cell})
    return chosen | is_among(messages["call_id"], messages["call_id"][chosen].unique())


def _involving(messages: pd.DataFrame, addresses: Iterable[str]) -> "Truth":
    """Return which messages were sent by, or to, one of the addresses."""
    known = list(addresses)
    return messages["source"].isin(known).to_numpy() | messages["destination"].isin(known).to_numpy()


def _during(messages: pd.DataFrame, attacks: pd.DataFrame) -> "Truth":
    """Return which messages attackers sent or got while they attacked; each address is looked at once."""
    chosen = np.zeros(len(messages), np.bool_)
    time = messages["time"].astype("int64").to_numpy()
    spans = {
        str(source): (theirs["start"].astype("int64").to_numpy(), theirs["end"].astype("int64").cummax().to_numpy())
        for source, theirs in attacks.sort_values("start").groupby(attacks["source"].astype("str"))
    }
    for name in ("source", "destination"):
        column = messages[name]
        rows = np.flatnonzero(column.isin(list(spans)))
        codes = column.cat.codes.to_numpy()[rows]
        order = np.argsort(codes, kind="stable")
        rows, codes = rows[order], codes[order]
        for part in np.split(rows, np.flatnonzero(np.diff(codes)) + 1) if len(rows) else ():
            starts, ends = spans[str(column.iloc[part[0]])]
            before = np.searchsorted(starts, time[part], "right") - 1
            chosen[part] |= (before >= 0) & (time[part] <= ends[before])
    return chosen


class _Row(NamedTuple):
    """What is told of a message."""

    capture: str
    packet: int
    source: str
    destination: str
    time: int
    method: str | None
    status: int | None
    uri_user: str | None
    to_user: str | None


def _rows(messages: pd.DataFrame, chosen: "Truth") -> Iterator[_Row]:
    at = np.flatnonzero(chosen)
    columns = [messages[name].take(at) for name in _Row._fields if name != "time"]
    told = [column.astype("object").where(column.notna(), None).tolist() for column in columns]
    told.insert(_Row._fields.index("time"), messages["time"].take(at).astype("int64").tolist())
    return map(_Row._make, zip(*told, strict=True))


def explain(messages: pd.DataFrame, chosen: "Truth", attacks: pd.DataFrame) -> dict[str, dict[int, str]]:
    """Return, by capture and packet, why each packet that completes a chosen message is there."""
    spans: dict[str, list[tuple[int, int, str]]] = {}
    decisive: dict[tuple[str, int], Mapping[Hashable, Any]] = {}
    evidence: dict[tuple[str, int], str] = {}
    for attack in attacks.to_dict("records"):
        named = _named(attack)
        spans.setdefault(str(attack["source"]), []).append((attack["start"].value, attack["end"].value, named))
        evidence |= {(attack["capture"], int(number)): named for number in attack["evidence"]}
        if not pd.isna(attack["decisive"]):
            decisive[attack["capture"], int(attack["decisive"])] = attack
    told: dict[str, dict[int, str]] = {}
    for row in _rows(messages, chosen):
        place = row.capture, row.packet
        if place in decisive:
            why = f"{_headline(decisive[place], row)}; {_named(decisive[place])}"
        elif place in evidence:
            why = f"{_shown(row)}; evidence of {evidence[place]}"
        else:
            near = (*spans.get(row.source, ()), *spans.get(row.destination, ()))
            of = (named for start, end, named in near if start <= row.time <= end)
            why = f"{_shown(row)}; {next(of, 'dialog or company of the evidence')}"
        packets = told.setdefault(row.capture, {})
        packets[row.packet] = f"{packets[row.packet]} | {why}" if row.packet in packets else why
    return told


def _named(attack: Mapping[Hashable, Any]) -> str:
    return f"{attack['kind']} by {attack['source']} (attack {attack['attack']}, campaign {attack['campaign']})"


def _shown(row: _Row) -> str:
    """Return a message in a few words."""
    method = "request" if row.method is None else _plain(row.method)
    about = row.to_user if method == "REGISTER" or row.uri_user is None else row.uri_user
    whom = "" if about is None else f" for {_plain(about)}"
    return f"{method}{whom}" if row.status is None else f"{row.status} to {method}{whom}"


def _headline(attack: Mapping[Hashable, Any], row: _Row) -> str:
    """Return what the message that reached an attack's outcome says."""
    answer = _shown(row)
    match attack["outcome"]:
        case "breached":
            account = row.to_user if row.to_user is not None else "; ".join(attack["breached"])
            code = "request" if row.status is None else f"{row.status} to {_plain(row.method)}"
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
    heard = calls["audio"].isin(["two-way", "one-way"]) & calls["answered_at"].notna()
    calls = calls[calls["call_id"].isin(known) & heard]
    found: dict[str, list[Media]] = {}
    if calls.empty or flows.empty:
        return found
    ends = _announced(analysis.messages, calls)
    streams = _streams(flows)
    for call in calls.to_dict("records"):
        start, capture = call["answered_at"] - SLACK, str(call["capture"])
        why = f"audio of the answered call to {_plain(call['dialled'])}"
        near = (stream for end in ends.get(call["call_id"], ()) for stream in streams.get((capture, end), ()))
        for key in sorted({key for key, last in near if last >= start.value}):
            found.setdefault(capture, []).append(Media(key, start.value, why))
    return found


def _streams(flows: pd.DataFrame) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Return the keys of streams of media, each with the time of its last packet, by capture and either end."""
    streams: dict[tuple[str, str], list[tuple[int, int]]] = {}
    sides = ("source", "source_port", "destination", "destination_port")
    flows = flows.astype(dict.fromkeys(("capture", "source", "destination"), "str"))
    ended = flows["end"].astype("int64")
    for capture, last, *ends in zip(flows["capture"], ended, *(flows[side] for side in sides), strict=True):
        source, source_port, destination, destination_port = ends
        key = flow_key(source, source_port, destination, destination_port, protocol=_UDP)
        for end in {_end(source, source_port), _end(destination, destination_port)}:
            streams.setdefault((capture, end), []).append((key, last))
    return streams


def _announced(messages: pd.DataFrame, calls: pd.DataFrame) -> dict[str, set[str]]:
    """Return where the sides of each call asked media to be sent to, as 'address:port'."""
    rows = messages[messages["call_id"].isin(calls["call_id"]) & messages["media"].notna()]
    media = rows["media"].astype("str").groupby(rows["call_id"].astype("str")).agg(set)
    return {str(call): set(ends) for call, ends in media.items()}


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
