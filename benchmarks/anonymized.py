"""Whether anonymised captures give anybody away: `python -m benchmarks.anonymized [CAPTURE...]`.

Anonymises captures (without any: all of captures/ and of ../shared/corpus) and searches what was written for the
addresses, users, numbers, domains and secrets of the original: as text, as hexadecimal digits, in base64 and in binary,
in the bytes of the file and in what TShark reads in it (streams put together, frames unmasked). What is searched for
comes from the messages table and from TShark's own dissection, never from what the anonymiser knows. Then it compares
the campaigns, and what TShark makes of both: as many SIP messages, no bad checksum, length or malformed packet that
was not there before. Prints a line per capture, and each finding; ends with 1 if there is any.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import ROOT

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.analysis import Analysis

CORPUS = ROOT.parent / "shared" / "corpus"
KEY = b"a key that anybody may know, for proofs"[:32]
SHORTEST_WORD, SHORTEST_NUMBER = 4, 5
"""Shorter ones stand everywhere by chance (100 is a status): those are compared where they stood."""
SHORTEST_HIDDEN = 5
"""How long a word is that is searched for in hexadecimal and base64."""

# --- What may stay, and why

NOBODYS_NETWORKS = {
    "0.0.0.0/8": "this host: nobody's address",
    "127.0.0.0/8": "loopback: everybody's address",
    "224.0.0.0/4": "multicast groups: assigned to protocols",
    "240.0.0.0/4": "reserved and broadcast: nobody's address",
    "::/127": "this host and loopback: everybody's address",
    "ff00::/8": "multicast groups: assigned to protocols",
    "1.1.1.1/32": "a public resolver, which svmap and others write in Via when they know no better",
    "192.168.1.9/32": "the example address that a published attack tool writes, wherever it runs",
    "192.168.1.45/32": "the example address that a published attack tool writes, wherever it runs",
}
"""Addresses that stay, since they tell of nobody."""
_A_TOOL = "what a scanner calls itself by default: without it nobody knows the tool, and it names no victim"
_A_PROTOCOL = "a word of the protocol: it is in messages whoever writes them"
_A_DEFAULT = "the default of a product, a role or a test, the same at thousands of sites"
_STAYING = {
    _A_TOOL: "sipvicious sipsscuser sipssc nmap nse sipsak sipp smap sivus voip sipcli-session",
    _A_PROTOCOL: "sip sips session call options anonymous unknown unavailable invalid private restricted localhost "
    "local internal",
    _A_DEFAULT: "test tester user admin root guest caller default nm asterisk kamailio opensips freeswitch trunk "
    "gateway proxy server check qualify dispatcher ping monitor monitoring nagios keepalive keep-alive probe "
    "heartbeat federation",
}
EVERYBODYS_WORDS = {"nmap nse": _A_TOOL} | {word: why for why, words in _STAYING.items() for word in words.split()}
"""Words that stay as users, names and hosts, each with the reason."""
SYNTAX = frozenset({
    "branch", "tag", "via", "from", "to", "contact", "expires", "transport", "received", "rport", "allow", "supported",
    "require", "event", "accept",
})  # fmt: skip
"""Names of headers and parameters, which stand in every message: as names they are only compared in place."""
PROGRAMS_USERS = frozenset({"user1", "user", "z", "sipcli-session", "-"})
"""What SIPp, Zoiper, sipcli and others always write as the user of o=: they are no names if only that has them."""
SVMAP = ("100", "1.1.1.1")
"""The account and the host that svmap and svwar write by default: only together they are nobody's."""


def why_address(packed: bytes) -> str:
    """Return why an address of 4 or 16 bytes may stay; "" if it may not."""
    address = ip_address(packed)
    inner = None if isinstance(address, IPv4Address) else address.ipv4_mapped
    if inner is not None:
        return why_address(inner.packed)
    return next(
        (why for network, why in NOBODYS_NETWORKS.items() if address in ip_network(network)),
        "",
    )


