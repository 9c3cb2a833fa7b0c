"""From tags that decode, and those that must not."""

import random

import pandas as pd
import pyarrow as pa
import pytest
from factories import messages
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer.tools.sipvicious import MIN_DIGITS, decode_tags, read_tags

RANDOM = st.integers(0, 2**32 - 1)
DATA = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


def tag(data, number=2901453968):
    """Return the tag that SIPVicious makes: hex of data, 0x01 and a random number."""
    return f"{data}\x01{number}".encode().hex()


def say(*tags, from_user="200", to_user="200", destination="198.51.100.1"):
    """Return what tags say, as [target, account, password] by position."""
    words = {"from_user": from_user, "to_user": to_user, "destination": destination}
    columns = {name: pd.Series([word] * len(tags), dtype="str").astype("category") for name, word in words.items()}
    table = read_tags(pd.DataFrame({"from_tag": pd.Series(tags, dtype="str"), **columns})).astype("object")
    rows = table.where(table.notna(), None).itertuples(name=None)
    return {position: said for position, *said in rows}


def naive(text):
    """Return data and digits of a tag, slowly and obviously; None if it has not the form."""
    try:
        data, number = bytes.fromhex(text).decode().rsplit("\x01", 1)
    except ValueError:
        return None
    canonical = number.isascii() and number.isdecimal() and str(int(number)) == number and int(number) < 2**32
    if not canonical or not data or not data.isprintable() or text != text.lower() or " " in text:
        return None
    return data, len(number)


def decode(tags):
    decoded = decode_tags(pa.array(tags, pa.large_string()))
    found = dict(
        zip(decoded.row.tolist(), zip(decoded.data.to_pylist(), decoded.digits.tolist(), strict=True), strict=True)
    )
    return [found.get(position) for position in range(len(tags))]


@given(st.lists(st.tuples(DATA, RANDOM)))
@settings(deadline=None)
@example([("ü", 0), ("101", 4294967295)])
def test_what_is_made_is_read(pairs):
    expected = [(data, len(str(number))) if data.isprintable() else None for data, number in pairs]
    assert decode([tag(data, number) for data, number in pairs]) == expected


NEARLY = st.tuples(st.binary(max_size=6), st.sampled_from([b"\x01", b"\x00", b"\x01\x01"]), st.text("019", max_size=12))
ANY = st.one_of(
    st.none(),
    st.binary(max_size=20).map(bytes.hex),
    st.text("0123456789abcdefABCDEF g", max_size=20),
    NEARLY.map(lambda parts: (parts[0] + parts[1] + parts[2].encode()).hex()),
)


@given(st.lists(ANY, max_size=8))
@settings(deadline=None)
def test_the_naive_twin_agrees(tags):
    assert decode(tags) == [naive(text) if text else None for text in tags]


@pytest.mark.parametrize(
    "text",
    [
        "", "01", "0131", tag(""), tag("101")[:-1], tag("jk").upper(), tag("101") + "zz", " " + tag("101"),
        tag("101", 2**32), tag("101", "0123"), tag("101", ""), tag("101", "12345678901"), tag("10\t1"), tag("10\x7f1"),
        tag("10\x011"), "ff" + tag("101"), "c285" + tag("101"), tag("101") + "00", "as" + tag("101"), tag("101") + "41",
        "3206210844", "70c00e8c", "0fa3b721", "as5f1a3e2b", "31323334", "3130310131",
    ],
)  # fmt: skip
def test_near_misses_say_nothing(text):
    assert say(text) == {}


def test_what_each_program_writes():
    said = say(
        tag("c371ac2613c4"), tag("100"), tag("100:secret"), tag("100:a:b"), tag("1001:пароль"), tag("000000000000"),
        from_user="200",
    )  # fmt: skip
    assert said[0] == ["195.113.172.38:5060", None, None]
    assert said[1] == [None, "100", None]
    assert said[2] == [None, "100", "secret"]
    assert said[3] == [None, "100", "a:b"]
    assert said[4] == [None, "1001", "пароль"]
    assert said[5] == [None, "000000000000", None]  # port 0 is nobody's target


def test_a_long_number_tried_by_svwar_is_no_target():
    number = "442037691234"
    assert say(tag(number), from_user=number) == {0: [None, number, None]}
    assert say(tag(number), to_user=number) == {0: [None, number, None]}
    assert say(tag(number), from_user="100") == {0: ["68.32.55.105:4660", None, None]}


def test_svmap_over_ipv6():
    tags = [tag(data) for data in ("2001db8113c4", "20010db8113c4", "2001db810000", "100-a")]
    said = say(*tags, destination="2001:db8::1", from_user="100")
    assert said[0] == ["[2001:db8::1]:5060", None, None]
    assert said[1] == [None, None, None]  # typed otherwise than the address is written
    assert said[3] == [None, "100-a", None]
    assert say(tag("123456"), destination="::1", from_user="123456") == {0: [None, "123456", None]}


def test_few_digits_need_another_witness():
    few, enough = 10 ** (MIN_DIGITS - 1) - 1, 10 ** (MIN_DIGITS - 1)
    assert say(tag("101", few), from_user="200", to_user="300") == {}
    assert say(tag("101", enough), from_user="200") == {0: [None, "101", None]}
    assert say(tag("101", 7), from_user="101") == {0: [None, "101", None]}
    assert say(tag("101", 7), to_user="101") == {0: [None, "101", None]}
    assert say(tag("101:letmein", 7), from_user="101") == {0: [None, "101", "letmein"]}
    assert say(tag("c371ac2613c4", 0)) == {0: ["195.113.172.38:5060", None, None]}


@given(st.lists(st.text("0123456789abcdef", min_size=1, max_size=64), max_size=50))
@settings(max_examples=200, deadline=None)
def test_random_hex_tags_do_not_decode(tags):
    """By the estimate in the module, one in 10^11 does."""
    assert say(*tags, from_user="101") == {}


@given(st.lists(st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=40), max_size=50))
@settings(deadline=None)
def test_random_words_do_not_decode(tags):
    assert say(*tags, from_user="101") == {}


def test_200_000_random_tags_of_phones_do_not_decode():
    """At 2e-5 the mere form would be found four times among those of 8 digits."""
    rng = random.Random(3261)
    tags = [f"{rng.getrandbits(4 * size):0{size}x}" for size in (8, 8, 16, 32) for _ in range(50_000)]
    decoded = decode_tags(pa.array(tags, pa.large_string()))
    assert len(decoded.row) < 20
    assert (decoded.digits < MIN_DIGITS).all()
    assert say(*tags, from_user="101") == {}


def test_a_table_without_tags():
    assert say(None, None) == {}
    assert read_tags(messages(0)).empty
