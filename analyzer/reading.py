"""Captures to messages, anomalies, and the fate of every packet."""

import gc
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from analyzer.capture import BLOCK_BYTES
from analyzer.engines.counts import Counts
from analyzer.errors import CaptureError, SettingsError
from analyzer.memory import give_back_code, give_back_free, keep_apart
from analyzer.sip.blocks import in_pieces, parse_pieces
from analyzer.workers import EndedError, count_processors, run

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.engines import Engine, Packets
    from analyzer.sip.parts import Part
    from analyzer.store import Period
    from analyzer.tools import Signatures

MOST_THREADS = 8
"""How many threads parse unless more are asked for: with more, decoding is what takes the time."""
BYTES_PER_JOB = {"native": 512 << 20, "scapy": 4 << 20, "pyshark": 1 << 20}
"""How many bytes of captures make another process worth while: it starts in a second, and reads these in some more."""
LARGE_BYTES = 4_000_000
"""From how many bytes on a piece of memory is the system's own: smaller ones are used again, which costs less."""
COLLECTED = 50_000, 20, 50
"""How many objects are made before those in circles are looked for; how often that is before older ones are, too."""
HANDED_OVER_SECONDS = 0.0005
"""How long a thread that imports keeps the interpreter from the others: they need it for a moment, but often."""
Captures = str | Path | Iterable[str | Path]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read from captures: their messages, and the fate of every packet."""

    messages: "pd.DataFrame"
    anomalies: "pd.DataFrame"
    fates: "pd.DataFrame"
    captures: "pd.DataFrame"
    strays: "pd.DataFrame"
    flows: "pd.DataFrame"
    """Streams of media (analyzer.tables.FLOWS)."""
    store: str | None = None
    """The store that it is of; None if it is of captures."""
    period: "Period | None" = None
    """The period of that store; None if it is all of it, or of captures."""


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
    threads: int | None = None,
    jobs: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Reading:
    """Return the messages and anomalies of captures, and the fate of every packet in them.

    The arguments are those of analyze(), and so is what it raises.
    """
    from analyzer.capture import find_captures

    paths = find_captures(captures, foreign=engine in READERS_OF_ANYTHING)
    load = _begin_loading(signatures)
    decode = _decoder(engine, keylog, most_bytes)
    tallies = [_Tally(path) for path in paths]
    watch = _Watch(tallies, progress)
    processes = _count_jobs(jobs, engine, tallies)
    if processes > 1:
        each = max(1, count_processors() // processes) if threads is None else count_threads(threads)
        tallies = _read_apart(tallies, (engine, keylog, most_bytes, each), processes, watch)
    else:
        with _Parsers(count_threads(threads)) as parsers:
            for tally in tallies:
                _read_capture(tally, decode, parsers, watch)
    several = count_threads(threads)
    known = load()
    reading = _assemble(tallies)
    _give_back()
    messages = _explain(reading.messages, known, several)
    _give_back()
    return replace(reading, messages=messages)


def _begin_loading(files: Sequence[str | Path]) -> "Callable[[], Signatures]":
    """Return what returns the signatures, and has pandas imported, once all is read.

    Files of them are read at once, so that what is wrong with them is said before. Else both go on beside the reading.
    """
    from analyzer.tools import load_signatures

    if files or "pandas" in sys.modules:
        known = load_signatures(*files)
        return lambda: known
    pool = ThreadPoolExecutor(1, "loader")
    future = pool.submit(_load_beside)
    pool.shutdown(wait=False)
    return future.result


def _load_beside() -> "Signatures":
    """Import pandas, and return the built-in signatures; hand the interpreter over to those who read often enough."""
    from analyzer.tools import load_signatures

    before = sys.getswitchinterval()
    sys.setswitchinterval(HANDED_OVER_SECONDS)
    try:
        import_module("pandas")
        return load_signatures()
    finally:
        sys.setswitchinterval(before)


def _explain(messages: "pd.DataFrame", known: "Signatures", threads: int) -> "pd.DataFrame":
    """Return messages with their tools and with what became of them.

    One after the other, though each has little use for a second thread: together they would take 50 bytes more of
    memory for each message.
    """
    from analyzer.sip.transactions import follow
    from analyzer.tools import recognise

    messages = recognise(messages, known, threads=threads)
    _give_back()
    return follow(messages, threads=threads)


def _assemble(tallies: "Sequence[_Tally]") -> Reading:
    """Return the tables of all captures; takes the messages out of the tallies."""
    import pandas as pd

    from analyzer.calls import flows_part, flows_table
    from analyzer.sip.assembly import assemble
    from analyzer.strays import stray_part, strays_table
    from analyzer.tables import ANOMALIES, CAPTURES, FATES, MESSAGES

    _give_back()
    fates = [row for tally in tallies for row in tally.list_fates()]
    messages = assemble(MESSAGES, [part for tally in tallies for part in tally.messages], by_time=True)
    return Reading(
        messages=messages,
        anomalies=assemble(ANOMALIES, [part for tally in tallies for part in tally.anomalies]),
        fates=FATES.conform(pd.DataFrame(fates, columns=FATES.columns)),
        captures=CAPTURES.conform(pd.DataFrame([tally.row() for tally in tallies])),
        strays=strays_table([stray_part(tally.strays, tally.name) for tally in tallies], messages),
        flows=flows_table([flows_part(tally.strays, tally.name) for tally in tallies]),
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
    if engine == "native":
        options["block_bytes"] = BLOCK_BYTES
    return partial(decode, **options) if options else decode


def count_threads(threads: int | None) -> int:
    """Return how many threads parse: those asked for, or as many as there are processors for, up to MOST_THREADS."""
    if threads is None:
        return min(count_processors(), MOST_THREADS)
    if threads < 1:
        raise SettingsError(f"{threads} threads cannot parse anything; ask for 1 or more")
    return threads


def _count_jobs(jobs: int | None, engine: str, tallies: "Sequence[_Tally]") -> int:
    """Return how many processes read: those asked for, or as many as there is work and are processors for."""
    if engine not in BYTES_PER_JOB:  # registered by whoever called: another process does not know it
        return 1
    if jobs is None:
        jobs = max(1, min(count_processors(), sum(tally.bytes or 0 for tally in tallies) // BYTES_PER_JOB[engine]))
    if jobs < 1:
        raise SettingsError(f"{jobs} jobs cannot read anything; ask for 1 or more")
    return min(jobs, len(tallies))


def _read_apart(
    tallies: "Sequence[_Tally]", options: tuple[Any, ...], processes: int, watch: "_Watch"
) -> "list[_Tally]":
    """Read captures in processes of their own, standard input in this one; return their tallies in the same order."""
    from analyzer.capture import STDIN

    tasks = [(tally.path, *options) for tally in tallies if tally.path != STDIN]
    done: list[_Tally] = []
    with closing(run("analyzer.reading:_read_alone", tasks, processes=processes)) as results:
        for tally in tallies:
            try:
                read = _read_alone(tally.path, *options) if tally.path == STDIN else next(results)
            except EndedError as error:
                problem = f"the process that read it ended {error}; read it with one job"
                raise CaptureError(tally.name, problem) from error
            done.append(read)
            watch.exchange(tally, read)
    return done


def _read_alone(path: Path, engine: str, keylog: str | Path | None, most_bytes: int | None, threads: int) -> "_Tally":
    """Return the tally of a capture, with options as read_captures() has them."""
    save_memory()
    collect_seldom()
    tally = _Tally(path)
    with _Parsers(threads) as parsers:
        _read_capture(tally, _decoder(engine, keylog, most_bytes), parsers, _Watch([tally], None))
    return tally


def save_memory(large_bytes: int = LARGE_BYTES) -> None:
    """Have this process give pieces of so many bytes back as soon as they are free; best called before anything heavy.

    The C library, and the allocator that comes with pyarrow, would keep them for what might come. Numpy's library of
    linear algebra, which nothing here needs, starts no threads: they would be busy with waiting.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    keep_apart(large_bytes)


