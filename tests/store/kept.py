"""Stores for tests, from captures or from tables."""

from hashlib import sha256

import pandas as pd
from factories import messages

from analyzer.analysis import examine
from analyzer.reading import Reading, read_captures
from analyzer.store import Store, content_id
from analyzer.tables import ANOMALIES, ATTACKS, CAPTURES, FATES, FLOWS, STRAYS

TABLES = ("messages", "anomalies", "fates", "captures", "strays", "flows")
FOUND = ("attacks", "sources", "campaigns", "calls")
START = "2026-11-22T09:00Z"


def reading_of(table=None, capture="test.pcap", **tables):
    """Return a reading of one capture whose messages are a table."""
    table = messages(3, start=START, capture=capture) if table is None else table
    start, end = (table["time"].min(), table["time"].max()) if len(table) else (pd.NaT, pd.NaT)
    row = {
        "capture": capture, "format": "pcap", "bytes": 100, "packets": len(table), "messages": len(table),
        "dropped": None, "start": start, "end": end,
    }  # fmt: skip
    fates = [{"capture": capture, "fate": "message", "reason": "sip", "packets": len(table)}] if len(table) else []
    made = {
        "messages": table.assign(capture=pd.Categorical([capture] * len(table), [capture])),
        "anomalies": ANOMALIES.empty(),
        "fates": FATES.conform(pd.DataFrame(fates, columns=FATES.columns)),
        "captures": CAPTURES.conform(pd.DataFrame([row])),
        "strays": STRAYS.empty(),
        "flows": FLOWS.empty(),
    }
    return Reading(**{**made, **tables})


def identity_of(number):
    """Return an id as content_id() would."""
    return sha256(str(number).encode()).hexdigest()


def attacks_of(*rows):
    return ATTACKS.conform(pd.DataFrame(rows, columns=ATTACKS.columns), missing=True)


def add(store, number, table=None, capture=None, attacks=None, **tables):
    """Add a capture made of tables; return whether it was new."""
    capture = capture or f"{number}.pcap"
    if table is None:
        table = messages(3, start=START, capture=capture)
    reading = reading_of(table, capture, **tables)
    return store.add(identity_of(number), reading, ATTACKS.empty() if attacks is None else attacks)


def keep(folder, *captures):
    """Return a store of captures."""
    store = Store.create(folder)
    for capture in captures:
        reading = read_captures(capture)
        store.add(content_id(capture), reading, examine(reading).attacks)
    return store


def files_of(store):
    """Return the paths of all files in a store, but for its marker, in the store."""
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file())[:-1]


def alike(one, other):
    """Compare two tables, whatever their categories are called, missing like missing."""
    one, other = (
        frame.astype({name: "str" for name in frame if frame[name].dtype == "category"}) for frame in (one, other)
    )
    pd.testing.assert_frame_equal(one, other)
