import json
from datetime import UTC, datetime, timedelta

import pytest

from analyzer.jobs import shelf

TIME = datetime(2026, 11, 22, 9, tzinfo=UTC)


def put(folder, time, **summary):
    with shelf.writing(folder, time) as where:
        (where[0] / shelf.SUMMARY).write_text(json.dumps(summary))
    return where[0]


def test_a_report_is_whole_or_not_there(tmp_path):
    with pytest.raises(ValueError, match="in the midst"), shelf.writing(tmp_path, TIME) as where:  # noqa: PT012
        (where[0] / "half").touch()
        assert shelf.list_reports(tmp_path) == []
        raise ValueError("in the midst")
    assert list(tmp_path.iterdir()) == []
    assert put(tmp_path, TIME) == tmp_path / "20261122T090000Z"
    assert (tmp_path / shelf.LATEST / shelf.SUMMARY).exists()


def test_a_time_that_comes_again_overwrites_nothing(tmp_path):
    made = [put(tmp_path, TIME, number=number) for number in range(11)]
    assert shelf.list_reports(tmp_path) == made
    assert [shelf.summary(path)["number"] for path in made] == list(range(11))
    assert {shelf.when(path) for path in made} == {TIME}
    assert (tmp_path / shelf.LATEST).resolve() == made[-1]


def test_what_a_crash_left_is_removed_and_nothing_else(tmp_path):
    report = put(tmp_path, TIME)
    for name in (".20261122T100000Z.partial", ".20261122T080000Z-2.removed", ".mine", "notes", ".20261122T070000Z"):
        (tmp_path / name).mkdir()
    shelf.tidy(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        report.name, ".mine", "notes", ".20261122T070000Z", shelf.LATEST,
    }  # fmt: skip


def test_a_removed_report_is_gone(tmp_path):
    first, second = put(tmp_path, TIME), put(tmp_path, TIME + timedelta(hours=1))
    shelf.remove(first)
    assert shelf.list_reports(tmp_path) == [second]
    assert shelf.size(second) > 0


def test_break_ins_are_new_once(tmp_path):
    breach = {"account": "101", "source": "192.0.2.1", "time": "x"}
    first = put(tmp_path, TIME, breaches=[breach])
    second = put(tmp_path, TIME, breaches=[breach, {**breach, "account": "102"}])
    assert shelf.new_break_ins(first, None) == [breach]
    assert [found["account"] for found in shelf.new_break_ins(second, first)] == ["102"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"breaches": 3}', '{"breaches": [3]}'])
def test_a_summary_that_is_damaged_tells_nothing(text, tmp_path):
    (tmp_path / shelf.SUMMARY).write_text(text)
    assert shelf.break_ins(tmp_path) == []
