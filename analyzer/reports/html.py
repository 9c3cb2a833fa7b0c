"""The report as one HTML file: it asks for nothing from anywhere, begins with the answer, and needs no script.

One script, which the page names by its digest, sorts, filters and pages the tables, and zooms.
"""

import re
from base64 import b64encode
from hashlib import sha256
from io import StringIO
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG

from analyzer.exports.escape import escape
from analyzer.exports.files import open_whole
from analyzer.exports.secrets import mask_secrets
from analyzer.reports import charts
from analyzer.reports.answer import Answer, Line, answer, worst_first
from analyzer.reports.cards import campaign_cards
from analyzer.reports.grids import grids, versions
from analyzer.reports.words import span, within

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analyzer.analysis import Analysis

CARDS = 40
"""Campaigns that get a card."""
THEME = {
    charts.INK: "var(--ink)",
    charts.FAINT: "var(--faint)",
    charts.GRID: "var(--grid)",
    charts.PAPER: "var(--card)",
}
"""The colours of charts that follow the theme of the page."""
CELL = 300
"""Characters of a text that the page shows at most."""


WIDE = 12.4
"""Inches of a chart that is as wide as the page."""


class Chart(NamedTuple):
    """A drawn chart and what it says in words."""

    svg: Markup
    alternative: str
    whole: bool
    """Whether it is as wide as the page."""


def write_html(
    analysis: "Analysis", path: str | Path, *, show_secrets: bool = False, told: Answer | None = None
) -> None:
    """Write the report to path; passwords are masked unless show_secrets is true. Told is its answer, if known.

    Raises SettingsError if the path cannot be written.
    """
    page = render_html(analysis, show_secrets=show_secrets, told=told)
    with open_whole(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))


def render_html(analysis: "Analysis", *, show_secrets: bool = False, told: Answer | None = None) -> str:
    """Return the report as the text of a page; told is its answer, if known."""
    told = told or answer(analysis, show_secrets=show_secrets)
    attacks = analysis.attacks if show_secrets else mask_secrets(analysis.attacks)
    campaigns = worst_first(analysis.campaigns, CARDS)
    campaigns = campaigns if show_secrets else mask_secrets(campaigns)
    drawn, colours = _charts(analysis)
    script = _file("report.js")
    cards = campaign_cards(campaigns, attacks, analysis, colours)
    page = _environment().get_template("report.html.j2")
    return page.render(
        answer=told,
        summary=_summary(told.of("campaign", "reasons", "more")),
        mood=_mood({line.role for line in told.lines}),
        period=_period(analysis),
        cards=cards,
        cards_note=_more(len(analysis.campaigns), CARDS, "campaigns"),
        charts=drawn,
        tables=grids(analysis, attacks),
        style=Markup(_file("report.css")),  # noqa: S704  our own file
        script=Markup(script),  # noqa: S704  our own file
        digest=b64encode(sha256(script.encode()).digest()).decode(),
        version=versions()["sipscope"],
    )


def _environment() -> Environment:
    loader = PackageLoader("analyzer.reports", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters["slug"] = _slug
    return environment


def _shown(value: Any) -> Any:  # noqa: ANN401
    """Return what a page shows of a value: of text, only what can be seen, and no more than fits."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return "" if value is None else value
    return escape(value, limit=CELL * 4)


def _slug(text: object) -> str:
    """Return text as a word that may stand in an attribute."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", str(text))[:40]


def _file(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def _summary(lines: list[Line]) -> list[tuple[Line, bool, int]]:
    """Return the lines on campaigns, each with whether reasons follow it, and the number of the campaign's card."""
    told, number = [], 0
    for line, after in zip_longest(lines, lines[1:]):
        number += line.role == "campaign"
        told.append((line, after is not None and after.role == "reasons", number))
    return told


def _mood(roles: set[str]) -> str:
    if "breach" in roles:
        return "breached"
    return "attacked" if roles & {"answered", "campaign", "advice"} else "calm"


def _period(analysis: "Analysis") -> str:
    if analysis.period:
        return within(analysis.period.since, analysis.period.until)
    captures = analysis.captures
    first, last = captures["start"].min(), captures["end"].max()
    return span(first, last) if captures["start"].notna().any() and captures["end"].notna().any() else ""


def _more(number: int, limit: int, what: str) -> str:
    return f"The worst {limit} are shown; all {number:,} are in {what}.csv." if number > limit else ""


def _charts(analysis: "Analysis") -> tuple[list[Chart], dict[str, str]]:
    """Return the charts and the colour that they give to each campaign."""
    messages = analysis.messages
    if messages.empty:
        return [], {}
    over_time = charts.messages_over_time(messages, analysis.attacks, width=WIDE)
    drawn = [
        over_time,
        charts.methods_and_responses(messages),
        charts.claimed_and_recognised(messages),
        charts.sources_and_targets(messages, width=WIDE),
    ]
    images = [
        Chart(_svg(ax, f"chart{number}"), charts.describe(ax), number in (1, len(drawn)))
        for number, ax in enumerate(drawn, 1)
    ]
    return images, charts.colours_of(over_time)


def _lay_out(figure: "Figure") -> None:
    """Lay a figure out for good; savefig() would draw it twice, the first time for its layout alone."""
    FigureCanvasSVG(figure)  # which measures text
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine(None)


def _svg(ax: "Axes", prefix: str) -> Markup:
    """Return a chart as SVG that can stand in a page: no prolog, ids of its own, the colours of the theme."""
    file = StringIO()
    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101  for the type checker: these axes have one
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        _lay_out(figure)
        figure.savefig(file, format="svg", metadata=nothing, transparent=True)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", svg)
    for colour, theirs in THEME.items():
        svg = re.sub(colour, theirs, svg, flags=re.IGNORECASE)
    return Markup(svg)  # noqa: S704  matplotlib escapes the text in it
