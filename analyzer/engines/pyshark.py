"""The pyshark engine: packets as TShark dissects them, from any capture file that Wireshark reads.

Slow, and complete: it reads formats that the others do not, and decrypts TLS with a key log. TShark resolves no
names, and runs with no other dissectors than those that lead to the payload of UDP or TCP: fewer bytes of attackers
are dissected, and no port number makes it take SIP for something else. Reasons of unreadable packets and of anomalies
are those of the native engine.
"""

import asyncio
import shutil
import subprocess
from collections import OrderedDict
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pyshark import FileCapture

from analyzer.capture import open_stream
from analyzer.engines import Anomaly, Packets
from analyzer.engines.rows import (
    BAD_IP,
    BAD_TCP,
    BAD_UDP,
    BLOCK_PACKETS,
    CUT,
    TOO_DEEP,
    Block,
    Ends,
    Flows,
    Payload,
    holds_sip,
    name_format,
    reason_of,
)  # fmt: skip
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
_TOLD = "ip ipv6 ipv6.fraghdr udp tcp data"
"""The protocols that TShark tells the fields of."""
_NETWORKS = frozenset(("ip", "ipv6"))
_QUOTING = frozenset(("icmp", "icmpv6"))
"""Protocols within which a packet is quoted, and none of its own."""
_CARRYING = frozenset(("udp", "tcp"))
_BOGUS = ("ip.bogus_ip_length", "ip.bogus_ip_version", "ip.bogus_header_length")
"""The fields by which TShark says that an IP header is wrong."""
_MOST_NETWORKS = 16
"""IP packets within each other that are looked at."""
_NOTES = 100
"""How many fragments of a block are told one by one."""
_MOST_FRAGMENTS = 65_536
_UNPACKED = frozenset(("gzip", "zstd", "lz4"))
"""The compressions that TShark undoes."""


def read_packets(path: Path, *, keylog: Path | None = None) -> Iterator[Packets]:
    """Yield the packets of the capture at path, some thousand at a time.

    With a key log (the file that browsers and servers write for SSLKEYLOGFILE), TLS is decrypted.
    Raises CaptureError if TShark cannot read it, UnavailableError if there is no TShark.
    """
    program = shutil.which("tshark")
    if program is None:
        raise UnavailableError("the engine 'pyshark' needs the program tshark; install it, or put it on the PATH")
    form = _check(path)
    blocks = _read(_TShark(path, program, keylog and _check_keylog(keylog)), form)
    # Where an event loop runs already, as in a notebook, pyshark's loop needs a thread of its own.
    with ThreadPoolExecutor(1, "pyshark") as thread:
        try:
            while (packets := thread.submit(next, blocks, None).result()) is not None:
                yield packets
        finally:
            thread.submit(blocks.close).result()


def _check(path: Path) -> str:
    """Return what the capture at path is; raise CaptureError if TShark would not read it."""
    if not path.is_file() and path.exists():
        raise CaptureError(path, "is no file, and TShark reads it more than once; name a file, or use another engine")
    with open_stream(path, foreign=True) as stream:
        packed = [name for name in stream.compressions if name not in _UNPACKED]
        if packed or len(stream.compressions) > 1:
            raise CaptureError(
                path, f"is compressed ({packed[0] if packed else 'twice'}), which TShark does not undo; unpack it first"
            )
        return name_format(stream.head)


def _check_keylog(keylog: Path) -> Path:
    if not keylog.is_file():
        raise CaptureError(keylog, "is no key log; name the file that SSLKEYLOGFILE named when TLS was recorded")
    return keylog.absolute()


# --- the program


@cache
def _refused(program: str, tls: bool) -> list[str]:  # noqa: FBT001 (private)
    """Return the arguments that keep TShark from dissecting what we do not ask it for."""
    listed = subprocess.run([program, "-G", "protocols"], capture_output=True, check=False)  # noqa: S603 (no shell)
    names = [line.split("\t")[2] for line in listed.stdout.decode(errors="replace").splitlines() if "\t" in line]
    allowed = _DISSECTED | {"tls"} if tls else _DISSECTED
    return [word for name in names if name not in allowed for word in ("--disable-protocol", name)]


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


class _TShark:
    """TShark on one capture, with what it is told to do."""

    def __init__(self, path: Path, program: str, keylog: Path | None) -> None:
        self.path = path
        self._program = program
        self._secrets = [] if keylog is None else ["-o", f"tls.keylog_file:{keylog}"]

    def open(self, told: str, *more: str) -> _Capture:
        """Return a capture whose packets have the fields of the protocols told."""
        parameters = [*_refused(self._program, bool(self._secrets)), *self._secrets, "-J", told, *more]
        return _Capture(self.path, self._program, parameters)

    def find_decrypted(self) -> frozenset[str]:
        """Return the numbers of the TCP streams that the key log opens."""
        if not self._secrets:
            return frozenset()
        capture = self.open("tcp", "-Y", "tls.app_data && data.data")
        try:
            return frozenset(
                _text(layer, "tcp.stream") for packet in capture for layer in packet.get_multiple_layers("tcp")
            )
        finally:
            capture.close()


