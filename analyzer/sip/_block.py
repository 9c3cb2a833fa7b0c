"""The compiled loop from the messages of a block to its columns, a chunk of messages at a time.

A chunk is small enough to be in the processor's cache while its words are encoded and its text is copied. As in
_kernels.py, a kernel takes arrays and numbers, raises nothing, and reads only between start and stop. Where room may
run out it returns before it has written anything of the chunk, and is called again with more.
"""

# ruff: noqa: FBT001, PLR0913, PLR0917 -- flat loops over arrays compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

from typing import NamedTuple

import numpy as np

from analyzer.compiled import kernel, part
from analyzer.engines import ADDRESS_BYTES
from analyzer.sip._kernels import split
from analyzer.sip._scan import COLON, SPACE, copy_apart, find
from analyzer.sip._text import append
from analyzer.sip._wide import WIDE
from analyzer.sip._words import encode
from analyzer.sip.grammar import NONE, Field, Number

DONE, FLAWED, STORED, SPARE, STORE_ROOM, TEXT_ROOM, STATE = 0, 1, 2, 3, 4, 5, 6
"""What the state counts: messages that are written, those with anomalies, bytes of store, those at its end for what is
composed; the room that is needed of the store, and of the text of each column."""
LAYOUT, ORIGIN, MEDIA, SOURCE, DESTINATION, OTHERS = 0, 1, 2, 3, 4, 5
"""The columns of words that are no fields of the message, and how many there are."""
COMPOSED = (Field.SDP_NAME, Field.SDP_ADDRESS, Field.MEDIA_ADDRESS, Field.MEDIA_PORT)
"""What ORIGIN and MEDIA are made up of."""
MARKS = 4
"""How many bytes more they have at the most: a blank, two brackets and a colon."""
OPENING, CLOSING = 91, 93
"""[ and ]"""
ESCAPED = 4
"""How many bytes at most one byte becomes as text: `\\xNN`."""


class Block(NamedTuple):
    """What is written of the n messages of a block, and scratch for a chunk of c of them; int64 but where it is said.

    The columns of words are those of word_fields, and behind them LAYOUT to DESTINATION.
    """

    state: np.ndarray
    word_fields: np.ndarray
    text_fields: np.ndarray
    # --- of a chunk: what split() writes
    starts: np.ndarray
    """(Field, c), as lengths."""
    lengths: np.ndarray
    odd: np.ndarray
    """(c,), uint8."""
    chunk_numbers: np.ndarray
    """(Number, c)"""
    chunk_quoted: np.ndarray
    """(Evidence, c, 2)"""
    layout: np.ndarray
    """uint8, LAYOUT_BYTES for each message."""
    layout_read: np.ndarray
    """layout, but read-only: kernels are compiled for one kind of array that is read."""
    spans: np.ndarray
    """(2, c), starts and lengths of layouts, then of what is composed, then of addresses."""
    values: np.ndarray
    pen: np.ndarray
    # --- of the block
    numbers: np.ndarray
    """(Number, n)"""
    flawed: np.ndarray
    """(n,), the messages with anomalies."""
    quoted: np.ndarray
    """(Evidence, n, 2), what the anomalies of each of flawed quote."""
    codes: np.ndarray
    """(words, n), int32."""
    counts: np.ndarray
    """(words,), how many distinct words a column has."""
    slots: np.ndarray
    """(words, a power of two), int32."""
    hashes: np.ndarray
    """(words, n), uint64."""
    places: np.ndarray
    """(words, n, 2), where in the store a word begins, and its length."""
    recent: np.ndarray
    """(words, RECENT), int32."""
    store: np.ndarray
    """uint8, the bytes of the words of all columns; what is composed is written at its end first."""
    store_read: np.ndarray
    """store, but read-only."""
    offsets: np.ndarray
    """(texts, n + 1)"""
    texts: np.ndarray
    """(texts, room), uint8."""


@part
def sum_lengths(block: Block, field: int, rows: int) -> int:
    """Return how many bytes a field has in all messages of a chunk."""
    total = 0
    for row in range(rows):
        total += max(block.lengths[field, row], 0)
    return total


@part
def has_room(block: Block, first: int, rows: int, layout_bytes: int) -> bool:
    """Say whether there is room for the words and the text of a chunk; note how much it takes."""
    words = block.state[STORED] + layout_bytes + 2 * ADDRESS_BYTES * rows
    for field in block.word_fields:
        words += sum_lengths(block, field, rows)
    composed = MARKS * rows
    for field in COMPOSED:
        composed += sum_lengths(block, field, rows)
    words += 2 * composed + WIDE
    grows = 1
    for row in range(rows):
        if block.odd[row]:
            grows = ESCAPED
    text = 0
    for column in range(len(block.text_fields)):
        size = sum_lengths(block, block.text_fields[column], rows)
        text = max(text, block.offsets[column, first] + size * grows)
    block.state[SPARE] = composed
    block.state[STORE_ROOM] = words
    block.state[TEXT_ROOM] = text
    return words <= len(block.store) and text <= block.texts.shape[1]


