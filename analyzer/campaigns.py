"""Attacks to campaigns: connected components, and the reason for every join.

Attacks of one source without a rest between them are a party: they belong together before anything else is
asked. Parties are then joined by the keys that they share, the strongest kinds first; a weaker kind places only
parties that the stronger ones left alone, and never joins two groups that a stronger kind tells apart.
"""

from base64 import b32encode
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.dialling import leads_abroad
from analyzer.grouping import coded, numbered, words
from analyzer.links import OWN_ACCOUNTS, in_household
from analyzer.tables import ATTACKS, CAMPAIGNS, OUTCOMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRENGTH = {
    "number": 1, "leak": 1, "setup": 1, "token": 1, "decoded": 1, "identity": 2, "account": 3, "script": 3,
    "handwriting": 3,
}  # fmt: skip
"""How strongly each kind of key joins; 1 is the strongest. Guesses at two accounts are not told apart by them."""
WORDS = {
    "number": "the same wanted number {}",
    "leak": "the same leaked address {}",
    "setup": "the same leaked address {}, in the same handwriting",
    "token": "the same token {}",
    "decoded": "tags that name the same target {}",
    "identity": "the same made-up caller {}",
    "account": "guesses at the same account {} in the same handwriting",
    "script": "the same handwriting, of no known tool, against {}",
    "handwriting": "the same handwriting against {}, close in time",
}
WEAK = ("account", "script", "handwriting")
"""The kinds of key that need not be told where a stronger one says it all."""
SMALL = 20_000
"""Up to how many nodes and edges a graph is followed here; scipy, which is faster, takes longer to be imported."""
SHOWN = 6
"""How many reasons a campaign lists at the most for each kind of key."""


@dataclass(frozen=True, kw_only=True)
class Joining:
    """The thresholds of joining and confirming."""

    rest: timedelta = timedelta(hours=24)
    """The silence that separates the attacks of one source."""
    near: timedelta = timedelta(hours=1)
    """The silence that separates attacks in the same handwriting against the same target."""
    turns: timedelta = timedelta(hours=6)
    """The silence that separates sources that take turns at one account."""
    sure: float = 0.5
    """The confidence from which on an attack needs no confirmation."""
    refused: float = 2.0
    """Sources that are refused a number, for each that is put through to it, that make it a wanted one."""
    wanting: int = 3
    """Sources that want one number, each of them only suspect, that confirm each other."""
    sharing: int = 4
    """Sources that share a leak or an identity, each of them only suspect, that confirm each other."""
    trying: int = 5
    """Sources whose credentials for one account were refused, each only suspect, that confirm each other."""
    there: float = 0.5
    """The share of the time in which one source after another asks from which on they may be one telephone."""
    patience: timedelta = timedelta(seconds=5)
    """The time between requests (a try is two) from which on they may be a telephone's."""
    doubt: float = 0.25
    """The confidence from which on a suspicion confirms others; below it, it needs several that are not."""
    writing: int = 10
    """Sources in the same handwriting against the same target, each of them only suspect, that confirm each other."""


