"""A capture that has not ended, for people and programs: a screen that is drawn anew, lines, JSON, and a summary."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.box import SIMPLE
from rich.console import Group
from rich.table import Table
from rich.text import Text

from analyzer.exports.escape import escape
from analyzer.exports.secrets import mask
from analyzer.reports.findings import AnsweredCall, Breach
from analyzer.reports.phone import describe_number
from analyzer.reports.words import account, count, few, lasted, quoted, span
from analyzer.standings import EVERYTHING, Row, choose
from analyzer.tables import OUTCOMES

if TYPE_CHECKING:
    from rich.console import RenderableType

    from analyzer.ledger import Event, Finding
    from analyzer.live import View

STYLES = {
    "breached": "bold red", "answered": "bold magenta", "rang": "magenta", "accounts-found": "yellow",
    "challenged": "", "replied": "", "rejected": "dim", "no-reply": "dim",
}  # fmt: skip
"""How an outcome looks."""
LABELS = {
    "attack": "ATTACK", "outcome": "OUTCOME", "breach": "BREACH", "answered": "ANSWERED", "withdrawn": "WITHDRAWN",
    "dropped": "DROPPED", "failed": "WARNING",
}  # fmt: skip
"""The word of each kind of event."""
LABEL = 10
FINDINGS = 3
"""Breaches and answered calls that the screen names: the latest."""
CAMPAIGNS = 10
"""Campaigns that the summary names."""
TITLE = 160
NARROW = 96
"""Columns of a screen below which two columns of the table are left out."""
SECONDS_OF_A_DAY = 86_400


@dataclass(frozen=True)
class Wish:
    """What the screen is to show."""

    table: str = "campaigns"
    """campaigns or sources."""
    order: str = "last"
    only: str = EVERYTHING
    """An outcome (those that came so far), a kind of attack, a tool, a campaign or an address."""
    paused: bool = False


# --- words


def tell(event: "Event") -> str:
    """Return an event as one line for people."""
    when = "" if event.time is None or pd.isna(event.time) else f"{event.time:%Y-%m-%d %H:%M:%S} "
    return f"{when}{LABELS[event.what]:<{LABEL}}{SENTENCES[event.what](event)}"


def _attack(event: "Event") -> str:
    tool = f" with {quoted(event.tool)}" if event.tool else ""
    facts = [f"{count(event.targets, 'target')}"]
    if event.accounts:
        facts.append(count(event.accounts, "account"))
    if event.numbers:
        facts.append(f"wants {few((describe_number(number) for number in event.numbers), 2, of=len(event.numbers))}")
    return (
        f"{quoted(event.source)}{_where(event)}: {_kind(event)}{tool}, {', '.join(facts)}: {event.outcome}{_of(event)}"
    )


def _outcome(event: "Event") -> str:
    return f"{quoted(event.source)}{_where(event)}: {_kind(event)} reached '{event.outcome}'{_of(event)}"


def _kind(event: "Event") -> str:
    return "a known tool" if event.kind == "tool" else quoted(event.kind).replace("-", " ")


def _of(event: "Event") -> str:
    return f" (campaign {quoted(event.campaign)})" if event.campaign else ""


def _where(event: "Event") -> str:
    """Return where a source is from, and that it is known, as far as the user's files say."""
    facts = [quoted(fact) for fact in (event.country, event.network) if fact]
    facts += [f"on your allow-list as {quoted(event.allowed)}"] if event.allowed else []
    return f" ({', '.join(facts)})" if facts else ""


def _found(event: "Event") -> str:
    return f"{describe(event.finding)}{_of(event)}" if event.finding is not None else ""


SENTENCES: dict[str, Callable[["Event"], str]] = {
    "attack": _attack,
    "outcome": _outcome,
    "breach": _found,
    "answered": _found,
    "withdrawn": lambda event: f"{quoted(event.source)} is no attacker: what it sent since explains it{_of(event)}",
    "dropped": lambda event: f"the recorder lost {count(event.count, 'packet')} so far",
    "failed": lambda event: escape(event.title, limit=TITLE),
}


def describe(finding: "Finding") -> str:
    """Return a breach or an answered call in words, the password masked."""
    return _breach(finding) if isinstance(finding, Breach) else _call(finding)


def _breach(breach: Breach) -> str:
    after = ""
    if breach.guesses is not None:
        after = f" after {count(breach.guesses, 'password')}" if breach.guesses > 1 else " with the first password"
    right = f", the right one {quoted(mask(breach.password))}" if breach.password is not None else ""
    where = f", packet {breach.packet:,}" if breach.packet is not None else ""
    return f"{account(breach.account)} was taken over by {quoted(breach.source)}{after}{right}{where}"


