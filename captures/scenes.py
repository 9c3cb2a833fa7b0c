"""The scenes: who takes part, and what happens, in each capture."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import Popen

from phones import Household, Phone, mint, record_speech, render
from stage import PBX, PBX6, SCENARIOS, Host, Stage, StageError, finish

PASSWORDS = dict(re.findall(r'accounts=>(\d+)\) = "(.*?)"', (SCENARIOS / "kamailio.cfg").read_text()))
WORDS = str(SCENARIOS / "passwords.txt")

OFFICE = {str(account): Host(f"phone{account}", (f"10.20.0.{account - 80}",)) for account in range(101, 109)}
SIXES = {str(account): Host(f"phone{account}", (f"2001:db8:20::{account}",)) for account in (301, 302)}
BRANCH = Host("branch", ("198.51.100.40",), ttl=55)
"""A small office behind one address: its router keeps three phones apart by their ports."""
GATEWAY = Host("gateway", ("198.51.100.5",), ttl=60)
MODELS = {
    "101": ("Reception", "yealink"), "102": ("A. Moreau", "polycom"), "103": ("B. Lindqvist", "snom"),
    "104": ("C. Okafor", "yealink"), "105": ("Meeting room", "linphone"), "106": ("D. Haddad", "polycom"),
    "107": ("E. Novak", "snom"), "108": ("Workshop", "yealink"), "201": ("Branch desk", "grandstream"),
    "202": ("Branch hall", "grandstream"), "203": ("Branch fax", "fritz"), "301": ("F. Tanaka", "linphone"),
    "302": ("G. Weiss", "snom"),
}  # fmt: skip

SETTLE = 6.0
"""Seconds after which all phones are registered and strangers appear."""
WANTED = "442079460958"
CUSTOMER = "442079460123"
"""Numbers that Ofcom keeps for drama: they belong to nobody."""
DIALLER = "NetDial Pro 2.4"
LEAK = "192.168.77.9"
DIALLED = {
    "203.0.113.7": [(prefix, user) for prefix in ("", "0", "00", "000", "+", "011", "0011") for user in ("100", "101")],
    "198.51.100.77": [
        *((prefix, user) for prefix in ("9", "90", "9000", "9011", "99011", "9810") for user in ("1000", "102")),
        ("900", "1000"),
        ("99900", "1000"),
    ],
    "203.0.113.140": [
        (prefix, user) for prefix in ("810", "7011", "1011", "8", "800", "*9") for user in ("200", "101")
    ],
}
"""The prefixes that each attacker tries before the wanted number, and the extension that it claims to be."""


@dataclass(frozen=True)
class Scene:
    """One capture: its file, the hosts that take part, and what they do."""

    file: str
    programs: tuple[str, ...]
    hosts: tuple[Host, ...]
    play: Callable[[Stage], None]


def phone(stage: Stage, account: str) -> Phone:
    """Return the phone of an account, with the right password."""
    name, model = MODELS[account]
    host = {**OFFICE, **SIXES}[account]
    return Phone(stage, host, account, name, model, PASSWORDS[account])


def branch_phone(stage: Stage, account: str) -> Phone:
    """Return a phone of the branch office: the router's address outside, its own in what it says."""
    name, model = MODELS[account]
    port, behind = 40000 + int(account), f"192.168.1.{int(account) - 180}"
    return Phone(stage, BRANCH, account, name, model, PASSWORDS[account], port=port, behind=behind)


def office_day(stage: Stage) -> None:
    """Nothing but an ordinary day: calls, a slip of the finger, a change of mind, and an old password."""
    seconds = 190.0
    gateway = answering(stage)
    home = Household()
    home.add(phone(stage, "101"), seconds, (15, partial(Phone.call, number="104")))
    home.add(phone(stage, "102"), seconds, (37, partial(Phone.call, number=f"900{CUSTOMER}", talk=3)))
    home.add(phone(stage, "103"), seconds, (62, partial(Phone.hang_up, number="106")))
    slip, again = partial(Phone.call, number="1055"), partial(Phone.call, number="105")
    home.add(phone(stage, "104"), seconds, (60, slip), (65, again))
    for account in ("105", "106", "107"):
        home.add(phone(stage, account), seconds)
    workshop = phone(stage, "108")
    workshop.password, workshop.refresh = "old-Password-4", 25
    home.add(workshop, seconds)
    home.add(branch_phone(stage, "201"), seconds, (85, partial(Phone.call, number="101")))
    home.add(branch_phone(stage, "202"), seconds)
    home.add(branch_phone(stage, "203"), seconds)
    home.add(phone(stage, "301"), seconds, (110, partial(Phone.call, number="302")))
    home.add(phone(stage, "302"), seconds)
    home.wait()
    finish(gateway)


