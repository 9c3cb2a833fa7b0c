"""Blocks in pieces: what segments complete comes with the block that completes it, and the rest at the end."""

import pytest
from needs import CAPTURES

from analyzer.capture import find_captures
from analyzer.engines.counts import Counts
from analyzer.engines.native import read_packets
from analyzer.sip.blocks import in_pieces, parse_pieces


@pytest.mark.parametrize("path", find_captures(CAPTURES), ids=lambda path: path.name)
def test_every_packet_is_counted_once_and_has_one_fate(path):
    counts, pieces = Counts(), []
    for block in in_pieces(read_packets(path, block_bytes=20_000), counts.count):
        pieces += block
        for packets in block:
            counts.settle(packets)
    assert counts.packets == sum(packets.captured for packets in read_packets(path)) == sum(counts.fates.values())
    assert counts.rows == sum(map(len, pieces))
    assert 0 <= counts.first <= counts.last


def test_without_segments_there_is_nothing_after_the_last_block():
    blocks = list(read_packets(CAPTURES / "svmap-sweep.pcap"))
    assert [len(pieces) for pieces in in_pieces(blocks, lambda _: None)] == [1] * len(blocks)


def test_a_block_is_parsed_to_its_messages_and_anomalies():
    (packets,) = read_packets(CAPTURES / "svmap-sweep.pcap")
    messages, anomalies = parse_pieces([packets], capture="a.pcap")
    assert messages.rows == len(packets) > 0
    assert sum(part.rows for part in anomalies) == len(packets.anomalies)
