"""What detectors look at, and what they hand in: opening requests in, findings out.

An opening request asks for something new: it is outside any dialog (RFC 3261 12) and no ACK or CANCEL,
which only follow up. All opening requests of one source without a rest between them are a bout; detectors
judge bouts, and `describe()` turns the rows that convinced them into rows of the attacks table.
"""

from datetime import timedelta
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd

from analyzer.dialling import leads_abroad, take_apart
from analyzer.sip.transactions import CHALLENGES
from analyzer.tables import ATTACKS, OUTCOMES

REST = timedelta(hours=24)
"""The silence that ends a bout."""
FOLLOW_UPS = ("ACK", "CANCEL", "PRACK", "UPDATE", "BYE")
"""The methods that only make sense after another request (RFC 3261, 3262, 3311)."""
NAMED = 0.6
"""How sure the recognition of a tool must be for an attack to name it."""
LENGTHS = 24
"""The longest token whose length is its maker's habit; longer ones carry data (SIPVicious: the guess)."""
WITNESSES = 10
"""How many requests an attack shows as evidence, each with its answer."""

SWEEPING = 8
"""The targets of one bout beyond which it is networks, not hosts, that it has in common with others."""
LINKED = 200
"""How many requests of a bout are asked for what ties it to others."""

NO_REPLY, REJECTED, REPLIED, CHALLENGED, ACCOUNTS_FOUND, RANG, ANSWERED, BREACHED = range(len(OUTCOMES))

_COLUMNS = (
    "time", "capture", "packet", "transport", "source", "source_port", "destination", "destination_port", "method",
    "uri", "uri_user", "from_name", "from_user", "from_host", "from_tag", "to_user", "call_id", "cseq", "via_host",
    "branch", "contact", "expires", "user_agent", "subject", "authorized", "auth_user", "layout", "sdp_origin",
    "sdp_session", "media", "tool", "tool_confidence", "tag_target", "tag_account", "tag_password", "answer",
    "answer_packet", "rang", "repeated", "pursued", "from_server",
)  # fmt: skip


def opening_requests(messages: pd.DataFrame, *, rest: timedelta = REST) -> pd.DataFrame:
    """Return the opening requests, by source and time, with what detectors ask of each.

    Beside columns of the messages table:
    `bout` (int64) numbers the bouts; `account` (category) is whose account it is about: the To user of a
    REGISTER, the request-URI's user otherwise; `level` (int8) is the outcome, an index of OUTCOMES;
    `accepted` (bool): credentials, or a REGISTER without, were accepted.
    """
    opening = messages["status"].isna() & messages["method"].notna() & ~messages["in_dialog"]
    opening &= ~messages["method"].isin(FOLLOW_UPS)
    requests = messages.loc[opening, list(_COLUMNS)].sort_values(["source", "time", "packet"], kind="stable")
    requests = requests.reset_index(drop=True)
    source = requests["source"].cat.codes
    begins = (source != source.shift()) | (requests["time"].diff() > pd.Timedelta(rest))
    register = requests["method"] == "REGISTER"
    success = requests["answer"].between(200, 299).fillna(value=False).astype(bool)
    return requests.assign(
        bout=begins.cumsum().astype("int64"),
        account=_account(requests, register),
        level=_level(requests, success),
        accepted=success & (requests["authorized"] | register),
    )


def _account(requests: pd.DataFrame, register: "pd.Series[bool]") -> "pd.Series[Any]":
    to_user, uri_user = requests["to_user"].astype("str"), requests["uri_user"].astype("str")
    return to_user.where(register, uri_user.fillna(to_user)).astype("category")


def _level(requests: pd.DataFrame, success: "pd.Series[bool]") -> "pd.Series[Any]":
    answer = requests["answer"].fillna(0).astype("int64")
    level = np.select(
        [
            success & (requests["method"] == "INVITE"),
            requests["rang"] & (requests["method"] == "INVITE"),
            answer.isin(CHALLENGES),
            success,
            answer > 0,
        ],
        [ANSWERED, RANG, CHALLENGED, REPLIED, REJECTED],
        NO_REPLY,
    )
    return pd.Series(level, index=requests.index, dtype="int8")


