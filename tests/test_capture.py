import bz2
import fcntl
import gzip
import io
import lzma
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import lz4.frame
import pandas as pd
import pytest
import zstandard
from engines import pcaps
from processes import wait_until_asleep

from analyzer import capture
from analyzer.capture import STDIN, Blocks, check, describe, find_captures, open_blocks, open_stream
from analyzer.engines.native import read_packets
from analyzer.errors import CaptureError

PCAP = pcaps.pcap([pcaps.ethernet()])
PCAPNG = pcaps.pcapng(pcaps.ethernet())
LONGER = pcaps.pcap([pcaps.ethernet()] * 50)
COMPRESSORS = {
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.fixture
def folder(tmp_path):
    """A folder with captures, and with what lies beside captures."""
    root = tmp_path / "captures"
    (root / "b" / "deep").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "z.pcap").write_bytes(PCAP)
    (root / "b" / "no extension").write_bytes(PCAPNG)
    (root / "b" / "deep" / "big.cap").write_bytes(pcaps.pcap([], order=">"))
    (root / ".hidden.pcap").write_bytes(PCAP)
    (root / ".git" / "a.pcap").write_bytes(PCAP)
    (root / "README.md").write_text("no capture")
    (root / "renamed.pcap").write_text("no capture either")
    (root / "empty.pcap").touch()
    os.mkfifo(root / "pipe")
    return root


def test_a_file_is_itself(tmp_path):
    path = tmp_path / "any name"
    path.write_bytes(PCAP)
    for one in (path, str(path), [path], [str(path)]):
        assert find_captures(one) == [path]


def test_a_folder_is_its_captures_sorted(folder):
    names = ["b/deep/big.cap", "b/no extension", "z.pcap"]
    assert find_captures([folder]) == [folder / name for name in names]


def test_the_order_given_is_kept(folder):
    last = folder / "z.pcap"
    assert find_captures([last, folder / "b"])[0] == last


def test_a_file_named_twice_counts_once(folder):
    link = folder / "a link"
    link.symlink_to(folder / "z.pcap")
    found = find_captures([folder / "z.pcap", folder, link, folder / "b" / ".." / "z.pcap"])
    assert found[0] == folder / "z.pcap"
    assert len(found) == 3


def test_a_hidden_file_that_is_named_is_read(folder):
    assert find_captures([folder / ".hidden.pcap"]) == [folder / ".hidden.pcap"]


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (b"", "is empty"),
        (b"hello, this is text", "is text.*name the capture"),
        (gzip.compress(b"hello, this is text", mtime=0), r"is text, perhaps a log \(in gzip\)"),
        (bz2.compress(gzip.compress(b"%PDF-1.7", mtime=0)), r"is a PDF document \(in gzip within bzip2\)"),
        (gzip.compress(b"", mtime=0), r"is empty \(in gzip\)"),
        (gzip.compress(b"\xd4\xc3", mtime=0), "is no capture"),
        (
            gzip.compress(PCAP, mtime=0)[:12],
            "holds no whole capture: the gzip data ends too early, at byte 12 of the file",
        ),
        (gzip.compress(gzip.compress(gzip.compress(PCAP), mtime=0)), "is compressed more than twice"),
        (b"\xa1\xb2", "is no capture"),
        (b"\x28\xb5\x2f\xfdxxxx", "holds no whole capture: the zstd data"),
        (b"\x04\x22\x4d\x18xxxx", "holds no whole capture: the lz4 data"),
        (b"BZh91AY", "holds no whole capture: the bzip2 data"),
        (b"\xfd7zXZ\x00\x00", "holds no whole capture: the xz data"),
        (b"PK\x03\x04", r"is an archive \(zip\); unpack it"),
        (b"snoop\x00\x00\x00\x00\x00\x00\x02", "snoop.*--engine pyshark.*editcap -F pcapng"),
        (b"GMBU\x00\x02", "Network Monitor 2"),
        (b"RTSS\x00\x02", "Network Monitor 1"),
        (b"XCP\x002.0", "Sniffer"),
    ],
)
def test_what_is_no_capture_is_called_by_its_name(tmp_path, head, sentence):
    path = tmp_path / "file"
    path.write_bytes(head)
    for attempt in (lambda: find_captures([path]), lambda: open_blocks(path, 1000).__enter__()):
        with pytest.raises(CaptureError, match=sentence) as refused:
            attempt()
        assert refused.value.path == str(path)
        assert "\n" not in str(refused.value)


