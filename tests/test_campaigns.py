from itertools import count

import numpy as np
import pandas as pd
import pytest
from factories import answers, capture_of, messages

from analyzer import campaigns
from analyzer.campaigns import join_campaigns
from analyzer.detectors import find_attacks
from analyzer.sip.transactions import follow
from analyzer.tables import ATTACKS, CAMPAIGNS

_hours = count()


def attack(source="192.0.2.1", *keys, start="2024-01-01T00:00Z", hours=1, **columns):
    start = pd.Timestamp(start)
    row = {
        "attack": f"{source} {start} {next(_hours)}", "kind": "toll-fraud", "source": source, "start": start,
        "end": start + pd.Timedelta(hours=hours), "messages": 10, "outcome": "rejected", "confidence": 0.9,
        "technique": "T1496", "capture": "test.pcap", "keys": sorted(keys), **columns,
    }  # fmt: skip
    return {**dict.fromkeys(("tool", "campaign", "decisive")), **row}


def joined(*attacks, ordinary=()):
    table = ATTACKS.conform(pd.DataFrame(attacks), missing=True)
    return join_campaigns(table, messages(1), ordinary=ordinary)


def groups(*attacks, **options):
    """Return the sources of each campaign."""
    return sorted(joined(*attacks, **options)[1]["sources"].tolist())


def test_attacks_of_one_source_belong_together():
    assert groups(attack(), attack(start="2024-01-01T12:00Z", kind="sweep")) == [["192.0.2.1"]]


def test_a_rest_separates_them():
    assert len(groups(attack(), attack(start="2024-01-03T12:00Z", kind="sweep"))) == 2


@pytest.mark.parametrize("key", ["number:442079460123", "leak:192.168.77.9", "decoded:10.0.0.1:5060"])
def test_a_strong_key_joins_sources_at_any_time(key):
    assert groups(attack("192.0.2.1", key), attack("192.0.2.2", key, start="2024-02-01T00:00Z")) == [
        ["192.0.2.1", "192.0.2.2"]
    ]


def test_two_wanted_numbers_stay_two_campaigns_though_handwriting_and_targets_agree():
    hand = "handwriting:abc@198.51.100.1"
    assert groups(
        attack("192.0.2.1", "number:1", hand), attack("192.0.2.2", "number:1", hand),
        attack("192.0.2.3", "number:2", hand), attack("192.0.2.4", "number:2", hand),
    ) == [["192.0.2.1", "192.0.2.2"], ["192.0.2.3", "192.0.2.4"]]  # fmt: skip


def test_what_only_one_carries_keeps_nobody_from_what_all_share():
    hand = "handwriting:abc@198.51.100.1"
    bots = [attack(f"192.0.2.{bot}", f"leak:192.168.{bot + 10}.2", hand) for bot in range(1, 4)]
    assert len(groups(*bots)) == 1
    wanting = [attack(f"192.0.2.{bot}", f"number:{bot}", hand) for bot in range(1, 4)]
    assert len(groups(*wanting)) == 3


def test_a_leak_ties_two_wanted_numbers():
    leak = "leak:192.168.77.9"
    assert len(groups(attack("192.0.2.1", "number:1", leak), attack("192.0.2.2", "number:2", leak))) == 1


def test_handwriting_places_what_stronger_keys_left_alone():
    hand = "handwriting:abc@198.51.100.1"
    assert groups(
        attack("192.0.2.1", "number:1", hand), attack("192.0.2.2", "number:1"), attack("192.0.2.3", hand)
    ) == [["192.0.2.1", "192.0.2.2", "192.0.2.3"]]


def test_handwriting_does_not_choose_between_two_campaigns():
    hand = "handwriting:abc@198.51.100.1"
    attacks = attack("192.0.2.1", "number:1", hand), attack("192.0.2.2", "number:2", hand), attack("192.0.2.3", hand)
    assert groups(*attacks) == [
        ["192.0.2.1"], ["192.0.2.2"], ["192.0.2.3"],
    ]  # fmt: skip


def test_handwriting_counts_only_close_in_time():
    hand = "handwriting:abc@198.51.100.1"
    assert len(groups(attack("192.0.2.1", hand), attack("192.0.2.2", hand, start="2024-01-01T06:00Z"))) == 2


def test_a_key_that_customers_carry_too_joins_nobody():
    key = "leak:192.168.1.2"
    assert len(groups(attack("192.0.2.1", key), attack("192.0.2.2", key), ordinary=[key])) == 2


