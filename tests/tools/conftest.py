import numpy as np
import pytest

from analyzer.engines import UDP, Packets
from analyzer.sip.parser import parse
from analyzer.tables import MESSAGES

SENDER, TARGET = (0, 0xFFFF_7F07_0708), (0, 0xFFFF_7F07_0707)


def packets(*payloads):
    """Return datagrams with these payloads, from 127.7.7.8 to 127.7.7.7."""
    count = len(payloads)
    length = np.array([len(payload) for payload in payloads], np.int64)
    return Packets(
        data=np.frombuffer(b"".join(payloads), np.uint8),
        number=np.arange(1, count + 1),
        time=np.arange(count) * 1_000_000_000,
        transport=np.full(count, UDP, np.uint8),
        ttl=np.full(count, 64, np.uint8),
        source=np.array([SENDER] * count, np.uint64),
        source_port=np.full(count, 5060, np.uint16),
        destination=np.array([TARGET] * count, np.uint64),
        destination_port=np.full(count, 5060, np.uint16),
        start=np.cumsum(length) - length,
        length=length,
        missing=np.zeros(count, np.int64),
        captured=count,
    )


@pytest.fixture
def written():
    """Return the messages table of requests given as bytes; columns by keyword replace what was read."""

    def table(*payloads, **columns):
        read, anomalies = parse(packets(*payloads), capture="written")
        assert anomalies.empty
        return MESSAGES.conform(read.assign(**columns))

    return table
