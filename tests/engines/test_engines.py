"""All engines make the same of a capture: cell for cell, and every packet has a fate."""

import asyncio
import csv
import os
import struct
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from engines import pcaps
from engines.reading import read
from needs import CAPTURES, CORPUS, ROOT, corpus, program
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether, Loopback

from analyzer.engines import ENGINES
from analyzer.errors import CaptureError, UnavailableError

OTHERS = ("scapy", "pyshark")
EVERY = 1 if os.environ.get("SIPSCOPE_CORPUS") == "all" else 4
"""Of so many captures of the corpus the other engines read one as a whole."""
SLOW = 500
"""Packets of captures that pyshark reads as a whole only where slow tests are wanted."""


def listed():
    if not (CORPUS / "MANIFEST.csv").exists():
        return [("none", 0)]
    with (CORPUS / "MANIFEST.csv").open(newline="") as manifest:
        return [(row["file"], int(row["packets"])) for row in csv.DictReader(manifest)]


def all_captures():
    for engine in OTHERS:
        for name, packets in listed()[::EVERY]:
            marks = [pytest.mark.slow] if engine == "pyshark" and packets > SLOW else []
            yield pytest.param(engine, name, packets, marks=marks, id=f"{engine}-{name}")
        for path in sorted(CAPTURES.glob("*.pcap*")):
            marks = [pytest.mark.slow] if engine == "pyshark" and path.stat().st_size > 150_000 else []
            yield pytest.param(engine, str(path), None, marks=marks, id=f"{engine}-{path.name}")


@pytest.fixture(params=OTHERS)
def engine(request):
    if request.param == "pyshark":
        program("tshark")
    return request.param


def assert_same(path, engine):
    expected, outcome = read(path), read(path, engine)
    pd.testing.assert_frame_equal(outcome.messages, expected.messages)
    assert outcome.settled == outcome.captured == expected.captured
    assert outcome.segments == expected.segments
    assert (outcome.first, outcome.last, outcome.format) == (expected.first, expected.last, expected.format)
    return outcome


@pytest.mark.parametrize(("engine", "name", "packets"), list(all_captures()))
def test_every_capture_reads_the_same(engine, name, packets):
    if engine == "pyshark":
        program("tshark")
    outcome = assert_same(ROOT / name if packets is None else corpus(name), engine)
    assert packets is None or outcome.captured == packets


@pytest.mark.parametrize("name", [name for name, packets in listed() if packets > SLOW])
def test_the_beginning_of_a_long_capture_reads_the_same(name, tmp_path):
    program("tshark")
    path = tmp_path / "beginning.pcap"
    subprocess.run([program("editcap"), "-r", corpus(name), path, "1-400"], check=True, capture_output=True)
    assert_same(path, "pyshark")


# --- packets that were made for the purpose

STATION = "02:00:00:00:00:01"
SIP = pcaps.OPTIONS
INNER = pcaps.ipv4(source="10.0.0.1")


def gre(payload, ethertype=0x0800, flags=0, fields=b""):
    return pcaps.ethernet(pcaps.ipv4(struct.pack("!HH", flags, ethertype) + fields + payload, protocol=47))


def tunnel(payload, port, source=40_000):
    return pcaps.ethernet(pcaps.ipv4(pcaps.udp(payload, source=source, destination=port)))


def tcp(payload=SIP, *, offset=5, source=5060, sequence=7):
    return struct.pack("!HHIIBBHHH", source, 5061, sequence, 0, offset << 4, 24, 0, 0, 0) + payload


def homer(payload=SIP, protocol=17):
    chunks = [
        (1, b"\x02"), (2, bytes([protocol])), (3, bytes([10, 0, 0, 1])), (4, bytes([10, 0, 0, 2])),
        (7, struct.pack("!H", 5070)), (8, struct.pack("!H", 5060)), (15, payload),
    ]  # fmt: skip
    body = b"".join(struct.pack("!HHH", 0, kind, 6 + len(data)) + data for kind, data in chunks)
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


def nested(depth):
    packet = pcaps.ipv4()
    for _ in range(depth):
        packet = pcaps.ipv4(packet, protocol=4)
    return pcaps.ethernet(packet)


