"""Calls: who talked with whom, how long, and whether audio went both ways."""

import struct

import pandas as pd
import pytest
from engines import pcaps
from factories import answers, capture_of, messages

from analyzer import analyze
from analyzer.calls import EXCHANGED, find_calls
from analyzer.tables import CALLS, FLOWS

CALLER, CALLEE, INSIDE = "192.0.2.7", "198.51.100.1", "10.0.0.7"
START = pd.Timestamp("2024-01-01T00:00Z")
HEARD, SPOKEN = (CALLEE, 20_000, CALLER, 4000), (CALLER, 4000, CALLEE, 20_000)


def call(
    *,
    caller_media=f"{CALLER}:4000",
    callee_media=f"{CALLEE}:20000",
    talked=6,
    by="caller",
    call_id="a",
    caller=CALLER,
    callee=CALLEE,
):
    """Return the messages of an answered call."""
    ends = {"source": caller, "destination": callee}
    invite = messages(1, **ends, method="INVITE", uri_user="101", media=caller_media, call_id=call_id)
    answer = answers(invite, 200, media=callee_media)
    invite["answer"], invite["answer_packet"] = pd.array([200], "Int64"), answer["packet"].astype("Int64")
    tables = [invite, answer]
    if talked is not None:
        ends = ends if by == "caller" else {"source": callee, "destination": caller}
        start = answer["time"].iloc[0] + pd.Timedelta(seconds=talked)
        tables.append(messages(1, **ends, method="BYE", call_id=call_id, start=start, in_dialog=True))
    return capture_of(*tables)


def flows(*ends, capture="test.pcap", start=1, end=5):
    """Return RTP streams between ends (source, port, destination, port), from second to second."""
    rows = [
        {
            "capture": capture, "source": source, "source_port": port, "destination": destination,
            "destination_port": other, "start": START + pd.Timedelta(seconds=start),
            "end": START + pd.Timedelta(seconds=end),
        }
        for source, port, destination, other in ends
    ]  # fmt: skip
    return FLOWS.conform(pd.DataFrame(rows, columns=FLOWS.columns))


def audio(*ends, **changes):
    return find_calls(call(**changes), flows(*ends))["audio"].iloc[0]


def test_a_call_is_told():
    (found,) = find_calls(call(), flows(HEARD, SPOKEN)).to_dict("records")
    assert (found["source"], found["destination"], found["dialled"]) == (CALLER, CALLEE, "101")
    assert (found["talked"], found["ended_by"], found["audio"]) == (6.0, "caller", "two-way")
    assert found["answer_packet"] == found["packet"] + 1
    assert found["answered_at"] == START + pd.Timedelta("20ms")


def test_the_table_keeps_its_contract():
    for made in (find_calls(call(), flows(HEARD)), find_calls(messages(3), flows()), find_calls(messages(0), flows())):
        pd.testing.assert_frame_equal(made, CALLS.conform(made))


@pytest.mark.parametrize(("by", "talked"), [("callee", 9.0), ("caller", 0.0)])
def test_who_ended_it_and_when(by, talked):
    found = find_calls(call(by=by, talked=talked), flows())
    assert (found["ended_by"].iloc[0], found["talked"].iloc[0]) == (by, talked)


def test_of_a_call_through_a_proxy_each_leg_has_its_own_end():
    proxy = "203.0.113.1"
    first, second = call(callee=proxy), call(caller=proxy, by="callee", talked=8)
    found = find_calls(capture_of(first, second), flows()).set_index("source")
    assert found["ended_by"].to_dict() == {CALLER: "caller", proxy: "callee"}
    assert found["talked"].to_dict() == {CALLER: 6.0, proxy: 8.0}
    alone = find_calls(capture_of(first[first["method"] == "INVITE"], second), flows()).set_index("source")
    assert alone["talked"].to_dict() == {CALLER: 8.0, proxy: 8.0}


def test_a_call_that_was_not_seen_to_end():
    found = find_calls(call(talked=None), flows(HEARD, SPOKEN)).iloc[0]
    assert pd.isna(found["talked"])
    assert pd.isna(found["ended_by"])
    assert found["audio"] == "two-way"


def test_calls_that_were_not_answered_are_none():
    table = call()
    table["answer"] = pd.array([486, None, None], "Int64")
    assert find_calls(table, flows(HEARD)).empty
    for column in ("repeated", "in_dialog"):
        assert find_calls(call().assign(**{column: True}), flows(HEARD)).empty


# --- audio


def test_audio_in_one_direction():
    assert audio(HEARD) == audio(SPOKEN) == "one-way"


def test_audio_of_others_is_none():
    assert audio(("203.0.113.1", 4, "203.0.113.2", 5)) == "none"


def test_without_any_media_in_the_capture_nothing_is_said():
    assert pd.isna(audio())
    assert pd.isna(find_calls(call(), flows(HEARD, SPOKEN, capture="other.pcap"))["audio"].iloc[0])


