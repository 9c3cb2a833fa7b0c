import bz2
import gzip
import io
import itertools
import lzma
import random
import resource
import struct
import subprocess
import sys
import time
import zlib
from contextlib import contextmanager

import lz4.frame
import pytest
import zstandard
from engines import pcaps
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer import decompress
from analyzer.decompress import Decompressed
from analyzer.engines.native import read_packets
from analyzer.errors import CaptureError

COMPRESSORS = {
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
ONE_GO = {
    "gzip": lambda: zlib.decompressobj(31),
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}
SKIPPABLE = struct.pack("<II", 0x184D2A50, 5) + b"aside"
PACKETS = [pcaps.ethernet(pcaps.ipv4(pcaps.udp(b"%d" % i + pcaps.OPTIONS))) for i in range(40)]
CAPTURE = pcaps.pcap(PACKETS)
NOISE = random.Random(1).randbytes(300_000)

every_compression = pytest.mark.parametrize("name", list(COMPRESSORS))


class Trickle:
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data, most=3):
        self._inner = io.BytesIO(data)
        self._most = most

    def readinto(self, buffer):
        return self._inner.readinto(memoryview(buffer)[: self._most])


def read(stream, size=1 << 20):
    buffer = memoryview(bytearray(size))
    data = b""
    while count := stream.readinto(buffer):
        data += buffer[:count]
    assert not stream.readinto(buffer)
    return data


def decompressed(data, name, *, size=1 << 20, source=io.BytesIO, **options):
    stream = Decompressed(source(data), name, **options)
    return read(stream, size), stream.flaw


@every_compression
@pytest.mark.parametrize("size", [1, 2, 7, 100, 4096, 1 << 20])
@pytest.mark.parametrize("source", [io.BytesIO, Trickle])
def test_what_was_compressed_comes_back(name, size, source):
    assert decompressed(COMPRESSORS[name](CAPTURE), name, size=size, source=source) == (CAPTURE, None)


@every_compression
@pytest.mark.parametrize("data", [NOISE, bytes(3_000_000), CAPTURE * 200, b""], ids=["noise", "zeros", "like", "none"])
def test_much_or_nothing_comes_back(name, data):
    assert decompressed(COMPRESSORS[name](data), name) == (data, None)


@every_compression
@given(cuts=st.lists(st.integers(0, len(CAPTURE)), max_size=8), size=st.integers(1, 3000))
@settings(max_examples=25, deadline=None)
def test_members_are_one_capture(name, cuts, size):
    edges = [0, *sorted(cuts), len(CAPTURE)]
    members = [COMPRESSORS[name](CAPTURE[a:b]) for a, b in itertools.pairwise(edges)]
    assert decompressed(b"".join(members), name, size=size) == (CAPTURE, None)


@every_compression
def test_many_small_members(name):
    members = b"".join(COMPRESSORS[name](bytes([byte])) for byte in CAPTURE[:1000])
    assert decompressed(members, name, size=5) == (CAPTURE[:1000], None)


@pytest.mark.parametrize("name", ["gzip", "xz"])
@pytest.mark.parametrize("padding", [4, 512, 70_000])
def test_zeros_after_a_member_are_padding(name, padding):
    member = COMPRESSORS[name](CAPTURE)
    assert decompressed(member + bytes(padding), name) == (CAPTURE, None)
    assert decompressed(member + bytes(padding) + member, name, source=Trickle) == (CAPTURE * 2, None)


@pytest.mark.parametrize("name", ["zstd", "lz4"])
def test_skippable_frames_are_skipped(name):
    member = COMPRESSORS[name](CAPTURE)
    assert decompressed(SKIPPABLE + member + SKIPPABLE + member + SKIPPABLE, name) == (CAPTURE * 2, None)


@every_compression
@pytest.mark.parametrize("garbage", [b"x", b"garbage", CAPTURE, gzip.compress(b"x")[:2] + b"no gzip", b"\x00\x01"])
def test_garbage_after_the_end_is_left_alone_and_told(name, garbage):
    member = COMPRESSORS[name](CAPTURE)
    data, flaw = decompressed(member + garbage, name)
    assert data == CAPTURE
    assert flaw.reason == "damaged"
    at = len(member) + len(garbage) - len(garbage.lstrip(b"\0"))
    assert f"from byte {at:,} of the file on, comes something else" in flaw.detail


