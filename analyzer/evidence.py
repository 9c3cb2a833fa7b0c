"""What detectors look at, and what they hand in: opening requests in, findings out.

An opening request asks for something new: it is outside any dialog (RFC 3261 12) and no ACK or CANCEL,
which only follow up. All opening requests of one source without a rest between them are a bout; detectors
judge bouts, and `describe()` turns the rows that convinced them into rows of the attacks table.
"""

import re
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analyzer.dialling import Dialled, leads_abroad, take_apart
from analyzer.grouping import (
    MISSING,
    any_in,
    categorical,
    coded,
    codes_of,
    count_distinct,
    lists,
    merged,
    numbered,
    pairs,
    place,
    runs,
    sort_ranks,
    sorted_lists,
    told,
)
from analyzer.links import LINKING, link_keys
from analyzer.sip.transactions import CHALLENGES
from analyzer.tables import ATTACKS, OUTCOMES

REST = timedelta(hours=24)
"""The silence that ends a bout."""
FOLLOW_UPS = ("ACK", "CANCEL", "PRACK", "UPDATE", "BYE")
"""The methods that only make sense after another request (RFC 3261, 3262, 3311)."""
NAMED = 0.6
"""How sure the recognition of a tool must be for an attack to name it."""
WITNESSES = 10
"""How many requests an attack shows as evidence, each with its answer, whatever they say."""
SHOWN = 50
"""The values of each list of SHOWING for which an attack shows a request more, and its answer."""
SHOWING = ("numbers", "prefixes", "found", "breached", "answered")
"""The lists of an attack that claim something of the target, or of what was wanted from it."""

WALKED = 3
"""Accounts refused from which on a bout walks through them, if more are refused than accepted."""
REFUSED = (400, 401, 403, 404, 407, 603)
"""What servers answer to credentials that they do not accept (Asterisk, Kamailio, FreeSWITCH, Cisco)."""
REFUSED_AT_ONCE = (403, 404, 603)
"""What they answer to an account that they do not know, without asking for credentials."""

NO_REPLY, REJECTED, REPLIED, CHALLENGED, ACCOUNTS_FOUND, RANG, ANSWERED, BREACHED = range(len(OUTCOMES))

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Truth = NDArray[np.bool_]
    Coded = tuple[Numbers, pa.Array]
    """A code per row, negative where there is nothing, and the texts by code."""

_COLUMNS = (
    "time", "capture", "packet", "transport", "source", "source_port", "destination", "destination_port", "method",
    "uri", "uri_user", "from_name", "from_user", "from_host", "from_tag", "to_user", "to_host", "call_id", "cseq",
    "via_host", "branch", "contact", "expires", "user_agent", "subject", "authorized", "auth_user", "layout",
    "sdp_origin", "sdp_session", "media", "tool", "tool_confidence", "tag_target", "tag_account", "tag_password",
    "answer", "answer_packet", "rang", "repeated", "pursued", "from_server",
)  # fmt: skip
_TELLING = ("bout", "level", "time", "capture", "packet", "source", "answer_packet")
DESCRIBED = tuple(dict.fromkeys((*_TELLING, *LINKING, "uri_user", "tag_account", "tag_password")))
"""The columns of opening requests that describe() looks at: to take the rows of all takes as long again."""


