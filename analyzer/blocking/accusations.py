"""What each accused source did, put together from its attacks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from analyzer.blocking.periods import Policy
from analyzer.evidence import REST
from analyzer.tables import OUTCOMES

if TYPE_CHECKING:
    from analyzer.analysis import Analysis

PACKETS = 4
"""Packet numbers that the words for an attack name."""
NUMBERS = 2
"""Numbers, accounts and User-Agents that the words for an attack name."""
FIELDS = (
    "kind", "source", "campaign", "tool", "start", "end", "accounts", "numbers", "outcome", "found", "breached",
    "answered", "confidence", "capture", "evidence",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Accusation:
    """Everything that one attacking source is accused of."""

    source: str
    kinds: tuple[str, ...]
    tools: tuple[str, ...]
    campaigns: tuple[str, ...]
    user_agents: tuple[str, ...]
    outcome: str
    confidence: float
    sure: bool
    allowed: str | None
    """The name by which the analysis knows it to be allowed."""
    first: datetime
    last: datetime
    visits: int
    """How often it came: attacks with a rest between them."""
    capture: str
    evidence: tuple[int, ...]
    """Packets, in that capture, of the attack that reached most."""
    accounts: frozenset[str]
    breached: frozenset[str]
    numbers: frozenset[str]
    answered: frozenset[str]
    why: str
    """In words; text from the wire is in it as it was sent."""


def accusations(analysis: "Analysis", policy: Policy) -> dict[str, Accusation]:
    """Return what each attacking source is accused of, by its address."""
    attacks, sources = analysis.attacks, analysis.sources
    attacking = sources[sources["verdict"] == "attacking"]
    if attacks.empty or attacking.empty:
        return {}
    sure = dict(zip(analysis.campaigns["campaign"], analysis.campaigns["confidence"], strict=True))
    theirs: dict[str, list[dict[str, Any]]] = {}
    for row in zip(*(attacks[name].tolist() for name in FIELDS), strict=True):
        attack = dict(zip(FIELDS, row, strict=True))
        own, joined = attack["confidence"], sure.get(attack["campaign"], 0.0)
        attack["confidence"] = max(0.0 if own != own else own, 0.0 if joined != joined else joined)  # noqa: PLR0124
        theirs.setdefault(str(attack["source"]), []).append(attack)
    facts = zip(
        attacking["source"].tolist(), attacking["user_agents"].tolist(), attacking["allowed"].tolist(), strict=True
    )
    return {
        source: _accusation(source, theirs[source], agents, allowed, policy)
        for source, agents, allowed in facts
        if source in theirs
    }


def _accusation(
    source: str, attacks: list[dict[str, Any]], agents: list[str], allowed: object, policy: Policy
) -> Accusation:
    worst = max(attacks, key=lambda attack: (OUTCOMES.index(_outcome(attack)), attack["confidence"]))
    confidence = max(attack["confidence"] for attack in attacks)

    def every(name: str) -> frozenset[str]:
        return frozenset(str(item) for attack in attacks for item in attack[name])

    return Accusation(
        source=source,
        kinds=_words(attack["kind"] for attack in attacks),
        tools=_words(attack["tool"] for attack in attacks),
        campaigns=_words(attack["campaign"] for attack in attacks),
        user_agents=tuple(agents),
        outcome=_outcome(worst),
        confidence=confidence,
        sure=confidence >= policy.sure,
        allowed=allowed if isinstance(allowed, str) else None,
        first=_time(min(attack["start"] for attack in attacks)),
        last=_time(max(attack["end"] for attack in attacks)),
        visits=_visits([(attack["start"], attack["end"]) for attack in attacks]),
        capture=str(worst["capture"]),
        evidence=tuple(worst["evidence"]),
        accounts=every("accounts") | every("found"),
        breached=every("breached"),
        numbers=every("numbers"),
        answered=every("answered"),
        why=_why(attacks, worst, agents),
    )


def _outcome(attack: dict[str, Any]) -> str:
    return attack["outcome"] if attack["outcome"] in OUTCOMES else OUTCOMES[0]


def _words(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str)))


def _time(value: Any) -> datetime:  # noqa: ANN401
    return value.to_pydatetime(warn=False)


def _visits(spans: list[tuple[Any, Any]]) -> int:
    """Return how many times a source came, with a rest between."""
    visits, until = 0, None
    for start, end in sorted(spans):
        if until is None or start - until > timedelta(seconds=REST.total_seconds()):
            visits += 1
        until = end if until is None else max(until, end)
    return visits


def _why(attacks: list[dict[str, Any]], worst: dict[str, Any], agents: list[str]) -> str:
    """Return what a source did: what and with what success, in which campaign, by which packets."""
    ranked = sorted(attacks, key=lambda attack: (-OUTCOMES.index(_outcome(attack)), -attack["confidence"]))
    done = dict.fromkeys(f"{attack['kind']} ({_outcome(attack)})" for attack in ranked)
    told = [", ".join(done)]
    if campaigns := _words(attack["campaign"] for attack in attacks):
        told.append(f"campaign {' '.join(campaigns)}")
    packets = " ".join(str(packet) for packet in worst["evidence"][:PACKETS])
    if packets:
        told.append(f"packets {packets} of {PurePath(str(worst['capture'])).name}")
    if tools := _words(attack["tool"] for attack in attacks):
        told.append(f"tool {' '.join(tools)}")
    for word, values in (
        ("broke into", worst["breached"]),
        ("wanted", worst["numbers"]),
        ("tried accounts", worst["accounts"]),
        ("calls itself", agents),
    ):
        if len(values):
            told.append(f"{word} {' '.join(str(value) for value in values[:NUMBERS])}")
    return "; ".join(told)
