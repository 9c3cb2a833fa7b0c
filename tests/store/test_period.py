"""What people write for a period."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from analyzer.errors import SettingsError
from analyzer.store.period import Period, make_period, read_time

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "hours"), [("7d", 168), ("24h", 24), ("90m", 1.5), ("90 min", 1.5), ("2W", 336), (timedelta(hours=5), 5)]
)
def test_an_age_counts_back_from_now(age, hours):
    assert make_period(age, now=NOW) == Period(since=NOW - timedelta(hours=hours), until=NOW)


def test_an_age_counts_back_from_the_end():
    period = make_period("1d", "2026-11-20T12:00")

    assert period.since == datetime(2026, 11, 19, 12, tzinfo=UTC)
    assert period.until == datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_without_now_the_clock_counts():
    assert abs(make_period("1h").until - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T06:30", datetime(2026, 11, 22, 6, 30, tzinfo=UTC)),
        ("2026-11-22 06:30:05.25", datetime(2026, 11, 22, 6, 30, 5, 250_000, tzinfo=UTC)),
        ("2026-11-22T00:30+01:00", datetime(2026, 11, 21, 23, 30, tzinfo=UTC)),
        (datetime(2026, 11, 22, 6), datetime(2026, 11, 22, 6, tzinfo=UTC)),  # noqa: DTZ001  that is what is tested
        (datetime(2026, 11, 22, 6, tzinfo=timezone(timedelta(hours=-5))), datetime(2026, 11, 22, 11, tzinfo=UTC)),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text, time):
    assert read_time(text) == time
    assert read_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("since", "until", "complaint"),
    [
        ("7x", None, "7d"),
        ("yesterday", None, "neither an age"),
        ("", None, "neither an age"),
        ("0d", None, "empty"),
        (timedelta(seconds=-1), None, "empty"),
        ("999999w", None, "before any capture"),
        ("2026-11-23", "2026-11-22", "before it begins"),
        ("2026-11-22", "2026-11-22", "before it begins"),
        (None, "7d", "is no time"),
        (None, "1200-01-01", "out of reach"),
        ("0001-01-01T00:00+14:00", None, "out of reach"),
        ("9999-12-31", None, "out of reach"),
    ],
)
def test_what_is_no_period_is_said(since, until, complaint):
    with pytest.raises(SettingsError, match=complaint):
        make_period(since, until)


def test_the_days_of_a_period():
    assert make_period("2026-11-20T10:00", "2026-11-22").days == ("2026-11-20", "2026-11-21")
    assert make_period("2026-11-20T10:00", "2026-11-22T00:00:01").days == ("2026-11-20", "2026-11-22")
    assert make_period(None, None).days == ("0000", "9999")
    assert make_period().is_endless


def test_a_period_is_widened_as_far_as_times_go():
    wide = make_period("1678-01-01", "2262-01-01").widened(timedelta(days=1))

    assert wide == make_period("1678-01-01", "2262-01-01")