def opening_requests(messages: pd.DataFrame, *, rest: timedelta = REST) -> pd.DataFrame:
    """Return the opening requests, by source and time, with what detectors ask of each.

    Beside columns of the messages table:
    `bout` (int64) numbers the bouts; `account` (category) is whose account it is about: the To user of a
    REGISTER, the request-URI's user otherwise; `level` (int8) is the outcome, an index of OUTCOMES;
    `accepted` (bool): credentials, or a REGISTER without, were accepted; `mute` (bool): no answer was captured,
    though its source proves to have had some: what became of it is not known.
    """
    opening = messages["status"].isna() & messages["method"].notna() & ~messages["in_dialog"]
    opening &= ~messages["method"].isin(FOLLOW_UPS)
    rows = np.flatnonzero(opening)
    source, time = messages["source"].cat.codes.to_numpy()[rows], _times(messages)[rows]
    order = np.lexsort((messages["packet"].to_numpy()[rows], time, source))
    requests = messages[list(_COLUMNS)].take(rows[order]).reset_index(drop=True)
    source, time = source[order], time[order]
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (source[1:] != source[:-1]) | (time[1:] - time[:-1] > np.timedelta64(rest))
    register = requests["method"] == "REGISTER"
    success = between(requests["answer"], 200, 299)
    own = (register | requests["uri_user"].isna()).to_numpy()
    return requests.assign(
        bout=begins.cumsum(),
        account=merged(requests["uri_user"], requests["to_user"], own),
        level=_level(requests, success.to_numpy()),
        accepted=success & (requests["authorized"] | register),
        mute=_mute(messages)[rows[order]],
    )


def _mute(messages: pd.DataFrame) -> "Truth":
    """Say which requests went to a server of which the source had answers, as it shows, and the capture has none.

    Who sends credentials had a nonce, who hangs up had a call (RFC 3261 22.2, 15.1.1): only the way to the server
    was captured.
    """
    (source, names), (destination, others) = coded(messages["source"]), coded(messages["destination"])
    width = len(names) + len(others) + 1
    there = place(names, others)[source] + 1
    here = place(others, names)[destination] + 1
    request = messages["status"].isna().to_numpy()
    way = np.where(request, (source + 1) * width + destination + 1, here * width + there)
    heard = pd.Index(pd.unique(way[~request & (here > 0) & (there > 0)]))
    telling = request & (messages["authorized"].to_numpy() | (messages["in_dialog"] & (messages["method"] == "BYE")))
    mute = pd.Index(pd.unique(way[telling & (source >= 0) & (destination >= 0)])).difference(heard)
    if mute.empty:
        return np.zeros(len(messages), np.bool_)
    return request & pd.Index(way).isin(mute)


def knows_domain(requests: pd.DataFrame) -> "Truth":
    """Say which requests name one domain in request-URI, To and From: a telephone that was set up by its provider.

    Scanners walk through addresses and have at best the name of one host.
    """
    domain, domains = told(coded(requests["uri"]), _domain)
    named = domain >= 0
    for name in ("to_host", "from_host"):
        host, hosts = told(coded(requests[name]), _bare_host)
        named &= place(hosts, domains)[host] == domain
    return named


_DOMAIN = re.compile(r"sips?:(?:[^@;?>]*@)?([A-Z0-9-]+(?:\.[A-Z0-9-]+)*\.[A-Z]{2,63})(?=[.:;?>]|$)", re.IGNORECASE)


def _domain(uri: str) -> str | None:
    found = _DOMAIN.match(uri)
    return found[1].lower() if found else None


def _bare_host(host: str) -> str:
    return host.partition(":")[0].lower()


TESTERS = ("SIPp",)
"""Tools that load one's own servers."""


def rehearsed(requests: pd.DataFrame) -> "Truth":
    """Say which requests are a load test's: of such a tool, between addresses of one private network.

    Where neither side is a public address nobody needs SIPp to attack: it is what laboratories use.
    """
    tested = requests["tool"].isin(TESTERS).to_numpy(dtype=np.bool_, copy=True)
    if not tested.any():
        return tested
    rows = np.flatnonzero(tested)
    networks = [told(coded(requests[name].take(rows)), _private) for name in ("source", "destination")]
    (here, texts), (there, others) = networks
    tested[rows] = (here >= 0) & (place(texts, others)[here] == there)
    return tested


def is_private(address: str) -> bool:
    """Say whether an address is of a private network (RFC 1918, RFC 4193), or the host's own."""
    return _private(address) is not None


