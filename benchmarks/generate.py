"""Makes large captures: `python -m benchmarks.generate OUT --messages 1000000 --profile sip --seed 1`.

The profile says what is in it: `sip` nothing but SIP (and the handshakes of its TCP connections), `mixed` 1 % SIP
among RTP, RTCP, DNS, HTTP and ARP, `scan` SIP that is mostly attacks. The same arguments give the same bytes. A capture
is written window by window of time, in the order of time, so that one of any size needs little memory; it ends after
exactly as many messages or packets as asked for, or before it has more bytes. The SIP is dissected by TShark without
complaint; every answer belongs to a request before it.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from benchmarks.frames import GLOBAL

if TYPE_CHECKING:
    from benchmarks.talks import Part, Scene

EPOCH = 1_767_225_600_000_000
"""When captures begin: 2026-01-01 00:00 UTC, in microseconds."""
WINDOW = 40_000
"""About how many packets are made at a time."""
RATE = 1_000
"""SIP messages a second; where little else is asked for, packets are this many times more."""
OFFICE = {
    "registrations": 12, "renewals": 14, "keepalives": 22, "calls": 10, "trunk": 4, "over-tcp": 1, "sweeps": 8,
    "enumerations": 13, "guesses": 8, "frauds": 5, "scattered": 4,
}  # fmt: skip
BEACH = {
    "registrations": 2, "renewals": 3, "keepalives": 3, "calls": 4, "trunk": 1, "over-tcp": 1, "sweeps": 16,
    "enumerations": 26, "guesses": 22, "frauds": 14, "scattered": 8,
}  # fmt: skip
BESIDE = {"media": 78, "reports": 1, "names": 6, "pages": 14, "whohas": 1}
PROFILES: dict[str, tuple[dict[str, int], float]] = {
    "sip": (OFFICE, 1.0),
    "mixed": (OFFICE, 0.01),
    "scan": (BEACH, 1.0),
}
"""How the messages are divided among the scenes, and the share of packets that are SIP."""


@dataclass
class Made:
    """What is in a capture."""

    messages: int = 0
    packets: int = 0
    bytes: int = len(GLOBAL)
    """Of the capture before it is compressed."""


@dataclass
class _Scenes:
    """Scenes that share messages or packets among them, and how far each is."""

    scenes: "dict[str, tuple[Scene, int]]"
    weights: dict[str, int]
    rng: np.random.Generator
    made: dict[str, int] = field(default_factory=dict)
    owed: dict[str, float] = field(default_factory=dict)

    def window(self, amount: float, start: int, span: int) -> "Iterator[Part]":
        """Yield what begins in one window of time: `amount` messages or packets, within the fraction of an exchange."""
        total = sum(self.weights.values())
        for name, weight in self.weights.items():
            scene, size = self.scenes[name]
            owed = self.owed.get(name, 0.0) + amount * weight / total / size
            count = int(owed)
            self.owed[name] = owed - count
            if count:
                time = start + np.sort(self.rng.integers(0, span, count))
                first = self.made.get(name, 0)
                self.made[name] = first + count
                yield from scene(self.rng, time, first)


class _Line:
    """Packets that wait for their turn, in the order of time."""

    def __init__(self) -> None:
        self.time = np.zeros(0, np.int64)
        self.messages = np.zeros(0, bool)
        self.records: list[bytes] = []

    def add(self, parts: "list[Part]") -> None:
        """Let packets join."""
        self.time = np.concatenate([self.time, *(part.time for part in parts)])
        flags = [np.full(len(part.time), part.messages) for part in parts]
        self.messages = np.concatenate([self.messages, *flags])
        for part in parts:
            self.records += part.records

    def leave(self, until: int) -> tuple[list[bytes], np.ndarray]:
        """Return the records of the packets before that time, and which of them are messages."""
        order = np.argsort(self.time, kind="stable")
        ready = int(np.searchsorted(self.time[order], until))
        gone, rest = order[:ready], order[ready:]
        records, messages = [self.records[index] for index in gone.tolist()], self.messages[gone]
        self.records = [self.records[index] for index in rest.tolist()]
        self.time, self.messages = self.time[rest], self.messages[rest]
        return records, messages


def windows(
    profile: str, seed: int, share: float, window: int = WINDOW, *, rate: float = RATE
) -> Iterator[tuple[list[bytes], np.ndarray]]:
    """Yield the records of one window of time after the other, without end, and which of them are messages.

    The rate is that of messages a second, where little else is asked for.
    """
    from benchmarks.talks import NOISE, TALKS

    weights = PROFILES[profile][0]
    rng = np.random.Generator(np.random.PCG64(seed))
    talks, noise, line = _Scenes(TALKS, weights, rng), _Scenes(NOISE, BESIDE, rng), _Line()
    rate = rate if share > 0.1 else rate / 5
    span, start = int(window * max(share, 0.001) / rate * 1e6), EPOCH
    while True:
        parts = list(talks.window(window * share, start, span))
        if share < 1:
            parts += noise.window(window * (1 - share), start, span)
        line.add(parts)
        start += span
        yield line.leave(start)


def generate(  # noqa: PLR0913
    out: str | Path,
    *,
    messages: int | None = None,
    packets: int | None = None,
    most_bytes: int | None = None,
    profile: str = "sip",
    share: float | None = None,
    seed: int = 1,
    compress: str | None = None,
) -> Made:
    """Write a capture and return what is in it.

    Args:
        out: where it goes.
        messages: it ends with this many SIP messages,
        packets: or with this many packets,
        most_bytes: or before it has more bytes than this, whatever comes first.
        profile: a name of PROFILES.
        share: the share of packets that are SIP, if not that of the profile.
        seed: other seeds give other captures.
        compress: "gz" or "zst".
    """
    made = Made()
    part = PROFILES[profile][1] if share is None else share
    sizes = (messages and int(messages / part), packets, most_bytes and most_bytes // 400)
    window = max(200, min([WINDOW, *(size // 4 for size in sizes if size)]))
    with ExitStack() as stack:
        file = _open(Path(out), compress, stack)
        file.write(GLOBAL)
        for records, flags in windows(profile, seed, part, window):
            end = _end(made, records, flags, messages, packets, most_bytes)
            data = b"".join(records[:end])
            file.write(data)
            made.packets += end
            made.messages += int(flags[:end].sum())
            made.bytes += len(data)
            if end < len(records) or made.messages == messages or made.packets == packets:
                return made
    raise AssertionError("the windows have no end")


def _end(  # noqa: PLR0913, PLR0917
    made: Made, records: list[bytes], flags: np.ndarray, messages: int | None, packets: int | None, most: int | None
) -> int:
    """Return how many of the records still belong to the capture."""
    end = len(records)
    if packets is not None:
        end = min(end, packets - made.packets)
    if messages is not None:
        end = min(end, int(np.searchsorted(np.cumsum(flags), messages - made.messages)) + 1)
    if most is not None:
        sizes = np.cumsum([len(record) for record in records])
        end = min(end, int(np.searchsorted(sizes, most - made.bytes, side="right")))
    return end


def _open(path: Path, compress: str | None, stack: ExitStack) -> IO[bytes]:
    raw = stack.enter_context(path.open("wb"))
    if compress == "gz":
        return stack.enter_context(gzip.GzipFile("", "wb", 1, raw, mtime=0))  # no name, no time: equal bytes
    if compress == "zst":
        import zstandard

        return stack.enter_context(zstandard.ZstdCompressor(3).stream_writer(raw, closefd=False))
    return raw


def main() -> int:
    """Write a capture and say what is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", metavar="OUT", help="the capture, a pcap")
    parser.add_argument("--messages", type=int, help="end after this many SIP messages")
    parser.add_argument("--packets", type=int, help="end after this many packets")
    parser.add_argument("--bytes", type=int, dest="most_bytes", help="end before it is larger than this")
    parser.add_argument("--profile", choices=list(PROFILES), default="sip", help="what is in it (default: sip)")
    parser.add_argument("--share", type=float, help="the share of packets that are SIP, if not the profile's")
    parser.add_argument("--seed", type=int, default=1, help="other seeds give other captures (default: 1)")
    parser.add_argument("--compress", choices=("gz", "zst"), help="compress it")
    parser.add_argument("--json", action="store_true", help="say what is in it as JSON")
    asked = vars(parser.parse_args())
    as_json = asked.pop("json")
    if not any(asked[name] for name in ("messages", "packets", "most_bytes")):
        parser.error("say how large it is to be: --messages, --packets or --bytes")
    made = generate(**asked)
    if as_json:
        print(json.dumps(asdict(made)))
        return 0
    print(f"{asked['out']}: {made.messages:,} SIP messages, {made.packets:,} packets, {made.bytes:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
