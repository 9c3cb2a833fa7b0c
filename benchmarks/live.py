"""Measure recording and watching live: `python -m benchmarks.live`, as root; writes benchmarks/LIVE.md.

Numbered SIP messages are sent over a pair of interfaces in a network namespace that is made for it, at a known rate,
while they are recorded and watched on the same machine. What is not in the recording was lost.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Self

from analyzer.pcapng import PACKET, File
from analyzer.segments import list_segments, read_counters

LIVE = Path(__file__).with_name("LIVE.md")
PACKETS, RATE = 142_733, 50_000
SLOW_RATE = 5_000
SIPSCOPE = (sys.executable, "-m", "analyzer")
NEAR, FAR = "near", "far"
SECONDS_TO_BEGIN = 300
SECONDS_AFTER = 20
"""How long after the last packet all are told to end."""
SECONDS_TO_END = 120
MOST_READY = 200_000
"""So many packets are made before the first is sent."""
_NUMBER = re.compile(rb"Call-ID: number-(\d+)\.")


@dataclass
class Result:
    """What one program made of what was sent."""

    who: str
    rate: int
    """Packets a second that were wanted."""
    sent: int
    seconds: float
    """How long sending took."""
    read: int
    """Different packets that it has."""
    told: int | None
    """Packets that it says were lost; None if it does not say."""
    doubled: int = 0
    """Packets that it has more than once."""
    cpu: float = 0.0
    """Seconds of all cores, of the program and those that it started."""

    @property
    def lost(self) -> int:
        """How many packets it does not have."""
        return self.sent - self.read

    @property
    def honest(self) -> bool:
        """Whether it lost nothing, or as many as it says, and has nothing twice."""
        return self.doubled == 0 and (self.lost in (0, self.told))


@dataclass
class Lab:
    """A network namespace with the pair of interfaces near and far."""

    name: str = field(default_factory=lambda: f"sipscope-bench-{os.getpid()}")

    def __enter__(self) -> Self:
        """Make it."""
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        off = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        for command in (
            ("sysctl", "-qw", *off),
            ("ip", "link", "add", NEAR, "type", "veth", "peer", "name", FAR),
            ("ip", "link", "set", NEAR, "up"),
            ("ip", "link", "set", FAR, "up"),
        ):
            subprocess.run(self.inside(*command), check=True)
        return self

    def __exit__(self, *problem: object) -> None:
        """Take it away."""
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def inside(self, *command: str) -> list[str]:
        """Return the command that runs a command in it."""
        return ["ip", "netns", "exec", self.name, *command]

    def await_listeners(self, count: int) -> None:
        """Wait until so many programs read raw packets: the kernel's table has a line for each, and a head."""
        end = time.monotonic() + SECONDS_TO_BEGIN
        while time.monotonic() < end:
            table = subprocess.run(self.inside("cat", "/proc/net/packet"), capture_output=True, check=True).stdout
            if len(table.splitlines()) > count:
                return
            time.sleep(0.2)
        raise SystemExit("a program did not begin to record")

    def send(self, packets: int, rate: int) -> float:
        """Send so many messages at that rate, and return how many seconds it took."""
        command = self.inside(sys.executable, "-m", "benchmarks.live", "--send", f"{packets},{rate}")
        return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=LIVE.parents[1]).stdout)


def message(number: int) -> bytes:
    """Return an Ethernet frame with a SIP message that bears a number."""
    text = (
        f"OPTIONS sip:100@198.51.100.2 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK{number:x}\r\n"
        f"From: <sip:100@203.0.113.1>;tag={number % 97}\r\nTo: <sip:100@198.51.100.2>\r\n"
        f"Call-ID: number-{number}.\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nUser-Agent: friendly-scanner\r\n"
        "Contact: <sip:100@203.0.113.1:5060>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    udp = struct.pack("!HHHH", 5060, 5060, 8 + len(text), 0) + text
    source, destination = bytes([203, 0, 113, 1 + number % 200]), bytes([198, 51, 100, 2])
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), number & 0xFFFF, 0, 64, 17, 0) + source + destination
    return bytes.fromhex("0200000000020200000000010800") + ip + udp


def send(packets: int, rate: int) -> None:
    """Send messages from NEAR, a few at a time, and print how many seconds it took."""
    frames = map(message, range(packets))
    ready = list(islice(frames, MOST_READY))
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # a network does not wait for those who listen
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((NEAR, 0))
        begun = time.monotonic()
        for number, frame in enumerate(chain(ready, frames)):
            wire.send(frame)
            if number % 20 == 0:
                time.sleep(max(begun + number / rate - time.monotonic(), 0))
        print(time.monotonic() - begun)


def end(process: "subprocess.Popen[str]") -> tuple[str, float]:
    """End a program as Ctrl-C does; return what it said, and the CPU seconds of it and what it started."""
    process.send_signal(signal.SIGINT)
    before = os.times()
    said, wrong = process.communicate(timeout=SECONDS_TO_END)
    after = os.times()
    if process.returncode:
        raise SystemExit(f"{process.args} failed: {wrong}")
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return said, spent


