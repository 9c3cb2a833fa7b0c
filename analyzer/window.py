"""The latest messages of a capture that has not ended, in as many rows as there is room for.

Every client keeps its latest messages: where room is short, those who sent most lose first, and of those the oldest.
A slow attack on a busy network stays in view, and so does one message each of many. The client of a message is the
source of a request and the destination of a response, so that a request stays with its answer.
"""

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from analyzer.engines import ADDRESS_BYTES
from analyzer.sip.assembly import assemble, merge, text_array
from analyzer.sip.blocks import parse_pieces
from analyzer.sip.grammar import NONE
from analyzer.sip.parts import Coded, Part
from analyzer.tables import ANOMALIES, MESSAGES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.engines import Packets

    Truth = NDArray[np.bool_]
    Hashes = NDArray[np.uint64]

ANOMALIES_KEPT = 20_000
"""Rows of the anomalies table that are kept, the latest."""
SLACK = 0.8
"""How full the window is after it was thinned out, so that this is seldom done."""
SENT = pa.schema([("source", pa.binary(ADDRESS_BYTES)), ("requests", pa.int64()), ("first", pa.int64()),
                  ("last", pa.int64())])  # fmt: skip
"""Who sent how many requests, and when the first and the last of them was captured, in ns."""


class Block(NamedTuple):
    """What was parsed of one block of a capture."""

    messages: Part
    anomalies: list[Part]
    clients: "Hashes"
    """A hash of the client of each message."""
    sent: pa.Table
    """As SENT, one row for each source."""


def parse_block(pieces: "Sequence[Packets]", capture: str) -> Block | None:
    """Return what the pieces of a block hold, in the order of time; None if that is nothing."""
    part, noted = parse_pieces(pieces, capture=capture)
    anomalies = [each for each in noted if each.rows]
    if not part.rows and not anomalies:
        return None
    clients = _clients(part) if part.rows else np.empty(0, np.uint64)
    return Block(part, anomalies, clients, _sent(part) if part.rows else SENT.empty_table())


class Pending:
    """Blocks that were parsed and wait to be examined; of more than there is room for, the clients' latest messages."""

    def __init__(self, rows: int) -> None:
        """Let about so many messages wait."""
        self.rows = 0
        """How many wait now."""
        self.left_out = 0
        """How many messages will never be examined, since there was no room for them."""
        self._most = rows
        self._blocks: list[Block] = []
        self._lock = Lock()

    @property
    def full(self) -> bool:
        """Whether another block would have messages left out."""
        return self.rows > self._most * SLACK

    def add(self, block: Block) -> None:
        """Let a block wait."""
        with self._lock:
            self._blocks.append(block)
            self.rows += block.messages.rows
            if self.rows > self._most or len(self._blocks) > self._most:
                self._thin()

    def take(self) -> list[Block]:
        """Return what waits, which does not wait any longer."""
        with self._lock:
            blocks, self._blocks, self.rows = self._blocks, [], 0
        return blocks

    def _thin(self) -> None:
        clients = np.concatenate([block.clients for block in self._blocks])
        kept = latest(np.unique(clients, return_inverse=True)[1], int(self._most * SLACK))
        at = np.cumsum([0, *(block.messages.rows for block in self._blocks)])
        for place, block in enumerate(self._blocks):
            mine = kept[at[place] : at[place + 1]]
            if not mine.all():
                self._blocks[place] = block._replace(messages=pick(block.messages, mine), clients=block.clients[mine])
        self._blocks = _merged(self._blocks)
        self.left_out += self.rows - int(kept.sum())
        self.rows = int(kept.sum())


def _merged(blocks: list[Block]) -> list[Block]:
    """Return blocks with what was sent added up in the first, and those without messages joined to it."""
    first, *others = blocks
    sent = add_up([block.sent for block in blocks])
    anomalies = [part for block in blocks for part in block.anomalies][-ANOMALIES_KEPT:]
    kept = [block._replace(anomalies=[], sent=SENT.empty_table()) for block in others if block.messages.rows]
    return [first._replace(anomalies=anomalies, sent=sent), *kept]


