"""Real tools against a real PBX between network namespaces, watched as they do it."""

import os
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest
from needs import CAPTURES, need, program

sys.path.insert(0, str(CAPTURES))
ALONE = 1.0 if "PYTEST_XDIST_WORKER" not in os.environ else 3.0
WITHIN = 3.0 * max(ALONE, os.getloadavg()[0] / (os.cpu_count() or 1))
"""Seconds from the deed to the line that tells it: three, and more where others keep the processors busy."""
TOOLS = ("sipvicious_svmap", "sipvicious_svwar", "sipvicious_svcrack")


def namespaces():
    """Say whether network namespaces can be made here."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0


@pytest.fixture
def stage(tmp_path):
    from stage import Host, Stage
    from stage import program as stage_program

    need(namespaces(), "the right to make network namespaces")
    for name in ("ip", "ss", "kamailio", "tcpdump", "dumpcap"):
        program(name)
    for name in TOOLS:
        try:
            stage_program(name)
        except Exception:  # noqa: BLE001  whatever says that it is missing
            need(False, f"the program {name}")
    hosts = [Host("scanner", ("203.0.113.66",), ttl=49), Host("attacker", ("203.0.113.77",), ttl=46)]
    with Stage(f"watch{os.getpid() % 1000}", tmp_path / "beside.pcapng", hosts) as stage:
        yield stage


def test_tools_are_named_within_three_seconds(stage, watch):
    from stage import PBX, SCENARIOS

    seen = watch("br0", before=["ip", "netns", "exec", stage._namespace("pbx")])
    seen.await_said("watching br0")
    time.sleep(1)

    def run(host, *arguments):
        assert stage.run(host, *arguments, seconds=40) >= 0  # SIPVicious exits with what it found
        return time.time()

    done = run("scanner", "sipvicious_svmap", "-x", "203.0.113.66", "192.0.2.0/26")
    for kind in ("tool", "sweep"):
        at, event = seen.await_event(WITHIN, kind=kind, source="203.0.113.66", outcome="replied")
        assert at - done < WITHIN
        assert event["tool"] == "SIPVicious"

    done = run("attacker", "sipvicious_svwar", "-x", "203.0.113.77", "-e", "100-160", PBX)
    at, event = seen.await_event(WITHIN, kind="enumeration", source="203.0.113.77", outcome="accounts-found")
    assert at - done < WITHIN
    assert event["tool"] == "SIPVicious"

    words = str(SCENARIOS / "passwords.txt")
    done = run("attacker", "sipvicious_svcrack", "-x", "203.0.113.77", "-u", "105", "-d", words, PBX)
    at, event = seen.await_event(WITHIN, event="breach", source="203.0.113.77")
    assert at - done < WITHIN
    assert event["account"] == "105"
    deed = datetime.fromisoformat(event["time"][:26] + "+00:00").timestamp()
    assert at - deed < WITHIN

    code, summary = seen.end(signal.SIGTERM)
    assert code == 0
    assert summary["dropped"] == 0
    assert {campaign["outcome"] for campaign in summary["campaigns"]} >= {"breached"}
    assert summary["totals"]["attackers"] == 2
