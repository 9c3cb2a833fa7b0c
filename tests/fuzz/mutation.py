"""The mutation run: `python -m tests.fuzz.mutation --seed 1 --count 1000`, started by tests.fuzz with bounds checks.

Iteration i of a seed is always the same; it is 50 captures, 200 payloads or 50 streams, by turns. A finding is written
to a file and told in one line, and the run goes on; runs that take too long end the process with a traceback.
"""

import argparse
import faulthandler
import json
import pickle
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import numba
import numpy as np

from analyzer.engines.native import BLOCK_BYTES
from analyzer.errors import AnalyzerError
from analyzer.sip.streams import Limits, Streams
from tests.fuzz import checks, mutate, seeds

BATCH = {"captures": 50, "payloads": 200, "streams": 50}
BLOCKS = (4096, 16_384, 70_000, 1 << 20, BLOCK_BYTES)
MOST_SECONDS = 10
"""How much processor time a single run may take; of the clock, ten times as much before it is ended as hung."""
MOST_MEMORY = 1200 << 20
"""How many bytes the process may occupy at its peak, compiled kernels and seeds among them."""
WHOLE_EVERY = 40
"""Of how many captures one goes through the whole analysis."""


class Run:
    """What has been tried and found."""

    def __init__(self, folder, seed, *, timed=True):
        self.folder = folder
        self.seed = seed
        self.seeds = seeds.gather()
        self.tried = Counter()
        self.messages = 0
        self.longest = 0.0
        self.findings = {}
        self.timed = timed
        self.begun = time.perf_counter()

    def iterate(self, i):
        """Run iteration i."""
        kind = list(BATCH)[i % 3]
        random = Random(f"{self.seed}-{i}")
        blocks = getattr(self, f"_try_{kind}")(random, i)
        self.tried[kind] += BATCH[kind]
        (self.folder / "tried.json").write_text(json.dumps({**self.tried, "seconds": time.perf_counter() - self.begun}))
        self.messages += self._guard(lambda: checks.parse_all(blocks), f"{kind}-{i}", blocks) or 0

    def _try_captures(self, random, i):
        found = []
        for k in range(BATCH["captures"]):
            data = mutate.make_capture(random, self.seeds)
            path = self.folder / "current.capture"
            path.write_bytes(data)
            one, other, whole = random.choice(BLOCKS), random.choice(BLOCKS), not random.randrange(WHOLE_EVERY)
            found += self._guard(lambda: _read(path, data, one, other, whole), f"captures-{i}-{k}", data) or []  # noqa: B023
        return found

    def _try_payloads(self, random, i):
        payloads = [mutate.make_payload(random, self.seeds) for _ in range(BATCH["payloads"])]
        (self.folder / "current.payloads").write_bytes(pickle.dumps((self.seed, i, payloads)))
        return [checks.datagrams(payloads)]

    def _try_streams(self, random, i):
        segments = mutate.make_segments(random, self.seeds, BATCH["streams"])
        (self.folder / "current.segments").write_bytes(pickle.dumps((self.seed, i, segments)))
        limits = random.choice(
            (Limits(), Limits(stream_bytes=3000, stream_segments=4), Limits(streams=7, total_bytes=9000))
        )
        return self._guard(lambda: checks.read_streams([segments], Streams(limits)), f"streams-{i}", segments) or []

    def _guard(self, work, name, data):
        """Return what work returns; note what it raises, and how long it takes."""
        faulthandler.dump_traceback_later(10 * MOST_SECONDS if self.timed else 600, exit=True)
        begun = time.process_time()
        try:
            return work()
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            self._note(error, name, data)
            return None
        finally:
            faulthandler.cancel_dump_traceback_later()
            taken = time.process_time() - begun
            if taken > MOST_SECONDS and self.timed:
                self._note(checks.BrokenPromiseError(f"took {taken:.1f} s"), name, data)
            self.longest = max(self.longest, taken)

    def _note(self, error, name, data):
        """Write down a finding; one of each kind."""
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        place = "" if last is None else f"{Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}"
        kind = f"{type(error).__name__} {place}"
        if kind not in self.findings:
            path = self.folder / f"finding-{self.seed}-{name}"
            path.write_bytes(data if isinstance(data, bytes) else pickle.dumps(data))
            self.findings[kind] = f"{kind}: {error} ({path})"
            print(f"FINDING {self.findings[kind]}", file=sys.stderr, flush=True)  # noqa: T201


def _read(path, data, one, other, whole):
    """Read a capture in blocks of two sizes: the same must come of it."""
    found = checks.read_capture(path, one)
    again = checks.read_capture(path, other)
    checks.promise(checks.payloads_of(found) == checks.payloads_of(again), f"blocks of {one} and {other} bytes differ")
    records = checks.count_records(data)
    if records is not None:
        read = sum(packets.captured - (0 if packets.segments is None else len(packets.segments)) for packets in found)
        checks.promise(read == records, f"{records} records, but {read} packets")
    if whole:
        _analyze(path, found)
    return found


def _analyze(path, found):
    """Run the whole analysis over a capture; its tables must tell of all packets."""
    from analyzer.analysis import analyze

    try:
        analysis = analyze(path, most_bytes=checks.MOST_BYTES)
    except AnalyzerError:
        checks.promise(not found, "the analysis refuses a capture that the engine reads")
        return
    packets = int(analysis.captures["packets"].sum())
    checks.promise(int(analysis.fates["packets"].sum()) == packets, "the fates do not add up to the packets")
    checks.promise(len(analysis.messages) == sum(map(len, found)), "the analysis has other messages than the engine")


def bounds_are_checked():
    """Say whether the kernels of the engine and of streams check their bounds: they read past an array's end here."""
    from analyzer.engines._words import big32
    from analyzer.sip._framing import read_frame

    @numba.njit
    def engine(data):
        return big32(data, 0)

    @numba.njit
    def streams(data):
        return read_frame(data, 0, 2)

    return all(_raises(kernel, np.array([0x81], np.uint8)) for kernel in (engine, streams))


def _raises(kernel, data):
    try:
        kernel(data)
    except IndexError:
        return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first iteration")
    parser.add_argument("--count", type=int, default=1 << 30, help="how many iterations")
    parser.add_argument("--seconds", type=float, default=1e9, help="after how long to stop, compilation not counted")
    parser.add_argument("--folder", type=Path, required=True, help="where findings and the current input are written")
    options = parser.parse_args()
    if not bounds_are_checked():
        print("the kernels do not check bounds: set NUMBA_BOUNDSCHECK=1 and a NUMBA_CACHE_DIR of its own")  # noqa: T201
        return 2
    run = Run(options.folder, options.seed)
    run_warm(options.folder)
    begun = time.perf_counter()
    for i in range(options.first, options.first + options.count):
        if time.perf_counter() - begun > options.seconds:
            break
        run.iterate(i)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    if memory > MOST_MEMORY:
        run.findings["memory"] = f"{memory >> 20:,} MiB of memory"
    told = {
        "seed": options.seed, **run.tried, "messages": run.messages, "seconds": round(time.perf_counter() - begun, 1),
        "longest_seconds": round(run.longest, 2), "peak_mib": memory >> 20, "findings": sorted(run.findings.values()),
    }  # fmt: skip
    print(json.dumps(told))  # noqa: T201
    return 1 if run.findings else 0


def run_warm(folder):
    """Compile all kernels before time is taken."""
    warm = Run(folder, 0, timed=False)
    for i in range(3):
        warm.iterate(i)


if __name__ == "__main__":
    sys.exit(main())
