"""Ten thousand random captures: whoever is allowed, innocent or ours is on no list, in no format, in no network."""

import os
import random
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from blocking.grammars import GRAMMARS
from blocking.rows import START, Scene

from analyzer.allow import Allowed, AllowList
from analyzer.blocking import Policy, find_blocks
from analyzer.blocklists import rules_to_block, write_rules

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CAPTURES, TOGETHER, PARTS = int(os.environ.get("SIPSCOPE_CAPTURES", "1500")), 8, 10
"""How many captures, how many of them are analysed at a time, and in how many tests."""
KINDS = ("probe", "flood", "tool", "sweep", "enumeration", "password-guessing", "toll-fraud", "ghost-call", "exploit")
NETWORKS = ("45.9.{}.{}", "45.10.{}.{}", "2a01:4f8:{}::{:x}", "10.9.{}.{}", "203.0.113.{1}")
TEXTS = ("friendly-scanner", '"; x', "a\nb", "pass in all", "$(x)", "é", "{ }", "# 1.2.3.4")


class RandomCapture(Scene):
    """Captures with attackers, innocents, servers, and those who look like what they are not."""

    def __init__(self, rng):
        super().__init__()
        self.rng, self.guilty, self.protected = rng, set(), set()

    def address(self):
        network = self.rng.choices(NETWORKS, (8, 4, 3, 1, 1))[0]
        crowded = self.rng.random() < 0.7
        return network.format(self.rng.randrange(2), self.rng.randrange(1, 16 if crowded else 255))

    def fresh(self):
        """Return an address that nobody has."""
        while (address := self.address()) in self.guilty | self.protected:
            pass
        return address

    def shaped(self):
        """Return what an attack may look like."""
        text = self.rng.choice(TEXTS)
        start = START - timedelta(hours=self.rng.randrange(200))
        return {
            "kind": self.rng.choice(KINDS), "confidence": self.rng.choice((0.3, 0.7, 0.9, 1.0)), "tool": text,
            "accounts": [text, "700"], "numbers": [text], "start": start, "end": start + timedelta(hours=1),
            "capture": self.name, "outcome": self.rng.choice(("no-reply", "rejected", "challenged", "rang")),
        }  # fmt: skip

    def add(self, source, **columns):
        return super().add(source, capture=self.name, **columns)

    def fill(self, name):
        """Add one more capture."""
        self.name, rng = name, self.rng
        # Ours are one network, in which nobody else is; a server that is attacked may itself be accused.
        ours = [f"185.3.0.{host}" for host in rng.sample(range(1, 30), 2)]
        self.protected |= set(ours)
        for _ in range(rng.randrange(4)):
            self.innocent(rng.choice(ours))
        for _ in range(rng.randrange(7)):
            self.attack(rng.choice(ours))
        for make in (self.shared, self.forged, self.server_accused, self.crowd):
            if rng.random() < 0.3:
                make(rng.choice(ours))

    def attack(self, target, source=None):
        source = source or self.fresh()
        self.guilty.add(source)
        self.attacker(source, proven=self.rng.random() < 0.9, target=target, **self.shaped())

    def crowd(self, target):
        """Attackers side by side, and at times somebody among them who is none."""
        first = self.rng.randrange(20, 200)
        for host in range(first, first + self.rng.randrange(3, 7)):
            source = f"45.11.0.{host}"
            if source not in self.guilty | self.protected:
                kind = self.attack if self.rng.random() < 0.97 else self.innocent
                kind(target, source)

    def innocent(self, target, source=None):
        source = source or self.fresh()
        self.protected.add(source)
        if self.rng.random() < 0.5:
            self.telephone(source, target=target)
        else:
            self.add(source, method="OPTIONS", destination=target, answer=200, call_id=f"o-{source}-{self.name}")

    def shared(self, target):
        """A scanner and telephones behind one address."""
        source = self.fresh()
        self.protected.add(source)
        self.attacker(source, target=target, **self.shaped())
        self.telephone(source, account="555", target=target)

    def forged(self, target):
        """An attack in the name of a telephone, that may even try its account."""
        source = self.fresh()
        self.protected.add(source)
        self.telephone(source, account="556", target=target)
        self.attacker(source, proven=False, target=target, **self.shaped() | {"accounts": ["556"]})

    def server_accused(self, target):
        """A server of ours that is taken for an attacker."""
        source = self.rng.choice([target, self.fresh()])
        self.protected.add(source)
        self.server(source)
        self.attacker(source, target="45.200.0.1", **self.shaped())

    def allow_list(self):
        entries = []
        for _ in range(self.rng.randrange(5)):
            anywhere = self.rng.choice([self.address(), f"45.11.0.{self.rng.randrange(20, 200)}"])
            address = ip_address(self.rng.choice([anywhere, self.rng.choice(sorted(self.guilty) or [anywhere])]))
            last = address
            if self.rng.random() < 0.3:
                width = self.rng.choice((28, 29, 30)) + (96 if address.version == 6 else 0)
                network = ip_network(f"{address}/{width}", strict=False)
                address, last = network.network_address, network.broadcast_address
            entries.append(Allowed(address, last, self.rng.choice(TEXTS)))
        return AllowList(tuple(entries))


