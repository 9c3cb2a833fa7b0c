"""What SIPVicious writes into its From tag: the target, the account, the password it guesses.

The tag is lower-case hex of `data`, the byte 0x01 and a random number below 2^32 in decimal. data is
of svmap the target, as 8 hex digits of IPv4 address and 4 of port; of svwar the extension; of svcrack
`user:password`.

Does an honest phone's random hex tag decode by accident? A random byte is 0x01 with probability
1/256, a decimal digit with 10/256, printable with 95/256. So d bytes of data and k digits happen with
(95/256)^d / 256 × (10/256)^k: for a tag of 8 hex digits (4 bytes) 2e-5, too much for a million of
calls. Hence a tag decodes by its form alone only with MIN_DIGITS digits or more, which one in 43,000
of the tool's numbers has not. The shortest such tag has 16 hex digits, and decodes by accident with
5e-12; one of 32 hex digits with 2e-15. With fewer digits the data must be a svmap target (another
(16/256)^12), or begin with the account that From or To names: words that a random tag does not hit.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    Array: TypeAlias = Any  # pyarrow has no annotations
    Bytes: TypeAlias = NDArray[np.uint8]
    Numbers: TypeAlias = NDArray[np.int64]

MIN_DIGITS = 6
"""The decimal digits with which a tag decodes by its form alone."""
MAX_RANDOM = 2**32 - 1
FORM = "^(?:[0-9a-f]{2})+01(?:3[0-9]){1,10}$"
TARGET = "^[0-9a-f]{12}$"
SEPARATOR = 1
DELETE = 0x7F
SAID = ("tag_target", "tag_account", "tag_password")
HEX = np.zeros(256, np.uint8)
"""The value of each hexadecimal digit."""
HEX[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


@dataclass(frozen=True)
class Decoded:
    """Tags that have SIPVicious' form, as parallel columns."""

    row: "Numbers"
    """Where the tag stood."""
    data: "Array"
    """What precedes the separator, as pyarrow large_string."""
    digits: "Numbers"
    """How many decimal digits follow the separator."""


