"""The messages of a block in one order: its datagrams, and what was cut out of its TCP streams."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from analyzer.engines import Packets

_COLUMNS = (
    "number",
    "time",
    "transport",
    "ttl",
    "source",
    "source_port",
    "destination",
    "destination_port",
    "length",
    "missing",
)
_LATEST = np.iinfo(np.int64).max


def interleave(pieces: Sequence[Packets]) -> Packets:
    """Return the rows and the anomalies of pieces of a block, one or more, as one over one buffer.

    Rows of several pieces are in the order of time and packet, those without time last; those of one stay as they are.
    """
    anomalies = tuple(anomaly for packets in pieces for anomaly in packets.anomalies)
    filled = [packets for packets in pieces if len(packets)]
    if len(filled) < 2:
        return replace((filled or pieces)[0], anomalies=anomalies)
    shifts = np.cumsum([0, *(len(packets.data) for packets in filled[:-1])])
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(packets, name) for packets in filled]) for name in _COLUMNS
    }
    columns["start"] = np.concatenate([packets.start + shift for packets, shift in zip(filled, shifts, strict=True)])
    order = np.lexsort((columns["number"], np.where(columns["time"] < 0, _LATEST, columns["time"])))
    return Packets(
        **{name: values[order] for name, values in columns.items()},
        data=np.concatenate([packets.data for packets in filled]),
        captured=sum(packets.captured for packets in filled),
        anomalies=anomalies,
    )