def why_word(text: str) -> str:
    """Return why a user, a name or a host may stay; "" if it may not."""
    if not any(map(str.isalnum, text)):
        return "neither letters nor digits"
    if re.fullmatch(r"0", text):
        return "the only digit that begins with a zero"
    return EVERYBODYS_WORDS.get(text.lower(), "")


# --- What TShark reads

HARDWARE = (
    "eth.src", "eth.dst", "sll.src.eth", "arp.src.hw_mac", "arp.dst.hw_mac", "dhcp.hw.mac_addr",
    "icmpv6.opt.linkaddr",
)  # fmt: skip
PACKETS = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "arp.src.proto_ipv4", "arp.dst.proto_ipv4")
"""Fields that hold the address of a packet."""
PLACES = (
    *PACKETS,
    "dns.a", "dns.aaaa", "dhcp.ip.client", "dhcp.ip.your", "icmpv6.nd.na.target_address",
    "icmpv6.nd.ns.target_address", "stun.att.ipv4", "stun.att.ipv4-xord", "sip.Via.sent-by.address", "sip.Via.maddr",
    "sip.Via.received", "sip.r-uri.host", "sip.from.host", "sip.to.host", "sip.contact.host", "sip.Route.host",
    "sip.Record-Route.host", "sip.Path.host", "sip.Service-Route.host", "sip.pai.host", "sip.ppi.host",
    "sdp.owner.address", "sdp.connection_info.address", "sdp.ice_candidate.address", "http.host", "dns.qry.name",
    "dns.resp.name", "dns.ptr.domain_name", "dns.cname", "dns.srv.target", "dns.ns",
    "tls.handshake.extensions_server_name",
)  # fmt: skip
"""Fields that hold an address or a domain."""
MACHINES = (
    "rtcp.sdes.text", "dhcp.option.hostname", "dhcp.option.domain_name", "nbns.name", "browser.server",
    "lldp.tlv.system.name", "cdp.deviceid", "snmp.community", "http.cookie", "http.authorization",
)  # fmt: skip
"""Fields of other protocols that name somebody, as a whole."""
PEOPLE = (
    "sip.r-uri.user", "sip.from.user", "sip.to.user", "sip.Route.user", "sip.Record-Route.user",
    "sip.pai.user", "sip.ppi.user", "sip.auth.username", "sip.from.display.info",
    "sip.to.display.info", "sip.contact.display.info", "sip.pai.display.info", "sip.ppi.display.info",
)  # fmt: skip
"""Fields that hold a user, a number or a name."""
PROGRAMS = ("sdp.owner.username", "sip.contact.user", "sip.auth.realm")
"""Fields in which many programs write their own name."""
SECRETS = ("sip.auth.digest.response", "sip.auth.rspauth")
TEXTS = ("sip.Call-ID", "sip.msg_hdr")
CHECKSUMS = tuple(f"{name}.checksum.status" for name in ("ip", "udp", "tcp", "icmp", "icmpv6", "sctp", "gre", "igmp"))
WRONG = (
    "_ws.malformed", "_ws.short", "udp.length.bad", "udp.length.bad_zero", "ip.bogus_ip_length",
    "ip.bogus_header_length", "tcp.bogus_header_length", "ipv6.plen_exceeds_framing", "_ws.expert.group",
    "_ws.expert.message",
)  # fmt: skip
PAYLOADS = ("udp.payload", "tcp.payload", "data.data")
COUNTED = ("sip.Method", "sip.Status-Code")
_MALFORMED = 0x07000000
"""The group of TShark's remarks that tell of what it cannot dissect."""
_FIGURES = re.compile(r" *[\[(].*[\])]|\d+")
_ROW, _CELL = "\x1e", "\x1f"
_TIME = "frame.time_epoch"


