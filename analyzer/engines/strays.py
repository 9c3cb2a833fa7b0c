"""Packets that carry no SIP and yet tell something: knocks on SIP ports, and samples of media (RTP, RFC 3550).

The engines hand them over as rows of STRAY, block by block; Gathering adds them up over a capture, in bounded memory.
"""

import secrets
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.void]
    Hashes = NDArray[np.uint64]

NOTHING = 0
SYN = 1
"""A TCP SYN without ACK to a SIP port."""
EMPTY = 2
"""A UDP datagram without payload to a SIP port."""
GARBAGE = 3
"""A UDP datagram to a SIP port that is nothing that belongs there."""
KEEP_ALIVE = 4
"""A UDP datagram to a SIP port that only keeps a path open: line breaks, zeros, or STUN (RFC 5626 section 3.5)."""
H323 = 5
"""A TCP SYN without ACK to the port of H.323."""
OPENED = 6
"""A SIP port that answered with SYN and ACK; its row is that of the SYN, from the source that had asked."""
SPOKEN = 7
"""A TCP segment with payload to a SIP port."""
MEDIA = 8
"""An RTP packet whose sequence number is a multiple of 16."""

GROUPS = ((SYN, EMPTY, GARBAGE, KEEP_ALIVE, H323), (OPENED, SPOKEN), (MEDIA,))
"""The kinds that share room: what fills one group takes none from the others."""
MOST = 200_000
"""Distinct rows that are kept of each group and capture; others are only counted."""
WAITING = 65_536
"""Rows that may wait to be added up."""

STRAY = np.dtype(
    [
        ("number", np.int64),  # of the first packet
        ("start", np.int64),  # earliest time in ns, -1 if there is none
        ("end", np.int64),  # latest time in ns, -1 if there is none
        ("packets", np.int64),
        ("source", np.int64, (2,)),  # the bits of uint64, as in Packets
        ("destination", np.int64, (2,)),
        ("source_port", np.uint16),  # of media only, else 0
        ("destination_port", np.uint16),
        ("kind", np.uint8),
    ]
)
"""Packets of one kind between the same ends. In a block there may be several rows of the same ends and kind."""


class Gathering:
    """The strays of one capture, added up: one row for the same ends and kind, in the order of the first packets.

    Of more than `most` distinct ones of a group, those that came first have rows, in whatever blocks they come.
    """

    def __init__(self, most: int = MOST) -> None:
        """Know none."""
        self.rest: Counter[tuple[int, int]] = Counter()
        """How many packets have no row, by kind and destination port."""
        self._most = most
        self._kept = np.empty(0, STRAY)
        self._waiting: list[Rows] = []
        self._keys = np.frombuffer(secrets.token_bytes(8 * 2 * _WORDS), np.uint64).reshape(2, _WORDS)

    def add(self, rows: "Rows | None") -> None:
        """Take in the strays of a block; later blocks have later packets."""
        if rows is None or not len(rows):
            return
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) > WAITING:
            self._add_up()

    def of(self, *kinds: int) -> "Rows":
        """Return the rows of these kinds."""
        self._add_up()
        return self._kept[np.isin(self._kept["kind"], kinds)]

    def ends(self, rows: "Rows") -> "Hashes":
        """Return a hash of the ends of each row, whatever its kind; other gatherings have other hashes."""
        return self._hash(rows, np.zeros(len(rows), np.uint32))

    def _add_up(self) -> None:
        if not self._waiting:
            return
        rows = np.concatenate([self._kept, *self._waiting])
        self._waiting.clear()
        added = _added(rows, self._hash(rows, rows["kind"].astype(np.uint32)))
        group = _GROUP[added["kind"]]
        fits = np.ones(len(added), np.bool_)
        for number in range(len(GROUPS)):
            fits[np.flatnonzero(group == number)[self._most :]] = False
        if not fits.all():
            self._count(added[~fits])
            added = added[fits]
        self._kept = added

    def _count(self, rows: "Rows") -> None:
        """Count packets that get no row."""
        which, place = np.unique(rows["kind"].astype(np.int64) << 16 | rows["destination_port"], return_inverse=True)
        for key, packets in zip(which.tolist(), np.bincount(place, rows["packets"]), strict=True):
            self.rest[key >> 16, key & 0xFFFF] += int(packets)

    def _hash(self, rows: "Rows", kind: "NDArray[np.uint32]") -> "Hashes":
        """Return hashes that no sender can make collide: two multilinear ones with keys that nobody knows."""
        ports = rows["source_port"].astype(np.uint32) << np.uint32(16) | rows["destination_port"]
        halves = [np.ascontiguousarray(rows[name]).view(np.uint32).reshape(-1, 4) for name in ("source", "destination")]
        words = np.column_stack([*halves, ports, kind]).astype(np.uint64)
        high, low = (words @ keys for keys in self._keys)
        return high >> np.uint64(32) << np.uint64(32) | low >> np.uint64(32)


_WORDS = 10
"""How many numbers of 32 bits tell a row from others."""


_GROUP = np.zeros(256, np.uint8)
for _number, _kinds in enumerate(GROUPS):
    _GROUP[list(_kinds)] = _number


def _added(rows: "Rows", hashes: "Hashes") -> "Rows":
    """Return one row for each hash, from the first row of it and what all of it add up to, in the order of rows."""
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    begins = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
    first = order[begins]
    if len(first) == len(rows):  # all are different
        return rows
    by_row = np.argsort(first)
    added = rows[first[by_row]]
    late = np.iinfo(np.int64).max
    start = np.where(rows["start"] < 0, late, rows["start"])
    start = np.minimum.reduceat(start[order], begins)
    added["start"] = np.where(start == late, -1, start)[by_row]
    added["end"] = np.maximum.reduceat(rows["end"][order], begins)[by_row]
    added["packets"] = np.add.reduceat(rows["packets"][order], begins)[by_row]
    return added
