"""Campaigns and what was known before: which are new, which go on, and which have returned after a silence.

A campaign is one that was known if an attack from before would have been joined with it (see analyzer.campaigns): it
shares a strong key, or a weak one and the id that this key gives, or a source that did not rest between. Then it keeps
the id under which it was first known, though other keys may be its strongest now.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.campaigns import STRENGTH, Joining
from analyzer.tables import ATTACKS, CAMPAIGNS

if TYPE_CHECKING:
    from datetime import timedelta

NEW, CONTINUING, RETURNED = "new", "continuing", "returned"
"""What a campaign may be in a period: not seen before it, seen without a rest since, or seen and silent meanwhile."""
_STRONGEST = 1
"""The strength of keys that tell campaigns apart: two that have other ones are two, whatever else they share."""


def recall(
    attacks: pd.DataFrame,
    campaigns: pd.DataFrame,
    past: pd.DataFrame,
    *,
    ordinary: Iterable[str] = (),
    joining: Joining | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return attacks and campaigns of a period under the ids of before, and campaigns with state and first_seen.

    Args:
        attacks: those of the period, with their campaigns.
        campaigns: those of the period.
        past: attacks that began before the period: the columns campaign, source, start, end and keys.
        ordinary: keys that customers carry too; they join nobody, but for numbers.
        joining: the thresholds of joining; its rest is the silence after which a campaign has returned.
    """
    joining = joining or Joining()
    if campaigns.empty:
        return attacks, campaigns
    known = _known(attacks, past, frozenset(ordinary), joining.rest)
    start = campaigns["start"].set_axis(campaigns["campaign"].astype("str"))
    before = known.groupby("campaign").agg(first=("start", "min"), last=("end", "max")).reindex(start.index)
    silence = (start - before["last"]).dt.total_seconds().clip(lower=0)
    named = _names(known, list(start.index))
    campaigns = campaigns.assign(
        state=np.select([before["first"].isna(), silence > joining.rest.total_seconds()], [NEW, RETURNED], CONTINUING),
        first_seen=before["first"].fillna(start).array,
        silence=silence.array,
        campaign=[named[campaign] for campaign in start.index],
    )
    attacks = attacks.assign(campaign=attacks["campaign"].astype("str").map(named))
    return ATTACKS.conform(attacks), CAMPAIGNS.conform(campaigns)


def _known(attacks: pd.DataFrame, past: pd.DataFrame, ordinary: frozenset[str], rest: "timedelta") -> pd.DataFrame:
    """Return a row for each campaign and past attack of it: campaign, id (that of the past), start and end."""
    past = past.assign(id=past["campaign"].astype("str"), source=past["source"].astype("str"))
    past = past.drop(columns="campaign").reset_index(drop=True)
    now = attacks.assign(campaign=attacks["campaign"].astype("str"), source=attacks["source"].astype("str"))
    keys = _keys(now[["campaign", "keys"]], ordinary)
    shared = _shared(keys, past, ordinary)
    ties = pd.concat([shared, _by_source(now, past, rest)])
    ids = past.loc[ties["row"].to_numpy(), "id"].to_numpy()
    found = pd.DataFrame({"campaign": ties["campaign"].to_numpy(), "id": ids}, dtype="str").drop_duplicates()
    return found.merge(past[["id", "start", "end"]], on="id")


def _keys(rows: pd.DataFrame, ordinary: frozenset[str]) -> pd.DataFrame:
    """Return the keys of rows, one below the other, with their strength; ordinary ones are left out."""
    every = rows.explode("keys").dropna(subset="keys").rename(columns={"keys": "key"})
    every["key"] = every["key"].astype("str")
    every = every.drop_duplicates()
    kind = pd.Series([key.partition(":")[0] for key in every["key"]], index=every.index, dtype="str")
    every["strength"] = kind.map(STRENGTH).astype("float64")
    return every[every["strength"].notna() & (~every["key"].isin(ordinary) | (kind == "number"))]


def _shared(keys: pd.DataFrame, past: pd.DataFrame, ordinary: frozenset[str]) -> pd.DataFrame:
    """Return the campaigns and the rows of past attacks that share a key which joins them: campaign, row."""
    wanted = set(keys["key"])
    meeting = [any(key in wanted for key in cell) for cell in past["keys"]]
    # Of a past campaign all attacks are asked which keys it has; of others none.
    groups = past.loc[meeting, "id"].unique()
    theirs = past.loc[past["id"].isin(groups), ["id", "keys"]].rename_axis("row").reset_index()
    theirs = _keys(theirs, ordinary)
    pairs = theirs.merge(keys[["campaign", "key"]], on="key")
    anchored = set(theirs.loc[theirs["strength"] == _STRONGEST, "id"])
    held = set(keys.loc[keys["strength"] == _STRONGEST, "campaign"])
    apart = pairs["id"].isin(anchored) & pairs["campaign"].isin(held)
    middle = (pairs["strength"] > _STRONGEST) & (pairs["strength"] < STRENGTH["account"])
    joins = (pairs["strength"] == _STRONGEST) | (middle & ~apart) | (pairs["id"] == pairs["campaign"])
    return pairs.loc[joins, ["campaign", "row"]].drop_duplicates()


def _by_source(now: pd.DataFrame, past: pd.DataFrame, rest: "timedelta") -> pd.DataFrame:
    """Return the campaigns and rows of past attacks with a source that did not rest between, or with the same id."""
    firsts = now.groupby(["campaign", "source"], observed=True)["start"].min().reset_index()
    pairs = past[["id", "source", "end"]].rename_axis("row").reset_index().merge(firsts, on="source")
    going_on = pairs["end"] >= pairs["start"] - pd.Timedelta(rest)
    return pairs.loc[going_on | (pairs["id"] == pairs["campaign"]), ["campaign", "row"]]


def _names(known: pd.DataFrame, own: list[str]) -> dict[str, str]:
    """Return the id of each campaign: that under which it was known first, unless another campaign has it."""
    earliest = known.sort_values(["start", "id"], kind="stable").drop_duplicates("campaign")
    claims = dict(zip(earliest["campaign"], earliest["id"], strict=True))
    names = {campaign: campaign for campaign in own if claims.get(campaign, campaign) == campaign}
    taken = set(names)
    for campaign in own:  # worst first
        if campaign not in names:
            claim = claims[campaign]
            names[campaign] = campaign if claim in taken or claim in own else claim
            taken.add(names[campaign])
    return names
