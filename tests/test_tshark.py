"""What the corpus lacks, made here and read by TShark too: cut streams, fragments in every order, short captures."""

import itertools
import random
import subprocess

import pandas as pd
import pytest
from needs import CAPTURES, program
from scapy.config import conf
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

from analyzer import read_messages

conf.verb = 0
PORTS = {"sport": 5070, "dport": 5060}
# Named, since Scapy would ask the network for them.
WIRE = {"src": "02:00:00:00:00:09", "dst": "02:00:00:00:00:01"}
BOTH = {"src": "203.0.113.9", "dst": "198.51.100.1"}


def message(number, body=b""):
    return (
        b"OPTIONS sip:198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/TCP 203.0.113.9;branch=z9hG4bK%d\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: call-%d\r\nCSeq: %d OPTIONS\r\n"
        b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (number, number, number, len(body), body)
    )


def by_tshark(path, *options):
    """Return packet, Call-ID, method and status of each SIP message, as TShark sees them."""
    fields = [
        option for field in ("frame.number", "sip.Call-ID", "sip.Method", "sip.Status-Code") for option in ("-e", field)
    ]
    command = [
        program("tshark"), "-n", "-r", str(path), "-Y", "sip", "-T", "fields", "-E", "occurrence=a",
        "-E", "aggregator=,", "-o", "udp.try_heuristic_first:TRUE",
        "-o", "tcp.reassemble_out_of_order:TRUE", *options, *fields,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [line.split("\t") for line in done.stdout.splitlines()]


def ours(path):
    table = read_messages(path)
    return table.assign(method=table["method"].astype("str"), call_id=table["call_id"].astype("str"))


@pytest.mark.parametrize("first", [1000, 2**32 - 3000], ids=["plain", "sequence wraps"])
@pytest.mark.parametrize("size", [1, 7, 100, 536, 1460])
@pytest.mark.parametrize("reordered", [False, True], ids=["in order", "reordered"])
def test_streams_are_cut_as_tshark_cuts_them(first, size, reordered, tmp_path):
    stream = b"".join(message(number, b"x" * (number * 37)) for number in range(12))
    pieces = [(at, stream[at : at + size]) for at in range(0, len(stream), size)]
    if reordered:
        rng = random.Random(size)
        windows = [pieces[at : at + 4] for at in range(0, len(pieces), 4)]
        # The first stays first: TShark takes what comes before it for a retransmission.
        pieces = [
            piece
            for window in windows
            for piece in (window if window is windows[0] else rng.sample(window, len(window)))
        ]
    shake = [
        Ether(**WIRE) / IP(**BOTH) / TCP(**PORTS, flags="S", seq=first - 1),
        Ether(**WIRE)
        / IP(src=BOTH["dst"], dst=BOTH["src"])
        / TCP(sport=5060, dport=5070, flags="SA", seq=77, ack=first),
    ]
    data = [
        Ether(**WIRE) / IP(**BOTH) / TCP(**PORTS, flags="PA", seq=(first + at) % 2**32, ack=78) / Raw(piece)
        for at, piece in pieces
    ]
    path = tmp_path / "stream.pcap"
    wrpcap(str(path), [*shake, *data])
    expected = [call for row in by_tshark(path) for call in row[1].split(",")]
    assert sorted(ours(path)["call_id"]) == sorted(expected) == sorted(f"call-{number}" for number in range(12))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_fragments_complete_where_tshark_says(order, tmp_path):
    packets = []
    for number in range(3):
        datagram = IP(**BOTH, id=number + 1) / UDP(**PORTS) / Raw(message(number, b"y" * 900))
        parts = fragment(datagram, fragsize=480)[:3]
        assert len(parts) == 3
        packets += [Ether(**WIRE) / parts[place] for place in order]
    path = tmp_path / "fragments.pcap"
    wrpcap(str(path), packets)
    table = ours(path)
    expected = by_tshark(path)
    assert [[str(row.packet), row.call_id] for row in table.itertuples()] == [row[:2] for row in expected]
    assert len(table) == 3


@pytest.mark.parametrize("tags", [1, 2, 3])
def test_tagged_frames_are_read(tags, tmp_path):
    frame = Ether(**WIRE)
    for tag in range(tags):
        frame /= Dot1Q(vlan=100 + tag)
    path = tmp_path / "vlan.pcap"
    wrpcap(str(path), [frame / IP(**BOTH) / UDP(**PORTS) / Raw(message(number)) for number in range(4)])
    assert [row[1] for row in by_tshark(path)] == ours(path)["call_id"].tolist()


def test_a_snap_length_of_96_loses_no_message(tmp_path):
    path = tmp_path / "short.pcap"
    subprocess.run(
        [program("editcap"), "-F", "pcap", "-s", "96", str(CAPTURES / "office-day.pcap"), str(path)],
        check=True,
        timeout=60,
    )
    table = ours(path).set_index("packet")
    assert table.index.tolist() == ours(CAPTURES / "office-day.pcap")["packet"].tolist()
    for packet, _, method, status in by_tshark(path, "-Y", "sip && !icmp"):
        row = table.loc[int(packet)]
        assert status == ("" if pd.isna(row["status"]) else str(row["status"]))
        assert method in ("", row["method"])


@pytest.mark.parametrize("lost", [3, 9, 17])
def test_what_tshark_finds_behind_a_loss_we_find_too(lost, tmp_path):
    messages = [message(number, b"z" * 200) for number in range(12)]
    ends = list(itertools.accumulate(map(len, messages)))
    pieces = [(end - len(text), text) for text, end in zip(messages, ends, strict=True)]
    halves = [piece for at, text in pieces for piece in ((at, text[:150]), (at + 150, text[150:]))]
    data = [
        Ether(**WIRE) / IP(**BOTH) / TCP(**PORTS, flags="PA", seq=1000 + at, ack=78) / Raw(text)
        for at, text in halves[:lost] + halves[lost + 1 :]
    ]
    path = tmp_path / "lossy.pcap"
    wrpcap(str(path), [Ether(**WIRE) / IP(**BOTH) / TCP(**PORTS, flags="S", seq=999), *data])
    found = set(ours(path)["call_id"])
    assert {call for row in by_tshark(path) for call in row[1].split(",") if call} <= found
    assert found >= {f"call-{number}" for number in range(12)} - {f"call-{lost // 2}"}
