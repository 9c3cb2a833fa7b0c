"""Keys as they are pressed, from the terminal itself: standard input may be a pipe."""

import os
import select
import termios
import tty
from contextlib import ExitStack, suppress
from typing import Any, Self

TERMINAL = "/dev/tty"


class Keyboard:
    """The keys of the terminal for as long as the with-block lasts; then it is as it was."""

    def __init__(self) -> None:
        """Know no terminal yet."""
        self._descriptor: int | None = None
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        """Have keys come one by one and unseen; without a terminal there are none."""
        with suppress(OSError, termios.error), ExitStack() as stack:
            descriptor = os.open(TERMINAL, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            stack.callback(os.close, descriptor)
            if os.tcgetpgrp(descriptor) == os.getpgrp():  # in the background, asking would stop us
                self._before = termios.tcgetattr(descriptor)
                tty.setcbreak(descriptor, termios.TCSANOW)
                stack.pop_all()
                self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        if self._descriptor is not None:
            with suppress(OSError, termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def there(self) -> bool:
        """Whether there are keys."""
        return self._descriptor is not None

    def pressed(self, seconds: float) -> str:
        """Return what was pressed within so many seconds, "" if nothing was."""
        descriptor = self._descriptor
        ready, _, _ = select.select([] if descriptor is None else [descriptor], [], [], seconds)
        if not ready or descriptor is None:
            return ""
        try:
            keys = os.read(descriptor, 64)
        except BlockingIOError:  # Ctrl-C has the terminal forget the keys before it, even those it has announced
            return ""
        except OSError:
            keys = b""
        if not keys:  # the terminal has gone
            os.close(descriptor)
            self._descriptor = None
        return keys.decode(errors="replace")
