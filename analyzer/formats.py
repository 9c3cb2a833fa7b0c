"""What a file is, by its first bytes: a capture, a compressed one, or something else that has a name."""

import struct
from collections.abc import Iterable

HEAD_BYTES = 512
"""How many of a file's first bytes tell what it is."""
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
PCAP_MAGICS = {
    b"\xa1\xb2\xc3\xd4": ("big", "µs", 16),
    b"\xd4\xc3\xb2\xa1": ("little", "µs", 16),
    b"\xa1\xb2\x3c\x4d": ("big", "ns", 16),
    b"\x4d\x3c\xb2\xa1": ("little", "ns", 16),
    b"\xa1\xb2\xcd\x34": ("big", "µs", 24),
    b"\x34\xcd\xb2\xa1": ("little", "µs", 24),
}
"""Byte order, resolution and bytes of a record's header, by the first four bytes of a pcap file."""

COMPRESSED = {
    "gzip": b"\x1f\x8b\x08",
    "zstd": b"\x28\xb5\x2f\xfd",
    "lz4": b"\x04\x22\x4d\x18",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
}
"""The magic of each compression that is undone while reading."""
_SKIPPABLE = b"\x2a\x4d\x18"
"""What follows the first byte (0x50 to 0x5f) of a frame that zstd and lz4 skip (RFC 8878 3.1.2)."""

_FOREIGN = {
    b"snoop\x00\x00\x00": "Solaris snoop",
    b"RTSS": "Microsoft Network Monitor 1",
    b"GMBU": "Microsoft Network Monitor 2",
    b"XCP\x00": "NetXRay / Windows Sniffer",
    b"VL\x00\x00": "NetXRay 1",
    b"TRSNIFF data    \x1a": "DOS Sniffer",
    b"\xac\x01\x00\x1c": "IXIA",
    b"\xab\x01\x00\x1c": "IXIA",
    b"\x7fver": "WildPackets (Peek)",
    b"\x00\x00\x02\x00\x12\x05\x00\x10": "Tektronix K12",
    b"+---------+---------------+----------+": "Tektronix K12 text",
    b"iptrace 1.0": "AIX iptrace 1",
    b"iptrace 2.0": "AIX iptrace 2",
    b"\x01\x10\x4c\x00\x01\x05Trace Display Trace File": "Novell LANalyzer",
    b"\x05VNF": "Visual Networks",
    b"ObserverPktBuffe": "Network Instruments Observer",
    b"btsnoop\x00": "Bluetooth snoop",
    b"EyeSDN": "EyeSDN",
    b"Session Transcript": "Catapult DCT2000",
    b"\x00\x00\x00\x01\x00\x00\x00\x00\x00\x07\xd0\x00": "HP-UX nettl",
    b"TR\x00\x64\x00\x00\x00\x00\x00\x00\x00\x80": "HP-UX nettl",
    b"\xaa\xaa\xaa\xaa": "Accellent 5Views",
}
"""Captures that Wireshark reads and the native engine does not, by their magic."""

_UNPACK = "unpack it first"
_ARCHIVE = "unpack it and name the captures in it"
_RECORD = "name the capture itself (pcap or pcapng)"
_OTHERS = {
    b"PK\x03\x04": ("an archive (zip)", _ARCHIVE),
    b"PK\x05\x06": ("an empty archive (zip)", _RECORD),
    b"7z\xbc\xaf\x27\x1c": ("an archive (7z)", _ARCHIVE),
    b"Rar!\x1a\x07": ("an archive (rar)", _ARCHIVE),
    b"!<arch>\n": ("an archive (ar)", _ARCHIVE),
    b"070701": ("an archive (cpio)", _ARCHIVE),
    b"\x1f\x9d": ("compressed (compress)", _UNPACK),
    b"\x1f\x8b": ("compressed in an unknown way", _UNPACK),
    b"LZIP": ("compressed (lzip)", _UNPACK),
    b"\x89LZO\x00\r\n\x1a\n": ("compressed (lzop)", _UNPACK),
    b"\x02\x21\x4c\x18": ("compressed (lz4, the old format)", _UNPACK),
    b"\xff\x06\x00\x00sNaPpY": ("compressed (snappy)", _UNPACK),
    b"]\x00\x00": ("compressed (lzma)", _UNPACK),
    b"%PDF-": ("a PDF document", _RECORD),
    b"\x7fELF": ("a program (ELF)", _RECORD),
    b"MZ": ("a program (Windows)", _RECORD),
    b"SQLite format 3\x00": ("an SQLite database", _RECORD),
    b"PAR1": ("a Parquet table", _RECORD),
    b"ARROW1": ("an Arrow table", _RECORD),
    b"\x89PNG": ("a picture", _RECORD),
    b"\xff\xd8\xff": ("a picture", _RECORD),
    b"GIF8": ("a picture", _RECORD),
    b"RIFF": ("a recording of sound or film", _RECORD),
    b"#!AMR": ("a recording of sound", _RECORD),
}
"""Other files that people hand over, by their magic: what each is, and what to do about it."""
_MARKUP = {b"<!doctype html": "a web page", b"<html": "a web page", b"<?xml": "an XML document", b"<pdml": "PDML"}
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b")) + b"\x7f"
_ERF_HEADER = 16
_ERF_PADDING = 64
_YEARS = 631_152_000, 4_102_444_800
"""1990 to 2100, in seconds since 1970."""


