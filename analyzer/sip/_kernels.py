"""Compiled loops over the bytes of messages.

A kernel takes arrays and numbers, writes into arrays its caller made, and returns numbers. It raises nothing and
reads only between start and stop: compiled code does not check bounds, and the bytes come from attackers. Every loop
is linear in the bytes of a message. A span is a start in data and a length; no span is the length NONE. In the loops
that look at every byte the index is made unsigned, which spares numba's look for a negative one.
"""

# ruff: noqa: FBT001, PLR0917, SIM110 -- a kernel takes arrays and numbers by position; numba compiles no generators

import numpy as np

from analyzer.compiled import kernel, part
from analyzer.sip.grammar import (
    BRANCH_NAME,
    BY_LENGTH,
    COMPACT_TABLE,
    ELLIPSIS,
    EXPIRES_NAME,
    HEX,
    LONGEST,
    MAX_CSEQ,
    MAX_GAP,
    MAX_HEADERS,
    MAX_LAYOUT_NAMES,
    MAX_NAME,
    MAX_QUOTE,
    NAMES,
    NONCE_NAME,
    NONE,
    SIP,
    SIPS,
    TAG_NAME,
    TEL,
    TOKEN,
    USERNAME_NAME,
    VERSION,
    VERSION_START,
    Evidence,
    Field,
    Header,
    Number,
    Reason,
)

TAB, LF, CR, SPACE, QUOTE, COMMA, SLASH, COLON, SEMICOLON = map(np.uint8, b'\t\n\r ",/:;')
LESS, EQUALS, GREATER, QUESTION, AT, BACKSLASH = map(np.uint8, b"<=>?@\\")
HIGH, FOLD = 1, 2
"""Bits of `odd`: the message has bytes above 127, or folded headers, so its text cannot be copied as it is."""
MAX_PROBES = 32
"""How many slots are tried for one word: hashes that an attacker made collide cost no more than this."""
HASH_SEED = np.uint64(0x9E3779B97F4A7C15)
HASH_FACTOR = np.uint64(0xD6E8FEB86659FD93)
HASH_SHIFT = np.uint64(32)
USED, ITEM, ITEM_END, ITEMS = 0, 1, 2, 3
"""What the layout's pen remembers: bytes written, the last item's start and end, and how many items there are."""


# --- characters and tokens


@part
def _is_space(byte: int) -> bool:
    return byte in (SPACE, TAB, CR, LF)


@part
def _skip_space(data: np.ndarray, start: int, stop: int) -> int:
    """Return where white space (line ends too, for folds) that begins at start ends."""
    i = start
    while i < stop and _is_space(data[np.uint64(i)]):
        i += 1
    return i


@part
def _skip_word(data: np.ndarray, start: int, stop: int) -> int:
    """Return where the first white space is, or stop."""
    i = start
    while i < stop and not _is_space(data[np.uint64(i)]):
        i += 1
    return i


@part
def _trim_end(data: np.ndarray, start: int, stop: int) -> int:
    """Return where data[start:stop] ends without its trailing white space."""
    while stop > start and _is_space(data[np.uint64(stop - 1)]):
        stop -= 1
    return stop


@part
def _find(data: np.ndarray, start: int, stop: int, byte: int) -> int:
    """Return where byte is first, or stop."""
    i = start
    while i < stop and data[np.uint64(i)] != byte:
        i += 1
    return i


