"""Looks at many bytes at a time, compiled, against what they mean in Python."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.sip import _wide
from analyzer.sip.columns import readonly
from analyzer.sip.grammar import FOLDS, NAME_BYTES, NAMES

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="interpreted, they are the same")
bytes_of = st.binary(min_size=80, max_size=80) | st.lists(
    st.sampled_from(b"ab\t\r\n~\x7f\x80 "), min_size=80, max_size=80
)
places = st.integers(0, 80 - _wide.WIDE)
more = settings(max_examples=300, deadline=None, database=None)


def read(given):
    return readonly(np.frombuffer(bytes(given), np.uint8))


@numba.njit
def index_of(data, start, first, second, third, fourth):
    return _wide.index_of(data, start, first, second, third, fourth)


@numba.njit
def index_of_odd(data, start):
    return _wide.index_of_odd(data, start)


@numba.njit
def index_of_difference(data, start, other, at):
    return _wide.index_of_difference(data, start, other, at)


@numba.njit
def index_of_other(data, start, words, word, folds, fold):
    return _wide.index_of_other(data, start, words, word, folds, fold)


@numba.njit
def load8(data, start):
    return _wide.load8(data, start)


@numba.njit
def copy_wide(data, start, out, at):
    _wide.copy_wide(data, start, out, at)


@more
@given(bytes_of, places, st.binary(min_size=4, max_size=4))
def test_index_of(data, start, wanted):
    wanted = [np.uint8(byte) for byte in wanted]
    assert index_of(read(data), start, *wanted) == _wide._plain_index_of(read(data), start, *wanted)
    wanted = np.uint8(data[start + 30])
    assert index_of(read(data), start, *[wanted] * 4) <= 30


@more
@given(bytes_of, places)
def test_index_of_odd(data, start):
    assert index_of_odd(read(data), start) == _wide._plain_index_of_odd(read(data), start)
    assert index_of_odd(read(80 * b"~ "), start) == _wide.WIDE


@more
@given(bytes_of, places, st.integers(0, 79), st.integers(0, 255))
def test_index_of_difference(data, start, at, byte):
    other = bytearray(data)
    other[at] = byte
    expected = _wide._plain_index_of_difference(read(data), start, read(other), start)
    assert index_of_difference(read(data), start, read(other), start) == expected


@more
@given(st.integers(1, len(NAMES) // NAME_BYTES - 1), st.integers(0, 31), st.integers(0, 255))
def test_index_of_other(header, at, byte):
    name = bytearray(NAMES[header * NAME_BYTES :][:NAME_BYTES].tobytes().upper())
    words = (NAMES, header * NAME_BYTES, FOLDS, header * NAME_BYTES)
    assert index_of_other(read(name), 0, *words) == _wide.WIDE
    name[at] = byte
    assert index_of_other(read(name), 0, *words) == _wide._plain_index_of_other(read(name), 0, *words)


@more
@given(bytes_of, places)
def test_load_and_copy(data, start):
    assert load8(read(data), start) == int.from_bytes(bytes(data[start : start + 8]), "little")
    out, plain = np.zeros(60, np.uint8), np.zeros(60, np.uint8)
    copy_wide(read(data), start, out, 9)
    _wide._plain_copy_wide(read(data), start, plain, 9)
    assert (out == plain).all()
    assert load8(read(data), start) == _wide._plain_load8(read(data), start)
