"""Rows by groups, on codes: text is touched once for each distinct pair of group and value, never row by row."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Truth = NDArray[np.bool_]

MISSING = -1
"""The code of a missing value."""


def as_texts(values: Any) -> pa.Array:  # noqa: ANN401
    """Return text, a Series or an Index, as one Arrow array of large_string."""
    texts = pa.array(values, from_pandas=True)
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if isinstance(texts, pa.DictionaryArray):
        texts = texts.dictionary_decode()
    return texts.cast(pa.large_string())


def coded(values: "pd.Series[Any]") -> "tuple[Numbers, pa.Array]":
    """Return a code per row, MISSING where there is no value, and the texts by code.

    Of a category these are its categories, in their order; of other columns the distinct values as text.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy().astype(np.int64), as_texts(values.cat.categories.astype("str"))
    if values.dtype != "str":
        codes, distinct = pd.factorize(values)
        return codes.astype(np.int64), as_texts(pd.Series(distinct).astype("str"))
    encoded = as_texts(values).dictionary_encode()
    return encoded.indices.fill_null(MISSING).to_numpy().astype(np.int64), encoded.dictionary


def place(texts: pa.Array, among: pa.Array) -> "Numbers":
    """Return where each of texts is in another array, MISSING for none, and MISSING once more at the end."""
    found = pc.index_in(texts, among).fill_null(MISSING).to_numpy()
    return np.append(found, MISSING).astype(np.int64)


def is_among(values: Any, texts: Any) -> "Truth":  # noqa: ANN401
    """Say which values of a Series or an Index of text are among texts; pandas would look at each of texts in Python.

    >>> is_among(pd.Index(["a", "b"]), ["b", None]).tolist()
    [False, True]
    """
    return np.array(pc.is_in(as_texts(values), value_set=as_texts(texts).drop_null()), np.bool_)


def merged(first: "pd.Series[Any]", second: "pd.Series[Any]", chosen: "Truth") -> "pd.Categorical[Any]":
    """Return the values of second where chosen, elsewhere of first, as a category of the texts of both."""
    (one, texts), (two, others) = coded(first), coded(second)
    words = pa.concat_arrays([texts, others]).dictionary_encode()
    number = np.append(words.indices.to_numpy(), MISSING)
    codes = np.where(chosen, number[np.where(two < 0, MISSING, two + len(texts))], number[np.where(one < 0, -1, one)])
    return categorical(codes, words.dictionary)


def categorical(codes: "NDArray[Any]", texts: pa.Array) -> "pd.Categorical[Any]":
    """Return codes into distinct texts as a category."""
    return pd.Categorical.from_codes(codes.tolist() if not len(codes) else codes, categories=words(texts))


def words(texts: pa.Array) -> "pd.Index[Any]":
    """Return Arrow text as an index of dtype str."""
    return pd.Index(pd.array(texts, dtype="str"))


def told(column: "tuple[Numbers, pa.Array]", tell: "Callable[[str], str | None]") -> "tuple[Numbers, pa.Array]":
    """Return what is said of the texts of a coded column; only those that occur are asked about, each once."""
    codes, texts = column
    used = np.flatnonzero(np.bincount(codes + 1, minlength=len(texts) + 1)[1:])
    said = pa.array([tell(text) for text in texts.take(pa.array(used)).to_pylist()], texts.type).dictionary_encode()
    number = np.full(len(texts) + 1, MISSING, np.int64)
    number[used] = said.indices.fill_null(MISSING).to_numpy()
    return number[codes], said.dictionary


def numbered(*columns: "NDArray[Any]") -> "Numbers":
    """Return a number for each row, from 0: the same for rows that are equal in all columns of codes or numbers."""
    numbers = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        codes = pd.factorize(column)[0]
        numbers = pd.factorize(numbers * (int(codes.max(initial=0)) + 1) + codes)[0]
    return numbers


def codes_of(values: "pd.Series[Any]") -> "NDArray[Any]":
    """Return the codes of a category, MISSING where there is no value."""
    return values.cat.codes.to_numpy()


def any_in(groups: "Numbers", mask: "Truth") -> "Truth":
    """Say of each row whether any row of its group is masked."""
    having = np.zeros(int(groups.max(initial=0)) + 1, np.bool_)
    having[groups[mask]] = True
    return having[groups]


def sum_in(groups: "Numbers", mask: "Truth") -> "Numbers":
    """Return for each row how many rows of its group are masked."""
    return np.bincount(groups[mask], minlength=int(groups.max(initial=0)) + 1)[groups]


def pairs(groups: "Numbers", codes: "Numbers") -> "tuple[Numbers, Numbers]":
    """Return the distinct pairs of a group and a code, in the order of appearance; negative codes are left out."""
    there = codes >= 0
    width = int(codes.max(initial=0)) + 1
    distinct = pd.unique(groups[there] * width + codes[there])
    return distinct // width, distinct % width


def count_distinct(groups: "Numbers", codes: "Numbers", size: int) -> "Numbers":
    """Return how many distinct codes, negative ones left out, each of the groups from 0 to size - 1 has."""
    return np.bincount(pairs(groups, codes)[0], minlength=size)


def lists(groups: "pd.Series[Any]", values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return the sorted distinct values of each group as a list; missing values and empty lists are left out.

    Args:
        groups: a number for each row.
        values: for some of the rows, or for some more than once; they find their groups by the index.
    """
    if not values.index.equals(groups.index):
        groups = groups.reindex(values.index)
    return sorted_lists(groups.to_numpy(np.int64), *coded(values))


def sorted_lists(groups: "Numbers", codes: "Numbers", texts: pa.Array) -> "pd.Series[Any]":
    """Return the sorted distinct texts of each group as a list, indexed by group."""
    group, code = pairs(groups, codes)
    by_group = np.lexsort((sort_ranks(code, texts), group))
    return runs(group[by_group], texts.take(pa.array(code[by_group])).to_pylist())


def sort_ranks(codes: "Numbers", texts: pa.Array) -> "Numbers":
    """Return the place of each code's text in the order of the texts that occur; none of the codes is missing."""
    used, own = np.unique(codes, return_inverse=True)
    order = pc.array_sort_indices(texts.take(pa.array(used))).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[own]


def runs(keys: "NDArray[Any]", values: list[Any]) -> "pd.Series[Any]":
    """Return the values of each run of equal keys as a list, indexed by key."""
    if not len(keys):
        return pd.Series(dtype="object")
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    ends = np.append(begins[1:], len(values)).tolist()
    return pd.Series(
        [values[begin:end] for begin, end in zip(begins.tolist(), ends, strict=True)],
        index=keys[begins],
        dtype="object",
    )
