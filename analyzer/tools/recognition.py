"""Which tool wrote each request: rules asked batch by batch.

What repeats is judged once per distinct value and spread by its codes. Text that seldom repeats is looked at
only where the columns that repeat allow it; patterns that stand first in a rule are asked together, as one
expression per column, and one by one only of what that expression lets through.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analyzer.tables import COLUMNS, MESSAGES, TEXT, WORD
from analyzer.tools.signatures import Mark, Rule, Signatures
from analyzer.tools.sipvicious import SAID, judge_tags
from analyzer.workers import in_threads

Array: TypeAlias = Any  # pyarrow has no annotations
Rows: TypeAlias = NDArray[np.int64]
Truth: TypeAlias = NDArray[np.bool_]

BATCH = 65_536
"""The messages that are judged at a time: what is made on the way stays small."""
MANY = 4
"""A pattern is asked of a whole batch, and remembered, if one in so many of its requests is in question."""
FIRST = ("branch", "from_tag")
"""The columns of text that are looked at first, since most rules look at one of them."""


def fill(messages: pd.DataFrame, signatures: Signatures, *, threads: int = 1) -> pd.DataFrame:
    """Return messages with the columns that say which tool wrote them (see analyzer.tools.recognise)."""
    chosen, said = judge(messages, signatures.rules, threads=threads)
    sure = np.array([*(rule.confidence for rule in signatures.rules), np.nan])
    columns = {
        "tool": words([rule.tool for rule in signatures.rules], chosen),
        "tool_confidence": sure[chosen],
        "tool_reason": words([rule.reason for rule in signatures.rules], chosen),
        **{name: _column(name, values, len(messages)) for name, values in said.items()},
    }
    filled = messages.assign(**{name: pd.Series(values, index=messages.index) for name, values in columns.items()})
    return filled if _kept(messages) else MESSAGES.conform(filled)


def judge(
    messages: pd.DataFrame, rules: Sequence[Rule], *, threads: int = 1
) -> tuple[NDArray[np.int32], dict[str, list[Array]]]:
    """Return for each message the number of the first rule that it obeys, or -1, and what its From tag says."""
    table = _Table(messages)
    possible = [(number, marks) for number, rule in enumerate(rules) if (marks := table.order(rule.marks))]
    table.union([marks[0] for _, marks in possible])
    chosen = np.full(len(messages), -1, np.int32)
    said: dict[str, list[Array]] = {name: [] for name in SAID}

    def judge_batch(bounds: tuple[int, int]) -> dict[str, Array]:
        batch = _Batch(table, *bounds)
        chosen[slice(*bounds)] = batch.choose(possible)
        return batch.said()

    for told in in_threads(judge_batch, table.batches(), threads=threads):
        for name, values in told.items():
            said[name].append(values)
    return chosen, said


def _kept(messages: pd.DataFrame) -> bool:
    """Say whether messages already keep to their contract."""
    index = messages.index
    if not (isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None):
        return False
    kinds = zip(messages.columns, messages.dtypes, strict=True)
    return [(name, str(kind)) for name, kind in kinds] == [(name, COLUMNS[name].dtype) for name in MESSAGES.columns]


def words(names: Sequence[str], chosen: NDArray[Any]) -> pd.Categorical:
    """Return the names that chosen points at, where it is not -1."""
    used = sorted({names[int(number)] for number in np.flatnonzero(np.bincount(chosen + 1)[1:])})
    code = np.array([*(used.index(word) if word in used else -1 for word in names), -1], np.int64)
    kind = np.min_scalar_type(-max(len(used), 1))
    return pd.Categorical.from_codes(code.astype(kind)[chosen], categories=pd.Index(used, dtype="str"))


def _column(name: str, parts: list[Array], size: int) -> Any:  # noqa: ANN401
    """Return a column of what From tags say: parts of the dtype that the messages table asks for."""
    whole = pa.chunked_array(parts, pa.large_string())
    if COLUMNS[name].dtype == TEXT:
        return pd.array(whole, dtype="str")
    if whole.null_count == size:
        return pd.Categorical.from_codes(np.full(size, -1, np.int8), categories=pd.Index([], dtype="str"))
    coded = pc.dictionary_encode(whole).combine_chunks()
    found = coded.dictionary
    order = pc.array_sort_indices(found)
    rank = np.append(np.argsort(order.to_numpy()), [-1])
    codes = rank[pc.fill_null(coded.indices, len(found)).to_numpy()]
    return pd.Categorical.from_codes(codes, categories=pd.Index(pc.take(found, order), dtype="str"))


@dataclass(frozen=True)
class _Alike:
    """Two columns of words of which one repeats the other: for each category of the one, that of the other."""

    other: str
    code: Rows


class _Table:
    """The columns of one messages table, in the forms in which marks are looked for."""

    def __init__(self, messages: pd.DataFrame) -> None:
        self._messages = messages
        self._texts: dict[str, Array] = {}
        self._codes: dict[str, NDArray[Any]] = {}
        self._words: dict[str, tuple[Array, Array]] = {}
        self._truths: dict[Mark, Truth | _Alike] = {}
        self.unions: dict[str, tuple[frozenset[Mark], str]] = {}
        self.requests = messages["status"].isna().to_numpy()

    def batches(self) -> Iterator[tuple[int, int]]:
        """Yield the first row of each batch, and the one behind its last."""
        for start in range(0, len(self._messages), BATCH):
            yield start, min(start + BATCH, len(self._messages))

    def order(self, marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
        """Return the marks of a rule, the cheap ones first; none if no message can bear them all."""
        ordered = sorted(marks, key=self._cost)
        return tuple(ordered) if all(self._possible(mark) for mark in ordered) else ()

    def _cost(self, mark: Mark) -> int:
        if not self.is_text(mark):
            return 0
        if mark.same_as or mark.missing:
            return len(FIRST) + 2
        return FIRST.index(mark.column) + 1 if mark.column in FIRST else len(FIRST) + 1

    def _possible(self, mark: Mark) -> bool:
        if self.is_text(mark) or mark.decodes:
            return True
        truth = self.truth(mark)
        return bool((truth.code >= 0).any() if isinstance(truth, _Alike) else truth.any())

    def is_text(self, mark: Mark) -> bool:
        """Say whether a mark must be looked for in each message: its column, or the other, seldom repeats."""
        if mark.decodes:
            return False
        return TEXT in {COLUMNS[name].dtype for name in (mark.column, mark.same_as) if name}

    def union(self, marks: Sequence[Mark]) -> None:
        """Put what rules look at first into one expression for each column of text."""
        by_column: dict[str, dict[Mark, str]] = {}
        for mark in marks:
            if self.is_text(mark) and not mark.same_as and not mark.missing:
                by_column.setdefault(mark.column, {})[mark] = mark.pattern or re.escape(str(mark.equals))
        for column, patterns in by_column.items():
            union = "|".join(f"(?:{text})" for text in patterns.values())
            try:
                fits(Mark(column, pattern=union), pa.array([""]))
            except pa.ArrowInvalid:  # more than RE2 takes: each is asked for itself
                continue
            self.unions[column] = frozenset(patterns), union

    def truth(self, mark: Mark) -> Truth | _Alike:
        """Return where a mark of a column other than text holds.

        For words, of each category, and last of the missing; for numbers, of each row.
        """
        if mark not in self._truths:
            self._truths[mark] = self._find_truth(mark)
        return self._truths[mark]

    def _find_truth(self, mark: Mark) -> Truth | _Alike:
        values = self._messages[mark.column]
        if COLUMNS[mark.column].dtype != WORD:
            return np.asarray(
                values.isna() if mark.missing else (values == mark.equals).fillna(value=False), dtype=bool
            )
        own, trimmed = self.words(mark.column)
        if mark.missing:
            return np.append(np.zeros(len(own), bool), [True])
        if mark.same_as:
            expected = pc.binary_join_element_wise(pa.scalar(mark.after, pa.large_string()), *_joined(mark, self))
            return _Alike(mark.same_as, _index_in(own, expected))
        # Blanks around a value are no part of it (RFC 3261 25.1): a blank behind a name hides nobody.
        return np.append(fits(mark, trimmed), [False])

    def words(self, column: str) -> tuple[Array, Array]:
        """Return the categories of a column of words, and the same without blanks around them."""
        if column not in self._words:
            categories = pa.array(self._messages[column].cat.categories.astype("str"), pa.large_string())
            self._words[column] = categories, pc.utf8_trim_whitespace(categories)
        return self._words[column]

    def codes(self, column: str) -> NDArray[Any]:
        """Return the number of each row's category; -1, so the last, where the value is missing."""
        if column not in self._codes:
            self._codes[column] = np.asarray(self._messages[column].array.codes)
        return self._codes[column]

    def texts(self, column: str, rows: Rows) -> Array:
        """Return the values of a column at rows, which lie in one batch and ascend, as pyarrow large_string."""
        if not len(rows):
            return pa.array([], pa.large_string())
        if COLUMNS[column].dtype == WORD:
            codes = self.codes(column)[rows]
            return pc.take(self.words(column)[0], pa.array(codes, mask=codes < 0))
        if column not in self._texts:
            values = pa.array(self._messages[column].astype("str").array)
            self._texts[column] = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
        first, count = int(rows[0]), int(rows[-1]) - int(rows[0]) + 1
        near = self._texts[column].slice(first, count).combine_chunks().cast(pa.large_string())
        return near if len(rows) == count else pc.take(near, pa.array(rows - first))


