"""What a capture tells of accused sources beside what they are accused of.

Who is a server of ours, at whose address telephones live, and whose attack itself shows that its address is real.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.evidence import FOLLOW_UPS
from analyzer.grouping import is_among

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.analysis import Analysis
    from analyzer.blocking.accusations import Accusation

    Truth = NDArray[np.bool_]

PROVEN = 0.5
"""The share, of the calls of an attack in which there could be a proof, that must have one."""
_COLUMNS = (
    "capture", "packet", "transport", "source", "destination", "method", "uri_user", "to_user", "authorized",
    "auth_user", "answer", "rang", "in_dialog", "from_server", "proof",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What speaks against blocking accused sources, and what for it."""

    servers: Mapping[str, str] = field(default_factory=dict)
    """Those that are servers of ours, and how it shows."""
    telephones: Mapping[str, str] = field(default_factory=dict)
    """Those at whose address telephones live, and how it shows."""
    proofs: Mapping[str, str] = field(default_factory=dict)
    """Those whose attack could not have been sent in their name by another, and why."""
    tables: tuple[pd.DataFrame, ...] = ()
    """The tables with addresses that were seen."""

    def addresses(self) -> Iterable[str]:
        """Yield every address that was seen; those of strays only where they keep a path open, as telephones do."""
        for table in self.tables:
            for name in ("source", "destination"):
                column = table[name].astype("category").cat
                used = np.unique(column.codes.to_numpy())
                yield from column.categories[used[used >= 0]].tolist()


def circumstances(analysis: "Analysis", accused: "Mapping[str, Accusation]") -> Circumstances:
    """Return what the messages of an analysis tell of accused sources."""
    messages, strays = analysis.messages, analysis.strays
    tables = (messages, strays[strays["kind"] == "keep-alive"])
    if messages.empty or not accused:
        return Circumstances(servers=_attacked(accused, analysis), tables=tables)
    request = messages["status"].isna().to_numpy() & messages["method"].notna().to_numpy()
    sent, received = (
        messages[list(_COLUMNS)].take(np.flatnonzero(request & messages[name].isin(list(accused)).to_numpy()))
        for name in ("source", "destination")
    )
    servers = _servers(analysis, accused, sent, received)
    return Circumstances(
        servers=servers,
        telephones=_telephones(accused, sent, received),
        proofs=_proofs(analysis, accused, sent),
        tables=tables,
    )


# --- servers


def _attacked(accused: "Mapping[str, Accusation]", analysis: "Analysis") -> dict[str, str]:
    """Return the accused that others attack: what is attacked is ours."""
    attacks = analysis.attacks
    attacked: dict[str, str] = {}
    for source, targets in zip(attacks["source"].astype("str"), attacks["targets"], strict=True):
        for target in accused.keys() & set(targets) - {source}:
            attacked.setdefault(target, f"it is itself attacked, by {source}")
    return attacked


def _servers(
    analysis: "Analysis", accused: "Mapping[str, Accusation]", sent: pd.DataFrame, received: pd.DataFrame
) -> dict[str, str]:
    servers = _attacked(accused, analysis)
    for source in sent.loc[sent["from_server"], "source"].unique():
        servers.setdefault(str(source), "it challenges or registers others")
    opening = ~received["in_dialog"] & ~received["method"].isin(FOLLOW_UPS) & received["answer"].notna()
    # Our servers watch over telephones, also over one that a thief registered: what he answers makes him no server.
    asked = received[opening & ~received["from_server"]]
    ours = {target for targets in analysis.attacks["targets"] for target in targets} if len(asked) else set()
    for asker, server in asked[["source", "destination"]].drop_duplicates().astype("str").itertuples(index=False):
        if asker not in accused and asker not in ours:
            servers.setdefault(server, f"it answers what others ask, as {asker}")
    return servers


# --- telephones


def _telephones(accused: "Mapping[str, Accusation]", sent: pd.DataFrame, received: pd.DataFrame) -> dict[str, str]:
    """Return the accused at whose address somebody telephones who is none of the attack."""
    found: dict[str, str] = {}
    success = sent[sent["answer"].between(200, 299).fillna(value=False).to_numpy(np.bool_)]
    opening = ~success["in_dialog"] & ~success["method"].isin(FOLLOW_UPS)
    trusted, others = success[success["authorized"]], success[~success["authorized"]]
    for source, account in _distinct(trusted, "source", "auth_user", "to_user"):
        if account not in accused[source].breached:
            found.setdefault(source, f"credentials of account {account} are accepted from there")
    for source, account in _distinct(others[others["method"] == "REGISTER"], "source", "to_user"):
        if account not in accused[source].accounts | accused[source].breached:
            found.setdefault(source, f"account {account} registers from there")
    for source, dialled in _distinct(success[opening & (success["method"] == "INVITE")], "source", "uri_user"):
        if not _part_of(accused[source], dialled):
            found.setdefault(source, f"a call to {dialled} from there is answered, and is none of the attack")
    calls = received[(received["method"] == "INVITE") & ~received["in_dialog"]]
    reached = calls[calls["rang"] | calls["answer"].between(200, 299).fillna(value=False)]
    for source, account in _distinct(reached, "destination", "to_user", "uri_user"):
        if account not in accused[source].accounts | accused[source].breached:
            found.setdefault(source, f"account {account} is called there")
    return found


