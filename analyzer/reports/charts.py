"""One function per chart: tables in, matplotlib Axes out; nothing shown, nothing saved.

Each draws counts, never single messages, so that a chart of a million messages is as small as one of ten.
Colours are those of Okabe and Ito, which people with any colour vision can tell apart.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analyzer.exports.escape import escape
from analyzer.reports.tally import NO_CAMPAIGN, Ranking, campaign_of, cross, over_time, rank, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch
    from numpy.typing import NDArray

INK, FAINT, GRID, PAPER = "#1b1f24", "#5b6470", "#d5dae0", "#fefefd"
"""Text, lesser text, lines and background; a report may replace them by those of its theme."""
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442")
OTHERS, NONE = "#8a929c", "#c3c9d0"
CLASSES = {1: "#56b4e9", 2: "#009e73", 3: "#f0e442", 4: "#e69f00", 5: "#d55e00", 6: "#cc79a7"}
"""The colour of each class of responses (RFC 3261 7.2)."""
CLASS_NAMES = {
    1: "1xx provisional",
    2: "2xx success",
    3: "3xx redirection",
    4: "4xx client error",
    5: "5xx server error",
    6: "6xx global failure",
}
HEAT = LinearSegmentedColormap.from_list("sipscope", ["#d9ebf7", "#56b4e9", "#0072b2", "#00395c"])

WIDTH = 6.2
"""Inches."""
INCHES_PER_NAME = 1.6
"""Room for a name in a legend."""
INCHES_PER_TIME = 0.8
"""Room for a time below an axis."""
BINS = 72
"""Periods that a chart over time has at most."""
PERIODS = (
    "1s", "2s", "5s", "10s", "20s", "30s", "1min", "2min", "5min", "10min", "20min", "30min", "1h", "2h", "4h", "6h",
    "12h", "1D", "2D", "7D", "14D", "28D", "91D", "182D", "365D", "1825D",
)  # fmt: skip
"""How long a period may be."""
DAY = 86_400_000_000_000
"""Nanoseconds."""
LONGEST = "18250D"
"""How far apart times on an axis are at most."""
UNITS = {"s": "second", "min": "minute", "h": "hour", "D": "day"}
CAMPAIGNS = 6
METHODS = 10
ROWS, COLUMNS = 12, 8
LABEL = 28
"""Characters of a label."""
ADDRESS = 45
"""Characters of a label that is an address; none is longer (RFC 4291 2.2)."""
UNNAMED = "(none)"
UNRECOGNISED = "not recognised"


def messages_over_time(
    messages: pd.DataFrame, attacks: pd.DataFrame, *, ax: "Axes | None" = None, width: float = WIDTH
) -> "Axes":
    """Draw how many messages were sent per period, by the campaign that sent or drew them."""
    ax = ax or _figure(width, 3.2)
    period = _period(messages["time"])
    if messages.empty:
        return _empty(ax, "Messages over time by campaign")
    campaigns = rank(campaign_of(messages, attacks), CAMPAIGNS, "other campaigns", last=NO_CAMPAIGN)
    start = messages["time"].min().floor(period)
    step = pd.Timedelta(period)
    counts = over_time(messages["time"], campaigns, start, step.value)
    edges = np.array([_day(start + i * step) for i in range(len(counts) + 1)])
    below = np.zeros(len(counts))
    colours = _campaign_colours(campaigns.names)
    for name, number in zip(campaigns.names, counts.T, strict=True):
        above = below + number
        ax.stairs(above, edges, baseline=below, fill=True, color=colours[name], label=label(name), linewidth=0)
        below = above
    name = _time_axis(ax, start, start + len(counts) * step)
    _finish(ax, "Messages over time by campaign", x=name, y=f"messages per {_in_words(period)}")
    _legend(ax)
    return ax


def methods_and_responses(messages: pd.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """Draw how many requests of each method were seen, and the responses to them by class."""
    counts = _methods(messages)
    ax = ax or _figure(WIDTH, 1.3 + 0.5 * max(len(counts), 2))
    if counts.empty:
        return _empty(ax, "Methods and responses")
    rows = np.arange(len(counts))
    requests = ax.barh(rows - 0.19, counts["requests"], height=0.34, color=OTHERS, label="requests")
    ax.bar_label(requests, labels=[f"{number:,}" for number in counts["requests"]], padding=3, color=FAINT, fontsize=8)
    left = np.zeros(len(counts))
    for number, name in CLASS_NAMES.items():
        if number in counts:
            ax.barh(rows + 0.19, counts[number], height=0.34, left=left, color=CLASSES[number], label=name)
            left += counts[number].to_numpy()
    for row, total in zip(rows, left, strict=True):
        ax.annotate(
            f"{int(total):,}",
            (total, row + 0.19),
            (3, 0),
            textcoords="offset points",
            va="center",
            color=FAINT,
            fontsize=8,
        )
    ax.set_yticks(rows, [label(str(name)) for name in counts.index])
    ax.set_ylim(len(counts) - 0.45, -0.55)
    ax.set_xlim(0, max(left.max(), counts["requests"].max(), 1) * 1.12)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(_thousands))
    _finish(ax, "Methods and responses", x="messages", y="")
    _legend(ax)
    return ax


def claimed_and_recognised(messages: pd.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """Draw how many requests claim each User-Agent (rows) and were made by each recognised tool (columns)."""
    requests = messages.loc[messages["status"].isna(), ["user_agent", "tool"]]
    claimed = rank(words(requests["user_agent"], UNNAMED), ROWS, "other User-Agents", last=UNNAMED)
    tools = rank(words(requests["tool"], UNRECOGNISED), COLUMNS, "other tools", last=UNRECOGNISED)
    ax = ax or _matrix_figure(claimed, WIDTH)
    names = ("User-Agent claimed", "tool recognised")
    return _matrix(claimed, tools, "User-Agents claimed and tools recognised", names, ax)


def sources_and_targets(messages: pd.DataFrame, *, ax: "Axes | None" = None, width: float = WIDTH) -> "Axes":
    """Draw how many requests each source (rows) sent to each target (columns), the busiest of both."""
    requests = messages.loc[messages["status"].isna(), ["source", "destination"]]
    sources = rank(words(requests["source"], UNNAMED), ROWS, "other sources")
    targets = rank(words(requests["destination"], UNNAMED), COLUMNS, "other targets")
    ax = ax or _matrix_figure(sources, width)
    return _matrix(sources, targets, "Sources and their targets", ("source", "target"), ax, limit=ADDRESS)


def label(text: str, limit: int = LABEL) -> str:
    """Return text from the wire as a label: escaped, cut, without mathematics, of signs that the font has."""
    shown = "".join(sign if ord(sign) in _signs() else "□" for sign in escape(text, limit=limit))
    return shown.replace("$", r"\$") if not shown.startswith("_") else " " + shown.replace("$", r"\$")


def describe(ax: "Axes") -> str:
    """Return the text alternative of a chart: its title, what its axes tell, and what it names."""
    legend = ax.get_legend()
    named = [text.get_text() for text in (legend.get_texts() if legend else ax.get_yticklabels())]
    parts = [ax.get_title(loc="left"), ax.get_ylabel(), ax.get_xlabel(), ", ".join(named)]
    return "; ".join(part.replace(r"\$", "$").strip() for part in parts if part)


@cache
def _signs() -> frozenset[int]:
    """Return the characters that the font of the charts can draw."""
    font = FT2Font(font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans")))
    return frozenset(font.get_charmap())


def _figure(width: float, height: float) -> "Axes":
    """Return the axes of a new figure without background."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    return figure.subplots()


