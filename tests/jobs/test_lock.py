import os
import signal
import subprocess
import sys
import time

import pytest

from analyzer.errors import SettingsError
from analyzer.jobs.lock import holder, locked

HOLD = """
import sys, time
from pathlib import Path
from analyzer.jobs.lock import locked
with locked(Path(sys.argv[1]), "holds it"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def held(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield tmp_path / "lock", process
        process.kill()


def test_one_at_a_time(held):
    path, process = held
    with pytest.raises(SettingsError, match=f"process {process.pid} does so already"), locked(path, "does so"):
        pass
    assert holder(path) == f"process {process.pid}"


def test_a_crash_leaves_no_lock_behind(held):
    path, process = held
    os.kill(process.pid, signal.SIGKILL)
    with locked(path, "does so", wait=20):
        assert holder(path) == f"process {os.getpid()}"
    assert holder(path) is None


def test_waiting_ends(held):
    began = time.monotonic()
    with pytest.raises(SettingsError), locked(held[0], "does so", wait=0.3):
        pass
    assert 0.3 <= time.monotonic() - began < 10


def test_no_lock_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot lock"), locked(tmp_path / "file" / "lock", "does so"):
        pass
    assert holder(tmp_path / "none") is None
