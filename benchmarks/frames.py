"""Many texts and packets at once, as numpy matrices: one row a text or packet, padded with NUL, which text never holds.

`write()` fills a template for all rows, `udp()` and `tcp()` put Ethernet, IPv4 and transport headers (with right
checksums) and the head of a pcap record before them, and cut the rows to bytes.
"""

import re
import string
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.uint8]
"""Shape (rows, width): one text a row; its NULs are not part of it, wherever they stand."""
Numbers = NDArray[np.int64]

GLOBAL = bytes.fromhex("d4c3b2a102000400000000000000000000000400" + "01000000")
"""The header of a little-endian pcap of Ethernet, in microseconds."""
ETHERNET = np.frombuffer(bytes.fromhex("525400a1b2c300163e1f2a3b0800"), np.uint8)
RECORD, LINK, IP = 16, 14, 20
SYN, FIN, PUSH, ACK = 2, 1, 8, 16
ALPHABETS = {
    name: np.frombuffer(letters.encode(), np.uint8)
    for name, letters in {
        "h": "0123456789abcdef",
        "H": "0123456789ABCDEF",
        "d": string.digits,
        "a": string.ascii_letters + string.digits,
        "n": string.ascii_uppercase + string.digits,
        "l": string.ascii_lowercase,
        "b": string.ascii_lowercase + string.digits,
    }.items()
}
"""The letters of a mark such as {h8}, as in tests/scenarios/stacks.py."""
MARK = re.compile(r"\{(\w+?)(\d*)\}")


@dataclass(frozen=True)
class Flow:
    """When each packet was captured, and between whom it went; each field has one number a row, or one for all."""

    time: Numbers
    """Microseconds since 1970 (UTC)."""
    source: Numbers
    source_port: Numbers | int
    destination: Numbers
    destination_port: Numbers | int
    ttl: int = 64

    def back(self, time: Numbers, ttl: int = 63) -> "Flow":
        """Return the way of the answers, which come at that time."""
        return Flow(time, self.destination, self.destination_port, self.source, self.source_port, ttl)

    def at(self, time: Numbers) -> "Flow":
        """Return the same way at another time."""
        return Flow(time, self.source, self.source_port, self.destination, self.destination_port, self.ttl)


def words(texts: list[str] | tuple[str, ...], index: Numbers) -> Rows:
    """Return the text that stands at each index, modulo how many there are."""
    width = max(1, *(len(text.encode()) for text in texts))
    table = np.array([text.encode() for text in texts], f"S{width}").view(np.uint8).reshape(len(texts), width)
    return table[index % len(texts)]


def decimal(numbers: Numbers) -> Rows:
    """Return numbers (0 or more) as decimal text."""
    width = len(str(int(numbers.max(initial=0))))
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    quotients = numbers[:, None] // powers
    digits = (quotients % 10 + ord("0")).astype(np.uint8)
    digits[:, :-1][quotients[:, :-1] == 0] = 0
    return digits


def dotted(addresses: Numbers) -> Rows:
    """Return IPv4 addresses as text."""
    octets = np.concatenate([words([f"{octet}." for octet in range(256)], addresses >> shift & 255)
                             for shift in (24, 16, 8, 0)], axis=1)  # fmt: skip
    last = octets[:, -4:]
    last[last == ord(".")] = 0
    return octets


def hexadecimal(texts: Rows) -> Rows:
    """Return each byte of the texts as two hexadecimal digits."""
    digits = ALPHABETS["h"]
    pairs = np.stack([digits[texts >> 4], digits[texts & 15]], axis=2)
    pairs[texts == 0] = 0
    return pairs.reshape(len(texts), -1)


def joined(*texts: Rows) -> Rows:
    """Return the texts of several columns one after the other."""
    return np.concatenate(texts, axis=1)


def lengths(texts: Rows) -> Numbers:
    """Return how many bytes each text has."""
    return np.count_nonzero(texts, axis=1)


@cache
def _parts(template: str) -> tuple[tuple[str, str, int], ...]:
    """Return the parts of a template as (constant, "", 0) or (mark, its letter, its number)."""
    parts, end = [], 0
    for found in MARK.finditer(template):
        parts += [(template[end : found.start()], "", 0), (found[0][1:-1], found[1], int(found[2] or 0))]
        end = found.end()
    return tuple(part for part in [*parts, (template[end:], "", 0)] if part[0])


def write(rng: np.random.Generator, count: int, template: str, fields: dict[str, Rows]) -> Rows:
    """Return a template filled for count rows.

    A mark {name} is that field; where there is no such field, a mark such as {h8}, {d10} or {u} is random text, as in
    tests/scenarios/stacks.py.
    """
    columns: list[Rows] = []
    for text, letter, number in _parts(template):
        if not letter:
            columns.append(np.broadcast_to(np.frombuffer(text.encode(), np.uint8), (count, len(text.encode()))))
        elif text in fields:
            columns.append(fields[text])
        elif letter == "u":
            columns.append(write(rng, count, "{h8}-{h4}-{h4}-{h4}-{h12}", {}))
        else:
            columns.append(_random(rng, count, letter, number))
    return np.concatenate(columns, axis=1)


