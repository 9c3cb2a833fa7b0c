"""Signature files: what they add, and what is wrong with them."""

import pytest
from factories import messages

from analyzer.errors import SettingsError
from analyzer.tools import contradictions, load_signatures, recognise, writers
from analyzer.tools.signatures import KINDS

OWN = """
[tools."Our scanner"]
kind = "scanner"
hostile = true
summary = "the one that calls at night"
source = "our log"
user_agents = [{ names = ["nightcaller"], tier = "high", seen = "us" }]

[tools."Our scanner".marks]
branch = { column = "branch", pattern = "z9hG4bKnight[0-9]+" }
layout = { column = "layout", headers = ["LF?", "Via", "To", "Call-ID*", "CSeq?", "From"] }
port = { column = "cseq", equals = 7 }
silent = { column = "user_agent", missing = true }

[[tools."Our scanner".rules]]
marks = ["branch", "silent"]
confidence = 0.8
[[tools."Our scanner".rules]]
marks = ["layout", "port"]
confidence = 0.7

[tools.sipsak]
hostile = true
user_agents = [{ names = ["our-sipsak"], tier = "medium" }]

[[names]]
names = ["Asterisk PBX 1.2.3"]
exact = true
tier = "medium"
"""

MARK = 'marks.m = { column = "branch", equals = "a" }'


