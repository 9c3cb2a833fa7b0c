"""The pyshark engine: packets as TShark dissects them, from any capture file that Wireshark reads.

Slow, and complete: it reads formats that the others do not, and decrypts TLS with a key log. TShark resolves no
names, and runs with no other dissectors than those that lead to the payload of UDP or TCP: fewer bytes of attackers
are dissected, and no port number makes it take SIP for something else. Reasons of unreadable packets and of anomalies
are those of the native engine.
"""

import asyncio
import shutil
import subprocess
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from pyshark import FileCapture

from analyzer.capture import check
from analyzer.engines import Packets
from analyzer.engines.rows import BLOCK_PACKETS, Block, Ends, Payload, name_format, reason_of
from analyzer.errors import CaptureError, UnavailableError

_PATIENCE = 10
"""Seconds that TShark gets to end once it has nothing more to say."""
_DISSECTED = frozenset(
    """
    _ws.expert _ws.malformed _ws.short _ws.unreassembled ah arcnet atm chdlc cosine data enc erspan erspan.marker eth
    ethertype fddi fr frame geneve geninfo gre gtp gtpprime icmp icmpv6 ieee8021ah ieee8021ad ieee8021cb ip ipcomp
    ipv6 ipv6.dstopts ipv6.fraghdr ipv6.hopopts ipv6.routing ipv6.shim6 l2tp lapd linux_sll llc loop lwapp mip6 mpls
    mplspwcw null nsh ppp pppmux pppoed pppoes prp pw_eth_cw pw_eth_heuristic pwach pwethcw pwethheuristic pwethnocw
    raw sctp sll snap tcp tr tunnel udp udplite vlan vxlan wlan
    """.split()  # noqa: SIM905 (sixty words in quotation marks are harder to read)
)
"""The protocols that TShark may dissect, by filter name."""
_TOLD = "ip ipv6 ipv6.fraghdr udp tcp sctp icmp icmpv6"
"""The protocols that TShark tells the fields of."""


def read_packets(path: Path, *, keylog: Path | None = None) -> Iterator[Packets]:
    """Yield the packets of the capture at path, some thousand at a time.

    With a key log (the file that browsers and servers write for SSLKEYLOGFILE), TLS is decrypted.
    Raises CaptureError if TShark cannot read it, UnavailableError if there is no TShark.
    """
    program = shutil.which("tshark")
    if program is None:
        raise UnavailableError("the engine 'pyshark' needs the program tshark; install it, or put it on the PATH")
    if not path.is_file():
        check(path)
    blocks = _read(path, program)
    # Where an event loop runs already, as in a notebook, pyshark's loop needs a thread of its own.
    with ThreadPoolExecutor(1, "pyshark") as thread:
        try:
            while (packets := thread.submit(next, blocks, None).result()) is not None:
                yield packets
        finally:
            thread.submit(blocks.close).result()


# --- the program


@cache
def _refused(program: str) -> list[str]:
    """Return the arguments that keep TShark from dissecting what we do not ask it for."""
    listed = subprocess.run([program, "-G", "protocols"], capture_output=True, check=False)  # noqa: S603 (no shell)
    names = [line.split("\t")[2] for line in listed.stdout.decode(errors="replace").splitlines() if "\t" in line]
    return [word for name in names if name not in _DISSECTED for word in ("--disable-protocol", name)]


class _Capture(FileCapture):  # type: ignore[misc]
    """A capture that is read with one TShark on a path of ours, and that keeps what TShark says at its end."""

    def __init__(self, path: Path, program: str, parameters: list[str]) -> None:
        self.status = 0
        self.words = b""
        self._program = program
        super().__init__(
            str(path), keep_packets=False, eventloop=asyncio.new_event_loop(), custom_parameters=parameters
        )

    def _get_tshark_path(self) -> str:
        """Return the path that was found: pyshark would obey a config.ini in the current folder."""
        return self._program

    async def _handle_process_stderr_forever(self, stderr: asyncio.StreamReader) -> None:
        while said := await stderr.read(4096):
            self.words = (self.words + said)[-4096:]

    async def _cleanup_subprocess(self, process: asyncio.subprocess.Process) -> None:
        """Wait until TShark has ended; pyshark kills it as soon as it is silent, and never learns its status."""
        if process.returncode is None and not self._eof_reached:
            process.kill()
        try:
            self.status = await asyncio.wait_for(process.wait(), _PATIENCE)
        except TimeoutError:
            process.kill()
            self.status = await process.wait()

    def close(self) -> None:
        """End TShark, and close what spoke to it."""
        try:
            super().close()
        finally:
            self.eventloop.close()

    @property
    def complaint(self) -> str:
        """What TShark said last, in one line; nothing if it ended well."""
        lines = [line for line in self.words.decode(errors="replace").splitlines() if line.startswith("tshark: ")]
        if self.status == 0:
            return ""
        return lines[-1].removeprefix("tshark: ") if lines else f"TShark ended with status {self.status}"


