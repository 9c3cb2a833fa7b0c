"""Packets to the messages table and the anomalies table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.engines import TRANSPORTS
from analyzer.sip._block import DESTINATION, FLAWED, LAYOUT, MEDIA, ORIGIN, SOURCE, write_columns
from analyzer.sip.columns import Words, arrow_texts, make_block, readonly, texts_of, with_room
from analyzer.sip.grammar import (
    MANDATORY,
    REASONS,
    Evidence,
    Field,
    Number,
    Reason,
)
from analyzer.sip.parts import Coded, Column, Part, narrow
from analyzer.tables import ANOMALIES, MESSAGES

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from analyzer.engines import Anomaly, Packets

WORDS = {
    "method": Field.METHOD,
    "uri_user": Field.URI_USER,
    "from_name": Field.FROM_NAME,
    "from_user": Field.FROM_USER,
    "from_host": Field.FROM_HOST,
    "to_user": Field.TO_USER,
    "to_host": Field.TO_HOST,
    "via_host": Field.VIA_HOST,
    "user_agent": Field.USER_AGENT,
    "server": Field.SERVER,
    "subject": Field.SUBJECT,
    "auth_user": Field.AUTH_USER,
    "sdp_session": Field.SDP_SESSION,
}
"""The columns of text that repeats, and the field that each shows."""
WORD_FIELDS = tuple(WORDS.values())
TEXTS = {
    "uri": Field.URI,
    "from_tag": Field.FROM_TAG,
    "to_tag": Field.TO_TAG,
    "call_id": Field.CALL_ID,
    "branch": Field.BRANCH,
    "contact": Field.CONTACT,
    "nonce": Field.NONCE,
}
"""The columns of text that seldom repeats, and the field that each shows."""
_TEXT = pa.large_string()
_TRANSPORTS = arrow_texts(np.cumsum([0, *map(len, TRANSPORTS)]), np.frombuffer("".join(TRANSPORTS).encode(), np.uint8))
"""Those words as Arrow has them; pa.array() would look for pandas first."""
CHUNK_ROWS = 1000
"""How many messages are split at a time: few enough to be in the processor's cache when their text is copied.

A power of two would map the fields of a message to the same few lines of that cache."""


def parse(packets: "Packets", *, capture: str) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Return the messages table, a row per packet, and the anomalies table of these packets (RFC 3261).

    Each packet is one datagram; what follows its first message is an anomaly (18.3). The columns that later steps
    fill are missing. An empty value (`User-Agent:`, `sip:@host`, `tag=`) is missing too. Display names, user names of
    credentials and nonces are without their quotes, with their escapes as sent.

    Raises ValueError if a row of packets points outside of its data.
    """
    from analyzer.sip.assembly import assemble

    messages, anomalies = parse_part(packets, capture=capture)
    return assemble(MESSAGES, [messages]), assemble(ANOMALIES, [anomalies])


def parse_part(packets: "Packets", *, capture: str) -> tuple[Part, Part]:
    """Return what parse() returns as parts, to be assembled with those of other blocks.

    Any number of threads may be within it at a time: they hold the interpreter for little of its time.
    """
    if not len(packets):
        return Part(capture), Part(capture)
    _check(packets)
    split = _Split(packets)
    return Part(capture, len(packets), _messages(packets, split)), _anomalies(packets, capture, split)


def _check(packets: "Packets") -> None:
    stop = packets.start + packets.length
    if len(packets) and (packets.start.min() < 0 or packets.length.min() < 0 or stop.max() > len(packets.data)):
        raise ValueError("a packet's payload is not within the data of its block")


