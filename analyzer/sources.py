"""Messages to sources: who sent requests, what became of them, and what we make of each."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.evidence import TESTERS, between, opening_requests
from analyzer.grouping import MISSING, coded, count_distinct, merged, runs, sorted_lists, words
from analyzer.quantities import count
from analyzer.sip.hashing import ABSENT, Hasher, number_hashes
from analyzer.tables import SOURCES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

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
    rows = np.flatnonzero(messages["status"].isna() & messages["method"].notna() & messages["source"].notna())
    if not len(rows):
        return SOURCES.empty()
    requests = messages[list(_COLUMNS)].take(rows)
    who, names = _sources(requests)
    by_source = requests["time"].groupby(who)
    sources = pd.DataFrame({"first": by_source.min(), "last": by_source.max(), "requests": by_source.size()})
    sources["methods"] = _counts(who, requests["method"])
    sources["answers"] = _counts(who, requests["answer"].mask(requests["repeated"]))
    account = merged(requests["auth_user"], requests["to_user"], _registering(requests))
    for name, values in {
        "targets": requests["destination"],
        "accounts": pd.Series(account),
        "user_agents": requests["user_agent"],
        "tools": requests["tool"],
    }.items():
        sources[name] = sorted_lists(who, *coded(values))
    sources["proven"] = requests["proof"].astype("str").groupby(who).first()
    sources.index = words(names)[sources.index]
    sources["campaign"] = attacks.sort_values("confidence").groupby(attacks["source"].astype("str"))["campaign"].last()
    known = _innocence(opening_requests(messages) if opening is None else opening)
    sources["why"] = known.reindex(sources.index).fillna("only takes part in calls of others")
    return _verdicts(sources, attacks, suspicions)


_COLUMNS = (
    "time", "source", "destination", "method", "answer", "repeated", "auth_user", "to_user", "user_agent", "tool",
    "proof",
)  # fmt: skip


def _sources(requests: pd.DataFrame) -> "tuple[Numbers, pa.Array]":
    """Return the number of each request's source, in the order of their texts, and the texts."""
    codes, texts = coded(requests["source"])
    used = np.flatnonzero(np.bincount(codes + 1, minlength=len(texts) + 1)[1:])
    names = texts.take(pa.array(used))
    order = pc.array_sort_indices(names).to_numpy()
    number = np.full(len(texts) + 1, MISSING, np.int64)
    number[used[order]] = np.arange(len(order))
    return number[codes], names.take(pa.array(order))


def _registering(requests: pd.DataFrame) -> "NDArray[np.bool_]":
    """Say whose account is that of To: who registers and does not show credentials."""
    return (requests["auth_user"].isna() & (requests["method"] == "REGISTER")).to_numpy()