def policy_of(rng):
    return Policy(
        spoofable=rng.random() < 0.3,
        private=rng.random() < 0.3,
        aggregate=rng.random() < 0.8,
        period=rng.choice((None, None, timedelta(days=7), timedelta(days=1))),
        from_now=rng.random() < 0.5,
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_nobody_who_may_be_innocent_is_ever_on_a_list(part):
    rng = random.Random(part)
    blocked = networks = 0
    for _ in range(CAPTURES // TOGETHER // PARTS):
        captures = RandomCapture(rng)
        for number in range(TOGETHER):
            captures.fill(f"{number}.pcap")
        allow, policy = captures.allow_list(), policy_of(rng)
        analysis = captures.analysis()
        blocks = find_blocks(analysis, policy=policy, allow=allow, now=NOW)
        rules = rules_to_block(blocks)
        wanted = {rule.network for rule in rules.rules}
        check(wanted, captures, allow)
        for name, parse in GRAMMARS.items():
            assert parse(write_rules(rules, format=name)).networks == wanted, name
        must_be_blocked(captures, analysis, policy, allow, wanted)
        blocked += len(wanted)
        networks += sum(network.num_addresses > 1 for network in wanted)
    assert blocked > CAPTURES // PARTS
    assert networks > CAPTURES // PARTS // 30


def check(wanted, captures, allow):
    """Assert that a list holds guilty sources, and nobody else who is known."""
    protected = [ip_address(address) for address in captures.protected]
    for network in wanted:
        assert not allow.overlaps(network), network
        inside = [address for address in protected if address.version == network.version and address in network]
        assert not inside, (network, inside)
        assert any(
            ip_address(guilty) in network for guilty in captures.guilty if (":" in guilty) == (network.version == 6)
        )


def must_be_blocked(captures, analysis, policy, allow, wanted):
    """Assert that who attacks for certain, and is proven, is on the list: an empty one would be no feat."""
    proven = set(analysis.messages.loc[analysis.messages["proof"].notna(), "source"])
    for source, attacks in captures.attacks.items():
        address = ip_network(source)
        sure = max(attack["confidence"] for attack in attacks) >= policy.sure
        public = address.network_address.is_global or policy.private
        if source in captures.guilty and source in proven and sure and public and not allow.overlaps(address):
            lasted = max(attack["end"] for attack in attacks) + policy.lasting(_Like(attacks))
            if policy.from_now or lasted > NOW:
                assert any(address.subnet_of(network) for network in wanted if network.version == address.version), (
                    source
                )


class _Like:
    """What Policy asks of an accusation, from its only attack."""

    def __init__(self, attacks):
        (attack,) = attacks
        self.kinds, self.outcome, self.visits = (attack["kind"],), attack["outcome"], 1
