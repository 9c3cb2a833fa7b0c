"""What RFC 3261 calls things: characters, header names, fields, and what can be wrong with a message.

The kernels freeze these constants when they are compiled.
"""

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Header(IntEnum):
    """The headers that are read; all others only count for the layout."""

    OTHER = 0
    FROM = 1
    TO = 2
    CALL_ID = 3
    CSEQ = 4
    VIA = 5
    CONTACT = 6
    EXPIRES = 7
    CONTENT_LENGTH = 8
    USER_AGENT = 9
    SERVER = 10
    SUBJECT = 11
    AUTHORIZATION = 12
    PROXY_AUTHORIZATION = 13
    WWW_AUTHENTICATE = 14
    PROXY_AUTHENTICATE = 15


COMPACT = {
    "f": Header.FROM, "t": Header.TO, "i": Header.CALL_ID, "v": Header.VIA, "m": Header.CONTACT,
    "l": Header.CONTENT_LENGTH, "s": Header.SUBJECT,
}  # fmt: skip
"""The compact forms (RFC 3261 7.3.3) of headers that are read. The others (a b c d e j k o r u x y) stay OTHER."""


class Field(IntEnum):
    """The parts of a message that split() finds: rows of its arrays of spans."""

    METHOD = 0
    URI = 1
    URI_USER = 2
    FROM_NAME = 3
    FROM_USER = 4
    FROM_HOST = 5
    FROM_TAG = 6
    TO_USER = 7
    TO_HOST = 8
    TO_TAG = 9
    CALL_ID = 10
    VIA_HOST = 11
    BRANCH = 12
    CONTACT = 13
    USER_AGENT = 14
    SERVER = 15
    SUBJECT = 16
    AUTH_USER = 17
    NONCE = 18
    SDP_NAME = 19
    SDP_ADDRESS = 20
    SDP_SESSION = 21
    MEDIA_ADDRESS = 22
    MEDIA_PORT = 23


class Number(IntEnum):
    """The numbers that split() finds: rows of its array of numbers; NONE where there is none."""

    STATUS = 0
    CSEQ = 1
    EXPIRES = 2
    BODY_BYTES = 3
    MESSAGE_BYTES = 4
    AUTHORIZED = 5
    ANOMALIES = 6
    """A bit per Reason."""
    ABSENT = 7
    """A bit per MANDATORY header that is missing."""
    NOT_UTF8 = 8
    """A bit per Field that is not UTF-8."""
    PROMISED = 9
    """The value of Content-Length."""
    SURPLUS = 10
    """Bytes after the message."""
    CONTROL = 11
    """The first control character, as byte value + 256 * offset in the payload."""


class Evidence(IntEnum):
    """What the details of some anomalies quote: rows of the arrays of quoted spans."""

    START_LINE = 0
    LINE = 1
    NAME = 2
    LENGTH = 3
    CSEQ = 4
    REPEATED = 5


class Reason(IntEnum):
    """What can be wrong with a message: bits of Number.ANOMALIES."""

    BAD_START_LINE = 0
    LINE_WITHOUT_COLON = 1
    BAD_HEADER_NAME = 2
    NO_BLANK_LINE = 3
    MISSING_HEADER = 4
    LENGTH_TOO_LARGE = 5
    BAD_LENGTH = 6
    SURPLUS = 7
    BAD_CSEQ = 8
    CSEQ_METHOD = 9
    REPEATED_HEADER = 10
    NOT_UTF8 = 11
    CONTROL_CHARACTER = 12
    CUT = 13
    TOO_MANY_HEADERS = 14


REASONS = {
    Reason.BAD_START_LINE: "bad start line",
    Reason.LINE_WITHOUT_COLON: "header without colon",
    Reason.BAD_HEADER_NAME: "bad header name",
    Reason.NO_BLANK_LINE: "no blank line",
    Reason.MISSING_HEADER: "missing header",
    Reason.LENGTH_TOO_LARGE: "content-length too large",
    Reason.BAD_LENGTH: "bad content-length",
    Reason.SURPLUS: "bytes after the message",
    Reason.BAD_CSEQ: "bad cseq",
    Reason.CSEQ_METHOD: "cseq method differs",
    Reason.REPEATED_HEADER: "repeated header",
    Reason.NOT_UTF8: "not utf-8",
    Reason.CONTROL_CHARACTER: "control character",
    Reason.CUT: "cut by snap length",
    Reason.TOO_MANY_HEADERS: "too many headers",
}
"""The word for each reason in the anomalies table."""

