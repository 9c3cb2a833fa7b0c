"""TCP streams to messages: order, framing, fates; compiled, bounds-checked and interpreted."""

import random
from pathlib import Path

import naive_streams as naive
import numba
import numpy as np
import pytest
from again import run_again
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sip.segments import ACK, CLIENT, FIN, RST, SERVER, START, SYN, message, segments, stream

from analyzer.engines import TCP
from analyzer.sip import _framing
from analyzer.sip.columns import readonly
from analyzer.sip.streams import REASONS, SET_ASIDE, Limits, Streams

CHECKED = bool(numba.config.BOUNDSCHECK or numba.config.DISABLE_JIT)
"""An index out of bounds is an IndexError in this run."""
many = settings(
    max_examples=(5 if numba.config.DISABLE_JIT else 40) if CHECKED else 100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
START_LINES = (b"OPTIONS sip:a SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n")


def run(rows, *, block=None, ending=True, times=None, missing=None, **limits):
    """Take in rows in blocks of that many, and return what came of them all as a Found."""
    rows = list(rows)
    block = block or max(len(rows), 1)
    streams = Streams(Limits(**limits))
    parts = []
    for first in range(0, len(rows), block):
        some = slice(first, first + block)
        parts.append(
            streams.add(
                segments(
                    rows[some],
                    first=first + 1,
                    times=times and times[some],
                    missing=missing and missing[some],
                    padding=b"\r\n\r\n",
                )
            )
        )
    if ending:
        parts.append(streams.finish())
    return Found(parts, len(rows))


class Found:
    """What came of some segments."""

    def __init__(self, parts, count):
        self.payloads, self.numbers, self.rows = [], [], []
        self.aside = dict.fromkeys(SET_ASIDE.values(), 0)
        self.carried = 0
        self.reasons = [anomaly.reason for part in parts for anomaly in part.anomalies]
        for part in parts:
            assert part.segments is None
            assert part.captured == part.carriers + sum(part.set_aside.values())
            assert set(part.set_aside) <= set(SET_ASIDE.values())
            assert {anomaly.reason for anomaly in part.anomalies} <= set(REASONS.values())
            self.payloads += payloads(part)
            self.numbers += part.number.tolist()
            self.carried += part.carriers
            self.rows += list(zip(part.time.tolist(), part.transport.tolist(), part.missing.tolist(), strict=True))
            for reason, number in part.set_aside.items():
                self.aside[reason] += number
        self.settled = sum(part.captured for part in parts)
        self.count = count


def payloads(part):
    return [part.data[start : start + length].tobytes() for start, length in zip(part.start, part.length, strict=True)]


def cut(data, sizes):
    """Cut data into pieces of those sizes, in turn."""
    pieces, at, turn = [], 0, 0
    while at < len(data):
        pieces.append(data[at : at + sizes[turn % len(sizes)]])
        at += len(pieces[-1])
        turn += 1
    return pieces


BODIES = st.sampled_from([b"", b"v=0\r\n", b"\r\n\r\n" + b"SIP/2.0 200 OK\r\n\r\n", b"x" * 3000, b"\x00\xff\n"])
MESSAGES = st.lists(BODIES, min_size=1, max_size=6).map(
    lambda bodies: [message(serial, body=body) for serial, body in enumerate(bodies)]
)
SIZES = st.lists(st.sampled_from([1, 2, 3, 7, 50, 536, 1460]), min_size=1, max_size=5)
KEEP_ALIVES = st.sampled_from([b"", b"", b"\r\n", b"\r\n\r\n", b"\x00", b"\n\x00\r"])


# --- the same messages, always


@many
@given(MESSAGES, SIZES, KEEP_ALIVES, st.integers(0, 2**32 - 1), st.integers(1, 50), st.booleans())
def test_any_cut_gives_the_same_messages(sent, sizes, between, isn, block, syn):
    pieces = cut(between.join(sent), sizes)
    found = run(stream(pieces, isn=isn, syn=syn), block=block)

    assert found.payloads == sent
    assert found.settled == found.count
    assert found.reasons == []


@many
@given(MESSAGES, SIZES, st.data(), st.sampled_from([1, 1000, 2**32 - 1, 2**32 - 900]), st.integers(1, 50))
def test_any_order_gives_the_same_messages(sent, sizes, data, isn, block):
    whole = b"".join(sent)
    rows = stream(cut(whole, sizes), isn=isn)[1:]
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(data.draw(st.integers(0, 10))):  # repetitions and overlaps, cut elsewhere
        start = rng.randrange(len(whole))
        piece = whole[start : start + rng.randrange(1, 1461)]
        rows.insert(rng.randrange(len(rows) + 1), (CLIENT, isn + 1 + start, ACK, piece))
    window = data.draw(st.sampled_from([1, 2, 5, 40]))
    order = sorted(range(len(rows)), key=lambda at: at + rng.uniform(0, window))
    found = run([(CLIENT, isn, SYN, b""), *(rows[at] for at in order)], block=block)

    assert found.payloads == sent
    assert found.settled == found.count
    assert found.reasons == []


@many
@given(MESSAGES, SIZES, st.data(), st.integers(1, 20))
def test_loss_costs_only_what_it_touches(sent, sizes, data, block):
    sent = [*sent, message(99)]
    pieces = cut(b"".join(sent), sizes)
    rows = stream(pieces)
    lost = data.draw(st.sets(st.integers(1, len(pieces)), max_size=5))
    found = run([row for at, row in enumerate(rows) if at not in lost], block=block)

    assert found.settled == found.count
    starts = np.cumsum([0, *map(len, sent)])
    edges = np.cumsum([0, *map(len, pieces)])
    touched = {
        which
        for which in range(len(sent))
        for at in lost
        if edges[at - 1] < starts[which + 1] and edges[at] > starts[which]
    }
    lines = {edge for edge, piece in zip(edges.tolist(), pieces, strict=False) if b"\n" in piece}
    for which, payload in enumerate(sent):
        # behind a gap a message is found where a line begins, or a segment that holds all of its first line
        before = sent[which - 1] if which else b"\n"
        clear = before[-1:] == b"\n" or before in found.payloads or starts[which] in lines
        if which not in touched and clear:
            assert payload in found.payloads


# --- order


def test_the_packet_of_a_message_is_the_latest_that_carries_it():
    first, second = message(1), message(2)
    rows = stream([first[:20], first[20:], second])
    found = run([rows[0], rows[3], rows[2], rows[1]], ending=False)

    assert found.payloads == [first, second]
    assert found.numbers == [4, 2]
    assert found.rows == [(START + 4_000_000, TCP, 0), (START + 2_000_000, TCP, 0)]


def test_both_directions_are_streams_of_their_own():
    asked, answered = message(1), b"SIP/2.0 200 OK\r\nVia: x\r\nContent-Length: 3\r\n\r\nabc"
    rows = [
        *stream([asked[:9]], isn=5),
        *stream([answered[:9]], flow=SERVER, isn=5),
        (CLIENT, 15, ACK, asked[9:]),
        (SERVER, 15, ACK, answered[9:]),
    ]
    found = run(rows, ending=False)

    assert found.payloads == [asked, answered]
    assert found.numbers == [5, 6]


def test_a_port_used_again_is_a_new_stream():
    old, new = message(1, body=b"x" * 100), message(2)
    rows = [*stream([old[:-50]], isn=1000), *stream([new], isn=900_000)]
    found = run(rows, ending=False)

    assert found.payloads == [old[:-50], new]
    assert found.reasons == ["incomplete message"]


def test_a_port_used_again_after_its_end():
    rows = [
        *stream([message(1)], isn=1000),
        (CLIENT, 1001 + len(message(1)), FIN | ACK, b""),
        *stream([message(2)], isn=1001),
        (CLIENT, 0, RST, b""),
    ]
    found = run(rows, ending=False)

    assert found.payloads == [message(1), message(2)]
    assert found.reasons == []
    assert found.aside["tcp handshake"] == 4


@pytest.mark.parametrize(
    "forged",
    [(CLIENT, 777_777, RST, b""), (CLIENT, 777_777, SYN, b""), (CLIENT, 0x8000_0000, ACK, b"junk")],
    ids=["RST", "SYN", "far away"],
)
def test_forged_segments_do_no_harm(forged):
    sent = [message(1), message(2, body=b"hello"), message(3)]
    rows = stream(cut(b"".join(sent), [100]))
    found = run([*rows[:3], forged, *rows[3:]])

    assert found.payloads[:3] == sent
    assert found.carried == len(rows) - 1


def test_the_first_bytes_win_and_it_is_said():
    rows = stream([message(1)[:60], message(1)[60:]])
    forged = (CLIENT, rows[1][1], ACK, b"INVITE sip:evil@example.com" + b"z" * 40)
    found = run([*rows[:2], forged, rows[2]])
    wanted = message(1)[:60] + b"z" * 7 + message(1)[67:]

    assert found.payloads == [wanted]
    assert found.reasons == ["tcp overlap", "tcp overlap"]


def test_first_bytes_win_among_those_that_wait():
    whole = message(1)
    rows = [(CLIENT, 0, SYN, b""), (CLIENT, 21, ACK, whole[20:40]), (CLIENT, 11, ACK, whole[10:20] + b"z" * 40)]
    found = run([*rows, (CLIENT, 1, ACK, whole[:10]), (CLIENT, 61, ACK, whole[60:])])

    assert found.payloads == [whole[:40] + b"z" * 20 + whole[60:]]
    assert found.settled == 5


def test_fates():
    rows = stream([message(1), b"\r\n\r\n", message(2)])
    repeated = [rows[1], (CLIENT, rows[3][1] + len(message(2)) - 1, ACK, b"\x00"), (CLIENT, 5, ACK, b"")]
    found = run([*rows, *repeated])

    assert found.carried == 2
    assert {reason: count for reason, count in found.aside.items() if count} == {
        "tcp handshake": 2,
        "tcp keep-alive": 2,
        "tcp retransmission": 1,
    }


@pytest.mark.parametrize(
    ("limits", "later"),
    [({"stream_bytes": 300}, 1), ({"stream_segments": 0}, 1), ({"gap_seconds": 5}, 10)],
    ids=["bytes", "segments", "time"],
)
def test_a_gap_is_given_up(limits, later):
    sent = [message(serial) for serial in range(5)]
    rows = stream(sent)
    del rows[2]
    times = [START + later * at * 10**9 for at in range(len(rows))]
    found = run(rows, ending=False, times=times, **limits)

    assert found.payloads == [sent[0], *sent[2:]]
    assert found.reasons == ["tcp gap"]


def test_a_gap_within_a_body():
    sent = [message(1, body=b"a" * 900), message(2)]
    rows = stream([sent[0][:400], sent[0][400:700], sent[0][700:] + sent[1]])
    del rows[2]
    found = run(rows)

    assert found.payloads[0] == sent[0][:400]
    assert found.reasons[:2] == ["incomplete message", "tcp gap"]
    assert found.settled == 3


@pytest.mark.parametrize(("size", "rows"), [(20, 0), (60, 0), (len(message(1)) + 1, 1)])
def test_an_unfinished_message_is_a_row_once_its_headers_are_there(size, rows):
    found = run(stream([message(1, body=b"hello")[: size + (rows > 0)]]))

    assert len(found.payloads) == rows
    assert found.reasons == (["incomplete message"] if size > 30 else [])
    assert found.settled == 2


def test_segments_cut_by_the_snap_length():
    rows = stream([message(1), message(2)])
    short = [(flow, sequence, flags, payload[:60]) for flow, sequence, flags, payload in rows]
    left_out = len(message(1)) - 60
    found = run(short, missing=[0, left_out, left_out])

    assert found.payloads == [message(1)[:60], message(2)[:60]]
    assert [missing for *_, missing in found.rows] == [left_out, left_out]
    assert found.reasons == []


# --- framing


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (b"Content-Length: 1000000000000\r\n", "content-length out of bounds"),
        (b"Content-Length: -5\r\n", "content-length out of bounds"),
        (b"Content-Length: abc\r\n", "content-length out of bounds"),
        (b"l: " + b"9" * 50 + b"\r\n", "content-length out of bounds"),
        (b"Content-Length: 3\r\n", "bytes between messages"),
    ],
)
@pytest.mark.parametrize("size", [1, 10, 5000])
def test_a_wrong_content_length_costs_its_message_only(length, reason, size):
    wrong = message(1, body=b"v=0\r\ns=x\r\n", length=length)
    found = run(stream(cut(wrong + message(2), [size])))
    headers = wrong[: wrong.index(b"\r\n\r\n") + 4]

    assert found.payloads == [headers + b"v=0" * (length[-3:-2] == b"3"), message(2)]
    assert found.reasons == [reason]