def _counts(who: "Numbers", values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return 'value count' strings for each source, the most frequent first."""
    codes, texts = coded(values)
    there = codes >= 0
    pair, size = np.unique(who[there] * (len(texts) + 1) + codes[there], return_counts=True)
    source, code = np.divmod(pair, len(texts) + 1)
    order = np.lexsort((np.argsort(pc.array_sort_indices(texts).to_numpy())[code], -size, source))
    text = pc.binary_join_element_wise(
        texts.take(pa.array(code[order])), pc.cast(pa.array(size[order]), pa.large_string()), pa.scalar(" ", texts.type)
    )
    return runs(source[order], text.to_pylist())


def _verdicts(sources: pd.DataFrame, attacks: pd.DataFrame, suspicions: pd.DataFrame | None) -> pd.DataFrame:
    verdict, why = np.full(len(sources), INNOCENT, object), sources["why"].to_numpy(dtype=object)

    def judge(said: "pd.Series[str]", word: str) -> None:
        at = sources.index.get_indexer(said.index)
        verdict[at[at >= 0]], why[at[at >= 0]] = word, said.to_numpy()[at >= 0]

    if suspicions is not None and len(suspicions):
        suspect = suspicions[suspicions["confidence"] >= SUSPECT]
        said = suspect["kind"].map(SUSPICIONS).astype("str").fillna("probes").to_numpy()
        judge(pd.Series(said, index=suspect["source"].astype("str")).groupby(level=0).first(), SUSPICIOUS)
    if len(attacks):
        judge(_accusation(attacks), ATTACKING)
    sources = sources.assign(verdict=verdict, why=why)
    return SOURCES.conform(sources.rename_axis("source").reset_index(), missing=True)


def _accusation(attacks: pd.DataFrame) -> "pd.Series[str]":
    kind = (
        attacks["kind"]
        .astype("str")
        .where(attacks["kind"].astype("str") != "tool", "uses " + attacks["tool"].astype("str").fillna("a known tool"))
    )
    words = kind + " (" + attacks["outcome"].astype("str") + ")"
    table = pd.DataFrame({"source": attacks["source"].astype("str"), "words": words})
    table = table.sort_values("source", kind="stable")
    return runs(table["source"].to_numpy(), table["words"].tolist()).map("; ".join)


CENTRE = 100
"""The calls to ever other numbers that make a call centre."""
PEOPLE = 3
"""The accounts of one address that make an office or a trunk of it."""


def _innocence(requests: pd.DataFrame) -> "pd.Series[str]":
    """Return, for each source of opening requests, what its traffic is, in words."""
    requests = requests[requests["source"].notna()]
    who, names = _sources(requests)
    size = len(names)
    owner = merged(requests["to_user"], requests["auth_user"], requests["auth_user"].notna().to_numpy())
    account = owner.codes.astype(np.int64)
    answer = requests["answer"].to_numpy(dtype=np.int64, na_value=0)
    accepted, authorized = requests["accepted"].to_numpy(), requests["authorized"].to_numpy()
    method = {name: (requests["method"] == name).to_numpy() for name in ("INVITE", "REGISTER", "OPTIONS", "MESSAGE")}
    invite = method["INVITE"]
    success = between(requests["answer"], 200, 299).to_numpy()
    call = np.full(len(requests), MISSING, np.int64)
    hashes = Hasher().column(requests["call_id"], np.flatnonzero(invite))
    call[invite] = np.where(hashes == ABSENT, MISSING, number_hashes(hashes)[0])

    def distinct(codes: "Numbers", mask: "NDArray[np.bool_]") -> "Numbers":
        return count_distinct(who, np.where(mask, codes, MISSING), size)

    def any_of(mask: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
        return np.bincount(who[mask], minlength=size) > 0

    asking = method["REGISTER"] & ~authorized & ~accepted
    facts = pd.DataFrame(
        {
            "server": any_of(requests["from_server"].to_numpy()),
            "registered": distinct(account, accepted & authorized),
            "refused": distinct(account, authorized & np.isin(answer, (401, 403, 407)) & ~invite),
            "uncalled": distinct(call, authorized & invite & (answer >= 400) & ~np.isin(answer, (480, 486, 487))),
            "rejected": distinct(account, asking & (answer >= 300) & (answer < 500) & ~np.isin(answer, (401, 407))),
            "overloaded": distinct(account, asking & (answer >= 500)),
            "challenged": distinct(account, asking & np.isin(answer, (401, 407))),
            "unheard": distinct(account, asking & (answer == 0) & ~requests["mute"].to_numpy()),
            "watch": ~any_of(~method["OPTIONS"]),
            "watched": distinct(coded(requests["destination"])[0], method["OPTIONS"]),
            "calls": distinct(call, invite),
            "talks": distinct(call, invite & success),
            "numbers": distinct(coded(requests["uri_user"])[0], invite),
            "callers": distinct(coded(requests["from_user"])[0], invite),
            "texts": distinct(coded(requests["call_id"])[0], method["MESSAGE"]),
            "served": any_of(accepted),
            "tested": any_of(requests["tool"].isin(TESTERS).to_numpy(dtype=np.bool_)),
            "mute": any_of(requests["mute"].to_numpy()),
        }
    )
    return pd.Series([_fact_words(fact) for fact in facts.itertuples()], index=words(names), dtype="str")


def _fact_words(fact: Any) -> str:  # noqa: ANN401
    facts = []
    if fact.tested:
        facts.append("a load test")
    if fact.server:
        facts.append("a server: it challenges or registers others")
    if fact.registered:
        facts.append(f"credentials accepted for {count(fact.registered, 'account')}{_place(fact)}")
    elif fact.served:
        facts.append("registered without credentials")
    facts += _failures(fact)
    if fact.watch and fact.watched > PEOPLE:
        facts.append(f"keeps alive or monitors {fact.watched:,} servers with OPTIONS")
    elif fact.watch:
        facts.append("keeps alive with OPTIONS")
    facts += _calling(fact)
    if fact.texts:
        facts.append(f"{count(fact.texts, 'text message')}")
    if fact.mute:
        facts.append("answers to it were not captured, or in part")
    return "; ".join(facts) or "nothing that a scanner does"


def _place(fact: Any) -> str:  # noqa: ANN401
    return ": an office or a trunk" if fact.registered >= PEOPLE and not fact.tested else ""


def _failures(fact: Any) -> list[str]:  # noqa: ANN401
    """Say what fails about registrations, and whose fault it looks like."""
    if fact.registered:
        some = f"; for {fact.refused:,} refused at times: a wrong or an old password" if fact.refused else ""
        return [some.removeprefix("; ")] if some else []
    if fact.refused:
        crowd = f" for {fact.refused:,} accounts" if fact.refused >= PEOPLE else ""
        return [f"credentials refused{crowd}, at the pace and in the manner of a telephone: a wrong password"]
    if fact.uncalled:
        return ["calls refused in spite of credentials: a wrong password, no credit or no route"]
    for number, why in (
        (fact.rejected, "refused: closed or unknown to the server"),
        (fact.overloaded, "turned away: the server is overloaded or at fault"),
        (fact.challenged, "challenged, and no credentials: a telephone without its password"),
        (fact.unheard, "without an answer: the server is down or elsewhere"),
    ):
        if number:
            return [f"asks for {count(number, 'account')} of its own, {why}"]
    return []


def _calling(fact: Any) -> list[str]:  # noqa: ANN401
    """Say how many calls there are, and who makes so many."""
    if not fact.calls:
        return []
    said = f"{count(fact.calls, 'call')}, {fact.talks:,} answered"
    if fact.calls < CENTRE or fact.tested or fact.server:
        return [said]
    if 2 * fact.callers >= fact.calls:
        return [said + ": a trunk that hands over the calls of many"]
    if 2 * fact.numbers >= fact.calls:
        return [said + ": a call centre or a trunk"]
    return [said]
