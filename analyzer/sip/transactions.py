"""Requests joined with what became of them: answers, retransmissions, credentials, proofs.

A response belongs to the request with the same Call-ID, CSeq, topmost branch, From tag and To user
(RFC 3261 17.1.3 asks for branch and method alone; scanners reuse branches) that its destination sent.
Neither the order of times nor the port of the reply counts: clocks step back and servers reply from elsewhere.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.sip.hashing import Hasher, mix, number_hashes
from analyzer.tables import MESSAGES
from analyzer.workers import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Truth = NDArray[np.bool_]
    Hashes = NDArray[np.uint64]
    Numbers = NDArray[np.int16] | NDArray[np.int32] | NDArray[np.int64]

RINGING = (180, 181, 182, 183)
"""The provisional answers that mean that a telephone was reached (RFC 3261 21.1)."""
CHALLENGES = (401, 407)
"""The answers that ask for credentials (RFC 3261 22.2, 22.3)."""
SERVED = ("REGISTER", "INVITE", "SUBSCRIBE", "PUBLISH", "MESSAGE")
"""The methods whose challenge is a server's: what telephones ask servers for."""
CREDENTIALS = "credentials for the server's nonce"
ACKNOWLEDGED = "an ACK with the server's tag"
CONNECTED = "a TCP connection that the server answered on"
_PROOFS = (CONNECTED, ACKNOWLEDGED, CREDENTIALS)
"""The reply-dependent steps, in the order of their words."""


def follow(messages: pd.DataFrame, *, threads: int = 1) -> pd.DataFrame:
    """Return the messages table with the columns answer … proof filled in.

    Linear in the number of messages; retransmissions share the answer of their transaction. Of several threads it
    can use two.
    """
    if messages.empty:
        return MESSAGES.conform(messages, missing=True)
    columns = _Followed(messages, threads).columns()
    return MESSAGES.conform(messages.assign(**columns))


