"""What ties attacks together: the link keys of requests, as 'kind:value'.

Kinds, see analyzer.campaigns: number, leak, setup (a leak and a handwriting), token, decoded, identity, account (and
its target), script (a handwriting of no known tool, and the network of its target), handwriting (and its target). All
but the numbers are taken from the first requests of each bout: a source does not change its set-up on the way.
Columns are compared as codes; a key is written once for each bout that has it.
"""

import re
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.grouping import MISSING, coded, pairs, place, told
from analyzer.handwriting import handwriting
from analyzer.sip.hashing import ABSENT, Hasher

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Hashes = NDArray[np.uint64]
    Coded = tuple[NDArray[np.int64], pa.Array]
    """A code per row, negative where there is nothing, and the texts by code."""

SWEEPING = 8
"""The targets of one bout beyond which it is networks, not hosts, that it has in common with others."""
OWN_ACCOUNTS = 2
"""The most accounts that one telephone has."""
KNOWN = 0.6
"""How sure the recognition of a tool must be for its handwriting to be that of many users."""
LINKED = 200
"""How many requests of a bout are asked for what ties it to others."""

LINKING = (
    "bout", "source", "destination", "method", "from_name", "from_user", "from_host", "from_tag", "to_user", "call_id",
    "via_host", "branch", "contact", "layout", "sdp_origin", "media", "tool", "tool_confidence", "tag_target",
    "account",
)  # fmt: skip
"""The columns of opening requests in which there may be what ties them to others."""
SAID_OF_THEM = ("number", "guessed", "shy")
"""The columns that some of those who ask add."""

_TEXT = pa.large_string()
_ADDRESS = re.compile(r"(?:^|@|//|sip:|\s|\[)((?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f.:]*)")
_DEFAULTS = {"1.1.1.1", "127.0.0.1", "127.0.1.1", "0.0.0.0", "255.255.255.255"}  # noqa: S104
"""Addresses that tools and hosts write when they know no better: they tie nobody to anybody."""
_BUILT_IN = {"192.168.1.9", "192.168.1.45"}
"""Addresses that came with a tool (sundayddr, Mr.SIP): they tie its users only together with their handwriting."""
_HOUSEHOLD = tuple(
    map(
        ip_network,
        (
            "192.168.0.0/23", "192.168.2.0/24", "192.168.8.0/24", "192.168.10.0/24", "192.168.43.0/24",
            "192.168.50.0/24", "192.168.86.0/24", "192.168.88.0/24", "192.168.100.0/24", "192.168.178.0/24",
            "10.0.0.0/23", "10.1.1.0/24", "172.16.0.0/23", "172.17.0.0/24", "172.20.10.0/28",
        ),
    )
)  # fmt: skip
"""Networks that routers, hot spots and containers have from the factory: many who have never met live in them."""
_FIXED = {"3206210844", "70c00e8c", "root", "foo"}
"""Tokens that are the same in every copy of a tool (svcrack, Metasploit, nmap): they tie nobody to anybody."""
_COMMON_NAMES = {
    "sipvicious", "nmap nse", "sipsak", "sipp", "sip", "sipsscuser", "sipssc", "asterisk", "anonymous", "unknown",
    "unavailable", "test", "user", "admin", "root", "nm", "smap", "tester", "sivus", "caller", "guest", "ping",
    "monitor", "monitoring", "nagios", "keepalive", "keep-alive", "options", "probe", "heartbeat", "federation",
    "trunk", "gateway", "proxy", "server", "kamailio", "opensips", "freeswitch", "check", "qualify", "dispatcher",
}  # fmt: skip
"""Names that tools write by default or that everybody uses: they tie nobody to anybody."""


