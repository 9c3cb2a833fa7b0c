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

if TYPE_CHECKING:
    import numpy as np
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
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    formed = pc.fill_null(pc.match_substring_regex(tags, FORM), False)
    row = np.flatnonzero(formed.to_numpy(zero_copy_only=False))
    chosen = pc.take(tags, pa.array(row)).cast(pa.large_string())
    raw = np.frombuffer(bytes.fromhex("".join(chosen.to_pylist())), np.uint8)
    ends = np.cumsum(pc.binary_length(chosen).to_numpy().astype(np.int64) // 2)
    starts = np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1]])
    separators = np.flatnonzero(raw == SEPARATOR)
    middle = separators[np.searchsorted(separators, ends) - 1] if len(ends) else ends
    digits = ends - middle - 1
    sound = (middle > starts) & _random_numbers(raw, middle, digits) & _printable(raw, starts, middle)
    data, readable = _texts(raw, starts[sound], middle[sound])
    return Decoded(row[sound][readable], data, digits[sound][readable])


def _random_numbers(raw: "Bytes", middle: "Numbers", digits: "Numbers") -> "NDArray[np.bool_]":
    """Say where the digits after middle are a number below 2^32 as `str` writes it."""
    import numpy as np

    value = np.zeros(len(middle), np.int64)
    for place in range(int(digits.max(initial=0))):
        there = digits > place
        value[there] = value[there] * 10 + raw[middle[there] + 1 + place] - ord("0")
    leading = raw[middle + 1] == ord("0") if len(middle) else np.zeros(0, bool)
    return (value <= MAX_RANDOM) & ~(leading & (digits > 1))


def _printable(raw: "Bytes", starts: "Numbers", stops: "Numbers") -> "NDArray[np.bool_]":
    """Say where raw[start:stop] holds no control character."""
    import numpy as np

    control = np.concatenate([[0], np.cumsum((raw < ord(" ")) | (raw == DELETE))])
    return np.asarray(control[stops] == control[starts])


def _texts(raw: "Bytes", starts: "Numbers", stops: "Numbers") -> "tuple[Array, NDArray[np.bool_]]":
    """Return the texts raw[start:stop] that are UTF-8, and which of them all those are."""
    import numpy as np
    import pyarrow as pa

    steps = np.zeros(len(raw) + 1, np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, stops, -1)
    kept = raw[np.cumsum(steps[:-1]) > 0]
    offsets = np.concatenate([[0], np.cumsum(stops - starts)]).astype(np.int64)
    if not (kept >= 0x80).any():
        buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(kept.tobytes())]
        return pa.Array.from_buffers(pa.large_string(), len(starts), buffers), np.ones(len(starts), bool)
    texts = [_text(raw[start:stop].tobytes()) for start, stop in zip(starts, stops, strict=True)]
    readable = np.array([text is not None for text in texts], dtype=bool)
    return pa.array([text for text in texts if text is not None], pa.large_string()), readable


def _text(data: bytes) -> str | None:
    """Return data as text, or None if it is no UTF-8 or holds a control character (C1)."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def read_tags(messages: "pd.DataFrame") -> "pd.DataFrame":
    """Return what the From tags of messages say: columns tag_target, tag_account, tag_password.

    The index holds the positions (from 0) of the messages whose tag is SIPVicious'; a missing value
    is one that the tag does not give. Needs from_tag, from_user, to_user, destination.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    decoded = decode_tags(as_arrow(messages["from_tag"]))
    near = {name: as_arrow(messages[name].iloc[decoded.row]) for name in ("from_user", "to_user", "destination")}
    said = pc.extract_regex(decoded.data, "^(?P<account>[^:]*)(?P<colon>:?)(?P<password>.*)$")
    account, password = pc.struct_field(said, "account"), pc.struct_field(said, "password")
    named = pc.or_(_same(account, near["from_user"]), _same(account, near["to_user"]))
    target = pc.if_else(named, pa.scalar(None, pa.large_string()), _targets(decoded.data, near["destination"]))
    aimed = pc.is_valid(target)
    sure = pc.or_(pc.or_(named, aimed), pa.array(decoded.digits >= MIN_DIGITS))
    nothing = pa.scalar(None, pa.large_string())
    unclear = pc.and_(pc.invert(named), _perhaps_ipv6(decoded.data, near["destination"]))
    columns = {
        "tag_target": target,
        "tag_account": pc.if_else(pc.or_(pc.or_(aimed, unclear), pc.equal(account, "")), nothing, account),
        "tag_password": pc.if_else(pc.or_(aimed, pc.equal(password, "")), nothing, password),
    }
    table = pd.DataFrame({name: pd.array(pc.filter(values, sure), dtype="str") for name, values in columns.items()})
    table.index = pd.Index(decoded.row[sure.to_numpy(zero_copy_only=False)])
    return table


def _same(left: "Array", right: "Array") -> "Array":
    import pyarrow.compute as pc

    return pc.and_(pc.fill_null(pc.equal(left, right), False), pc.not_equal(left, ""))


def _targets(data: "Array", destinations: "Array") -> "Array":
    """Return 'address:port' where data is a target of svmap; of IPv6 only if the packet went there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ipv4 = {
        text: _ipv4(text) for text in pc.unique(pc.filter(data, pc.match_substring_regex(data, TARGET))).to_pylist()
    }
    keys, values = pa.array(list(ipv4), pa.large_string()), pa.array(list(ipv4.values()), pa.large_string())
    found = pc.take(values, pc.index_in(data, keys)) if ipv4 else pa.nulls(len(data), pa.large_string())
    v6 = pc.fill_null(pc.match_substring(destinations, ":"), False)
    if not pc.any(v6).as_py():
        return found
    pairs = zip(data.to_pylist(), destinations.to_pylist(), v6.to_pylist(), strict=True)
    seen = [_ipv6(text, address) if candidate else None for text, address, candidate in pairs]
    return pc.coalesce(pa.array(seen, pa.large_string()), found)


def _perhaps_ipv6(data: "Array", destinations: "Array") -> "Array":
    """Say where data may be an IPv6 target as somebody typed it: less its colons it cannot be read back."""
    import pyarrow.compute as pc

    digits = pc.match_substring_regex(data, "^[0-9a-f]{5,36}$")
    return pc.and_(digits, pc.fill_null(pc.match_substring(destinations, ":"), False))


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
