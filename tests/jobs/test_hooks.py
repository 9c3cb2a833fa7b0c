import logging
import sys
import time
from datetime import timedelta

import pytest

from analyzer.jobs import hooks
from analyzer.jobs.log import LOGGER
from analyzer.jobs.settings import Command
from tests.processes import is_alive


@pytest.fixture
def said(caplog, monkeypatch):
    monkeypatch.setattr(LOGGER, "propagate", True)
    monkeypatch.setattr(LOGGER, "handlers", [])
    caplog.set_level(logging.INFO, LOGGER.name)
    return lambda: caplog.messages


def tell(tmp_path, *words, seconds=20.0):
    (tmp_path / "summary.json").write_text('{"counts": 3}')
    command = Command(command=tuple(words), time=timedelta(seconds=seconds))
    hooks.tell([command], tmp_path / "summary.json", {"event": "report"})


def python(code):
    return sys.executable, "-c", code


def test_the_summary_comes_on_standard_input_and_words_are_no_shell(tmp_path, said):
    code = "import os,sys; open('told', 'w').write(sys.stdin.read() + os.environ['SIPSCOPE_EVENT'] + sys.argv[1])"
    tell(tmp_path, *python(code), "$(reboot); *")
    assert (tmp_path / "told").read_text() == '{"counts": 3}report$(reboot); *'
    assert said() == [f"told '{sys.executable}'"]


def test_a_command_that_does_not_listen_is_none_the_worse(tmp_path, said):
    tell(tmp_path, *python("pass"))
    assert said()[0].startswith("told")


def test_a_failure_is_told_with_the_last_line(tmp_path, said):
    tell(tmp_path, *python("print('first'); raise SystemExit('no \\x1b[31m mail today')"))
    assert "failed with exit code 1: no \x1b[31m mail today" in said()[0]


def test_a_program_that_is_missing_is_told(tmp_path, said):
    tell(tmp_path, str(tmp_path / "none"))
    assert "cannot be run: No such file" in said()[0]


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path, said):
    began = time.monotonic()
    tell(tmp_path, "sh", "-c", "sh -c 'echo $$ > child; exec sleep 60'; true", seconds=1)
    assert time.monotonic() - began < 30
    assert "longer than a second" in said()[0]
    child = int((tmp_path / "child").read_text())
    while is_alive(child):
        assert time.monotonic() - began < 40
        time.sleep(0.01)


def test_one_that_never_stops_talking_takes_no_memory(tmp_path, said):
    tell(tmp_path, *python("while True: print('x' * 100000)"), seconds=1)
    assert "longer than" in said()[0]


def test_one_whose_offspring_lives_on_is_not_waited_for(tmp_path, said):
    began = time.monotonic()
    tell(tmp_path, *python("import subprocess; subprocess.Popen(['sleep', '60'])"), seconds=50.0)
    assert time.monotonic() - began < 30
    assert said()[0].startswith("told")
