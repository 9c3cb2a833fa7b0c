"""Compiled kernels are kept apart by what they were made of, made ready once, and never a reason to fail."""

import os
import subprocess
import sys
import time

import pytest
from needs import ROOT

from analyzer import compiled

CODE = """
from analyzer.compiled import keep_compiled
import numba

keep_compiled()
print(numba.config.CACHE_DIR or "none")
"""
ONE_KERNEL = """
from analyzer.compiled import keep_compiled
keep_compiled()
import numpy as np
from analyzer.sip._hashing import hash_spans
hashes = np.zeros(2, np.uint64)
hash_spans(np.array([0, 1]), np.array([1, 3]), np.frombuffer(b"abc", np.uint8), np.array([1, 5], np.uint64), hashes)
assert hashes.tolist() == [98, 99 + 5 * 100]
print(sum(hash_spans.stats.cache_hits.values()))
"""
TORN = """
import os, sys
from pathlib import Path
import numba, numpy

def run(name):
    sys.stdout.write(name + " ")
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        exec({kernel!r}, {{}})
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

run("whole")
run("whole")
for size in (0, 1, 40, 0.5, 0.99):
    for ending in (".nbi", ".nbc"):
        (path,) = Path({cache!r}).rglob("*hash_spans*" + ending)
        os.truncate(path, size if isinstance(size, int) else int(path.stat().st_size * size))
        run(f"{{size}} {{ending}}")
        run(f"{{size}} {{ending}}")
"""
"""Runs a kernel again and again, each time in a process that has numba but nothing of its cache."""
PREPARE = """
import sys, time
from analyzer import compiled
told = []
compiled.prepare(told.append)
for group in compiled.PREPARED:
    compiled.await_compiled(group)
print(told, [compiled.is_prepared(compiled.keep_compiled(), group) for group in compiled.PREPARED])
"""
IN_A_HOSTILE_FOLDER = """
import analyzer.compiled, numba, os
os.chdir({folder!r})
"""


def environment(**given):
    kept = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "NUMBA_BOUNDSCHECK")}
    return {**kept, "PYTHONPATH": str(ROOT), **given}


def told(code=CODE, **given):
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(**given), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_folder_is_named_after_the_sources(tmp_path):
    folder = told(XDG_CACHE_HOME=str(tmp_path))
    assert folder == told(XDG_CACHE_HOME=str(tmp_path))
    assert folder.startswith(str(tmp_path / "sipscope"))


def test_the_environment_counts_more(tmp_path):
    assert told(XDG_CACHE_HOME=str(tmp_path), NUMBA_CACHE_DIR=str(tmp_path / "mine")) == str(tmp_path / "mine")


def test_another_source_is_another_folder(monkeypatch):
    before = compiled._digest()
    monkeypatch.setattr(compiled, "SOURCES", ("engines/*.py",))
    assert compiled._digest() != before


def test_bounds_checks_are_another_folder(tmp_path):
    assert told(XDG_CACHE_HOME=str(tmp_path)) != told(XDG_CACHE_HOME=str(tmp_path), NUMBA_BOUNDSCHECK="1")


def test_what_was_not_used_for_longest_is_forgotten(tmp_path):
    now = time.time()
    for age in range(10):
        folder = tmp_path / "sipscope" / f"old-{age}"
        folder.mkdir(parents=True)
        os.utime(folder, (now - 9000 - age, now - 9000 - age))
    own = told(XDG_CACHE_HOME=str(tmp_path))
    left = {str(path) for path in (tmp_path / "sipscope").iterdir()}
    assert left == {own, *(str(tmp_path / "sipscope" / f"old-{age}") for age in range(compiled.KEPT - 1))}


def test_what_others_may_be_using_is_not_forgotten(tmp_path):
    for name in range(10):
        (tmp_path / "sipscope" / f"other-{name}").mkdir(parents=True)
    told(XDG_CACHE_HOME=str(tmp_path))
    assert len(list((tmp_path / "sipscope").iterdir())) == 11