def svmap_sweep(stage: Stage) -> None:
    """Two scanners of one owner sweep the PBX's network, one of them its IPv6 address too."""
    home = Household()
    home.add(phone(stage, "101"), 30)
    home.add(phone(stage, "301"), 30)
    time.sleep(SETTLE)
    network = "192.0.2.0/26"
    stage.run("scanner", "sipvicious_svmap", "-x", "203.0.113.66", network, seconds=20)
    stage.run("second", "sipvicious_svmap", "-x", "203.0.113.67", "-m", "REGISTER", network, seconds=20)
    stage.run("scanner", "sipvicious_svmap", "-6", "-x", "[2001:db8:66::66]", PBX6, seconds=10)
    home.wait()


def svwar_svcrack(stage: Stage) -> None:
    """An extension is found, its password is found, and the phones work on."""
    home = Household()
    home.add(phone(stage, "101"), 60, (40, partial(Phone.call, number="102")))
    home.add(phone(stage, "102"), 60)
    home.add(branch_phone(stage, "201"), 60)
    time.sleep(SETTLE)
    stage.run("attacker", "sipvicious_svwar", "-x", "203.0.113.77", "-e", "100-160", PBX, seconds=30)
    stage.run("attacker", "sipvicious_svcrack", "-x", "203.0.113.77", "-u", "105", "-d", WORDS, PBX, seconds=30)
    home.wait()


def renamed_svwar(stage: Stage) -> None:
    """The same program that calls itself a desk phone."""
    home = Household()
    home.add(phone(stage, "104"), 25)
    home.add(phone(stage, "106"), 25)
    time.sleep(SETTLE)
    renamed = str(SCENARIOS / "renamed_svwar.py")
    stage.run("attacker", "python3", renamed, "-x", "203.0.113.99", "-e", "200-240", "192.0.2.11", seconds=30)
    home.wait()


def nmap_sipsak(stage: Stage) -> None:
    """An administrator's tools in a stranger's hands: nmap with its SIP scripts and service probe, and sipsak."""
    home = Household()
    home.add(phone(stage, "101"), 60)
    home.add(phone(stage, "103"), 60)
    time.sleep(SETTLE)
    nmap = partial(stage.run, "nmap", "nmap", "-n", "-Pn", "-sU", "-p", "5060", seconds=60)
    nmap("--script", "sip-methods", PBX)
    nmap("--script", "sip-enum-users", "--script-args", "sip-enum-users.minext=100,sip-enum-users.maxext=125", PBX)
    nmap("--script", "sip-brute", "--script-args", ",".join(guessing(stage.scratch)), PBX)
    nmap("-sV", "--version-intensity", "2", PBX)
    stage.run("sipsak", "sipsak", "-v", "-s", f"sip:101@{PBX}", seconds=20)
    stage.run("sipsak", "sipsak", "-v", "-T", "-s", f"sip:101@{PBX}", seconds=20)
    stage.run("sipsak", "sipsak", "-v", "-U", "-a", "102", "-s", f"sip:102@{PBX}", seconds=20)
    home.wait()


def guessing(folder: Path) -> Iterable[str]:
    """Return the settings that keep nmap's sip-brute to two accounts and two dozen passwords, none of them right."""
    (folder / "accounts.txt").write_text("101\n103\n")
    (folder / "few.txt").write_text("\n".join(Path(WORDS).read_text().splitlines()[:24]) + "\n")
    return (
        f"userdb={folder}/accounts.txt",
        f"passdb={folder}/few.txt",
        "unpwdb.timelimit=30s",
        "brute.start=1",
        "brute.threads=1",
    )


