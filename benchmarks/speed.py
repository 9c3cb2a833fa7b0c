"""How fast sipscope is beside its peers, and in what memory: `python -m benchmarks.speed` (or `make bench`).

Makes captures (benchmarks.generate), runs sipscope and its peers on the same file, one after the other and over again
(A B C A B C …), and writes medians of wall and CPU time and the peak of memory of whole processes to
benchmarks/RESULTS.md, with each figure that must hold and whether it does. The table that README.md quotes is copied
into it. Takes some minutes on a quiet machine; with --full also a capture of ten million messages and one of 4 GB.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import ROOT
from benchmarks.peers import PEERS, Peer, cut
from benchmarks.processes import Cost, FailedError, floor, median, run, warm
from benchmarks.results import Capture, Results, claims, describe_machine, quote, render

BIN = Path(sys.executable).parent
SIPSCOPE = str(BIN / "sipscope")
MILLION = 1_000_000
FRESH = {"NUMBA_CACHE_DIR": "", "MPLCONFIGDIR": ""}
"""Removed from the environment of a run that is to find nothing that an earlier one left."""


class Turn(NamedTuple):
    """A command that is measured."""

    command: list[str]
    rounds: int
    cores: set[int] | None = None
    """The only cores that it may use, if not all."""
    environment: Mapping[str, str] | None = None


class Bench:
    """Measures, and tells how far it is."""

    def __init__(self, folder: Path, sizes: argparse.Namespace) -> None:
        """Prepare to measure in a folder, on captures of those sizes."""
        self.folder, self.full = folder, sizes.full
        self.messages, self.packets, self.rounds, self.seed = sizes.messages, sizes.packets, sizes.rounds, sizes.seed
        self.results = Results()

    def say(self, text: str) -> None:
        """Tell what is going on."""
        print(text, file=sys.stderr, flush=True)

    def capture(self, profile: str, **size: int) -> Capture:
        """Return a capture of a profile, made if it is not there."""
        ((what, amount),) = size.items()
        path = self.folder / f"{profile}-{amount}-{what}-{self.seed}.pcap"
        said = path.with_suffix(".json")
        if not said.exists():
            self.say(f"making {path.name}")
            option = f"--{what}={amount}"
            command = ["-m", "benchmarks.generate", str(path), option, f"--profile={profile}", f"--seed={self.seed}"]
            run([sys.executable, *command, "--json"], output=said, environment={"PYTHONPATH": str(ROOT)})
        warm(path)
        return Capture(path=path, **json.loads(said.read_text()))

    def measure(self, name: str, command: list[str], rounds: int | None = None, **how: Any) -> None:  # noqa: ANN401
        """Measure one command alone."""
        self.alternate({name: Turn(command, rounds or self.rounds, **how)})

    def alternate(self, turns: Mapping[str, Turn]) -> None:
        """Measure commands in turn, each as often as it says; what fails is missing from the results."""
        costs: dict[str, list[Cost]] = {}
        for number in range(max(turn.rounds for turn in turns.values())):
            for name, turn in turns.items():
                if number >= turn.rounds or name in self.results.missing:
                    continue
                try:
                    cost = run(turn.command, cores=turn.cores, environment=turn.environment)
                except FailedError as error:
                    self.results.missing[name] = str(error)
                    self.say(f"{name}: {error}")
                    continue
                costs.setdefault(name, []).append(cost)
                self.say(f"{name:40} {cost.wall:8.2f} s wall {cost.cpu:8.2f} s CPU {cost.peak / 1e6:8.0f} MB")
        self.results.costs |= {name: median(each) for name, each in costs.items()}
        self.results.rounds |= {name: len(each) for name, each in costs.items()}

    # --- what is measured

    def messages_command(self, path: Path, out: str = "messages.parquet") -> list[str]:
        """Return the command that writes the messages table."""
        return [SIPSCOPE, "messages", str(path), "-o", str(self.folder / out)]

    def report_command(self, path: Path) -> list[str]:
        """Return the command that writes the report."""
        return [SIPSCOPE, "report", str(path), "-o", str(self.folder / "report")]

    def start_up(self) -> None:
        """Measure --help, the first run ever and later ones, on a capture of 1 MB; compile what is measured later."""
        small = self.capture("sip", bytes=MILLION)
        self.results.sizes["small"] = small
        with tempfile.TemporaryDirectory(dir=self.folder) as home:
            fresh = {**FRESH, "XDG_CACHE_HOME": home, "XDG_CONFIG_HOME": home}
            self.measure("first report", self.report_command(small.path), rounds=1, environment=fresh)
            self.measure("later report", self.report_command(small.path), environment=fresh)
        self.measure("--help", [SIPSCOPE, "--help"], rounds=max(9, self.rounds))
        run(self.report_command(small.path))
        run(self.messages_command(small.path))

    def same_file(self) -> None:
        """Measure sipscope and its peers on the same file, in turn; the slow ones in the first round only."""
        main = self.results.main = self.capture("sip", messages=self.messages)
        turns = {
            "sipscope messages": Turn(self.messages_command(main.path), self.rounds),
            "sipscope report": Turn(self.report_command(main.path), self.rounds),
        }
        for peer in PEERS:
            if self._present(peer) and peer.packets is None:
                turns[peer.name] = Turn(peer.command(str(main.path)), min(self.rounds, peer.rounds or self.rounds))
        self.alternate(turns)

    def _present(self, peer: Peer) -> bool:
        if peer.version is None:
            self.results.missing[peer.name] = f"not installed: {peer.source}"
        return peer.version is not None

    def slices(self) -> None:
        """Measure the libraries that are too slow for the whole file on its first packets."""
        main = self.results.main or self.capture("sip", messages=self.messages)
        for peer in PEERS:
            if peer.packets is None or not self._present(peer):
                continue
            path = self.folder / f"first-{peer.packets}.pcap"
            packets = cut(main.path, peer.packets, path)
            self.results.sizes[peer.name] = Capture(path, 0, packets, path.stat().st_size)
            self.measure(peer.name, peer.command(str(path)), rounds=min(3, self.rounds))

    def cores(self) -> None:
        """Measure one core against two, in turn, and compare their tables."""
        main = self.results.main or self.capture("sip", messages=self.messages)
        both = set(sorted(os.sched_getaffinity(0))[:2])
        if len(both) < 2:
            self.results.missing["two cores"] = "this machine has one"
            return
        outs = {"one core": "one.parquet", "two cores": "two.parquet"}
        used = {"one core": {min(both)}, "two cores": both}
        self.alternate(
            {name: Turn(self.messages_command(main.path, out), self.rounds, used[name]) for name, out in outs.items()}
        )
        files = [self.folder / out for out in outs.values()]
        if all(file.exists() for file in files):
            self.results.equal = files[0].read_bytes() == files[1].read_bytes()

    def mixed(self) -> None:
        """Measure packets of which 1 % are SIP, on one core."""
        mixed = self.capture("mixed", packets=self.packets)
        self.results.sizes["mixed"] = mixed
        small, core = self.capture("sip", bytes=MILLION), {min(os.sched_getaffinity(0))}
        self.results.sizes["small"] = small
        rounds = min(3, self.rounds)
        self.alternate(
            {
                "mixed": Turn(self.messages_command(mixed.path), rounds, core),
                "start-up": Turn(self.messages_command(small.path), rounds, core),
            }
        )

    def growth(self) -> None:
        """Measure a capture of a tenth; with --full one of ten times the size, and one of 4 GB with 1 % SIP."""
        tenth = self.capture("sip", messages=self.messages // 10)
        self.results.sizes["tenth"] = tenth
        self.measure("tenth", self.messages_command(tenth.path))
        self.measure("tenth report", self.report_command(tenth.path))
        if self.full:
            for name, capture in (
                ("tenfold", self.capture("sip", messages=self.messages * 10)),
                ("4 GB", self.capture("mixed", bytes=4_000 * MILLION)),
            ):
                self.results.sizes[name] = capture
                self.measure(name, self.messages_command(capture.path), rounds=1)
                if name == "tenfold":
                    self.measure("tenfold report", self.report_command(capture.path), rounds=1)
                capture.path.unlink()
                capture.path.with_suffix(".json").unlink()

    def pipeline(self) -> None:
        """Measure each step of a report, in one process."""
        main = self.results.main or self.capture("sip", messages=self.messages)
        said = self.folder / "steps.json"
        command = [sys.executable, "-m", "benchmarks.steps", str(main.path), str(self.folder / "report")]
        run(command, output=said, environment={"PYTHONPATH": str(ROOT)})
        self.results.steps = json.loads(said.read_text())


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "start-up": Bench.start_up,
    "same-file": Bench.same_file,
    "slices": Bench.slices,
    "cores": Bench.cores,
    "mixed": Bench.mixed,
    "growth": Bench.growth,
    "pipeline": Bench.pipeline,
}
"""What is measured, in order; the first compiles the kernels for the others."""


def main() -> int:
    """Measure, and write the results; return 1 if a figure that must hold does not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=MILLION, help="of the main capture (default: 1,000,000)")
    parser.add_argument("--packets", type=int, default=10 * MILLION, help="of that with 1 %% SIP (default: 10,000,000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often most are run (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="of the captures (default: 1)")
    parser.add_argument("--full", action="store_true", help="also 10 times the messages, and 4 GB: ten minutes, 10 GB")
    parser.add_argument("--only", action="append", choices=list(SECTIONS), help="only this section, and print it")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep the captures there, and use those that are")
    parser.add_argument("--out", type=Path, help="where the results go, if not to RESULTS.md (and into README.md)")
    asked = parser.parse_args()
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
    machine = describe_machine()
    with nullcontext(asked.keep) if asked.keep else tempfile.TemporaryDirectory(prefix="sipscope-bench-") as folder:
        bench = Bench(Path(folder).resolve(), asked)
        for name in (name for name in SECTIONS if name in (asked.only or SECTIONS)):
            bench.say(f"--- {name}")
            SECTIONS[name](bench)
    bench.results.machine = {**machine, **describe_machine(after=True)}
    bench.results.floor = floor()
    text = render(bench.results, command=" ".join(["python -m benchmarks.speed", *sys.argv[1:]]))
    print(text)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    elif not asked.only:  # a part of the results replaces no whole ones
        (ROOT / "benchmarks" / "RESULTS.md").write_text(text, encoding="utf-8")
        quote(text, ROOT / "README.md")
    return int(any(claim.holds is False for claim in claims(bench.results)))


if __name__ == "__main__":
    sys.exit(main())
