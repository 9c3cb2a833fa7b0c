"""The store: what was added is read again, once, whole or not at all, and only as much as a period needs."""

import fcntl
import gzip
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from factories import answers, capture_of, messages
from needs import CAPTURES, ROOT, corpus
from store.kept import (
    FOUND,
    START,
    TABLES,
    add,
    alike,
    attacks_of,
    files_of,
    identity_of,
    reading_of,
)

from analyzer import analyze
from analyzer.analysis import examine
from analyzer.errors import CaptureError, SettingsError, StoreError
from analyzer.reading import read_captures
from analyzer.store import FORMAT, MARKER, Store, content_id, files, gathering, is_store, writing
from analyzer.store.period import make_period
from analyzer.storing import store_captures
from analyzer.tables import ANOMALIES, ATTACKS, STRAYS

SWEEP = CAPTURES / "svmap-sweep.pcap"


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "store")


# --- what was added is read again


def test_a_report_over_the_store_is_that_over_the_captures(tmp_path):
    stored = list(store_captures(CAPTURES, tmp_path / "store"))
    assert len(stored) > 3
    assert all(one.new for one in stored)

    kept, direct = analyze(tmp_path / "store"), analyze(CAPTURES)
    assert len(direct.campaigns) > 3
    for name in (*FOUND, "messages", "anomalies", "fates", "captures", "strays"):
        alike(getattr(kept, name), getattr(direct, name))


@pytest.mark.parametrize(
    "names",
    [
        ["initconf__sip-attacks"],
        ["sipcapture__heplify", "irontec__sngrep"],
        ["zeek__zeek", "OISF__suricata-verify"],
        ["seladb__PcapPlusPlus", "ntop__nDPI", "arkime__arkime"],
    ],
    ids=lambda names: names[0],
)
def test_so_it_is_over_real_captures(names, tmp_path):
    folders = [corpus(name) for name in names]
    list(store_captures(folders, tmp_path / "store"))
    # The same content counts once in a store, and as often as it is named where captures are read.
    once = {content_id(path): path for path in sorted(captures_in(folders), reverse=True)}
    kept = Store.open(tmp_path / "store").read()
    direct = read_captures(sorted(once.values()))

    for name in ("messages", "fates"):
        alike(getattr(kept, name), getattr(direct, name))
    alike(whole_micros(kept.captures), whole_micros(direct.captures))
    for name in ("strays", "flows", "anomalies"):
        alike(in_order(getattr(kept, name)), in_order(getattr(direct, name)))
    mine, theirs = examine(kept), examine(direct)
    for name in FOUND:
        alike(getattr(mine, name), getattr(theirs, name))


def captures_in(folders):
    from analyzer.capture import find_captures

    return find_captures(folders)


def whole_micros(frame):
    """Return a table with times as far as the store's tables, but for messages, keep them."""
    times = {name: frame[name].dt.floor("us") for name in frame if frame[name].dtype.kind == "M"}
    return frame.assign(**times)


def in_order(frame):
    words = {name: "str" for name in frame if frame[name].dtype == "category"}
    frame = whole_micros(frame).astype(words)
    return frame.sort_values(list(frame.columns), kind="stable", ignore_index=True)


def test_times_keep_their_nanoseconds_and_may_be_missing(store):
    table = messages(4, start=START)
    times = table["time"] + pd.to_timedelta([0, 1, 999, 123_456_789], unit="ns")
    times[3] = pd.NaT
    add(store, 1, table.assign(time=times))

    assert store.read().messages["time"].tolist()[:3] == times.tolist()[:3]
    assert store.read().messages["time"].isna().tolist() == [False, False, False, True]


def test_whatever_comes_over_the_wire_is_kept(store):
    odd = ["\ud800".encode("utf-8", "backslashreplace").decode(), "a\0b", "=1+1", "é\U0001f600", "\\x80 \n\t"]
    table = messages(5, start=START, uri=odd, from_user=odd, layout=odd, status=[None, 200, 699, None, 100])
    add(store, 1, table)

    kept = store.read().messages
    for name in ("uri", "from_user", "layout", "status", "call_id", "nonce"):
        alike(kept[[name]], table[[name]])
        assert kept[name].dtype == table[name].dtype or kept[name].dtype == "category"