AH = bytes([17, 4]) + bytes(22)
MADE = {
    "ipv4": pcaps.ethernet(),
    "ipv4 options": pcaps.ethernet(pcaps.ipv4(options=b"\x01" * 8)),
    "ipv6": pcaps.ethernet(pcaps.ipv6(), 0x86DD),
    "ipv6 hop by hop": pcaps.ethernet(pcaps.ipv6(pcaps.extension(pcaps.udp()), protocol=0), 0x86DD),
    "ipv6 ah": pcaps.ethernet(pcaps.ipv6(AH + pcaps.udp(), protocol=51), 0x86DD),
    "ipv4 ah": pcaps.ethernet(pcaps.ipv4(AH + pcaps.udp(), protocol=51)),
    "atomic fragment": pcaps.ethernet(pcaps.ipv6(bytes([17]) + bytes(7) + pcaps.udp(), protocol=44), 0x86DD),
    "vlan": pcaps.vlan(),
    "four vlans": pcaps.vlan(tags=4, outer=0x88A8),
    "an old vlan": pcaps.vlan(outer=0x9100),
    "padding": pcaps.ethernet() + bytes(20),
    "no udp length": pcaps.ethernet(pcaps.ipv4(pcaps.udp(length=0))),
    "small udp length": pcaps.ethernet(pcaps.ipv4(pcaps.udp(length=30))),
    "large udp length": pcaps.ethernet(pcaps.ipv4(pcaps.udp(length=900))),
    "bad udp length": pcaps.ethernet(pcaps.ipv4(pcaps.udp(length=7))),
    "no ip length": pcaps.ethernet(pcaps.ipv4(total=0)),
    "large ip length": pcaps.ethernet(pcaps.ipv4(total=2000)),
    "bad ip length": pcaps.ethernet(pcaps.ipv4(total=19)),
    "no ipv6 length": pcaps.ethernet(pcaps.ipv6(length=0), 0x86DD),
    "large ipv6 length": pcaps.ethernet(pcaps.ipv6(length=900), 0x86DD),
    "bad version": pcaps.ethernet(b"\x55" + pcaps.ipv4()[1:]),
    "bad header length": pcaps.ethernet(b"\x44" + pcaps.ipv4()[1:]),
    "cut in ethernet": pcaps.ethernet()[:10],
    "cut in ip": pcaps.ethernet()[:30],
    "cut in udp": pcaps.ethernet()[:38],
    "cut before the payload": pcaps.ethernet()[:42],
    "cut in the payload": pcaps.ethernet()[:60],
    "quoted": pcaps.ethernet(pcaps.ipv4(b"\x03\x03" + bytes(6) + pcaps.ipv4(), protocol=1)),
    "quoted in ipv6": pcaps.ethernet(pcaps.ipv6(b"\x01\x03" + bytes(6) + pcaps.ipv6(), protocol=58), 0x86DD),
    "ip in ip": pcaps.ethernet(pcaps.ipv4(INNER, protocol=4)),
    "6in4": pcaps.ethernet(pcaps.ipv4(pcaps.ipv6(), protocol=41)),
    "4in6": pcaps.ethernet(pcaps.ipv6(INNER, protocol=4), 0x86DD),
    "gre": gre(INNER),
    "gre with all fields": gre(INNER, flags=0xB000, fields=bytes(12)),
    "gre with ethernet": gre(pcaps.ethernet(INNER), 0x6558),
    "erspan i": gre(pcaps.ethernet(INNER), 0x88BE),
    "erspan ii": gre(bytes([16, 1, 0, 1]) + bytes(4) + pcaps.ethernet(INNER), 0x88BE, 0x1000, bytes(4)),
    "erspan iii": gre(bytes([32, 1, 0, 1]) + bytes(8) + pcaps.ethernet(INNER), 0x22EB, 0x1000, bytes(4)),
    "mpls": pcaps.ethernet(struct.pack("!I", 16 << 12 | 0x1FF) + INNER, 0x8847),
    "mpls twice": pcaps.ethernet(struct.pack("!II", 16 << 12 | 255, 17 << 12 | 0x1FF) + pcaps.ipv6(), 0x8847),
    "mpls pseudo-wire": pcaps.ethernet(struct.pack("!II", 16 << 12 | 0x1FF, 0) + pcaps.ethernet(INNER), 0x8847),
    "pppoe": pcaps.ethernet(struct.pack("!BBHHH", 0x11, 0, 1, len(INNER) + 2, 0x21) + INNER, 0x8864),
    "vxlan": tunnel(bytes([8, 0, 0, 0, 0, 0, 5, 0]) + pcaps.ethernet(INNER), 4789),
    "geneve": tunnel(struct.pack("!BBHI", 0, 0, 0x6558, 5 << 8) + pcaps.ethernet(INNER), 6081),
    "gtp": tunnel(struct.pack("!BBHI", 0x30, 255, len(INNER), 5) + INNER, 2152, 2152),
    "hep": tunnel(homer(), 9060),
    "hep of tcp": tunnel(homer(protocol=6), 9060),
    "hep of something else": tunnel(homer(b"\x80" * 40), 9060),
    "802.1ah": pcaps.ethernet(bytes(4) + pcaps.ethernet(), 0x88E7),
    "snap": pcaps.ethernet(b"\xaa\xaa\x03\0\0\0\x08\x00" + pcaps.ipv4(), 8 + len(pcaps.ipv4())),
    "nested 10 deep": nested(10),
    "nested 20 deep": nested(20),
    "tcp": pcaps.ethernet(pcaps.ipv4(tcp(), protocol=6)),
    "tcp with a bad header": pcaps.ethernet(pcaps.ipv4(tcp(offset=4), protocol=6)),
    "sctp": pcaps.ethernet(pcaps.ipv4(bytes(12), protocol=132)),
    "esp": pcaps.ethernet(pcaps.ipv4(bytes(12), protocol=50)),
    "arp": pcaps.ethernet(bytes(28), 0x806),
    "empty": pcaps.ethernet(pcaps.ipv4(pcaps.udp(b""))),
    "nothing": b"",
    **{f"sip from port {port}": tunnel(SIP, 5060, port) for port in (53, 1293, 1701, 2152, 4754, 4789, 6081, 6635)},
    **{f"sip to port {port}": tunnel(SIP, port, port) for port in (53, 1293, 1701, 2152, 4754, 4789, 6081, 6635)},
}
EXCEPTIONS = {
    ("pyshark", "no udp length"): "TShark takes a UDP length of 0 for an error; RFC 2675 and network cards use it",
    ("pyshark", "no ipv6 length"): "TShark takes a payload length of 0 for an empty packet, network cards write it",
}
"""What an engine's library does otherwise, and why the native engine does not."""


