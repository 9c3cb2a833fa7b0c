"""From the packets that complete messages to all that they need: fragments, connections, the beginning of media."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analyzer.engines import _layout as layout
from analyzer.extracting import _kernels as kernels
from analyzer.records import Records, read_records

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

MEDIA_PACKETS = 64
"""How many packets of media, each way, show that there was any: of every sixteenth engines take note."""
REASSEMBLY = 60_000_000_000
"""Within how many ns the fragments of one datagram come (RFC 8200 4.5)."""
_ROUNDS = 3
_SYN, _FIN, _RST, _ACK = 2, 1, 4, 16

_TRACK = np.dtype([(name, np.int64) for name in ("number", "time", "flow", "part", "flags", "sequence", "turned")])


@dataclass(frozen=True)
class Media:
    """A stream of media that proves a call."""

    flow: int
    """Its key, see flow_key()."""
    start: int
    """From when on its packets count, in ns since 1970."""
    why: str
    """What it proves, in words."""


@dataclass
class Tracks:
    """The packets of one capture that are needed, each with the reason."""

    path: Path
    wanted: dict[int, str]
    """The packets that complete messages, by number."""
    media: Sequence[Media] = ()
    most_bytes: int | None = None
    packets: int = field(default=0, init=False)
    """How many packets the capture has."""

    def find(self) -> dict[int, str]:
        """Return all packets that are needed, by number, each with the reason."""
        wanted = np.array(sorted(self.wanted), np.int64)
        anchors = self._gather(wanted)
        flows = np.unique(anchors["flow"][anchors["flags"] >= 0])
        parts = _known(anchors["part"])
        streams = np.unique(np.array([media.flow for media in self.media], np.int64))
        rows = anchors
        for _ in range(_ROUNDS if len(flows) or len(parts) or len(streams) else 0):
            rows = self._gather(wanted, np.union1d(flows, streams), parts)
            more = np.setdiff1d(_known(rows["part"][np.isin(rows["flow"], flows)]), parts)
            if not len(more):
                break
            parts = np.union1d(parts, more)
        found = dict(self.wanted)
        for extra in (self._connections(rows, flows), self._fragments(rows, parts), self._samples(rows)):
            for number, why in extra:
                found.setdefault(number, why)
        return found

    def _gather(
        self, numbers: "Numbers", flows: "Numbers | None" = None, parts: "Numbers | None" = None
    ) -> "NDArray[np.void]":
        """Return the rows of packets with these numbers, of these flows, or parts of these datagrams.

        Without flows and parts, only the packets with these numbers are decoded.
        """
        kept = [np.empty(0, _TRACK)]
        for records in read_records(self.path, most_bytes=self.most_bytes):
            last = records.first + len(records)
            rows = numbers[np.searchsorted(numbers, records.first) : np.searchsorted(numbers, last)] - records.first
            if flows is not None and parts is not None:
                told = _tell(records)
                mask = np.isin(told[:, kernels.FLOW], flows) | np.isin(told[:, kernels.PART_OF], parts)
                mask[rows] = True
                rows = np.flatnonzero(mask)
                told = told[rows]
            else:
                told = _tell(records, rows)
            track = np.empty(len(rows), _TRACK)
            track["number"], track["time"] = rows + records.first, records.found[rows, layout.WHEN]
            for column, name in enumerate(("flow", "part", "flags", "sequence", "turned")):
                track[name] = told[:, column]
            kept.append(track)
            self.packets = last - 1
        return np.concatenate(kept)

    def _connections(self, rows: "NDArray[np.void]", flows: "Numbers") -> Iterator[tuple[int, str]]:
        """Yield the packets of the TCP connections that carry what is wanted; ports may be used again."""
        for own in _grouped(rows[rows["flags"] >= 0], "flow", flows):
            opening = (own["flags"] & (_SYN | _ACK)) == _SYN
            syn = np.flatnonzero(opening)
            anew = np.zeros(len(own), np.bool_)
            anew[syn] = np.append(True, own["sequence"][syn][1:] != own["sequence"][syn][:-1])[: len(syn)]
            connection = np.cumsum(anew)
            wanted = [number in self.wanted for number in own["number"].tolist()]
            carrying = np.isin(connection, connection[wanted])
            for number, flags in zip(own["number"][carrying].tolist(), own["flags"][carrying].tolist(), strict=True):
                yield number, f"TCP connection of the messages: {_segment(flags)}"

    def _fragments(self, rows: "NDArray[np.void]", parts: "Numbers") -> Iterator[tuple[int, str]]:
        """Yield the fragments of the datagrams that are completed by what is wanted, or that carry its connections."""
        for own in _grouped(rows, "part", parts):
            wanted = np.array([number in self.wanted for number in own["number"].tolist()])
            known = own[wanted | (own["flags"] >= 0)]
            known = known[np.argsort(known["time"], kind="stable")]
            first = np.searchsorted(known["time"], own["time"] - REASSEMBLY, "left")
            after = np.searchsorted(known["time"], own["time"] + REASSEMBLY, "right")
            near = after > first
            completing = known["number"][after[near] - 1]
            for number, by in zip(own["number"][near].tolist(), completing.tolist(), strict=True):
                yield number, f"fragment of the datagram that packet {by:,} completes"

    def _samples(self, rows: "NDArray[np.void]") -> Iterator[tuple[int, str]]:
        """Yield the first packets of media, each way."""
        flows = np.array([media.flow for media in self.media], np.int64)
        streams = {int(own["flow"][0]): own for own in _grouped(rows, "flow", np.unique(flows))}
        for media in self.media:
            own = streams.get(media.flow, rows[:0])
            for turned in (0, 1):
                of = (own["turned"] == turned) & (own["time"] >= media.start)
                for number in own["number"][of][:MEDIA_PACKETS].tolist():
                    yield number, media.why


_NONE = np.empty(0, np.int64)


def _known(keys: "Numbers") -> "Numbers":
    return np.unique(keys[keys != 0])


def _grouped(rows: "NDArray[np.void]", name: str, keys: "Numbers") -> "list[NDArray[np.void]]":
    """Return the rows that have one of some keys, in their order, those of each key together."""
    chosen = rows[np.isin(rows[name], keys)]
    chosen = chosen[np.argsort(chosen[name], kind="stable")]
    return np.split(chosen, np.flatnonzero(np.diff(chosen[name])) + 1) if len(chosen) else []


def _tell(records: Records, rows: "NDArray[np.intp] | Numbers | None" = None) -> "Numbers":
    """Return what the kernel tells of each record, or of those at some places."""
    found = records.found if rows is None else np.ascontiguousarray(records.found[rows])
    told = np.empty((len(found), kernels.TOLD), np.int64)
    place, tally = np.zeros(layout.PLACE, np.int64), np.zeros(layout.TALLY, np.int64)
    kernels.tell_packets(records.data, found, records.links, place, tally, told)
    return told


def _segment(flags: int) -> str:
    """Return what a segment is to its connection."""
    if flags & _SYN:
        return "SYN, ACK" if flags & _ACK else "SYN"
    return "RST" if flags & _RST else "FIN" if flags & _FIN else "segment"


def flow_key(source: str, source_port: int, destination: str, destination_port: int, *, protocol: int) -> int:
    """Return the key that packets between two ends (addresses as canonical text) have, whichever way they go."""
    key = 0
    for secret in kernels.SECRETS:
        one, other = (
            _mixed(address, port, protocol, secret)
            for address, port in ((source, source_port), (destination, destination_port))
        )
        key = key << 31 | (one + other) % kernels.PRIME
    return key | 1 << 62


def _mixed(address: str, port: int, protocol: int, secret: int) -> int:
    packed = ip_address(address).packed
    packed = packed if len(packed) == 16 else bytes(10) + b"\xff\xff" + packed
    total = protocol
    for at in range(0, 16, 4):
        total = (total * secret + int.from_bytes(packed[at : at + 4], "big")) % kernels.PRIME
    return (total * secret + port) % kernels.PRIME
