"""The stage of one scene: hosts in network namespaces around a PBX, and a recorder that listens in the PBX's.

All hosts hang on one bridge inside the PBX's namespace. There is no way out of it: nothing here can reach the world.
"""

import contextlib
import ipaddress
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent
SCENARIOS = HERE / "scenarios"
PBX = "192.0.2.10"
PBX6 = "2001:db8:1::10"
LISTENING = (PBX, "192.0.2.11", "192.0.2.20", PBX6)
CLOSED = ("192.0.2.1", "192.0.2.30", "192.0.2.41")
"""Addresses of the PBX's machine on which no SIP server listens: they answer with ICMP port unreachable."""
ROUTERS = {4: CLOSED[0], 6: PBX6}
BRIDGE = "br0"
READY = 10.0
"""Seconds within which the PBX and the recorder must have begun their work."""
SEARCHED = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class StageError(Exception):
    """A scene cannot be played, in one sentence."""


@dataclass(frozen=True)
class Host:
    """A machine: its name, its addresses, and the time to live that its packets arrive with."""

    name: str
    addresses: tuple[str, ...]
    ttl: int = 64


def program(name: str) -> str:
    """Return the path of a program; StageError says which one is missing."""
    found = shutil.which(name, path=SEARCHED)
    if found is None:
        raise StageError(f"the program '{name}' is missing")
    return found


