"""The programs and libraries that sipscope is measured against, how each is run, and where it comes from."""

import importlib.metadata
import importlib.util
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FIELDS = (
    "frame.time_epoch", "frame.number", "ip.proto", "ip.src", "udp.srcport", "tcp.srcport", "ip.dst", "udp.dstport",
    "tcp.dstport", "ip.ttl", "sip.Method", "sip.CSeq.method", "sip.Status-Code", "sip.r-uri", "sip.r-uri.user",
    "sip.from.display.info", "sip.from.user", "sip.from.host", "sip.from.tag", "sip.to.user", "sip.to.host",
    "sip.to.tag", "sip.Call-ID", "sip.CSeq.seq", "sip.Via.sent-by.address", "sip.Via.sent-by.port", "sip.Via.branch",
    "sip.Contact", "sip.Expires", "sip.User-Agent", "sip.Server", "sip.Subject", "sip.auth.username", "sip.auth.nonce",
    "sdp.owner.username", "sdp.owner.address", "sdp.session_name", "sdp.connection_info.address", "sdp.media.port",
    "sip.Content-Length", "udp.length",
)  # fmt: skip
"""TShark's fields for the columns of our messages table; there is none for `layout` and for what follows from several
messages."""

SCAPY = "import sys; from scapy.all import PcapReader; print(sum(1 for _ in PcapReader(sys.argv[1])))"
PYSHARK = """
import asyncio, sys
asyncio.set_event_loop(asyncio.new_event_loop())
import pyshark
capture = pyshark.FileCapture(sys.argv[1], keep_packets=False)
print(sum(hasattr(packet, 'sip') for packet in capture))
capture.close()
"""
DPKT = """
import sys, dpkt
def decode(data):
    ip = dpkt.ethernet.Ethernet(data).data
    return getattr(getattr(ip, 'data', None), 'data', b'')
print(sum(bool(decode(data)) for _, data in dpkt.pcap.Reader(open(sys.argv[1], 'rb'))))
"""
_scapy, _pyshark, _dpkt = ([sys.executable, "-W", "ignore", "-c", code] for code in (SCAPY, PYSHARK, DPKT))


@dataclass(frozen=True)
class Peer:
    """A program, or a library with the shortest script that reads a capture with it."""

    name: str
    needs: str
    """The program that has to be on the path, or the package that Python has to find."""
    source: str
    """How it is installed."""
    command: Callable[[str], list[str]]
    """The command that reads a capture."""
    library: bool = False
    packets: int | None = None
    """The size of the slice that it reads, in packets, if it is too slow for the whole capture."""
    rounds: int | None = None
    """How often it runs, if seldom for its slowness."""
    does: str = ""

    @property
    def version(self) -> str | None:
        """The version that is installed; None if it is missing."""
        if self.library:
            return importlib.metadata.version(self.needs) if importlib.util.find_spec(self.needs) else None
        path = find(self.needs)
        return program_version(path) if path else None


def find(program: str) -> str | None:
    """Return the path of a program, also where only root looks for it."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def program_version(path: str) -> str:
    """Return the version that a program says it has, or '?'."""
    option = "-V" if path.endswith("sipgrep") else "--version"
    done = subprocess.run([path, option], capture_output=True, text=True, errors="replace", check=False, timeout=30)
    found = re.search(r"\bV?(\d+\.\d[\w.+-]*)", done.stdout + done.stderr)
    return found[1].rstrip(".") if found else "?"


def _fields(path: str) -> list[str]:
    return ["tshark", "-n", "-r", path, "-T", "fields", *(part for field in FIELDS for part in ("-e", field))]


TCPDUMP = Peer(
    "tcpdump -n -r", "tcpdump", "apt-get install tcpdump", lambda path: ["tcpdump", "-n", "-r", path],
    does="prints the first line of every message",
)  # fmt: skip
PEERS = (
    TCPDUMP,
    Peer("wc -l", "wc", "apt-get install coreutils", lambda path: ["wc", "-l", path], does="counts lines: the limit"),
    Peer(
        "sipgrep -I", "sipgrep", "apt-get install sipgrep", lambda path: ["sipgrep", "-I", path], rounds=3,
        does="prints every message over UDP, in colours",
    ),
    Peer(
        "tshark -q -z sip,stat", "tshark", "apt-get install tshark",
        lambda path: ["tshark", "-n", "-q", "-z", "sip,stat", "-r", path], rounds=1, does="counts methods and statuses",
    ),
    Peer(
        "tshark -T fields", "tshark", "apt-get install tshark", _fields, rounds=1,
        does=f"prints {len(FIELDS)} fields: those of our messages table",
    ),
    Peer(
        "dpkt", "dpkt", "pip install 'sipscope[bench]'", lambda path: [*_dpkt, path], library=True, packets=100_000,
        does="decodes Ethernet to UDP, no SIP",
    ),
    Peer(
        "scapy PcapReader", "scapy", "pip install sipscope", lambda path: [*_scapy, path], library=True, packets=20_000,
        does="decodes all layers, no SIP",
    ),
    Peer(
        "pyshark FileCapture", "pyshark", "pip install sipscope (and apt-get install tshark)",
        lambda path: [*_pyshark, path], library=True, packets=2_000, does="makes objects of all that TShark dissects",
    ),
)  # fmt: skip


def cut(path: Path, packets: int, out: Path) -> int:
    """Write the first packets of a little-endian pcap to out and return how many there are."""
    with path.open("rb") as file, out.open("wb") as part:
        part.write(file.read(24))
        for count in range(packets):
            head = file.read(16)
            if len(head) < 16:
                return count
            part.write(head + file.read(struct.unpack_from("<I", head, 8)[0]))
    return packets
