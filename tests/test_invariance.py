"""What must not matter does not: the order of packets, where a capture was cut, who they claim to be, addresses."""

import random
import re
import socket
from functools import cache

import pytest
from scenarios import make
from scenarios.wire import write_capture

from analyzer import analyze

pytestmark = pytest.mark.slow

SEED = 8
"""A development seed."""
DAYS = ("mixture, mostly innocent",)
SINGLE = ("svwar, 404", "svcrack, breach", "toll fraud, 5-20 sources", "sality", "phases", "low and slow, answered")
PHONES = (
    b"Yealink SIP-T46S 66.84.0.15", b"Cisco-CP7960G/8.0", b"Grandstream GXP2160 1.0.9.132", b"snom710/8.7.5.35",
    b"PolycomVVX-VVX_410-UA/5.9", b"Linphone/3.12.0 (belle-sip/1.6.3)", b"AVM FRITZ!Box 7490 113.07.29",
    b"Zoiper rv2.10.3.2",
)  # fmt: skip
AGENT = re.compile(rb"(?<=\r\n)User-Agent: [^\r]*\r\n")
ADDRESS = re.compile(rb"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Return, by name, the packets and truth of a scenario and its campaigns as written."""
    known = {}

    def day(name):
        if name not in known:
            world = make(name, SEED)
            found = analyzed(tmp_path_factory.mktemp("day"), sorted(world.packets, key=lambda packet: packet[0]))
            known[name] = (sorted(world.packets, key=lambda packet: packet[0]), world.truth(), found)
        return known[name]

    return day


def analyzed(folder, *captures):
    paths = []
    for number, packets in enumerate(captures):
        paths.append(folder / f"{number}.pcap")
        write_capture(paths[-1], packets, order=list)
    return analyze(paths)


def campaigns(analysis, rename=lambda address: address):
    """Return what is said of each campaign, but for the packets that show it."""
    return {
        (
            row.campaign if rename is not None else "",
            tuple(sorted(map(rename, row.sources))), tuple(sorted(row.kinds)), tuple(row.tools), tuple(row.numbers),
            tuple(row.prefixes), tuple(row.accounts), row.outcome, tuple(row.breached), tuple(row.answered),
        )
        for row in analysis.campaigns.itertuples()
    }  # fmt: skip


def accused(analysis):
    return set(analysis.sources.loc[analysis.sources["verdict"] == "attacking", "source"].astype(str))


@pytest.mark.parametrize("name", [*DAYS, *SINGLE])
@pytest.mark.parametrize("clock", ["kept", "shuffled"])
def test_the_order_of_packets_within_a_second(name, clock, day, tmp_path):
    packets, _, expected = day(name)
    rng = random.Random(SEED)
    shuffled = sorted(packets, key=lambda packet: (int(packet[0]), rng.random()))
    if clock == "shuffled":
        shuffled = [(packet[0], *other[1:]) for packet, other in zip(packets, shuffled, strict=True)]
    assert campaigns(analyzed(tmp_path, shuffled)) == campaigns(expected)


@pytest.mark.parametrize("name", [*DAYS, *SINGLE])
def test_where_a_capture_is_cut(name, day, tmp_path):
    packets, _, expected = day(name)
    half = random.Random(SEED).randrange(len(packets) // 4, 3 * len(packets) // 4)
    assert campaigns(analyzed(tmp_path, packets[:half], packets[half:])) == campaigns(expected)


@pytest.mark.parametrize("name", [*DAYS, *SINGLE])
def test_other_addresses(name, day, tmp_path):
    packets, _, expected = day(name)
    other = Renaming()
    found = analyzed(tmp_path, [other.packet(packet) for packet in packets])

    def unnamed(rows):
        return {(row[1], *row[2:]) for row in rows}

    assert unnamed(campaigns(found)) == unnamed(campaigns(expected, other.address))


@pytest.mark.parametrize("name", [*DAYS, *SINGLE])
@pytest.mark.parametrize("claim", ["nobody", "a telephone"])
def test_whom_attackers_claim_to_be(name, claim, day, tmp_path):
    packets, truth, expected = day(name)
    attackers = set(truth["labels"])
    rng = random.Random(SEED)
    name_of = {ip: b"User-Agent: " + rng.choice(PHONES) + b"\r\n" for ip in sorted(attackers)}

    def disguised(packet):
        text = AGENT.sub(b"" if claim == "nobody" else name_of.get(packet[1], b""), packet[6], count=1)
        return (*packet[:6], text) if packet[1] in attackers else packet

    found = analyzed(tmp_path, [disguised(packet) for packet in packets])
    lost = len((accused(expected) - accused(found)) & attackers)
    assert lost <= 0.02 * len(attackers)
    assert not (accused(found) - accused(expected)) - attackers


class Renaming:
    """A prefix-preserving renaming of IPv4 addresses, in packets, in their text and in SIPVicious tags."""

    @staticmethod
    @cache
    def octets(packed):
        """Return another address with the same common prefixes: each octet by those before it."""
        out = bytearray()
        for place, octet in enumerate(packed):
            table = list(range(256))
            random.Random(bytes(packed[:place]) + b"key").shuffle(table)
            # Private, loopback and other special networks stay what they are.
            out.append(octet if Renaming.special(packed) else table[octet] if place else 20 + table[octet] % 80)
        return bytes(out)

    @staticmethod
    def special(packed):
        ours = packed[:2] == b"\xc0\xa8" or (packed[0] == 172 and packed[1] // 16 == 1)
        return ours or packed[0] in (0, 10, 127, 255)

    def address(self, text):
        try:
            return socket.inet_ntoa(self.octets(socket.inet_aton(text)))
        except OSError:
            return text

    def packet(self, packet):
        time, source, source_port, destination, destination_port, ttl, payload = packet
        text = ADDRESS.sub(lambda match: self.address(match[0].decode()).encode(), payload)
        return time, self.address(source), source_port, self.address(destination), destination_port, ttl, text
