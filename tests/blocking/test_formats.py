"""Every format says the same, and only comments hold what attackers wrote."""

from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_network

import pytest
from blocking.grammars import GRAMMARS, ROUND
from blocking.rows import Scene

from analyzer.allow import AllowList, load_allowed
from analyzer.blocking import Policy, find_blocks
from analyzer.blocklists import FORMATS, Rule, Rules, rules_to_allow, rules_to_block, write_rules
from analyzer.blocklists.comments import comment
from analyzer.blocklists.difference import difference, read_networks
from analyzer.errors import SettingsError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOSTILE = (
    '"; drop table', "x\n-A INPUT -j ACCEPT\n", "\r\npermit ip any any\r\n", "'; rm -rf /; '", "$(reboot)", "`id`",
    '" timeout 1 }\nflush ruleset\n', "# pass in all", "\\", "%0a", '"] ; /system reset', "?", "!", "{ } ;", "\u2028x",
    "\x00", "\x1b[2J", "é漢\U0001f600", "=cmd()", "-j ACCEPT", "COMMIT", "\t", " ", "a" * 1000, '"' * 400,
    "\x85next", "until 2030-01-01T00:00:00Z", "45.1.2.3", "/* */", "\\\n", "end\nno ip access-list",
)  # fmt: skip
"""Texts of which some language makes something."""


def scene(text="friendly-scanner"):
    told = Scene()
    for host in (1, 2, 3, 4, 5, 6):
        told.attacker(f"45.9.0.{host}", tool=text, accounts=[text], numbers=[text], campaign=text)
        told.claim(f"45.9.0.{host}", user_agents=[text])
    told.attacker("45.77.1.9", capture=text, kind="password-guessing", outcome="breached", breached=[text])
    told.attacker("2a01:4f8::9", tool=text).attacker("198.18.0.77").attacker("45.66.1.1", proven=False)
    told.telephone("45.10.0.1").server("185.3.0.5")
    return told.analysis()


@cache
def named_rules(text):
    """Return the rules against attackers in all of whose names a text stands."""
    return rules_of(scene(text))


def rules_of(analysis, **policy):
    return rules_to_block(find_blocks(analysis, policy=Policy(**policy), now=NOW))


def test_all_formats_are_registered_and_parsed():
    assert set(GRAMMARS) | {"fail2ban-filter"} == set(FORMATS)


@pytest.mark.parametrize("name", GRAMMARS)
def test_a_format_holds_what_was_decided_and_for_how_long(name):
    rules = named_rules("friendly-scanner")
    loaded = GRAMMARS[name](write_rules(rules, format=name))
    assert loaded.networks == {rule.network for rule in rules.rules}
    assert ip_network("45.9.0.0/29") in loaded.networks
    assert ip_network("2a01:4f8::9") in loaded.networks
    for rule in rules.rules:
        if rule.network in loaded.seconds:
            assert loaded.seconds[rule.network] == rule.seconds
        if rule.network in loaded.ends:
            assert rule.until <= loaded.ends[rule.network] < rule.until + ROUND
    assert name == "pf" or loaded.seconds or loaded.ends


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_what_attackers_write_changes_nothing_but_comments(text):
    tame, wild = named_rules("a"), named_rules(text)
    for name, parse in GRAMMARS.items():
        assert parse(write_rules(wild, format=name)) == parse(write_rules(tame, format=name)), name


@pytest.mark.parametrize("text", [*HOSTILE, "\udc80"], ids=lambda text: ascii(text[:20]))
def test_a_comment_is_of_harmless_signs_and_not_too_long(text):
    for limit in (10, 100, 300):
        made = comment(text, limit)
        assert len(made) <= limit
        assert made.isascii()
        assert made.isprintable()
        assert not set(made) & set("\"'`$\\;{}[]<>|&?!#*~^=\n\r\t")


def test_a_comment_loses_nothing():
    from urllib.parse import unquote

    assert unquote(comment('a"b\nc%é€')) == 'a"b\nc%é€'


