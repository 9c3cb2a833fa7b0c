import re
from base64 import b64encode
from collections import Counter
from ipaddress import ip_address

import pytest
from click.testing import CliRunner
from needs import CAPTURES

from analyzer import analyze
from analyzer.anonymizing import anonymize, read_key
from analyzer.anonymizing.addresses import Addresses
from analyzer.anonymizing.checksums import adjust, crc32c, total
from analyzer.anonymizing.cryptopan import CryptoPan
from analyzer.anonymizing.names import Names
from analyzer.anonymizing.sip import Messages
from analyzer.anonymizing.sweep import Sweep
from analyzer.cli import cli
from analyzer.errors import SettingsError
from analyzer.evidence import is_private
from analyzer.links import in_household
from analyzer.records import read_records

PUBLISHED = bytes.fromhex(
    "15 22 17 8d 33 a4 cf 80 13 0a 5b 16 49 90 7d 10 d8 98 8f 83 79 79 65 27 62 57 4c 2d 2a 84 22 02"
)
KEY = b"k" * 32
CRACKED = CAPTURES / "svwar-svcrack.pcapng"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("128.11.68.132", "135.242.180.132"),
        ("129.118.74.4", "134.136.186.123"),
        ("130.132.252.244", "133.68.164.234"),
        ("141.223.7.43", "141.167.8.160"),
        ("141.233.145.108", "141.129.237.235"),
        ("2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e"),
    ],
)
def test_crypto_pan_gives_what_was_published(address, name):
    assert CryptoPan(PUBLISHED).anonymize(ip_address(address)) == ip_address(name)


@pytest.mark.parametrize("network", ["192.168.{}.{}", "10.0.{}.{}", "172.20.{}.{}", "203.0.{}.{}"])
def test_names_of_addresses_are_one_to_one_as_long_and_of_the_same_kind(network):
    name, known = Addresses(KEY), {}
    for third in range(0, 256, 2):
        for fourth in range(0, 256, 7):
            address = network.format(third, fourth)
            named = name(address)
            assert len(named) == len(address)
            assert in_household(named) == in_household(address)
            assert is_private(named) == is_private(address)
            assert known.setdefault(named, address) == address
            assert name.packed(ip_address(address).packed) == ip_address(named).packed
            assert named.rpartition(".")[0] == name(network.format(third, 0)).rpartition(".")[0]


@pytest.mark.parametrize(
    "address", ["2001:db8::1", "2001:0DB8:0:0:0:0:0:00FF", "fe80::12:34", "::ffff:10.0.0.1", "1::"]
)
def test_names_of_ipv6_are_as_long(address):
    named = Addresses(KEY)(address)
    assert len(named) == len(address)
    assert ip_address(named).packed == Addresses(KEY).packed(ip_address(address).packed)


def test_a_number_has_one_name_behind_every_prefix():
    names = Names(KEY)
    dialled = ["900442079460958", "00442079460958", "+442079460958", "9011442079460958"]
    names.learn_numbers(dialled)
    named = [names.user(text) for text in dialled]
    assert {text[-12:] for text in named} == {"442" + named[0][-9:]}
    assert [text[:-9] for text in named] == [text[:-9] for text in dialled]
    assert named[0][-9:] != dialled[0][-9:]


def test_users_keep_their_form():
    names = Names(KEY)
    for text in ("alice", "Bob.Smith", "105", "0004f2abcdef", "a%40b", "x" * 200, "h\xc3\xa9l\xc3\xa8ne"):
        named = names.user(text)
        assert named != text
        assert len(named) == len(text)
        shapes = [re.sub("[a-z]", "a", re.sub("[A-Z]", "A", re.sub("[0-9]", "0", word))) for word in (text, named)]
        assert shapes[0] == shapes[1] or "f2abc" in text or "%" in text or not text.isascii()
    assert len({names.user(f"{number:03}") for number in range(1000)}) == 1000
    assert names.user("sipvicious") == "sipvicious"
    named.encode("latin-1").decode("utf-8")