def test_a_capture_without_messages_counts(store):
    add(store, 1, messages(0), anomalies=anomaly("1.pcap", packet=0))

    reading = store.read()
    assert reading.captures["capture"].tolist() == ["1.pcap"]
    assert len(reading.messages) == 0
    assert len(reading.anomalies) == 1
    assert analyze(store.folder).campaigns.empty


def anomaly(capture, time=None, packet=1):
    row = {"time": time, "capture": capture, "packet": packet, "reason": "cut short", "detail": "it is"}
    return ANOMALIES.conform(pd.DataFrame([row]))


def test_captures_of_one_name_are_told_apart(store):
    for number, start in ((1, "2026-11-22T09:00Z"), (2, "2026-11-23T09:00Z")):
        add(store, number, messages(3, start=start, capture="today.pcap"), "today.pcap")

    reading = store.read()
    names = {f"today.pcap ({identity_of(number)[:8]})" for number in (1, 2)}
    assert set(reading.captures["capture"]) == names
    assert Counter(reading.messages["capture"]) == dict.fromkeys(reading.captures["capture"], 3)
    assert set(reading.fates["capture"]) == set(reading.captures["capture"])
    assert store.read("2026-11-23").captures["capture"].tolist() == ["today.pcap"]


def test_messages_of_many_captures_are_in_the_order_of_time(store):
    for number in (2, 1, 3):
        add(store, number, messages(20, start=START, every=f"{number}s"))

    table = store.read().messages
    key = list(zip(table["time"], table["capture"].astype("str"), table["packet"], strict=True))
    assert key == sorted(key)


def test_an_answer_is_found_in_another_capture(store):
    asked = messages(1, start="2026-11-22T23:59:59Z", method="INVITE")
    told = answers(asked, 404, delay="3s")
    add(store, 1, asked)
    add(store, 2, told)

    assert store.read().messages["answer"].tolist()[0] == 404


# --- the same capture once


def test_the_same_capture_counts_once(tmp_path):
    other, packed = tmp_path / "other.pcap", tmp_path / "packed.pcap.gz"
    shutil.copy(SWEEP, other)
    packed.write_bytes(gzip.compress(SWEEP.read_bytes()))
    stored = list(store_captures([SWEEP, other, packed], tmp_path / "store"))

    assert [one.new for one in stored] == [True, False, False]
    assert len({one.id for one in stored}) == 1
    assert len(Store.open(tmp_path / "store").captures()) == 1


def test_the_id_is_the_sha_256_of_the_capture():
    import hashlib

    assert content_id(SWEEP) == hashlib.sha256(SWEEP.read_bytes()).hexdigest()


def test_a_capture_that_was_cut_short_is_another(tmp_path):
    (tmp_path / "cut.pcap").write_bytes(SWEEP.read_bytes()[:-100])

    assert content_id(tmp_path / "cut.pcap") != content_id(SWEEP)


def test_a_pipe_has_no_id(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CaptureError, match="save it to a file"):
        content_id(tmp_path / "fifo")


def test_adding_again_changes_nothing(store):
    assert add(store, 1)
    before = files_of(store)
    assert not add(store, 1)
    assert files_of(store) == before


# --- periods


def test_a_period_has_its_first_moment_and_not_its_last(store):
    add(store, 1, messages(4, start="2026-11-22T09:00Z", every="1h"))

    for since, until, hours in (
        ("2026-11-22T09:00", "2026-11-22T10:00", [9]),
        ("2026-11-22T10:00", "2026-11-22T12:00", [10, 11]),
        ("2026-11-22T09:00:00.000001", None, [10, 11, 12]),
        (None, "2026-11-22T10:00:00.000001", [9, 10]),
    ):
        assert store.read(since, until).messages["time"].dt.hour.tolist() == hours


