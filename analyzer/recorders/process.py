"""A recorder's process: started without a shell, ended with us, its words kept."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from analyzer.recorders import guard

PIPE_BYTES = 1 << 20
"""What a pipe between a recorder and us holds, where the system allows it; as much as it grants anybody."""
FEW_BYTES = 4096
REST_SECONDS = 0.005
"""How long is waited for more after few bytes: a recorder that writes packet by packet costs little then."""
_MOST_SAID = 65_536
_F_SETPIPE_SZ = 1031
"""What fcntl() of Linux calls that the kernel is to hold more of a pipe."""
_SECONDS_TO_END = 8.0


class Process:
    """A program that records, behind its guard."""

    def __init__(self, command: Sequence[str], *, piped: bool = False, inherited: Sequence[int] = ()) -> None:
        """Start the program; it keeps the inherited descriptors. Piped, its standard output is read from output."""
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(Path(guard.__file__)), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if piped else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=tuple(inherited),
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,  # Ctrl-C on a terminal is for us, who then end it
            bufsize=0,
        )
        self.output: IO[bytes] | None = self._process.stdout
        """What the program writes to its standard output."""
        if self.output:
            widen(self.output.fileno())
        self._said = bytearray()
        self._news = threading.Condition()
        self._closed = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def said(self) -> str:
        """What the program has said on its standard error: the last 64 KiB of it."""
        with self._news:
            return self._said.decode(errors="replace")

    def wait_for(self, words: str, seconds: float) -> bool:
        """Say whether the program says such words within so many seconds; not, if it ends before."""
        end = time.monotonic() + seconds
        with self._news:
            while words.encode() not in self._said:
                if self._closed or not self._news.wait(max(end - time.monotonic(), 0)):
                    return words.encode() in self._said
        return True

    def order(self, orders: bytes) -> None:
        """Pass orders of guard.ORDERS on to the program."""
        with suppress(OSError, ValueError):  # it has ended
            self._process.stdin.write(orders)  # type: ignore[union-attr]

    def ended(self, seconds: float = 0) -> bool:
        """Say whether the program has ended, or does so within so many seconds."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode is not None

    def rests(self) -> bool:
        """Say whether the program waits for packets, as far as the system tells: it has none left to handle."""
        guard = self._process.pid
        try:
            child = Path(f"/proc/{guard}/task/{guard}/children").read_text(encoding="ascii").split()[0]
            status = Path(f"/proc/{child}/stat").read_text(encoding="ascii", errors="replace")
        except (OSError, IndexError):
            return True
        return status.rpartition(")")[2].lstrip().startswith("S")  # neither running nor writing

    def stop(self, seconds: float = _SECONDS_TO_END) -> int:
        """End the program, if it has not ended by itself, and return its exit code; 128 and more for signals."""
        with suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        if self.output:
            self.output.close()
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._listener.join(1)
        return code

    def _listen(self) -> None:
        with self._process.stderr as words:  # type: ignore[union-attr]
            while piece := words.read(4096):
                with self._news:
                    self._said += piece
                    del self._said[:-_MOST_SAID]
                    self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()


def widen(descriptor: int) -> None:
    """Have a pipe, if it is one, hold PIPE_BYTES, if the system allows that."""
    import fcntl

    with suppress(OSError):
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, PIPE_BYTES)
