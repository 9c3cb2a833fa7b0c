"""Each kernel against its naive twin: compiled, bounds-checked and interpreted."""

import naive_sip as naive
import numba
import numpy as np
import pytest
from again import run_again
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.sip import _kernels, _text, _words
from analyzer.sip.columns import readonly
from analyzer.sip.grammar import LAYOUT_BYTES, NONE, Evidence, Field, Header, Number, Reason

CHECKED = bool(numba.config.BOUNDSCHECK or numba.config.DISABLE_JIT)
"""An index out of bounds is an IndexError in this run."""
many = settings(
    max_examples=60 if CHECKED else 300, deadline=None, suppress_health_check=list(HealthCheck), database=None
)

WORDS = [
    b"\r\n", b"\r\n ", b"\n", b"\r", b" ", b"\t", b":", b";", b",", b"=", b'"', b"\\", b"<", b">", b"@", b"/", b"?",
    b"sip:", b"SIPS:", b"tel:", b"SIP/2.0", b"sip/3.0", b"INVITE", b"REGISTER", b"From: ", b"f:", b"To: ", b"t : ",
    b"Via: ", b"v:", b"Call-ID: ", b"i:", b"CSeq: ", b"Contact: ", b"m:", b"Expires: ", b"Content-Length: ", b"l: ",
    b"User-Agent: ", b"Server: ", b"Subject: ", b"s:", b"Authorization: ", b"Proxy-Authorization: ", b"Digest ",
    b"WWW-Authenticate: ", b"Proxy-Authenticate: ", b"username=", b"nonce=", b"tag=", b"branch=", b"expires=",
    b"v=0\r\n", b"o=", b"s=", b"c=IN IP4 ", b"m=audio ", b"0", b"7", b"100", b"9223372036854775807", b"a", b"x-y",
    b"\x00", b"\x7f", b"\xff", b"\xc3\xa9", b"\xe2\x82", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80",
]  # fmt: skip
NOISE = st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=30).map(b"".join)
REQUEST = b"""REGISTER sip:alice:secret@example.com;transport=udp SIP/2.0\r
Via: SIP/2.0/UDP [2001:db8::9]:5060;rport;branch="z9hG4bK,1", SIP / 2.0 / TCP b.example\r
v: SIP/2.0/UDP second.example;branch=z9hG4bK2\r
From : "A \\"quoted\\" <name>, \xc3\xa9" <sip:alice:secret@example.com:5060;x=y?h=1> ;x="a;tag=no";tag = abc\r
t:sip:+4420@example.com\r
 ;tag=late\r
Call-ID:  1@example\r
CSeq: 7 \r
\tREGISTER\r
m: "B, <c>" <sip:bob@[::1]:5;a=b>;q=0.5;expires=60, <sip:other@example>\r
Expires: 3600\r
User-Agent: Some Phone/1.0\r
Server:\r
Subject: hello\r
Proxy-Authorization: Digest username="al\\"ice",realm="a,nonce=no", nonce="n0nce=="\r
Authorization: Digest username=second\r
Content-Type: application/sdp\r
Content-Length: 144\r
\r
v=0\r
o=an name 1 2 IN IP4 192.0.2.1\r
s= a session\r
c=IN IP4 192.0.2.2/127\r
t=0 0\r
m=audio 49170/2 RTP/AVP 0\r
c=IN IP6 ::1\r
m=video 1 RTP/AVP 1\r
"""
RESPONSE = b"""SIP/2.0 401 Unauthorized
Via: SIP/2.0/UDP a.example;branch=z9hG4bK1
From: <tel:+44-20;phone-context=x>;tag=1
To: Bob <sip:bob@example.com>;tag=2
Call-ID: 1
CSeq: 2147483648 INVITE
WWW-Authenticate: Digest realm="r",\tnonce="abc",qop="auth"
Contact: *
Content-Length: 0

"""


@st.composite
def mutated(draw):
    """A valid message, cut, changed and spliced."""
    message = draw(st.sampled_from([REQUEST, RESPONSE]))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(message)))
        stop = draw(st.integers(start, min(len(message), start + 40)))
        message = message[:start] + draw(NOISE | st.just(b"")) + message[stop:]
    return message[: draw(st.integers(0, len(message)) | st.just(len(message)))]


PAYLOADS = st.one_of(NOISE, mutated(), st.builds(bytes.__add__, st.just(b"A sip:b SIP/2.0\r\n"), NOISE))
PADDING = st.sampled_from([b"", b'"x<>;tag=1:\r\n', b'"x<>;tag=1:\r\n' * 4])