def _private(address: str) -> str | None:
    """Return the private network of an address, as wide as RFC 1918 and RFC 4193 make them."""
    return next((str(network) for network in _INSIDE if _within(address, network)), None)


def _within(address: str, network: "IPv4Network | IPv6Network") -> bool:
    try:
        return ip_address(address) in network
    except ValueError:
        return False


_INSIDE = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128"))
)


PINGS = 10
"""OPTIONS that one server answers, over a time of KEPT, that are a peer's keep-alive."""
KEPT = timedelta(minutes=10)


def peering(requests: pd.DataFrame) -> "Truth":
    """Say which requests are of bouts that keep one server alive with OPTIONS, and are answered: a peer of it.

    A scanner asks each server once. A peer's calls may go wrong: its dial plan is at fault.
    """
    bout = requests["bout"].to_numpy()
    rows = np.flatnonzero((requests["method"] == "OPTIONS").to_numpy() & (requests["level"] == REPLIED).to_numpy())
    key = numbered(bout[rows], codes_of(requests["destination"].take(rows)))
    time = pd.Series(_times(requests)[rows]).groupby(key)
    kept = ((time.size() >= PINGS) & (time.max() - time.min() >= KEPT)).to_numpy(dtype=np.bool_)
    return np.isin(bout, bout[rows][kept[key]])


def mark_cut(requests: pd.DataFrame, anomalies: pd.DataFrame) -> pd.DataFrame:
    """Return opening requests with those mute, too, that have no answer and of which the recorder kept a part only."""
    cut = anomalies[anomalies["reason"] == "cut by snap length"]
    if cut.empty:
        return requests
    shown, packets = packet_keys(requests, cut)
    return requests.assign(mute=requests["mute"] | (np.isin(shown, packets) & requests["answer"].isna().to_numpy()))


def packet_keys(requests: pd.DataFrame, others: pd.DataFrame) -> "tuple[Numbers, Numbers]":
    """Return one number for the packet of each request, and of each row of another table: equal if it is the same.

    Those of captures that have no requests are negative.
    """
    place = requests["capture"].cat.categories.get_indexer(pd.Index(others["capture"].astype("str")))
    numbers = (requests["capture"].cat.codes.to_numpy(), requests), (place, others)
    own, theirs = ((capture.astype(np.int64) << 44) + rows["packet"].to_numpy() for capture, rows in numbers)
    return own, theirs


def _times(rows: pd.DataFrame) -> "NDArray[np.datetime64]":
    return rows["time"].to_numpy(dtype="datetime64[ns]")


def between(numbers: "pd.Series[Any]", least: int, most: int) -> "pd.Series[bool]":
    """Say which numbers are there, and from least to most."""
    known = numbers.to_numpy(dtype=np.int64, na_value=least - 1)
    return pd.Series((known >= least) & (known <= most), index=numbers.index)


def _level(requests: pd.DataFrame, success: "Truth") -> "NDArray[np.int8]":
    answer = requests["answer"].to_numpy(dtype=np.int64, na_value=0)
    invite = (requests["method"] == "INVITE").to_numpy()
    level = np.full(len(requests), NO_REPLY, np.int8)
    level[answer > 0] = REJECTED
    level[success] = REPLIED
    level[np.isin(answer, CHALLENGES)] = CHALLENGED
    level[requests["rang"].to_numpy() & invite] = RANG
    level[success & invite] = ANSWERED
    return level


