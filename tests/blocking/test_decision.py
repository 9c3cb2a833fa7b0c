"""Who is blocked, who is held back, and until when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from blocking.rows import START, Scene, without_messages

from analyzer.allow import load_allowed
from analyzer.blocking import REASONS, Policy, find_blocks
from analyzer.tables import BLOCKS, HELD

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def allow(tmp_path):
    def load(*lines):
        (tmp_path / "good.txt").write_text("\n".join(lines))
        return load_allowed(tmp_path / "good.txt")

    return load


def decide(scene, allow=None, now=NOW, **policy):
    told = scene if not isinstance(scene, Scene) else scene.analysis()
    blocks = find_blocks(told, allow=allow, now=now, policy=Policy(**policy))
    assert list(blocks.entries.columns) == list(BLOCKS.columns)
    assert list(blocks.held.columns) == list(HELD.columns)
    assert set(blocks.held["reason"]) <= set(REASONS)
    return list(blocks.entries["entry"]), dict(zip(blocks.held["entry"], blocks.held["reason"], strict=True))


def test_who_attacks_for_certain_and_is_proven_is_blocked():
    assert decide(Scene().attacker("45.9.0.1")) == (["45.9.0.1"], {})


def test_an_entry_says_why_by_what_packets_and_until_when():
    scene = Scene().telephone("45.10.0.1").attacker("45.9.0.1", outcome="answered", tool="SIPp", numbers=["441"])
    (entry,) = find_blocks(scene.claim("45.9.0.1", user_agents=["x"]).analysis(), now=NOW).entries.to_dict("records")
    assert entry == {
        "entry": "45.9.0.1",
        "sources": ["45.9.0.1"],
        "why": ("toll-fraud (answered); campaign k7f2; packets 3 of test.pcap; tool SIPp; wanted 441; calls itself x"),
        "kinds": ["toll-fraud"],
        "tools": ["SIPp"],
        "campaigns": ["k7f2"],
        "outcome": "answered",
        "confidence": 0.9,
        "proven": "an ACK with the server's tag",
        "user_agents": ["x"],
        "capture": "test.pcap",
        "evidence": [3],
        "first": START,
        "last": START + pd.Timedelta("1h"),
        "until": START + pd.Timedelta("1h") + pd.Timedelta("14D"),
    }


def test_nobody_who_does_not_attack_is_blocked():
    scene = Scene().telephone("45.9.0.1").claim("45.9.0.2", verdict="suspicious")
    assert decide(scene, spoofable=True) == ([], {})


def test_the_spoofable_are_blocked_only_when_asked_for():
    scene = Scene().attacker("45.9.0.1", proven=False)
    assert decide(scene) == ([], {"45.9.0.1": "spoofable"})
    assert decide(scene, spoofable=True) == (["45.9.0.1"], {})


def test_what_else_came_from_an_address_proves_nothing_of_the_attack():
    scene = Scene().attacker("45.9.0.1", proven=False)
    call = "own"
    scene.add("45.9.0.1", method="INVITE", call_id=call, uri_user="5", answer=404)
    scene.add("45.9.0.1", method="ACK", call_id=call, proof="an ACK with the server's tag")
    scene.claim("45.9.0.1", proven="an ACK with the server's tag")
    assert decide(scene) == ([], {"45.9.0.1": "spoofable"})


def test_a_forged_attack_that_drags_in_a_call_of_the_telephone_is_not_proven_by_it():
    scene = Scene()
    packets = [scene.add("45.9.0.1", method="REGISTER", authorized=True, call_id=f"c{n}", answer=403) for n in range(9)]
    own = scene.add("45.9.0.1", method="REGISTER", authorized=True, auth_user="101", call_id="own", answer=200,
                    proof="credentials for the server's nonce")  # fmt: skip
    scene.accuse("45.9.0.1", kind="password-guessing", evidence=[*packets, own], outcome="breached", breached=["101"])
    assert decide(scene) == ([], {"45.9.0.1": "spoofable"})


def test_an_answered_connection_proves_and_media_does():
    scene = Scene()
    call = scene.add("45.9.0.1", method="REGISTER", transport="tcp", call_id="t", answer=403, proof="a TCP connection")
    told = scene.accuse("45.9.0.1", evidence=[call]).analysis()
    assert decide(told)[0] == ["45.9.0.1"]
    scene = Scene().attacker("45.9.0.2", proven=False)
    told = scene.analysis()
    calls = {"source": ["45.9.0.2"], "call_id": ["attack-1"], "proof": ["media exchanged"]}
    assert decide(replace(told, calls=pd.DataFrame(calls)))[0] == ["45.9.0.2"]


def test_the_packets_of_one_capture_prove_nothing_in_another():
    scene = Scene().attacker("45.9.0.1", proven=False, capture="other.pcap")
    scene.add("45.9.0.1", method="ACK", call_id="attack-1", capture="test.pcap", proof="an ACK with the server's tag")
    assert decide(scene) == ([], {"45.9.0.1": "spoofable"})


def test_without_messages_nothing_is_proven():
    assert decide(without_messages(Scene().attacker("45.9.0.1").analysis())) == ([], {"45.9.0.1": "spoofable"})


def test_the_allow_list_wins_always(allow):
    scene = Scene().attacker("45.9.0.1").attacker("45.9.0.77").attacker("2a01:4f8::9")
    known = allow("45.9.0.0/26 # customer", "2a01:4f8::/32 # peer")
    entries, held = decide(scene, allow=known, spoofable=True, private=True)
    assert entries == ["45.9.0.77"]
    assert held == {"45.9.0.1": "allow-listed", "2a01:4f8::9": "allow-listed"}


def test_who_the_analysis_knows_to_be_allowed_is():
    assert decide(Scene().attacker("45.9.0.1").claim("45.9.0.1", allowed="office")) == (
        [],
        {"45.9.0.1": "allow-listed"},
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda scene: scene.server("45.9.0.1"),
        lambda scene: scene.attacker("45.8.0.1", target="45.9.0.1"),
        lambda scene: scene.add("45.10.0.1", method="OPTIONS", destination="45.9.0.1", answer=200, call_id="x"),
    ],
    ids=["it challenges", "it is attacked", "it answers others"],
)
def test_our_servers_are_never_blocked(make):
    scene = Scene().attacker("45.9.0.1", target="45.20.0.1")
    make(scene)
    entries, held = decide(scene, spoofable=True, private=True)
    assert "45.9.0.1" not in entries
    assert held["45.9.0.1"] == "own server"


def test_a_thief_whom_our_server_watches_over_is_no_server():
    scene = Scene().attacker("45.9.0.1", outcome="breached", breached=["101"], accounts=["101"])
    scene.add("185.3.0.5", method="OPTIONS", destination="45.9.0.1", answer=200, call_id="w", to_user="101")
    scene.add("185.3.0.5", method="INVITE", destination="45.9.0.1", answer=200, call_id="i", to_user="101", rang=True)
    scene.add("45.9.0.1", method="REGISTER", to_user="101", auth_user="101", authorized=True, call_id="r", answer=200)
    assert decide(scene) == (["45.9.0.1"], {})


@pytest.mark.parametrize(
    "make",
    [
        lambda scene: scene.telephone("45.9.0.1", account="555"),
        lambda scene: scene.add("45.9.0.1", method="REGISTER", to_user="555", answer=200, call_id="r"),
        lambda scene: scene.add("45.9.0.1", method="INVITE", uri_user="7", answer=200, call_id="i"),
        lambda scene: scene.add(
            "185.3.0.5", method="INVITE", destination="45.9.0.1", to_user="555", rang=True, call_id="i"
        ),
    ],
    ids=["credentials", "registration", "a call", "a call to it"],
)
def test_who_shares_an_address_with_telephones_is_held_back(make):
    scene = Scene().attacker("45.9.0.1", accounts=["101"], numbers=["441"])
    make(scene)
    assert decide(scene, spoofable=True) == ([], {"45.9.0.1": "shared with innocent phones"})


def test_calls_of_the_attack_are_no_telephones():
    scene = Scene().attacker("45.9.0.1", numbers=["441"], answered=["900441"], outcome="answered")
    scene.add("45.9.0.1", method="INVITE", uri_user="900441", answer=200, call_id="i")
    scene.add("45.9.0.1", method="INVITE", uri_user="00441", answer=200, call_id="j")
    assert decide(scene)[0] == ["45.9.0.1"]


def test_private_and_reserved_addresses_are_blocked_only_when_asked_for():
    scene = Scene()
    for source in ("10.1.0.1", "203.0.113.7", "100.64.0.1", "2001:db8::7", "fd00::1"):
        scene.attacker(source)
    entries, held = decide(scene)
    assert not entries
    assert set(held.values()) == {"private or reserved"}
    assert decide(scene, private=True) == (["10.1.0.1", "100.64.0.1", "203.0.113.7", "2001:db8::7", "fd00::1"], {})


NEVER = (
    "127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "169.254.1.1", "::1", "::", "fe80::1",  # noqa: S104
    "ff02::1", "::ffff:127.0.0.1", "none",
)  # fmt: skip


@pytest.mark.parametrize("source", NEVER)
def test_what_no_machine_works_without_is_never_blocked(source):
    scene = Scene().attacker(source)
    assert decide(scene, private=True, spoofable=True) == ([], {source: "private or reserved"})


def test_who_is_not_surely_accused_is_held_back():
    scene = Scene().attacker("45.9.0.1", confidence=0.5)
    assert decide(scene) == ([], {"45.9.0.1": "not sure enough"})
    assert decide(scene, sure=0.4)[0] == ["45.9.0.1"]


def test_a_campaign_confirms_what_is_not_sure_by_itself():
    told = Scene().attacker("45.9.0.1", confidence=0.3).analysis()
    campaigns = pd.DataFrame({"campaign": ["k7f2"], "confidence": [0.9]})
    assert decide(replace(told, campaigns=campaigns))[0] == ["45.9.0.1"]


# --- until when


def until(scene, now=NOW, **policy):
    blocks = find_blocks(scene.analysis(), now=now, policy=Policy(**policy))
    assert len(blocks.entries) == 1
    return blocks.entries["until"][0].to_pydatetime() - (START.to_pydatetime() + timedelta(hours=1))


@pytest.mark.parametrize(("kind", "days"), [("probe", 1), ("tool", 3), ("enumeration", 7), ("toll-fraud", 7)])
def test_how_long_depends_on_the_kind(kind, days):
    assert until(Scene().attacker("45.9.0.1", kind=kind)) == timedelta(days=days)


def test_who_got_in_is_blocked_twice_as_long():
    assert until(Scene().attacker("45.9.0.1", outcome="breached")) == timedelta(days=14)


@pytest.mark.parametrize(("visits", "days"), [(1, 3), (2, 6), (3, 12), (4, 24), (9, 24)])
def test_who_comes_back_is_blocked_longer_with_a_ceiling(visits, days):
    scene = Scene().attacker("45.9.0.1", kind="sweep")
    for visit in range(1, visits):
        early = START - pd.Timedelta(days=2 * visit)
        scene.accuse("45.9.0.1", kind="sweep", start=early, end=early + pd.Timedelta("1h"))
    assert until(scene) == timedelta(days=days)


def test_attacks_without_a_rest_between_them_are_one_visit():
    scene = Scene().attacker("45.9.0.1", kind="sweep")
    scene.accuse("45.9.0.1", kind="sweep", start=START - pd.Timedelta("20h"), end=START - pd.Timedelta("19h"))
    assert until(scene) == timedelta(days=3)


def test_a_period_may_be_asked_for_and_counted_from_now():
    scene = Scene().attacker("45.9.0.1", outcome="breached")
    assert until(scene, period=timedelta(hours=5)) == timedelta(hours=5)
    assert until(scene, period=timedelta(hours=5), from_now=True) == timedelta(hours=7)


def test_an_attack_from_the_future_counts_from_now():
    assert until(Scene().attacker("45.9.0.1"), now=NOW - timedelta(days=30)) < timedelta(days=0)


def test_who_has_served_his_time_is_left_out_and_said():
    scene = Scene().attacker("45.9.0.1")
    assert decide(scene, now=NOW + timedelta(days=8)) == ([], {"45.9.0.1": "over"})
    assert decide(scene, now=NOW + timedelta(days=8), period=timedelta(days=30))[0] == ["45.9.0.1"]


# --- networks


def crowd(*hosts, network="45.9.0."):
    scene = Scene()
    for host in hosts:
        scene.attacker(f"{network}{host}")
    return scene


def test_a_network_full_of_attackers_is_blocked_whole():
    assert decide(crowd(1, 2, 3))[0] == ["45.9.0.0/30"]
    assert decide(crowd(1, 2, 3), aggregate=False)[0] == ["45.9.0.1", "45.9.0.2", "45.9.0.3"]
    assert decide(crowd(*range(1, 18), 250))[0] == ["45.9.0.0/24"]


def test_few_attackers_in_a_wide_network_say_nothing_of_the_others():
    assert decide(crowd(1, 100, 250))[0] == ["45.9.0.1", "45.9.0.100", "45.9.0.250"]
    assert decide(crowd(1, 2))[0] == ["45.9.0.1", "45.9.0.2"]
    assert decide(crowd(1, 2, 3, 200))[0] == ["45.9.0.0/30", "45.9.0.200"]


def test_attackers_in_one_home_of_ipv6_are_blocked_with_it():
    assert decide(crowd("1", "2:1", "ffff:1", network="2a01:4f8::"))[0] == ["2a01:4f8::/64"]


@pytest.mark.parametrize(
    "make",
    [
        lambda scene: scene.telephone("45.9.0.2"),
        lambda scene: scene.add("45.77.0.1", destination="45.9.0.2", call_id="x"),
        lambda scene: scene.attacker("45.9.0.2", proven=False),
        lambda scene: scene.attacker("45.9.0.2").telephone("45.9.0.2", account="5"),
        lambda scene: scene.server("45.9.0.2"),
    ],
    ids=["a telephone", "somebody who is asked", "a forged one", "a shared one", "a server"],
)
def test_a_network_in_which_somebody_may_be_innocent_is_not_blocked(make):
    scene = crowd(1, 4, 5, 6)
    make(scene)
    entries, _ = decide(scene)
    assert entries == ["45.9.0.1", "45.9.0.4/30"]


def test_half_of_those_seen_must_attack():
    scene = crowd(1, 2, 3)
    for host in range(4, 8):
        scene.claim(f"45.9.0.{host}", verdict="suspicious")
    assert decide(scene)[0] == ["45.9.0.0/30"]
    scene = crowd(1, 5, 6)
    for host in (2, 3, 4, 7):
        scene.claim(f"45.9.0.{host}", verdict="suspicious")
    assert decide(scene)[0] == ["45.9.0.1", "45.9.0.5", "45.9.0.6"]


def test_an_allowed_address_saves_the_network_around_it_and_that_is_said(allow):
    known = allow("45.9.0.2 # monitoring")
    blocks = find_blocks(crowd(1, 3, 4, 5, 6).analysis(), allow=known, now=NOW)
    assert list(blocks.entries["entry"]) == ["45.9.0.1", "45.9.0.3", "45.9.0.4/30"]
    (saved,) = blocks.held.to_dict("records")
    assert saved["entry"] == "45.9.0.0/29"
    assert saved["reason"] == "allow-listed"
    assert saved["detail"] == "holds monitoring; its 5 attackers are blocked one by one"


def test_a_network_is_blocked_until_the_first_of_its_attackers_is_not():
    scene = crowd(1, 2).attacker("45.9.0.3", kind="probe")
    assert until(scene) == timedelta(days=1)
