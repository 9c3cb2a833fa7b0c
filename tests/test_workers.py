"""Work in threads and processes: order, errors, and an end at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from needs import ROOT

from analyzer.errors import CaptureError, SettingsError
from analyzer.workers import Copy, EndedError, in_threads, run

HERE = "test_workers"


def double(number):
    time.sleep(0.2 if number == 1 else 0)
    sys.stdout.write("this is no answer")
    return 2 * number


def fail(number):
    if number >= 2:
        time.sleep(0.5 if number == 2 else 0)
        raise CaptureError(f"{number}.pcap", "is odd", offset=number)
    return number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL) if number else sys.exit(3)


def test_results_are_in_the_order_of_tasks():
    assert list(run(f"{HERE}:double", [(number,) for number in range(1, 6)], processes=2)) == [2, 4, 6, 8, 10]


def test_no_tasks_start_no_process():
    assert list(run(f"{HERE}:double", [], processes=2)) == []


def test_the_first_error_in_the_order_of_tasks_is_raised_as_it_was():
    results = run(f"{HERE}:fail", [(number,) for number in range(1, 5)], processes=3)

    assert next(results) == 1
    with pytest.raises(CaptureError, match=r"^2\.pcap: is odd \(at byte 2\)$") as raised:
        next(results)
    assert (raised.value.path, raised.value.offset) == ("2.pcap", 2)


@pytest.mark.parametrize(("number", "how"), [(0, "with exit code 3"), (1, "by SIGKILL, maybe for want of memory")])
def test_a_process_that_ends_is_told(number, how):
    with pytest.raises(EndedError, match=how):
        list(run(f"{HERE}:die", [(number,)], processes=1))


def test_closing_ends_all_processes():
    results = run("time:sleep", [(0,), (60,), (60,)], processes=3)
    next(results)
    began = time.monotonic()
    results.close()

    assert time.monotonic() - began < 10


def test_processes_end_with_the_one_that_started_them():
    code = (
        "from analyzer.workers import run\n"
        "results = run('time:sleep', [(0,), (60,), (60,)], processes=2)\n"
        "next(results)\n"
        "print('up', flush=True)\n"
        "next(results)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout.readline() == b"up\n"
    children = [int(child) for child in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()]
    parent.kill()
    parent.communicate()

    assert len(children) == 2
    until = time.monotonic() + 30
    while alive := [child for child in children if is_alive(child)]:
        assert time.monotonic() < until, alive
        time.sleep(0.05)


def is_alive(process):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_setting_that_is_wrong_can_be_pickled():
    with pytest.raises(SettingsError, match="nowhere"):
        list(run(f"{HERE}:complain", [()], processes=1))


def complain():
    raise SettingsError("nowhere", file="x.toml")


# --- threads


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_give_results_in_the_order_of_tasks(threads):
    def late(number):
        time.sleep(0.1 if number == 1 else 0)
        return 2 * number

    assert list(in_threads(late, range(1, 9), threads=threads)) == list(range(2, 18, 2))
    assert list(in_threads(late, [], threads=threads)) == []


def test_threads_take_no_more_tasks_than_they_can_work_on():
    taken = []

    def tasks():
        for number in range(100):
            taken.append(number)
            yield number

    results = in_threads(lambda number: number, tasks(), threads=2)

    assert next(results) == 0
    assert len(taken) <= 4
    results.close()
    assert len(taken) <= 4


def test_the_error_of_a_thread_is_raised():
    results = in_threads(fail, range(1, 9), threads=2)

    assert next(results) == 1
    with pytest.raises(CaptureError, match=r"2\.pcap"):
        next(results)


copied = pytest.mark.skipif(not Copy.is_possible(), reason="processes are copied on Linux only")


@copied
def test_a_copy_works_on_what_this_process_has(tmp_path):
    words = ["all", "of", "it"]
    Copy(lambda: (tmp_path / "told").write_text(" ".join(words)) and None).wait()
    assert (tmp_path / "told").read_text() == "all of it"


@copied
def test_what_stops_a_copy_comes_out(tmp_path):
    with pytest.raises(FileNotFoundError):
        Copy(lambda: (tmp_path / "no" / "folder").write_text("") and None).wait()
    with pytest.raises(EndedError, match="exit code 255"):
        Copy(lambda: int("none") and None).wait()


@copied
def test_a_copy_can_be_killed_at_any_time():
    copy = Copy(lambda: time.sleep(60))
    copy.kill()
    with pytest.raises(EndedError, match="SIGKILL"):
        copy.wait()
    copy.kill()
