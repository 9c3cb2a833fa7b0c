"""Captures that this project did not make: the honest are not accused, the known traces are named."""

import os
from pathlib import Path

import pandas as pd
import pytest

from analyzer.engines.native import read_packets
from analyzer.sip.assembly import merge
from analyzer.sip.parser import parse
from analyzer.tools import load_signatures, recognise

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
CARRIERS = {"CESNET__ipfixprobe/functional__inputs__sip.pcap", "ntop__nDPI/gre.pcap", "ntop__nDPI/gre.pcapng"}
"""Captures called benign that carry real messages of SIPVicious."""

if not CORPUS.is_dir() and os.environ.get("SIPSCOPE_TESTS") != "all":
    pytest.skip(f"{CORPUS} is not there", allow_module_level=True)

MANIFEST = pd.read_csv(CORPUS / "MANIFEST.csv", keep_default_na=False)
HONEST = sorted(MANIFEST.loc[MANIFEST["traffic_class"].isin(["benign", "negative"]), "file"])


def messages_of(name):
    return merge([parse(packets, capture=name)[0] for packets in read_packets(CORPUS / name)])


@pytest.mark.parametrize("name", HONEST)
def test_the_honest_are_not_accused(name):
    found = recognise(messages_of(name))
    tools = load_signatures().tools
    accused = {tool for tool in found["tool"].dropna().unique() if tools[tool].hostile}
    assert accused <= ({"SIPVicious"} if name in CARRIERS else set())


@pytest.mark.parametrize(
    ("name", "tool", "share"),
    [
        ("initconf__sip-attacks/SIP-Bruteforce-Single-IP.pcap", "Cisco v11.0.0", 0.9),
        ("initconf__sip-attacks/SIP-3700-unauthorized-401.pcap", "sipcli", 0.6),
        ("CESNET__ipfixprobe/functional__inputs__sip.pcap", "SIPVicious", 0.9),
    ],
)
def test_real_attacks_are_named(name, tool, share):
    found = recognise(messages_of(name))
    requests = found[found["status"].isna()]
    assert set(requests["tool"].astype("str")) == {tool}
    assert (requests["tool_confidence"] >= share).all()


def test_what_real_tags_say():
    found = recognise(messages_of("CESNET__ipfixprobe/functional__inputs__sip.pcap"))
    said = found.dropna(subset=["tag_account"])
    assert (said["tag_account"].astype("str") == said["to_user"].astype("str")).mean() > 0.9
    aimed = found.dropna(subset=["tag_target"])
    where = aimed["destination"].astype("str") + ":" + aimed["destination_port"].astype("str")
    assert (where == aimed["tag_target"].astype("str")).all()
    assert len(aimed) >= 9