def test_periods_side_by_side_have_every_message_once(store):
    rng = np.random.default_rng(1)
    for number in range(4):
        table = messages(200, start="2026-11-20T00:00Z")
        table["time"] += pd.to_timedelta(rng.integers(0, 3 * 86_400, 200), unit="s")
        add(store, number, table.sort_values("time", ignore_index=True))
    edges = [None, *pd.date_range("2026-11-20T05:00Z", periods=9, freq="7h").strftime("%Y-%m-%dT%H:%M"), None]

    parts = [store.read(since, until).messages for since, until in pairwise(edges)]
    assert sum(map(len, parts)) == 800
    alike(pd.concat(parts, ignore_index=True)[["time", "call_id"]], store.read().messages[["time", "call_id"]])


def test_an_answer_after_the_end_of_the_period_is_known(store):
    asked = messages(1, start="2026-11-22T23:59:59Z", method="INVITE")
    add(store, 1, capture_of(asked, answers(asked, 486, delay="90s")))

    reading = store.read("2026-11-22", "2026-11-23")
    assert len(reading.messages) == 1
    assert reading.messages["answer"].tolist() == [486]
    assert len(store.read("2026-11-23", "2026-11-24").messages) == 1


def test_a_day_is_one_of_utc(store):
    add(store, 1, messages(2, start="2026-11-22T23:30-05:00", every="20h"))

    assert {path.split("/")[1] for path in files_of(store) if path.startswith("messages")} == {
        "day=2026-11-23", "day=2026-11-24"
    }  # fmt: skip


def test_what_has_no_time_is_where_its_capture_began(store):
    table = messages(2, start="2026-11-22T09:00Z", every="1D")
    late = pd.concat([anomaly("1.pcap", packet=0), anomaly("1.pcap", pd.Timestamp("2026-11-23T09:00Z"))])
    add(store, 1, table, anomalies=ANOMALIES.conform(late))

    assert store.read("2026-11-22", "2026-11-23").anomalies["packet"].tolist() == [0]
    assert store.read("2026-11-23", "2026-11-24").anomalies["packet"].tolist() == [1]
    assert len(store.read("2026-11-24").anomalies) == 0


def test_captures_and_fates_count_where_they_overlap_with_the_period(store):
    add(store, 1, messages(2, start="2026-11-20T12:00Z", every="3D"))
    add(store, 2, messages(2, start="2026-11-22T12:00Z"))

    quiet = store.read("2026-11-21", "2026-11-22")
    assert quiet.captures["capture"].tolist() == ["1.pcap"]
    assert quiet.fates["packets"].sum() == quiet.captures["packets"].sum() == 2
    assert len(quiet.messages) == 0
    assert len(store.read("2026-11-22", "2026-11-23").captures) == 2


def test_strays_that_reach_into_the_period_count(store):
    row = dict.fromkeys(STRAYS.columns) | {
        "capture": "1.pcap", "source": "203.0.113.9", "destination": "192.0.2.1", "destination_port": 5060,
        "transport": "tcp", "kind": "syn", "packets": 9, "packet": 1, "opened": False,
        "start": pd.Timestamp("2026-11-20T12:00Z"), "end": pd.Timestamp("2026-11-22T12:00Z"),
    }  # fmt: skip
    strays = STRAYS.conform(pd.DataFrame([row]))
    add(store, 1, messages(2, start="2026-11-20T12:00Z", every="2D"), strays=strays)

    assert len(store.read("2026-11-22", "2026-11-23").strays) == 1
    assert len(store.read("2026-11-21", "2026-11-22").strays) == 1
    assert len(store.read("2026-11-22T13:00").strays) == 0


def test_an_empty_period_has_a_report(store):
    add(store, 1)

    analysis = analyze(store.folder, since="2026-01-01", until="2026-01-02")
    assert analysis.messages.empty
    assert analysis.captures.empty
    assert analysis.campaigns.empty