def await_word(process: "subprocess.Popen[str]", word: str) -> None:
    """Wait until a program says a word on its standard error."""
    begun = time.monotonic()
    for line in process.stderr or ():
        if word in line:
            return
        if time.monotonic() - begun > SECONDS_TO_BEGIN:
            break
    raise SystemExit(f"{process.args} did not begin")


@contextlib.contextmanager
def running(lab: Lab, *command: str) -> "Iterator[subprocess.Popen[str]]":
    """Run a command in the lab, and kill it in the end if it still runs."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(lab.inside(*SIPSCOPE, *command), stdout=pipe, stderr=pipe, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def count(folder: str) -> tuple[int, int, int | None]:
    """Return how many numbers a recording holds, how many packets more than these, and how many it says were lost."""
    found: list[bytes] = []
    lost: list[int | None] = []
    for segment in list_segments(folder):
        lost.append(read_counters(segment).total)
        with File(segment) as file:
            for block in file.blocks():
                if block.kind == PACKET:
                    found += _NUMBER.findall(file.bytes_of(block))
    told = None if None in lost else sum(filter(None, lost))
    return len(set(found)), len(found) - len(set(found)), told


def measure_together(lab: Lab, packets: int, rate: int) -> list[Result]:
    """Return what record and watch made of packets at that rate, on the same interface at the same time."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(lab, "record", FAR, "-o", folder, "--every", "20s", "-q") as recording,
        running(lab, "watch", FAR, "--json") as watching,
    ):
        lab.await_listeners(2)
        await_word(watching, "watching")
        seconds = lab.send(packets, rate)
        time.sleep(SECONDS_AFTER)
        _, recorded = end(recording)
        said, watched = end(watching)
        read, doubled, told = count(folder)
    summary = json.loads(said.splitlines()[-1])
    return [
        Result("sipscope record", rate, packets, seconds, read, told, doubled, recorded),
        Result("sipscope watch", rate, packets, seconds, summary["packets"], summary["dropped"], 0, watched),
    ]


def measure_alone(lab: Lab, packets: int, rate: int, recorder: str) -> Result:
    """Return what record made of packets at that rate with a recorder, alone on the machine."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(lab, "record", FAR, "-o", folder, "-q", "--recorder", recorder) as recording,
    ):
        lab.await_listeners(1)
        time.sleep(2)
        seconds = lab.send(packets, rate)
        time.sleep(SECONDS_AFTER)
        _, spent = end(recording)
        read, doubled, told = count(folder)
    return Result(f"record --recorder {recorder}", rate, packets, seconds, read, told, doubled, spent)


def table(results: Sequence[Result]) -> str:
    """Return the results as a table in Markdown."""
    lines = [
        "| program | packets a second | sent | lost | says it lost | twice | CPU seconds |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for each in results:
        told = "unknown" if each.told is None else f"{each.told:,}"
        share = f" ({each.lost / each.sent:.0%})" if each.lost else ""
        lines.append(
            f"| `{each.who}` | {each.sent / each.seconds:,.0f} | {each.sent:,} | {each.lost:,}{share} | {told} "
            f"| {each.doubled:,} | {each.cpu:.1f} |"
        )
    return "\n".join(lines)


def write_page(results: Sequence[Result]) -> None:
    """Write the page of results."""
    cores, now = os.cpu_count(), datetime.now(UTC)
    LIVE.write_text(
        "# Live\n\n"
        "Written by `python -m benchmarks.live` (as root). Numbered SIP messages go over a pair of interfaces in a\n"
        "network namespace; `record` and `watch` run on the same interface at the same time, and the sender beside\n"
        "them on the same cores. The other recorders run alone. What is lost was sent and is not in what was recorded\n"
        "or read; what a program says comes from its recorder's own counters. Segments last 20 seconds.\n\n"
        f"{cores} cores, {now:%F %H:%M} UTC:\n\n{table(results)}\n",
        encoding="utf-8",
    )


def main() -> int:
    """Measure, write the page, and return 1 if something was lost that nobody told of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=PACKETS)
    parser.add_argument("--rates", type=int, nargs="+", default=[RATE])
    parser.add_argument("--minutes", type=float, default=0, help=f"go on for so long at {SLOW_RATE:,} a second")
    parser.add_argument("--recorders", nargs="*", default=["tcpdump", "scapy"], help="what else records, alone")
    parser.add_argument("--send", metavar="PACKETS,RATE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        send(*map(int, options.send.split(",")))
        return 0
    results: list[Result] = []
    with Lab() as lab:
        for rate in options.rates:
            results += measure_together(lab, options.packets, rate)
            results += [measure_alone(lab, options.packets, rate, recorder) for recorder in options.recorders]
        if options.minutes:
            results += measure_together(lab, int(options.minutes * 60 * SLOW_RATE), SLOW_RATE)
    print(table(results))
    write_page(results)
    ours = [each for each in results if each.who in ("sipscope record", "sipscope watch")]
    return 0 if all(each.honest for each in ours) else 1


if __name__ == "__main__":
    sys.exit(main())