@every_compression
def test_cut_anywhere_all_before_is_kept(name):
    member = COMPRESSORS[name](CAPTURE)
    for end in range(len(member)):
        data, flaw = decompressed(member[:end], name)
        assert CAPTURE.startswith(data)
        assert len(data) >= len(ONE_GO[name]().decompress(member[:end]))
        assert flaw.reason == "cut short"
        assert f"at byte {end:,} of the file" in flaw.detail
        assert f"{len(data):,} byte(s) were read" in flaw.detail
        if end > 20 and name in {"gzip", "xz"}:
            assert data or end < 200


@every_compression
def test_cut_in_the_second_member_the_first_is_kept(name):
    member = COMPRESSORS[name](CAPTURE)
    for end in range(1, len(member)):
        data, flaw = decompressed(member + member[:end], name)
        assert data[: len(CAPTURE)] == CAPTURE
        assert flaw.reason == "cut short"


@every_compression
def test_changed_anywhere_nothing_but_a_flaw(name):
    member = COMPRESSORS[name](CAPTURE)
    told = 0
    for at in range(1, len(member)):
        changed = bytearray(member)
        changed[at] ^= 0x55
        data, flaw = decompressed(bytes(changed), name, most_bytes=10 * len(CAPTURE))
        told += flaw is not None
        if flaw is None and name in {"bzip2", "xz"}:
            assert data == CAPTURE
    assert told > len(member) // 2 or name in {"zstd", "lz4"}  # these have no checksum by default


@pytest.mark.parametrize("name", ["gzip", "zstd", "lz4", "xz"])
def test_what_comes_before_damage_is_kept(name):
    member = bytearray(COMPRESSORS[name](NOISE))
    member[len(member) * 2 // 3] ^= 0xFF
    data, _ = decompressed(bytes(member), name)
    sound = next((at for at, (a, b) in enumerate(zip(data, NOISE, strict=False)) if a != b), len(data))
    assert sound > len(NOISE) * (0.6 if name != "zstd" else 0.4)  # a zstd block is 128 KiB


def test_a_wrong_checksum_costs_little():
    member = gzip.compress(CAPTURE)
    data, flaw = decompressed(member[:-8] + b"\x12\x34\x56\x78" + member[-4:], "gzip")
    assert flaw.reason == "damaged"
    assert "incorrect data check" in flaw.detail
    assert CAPTURE.startswith(data)
    assert len(data) >= len(CAPTURE) * 0.99


@every_compression
@given(data=st.binary(max_size=300), flips=st.lists(st.integers(0, 1 << 30), max_size=5))
@settings(max_examples=60, deadline=None)
def test_hostile_bytes_are_a_flaw_at_most(name, data, flips):
    member = bytearray(COMPRESSORS[name](CAPTURE))
    for flip in flips:
        member[flip % len(member)] = flip >> 16 & 0xFF
    for hostile in (bytes(member) + data, COMPRESSORS[name](b"")[:6] + data, data):
        decompressed(hostile, name, size=777, most_bytes=1 << 20)


# --- limits


@every_compression
def test_a_limit_is_kept_to_the_byte(name):
    member = COMPRESSORS[name](CAPTURE)
    assert decompressed(member, name, most_bytes=len(CAPTURE)) == (CAPTURE, None)
    for most in (0, 1, 100, len(CAPTURE) - 1):
        data, flaw = decompressed(member, name, most_bytes=most)
        assert data == CAPTURE[:most]
        assert flaw.reason == "too large"
        assert f"byte {most:,} of the capture: raise the limit with --most-bytes" in flaw.detail


@every_compression
def test_too_good_a_ratio_is_a_bomb_unless_it_is_small(name, monkeypatch):
    monkeypatch.setattr(decompress, "SAFE_BYTES", 2_000_000)
    zeros = bytes(20_000_000)
    bomb = COMPRESSORS[name](zeros)
    data, flaw = decompressed(bomb, name)
    if name == "lz4":  # cannot reach 255
        assert (len(data), flaw) == (len(zeros), None)
    else:
        assert flaw.reason == "too large"
        assert len(data) <= 2_000_000 + 32_000_000 // 400
    assert decompressed(bomb, name, most_bytes=len(zeros)) == (zeros, None)
    assert decompressed(COMPRESSORS[name](zeros[:2_000_000]), name)[1] is None


def test_the_most_that_is_read_without_being_asked(monkeypatch):
    monkeypatch.setattr(decompress, "SAFE_BYTES", 1_000)
    monkeypatch.setattr(decompress, "MOST_BYTES", 200_000)
    data, flaw = decompressed(gzip.compress(NOISE), "gzip")
    assert data == NOISE[:200_000]
    assert flaw.reason == "too large"


def test_zstd_that_asks_for_much_memory_is_refused():
    long = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=29))
    writer = long.compressobj()
    data, flaw = decompressed(writer.compress(CAPTURE) + writer.flush(), "zstd")
    assert (data, flaw.reason) == (b"", "damaged")
    assert "too much memory" in flaw.detail