@pytest.mark.parametrize("length", [b"", b"Content-Length:0\r\n", b"l : 0\r\n", b"Content-Length:\r\n 0\r\n"])
def test_no_body(length):
    sent = [message(serial, length=length) for serial in range(3)]

    assert run(stream([b"".join(sent)])).payloads == sent


def test_headers_without_end():
    endless = b"INVITE sip:a SIP/2.0\r\nVia: x\r\nX: " + b"y" * 1_000_000
    found = run(stream(cut(endless + b"\r\n" + message(2), [1460])))

    assert found.payloads == [endless[:65_536], message(2)]
    assert found.reasons == ["headers too long"]


def test_what_is_no_sip():
    web = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n SIP/2.0 200 ok\r\nServer: x\r\n\r\n"
    rows = stream([web], flow=("192.0.2.1", 80, "192.0.2.2", 4000))
    found = run(rows)

    assert found.payloads == []
    assert found.aside["tcp without sip"] == 1


# --- bounds


def test_streams_beyond_the_bound_are_given_up_and_floods_go_first():
    half = message(1)
    flood = [((f"10.0.{n // 200}.{n % 200 + 1}", 9, "198.51.100.1", 5060), n, SYN, b"") for n in range(500)]
    rows = stream([half[:50]])
    found = run([*rows, *flood, (CLIENT, 1051, ACK, half[50:])], streams=16)

    assert found.payloads == [half]
    assert found.reasons == []


