"""Commands that are told of a report: no shell, limited in time, and never a reason to stop."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from analyzer.jobs.log import LOGGER
from analyzer.jobs.settings import Command
from analyzer.quantities import say_period

HEARD = 4096
"""Bytes of what a command says that are kept, the last ones."""
PIECE = 65536


def tell(commands: Iterable[Command], summary: Path, about: Mapping[str, str]) -> None:
    """Run commands, one after the other, with a summary on standard input; what fails is said.

    about is added to their environment, under names in capitals that begin with SIPSCOPE_.
    """
    for command in commands:
        program = command.command[0]
        try:
            failure = _run(command, summary, about)
        except OSError as error:
            failure = f"cannot be run: {error.strerror or error}"
        if failure:
            LOGGER.error("the command '%s' %s", program, failure)
        else:
            LOGGER.info("told '%s'", program)


def _run(command: Command, summary: Path, about: Mapping[str, str]) -> str | None:
    """Run a command; return how it failed, None if it did not."""
    environment = os.environ | {f"SIPSCOPE_{name.upper()}": value for name, value in about.items()}
    environment.pop("NOTIFY_SOCKET", None)
    with summary.open("rb") as said:
        process = subprocess.Popen(  # noqa: S603  the user's own words, without a shell
            command.command,
            stdin=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=summary.parent,
            start_new_session=True,
        )
    try:
        heard, ended = _listen(process, command.time.total_seconds())
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    if not ended:
        return f"was ended: it took longer than {say_period(command.time)}"
    if process.returncode:
        lines = heard.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        how = f"exit code {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        return f"failed with {how}: {lines[-1]}"
    return None


def _listen(process: "subprocess.Popen[bytes]", seconds: float) -> tuple[bytes, bool]:
    """Return the last of what a process says, and whether it ended in time; what it starts may go on saying things."""
    pipe = process.stdout
    if pipe is None:
        return b"", False
    heard = b""
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        ready, _, _ = select.select([pipe], [], [], 0.05)
        if ready:
            piece = os.read(pipe.fileno(), PIECE)
            heard = (heard + piece)[-HEARD:]
            if not piece:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, until - time.monotonic()))
    ended = process.poll() is not None
    if ended and select.select([pipe], [], [], 0)[0]:
        heard = (heard + os.read(pipe.fileno(), PIECE))[-HEARD:]
    return heard, ended
