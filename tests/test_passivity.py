"""Passive means passive: no command sends a packet or looks up a name."""

import subprocess
import sys

import pytest
from needs import CAPTURES, program

from analyzer.cli import cli

SWEEP, FRAUD = str(CAPTURES / "svmap-sweep.pcap"), str(CAPTURES / "tollfraud.pcap")
COMMANDS = {
    "report": ["report", SWEEP, "-o", "out"],
    "store": ["store", SWEEP, "-o", "store"],
    "block": ["block", FRAUD, "--format", "nftables"],
    "abuse": ["abuse", FRAUD, "--campaign", "hppm"],
    "share": ["share", FRAUD, "--format", "stix"],
    "share misp": ["share", FRAUD, "--format", "misp"],
    "extract": ["extract", FRAUD, "--campaign", "hppm", "-o", "evidence.pcapng"],
    "anonymize": ["anonymize", SWEEP, "-o", "anonymous.pcapng"],
    "watch": ["watch", SWEEP, "--json"],
    "job": ["job", "run", "--once", "job.toml"],
    "sources": ["sources", SWEEP],
}
"""A call of each command; of those that write a table, of some: they differ in the table only."""
ELSEWHERE = {"record", "messages", "attacks", "campaigns", "anomalies", "fates", "strays", "calls"}
"""What is not called here: tests/recording looks after what records, and tables are written by the same few lines."""
TEXTS = {"tools", "help", "completion"}
"""Commands that print what is known without a capture."""
JOB = """
[spool]
folder = "spool"

[report]
every = "1h"

[folders]
tables = "store"
reports = "reports"
"""


def test_every_command_is_looked_at():
    assert {name.split()[0] for name in COMMANDS} | ELSEWHERE | TEXTS == set(cli.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_packet_is_sent_and_no_name_looked_up(name, tmp_path):
    trace = tmp_path / "trace"
    (tmp_path / "job.toml").write_text(JOB)
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "sweep.pcap").write_bytes((CAPTURES / "svmap-sweep.pcap").read_bytes())
    command = [sys.executable, "-m", "analyzer", *COMMANDS[name]]
    done = subprocess.run(
        [program("strace"), "-f", "-qq", "--seccomp-bpf", "-e", "trace=%network", "-o", str(trace), *command],
        capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    calls = [line for line in trace.read_text().splitlines() if "AF_UNIX" not in line and "exited" not in line]
    if name.startswith("share"):  # a library of its libraries tries at its import whether the machine knows IPv6
        calls = [call for call in calls if "socket(AF_INET6, SOCK_STREAM" not in call and '"::1"' not in call]
    assert [call for call in calls if "AF_INET" in call or "send" in call or "connect" in call] == []
