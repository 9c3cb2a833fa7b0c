import gzip
import struct
import subprocess

import pytest
from engines import pcaps
from hypothesis import given
from hypothesis import strategies as st
from needs import program

from analyzer.formats import COMPRESSED, HEAD_BYTES, find_compression, find_foreign, is_capture, say_what

SKIPPABLE = struct.pack("<II", 0x184D2A5F, 5) + b"aside"
WRITTEN_BY_EDITCAP = {
    "5views": "Accellent 5Views",
    "k12text": "Tektronix K12 text",
    "lanalyzer": "Novell LANalyzer",
    "netmon1": "Microsoft Network Monitor 1",
    "netmon2": "Microsoft Network Monitor 2",
    "nettl": "HP-UX nettl",
    "ngsniffer": "DOS Sniffer",
    "ngwsniffer_1_1": "NetXRay / Windows Sniffer",
    "ngwsniffer_2_0": "NetXRay / Windows Sniffer",
    "observer": "Network Instruments Observer",
    "snoop": "Solaris snoop",
    "visual": "Visual Networks",
}


def erf(packets=3):
    """Records of Endace's format: time, type (Ethernet), flags, lengths, two bytes of padding."""
    frame = b"\0\0" + pcaps.ethernet()
    times = struct.pack("<II", 0, 1_700_000_000)
    return (times + struct.pack(">BBHHH", 2, 4, 16 + len(frame), 0, len(frame) - 2) + frame) * packets


def packet_logger(packets=3):
    """Records of Apple's format: length, time, type (an HCI command)."""
    return (struct.pack(">IIIB", 9 + 4, 1_700_000_000, 5, 0) + b"\x03\x0c\x00\x00") * packets


@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34])
@pytest.mark.parametrize("order", "<>")
def test_pcap_is_a_capture(magic, order):
    assert is_capture(pcaps.pcap([], magic=magic, order=order))


def test_pcapng_is_a_capture_and_what_is_too_short_is_none():
    assert is_capture(pcaps.pcapng())
    assert not any(is_capture(pcaps.pcapng()[:size]) for size in range(4))


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_compression_has_a_magic(name):
    assert find_compression(COMPRESSED[name] + b"...") == name
    assert find_compression(COMPRESSED[name][:-1]) == ""


def test_frames_that_are_skipped_do_not_hide_what_follows():
    assert find_compression(SKIPPABLE + SKIPPABLE + COMPRESSED["lz4"]) == "lz4"
    assert find_compression(SKIPPABLE + COMPRESSED["zstd"]) == "zstd"
    assert find_compression(SKIPPABLE + COMPRESSED["gzip"]) == "zstd"
    assert find_compression(struct.pack("<II", 0x184D2A50, 1 << 31)) == "zstd"
    assert find_compression(SKIPPABLE[:7]) == ""


@pytest.mark.parametrize("form", WRITTEN_BY_EDITCAP)
def test_what_editcap_writes_is_known(tmp_path, form):
    (tmp_path / "in.pcap").write_bytes(pcaps.pcap([pcaps.ethernet()] * 3))
    command = [program("editcap"), "-F", form, tmp_path / "in.pcap", tmp_path / "out"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert find_foreign((tmp_path / "out").read_bytes()[:HEAD_BYTES]) == WRITTEN_BY_EDITCAP[form]


@pytest.mark.parametrize(
    ("content", "name", "as_capinfos_has_it"),
    [(erf(), "Endace ERF", "ERF"), (packet_logger(), "Apple PacketLogger", "PacketLogger")],
    ids=["erf", "packet logger"],
)
def test_formats_without_a_magic_are_known_by_their_records(tmp_path, content, name, as_capinfos_has_it):
    assert find_foreign(content[:HEAD_BYTES]) == name
    assert find_foreign(content + bytes(HEAD_BYTES)) == ""
    (tmp_path / "file").write_bytes(content)
    done = subprocess.run(
        [program("capinfos"), "-t", tmp_path / "file"], check=True, capture_output=True, text=True, timeout=30
    )
    assert as_capinfos_has_it in done.stdout


@pytest.mark.parametrize(
    ("head", "what", "remedy"),
    [
        (b"snoop\0\0\0\0\0\0\2", "Wireshark alone reads (Solaris snoop)", "--engine pyshark"),
        (b"snoop\0\0\0\0\0\0\2", "Wireshark alone reads (Solaris snoop)", "editcap -F pcapng IN OUT"),
        (b"btsnoop\0\0\0\0\1", "Bluetooth snoop", "editcap"),
        (b"iptrace 2.0", "AIX iptrace 2", "editcap"),
        (b"Session Transcript\n", "Catapult DCT2000", "editcap"),
        (b"EyeSDN\0", "EyeSDN", "editcap"),
        (b"PK\3\4", "an archive (zip)", "unpack it and name the captures"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "an archive (7z)", "unpack"),
        (b"captures/".ljust(257, b"\0") + b"ustar\x0000" + bytes(100), "an archive (tar)", "unpack"),
        (b"\x1f\x9d\x90", "compressed (compress)", "unpack it first"),
        (b"LZIP\1", "compressed (lzip)", "unpack it first"),
        (b"%PDF-1.4\n%\xe2\xe3", "a PDF document", "name the capture"),
        (b"\x7fELF\2\1\1", "a program (ELF)", "name the capture"),
        (b"SQLite format 3\0", "an SQLite database", "name the capture"),
        (b"  <!DOCTYPE HTML>\n<html>", "a web page", "name the capture"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>", "an XML document", "name the capture"),
        (b"000000 00 0e b6 00 00 02", "a hex dump", "text2pcap"),
        (b"Nov 22 10:00:00 pbx asterisk[1]: NOTICE", "text, perhaps a log", "name the capture"),
        ("Gespräch\n".encode() * 100, "text", "name the capture"),
        (("x" + "ä" * 400).encode()[:HEAD_BYTES], "text", "name the capture"),
        (bytes(HEAD_BYTES), "zeros where a capture begins", "record"),
        (b"\x00\x01\x02\x03", "no capture", "pcap or pcapng"),
        (b"\xff\xfe\xfd\xfc", "no capture", "pcap or pcapng"),
        (gzip.compress(b"")[:2] + b"\7", "compressed in an unknown way", "unpack"),
    ],
)
def test_other_files_are_called_by_their_names(head, what, remedy):
    said = say_what(head)
    assert what in said[0]
    assert remedy in said[1]


@given(st.binary(max_size=HEAD_BYTES))
def test_any_bytes_are_something(head):
    what, remedy = say_what(head)
    assert what
    assert remedy
    find_compression(head)