@part
def _is_token(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] is a token (RFC 3261 25.1)."""
    for i in range(start, stop):
        if not TOKEN[data[np.uint64(i)]]:
            return False
    return stop > start


@part
def _equals(data: np.ndarray, start: int, stop: int, word: np.ndarray) -> bool:
    """Say whether data[start:stop] is word, in any case; word is in lower case."""
    if stop - start != len(word):
        return False
    for i in range(len(word)):
        byte = data[np.uint64(start + i)]
        if 65 <= byte <= 90:
            byte += 32
        if byte != word[i]:
            return False
    return True


@part
def _begins(data: np.ndarray, start: int, stop: int, word: np.ndarray) -> bool:
    """Say whether data[start:stop] begins with word, in any case."""
    return stop - start >= len(word) and _equals(data, start, start + len(word), word)


@part
def _same(data: np.ndarray, start: int, stop: int, other: int, other_stop: int) -> bool:
    """Say whether two spans hold the same bytes."""
    if stop - start != other_stop - other:
        return False
    for i in range(stop - start):
        if data[np.uint64(start + i)] != data[np.uint64(other + i)]:
            return False
    return True


@part
def _read_number(data: np.ndarray, start: int, stop: int) -> int:
    """Return the decimal number that data[start:stop] is, or NONE if it is none or does not fit int64."""
    if start >= stop:
        return NONE
    value = 0
    for i in range(start, stop):
        digit = data[np.uint64(i)] - np.int64(48)
        if digit < 0 or digit > 9 or value > (0x7FFFFFFFFFFFFFFF - digit) // 10:
            return NONE
        value = value * 10 + digit
    return value


@part
def _close_quote(data: np.ndarray, start: int, stop: int) -> int:
    """Return where the quoted string whose text begins at start has its closing quote, or stop (RFC 3261 25.1)."""
    i = start
    while i < stop and data[np.uint64(i)] != QUOTE:
        i += 2 if data[np.uint64(i)] == BACKSLASH else 1
    return min(i, stop)


@part
def _find_unquoted(data: np.ndarray, start: int, stop: int, byte: int) -> int:
    """Return where byte is first outside quoted strings, or stop; a quote that is never closed quotes nothing."""
    quotes = True
    i = start
    while i < stop:
        if data[np.uint64(i)] == byte:
            return i
        if quotes and data[np.uint64(i)] == QUOTE:
            close = _close_quote(data, i + 1, stop)
            quotes = close < stop
            i = close if quotes else i
        i += 1
    return stop


@part
def _first_value(data: np.ndarray, start: int, stop: int) -> int:
    """Return where the first of comma-separated values ends: a comma outside quotes and angle brackets, or stop."""
    quotes = angles = True
    i = start
    while i < stop:
        if data[np.uint64(i)] == COMMA:
            return i
        if quotes and data[np.uint64(i)] == QUOTE:
            close = _close_quote(data, i + 1, stop)
            quotes = close < stop
            i = close if quotes else i
        elif angles and data[np.uint64(i)] == LESS:
            close = _find(data, i + 1, stop, GREATER)
            angles = close < stop
            i = close if angles else i
        i += 1
    return stop


@part
def _unquote(data: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """Return the span's start and stop without white space around it, and without its quotes if it begins with one."""
    start = _skip_space(data, start, stop)
    stop = _trim_end(data, start, stop)
    if start < stop and data[np.uint64(start)] == QUOTE:
        close = _close_quote(data, start + 1, stop)
        if close < stop:
            return start + 1, close
    return start, stop


@part
def _find_param(data: np.ndarray, start: int, stop: int, name: np.ndarray, separator: int) -> tuple[int, int]:
    """Return start and stop of the value of the first parameter of that name, unquoted; NONE, NONE if there is none."""
    quotes = True
    begin = start
    equal = NONE
    i = start
    while i <= stop:
        byte = data[np.uint64(i)] if i < stop else separator
        if byte == separator:
            name_stop = i if equal == NONE else equal
            name_start = _skip_space(data, begin, name_stop)
            if _equals(data, name_start, _trim_end(data, name_start, name_stop), name):
                return _unquote(data, i if equal == NONE else equal + 1, i)
            begin = i + 1
            equal = NONE
        elif byte == EQUALS and equal == NONE:
            equal = i
        elif byte == QUOTE and quotes:
            close = _close_quote(data, i + 1, stop)
            quotes = close < stop
            i = close if quotes else i
        i += 1
    return NONE, NONE


# --- lines


@part
def _find_line_end(data: np.ndarray, start: int, stop: int) -> int:
    """Return where the line ends: at CR, LF or stop."""
    i = start
    while i < stop and data[np.uint64(i)] != CR and data[np.uint64(i)] != LF:
        i += 1
    return i


@part
def _next_line(data: np.ndarray, end: int, stop: int) -> int:
    """Return where the line after the one that ends at end begins: after CRLF, LF or CR."""
    if end + 1 < stop and data[np.uint64(end)] == CR and data[np.uint64(end + 1)] == LF:
        return end + 2
    return min(end + 1, stop)


@part
def _scan_line(
    data: np.ndarray, start: int, stop: int, begin: int, row: int, odd: np.ndarray, numbers: np.ndarray
) -> int:
    """Return where the line ends, and note bytes above 127 and the first control character (at its offset to begin)."""
    i = start
    while i < stop:
        byte = data[np.uint64(i)]
        if byte < SPACE or byte > 126:
            if byte in (CR, LF):
                break
            if byte > 127:
                odd[row] |= HIGH
            elif byte != TAB and numbers[Number.CONTROL, row] == NONE:
                numbers[Number.CONTROL, row] = byte + 256 * (i - begin)
        i += 1
    return i


# --- what is found, and what is wrong


@part
def _put(starts: np.ndarray, lengths: np.ndarray, field: int, row: int, start: int, stop: int) -> None:
    if start >= 0 and stop > start:
        starts[field, row] = start
        lengths[field, row] = stop - start


@part
def _flag(numbers: np.ndarray, row: int, reason: int) -> None:
    numbers[Number.ANOMALIES, row] |= np.int64(1) << np.int64(reason)


@part
def _quote(
    numbers: np.ndarray, quoted: np.ndarray, row: int, reason: int, evidence: int, start: int, stop: int
) -> None:
    """Flag an anomaly, and keep the span that the first of its kind is about."""
    bit = np.int64(1) << np.int64(reason)
    if not numbers[Number.ANOMALIES, row] & bit:
        numbers[Number.ANOMALIES, row] |= bit
        quoted[evidence, row, 0] = start
        quoted[evidence, row, 1] = min(stop - start, MAX_QUOTE)


