"""A capture that has not ended, analysed while it grows: read by one thread, examined by another.

The reader takes bytes as soon as they are there, and never waits for the analysis. The analysis looks at a window of
the latest messages, once a second or, where it takes long, less often. What was found is kept by the ledger.
"""

import struct
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event as Flag
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from analyzer.analysis import Reading, examine
from analyzer.calls import flows_part, flows_table
from analyzer.capture import BLOCK_BYTES, Blocks, Readable, Stream
from analyzer.engines.counts import Counts
from analyzer.engines.native import read_blocks
from analyzer.engines.strays import Gathering
from analyzer.errors import AnalyzerError, CaptureError
from analyzer.feeds import BytesFeed, Feed
from analyzer.formats import is_capture
from analyzer.ledger import Attacker, Bounds, Campaign, Event, Finding, Ledger, Totals
from analyzer.memory import give_back_free
from analyzer.sip.blocks import in_pieces
from analyzer.sip.transactions import follow
from analyzer.standings import Row, foremost
from analyzer.strays import find_probers, stray_part, strays_table
from analyzer.tables import CAPTURES, FATES, OUTCOMES
from analyzer.tools import load_signatures, recognise
from analyzer.window import Block, Pending, Window, make_tables, parse_block

if TYPE_CHECKING:
    from analyzer.allow import AllowList
    from analyzer.analysis import Analysis
    from analyzer.detectors import Detector
    from analyzer.engines import Packets
    from analyzer.places import Places

STEP_SECONDS = 0.1
"""How long after the latest message an analysis begins at the soonest: its answer may be among the next."""
RATE_SECONDS = 5
"""Over how long rates of packets and messages are measured."""
MANY = 10_000
"""Messages in a window from which on freed memory is given back after each analysis."""
EVENTS = 100_000
"""Events that wait to be fetched; of more, the oldest are let go and counted."""
SHOWN = 500
"""Campaigns, and sources, that a view holds for each order that they may be asked for in."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is kept, and how often it is looked at."""

    rows: int = 50_000
    """Messages in the window."""
    pending: int = 25_000
    """Messages that may wait to be examined."""
    strays: int = 20_000
    """Distinct packets without SIP, and as many streams of media, that are remembered."""
    interval: float = 1.0
    """Seconds between two analyses, at least."""
    share: float = 0.5
    """The share of a processor that analyses may take."""
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, kw_only=True)
class View:
    """What is known at one moment."""

    name: str
    seconds: float
    """How long it has been watched."""
    packets: int
    messages: int
    bytes: int
    first: int
    """When the first packet was captured, in ns; -1 before there is one."""
    last: int
    packet_rate: float
    message_rate: float
    dropped: int | None
    """Packets that the recorder lost; None where nobody says."""
    anomalies: int
    fates: dict[tuple[str, str], int]
    """How many packets had each fate, by fate and reason."""
    window: int
    """Messages that the last analysis looked at."""
    pending: int
    """Messages that were read and not examined yet."""
    left_out: int
    """Messages that were counted and never examined, because there were too many at a time."""
    behind: int
    """Bytes that were taken from the recorder and not decoded yet."""
    totals: Totals
    suspicious: int
    probers: int
    """Sources that look for SIP without sending any."""
    campaigns: tuple[Row, ...]
    sources: tuple[Row, ...]
    findings: tuple[Finding, ...]
    """Breaches and answered calls."""
    failures: int
    """Analyses that failed: what they looked at was let go."""


class _Strays:
    """Packets without SIP, in two generations: when one is full, the one before it is let go."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._older, self._newer = Gathering(most), Gathering(most)
        self._lock = Lock()

    def add(self, packets: "Packets") -> None:
        """Take in those of a block."""
        with self._lock:
            self._newer.add(packets.strays)
            if self._newer.rest:
                self._older, self._newer = self._newer, Gathering(self._most)

    def tables(self, name: str, messages: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the strays and the flows table."""
        with self._lock:
            both = (self._older, self._newer)
            strays, flows = [stray_part(one, name) for one in both], [flows_part(one, name) for one in both]
        return strays_table(strays, messages), flows_table(flows)


