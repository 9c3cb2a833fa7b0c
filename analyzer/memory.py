"""How the C library and the system keep memory: what is free or idle is given back, and threads share what there is."""

import ctypes
from contextlib import suppress
from pathlib import Path

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""What mallopt() of glibc calls these."""
_MADV_DONTNEED = 4
"""What madvise() of Linux calls that pages are not needed for now."""


def give_back_free() -> None:
    """Return memory that was freed to the system where the C library can; glibc would keep half of it.

    It takes milliseconds: call it between steps that each free much.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def give_back_code() -> None:
    """Give back the memory that the machine code of libraries takes: much of it, as that of a compiler, ran once.

    It lies in files, is never changed, and is read from there again where it is needed after all.
    """
    with suppress(AttributeError, OSError, TypeError, ValueError):
        system = ctypes.CDLL(None)
        for mapping in Path("/proc/self/maps").read_text().splitlines():
            bounds, rights, *_, path = mapping.split(maxsplit=5)
            if rights == "r-xp" and path.startswith("/"):
                start, stop = (int(bound, 16) for bound in bounds.split("-"))
                system.madvise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), _MADV_DONTNEED)


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
