"""A few of the kills of tests/jobs/kills.py, in which a full run has two hundred."""

import os
import subprocess
import sys

import pytest
from needs import ROOT, need, program

from tests.jobs.kills import soak

KILLS = 2


@pytest.mark.slow
def test_a_job_that_reads_a_folder_is_killed(tmp_path):
    counted = soak(tmp_path / "soak", kills=KILLS, source="spool", seed=1)
    assert counted["messages in the store"] > 0


@pytest.mark.slow
def test_a_job_that_records_is_killed(tmp_path):
    for name in ("dumpcap", "unshare", "ip"):
        program(name)
    need(os.geteuid() == 0, "root, who may make a network namespace,")
    need(subprocess.run(["unshare", "--net", "ip", "link", "add", "type", "veth"]).returncode == 0, "veth pairs")
    words = [sys.executable, "-m", "tests.jobs.kills", "--kills", str(KILLS), "--source", "veth"]
    done = subprocess.run(
        [*words, "--folder", str(tmp_path / "soak")], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
