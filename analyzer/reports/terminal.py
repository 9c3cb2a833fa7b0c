"""The answer, and single tables, for a terminal: colour where there is one, else plain text."""

from datetime import datetime
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analyzer.exports.escape import escape
from analyzer.reports.answer import Answer, Line, answer
from analyzer.reports.words import listed

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.analysis import Analysis
    from analyzer.tools.signatures import Signatures

WIDTH = 80
"""Columns of a report that does not go to a terminal."""
WIDEST = 120
"""Columns beyond which lines are hard to read."""
ROWS = 50
"""Rows of a table that are printed; the exports hold all."""
NAMES = 3
CELL = 120
"""Characters of a cell."""
CHIEF = {
    "messages": ("time", "source", "destination", "method", "status", "from_user", "to_user", "user_agent"),
    "sources": ("source", "verdict", "why", "requests", "tools", "campaign"),
    "attacks": ("kind", "source", "tool", "start", "messages", "accounts", "numbers", "outcome"),
    "campaigns": ("campaign", "title", "sources", "start", "end", "outcome"),
}
"""The columns that a terminal shows of a table; of others, all."""

STYLES = {
    "headline": "bold",
    "warning": "yellow",
    "breach": "bold red",
    "answered": "bold magenta",
    "verdict": "bold",
    "advice": "bold cyan",
    "fates": "dim",
    "settings": "yellow",
    "report": "green",
}
"""How the label of a line looks, or the whole line where it has none."""
OUTCOMES = {
    "breached": "bold red", "answered": "bold magenta", "rang": "yellow", "accounts-found": "yellow",
}  # fmt: skip
"""How the outcome of a campaign looks, if it is bad."""
LABEL = 10
BULLET = "- "
INDENT = 2
REASON = 8
GAP = "  "
HANG = 24
"""The widest room for an id beside its title."""
RIGHT = (2, 4)
"""The cells of a campaign that are numbers."""
BLOCKS = {
    "headline": 0, "warning": 1, "breach": 1, "answered": 1, "verdict": 2, "campaign": 2, "reasons": 2, "more": 2,
    "strays": 2,
}  # fmt: skip
"""What stands together; between two blocks is an empty line."""
LAST = 3


def render(analysis: "Analysis", *, report: Path | None = None, show_secrets: bool = False, width: int = 80) -> Text:
    """Return the answer as text of at most width columns; report is where the full one lies.

    `str()` of it is plain text; a rich console prints it in colour where the terminal has any.
    """
    return render_answer(answer(analysis, report=report, show_secrets=show_secrets), width=width)


def print_answer(
    analysis: "Analysis", *, report: Path | None = None, show_secrets: bool = False, console: Console | None = None
) -> None:
    """Print the answer to a console, standard output without one: in colour, and as wide, as the terminal is."""
    print_told(answer(analysis, report=report, show_secrets=show_secrets), console=console)


def print_told(told: Answer, *, console: Console | None = None) -> None:
    """Print an answer that was worked out before."""
    console = console or _console()
    console.print(render_answer(told, width=_width(console)), soft_wrap=True, end="")


def print_table(name: str, frame: "pd.DataFrame", *, console: Console | None = None) -> None:
    """Print the first rows of a table, and of its columns those that people ask for first."""
    console = console or _console()
    chief = [column for column in CHIEF.get(name, frame.columns) if column in frame]
    grid = Table(box=SIMPLE, pad_edge=False, header_style="bold")
    for column in chief:
        right = frame[column].dtype.kind in "iuf"
        grid.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in frame[chief].head(ROWS).itertuples(index=False, name=None):
        grid.add_row(*(Text(_cell(value)) for value in row))
    console.print(grid)
    shown = f"the first {ROWS} of " if len(frame) > ROWS else ""
    more = "; all rows and columns: -o FILE.csv" if shown or len(chief) < len(frame.columns) else ""
    console.print(Text(f"{shown}{len(frame):,} {name}{more}", "dim"))


def print_tools(signatures: "Signatures", *, console: Console | None = None) -> None:
    """Print the tools that are recognised, by name, with what they are."""
    console = console or _console()
    grid = Table(box=SIMPLE, pad_edge=False, header_style="bold")
    for column in ("tool", "kind", "what it is"):
        grid.add_column(column, overflow="fold")
    for tool in sorted(signatures.tools.values(), key=lambda tool: tool.name.lower()):
        grid.add_row(*(Text(escape(part)) for part in (tool.name, tool.kind, tool.summary)))
    console.print(grid)


def print_page(markdown: str, *, console: Console | None = None) -> None:
    """Print a page of the reference; as it is written where there is no terminal."""
    from rich.markdown import Markdown

    console = console or _console()
    console.print(Markdown(markdown) if console.is_terminal else Text(markdown), soft_wrap=not console.is_terminal)


