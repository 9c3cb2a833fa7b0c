import pandas as pd
from reports.synthetic import attacked, guesses

from analyzer.exports.secrets import MASK, mask, mask_pair, mask_secrets


def test_at_most_the_first_character_shows_and_never_the_length():
    assert mask("secret99") == f"s{MASK}"
    assert mask("abc") == MASK
    assert mask("") == MASK
    assert len(mask("a" * 5)) == len(mask("a" * 50))


def test_the_account_of_a_pair_stays():
    assert mask_pair("101:se:cret") == f"101:s{MASK}"


def test_no_password_is_left_in_any_table():
    analysis = attacked()
    for name in ("messages", "attacks", "campaigns", "sources", "captures"):
        assert "secret99" not in mask_secrets(getattr(analysis, name)).to_csv()


def test_the_table_that_was_given_is_as_it_was():
    frame = guesses()
    masked = mask_secrets(frame)

    assert "secret99" in set(frame["tag_password"].dropna())
    assert masked["tag_password"].dtype == frame["tag_password"].dtype
    assert masked["tag_password"].isna().tolist() == frame["tag_password"].isna().tolist()


def test_a_column_is_masked_as_each_of_its_words_is():
    words = pd.Series(["secret99", "abc", "", None, "日本語日本語", "abcd", "\x00\x01\x02\x03"], dtype="str")
    masked = mask_secrets(pd.DataFrame({"tag_password": words}))["tag_password"]

    pd.testing.assert_series_equal(masked, words.map(mask, na_action="ignore").rename("tag_password").astype("str"))
