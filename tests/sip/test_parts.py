"""Parts of tables: merged in the order of time, block by block, they make the table that sorting them late makes."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from analyzer.sip.parts import Coded, Part, assemble, merge_by_time
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


def test_merged_parts_make_the_same_table():
    expected = assemble(MESSAGES, disordered(), by_time=True)
    (merged,) = merge_by_time(disordered())
    pd.testing.assert_frame_equal(assemble(MESSAGES, [merged]), expected)
    assert expected["packet"].tolist() == [1, 2, 4, 6, 7, 9, 300, 11, 12, 13]


def test_parts_in_order_are_left_as_they_are():
    first, second = make_part([1, 2], [1, 2], seed=1), make_part([3, 4], [3, 4], seed=2)
    assert merge_by_time([first, Part("a.pcap"), second]) == [first, second]
    assert first.columns
    assert merge_by_time([Part("a.pcap")]) == []


def test_a_part_out_of_order_is_not_merged_with_nothing():
    late = make_part([2, 1], [1, 2], seed=1)
    assert merge_by_time([late]) == [late]
    assert assemble(MESSAGES, [late], by_time=True)["packet"].tolist() == [2, 1]


@pytest.mark.parametrize("seed", range(20))
def test_any_parts_are_merged_as_they_are_sorted(seed):
    def parts():
        random = np.random.default_rng(seed)
        sizes = random.integers(1, 40, 3)
        return [
            make_part(random.integers(-1, 50, size).tolist(), random.integers(1, 400, size).tolist(), seed=seed + place)
            for place, size in enumerate(sizes)
        ]

    expected = assemble(MESSAGES, parts(), by_time=True)
    pd.testing.assert_frame_equal(assemble(MESSAGES, merge_by_time(parts()), by_time=True), expected)
