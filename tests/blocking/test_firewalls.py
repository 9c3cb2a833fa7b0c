"""The real programs load the lists, in namespaces: who is blocked does not reach Kamailio until the time is over."""

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from blocking.rows import Scene
from needs import need, program

from analyzer.allow import load_allowed
from analyzer.blocking import Policy, find_blocks
from analyzer.blocklists import rules_to_allow, rules_to_block, write_rules

ATTACKER, ATTACKER6, CUSTOMER, CUSTOMER6 = "203.0.113.77", "2001:db8:66::77", "203.0.113.20", "2001:db8:66::20"
LASTING = (6, 20, 60)
"""Seconds that a block lasts: if it could not be loaded and tried by then, on a busy machine, one that lasts longer."""
HOSTILE = '"; flush ruleset\n-A INPUT -j ACCEPT\nadd sipscope4-new 203.0.113.20 \\" $(reboot) `id` } { # é'
ASK = """
import socket, sys
source, server = sys.argv[1:]
family = socket.AF_INET6 if ":" in source else socket.AF_INET
host = f"[{source}]" if ":" in source else source
with socket.socket(family, socket.SOCK_DGRAM) as asking:
    asking.bind((source, 0))
    port = asking.getsockname()[1]
    for attempt in range(2):
        via = f"SIP/2.0/UDP {host}:{port};branch=z9hG4bK{port}{attempt}"
        text = (f"OPTIONS sip:pbx.example SIP/2.0\\r\\nVia: {via}\\r\\n"
                f"Max-Forwards: 70\\r\\nFrom: <sip:ask@{host}>;tag=1\\r\\nTo: <sip:pbx.example>\\r\\n"
                f"Call-ID: {port}{attempt}\\r\\nCSeq: 1 OPTIONS\\r\\nContent-Length: 0\\r\\n\\r\\n")
        asking.settimeout(1.0)
        asking.sendto(text.encode(), (server, 5060))
        try:
            sys.exit(0 if asking.recv(4096).startswith(b"SIP/2.0 ") else 2)
        except TimeoutError:
            pass
sys.exit(1)
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Return a stage with Kamailio, an attacker and a customer, each a machine of its own."""
    from captures.stage import Host, Stage

    need(os.geteuid() == 0, "root, for network namespaces")
    for name in ("ip", "ss", "kamailio", "dumpcap", "nft", "ipset", "iptables-restore", "ip6tables-restore"):
        program(name)
    hosts = [Host("attacker", (ATTACKER, ATTACKER6)), Host("customer", (CUSTOMER, CUSTOMER6))]
    with Stage("firewalls", tmp_path_factory.mktemp("stage") / "x.pcapng", hosts) as made:
        yield made


class Firewall:
    """The firewall of the machine on which Kamailio runs."""

    def __init__(self, stage, folder):
        self.stage, self.folder = stage, folder

    def run(self, *command, code=0):
        """Run a command in the PBX's namespace, and return what it printed."""
        inside = [program("ip"), "netns", "exec", "sipscope-firewalls-pbx", program(command[0]), *command[1:]]
        done = subprocess.run(inside, capture_output=True, text=True, timeout=30)
        assert done.returncode == code, (command, done.stderr)
        return done.stdout

    def reaches(self, source):
        """Say whether an OPTIONS of a source is answered."""
        from captures.stage import PBX, PBX6

        host = "attacker" if source in {ATTACKER, ATTACKER6} else "customer"
        server = PBX6 if ":" in source else PBX
        return self.stage.run(host, sys.executable, "-c", ASK, source, server, seconds=20) == 0

    def reach(self, sources):
        """Say of each of some sources whether an OPTIONS of it is answered."""
        with ThreadPoolExecutor(len(sources)) as pool:
            return list(pool.map(self.reaches, sources))

    def load(self, name, text):
        """Load a list as its first lines say, and hook it in if it is not."""
        file = self.folder / f"list.{name}"
        file.write_text(text)
        if name == "nftables":
            self.run("nft", "-f", str(file))
        elif name == "ipset":
            self.run("ipset", "restore", "-file", str(file))
        else:
            self.run("iptables-restore", "--noflush", str(file))
            self.run("ip6tables-restore", "--noflush", str(file))
        for line in re.findall(r"^#   (ip6?tables .*)$", text, re.MULTILINE):
            words = line.split()
            hooked = ["-C" if word == "-I" else word for word in words]
            inside = [program("ip"), "netns", "exec", "sipscope-firewalls-pbx", program(words[0])]
            if subprocess.run([*inside, *hooked[1:]], capture_output=True).returncode:
                self.run(*words)

    def entries(self, name):
        """Return the networks that are loaded, as the program itself lists them."""
        if name == "nftables":
            return self._nftables()
        if name == "ipset":
            lines = self.run("ipset", "save").splitlines()
            return {ip_network(line.split()[2]) for line in lines if line.startswith("add ")}
        lines = [line for each in ("iptables-save", "ip6tables-save") for line in self.run(each).splitlines()]
        return {ip_network(line.split()[3]) for line in lines if line.startswith("-A SIPSCOPE -s ")}

    def _nftables(self):
        listed = json.loads(self.run("nft", "-j", "list", "table", "inet", "sipscope"))["nftables"]
        found = set()
        for each in (item["set"] for item in listed if "set" in item):
            for element in each.get("elem", []):
                value = element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element
                prefix = value["prefix"] if isinstance(value, dict) else {"addr": value, "len": None}
                found.add(ip_network(prefix["addr"] if prefix["len"] is None else f"{prefix['addr']}/{prefix['len']}"))
        return found

    def clear(self):
        """Take every rule away."""
        self.run("nft", "flush", "ruleset")
        self.run("ipset", "destroy")