def _call(call: AnsweredCall) -> str:
    number = describe_number(call.wanted or call.dialled)
    dialled = "" if call.wanted in (None, call.dialled) else f", dialled {quoted(call.dialled)},"
    talked = f" and talked {lasted(call.talked)}" if call.talked is not None else ""
    where = f", packet {call.packet:,}" if call.packet is not None else ""
    return f"a call to {number}{dialled} from {quoted(call.source)} was answered{talked}{where}"


def concerns(event: "Event", only: str) -> bool:
    """Say whether an event is among those asked for, in the words of analyzer.standings.fits()."""
    if only == EVERYTHING or not event.source:
        return True
    if only in OUTCOMES:
        return event.outcome in OUTCOMES and OUTCOMES.index(event.outcome) >= OUTCOMES.index(only)
    words = (event.source, event.kind, event.tool, event.campaign, event.country, *event.numbers)
    return any(only.lower() == word.lower() for word in words)


def as_json(event: "Event") -> str:
    """Return an event as one JSON object on one line; what is not known is left out, passwords are masked."""
    facts: dict[str, Any] = {"event": event.what, "time": _iso(event.time)}
    for name in ("source", "kind", "tool", "outcome", "campaign", "title", "targets", "accounts", "country", "network",
                 "allowed"):  # fmt: skip
        if value := getattr(event, name):
            facts[name] = value
    if event.numbers:
        facts["numbers"] = list(event.numbers)
    if event.what in ("attack", "outcome"):
        facts["proven"] = event.proven
    if event.finding is not None:
        facts |= _finding_facts(event.finding)
    if event.what == "dropped":
        facts["dropped"] = event.count
    return _line(facts)


def _finding_facts(finding: "Finding") -> dict[str, Any]:
    facts: dict[str, Any]
    if isinstance(finding, Breach):
        facts = {
            "account": finding.account,
            "guesses": finding.guesses,
            "password": None if finding.password is None else mask(finding.password),
        }
    else:
        facts = {"dialled": finding.dialled, "wanted": finding.wanted, "talked": finding.talked, "audio": finding.audio}
    return {name: value for name, value in {**facts, "packet": finding.packet}.items() if value is not None}