def test_a_number_joins_though_customers_call_it_too():
    key = "number:442079460123"
    assert len(groups(attack("192.0.2.1", key), attack("192.0.2.2", key), ordinary=[key])) == 1


def test_the_reason_of_a_join_is_told():
    _, campaigns = joined(attack("192.0.2.1", "number:442079460123"), attack("192.0.2.2", "number:442079460123"))
    assert campaigns["reasons"].tolist() == [["the same wanted number 442079460123 (2 sources)"]]


def test_an_id_is_the_same_next_week_and_beside_others():
    key = "number:442079460123"
    _, first = joined(attack("192.0.2.1", key))
    _, second = joined(attack("203.0.113.9", key, start="2024-01-08T00:00Z"), attack("192.0.2.77", "number:1"))
    assert first["campaign"][0] in second["campaign"].tolist()


def test_the_worst_comes_first():
    _, campaigns = joined(attack("192.0.2.1"), attack("192.0.2.2", outcome="breached"))
    assert campaigns["outcome"].tolist() == ["breached", "rejected"]


def suspicion(number, *keys, **columns):
    return attack(f"192.0.2.{number}", *keys, kind="probe", confidence=0.3, hours=0, **columns)


@pytest.mark.parametrize(
    ("key", "enough"), [("number:442079460123", 3), ("leak:192.168.77.9", 4), ("handwriting:abc@198.51.100.1", 10)]
)
def test_suspicions_confirm_each_other(key, enough):
    suspects = [suspicion(number, key, prefixes=["00"]) for number in range(enough)]
    assert joined(*suspects[1:])[0].empty
    attacks, campaigns = joined(*suspects)
    assert len(attacks) == enough
    assert len(campaigns) == 1
    assert campaigns["confidence"][0] >= 0.5


def test_calls_without_a_prefix_confirm_nobody():
    calls = [suspicion(number, "number:442079460123", prefixes=[]) for number in range(30)]
    assert joined(*calls)[0].empty


def test_a_sure_attack_confirms_its_company():
    key = "number:442079460123"
    assert len(joined(attack("192.0.2.99", key), suspicion(1, key))[0]) == 2


def test_a_suspicion_says_nothing_beside_a_sure_attack_of_its_source():
    assert joined(attack("192.0.2.1"), suspicion(1))[0]["kind"].tolist() == ["toll-fraud"]


def test_nothing_joins_to_nothing():
    attacks, campaigns = join_campaigns(ATTACKS.empty(), messages(0))
    assert attacks.empty
    assert list(campaigns.columns) == list(CAMPAIGNS.columns)


def test_the_messages_of_a_campaign_are_counted_once():
    calls = messages(30, method="INVITE", uri_user=[f"{zeros}442079460123" for zeros in ("00", "900", "011") * 10])
    calls = calls.assign(tool_confidence=0.99, tool=pd.Categorical(["sipcli"] * 30))
    table = follow(capture_of(calls, answers(calls, 403)))
    found = find_attacks(table)
    assert len(found) >= 2
    assert join_campaigns(found, table)[1]["messages"].tolist() == [30]


def test_a_hundred_sources_that_never_repeat_are_one_campaign():
    rng = np.random.default_rng(1)
    calls = messages(
        150, every="7min", method="INVITE", source=[f"203.0.{number // 250}.{number % 250}" for number in range(150)],
        uri_user=[prefix + "442079460123" for prefix in rng.choice(["00", "900", "9011", "011", "000"], 150)],
        user_agent=[f"Phone {number}" for number in range(150)],
    )  # fmt: skip
    table = follow(capture_of(calls, answers(calls, 403)))
    _, campaigns = join_campaigns(find_attacks(table), table)
    assert campaigns["sources"].str.len().tolist() == [150]
    assert campaigns["numbers"].tolist() == [["442079460123"]]


def test_the_order_of_attacks_changes_nothing():
    table = [attack(f"192.0.2.{number}", f"number:{number % 3}", "handwriting:a@b") for number in range(12)]
    assert groups(*table) == groups(*reversed(table))


def test_small_graphs_are_connected_as_scipy_does():
    chance = np.random.default_rng(1)
    for size in range(1, 80):
        ones, others = chance.integers(0, size, (2, int(chance.integers(0, size + 1))))
        few, many = (connect(ones, others, size) for connect in (campaigns._connect_few, campaigns._connect_many))
        assert few.tolist() == many.tolist()
