"""An interface to packets on the disk, or in a pipe: each file here makes one program record.

A recorder is a frozen dataclass that knows a program's arguments and understands what it says. It runs behind a guard
(analyzer.recorders.guard), so that it ends when we do. What it lost is known by its own counters alone.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar, Protocol

from analyzer.errors import AnalyzerError, CaptureError, SettingsError, UnavailableError
from analyzer.pcapng import Lost
from analyzer.recorders.filters import default_filter
from analyzer.recorders.interfaces import check_interface, has_tags
from analyzer.recorders.process import Process
from analyzer.registry import Registry

SIP_PORTS: tuple[int, ...] = (5060, 5061)
"""The ports that are SIP's (RFC 3261 19.1.2)."""
SNAP_BYTES = 262_144
"""No packet is cut: a datagram that was put together by the interface has up to 65,535 bytes and its headers."""
BUFFER_MIB = 64
"""What the kernel keeps for a recorder that has to wait for its turn: at 50,000 packets a second, some two seconds."""
_SECONDS_TO_END = 1.0
PLACES = "/usr/sbin:/sbin:/usr/local/sbin"
"""Where programs are that are not on everybody's path."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be recorded."""

    interface: str
    filter: str
    """In the language of pcap-filter(7)."""
    promiscuous: bool = False
    """Packets that are for other machines, too."""
    buffer: int = BUFFER_MIB
    """MiB that the kernel keeps for the recorder."""


class Recorder(Protocol):
    """Makes a program record."""

    name: ClassVar[str]
    writes_files: ClassVar[bool]
    """It writes pcapng files with its counters in them; the others write pcap to a pipe."""
    begun: ClassVar[str]
    """What it says when it has begun to record; "" if it does not say."""

    def locate(self) -> list[str]:
        """Return the command that starts it, without arguments; raise UnavailableError if something is missing."""

    def command(self, order: Order, output: str) -> list[str]:
        """Return the command that records to output, a path or - for standard output."""

    def explain(self, said: str, order: Order) -> AnalyzerError | None:
        """Return what went wrong for good, by what the program said; None if it may be started again."""

    def lost(self, said: str) -> Lost:
        """Return the counters that the program told last."""


RECORDERS: Registry[Recorder] = Registry(
    "recorder",
    {
        "dumpcap": "analyzer.recorders.dumpcap:DUMPCAP",
        "tcpdump": "analyzer.recorders.tcpdump:TCPDUMP",
        "scapy": "analyzer.recorders.scapy:SCAPY",
        "pyshark": "analyzer.recorders.pyshark:PYSHARK",
    },
)


def choose(name: str | None = None) -> Recorder:
    """Return the recorder of that name; without one, the first of RECORDERS that this machine has.

    Raises SettingsError for an unknown name, and UnavailableError if what is needed is missing.
    """
    if name is not None:
        recorder = RECORDERS[name]
        recorder.locate()
        return recorder
    missing = []
    for recorder in RECORDERS.values():
        try:
            recorder.locate()
        except UnavailableError as error:
            missing.append(str(error))
        else:
            return recorder
    raise UnavailableError(missing[0])


def find_program(name: str, remedy: str) -> str:
    """Return the path of a program; raise UnavailableError with the remedy if it is missing or may not be run."""
    path = f"{os.environ.get('PATH', os.defpath)}:{PLACES}"
    if found := shutil.which(name, path=path):
        return found
    if found := next((str(Path(place, name)) for place in path.split(":") if Path(place, name).is_file()), ""):
        raise UnavailableError(
            f"you may not run {found}; join the group that may (sudo usermod -aG wireshark $USER, then log in again)"
        )
    raise UnavailableError(f"the program {name} is missing; {remedy}")


def make_order(
    interface: str,
    *,
    ports: Sequence[int | tuple[int, int]] = SIP_PORTS,
    filter: str | None = None,  # noqa: A002
    promiscuous: bool = False,
) -> Order:
    """Return the order to record SIP on an interface, with a capture filter of one's own if one is given.

    Raises CaptureError if there is no such interface, SettingsError if the name cannot be one's.
    """
    if not interface or interface.startswith("-"):
        raise SettingsError(f"'{interface}' cannot be the name of an interface")
    check_interface(interface)
    text = default_filter(ports, tagged=has_tags(interface)) if filter is None else filter
    return Order(interface=interface, filter=text, promiscuous=promiscuous)


class LiveStream:
    """The packets of an interface as they come: what a recorder writes into a pipe."""

    def __init__(self, recorder: Recorder, order: Order) -> None:
        """Start the recorder."""
        self.recorder = recorder
        self._order = order
        self.process = Process(recorder.command(order, "-"), piped=True)
        self._begun = False

    @property
    def file(self) -> IO[bytes]:
        """The readable end of the pipe, unbuffered: pcapng from dumpcap, pcap from the others."""
        if self.process.output is None:
            raise ValueError("this recorder has no pipe")
        return self.process.output

    def ask(self) -> None:
        """Have the recorder tell its counters, if it can while it runs (tcpdump)."""
        if self.recorder.name != "tcpdump":
            return
        self._begun = self._begun or self.process.wait_for(self.recorder.begun, 0)
        if self._begun:  # before that, it would not understand
            self.process.order(b"1")

    def lost(self) -> Lost:
        """Return the recorder's counters as it told them last; dumpcap tells them at its end."""
        return self.recorder.lost(self.process.said)

    def end(self) -> None:
        """Order the recorder to end: the pipe then ends with what it still holds."""
        self.process.order(b"i")

    def problem(self) -> AnalyzerError | None:
        """Return why the recorder has ended by itself; None if it has not, or did as it was told."""
        return self.recorder.explain(self.process.said, self._order) if self.process.ended(_SECONDS_TO_END) else None

    def close(self) -> None:
        """End the recorder at once."""
        self.process.stop()


@contextmanager
def stream(
    interface: str,
    *,
    recorder: str | None = None,
    ports: Sequence[int | tuple[int, int]] = SIP_PORTS,
    filter: str | None = None,  # noqa: A002
    promiscuous: bool = False,
) -> Iterator[LiveStream]:
    """Yield the packets of an interface as a readable pipe; the recorder ends with the context.

    Raises CaptureError if there is no such interface, UnavailableError if there is no recorder. When the pipe ends,
    LiveStream.problem() says why.
    """
    order = make_order(interface, ports=ports, filter=filter, promiscuous=promiscuous)
    live = LiveStream(choose(recorder), order)
    try:
        yield live
    finally:
        live.close()


def refused(order: Order, program: str) -> CaptureError:
    """Return the error of somebody who may not record with a program."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{PLACES}") or program
    remedy = f"give {program} the right (sudo setcap cap_net_raw,cap_net_admin=eip {path}) or run this as root"
    return CaptureError(order.interface, f"you may not record here; {remedy}")