def link_keys(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the link keys of opening requests: the columns bout (int64) and key (str), each pair once.

    The optional columns of rows are number (what was dialled), guessed (bool: credentials that were refused) and shy
    (bool: how it is written says nothing).
    """
    early = (rows.groupby("bout").cumcount() < LINKED).to_numpy()
    asked = rows[[name for name in (*LINKING, *SAID_OF_THEM) if name in rows]]
    first = _First(asked if early.all() else asked[early])
    keys = [*first.leaks(), *first.tokens(), first.decoded(), first.identity()]
    keys += [first.written(_wide(rows)), *first.script()]
    if "guessed" in rows:
        keys.append(first.account())
    if "number" in rows:
        keys.append(_keys(rows["bout"].to_numpy(), "number:", coded(rows["number"])))
    bouts = np.concatenate([bout for bout, _ in keys])
    texts = pa.chunked_array([text for _, text in keys], _TEXT)
    table = pd.DataFrame({"bout": bouts, "key": pd.array(texts.combine_chunks(), dtype="str")}, copy=False)
    return table.drop_duplicates()


def _keys(bouts: "Numbers", *parts: "str | Coded") -> "tuple[Numbers, pa.Array]":
    """Return the distinct pairs of a bout and a key; a key is its parts, joined, and none if one of them is missing."""
    columns = [part for part in parts if not isinstance(part, str)]
    together = np.zeros(len(bouts), np.int64)
    there = np.ones(len(bouts), np.bool_)
    for codes, texts in columns:
        there &= codes >= 0
        together = pd.factorize(together * (len(texts) + 1) + codes)[0]
    bout, key = pairs(bouts, np.where(there, together, MISSING))
    examples = np.zeros(int(together.max(initial=MISSING)) + 1, np.int64)
    examples[together] = np.arange(len(together))
    used, key = np.unique(key, return_inverse=True)
    rows = examples[used]
    told = [
        pa.scalar(part, _TEXT) if isinstance(part, str) else part[1].take(pa.array(part[0][rows])) for part in parts
    ]
    written = pc.binary_join_element_wise(*told, pa.scalar("", _TEXT)) if len(used) else pa.array([], _TEXT)
    return bout, written.take(pa.array(key))


def _wide(rows: pd.DataFrame) -> "NDArray[np.bool_]":
    """Say of each bout, by its number, whether it sweeps."""
    bouts = rows["bout"].to_numpy()
    targets, _ = pairs(bouts, coded(rows["destination"])[0])
    return np.bincount(targets, minlength=int(bouts.max(initial=0)) + 1) > SWEEPING


def _stacked(*columns: "Coded") -> "Coded":
    """Return columns, one below the other, with the texts of all."""
    words = pa.concat_arrays([texts for _, texts in columns]).dictionary_encode()
    number = np.append(words.indices.to_numpy(), MISSING).astype(np.int64)
    shifts = np.cumsum([0, *(len(texts) for _, texts in columns)])
    codes = [
        number[np.where(codes < 0, MISSING, codes + shift)] for (codes, _), shift in zip(columns, shifts, strict=False)
    ]
    return np.concatenate(codes), words.dictionary


class _First:
    """The first requests of each bout, their columns as codes."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows
        self._bout = rows["bout"].to_numpy()
        self._source, self._destination = coded(rows["source"]), coded(rows["destination"])

    @cached_property
    def _hand(self) -> "Coded":
        return coded(pd.Series(handwriting(self._rows)))

    def leaks(self) -> "list[tuple[Numbers, pa.Array]]":
        """Return the addresses that give the sender's own set-up away: neither the packet's nor the target's."""
        columns = [coded(self._rows[name]) for name in ("via_host", "contact", "sdp_origin", "media")]
        hosts, texts = _stacked(*(told(column, _address) for column in columns))
        row = np.tile(np.arange(len(self._rows)), len(columns))
        row, hosts = row[hosts >= 0], hosts[hosts >= 0]
        for codes, own in (self._source, self._destination):
            foreign = hosts != place(own, texts)[codes[row]]
            row, hosts = row[foreign], hosts[foreign]
        leaked, hosts = told((hosts, texts), lambda host: host if _tells(host) else None), texts
        hand, hands = self._hand
        own_set_up = told(leaked, lambda host: None if host in _BUILT_IN or in_household(host) else host)
        bout = self._bout[row]
        return [_keys(bout, "leak:", own_set_up), _keys(bout, "setup:", leaked, "/", (hand[row], hands))]

    def tokens(self) -> "list[tuple[Numbers, pa.Array]]":
        """Return branches and tags that several sources use, in different calls: the work of one program's author."""
        hasher = Hasher()
        call, *tokens = (hasher.column(self._rows[name]) for name in ("call_id", "branch", "from_tag"))
        return [self._token(*use) for use in zip(("branch", "from_tag"), tokens, [call, call], strict=True)]

    def _token(self, name: str, token: "Hashes", call: "Hashes") -> "tuple[Numbers, pa.Array]":
        source = self._source[0]
        numbers, distinct = pd.factorize(token)
        uses = np.flatnonzero((token != ABSENT) & (source >= 0) & (call != ABSENT))
        used = numbers[uses]
        example = np.zeros(len(distinct), np.int64)
        example[used] = uses
        shared = np.ones(len(distinct), np.bool_)
        for column in (source, call):
            varied = np.zeros(len(distinct), np.bool_)
            varied[used[column[uses] != column[example[used]]]] = True
            shared &= varied
        rows = np.flatnonzero(shared[numbers])
        texts = coded(self._rows[name].take(rows))
        return _keys(self._bout[rows], "token:", told(texts, lambda text: None if text in _FIXED else text))

    def decoded(self) -> "tuple[Numbers, pa.Array]":
        """Return the targets that a SIPVicious tag names though the packet went elsewhere (a NAT, or an anonymiser)."""
        target, texts = coded(self._rows["tag_target"])
        hosts, names = told((target, texts), lambda text: text.rsplit(":", 1)[0].strip("[]"))
        codes, own = self._destination
        elsewhere = (codes < 0) | (place(names, own)[hosts] != codes)
        return _keys(self._bout, "decoded:", (np.where(elsewhere, target, MISSING), texts))

    def identity(self) -> "tuple[Numbers, pa.Array]":
        """Return the made-up identity: a From user that is a word, with its display name."""
        user, texts = coded(self._rows["from_user"])
        name, names = coded(self._rows["from_name"])
        account, accounts = coded(self._rows["to_user"])
        register = (self._rows["method"] == "REGISTER").to_numpy()
        own = register & (user >= 0) & (place(accounts, texts)[account] == user)
        wordy = told((np.where(own, MISSING, user), texts), lambda text: text if _is_made_up(text) else None)
        name = np.where(name < 0, len(names), name)
        return _keys(self._bout, "identity:", wordy, "|", (name, pa.concat_arrays([names, pa.array([""], _TEXT)])))

    def written(self, wide: "NDArray[np.bool_]") -> "tuple[Numbers, pa.Array]":
        """Return the handwriting with whom it was sent to: the network (a /24, or a /64) where the bout sweeps."""
        hosts, names = self._destination
        sweeping = wide[self._bout]
        networks = told((np.where(sweeping, hosts, MISSING), names), _network)
        both, texts = _stacked((np.where(sweeping, MISSING, hosts), names), networks)
        target = np.maximum(both[: len(hosts)], both[len(hosts) :])
        hand, hands = self._hand
        if "shy" in self._rows:
            hand = np.where(self._rows["shy"].to_numpy(), MISSING, hand)
        return _keys(self._bout, "handwriting:", (hand, hands), "@", (target, texts))

    def script(self) -> "list[tuple[Numbers, pa.Array]]":
        """Return the handwriting of no known tool, with the method and the network asked, of who pretends.

        Everybody can have a known tool; a script is its author's. Who sends one message may have drawn tokens that
        look like those of a narrower alphabet: so there is a key without alphabets, too.
        """
        pretending = pretends(self._rows) & (self._rows["tool_confidence"].fillna(0) < KNOWN).to_numpy()
        if "shy" in self._rows:
            pretending &= ~self._rows["shy"].to_numpy()
        coarse = coded(pd.Series(handwriting(self._rows, coarse=True)))
        asked = coded(self._rows["method"]), "@", told(self._destination, _network)
        return [
            _keys(self._bout, "script:", (np.where(pretending, hand, MISSING), hands), "/", *asked)
            for hand, hands in (self._hand, coarse)
        ]

    def account(self) -> "tuple[Numbers, pa.Array]":
        """Return the accounts that were guessed at, each with its target.

        With the handwriting: a telephone whose own account is attacked, and that errs once, is no attacker.
        """
        account, accounts = coded(self._rows["account"])
        account = np.where(self._rows["guessed"].to_numpy(), account, MISSING)
        return _keys(self._bout, "account:", (account, accounts), "@", self._destination, "/", self._hand)


def pretends(rows: pd.DataFrame) -> "NDArray[np.bool_]":
    """Say which requests come from an address of record at an address that is not the sender's.

    From is the caller's own address of record (RFC 3261 8.1.1.3): a stranger's is elsewhere.
    """
    source, sources = coded(rows["source"])
    host, hosts = told(coded(rows["from_host"]), _literal)
    return (host >= 0) & (host != place(sources, hosts)[source])


def _address(text: str) -> str | None:
    """Return the first address in a text."""
    found = _ADDRESS.search(text)
    return found[1] if found else None


def _literal(host: str) -> str | None:
    """Return the address that a host of a SIP URI is, without its port; None for a name."""
    address = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    try:
        return str(ip_address(address))
    except ValueError:
        return None


def _network(address: str) -> str:
    try:
        return str(ip_network((address, 64 if ":" in address else 24), strict=False))
    except ValueError:
        return address


def _tells(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return host not in _DEFAULTS and not (address.is_loopback or address.is_unspecified or address.is_multicast)


def in_household(host: str) -> bool:
    """Say whether an address is one that many networks have from the factory."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _HOUSEHOLD)


def _is_made_up(user: str) -> bool:
    return len(user) >= 4 and user.lower() not in _COMMON_NAMES and re.search("[A-Za-z]", user) is not None