def _read(path: Path, program: str) -> Generator[Packets]:
    parameters = [*_refused(program), "-J", _TOLD, "-o", "tcp.relative_sequence_numbers:FALSE"]
    capture = _Capture(path, program, parameters)
    decoder = _Decoder()
    form = name_format(path)
    try:
        packets = iter(capture)
        count = 0
        ended = False
        while not ended:
            block = Block(form)
            while block.seen < BLOCK_PACKETS and (packet := next(packets, None)) is not None:
                decoder.take(packet, block)
            count += block.seen
            ended = block.seen < BLOCK_PACKETS
            if ended:
                decoder.end(block)
                _tell_end(capture, path, count, block)
            yield block.finish()
    finally:
        capture.close()


def _tell_end(capture: _Capture, path: Path, count: int, block: Block) -> None:
    """Note it if TShark could not read to the end; raise CaptureError if it could not even begin."""
    complaint = capture.complaint
    if "cut short" in complaint:
        block.note("cut short", f"TShark says: {complaint}")
    elif complaint and not count:
        raise CaptureError(path, f"cannot be read by TShark, which says: {complaint}")
    elif complaint:
        block.note("damaged", f"TShark says: {complaint}")


# --- the packets


class _Decoder:
    """Takes from TShark's packets what may carry SIP."""

    def take(self, packet: Any, block: Block) -> None:  # noqa: ANN401 (pyshark has no types)
        """Settle the fate of a packet."""
        number, time = int(packet.number), _nanoseconds(packet.sniff_timestamp)
        block.see(time)
        network = transport = None
        for layer in packet.layers:
            name = layer.layer_name
            if name in {"ip", "ipv6"}:
                network, transport = layer, None
            elif name in {"icmp", "icmpv6"}:
                transport = layer
                break
            elif name in {"udp", "tcp"}:
                transport = layer
        if network is None:
            block.set_aside("not ip")
        elif transport is None or transport.layer_name.startswith("icmp"):
            self._set_aside(network, transport, block)
        elif transport.layer_name == "udp":
            _take_udp(number, time, network, transport, block)
        else:
            block.set_aside("tcp")

    def end(self, block: Block) -> None:
        """Settle what waited for more packets."""

    @staticmethod
    def _set_aside(network: Any, transport: Any, block: Block) -> None:  # noqa: ANN401
        if transport is not None:
            block.set_aside("icmp")
        else:
            block.set_aside(reason_of(_number(network, "ip.proto", "ipv6.nxt")))


def _take_udp(number: int, time: int, network: Any, udp: Any, block: Block) -> None:  # noqa: ANN401
    size, payload = _number(udp, "udp.length"), _bytes(udp, "udp.payload")
    if 0 < size < 8:
        block.reject(number, time, "bad udp header", "the UDP length is less than that of a UDP header")
    elif size > 8 and not payload:
        block.reject(number, time, "cut before the payload", "the captured bytes end before the payload begins")
    else:
        ends = _ends(network, udp, "udp")
        block.add_datagram(Payload(number, time, ends, payload, max(size - 8 - len(payload), 0)))


def _ends(network: Any, transport: Any, name: str) -> Ends:  # noqa: ANN401
    six = network.layer_name == "ipv6"
    source, destination = ("ipv6.src", "ipv6.dst") if six else ("ip.src", "ip.dst")
    return Ends(
        _number(network, "ipv6.hlim" if six else "ip.ttl"),
        _bytes(network, source),
        _number(transport, f"{name}.srcport"),
        _bytes(network, destination),
        _number(transport, f"{name}.dstport"),
    )


def _nanoseconds(timestamp: str | None) -> int:
    """Return the time that TShark writes as seconds with nine decimals; -1 if there is none."""
    seconds, _, fraction = str(timestamp or "").partition(".")
    try:
        return int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
    except ValueError:
        return -1


def _number(layer: Any, *names: str) -> int:  # noqa: ANN401
    """Return the first of the fields that is there, as a number; 0 if none is."""
    for name in names:
        field = layer.get_field(name)
        if field is not None:
            return int(field.show, 0)
    return 0


def _bytes(layer: Any, name: str) -> bytes:  # noqa: ANN401
    """Return the bytes of a field, none if it is not there."""
    field = layer.get_field(name)
    return b"" if field is None or not field.raw_value else bytes.fromhex(field.raw_value)
