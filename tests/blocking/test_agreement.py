"""What a report says may be blocked is what `sipscope block` writes, and who is held back is said, with the reason."""

import json
import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import scenarios
from blocking.rows import Scene
from click.testing import CliRunner
from needs import CAPTURES, corpus
from scenarios.wire import write_capture

from analyzer import analyze
from analyzer.blocking import REASONS, find_blocks
from analyzer.blocklists import rules_to_block, write_rules
from analyzer.cli import cli
from analyzer.reports.answer import answer
from analyzer.reports.blocking import HELD_BACK, block_command
from analyzer.reports.markdown import render_markdown
from analyzer.reports.summary import summarize
from analyzer.settings import Settings
from analyzer.store import Period
from analyzer.tables import TABLES

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MAY = re.compile(r"(?P<count>[\d,]+) sources? (?:is|are) proven by a reply and may be blocked for a time: (?P<who>.*)")
REAL = (
    "CESNET__ipfixprobe/functional__inputs__sip.pcap",
    "initconf__sip-attacks/SIP-3700-unauthorized-401.pcap",
    "initconf__sip-attacks/SIP-Bruteforce-Single-IP.pcap",
    "ntop__nDPI/gre.pcap",
)
MADE = ("svcrack, breach", "toll fraud, 5-20 sources", "svmap sweep", "phases", "call centre")


def may_be_blocked(lines):
    """Return how many sources may be blocked by the lines of an advice, and those that are named."""
    found = [match for match in map(MAY.fullmatch, lines) if match]
    assert len(found) <= 1
    if not found:
        return 0, []
    named = re.sub(r" and [\d,]+ more$", "", found[0]["who"]).split(", ")
    return int(found[0]["count"].replace(",", "")), named


def agree(analysis, now):
    """Assert that an answer and a block-list, both made now, say the same of everybody; return the answer's lines."""
    blocks = find_blocks(analysis, now=now)
    entries = json.loads(write_rules(rules_to_block(blocks), format="json"))["entries"]
    blocked = {source for entry in entries for source in entry["sources"]}
    told = answer(analysis, now=now)
    lines = [line.text for line in told.of("advice")]
    count, named = may_be_blocked(lines)
    assert count == len(blocked)
    assert set(named) <= blocked
    assert len(named) == min(len(blocked), 12)
    assert [line.startswith("write a block-list: ") for line in lines].count(True) == bool(blocked)
    said = [line for line in lines if line.startswith("block nobody: ")]
    assert len(said) == bool(len(blocks.held) and not blocked)
    for reason in set(blocks.held["reason"]):
        assert any(HELD_BACK[reason][0].partition("} ")[2] in line for line in lines), reason
    markdown, summary = render_markdown(told), summarize(analysis, told=told)["answer"]
    plain = re.sub(r"\\(.)", r"\1", markdown)
    assert all(f"- {line}" in plain for line in lines)
    assert [line["text"] for line in summary if line["role"] == "advice"] == lines
    return lines


def whole(scene):
    """Return the analysis of a scene with all columns of all tables."""
    told = scene.analysis()
    return replace(told, **{name: table.conform(getattr(told, name), missing=True) for name, table in TABLES.items()})


def test_every_reason_is_said():
    assert tuple(HELD_BACK) == REASONS


def test_of_the_bundled_captures_everybody_is_held_back():
    analysis = analyze(CAPTURES)
    for now in (None, analysis.captures["end"].max().to_pydatetime()):
        *_, said = agree(analysis, now)
        assert said.startswith(
            "block nobody: 10 sources came from private or reserved addresses: left out of block-lists without"
            " --include-private: 198.51.100.77, "
        )


@pytest.mark.parametrize("name", REAL)
def test_of_real_attacks(name):
    analysis = analyze(corpus(name))
    assert len(analysis.attacks)
    end = analysis.captures["end"].max().to_pydatetime()
    agree(analysis, end)
    assert any("so long ago" in line or "may be forged" in line for line in agree(analysis, end + timedelta(days=400)))