# --- the start line


@part
def _read_status_line(data: np.ndarray, start: int, stop: int, row: int, numbers: np.ndarray) -> bool:
    """Read SIP-Version SP Status-Code SP Reason-Phrase (RFC 3261 7.2); say whether it is well-formed."""
    version_stop = _skip_word(data, start, stop)
    code = _skip_space(data, version_stop, stop)
    code_stop = _skip_word(data, code, stop)
    status = _read_number(data, code, code_stop)
    if code_stop - code != 3 or status < 100 or status > 699:
        return False
    numbers[Number.STATUS, row] = status
    return _equals(data, start, version_stop, VERSION) and code == version_stop + 1 and data[version_stop] == SPACE


@part
def _read_request_line(
    data: np.ndarray, start: int, stop: int, row: int, starts: np.ndarray, lengths: np.ndarray
) -> bool:
    """Read Method SP Request-URI SP SIP-Version (RFC 3261 7.1); say whether it is well-formed."""
    method_stop = _skip_word(data, start, stop)
    uri = _skip_space(data, method_stop, stop)
    version_stop = _trim_end(data, uri, stop)
    version = version_stop
    while version > uri and not _is_space(data[np.uint64(version - 1)]):
        version -= 1
    good = _begins(data, version, version_stop, VERSION_START)
    uri_stop = _trim_end(data, uri, version) if good else version_stop
    _put(starts, lengths, Field.METHOD, row, start, method_stop)
    _put(starts, lengths, Field.URI, row, uri, uri_stop)
    inner, inner_stop = uri, uri_stop
    if uri < uri_stop and data[np.uint64(uri)] == LESS:
        inner, inner_stop = uri + 1, _find(data, uri + 1, uri_stop, GREATER)
        good = False
    user, user_stop, _, _ = _read_uri(data, inner, inner_stop)
    _put(starts, lengths, Field.URI_USER, row, user, user_stop)
    return (
        good
        and _is_token(data, start, method_stop)
        and uri == method_stop + 1
        and data[method_stop] == SPACE
        and uri < uri_stop
        and _skip_word(data, uri, uri_stop) == uri_stop
        and version == uri_stop + 1
        and data[uri_stop] == SPACE
        and version_stop == stop
        and _equals(data, version, version_stop, VERSION)
    )


# --- headers


@part
def _identify(data: np.ndarray, start: int, stop: int) -> int:
    """Return the Header that the name data[start:stop] means, in any case, long or compact (RFC 3261 7.3.1, 7.3.3)."""
    length = stop - start
    if length == 1:
        return int(COMPACT_TABLE[data[np.uint64(start)]])
    if length < 1 or length > LONGEST:
        return 0
    for candidate in BY_LENGTH[length]:
        if candidate != 0 and _equals(data, start, stop, NAMES[candidate, :length]):
            return int(candidate)
    return 0


@part
def _read_uri(data: np.ndarray, start: int, stop: int) -> tuple[int, int, int, int]:
    """Return start and stop of a URI's user part (without its password) and of its host and port; NONE where missing.

    A tel: URI (RFC 3966) has a user part only: its number. A missing scheme is forgiven.
    """
    if _begins(data, start, stop, TEL):
        number = _skip_space(data, start + len(TEL), stop)
        return number, _trim_end(data, number, _find(data, number, stop, SEMICOLON)), NONE, NONE
    if _begins(data, start, stop, SIP):
        start += len(SIP)
    elif _begins(data, start, stop, SIPS):
        start += len(SIPS)
    user = user_stop = colon = NONE
    at = start
    while at < stop and data[np.uint64(at)] != AT:
        if colon == NONE and data[np.uint64(at)] == COLON:
            colon = at
        at += 1
    if at < stop:
        user_stop = at if colon == NONE else colon
        user = _skip_space(data, start, user_stop)
        user_stop = _trim_end(data, user, user_stop)
        start = at + 1
    host = host_stop = _skip_space(data, start, stop)
    while host_stop < stop and data[np.uint64(host_stop)] not in (SEMICOLON, QUESTION):
        host_stop += 1
    return user, user_stop, host, _trim_end(data, host, host_stop)


@part
def _read_address(data: np.ndarray, start: int, stop: int) -> tuple[int, int, int, int, int]:
    """Return start and stop of the display name and of the URI, and where the header parameters begin.

    name-addr or addr-spec (RFC 3261 20.10): without angle brackets, what follows a semicolon belongs to the header.
    """
    less = _find_unquoted(data, start, stop, LESS)
    name = name_stop = NONE
    uri = _skip_space(data, start, stop)
    if less < stop:
        name, name_stop = _unquote(data, start, less)
        uri = _skip_space(data, less + 1, stop)
        greater = _find(data, uri, stop, GREATER)
        if greater < stop:
            return name, name_stop, uri, _trim_end(data, uri, greater), greater + 1
    semicolon = _find_unquoted(data, uri, stop, SEMICOLON)
    return name, name_stop, uri, _trim_end(data, uri, semicolon), semicolon


