import pandas as pd
import pytest
from factories import answers, capture_of, messages

from analyzer.sip.transactions import ACKNOWLEDGED, CONNECTED, CREDENTIALS, follow
from analyzer.tables import MESSAGES


def followed(*tables):
    table = follow(capture_of(*tables))
    return table[table["status"].isna()].reset_index(drop=True)


def test_an_answer_finds_its_request():
    asked = messages(3, method="REGISTER", to_user=["a", "b", "c"])
    requests = followed(asked, answers(asked.iloc[:1], 404), answers(asked.iloc[1:2], 401))
    assert requests["answer"].tolist()[:2] == [404, 401]
    assert pd.isna(requests["answer"][2])


def test_the_packet_of_the_answer_is_told():
    asked = messages(1)
    reply = answers(asked)
    assert followed(asked, reply)["answer_packet"].tolist() == reply["packet"].tolist()


@pytest.mark.parametrize(
    "change",
    [{"source_port": 40000}, {"source": "198.51.100.99"}, {"time": pd.Timestamp("2023-12-31T23:59:59Z")}],
    ids=["from another port", "from another address", "before the request"],
)
def test_an_answer_may_come_from_elsewhere_or_earlier(change):
    asked = messages(1)
    assert followed(asked, answers(asked).assign(**change))["answer"].tolist() == [200]


@pytest.mark.parametrize("name", ["call_id", "branch", "from_tag", "to_user"])
def test_an_answer_to_something_else_is_none(name):
    asked = messages(1, to_user="a")
    other = MESSAGES.conform(answers(asked).assign(**{name: "other"}))
    assert followed(asked, other)["answer"].isna().all()


def test_an_answer_to_somebody_else_is_none():
    asked = messages(1)
    assert followed(asked, answers(asked).assign(destination="203.0.113.5"))["answer"].isna().all()


def test_success_counts_more_than_an_earlier_refusal():
    asked = messages(1, method="INVITE")
    assert followed(asked, answers(asked, 404), answers(asked, 200, delay="1s"))["answer"].tolist() == [200]


def test_provisional_answers_are_no_final_ones():
    asked = messages(1, method="INVITE")
    requests = followed(asked, answers(asked, 100), answers(asked, 180))
    assert requests["answer"].isna().all()
    assert requests["rang"].tolist() == [True]


def test_trying_is_not_ringing():
    asked = messages(1, method="INVITE")
    assert followed(asked, answers(asked, 100))["rang"].tolist() == [False]


def test_retransmissions_share_the_answer_and_are_told_apart():
    asked = messages(1)
    again = asked.assign(time=asked["time"] + pd.Timedelta("500ms"), packet=9999)
    requests = followed(asked, again, answers(asked, 200, delay="1s"))
    assert requests["answer"].tolist() == [200, 200]
    assert requests["repeated"].tolist() == [False, True]


def test_broken_requests_are_never_taken_for_each_other():
    broken = messages(3, call_id=None, branch=None, from_tag=None)
    assert not followed(broken)["repeated"].any()


def challenge(asked):
    return answers(asked, 401, nonce="nonce-1")


def test_credentials_after_a_challenge_pursue_it():
    asked = messages(1, method="REGISTER", from_user="a", to_user="a")
    again = messages(1, start="2024-01-01T00:00:01Z", method="REGISTER", from_user="a", to_user="a", authorized=True)
    requests = followed(asked, challenge(asked), again)
    assert requests["pursued"].tolist() == [True, False]


def test_another_account_does_not_pursue_it():
    asked = messages(1, method="REGISTER", from_user="a", to_user="a")
    again = messages(1, start="2024-01-01T00:00:01Z", method="REGISTER", from_user="b", to_user="b", authorized=True)
    assert not followed(asked, challenge(asked), again)["pursued"].any()


def test_the_nonce_of_a_challenge_proves_the_source():
    asked = messages(1, method="REGISTER")
    again = messages(2, method="REGISTER", authorized=True, nonce=["nonce-1", "made up"])
    assert followed(asked, challenge(asked), again)["proof"].dropna().tolist() == [CREDENTIALS]


def test_the_nonce_of_somebody_else_proves_nothing():
    asked = messages(1, method="REGISTER", source="203.0.113.5")
    again = messages(1, method="REGISTER", authorized=True, nonce="nonce-1")
    assert followed(asked, challenge(asked), again)["proof"].isna().all()


def test_an_ack_with_the_servers_tag_proves_the_source():
    asked = messages(1, method="INVITE", call_id="c")
    acks = messages(2, method="ACK", call_id="c", to_tag=["answer", "guessed"])
    assert followed(asked, answers(asked, 404), acks)["proof"].dropna().tolist() == [ACKNOWLEDGED]


def test_who_challenges_is_a_server():
    asked = messages(1, method="REGISTER")
    keep_alive = messages(1, source="198.51.100.1", destination="192.0.2.1")
    requests = followed(asked, challenge(asked), keep_alive)
    assert requests.set_index(requests["source"].astype("str"))["from_server"].to_dict() == {
        "192.0.2.1": False,
        "198.51.100.1": True,
    }


@pytest.mark.parametrize("method", ["BYE", "OPTIONS", "NOTIFY"])
def test_who_challenges_what_is_not_asked_of_servers_is_none(method):
    asked = messages(1, method=method)
    scan = messages(1, source="198.51.100.1", destination="192.0.2.1")
    assert not followed(asked, challenge(asked), scan)["from_server"].any()


def test_a_challenge_that_nobody_asked_for_makes_no_server():
    nobody = messages(1, method="REGISTER", destination="203.0.113.66", destination_port=5060)
    scanner = messages(1, source="203.0.113.66")
    requests = followed(challenge(nobody), scanner)
    assert not requests["from_server"].any()


def test_nothing_becomes_of_nothing():
    assert follow(MESSAGES.empty()).empty


def test_the_order_of_rows_changes_nothing():
    asked = messages(20, method="REGISTER", to_user=[str(number) for number in range(20)])
    table = capture_of(asked, answers(asked, 401))
    shuffled = MESSAGES.conform(table.sample(frac=1, random_state=1))
    columns = ["packet", "answer", "answer_packet", "pursued", "proof", "rang"]
    expected = follow(table)[columns].sort_values("packet", ignore_index=True)
    pd.testing.assert_frame_equal(follow(shuffled)[columns].sort_values("packet", ignore_index=True), expected)


@pytest.mark.parametrize(("transport", "proof"), [("udp", None), ("tcp", CONNECTED), ("ws", CONNECTED)])
def test_an_answer_on_a_connection_proves_its_address(transport, proof):
    asked = messages(1, transport=transport)
    followed = follow(capture_of(asked, answers(asked)))
    (told,) = followed.loc[followed["status"].isna(), "proof"].astype("object").where(lambda word: word.notna(), None)
    assert told == proof


def test_a_connection_without_an_answer_proves_nothing():
    assert follow(messages(1, transport="tcp"))["proof"].isna().all()
