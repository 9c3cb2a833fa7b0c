"""The addresses that the user knows to be good, and the names they go by.

An allow-list is a text file with an address, a network or a range on each line, IPv4 or IPv6; what follows `#` is
its name:

    # our offices
    192.0.2.0/24                 # head office
    198.51.100.7                 # monitoring
    203.0.113.10-203.0.113.19    # trunk of the carrier
    2001:db8:77::/48

It names addresses only, because nothing here ever looks up a name. Being on the list hides nothing: an attack
by a customer's telephone that was taken over is worth knowing. `mark_allowed()` says what it changes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
    summarize_address_range,
)
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.addresses import Address, Network, Ranges, pack, spans
from analyzer.errors import SettingsError
from analyzer.tables import SOURCES

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 64 << 20
"""The most bytes that an allow-list may have."""
SHOWN = 60
"""Characters of a line that an error shows at most."""
LONGEST = 200
"""The most characters that an address, a network or a range is written with."""
_LINE_END = re.compile(r"\r\n|\r|\n")
_PORT = re.compile(r"(?P<address>\d+\.\d+\.\d+\.\d+):\d+|\[(?P<address6>[0-9a-fA-F:.]+)\](?::\d+)?")
_NETMASK = re.compile(r"\d+\.\d+\.\d+\.\d+/\d+\.\d+\.\d+\.\d+")
_SHORT_RANGE = re.compile(r"(?P<network>\d+\.\d+\.\d+\.)\d+\s*-\s*(?P<last>\d+)")
_LEADING_ZERO = re.compile(r"(?<![\d])0+(?=\d)")


@dataclass(frozen=True, slots=True)
class Allowed:
    """One line of an allow-list: the addresses from first to last, and what they are called."""

    first: Address
    last: Address
    name: str

    @property
    def size(self) -> int:
        """How many addresses it names."""
        return int(self.last) - int(self.first) + 1


@dataclass(frozen=True)
class AllowList:
    """The known-good addresses; where entries overlap the smallest names the address, of equals the first."""

    entries: tuple[Allowed, ...] = ()

    @cached_property
    def _ranges(self) -> Ranges:
        smallest_first = sorted(range(len(self.entries)), key=lambda position: self.entries[position].size)
        return Ranges.of(
            (*span, position)
            for position in smallest_first
            for span in spans(self.entries[position].first, self.entries[position].last)
        )

    def names(self, addresses: Iterable[object]) -> list[str | None]:
        """Return the name that each address goes by; None for what is not allowed, or is no address."""
        packed, known = pack(addresses)
        owners = self._ranges.find(packed)
        return [
            self.entries[owner].name if good and owner >= 0 else None
            for owner, good in zip(owners.tolist(), known.tolist(), strict=True)
        ]

    def name_of(self, address: str) -> str | None:
        """Return the name that an address goes by; None if it is not allowed."""
        return self.names([address])[0]

    def overlapping(self, network: str | Network) -> list[Allowed]:
        """Return the entries that share an address with a network, in the order of the list.

        An entry all of whose addresses smaller entries name too is left out. A network may have host bits set.
        Raises ValueError if the text is no network.
        """
        network = ip_network(network, strict=False) if isinstance(network, str) else network
        pieces = spans(network.network_address, network.broadcast_address)
        owners = {owner for piece in pieces for owner in self._ranges.meeting(piece).tolist()}
        return [self.entries[owner] for owner in sorted(owners)]

    def overlaps(self, network: str | Network) -> bool:
        """Say whether a network, or an address, holds any allowed address; raises as overlapping()."""
        return bool(self.overlapping(network))

    def networks(self) -> list[Network]:
        """Return the allowed addresses as few networks as can be, IPv4 first, each in order."""
        four: list[IPv4Network] = []
        six: list[IPv6Network] = []
        for entry in self.entries:
            if isinstance(entry.first, IPv4Address) and isinstance(entry.last, IPv4Address):
                four += summarize_address_range(entry.first, entry.last)
            elif isinstance(entry.first, IPv6Address) and isinstance(entry.last, IPv6Address):
                six += summarize_address_range(entry.first, entry.last)
        return [*collapse_addresses(four), *collapse_addresses(six)]


def load_allowed(*files: str | Path) -> AllowList:
    """Return the allow-list that files make together; see the module for their form.

    A file is UTF-8, with or without a byte order mark, its lines ended in any way. An entry without a
    name goes by the addresses as they are written.

    Raises:
        SettingsError: a file cannot be read, or a line is neither an address, nor a network, nor a range; a network
            with host bits set (192.0.2.7/24) is none, because it may mean the network or the address.
    """
    return AllowList(tuple(entry for file in files for entry in _entries(_text(file), file)))


def mark_allowed(sources: "pd.DataFrame", allow: AllowList) -> "pd.DataFrame":
    """Return sources with the names under which they are allowed, and the verdict and its reasons in that light.

    What holds as an attack stays one: its `why` says that the source is allowed, and so must not be blocked but
    looked after. A mere suspicion, which rests on the source being a stranger, ends: its verdict is innocent,
    and `why` still says what was suspected. The reasons of an innocent source begin with its name.
    """
    import pandas as pd

    if not allow.entries:
        return SOURCES.conform(sources, missing=True)
    names = allow.names(sources["source"].astype("str"))
    whys = [
        _why(name, *row) if name else row[1]
        for name, row in zip(
            names, sources[["verdict", "why", "proven"]].itertuples(index=False, name=None), strict=True
        )
    ]
    named = pd.Series(names, index=sources.index, dtype="str")
    verdicts = sources["verdict"].astype("str")
    return SOURCES.conform(
        sources.assign(
            allowed=named,
            why=pd.Series(whys, index=sources.index, dtype="str"),
            verdict=verdicts.mask(named.notna() & (verdicts == "suspicious"), "innocent"),
        ),
        missing=True,
    )


def _why(name: str, verdict: str, why: object, proven: object) -> str:
    """Return the reasons of a verdict on an allowed source."""
    said = why if isinstance(why, str) else ""
    if verdict == "attacking":
        means = "it may have been taken over" if isinstance(proven, str) else "its address may be forged"
        return f"{said}; allowed as {name}: not to be blocked, but {means}"
    if verdict == "suspicious":
        return f"allowed as {name}; of a stranger one would say: {said}"
    return f"allowed as {name}; {said}" if said else f"allowed as {name}"


def _text(file: str | Path) -> str:
    if str(file) == "-":
        raise SettingsError("an allow-list is not read from standard input; name a file", file=file)
    try:
        with Path(file).open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"the allow-list cannot be read ({error.strerror}); check its path", file=file) from error
    if len(data) > MOST_BYTES:
        raise SettingsError(f"an allow-list has at most {MOST_BYTES:,} bytes; is this one?", file=file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError("the allow-list is not UTF-8 text; save it as UTF-8", file=file) from error
    if "\0" in text:
        raise SettingsError("the allow-list holds NUL bytes, so it is no UTF-8 text; save it as UTF-8", file=file)
    return text


def _entries(text: str, file: str | Path) -> Iterable[Allowed]:
    for line, content in enumerate(_LINE_END.split(text), 1):
        written, _, comment = content.partition("#")
        written = written.strip()
        if not written:
            continue
        try:
            first, last = _range(written)
        except ValueError as error:
            raise SettingsError(str(error), file=file, key=f"line {line:,}") from error
        yield Allowed(first=first, last=last, name=comment.strip() or written)


def _range(written: str) -> tuple[Address, Address]:
    """Return the first and the last address of what a line names; raises ValueError with what to write instead."""
    shown = ascii(written[:SHOWN])
    if len(written) > LONGEST:
        raise ValueError(f"{shown} … is too long for an address, a network or a range; correct it")
    if "%" in written:
        raise ValueError(f"{shown} has a zone; leave out '%' and what follows")
    if port := _PORT.fullmatch(written):
        raise ValueError(f"{shown} has a port or brackets; write {port['address'] or port['address6']} alone")
    if "/" in written:
        return _network(written, shown)
    if short := _SHORT_RANGE.fullmatch(written):
        raise ValueError(f"{shown} needs a whole address after '-': {short['network']}{short['last']}")
    first, dash, last = (part.strip() for part in written.partition("-"))
    low, high = _address(first), _address(last if dash else first)
    if low is None or high is None:
        raise ValueError(f"{shown} {_neither(written)}")
    return _ordered(low, high, shown)


def _address(written: str) -> Address | None:
    try:
        address = ip_address(written)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _ordered(first: Address, last: Address, shown: str) -> tuple[Address, Address]:
    if isinstance(first, IPv4Address) != isinstance(last, IPv4Address):
        raise ValueError(f"{shown} goes from one version of IP to another; write a range for each")
    if int(first) > int(last):
        raise ValueError(f"{shown} ends before it begins; write {last}-{first}")
    return first, last


def _network(written: str, shown: str) -> tuple[Address, Address]:
    try:
        network = ip_network(written, strict=False)
        address = ip_address(written.partition("/")[0])
    except ValueError:
        raise ValueError(f"{shown} {_neither(written)}") from None
    if _NETMASK.fullmatch(written):
        raise ValueError(f"{shown} has a mask; write {network}")
    if address != network.network_address:
        raise ValueError(
            f"{shown} may mean a network or an address; write {network} for the network, {address} for the address"
        )
    first, last = network.network_address, network.broadcast_address
    mapped = getattr(first, "ipv4_mapped", None), getattr(last, "ipv4_mapped", None)
    return mapped if all(mapped) else (first, last)  # type: ignore[return-value]


def _neither(written: str) -> str:
    """Return what is wrong with a line that is neither an address, nor a network, nor a range."""
    if "," in written or ";" in written or len(written.split()) > 1:
        return "is more than one thing; write one address, network or range on each line, and its name after '#'"
    without = _LEADING_ZERO.sub("", written)
    if without != written and _address(without) is not None:
        return f"has leading zeros, which some read as octal; write {without}"
    if re.fullmatch(r"[\w.*-]*[g-zG-Z][\w.*-]*", written):
        return "is a name, and no name is ever looked up; write its addresses"
    return "is neither an address, nor a network (192.0.2.0/24), nor a range (192.0.2.1-192.0.2.9); correct it"
