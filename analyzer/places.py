"""Where an address is from, offline: its country and its network, by databases that the user has.

A database is a MaxMind DB file (MMDB), read with the library of its makers, which opens no connection; with the Python
half of it, because the compiled half (3.2.0) crashes on some damaged files. The layouts of GeoLite2 and GeoIP2
(Country, City, ASN, ISP, Enterprise), DB-IP, IPinfo, IPLocate and IPtoASN are understood.

None comes with this package: the data of GeoLite2 may not be passed on freely, and any other is out of date
within weeks. What a database says of an address is its maker's opinion, and no evidence.
"""

import mmap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.addresses import MAPPED, WIDTH, Ranges, pack, spans
from analyzer.errors import SettingsError, UnavailableError
from analyzer.regions import region_name
from analyzer.tables import SOURCES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from maxminddb.decoder import Decoder
    from maxminddb.reader import Metadata
    from numpy.typing import NDArray

    from analyzer.addresses import Packed

NOT_PUBLIC = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
    "::/3", "2001::/23", "2001:db8::/32", "3fff::/20", "4000::/2", "8000::/1",
)  # fmt: skip
"""Networks whose addresses are nowhere: private, reserved, multicast, for documentation (IANA's special-purpose
registries, RFC 6890); of IPv6 all but global unicast, 2000::/3 (RFC 4291 2.4)."""
KEYS = (
    "country", "country_code", "iso_code", "registered_country", "asn", "as_number", "autonomous_system_number",
)  # fmt: skip
"""The fields of which a database must hold one; the name of a field is in the file as MMDB writes a short text."""
NO_CODES = {"ZZ", "XX", "EU", "AP"}
"""What stands for no country: codes of the user's own (ISO 3166-1), and of whole continents in old databases."""
LAST_ASN = 2**32 - 1
LONGEST = 200
"""Characters of a name that are kept at most."""
IP_VERSIONS = {4: 32, 6: 128}
"""The bits of an address in a search tree of each version."""
SEPARATOR = 16
"""Bytes between the search tree and the records (MaxMind DB format, "Data Section Separator")."""
DAMAGED = "the database is damaged; download it again"
_SUFFIXES = {".gz", ".tgz", ".zip", ".xz", ".zst", ".bz2", ".tar"}


class Place(NamedTuple):
    """Where an address is from; what is not known is None."""

    country: str | None = None
    country_name: str | None = None
    asn: int | None = None
    network: str | None = None


NOWHERE = Place()