def join_campaigns(
    attacks: pd.DataFrame,
    messages: pd.DataFrame,
    *,
    ordinary: Iterable[str] = (),
    joining: Joining | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the attacks that hold, with their campaigns, and the campaigns table, worst first.

    Suspicions that no campaign confirms are left out. The keys in ordinary are carried by customers too: they join
    nobody, but for numbers (a customer may call whom a fraudster calls).
    """
    joining = joining or Joining()
    if attacks.empty:
        return ATTACKS.empty(), CAMPAIGNS.empty()
    attacks = attacks.sort_values(["start", "attack"], kind="stable", ignore_index=True)
    party = _parties(attacks, joining.rest)
    links = _telling(_links(attacks, party, frozenset(ordinary), joining), attacks, party, joining)
    group = _join(party, links, joining)
    links["group"] = group[links["party"]]
    holds = _confirmed(attacks, party, group[party], links, joining)
    attacks, groups = attacks[holds].reset_index(drop=True), group[party][holds]
    if attacks.empty:
        return ATTACKS.empty(), CAMPAIGNS.empty()
    links = links[links["group"].isin(groups)]
    campaigns = _describe(attacks, groups, links, messages)
    named = campaigns.set_index("group")["campaign"]
    attacks = attacks.assign(campaign=named.reindex(groups).to_numpy())
    rank = [OUTCOMES.index(outcome) for outcome in campaigns["outcome"]]
    campaigns = campaigns.assign(rank=rank).sort_values(
        ["rank", "messages", "campaign"], ascending=[False, False, True], kind="stable"
    )
    return ATTACKS.conform(attacks), CAMPAIGNS.conform(campaigns, missing=True)


def prowlers(attacks: pd.DataFrame, joining: Joining | None = None) -> "pd.Series[str]":
    """Return the sources of findings that are sure, or are guesses at an account at which enough others guess.

    Whose guess is accepted seems a customer; what such a thief carries is no customer's habit.
    """
    joining = joining or Joining()
    keys = attacks[["source", "keys"]].explode("keys")
    keys = keys[keys["keys"].astype("str").str.startswith("account:")]
    guessing = keys.groupby("keys")["source"].transform("nunique") >= joining.trying
    sources = [attacks.loc[attacks["confidence"] >= joining.sure, "source"], keys.loc[guessing, "source"]]
    return pd.concat([source.astype("str") for source in sources]).drop_duplicates()


def _parties(attacks: pd.DataFrame, rest: timedelta) -> "NDArray[np.int64]":
    """Return a number for each attack: the same for attacks of one source without a rest between them."""
    ordered = attacks[["source", "start", "end"]].sort_values(["source", "start"], kind="stable")
    source = ordered["source"].cat.codes
    reached = ordered["end"].groupby(source).cummax().groupby(source).shift()
    begins = (source != source.shift()) | (ordered["start"] - reached > pd.Timedelta(rest))
    return np.asarray((begins.cumsum() - 1).reindex(attacks.index), dtype=np.int64)


def _links(
    attacks: pd.DataFrame, party: "NDArray[np.int64]", ordinary: frozenset[str], joining: Joining
) -> pd.DataFrame:
    """Return a row for each party and key: party, key, kind, strength, value, start, end, prefixed, served.

    What customers carry too is left out. Only two whose attacks are sure may still share a handwriting with them:
    a thief who writes like a common telephone is a thief.
    """
    keys = attacks["keys"].tolist()
    of = np.repeat(np.arange(len(attacks)), [len(cell) for cell in keys])
    code, texts = coded(pd.Series(list(chain.from_iterable(keys)), dtype="str"))
    parts = [key.partition(":") for key in texts.to_pylist()]
    known = pd.DataFrame(
        {"key": words(texts), "kind": [kind for kind, _, _ in parts], "value": [value for _, _, value in parts]},
        dtype="str",
    )
    known["strength"] = known["kind"].map(STRENGTH).astype("int64")
    sure = (attacks["confidence"] >= joining.sure).to_numpy()
    spared = ~known["key"].isin(ordinary).to_numpy() | (known["kind"] == "number").to_numpy()
    telling = known["kind"].isin(["setup", "script", "handwriting"]).to_numpy()
    kept = spared[code] | (telling[code] & sure[of])
    of, code = of[kept], code[kept]
    pair = numbered(party[of], code)
    grouped = pd.DataFrame(
        {
            "party": party[of],
            "code": code,
            "start": attacks["start"].take(of).array,
            "end": attacks["end"].take(of).array,
            "prefixed": np.array([_abroad(prefixes) for prefixes in attacks["prefixes"]], np.bool_)[of],
            "served": attacks["outcome"].isin(["rang", "answered"]).to_numpy()[of],
            "weighty": (attacks["confidence"] >= joining.doubt).to_numpy()[of],
        }
    ).groupby(pair)
    links = grouped.agg(
        party=("party", "first"), code=("code", "first"), start=("start", "min"), end=("end", "max"),
        prefixed=("prefixed", "any"), served=("served", "any"), weighty=("weighty", "any"),
    )  # fmt: skip
    of_key = known.take(links.pop("code").to_numpy()).set_axis(links.index)
    return pd.concat([of_key, links], axis=1).sort_values(["party", "key"], ignore_index=True)


def _telling(links: pd.DataFrame, attacks: pd.DataFrame, party: "NDArray[np.int64]", joining: Joining) -> pd.DataFrame:
    """Return the links without those of telephones that were given a wrong password.

    Many of one make, each with an account of its own, are a provisioning that went wrong: they share a handwriting. One
    that is given a new address each day shares all that it has with itself.
    """
    doubt = (attacks["confidence"] < joining.sure) & (attacks["kind"] == "password-guessing")
    erring = links["party"].isin(party[doubt]) & ~links["party"].isin(party[~doubt])
    account = links["kind"] == "account"
    together = account & (links.groupby("key")["party"].transform("nunique") > 1)
    # A telephone that moves has an account or two, and is all that there is of them.
    several = account.groupby(links["party"]).transform("sum") > OWN_ACCOUNTS
    alone = erring & links["kind"].isin(["script", "handwriting"]) & ~links["party"].isin(links.loc[together, "party"])
    shared = links["key"].isin(links.loc[account & (~erring | several), "key"])
    moving = _moving(links[together & erring & ~shared], attacks, party, joining)
    return links[~alone & ~(erring & links["party"].isin(moving))].reset_index(drop=True)


def _moving(
    tried: pd.DataFrame, attacks: pd.DataFrame, party: "NDArray[np.int64]", joining: Joining
) -> "pd.Series[Any]":
    """Return the parties that are one telephone, which goes on at another address where it stopped at the last.

    It never is at two addresses, lets little time pass between them, and takes its time between tries.
    """
    ordered = tried.sort_values(["key", "start"], kind="stable")
    requests = pd.Series(attacks["messages"].to_numpy()).groupby(party).sum()
    ordered["lasting"] = ordered["end"] - ordered["start"]
    ordered["pace"] = ordered["lasting"] / ordered["party"].map(requests)
    ordered["late"] = ordered["start"] < ordered["end"].groupby(ordered["key"]).shift()
    keys = ordered.groupby("key").agg(
        start=("start", "min"), end=("end", "max"), lasting=("lasting", "sum"), pace=("pace", "median"),
        late=("late", "any"),
    )  # fmt: skip
    steady = keys["lasting"] >= joining.there * (keys["end"] - keys["start"])
    one = keys.index[steady & ~keys["late"] & (keys["pace"] >= pd.Timedelta(joining.patience))]
    return ordered.loc[ordered["key"].isin(one), "party"]


def _abroad(prefixes: list[str]) -> bool:
    return any(map(_leads_abroad, prefixes))


_leads_abroad = lru_cache(maxsize=4096)(leads_abroad)


def _join(party: "NDArray[np.int64]", links: pd.DataFrame, joining: Joining) -> "NDArray[np.int64]":
    """Return the group of each party: first by the strongest keys, then each weaker kind places what is left."""
    count = int(party.max()) + 1
    group = np.arange(count)
    anchored = np.zeros(count, np.bool_)
    # What only one has ties it to nobody, and keeps it from nobody; but for a number, which is what it wants.
    common = (links.groupby("key")["party"].transform("nunique") > 1) | (links["kind"] == "number")
    for strength in sorted(set(STRENGTH.values())):
        level = links[common & (links["strength"] == strength)]
        if strength == STRENGTH["handwriting"]:
            pauses = {"account": joining.turns, "script": joining.rest, "handwriting": joining.near}
            level = pd.concat([_apart(level[level["kind"] == kind], pause) for kind, pause in pauses.items()])
        group, anchored = _place(group, anchored, level)
    return group


def _apart(links: pd.DataFrame, near: timedelta) -> pd.DataFrame:
    """Return the links with keys that a silence longer than near splits."""
    ordered = links.sort_values(["key", "start"], kind="stable")
    reached = ordered["end"].groupby(ordered["key"]).cummax().groupby(ordered["key"]).shift()
    begins = (ordered["start"] - reached > pd.Timedelta(near)).groupby(ordered["key"]).cumsum()
    return ordered.assign(key=ordered["key"] + "#" + begins.astype("str"))


def _place(
    group: "NDArray[np.int64]", anchored: "NDArray[np.bool_]", links: pd.DataFrame
) -> "tuple[NDArray[np.int64], NDArray[np.bool_]]":
    """Return the groups after one kind of keys: anchored groups attract, and are never joined with each other."""
    if links.empty:
        return group, anchored
    pairs = links.assign(group=group[links["party"]], anchored=anchored[links["party"]])
    held = pairs[pairs["anchored"]].groupby("key")["group"].nunique()
    pairs = pairs[~pairs["anchored"] | pairs["key"].map(held).astype("float64").fillna(0).eq(1)]
    merged = _components(group, pairs)
    anchors = pd.DataFrame({"merged": merged, "old": np.where(anchored, group, -1)})
    clash = anchors[anchors["old"] >= 0].drop_duplicates().groupby("merged").size()
    if (clash > 1).any():
        merged = _components(group, pairs[~pairs["anchored"]])
    touched = np.isin(merged, merged[links["party"]])
    return merged, anchored | touched


def _components(group: "NDArray[np.int64]", pairs: pd.DataFrame) -> "NDArray[np.int64]":
    """Return the groups after joining all groups that share a key, numbered anew."""
    keys = pd.factorize(pairs["key"])[0] + group.max() + 1
    size = int(max(keys.max(initial=0), group.max())) + 1
    connect = _connect_few if size + len(keys) <= SMALL else _connect_many
    return connect(pairs["group"].to_numpy(), keys, size)[group]


def _connect_many(ones: "NDArray[np.int64]", others: "NDArray[np.int64]", size: int) -> "NDArray[np.int64]":
    """Return the component of each of so many nodes, of which each one is connected with the other."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(
        coo_matrix((np.ones(len(ones)), (ones, others)), shape=(size, size)), directed=False
    )
    return np.asarray(labels, dtype=np.int64)


