"""Captures that this project did not make: the honest are not accused, the known traces are named."""

import os
from pathlib import Path

import pandas as pd
import pytest

from analyzer.engines.native import read_packets
from analyzer.sip.parser import merge, parse
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
