"""Whole random captures: nobody innocent, allowed or ours is blocked, and most of those who are proven are."""

import os
import random
from collections import Counter
from datetime import timedelta
from ipaddress import ip_address

import pytest
import scenarios
from blocking.grammars import GRAMMARS

from analyzer import analyze
from analyzer.allow import Allowed, AllowList
from analyzer.blocking import Policy, find_blocks
from analyzer.blocklists import rules_to_block, write_rules

SEEDS = int(os.environ.get("SIPSCOPE_SEEDS", "0"))
"""Captures of each scenario; one of every other scenario without SIPSCOPE_SEEDS."""
SINGLE = (*scenarios.ATTACKS, *scenarios.INNOCENT)
CASES = [(name, seed) for name in SINGLE for seed in range(900, 900 + SEEDS)] or [(name, 900) for name in SINGLE[::2]]
CASES += [(name, 900) for name in scenarios.MIXTURES]
PARTS = 4
"""In how many tests they are made."""
POLICIES = {"usual": {}, "spoofable": {"spoofable": True}, "lasting": {"period": timedelta(days=365)}}
LEAST = {"usual": 0.9, "spoofable": 0.9, "lasting": 0.99}
"""How many of those who are proven are blocked; as usual, the time of some is over where a capture lasts for days."""


def networks_of(analysis, allow, **policy):
    """Return the networks that are blocked as of the end of a capture, the same in every format."""
    now = analysis.captures["end"].max().to_pydatetime()
    rules = rules_to_block(find_blocks(analysis, policy=Policy(**policy), allow=allow, now=now))
    networks = {rule.network for rule in rules.rules}
    for name, parse in GRAMMARS.items():
        assert parse(write_rules(rules, format=name)).networks == networks, name
    return networks


def blocked(addresses, networks):
    """Return which of some addresses are in some networks."""
    parsed = {address: ip_address(address) for address in addresses}
    return {text for text, address in parsed.items() if any(address in network for network in networks)}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_nobody_innocent_is_blocked_in_whole_captures(part, tmp_path):
    proven, caught = 0, Counter()
    for name, seed in CASES[part::PARTS]:
        world = scenarios.make(name, seed)
        path = tmp_path / "scenario.pcap"
        world.write(path)
        analysis = analyze(path)
        truth = world.truth()
        guilty, innocent = set(truth["labels"]), set(truth["roles"])
        rng = random.Random(seed)
        spared = set(rng.sample(sorted(guilty), len(guilty) // 5))
        allow = AllowList(tuple(Allowed(ip_address(one), ip_address(one), "known") for one in sorted(spared)))
        sources = analysis.sources
        sure = sources[(sources["verdict"] == "attacking") & sources["proven"].notna()]["source"].astype("str")
        here = (set(sure) & guilty) - spared
        proven += len(here)
        for policy, options in POLICIES.items():
            networks = networks_of(analysis, allow, **options)
            assert not blocked(innocent | spared, networks), (name, seed, policy)
            caught[policy] += len(blocked(here, networks))
    assert proven
    assert not [policy for policy, least in LEAST.items() if caught[policy] < least * proven], (proven, caught)
