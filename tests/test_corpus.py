"""Real captures that nobody here made: their attacks are found, and their telephones are left in peace."""

import csv

import pytest
from needs import CORPUS, corpus

from analyzer.analysis import analyze

BRUTE_FORCE = "initconf__sip-attacks/SIP-Bruteforce-Single-IP.pcap"
TOLL_FRAUD = "initconf__sip-attacks/SIP-3700-unauthorized-401.pcap"
MISLABELLED = "CESNET__ipfixprobe/functional__inputs__sip.pcap"
"""Its class says benign, and it holds svmap, svwar and svcrack, which finds the password of 6001 (packets 46, 48)."""
SCANNED = "ntop__nDPI/gre.pcap"
"""Its class says benign, and its first packet is svmap's OPTIONS, by its own name and with its tag."""


def listed():
    if not (CORPUS / "MANIFEST.csv").exists():
        return []
    with (CORPUS / "MANIFEST.csv").open(newline="") as manifest:
        return list(csv.DictReader(manifest))


def test_a_brute_force_attack_of_eight_hours():
    analysis = analyze(corpus(BRUTE_FORCE))
    messages = analysis.messages
    assert len(messages) == 2645
    assert ((messages["method"] == "REGISTER") & messages["status"].isna()).sum() == 1626
    assert analysis.sources["verdict"].tolist() == ["attacking"]
    guessing = analysis.attacks[analysis.attacks["kind"] == "password-guessing"]
    (attack,) = guessing.to_dict("records")
    assert len(attack["accounts"]) == 45
    assert len(attack["targets"]) == 2
    assert attack["breached"] == []
    assert attack["outcome"] == "challenged"
    assert len(analysis.campaigns) == 1


def test_toll_fraud_through_carriers():
    analysis = analyze(corpus(TOLL_FRAUD))
    (campaign,) = analysis.campaigns.to_dict("records")
    assert campaign["tools"] == ["sipcli"]
    assert "toll-fraud" in campaign["kinds"]
    assert campaign["numbers"] == ["972598072172", "972599501806"]
    carriers = ("1010222", "1010333", "1010432", "1010555")
    assert campaign["prefixes"] == sorted(["011", "9011", *(f"{carrier}011" for carrier in carriers)])
    assert campaign["answered"] == []


def test_an_attack_that_its_label_hides():
    analysis = analyze(corpus(MISLABELLED))
    (campaign,) = analysis.campaigns.to_dict("records")
    assert campaign["tools"] == ["SIPVicious"]
    assert campaign["breached"] == ["6001"]
    guessing = analysis.attacks[analysis.attacks["kind"] == "password-guessing"]
    assert guessing["decisive"].tolist() == [48]


def test_a_scanner_in_a_tunnel():
    analysis = analyze(corpus(SCANNED))
    (attack,) = analysis.attacks.to_dict("records")
    assert (attack["kind"], attack["tool"], attack["evidence"]) == ("tool", "SIPVicious", [1])
    assert analysis.sources["verdict"].tolist().count("attacking") == 1


PEACEFUL = [
    row["file"] for row in listed() if row["traffic_class"] in ("benign", "negative", "crafted")
    and row["file"] not in (MISLABELLED, SCANNED)
]  # fmt: skip


@pytest.mark.parametrize("file", PEACEFUL or [""])
def test_nobody_is_accused(file):
    analysis = analyze(corpus(file))
    assert analysis.attacks.empty
    assert analysis.campaigns.empty
    assert "suspicious" not in set(analysis.sources["verdict"])


@pytest.mark.parametrize("row", listed() or [{"file": "", "packets": 0}], ids=lambda row: row["file"])
def test_every_packet_has_one_fate(row):
    assert analyze(corpus(row["file"])).fates["packets"].sum() == int(row["packets"])
