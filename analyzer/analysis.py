"""The steps in order: captures in, an Analysis out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.detectors import Detector
    from analyzer.engines import Engine, Packets

Captures = str | Path | Iterable[str | Path]


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The tables of one analysis (see analyzer.tables for their columns)."""

    messages: "pd.DataFrame"
    sources: "pd.DataFrame"
    attacks: "pd.DataFrame"
    campaigns: "pd.DataFrame"
    anomalies: "pd.DataFrame"
    fates: "pd.DataFrame"
    captures: "pd.DataFrame"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read from captures: their messages, and the fate of every packet."""

    messages: "pd.DataFrame"
    anomalies: "pd.DataFrame"
    fates: "pd.DataFrame"
    captures: "pd.DataFrame"


def analyze(  # noqa: PLR0913
    captures: Captures,
    *,
    engine: str = "native",
    keylog: str | Path | None = None,
    most_bytes: int | None = None,
    detectors: "Sequence[Detector] | None" = None,
    signatures: Sequence[str | Path] = (),
) -> Analysis:
    """Read captures, find the attacks in them, join them to campaigns and judge the sources.

    Args:
        captures: a capture, a folder of captures, or several of either; "-" is standard input.
        engine: the name of the engine that decodes packets (analyzer.engines.ENGINES).
        keylog: a TLS key log with which SIP over TLS is decrypted; by the engine pyshark only.
        most_bytes: how many bytes a compressed capture may hold; by the engine native only. Without it, 64 GiB, and
            400 times the compressed size beyond 1 GiB.
        detectors: what to look for, with what thresholds; all detectors with their defaults without.
        signatures: files with more tools to recognise, in the form of analyzer/tools/signatures.toml.

    Raises:
        CaptureError: a capture is missing, unreadable, or none.
        UnavailableError: the engine needs a package or a program that is missing.
        SettingsError: there is no such engine, it cannot do what is asked, or a signature file cannot be used.
    """
    from analyzer.campaigns import join_campaigns
    from analyzer.detectors import SURE, find_attacks
    from analyzer.evidence import opening_requests, ordinary_keys
    from analyzer.sources import judge_sources

    reading = read_captures(captures, engine=engine, keylog=keylog, most_bytes=most_bytes, signatures=signatures)
    messages = reading.messages
    opening = opening_requests(messages)
    found = find_attacks(messages, detectors, requests=opening)
    accused = found.loc[found["confidence"] >= SURE, "source"].astype("str")
    ordinary = ordinary_keys(opening, accused) if len(found) else frozenset[str]()
    attacks, campaigns = join_campaigns(found, messages, ordinary=ordinary)
    return Analysis(
        messages=messages,
        sources=judge_sources(messages, attacks, found, opening=opening),
        attacks=attacks,
        campaigns=campaigns,
        anomalies=reading.anomalies,
        fates=reading.fates,
        captures=reading.captures,
    )


def read_messages(captures: Captures, **options: Any) -> "pd.DataFrame":  # noqa: ANN401
    """Return the messages table of captures, in the order of time, with tools recognised and answers joined.

    The options engine, keylog, most_bytes and signatures are those of analyze(), and so is what it raises.
    """
    return read_captures(captures, **options).messages


def read_captures(
    captures: Captures,
    *,
    engine: str = "native",
    keylog: str | Path | None = None,
    most_bytes: int | None = None,
    signatures: Sequence[str | Path] = (),
) -> Reading:
    """Return the messages and anomalies of captures, and the fate of every packet in them."""
    import pandas as pd

    from analyzer.capture import find_captures
    from analyzer.sip.parser import merge
    from analyzer.sip.transactions import follow
    from analyzer.tables import ANOMALIES, CAPTURES, FATES
    from analyzer.tools import load_signatures, recognise

    paths = find_captures(
        [captures] if isinstance(captures, str | Path) else captures, foreign=engine in READERS_OF_ANYTHING
    )
    decode, known = _decoder(engine, keylog, most_bytes), load_signatures(*signatures)
    tallies = [_read_capture(path, decode) for path in paths]
    messages = merge([table for tally in tallies for table in tally.messages])
    messages = messages.sort_values(["time", "capture", "packet"], kind="stable", ignore_index=True)
    return Reading(
        messages=follow(recognise(messages, known)),
        anomalies=ANOMALIES.conform(pd.concat([table for tally in tallies for table in tally.anomalies])),
        fates=FATES.conform(pd.DataFrame([row for tally in tallies for row in tally.fates()], columns=FATES.columns)),
        captures=CAPTURES.conform(pd.DataFrame([tally.row() for tally in tallies])),
    )


READERS_OF_ANYTHING = ("pyshark",)
"""The engines that read formats of which only Wireshark knows."""
OPTIONS = {"keylog": "pyshark", "most_bytes": "native"}
"""The options of an engine, and the only engine that has each."""


def _decoder(engine: str, keylog: str | Path | None, most_bytes: int | None) -> "Engine":
    """Return the engine of that name, with its options."""
    from analyzer.engines import ENGINES

    decode = ENGINES[engine]
    given: dict[str, Any] = {"keylog": None if keylog is None else Path(keylog), "most_bytes": most_bytes}
    options = {name: value for name, value in given.items() if value is not None}
    for name in options:
        if OPTIONS[name] != engine:
            raise SettingsError(f"{name} needs the engine {OPTIONS[name]}, not {engine}")
    return partial(decode, **options) if options else decode


class _Tally:
    """What has been read of one capture so far."""

    def __init__(self, path: Path) -> None:
        from analyzer.capture import describe
        from analyzer.sip.streams import Streams

        self.name, self.bytes = describe(path)
        self.messages: list[pd.DataFrame] = []
        self.anomalies: list[pd.DataFrame] = []
        self.counts: dict[tuple[str, str], int] = {}
        self.packets = 0
        self.times: list[int] = []
        self.dropped: int | None = None
        self.format = ""
        self._streams = Streams()
        self._segments = False

    def add(self, packets: "Packets") -> None:
        """Take in one block: parse its messages, put its TCP streams in order, count the fates of its packets."""
        self._settle(packets)
        self.packets += packets.captured
        self.times += [time for time in (packets.first, packets.last) if time >= 0]
        self.format = packets.format or self.format
        if packets.dropped is not None:
            self.dropped = (self.dropped or 0) + packets.dropped
        if packets.segments is not None and len(packets.segments):
            self._segments = True
            self._settle(self._streams.add(packets.segments))

    def finish(self) -> "_Tally":
        """Settle what still waits for segments that never came."""
        if self._segments:
            self._settle(self._streams.finish())
        return self

    def _settle(self, packets: "Packets") -> None:
        from analyzer.sip.parser import parse

        messages, anomalies = parse(packets, capture=self.name)
        self.messages.append(messages)
        self.anomalies += [anomalies, _anomalies(packets, self.name)]
        self._count("message", {"sip": packets.carriers})
        self._count("set-aside", packets.set_aside)
        self._count("unreadable", packets.unreadable)

    def _count(self, fate: str, reasons: Mapping[str, int]) -> None:
        for reason, count in reasons.items():
            if count:
                self.counts[fate, reason] = self.counts.get((fate, reason), 0) + count

    def fates(self) -> list[tuple[str, str, str, int]]:
        """Return the rows of the fates table."""
        return [(self.name, fate, reason, count) for (fate, reason), count in self.counts.items()]

    def row(self) -> dict[str, object]:
        """Return the row of the captures table."""
        import pandas as pd

        return {
            "capture": self.name,
            "format": self.format,
            "bytes": self.bytes,
            "packets": self.packets,
            "messages": sum(len(table) for table in self.messages),
            "dropped": self.dropped,
            "start": pd.Timestamp(min(self.times), tz="UTC") if self.times else pd.NaT,
            "end": pd.Timestamp(max(self.times), tz="UTC") if self.times else pd.NaT,
        }


def _read_capture(path: Path, decode: "Engine") -> _Tally:
    tally = _Tally(path)
    for packets in decode(path):
        tally.add(packets)
    return tally.finish()


def _anomalies(packets: "Packets", capture: str) -> "pd.DataFrame":
    """Return the engine's anomalies as rows of the anomalies table."""
    import pandas as pd

    from analyzer.tables import ANOMALIES

    if not packets.anomalies:
        return ANOMALIES.empty()
    rows = pd.DataFrame(packets.anomalies, columns=["time", "packet", "reason", "detail"])
    time = pd.to_datetime(rows["time"].astype("int64").where(rows["time"] >= 0), utc=True)
    return ANOMALIES.conform(rows.assign(time=time, capture=capture))
