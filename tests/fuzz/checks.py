"""What must hold of any bytes: nothing is raised but AnalyzerError, and every packet has one fate."""

import struct
from collections import Counter
from dataclasses import fields, replace

import numpy as np

from analyzer.capture import PCAP_MAGICS
from analyzer.engines import Packets
from analyzer.engines.native import read_packets
from analyzer.errors import AnalyzerError
from analyzer.sip.parser import parse
from analyzer.sip.streams import Streams

ADDRESS = np.array([0, 0xFFFF_C000_0201], np.uint64)
MOST_BYTES = 16 << 20
"""How much a compressed capture may hold here."""


class BrokenPromiseError(AssertionError):
    """Something that must hold of any bytes does not."""


def promise(kept, what):
    if not kept:
        raise BrokenPromiseError(what)


def read_capture(path, block_bytes, streams=None):
    """Return the Packets of a file, those of its streams too; [] if it is refused. Check the fates of its packets."""
    found = []
    try:
        for packets in read_packets(path, block_bytes=block_bytes, most_bytes=MOST_BYTES):
            check_packets(packets)
            found.append(packets)
    except AnalyzerError:
        promise(not found, "a capture was refused after it was read in part")
        return []
    promise(found, "a readable capture gives no Packets")
    return found + read_streams([packets.segments for packets in found if packets.segments is not None], streams)


def read_streams(blocks, streams=None):
    """Return the Packets of the streams of Segments; check that each segment has one fate."""
    if not blocks:
        return []
    streams = streams or Streams()
    found = [*map(streams.add, blocks), streams.finish()]
    for packets in found:
        check_packets(packets)
    segments = sum(map(len, blocks))
    settled = sum(packets.captured for packets in found)
    promise(settled == segments, f"{segments} segments, but {settled} have a fate")
    return found


def check_packets(packets):
    """Check the fates of a block, and that its rows lie within its data."""
    aside, unreadable = sum(packets.set_aside.values()), sum(packets.unreadable.values())
    segments = 0 if packets.segments is None else len(packets.segments)
    total = packets.carriers + aside + unreadable + segments
    promise(total == packets.captured, f"{packets.captured} packets captured, but {total} have a fate")
    counts = [packets.carriers, *packets.set_aside.values(), *packets.unreadable.values()]
    promise(all(count >= 0 for count in counts), f"a fate counts less than none: {counts}")
    for rows in [packets] if packets.segments is None else [packets, packets.segments]:
        _check_rows(rows)


def _check_rows(rows):
    columns = [getattr(rows, field.name) for field in fields(rows) if field.name != "strays"]
    lengths = {len(column) for column in columns if isinstance(column, np.ndarray)} - {len(rows.data)}
    promise(lengths <= {len(rows)}, f"columns of {lengths} rows, not {len(rows)}")
    if len(rows):
        promise(rows.start.min() >= 0 and rows.length.min() >= 0, "a payload begins or ends before the data")
        promise((rows.start + rows.length).max() <= len(rows.data), "a payload ends beyond the data")
        promise(rows.missing.min() >= 0, "a payload lacks less than nothing")
        promise(rows.number.min() >= 1, "a packet has no number")


def parse_all(blocks):
    """Parse what is in all blocks at once; check that each row is a message."""
    packets = join([packets for packets in blocks if len(packets)])
    if packets is None:
        return 0
    messages, anomalies = parse(packets, capture="fuzz")
    promise(len(messages) == len(packets), f"{len(packets)} rows, but {len(messages)} messages")
    promise(anomalies["packet"].isin(packets.number).all(), "an anomaly of a packet that there is not")
    promise((messages["message_bytes"].to_numpy() >= 0).all(), "a message of less than no bytes")
    return len(messages)


def join(blocks):
    """Return several Packets as one, over one buffer; None if there are none."""
    if not blocks:
        return None
    shifts = np.cumsum([0, *(len(packets.data) for packets in blocks)])
    arrays = {name.name for name in fields(Packets) if isinstance(getattr(blocks[0], name.name), np.ndarray)}
    names = sorted(arrays - {"strays"})
    columns = {name: np.concatenate([getattr(packets, name) for packets in blocks]) for name in names}
    columns["start"] = np.concatenate([packets.start + shift for packets, shift in zip(blocks, shifts, strict=False)])
    return replace(blocks[0], **columns, captured=len(columns["number"]), carried=None, segments=None, strays=None)


def payloads_of(blocks):
    """Return how often each payload occurs, with its packet, transport and ports: what no block size may change."""
    found = Counter()
    for packets in blocks:
        ports = zip(packets.source_port.tolist(), packets.destination_port.tolist(), strict=True)
        rows = zip(packets.number.tolist(), packets.transport.tolist(), ports, strict=True)
        spans = zip(packets.start.tolist(), packets.length.tolist(), strict=True)
        found.update(
            (*row, packets.data[start : start + length].tobytes())
            for row, (start, length) in zip(rows, spans, strict=True)
        )
    return found


def count_records(data):
    """Return how many whole records a pcap file holds, counted in the plainest way; None if it is something else."""
    if data[:4] not in PCAP_MAGICS or len(data) < 24:
        return None
    order, _, header = PCAP_MAGICS[data[:4]]
    layout = (">" if order == "big" else "<") + "I"
    (snap,) = struct.unpack_from(layout, data, 16)
    at, count = 24, 0
    while at + header <= len(data):
        (size,) = struct.unpack_from(layout, data, at + 8)
        if size > min(max(snap, 262_144), 256 << 20) or at + header + size > len(data):
            break
        at, count = at + header + size, count + 1
    return count


def datagrams(payloads):
    """Return payloads as the Packets of so many UDP datagrams."""
    count = len(payloads)
    lengths = np.array([len(payload) for payload in payloads], np.int64)
    ports = np.full(count, 5060, np.uint16)
    ends = np.broadcast_to(ADDRESS, (count, 2)).copy()
    return Packets(
        data=np.frombuffer(b"".join(payloads), np.uint8), number=np.arange(1, count + 1), time=np.arange(count),
        transport=np.zeros(count, np.uint8), ttl=np.full(count, 64, np.uint8), source=ends, source_port=ports,
        destination=ends, destination_port=ports, start=np.cumsum([0, *lengths])[:count].astype(np.int64),
        length=lengths, missing=np.zeros(count, np.int64), captured=count,
    )  # fmt: skip
