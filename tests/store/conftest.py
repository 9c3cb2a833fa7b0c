"""Tests of the store do not wait for the disk, but for those that look at when it is waited for."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def synchronised(monkeypatch):
    """Return the paths that were synchronised, in order, in place of which nothing is done."""
    paths = []
    monkeypatch.setattr(os, "fsync", lambda number: paths.append(str(Path(f"/proc/self/fd/{number}").readlink())))
    return paths