@part
def _read_party(
    data: np.ndarray, start: int, stop: int, row: int, starts: np.ndarray, lengths: np.ndarray, user_field: int
) -> None:
    """Read From or To (RFC 3261 20.20, 20.39); user_field is followed by those of host and tag."""
    name, name_stop, uri, uri_stop, params = _read_address(data, start, stop)
    user, user_stop, host, host_stop = _read_uri(data, uri, uri_stop)
    tag, tag_stop = _find_param(data, params, stop, TAG_NAME, SEMICOLON)
    if user_field == Field.FROM_USER:
        _put(starts, lengths, Field.FROM_NAME, row, name, name_stop)
    _put(starts, lengths, user_field, row, user, user_stop)
    _put(starts, lengths, user_field + 1, row, host, host_stop)
    _put(starts, lengths, user_field + 2, row, tag, tag_stop)


@part
def _read_via(data: np.ndarray, start: int, stop: int) -> tuple[int, int, int, int]:
    """Return start and stop of sent-by and of branch of the topmost Via (RFC 3261 20.42); NONE where missing."""
    stop = _first_value(data, start, stop)
    params = _find(data, start, stop, SEMICOLON)
    transport = _find(data, _find(data, start, params, SLASH) + 1, params, SLASH) + 1
    host = _skip_space(data, _skip_word(data, _skip_space(data, transport, params), params), params)
    branch, branch_stop = _find_param(data, params, stop, BRANCH_NAME, SEMICOLON)
    return host, _trim_end(data, host, params), branch, branch_stop


@part
def _read_contact(
    data: np.ndarray, start: int, stop: int, row: int, starts: np.ndarray, lengths: np.ndarray, numbers: np.ndarray
) -> None:
    """Read the first Contact and its expires parameter (RFC 3261 20.10)."""
    stop = _first_value(data, start, stop)
    _put(starts, lengths, Field.CONTACT, row, start, _trim_end(data, start, stop))
    _, _, _, _, params = _read_address(data, start, stop)
    expires, expires_stop = _find_param(data, params, stop, EXPIRES_NAME, SEMICOLON)
    numbers[Number.EXPIRES, row] = _read_number(data, expires, expires_stop)


@part
def _read_cseq(
    data: np.ndarray, start: int, stop: int, row: int, numbers: np.ndarray, quoted: np.ndarray
) -> tuple[int, int]:
    """Read CSeq (RFC 3261 20.16); return start and stop of its method."""
    digits = start
    while digits < stop and 48 <= data[np.uint64(digits)] <= 57:
        digits += 1
    number = _read_number(data, start, digits)
    method = _skip_space(data, digits, stop)
    method_stop = _skip_word(data, method, stop)
    numbers[Number.CSEQ, row] = number
    if not (0 <= number <= MAX_CSEQ and method > digits and method_stop == stop and _is_token(data, method, stop)):
        _quote(numbers, quoted, row, Reason.BAD_CSEQ, Evidence.CSEQ, start, stop)
    return method, method_stop


@part
def _skip_scheme(data: np.ndarray, start: int, stop: int) -> int:
    """Return where the parameters of credentials or of a challenge begin: after 'Digest ' (RFC 3261 25.1)."""
    word = _skip_word(data, start, stop)
    return start if _find(data, start, word, EQUALS) < word else word


@part
def _first_of(values: np.ndarray, header: int, other: int) -> int:
    """Return the one of two headers that stands first in the message."""
    if values[0, header] == NONE or (values[0, other] != NONE and values[0, other] < values[0, header]):
        return other
    return header


@part
def _read_auth(
    data: np.ndarray,
    request: bool,
    values: np.ndarray,
    row: int,
    starts: np.ndarray,
    lengths: np.ndarray,
    numbers: np.ndarray,
) -> None:
    """Read the first credentials of a request, or the first challenge of a response (RFC 3261 20.7, 20.27, 20.44)."""
    if request:
        header = _first_of(values, Header.AUTHORIZATION, Header.PROXY_AUTHORIZATION)
    else:
        header = _first_of(values, Header.WWW_AUTHENTICATE, Header.PROXY_AUTHENTICATE)
    if values[0, header] == NONE:
        return
    stop = values[1, header]
    params = _skip_scheme(data, values[0, header], stop)
    if request:
        numbers[Number.AUTHORIZED, row] = 1
        user, user_stop = _find_param(data, params, stop, USERNAME_NAME, COMMA)
        _put(starts, lengths, Field.AUTH_USER, row, user, user_stop)
    nonce, nonce_stop = _find_param(data, params, stop, NONCE_NAME, COMMA)
    _put(starts, lengths, Field.NONCE, row, nonce, nonce_stop)


# --- the layout: the order and form of the headers


@part
def _write_gap(data: np.ndarray, start: int, stop: int, layout: np.ndarray, used: int) -> int:
    """Write the blanks of data[start:stop] as _ and ~; return how many bytes are used."""
    for i in range(start, min(stop, start + MAX_GAP)):
        layout[used] = 126 if data[np.uint64(i)] == TAB else 95
        used += 1
    return used