@pytest.mark.parametrize("name", GRAMMARS)
def test_a_list_of_nobody_is_a_list(name):
    analysis = Scene().telephone("45.10.0.1").analysis()
    assert GRAMMARS[name](write_rules(rules_of(analysis), format=name)).networks == set()


@pytest.mark.parametrize("name", [name for name in GRAMMARS if name != "fail2ban"])
def test_only_the_known_may_be_let_through(name, tmp_path):
    file = tmp_path / "good.txt"
    file.write_text('192.0.2.0/24 # "us"; x\n203.0.113.7 # $(reboot)\n2001:db8::/32\n0.0.0.0/0\n')
    rules = rules_to_allow(load_allowed(file), NOW, (5060, 5080))
    loaded = GRAMMARS[name](write_rules(rules, format=name))
    everywhere = {ip_network("0.0.0.0/1"), ip_network("128.0.0.0/1")} if name == "ipset" else {ip_network("0.0.0.0/0")}
    if name == "cisco":
        assert loaded.rules.count("permit ip any any") == 2
        assert loaded.networks == {ip_network("2001:db8::/32")}
    else:
        assert loaded.networks == {*everywhere, ip_network("2001:db8::/32")}
    if name in {"nftables", "iptables", "mikrotik", "cisco"}:
        assert all(any(str(port) in rule for rule in loaded.rules) for port in (5060, 5080))


def test_nobody_known_is_no_list():
    with pytest.raises(SettingsError, match="would stop everybody"):
        rules_to_allow(AllowList(), NOW)


def test_fail2ban_cannot_let_through(tmp_path):
    (tmp_path / "good.txt").write_text("192.0.2.1\n")
    rules = rules_to_allow(load_allowed(tmp_path / "good.txt"), NOW)
    with pytest.raises(SettingsError, match="fail2ban cannot"):
        write_rules(rules, format="fail2ban")


def test_times_that_a_program_does_not_know_are_cut():
    until = NOW + timedelta(days=365 * 20)
    rule = Rule(network=ip_network("45.9.0.1"), until=until, seconds=365 * 20 * 86_400)
    rules = Rules(mode="block", now=NOW, rules=(rule,))
    for name in ("ipset", "iptables", "mikrotik"):
        GRAMMARS[name](write_rules(rules, format=name))


@pytest.mark.parametrize("name", GRAMMARS)
def test_an_earlier_list_is_read_back_from_every_format(name, tmp_path):
    old = named_rules('45.1.2.3 "45.1.2.4" # 45.1.2.5')
    (tmp_path / "old").write_text(write_rules(old, format=name))
    networks = {rule.network for rule in old.rules}
    assert read_networks(tmp_path / "old") == networks
    assert difference(old, networks) == f"# 0 to add, 0 to remove, {len(networks)} as before\n"


def test_a_difference_says_what_to_add_and_to_remove_and_why():
    blocks = find_blocks(Scene().attacker("45.9.0.1").attacker("45.8.0.1", proven=False).analysis(), now=NOW)
    old = {ip_network(entry) for entry in ("45.8.0.1", "45.7.0.0/28")}
    assert difference(rules_to_block(blocks), old, blocks).splitlines() == [
        "- 45.7.0.0/28  not on the list any more",
        "- 45.8.0.1  spoofable: no step of the attack depended on a reply, so anybody may have sent it",
        f"+ 45.9.0.1  until 2026-11-29T10:00:00Z: {comment(blocks.entries['why'][0])}",
        "# 1 to add, 2 to remove, 0 as before",
    ]


@pytest.mark.parametrize("text", ["hello\n", "{}", '{"entries": 3}', "entry,why\nnonsense,x\n", "\x00\x01"])
def test_what_is_no_list_is_said_to_be_none(text, tmp_path):
    (tmp_path / "old").write_text(text)
    with pytest.raises(SettingsError, match="no list that sipscope block wrote"):
        read_networks(tmp_path / "old")


def test_an_earlier_list_that_is_missing_is_said(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_networks(tmp_path / "none")
