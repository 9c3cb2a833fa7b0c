"""Parts of tables: assembled in the order of time."""

import numpy as np
import pyarrow as pa
import pytest

from analyzer.sip.assembly import assemble
from analyzer.sip.parts import Coded, Part
from analyzer.tables import MESSAGES

WORDS = ["INVITE", "OPTIONS", "REGISTER"]


def make_part(times, packets, *, seed):
    random = np.random.default_rng(seed)
    rows = len(times)
    texts = [None if number == 0 else f"call {number} ü" for number in random.integers(0, 5, rows)]
    columns = {
        "time": np.array(times, np.int64),
        "packet": np.array(packets, np.uint8 if max(packets) < 256 else np.int64),
        "method": Coded(random.integers(-1, 3, rows).astype(np.int8), pa.array(WORDS, pa.large_string())),
        "source": Coded(
            random.integers(0, 2, rows).astype(np.int16),
            pa.array(
                [bytes(10) + b"\xff\xff" + bytes([10, 0, 0, seed + number]) for number in range(2)], pa.binary(16)
            ),
        ),
        "status": random.integers(-1, 600, rows).astype(np.int16),
        "authorized": random.integers(0, 2, rows) == 1,
        "call_id": pa.array(texts, pa.large_string()),
    }
    return Part("a.pcap", rows, columns)


def disordered():
    return [
        make_part([1, 3, 5, 5, 9, -1], [1, 4, 6, 9, 12, 13], seed=1),
        make_part([2, 5, 5, 8], [2, 7, 300, 11], seed=2),
    ]


@pytest.mark.parametrize("parts", [1, 2])
def test_parts_are_sorted_by_time_and_packet(parts):
    frame = assemble(MESSAGES, disordered()[:parts], by_time=True)
    assert frame["packet"].tolist() == [[1, 4, 6, 9, 12, 13], [1, 2, 4, 6, 7, 9, 300, 11, 12, 13]][parts - 1]
