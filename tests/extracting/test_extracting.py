import gzip
import shutil
import struct
import subprocess
from itertools import pairwise

import pytest
from click.testing import CliRunner
from engines.pcaps import ethernet, ipv4, pcap, tcp, udp
from needs import CAPTURES, corpus, program

from analyzer import analyze
from analyzer.cli import cli
from analyzer.errors import SettingsError
from analyzer.extracting import extract
from analyzer.extracting.tracks import Tracks, _tell, flow_key
from analyzer.records import read_records

CRACKED = CAPTURES / "svwar-svcrack.pcapng"
SAME = ["attack", "kind", "outcome", "campaign"]


def found_in(path):
    return set(analyze(path).attacks[SAME].astype("str").itertuples(index=False, name=None))


def comments(path):
    done = subprocess.run(
        [program("tshark"), "-r", path, "-T", "fields", "-e", "frame.comment"], capture_output=True, text=True
    )
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert (done.returncode, complaints) == (0, [])
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def everything():
    return analyze(CAPTURES)


def test_evidence_of_each_campaign_proves_the_same(everything, tmp_path):
    for campaign in everything.campaigns["campaign"]:
        wanted = everything.attacks[everything.attacks["campaign"] == campaign]
        done = extract(CAPTURES, tmp_path / f"{campaign}.pcapng", campaigns=[campaign])
        assert done.lost == ()
        assert 0 < done.packets < done.captured
        there = found_in(tmp_path / f"{campaign}.pcapng")
        assert set(wanted[SAME].astype("str").itertuples(index=False, name=None)) <= there


def test_comments_say_why(tmp_path):
    (campaign,) = analyze(CRACKED).campaigns["campaign"]
    extract(CRACKED, tmp_path / "e.pcapng", campaigns=[campaign])
    said = comments(tmp_path / "e.pcapng")
    assert all(said)
    assert [line for line in said if line.startswith("breach: credentials of 105 accepted (200 to REGISTER)")]
    assert all("of svwar-svcrack.pcapng" in line for line in said)


def test_evidence_comes_from_several_compressed_captures(everything, tmp_path):
    (tmp_path / "in").mkdir()
    for path in CAPTURES.glob("*.pcap*"):
        with gzip.open(tmp_path / "in" / f"{path.name}.gz", "wb") as file:
            file.write(path.read_bytes())
    sources = sorted(set(everything.attacks["source"].astype("str")))
    done = extract(tmp_path / "in", tmp_path / "e.pcapng", sources=sources)
    assert (done.lost, len(done.captures)) == ((), 5)
    assert found_in(tmp_path / "e.pcapng") == set(
        everything.attacks[SAME].astype("str").itertuples(index=False, name=None)
    )
    assert comments(tmp_path / "e.pcapng")


def test_audio_of_an_answered_call_is_evidence(tmp_path):
    toll = CAPTURES / "tollfraud.pcap"
    attacks = analyze(toll).attacks
    attack = attacks.loc[attacks["outcome"] == "answered", "attack"].iloc[0]
    extract(toll, tmp_path / "e.pcapng", attacks=[attack])
    assert [line for line in comments(tmp_path / "e.pcapng") if line.startswith("audio of the answered call")]
    assert analyze(tmp_path / "e.pcapng").calls["audio"].tolist().count("two-way") >= 1


def test_real_attacks_are_extracted(tmp_path):
    for name in ("initconf__sip-attacks/SIP-3700-unauthorized-401.pcap", "ntop__nDPI/gre.pcap"):
        capture = corpus(name)
        (campaign,) = analyze(capture).campaigns["campaign"]
        out = tmp_path / f"{capture.stem}.pcapng"
        assert extract(capture, out, campaigns=[campaign]).lost == ()
        assert comments(out)


def test_all_fragments_of_a_datagram_go_along():
    capture = corpus("irontec__sngrep/ipv6frag.pcap")
    messages = analyze(capture).messages
    found = Tracks(capture, {int(messages["packet"].iloc[0]): "wanted"}).find()
    assert len(found) > 1
    assert [why for why in found.values() if why.startswith("fragment")]