def test_what_is_missing(tmp_path):
    with pytest.raises(CaptureError, match="does not exist"):
        find_captures([tmp_path / "nowhere"])
    (tmp_path / "file").write_bytes(PCAP)
    with pytest.raises(CaptureError, match="does not exist"):
        find_captures([tmp_path / "file" / "below"])
    with pytest.raises(CaptureError, match="cannot be read"):
        find_captures(["a\0b"])
    with pytest.raises(CaptureError, match="cannot be read"):
        find_captures(["a" * 5000])


def test_devices_and_sockets_are_refused_unopened(tmp_path):
    with pytest.raises(CaptureError, match="is a device"):
        find_captures(["/dev/null"])
    os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o600)
    with pytest.raises(CaptureError, match="is a socket"):
        find_captures([tmp_path / "socket"])


def test_a_folder_is_no_file(folder):
    with pytest.raises(CaptureError, match="is a folder"):
        check(folder)


def test_a_folder_without_captures(tmp_path):
    (tmp_path / "README").write_text("nothing here")
    with pytest.raises(CaptureError, match="holds no captures"):
        find_captures([tmp_path])
    (tmp_path / "old.cap").write_bytes(b"snoop\x00\x00\x00\x00\x00\x00\x02")
    with pytest.raises(CaptureError, match=r"but 1 that Wireshark alone reads \(Solaris snoop\).*--engine pyshark"):
        find_captures([tmp_path])


def test_captures_that_wireshark_alone_reads_can_be_asked_for(tmp_path):
    path = tmp_path / "old.cap"
    path.write_bytes(b"snoop\x00\x00\x00\x00\x00\x00\x02")
    assert find_captures([path], foreign=True) == find_captures([tmp_path], foreign=True) == [path]
    with open_stream(path, foreign=True) as stream:
        assert stream.read().startswith(b"snoop")


@pytest.mark.parametrize("name", list(COMPRESSORS))
def test_compressed_captures_in_a_folder_are_known_by_content(tmp_path, name):
    (tmp_path / "a.pcap").write_bytes(COMPRESSORS[name](PCAP))
    (tmp_path / "b.log.gz").write_bytes(COMPRESSORS[name](b"a log"))
    (tmp_path / "c").write_bytes(COMPRESSORS[name](COMPRESSORS[name](PCAPNG)))
    (tmp_path / "d.pcap.gz").write_bytes(COMPRESSORS[name](PCAP)[:9])
    assert find_captures([tmp_path]) == [tmp_path / "a.pcap", tmp_path / "c"]


def test_links_that_go_round_in_circles(tmp_path):
    (tmp_path / "a.pcap").write_bytes(PCAP)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "up").symlink_to(tmp_path)
    (tmp_path / "below" / "up too").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert find_captures([tmp_path]) == [tmp_path / "a.pcap"]
    assert find_captures([tmp_path / "below" / "up"]) == [tmp_path / "below" / "up" / "a.pcap"]
    assert len(find_captures([tmp_path / "*" / "*" / "*.pcap"])) == 1
    with pytest.raises(CaptureError, match="cannot be read"):
        find_captures([tmp_path / "self"])


def test_a_pattern_is_the_files_that_match(folder):
    assert find_captures([f"{folder}/*.pcap".replace("captures", "capt?res")[:-6] + "z.pc*"]) == [folder / "z.pcap"]
    assert find_captures([folder / "[z]*"]) == [folder / "z.pcap"]
    assert find_captures([folder / "b*"]) == find_captures([folder / "b"])
    with pytest.raises(CaptureError, match="matches no file; check the pattern"):
        find_captures([folder / "*.cap.gz"])
    with pytest.raises(CaptureError, match="is text"):
        find_captures([folder / "*.md"])