def toll_fraud(stage: Stage) -> None:
    """Three diallers look for a way out to one number; one of them finds it and talks."""
    gateway = answering(stage)
    home = Household()
    home.add(phone(stage, "101"), 55, (34, partial(Phone.call, number="103")))
    home.add(phone(stage, "102"), 55, (16, partial(Phone.call, number=f"900{CUSTOMER}", talk=3)))
    home.add(phone(stage, "103"), 55)
    time.sleep(SETTLE)
    for number, address in enumerate(DIALLED):
        dial(stage, f"dialler{number}", address)
    home.wait()
    finish(gateway)


def dial(stage: Stage, host: str, address: str, *, talk: float = 6.0) -> None:
    """Place one call for each prefix; the one that is answered lasts talk seconds."""
    lines = [f"{prefix}{WANTED};{user};{mint('{x8}')}" for prefix, user in DIALLED[address]]
    targets = stage.scratch / f"{host}.csv"
    targets.write_text("SEQUENTIAL\n" + "\n".join(lines) + "\n")
    values = {
        "server": PBX, "sent_by": f"{LEAK}:5078", "leak": LEAK, "user_agent": DIALLER, "media_address": address,
        "talk": str(round(talk * 1000)), "voice": str(record_speech(stage.scratch / f"{host}.pcap", talk - 0.5)),
    }  # fmt: skip
    scenario = stage.scratch / f"{host}.xml"
    scenario.write_text(render("dialler", values))
    code = stage.run(
        host, "sipp", f"{PBX}:5060", "-sf", str(scenario), "-inf", str(targets), "-m", str(len(lines)), "-r", "4",
        "-i", address, "-p", "5078", "-mi", address, "-mp", "18000", "-nostdin",
        seconds=30,
    )  # fmt: skip
    if code:
        raise StageError(f"{stage.scene}: the dialler at {address} did not get through its list")


def answering(stage: Stage) -> Popen[bytes]:
    """Start the gateway to the public telephone network: it answers every call."""
    gateway = Phone(stage, GATEWAY, "gateway", "", "gateway", "")
    return gateway.answer()


def _with_hosts(*hosts: Host, accounts: Iterable[str] = ()) -> tuple[Host, ...]:
    return (*hosts, *({**OFFICE, **SIXES}[account] for account in accounts))


PHONES = ("kamailio", "sipp")
SCENES = {
    "office-day": Scene(
        "office-day.pcap", PHONES, _with_hosts(BRANCH, GATEWAY, accounts=[*OFFICE, *SIXES]), office_day
    ),
    "svmap-sweep": Scene(
        "svmap-sweep.pcap",
        (*PHONES, "sipvicious_svmap"),
        _with_hosts(
            Host("scanner", ("203.0.113.66", "2001:db8:66::66"), ttl=49),
            Host("second", ("203.0.113.67",), ttl=49),
            accounts=("101", "301"),
        ),
        svmap_sweep,
    ),
    "svwar-svcrack": Scene(
        "svwar-svcrack.pcapng",
        (*PHONES, "sipvicious_svwar", "sipvicious_svcrack", "dumpcap"),
        _with_hosts(Host("attacker", ("203.0.113.77",), ttl=46), BRANCH, accounts=("101", "102")),
        svwar_svcrack,
    ),
    "renamed-svwar": Scene(
        "renamed-svwar.pcap",
        (*PHONES, "sipvicious_svwar"),
        _with_hosts(Host("attacker", ("203.0.113.99",), ttl=51), accounts=("104", "106")),
        renamed_svwar,
    ),
    "nmap-sipsak": Scene(
        "nmap-sipsak.pcap",
        (*PHONES, "nmap", "sipsak"),
        _with_hosts(
            Host("nmap", ("203.0.113.91",), ttl=53), Host("sipsak", ("203.0.113.92",), ttl=53), accounts=("101", "103")
        ),
        nmap_sipsak,
    ),
    "tollfraud": Scene(
        "tollfraud.pcap",
        PHONES,
        _with_hosts(
            *(Host(f"dialler{number}", (address,), ttl=47 + number) for number, address in enumerate(DIALLED)),
            GATEWAY,
            accounts=("101", "102", "103"),
        ),
        toll_fraud,
    ),
}