def test_without_sdp_nothing_is_said():
    assert pd.isna(audio(HEARD, SPOKEN, caller_media=None, callee_media=None))


def test_where_a_new_invite_may_have_moved_the_media_only_two_way_is_said():
    again = messages(1, source=CALLEE, destination=CALLER, method="INVITE", call_id="a", in_dialog=True)
    table = capture_of(call(), again)
    assert find_calls(table, flows(HEARD))["audio"].isna().all()
    assert find_calls(table, flows(HEARD, SPOKEN))["audio"].tolist() == ["two-way"]


def test_media_from_behind_nat_goes_back_to_where_it_came_from():
    assert audio((CALLER, 61_000, CALLEE, 20_000), (CALLEE, 20_000, CALLER, 61_000), caller_media=f"{INSIDE}:4000") == (
        "two-way"
    )


def test_media_at_other_times_is_of_another_call():
    late = flows(HEARD, SPOKEN, start=100, end=200)
    assert find_calls(call(), late)["audio"].iloc[0] == "none"


def test_addresses_of_ipv6():
    ends = {"caller_media": "[2001:db8::1]:4000", "callee_media": "[2001:db8::2]:20000"}
    there, back = ("2001:db8::1", 4000, "2001:db8::2", 20_000), ("2001:db8::2", 20_000, "2001:db8::1", 4000)
    assert audio(there, back, **ends) == "two-way"


# --- proof


def test_media_both_ways_with_the_caller_itself_is_proof():
    assert find_calls(call(), flows(HEARD, SPOKEN))["proof"].tolist() == [EXCHANGED]


def test_media_in_one_direction_or_with_another_address_is_none():
    assert find_calls(call(), flows(HEARD))["proof"].isna().all()
    elsewhere = flows((CALLEE, 20_000, "203.0.113.5", 4000), ("203.0.113.5", 4000, CALLEE, 20_000))
    found = find_calls(call(caller_media="203.0.113.5:4000"), elsewhere)
    assert found["audio"].tolist() == ["two-way"]
    assert found["proof"].isna().all()


def test_many_calls_and_streams_take_linear_time():
    count = 3000
    table = pd.concat([call(call_id=f"call-{i}") for i in range(3)])
    table = capture_of(*[table.assign(call_id=table["call_id"] + f"-{i}") for i in range(count // 30)])
    streams = flows(*[(CALLER, 1 + i, CALLEE, 20_000) for i in range(count)])
    assert find_calls(table, streams)["audio"].unique().tolist() == ["one-way"]


# --- from a capture


def sip(start, *, media, method="INVITE", cseq=1):
    body = f"v=0\r\no=- 1 1 IN IP4 {media}\r\ns=-\r\nc=IN IP4 {media}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
    body = body if media else ""
    head = (
        f"{start}\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bK{method}\r\nFrom: <sip:1@a>;tag=1\r\n"
        f"To: <sip:101@b>;tag=2\r\n"
        f"Call-ID: x\r\nCSeq: {cseq} {method}\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def packet(payload, source, destination, port):
    inner = pcaps.udp(payload, source=port, destination=port)
    return pcaps.ethernet(pcaps.ipv4(inner, source=source, destination=destination))


def rtp(source, destination, count=20):
    return [
        packet(struct.pack("!BBHII", 0x80, 8, i, 5, 6) + bytes(20), source, destination, 4000) for i in range(count)
    ]


@pytest.fixture
def recorded(tmp_path):
    """Return a capture of an answered call with audio both ways."""
    invite = sip("INVITE sip:101@b SIP/2.0", media=CALLER).replace(b";tag=2", b"")
    packets = [
        packet(invite, CALLER, CALLEE, 5060),
        packet(sip("SIP/2.0 200 OK", media=CALLEE), CALLEE, CALLER, 5060),
        *rtp(CALLER, CALLEE),
        *rtp(CALLEE, CALLER),
        packet(sip("BYE sip:101@b SIP/2.0", media="", method="BYE", cseq=2), CALLER, CALLEE, 5060),
    ]
    path = tmp_path / "call.pcap"
    path.write_bytes(pcaps.pcap(packets))
    return path


@pytest.mark.parametrize("engine", ["native", "scapy"])
def test_a_recorded_call(recorded, engine):
    analysis = analyze(recorded, engine=engine)
    (found,) = analysis.calls.to_dict("records")
    assert (found["source"], found["dialled"], found["audio"]) == (CALLER, "101", "two-way")
    assert found["talked"] == pytest.approx(41, abs=0.01)
    assert (found["packet"], found["answer_packet"], found["ended_by"]) == (1, 2, "caller")
    assert analysis.sources.set_index("source").loc[CALLER, "proven"] == EXCHANGED
