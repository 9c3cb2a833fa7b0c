"""Compiled loops over the values of headers (RFC 3261 20) and over URIs (19.1).

As in _kernels.py, a function takes arrays and numbers, raises nothing, and reads only between start and stop.
"""

# ruff: noqa: FBT001, PLR0913, PLR0917 -- flat loops over arrays compile best
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.sip._findings import flag, put, quote
from analyzer.sip._scan import (
    AT,
    COLON,
    COMMA,
    EQUALS,
    GREATER,
    LESS,
    QUESTION,
    SEMICOLON,
    SLASH,
    begins,
    find,
    find_any,
    find_param,
    find_unquoted,
    first_value,
    is_token,
    read_number,
    same,
    skip_space,
    skip_word,
    trim_end,
    unquote,
)
from analyzer.sip.grammar import (
    BRANCH_NAME,
    EXPIRES_NAME,
    MAX_CSEQ,
    NONCE_NAME,
    NONE,
    SIP,
    SIPS,
    TAG_NAME,
    TEL,
    USERNAME_NAME,
    Evidence,
    Field,
    Header,
    Number,
    Reason,
)


@part
def read_uri(data: np.ndarray, start: int, stop: int) -> tuple[int, int, int, int]:
    """Return start and stop of a URI's user part (without its password) and of its host and port; NONE where missing.

    A tel: URI (RFC 3966) has a user part only: its number. A missing scheme is forgiven.
    """
    if begins(data, start, stop, TEL):
        number = skip_space(data, start + len(TEL), stop)
        return number, trim_end(data, number, find(data, number, stop, SEMICOLON)), NONE, NONE
    if begins(data, start, stop, SIP):
        start += len(SIP)
    elif begins(data, start, stop, SIPS):
        start += len(SIPS)
    user = user_stop = NONE
    at = find(data, start, stop, AT)
    if at < stop:
        user_stop = find(data, start, at, COLON)
        user = skip_space(data, start, user_stop)
        user_stop = trim_end(data, user, user_stop)
        start = at + 1
    host = skip_space(data, start, stop)
    host_stop = find_any(data, host, stop, SEMICOLON, QUESTION, SEMICOLON, SEMICOLON)
    return user, user_stop, host, trim_end(data, host, host_stop)


@part
def read_address(data: np.ndarray, start: int, stop: int) -> tuple[int, int, int, int, int]:
    """Return start and stop of the display name and of the URI, and where the header parameters begin.

    name-addr or addr-spec (RFC 3261 20.10): without angle brackets, what follows a semicolon belongs to the header.
    """
    less = find_unquoted(data, start, stop, LESS)
    name = name_stop = NONE
    uri = skip_space(data, start, stop)
    if less < stop:
        name, name_stop = unquote(data, start, less)
        uri = skip_space(data, less + 1, stop)
        greater = find(data, uri, stop, GREATER)
        if greater < stop:
            return name, name_stop, uri, trim_end(data, uri, greater), greater + 1
    semicolon = find_unquoted(data, uri, stop, SEMICOLON)
    return name, name_stop, uri, trim_end(data, uri, semicolon), semicolon


@part
def read_party(
    data: np.ndarray, start: int, stop: int, row: int, starts: np.ndarray, lengths: np.ndarray, user_field: int
) -> None:
    """Read From or To (RFC 3261 20.20, 20.39); user_field is followed by those of host and tag."""
    name, name_stop, uri, uri_stop, params = read_address(data, start, stop)
    user, user_stop, host, host_stop = read_uri(data, uri, uri_stop)
    tag, tag_stop = find_param(data, params, stop, TAG_NAME, SEMICOLON)
    if user_field == Field.FROM_USER:
        put(starts, lengths, Field.FROM_NAME, row, name, name_stop)
    put(starts, lengths, user_field, row, user, user_stop)
    put(starts, lengths, user_field + 1, row, host, host_stop)
    put(starts, lengths, user_field + 2, row, tag, tag_stop)


@part
def read_via(data: np.ndarray, start: int, stop: int) -> tuple[int, int, int, int]:
    """Return start and stop of sent-by and of branch of the topmost Via (RFC 3261 20.42); NONE where missing."""
    stop = first_value(data, start, stop)
    params = find(data, start, stop, SEMICOLON)
    transport = find(data, find(data, start, params, SLASH) + 1, params, SLASH) + 1
    host = skip_space(data, skip_word(data, skip_space(data, transport, params), params), params)
    branch, branch_stop = find_param(data, params, stop, BRANCH_NAME, SEMICOLON)
    return host, trim_end(data, host, params), branch, branch_stop


