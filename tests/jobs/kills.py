"""Kill a running job again and again, anywhere, and count what is left: nothing lost, nothing twice.

    python -m tests.jobs.kills --kills 200 --source veth     as root: dumpcap records a veth pair in a namespace
    python -m tests.jobs.kills --kills 200 --source spool    captures that a writer leaves in a folder

Each kill is SIGKILL for one process of the job, or for all at once; at a random time, or just after the job has said
that it recorded, analysed, reported or removed something. Segments are kept aside by hard links before the job's
retention removes them, so that all of them can be read again from scratch in the end.
"""

import argparse
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
OLD_SECONDS = 30 * 86400
"""How old the packets of some captures are: the store is not to keep them."""
EVENTS = ("recording", "recorded", "analysed", "analysed", "reported", "removed", "removed")
PATIENCE = 20.0
"""Seconds that are waited for an event before the kill comes anyway."""
JOB = """
{source}
[report]
every = "8s"
covers = "20s"
[folders]
{captures}
tables = "{folder}/tables"
reports = "{folder}/reports"
[keep]
captures = {{ bytes = "150 KB" }}
tables = {{ age = "20d" }}
reports = {{ bytes = "1 MB" }}
"""
RECORD = '[record]\ninterface = "v0"\nports = [5060]\nsegment = "2s"\nsegment_bytes = "100 KB"'
SPOOL = '[spool]\nfolder = "{folder}/captures"\nsettle = "1s"'


# --- packets


def frame(number):
    """Return an Ethernet frame with a SIP request that has the number in its Call-ID."""
    source = f"198.51.100.{number % 4 + 1}"
    text = (
        f"OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {source}:5060;branch=z9hG4bK-{number}\r\n"
        f"From: <sip:{number % 40}@192.0.2.1>;tag=t{number}\r\nTo: <sip:100@192.0.2.1>\r\nCall-ID: k-{number}\r\n"
        "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    udp = struct.pack(">HHHH", 5060, 5060, 8 + len(text), 0) + text
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number & 0xFFFF, 0, 64, 17, 0,
        socket.inet_aton(source), socket.inet_aton("192.0.2.1"),
    )  # fmt: skip
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return b"\x02" * 6 + b"\x04" * 6 + b"\x08\x00" + head[:10] + struct.pack(">H", checksum) + head[12:] + udp


class Sender(threading.Thread):
    """Sends packets into one end of a veth pair."""

    def __init__(self, rate):
        super().__init__(daemon=True)
        self.rate, self.ended, self.sent = rate, threading.Event(), 0

    def run(self):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind(("v1", 0))
            while not self.ended.wait(1 / self.rate):
                out.send(frame(self.sent))
                self.sent += 1


