"""Segments from lists, for tests."""

import itertools

import numpy as np

from analyzer.engines import Segments

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
START = 1_700_000_000_000_000_000
CLIENT = ("192.0.2.1", 40000, "198.51.100.1", 5060)
SERVER = ("198.51.100.1", 5060, "192.0.2.1", 40000)


def halves(address):
    """Return the two halves of an address, IPv4 as ::ffff:a.b.c.d."""
    import ipaddress

    parsed = ipaddress.ip_address(address)
    number = int(parsed) + (0xFFFF_0000_0000 if parsed.version == 4 else 0)
    return number >> 64, number & (1 << 64) - 1


def segments(rows, *, first=1, times=None, missing=None, padding=b""):
    """Return Segments of rows (flow, sequence, flags, payload), numbered from first on, a millisecond apart.

    A flow is (source, source_port, destination, destination_port). padding stands between payloads in the buffer.
    """
    rows = list(rows)
    count = len(rows)
    lengths = np.array([len(payload) for *_, payload in rows], np.int64)
    starts = np.cumsum([len(padding), *(lengths + len(padding))])[:count].astype(np.int64)
    flows = [flow for flow, *_ in rows]
    number = np.arange(first, first + count)
    return Segments(
        data=np.frombuffer(padding + b"".join(payload + padding for *_, payload in rows), np.uint8),
        number=number,
        time=START + number * 1_000_000 if times is None else np.array(times, np.int64),
        ttl=np.full(count, 64, np.uint8),
        source=np.array([halves(flow[0]) for flow in flows], np.uint64).reshape(count, 2),
        source_port=np.array([flow[1] for flow in flows], np.uint16),
        destination=np.array([halves(flow[2]) for flow in flows], np.uint64).reshape(count, 2),
        destination_port=np.array([flow[3] for flow in flows], np.uint16),
        sequence=np.array([sequence & 0xFFFFFFFF for _, sequence, *_ in rows], np.uint32),
        flags=np.array([flags for _, _, flags, _ in rows], np.uint8),
        start=starts,
        length=lengths,
        missing=np.zeros(count, np.int64) if missing is None else np.array(missing, np.int64),
    )


def stream(pieces, *, flow=CLIENT, isn=1000, syn=True):
    """Return the rows of a stream of consecutive pieces, with its SYN."""
    offsets = itertools.accumulate(map(len, pieces), initial=isn + 1)
    opening = [(flow, isn, SYN, b"")] if syn else []
    return opening + [(flow, offset, ACK, piece) for offset, piece in zip(offsets, pieces, strict=False)]


def message(serial=1, *, body=b"", method=b"OPTIONS", length=b"Content-Length: %d\r\n"):
    """Return a valid request with a Call-ID of its own."""
    return (
        b"%s sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK%d\r\nFrom: <sip:a@h>;tag=1\r\n"
        b"To: <sip:a@example.com>\r\nCall-ID: %d\r\nCSeq: 1 %s\r\n"
        % (method, serial, serial, method)
        + (length % len(body) if b"%d" in length else length)
        + b"\r\n"
        + body
    )
