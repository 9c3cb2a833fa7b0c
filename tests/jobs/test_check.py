import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from needs import program

from analyzer.jobs.check import describe, find_problems
from analyzer.jobs.lock import locked
from tests.jobs.makers import make_job

NOW = datetime(2026, 11, 22, 20, 21, 40, tzinfo=UTC)


def problems(job):
    found, wrong, remarks = find_problems(str(job.file))
    assert found is not None
    return [str(problem).removeprefix(f"{job.file}: ") for problem in wrong], remarks


def test_a_job_in_order_says_what_it_does_and_when(tmp_path):
    job = make_job(tmp_path, every="1h")
    assert problems(job) == ([], [])
    said = describe(job, ["a remark"], NOW).splitlines()
    assert said[-5:] == [
        "next      Sun 2026-11-22 21:00:00 UTC",
        "          Sun 2026-11-22 22:00:00 UTC",
        "          Sun 2026-11-22 23:00:00 UTC",
        "          Mon 2026-11-23 00:00:00 UTC",
        "          Mon 2026-11-23 01:00:00 UTC",
    ]
    assert max(len(line) for line in said if str(tmp_path) not in line) <= 80
    assert list(tmp_path.iterdir()) == [job.captures, job.file] or len(list(tmp_path.iterdir())) == 2


def test_everything_that_is_wrong_is_found_at_once(tmp_path):
    (tmp_path / "allow.txt").write_text("not an address")
    (tmp_path / "file").touch()
    text = f"""
[analysis]
allow = ["allow.txt"]
geoip = ["none.mmdb"]
signatures = ["none.toml"]
[detectors.sweep]
targts = 3
[detectors.swoop]
x = 3
[[after_report]]
command = ["{tmp_path}/none"]
[[on_break_in]]
command = ["./relative"]
"""
    job = make_job(tmp_path, text)
    job.file.write_text(job.file.read_text().replace(f'"{tmp_path}/reports"', f'"{tmp_path}/file/reports"'))
    wrong, _ = problems(job)
    keys = [line.split(": ")[0] for line in wrong]
    assert keys == [
        "folders.reports", "analysis.allow", "analysis.geoip", "analysis.signatures", "detectors.sweep.targts",
        "detectors.swoop", "after_report[1].command", "on_break_in[1].command",
    ]  # fmt: skip


def test_folders_that_would_read_their_own_reports_are_refused(tmp_path):
    job = make_job(tmp_path)
    job.file.write_text(job.file.read_text().replace(f'"{tmp_path}/reports"', f'"{tmp_path}/captures/reports"'))
    assert "lies in spool.folder" in problems(job)[0][0]
    job.file.write_text(job.file.read_text().replace(f'"{tmp_path}/captures/reports"', f'"{tmp_path}/tables"'))
    assert "the folder of folders.tables" in problems(job)[0][0]


def test_a_capture_filter_is_read_by_libpcap(tmp_path):
    program("dumpcap")
    job = make_job(tmp_path, spool=False)
    job.file.write_text(job.file.read_text().replace('"v0"', '"lo"\nfilter = "udp prt 5060"'))
    (wrong,), _ = problems(job)
    assert wrong.startswith("record.filter: this is no capture filter: ")
    job.file.write_text(job.file.read_text().replace("udp prt", "udp port"))
    assert problems(job)[0] == []


def test_what_will_change_by_itself_is_a_remark(tmp_path):
    program("dumpcap")
    job = make_job(tmp_path, '[keep]\ntables = { bytes = "9000 TB" }', spool=False)
    with locked(job.reporting_lock, "runs"):
        wrong, remarks = problems(job)
    assert wrong == []
    said = " / ".join(remarks)
    assert "v0: there is no such interface" in said
    assert "will fill the disk" in said
    assert "no room for 9,000 TB of tables" in said
    assert f"process {os.getpid()} analyses and reports" in said


@pytest.mark.parametrize("command", [["check"], ["run", "--once"], ["unit"]])
def test_what_is_wrong_is_said_in_one_go_without_a_traceback(command, tmp_path):
    file = tmp_path / "job.toml"
    file.write_text('[spool]\n[report]\nevery = "x"\n')
    words = [sys.executable, "-m", "analyzer", "job", *command, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"sipscope: {file}: 4 problems\n  ")