@pytest.mark.parametrize("engine", OTHERS)
def test_made_packets_read_the_same(engine, tmp_path):
    if engine == "pyshark":
        program("tshark")
    path = tmp_path / "made.pcap"
    names = [name for name in MADE if (engine, name) not in EXCEPTIONS]
    records = [(MADE[name], 91 if name.startswith("cut") else len(MADE[name])) for name in names]
    files = [pcaps.pcap([packet], wire=wire) for packet, wire in records]
    path.write_bytes(files[0][:24] + b"".join(file[24:] for file in files))
    expected, outcome = read(path), read(path, engine)
    for table in (expected, outcome):
        table.messages["name"] = [names[packet - 1] for packet in table.messages["packet"]]
    pd.testing.assert_frame_equal(outcome.messages, expected.messages)
    assert outcome.settled == expected.captured == len(names)


@pytest.mark.parametrize(("engine", "name"), list(EXCEPTIONS))
def test_exceptions_are_exceptions(engine, name, tmp_path):
    program("tshark")
    path = tmp_path / "one.pcap"
    path.write_bytes(pcaps.pcap([MADE[name]]))
    assert len(read(path).messages) == 1
    outcome = read(path, engine)
    assert len(outcome.messages) == 0
    assert outcome.settled == 1


LINKS = [
    (pcaps.RAW, pcaps.ipv4()), (pcaps.RAW, pcaps.ipv6()), (pcaps.SLL, pcaps.sll()), (pcaps.SLL2, pcaps.sll2()),
    (pcaps.NULL, pcaps.family()), (pcaps.LOOP, pcaps.family(order=">")), (pcaps.NULL, pcaps.family(pcaps.ipv6(), 30)),
    (228, pcaps.ipv4()), (229, pcaps.ipv6()),
]  # fmt: skip


@pytest.mark.parametrize(("link", "packet"), LINKS)
def test_links_read_the_same(engine, link, packet, tmp_path):
    path = tmp_path / "link.pcap"
    path.write_bytes(pcaps.pcap([packet] * 2, link=link))
    assert len(assert_same(path, engine).messages) == 2


