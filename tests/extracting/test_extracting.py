import gzip
import io
import lzma
import re
import shutil
import struct
import subprocess
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import zstandard
from click.testing import CliRunner
from engines.pcaps import ethernet, ipv4, pcap, tcp, udp
from needs import CAPTURES, corpus, program

from analyzer import analyze
from analyzer.cli import cli
from analyzer.errors import SettingsError
from analyzer.exports.pcapng import PcapngWriter
from analyzer.extracting import _kernels as kernels
from analyzer.extracting import extract
from analyzer.extracting.blocks import LONGEST, make_blocks, merge, write_packets
from analyzer.extracting.selection import _during
from analyzer.extracting.tracks import Media, Tracks, _tell, flow_key
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


WORST = 3
"""Of the campaigns, the worst, that are extracted one by one and analysed again."""


@pytest.fixture(scope="module")
def everything():
    return analyze(CAPTURES)


def test_evidence_of_each_campaign_proves_the_same(everything, tmp_path):
    for campaign in everything.campaigns["campaign"].head(WORST):
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


@pytest.mark.parametrize("name", ["x.pcapng", "x.pcapng.gz", "x.pcapng.zst", "x.pcapng.xz", "x.pcap"])
def test_evidence_from_every_form_of_a_capture_is_the_same(name, tmp_path):
    path = tmp_path / name
    if name == "x.pcap":
        subprocess.run([program("editcap"), "-F", "pcap", CRACKED, path], check=True, capture_output=True)
    else:
        compress = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)
        path.write_bytes(compress(CRACKED.read_bytes()))
    (campaign,) = analyze(path).campaigns["campaign"]
    out = tmp_path / "e.pcapng"
    assert extract(path, out, campaigns=[campaign]).lost == ()
    assert found_in(out) == found_in(path)
    assert all(line.endswith(f" of {name}") for line in comments(out))
    told = subprocess.run([program("capinfos"), "-M", out], capture_output=True, text=True)
    assert (told.returncode, [line for line in told.stderr.splitlines() if "Running as user" not in line]) == (0, [])
    assert re.search(rf"Number of packets: +{len(comments(out))}\n", told.stdout)
    assert re.search(r"Strict time order: +True\n", told.stdout)


def test_all_fragments_of_a_datagram_go_along():
    capture = corpus("irontec__sngrep/ipv6frag.pcap")
    messages = analyze(capture).messages
    found = Tracks(capture, {int(messages["packet"].iloc[0]): "wanted"}).find()
    assert len(found) > 1
    assert [why for why in found.values() if why.startswith("fragment")]


