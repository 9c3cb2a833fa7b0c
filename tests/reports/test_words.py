import pandas as pd
import pytest

from analyzer.reports import words
from analyzer.reports.phone import describe_number, wanted_number


def time(text):
    return pd.Timestamp(text, tz="UTC")


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "no sources"), (1, "1 source"), (2, "2 sources"), (1234, "1,234 sources")]
)
def test_counts_are_words(number, shown):
    assert words.count(number, "source") == shown


def test_a_list_says_how_much_it_leaves_out():
    assert words.listed("abc", 3) == "a, b, c"
    assert words.listed("abcde", 3) == "a, b, c and 2 more"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "0 s"), (41, "41 s"), (59.9, "1 min 0 s"), (200, "3 min 20 s"), (3720, "1 h 2 min")]
)
def test_durations_are_words(seconds, shown):
    assert words.lasted(seconds) == shown


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [
        ("2026-11-22 09:14", "2026-11-22 11:02", "2026-11-22 09:14 to 11:02 UTC"),
        ("2026-11-22 09:14", "2026-11-23 11:02", "2026-11-22 09:14 to 2026-11-23 11:02 UTC"),
        ("2026-11-22 09:14:01", "2026-11-22 09:14:58", "2026-11-22 09:14:01 to 09:14:58 UTC"),
        ("2026-11-22 09:14:01.1", "2026-11-22 09:14:01.9", "2026-11-22 09:14:01 UTC"),
    ],
)
def test_a_span_says_each_date_once(first, last, shown):
    assert words.span(time(first), time(last)) == shown


def test_an_account_of_digits_is_an_extension():
    assert words.account("101") == "extension 101"
    assert words.account("alice\x1b") == "account alice\\x1b"
    assert words.account("١٠١") == "account ١٠١"


def test_a_clock_shows_seconds_when_little_time_passed():
    clock = words.Clock([time("2026-11-22 09:14:00"), time("2026-11-22 09:20:00")])

    assert clock.between(time("2026-11-22 09:14:01"), time("2026-11-22 09:15:02")) == "09:14:01-09:15:02"


def test_a_clock_shows_the_date_when_days_passed():
    clock = words.Clock([time("2026-11-22 09:14"), time("2026-11-24 09:14")])

    assert clock.at(time("2026-11-23 01:02:03")) == "2026-11-23 01:02:03"
    assert clock.between(time("2026-11-22 09:14"), time("2026-11-22 10:00")) == "2026-11-22 09:14-10:00"
    assert clock.between(time("2026-11-22 09:14"), time("2026-11-23 10:00")) == "2026-11-22 09:14 to 2026-11-23 10:00"
    assert clock.between(time("2026-11-22 09:14"), time("2026-11-22 09:14")) == "2026-11-22 09:14"
    assert clock.between(pd.NaT, time("2026-11-22 09:14")) == ""


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("442037690880", "+44 20 3769 0880 (United Kingdom)"),
        ("+442037690880", "+44 20 3769 0880 (United Kingdom)"),
        ("972599501806", "+972 59-950-1806 (Israel)"),
        ("100", "100"),
        ("999999999999", "999999999999"),
        ("\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668"),
        ("sales\x07", "sales\\x07"),
        ("", ""),
    ],
)
def test_numbers_are_shown_as_people_write_them(number, shown):
    assert str(describe_number(number)) == shown


def test_the_longest_number_that_fits_was_wanted():
    assert wanted_number("900442037690880", ["37690880", "442037690880", "1"]) == "442037690880"
    assert wanted_number("9-00-44-2037690880", ["442037690880"]) == "442037690880"
    assert wanted_number("100", ["200", ""]) is None
