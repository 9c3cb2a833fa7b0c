"""The coverage-guided run: `python -m tests.fuzz.coverage capture|sip|stream [options of libFuzzer] [folder]`.

atheris changes bytes such that they take new ways through the project's code; the kernels are interpreted
(NUMBA_DISABLE_JIT=1) so that it sees theirs too. Anything raised but AnalyzerError is a finding, and so is what
checks.py does not allow.
"""

import os
import sys
import tempfile
import warnings
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"

import atheris

with atheris.instrument_imports(include=["analyzer"]):
    from analyzer.capture import find_captures
    from analyzer.engines import Segments
    from analyzer.engines import native as _native  # noqa: F401
    from analyzer.errors import AnalyzerError
    from analyzer.sip import parser
    from analyzer.sip import streams as _streams  # noqa: F401

import numpy as np

from tests.fuzz import checks

CURRENT = Path(tempfile.gettempdir()) / f"sipscope-fuzz-{os.getpid()}.capture"
BLOCK_BYTES = 8192
CLIENT, SERVER = 40_000, 5060


def parse_some(blocks, data):
    """Parse what came of every eighth input: that is slow, and the target sip does nothing else."""
    if len(data) % 8 == 0:
        checks.parse_all(blocks)


def try_capture(data):
    """Take the bytes for a file: its format, its compression, its packets, its streams, its messages."""
    CURRENT.write_bytes(data)
    try:
        find_captures([CURRENT])
    except AnalyzerError:
        return
    parse_some(checks.read_capture(CURRENT, BLOCK_BYTES), data)


def try_sip(data):
    """Take the bytes for one datagram; of every eighth, make tables too."""
    packets = checks.datagrams([data])
    if len(data) % 8:
        parser._Split(packets)
    else:
        checks.parse_all([packets])


def try_stream(data):
    """Take the bytes for a stream: each piece is a byte for its size, one for order and flags, and the payload."""
    rows, at, sequence = [], 0, 1
    while at + 2 <= len(data) and len(rows) < 200:
        size, how = data[at], data[at + 1]
        piece = data[at + 2 : at + 2 + size]
        at += 2 + len(piece)
        shift = (0, 0, 0, -1, -40, 1, 400, 2**31)[how >> 5]
        rows.append((sequence + shift, (16, 16, 16, 2, 17, 20)[how % 6], how & 16 > 0, piece))
        sequence += len(piece)
    parse_some(checks.read_streams([as_segments(rows)]), data)


def as_segments(rows):
    """Return rows (sequence, flags, reversed, payload) as Segments of one connection."""
    count = len(rows)
    lengths = np.array([len(row[3]) for row in rows], np.int64)
    back = np.array([row[2] for row in rows], np.bool_)
    ends = np.broadcast_to(checks.ADDRESS, (count, 2)).copy()
    return Segments(
        data=np.frombuffer(b"".join(row[3] for row in rows), np.uint8), number=np.arange(1, count + 1),
        time=np.arange(count) * 1_000_000, ttl=np.full(count, 64, np.uint8),
        source=ends, source_port=np.where(back, SERVER, CLIENT).astype(np.uint16),
        destination=ends.copy(), destination_port=np.where(back, CLIENT, SERVER).astype(np.uint16),
        sequence=np.array([row[0] % 2**32 for row in rows], np.uint32),
        flags=np.array([row[1] for row in rows], np.uint8),
        start=np.cumsum([0, *lengths])[:count].astype(np.int64), length=lengths, missing=np.zeros(count, np.int64),
    )  # fmt: skip


TARGETS = {"capture": try_capture, "sip": try_sip, "stream": try_stream}


def main():
    warnings.simplefilter("ignore")  # interpreted, numbers that wrap around do so with a warning
    np.seterr(all="ignore")
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    try:
        atheris.Fuzz()
    finally:
        CURRENT.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
