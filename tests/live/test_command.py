"""The command: where packets may come from, what it says, and how it ends."""

import fcntl
import json
import os
import signal
import subprocess
import termios
import time

import pytest
from needs import CAPTURES

from .conftest import SIPSCOPE
from .terminal import Terminal

BREACHED = CAPTURES / "svwar-svcrack.pcapng"
TOLL = CAPTURES / "tollfraud.pcap"


def run(*arguments, source=None, **options):
    with (source or BREACHED).open("rb") as stdin:
        return subprocess.run(
            [*SIPSCOPE, "watch", *map(str, arguments)],
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            **options,
        )


def test_lines_and_a_summary():
    done = run("-")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(" ATTACK    203.0.113.77: enumeration with SIPVicious" in line for line in lines)
    (breach,) = [line for line in lines if " BREACH " in line]
    assert "extension 105 was taken over by 203.0.113.77 after 56 passwords" in breach
    assert "sunshine" not in done.stdout
    assert "watched standard input for" in done.stdout
    assert "422 packets, 290 SIP" in done.stdout
    assert "watching standard input" in done.stderr


def test_json_is_one_object_per_line():
    done = run(TOLL, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["attack", "attack", "attack", "answered", "summary"] or {
        event["event"] for event in events
    } == {"attack", "answered", "summary"}
    (answered,) = [event for event in events if event["event"] == "answered"]
    assert answered["wanted"] == "442079460958"
    assert events[-1]["totals"]["answered"] == 1
    assert sum(fate["packets"] for fate in events[-1]["fates"]) == events[-1]["packets"] == 776


def test_only_what_is_asked_for():
    done = run("-", "--json", "--only", "breached", "--quiet")
    kinds = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert kinds == ["breach", "summary"]
    assert done.stderr == ""


def test_allow_list_and_settings_are_used(tmp_path):
    allow, settings = tmp_path / "allow", tmp_path / "settings.toml"
    allow.write_text("203.0.113.77  # our own test\n")
    settings.write_text("[detectors.enumeration]\naccounts = 100000\n")
    done = run("-", "--json", "--allow", allow, "--settings", settings)
    attacks = [event for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "attack"]
    assert attacks
    assert {event["allowed"] for event in attacks} == {"our own test"}
    settings.write_text("[detectors.enumeration]\nnosuch = 1\n")
    done = run("-", "--settings", settings)
    assert done.returncode == 1
    assert "nosuch" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_with_a_summary(tmp_path, watch, how):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    seen = watch(fifo)
    seen.await_said("watching")
    with fifo.open("wb", buffering=0) as pipe:
        pipe.write(TOLL.read_bytes()[:60_000])
        while fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)) != bytes(4):
            time.sleep(0.05)
        time.sleep(1)
        code, summary = seen.end(how)
    assert code == 0
    assert summary["packets"] > 100
    assert summary["not_examined"] == 0


def test_a_fifo_that_its_writer_closes_ends_with_a_summary(tmp_path, watch):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    seen = watch(fifo)
    content = BREACHED.read_bytes()
    with fifo.open("wb", buffering=0) as pipe:  # before it is ready: what comes meanwhile is kept
        for at in range(0, len(content), 20_000):
            pipe.write(content[at : at + 20_000])
    code, summary = seen.end()
    assert code == 0
    assert summary["packets"] == 422
    assert summary["totals"]["breaches"] == 1


def test_a_quiet_network_is_seen_soon(watch):
    seen = watch("-", stdin=subprocess.PIPE)
    seen.await_said("watching")
    pipe = seen.process.stdin.buffer
    content = BREACHED.read_bytes()
    pipe.write(content[: len(content) * 2 // 3])
    pipe.flush()
    seen.await_event(60, event="attack", source="203.0.113.77")
    pipe.write(content[len(content) * 2 // 3 :])
    pipe.close()
    code, summary = seen.end()
    assert (code, summary["packets"]) == (0, 422)


def test_nobody_reads_what_it_says(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    watching = subprocess.Popen(
        [*SIPSCOPE, "watch", str(fifo)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with fifo.open("wb", buffering=0) as pipe:
        pipe.write(TOLL.read_bytes())
        assert "ATTACK" in watching.stdout.readline()
        watching.stdout.close()
        said = watching.stderr.read()  # it ends though packets may still come
        assert watching.wait(60) == 0
    watching.stderr.close()
    assert "watched" in said
    assert "776 packets" in said
    assert "Traceback" not in said
    assert "Broken" not in said


def test_what_is_no_capture_is_one_sentence(tmp_path):
    odd = tmp_path / "odd"
    odd.write_bytes(b"hello, this is no capture at all\n" * 10)
    done = run("-", source=odd)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("sipscope: standard input: is no capture (pcap or pcapng)")
    assert "Traceback" not in done.stderr
    done = run("nosuch0")
    assert "there is no such interface; choose from" in done.stderr


def test_hostile_text_does_no_harm(tmp_path):
    hostile = BREACHED.read_bytes().replace(b"friendly-scanner", b"\x1b]0;owned\x07\x1b[2J\x9b")
    capture = tmp_path / "hostile.pcapng"
    capture.write_bytes(hostile)
    done = run("-", source=capture)
    assert done.returncode == 0
    assert not [sign for sign in done.stdout if not sign.isprintable() and sign != "\n"]


@pytest.fixture
def terminal(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    terminal = Terminal(*SIPSCOPE, "watch", str(tmp_path / "fifo"))
    yield terminal
    if not terminal.ended:
        os.kill(terminal.process_id, signal.SIGKILL)
        terminal.wait()


@pytest.mark.parametrize("how", ["q", "\x03"])
def test_a_terminal_gets_a_table_with_keys_and_is_left_as_it_was(terminal, tmp_path, how):
    fifo = tmp_path / "fifo"
    with fifo.open("wb", buffering=0) as pipe:
        pipe.write(BREACHED.read_bytes())
        terminal.await_shown("taken over by 203.0.113.77")
        terminal.press("\t")
        terminal.await_shown("tab campaigns")
        terminal.press("s")
        terminal.await_shown("by requests")
        terminal.press("o")
        terminal.await_shown("by requests, accounts-found")
        terminal.press(how)
        code = terminal.end()
    assert code == 0
    assert terminal.shown.rindex("\x1b[?1049l") < terminal.shown.rindex("watched")  # the other screen, then the summary
    assert "\x1b[?25h" in terminal.shown[terminal.shown.rindex("\x1b[?1049h") :]  # the cursor is back