def dialled_calls(requests: pd.DataFrame) -> pd.DataFrame:
    """Return what the INVITEs that dial a number dial, but for those of servers: bout, number, prefix and abroad.

    The index is that of requests. The column wanted says of each number whether anybody dialled it with a prefix that
    leads abroad.
    """
    calls = ((requests["method"] == "INVITE") & ~requests["from_server"]).to_numpy()
    column = requests["uri_user"]
    codes = np.where(calls, column.cat.codes.to_numpy(), -1)
    dialled = pd.unique(codes[codes >= 0])
    texts = column.cat.categories.take(dialled).tolist()
    parts = _take_apart(tuple(texts))
    place = np.full(len(column.cat.categories) + 1, -1, np.int64)
    place[dialled] = [number if text in parts else -1 for number, text in enumerate(texts)]
    rows = np.flatnonzero(place[codes] >= 0)
    found, at = [parts.get(text, _NOTHING) for text in texts], place[codes[rows]]
    wanted = {part.number for part in found if leads_abroad(part.prefix)}
    return (
        requests[["bout"]]
        .take(rows)
        .assign(
            number=_spread([part.number for part in found], at),
            prefix=_spread([part.prefix for part in found], at),
            abroad=np.array([part.abroad for part in found], np.bool_)[at],
            wanted=np.array([part.number in wanted for part in found], np.bool_)[at],
        )
    )


_NOTHING = Dialled("", "", abroad=False)


@lru_cache(maxsize=1)
def _take_apart(texts: tuple[str, ...]) -> dict[str, Dialled]:
    """Remember what was dialled: several detectors ask for the same requests."""
    return take_apart(texts)


def _spread(texts: list[str], at: "Numbers") -> "pd.Categorical[Any]":
    """Return the texts at each place as a category."""
    codes, words = coded(pd.Series(texts, dtype="str"))
    return categorical(codes[at], words)


def delivered(requests: pd.DataFrame) -> "Truth":
    """Say which requests are calls that a carrier delivers: ever other callers, each a telephone number, one form.

    A carrier hands over calls to the numbers of a customer, also to those that nobody has: always in one form of
    number, without a prefix that leads abroad. Who looks for a way out varies the prefix and has one caller.
    """
    rows = np.flatnonzero((requests["method"] == "INVITE").to_numpy() & requests["uri_user"].notna().to_numpy())
    found = np.zeros(len(requests), np.bool_)
    calls = requests[["bout", "uri_user", "from_user", "call_id"]].take(rows)
    called, caller = (told(coded(calls[name]), number_form)[0] for name in ("uri_user", "from_user"))
    bout = calls["bout"].to_numpy()
    size = int(bout.max(initial=0)) + 1
    same = (calls["uri_user"].astype("str") == calls["from_user"].astype("str")).to_numpy()
    whole = (called >= 0) & (caller >= 0) & ~same
    forms = count_distinct(bout, called, size)
    who = count_distinct(bout, np.where(whole, coded(calls["from_user"])[0], MISSING), size)
    many = count_distinct(bout, coded(calls["call_id"])[0], size)
    carrier = (forms <= 1) & (who >= 0.5 * many) & (np.bincount(bout[~whole], minlength=size) == 0)
    found[rows] = carrier[bout]
    return found


def number_form(number: str) -> str | None:
    """Return in what form a telephone number is written: '+', national ('0') or plain; of others nothing."""
    found = _NUMBER.fullmatch(number)
    return found[1] if found else None


_NUMBER = re.compile(r"(\+|0(?!0)|(?![0+]))[0-9]{8,15}")


def per_bout(requests: pd.DataFrame, mask: "pd.Series[bool]", column: str) -> "pd.Series[Any]":
    """Return how many distinct values column has among the masked rows of each bout (0 where there are none).

    A column of int64 holds codes: negative ones are no values.
    """
    bouts, rows = requests["bout"].to_numpy(), mask.to_numpy(dtype=np.bool_)
    values = requests[column]
    codes = values.to_numpy() if values.dtype == np.int64 else coded(values)[0]
    having, _ = pairs(bouts[rows], codes[rows])
    known = pd.unique(bouts)
    counts = np.bincount(having, minlength=int(bouts.max(initial=0)) + 1)
    return pd.Series(counts[known], index=pd.Index(known, name="bout"))


