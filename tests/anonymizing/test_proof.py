"""Anonymised captures give nobody away: searched for what the messages table and TShark know of the originals."""

import os
import random
from base64 import b64encode
from ipaddress import ip_address

import pytest
from needs import CAPTURES, corpus, program

from analyzer import analyze
from analyzer.anonymizing import anonymize, assembly
from analyzer.anonymizing.addresses import Addresses
from analyzer.anonymizing.assembly import Assembly
from analyzer.anonymizing.names import Names
from analyzer.anonymizing.packets import DroppedError, Packets
from analyzer.anonymizing.sip import Messages
from analyzer.anonymizing.sweep import Sweep
from analyzer.exports.pcapng import PcapngWriter
from analyzer.records import read_records
from benchmarks.anonymized import CORPUS, Known, captures, one_to_one, prove, search, why_address, why_word

OWN = sorted(path.name for path in CAPTURES.iterdir() if path.suffix.startswith(".pcap"))
CHOSEN = [
    "sipcapture__heplify/sip_tcp_websocket.pcap",  # masked frames
    "sipcapture__heplify/sip_sctp.pcap",
    "irontec__sngrep/ipv6frag.pcap",
    "ntop__nDPI/gre.pcap",  # SIPVicious in a tunnel
    "NormB__sipnab/Asterisk_ZFONE_XLITE.pcap",  # encrypted media and reports
]
"""Of the corpus; with SIPSCOPE_CORPUS=all, all of it."""
WHOLE = [str(path.relative_to(CORPUS)) for path in captures() if path.is_relative_to(CORPUS)]
NEEDLE, PASSWORD = "zaphod", "beeblebrox"


def find_nothing(capture, folder):
    program("tshark")
    proof = prove(capture, folder / "anonymous.pcapng")
    assert proof.leaks == []
    assert proof.changed == []
    assert proof.names


@pytest.mark.parametrize("name", OWN)
def test_captures_of_the_project_give_nobody_away(name, tmp_path):
    find_nothing(CAPTURES / name, tmp_path)


@pytest.mark.parametrize("name", WHOLE if os.environ.get("SIPSCOPE_CORPUS") == "all" else CHOSEN)
def test_real_captures_give_nobody_away(name, tmp_path):
    find_nothing(corpus(name), tmp_path)


# --- The search finds what is there

HIDDEN = {
    "an address": b"at 203.0.113.77:5060",
    "with zeros": b"203.000.113.077",
    "in binary": bytes([0, 203, 0, 113, 77, 0]),
    "in hex": b"tag=cb00714d0131",
    "in upper case": b"tag=CB00714D0131",
    "IPv6": b"[2001:db8::77]:5060",
    "IPv6 in full": b"2001:0db8:0000:0000:0000:0000:0000:0077",
    "IPv6 in binary": ip_address("2001:db8::77").packed,
    "a card": b"+sip.instance=02-00-5E-10-00-77",
    "a card in binary": bytes.fromhex("02005e100077"),
    "a user": b"From: Zaphod <sip:",
    "a user in hex": NEEDLE.encode().hex().encode(),
    "a password": b"=beeblebrox;",
    "a number": b"sip:900442079460958@",
    "its end": b"00016442079460958 ",
    "a short one": b"sip:70017@",
    "a foreign name": 'From: "Склад 2" <'.encode(),
    "a domain": b"sip:x@PBX.example.net>",
} | {
    f"{what} in base64, {before} bytes before": b64encode(b"." * before + word + b"..")
    for what, word in (("an address", b"203.0.113.77"), ("a user", b"zaphod"))
    for before in range(3)
}  # fmt: skip
CLEAN = b"cb0071 203.0.113.7 203.0.113.770 zaphods xzaphod 442079460959 170017 pbx.example.nets INVITE " + bytes(64)


def known():
    return Known(
        addresses={ip_address(text).packed for text in ("203.0.113.77", "2001:db8::77", "127.0.0.1", "1.1.1.1")},
        hardware={bytes.fromhex("02005e100077"), bytes(6)},
        words={"Склад", NEEDLE, PASSWORD, "pbx.example.net", "invite", "70017", "100", "admin", "branch"} - {"invite"},
        numbers={"442079460958"},
    )


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_the_search_finds_what_is_hidden(hidden):
    assert search(CLEAN + b"\0" + hidden + b"\0" + CLEAN, known())


def test_the_search_finds_nothing_else():
    assert search(CLEAN + b"127.0.0.1 1.1.1.1 admin ;branch=100 ", known()) == []


def test_whatever_may_stay_has_a_reason():
    assert why_address(ip_address("224.0.0.251").packed)
    assert why_address(ip_address("::ffff:127.0.0.1").packed)
    assert not why_address(ip_address("192.168.1.44").packed)
    assert why_word("SIPVicious")
    assert not why_word(NEEDLE)


def test_one_name_for_one():
    assert one_to_one([("a", "b"), ("b", "c")], "name") == []
    assert one_to_one([("a", "b"), ("a", "c")], "name")
    assert one_to_one([("a", "b"), ("c", "b")], "name")


# --- Keys and names


