"""What people write for a period, a size, a time or a count, and what they read for it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.commands.values import BAN, DURATION, MOMENT, SIZE
from analyzer.quantities import LONGEST, count, each, moment, period, say_period, say_size, size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90), ("15m", 900), ("90 min", 5400), ("1.5 h", 5400), ("7d", 604800), ("2W", 1209600),
        ("1w2d", 777600), (" 1h 30m ", 5400), ("1d1d", 172800), (30, 30), (2.5, 2.5),
    ],
)  # fmt: skip
def test_periods(written, seconds):
    assert period(written).total_seconds() == seconds


@pytest.mark.parametrize(
    "written",
    [
        "", "h", "1", "1 year", "5 minutes", "1h30", "1..5h", "-1s", "0s", "0.5s", "36501d", "9999999999999d",
        "999999999999999w", "1d " * 9999 + "x", True, None, "1e5s", -1, float("nan"), float("inf"), [],
    ],
)  # fmt: skip
def test_no_periods(written):
    with pytest.raises(ValueError, match=r"no period from 1s to 36500d; write 90s, 15m, 12h, 7d or 1w2d$"):
        period(written)


def test_a_number_alone_counts_what_is_said():
    assert period("90", unit="s") == period("1.5", unit="m") == timedelta(seconds=90)
    with pytest.raises(ValueError, match="no period"):
        period("1h30", unit="s")


def test_limits_are_named_as_periods_are_written():
    assert period("0s", least=timedelta(0)) == timedelta(0)
    with pytest.raises(ValueError, match="'3h' is no period from 90m to 2h; "):
        period("3h", least=timedelta(minutes=90), most=timedelta(hours=2))
    with pytest.raises(ValueError, match=r"'1s' is no period from 1\.5s to 12d; "):
        period("1s", least=timedelta(seconds=1.5), most=timedelta(days=12))


@given(st.integers(1, LONGEST // timedelta(seconds=1)))
def test_what_is_written_part_by_part_is_the_period(seconds):
    parts = f"{seconds // 86400}d {seconds % 86400 // 3600}h{seconds % 3600 // 60}min{seconds % 60}s"
    assert period(parts) == period(f"{seconds}s") == period(seconds) == timedelta(seconds=seconds)


@given(st.text() | st.from_regex(r"[0-9]{1,20}[.]?[0-9]*\s*[a-zA-Z]*", fullmatch=True))
def test_any_text_is_read_or_refused(text):
    for read in (period, size, moment):
        with suppress(ValueError, OverflowError):
            assert read(text)


@pytest.mark.parametrize(
    ("written", "bytes_"),
    [("20 GB", 20 * 10**9), ("1GiB", 1 << 30), ("100mb", 10**8), (5, 5), ("5", 5), ("7 B", 7), ("1.5 kB", 1500)],
)
def test_sizes(written, bytes_):
    assert size(written) == bytes_


@pytest.mark.parametrize("written", ["", "GB", "1 XB", "0", "0.5 B", "-1", -1, None, True, 1.5])
def test_no_sizes(written):
    with pytest.raises(ValueError, match=r"no size; write 500MB, 20GB or 1GiB$"):
        size(written)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T06:30Z", datetime(2026, 11, 22, 6, 30, tzinfo=UTC)),
        (" 2026-11-22 06:30+01:00", datetime(2026, 11, 22, 5, 30, tzinfo=UTC)),
        (datetime(2026, 11, 22, 6, tzinfo=timezone(timedelta(hours=-5))), datetime(2026, 11, 22, 11, tzinfo=UTC)),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(written, time):
    assert moment(written) == time
    assert moment(written).tzinfo is UTC


def test_no_times():
    with pytest.raises(ValueError, match="'soon' is no time; write 2026-11-22T14:40 or"):
        moment("soon")
    for year in ("0001-01-01T00:00+14:00", "1677-12-31", "2262-01-02", "9999-12-31T23:00-05:00"):
        with pytest.raises(OverflowError, match="out of reach; name one from 1679 to 2261"):
            moment(year)


def test_quantities_in_words():
    assert [say_period(timedelta(seconds=seconds)) for seconds in (0.5, 60, 90, 3600, 5400, 172800)] == [
        "0.5 seconds", "a minute", "90 seconds", "an hour", "90 minutes", "2 days",
    ]  # fmt: skip
    assert [say_size(number) for number in (7, 1500, 20 * 10**9, 1234 * 10**12)] == [
        "7 bytes", "1.5 KB", "20 GB", "1,234 TB",
    ]  # fmt: skip
    assert [each(timedelta(hours=hours)) for hours in (1, 2, 24)] == ["hour", "2 hours", "day"]
    assert [count(number, "capture") for number in (0, 1, 2000)] == ["0 captures", "1 capture", "2,000 captures"]
    assert [count(number, "branch", "branches") for number in (1, 2)] == ["1 branch", "2 branches"]


def test_options_take_them():
    assert DURATION.convert("90", None, None) == DURATION.convert("1.5m", None, None) == timedelta(seconds=90)
    assert BAN.convert("1w2d", None, None) == timedelta(days=9)
    assert SIZE.convert("1 GiB", None, None) == 1 << 30
    assert MOMENT.convert("2026-11-22", None, None) == datetime(2026, 11, 22, tzinfo=UTC)
    for kind, text in ((BAN, "366d"), (BAN, "7"), (DURATION, "3661d"), (SIZE, "0"), (MOMENT, "1500-01-01")):
        with pytest.raises(click.BadParameter):
            kind.convert(text, None, None)
