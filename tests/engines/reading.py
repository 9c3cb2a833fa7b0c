"""Captures to messages with any engine, as analyzer.analysis composes the steps."""

from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

from analyzer.engines import ENGINES
from analyzer.sip.assembly import merge
from analyzer.sip.parser import parse
from analyzer.sip.streams import Streams


@dataclass
class Outcome:
    """What an engine makes of a capture."""

    messages: pd.DataFrame = None
    captured: int = 0
    fates: Counter = field(default_factory=Counter)
    segments: int = 0
    anomalies: list = field(default_factory=list)
    first: int = -1
    last: int = -1
    format: str = ""

    @property
    def settled(self):
        return self.fates.total() + self.segments


def read(path, engine="native", **options):
    """Return the Outcome of a capture; every block's books must balance."""
    outcome, tables, streams = Outcome(), [], Streams()
    for packets in ENGINES[engine](path, **options):
        fates = Counter(packets.set_aside) + Counter(packets.unreadable) + Counter(sip=packets.carriers)
        segments = 0 if packets.segments is None else len(packets.segments)
        assert fates.total() + segments == packets.captured
        outcome.captured += packets.captured
        outcome.fates += fates
        outcome.segments += segments
        outcome.anomalies += packets.anomalies
        outcome.format = packets.format
        seen = [time for time in (outcome.first, packets.first) if time >= 0]
        outcome.first = min(seen, default=-1)
        outcome.last = max(outcome.last, packets.last)
        tables.append(parse(packets, capture="x")[0])
        if packets.segments is not None:
            tables.append(parse(streams.add(packets.segments), capture="x")[0])
    tables.append(parse(streams.finish(), capture="x")[0])
    outcome.messages = merge(tables).sort_values(["packet", "call_id"], kind="stable", ignore_index=True)
    return outcome
