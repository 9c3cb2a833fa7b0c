"""The blocks of a pcapng file: written, and walked through, without decoding a packet.

The numbers are those of the pcapng specification: a Section Header Block begins a file, an Interface Description
Block names an interface, an Enhanced Packet Block holds a packet, an Interface Statistics Block tells what was lost.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

SECTION, INTERFACE, PACKET, STATISTICS = 0x0A0D0D0A, 1, 6, 5
PACKETS = frozenset({2, 3, PACKET})
"""The blocks that hold a packet: obsolete, simple, enhanced."""
GAP = "recording gap"
"""The comment of a section begins so, and with a colon, if something before it could not be recorded."""
MOST_BLOCK_BYTES = 256 << 20
COMMENT = 1
"""The option that is a comment."""
_RESOLUTION, _OFFSET = 9, 14
"""The options if_tsresol and if_tsoffset."""
_LONGEST = 0xFFFF
"""The most bytes that the value of an option has."""
_END_OF_OPTIONS = b"\x00\x00\x00\x00"
_NANOSECONDS = 9
_UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF
"""What dumpcap writes for a count that it does not know."""


class Block(NamedTuple):
    """Where a block of a file lies."""

    at: int
    kind: int
    size: int

    @property
    def stop(self) -> int:
        """Where the next block begins."""
        return self.at + self.size


@dataclass(frozen=True, kw_only=True)
class Lost:
    """How many packets a recorder received and lost; None where it does not say."""

    received: int | None = None
    kernel: int | None = None
    """Packets that matched the filter and found no room: the recorder was too slow."""
    interface: int | None = None
    """Packets of any kind that the interface or its driver lost."""

    @property
    def total(self) -> int | None:
        """Return how many were lost on the way to the recorder; None if that is not known."""
        known = [count for count in (self.kernel, self.interface) if count is not None]
        return sum(known) if known else None


class Interface(NamedTuple):
    """What an Interface Description Block says."""

    link: int = 0xFFFF
    """The link type; 0xFFFF where the block is too short to say it."""
    snap: int = 0
    """The snap length; 0 if there is none."""
    resolution: int = 6
    """The resolution of its clock: 10 to this negative power, or 2 if the highest of eight bits is set."""
    offset: int = 0
    """The seconds that its times are to be moved by."""


# --- blocks, written


def section(*, comment: str = "", program: str = "sipscope") -> bytes:
    """Return the block that begins a file, with a comment and the name of the program that writes it."""
    options = _option(COMMENT, comment) + _option(4, program)
    return _block(SECTION, struct.pack("=IHHq", 0x1A2B3C4D, 1, 0, -1), options)


def interface(link: int, *, name: str = "", description: str = "", snap: int = 0, filtered: str | None = None) -> bytes:
    """Return the block that describes an interface, its times in nanoseconds.

    link is its link type, snap its snap length (0: none), and filtered the capture filter, if that is known.
    """
    options = _option(2, name) + _option(3, description) + _option(_RESOLUTION, bytes([_NANOSECONDS]))
    options += b"" if filtered is None else _option(11, f"\0{filtered}")
    return _block(INTERFACE, struct.pack("=HHI", link & 0xFFFF, 0, snap), options)


def packet(time: int, data: bytes, wire: int, *, interface: int = 0, comment: str = "") -> bytes:
    """Return the block of a packet, seen time ns after 1970 on an interface, wire bytes long on the wire."""
    head = struct.pack("=IIIII", interface, time >> 32, time & 0xFFFFFFFF, len(data), wire)
    return _block(PACKET, head + data + bytes(-len(data) % 4), _option(COMMENT, comment))


def statistics(time: int, lost: Lost, *, ticks: int = 1) -> bytes:
    """Return the block that tells what was lost until time (ns since 1970), in the interface's ticks (in ns)."""
    counts = ((4, lost.received), (5, lost.interface), (7, lost.kernel))
    options = b"".join(_option(code, struct.pack("=Q", count)) for code, count in counts if count is not None)
    time //= ticks
    return _block(STATISTICS, struct.pack("=III", 0, time >> 32, time & 0xFFFFFFFF), options)


def _option(code: int, value: str | bytes) -> bytes:
    """Return an option, cut to the bytes that one may have; nothing if it has no value."""
    raw = value.encode(errors="replace") if isinstance(value, str) else value
    if len(raw) > _LONGEST:
        raw = raw[:_LONGEST].decode(errors="ignore").encode()
    return struct.pack("=HH", code, len(raw)) + raw + bytes(-len(raw) % 4) if raw else b""


