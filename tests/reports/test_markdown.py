"""The answer as Markdown and as JSON, and the exit code for scripts."""

import json

import pytest
from click.testing import CliRunner
from needs import CAPTURES

from analyzer import analyze
from analyzer.cli import cli
from analyzer.reports.answer import Answer, Line, answer
from analyzer.reports.markdown import render_markdown

CRACKED, OFFICE = str(CAPTURES / "svwar-svcrack.pcapng"), str(CAPTURES / "office-day.pcap")


def report(tmp_path, *arguments):
    return CliRunner().invoke(cli, ["report", "-o", str(tmp_path / "report"), *arguments])


def test_it_says_what_the_answer_says():
    told = answer(analyze(CAPTURES))
    shown = render_markdown(told)
    rows = [line for line in shown.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(told.of("campaign"))
    assert {row.count(" | ") for row in rows} == {5}
    assert shown.startswith("6 captures, 3,205 packets")
    assert "> **BREACH** extension 105 was taken over by 203.0.113.77" in shown
    assert "- change the password of extension 105" in shown


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("[click](http://evil.example)", r"\[click\](http\://evil.example)"),
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("a | b", r"a \| b"),
        ("**bold** `code` _it_ # ! & ~", r"\*\*bold\*\* \`code\` \_it\_ \# \! \& \~"),
        ("www.evil.example, me@evil.example", r"www\.evil.example, me\@evil.example"),
    ],
)
def test_text_from_the_wire_means_nothing(hostile, shown):
    cells = (hostile, *"12345")
    told = Answer(lines=(Line("headline", hostile), Line("breach", hostile), Line("campaign", hostile, cells)))
    written = render_markdown(told)
    assert written.splitlines()[0] == shown
    assert f"> **BREACH** {shown}\n" in written
    assert f"| {shown} | 1 | 2 | 3 | 4 | 5 |" in written


def test_json_is_what_the_summary_holds(tmp_path):
    result = report(tmp_path, CRACKED, "--format", "json")
    assert json.loads(result.output) == json.loads((tmp_path / "report" / "summary.json").read_text())


@pytest.mark.parametrize(
    ("capture", "fail_on", "code"),
    [
        (CRACKED, "breach", 3),
        (CRACKED, "attack", 3),
        (OFFICE, "attack", 0),
        (str(CAPTURES / "svmap-sweep.pcap"), "breach", 0),
    ],
)
def test_scripts_learn_by_the_exit_code(tmp_path, capture, fail_on, code):
    result = report(tmp_path, capture, "--fail-on", fail_on, "--quiet")
    assert (result.exit_code, result.output) == (code, "")
    assert (tmp_path / "report" / "report.html").exists()
