"""Jobs and captures in one call, for tests."""

import os
import struct
from datetime import UTC, datetime, timedelta

from needs import CAPTURES

from analyzer.jobs.settings import load_job
from analyzer.jobs.work import do
from tests.jobs.kills import frame

SWEEP = CAPTURES / "svmap-sweep.pcap"


def make_job(folder, text="", *, spool=True, **report):
    """Return a job whose folders are below folder; text is more TOML, report are more settings of its section."""
    for name in ("captures",) if spool else ():
        (folder / name).mkdir(exist_ok=True)
    source = f'[spool]\nfolder = "{folder}/captures"\nsettle = "1s"' if spool else '[record]\ninterface = "v0"'
    captures = "" if spool else f'captures = "{folder}/captures"'
    lines = "\n".join(f'{key} = "{value}"' for key, value in report.items())
    file = folder / "job.toml"
    file.write_text(
        f"{source}\n[report]\n{lines}\n[folders]\n{captures}\n"
        f'tables = "{folder}/tables"\nreports = "{folder}/reports"\n{text}\n'
    )
    return load_job(file)


def perform_here(name, tasks):
    """Yield what becomes of tasks, in this process."""
    for task in tasks:
        yield do(name, *task)


def write_calm(path, when, *, first=0, count=3):
    """Write a capture of a few harmless packets, last changed when they were captured."""
    records = [(when + timedelta(milliseconds=number), frame(first + number)) for number in range(count)]
    return _write(path, records, when)


def write_sweep(path, when):
    """Write the bundled sweep as if it had been captured at another time."""
    data, at, records = SWEEP.read_bytes(), 24, []
    first = None
    while at < len(data):
        seconds, fraction, length, _ = struct.unpack_from("<IIII", data, at)
        time = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=fraction)
        first = first or time
        records.append((when + (time - first), data[at + 16 : at + 16 + length]))
        at += 16 + length
    link = struct.unpack_from("<I", data, 20)[0]
    return _write(path, records, records[-1][0], link)


def _write(path, records, changed, link=1):
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link))
        for time, data in records:
            stamp = time.timestamp()
            file.write(struct.pack("<IIII", int(stamp), time.microsecond, len(data), len(data)) + data)
    os.utime(path, (changed.timestamp(), changed.timestamp()))
    return path


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now
