"""Small parsers of the languages of firewalls, by their documentation; whatever they do not know is an error.

Each returns what a rule file comes to: a Loaded with the networks, the seconds or the time that each lasts, and the
other rules that are not about one of them.
"""

import csv
import io
import json
import re
import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_network

MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December"]  # fmt: skip


class GrammarError(AssertionError):
    """A line is none of the language."""


@dataclass
class Loaded:
    """What a file of rules comes to."""

    networks: set = field(default_factory=set)
    seconds: dict = field(default_factory=dict)
    ends: dict = field(default_factory=dict)
    rules: list = field(default_factory=list)

    def add(self, network, seconds=None, end=None):
        """Add a network that must not overlap any of those that are there, and how long it lasts."""
        assert network not in self.networks, network
        self.networks.add(network)
        if seconds is not None:
            self.seconds[network] = seconds
        if end is not None:
            self.ends[network] = end


def _lines(text, comment):
    """Yield the lines that are no comments; of a file, only line feeds end lines, and all is ASCII."""
    assert text.isascii()
    assert text.endswith("\n")
    assert "\r" not in text
    for line in text.split("\n"):
        assert line.replace("\t", " ").isprintable(), line
        if line.strip() and not line.lstrip().startswith(comment):
            yield line


NFT = re.compile(r'\s*(?:"[^"]*"|[{},;]|[^\s{},;"]+)')


class _Words:
    """The words of a file of nftables, one after the other."""

    def __init__(self, text):
        self._words = [word.strip() for line in _lines(text, "#") for word in NFT.findall(line)][::-1]

    def next(self):
        return self._words.pop()

    def peek(self):
        return self._words[-1]

    def want(self, *patterns):
        for pattern in patterns:
            word = self.next()
            if not re.fullmatch(pattern, word):
                raise GrammarError(f"{word} instead of {pattern}")
        return word

    def end(self):
        assert not self._words, self._words[::-1]


def nftables(text):
    """Parse what nft -f takes: a table that is made, deleted and made again (nft(8))."""
    words, loaded = _Words(text), Loaded()
    words.want("table", "inet", "sipscope", "delete", "table", "inet", "sipscope", "table", "inet", "sipscope", r"\{")
    while words.peek() == "set":
        _nft_set(words, loaded)
    words.want("chain", "prerouting", r"\{", "type", "filter", "hook", "prerouting", "priority", "-300", ";")
    words.want("policy", "accept", ";")
    rule = []
    while rule or words.peek() != "}":
        rule.append(words.next())
        if rule[-1] == "drop":
            loaded.rules.append(" ".join(rule))
            rule = []
    words.want(r"\}", r"\}")
    words.end()
    return loaded


def _nft_set(words, loaded):
    version = words.want("set", r"(blocked|allowed)[46]")[-1]
    words.want(r"\{", "type", f"ipv{version}_addr", "flags", "interval")
    if words.peek() == ",":
        words.want(",", "timeout")
    if words.peek() == "elements":
        words.want("elements", "=", r"\{")
        while words.peek() != "}":
            network, seconds = ip_network(words.next()), None
            assert network.version == int(version)
            if words.peek() == "timeout":
                words.want("timeout")
                seconds = int(words.want(r"[1-9]\d*s")[:-1])
            if words.peek() == "comment":
                words.want("comment")
                assert len(words.want('"[^"]*"')) <= 128
            words.want(",")
            loaded.add(network, seconds)
        words.want(r"\}")
    words.want(r"\}")


def ipset(text):
    """Parse what ipset restore takes (ipset(8)): sets are made, filled, swapped and destroyed."""
    sets = {}
    for line in _lines(text, "#"):
        words = shlex.split(line)
        match words:
            case ["create", name, "hash:net", "family", family, "maxelem", room, "timeout", "0", "comment", "-exist"]:
                assert len(name) <= 31
                assert int(room) >= 1
                sets.setdefault(name, {"family": {"inet": 4, "inet6": 6}[family], "entries": {}})
            case ["flush", name]:
                sets[name]["entries"].clear()
            case ["add", name, entry, *options]:
                _ipset_add(sets[name], ip_network(entry), options)
            case ["swap", one, other]:
                sets[one], sets[other] = sets[other], sets[one]
            case ["destroy", name]:
                del sets[name]
            case _:
                raise GrammarError(line)
    assert set(sets) == {"sipscope4", "sipscope6"}
    loaded = Loaded()
    for made in sets.values():
        for network, seconds in made["entries"].items():
            loaded.add(network, seconds)
    return loaded