def test_a_period_reads_its_days_and_no_others(store, monkeypatch):
    for day, date in enumerate(pd.date_range("2026-01-01", "2026-12-31", freq="10D", tz="UTC")):
        add(store, day, messages(2, start=str(date + pd.Timedelta("9h"))))
    opened = []
    real = pq.ParquetFile

    def spy(path, **options):
        opened.append(Path(path))
        return real(path, **options)

    monkeypatch.setattr(gathering.pq, "ParquetFile", spy)
    reading = store.read("2026-12-14", "2026-12-21")

    assert len(reading.messages) == 2
    assert [path.parts[-3:-1] for path in opened] == [("messages", "day=2026-12-17")]


def test_only_the_row_groups_of_a_period_are_read(store, monkeypatch):
    monkeypatch.setattr(writing, "ROWS", 10)
    add(store, 1, messages(240, start="2026-11-22T00:00Z", every="6min"))
    rows = []
    real = gathering.read_columns

    def spy(*arguments):
        rows.append(len(found := real(*arguments)))
        return found

    monkeypatch.setattr(gathering, "read_columns", spy)
    assert len(store.read("2026-11-22T12:00", "2026-11-22T13:00").messages) == 10
    assert rows == [11]  # and the one at the edge, of which an answer may be in the period


def test_columns_that_are_made_anew_are_not_read(store, monkeypatch):
    columns = []
    real = gathering.read_columns

    def spy(path, table, names, *period):
        columns.append(names)
        return real(path, table, names, *period)

    monkeypatch.setattr(gathering, "read_columns", spy)
    add(store, 1)
    store.read()

    assert "answer" not in columns[0]
    assert "tool" not in columns[0]
    assert "call_id" in columns[0]


def test_a_column_that_an_older_file_lacks_is_missing(store):
    add(store, 1)
    (path,) = store.folder.glob("messages/*/*.parquet")
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["subject", "ttl", "nanosecond"]), path)

    table = store.read().messages
    assert len(table) == 3
    assert table["subject"].isna().all()
    assert table["ttl"].isna().all()


# --- whole or not at all


def test_files_are_for_their_owner_alone(store):
    add(store, 1)

    for path in [store.folder, *store.folder.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("failing", ["write_unfinished", "save"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError(), KeyboardInterrupt()])
def test_an_error_leaves_nothing_behind(store, monkeypatch, failing, error):
    add(store, 1)
    before = files_of(store)
    real, calls = getattr(writing, failing), []

    def fail(*arguments, **options):
        calls.append(arguments)
        if len(calls) > 1 or failing == "save":
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(writing, failing, fail)
    expected = StoreError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected, match="disk is full" if isinstance(error, OSError) else None):
        add(store, 2)
    monkeypatch.undo()
    store.repair()
    assert [path for path in files_of(store) if not path.startswith("adding")] == before
    assert add(store, 2)


ADD = """
import os, signal, sys
sys.path[:0] = {paths!r}
from store.kept import add
from analyzer.store import Store, writing, files
from pathlib import Path
left = int(sys.argv[2])
def killed(real):
    def step(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return step
writing.write_unfinished, writing.save = killed(writing.write_unfinished), killed(writing.save)
Path.replace = killed(Path.replace)
os.fsync = killed(lambda number: None)
add(Store.open(sys.argv[1]), 2)
"""


def test_killed_at_any_step_it_is_added_again(store):
    code = ADD.format(paths=[str(ROOT), str(ROOT / "tests")])
    add(store, 1)
    alone = store.read()
    steps = 0
    while True:
        done = subprocess.run([sys.executable, "-c", code, store.folder, str(steps)], cwd=ROOT, timeout=100)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        for name in TABLES:
            if not store.holds(identity_of(2)):
                alike(getattr(store.read(), name), getattr(alone, name))
        store.repair()
        if not store.holds(identity_of(2)):
            assert not [path for path in files_of(store) if identity_of(2) in path]
        steps += 4  # each run starts Python
    assert steps > 8
    assert store.holds(identity_of(2))
    assert len(store.read().messages) == 6
    assert not list((store.folder / "adding").iterdir())


