"""Smaller analyses of an analysis, and the answer in a notebook."""

import doctest
import importlib

import pandas as pd
import pytest
from needs import CAPTURES, ROOT

import analyzer
from analyzer.errors import SettingsError
from analyzer.tables import TABLES

MODULES = ("analyzer", "analyzer.analysis", "analyzer.grouping", "analyzer.reports.answer")
"""Those whose docstrings hold examples."""


@pytest.fixture(scope="module")
def whole():
    return analyzer.analyze(CAPTURES)


def tables(analysis):
    return {name: getattr(analysis, name) for name in TABLES}


def texts(table):
    """Return the rows as text: what is missing is equal too."""
    times = table.select_dtypes("datetimetz")
    return table.assign(**times.astype("int64")).astype("str").fillna("").itertuples(index=False, name=None)


def assert_chosen(smaller, whole):
    """Every row is one of the whole analysis, unchanged and in the same order."""
    for name, table in tables(smaller).items():
        assert table.dtypes.equals(getattr(whole, name).dtypes), name
        rows = iter(texts(getattr(whole, name)))
        assert all(row in rows for row in texts(table)), name


def test_a_campaign_is_its_attacks_sources_and_messages(whole):
    for row in whole.campaigns.itertuples():
        smaller = whole.campaign(row.campaign)
        assert smaller.campaigns["campaign"].tolist() == [row.campaign]
        assert set(smaller.attacks["campaign"]) == {row.campaign}
        assert sorted(smaller.sources["source"].astype("str")) == row.sources
        requests = smaller.messages[smaller.messages["status"].isna()]
        assert len(requests[requests["source"].isin(smaller.sources["source"])]) >= row.messages
        held = set(zip(smaller.messages["capture"], smaller.messages["packet"], strict=True))
        for attack in smaller.attacks.itertuples():
            assert {(attack.capture, packet) for packet in attack.evidence} <= held
        assert_chosen(smaller, whole)


def test_a_campaign_is_named_by_the_beginning_of_its_id(whole):
    name = whole.campaigns["campaign"].iloc[0]
    assert whole.campaign(name[:3]).campaigns["campaign"].tolist() == [name]
    with pytest.raises(SettingsError, match=f"no campaign begins with 'zzz'; there are {name}, .* and 3 more"):
        whole.campaign("zzz")
    with pytest.raises(SettingsError, match="no campaign begins with ''"):
        whole.campaign("")
    with pytest.raises(SettingsError, match="there is no campaign in this analysis"):
        whole.between("2030-01-01").campaign(name)


def test_a_source_is_what_it_sent_and_was_sent(whole):
    smaller = whole.source("203.0.113.77")
    ends = smaller.messages[["source", "destination"]].astype("str")
    assert (ends == "203.0.113.77").any(axis=1).all()
    assert smaller.messages["status"].notna().any()
    assert smaller.attacks["breached"].map(len).sum() == 1
    assert_chosen(smaller, whole)
    several = whole.source("203.0.113.77", "2001:0db8:0066::66")
    assert sorted(several.sources["source"]) == ["2001:db8:66::66", "203.0.113.77"]
    with pytest.raises(SettingsError, match="'nobody' is no address"):
        whole.source("nobody")
    with pytest.raises(SettingsError, match=r"192\.0\.2\.200 sent no request"):
        whole.source("192.0.2.200")


def test_a_period_is_cut_out_of_time(whole):
    start, end = whole.messages["time"].quantile(0.3), whole.messages["time"].quantile(0.6)
    smaller = whole.between(start, end)
    assert smaller.messages["time"].between(start, end, inclusive="left").all()
    rest = [whole.between(end=start), whole.between(end)]
    assert len(smaller.messages) + sum(len(part.messages) for part in rest) == len(whole.messages)
    assert (smaller.attacks["end"] >= start).all()
    assert (smaller.attacks["start"] < end).all()
    assert_chosen(smaller, whole)
    assert_chosen(whole.between(), whole)
    assert len(whole.between(start.tz_convert("Asia/Tokyo"), end).messages) == len(smaller.messages)
    with pytest.raises(SettingsError, match="start: 'soon' is no time"):
        whole.between("soon")


def test_a_report_is_written_of_a_part(whole, tmp_path):
    for number, part in enumerate((whole.campaign("4whv"), whole.source("203.0.113.77"), whole.between("2030-01-01"))):
        assert analyzer.write_report(part, tmp_path / str(number))["report.html"].read_text().count("<h1>") == 1


def test_a_notebook_shows_the_answer_and_no_password(whole):
    shown = whole._repr_html_()
    assert "BREACH" in shown
    assert "sunshine1" not in shown
    assert all(name[:4] in shown for name in whole.campaigns["campaign"])


def test_hostile_text_stays_text_in_a_notebook(whole):
    title = '<img src=x onerror="alert(1)">\x1b[31m\u202e'
    campaigns = whole.campaigns.assign(title=pd.Series([title] * len(whole.campaigns), dtype="str"))
    shown = analyzer.Analysis(**{**tables(whole), "campaigns": campaigns})._repr_html_()
    assert "<img" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted
    assert not results.failed
