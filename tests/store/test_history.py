"""Campaigns that are new, go on or have returned, and the ids that they keep."""

import pandas as pd
import pytest
from factories import messages
from scenarios import make
from scenarios.wire import write_capture

from analyzer.analysis import analyze
from analyzer.campaigns import join_campaigns
from analyzer.history import CONTINUING, NEW, RETURNED, recall
from analyzer.storing import store_captures
from analyzer.tables import ATTACKS

DAY = 86_400
NUMBER, OTHER = "number:442079460958", "number:972599501806"
PAST = ["campaign", "source", "start", "end", "keys"]


def attack(source, *keys, start, hours=1, **columns):
    start = pd.Timestamp(start)
    row = {
        "attack": f"{source} {start}", "kind": "toll-fraud", "source": source, "start": start,
        "end": start + pd.Timedelta(hours=hours), "messages": 10, "outcome": "rejected", "confidence": 0.9,
        "technique": "T1496", "capture": "test.pcap", "keys": sorted(keys), **columns,
    }  # fmt: skip
    return {**dict.fromkeys(("tool", "campaign", "decisive")), **row}


def joined(*attacks):
    return join_campaigns(ATTACKS.conform(pd.DataFrame(attacks), missing=True), messages(1))


def recalled(before, now, **options):
    """Return the campaigns of now, and those of before, each joined by itself."""
    past, known = joined(*before) if before else (ATTACKS.empty(), pd.DataFrame({"campaign": []}))
    attacks, campaigns = joined(*now)
    marked, campaigns = recall(attacks, campaigns, past[PAST], **options)
    assert set(marked["campaign"]) == set(campaigns["campaign"])
    return campaigns, list(known["campaign"])


MONDAY, THURSDAY = "2026-11-16T09:00Z", "2026-11-19T09:00Z"


@pytest.mark.parametrize("key", [NUMBER, "leak:192.168.77.9", "token:z9hG4bK77", "identity:sipsscuser|"])
def test_a_campaign_that_pauses_three_days_comes_back_under_its_id(key):
    campaigns, (known,) = recalled([attack("192.0.2.1", key, start=MONDAY)], [attack("192.0.2.9", key, start=THURSDAY)])

    assert campaigns["campaign"].tolist() == [known]
    assert campaigns["state"].tolist() == [RETURNED]
    assert campaigns["first_seen"].tolist() == [pd.Timestamp(MONDAY)]
    assert campaigns["silence"].tolist() == [3 * DAY - 3600]


@pytest.mark.parametrize(("hours", "state"), [(1, CONTINUING), (24, CONTINUING), (26, RETURNED)])
def test_a_rest_makes_the_difference(hours, state):
    later = pd.Timestamp(MONDAY) + pd.Timedelta(hours=1 + hours)
    campaigns, _ = recalled([attack("192.0.2.1", NUMBER, start=MONDAY)], [attack("192.0.2.2", NUMBER, start=later)])

    assert campaigns["state"].tolist() == [state]


def test_what_nobody_has_seen_is_new():
    for before in ([], [attack("192.0.2.1", OTHER, start=MONDAY)]):
        campaigns, _ = recalled(before, [attack("192.0.2.2", NUMBER, start=THURSDAY)])
        assert campaigns["state"].tolist() == [NEW]
        assert campaigns["first_seen"].tolist() == [pd.Timestamp(THURSDAY)]
        assert campaigns["silence"].isna().all()


def test_what_lasts_into_the_period_continues():
    campaigns, _ = recalled(
        [attack("192.0.2.1", NUMBER, start=MONDAY, hours=80)], [attack("192.0.2.1", NUMBER, start=THURSDAY)]
    )

    assert campaigns["state"].tolist() == [CONTINUING]
    assert campaigns["silence"].tolist() == [0]


def test_it_keeps_its_first_id_when_another_key_becomes_its_strongest():
    before = [attack("192.0.2.1", "leak:192.168.77.9", NUMBER, start=MONDAY)]
    now = [attack(f"192.0.2.{host}", "leak:192.168.77.9", OTHER, start=THURSDAY) for host in range(2, 5)]
    campaigns, (known,) = recalled(before, now)

    assert joined(*now)[1]["campaign"].tolist() != [known]
    assert campaigns["campaign"].tolist() == [known]
    assert campaigns["state"].tolist() == [RETURNED]


