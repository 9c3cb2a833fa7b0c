"""What was found stays found; what was silent for long is forgotten, and still counted."""

import pandas as pd
import pyarrow as pa
import pytest
from factories import answers, capture_of, messages

from analyzer.analysis import Reading, examine
from analyzer.ledger import Bounds, Ledger, _packed
from analyzer.sip.transactions import follow
from analyzer.tables import ANOMALIES, CAPTURES, FATES, FLOWS, STRAYS
from analyzer.tools import recognise
from analyzer.window import SENT

GUESSER = "203.0.113.9"


def analysis_of(table):
    reading = Reading(
        messages=follow(recognise(table)), anomalies=ANOMALIES.empty(), fates=FATES.empty(), captures=CAPTURES.empty(),
        strays=STRAYS.empty(), flows=FLOWS.empty(),
    )  # fmt: skip
    return examine(reading)


def sent_of(table):
    asked = table[table["status"].isna()]
    grouped = asked.groupby(asked["source"].astype("str"))["time"].agg(["size", "min", "max"])
    columns = {
        "source": [_packed(name) for name in grouped.index],
        "requests": grouped["size"].tolist(),
        "first": [time.value for time in grouped["min"]],
        "last": [time.value for time in grouped["max"]],
    }
    return pa.table(columns, schema=SENT)


def guesses(count=60, *, start="2024-01-01T00:00Z", breach=True, source=GUESSER, account="101", **columns):
    """Return guesses at one account, of which the last is right."""
    tries = messages(
        count, start=start, every="200ms", method="REGISTER", authorized=True, auth_user=account, to_user=account,
        from_user=account, nonce="n", source=source, uri="sip:198.51.100.1", **columns,
    )  # fmt: skip
    replies = answers(tries, [401] * (count - 1) + [200 if breach else 401], nonce="n")
    return capture_of(tries, replies)


def take(ledger, table, *, fresh=None, seconds=1.0):
    """Let a ledger take in the analysis of a window, of which the rows of fresh are new; return the events."""
    ledger.count([sent_of(table if fresh is None else fresh)], seconds)
    events = ledger.update(analysis_of(table))
    ledger.settle()
    return events


def test_an_attack_and_a_breach_are_told_once():
    ledger, table = Ledger(), guesses()
    told = [event.what for event in take(ledger, table)]
    assert sorted(told) == ["attack", "breach"]
    assert take(ledger, table, fresh=table.iloc[:0]) == []
    assert (ledger.totals.breaches, ledger.totals.attackers, ledger.totals.campaigns) == (1, 1, 1)
    assert ledger.totals.requests == 60
    (attacker,) = ledger.attackers.values()
    assert attacker.requests == 60
    assert attacker.rate > 0


def test_a_worse_outcome_is_told_where_no_finding_tells_it():
    ledger = Ledger()
    table = guesses(breach=False)
    assert [event.what for event in take(ledger, table)] == ["attack"]
    more = capture_of(table, guesses(1, start="2024-01-01T00:00:12Z"))
    (event,) = take(ledger, more, fresh=more.iloc[-2:])
    assert (event.what, event.finding.account, event.source) == ("breach", "101", GUESSER)
    assert ledger.attackers[GUESSER].outcome == 7


def test_a_breach_stays_though_the_window_moves_on():
    ledger, table = Ledger(), guesses()
    take(ledger, table)
    innocent = messages(5, start="2024-01-01T01:00Z", source=GUESSER, method="OPTIONS")
    assert take(ledger, innocent) == []
    (campaign,) = ledger.campaigns.values()
    assert campaign.breached == {"101"}
    assert ledger.attackers[GUESSER].outcome == 7
    assert ledger.attackers[GUESSER].requests == 65
    assert len(ledger.findings) == 1


def test_what_all_messages_of_a_source_disprove_is_taken_back():
    ledger, table = Ledger(), guesses(breach=False)
    take(ledger, table)
    cleared = table.iloc[:4].reset_index(drop=True)  # as if all that was ever sent looked harmless now
    ledger._sent = sent_of(cleared)
    ledger.attackers[GUESSER].requests = 2
    (event,) = take(ledger, cleared, fresh=cleared.iloc[:0])
    assert event.what == "withdrawn"
    assert not ledger.attackers
    assert not ledger.campaigns
    assert (ledger.totals.attackers, ledger.totals.campaigns) == (0, 0)


def test_a_campaign_goes_on_under_the_id_that_stronger_evidence_gives_it():
    ledger = Ledger()
    analysis = analysis_of(guesses())
    ledger.count([sent_of(guesses())], 1.0)
    ledger.update(analysis)
    ledger.settle()
    (before,) = ledger.campaigns
    renamed = {"campaign": "other"}
    later = type(analysis)(**{
        **vars(analysis),
        "campaigns": analysis.campaigns.assign(**renamed),
        "attacks": analysis.attacks.assign(**renamed),
    })  # fmt: skip
    assert ledger.update(later) == []
    assert before != "other"
    assert list(ledger.campaigns) == ["other"]
    assert ledger.campaigns["other"].breached == {"101"}
    assert ledger.totals.campaigns == 1


def test_the_silent_are_forgotten_and_still_counted():
    ledger, table = Ledger(), guesses()
    take(ledger, table)
    now = pd.Timestamp("2024-01-03T00:00Z")
    ledger.forget(now, [GUESSER])  # what is in the window stays
    assert ledger.attackers
    ledger.update(analysis_of(messages(0)))
    ledger.forget(now, [])
    assert not ledger.attackers
    assert not ledger.campaigns
    assert ledger.totals.outcomes == {"breached": 1}
    assert (ledger.totals.attackers, ledger.totals.campaigns, ledger.totals.breaches) == (1, 1, 1)
    assert len(ledger.findings) == 1


def test_forgotten_members_still_count_for_their_campaign():
    ledger = Ledger()
    one, other = guesses(source="203.0.113.1"), guesses(source="203.0.113.2", start="2024-01-01T00:01Z")
    take(ledger, capture_of(one, other))
    ledger.forget(pd.Timestamp("2024-01-03T00:00Z"), ["203.0.113.2"])
    ledger.count([], 1.0)
    ledger.settle()
    campaigns = [campaign for campaign in ledger.campaigns.values() if campaign.gone]
    for campaign in campaigns:
        assert campaign.sources == 2
        assert campaign.requests == 120
    assert list(ledger.attackers) == ["203.0.113.2"]
    assert ledger.totals.attackers == 2


def test_everything_is_bounded():
    bounds = Bounds(sources=10, attackers=5, campaigns=5, findings=3, names=10)
    ledger = Ledger(bounds)
    for number in range(30):
        start = pd.Timestamp("2024-01-01T00:00Z") + pd.Timedelta(hours=number)
        table = guesses(40, start=start, source=f"203.0.113.{number}", account=f"2{number}")
        events = take(ledger, table)
        assert {"attack", "breach"} == {event.what for event in events}
        ledger.forget(start, [f"203.0.113.{number}"])
        assert len(ledger.attackers) <= 5
        assert len(ledger.campaigns) <= 5
        assert len(ledger.findings) <= 3
        assert len(ledger._sent) <= 10
        assert sum(campaign.names for campaign in ledger.campaigns.values()) <= 10
    assert (ledger.totals.sources, ledger.totals.attackers, ledger.totals.breaches) == (30, 30, 30)
    assert ledger.totals.campaigns == 30
    assert sum(ledger.totals.outcomes.values()) + len(ledger.campaigns) == 30


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"])
def test_an_address_is_sixteen_bytes(address):
    assert len(_packed(address)) == 16