MEANINGS = {
    Reason.BAD_START_LINE: "neither a request line nor a status line as RFC 3261 7.1 and 7.2 write them",
    Reason.LINE_WITHOUT_COLON: "a line among the headers has no colon (7.3)",
    Reason.BAD_HEADER_NAME: "a header's name is empty or has characters that no token has (25.1)",
    Reason.NO_BLANK_LINE: "the message ends before the blank line that ends the headers (7)",
    Reason.MISSING_HEADER: "a header that every message must have is not there, or is empty (8.1.1, 8.2.6.2)",
    Reason.LENGTH_TOO_LARGE: "Content-Length promises more bytes than there are (18.3)",
    Reason.BAD_LENGTH: "Content-Length is no number (20.14)",
    Reason.SURPLUS: "bytes other than white space follow the body that Content-Length measures; 18.3 discards them",
    Reason.BAD_CSEQ: "CSeq is no number below 2**31 followed by a method (20.16, 8.1.1.5)",
    Reason.CSEQ_METHOD: "the method of CSeq is not that of the request (8.1.1.5)",
    Reason.REPEATED_HEADER: "From, To, Call-ID or CSeq stands twice, with different values (7.3.1)",
    Reason.NOT_UTF8: "a field of the messages table has bytes that are not UTF-8 (25.1); they show as \\xNN",
    Reason.CONTROL_CHARACTER: "the start line or a header has a control character (25.1)",
    Reason.CUT: "the recorder kept only the beginning of the packet",
    Reason.TOO_MANY_HEADERS: "there are more than MAX_HEADERS headers; the rest was not read",
}
"""A sentence for each reason."""

MANDATORY = ("Via", "From", "To", "Call-ID", "CSeq")
"""The headers that every message must have, in the order of the bits of Number.ABSENT."""

NONE = -1
"""The number, and the length of a span, that stands for 'there is none'."""
MAX_HEADERS = 512
"""How many headers are read; what follows is searched for the blank line only."""
# A layout (the column of that name) is the handwriting of a message: its header names exactly as they are written, in
# order, joined by commas. What stands between name and value is shown after the name unless it is ': ', each space as _
# and each tab as ~: 'Via:' has none after the colon, 'From_:_' one before it too. Headers that look alike in a row show
# once; names that are longer than MAX_NAME or no tokens show as ?; 'LF ' stands before all if the start line ends so.
MAX_LAYOUT_NAMES = 48
"""How many names a layout shows before its ellipsis."""
MAX_NAME = 40
"""The longest header name that a layout shows, in bytes."""
MAX_GAP = 16
"""How many blanks before, and after, a header's colon a layout shows."""
MAX_QUOTE = 100
"""How many bytes of the message the detail of an anomaly quotes."""
LAYOUT_BYTES = 8 + MAX_LAYOUT_NAMES * (MAX_NAME + 2 * MAX_GAP + 2)
"""More than the longest layout has, in bytes."""
MAX_CSEQ = 2**31 - 1
"""The largest sequence number (RFC 3261 8.1.1.5)."""

_NAMES = {
    Header.FROM: b"from",
    Header.TO: b"to",
    Header.CALL_ID: b"call-id",
    Header.CSEQ: b"cseq",
    Header.VIA: b"via",
    Header.CONTACT: b"contact",
    Header.EXPIRES: b"expires",
    Header.CONTENT_LENGTH: b"content-length",
    Header.USER_AGENT: b"user-agent",
    Header.SERVER: b"server",
    Header.SUBJECT: b"subject",
    Header.AUTHORIZATION: b"authorization",
    Header.PROXY_AUTHORIZATION: b"proxy-authorization",
    Header.WWW_AUTHENTICATE: b"www-authenticate",
    Header.PROXY_AUTHENTICATE: b"proxy-authenticate",
}
LONGEST = max(map(len, _NAMES.values()))
NAME_BYTES = 32
"""How many bytes each name takes in NAMES."""


def _letters(text: bytes) -> "NDArray[np.uint8]":
    return np.frombuffer(text, np.uint8)


def _compact_table() -> "NDArray[np.int64]":
    table = np.zeros(256, np.int64)
    for letter, header in COMPACT.items():
        table[ord(letter)] = table[ord(letter.upper())] = header
    return table


def _name_tables() -> tuple["NDArray[np.uint8]", "NDArray[np.uint8]", "NDArray[np.int64]"]:
    names = np.zeros((len(Header), NAME_BYTES), np.uint8)
    by_middle = np.zeros((LONGEST + 1, 32), np.int64)
    for header, name in _NAMES.items():
        names[header, : len(name)] = _letters(name)
        by_middle[len(name), name[len(name) // 2] & 31] = header
    folds = np.where((names >= ord("a")) & (names <= ord("z")), 32, 0).astype(np.uint8)
    return names.reshape(-1), folds.reshape(-1), by_middle


def _token_table() -> "NDArray[np.uint8]":
    table = np.zeros(256, np.uint8)
    table[_letters(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~")] = 1
    return table


COMPACT_TABLE = _compact_table()
"""Shape (256,): the Header that a one-letter name means, else OTHER."""
NAMES, FOLDS, BY_MIDDLE = _name_tables()
"""NAMES: NAME_BYTES for each header, lower case. FOLDS: as many, the bit that makes the letter there lower case.
BY_MIDDLE: shape (LONGEST + 1, 32), the only header whose name is so long and has this letter, but for the bits that
say that it is one, in its middle."""
TOKEN = _token_table()
"""Shape (256,): 1 for the characters of a token (RFC 3261 25.1)."""

SIP = _letters(b"sip:")
SIPS = _letters(b"sips:")
TEL = _letters(b"tel:")
VERSION = _letters(b"sip/2.0")
VERSION_START = _letters(b"sip/")
TAG_NAME = _letters(b"tag")
BRANCH_NAME = _letters(b"branch")
EXPIRES_NAME = _letters(b"expires")
USERNAME_NAME = _letters(b"username")
NONCE_NAME = _letters(b"nonce")
ELLIPSIS = _letters("…".encode())
HEX = _letters(b"0123456789abcdef")
