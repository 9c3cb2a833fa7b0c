"""A compiled loop that hashes text, straight from the buffers of Arrow.

As in _kernels.py, a kernel writes into arrays its caller made, raises nothing, and is linear in the bytes it is given.
"""

# mypy: disallow-untyped-decorators=False, disallow-any-generics=False

import numpy as np

from analyzer.compiled import kernel


@kernel
def hash_spans(starts: np.ndarray, stops: np.ndarray, data: np.ndarray, keys: np.ndarray, hashes: np.ndarray) -> None:
    """Write the sum, modulo 2**64, of keys[k] times one more than byte k, for the bytes from each start to its stop.

    keys must be as long as the longest text.
    """
    for row in range(len(hashes)):
        start = starts[row]
        total = np.uint64(0)
        for k in range(stops[row] - start):
            total += keys[k] * (np.uint64(data[start + k]) + np.uint64(1))
        hashes[row] = total
