import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.sip import _hashing, hashing
from analyzer.sip.hashing import ABSENT, Hasher, mix, number_hashes

TEXTS = st.lists(st.none() | st.text(max_size=9), max_size=20)


def column(texts, dtype):
    return pd.Series(texts, dtype="str").astype(dtype)


@settings(deadline=None, max_examples=50)
@given(texts=TEXTS, cut=st.integers(0, 20), dtype=st.sampled_from(["str", "category"]), data=st.data())
def test_some_rows_have_the_hashes_that_they_have_among_all(texts, cut, dtype, data):
    hasher = Hasher()
    parts = pa.chunked_array([pa.array(part, pa.large_string()) for part in (texts[:cut], texts[cut:])])
    values = pd.Series(pd.array(parts, dtype="str")).astype(dtype)
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, max(len(texts) - 1, 0)), max_size=len(texts)))), np.int64)
    assert hasher.column(values, rows).tolist() == hasher.column(values)[rows].tolist()


@settings(deadline=None, max_examples=50)
@given(texts=TEXTS, dtype=st.sampled_from(["str", "category"]))
def test_hashes_are_equal_where_texts_are(texts, dtype):
    hashes = Hasher().column(column(texts, dtype))
    assert hashes.dtype == np.uint64
    pairs = set(zip(texts, hashes.tolist(), strict=True))
    assert len(pairs) == len(set(texts)) == len(set(hashes.tolist()))
    assert all((value == ABSENT) == (text is None) for text, value in pairs)


def test_text_in_chunks_and_slices_is_the_same_text():
    hasher = Hasher()
    texts = ["one", None, "two", "", "\N{SNOWMAN}", "one"]
    whole = hasher.column(pd.Series(texts, dtype="str"))
    parts = pa.chunked_array(
        [pa.array(["cut", *texts[:2]], pa.large_string())[1:], pa.array(texts[2:], pa.large_string())]
    )
    assert hasher.column(pd.Series(pd.array(parts, dtype="str"))).tolist() == whole.tolist()
    assert hasher.column(pd.Series(texts, dtype="str").astype("category")).tolist() == whole.tolist()


def test_a_text_longer_than_the_keys_is_hashed_whole():
    texts = ["a" * 100_000, "a" * 99_999 + "b", "a" * 99_999]
    assert len(set(Hasher().column(pd.Series(texts, dtype="str")).tolist())) == 3


def test_each_hasher_has_keys_of_its_own():
    text = pd.Series(["z9hG4bK-1"], dtype="str")
    assert Hasher().column(text).tolist() != Hasher().column(text).tolist()


def test_the_kernel_does_what_it_says():
    offsets, data = np.array([0, 2, 2, 3]), np.frombuffer(b"abc", np.uint8)
    keys, hashes = np.array([2**63 + 1, 5], np.uint64), np.empty(3, np.uint64)
    _hashing.hash_spans(offsets[:-1], offsets[1:], data, keys, hashes)
    expected = [((2**63 + 1) * 98 + 5 * 99) % 2**64, 0, (2**63 + 1) * 100 % 2**64]
    assert hashes.tolist() == expected


def test_mixing_tells_the_order_of_columns():
    one, two = np.array([1, 2], np.int64), np.array([2, 1], np.int64)
    mixed = mix((one, two))
    assert mixed[0] != mixed[1]
    assert one.tolist() == [1, 2]
    with pytest.raises(ValueError, match="nothing"):
        mix(())


@pytest.mark.parametrize("part", [1, 4, 1000])
def test_numbers_are_equal_where_hashes_are(part, monkeypatch):
    monkeypatch.setattr(hashing, "PART", part)
    hashes = np.random.default_rng(1).integers(0, 2**64, 50, dtype=np.uint64)[np.arange(200) % 50]
    numbers, count = number_hashes(hashes)
    assert count == 50
    assert set(numbers.tolist()) == set(range(50))
    assert len(set(zip(hashes.tolist(), numbers.tolist(), strict=True))) == 50