def test_memory_is_bounded():
    count = 600 if numba.config.DISABLE_JIT else 2000  # a million bytes; interpreted, more would only take longer
    streams = Streams(Limits(total_bytes=100_000))
    rows = [
        ((f"10.0.{n // 200}.{n % 200 + 1}", 9, "198.51.100.1", 5060), 1, ACK, message(n, body=b"x" * 2000)[:-1])
        for n in range(count)
    ]
    found = streams.add(segments(rows))

    assert {anomaly.reason for anomaly in found.anomalies} == {"incomplete message", "stream given up"}
    assert len(streams._arena) < 2_000_000
    assert len(found) + len(streams.finish()) == count


# --- the looks at bytes, and their twins

LINES = st.lists(
    st.sampled_from(
        [
            b"Content-Length", b"l", b"content-length ", b"Sec-WebSocket-Protocol", b"Via", b"v", b"t ", b"Call-ID",
            b":", b": ", b"0", b"12", b"-1", b"9" * 20, b"sip", b" SIP ", b"msrp", b",", b"\r\n", b"\n", b"\r\n ",
            b"\t", b" ", b"x", b"\x00", b"\xff",
        ]
    )
    | st.binary(max_size=2),
    max_size=12,
).map(b"".join)  # fmt: skip


@numba.njit
def look(data, start, stop):
    return (
        _framing.read_length(data, start, stop),
        _framing.has_sip_header(data, start, stop),
        _framing.is_sip_handshake(data, start, stop),
    )