@part
def read_contact(
    data: np.ndarray, start: int, stop: int, row: int, starts: np.ndarray, lengths: np.ndarray, numbers: np.ndarray
) -> None:
    """Read the first Contact and its expires parameter (RFC 3261 20.10)."""
    stop = first_value(data, start, stop)
    put(starts, lengths, Field.CONTACT, row, start, trim_end(data, start, stop))
    _, _, _, _, params = read_address(data, start, stop)
    expires, expires_stop = find_param(data, params, stop, EXPIRES_NAME, SEMICOLON)
    numbers[Number.EXPIRES, row] = read_number(data, expires, expires_stop)


@part
def read_cseq(
    data: np.ndarray, start: int, stop: int, row: int, numbers: np.ndarray, quoted: np.ndarray
) -> tuple[int, int]:
    """Read CSeq (RFC 3261 20.16); return start and stop of its method."""
    digits = start
    while digits < stop and 48 <= data[np.uint64(digits)] <= 57:
        digits += 1
    number = read_number(data, start, digits)
    method = skip_space(data, digits, stop)
    method_stop = skip_word(data, method, stop)
    numbers[Number.CSEQ, row] = number
    if not (0 <= number <= MAX_CSEQ and method > digits and method_stop == stop and is_token(data, method, stop)):
        quote(numbers, quoted, row, Reason.BAD_CSEQ, Evidence.CSEQ, start, stop)
    return method, method_stop


@part
def skip_scheme(data: np.ndarray, start: int, stop: int) -> int:
    """Return where the parameters of credentials or of a challenge begin: after 'Digest ' (RFC 3261 25.1)."""
    word = skip_word(data, start, stop)
    return start if find(data, start, word, EQUALS) < word else word


@part
def first_of(values: np.ndarray, header: int, other: int) -> int:
    """Return the one of two headers that stands first in the message."""
    if values[0, header] == NONE or (values[0, other] != NONE and values[0, other] < values[0, header]):
        return other
    return header


@part
def read_auth(
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
        header = first_of(values, Header.AUTHORIZATION, Header.PROXY_AUTHORIZATION)
    else:
        header = first_of(values, Header.WWW_AUTHENTICATE, Header.PROXY_AUTHENTICATE)
    if values[0, header] == NONE:
        return
    stop = values[1, header]
    params = skip_scheme(data, values[0, header], stop)
    if request:
        numbers[Number.AUTHORIZED, row] = 1
        user, user_stop = find_param(data, params, stop, USERNAME_NAME, COMMA)
        put(starts, lengths, Field.AUTH_USER, row, user, user_stop)
    nonce, nonce_stop = find_param(data, params, stop, NONCE_NAME, COMMA)
    put(starts, lengths, Field.NONCE, row, nonce, nonce_stop)


@part
def read_values(
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
        read_party(data, values[0, Header.FROM], values[1, Header.FROM], row, starts, lengths, Field.FROM_USER)
    if values[0, Header.TO] != NONE:
        read_party(data, values[0, Header.TO], values[1, Header.TO], row, starts, lengths, Field.TO_USER)
    if values[0, Header.VIA] != NONE:
        host, host_stop, branch, branch_stop = read_via(data, values[0, Header.VIA], values[1, Header.VIA])
        put(starts, lengths, Field.VIA_HOST, row, host, host_stop)
        put(starts, lengths, Field.BRANCH, row, branch, branch_stop)
    if values[0, Header.CONTACT] != NONE:
        read_contact(data, values[0, Header.CONTACT], values[1, Header.CONTACT], row, starts, lengths, numbers)
    if numbers[Number.EXPIRES, row] == NONE and values[0, Header.EXPIRES] != NONE:
        numbers[Number.EXPIRES, row] = read_number(data, values[0, Header.EXPIRES], values[1, Header.EXPIRES])
    if values[0, Header.CSEQ] < values[1, Header.CSEQ]:
        method, method_stop = read_cseq(data, values[0, Header.CSEQ], values[1, Header.CSEQ], row, numbers, quoted)
        if not request:
            put(starts, lengths, Field.METHOD, row, method, method_stop)
        elif method < method_stop:
            own = starts[Field.METHOD, row]
            if not same(data, own, own + lengths[Field.METHOD, row], method, method_stop):
                flag(numbers, row, Reason.CSEQ_METHOD)
    put(starts, lengths, Field.CALL_ID, row, values[0, Header.CALL_ID], values[1, Header.CALL_ID])
    put(starts, lengths, Field.USER_AGENT, row, values[0, Header.USER_AGENT], values[1, Header.USER_AGENT])
    put(starts, lengths, Field.SERVER, row, values[0, Header.SERVER], values[1, Header.SERVER])
    put(starts, lengths, Field.SUBJECT, row, values[0, Header.SUBJECT], values[1, Header.SUBJECT])
    read_auth(data, request, values, row, starts, lengths, numbers)