def is_capture(head: bytes) -> bool:
    """Say whether a file that begins with head is pcap or pcapng."""
    return head[:4] in PCAP_MAGICS or head[:4] == PCAPNG_MAGIC


def find_compression(head: bytes) -> str:
    """Return the name of the compression (a key of COMPRESSED) of a file that begins with head; "" if none."""
    skipped = False
    while is_skippable(head):
        skipped = True
        head = head[8 + int.from_bytes(head[4:8], "little") :]
    found = next((name for name, magic in COMPRESSED.items() if head.startswith(magic)), "")
    return "zstd" if skipped and found != "lz4" else found


def is_skippable(head: bytes) -> bool:
    """Say whether head begins with a frame that zstd and lz4 skip."""
    return len(head) >= 8 and head[0] >> 4 == 5 and head[1:4] == _SKIPPABLE


def find_foreign(head: bytes) -> str:
    """Return the name of the format, if head begins a capture that Wireshark alone reads; "" if not."""
    if named := next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), ""):
        return named
    if _is_text(head):
        return ""
    return "Endace ERF" if _is_erf(head) else "Apple PacketLogger" if _is_packet_logger(head) else ""


def say_what(head: bytes) -> tuple[str, str]:
    """Return what a file that begins with head is, and what to do about it, for a file that is no capture."""
    if foreign := find_foreign(head):
        remedy = "read it with --engine pyshark, or convert it with 'editcap -F pcapng IN OUT'"
        return f"a capture of a format that Wireshark alone reads ({foreign})", remedy
    if other := next((words for magic, words in _OTHERS.items() if head.startswith(magic)), None):
        return other
    if head[257:262] == b"ustar":
        return "an archive (tar)", _ARCHIVE
    if not head.strip(b"\x00"):
        return "zeros where a capture begins: it was never written whole", "record the capture again"
    return _say_which_text(head) if _is_text(head) else ("no capture", "name a pcap or pcapng file")


def _say_which_text(head: bytes) -> tuple[str, str]:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if markup := next((words for magic, words in _MARKUP.items() if start.startswith(magic)), ""):
        return markup, _RECORD
    if start.startswith((b"000000 ", b"0000 ")):
        return "text, perhaps a hex dump", "make it a capture with Wireshark's text2pcap"
    return "text, perhaps a log", "name the capture itself, as no capture (pcap or pcapng) is text"


def _is_text(head: bytes) -> bool:
    return bool(head) and head.translate(None, _CONTROLS) == head and _decodes(head)


def _decodes(head: bytes) -> bool:
    """Say whether head is UTF-8, but for a character that its end cuts."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and error.start > 0
    return True


def _is_erf(head: bytes) -> bool:
    """Say whether head may begin an ERF file: one whole record after the other, of known types and near times."""
    return _chain(_erf_records(head))


def _erf_records(head: bytes) -> Iterable[bool]:
    at = 0
    while at + _ERF_HEADER <= len(head):
        (second,) = struct.unpack_from("<4xI", head, at)
        kind, size, wire = struct.unpack_from(">BxHxxH", head, at + 8)
        fits = _ERF_HEADER <= size <= _ERF_HEADER + _ERF_PADDING + wire
        yield fits and _YEARS[0] <= second < _YEARS[1] and 1 <= kind & 0x7F <= 48
        at += max(size, _ERF_HEADER)


def _is_packet_logger(head: bytes) -> bool:
    return _chain(_packet_logger_records(head))


def _packet_logger_records(head: bytes) -> Iterable[bool]:
    at = 0
    while at + 13 <= len(head):
        size, second, micro, kind = struct.unpack_from(">IIIB", head, at)
        timely = _YEARS[0] <= second < _YEARS[1] and micro < 1_000_000
        yield timely and 9 <= size < 65_536 and kind in {0, 1, 2, 3, 8, 9, 0xFB, 0xFC, 0xFE, 0xFF}
        at += 4 + size


def _chain(records: Iterable[bool]) -> bool:
    """Say whether there are records, and all are sound."""
    told = list(records)
    return bool(told) and all(told)
