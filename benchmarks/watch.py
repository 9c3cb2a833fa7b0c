"""Watches a day of attacks replayed fast: `python -m benchmarks.watch [--messages 20000000] [--sources 200000]`.

A capture is written into a FIFO that `sipscope watch` reads, as fast as it takes it. The memory of the watch is sampled
in each hundredth of the way. It holds if, after the first tenth, there is never more than FLAT times what there was at
the most within it, and if all that was written was read and is accounted for.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.frames import GLOBAL

FLAT = 1.1
"""How many times the greatest memory of the first tenth the memory may be later."""
DAY = 86_400
SAMPLES = 100
SOURCE_AT = 16 + 14 + 12
"""Where in a record of Ethernet and IPv4 the source address is."""
PIECE = 400
"""Records that are written together."""
TOOLS = ("friendly-scanner", "Yealink SIP-T46U")  # of one length

HOLE = b"########"


@dataclass
class Result:
    """What was measured."""

    messages: int = 0
    packets: int = 0
    sources: int = 0
    """Distinct addresses of the scattered senders, and of all others."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of the watch."""
    early_mib: float = 0.0
    """The most memory that it took before it had to be flat: in the first tenth of the way."""
    later_mib: float = 0.0
    """The most that it took later."""
    read: int = 0
    """Packets that it says it read."""
    dropped: int | None = None
    not_examined: int = 0
    known_sources: int = 0
    campaigns: int = 0
    settled: float = 0.1
    """The part of the way after which memory has to be flat."""
    samples: list[float] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether memory was flat, and every packet was read."""
        return self.later_mib <= FLAT * self.early_mib and self.read == self.packets


def stream(messages: int, sources: int, seed: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield a day of SIP piece by piece: the bytes, how many messages are in them, and how many packets.

    Three quarters are the traffic of benchmarks.generate; a quarter are single requests of as many sources as are
    asked for, each of which comes back when all others had their turn.
    """
    from benchmarks.generate import windows

    lone, made = _Lone(sources), 0
    for records, flags in windows("scan", seed, 1.0, rate=messages / DAY):
        for first in range(0, len(records), PIECE):
            piece, count = records[first : first + PIECE], int(flags[first : first + PIECE].sum())
            others = min(count // 3, max(messages - made - count, 0))
            if made + count > messages:
                ends = int(np.searchsorted(np.cumsum(flags[first : first + PIECE]), messages - made)) + 1
                piece, count = piece[:ends], messages - made
            yield b"".join(piece) + lone.requests(piece[-1][:8], others), count + others, len(piece) + others
            made += count + others
            if made >= messages:
                return


class _Lone:
    """Sources that send one request at a time: some scan, others keep alive."""

    def __init__(self, sources: int) -> None:
        self._sources = sources
        self._next = 0
        self._scan, self._keep = (np.frombuffer(_request(tool), np.uint8) for tool in TOOLS)
        self._holes = [place for place in range(len(self._scan) - 8) if bytes(self._scan[place : place + 8]) == HOLE]

    def requests(self, stamp: bytes, count: int) -> bytes:
        """Return so many records of the time stamp, of the sources whose turn it is."""
        number = np.arange(self._next, self._next + count)
        self._next += count
        who = number % self._sources
        rows = np.where((who % 16 == 0)[:, None], self._scan, self._keep)
        rows[:, :8] = np.frombuffer(stamp, np.uint8)
        rows[:, SOURCE_AT : SOURCE_AT + 4] = (who + (11 << 24)).astype(">u4").view(np.uint8).reshape(-1, 4)
        digits = number[:, None] // 10 ** np.arange(7, -1, -1) % 10 + 48
        for place in self._holes:
            rows[:, place : place + 8] = digits
        return rows.astype(np.uint8).tobytes()


def _request(tool: str) -> bytes:
    """Return the record of a request with holes where its number comes."""
    hole = HOLE.decode()
    payload = (
        f"OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP lone.example:5060;branch=z9hG4bK{hole}\r\n"
        f"From: <sip:{hole}@lone.example>;tag={hole}\r\nTo: <sip:192.0.2.1>\r\nCall-ID: {hole}@lone.example\r\n"
        f"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nUser-Agent: {tool}\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    size = 20 + 8 + len(payload)
    ip = b"\x45\0" + size.to_bytes(2) + b"\0\x01\0\0\x40\x11\0\0" + bytes(4) + bytes([192, 0, 2, 1])
    udp = b"\x13\xc4\x13\xc4" + (8 + len(payload)).to_bytes(2) + b"\0\0"
    frame = bytes(12) + b"\x08\0" + ip + udp + payload
    return bytes(8) + len(frame).to_bytes(4, "little") * 2 + frame


def memory(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def measure(  # noqa: PLR0913
    messages: int, sources: int, *, window: int = 50_000, settled: float = 0.1, seed: int = 1, tell: bool = False
) -> Result:
    """Replay so many messages into a watch with a window of so many, and return what was measured."""
    result = Result(sources=sources, settled=settled)
    with tempfile.TemporaryDirectory(prefix="sipscope-") as folder:
        fifo = Path(folder) / "packets"
        os.mkfifo(fifo)
        command = [sys.executable, "-m", "analyzer", "watch", str(fifo), "--json", "--only", "breached"]
        command += ["--window", str(window)]
        watch = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        heard: list[bytes] = []
        listener = threading.Thread(target=lambda: heard.extend(watch.stdout or ()), daemon=True)
        listener.start()
        begin = time.monotonic()
        try:
            with fifo.open("wb", buffering=0) as pipe:
                _replay(pipe, watch.pid, (messages, sources, seed), result, tell=tell)
            _, status, usage = os.wait4(watch.pid, 0)
            watch.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            watch.kill()
            raise
        listener.join()
        if watch.stdout:
            watch.stdout.close()
        result.seconds, result.cpu_seconds = time.monotonic() - begin, usage.ru_utime + usage.ru_stime
        _judge(result, json.loads(heard[-1]))
    return result


def _replay(pipe: object, pid: int, what: tuple[int, int, int], result: Result, *, tell: bool) -> None:
    """Write the stream, and sample memory on the way."""
    messages = what[0]
    _write(pipe, GLOBAL)
    for data, count, packets in stream(*what):
        _write(pipe, data)
        result.messages += count
        result.packets += packets
        if result.messages * SAMPLES >= messages * (len(result.samples) + 1):
            now = memory(pid)
            while result.messages * SAMPLES >= messages * (len(result.samples) + 1):
                result.samples.append(round(now, 1))
            if tell:
                print(f"{result.messages:>12,} messages {now:8.1f} MiB", flush=True)


def _write(pipe: object, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[pipe.write(rest) :]  # type: ignore[attr-defined]


def _judge(result: Result, summary: dict[str, object]) -> None:
    """Take over what the watch says it saw, and how its memory went."""
    early = max(int(len(result.samples) * result.settled), 1)
    samples = np.array(result.samples)
    result.early_mib = float(samples[:early].max())
    result.later_mib = float(samples[early:].max(initial=0))
    totals: dict[str, int] = summary["totals"]  # type: ignore[assignment]
    result.read, result.dropped = int(str(summary["packets"])), summary["dropped"]  # type: ignore[assignment]
    result.not_examined = int(str(summary["not_examined"]))
    result.known_sources, result.campaigns = totals["sources"], totals["campaigns"]


def main() -> int:
    """Measure, say what was measured, and fail if it does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000_000, help="SIP messages (default: 20,000,000)")
    parser.add_argument("--sources", type=int, default=200_000, help="sources that come and go (default: 200,000)")
    parser.add_argument("--window", type=int, default=50_000, help="messages in the window (default: 50,000)")
    parser.add_argument("--settled", type=float, default=0.1, help="when memory must be flat (default: 0.1 of the way)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="say it as JSON")
    asked = parser.parse_args()
    result = measure(
        asked.messages, asked.sources, window=asked.window, settled=asked.settled, seed=asked.seed, tell=not asked.json
    )
    facts = asdict(result)
    if asked.json:
        print(json.dumps(facts))
    else:
        facts.pop("samples")
        for name, value in facts.items():
            shown = f"{value:,.1f}" if isinstance(value, float) else str(value)
            print(f"{name.replace('_', ' '):>17}: {shown}")
        print("holds" if result.holds else "DOES NOT HOLD")
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