def _ipset_add(made, network, options):
    assert network.version == made["family"]
    assert network.prefixlen
    assert network not in made["entries"]
    said = dict(zip(options[::2], options[1::2], strict=True))
    assert set(said) <= {"timeout", "comment"}
    assert len(said.get("comment", "")) <= 255
    seconds = int(said["timeout"]) if "timeout" in said else None
    assert seconds is None or 0 < seconds <= 2_147_483
    made["entries"][network] = seconds


def iptables(text):
    """Parse what iptables-restore and ip6tables-restore take: lines with -4 are for the one, with -6 for the other."""
    loaded = Loaded()
    table = None
    for line in _lines(text, "#"):
        words = shlex.split(line)
        match words:
            case ["*raw"]:
                table = "raw"
            case [":SIPSCOPE", "-", "[0:0]"]:
                assert table
            case ["COMMIT"]:
                table = None
            case [("-4" | "-6") as family, "-A", "SIPSCOPE", "-s", entry, *options]:
                network, end = ip_network(entry), None
                assert network.version == int(family[1])
                while options[0] == "-m":
                    if options[1:3] == ["time", "--datestop"]:
                        end = datetime.strptime(options[3], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
                    else:
                        assert options[1:3] == ["comment", "--comment"]
                        assert len(options[3]) <= 255
                    options = options[4:]
                assert options[0] == "-j"
                assert options[1] in {"DROP", "RETURN"}
                assert len(options) == 2
                loaded.add(network, end=end)
            case ["-A", "SIPSCOPE", "-p", ("udp" | "tcp"), "-m", "multiport", "--dports", _, "-j", "DROP"]:
                loaded.rules.append(line)
            case _:
                raise GrammarError(line)
    assert table is None
    return loaded


def pf(text):
    """Parse the file of a table (pf.conf(5)): an address or a network on a line, and comments."""
    loaded = Loaded()
    for line in _lines(text, "#"):
        loaded.add(ip_network(line))
    return loaded


def plain(text):
    """Parse an address or a network on each line, and what follows '#'."""
    loaded = Loaded()
    for line in _lines(text, "#"):
        entry, _, about = line.partition("  # ")
        times = dict(re.findall(r"(?:^|(?<=Z ))(last|until) (\S+Z)(?= |$)", about))
        end = datetime.fromisoformat(times["until"]) if "until" in times else None
        loaded.add(ip_network(entry), end=end)
    return loaded


def fail2ban(text):
    """Parse a shell script of commands of fail2ban-client(1)."""
    loaded, seconds = Loaded(), None
    assert text.startswith("#!/bin/sh\n")
    for line in _lines(text, "#"):
        assert not set(line) & set("`$;&|<>(){}*?~!\\'\""), line
        match line.split(" "):
            case ["set", "-e"]:
                pass
            case ["fail2ban-client", "set", "sipscope", "bantime", value]:
                seconds = int(value)
            case ["fail2ban-client", "set", "sipscope", "banip", *entries]:
                for entry in entries:
                    loaded.add(ip_network(entry), seconds)
            case _:
                raise GrammarError(line)
    return loaded


ROUTEROS = re.compile(r"""
    (?P<menu>/ip|/ipv6)\ firewall\ (?:
      address-list\ add\ list=sipscope\ address=(?P<address>[0-9a-f.:/]+)
        (?:\ timeout=(?P<days>\d+)d(?P<hours>\d\d):(?P<minutes>\d\d):(?P<seconds>\d\d))?
        (?:\ comment="(?P<comment>[^"\\$]*)")?
    | address-list\ remove\ \[find\ list=sipscope\]
    | raw\ remove\ \[find\ comment="sipscope"\]
    | raw\ add\ chain=prerouting\ (?P<rule>.+)\ action=drop\ comment="sipscope"
    )""", re.VERBOSE)  # fmt: skip
"""Commands of RouterOS; in a quoted text a backslash, a dollar and a quote mean something (help.mikrotik.com)."""


def mikrotik(text):
    """Parse a script for RouterOS."""
    loaded = Loaded()
    for line in _lines(text, "#"):
        found = ROUTEROS.fullmatch(line)
        if not found:
            raise GrammarError(line)
        if found["address"]:
            network = ip_network(found["address"])
            assert found["menu"] == {4: "/ip", 6: "/ipv6"}[network.version]
            days, hours, minutes, seconds = (found[name] for name in ("days", "hours", "minutes", "seconds"))
            lasts = None
            if days is not None:
                assert int(hours) < 24
                assert int(minutes) < 60
                assert int(seconds) < 60
                lasts = ((int(days) * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(seconds)
            loaded.add(network, lasts)
        elif found["rule"]:
            loaded.rules.append(f"{found['menu']} {found['rule']}")
    return loaded


def cisco(text):
    """Parse named access lists of IOS with remarks and time ranges (Security Command Reference)."""
    loaded, ranges, mode = Loaded(), {}, None
    for line in _lines(text, "!"):
        assert "?" not in line, "a question mark asks IOS for help"
        if not line.startswith(" "):
            mode = _cisco_mode(line, ranges)
            continue
        words = line.split()
        if mode[0] == "time":
            match words:
                case ["absolute", "end", clock, day, month, year]:
                    hour, minute = map(int, clock.split(":"))
                    ranges[mode[1]] = datetime(int(year), MONTHS.index(month) + 1, int(day), hour, minute, tzinfo=UTC)
                case _:
                    raise GrammarError(line)
        elif words[0] == "remark":
            assert len(line.removeprefix(" remark ")) <= 100
        else:
            _cisco_entry(words, mode[1], loaded, ranges)
    return loaded


def _cisco_mode(line, ranges):
    match line.split():
        case ["time-range", name]:
            assert name not in ranges
            return "time", name
        case ["ip", "access-list", "extended", "SIPSCOPE-4"] | ["no", "ip", "access-list", "extended", "SIPSCOPE-4"]:
            return "list", 4
        case ["ipv6", "access-list", "SIPSCOPE-6"] | ["no", "ipv6", "access-list", "SIPSCOPE-6"]:
            return "list", 6
        case ["end"]:
            return "end", None
    raise GrammarError(line)


def _cisco_entry(words, version, loaded, ranges):
    protocol = {4: "ip", 6: "ipv6"}[version]
    match words:
        case ["permit", name, "any", "any"] if name == protocol:
            loaded.rules.append(" ".join(words))
            return
        case ["deny", ("udp" | "tcp"), "any", "any", "eq", port]:
            assert 0 < int(port) < 65536
            loaded.rules.append(" ".join(words))
            return
        case [("deny" | "permit"), name, "host", address, "any", *during] if name == protocol:
            network = ip_network(address)
        case ["deny" | "permit", "ip", address, wildcard, "any", *during] if version == 4:
            bits = int(IPv4Address(wildcard))
            assert bits & (bits + 1) == 0
            network = ip_network(f"{address}/{32 - bits.bit_length()}")
        case ["deny" | "permit", "ipv6", prefix, "any", *during] if version == 6:
            network = ip_network(prefix)
        case _:
            raise GrammarError(" ".join(words))
    assert network.version == version
    end = None
    if during:
        assert during[0] == "time-range"
        end = ranges[during[1]]
    loaded.add(network, end=end)


def as_csv(text):
    """Parse the table as CSV."""
    loaded = Loaded()
    rows = list(csv.DictReader(io.StringIO(text)))
    for row in rows:
        end = datetime.fromisoformat(row["until"][:19] + "+00:00") if row.get("until") else None
        loaded.add(ip_network(row["entry"]), end=end)
    return loaded


def as_json(text):
    """Parse the table as JSON."""
    loaded = Loaded()
    for row in json.loads(text)["entries"]:
        loaded.add(ip_network(row["entry"]), end=datetime.fromisoformat(row["until"]) if "until" in row else None)
    return loaded


GRAMMARS = {
    "plain": plain, "nftables": nftables, "ipset": ipset, "iptables": iptables, "pf": pf, "fail2ban": fail2ban,
    "mikrotik": mikrotik, "cisco": cisco, "csv": as_csv, "json": as_json,
}  # fmt: skip
ROUND = timedelta(hours=1)
"""By how much an entry may end later than it should: IOS counts in minutes, our ranges in hours."""
