"""Fuzz for some minutes: `python -m tests.fuzz --minutes 5`.

Prints how much was tried, how long the longest run took, and what was found, with the file that shows it; ends with 1
if there is a finding. Half of the time goes to random changes with bounds checks, half to the search for new ways.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

from tests.again import checked_cache
from tests.fuzz import mutate, seeds
from tests.needs import APART

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("capture", "sip", "stream")
COMPILE_SECONDS = 400
"""How long compiling all kernels with bounds checks may take beyond the run."""


def environment(**variables):
    """Return the environment of a run: this one, with the project and its tests on the path."""
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", **variables}


def mutate_for(seconds, seed, folder, count=1 << 30):
    """Start random changes for so long, or so many iterations; return what they came to, and how they ended."""
    checked = environment(NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(checked_cache()))
    command = [sys.executable, "-m", "tests.fuzz.mutation", "--seed", seed, "--seconds", seconds, "--count", count]
    done = subprocess.run(
        [*APART, *map(str, command), "--folder", str(folder)], cwd=ROOT, env=checked, capture_output=True, text=True,
        timeout=seconds + COMPILE_SECONDS, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    if done.returncode in (0, 1) and lines and lines[-1].startswith("{"):
        return json.loads(lines[-1])
    reason = f"the run ended with {done.returncode}, its last input is in {folder}: {done.stdout} {done.stderr[-3000:]}"
    return {"seed": seed, "findings": [reason]}


def search(target, seconds, seed, folder):
    """Start the search of one target for so long; return what it came to."""
    corpus = folder / f"{target}-seeds"
    write_seeds(target, corpus)
    command = [
        *APART, sys.executable, "-m", "tests.fuzz.coverage", target, f"-max_total_time={int(seconds)}", f"-seed={seed}",
        "-timeout=10", "-rss_limit_mb=1200", "-max_len=4096", "-print_final_stats=1",
        f"-artifact_prefix={folder}/finding-{target}-", str(corpus),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, errors="replace",
        timeout=seconds + COMPILE_SECONDS, check=False,
    )  # fmt: skip
    told = done.stdout + done.stderr
    numbers = {name: int(value) for name, value in re.findall(r"stat::(\w+):\s+(\d+)", told)}
    covered = re.findall(r"cov: (\d+)", told)
    findings = [] if done.returncode == 0 else [f"{target} ended with {done.returncode}: {told[-3000:]}"]
    return {
        "target": target,
        "tried": numbers.get("number_of_executed_units", 0),
        "covered": int(covered[-1]) if covered else 0,
        "seconds": int(seconds),
        "peak_mib": numbers.get("peak_rss_mb", 0),
        "findings": findings,
    }


def write_seeds(target, folder):
    """Write what the search begins with: small captures, payloads, or streams in pieces, always the same."""
    folder.mkdir(parents=True, exist_ok=True)
    random, found = Random(target), seeds.gather(most_packets=40)
    for i in range(150):
        if target == "capture":
            data = mutate.make_capture(random, found)
        elif target == "sip":
            data = random.choice(found.payloads)
        else:
            whole = b"".join(random.choice(found.pieces)) + random.choice(found.payloads)
            data = b"".join(
                bytes([len(whole[at : at + 250]), 0]) + whole[at : at + 250] for at in range(0, len(whole), 250)
            )
        (folder / f"seed-{i:03}").write_bytes(data[:4096])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where findings are written; without it, a new temporary folder")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="sipscope-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    half = options.minutes * 60 / 2
    results = [mutate_for(half, options.seed, folder)]
    print(show(results[0]), flush=True)  # noqa: T201
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: the search for new ways is left out", file=sys.stderr)  # noqa: T201
        return 2
    for target in TARGETS:
        results.append(search(target, half / len(TARGETS), options.seed, folder))
        print(show(results[-1]), flush=True)  # noqa: T201
    findings = [finding for result in results for finding in result["findings"]]
    print("\n".join(findings) or f"nothing found; {folder} may be removed")  # noqa: T201
    return 1 if findings else 0


def show(result):
    """Return what a run came to, on one line."""
    words = [
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
        for name, value in result.items()
        if name != "findings"
    ]
    return ", ".join([*words, f"{len(result['findings'])} finding(s)"])


if __name__ == "__main__":
    sys.exit(main())