def decode_tags(tags: "Array") -> Decoded:
    """Return those of tags (a pyarrow string array, nulls allowed) that have the form, decoded.

    Callers judge the form's weight themselves: see MIN_DIGITS.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    formed = pc.fill_null(pc.match_substring_regex(tags, FORM), False)
    row = np.flatnonzero(formed.to_numpy(zero_copy_only=False))
    chosen = (tags if len(row) == len(tags) else pc.take(tags, pa.array(row))).cast(pa.large_string())
    digits_of, bounds = _bytes_of(chosen)
    raw = np.asarray((HEX[digits_of[0::2]] << 4) | HEX[digits_of[1::2]], dtype=np.uint8)
    starts, ends = bounds[:-1] // 2, bounds[1:] // 2
    separators = np.flatnonzero(raw == SEPARATOR)
    single = len(separators) == len(ends)
    middle = separators if single else separators[np.searchsorted(separators, ends) - 1]
    digits = ends - middle - 1
    sound = (middle > starts) & _random_numbers(raw, middle, digits) & _printable(raw, starts)
    data, readable = _texts(raw, starts[sound], middle[sound])
    return Decoded(row[sound][readable], data, digits[sound][readable])


def _bytes_of(texts: "Array") -> "tuple[Bytes, Numbers]":
    """Return the bytes of a pyarrow large_string array, and where each text begins; last, where they end."""
    _, offsets, data = texts.buffers()
    if not len(texts):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    whole = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return whole[bounds[0] : bounds[-1]], bounds - bounds[0]


def _random_numbers(raw: "Bytes", middle: "Numbers", digits: "Numbers") -> "NDArray[np.bool_]":
    """Say where the digits after middle are a number below 2^32 as `str` writes it."""
    leading = raw[middle + 1] == ord("0") if len(middle) else np.zeros(0, bool)
    small = np.ones(len(middle), bool)
    long = np.flatnonzero(digits == len(str(MAX_RANDOM)))
    long = long[raw[middle[long] + 1] >= ord(str(MAX_RANDOM)[0])]
    places = np.arange(len(str(MAX_RANDOM)))
    figures = raw[middle[long, None] + 1 + places].astype(np.int64) - ord("0")
    small[long] = figures @ 10 ** places[::-1] <= MAX_RANDOM
    return small & ~(leading & (digits > 1))


def _printable(raw: "Bytes", starts: "Numbers") -> "NDArray[np.bool_]":
    """Say which texts, that begin at starts, hold no control character but one, the separator."""
    control = (raw < ord(" ")) | (raw == DELETE)
    if np.count_nonzero(control) == len(starts):
        return np.ones(len(starts), bool)
    return np.asarray(np.add.reduceat(control, starts, dtype=np.int64) == 1)


def _texts(raw: "Bytes", starts: "Numbers", stops: "Numbers") -> "tuple[Array, NDArray[np.bool_]]":
    """Return the texts raw[start:stop] that are UTF-8, and which of them all those are."""
    high = np.flatnonzero(raw >= 0x80)
    following = np.append(high, len(raw))[np.searchsorted(high, starts)]
    readable = np.ones(len(starts), bool)
    for row in np.flatnonzero(following < stops).tolist():
        readable[row] = _is_text(raw[starts[row] : stops[row]].tobytes())
    return _cut(raw, starts[readable], stops[readable]), readable


def _cut(raw: "Bytes", starts: "Numbers", stops: "Numbers") -> "Array":
    """Return the texts raw[start:stop], which are UTF-8, one behind the other, as pyarrow large_string."""
    import pyarrow as pa

    edges = np.zeros(2 * len(starts) + 2, np.int64)
    edges[1:-1:2], edges[2:-1:2], edges[-1] = starts, stops, len(raw)
    kept = np.repeat(np.arange(len(edges) - 1) % 2 == 1, np.diff(edges))
    offsets = np.concatenate([[0], np.cumsum(stops - starts)]).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(raw[kept])]
    return pa.Array.from_buffers(pa.large_string(), len(starts), buffers)


def _is_text(data: bytes) -> bool:
    """Say whether data is UTF-8 and holds no control character (C1)."""
    try:
        return data.decode().isprintable()
    except UnicodeDecodeError:
        return False


def read_tags(messages: "pd.DataFrame") -> "pd.DataFrame":
    """Return what the From tags of messages say: columns tag_target, tag_account, tag_password.

    The index holds the positions (from 0) of the messages whose tag is SIPVicious'; a missing value
    is one that the tag does not give. Needs from_tag, from_user, to_user, destination.
    """
    import pandas as pd

    row, said = judge_tags(as_arrow(messages["from_tag"]), lambda name, rows: as_arrow(messages[name].iloc[rows]))
    table = pd.DataFrame({name: pd.array(values, dtype="str") for name, values in said.items()})
    table.index = pd.Index(row)
    return table


def judge_tags(tags: "Array", near: "Callable[[str, Numbers], Array]") -> "tuple[Numbers, dict[str, Array]]":
    """Return where tags are SIPVicious' and what they say: pyarrow arrays tag_target, tag_account, tag_password.

    near gives the from_user, to_user or destination of the messages that have those tags, by position.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    decoded = decode_tags(tags)
    if not len(decoded.row):
        return decoded.row, dict.fromkeys(SAID, decoded.data)
    account, password = _split(decoded.data)
    nothing = pa.scalar(None, pa.large_string())
    named = _same(account, near("from_user", decoded.row))
    if pc.all(named).as_py():
        return decoded.row, dict(zip(SAID, (pa.nulls(len(account), pa.large_string()), account, password), strict=True))
    named = pc.or_(named, _same(account, near("to_user", decoded.row)))
    destinations = near("destination", decoded.row)
    v6 = pc.fill_null(pc.match_substring(destinations, ":"), False)
    target = pc.if_else(named, nothing, _targets(decoded.data, destinations, v6))
    aimed = pc.is_valid(target)
    sure = pc.or_(pc.or_(named, aimed), pa.array(decoded.digits >= MIN_DIGITS))
    unclear = pc.and_(pc.invert(named), _perhaps_ipv6(decoded.data, v6))
    columns = (
        target,
        pc.if_else(pc.or_(pc.or_(aimed, unclear), pc.equal(account, "")), nothing, account),
        pc.if_else(aimed, nothing, password),
    )
    said = {name: pc.filter(values, sure) for name, values in zip(SAID, columns, strict=True)}
    return decoded.row[sure.to_numpy(zero_copy_only=False)], said


