"""Many addresses at once: which of many ranges holds each of them.

An address is kept as 16 bytes, IPv4 as IPv4-mapped IPv6 (RFC 4291 2.5.5.2): bytes sort as addresses do, and
an address is the same in both of its forms. An IPv6 range that is wider than the IPv4-mapped addresses does
not hold them: "::/0" is every IPv6 address, and no IPv4 address.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import pairwise
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Packed: TypeAlias = NDArray[np.bytes_]
    Truth: TypeAlias = NDArray[np.bool_]
    Numbers: TypeAlias = NDArray[np.int64]

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Span: TypeAlias = tuple[int, int]
"""The first and the last address of a range, as 128-bit numbers."""

WIDTH = 16
"""Bytes of a packed address."""
NO_RANGE = -1
MAPPED = b"\0" * 10 + b"\xff\xff"
"""What comes before an IPv4 address."""
_FIRST_MAPPED = int.from_bytes(MAPPED, "big") << 32
_LAST_MAPPED = _FIRST_MAPPED + 2**32 - 1


def pack(addresses: Iterable[object]) -> "tuple[Packed, Truth]":
    """Return addresses as 16 bytes each (dtype S16), and which of them are addresses at all."""
    import numpy as np

    found = [_pack(address) for address in addresses]
    known = np.array([one is not None for one in found], dtype=np.bool_)
    return _array([one or bytes(WIDTH) for one in found]), known


def _pack(address: object) -> bytes | None:
    if not isinstance(address, str):
        return None
    try:
        if ":" in address:
            return inet_pton(AF_INET6, address)
        return MAPPED + inet_pton(AF_INET, address)
    except (OSError, ValueError):
        return None


def _array(packed: Sequence[bytes]) -> "Packed":
    import numpy as np

    return np.array(packed, dtype=f"S{WIDTH}")


def number(address: Address) -> int:
    """Return an address as a 128-bit number, IPv4 as IPv4-mapped IPv6."""
    return int(address) + (_FIRST_MAPPED if address.version == 4 else 0)


def spans(first: Address, last: Address) -> list[Span]:
    """Return the range from first to last; without the IPv4 addresses that an IPv6 range is wider than."""
    low, high = number(first), number(last)
    if high < _FIRST_MAPPED or low > _LAST_MAPPED or (low >= _FIRST_MAPPED and high <= _LAST_MAPPED):
        return [(low, high)]
    pieces = [(low, min(high, _FIRST_MAPPED - 1)), (max(low, _LAST_MAPPED + 1), high)]
    return [piece for piece in pieces if piece[0] <= piece[1]]


@dataclass(frozen=True, eq=False)
class Ranges:
    """Disjoint ranges of addresses in their order, each with the number of its owner."""

    first: "Packed"
    last: "Packed"
    owner: "Numbers"

    @classmethod
    def of(cls, owned: Iterable[tuple[int, int, int]]) -> "Ranges":
        """Make ranges of (first, last, owner); where some overlap, the first named owns what they share."""
        import numpy as np

        flat = _flatten(list(owned))
        return cls(
            first=_array([first.to_bytes(WIDTH, "big") for first, _, _ in flat]),
            last=_array([last.to_bytes(WIDTH, "big") for _, last, _ in flat]),
            owner=np.array([owner for _, _, owner in flat], dtype=np.int64),
        )

    def find(self, packed: "Packed") -> "Numbers":
        """Return the owner of the range that holds each packed address, NO_RANGE where none does."""
        import numpy as np

        if not len(self.first):
            return np.full(len(packed), NO_RANGE, dtype=np.int64)
        place = np.searchsorted(self.first, packed, side="right") - 1
        within = (place >= 0) & (packed <= self.last[place])
        return np.where(within, self.owner[place], NO_RANGE)

    def meeting(self, span: Span) -> "Numbers":
        """Return the owners of the ranges that share an address with span, each once, in their order."""
        import numpy as np

        low, high = (value.to_bytes(WIDTH, "big") for value in span)
        start = int(np.searchsorted(self.last, _array([low]))[0])
        stop = int(np.searchsorted(self.first, _array([high]), side="right")[0])
        return np.unique(self.owner[start:stop])


def _flatten(owned: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return disjoint (first, last, owner) in order; of those that hold an address, the first named owns it."""
    edges = sorted({first for first, _, _ in owned} | {last + 1 for _, last, _ in owned})
    coming = sorted(range(len(owned)), key=lambda rank: owned[rank][0], reverse=True)
    open_ranks: list[int] = []
    flat: list[tuple[int, int, int]] = []
    for edge, after in pairwise(edges):
        while coming and owned[coming[-1]][0] == edge:
            heapq.heappush(open_ranks, coming.pop())
        while open_ranks and owned[open_ranks[0]][1] < edge:
            heapq.heappop(open_ranks)
        if not open_ranks:
            continue
        owner = owned[open_ranks[0]][2]
        if flat and flat[-1][2] == owner and flat[-1][1] + 1 == edge:
            flat[-1] = (flat[-1][0], after - 1, owner)
        else:
            flat.append((edge, after - 1, owner))
    return flat
