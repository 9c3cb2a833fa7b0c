"""Columns of text, filled chunk by chunk from spans of bytes, without a Python object per row."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analyzer.engines import ADDRESS_BYTES
from analyzer.sip._block import ESCAPED, OTHERS, STATE, STORE_ROOM, TEXT_ROOM, Block
from analyzer.sip._layout import PEN
from analyzer.sip._text import append_texts
from analyzer.sip._words import RECENT
from analyzer.sip.grammar import LAYOUT_BYTES, NONE, Evidence, Field, Header, Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LITTLE, _PART = 4096, 8
"""The room for words, and for the text of each column, at first: so many bytes, and this part of the messages' own."""


def readonly(array: "NDArray[Any]") -> "NDArray[Any]":
    """Return a contiguous view that cannot be written: the one type that the kernels are compiled for."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def arrow_texts(offsets: "NDArray[np.int64]", data: "NDArray[np.uint8]") -> pa.Array:
    """Return the text between each two offsets, of shape (n + 1,); missing where there is none."""
    present = offsets[1:] > offsets[:-1]
    nulls = len(present) - int(np.count_nonzero(present))
    valid = pa.py_buffer(np.packbits(present, bitorder="little")) if nulls else None
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(data[: offsets[-1]])]
    return pa.Array.from_buffers(pa.large_string(), len(present), buffers, null_count=nulls)


@dataclass(frozen=True)
class Words:
    """A column of text that repeats: a code per row, and each distinct word once."""

    codes: "NDArray[np.int32]"
    """The code of each row; NONE where there is no word."""
    places: "NDArray[np.int64]"
    """Shape (n, 2): where the bytes of each word are in store: start and length."""
    store: "NDArray[np.uint8]"

    @property
    def count(self) -> int:
        """How many distinct words there are."""
        return len(self.places)

    def arrow(self) -> pa.Array:
        """Return the distinct words as text, by code; two that were written differently may be the same text."""
        return texts_of(self.store, self.places)

    def addresses(self) -> pa.Array:
        """Return the distinct words, which are addresses as Packets has them, in the byte order of the network."""
        at = self.places[:, :1] + np.arange(ADDRESS_BYTES)
        octets = self.store[at].view(np.uint64).astype(">u8").view(np.uint8)
        return pa.Array.from_buffers(pa.binary(ADDRESS_BYTES), self.count, [None, pa.py_buffer(octets)])


def texts_of(data: "NDArray[np.uint8]", places: "NDArray[np.int64]") -> pa.Array:
    """Return the text at each place, shape (n, 2), start and length in data; missing where there is none."""
    starts, lengths = np.ascontiguousarray(places.T)
    offsets = np.zeros(len(places) + 1, np.int64)
    out = np.empty(ESCAPED * int(lengths.sum()), np.uint8)
    used = append_texts(readonly(data), starts, lengths, np.ones(len(places), np.uint8), offsets, out)
    return arrow_texts(offsets, out[:used].copy())


def make_block(fields: "Sequence[Field]", texts: "Sequence[Field]", rows: int, chunk: int, text_bytes: int) -> "Block":
    """Return a Block for so many messages of text_bytes in all, that many at a time.

    fields are those of which the words are wanted, texts those of which the text is.
    """
    words, chunk = len(fields) + OTHERS, min(rows, chunk)
    layout = np.empty(chunk * LAYOUT_BYTES, np.uint8)
    store = np.empty(_LITTLE + text_bytes // _PART, np.uint8)
    return Block(
        state=np.zeros(STATE, np.int64),
        word_fields=np.array(fields, np.int64),
        text_fields=np.array(texts, np.int64),
        starts=np.empty((len(Field), chunk), np.int64),
        lengths=np.empty((len(Field), chunk), np.int64),
        odd=np.empty(chunk, np.uint8),
        chunk_numbers=np.empty((len(Number), chunk), np.int64),
        chunk_quoted=np.empty((len(Evidence), chunk, 2), np.int64),
        layout=layout,
        layout_read=readonly(layout),
        spans=np.empty((2, chunk), np.int64),
        values=np.empty((2, len(Header)), np.int64),
        pen=np.empty(PEN, np.int64),
        numbers=np.empty((len(Number), rows), np.int64),
        flawed=np.empty(rows, np.int64),
        quoted=np.empty((len(Evidence), rows, 2), np.int64),
        codes=np.empty((words, rows), np.int32),
        counts=np.zeros(words, np.int64),
        slots=np.full((words, 1 << max(2 * rows - 1, 1).bit_length()), NONE, np.int32),
        hashes=np.empty((words, rows), np.uint64),
        places=np.empty((words, rows, 2), np.int64),
        recent=np.full((words, RECENT), NONE, np.int32),
        store=store,
        store_read=readonly(store),
        offsets=np.zeros((len(texts), rows + 1), np.int64),
        texts=np.empty((len(texts), _LITTLE + text_bytes // _PART), np.uint8),
    )


def with_room(block: "Block") -> "Block":
    """Return a block with the room that its state says is needed."""
    store, texts = block.store, block.texts
    if (needed := int(block.state[STORE_ROOM])) > len(store):
        store = np.empty(max(needed, 2 * len(store)), np.uint8)
        store[: len(block.store)] = block.store
    if (needed := int(block.state[TEXT_ROOM])) > texts.shape[1]:
        texts = np.empty((len(texts), max(needed, 2 * texts.shape[1])), np.uint8)
        texts[:, : block.texts.shape[1]] = block.texts
    return block._replace(store=store, store_read=readonly(store), texts=texts)
