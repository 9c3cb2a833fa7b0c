import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from needs import program
from recording.wire import count_packets, numbers, sip_frame

from analyzer.pcapng import File, Lost, interface, packet, section, statistics
from analyzer.reading import read_captures
from analyzer.segments import (
    begin,
    cut_after,
    cut_overlap,
    finish,
    list_partial,
    list_segments,
    read_counters,
    recover,
    when,
)

NOON = datetime(2026, 11, 22, 9, 14, 0, 123456, UTC)
START = 1_700_000_000_000_000_000
HEAD = section() + interface(1, name="far", snap=262_144, filtered="port 5060")


def packets(first, stop, late=0, data=None):
    return b"".join(packet(START + 1000 * n + late, data or sip_frame(n), 500) for n in range(first, stop))


def write(folder, now=NOON, body=b""):
    claim = begin(folder, now)
    claim.path.write_bytes(body)
    claim.release()
    return claim.path


def test_a_segment_is_called_by_the_time_at_which_it_begins(tmp_path):
    path = write(tmp_path, body=HEAD)
    assert path.name == "20261122T091400.123456Z.pcapng.partial"
    assert list_segments(tmp_path) == []
    assert list_partial(tmp_path) == [path]
    whole = finish(path)
    assert whole.name == "20261122T091400.123456Z.pcapng"
    assert (list_segments(tmp_path), list_partial(tmp_path)) == ([whole], [])
    assert when(whole) == NOON


def test_a_clock_that_steps_back_overwrites_nothing(tmp_path):
    first = finish(write(tmp_path, body=HEAD + packets(0, 1)))
    second = write(tmp_path, body=HEAD + packets(1, 3))
    assert second.name == "20261122T091400.123456Z-2.pcapng.partial"
    second.with_name("20261122T091400.123456Z-2.pcapng").write_bytes(HEAD)
    third = finish(second)
    assert third.name == "20261122T091400.123456Z-3.pcapng"
    earlier = finish(write(tmp_path, NOON - timedelta(hours=1), HEAD))
    assert [path.name[9:] for path in list_segments(tmp_path)] == [
        "081400.123456Z.pcapng", "091400.123456Z.pcapng", "091400.123456Z-2.pcapng", "091400.123456Z-3.pcapng",
    ]  # fmt: skip
    assert [count_packets(path) for path in (first, third, earlier)] == [1, 2, 0]


def test_other_files_are_no_segments(tmp_path):
    for name in ("a.pcapng", "20261122T091400Z.pcapng", "report.html", "20261122T091400.123456Z.pcapng.tmp"):
        (tmp_path / name).touch()
    assert list_segments(tmp_path) == list_partial(tmp_path) == []


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_what_a_crash_left_is_kept_up_to_its_last_whole_packet(tmp_path, cut):
    write(tmp_path, body=(HEAD + packets(0, 10))[:-cut])
    (whole,) = recover(tmp_path)
    assert count_packets(whole) == 9
    assert list_partial(tmp_path) == []
    reading = read_captures([whole])
    assert (len(reading.messages), len(reading.anomalies)) == (9, 0)
    assert reading.captures["dropped"].isna().all()


@pytest.mark.parametrize(
    "body", [b"", HEAD[:20], HEAD, HEAD + packets(0, 1)[:50]], ids=["", "cut", "no packet", "half"]
)
def test_what_holds_no_packet_is_removed(tmp_path, body):
    write(tmp_path, body=body)
    assert recover(tmp_path) == list_partial(tmp_path) == list_segments(tmp_path) == []


@pytest.mark.parametrize("damage", [b"\xff" * 64, b"\0" * 64, packets(0, 1)[:-4] + b"\1\0\0\0"])
def test_damage_ends_a_segment(tmp_path, damage):
    write(tmp_path, body=HEAD + packets(0, 3) + damage + packets(3, 5))
    (whole,) = recover(tmp_path)
    assert count_packets(whole) == 3


def test_what_is_being_written_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("analyzer.segments._PATIENCE", 0.2)
    claim = begin(tmp_path, NOON)
    claim.path.write_bytes(HEAD + packets(0, 3))
    assert recover(tmp_path) == []
    assert claim.path.exists()
    claim.release()
    assert len(recover(tmp_path)) == 1


