"""Random changes of bytes, packets, captures and streams; each takes the random.Random that decides."""

import bz2
import gzip
import lzma
import struct

import lz4.frame
import numpy as np
import zstandard

from analyzer.engines import Segments
from tests.engines import pcaps
from tests.fuzz.checks import ADDRESS
from tests.fuzz.seeds import cuts

EDGES = (0, 1, 7, 8, 0x7F, 0x80, 0xFE, 0xFF)
WIDE = (0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\r\n ", b"\x00", b"\xff\xfe", b"\xc3", b":", b";", b",", b'"', b"\\"),
    *(b"<", b">", b"@", b"%00", b"%", b"[::1]", b";tag=", b";branch=z9hG4bK", b"v:", b"f:", b"t:", b"l:"),
    *(
        b"SIP/2.0",
        b" SIP/2.0\r\n",
        b"SIP/2.0 200 OK\r\n",
        b"CSeq: 99999999999999999999 X\r\n",
        b"Expires: 4294967296\r\n",
    ),
    *(b"Content-Length: ", b"Content-Length: 999999999999\r\n", b"Content-Length: -1\r\n", b"Content-Length: 5\r\n"),
    *(b'Authorization: Digest username="', b"m=audio 65536 RTP/AVP", b"o=", b"c=IN IP4 "),
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
    b"HTTP/1.1 101 X\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
    *(b"\x81\x7e\xff\xff", b"\x82\xff\x7f", b"HEP3", b"A" * 70_000, b"a:b\r\n" * 500),
)


def change_bytes(random, data, others=()):
    """Return data with one to four changes: flipped, overwritten, cut, doubled, spliced, or with a token put in."""
    data = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        data = random.choice(CHANGES)(random, data, others)
    return bytes(data)


def _flip(random, data, _others):
    for _ in range(random.choice((1, 1, 3, 16))):
        if data:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return data


def _edge(random, data, _others):
    if data:
        data[random.randrange(len(data))] = random.choice(EDGES)
    return data


def _wide(random, data, _others):
    """Overwrite 2, 4 or 8 bytes with a number at the edge of what they hold: a length, an offset."""
    size, value = random.choice((2, 4, 8)), random.choice(WIDE)
    if len(data) >= size:
        at = random.randrange(min(len(data) - size + 1, random.choice((64, 256, 1 << 30))))
        data[at : at + size] = (value % 2 ** (8 * size)).to_bytes(size, random.choice(("big", "little")))
    return data


def _cut(random, data, _others):
    """Cut data short: anywhere, or within its headers."""
    return data[: random.randrange(random.choice((len(data), min(len(data), 100))) + 1)]


def _remove(random, data, _others):
    start, stop = _span(random, data)
    return data[:start] + data[stop:]


def _double(random, data, _others):
    start, stop = _span(random, data)
    return data[:stop] + data[start:stop] * random.choice((1, 1, 2, 9)) + data[stop:]


def _splice(random, data, others):
    if not others:
        return data
    other = random.choice(others)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _token(random, data, _others):
    at = random.randrange(len(data) + 1)
    token = random.choice(TOKENS)
    return data[:at] + token + data[at + random.choice((0, len(token))) :]


def _digits(random, data, _others):
    """Change a run of digits to another number."""
    places = [i for i, byte in enumerate(data) if 48 <= byte < 58]
    if places:
        at = random.choice(places)
        data[at : at + 1] = str(random.choice(WIDE)).encode()
    return data


def _span(random, data):
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 2, 8, 64, 512)))


CHANGES = (_flip, _flip, _edge, _wide, _wide, _cut, _remove, _double, _splice, _token, _token, _digits)


def change_packets(random, packets):
    """Return packets changed, cut, doubled, in another order, in fragments, in tunnels."""
    packets = list(packets)
    for _ in range(random.choice((1, 2, 3, 6))):
        change = random.choice(
            (_change_one, _change_one, _shuffle, _repeat, _drop, _wrap, _wrap, _fragment, _resegment)
        )
        change(random, packets)
    return packets


def _change_one(random, packets):
    at = random.randrange(len(packets))
    packets[at] = change_bytes(random, packets[at], packets)


def _shuffle(random, packets):
    start = random.randrange(len(packets))
    part = packets[start : start + 5]
    random.shuffle(part)
    packets[start : start + 5] = part


def _repeat(random, packets):
    packets.insert(random.randrange(len(packets) + 1), random.choice(packets))


def _drop(random, packets):
    if len(packets) > 1:
        packets.pop(random.randrange(len(packets)))


