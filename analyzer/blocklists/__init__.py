"""Decisions to firewalls: each file here writes the rules of one family of programs.

A format is a callable `write(rules) -> str`. It gets networks, times and comments; only comments hold text from the
wire, and `comment()` leaves nothing in them that means anything to any of these programs.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from analyzer.addresses import Network
from analyzer.blocklists.comments import iso
from analyzer.errors import SettingsError
from analyzer.exports.files import open_whole
from analyzer.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.allow import AllowList
    from analyzer.blocking import Blocks

BLOCK, ALLOW = "block", "allow"
MODES = (BLOCK, ALLOW)
SIP_PORTS = (5060, 5061)
"""Where SIP is spoken unless said otherwise (RFC 3261 19.1.2)."""
MOST_PORTS = 15
"""Ports that a rule of iptables names at most."""
STANDARD_OUTPUT = "-"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One network, until when it is meant, and why; the reason is text from the wire, not yet fit for a comment."""

    network: Network
    until: datetime | None = None
    seconds: int | None = None
    """Whole seconds from the making of the list to its end; at least 1."""
    last: datetime | None = None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a format writes: rules to block, or to allow and nobody else."""

    mode: str
    now: datetime
    rules: tuple[Rule, ...]
    ports: tuple[int, ...] = SIP_PORTS
    """The ports that only the allowed may send to; without a meaning where networks are blocked."""
    table: "pd.DataFrame | None" = None
    """The entries as a table, for the formats that hold it."""
    held: "pd.DataFrame | None" = None
    """Who was held back."""

    def of(self, version: int) -> list[Rule]:
        """Return the rules of one version of IP."""
        return [rule for rule in self.rules if rule.network.version == version]

    @property
    def title(self) -> str:
        """What the list is, when it was made, and how many entries it has."""
        what = "block-list" if self.mode == BLOCK else "allow-list"
        return f"sipscope {what}, made {iso(self.now)}, entries: {len(self.rules)}"


class BlockFormat(Protocol):
    """Writes rules in the language of one program."""

    def __call__(self, rules: Rules) -> str:
        """Return the rules as text that ends in a line feed."""


FORMATS: Registry[BlockFormat] = Registry(
    "block-list format",
    {
        "plain": "analyzer.blocklists.lists:write_plain",
        "nftables": "analyzer.blocklists.netfilter:write_nftables",
        "ipset": "analyzer.blocklists.netfilter:write_ipset",
        "iptables": "analyzer.blocklists.netfilter:write_iptables",
        "pf": "analyzer.blocklists.bsd:write_pf",
        "fail2ban": "analyzer.blocklists.fail2ban:write_fail2ban",
        "fail2ban-filter": "analyzer.blocklists.fail2ban:write_fail2ban_filter",
        "mikrotik": "analyzer.blocklists.routers:write_mikrotik",
        "cisco": "analyzer.blocklists.routers:write_cisco",
        "csv": "analyzer.blocklists.lists:write_csv",
        "json": "analyzer.blocklists.lists:write_json",
    },
)
BLOCK_ONLY = ("fail2ban", "fail2ban-filter")
"""The formats of programs that cannot allow some and stop all others."""


def rules_to_block(blocks: "Blocks") -> Rules:
    """Return the rules that a decision comes to."""
    entries = blocks.entries
    return Rules(
        mode=BLOCK,
        now=blocks.now,
        rules=tuple(
            Rule(
                network=network,
                until=until.to_pydatetime(warn=False),
                seconds=max(1, ceil((until - blocks.now).total_seconds())),
                last=last.to_pydatetime(warn=False),
                why=why,
            )
            for network, until, last, why in zip(
                blocks.networks, entries["until"], entries["last"], entries["why"], strict=True
            )
        ),
        table=entries,
        held=blocks.held,
    )


def rules_to_allow(allow: "AllowList", now: datetime, ports: Iterable[int] = SIP_PORTS) -> Rules:
    """Return the rules that let the known-good addresses alone send to SIP ports.

    Raises SettingsError if none is known, or there are too many ports.
    """
    ports = tuple(ports)
    if len(set(ports)) > MOST_PORTS:
        raise SettingsError(f"at most {MOST_PORTS} ports can be guarded; name fewer")
    networks = allow.networks()
    if not networks:
        raise SettingsError("an allow-list that is empty would stop everybody; name the known-good addresses")
    return Rules(
        mode=ALLOW,
        now=now,
        rules=tuple(Rule(network=network, why=allow.overlapping(network)[0].name) for network in networks),
        ports=tuple(sorted(set(ports))),
    )


def write_rules(rules: Rules, *, format: str) -> str:  # noqa: A002
    """Return rules in a format, as text.

    Raises SettingsError for an unknown format, and for one that cannot say what is meant.
    """
    write = FORMATS[format]
    if rules.mode == ALLOW and format in BLOCK_ONLY:
        able = ", ".join(name for name in FORMATS if name not in BLOCK_ONLY)
        raise SettingsError(f"{format} cannot let some through and stop all others; choose from {able}")
    return write(rules)


def save(text: str, path: str | Path = STANDARD_OUTPUT) -> None:
    """Write text to a file, whole or not at all, or to standard output; SettingsError if it cannot be written."""
    if str(path) == STANDARD_OUTPUT:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    with open_whole(path) as file:
        file.write(text.encode())


def as_json(value: object) -> str:
    """Return a value as JSON text in ASCII, indented, that ends in a line feed."""
    return json.dumps(value, indent=2) + "\n"