@pytest.mark.parametrize("shared", [1, 3, 20, 40])
@pytest.mark.parametrize("late", [-900, 0, 700, 300_000])
def test_what_two_recorders_saw_is_kept_once(tmp_path, shared, late):
    write(tmp_path, body=HEAD + packets(0, 50) + statistics(START, Lost(kernel=0)))
    write(tmp_path, NOON + timedelta(seconds=1), HEAD + packets(50 - shared, 80, late))
    assert [count_packets(path) for path in recover(tmp_path)] == [50 - shared, 30 + shared]


def test_packets_that_are_all_alike_are_told_apart_by_time(tmp_path):
    alike = sip_frame()
    write(tmp_path, body=HEAD + packets(0, 50, data=alike))
    write(tmp_path, NOON + timedelta(seconds=1), HEAD + packets(30, 80, 200, data=alike))
    assert [count_packets(path) for path in recover(tmp_path)] == [30, 50]


def test_what_the_later_recorder_lacks_stays(tmp_path):
    earlier = write(tmp_path, body=HEAD + packets(0, 50))
    later = write(tmp_path, NOON + timedelta(seconds=1), HEAD + packets(20, 25, 300) + packets(40, 60, 300))
    assert cut_overlap(earlier, later)
    assert [count_packets(path) for path in recover(tmp_path)] == [35, 25]
    found = numbers(tmp_path)
    assert (found[:35], found[35:]) == ([*range(20), *range(25, 40)], [*range(20, 25), *range(40, 60)])


def test_packets_without_a_match_are_all_kept(tmp_path):
    earlier = write(tmp_path, body=HEAD + packets(0, 50))
    later = write(tmp_path, NOON + timedelta(seconds=1), HEAD + packets(40, 60, data=b"other"))
    assert cut_overlap(earlier, later)
    assert count_packets(earlier) == 50
    assert not cut_overlap(later, write(tmp_path, NOON + timedelta(seconds=2), HEAD))


def test_a_clock_that_steps_back_loses_nothing(tmp_path):
    hour = 3600 * 10**9
    before = write(tmp_path, body=HEAD + packets(0, 50))
    after = write(tmp_path, NOON + timedelta(seconds=1), HEAD + packets(50, 60, -hour))
    assert cut_overlap(before, after)
    assert [count_packets(path) for path in recover(tmp_path)] == [50, 10]


def test_a_segment_is_cut_after_so_many_packets(tmp_path):
    path = write(tmp_path, body=HEAD + packets(0, 9))
    cut_after(path, 9)
    assert count_packets(path) == 9
    cut_after(path, 4)
    assert count_packets(path) == 4


def test_what_was_lost_is_the_last_block(tmp_path):
    lost = Lost(received=3, kernel=2, interface=5)
    path = finish(write(tmp_path, body=HEAD + packets(0, 3) + statistics(START, lost)))
    assert read_counters(path) == lost
    assert read_captures([path]).captures["dropped"].tolist() == [7]
    assert read_counters(finish(write(tmp_path, body=HEAD + packets(0, 3)))) == Lost()
    assert read_counters(finish(write(tmp_path, body=b""))) == Lost()


def test_wireshark_reads_what_is_written(tmp_path):
    path = tmp_path / "segment.pcapng"
    head = section(comment="recording gap: so it was") + interface(1, name="far", snap=262_144, filtered="port 5060")
    path.write_bytes(head + packets(0, 3) + statistics(START, Lost(received=3, kernel=2, interface=5)))
    told = subprocess.run([program("capinfos"), path], capture_output=True, text=True, check=True).stdout
    assert "Number of packets:   3" in told
    assert "recording gap: so it was" in told
    assert "ilter string = port 5060" in told
    assert "Time precision = nanoseconds (9)" in told
    with File(path) as file:
        assert file.ticks() == 1


def test_a_gap_is_an_anomaly_of_the_report(tmp_path):
    comment = "recording gap: nothing from 1 to 2, the interface far was down"
    body = section(comment=comment) + interface(1, name="far", snap=0, filtered="") + packets(0, 1)
    path = finish(write(tmp_path, body=body))
    (anomaly,) = read_captures([path]).anomalies.to_dict("records")
    assert anomaly["reason"] == "recording gap"
    assert anomaly["detail"] == "nothing from 1 to 2, the interface far was down"
    other = finish(write(tmp_path, body=section(comment="of mine") + HEAD[len(section()) :] + packets(0, 1)))
    assert read_captures([other]).anomalies.empty


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        begin(tmp_path / "missing", NOON)
    assert not list(tmp_path.iterdir())