class _Split:
    """What the kernel found in all messages."""

    def __init__(self, packets: "Packets") -> None:
        """Run it, again if there was too little room."""
        begin, length, missing = (
            readonly(column.astype(np.int64, copy=False)) for column in (packets.start, packets.length, packets.missing)
        )
        addresses = (
            readonly(readonly(column).reshape(-1).view(np.uint8)) for column in (packets.source, packets.destination)
        )
        given = (readonly(packets.data), begin, length, missing, *addresses)
        block = make_block(WORD_FIELDS, tuple(TEXTS.values()), len(packets), CHUNK_ROWS, int(length.sum()))
        while write_columns(*given, block) < len(packets):
            block = with_room(block)
        self._block = block
        self.numbers = block.numbers
        flawed = int(block.state[FLAWED])
        self.flawed, self.quoted = block.flawed[:flawed], block.quoted[:, :flawed]
        """The rows with anomalies, and what their anomalies quote: shape (Evidence, rows, 2)."""

    def words(self, field: Field) -> Words:
        """Return a column of words."""
        return self._words(WORD_FIELDS.index(field))

    def other_words(self, column: int) -> Words:
        """Return one of the columns LAYOUT to DESTINATION."""
        return self._words(len(WORD_FIELDS) + column)

    def text(self, name: str) -> pa.Array:
        """Return a column of text, with no more memory than it takes."""
        column = list(TEXTS).index(name)
        offsets = self._block.offsets[column].copy()
        return arrow_texts(offsets, self._block.texts[column, : offsets[-1]].copy())

    def _words(self, column: int) -> Words:
        block = self._block
        return Words(block.codes[column], block.places[column, : block.counts[column]], block.store)


# --- the messages table


def _messages(packets: "Packets", split: _Split) -> dict[str, Column]:
    """Return the columns of the messages table as far as the packets tell."""
    numbers = split.numbers
    columns: dict[str, Column] = {
        "time": packets.time.astype(np.int64),
        "packet": narrow(packets.number),
        "transport": Coded(packets.transport.astype(np.int8), _TRANSPORTS),
        "source": _addresses(split.other_words(SOURCE)),
        "source_port": packets.source_port.astype(np.uint16),
        "destination": _addresses(split.other_words(DESTINATION)),
        "destination_port": packets.destination_port.astype(np.uint16),
        "ttl": packets.ttl.astype(np.uint8),
        "status": narrow(numbers[Number.STATUS]),
        "cseq": narrow(numbers[Number.CSEQ]),
        "expires": narrow(numbers[Number.EXPIRES]),
        "authorized": numbers[Number.AUTHORIZED] == 1,
        "layout": _coded(split.other_words(LAYOUT)),
        "sdp_origin": _coded(split.other_words(ORIGIN)),
        "media": _coded(split.other_words(MEDIA)),
        "body_bytes": narrow(numbers[Number.BODY_BYTES]),
        "message_bytes": narrow(numbers[Number.MESSAGE_BYTES]),
    }
    columns.update({name: _coded(split.words(field)) for name, field in WORDS.items()})
    columns.update({name: split.text(name) for name in TEXTS})
    return columns


def _coded(words: Words) -> Coded:
    """Return words as text, their codes narrow."""
    return Coded(narrow(words.codes), words.arrow())


def _addresses(words: Words) -> Coded:
    """Return addresses, their codes narrow."""
    return Coded(narrow(words.codes), words.addresses())


# --- the anomalies table


def _anomalies(packets: "Packets", capture: str, split: _Split) -> Part:
    """Return a row for each thing that is wrong with a message, in the order of the packets."""
    rows, quoted = split.flawed, split.quoted
    if not len(rows):
        return Part(capture)
    numbers = split.numbers[:, rows]
    at, details = [], []
    for reason in Reason:
        having = np.flatnonzero(numbers[Number.ANOMALIES] & (1 << reason))
        at.append(having)
        details.append(_details(packets, reason, rows[having], numbers[:, having], quoted[:, having]))
    reasons = np.repeat(np.arange(len(Reason), dtype=np.int8), [len(having) for having in at])
    order = np.lexsort((reasons, np.concatenate(at)))
    where = rows[np.concatenate(at)[order]]
    columns: dict[str, Column] = {
        "time": packets.time[where].astype(np.int64),
        "packet": narrow(packets.number[where]),
        "reason": _used(reasons[order], list(REASONS.values())),
        "detail": pa.concat_arrays(details).take(pa.array(order)),
    }
    return Part(capture, len(where), columns)