def _connect_few(ones: "NDArray[np.int64]", others: "NDArray[np.int64]", size: int) -> "NDArray[np.int64]":
    """Return the same, in less time than scipy takes to be imported."""
    above = list(range(size))

    def root(node: int) -> int:
        while above[node] != node:
            above[node] = node = above[above[node]]
        return node

    for one, other in zip(ones.tolist(), others.tolist(), strict=True):
        first, second = root(one), root(other)
        above[max(first, second)] = min(first, second)
    return np.unique([root(node) for node in range(size)], return_inverse=True)[1]


def _confirmed(
    attacks: pd.DataFrame,
    party: "NDArray[np.int64]",
    group: "NDArray[np.int64]",
    links: pd.DataFrame,
    joining: Joining,
) -> "pd.Series[bool]":
    """Say which attacks hold: those that are sure, and suspicions in good company.

    A suspicion of a party that has a sure attack adds nothing, unless it is a breach. Who is put through, or dials a
    number without a prefix that leads abroad, joins a campaign but confirms none: any carrier may call. Nor is a number
    wanted that most reach. An address from the factory of a router confirms no more than a handwriting does.
    """
    sure = attacks["confidence"] >= joining.sure
    company = pd.Series(sure.groupby(group).transform("any").to_numpy(), index=attacks.index)
    needed = {"number": joining.wanting, "account": joining.trying}
    needed |= dict.fromkeys(("script", "handwriting"), joining.writing)
    calls = links["kind"] == "number"
    counted = links[(links["prefixed"] | ~calls) & ~links["served"] & links["weighty"]]
    shared = counted.groupby(["group", "kind", "key"], observed=True)["party"].nunique().reset_index()
    reached = links[calls & links["served"]].groupby("key")["party"].nunique()
    shared = shared[shared["party"] >= joining.refused * shared["key"].map(reached).astype("float64").fillna(0)]
    needs = shared["kind"].map(needed).astype("float64").fillna(joining.sharing)
    homely = (shared["kind"] == "setup").to_numpy(dtype=np.bool_, copy=True)
    homely[homely] = [in_household(key[len("setup:") :].rpartition("/")[0]) for key in shared.loc[homely, "key"]]
    enough = shared["party"] >= needs.mask(homely, joining.writing)
    crowd = np.isin(group, shared.loc[enough, "group"].unique())
    weighty = (attacks["confidence"] >= joining.doubt).to_numpy()
    backed = pd.Series(party[weighty]).groupby(group[weighty]).nunique().reindex(group, fill_value=0).to_numpy()
    alone = ~sure.groupby(party).transform("any") | (attacks["outcome"] == "breached")
    return sure | ((company | crowd) & alone & (weighty | (backed >= joining.sharing)))


