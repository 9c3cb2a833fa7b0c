"""The answer in plain words: who, as which campaign, did anyone get in, whom may we block.

Every report begins with it. It is worked out once, here, so that the terminal, HTML and JSON say the same.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.blocking import judge
from analyzer.exports.escape import escape
from analyzer.exports.secrets import mask
from analyzer.reports.blocking import block_command, by_addresses, tell_held, these
from analyzer.reports.findings import AnsweredCall, Breach, find_answered_calls, find_breaches
from analyzer.reports.phone import Number, describe_number
from analyzer.reports.settings import Used, settings_in_words
from analyzer.reports.words import Clock, account, count, lasted, listed, quoted, silent, span, within
from analyzer.strays import KNOCKS, SAID, Prober, find_probers
from analyzer.tables import OUTCOMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.analysis import Analysis
    from analyzer.blocking import Judgement

CAMPAIGNS = 10
"""Campaigns that the answer names."""
FINDINGS = 10
"""Breaches, and answered calls, that the answer names."""
REASONS = 4
"""Reasons for joining a campaign that the answer names."""
NAMES = 5
"""Accounts, numbers and kinds of anomalies that a sentence names."""
TITLE = 160
"""Characters of a campaign's title."""
MAY_BLOCK = "{are} proven by a reply and may be blocked for a time"
DETAIL = 300
"""Characters of what is told of an anomaly."""
HEARD = {"two-way": ", two-way audio seen", "one-way": ", audio seen in one direction only", "none": ", no audio seen"}
"""What is said of the audio of a call."""
LABELS = {
    "warning": "WARNING", "breach": "BREACH", "answered": "ANSWERED", "advice": "DO NOW", "fates": "PACKETS",
    "settings": "SETTINGS",
}  # fmt: skip
"""The word before a line, by the line's role."""


@dataclass(frozen=True)
class Line:
    """One line of the answer."""

    role: str
    """headline, warning, breach, answered, verdict, campaign, reasons, more, strays, advice, fates, settings or
    report."""
    text: str
    cells: tuple[str, ...] = ()
    """Of a campaign: id, title, sources, time span, targets and outcome; joined, they are the text."""

    @property
    def label(self) -> str:
        """The word that stands before the text, if any."""
        return LABELS.get(self.role, "")


@dataclass(frozen=True)
class Answer:
    """The lines of an answer, in their order."""

    lines: tuple[Line, ...]
    breaches: tuple[Breach, ...] = ()
    calls: tuple[AnsweredCall, ...] = ()
    settings: tuple[Used, ...] = ()
    """With what settings the analysis was made."""

    def of(self, *roles: str) -> list[Line]:
        """Return the lines that have one of these roles."""
        return [line for line in self.lines if line.role in roles]

    def reported(self, report: Path | None) -> "Answer":
        """Return the answer with a line that says where the full report lies, if anywhere."""
        if report is None:
            return self
        return replace(self, lines=(*self.lines, Line("report", f"Report: {escape(str(report))}")))

    @property
    def text(self) -> str:
        """The answer as plain text, one line per line."""
        return "\n".join(f"{line.label}  {line.text}" if line.label else line.text for line in self.lines)


def answer(
    analysis: "Analysis", *, report: Path | None = None, show_secrets: bool = False, now: datetime | None = None
) -> Answer:
    """Return the answer that the tables of an analysis give; report is where the full one lies.

    Passwords that were found are masked unless show_secrets is true. Whom to block is decided as of now, a time with a
    zone; by the clock without.
    """
    return _Narrator(analysis, show_secrets=show_secrets, now=now).tell().reported(report)


def worst_first(campaigns: pd.DataFrame, most: int | None = None) -> pd.DataFrame:
    """Return campaigns, or attacks: those with the worst outcome first, then those with most messages; at most so many.

    >>> worst_first(pd.DataFrame({"outcome": ["replied", "breached"], "messages": [9, 1]}))["messages"].tolist()
    [1, 9]
    """
    order = np.lexsort((-campaigns["messages"].to_numpy(np.int64), -rank_outcomes(campaigns)))[:most]
    return campaigns.iloc[order].reset_index(drop=True)


