"""The command that records."""

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Self

import click

from analyzer.commands.values import DURATION, PORTS, SIZE
from analyzer.quantities import count

if TYPE_CHECKING:
    from rich.progress import Progress

    from analyzer.recording import Recorded

RECORDER_NAMES = ("dumpcap", "tcpdump", "scapy", "pyshark")
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.argument("interface")
@click.option("-o", "--output", required=True, metavar="DIR", help="The folder that the segments go to.")
@click.option("--recorder", type=click.Choice(RECORDER_NAMES), help="What records; the first that there is without.")
@click.option("--port", type=PORTS, multiple=True, metavar="PORT", help="A port, or range, in place of 5060 and 5061.")
@click.option("--filter", metavar="TEXT", help="A capture filter of your own (man pcap-filter), used as it is.")
@click.option("--every", type=DURATION, metavar="TIME", help="How long a segment lasts: 90s, 5m, 1h or 1d.")
@click.option("--size", type=SIZE, metavar="BYTES", help="About how many bytes a segment may have: 100MB or 1GiB.")
@click.option("--duration", type=DURATION, metavar="TIME", help="How long to record; until Ctrl-C without.")
@click.option("--packets", type=click.IntRange(min=1), metavar="N", help="How many packets to record.")
@click.option("--promiscuous", is_flag=True, help="Record what is sent to other machines, too.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what goes wrong.")
def record(interface: str, output: str, quiet: bool, **options: Any) -> None:
    """Record the SIP of INTERFACE ('any' for all of them) into a folder that every command reads.

    It finds SIP's ports over UDP and TCP, and the fragments, VLAN tags and tunnels that 'port 5060' would miss. A
    segment is a pcapng file, named by the time (UTC) at which it begins, .partial until it is whole; what was lost is
    stored in it. Ctrl-C ends cleanly. Root is not needed where dumpcap has the right to record.

    Example: sipscope record eth0 -o captures/ --every 5m
    """
    from analyzer.recording import Recording
    from analyzer.recording import record as record_interface

    names = {"every": "period", "size": "most_bytes", "port": "ports"}
    wanted = {names.get(name, name): value for name, value in options.items() if value not in (None, ())}
    recording = Recording(interface=interface, folder=output, **wanted)
    with _stopped_by_signals() as stop, _Teller(interface, output, quiet=quiet) as teller:
        teller.warn()
        recorded = record_interface(recording, stop=stop, on_segment=teller.tell)
    teller.sum_up(recorded)


@contextmanager
def _stopped_by_signals() -> Iterator[Event]:
    """Yield what Ctrl-C, SIGTERM and the end of the terminal set, so that the segment at hand is finished."""
    stop = Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in _ENDS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Teller:
    """Says what is recorded: a line for each segment, and on a terminal how long it has gone on."""

    def __init__(self, interface: str, folder: str, *, quiet: bool) -> None:
        self._interface = interface
        self._folder = folder
        self._quiet = quiet
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task(f"recording {self._interface}, Ctrl-C ends it", total=None)
            self._bar.start()
        return self

    def __exit__(self, *problem: object) -> None:
        if self._bar:
            self._bar.stop()

    def warn(self) -> None:
        """Say that the interface is down, if it is there and is."""
        from analyzer.recorders.interfaces import is_up, list_interfaces

        if self._interface in list_interfaces() and not is_up(self._interface):
            self._say(f"{self._interface} is down and is waited for; sudo ip link set {self._interface} up")

    def tell(self, segment: Path) -> None:
        """Say that a segment is whole."""
        from analyzer.segments import Follower, read_counters

        counters = read_counters(segment)
        packets = Follower(segment).follow().packets if counters.received is None else counters.received
        size = _say_size(segment.stat().st_size)
        self._say(f"{segment.name}  {count(packets, 'packet')}, {size}, {_say_lost(counters.total)}")

    def sum_up(self, recorded: "Recorded") -> None:
        """Say what became of the recording."""
        if self._quiet:
            return
        for gap in recorded.gaps:
            click.echo(f"{str(gap)[0].upper()}{str(gap)[1:]}")
        parts = f"{count(recorded.packets, 'packet')} in {count(len(recorded.segments), 'segment')}"
        click.echo(f"Recorded {parts} from {self._interface}; {_say_lost(recorded.dropped)}")
        click.echo(f"Next: sipscope report {shlex.quote(self._folder)}")

    def _say(self, line: str) -> None:
        if self._quiet:
            return
        if self._bar:
            self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            click.echo(line)


def _say_size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def _say_lost(count: int | None) -> str:
    return "drops unknown" if count is None else f"{count:,} dropped" if count else "none dropped"
