"""The bar is for terminals, and who stops a command learns how far it came."""

import os
import pty
import re
import select
import signal
import subprocess
import sys

import pytest
from needs import CAPTURES
from processes import wait_until_asleep

from analyzer.progress import Work, megabytes, shortened, watched
from analyzer.reading import Progress

SWEEP = CAPTURES / "svmap-sweep.pcap"


def read(**changes):
    values = {
        "capture": "one.pcap", "bytes_read": 2_000_000, "bytes_total": 9_000_000, "all_bytes_read": 2_000_000,
        "all_bytes_total": 9_000_000, "packets": 5000, "messages": 1200, "captures_done": 0, "captures_total": 1,
    }  # fmt: skip
    return Progress(**{**values, **changes})


def on_a_terminal(*arguments):
    """Run the command with a terminal of 80 columns as standard error; return what was written there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "analyzer", *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        said = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                said += os.read(ours, 65536)
            except OSError:
                break
    os.close(ours)
    assert process.returncode == 0
    return said.decode()


def test_a_terminal_shows_a_bar(tmp_path):
    said = on_a_terminal("messages", SWEEP, "-o", tmp_path / "m.csv")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    assert re.search(r"svmap.*━.*MB|svmap.*━.*kB", plain)
    assert max(len(line) for line in re.split(r"[\r\n]+", plain)) <= 80


def test_quiet_shows_none(tmp_path):
    assert on_a_terminal("messages", SWEEP, "-o", tmp_path / "m.csv", "--quiet") == ""


def test_quiet_reports_say_nothing(tmp_path):
    command = [sys.executable, "-m", "analyzer", "report", str(SWEEP), "-o", str(tmp_path), "-q"]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / "report.html").exists()


def test_work_says_how_far_it_came():
    work = Work()
    assert str(work) == "before anything was read; nothing was written"
    work(read())
    assert str(work) == (
        "at 2.0 MB of 9.0 MB of one.pcap, after 5,000 packets and 1,200 SIP messages; nothing was written"
    )
    work(read(captures_total=3, captures_done=1, bytes_total=None))
    assert "at 2.0 MB of one.pcap (capture 2 of 3), after" in str(work)
    work(read(captures_done=1))
    assert str(work) == "while looking for attacks in 1,200 messages; nothing was written"
    work.begin("while writing to report", whole="the files that are there are whole")
    assert str(work) == "while writing to report; the files that are there are whole"


def test_a_stop_is_told_with_what_was_done():
    def stopped():
        with watched(quiet=True) as work:
            work(read())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"stopped at 2\.0 MB of 9\.0 MB"):
        stopped()


def test_ctrl_c_ends_a_command_that_waits_for_packets(tmp_path):
    # What a shell starts in the background ignores SIGINT; env gives it back.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "analyzer", "report", "-", "-o", tmp_path / "out"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(SWEEP.read_bytes()[:2000])
    process.stdin.flush()
    wait_until_asleep(process.pid)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.decode().lstrip().startswith("sipscope: stopped ")
    assert said.decode().endswith("; nothing was written\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("short.pcap", "short.pcap"),
        ("a-very-long-name-of-a-capture.pcap", "a-very-lon…ture.pcap"),
        ("a\x1b[2J", "a?[2J"),
    ],
)
def test_names_fit(name, shown):
    assert shortened(name, 20) == shown
    assert len(shown) <= 20


def test_bytes_for_people():
    assert megabytes(1_234_567_890) == "1,234.6 MB"
