"""What was measured as Markdown: benchmarks/RESULTS.md, and the block of it that README.md quotes."""

import datetime as dt
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import ROOT
from benchmarks.peers import PEERS, TCPDUMP
from benchmarks.processes import Cost

BEGIN, END = "<!-- speed: written by make bench -->", "<!-- end of speed -->"
ABOUT = (
    "Whole processes from start to end, run in turn on the same file, which is in memory: medians of wall and CPU time,"
    " the highest peak of resident memory. The captures are made by [generate.py](generate.py); the peers are run as in"
    " [peers.py](peers.py)."
)
LIBRARIES = ("numpy", "pandas", "numba", "pyarrow", "matplotlib")
OURS = ("sipscope messages", "sipscope report")
MOST_GROWTH = 11.0


@dataclass(frozen=True)
class Capture:
    """A capture that was made to be measured on."""

    path: Path
    messages: int
    packets: int
    bytes: int


@dataclass
class Results:
    """What was measured; what was not is missing."""

    machine: dict[str, str] = field(default_factory=dict)
    main: Capture | None = None
    """The capture that all are compared on."""
    costs: dict[str, Cost] = field(default_factory=dict)
    """The medians of whole processes, by their names."""
    rounds: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, Capture] = field(default_factory=dict)
    """The captures of those that read another one than the main one."""
    missing: dict[str, str] = field(default_factory=dict)
    """The peers that could not be measured, and why."""
    steps: dict[str, float] = field(default_factory=dict)
    """The seconds of each step of a report."""
    floor: int = 0
    """The bytes below which no peak can be told."""
    equal: bool | None = None
    """Whether one core and two made the same table."""


@dataclass(frozen=True)
class Claim:
    """A figure that must hold."""

    what: str
    bound: str
    measured: str
    holds: bool | None
    """None where it was not measured."""

    def row(self) -> str:
        """Return a line of the table."""
        verdict = {True: "holds", False: "**does not hold**", None: "not measured"}[self.holds]
        return f"| {self.what} | {self.bound} | {self.measured} | {verdict} |"


