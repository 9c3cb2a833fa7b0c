"""A short fuzzing run, always the same; `make fuzz` runs as long as is wanted."""

import os
import subprocess
import sys

import pytest
from needs import ROOT, need

from analyzer.engines import Packets
from tests.fuzz import checks
from tests.fuzz.__main__ import environment, mutate_for, search
from tests.fuzz.seeds import REQUEST


@pytest.mark.slow
def test_random_changes(tmp_path):
    told = mutate_for(seconds=300, seed=1, folder=tmp_path, count=60)
    assert told["findings"] == []
    assert (told["captures"], told["payloads"], told["streams"]) == (1000, 4000, 1000)
    assert told["messages"] > 6000


@pytest.mark.slow
@pytest.mark.parametrize("target", ["capture", "sip", "stream"])
def test_search_for_new_ways(target, tmp_path):
    import importlib.util

    need(importlib.util.find_spec("atheris"), "the package atheris")
    for seconds in (2, 20):  # on a busy machine, little may come of the first
        told = search(target, seconds, 1, tmp_path)
        assert told["findings"] == []
        if told["tried"] > 20:
            return
    pytest.fail(f"tried no more than {told['tried']}")


def test_unchecked_kernels_are_refused(tmp_path):
    command = [sys.executable, "-m", "tests.fuzz.mutation", "--count", "1", "--folder", str(tmp_path)]
    unchecked = environment(NUMBA_BOUNDSCHECK="0", NUMBA_CACHE_DIR=os.environ.get("NUMBA_CACHE_DIR", ""))
    unchecked.pop("NUMBA_CACHE_DIR")
    done = subprocess.run(command, cwd=ROOT, env=unchecked, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "NUMBA_BOUNDSCHECK=1" in done.stdout


def test_broken_promises_are_found():
    packets = checks.datagrams([REQUEST, REQUEST])
    checks.check_packets(packets)
    assert checks.parse_all([packets]) == 2
    for wrong in ({"captured": 3}, {"carried": 1}, {"set_aside": {"tcp": 1}}, {"start": packets.start + 1}):
        with pytest.raises(checks.BrokenPromiseError):
            checks.check_packets(Packets(**{**packets.__dict__, **wrong}))
