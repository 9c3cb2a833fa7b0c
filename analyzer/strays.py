"""Packets without SIP to SIP ports: who probes them beside those who send SIP, and who only looks as if.

A stray is a TCP SYN, an empty or a garbled UDP datagram to a SIP port, or a SYN to the port of H.323, from a source
that never sent SIP there and whose TCP connections carried nothing. One of them means nothing: telephones keep paths
open, balancers watch over their servers, a telephone knocks until its server is back. Many strangers' do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from analyzer.engines import ADDRESS_BYTES
from analyzer.engines import strays as kinds
from analyzer.grouping import runs
from analyzer.sip.assembly import assemble
from analyzer.sip.grammar import NONE
from analyzer.sip.parts import Coded, Part
from analyzer.tables import SOURCES, STRAYS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Truth = NDArray[np.bool_]
    Numbers = NDArray[np.int64]

WORDS = {
    kinds.SYN: "syn",
    kinds.EMPTY: "empty",
    kinds.GARBAGE: "garbage",
    kinds.KEEP_ALIVE: "keep-alive",
    kinds.H323: "h323",
}
"""The kinds of strays."""
SAID = {"syn": "TCP SYN", "empty": "empty UDP", "garbage": "garbage over UDP", "h323": "TCP 1720 (H.323)"}
"""What people call the kinds that are no keep-alive."""
KNOCKS = ("syn", "empty", "garbage")
"""The kinds that look for SIP."""
TARGETS = 10
"""Addresses without SIP traffic from the source that make a sweep, as in analyzer.detectors.sweep."""
ROUNDS = 3
"""Packets for each port of a target, a day: whoever sends more comes back, as a watching balancer does."""
SERVED = 0.5
"""The share of the targets that open their port from which on the source is a customer, or a balancer."""
ATTACKING = "attacking"
DAY = 86_400
"""Seconds."""
_TEXT = pa.large_string()


# --- from what engines saw to the table


def stray_part(gathering: kinds.Gathering, capture: str) -> Part:
    """Return the rows of the strays table that were gathered of a capture."""
    rows = gathering.of(*WORDS)
    facts = gathering.of(kinds.OPENED, kinds.SPOKEN)
    ends, known = gathering.ends(rows), gathering.ends(facts)
    syn = rows["kind"] == kinds.SYN
    spoken, opened = (syn & np.isin(ends, known[facts["kind"] == kind]) for kind in (kinds.SPOKEN, kinds.OPENED))
    rows, opened = rows[~spoken], opened[~spoken]
    rest = np.zeros(len(gathering.rest), kinds.STRAY)
    for row, ((kind, port), packets) in zip(rest, sorted(gathering.rest.items()), strict=True):
        row["kind"], row["destination_port"], row["packets"], row["start"], row["end"] = kind, port, packets, -1, -1
    rest = rest[np.isin(rest["kind"], list(WORDS))]
    named = len(rows)
    rows = np.concatenate([rows, rest])
    return Part(
        capture,
        len(rows),
        {
            "source": coded_addresses(rows["source"], named),
            "destination": coded_addresses(rows["destination"], named),
            "destination_port": rows["destination_port"].astype(np.int64),
            "transport": _words(rows["kind"], {kind: "tcp" if kind in _TCP else "udp" for kind in WORDS}),
            "kind": _words(rows["kind"], WORDS),
            "packets": rows["packets"].copy(),
            "start": rows["start"].copy(),
            "end": rows["end"].copy(),
            "packet": rows["number"].copy(),
            "opened": np.append(opened, np.zeros(len(rest), np.bool_)).astype(np.int8),
        },
    )


_TCP = (kinds.SYN, kinds.H323)


def coded_addresses(halves: "NDArray[np.int64]", named: int) -> Coded:
    """Return addresses, shape (n, 2), of which those from named on are missing."""
    codes = np.arange(len(halves))
    codes[named:] = NONE
    data = pa.py_buffer(np.ascontiguousarray(halves).view(np.uint64).astype(">u8").tobytes())
    return Coded(codes, pa.FixedSizeBinaryArray.from_buffers(pa.binary(ADDRESS_BYTES), len(halves), [None, data]))


def _words(numbers: "NDArray[np.uint8]", words: Mapping[int, str]) -> Coded:
    place = np.full(256, NONE, np.int64)
    place[list(words)] = range(len(words))
    return Coded(place[numbers], pa.array(list(words.values()), _TEXT))


def strays_table(parts: Sequence[Part], messages: pd.DataFrame) -> pd.DataFrame:
    """Return the strays table: the rows of all parts but for those whose source sent SIP to the same port."""
    return without_spoken(assemble(STRAYS, parts), messages)


def without_spoken(strays: pd.DataFrame, messages: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a strays table but for those whose source sent SIP, among messages, to the same port."""
    spoken = strays["source"].notna().to_numpy() & _are_spoken(strays, messages)
    return strays[~spoken].reset_index(drop=True)


