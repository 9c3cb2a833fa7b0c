"""A live capture ends with what a report of the same packets says, whatever pieces it comes in."""

import io
import itertools
import threading
import time

import pytest
from needs import CAPTURES

from analyzer import analyze
from analyzer.feeds import BytesFeed, PathFeed
from analyzer.ledger import Bounds
from analyzer.live import Limits, Live, rehearse
from analyzer.reports.live import draw, summarise

ALL = sorted(path.name for path in CAPTURES.iterdir() if path.suffix in {".pcap", ".pcapng"})


class Dribble(BytesFeed):
    """Bytes that come in pieces."""

    def __init__(self, name, content, size=700, pause=0.0):
        super().__init__(name, content)
        self._size, self._pause = size, pause

    def streams(self):
        yield self, self.name

    def readinto(self, buffer):
        time.sleep(self._pause)
        size = min(self._size, len(buffer))
        piece, self._content = self._content[:size], self._content[size:]
        buffer[: len(piece)] = piece
        return len(piece)


class Held(Dribble):
    """Bytes of which the last piece does not come before something is told, or two minutes are over."""

    def __init__(self, name, content, size):
        super().__init__(name, content, size)
        self.told = threading.Event()

    def readinto(self, buffer):
        if len(self._content) <= self._size:
            self.told.wait(120)
        return super().readinto(buffer)


def watched(feed, **options):
    live = Live(feed, **options).start()
    assert live.wait(300)
    return live, live.snapshot()


def test_a_watch_that_is_stopped_before_the_first_byte_ends_in_peace():
    live = Live(BytesFeed("eth0", b""))
    live.stop()
    assert live.start().wait(60)
    assert live.error is None
    live, _ = watched(BytesFeed("fifo", b""))
    assert "ended before anything came" in str(live.error)


@pytest.mark.parametrize("name", ALL)
def test_a_watch_sees_what_a_report_sees(name):
    report = analyze(CAPTURES / name)
    live, view = watched(PathFeed(CAPTURES / name))
    assert live.error is None
    assert view.failures == view.left_out == view.pending == 0
    assert view.packets == report.captures["packets"].sum()
    assert view.messages == len(report.messages)
    fates = report.fates.groupby(["fate", "reason"], observed=True)["packets"].sum()
    assert view.fates == {key: count for key, count in fates.items() if count}
    assert sum(view.fates.values()) == view.packets
    assert {(row.name, row.outcome, row.sources, row.title) for row in view.campaigns} == {
        (row.campaign, row.outcome, len(row.sources), row.title) for row in report.campaigns.itertuples()
    }
    attacking = report.sources[report.sources["verdict"] == "attacking"]
    assert {row.name for row in view.sources} == set(attacking["source"])
    assert view.totals.sources == len(report.sources)
    told = [event for event in live.events() if event.what == "attack"]
    assert {(event.source, event.kind) for event in told} == set(
        zip(report.attacks["source"].astype("str"), report.attacks["kind"].astype("str"), strict=True)
    )


@pytest.mark.parametrize("size", [1, 24, 333, 70_000])
def test_pieces_of_any_size_make_no_difference(size):
    content = (CAPTURES / "svwar-svcrack.pcapng").read_bytes()
    content = content if size > 1 else content[:20_000]
    _, whole = watched(BytesFeed("whole", content))
    _, pieces = watched(Dribble("pieces", content, size))
    assert (pieces.packets, pieces.messages, pieces.fates) == (whole.packets, whole.messages, whole.fates)
    assert {row.name: row.outcome for row in pieces.campaigns} == {row.name: row.outcome for row in whole.campaigns}


def test_what_is_found_is_told_while_packets_still_come():
    content = (CAPTURES / "svwar-svcrack.pcapng").read_bytes()
    rehearse()
    feed = Held("slow", content, 6000)
    live = Live(feed, limits=Limits(interval=0.2)).start()
    first, last = None, None
    while not live.wait(0.05):
        for event in live.events():
            first = first or (event.what, live.snapshot().packets)
            last = event
            feed.told.set()
    assert first is not None
    assert first[0] == "attack"
    assert first[1] < 422
    assert last is not None
    assert [type(finding).__name__ for finding in live.snapshot().findings] == ["Breach"]


def test_a_small_window_forgets_no_breach():
    content = (CAPTURES / "svwar-svcrack.pcapng").read_bytes()
    limits = Limits(rows=60, pending=40, interval=0.05, bounds=Bounds(attackers=3, campaigns=3))
    live, view = watched(Dribble("small", content, 3000, 0.05), limits=limits)
    assert view.messages == 290
    assert {row.outcome for row in view.campaigns} == {"breached"}
    assert view.totals.breaches == 1
    assert view.totals.requests == 145
    assert live.error is None


def test_an_analysis_that_fails_ends_nothing():
    def broken(_requests):
        raise ZeroDivisionError("on purpose")

    _, view = watched(PathFeed(CAPTURES / "tollfraud.pcap"), detectors=[broken])
    assert view.failures == 1
    assert view.messages == 194
    assert "1 analysis failed" in summarise(view, width=500)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "ended before anything came"), (b"GET / HTTP/1.1\r\n\r\n" * 9, "is no capture")],
    ids=["nothing", "something else"],
)
def test_what_is_no_capture_is_told(content, problem):
    live, view = watched(BytesFeed("odd", content))
    assert problem in str(live.error)
    assert view.packets == 0


def test_a_stream_that_is_cut_gives_what_it_holds():
    content = (CAPTURES / "tollfraud.pcap").read_bytes()
    live, view = watched(BytesFeed("cut", content[:50_001]))
    assert live.error is None
    assert view.anomalies == 1
    assert 0 < view.packets < 776


def test_a_compressed_stream_is_read():
    import gzip

    _, view = watched(BytesFeed("gz", gzip.compress((CAPTURES / "tollfraud.pcap").read_bytes())))
    assert view.packets == 776


def test_a_second_stream_of_the_same_interface_goes_on():
    content = (CAPTURES / "svwar-svcrack.pcapng").read_bytes()

    class Twice(BytesFeed):
        def streams(self):
            yield io.BytesIO(content), "eth0"
            yield io.BytesIO(content), "eth0 since 10:00:00"

    _, view = watched(Twice("eth0", content))
    assert view.packets == 2 * 422
    assert view.totals.breaches == 1
    assert len(view.campaigns) == 1


def test_an_empty_view_can_be_drawn():
    from analyzer.reports.live import Wish

    _, view = watched(BytesFeed("empty", (CAPTURES / "tollfraud.pcap").read_bytes()[:24]))
    assert draw(view, Wish(), width=80, height=24)
    assert "no campaigns" in summarise(view)


def test_eighty_columns_hold_every_state_of_the_screen():
    from rich.console import Console

    from analyzer.commands.watch import CYCLE, ORDERS, TABLES
    from analyzer.reports.live import Wish

    _, view = watched(BytesFeed("empty", (CAPTURES / "tollfraud.pcap").read_bytes()[:24]))
    for table, order, only, paused in itertools.product(TABLES, ORDERS, CYCLE, (False, True)):
        console = Console(width=80, height=24, record=True, file=io.StringIO())
        wish = Wish(table=table, order=order, only=only, paused=paused)
        console.print(draw(view, wish, width=80, height=24, keys=True))
        (foot,) = [line for line in console.export_text().splitlines() if "q quit" in line]
        assert foot.rstrip().endswith(f"by {order}" if only == "everything" else f"by {order}, {only}")
        assert ("resume" in foot) == paused
