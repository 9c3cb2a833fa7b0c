import csv
import json
import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import messages
from reports.synthetic import HOSTILE, attacked, hostile

from analyzer.errors import SettingsError
from analyzer.exports import EXPORTS, parquet, write_table
from analyzer.tables import COLUMNS, LIST, NUMBER, TABLES, TIME, WORD

RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(params=sorted(TABLES))
def table(request):
    return TABLES[request.param]


def test_csv_keeps_columns_rows_and_values(tmp_path):
    frame = attacked().attacks
    write_table(frame, tmp_path / "a.csv")
    rows = read_csv(tmp_path / "a.csv")

    assert list(rows[0]) == list(TABLES["attacks"].columns)
    assert [row["source"] for row in rows] == ["10.77.0.2", "10.77.0.3", "10.77.0.9"]
    assert rows[0]["start"] == "2026-11-22T09:14:00.000000000Z"
    assert rows[0]["messages"] == "812"
    assert rows[0]["evidence"] == "1;2"
    assert float(rows[0]["confidence"]) == 1.0
    assert rows[1]["prefixes"] == "00;900;9011"
    assert rows[2]["tool"] == rows[2]["numbers"] == rows[2]["decisive"] == ""


def test_csv_of_a_message_is_one_line_and_times_keep_their_nanoseconds(tmp_path):
    write_table(messages(2, start="2024-01-01T00:00:00.123456789Z", user_agent='a\r\nb,"c"'), tmp_path / "m.csv")
    text = (tmp_path / "m.csv").read_text(encoding="utf-8")
    rows = read_csv(tmp_path / "m.csv")

    assert text.count("\n") == 3
    assert "\r" not in text
    assert rows[0]["time"] == "2024-01-01T00:00:00.123456789Z"
    assert rows[0]["user_agent"] == 'a\\x0d\\x0ab,"c"'
    assert rows[0]["authorized"] == "false"
    assert rows[0]["ttl"] == ""


def test_csv_tells_an_empty_text_from_a_missing_one(tmp_path):
    write_table(messages(2, user_agent=["", None]), tmp_path / "m.csv")
    frame = pd.read_csv(tmp_path / "m.csv", dtype=str, keep_default_na=False)
    lines = (tmp_path / "m.csv").read_text().splitlines()

    assert list(frame["user_agent"]) == ["", ""]
    assert '""' in lines[1]
    assert '""' not in lines[2]


def test_csv_of_hostile_text_has_no_formula_and_no_control_character(table, tmp_path):
    write_table(hostile(table.name), tmp_path / "h.csv")
    text = (tmp_path / "h.csv").read_text(encoding="utf-8")
    rows = read_csv(tmp_path / "h.csv")

    assert len(rows) == len(HOSTILE)
    assert all(character.isprintable() or character == "\n" for character in text)
    for row in rows:
        for name, cell in row.items():
            assert not cell.startswith(RUNS), name
            assert not any(item.startswith(RUNS) for item in cell.split(";")) or COLUMNS[name].dtype != LIST, name


def test_csv_leaves_numbers_numbers(tmp_path):
    write_table(messages(1, cseq=-5, ttl=64), tmp_path / "m.csv")
    (row,) = read_csv(tmp_path / "m.csv")

    assert row["cseq"] == "-5"
    assert row["ttl"] == "64"


def test_csv_of_more_rows_than_are_written_at_a_time(tmp_path):
    frame = messages(20_000, every="1ms")
    write_table(frame, tmp_path / "m.csv")
    back = pd.read_csv(tmp_path / "m.csv", low_memory=False)

    assert list(back["packet"]) == list(frame["packet"])
    assert list(back["call_id"]) == list(frame["call_id"])


def test_json_is_one_array_of_records(tmp_path):
    frame = attacked().attacks
    write_table(frame, tmp_path / "a.json")
    records = json.loads((tmp_path / "a.json").read_text())

    assert [record["source"] for record in records] == list(frame["source"])
    assert records[1]["prefixes"] == ["00", "900", "9011"]
    assert records[0]["start"] == "2026-11-22T09:14:00.000000000Z"
    assert records[2]["tool"] is None
    assert records[2]["decisive"] is None
    assert records[2]["numbers"] == []


def test_json_keeps_hostile_text_and_shows_none_of_it(table, tmp_path):
    frame = hostile(table.name)
    write_table(frame, tmp_path / "h.json")
    text = (tmp_path / "h.json").read_text()
    records = json.loads(text)

    assert all(character.isprintable() or character == "\n" for character in text)
    assert text.isascii()
    for name in frame:
        if COLUMNS[name].dtype == WORD:
            assert [record[name] for record in records] == HOSTILE, name


def test_json_of_more_rows_than_are_written_at_a_time(tmp_path):
    frame = messages(20_001, every="1ms")[["packet", "call_id"]]
    write_table(frame, tmp_path / "m.json")

    assert pd.DataFrame(json.loads((tmp_path / "m.json").read_text()))["packet"].tolist() == frame["packet"].tolist()


def test_parquet_gives_the_table_back(table, tmp_path):
    frame = getattr(attacked(), table.name)
    write_table(frame, tmp_path / "t.parquet")
    back = table.conform(pd.read_parquet(tmp_path / "t.parquet").map(_as_list))

    pd.testing.assert_frame_equal(back, frame, check_categorical=False)


