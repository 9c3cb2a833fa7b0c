import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from needs import CAPTURES

from analyzer.jobs import shelf, work
from analyzer.jobs.captures import Capture, Known, list_captures, look
from analyzer.jobs.run import Rounds, perform_apart
from analyzer.store import Store
from tests.jobs.makers import Clock, make_job, perform_here, write_calm

NOW = datetime(2026, 11, 22, 21, tzinfo=UTC)


def start(job, *options):
    words = [sys.executable, "-m", "analyzer", "job", "run", *options, str(job.file)]
    return subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run(job, *options):
    """Run a job as a user does; return its exit code and what it said."""
    process = start(job, *options)
    _, said = process.communicate(timeout=300)
    return process.returncode, said


def aged(path, seconds=3600):
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def rounds(job, perform=perform_here, **options):
    return Rounds(job, perform, **options)


# --- by the command


def test_one_round_of_a_spool_folder(tmp_path):
    told = '[[{0}]]\ncommand = ["/bin/sh", "-c", "cat > ../../told-$SIPSCOPE_EVENT"]\n'
    job = make_job(tmp_path, told.format("after_report") + told.format("on_break_in"))
    for name in ("svwar-svcrack.pcapng", "office-day.pcap"):
        aged(shutil.copy(CAPTURES / name, job.captures / name))
    code, said = run(job, "--once")
    assert code == 0, said
    (report,) = shelf.list_reports(job.reports)
    summary = json.loads((report / "summary.json").read_text())
    assert summary["breaches"]
    assert summary["counts"]["captures"] == 2
    assert {"report.html", "messages.csv"} <= {path.name for path in report.iterdir()}
    assert json.loads((tmp_path / "told-break-in").read_text()) == summary
    assert json.loads((tmp_path / "told-report").read_text()) == summary
    assert len(said.splitlines()) == said.count(" UTC  ")
    (tmp_path / "told-break-in").unlink()
    code, said = run(job, "--once", "--quiet")
    assert code == 0
    assert not (tmp_path / "told-break-in").exists(), "the break-in was told of twice"
    assert said == ""


def test_sigterm_ends_a_job_in_time_and_one_job_runs_at_a_time(tmp_path):
    job = make_job(tmp_path, every="1h")
    first = start(job)
    assert "running" in first.stderr.readline()
    code, said = run(job)
    assert code == 1
    assert f"process {first.pid} runs this job already" in said
    took = [seconds_to_stop(first)]
    while min(took) >= 5 and len(took) < 3:  # a busy machine may take longer now and then
        again = start(job)
        assert "running" in again.stderr.readline()
        took.append(seconds_to_stop(again))
    assert min(took) < 5


def seconds_to_stop(process):
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.endswith("stopped\n")
    return time.monotonic() - began


# --- captures that cannot be analysed


def test_what_is_no_capture_or_broken_does_not_stop_the_rest(tmp_path):
    job = make_job(tmp_path)
    aged(write_calm(job.captures / "good.pcap", NOW))
    (job.captures / "readme.txt").write_text("no capture")
    cut = job.captures / "broken.pcap.gz"
    cut.write_bytes(b"\x1f\x8b\x08\x00broken")
    for path in job.captures.iterdir():
        aged(path)
    now = rounds(job)
    assert now.beat(NOW) is False
    assert [capture.path for capture in now.failed] == [cut]
    assert Store.open(job.tables).read().messages["call_id"].tolist() == ["k-0", "k-1", "k-2"]


def test_a_process_that_dies_fails_its_task_and_no_other(tmp_path, monkeypatch):
    job = make_job(tmp_path, '[analysis]\ntime = "1s"')
    for name in ("1", "2"):
        write_calm(job.captures / f"{name}.pcap", NOW, first=int(name))
    captures = [look(path) for path in sorted(job.captures.iterdir())]
    done = list(perform_apart("analyse", [(job, capture, None) for capture in captures]))
    assert len(done) == 2
    assert all("took too long" in (result.problem or "took too long") for result in done)


def test_one_that_needs_too_much_memory_is_told_so(tmp_path):
    code = (
        "import sys; from analyzer.jobs import work, rights; from analyzer.jobs.settings import load_job\n"
        "job = load_job(sys.argv[1]); rights.limit_memory(job.memory)\n"
        "work.WORK['analyse'] = lambda job: bytearray(2 << 30)\n"
        "print(work.do('analyse', job).problem)"
    )
    job = make_job(tmp_path, '[analysis]\nmemory = "1 GB"')
    done = subprocess.run([sys.executable, "-c", code, str(job.file)], capture_output=True, text=True, timeout=120)
    assert done.stdout == "1 GB of memory are too little; raise memory in [analysis]\n"


def test_a_bug_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(work.WORK, "report", lambda *_: {}["missing"])
    assert work.do("report", make_job(tmp_path)).problem == "KeyError: 'missing'"


# --- what is counted


def test_the_same_capture_twice_counts_once(tmp_path):
    job = make_job(tmp_path)
    for name in ("one.pcap", "two.pcap"):
        aged(write_calm(job.captures / name, NOW))
    rounds(job).analyse()
    assert len(Store.open(job.tables).read().messages) == 3
    (job.state / "known.json").unlink()
    again = rounds(job)
    assert again.analyse()
    assert len(Store.open(job.tables).read().messages) == 3
    assert all(capture in again.known for capture in list_captures(job, NOW))


