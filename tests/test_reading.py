"""Captures to messages: the same tables with any number of threads and processes, and an end when it is asked for."""

import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from needs import APART, CAPTURES, ROOT

from analyzer import reading
from analyzer.engines import ENGINES
from analyzer.errors import CaptureError, SettingsError
from analyzer.reading import read_captures
from analyzer.sip.transactions import follow
from analyzer.tables import MESSAGES

SWEEP = CAPTURES / "svmap-sweep.pcap"
TABLES = ("messages", "anomalies", "fates", "captures")
EMPTY_PCAP = bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 ffff0000 01000000")


def same(one, other):
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), obj=name)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 20_000)


# --- threads and processes


@pytest.mark.usefixtures("small_blocks")
def test_tables_do_not_depend_on_threads():
    alone = read_captures(CAPTURES, threads=1, jobs=1)

    assert len(alone.messages) > 1000
    for threads in (2, 4):
        same(read_captures(CAPTURES, threads=threads), alone)


NO_PANDAS = """
import sys
from pathlib import Path
from analyzer.engines.native import read_packets
from analyzer.sip.blocks import in_pieces, parse_pieces

rows = 0
for pieces in in_pieces(read_packets(Path(sys.argv[1])), lambda packets: None):
    messages, _ = parse_pieces(pieces, capture="x")
    rows += messages.rows
print(rows, "pandas" in sys.modules)
"""


def test_messages_are_parsed_while_pandas_is_imported():
    capture = CAPTURES / "svwar-svcrack.pcapng"
    done = subprocess.run([sys.executable, "-c", NO_PANDAS, str(capture)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(read_captures(capture).messages)), "False"]


def test_what_became_of_requests_is_kept_whole():
    messages = read_captures(CAPTURES, threads=2).messages
    blank = MESSAGES.conform(messages.loc[:, :"tag_password"], missing=True)

    pd.testing.assert_frame_equal(follow(blank), messages)


@pytest.mark.parametrize("engine", ["native", "scapy"])
def test_tables_do_not_depend_on_jobs(engine):
    captures = [SWEEP, CAPTURES / "svwar-svcrack.pcapng", CAPTURES / "nmap-sipsak.pcap"]

    same(read_captures(captures, engine=engine, jobs=2), read_captures(captures, engine=engine, jobs=1))


def test_tables_do_not_depend_on_the_size_of_blocks(monkeypatch):
    whole = read_captures(SWEEP)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 3000)

    same(read_captures(SWEEP), whole)


def test_interpreted_kernels_make_the_same_tables(tmp_path):
    code = (
        "import pickle, sys; from analyzer.reading import read_captures; r = read_captures(sys.argv[1])\n"
        f"pickle.dump([getattr(r, name) for name in {TABLES}], open(sys.argv[2], 'wb'))"
    )
    few = tmp_path / "few.pcap"
    few.write_bytes(SWEEP.read_bytes()[:20_000])
    done = tmp_path / "done"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code, few, done], env=environment, cwd=ROOT, check=True, timeout=100)

    compiled = read_captures(few)
    assert len(compiled.messages) > 20
    for name, table in zip(TABLES, pickle.loads(done.read_bytes()), strict=True):  # noqa: S301
        pd.testing.assert_frame_equal(table, getattr(compiled, name))


def test_many_captures_are_sorted_by_time():
    messages = read_captures(CAPTURES).messages
    key = list(zip(messages["time"], messages["capture"].cat.codes, messages["packet"], strict=True))

    assert key == sorted(key)
    assert list(messages.index) == list(range(len(messages)))