@part
def _skip_blanks(data: np.ndarray, start: int, stop: int) -> int:
    """Return where spaces and tabs end."""
    while start < stop and (data[np.uint64(start)] == SPACE or data[np.uint64(start)] == TAB):
        start += 1
    return start


@part
def _write_item(
    data: np.ndarray, start: int, name_stop: int, token: bool, colon: int, stop: int, layout: np.ndarray, used: int
) -> int:
    """Write a header's name, and what stands between it and its value unless that is ': '; return the bytes used."""
    if token and name_stop - start <= MAX_NAME:
        for i in range(start, name_stop):
            layout[used] = data[np.uint64(i)]
            used += 1
    else:
        layout[used] = QUESTION
        used += 1
    value = _skip_blanks(data, colon + 1, stop)
    if name_stop == colon and value == colon + 2 and data[colon + 1] == SPACE:
        return used
    used = _write_gap(data, name_stop, colon, layout, used)
    layout[used] = COLON
    return _write_gap(data, colon + 1, value, layout, used + 1)


@part
def _write_layout(
    data: np.ndarray,
    start: int,
    name_stop: int,
    token: bool,
    colon: int,
    stop: int,
    layout: np.ndarray,
    pen: np.ndarray,
) -> None:
    """Append a header to the layout, unless it looks like the one before it or there are enough."""
    if pen[ITEMS] > MAX_LAYOUT_NAMES:
        return
    used = pen[USED]
    if pen[ITEMS] > 0:
        layout[used] = COMMA
        used += 1
    end = _write_item(data, start, name_stop, token, colon, stop, layout, used)
    if pen[ITEMS] > 0 and _same(layout, pen[ITEM], pen[ITEM_END], used, end):
        return
    if pen[ITEMS] == MAX_LAYOUT_NAMES:
        for i in range(len(ELLIPSIS)):
            layout[used + i] = ELLIPSIS[i]
        end = used + len(ELLIPSIS)
    pen[ITEM] = used
    pen[ITEM_END] = end
    pen[USED] = end
    pen[ITEMS] += 1


# --- the body


@part
def _read_origin(data: np.ndarray, start: int, stop: int, row: int, starts: np.ndarray, lengths: np.ndarray) -> None:
    """Read o= (RFC 4566 5.2): user name and address; a user name may have spaces, the five words after it have none."""
    stop = _trim_end(data, start, stop)
    end = stop
    address = NONE
    for _ in range(5):
        word = end
        while word > start and not _is_space(data[np.uint64(word - 1)]):
            word -= 1
        if word == end or word <= start:
            _put(starts, lengths, Field.SDP_NAME, row, start, _skip_word(data, start, stop))
            return
        address = word if address == NONE else address
        end = _trim_end(data, start, word)
    _put(starts, lengths, Field.SDP_NAME, row, start, end)
    _put(starts, lengths, Field.SDP_ADDRESS, row, address, stop)


@part
def _nth_word(data: np.ndarray, start: int, stop: int, count: int) -> tuple[int, int]:
    """Return start and stop of the word after count words, up to a slash."""
    word = _skip_space(data, start, stop)
    for _ in range(count):
        word = _skip_space(data, _skip_word(data, word, stop), stop)
    return word, _find(data, word, _skip_word(data, word, stop), SLASH)


@part
def _read_sdp(data: np.ndarray, start: int, stop: int, row: int, starts: np.ndarray, lengths: np.ndarray) -> None:
    """Read o=, s=, c= and the first m= of a session description (RFC 4566) that begins with a v= line."""
    begun = False
    media = 0
    while start < stop and media < 2:
        end = _find_line_end(data, start, stop)
        kind = data[np.uint64(start)] if end - start > 2 and data[start + 1] == EQUALS else 0
        value = _skip_space(data, start + 2, end) if kind else end
        if kind == 118:  # v
            begun = True
        elif not begun or value == end:
            pass
        elif kind == 111 and lengths[Field.SDP_NAME, row] == NONE:  # o
            _read_origin(data, value, end, row, starts, lengths)
        elif kind == 115 and lengths[Field.SDP_SESSION, row] == NONE:  # s
            _put(starts, lengths, Field.SDP_SESSION, row, value, _trim_end(data, value, end))
        elif kind == 99:  # c
            word, word_stop = _nth_word(data, value, end, np.int64(2))
            _put(starts, lengths, Field.MEDIA_ADDRESS, row, word, word_stop)
        elif kind == 109:  # m
            media += 1
            word, word_stop = _nth_word(data, value, end, np.int64(1))
            if media == 1 and _read_number(data, word, word_stop) != NONE:
                _put(starts, lengths, Field.MEDIA_PORT, row, word, word_stop)
        start = _next_line(data, end, stop)


@part
def _only_space(data: np.ndarray, start: int, stop: int) -> bool:
    return _skip_space(data, start, stop) == stop