def _distinct(rows: pd.DataFrame, address: str, *texts: str) -> Iterable[tuple[str, str]]:
    """Return each pair of an address and a text, the first of some that is there; '' where all are missing."""
    pairs = rows[[address, *texts]].drop_duplicates().astype("str")
    text = pairs[texts[0]]
    for name in texts[1:]:
        text = text.fillna(pairs[name])
    return (
        pd.DataFrame({"one": pairs[address], "other": text.fillna("")})
        .drop_duplicates()
        .itertuples(index=False, name=None)
    )


def _part_of(accusation: "Accusation", dialled: str) -> bool:
    """Say whether a call to what was dialled is a part of what a source is accused of."""
    if dialled in accusation.answered | accusation.accounts:
        return True
    return any(dialled.endswith(number) for number in accusation.numbers)


# --- proofs


def _proofs(analysis: "Analysis", accused: "Mapping[str, Accusation]", sent: pd.DataFrame) -> dict[str, str]:
    """Return the accused whose attack could not be sent in their name by another.

    A step that depends on a reply must belong to the attack: to the calls (Call-IDs) of its evidence. Of those in
    which there could be such a step (all but REGISTER without credentials, and OPTIONS, over UDP) half must have one:
    a forged attack may drag in a call of the telephone whose address it forges.
    """
    attacks, calls = analysis.attacks, analysis.calls
    call_ids = analysis.messages["call_id"]
    shown = _evidence(attacks, sent, call_ids)
    words = _proven_calls(sent, call_ids, {call for those in shown.values() for _, call in those})
    media = calls[calls["proof"].notna()]
    for source, call, word in zip(media["source"], media["call_id"], media["proof"], strict=True):
        words[str(source), str(call)] = str(word)
    proofs: dict[str, str] = {}
    for those in shown.values():
        provable = [words[key] for key in those if key in words]
        proven = [word for word in provable if word]
        if proven and len(proven) >= PROVEN * len(provable):
            (source, _) = next(iter(those))
            proofs.setdefault(source, max(set(proven), key=proven.count))
    return {source: word for source, word in proofs.items() if source in accused}


def _evidence(attacks: pd.DataFrame, sent: pd.DataFrame, call_ids: "pd.Series[Any]") -> dict[int, set[tuple[str, str]]]:
    """Return the calls, as source and Call-ID, of the evidence of each attack."""
    captures = sent["capture"].cat.categories
    place = captures.get_indexer(pd.Index(attacks["capture"].astype("str")))
    wanted: dict[int, list[int]] = {}
    for number, (capture, packets) in enumerate(zip(place.tolist(), attacks["evidence"], strict=True)):
        for packet in packets:
            wanted.setdefault((capture << 44) + packet, []).append(number)
    keys = (sent["capture"].cat.codes.to_numpy().astype(np.int64) << 44) + sent["packet"].to_numpy()
    rows = np.flatnonzero(np.isin(keys, np.fromiter(wanted, np.int64, len(wanted))))
    accusers = attacks["source"].tolist()
    shown: dict[int, set[tuple[str, str]]] = {}
    told = sent.take(rows)
    calls = call_ids.loc[told.index].tolist()
    for key, source, call in zip(keys[rows].tolist(), told["source"].tolist(), calls, strict=True):
        for number in wanted[key]:
            if accusers[number] == source and isinstance(call, str):
                shown.setdefault(number, set()).add((source, call))
    return shown


def _proven_calls(sent: pd.DataFrame, call_ids: "pd.Series[Any]", wanted: set[str]) -> dict[tuple[str, str], str]:
    """Return those wanted in which there could be a step that depends on a reply, each with what it is, or ''."""
    answered = sent["answer"].notna().to_numpy()
    provable = sent["authorized"].to_numpy() | sent["proof"].notna().to_numpy()
    provable |= answered & (sent["method"] == "INVITE").to_numpy()
    provable |= answered & sent["transport"].isin(["tcp", "ws"]).to_numpy()
    told = sent.loc[provable, ["source", "proof"]]
    told = told.assign(call_id=call_ids.loc[told.index])
    rows = told[is_among(told["call_id"], list(wanted))].drop_duplicates()
    words: dict[tuple[str, str], str] = {}
    for source, call, proof in zip(rows["source"], rows["call_id"], rows["proof"], strict=True):
        if isinstance(proof, str) or (source, call) not in words:
            words[source, call] = proof if isinstance(proof, str) else ""
    return words
