"""SIP over WebSocket (RFC 7118): handshake, frames, masks, fragments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_streams import websocket_frame
from sip.segments import message, stream
from sip.test_streams import SIZES, cut, many, run

from analyzer.engines import WS

ASK = (
    b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: msrp, SIP\r\n\r\n"
)
GRANT = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
FLOW = ("192.0.2.1", 40000, "198.51.100.1", 8080)
MASK = b"\x13\x57\x9b\xdf"
PING = websocket_frame(b"ping", opcode=9)


def fragmented(payload, sizes, mask, between=b""):
    """Return the frames of one message, with other frames between them."""
    pieces = cut(payload, sizes)
    return between.join(
        websocket_frame(piece, opcode=0 if at else 1, final=at == len(pieces) - 1, mask=mask)
        for at, piece in enumerate(pieces)
    )


@many
@given(
    st.lists(st.sampled_from([0, 90, 3000]), min_size=1, max_size=4),
    st.sampled_from([ASK, GRANT]),
    st.sampled_from([None, MASK]),
    SIZES,
    st.lists(st.sampled_from([5, 60, 1000]), min_size=1, max_size=3),
    st.sampled_from([b"", PING, websocket_frame(b"", opcode=10, mask=MASK)]),
    st.integers(1, 40),
)
def test_any_frames_in_any_segments(bodies, opening, mask, sizes, fragments, between, block):
    sent = [message(serial, body=b"b" * size) for serial, size in enumerate(bodies)]
    frames = between.join(fragmented(payload, fragments, mask, between) for payload in sent)
    found = run(stream(cut(opening + frames, sizes), flow=FLOW), block=block)

    assert found.payloads == sent
    assert {transport for _, transport, _ in found.rows} == {WS}
    assert found.reasons == []
    assert found.settled == found.count


@pytest.mark.parametrize("mask", [None, MASK])
def test_a_capture_that_begins_after_the_handshake(mask):
    sent = [message(1), message(2, body=b"x" * 70_000)]
    found = run(stream([websocket_frame(payload, mask=mask) for payload in sent], flow=FLOW, syn=False))

    assert found.payloads == sent
    assert [transport for _, transport, _ in found.rows] == [WS, WS]


def test_fates():
    close = websocket_frame(b"\x03\xe8", opcode=8, mask=MASK)
    pieces = [ASK, websocket_frame(message(1), mask=MASK), PING, PING + websocket_frame(b"\r\n\r\n"), close]
    found = run(stream(pieces, flow=FLOW))

    assert found.payloads == [message(1)]
    assert {reason: count for reason, count in found.aside.items() if count} == {
        "tcp handshake": 1,
        "tcp keep-alive": 1,
        "websocket handshake": 1,
        "websocket control frame": 2,
    }


def test_a_websocket_for_something_else():
    found = run(stream([ASK.replace(b"SIP", b"xmpp"), websocket_frame(b"<hello/>")], flow=FLOW))

    assert found.payloads == []
    assert found.aside["tcp without sip"] == 2


@pytest.mark.parametrize(
    "bad",
    [
        b"\x8f\x00",
        websocket_frame(b"x", reserved=0x20),
        b"\x81\x7f" + b"\xff" * 8,
        b"\x81\x7f" + (2**40).to_bytes(8),
        websocket_frame(b"x", final=False) * 2,
        b"\x09\x00",
    ],
    ids=["opcode", "reserved bit", "negative", "huge", "nested", "control in parts"],
)
def test_after_a_bad_frame_the_next_message_is_found(bad):
    found = run(stream([ASK, websocket_frame(message(1)), bad, websocket_frame(message(2), mask=MASK)], flow=FLOW))

    assert found.payloads == [message(1), message(2)]
    assert found.reasons == ["bad websocket frame"]


def test_a_message_in_parts_without_end_is_bounded():
    part = websocket_frame(b"x" * 60_000, opcode=0, final=False)
    frames = [websocket_frame(message(1), final=False), *[part + PING * 100] * 18, websocket_frame(message(2))]
    found = run(stream([ASK, *frames], flow=FLOW))

    assert found.payloads == [message(2)]
    assert found.reasons == ["bad websocket frame"]


def test_after_a_gap_frames_are_found_again():
    pieces = [ASK, *(websocket_frame(message(serial), mask=MASK) for serial in range(4))]
    rows = stream(pieces, flow=FLOW)
    del rows[3]
    found = run(rows)

    assert found.payloads == [message(0), message(2), message(3)]
    assert found.reasons == ["tcp gap"]
