"""Requests joined with what became of them: answers, retransmissions, credentials, proofs.

A response belongs to the request with the same Call-ID, CSeq, topmost branch, From tag and To user
(RFC 3261 17.1.3 asks for branch and method alone; scanners reuse branches) that its destination sent.
Neither the order of times nor the port of the reply counts: clocks step back and servers reply from elsewhere.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.tables import MESSAGES

if TYPE_CHECKING:
    from numpy.typing import NDArray

RINGING = (180, 181, 182, 183)
"""The provisional answers that mean that a telephone was reached (RFC 3261 21.1)."""
CHALLENGES = (401, 407)
"""The answers that ask for credentials (RFC 3261 22.2, 22.3)."""
CREDENTIALS = "credentials for the server's nonce"
ACKNOWLEDGED = "an ACK with the server's tag"

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def follow(messages: pd.DataFrame) -> pd.DataFrame:
    """Return the messages table with the columns answer … proof filled in.

    Linear in the number of messages; retransmissions share the answer of their transaction.
    """
    if messages.empty:
        return MESSAGES.conform(messages, missing=True)
    codes = _codes(messages)
    request = messages["status"].isna().to_numpy() & messages["method"].notna().to_numpy()
    client = np.where(request, codes["source"], codes["destination"])
    server = np.where(request, codes["destination"], codes["source"])
    transaction = [codes[name] for name in ("call_id", "cseq", "method", "branch", "from_tag", "to_user")]
    known = (codes["call_id"] >= 0) | (codes["branch"] >= 0)
    loose, strict = _mix(client, *transaction), _mix(client, server, *transaction)
    final, packet, answered = _answers(messages, request & known, loose, strict)
    columns: dict[str, Any] = {
        "answer": pd.Series(final, index=messages.index).where(final > 0).astype("Int64"),
        "answer_packet": pd.Series(packet, index=messages.index).where(final > 0).astype("Int64"),
        "rang": _rang(messages, request & known, loose),
        "repeated": request & known & pd.Series(np.where(request, strict, 0)).duplicated().to_numpy() & known,
        "pursued": _pursued(messages, codes, request, final),
        "in_dialog": request & messages["to_tag"].notna().to_numpy(),
        "from_server": request & np.isin(codes["source"], _servers(messages, codes, answered)),
        "proof": _proof(messages, codes, request),
    }
    return MESSAGES.conform(messages.assign(**columns))


def _codes(messages: pd.DataFrame) -> "dict[str, NDArray[np.int64]]":
    """Return a code per row for each column that joins messages; -1 is missing."""
    addresses = pd.Index(messages["source"].cat.categories).union(messages["destination"].cat.categories)
    codes = {name: _address_codes(messages[name], addresses) for name in ("source", "destination")}
    for name in ("method", "to_user", "from_user"):
        codes[name] = messages[name].cat.codes.to_numpy().astype(np.int64)
    for name in ("call_id", "branch", "from_tag"):
        codes[name] = pd.factorize(messages[name])[0].astype(np.int64)
    codes["cseq"] = messages["cseq"].fillna(-1).to_numpy(dtype=np.int64)
    return codes


def _address_codes(column: "pd.Series[Any]", addresses: "pd.Index[Any]") -> "NDArray[np.int64]":
    place = np.append(addresses.get_indexer(column.cat.categories), -1)
    return place[column.cat.codes.to_numpy()].astype(np.int64)


def _mix(*columns: "NDArray[np.int64]") -> "NDArray[np.uint64]":
    """Return a 64-bit hash of each row; two of a million rows collide with probability 3e-8."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        mixed = (mixed ^ column.astype(np.uint64)) * _MIX
        mixed ^= mixed >> _SHIFT
    return mixed


def _answers(
    messages: pd.DataFrame, request: "NDArray[np.bool_]", loose: "NDArray[np.uint64]", strict: "NDArray[np.uint64]"
) -> "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]":
    """Return the final status (0: none) and its packet for each request, and which responses have a request."""
    status = messages["status"].fillna(0).to_numpy(dtype=np.int64)
    number = messages["packet"].to_numpy()
    final, packet = np.zeros(len(messages), np.int64), np.zeros(len(messages), np.int64)
    answered = np.zeros(len(messages), np.bool_)
    for key in (strict, loose):
        responses = np.flatnonzero((status >= 200) & ~answered)
        responses = responses[np.lexsort((responses, status[responses] >= 300, key[responses]))]
        keys, first = np.unique(key[responses], return_index=True)
        if not len(keys):
            break
        asking = np.flatnonzero(request & (final == 0))
        place = np.searchsorted(keys, key[asking]).clip(max=len(keys) - 1)
        hit = keys[place] == key[asking]
        found = responses[first[place[hit]]]
        final[asking[hit]], packet[asking[hit]] = status[found], number[found]
        answered |= (status > 0) & np.isin(key, key[asking[hit]])
    return final, packet, answered


def _rang(messages: pd.DataFrame, request: "NDArray[np.bool_]", key: "NDArray[np.uint64]") -> "NDArray[np.bool_]":
    ringing = messages["status"].isin(RINGING).to_numpy()
    return request & np.isin(key, key[ringing])


def _pursued(
    messages: pd.DataFrame,
    codes: "dict[str, NDArray[np.int64]]",
    request: "NDArray[np.bool_]",
    final: "NDArray[np.int64]",
) -> "NDArray[np.bool_]":
    """Say which requests were challenged and followed by credentials, in the same call or for the same account."""
    authorized = request & messages["authorized"].to_numpy()
    challenged = request & ~authorized & np.isin(final, CHALLENGES)
    call = _mix(codes["source"], codes["call_id"], codes["from_user"])
    account = _mix(codes["source"], codes["destination"], codes["from_user"], codes["method"], codes["to_user"])
    return challenged & (np.isin(call, call[authorized]) | np.isin(account, account[authorized]))


def _servers(
    messages: pd.DataFrame, codes: "dict[str, NDArray[np.int64]]", answered: "NDArray[np.bool_]"
) -> "NDArray[np.int64]":
    """Return the codes of the addresses that challenged or registered somebody who had asked for it."""
    status = messages["status"]
    registered = status.between(200, 299) & (messages["method"] == "REGISTER")
    serving = answered & (status.isin(CHALLENGES) | registered).fillna(value=False).to_numpy(dtype=bool)
    return np.unique(codes["source"][serving])


def _proof(
    messages: pd.DataFrame, codes: "dict[str, NDArray[np.int64]]", request: "NDArray[np.bool_]"
) -> "pd.Series[Any]":
    """Name the reply-dependent step that a request is: it could not have been sent without reading a response."""
    nonce, tag = pd.factorize(messages["nonce"])[0], pd.factorize(messages["to_tag"])[0]
    status = messages["status"].fillna(0).to_numpy(dtype=np.int64)
    client = np.where(request, codes["source"], codes["destination"])
    by_nonce, by_tag = _mix(client, nonce), _mix(client, codes["call_id"], tag)
    challenge = np.isin(status, CHALLENGES) & (nonce >= 0)
    final = (status >= 200) & (tag >= 0)
    credentials = request & messages["authorized"].to_numpy() & (nonce >= 0) & np.isin(by_nonce, by_nonce[challenge])
    acknowledged = request & (messages["method"] == "ACK").to_numpy() & (tag >= 0) & np.isin(by_tag, by_tag[final])
    words = np.select([credentials, acknowledged], [CREDENTIALS, ACKNOWLEDGED], "")
    return pd.Series(words, index=messages.index).replace("", None)
