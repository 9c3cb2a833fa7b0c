import pytest
from factories import answers, capture_of, messages

from analyzer.campaigns import join_campaigns
from analyzer.detectors import find_attacks
from analyzer.sip.transactions import CREDENTIALS, follow
from analyzer.sources import judge_sources
from analyzer.tables import SOURCES


def judged(*tables):
    table = follow(capture_of(*tables))
    suspicions = find_attacks(table)
    attacks, _ = join_campaigns(suspicions, table)
    return judge_sources(table, attacks, suspicions).set_index("source")


def registered(source="192.0.2.1", status=200):
    first = messages(1, method="REGISTER", source=source, from_user="a", to_user="a")
    again = messages(
        1, start="2024-01-01T00:00:01Z", method="REGISTER", source=source, from_user="a", to_user="a",
        authorized=True, auth_user="a", nonce="n", user_agent="Phone 1.0",
    )  # fmt: skip
    return capture_of(first, answers(first, 401, nonce="n"), again, answers(again, status))


def test_a_customer_is_innocent_and_proven():
    source = judged(registered()).loc["192.0.2.1"]
    assert (source["verdict"], source["proven"]) == ("innocent", CREDENTIALS)
    assert source["why"] == "credentials accepted for 1 account"
    assert source["methods"] == ["REGISTER 2"]
    assert sorted(source["answers"]) == ["200 1", "401 1"]
    assert source["user_agents"] == ["Phone 1.0"]
    assert source["accounts"] == ["a"]


def test_a_wrong_password_is_called_so():
    assert "a wrong password" in judged(registered(status=403)).loc["192.0.2.1", "why"]


def test_an_attacker_is_accused_with_reasons():
    users = [str(number) for number in range(30)]
    scan = messages(30, method="REGISTER", source="203.0.113.5", to_user=users, contact="sip:x@198.51.100.1")
    sources = judged(registered(), scan, answers(scan, 404))
    assert sources["verdict"].to_dict() == {"192.0.2.1": "innocent", "203.0.113.5": "attacking"}
    assert sources.loc["203.0.113.5", "why"] == "enumeration (rejected)"
    assert sources.loc["203.0.113.5", "campaign"]


def test_a_stranger_who_calls_abroad_once_is_suspicious():
    call = messages(1, method="INVITE", uri_user="900442079460123")
    assert judged(call, answers(call, 403)).loc["192.0.2.1", "verdict"] == "suspicious"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"method": "OPTIONS"}, "keeps alive with OPTIONS"),
        ({"method": "ACK"}, "only takes part in calls of others"),
        ({"method": "SUBSCRIBE"}, "nothing that a scanner does"),
        ({"method": "INVITE"}, "3 calls, 0 answered"),
    ],
)
def test_the_innocent_have_a_reason(columns, words):
    assert judged(messages(3, **columns)).loc["192.0.2.1", "why"] == words


def test_nobody_is_judged_for_nothing():
    table = follow(messages(0))
    assert list(judge_sources(table, find_attacks(table)).columns) == list(SOURCES.columns)
