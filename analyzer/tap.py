"""The bytes of a live capture: taken from its pipe as soon as they are there, whatever their reader is busy with."""

import os
import select
import stat
import time
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread
from typing import Self

import numpy as np

from analyzer.capture import STDIN, STDIN_NAME
from analyzer.errors import CaptureError
from analyzer.recorders.process import FEW_BYTES, REST_SECONDS, widen

BUFFER_BYTES = 64 << 20
"""How many bytes wait for their reader at the most; then the pipe fills, and whoever records counts what it loses."""
ENOUGH_BYTES = 1 << 20
"""So many bytes are handed over at once; fewer wait a moment for others, which makes fewer, larger blocks."""
LINGER_SECONDS = 0.1
"""That moment."""


class Tap:
    """A thread that reads a descriptor into a ring of bounded size; readinto() takes them out.

    Nothing is ever thrown away. Where the ring is full, the descriptor is not read until there is room.
    """

    def __init__(self, descriptor: int, name: str, *, most_bytes: int = BUFFER_BYTES) -> None:
        """Read a descriptor, called name in errors; it is closed by whoever opened it."""
        self.name = name
        self.bytes_read = 0
        """How many bytes came out of the descriptor so far."""
        self._descriptor = descriptor
        self._patient = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._ring = np.empty(most_bytes, np.uint8)
        self._taken = 0
        self._origin = 0
        """The number of the byte that lies, or lay, where the ring begins."""
        self._changed = Condition()
        self._ended = False
        self._stopped = False
        self._error: OSError | None = None
        self._handed = 0.0
        self._waker, self._wake = os.pipe()
        self._thread = Thread(target=self._drain, name="tap", daemon=True)

    def __enter__(self) -> Self:
        """Begin to read."""
        widen(self._descriptor)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, and let go of what was not taken."""
        self.stop()
        self._thread.join()
        os.close(self._waker)
        os.close(self._wake)

    @property
    def waiting(self) -> int:
        """How many bytes wait for their reader."""
        return self.bytes_read - self._taken

    @property
    def pressed(self) -> bool:
        """Whether the ring fills up with what somebody records now, so that its reader had better not wait."""
        return not self._patient and self.waiting > len(self._ring) // 2

    def stop(self) -> None:
        """Read no further: what was read may still be taken, and then the stream ends."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        with suppress(OSError):
            os.write(self._wake, b"\0")

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer with what is there, waiting for anything and then a moment for more; 0 at the end.

        Raises CaptureError if the descriptor cannot be read.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.waiting or self._ended)
            patience = self._handed + LINGER_SECONDS - time.monotonic()
            wanted = min(len(buffer), ENOUGH_BYTES, len(self._ring) // 2)
            if patience > 0 and self.waiting < wanted:
                self._changed.wait_for(lambda: self.waiting >= wanted or self._ended, patience)
            if not self.waiting and self._error is not None:
                problem = f"cannot be read any further ({self._error.strerror}); check what writes it"
                raise CaptureError(self.name, problem) from self._error
        begin = (self._taken - self._origin) % len(self._ring)
        count = min(len(buffer), self.waiting, len(self._ring) - begin)
        buffer[:count] = self._ring.data[begin : begin + count]
        with self._changed:
            self._taken += count
            self._handed = time.monotonic()
            self._changed.notify_all()
        return count

    def _drain(self) -> None:
        """Read until the stream ends or is stopped."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        poll.register(self._waker, select.POLLIN)
        try:
            while self._has_room():
                poll.poll()
                if self._stopped:
                    break
                count = self._read()
                if count == 0:
                    break
                if count is not None and count < FEW_BYTES:
                    time.sleep(REST_SECONDS)
        except OSError as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        """Wait until there is room in the ring; say no once it is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self.waiting < len(self._ring) or self._stopped)
            return not self._stopped

    def _read(self) -> int | None:
        """Return how many bytes one read brought, 0 at the end, None if there were none after all."""
        with self._changed:
            if not self.waiting:  # a quiet network needs little of the ring
                self._origin = self.bytes_read
        begin = (self.bytes_read - self._origin) % len(self._ring)
        room = min(len(self._ring) - begin, len(self._ring) - self.waiting)
        try:
            count = os.readv(self._descriptor, [self._ring.data[begin : begin + room]])
        except BlockingIOError:
            return None
        with self._changed:
            self.bytes_read += count
            self._changed.notify_all()
        return count


def open_descriptor(path: Path) -> tuple[int, str]:
    """Return a descriptor of a FIFO, a capture file or standard input (STDIN), and what it is called.

    A FIFO that nobody writes to yet is open at once; its reader waits for the first writer, and ends with the last.
    Raises CaptureError if there is nothing to be read.
    """
    if path == STDIN:
        if os.isatty(0):
            remedy = "pipe one into it (tcpdump -U -w - | sipscope watch -), or name an interface"
            raise CaptureError(STDIN_NAME, f"is a terminal, from which no capture comes; {remedy}")
        return 0, STDIN_NAME
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise CaptureError(path, "is a folder; name an interface, a FIFO or a capture")
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), str(path)
    except OSError as error:
        raise CaptureError(path, f"cannot be opened ({error.strerror}); check the name and your rights") from error
