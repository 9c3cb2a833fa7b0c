from datetime import timedelta

import pytest
from click.testing import CliRunner

from analyzer.cli import cli
from analyzer.errors import SettingsError
from analyzer.jobs.settings import EXAMPLE, Record, load_job, read_job

LEAST = '[spool]\nfolder = "in"\n[folders]\ntables = "t"\nreports = "r"\n'


def job(tmp_path, text):
    file = tmp_path / "office.toml"
    file.write_text(text)
    return file


def said(tmp_path, text):
    with pytest.raises(SettingsError) as error:
        load_job(job(tmp_path, text))
    return str(error.value)


def test_the_example_in_the_help_is_a_job(tmp_path):
    shown = CliRunner().invoke(cli, ["job", "--help"]).output
    _, _, example = shown.partition("A JOB.toml:\n")
    loaded = load_job(job(tmp_path, example))
    assert loaded == load_job(job(tmp_path, EXAMPLE))
    assert isinstance(loaded.source, Record)
    assert loaded.every == timedelta(hours=1)
    assert max(map(len, shown.splitlines())) <= 80


def test_the_example_is_one_that_check_accepts(tmp_path):
    text = EXAMPLE.replace("/var/lib/sipscope", str(tmp_path))
    result = CliRunner().invoke(cli, ["job", "check", str(job(tmp_path, text))])
    assert result.exit_code == 0, result.output
    assert result.output.count("UTC") == 5


def test_paths_are_relative_to_the_file(tmp_path):
    loaded = load_job(job(tmp_path, LEAST))
    assert (loaded.captures, loaded.tables, loaded.reports) == (tmp_path / "in", tmp_path / "t", tmp_path / "r")
    assert loaded.name == "office"


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    text = said(
        tmp_path, 'typo = 1\n[record]\ninterface = 7\n[report]\nevery = "soon"\n[[after_report]]\ncommand = "a b"'
    )
    for part in ("record.interface", "report.every", "typo", "folders.tables", 'write a list: ["a", "b"]'):
        assert part in text
    assert text.count("\n") == int(text.split(" problems")[0].rsplit(" ", 1)[-1])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "[spool]"),
        (LEAST + '[record]\ninterface = "x"\n', "not both"),
        (LEAST + '[report]\nevery = "0s"', "report.every"),
        (LEAST + '[report]\nevery = "2d"\ncovers = "1d"', "report.covers"),
        (LEAST + '[report]\nevery = "1h"\noffset = "1h"', "report.offset"),
        (LEAST + '[report]\ntables = ["xls"]', "csv, json, parquet"),
        (LEAST + "[report]\nshow_secrets = 1", "true or false"),
        (LEAST + '[keep]\nreports = { age = "-1d" }', "keep.reports.age"),
        (LEAST + '[keep]\nreports = "1d"', "a table is expected"),
        (LEAST + '[keep]\nthings = { age = "1d" }', "captures, reports, tables"),
        (LEAST + '[analysis]\nmemory = "1 MB"', "512 MiB"),
        (LEAST + '[disk]\ntrouble = "panic"', "wait, stop"),
        ("name = '../x'\n" + LEAST, "no name"),
        (LEAST + "[[on_break_in]]\ncommand = []", "on_break_in[1].command"),
        (LEAST + "[on_break_in]\ncommand = ['x']", "[[on_break_in]]"),
        (LEAST.replace('folder = "in"', "folder = 3"), "spool.folder"),
        (LEAST + "detectors = 3", "tables of thresholds"),
        ("[[[", "no TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(text, part, tmp_path):
    if text.endswith("detectors = 3"):
        text = "detectors = 3\n" + LEAST
    assert part in said(tmp_path, text)


def test_a_missing_file_is_a_sentence(tmp_path):
    assert "cannot be read" in str(read_job(tmp_path / "none.toml")[1][0])
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    assert "no TOML" in str(read_job(tmp_path / "binary.toml")[1][0])