def _line(facts: dict[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=True, allow_nan=False)


def _iso(time: pd.Timestamp | None) -> str | None:
    return None if time is None or pd.isna(time) else time.isoformat()


# --- the end


def summarise(view: "View", *, width: int = 80) -> str:
    """Return what was seen from the beginning to the end, in lines of at most width columns."""
    lines = [
        f"watched {quoted(view.name)} for {lasted(view.seconds)}: {', '.join(_read(view))}; {', '.join(_lost(view))}"
    ]
    totals = view.totals
    campaigns = f"{'at least ' if totals.crowded else ''}{count(totals.campaigns, 'campaign')}"
    others = max(totals.sources - totals.attackers, 0)
    lines.append(
        f"{campaigns} from {count(totals.attackers, 'attacking source')}, {count(others, 'other source')}; "
        f"{count(totals.breaches, 'breach', 'breaches')}, {count(totals.answered, 'answered call')}"
    )
    if view.probers:
        lines.append(f"{count(view.probers, 'source')} probed SIP ports without SIP")
    lines += [f"{_label(finding):<{LABEL}}{describe(finding)}" for finding in view.findings[-CAMPAIGNS:]]
    chosen = worst_first(view.campaigns)
    lines += [
        f"  {quoted(row.name)}  {escape(row.title, limit=TITLE)}, {count(row.sources, 'source')}, "
        f"{count(row.requests, 'request')}: {row.outcome}"
        for row in chosen[:CAMPAIGNS]
    ]
    if (more := totals.campaigns - len(chosen[:CAMPAIGNS])) > 0:
        lines.append(f"  and {count(more, 'more campaign')}{_forgotten(view)}")
    return "\n".join(part for line in lines for part in _wrap(line, width))


def _wrap(line: str, width: int) -> list[str]:
    """Return a line as several, those after the first indented as it is, or behind its label."""
    label = line[:LABEL].strip() in LABELS.values()
    hang = LABEL if label else 8 if line.startswith("  ") else 2
    return wrap(line, width, subsequent_indent=" " * hang, break_on_hyphens=False, drop_whitespace=True) or [line]


def summary_as_json(view: "View") -> str:
    """Return the same as one JSON object on one line."""
    totals = {**vars(view.totals), "outcomes": view.totals.outcomes}
    fates = [
        {"fate": fate, "reason": reason, "packets": number} for (fate, reason), number in sorted(view.fates.items())
    ]
    facts = {
        "event": "summary",
        "name": view.name,
        "seconds": round(view.seconds, 3),
        **{name: getattr(view, name) for name in ("packets", "messages", "bytes", "dropped", "anomalies", "probers")},
        "first": _iso(_time(view.first)),
        "last": _iso(_time(view.last)),
        "not_examined": view.left_out + view.pending,
        "failures": view.failures,
        "fates": fates,
        "totals": totals,
        "campaigns": [_row_facts(row) for row in worst_first(view.campaigns)],
    }
    return _line(facts)


def _row_facts(row: Row) -> dict[str, Any]:
    names = ("title", "sources", "targets", "accounts", "requests", "outcome")
    lists = {name: list(getattr(row, name)) for name in ("tools", "kinds", "numbers")}
    return {"campaign": row.name, **{name: getattr(row, name) for name in names}, **lists}


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Return rows, those that reached the worst outcome first, then those with most requests."""
    return sorted(rows, key=lambda row: (-OUTCOMES.index(row.outcome), -row.requests, row.name))


def _label(finding: "Finding") -> str:
    return LABELS["breach" if isinstance(finding, Breach) else "answered"]


def _forgotten(view: "View") -> str:
    outcomes = view.totals.outcomes
    if not outcomes:
        return ""
    told = ", ".join(f"{outcomes[word]:,} {word}" for word in reversed(OUTCOMES) if word in outcomes)
    return f", silent for long: {told}"


def _read(view: "View") -> list[str]:
    first, last = _time(view.first), _time(view.last)
    return [count(view.packets, "packet"), count(view.messages, "SIP message"), *filter(None, [span(first, last)])]


def _lost(view: "View") -> list[str]:
    """Return what was not seen, or not looked at."""
    told = [_dropped(view)]
    told.append(count(view.anomalies, "anomaly", "anomalies"))
    if left := view.left_out + view.pending:
        told.append(f"{count(left, 'message')} counted but not examined")
    if view.failures:
        told.append(f"{count(view.failures, 'analysis', 'analyses')} failed")
    return told


def _dropped(view: "View") -> str:
    if view.dropped is None:
        return "drops unknown"
    return f"{view.dropped:,} dropped" if view.dropped else "none dropped"


def _time(nanoseconds: int) -> pd.Timestamp | None:
    return pd.Timestamp(nanoseconds, tz="UTC") if nanoseconds >= 0 else None


# --- the screen


def draw(view: "View", wish: Wish, *, width: int, height: int, keys: bool = True) -> "RenderableType":
    """Return what a screen of that size shows."""
    head = _head(view, width)
    found = _latest_findings(view, width)
    foot = _foot(wish, width, keys=keys)
    room = height - len(head) - len(found) - 1 - 4
    return Group(*head, *found, _grid(view, wish, width, max(room, 1)), foot)


def _head(view: "View", width: int) -> list[Text]:
    dropped = (
        "drops unknown" if view.dropped is None else f"{view.dropped:,} dropped" if view.dropped else "none dropped"
    )
    style = "bold yellow" if view.dropped else "dim"
    title = _cut(f"sipscope: watching {quoted(view.name)} for {_clock(view.seconds)}", width - len(dropped) - 2)
    first = Text.assemble((title, "bold"), " " * (width - len(title) - len(dropped)), (dropped, style))
    totals = view.totals
    packets = f"{view.packets:,} packets ({_rate(view.packet_rate)}/s)"
    messages = f"{view.messages:,} messages ({_rate(view.message_rate)}/s)"
    second = Text(_cut(f"{packets}, {messages}, {count(totals.sources, 'source')}", width))
    told = [
        f"{count(totals.campaigns, 'campaign')}{' or more' if totals.crowded else ''}",
        f"{count(totals.attackers, 'attacking source')}",
        f"{view.suspicious:,} suspicious",
    ]
    told += [f"{view.probers:,} probing without SIP"] if view.probers else []
    told += [f"{count(view.anomalies, 'anomaly', 'anomalies')}"] if view.anomalies else []
    lines = [first, second, Text(_cut(", ".join(told), width))]
    if busy := _busy(view):
        lines.append(Text(_cut(busy, width), "yellow"))
    return lines


def _busy(view: "View") -> str:
    """Return what is not as it should be: messages that nobody looked at, analyses that failed."""
    told = []
    if view.left_out:
        told.append(f"too much at a time: {count(view.left_out, 'message')} counted but not examined")
    if view.failures:
        told.append(f"{count(view.failures, 'analysis', 'analyses')} failed")
    return "; ".join(told)


def _latest_findings(view: "View", width: int) -> list[Text]:
    latest = sorted(view.findings, key=lambda finding: finding.time or pd.Timestamp(0, tz="UTC"))[-FINDINGS:]
    lines = []
    for finding in reversed(latest):
        style = "bold red" if isinstance(finding, Breach) else "bold magenta"
        when = f"{finding.time:%H:%M:%S} " if finding.time is not None else ""
        lines.append(
            Text.assemble((f"{_label(finding):<{LABEL}}", style), _cut(when + describe(finding), width - LABEL))
        )
    return lines


def _grid(view: "View", wish: Wish, width: int, room: int) -> "RenderableType":
    rows = choose(view.campaigns if wish.table == "campaigns" else view.sources, order=wish.order, only=wish.only)
    wide = width >= NARROW
    grid = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", expand=True, show_edge=False)
    columns = _campaign_columns(wide) if wish.table == "campaigns" else _source_columns(wide)
    for name, right, _ in columns:
        if name in ("campaign", "what it does"):
            grid.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)
        else:
            grid.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for row in rows[:room]:
        grid.add_row(
            *(Text(cell(row), STYLES.get(row.outcome, "") if name == "outcome" else "") for name, _, cell in columns)
        )
    if rows:
        return grid
    waiting = "nothing was attacked yet" if wish.only == EVERYTHING else f"nothing to show of {quoted(wish.only)}"
    return Group(grid, Text(waiting, "dim"))


Columns = list[tuple[str, bool, Callable[[Row], str]]]
"""The name of each column, whether it is aligned to the right, and its cell of a row."""


def _campaign_columns(wide: bool) -> Columns:  # noqa: FBT001
    columns: Columns = [
        ("id", False, lambda row: quoted(row.name)),
        ("what it does", False, lambda row: escape(row.title, limit=TITLE)),
        ("sources", True, lambda row: f"{row.sources:,}"),
    ]
    if wide:
        columns.append(("targets", True, lambda row: f"{row.targets:,}{'+' if row.more else ''}"))
    return [*columns, *_common_columns(wide)]


def _source_columns(wide: bool) -> Columns:  # noqa: FBT001
    columns: Columns = [
        ("source", False, lambda row: quoted(row.name)),
        ("what it does", False, lambda row: escape(_deeds(row), limit=TITLE)),
    ]
    if wide:
        columns.append(("from", False, lambda row: escape(row.allowed or row.network or row.country, limit=24)))
    columns.append(("campaign ", False, lambda row: quoted(row.campaign)))
    return [*columns, *_common_columns(wide)]


def _deeds(row: Row) -> str:
    """Return 'SIPVicious: enumeration, password guessing'."""
    kinds = ", ".join(kind.replace("-", " ") for kind in row.kinds if kind != "tool") or "scanning"
    return f"{', '.join(row.tools)}: {kinds}" if row.tools else kinds


def _common_columns(wide: bool) -> Columns:  # noqa: FBT001
    columns: Columns = [("req/s", True, lambda row: _rate(row.rate))]
    if wide:
        columns.append(("requests", True, lambda row: f"{row.requests:,}"))
    return [*columns, ("last", True, lambda row: _last(row.last)), ("outcome", False, lambda row: row.outcome)]


def _foot(wish: Wish, width: int, *, keys: bool) -> Text:
    state = f"by {wish.order}{'' if wish.only == EVERYTHING else f', {quoted(wish.only)}'}"
    if not keys:
        return Text(_cut(f"{wish.table} {state}; Ctrl-C ends", width), "dim")
    other = "sources" if wish.table == "campaigns" else "campaigns"
    words = ("s sort", "o only", f"tab {other}", "space resume" if wish.paused else "space pause", "q quit")
    line = f"{'  '.join(words)}    {state}"
    return Text(line if len(line) <= width else _cut(f"{' '.join(words)}  {state}", width), "dim")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def _clock(seconds: float) -> str:
    days, rest = divmod(int(seconds), SECONDS_OF_A_DAY)
    clock = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock


def _rate(number: float) -> str:
    return f"{number:.1f}" if 0 < number < 10 and number != int(number) else f"{number:,.0f}"


def _last(nanoseconds: int) -> str:
    return f"{pd.Timestamp(nanoseconds, tz='UTC'):%H:%M:%S}" if nanoseconds > 0 else ""
