"""Bytes come out of a tap as they went in, whatever the pace of either side."""

import os
import random
import threading
import time

import pytest

from analyzer.capture import STDIN, Blocks
from analyzer.errors import CaptureError
from analyzer.feeds import PathFeed, open_feed
from analyzer.tap import Tap, open_descriptor


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    closed = []

    def close():
        if not closed:
            closed.append(True)
            os.close(writer)

    yield reader, writer, close
    close()
    os.close(reader)


def read_all(tap, size=50_000):
    pieces, buffer = [], bytearray(size)
    while count := tap.readinto(memoryview(buffer)):
        pieces.append(bytes(buffer[:count]))
    return b"".join(pieces)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_and_nothing_reordered(pipe, seed):
    reader, writer, close = pipe
    chance = random.Random(seed)
    content = chance.randbytes(400_000)

    def write():
        at = 0
        while at < len(content):
            at += os.write(writer, content[at : at + chance.choice((1, 100, 5000, 60_000))])
        close()

    thread = threading.Thread(target=write)
    with Tap(reader, "a pipe", most_bytes=chance.choice((1000, 70_000, 1 << 20))) as tap:
        thread.start()
        assert read_all(tap, chance.choice((7, 4096, 200_000)) if seed else 100_000) == content
        thread.join()
        assert tap.bytes_read == len(content)
        assert tap.waiting == 0


def test_a_full_tap_lets_the_writer_wait(pipe):
    reader, writer, close = pipe
    os.set_blocking(writer, False)
    with Tap(reader, "a pipe", most_bytes=10_000) as tap:
        written, idle = 0, 0
        while idle < 20:
            try:
                written += os.write(writer, b"x" * 4096)
                idle = 0
            except BlockingIOError:
                idle += 1
                time.sleep(0.01)
        assert tap.waiting == 10_000
        assert tap.pressed
        close()
        assert len(read_all(tap)) == written


def test_what_was_read_may_be_taken_after_a_stop(pipe):
    reader, writer, _ = pipe
    with Tap(reader, "a pipe") as tap:
        os.write(writer, b"some bytes")
        while not tap.waiting:
            time.sleep(0.01)
        tap.stop()
        assert read_all(tap) == b"some bytes"


def test_few_bytes_are_handed_over_soon(pipe):
    reader, writer, _ = pipe
    with Tap(reader, "a pipe") as tap:
        os.write(writer, b"x")
        begin = time.monotonic()
        blocks = Blocks(tap, 8 << 20, eager=True)
        blocks.advance(0)
        assert blocks.data.tobytes() == b"x"
        assert not blocks.ended
        assert time.monotonic() - begin < 30
        os.write(writer, b"yz")
        blocks.advance(0)
        assert blocks.data.tobytes() == b"xyz"
        assert blocks.offset == 0


def test_a_fifo_is_waited_for_until_somebody_writes(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    feed = PathFeed(fifo)
    heard = []
    thread = threading.Thread(target=lambda: heard.extend(read_all(file) for file, _ in feed.streams()))
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    with fifo.open("wb") as writer:
        writer.write(b"now")
    thread.join(20)
    assert heard == [b"now"]


def test_a_fifo_that_nobody_writes_to_can_be_stopped(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    feed = PathFeed(fifo)
    threading.Timer(0.2, feed.stop).start()
    assert [read_all(file) for file, _ in feed.streams()] == [b""]


def test_a_pipe_that_cannot_be_read_says_so(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with Tap(descriptor, "a folder") as tap, pytest.raises(CaptureError, match="a folder: cannot be read"):
            tap.readinto(memoryview(bytearray(10)))
    finally:
        os.close(descriptor)


def test_what_cannot_be_opened_says_why(tmp_path):
    with pytest.raises(CaptureError, match="is a folder"):
        open_descriptor(tmp_path)
    with pytest.raises(CaptureError, match="cannot be opened"):
        open_feed(str(tmp_path / "missing.pcap"))
    with pytest.raises(CaptureError, match="there is no such interface; choose from"):
        open_feed("nosuch0")


def test_a_terminal_is_no_capture(monkeypatch):
    monkeypatch.setattr(os, "isatty", lambda _: True)
    with pytest.raises(CaptureError, match=r"is a terminal.*sipscope watch -"):
        open_descriptor(STDIN)
