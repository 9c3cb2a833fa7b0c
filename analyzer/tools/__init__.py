"""Who made this message: programs recognised by their handwriting, tokens and names.

`recognise()` takes the messages table and fills its last columns; `load_signatures()` says what it
looks for. Work is done on distinct values, and on whole columns of tokens at once.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from analyzer.tables import COLUMNS, MESSAGES, TEXT, WORD
from analyzer.tools.signatures import Mark, Name, Rule, Signatures, Tool, load_signatures

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array: TypeAlias = Any  # pyarrow has no annotations
    Rows: TypeAlias = NDArray[np.int64]
    Truth: TypeAlias = NDArray[np.bool_]

__all__ = ["Mark", "Name", "Rule", "Signatures", "Tool", "load_signatures", "recognise"]


def recognise(messages: "pd.DataFrame", signatures: Signatures | None = None) -> "pd.DataFrame":
    """Return messages with the tool that wrote each request, how sure that is, why, and what its From tag says.

    tool_confidence is the probability that the tool wrote the message; of several rules that hold, the
    surest counts. Responses, and requests that nothing gives away, are left missing.
    """
    import numpy as np
    import pandas as pd

    signatures = signatures or load_signatures()
    evidence = _Evidence(messages)
    rows = evidence.requests
    chosen = np.full(len(messages), -1, np.int64)
    for number, rule in enumerate(signatures.rules):
        hits = evidence.bearing(rule, rows)
        if len(hits):
            chosen[hits] = number
            rows = rows[chosen[rows] < 0]
    sure = pd.Series([rule.confidence for rule in signatures.rules], dtype="float64")
    said = evidence.tags.reindex(range(len(messages)))
    columns = {
        "tool": _words([rule.tool for rule in signatures.rules], chosen),
        "tool_confidence": sure.reindex(chosen).to_numpy(),
        "tool_reason": _words([rule.reason for rule in signatures.rules], chosen),
        **{name: said[name].to_numpy() for name in said.columns},
    }
    filled = messages.assign(**{name: pd.Series(values, index=messages.index) for name, values in columns.items()})
    return MESSAGES.conform(filled)


def _words(words: list[str], chosen: "Rows") -> "pd.Categorical":
    """Return the words that chosen points at, where it is not -1."""
    import numpy as np
    import pandas as pd

    used = sorted({words[number] for number in np.unique(chosen) if number >= 0})
    code = np.array([*(used.index(word) if word in used else -1 for word in words), -1], np.int64)
    return pd.Categorical.from_codes(code[chosen].tolist(), categories=pd.Index(used, dtype="str"))


class _Evidence:
    """The columns of one messages table, in the forms in which marks are looked for."""

    def __init__(self, messages: "pd.DataFrame") -> None:
        self._messages = messages
        self._texts: dict[str, Array] = {}
        self._coded: dict[str, Rows] = {}
        self._truths: dict[Mark, Truth] = {}

    @cached_property
    def requests(self) -> "Rows":
        """Positions of the requests."""
        import numpy as np

        return np.flatnonzero(self._messages["status"].isna().to_numpy())

    @cached_property
    def tags(self) -> "pd.DataFrame":
        """What the From tags of requests say, by position (see sipvicious.read_tags)."""
        from analyzer.tools.sipvicious import read_tags

        said = read_tags(self._messages.iloc[self.requests])
        said.index = type(said.index)(self.requests[said.index])
        return said

    def bearing(self, rule: Rule, rows: "Rows") -> "Rows":
        """Return those of rows that bear all marks of a rule, asking the cheap ones first."""
        for mark in sorted(rule.marks, key=self._cost):
            if not len(rows):
                break
            rows = rows[self._holds(mark, rows)]
        return rows

    def _cost(self, mark: Mark) -> int:
        if mark.same_as or mark.decodes:
            return 2
        return 1 if COLUMNS[mark.column].dtype == TEXT and not mark.missing else 0

    def _holds(self, mark: Mark, rows: "Rows") -> "Truth":
        import numpy as np

        values = self._messages[mark.column]
        if mark.decodes:
            return np.isin(rows, self.tags.index.to_numpy())
        if mark.missing:
            return values.isna().to_numpy()[rows]
        if mark.same_as:
            return self._same(mark, rows)
        if COLUMNS[mark.column].dtype == WORD:
            truth = self._word(mark)
            return truth[self._codes(mark.column)[rows]] if truth.any() else np.zeros(len(rows), bool)
        if COLUMNS[mark.column].dtype != TEXT:
            return (values == mark.equals).fillna(value=False).to_numpy(dtype=bool)[rows]
        return _fits(mark, self._text(mark.column, rows))

    def _codes(self, column: str) -> "Rows":
        """Return the number of each row's category; -1, so the last, where the value is missing."""
        import numpy as np

        if column not in self._coded:
            self._coded[column] = np.asarray(self._messages[column].cat.codes, dtype=np.int64)
        return self._coded[column]

    def _word(self, mark: Mark) -> "Truth":
        """Return whether a mark holds of each category of its column, and last False for the missing.

        Blanks around a value are no part of it (RFC 3261 25.1): a blank behind a name hides nobody.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        if mark not in self._truths:
            categories = pa.array(self._messages[mark.column].cat.categories.astype("str"), pa.large_string())
            self._truths[mark] = np.append(_fits(mark, pc.utf8_trim_whitespace(categories)), [False])
        return self._truths[mark]

    def _text(self, column: str, rows: "Rows") -> "Array":
        """Return a column of text at rows; the whole column is converted once."""
        import pyarrow as pa
        import pyarrow.compute as pc

        from analyzer.tools.sipvicious import as_arrow

        if column not in self._texts:
            self._texts[column] = as_arrow(self._messages[column])
        whole = self._texts[column]
        return whole if len(rows) == len(whole) else pc.take(whole, pa.array(rows))

    def _same(self, mark: Mark, rows: "Rows") -> "Truth":
        """Say where a value is that of another column, with mark.after before it; both must be there."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        after, nothing = pa.scalar(mark.after, pa.large_string()), pa.scalar("", pa.large_string())
        other = pc.binary_join_element_wise(after, self._text(str(mark.same_as), rows), nothing)
        equal = pc.fill_null(pc.equal(self._text(mark.column, rows), other), False)
        return np.asarray(equal.to_numpy(zero_copy_only=False), dtype=bool)


def _fits(mark: Mark, values: "Array") -> "Truth":
    """Return which of values match a mark's pattern, or equal its value, as a whole."""
    import numpy as np
    import pyarrow.compute as pc

    if mark.pattern is None:
        fits = pc.equal(values, str(mark.equals))
    else:
        fits = pc.match_substring_regex(values, f"^(?:{mark.pattern})$")
    return np.asarray(pc.fill_null(fits, False).to_numpy(zero_copy_only=False), dtype=bool)