def test_without_a_key_two_runs_differ(tmp_path):
    names = set()
    for out in ("a", "b"):
        anonymize(CAPTURES / "svwar-svcrack.pcapng", tmp_path / out)
        names.add(analyze(tmp_path / out).messages["source"].iloc[0])
    assert len(names) == 2


@pytest.mark.parametrize("key", [bytes([byte]) * 32 for byte in range(6)])
@pytest.mark.parametrize(
    "network", ["10.1.1.{}", "172.17.0.{}", "192.168.33.{}", "10.0.7.{}", "198.51.100.{}", "fe80::{}"]
)
def test_no_address_is_its_own_name_and_prefixes_stay(network, key):
    name = Addresses(key)
    named = {network.format(host): name(network.format(host)) for host in range(1, 16)}
    assert all(text != other for text, other in named.items())
    assert len(set(named.values())) == len(named)
    assert len({text[: max(text.rfind("."), text.rfind(":"))] for text in named.values()}) == 1


def test_no_word_is_its_own_name():
    names = Names(b"w" * 32)
    words = [f"{number}" for number in range(1, 3000)] + [f"{number:04}" for number in range(1, 3000)]
    words += [f"u{number}" for number in range(500)] + ["a", "zz", "deadbeef01", "Alice"]
    assert not [word for word in words if names.user(word) == word]
    assert len({names.user(word) for word in words}) == len(set(words))


# --- Hostile captures

CUTS = 400


def wild(rng, packets):
    """Return a packet that was cut, changed, or had pieces of others put into it."""
    packet, link = rng.choice(packets)
    packet = packet[: rng.randrange(len(packet) + 1)] if rng.random() < 0.4 else bytearray(packet)
    packet = bytearray(packet)
    for _ in range(rng.choice([0, 1, 3, 9])):
        at = min(int(rng.expovariate(1 / 60)), len(packet))
        other = rng.choice(packets)[0]
        start = rng.randrange(len(other) + 1)
        packet[at : at + rng.randrange(4)] = rng.choice(
            [b"", bytes([rng.randrange(256)]), other[start : start + rng.randrange(99)], b"\r\n", b'"', b"<sip:", b"%"]
        )
    return bytes(packet), rng.choice([link, link, link, link, 0, 1, 9, 51, 101, 104, 113, 276, 999])


@pytest.mark.parametrize("seed", range(3))
def test_hostile_packets_never_raise_and_keep_their_length(seed):
    rng = random.Random(seed)
    packets = [
        (bytes(records.bytes_of(at)), records.link_of(at))
        for name in OWN
        for records in read_records(CAPTURES / name)
        for at in range(0, len(records), 7)
    ]
    names = Names(b"k" * 32)
    rewriting = Packets(names, Messages(names, Sweep(names)), Assembly())
    made = [wild(rng, packets) for _ in range(CUTS)]
    for rewriting.assembly.collecting in (True, False):
        for number, (packet, link) in enumerate(made):
            rewriting.assembly.begin(number, number)
            named = bytearray(packet)
            try:
                rewriting.rewrite(named, link)
            except DroppedError:
                continue
            assert len(named) == len(packet)


def test_streams_without_sip_are_not_kept(monkeypatch):
    monkeypatch.setattr(assembly, "MOST_SILENT", 10_000)
    kept = Assembly()
    speaking = kept.stream("sip", 1, 0)
    kept.add(speaking, 1, b"OPTIONS sip:a SIP/2.0\r\n")
    silent = [kept.stream(number, 1, 0) for number in range(200)]
    for number, stream in enumerate(silent):
        kept.add(stream, 1, bytes(900))
        assert sum(stream.held for stream in silent) <= 10_900, number
    assert speaking.held
    assert silent[-1].held == 900
    late = silent[0]
    kept.add(late, 901, b"OPTIONS sip:a SIP/2.0\r\n")
    assert late.speaks


def test_a_capture_cut_anywhere_is_anonymised_as_far_as_it_goes(tmp_path):
    whole = (CAPTURES / "svmap-sweep.pcap").read_bytes()
    for size in (len(whole) // 3, len(whole) // 3 + 7):
        (tmp_path / "cut.pcap").write_bytes(whole[:size])
        (tmp_path / "out.pcapng").unlink(missing_ok=True)
        done = anonymize(tmp_path / "cut.pcap", tmp_path / "out.pcapng")
        assert done.packets == done.captured > 0
        assert done.messages == done.messages_before


def test_what_is_left_out_is_told(tmp_path):
    with (tmp_path / "odd.pcapng").open("wb") as file:
        writer = PcapngWriter(file, comment="odd", program="test")
        interface = writer.add_interface(1, snap=65535)
        for number, tail in enumerate((b"\x88\xcc" + b"\x02\x07name", b"\x08\x00" + bytes(40))):
            writer.add_packet(interface, number, b"\x02\0\0\0\0\1\x02\0\0\0\0\2" + tail, missing=0)
    done = anonymize(tmp_path / "odd.pcapng", tmp_path / "out.pcapng")
    assert (done.packets, done.captured) == (0, 2)
    assert dict(done.dropped) == {"Ethernet type 0x88cc": 1, "no IP where it should be": 1}
