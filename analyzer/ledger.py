"""What is known of a capture that has not ended: sources, campaigns, and what attackers got, in bounded memory.

An analysis sees a window; the ledger remembers. What was found stays found though the messages that proved it are not
in the window any more: outcomes only get worse, a breach stays told. A verdict is taken back by one thing only: an
analysis that had all messages of the source in view and finds nothing. What was silent for long is forgotten, and is
still counted.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from math import exp
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.reports.findings import AnsweredCall, Breach, find_answered_calls, find_breaches
from analyzer.tables import OUTCOMES
from analyzer.window import SENT, add_up

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analyzer.analysis import Analysis

Finding = Breach | AnsweredCall
TELLING = OUTCOMES.index("replied")
"""The outcome from which on a change to it is told."""
SMOOTHING = 5.0
"""Seconds over which a rate is smoothed."""
SHORTEST = 0.5
"""Seconds that rates are measured over, at least."""
ATTACKING = "attacking"


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much is remembered."""

    sources: int = 100_000
    """Sources whose requests are counted one by one; of more, those silent longest are forgotten."""
    attackers: int = 20_000
    """Attacking sources of which more is known; those in the window are not forgotten, others find no room then."""
    campaigns: int = 5_000
    findings: int = 1_000
    """Breaches, and answered calls, that are kept word by word; of more, the number."""
    names: int = 100_000
    """Targets, accounts and numbers of all campaigns that are told apart; of more, 'at least' is said."""
    silence: timedelta = timedelta(hours=24)
    """After how long a silence, in the time of the capture, a source or a campaign is forgotten."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that was not known before."""

    what: str
    """attack, outcome, breach, answered, withdrawn or dropped."""
    time: pd.Timestamp | None
    """When it happened, in the time of the capture."""
    source: str = ""
    kind: str = ""
    tool: str = ""
    outcome: str = ""
    campaign: str = ""
    title: str = ""
    targets: int = 0
    accounts: int = 0
    numbers: tuple[str, ...] = ()
    country: str = ""
    network: str = ""
    allowed: str = ""
    """The name by which the allow-list knows the source."""
    proven: bool = False
    finding: Finding | None = None
    count: int = 0
    """Packets that were dropped so far."""


@lru_cache(maxsize=65_536)
def _shared(value: Any) -> Any:  # noqa: ANN401
    """Return the one value that stands for all that equal it: attackers are many, and much alike."""
    return value


@dataclass(slots=True)
class Attacker:
    """A source that attacks, and how far each kind of its attacks came."""

    source: str
    campaign: str
    outcomes: tuple[tuple[str, int], ...] = ()
    """The kinds of its attacks, in the order in which they were found, and the worst that each reached."""
    tools: tuple[str, ...] = ()
    requests: int = 0
    rate: float = -1.0
    """Requests a second of late; negative before it is known."""
    last: int = 0
    country: str = ""
    network: str = ""
    allowed: str = ""
    proven: bool = False

    @property
    def outcome(self) -> int:
        """The worst that any of its attacks reached, as an index into OUTCOMES."""
        return max((outcome for _, outcome in self.outcomes), default=0)

    def reach(self, kind: str, outcome: int, tool: str | None) -> int | None:
        """Take note of how far an attack came, and return how far it had come before; None if it is new."""
        known = dict(self.outcomes)
        before = known.get(kind)
        known[kind] = max(outcome, before or 0)
        self.outcomes = _shared(tuple(known.items()))
        if tool is not None and tool not in self.tools:
            self.tools = _shared(tuple(sorted({*self.tools, tool})))
        return before