@part
def keep_numbers(block: Block, first: int, rows: int) -> None:
    """Write what a chunk has in numbers, and which of its messages have anomalies."""
    for number in range(len(block.numbers)):
        for row in range(rows):
            block.numbers[number, first + row] = block.chunk_numbers[number, row]
    for row in range(rows):
        if block.chunk_numbers[Number.ANOMALIES, row]:
            at = block.state[FLAWED]
            block.flawed[at] = first + row
            for evidence in range(len(block.quoted)):
                block.quoted[evidence, at, 0] = block.chunk_quoted[evidence, row, 0]
                block.quoted[evidence, at, 1] = block.chunk_quoted[evidence, row, 1]
            block.state[FLAWED] = at + 1


@part
def compose_origin(data: np.ndarray, block: Block, row: int, at: int) -> int:
    """Write 'user address' of the SDP o= line to the store, the one that is there if only one is; return its end."""
    name, address = block.lengths[Field.SDP_NAME, row], block.lengths[Field.SDP_ADDRESS, row]
    if name > 0:
        copy_apart(data, block.starts[Field.SDP_NAME, row], name, block.store, at)
        at += name
    if name > 0 and address > 0:
        block.store[at] = SPACE
        at += 1
    if address > 0:
        copy_apart(data, block.starts[Field.SDP_ADDRESS, row], address, block.store, at)
        at += address
    return at


@part
def compose_media(data: np.ndarray, block: Block, row: int, at: int) -> int:
    """Write 'address:port' of the first SDP m= line, an IPv6 address in brackets; nothing if either is missing."""
    start, port = block.starts[Field.MEDIA_ADDRESS, row], block.lengths[Field.MEDIA_PORT, row]
    length = block.lengths[Field.MEDIA_ADDRESS, row]
    if length <= 0 or port <= 0:
        return at
    bracketed = find(data, start, start + length, COLON) < start + length
    if bracketed:
        block.store[at] = OPENING
        at += 1
    copy_apart(data, start, length, block.store, at)
    at += length
    if bracketed:
        block.store[at] = CLOSING
        at += 1
    block.store[at] = COLON
    copy_apart(data, block.starts[Field.MEDIA_PORT, row], port, block.store, at + 1)
    return at + 1 + port


@part
def compose(data: np.ndarray, block: Block, rows: int, media: bool) -> None:
    """Write the origin or the media of each message of a chunk to the end of the store, and where it is."""
    at = len(block.store) - block.state[SPARE]
    for row in range(rows):
        block.spans[0, row] = at
        at = compose_media(data, block, row, at) if media else compose_origin(data, block, row, at)
        block.spans[1, row] = at - block.spans[0, row]


@part
def write_words(
    data: np.ndarray, source: np.ndarray, destination: np.ndarray, block: Block, first: int, rows: int
) -> None:
    """Write the codes of a chunk's words."""
    fields = len(block.word_fields)
    for column in range(len(block.codes)):
        text, starts, lengths = data, block.spans[0], block.spans[1]
        if column < fields:
            starts, lengths = block.starts[block.word_fields[column]], block.lengths[block.word_fields[column]]
        elif column == fields + LAYOUT:
            text = block.layout_read
        elif column <= fields + MEDIA:
            text = block.store_read
            compose(data, block, rows, column == fields + MEDIA)
        else:
            text = source if column == fields + SOURCE else destination
            for row in range(rows):
                starts[row] = (first + row) * ADDRESS_BYTES
                lengths[row] = ADDRESS_BYTES
        block.counts[column], block.state[STORED] = encode(
            text, starts, lengths, block.codes[column][first : first + rows], block.slots[column],
            block.hashes[column], block.places[column], block.recent[column], block.store, block.counts[column],
            block.state[STORED],
        )  # fmt: skip


@kernel
def write_columns(
    data: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
    missing: np.ndarray,
    source: np.ndarray,
    destination: np.ndarray,
    block: Block,
) -> int:
    """Write the columns of messages, from the first that is not done; return how many are done, all if there is room.

    data: uint8. begin, length, missing: int64, shape (n,), the payloads and how many bytes each was cut by.
    source, destination: uint8, ADDRESS_BYTES for each message.
    """
    chunk = len(block.odd)
    while block.state[DONE] < len(begin):
        first = block.state[DONE]
        stop = min(first + chunk, len(begin))
        rows = stop - first
        block.lengths[:] = NONE
        block.chunk_numbers[:] = NONE
        block.odd[:] = 0
        used = split(
            data, begin[first:stop], length[first:stop], missing[first:stop], block.starts, block.lengths, block.odd,
            block.chunk_numbers, block.chunk_quoted, block.layout, block.spans[0], block.spans[1], block.values,
            block.pen,
        )  # fmt: skip
        if not has_room(block, first, rows, used):
            return first
        keep_numbers(block, first, rows)
        write_words(data, source, destination, block, first, rows)
        for column in range(len(block.text_fields)):
            field = block.text_fields[column]
            append(
                data, block.starts[field][:rows], block.lengths[field][:rows], block.odd,
                block.offsets[column][first : stop + 1], block.texts[column],
            )  # fmt: skip
        block.state[DONE] = stop
    return len(begin)