def test_many_fragments_and_connections_take_no_longer_than_few(tmp_path):
    """Fifty thousand of each: what is sought anew for each of them would never end."""
    many = 50_000
    rows = np.zeros(2 * many, [(name, np.int64) for name in ("number", "time", "flow", "part", "flags", "turned")])
    rows["number"], rows["time"] = np.arange(1, 2 * many + 1), np.arange(2 * many)
    rows["part"][:many] = np.repeat(np.arange(1, many // 2 + 1), 2)
    rows["flags"], rows["flow"][many:] = -1, np.arange(1, many + 1)
    tracks = Tracks(tmp_path, dict.fromkeys(range(1, 2 * many, 2), "wanted"))
    tracks.media = [Media(flow, 0, "media") for flow in range(1, many + 1)]
    started = time.process_time()
    assert len(list(tracks._fragments(rows, np.arange(1, many // 2 + 1)))) == many
    assert len(list(tracks._samples(rows))) == many
    assert time.process_time() - started < 20


def messages_of(count, rng):
    """Return messages among few addresses, in no order of time."""
    ends = [f"192.0.2.{host}" for host in range(6)]
    pick = rng.integers(0, 6, (2, count))
    times = pd.to_datetime(rng.integers(0, 1000, count), unit="s", utc=True).as_unit("ns")
    return pd.DataFrame({
        "time": times, "source": pd.Categorical([ends[at] for at in pick[0]]),
        "destination": pd.Categorical([ends[at] for at in pick[1]]),
    })  # fmt: skip


def test_messages_during_attacks_are_those_that_a_slow_search_finds():
    rng = np.random.default_rng(1)
    for _ in range(30):
        messages = messages_of(200, rng)
        starts = pd.to_datetime(rng.integers(0, 1000, 8), unit="s", utc=True).as_unit("ns")
        lasting = pd.to_timedelta(rng.integers(0, 300, 8), unit="s")
        sources = pd.Categorical([f"192.0.2.{host}" for host in rng.integers(0, 9, 8)])
        attacks = pd.DataFrame({"source": sources, "start": starts, "end": starts + lasting})
        slowly = [
            any(
                attack.source in {row.source, row.destination} and attack.start <= row.time <= attack.end
                for attack in attacks.itertuples()
            )
            for row in messages.itertuples()
        ]
        assert _during(messages, attacks).tolist() == slowly


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


def slowly(file, writer, needed):
    """Write packets one by one, as write_packets() must: the twin of its kernel."""
    packets, known = [], {}
    for place, (path, found) in enumerate(needed):
        latest = 0
        for records in read_records(path):
            for at in range(len(records)):
                number = records.first + at
                latest = max(latest, records.time_of(at)) if number in found else latest
                if number in found:
                    packets.append((latest, place, number, records, at))
    for _, place, number, records, at in sorted(packets, key=lambda packet: packet[:3]):
        path, found = needed[place]
        kind = place, records.link_of(at), records.snap_of(at)
        if kind not in known:
            known[kind] = writer.add_interface(kind[1], snap=kind[2], name=path.name)
        comment = f"{found[number]}; packet {number:,} of {path.name}"
        writer.add_packet(
            known[kind], records.time_of(at), records.bytes_of(at), missing=records.missing_of(at), comment=comment
        )


def packets_of(data, folder):
    """Return the packets of a pcapng file, with their comments, as TShark reads them."""
    path = folder / "read.pcapng"
    path.write_bytes(data)
    fields = ("frame.time_epoch", "frame.len", "frame.cap_len", "frame.interface_name", "frame.comment")
    wanted = [part for field in fields for part in ("-e", field)]
    done = subprocess.run([program("tshark"), "-r", path, "-T", "fields", *wanted], capture_output=True, check=True)
    raw = [records.bytes_of(at) for records in read_records(path) for at in range(len(records))]
    return list(zip(done.stdout.splitlines(), raw, strict=True))


@pytest.mark.parametrize("names", [["svwar-svcrack.pcapng"], ["tollfraud.pcap", "svmap-sweep.pcap", "tollfraud.pcap"]])
def test_packets_are_written_as_one_by_one(names, tmp_path):
    needed = []
    for serial, name in enumerate(names):
        path = tmp_path / f"{serial}.pcap"
        shutil.copy(CAPTURES / name, path)
        needed.append((path, {number: "é" * (number % 7) for number in range(1 + serial, 300, 2 + serial)}))
    fast, slow = io.BytesIO(), io.BytesIO()
    write_packets(fast, PcapngWriter(fast, comment="x"), needed, None)
    slowly(slow, PcapngWriter(slow, comment="x"), needed)
    if len(names) == 1:
        assert fast.getvalue() == slow.getvalue()
    assert packets_of(fast.getvalue(), tmp_path) == packets_of(slow.getvalue(), tmp_path)


@pytest.mark.parametrize("interpreted", [False, True])
def test_packets_of_all_sizes_are_written_as_one_by_one(interpreted, tmp_path, monkeypatch):
    if interpreted:  # numpy checks bounds, compiled code does not
        for name in ("put32", "put_blocks"):
            monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    path = tmp_path / "all.pcap"
    path.write_bytes(pcap([bytes(range(size)) for size in range(40)]))
    needed = [(path, {number: "x" * size for number, size in enumerate((0, 1, 2, 3, 4, 5, 70_000) * 6, 1)})]
    fast, slow = io.BytesIO(), io.BytesIO()
    write_packets(fast, PcapngWriter(fast), needed, None)
    slowly(slow, PcapngWriter(slow), [(path, {n: why for n, why in needed[0][1].items() if n <= 40})])
    assert fast.getvalue() == slow.getvalue()


class Part:
    """A part of a stream whose blocks are one byte each."""

    def __init__(self, text, *latest):
        self.data, self.latest = np.frombuffer(text.encode(), np.uint8), np.array(latest, np.int64)
        self.ends = np.arange(1, len(text) + 1)


def test_streams_are_merged_in_the_order_of_time():
    streams = [
        [Part("ab", 1, 5), Part("c", 5), Part("d", 9)],
        [Part("ABC", 0, 5, 5), Part("DE", 7, 12)],
        [],
    ]
    merged = b"".join(data.tobytes() for data in merge([iter(stream) for stream in streams]))
    assert merged == b"AabcBCDdE"


def test_only_the_packets_that_are_asked_for_are_read_into_blocks(tmp_path):
    writer = PcapngWriter(io.BytesIO())
    parts = list(make_blocks(CRACKED, {3: "x", 4: "y" * 2 * LONGEST}, writer))
    assert [len(part.ends) for part in parts] == [2]


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