MESSAGE = (
    "INVITE sip:900442079460958@203.0.113.5 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 10.20.30.40:5060;branch=z9hG4bK0a141e28;received=198.51.100.7\r\n"
    'From: "Alice Smith" <sip:alice@pbx.example.com>;tag={tag}01313233343536\r\n'
    "To: <sip:900442079460958@203.0.113.5>\r\nContact: sip:alice@10.20.30.40:5060\r\n"
    "Record-Route: <sip:10.20.30.40;lr>\r\nX-Token: {base64}\r\n"
    'Call-ID: 7c9@10.20.30.40\r\nCSeq: 1 INVITE\r\nWarning: 392 10.20.30.40:5060 "Noisy"\r\n'
    'Authorization: Digest username="alice", realm="pbx.example.com", uri="sip:203.0.113.5", '
    'nonce="aa", response="0123456789abcdef0123456789abcdef"\r\n'
    "User-Agent: friendly-scanner pbx.example.com\r\nContent-Type: application/sdp\r\n\r\n"
    "v=0\r\no=alice 1 1 IN IP4 10.20.30.40\r\ns=-\r\nc=IN IP4 10.20.30.40\r\n"
    "a=candidate:1 1 UDP 1 10.20.30.40 5000 typ host\r\n"
)


def test_nothing_of_the_protected_side_is_left_in_a_message():
    text = MESSAGE.format(tag=b"alice:secretword".hex(), base64=b64encode(b"at 10.20.30.40 alice").decode())
    names = Names(KEY)
    names.learn_numbers(["900442079460958"])
    sweep = Sweep(names)
    sweep.learn(words=["alice", "secretword"], hosts=["pbx.example.com"], addresses=[bytes([10, 20, 30, 40])])
    named = Messages(names, sweep).rewrite(text)
    assert len(named) == len(text)
    for gone in ("10.20.30.40", "0a141e28", "alice", "Alice", "Smith", "example", "203.0.113.5", "442079460958"):
        assert gone not in named
    assert b"alice".hex() not in named
    assert b"secretword".hex() not in named
    assert "0123456789abcdef" not in named
    assert "friendly-scanner " in named
    assert named.count(names.address("10.20.30.40")) == 8
    assert bytes.fromhex(re.search("tag=([0-9a-f]+)01313233343536", named)[1]).decode() == (
        f"{names.user('alice')}:{names.user('secretword')}"
    )


@pytest.mark.parametrize(
    "junk", ["", "\r\n", "A", "\xff" * 99, "INVITE", "a:" * 5000, '"' * 999, "<" * 999, "Via:;=;=\r\n;"]
)
def test_whatever_comes_keeps_its_length(junk):
    names = Names(KEY)
    messages = Messages(names, Sweep(names))
    for text in (
        junk,
        "INVITE sip:x SIP/2.0\r\nFrom: " + junk + "\r\n\r\n" + junk,
        MESSAGE[: 7 * len(junk) % 999] + junk,
    ):
        assert len(messages.rewrite(text)) == len(text)


def test_checksums_stay_as_right_as_they_were():
    packet = bytearray(b"\x12\x34\x00\x00\x56\x78\x9a\xbc")
    packet[2:4] = (0xFFFF - total(packet)).to_bytes(2, "big")
    assert total(packet) == 0
    old = bytes(packet)
    packet[4:8] = b"\xff\x01\x00\x07"
    adjust(packet, 2, total(packet) - total(old))
    assert total(packet) == 0
    assert crc32c(b"123456789") == 0xE3069283


def test_campaigns_are_the_same_but_for_the_names(tmp_path):
    path, out = CAPTURES / "tollfraud.pcap", tmp_path / "out.pcapng"
    done = anonymize(path, out, key=KEY)
    assert done.same
    assert (done.messages, done.packets, done.dropped) == (done.messages_before, done.captured, Counter())
    before, after = analyze(path), analyze(out)
    assert before.messages["packet"].tolist() == after.messages["packet"].tolist()
    data = b"".join(records.bytes_of(at) for records in read_records(out) for at in range(len(records)))
    for address in {*before.messages["source"].unique(), *before.messages["destination"].unique()}:
        assert address.encode() not in data
        assert ip_address(address).packed not in data


def test_the_same_key_gives_the_same_names(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef")
    for out in ("a", "b"):
        anonymize(CRACKED, tmp_path / out, key=read_key(key))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    key.write_bytes(b"short")
    with pytest.raises(SettingsError, match="a key has 16 bytes or more"):
        read_key(key)


def test_attackers_may_be_kept(tmp_path):
    anonymize(CRACKED, tmp_path / "a", keep_attackers=True)
    assert analyze(tmp_path / "a").campaigns["sources"].tolist() == analyze(CRACKED).campaigns["sources"].tolist()


def test_the_command_says_what_it_did(tmp_path):
    out = tmp_path / "a.pcapng"
    done = CliRunner().invoke(cli, ["anonymize", str(CRACKED), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "its campaign is found as before" in done.output
    with pytest.raises(SettingsError, match="exists already"):
        anonymize(CRACKED, out)
