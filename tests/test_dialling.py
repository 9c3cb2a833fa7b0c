import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.dialling import DIGITS, take_apart

LONDON = "442079460123"
PREFIXES = ["00", "000", "00000", "900", "011", "9011", "7011", "1011", "810", "+", "1010222011", "*9011", "9000"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_that_leads_abroad_is_taken_off(prefix):
    assert take_apart([prefix + LONDON])[prefix + LONDON] == (prefix, LONDON, True)


@pytest.mark.parametrize("prefix", ["", "0", "9", "*9"])
def test_a_prefix_that_leads_outside_is_taken_off(prefix):
    assert take_apart([prefix + LONDON])[prefix + LONDON] == (prefix, LONDON, False)


def test_growing_zeros_want_one_number():
    dialled = ["0" * zeros + "46812345678" for zeros in range(9)]
    assert {parts.number for parts in take_apart(dialled).values()} == {"46812345678"}


def test_variants_outvote_a_prefix_that_passes_for_a_country_code():
    # 99 alone would be a prefix that nobody knows; beside the others it cannot be but one.
    dialled = ["00972592277956", "900972592277956", "99972592277956"]
    assert {parts.number for parts in take_apart(dialled).values()} == {"972592277956"}


def test_the_numbers_of_a_real_trace():
    dialled = ["011972599501806", "9011972599501806", "1010222011972599501806", "1010555011972598072172"]
    parts = take_apart(dialled)
    assert [parts[text].number for text in dialled] == ["972599501806"] * 3 + ["972598072172"]
    assert [parts[text].prefix for text in dialled] == ["011", "9011", "1010222011", "1010555011"]


@pytest.mark.parametrize(
    "text", ["", "100", "alice", "voi18063", "112", "1234567", "'; DROP TABLE", "0" * 300, "٠٠٤٤٢٠٧٩٤٦"]
)
def test_what_is_no_number_is_left_out(text):
    assert take_apart([text]) == {}


def test_separators_are_no_part_of_the_number():
    assert take_apart(["+44 (20) 7946-0123"])["+44 (20) 7946-0123"].number == LONDON


@given(st.lists(st.text("0123456789+*#-() ab", max_size=24), max_size=12))
def test_the_parts_make_up_what_was_dialled(dialled):
    for text, parts in take_apart(dialled).items():
        bare = "".join(sign for sign in text if sign not in "-.() ")
        assert parts.prefix + parts.number == bare
        assert len(parts.number) <= DIGITS
        assert not parts.number.startswith("0")


@given(st.permutations(["00" + LONDON, "900" + LONDON, "011" + LONDON, LONDON, "0046812345678"]))
def test_the_order_of_dialling_does_not_count(dialled):
    assert take_apart(dialled) == take_apart(sorted(dialled))