@dataclass(frozen=True)
class Dissection:
    """What TShark reads in a capture."""

    packets: tuple[dict[str, list[str]], ...]
    """The fields of each packet that are there, with all their values."""

    @cached_property
    def by_time(self) -> dict[tuple[str, int], dict[str, list[str]]]:
        """The packets by their time, and the how many-th of it they are: the same though some were left out."""
        seen: Counter[str] = Counter()
        found = {}
        for packet in self.packets:
            (when,) = packet[_TIME]
            found[when, seen[when]] = packet
            seen[when] += 1
        return found

    def values(self, *names: str) -> set[str]:
        """Return all that stands in fields."""
        return {value for packet in self.packets for name in names for value in packet.get(name, ())}

    @property
    def messages(self) -> int:
        """How many SIP messages there are."""
        return sum(len(packet.get(name, ())) for packet in self.packets for name in COUNTED)

    @property
    def text(self) -> bytes:
        """All that stands in all fields."""
        lines = ("\n".join(v) for packet in self.packets for name, v in packet.items() if name in _SAID)
        return "\n".join(lines).replace("\\r\\n", "\n").encode("utf-8", "surrogateescape")


_SAID = frozenset({*HARDWARE, *PLACES, *PEOPLE, *MACHINES, *SECRETS, *TEXTS, *PROGRAMS})


def dissect(capture: Path) -> Dissection:
    """Have TShark read a capture."""
    names = (_TIME, *COUNTED, *sorted(_SAID), *CHECKSUMS, *WRONG, *PAYLOADS)
    checked = [f"-o{name}.check_checksum:TRUE" for name in ("ip", "udp", "tcp")]
    columns = [part for name in names for part in ("-e", name)]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(capture), *checked, "-osctp.checksum:TRUE", "-Tfields", f"-Eseparator={_ROW}",
         f"-Eaggregator={_CELL}", "-Eoccurrence=a", *columns],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode not in {0, 2}:  # 2: the capture is cut short
        raise RuntimeError(done.stderr.decode("utf-8", "replace").strip())
    lines = done.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]
    packets = (
        {name: cell.split(_CELL) for name, cell in zip(names, line.split(_ROW), strict=False) if cell} for line in lines
    )
    return Dissection(tuple(packet for packet in packets if _TIME in packet))


def wrong(packet: Mapping[str, list[str]]) -> set[str]:
    """Return what TShark finds wrong with a packet's checksums, lengths and form."""
    found = {f"bad {name.partition('.')[0]} checksum" for name in CHECKSUMS if {"0", "4"} & set(packet.get(name, ()))}
    found |= {name for name in WRONG[:-2] if name in packet}
    if packet.keys() & set(PAYLOADS) and not any(
        set(cell) - {"0"} for name in PAYLOADS for cell in packet.get(name, ())
    ):
        return found - {"_ws.malformed"}  # zeros, as the summary says: they are not what the port promises
    groups, remarks = packet.get("_ws.expert.group", ()), packet.get("_ws.expert.message", ())
    return found | {
        _FIGURES.sub("", remark) for group, remark in zip(groups, remarks, strict=False) if int(group) == _MALFORMED
    }


# --- What is searched for


PEOPLES = ("from_user", "to_user", "uri_user", "auth_user", "from_name", "tag_account", "tag_password")
ENDS = ("source", "destination", "via_host", "from_host", "to_host", "media", "tag_target")


@dataclass
class Known:
    """Whom a capture tells of."""

    addresses: set[bytes] = field(default_factory=set)
    hardware: set[bytes] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    """Users, names, passwords, domains and other hosts, in lower case."""
    numbers: set[str] = field(default_factory=set)
    """Numbers of at least SHORTEST_DIALLED digits, and of longer ones the last LAST."""

    def person(self, text: str) -> None:
        """Take in a user, a number or a name, and its words."""
        text = _lowered(text.strip().strip('"').strip())
        if packed := _packed(text):
            self.addresses.add(packed)
            return
        digits = re.sub(r"[-+*#.() ]", "", text)
        if digits.isdigit() and digits.isascii():
            self.numbers |= {digits, digits[-LAST:]} if len(digits) >= SHORTEST_DIALLED else set()
            self.words.add(text)
            return
        self.words |= {text, *re.findall(r"[^\W_]+", text)}

    def place(self, text: str) -> None:
        """Take in a host."""
        text = (
            re.sub(r"^\[?([^\]]*?)\]?(?::\d+)?$", r"\1", text.strip()) if text.count(":") < 2 or "[" in text else text
        )
        if packed := _packed(text):
            self.addresses.add(packed)
        else:
            self.words.add(_lowered(text.strip(" <>").rstrip(".")))  # TShark writes the root of the DNS as <Root>


