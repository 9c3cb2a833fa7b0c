"""What parse says about whole messages, and about broken ones."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from needs import corpus
from sip.payloads import packets

from analyzer.sip import columns, parser
from analyzer.sip.assembly import merge
from analyzer.sip.grammar import MEANINGS, REASONS, Reason
from analyzer.sip.parser import CHUNK_ROWS, parse
from analyzer.tables import ANOMALIES, MESSAGES

REQUEST = b"""INVITE sip:9011442037690000@192.0.2.9 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bK-1;rport
From: "100"<sip:100@192.0.2.9>;tag=abc
To: <sip:9011442037690000@192.0.2.9>
Call-ID: 1@192.0.2.1
CSeq: 1 INVITE
Contact: <sip:100@192.0.2.1:5061>
User-Agent: Phone/1.0
Content-Length: 0

""".replace(b"\n", b"\r\n")
SDP = b"v=0\r\no=svwar 1 1 IN IP4 192.0.2.1\r\ns=svwar\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 6060 RTP/AVP 0\r\n"


def parse_one(payload, **keywords):
    """Return the only message as a dict of what is there, and its anomalies as a dict of details by reason."""
    messages, anomalies = parse(packets([payload], **keywords), capture="one.pcap")
    (message,) = messages.to_dict("records")
    found = dict(zip(anomalies["reason"], anomalies["detail"], strict=True))
    return {name: value for name, value in message.items() if not pd.isna(value)}, found


def changed(old, new, payload=REQUEST):
    assert old in payload
    return parse_one(payload.replace(old, new))


def with_header(*lines):
    return changed(b"User-Agent: Phone/1.0\r\n", b"".join(line + b"\r\n" for line in lines))


def test_a_request_is_a_row():
    message, anomalies = parse_one(REQUEST)

    assert anomalies == {}
    assert message.pop("time") == pd.Timestamp("2023-11-14T22:13:20Z")
    assert message == {
        "capture": "one.pcap", "packet": 1, "transport": "udp", "source": "192.0.2.1", "source_port": 5060,
        "destination": "198.51.100.1", "destination_port": 5061, "ttl": 64, "method": "INVITE",
        "uri": "sip:9011442037690000@192.0.2.9", "uri_user": "9011442037690000", "from_name": "100",
        "from_user": "100", "from_host": "192.0.2.9", "from_tag": "abc", "to_user": "9011442037690000",
        "to_host": "192.0.2.9", "call_id": "1@192.0.2.1", "cseq": 1, "via_host": "192.0.2.1:5061",
        "branch": "z9hG4bK-1", "contact": "<sip:100@192.0.2.1:5061>", "user_agent": "Phone/1.0", "authorized": False,
        "layout": "Via,From,To,Call-ID,CSeq,Contact,User-Agent,Content-Length", "body_bytes": 0,
        "message_bytes": len(REQUEST),
        **dict.fromkeys(("rang", "repeated", "pursued", "in_dialog", "from_server"), False),
    }  # fmt: skip


def test_a_response_is_a_row():
    message, anomalies = parse_one(
        b"SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP a;branch=1\r\nFrom: <sip:1@a>;tag=1\r\nTo: <sip:1@a>;tag=2\r\n"
        b'Call-ID: 1\r\nCSeq: 5 REGISTER\r\nWWW-Authenticate: Digest realm="a, b",nonce="n"\r\n'
        b"Authorization: Digest username=no\r\nContent-Length: 0\r\n\r\n"
    )

    assert anomalies == {}
    assert message["method"] == "REGISTER"
    assert message["status"] == 401
    assert message["nonce"] == "n"
    assert not message["authorized"]
    assert not {"uri", "auth_user", "user_agent"} & set(message)


def test_tables_keep_to_their_contracts():
    messages, anomalies = parse(packets([REQUEST, b"OPTIONS"]), capture="one.pcap")

    for table, frame in ((MESSAGES, messages), (ANOMALIES, anomalies)):
        assert list(frame.columns) == list(table.columns)
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
            name: column.dtype for name, column in table.contract.items()
        }


def test_no_packets_are_empty_tables():
    messages, anomalies = parse(packets([]), capture="one.pcap")

    assert (len(messages), len(anomalies)) == (0, 0)
    assert messages.dtypes.astype(str).equals(MESSAGES.empty().dtypes.astype(str))


# --- forms of headers (RFC 3261 7.3)


@pytest.mark.parametrize(
    ("long", "compact"),
    [(b"Via", b"v"), (b"From", b"F"), (b"To", b"t"), (b"Call-ID", b"i"), (b"Contact", b"M"), (b"Content-Length", b"l")],
)
def test_compact_forms_mean_the_same(long, compact):
    message, anomalies = changed(b"\r\n" + long + b":", b"\r\n" + compact + b":")
    usual, _ = parse_one(REQUEST)

    assert anomalies == {}
    assert compact.decode() in message.pop("layout").split(",")
    assert {name for name in message if message[name] != usual[name]} == {"message_bytes"}


def test_names_are_of_any_case_and_values_are_folded():
    message, anomalies = with_header(b"uSeR-aGeNt \t:", b"  Some", b"\t Phone", b"SUBJECT: a ", b" b")

    assert anomalies == {}
    assert message["user_agent"] == "Some Phone"
    assert message["subject"] == "a b"
    assert "uSeR-aGeNt_~:,SUBJECT" in message["layout"]


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_bare_line_ends(end):
    message, anomalies = parse_one(REQUEST.replace(b"\r\n", end))

    assert anomalies == {}
    assert message["user_agent"] == "Phone/1.0"
    assert message["layout"].startswith("LF Via") == (end == b"\n")


def test_line_ends_before_the_message_are_skipped():
    message, anomalies = parse_one(b"\r\n\r\n" + REQUEST)

    assert anomalies == {}
    assert message["message_bytes"] == len(REQUEST)


@pytest.mark.parametrize(
    ("lines", "layout"),
    [
        ([b"Subject:x"], "Subject:"),
        ([b"Subject:  x"], "Subject:__"),
        ([b"Subject : x"], "Subject_:_"),
        ([b"Subject\t:\tx"], "Subject~:~"),
        ([b"Subject:"], "Subject:"),
        ([b"Route: a", b"Route: b", b"route: c"], "Route,route"),
        ([b"A" * 40 + b": x", b"B" * 41 + b": x"], "A" * 40 + ",?"),
        ([b"two words: x", b": x"], "?"),
        ([b"%c: x" % (97 + k // 2 % 26) for k in range(4)], "a,b"),
    ],
)
def test_layout_is_the_handwriting(lines, layout):
    message, _ = with_header(*lines)

    assert message["layout"] == f"Via,From,To,Call-ID,CSeq,Contact,{layout},Content-Length"


def test_layout_shows_48_names():
    message, _ = with_header(*[b"X-%d: 1" % k for k in range(50)])

    assert message["layout"].endswith("X-40,X-41,…")
    assert message["layout"].count(",") == 48


def test_the_first_of_repeated_headers_counts():
    message, anomalies = with_header(
        b"v: SIP/2.0/UDP second;branch=2", b"m: <sip:second@a>", b"Authorization: Digest username=a",
        b"Proxy-Authorization: Digest username=b",
    )  # fmt: skip

    assert anomalies == {}
    assert message["branch"] == "z9hG4bK-1"
    assert message["contact"] == "<sip:100@192.0.2.1:5061>"
    assert message["auth_user"] == "a"


@pytest.mark.parametrize(
    ("via", "host", "branch"),
    [
        (b"SIP/2.0/UDP a:5060;branch=1,SIP/2.0/UDP b;branch=2", "a:5060", "1"),
        (b"SIP / 2.0 / UDP  [2001:db8::1]:5060 ; rport ; branch = 1", "[2001:db8::1]:5060", "1"),
        (b'SIP/2.0/UDP a;x=",;branch=0";branch=1', "a", "1"),
        (b"SIP/2.0/UDP a", "a", None),
        (b"nonsense", None, None),
    ],
)
def test_topmost_via(via, host, branch):
    message, _ = changed(b"SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bK-1;rport", via)

    assert message.get("via_host") == host
    assert message.get("branch") == branch


@pytest.mark.parametrize(
    ("value", "name", "user", "host", "tag"),
    [
        (b"sip:a@b;tag=1", None, "a", "b", "1"),
        (b"<sip:a@b;tag=no>;tag=1", None, "a", "b", "1"),
        (b"<sip:a:secret@b:5060;x=y?z=1> ; Tag = 1", None, "a", "b:5060", "1"),
        (b'"A \\"x\\" <y>@z;tag=no" <sip:a@b>', 'A \\"x\\" <y>@z;tag=no', "a", "b", None),
        (b"A B<SIPS:a@[::1]:5>;x;tag=1;tag=2", "A B", "a", "[::1]:5", "1"),
        (b"<tel:+44-20;phone-context=+1>;tag=1", None, "+44-20", None, "1"),
        (b"tel:123;tag=1", None, "123", None, "1"),
        (b"<a@b>;tag=1", None, "a", "b", "1"),
        (b"<sip:b>;tag=1", None, None, "b", "1"),
        (b"<sip:@b>;tag=", None, None, "b", None),
        (b"<sip:a;x=1@b>;tag=1", None, "a;x=1", "b", "1"),
        (b"<sip:%61%40@b>;tag=1", None, "%61%40", "b", "1"),
        (b"<sip:a@b;tag=1", None, "a", "b", "1"),
        (b'"A <sip:a@b>;tag=1', '"A', "a", "b", "1"),
    ],
)
def test_from(value, name, user, host, tag):
    message, _ = changed(b'"100"<sip:100@192.0.2.9>;tag=abc', value)

    found = tuple(message.get(key) for key in ("from_name", "from_user", "from_host", "from_tag"))
    assert found == (name, user, host, tag)


@pytest.mark.parametrize(
    "value",
    [
        b'Digest username="a b",realm="r, nonce=no",nonce="n"',
        b'Digest realm="x", username="a b" ,\r\n  nonce = "n", cnonce="no"',
        b'DIGEST nonce=n,\tusername="a b"',
        b'username="a b",nonce=n',
    ],
)
@pytest.mark.parametrize("header", [b"Authorization: ", b"proxy-authorization:"])
def test_credentials(header, value):
    message, anomalies = with_header(header + value)

    assert anomalies == {}
    assert message["authorized"]
    assert (message["auth_user"], message["nonce"]) == ("a b", "n")


@pytest.mark.parametrize(
    ("lines", "expires"),
    [
        ([b"Expires: 3600"], 3600),
        ([b"Expires: 3600", b"Contact: <sip:a@b>;expires=60"], 60),
        ([b"Expires: 3600", b"Contact: <sip:a@b;expires=60>"], 3600),
        ([b"Contact: sip:a@b;expires=0, <sip:c@d>;expires=9"], 0),
        ([b"Expires: 99999999999999999999"], None),
        ([b"Expires: soon"], None),
        ([], None),
    ],
)
def test_expires(lines, expires):
    message, _ = changed(b"Contact: <sip:100@192.0.2.1:5061>\r\n", b"".join(line + b"\r\n" for line in lines))

    assert message.get("expires") == expires


# --- bodies


def with_body(body):
    return changed(b"Content-Length: 0\r\n\r\n", b"Content-Length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.parametrize(
    ("old", "new", "origin", "session", "media"),
    [
        (b"t=", b"t=", "svwar 192.0.2.1", "svwar", "192.0.2.1:6060"),
        (b"o=svwar ", b"o=A B ", "A B 192.0.2.1", "svwar", "192.0.2.1:6060"),
        (b"c=IN IP4 192.0.2.1\r\n", b"c=IN IP6 2001:db8::1\r\n", "svwar 192.0.2.1", "svwar", "[2001:db8::1]:6060"),
        (b"RTP/AVP 0\r\n", b"RTP/AVP 0\nc=IN IP4 192.0.2.8/127\n", "svwar 192.0.2.1", "svwar", "192.0.2.8:6060"),
        (b"s=svwar", b"s= ", "svwar 192.0.2.1", None, "192.0.2.1:6060"),
        (b"6060", b"6060/2", "svwar 192.0.2.1", "svwar", "192.0.2.1:6060"),
        (b"6060", b"many", "svwar 192.0.2.1", "svwar", None),
        (b"c=IN IP4 192.0.2.1\r\n", b"", "svwar 192.0.2.1", "svwar", None),
        (b"o=svwar 1 1 IN IP4 192.0.2.1", b"o=svwar", "svwar", "svwar", "192.0.2.1:6060"),
        (b"v=0\r\n", b"", None, None, None),
    ],
)
def test_session_description(old, new, origin, session, media):
    body = SDP.replace(old, new)
    message, anomalies = with_body(body)

    assert anomalies == {}
    assert tuple(message.get(key) for key in ("sdp_origin", "sdp_session", "media")) == (origin, session, media)
    assert message["body_bytes"] == len(body)


# --- anomalies


def test_each_reason_has_a_word_and_a_meaning():
    assert set(REASONS) == set(MEANINGS) == set(Reason)
    assert len(set(REASONS.values())) == len(Reason)


@pytest.mark.parametrize(
    ("old", "new", "reason", "detail"),
    [
        (b" SIP/2.0\r\n", b"\r\n", "bad start line", "INVITE sip:9011442037690000@192.0.2.9"),
        (b"INVITE sip:", b"INVITE  sip:", "bad start line", "INVITE  sip:9011442037690000@192.0.2.9 SIP/2.0"),
        (b" SIP/2.0\r\n", b" SIP/3.0\r\n", "bad start line", "INVITE sip:9011442037690000@192.0.2.9 SIP/3.0"),
        (b"User-Agent: Phone/1.0", b"User-Agent Phone/1.0", "header without colon", "User-Agent Phone/1.0"),
        (b"User-Agent:", b"User Agent:", "bad header name", "User Agent"),
        (b"User-Agent:", b":", "bad header name", None),
        (b"0\r\n\r\n", b"0\r\n", "no blank line", None),
        (b"To: ", b"X: ", "missing header", "To"),
        (b"Call-ID: 1@192.0.2.1", b"Call-ID:", "missing header", "Call-ID"),
        (b"Length: 0\r\n\r\n", b"Length: 7\r\n\r\nabc", "content-length too large", "7 promised, 3 there"),
        (b"Length: 0", b"Length: -1", "bad content-length", "-1"),
        (b"Length: 0", b"Length: 99999999999999999999", "bad content-length", "99999999999999999999"),
        (b"\r\n\r\n", b"\r\n\r\nBYE sip:a SIP/2.0\r\n\r\n", "bytes after the message", "21 bytes"),
        (b"CSeq: 1 ", b"CSeq: 2147483648 ", "bad cseq", "2147483648 INVITE"),
        (b"CSeq: 1 INVITE", b"CSeq: INVITE", "bad cseq", "INVITE"),
        (b"CSeq: 1 INVITE", b"CSeq: 1 INVITE x", "bad cseq", "1 INVITE x"),
        (b"CSeq: 1 INVITE", b"CSeq: 1 BYE", "cseq method differs", None),
        (b"User-Agent: Phone/1.0", b"f: <sip:b@c>", "repeated header", "f: <sip:b@c>"),
        (b"Phone", b"Ph\xf6ne", "not utf-8", "user_agent"),
        (b"Phone", b"Ph\x00ne", "control character", "byte 0 at offset 268"),
        (b"User-Agent", b"X: 1\r\n" * 520 + b"User-Agent", "too many headers", None),
    ],
)
def test_anomalies(old, new, reason, detail):
    message, anomalies = changed(old, new)

    assert list(anomalies) == [reason]
    assert show(anomalies[reason]) == detail
    assert message["packet"] == 1


def show(detail):
    return None if pd.isna(detail) else detail


def test_what_the_recorder_cut_is_no_fault_of_the_message():
    message, anomalies = parse_one(REQUEST[:250], missing=len(REQUEST) - 250)

    assert anomalies == {"cut by snap length": f"{len(REQUEST) - 250} bytes left out"}
    assert message["call_id"] == "1@192.0.2.1"


def test_blanks_and_line_ends_after_the_message_are_none():
    message, anomalies = parse_one(REQUEST + b"\r\n\r\n")

    assert anomalies == {}
    assert message["message_bytes"] == len(REQUEST)


def test_a_same_header_twice_is_none():
    assert with_header(b'f: "100"<sip:100@192.0.2.9>;tag=abc')[1] == {}


def test_a_message_may_have_many_anomalies():
    _, anomalies = parse_one(b"\xff\x01 x\r\nnonsense\r\nCSeq: x y\r\n")

    assert set(anomalies) == {
        "bad start line", "header without colon", "no blank line", "missing header", "bad cseq", "cseq method differs",
        "not utf-8", "control character",
    }  # fmt: skip


def test_anomalies_are_in_the_order_of_packets():
    broken = REQUEST.replace(b"To: ", b"To ")
    _, anomalies = parse(packets([broken, REQUEST, broken] * CHUNK_ROWS), capture="x")

    assert anomalies["packet"].is_monotonic_increasing
    assert len(anomalies) == 4 * CHUNK_ROWS
    assert anomalies.loc[1:2, "reason"].tolist() == ["missing header", "bad header name"]


def test_cseq_is_missing_where_it_does_not_fit():
    assert changed(b"CSeq: 1 ", b"CSeq: 9223372036854775807 ")[0]["cseq"] == 2**63 - 1
    assert "cseq" not in changed(b"CSeq: 1 ", b"CSeq: 9223372036854775808 ")[0]


def test_text_that_is_not_utf8_is_escaped():
    message, _ = changed(b"Phone/1.0", "Größe ".encode() + b"\xe2\x82|\xff")

    assert message["user_agent"] == "Größe \\xe2\\x82|\\xff"


# --- many messages


def test_chunks_do_not_show():
    payloads = [REQUEST.replace(b"Phone/1.0", b"Phone/%d" % (k % 7)).replace(b"1@", b"%d@" % k) for k in range(2500)]
    messages, _ = parse(packets(payloads), capture="x")

    assert messages["call_id"].tolist() == [f"{k}@192.0.2.1" for k in range(2500)]
    assert messages["user_agent"].tolist() == [f"Phone/{k % 7}" for k in range(2500)]
    assert messages["user_agent"].cat.categories.tolist() == [f"Phone/{k}" for k in range(7)]


@pytest.mark.parametrize("room", [0, 300])
def test_room_that_runs_out_does_not_show(room, monkeypatch):
    payloads = [
        REQUEST.replace(b"Phone/1.0", b"Phone/%d" % k * (k % 40)).replace(b"1@", b"\xff%d@" % k * (k % 9))
        for k in range(2 * CHUNK_ROWS + 100)
    ]
    whole = parse(packets(payloads), capture="x")
    monkeypatch.setattr(columns, "_LITTLE", room)
    monkeypatch.setattr(columns, "_PART", 10**9)
    given = []
    monkeypatch.setattr(parser, "with_room", lambda block: given.append(block) or columns.with_room(block))
    for table, expected in zip(parse(packets(payloads), capture="x"), whole, strict=True):
        pd.testing.assert_frame_equal(table, expected)
    assert len(given) >= 2


def test_words_that_differ_on_the_wire_only_are_one_category():
    folded = REQUEST.replace(b"Phone/1.0", b"A\r\n B")
    messages, _ = parse(packets([folded, REQUEST.replace(b"Phone/1.0", b"A B")]), capture="x")

    assert messages["user_agent"].cat.categories.tolist() == ["A B"]
    assert messages["user_agent"].tolist() == ["A B", "A B"]


def test_merge_unifies_categories():
    other = REQUEST.replace(b"Phone/1.0", b"Other").replace(b"100", b"200")
    tables = [parse(packets(payloads), capture=f"{name}.pcap")[0] for name, payloads in
              {"a": [REQUEST], "b": [], "c": [other, REQUEST, b"x"]}.items()]  # fmt: skip
    merged = merge(tables)

    assert merged.dtypes.astype(str).to_dict() == tables[0].dtypes.astype(str).to_dict()
    assert merged["user_agent"].astype("str").fillna("-").tolist() == ["Phone/1.0", "Other", "Phone/1.0", "-"]
    assert merged["capture"].astype("str").tolist() == ["a.pcap", "c.pcap", "c.pcap", "c.pcap"]
    assert merged["call_id"].isna().tolist() == [False, False, False, True]
    assert merged.index.tolist() == [0, 1, 2, 3]


def test_addresses_are_canonical():
    block = packets([REQUEST] * 2)
    block.source[:] = [(0x2001_0DB8_0000_0000, 1), (0, 0xFFFF_0A00_0001)]

    assert parse(block, capture="x")[0]["source"].tolist() == ["2001:db8::1", "10.0.0.1"]


def test_packets_outside_of_their_block_are_refused():
    block = packets([REQUEST])
    block.length[0] += 1

    with pytest.raises(ValueError, match="not within the data"):
        parse(block, capture="x")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(st.binary(max_size=60) | st.integers(0, len(REQUEST)).map(lambda stop: REQUEST[:stop]), max_size=4))
def test_any_bytes_are_rows(payloads):
    messages, anomalies = parse(packets(payloads), capture="x")

    assert len(messages) == len(payloads)
    assert set(anomalies["packet"]) <= set(messages["packet"])
    assert not (messages.select_dtypes("str") == "").any(axis=None)


@pytest.mark.parametrize(
    "piece", [b":", b",", b'"', b"\r\n ", b"\r\n", b"<", b"@", b";", b';\\"', b"a:\r\n", b"\xff", b"="]
)
@pytest.mark.parametrize("header", [b"", b"From: ", b"Via: SIP/2.0/UDP ", b"Contact: ", b"Authorization: Digest "])
def test_large_datagrams_take_no_longer_than_others(header, piece):
    payload = b"INVITE sip:a SIP/2.0\r\n" + header + piece * (65000 // len(piece))
    block = packets([payload] * 4)
    started = np.datetime64("now", "us")
    parse(block, capture="x")

    assert np.datetime64("now", "us") - started < np.timedelta64(2, "s")


# --- the valid messages of RFC 4475

TORTURE = {
    "dblreq": ("REGISTER", "43251j3j324", "j.user", "dblreq.0ha0isndaksdj99sdfafnl3lk233412", 8),
    "esc01": ("INVITE", "938", "%75se%72", "esc01.239409asdfakjkn23onasd0-3234", 234234),
    "esc02": ("RE%47IST%45R", "f232jadfj23", "resource", "esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf", 29344),
    "escnull": ("REGISTER", "839923423", "null-%00-null", "escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd", 14398234),
    "intmeth": (
        "!interesting-Method0123456789_*+`.%indeed'~", "_token~1'+`*%!-.",
        "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*", "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{", 139122385,
    ),
    "longreq": ("INVITE", "12" + "982" * 50 + "424", "user", "longreq.one" + "really" * 20 + "longcallid", 3882340),
    "lwsdisp": ("OPTIONS", "323", "user", "lwsdisp.1234abcd@funky.example.com", 60),
    "mpart01": ("MESSAGE", "2fb0dcc9", "kumiko", "3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..", 1),
    "noreason": ("INVITE", "39ansfi3", "user", "noreason.asndj203insdf99223ndf", 35),
    "semiuri": ("OPTIONS", "33242", "j_user", "semiuri.0ha0isndaksdj", 8),
    "transports": ("OPTIONS", "323", "user", "transports.kijh4akdnaqjkwendsasfdj", 60),
    "unreason": ("INVITE", "11141343", "user", "unreason.1234ksdfak3j2erwedfsASdf", 35),
    "wsinv": ("INVITE", "98asjd8", "vivekg", "wsinv.ndaksdj@192.0.2.1", 9),
}  # fmt: skip


@pytest.mark.parametrize("name", TORTURE)
def test_torture(name):
    message, anomalies = parse_one(corpus(f"torture/{name}.dat").read_bytes())

    found = tuple(message[column] for column in ("method", "from_tag", "to_user", "call_id", "cseq"))
    assert found == TORTURE[name]
    assert set(anomalies) == {"dblreq": {"bytes after the message"}, "intmeth": {"control character"}}.get(name, set())


def test_a_packet_without_a_time_has_none():
    from dataclasses import replace

    table, _ = parse(replace(packets([b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"]), time=np.array([-1])), capture="x")
    assert table["time"].isna().all()
