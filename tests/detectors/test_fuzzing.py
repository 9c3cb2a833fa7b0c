"""Who sends what is wrong in ever new ways is found; a telephone with one fault is not."""

import pandas as pd
import pytest
from factories import answers, capture_of, messages

from analyzer.detectors.fuzzing import FLAWS, Fuzzing, mark_flaws
from analyzer.evidence import opening_requests
from analyzer.sip.grammar import REASONS
from analyzer.sip.transactions import follow
from analyzer.tables import ANOMALIES


def flawed(table, reasons_of):
    """Return the anomalies of a table: row number → reasons."""
    rows = [
        {"time": row.time, "capture": row.capture, "packet": row.packet, "reason": reason, "detail": None}
        for number, row in enumerate(table.itertuples())
        for reason in reasons_of(number)
    ]
    return ANOMALIES.conform(pd.DataFrame(rows, columns=ANOMALIES.columns))


def found(table, anomalies):
    return Fuzzing()(mark_flaws(opening_requests(follow(table)), anomalies))


def ever_new(number):
    return [FLAWS[number % len(FLAWS)], FLAWS[number * 7 % len(FLAWS)]]


def test_a_fuzzer_is_found():
    table = messages(200, method="INVITE", every="1s")
    (attack,) = found(table, flawed(table, ever_new)).to_dict("records")
    assert (attack["kind"], attack["messages"], attack["source"]) == ("exploit", 200, "192.0.2.1")


@pytest.mark.parametrize(
    "reasons_of",
    [lambda _: ["content-length too large"], lambda n: [FLAWS[n % 3]], lambda n: ever_new(n) if n < 40 else []],
    ids=["one fault", "three faults", "a conformance test"],
)
def test_others_are_not(reasons_of):
    table = messages(500, method="REGISTER")
    assert found(table, flawed(table, reasons_of)).empty


def test_a_customer_with_a_broken_telephone_is_none():
    table = messages(200, method="REGISTER", authorized=True, nonce="n")
    assert found(capture_of(table, answers(table)), flawed(table, ever_new)).empty


def test_what_the_recorder_cut_blames_nobody():
    table = messages(200)
    assert found(table, flawed(table, lambda _: ["cut by snap length", "bad start line"])).empty


def test_flaws_are_those_of_the_grammar():
    assert set(FLAWS) < set(REASONS.values())


def test_flaws_are_of_the_packet_of_the_capture():
    one, two = messages(3, capture="one.pcap", packet=[1, 2, 3]), messages(3, capture="two.pcap", packet=[1, 2, 3])
    requests = mark_flaws(
        opening_requests(follow(capture_of(one, two))), flawed(two, lambda n: ["bad cseq"] * (n == 1))
    )
    marked = requests[requests["flaws"] > 0]
    assert marked[["capture", "packet"]].astype({"capture": "str"}).to_numpy().tolist() == [["two.pcap", 2]]


def test_unmarked_requests_are_none():
    assert Fuzzing()(opening_requests(follow(messages(100)))).empty