class Writer(threading.Thread):
    """Writes captures into a spool folder: under a name for the unfinished, or slowly under the last name."""

    def __init__(self, folder, rate, seed):
        super().__init__(daemon=True)
        self.folder, self.rate, self.ended, self.sent, self.written = folder, rate, threading.Event(), 0, 0
        self.random = random.Random(seed)

    def run(self):
        while not self.ended.is_set():
            old = self.random.random() < 0.2
            count = self.random.randrange(1, 60)
            name = f"{'old-' if old else ''}{self.written:06}.pcap"
            self._write(name, count, time.time() - (OLD_SECONDS if old else 0))
            self.written += 1
            self.ended.wait(count / self.rate)

    def _write(self, name, count, start):
        patient = self.random.random() < 0.5
        path = self.folder / (name if patient else f"{name}.partial")
        with path.open("xb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for _ in range(count):
                data = frame(self.sent)
                file.write(struct.pack("<IIII", int(start), self.sent % 10**6, len(data), len(data)) + data)
                self.sent += 1
                if patient:
                    file.flush()
                    self.ended.wait(0.05)
        path.rename(self.folder / name)


class Keeper(threading.Thread):
    """Keeps each whole capture aside by a hard link, before retention removes it."""

    def __init__(self, folder, aside):
        super().__init__(daemon=True)
        self.folder, self.aside, self.ended = folder, aside, threading.Event()

    def run(self):
        while not self.ended.wait(0.02):
            self.look()

    def look(self):
        for path in self.folder.glob("*.pcap*"):
            if not path.name.endswith(".partial") and not (self.aside / path.name).exists():
                with suppress(FileNotFoundError):
                    os.link(path, self.aside / path.name)


def numbers_on_disk(path):
    """Return the numbers of the whole packets in a pcapng file that may be cut short."""
    data, at, found = path.read_bytes(), 0, set()
    while at + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if length < 12 or at + length > len(data):
            break
        if kind == 6:
            found |= {int(number) for number in re.findall(rb"Call-ID: k-(\d+)\r\n", data[at : at + length])}
        at += length
    return found


# --- processes


def children(pid):
    """Return the processes below one, with their command lines."""
    parents, found = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                stat = (entry / "stat").read_text()
                parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
                found[int(entry.name)] = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
    below, queue = {}, [pid]
    while queue:
        parent = queue.pop()
        fresh = [child for child, of in parents.items() if of == parent]
        below |= {child: found[child] for child in fresh}
        queue += fresh
    return below


class Running:
    """A job that runs, and what it says."""

    def __init__(self, toml, log, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "analyzer", "job", "run", *options, str(toml)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said, self._log = threading.Condition(), log
        self.lines = 0
        self.last = self.all = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self.process.stderr as lines, suppress(ValueError):  # the log was closed, at the end
            for line in lines:
                self._log.write(line)
                self._log.flush()
                with self.said:
                    self.last, self.all, self.lines = line, self.all + line, self.lines + 1
                    self.said.notify_all()

    def end(self, seconds):
        """Wait until the job ends, and all that it said is read; return its exit code."""
        code = self.process.wait(seconds)
        self._reader.join(30)
        return code

    def wait_for(self, word, *, so_far=False):
        """Wait until the job says something with a word, or has said so far; not for ever."""
        until = time.monotonic() + PATIENCE
        with self.said:
            if so_far and word in self.all:
                return
            while (left := until - time.monotonic()) > 0:
                before = self.lines
                self.said.wait(left)
                if self.lines > before and word in self.last:
                    return


def kill(running, chance):
    """Kill some of a job's processes; say which, and whether the job itself is gone."""
    below = children(running.process.pid)
    pick = chance.choices(("all", "job", "recorder", "worker", "dumpcap"), (50, 20, 10, 12, 8))[0]
    wanted = {"recorder": "jobs.recorder", "worker": "analyzer.workers", "dumpcap": "dumpcap"}.get(pick)
    named = [pid for pid, line in below.items() if wanted and wanted in line]
    if wanted and not named:
        pick = "all"
    targets = named or [running.process.pid, *(below if pick == "all" else [])]
    for pid in targets:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    gone = not named
    if gone:
        running.process.wait()
        await_end(below if pick == "all" else {})
    return pick, gone


def await_end(pids):
    """Wait until processes that were killed are gone, or dead and not yet buried."""
    until = time.monotonic() + 10
    while time.monotonic() < until and any(_alive(pid) for pid in pids):
        time.sleep(0.01)


def _alive(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    return False


# --- the soak


def soak(folder, *, kills, source, seed, rate=40.0):
    """Run a job under traffic and kill it so many times; return what was counted, after checking all of it."""
    chance = random.Random(seed)
    captures, aside = folder / "captures", folder / "aside"
    captures.mkdir(parents=True)
    aside.mkdir()
    toml = folder / "job.toml"
    text = RECORD if source == "veth" else SPOOL.format(folder=folder)
    where = f'captures = "{captures}"' if source == "veth" else ""
    toml.write_text(JOB.format(source=text, captures=where, folder=folder))
    traffic = Sender(rate) if source == "veth" else Writer(captures, rate, seed)
    keeper = Keeper(captures, aside)
    keeper.start()
    traffic.start()
    seen, picks = set(), Counter()
    with (folder / "log").open("w") as log:
        running = Running(toml, log)
        for _ in range(kills):
            _pause(running, chance)
            pick, gone = kill(running, chance)
            picks[pick] += 1
            log.write(f"--- killed {pick}\n")
            for partial in captures.glob("*.partial") if source == "veth" else ():
                seen |= numbers_on_disk(partial) if partial.exists() else set()
            if gone:
                time.sleep(chance.choice((0, 0, 0.3)))
                running = Running(toml, log)
        traffic.ended.set()
        traffic.join()
        _settle(running, toml, log)
    keeper.ended.set()
    keeper.join()
    keeper.look()
    return {"kills": kills, **picks, "sent": traffic.sent} | check(folder, seen)


def _pause(running, chance):
    """Let the job run for a while: a random time, or until it says a random thing."""
    if chance.random() < 0.4:
        time.sleep(chance.choice((0.1, 0.5, 1, 2, 4)) * (0.5 + chance.random()))
    else:
        running.wait_for(chance.choice(EVENTS))
        time.sleep(chance.choice((0, 0, 0.001, 0.01, 0.05)))


def _settle(running, toml, log):
    """End the job as one does, and let it do what is left."""
    running.wait_for("running", so_far=True)
    time.sleep(3)
    began = time.monotonic()
    running.process.terminate()
    code = running.end(30)
    assert code == 0, f"SIGTERM ended the job with {code}"
    assert time.monotonic() - began < 15, "SIGTERM took too long"
    if "[record]" in toml.read_text():
        last = Running(toml, log, "--only", "record")
        last.wait_for("recording", so_far=True)
        last.process.terminate()
        assert last.end(30) == 0
    assert Running(toml, log, "--once", "--only", "report").end(1800) == 0


def check(folder, seen):
    """Read every segment again from scratch and compare; return the counts."""
    from analyzer.reading import read_captures
    from analyzer.segments import list_partial, list_segments
    from analyzer.store import Store

    captures, aside = folder / "captures", folder / "aside"
    assert list_partial(captures) == []
    numbers, old = Counter(), set()
    for path in sorted(aside.iterdir()):
        found = [int(name.removeprefix("k-")) for name in read_captures(path).messages["call_id"]]
        numbers.update(found)
        if path.name.startswith("old-"):
            old.update(found)
    twice = [number for number, count in numbers.items() if count > 1]
    assert not twice, f"{len(twice)} packets are in two segments: {twice[:5]}"
    lost = seen - set(numbers)
    assert not lost, f"{len(lost)} packets were on the disk, and are in no segment: {sorted(lost)[:5]}"
    stored = [int(name.removeprefix("k-")) for name in Store.open(folder / "tables").read().messages["call_id"]]
    expected = Counter(number for number in numbers if number not in old)
    assert Counter(stored) == expected, (
        f"the store has {len(stored)} messages, the segments {len(expected)}; "
        f"not stored {sorted(expected - Counter(stored))[:5]}, too many {sorted(Counter(stored) - expected)[:5]}"
    )
    _check_leftovers(folder)
    return {
        "segments": len(list(aside.iterdir())),
        "segments left by retention": len(list_segments(captures) or list(captures.glob("*.pcap"))),
        "messages in segments": numbers.total(),
        "of these too old to keep": len(old),
        "messages in the store": len(stored),
        "packets seen in partial segments after kills": len(seen),
        "reports left by retention": len([path for path in (folder / "reports").iterdir() if path.name[0] == "2"]),
    }


def _check_leftovers(folder):
    """Nothing half-written is left once the job has had its turn."""
    left = [path for path in (folder / "tables").rglob("*") if path.name.endswith(".part")]
    left += list((folder / "tables" / "adding").iterdir())
    left += [path for path in (folder / "reports").iterdir() if path.name.startswith(".")]
    assert not left, f"left behind: {left[:5]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--source", choices=("veth", "spool"), default="spool")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=40.0, help="packets a second")
    parser.add_argument("--folder", type=Path, help="kept afterwards; a temporary one without")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.source == "veth" and not options.here:
        words = [sys.executable, "-m", "tests.jobs.kills", *sys.argv[1:], "--here"]
        os.chdir(ROOT)
        os.execvp("unshare", ["unshare", "--net", *words])  # noqa: S606
    if options.source == "veth":
        for words in ("link add v0 type veth peer name v1", "link set v0 up", "link set v1 up"):
            subprocess.run(["ip", *words.split()], check=True)
    with tempfile.TemporaryDirectory(prefix="kills-") as temporary:
        folder = options.folder or Path(temporary)
        counted = soak(folder, kills=options.kills, source=options.source, seed=options.seed, rate=options.rate)
    for name, value in counted.items():
        sys.stdout.write(f"{name:<48}{value:>10,}\n")


if __name__ == "__main__":
    main()
