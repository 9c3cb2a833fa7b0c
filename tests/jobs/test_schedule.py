from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.jobs.schedule import MONDAY, Schedule, Steps
from tests.jobs.makers import Clock

TIMES = st.datetimes(datetime(1975, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
PERIODS = st.integers(1, 40 * 86400).map(lambda seconds: timedelta(seconds=seconds))


@given(TIMES, PERIODS, st.floats(0, 0.99))
def test_the_times_are_the_multiples_of_the_period(now, every, part):
    offset = timedelta(seconds=int(every.total_seconds() * part))
    schedule = Schedule(every, offset)
    assert schedule.last(now) <= now < schedule.next(now)
    assert (schedule.last(now) - MONDAY - offset) % every == timedelta(0)
    times = schedule.upcoming(now, 5)
    assert times[0] == schedule.next(now)
    assert {later - time for time, later in pairwise(times)} == {every}


@pytest.mark.parametrize(
    ("every", "said"),
    [("1:00:00", "21:00"), ("0:15:00", "20:30"), ("1 day", "00:00")],
)
def test_hours_and_days_begin_where_the_clock_has_them(every, said):
    import pandas as pd

    now = datetime(2026, 11, 22, 20, 21, 40, tzinfo=UTC)
    assert f"{Schedule(pd.Timedelta(every).to_pytimedelta()).next(now):%H:%M}" == said


def test_weeks_begin_on_monday():
    assert Schedule(timedelta(weeks=1)).next(datetime(2026, 11, 22, tzinfo=UTC)) == datetime(2026, 11, 23, tzinfo=UTC)


def steps():
    clock, passed = Clock(datetime(2026, 1, 1, tzinfo=UTC)), [0.0]
    return clock, passed, Steps(clock, lambda: passed[0])


def go_on(clock, passed, **period):
    clock.now += timedelta(**period)
    passed[0] += timedelta(**period).total_seconds()


def test_a_clock_that_goes_right_is_trusted():
    clock, passed, watch = steps()
    for _ in range(50):
        go_on(clock, passed, hours=7)
        assert watch.look() is None
        assert watch.trusted


def test_after_a_leap_nothing_is_old_for_a_day():
    clock, passed, watch = steps()
    clock.now += timedelta(days=365)
    assert watch.look() == timedelta(days=365)
    assert not watch.trusted
    go_on(clock, passed, hours=23)
    assert watch.look() is None
    assert not watch.trusted
    go_on(clock, passed, hours=2)
    assert watch.trusted


def test_a_step_back_makes_nothing_old():
    clock, _, watch = steps()
    clock.now -= timedelta(hours=3)
    assert watch.look() == timedelta(hours=-3)
    assert watch.trusted
