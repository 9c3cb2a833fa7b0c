"""Compiled loops over the bytes of messages.

A kernel takes arrays and numbers, writes into arrays its caller made, and returns numbers. It raises nothing and
heeds only what is between start and stop (it may look further, within the array: see _wide.py): compiled code does not
check bounds, and the bytes come from attackers. Every loop is linear in the bytes of a message. A span is a start in
data and a length; no span is the length NONE. In the loops that look at every byte the index is made unsigned, which
spares numba's look for a negative one.
"""

# ruff: noqa: PLR0917 -- flat loops over arrays compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.sip._body import measure_body, read_sdp
from analyzer.sip._findings import flag, put, quote
from analyzer.sip._layout import ITEMS, USED, write_layout
from analyzer.sip._scan import (
    COLON,
    CR,
    GREATER,
    LESS,
    LF,
    SPACE,
    TAB,
    begins,
    equals,
    find,
    is_space,
    is_token,
    next_line,
    read_number,
    same,
    skip_space,
    skip_word,
    trim_end,
)
from analyzer.sip._text import FOLD, HIGH, check_utf8, mark_high
from analyzer.sip._values import read_uri, read_values
from analyzer.sip._wide import WIDE, index_of_odd, index_of_other
from analyzer.sip.grammar import (
    BY_MIDDLE,
    COMPACT_TABLE,
    FOLDS,
    LONGEST,
    MAX_HEADERS,
    NAMES,
    NONE,
    VERSION,
    VERSION_START,
    Evidence,
    Field,
    Header,
    Number,
    Reason,
)


@part
def read_status_line(data: np.ndarray, start: int, stop: int, row: int, numbers: np.ndarray) -> bool:
    """Read SIP-Version SP Status-Code SP Reason-Phrase (RFC 3261 7.2); say whether it is well-formed."""
    version_stop = skip_word(data, start, stop)
    code = skip_space(data, version_stop, stop)
    code_stop = skip_word(data, code, stop)
    status = read_number(data, code, code_stop)
    if code_stop - code != 3 or status < 100 or status > 699:
        return False
    numbers[Number.STATUS, row] = status
    return equals(data, start, version_stop, VERSION) and code == version_stop + 1 and data[version_stop] == SPACE


@part
def read_request_line(
    data: np.ndarray, start: int, stop: int, row: int, starts: np.ndarray, lengths: np.ndarray
) -> bool:
    """Read Method SP Request-URI SP SIP-Version (RFC 3261 7.1); say whether it is well-formed."""
    method_stop = skip_word(data, start, stop)
    uri = skip_space(data, method_stop, stop)
    version_stop = trim_end(data, uri, stop)
    version = version_stop
    while version > uri and not is_space(data[np.uint64(version - 1)]):
        version -= 1
    good = begins(data, version, version_stop, VERSION_START)
    uri_stop = trim_end(data, uri, version) if good else version_stop
    put(starts, lengths, Field.METHOD, row, start, method_stop)
    put(starts, lengths, Field.URI, row, uri, uri_stop)
    inner, inner_stop = uri, uri_stop
    if uri < uri_stop and data[np.uint64(uri)] == LESS:
        inner, inner_stop = uri + 1, find(data, uri + 1, uri_stop, GREATER)
        good = False
    user, user_stop, _, _ = read_uri(data, inner, inner_stop)
    put(starts, lengths, Field.URI_USER, row, user, user_stop)
    return (
        good
        and is_token(data, start, method_stop)
        and uri == method_stop + 1
        and data[method_stop] == SPACE
        and uri < uri_stop
        and skip_word(data, uri, uri_stop) == uri_stop
        and version == uri_stop + 1
        and data[uri_stop] == SPACE
        and version_stop == stop
        and equals(data, version, version_stop, VERSION)
    )


