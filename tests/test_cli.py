import json
import subprocess
import sys

import pandas as pd
import pytest
from called import call
from click.testing import CliRunner
from needs import CAPTURES

from analyzer import cli

SWEEP = CAPTURES / "svmap-sweep.pcap"
EMPTY_PCAP = bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 ffff0000 01000000")


def run(*arguments, **options):
    """Run the command as a user does; return its exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )
    return done.returncode, done.stdout, done.stderr


def test_a_report_is_said_and_written(tmp_path):
    code, said, errors = run("report", SWEEP, "-o", "out", cwd=tmp_path)
    assert (code, errors) == (0, "")
    assert "campaigns from" in said
    assert "Report: out/report.html" in said
    assert max(map(len, said.splitlines())) <= 80
    names = {path.name for path in (tmp_path / "out").iterdir()}
    tables = {
        "messages.csv",
        "sources.csv",
        "attacks.csv",
        "campaigns.csv",
        "anomalies.csv",
        "fates.csv",
        "captures.csv",
        "strays.csv",
        "calls.csv",
    }
    assert names == {"report.html", "summary.json", *tables}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["campaigns"]


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
@pytest.mark.parametrize("table", ["messages", "sources", "attacks", "campaigns", "anomalies", "fates"])
def test_a_table_is_written(table, suffix, tmp_path):
    result = CliRunner().invoke(cli.cli, [table, str(SWEEP), "-o", str(tmp_path / f"t.{suffix}")])
    assert result.exit_code == 0, result.output
    readers = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}
    written = readers[suffix](tmp_path / f"t.{suffix}")
    assert len(written.columns) > 3 or (table == "anomalies" and suffix == "json")


def test_a_table_goes_to_standard_output():
    code, said, errors = run("sources", SWEEP)
    assert (code, errors) == (0, "")
    assert said.splitlines()[0].startswith("source,verdict,why")


def test_a_reader_that_has_enough_is_no_error():
    command = f"'{sys.executable}' -m analyzer messages '{SWEEP}' | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert done.stdout.startswith("time,capture,packet")


@pytest.fixture
def odd(tmp_path):
    """Return a folder of odd captures."""
    (tmp_path / "nothing.pcap").write_bytes(b"")
    (tmp_path / "text.pcap").write_text("this is no capture\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("no capture here\n")
    (tmp_path / "silent.pcap").write_bytes(EMPTY_PCAP)
    whole = SWEEP.read_bytes()
    (tmp_path / "cut.pcap").write_bytes(whole[: len(whole) // 2])
    return tmp_path


@pytest.mark.parametrize("name", ["missing.pcap", "nothing.pcap", "text.pcap", "folder"])
def test_what_cannot_be_read_is_one_sentence(name, odd):
    code, said, errors = call("report", odd / name, "-o", odd / "out")
    assert (code, said) == (1, "")
    assert errors.startswith("sipscope: ")
    assert str(odd / name) in errors
    assert errors.count("\n") == 1
    assert "Traceback" not in errors


def test_a_capture_that_may_not_be_read_is_one_sentence(odd):
    (odd / "silent.pcap").chmod(0)
    code, _, errors = run("report", odd / "silent.pcap", "-o", odd / "out", preexec_fn=_nobody, cwd="/")
    assert code == 1, errors
    assert errors.startswith("sipscope: ")
    assert "Traceback" not in errors


def _nobody():
    """Give up root's rights over files, keeping those that the folder needs."""
    import os

    if os.geteuid() == 0:
        libc = __import__("ctypes").CDLL(None, use_errno=True)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            libc.prctl(24, capability, 0, 0, 0)


def test_a_capture_without_sip_is_a_valid_report(odd):
    code, said, errors = call("report", odd / "silent.pcap", "-o", odd / "out")
    assert (code, errors) == (0, "")
    assert "No SIP" in said
    assert (odd / "out" / "report.html").exists()


def test_a_capture_cut_short_is_reported_up_to_there(odd):
    code, said, _ = call("report", odd / "cut.pcap", "-o", odd / "out")
    assert code == 0
    assert "cut short" in said
    assert "byte" in said
    assert "campaigns from" in said or "campaign from" in said


def test_a_wrong_option_is_a_usage_error():
    code, _, errors = call("report", SWEEP, "--tabels", "csv")
    assert code == 2
    assert "--tables" in errors


def test_without_a_capture_the_usage_is_shown():
    code, _, errors = call("report")
    assert code == 2
    assert "CAPTURE" in errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[detectors.sweep]\ntargets = 1000000", None),
        ("[detectors.sweep]\ntarget = 5", "unknown threshold; sweep has targets"),
        ("[detector.sweep]\n", "unknown section; allowed is detectors"),
        ("targets =", "cannot be read"),
    ],
)
def test_settings_set_thresholds(text, words, tmp_path):
    (tmp_path / "s.toml").write_text(text)
    code, said, errors = call("attacks", SWEEP, "--settings", tmp_path / "s.toml")
    if words is None:
        assert code == 0
        assert ",sweep," not in said
    else:
        assert code == 1
        assert words in errors


def test_signatures_can_be_added(tmp_path):
    (tmp_path / "t.toml").write_text(
        '[tools.Mine]\nkind = "scanner"\nhostile = true\nsummary = "ours"\nsource = "us"\n'
        '[[tools.Mine.user_agents]]\nnames = ["mine"]\ntier = "high"\nseen = "M"\n'
    )
    code, said, errors = call("tools", "--signatures", tmp_path / "t.toml")
    assert (code, errors) == (0, "")
    assert "Mine" in said
    assert "SIPVicious" in said


def test_secrets_are_masked_unless_asked_for():
    crack = CAPTURES / "svwar-svcrack.pcapng"
    assert "sunshine1" not in call("campaigns", crack)[1]
    assert "sunshine1" in call("campaigns", crack, "--show-secrets")[1]
