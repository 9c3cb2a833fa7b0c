"""The command that watches."""

import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from analyzer.commands.options import ALLOW, GEOIP, SETTINGS, SIGNATURES, load_detectors
from analyzer.commands.record import RECORDER_NAMES
from analyzer.commands.values import DURATION, PORTS

if TYPE_CHECKING:
    from rich.console import Console

    from analyzer.feeds import Feed
    from analyzer.live import Live
    from analyzer.reports.live import Wish

ORDERS = ("last", "requests", "rate", "sources", "outcome")
TABLES = ("campaigns", "sources")
CYCLE = ("everything", "accounts-found", "rang", "answered", "breached", "toll-fraud", "password-guessing")
"""What the key o goes through."""
GRAVE = ("breach", "answered", "failed")
"""What is said with --quiet, too."""
LOOK_SECONDS = 0.2
"""How often is looked for something new to say."""
WIDEST = 120
"""Columns beyond which lines are hard to read."""
DRAW_SECONDS = 1.0
LARGE_BYTES = 1_000_000
"""The size from which on memory goes back at once: less than elsewhere, for what is used again grows in months."""
END_SECONDS = 4.0
"""How long, once it is stopped, what was read is examined still."""


@click.command()
@click.argument("source", metavar="INTERFACE|FIFO|-")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line instead of a table or sentences.")
@click.option("--lines", is_flag=True, help="Print one line per finding, even on a terminal.")
@click.option("--sort", type=click.Choice(ORDERS), default="last", show_default=True, help="What comes first.")
@click.option(
    "--only", default="everything", metavar="WORD", help="An outcome, kind, tool, campaign, number or address to show."
)
@click.option("--table", type=click.Choice(TABLES), default="campaigns", show_default=True, help="What to list.")
@click.option(
    "--duration", type=DURATION, metavar="TIME", help="How long to watch (90s, 5m, 1h); until Ctrl-C without."
)
@click.option(
    "--window",
    type=click.IntRange(min=1000),
    metavar="N",
    default=50_000,
    show_default=True,
    help="How many messages are looked at together: more join slower attacks, and take more memory.",
)
@click.option("--recorder", type=click.Choice(RECORDER_NAMES), help="What records an interface.")
@click.option("--port", type=PORTS, multiple=True, metavar="PORT", help="A port of SIP, or a range; not 5060, 5061.")
@click.option("--filter", metavar="TEXT", help="A capture filter of your own (man pcap-filter), used as it is.")
@click.option("--promiscuous", is_flag=True, help="Watch what is sent to other machines, too.")
@SETTINGS
@SIGNATURES
@ALLOW
@GEOIP
@click.option("-q", "--quiet", is_flag=True, help="Say only what attackers got, what goes wrong, and the summary.")
def watch(source: str, as_json: bool, lines: bool, quiet: bool, **options: Any) -> None:
    """Watch an interface ('any' for all), or packets from a FIFO or standard input, and say who attacks as it happens.

    On a terminal a table is drawn every second; elsewhere each new attack, and each change for the worse, is a line.
    It runs in bounded memory until Ctrl-C, and ends with a summary. Packets can come from another machine:
    ssh gateway tcpdump -U -w - port 5060 | sipscope watch -

    Example: sipscope watch eth0 --sort outcome
    """
    from analyzer.reading import save_memory

    save_memory(LARGE_BYTES)
    said = lines or as_json or quiet or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb"
    with _signals() as stopped:
        live = _open(source, stopped, quiet=quiet, **options)
        wanted = {name: options[name] for name in ("sort", "only", "table", "duration")}
        whole = (
            _speak(live, stopped, as_json=as_json, quiet=quiet, **wanted) if said else _show(live, stopped, **wanted)
        )
        stopped.disarm()
        _end(live, as_json=as_json, whole=whole)


class _Stop:
    """Whether Ctrl-C, SIGTERM or SIGHUP has come; before the watch has begun they end the command at once."""

    def __init__(self) -> None:
        self.asked = False
        self._watching = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked or not self._watching:
            raise KeyboardInterrupt("stopped before anything was watched" if not self._watching else "stopped")
        self.asked = True

    def arm(self) -> None:
        """From now on, end with a summary."""
        self._watching = True

    def disarm(self) -> None:
        """From now on, end at once."""
        self.asked = True