def test_files_are_on_the_disk_before_they_have_their_names_and_a_record(store, synchronised, monkeypatch):
    del synchronised[:]
    real = Path.replace

    def note(path, target):
        synchronised.append(target)
        return real(path, target)

    monkeypatch.setattr(Path, "replace", note)
    add(store, 1)
    steps = [str(step) for step in synchronised]
    for name in [path for path in files_of(store) if identity_of(1) in path]:
        place = str(store.folder / name)
        (own,) = [
            step for step in steps if Path(place).name in step and step.endswith(".part") and place in unhidden(step)
        ]
        assert steps.index(own) < steps.index(place)
        assert steps.index(place) < last(steps, str(Path(place).parent))
    record = next(step for step in steps if "/records/" in step and not step.endswith(".part"))
    tables = [steps.index(step) for step in steps if step.endswith(".parquet")]
    assert max(tables) < steps.index(record)
    intent = next(step for step in steps if "/adding/" in step)
    assert steps.index(intent) < min(tables)


def unhidden(step):
    return step.replace("/.", "/")


def last(steps, step):
    return len(steps) - 1 - steps[::-1].index(step)


def test_unfinished_files_are_no_parquet_to_anybody(store):
    add(store, 1)
    (path,) = store.folder.glob("messages/*/*.parquet")
    written = files.write_unfinished(path.with_name("b.parquet"), lambda file: file.write(b"half"))

    assert written.name.startswith(".")
    assert not written.name.endswith(".parquet")
    assert pd.read_parquet(store.folder / "messages").shape[0] == 3


def test_what_has_no_record_does_not_count(store):
    add(store, 1)
    add(store, 2)
    next(store.folder.glob(f"records/*{identity_of(2)}*")).unlink()

    assert len(store.read().messages) == 3
    assert add(store, 2)
    assert len(store.read().messages) == 6


SEVERAL = """
import sys
sys.path[:0] = {paths!r}
from store.kept import add
from analyzer.store import Store
store = Store.create(sys.argv[1])
print(sum(add(store, number) for number in range(int(sys.argv[2]), int(sys.argv[3]))))
"""


def test_processes_may_add_at_once(tmp_path):
    code = SEVERAL.format(paths=[str(ROOT), str(ROOT / "tests")])
    crews = [(0, 12), (4, 16), (0, 16)]
    crew = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "store", str(first), str(last)], stdout=subprocess.PIPE, cwd=ROOT
        )
        for first, last in crews
    ]
    added = sum(int(process.communicate(timeout=300)[0]) for process in crew)

    assert added == 16
    assert len(Store.open(tmp_path / "store").read().messages) == 48
    assert not list((tmp_path / "store" / "adding").iterdir())


def test_what_is_being_added_by_another_is_left_alone(store):
    add(store, 1)
    path = store.folder / "adding" / f"{identity_of(9)}.json"
    victim = next(store.folder.glob("messages/*/*.parquet"))
    path.write_text(json.dumps([str(victim.relative_to(store.folder))]))
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        store.repair()
        assert victim.exists()
    store.repair()
    assert not victim.exists()
    assert not path.exists()


# --- what is wrong is said


def test_a_folder_that_is_no_store(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("buy milk")

    for make, complaint in ((Store.open, "is no store"), (Store.create, "holds other files")):
        with pytest.raises(StoreError, match=complaint):
            make(tmp_path / "notes")
    with pytest.raises(StoreError, match="does not exist; make it"):
        Store.open(tmp_path / "nowhere")
    assert not is_store(tmp_path / "notes")
    assert not is_store("a\0b")


def test_a_file_where_a_store_should_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        Store.create(tmp_path / "file")
    with pytest.raises(StoreError):
        Store.create(tmp_path / "file" / "store")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f'{{"format": {FORMAT + 1}}}', "newer sipscope .*update"),
        ('{"format": 0}', "not read any more"),
        ('{"format": "x"}', "not read any more"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ("", "damaged"),
    ],
)
def test_another_format(store, text, complaint):
    (store.folder / MARKER).write_text(text)
    for use in (Store.open, Store.create, analyze):
        with pytest.raises(StoreError, match=complaint):
            use(store.folder)


