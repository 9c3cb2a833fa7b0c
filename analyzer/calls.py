"""Messages and samples of media to calls: who called whom, how long they talked, and whether audio went both ways.

Audio is seen where RTP came to the address and port that a side announced (SDP), or went from there to an address of
the other side: behind NAT, media comes from another address than the one announced, and goes back to where it came from
(symmetric RTP, RFC 4961). Whose RTP was not recorded is not said to have been silent.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.engines import strays as kinds
from analyzer.grouping import is_among
from analyzer.sip.assembly import assemble
from analyzer.sip.parts import Part
from analyzer.strays import coded_addresses
from analyzer.tables import CALLS, FLOWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Truth = NDArray[np.bool_]
    Texts = pd.Series[str]

TWO_WAY, ONE_WAY, NONE = "two-way", "one-way", "none"
EXCHANGED = "media exchanged"
"""The proof that media went to an address and came from it."""
SLACK = pd.Timedelta("5s")
"""How long before the answer media may begin, and how long after the BYE it may end."""


# --- from what engines saw to the media of each capture


def flows_part(gathering: kinds.Gathering, capture: str) -> Part:
    """Return the rows of the flows table that were gathered of a capture."""
    rows = gathering.of(kinds.MEDIA)
    return Part(
        capture,
        len(rows),
        {
            "source": coded_addresses(rows["source"], len(rows)),
            "source_port": rows["source_port"].astype(np.int64),
            "destination": coded_addresses(rows["destination"], len(rows)),
            "destination_port": rows["destination_port"].astype(np.int64),
            "start": rows["start"].copy(),
            "end": rows["end"].copy(),
        },
    )


def flows_table(parts: Sequence[Part]) -> pd.DataFrame:
    """Return the flows table of all parts."""
    return assemble(FLOWS, parts)


# --- calls


def find_calls(messages: pd.DataFrame, flows: pd.DataFrame) -> pd.DataFrame:
    """Return the calls table: one row for each INVITE outside a dialog that was answered with success.

    Linear in the number of messages and flows.
    """
    answered = messages["answer"].between(200, 299).fillna(value=False).to_numpy(np.bool_)
    invite = (messages["method"] == "INVITE").to_numpy() & messages["status"].isna().to_numpy()
    rows = np.flatnonzero(invite & answered & ~messages["repeated"].to_numpy() & ~messages["in_dialog"].to_numpy())
    if not len(rows):
        return CALLS.empty()
    calls = _plain(messages, rows).rename(columns={"uri_user": "dialled", "media": "caller_media"})
    calls = calls.reset_index(drop=True)
    calls = _with_answers(calls, messages)
    calls = _with_ends(calls, messages)
    if flows.empty:
        return CALLS.conform(calls, missing=True)
    media = _Media(flows)
    audio = _audio(calls, media)
    moved = calls["call_id"].isin(messages["call_id"].take(np.flatnonzero(invite & messages["in_dialog"].to_numpy())))
    audio = audio.where((audio == TWO_WAY) | ~moved)  # a new INVITE may have sent media elsewhere
    return CALLS.conform(calls.assign(audio=audio, proof=_proof(calls, media)))


_TOLD = ["capture", "packet", "call_id", "source", "destination", "uri_user", "media", "answer_packet"]


def _plain(messages: pd.DataFrame, rows: "NDArray[np.intp]") -> pd.DataFrame:
    """Return some messages with words as plain text."""
    told = messages[_TOLD].take(rows)
    return told.astype({name: "str" for name in _TOLD if name not in {"packet", "answer_packet"}})


def _with_answers(calls: pd.DataFrame, messages: pd.DataFrame) -> pd.DataFrame:
    """Return calls with when they were answered, and where the callee asked media to be sent to."""
    good = messages["status"].between(200, 299).fillna(value=False).to_numpy(np.bool_)
    rows = np.flatnonzero(good & messages["packet"].isin(calls["answer_packet"].dropna()).to_numpy())
    replies = messages[["capture", "packet", "call_id", "time", "media"]].take(rows)
    replies = replies.astype({"capture": "str", "call_id": "str", "media": "str", "packet": "Int64"})
    replies = replies.rename(columns={"packet": "answer_packet", "time": "answered_at", "media": "callee_media"})
    key = ["capture", "answer_packet", "call_id"]
    return calls.merge(replies.drop_duplicates(key), on=key, how="left")


def _with_ends(calls: pd.DataFrame, messages: pd.DataFrame) -> pd.DataFrame:
    """Return calls with when, and by whom, they were ended, and how long they lasted.

    A proxy hands on the BYE as it does the INVITE: the one between the same two addresses counts, else the first.
    """
    bye = (messages["method"] == "BYE").to_numpy() & messages["status"].isna().to_numpy()
    byes = messages[["capture", "call_id", "time", "source", "destination"]].take(np.flatnonzero(bye))
    byes = byes[is_among(byes["call_id"], calls["call_id"])]
    byes = byes.astype(dict.fromkeys(("capture", "call_id", "source", "destination"), "str"))
    byes = byes.assign(pair=_pair(byes)).sort_values("time", kind="stable")
    whole = ["capture", "call_id"]
    leg = [*whole, "pair"]
    own = calls.assign(pair=_pair(calls)).merge(byes.drop_duplicates(leg), on=leg, how="left", suffixes=("", "_bye"))
    other = calls[whole].merge(byes.drop_duplicates(whole), on=whole, how="left")
    ended_at = own["time"].fillna(other["time"])
    talked = (ended_at - calls["answered_at"]).dt.total_seconds()
    ender = own["source_bye"]
    by = np.select([ender == calls["source"], ender == calls["destination"]], ["caller", "callee"], "")
    ended_by = pd.Series(by, dtype="str").where(by != "")
    return calls.assign(ended_at=ended_at, talked=talked.where(talked >= 0), ended_by=ended_by)


def _pair(rows: pd.DataFrame) -> "Texts":
    """Return the two addresses of messages as one text, whichever sent."""
    first = rows["source"] < rows["destination"]
    one, two = rows["source"], rows["destination"]
    return _key(one.where(first, two), two.where(first, one))


# --- media


class _Media:
    """When media was seen, by what is asked of it."""

    def __init__(self, flows: pd.DataFrame) -> None:
        capture, source, destination = (flows[name].astype("str") for name in ("capture", "source", "destination"))
        sent = _end(source, flows["source_port"])
        asked = _end(destination, flows["destination_port"])
        self.captures = set(capture.unique())
        self._to = _seen(flows, _key(capture, asked))
        self._from_to = _seen(flows, pd.concat([_key(capture, sent, destination), _key(capture, source, asked)]))

    def to(self, calls: pd.DataFrame, end: "Texts") -> "Truth":
        """Say during which calls media came to an end (address:port)."""
        return self._look(calls, self._to, _key(calls["capture"], end))

    def between(self, calls: pd.DataFrame, sender: "Texts", receiver: "Texts") -> "Truth":
        """Say during which calls media came from an end to an address, or from an address to an end."""
        return self._look(calls, self._from_to, _key(calls["capture"], sender, receiver))

    @staticmethod
    def _look(calls: pd.DataFrame, seen: pd.DataFrame, keys: "Texts") -> "Truth":
        times = seen.reindex(keys).reset_index(drop=True)
        begun = times["start"] <= (calls["ended_at"] + SLACK).fillna(_LATEST)
        going = times["end"] >= (calls["answered_at"] - SLACK).fillna(_EARLIEST)
        found: Truth = (begun & going & keys.notna()).to_numpy(np.bool_)
        return found


_EARLIEST, _LATEST = pd.Timestamp(0, tz="UTC"), pd.Timestamp("2260-01-01", tz="UTC")


def _seen(flows: pd.DataFrame, keys: "Texts") -> pd.DataFrame:
    """Return from when to when there was media of each key; keys may be those of flows more than once."""
    times = flows[["start", "end"]].take(np.tile(np.arange(len(flows)), len(keys) // max(len(flows), 1)))
    grouped = times.groupby(keys.to_numpy())
    return pd.DataFrame({"start": grouped["start"].min(), "end": grouped["end"].max()})


def _key(*parts: "Texts") -> "Texts":
    """Return several texts as one, missing where one is."""
    key = parts[0]
    for part in parts[1:]:
        key = key + "\0" + part
    return key


def _end(address: "Texts", port: "pd.Series[Any]") -> "Texts":
    """Return 'address:port' as the column media has it."""
    shown = address.where(~address.str.contains(":", regex=False), "[" + address + "]")
    return shown + ":" + port.astype("str")


def _host(end: "Texts") -> "Texts":
    """Return the address of 'address:port'."""
    return end.str.rpartition(":")[0].str.strip("[]")


def _audio(calls: pd.DataFrame, media: _Media) -> "Texts":
    """Say whether media was seen in both directions, in one or in none; missing where that cannot be known."""
    caller, callee = calls["caller_media"], calls["callee_media"]
    there = media.to(calls, callee)
    back = media.to(calls, caller)
    for address in (calls["destination"], _host(callee)):
        there = there | media.between(calls, caller, address)
    for address in (calls["source"], _host(caller)):
        back = back | media.between(calls, callee, address)
    known = calls["capture"].isin(media.captures) & (caller.notna() | callee.notna())
    words = np.select([there & back, there | back], [TWO_WAY, ONE_WAY], NONE)
    return pd.Series(words, dtype="str").where(known.to_numpy())


def _proof(calls: pd.DataFrame, media: _Media) -> "Texts":
    """Say of which calls media went to the address of the caller itself, and came from it."""
    callee = calls["callee_media"]
    both = media.between(calls, calls["source"], callee) & media.between(calls, callee, calls["source"])
    return pd.Series(EXCHANGED, index=calls.index, dtype="str").where(both)


def prove_by_media(sources: pd.DataFrame, calls: pd.DataFrame) -> pd.DataFrame:
    """Return the sources table; sources without another proof are proven if they exchanged media in a call."""
    shown = set(calls.loc[calls["proof"].notna(), "source"].astype("str"))
    if not shown:
        return sources
    proven = sources["proven"].where(sources["proven"].notna() | ~sources["source"].isin(shown), EXCHANGED)
    return sources.assign(proven=proven)