def make_packet(number):
    """Return an Ethernet frame with a request that has a Call-ID, a branch and a From tag of its own."""
    payload = (
        f"OPTIONS sip:100@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number:012d}\r\n"
        f"From: <sip:100@192.0.2.1>;tag={number:08d}\r\nTo: <sip:100@198.51.100.1>\r\n"
        f"Call-ID: {number:024d}@192.0.2.1\r\n"
        "CSeq: 1 OPTIONS\r\nContact: <sip:100@192.0.2.1:5060>\r\nUser-Agent: Phone/1.0\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    length = 20 + 8 + len(payload)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, 17, 0, bytes((192, 0, 2, 1)), bytes((198, 51, 100, 1)))
    return bytes(12) + b"\x08\x00" + ip + struct.pack(">HHHH", 5060, 5060, length - 20, 0) + payload


def test_packets_without_time_come_last(tmp_path):
    packet = make_packet(1)
    size, padded = len(packet), packet + bytes(-len(packet) % 4)
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
    simple = struct.pack("<III", 3, 16 + len(padded), size) + padded + struct.pack("<I", 16 + len(padded))
    length = 32 + len(padded)
    enhanced = struct.pack("<IIIIIII", 6, length, 0, 0, 1_000_000, size, size) + padded + struct.pack("<I", length)
    (tmp_path / "x.pcapng").write_bytes(section + interface + simple + enhanced)
    messages = read_captures(tmp_path / "x.pcapng").messages

    assert messages["packet"].tolist() == [2, 1]
    assert messages["time"].isna().tolist() == [False, True]


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"jobs": 0}, {"jobs": -1}])
def test_nothing_is_read_by_nobody(wrong):
    with pytest.raises(SettingsError, match="ask for 1 or more"):
        read_captures(SWEEP, **wrong)


def test_processes_are_started_where_they_are_worth_it(monkeypatch):
    monkeypatch.setattr(reading, "count_processors", lambda: 4)
    tallies = [reading._Tally(SWEEP) for _ in range(3)]
    for size, engine, jobs in (
        (100, "native", 1),
        (400 << 20, "native", 2),
        (4 << 30, "native", 3),
        (2 << 20, "scapy", 1),
    ):
        for tally in tallies:
            tally.bytes = size
        assert reading._count_jobs(None, engine, tallies) == jobs
    assert reading._count_jobs(9, "native", tallies[:1]) == 1


# --- progress


@pytest.mark.usefixtures("small_blocks")
def test_progress_is_told_after_each_block():
    told = []
    result = read_captures([SWEEP, CAPTURES / "nmap-sipsak.pcap"], progress=told.append)

    assert len(told) > 6
    assert all(one.all_bytes_read <= other.all_bytes_read for one, other in pairwise(told))
    assert all(one.packets <= other.packets and one.messages <= other.messages for one, other in pairwise(told))
    first, last = told[0], told[-1]
    assert (first.capture, first.bytes_total, first.captures_done) == (str(SWEEP), SWEEP.stat().st_size, 0)
    assert 0 < first.bytes_read < first.bytes_total
    assert last.all_bytes_read == last.all_bytes_total == result.captures["bytes"].sum()
    assert (last.captures_done, last.captures_total) == (2, 2)
    assert (last.packets, last.messages) == (result.captures["packets"].sum(), len(result.messages))


def test_progress_of_several_jobs_is_told_after_each_capture():
    told = []
    captures = [SWEEP, CAPTURES / "nmap-sipsak.pcap"]
    result = read_captures(captures, jobs=2, progress=told.append)

    assert [(one.capture, one.captures_done) for one in told] == [(str(path), 1 + k) for k, path in enumerate(captures)]
    assert told[-1].all_bytes_read == told[-1].all_bytes_total
    assert told[-1].messages == len(result.messages)


def test_progress_through_a_compressed_capture_counts_compressed_bytes(tmp_path):
    import gzip

    path = tmp_path / "x.pcap.gz"
    path.write_bytes(gzip.compress(SWEEP.read_bytes()))
    told = []
    read_captures(path, progress=told.append)

    assert told[-1].bytes_read == told[-1].bytes_total == path.stat().st_size


# --- errors and Ctrl-C


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("threads", [1, 2])
def test_errors_come_out_as_they_are(monkeypatch, threads):
    def breaks(path, **options):
        yield from ENGINES["native"](path, **options)
        raise CaptureError(path, "broke")

    monkeypatch.setitem(ENGINES._entries, "breaks", breaks)
    with pytest.raises(CaptureError, match=r"svmap-sweep\.pcap: broke"):
        read_captures(SWEEP, engine="breaks", threads=threads, jobs=1)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("threads", [1, 2])
def test_errors_of_parsers_come_out(monkeypatch, threads):
    from analyzer.sip import parser

    monkeypatch.setattr(parser, "_check", lambda packets: len(packets) / 0)
    with pytest.raises(ZeroDivisionError):
        read_captures(SWEEP, threads=threads)


def test_a_process_that_ends_is_one_sentence(monkeypatch):
    monkeypatch.setattr("analyzer.workers._START", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(CaptureError, match="the process that read it ended by SIGKILL, maybe for want of memory; read"):
        read_captures([SWEEP, CAPTURES / "nmap-sipsak.pcap"], jobs=2)


def start(code, *arguments):
    """Start Python with Ctrl-C as on a terminal, also where the tests run in the background."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


AT_ONCE = 30
"""Seconds in which a busy machine does at once what would otherwise take a minute, or never happen."""


def interrupt(process):
    """Send Ctrl-C, and return exit code, errors and the seconds that it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=90)
    return process.returncode, errors, time.monotonic() - began


def test_ctrl_c_ends_the_command_at_once(tmp_path):
    fifo = tmp_path / "live.pcap"
    os.mkfifo(fifo)
    process = start("from analyzer.cli import main; main()", "messages", fifo, "-o", tmp_path / "m.csv")
    with fifo.open("wb") as pipe:
        pipe.write(SWEEP.read_bytes())
        pipe.flush()
        time.sleep(1)
        code, errors, seconds = interrupt(process)

    assert (code, "stopped" in errors) == (130, True)
    assert seconds < AT_ONCE


@pytest.mark.parametrize("threads", [1, 3])
def test_ctrl_c_between_blocks_comes_out(threads):
    code = (
        "import sys, time; from analyzer import reading; reading.BLOCK_BYTES = 20_000\n"
        "def wait(progress): print('here', flush=True); time.sleep(60)\n"
        "try: reading.read_captures(sys.argv[1], threads=int(sys.argv[2]), progress=wait)\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    process = start(code, SWEEP, threads)
    assert process.stdout.readline() == "here\n"
    code, errors, seconds = interrupt(process)

    assert (code, errors) == (130, "")
    assert seconds < AT_ONCE


def test_ctrl_c_ends_all_processes(tmp_path):
    for name in "ab":
        os.mkfifo(tmp_path / f"{name}.pcap")
    code = "import sys; from analyzer.reading import read_captures; read_captures(sys.argv[1:], jobs=2)"
    process = start(code, tmp_path / "a.pcap", tmp_path / "b.pcap")
    with (tmp_path / "a.pcap").open("wb") as one, (tmp_path / "b.pcap").open("wb") as other:
        for pipe in (one, other):
            pipe.write(EMPTY_PCAP)
            pipe.flush()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        code, _, seconds = interrupt(process)

    assert len(children) == 2
    assert code == -signal.SIGINT
    assert seconds < AT_ONCE
    assert not any(Path(f"/proc/{child}").exists() for child in children)


# --- memory


def many_messages(path, count):
    """Write a capture of so many requests, no two alike."""
    with path.open("wb") as file:
        file.write(EMPTY_PCAP)
        for number in range(count):
            packet = make_packet(number)
            file.write(struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet)


@pytest.mark.slow
def test_memory_is_bounded(tmp_path):
    """Beyond what the imports take: three blocks and a few, and 350 bytes a message."""
    code = (
        "import json, resource, sys; from analyzer.reading import read_captures\n"
        "def peak(path): n = len(read_captures(path).messages); return n, resource.getrusage(0).ru_maxrss << 10\n"
        "print(json.dumps([peak(path) for path in sys.argv[1:]]))"
    )
    many_messages(tmp_path / "few.pcap", 10_000)
    many_messages(tmp_path / "many.pcap", 200_000)
    read_captures(SWEEP)  # compiles what is not yet
    done = subprocess.run(
        [*APART, sys.executable, "-c", code, tmp_path / "few.pcap", tmp_path / "many.pcap"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    (few, before), (many, after) = json.loads(done.stdout)

    assert (few, many) == (10_000, 200_000)
    assert after - before < 350 * (many - few) + (60 << 20)