@dataclass(slots=True)
class Campaign:
    """A campaign, as all analyses together know it."""

    campaign: str
    title: str = ""
    kinds: dict[str, None] = field(default_factory=dict)
    tools: set[str] = field(default_factory=set)
    targets: set[str] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    breached: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    reasons: list[str] = field(default_factory=list)
    start: pd.Timestamp | None = None
    end: pd.Timestamp | None = None
    outcome: int = 0
    confidence: float = 0.0
    sources: int = 0
    """How many sources take part, or took."""
    members: int = 0
    """How many of them are known one by one."""
    requests: int = 0
    rate: float = 0.0
    gone: int = 0
    """Members that were forgotten."""
    gone_requests: int = 0
    more: bool = False
    """There are more targets, accounts or numbers than are told apart."""

    @property
    def names(self) -> int:
        """How many names it takes up."""
        return len(self.targets) + len(self.accounts) + len(self.numbers)


@dataclass
class Totals:
    """What was seen since the beginning; nothing that is forgotten is taken off."""

    sources: int = 0
    """Sources of requests; one that returns after it was forgotten counts again."""
    attackers: int = 0
    campaigns: int = 0
    breaches: int = 0
    answered: int = 0
    requests: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    """Campaigns that were forgotten, by outcome."""
    crowded: bool = False
    """There were more campaigns or attackers at a time than there is room for: their numbers are the least."""