def _campaign_colours(names: Sequence[str]) -> dict[str, str]:
    colours = dict(zip(names, [*PALETTE, OTHERS, NONE], strict=False))
    for name in names:
        if name.endswith(" other campaigns"):
            colours[name] = OTHERS
        if name == NO_CAMPAIGN:
            colours[name] = NONE
    return colours


def _methods(messages: pd.DataFrame) -> pd.DataFrame:
    """Return the requests, and the responses by class, of each method, the most frequent first."""
    methods = rank(words(messages["method"], UNNAMED), METHODS, "other methods")
    classes = messages["status"].to_numpy("int64", na_value=0) // 100
    kinds = Ranking(np.clip(classes, 0, len(CLASS_NAMES) + 1), ["requests", *CLASS_NAMES.values(), "others"])
    counts = pd.DataFrame(cross(methods, kinds), index=methods.names, columns=range(len(kinds.names)))
    shown = [number for number in counts if number == 0 or (number in CLASS_NAMES and counts[number].any())]
    return counts[shown].rename(columns={0: "requests"})


def _period(times: "pd.Series[pd.Timestamp]") -> str:
    """Return the shortest period of which no more than BINS cover the times."""
    span = times.max() - times.min() if len(times) else pd.Timedelta(0)
    return next((period for period in PERIODS if span / pd.Timedelta(period) < BINS - 1), PERIODS[-1])


def _in_words(period: str) -> str:
    number = period.rstrip("minshD")
    unit = UNITS[period.removeprefix(number)]
    return unit if number == "1" else f"{number} {unit}s"


def _matrix_figure(rows: Ranking, width: float) -> "Axes":
    return _figure(width, 1.6 + 0.3 * max(len(rows.names), 3))