def test_xz_that_asks_for_much_memory_is_refused():
    member = bytearray(lzma.compress(CAPTURE))
    size = (member[12] + 1) * 4
    header = member[12 : 12 + size - 4]
    assert header[2:4] == b"\x21\x01"  # LZMA2, one byte of properties: the size of its dictionary
    header[4] = 40  # 4 GiB
    member[12 : 12 + size] = header + struct.pack("<I", zlib.crc32(header))
    data, flaw = decompressed(bytes(member), "xz")
    assert (data, flaw.reason) == (b"", "damaged")
    assert "Memory usage limit" in flaw.detail


@pytest.mark.parametrize("name", ["xz", "zstd"])
def test_what_the_programs_do_at_their_best_is_read(name):
    data = CAPTURE * 100
    best = {
        "xz": lambda: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
        "zstd": lambda: zstandard.ZstdCompressor(level=22).compress(data),
    }
    assert decompressed(best[name](), name) == (data, None)


BOMB = """
import re, sys
from pathlib import Path
from analyzer.engines.native import read_packets
from analyzer.errors import CaptureError
reasons = set()
try:
    for packets in read_packets(Path(sys.argv[1])):
        reasons |= {anomaly.reason for anomaly in packets.anomalies}
except CaptureError as error:
    reasons = {str(error)}
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024, sorted(reasons))
"""
"""Prints the most memory that it took, in MiB; that of resource.getrusage would be its parent's, which is larger."""


def gzip_bomb():
    """10 GB of zeros after the header of a capture."""
    return gzip.compress(CAPTURE[:24]) + gzip.compress(bytes(1 << 24)) * 640


@pytest.mark.parametrize(
    ("bomb", "reason"),
    [
        (lambda: gzip.compress(bytes(1 << 24)) * 640, "zeros where a capture begins"),
        (gzip_bomb, "too large"),
        (lambda: gzip.compress(gzip_bomb()), "too large"),
        (lambda: zstandard.compress(CAPTURE[:24]) + zstandard.compress(bytes(1 << 26)) * 160, "too large"),
    ],
    ids=["zeros", "capture", "twice", "zstd"],
)
def test_a_bomb_ends_in_seconds_and_in_little_memory(tmp_path, bomb, reason):
    path = tmp_path / "bomb"
    path.write_bytes(bomb())
    assert path.stat().st_size < 12_000_000
    list(read_packets_of_a_small_capture(tmp_path))  # its kernels are compiled now
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", BOMB, path], capture_output=True, text=True, check=True, timeout=300)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory, _, reasons = done.stdout.partition(" ")
    assert reason in reasons
    assert int(memory) < 300
    assert ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime < 30


def read_packets_of_a_small_capture(folder):
    path = folder / "small"
    path.write_bytes(CAPTURE)
    return read_packets(path)


@pytest.mark.parametrize("name", ["gzip", "zstd", "lz4", "bzip2", "xz"])
def test_a_file_of_very_many_empty_members_ends_in_seconds(tmp_path, name):
    path = tmp_path / "members"
    path.write_bytes(COMPRESSORS[name](b"") * 50_000)
    begun = time.process_time()
    with pytest.raises(CaptureError, match=f"is empty \\(in {name}\\)"):
        list(read_packets(path))
    assert time.process_time() - begun < 10


# --- captures


