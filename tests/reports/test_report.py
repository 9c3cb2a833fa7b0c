import json
import os
import signal

import pandas as pd
import pytest
from reports.synthetic import analysis, attacked, capture, fate, hostile_analysis

from analyzer import reports
from analyzer.errors import SettingsError
from analyzer.reports import Writing, write_report
from analyzer.reports.answer import answer
from analyzer.reports.summary import SCHEMA, summarize
from analyzer.tables import TABLES
from analyzer.workers import Copy


def test_a_report_is_a_page_a_summary_and_every_table(tmp_path):
    written = write_report(attacked(), tmp_path / "new" / "report")

    assert list(written) == ["report.html", "summary.json", *(f"{name}.csv" for name in TABLES)]
    assert sorted(path.name for path in (tmp_path / "new" / "report").iterdir()) == sorted(written)
    assert all(path.stat().st_size for path in written.values())


def test_tables_come_in_the_formats_asked_for(tmp_path):
    written = write_report(attacked(), tmp_path, tables=["json", "parquet", "json"])

    assert {name.rpartition(".")[2] for name in written} == {"html", "json", "parquet"}
    assert len(pd.read_parquet(written["messages.parquet"])) == 9
    assert len(json.loads(written["messages.json"].read_text())) == 9


def test_an_earlier_report_is_replaced(tmp_path):
    write_report(attacked(), tmp_path)
    write_report(analysis(), tmp_path)

    assert json.loads((tmp_path / "summary.json").read_text())["counts"]["messages"] == 0
    assert not list(tmp_path.glob("*.part"))


def test_an_unknown_format_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(SettingsError, match="csv, json, parquet"):
        write_report(attacked(), tmp_path / "report", tables=["csv", "xlsx"])
    assert not (tmp_path / "report").exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot make the folder") as caught:
        write_report(attacked(), tmp_path / "file" / "report")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("show", [False, True])
def test_no_file_of_a_report_holds_a_password_unless_asked_for(show, tmp_path):
    for path in write_report(attacked(), tmp_path, tables=["csv", "json"], show_secrets=show).values():
        secret = "secret99" in path.read_text(encoding="utf-8")
        assert secret == (show and path.name.split(".")[0] in {"report", "summary", "messages", "attacks", "campaigns"})


def test_the_summary_has_its_documented_structure():
    summary = summarize(attacked())

    assert list(summary) == [
        "schema", "sipscope", "period", "settings", "answer", "captures", "counts", "fates", "anomalies", "breaches",
        "answered", "campaigns", "sources",
    ]  # fmt: skip
    assert summary["schema"] == SCHEMA
    assert summary["counts"] == {
        "captures": 1, "messages": 9, "sources": 7, "attacks": 3, "campaigns": 3, "anomalies": 1, "packets": 330,
    }  # fmt: skip
    assert summary["fates"] == {"message": {"": 14}, "set-aside": {"tcp": 312, "fragment": 4}, "unreadable": {}}
    assert summary["sources"] == {"attacking": 4, "suspicious": 1, "innocent": 2}
    assert summary["anomalies"] == {"bad-content-length": 1}


def test_the_summary_tells_breaches_and_calls():
    told = attacked()
    breach_packet, call_packet = told.messages.loc[told.messages["status"] == 200, "packet"]
    summary = summarize(told)

    assert summary["breaches"] == [
        {
            "account": "101", "source": "10.77.0.2", "campaign": "k7f2", "time": "2026-11-22T09:41:02.020000000Z",
            "guesses": 3, "password": "s••••••", "capture": "test.pcap", "packet": breach_packet,
        }
    ]  # fmt: skip
    assert summary["answered"] == [
        {
            "dialled": "900442037690880", "wanted": "442037690880", "source": "10.77.0.3", "campaign": "m3qd",
            "time": "2026-11-22T10:12:40.000000000Z", "talked": 41.0, "audio": None, "times": 1, "capture": "test.pcap",
            "packet": call_packet,
        }
    ]  # fmt: skip