def test_a_file_of_a_newer_format(store):
    add(store, 1)
    (path,) = store.folder.glob("messages/*/*.parquet")
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.replace_schema_metadata({writing.FORMAT_KEY: str(FORMAT + 1).encode()}), path)
    with pytest.raises(StoreError, match="newer sipscope"):
        store.read()


def test_every_file_says_its_format(store):
    add(store, 1, attacks=attacks_of({"attack": "a", "start": pd.Timestamp(START)}))
    paths = list(store.folder.glob("*/day=*/*.parquet"))

    assert {path.parts[-3] for path in paths} == {"messages", "attacks", "fates", "captures"}
    assert {pq.read_metadata(path).metadata[writing.FORMAT_KEY] for path in paths} == {str(FORMAT).encode()}


def ruin(path, how):
    whole = path.read_bytes()
    match how:
        case "gone":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "zeros":
            path.write_bytes(bytes(len(whole)))
        case "flipped":
            middle = len(whole) // 3
            path.write_bytes(
                whole[:middle] + bytes(byte ^ 0xFF for byte in whole[middle : middle + 60]) + whole[middle + 60 :]
            )


@pytest.mark.parametrize("how", ["gone", "empty", "cut", "zeros", "flipped"])
@pytest.mark.parametrize("table", ["messages", "anomalies"])
def test_a_damaged_file_is_told_and_nothing_else_is_lost(store, how, table):
    for number in (1, 2):
        made = messages(500, start=START)
        add(store, number, made, anomalies=anomaly(f"{number}.pcap", pd.Timestamp(START)))
    victim = next(store.folder.glob(f"{table}/*/{identity_of(1)}.parquet"))
    ruin(victim, how)

    reading = store.read()
    assert len(reading.captures) == 2
    told = reading.anomalies[reading.anomalies["reason"] == "damaged"]
    assert told["capture"].tolist() == ["1.pcap"]
    assert "add 1.pcap again" in told["detail"].iloc[0]
    assert len(reading.messages) == (500 if table == "messages" else 1000)
    examine(reading)


@pytest.mark.parametrize("how", ["gone", "empty", "cut"])
def test_a_damaged_capture_can_be_added_again(store, how):
    for number in (1, 2):
        add(store, number)
    ruin(next(store.folder.glob(f"messages/*/{identity_of(1)}.parquet")), how)

    assert not store.holds(identity_of(1))
    assert add(store, 1)
    assert store.holds(identity_of(1))
    assert len(store.read().messages) == 6
    assert len(store.captures()) == 2


def test_a_damaged_record_is_said(store):
    add(store, 1)
    (path,) = store.folder.glob("records/*")
    path.write_text("{")
    with pytest.raises(StoreError, match="remove it and add its capture again"):
        store.read()
    assert not store.holds(identity_of(1))
    assert add(store, 1)
    assert len(store.read().messages) == 3


def test_foreign_files_among_the_records_are_passed_over(store):
    add(store, 1)
    for name in ("README.txt", ".x.json", "a_b_c.json"):
        (store.folder / "records" / name).write_text("?")

    assert len(store.captures()) == 1


def test_a_damaged_past_is_passed_over(store):
    for number in (1, 2):
        row = {"attack": "a", "campaign": f"c{number}", "source": "192.0.2.1", "start": pd.Timestamp(START), "keys": []}
        add(store, number, attacks=attacks_of(row))
    ruin(next(store.folder.glob(f"attacks/*/{identity_of(1)}.parquet")), "cut")

    assert store.past("2026-12-01")["campaign"].tolist() == ["c2"]


def test_a_broken_clock_is_refused(store):
    table = messages(writing.MOST_DAYS + 1, start="1999-01-01T00:00Z", every="1D")
    with pytest.raises(StoreError, match=r"1,001 days.*split it"):
        add(store, 1, table)
    assert not files_of(store)[1:]