def payloads(path, **options):
    """Return the payloads and anomalies of a capture."""
    blocks = list(read_packets(path, **options))
    rows = [
        block.data[start : start + length].tobytes()
        for block in blocks
        for start, length in zip(block.start, block.length, strict=True)
    ]
    return rows, [anomaly for block in blocks for anomaly in block.anomalies]


@every_compression
@pytest.mark.parametrize("block_bytes", [1, 100, 1000, 1 << 20])
@pytest.mark.parametrize("capture", [CAPTURE, pcaps.pcapng(*PACKETS)], ids=["pcap", "pcapng"])
def test_a_compressed_capture_is_the_capture(tmp_path, name, block_bytes, capture):
    plain, compressed = tmp_path / "plain", tmp_path / "compressed"
    plain.write_bytes(capture)
    compressed.write_bytes(COMPRESSORS[name](capture))
    assert len(payloads(plain)[0]) == len(PACKETS)
    assert payloads(compressed, block_bytes=block_bytes) == payloads(plain) == (payloads(plain)[0], [])


@every_compression
def test_a_compressed_capture_cut_anywhere_keeps_its_messages(tmp_path, name):
    path = tmp_path / "cut"
    member = COMPRESSORS[name](CAPTURE)
    whole = [b"%d" % i + pcaps.OPTIONS for i in range(len(PACKETS))]
    record = 16 + len(PACKETS[0])
    for end in range(len(member)):
        path.write_bytes(member[:end])
        held = len(ONE_GO[name]().decompress(member[:end]))
        if held < 4:
            with pytest.raises(CaptureError):
                payloads(path)
            continue
        rows, anomalies = payloads(path)
        assert rows == whole[: len(rows)]
        assert len(rows) >= (held - 24) // (record + 1)
        (anomaly,) = anomalies
        assert anomaly.reason == "cut short"
        assert f"at byte {end:,} of the file" in anomaly.detail


def test_the_limit_can_be_raised_for_a_capture(tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(gzip.compress(CAPTURE))
    rows, (anomaly,) = payloads(path, most_bytes=len(CAPTURE) - 1)
    assert len(rows) == len(PACKETS) - 1
    assert anomaly.reason == "too large"
    assert payloads(path, most_bytes=len(CAPTURE)) == ([b"%d" % i + pcaps.OPTIONS for i in range(40)], [])


@every_compression
@pytest.mark.parametrize("inner", list(COMPRESSORS))
def test_a_capture_may_be_compressed_twice_and_no_more(tmp_path, name, inner):
    path = tmp_path / "capture"
    twice = COMPRESSORS[name](COMPRESSORS[inner](CAPTURE))
    path.write_bytes(twice)
    assert len(payloads(path)[0]) == len(PACKETS)
    path.write_bytes(gzip.compress(twice))
    with pytest.raises(CaptureError, match=r"compressed more than twice .*; unpack it first"):
        payloads(path)


def test_a_flaw_of_either_layer_is_told_once(tmp_path):
    path = tmp_path / "capture"
    inner = bz2.compress(CAPTURE[:1000]) + bz2.compress(CAPTURE[1000:])
    path.write_bytes(gzip.compress(inner[:-5]))
    rows, (anomaly,) = payloads(path)
    assert rows
    assert (anomaly.reason, "of what the gzip data holds" in anomaly.detail) == ("cut short", True)
    path.write_bytes(gzip.compress(inner)[:-12])
    assert [anomaly.detail[:8] for anomaly in payloads(path)[1]] == ["the gzip"]


HEADS = [
    b"",
    CAPTURE[:24],
    CAPTURE[:200],
    pcaps.pcapng(*PACKETS[:2]),
    *(make(CAPTURE)[:40] for make in COMPRESSORS.values()),
]


@given(data=st.binary(max_size=400), name=st.sampled_from([None, *COMPRESSORS]), head=st.sampled_from(HEADS))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_capture_or_a_sentence(tmp_path_factory, data, name, head):
    path = tmp_path_factory.mktemp("any", numbered=True) / "file"
    content = head + data
    path.write_bytes(COMPRESSORS[name](content) if name else content)
    with suppress_sentence():
        assert all(len(block) <= block.captured for block in read_packets(path))


@contextmanager
def suppress_sentence():
    try:
        yield
    except CaptureError as error:
        sentence = str(error)
        assert sentence.count("\n") == 0
