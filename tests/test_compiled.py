"""Compiled kernels are kept apart by what they were made of."""

import os
import subprocess
import sys

from analyzer import compiled

CODE = """
import numba
from analyzer.compiled import keep_compiled

keep_compiled()
print(numba.config.CACHE_DIR or "none")
"""


def told(**environment):
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env={**kept, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_folder_is_named_after_the_sources(tmp_path):
    assert told(XDG_CACHE_HOME=str(tmp_path)) == str(tmp_path / "sipscope" / compiled._digest())


def test_the_environment_counts_more(tmp_path):
    assert told(XDG_CACHE_HOME=str(tmp_path), NUMBA_CACHE_DIR=str(tmp_path / "mine")) == str(tmp_path / "mine")


def test_another_source_is_another_folder(tmp_path, monkeypatch):
    before = compiled._digest()
    monkeypatch.setattr(compiled, "SOURCES", ("engines/*.py",))
    assert compiled._digest() != before


def test_what_was_not_used_for_longest_is_forgotten(tmp_path):
    for age in range(10):
        folder = tmp_path / "sipscope" / f"old-{age}"
        folder.mkdir(parents=True)
        os.utime(folder, (1_000_000 - age, 1_000_000 - age))
    told(XDG_CACHE_HOME=str(tmp_path))
    left = {path.name for path in (tmp_path / "sipscope").iterdir()}
    assert left == {compiled._digest(), "old-0", "old-1", "old-2"}


def test_a_home_that_cannot_be_written_is_no_trouble(tmp_path):
    (tmp_path / "sipscope").write_text("no folder")
    assert told(XDG_CACHE_HOME=str(tmp_path), TMPDIR=str(tmp_path)).startswith(str(tmp_path / "sipscope-"))