def _read(tshark: _TShark, form: str) -> Generator[Packets]:
    decoder = _Decoder(tshark.find_decrypted())
    capture = tshark.open(_TOLD)
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
                _tell_end(capture, tshark.path, count, block)
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

    def __init__(self, decrypted: frozenset[str]) -> None:
        self._decrypted = decrypted
        self._flows = Flows()
        self._next: dict[tuple[str, bytes, int], int] = {}
        """The sequence number that comes next in each half of a decrypted stream."""
        self._fragments: OrderedDict[int, int] = OrderedDict()
        """The times, by number, of the fragments whose datagram is not complete."""

    def take(self, packet: Any, block: Block) -> None:  # noqa: ANN401 (pyshark has no types)
        """Settle the fate of a packet."""
        number, time = int(packet.number), _nanoseconds(packet.sniff_timestamp)
        block.see(time)
        found = _descend(packet.layers)
        parts = 1 + sum(self._complete(number, network) for network in found.networks)
        network, transport = found.networks[-1] if found.networks else None, found.transport
        if len(found.networks) > _MOST_NETWORKS:
            block.reject(number, time, TOO_DEEP, parts)
        elif transport is None and network is not None and _is_fragment(network):
            self._keep_fragment(number, time, block)
        elif flaw := _find_flaw(network, transport, short="_ws.short" in packet):
            block.reject(number, time, flaw, parts)
        elif network is None or transport is None:
            block.set_aside("not ip" if network is None else _why(network, quotes=found.quotes), parts)
        elif transport.layer_name == "udp":
            block.add_datagram(_payload(number, time, network, transport), parts)
        else:
            self._take_tcp(_payload(number, time, network, transport), transport, packet, block, parts)

    def end(self, block: Block) -> None:
        """Settle what waited for more packets."""
        while self._fragments:
            self._give_up(block)

    def _keep_fragment(self, number: int, time: int, block: Block) -> None:
        self._fragments[number] = time
        if len(self._fragments) > _MOST_FRAGMENTS:
            self._give_up(block)

    def _give_up(self, block: Block) -> None:
        """Settle the fate of the oldest fragment."""
        number, time = self._fragments.popitem(last=False)
        block.set_aside("fragment")
        if block.aside["fragment"] <= _NOTES:
            what = "the fragment's datagram was never completed"
            block.anomalies.append(Anomaly(time, number, "incomplete datagram", what))

    def _complete(self, number: int, network: Any) -> int:  # noqa: ANN401
        """Return how many packets before this one carried fragments of the datagram that it completes."""
        parts = network.get_field(f"{network.layer_name}.fragment")
        numbers = set() if parts is None else {int(part.show) for part in parts.all_fields} - {number}
        known = numbers & self._fragments.keys()
        for known_number in known:
            del self._fragments[known_number]
        return len(known)

    def _take_tcp(self, payload: Payload, tcp: Any, packet: Any, block: Block, parts: int) -> None:  # noqa: ANN401
        stream = _text(tcp, "tcp.stream")
        if stream in self._decrypted:
            payload = self._decrypt(stream, payload, packet)
        if self._flows.may_carry_sip(payload):
            block.add_segment(payload, parts)
        else:
            block.pass_segment(payload, parts)

    def _decrypt(self, stream: str, payload: Payload, packet: Any) -> Payload:  # noqa: ANN401
        """Return a segment with what TShark decrypted in it in place of what it carried."""
        data = b"".join(
            bytes.fromhex(field.raw_value or "")
            for layer in packet.layers
            for found in [layer.get_field("data.data")]
            if found is not None
            for field in found.all_fields
        )
        if "tls" not in packet:
            data = b""
        half = (stream, payload.ends.source, payload.ends.source_port)
        opens = payload.flags & 2
        sequence = payload.sequence if opens else self._next.setdefault(half, payload.sequence)
        self._next[half] = sequence + len(data) + (1 if opens else 0)
        return payload._replace(data=data, missing=0, sequence=sequence)


class _Found(NamedTuple):
    """The layers of a packet that matter."""

    networks: list[Any]
    """IP packets within each other."""
    transport: Any
    """UDP or TCP in the innermost of them, if there is either."""
    quotes: bool
    """It holds an ICMP message."""


