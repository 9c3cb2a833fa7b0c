"""Packets to blocks of a pcapng file, each with a comment; those of several captures in the order of time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from analyzer.engines import _layout as layout
from analyzer.extracting import _kernels as kernels
from analyzer.records import Records, read_records

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.exports.pcapng import PcapngWriter

    Numbers = NDArray[np.int64]

LONGEST = 0xFFFF
"""The most bytes of a comment."""
AROUND = 32
"""Bytes of an Enhanced Packet Block beside the packet and its options."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some blocks, one after the other."""

    data: "NDArray[np.uint8]"
    ends: "Numbers"
    """Where each block ends."""
    latest: "Numbers"
    """The latest time, in ns since 1970, of the packets of the capture up to each of them."""


def write_packets(
    file: BinaryIO, writer: "PcapngWriter", needed: Sequence[tuple[Path, Mapping[int, str]]], most_bytes: int | None
) -> None:
    """Write the packets of captures, each with its comment, in the order of time; those of one keep their order.

    Args:
        file: what the writer writes to.
        writer: has begun a section.
        needed: captures, and the numbers of the packets in each with their comments.
        most_bytes: how many bytes a compressed capture may hold.
    """
    streams = [make_blocks(path, found, writer, most_bytes) for path, found in needed]
    for data in merge(streams):
        file.write(data.data)


def make_blocks(
    path: Path, found: Mapping[int, str], writer: "PcapngWriter", most_bytes: int | None = None
) -> Iterator[Part]:
    """Yield the blocks of some packets of a capture, with comments; their interfaces are written before."""
    numbers = np.array(sorted(found), np.int64)
    interfaces: dict[tuple[int, int], int] = {}
    latest = np.int64(0)
    for records in read_records(path, most_bytes=most_bytes):
        low, high = np.searchsorted(numbers, (records.first, records.first + len(records)))
        if low == high:
            continue
        rows = numbers[low:high] - records.first
        comments = [_encoded(f"{found[n]}; packet {n:,} of {path.name}") for n in numbers[low:high].tolist()]
        of = _interfaces(records, rows, interfaces, writer, path.name)
        data, ends = put_blocks(records, rows, of, comments)
        times = np.maximum.accumulate(np.maximum(records.found[rows, layout.WHEN], latest))
        latest = times[-1]
        yield Part(data=data, ends=ends, latest=times)


def _encoded(comment: str) -> bytes:
    raw = comment.encode("utf-8", "replace")
    return raw if len(raw) <= LONGEST else raw[:LONGEST].decode("utf-8", "ignore").encode()


def _interfaces(
    records: Records, rows: "Numbers", known: dict[tuple[int, int], int], writer: "PcapngWriter", name: str
) -> "Numbers":
    """Return which interface of the new file each packet is of; new ones are described first."""
    theirs, which = np.unique(records.found[rows, layout.INTERFACE_OF], return_inverse=True)
    ours = np.empty(len(theirs), np.int64)
    for at in range(len(theirs)):
        row = int(rows[np.argmax(which == at)])
        kind = records.link_of(row), records.snap_of(row)
        if kind not in known:
            known[kind] = writer.add_interface(kind[0], snap=kind[1], name=name)
        ours[at] = known[kind]
    return ours[which]


def put_blocks(
    records: Records, rows: "Numbers", interfaces: "Numbers", comments: Sequence[bytes]
) -> "tuple[NDArray[np.uint8], Numbers]":
    """Return the Enhanced Packet Blocks of some records, one after the other, and where each ends."""
    found = np.ascontiguousarray(records.found[rows])
    found[:, layout.CAPTURED_STOP] = np.where(
        found[:, layout.START] < 0, found[:, layout.START], found[:, layout.CAPTURED_STOP]
    )
    captured = found[:, layout.CAPTURED_STOP] - found[:, layout.START]
    missing = records.found[rows, layout.WIRE_STOP] - records.found[rows, layout.CAPTURED_STOP]
    sizes = np.array([len(comment) for comment in comments], np.int64)
    options = np.where(sizes > 0, 8 + sizes + -sizes % 4, 0)
    ends = np.cumsum(AROUND + captured + -captured % 4 + options)
    out = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    text = np.frombuffer(b"".join(comments) or b"\0", np.uint8)
    kernels.put_blocks(records.data, found, missing, interfaces, text, np.cumsum(sizes), ends, out)
    return out, ends


def merge(streams: Sequence[Iterator[Part]]) -> "Iterator[NDArray[np.uint8]]":
    """Yield the blocks of all streams in the order of their latest times; of equal ones, the earlier stream's first.

    No more than one part of each stream is held.
    """
    parts: dict[int, tuple[Part, int]] = {}
    for place, stream in enumerate(streams):
        _advance(parts, place, stream)
    while parts:
        if len(parts) == 1:
            ((place, (part, at)),) = parts.items()
            yield part.data[_begin(part, at) :]
            _advance(parts, place, streams[place])
            continue
        until, last = min((int(part.latest[-1]), place) for place, (part, _) in parts.items())
        yield from _runs(parts, until, last)
        for place in [place for place, (part, at) in parts.items() if at == len(part.ends)]:
            _advance(parts, place, streams[place])


def _advance(parts: dict[int, tuple[Part, int]], place: int, stream: Iterator[Part]) -> None:
    """Take the next part of a stream, or none if it has ended."""
    part = next(stream, None)
    if part is None:
        parts.pop(place, None)
    else:
        parts[place] = part, 0


def _begin(part: Part, at: int) -> int:
    return int(part.ends[at - 1]) if at else 0


def _runs(parts: dict[int, tuple[Part, int]], until: int, last: int) -> "Iterator[NDArray[np.uint8]]":
    """Yield the blocks up to a time, and at that time those of no later stream than the last; run by run."""
    places, times, indices = [], [], []
    for place, (part, at) in sorted(parts.items()):
        stop = int(np.searchsorted(part.latest, until, "right" if place <= last else "left"))
        stop = max(stop, at)
        places.append(np.full(stop - at, place, np.int64))
        times.append(part.latest[at:stop])
        indices.append(np.arange(at, stop))
        parts[place] = part, stop
    order = np.argsort(np.concatenate(times), kind="stable")
    whose, which = np.concatenate(places)[order], np.concatenate(indices)[order]
    first = np.flatnonzero(np.diff(whose, prepend=-1))
    for start, stop in zip(first.tolist(), [*first[1:].tolist(), len(whose)], strict=True):
        part, _ = parts[int(whose[start])]
        yield part.data[_begin(part, int(which[start])) : int(part.ends[which[stop - 1]])]