@lru_cache(maxsize=2)
def _nothing(size: int) -> Array:
    """Return so many missing texts; batches share them."""
    return pa.nulls(size, pa.large_string())


def _joined(mark: Mark, table: _Table) -> tuple[Array, Array]:
    return table.words(str(mark.same_as))[0], pa.scalar("", pa.large_string())


def _index_in(own: Array, expected: Array) -> Rows:
    """Return for each of own where it stands in expected, or -1; -1 at the end too, for the missing."""
    return np.append(pc.fill_null(pc.index_in(own, expected), -1).to_numpy().astype(np.int64), [-1])


class _Batch:
    """Some messages in a row, and what is known of the requests among them."""

    def __init__(self, table: _Table, start: int, stop: int) -> None:
        self._table, self.start, self.stop = table, start, stop
        self._rows = np.flatnonzero(table.requests[start:stop]) + start
        self._held: dict[Mark, Truth] = {}
        self._texts: dict[str, Array] = {}
        self._passed: dict[str, Rows] = {}
        self._tagged, self._said = judge_tags(
            self._whole("from_tag"), lambda name, at: table.texts(name, self._rows[at])
        )

    def choose(self, rules: Sequence[tuple[int, tuple[Mark, ...]]]) -> NDArray[np.int64]:
        """Return for each message the number of the first rule that it obeys, or -1."""
        chosen = np.full(len(self._rows), -1, np.int64)
        left = np.arange(len(self._rows))
        for number, marks in rules:
            if not len(left):
                break
            hits = self._bearing(marks, left)
            if len(hits):
                chosen[hits] = number
                left = left[chosen[left] < 0]
        whole = np.full(self.stop - self.start, -1, np.int64)
        whole[self._rows - self.start] = chosen
        return whole

    def said(self) -> dict[str, Array]:
        """Return what the From tags of the messages say, by column."""
        if not len(self._tagged):
            return dict.fromkeys(SAID, _nothing(self.stop - self.start))
        place = np.full(self.stop - self.start, -1, np.int64)
        place[self._rows[self._tagged] - self.start] = np.arange(len(self._tagged))
        index = pa.array(place, mask=place < 0)
        return {name: pc.take(values, index) for name, values in self._said.items()}

    def _bearing(self, marks: tuple[Mark, ...], left: Rows) -> Rows:
        """Return those of left, places among the requests, that bear all marks."""
        for mark in marks:
            left = left[self._holds(mark, left)]
            if not len(left):
                break
        return left

    def _holds(self, mark: Mark, left: Rows) -> Truth:
        """Return which of left bear a mark."""
        if mark not in self._held:
            if self._table.is_text(mark) and not self._first(mark) and MANY * len(left) < len(self._rows):
                return self._in_texts(mark, left)
            self._held[mark] = self._everywhere(mark)
        return self._held[mark][left]

    def _first(self, mark: Mark) -> bool:
        return mark in self._table.unions.get(mark.column, ((), ""))[0]

    def _everywhere(self, mark: Mark) -> Truth:
        """Return which requests bear a mark."""
        truth = np.zeros(len(self._rows), bool)
        if mark.decodes:
            truth[self._tagged] = True
        elif self._first(mark):
            passed = self._passing(mark.column)
            truth[passed] = self._in_texts(mark, passed)
        elif self._table.is_text(mark):
            truth = self._in_texts(mark, np.arange(len(self._rows)))
        else:
            truth = self._in_words(mark)
        return truth

    def _in_words(self, mark: Mark) -> Truth:
        table, truth = self._table, self._table.truth(mark)
        if isinstance(truth, _Alike):
            here = truth.code[table.codes(mark.column)[self._rows]]
            return np.asarray((here == table.codes(truth.other)[self._rows]) & (here >= 0))
        return truth[table.codes(mark.column)[self._rows] if COLUMNS[mark.column].dtype == WORD else self._rows]

    def _passing(self, column: str) -> Rows:
        """Return which requests one of the expressions fits that rules ask first of a column."""
        if column not in self._passed:
            _, pattern = self._table.unions[column]
            self._passed[column] = np.flatnonzero(fits(Mark(column, pattern=pattern), self._whole(column)))
        return self._passed[column]

    def _in_texts(self, mark: Mark, left: Rows) -> Truth:
        values = self._some(mark.column, left)
        if mark.missing:
            return np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False))
        if mark.same_as:
            after, nothing = pa.scalar(mark.after, pa.large_string()), pa.scalar("", pa.large_string())
            return _true(pc.equal(values, pc.binary_join_element_wise(after, self._some(mark.same_as, left), nothing)))
        return fits(mark, values)

    def _some(self, column: str, left: Rows) -> Array:
        """Return the values of a column for left."""
        if len(left) == len(self._rows):
            return self._whole(column)
        known = column in self._texts
        return pc.take(self._texts[column], pa.array(left)) if known else self._table.texts(column, self._rows[left])

    def _whole(self, column: str) -> Array:
        """Return the values of a column for all requests."""
        if column not in self._texts:
            self._texts[column] = self._table.texts(column, self._rows)
        return self._texts[column]


def fits(mark: Mark, values: Array) -> Truth:
    """Return which of values match a mark's pattern, or equal its value, as a whole."""
    if mark.pattern is None:
        return _true(pc.equal(values, str(mark.equals)))
    return _true(pc.match_substring_regex(values, f"^(?:{mark.pattern})$"))


def _true(values: Array) -> Truth:
    """Return an array of pyarrow's truths as numpy's; what is missing is not true."""
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), dtype=bool)