def test_the_summary_has_the_words_of_the_answer_and_every_column_of_campaigns():
    told = attacked()
    summary = summarize(told)

    assert [line["text"] for line in summary["answer"]] == [line.text for line in answer(told).lines]
    assert [campaign["campaign"] for campaign in summary["campaigns"]] == ["k7f2", "m3qd", "p0aa"]
    assert list(summary["campaigns"][0]) == list(TABLES["campaigns"].columns)
    assert summary["campaigns"][1]["start"] == "2026-11-22T09:50:00.000000000Z"
    assert summary["campaigns"][2]["confidence"] is None


@pytest.mark.parametrize("told", [analysis, attacked, hostile_analysis], ids=["nothing", "attacked", "hostile"])
def test_the_summary_is_json_that_a_terminal_may_show(told, tmp_path):
    text = write_report(told(), tmp_path)["summary.json"].read_text()

    assert json.loads(text)["schema"] == SCHEMA
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "NaN" not in text


def test_the_fates_of_the_summary_add_up_to_its_packets():
    summary = summarize(analysis(captures=[capture()], fates=[fate("message", "sip", 4), fate("unreadable", "ip", 6)]))

    assert sum(sum(reasons.values()) for reasons in summary["fates"].values()) == summary["counts"]["packets"]


@pytest.fixture(params=["in a thread", "by a copy of the process"])
def beside(request, monkeypatch):
    """Write the first table in either way, whatever its size and this machine."""
    if request.param != "in a thread":
        if not Copy.is_possible():
            pytest.skip("processes are copied on Linux only")
        monkeypatch.setattr(reports, "APART", 1)
        monkeypatch.setattr(reports, "count_processors", lambda: 2)


@pytest.mark.usefixtures("beside")
def test_messages_may_be_written_before_the_rest(tmp_path):
    told = attacked()
    with Writing(tmp_path / "early") as writing:
        writing.begin(told.messages)
        written = writing.write(told)

    for name, path in write_report(told, tmp_path / "late").items():
        assert path.read_bytes() == written[name].read_bytes(), name


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("stop", [KeyboardInterrupt, SettingsError], ids=lambda stop: stop.__name__)
def test_a_report_that_is_stopped_leaves_nothing(stop, tmp_path):
    def analyse(folder):
        with Writing(folder) as writing:
            writing.begin(attacked().messages)
            raise stop("stopped")

    write_report(attacked(), tmp_path / "old")
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    for folder in (tmp_path / "old", tmp_path / "new"):
        with pytest.raises(stop):
            analyse(folder)
    assert not (tmp_path / "new").exists()
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before


@pytest.mark.usefixtures("beside")
def test_what_goes_wrong_beside_the_analysis_comes_out(tmp_path):
    (tmp_path / "messages.csv").mkdir()
    writing = Writing(tmp_path)
    writing.begin(attacked().messages)
    with pytest.raises(SettingsError, match=r"messages\.csv"), writing:
        writing.write(attacked())


def full(frame, file):
    raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("beside")
def test_a_full_disk_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(reports, "EXPORTS", {"csv": full})
    writing = Writing(tmp_path)
    writing.begin(attacked().messages)
    with pytest.raises(SettingsError, match=r"messages\.csv.*No space left"), writing:
        writing.write(attacked())
    assert not list(tmp_path.glob("*messages.csv*"))


@pytest.mark.usefixtures("beside")
def test_what_a_killed_copy_left_undone_is_done_here(monkeypatch, tmp_path):
    told = attacked()
    write, own = reports.EXPORTS["csv"], os.getpid()

    def die(frame, file):
        file.write(b"torn")
        if os.getpid() != own:
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        file.seek(0)
        write(frame, file)

    expected = write_report(told, tmp_path / "whole")["messages.csv"].read_bytes()
    monkeypatch.setattr(reports, "EXPORTS", {"csv": die})
    with Writing(tmp_path) as writing:
        writing.begin(told.messages)
        written = writing.write(told)
    assert written["messages.csv"].read_bytes() == expected
