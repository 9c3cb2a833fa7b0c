"""Addresses to networks: which may be blocked at all, and which are so full of attackers that all of it is."""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from analyzer.addresses import Address, Network

if TYPE_CHECKING:
    from analyzer.allow import AllowList

WIDEST = {4: 24, 6: 64}
"""The shortest prefix of a network that is blocked whole; a customer has an IPv6 /64 (RFC 6177)."""
LEAST = 3
"""The attackers that a network to be blocked whole must have."""
ATTACKING = 0.5
"""The share of the sources seen in it that must attack."""
FILLED = 1 / 16
"""The share of its addresses that must attack, of an IPv4 network: three in a /24 say nothing of the others."""


def as_network(entry: str) -> Network:
    """Return an address or a network as a network; raise ValueError if it is neither."""
    return ip_network(entry)


def reservation(source: str, *, private: bool) -> str | None:
    """Return why an address is not for a firewall to block; None if it may be.

    With private=True, private and reserved addresses may be; those without which no machine works never.
    """
    try:
        address = ip_address(source)
    except ValueError:
        return "it is no IP address"
    address = getattr(address, "ipv4_mapped", None) or address
    for kind in ("unspecified", "loopback", "link_local", "multicast"):
        if getattr(address, f"is_{kind}"):
            return f"{kind.replace('_', '-')} address"
    if str(address) == "255.255.255.255":
        return "broadcast address"
    if address.is_global or private:
        return None
    return "not an address of the public internet"


def summarise(
    attackers: Mapping[Network, str],
    others: Callable[[], Mapping[str, bool]],
    allow: "AllowList",
    *,
    private: bool,
) -> tuple[dict[Network, list[Network]], dict[Network, list[Network]]]:
    """Return what to block, with the attackers in it; and the networks that only an allowed address saves.

    Args:
        attackers: the addresses to block, as networks.
        others: called for every other address that was seen, and whether it may be innocent; only if there is a
            network that might be blocked whole.
        allow: the known-good addresses.
        private: whether private and reserved addresses may be blocked.
    """
    families: dict[Network, list[Network]] = {}
    for attacker in attackers:
        families.setdefault(_widest(attacker), []).append(attacker)
    crowded = {family: members for family, members in families.items() if len(members) >= LEAST}
    grouping = _Grouping(_by_family(others(), set(crowded)) if crowded else {}, allow, private=private)
    for family, members in families.items():
        if family in crowded:
            grouping.divide(family if family.version == 6 else _around(members), sorted(members), family)
        else:
            grouping.whole.update({member: [member] for member in members})
    return grouping.whole, grouping.saved


def _widest(address: Network) -> Network:
    return address.supernet(new_prefix=WIDEST[address.version])


def _by_family(others: Mapping[str, bool], families: set[Network]) -> dict[Network, list[tuple[Address, bool]]]:
    """Return the other addresses that lie in some of the widest networks, by network."""
    found: dict[Network, list[tuple[Address, bool]]] = {}
    for text, innocent in others.items():
        try:
            address = ip_address(text)
        except ValueError:
            continue
        family = _widest(ip_network(address))
        if family in families:
            found.setdefault(family, []).append((address, innocent))
    return found


def _around(members: Iterable[Network]) -> Network:
    """Return the smallest network that holds all of some addresses."""
    numbers = [int(member.network_address) for member in members]
    network = next(iter(members))
    differing = (min(numbers) ^ max(numbers)).bit_length()
    return network.supernet(new_prefix=network.max_prefixlen - differing)


class _Grouping:
    """Networks, halved until they are to be blocked whole or hold too few attackers."""

    def __init__(
        self, others: Mapping[Network, list[tuple[Address, bool]]], allow: "AllowList", *, private: bool
    ) -> None:
        self._others, self._allow, self._private = others, allow, private
        self.whole: dict[Network, list[Network]] = {}
        self.saved: dict[Network, list[Network]] = {}

    def divide(self, network: Network, members: list[Network], family: Network) -> None:
        """Take a network whole if it may be, else what is in its halves."""
        if len(members) < LEAST:
            self.whole.update({member: [member] for member in members})
            return
        if self._guilty(network, members, family):
            if not self._allow.overlaps(network):
                self.whole[network] = members
                return
            if not any(network.subnet_of(other) for other in self.saved if other.version == network.version):  # type: ignore[arg-type]
                self.saved[network] = members
        for half in network.subnets():
            part = [member for member in members if member.subnet_of(half)]  # type: ignore[arg-type]
            if part:
                self.divide(_around(part), part, family)

    def _guilty(self, network: Network, members: list[Network], family: Network) -> bool:
        """Say whether a network is full of attackers, and nobody who may be innocent was seen in it."""
        seen = [innocent for address, innocent in self._others.get(family, ()) if address in network]
        if any(seen) or len(members) < ATTACKING * (len(members) + len(seen)):
            return False
        if network.version == 4 and len(members) < FILLED * network.num_addresses:
            return False
        return all(
            reservation(str(edge), private=self._private) is None
            for edge in (network.network_address, network.broadcast_address)
        )


def ranges(networks: Iterable[Network]) -> list[Network]:
    """Return networks with those of prefix length 0 halved, which some firewalls do not take."""
    return [half for network in networks for half in (network.subnets() if not network.prefixlen else [network])]