def _console() -> Console:
    return Console(highlight=False, soft_wrap=False)


def _width(console: Console) -> int:
    return min(console.width, WIDEST) if console.is_terminal else WIDTH


def _cell(value: object) -> str:
    """Return a cell of a table as text."""
    if isinstance(value, list):
        return listed((escape(str(item), limit=CELL) for item in value), NAMES)
    if isinstance(value, datetime):
        return "" if str(value) == "NaT" else f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return "" if isnan(value) else f"{value:g}"
    return "" if str(value) == "<NA>" else escape(str(value), limit=CELL)


def render_answer(told: Answer, *, width: int = 80) -> Text:
    """Return an answer as text of at most width columns."""
    text = Text(no_wrap=True, overflow="ignore", end="")
    block, label = 0, ""
    rows = iter(_campaign_rows(told.of("campaign"), width))
    for line in told.lines:
        its_block = BLOCKS.get(line.role, LAST)
        if its_block != block:
            text.append("\n")
            block = its_block
        if line.role == "campaign":
            _append_campaign(text, line, next(rows))
        else:
            _append(text, line, width, said=line.role == "advice" and line.label == label)
        label = line.label
    return text


def _append_campaign(text: Text, line: Line, rows: list[str]) -> None:
    """Add the lines of a campaign, its id and a bad outcome so that they are found at a glance."""
    start, name, outcome = len(text) + INDENT, line.cells[0], line.cells[-1]
    text.append("\n".join(rows))
    if outcome and rows[-1].endswith(outcome):
        text.stylize(OUTCOMES.get(outcome, ""), len(text) - len(outcome))
    if rows[0].startswith(name, INDENT):
        text.stylize("bold", start, start + len(name))
    text.append("\n")


def _append(text: Text, line: Line, width: int, *, said: bool) -> None:
    """Add a line; a label that was just said is not said again."""
    style = STYLES.get(line.role, "")
    if line.label:
        bullet = BULLET if line.role == "advice" else ""
        hang = LABEL + len(bullet)
        first, *others = _wrap(line.text, width - hang)
        text.append(("" if said else line.label).ljust(LABEL), style)
        rest = "".join(f"\n{' ' * hang}{other}" for other in others)
        text.append(f"{bullet}{first}{rest}\n", "dim" if style == "dim" else "")
        return
    indent = {"reasons": REASON, "more": INDENT, "strays": INDENT}.get(line.role, 0)
    for part in _wrap(line.text, width - indent):
        text.append(f"{' ' * indent}{part}\n", style or ("dim" if line.role == "reasons" else ""))


def _campaign_rows(lines: list[Line], width: int) -> list[list[str]]:
    """Return the lines of each campaign: one, in columns, where all of them fit, else two or more."""
    if not lines:
        return []
    columns = list(zip(*(line.cells for line in lines), strict=True))
    widths = [max(cell_len(cell) for cell in column) for column in columns]
    if INDENT + sum(widths) + len(GAP) * (len(widths) - 1) <= width:
        return [[_row(line.cells, widths)] for line in lines]
    return [_stacked(line.cells, widths, width) for line in lines]


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = [_pad(cell, widths[i], right=i in RIGHT) for i, cell in enumerate(cells)]
    return (" " * INDENT + GAP.join(padded)).rstrip()


def _stacked(cells: tuple[str, ...], widths: list[int], width: int) -> list[str]:
    """Return id and title, and below what is known of the campaign; a long id has its own lines."""
    hang = INDENT + widths[0] + len(GAP)
    if hang <= HANG:
        first, *others = _wrap(cells[1], width - hang)
        head = [f"{' ' * INDENT}{_pad(cells[0], widths[0])}{GAP}{first}"]
    else:
        hang, others = REASON, _wrap(cells[1], width - REASON)
        head = [" " * INDENT + part for part in _wrap(cells[0], width - INDENT)]
    facts = GAP.join(_pad(cell, widths[i], right=i in RIGHT) for i, cell in enumerate(cells) if i > 1).rstrip()
    below = [facts] if hang + cell_len(facts) <= width else _wrap(" ".join(facts.split()), width - hang)
    return [*head, *(" " * hang + part for part in [*others, *below])]


def _pad(text: str, width: int, *, right: bool = False) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _wrap(text: str, width: int) -> list[str]:
    """Break text into lines of at most width columns, inside a word only where the word is longer than that."""
    lines, line = [], ""
    for word in text.split(" "):
        candidate = f"{line} {word}" if line else word
        if cell_len(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        *full, line = _chop(word, width)
        lines += full
    return [*lines, line]


def _chop(word: str, width: int) -> list[str]:
    parts, part = [], ""
    for character in word:
        if cell_len(part + character) > width:
            parts.append(part)
            part = ""
        part += character
    return [*parts, part]