@numba.njit
def read_frame(data, start, stop):
    return _framing.read_frame(data, start, stop)


def array(data):
    return readonly(np.frombuffer(bytearray(data), np.uint8)) if data else readonly(np.empty(0, np.uint8))


@many
@given(LINES, LINES)
def test_headers_as_the_twin_reads_them(head, after):
    wanted = naive.read_length(head), naive.has_sip_header(head), naive.is_sip_handshake(head)

    assert look(array(head), 0, len(head)) == wanted
    padded = array(b"l: 7\n" + head + after)
    assert look(padded, 5, 5 + len(head)) == wanted


@many
@given(
    st.one_of(
        st.binary(max_size=20),
        st.builds(
            naive.websocket_frame,
            st.binary(max_size=3) | st.sampled_from([b"x" * 126, b"x" * 65536]),
            opcode=st.integers(0, 15),
            final=st.booleans(),
            mask=st.none() | st.binary(min_size=4, max_size=4),
            reserved=st.sampled_from([0, 0, 0x40, 0x20]),
        ),
    ),
    st.integers(0, 20),
)
def test_frames_as_the_twin_reads_them(data, size):
    for part in (data, data[:size]):
        assert tuple(map(int, read_frame(array(part), 0, len(part)))) == tuple(map(int, naive.read_frame(part)))


if CHECKED:

    def test_bounds_are_checked():
        with pytest.raises(IndexError):
            read_frame(array(b"\x81"), 0, 2)

else:

    @pytest.mark.slow
    @pytest.mark.parametrize("mode", ["NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"])
    def test_kernels_again(mode):
        done = run_again(__file__, Path(__file__).with_name("test_websocket.py"), variable=mode)

        assert done.returncode == 0, done.stdout[-5000:]
