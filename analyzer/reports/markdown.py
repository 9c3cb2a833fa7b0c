"""The answer as Markdown, for tickets and chats; text from the wire stays text (CommonMark 2.4)."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.reports.answer import Answer, Line

HEADINGS = ("campaign", "what", "who", "when (UTC)", "against", "outcome")
"""What the cells of a campaign's line are."""


def render_markdown(told: "Answer") -> str:
    """Return an answer as Markdown."""
    blocks = [_plain(line.text) for line in told.of("headline")]
    blocks += [f"> **{line.label}** {_plain(line.text)}" for line in told.of("warning", "breach", "answered")]
    blocks += [f"**{_plain(line.text)}**" for line in told.of("verdict")]
    if campaigns := told.of("campaign"):
        blocks.append(_table(campaigns))
    blocks += [_plain(line.text) for line in told.of("more", "strays")]
    if advice := told.of("advice"):
        blocks.append("\n".join(["**Do now**", "", *(f"- {_plain(line.text)}" for line in advice)]))
    blocks += [f"**Packets** {_plain(line.text)}" for line in told.of("fates")]
    if told.settings:
        used = "; ".join(f"{used.name}: {used.value}" for used in told.settings)
        blocks.append(f"**Settings** {_plain(used)}")
    blocks += [_plain(line.text) for line in told.of("report")]
    return "\n\n".join(blocks) + "\n"


def _table(campaigns: "list[Line]") -> str:
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(tuple(map(_plain, line.cells)) for line in campaigns)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _plain(text: str) -> str:
    """Return text in which no character means anything, and of which no link is made."""
    return re.sub(r"([\\`*_{}\[\]<>#!|~&@]|:(?=//)|(?<=www)\.)", r"\\\1", text, flags=re.IGNORECASE)
