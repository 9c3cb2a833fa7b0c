"""Captures to messages, anomalies, and the fate of every packet."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.engines import Engine, Packets

Captures = str | Path | Iterable[str | Path]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read from captures: their messages, and the fate of every packet."""

    messages: "pd.DataFrame"
    anomalies: "pd.DataFrame"
    fates: "pd.DataFrame"
    captures: "pd.DataFrame"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the reading of captures has come."""

    capture: str
    """The name of the capture at hand."""
    bytes_read: int
    """How many bytes of it were read, as it lies on the disk: compressed, if it is."""
    bytes_total: int | None
    """How many bytes it has on the disk; None for a pipe."""
    all_bytes_read: int
    """How many bytes of all captures were read."""
    all_bytes_total: int | None
    """How many bytes all captures have; None if one of them is a pipe."""
    packets: int
    """Packets of all captures so far."""
    messages: int
    """SIP messages of all captures so far."""
    captures_done: int
    """How many captures were read to the end."""
    captures_total: int
    """How many captures there are."""


def read_messages(captures: Captures, **options: Any) -> "pd.DataFrame":  # noqa: ANN401
    """Return the messages table of captures, in the order of time, with tools recognised and answers joined.

    The options engine, keylog, most_bytes and signatures are those of analyze(), and so is what it raises.
    """
    return read_captures(captures, **options).messages


def read_captures(  # noqa: PLR0913
    captures: Captures,
    *,
    engine: str = "native",
    keylog: str | Path | None = None,
    most_bytes: int | None = None,
    signatures: Sequence[str | Path] = (),
    progress: Callable[[Progress], None] | None = None,
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
    tallies = [_Tally(path) for path in paths]
    watch = _Watch(tallies, progress)
    for tally in tallies:
        _read_capture(tally, decode, watch)
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

        self.path = path
        self.name, self.bytes = describe(path)
        self.messages: list[pd.DataFrame] = []
        self.anomalies: list[pd.DataFrame] = []
        self.counts: dict[tuple[str, str], int] = {}
        self.packets = 0
        self.rows = 0
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

        self.rows += len(packets)
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
            "messages": self.rows,
            "dropped": self.dropped,
            "start": pd.Timestamp(min(self.times), tz="UTC") if self.times else pd.NaT,
            "end": pd.Timestamp(max(self.times), tz="UTC") if self.times else pd.NaT,
        }


def _read_capture(tally: _Tally, decode: "Engine", watch: "_Watch") -> None:
    """Read a capture into its tally, block by block."""
    from analyzer.capture import measure

    with measure() as meter:
        for packets in decode(tally.path):
            tally.add(packets)
            watch.tell(tally, meter.bytes_read)
    tally.finish()
    watch.end(tally, meter.bytes_read)


class _Watch:
    """Tells how far the reading of some captures has come."""

    def __init__(self, tallies: Sequence[_Tally], hear: Callable[[Progress], None] | None) -> None:
        self._tallies = tallies
        self._hear = hear
        self._done = 0
        self._bytes_before = 0

    def tell(self, tally: _Tally, bytes_read: int) -> None:
        """Tell that a block of a capture was read, and its file up to that byte."""
        if self._hear is None:
            return
        sizes = [other.bytes for other in self._tallies]
        self._hear(
            Progress(
                capture=tally.name,
                bytes_read=bytes_read,
                bytes_total=tally.bytes,
                all_bytes_read=self._bytes_before + bytes_read,
                all_bytes_total=None if None in sizes else sum(size or 0 for size in sizes),
                packets=sum(other.packets for other in self._tallies),
                messages=sum(other.rows for other in self._tallies),
                captures_done=self._done,
                captures_total=len(self._tallies),
            )
        )

    def end(self, tally: _Tally, bytes_read: int) -> None:
        """Tell that a capture was read to its end."""
        self._done += 1
        read = bytes_read if tally.bytes is None else tally.bytes
        self.tell(tally, read)
        self._bytes_before += read


def _anomalies(packets: "Packets", capture: str) -> "pd.DataFrame":
    """Return the engine's anomalies as rows of the anomalies table."""
    import pandas as pd

    from analyzer.tables import ANOMALIES

    if not packets.anomalies:
        return ANOMALIES.empty()
    rows = pd.DataFrame(packets.anomalies, columns=["time", "packet", "reason", "detail"])
    time = pd.to_datetime(rows["time"].astype("int64").where(rows["time"] >= 0), utc=True)
    return ANOMALIES.conform(rows.assign(time=time, capture=capture))
