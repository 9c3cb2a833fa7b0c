"""Every command line, and every option, that the README and the pages of docs/ show is run, and ends as it should.

A line that is added there is run without anything being added here. What needs an interface gets a network namespace of
its own; what would wait for ever, or touch the machine, is changed as INSTEAD says, and why.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import mmdb_writer
import pytest
from click.testing import CliRunner
from needs import CAPTURES, ROOT, need, program
from netaddr import IPSet

from analyzer.cli import cli
from analyzer.jobs.settings import EXAMPLE

PAGES = ["README.md", "CONTRIBUTING.md", "captures/README.md", "docs/README.md", "docs/extending.md"]
PAGES += sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "commands").glob("*.md"))
WORDS = {
    "CAPTURE...": "captures/svwar-svcrack.pcapng", "CAPTURE": "captures/tollfraud.pcap", "STORE": "store",
    "DIR": "made", "ID": "4whv", "INTERFACE": "eth0", "TOPIC": "password-guessing", "SHELL": "bash",
    "JOB.toml": "job.toml",
}  # fmt: skip
"""What stands for the words in capitals; FORMAT is what the command allows first, FILE is called like the command."""
INSTEAD = {
    "-w - port 5060": ("-r captures/tollfraud.pcap -w - port 5060", "tcpdump would wait for packets for ever"),
    "captures/ --every": ("recorded/ --every", "what is recorded would be read by the lines that follow"),
    "/etc/systemd/system": ("units", "the services of this machine stay as they are"),
    "/etc/bash_completion.d/": ("made-for-", "and so does its shell"),
    "INTERFACE -o DIR": ("eth0 -o recorded1", "what is recorded lies apart from what is reported"),
    "--signatures FILE": ("--signatures mine.toml", "a file with signatures, and not one to be made"),
    "capture.pcap": ("captures/tollfraud.pcap", "the reader's own capture"),
    "secret.key": ("made.key", "the reader's own key"),
    "--once JOB.toml": ("--once spool.toml", "with an interface, one round is an hour of recording"),
}
"""What is changed in a line before it is run, and why."""
OPTIONS = """
sipscope report store --from 2026-11-20 --to 2026-11-22T06:00 -o out
sipscope report captures/svmap-sweep.pcap --settings set.toml --signatures mine.toml --allow good.txt -o out
sipscope sources captures/svmap-sweep.pcap --geoip places.mmdb --most-bytes 1000000 --engine native
sipscope messages captures/svmap-sweep.pcap --quiet --show-secrets -o messages.csv
sipscope messages captures/svmap-sweep.pcap --engine pyshark --keylog keys.log
sipscope block captures/tollfraud.pcap --for 7d --diff block.nft --format nftables
sipscope block captures/tollfraud.pcap --mode allow --allow good.txt --format nftables
sipscope record eth0 -o recorded2 --recorder tcpdump --port 5060
sipscope record eth0 -o recorded3 --filter "udp portrange 5060-5090"
"""
"""Command lines with the options that the README names in its sentences."""
LIVE = ("sipscope record", "sipscope watch", "sipscope job run")
"""What goes on until it is told to end; it gets an interface in a namespace of its own."""
BEFORE = (
    "store captures/svmap-sweep.pcap -o store",
    "block captures/tollfraud.pcap --format nftables -o block.nft",
)
"""What the reader has done before the lines that name a store, or a block-list."""
PATIENCE = 60.0
"""Seconds in which a live command has to begin, and to end."""
FEW = ("svmap-sweep.pcap", "svwar-svcrack.pcapng", "tollfraud.pcap")
"""The captures that captures/ holds here: half of them, which halves the time; all are in tests/test_docs.py."""
FILES = {
    "good.txt": "198.51.100.0/24  # the laboratory\n",
    "set.toml": "[detectors.password-guessing]\nattempts = 30\n",
    "keys.log": f"CLIENT_RANDOM {'0' * 64} {'0' * 96}\n",
    "made.key": "0123456789abcdef" * 4,
}


def shown(page):
    """Yield the command lines that a page shows: in blocks, and between backquotes with anything after the command."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:sh|console|)\n(.*?)```", text, re.DOTALL) + re.findall(r"(?m)^ {4}(.*)$", text)
    for line in "\n".join(blocks).splitlines():
        if re.search(r"(?:^|\| |&& )(?:\$ )?sipscope ", line):
            yield re.sub(r"\s+# .*", "", line.removeprefix("$ ")).strip()
    for words in re.findall(r"`(sipscope[^`]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        yield " ".join(words.split())


def lines():
    """Return every command line of every page once, with words of ours for those in capitals, and those of OPTIONS."""
    known = [filled(line) for page in PAGES for line in shown(page) if not is_mention(line)]
    known += OPTIONS.strip().splitlines()
    # Where a file goes makes no difference.
    return list({re.sub(r"-o \S+$", "-o", line): line for line in reversed(known)}.values())[::-1]


def is_mention(line):
    """Say whether a line only names the program, a group of commands, or a command that needs arguments."""
    name = line.split()[1:]
    if len(name) != 1:
        return not name
    command = cli.commands[name[0]]
    return isinstance(command, click.Group) or any(parameter.required for parameter in command.params)


def filled(line):
    """Return a line with its optional parts, and with words that mean something here."""
    line = line.replace("[", "").replace("]", "")
    if "FORMAT" in line.split():
        command = cli.commands[line.split()[1]]
        (option,) = [option for option in command.params if option.name in ("format", "as_format")]
        line = line.replace("FORMAT", option.type.choices[0])
    for theirs, (ours, _why) in INSTEAD.items():
        line = line.replace(theirs, ours)
    words = WORDS | {"FILE": f"made-by-{line.split()[1]}"}
    return " ".join(words.get(word, word) for word in line.split())


def is_live(line):
    """Say whether a line goes on until it is told to end."""
    return line.startswith(LIVE) and "--once" not in line


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the captures and with all that the lines name."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "captures").mkdir()
    for name in FEW:
        (folder / "captures" / name).symlink_to(CAPTURES / name)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    extending = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (folder / "mine.toml").write_text(re.findall(r"```toml\n(.*?)```", extending, re.DOTALL)[0])
    (folder / "job.toml").write_text(EXAMPLE.replace("/var/lib/sipscope", str(folder / "job")))
    spool = EXAMPLE[EXAMPLE.index("[report]") :].replace("/var/lib/sipscope", str(folder / "once"))
    spool = re.sub(r"(?m)^captures = .*\n", "", spool)
    (folder / "spool.toml").write_text(f'[spool]\nfolder = "{folder / "spool"}"\nsettle = "1s"\n{spool}')
    (folder / "spool").mkdir()
    (folder / "spool" / "sweep.pcap").write_bytes((CAPTURES / "svmap-sweep.pcap").read_bytes())
    places = mmdb_writer.MMDBWriter(6, "Test", ipv4_compatible=True)
    places.insert_network(IPSet(["203.0.113.0/24"]), {"country": {"iso_code": "DE"}})
    places.to_db_file(str(folder / "places.mmdb"))
    with inside(folder):
        for line in (
            "store captures/svmap-sweep.pcap -o store",
            "block captures/tollfraud.pcap --format nftables -o block.nft",
        ):
            assert CliRunner().invoke(cli, line.split()).exit_code == 0
    return folder


@contextmanager
def inside(folder):
    """Be in a folder for as long as the context."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def test_there_are_command_lines():
    found = lines()
    assert {line.split()[1] for line in found if line.startswith("sipscope ")} == set(cli.commands)
    assert len(found) > 50
    assert [theirs for theirs in INSTEAD if not any(theirs in line for page in PAGES for line in shown(page))] == []


def test_every_option_that_the_readme_names_is_run():
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named - {word for line in lines() for word in line.split()} == set()


@pytest.mark.parametrize("line", [line for line in lines() if not is_live(line)])
def test_a_command_line_does_what_it_is_shown_for(line, folder):
    with inside(folder):
        words = shlex.split(line)
        if words[:2] == ["sipscope", "job"] or {"|", "&&", ">"} & set(words):
            in_a_shell(line)
            return
        needed(line)
        done = CliRunner().invoke(cli, words[1:])
        assert (done.exit_code, done.exception) == (0, None), done.output
        assert done.output or Path(words[words.index("-o") + 1]).stat().st_size


def needed(line):
    """Skip a line that needs what this machine lacks."""
    if "pyshark" in line:
        program("tshark")


def in_a_shell(line):
    """Run a line of several commands as a shell does, where firewalls and interfaces are nobody else's."""
    for word in ("tcpdump", "nft"):
        if re.search(rf"(?:^|&& ){word} ", line):
            program(word)
    done = subprocess.run([*apart(), "sh", "-c", line], env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout or done.stderr or Path(shlex.split(line)[-1]).stat().st_size


def environment():
    """Return the environment of a reader who has sipscope, and what administrators have, on the path."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"}


def apart():
    """Return what a command is put behind to have a network of its own."""
    unshare = [program("unshare"), "--net"]
    need(
        subprocess.run([*unshare, "true"], capture_output=True).returncode == 0, "the right to make network namespaces"
    )
    return unshare


def begin(line, folder):
    """Start a live command where eth0 is one end of a pair that nothing is sent over."""
    wire = "ip link add eth0 type veth peer name wire && ip link set eth0 up && ip link set wire up"
    name = re.sub(r"\W+", "-", line)
    with (folder / f"{name}.out").open("wb") as out, (folder / f"{name}.err").open("wb") as err:
        return subprocess.Popen(
            [*apart(), "sh", "-c", f"{wire} && exec {line}"], env=environment(), cwd=folder, stdout=out, stderr=err
        ), folder / f"{name}.err"


def has_begun(line, folder, said):
    """Say whether a live command does what it is for: a segment grows, or it said that it watches."""
    if line.startswith("sipscope watch"):
        return "watching" in said.read_text()
    place = folder / "job" / "captures" if "job" in line else folder / line.split("-o ")[1].split()[0]
    return place.exists() and any(path.suffix == ".partial" for path in place.iterdir())


def test_live_commands_begin_and_end_when_they_are_told(folder):
    for name in ("dumpcap", "tcpdump", "ip"):
        program(name)
    live = [line for line in lines() if is_live(line)]
    assert {" ".join(line.split()[1:3]) for line in live} >= {"record eth0", "watch eth0", "job run"}
    with ExitStack() as running:
        begun = {line: begin(line, folder) for line in live}
        for process, _ in begun.values():
            running.enter_context(process)
            running.callback(process.kill)
        for line, (process, said) in begun.items():
            stopped(line, process, said, folder)


def stopped(line, process, said, folder):
    """Wait until a live command has begun, tell it to end, and see that it does so in peace."""
    patience = time.monotonic() + PATIENCE
    while not has_begun(line, folder, said):
        assert process.poll() is None, f"{line}: {said.read_text()}"
        assert time.monotonic() < patience, f"{line}: {said.read_text()}"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM if "job run" in line else signal.SIGINT)
    assert process.wait(PATIENCE) == 0, f"{line}: {said.read_text()}"
    assert "Traceback" not in said.read_text()