class Ledger:
    """What is known so far; update() takes in an analysis, count() what was sent since the last."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        """Know nothing."""
        self.bounds = bounds or Bounds()
        self.totals = Totals()
        self.attackers: dict[str, Attacker] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.findings: dict[int, Finding] = {}
        """The latest breaches and answered calls, by a hash of what they are."""
        self.suspicious = 0
        """Sources in the window that are suspicious."""
        self._sent = self._fresh = SENT.empty_table()
        self._seconds = 0.0
        self._names = 0
        self._told: dict[int, None] = {}
        """The hashes of findings that were told."""
        self._current: set[str] = set()
        """The campaigns of the last analysis."""

    # --- what was sent

    def count(self, sent: Sequence[pa.Table], seconds: float) -> None:
        """Add what was sent (as SENT) in so many seconds of our own time; settle() spreads it over the attackers."""
        self._fresh, self._seconds = add_up(sent), seconds
        self.totals.requests += pc.sum(self._fresh["requests"]).as_py() or 0
        if not len(self._fresh):
            return
        known = len(self._sent)
        self._sent = add_up([self._sent, self._fresh])
        self.totals.sources += len(self._sent) - known
        if len(self._sent) > self.bounds.sources:
            self._sent = self._silent_longest_forgotten()

    def _silent_longest_forgotten(self) -> pa.Table:
        kept = int(self.bounds.sources * 0.8)
        return self._sent.sort_by([("last", "descending")]).slice(0, kept).combine_chunks()

    def settle(self) -> None:
        """Bring what is known of attackers and campaigns up to date: their requests and rates."""
        if not self.attackers:
            return
        packed = pa.array([_packed(name) for name in self.attackers], SENT.field("source").type)
        sent, last = (_looked_up(self._sent, packed, column).tolist() for column in ("requests", "last"))
        now = _looked_up(self._fresh, packed, "requests").tolist()
        weight = exp(-self._seconds / SMOOTHING)
        for place, attacker in enumerate(self.attackers.values()):
            attacker.requests = sent[place] if attacker.rate < 0 else attacker.requests + now[place]
            attacker.last = max(attacker.last, last[place])
            rate = now[place] / max(self._seconds, SHORTEST)
            attacker.rate = rate if attacker.rate < 0 else attacker.rate * weight + rate * (1 - weight)
        self._count_campaigns()

    def _count_campaigns(self) -> None:
        """Add up what the attackers of each campaign sent."""
        for campaign in self.campaigns.values():
            campaign.members, campaign.requests, campaign.rate = 0, campaign.gone_requests, 0.0
        for attacker in self.attackers.values():
            if campaign_of := self.campaigns.get(attacker.campaign):
                campaign_of.members += 1
                campaign_of.requests += attacker.requests
                campaign_of.rate += attacker.rate
        for campaign in self.campaigns.values():
            campaign.sources = max(campaign.sources, campaign.members + campaign.gone)

    # --- what was found

    def update(self, analysis: "Analysis") -> list[Event]:
        """Take in an analysis of the window, and return what was not known before."""
        self.suspicious = int((analysis.sources["verdict"] == "suspicious").sum())
        self._campaigns(analysis.campaigns)
        about = _about(analysis)
        found = self._findings(analysis)
        busy = {event.source for event in found}
        events = self._attacks(analysis.attacks, about, busy)
        events += [*found, *self._withdrawn(analysis)]
        return sorted(events, key=_when)

    def _campaigns(self, campaigns: pd.DataFrame) -> None:
        self._current = set(campaigns["campaign"].astype("str"))
        renamed: dict[str, str] = {}
        for row in campaigns.to_dict("records"):
            name = str(row["campaign"])
            if name not in self.campaigns:
                if len(self.campaigns) >= self.bounds.campaigns:
                    self.totals.crowded = True
                    continue
                self.campaigns[name] = Campaign(name)
                self.totals.campaigns += 1
            for former in self._former(row["sources"]):
                self._absorb(self.campaigns[name], self.campaigns.pop(former))
                renamed[former] = name
            self._renew(self.campaigns[name], row)
        if renamed:
            for attacker in self.attackers.values():
                attacker.campaign = renamed.get(attacker.campaign, attacker.campaign)

    def _former(self, sources: Iterable[str]) -> list[str]:
        """Return the campaigns that no analysis finds under their id any more, and of which these are the half."""
        of = Counter(self.attackers[source].campaign for source in sources if source in self.attackers)
        return sorted(
            name
            for name, shared in of.items()
            if name in self.campaigns and name not in self._current and 2 * shared >= self.campaigns[name].members
        )

    def _absorb(self, campaign: Campaign, former: Campaign) -> None:
        """Let a campaign go on under the id that stronger evidence gave it."""
        self.totals.campaigns -= 1
        self._names -= former.names + campaign.names
        for name in ("tools", "targets", "accounts", "numbers", "breached", "answered"):
            getattr(campaign, name).update(getattr(former, name))
        self._names += campaign.names
        campaign.kinds = {**former.kinds, **campaign.kinds}
        campaign.start = _earlier(campaign.start, former.start)
        campaign.end = _later(campaign.end, former.end)
        campaign.outcome = max(campaign.outcome, former.outcome)
        campaign.sources = max(campaign.sources, former.sources)
        campaign.gone += former.gone
        campaign.gone_requests += former.gone_requests
        campaign.more |= former.more

    def _renew(self, campaign: Campaign, row: Mapping[Any, Any]) -> None:
        """Bring a campaign up to date: it only grows."""
        if len(row["sources"]) >= campaign.members or not campaign.title:
            campaign.title, campaign.reasons = str(row["title"]), list(row["reasons"])
        campaign.sources = max(campaign.sources, len(row["sources"]))
        campaign.kinds.update(dict.fromkeys(map(str, row["kinds"])))
        campaign.tools.update(row["tools"])
        campaign.breached.update(row["breached"])
        campaign.answered.update(row["answered"])
        for name in ("targets", "accounts", "numbers"):
            self._name(campaign, getattr(campaign, name), row[name])
        campaign.start, campaign.end = _earlier(campaign.start, row["start"]), _later(campaign.end, row["end"])
        campaign.outcome = max(campaign.outcome, OUTCOMES.index(str(row["outcome"])))
        campaign.confidence = max(campaign.confidence, float(row["confidence"]))

    def _name(self, campaign: Campaign, known: set[str], names: Sequence[str]) -> None:
        """Take in names as long as there is room for any."""
        before = len(known)
        if self._names + len(names) <= self.bounds.names:
            known.update(names)
        elif not known.issuperset(names):
            campaign.more = True
        self._names += len(known) - before

    def _attacks(self, attacks: pd.DataFrame, about: Mapping[str, Mapping[str, Any]], busy: set[str]) -> list[Event]:
        """Take in the attacks, and return those that are new, and those that came further, unless a finding says so."""
        events = []
        for row in attacks.to_dict("records"):
            source, kind, outcome = str(row["source"]), str(row["kind"]), OUTCOMES.index(str(row["outcome"]))
            attacker = self.attackers.get(source)
            if attacker is None:
                if len(self.attackers) >= self.bounds.attackers:
                    self.totals.crowded = True
                    continue
                attacker = self.attackers[source] = Attacker(source, str(row["campaign"]))
                self.totals.attackers += 1
            attacker.campaign = str(row["campaign"])
            for name, value in about.get(source, {}).items():
                setattr(attacker, name, _shared(value))
            before = attacker.reach(kind, outcome, row["tool"] if isinstance(row["tool"], str) else None)
            if before is None:
                events.append(self._event("attack", row, attacker))
            elif outcome > before and outcome >= TELLING and source not in busy:
                events.append(self._event("outcome", row, attacker))
        return events

    def _event(self, what: str, row: Mapping[Any, Any], attacker: Attacker) -> Event:
        campaign = self.campaigns.get(attacker.campaign)
        return Event(
            what=what,
            time=row["start"] if what == "attack" else row["end"],
            source=attacker.source,
            kind=str(row["kind"]),
            tool=row["tool"] if isinstance(row["tool"], str) else "",
            outcome=str(row["outcome"]),
            campaign=attacker.campaign,
            title=campaign.title if campaign else "",
            targets=len(row["targets"]),
            accounts=len(row["accounts"]),
            numbers=tuple(row["numbers"]),
            country=attacker.country,
            network=attacker.network,
            allowed=attacker.allowed,
            proven=attacker.proven,
        )

    def _findings(self, analysis: "Analysis") -> list[Event]:
        """Return the breaches and the answered calls that were not known before."""
        events = []
        found: list[Finding] = [*find_breaches(analysis), *find_answered_calls(analysis)]
        for finding in found:
            what = "breach" if isinstance(finding, Breach) else "answered"
            key = hash((what, finding.account if isinstance(finding, Breach) else finding.dialled, finding.source))
            if key not in self._told:
                self.totals.breaches += what == "breach"
                self.totals.answered += what == "answered"
                events.append(_told(what, finding))
            elif key not in self.findings or finding.packet != self.findings[key].packet:
                continue  # how long a call lasted is known when it ends
            self._told[key] = None
            self.findings[key] = finding
        _shorten(self.findings, self.bounds.findings)
        _shorten(self._told, self.bounds.sources)
        return events

    def _withdrawn(self, analysis: "Analysis") -> list[Event]:
        """Take back what an analysis that saw all that a source ever sent does not find, and tell it."""
        sources = analysis.sources
        cleared = sources[(sources["verdict"] != ATTACKING) & sources["source"].isin(list(self.attackers))]
        if cleared.empty:
            return []
        names = cleared["source"].astype("str").tolist()
        sent = _looked_up(self._sent, pa.array(map(_packed, names), SENT.field("source").type), "requests")
        events = []
        for name, seen, ever in zip(names, cleared["requests"].tolist(), sent.tolist(), strict=True):
            if seen >= max(ever, self.attackers[name].requests):
                events.append(self._withdraw(self.attackers.pop(name)))
        return events

    def _withdraw(self, attacker: Attacker) -> Event:
        self.totals.attackers -= 1
        campaign = self.campaigns.get(attacker.campaign)
        others = any(other.campaign == attacker.campaign for other in self.attackers.values())
        if campaign is not None and not others and not campaign.gone:
            self._names -= self.campaigns.pop(attacker.campaign).names
            self.totals.campaigns -= 1
        time = pd.Timestamp(attacker.last, tz="UTC") if attacker.last else None
        return Event(what="withdrawn", time=time, source=attacker.source, campaign=attacker.campaign)

    # --- what is forgotten

    def forget(self, now: pd.Timestamp | None, seen: Iterable[str]) -> None:
        """Forget what was silent for long, and of what there is no room for the longest silent; never what is seen."""
        kept = set(seen)
        since = (now - self.bounds.silence).value if now is not None else 0
        silent = sorted((one for one in self.attackers.values() if one.source not in kept), key=lambda one: one.last)
        most = self.bounds.attackers
        surplus = len(self.attackers) - int(0.8 * most) if len(self.attackers) >= most else 0
        for place, attacker in enumerate(silent):
            if place < surplus or attacker.last < since:
                self._forget_attacker(self.attackers.pop(attacker.source))
        self._forget_campaigns()

    def _forget_attacker(self, attacker: Attacker) -> None:
        if campaign := self.campaigns.get(attacker.campaign):
            campaign.gone += 1
            campaign.gone_requests += attacker.requests

    def _forget_campaigns(self) -> None:
        """Forget the campaigns of which all members are forgotten, and the longest silent of too many.

        What is in the window is not forgotten: it would be found again at once.
        """
        there = self._current | {attacker.campaign for attacker in self.attackers.values()}
        lost = [campaign for name, campaign in self.campaigns.items() if name not in there]
        surplus = len(self.campaigns) - len(lost) - int(0.8 * self.bounds.campaigns)
        if len(self.campaigns) >= self.bounds.campaigns and surplus > 0:
            silent = [one for name, one in self.campaigns.items() if name in there and name not in self._current]
            lost += sorted(silent, key=lambda one: one.end.value if one.end else 0)[:surplus]
        for campaign in lost:
            outcome = OUTCOMES[campaign.outcome]
            self.totals.outcomes[outcome] = self.totals.outcomes.get(outcome, 0) + 1
            self._names -= self.campaigns.pop(campaign.campaign).names
        gone = {campaign.campaign for campaign in lost}
        for source in [one.source for one in self.attackers.values() if one.campaign in gone]:
            del self.attackers[source]


def _when(event: Event) -> tuple[bool, pd.Timestamp]:
    known = event.time is not None and not pd.isna(event.time)
    return not known, event.time if known and event.time is not None else pd.Timestamp(0, tz="UTC")


def _shorten(known: dict[int, Any], most: int) -> None:
    """Let go of what is known longest, if there is more than there is room for."""
    for key in list(known)[: max(len(known) - most, 0)]:
        del known[key]


def _told(what: str, finding: Finding) -> Event:
    return Event(
        what=what, time=finding.time, source=finding.source, campaign=finding.campaign or "",
        outcome="breached" if what == "breach" else "answered", finding=finding,
    )  # fmt: skip


def _about(analysis: "Analysis") -> dict[str, dict[str, Any]]:
    """Return what the sources table says of each attacking source, by the names of Attacker."""
    sources = analysis.sources[analysis.sources["verdict"] == ATTACKING]
    columns = {
        "country": sources["country"], "network": sources["network"], "allowed": sources["allowed"],
    }  # fmt: skip
    told: dict[str, list[Any]] = {
        name: column.astype("str").where(column.notna(), "").tolist() for name, column in columns.items()
    }
    told["proven"] = sources["proven"].notna().tolist()
    rows = zip(*told.values(), strict=True)
    return dict(zip(sources["source"].astype("str"), (dict(zip(told, row, strict=True)) for row in rows), strict=True))


def _packed(source: str) -> bytes:
    """Return the 16 bytes of an address (IPv4 as ::ffff:a.b.c.d, RFC 4291 2.5.5.2)."""
    address = ipaddress.ip_address(source)
    return bytes(10) + b"\xff\xff" + address.packed if address.version == 4 else address.packed


def _looked_up(sent: pa.Table, sources: pa.Array, column: str) -> "NDArray[np.int64]":
    """Return a column of sent for each source, 0 for those that are not in it."""
    at = pc.index_in(sources, sent["source"])
    found: NDArray[np.int64] = pc.fill_null(sent[column].take(at), 0).to_numpy()
    return found


def _earlier(one: pd.Timestamp | None, other: pd.Timestamp | None) -> pd.Timestamp | None:
    times = [time for time in (one, other) if time is not None and not pd.isna(time)]
    return min(times, default=None)


def _later(one: pd.Timestamp | None, other: pd.Timestamp | None) -> pd.Timestamp | None:
    times = [time for time in (one, other) if time is not None and not pd.isna(time)]
    return max(times, default=None)