def _descend(layers: list[Any]) -> _Found:
    """Go down to the innermost packet, but not into what ICMP quotes, nor into SIP that looks like a tunnel."""
    networks: list[Any] = []
    transport = None
    for layer in layers:
        name = layer.layer_name
        if name in _QUOTING:
            return _Found(networks, None, quotes=True)
        if name in _NETWORKS:
            networks.append(layer)
            transport = None
        elif name in _CARRYING:
            transport = layer
        if name == "udp" and holds_sip(_udp_payload(layer), *_ports(layer)):
            break
    return _Found(networks, transport, quotes=False)


def _find_flaw(network: Any, transport: Any, *, short: bool) -> tuple[str, str] | None:  # noqa: ANN401
    """Return why a packet cannot be decoded, if TShark says so."""
    if network is None or transport is None:
        bogus = network is not None and any(network.get_field(name) is not None for name in _BOGUS)
        return BAD_IP if bogus else CUT if short else None
    if min(len(address) for address in _addresses(network)) < 4:
        return CUT
    return (_find_tcp_flaw if transport.layer_name == "tcp" else _find_udp_flaw)(transport, short=short)


def _find_tcp_flaw(tcp: Any, *, short: bool) -> tuple[str, str] | None:  # noqa: ANN401
    if tcp.get_field("tcp.bogus_header_length") is not None:
        return BAD_TCP
    return CUT if (short and not _bytes(tcp, "tcp.payload")) or len(_bytes(tcp, "tcp.seq")) != 4 else None


def _find_udp_flaw(udp: Any, *, short: bool) -> tuple[str, str] | None:  # noqa: ANN401
    size, data = _number(udp, "udp.length"), _udp_payload(udp)
    if not data and (short or size > 8):
        return CUT
    return BAD_UDP if size < 8 and not data else None


def _is_fragment(network: Any) -> bool:  # noqa: ANN401
    if network.layer_name == "ipv6":
        return network.get_field("ipv6.fraghdr.offset") is not None
    return bool(_number(network, "ip.flags.mf") or _number(network, "ip.frag_offset"))


def _why(network: Any, *, quotes: bool) -> str:  # noqa: ANN401
    """Return why an IP packet without a payload for us is set aside."""
    return reason_of(1 if quotes else _number(network, "ip.proto", "ipv6.fraghdr.nxt", "ipv6.nxt"))


def _payload(number: int, time: int, network: Any, transport: Any) -> Payload:  # noqa: ANN401
    """Return what a packet carries whose header of UDP or TCP is transport."""
    ttl = _number(network, "ip.ttl", "ipv6.hlim")
    source, destination = _addresses(network)
    source_port, destination_port = _ports(transport)
    ends = Ends(ttl, source, source_port, destination, destination_port)
    if transport.layer_name == "udp":
        data = _udp_payload(transport)
        return Payload(number, time, ends, data, max(_number(transport, "udp.length") - 8 - len(data), 0))
    data = _bytes(transport, "tcp.payload")
    missing = max(_number(transport, "tcp.len") - len(data), 0)
    sequence = int.from_bytes(_bytes(transport, "tcp.seq"))
    return Payload(number, time, ends, data, missing, sequence, _number(transport, "tcp.flags"))


def _addresses(network: Any) -> tuple[bytes, bytes]:  # noqa: ANN401
    name = network.layer_name
    return _bytes(network, f"{name}.src"), _bytes(network, f"{name}.dst")


def _ports(transport: Any) -> tuple[int, int]:  # noqa: ANN401
    name = transport.layer_name
    return _number(transport, f"{name}.srcport"), _number(transport, f"{name}.dstport")


def _udp_payload(udp: Any) -> bytes:  # noqa: ANN401
    """Return the payload of a UDP datagram; TShark adds what lies behind it in its packet."""
    data, size = _bytes(udp, "udp.payload"), _number(udp, "udp.length")
    return data[: size - 8] if size >= 8 else data


def _nanoseconds(timestamp: str | None) -> int:
    """Return the time that TShark writes as seconds with nine decimals; -1 if there is none.

    The seconds are of 32 bits, with a sign: from 2038 on they are negative.
    """
    seconds, _, fraction = str(timestamp or "").partition(".")
    try:
        return int(seconds) % 2**32 * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
    except ValueError:
        return -1


def _text(layer: Any, name: str) -> str:  # noqa: ANN401
    field = layer.get_field(name)
    return "" if field is None else str(field)


def _number(layer: Any, *names: str) -> int:  # noqa: ANN401
    """Return the first of the fields that is there, as a number; 0 if none is."""
    for name in names:
        field = layer.get_field(name)
        if field is not None:
            try:
                return int(field.show, 0)
            except ValueError:
                return int(field.show == "True")
    return 0


def _bytes(layer: Any, name: str) -> bytes:  # noqa: ANN401
    """Return the bytes of a field, none if it is not there."""
    field = layer.get_field(name)
    return b"" if field is None or not field.raw_value else bytes.fromhex(field.raw_value)