@pytest.fixture(autouse=True)
def _wrapping_numbers():
    """Interpreted, numpy warns of the overflow that a hash is made of."""
    with np.errstate(over="ignore"):
        yield


@numba.njit
def split_all(*given):
    return _kernels.split(*given)


@numba.njit
def encode_all(*given):
    return _words.encode(*given)


def split(payloads, padding=b"", missing=0):
    """Run split(), and return what it found as naive Messages."""
    data = padding + b"".join(payload + padding for payload in payloads)
    rows = len(payloads)
    length = np.array([len(payload) for payload in payloads], np.int64)
    begin = np.cumsum([len(padding), *(length + len(padding))])[:-1].astype(np.int64)
    starts, lengths = np.zeros((len(Field), rows), np.int64), np.full((len(Field), rows), NONE)
    numbers, odd = np.full((len(Number), rows), NONE), np.zeros(rows, np.uint8)
    quoted = np.zeros((len(Evidence), rows, 2), np.int64)
    layout, layout_spans = np.zeros(rows * LAYOUT_BYTES, np.uint8), np.zeros((2, rows), np.int64)
    used = split_all(
        readonly(np.frombuffer(data, np.uint8)), readonly(begin), readonly(length), readonly(np.full(rows, missing)),
        starts, lengths, odd, numbers, quoted, layout, layout_spans[0], layout_spans[1],
        np.zeros((2, len(Header)), np.int64), np.zeros(4, np.int64),
    )  # fmt: skip
    assert used == layout_spans[1].sum()
    found = []
    for row in range(rows):
        message = naive.Message()
        for name in Field:
            start, size = starts[name, row], lengths[name, row]
            assert size == NONE or begin[row] <= start <= start + size <= begin[row] + length[row]
            message.put(**{name.name: data[start : start + max(size, 0)]})
        reasons = numbers[Number.ANOMALIES, row]
        message.reasons = {reason.name for reason in Reason if reasons >> reason & 1}
        bad = {name.name for name in Field if max(numbers[Number.NOT_UTF8, row], 0) >> name & 1}
        assert bad == {name for name, value in message.fields.items() if not is_utf8(value)}
        for number in Number:
            if number not in (Number.ANOMALIES, Number.NOT_UTF8):
                message.put_number(number.name, int(numbers[number, row]))
        for reason, evidence in EVIDENCE.items():
            if reason in message.reasons:
                start, size = quoted[Evidence[evidence], row]
                message.quoted[evidence] = data[start : start + size]
        message.layout = layout[layout_spans[0, row] :][: layout_spans[1, row]].tobytes()
        found.append(message)
    return found


EVIDENCE = {
    "BAD_START_LINE": "START_LINE", "LINE_WITHOUT_COLON": "LINE", "BAD_HEADER_NAME": "NAME", "BAD_LENGTH": "LENGTH",
    "BAD_CSEQ": "CSEQ", "REPEATED_HEADER": "REPEATED",
}  # fmt: skip


def is_utf8(value):
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


@many
@given(st.lists(PAYLOADS, min_size=1, max_size=3), PADDING, st.sampled_from([0, 0, 5]))
def test_split(payloads, padding, missing):
    assert split(payloads, padding, missing) == [naive.split(payload, missing) for payload in payloads]


@pytest.mark.parametrize("payload", [REQUEST, RESPONSE, b"", b"\r\n\r\n", b"SIP/2.0", b"\xff" * 9])
def test_split_of_every_prefix(payload):
    prefixes = [payload[:stop] for stop in range(0, len(payload) + 1, 9 if CHECKED else 1)]

    assert split(prefixes) == [naive.split(prefix) for prefix in prefixes]