def _split(data: "Array") -> "tuple[Array, Array]":
    """Return what precedes the first colon of each text, or all of it, and what follows, if anything does."""
    import pyarrow as pa
    import pyarrow.compute as pc

    raw, bounds = _bytes_of(data)
    colons = np.flatnonzero(raw == ord(":"))
    if not len(colons):
        return data, pa.nulls(len(data), pa.large_string())
    starts, ends = bounds[:-1], bounds[1:]
    first = np.append(colons, len(raw))[np.searchsorted(colons, starts)]
    first = np.minimum(first, ends)
    after = _cut(raw, np.minimum(first + 1, ends), ends)
    return _cut(raw, starts, first), pc.if_else(pc.equal(after, ""), pa.scalar(None, pa.large_string()), after)


def _same(left: "Array", right: "Array") -> "Array":
    import pyarrow.compute as pc

    return pc.and_(pc.fill_null(pc.equal(left, right), False), pc.not_equal(left, ""))


def _targets(data: "Array", destinations: "Array", v6: "Array") -> "Array":
    """Return 'address:port' where data is a target of svmap; of IPv6 only if the packet went there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    aimed = pc.and_(pc.equal(pc.binary_length(data), 12), pc.match_substring_regex(data, TARGET))
    ipv4 = {text: _ipv4(text) for text in pc.unique(pc.filter(data, aimed)).to_pylist()}
    keys, values = pa.array(list(ipv4), pa.large_string()), pa.array(list(ipv4.values()), pa.large_string())
    found = pc.take(values, pc.index_in(data, keys)) if ipv4 else pa.nulls(len(data), pa.large_string())
    if not pc.any(v6).as_py():
        return found
    pairs = zip(data.to_pylist(), destinations.to_pylist(), v6.to_pylist(), strict=True)
    seen = [_ipv6(text, address) if candidate else None for text, address, candidate in pairs]
    return pc.coalesce(pa.array(seen, pa.large_string()), found)


def _perhaps_ipv6(data: "Array", v6: "Array") -> "Array":
    """Say where data may be an IPv6 target as somebody typed it: less its colons it cannot be read back."""
    import pyarrow.compute as pc

    return pc.and_(v6, pc.match_substring_regex(data, "^[0-9a-f]{5,36}$")) if pc.any(v6).as_py() else v6


def _ipv4(text: str) -> str | None:
    octets, port = bytes.fromhex(text[:8]), int(text[8:], 16)
    return f"{'.'.join(map(str, octets))}:{port}" if port else None


def _ipv6(text: str, address: str) -> str | None:
    """Return the target whose address, less its colons, and port are text; None if it is not address."""
    bare = address.replace(":", "")
    port = text[len(bare) :]
    if not text.startswith(bare) or len(port) != 4 or port.strip("0123456789abcdef") or port == "0000":
        return None
    return f"[{address}]:{int(port, 16)}"


def as_arrow(values: "pd.Series[Any]") -> "Array":
    """Return a column of text, plain or categorical, as one pyarrow large_string array."""
    import pyarrow as pa

    array = pa.array(values.astype("str"), from_pandas=True)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return array.cast(pa.large_string())