def test_all_of_what_was_known_under_the_id_counts():
    before = [
        attack("192.0.2.1", NUMBER, start="2026-11-01T00:00Z"),
        attack("192.0.2.2", NUMBER, "leak:192.168.77.9", start=MONDAY),
    ]
    campaigns, _ = recalled(before, [attack("192.0.2.3", "leak:192.168.77.9", start=THURSDAY)])

    assert campaigns["first_seen"].tolist() == [pd.Timestamp("2026-11-01T00:00Z")]


def test_two_that_were_one_do_not_share_its_id():
    before = [attack("192.0.2.1", NUMBER, OTHER, start=MONDAY)]
    now = [attack("192.0.2.2", NUMBER, start=THURSDAY), attack("192.0.2.3", OTHER, start=THURSDAY)]
    campaigns, (known,) = recalled(before, now)

    assert campaigns["state"].tolist() == [RETURNED] * 2
    assert campaigns["campaign"].is_unique
    assert known in campaigns["campaign"].tolist()


def test_a_made_up_caller_does_not_join_what_numbers_tell_apart():
    before = [attack("192.0.2.1", NUMBER, "identity:sipsscuser|", start=MONDAY)]
    campaigns, _ = recalled(before, [attack("192.0.2.2", OTHER, "identity:sipsscuser|", start=THURSDAY)])

    assert campaigns["state"].tolist() == [NEW]


def test_what_customers_carry_too_proves_nothing():
    before = [attack("192.0.2.1", "leak:10.0.0.5", start=MONDAY)]
    now = [attack("192.0.2.2", "leak:10.0.0.5", start=THURSDAY)]

    assert recalled(before, now, ordinary=["leak:10.0.0.5"])[0]["state"].tolist() == [NEW]


def test_a_handwriting_alone_is_no_return():
    key = "handwriting:abc@192.0.2.99"
    campaigns, _ = recalled([attack("192.0.2.1", key, start=MONDAY)], [attack("192.0.2.2", key, start=THURSDAY)])

    assert campaigns["state"].tolist() == [NEW]


@pytest.mark.parametrize(("start", "state"), [("2026-11-16T20:00Z", CONTINUING), (THURSDAY, RETURNED)])
def test_a_source_alone_comes_back(start, state):
    campaigns, (known,) = recalled([attack("192.0.2.1", start=MONDAY)], [attack("192.0.2.1", start=start)])

    assert campaigns["campaign"].tolist() == [known]
    assert campaigns["state"].tolist() == [state]


def test_without_a_past_nothing_is_said():
    _, campaigns = joined(attack("192.0.2.1", NUMBER, start=MONDAY))

    assert campaigns["state"].isna().all()
    assert campaigns["first_seen"].isna().all()


def test_an_id_that_is_the_same_by_chance_is_no_return():
    attacks, campaigns = joined(attack("192.0.2.2", NUMBER, start=THURSDAY))
    past, _ = joined(attack("192.0.2.1", OTHER, start=MONDAY))
    past["campaign"] = pd.Categorical(campaigns["campaign"].tolist())

    assert recall(attacks, campaigns, past[PAST])[1]["state"].tolist() == [NEW]


# --- in a store


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """Return a store of the same toll fraud on three days: the first, the second and the fifth."""
    folder = tmp_path_factory.mktemp("days")
    packets = sorted(make("toll fraud, 5-20 sources", 8).packets, key=lambda packet: packet[0])
    for day in (0, 1, 4):
        write_capture(folder / f"day{day}.pcap", [(packet[0] + day * DAY, *packet[1:]) for packet in packets])
    list(store_captures(sorted(folder.glob("*.pcap")), folder / "store"))
    first = pd.Timestamp(packets[0][0], unit="s", tz="UTC")
    return folder / "store", first.floor("D").tz_localize(None)


@pytest.mark.parametrize(("day", "state"), [(0, NEW), (1, CONTINUING), (4, RETURNED)])
def test_a_store_knows_what_it_has_seen(days, day, state):
    store, first = days
    whole = analyze(store)
    since = first + pd.Timedelta(days=day)
    analysis = analyze(store, since=str(since), until=str(since + pd.Timedelta(days=2 if day == 4 else 1)))

    told = analysis.campaigns.iloc[0]
    assert told["campaign"] == whole.campaigns["campaign"].iloc[0]
    assert told["state"] == state
    assert told["first_seen"].floor("D").tz_localize(None) == first
    assert set(analysis.attacks["campaign"]) <= set(analysis.campaigns["campaign"])
    assert whole.campaigns["state"].isna().all()
