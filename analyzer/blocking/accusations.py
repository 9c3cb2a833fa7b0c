"""What each accused source did, put together from its attacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
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
    """Everything that one attacking source is accused of; what is told of it is put together when it is asked for."""

    source: str
    attacks: Sequence[Mapping[str, Any]]
    """The rows of its attacks, FIELDS of each; their confidence is that of the campaign if that is higher."""
    user_agents: tuple[str, ...]
    allowed: str | None
    """The name by which the analysis knows it to be allowed."""
    least: float
    """The confidence from which on it is sure."""

    @cached_property
    def _worst(self) -> Mapping[str, Any]:
        return max(self.attacks, key=lambda attack: (OUTCOMES.index(_outcome(attack)), attack["confidence"]))

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its attacks."""
        return self._words("kind")

    @cached_property
    def tools(self) -> tuple[str, ...]:
        """The tools that it used."""
        return self._words("tool")

    @cached_property
    def campaigns(self) -> tuple[str, ...]:
        """The campaigns that it takes part in."""
        return self._words("campaign")

    @property
    def outcome(self) -> str:
        """The most that it reached."""
        return _outcome(self._worst)

    @cached_property
    def confidence(self) -> float:
        """The confidence of the surest of its attacks."""
        return max(attack["confidence"] for attack in self.attacks)

    @property
    def sure(self) -> bool:
        """Whether that is enough to block it."""
        return self.confidence >= self.least

    @cached_property
    def first(self) -> datetime:
        """When its first attack began."""
        return _time(min(attack["start"] for attack in self.attacks))

    @cached_property
    def last(self) -> datetime:
        """When its last attack ended."""
        return _time(max(attack["end"] for attack in self.attacks))

    @cached_property
    def visits(self) -> int:
        """How often it came: attacks with a rest between them."""
        return _visits([(attack["start"], attack["end"]) for attack in self.attacks])

    @property
    def capture(self) -> str:
        """The capture of the attack that reached most."""
        return str(self._worst["capture"])

    @property
    def evidence(self) -> tuple[int, ...]:
        """Packets, in that capture, of that attack."""
        return tuple(self._worst["evidence"])

    @cached_property
    def accounts(self) -> frozenset[str]:
        """The accounts that it tried or found."""
        return self._every("accounts") | self._every("found")

    @cached_property
    def breached(self) -> frozenset[str]:
        """The accounts that it broke into."""
        return self._every("breached")

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The numbers that it wanted."""
        return self._every("numbers")

    @cached_property
    def answered(self) -> frozenset[str]:
        """The numbers of its calls that were answered."""
        return self._every("answered")

    @property
    def why(self) -> str:
        """What it did, in words; text from the wire is in it as it was sent."""
        return _why(self)

    def _every(self, name: str) -> frozenset[str]:
        return frozenset(str(item) for attack in self.attacks for item in attack[name])

    def _words(self, name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(attack[name] for attack in self.attacks if isinstance(attack[name], str)))


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
        source: Accusation(
            source=source,
            attacks=theirs[source],
            user_agents=tuple(agents),
            allowed=allowed if isinstance(allowed, str) else None,
            least=policy.sure,
        )
        for source, agents, allowed in facts
        if source in theirs
    }


def _outcome(attack: Mapping[str, Any]) -> str:
    return attack["outcome"] if attack["outcome"] in OUTCOMES else OUTCOMES[0]


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


def _why(accusation: Accusation) -> str:
    """Return what a source did: what and with what success, in which campaign, by which packets."""
    ranked = sorted(accusation.attacks, key=lambda attack: (-OUTCOMES.index(_outcome(attack)), -attack["confidence"]))
    worst = ranked[0]
    told = [", ".join(dict.fromkeys(f"{attack['kind']} ({_outcome(attack)})" for attack in ranked))]
    if accusation.campaigns:
        told.append(f"campaign {' '.join(accusation.campaigns)}")
    packets = " ".join(str(packet) for packet in accusation.evidence[:PACKETS])
    if packets:
        told.append(f"packets {packets} of {PurePath(accusation.capture).name}")
    if accusation.tools:
        told.append(f"tool {' '.join(accusation.tools)}")
    for word, values in (
        ("broke into", worst["breached"]),
        ("wanted", worst["numbers"]),
        ("tried accounts", worst["accounts"]),
        ("calls itself", accusation.user_agents),
    ):
        if len(values):
            told.append(f"{word} {' '.join(str(value) for value in values[:NUMBERS])}")
    return "; ".join(told)