class Live:
    """A watch over streams of packets, analysed by threads of its own from start() to the end of the streams."""

    def __init__(  # noqa: PLR0913
        self,
        feed: Feed,
        *,
        detectors: "Sequence[Detector] | None" = None,
        signatures: Sequence[str] = (),
        allowed: "AllowList | None" = None,
        places: "Places | None" = None,
        limits: Limits | None = None,
    ) -> None:
        """Watch what a feed brings.

        Args:
            feed: where the streams come from (see analyzer.feeds).
            detectors: as in analyzer.analysis.analyze().
            signatures: files with more tools to recognise.
            allowed: the known-good addresses.
            places: where addresses are from.
            limits: how much is kept.
        """
        self.limits = limits or Limits()
        self.name = feed.name
        self.error: AnalyzerError | None = None
        """Why the stream ended, if not because it was over."""
        self.events_lost = 0
        self._feed = feed
        self._known = load_signatures(*signatures)
        self._options: dict[str, Any] = {
            "detectors": detectors, "signatures": signatures, "allowed": allowed, "places": places,
        }  # fmt: skip
        self._counts = Counts()
        self._anomalies = 0  # this, too, is written by the reader alone
        self._strays = _Strays(self.limits.strays)
        self._pending = Pending(self.limits.pending)
        self._window = Window(self.limits.rows)
        self._ledger = Ledger(self.limits.bounds)
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._read_all, self._ended, self._done, self._stopped = Flag(), Flag(), Flag(), Flag()
        self._begun = self._counted = time.monotonic()
        self._rates: deque[tuple[float, int, int]] = deque([(self._begun, 0, 0)], maxlen=64)
        self._published: dict[str, Any] = {"campaigns": (), "sources": (), "findings": (), "totals": Totals()}
        self._probers = self._failures = self._examined = 0
        self._told_dropped = 0
        self._reader = Thread(target=self._read, name="reader", daemon=True)
        self._analyst = Thread(target=self._analyse, name="analyst", daemon=True)

    def start(self) -> Self:
        """Begin to read and to analyse."""
        self._begun = self._counted = time.monotonic()
        self._reader.start()
        self._analyst.start()
        return self

    def stop(self) -> None:
        """Read no further than what was recorded; what was read is examined still."""
        self._stopped.set()
        self._feed.stop()

    def wait(self, seconds: float) -> bool:
        """Wait until all is read and examined, or so many seconds; say whether it is."""
        return self._done.wait(seconds)

    def events(self) -> list[Event]:
        """Return what became known since this was asked last."""
        told = []
        while self._events:
            told.append(self._events.popleft())
        return told

    def snapshot(self) -> View:
        """Return what is known now."""
        counts, now = self._counts, time.monotonic()
        packets, messages = counts.packets, counts.rows
        self._rates.append((now, packets, messages))
        while len(self._rates) > 2 and now - self._rates[1][0] >= RATE_SECONDS:
            self._rates.popleft()
        then, packets_then, messages_then = self._rates[0]
        lasted = max(now - then, 1e-3)
        return View(
            name=self.name, seconds=now - self._begun, packets=packets, messages=messages,
            bytes=self._feed.bytes_read, first=counts.first, last=counts.last,
            packet_rate=(packets - packets_then) / lasted, message_rate=(messages - messages_then) / lasted,
            dropped=self.dropped(), anomalies=self._anomalies, fates=counts.fates.copy(), window=self._examined,
            pending=self._pending.rows, left_out=self._pending.left_out, behind=self._feed.waiting,
            suspicious=self._ledger.suspicious, probers=self._probers, failures=self._failures, **self._published,
        )  # fmt: skip

    def dropped(self) -> int | None:
        """Return how many packets the recorder says it lost, in the stream or beside it; None if it says nothing."""
        known = [number for number in (self._feed.dropped(), self._counts.dropped) if number is not None]
        return max(known, default=None)

    # --- the reader

    def _read(self) -> None:
        """Decode and parse the stream to its end."""
        try:
            for file, name in self._feed.streams():
                self._read_one(file, name)
        except AnalyzerError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 (a thread that fails in silence would look like a stream that ended)
            said = f"cannot be read any further ({type(error).__name__}: {error}); please report this"
            self.error = CaptureError(self.name, said)
        finally:
            self._read_all.set()

    def _read_one(self, file: Readable, name: str) -> None:
        """Decode and parse one stream to its end."""
        stream = Stream(file)
        if not stream.head and self._stopped.is_set():
            return  # before the recorder had written the first byte
        for pieces in in_pieces(read_blocks(_begin(stream, name)), self._count):
            self._take(pieces, name)

    def _count(self, packets: "Packets") -> None:
        """Count a block, and keep what tells something without SIP."""
        self._counts.count(packets)
        self._strays.add(packets)

    def _take(self, pieces: "list[Packets]", name: str) -> None:
        """Parse the pieces of a block, and let them wait to be examined."""
        for packets in pieces:
            self._counts.settle(packets)
        block = parse_block(pieces, name)
        if block is not None:
            self._anomalies += sum(part.rows for part in block.anomalies)
            while self._pending.full and not self._feed.pressed and not self._ended.is_set():
                time.sleep(STEP_SECONDS / 10)
            self._pending.add(block)

    # --- the analyst

    def _analyse(self) -> None:
        """Examine what was read, again and again, until all is."""
        try:
            ended = False
            while not ended:
                began, ran = time.monotonic(), time.thread_time()
                ended = self._read_all.is_set()
                self._step()
                ran = time.thread_time() - ran
                rest = max(self.limits.interval, ran / self.limits.share) - (time.monotonic() - began)
                if not ended:
                    self._rest(rest)
        finally:
            self._ended.set()  # nobody takes what is pending any more
            self._done.set()

    def _rest(self, seconds: float) -> None:
        """Wait so many seconds, and until there is something to examine; no longer once all was read."""
        self._read_all.wait(max(seconds, 0))
        until = time.monotonic() + self.limits.interval
        while not self._pending.rows and time.monotonic() < until and not self._read_all.wait(STEP_SECONDS):
            pass
        self._read_all.wait(STEP_SECONDS)

    def _step(self) -> None:
        """Take in what was read since the last step, and examine the window if there is anything new in it."""
        blocks = self._pending.take()
        now = time.monotonic()
        self._ledger.count([block.sent for block in blocks], now - self._counted)
        self._counted = now
        if blocks:
            try:
                self._examine(blocks)
            except Exception as error:  # noqa: BLE001 (one window that cannot be examined must not end a watch of months)
                self._failures += 1
                self._window = Window(self.limits.rows)
                said = f"an analysis failed and its messages were let go ({type(error).__name__}: {error})"
                self._tell([Event(what="failed", time=None, title=said)])
        self._ledger.settle()
        self._tell_dropped()
        self._publish()

    def _examine(self, blocks: list[Block]) -> None:
        messages, anomalies = make_tables(blocks)
        fresh = messages["time"].dropna()
        self._window.add(recognise(messages, self._known) if len(messages) else messages, anomalies)
        analysis = self._analysis()
        self._examined = len(analysis.messages)
        self._tell(self._ledger.update(analysis))
        now = None if fresh.empty else fresh.iloc[len(fresh) // 2]
        since = None if now is None else now - self.limits.bounds.silence
        self._ledger.forget(now, analysis.sources["source"].astype("str"))
        self._probers = len(find_probers(analysis.strays, analysis.messages["source"].dropna().unique()))
        self._window.age(since)
        if self._examined > MANY:
            give_back_free()

    def _analysis(self) -> "Analysis":
        """Return the analysis of the window."""
        strays, flows = self._strays.tables(self.name, self._window.messages)
        reading = Reading(
            messages=follow(self._window.messages), anomalies=self._window.anomalies, fates=FATES.empty(),
            captures=CAPTURES.empty(), strays=strays, flows=flows,
        )  # fmt: skip
        return examine(reading, **self._options)

    def _tell(self, events: list[Event]) -> None:
        self.events_lost += max(len(self._events) + len(events) - EVENTS, 0)
        self._events.extend(events)

    def _tell_dropped(self) -> None:
        dropped = self.dropped() or 0
        if dropped > self._told_dropped:
            self._told_dropped = dropped
            when = pd.Timestamp(self._counts.last, tz="UTC") if self._counts.last >= 0 else None
            self._tell([Event(what="dropped", time=when, count=dropped)])

    def _publish(self) -> None:
        """Make what is known readable for other threads."""
        ledger = self._ledger
        totals = Totals(**{**vars(ledger.totals), "outcomes": dict(ledger.totals.outcomes)})
        self._published = {
            "campaigns": foremost([_campaign_row(one) for one in ledger.campaigns.values()], SHOWN),
            "sources": foremost([_source_row(one) for one in ledger.attackers.values()], SHOWN),
            "findings": tuple(ledger.findings.values()),
            "totals": totals,
        }


def _begin(stream: Stream, name: str) -> Blocks:
    """Return the blocks of a stream, the first of which holds its header; raise CaptureError if it is no capture."""
    if not is_capture(stream.head):
        what = "is no capture (pcap or pcapng)" if stream.head else "ended before anything came"
        raise CaptureError(name, f"{what}; have it written by dumpcap -w - or tcpdump -U -w -")
    return Blocks(stream, BLOCK_BYTES, eager=True).begin()


def _campaign_row(campaign: Campaign) -> Row:
    return Row(
        name=campaign.campaign, title=campaign.title, campaign=campaign.campaign, tools=tuple(sorted(campaign.tools)),
        kinds=tuple(campaign.kinds), sources=campaign.sources, targets=len(campaign.targets),
        accounts=len(campaign.accounts), numbers=tuple(sorted(campaign.numbers)), requests=campaign.requests,
        rate=campaign.rate, last=campaign.end.value if campaign.end is not None else 0,
        outcome=OUTCOMES[campaign.outcome], more=campaign.more, reasons=tuple(campaign.reasons),
    )  # fmt: skip


def _source_row(attacker: Attacker) -> Row:
    kinds = tuple(kind for kind, _ in attacker.outcomes)
    return Row(
        name=attacker.source, title=", ".join(kinds), campaign=attacker.campaign,
        tools=attacker.tools, kinds=kinds, sources=1, targets=0, accounts=0,
        numbers=(), requests=attacker.requests, rate=attacker.rate, last=attacker.last,
        outcome=OUTCOMES[attacker.outcome], country=attacker.country, network=attacker.network,
        allowed=attacker.allowed,
    )  # fmt: skip


# --- before the curtain


def rehearse(**options: Any) -> None:  # noqa: ANN401
    """Have everything imported and compiled, by analysing a few messages; options are those of Live."""
    live = Live(BytesFeed("rehearsal", _a_play()), **options).start()
    live.wait(_PATIENCE)
    if live.error is not None:
        raise live.error


_PATIENCE = 600.0


_HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)  # a pcap of raw IP packets
_EACH = (
    "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK-{0}\r\nFrom: <sip:100@192.0.2.2>;tag={0}\r\n"
    "To: <sip:{1}@192.0.2.1>\r\nCall-ID: {0}@192.0.2.2\r\nMax-Forwards: 70\r\n"
)
_PLAY = (
    ("OPTIONS sip:100@192.0.2.1 SIP/2.0", 1, "100", "CSeq: 1 OPTIONS\r\nUser-Agent: friendly-scanner"),
    ("SIP/2.0 200 OK", 1, "100", "CSeq: 1 OPTIONS"),
    ("REGISTER sip:192.0.2.1 SIP/2.0", 2, "101", 'CSeq: 1 REGISTER\r\nAuthorization: Digest username="101",nonce="a"'),
    ("SIP/2.0 200 OK", 2, "101", "CSeq: 1 REGISTER"),
    ("INVITE sip:900442079460958@192.0.2.1 SIP/2.0", 3, "900442079460958", "CSeq: 1 INVITE"),
    ("SIP/2.0 200 OK", 3, "900442079460958", "CSeq: 1 INVITE"),
    ("BYE sip:900442079460958@192.0.2.1 SIP/2.0", 3, "900442079460958", "CSeq: 2 BYE"),
)
"""Start line, number of the call, whom to, and the headers that differ (RFC 3261)."""


def _a_play() -> bytes:
    """Return a pcap with a scanner, somebody who registers, and a call."""
    packets = []
    for start, number, account, more in _PLAY:
        payload = f"{start}\r\n{_EACH.format(number, account)}{more}\r\nContent-Length: 0\r\n\r\n".encode()
        ends = [bytes([192, 0, 2, 2]), bytes([192, 0, 2, 1])]
        udp = struct.pack("!HHHH", 5060, 5060, 8 + len(payload), 0) + payload
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
        packet = header + b"".join(reversed(ends) if start.startswith("SIP") else ends) + udp
        packets.append(struct.pack("<IIII", 1_600_000_000, 0, len(packet), len(packet)) + packet)
    return _HEAD + b"".join(packets)
