"""The memory of a watch is flat: a small form of benchmarks/watch.py."""

import pytest

from benchmarks.watch import measure, stream


def test_the_stream_has_as_many_messages_as_asked_for():
    pieces = list(stream(5000, 100, 1))
    assert sum(count for _, count, _ in pieces) == 5000


@pytest.mark.slow
def test_memory_is_flat_and_every_packet_is_read():
    result = measure(300_000, 3000, window=5000, settled=0.6)
    assert result.read == result.packets
    assert result.messages == 300_000
    assert result.holds, result.samples
