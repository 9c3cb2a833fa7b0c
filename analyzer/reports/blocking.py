"""What became of the accused, for people: who is blocked, who is held back and why, and what a rule would stop."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from shlex import quote
from textwrap import wrap
from typing import TYPE_CHECKING

import pandas as pd

from analyzer.blocking import ALLOWED, OVER, OWN, RESERVED, SHARED, SPOOFABLE, UNSURE, Blocks, Judgement, by_address
from analyzer.reports.words import count, few, quoted, span
from analyzer.settings import ENGINE

if TYPE_CHECKING:
    from analyzer.analysis import Analysis
    from analyzer.blocklists import Rules

WIDTH = 80
SHOWN = 6
"""Sources that are named for each reason."""
HINTS = {
    "spoofable": "block them all the same: --include-spoofable",
    "private or reserved": "block them all the same: --include-private",
    "over": "block them all the same: --from-now, or for longer: --for 30d",
}
"""What may be done about a reason."""
FILES = 2
"""Captures that a command names one by one; of more, their folder."""
PATHS = 160
"""Characters of the paths that a command names."""
STANDARD_INPUT = "-"
ADDRESSES = 12
"""Addresses that an advice names."""
HELD_BACK = {
    ALLOWED: ("{are} on your allow-list", "do not block, but find out what happened there"),
    OWN: ("{are} among your own servers", "do not block, but find out what happened there"),
    RESERVED: ("came from private or reserved addresses", "left out of block-lists without --include-private"),
    SHARED: ("shared an address with innocent phones", "do not block, or you hit those too"),
    UNSURE: ("{are} not accused with certainty", "do not block on this alone"),
    SPOOFABLE: ("{are} not proven and may be forged", "do not block on this alone"),
    OVER: ("attacked so long ago that a block has ended", "left out of block-lists without --from-now"),
}
"""What is said of sources that are held back for a reason, and what to do about them."""


def these(sources: Sequence[str], what: str) -> str:
    """Return '2 sources are …: 192.0.2.1, 192.0.2.2'; of what, {are} is 'is' or 'are'."""
    return f"{_counted(len(sources), what)}: {few(sources[:ADDRESSES], ADDRESSES, of=len(sources))}"


def _counted(sources: int, what: str) -> str:
    return f"{count(sources, 'source')} {what.format(are='is' if sources == 1 else 'are')}"


def tell_held(judgement: Judgement) -> list[str]:
    """Return a sentence on the sources that are held back for each reason; on all of them, if nobody is blocked."""
    held: dict[str, list[str]] = {reason: [] for reason in HELD_BACK}
    for source, reason in judgement.held.items():
        held[reason].append(source)
    held = {reason: by_addresses(sources) for reason, sources in held.items() if sources}
    told = [these(sources, ": ".join(HELD_BACK[reason])) for reason, sources in held.items()]
    if not held or judgement.blocked:
        return told
    if len(told) == 1:
        return [f"block nobody: {told[0]}"]
    reasons = ", ".join(_counted(len(sources), HELD_BACK[reason][0]) for reason, sources in held.items())
    return [f"block nobody: {reasons}", *told]


def by_addresses(sources: Iterable[str]) -> list[str]:
    """Return addresses in their order, IPv4 first."""
    return sorted(sources, key=by_address)


def block_command(analysis: "Analysis") -> str:
    """Return the command that makes a block-list of what was analysed, with the same settings."""
    captures = list(dict.fromkeys(analysis.captures["capture"].astype("str")))
    if analysis.store is not None:  # the captures may be gone
        captures = [analysis.store]
    folders = {str(PurePath(capture).parent) for capture in captures}
    chosen = captures if len(captures) <= FILES else [f"{folders.pop()}/"] if len(folders) == 1 else []
    named = "" if STANDARD_INPUT in chosen else _for_a_shell(chosen)
    return " ".join(["sipscope block", named or "CAPTURE...", *_options(analysis), "--format nftables"])


def _options(analysis: "Analysis") -> Iterator[str]:
    """Yield the options that an analysis was made with and a block-list depends on."""
    settings, asked = analysis.settings, analysis.period
    changed = settings.thresholds or settings.left_out or settings.added
    files = {"settings": ("",) if changed else (), "signatures": settings.signatures}
    allowed = settings.allowed or analysis.sources["allowed"].notna().any()
    files["allow"] = settings.allow or (("",) if allowed else ())
    for name, paths in files.items():
        yield from (f"--{name} {_for_a_shell([path]) or 'FILE'}" for path in paths)
    if settings.engine != ENGINE:
        yield f"--engine {settings.engine}"
    if settings.keylog:
        yield f"--keylog {_for_a_shell([settings.keylog]) or 'FILE'}"
    if settings.most_bytes:
        yield f"--most-bytes {settings.most_bytes}"
    ends = {} if asked is None else {"from": asked.since, "to": asked.until}
    yield from (f"--{name} {time:%Y-%m-%dT%H:%M:%S}" for name, time in ends.items() if time)


def _for_a_shell(paths: Sequence[str]) -> str:
    """Return paths as a shell takes them; nothing if they are empty, too long, or cannot be shown."""
    named = " ".join(map(quote, filter(None, paths)))
    return named if named.isprintable() and len(named) <= PATHS else ""


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
