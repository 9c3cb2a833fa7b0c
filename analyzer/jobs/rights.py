"""What the process that reads what attackers wrote may do: less than the one that started it."""

import ctypes
import os
import resource
import signal
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

_VERSION = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3."""
_FILES = 0b1111
"""CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER: what root needs to write folders of others."""
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
NICE = 5
"""Recording comes first."""
OOM_SCORE = 500
"""If the machine runs out of memory, the analysis is to go, not the recorder."""


def give_up_rights() -> None:
    """Give up every capability of Linux but those on files, for this process and all that it starts."""
    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
        header = (ctypes.c_uint32 * 2)(_VERSION, 0)
        sets = (ctypes.c_uint32 * 6)()
        if libc.capget(header, sets) == 0:
            kept = [number & _FILES for number in sets[:2]]
            libc.capset(header, (ctypes.c_uint32 * 6)(*kept, 0, 0, 0, 0))


def give_way() -> None:
    """Let others have the processors, and the memory, first."""
    with suppress(OSError):
        os.nice(NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(f"{OOM_SCORE}\n", encoding="ascii")


def limit_memory(count: int) -> None:
    """Let this process have so many bytes of memory of its own, and no more."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (count if most == resource.RLIM_INFINITY else min(count, most), most))


def limit_time(length: timedelta | None) -> None:
    """End this process by SIGALRM after a time, whatever it does then; None takes that back."""
    signal.setitimer(signal.ITIMER_REAL, length.total_seconds() if length else 0)