def _wrap(random, packets):
    """Put a packet that is IP over Ethernet into one to twenty tunnels."""
    at = random.randrange(len(packets))
    inner = packets[at][14:60_000] or pcaps.ipv4()
    for _ in range(random.choice((1, 1, 2, 4, 20))):
        inner = random.choice(TUNNELS)(random, inner)[:60_000]
    packets[at] = pcaps.ethernet(inner, 0x86DD if inner[:1] >= b"\x60" else 0x0800)


def _hep(_random, inner):
    return pcaps.ipv4(pcaps.udp(pcaps.hep(inner[28:60_000]), destination=9060))


ERSPAN = (0x88BE, 0x22EB)
TUNNELS = (
    lambda _random, inner: pcaps.ipv4(inner, protocol=4),
    lambda _random, inner: pcaps.ipv6(inner, protocol=41),
    lambda _random, inner: pcaps.ipv4(pcaps.gre(inner), protocol=47),
    lambda random, inner: pcaps.ipv4(
        pcaps.gre(inner, flags=random.choice((0x8000, 0x2000, 0xB000, 0x4000)), extra=random.randbytes(12)), protocol=47
    ),
    lambda _random, inner: pcaps.ipv4(pcaps.udp(pcaps.vxlan(pcaps.ethernet(inner)), destination=4789)),
    lambda random, inner: pcaps.ipv4(
        pcaps.udp(pcaps.geneve(pcaps.ethernet(inner), options=random.randbytes(8)), destination=6081)
    ),
    lambda _random, inner: pcaps.ipv4(pcaps.udp(pcaps.gtp(inner), destination=2152)),
    lambda _random, inner: pcaps.ipv4(pcaps.udp(pcaps.l2tp(pcaps.ppp(inner)), destination=1701)),
    lambda random, inner: pcaps.ipv4(
        pcaps.gre(random.randbytes(random.choice((8, 12, 20))) + pcaps.ethernet(inner), random.choice(ERSPAN)),
        protocol=47,
    ),
    _hep,
)  # fmt: skip