class _Followed:
    """One messages table, its columns as hashes, and what is asked of them more than once.

    Of a million messages each column of hashes takes 8 MB: none is kept, they are made again where they are needed.
    Two steps at the most go on at a time, and what they share is not written.
    """

    def __init__(self, messages: pd.DataFrame, threads: int) -> None:
        self._messages = messages
        self._threads = threads
        self._hasher = Hasher()
        self.status = _numbers(messages["status"], 0).astype(np.int16)
        method = messages["method"]
        self.request: Truth = messages["status"].isna().to_numpy() & method.notna().to_numpy()
        self._register, self._ack = ((method == name).to_numpy() for name in ("REGISTER", "ACK"))
        self._authorized: Truth = self.request & messages["authorized"].to_numpy()

    def _hashes(self, name: str, rows: "NDArray[Any] | None" = None) -> "Hashes":
        """Return a column as hashes, or some rows of it, which ascend."""
        return self._hasher.column(self._messages[name], rows)

    def _both(self, one: "Callable[[], Any]", other: "Callable[[], Any]") -> "Iterator[Any]":
        """Yield what two steps return, which go on at the same time if there are threads for it."""
        return in_threads(lambda step: step(), (one, other), threads=self._threads)

    def columns(self) -> dict[str, Any]:
        """Return the columns to fill in."""
        request = self.request
        proofs, (known, strict, loose, count) = self._both(self._proof, self._transactions)
        asking = request & known
        final, reply, answered = self._answers(asking, strict, loose, count)
        missing = final == 0
        # Nobody says anything on a connection before the handshake has come back (RFC 9293 3.5).
        connected = request & ~missing & self._messages["transport"].isin(["tcp", "ws"]).to_numpy()
        proofs[connected & (proofs < 0)] = _PROOFS.index(CONNECTED)
        rang = asking & _groups(loose[np.isin(self.status, RINGING)], count)[loose]
        repeated = asking & ~_firsts(asking, strict, count)
        del strict, loose
        pursued, from_server = self._both(lambda: self._pursued(final), lambda: self._from_server(answered))
        packet = self._messages["packet"].to_numpy()[reply]
        packet[missing] = 0
        return {
            "answer": pd.arrays.IntegerArray(final.astype(np.int64), missing),
            "answer_packet": pd.arrays.IntegerArray(packet, missing.copy()),
            "rang": rang,
            "repeated": repeated,
            "pursued": pursued,
            "in_dialog": request & self._messages["to_tag"].notna().to_numpy(),
            "from_server": from_server,
            "proof": _words(proofs, _PROOFS),
        }

    def _transactions(self) -> "tuple[Truth, Numbers, Numbers, int]":
        """Return which rows have a Call-ID or a branch, and the number of each row's transaction.

        First with the server among what makes a transaction, then without; last, how many numbers there are at most.
        """
        known = self._messages["call_id"].notna().to_numpy() | self._messages["branch"].notna().to_numpy()
        loose = mix(self._asked())
        strict, count = number_hashes(mix((loose, self._side("destination", "source"))))
        example = np.empty(count, np.int32)
        example[strict] = np.arange(len(strict), dtype=np.int32)
        loose = loose[example]
        wider, _ = number_hashes(loose)
        return known, strict, wider[strict], count

    def _asked(self) -> "Iterator[NDArray[Any]]":
        """Yield what makes a transaction but for the server, one after the other, so that few are in memory."""
        yield self._side("source", "destination")
        yield self._hashes("call_id")
        yield _numbers(self._messages["cseq"], -1)
        yield from map(self._hashes, ("branch", "from_tag", "to_user", "method"))

    def _side(self, asking: str, telling: str) -> "Hashes":
        """Return a column of requests, and another of responses."""
        hashes = self._hashes(asking)
        rows = np.flatnonzero(~self.request)
        hashes[rows] = self._hashes(telling, rows)
        return hashes

    def _answers(
        self, request: "Truth", strict: "Numbers", loose: "Numbers", count: int
    ) -> "tuple[Numbers, Numbers, Truth]":
        """Return the final status (0: none) and its row for each request, and which responses have a request."""
        status = self.status
        final, reply = np.zeros(len(status), np.int16), np.zeros(len(status), np.int32)
        answered = np.zeros(len(status), np.bool_)
        for group in (strict, loose):
            responses = np.flatnonzero((status >= 200) & ~answered)
            if not len(responses):
                break
            best = _best(group, responses, status, count)
            asking = np.flatnonzero(request & (final == 0))
            asking = asking[best[group[asking]] >= 0]
            found = best[group[asking]]
            final[asking], reply[asking] = status[found], found
            answered |= (status > 0) & _groups(group[asking], count)[group]
        return final, reply, answered

    def _pursued(self, final: "Numbers") -> "Truth":
        """Say which requests were challenged and followed by credentials, in the same call or for the same account."""
        challenged = self.request & ~self._authorized & np.isin(final, CHALLENGES)
        rows, credentials = np.flatnonzero(challenged), np.flatnonzero(self._authorized)
        if not len(rows) or not len(credentials):
            return np.zeros(len(final), np.bool_)
        for names in (("source", "call_id", "from_user"), ("source", "destination", "from_user", "method", "to_user")):
            sought, seen = (mix(self._hashes(name, at) for name in names) for at in (rows, credentials))
            rows = rows[~_among(sought, seen)]
        challenged[rows] = False
        return challenged

    def _from_server(self, answered: "Truth") -> "Truth":
        """Say which requests came from addresses that challenged or registered somebody who had asked for it.

        Anybody who is called can challenge the BYE, and who is pinged the OPTIONS: that makes nobody a server.
        """
        registered = (self.status >= 200) & (self.status <= 299) & self._register
        challenged = np.isin(self.status, CHALLENGES) & self._messages["method"].isin(SERVED).to_numpy()
        replies = np.flatnonzero(answered & (registered | challenged))
        found = np.zeros(len(answered), np.bool_)
        rows = np.flatnonzero(self.request)
        found[rows] = _among(self._hashes("source", rows), pd.unique(self._hashes("source", replies)))
        return found

    def _proof(self) -> "NDArray[np.int8]":
        """Return which of _PROOFS a request is (-1: none): it could not have been sent without reading a response."""
        codes = np.full(len(self.status), -1, np.int8)
        challenge = np.isin(self.status, CHALLENGES)
        for word, asking, telling, name, own in (
            (ACKNOWLEDGED, self.request & self._ack, self.status >= 200, "to_tag", ("call_id",)),
            (CREDENTIALS, self._authorized, challenge, "nonce", ()),
        ):
            present = self._messages[name].notna().to_numpy()
            rows, replies = np.flatnonzero(asking & present), np.flatnonzero(telling & present)
            if not len(rows) or not len(replies):
                continue
            sent = mix(self._hashes(part, rows) for part in ("source", *own, name))
            heard = mix(self._hashes(part, replies) for part in ("destination", *own, name))
            codes[rows[_among(sent, heard)]] = _PROOFS.index(word)
        return codes


def _numbers(column: "pd.Series[Any]", missing: int) -> "Numbers":
    """Return a column of numbers with another for the missing."""
    return column.to_numpy(dtype=np.int64, na_value=missing)


def _groups(members: "Numbers", count: int) -> "Truth":
    """Say which of count groups have members."""
    having = np.zeros(count, np.bool_)
    having[members] = True
    return having


def _firsts(rows: "Truth", group: "Numbers", count: int) -> "Truth":
    """Say which of rows are the first of their group."""
    at = np.flatnonzero(rows)[::-1]
    first = np.zeros(count, np.int64)
    first[group[at]] = at
    found = np.zeros(len(rows), np.bool_)
    found[at] = first[group[at]] == at
    return found


def _best(group: "Numbers", responses: "Numbers", status: "Numbers", count: int) -> "Numbers":
    """Return the response that counts for each group, -1 for none: the first success, else the first refusal."""
    best = np.full(count, -1, np.int64)
    responses = responses[::-1]
    best[group[responses]] = responses
    success = responses[status[responses] < 300]
    best[group[success]] = success
    return best


def _among(hashes: "Hashes", others: "Hashes") -> "Truth":
    """Say which of hashes are among others."""
    if len(others) > len(hashes):
        others = others[pd.Index(others).isin(hashes)]
    return np.asarray(pd.Index(hashes).isin(others))


def _words(codes: "NDArray[np.int8]", words: tuple[str, ...]) -> "pd.Categorical[Any]":
    """Return the categorical of codes into sorted words, of which only those that occur are categories."""
    used = [code for code in range(len(words)) if (codes == code).any()]
    place = np.full(len(words) + 1, -1, np.int8)
    place[used] = np.arange(len(used))
    return pd.Categorical.from_codes(place[codes], categories=pd.Index([words[code] for code in used], dtype="str"))
