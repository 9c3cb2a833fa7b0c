"""Other addresses, as long as text as the ones that they stand for, and in networks of the same kind.

Crypto-PAn, octet by octet: where it would make a number of more or fewer digits, or lead out of the private networks
or into them, it is asked again with what it made, until it fits (cycle walking: the result is still one to one). Where
all octets before it stayed, no octet stays that has another of its kind: no address is its own name.
Addresses that share their first octets, or the first groups of IPv6, share as many afterwards. So no length changes,
neither of a message nor of a datagram nor of a TCP stream, and what an address says of its kind stays true.
"""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

from analyzer.anonymizing.cryptopan import CryptoPan

KEPT = frozenset({"1.1.1.1", "192.168.1.9", "192.168.1.45", "::", "::1"})
"""What tools and hosts write when they know no better: it is nobody's, and ties nobody to anybody."""
_SPECIAL = frozenset({0, 10, 100, 127, 169, 172, 192, *range(224, 256)})
"""The first octets of networks that are private, shared, or no host's."""
_WHOLE = frozenset({0, 127, *range(224, 256)})
"""The first octets of addresses that stay as they are: this host, loopback, multicast, broadcast."""
_OWN: dict[tuple[int, ...], set[int]] = {
    (169,): {254},
    (192,): {168},
    (172,): set(range(16, 32)),
    (100,): set(range(64, 128)),
}
"""The second octets that make a network of its own kind of one of _SPECIAL."""
_FIXED: dict[tuple[int, ...], set[int]] = {
    (10,): {0, 1},
    (172,): {16, 17, 20},
    (192,): {168},
    (169,): {254},
    (10, 1): {1},
    (172, 17): {0},
    (172, 20): {10},
}
"""Octets that stay, since what follows them is a network that routers come with."""
_TURNED: dict[tuple[int, ...], tuple[tuple[int, ...], ...]] = {
    (192, 168): ((0, 1, 2, 8), (10, 43, 50, 86, 88), (100, 178)),
    (10, 0): ((0, 1),),
    (172, 16): ((0, 1),),
}
"""Third octets of networks that routers come with: one becomes another of them, never itself."""
_HOT_SPOT = (172, 20, 10)
"""Of it, the first 16 addresses are a network that telephones come with."""


