"""Texts of each language's special characters, wherever attackers may write: the loaded set is the intended one."""

import pytest
from blocking.grammars import GRAMMARS
from blocking.rows import Scene
from blocking.test_formats import NOW
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.blocking import Policy, find_blocks
from analyzer.blocklists import rules_to_block, write_rules
from analyzer.blocklists.difference import read_networks

SPECIAL = (
    '"', "'", "\\", "`", "$(", ")", "${", "}", "{", "[", "]", ";", "#", "!", "?", "|", "&", "<", ">", "*", "~", "^",
    "=", "%", "@", ",", ":", "/", "-", " ", "\t", "\n", "\r", "\r\n", "\x00", "\x0b", "\x0c", "\x1b[2J", "\x1c",
    "\x7f", "\x85", "\xa0", "\u2028", "\u2029", "\u202e", "\ufeff", "é", "45.1.2.3", "45.1.2.0/24", "2a01:4f8::1",
    "0.0.0.0/0", "until 2030-01-01T00:00:00Z", "entries: 0", "remark ", "host 45.1.2.3", "entry,", "COMMIT",
    "-A SIPSCOPE", "*raw", "add sipscope4 45.1.2.3", "flush ruleset", "timeout 1s", "comment ", "permit ip any any",
    "end", "/system reset", "fail2ban-client ", "<HOST>", "%(x)s", "# last 2026-11-22T10:00:00Z", "null", "]}", "a",
)  # fmt: skip
"""What means something to a shell, nft, ipset, iptables, pf, fail2ban, RouterOS, IOS, CSV or JSON."""
TEXTS = st.lists(st.sampled_from(SPECIAL), min_size=1, max_size=12).map("".join)


def rules_with(agent, user, name):
    """Return rules against attackers who call themselves, and what they want, by these texts."""
    scene = Scene()
    for host in range(1, 7):
        scene.attacker(f"45.9.0.{host}", tool=name, accounts=[user], numbers=[user], campaign=name)
        scene.claim(f"45.9.0.{host}", user_agents=[agent])
    scene.attacker("45.77.1.9", kind="password-guessing", outcome="breached", breached=[user], capture=name)
    scene.attacker("2a01:4f8::9", tool=agent).claim("2a01:4f8::9", user_agents=[agent, user, name])
    return rules_to_block(find_blocks(scene.analysis(), policy=Policy(spoofable=True), now=NOW))


@pytest.fixture(scope="module")
def tame():
    rules = rules_with("a", "b", "c")
    loaded = {name: parse(write_rules(rules, format=name)) for name, parse in GRAMMARS.items()}
    return loaded | {"fail2ban-filter": write_rules(rules, format="fail2ban-filter")}


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return tmp_path_factory.mktemp("lists") / "old"


@settings(max_examples=25, deadline=None)
@given(agent=TEXTS, user=TEXTS, name=TEXTS)
def test_the_loaded_set_is_the_intended_one(agent, user, name, tame, old):
    rules = rules_with(agent, user, name)
    networks = {rule.network for rule in rules.rules}
    for kind, parse in GRAMMARS.items():
        text = write_rules(rules, format=kind)
        assert parse(text) == tame[kind], kind
        old.write_text(text)
        assert read_networks(old) == networks, kind
    assert write_rules(rules, format="fail2ban-filter") == write_rules(
        rules_with("a", "b", "c"), format="fail2ban-filter"
    )