@part
def _measure_body(
    data: np.ndarray,
    body: int,
    stop: int,
    missing: int,
    values: np.ndarray,
    row: int,
    numbers: np.ndarray,
    quoted: np.ndarray,
) -> int:
    """Return how many of the bytes from body to stop belong to the message (RFC 3261 18.3, 20.14)."""
    there = stop - body
    start, end = values[0, Header.CONTENT_LENGTH], values[1, Header.CONTENT_LENGTH]
    if start == NONE:
        return there
    promised = _read_number(data, start, end)
    numbers[Number.PROMISED, row] = promised
    if promised == NONE:
        _quote(numbers, quoted, row, Reason.BAD_LENGTH, Evidence.LENGTH, start, end)
        return there
    if promised - there > missing:
        _flag(numbers, row, Reason.LENGTH_TOO_LARGE)
    if promised < there and not _only_space(data, body + promised, stop):
        _flag(numbers, row, Reason.SURPLUS)
        numbers[Number.SURPLUS, row] = there - promised
    return min(promised, there)


# --- UTF-8


@part
def _utf8_length(data: np.ndarray, start: int, stop: int) -> int:
    """Return how many bytes the UTF-8 character at start has, or 0 if there is none (RFC 3629)."""
    lead = data[np.uint64(start)]
    if lead < 0x80:
        return 1
    if lead < 0xC2 or lead > 0xF4:
        return 0
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if stop - start < length:
        return 0
    second = data[start + 1]
    if (
        (lead == 0xE0 and second < 0xA0)
        or (lead == 0xED and second > 0x9F)
        or (lead == 0xF0 and second < 0x90)
        or (lead == 0xF4 and second > 0x8F)
    ):
        return 0
    for i in range(start + 1, start + length):
        if data[np.uint64(i)] & 0xC0 != 0x80:
            return 0
    return length


@part
def _is_utf8(data: np.ndarray, start: int, stop: int) -> bool:
    """Say whether data[start:stop] is UTF-8."""
    i = start
    while i < stop:
        length = _utf8_length(data, i, stop)
        if length == 0:
            return False
        i += length
    return True


@part
def _check_utf8(data: np.ndarray, row: int, starts: np.ndarray, lengths: np.ndarray, numbers: np.ndarray) -> None:
    """Note the fields that are not UTF-8."""
    bad = np.int64(0)
    for field in range(len(starts)):
        if lengths[field, row] > 0:
            start = starts[field, row]
            if not _is_utf8(data, start, start + lengths[field, row]):
                bad |= np.int64(1) << np.int64(field)
    numbers[Number.NOT_UTF8, row] = bad
    if bad:
        _flag(numbers, row, Reason.NOT_UTF8)


# --- the message


