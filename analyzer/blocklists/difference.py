"""What changed since an earlier list, in whatever format that was written."""

import json
import re
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path

from analyzer.addresses import Network
from analyzer.blocking import Blocks
from analyzer.blocklists import Rules
from analyzer.blocklists.comments import comment, iso
from analyzer.blocklists.lists import named
from analyzer.errors import SettingsError

MOST_BYTES = 256 << 20
"""The most bytes that an earlier list may have."""
_SAID = re.compile(r'"[^"\n]*"|#[^\n]*|^\s*(?:!|remark\b)[^\n]*', re.MULTILINE)
"""Comments and quoted text, which never hold an entry; neither has a quote in it."""
_WILDCARD = re.compile(r"(?<=\s)(\d+\.\d+\.\d+\.\d+)\s(\d+\.\d+\.\d+\.\d+)(?=\s)")
_WORD = re.compile(r"[0-9a-fA-F:.]+(?:/\d+)?")


def read_networks(path: str | Path) -> set[Network]:
    """Return the networks of a list that was written before, in any of the formats.

    Raises SettingsError if it cannot be read, or holds none though it says that it has some.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"the earlier list cannot be read ({error.strerror}); check its path", file=path) from error
    if len(data) > MOST_BYTES:
        raise SettingsError(f"an earlier list has at most {MOST_BYTES:,} bytes; is this one?", file=path)
    text = data.decode("utf-8", "replace")
    try:
        networks = set(_networks(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError("this is no list that sipscope block wrote; name one", file=path) from error
    if not networks and text.strip() and not re.search(r"entries: 0\b|^entry,|\"entries\": \[\]", text, re.MULTILINE):
        raise SettingsError("this is no list that sipscope block wrote; name one", file=path)
    return networks


def _networks(text: str) -> Iterator[Network]:
    if text.lstrip().startswith("{"):
        yield from (ip_network(entry["entry"]) for entry in json.loads(text)["entries"])
        return
    if text.startswith("entry,"):
        yield from (ip_network(line.split(",", 1)[0]) for line in text.splitlines()[1:] if line)
        return
    for line in _SAID.sub(" ", text).splitlines():
        yield from _of_line(f"{line} ")


def _of_line(line: str) -> Iterator[Network]:
    """Yield the networks of a line of rules; of IOS, an address and the mask of what may differ."""
    for pair in _WILDCARD.finditer(line):
        yield ip_network(f"{pair[1]}/{32 - int(IPv4Address(pair[2])).bit_length()}")
    for word in re.split(r"[\s,={}]+", _WILDCARD.sub(" ", line)):
        if not _WORD.fullmatch(word) or not (":" in word or word.count(".") == 3):
            continue
        try:
            yield ip_network(word)
        except ValueError:
            continue


def difference(rules: Rules, old: set[Network], blocks: Blocks | None = None) -> str:
    """Return what to add (+) and to remove (-) to come from an earlier list to rules, and why; sorted."""
    new = {rule.network: rule for rule in rules.rules}
    reasons = {} if blocks is None else _reasons(blocks)
    told = []
    for network in sorted(new.keys() | old, key=lambda network: (network.version, network)):
        shown = named(new[network]) if network in new else _text(network)
        if network not in old:
            rule = new[network]
            until = f"until {iso(rule.until)}: " if rule.until else ""
            told.append(f"+ {shown}  {until}{comment(rule.why)}".rstrip())
        elif network not in new:
            told.append(f"- {shown}  {reasons.get(network, 'not on the list any more')}")
    kept = len(new.keys() & old)
    added, removed = len(new.keys() - old), len(old - new.keys())
    return "".join(f"{line}\n" for line in [*told, f"# {added} to add, {removed} to remove, {kept} as before"])


def _reasons(blocks: Blocks) -> dict[Network, str]:
    """Return why addresses were held back, as comments."""
    reasons = {}
    for entry, reason, detail in zip(blocks.held["entry"], blocks.held["reason"], blocks.held["detail"], strict=True):
        try:
            reasons[ip_network(entry)] = comment(f"{reason}: {detail}")
        except ValueError:
            continue
    return reasons


def _text(network: Network) -> str:
    return str(ip_address(network.network_address)) if network.num_addresses == 1 else str(network)
