import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.exports.escape import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a b\u00a0c", "a b\u00a0c"),
        ("é 日本", "é 日本"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\r\nb", "a\\x0d\\x0ab"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u200bb", "a\\u200bb"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("\U000e0041", "\\U000e0041"),
        ("\udcff", "\\udcff"),
        ("already \\x1b", "already \\x1b"),
    ],
)
def test_what_is_not_seen_becomes_an_escape(text, shown):
    assert escape(text) == shown


def test_a_long_text_is_cut():
    assert escape("x" * 1_000_000, limit=10) == "xxxxxxxxx…"
    assert escape("\x1b" * 100, limit=10) == "\\x1b\\x1b\\…"
    assert escape("x" * 10, limit=10) == "x" * 10


@given(st.text())
def test_all_that_is_shown_can_be_seen(text):
    assert all(character.isprintable() or character.isspace() for character in escape(text))
    assert not set(escape(text)) & set("\n\r\t\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029")
