"""Counts for charts, worked out on the codes of categories: what a million messages say takes one pass, not one each.

A ranking has a name for each rank and a rank for each message; a chart is drawn from the counts of one or two of them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_CAMPAIGN = "no campaign"


@dataclass(frozen=True)
class Ranking:
    """Values in the order of how often they occur, most first; those that are equally frequent as they come."""

    ranks: "NDArray[np.intp]"
    """The rank of each row's value, from 0."""
    names: list[str]
    """What each rank is called."""

    def of(self, rows: "NDArray[np.bool_]") -> "NDArray[np.int64]":
        """Return how many of these rows have each rank."""
        return np.bincount(self.ranks[rows], minlength=len(self.names))


def words(values: "pd.Series[Any]", missing: str) -> "pd.Series[Any]":
    """Return values as categories, none of them missing."""
    if not isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype("str").astype("category")
    if not values.isna().any():
        return values
    if missing not in values.cat.categories:
        values = values.cat.add_categories([missing])
    return values.fillna(missing)


def rank(values: "pd.Series[Any]", limit: int, others: str, *, last: str = "") -> Ranking:
    """Return the ranking of categories, none missing; those beyond limit share a rank, and it and last come last."""
    codes = values.cat.codes.to_numpy()
    names = _names(values)
    order = [code for code in _by_frequency(codes, len(names)) if names[code] != last]
    kept = order if len(order) <= limit + 1 else order[:limit]
    shown = [names[code] for code in kept]
    ranks = np.full(len(names), len(kept), np.intp)
    ranks[kept] = np.arange(len(kept))
    if len(kept) < len(order):
        shown.append(f"{len(order) - limit:,} {others}")
    if last in names and (codes == names.index(last)).any():
        ranks[names.index(last)] = len(shown)
        shown.append(last)
    return Ranking(ranks[codes], shown)


def _names(values: "pd.Series[Any]") -> list[str]:
    """Return the categories as text; their array is much faster to take apart than the index."""
    return [str(name) for name in values.cat.categories.to_numpy(object).tolist()]


def _by_frequency(codes: "NDArray[np.integer[Any]]", size: int) -> list[int]:
    """Return the codes that occur, most frequent first, those that are equally frequent in the order of rows."""
    counts = np.bincount(codes, minlength=size)
    first = np.zeros(size, np.intp)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    occurring = np.flatnonzero(counts)
    return [int(code) for code in occurring[np.lexsort((first[occurring], -counts[occurring]))]]


def cross(rows: Ranking, columns: Ranking) -> "NDArray[np.int64]":
    """Return how often each rank of the one, by row, has each rank of the other, by column."""
    shape = len(rows.names), len(columns.names)
    return np.bincount(rows.ranks * shape[1] + columns.ranks, minlength=shape[0] * shape[1]).reshape(shape)


def over_time(
    times: "pd.Series[pd.Timestamp]", ranking: Ranking, start: pd.Timestamp, step: int
) -> "NDArray[np.int64]":
    """Return how often each rank, by column, occurs in each period of step nanoseconds since start, by row."""
    periods = (nanoseconds(times) - start.value) // step
    shape = int(periods.max()) + 1, len(ranking.names)
    return np.bincount(periods * shape[1] + ranking.ranks, minlength=shape[0] * shape[1]).reshape(shape)


def campaign_of(messages: pd.DataFrame, attacks: pd.DataFrame) -> "pd.Series[Any]":
    """Return the campaign of the source that sent each message or, of a response, that drew it, as categories.

    A source of several campaigns counts for the one whose attack was going on.
    """
    ours = attacks.dropna(subset=["source", "campaign"]).sort_values("start", kind="stable")
    ours = ours.assign(**{name: ours[name].astype("str") for name in ("source", "campaign")})
    names = list(dict.fromkeys([*ours["campaign"], NO_CAMPAIGN]))
    codes = {name: code for code, name in enumerate(names)}
    pairs = ours[["source", "campaign"]].drop_duplicates()
    single = pairs.drop_duplicates("source", keep=False).set_index("source")["campaign"]
    none = codes[NO_CAMPAIGN]
    found = _by_party(messages, {str(source): codes[campaign] for source, campaign in single.items()}, none)
    several = ours[~ours["source"].isin(single.index)]
    if len(several):
        _going_on(found, messages, several, codes)
    return pd.Series(pd.Categorical.from_codes(found, categories=pd.Index(names, dtype="str")), index=messages.index)


def _by_party(messages: pd.DataFrame, table: dict[str, int], default: int) -> "NDArray[np.int64]":
    """Return what the table gives for each request's source, and for each response's destination."""
    sent, drawn = (_looked_up(messages[column], table, default) for column in ("source", "destination"))
    return np.where(messages["status"].isna(), sent, drawn)


def _looked_up(values: "pd.Series[Any]", table: dict[str, int], default: int) -> "NDArray[np.int64]":
    if not isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype("str").astype("category")
    found = [table.get(name, default) for name in _names(values)]
    return np.array([*found, default])[values.cat.codes]


def _going_on(found: "NDArray[np.int64]", messages: pd.DataFrame, attacks: pd.DataFrame, codes: dict[str, int]) -> None:
    """Enter the campaign of each attack for the messages of its source while it lasted; the latest counts."""
    parties = {source: number for number, source in enumerate(dict.fromkeys(attacks["source"]))}
    party = _by_party(messages, parties, -1)
    rows = np.flatnonzero(party >= 0)
    times = nanoseconds(messages["time"])[rows]
    order = np.lexsort((times, party[rows]))
    rows, times = rows[order], times[order]
    bounds = np.searchsorted(party[rows], np.arange(len(parties) + 1))
    lasting = attacks.dropna(subset=["start", "end"])
    spans = zip(nanoseconds(lasting["start"]), nanoseconds(lasting["end"]), strict=True)
    for source, campaign, (start, end) in zip(lasting["source"], lasting["campaign"], spans, strict=True):
        first, stop = bounds[parties[source]], bounds[parties[source] + 1]
        since, until = np.searchsorted(times[first:stop], [start, end + 1])
        found[rows[first + since : first + until]] = codes[campaign]


def nanoseconds(times: "pd.Series[pd.Timestamp]") -> "NDArray[np.int64]":
    """Return times, none of them missing, as nanoseconds since 1970."""
    return times.dt.as_unit("ns").dt.tz_localize(None).to_numpy("datetime64[ns]").view(np.int64)