def test_a_home_that_cannot_be_written_is_no_trouble(tmp_path):
    (tmp_path / "sipscope").write_text("no folder")
    assert told(XDG_CACHE_HOME=str(tmp_path), TMPDIR=str(tmp_path)).startswith(str(tmp_path / "sipscope-"))


def test_a_torn_cache_is_made_again(tmp_path):
    lines = told(TORN.format(cache=str(tmp_path), kernel=ONE_KERNEL), XDG_CACHE_HOME=str(tmp_path)).splitlines()
    assert lines[:2] == ["whole 0", "whole 1"]
    torn = [f"{size} {ending}" for size in (0, 1, 40, 0.5, 0.99) for ending in (".nbi", ".nbc")]
    assert lines[2:] == [f"{which} {hits}" for which in torn for hits in (0, 1)]


def test_a_full_disk_or_a_folder_that_goes_is_no_trouble(tmp_path):
    lost = ONE_KERNEL.replace("hashes =", f"import shutil; shutil.rmtree({str(tmp_path)!r})\nhashes =", 1)
    lost = lost.replace("import shutil", f"import os; open({str(tmp_path)!r} + '-file', 'w'); import shutil")
    lost = lost.replace("\nhashes =", f"\nos.rename({str(tmp_path)!r} + '-file', {str(tmp_path)!r})\nhashes =", 1)
    assert told(lost, XDG_CACHE_HOME=str(tmp_path)) == "0"


@pytest.mark.slow
def test_another_process_compiles_once_what_reading_needs_with_no_modules_of_the_working_folder(tmp_path):
    first = IN_A_HOSTILE_FOLDER.format(folder=str(tmp_path)) + PREPARE
    (tmp_path / "numpy.py").write_text("raise SystemExit")
    (tmp_path / "analyzer").mkdir()
    cache = tmp_path / "cache"
    ready = told(first, XDG_CACHE_HOME=str(cache), PYTHONPATH=f"{ROOT}:")
    assert ready == "['preparing the decoder, once'] [True, True]"
    assert told(PREPARE, XDG_CACHE_HOME=str(cache)) == "[] [True, True]"
    code = f"""
import pathlib
from analyzer import read_messages
from analyzer.sip import _block, _hashing, _stream_kernels, _text
from analyzer.engines import Segments
from analyzer.sip.streams import Streams
messages = read_messages({str(ROOT / "captures" / "svwar-svcrack.pcapng")!r})
assert len(messages)
Streams().finish()
used = [_block.write_columns, _text.append_texts, _hashing.hash_spans, _stream_kernels.run]
print([sum(kernel.stats.cache_misses.values()) for kernel in used], [len(kernel.signatures) for kernel in used])
"""
    assert told(code, XDG_CACHE_HOME=str(cache)) == "[0, 0, 0, 0] [1, 1, 1, 1]"


def test_a_process_that_cannot_be_started_is_no_trouble(tmp_path):
    code = PREPARE.replace("told = []", "told = []; sys.executable = '/nowhere/python'")
    assert told(code, XDG_CACHE_HOME=str(tmp_path)) == "['preparing the decoder, once'] [False, False]"


def test_a_process_that_fails_is_waited_for_no_longer(tmp_path):
    code = PREPARE.replace("told = []", "told = []; compiled.PREPARATION = 'analyzer.nothing'")
    assert told(code, XDG_CACHE_HOME=str(tmp_path)) == "['preparing the decoder, once'] [False, False]"


def test_nothing_is_prepared_where_kernels_are_interpreted(tmp_path):
    assert told(PREPARE, XDG_CACHE_HOME=str(tmp_path), NUMBA_DISABLE_JIT="1") == "[] [False, False]"


