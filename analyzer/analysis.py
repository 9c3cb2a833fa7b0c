"""The steps in order: captures in, an Analysis out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.detectors import Detector
    from analyzer.engines import Packets

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

    def masked(self) -> "Analysis":
        """Return the same analysis with the guessed passwords masked."""
        from analyzer.exports.secrets import mask_secrets

        return replace(self, **{field.name: mask_secrets(getattr(self, field.name)) for field in fields(self)})


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read from captures: their messages, and the fate of every packet."""

    messages: "pd.DataFrame"
    anomalies: "pd.DataFrame"
    fates: "pd.DataFrame"
    captures: "pd.DataFrame"


def analyze(
    captures: Captures,
    *,
    engine: str = "native",
    detectors: "Sequence[Detector] | None" = None,
    signatures: Sequence[str | Path] = (),
) -> Analysis:
    """Read captures, find the attacks in them, join them to campaigns and judge the sources.

    Args:
        captures: a capture, a folder of captures, or several of either.
        engine: the name of the engine that decodes packets (analyzer.engines.ENGINES).
        detectors: what to look for, with what thresholds; all detectors with their defaults without.
        signatures: files with more tools to recognise, in the form of analyzer/tools/signatures.toml.

    Raises:
        CaptureError: a capture is missing, unreadable, or none.
        UnavailableError: the engine needs a package or a program that is missing.
        SettingsError: there is no such engine, or a signature file cannot be used.
    """
    from analyzer.campaigns import join_campaigns
    from analyzer.detectors import SURE, find_attacks
    from analyzer.evidence import opening_requests, ordinary_keys
    from analyzer.sources import judge_sources

    reading = read_captures(captures, engine=engine, signatures=signatures)
    messages = reading.messages
    found = find_attacks(messages, detectors)
    accused = found.loc[found["confidence"] >= SURE, "source"].astype("str")
    ordinary = ordinary_keys(opening_requests(messages), accused) if len(found) else frozenset[str]()
    attacks, campaigns = join_campaigns(found, messages, ordinary=ordinary)
    return Analysis(
        messages=messages,
        sources=judge_sources(messages, attacks, found),
        attacks=attacks,
        campaigns=campaigns,
        anomalies=reading.anomalies,
        fates=reading.fates,
        captures=reading.captures,
    )


def read_messages(
    captures: Captures, *, engine: str = "native", signatures: Sequence[str | Path] = ()
) -> "pd.DataFrame":
    """Return the messages table of captures, in the order of time, with tools recognised and answers joined.

    Raises what analyze() raises.
    """
    return read_captures(captures, engine=engine, signatures=signatures).messages


def read_captures(captures: Captures, *, engine: str = "native", signatures: Sequence[str | Path] = ()) -> Reading:
    """Return the messages and anomalies of captures, and the fate of every packet in them."""
    import pandas as pd

    from analyzer.capture import find_captures
    from analyzer.engines import ENGINES
    from analyzer.sip.parser import merge
    from analyzer.sip.transactions import follow
    from analyzer.tables import ANOMALIES, CAPTURES, FATES
    from analyzer.tools import load_signatures, recognise

    paths = find_captures([captures] if isinstance(captures, str | Path) else captures)
    decode, known = ENGINES[engine], load_signatures(*signatures)
    tallies = [_read_capture(path, decode) for path in paths]
    messages = merge([table for tally in tallies for table in tally.messages])
    messages = messages.sort_values(["time", "capture", "packet"], kind="stable", ignore_index=True)
    return Reading(
        messages=follow(recognise(messages, known)),
        anomalies=ANOMALIES.conform(pd.concat([table for tally in tallies for table in tally.anomalies])),
        fates=FATES.conform(pd.DataFrame([row for tally in tallies for row in tally.fates()], columns=FATES.columns)),
        captures=CAPTURES.conform(pd.DataFrame([tally.row() for tally in tallies])),
    )


class _Tally:
    """What has been read of one capture so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self.messages: list[pd.DataFrame] = []
        self.anomalies: list[pd.DataFrame] = []
        self.counts: dict[tuple[str, str], int] = {}
        self.packets = 0
        self.times: list[int] = []
        self.dropped: int | None = None
        self.format = ""

    def add(self, packets: "Packets") -> None:
        """Take in one block: parse its messages, count the fates of its packets."""
        from analyzer.sip.parser import parse

        messages, anomalies = parse(packets, capture=self.name)
        self.messages.append(messages)
        self.anomalies += [anomalies, _anomalies(packets, self.name)]
        self._count("message", {"sip": packets.carriers})
        self._count("set-aside", packets.set_aside)
        self._count("unreadable", packets.unreadable)
        if packets.segments is not None:
            self._count("set-aside", {"tcp": len(packets.segments)})
        self.packets += packets.captured
        self.times += [time for time in (packets.first, packets.last) if time >= 0]
        self.format = packets.format or self.format
        if packets.dropped is not None:
            self.dropped = (self.dropped or 0) + packets.dropped

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
            "bytes": self.path.stat().st_size,
            "packets": self.packets,
            "messages": sum(len(table) for table in self.messages),
            "dropped": self.dropped,
            "start": pd.Timestamp(min(self.times), tz="UTC") if self.times else pd.NaT,
            "end": pd.Timestamp(max(self.times), tz="UTC") if self.times else pd.NaT,
        }


def _read_capture(path: Path, decode: "Callable[[Path], Iterable[Packets]]") -> _Tally:
    tally = _Tally(path)
    for packets in decode(path):
        tally.add(packets)
    return tally


def _anomalies(packets: "Packets", capture: str) -> "pd.DataFrame":
    """Return the engine's anomalies as rows of the anomalies table."""
    import pandas as pd

    from analyzer.tables import ANOMALIES

    rows = pd.DataFrame(packets.anomalies, columns=["time", "packet", "reason", "detail"])
    time = pd.to_datetime(rows["time"].astype("int64").where(rows["time"] >= 0), utc=True)
    return ANOMALIES.conform(rows.assign(time=time, capture=capture))