def _block(kind: int, head: bytes, options: bytes) -> bytes:
    body = head + (options + _END_OF_OPTIONS if options else b"")
    size = struct.pack("=I", len(body) + 12)
    return struct.pack("=I", kind) + size + body + size


# --- blocks, read


def read_options(data: bytes | mmap.mmap, start: int, stop: int, order: str = "=") -> Iterator[tuple[int, bytes]]:
    """Yield code and value of each option between start and stop, up to the first that does not fit.

    The byte order is as the module struct has it.
    """
    while stop - start >= 4:
        code, size = struct.unpack_from(order + "HH", data, start)
        start += 4
        if code == 0 or size > stop - start:
            return
        yield code, data[start : start + size]
        start += size + (-size % 4)


def read_interface(block: bytes, order: str = "=") -> Interface:
    """Return what an Interface Description Block says, of which any part may be missing."""
    link, snap = struct.unpack_from(order + "HxxI", block, 8) if len(block) >= 20 else Interface()[:2]
    _, _, resolution, offset = Interface()
    for code, value in read_options(block, 16, len(block) - 4, order):
        if code == _RESOLUTION and value:
            resolution = value[0]
        elif code == _OFFSET and len(value) >= 8:
            (offset,) = struct.unpack_from(order + "q", value)
    return Interface(link, snap, resolution, offset)


class File:
    """A pcapng file in memory, in this machine's byte order, perhaps one that is still being written."""

    def __init__(self, path: Path) -> None:
        """Map the bytes that are there now; raise OSError if that cannot be done."""
        self.data: mmap.mmap | bytes = b""
        with path.open("rb") as file:
            if file.seek(0, 2):
                self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *problem: object) -> None:
        """Unmap it."""
        if isinstance(self.data, mmap.mmap):
            self.data.close()

    def blocks(self, start: int = 0) -> Iterator[Block]:
        """Yield the whole blocks from start, where one begins, up to the first that is cut or no block."""
        data, stop, at = self.data, len(self.data), start
        head, tail = struct.Struct("=II").unpack_from, struct.Struct("=I").unpack_from
        while stop - at >= 12:
            kind, size = head(data, at)
            if size < 12 or size & 3 or size > MOST_BLOCK_BYTES or at + size > stop:
                return
            if tail(data, at + size - 4)[0] != size or (at == 0 and kind != SECTION):
                return
            yield Block(at, kind, size)
            at += size

    def time(self, block: Block, ticks: int) -> int:
        """Return when the packet of an Enhanced Packet Block was seen, in ns since 1970, its clock's ticks in ns."""
        high, low = struct.unpack_from("=II", self.data, block.at + 12)
        return ((high << 32) | low) * ticks

    def bytes_of(self, block: Block) -> bytes:
        """Return the captured bytes of the packet of an Enhanced Packet Block."""
        (count,) = struct.unpack_from("=I", self.data, block.at + 20)
        return self.data[block.at + 28 : min(block.at + 28 + count, block.stop - 4)]

    def ticks(self) -> int:
        """Return the ns in a tick of the first interface's clock: 1 or 1000."""
        found = next((block for block in self.blocks() if block.kind == INTERFACE), None)
        told = read_interface(self.data[found.at : found.stop]) if found else Interface()
        return 1 if told.resolution == _NANOSECONDS else 1000

    def lost(self, block: Block) -> Lost:
        """Return what an Interface Statistics Block tells."""
        told = dict(read_options(self.data, block.at + 20, block.stop - 4))
        counts = {code: struct.unpack("=Q", value)[0] for code, value in told.items() if len(value) == 8}
        known = {code: count for code, count in counts.items() if count != _UNKNOWN}
        return Lost(received=known.get(4), kernel=known.get(7), interface=known.get(5))

    def last_counters(self) -> Lost:
        """Return what the last block tells, if it is an Interface Statistics Block, as in whole segments."""
        if len(self.data) < 24:
            return Lost()
        (size,) = struct.unpack_from("=I", self.data, len(self.data) - 4)
        at = len(self.data) - size
        if size < 24 or at < 0 or struct.unpack_from("=II", self.data, at) != (STATISTICS, size):
            return Lost()
        return self.lost(Block(at, STATISTICS, size))