@dataclass(frozen=True, eq=False)
class Database:
    """One open MMDB file.

    Its search tree is walked for all addresses at once, each record that they lead to is decoded once.
    """

    file: str
    decoder: "Decoder"
    tree: "NDArray[np.uint8]"
    """The search tree as bytes; shape (nodes, bytes of a node)."""
    bits: int
    """32 for a tree of IPv4 addresses, 128 for IPv6 addresses with IPv4 addresses among them."""
    of_networks: bool
    """Whether it is about networks rather than countries, by its type."""

    def look_up(self, packed: "Packed") -> list[Place]:
        """Return the place of each packed address (see analyzer.addresses).

        Raises SettingsError if the file turns out to be damaged.
        """
        import numpy as np

        address = packed.view(np.uint8).reshape(-1, WIDTH)
        is_four = (address[:, : len(MAPPED)] == np.frombuffer(MAPPED, np.uint8)).all(axis=1)
        leaf = np.full(len(packed), len(self.tree), np.int64)
        leaf[is_four] = self._walk(address[is_four, len(MAPPED) :], self._first_of_four())
        if self.bits == 128:
            leaf[~is_four] = self._walk(address[~is_four], 0)
        distinct, position = np.unique(leaf, return_inverse=True)
        places = [self._read(record) for record in distinct.tolist()]
        return [places[at] for at in position.tolist()]

    def _first_of_four(self) -> int:
        """Return the node, or the record, at which IPv4 addresses begin: ::/96 of a tree of IPv6 addresses."""
        import numpy as np

        zeros = np.zeros((1, (self.bits - 32) // 8), np.uint8)
        return int(self._walk(zeros, 0)[0])

    def _walk(self, address: "NDArray[np.uint8]", start: int) -> "NDArray[np.int64]":
        """Return the record, or the node, that the bytes of each address lead to from the node start."""
        import numpy as np

        node = np.full(len(address), start, np.int64)
        going = np.arange(len(address))
        for bit in range(8 * address.shape[1]):
            going = going[node[going] < len(self.tree)]
            if not len(going):
                break
            right = (address[going, bit // 8] >> (7 - bit % 8)) & 1
            node[going] = _children(self.tree[node[going]], right.astype(np.bool_))
        return node

    def _read(self, record: int) -> Place:
        nodes = len(self.tree)
        if record == nodes:
            return NOWHERE
        try:
            if record < nodes:
                raise ValueError("a leaf that is a node")
            return _place(self.decoder.decode(record - nodes + self.tree.size)[0])
        except _damage() as error:
            raise SettingsError(DAMAGED, file=self.file) from error


def _children(nodes: "NDArray[np.uint8]", right: "NDArray[np.bool_]") -> "NDArray[np.int64]":
    """Return one of the two records of each node, of 24, 28 or 32 bits (MaxMind DB format, "Node Layout")."""
    import numpy as np

    node = nodes.astype(np.int64)
    half = node.shape[1] // 2
    if node.shape[1] != 7:
        record = np.where(right[:, None], node[:, half:], node[:, :half])
        return np.asarray(np.bitwise_or.reduce(record << (8 * np.arange(half - 1, -1, -1)), axis=1), np.int64)
    record = np.where(right[:, None], node[:, 4:], node[:, :3])
    high = np.where(right, node[:, 3] & 15, node[:, 3] >> 4)
    return (high << 24) | (record[:, 0] << 16) | (record[:, 1] << 8) | record[:, 2]


@dataclass(frozen=True, eq=False)
class Places:
    """Databases, asked in turn: the first that knows an address's country names it, and so with its network.

    Databases of networks are asked last, because the country that some of them give is that of the organisation.
    """

    databases: tuple[Database, ...] = ()

    @cached_property
    def _not_public(self) -> Ranges:
        networks = [ip_network(network) for network in NOT_PUBLIC]
        ends = [(network.network_address, network.broadcast_address) for network in networks]
        return Ranges.of((*span, 0) for first, last in ends for span in spans(first, last))

    def locate(self, addresses: Iterable[object]) -> list[Place]:
        """Return the place of each address; NOWHERE for private and reserved ones, and for what is no address.

        Raises SettingsError if a database turns out to be damaged.
        """
        import numpy as np

        packed, known = pack(addresses)
        public = known & (self._not_public.find(packed) < 0)
        distinct, position = np.unique(packed[public], return_inverse=True)
        found = [NOWHERE] * len(distinct)
        for database in self.databases:
            found = [_joined(*pair) for pair in zip(found, database.look_up(distinct), strict=True)]
        located = iter(position.tolist())
        return [found[next(located)] if is_public else NOWHERE for is_public in public.tolist()]

    def place_of(self, address: str) -> Place:
        """Return the place of one address, as locate() does."""
        return self.locate([address])[0]


def _joined(one: Place, other: Place) -> Place:
    """Return the country of one, else of the other; and the network of one, else of the other."""
    if one is NOWHERE:
        return other
    country = one if one.country else other
    network = one if one.asn or one.network else other
    return Place(country.country, country.country_name, network.asn, network.network)


def load_places(*files: str | Path) -> Places:
    """Open MMDB files, of countries, networks or both.

    Raises:
        SettingsError: a file cannot be read, is no MMDB file, or one about something else.
        UnavailableError: the package maxminddb is not installed.
    """
    opened = [_open(Path(file)) for file in files]
    return Places(tuple(sorted(opened, key=lambda database: database.of_networks)))


def place_sources(sources: "pd.DataFrame", places: Places) -> "pd.DataFrame":
    """Return sources with their country and network, missing where the databases know none.

    Raises SettingsError if a database turns out to be damaged.
    """
    import pandas as pd

    if not places.databases:
        return SOURCES.conform(sources, missing=True)
    found = pd.DataFrame(places.locate(sources["source"].astype("str")), columns=Place._fields, index=sources.index)
    return SOURCES.conform(sources.assign(**{name: found[name] for name in Place._fields}), missing=True)


def _open(file: Path) -> Database:
    try:
        import maxminddb
    except ModuleNotFoundError as error:
        raise UnavailableError(
            "where addresses are from needs the Python package 'maxminddb'; install it with pip"
        ) from error
    if not file.exists():
        raise SettingsError("there is no such database; check its path", file=file)
    if not file.is_file():
        raise SettingsError("the database must be a file, because it is read at random", file=file)
    if file.suffix.lower() in _SUFFIXES:
        raise SettingsError("the database is packed; unpack it and name the .mmdb file", file=file)
    try:
        with maxminddb.open_database(file, maxminddb.MODE_MMAP) as reader:
            return _database(file, reader.metadata())
    except OSError as error:
        raise SettingsError(f"the database cannot be read ({error.strerror}); check its path", file=file) from error
    except _damage() as error:
        raise SettingsError("this is no MaxMind DB file (.mmdb), or a damaged one", file=file) from error


def _database(file: Path, about: "Metadata") -> Database:
    import numpy as np
    from maxminddb.decoder import Decoder

    kind = str(about.database_type)[:LONGEST]
    with file.open("rb") as stream:
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    if not any(data.find(bytes([0x40 | len(key)]) + key.encode()) >= 0 for key in KEYS):
        raise SettingsError(
            f"a database of the type {kind!a} says neither country nor network; name another", file=file
        )
    size = about.search_tree_size
    return Database(
        file=str(file),
        decoder=Decoder(data, size + SEPARATOR),
        tree=np.frombuffer(data, np.uint8, size).reshape(about.node_count, about.record_size // 4),
        bits=IP_VERSIONS[about.ip_version],
        of_networks="asn" in kind.casefold() and "country" not in kind.casefold(),
    )


def _damage() -> tuple[type[Exception], ...]:
    """Return what the library raises when it reads a damaged file."""
    from maxminddb import InvalidDatabaseError

    return InvalidDatabaseError, ValueError, LookupError, TypeError, AttributeError, OverflowError


def _place(record: object) -> Place:
    """Return what a record says, whatever the layout of its maker."""
    if not isinstance(record, Mapping):
        return NOWHERE
    code, name = _country(record)
    asn, network = _network(record)
    if asn is None and isinstance(record.get("traits"), Mapping):
        asn, network = _network(record["traits"])
    return Place(code, (region_name(code) or name) if code else None, asn, network)


def _country(record: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return code and name of the country of use, else of registration."""
    for key in ("country", "registered_country"):
        value = record.get(key)
        if isinstance(value, Mapping):
            names = value.get("names")
            name = names.get("en") if isinstance(names, Mapping) else value.get("name")
            if code := _code(value.get("iso_code") or value.get("code")):
                return code, _text(name)
    country = record.get("country")
    code = _code(record.get("country_code")) or _code(country)
    name = record.get("country_name") or (country if _code(country) is None else None)
    return code, _text(name)


def _network(record: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Return number and organisation of the autonomous system."""
    values = record.get("asn")
    fields = values if isinstance(values, Mapping) else record
    number = next((fields[key] for key in ("autonomous_system_number", "as_number", "asn") if key in fields), None)
    names = ("autonomous_system_organization", "as_organization", "as_name", "org", "organization", "name")
    organisation = next((text for key in names if (text := _text(fields.get(key)))), None)
    asn = _asn(number)
    return (asn, organisation) if asn else (None, None)


def _asn(value: object) -> int | None:
    """Return the number of an autonomous system, written 64496 or AS64496; 0 is what is not routed (RFC 7607)."""
    if isinstance(value, str):
        digits = value.strip().upper().removeprefix("AS")
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None
    return value if type(value) is int and 0 < value <= LAST_ASN else None


def _code(value: object) -> str | None:
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if len(code) == 2 and code.isascii() and code.isalpha() and code not in NO_CODES else None


def _text(value: object) -> str | None:
    return value.strip()[:LONGEST] or None if isinstance(value, str) else None