def test_a_file_that_is_called_like_a_pattern_is_itself(tmp_path):
    for name in ("a[1].pcap", "a1.pcap", "b*.pcap"):
        (tmp_path / name).write_bytes(PCAP)
    assert find_captures([tmp_path / "a[1].pcap"]) == [tmp_path / "a[1].pcap"]
    assert find_captures([tmp_path / "b*.pcap"]) == [tmp_path / "b*.pcap"]


def test_a_file_called_dash_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").write_bytes(PCAP)
    assert find_captures(["./-"]) == find_captures(["."]) == find_captures(["[-]"]) == [tmp_path / "-"]


def deny(monkeypatch, path):
    """Make path unreadable, also for root."""

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    if os.geteuid():
        path.chmod(0)
    elif path.is_dir():
        scandir = os.scandir
        monkeypatch.setattr(os, "scandir", lambda place: denied() if str(place) == str(path) else scandir(place))
    else:
        opened = type(path).open
        monkeypatch.setattr(
            type(path), "open", lambda self, *a, **k: denied() if self == path else opened(self, *a, **k)
        )


def test_no_right_to_read(folder, monkeypatch):
    path = folder / "z.pcap"
    deny(monkeypatch, path)
    for named in (path, folder):
        with pytest.raises(CaptureError, match="permission denied"):
            find_captures([named])


def test_no_right_to_look_into_a_folder(folder, monkeypatch):
    deny(monkeypatch, folder / "b")
    try:
        with pytest.raises(CaptureError, match=r"permission denied for .*/b"):
            find_captures([folder])
    finally:
        (folder / "b").chmod(stat.S_IRWXU)


def test_no_right_to_look_at_the_files_of_a_folder(folder, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(folder), "is_file", denied)
    with pytest.raises(CaptureError, match="permission denied for"):
        find_captures([folder])


# --- blocks


class Trickle:
    """A pipe that gives one byte, then two, then three …"""

    def __init__(self, data):
        self.data = data
        self.count = 0

    def readinto(self, buffer):
        self.count += 1
        count = min(self.count, len(buffer), len(self.data))
        buffer[:count] = self.data[:count]
        self.data = self.data[count:]
        return count


@pytest.mark.parametrize("source", [io.BytesIO, Trickle])
@pytest.mark.parametrize("size", [None, 1000, 400, 5000])
@pytest.mark.parametrize("block_bytes", [1, 10, 333, 1000, 5000])
def test_blocks_give_all_bytes_whatever_size_is_claimed(source, size, block_bytes):
    data = bytes(index % 251 for index in range(1000))
    blocks = Blocks(source(data), block_bytes, size)
    read = b""
    while not blocks.ended:
        used = (len(blocks.data) * 2 + 2) // 3
        assert blocks.offset == len(read)
        read += blocks.data[:used].tobytes()
        blocks.advance(used)
        assert len(blocks.data) <= block_bytes + 1
    assert read + blocks.data.tobytes() == data


def test_a_capture_that_grew_since_is_read_in_whole_blocks():
    blocks = Blocks(io.BytesIO(bytes(1000)), 100, 50)
    sizes = []
    while not blocks.ended:
        blocks.advance(len(blocks.data))
        sizes.append(len(blocks.data))
    assert sizes == [51, *[100] * 9, 49]


def test_a_block_grows_where_nothing_is_used():
    blocks = Blocks(io.BytesIO(bytes(1000)), 10)
    sizes = []
    while not blocks.ended:
        blocks.advance(0)
        sizes.append(len(blocks.data))
    assert sizes == [10, 20, 40, 80, 160, 320, 640, 1000]


def test_a_block_is_not_overwritten_by_the_next():
    blocks = Blocks(io.BytesIO(b"first.second"), 6)
    blocks.advance(0)
    first = blocks.data
    blocks.advance(6)
    assert (first.tobytes(), blocks.data.tobytes()) == (b"first.", b"second")


def test_a_buffer_is_used_again_when_nobody_holds_it():
    data = bytes(index % 251 for index in range(10_000))
    blocks, held, places = Blocks(io.BytesIO(data), 100), [], []
    while not blocks.ended:
        blocks.advance(len(blocks.data))
        places.append(blocks.data.__array_interface__["data"][0])
        if len(places) % 10 == 0:
            held.append((blocks.offset, blocks.data[3:]))
    assert len(set(places)) < len(places) // 2
    assert held
    assert all(view.tobytes() == data[offset + 3 : offset + 100] for offset, view in held)