@pytest.fixture
def write(tmp_path):
    """Write TOML to a file and return its path."""

    def file(text, name="own.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return file


@pytest.fixture
def tool_of(write):
    """Return the tool that OWN names for one message."""
    signatures = load_signatures(write(OWN))
    return lambda **columns: recognise(messages(1, **columns), signatures).iloc[0][["tool", "tool_confidence"]].tolist()


def test_a_file_adds_tools(tool_of):
    assert tool_of(user_agent="nightcaller/2") == ["Our scanner", 0.9]
    assert tool_of(branch="z9hG4bKnight1") == ["Our scanner", 0.8]
    assert tool_of(branch="z9hG4bKnight1", user_agent="Zoiper")[0] != "Our scanner"
    assert tool_of(user_agent="Asterisk PBX 1.2.3") == ["Asterisk PBX 1.2.3", 0.4]
    assert tool_of(user_agent="friendly-scanner") == ["SIPVicious", 0.9]


@pytest.mark.parametrize(
    ("layout", "found"),
    [
        ("Via,To,Call-ID,CSeq,From", True),
        ("LF Via,To,Call-ID,From", True),
        ("Via,To,Call-ID:__~,From", True),
        ("Via,To,Call-ID:,CSeq,From", True),
        ("Via,To,Call-ID,CSeq,From,X", False),
        ("X,Via,To,Call-ID,CSeq,From", False),
        ("Via,To,CSeq,From", False),
        ("Via,To:,Call-ID,From", False),
        ("via,to,call-id,from", False),
        (None, False),
    ],
)
def test_layouts(layout, found, tool_of):
    assert (tool_of(layout=layout, cseq=7)[0] == "Our scanner") is found


def test_numbers_are_compared_as_numbers(tool_of):
    assert tool_of(layout="Via,To,Call-ID,From", cseq=8)[0] != "Our scanner"
    assert tool_of(layout="Via,To,Call-ID,From", cseq=None)[0] != "Our scanner"


def test_a_file_changes_tools_and_keeps_the_rest(write):
    tool, before = load_signatures(write(OWN)).tools["sipsak"], load_signatures().tools["sipsak"]
    assert tool.hostile
    assert not before.hostile
    assert (tool.kind, tool.summary) == (before.kind, before.summary)
    assert tool.user_agents[: len(before.user_agents)] == before.user_agents


PHONE = """
[tools."Our phone"]
kind = "phone"
user_agents = [{ names = ["ourphone"], tier = "high" }]
[tools."Our phone".marks]
branch = { column = "branch", pattern = "z9hG4bKours[0-9]+" }
[[tools."Our phone".rules]]
marks = ["branch"]
confidence = 0.95
"""


def test_a_phone_is_known_and_never_named_as_a_tool(write):
    signatures = load_signatures(write(PHONE))
    table = messages(2, user_agent=["ourphone/2", "Yealink SIP-T46S 66.84.0.15"], branch="z9hG4bKours7")
    assert recognise(table, signatures)["tool"].isna().all()
    assert writers(table, signatures).tolist() == ["Our phone", "Our phone"]
    assert contradictions(table, signatures)["reason"].tolist() == ["claims Yealink, writes like Our phone"]
    again = load_signatures(write(PHONE), write('[tools."Our phone"]\nrelays = true', "relays.toml"))
    assert contradictions(table, again).empty


def test_later_files_win(write):
    first = write('[tools.t]\nkind = "scanner"\nsummary = "one"', "1.toml")
    second = write('[tools.t]\nsummary = "two"\nkind = "dialler"', "2.toml")
    assert load_signatures(first, second).tools["t"].summary == "two"
    assert load_signatures(second, first).tools["t"].kind == "scanner"


def test_marks_of_an_earlier_file_can_be_used(write):
    own = write('[[tools.sipcli.rules]]\nmarks = ["tag", "call-id"]\nconfidence = 0.3')
    found = recognise(messages(1, from_tag="0fa3b721", call_id="0" * 32), load_signatures(own))
    assert found["tool"].item() == "sipcli"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("tool = 1", "tool"),
        ("tools = 1", "tools"),
        ("names = 1", "names"),
        ("[tools]\nt = 1", "tools.t"),
        ('[tools.t]\nkind = "worm"', "tools.t.kind"),
        ("[tools.t]\nkind = 1", "tools.t.kind"),
        ('[tools.t]\nhostile = "yes"', "tools.t.hostile"),
        ('[tools.t]\nkind = "pbx"\ncolour = "red"', "tools.t.colour"),
        ('[tools.t]\nkind = "phone"\nhostile = true', "tools.t.hostile"),
        ('[tools.t]\nrelays = "yes"', "tools.t.relays"),
        ("[tools.t]\nuser_agents = [1]", "tools.t.user_agents[0]"),
        ('[tools.t]\nuser_agents = [{ names = ["n"], tier = "top" }]', "tools.t.user_agents[0].tier"),
        ('[tools.t]\nuser_agents = [{ names = ["n"] }]', "tools.t.user_agents[0].tier"),
        ('[tools.t]\nuser_agents = [{ tier = "low" }]', "tools.t.user_agents[0]"),
        ('[tools.t]\nuser_agents = [{ names = [""], tier = "low" }]', "tools.t.user_agents[0].names"),
        ('[tools.t]\nuser_agents = [{ patterns = ["("], tier = "low" }]', "tools.t.user_agents[0].patterns"),
        ('[tools.t.marks]\nm = { column = "colour", equals = "red" }', "tools.t.marks.m.column"),
        ('[tools.t.marks]\nm = { column = "branch" }', "tools.t.marks.m"),
        ('[tools.t.marks]\nm = { column = "branch", equals = "a", pattern = "b" }', "tools.t.marks.m"),
        ('[tools.t.marks]\nm = { column = "branch", pattern = "[" }', "tools.t.marks.m.pattern"),
        ('[tools.t.marks]\nm = { column = "branch", pattern = "(?=a)" }', "tools.t.marks.m.pattern"),
        ('[tools.t.marks]\nm = { column = "branch", pattern = 1 }', "tools.t.marks.m.pattern"),
        ('[tools.t.marks]\nm = { column = "cseq", pattern = "1" }', "tools.t.marks.m.pattern"),
        ('[tools.t.marks]\nm = { column = "branch", equals = true }', "tools.t.marks.m.equals"),
        ('[tools.t.marks]\nm = { column = "cseq", equals = "1" }', "tools.t.marks.m.equals"),
        ('[tools.t.marks]\nm = { column = "branch", equals = 1 }', "tools.t.marks.m.equals"),
        ('[tools.t.marks]\nm = { column = "time", equals = 1 }', "tools.t.marks.m.equals"),
        ('[tools.t.marks]\nm = { column = "branch", missing = "yes" }', "tools.t.marks.m.missing"),
        ('[tools.t.marks]\nm = { column = "branch", missing = false }', "tools.t.marks.m.missing"),
        ('[tools.t.marks]\nm = { column = "branch", same_as = "colour" }', "tools.t.marks.m.same_as"),
        ('[tools.t.marks]\nm = { column = "branch", same_as = "cseq" }', "tools.t.marks.m.same_as"),
        ('[tools.t.marks]\nm = { column = "from_tag", decodes = "rot13" }', "tools.t.marks.m.decodes"),
        ('[tools.t.marks]\nm = { column = "branch", decodes = "sipvicious" }', "tools.t.marks.m.decodes"),
        ('[tools.t.marks]\nm = { column = "layout", headers = [] }', "tools.t.marks.m.headers"),
        ('[tools.t.marks]\nm = { column = "layout", headers = ["LF"] }', "tools.t.marks.m.headers"),
        ('[tools.t.marks]\nm = { column = "layout", headers = ["Via?", "To"] }', "tools.t.marks.m.headers"),
        ('[tools.t.marks]\nm = { column = "layout", headers = [1] }', "tools.t.marks.m.headers"),
        ('[[tools.t.rules]]\nmarks = ["m"]\nconfidence = 1', "tools.t.rules[0].marks"),
        ("[[tools.t.rules]]\nmarks = []\nconfidence = 1", "tools.t.rules[0]"),
        (f'[tools.t]\nrules = [{{ marks = ["m"] }}]\n{MARK}', "tools.t.rules[0].confidence"),
        (f'[tools.t]\nrules = [{{ marks = ["m"], confidence = 2 }}]\n{MARK}', "tools.t.rules[0].confidence"),
        ('[[names]]\nnames = ["n"]\ntier = "high"\nkind = "worm"', "names[0].kind"),
        ('[[names]]\nnames = ["n"]\ntier = "high"\ncolour = "red"', "names[0].colour"),
        ('[[names]]\npatterns = ["n.*"]\ntier = "high"', "names[0].label"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_key(text, key, write):
    path = write(text)
    with pytest.raises(SettingsError) as caught:
        load_signatures(path)
    assert (caught.value.file, caught.value.key) == (str(path), key)


def test_more_names_than_an_expression_takes(write):
    names = ", ".join(f'"scanner number {number}"' for number in range(20_000))
    with pytest.raises(SettingsError, match="split it"):
        load_signatures(write(f'[tools.t]\nuser_agents = [{{ names = [{names}], tier = "high" }}]'))


def test_more_marks_than_an_expression_takes(write):
    marks = "".join(f'm{n} = {{ column = "branch", pattern = "b{n}[a-z]{{900}}" }}\n' for n in range(300))
    rules = "".join(f'[[tools.t.rules]]\nmarks = ["m{n}"]\nconfidence = 0.95\n' for n in range(300))
    signatures = load_signatures(write(f'[tools.t]\nkind = "scanner"\n[tools.t.marks]\n{marks}{rules}'))
    found = recognise(messages(2, branch=[f"b299{'x' * 900}", "1F8b5C6T44G2CJt"]), signatures)
    assert found["tool"].tolist() == ["t", "Sality sipscan"]


def test_files_that_cannot_be_read(tmp_path, write):
    for path in (tmp_path / "none.toml", tmp_path, write("["), tmp_path / "latin.toml"):
        (tmp_path / "latin.toml").write_bytes(b"\xff")
        with pytest.raises(SettingsError) as caught:
            load_signatures(path)
        assert caught.value.file == str(path)


def test_a_file_that_was_changed_is_read_again(write):
    assert load_signatures(write('[tools.t]\nsummary = "one"')).tools["t"].summary == "one"
    assert load_signatures(write('[tools.t]\nsummary = "other"')).tools["t"].summary == "other"


def test_built_in_tools_are_described():
    for tool in load_signatures().tools.values():
        assert tool.kind in KINDS
        assert tool.summary
        assert tool.source


def test_the_surest_rules_come_first():
    confidences = [rule.confidence for rule in load_signatures().rules]
    assert confidences == sorted(confidences, reverse=True)
    assert max(confidences) < 1
