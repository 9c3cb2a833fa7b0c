"""Pieces of a block as one: every payload stays what it was, in the order of time."""

from dataclasses import replace

import numpy as np
import pytest
from sip.payloads import packets

from analyzer.engines import Anomaly
from analyzer.sip.interleaving import interleave


def piece(texts, times, numbers, padding=b""):
    made = packets([text.encode() for text in texts], padding=padding)
    return replace(
        made,
        time=np.array(times, np.int64),
        number=np.array(numbers, np.int64),
        ttl=np.arange(len(texts), dtype=np.uint8),
        anomalies=tuple(Anomaly(-1, number, "odd", texts[0]) for number in numbers[:1]),
    )


def payloads(made):
    return [
        made.data[start : start + length].tobytes().decode()
        for start, length in zip(made.start, made.length, strict=True)
    ]


def test_rows_are_in_the_order_of_time_and_packet_with_those_without_time_last():
    one = piece(["a", "bb", "ccc", "d"], [1, 5, 5, -1], [1, 6, 9, 10], padding=b"--")
    other = piece(["E", "FFFF"], [2, 5], [2, 7])
    made = interleave([one, other])
    assert payloads(made) == ["a", "E", "bb", "FFFF", "ccc", "d"]
    assert made.number.tolist() == [1, 2, 6, 7, 9, 10]
    assert made.ttl.tolist() == [0, 0, 1, 1, 2, 3]
    assert [anomaly.packet for anomaly in made.anomalies] == [1, 2]


def test_one_piece_stays_as_it_is():
    late, nothing = piece(["b", "a"], [2, 1], [1, 2]), piece([], [], [])
    made = interleave([nothing, late])
    assert made.data is late.data
    assert payloads(made) == ["b", "a"]
    assert len(interleave([nothing, nothing])) == 0


@pytest.mark.parametrize("seed", range(20))
def test_any_pieces_keep_their_payloads(seed):
    random = np.random.default_rng(seed)
    pieces, rows = [], []
    for place in range(3):
        size = int(random.integers(0, 40))
        times, numbers = random.integers(0, 50, size).tolist(), random.permutation(400)[:size].tolist()
        texts = [f"{place} {number} {'x' * (number % 7)}" for number in numbers]
        pieces.append(piece(texts, times, numbers, padding=b"?"))
        rows += zip(times, numbers, texts, strict=True)
    made = interleave(pieces)
    assert sorted(zip(made.time.tolist(), made.number.tolist(), payloads(made), strict=True)) == sorted(rows)
    assert made.time.tolist() == sorted(made.time.tolist())