def test_opened_blocks_begin_with_the_first(tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(PCAP)
    with open_blocks(path, 1) as blocks:
        assert blocks.data.tobytes().startswith(PCAP[:32])
        assert blocks.offset == 0


def test_a_disk_that_fails_while_reading_is_one_sentence(tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(PCAP)
    with pytest.raises(CaptureError, match=r"cannot be read \(Input/output error\)"), open_blocks(path, 100):
        raise OSError(5, "Input/output error")


# --- pipes


@pytest.fixture
def stdin(monkeypatch):
    """Make bytes, or a descriptor, standard input."""
    opened = []

    def become(content):
        if isinstance(content, int):
            number = content
        else:
            number, end = os.pipe()
            writer = threading.Thread(target=write_slowly, args=(end, content), daemon=True)
            writer.start()
            opened.append(writer)
        monkeypatch.setattr(capture, "_STDIN_NUMBER", number)
        return number

    yield become
    for writer in opened:
        writer.join(20)


def write_slowly(number, content, pieces=7):
    """Write content to a pipe in some pieces, with rests, the first of a byte."""
    with io.FileIO(number, "wb") as pipe:
        step = max(len(content) // pieces, 1)
        for start, stop in [(0, 1), *((at, at + step) for at in range(1, len(content), step))]:
            pipe.write(content[start:stop])
            time.sleep(0.01)


def count(path, **options):
    """Return how many packets a capture has, and the reasons of its anomalies."""
    blocks = list(read_packets(path, **options))
    return sum(block.captured for block in blocks), [odd.reason for block in blocks for odd in block.anomalies]


@pytest.mark.parametrize("compress", [bytes, *COMPRESSORS.values()], ids=["plain", *COMPRESSORS])
@pytest.mark.parametrize("block_bytes", [1, 1000, 1 << 20])
def test_standard_input_is_a_capture(stdin, compress, block_bytes):
    stdin(compress(LONGER))
    assert find_captures(["-", STDIN, "-"]) == [STDIN]
    assert count(STDIN, block_bytes=block_bytes) == (50, [])


@pytest.mark.parametrize("compress", [bytes, *COMPRESSORS.values()], ids=["plain", *COMPRESSORS])
def test_a_named_pipe_is_a_capture(tmp_path, compress):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert find_captures([path, path]) == [path]
    opener = threading.Thread(target=lambda: write_slowly(os.open(path, os.O_WRONLY), compress(LONGER)), daemon=True)
    opener.start()
    assert count(path, block_bytes=1000) == (50, [])
    opener.join(20)


def test_a_process_substitution_is_a_capture(stdin):
    number = stdin(LONGER)
    path = f"/dev/fd/{number}"
    assert [str(found) for found in find_captures([path])] == [path]
    assert count(Path(path)) == (50, [])


def test_a_pipe_that_ends_within_a_packet(stdin):
    stdin(LONGER[:-3])
    assert count(STDIN) == (49, ["cut short"])


def test_an_empty_pipe_is_one_sentence(stdin):
    stdin(b"")
    with pytest.raises(CaptureError, match=r"^standard input: is empty; record the capture again$"):
        count(STDIN)


def test_a_pipe_that_is_no_capture_is_refused_though_it_goes_on(stdin):
    number, end = os.pipe()
    stdin(number)
    os.write(end, b"a log\n" * 100)
    with pytest.raises(CaptureError, match=r"^standard input: is text"):
        count(STDIN)
    os.close(end)
    os.close(number)


def test_standard_input_may_be_a_file(tmp_path, stdin):
    path = tmp_path / "capture"
    path.write_bytes(LONGER)
    with path.open("rb", buffering=0) as file:
        stdin(file.fileno())
        assert find_captures(["-", path]) == [STDIN]
        assert describe(STDIN) == ("standard input", len(LONGER))
        assert count(STDIN) == (50, [])
    path.write_bytes(b"skipped" + LONGER[:-1])
    with path.open("rb", buffering=0) as file:
        file.seek(7)
        stdin(file.fileno())
        assert count(STDIN) == (49, ["cut short"])


def test_standard_input_may_be_a_socket(stdin):
    near, far = socket.socketpair()
    stdin(near.fileno())
    writer = threading.Thread(target=write_slowly, args=(far.detach(), LONGER), daemon=True)
    writer.start()
    assert find_captures(["-"]) == [STDIN]
    assert count(STDIN) == (50, [])
    writer.join(20)
    near.close()


def test_standard_input_that_is_a_folder_or_closed(tmp_path, stdin):
    number = os.open(tmp_path, os.O_RDONLY)
    stdin(number)
    with pytest.raises(CaptureError, match=r"^standard input: .*directory"):
        count(STDIN)
    os.close(number)
    for attempt in (find_captures, lambda paths: list(read_packets(paths[0]))):
        with pytest.raises(CaptureError, match=r"^standard input: cannot be read"):
            attempt([STDIN])


def test_a_terminal_sends_no_capture(stdin):
    main, terminal = os.openpty()
    stdin(terminal)
    for attempt in (find_captures, lambda paths: list(read_packets(paths[0]))):
        with pytest.raises(CaptureError, match=r"^standard input: is a terminal.*tcpdump -w - \| sipscope report -"):
            attempt([STDIN])
    os.close(main)
    os.close(terminal)


def test_a_pipe_that_does_not_wait_is_waited_for(stdin):
    number, end = os.pipe()
    fcntl.fcntl(number, fcntl.F_SETFL, os.O_NONBLOCK)
    stdin(number)
    writer = threading.Thread(target=write_slowly, args=(end, LONGER), daemon=True)
    writer.start()
    assert count(STDIN) == (50, [])
    writer.join(20)
    os.close(number)


def test_a_file_that_grows_is_read_to_its_present_end(tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(LONGER[:-30])
    packets = read_packets(path, block_bytes=500)
    first = next(packets)
    with path.open("ab") as file:
        file.write(LONGER[-30:] + LONGER[24:] + LONGER[24:60])
    rest = list(packets)
    assert first.captured + sum(block.captured for block in rest) == 100
    assert [anomaly.reason for block in rest for anomaly in block.anomalies] == ["cut short"]


def test_what_is_said_of_a_capture(tmp_path, stdin):
    path = tmp_path / "capture"
    path.write_bytes(gzip.compress(PCAP, mtime=0))
    assert describe(path) == (str(path), path.stat().st_size)
    stdin(b"x")
    assert describe(STDIN) == ("standard input", None)
    with pytest.raises(CaptureError, match="does not exist"):
        describe(tmp_path / "nothing")


def test_a_stream_can_be_read_like_a_file(tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(gzip.compress(LONGER, mtime=0))
    with open_stream(path) as stream:
        assert (stream.compressions, stream.size) == (["gzip"], None)
        assert stream.read(24) + stream.read(0) + stream.read(1000) + stream.read() == LONGER
        assert stream.read() == stream.read(5) == b""
        assert stream.flaw is None
    path.write_bytes(LONGER)
    with open_stream(path) as stream:
        assert (stream.compressions, stream.size, len(stream.read())) == ([], len(LONGER), len(LONGER))


# --- the whole program


@contextmanager
def running(*arguments, **options):
    """Run sipscope, and end it if it does not end."""
    command = [sys.executable, "-m", "analyzer", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": heed_ctrl_c}
    with subprocess.Popen(command, **pipes, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def heed_ctrl_c():
    """Undo what a shell does to the programs that it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("compress", [bytes, zstandard.compress, gzip.compress], ids=["plain", "zstd", "gzip"])
def test_messages_of_standard_input(compress):
    with running("messages", "-", stdin=subprocess.PIPE) as process:
        table, trouble = process.communicate(compress(LONGER), timeout=60)
    assert trouble == b""
    assert len(pd.read_csv(io.BytesIO(table))) == 50


def test_ctrl_c_ends_the_wait_for_a_pipe():
    with running("messages", "-", stdin=subprocess.PIPE) as process:
        process.stdin.write(LONGER)
        process.stdin.flush()
        wait_until_asleep(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read().strip() == b"sipscope: stopped before anything was read; nothing was written"