REQUEST = b"OPTIONS sip:1@192.0.2.2 SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n"


def connection(source, *, start, payload=REQUEST, port=7777):
    """A TCP connection from a port: handshake, a message in two segments, FIN."""
    there = {"source": "192.0.2.1", "destination": "192.0.2.2"}
    back = {"source": "192.0.2.2", "destination": "192.0.2.1"}

    def segment(data, sequence, flags, way, ports):
        return ethernet(
            ipv4(tcp(data, source=ports[0], destination=ports[1], sequence=sequence, flags=flags), protocol=6, **way)
        )

    out, home = (source, port), (port, source)
    return [
        segment(b"", start, 2, there, out),
        segment(b"", 900, 18, back, home),
        segment(b"", start + 1, 16, there, out),
        segment(payload[:20], start + 1, 24, there, out),
        segment(payload[20:], start + 21, 24, there, out),
        segment(b"", start + 1 + len(payload), 17, there, out),
    ]


def test_a_connection_goes_along_whole_and_alone(tmp_path):
    other = ethernet(ipv4(udp(b"nothing")))
    packets = [*connection(4000, start=100), other, *connection(4000, start=5000), *connection(4001, start=100)]
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(packets))
    assert sorted(Tracks(path, {5: "wanted"}).find()) == [1, 2, 3, 4, 5, 6]
    assert sorted(Tracks(path, {12: "wanted"}).find()) == [8, 9, 10, 11, 12, 13]


def test_flow_keys_are_those_of_the_kernel(tmp_path):
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap([ethernet(ipv4(udp(b"x", source=4000, destination=5004)))]))
    (records,) = read_records(path)
    (told,) = _tell(records)
    assert told[0] == flow_key("192.0.2.1", 4000, "192.0.2.2", 5004, protocol=17)
    assert told[0] == flow_key("192.0.2.2", 5004, "192.0.2.1", 4000, protocol=17)


def test_records_are_numbered_as_packets_are():
    for path in CAPTURES.glob("*.pcap*"):
        counts = [(records.first, len(records)) for records in read_records(path, block_bytes=5000)]
        assert counts[0][0] == 1
        assert all(one[0] + one[1] == two[0] for one, two in pairwise(counts))
        assert counts[-1][0] + counts[-1][1] - 1 == analyze(path).captures["packets"].sum()


def test_damaged_captures_give_what_they_hold(tmp_path):
    whole = CRACKED.read_bytes()
    path = tmp_path / "cut.pcapng"
    for size in (24, 100, 5000, len(whole) - 3):
        path.write_bytes(whole[:size])
        assert sum(map(len, read_records(path))) <= 422
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"\xff" * 64)
    assert list(read_records(path)) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"campaigns": ["4whw"]}, "did you mean 4whv?"),
        ({"attacks": ["nothing"]}, "there is no attack 'nothing'; there are "),
        ({"sources": ["203.0.113.78"]}, "did you mean 203.0.113.77?"),
        ({}, "name a campaign, an attack or a source"),
    ],
)
def test_a_wrong_id_is_told_from_right_ones(asked, said, tmp_path):
    with pytest.raises(SettingsError) as error:
        extract(CRACKED, tmp_path / "e.pcapng", **asked)
    assert said in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    mine = tmp_path / "mine.pcapng"
    shutil.copy(CRACKED, mine)
    for output, said in ((mine, "is the capture that is read"), (CRACKED, "exists already"), (tmp_path, "is a folder")):
        with pytest.raises(SettingsError, match=said):
            extract(mine, output, sources=["203.0.113.77"])
    with pytest.raises(SettingsError, match="there is no folder"):
        extract(mine, tmp_path / "no" / "e.pcapng", sources=["203.0.113.77"])
    assert mine.read_bytes() == CRACKED.read_bytes()


def test_the_command_says_what_it_did(tmp_path):
    out = tmp_path / "e.pcapng"
    done = CliRunner().invoke(cli, ["extract", str(CRACKED), "--source", "203.0.113.77", "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "all 3 attacks are found as before" in done.output
    assert CliRunner().invoke(cli, ["extract", str(CRACKED), "-o", str(out)]).exit_code == 2
