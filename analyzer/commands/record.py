"""The command that records."""

import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from rich.progress import Progress

    from analyzer.recording import Recorded

RECORDER_NAMES = ("dumpcap", "tcpdump", "scapy", "pyshark")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_BYTES = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIZES = {unit.lower(): count for unit, count in _BYTES.items()}


class Span(click.ParamType[timedelta]):
    """A time such as 90, 90s, 5m, 1h or 1d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return it as a timedelta."""
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)\s*([smhd]?)", str(value))
        if match is None or not 1 <= (seconds := float(match[1]) * _SECONDS[match[2]]) <= 10 * 366 * 86_400:
            self.fail(f"'{value}' is no time; write 90s, 5m, 1h or 1d, a second at least", param, ctx)
        return timedelta(seconds=seconds)


class Size(click.ParamType[int]):
    """A number of bytes such as 100MB or 1GiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return it as a number of bytes."""
        match = re.fullmatch(r"(\d{1,15})\s*([a-z]*)", str(value).lower())
        if match is None or match[2] not in _SIZES or not int(match[1]):
            self.fail(f"'{value}' is no size; write 100MB or 1GiB", param, ctx)
        return int(match[1]) * _SIZES[match[2]]


class Ports(click.ParamType[int | tuple[int, int]]):
    """A port such as 5060, or a range such as 5060-5080."""

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | tuple[int, int]:
        """Return the port, or the first and the last one."""
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", str(value))
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else 0
        if not 1 <= first <= last <= 65_535:
            self.fail(f"'{value}' is no port; write 5060, or 5060-5080 for a range", param, ctx)
        return first if first == last else (first, last)


@click.command()
@click.argument("interface")
@click.option("-o", "--output", required=True, metavar="DIR", help="The folder that the segments go to.")
@click.option("--recorder", type=click.Choice(RECORDER_NAMES), help="What records; the first that there is without.")
@click.option(
    "--port", type=Ports(), multiple=True, metavar="PORT", help="A port, or range, in place of 5060 and 5061."
)
@click.option("--filter", metavar="TEXT", help="A capture filter of your own (man pcap-filter), used as it is.")
@click.option("--every", type=Span(), metavar="TIME", help="How long a segment lasts: 90s, 5m, 1h or 1d.")
@click.option("--size", type=Size(), metavar="BYTES", help="About how many bytes a segment may have: 100MB or 1GiB.")
@click.option("--duration", type=Span(), metavar="TIME", help="How long to record; until Ctrl-C without.")
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
        self._say(f"{segment.name}  {_count(packets, 'packet')}, {size}, {_say_lost(counters.total)}")

    def sum_up(self, recorded: "Recorded") -> None:
        """Say what became of the recording."""
        if self._quiet:
            return
        for gap in recorded.gaps:
            click.echo(f"{str(gap)[0].upper()}{str(gap)[1:]}")
        parts = f"{_count(recorded.packets, 'packet')} in {_count(len(recorded.segments), 'segment')}"
        click.echo(f"Recorded {parts} from {self._interface}; {_say_lost(recorded.dropped)}")
        click.echo(f"Next: sipscope report {shlex.quote(self._folder)}")

    def _say(self, line: str) -> None:
        if self._quiet:
            return
        if self._bar:
            self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            click.echo(line)


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _say_size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def _say_lost(count: int | None) -> str:
    return "drops unknown" if count is None else f"{count:,} dropped" if count else "none dropped"
