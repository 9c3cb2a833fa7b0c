"""A disk that is full, or read-only, in a mount namespace of the test's own."""

import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from needs import need, program

from analyzer.jobs import disk
from tests.jobs.makers import make_job, write_calm

NOW = datetime(2026, 11, 22, 21, tzinfo=UTC)
PATIENCE = 240.0


class SmallDisk:
    """A tmpfs of a few megabytes that only the processes started here see."""

    def __init__(self, where):
        self.where, self._started = where, []
        mount = f"mount -t tmpfs -o size=8m none '{where}' && echo there && exec sleep 900"
        command = ["unshare", "--mount", "sh", "-c", mount]
        self._namespace = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.works = self._namespace.stdout.readline() == b"there\n"

    @property
    def outside(self):
        """Where the disk is for those who are not in the namespace."""
        return Path(f"/proc/{self._namespace.pid}/root{self.where}")

    def start(self, *words):
        enter = ["nsenter", "--mount", "--target", str(self._namespace.pid), *words]
        self._started.append(subprocess.Popen(enter, stderr=subprocess.PIPE, text=True))
        return self._started[-1]

    def mount(self, how):
        assert self.start("mount", "-o", f"remount,{how}", str(self.where)).wait() == 0

    def fill(self):
        with (self.outside / "fill").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 12))

    def end(self):
        for process in self._started:
            process.kill()
            process.wait()
            process.stderr.close()
        self._namespace.kill()
        self._namespace.communicate()


@pytest.fixture
def small(tmp_path):
    program("unshare")
    need(os.geteuid() == 0, "root, who may mount a disk in a namespace,")
    where = tmp_path / "disk"
    where.mkdir()
    made = SmallDisk(where)
    try:
        need(made.works, "a kernel that lets a namespace mount a tmpfs")
        yield made
    finally:
        made.end()


def job_on(small, tmp_path, text=""):
    """Return a job whose captures are beside the small disk, and whose tables and reports are on it."""
    job = make_job(tmp_path, text, every="1h")
    file = job.file.read_text().replace(f'"{tmp_path}/tables"', f'"{small.where}/tables"')
    job.file.write_text(file.replace(f'"{tmp_path}/reports"', f'"{small.where}/reports"'))
    path = write_calm(job.captures / "a.pcap", NOW)
    os.utime(path, (time.time() - 3600,) * 2)
    return job


def words(job, *options):
    return sys.executable, "-m", "analyzer", "job", "run", *options, str(job.file)


def run(small, job, *options):
    process = small.start(*words(job, *options))
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said


TROUBLES = {
    "full": (SmallDisk.fill, lambda small: (small.outside / "fill").unlink(), "the disk is full; make room on it"),
    "read-only": (lambda small: small.mount("ro"), lambda small: small.mount("rw"), "the disk is read-only"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_one_round_says_so_and_the_next_recovers(trouble, small, tmp_path):
    cause, cure, sentence = TROUBLES[trouble]
    job = job_on(small, tmp_path)
    cause(small)
    code, said = run(small, job, "--once")
    assert code == 1
    assert sentence in said
    assert "Traceback" not in said
    cure(small)
    code, said = run(small, job, "--once")
    assert code == 0, said
    assert len([path for path in (small.outside / "reports").iterdir() if path.name.endswith("Z")]) == 1


def test_a_job_that_is_not_to_wait_ends(small, tmp_path):
    job = job_on(small, tmp_path, '[disk]\ntrouble = "stop"')
    small.fill()
    code, said = run(small, job)
    assert code == 1
    assert said.count("\n") == 1
    assert "the disk is full" in said


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_job_that_waits_goes_on_when_it_can(trouble, small, tmp_path):
    cause, cure, sentence = TROUBLES[trouble]
    job = job_on(small, tmp_path)
    cause(small)
    process = small.start(*words(job))
    heard = _listen(process)
    _await(heard, sentence)
    cure(small)
    _await(heard, "can be written again")
    _await(heard, "reported")
    process.terminate()
    assert process.wait(30) == 0
    assert (small.outside / "reports" / "latest").is_symlink()


def test_a_disk_that_fills_while_it_works_is_waited_for(small, tmp_path):
    job = job_on(small, tmp_path)
    process = small.start(*words(job))
    heard = _listen(process)
    _await(heard, "reported")
    small.fill()
    path = write_calm(job.captures / "b.pcap", NOW, first=10)
    os.utime(path, (time.time() - 3600,) * 2)
    _await(heard, "not analysed")
    _await(heard, "waiting for that")
    (small.outside / "fill").unlink()
    _await(heard, "analysed b.pcap: 3 packets, 3 messages")
    process.terminate()
    assert process.wait(30) == 0


def _listen(process):
    heard = queue.Queue()
    threading.Thread(target=_hear, args=(process.stderr, heard), daemon=True).start()
    return heard


def _hear(stream, heard):
    with suppress(ValueError):  # it was closed, at the end of the test
        for line in stream:
            heard.put(line)


def _await(heard, words):
    until = time.monotonic() + PATIENCE
    said = []
    while words not in "".join(said[-1:]):
        try:
            said.append(heard.get(timeout=max(0.0, until - time.monotonic())))
        except queue.Empty:
            pytest.fail(f"never said '{words}', but {said}")


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    assert "there is a file in its place" in str(disk.find_trouble([tmp_path / "file"]))
    assert "there is a file in its place" in str(disk.find_trouble([tmp_path / "file" / "below"]))
    assert disk.find_trouble([tmp_path / "new" / "er"]) is None
    assert disk.room(tmp_path / "none" / "here") == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
