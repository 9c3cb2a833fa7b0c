"""The process that records for a job: it begins again when its recorder fails, and ends with whoever started it."""

import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from analyzer.errors import AnalyzerError, SettingsError
from analyzer.jobs.disk import find_trouble
from analyzer.jobs.lock import locked
from analyzer.jobs.log import LOGGER, speak
from analyzer.jobs.settings import Job

PATIENCE = 15.0
"""Seconds in which a process that a crash left behind ends, and its recorder with it."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a recorder that failed is started again; each time twice as many."""
STEADY = 60.0
"""Seconds of recording after which what failed before is forgiven."""
PROBING = 5.0
"""Seconds between two looks whether a disk can be written again."""
REMINDING = 3600.0
"""Seconds after which it is said again that it cannot."""
REFUSED = 3
"""The exit code when recording is given up, as the settings have it."""
PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from analyzer.jobs.recorder import serve; serve()"
"""The program of the process; standard input is the pickled job, and ends when recording is to end."""


def serve() -> None:
    """Record for the job that comes on standard input, until that ends or SIGTERM comes."""
    job, quiet = pickle.load(sys.stdin.buffer)  # noqa: S301  from the process that started this one
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    threading.Thread(target=_listen, args=(stop,), daemon=True).start()
    speak(quiet=quiet)
    try:
        keep_recording(job, stop)
    except AnalyzerError as error:
        LOGGER.error("%s", error)
        sys.exit(REFUSED)


def _listen(stop: threading.Event) -> None:
    while os.read(0, 1024):  # not through sys.stdin, which would have to be free when this process ends
        pass
    stop.set()


def keep_recording(job: Job, stop: threading.Event) -> None:
    """Record until stop is set; finish first what a crash left.

    Raises SettingsError if another process records into the folder, and if the folder cannot be written and the
    settings say not to wait for that.
    """
    await_disk(job, [job.captures], stop)
    with locked(job.recording_lock, "records into this folder", wait=PATIENCE):
        pause = FIRST_PAUSE
        while not stop.is_set():
            began = time.monotonic()
            problem = _record(job, stop)
            if stop.is_set():
                return
            pause = FIRST_PAUSE if time.monotonic() - began > STEADY else pause
            LOGGER.error("%s (recording goes on in %g s)", problem, pause)
            stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            await_disk(job, [job.captures], stop)


def _record(job: Job, stop: threading.Event) -> str:
    """Record, and return why that ended."""
    from analyzer.recording import Recording, record

    ordered = job.record
    if ordered is None:
        raise SettingsError("nothing is to be recorded: add [record]", file=job.file)
    recording = Recording(
        interface=ordered.interface,
        folder=job.captures,
        recorder=ordered.recorder,
        filter=ordered.filter,
        ports=ordered.ports,
        period=ordered.segment,
        most_bytes=ordered.segment_bytes,
        promiscuous=ordered.promiscuous,
    )
    LOGGER.info("recording %s into %s", ordered.interface, job.captures)
    try:
        record(recording, stop=stop, on_segment=lambda path: LOGGER.info("recorded %s", path.name))
    except AnalyzerError as error:
        return str(error)
    return "the recorder ended"


def await_disk(job: Job, folders: Iterable[Path], stop: threading.Event) -> None:
    """Return as soon as folders can be written, or stop is set.

    Raises SettingsError if that has to be waited for and the settings say not to.
    """
    folders = list(folders)
    told = 0.0
    while trouble := find_trouble(folders):
        if job.trouble == "stop":
            raise trouble
        if not told or time.monotonic() - told > REMINDING:
            LOGGER.error("%s (waiting for that)", trouble)
            told = time.monotonic()
        if stop.wait(PROBING):
            return
    if told:
        LOGGER.info("%s can be written again", " and ".join(map(str, folders)))
