"""Looks at many bytes at a time: where the first of some bytes is, or the first difference; eight bytes at once.

Numba has no words for what a processor can do here, so each is written twice: in Python, and for the compiler. Both
mean the same; the one in Python is what runs interpreted, and what is compiled where the other is of no use. Callers
make sure that the WIDE or 8 bytes from an index on are within the array; what comes after the end of what they look
for may be looked at, and changes nothing.
"""

# ruff: noqa: ANN401, ARG001, PLR0913, PLR0917, PLR1714, SIM109 -- numba's types have no names, and counts arguments
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, allow-untyped-calls
# mypy: disable-error-code="import-untyped,attr-defined"

import sys
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from analyzer.compiled import part

WIDE = 32
"""How many bytes are looked at together."""
_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_BYTES = ir.VectorType(_BYTE, WIDE)


def _or_plain(plain: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Decorate what gives a function's type and code to the compiler; plain is the same in Python."""
    if numba.config.DISABLE_JIT or sys.byteorder != "little":
        return lambda _: part(plain)
    return intrinsic


def _safe(plain: Callable[..., Any], generate: Callable[..., Any]) -> Callable[..., Any]:
    """Return what generates code, from plain if a version of the compiler does not take the other."""

    def generate_either(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        try:
            return generate(context, builder, signature, values)
        except Exception:  # noqa: BLE001 (whatever that version raises)
            return context.compile_internal(builder, plain, signature, values)

    return generate_either


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Return where the byte of an array at an index is."""
    return builder.gep(context.make_array(array_type)(context, builder, value=array).data, [index])


def _load(builder: Any, pointer: Any, kind: Any) -> Any:
    """Return what is there, wherever it begins."""
    loaded = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    loaded.align = 1
    return loaded


def _all(byte: int) -> Any:
    return ir.Constant(_BYTES, [byte] * WIDE)


def _spread(builder: Any, byte: Any) -> Any:
    """Return a vector whose elements are all byte."""
    one = builder.insert_element(ir.Constant(_BYTES, ir.Undefined), byte, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), WIDE), [0] * WIDE))


def _first(builder: Any, marks: Any) -> Any:
    """Return the index of the first mark that is set, or WIDE."""
    mask = builder.zext(builder.bitcast(marks, ir.IntType(WIDE)), _WORD)
    mask = builder.or_(mask, ir.Constant(_WORD, 1 << WIDE))
    return builder.cttz(mask, ir.Constant(ir.IntType(1), 1))


def _plain_index_of(data: np.ndarray, start: int, first: int, second: int, third: int, fourth: int) -> int:
    for i in range(WIDE):
        byte = data[np.uint64(start + i)]
        if byte == first or byte == second or byte == third or byte == fourth:
            return i
    return WIDE


@_or_plain(_plain_index_of)
def index_of(_: Any, data: Any, start: Any, first: Any, second: Any, third: Any, fourth: Any) -> Any:
    """Return how far from start the first of four bytes is (a byte may be given twice), WIDE if it is not near."""
    byte = types.uint8

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        chunk = _load(builder, _pointer(context, builder, signature.args[0], values[0], values[1]), _BYTES)
        marks = builder.icmp_unsigned("==", chunk, _spread(builder, values[2]))
        for value in values[3:]:
            marks = builder.or_(marks, builder.icmp_unsigned("==", chunk, _spread(builder, value)))
        return _first(builder, marks)

    return types.int64(data, types.int64, byte, byte, byte, byte), _safe(_plain_index_of, generate)


def _plain_index_of_odd(data: np.ndarray, start: int) -> int:
    for i in range(WIDE):
        if data[np.uint64(start + i)] < 32 or data[np.uint64(start + i)] > 126:
            return i
    return WIDE


@_or_plain(_plain_index_of_odd)
def index_of_odd(_: Any, data: Any, start: Any) -> Any:
    """Return how far from start the first byte is that is no printable ASCII character, WIDE if it is not near."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        chunk = _load(builder, _pointer(context, builder, signature.args[0], values[0], values[1]), _BYTES)
        return _first(builder, builder.icmp_unsigned(">", builder.sub(chunk, _all(32)), _all(126 - 32)))

    return types.int64(data, types.int64), _safe(_plain_index_of_odd, generate)


def _plain_index_of_difference(data: np.ndarray, start: int, other: np.ndarray, at: int) -> int:
    for i in range(WIDE):
        if data[np.uint64(start + i)] != other[np.uint64(at + i)]:
            return i
    return WIDE


@_or_plain(_plain_index_of_difference)
def index_of_difference(_: Any, data: Any, start: Any, other: Any, at: Any) -> Any:
    """Return how far from start and at the first byte is that differs, WIDE if it is not near."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        left = _load(builder, _pointer(context, builder, signature.args[0], values[0], values[1]), _BYTES)
        right = _load(builder, _pointer(context, builder, signature.args[2], values[2], values[3]), _BYTES)
        return _first(builder, builder.icmp_unsigned("!=", left, right))

    return types.int64(data, types.int64, other, types.int64), _safe(_plain_index_of_difference, generate)


def _plain_index_of_other(
    data: np.ndarray, start: int, words: np.ndarray, word: int, folds: np.ndarray, fold: int
) -> int:
    for i in range(WIDE):
        if data[np.uint64(start + i)] | folds[fold + i] != words[word + i]:
            return i
    return WIDE


@_or_plain(_plain_index_of_other)
def index_of_other(_: Any, data: Any, start: Any, words: Any, word: Any, folds: Any, fold: Any) -> Any:
    """Return how far from start the first byte is that is not that of a word after its bits of folds were set."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        read, expected, bits = (
            _load(builder, _pointer(context, builder, signature.args[k], values[k], values[k + 1]), _BYTES)
            for k in (0, 2, 4)
        )
        return _first(builder, builder.icmp_unsigned("!=", builder.or_(read, bits), expected))

    return types.int64(data, types.int64, words, types.int64, folds, types.int64), _safe(
        _plain_index_of_other, generate
    )


def _plain_load8(data: np.ndarray, start: int) -> np.uint64:
    word = np.uint64(0)
    for i in range(8):
        word |= np.uint64(data[np.uint64(start + i)]) << np.uint64(8 * i)
    return word


@_or_plain(_plain_load8)
def load8(_: Any, data: Any, start: Any) -> Any:
    """Return eight bytes as a number, the first of them its lowest."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _load(builder, _pointer(context, builder, signature.args[0], values[0], values[1]), _WORD)

    return types.uint64(data, types.int64), _safe(_plain_load8, generate)


def _plain_copy_wide(data: np.ndarray, start: int, out: np.ndarray, at: int) -> None:
    for i in range(WIDE):
        out[np.uint64(at + i)] = data[np.uint64(start + i)]


@_or_plain(_plain_copy_wide)
def copy_wide(_: Any, data: Any, start: Any, out: Any, at: Any) -> Any:
    """Copy WIDE bytes to out; the two do not overlap."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        chunk = _load(builder, _pointer(context, builder, signature.args[0], values[0], values[1]), _BYTES)
        pointer = _pointer(context, builder, signature.args[2], values[2], values[3])
        builder.store(chunk, builder.bitcast(pointer, _BYTES.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, out, types.int64), _safe(_plain_copy_wide, generate)