SHORTEST_DIALLED, LAST = 8, 9
_QUAD = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\w)")
_PROGRAM = re.compile(r"^(?:(?:User-Agent|Server)[ \t]*:|s=).*$", re.IGNORECASE | re.MULTILINE)
_VERSIONS = re.compile(r"(?i)(?<=[ /(-])[a-z]{0,2}\d{1,2}\.\d{1,2}\.\d{1,2}\.\d{1,3}(?!\.?\w)")
"""Versions of firmware behind the name of a product: no octet but the last one is above 99."""
_AGENT = re.compile(r"^Warning[ \t]*:[ \t]*\d{3} ([\w.-]+)", re.IGNORECASE | re.MULTILINE)


def known_by(analysis: "Analysis", dissection: Dissection) -> Known:
    """Return whom the messages table and TShark know in a capture."""
    known, table = Known(), analysis.messages
    titles = dissection.values(*MACHINES) - dissection.values("sip.Call-ID")  # which some use as CNAME, too
    known.words = {re.sub(r"<.*>", "", text).strip().lower() for text in titles} - _programs(table)
    claimed = {text.strip('"') for text in dissection.values(*PROGRAMS)}
    claimed = {text for text in claimed if text.lower() not in _programs(table) | PROGRAMS_USERS}
    domains = {text for text in claimed if re.fullmatch(r"[\w-]+(\.[\w-]+)+", text)}
    for text in {*_distinct(table, PEOPLES), *dissection.values(*PEOPLE), *(claimed - domains)}:
        known.person(text)
    origins = {text.rpartition(" ")[2] for text in _distinct(table, ["sdp_origin"])}
    for text in {*_distinct(table, ENDS), *dissection.values(*PLACES), *origins, *domains}:
        known.place(text)
    known.words |= {text.strip('"').lower() for text in dissection.values(*SECRETS)}
    known.hardware = {bytes.fromhex(re.sub(r"[:.-]", "", text)) for text in dissection.values(*HARDWARE)}
    _read_texts(known, dissection)
    return known


def _distinct(messages: "pd.DataFrame", names: Iterable[str]) -> set[str]:
    """Return the different texts of columns."""
    return {text for name in names for text in messages[name].dropna().astype("str").unique()}


def _programs(messages: "pd.DataFrame") -> set[str]:
    """Return the words of User-Agent and Server: who writes one of them in o= names the program, nobody else."""
    said = {text.lower() for text in _distinct(messages, ["user_agent", "server"])}
    return {word for text in said for word in (*re.findall(r"[a-z]\w+", text), *text.split(), text.replace("/", "-"))}


def _read_texts(known: Known, dissection: Dissection) -> None:
    """Take in the addresses that stand anywhere in a SIP header, and the hosts of Call-IDs and warnings."""
    for text in (text.replace("\\r\\n", "\n") for text in dissection.values(*TEXTS)):
        for quad in _QUAD.findall(_PROGRAM.sub(lambda line: _VERSIONS.sub("", line[0]), text)):
            if packed := _packed(quad):
                known.addresses.add(packed)
        for host in _AGENT.findall(text):
            known.place(host)
    for text in dissection.values("sip.Call-ID"):
        _, at, host = text.rpartition("@")
        if at and re.fullmatch(r"[\w.-]+\.[A-Za-z]{2,}", host):
            known.place(host)


def _lowered(text: str) -> str:
    """Return text with its ASCII letters in lower case, and no others: what is searched is bytes."""
    return text.encode("utf-8", "surrogateescape").lower().decode("utf-8", "surrogateescape")


