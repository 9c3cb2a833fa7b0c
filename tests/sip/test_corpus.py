"""Real captures: every UDP message is read as the ground truth has it, cell for cell, on any port."""

import csv

import pandas as pd
import pytest
from needs import CORPUS, corpus

from analyzer.engines import ENGINES
from analyzer.sip.assembly import merge
from analyzer.sip.parser import parse

CAPTURES = sorted(str(path.relative_to(CORPUS)).removesuffix(".sip.tsv") for path in CORPUS.glob("*/*.sip.tsv"))
COLUMNS = {
    "ip.src": "source", "ip.dst": "destination", "srcport": "source_port", "dstport": "destination_port",
    "method": "method", "sip.Status-Code": "status", "sip.Call-ID": "call_id", "cseq": "cseq",
    "sip.User-Agent": "user_agent", "sip.Server": "server", "sip.from.user": "from_user", "sip.to.user": "to_user",
    "sip.r-uri": "uri",
}  # fmt: skip
"""The columns of the truth (method and cseq: made from sip.Method and sip.CSeq) that ours must equal."""
LINKS = ("", "null", "raw", "sll")
"""The encapsulations of the truth that are no tunnels."""
EXPLAINED: dict[tuple[str, int], str] = {}
"""The deviations, by capture and packet, and why the truth is wrong there. There are none."""


def truth_of(capture):
    """Return the messages that UDP carries as it is: not quoted by ICMP, not in a tunnel, not in fragments."""
    with corpus(f"{capture}.sip.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        row["cseq"], _, method = row["sip.CSeq"].partition(" ")
        row["method"] = row["sip.Method"] or method
    return [
        row
        for row in rows
        if row["transport"] == "udp"
        and row["in_icmp"] == "0"
        and row["encap"] in LINKS
        and "frag" not in row["frame.protocols"]
    ]


def show(value):
    return "" if pd.isna(value) else str(value)


@pytest.mark.parametrize("capture", CAPTURES)
def test_messages_are_those_of_the_truth(capture):
    path = corpus(capture)
    messages = merge([parse(packets, capture=capture)[0] for packets in ENGINES["native"](path)])
    ours = messages.set_index("packet")
    truth = truth_of(capture)
    deviations = [
        (number, column, row[key], show(ours.loc[number, column]) if number in ours.index else "no such message")
        for row in truth
        for number in [int(row["frame.number"])]
        for key, column in COLUMNS.items()
        if number not in ours.index or row[key] != show(ours.loc[number, column])
    ]

    assert [deviation for deviation in deviations if (capture, deviation[0]) not in EXPLAINED] == []
    assert len({row["frame.number"] for row in truth}) == len(truth)


def test_the_corpus_is_there():
    corpus()
    assert len(CAPTURES) == 57
    assert sum(len(truth_of(capture)) for capture in CAPTURES) == 3571
