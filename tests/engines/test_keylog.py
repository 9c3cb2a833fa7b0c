"""SIP over TLS is read by the pyshark engine, with the secrets that one end wrote down, and not without them."""

import ssl

import pytest
from engines import pcaps
from engines.reading import read
from engines.tls import SERVER, Session, Wire
from needs import program

from analyzer.engines import ENGINES
from analyzer.errors import CaptureError

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def message(start, *, call="call-1", body=b""):
    headers = [
        start, "Via: SIP/2.0/TLS 192.0.2.10:49152;branch=z9hG4bK-1", "From: <sip:100@example.net>;tag=1",
        "To: <sip:100@example.net>", f"Call-ID: {call}", "CSeq: 1 REGISTER", f"Content-Length: {len(body)}",
    ]  # fmt: skip
    return "\r\n".join([*headers, "", ""]).encode() + body


REGISTER = message("REGISTER sip:example.net SIP/2.0")
UNAUTHORIZED = message("SIP/2.0 401 Unauthorized")
OK = message("SIP/2.0 200 OK", call="call-2", body=b"x" * 3000)


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: version.name)
def session(request, tmp_path_factory):
    """A capture and its key log: one message, then two in one segment, the second of which takes three."""
    program("tshark")
    folder = tmp_path_factory.mktemp("tls")
    return talk(folder, Wire(), request.param)


def talk(folder, wire, version=ssl.TLSVersion.TLSv1_3):
    session = Session(folder, wire, version)
    session.say(True, REGISTER[:100], REGISTER[100:])
    session.say(False, UNAUTHORIZED, OK)
    return wire.write(folder / "tls.pcap"), session.keylog, len(wire.packets)


def test_with_the_key_log_there_are_messages(session):
    path, keylog, packets = session
    outcome = read(path, "pyshark", keylog=keylog)
    messages = outcome.messages
    assert messages["method"].astype("str").tolist() == ["REGISTER"] * 3
    assert messages["status"].fillna(0).astype("int64").tolist() == [0, 401, 200]
    assert messages["call_id"].astype("str").tolist() == ["call-1", "call-1", "call-2"]
    assert messages["body_bytes"].tolist() == [0, 0, 3000]
    assert messages["source"].astype("str").tolist() == ["192.0.2.10", "198.51.100.20", "198.51.100.20"]
    assert messages["destination_port"].tolist() == [5061, 49152, 49152]
    assert messages["packet"].is_monotonic_increasing
    assert messages["packet"].tolist()[2] > messages["packet"].tolist()[1] + 1
    assert outcome.captured == outcome.settled == packets


@pytest.mark.parametrize("engine", ENGINES)
def test_without_it_there_are_none(session, engine):
    path, _, packets = session
    outcome = read(path, engine)
    assert len(outcome.messages) == 0
    assert outcome.segments == outcome.captured == packets


def test_another_key_log_opens_nothing(session, tmp_path):
    path, _, packets = session
    keylog = tmp_path / "other.txt"
    keylog.write_text(f"CLIENT_RANDOM {'00' * 32} {'11' * 48}\nnonsense\n")
    outcome = read(path, "pyshark", keylog=keylog)
    assert len(outcome.messages) == 0
    assert outcome.captured == packets


@pytest.mark.parametrize("port", [443, 8443, 20000])
def test_on_any_port(port, tmp_path):
    program("tshark")
    path, keylog, packets = talk(tmp_path, Wire(server=(SERVER[0], port)))
    outcome = read(path, "pyshark", keylog=keylog)
    assert len(outcome.messages) == 3
    assert outcome.captured == outcome.settled == packets


def test_udp_beside_tls_is_read_as_ever(session, tmp_path):

    _, keylog, _ = session
    path = tmp_path / "udp.pcap"
    path.write_bytes(pcaps.pcap([pcaps.ethernet()] * 3))
    assert len(read(path, "pyshark", keylog=keylog).messages) == 3


def test_a_key_log_that_is_missing_is_said_to_be(session, tmp_path):
    with pytest.raises(CaptureError, match="is no key log"):
        read(session[0], "pyshark", keylog=tmp_path / "none")