def collect_seldom() -> None:
    """Have this process look for circles of objects less often; best called before anything heavy.

    The lists and the texts of tables are many and in no circle: to look at them again and again took a tenth of the
    time of a report.
    """
    gc.set_threshold(*COLLECTED)


def _give_back() -> None:
    """Return memory that was freed, or that is not needed now, to the system."""
    give_back_code()
    give_back_free()


class _Tally(Counts):
    """What has been read of one capture so far."""

    def __init__(self, path: Path) -> None:
        from analyzer.capture import describe
        from analyzer.engines.strays import Gathering

        super().__init__()
        self.path = path
        self.name, self.bytes = describe(path)
        self.messages: list[Part] = []
        self.anomalies: list[Part] = []
        self.strays = Gathering()

    def count(self, packets: "Packets") -> None:
        """Count a block of packets as the engine decoded it, and keep what tells something without SIP."""
        super().count(packets)
        self.strays.add(packets.strays)

    def take(self, messages: "Part", anomalies: "list[Part]") -> None:
        """Take in what was parsed, block after block."""
        self.messages.append(messages)
        self.anomalies += anomalies

    def list_fates(self) -> list[tuple[str, str, str, int]]:
        """Return the rows of the fates table."""
        return [(self.name, fate, reason, count) for (fate, reason), count in self.fates.items()]

    def row(self) -> dict[str, object]:
        """Return the row of the captures table."""
        import pandas as pd

        start, end = (pd.Timestamp(time, tz="UTC") if time >= 0 else pd.NaT for time in (self.first, self.last))
        return {
            "capture": self.name,
            "format": self.format,
            "bytes": self.bytes,
            "packets": self.packets,
            "messages": self.rows,
            "dropped": self.dropped,
            "start": start,
            "end": end,
        }