def _describe(
    attacks: pd.DataFrame, group: "NDArray[np.int64]", links: pd.DataFrame, messages: pd.DataFrame
) -> pd.DataFrame:
    grouped = attacks.groupby(group)
    campaigns = grouped.agg(start=("start", "min"), end=("end", "max"))
    campaigns["outcome"] = grouped["outcome"].agg(lambda words: max(words, key=OUTCOMES.index))
    campaigns["kinds"] = grouped["kind"].agg(lambda kinds: list(dict.fromkeys(kinds)))
    campaigns["sources"] = grouped["source"].agg(lambda values: sorted(set(values)))
    campaigns["tools"] = grouped["tool"].agg(lambda values: sorted(set(values.dropna())))
    for name in ("targets", "numbers", "prefixes", "accounts", "passwords", "found", "breached", "answered"):
        campaigns[name] = grouped[name].agg(lambda cells: sorted({value for cell in cells for value in cell}))
    campaigns["confidence"] = _confidence(grouped["confidence"].max(), campaigns["sources"].str.len())
    campaigns["messages"] = _messages(campaigns, messages)
    reasons = _reasons(links)
    rows = campaigns.to_dict("records")
    campaigns["reasons"] = [
        reasons.get(number) or _alone(row) for number, row in zip(campaigns.index, rows, strict=True)
    ]
    campaigns["title"] = [title(row) for row in rows]
    campaigns["campaign"] = _ids(campaigns, links)
    return campaigns.rename_axis("group").reset_index()