def test_parquet_in_several_row_groups_gives_the_table_back(table, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS", 5)
    for made in (hostile(table.name), getattr(attacked(), table.name)):
        write_table(made, tmp_path / "t.parquet")
        back = table.conform(pd.read_parquet(tmp_path / "t.parquet").map(_as_list))

        pd.testing.assert_frame_equal(back, made, check_categorical=False)


def test_a_list_is_of_numbers_in_all_row_groups_though_some_hold_none(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS", 1)
    frame = pd.DataFrame({"evidence": [[], [1, 2], []], "keys": [["a"], [], []]})
    write_table(frame, tmp_path / "t.parquet")

    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet").map(_as_list), frame)


def test_text_in_several_pieces_is_written_as_one_column(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS", 4)
    pieces = pa.chunked_array([HOSTILE[:5], [], HOSTILE[5:]], pa.large_string())
    frame = pd.DataFrame({"uri": pd.array(pieces, dtype="str")})
    write_table(frame, tmp_path / "t.parquet")

    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), frame)


def test_a_row_group_has_the_words_of_its_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS", 50)
    agents = [None if row % 7 == 0 else f"Phone {row // 2}" for row in range(1000)]
    frame = messages(1000, every="1ms", user_agent=agents)
    write_table(frame, tmp_path / "t.parquet")
    back = pd.read_parquet(tmp_path / "t.parquet")["user_agent"]
    pd.testing.assert_series_equal(back.astype("str"), frame["user_agent"].astype("str"))
    groups = pq.ParquetFile(tmp_path / "t.parquet")
    words = [groups.read_row_group(group)["user_agent"].combine_chunks() for group in range(groups.num_row_groups)]
    assert len(words) == 20
    assert max(len(column.dictionary) for column in words) <= 26


def test_parquet_has_real_lists_and_times(tmp_path):
    write_table(attacked().attacks, tmp_path / "t.parquet")
    schema = pq.read_schema(tmp_path / "t.parquet")

    assert str(schema.field("start").type) == "timestamp[ns, tz=UTC]"
    assert str(schema.field("prefixes").type).startswith("list<")
    assert str(schema.field("evidence").type) in {"list<element: int64>", "list<item: int64>"}
    assert str(schema.field("source").type).startswith("dictionary<")


def test_parquet_keeps_hostile_text(table, tmp_path):
    frame = hostile(table.name)
    write_table(frame, tmp_path / "t.parquet")
    back = table.conform(pd.read_parquet(tmp_path / "t.parquet").map(_as_list))

    pd.testing.assert_frame_equal(back, frame, check_categorical=False)


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_a_table_without_rows_is_still_a_table(name, table, tmp_path):
    write_table(table.empty(), tmp_path / f"t.{name}")
    path = tmp_path / f"t.{name}"

    if name == "csv":
        assert path.read_text() == ",".join(table.columns) + "\n"
    elif name == "json":
        assert json.loads(path.read_text()) == []
    else:
        assert list(pd.read_parquet(path).columns) == list(table.columns)


def test_the_format_named_beats_the_suffix(tmp_path):
    write_table(messages(1), tmp_path / "m.txt", format="json")

    assert len(json.loads((tmp_path / "m.txt").read_text())) == 1


@pytest.mark.parametrize("path", ["m.xlsx", "m", "m.csv.gz"])
def test_an_unknown_suffix_is_an_error_that_lists_the_formats(path, tmp_path):
    with pytest.raises(SettingsError, match=r"\.csv, \.json, \.parquet"):
        write_table(messages(1), tmp_path / path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_format_is_an_error_that_lists_the_formats(tmp_path):
    with pytest.raises(SettingsError, match="csv, json, parquet"):
        write_table(messages(1), tmp_path / "m.csv", format="xml")


@pytest.mark.parametrize(("form", "begins"), [(None, "time,capture"), ("csv", "time,capture"), ("json", "[\n{")])
def test_a_dash_is_standard_output(form, begins, capsysbinary):
    write_table(messages(1), "-", format=form)

    assert capsysbinary.readouterr().out.decode().startswith(begins)


def test_parquet_does_not_go_to_standard_output():
    with pytest.raises(SettingsError, match="write it to a file"):
        write_table(messages(1), "-", format="parquet")


def test_a_folder_that_is_missing_is_one_sentence(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot write .*No such file or directory") as caught:
        write_table(messages(1), tmp_path / "missing" / "m.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="needs /dev/null")
def test_a_device_is_written_to_and_not_replaced(tmp_path):
    write_table(messages(1), "/dev/null", format="csv")

    assert not os.path.isfile("/dev/null")  # noqa: PTH113


def test_a_table_that_fails_half_way_leaves_what_was_there(tmp_path, monkeypatch):
    def fail(_frame, file):
        file.write(b"half")
        raise RuntimeError("no more")

    path = tmp_path / "m.csv"
    path.write_text("whole")
    monkeypatch.setitem(EXPORTS._entries, "csv", fail)
    with pytest.raises(RuntimeError, match="no more"):
        write_table(messages(1), path)

    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_table(messages(1), tmp_path / "link.csv")

    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").is_file()


def test_every_dtype_of_the_tables_is_exported():
    assert {TIME, WORD, NUMBER, LIST} <= {column.dtype for column in COLUMNS.values()}


def _as_list(value):
    return value.tolist() if hasattr(value, "tolist") and getattr(value, "ndim", 0) else value
