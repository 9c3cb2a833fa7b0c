"""Packets from a list of payloads, for tests."""

import numpy as np

from analyzer.engines import UDP, Packets

SOURCE = (0, 0xFFFF_C000_0201)  # ::ffff:192.0.2.1
DESTINATION = (0, 0xFFFF_C633_6401)  # ::ffff:198.51.100.1


def packets(payloads, *, missing=0, padding=b""):
    """Return a Packets with one datagram per payload, a second apart; padding stands between them in the buffer."""
    count = len(payloads)
    lengths = np.array([len(payload) for payload in payloads], np.int64)
    starts = np.cumsum([len(padding), *(lengths + len(padding))])[:count].astype(np.int64)
    return Packets(
        data=np.frombuffer(padding + b"".join(payload + padding for payload in payloads), np.uint8),
        number=np.arange(1, count + 1),
        time=1_700_000_000_000_000_000 + np.arange(count) * 1_000_000_000,
        transport=np.full(count, UDP, np.uint8),
        ttl=np.full(count, 64, np.uint8),
        source=np.array([SOURCE] * count, np.uint64).reshape(count, 2),
        source_port=np.full(count, 5060, np.uint16),
        destination=np.array([DESTINATION] * count, np.uint64).reshape(count, 2),
        destination_port=np.full(count, 5061, np.uint16),
        start=starts,
        length=lengths,
        missing=np.full(count, missing, np.int64),
        captured=count,
    )
