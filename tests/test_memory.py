import subprocess
import sys

import pytest

GIVEN_BACK = """
import numba
from pathlib import Path
from analyzer import memory

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))

assert numba.njit(lambda number: number + 1)(1) == 2
before = resident()
memory.give_back_code()
print(before - resident() > 10_000)
assert numba.njit(lambda number: number + 2)(1.5) == 3.5
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is resident")
def test_libraries_can_still_be_used_after_the_memory_of_their_code_was_given_back():
    told = subprocess.run([sys.executable, "-c", GIVEN_BACK], check=True, capture_output=True, text=True).stdout
    assert told.strip() == "True"