def describe(
    rows: pd.DataFrame, *, kind: str, technique: str, confidence: "pd.Series[float]", accounts: str | None = "account"
) -> pd.DataFrame:
    """Return one row of the attacks table for each bout in rows, without id and campaign.

    Args:
        rows: the opening requests that the attacks are made of; the optional columns number and prefix
            (what was dialled), found and breached (bool, for the row's account) add to what is told.
        kind: the kind of the attacks.
        technique: MITRE ATT&CK id.
        confidence: from 0 to 1, indexed by bout.
        accounts: the column that names the accounts tried, if any.
    """
    rows = rows.assign(level=_worst(rows))
    bout = rows.groupby("bout")
    order = np.lexsort((_times(rows), -rows["level"].to_numpy(), rows["bout"].to_numpy()))
    telling = rows[list(_TELLING)].take(order)
    listed = {name: coded(values) for name, values in _listed(rows, accounts).items()}
    decisive = telling.drop_duplicates("bout").set_index("bout")
    attacks = bout.agg(start=("time", "min"), end=("time", "max"), messages=("time", "size"))
    attacks["kind"] = kind
    attacks["technique"] = technique
    attacks["confidence"] = confidence.reindex(attacks.index).clip(0, 1)
    attacks[["source", "capture"]] = decisive[["source", "capture"]].astype("str")
    attacks["outcome"] = [OUTCOMES[level] for level in decisive["level"]]
    attacks["decisive"] = decisive["answer_packet"].fillna(decisive["packet"])
    showing = [coded(_named(rows)), *(listed[name] for name in SHOWING if name in listed)]
    attacks["evidence"] = _evidence(telling, [(codes[order], texts) for codes, texts in showing])
    attacks["tool"] = _tool(rows)
    keys = link_keys(rows)
    attacks["keys"] = lists(keys["bout"], keys["key"])
    for name, column in listed.items():
        attacks[name] = sorted_lists(rows["bout"].to_numpy(), *column)
    return ATTACKS.conform(attacks, missing=True)


def _worst(rows: pd.DataFrame) -> "pd.Series[Any]":
    level = rows["level"]
    if "found" in rows:
        level = level.mask(rows["found"] & (level < ACCOUNTS_FOUND), ACCOUNTS_FOUND)
    if "breached" in rows:
        level = level.mask(rows["breached"], BREACHED)
    return level


def _listed(rows: pd.DataFrame, accounts: str | None) -> "dict[str, pd.Series[Any]]":
    """Return, for each list column of the attacks table, its value for each row (missing: none)."""
    account = rows[accounts] if accounts else None
    listed = {
        "targets": rows["destination"],
        "accounts": account,
        "numbers": rows.get("number"),
        "prefixes": rows["prefix"].where(rows["prefix"] != "") if "prefix" in rows else None,
        "passwords": _guesses(rows),
        "found": account.where(rows["found"]) if account is not None and "found" in rows else None,
        "breached": account.where(rows["breached"]) if account is not None and "breached" in rows else None,
        "answered": rows["uri_user"].where(rows["level"] == ANSWERED) if "number" in rows else None,
    }
    return {name: values for name, values in listed.items() if values is not None}


