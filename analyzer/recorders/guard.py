"""Run a program that ends with whoever started it, however that one ends: `python guard.py PROGRAM ARGUMENT...`.

A signal at the death of the parent would do, but the kernel forgets it when the program has capabilities of its own,
as dumpcap has. So this stands between: the end of its standard input, which comes with the death of whoever holds the
other end, is the order to end. Runs alone, without the rest of the package, so that it starts at once.
"""

import ctypes
import os
import select
import signal
import sys

ORDERS = {b"i": signal.SIGINT, b"1": signal.SIGUSR1}
"""What can be asked of the program while it runs: to end, to tell its counters."""
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_SECONDS_TO_END = 5.0
_NOT_STARTED = 127


def main() -> None:
    """Run the program of the arguments; exit as it does."""
    # What comes before the program can be told is kept for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    command = sys.argv[1:]
    child = os.fork()
    if child == 0:
        _become(command)
    os.close(1)
    status = _serve(child)
    os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def _become(command: list[str]) -> None:
    for number in (*_ENDS, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    try:
        os.execv(command[0], command)  # noqa: S606  no shell is wanted
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    os._exit(_NOT_STARTED)


def _serve(child: int) -> int:
    """Pass orders on until the program ends; return how it ended."""
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(ended, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if ended in ready:
            return os.waitpid(child, 0)[1]
        orders = os.read(0, 16)
        if not orders:
            return _end(child, ended)
        for number in orders:
            if order := ORDERS.get(bytes([number])):
                signal.pidfd_send_signal(ended, order)


def _end(child: int, ended: int) -> int:
    signal.pidfd_send_signal(ended, signal.SIGINT)
    if not select.select([ended], [], [], _SECONDS_TO_END)[0]:
        signal.pidfd_send_signal(ended, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    main()