def _matrix(  # noqa: PLR0913
    rows: Ranking, columns: Ranking, title: str, names: tuple[str, str], ax: "Axes", *, limit: int = LABEL
) -> "Axes":
    """Draw counts of requests as a table of coloured cells with their numbers; names are those of its axes."""
    if not len(rows.ranks):
        return _empty(ax, title)
    counts = cross(rows, columns)
    values = np.ma.masked_equal(counts, 0)
    norm = LogNorm(1, max(int(values.max()), 10))
    ax.pcolormesh(values, cmap=HEAT, norm=norm, edgecolors=PAPER, linewidth=1.5)
    _numbers(ax, counts, norm)
    ax.set_xticks(np.arange(counts.shape[1]) + 0.5, [label(name) for name in columns.names], rotation=24, ha="right")
    ax.set_yticks(np.arange(counts.shape[0]) + 0.5, [label(name, limit) for name in rows.names])
    ax.invert_yaxis()
    _finish(ax, title, x=f"{names[1]} (requests in each cell)", y=names[0])
    ax.grid(visible=False)
    return ax


def _numbers(ax: "Axes", counts: "NDArray[np.int64]", norm: LogNorm) -> None:
    for (row, column), number in np.ndenumerate(counts):
        if number:
            dark = np.log(number) / np.log(norm.vmax or number) > 0.5
            colour = "#ffffff" if dark else "#10222f"
            ax.text(column + 0.5, row + 0.5, f"{number:,}", ha="center", va="center", color=colour, fontsize=8)


def _day(time: pd.Timestamp) -> float:
    """Return a time as matplotlib counts it: days since 1970."""
    return float(time.value / DAY)


def _time_axis(ax: "Axes", start: pd.Timestamp, end: pd.Timestamp) -> str:
    """Mark the times from start to end at round distances, and return what the axis is to be called."""
    room = max(_inches(ax) / INCHES_PER_TIME, 2)
    step = next((step for step in (*PERIODS, LONGEST) if (end - start) / pd.Timedelta(step) <= room), LONGEST)
    distance = pd.Timedelta(step).value
    first = -(-start.value // distance)
    marks = range(first, end.value // distance + 1)
    times = [pd.Timestamp(mark * distance, tz="UTC") for mark in marks] or [start]
    daily = pd.Timedelta(step) >= pd.Timedelta("1D")
    dated = start.date() != (end - pd.Timedelta("1ns")).date()
    clock = "%H:%M:%S" if pd.Timedelta(step) < pd.Timedelta("1min") else "%H:%M"
    ax.set_xticks([_day(time) for time in times], [time.strftime("%Y-%m-%d" if daily else clock) for time in times])
    if dated and not daily:
        _date_midnights(ax, times)
    ax.set_xlim(_day(start), _day(end))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(_thousands))
    ax.set_ylim(bottom=0)
    return "time (UTC)" if dated else f"{start:%Y-%m-%d} (UTC)"


def _date_midnights(ax: "Axes", times: Sequence[pd.Timestamp]) -> None:
    """Write the date below the first time of each day."""
    told: set[object] = set()
    labels = []
    for time in times:
        labels.append(time.strftime("%H:%M" if time.date() in told else "%H:%M\n%Y-%m-%d"))
        told.add(time.date())
    ax.set_xticklabels(labels)


def _inches(ax: "Axes") -> float:
    return float(ax.get_window_extent().width / ax.figure.dpi)


def _thousands(value: float, _position: object) -> str:
    return f"{value:,.0f}"


def _finish(ax: "Axes", title: str, *, x: str, y: str) -> None:
    """Give the axes their title, their names, and the quiet look that all charts share."""
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=10)
    ax.set_xlabel(x, color=FAINT, fontsize=9)
    ax.set_ylabel(y, color=FAINT, fontsize=9)
    ax.patch.set_alpha(0)
    ax.spines[:].set_visible(False)
    ax.tick_params(colors=FAINT, labelcolor=INK, labelsize=8.5, length=0)
    ax.grid(visible=True, which="major", color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)


def _legend(ax: "Axes") -> None:
    """Name the colours above the chart, below its title."""
    columns = max(round(_inches(ax) / INCHES_PER_NAME), 1)
    legend = ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=8.5,
        handlelength=1,
        handleheight=1,
        borderaxespad=0.2,
        columnspacing=1.4,
        labelcolor=INK,
    )
    rows = -(-len(legend.get_texts()) // columns)
    ax.set_title(ax.get_title(loc="left"), loc="left", fontsize=11, fontweight="bold", color=INK, pad=10 + 15 * rows)


def colours_of(ax: "Axes") -> dict[str, str]:
    """Return the colour of each name in the legend of a chart over time."""
    patches, names = ax.get_legend_handles_labels()
    return {name: to_hex(cast("Patch", patch).get_facecolor()) for name, patch in zip(names, patches, strict=True)}


def _empty(ax: "Axes", title: str) -> "Axes":
    _finish(ax, title, x="", y="")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.text(0.5, 0.5, "nothing to show", transform=ax.transAxes, ha="center", va="center", color=FAINT)
    return ax