@contextmanager
def _signals() -> Iterator[_Stop]:
    """Take note of signals for as long as the block lasts."""
    stop = _Stop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open(source: str, stopped: _Stop, *, quiet: bool, **options: Any) -> "Live":
    """Return the watch, begun: everything that it needs is ready before anything is recorded."""
    from analyzer.allow import load_allowed
    from analyzer.compiled import prepare
    from analyzer.feeds import open_feed
    from analyzer.live import Limits, Live, rehearse
    from analyzer.memory import share_memory
    from analyzer.places import load_places
    from analyzer.tools import load_signatures

    def announce(sentence: str) -> None:
        if not quiet:
            click.echo(f"sipscope: {sentence}", err=True)

    files = {
        "detectors": load_detectors(options["settings"]),
        "signatures": options["signatures"],
        "allowed": load_allowed(*options["allow"]),
        "places": load_places(*options["geoip"]),
    }
    load_signatures(*options["signatures"])
    share_memory()
    feed: Feed = open_feed(source, **_recording(options))
    prepare(lambda sentence: announce(f"{sentence}; what comes meanwhile is kept"))
    rehearse(**files)
    stopped.arm()
    limits = Limits(rows=options["window"], pending=options["window"] // 2)
    live = Live(feed, limits=limits, **files).start()
    announce(f"watching {feed.name}; Ctrl-C ends")
    return live


def _recording(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the recorder that were given."""
    given = {"recorder": options["recorder"], "filter": options["filter"], "promiscuous": options["promiscuous"]}
    return {**given, "ports": options["port"]} if options["port"] else given


def _speak(
    live: "Live", stopped: _Stop, *, as_json: bool, quiet: bool, duration: timedelta | None, only: str, **_: Any
) -> bool:
    """Print a line for each finding until the end; say whether whoever reads has all of them."""
    from analyzer.reports.live import as_json as write
    from analyzer.reports.live import concerns, tell

    end = _Ending(live, stopped, duration)
    over, whole = False, True
    while whole and not over:
        over = live.wait(LOOK_SECONDS) or end.over()
        told = (event for event in live.events() if concerns(event, only) and (not quiet or event.what in GRAVE))
        whole = _print((write(event) if as_json else tell(event)) for event in told)
    if not whole:
        live.stop()
        live.wait(END_SECONDS)
    return whole


def _print(lines: Iterable[str]) -> bool:
    """Print lines; say whether anybody reads them."""
    try:
        for line in lines:
            click.echo(line)
    except BrokenPipeError:
        return False
    return not _gone(sys.stdout)


class _Ending:
    """Stops a watch when it is asked to, or its time is over; and does not wait for ever then."""

    def __init__(self, live: "Live", stopped: _Stop, duration: timedelta | None) -> None:
        self._live = live
        self._stopped = stopped
        self._until = None if duration is None else time.monotonic() + duration.total_seconds()
        self._patience: float | None = None

    def over(self) -> bool:
        """Stop the watch if it is time to; say whether it has had the time to end."""
        now = time.monotonic()
        if self._patience is None and (self._stopped.asked or (self._until is not None and now >= self._until)):
            self._patience = now + END_SECONDS
            self._live.stop()
        return self._patience is not None and now >= self._patience


def _gone(file: Any) -> bool:
    """Say whether nobody reads what is written to a pipe any more."""
    with suppress(OSError, ValueError):
        poll = select.poll()
        poll.register(file.fileno(), 0)
        return any(what & select.POLLERR for _, what in poll.poll(0))
    return False


def _show(live: "Live", stopped: _Stop, *, sort: str, only: str, table: str, duration: timedelta | None) -> bool:
    """Draw the table anew every second until the end."""
    from rich.console import Console
    from rich.live import Live as Screen

    from analyzer.keyboard import Keyboard
    from analyzer.reports.live import Wish

    wish = Wish(table=table, order=sort, only=only)
    end, console = _Ending(live, stopped, duration), Console(highlight=False)
    try:
        with Keyboard() as keys, Screen(console=console, screen=True, auto_refresh=False) as screen:
            drawn = 0.0
            while not (live.wait(0) or end.over()):
                live.events()
                if time.monotonic() - drawn >= DRAW_SECONDS and not wish.paused:
                    drawn = time.monotonic()
                    screen.update(_drawing(live, wish, console, keys=keys.there), refresh=True)
                for key in keys.pressed(LOOK_SECONDS):
                    if key in "qQ\x03\x04":
                        stopped.asked = True
                    wish, drawn = _wished(wish, key), 0.0
                    screen.update(_drawing(live, wish, console, keys=keys.there), refresh=True)
    except (BrokenPipeError, OSError):
        live.stop()
        live.wait(END_SECONDS)
        return False
    return True


def _drawing(live: "Live", wish: "Wish", console: "Console", *, keys: bool) -> Any:
    from analyzer.reports.live import draw

    return draw(live.snapshot(), wish, width=console.width, height=console.height, keys=keys)


def _wished(wish: "Wish", key: str) -> "Wish":
    """Return what is to be shown after a key."""
    if key in "sS":
        return replace(wish, order=_next(ORDERS, wish.order))
    if key in "oO":
        return replace(wish, only=_next(CYCLE, wish.only))
    if key == "\t":
        return replace(wish, table=_next(TABLES, wish.table))
    return replace(wish, paused=not wish.paused) if key in " pP" else wish


def _next(words: tuple[str, ...], word: str) -> str:
    return words[(words.index(word) + 1) % len(words)] if word in words else words[0]


def _width() -> int:
    """Return the columns of the terminal, or those of a line that goes elsewhere."""
    return min(shutil.get_terminal_size().columns, WIDEST) if sys.stdout is not None and sys.stdout.isatty() else 80


def _end(live: "Live", *, as_json: bool, whole: bool) -> None:
    """Say what was seen, and why it ended if that is not known."""
    from analyzer.reports.live import summarise, summary_as_json

    view = live.snapshot()
    if not whole:
        sys.stdout = None  # what it holds still cannot be written at exit either
    if live.error is not None and not view.packets:
        raise live.error
    click.echo(summary_as_json(view) if as_json and whole else summarise(view, width=_width()), err=not whole)
    if live.error is not None:
        raise live.error