def _used(codes: "NDArray[np.int8]", words: Sequence[str]) -> Coded:
    """Return codes into those of words that they name."""
    used, renumbered = np.unique(codes, return_inverse=True)
    return Coded(narrow(renumbered), pa.array([words[code] for code in used.tolist()], _TEXT))


def list_anomalies(anomalies: "Sequence[Anomaly]", *, capture: str) -> Part:
    """Return an engine's anomalies as a part of the anomalies table."""
    if not anomalies:
        return Part(capture)
    times, numbers, reasons, details = zip(*anomalies, strict=True)
    words = {reason: code for code, reason in enumerate(dict.fromkeys(reasons))}
    columns: dict[str, Column] = {
        "time": np.array(times, np.int64),
        "packet": narrow(np.array(numbers, np.int64)),
        "reason": Coded(narrow(np.array([words[reason] for reason in reasons])), pa.array(words, _TEXT)),
        "detail": pa.array(details, _TEXT),
    }
    return Part(capture, len(anomalies), columns)


QUOTES = {
    Reason.BAD_START_LINE: Evidence.START_LINE,
    Reason.LINE_WITHOUT_COLON: Evidence.LINE,
    Reason.BAD_HEADER_NAME: Evidence.NAME,
    Reason.BAD_LENGTH: Evidence.LENGTH,
    Reason.BAD_CSEQ: Evidence.CSEQ,
    Reason.REPEATED_HEADER: Evidence.REPEATED,
}
"""The anomalies whose detail is what the message says."""
LISTS: dict[Reason, tuple[Number, Sequence[str]]] = {
    Reason.MISSING_HEADER: (Number.ABSENT, MANDATORY),
    Reason.NOT_UTF8: (Number.NOT_UTF8, [name.name.lower() for name in Field]),
}
"""The anomalies whose detail is a list: the number with a bit for each name, and the names."""


def _details(
    packets: "Packets",
    reason: Reason,
    rows: "NDArray[np.int64]",
    numbers: "NDArray[np.int64]",
    quoted: "NDArray[np.int64]",
) -> pa.Array:
    """Return the particulars of one reason as Arrow text; numbers and quoted have a column for each of rows."""
    if reason in QUOTES:
        return texts_of(packets.data, quoted[QUOTES[reason]])
    if reason in LISTS:
        number, names = LISTS[reason]
        return _listed(numbers[number], names)
    control = numbers[Number.CONTROL]
    sentences: dict[Reason, tuple[Any, ...]] = {
        Reason.LENGTH_TOO_LARGE: (numbers[Number.PROMISED], " promised, ", numbers[Number.BODY_BYTES], " there"),
        Reason.SURPLUS: (numbers[Number.SURPLUS], " bytes"),
        Reason.CONTROL_CHARACTER: ("byte ", control % 256, " at offset ", control // 256),
        Reason.CUT: (packets.missing[rows].astype(np.int64), " bytes left out"),
    }
    if reason in sentences:
        return _sentence(*sentences[reason])
    return pa.nulls(len(rows), _TEXT)


def _listed(masks: "NDArray[np.int64]", names: Sequence[str]) -> pa.Array:
    """Return the names of the bits that are set in each mask."""
    distinct, codes = np.unique(masks, return_inverse=True)
    texts = [", ".join(name for bit, name in enumerate(names) if mask >> bit & 1) for mask in distinct.tolist()]
    return pa.array(texts, _TEXT).take(pa.array(codes))


def _sentence(*parts: "str | NDArray[np.int64]") -> pa.Array:
    """Return the parts, numbers as text, joined row by row."""
    joined = [pa.scalar(part, _TEXT) if isinstance(part, str) else pc.cast(pa.array(part), _TEXT) for part in parts]
    return pc.binary_join_element_wise(*joined, pa.scalar("", _TEXT))
