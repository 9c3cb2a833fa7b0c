"""Whom to block, why and until when; and who is accused but held back.

A wrong block cuts off a customer, so whoever may be innocent is held back, and said:

- **allow-listed**: the user knows it to be good.
- **own server**: it is attacked, it challenges or registers others, or it answers what strangers to the attack ask.
- **private or reserved**: of no use, or of harm, on a firewall (RFC 6890).
- **shared with innocent phones**: telephones register, call or are called at the same address (NAT).
- **not sure enough**: no finding on it is sure.
- **spoofable**: the attack itself shows no step that depends on a reply. What else came from an address proves
  nothing about the attack: anybody can forge the address of a telephone that is known to be real.
- **over**: its time has ended.

An address is blocked until a time after its last attack (Policy), because addresses change hands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from analyzer.addresses import Network
from analyzer.allow import AllowList
from analyzer.blocking.accusations import Accusation, accusations
from analyzer.blocking.circumstances import Circumstances, circumstances
from analyzer.blocking.networks import as_network, reservation, summarise
from analyzer.blocking.periods import Policy
from analyzer.tables import BLOCKS, HELD, OUTCOMES

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.analysis import Analysis

__all__ = ["Blocks", "Judgement", "Policy", "find_blocks", "judge"]

ALLOWED, OWN, RESERVED = "allow-listed", "own server", "private or reserved"
SHARED, UNSURE, SPOOFABLE, OVER = "shared with innocent phones", "not sure enough", "spoofable", "over"
REASONS = (ALLOWED, OWN, RESERVED, SHARED, UNSURE, SPOOFABLE, OVER)
"""Why an accused source is held back; of several reasons the first is said."""
HARMLESS = (UNSURE, OVER)
"""The reasons that do not keep a network from being blocked: it is no innocent who is held back by them."""

NAMES = 3
"""Allowed addresses that are named as what saved a network."""

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Whom to block, and who is accused but held back, source by source."""

    blocked: tuple[str, ...]
    """The sources to be blocked, alone or in a network; in the order of the analysis."""
    held: Mapping[str, str]
    """The reason, of REASONS, for which each other accused source is held back."""


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """The decision: whom to block (analyzer.tables.BLOCKS), who was held back (HELD), and as of when."""

    entries: "pd.DataFrame"
    held: "pd.DataFrame"
    now: datetime

    @property
    def networks(self) -> list[Network]:
        """What is to be blocked, in the order of the entries."""
        return [as_network(entry) for entry in self.entries["entry"]]


def find_blocks(
    analysis: "Analysis",
    *,
    policy: Policy | None = None,
    allow: AllowList | None = None,
    now: datetime | None = None,
) -> Blocks:
    """Return whom to block by an analysis, and who is held back.

    Args:
        analysis: what captures were analysed to.
        policy: whom to block and for how long; the defaults without.
        allow: the known-good addresses; they win always, also over networks that hold one of them.
        now: the time (with a zone) at which the block-list is made; the clock's without.
    """
    return _Decision(analysis, policy or Policy(), allow or AllowList(), now or datetime.now(UTC)).blocks()


def judge(analysis: "Analysis", *, now: datetime | None = None) -> Judgement:
    """Return what find_blocks() decides by default of each source, without networks and particulars: in less time."""
    return _Decision(analysis, Policy(), AllowList(), now or datetime.now(UTC)).judgement()