@pytest.mark.parametrize("name", MADE)
def test_of_what_is_made(name, tmp_path):
    scenarios.make(name, 900).write(tmp_path / "made.pcap")
    analysis = analyze(tmp_path / "made.pcap")
    agree(analysis, analysis.captures["end"].max().to_pydatetime())


def test_the_commands_agree_on_a_capture_of_today(tmp_path):
    """Run the very command that the report advises."""
    world = scenarios.make("toll fraud, 5-20 sources", 900)
    later = datetime.now(UTC).timestamp() - 3600 - max(packet[0] for packet in world.packets)
    path = tmp_path / "today's.pcap"
    write_capture(path, [(packet[0] + later, *packet[1:]) for packet in world.packets])
    report = CliRunner().invoke(cli, ["report", str(path), "-o", str(tmp_path / "report"), "--format", "json"])
    lines = [line["text"] for line in json.loads(report.stdout)["answer"] if line["role"] == "advice"]
    (command,) = (line.removeprefix("write a block-list: ") for line in lines if line.startswith("write a block-list"))
    words = shlex.split(command)
    assert words == ["sipscope", "block", str(path), "--format", "nftables"]
    done = CliRunner().invoke(cli, [*words[1:-1], "json"])
    blocked = {source for entry in json.loads(done.stdout)["entries"] for source in entry["sources"]}
    count, named = may_be_blocked(lines)
    assert count == len(blocked) >= 5
    assert set(named) <= blocked


def test_the_advised_command_has_the_settings_of_the_analysis(tmp_path):
    good = tmp_path / "the good.txt"
    good.write_text("45.9.0.0/30\n")
    found = whole(Scene().attacker("45.9.0.7"))
    used = Settings(allowed=1, allow=(str(good),), left_out=("probe",), signatures=("more.toml",), engine="scapy")
    asked = Period(since=NOW - timedelta(days=7), until=NOW)
    assert block_command(replace(found, settings=used, period=asked, store="a store")) == (
        f"sipscope block 'a store' --settings FILE --signatures more.toml --allow '{good}' --engine scapy"
        " --from 2026-11-15T12:00:00 --to 2026-11-22T12:00:00 --format nftables"
    )
    assert block_command(replace(found, settings=Settings(keylog="k\x1b[2J", most_bytes=9), store="x\n")) == (
        "sipscope block CAPTURE... --keylog FILE --most-bytes 9 --format nftables"
    )


def test_several_reasons_are_said_one_by_one():
    scene = Scene().attacker("45.9.0.1", proven=False).attacker("10.0.0.9").attacker("45.9.0.3", confidence=0.2)
    lines = agree(whole(scene.claim("45.9.0.3", allowed="office").attacker("45.9.0.4", proven=False)), NOW)
    assert lines == [
        (
            "block nobody: 1 source is on your allow-list, 1 source came from private or reserved addresses,"
            " 2 sources are not proven and may be forged"
        ),
        "1 source is on your allow-list: do not block, but find out what happened there: 45.9.0.3",
        "1 source came from private or reserved addresses: left out of block-lists without --include-private: 10.0.0.9",
        "2 sources are not proven and may be forged: do not block on this alone: 45.9.0.1, 45.9.0.4",
    ]


def test_beside_those_who_may_be_blocked_the_others_are_said():
    scene = Scene().attacker("45.9.0.1").attacker("45.9.0.2").telephone("45.9.0.2").attacker("45.9.0.9", proven=False)
    lines = agree(whole(scene), NOW)
    assert lines == [
        "1 source is proven by a reply and may be blocked for a time: 45.9.0.1",
        "write a block-list: sipscope block CAPTURE... --format nftables",
        "1 source shared an address with innocent phones: do not block, or you hit those too: 45.9.0.2",
        "1 source is not proven and may be forged: do not block on this alone: 45.9.0.9",
    ]


def test_a_network_is_said_as_the_sources_in_it():
    scene = Scene()
    for host in range(1, 7):
        scene.attacker(f"45.9.0.{host}")
    assert agree(whole(scene), NOW)[0].endswith("45.9.0.1, 45.9.0.2, 45.9.0.3, 45.9.0.4, 45.9.0.5, 45.9.0.6")
