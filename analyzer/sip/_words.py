"""Compiled loops over words: columns of text that repeats.

As in _kernels.py, a function takes arrays and numbers, raises nothing, and reads only between start and stop.
"""

# ruff: noqa: PLR0913, PLR0917 -- flat loops over arrays compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.sip._scan import agree, copy_apart
from analyzer.sip._wide import load8
from analyzer.sip.grammar import NONE

MAX_PROBES = 32
"""How many slots are tried for one word: hashes that an attacker made collide cost no more than this."""
RECENT = 64
"""How many long words are kept at hand, a power of two: they are compared before they are hashed."""
LONG = 16
"""How many bytes make a word long."""
HASH_SEED = np.uint64(0x9E3779B97F4A7C15)
HASH_FACTOR = np.uint64(0xD6E8FEB86659FD93)
HASH_SHIFT = np.uint64(32)


@part
def hash_bytes(data: np.ndarray, start: int, length: int) -> np.uint64:
    """Return a 64-bit hash of data[start:start + length]."""
    value = HASH_SEED ^ np.uint64(length)
    i = start
    stop = start + length
    while i + 8 <= stop:
        value = (value ^ load8(data, i)) * HASH_FACTOR
        value ^= value >> HASH_SHIFT
        i += 8
    tail = np.uint64(0)
    while i < stop:
        tail = (tail << np.uint64(8)) | np.uint64(data[np.uint64(i)])
        i += 1
    value = (value ^ tail) * HASH_FACTOR
    return value ^ (value >> HASH_SHIFT)


@part
def holds(data: np.ndarray, start: int, length: int, store: np.ndarray, place: np.ndarray) -> bool:
    """Say whether the word at that place of store is data[start:start + length]."""
    return place[1] == length and agree(data, start, store, place[0], length)


@part
def encode(
    data: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    codes: np.ndarray,
    slots: np.ndarray,
    hashes: np.ndarray,
    places: np.ndarray,
    recent: np.ndarray,
    store: np.ndarray,
    count: int,
    used: int,
) -> tuple[int, int]:
    """Write the code of each span's bytes, NONE for an empty one; return how many words, and bytes of store, there are.

    codes: int32, shape (n,). slots: int32, a power of two of them, NONE where free; hashes: uint64; places: int64,
    shape (words, 2), where in store a word begins, and its length. All have room for n more words, store for theirs.
    recent: int32, RECENT of them, codes of long words that were met before, NONE where there is none.
    A word that finds no place within MAX_PROBES gets a new code each time, so that no input is slow.
    """
    mask = np.uint64(len(slots) - 1)
    for row in range(len(codes)):
        start, length = starts[row], lengths[row]
        if length <= 0:
            codes[row] = NONE
            continue
        near = (length + np.int64(data[np.uint64(start + length - 1)])) & (len(recent) - 1)
        code = int(recent[near])
        if length >= LONG and code != NONE and holds(data, start, length, store, places[code]):
            codes[row] = code
            continue
        key = hash_bytes(data, start, length)
        slot = np.int64(key & mask)
        code = NONE
        for _ in range(MAX_PROBES):
            code = int(slots[slot])
            if code == NONE:
                slots[slot] = count
                break
            if hashes[code] == key and holds(data, start, length, store, places[code]):
                break
            code = NONE
            slot = (slot + 1) & np.int64(mask)
        if code == NONE:
            code = count
            hashes[code] = key
            copy_apart(data, start, length, store, used)
            places[code, 0] = used
            places[code, 1] = length
            used += length
            count += 1
        codes[row] = code
        if length >= LONG:
            recent[near] = code
    return count, used
