"""Messages that the real programs wrote: handwriting/make.py recorded them."""

import re
from pathlib import Path

import pytest

from analyzer.tools import load_signatures, recognise

FOLDER = Path(__file__).parent / "handwriting"
AUTHORS = {"sv": "SIPVicious", "nmap": "nmap", "sipsak": "sipsak", "sipp": "SIPp"}
FILES = sorted(FOLDER.glob("*.sip"))


def author(path):
    return next(tool for prefix, tool in AUTHORS.items() if path.name.startswith(prefix))


def test_every_program_was_recorded():
    assert {author(path) for path in FILES} == set(AUTHORS.values())
    assert len(FILES) == 24


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_program_is_known_by_what_it_writes(path, written):
    (message,) = recognise(written(path.read_bytes())).to_dict("records")
    assert message["tool"] == author(path)
    assert message["tool_confidence"] >= 0.9


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_renamed_program_is_known_all_the_same(path, written):
    renamed = recognise(written(path.read_bytes(), user_agent="Zoiper rev.11137"))
    assert renamed["tool"].item() == author(path)
    assert renamed["tool_confidence"].item() >= 0.85
    assert "user-agent" not in renamed["tool_reason"].item()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_program_without_a_name_is_known_all_the_same(path, written):
    """Its User-Agent line taken out, and what it says of itself elsewhere."""
    nameless = re.sub(rb"(?im)^User-Agent:[^\n]*\n", b"", path.read_bytes())
    assert b"user-agent" not in nameless.lower()
    bare = {"from_tag": "314159", "from_name": None, "from_user": "200", "from_host": "pbx", "subject": None}
    for columns in ({}, bare):
        found = recognise(written(nameless, **columns))
        assert found["tool"].item() == author(path)
        assert found["tool_confidence"].item() >= 0.85


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_handwriting_alone_still_tells(path, written):
    """No name, no From tag, no account: what is left is layout, branch, Call-ID, Contact."""
    bare = {"user_agent": None, "from_tag": "314159", "from_name": None, "from_user": "200", "from_host": "pbx"}
    found = recognise(written(path.read_bytes(), **bare, subject=None, sdp_session=None))
    assert found["tool"].item() == author(path)


@pytest.mark.parametrize(
    ("name", "target", "account", "password"),
    [
        ("svmap-options", "127.7.7.7:5060", None, None),
        ("svmap-compact-options", "127.7.7.7:5060", None, None),
        ("svmap-invite", "127.7.7.7:5060", None, None),
        ("svmap-register", "127.7.7.7:5060", None, None),
        ("svmap-port-options", "127.7.7.7:5070", None, None),
        ("svwar-register", None, "from_user", None),
        ("svwar-compact-register", None, "from_user", None),
        ("svwar-calling-invite", None, "from_user", None),
        ("svwar-calling-ack", None, "from_user", None),
        ("svcrack-register", None, None, None),
        ("svcrack-register-authorized", None, "101", "letmein"),
        ("svcrack-compact-register-authorized", None, "101", "letmein"),
    ],
)
def test_what_the_from_tag_says(name, target, account, password, written):
    found = recognise(written((FOLDER / f"{name}.sip").read_bytes()))
    expected = found["from_user"].item() if account == "from_user" else account
    said = found[["tag_target", "tag_account", "tag_password"]].astype("object")
    assert said.where(said.notna(), None).iloc[0].tolist() == [target, expected, password]


def test_programs_that_administrators_use_are_not_hostile():
    tools = load_signatures().tools
    assert {tools[name].kind for name in ("nmap", "sipsak")} == {"admin"}
    assert tools["SIPp"].kind == "load-test"
    assert not any(tools[name].hostile for name in ("nmap", "sipsak", "SIPp"))
    assert tools["SIPVicious"].hostile