def test_a_link_that_is_not_known_is_set_aside(tmp_path):
    path = tmp_path / "link.pcap"
    path.write_bytes(pcaps.pcap([bytes(50)] * 2, link=147))
    outcome = read(path, "scapy")
    assert outcome.fates == {"link type 147": 2}
    assert [anomaly.reason for anomaly in outcome.anomalies] == ["unsupported link type"]


@pytest.mark.parametrize(
    "file",
    [
        pcaps.pcap([pcaps.ethernet()] * 3, order=">"),
        pcaps.pcap([pcaps.ethernet()] * 3, magic=0xA1B23C4D),
        pcaps.pcap([pcaps.ethernet()] * 3, times=[(9, 0), (5, 1), (2**31, 999_999)]),
        pcaps.pcap([pcaps.ethernet()] * 3, snapped=96),
        pcaps.shb() + pcaps.idb() + pcaps.epb() + pcaps.idb(resolution=9) + pcaps.epb(interface=1, ticks=10**18 + 7),
        pcaps.shb(">") + pcaps.idb(">", resolution=3) + pcaps.epb(order=">", ticks=10**12 + 7) * 2,
        pcaps.shb() + pcaps.idb(link=pcaps.RAW) + pcaps.idb() + pcaps.epb(pcaps.ipv4()) + pcaps.epb(interface=1),
    ],
    ids=["big-endian", "nanoseconds", "disorder", "snapped", "pcapng", "pcapng big-endian", "pcapng two links"],
)
def test_files_read_the_same(engine, file, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(file)
    assert len(assert_same(path, engine).messages) >= 2


def test_scapy_keeps_packets_whose_interface_is_not_described(tmp_path):
    path = tmp_path / "file.pcapng"
    path.write_bytes(pcaps.shb() + pcaps.idb() + pcaps.epb() + pcaps.epb(interface=7) + pcaps.epb())
    outcome = read(path, "scapy")
    assert outcome.messages["packet"].tolist() == [1, 3]
    assert outcome.fates["unknown interface"] == 1


# --- fragments


def fragments(payload, sizes, *, number=1, six=False):
    """The fragments of a datagram, in order; sizes are of all but the last, in bytes, multiples of 8."""
    whole, at, packets = pcaps.udp(payload), 0, []
    for size in [*sizes, None]:
        stop = len(whole) if size is None else at + size
        more = size is not None
        if six:
            header = struct.pack("!BBHI", 17, 0, at | more, number)
            packets.append(pcaps.ethernet(pcaps.ipv6(header + whole[at:stop], protocol=44), 0x86DD))
        else:
            packet = bytearray(pcaps.ipv4(whole[at:stop], fragment=at >> 3 | more << 13))
            packet[4:6] = struct.pack("!H", number)
            packets.append(pcaps.ethernet(bytes(packet)))
        at = stop
    return packets


LONG = SIP + b"x" * 300


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 0, 1, 2), (2, 0, 1, 1)])
def test_fragments_read_the_same(engine, six, order, tmp_path):
    first, other = (fragments(LONG, [104, 64], number=number, six=six) for number in (1, 2))
    packets = [packets[place] for place in order for packets in (first, other)] + other[1:2]
    path = tmp_path / "fragments.pcap"
    path.write_bytes(pcaps.pcap(packets))
    outcome = assert_same(path, engine)
    assert len(outcome.messages) == 2
    assert outcome.messages["message_bytes"].tolist() == [len(LONG)] * 2


def test_what_is_never_complete_is_counted_and_told(engine, tmp_path):
    path = tmp_path / "fragments.pcap"
    path.write_bytes(pcaps.pcap(fragments(LONG, [104, 64])[:2] + fragments(LONG, [104], number=2)[1:]))
    outcome = read(path, engine)
    assert outcome.fates == {"fragment": 3}
    assert {anomaly.reason for anomaly in outcome.anomalies} == {"incomplete datagram"}


def test_of_overlapping_fragments_of_ipv4_the_first_counts(tmp_path):
    path = tmp_path / "fragments.pcap"
    start, end = fragments(LONG, [104])
    other = fragments(LONG.replace(b"x", b"y"), [64, 64])[1]
    path.write_bytes(pcaps.pcap([start, other, end]))
    assert_same(path, "scapy")


def test_overlaps_spoil_a_datagram_of_ipv6(tmp_path):
    path = tmp_path / "fragments.pcap"
    start, end = fragments(LONG, [104], six=True)
    path.write_bytes(pcaps.pcap([start, fragments(LONG, [64, 64], six=True)[1], end]))
    assert len(assert_same(path, "scapy").messages) == 0


