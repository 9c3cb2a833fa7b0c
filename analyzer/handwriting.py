"""How messages are written, whatever their senders claim to be: header layout, and the shape of tokens.

Who wrote a program chose how to make its tokens; the shapes survive another User-Agent. Shapes are found by looking at
all bytes at once: no text is taken apart row by row.
"""

from functools import reduce
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.grouping import as_texts, categorical, coded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Octets = NDArray[np.uint8]

LENGTHS = 24
"""The longest token whose length is its maker's habit; longer ones carry data (SIPVicious: the guess)."""
COOKIE = b"z9hG4bK"
"""What branches begin with (RFC 3261 8.1.1.7)."""
COOKIES = ("", *(f"z9hG4bK{maker}{sign}" for maker in ("", "Pj") for sign in ("", "-", ".")))
"""The fixed beginnings of tokens; 'Pj' is PJSIP's."""

_DIGITS, _LOWER, _UPPER = b"0123456789", b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALPHABETS = {
    "decimal": _DIGITS,
    "hex": _DIGITS + _LOWER[:6],
    "HEX": _DIGITS + _UPPER[:6],
    "uuid": _DIGITS + _LOWER[:6] + _UPPER[:6] + b"-",
    "lower": _LOWER,
    "word": _DIGITS + _LOWER,
    "Word": _DIGITS + _LOWER + _UPPER,
}
"""The alphabets that stacks make their tokens of, narrowest first; a uuid has its hyphens in their places."""
_SIGNS = ("empty", *_ALPHABETS, "x")
_UUID, _OTHER = _SIGNS.index("uuid"), _SIGNS.index("x")
_IN_UUID = np.uint8(1 << _UUID - 1)
_HYPHENS = (8, 13, 18, 23)
_UUID_BYTES = 36
_CLASSES = np.zeros(256, np.uint8)
"""For each byte, a bit for each alphabet that it is in."""
for _bit, _letters in enumerate(_ALPHABETS.values()):
    _CLASSES[list(_letters)] |= 1 << _bit
_NARROWEST = np.array(
    [next((1 + bit for bit in range(len(_ALPHABETS)) if mask >> bit & 1), _OTHER) for mask in range(256)]
)
"""For each set of alphabets, which sign is that of the narrowest."""
_SHAPES = len(COOKIES) * len(_SIGNS) * (LENGTHS + 2) * 2


def handwriting(rows: pd.DataFrame, *, coarse: bool = False) -> "pd.Categorical[Any]":
    """Return a digest of how each request is written: its layout, and the shapes of branch, From tag and Call-ID.

    Coarse shapes are without alphabets: one in forty hexadecimal numbers of eight digits happens to be decimal.
    """
    layout, layouts = coded(rows["layout"])
    shapes = [token_shapes(rows[name], coarse=coarse) for name in ("branch", "from_tag", "call_id")]
    hands = reduce(lambda hand, shape: hand * _SHAPES + shape, shapes, layout + 1)
    codes, distinct = pd.factorize(hands)
    digests = []
    for hand in distinct.tolist():
        rest, *told = hand, *(hand // _SHAPES**power % _SHAPES for power in (2, 1, 0))
        of_layout = rest // _SHAPES**3 - 1
        text = "|".join(["" if of_layout < 0 else layouts[of_layout].as_py(), *map(shape_name, told)])
        digests.append(blake2b(text.encode(errors="replace"), digest_size=6).hexdigest())
    alike, known = pd.factorize(np.array(digests, dtype=object))
    return categorical(alike[codes], pa.array(known, pa.large_string()))


def token_shapes(tokens: "pd.Series[Any]", *, coarse: bool = False) -> "Numbers":
    """Return the shape of each token as a number: its beginning, alphabet and (unless decimal) length, host apart.

    A coarse shape has every token's length, and no alphabet.
    """
    texts = as_texts(tokens.astype("str").fillna(""))
    if not len(texts):
        return np.empty(0, np.int64)
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64, len(texts) + 1, 8 * texts.offset)
    octets = np.append(np.frombuffer(data, np.uint8)[: bounds[-1]] if data else [], [0] * 16).astype(
        np.uint8, copy=False
    )
    starts, stops = bounds[:-1], bounds[1:]
    cookie, local = _cookies(texts, octets, starts, stops)
    at = pc.find_substring(texts, "@").to_numpy().astype(np.int64)
    hosted = at >= 0
    stops = np.where(hosted, starts + at, stops)
    sign = _alphabets(octets, local, stops)
    length = stops - local - _continued(octets, local, stops)
    length = np.where((sign <= (0 if coarse else 1)) | (length > LENGTHS), LENGTHS + 1, length)
    if coarse:
        sign = np.where(sign > 0, _OTHER, sign)
    return ((cookie * len(_SIGNS) + sign) * (LENGTHS + 2) + length) * 2 + hosted