def _packed(text: str) -> bytes:
    """Return the bytes of an address, zeros before its octets or not; none if it is no address."""
    parts = text.split(".")
    if len(parts) == 4 and all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts):
        octets = [int(part) for part in parts]
        return bytes(octets) if max(octets) < 256 else b""
    try:
        return ip_address(text.partition("%")[0]).packed
    except ValueError:
        return b""


# --- The search


class Haystack:
    """Bytes that are searched for names in all their disguises."""

    def __init__(self, data: bytes) -> None:
        """Take what is searched."""
        self.data, self.lower = data, data.lower()
        self._words = set(re.findall(rb"[a-z0-9]+", self.lower))

    def find_address(self, packed: bytes) -> Iterator[str]:
        """Yield how an address stands here."""
        address = ip_address(packed)
        forms = {str(address), address.exploded}
        if address.version == 4:
            forms.add(".".join(f"{octet:03}" for octet in packed))
        for form in forms:
            before, behind = (
                (rb"(?<![\d.])", rb"(?!\d|\.\d)") if address.version == 4 else (rb"(?<![\w:])", rb"(?![\w:])")
            )
            yield from self._as("text", before + re.escape(form.encode()) + behind, form)
            yield from self._in_base64(form.encode())
        yield from self._in_hex(packed)
        if packed in self.data:
            yield f"binary, {self.data.count(packed)} times"
        yield from self._in_base64(packed, shortest=8)

    def find_hardware(self, packed: bytes) -> Iterator[str]:
        """Yield how a hardware address stands here."""
        for form in (packed.hex(), packed.hex(":"), packed.hex("-"), packed.hex(".", 2)):
            if form.encode() in self.lower:
                yield f"text {form}"
        if packed in self.data:
            yield f"binary, {self.data.count(packed)} times"

    def find_word(self, word: str) -> Iterator[str]:
        """Yield how a word stands here, as a whole word."""
        raw = word.encode("utf-8", "surrogateescape")
        if re.fullmatch(rb"[a-z0-9]+", raw):
            if raw in self._words:
                yield from self._as("text", rb"(?<![a-z0-9])" + raw + rb"(?![a-z0-9])", word)
        elif raw in self.lower:
            yield from self._as("text", rb"(?<![a-z0-9])" + re.escape(raw) + rb"(?![a-z0-9])", word)
        if len(raw) >= SHORTEST_HIDDEN:
            for form in {raw, raw.upper(), raw.capitalize()}:
                yield from self._in_hex(form)
                yield from self._in_base64(form)

    def find_number(self, digits: str) -> Iterator[str]:
        """Yield how a number stands here, behind whatever prefix."""
        yield from self._as("text", re.escape(digits.encode()) + rb"(?!\d)", digits)

    def _as(self, how: str, pattern: bytes, needle: str) -> Iterator[str]:
        if _lowered(needle).encode("utf-8", "surrogateescape") in self.lower and (
            found := re.search(pattern, self.lower)
        ):
            yield f"{how} {self.data[max(found.start() - 25, 0) : found.end() + 15]!r}"

    def _in_hex(self, raw: bytes) -> Iterator[str]:
        if (form := raw.hex().encode()) in self.lower:
            at = self.lower.find(form)
            yield f"hexadecimal {self.data[max(at - 12, 0) : at + len(form) + 12]!r}"

    def _in_base64(self, raw: bytes, *, shortest: int = 6) -> Iterator[str]:
        for form in in_base64(raw):
            if len(form) >= shortest and form in self.data:
                yield f"base64 {form.decode()}"


def in_base64(raw: bytes) -> set[bytes]:
    """Return the characters that bytes surely become in base64, at each of the three places where they may begin."""
    forms = set()
    for before in range(3):
        text = b64encode(bytes(before) + raw)
        first = (0, 2, 3)[before]
        stop = (before + len(raw)) * 8 // 6
        forms |= {text[first:stop], text[first:stop].translate(bytes.maketrans(b"+/", b"-_"))}
    return forms