def dialled_calls(requests: pd.DataFrame) -> pd.DataFrame:
    """Return the INVITEs that dial a number, but for those of servers, with the columns number, prefix and abroad.

    The column wanted says of each number whether anybody dialled it with a prefix that leads abroad.
    """
    calls = requests[(requests["method"] == "INVITE") & ~requests["from_server"] & requests["uri_user"].notna()]
    dialled = calls["uri_user"].astype("str")
    parts = take_apart(dialled.unique())
    calls = calls[dialled.isin(list(parts))]
    dialled = calls["uri_user"].astype("str")
    wanted = {part.number for part in parts.values() if leads_abroad(part.prefix)}
    return calls.assign(
        number=dialled.map({text: part.number for text, part in parts.items()}).astype("str"),
        prefix=dialled.map({text: part.prefix for text, part in parts.items()}).astype("str"),
        abroad=dialled.map({text: part.abroad for text, part in parts.items()}).astype(bool),
        wanted=dialled.map({text: part.number in wanted for text, part in parts.items()}).astype(bool),
    )


def per_bout(requests: pd.DataFrame, mask: "pd.Series[bool]", column: str) -> "pd.Series[Any]":
    """Return how many distinct values column has among the masked rows of each bout (0 where there are none)."""
    pairs = requests.loc[mask, ["bout", column]].drop_duplicates().dropna()
    return pairs.groupby("bout").size().reindex(pd.Index(requests["bout"].unique(), name="bout"), fill_value=0)


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
    telling = rows.sort_values(["bout", "level", "time"], ascending=[True, False, True], kind="stable")
    decisive = telling.drop_duplicates("bout").set_index("bout")
    attacks = bout.agg(start=("time", "min"), end=("time", "max"), messages=("time", "size"))
    attacks["kind"] = kind
    attacks["technique"] = technique
    attacks["confidence"] = confidence.reindex(attacks.index).clip(0, 1)
    attacks[["source", "capture"]] = decisive[["source", "capture"]].astype("str")
    attacks["outcome"] = [OUTCOMES[level] for level in decisive["level"]]
    attacks["decisive"] = decisive["answer_packet"].fillna(decisive["packet"])
    attacks["evidence"] = _evidence(telling, decisive["capture"])
    attacks["tool"] = _tool(rows)
    attacks["keys"] = lists(rows["bout"], link_keys(rows))
    for name, values in _listed(rows, accounts).items():
        attacks[name] = lists(rows["bout"], values)
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
    nothing = pd.Series([None] * len(rows), index=rows.index, dtype="str")
    account = rows[accounts].astype("str") if accounts else nothing
    number = rows["number"].astype("str") if "number" in rows else nothing
    guess = rows["tag_account"].astype("str") + ":" + rows["tag_password"].astype("str")
    return {
        "targets": rows["destination"].astype("str"),
        "accounts": account,
        "numbers": number,
        "prefixes": rows["prefix"].astype("str").where(rows["prefix"] != "") if "prefix" in rows else nothing,
        "passwords": guess,
        "found": account.where(rows["found"]) if "found" in rows else nothing,
        "breached": account.where(rows["breached"]) if "breached" in rows else nothing,
        "answered": rows["uri_user"].astype("str").where(rows["level"] == ANSWERED) if "number" in rows else nothing,
    }