def _confidence(best: "pd.Series[float]", sources: "pd.Series[int]") -> "pd.Series[float]":
    """Return the best confidence of an attack; for suspicions alone, what their number makes of them."""
    return best.where(best >= 0.5, (0.6 + 0.02 * sources).clip(upper=0.95))


def _messages(campaigns: pd.DataFrame, messages: pd.DataFrame) -> "pd.Series[int]":
    """Return how many requests the sources of each campaign sent while it lasted."""
    members = campaigns["sources"].explode().rename("source").rename_axis("group").reset_index()
    members["source"] = messages["source"].cat.categories.get_indexer(pd.Index(members["source"], dtype="str"))
    members = members.merge(campaigns[["start", "end"]], left_on="group", right_index=True)
    taking_part = np.zeros(len(messages["source"].cat.categories) + 1, np.bool_)
    taking_part[members["source"]] = True
    taking_part[-1] = False
    source = messages["source"].cat.codes.to_numpy()
    rows = np.flatnonzero(taking_part[source] & messages["status"].isna().to_numpy())
    sent = pd.DataFrame({"source": source[rows].astype(np.int64), "time": messages["time"].take(rows).array})
    sent = sent.merge(members, on="source")
    during = sent[(sent["time"] >= sent["start"]) & (sent["time"] <= sent["end"])]
    return during.groupby("group").size().reindex(campaigns.index, fill_value=0)


