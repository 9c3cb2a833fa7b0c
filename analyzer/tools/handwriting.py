"""What a sender claims to be and what it writes like: two things, and where they contradict each other.

The stack that wrote a message is known by its header order and by the shapes of its tokens, whatever the User-Agent
says (the kinds phone, pbx and stack in signatures.toml). A contradiction accuses nobody: B2BUAs and SBCs write other
people's messages anew, and administrators rename their PBX. It strengthens what behaviour found.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.tools.recognition import fits, judge, words
from analyzer.tools.signatures import WRITERS, Mark, Rule, Signatures, load_signatures

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

CERTAIN = 0.9
"""The confidence from which on a rule is a handwriting."""
SAMPLE = 4
"""How many requests of a source under one User-Agent and in one layout are looked at."""
AGREE = 0.75
"""The share of the requests that were looked at that must show the foreign handwriting."""
COLUMNS = ("source", "user_agent", "claims", "writes", "requests", "packet", "reason")


def writers(messages: pd.DataFrame, signatures: Signatures | None = None) -> "pd.Series[str]":
    """Return the program whose handwriting each request bears, as a category, whatever its User-Agent says.

    Only rules of confidence CERTAIN count, and none that looks at the User-Agent. Responses, and requests in no
    known hand, are left missing. messages may be any rows of the messages table; the index is kept.
    """
    rules = _hands(signatures or load_signatures())
    chosen, _ = judge(messages, rules)
    return pd.Series(words([rule.tool for rule in rules], chosen), index=messages.index, name="writer")


def contradictions(
    messages: pd.DataFrame, signatures: Signatures | None = None, *, sources: "Collection[str] | None" = None
) -> pd.DataFrame:
    """Return which sources claim one program and write like another, as 'claims Cisco IOS, writes like PJSIP'.

    Both sides must be certain: the User-Agent is that of a known program, and the handwriting that of another which
    does not write under that name. One row per source and User-Agent, with COLUMNS: `claims` and `writes` name the
    programs, `requests` counts those of the requests looked at that show it, `packet` is the number of the first of
    them in its capture, `reason` says it in words. messages may be any rows of the messages table, such as the
    requests of attacks; of each source, User-Agent and layout the first SAMPLE requests are looked at. With sources,
    only what they sent is looked at.
    """
    signatures = signatures or load_signatures()
    requests, programs, own = _claiming(messages, signatures, sources)
    hand = writers(requests, signatures)
    looked = requests[["source", "agent", "user_agent", "packet"]].assign(
        writes=hand.astype("str"), foreign=_foreign(requests["agent"].to_numpy(), hand, programs, own, signatures)
    )
    looked["share"] = looked.groupby(["source", "agent"], observed=True)["foreign"].transform("mean")
    shown = looked[looked["foreign"] & (looked["share"] >= AGREE)]
    rows = shown.astype({"source": "str", "user_agent": "str"}).groupby(["source", "user_agent"], sort=True)
    found = rows.agg(agent=("agent", "first"), writes=("writes", "first"), requests=("packet", "size"),
                     packet=("packet", "first")).reset_index()  # fmt: skip
    first = [programs[program] for program in own[found["agent"].to_numpy()].argmax(axis=1)] if len(found) else []
    found["claims"] = pd.array(first, dtype="str")
    found["reason"] = "claims " + found["claims"] + ", writes like " + found["writes"].astype("str")
    return found[list(COLUMNS)]


def _claiming(
    messages: pd.DataFrame, signatures: Signatures, sources: "Collection[str] | None"
) -> "tuple[pd.DataFrame, list[str], NDArray[np.bool_]]":
    """Return the requests to look at, which claim to be known programs, with the number of their User-Agent: agent.

    And what _claims() says of the User-Agents.
    """
    asking = messages["status"].isna() & messages["user_agent"].notna()
    if sources is not None:
        asking &= messages["source"].isin(sources)
    # Until few requests are left, only columns of codes are taken: text takes much longer.
    requests = messages[["source", "user_agent", "layout"]][asking.to_numpy(dtype=bool)]
    agents = requests["user_agent"].cat.remove_unused_categories()
    programs, own = _claims(agents.cat.categories, signatures)
    known = np.asarray(own.any(axis=1), dtype=bool)[agents.cat.codes.to_numpy()]
    requests = requests.assign(agent=agents.cat.codes, row=np.flatnonzero(asking))[known]
    by_hand = ["source", "agent", "layout"]
    first = (requests.groupby(by_hand, observed=True, dropna=False).cumcount() < SAMPLE).to_numpy()
    requests = messages.iloc[requests["row"].to_numpy()[first]].assign(agent=requests["agent"].to_numpy()[first])
    return requests, programs, own


def _claims(agents: pd.Index, signatures: Signatures) -> "tuple[list[str], NDArray[np.bool_]]":
    """Return the phones, PBXs and stacks, and for each of agents (rows) under whose names (columns) it stands."""
    values = pc.utf8_trim_whitespace(pa.array(agents.astype("str"), pa.large_string()))
    named = {tool.name: tool.user_agents for tool in signatures.tools.values() if tool.kind in WRITERS}
    columns = [_any([fits(Mark("user_agent", pattern=name.expression), values) for name in names], len(agents))
               for names in named.values()]  # fmt: skip
    return list(named), np.column_stack([*columns, np.zeros(len(agents), bool)])


def _any(truths: "list[NDArray[np.bool_]]", size: int) -> "NDArray[np.bool_]":
    return np.logical_or.reduce([np.zeros(size, bool), *truths])


def _foreign(
    agent: "NDArray[np.int64]",
    hand: "pd.Series[str]",
    programs: list[str],
    own: "NDArray[np.bool_]",
    signatures: Signatures,
) -> "NDArray[np.bool_]":
    """Say which requests are in a hand that does not write under the name they claim."""
    categories = list(hand.cat.categories)
    column = np.array([*(programs.index(name) if name in programs else len(programs) for name in categories), 0])
    strict = np.array([*(not signatures.tools[name].relays for name in categories), False])
    code = hand.cat.codes.to_numpy()
    return strict[code] & ~own[agent, column[code]]


def _hands(signatures: Signatures) -> list[Rule]:
    """Return the rules that know a handwriting, the surest first."""
    rules = sorted((*signatures.rules, *signatures.hands), key=lambda rule: -rule.confidence)
    return [
        rule
        for rule in rules
        if rule.confidence >= CERTAIN and not any("user_agent" in {mark.column, mark.same_as} for mark in rule.marks)
    ]
