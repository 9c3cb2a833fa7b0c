"""What became of the accused, for people: who is blocked, who is held back and why, and what a rule would stop."""

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import TYPE_CHECKING

import pandas as pd

from analyzer.blocking import Blocks
from analyzer.reports.words import count, quoted, span

if TYPE_CHECKING:
    from analyzer.blocklists import Rules

WIDTH = 80
SHOWN = 6
"""Sources that are named for each reason."""
HINTS = {
    "spoofable": "block them all the same: --include-spoofable",
    "private or reserved": "block them all the same: --include-private",
    "over": "block them for longer: --for 30d",
}
"""What may be done about a reason."""


def tell_blocks(blocks: Blocks) -> str:
    """Return in words whom a decision blocks, until when, and who is held back and why, in lines of 80 columns."""
    told = [_blocked(blocks)]
    if len(blocks.held):
        told.append(f"Held back: {count(len(blocks.held), 'entry', 'entries')}")
    for reason, rows in blocks.held.groupby("reason", observed=True, sort=False):
        told += _paragraph(f"{reason}: {count(len(rows), 'entry', 'entries')}", 2)
        told += _same(rows)
        if hint := HINTS.get(str(reason)):
            told += _paragraph(hint, 4)
    return "".join(f"{line}\n" for line in told)


def _blocked(blocks: Blocks) -> str:
    sources = {source for members in blocks.entries["sources"] for source in members}
    if not sources:
        return "Blocked: nobody"
    ends = blocks.entries["until"]
    entries = "" if len(sources) == len(blocks.entries) else f" in {count(len(blocks.entries), 'entry', 'entries')}"
    first, last = ends.min(), ends.max()
    when = f"until {first:%Y-%m-%d %H:%M} UTC" if first == last else f"until between {span(first, last)}"
    return f"Blocked: {count(len(sources), 'source')}{entries}, {when.replace(' to ', ' and ')}"


def _same(rows: pd.DataFrame) -> Iterator[str]:
    """Yield who is held back for a reason: those with the same particulars together."""
    for detail, alike in list(rows.groupby("detail", observed=True, sort=False))[:SHOWN]:
        yield from _paragraph(f"{_few(alike['entry'])}: {quoted(detail)}", 4)
    more = rows["detail"].nunique() - SHOWN
    if more > 0:
        yield from _paragraph(f"and {more:,} more, see --format json", 4)


def _few(entries: Iterable[str]) -> str:
    every = [quoted(entry) for entry in entries]
    more = f" and {len(every) - SHOWN:,} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def _paragraph(text: str, indent: int) -> list[str]:
    return wrap(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2), break_on_hyphens=False)


def tell_allowed(rules: "Rules", stopped: pd.DataFrame) -> str:
    """Return in words what rules that let only the allowed through would have stopped in a capture."""
    ports = ", ".join(map(str, rules.ports))
    allowed = count(len(rules.rules), "network")
    told = [f"Allowed to send to port {ports}: {allowed}; all others are stopped"]
    verdicts = stopped["verdict"].astype("str")
    told.append(f"In this capture that would have stopped {count(len(stopped), 'source')}")
    for verdict in ("attacking", "suspicious", "innocent"):
        theirs = stopped[verdicts == verdict]
        if len(theirs):
            told += _paragraph(f"{len(theirs):,} {verdict}: {_few(theirs['source'].astype('str'))}", 2)
        if verdict == "innocent":
            for source, why in list(zip(theirs["source"], theirs["why"], strict=True))[:SHOWN]:
                told += _paragraph(f"{quoted(source)}: {quoted(why)}", 4)
    if (verdicts == "innocent").any():
        told.append("Add the innocent that you know to the allow-list before you load the rules.")
    return "".join(f"{line}\n" for line in told)
