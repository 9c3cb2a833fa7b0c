"""Frames as they lie on the wire, and a pair of interfaces in a network namespace of their own to send them over."""

import contextlib
import os
import re
import struct
import subprocess
import sys
import time
import uuid
from pathlib import Path

from needs import need, program

from analyzer.pcapng import PACKET, File
from analyzer.segments import Follower, list_segments

SENDER = """
import socket, sys, time
sys.path.insert(0, sys.argv[1])
from wire import sip_frame
interface, first, count, rate = sys.argv[2], *map(int, sys.argv[3:6])
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((interface, 0))
frames = [sip_frame(number) for number in range(first, first + count)]
begun = time.monotonic()
for number, frame in enumerate(frames):
    wire.send(frame)
    if number % 20 == 0:
        time.sleep(max(begun + number / rate - time.monotonic(), 0))
"""
ETHERNET = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01"
IPV6_SETTINGS = "/proc/sys/net/ipv6/conf"
"""Where IPv6 is switched off, with which interfaces would send by themselves."""
IPV4, IPV6 = 0x0800, 0x86DD


def sip(number=0):
    return (
        f"OPTIONS sip:10.9.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.9.0.1:5060;branch=z9hG4bK{number}\r\n"
        f"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: number-{number}.\r\nCSeq: 1 OPTIONS\r\n\r\n"
    ).encode()


def udp(payload, port=5060, source_port=40_000):
    return struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload


def tcp(payload, port=5060):
    return struct.pack("!HHIIBBHHH", 40_000, port, 1, 1, 0x50, 0x18, 1000, 0, 0) + payload


def ipv4(payload, protocol=17, *, offset=0, more=False):
    flags = offset // 8 | (0x2000 if more else 0)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, flags, 64, protocol, 0)
    return head + bytes([10, 9, 0, 1, 10, 9, 0, 2]) + payload


def ipv6(payload, following=17):
    return (
        struct.pack("!IHBB", 0x60000000, len(payload), following, 64) + bytes(15) + b"\1" + bytes(15) + b"\2" + payload
    )


def frame(payload, kind=IPV4, tags=()):
    return ETHERNET + b"".join(struct.pack("!HH", tag, 5) for tag in tags) + struct.pack("!H", kind) + payload


def sip_frame(number=0):
    return frame(ipv4(udp(sip(number))))


def sip_in_tags():
    """Return frames each of which completes a message: plain, tagged, and in two fragments, tagged or not."""
    message = udp(sip())
    pieces = [ipv4(message[:160], more=True), ipv4(message[160:], offset=160)]
    whole = [frame(ipv4(message), tags=tags) for tags in ((), (0x8100,), (0x8100, 0x8100), (0x88A8, 0x8100))]
    return [*whole, *(frame(piece) for piece in pieces)]


SIP_IN_TAGS = sip_in_tags()


def write_pcap(path, frames, link=1):
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, link))
        for number, data in enumerate(frames):
            file.write(struct.pack("=IIII", 1_700_000_000 + number, 0, len(data), len(data)) + data)
    return path


class Lab:
    """A namespace with the pair of interfaces near and far, in which nothing else sends."""

    def __init__(self):
        self.name = f"sipscope-{uuid.uuid4().hex[:8]}"

    def __enter__(self):
        ip = program("ip")
        need(os.geteuid() == 0, "root, for network namespaces,")
        made = subprocess.run([ip, "netns", "add", self.name], capture_output=True, text=True)
        need(made.returncode == 0, f"the right to make network namespaces ({made.stderr.strip()})")
        with contextlib.ExitStack() as undo:
            undo.callback(self.__exit__)
            self.run(
                "sh", "-c", "for each in all default; do echo 1 > $0/$each/disable_ipv6; done || true", IPV6_SETTINGS
            )
            self.run("ip", "link", "set", "lo", "up")
            self.link()
            undo.pop_all()
        return self

    def __exit__(self, *problem):
        subprocess.run([program("ip"), "netns", "del", self.name], check=False)

    def link(self):
        self.run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
        for name in ("near", "far"):
            self.run("ip", "link", "set", name, "up")

    def inside(self, *command):
        return [program("ip"), "netns", "exec", self.name, *command]

    def run(self, *command, **options):
        return subprocess.run(self.inside(*command), check=True, timeout=120, **options)

    def start(self, *command, **options):
        return subprocess.Popen(self.inside(*command), **options)

    def send(self, count, rate=2000, first=0, *, wait=True):
        """Send numbered messages from near to far."""
        here = Path(__file__).parent
        command = [sys.executable, "-c", SENDER, str(here), "near", str(first), str(count), str(rate)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), *filter(None, sys.path)])}
        sender = self.start(*command, env=environment)
        if wait:
            assert sender.wait(120) == 0
        return sender

    def emit(self, frames):
        """Send frames from near to far."""
        code = (
            "import socket, sys; wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); wire.bind(('near', 0));"
            "[wire.send(bytes.fromhex(text)) for text in sys.argv[1:]]"
        )
        self.run(sys.executable, "-c", code, *(each.hex() for each in frames))

    def record(self, folder, *options, interface="far", before=(), **more):
        """Start the command; it is recording when this returns, unless it has ended."""
        command = [*before, sys.executable, "-m", "analyzer", "record", interface, "-o", str(folder), *options]
        pipe = subprocess.PIPE
        process = self.start(*command, stdout=pipe, stderr=pipe, text=True, **more)
        wait_until(lambda: process.poll() is not None or self.listening())
        return process

    def listening(self):
        """Say whether somebody listens to raw packets: the kernel's table has a line more than its head."""
        table = self.run("cat", "/proc/net/packet", capture_output=True, text=True).stdout
        return any(line.split()[5] != "0" for line in table.splitlines()[1:])

    def sent(self):
        """Return how many packets left the interface that is recorded, and the loopback."""
        return [
            int(self.run("cat", f"/sys/class/net/{name}/statistics/tx_packets", capture_output=True, text=True).stdout)
            for name in ("far", "lo")
        ]


def wait_until(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def numbers(folder):
    """Return the numbers of all messages in the whole segments of a folder, in order."""
    found = []
    for segment in list_segments(folder):
        with File(segment) as file:
            packets = b"".join(file.bytes_of(block) for block in file.blocks() if block.kind == PACKET)
        found += [int(number) for number in re.findall(rb"Call-ID: number-(\d+)\.", packets)]
    return found


def count_packets(path):
    return Follower(path).follow().packets