# --- hostile captures


@pytest.mark.parametrize("size", [25, 39, 41, 60, 150, 300])
@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_a_capture_cut_anywhere_reads_the_same(kind, size, tmp_path):
    whole = pcaps.pcap([pcaps.ethernet()] * 4) if kind == "pcap" else pcaps.shb() + pcaps.idb() + pcaps.epb() * 4
    path = tmp_path / "cut"
    path.write_bytes(whole[:size])
    expected, outcome = read(path), read(path, "scapy")
    pd.testing.assert_frame_equal(outcome.messages, expected.messages)
    assert outcome.captured == expected.captured
    assert [one.reason for one in outcome.anomalies] == [one.reason for one in expected.anomalies]


def test_a_capture_that_is_cut_short_is_said_to_be(tmp_path):
    program("tshark")
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcaps.pcap([pcaps.ethernet()] * 4)[:-10])
    outcome = read(path, "pyshark")
    assert len(outcome.messages) == 3
    assert [anomaly.reason for anomaly in outcome.anomalies] == ["cut short"]


def changed(data, rng):
    """data with some bytes changed, a piece cut out, or a piece repeated; the file's header stays."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 20)):
        data[rng.integers(24, len(data))] = rng.integers(256)
    start, stop = sorted(rng.integers(24, len(data), 2).tolist())
    match rng.integers(4):
        case 0:
            del data[start : min(stop, start + 100)]
        case 1:
            data[start:start] = data[start : min(stop, start + 100)]
    return bytes(data)


@pytest.mark.parametrize("engine", OTHERS)
def test_no_change_of_a_capture_gets_past_the_books(engine, tmp_path, capfd):
    if engine == "pyshark":
        program("tshark")
    rng = np.random.default_rng(5)
    path = tmp_path / "changed.pcap"
    whole = [pcaps.pcap(list(MADE.values())), pcaps.shb() + pcaps.idb() + b"".join(map(pcaps.epb, MADE.values()))]
    for turn in range(60 if engine == "scapy" else 6):
        path.write_bytes(changed(whole[turn % 2], rng))
        try:
            outcome = read(path, engine)
        except CaptureError:
            continue
        assert outcome.settled == outcome.captured
    assert capfd.readouterr() == ("", "")


# --- formats, programs, packages


@pytest.mark.parametrize(("form", "name"), [("snoop", "Solaris snoop"), ("netmon2", "Microsoft Network Monitor 2")])
def test_formats_that_wireshark_alone_reads(form, name, tmp_path):
    source, path = CAPTURES / "svmap-sweep.pcap", tmp_path / "foreign"
    program("tshark")
    subprocess.run([program("editcap"), "-F", form, source, path], check=True, capture_output=True)
    expected, outcome = read(source), read(path, "pyshark")
    tick = 1 if form == "snoop" else 100
    drop = ["time"] if tick != 1 else []
    pd.testing.assert_frame_equal(outcome.messages.drop(columns=drop), expected.messages.drop(columns=drop))
    apart = (outcome.messages["time"] - expected.messages["time"]).abs().max()
    assert apart <= pd.Timedelta("1us")
    assert outcome.format == name
    for engine in ("native", "scapy"):
        with pytest.raises(CaptureError, match="pyshark"):
            read(path, engine)


@pytest.mark.parametrize("pack", ["gzip", "zstd", "lz4", "xz"])
def test_compressed_captures(engine, pack, tmp_path):
    source, path = tmp_path / "plain.pcap", tmp_path / "packed"
    source.write_bytes(pcaps.pcap([pcaps.ethernet()] * 3))
    path.write_bytes(compress(pack, source.read_bytes()))
    if engine == "pyshark" and pack == "xz":
        with pytest.raises(CaptureError, match=r"is compressed \(xz\), which TShark does not undo"):
            read(path, engine)
        return
    assert len(read(path, engine).messages) == 3


def compress(pack, data):
    import gzip
    import lzma

    import lz4.frame
    import zstandard

    packers = {
        "gzip": gzip.compress, "xz": lzma.compress, "lz4": lz4.frame.compress,
        "zstd": zstandard.ZstdCompressor().compress,
    }  # fmt: skip
    return packers[pack](data)


def test_without_tshark_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="the engine 'pyshark' needs the program tshark; install it"):
        read(CAPTURES / "svmap-sweep.pcap", "pyshark")


@pytest.mark.parametrize("package", OTHERS)
def test_without_the_package_one_sentence_says_so(package):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from pathlib import Path\n"
        "from analyzer.engines import ENGINES\n"
        "from analyzer.errors import UnavailableError\n"
        f"try: list(ENGINES[{package!r}](Path({str(CAPTURES / 'svmap-sweep.pcap')!r})))\n"
        "except UnavailableError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == f"the engine '{package}' needs the Python package '{package}'; install it with pip\n"


def test_what_is_no_capture_is_refused(engine, tmp_path):
    path = tmp_path / "text"
    path.write_text("no capture")
    with pytest.raises(CaptureError):
        read(path, engine)
    with pytest.raises(CaptureError, match="does not exist"):
        read(tmp_path / "none", engine)


def test_a_variant_that_scapy_does_not_read_is_named(tmp_path):
    path = tmp_path / "variant.pcap"
    path.write_bytes(pcaps.pcap([pcaps.ethernet()], magic=0xA1B2CD34))
    with pytest.raises(CaptureError, match="Scapy does not read; use the native engine"):
        read(path, "scapy")


# --- manners


def test_within_an_event_loop_and_within_a_thread(engine):
    async def within():
        return read(CAPTURES / "svmap-sweep.pcap", engine)

    results = [asyncio.run(within())]
    thread = threading.Thread(target=lambda: results.append(read(CAPTURES / "svmap-sweep.pcap", engine)))
    thread.start()
    thread.join(60)
    pd.testing.assert_frame_equal(*(outcome.messages for outcome in results))


def test_what_the_same_process_makes_with_scapy_stays_as_it_was():
    def tagged():
        inner = IP(src="192.0.2.1", dst="192.0.2.2")
        return bytes(Ether(src=STATION, dst=STATION) / Dot1Q(vlan=7) / Dot1Q(vlan=8) / inner), bytes(
            Loopback() / IPv6(src="::1", dst="::1")
        )

    before = tagged()
    read(CAPTURES / "svmap-sweep.pcap", "scapy")
    assert tagged() == before
    assert before[0][12:20].hex() == "8100000781000008"


def children():
    own = os.getpid()
    listed = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(own)], capture_output=True, text=True, check=False)
    return [line for line in listed.stdout.splitlines() if "tshark" in line or "dumpcap" in line]


def test_no_tshark_is_left_behind():
    program("tshark")
    blocks = ENGINES["pyshark"](CAPTURES / "office-day.pcap")
    next(blocks)
    blocks.close()
    assert not children()
    read(CAPTURES / "svmap-sweep.pcap", "pyshark")
    assert not children()


def reading(engine, path):
    """A program that reads a capture."""
    imports = "from pathlib import Path\nfrom analyzer.engines import ENGINES\n"
    return f"{imports}list(ENGINES[{engine!r}](Path({str(path)!r})))"


def test_a_settings_file_in_the_current_folder_is_not_obeyed(tmp_path):
    trap = tmp_path / "tshark"
    trap.write_text("#!/bin/sh\ntouch trapped\n")
    trap.chmod(0o755)
    (tmp_path / "config.ini").write_text(f"[tshark]\ntshark_path = {trap}\n")
    source = (CAPTURES / "svmap-sweep.pcap").absolute()
    code = reading("pyshark", source)
    program("tshark")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment, capture_output=True)
    assert not (tmp_path / "trapped").exists()


def test_scapy_writes_no_cache_and_says_nothing(tmp_path):
    source = (CAPTURES / "svmap-sweep.pcap").absolute()
    code = reading("scapy", source)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    compiled = tmp_path / ".cache" / "sipscope"  # our own kernels
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(compiled)]


@pytest.mark.parametrize("content", [b"", b"\n", bytes(600), b"RTSS" + bytes(100), b"PK\x03\x04", b"no capture"])
def test_the_error_is_ours_and_one_line(engine, content, tmp_path):
    path = tmp_path / "odd"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=r"^[^\n]*$"):
        read(path, engine)


@pytest.mark.parametrize("content", [b"\x0a\x0d\x0d\x0a", b"\xa1\xb2\xc3\xd4" + bytes(9)])
def test_a_header_cut_short_is_an_anomaly(content, tmp_path):
    path = tmp_path / "odd"
    path.write_bytes(content)
    outcome = read(path, "scapy")
    assert outcome.captured == 0
    assert outcome.anomalies
