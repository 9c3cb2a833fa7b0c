"""Ten days of reports, by a clock that is set: one in eight hours, or hourly (SIPSCOPE_HOURS=1: takes minutes)."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from analyzer.jobs import shelf
from analyzer.jobs.run import Rounds
from analyzer.jobs.work import Done
from analyzer.reports import REPORTS
from analyzer.store import Store
from tests.jobs.makers import Clock, make_job, perform_here, write_calm, write_sweep

START = datetime(2026, 3, 1, tzinfo=UTC)
STEP = int(os.environ.get("SIPSCOPE_HOURS", "8"))
"""Hours from report to report: 1, 2 or 4."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEEP = """
[keep]
captures = { age = "2d" }
tables = { age = "6d" }
reports = { age = "3d" }
"""
BROKEN = range(40, 100)
"""The hours of which nothing can be analysed until the last of them is over."""
POISON = 16
"""The hour whose capture can never be analysed."""
SWEEPS = (4, 8, 12, 88, 92)
"""The hours in which a scanner is at work: three days of rest between."""


@pytest.fixture
def light(monkeypatch):
    """Reports without the page, whose charts would take most of the time."""
    monkeypatch.setattr(REPORTS, "_entries", {"summary.json": REPORTS["summary.json"]})


@pytest.mark.slow
def test_ten_days_of_reports(tmp_path, light):
    job = make_job(tmp_path, KEEP, every=f"{STEP}h", covers=f"{2 * STEP}h")
    clock = Clock(START)
    names, campaigns = {}, {}

    def perform(name, tasks):
        for task, done in zip(tasks, (_fail(name, task, hour) for task in tasks), strict=True):
            yield done or next(perform_here(name, [task]))

    rounds = Rounds(job, perform, clock, passed=lambda: (clock.now - START).total_seconds())  # noqa: PLW0108  now changes
    for hour in range(0, 240, STEP):
        clock.now = START + (hour + STEP) * HOUR + timedelta(seconds=5)
        began = START + hour * HOUR
        write = write_sweep if hour in SWEEPS else write_calm
        names[hour] = write(job.captures / f"{hour:04}.pcap", began + timedelta(minutes=30))
        rounds.beat(job.schedule.last(clock.now))
        _check_captures(job, names, hour)
        _check_reports(job, clock.now)
        campaigns |= _campaigns(job)
    _check_tables(job, clock.now)
    _check_campaigns(campaigns)


def _fail(name, task, hour):
    """Return a failure for what is to fail at that hour."""
    if name != "analyse":
        return None
    of = int(task[1].path.stem)
    fails = of == POISON or (of in BROKEN and of not in SWEEPS and hour <= BROKEN.stop)
    return Done(problem="as the test has it") if fails else None


def _check_captures(job, names, hour):
    """What is not analysed is there; of the rest, what is young is, and what is old is not."""
    there = {path.name for path in job.captures.iterdir()}
    for of, path in names.items():
        waits = of == POISON or (of in BROKEN and of not in SWEEPS and hour <= BROKEN.stop)
        if waits or hour - of < 48:
            assert path.name in there, f"at hour {hour}, the capture of hour {of} is gone"
        elif hour - of > 48 + STEP:
            assert path.name not in there, f"at hour {hour}, the capture of hour {of} is still there"


def _check_reports(job, now):
    times = [shelf.when(path) for path in shelf.list_reports(job.reports)]
    assert max(times) == job.schedule.last(now)
    assert min(times) >= now - timedelta(days=3, hours=STEP)
    assert len(times) == len(set(times)) == (max(times) - min(times)) // (STEP * HOUR) + 1


def _check_tables(job, now):
    ends = [datetime.fromisoformat(record.end) for record in Store.open(job.tables).captures()]
    assert min(ends) < now - timedelta(days=6) + DAY
    assert min(ends) >= now - timedelta(days=7)


def _campaigns(job):
    newest = shelf.list_reports(job.reports)[-1]
    said = json.loads((newest / shelf.SUMMARY).read_text())
    return {(campaign["campaign"], campaign["state"]): campaign for campaign in said["campaigns"]}


def _check_campaigns(campaigns):
    """The scanner that rested for three days has come back under its id."""
    states = {}
    for name, state in campaigns:
        states.setdefault(name, set()).add(state)
    returned = [name for name, seen in states.items() if "returned" in seen]
    assert returned
    assert all("new" in states[name] for name in returned)
    assert not [name for name, seen in states.items() if "new" not in seen]