def _random(rng: np.random.Generator, count: int, letter: str, width: int) -> Rows:
    alphabet = ALPHABETS[letter]
    drawn = alphabet[rng.integers(0, len(alphabet), (count, width), dtype=np.uint8)]
    if letter == "d":
        drawn[drawn[:, 0] == ord("0"), 0] = ord("1")
    return drawn


def udp(flow: Flow, payload: Rows, *, binary: bool = False) -> list[bytes]:
    """Return the pcap records of UDP datagrams; NULs are part of the payload only if it is binary."""
    count = len(payload)
    size = np.full(count, payload.shape[1]) if binary else lengths(payload)
    header = np.zeros((count, 8), np.uint8)
    _put(header, 4, 2, size + 8)
    return _records(flow, 17, header, payload, size, 6, binary=binary)


def tcp(flow: Flow, sequence: Numbers, acknowledged: Numbers, flags: int, payload: Rows) -> list[bytes]:
    """Return the pcap records of TCP segments, which carry text."""
    header = np.zeros((len(payload), 20), np.uint8)
    _put(header, 4, 4, sequence)
    _put(header, 8, 4, acknowledged)
    header[:, 12], header[:, 13] = 0x50, flags
    _put(header, 14, 2, 64240)
    return _records(flow, 6, header, payload, lengths(payload), 16, binary=False)


def other(time: Numbers, frames: Rows) -> list[bytes]:
    """Return the pcap records of whole frames of one size."""
    head = np.zeros((len(frames), RECORD), np.uint8)
    _stamp(head, time, np.full(len(frames), frames.shape[1]))
    return _cut(joined(head, frames), np.full(len(frames), RECORD + frames.shape[1]))


def _records(  # noqa: PLR0913, PLR0917
    flow: Flow, protocol: int, header: Rows, payload: Rows, size: Numbers, at: int, *, binary: bool
) -> list[bytes]:
    """Return records of that IP protocol; its checksum goes to byte `at` of the transport header, which lacks ports."""
    start, count = RECORD + LINK + IP, len(payload)
    ahead = start + header.shape[1]
    _put(header, 0, 2, flow.source_port)
    _put(header, 2, 2, flow.destination_port)
    rows = np.empty((count, ahead + payload.shape[1]), np.uint8)
    rows[:, RECORD : RECORD + LINK] = ETHERNET
    rows[:, start:ahead], rows[:, ahead:] = header, payload
    _internet(rows[:, RECORD + LINK : start], flow, protocol, IP + header.shape[1] + size)
    pseudo = _words(rows[:, start - 8 : ahead]) + protocol + header.shape[1] + size
    _put(rows, start + at, 2, _fold(pseudo + _sum(payload, binary=binary), zero=protocol == 6))
    _stamp(rows, flow.time, ahead - RECORD + size)
    keep = None if binary else np.concatenate([np.ones((count, ahead), bool), payload != 0], axis=1)
    return _cut(rows if keep is None else rows[keep], ahead + size)


def _internet(rows: Rows, flow: Flow, protocol: int, size: Numbers) -> None:
    rows[:] = 0
    rows[:, 0], rows[:, 6], rows[:, 8], rows[:, 9] = 0x45, 0x40, flow.ttl, protocol
    _put(rows, 2, 2, size)
    _put(rows, 4, 2, flow.time >> 4)
    _put(rows, 12, 4, flow.source)
    _put(rows, 16, 4, flow.destination)
    _put(rows, 10, 2, _fold(_words(rows), zero=True))


def _stamp(rows: Rows, time: Numbers, size: Numbers) -> None:
    head = np.stack([time // 1_000_000, time % 1_000_000, size, size], axis=1).astype("<u4")
    rows[:, :RECORD] = head.view(np.uint8)


def _put(rows: Rows, at: int, width: int, numbers: Numbers | int) -> None:
    """Write numbers in network order."""
    for place in range(width):
        rows[:, at + place] = np.asarray(numbers) >> 8 * (width - 1 - place) & 255


def _words(rows: Rows) -> Numbers:
    """Return the sum of the 16-bit words of rows of even width."""
    return rows[:, ::2].sum(axis=1, dtype=np.int64) * 256 + rows[:, 1::2].sum(axis=1, dtype=np.int64)


def _sum(payload: Rows, *, binary: bool) -> Numbers:
    """Return the sum of the 16-bit words of each payload, as if its padding were not there."""
    if binary:
        return _words(payload if payload.shape[1] % 2 == 0 else np.pad(payload, ((0, 0), (0, 1))))
    odd = np.cumsum(payload != 0, axis=1, dtype=np.uint8) & 1
    high = (payload * odd).sum(axis=1, dtype=np.int64)
    return high * 255 + payload.sum(axis=1, dtype=np.int64)


def _fold(total: Numbers, *, zero: bool) -> Numbers:
    """Return the checksum (RFC 1071) of a sum of words; 0, which would mean none, is sent as 0xFFFF unless allowed."""
    for _ in range(3):
        total = (total & 0xFFFF) + (total >> 16)
    checksum = total ^ 0xFFFF
    return checksum if zero else np.where(checksum == 0, 0xFFFF, checksum)


def _cut(data: Rows, size: Numbers) -> list[bytes]:
    text = data.tobytes()
    stops = np.cumsum(size)
    return [text[start:stop] for start, stop in zip((stops - size).tolist(), stops.tolist(), strict=True)]
