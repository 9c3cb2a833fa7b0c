"""Rules asked batch by batch find what rules asked message by message find, and copy no column that stays."""

import random
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import messages

from analyzer.tables import COLUMNS, MESSAGES, WORD
from analyzer.tools import load_signatures, recognise, recognition
from analyzer.tools.signatures import TOOLS

FOLDER = Path(__file__).parent / "handwriting"
LAYOUTS = (
    "Via,Max-Forwards,To,From,User-Agent,Call-ID,Contact,CSeq,Accept,Content-Length",
    "To,From,Via,Call-ID,CSeq,Contact,Max-Forwards,Allow,User-Agent,Content-Type,Content-Length",
    "Via,From,To,Call-ID,CSeq,Contact,Max-Forwards,User-Agent,Accept,Content-Length",
    "Via,From,To,Contact,Call-ID,CSeq,Max-Forwards,User-Agent,Allow,Expires,Content-Length",
)
VALUES = {
    "user_agent": (
        None, "friendly-scanner", "Asterisk PBX", " sipcli/v1.8", "abc", "Zoiper rev.11137", "Cisco v11.0.0",
    ),
    "layout": (None, *LAYOUTS),
    "branch": (
        None, "", "z9hG4bK-4139097255", "z9hG4bK-0123456789", "z9hG4bK.0a1b2c3d", f"z9hG4bK-{'a1' * 16}", "foo",
        "q7d0mzk3x9" * 7 + "a", "1F8b5C6T44G2CJt", "branchA1b2C3d4E5", "z9hG4bKnight\n7", "z9hG4bK-1-2-3",
    ),
    "from_tag": (
        None, "", "6333373161633236313363350131313732393735333339", "3206210844", "70c00e8c", "482910", "root",
    ),
    "call_id": (None, "1413354990", "a1" * 16, f"call{'aB3' * 10}@pbx", "1-2@pbx", "50000"),
    "from_user": (None, "100", "abc", "sipsak", "3982516068"),
    "to_user": (None, "100", "thisisthecanary"),
    "from_host": (None, "1.1.1.1", "nm"),
    "method": (None, "REGISTER", "OPTIONS"),
    "status": (None, None, None, 200),
    "cseq": (None, 1, 42),
    "contact": (None, "sip:100@192.0.2.1", "<sip:100@192.0.2.1:5060;transport=udp>;expires=120"),
    "sdp_session": (None, "svwar"),
}  # fmt: skip


def expression(pattern):
    """Return an expression of RE2 in the spelling of Python, which has flags for groups only."""
    return re.sub(r"\(\?:\(\?i\)", "(?i:", f"(?:{pattern})")


def holds(mark, message, tagged):
    """Say whether a message bears a mark, slowly and obviously."""
    value = message[mark.column]
    if mark.decodes:
        return tagged
    if mark.missing:
        return value is None
    if value is None:
        return False
    if mark.same_as:
        return message[mark.same_as] is not None and value == mark.after + message[mark.same_as]
    value = value.strip() if COLUMNS[mark.column].dtype == WORD else value
    return value == mark.equals if mark.pattern is None else bool(re.fullmatch(expression(mark.pattern), value))


def naive(found, signatures):
    """Return tool, confidence and reason of each message: those of the first rule whose marks it bears."""
    rows = found.astype("object").where(found.notna().astype(bool), None).to_dict("records")
    for message in rows:
        tagged = any(message[name] is not None for name in ("tag_target", "tag_account", "tag_password"))
        rules = signatures.rules if message["status"] is None else ()
        rule = next((rule for rule in rules if all(holds(mark, message, tagged) for mark in rule.marks)), None)
        yield (rule.tool, rule.confidence, rule.reason) if rule else (None, None, None)


def said(found):
    columns = found[["tool", "tool_confidence", "tool_reason"]].astype("object")
    return list(columns.where(columns.notna(), None).itertuples(index=False, name=None))


def mixture(count, seed):
    """Return messages with marks of many tools, at random."""
    rng = random.Random(seed)
    return messages(count, **{name: [rng.choice(some) for _ in range(count)] for name, some in VALUES.items()})


@pytest.mark.parametrize("seed", range(4))
def test_the_naive_twin_agrees(seed):
    signatures = load_signatures()
    found = recognise(mixture(250, seed), signatures)
    assert found["tool"].nunique() > 5
    assert said(found) == list(naive(found, signatures))


def test_the_naive_twin_agrees_on_recordings(written):
    signatures = load_signatures()
    found = recognise(written(*(path.read_bytes() for path in sorted(FOLDER.rglob("*.sip")))), signatures)
    assert said(found) == list(naive(found, signatures))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_batches_do_not_show(size, monkeypatch):
    table = mixture(200, 5)
    whole = recognise(table)
    monkeypatch.setattr(recognition, "BATCH", size)
    pd.testing.assert_frame_equal(recognise(table), whole)


def test_columns_that_stay_are_not_copied():
    table = mixture(50, 6)
    found = recognise(table)
    assert np.shares_memory(found["packet"].to_numpy(), table["packet"].to_numpy())
    assert list(found) == list(MESSAGES.columns)


def test_a_table_out_of_order_is_brought_into_order():
    table = mixture(50, 7)
    shuffled = table.iloc[::-1]
    found = recognise(shuffled)
    assert found.index.tolist() == list(range(50))
    assert found["tool"].astype("str").tolist()[::-1] == recognise(table)["tool"].astype("str").tolist()


def test_every_kind_of_tool_has_rules():
    signatures = load_signatures()
    assert {signatures.tools[rule.tool].kind for rule in signatures.rules} == set(TOOLS)
    assert not {rule.tool for rule in signatures.rules} & {rule.tool for rule in signatures.hands}