def _fragment(random, packets):
    """Put fragments in the place of a packet: some lost, doubled, changed or in another order."""
    at = random.randrange(len(packets))
    payload = packets[at][34:60_000] or pcaps.udp()
    version = random.choice((4, 4, 6))
    places = sorted({8 * random.randrange(1, max(len(payload) // 8, 2)) for _ in range(random.choice((1, 2, 5, 40)))})
    places = [place for place in places if place < len(payload)]
    made = pcaps.fragments(payload, *places, identification=random.randrange(3), version=version)
    for change in random.sample((_change_one, _shuffle, _repeat, _drop, lambda *_: None), 2):
        change(random, made)
    packets[at : at + 1] = [pcaps.ethernet(part, 0x86DD if version == 6 else 0x0800) for part in made]


def _resegment(random, packets):
    """Cut a TCP segment over IPv4 over Ethernet in pieces, perhaps overlapping ones."""
    segments = [
        i for i, data in enumerate(packets) if len(data) > 55 and data[12:15] == b"\x08\x00\x45" and data[23] == 6
    ]
    if not segments:
        return
    at = random.choice(segments)
    data = packets[at]
    header = 34 + (data[46] >> 4) * 4
    payload = data[header:]
    (sequence,) = struct.unpack_from("!I", data, 38)
    pieces = []
    for start, stop in cuts(
        len(payload), [random.randrange(len(payload) + 1) for _ in range(random.choice((1, 3, 20)))]
    ):
        early = max(start - random.choice((0, 0, 0, 1, 9)), 0)
        total = struct.pack("!H", header - 14 + stop - early)
        numbers = struct.pack("!I", (sequence + early) % 2**32)
        pieces.append(data[:16] + total + data[18:38] + numbers + data[42:header] + payload[early:stop])
    random.choice((lambda *_: None, _shuffle, _repeat, _drop, _change_one))(random, pieces)
    packets[at : at + 1] = pieces


def make_capture(random, seeds):
    """Return the bytes of a file: packets of a capture, changed, as pcap or pcapng, changed again, or compressed."""
    if random.random() < 0.1:
        data = random.choice(seeds.files)[: random.choice((200, 2_000, 20_000))]
    else:
        link, packets = random.choice(seeds.packets)
        start = random.randrange(len(packets))
        packets = packets[start : start + random.choice((1, 2, 4, 8, 30))]
        data = write(random, change_packets(random, packets), link if random.random() < 0.95 else random.randrange(300))
    if random.random() < 0.35:
        data = change_bytes(random, data, seeds.files)
    if random.random() < 0.08:
        data = random.choice(COMPRESSIONS)(data)
        if random.random() < 0.6:
            data = change_bytes(random, data)
    return data


COMPRESSIONS = (
    lambda data: gzip.compress(data, 1),
    lambda data: bz2.compress(data, 1),
    lambda data: lzma.compress(data, preset=0),
    lz4.frame.compress,
    lambda data: zstandard.ZstdCompressor().compress(data),
    lambda data: gzip.compress(data[: len(data) // 2], 1) + gzip.compress(data[len(data) // 2 :], 1),
    lambda data: gzip.compress(zstandard.ZstdCompressor().compress(data), 1),
)


def write(random, packets, link):
    """Return packets as a pcap or pcapng file."""
    order = random.choice("<<>")
    if random.random() < 0.7:
        snapped = random.choice((None, None, None, 96, random.randrange(120)))
        magic = random.choice((0xA1B2C3D4, 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34))
        return pcaps.pcap(packets, order=order, link=link, magic=magic, snapped=snapped)
    head = pcaps.shb(order) + pcaps.idb(
        order,
        link=link,
        resolution=random.choice((None, 9, 0x83, 255, 0)),
        offset=random.choice((None, None, 2**62, -5)),
    )
    blocks = [
        random.choice((pcaps.epb, pcaps.epb, pcaps.epb, pcaps.obsolete, pcaps.spb))(packet, order) for packet in packets
    ]
    if random.random() < 0.3:
        more = (
            pcaps.isb(order, ifdrop=7),
            head,
            pcaps.shb("<" if order == ">" else ">"),
            pcaps.block(0xBAD, b"abc", order),
        )
        blocks.insert(random.randrange(len(blocks) + 1), random.choice(more))
    return head + b"".join(blocks)


def make_payload(random, seeds):
    """Return a payload, changed."""
    return change_bytes(random, random.choice(seeds.payloads), seeds.payloads)


def make_segments(random, seeds, streams):
    """Return the Segments of so many streams, cut, doubled, overlapping, lost, in another order, and mixed."""
    rows = []
    for i in range(streams):
        pieces = random.choice(seeds.pieces)
        if random.random() < 0.5:
            pieces = random.choices(seeds.payloads, k=random.choice((1, 2, 5)))
        whole = b"".join(pieces)[: random.choice((100, 2_000, 40_000))]
        if random.random() < 0.7:
            whole = change_bytes(random, whole, seeds.payloads)
        rows.append(_stream(random, whole, 1024 + i % 60_000))
    if random.random() < 0.5:
        mixed = [row for stream in rows for row in stream]
        random.shuffle(mixed)
    else:
        mixed = [row for stream in rows for row in stream]
    return as_segments(random, mixed)


def _stream(random, whole, port):
    """Return the rows (port, reversed, sequence, flags, missing, payload) of a stream."""
    first = random.choice((0, 1000, 2**32 - 1, 2**32 - random.randrange(1, 3000), 2**31))
    many = random.choice((0, 1, 3, 10, 60))
    places = [random.randrange(len(whole) + 1) for _ in range(many)]
    back = random.random() < 0.3
    rows = [(port, back, first, 2, 0, b"")] if random.random() < 0.5 else []
    for start, stop in cuts(len(whole), places):
        early = max(start - random.choice((0, 0, 0, 0, 1, 40)), 0)
        piece = whole[early:stop]
        if random.random() < 0.03:
            piece = change_bytes(random, piece)
        flags = random.choice((16, 16, 16, 16, 24, 17, 20, random.randrange(32)))
        rows.append((port, back, first + 1 + early, flags, random.choice((0,) * 20 + (1, 500, 2**31)), piece[:65_000]))
    for change in random.sample((_shuffle, _repeat, _drop, lambda *_: None, lambda *_: None, lambda *_: None), 1):
        change(random, rows or [0])
    return rows


def as_segments(random, rows):
    """Return rows of _stream() as Segments, with times that mostly grow."""
    rows = [row for row in rows if row] or [(1024, False, 0, 2, 0, b"")]
    count = len(rows)
    lengths = np.array([len(row[5]) for row in rows], np.int64)
    ports = np.array([row[0] for row in rows], np.uint16)
    back = np.array([row[1] for row in rows], np.bool_)
    ends = np.broadcast_to(ADDRESS, (count, 2)).copy()
    step = random.choice((1, 1_000_000, 60_000_000_000, -1_000_000))
    return Segments(
        data=np.frombuffer(b"".join(row[5] for row in rows), np.uint8), number=np.arange(1, count + 1),
        time=1_700_000_000_000_000_000 + np.arange(count) * step, ttl=np.full(count, 64, np.uint8),
        source=ends, source_port=np.where(back, 5060, ports).astype(np.uint16),
        destination=ends.copy(), destination_port=np.where(back, ports, 5060).astype(np.uint16),
        sequence=np.array([row[2] % 2**32 for row in rows], np.uint32),
        flags=np.array([row[3] for row in rows], np.uint8),
        start=np.cumsum([0, *lengths])[:count].astype(np.int64), length=lengths,
        missing=np.array([row[4] for row in rows], np.int64),
    )  # fmt: skip