def _reasons(links: pd.DataFrame) -> dict[int, list[str]]:
    """Return, for each group, what its parties share, the strongest and the most shared first.

    Where one reason covers all of them, weaker kinds need not be told.
    """
    shared = links.groupby(["group", "strength", "kind", "value"], observed=True)["party"].nunique().reset_index()
    shared = shared[shared["party"] >= 2].sort_values(
        ["group", "strength", "kind", "party", "value"], ascending=[True, True, True, False, True]
    )
    shared = shared[shared.groupby(["group", "kind"]).cumcount() < SHOWN]
    leaked = set(zip(shared["group"], shared["value"].where(shared["kind"] == "leak"), strict=True))
    reasons: dict[int, list[str]] = {}
    parties_of = links.groupby("group")["party"].nunique()
    settled: set[int] = set()
    columns = (shared[name].tolist() for name in ("group", "kind", "value", "party"))
    for group, kind, key, parties in zip(*columns, strict=True):
        value = _shown(kind, key)
        if (kind == "setup" and (group, value) in leaked) or (kind in WEAK and group in settled):
            continue
        if parties == parties_of[group]:
            settled.add(group)
        said = WORDS[kind].format(value)
        sentence = f"{said} ({parties:,} sources)"
        known = reasons.setdefault(group, [])
        if not any(told.startswith(said) for told in known):
            known.append(sentence)
    return reasons


def _shown(kind: str, value: str) -> str:
    if kind in ("script", "handwriting"):
        return value.partition("@")[2]
    if kind == "setup":
        return value.rpartition("/")[0]
    if kind == "identity":
        user, _, name = value.partition("|")
        return f'"{name}" <{user}>' if name else user
    return value.rpartition("/")[0].replace("@", " at ") if kind == "account" else value


def _alone(campaign: Mapping[Hashable, Any]) -> list[str]:
    """Return the reason of a campaign that no key had to join."""
    kinds = len(campaign["kinds"])
    return [f"one source, {kinds} kinds of attack without a rest" if kinds > 1 else "one source, one attack"]


KIND_WORDS = {"password-guessing": "password guessing", "toll-fraud": "toll fraud", "ghost-call": "ghost calls"}


def title(campaign: Mapping[Hashable, Any]) -> str:
    """Return a campaign in a few words: its tools, what it did, and what it wanted."""
    kinds = [KIND_WORDS.get(kind, kind) for kind in campaign["kinds"] if kind != "tool"]
    does = ", ".join(kinds) or "scanning"
    if campaign["numbers"]:
        wanted = " and ".join("+" + number for number in campaign["numbers"][:2])
        does += f" to {wanted}" + (f" and {len(campaign['numbers']) - 2} more" if len(campaign["numbers"]) > 2 else "")
    return f"{', '.join(campaign['tools'])}: {does}" if campaign["tools"] else does


def _ids(campaigns: pd.DataFrame, links: pd.DataFrame) -> list[str]:
    """Return an id for each campaign: a hash of its strongest key, so that it has the same id in another capture."""
    ranked = links.groupby(["group", "strength", "kind", "value"], observed=True)["party"].nunique().reset_index()
    order = {kind: place for place, kind in enumerate(STRENGTH)}
    ranked["place"] = ranked["kind"].map(order)
    ranked = ranked.sort_values(["group", "place", "party", "value"], ascending=[True, True, False, True])
    strongest = ranked.drop_duplicates("group").set_index("group").to_dict("index")
    ids: list[str] = []
    for number, sources in campaigns["sources"].items():
        best = strongest.get(number)
        if best and (best["strength"] < STRENGTH["account"] or len(sources) > 1):
            key = f"{best['kind']}:{best['value']}"
        else:
            key = f"source:{sources[0]}"
        ids.append(_id(key, ids))
    return ids


def _id(key: str, taken: list[str]) -> str:
    digest = b32encode(blake2b(key.encode(errors="replace"), digest_size=20).digest()).decode().lower()
    length = 4
    while digest[:length] in taken and length < len(digest):
        length += 2
    return digest[:length]
