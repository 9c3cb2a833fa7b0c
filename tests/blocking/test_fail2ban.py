"""fail2ban itself reads the filter, the list as a log, and the commands; in a namespace, with its own socket."""

import os
import re
import shutil
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from blocking.test_formats import HOSTILE, named_rules
from needs import need, program

from analyzer.blocklists import write_rules

SECONDS = 20
"""How long it may take until a server has started, or an address is banned."""


def aged(text):
    """Return rules as if they had been made now; of attacks an hour ago."""
    now = datetime.now(UTC).replace(microsecond=0)
    rules = named_rules(text)
    last, until = now - timedelta(hours=1), now + timedelta(days=6)
    made = tuple(
        replace(rule, last=last, until=until, seconds=int((until - now).total_seconds())) for rule in rules.rules
    )
    return replace(rules, now=now, rules=made)


def written(rules, folder):
    """Write the list, the filter and the commands; return the folder."""
    for name, as_format in (("list", "plain"), ("sipscope.conf", "fail2ban-filter"), ("ban.sh", "fail2ban")):
        (folder / name).write_text(write_rules(rules, format=as_format))
    return folder


@pytest.mark.parametrize("text", ["friendly-scanner", *HOSTILE[:12]], ids=lambda text: ascii(text[:20]))
def test_the_filter_finds_every_entry_of_the_list_and_nothing_else(text, tmp_path):
    rules = aged(text)
    written(rules, tmp_path)
    log = (tmp_path / "list").read_text()
    stray = "# 45.1.2.3  # last 2026-11-22T10:00:00Z\nx 45.1.2.4  # last 2026-11-22T10:00:00Z\n45.1.2.5 x\n"
    (tmp_path / "list").write_text(log + stray)
    done = subprocess.run(
        [program("fail2ban-regex"), "-o", "row", tmp_path / "list", tmp_path / "sipscope.conf"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [(row[0], int(row[1])) for row in re.findall(r"^\['([^']*)',\s*(\d+),", done.stdout, re.MULTILINE)]
    assert {ip_network(address) for address, _ in rows} == {rule.network for rule in rules.rules}
    assert {when for _, when in rows} == {int(rule.last.timestamp()) for rule in rules.rules}


class Server:
    """A server of fail2ban in a namespace of its own, with nothing but our jail."""

    def __init__(self, folder, rules):
        self.folder, self.client = folder, program("fail2ban-client")
        conf = folder / "conf"
        shutil.copytree("/etc/fail2ban", conf, ignore=shutil.ignore_patterns("jail.d"))
        (conf / "jail.d").mkdir()
        lines = {"loglevel": "INFO", "logtarget": folder / "log", "socket": folder / "socket",
                 "pidfile": folder / "pid", "dbfile": "None"}  # fmt: skip
        told = "".join(f"{name} = {value}\n" for name, value in lines.items())
        (conf / "fail2ban.local").write_text(f"[Definition]\n{told}")
        written(rules, folder)
        text = shutil.copy(folder / "sipscope.conf", conf / "filter.d" / "sipscope.conf").read_text()
        jail = "\n".join(re.findall(r"^#   ((?:\[\w+\]|\w+ = .*))$", text, re.MULTILINE))
        assert jail.startswith("[sipscope]\nenabled = true\n")
        (conf / "jail.d" / "sipscope.conf").write_text(jail.replace("/var/log/sipscope.list", str(folder / "list")))
        (folder / "bin").mkdir()
        wrapper = folder / "bin" / "fail2ban-client"
        wrapper.write_text(f'#!/bin/sh\nexec {self.client} -c {conf} "$@"\n')
        wrapper.chmod(0o755)
        server = [program("fail2ban-server"), "-c", conf, "-f", "start"]
        self.process = subprocess.Popen([program("unshare"), "--net", *server], stdout=subprocess.DEVNULL)

    def ask(self, *words):
        """Return what the client prints for a command."""
        done = subprocess.run(
            [self.folder / "bin" / "fail2ban-client", *words], capture_output=True, text=True, timeout=SECONDS
        )
        return done.stdout if done.returncode == 0 else ""

    def wait(self, holds):
        """Wait until something holds."""
        until = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.1)

    def banned(self):
        """Return the networks that are banned, with the seconds that each is."""
        lines = self.ask("get", "sipscope", "banip", "--with-time").splitlines()
        return {ip_network(line.split()[0]): int(line.split(" + ")[1].split()[0]) for line in lines if line.strip()}

    def dropped(self):
        """Return the networks from which the firewall in the namespace takes nothing, whatever the protocol."""
        found = set()
        for save in ("iptables-save", "ip6tables-save"):
            inside = [program("nsenter"), "--net", "--target", str(self.process.pid), program(save)]
            told = subprocess.run(inside, capture_output=True, text=True, check=True).stdout
            theirs = re.findall(r"^-A f2b-sipscope -s (\S+) -j REJECT", told, re.MULTILINE)
            assert "\n-A INPUT -j f2b-sipscope\n" in told or not theirs
            found |= set(map(ip_network, theirs))
        return found

    def stop(self):
        """Stop the server."""
        self.ask("stop")
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def server(tmp_path):
    need(os.geteuid() == 0, "root, for network namespaces")
    for name in ("fail2ban-server", "fail2ban-client", "unshare", "nsenter", "iptables", "ip6tables"):
        program(name)
    made = Server(tmp_path, aged("friendly-scanner"))
    try:
        made.wait(lambda: "pong" in made.ask("ping"))
        yield made
    finally:
        made.stop()


def test_the_jail_bans_who_is_on_the_list_and_the_commands_do(server):
    rules = aged("friendly-scanner")
    wanted = {rule.network for rule in rules.rules}
    assert len(wanted) > len({network for network in wanted if network.num_addresses == 1})
    server.wait(lambda: set(server.banned()) == wanted and server.dropped() == wanted)
    assert set(server.banned().values()) == {7 * 86_400}
    server.ask("unban", "--all")
    server.wait(lambda: not server.banned() and not server.dropped())
    path = f"{server.folder / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", Path(server.folder) / "ban.sh"], env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    server.wait(lambda: server.dropped() == wanted)
    assert server.banned().keys() == wanted
    assert all(abs(seconds - 6 * 86_400) <= SECONDS for seconds in server.banned().values())
    assert "ERROR" not in (server.folder / "log").read_text()