def search(data: bytes, known: Known, others: Container[str] = frozenset()) -> list[str]:
    """Return who of a capture is still found in bytes, and how, but for what may stay.

    A private address of `others` is the name of another one of its network, which is too small for others: it tells no
    more than that the network is crowded, which the summary says.
    """
    hay, found = Haystack(data), []
    for packed in sorted(known.addresses):
        address = ip_address(packed)
        if not why_address(packed) and not (address.is_private and str(address) in others):
            found += [f"address {address} as {how}" for how in hay.find_address(packed)]
    for packed in sorted(known.hardware):
        if any(packed) and not packed[0] & 1:  # of nobody, or of a group
            found += [f"hardware address {packed.hex(':')} as {how}" for how in hay.find_hardware(packed)]
    for number in sorted(known.numbers):
        found += [f"number {number} as {how}" for how in hay.find_number(number)]
    for word in sorted(known.words):
        shortest = SHORTEST_NUMBER if word.isdigit() else SHORTEST_WORD
        if len(word) >= shortest and word not in SYNTAX and not why_host(word):
            found += [f"word {word!r} as {how}" for how in hay.find_word(word)]
    return found


# --- What is compared, place by place

KEPT = (
    "method", "status", "cseq", "user_agent", "server", "layout", "tool", "message_bytes", "body_bytes", "answer",
    "rang", "proof", "source_port", "destination_port", "transport", "ttl",
)  # fmt: skip
"""Columns of messages that must not change."""


def compare_messages(before: "Analysis", after: "Analysis") -> list[str]:
    """Return which messages are lost or changed, who stands where he stood, and whose name is not one name."""
    old, new = before.messages, after.messages
    if len(old) != len(new):
        return [f"{len(new):,} of {len(old):,} messages are read"]
    found = [
        f"column {name} changed"
        for name in KEPT
        if old[name].astype("str").tolist() != new[name].astype("str").tolist()
    ]
    people, ends = _pairs(before, after, PEOPLES), _pairs(before, after, ENDS)
    stays: Callable[[str], str]
    for pairs, stays in ((people, why_word), (ends, _why_end)):
        found += [f"{text!r} stands where it stood" for text, name in pairs if text == name and not stays(text)]
    return found + one_to_one(ends, "address")


def _pairs(before: "Analysis", after: "Analysis", columns: Iterable[str]) -> set[tuple[str, str]]:
    """Return what stands at the same place of both tables, each pair once."""
    found: set[tuple[str, str]] = set()
    for name in columns:
        old, new = (analysis.messages[name].astype("str").fillna("") for analysis in (before, after))
        host = before.messages[name.replace("_user", "_host")] if name in {"from_user", "to_user"} else old
        found |= {(text, named) for text, named, at in zip(old, new, host, strict=True) if (text, at) != SVMAP}
    found.discard(("", ""))
    return found


def _why_end(text: str) -> str:
    host = re.sub(r"^\[?([^\]]*?)\]?(?::\d+)?$", r"\1", text) if text.count(":") < 2 or "[" in text else text
    return why_address(packed) if (packed := _packed(host)) else why_host(host)


def why_host(text: str) -> str:
    """Return why a name or a host may stay: of a domain, the last label does."""
    labels = text.split(".")
    return why_word(text) or (
        "" if any(not why_word(label) for label in labels[:-1] or labels) else "everybody's words"
    )


def one_to_one(pairs: Iterable[tuple[str, str]], what: str) -> list[str]:
    """Return which of pairs of an original and its name contradict each other."""
    names, originals = defaultdict(set), defaultdict(set)
    for text, name in pairs:
        names[text.lower()].add(name.lower())
        originals[name.lower()].add(text.lower())
    found = [
        f"{what} {text!r} has several names: {sorted(several)}" for text, several in names.items() if len(several) > 1
    ]
    return found + [f"{what}es {sorted(several)} share a name" for several in originals.values() if len(several) > 1]