def add_up(tables: Sequence[pa.Table]) -> pa.Table:
    """Return one table as SENT, with one row for each source, of several."""
    grouped = pa.concat_tables([SENT.empty_table(), *tables]).group_by("source", use_threads=False)
    summed = grouped.aggregate([("requests", "sum"), ("first", "min"), ("last", "max")])
    return summed.select(["source", "requests_sum", "first_min", "last_max"]).rename_columns(SENT.names).cast(SENT)


def latest(client: "NDArray[Any]", most: int) -> "Truth":
    """Say which of some messages, in their order, are kept: at most `most`, as many of the latest of each client.

    Where there are more clients than that, those of the latest messages keep their last one.
    """
    count = len(client)
    if count <= most:
        return np.ones(count, np.bool_)
    order = np.argsort(client[::-1], kind="stable")  # each client's messages together, the latest first
    grouped = client[::-1][order]
    begins = np.flatnonzero(np.append(True, grouped[1:] != grouped[:-1]))
    sizes = np.diff(np.append(begins, count))
    rank = np.empty(count, np.int64)
    rank[count - 1 - order] = np.arange(count) - np.repeat(begins, sizes)
    share = _share(sizes, most)
    if share:
        return rank < share
    kept = rank == 0
    kept[np.flatnonzero(kept)[:-most]] = False
    return kept


