"""A terminal in which a command runs and keys are pressed."""

import fcntl
import os
import pty
import select
import struct
import termios
import time


class Terminal:
    """A terminal of 80 columns in which a command runs."""

    def __init__(self, *command):
        self.process_id, self._descriptor = pty.fork()
        if self.process_id == 0:
            os.environ["TERM"] = "xterm"
            os.execvp(command[0], command)  # noqa: S606  the terminal is what is tested
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.shown = ""
        self._seen = 0
        self.ended = False

    def await_shown(self, words, seconds=120):
        """Wait until the terminal showed these words after those that were waited for the last time."""
        end = time.monotonic() + seconds
        while words not in self.shown[self._seen :]:
            assert time.monotonic() < end, self.shown[self._seen :]
            if select.select([self._descriptor], [], [], 1)[0]:
                try:
                    self.shown += os.read(self._descriptor, 65_536).decode(errors="replace")
                except OSError:
                    break
        assert words in self.shown[self._seen :], self.shown[self._seen :]
        self._seen = self.shown.index(words, self._seen) + len(words)

    def press(self, keys):
        """Press keys."""
        os.write(self._descriptor, keys.encode())

    def end(self):
        """Wait for the end, and return the exit code."""
        self.await_shown("watched", 60)
        return self.wait()

    def wait(self):
        """Wait for the end of the process, and return its exit code."""
        _, status = os.waitpid(self.process_id, 0)
        os.close(self._descriptor)
        self.ended = True
        return os.waitstatus_to_exitcode(status)
