"""What a test may need that a machine may lack: then it skips with the reason, or fails if SIPSCOPE_TESTS=all."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORPUS = ROOT.parent / "shared" / "corpus"
CAPTURES = ROOT / "captures"

APART = ("sh", "-c", '"$@"; exit $?', "sh")
"""Put before a command whose peak of memory is asked for: what replaces a process inherits its peak, and a shell that
starts the command and waits for it is small."""


def need(present, what):
    """Skip the test that calls this unless present; fail it where everything is promised to be there."""
    if present:
        return
    if os.environ.get("SIPSCOPE_TESTS") == "all":
        pytest.fail(f"SIPSCOPE_TESTS=all, but {what} is missing")
    pytest.skip(f"{what} is missing")


def program(name):
    """Return the path of a program that the test needs."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    need(path, f"the program {name}")
    return path


def corpus(file=""):
    """Return the path of a file of the corpus, which lies beside a checkout."""
    path = CORPUS / file
    need(path.exists(), "the corpus of real captures (../shared/corpus)")
    return path