def _share(sizes: "NDArray[np.int64]", most: int) -> int:
    """Return how many messages each client may keep at the most, so that together they are no more than `most`."""
    ordered = np.sort(sizes)
    least = np.append(0, np.cumsum(ordered)[:-1])  # what all smaller ones have together
    left = len(ordered) - np.arange(len(ordered))
    fits = least + ordered * left <= most  # everybody may have as many as this one
    place = int(np.argmin(fits))
    return int((most - least[place]) // left[place])


def pick(part: Part, kept: "Truth") -> Part:
    """Return some rows of a part, with the words that they use."""
    rows = np.flatnonzero(kept)
    return Part(part.capture, len(rows), {name: _picked(column, rows) for name, column in part.columns.items()})


def _picked(column: Any, rows: "NDArray[np.int64]") -> Any:  # noqa: ANN401
    if isinstance(column, Coded):
        codes = column.codes[rows]
        used, renumbered = np.unique(codes[codes != NONE], return_inverse=True)
        fresh = np.full(len(codes), NONE, np.int32)
        fresh[codes != NONE] = renumbered
        return Coded(fresh, column.words.take(pa.array(used)))
    return column.take(pa.array(rows)) if isinstance(column, pa.Array) else column[rows]


# --- clients


def _clients(part: Part) -> "Hashes":
    """Return a hash of the client of each message."""
    asking = part.columns["status"] == NONE
    source, destination = (_hashes(part.columns[name]) for name in ("source", "destination"))
    return np.where(asking, source, destination)


_MIX = np.uint64(0x9E3779B97F4A7C15)


def _hashes(column: Any) -> "Hashes":  # noqa: ANN401
    """Return a hash of each address: who sends from addresses that collide shares room, no more."""
    octets = column.words.buffers()[1]
    halves = np.frombuffer(octets, np.uint64, 2 * len(column.words), column.words.offset * ADDRESS_BYTES)
    halves = halves.reshape(-1, 2)
    return (halves[:, 0] * _MIX ^ halves[:, 1])[column.codes]


def _sent(part: Part) -> pa.Table:
    """Return who sent how many requests of a part, as SENT."""
    asking = (part.columns["status"] == NONE) & (part.columns["method"].codes != NONE)  # type: ignore[union-attr]
    source: Any = part.columns["source"]
    time = part.columns["time"][asking]  # type: ignore[index]
    codes = source.codes[asking].astype(np.int64)
    columns = {
        "source": source.words.take(pa.array(codes)),
        "requests": pa.array(np.ones(len(codes), np.int64)),
        "first": pa.array(time),
        "last": pa.array(time),
    }
    return add_up([pa.table(columns).cast(SENT)])


# --- the window


class Window:
    """The messages and anomalies that an analysis of a live capture looks at, as tables."""

    def __init__(self, rows: int) -> None:
        """Keep about so many messages, before they are followed."""
        self._most = rows
        self.messages = MESSAGES.empty()
        self.anomalies = ANOMALIES.empty()
        self.aged = 0
        """How many messages were examined and are not in the window any more."""

    def add(self, messages: pd.DataFrame, anomalies: pd.DataFrame) -> None:
        """Take in later messages, with their tools recognised; all that are there now may be examined."""
        if len(messages):
            self.messages = _ordered(_joined(self.messages, messages)) if len(self.messages) else messages
        if len(anomalies):
            rows = _joined(self.anomalies, anomalies) if len(self.anomalies) else anomalies
            self.anomalies = _kept(rows, np.arange(len(rows)) >= len(rows) - ANOMALIES_KEPT)

    def age(self, since: pd.Timestamp | None = None) -> None:
        """Let go of what there is no room for, and of what was captured before a time."""
        kept = np.ones(len(self.messages), np.bool_)
        if since is not None and len(self.messages) and self.messages["time"].iloc[0] < since:
            kept = ~(self.messages["time"] < since).to_numpy()
        kept[kept] = latest(_client_codes(self.messages)[kept], self._room(int(kept.sum())))
        if kept.all():
            return
        self.aged += int((~kept).sum())
        self.messages = _kept(self.messages, kept)

    def _room(self, rows: int) -> int:
        return rows if rows <= self._most else int(self._most * SLACK)


def make_tables(blocks: Sequence[Block]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the messages and the anomalies of blocks, as tables."""
    messages = assemble(MESSAGES, [block.messages for block in blocks if block.messages.rows], by_time=True)
    anomalies = assemble(ANOMALIES, [part for block in blocks for part in block.anomalies])
    return messages, anomalies


def _client_codes(messages: pd.DataFrame) -> "NDArray[np.int64]":
    """Return a number for the client of each message."""
    asking = messages["status"].isna().to_numpy()
    source, destination = messages["source"].cat, messages["destination"].cat
    place = source.categories.get_indexer(destination.categories)
    strange = place < 0
    place[strange] = len(source.categories) + np.arange(int(strange.sum()))
    place = np.append(place, NONE)
    return np.where(asking, source.codes.to_numpy(), place[destination.codes.to_numpy()])


def _joined(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return two tables, one below the other, each column in one piece."""
    both = merge([old, new])
    return both.assign(**{name: _whole(both[name]) for name in both.columns if both[name].dtype == "str"})


def _whole(texts: "pd.Series[str]") -> pd.api.extensions.ExtensionArray:
    """Return text in one piece of memory: pieces of pieces would never be given back."""
    return text_array(pa.chunked_array(pa.array(texts.array, pa.large_string())).combine_chunks())


def _ordered(messages: pd.DataFrame) -> pd.DataFrame:
    """Return messages in the order of time."""
    if messages["time"].is_monotonic_increasing:
        return messages
    return messages.sort_values("time", kind="stable", ignore_index=True)


def _kept(table: pd.DataFrame, kept: "Truth") -> pd.DataFrame:
    """Return some rows of a table, with the words that they use."""
    if kept.all():
        return table
    rows = table[kept].reset_index(drop=True)
    columns: dict[str, Any] = {}
    for name in rows.columns:
        if isinstance(rows[name].dtype, pd.CategoricalDtype):
            columns[name] = rows[name].cat.remove_unused_categories().array
        elif rows[name].dtype == "str":
            columns[name] = _whole(rows[name])
    return rows.assign(**columns)
