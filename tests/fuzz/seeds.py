"""What the fuzzers change: packets, payloads and streams of real captures, cut small."""

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from analyzer.engines.native import read_packets
from analyzer.errors import AnalyzerError
from analyzer.sip.streams import Streams

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"
REQUEST = (
    b"INVITE sip:900442037690000@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport\r\n"
    b'From: "101" <sip:101@192.0.2.2>;tag=a\r\nTo: <sip:900442037690000@192.0.2.2>\r\nCall-ID: 1@192.0.2.1\r\n'
    b'CSeq: 1 INVITE\r\nContact: <sip:101@192.0.2.1>\r\nAuthorization: Digest username="101", realm="a", nonce="b",'
    b' uri="sip:192.0.2.2", response="0123456789abcdef0123456789abcdef"\r\nUser-Agent: friendly-scanner\r\n'
    b"Content-Type: application/sdp\r\nContent-Length: 68\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n"
    b"c=IN IP4 192.0.2.1\r\nm=audio 9 RTP 0\r\n"
)


@dataclass
class Seeds:
    """What is changed."""

    packets: list[tuple[int, list[bytes]]] = field(default_factory=list)
    """Per capture: its link type, and packets of it."""
    files: list[bytes] = field(default_factory=list)
    """The beginnings of the capture files."""
    payloads: list[bytes] = field(default_factory=list)
    """SIP messages, and what is like them."""
    pieces: list[list[bytes]] = field(default_factory=list)
    """Per TCP stream: what it carries, in order."""


def gather(most_packets=400):
    """Return the seeds; of captures/ and tests alone if there is no corpus."""
    seeds = Seeds(payloads=[REQUEST])
    captures = [path for folder in (ROOT / "captures", CORPUS) for path in sorted(folder.rglob("*.*cap*"))]
    for path in captures:
        if path.suffix in (".pcap", ".pcapng", ".cap"):
            _gather(path, seeds, most_packets)
    seeds.payloads += [path.read_bytes() for path in sorted(CORPUS.glob("torture/*.dat"))]
    seeds.pieces.append([REQUEST, b"\r\n\r\n", REQUEST])
    return seeds


def _gather(path, seeds, most_packets):
    data = path.read_bytes()
    try:
        blocks = list(read_packets(path))
    except AnalyzerError:
        return
    seeds.files.append(data[:20_000])
    packets = records(data)
    if packets:
        near = sorted(
            {
                min(int(number) + more, len(packets)) - 1
                for block in blocks
                for number in block.number
                for more in (-1, 0, 1)
                if number + more > 0
            }
        )
        chosen = near[:most_packets] or range(min(len(packets), most_packets))
        seeds.packets.append((link_of(data), [packets[i] for i in chosen if i < len(packets)]))
    for block in blocks:
        _gather_payloads(block, seeds)


def _gather_payloads(block, seeds):
    segments = block.segments
    streams = Streams()
    for rows in [block] if segments is None else [block, streams.add(segments), streams.finish()]:
        spans = list(zip(rows.start.tolist(), rows.length.tolist(), strict=True))
        seeds.payloads += [rows.data[start : start + length].tobytes() for start, length in spans[:100]]
    if segments is None:
        return
    flows = {}
    keys = zip(
        segments.source.tolist(),
        segments.source_port.tolist(),
        segments.destination.tolist(),
        segments.destination_port.tolist(),
        strict=True,
    )
    for key, start, length in zip(keys, segments.start.tolist(), segments.length.tolist(), strict=True):
        flows.setdefault(str(key), []).append(segments.data[start : start + length].tobytes())
    seeds.pieces += [[piece for piece in pieces if piece][:30] for pieces in flows.values() if any(pieces)]


def link_of(data):
    """Return the link type of a capture that records() can cut."""
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a") else ">"
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        (size,) = struct.unpack_from("<I", data, 4)
        return struct.unpack_from("<H", data, size + 8)[0]
    return struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF


def records(data):
    """Return the packets of a pcap file, or of a little-endian pcapng file of Enhanced Packet Blocks; plainly."""
    spans = list(pcapng_spans(data) if data[:4] == b"\x0a\x0d\x0d\x0a" else pcap_spans(data))
    return [data[start:stop] for start, stop in spans]


def pcap_spans(data):
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at + 16 <= len(data):
        (size,) = struct.unpack_from(order + "I", data, at + 8)
        yield at + 16, at + 16 + size
        at += 16 + size


def pcapng_spans(data):
    if data[8:12] != b"\x4d\x3c\x2b\x1a":
        return
    at = 0
    while at + 12 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == 6:
            (length,) = struct.unpack_from("<I", data, at + 20)
            yield at + 28, at + 28 + length
        at += max(size, 12)


def cuts(length, places):
    """Return the spans between places."""
    return list(pairwise([0, *sorted(places), length]))
