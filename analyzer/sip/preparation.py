"""The kernels of this package, compiled by processes of their own: see analyzer.compiled.prepare()."""

import gc
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.compiled import note_prepared, spare_algebra
from analyzer.sip.grammar import NONE

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def main(group: str) -> None:
    """Compile a group, and tell on standard output that it is done."""
    gc.disable()  # what is imported stays
    spare_algebra()
    GROUPS[group]()
    note_prepared(group)
    with suppress(OSError):  # who asked may have ended
        sys.stdout.write(f"{group}\n")
        sys.stdout.flush()


def compile_sip() -> None:
    """Compile what splits messages, collects their text and hashes columns, by doing so with none."""
    from analyzer.sip._block import write_columns
    from analyzer.sip._hashing import hash_spans
    from analyzer.sip._text import append_texts
    from analyzer.sip.columns import make_block

    data, span, one, column = _read(np.uint8), _read(np.int64), _made(np.int64, 1), _made(np.uint8, 1)
    write_columns(data, span, span, span, data, data, make_block((), (), 0, 0, 0))
    append_texts(data, one, one, column, np.zeros(1, np.int64), column)
    hash_spans(span, span, data, _read(np.uint64), _made(np.uint64, 1))


def compile_streams() -> None:
    """Compile what puts the segments of TCP streams in order, by doing so with none."""
    from analyzer.sip import _stream_books, _stream_kernels

    table, data, pool = _made(np.int64, 2), _made(np.uint8, 1), np.full(_stream_books.POOL, NONE, np.int64)
    books = _stream_books.Books(table, table, _made(np.int64, 1), pool, data, _read(np.uint8), table, data, table)
    _stream_kernels.run(books, _read(np.int64, 2), _read(np.uint8), np.zeros(_stream_books.RECORD, np.int64), 0, False)
    _stream_kernels.compact(books, data)
    _stream_kernels.fill_slots(books)


def _made(dtype: "DTypeLike", dimensions: int) -> "NDArray[Any]":
    """Return an array without elements, to write into."""
    return np.zeros((0,) * dimensions, dtype)


def _read(dtype: "DTypeLike", dimensions: int = 1) -> "NDArray[Any]":
    """Return an array without elements, to read from."""
    array = _made(dtype, dimensions)
    array.flags.writeable = False
    return array


GROUPS = {"sip": compile_sip, "streams": compile_streams}

if __name__ == "__main__":
    main(*sys.argv[1:])