def rank_outcomes(campaigns: pd.DataFrame) -> "NDArray[np.int64]":
    """Return how bad the outcomes of campaigns, or of attacks, are: places in OUTCOMES, -1 where none is known."""
    return pd.Index(OUTCOMES).get_indexer(pd.Index(campaigns["outcome"].astype("str")))


def seen_before(campaign: "pd.Series") -> str:
    """Return 'new in this period', 'continuing, first seen …' or 'returned after …'; nothing if that is not known."""
    state = campaign.get("state")
    if not isinstance(state, str) or state == "new":
        return "new in this period" if state == "new" else ""
    after = f" after {silent(campaign['silence'])}" if state == "returned" else ""
    return f"{quoted(state)}{after}, first seen {campaign['first_seen']:%Y-%m-%d %H:%M} UTC"


def short_names(captures: Iterable[str]) -> dict[str, str]:
    """Return the name of each capture, without its folder where no other has that name."""
    bare = {capture: PurePath(capture).name or capture for capture in captures}
    often = Counter(bare.values())
    return {capture: name if often[name] == 1 else capture for capture, name in bare.items()}


class _Narrator:
    """Tells one analysis; what several sentences need is worked out once."""

    def __init__(self, analysis: "Analysis", *, show_secrets: bool, now: datetime | None) -> None:
        self.analysis = analysis
        self.now = now
        self.show_secrets = show_secrets
        self.captures = analysis.captures
        self.attackers = analysis.sources[analysis.sources["verdict"] == "attacking"]

    def tell(self) -> Answer:
        lines = [Line("headline", self.headline()), *self.warnings()]
        if len(self.analysis.attacks) or len(self.analysis.campaigns):
            lines += [*self.breached(), *self.answered(), Line("verdict", self.verdict()), *self.campaigns()]
            lines += [*self.probers("beside them, "), *self.advice()]
        else:
            lines += [Line("verdict", self.nothing()), *self.probers()]
        lines += [*self.fates(), *self.settings()]
        return Answer(tuple(lines), tuple(self.breaches), tuple(self.calls), settings=self.used)

    # --- what was read

    @cached_property
    def period(self) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
        """When the first and the last packet were captured."""
        times = pd.concat([self.captures["start"], self.captures["end"]]).dropna()
        if times.empty:
            times = self.analysis.messages["time"].dropna()
        return (None, None) if times.empty else (times.min(), times.max())

    @cached_property
    def clock(self) -> Clock:
        return Clock([time for time in self.period if time is not None])

    def name(self, capture: str) -> str:
        """Return the name of a capture, without its folder where that is enough to know it."""
        return quoted(self._names.get(capture, capture))

    @cached_property
    def _names(self) -> dict[str, str]:
        return short_names(self.captures["capture"].astype("str"))

    @cached_property
    def packets(self) -> int:
        return int(self.captures["packets"].sum())

    def headline(self) -> str:
        asked = self.analysis.period
        before = f"{within(asked.since, asked.until)}: " if asked else ""
        if asked and self.captures.empty:
            return f"{before}no captures"
        messages = count(len(self.analysis.messages), "SIP message")
        read = [count(len(self.captures), "capture"), count(self.packets, "packet"), messages]
        read += [] if asked else [span(*self.period)]
        lost = [self.drops(), count(len(self.analysis.anomalies), "anomaly", "anomalies")]
        return f"{before}{', '.join(part for part in read if part)}; {', '.join(part for part in lost if part)}"

    def drops(self) -> str:
        known = self.captures["dropped"].dropna()
        dropped = int(known.sum())
        if len(known) == len(self.captures) and len(known):
            return f"{dropped:,} dropped" if dropped else "none dropped"
        return f"at least {dropped:,} dropped" if dropped else "drops unknown"

    def warnings(self) -> list[Line]:
        """Tell what is wrong with a capture as a whole, and how many packets could not be read."""
        anomalies = self.analysis.anomalies
        whole = anomalies[(anomalies["packet"] == 0) & ~anomalies["reason"].isin(self.by_reason("unreadable"))]
        details = whole["detail"].fillna(whole["reason"].astype("str"))
        told = [
            f"{self.name(str(capture))}: {escape(str(detail), limit=DETAIL)}"
            for capture, detail in zip(whole["capture"].head(NAMES), details.head(NAMES), strict=True)
        ]
        if len(whole) > NAMES:
            told.append(f"{len(whole) - NAMES:,} more captures are not whole, see the anomalies")
        told += self.unread()
        return [Line("warning", text) for text in told]

    def unread(self) -> list[str]:
        unreadable = self.by_reason("unreadable")
        accounted = int(self.analysis.fates["packets"].sum())
        told = []
        if unreadable:
            total = sum(unreadable.values())
            told.append(f"{total:,} of {count(self.packets, 'packet')} could not be read: {_reasons(unreadable)}")
        if accounted != self.packets:
            told.append(f"what became of {abs(self.packets - accounted):,} packets is not known; please report this")
        return told

    def by_reason(self, fate: str) -> Counter[str]:
        """Return the packets of this fate by reason, most first."""
        rows = self.analysis.fates[self.analysis.fates["fate"] == fate]
        counts: Counter[str] = Counter()
        for reason, packets in zip(rows["reason"].astype("str"), rows["packets"], strict=True):
            if packets:
                counts[reason] += int(packets)
        return counts

    def fates(self) -> list[Line]:
        aside = self.by_reason("set-aside")
        carrying = sum(self.by_reason("message").values())
        unreadable = sum(self.by_reason("unreadable").values())
        told = [f"{carrying:,} carry SIP"]
        if aside:
            told.append(f"set aside: {_reasons(aside)}")
        if unreadable:
            told.append(f"{unreadable:,} unreadable")
        reasons = Counter(self.analysis.anomalies["reason"].dropna().astype("str"))
        if reasons:
            told.append(f"anomalies: {_reasons(reasons)}")
        told += self.beyond()
        return [Line("fates", "; ".join(told))] if self.packets else []

    @cached_property
    def used(self) -> tuple[Used, ...]:
        return settings_in_words(self.analysis)

    def settings(self) -> list[Line]:
        """Tell what bears on the answer and is not as it is without being asked."""
        told = [f"{used.name} {used.value}" for used in self.used if used.differs]
        return [Line("settings", "; ".join(told))] if told else []

    def beyond(self) -> list[str]:
        """Tell of captures of which the period has a part only."""
        asked = self.analysis.period
        if asked is None:
            return []
        reaching = pd.Series(data=False, index=self.captures.index)
        if asked.since is not None:
            reaching |= self.captures["start"] < asked.since
        if asked.until is not None:
            reaching |= self.captures["end"] >= asked.until
        several = int(reaching.sum())
        if not several:
            return []
        who = "1 capture reaches" if several == 1 else f"{several:,} captures reach"
        return [f"{who} beyond the period, with all packets counted here"]

    def nothing(self) -> str:
        messages = len(self.analysis.messages)
        if self.analysis.period and self.captures.empty:
            return "Nothing is known of this period: no capture in the store has a part in it"
        if not messages:
            captures = "this capture" if len(self.captures) == 1 else "these captures"
            return f"No SIP in {captures}: {self._without_sip()}"
        sources = self.analysis.sources
        told = f"{count(messages, 'message')} from {count(len(sources), 'source')}"
        suspicious = int((sources["verdict"] == "suspicious").sum())
        if suspicious:
            return f"No attack was found: {told}, {suspicious:,} of them suspicious, see the report"
        return f"No attack was found: {told}, none of them suspicious"

    def _without_sip(self) -> str:
        aside = self.by_reason("set-aside") + self.by_reason("unreadable")
        if len(aside) == 1:
            return f"{count(self.packets, 'packet')}, all {_plain(next(iter(aside)))}"
        return f"{count(self.packets, 'packet')}{f', {_reasons(aside)}' if aside else ''}"

    # --- what attackers got

    @cached_property
    def breaches(self) -> list[Breach]:
        return find_breaches(self.analysis)

    @cached_property
    def calls(self) -> list[AnsweredCall]:
        return find_answered_calls(self.analysis)

    def breached(self) -> list[Line]:
        told = [Line("breach", self._breach(breach)) for breach in self.breaches[:FINDINGS]]
        more = len(self.breaches) - FINDINGS
        return [*told, Line("breach", f"and {count(more, 'more account')}, see the report")] if more > 0 else told

    def answered(self) -> list[Line]:
        told = [Line("answered", self._call(call)) for call in self.calls[:FINDINGS]]
        more = len(self.calls) - FINDINGS
        return [*told, Line("answered", f"and calls to {more:,} more, see the report")] if more > 0 else told

    def _breach(self, breach: Breach) -> str:
        when = f" at {self.clock.at(breach.time)}" if breach.time is not None else ""
        after = ""
        if breach.guesses is not None:
            after = f", after {breach.guesses:,} passwords" if breach.guesses > 1 else ", with the first password"
        right = ""
        if breach.password is not None:
            right = f", the right one {quoted(breach.password if self.show_secrets else mask(breach.password))}"
        where = self._where(breach.capture, breach.packet)
        return f"{account(breach.account)} was taken over by {quoted(breach.source)}{when}{after}{right}{where}"

    def _call(self, call: AnsweredCall) -> str:
        number = describe_number(call.wanted or call.dialled)
        dialled = "" if call.wanted in (None, call.dialled) else f", dialled {quoted(call.dialled)},"
        when = f" at {self.clock.at(call.time)}" if call.time is not None else ""
        talked = f" and talked {lasted(call.talked)}" if call.talked is not None else ""
        talked += HEARD.get(call.audio or "", "")
        again = f", the first of {call.times:,}" if call.times > 1 else ""
        where = self._where(call.capture, call.packet)
        return f"a call to {number}{dialled} from {quoted(call.source)} was answered{when}{talked}{again}{where}"

    def _where(self, capture: str | None, packet: int | None) -> str:
        return "" if packet is None else f" ({self._packet(capture, packet)})"

    def _packet(self, capture: str | None, packet: int) -> str:
        of_which = f" of {self.name(capture)}" if capture and len(self.captures) > 1 else ""
        return f"packet {packet:,}{of_which}"

    # --- who they are

    def verdict(self) -> str:
        campaigns, sources = self.analysis.campaigns, self.analysis.sources
        busy = {source for members in campaigns["sources"] for source in members}
        if len(campaigns):
            told = f"{count(len(campaigns), 'campaign')} from {count(len(busy), 'source')}"
        else:
            busy = set(self.analysis.attacks["source"].astype("str"))
            told = f"{count(len(self.analysis.attacks), 'attack')} from {count(len(busy), 'source')}, in no campaign"
        rest = Counter(sources.loc[~sources["source"].isin(busy), "verdict"].astype("str"))
        others = _others(rest)
        return f"{told}; {others}" if others else told

    def campaigns(self) -> list[Line]:
        lines = []
        campaigns = worst_first(self.analysis.campaigns)
        for _, campaign in campaigns.head(CAMPAIGNS).iterrows():
            cells = self._campaign(campaign)
            lines.append(Line("campaign", "  ".join(cell for cell in cells if cell), cells))
            lines += self.seen(campaign)
            reasons = [escape(str(reason), limit=TITLE) for reason in campaign["reasons"]]
            if reasons and len(campaign["sources"]) > 1:
                more = f"; and {len(reasons) - REASONS:,} more" if len(reasons) > REASONS else ""
                lines.append(Line("reasons", f"joined by: {'; '.join(reasons[:REASONS])}{more}"))
        if len(campaigns) > CAMPAIGNS:
            lines.append(Line("more", f"and {len(campaigns) - CAMPAIGNS:,} more, see the report"))
        return lines

    @staticmethod
    def seen(campaign: "pd.Series") -> list[Line]:
        """Tell of a campaign of a period whether it was seen before."""
        told = seen_before(campaign)
        return [Line("reasons", told)] if told else []

    def _campaign(self, campaign: "pd.Series") -> tuple[str, ...]:
        return (
            quoted(campaign["campaign"]),
            escape(str(campaign["title"]), limit=TITLE),
            count(len(campaign["sources"]), "source"),
            self.clock.between(campaign["start"], campaign["end"]),
            count(len(campaign["targets"]), "target"),
            quoted(campaign["outcome"]),
        )

    def probers(self, beside: str = "") -> list[Line]:
        """Tell who looked for SIP without sending any, and how many packets are known by their number alone."""
        strays = self.analysis.strays
        told = [self._prober(prober) for prober in self._probers]
        text = []
        if told:
            sent = {kind for prober in self._probers for kind in prober.kinds}
            how = ", ".join(SAID[kind] for kind in KNOCKS if kind in sent)
            who = count(len(told), "source")
            text.append(f"{beside}{who} probed SIP ports without SIP ({how}): {listed(told, NAMES)}")
        more = int(strays.loc[strays["source"].isna(), "packets"].sum())
        if more:
            text.append(f"{count(more, 'packet')} without SIP came from more sources than are told apart: a flood")
        return [Line("strays", part) for part in text]

    def _prober(self, prober: Prober) -> str:
        """Return '203.0.113.9 (254 targets, 3 of them open, also TCP 1720 (H.323), packet 12)'."""
        facts = [count(prober.targets, "target")]
        facts += [f"{prober.opened:,} of them open"] if prober.opened else []
        facts += [f"also {SAID['h323']}"] if prober.h323 else []
        return f"{quoted(prober.source)} ({', '.join([*facts, self._packet(prober.capture, prober.packet)])})"

    @cached_property
    def _probers(self) -> list[Prober]:
        return find_probers(self.analysis.strays, self.analysis.messages["source"].dropna().unique())

    # --- what to do

    def advice(self) -> list[Line]:
        told = []
        accounts = list(dict.fromkeys(account(breach.account) for breach in self.breaches))
        if accounts:
            told.append(f"change the password of {listed(accounts, NAMES)}, and end the registrations made with it")
        numbers = list(dict.fromkeys(str(_number(call)) for call in self.calls))
        if numbers:
            told.append(f"bar calls to {listed(numbers, NAMES)}, and ask your carrier what was charged")
        return [Line("advice", text) for text in [*told, *self.blocking()]]

    @cached_property
    def judgement(self) -> "Judgement":
        """Whom `sipscope block` would block now, and whom it holds back."""
        return judge(self.analysis, now=self.now)

    def blocking(self) -> list[str]:
        blocked = by_addresses(self.judgement.blocked)
        told = [these(blocked, MAY_BLOCK), f"write a block-list: {block_command(self.analysis)}"] if blocked else []
        return [*told, *tell_held(self.judgement)]


def _number(call: AnsweredCall) -> Number:
    return describe_number(call.wanted or call.dialled)


def _others(verdicts: Counter[str]) -> str:
    """Return '22 other sources look innocent, 1 suspicious'."""
    told: list[str] = []
    for verdict in ("innocent", "suspicious", "attacking"):
        number = verdicts[verdict]
        if number and told:
            told.append(f"{number:,} {verdict}")
        elif number:
            told.append(f"{count(number, 'other source')} {'looks' if number == 1 else 'look'} {verdict}")
    return ", ".join(told)


def _plain(reason: str) -> str:
    return quoted(reason).replace("-", " ")


def _reasons(counts: Counter[str]) -> str:
    return listed(
        [f"{number:,} {_plain(reason)}" for reason, number in counts.most_common()], NAMES, more="other reasons"
    )
