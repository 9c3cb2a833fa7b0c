"""Memory that is free, given back to the system: the C library would keep it for what might come."""

import ctypes
from contextlib import suppress


def give_back_free() -> None:
    """Return memory that was freed to the system where the C library can; glibc would keep half of it.

    It takes milliseconds: call it between steps that each free much.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