def _guesses(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return 'account:password' where a tag tells both."""
    told = rows["tag_account"].notna() & rows["tag_password"].notna()
    if not told.any():
        return pd.Series(np.nan, index=rows.index, dtype="str")
    return rows["tag_account"].astype("str") + ":" + rows["tag_password"].astype("str")


def _evidence(telling: pd.DataFrame, showing: "list[Coded]") -> "pd.Series[Any]":
    """Return packets of requests, and of their answers, in the capture of the most telling request of each bout.

    They are the most telling requests, and for each value of what is to be shown the most telling that shows it.

    Args:
        telling: the requests by bout, the most telling first.
        showing: columns of telling, as codes.
    """
    bout, capture = telling["bout"].to_numpy(), telling["capture"].cat.codes.to_numpy()
    here = np.flatnonzero(capture == capture[_begins(bout)])
    shown = [here[_places(bout[here]) < WITNESSES], *(here[_witnesses(bout[here], c[here], t)] for c, t in showing)]
    witnesses = telling[["bout", "packet", "answer_packet"]].take(np.unique(np.concatenate(shown)))
    answered = witnesses[witnesses["answer_packet"].notna()]
    bout = np.append(witnesses["bout"].to_numpy(), answered["bout"].to_numpy())
    packet = np.append(witnesses["packet"].to_numpy(), answered["answer_packet"].to_numpy(dtype=np.int64))
    bout, packet = pairs(bout, packet)
    order = np.lexsort((packet, bout))
    return runs(bout[order], packet[order].tolist())


def _witnesses(bout: "Numbers", codes: "Numbers", texts: pa.Array) -> "Numbers":
    """Return where each bout, in the order of bouts, first has each of its values: of the first SHOWN of its list."""
    there = np.flatnonzero(codes >= 0)
    first = there[~pd.Index(bout[there] * (len(texts) + 1) + codes[there]).duplicated()]
    order = np.lexsort((sort_ranks(codes[first], texts), bout[first]))
    return first[order][_places(bout[first[order]]) < SHOWN]


def _places(groups: "Numbers") -> "Numbers":
    """Return the place of each row in its group; the rows of a group lie side by side."""
    return np.arange(len(groups)) - _begins(groups)


def _begins(groups: "Numbers") -> "Numbers":
    """Return where the group of each row begins; the rows of a group lie side by side."""
    begins = np.flatnonzero(np.append(True, groups[1:] != groups[:-1])[: len(groups)])
    return np.repeat(begins, np.diff(np.append(begins, len(groups))))


def _named(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return the tool of each request where it is sure enough to name it."""
    return rows["tool"].where(rows["tool_confidence"].fillna(0) >= NAMED)


def _tool(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return the tool that most of the bout's messages give away."""
    known = rows[rows["tool_confidence"].fillna(0) >= NAMED]
    counts = known.groupby(["bout", "tool"], observed=True).size().rename("size").reset_index()
    best = counts.sort_values(["bout", "size", "tool"], ascending=[True, False, True]).drop_duplicates("bout")
    return best.set_index("bout")["tool"].astype("str")


def walking(requests: pd.DataFrame) -> "Truth":
    """Say which opening requests are of bouts that walk through accounts: more are refused than were ever accepted.

    Credentials that one of them happened to have right make a thief, not a customer.
    """
    asking = ((requests["method"] == "REGISTER") | requests["authorized"]).to_numpy()
    answer = requests["answer"]
    refusing = np.where(requests["authorized"], answer.isin(REFUSED), answer.isin(REFUSED_AT_ONCE)).astype(np.bool_)
    bout, account = requests["bout"].to_numpy(), codes_of(requests["account"])
    size = int(bout.max(initial=0)) + 1
    known = asking & (account >= 0)
    guess = numbered(bout, account)
    accepted = any_in(guess, known & requests["accepted"].to_numpy())
    counts = [
        np.bincount(pairs(bout[rows], account[rows].astype(np.int64))[0], minlength=size)
        for rows in (known & refusing & ~accepted, known & accepted)
    ]
    return ((counts[0] >= WALKED) & (counts[0] > counts[1]))[bout]


def ordinary_keys(requests: pd.DataFrame, accused: "pd.Series[Any]") -> frozenset[str]:
    """Return the link keys that customers carry too: who had credentials accepted, or is a server, and is not accused.

    Args:
        requests: the opening requests.
        accused: the sources of attacks that are sure: what a thief carries is no customer's habit.
    """
    customer = (requests["accepted"] & requests["authorized"] & ~walking(requests)) | requests["from_server"]
    customer &= ~requests["source"].isin(accused)
    rows = requests.loc[requests["bout"].isin(requests.loc[customer, "bout"].unique()), list(LINKING)]
    return frozenset(link_keys(rows)["key"].unique())