def ends(before: Dissection, after: Dissection) -> set[tuple[str, str]]:
    """Return the addresses that packets come from and go to, and their names."""
    pairs: set[tuple[str, str]] = set()
    for when, packet in after.by_time.items():
        for name in PACKETS:  # what an error quotes may have been zeroed: the outer ones come first
            pairs |= set(zip(before.by_time.get(when, {}).get(name, ()), packet.get(name, ()), strict=False))
    return pairs


def compare_prefixes(pairs: set[tuple[str, str]]) -> list[str]:
    """Return which addresses share more octets, or fewer, than their names, and which have several names."""
    found = one_to_one(pairs, "address")
    found += [f"{text} is its own name" for text, name in pairs if text == name and not why_address(_packed(text))]
    for size in (4, 16):
        named = sorted((old, _packed(name)) for text, name in pairs if len(old := _packed(text)) == size)
        named = [(old, name) for old, name in named if not why_address(old)]
        for (one, first), (other, second) in pairwise(named):  # neighbours in order share the most
            if _shared(one, other) != _shared(first, second):
                found.append(f"{ip_address(one)} and {ip_address(other)} share other octets than their names")
    return found


def _shared(one: bytes, other: bytes) -> int:
    """Return how many first octets are equal."""
    return next((place for place in range(len(one)) if one[place] != other[place]), len(one))


def compare_campaigns(before: "Analysis", after: "Analysis") -> list[str]:
    """Return how the campaigns, attacks and verdicts differ, names apart."""
    found = []
    for what, describe in (("campaigns", _campaigns), ("attacks", _attacks), ("verdicts", _verdicts)):
        old, new = describe(before), describe(after)
        for sign, rows in (("lost", old - new), ("new", new - old)):
            found += [f"{what} {sign}: {count} x {row}" for row, count in rows.items()]
    return found


def _campaigns(analysis: "Analysis") -> Counter[tuple[str, ...]]:
    """Return campaigns by what they did, how many took part, and the attacks that they join."""
    joined = defaultdict(list)
    for row in analysis.attacks.to_dict("records"):
        joined[row["campaign"]].append((str(row["start"]), row["kind"], row["messages"]))
    counted = ("sources", "targets", "numbers", "accounts", "prefixes", "found", "breached", "answered")
    said = ("kinds", "tools", "prefixes", "outcome", "messages", "start", "end")
    return Counter(
        (*(_cell(row[name]) for name in said), *(f"{len(row[name])} {name}" for name in counted),
         str(sorted(joined[row["campaign"]])))
        for row in analysis.campaigns.to_dict("records")
    )  # fmt: skip


def _cell(value: object) -> str:
    """Return a cell as text; of a list, in an order that does not depend on names."""
    return str(sorted(value)) if isinstance(value, list) else str(value)


def _attacks(analysis: "Analysis") -> Counter[tuple[str, ...]]:
    said = ("kind", "tool", "start", "end", "messages", "prefixes", "outcome", "confidence", "technique")
    counted = ("targets", "accounts", "numbers", "evidence", "found", "breached", "passwords")
    return Counter(
        (*(_cell(row[name]) for name in said), *(f"{len(row[name])} {name}" for name in counted))
        for row in analysis.attacks.to_dict("records")
    )


def _verdicts(analysis: "Analysis") -> Counter[tuple[str, ...]]:
    said = ("verdict", "proven", "first", "last", "requests")
    return Counter(tuple(str(row[name]) for name in said) for row in analysis.sources.to_dict("records"))


def compare_dissections(before: Dissection, after: Dissection) -> list[str]:
    """Return what TShark finds wrong after it was anonymised, and not before."""
    found = []
    if before.messages != after.messages:
        found.append(f"TShark: {after.messages:,} SIP messages, {before.messages:,} before")
    for when, packet in after.by_time.items():
        old = before.by_time.get(when)
        if old is None:
            found.append(f"TShark: a packet at {when[0]} that was not there")
        else:
            found += [f"TShark: {what} at {when[0]}" for what in sorted(wrong(packet) - wrong(old))]
    return found


