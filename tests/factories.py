"""Tables in one call, for tests."""

import itertools

import pandas as pd

from analyzer.tables import MESSAGES

_serial = itertools.count(1)


def messages(count=1, *, start="2024-01-01T00:00Z", every="1s", **columns):
    """Return a conforming messages table of count rows, one after the other.

    A column given as a list or other sequence of length count is used row by row, anything else for all rows.
    """
    number = [next(_serial) for _ in range(count)]
    defaults = {
        "time": pd.date_range(start, periods=count, freq=every, unit="ns"),
        "capture": "test.pcap",
        "packet": number,
        "transport": "udp",
        "source": "192.0.2.1",
        "source_port": 5060,
        "destination": "198.51.100.1",
        "destination_port": 5060,
        "method": "OPTIONS",
        "uri": "sip:198.51.100.1",
        "call_id": [f"call-{serial}" for serial in number],
        "branch": [f"z9hG4bK-{serial}" for serial in number],
        "from_tag": [f"tag-{serial}" for serial in number],
        "cseq": 1,
        "authorized": False,
        "body_bytes": 0,
        "message_bytes": 400,
    }
    rows = {**defaults, **columns}
    return MESSAGES.conform(pd.DataFrame(rows, index=range(count)), missing=True)


def answers(requests, status=200, *, delay="20ms", to_tag="answer", **columns):
    """Return the responses to requests: the same transactions, the other way round, delay later."""
    replies = requests.copy()
    swap = {
        "source": "destination", "source_port": "destination_port",
        "destination": "source", "destination_port": "source_port",
    }  # fmt: skip
    for name, other in swap.items():
        replies[name] = requests[other]
    replies["time"] = requests["time"] + pd.Timedelta(delay)
    replies["packet"] = [next(_serial) for _ in range(len(requests))]
    for name, value in {
        "status": status, "to_tag": to_tag, "user_agent": None, "uri": None, "authorized": False, "nonce": None,
        "auth_user": None, **columns,
    }.items():  # fmt: skip
        replies[name] = value
    return MESSAGES.conform(replies)


def capture_of(*tables):
    """Return several messages tables as one, in the order of time."""
    return MESSAGES.conform(pd.concat(tables).sort_values("time", kind="stable"))