ENCODED = """
import numpy as np
import numba
from analyzer import compiled
from analyzer.sip._words import RECENT, encode

@compiled.kernel
def run(data, starts, lengths, codes, slots, hashes, places, recent, store):
    return encode(data, starts, lengths, codes, slots, hashes, places, recent, store, 0, 0)

data = np.frombuffer(b"one two one " + 40 * b"-", np.uint8)
starts, lengths, codes = np.array([0, 4, 8]), np.full(3, 3), np.zeros(3, np.int32)
slots, hashes, places = np.full(8, -1, np.int32), np.zeros(4, np.uint64), np.zeros((4, 2), np.int64)
recent, store = np.full(RECENT, -1, np.int32), np.zeros(99, np.uint8)
found = run(data, starts, lengths, codes, slots, hashes, places, recent, store)
assert (found, codes.tolist(), places[:2].tolist()) == ((2, 6), [0, 1, 0], [[0, 3], [3, 3]])
print(compiled._leaves_parts())
"""
OTHER_NUMBAS = {
    "no library": "from analyzer import compiled; compiled._part_library = lambda: compiled.no_such_name",
    "no compiler": "from analyzer import compiled; compiled._part_compiler = lambda: None()",
    "another library": "from analyzer import compiled; compiled._part_library = lambda: lambda *given: 1 / 0",
    "another pass": """
from numba.core.codegen import JITCodeLibrary as changed
from analyzer import compiled
made = compiled._part_library()
made._finalize_final_module = lambda self: 1 / 0
compiled._part_library = lambda: made""",
    "other kernels": "from analyzer import compiled; compiled._kernel_compiler = lambda: None()",
    "no cache": "from analyzer import compiled; compiled._SafeCache = None",
    "other code": "from llvmlite import ir; ir.IRBuilder.cttz = None",
}


@pytest.mark.parametrize("change", OTHER_NUMBAS)
def test_another_numba_compiles_more_slowly_but_the_same(tmp_path, change):
    leaves = told(OTHER_NUMBAS[change] + ENCODED, XDG_CACHE_HOME=str(tmp_path))
    assert leaves == str(not change.startswith("another"))


def test_this_numba_leaves_parts_as_they_are(tmp_path):
    assert told(ENCODED, XDG_CACHE_HOME=str(tmp_path)) == "True"


def test_what_numba_remembers_is_its_own_again(tmp_path):
    code = """
from numba.core import types
find = types.functions.BaseFunction.get_call_type
from analyzer import compiled
"""
    code += ENCODED + "print(len(compiled._signatures) > 9, types.functions.BaseFunction.get_call_type is find)"
    assert told(code, XDG_CACHE_HOME=str(tmp_path)).splitlines() == ["True", "True True"]


NO_ALGEBRA = """
import sys
from analyzer import compiled
{before}
compiled.spare_algebra()
from analyzer.sip._hashing import hash_spans
import numpy as np
hash_spans(np.zeros(1, int), np.ones(1, int), np.ones(1, np.uint8), np.ones(1, np.uint64), np.zeros(1, np.uint64))
print("scipy.linalg" in sys.modules)
import scipy.linalg.cython_blas
import scipy.sparse.csgraph
"""


@pytest.mark.parametrize(("before", "there"), [("", "False"), ("import scipy.linalg", "True")])
def test_kernels_need_no_algebra_and_others_find_it(tmp_path, before, there):
    assert told(NO_ALGEBRA.format(before=before), XDG_CACHE_HOME=str(tmp_path)) == there


@pytest.mark.slow
def test_processes_that_start_together_without_a_cache_say_the_same(tmp_path):
    command = [sys.executable, "-m", "analyzer", "messages", str(ROOT / "captures" / "svwar-svcrack.pcapng")]
    given = environment(XDG_CACHE_HOME=str(tmp_path / "cache"))
    started = [
        subprocess.Popen(
            [*command, "-o", str(tmp_path / f"{number}.csv")],
            env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    for process in started:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    tables = [(tmp_path / f"{number}.csv").read_bytes() for number in range(2)]
    assert tables[0]
    assert tables[0] == tables[1]
