"""How the C library keeps memory: what is free is given back, and threads share what there is."""

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""What mallopt() of glibc calls these."""


def give_back_free() -> None:
    """Return memory that was freed to the system where the C library can; glibc would keep half of it.

    It takes milliseconds: call it between steps that each free much.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_apart(large_bytes: int) -> None:
    """Have pieces of memory of so many bytes be the system's own: they are given back as soon as they are free."""
    _set(_M_MMAP_THRESHOLD, large_bytes)


def share_memory() -> None:
    """Have all threads of this process take small pieces of memory from one place, which stays smaller in months.

    The C library would give each thread a place of its own, and what one thread frees of another's waits there.
    """
    _set(_M_ARENA_MAX, 1)


def _set(parameter: int, value: int) -> None:
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(parameter, value)