def test_a_folder_without_rights(store, monkeypatch):
    add(store, 1)
    folders = [path for path in (store.folder, *store.folder.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o500)
    if os.geteuid() == 0:  # root may write anywhere: what the system would say to others is said to it
        monkeypatch.setattr(writing, "write_intent", denied)
    assert len(store.read().messages) == 3
    with pytest.raises(StoreError, match="permission denied"):
        add(store, 2)
    for path in folders:
        path.chmod(0o700)


def denied(folder, *_arguments, **_options):
    raise PermissionError(13, "Permission denied", str(folder))


def test_a_read_only_file_system_is_said(store, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(30, "Read-only file system", str(store.folder / "adding"))

    monkeypatch.setattr(writing, "write_intent", refuse)
    with pytest.raises(StoreError, match="read-only; name a folder that can be written"):
        add(store, 1)


@pytest.mark.parametrize(("since", "until"), [("1d", None), (None, "2026-11-22")])
def test_a_period_needs_a_store(since, until):
    with pytest.raises(StoreError, match="is no store; make one of captures"):
        analyze(SWEEP, since=since, until=until)


def test_a_store_is_named_alone(store):
    with pytest.raises(SettingsError, match="name it alone"):
        analyze([store.folder, SWEEP])


def test_one_capture_at_a_time(store):
    reading = read_captures([SWEEP, CAPTURES / "tollfraud.pcap"])
    with pytest.raises(ValueError, match="a capture at a time"):
        store.add(identity_of(1), reading, ATTACKS.empty())


# --- what is too old


def test_old_captures_are_pruned_day_by_day(store):
    for day in range(20, 25):
        add(store, day, messages(2, start=f"2026-11-{day}T22:00Z", every="3h"))  # each reaches into the next day
    removed = store.prune("2026-11-23T15:00")

    assert [record.capture for record in removed] == ["20.pcap", "21.pcap"]
    assert [record.capture for record in store.captures()] == ["22.pcap", "23.pcap", "24.pcap"]
    assert len(store.read().messages) == 6
    assert not [path for path in files_of(store) if identity_of(20) in path]
    assert not (store.folder / "messages" / "day=2026-11-20").exists()
    assert store.prune("2026-11-23") == []


def test_pruning_that_was_killed_goes_on(store):
    add(store, 1)
    (entry,) = store._entries()

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "remove_files", stop)
        with pytest.raises(KeyboardInterrupt):
            store.prune("2027-01-01")
    assert not entry.path.exists()
    store.repair()
    assert not list(store.folder.glob("messages/*/*"))


def test_what_is_pruned_while_it_is_read_is_left_out(store, monkeypatch):
    for number in (1, 2):
        add(store, number)
    entries = store._entries()
    store.prune("2027-01-01")
    add(store, 2)

    assert len(gathering.gather(store.folder, entries, make_period(), (), None, None).messages) == 3


# --- reading on


def test_progress_is_told(store):
    for number in (1, 2):
        add(store, number)
    heard = []
    store.read(progress=heard.append)

    assert [progress.captures_done for progress in heard] == [1, 2]
    assert heard[-1].all_bytes_read == heard[-1].all_bytes_total > 0
    assert heard[-1].messages == 6


def test_reading_is_quick_where_nothing_is(store):
    start = time.process_time()
    assert len(store.read("2020-01-01", "2020-01-02").messages) == 0
    assert time.process_time() - start < 5


def test_reading_of_makes_what_reading_does():
    reading, made = read_captures(SWEEP), reading_of()
    for name in TABLES:
        assert list(getattr(made, name).columns) == list(getattr(reading, name).columns)


def test_a_reading_says_what_it_is_of(store):
    add(store, 1)

    assert store.read().store == str(store.folder)
    assert store.read().period is None
    assert store.read("2026-11-22").period == make_period("2026-11-22")
    assert examine(store.read("2026-11-22")).period == make_period("2026-11-22")


def test_a_record_that_may_not_be_on_the_disk_does_not_stay(store, monkeypatch):
    real = writing.save

    def fail(*arguments):
        real(*arguments)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(writing, "save", fail)
    with pytest.raises(StoreError, match="check the disk"):
        add(store, 1)
    monkeypatch.undo()
    assert not store.captures()
    assert len(store.read().messages) == 0
