"""Messages to sources: who sent requests, what became of them, and what we make of each."""

from typing import Any

import pandas as pd

from analyzer.evidence import lists, opening_requests, runs
from analyzer.tables import SOURCES

ATTACKING, SUSPICIOUS, INNOCENT = "attacking", "suspicious", "innocent"
SUSPICIONS = {
    "toll-fraud": "a stranger who dialled abroad and was refused; nobody else dialled the same",
    "password-guessing": "credentials refused again and again, each time with a Call-ID and a port of its own",
    "probe": "a stranger who asked once or twice",
}
"""What is said of a source that is no more than suspect, by the kind of the finding."""
SUSPECT = 0.4
"""The confidence of an unconfirmed finding from which on its source is called suspicious."""


def judge_sources(
    messages: pd.DataFrame,
    attacks: pd.DataFrame,
    suspicions: pd.DataFrame | None = None,
    *,
    opening: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the sources table: one row for each address that sent requests.

    Args:
        messages: the messages table with transactions followed.
        attacks: the attacks that hold, with their campaigns.
        suspicions: everything the detectors found, before campaigns confirmed it.
        opening: the opening requests of messages, if they are at hand.
    """
    requests = messages[messages["status"].isna() & messages["method"].notna()]
    if requests.empty:
        return SOURCES.empty()
    source = requests["source"].astype("str")
    by_source = requests.groupby(source)
    sources = by_source.agg(first=("time", "min"), last=("time", "max"), requests=("time", "size"))
    sources["methods"] = _counts(source, requests["method"])
    sources["answers"] = _counts(source, requests.loc[~requests["repeated"], "answer"])
    accounts = (
        requests["auth_user"]
        .astype("str")
        .fillna(requests["to_user"].astype("str").where(requests["method"] == "REGISTER"))
    )
    for name, values in {
        "targets": requests["destination"].astype("str"),
        "accounts": accounts,
        "user_agents": requests["user_agent"].astype("str"),
        "tools": requests["tool"].astype("str"),
    }.items():
        sources[name] = lists(source, values)
    sources["proven"] = requests.dropna(subset=["proof"]).groupby(source)["proof"].first().astype("str")
    sources["campaign"] = attacks.sort_values("confidence").groupby(attacks["source"].astype("str"))["campaign"].last()
    sources["why"] = _innocence(messages, opening_requests(messages) if opening is None else opening)
    return _verdicts(sources, attacks, suspicions)


def _counts(source: "pd.Series[Any]", values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return 'value count' strings for each source, the most frequent first."""
    pairs = pd.DataFrame({"source": source.reindex(values.index), "value": values.astype("str")}).dropna()
    sizes = pairs.groupby(["source", "value"], observed=True).size().rename("size").reset_index()
    sizes = sizes.sort_values(["source", "size", "value"], ascending=[True, False, True])
    sizes["text"] = sizes["value"] + " " + sizes["size"].astype("str")
    return runs(sizes, "source", "text")


def _verdicts(sources: pd.DataFrame, attacks: pd.DataFrame, suspicions: pd.DataFrame | None) -> pd.DataFrame:
    sources["verdict"] = INNOCENT
    if suspicions is not None and len(suspicions):
        suspect = suspicions[suspicions["confidence"] >= SUSPECT]
        words = suspect["kind"].map(SUSPICIONS).astype("str").fillna("probes").to_numpy()
        named = pd.Series(words, index=suspect["source"].astype("str")).groupby(level=0).first()
        named = named[named.index.isin(sources.index)]
        sources.loc[named.index, "verdict"] = SUSPICIOUS
        sources.loc[named.index, "why"] = named
    if len(attacks):
        why = _accusation(attacks)
        sources.loc[why.index, "verdict"] = ATTACKING
        sources.loc[why.index, "why"] = why
    return SOURCES.conform(sources.rename_axis("source").reset_index(), missing=True)


def _accusation(attacks: pd.DataFrame) -> "pd.Series[str]":
    kind = (
        attacks["kind"]
        .astype("str")
        .where(attacks["kind"].astype("str") != "tool", "uses " + attacks["tool"].astype("str").fillna("a known tool"))
    )
    words = kind + " (" + attacks["outcome"].astype("str") + ")"
    table = pd.DataFrame({"source": attacks["source"].astype("str"), "words": words})
    return runs(table.sort_values("source", kind="stable"), "source", "words").map("; ".join)


def _innocence(messages: pd.DataFrame, requests: pd.DataFrame) -> "pd.Series[str]":
    """Return, for each source of requests, what its traffic is, in words."""
    source = requests["source"].astype("str")
    fact = requests.assign(
        registered=requests["account"].astype("str").where(requests["accepted"] & requests["authorized"]),
        refused=requests["account"]
        .astype("str")
        .where(requests["authorized"] & requests["answer"].isin([401, 403, 407]).fillna(value=False)),
        watch=requests["method"] == "OPTIONS",
        call=requests["call_id"].where(requests["method"] == "INVITE"),
        talk=requests["call_id"].where((requests["method"] == "INVITE") & requests["answer"].between(200, 299)),
    ).groupby(source)
    facts = fact.agg(
        server=("from_server", "any"), registered=("registered", "nunique"), refused=("refused", "nunique"),
        watch=("watch", "all"), calls=("call", "nunique"), talks=("talk", "nunique"), served=("accepted", "any"),
    )  # fmt: skip
    words = [_fact_words(fact) for fact in facts.itertuples()]
    known = pd.Series(words, index=facts.index, dtype="str")
    every = messages.loc[messages["status"].isna(), "source"].astype("str").unique()
    return known.reindex(every, fill_value="only takes part in calls of others")


def _fact_words(fact: Any) -> str:  # noqa: ANN401
    facts = []
    if fact.server:
        facts.append("a server: it challenges or registers others")
    if fact.registered:
        facts.append(f"credentials accepted for {fact.registered:,} account{'s' if fact.registered > 1 else ''}")
    elif fact.refused:
        facts.append("credentials refused, at the pace and in the manner of a telephone: a wrong password")
    elif fact.served:
        facts.append("registered without credentials")
    if fact.watch:
        facts.append("keeps alive with OPTIONS")
    if fact.calls:
        facts.append(f"{fact.calls:,} call{'s' if fact.calls > 1 else ''}, {fact.talks:,} answered")
    return "; ".join(facts) or "nothing that a scanner does"