def _are_spoken(strays: pd.DataFrame, messages: pd.DataFrame) -> "Truth":
    """Say which strays have a message from the same source to the same address and port."""
    ends = {}
    for name in ("source", "destination"):
        words = strays[name].cat.categories
        number = np.append(words.get_indexer(messages[name].cat.categories), NONE)
        ends[name] = strays[name].cat.codes.to_numpy().astype(np.int64), number[messages[name].cat.codes.to_numpy()]
    ports = strays["destination_port"].to_numpy(), messages["destination_port"].to_numpy()
    both = (ends["source"][1] >= 0) & (ends["destination"][1] >= 0)
    width = len(strays["destination"].cat.categories) + 1
    asked, sent = ((ends["source"][side] * width + ends["destination"][side]) << 16 | ports[side] for side in (0, 1))
    return np.asarray(pd.Index(asked).isin(pd.unique(sent[both])))


# --- what they mean


@dataclass(frozen=True, kw_only=True)
class Prober:
    """A source that looked for SIP on many addresses without sending any."""

    source: str
    targets: int
    """Addresses that it knocked on."""
    kinds: tuple[str, ...]
    """Those of KNOCKS that it sent."""
    packets: int
    opened: int
    """Addresses that answered a SYN, at least."""
    h323: bool
    """It also knocked on the port of H.323."""
    capture: str
    packet: int
    """The packet of the first knock, in that capture."""


def find_probers(strays: pd.DataFrame, speakers: Iterable[str] = ()) -> list[Prober]:
    """Return who probed SIP ports without SIP, most targets first; speakers are never said to.

    A prober knocks on TARGETS addresses at least, seldom on the same port of the same address, and less than
    half of them open.
    """
    knocks = strays[strays["kind"].isin(KNOCKS) & strays["source"].notna() & ~strays["source"].isin(set(speakers))]
    if knocks.empty:
        return []
    opened = knocks.groupby(["source", "destination"], observed=True)["opened"].any().groupby(level="source")
    facts = pd.DataFrame({"targets": opened.size(), "opened": opened.sum()})
    facts["rounds"] = _rounds(knocks).groupby(knocks["source"], observed=True).median()
    swept = (facts["targets"] >= TARGETS) & (facts["rounds"] <= ROUNDS)
    swept &= facts["opened"] < SERVED * facts["targets"]
    asked = set(strays.loc[strays["kind"] == "h323", "source"].dropna().astype("str"))
    theirs = knocks[knocks["source"].isin(facts.index[swept])].groupby("source", observed=True)
    found = [_prober(str(source), int(facts["opened"].loc[source]), rows, asked) for source, rows in theirs]
    return sorted(found, key=lambda prober: (-prober.targets, prober.source))


def _rounds(knocks: pd.DataFrame) -> "pd.Series[float]":
    """Return how many packets a day a port of a target got."""
    lasted = (knocks["end"] - knocks["start"]).dt.total_seconds()
    return knocks["packets"] / (lasted / DAY).fillna(0).clip(lower=1)


def _prober(source: str, opened: int, knocks: pd.DataFrame, asked: set[str]) -> Prober:
    first = knocks.iloc[0]
    sent = set(knocks["kind"].astype("str"))
    return Prober(
        source=source,
        targets=int(knocks["destination"].nunique()),
        kinds=tuple(kind for kind in KNOCKS if kind in sent),
        packets=int(knocks["packets"].sum()),
        opened=opened,
        h323=source in asked,
        capture=str(first["capture"]),
        packet=int(first["packet"]),
    )


def remark_strays(sources: pd.DataFrame, strays: pd.DataFrame) -> pd.DataFrame:
    """Return the sources table with a remark on each attacking source that also sent strays."""
    attacking = set(sources.loc[sources["verdict"] == ATTACKING, "source"].astype("str"))
    theirs = strays[strays["source"].isin(attacking) & strays["kind"].isin(list(SAID))]
    if theirs.empty:
        return sources
    targets = theirs.groupby(["source", "kind"], observed=True)["destination"].nunique().reset_index()
    words = [_remark(*row) for row in zip(targets["kind"], targets["destination"], strict=True)]
    by_source = runs(targets["source"].astype("str").to_numpy(), words).map(sorted)
    remarks = sources["source"].astype("str").map(by_source)
    return SOURCES.conform(sources.assign(remarks=remarks), missing=True)


def _remark(kind: str, targets: int) -> str:
    where = f"{targets:,} address{'' if targets == 1 else 'es'}"
    done = "also knocked on" if kind == "h323" else "also probed SIP ports with"
    return f"{done} {SAID[kind]}, of {where}" if kind == "h323" else f"{done} {SAID[kind]}, at {where}"