class _Parsers:
    """Threads that parse blocks beside the one that decodes them; a block's place does not depend on them."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "parser") if threads > 1 else None
        self._waiting: deque[tuple[_Tally, Future[tuple[Part, list[Part]]]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Wait for all blocks; after an error for none, so that Ctrl-C ends at once."""
        try:
            while kind is None and self._waiting:
                self._collect()
        finally:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)

    def parse(self, tally: _Tally, pieces: "Sequence[Packets]") -> None:
        """Have a block parsed into its tally; wait while more blocks are in memory than threads can be busy with.

        The packets of a block may be in several pieces, of which each is in order.
        """
        for packets in pieces:
            tally.settle(packets)
        if self._pool is None or not any(map(len, pieces)):
            future: Future[tuple[Part, list[Part]]] = Future()
            future.set_result(parse_pieces(pieces, capture=tally.name))
        else:
            future = self._pool.submit(parse_pieces, pieces, capture=tally.name)
        self._waiting.append((tally, future))
        while self._waiting and (len(self._waiting) > self._threads or self._waiting[0][1].done()):
            self._collect()

    def _collect(self) -> None:
        tally, future = self._waiting.popleft()
        tally.take(*future.result())


def _read_capture(tally: _Tally, decode: "Engine", parsers: _Parsers, watch: "_Watch") -> None:
    """Read a capture into its tally, block by block; put its TCP streams in order, and parse what they carry."""
    from analyzer.capture import measure

    with measure() as meter:
        for pieces in in_pieces(decode(tally.path), tally.count):
            parsers.parse(tally, pieces)
            watch.tell(tally, meter.bytes_read)
    watch.end(tally, meter.bytes_read)


class _Watch:
    """Tells how far the reading of some captures has come."""

    def __init__(self, tallies: Sequence[_Tally], hear: Callable[[Progress], None] | None) -> None:
        self._tallies = list(tallies)
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

    def exchange(self, tally: _Tally, read: _Tally) -> None:
        """Tell that a capture was read elsewhere, into another tally."""
        self._tallies[self._tallies.index(tally)] = read
        self.end(read, 0)

    def end(self, tally: _Tally, bytes_read: int) -> None:
        """Tell that a capture was read to its end."""
        self._done += 1
        read = bytes_read if tally.bytes is None else tally.bytes
        self.tell(tally, read)
        self._bytes_before += read