@part
def _note_header(
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
    colon = _find(data, start, first_stop, COLON)
    if colon == first_stop:
        _quote(numbers, quoted, row, Reason.LINE_WITHOUT_COLON, Evidence.LINE, start, first_stop)
        return
    name_stop = _trim_end(data, start, colon)
    token = _is_token(data, start, name_stop)
    _write_layout(data, start, name_stop, token, colon, first_stop, layout, pen)
    if not token:
        _quote(numbers, quoted, row, Reason.BAD_HEADER_NAME, Evidence.NAME, start, colon)
        return
    header = _identify(data, start, name_stop)
    if header == Header.OTHER:
        return
    value = _skip_space(data, colon + 1, stop)
    value_stop = _trim_end(data, value, stop)
    if value_stop > value and (header == Header.USER_AGENT or header == Header.SERVER):
        value_stop = stop  # blanks at the end are part of a program's handwriting
    if values[0, header] == NONE:
        values[0, header] = value
        values[1, header] = value_stop
    elif header <= Header.CSEQ and not _same(data, values[0, header], values[1, header], value, value_stop):
        _quote(numbers, quoted, row, Reason.REPEATED_HEADER, Evidence.REPEATED, start, _trim_end(data, start, stop))


@part
def _note_headers(
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
        first_stop = end = _scan_line(data, start, stop, begin, row, odd, numbers)
        following = _next_line(data, end, stop)
        if end == start:
            return following
        while following < stop and (data[np.uint64(following)] == SPACE or data[np.uint64(following)] == TAB):
            odd[row] |= FOLD
            end = _scan_line(data, following, stop, begin, row, odd, numbers)
            following = _next_line(data, end, stop)
        count += 1
        if count <= MAX_HEADERS:
            _note_header(data, start, first_stop, end, row, values, numbers, quoted, layout, pen)
        else:
            _flag(numbers, row, Reason.TOO_MANY_HEADERS)
        start = following
    return NONE


@part
def _read_values(
    data: np.ndarray,
    request: bool,
    values: np.ndarray,
    row: int,
    starts: np.ndarray,
    lengths: np.ndarray,
    numbers: np.ndarray,
    quoted: np.ndarray,
) -> None:
    """Read the fields out of the headers' values."""
    if values[0, Header.FROM] != NONE:
        _read_party(data, values[0, Header.FROM], values[1, Header.FROM], row, starts, lengths, Field.FROM_USER)
    if values[0, Header.TO] != NONE:
        _read_party(data, values[0, Header.TO], values[1, Header.TO], row, starts, lengths, Field.TO_USER)
    if values[0, Header.VIA] != NONE:
        host, host_stop, branch, branch_stop = _read_via(data, values[0, Header.VIA], values[1, Header.VIA])
        _put(starts, lengths, Field.VIA_HOST, row, host, host_stop)
        _put(starts, lengths, Field.BRANCH, row, branch, branch_stop)
    if values[0, Header.CONTACT] != NONE:
        _read_contact(data, values[0, Header.CONTACT], values[1, Header.CONTACT], row, starts, lengths, numbers)
    if numbers[Number.EXPIRES, row] == NONE and values[0, Header.EXPIRES] != NONE:
        numbers[Number.EXPIRES, row] = _read_number(data, values[0, Header.EXPIRES], values[1, Header.EXPIRES])
    if values[0, Header.CSEQ] < values[1, Header.CSEQ]:
        method, method_stop = _read_cseq(data, values[0, Header.CSEQ], values[1, Header.CSEQ], row, numbers, quoted)
        if not request:
            _put(starts, lengths, Field.METHOD, row, method, method_stop)
        elif method < method_stop:
            own = starts[Field.METHOD, row]
            if not _same(data, own, own + lengths[Field.METHOD, row], method, method_stop):
                _flag(numbers, row, Reason.CSEQ_METHOD)
    _put(starts, lengths, Field.CALL_ID, row, values[0, Header.CALL_ID], values[1, Header.CALL_ID])
    _put(starts, lengths, Field.USER_AGENT, row, values[0, Header.USER_AGENT], values[1, Header.USER_AGENT])
    _put(starts, lengths, Field.SERVER, row, values[0, Header.SERVER], values[1, Header.SERVER])
    _put(starts, lengths, Field.SUBJECT, row, values[0, Header.SUBJECT], values[1, Header.SUBJECT])
    _read_auth(data, request, values, row, starts, lengths, numbers)


@part
def _check_mandatory(values: np.ndarray, row: int, numbers: np.ndarray) -> None:
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
        _flag(numbers, row, Reason.MISSING_HEADER)


@part
def _split_message(
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
    start = _skip_space(data, begin, stop)
    end = _scan_line(data, start, stop, begin, row, odd, numbers)
    request = not _begins(data, start, end, VERSION_START)
    if request:
        good = _read_request_line(data, start, end, row, starts, lengths)
    else:
        good = _read_status_line(data, start, end, row, numbers)
    if not good:
        _quote(numbers, quoted, row, Reason.BAD_START_LINE, Evidence.START_LINE, start, end)
    if end < stop and data[np.uint64(end)] == LF:
        layout[pen[USED]] = 76  # L
        layout[pen[USED] + 1] = 70  # F
        layout[pen[USED] + 2] = SPACE
        pen[USED] += 3
    headers = _next_line(data, end, stop)
    body = _note_headers(data, headers, stop, begin, row, values, odd, numbers, quoted, layout, pen)
    _read_values(data, request, values, row, starts, lengths, numbers, quoted)
    body_stop = stop
    numbers[Number.BODY_BYTES, row] = 0
    if body != NONE:
        numbers[Number.BODY_BYTES, row] = _measure_body(data, body, stop, missing, values, row, numbers, quoted)
        body_stop = body + numbers[Number.BODY_BYTES, row]
        _read_sdp(data, body, body_stop, row, starts, lengths)
    elif missing == 0:
        _flag(numbers, row, Reason.NO_BLANK_LINE)
    numbers[Number.MESSAGE_BYTES, row] = body_stop - start
    if missing > 0:
        _flag(numbers, row, Reason.CUT)
    if missing == 0 or body != NONE:
        _check_mandatory(values, row, numbers)
    if numbers[Number.CONTROL, row] != NONE:
        _flag(numbers, row, Reason.CONTROL_CHARACTER)


@part
def _mark_high(data: np.ndarray, row: int, starts: np.ndarray, lengths: np.ndarray, odd: np.ndarray) -> None:
    """Note bytes above 127 in the fields of the body, which the scan of the headers has not seen."""
    for field in range(Field.SDP_NAME, Field.MEDIA_PORT + 1):
        for i in range(starts[field, row], starts[field, row] + max(lengths[field, row], 0)):
            if data[np.uint64(i)] > 127:
                odd[row] |= HIGH
                return


@kernel
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
        _split_message(
            data, begin[row], stop, missing[row], row, values, starts, lengths, odd, numbers, quoted, layout, pen
        )
        if numbers[Number.BODY_BYTES, row] > 0:
            _mark_high(data, row, starts, lengths, odd)
        if odd[row] & HIGH:
            _check_utf8(data, row, starts, lengths, numbers)
        pen[USED] = pen[USED] if pen[ITEMS] > 0 else begun
        layout_starts[row] = begun
        layout_lengths[row] = pen[USED] - begun
    return int(pen[USED])


# --- words: text that repeats


@part
def _hash_bytes(data: np.ndarray, start: int, length: int) -> np.uint64:
    """Return a 64-bit hash of data[start:start + length]."""
    value = HASH_SEED ^ np.uint64(length)
    i = start
    stop = start + length
    while i + 8 <= stop:
        word = np.uint64(0)
        for k in range(8):
            word |= np.uint64(data[np.uint64(i + k)]) << np.uint64(8 * k)
        value = (value ^ word) * HASH_FACTOR
        value ^= value >> HASH_SHIFT
        i += 8
    tail = np.uint64(0)
    while i < stop:
        tail = (tail << np.uint64(8)) | np.uint64(data[np.uint64(i)])
        i += 1
    value = (value ^ tail) * HASH_FACTOR
    return value ^ (value >> HASH_SHIFT)


@part
def _holds(data: np.ndarray, start: int, length: int, store: np.ndarray, offsets: np.ndarray, code: int) -> bool:
    """Say whether the word of that code is data[start:start + length]."""
    at = offsets[code]
    if offsets[code + 1] - at != length:
        return False
    for i in range(length):
        if store[at + i] != data[np.uint64(start + i)]:
            return False
    return True


@kernel
def encode(
    data: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    codes: np.ndarray,
    slots: np.ndarray,
    hashes: np.ndarray,
    offsets: np.ndarray,
    store: np.ndarray,
    count: int,
) -> int:
    """Write the code of each span's bytes, NONE for an empty one; return how many words there are now.

    codes: int32, shape (n,). slots: int32, a power of two of them, NONE where free; hashes: uint64; offsets: int64;
    store: uint8, the bytes of word k at offsets[k]:offsets[k + 1]. All have room for n more words.
    A word that finds no place within MAX_PROBES gets a new code each time, so that no input is slow.
    """
    mask = np.uint64(len(slots) - 1)
    for row in range(len(starts)):
        start, length = starts[row], lengths[row]
        if length <= 0:
            codes[row] = NONE
            continue
        key = _hash_bytes(data, start, length)
        slot = np.int64(key & mask)
        code = NONE
        for _ in range(MAX_PROBES):
            code = int(slots[slot])
            if code == NONE:
                slots[slot] = count
                break
            if hashes[code] == key and _holds(data, start, length, store, offsets, code):
                break
            code = NONE
            slot = (slot + 1) & np.int64(mask)
        if code == NONE:
            code = count
            hashes[code] = key
            end = offsets[code]
            for i in range(length):
                store[end + i] = data[np.uint64(start + i)]
            offsets[code + 1] = end + length
            count += 1
        codes[row] = code
    return count


@kernel
def rehash(slots: np.ndarray, hashes: np.ndarray, count: int) -> None:
    """Fill empty slots (see encode) with the first count words, as far as they find a place."""
    mask = len(slots) - 1
    for code in range(count):
        slot = np.int64(hashes[code] & np.uint64(mask))
        for _ in range(MAX_PROBES):
            if slots[slot] == NONE:
                slots[slot] = code
                break
            slot = (slot + 1) & mask


# --- texts: text that seldom repeats


@part
def _write_text(data: np.ndarray, start: int, stop: int, out: np.ndarray, used: int) -> int:
    r"""Write data[start:stop] as UTF-8, folds as one space and other bytes as \xNN; return the bytes of out used.

    It writes at most four times as many bytes as it reads.
    """
    first = used
    i = start
    while i < stop:
        byte = data[np.uint64(i)]
        if byte in (CR, LF):
            while used > first and (out[used - 1] == SPACE or out[used - 1] == TAB):
                used -= 1
            out[used] = SPACE
            used += 1
            i = _skip_space(data, i, stop)
            continue
        length = _utf8_length(data, i, stop)
        if length == 0:
            out[used] = BACKSLASH
            out[used + 1] = 120  # x
            out[used + 2] = HEX[byte >> 4]
            out[used + 3] = HEX[byte & 15]
            used += 4
            i += 1
            continue
        for k in range(length):
            out[used + k] = data[np.uint64(i + k)]
        used += length
        i += length
    return used


@kernel
def append_texts(
    data: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    odd: np.ndarray,
    offsets: np.ndarray,
    out: np.ndarray,
) -> int:
    """Append each span's text to out, with its end in offsets; return the bytes of out used.

    starts, lengths: int64, shape (n,). odd: uint8, shape (n,): 0 where the bytes can be copied as they are.
    offsets: int64, shape (n + 1,), the first of them given. out: uint8, with room for four times the bytes.
    """
    used = offsets[0]
    for row in range(len(starts)):
        start, length = starts[row], lengths[row]
        if odd[row]:
            used = _write_text(data, start, start + max(length, 0), out, used)
        elif length > 0:
            for i in range(length):
                out[used + i] = data[np.uint64(start + i)]
            used += length
        offsets[row + 1] = used
    return int(used)
