"""The commands `block` and `abuse`, on the bundled captures."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import pandas as pd
import pytest
from blocking.grammars import GRAMMARS
from blocking.rows import Scene
from called import call
from click.testing import CliRunner
from needs import CAPTURES, need

from analyzer.abuse import Reporter, as_letters, as_xarf, complain
from analyzer.cli import cli

NOW = ("--now", "2026-11-22T20:00")
WHOLE = (str(CAPTURES), "--include-private", *NOW)
BLOCKED = {"198.51.100.77", "203.0.113.7", "203.0.113.77", "203.0.113.91", "203.0.113.92", "203.0.113.140"}


@pytest.fixture(scope="module")
def captured():
    need(CAPTURES.exists(), "the bundled captures")


def run(command, *arguments):
    return CliRunner().invoke(cli, [command, *arguments])


def fails(command, *arguments):
    """Return the one sentence with which the program itself fails."""
    code, _, errors = call(command, *arguments)
    assert code in {1, 2}
    assert "Traceback" not in errors
    return errors


def networks(text, name="plain"):
    return {str(network.network_address) for network in GRAMMARS[name](text).networks}


@pytest.mark.parametrize("name", ["plain", "nftables"])
def test_a_list_goes_to_standard_output_and_what_was_held_back_to_standard_error(name, captured):
    done = run("block", *WHOLE, "--format", name)
    assert done.exit_code == 0
    assert networks(done.stdout, name) == BLOCKED
    assert done.stderr.startswith("Blocked: 6 sources, until between 2026-11-25 14:42 and 2026-12-06 14:54 UTC\n")
    assert "203.0.113.66, 203.0.113.67, 203.0.113.99, 2001:db8:66::66: no step of the" in done.stderr
    assert max(map(len, done.stderr.splitlines())) <= 80


def test_quiet_says_nothing_and_a_file_is_written(captured, tmp_path):
    done = run("block", *WHOLE, "-q", "-o", str(tmp_path / "list"))
    assert (done.exit_code, done.output) == (0, "")
    assert networks((tmp_path / "list").read_text()) == BLOCKED


def test_reserved_addresses_are_held_back_without_being_asked_for(captured):
    done = run("block", str(CAPTURES), *NOW)
    assert networks(done.stdout) == set()
    assert "Blocked: nobody" in done.stderr
    assert "--include-private" in done.stderr


def test_the_allow_list_is_heard_and_a_difference_told(captured, tmp_path):
    good, old = tmp_path / "good.txt", tmp_path / "old"
    good.write_text("203.0.113.0/29 # head office\n")
    run("block", *WHOLE, "-o", str(old))
    done = run("block", *WHOLE, "--allow", str(good), "--for", "1w2d", "--diff", str(old), "-o", str(old))
    assert done.stdout.splitlines() == [
        "- 203.0.113.7  allow-listed: known as head office",
        "# 0 to add, 1 to remove, 5 as before",
    ]
    assert "203.0.113.7: known as head office" in done.stderr
    assert networks(old.read_text()) == BLOCKED - {"203.0.113.7"}
    assert "until 2026-12-01T14:40:59Z" in old.read_text()


def test_an_allow_only_list_says_whom_it_would_have_stopped(captured, tmp_path):
    good = tmp_path / "good.txt"
    good.write_text("10.0.0.0/8 # telephones\n192.0.2.0/24 # servers\n198.51.100.0/24\n")
    done = run("block", str(CAPTURES), "--mode", "allow", "--allow", str(good), "--format", "nftables")
    assert networks(done.stdout, "nftables") == {"10.0.0.0", "192.0.2.0", "198.51.100.0"}
    assert "all others are stopped" in done.stderr
    assert re.search(r"^  9 attacking: 2001:db8:66::66, ", done.stderr, re.MULTILINE)
    assert "198.51.100.77" not in done.stderr


def test_time_that_is_over_is_said(captured):
    done = run("block", str(CAPTURES), "--include-private", "--now", "2027-11-22")
    assert networks(done.stdout) == set()
    assert "over: 6 entries" in done.stderr
    assert networks(run("block", str(CAPTURES), "--include-private", "--now", "2027-11-22", "--from-now").stdout)


def test_the_time_without_now_is_the_clocks(captured):
    done = run("block", str(CAPTURES), "--include-private", "--from-now", "--for", "1d", "--format", "json")
    told = json.loads(done.stdout)
    assert {entry["until"][:10] for entry in told["entries"]}
    assert {row["reason"] for row in told["held"]} == {"spoofable"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--for", "7x"], "'7x' is no period from 1s to 365d; write 90s, 15m, 12h, 7d or 1w2d"),
        (["--for", "0d"], "'0d' is no period"),
        (["--for", "9999d"], "'9999d' is no period"),
        (["--now", "yesterday"], "'yesterday' is no time; write 2026-11-22T14:40"),
        (["--mode", "allow"], "sipscope: --mode allow needs the known-good addresses; name a file with --allow"),
        (["--diff", "/nowhere/old"], "sipscope: /nowhere/old: the earlier list cannot be read"),
        (["--format", "nothing"], "'nothing' is not one of"),
        (["-o", "/nowhere/list"], "sipscope: cannot write '/nowhere/list'"),
        (["--allow", "/nowhere/good"], "sipscope: /nowhere/good: the allow-list cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(arguments, sentence, captured):
    assert sentence in fails("block", str(CAPTURES / "tollfraud.pcap"), *arguments)


# --- abuse


def letters(*arguments):
    done = run("abuse", str(CAPTURES / "tollfraud.pcap"), "--campaign", "hppm", *arguments)
    assert done.exit_code == 0, done.output
    return done


def test_a_letter_says_who_did_what_when_and_by_what_it_is_known(captured):
    text = letters("--source", "198.51.100.77", "--reporter", "Example Ltd", "--contact", "noc@example.net").stdout
    assert text.startswith("Subject: SIP attack (toll fraud) from 198.51.100.77, 2026-11-22T14:54:25.905Z to ")
    assert "  Proof     not forged: an ACK with the server's tag\n" in text
    assert "  Result    a call was put through, which may have cost money\n" in text
    assert "2026-11-22T14:54:28.905Z UDP 198.51.100.77:5078 > 192.0.2.10:5060 INVITE" in text
    assert text.endswith("\nExample Ltd\nnoc@example.net\n")
    assert max(map(len, text.splitlines()[1:])) <= 78


def test_there_is_a_letter_for_each_network(captured):
    subjects = re.findall(r"^Subject: .* from (\S+),", letters().stdout, re.MULTILINE)
    assert subjects == ["198.51.100.77", "203.0.113.140", "203.0.113.7"]


def test_who_may_be_forged_is_left_out_and_said(captured):
    arguments = ("abuse", str(CAPTURES / "svmap-sweep.pcap"), "--campaign", "s32q")
    done = run(*arguments)
    assert not done.stdout
    assert done.stderr == ("1 address may be forged and is left out: 203.0.113.66; add them with --include-spoofable\n")
    assert "none: the address may be forged" in run(*arguments, "--include-spoofable").stdout


def test_xarf_has_what_its_schema_demands(captured):
    arguments = ("--format", "xarf", "--reporter", "Example Ltd", "--contact", "noc@example.net")
    first, second = letters(*arguments).stdout, letters(*arguments).stdout
    assert first == second
    reports = [json.loads(line) for line in first.splitlines()]
    assert [report["source_identifier"] for report in reports] == ["198.51.100.77", "203.0.113.140", "203.0.113.7"]
    for report in reports:
        assert re.fullmatch(r"4\.\d+\.\d+", report["xarf_version"])
        assert UUID(report["report_id"]).version == 4
        assert (report["category"], report["type"], report["scan_type"]) == (
            "connection", "vuln_scanning", "vulnerability_scan",
        )  # fmt: skip
        assert report["protocol"] == "udp"
        for name in ("timestamp", "first_seen", "last_seen"):
            assert datetime.fromisoformat(report[name]).tzinfo
        for name in ("reporter", "sender"):
            assert report[name] == {"org": "Example Ltd", "contact": "noc@example.net", "domain": "example.net"}
        assert all(re.fullmatch(r"[a-z0-9][a-z0-9_+-]*:[a-z0-9][a-z0-9_+.-]*", tag) for tag in report["tags"])
        (evidence,) = report["evidence"]
        payload = base64.b64decode(evidence["payload"])
        assert evidence["hash"] == f"sha256:{hashlib.sha256(payload).hexdigest()}"
        assert evidence["size"] == len(payload)
        assert report["source_identifier"].encode() in payload


def test_no_password_is_in_a_letter(captured):
    text = run("abuse", str(CAPTURES / "svwar-svcrack.pcapng"), "--campaign", "4whv").stdout
    assert "it found the password of an account" in text
    assert "sunshine1" not in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--campaign", "none"], "sipscope: there is no campaign 'none'; there are hppm"),
        (["--campaign", "hppm", "--source", "192.0.2.99"], "sipscope: '192.0.2.99' took no part in campaign hppm"),
        (["--campaign", "hppm", "--format", "xarf"], "sipscope: X-ARF needs who reports"),
        ([], "Missing option '--campaign'"),
    ],
)
def test_what_is_wrong_with_a_complaint_is_said(arguments, sentence, captured):
    assert sentence in fails("abuse", str(CAPTURES / "tollfraud.pcap"), *arguments)


def test_a_letter_names_the_network_and_holds_no_control_character():
    hostile = "\x1b[2J\nSubject: x\r\n\u202e"
    scene = Scene()
    for source in ("45.9.0.1", "45.9.0.9"):
        scene.attacker(source, tool=hostile, kind="password-guessing")
        scene.add(source, method=hostile, uri=hostile, from_user=hostile, user_agent=hostile, call_id="h")
        scene.attacks[source][0]["evidence"].append(len(scene.rows))
        scene.claim(source, user_agents=[hostile], asn=64500, network=hostile)
    told = scene.analysis()
    campaigns = pd.DataFrame({"campaign": ["k7f2"], "confidence": [0.9], "title": [hostile],
                              "sources": [["45.9.0.1", "45.9.0.9"]]})  # fmt: skip
    complaint = complain(replace(told, campaigns=campaigns), "k7f2")
    text = as_letters(complaint)
    assert text.count("Subject: ") == 1 + text.count("\\x0aSubject: ")
    assert text.splitlines()[0].startswith("Subject: SIP attack (password guessing) from 2 addresses of AS64500 (")
    assert all(character.isprintable() or character == "\n" for character in text)
    assert as_xarf(complaint, Reporter(organisation="x", contact="a@b.example")).count("\n") == 2
