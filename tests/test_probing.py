"""From a capture to what the report says of packets without SIP."""

import json

import pandas as pd
import pytest
from engines import pcaps

from analyzer import analyze
from analyzer.engines import strays as kinds
from analyzer.reading import read_captures
from analyzer.reports import write_report
from analyzer.reports.answer import answer

SYN, SYN_ACK, ACK, PUSH = 2, 18, 16, 24
PROBER, SERVER, PHONE = "203.0.113.9", "198.51.100.1", "192.0.2.7"
SIP = b"\r\n".join([
    b"OPTIONS sip:100@{} SIP/2.0", b"Via: SIP/2.0/UDP 203.0.113.66;branch=z9hG4bK{}", b"From: <sip:100@1.1.1.1>;tag={}",
    b"To: <sip:100@1.1.1.1>", b"Call-ID: {}", b"CSeq: 1 OPTIONS", b"User-Agent: friendly-scanner", b"", b"",
])  # fmt: skip


def udp(payload, source, destination, *, port=5060):
    return pcaps.ethernet(
        pcaps.ipv4(pcaps.udp(payload, source=5099, destination=port), source=source, destination=destination)
    )


def tcp(flags, source, destination, *, ports=(40_000, 5060), payload=b"", sequence=1):
    segment = pcaps.tcp(payload, source=ports[0], destination=ports[1], flags=flags, sequence=sequence)
    return pcaps.ethernet(pcaps.ipv4(segment, protocol=6, source=source, destination=destination))


def sweep(source=PROBER, count=40, port=5060):
    return [tcp(SYN, source, f"198.51.100.{i}", ports=(40_000, port)) for i in range(1, count + 1)]


def scan(source="203.0.113.66", count=40):
    return [udp(SIP.replace(b"{}", b"%d" % i), source, f"198.51.100.{i}") for i in range(1, count + 1)]


@pytest.fixture
def analysed(tmp_path):
    def analyse(*packets, **options):
        path = tmp_path / "x.pcap"
        path.write_bytes(pcaps.pcap(packets))
        return analyze(path, **options)

    return analyse


def said(analysis):
    return [line.text for line in answer(analysis).of("strays")]


def test_a_sweep_by_tcp_is_told_beside_the_attacks(analysed):
    analysis = analysed(*scan(), *sweep(), tcp(SYN, PROBER, SERVER, ports=(40_000, 1720)))
    assert set(analysis.attacks["source"].astype(str)) == {"203.0.113.66"}
    (line,) = said(analysis)
    assert line.startswith("beside them, 1 source probed SIP ports without SIP (TCP SYN): 203.0.113.9 (40 targets, ")
    assert line.endswith("also TCP 1720 (H.323), packet 41)")


def test_a_sweep_by_empty_datagrams_is_told_where_there_is_no_sip(analysed):
    packets = [udp(b"", PROBER, f"198.51.100.{i}") for i in range(1, 15)]
    analysis = analysed(*packets)
    assert len(analysis.messages) == len(analysis.attacks) == len(analysis.sources) == 0
    assert said(analysis) == ["1 source probed SIP ports without SIP (empty UDP): 203.0.113.9 (14 targets, packet 1)"]
    assert analysis.strays["packet"].tolist() == list(range(1, 15))


def test_what_an_attacker_also_did_is_a_remark(analysed):
    source = "203.0.113.66"
    analysis = analysed(*scan(source), udp(b"", source, "198.51.100.99"), *sweep(source, 3, 1720))
    (row,) = analysis.sources.to_dict("records")
    assert row["verdict"] == "attacking"
    assert row["remarks"] == [
        "also knocked on TCP 1720 (H.323), of 3 addresses", "also probed SIP ports with empty UDP, at 1 address"
    ]  # fmt: skip
    assert said(analysis) == []


def test_who_speaks_sip_over_tcp_sent_no_strays(analysed):
    message = SIP.replace(b"{}", b"1").replace(b"UDP", b"TCP").replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")
    packets = [
        tcp(SYN, PHONE, SERVER, sequence=99),
        tcp(SYN_ACK, SERVER, PHONE, ports=(5060, 40_000)),
        tcp(ACK, PHONE, SERVER, sequence=100),
        tcp(PUSH, PHONE, SERVER, payload=message, sequence=100),
    ]
    analysis = analysed(*packets)
    assert len(analysis.messages) == 1
    assert analysis.strays.empty


def test_tls_is_no_stray_though_nobody_reads_it(analysed):
    ports = (40_000, 5061)
    hello = bytes.fromhex("160301002a") + bytes(42)
    analysis = analysed(tcp(SYN, PHONE, SERVER, ports=ports), tcp(PUSH, PHONE, SERVER, ports=ports, payload=hello))
    assert analysis.strays.empty


def test_an_open_port_is_told(analysed):
    strays = analysed(tcp(SYN, PROBER, SERVER), tcp(SYN_ACK, SERVER, PROBER, ports=(5060, 40_000))).strays
    assert strays[["source", "destination_port", "opened"]].astype("str").to_numpy().tolist() == [
        [PROBER, "5060", "True"]
    ]


CHECKS = [
    tcp(flags, *ends, ports=ports)
    for server in ("10.0.1.1", "10.0.1.2", "10.0.1.3")
    for flags, ends, ports in (
        (SYN, ("10.0.0.1", server), (40_000, 5060)),
        (SYN_ACK, (server, "10.0.0.1"), (5060, 40_000)),
    )
]


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param([udp(b"\r\n\r\n", PHONE, SERVER)] * 50, id="a phone that keeps its path open"),
        pytest.param(
            [udp(b"\0\0\0\0", SERVER, f"192.0.2.{i}") for i in range(99)], id="a server that keeps paths open"
        ),
        pytest.param([tcp(SYN, PHONE, SERVER)] * 50, id="a phone whose server is down"),
        pytest.param(CHECKS * 30, id="a balancer that watches over its servers"),
    ],
)
def test_the_innocent_are_not_said_to_probe(packets, analysed):
    assert said(analysed(*packets)) == []


def test_a_flood_of_forged_sources_is_told_in_a_sentence(analysed, monkeypatch):
    monkeypatch.setattr(kinds.Gathering.__init__, "__defaults__", (10,))
    flood = [tcp(SYN, f"10.{i % 250}.{i // 250}.1", SERVER) for i in range(500)]
    analysis = analysed(*flood)
    assert len(analysis.strays) == 11
    assert said(analysis) == ["490 packets without SIP came from more sources than are told apart: a flood"]


def test_the_report_has_the_table_and_the_sentence(analysed, tmp_path):
    analysis = analysed(*scan(), *sweep())
    written = write_report(analysis, tmp_path / "report")
    assert "probed SIP ports without SIP" in written["report.html"].read_text()
    assert "probed SIP ports without SIP" in json.dumps(json.loads(written["summary.json"].read_text())["answer"])
    table = pd.read_csv(written["strays.csv"])
    assert len(table) == 40
    assert set(table["kind"]) == {"syn"}


@pytest.mark.parametrize("engine", ["scapy", "native"])
def test_engines_and_processes_make_the_same_table(engine, tmp_path):
    paths = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    for number, path in enumerate(paths):
        path.write_bytes(pcaps.pcap([*scan(count=3), *sweep(f"203.0.113.{number}", 12), udp(b"x", PHONE, SERVER)]))
    alone = read_captures(paths, jobs=1).strays
    assert len(alone) == 26
    pd.testing.assert_frame_equal(read_captures(paths, engine=engine, jobs=2).strays, alone)
