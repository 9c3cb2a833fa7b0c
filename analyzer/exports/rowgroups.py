"""Row groups of Parquet that were encoded each by itself, maybe at the same time, one behind the other in one file.

What the footer of a file says of its row groups begins at bytes of that file: moved to another, its offsets move too.
The footer is a Thrift structure in the compact protocol (parquet-format, parquet.thrift); whatever else is in it is
copied as it is.
"""

import io
from typing import TYPE_CHECKING, BinaryIO

import pyarrow.parquet as pq

if TYPE_CHECKING:
    import pyarrow as pa

MAGIC = b"PAR1"
_TAIL_BYTES = 4 + len(MAGIC)
"""The length of the footer, and the magic, end a file."""
_ROW_GROUPS = (4,)
_COLUMNS = (*_ROW_GROUPS, 1)
_OFFSETS = {
    (*_ROW_GROUPS, 5),  # RowGroup.file_offset
    *((*_COLUMNS, field) for field in (2, 4, 6)),  # ColumnChunk.file_offset, offset_index_offset, column_index_offset
    *((*_COLUMNS, 3, field) for field in (9, 10, 11, 14)),  # ColumnMetaData: pages, dictionary, Bloom filter
}
"""The fields that count bytes from the beginning of the file, as numbers of fields from FileMetaData inwards."""
_TRUTHS, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _LISTS, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12
_LONG_LIST = 15


class RowGroups:
    """A Parquet file that grows by the row groups of others that have the same schema."""

    def __init__(self, file: BinaryIO) -> None:
        """Begin a file."""
        self._file = file
        self._written = file.write(MAGIC)
        self._metadata: pq.FileMetaData | None = None

    def append(self, whole: "pa.Buffer") -> None:
        """Append the row groups of a Parquet file, given as all its bytes."""
        size = int.from_bytes(whole[len(whole) - _TAIL_BYTES : len(whole) - len(MAGIC)].to_pybytes(), "little")
        end = len(whole) - _TAIL_BYTES - size
        footer = move_offsets(whole[end : end + size].to_pybytes(), self._written - len(MAGIC))
        metadata = pq.read_metadata(io.BytesIO(MAGIC + footer + len(footer).to_bytes(4, "little") + MAGIC))
        if self._metadata is None:
            self._metadata = metadata
        else:
            self._metadata.append_row_groups(metadata)
        self._file.write(whole[len(MAGIC) : end])
        self._written += end - len(MAGIC)

    def finish(self) -> None:
        """Write the footer; raises ValueError if nothing was appended."""
        if self._metadata is None:
            raise ValueError("a Parquet file needs a row group for its schema")
        footer = io.BytesIO()
        self._metadata.write_metadata_file(footer)
        self._file.write(footer.getbuffer()[len(MAGIC) :])


def move_offsets(footer: bytes, distance: int) -> bytes:
    """Return the footer of a Parquet file whose row groups lie so many bytes further on."""
    return _Mover(footer, distance).move()


class _Mover:
    """One walk through a footer."""

    def __init__(self, footer: bytes, distance: int) -> None:
        self._footer, self._distance = footer, distance
        self._at = 0
        self._copied = 0
        """How much of the footer is in the pieces already."""
        self._pieces: list[bytes] = []

    def move(self) -> bytes:
        """Return the footer with its offsets moved."""
        self._struct(())
        return b"".join([*self._pieces, self._footer[self._copied :]])

    def _struct(self, path: tuple[int, ...]) -> None:
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else _unzigzag(self._varint())
            if head & 15 not in _TRUTHS:  # which the head tells
                self._value(head & 15, (*path, field))

    def _value(self, kind: int, path: tuple[int, ...]) -> None:
        if kind in _INTEGERS:
            self._integer(path)
        elif kind == _BINARY:
            size = self._varint()
            self._at += size
        elif kind == _STRUCT:
            self._struct(path)
        elif kind in _LISTS:
            head = self._byte()
            for _ in range(self._varint() if head >> 4 == _LONG_LIST else head >> 4):
                self._value(head & 15, path)
        elif kind in {_BYTE, *_TRUTHS}:
            self._at += 1
        elif kind == _DOUBLE:
            self._at += 8
        else:
            raise ValueError(f"the footer holds a value of the kind {kind}, which Parquet does not have")

    def _integer(self, path: tuple[int, ...]) -> None:
        start = self._at
        number = _unzigzag(self._varint())
        if path in _OFFSETS and number > 0:  # ColumnChunk.file_offset is 0, which is none
            self._pieces += [self._footer[self._copied : start], _varint(2 * (number + self._distance))]
            self._copied = self._at

    def _byte(self) -> int:
        self._at += 1
        return self._footer[self._at - 1]

    def _varint(self) -> int:
        number = shift = 0
        while (byte := self._byte()) & 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
        return number | byte << shift


def _unzigzag(number: int) -> int:
    return number >> 1 ^ -(number & 1)


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*written, number))
