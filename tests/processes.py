"""Other processes, watched from outside."""

import time
from contextlib import suppress
from pathlib import Path

PATIENCE = 120
"""Seconds that a process is waited for: those of a busy machine."""


def wait_until_asleep(number):
    """Wait until a process has waited for its standard input, a pipe, for a while."""
    asleep, end = 0, time.monotonic() + PATIENCE
    while asleep <= 3:
        assert time.monotonic() < end, "it never waits for its standard input"
        asleep = asleep + 1 if "pipe" in Path(f"/proc/{number}/wchan").read_text() else 0
        time.sleep(0.05)


def is_alive(number):
    """Say whether a process is there, and not only waits to be buried."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    return False