class _Decision:
    """One block-list in the making."""

    def __init__(self, analysis: "Analysis", policy: Policy, allow: AllowList, now: datetime) -> None:
        self.analysis, self.policy, self.allow, self.now = analysis, policy, allow, now
        self.accused = accusations(analysis, policy)
        self.seen: Circumstances = circumstances(analysis, self.accused)
        self.names = dict(zip(self.accused, allow.names(self.accused), strict=True))
        self.chosen: dict[str, Accusation] = {}
        self.held: dict[str, tuple[str, str]] = {}
        """Why a source is held back, and the particulars."""
        for source, accusation in self.accused.items():
            if kept := next(self._objections(accusation), None):
                self.held[source] = kept
            else:
                self.chosen[source] = accusation

    def judgement(self) -> Judgement:
        return Judgement(blocked=tuple(self.chosen), held={source: reason for source, (reason, _) in self.held.items()})

    def blocks(self) -> Blocks:
        import pandas as pd

        entries, saved = self._entries()
        alone = [
            self._row(source, [self.accused[source]], reason=reason, detail=detail)
            for source, (reason, detail) in self.held.items()
        ]
        held = alone + saved
        held.sort(key=lambda row: (REASONS.index(row["reason"]), by_address(row["entry"])))
        return Blocks(
            entries=BLOCKS.conform(pd.DataFrame(entries)) if entries else BLOCKS.empty(),
            held=HELD.conform(pd.DataFrame(held)) if held else HELD.empty(),
            now=self.now,
        )

    def _objections(self, accusation: Accusation) -> Iterator[tuple[str, str]]:
        """Yield why a source is held back, and the particulars, in the order of REASONS; nothing if it is not."""
        source, seen = accusation.source, self.seen
        if name := self.names.get(source) or accusation.allowed:
            yield ALLOWED, f"known as {name}"
        if server := seen.servers.get(source):
            yield OWN, server
        if reserved := reservation(source, private=self.policy.private):
            yield RESERVED, reserved
        if phones := seen.telephones.get(source):
            yield SHARED, phones
        if not accusation.sure:
            yield UNSURE, f"confidence {accusation.confidence:.2f}"
        if source not in seen.proofs and not self.policy.spoofable:
            yield SPOOFABLE, "no step of the attack depended on a reply, so anybody may have sent it"
        until = self.policy.until(accusation, self.now)
        if until <= self.now:
            yield OVER, f"ended {until:%Y-%m-%d %H:%M} UTC"

    def _entries(self) -> tuple[list[Row], list[Row]]:
        """Return what is blocked, and the networks that are not, for the sake of an allowed address."""
        networks = {as_network(source): source for source in self.chosen}
        if self.policy.aggregate:
            grouped, saved = summarise(networks, self._others, self.allow, private=self.policy.private)
        else:
            grouped, saved = {network: [network] for network in networks}, {}
        spared = []
        for network, members in saved.items():
            names = ", ".join(entry.name for entry in self.allow.overlapping(network)[:NAMES])
            whole = f"holds {names}; its {len(members):,} attackers are blocked one by one"
            theirs = [self.chosen[networks[member]] for member in members]
            spared.append(self._row(str(network), theirs, reason=ALLOWED, detail=whole))
        rows = []
        for network in sorted(grouped, key=lambda network: (network.version, network)):
            accused = [self.chosen[networks[member]] for member in grouped[network]]
            until = min(self.policy.until(accusation, self.now) for accusation in accused)
            rows.append(self._row(_text(network), accused, until=until))
        return rows, spared

    def _others(self) -> dict[str, bool]:
        """Return every other address that was seen, and whether it may be innocent."""
        others = dict.fromkeys(self.seen.addresses(), True)
        sources = self.analysis.sources
        others |= {str(source): verdict != "suspicious" for source, verdict in
                   zip(sources["source"], sources["verdict"], strict=True)}  # fmt: skip
        others |= {source: reason not in HARMLESS for source, (reason, _) in self.held.items()}
        for source in self.chosen:
            others.pop(source, None)
        return others

    def _row(self, entry: str, accused: list[Accusation], **columns: object) -> Row:
        worst = max(accused, key=lambda one: (OUTCOMES.index(one.outcome), one.confidence))
        why = worst.why if len(accused) == 1 else f"{len(accused):,} attackers, of them {worst.source}: {worst.why}"
        proofs = sorted({self.seen.proofs[one.source] for one in accused if one.source in self.seen.proofs})
        return {
            "entry": entry,
            "sources": sorted(one.source for one in accused),
            "why": why,
            "kinds": _union(one.kinds for one in accused),
            "tools": _union(one.tools for one in accused),
            "campaigns": _union(one.campaigns for one in accused),
            "outcome": worst.outcome,
            "confidence": min(one.confidence for one in accused),
            "proven": "; ".join(proofs) or None,
            "user_agents": _union(one.user_agents for one in accused),
            "capture": worst.capture,
            "evidence": list(worst.evidence),
            "first": min(one.first for one in accused),
            "last": max(one.last for one in accused),
            **columns,
        }


def _union(lists: Any) -> list[str]:  # noqa: ANN401
    return sorted({item for items in lists for item in items})


def _text(network: Network) -> str:
    """Return an address alone where the network has only one."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def by_address(entry: str) -> tuple[int, int, int]:
    """Return what addresses and networks are sorted by, IPv4 first; what is neither comes last."""
    try:
        network = as_network(entry)
    except ValueError:
        return (9, 0, 0)
    return (network.version, int(network.network_address), network.prefixlen)
