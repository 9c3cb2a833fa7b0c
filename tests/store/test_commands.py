"""The commands on a store, as people use them."""

import json
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner
from needs import CAPTURES
from store.kept import add

from analyzer import analyze
from analyzer.cli import cli
from analyzer.errors import AnalyzerError
from analyzer.reports.blocking import block_command
from analyzer.store import Store

FEW = [str(CAPTURES / name) for name in ("svmap-sweep.pcap", "tollfraud.pcap")]


def run(*arguments):
    done = CliRunner().invoke(cli, list(map(str, arguments)))
    if isinstance(done.exception, AnalyzerError):
        return f"sipscope: {done.exception}"
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept") / "store"
    said = run("store", *FEW, "-o", folder)
    assert said.startswith(f"2 captures added to {folder} (340 SIP messages, ")
    return folder


def test_what_is_there_is_said(store):
    assert run("store", *FEW, "-o", store) == f"nothing added to {store}; 2 captures were there already\n"
    assert run("store", FEW[0], "-o", store, "-q") == ""


def test_a_report_over_a_period(store, tmp_path):
    said = run("report", store, "--from", "2026-11-22T14:50", "--to", "2026-11-23", "-o", tmp_path / "report")

    assert " ".join(said.split()).startswith(
        "2026-11-22 14:50 to 2026-11-23 00:00 UTC: 1 capture, 776 packets, 194 SIP messages;"
    )
    assert "new in this period" in said
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert summary["period"] == {"since": "2026-11-22T14:50:00Z", "until": "2026-11-23T00:00:00Z"}
    assert [campaign["state"] for campaign in summary["campaigns"]] == ["new"]
    page = (tmp_path / "report" / "report.html").read_text()
    assert "2026-11-22 14:50 to 2026-11-23 00:00 UTC" in page
    assert "new in this period" in page


def test_a_report_over_all_of_it_says_no_more_than_one_over_captures(store, tmp_path):
    over_store = run("report", store, "-o", tmp_path / "report")
    over_captures = run("report", *FEW, "-o", tmp_path / "report")

    assert without_names(over_store) == without_names(over_captures)


def without_names(text):
    return text.partition("DO NOW")[0]


def test_an_empty_period_has_a_report(store, tmp_path):
    said = run("report", store, "--from", "2025-01-01", "--to", "2025-01-02", "-o", tmp_path / "report")

    assert "2025-01-01 00:00 to 2025-01-02 00:00 UTC: no captures" in said
    assert "Nothing is known of this period" in said
    assert (tmp_path / "report" / "report.html").stat().st_size > 1000
    assert json.loads((tmp_path / "report" / "summary.json").read_text())["counts"]["messages"] == 0


def test_an_age_counts_from_now(tmp_path):
    store = Store.create(tmp_path / "store")
    from factories import messages

    now = pd.Timestamp.now("UTC").floor("s")
    for number, hours in enumerate((1, 30)):
        add(store, number, messages(2, start=str(now - pd.Timedelta(hours=hours))))
    assert len(run("messages", store.folder, "--since", "24h").splitlines()) == 1 + 2
    assert len(run("messages", store.folder, "--since", "2d").splitlines()) == 1 + 4


@pytest.mark.parametrize(
    "table", ["messages", "attacks", "campaigns", "fates", "strays", "calls", "sources", "anomalies"]
)
def test_tables_of_a_period(store, table, tmp_path):
    run(table, store, "--from", "2026-11-22T14:50", "-o", tmp_path / "of-store.csv")
    run(table, FEW[1], "-o", tmp_path / "of-capture.csv")

    of_store, of_capture = (pd.read_csv(tmp_path / f"of-{name}.csv") for name in ("store", "capture"))
    unknown = ["state", "first_seen", "silence"]
    pd.testing.assert_frame_equal(
        of_store.drop(columns=unknown, errors="ignore"), of_capture.drop(columns=unknown, errors="ignore")
    )


def test_captures_that_reach_beyond_the_period_are_told(store, tmp_path):
    said = run("report", store, "--from", "2026-11-22T14:54:30", "-o", tmp_path / "report")

    assert "1 capture reaches beyond the period, with all packets" in " ".join(said.split())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--since", "7x"), "as in 7d"),
        (("--since", "soon"), "neither an age"),
        (("--from", "2026-13-01"), "nor a time"),
        (("--from", "2026-11-23", "--to", "2026-11-22"), "before it begins"),
        (("--since", "7d", "--from", "2026-11-23"), "name one of them"),
    ],
)
def test_what_is_wrong_with_a_period_is_said_in_a_sentence(store, arguments, complaint):
    assert complaint in run("campaigns", store, *arguments)


def test_a_damaged_file_is_a_warning(store, tmp_path):
    shutil.copytree(store, tmp_path / "store")
    victim = sorted((tmp_path / "store").glob("messages/*/*.parquet"))[0]
    victim.write_bytes(b"PAR1")
    said = run("report", tmp_path / "store", "-o", tmp_path / "report")

    assert "WARNING" in said
    assert "cannot be read" in said
    assert "2 captures" in said


def test_a_pipe_is_refused_in_a_sentence(tmp_path):
    assert "save it to a file" in run("store", "-", "-o", tmp_path / "store")


def test_the_advice_names_the_store_since_captures_may_be_gone(store):
    period = {"since": "2026-11-22T14:50", "until": "2026-11-23"}

    assert block_command(analyze(store)) == f"sipscope block {store} --format nftables"
    assert block_command(analyze(store, **period)) == (
        f"sipscope block {store} --from 2026-11-22T14:50:00 --to 2026-11-23T00:00:00 --format nftables"
    )