@pytest.fixture
def firewall(stage, tmp_path):
    made = Firewall(stage, tmp_path)
    yield made
    made.clear()


def block_list(now, *sources, text=HOSTILE, crowd=True, lasting=LASTING[-1]):
    """Return rules against some sources, in all of whose names a text stands; and against a network, with a crowd."""
    scene = Scene()
    others = [f"198.51.100.{host}" for host in (8, 9, 10, 11)] if crowd else []
    for source in (*sources, *others):
        scene.attacker(source, end=now, start=now, tool=text, numbers=[text], accounts=[text])
        scene.claim(source, user_agents=[text])
    policy = Policy(private=True, period=timedelta(seconds=lasting))
    return rules_to_block(find_blocks(scene.analysis(), policy=policy, now=now))


@pytest.mark.parametrize("name", ["nftables", "ipset", "iptables"])
def test_a_blocked_source_does_not_reach_kamailio_until_its_time_is_over(name, firewall):
    everybody = (ATTACKER, ATTACKER6, CUSTOMER, CUSTOMER6)
    assert firewall.reach(everybody) == [True] * 4
    for lasting in LASTING:
        rules = block_list(datetime.now(UTC), ATTACKER, ATTACKER6, lasting=lasting)
        firewall.load(name, write_rules(rules, format=name))
        entries, reached = firewall.entries(name), firewall.reach(everybody)
        until = rules.rules[0].until
        if datetime.now(UTC) < until:
            break
    assert datetime.now(UTC) < until, "the machine is too slow for this test"
    assert entries == {rule.network for rule in rules.rules}
    assert ip_network("198.51.100.8/30") in entries
    assert reached == [False, False, True, True]
    time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()))
    end = time.monotonic() + 30  # what is counted from when the list was loaded ends a little later
    while (reached := firewall.reach(everybody)) != [True] * 4 and time.monotonic() < end:
        time.sleep(0.5)
    assert reached == [True] * 4


@pytest.mark.parametrize("name", ["nftables", "ipset", "iptables"])
def test_a_list_takes_the_place_of_the_one_before(name, firewall):
    now = datetime.now(UTC)
    firewall.load(name, write_rules(block_list(now, CUSTOMER, text="a"), format=name))
    again = block_list(now, ATTACKER, crowd=False)
    for _ in range(2):
        firewall.load(name, write_rules(again, format=name))
    assert firewall.entries(name) == {ip_network(ATTACKER)}
    assert firewall.reaches(CUSTOMER)
    firewall.load(name, write_rules(block_list(now, crowd=False), format=name))
    assert firewall.entries(name) == set()
    assert firewall.reaches(ATTACKER)


@pytest.mark.parametrize("name", ["nftables", "ipset", "iptables"])
def test_only_the_allowed_reach_kamailio(name, firewall, tmp_path):
    (tmp_path / "good.txt").write_text(
        f'{CUSTOMER} # "us"; $(x)\n2001:db8:66::/124\n2001:db8:66::20/123\n192.0.2.0/24\n'
    )
    allow = load_allowed(tmp_path / "good.txt")
    rules = rules_to_allow(allow, datetime.now(UTC))
    firewall.load(name, write_rules(rules, format=name))
    assert firewall.entries(name) == set(allow.networks())
    assert firewall.reach((ATTACKER, ATTACKER6, CUSTOMER, CUSTOMER6)) == [False, False, True, True]


def test_lists_of_many_are_loaded(firewall):
    """Ten thousand entries, as a distributed campaign comes to."""
    rules = block_list(datetime.now(UTC), ATTACKER)
    (one,) = (rule for rule in rules.rules if rule.network == ip_network(ATTACKER))
    many = tuple(replace(one, network=ip_network(f"45.{n >> 8}.{n & 255}.9")) for n in range(10_000))
    rules = replace(rules, rules=many)
    for name in ("nftables", "ipset", "iptables"):
        firewall.load(name, write_rules(rules, format=name))
        assert len(firewall.entries(name)) == 10_000
        firewall.clear()
