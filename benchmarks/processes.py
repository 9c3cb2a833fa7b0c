"""What a whole process costs: wall time, CPU time and peak memory, as the kernel accounts for it."""

import os
import resource
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one process cost, from its start to its end, with the processes that it waited for."""

    wall: float
    """Seconds."""
    user: float
    system: float
    peak: int
    """Bytes of memory that were resident at most."""

    @property
    def cpu(self) -> float:
        """Seconds of all cores."""
        return self.user + self.system


class FailedError(Exception):
    """A command ended badly; its message is what the command said last."""


def run(
    command: Sequence[str],
    *,
    cores: set[int] | None = None,
    environment: Mapping[str, str] | None = None,
    output: str | Path = os.devnull,
    seconds: float = 3600,
) -> Cost:
    """Run a command to its end and return what it cost.

    Args:
        command: the program, found on the path, and its arguments.
        cores: the only cores that it may use, if not all.
        environment: what is added to the environment; an empty text removes a variable.
        output: the file that its standard output goes to.
        seconds: after how long it is stopped.

    Raises:
        FailedError: it is missing, failed, or took too long.

    The kernel counts the memory of the parent, too, until the new program takes its place, so this process has to stay
    small: nothing heavy is imported here.
    """
    variables = {**os.environ, **(environment or {})}
    variables = {name: value for name, value in variables.items() if value}
    allowed = os.sched_getaffinity(0)
    with tempfile.TemporaryFile() as errors, Path(output).open("wb") as out:
        if cores is not None:
            os.sched_setaffinity(0, cores)
        try:
            start = time.perf_counter()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=variables, start_new_session=True
            )
        except OSError as error:
            raise FailedError(f"{command[0]}: {error.strerror}") from error
        finally:
            os.sched_setaffinity(0, allowed)
        late = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
        late.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace").strip().splitlines()
            raise FailedError(
                f"{Path(command[0]).name}: ended with {process.returncode}: {said[-1] if said else 'no word'}"
            )
    return Cost(wall=wall, user=used.ru_utime, system=used.ru_stime, peak=used.ru_maxrss * 1024)


def median(costs: Iterable[Cost]) -> Cost:
    """Return the median of each figure, and the highest peak."""
    costs = list(costs)
    figures = {name: statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "user", "system")}
    return Cost(**figures, peak=max(cost.peak for cost in costs))


def floor() -> int:
    """Return the bytes below which no peak can be told: those of this process, which every child begins as."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def warm(path: Path) -> None:
    """Read a file once, so that all who are measured find it in memory."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass
