import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from needs import need, program
from recording.wire import SIP_IN_TAGS, count_packets, numbers, wait_until

from analyzer.reading import read_captures
from analyzer.recorders.process import Process
from analyzer.segments import list_partial, list_segments

UNPRIVILEGED = ("--securebits", "+noroot,+noroot_locked", "--inh-caps", "-all")
"""Arguments of setpriv: even root has no rights then but those that a program brings along."""


def end(process, number=signal.SIGINT):
    """Return what a recording says when it is ended."""
    process.send_signal(number)
    said, wrong = process.communicate(timeout=60)
    assert (process.returncode, wrong) == (0, "")
    return said


ASKER = """
import re, sys, time
from analyzer.recorders import LiveStream, RECORDERS, make_order
from analyzer.recorders.piped import Pipe
live, pipe, seen = LiveStream(RECORDERS["tcpdump"], make_order("far")), Pipe(), []
live.process.wait_for("listening on", 60)
sys.stderr.write("ready\\n")
while len(seen) < int(sys.argv[1]):
    for _ in range(1000):  # then the pipe is full
        live.ask()
        time.sleep(0.0002)
    for _ in range(50):
        live.ask()
        for _, data, _ in pipe.take(live.file.read(1 << 20)):
            seen.append(int(re.search(rb"number-([0-9]+)", data)[1]))
        if not seen or seen[-1] + 1 == int(sys.argv[1]):
            break
live.close()
print(seen == list(range(int(sys.argv[1]))), live.lost().total)
"""
"""Asks tcpdump for its counters all the time, and lets it wait now and then until it gets rid of its packets."""


def dropped(folder):
    return read_captures([folder]).captures["dropped"].tolist()


@pytest.mark.parametrize("recorder", ["dumpcap", "tcpdump"])
def test_every_packet_is_in_one_segment(lab, tmp_path, recorder):
    program(recorder)
    process = lab.record(tmp_path, "--every", "1s", "--recorder", recorder)
    lab.send(6000, rate=1500)
    time.sleep(1)
    said = end(process)
    assert numbers(tmp_path) == list(range(6000))
    segments = list_segments(tmp_path)
    assert len(segments) > 2
    assert sum(count_packets(segment) for segment in segments) == 6000
    assert f"Recorded 6,000 packets in {len(segments)} segments from far; none dropped\n" in said
    assert dropped(tmp_path) == [0] * len(segments)
    assert list_partial(tmp_path) == []


def test_tcpdump_is_asked_while_it_writes(lab):
    program("tcpdump")
    asker = lab.start(sys.executable, "-c", ASKER, "20000", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert asker.stderr.readline() == "ready\n"
    lab.send(20_000, rate=20_000)
    said, wrong = asker.communicate(timeout=60)
    assert (said, wrong) == ("True 0\n", "")


@pytest.mark.parametrize("recorder", ["scapy", "pyshark"])
def test_python_records_where_it_must(lab, tmp_path, recorder):
    program("tshark")
    process = lab.record(tmp_path, "--recorder", recorder)
    time.sleep(1)
    lab.send(60, rate=20)
    time.sleep(3)
    said = end(process)
    found = numbers(tmp_path)
    assert found == list(range(found[0], found[-1] + 1))
    assert len(found) > 10
    assert "drops unknown" in said
    reading = read_captures([tmp_path])
    assert (reading.captures["dropped"].isna().all(), len(reading.messages)) == (True, len(found))


def test_tags_and_fragments_are_recorded(lab, tmp_path):
    process = lab.record(tmp_path)
    lab.emit(SIP_IN_TAGS)
    time.sleep(1)
    end(process)
    (segment,) = list_segments(tmp_path)
    assert count_packets(segment) == len(SIP_IN_TAGS)
    assert len(read_captures([segment]).messages) == len(SIP_IN_TAGS) - 1  # two of them are one


@pytest.mark.parametrize(
    ("options", "expected"),
    [(["--packets", "300"], 300), (["--packets", "900", "--every", "1s"], 900)],
    ids=["one segment", "several"],
)
def test_so_many_packets_are_recorded(lab, tmp_path, options, expected):
    process = lab.record(tmp_path, *options)
    sender = lab.send(20_000, rate=400, wait=False)
    said, wrong = process.communicate(timeout=60)
    sender.kill()
    sender.wait()
    assert (process.returncode, wrong) == (0, "")
    assert numbers(tmp_path) == list(range(expected))
    assert f"Recorded {expected} packets" in said


def test_size_ends_a_segment(lab, tmp_path):
    process = lab.record(tmp_path, "--size", "100kB", "-q")
    lab.send(3000, rate=600)
    assert end(process) == ""
    assert numbers(tmp_path) == list(range(3000))
    assert len(list_segments(tmp_path)) > 1


def test_duration_ends_the_recording(lab, tmp_path):
    process = lab.record(tmp_path, "--duration", "2s", "-q")
    assert process.communicate(timeout=60) == ("", "")
    assert count_packets(*list_segments(tmp_path)) == 0
    assert dropped(tmp_path) == [0]


def test_sigterm_ends_within_five_seconds(lab, tmp_path):
    took = []
    while not took or (min(took) >= 5 and len(took) < 3):  # other work on the machine delays one, and not all
        process = lab.record(tmp_path / str(len(took)))
        lab.send(50)
        begun = time.monotonic()
        end(process, signal.SIGTERM)
        took.append(time.monotonic() - begun)
        assert numbers(tmp_path / str(len(took) - 1)) == list(range(50))
        assert not lab.listening()
    assert min(took) < 5


@pytest.mark.parametrize("recorder", ["dumpcap", "tcpdump"])
def test_the_recorder_ends_with_us(lab, tmp_path, recorder):
    program(recorder)
    process = lab.record(tmp_path, "--recorder", recorder)
    lab.send(100)
    time.sleep(1)
    process.kill()
    process.communicate()
    wait_until(lambda: not lab.listening(), 20)
    assert len(list_partial(tmp_path)) == 1
    said = end(lab.record(tmp_path))
    kept = numbers(tmp_path)  # tcpdump writes out what it holds only now and then
    assert kept == list(range(len(kept))) if recorder == "tcpdump" else kept == list(range(100))
    assert f"  {len(kept)} packets" in said
    assert "Recorded 0 packets in 1 segment" in said


def test_kills_neither_lose_nor_double_what_is_on_the_disk(lab, tmp_path):
    sender = lab.send(200_000, rate=1000, wait=False)
    for pause in (0.1, 1.2, 1.7, 2.4, 0.6, 3.1):
        process = lab.record(tmp_path, "--every", "1s")
        time.sleep(pause)
        process.kill()
        process.communicate()
    sender.kill()
    sender.wait()
    wait_until(lambda: not lab.listening(), 20)
    end(lab.record(tmp_path))
    found = numbers(tmp_path)
    assert len(found) > 1000
    assert len(found) == len(set(found))  # one of two recorders may have ended a little later than the other
    assert list_partial(tmp_path) == []


def test_a_recorder_that_is_killed_is_started_again(lab, tmp_path):
    process = lab.record(tmp_path)
    lab.send(100)
    time.sleep(1)
    (recorder,) = [int(path.parts[2]) for path in Path("/proc").glob("[0-9]*/comm") if is_ours(path, tmp_path)]
    os.kill(recorder, signal.SIGKILL)
    wait_until(lambda: len(list_segments(tmp_path)) == 1 and lab.listening())
    time.sleep(1)
    lab.send(100, first=100)
    time.sleep(1)
    said = end(process)
    assert numbers(tmp_path) == list(range(200))
    assert "Recording gap: nothing from" in said
    assert "dumpcap ended and was started again" in said


def is_ours(comm, folder):
    try:
        return comm.read_text() == "dumpcap\n" and str(folder) in (comm.parent / "cmdline").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("gone", [False, True], ids=["down", "gone"])
def test_an_interface_that_goes_down_is_waited_for(lab, tmp_path, gone):
    process = lab.record(tmp_path)
    lab.send(100)
    time.sleep(1)
    lab.run("ip", "link", *(["del", "near"] if gone else ["set", "far", "down"]))
    wait_until(lambda: len(list_segments(tmp_path)) == 1)
    if gone:
        lab.link()
    else:
        lab.run("ip", "link", "set", "far", "up")
    wait_until(lambda: lab.listening() and list_partial(tmp_path))
    time.sleep(1)
    lab.send(100, first=100)
    time.sleep(1)
    said = end(process)
    assert numbers(tmp_path) == list(range(200))
    assert "the interface far was down" in said
    (anomaly,) = read_captures([tmp_path]).anomalies.to_dict("records")
    assert anomaly["reason"] == "recording gap"
    assert anomaly["detail"].endswith("the interface far was down")


def test_nothing_is_sent(lab, tmp_path):
    before = lab.sent()
    process = lab.record(tmp_path, "--every", "1s")
    lab.send(500, rate=250)
    end(process)
    assert lab.sent() == before


def test_no_socket_is_opened_that_could_send(lab, tmp_path):
    log = tmp_path / "strace"
    before = [program("strace"), "-f", "-qq", "--seccomp-bpf", "-e", "trace=network", "-o", str(log)]
    process = lab.record(tmp_path / "out", "--duration", "2s", before=before)
    assert process.communicate(timeout=120)[1] == ""
    calls = log.read_text()
    assert "socket(AF_PACKET" in calls
    for call in ("connect(", "sendto(", "sendmsg(", "sendmmsg("):
        lines = [line for line in calls.splitlines() if call in line]
        assert [line for line in lines if "AF_NETLINK" not in line] == []


def test_dumpcap_alone_needs_the_right(lab, tmp_path):
    mine = tmp_path / "bin" / "dumpcap"
    mine.parent.mkdir()
    mine.write_bytes(Path(program("dumpcap")).read_bytes())
    mine.chmod(0o755)
    given = subprocess.run([program("setcap"), "cap_net_raw,cap_net_admin=eip", mine], capture_output=True)
    need(given.returncode == 0, "the right to give a program capabilities")
    setpriv = [program("setpriv"), *UNPRIVILEGED]
    environment = {**os.environ, "PATH": f"{mine.parent}:{os.environ['PATH']}"}
    process = lab.record(tmp_path / "out", before=setpriv, env=environment)
    lab.send(100)
    time.sleep(1)
    process.kill()
    process.communicate()
    wait_until(lambda: not lab.listening(), 20)
    end(lab.record(tmp_path / "out", before=setpriv, env=environment))
    assert numbers(tmp_path / "out") == list(range(100))


@pytest.mark.parametrize("recorder", ["dumpcap", "tcpdump"])
def test_without_the_right_the_remedy_is_told(lab, tmp_path, recorder):
    process = lab.record(tmp_path, "--recorder", recorder, before=[program("setpriv"), *UNPRIVILEGED])
    said, wrong = process.communicate(timeout=120)
    assert (process.returncode, said) == (1, "")
    path = program(recorder)
    assert wrong == (
        f"sipscope: far: you may not record here; give {recorder} the right "
        f"(sudo setcap cap_net_raw,cap_net_admin=eip {path}) or run this as root\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recorder", ["dumpcap", "tcpdump"])
def test_a_filter_that_is_none_is_told(lab, tmp_path, recorder):
    program(recorder)
    process = lab.record(tmp_path, "--recorder", recorder, "--filter", "prot 5060")
    said, wrong = process.communicate(timeout=120)
    assert (process.returncode, said) == (1, "")
    assert wrong.startswith("sipscope: 'prot 5060' is no capture filter (")
    assert wrong.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_filter_of_ones_own_is_used_as_it_is(lab, tmp_path):
    process = lab.record(tmp_path, "--filter", "udp src port 40000 and greater 250")
    lab.send(20)
    lab.emit(SIP_IN_TAGS)
    time.sleep(1)
    end(process)
    assert count_packets(*list_segments(tmp_path)) == sum(len(each) >= 250 for each in SIP_IN_TAGS)


@pytest.mark.parametrize("recorder", ["dumpcap", "tcpdump"])
def test_a_full_disk_is_told_and_recovered_from(lab, tmp_path, recorder):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", small], capture_output=True)
    need(mounted.returncode == 0, "the right to mount a small disk")
    try:
        process = lab.record(small, "--recorder", recorder)
        sender = lab.send(20_000, rate=1000, wait=False)
        _, wrong = process.communicate(timeout=60)
        sender.kill()
        sender.wait()
        assert process.returncode == 1
        assert wrong == f"sipscope: {small}: the disk is full; make room on it, then start again\n"
        subprocess.run(["mount", "-o", "remount,size=16m", small], check=True)
        process = lab.record(small, "--recorder", recorder)
        lab.send(50, first=50_000)
        time.sleep(1)
        end(process)
        found = numbers(small)
        assert found[:100] == list(range(100))
        assert found[-50:] == list(range(50_000, 50_050))
        assert found == sorted(set(found))
        assert list_partial(small) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_folder_that_is_read_only_is_told(lab, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", folder], capture_output=True)
    need(mounted.returncode == 0, "the right to mount a disk")
    try:
        process = lab.record(folder / "out")
        _, wrong = process.communicate(timeout=60)
        assert process.returncode == 1
        assert wrong == (
            f"sipscope: {folder / 'out'}: cannot be written, the disk is read-only; choose another folder\n"
        )
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_program_ends_when_its_guard_is_told(tmp_path):
    process = Process([program("sleep"), "60"])
    assert not process.ended()
    assert process.stop() == 128 + signal.SIGINT
    said = Process([sys.executable, "-c", "import sys; print('so', file=sys.stderr); sys.exit(3)"])
    assert said.wait_for("so", 30)
    assert not said.wait_for("never", 30)
    assert (said.stop(), said.said) == (3, "so\n")
    missing = Process([str(tmp_path / "missing")])
    assert missing.wait_for("No such file or directory", 30)
    assert missing.stop() == 127