def lists(bouts: "pd.Series[Any]", values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return the sorted distinct values of each bout as a list; missing values and empty lists are left out."""
    pairs = pd.DataFrame({"bout": bouts.reindex(values.index), "value": values}).dropna().drop_duplicates()
    return runs(pairs.sort_values(["bout", "value"]), "bout", "value")


def runs(table: pd.DataFrame, key: str, value: str) -> "pd.Series[Any]":
    """Return the values of each run of equal keys in a sorted table as a list, indexed by key."""
    if table.empty:
        return pd.Series(dtype="object")
    keys, values = table[key].to_numpy(), table[value].tolist()
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    ends = np.append(begins[1:], len(values))
    return pd.Series([values[begin:end] for begin, end in zip(begins, ends, strict=True)], index=keys[begins])


def _evidence(telling: pd.DataFrame, capture: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return the packets of the most telling requests, and of their answers, in the decisive capture."""
    here = telling[telling["capture"].astype("str").to_numpy() == capture.astype("str").loc[telling["bout"]].to_numpy()]
    shown = here[here.groupby("bout").cumcount() < WITNESSES]
    packets = pd.concat([shown.set_index("bout")["packet"], shown.set_index("bout")["answer_packet"]]).dropna()
    packets = packets.astype("int64").rename("packet").reset_index().drop_duplicates()
    return runs(packets.sort_values(["bout", "packet"]), "bout", "packet")


def _tool(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return the tool that most of the bout's messages give away."""
    known = rows[rows["tool_confidence"].fillna(0) >= NAMED]
    counts = known.groupby(["bout", "tool"], observed=True).size().rename("size").reset_index()
    best = counts.sort_values(["bout", "size", "tool"], ascending=[True, False, True]).drop_duplicates("bout")
    return best.set_index("bout")["tool"].astype("str")


def link_keys(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return the link keys of the rows, several per row on the same index: what may tie attacks together.

    Kinds, see analyzer.campaigns: number, leak, setup (a leak and a handwriting), token, decoded, identity, account
    (and its target), handwriting (and its target). All but the numbers are taken from the first requests of each
    bout: a source does not change its set-up on the way.
    """
    first = rows[rows.groupby("bout").cumcount() < LINKED]
    hand = handwriting(first)
    leaks = _leaks(first)
    written = "handwriting:" + hand + "@" + _target(rows, first)
    if "shy" in rows:
        written = written[~first["shy"]]
    keys = [
        "leak:" + leaks[~leaks.isin(_BUILT_IN)],
        "setup:" + leaks + "/" + hand.reindex(leaks.index),
        _tokens(first),
        _decoded(first),
        _identities(first),
        written,
    ]
    if "guessed" in rows:
        # With the handwriting: a telephone whose own account is attacked, and that errs once, is no attacker.
        owner = first["account"].astype("str") + "@" + first["destination"].astype("str") + "/" + hand
        keys.append("account:" + owner[first["guessed"]].dropna())
    if "number" in rows:
        keys.append("number:" + rows["number"].astype("str").dropna())
    return pd.concat(keys)


def _target(rows: pd.DataFrame, first: pd.DataFrame) -> "pd.Series[Any]":
    """Return whom each of the first requests was sent to: the network, where the bout sweeps (a /24, or a /64)."""
    destination = first["destination"].astype("str")
    wide = per_bout(rows, rows["bout"] > 0, "destination") > SWEEPING
    network = {address: _network(address) for address in destination.unique()}
    return destination.mask(first["bout"].map(wide).astype(bool), destination.map(network).astype("str"))


def _network(address: str) -> str:
    from ipaddress import ip_network

    try:
        return str(ip_network((address, 64 if ":" in address else 24), strict=False))
    except ValueError:
        return address


def _leaks(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return the addresses that give the sender's own set-up away: neither the packet's nor the target's."""
    fields = [rows[name].astype("str") for name in ("via_host", "contact", "sdp_origin", "media")]
    hosts = pd.concat([field.str.extract(_ADDRESS, expand=False).dropna() for field in fields])
    own = rows["source"].astype("str").reindex(hosts.index), rows["destination"].astype("str").reindex(hosts.index)
    foreign = hosts[(hosts != own[0]) & (hosts != own[1])]
    telling = {host: _tells(host) for host in foreign.unique()}
    return foreign[foreign.map(telling).astype(bool)]


_ADDRESS = r"(?:^|@|//|sip:|\s|\[)((?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f.:]*)"
_DEFAULTS = {"1.1.1.1", "127.0.0.1", "127.0.1.1", "0.0.0.0", "255.255.255.255"}  # noqa: S104
"""Addresses that tools and hosts write when they know no better: they tie nobody to anybody."""
_BUILT_IN = {"192.168.1.9", "192.168.1.45"}
"""Addresses that came with a tool (sundayddr, Mr.SIP): they tie its users only together with their handwriting."""


def _tells(host: str) -> bool:
    from ipaddress import ip_address

    try:
        address = ip_address(host)
    except ValueError:
        return False
    return host not in _DEFAULTS and not (address.is_loopback or address.is_unspecified or address.is_multicast)


_FIXED = {"3206210844", "70c00e8c", "root", "foo"}
"""Tokens that are the same in every copy of a tool (svcrack, Metasploit, nmap): they tie nobody to anybody."""


def _tokens(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return branches and tags that several sources use, in different calls: the work of one program's author."""
    keys = []
    for name in ("branch", "from_tag"):
        uses = rows[["source", "call_id", name]].dropna().drop_duplicates()
        uses = uses[uses[name].duplicated(keep=False)]
        counts = uses.astype({"source": "str"}).groupby(name).nunique()
        shared = counts.index[(counts["source"] > 1) & (counts["call_id"] > 1)].difference(list(_FIXED))
        keys.append("token:" + rows[name].astype("str")[rows[name].isin(shared)])
    return pd.concat(keys)


def _decoded(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return the targets that a SIPVicious tag names though the packet went elsewhere (a NAT, or an anonymiser)."""
    target = rows["tag_target"].astype("str").dropna()
    elsewhere = target.str.rsplit(":", n=1).str[0].str.strip("[]") != rows["destination"].astype("str").reindex(
        target.index
    )
    return "decoded:" + target[elsewhere]


_COMMON_NAMES = {
    "sipvicious", "nmap nse", "sipsak", "sipp", "sip", "sipsscuser", "sipssc", "asterisk", "anonymous", "unknown",
    "unavailable", "test", "user", "admin", "root", "nm", "smap", "tester", "sivus", "caller", "guest", "ping",
    "monitor", "monitoring", "nagios", "keepalive", "keep-alive", "options", "probe", "heartbeat", "federation",
    "trunk", "gateway", "proxy", "server", "kamailio", "opensips", "freeswitch", "check", "qualify", "dispatcher",
}  # fmt: skip
"""Names that tools write by default or that everybody uses: they tie nobody to anybody."""


def _identities(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return the made-up identity: a From user that is a word, with its display name."""
    user, name = rows["from_user"].astype("str"), rows["from_name"].astype("str").fillna("")
    wordy = user.str.contains(r"[A-Za-z]", na=False) & ~user.str.lower().isin(_COMMON_NAMES) & (user.str.len() >= 4)
    same_as_account = (user == rows["to_user"].astype("str")) & (rows["method"].astype("str") == "REGISTER")
    return ("identity:" + user + "|" + name)[wordy & ~same_as_account]


def handwriting(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return a digest of how each request is written, whatever its sender claims to be."""
    hand = rows["layout"].astype("str").fillna("")
    for name in ("branch", "from_tag", "call_id"):
        hand = hand + "|" + token_shape(rows[name])
    digests = {text: blake2b(text.encode(errors="replace"), digest_size=6).hexdigest() for text in hand.unique()}
    return hand.map(digests).astype("str")


def token_shape(tokens: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return the shape of each token: its fixed beginning, alphabet and (unless decimal) length, host part apart.

    Who wrote a message chose how to make its tokens; these shapes survive another User-Agent.
    """
    text = tokens.astype("str").fillna("")
    cookie = text.str.extract(r"^(z9hG4bK(?:Pj)?[-.]?)", expand=False).fillna("")
    local = text.str.replace(r"^z9hG4bK(?:Pj)?[-.]?", "", regex=True).str.split("@", n=1).str[0]
    length = local.str.len().astype("str")
    alphabet = pd.Series("x", index=text.index).astype("str")
    for sign, pattern in reversed(_ALPHABETS.items()):
        alphabet = alphabet.mask(local.str.fullmatch(pattern), sign)
    length = length.mask(alphabet.isin(["decimal", "empty"]) | (local.str.len() > LENGTHS), "")
    return cookie + alphabet + length + text.str.contains("@", regex=False).map({True: "@", False: ""})


_ALPHABETS = {
    "empty": "",
    "decimal": r"[0-9]+",
    "hex": r"[0-9a-f]+",
    "HEX": r"[0-9A-F]+",
    "uuid": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "lower": r"[a-z]+",
    "word": r"[0-9a-z]+",
    "Word": r"[0-9A-Za-z]+",
}
"""The alphabets that stacks make their tokens of, narrowest first."""


def ordinary_keys(requests: pd.DataFrame, accused: "pd.Series[Any]") -> frozenset[str]:
    """Return the link keys that customers carry too: who had credentials accepted, or is a server, and is not accused.

    Args:
        requests: the opening requests.
        accused: the sources of attacks that are sure: what a thief carries is no customer's habit.
    """
    customer = (requests["accepted"] & requests["authorized"]) | requests["from_server"]
    customer &= ~requests["source"].isin(accused)
    rows = requests[customer.groupby(requests["bout"]).transform("any")]
    return frozenset(link_keys(rows).unique())
