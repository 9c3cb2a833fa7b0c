"""One card per campaign: who, since when, what they wanted, whether they got in, and why we say so."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

import pandas as pd

from analyzer.reports.answer import seen_before, short_names, worst_first
from analyzer.reports.phone import describe_number
from analyzer.reports.sequence import Phase, Sequence, phases, sequences
from analyzer.reports.words import count, few, listed, quoted, span

if TYPE_CHECKING:
    from analyzer.analysis import Analysis

NAMES = 8
"""Sources, targets, accounts and numbers that a card names."""
PAIRS = 5
PROOFS = 6
"""Packets that a card names for each attack."""
ATTACKS = 6
REASONS = 8


@dataclass(frozen=True)
class Fact:
    """What a card says about one thing."""

    name: str
    items: list[str]
    wide: bool = False


@dataclass(frozen=True)
class Card:
    """What a report shows of one campaign."""

    id: str
    title: str
    outcome: str
    colour: str
    facts: list[Fact]
    phases: list[Phase]
    sequence: Sequence | None


def campaign_cards(
    campaigns: pd.DataFrame, attacks: pd.DataFrame, analysis: "Analysis", colours: dict[str, str]
) -> list[Card]:
    """Return a card for each campaign, worst first."""
    sources = analysis.sources.set_index(analysis.sources["source"].astype("str"))
    proven = set(sources.index[sources["proven"].notna()])
    names = short_names(analysis.captures["capture"].astype("str"))
    shown = attacks[attacks["campaign"].astype("str").isin(campaigns["campaign"].astype("str"))]
    by_campaign = dict(iter(shown.groupby(shown["campaign"].astype("str"))))
    drawn = sequences(shown, analysis, names) if len(shown) else {}
    return [
        Card(
            id=str(campaign["campaign"]),
            title=str(campaign["title"]),
            outcome=campaign["outcome"] if isinstance(campaign["outcome"], str) else "",
            colour=colours.get(str(campaign["campaign"]), ""),
            facts=_facts(campaign, by_campaign.get(str(campaign["campaign"]), attacks.iloc[:0]), proven, names),
            phases=phases(by_campaign.get(str(campaign["campaign"]), attacks.iloc[:0])),
            sequence=drawn.get(str(campaign["campaign"])),
        )
        for _, campaign in worst_first(campaigns).iterrows()
    ]


def _facts(campaign: "pd.Series", attacks: pd.DataFrame, proven: set[str], names: dict[str, str]) -> list[Fact]:
    """Return what is known of a campaign; what is not known is left out."""
    lasted = pd.Series([campaign["start"], campaign["end"]])
    requests = f"{count(campaign['messages'], 'request')} of {count(len(attacks), 'attack')}"
    facts = [
        Fact("Who", [_who(campaign["sources"], proven)]),
        Fact("When", [span(*lasted) if lasted.notna().all() else "", seen_before(campaign), requests]),
        Fact("With what", [listed(map(quoted, campaign["tools"]), NAMES), _sure(campaign["confidence"])]),
        Fact("Against whom", [_some(campaign["targets"], "target")]),
        Fact("What they wanted", _wanted(campaign)),
        Fact("What they got", _got(campaign)),
        Fact("Why we say that this is one campaign", _few(campaign["reasons"], REASONS), wide=True),
        Fact("Decisive packets", _proofs(attacks, names), wide=True),
    ]
    kept = [Fact(fact.name, [item for item in fact.items if item], fact.wide) for fact in facts]
    return [fact for fact in kept if fact.items]


def _who(sources: list[str], proven: set[str]) -> str:
    shown = ", ".join(f"{quoted(source)}{' (proven)' if source in proven else ''}" for source in sources[:NAMES])
    more = f" and {len(sources) - NAMES:,} more" if len(sources) > NAMES else ""
    return f"{count(len(sources), 'source')}: {shown}{more}" if shown else ""


def _sure(confidence: object) -> str:
    return f"{confidence:.0%} sure" if isinstance(confidence, float) and not isnan(confidence) else ""


def _some(values: list[str], what: str) -> str:
    return f"{count(len(values), what)}: {few(values, NAMES, of=len(values))}" if values else ""


def _wanted(campaign: "pd.Series") -> list[str]:
    numbers = [str(describe_number(str(number))) for number in campaign["numbers"][:NAMES]]
    more = len(campaign["numbers"]) - NAMES
    return [
        f"calls to {'; '.join(numbers)}{f' and {more:,} more numbers' if more > 0 else ''}" if numbers else "",
        f"prefixes tried: {listed(map(quoted, campaign['prefixes']), 2 * NAMES)}" if campaign["prefixes"] else "",
        _some(campaign["accounts"], "account"),
        f"passwords guessed: {listed(map(quoted, campaign['passwords']), PAIRS)}" if campaign["passwords"] else "",
    ]


def _got(campaign: "pd.Series") -> list[str]:
    calls = [quoted(number) for number in campaign["answered"]]
    got = [
        f"took over {_some(campaign['breached'], 'account')}" if campaign["breached"] else "",
        f"calls answered, as dialled: {listed(calls, NAMES)}" if calls else "",
        f"learnt that these accounts exist: {listed(map(quoted, campaign['found']), NAMES)}"
        if campaign["found"]
        else "",
    ]
    return got if any(got) else ["nothing that the captures show"]


def _few(items: Iterable[str], limit: int) -> list[str]:
    every = [str(item) for item in items]
    return every[:limit] + ([f"and {len(every) - limit:,} more"] if len(every) > limit else [])


def _proofs(attacks: pd.DataFrame, names: dict[str, str]) -> list[str]:
    """Return, for the worst attacks, the packets that prove them."""
    told = []
    for _, attack in worst_first(attacks, ATTACKS).iterrows():
        packets = proofs(attack)
        if packets:
            capture = attack["capture"]
            where = f" of {quoted(names.get(capture, capture))}" if isinstance(capture, str) else ""
            source = quoted(attack["source"])
            told.append(f"{kind_in_words(attack['kind'])} by {source}: {listed(packets, PROOFS)}{where}")
    more = len(attacks) - ATTACKS
    return [*told, f"and {count(more, 'more attack')}, see attacks.csv"] if told and more > 0 else told


def kind_in_words(kind: object) -> str:
    """Return 'password guessing' for password-guessing, and 'known tool' for tool."""
    return "known tool" if kind == "tool" else quoted(kind).replace("-", " ")


def proofs(attack: "pd.Series") -> list[str]:
    """Return the packets that prove an attack, the decisive one first."""
    packets = [] if pd.isna(attack["decisive"]) else [attack["decisive"]]
    shown = [f"{packet:,}" if isinstance(packet, int) else quoted(packet) for packet in [*packets, *attack["evidence"]]]
    return list(dict.fromkeys(shown))