def shape_name(shape: int) -> str:
    """Return the shape of token_shapes() in words."""
    rest, hosted = divmod(shape, 2)
    rest, length = divmod(rest, LENGTHS + 2)
    cookie, sign = divmod(rest, len(_SIGNS))
    return f"{COOKIES[cookie]}{_SIGNS[sign]}{length if length <= LENGTHS else ''}{'@' if hosted else ''}"


def _cookies(texts: pa.Array, octets: "Octets", starts: "Numbers", stops: "Numbers") -> "tuple[Numbers, Numbers]":
    """Return which of COOKIES each text begins with, and where it goes on."""
    has = pc.starts_with(texts, COOKIE.decode()).to_numpy(zero_copy_only=False)
    end = starts + len(COOKIE) * has
    made = has & (stops - end >= 2) & (octets[end] == ord("P")) & (octets[end + 1] == ord("j"))
    end += 2 * made
    sign = np.where(octets[end] == ord("-"), 1, np.where(octets[end] == ord("."), 2, 0)) * (has & (stops > end))
    return has * (1 + 3 * made + sign), end + (sign > 0)


def _alphabets(octets: "Octets", starts: "Numbers", stops: "Numbers") -> "Numbers":
    """Return which of _SIGNS the text between starts and stops is made of."""
    classes = _per_span(np.bitwise_and, _CLASSES[octets], starts, stops)
    sign = _NARROWEST[classes]
    sign[starts == stops] = 0
    hyphened = np.flatnonzero(sign == _UUID)
    if len(hyphened):
        starts, stops = starts[hyphened], stops[hyphened]
        right = stops - starts == _UUID_BYTES
        right[right] = np.all([octets[starts[right] + k] == ord("-") for k in _HYPHENS], axis=0)
        right[right] = _per_span(np.add, octets == ord("-"), starts[right], stops[right]) == len(_HYPHENS)
        others = hyphened[~right]
        sign[others] = _NARROWEST[classes[others] & ~_IN_UUID]
    return sign


def _continued(octets: "Octets", starts: "Numbers", stops: "Numbers") -> "Numbers | int":
    """Return how many bytes of each span begin no character (RFC 3629 3)."""
    inner = octets & 0xC0 == 0x80
    if not inner.any():
        return 0
    return np.where(starts < stops, _per_span(np.add, inner, starts, stops), 0)


def _per_span(reduction: np.ufunc, values: "NDArray[Any]", starts: "Numbers", stops: "Numbers") -> "NDArray[Any]":
    """Return a reduction of the values of each span; spans are in order and apart, and no empty one counts."""
    if not len(starts):
        return np.empty(0, values.dtype)
    if values.dtype == np.bool_:
        values = values.astype(np.int32)
    bounds = np.column_stack((starts, stops)).reshape(-1)
    reduced: NDArray[Any] = reduction.reduceat(values, bounds)[::2]
    return reduced
