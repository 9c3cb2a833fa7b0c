"""What is to be renamed in a capture, by its analysis."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from analyzer.anonymizing.names import Names, keeper
from analyzer.anonymizing.sweep import Sweep

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.analysis import Analysis

_USERS = ("from_user", "to_user", "uri_user", "auth_user", "from_name", "tag_account", "tag_password")
_HOSTS = ("from_host", "to_host", "via_host")
_URIS = ("uri", "contact")
_PROGRAMS = ("user_agent", "server")
_ENDS = ("source", "destination")
_HOST = re.compile(r"(?:sips?:|@)(?:[^@;>\s]*@)?(\[[^\]]*\]|[^:;>?\s\",]+)", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]\w+")
_SHORTEST_NUMBER = 8
_LONGEST = 255
"""Whoever writes more writes no name."""


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """The words and addresses of a capture."""

    words: frozenset[str]
    hosts: frozenset[str]
    addresses: frozenset[bytes]
    numbers: frozenset[str]
    kept_addresses: frozenset[str] = frozenset()
    kept_numbers: frozenset[str] = frozenset()
    targets: tuple[str, ...] = field(default=())
    """The IPv6 addresses that packets went to."""

    def name(self, key: bytes) -> tuple[Names, Sweep]:
        """Return the names by a key, and what looks for them."""
        tools = keeper()
        kept = self.kept_numbers
        names = Names(key, kept_addresses=self.kept_addresses, keep=lambda text: text in kept or tools(text))
        names.learn_numbers(self.numbers - kept)
        sweep = Sweep(names)
        sweep.learn(words=self.words, hosts=self.hosts, addresses=self.addresses)
        return names, sweep

    def shared(self, names: Names, addresses: Iterable[bytes]) -> int:
        """Return how many names are originals of the same capture, too; addresses are those in its packets."""
        packed = {
            old: names.address.packed(old) for old in {*self.addresses, *addresses} if not names.address.stays(old)
        }
        texts = {word: names.user(word) for word in self.words if not names.stays(word)}
        texts |= {host: named for host in self.hosts if not names.stays(host) and (named := names.host(host)) != host}
        return len(set(packed.values()) & packed.keys()) + len(set(texts.values()) & texts.keys())


def learn(analysis: "Analysis", *, keep_attackers: bool = False) -> Learnt:
    """Return what is to be renamed; with keep_attackers, without their addresses and the numbers that they wanted."""
    messages = analysis.messages
    users = {text for name in _USERS for text in _distinct(messages[name])}
    hosts = {host for name in _HOSTS for text in _distinct(messages[name]) if (host := _bare(text))}
    hosts |= {host for name in _URIS for text in _distinct(messages[name]) for host in _hosts_in(text)}
    ends = {text for name in _ENDS for text in messages[name].cat.categories}
    ends |= {_bare(text) for text in (*_distinct(messages["media"]), *_distinct(messages["tag_target"]))}
    programs = {
        word.lower() for name in _PROGRAMS for text in _distinct(messages[name]) for word in _WORD.findall(text)
    }
    for origin in _distinct(messages["sdp_origin"]):
        user, _, address = origin.rpartition(" ")
        if user.lower() not in programs:  # many programs write their own name as that of the user
            users.add(user)
        hosts.add(address)
    addresses = {packed for text in ends | hosts if (packed := _packed(text))}
    named = {host for host in hosts if not _packed(host)}
    kept = _kept(analysis) if keep_attackers else (frozenset[str](), frozenset[str]())
    numbers = {text for text in users if sum(map(str.isdigit, text)) >= _SHORTEST_NUMBER}
    return Learnt(
        words=frozenset(filter(None, users)) - kept[1],
        hosts=frozenset(filter(None, named)),
        addresses=frozenset(addresses),
        numbers=frozenset(numbers),
        kept_addresses=kept[0],
        kept_numbers=kept[1],
        targets=tuple(sorted(text for text in ends if ":" in text)),
    )


def _kept(analysis: "Analysis") -> tuple[frozenset[str], frozenset[str]]:
    """Return the addresses of attacking sources, and what was dialled to get the numbers that they wanted."""
    sources = analysis.sources
    attacking = sources.loc[sources["verdict"] == "attacking", "source"].astype("str")
    wanted = {number for cell in analysis.attacks["numbers"] for number in cell}
    dialled = {text for text in _distinct(analysis.messages["uri_user"]) if any(map(text.endswith, wanted))}
    return frozenset(attacking), frozenset(dialled | wanted)


def _distinct(column: "pd.Series[str]") -> Iterable[str]:
    """Return the different texts of a column, in the form that messages are rewritten in: bytes as latin-1."""
    texts = (text.encode("utf-8", "replace").decode("latin-1") for text in column.dropna().astype("str").unique())
    return (text for text in texts if len(text) <= _LONGEST)


def _hosts_in(uri: str) -> Iterable[str]:
    return (_bare(found) for found in _HOST.findall(uri))


def _bare(text: str) -> str:
    """Return a host without its port and brackets."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text if text.count(":") > 1 else text.partition(":")[0]


def _packed(text: str) -> bytes | None:
    try:
        return ip_address(text).packed
    except ValueError:
        return None
