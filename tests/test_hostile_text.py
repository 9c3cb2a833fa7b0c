"""Text that was made to keep us busy, in every field: the report is there within seconds."""

import time

import pandas as pd
import pytest
from factories import answers, capture_of, messages

from analyzer.analysis import Analysis
from analyzer.campaigns import join_campaigns
from analyzer.detectors import find_attacks
from analyzer.detectors.exploit import injects
from analyzer.evidence import opening_requests, ordinary_keys
from analyzer.reports import write_report
from analyzer.sip.transactions import follow
from analyzer.sources import judge_sources
from analyzer.tables import CAPTURES, TABLES

LENGTH = 400_000
"""Characters of a text."""
SECONDS = 12
"""How much of a processor detectors and report may take."""
FIELDS = (
    "uri", "uri_user", "from_name", "from_user", "from_host", "from_tag", "to_user", "to_host", "call_id", "via_host",
    "branch", "contact", "user_agent", "subject", "auth_user", "layout", "sdp_origin", "sdp_session", "media",
    "tag_target", "tag_account", "tag_password",
)  # fmt: skip
WORDS = {
    "spaces": "' ", "quote and spaces": "' " + " " * 98, "tags": "< ", "lines": "\r\n", "curls": "-curl ",
    "users": "sip:", "addresses": "@1.2.3", "colons": "[a:", "digits": "0044", "escapes": "%0d%0a%27",
    "marks": "\u202e", "semicolons": ";:", "dollars": "${lower:", "quotes": '"', "dots": "../", "pluses": "+or+",
    "commas": "=,",
}  # fmt: skip
"""What a text repeats."""


def hostile(word):
    """Return requests of several sources whose fields hold such a text, and the answers to them."""
    text = (word * LENGTH)[: LENGTH - 1]
    rows = [f"{number}{text}{number}@" for number in range(3)]
    requests = messages(3, method="INVITE", source=[f"192.0.2.{n}" for n in range(3)], **dict.fromkeys(FIELDS, rows))
    return follow(capture_of(requests, answers(requests)))


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_text_that_is_to_keep_us_busy_does_not(word, tmp_path):
    told = hostile(word)
    begun = time.process_time()
    opening = opening_requests(told)
    found = find_attacks(told, requests=opening)
    attacks, campaigns = join_campaigns(found, told, ordinary=ordinary_keys(opening, found["source"].astype("str")))
    sources = judge_sources(told, attacks, found, opening=opening)
    others = {name: TABLES[name].empty() for name in ("anomalies", "fates", "strays")}
    captures = CAPTURES.conform(pd.DataFrame({"capture": ["x"], "packets": [6]}), missing=True)
    analysis = Analysis(
        messages=told, sources=sources, attacks=attacks, campaigns=campaigns, captures=captures, **others
    )
    write_report(analysis, tmp_path)
    assert time.process_time() - begun < SECONDS


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_whether_a_text_injects_takes_time_in_proportion_to_it(word):
    begun = time.process_time()
    injects(f"0{word * LENGTH}"[:LENGTH] + "@")
    assert time.process_time() - begun < SECONDS / 6