class Addresses:
    """Names of addresses by one key."""

    def __init__(self, key: bytes, *, kept: Iterable[str] = ()) -> None:
        """Take a key of 32 bytes, and addresses that stay as they are."""
        self._pan = CryptoPan(key)
        self._turns = key[0] + 256 * key[1]
        self._known: dict[bytes, bytes] = {}
        self._octets: dict[tuple[int, ...], int] = {}
        self._kept = {ip_address(text).packed for text in (*KEPT, *kept)}

    def packed(self, address: bytes) -> bytes:
        """Return the name of an address of 4 or 16 bytes."""
        known = self._known.get(address)
        if known is None:
            known = self._known[address] = self._name(address)
        return known

    @property
    def known(self) -> Mapping[bytes, bytes]:
        """All addresses that were asked for, and their names."""
        return self._known

    def stays(self, address: bytes) -> bool:
        """Say whether an address of 4 or 16 bytes is kept on purpose: it is nobody's, or was to be kept."""
        if len(address) == 4:
            return address in self._kept or address[0] in _WHOLE
        value = IPv6Address(address)
        inner = value.ipv4_mapped
        nobody = value.is_multicast or value.is_loopback or value.is_unspecified
        return address in self._kept or nobody or (inner is not None and self.stays(inner.packed))

    def __call__(self, text: str) -> str:
        """Return the name of an address in the same form and length; text that is no address as it is."""
        return self._ipv6_text(text) if ":" in text else self._ipv4_text(text)

    def _name(self, address: bytes) -> bytes:
        if address in self._kept:
            return address
        name: Callable[[bytes], bytes] = self._ipv4 if len(address) == 4 else self._ipv6
        named = name(address)
        while named in self._kept and named != address:
            named = name(named)
        return named

    # --- IPv4

    def _ipv4(self, address: bytes) -> bytes:
        if address[0] in _WHOLE:
            return address
        return bytes(self._octet(tuple(address[:place]), address[place]) for place in range(4))

    def _octet(self, before: tuple[int, ...], octet: int) -> int:
        """Return what an octet becomes behind others."""
        place = (*before, octet)
        known = self._octets.get(place)
        if known is None:
            known = self._octets[place] = self._turned(before, octet)
        return known

    def _turned(self, before: tuple[int, ...], octet: int) -> int:
        if octet in _FIXED.get(before, ()):
            return octet
        for ring in _TURNED.get(before, ()):
            if octet in ring:
                return ring[(ring.index(octet) + 1 + self._turns % (len(ring) - 1)) % len(ring)]
        if not before and octet in _SPECIAL:
            return octet
        if all(self._octet(before[:place], before[place]) == before[place] for place in range(len(before))):
            kind = _kind(before, octet)
            alike = [other for other in range(256) if _kind(before, other) == kind]
            named = _unsettled({other: self._walked(before, other) for other in alike})
            self._octets.update({(*before, other): turned for other, turned in named.items()})
            return named[octet]
        return self._walked(before, octet)

    def _walked(self, before: tuple[int, ...], octet: int) -> int:
        """Return what Crypto-PAn makes of an octet, asked again until it is of the same kind."""
        prefix, kind, turned = int.from_bytes(bytes(before), "big") << 8, _kind(before, octet), octet
        while True:
            turned = self._pan.turn(prefix | turned, 8 * len(before), 8) & 0xFF
            if _kind(before, turned) == kind:
                return turned

    def _ipv4_text(self, text: str) -> str:
        parts = text.split(".")
        octets = [int(part) if part.isascii() and part.isdigit() and len(part) < 4 else 256 for part in parts]
        if len(octets) != 4 or max(octets) > 255:
            return text
        named = self.packed(bytes(octets))
        return ".".join(str(octet).zfill(len(part)) for octet, part in zip(named, parts, strict=True))

    # --- IPv6

    def _ipv6(self, address: bytes) -> bytes:
        value = IPv6Address(address)
        if value.is_multicast or value.is_loopback or value.is_unspecified:
            return address
        if value.ipv4_mapped or address[:12] == bytes.fromhex("0064ff9b0000000000000000"):
            return address[:12] + self.packed(address[12:])
        first = 4 if address[0] not in (0xFC, 0xFD, 0xFE) else 16
        named = int.from_bytes(address, "big")
        for place in range(first, 128, 4):
            nibble = named >> (124 - place) & 15
            leading = place % 16 == 0 or not named >> (128 - place) & ((1 << place % 16) - 1)
            unchanged = named == int.from_bytes(address, "big")
            turned = self._nibble(address, place, nibble, leading=leading, unchanged=unchanged)
            named ^= (nibble ^ turned) << (124 - place)
        return named.to_bytes(16, "big")

    def _nibble(self, address: bytes, place: int, nibble: int, *, leading: bool, unchanged: bool) -> int:
        """Return what four bits become; a zero that is not written stays one, and what is written stays written."""
        if leading and not nibble:
            return 0
        prefix = int.from_bytes(address, "big") >> (128 - place) << 4
        if unchanged:
            written = range(1 if leading else 0, 16)
            return _unsettled({other: self._walked_nibble(prefix, place, other, leading) for other in written})[nibble]
        return self._walked_nibble(prefix, place, nibble, leading)

    def _walked_nibble(self, prefix: int, place: int, nibble: int, leading: bool) -> int:  # noqa: FBT001
        """Return what Crypto-PAn makes of four bits, asked again until they are written if they were."""
        turned = nibble
        while True:
            turned = self._pan.turn(prefix | turned, place, 4) & 15
            if turned or not leading:
                return turned

    def _ipv6_text(self, text: str) -> str:
        try:
            value = IPv6Address(text.partition("%")[0])
        except ValueError:
            return text
        named = self.packed(value.packed)
        text, sign, zone = text.partition("%")
        head, dotted = text, ""
        if "." in text:
            colon = text.rfind(":") + 1
            head, dotted = text[:colon], str(IPv4Address(named[12:]))
            if len(dotted) != len(text) - colon:  # the last groups were named apart: as digits they may be longer
                dotted = self._ipv4_text(text[colon:])
        groups = head.split(":")
        count = len(groups) - (1 if dotted else 0)
        left = groups.index("") if "" in groups[1:-1] or text.startswith("::") or "::" in head else count
        named_groups = (
            self._group(text, place, left, groups, named, bool(dotted)) for place, text in enumerate(groups)
        )
        return ":".join(named_groups) + dotted + sign + zone

    @staticmethod
    def _group(  # noqa: PLR0913, PLR0917
        group: str, place: int, left: int, groups: list[str], named: bytes, dotted: bool  # noqa: FBT001
    ) -> str:  # fmt: skip
        """Return the name of a group of an IPv6 address as text, as wide as it was."""
        if not group:
            return group
        behind = len(groups) - place - (1 if dotted else 0)
        index = place if place <= left else 8 - (2 if dotted else 0) - behind
        value = int.from_bytes(named[2 * index : 2 * index + 2], "big")
        digits = f"{value:x}".zfill(len(group))
        return digits.upper() if group.upper() == group and group.lower() != group else digits


def _unsettled(turned: dict[int, int]) -> dict[int, int]:
    """Return a permutation of which nothing stays where it is, if there is more than one."""
    settled = [number for number, other in turned.items() if number == other]
    moved = [number for number in turned if number not in settled]
    ring = settled + moved[:1] if len(settled) == 1 else settled
    return turned | {number: turned[other] for number, other in zip(ring, ring[1:] + ring[:1], strict=True)}


def _kind(before: tuple[int, ...], octet: int) -> tuple[object, ...]:
    """Return what must stay the same of an octet: its digits, and whether it makes a network of another kind."""
    digits = len(str(octet))
    if not before:
        return digits, octet in _SPECIAL
    if before == _HOT_SPOT:
        return digits, octet < 16
    special = octet in _OWN.get(before, ()), octet in _FIXED.get(before, ())
    return digits, *special, any(octet in ring for ring in _TURNED.get(before, ()))