def test_a_capture_that_grew_is_told_and_not_counted_twice(tmp_path):
    job = make_job(tmp_path)
    path = aged(write_calm(job.captures / "one.pcap", NOW))
    assert rounds(job).analyse()
    data = path.read_bytes()
    path.write_bytes(data + data[24:])
    aged(path)
    now = rounds(job)
    assert now.analyse() is False
    assert len(Store.open(job.tables).read().messages) == 3
    write_calm(path, NOW, first=100)
    aged(path)
    assert rounds(job).analyse()
    assert len(Store.open(job.tables).read().messages) == 6


def test_what_is_being_written_waits(tmp_path):
    job = make_job(tmp_path)
    written = aged(write_calm(job.captures / "written.pcap", NOW))
    fresh = write_calm(job.captures / "fresh.pcap", NOW)
    os.utime(fresh)
    for name in (".hidden.pcap", "copied.pcap.part"):
        aged(write_calm(job.captures / name, NOW))
    now = datetime.now(UTC)
    with written.open("ab"):
        aged(written)
        assert list_captures(job, now) == []
    assert [capture.path for capture in list_captures(job, now)] == [written]


def test_known_captures_are_known_by_all_that_changes_with_their_content(tmp_path):
    job = make_job(tmp_path)
    job.state.mkdir(parents=True)
    capture = look(write_calm(job.captures / "a\nb.pcap", NOW))
    known = Known(job)
    known.add(capture, "id")
    known.save([capture])
    assert capture in Known(job)
    assert Capture(capture.path, capture.bytes, capture.changed + 1, capture.inode) not in Known(job)
    (job.state / "known.json").write_text('{"x": 3')
    assert capture not in Known(job)


# --- reports


def test_a_capture_from_long_ago_is_in_the_next_report_and_in_no_other(tmp_path):
    job = make_job(tmp_path)
    aged(write_calm(job.captures / "old.pcap", datetime(2020, 5, 5, tzinfo=UTC)))
    now = rounds(job, clock=Clock(NOW))
    assert now.beat(NOW)
    assert now.report(NOW)
    counts = [shelf.summary(path)["counts"]["messages"] for path in shelf.list_reports(job.reports)]
    assert counts == [3, 0]


def test_a_report_that_fails_is_made_the_next_time(tmp_path, monkeypatch):
    job = make_job(tmp_path)
    aged(write_calm(job.captures / "old.pcap", datetime(2020, 5, 5, tzinfo=UTC)))
    now = rounds(job, clock=Clock(NOW))
    with monkeypatch.context() as patch:
        patch.setattr("analyzer.reports.write_report", lambda *_, **__: {}["bug"])
        assert now.beat(NOW) is False
    assert shelf.list_reports(job.reports) == []
    assert list(job.reports.iterdir()) == []
    assert now.beat(NOW)
    assert shelf.summary(shelf.list_reports(job.reports)[0])["counts"]["messages"] == 3


def test_commands_are_told_after_a_crash_before_they_were(tmp_path):
    job = make_job(tmp_path, '[[after_report]]\ncommand = ["/bin/sh", "-c", "echo x >> ../../told"]')
    aged(write_calm(job.captures / "a.pcap", NOW))
    assert rounds(job, clock=Clock(NOW)).beat(NOW)
    (newest,) = shelf.list_reports(job.reports)
    (newest / shelf.TOLD).unlink()
    rounds(job).tell()
    rounds(job).tell()
    assert (tmp_path / "told").read_text() == "x\nx\n"


# --- retention


def test_what_is_not_analysed_is_never_removed(tmp_path):
    job = make_job(tmp_path, '[keep]\ncaptures = { age = "1m", bytes = 1 }')
    for name in ("a", "b"):
        aged(write_calm(job.captures / f"{name}.pcap", NOW, first=ord(name)))
    now = rounds(job)
    now.remove()
    assert len(list(job.captures.iterdir())) == 2
    assert now.analyse()
    now.remove()
    assert list(job.captures.iterdir()) == []
    assert rounds(job).analyse()
    assert len(Store.open(job.tables).read().messages) == 6


@pytest.mark.parametrize("forward", [True, False])
def test_a_clock_that_is_set_removes_nothing(forward, tmp_path):
    job = make_job(tmp_path, '[keep]\ncaptures = { age = "30d" }\nreports = { age = "30d" }\ntables = { age = "30d" }')
    write_calm(job.captures / "a.pcap", NOW.replace(day=21))
    clock = Clock(NOW)
    now = rounds(job, clock=clock, passed=lambda: 0.0)
    assert now.beat(NOW)
    clock.now = NOW.replace(year=2036 if forward else 2016)
    for _ in range(2):
        assert now.beat(job.schedule.last(clock.now))
    assert len(list(job.captures.iterdir())) == 1
    assert len(shelf.list_reports(job.reports)) == 3
    assert len(Store.open(job.tables).captures()) == 1