def describe_machine(*, after: bool = False) -> dict[str, str]:
    """Return what the figures depend on; after the measurements only how busy the machine was."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    if after:
        return {"load after (1, 5, 15 minutes)": load}
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    peers = {peer.name.split()[0]: peer.version for peer in PEERS}
    return {
        "date": dt.datetime.now(tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_model()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}, {_distribution()}",
        "sipscope": f"{importlib.metadata.version('sipscope')}, commit {commit.stdout.strip() or 'unknown'}",
        "Python": ", ".join([platform.python_version(), *(f"{n} {importlib.metadata.version(n)}" for n in LIBRARIES)]),
        "peers": ", ".join(f"{name} {version or 'missing'}" for name, version in peers.items()),
        "load before (1, 5, 15 minutes)": load,
    }


def _model() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown distribution"


# --- what must hold


def claims(results: Results) -> list[Claim]:
    """Return every figure that must hold, with what was measured."""
    costs, main = results.costs, results.main
    wall = {name: cost.wall for name, cost in costs.items()}
    found = [
        _ratio("`messages` against `tcpdump -n -r`", wall, "sipscope messages", TCPDUMP.name, most=0.7),
        _ratio("`report` against `tcpdump -n -r`", wall, "sipscope report", TCPDUMP.name, most=1.5),
        _ratio("`tshark -T fields` against `messages`", wall, "tshark -T fields", "sipscope messages", least=100),
        _ratio("`sipgrep -I` against `messages`", wall, "sipgrep -I", "sipscope messages", least=10),
    ]
    found.append(_packets(results))
    peak = costs["sipscope messages"].peak if "sipscope messages" in costs else None
    most = 300e6 + 350 * (main.messages if main else 0)
    found += [
        _at_most("peak memory of `messages`", peak, most, "MB", 1e6),
        _at_most("peak memory of `messages`, 4 GB with 1 % SIP", _peak(results, "4 GB"), 600e6, "MB", 1e6),
        *(_growth(results, small, large) for small, large in _pairs()),
        _ratio("two cores against one, messages/s", wall, "one core", "two cores", least=1.6),
        _at_most("`sipscope --help`", wall.get("--help"), 0.15, "s"),
        _at_most("first `report` ever, 1 MB", wall.get("first report"), 12, "s"),
        _at_most("later `report`, 1 MB", wall.get("later report"), 3, "s"),
        Claim(
            "the same table on one core and on two", "byte by byte",
            {True: "equal", False: "different", None: "–"}[results.equal], results.equal,
        ),
    ]  # fmt: skip
    return found


def _packets(results: Results) -> Claim:
    """Return the claim on packets of which few are SIP, for the whole process; beside it the rate without start-up."""
    what, bound = "packets/s on one core, 1 % of them SIP, start-up included", "≥ 5,000,000"
    mixed, costs = results.sizes.get("mixed"), results.costs
    if mixed is None or "mixed" not in costs:
        return Claim(what, bound, "–", None)
    whole = costs["mixed"].wall
    rate = mixed.packets / whole
    said = f"{rate:,.0f}"
    if "start-up" in costs and costs["start-up"].wall < whole:
        said += f" ({mixed.packets / (whole - costs['start-up'].wall):,.0f} without)"
    return Claim(what, bound, said, rate >= 5e6)


def _ratio(  # noqa: PLR0913
    what: str, wall: dict[str, float], over: str, under: str, *, most: float | None = None, least: float | None = None
) -> Claim:
    bound = f"≤ {most:g}" if most is not None else f"≥ {least:g}"
    if over not in wall or under not in wall:
        return Claim(what, bound, "–", None)
    ratio = wall[over] / wall[under]
    holds = ratio <= most if most is not None else ratio >= (least or 0)
    return Claim(what, bound, f"{ratio:.2f} ({wall[over]:.2f} s : {wall[under]:.2f} s)", holds)


def _at_most(what: str, value: float | None, most: float, unit: str, scale: float = 1) -> Claim:
    bound = f"≤ {most / scale:g} {unit}"
    return Claim(what, bound, "–", None) if value is None else Claim(
        what, bound, f"{value / scale:.3g} {unit}" if scale == 1 else f"{value / scale:,.0f} {unit}", value <= most
    )  # fmt: skip


def _peak(results: Results, name: str) -> int | None:
    return results.costs[name].peak if name in results.costs else None


def _pairs() -> Iterator[tuple[str, str]]:
    """Yield the runs on a capture and on one of ten times its size."""
    yield "tenth", "sipscope messages"
    yield "tenth report", "sipscope report"
    yield "sipscope messages", "tenfold"
    yield "sipscope report", "tenfold report"


def _growth(results: Results, small: str, large: str) -> Claim:
    count = results.main.messages if results.main else 1_000_000
    count //= 10 if small.startswith("tenth") else 1
    command = "report" if "report" in small else "messages"
    what = f"growth of `{command}`, {count:,} to {10 * count:,} messages"
    return _ratio(what, {name: cost.wall for name, cost in results.costs.items()}, large, small, most=MOST_GROWTH)


# --- tables


def headline(results: Results) -> list[str]:
    """Return the table that README.md quotes, as lines."""
    main = results.main
    if main is None or "sipscope messages" not in results.costs:
        return ["Not measured yet."]
    base = results.costs["sipscope messages"].wall
    where = f"{results.machine.get('processor', '')} ({results.machine.get('date', '')})"
    lines = [
        f"{main.messages:,} SIP messages, {main.bytes / 1e6:,.0f} MB, {where}:",
        "",
        "| | seconds | times `sipscope messages` | peak memory |",
        "|---|--:|--:|--:|",
    ]
    for name in [*OURS, *(peer.name for peer in PEERS if peer.packets is None)]:
        if name in results.costs:
            cost = results.costs[name]
            lines.append(f"| `{name}` | {cost.wall:,.2f} | {cost.wall / base:,.2f} | {_memory(results, cost)} MB |")
        elif name in results.missing:
            lines.append(f"| `{name}` | missing | | |")
    lines += _slowest(results, main.packets / base)
    return lines


def _memory(results: Results, cost: Cost) -> str:
    return f"{cost.peak / 1e6:,.0f}" if cost.peak > results.floor else f"< {results.floor / 1e6:,.0f}"


def _slowest(results: Results, rate: float) -> Iterator[str]:
    """Yield a sentence of the libraries, which read a slice only."""
    read = {
        peer.name.split()[0]: results.sizes[peer.name].packets / results.costs[peer.name].wall
        for peer in PEERS
        if peer.name in results.sizes and peer.name in results.costs
    }
    if read:
        yield ""
        said = ", ".join(f"{name} {count:,.0f}" for name, count in read.items())
        yield f"Packets a second, start-up included: `sipscope messages` {rate:,.0f}; on a slice {said}."


def render(results: Results, *, command: str) -> str:
    """Return the whole document."""
    main = results.main
    lines = [
        "# Speed: what was measured",
        "",
        f"Written by `{command}`; `make bench` does it again.",
        "",
        ABOUT,
        "",
        *(f"- **{name}**: {value}" for name, value in results.machine.items()),
        "",
        BEGIN,
        *headline(results),
        END,
        "",
        "## What must hold",
        "",
        "| | bound | measured | |",
        "|---|---|---|---|",
        *(claim.row() for claim in claims(results)),
        "",
        "That the tables are the same with interpreted kernels and with any number of threads is checked by the tests.",
        "",
    ]
    if main is not None:
        lines += _all_runs(results, main)
    if results.steps:
        lines += _steps(results)
    if results.missing:
        lines += ["## Missing", "", *(f"- `{name}`: {why}" for name, why in results.missing.items()), ""]
    return "\n".join(lines)


def _all_runs(results: Results, main: Capture) -> Iterator[str]:
    base = results.costs.get("sipscope messages")
    yield from ("## Every run", "", f"The main capture: {_size(main)}.", "")
    yield "| | runs | wall s | user s | system s | peak MB | packets/s | MB/s | times `messages` | capture |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|"
    for name, cost in results.costs.items():
        capture = _capture_of(results, name)
        rates = ("", "", "") if capture is None else (
            f"{capture.packets / cost.wall:,.0f}", f"{capture.bytes / 1e6 / cost.wall:,.1f}",
            f"{cost.wall / base.wall:,.2f}" if base and capture is main else "",
        )  # fmt: skip
        times = f"{cost.wall:.3f} | {cost.user:.3f} | {cost.system:.3f} | {_memory(results, cost)}"
        where = "" if capture is None else "main" if capture is main else _size(capture)
        yield f"| {_label(name)} | {results.rounds.get(name, 1)} | {times} | {' | '.join(rates)} | {where} |"
    yield ""
    yield from (f"- `{peer.name}` {peer.does}." for peer in PEERS if peer.does)
    yield ""


LABELS = {
    "first report": "`sipscope report`, first ever",
    "later report": "`sipscope report`, later",
    "--help": "`sipscope --help`",
    "one core": "`sipscope messages`, one core",
    "two cores": "`sipscope messages`, two cores",
    "mixed": "`sipscope messages`, one core, 1 % SIP",
    "start-up": "`sipscope messages`, one core, 1 MB",
    "tenth": "`sipscope messages`, a tenth",
    "tenth report": "`sipscope report`, a tenth",
    "tenfold": "`sipscope messages`, tenfold",
    "tenfold report": "`sipscope report`, tenfold",
    "4 GB": "`sipscope messages`, 4 GB with 1 % SIP",
}


def _label(name: str) -> str:
    return LABELS.get(name, f"`{name}`")


def _capture_of(results: Results, name: str) -> Capture | None:
    if name == "--help":
        return None
    places = {"first report": "small", "later report": "small", "start-up": "small"}
    place = places.get(name, name.removesuffix(" report") if name.startswith("ten") else name)
    return results.sizes.get(place, results.main)


def _size(capture: Capture) -> str:
    messages = f"{capture.messages:,} messages, " if capture.messages else ""
    return f"{messages}{capture.packets:,} packets, {capture.bytes / 1e6:,.1f} MB"


def _steps(results: Results) -> Iterator[str]:
    whole = results.steps["whole"]
    yield from (
        "## Each step of a report",
        "",
        "In one process, the second time; threads may add up to more than the whole.",
    )
    yield from ("", "| step | seconds | share |", "|---|--:|--:|")
    for step, seconds in results.steps.items():
        yield f"| {step} | {seconds:.3f} | {seconds / whole:.0%} |"
    yield ""


def block_of(text: str) -> str:
    """Return the block between the marks, with them; raise ValueError if there is none."""
    start, end = text.index(BEGIN), text.index(END)
    return text[start : end + len(END)]


def quote(results: str, document: Path) -> None:
    """Put the headline of the results in the place that a document has for it."""
    text = document.read_text(encoding="utf-8")
    if BEGIN in text:
        document.write_text(text.replace(block_of(text), block_of(results)), encoding="utf-8")