def test_split_reads_what_is_there():
    (message,) = split([REQUEST])

    assert message.fields["FROM_NAME"] == b'A \\"quoted\\" <name>, \xc3\xa9'
    assert message.fields["FROM_USER"] == b"alice"
    assert message.fields["FROM_HOST"] == b"example.com:5060"
    assert message.fields["FROM_TAG"] == b"abc"
    assert message.fields["TO_USER"] == b"+4420"
    assert message.fields["TO_TAG"] == b"late"
    assert message.fields["VIA_HOST"] == b"[2001:db8::9]:5060"
    assert message.fields["BRANCH"] == b"z9hG4bK,1"
    assert message.fields["CONTACT"] == b'"B, <c>" <sip:bob@[::1]:5;a=b>;q=0.5;expires=60'
    assert message.fields["AUTH_USER"] == b'al\\"ice'
    assert message.fields["NONCE"] == b"n0nce=="
    assert message.fields["SDP_NAME"] == b"an name"
    assert message.fields["SDP_ADDRESS"] == b"192.0.2.1"
    assert message.fields["MEDIA_ADDRESS"] == b"::1"
    assert message.fields["MEDIA_PORT"] == b"49170"
    assert message.numbers["EXPIRES"] == 60
    assert message.numbers["CSEQ"] == 7
    assert message.layout == (
        b"Via,v,From_,t:,Call-ID:__,CSeq,m,Expires,User-Agent,Server:,Subject,Proxy-Authorization,Authorization,"
        b"Content-Type,Content-Length"
    ).replace(b"From_", b"From_:_")


@many
@given(st.lists(NOISE, max_size=20), st.integers(1, 5))
def test_encode(spans, chunk):
    codes, words = run_encode(spans * 2, chunk)

    assert (codes, words) == naive.encode(spans * 2)


def run_encode(spans, chunk, slots=None):
    """Encode spans, chunk by chunk; return codes and words."""
    data = b"".join(spans)
    lengths = np.array([len(span) for span in spans], np.int64)
    starts = np.cumsum([0, *lengths])[:-1].astype(np.int64)
    room = len(spans)
    hashes, places = np.zeros(room, np.uint64), np.zeros((room, 2), np.int64)
    store, codes = np.zeros(len(data), np.uint8), np.zeros(room, np.int32)
    count, used, recent = 0, 0, np.full(_words.RECENT, NONE, np.int32)
    slots = np.full(64, NONE, np.int32) if slots is None else slots
    for first in range(0, room, chunk):
        part = slice(first, first + chunk)
        count, used = encode_all(
            readonly(np.frombuffer(data, np.uint8)), starts[part], lengths[part], codes[part],
            slots, hashes, places, recent, store, count, used,
        )  # fmt: skip
    words = [store[start : start + length].tobytes() for start, length in places[:count]]
    assert used == sum(map(len, words))
    return codes.tolist(), words


@many
@given(st.lists(st.sampled_from([b"a" * 15, b"a" * 16, b"a" * 40, b"b" * 39 + b"a", b"c" * 39 + b"a"]), max_size=20))
def test_long_words_that_look_alike_are_kept_apart(spans):
    assert run_encode(spans, 3) == naive.encode(spans)


def test_words_that_find_no_place_get_new_codes():
    full = np.zeros(64, np.int32)  # every slot holds word 0, whose hash is that of none of these
    codes, words = run_encode([b"first", b"a", b"a"], 3, full)

    assert codes == [0, 1, 2]
    assert words == [b"first", b"a", b"a"]


@many
@given(st.lists(NOISE.map(lambda span: span.strip(naive.SPACE)), max_size=10), PADDING)
def test_append_texts(spans, padding):
    data = padding + b"".join(span + padding for span in spans)
    lengths = np.array([len(span) or NONE for span in spans], np.int64)
    starts = np.cumsum([len(padding), *(np.maximum(lengths, 0) + len(padding))])[:-1].astype(np.int64)
    plain = [span.isascii() and not set(b"\r\n") & set(span) for span in spans]
    odd = np.array([0 if is_plain and row % 2 else 1 for row, is_plain in enumerate(plain)], np.uint8)
    offsets, out = np.zeros(len(spans) + 1, np.int64), np.zeros(4 * len(data), np.uint8)
    used = _text.append_texts(readonly(np.frombuffer(data, np.uint8)), starts, lengths, odd, offsets, out)

    assert used == offsets[-1]
    assert [out[offsets[k] : offsets[k + 1]].tobytes().decode() for k in range(len(spans))] == list(
        map(naive.show, spans)
    )


if CHECKED:

    def test_bounds_are_checked():
        one = np.zeros(1, np.int64)
        data = readonly(np.zeros(4, np.uint8))
        with pytest.raises(IndexError):
            _text.append_texts(data, one, one + 9, np.zeros(1, np.uint8), np.zeros(2, np.int64), np.zeros(9, np.uint8))

else:

    @pytest.mark.slow
    @pytest.mark.parametrize("mode", ["NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"])
    def test_kernels_again(mode):
        done = run_again(__file__, variable=mode)

        assert done.returncode == 0, done.stdout
        assert "skipped" not in done.stdout
