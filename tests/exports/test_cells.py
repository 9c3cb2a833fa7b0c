"""CSV is made in bulk, of slices, in threads; it is the CSV that is made cell by cell."""

from io import BytesIO
from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from exports import naive_csv
from factories import messages
from hypothesis import given
from hypothesis import strategies as st
from reports.synthetic import HOSTILE, attacked, hostile

from analyzer.exports import cells, csv
from analyzer.exports.arrow import arrow_columns
from analyzer.tables import TABLES

SIGNS = st.sampled_from(
    [*"ab0 \",;'=+-@\\~", "\x00", "\t", "\r", "\n", "\x1f", "\x7f", "\x80", "é", "＝", "日", "\u202e"]
)
TEXT = st.none() | st.lists(SIGNS, max_size=4).map("".join)


def written(frame):
    file = BytesIO()
    csv.write_csv(frame, file)
    return file.getvalue()


@pytest.fixture(params=["whole", "in small slices"])
def _slices(request, monkeypatch):
    if request.param != "whole":
        monkeypatch.setattr(csv, "ROWS", 5)
        monkeypatch.setattr(csv, "BYTES", 4000)
        monkeypatch.setattr(cells, "MOST", 40)
        monkeypatch.setattr(cells, "WIDEST", 60)
        monkeypatch.setattr(cells, "RANGE", 3)


@pytest.mark.usefixtures("_slices")
@pytest.mark.parametrize("name", sorted(TABLES))
@pytest.mark.parametrize("make", [hostile, lambda name: getattr(attacked(), name)], ids=["hostile", "attacked"])
def test_every_table_is_as_it_is_cell_by_cell(name, make):
    frame = make(name)

    assert written(frame) == naive_csv.csv(frame)


@pytest.mark.usefixtures("_slices")
@pytest.mark.parametrize("dtype", ["str", "category", "object"])
def test_hostile_text_beside_hostile_text_and_missing_text(dtype):
    left, right = zip(*product([*HOSTILE, "", None, "plain"], repeat=2), strict=True)
    frame = pd.DataFrame({"a": left, "b": right, "c": left, "d": [None] * len(left)}, dtype=dtype)
    frame = frame[frame["a"].str.len().fillna(0).add(frame["b"].str.len().fillna(0)) < 1000]

    assert written(frame) == naive_csv.csv(frame)


@given(st.lists(st.tuples(TEXT, TEXT, st.none() | st.integers(-3, 3), st.booleans()), min_size=1, max_size=9))
def test_any_text_is_as_it_is_cell_by_cell(rows):
    frame = pd.DataFrame(rows, columns=["text", "word", "number", "flag"])
    frame = frame.astype({"text": "str", "word": "str", "number": "Int64", "flag": "bool"})
    frame = frame.assign(again=frame["text"], word=frame["word"].astype("category"))

    assert written(frame) == naive_csv.csv(frame)
    assert written(frame[["flag", "text"]].iloc[1:]) == naive_csv.csv(frame[["flag", "text"]].iloc[1:])


@given(
    st.lists(st.none() | st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=9),
    st.lists(st.none() | st.integers(-10, 10), min_size=1, max_size=9),
)
def test_any_time_and_number_is_as_it_is_cell_by_cell(large, small):
    frame = pd.DataFrame({"large": pd.array(large, dtype="Int64")})
    frame["time"] = pd.to_datetime(frame["large"], utc=True).astype("datetime64[ns, UTC]")
    frame["small"] = pd.array([*small, *[None] * len(large)][: len(large)], dtype="Int64")
    frame["share"] = frame["large"].astype("Float64").astype("float64") / 7

    assert written(frame) == naive_csv.csv(frame)


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("1969-12-31T23:59:59.999999998Z", periods=4, freq="1ns", unit="ns"),
        pd.date_range("2024-02-28T23:59:59Z", periods=3, freq="1D", unit="ns"),
        pd.date_range("2024-02-28T23:59:59Z", periods=3, freq="1h", unit="s"),
        pd.DatetimeIndex([pd.Timestamp.min.tz_localize("UTC"), pd.NaT, pd.Timestamp.max.tz_localize("UTC")]),
    ],
    ids=["across 1970", "days", "seconds", "all of time"],
)
def test_times_are_as_they_are_cell_by_cell(times):
    frame = pd.DataFrame({"time": times})

    assert written(frame) == naive_csv.csv(frame)


def test_columns_may_lie_in_several_pieces():
    pieces = pa.chunked_array([HOSTILE[:5], [], HOSTILE[5:]], pa.large_string())
    frame = pd.DataFrame({"text": pd.array(pieces, dtype="str"), "number": range(len(HOSTILE))})

    assert frame["text"].array._pa_array.num_chunks > 1
    assert written(frame) == naive_csv.csv(frame)
    assert written(frame.iloc[3:9]) == naive_csv.csv(frame.iloc[3:9])


def test_columns_of_few_values_are_one_part():
    parts = cells.parts_of(arrow_columns(messages(1000, every="1ms", call_id=[f"c{i}" for i in range(1000)])))

    assert len(parts) < 12


def test_many_values_beside_many_values_are_parts_of_their_own():
    many = pd.Series(np.arange(70_000)).astype("str").astype("category")
    frame = pd.DataFrame({"a": many, "b": many, "c": True, "d": many.cat.codes % 3})
    parts = cells.parts_of(arrow_columns(frame))

    assert len(parts) == 3
    assert written(frame) == naive_csv.csv(frame)


def test_slices_are_bounded_in_bytes():
    frame = pd.DataFrame(
        {
            "text": pd.array(["x" * 1_000_000, "", "y"] * 40, dtype="str"),
            "word": pd.Categorical(["a" * 1_000_000] * 120),
        }
    )
    parts = cells.parts_of(arrow_columns(frame))
    slices = list(csv._slices(parts, len(frame)))

    assert [start for start, _ in slices[1:]] == [stop for _, stop in slices[:-1]]
    assert max(sum(part.bytes(*rows) for part in parts) for rows in slices) <= csv.BYTES
    assert len(slices) > 8