def forget_machine(capture: Path) -> None:
    """Take processor and operating system out of a little-endian pcapng file: they are nobody's business.

    They are options 2 and 3 of the section header and option 12 of an interface description, with which it begins.
    """
    content = capture.read_bytes()
    kept, start = [], 0
    for fixed, private in ((24, {2, 3}), (16, {12})):
        (length,) = struct.unpack_from("<I", content, start + 4)
        options, position = b"", start + fixed
        while position < start + length - 4:
            code, size = struct.unpack_from("<HH", content, position)
            after = position + 4 + -(-size // 4) * 4
            options += b"" if code in private else content[position:after]
            position = after
        total = struct.pack("<I", fixed + len(options) + 4)
        kept.append(content[start : start + 4] + total + content[start + 8 : start + fixed] + options + total)
        start += length
    capture.write_bytes(b"".join(kept) + content[start:])


def random_word(alphabet: str, length: int) -> str:
    """Return a token of so many characters, as phones and tools make them up."""
    return "".join(alphabet[byte % len(alphabet)] for byte in os.urandom(length))


class Stage:
    """Namespaces, PBX and recorder for as long as the with-block lasts; then nothing of them is left."""

    def __init__(self, scene: str, capture: Path, hosts: Sequence[Host]) -> None:
        self.scene = scene
        self.capture = capture
        self.hosts = hosts
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            self.scratch = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="sipscope-")))
            exits.enter_context(self._namespaces())
            exits.enter_context(self._pbx())
            exits.enter_context(self._recorder())
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def keep(self) -> None:
        """Stop recording and put the capture in its place."""
        self._stop_recording()
        if self.capture.suffix == ".pcapng":
            forget_machine(self._recorded)
        shutil.move(self._recorded, self.capture)
        self.capture.chmod(0o644)

    def start(self, host: str, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program on a host and return at once; the caller ends it with finish()."""
        command = [program("ip"), "netns", "exec", self._namespace(host), program(name), *arguments]
        with (self.scratch / f"{host}-{Path(name).name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.scratch,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we end what we started, in order
                env={**os.environ, "TERM": "dumb", "HOME": str(self.scratch)},
            )

    def run(self, host: str, name: str, *arguments: str, seconds: float) -> int:
        """Run a program on a host to its end, at most so many seconds, and return its exit code."""
        process = self.start(host, name, *arguments)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            print(f"{self.scene}: {name} was ended after {seconds:.0f} s", file=sys.stderr)
            return -signal.SIGTERM
        finally:
            finish(process)

    def _namespace(self, host: str) -> str:
        return f"sipscope-{self.scene}-{host}"

    @contextlib.contextmanager
    def _namespaces(self) -> Iterator[None]:
        names = [self._namespace(host) for host in ("pbx", *(host.name for host in self.hosts))]
        try:
            for name in names:
                _ip("netns", "del", name, check=False)  # left behind by a run that was killed
                _ip("netns", "add", name)
                _ip("-n", name, "link", "set", "lo", "up")
            self._wire_up_pbx()
            for number, host in enumerate(self.hosts):
                self._wire_up(number, host)
            yield
        finally:
            for name in names:
                _ip("netns", "del", name, check=False)

    def _wire_up_pbx(self) -> None:
        pbx = self._namespace("pbx")
        _ip("-n", pbx, "link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0")
        _ip("-n", pbx, "link", "set", BRIDGE, "up")
        for address in (*CLOSED, *LISTENING):
            _ip("-n", pbx, "addr", "add", _network(address), "dev", BRIDGE, *_at_once(address))

    def _wire_up(self, number: int, host: Host) -> None:
        pbx, name = self._namespace("pbx"), self._namespace(host.name)
        self._set(name, {"ipv4/ip_default_ttl": host.ttl, "ipv6/conf/all/hop_limit": host.ttl})
        self._set(name, {"ipv6/conf/default/hop_limit": host.ttl, "ipv6/conf/default/router_solicitations": 0})
        _ip("-n", pbx, "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("-n", pbx, "link", "set", f"port{number}", "master", BRIDGE, "up")
        _ip("-n", name, "link", "set", "eth0", "up")
        for address in host.addresses:
            _ip("-n", name, "addr", "add", _network(address), "dev", "eth0", *_at_once(address))
            _ip("-n", pbx, "route", "replace", _network(address), "dev", BRIDGE)
        for version in {ipaddress.ip_address(address).version for address in host.addresses}:
            router = ROUTERS[version]
            _ip("-n", name, "route", "add", _network(router), "dev", "eth0")
            _ip("-n", name, f"-{version}", "route", "add", "default", "via", router, "dev", "eth0")
            for address in (other for peer in self.hosts if peer is not host for other in peer.addresses):
                if ipaddress.ip_address(address).version == version:  # speech goes from phone to phone
                    _ip("-n", name, "route", "add", _network(address), "dev", "eth0")

    def _set(self, namespace: str, settings: Mapping[str, int]) -> None:
        for setting, value in settings.items():
            write = f"echo {value} > /proc/sys/net/{setting}"
            subprocess.run([program("ip"), "netns", "exec", namespace, "sh", "-c", write], check=True)

    @contextlib.contextmanager
    def _pbx(self) -> Iterator[None]:
        listens = [word for address in LISTENING for word in ("-l", f"udp:{in_uri(address)}:5060")]
        server = self.start(
            "pbx", "kamailio", "-f", str(SCENARIOS / "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "4",
            "-Y", str(self.scratch), "-P", str(self.scratch / "kamailio.pid"), *listens,
        )  # fmt: skip
        try:
            self._await("the PBX", lambda: b":5060" in self._sockets(), server)
            yield
        finally:
            finish(server)

    def _sockets(self) -> bytes:
        command = [program("ip"), "netns", "exec", self._namespace("pbx"), program("ss"), "-Hlun"]
        return subprocess.run(command, check=True, capture_output=True).stdout

    @contextlib.contextmanager
    def _recorder(self) -> Iterator[None]:
        self._recorded = self.scratch / self.capture.name
        if self.capture.suffix == ".pcapng":
            arguments = ["dumpcap", "-q", "-i", BRIDGE, "-w", str(self._recorded)]
        else:
            arguments = ["tcpdump", "-q", "-U", "-Z", "root", "-i", BRIDGE, "-w", str(self._recorded)]
        self._recording = self.start("pbx", *arguments)
        try:
            self._await("the recorder", self._recorded.exists, self._recording)
            time.sleep(0.5)
            yield
        finally:
            self._stop_recording()

    def _stop_recording(self) -> None:
        time.sleep(0.5)
        finish(self._recording, signal.SIGINT)

    def _await(self, what: str, ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + READY
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                logs = " ".join(path.read_text(errors="replace")[-600:] for path in self.scratch.glob("pbx-*.log"))
                raise StageError(f"{self.scene}: {what} did not start: {logs.strip()}")
            time.sleep(0.1)


def finish(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """End a program that was started here, and wait until it is gone."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


def _ip(*arguments: str, check: bool = True) -> None:
    done = subprocess.run([program("ip"), *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise StageError(f"'ip {' '.join(arguments)}' failed: {done.stderr.strip()}")


def _network(address: str) -> str:
    return f"{address}/{ipaddress.ip_address(address).max_prefixlen}"


def _at_once(address: str) -> tuple[str, ...]:
    """Return the words that spare an IPv6 address the wait for others that might use it."""
    return ("nodad",) if ":" in address else ()


def in_uri(address: str) -> str:
    """Return an address as it is written in a URI: an IPv6 address in brackets."""
    return f"[{address}]" if ":" in address else address