@part
def identify(data: np.ndarray, start: int, stop: int) -> int:
    """Return the Header that the name data[start:stop] means, in any case, long or compact (RFC 3261 7.3.1, 7.3.3)."""
    length = stop - start
    if length == 1:
        return int(COMPACT_TABLE[data[np.uint64(start)]])
    if length < 1 or length > LONGEST:
        return 0
    header = int(BY_MIDDLE[length, data[np.uint64(start + length // 2)] & 31])
    if header == 0:
        return 0
    if start + WIDE <= len(data):
        near = index_of_other(data, start, NAMES, header * WIDE, FOLDS, header * WIDE)
        return header if near >= length else 0
    return header if equals(data, start, stop, NAMES[header * WIDE : header * WIDE + length]) else 0


@part
def scan_line(
    data: np.ndarray, start: int, stop: int, begin: int, row: int, odd: np.ndarray, numbers: np.ndarray
) -> int:
    """Return where the line ends, and note bytes above 127 and the first control character (at its offset to begin)."""
    i = start
    while i < stop:
        if i + WIDE <= len(data):
            near = index_of_odd(data, i)
            i += near
            if near == WIDE:
                continue
            if i >= stop:
                break
        byte = data[np.uint64(i)]
        if byte < SPACE or byte > 126:
            if byte in (CR, LF):
                break
            if byte > 127:
                odd[row] |= HIGH
            elif byte != TAB and numbers[Number.CONTROL, row] == NONE:
                numbers[Number.CONTROL, row] = byte + 256 * (i - begin)
        i += 1
    return min(i, stop)


@part
def note_header(
    data: np.ndarray,
    start: int,
    first_stop: int,
    stop: int,
    row: int,
    values: np.ndarray,
    numbers: np.ndarray,
    quoted: np.ndarray,
    layout: np.ndarray,
    pen: np.ndarray,
) -> None:
    """Split one header into name and value; keep the first value of each Header in values."""
    colon = find(data, start, first_stop, COLON)
    if colon == first_stop:
        quote(numbers, quoted, row, Reason.LINE_WITHOUT_COLON, Evidence.LINE, start, first_stop)
        return
    name_stop = trim_end(data, start, colon)
    header = identify(data, start, name_stop)
    token = header != Header.OTHER or is_token(data, start, name_stop)
    write_layout(data, start, name_stop, token, colon, first_stop, layout, pen)
    if not token:
        quote(numbers, quoted, row, Reason.BAD_HEADER_NAME, Evidence.NAME, start, colon)
        return
    if header == Header.OTHER:
        return
    value = skip_space(data, colon + 1, stop)
    value_stop = trim_end(data, value, stop)
    if value_stop > value and (header == Header.USER_AGENT or header == Header.SERVER):
        value_stop = stop  # blanks at the end are part of a program's handwriting
    if values[0, header] == NONE:
        values[0, header] = value
        values[1, header] = value_stop
    elif header <= Header.CSEQ and not same(data, values[0, header], values[1, header], value, value_stop):
        quote(numbers, quoted, row, Reason.REPEATED_HEADER, Evidence.REPEATED, start, trim_end(data, start, stop))


@part
def note_headers(
    data: np.ndarray,
    start: int,
    stop: int,
    begin: int,
    row: int,
    values: np.ndarray,
    odd: np.ndarray,
    numbers: np.ndarray,
    quoted: np.ndarray,
    layout: np.ndarray,
    pen: np.ndarray,
) -> int:
    """Split the headers; return where the body begins, or NONE if no blank line ends them."""
    count = 0
    while start < stop:
        first_stop = end = scan_line(data, start, stop, begin, row, odd, numbers)
        following = next_line(data, end, stop)
        if end == start:
            return following
        while following < stop and (data[np.uint64(following)] == SPACE or data[np.uint64(following)] == TAB):
            odd[row] |= FOLD
            end = scan_line(data, following, stop, begin, row, odd, numbers)
            following = next_line(data, end, stop)
        count += 1
        if count <= MAX_HEADERS:
            note_header(data, start, first_stop, end, row, values, numbers, quoted, layout, pen)
        else:
            flag(numbers, row, Reason.TOO_MANY_HEADERS)
        start = following
    return NONE


@part
def check_mandatory(values: np.ndarray, row: int, numbers: np.ndarray) -> None:
    """Note which mandatory headers are missing or empty; the bits are in the order of MANDATORY."""
    absent = np.int64(0)
    if values[0, Header.VIA] == values[1, Header.VIA]:
        absent |= 1
    if values[0, Header.FROM] == values[1, Header.FROM]:
        absent |= 2
    if values[0, Header.TO] == values[1, Header.TO]:
        absent |= 4
    if values[0, Header.CALL_ID] == values[1, Header.CALL_ID]:
        absent |= 8
    if values[0, Header.CSEQ] == values[1, Header.CSEQ]:
        absent |= 16
    numbers[Number.ABSENT, row] = absent
    if absent:
        flag(numbers, row, Reason.MISSING_HEADER)


@part
def split_message(
    data: np.ndarray,
    begin: int,
    stop: int,
    missing: int,
    row: int,
    values: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    odd: np.ndarray,
    numbers: np.ndarray,
    quoted: np.ndarray,
    layout: np.ndarray,
    pen: np.ndarray,
) -> None:
    """Split the message in data[begin:stop] into row of the arrays."""
    start = skip_space(data, begin, stop)
    end = scan_line(data, start, stop, begin, row, odd, numbers)
    request = not begins(data, start, end, VERSION_START)
    if request:
        good = read_request_line(data, start, end, row, starts, lengths)
    else:
        good = read_status_line(data, start, end, row, numbers)
    if not good:
        quote(numbers, quoted, row, Reason.BAD_START_LINE, Evidence.START_LINE, start, end)
    if end < stop and data[np.uint64(end)] == LF:
        layout[pen[USED]] = 76  # L
        layout[pen[USED] + 1] = 70  # F
        layout[pen[USED] + 2] = SPACE
        pen[USED] += 3
    headers = next_line(data, end, stop)
    body = note_headers(data, headers, stop, begin, row, values, odd, numbers, quoted, layout, pen)
    read_values(data, request, values, row, starts, lengths, numbers, quoted)
    body_stop = stop
    numbers[Number.BODY_BYTES, row] = 0
    if body != NONE:
        numbers[Number.BODY_BYTES, row] = measure_body(data, body, stop, missing, values, row, numbers, quoted)
        body_stop = body + numbers[Number.BODY_BYTES, row]
        read_sdp(data, body, body_stop, row, starts, lengths)
    elif missing == 0:
        flag(numbers, row, Reason.NO_BLANK_LINE)
    numbers[Number.MESSAGE_BYTES, row] = body_stop - start
    if missing > 0:
        flag(numbers, row, Reason.CUT)
    if missing == 0 or body != NONE:
        check_mandatory(values, row, numbers)
    if numbers[Number.CONTROL, row] != NONE:
        flag(numbers, row, Reason.CONTROL_CHARACTER)


@part
def split(
    data: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
    missing: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    odd: np.ndarray,
    numbers: np.ndarray,
    quoted: np.ndarray,
    layout: np.ndarray,
    layout_starts: np.ndarray,
    layout_lengths: np.ndarray,
    values: np.ndarray,
    pen: np.ndarray,
) -> int:
    """Split messages into spans and numbers; return how many bytes of layout are used.

    data: uint8. begin, length, missing: int64, shape (n,), the payloads and how many bytes each was cut by.
    starts, lengths: int64, shape (Field, n); numbers: int64, shape (Number, n); odd: uint8, shape (n,). Of these,
    lengths and numbers come filled with NONE, and odd with 0.
    quoted: int64, shape (Evidence, n, 2), written only where the anomaly is flagged.
    layout: uint8 with LAYOUT_BYTES for each message; layout_starts, layout_lengths: int64, shape (n,).
    values: int64, shape (2, Header), and pen: int64, shape (4,), are scratch.
    """
    pen[USED] = 0
    for row in range(len(begin)):
        values[:] = NONE
        numbers[Number.ANOMALIES, row] = 0
        numbers[Number.AUTHORIZED, row] = 0
        begun = pen[USED]
        pen[ITEMS] = 0
        stop = begin[row] + length[row]
        split_message(
            data, begin[row], stop, missing[row], row, values, starts, lengths, odd, numbers, quoted, layout, pen
        )
        if numbers[Number.BODY_BYTES, row] > 0:
            mark_high(data, row, starts, lengths, odd)
        if odd[row] & HIGH:
            check_utf8(data, row, starts, lengths, numbers)
        pen[USED] = pen[USED] if pen[ITEMS] > 0 else begun
        layout_starts[row] = begun
        layout_lengths[row] = pen[USED] - begun
    return int(pen[USED])
