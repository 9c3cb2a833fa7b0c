"""The blocks of pcapng: what is written is what is read, by us and by TShark."""

import struct
import subprocess

import pytest
from needs import program

from analyzer.exports.pcapng import PcapngWriter
from analyzer.pcapng import (
    COMMENT,
    INTERFACE,
    File,
    Interface,
    interface,
    packet,
    read_interface,
    read_options,
    section,
)


def values(block, start):
    return dict(read_options(block, start, len(block) - 4))


def test_the_value_of_an_option_is_cut_between_two_characters():
    said = values(section(comment="ä" * 40_000), 24)
    assert said == {COMMENT: ("ä" * 32_767).encode(), 4: b"sipscope"}


def test_what_cannot_be_encoded_is_replaced():
    assert values(section(comment="a\udcffb", program=""), 24) == {COMMENT: b"a?b"}


def test_options_end_where_one_does_not_fit():
    fitting, long = struct.pack("=HH4s", 2, 3, b"eth"), struct.pack("=HH", 9, 100) + bytes(8)
    assert list(read_options(fitting + long, 0, len(fitting + long))) == [(2, b"eth")]
    assert list(read_options(fitting + bytes(4) + fitting, 0, 20)) == [(2, b"eth")]
    assert list(read_options(fitting, 0, 3)) == []


def test_an_interface_is_read_as_it_was_written():
    block = interface(113, name="any", description="all", snap=96, filtered="udp")
    assert read_interface(block) == Interface(link=113, snap=96, resolution=9, offset=0)
    assert values(block, 16) == {2: b"any", 3: b"all", 9: b"\x09", 11: b"\0udp"}


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_interface_has_the_byte_order_of_its_section(order):
    told = struct.pack(order + "HHB3xHHq", 9, 1, 3, 14, 8, -5) + bytes(4)
    block = struct.pack(order + "IIHHI", INTERFACE, 20 + len(told), 1, 0, 0) + told + bytes(4)
    assert read_interface(block, order) == Interface(link=1, snap=0, resolution=3, offset=-5)


def test_an_interface_that_is_cut_says_nothing():
    assert read_interface(bytes(16)) == Interface() == (0xFFFF, 0, 6, 0)


def test_packets_of_several_interfaces_are_read_by_tshark(tmp_path):
    tshark = program("tshark")
    with (tmp_path / "two.pcapng").open("wb") as file:
        writer = PcapngWriter(file, comment="evidence", program="a test")
        first, second = (writer.add_interface(101, snap=snap, name=f"eth{snap}") for snap in (0, 20))
        writer.add_packet(first, 1_600_000_000_000_000_001, bytes(21), comment="one")
        writer.add_packet(second, -1, bytes(20), missing=7)
    fields = ("frame.interface_id", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.comment")
    asked = [word for name in fields for word in ("-e", name)]
    command = [tshark, "-n", "-r", tmp_path / "two.pcapng", "-T", "fields", *asked]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    one, two = (line.split("\t") for line in told.stdout.splitlines())
    assert (one[0], one[2:]) == ("0", ["21", "21", "one"])
    assert (two[0], two[2:]) == ("1", ["27", "20", ""])
    assert one[1].endswith("000000001") or one[1].endswith("000000001Z")


def test_a_file_tells_its_packets(tmp_path):
    (tmp_path / "a.pcapng").write_bytes(section() + interface(1) + packet(7, b"abc", 9))
    with File(tmp_path / "a.pcapng") as file:
        *_, last = file.blocks()
        assert (file.ticks(), file.time(last, 1), file.bytes_of(last)) == (1, 7, b"abc")
