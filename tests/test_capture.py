import gzip
import io
import os
import stat

import pytest
from engines import pcaps

from analyzer.capture import Blocks, check, find_captures, open_blocks
from analyzer.errors import CaptureError

PCAP = pcaps.pcap([pcaps.ethernet()])
PCAPNG = pcaps.pcapng(pcaps.ethernet())


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
    assert find_captures([path]) == find_captures([str(path)]) == [path]


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
        (b"hello, this is text", "is no capture"),
        (b"\xa1\xb2", "is no capture"),
        (gzip.compress(PCAP), r"compressed \(gzip\); unpack it first"),
        (b"\x28\xb5\x2f\xfdxxxx", "zstd"),
        (b"\x04\x22\x4d\x18xxxx", "lz4"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00\x00", "xz"),
        (b"PK\x03\x04", "zip"),
        (b"snoop\x00\x00\x00\x00\x00\x00\x02", "snoop.*convert"),
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


def test_devices_pipes_and_sockets_are_refused_unopened(folder):
    with pytest.raises(CaptureError, match="is a named pipe"):
        find_captures([folder / "pipe"])
    with pytest.raises(CaptureError, match="is a device"):
        find_captures(["/dev/null"])


def test_a_folder_is_no_file(folder):
    with pytest.raises(CaptureError, match="is a folder"):
        check(folder)


def test_a_folder_without_captures(tmp_path):
    (tmp_path / "README").write_text("nothing here")
    with pytest.raises(CaptureError, match="holds no captures"):
        find_captures([tmp_path])
    (tmp_path / "a.pcap.gz").write_bytes(gzip.compress(PCAP))
    with pytest.raises(CaptureError, match=r"1 compressed file\(s\); unpack"):
        find_captures([tmp_path])


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