# --- All of it


@dataclass
class Proof:
    """What is found about one capture."""

    capture: str
    packets: int = 0
    written: int = 0
    messages: int = 0
    campaigns: int = 0
    shared: int = 0
    """Names that are also originals, of others: of crowded networks and short numbers."""
    names: int = 0
    """How many addresses, words and numbers were searched for."""
    seconds: float = 0.0
    """CPU time that anonymising took."""
    leaks: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """What differs that should not."""

    def row(self) -> str:
        """Return the line of the table."""
        verdict = (
            "clean" if not self.leaks and not self.changed else f"{len(self.leaks)} leaks, {len(self.changed)} changes"
        )
        return (
            f"{self.capture[:46]:<46} {self.written:>6,} of {self.packets:>6,} {self.messages:>6,} {self.campaigns:>4} "
            f"{self.names:>6,} {self.shared:>6,}  {verdict}"
        )


HEADING = f"{'capture':<46} {'packets written':>16} {'SIP':>6} {'camp':>4} {'names':>6} {'shared':>6}  found"


def prove(capture: Path, output: Path, *, key: bytes | None = KEY) -> Proof:
    """Anonymise a capture, and find what is wrong with the result."""
    from analyzer.analysis import analyze
    from analyzer.anonymizing import anonymize

    begun = time.process_time()
    done = anonymize(capture, output, key=key)
    proof = Proof(capture.name, done.captured, done.packets, seconds=time.process_time() - begun)
    before, after = analyze(capture), analyze(output)
    read, again = dissect(capture), dissect(output)
    known = known_by(before, read)
    proof.messages, proof.campaigns = len(before.messages), len(before.campaigns)
    proof.names = len(known.addresses) + len(known.hardware) + len(known.words) + len(known.numbers)
    others = {name for text, name in (*_pairs(before, after, ENDS), *ends(read, again)) if text != name}
    proof.leaks = search(output.read_bytes() + b"\n\n" + again.text, known, others if done.shared else set())
    proof.shared = done.shared
    proof.changed = [*compare_messages(before, after), *compare_campaigns(before, after)]
    proof.changed += [*compare_dissections(read, again), *compare_prefixes(ends(read, again))]
    return proof


def captures() -> list[Path]:
    """Return the captures of the project, and the corpus beside it if it is there."""
    own = [path for path in (ROOT / "captures").iterdir() if path.suffix.startswith(".pcap")]
    real = (
        [path for path in CORPUS.rglob("*") if path.suffix in {".pcap", ".pcapng", ".cap"}] if CORPUS.exists() else []
    )
    return sorted(own) + sorted(real)


def main() -> int:
    """Prove all captures; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("capture", nargs="*", type=Path, help="instead of those of the project and of the corpus")
    parser.add_argument("--all", action="store_true", help="print every finding, not only the first of each capture")
    parser.add_argument("--random-key", action="store_true", help="draw a key for each, as is usual without --key")
    wanted = parser.parse_args()
    bad = count = 0
    print(HEADING)
    with tempfile.TemporaryDirectory(prefix="sipscope-anonymized-") as folder:
        for place, capture in enumerate(wanted.capture or captures()):
            proof = prove(capture, Path(folder) / f"{place}.pcapng", key=None if wanted.random_key else KEY)
            print(proof.row(), flush=True)
            findings = [f"LEAK {text}" for text in proof.leaks] + proof.changed
            for text in findings if wanted.all else findings[:SHOWN]:
                print(f"    {text}")
            if len(findings) > SHOWN and not wanted.all:
                print(f"    and {len(findings) - SHOWN:,} more (--all)")
            bad, count = bad + bool(findings), count + 1
    print(f"\n{bad} of {count} captures are not clean" if bad else f"\nall {count} captures are clean")
    return 1 if bad else 0


SHOWN = 8
"""How many findings of a capture are printed."""

if __name__ == "__main__":
    sys.exit(main())
