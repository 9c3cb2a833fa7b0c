"""The captures that speed is measured on are what they say, and the measurement is judged and told rightly."""

import argparse
import functools
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from needs import ROOT, need, program

from analyzer.analysis import read_captures
from benchmarks.generate import PROFILES, generate
from benchmarks.peers import PEERS, cut
from benchmarks.processes import Cost, FailedError, run
from benchmarks.results import BEGIN, END, Capture, Results, block_of, claims, quote, render
from benchmarks.speed import SECTIONS, Bench
from benchmarks.steps import STEPS

CHECKSUMS = [f"-o{layer}.check_checksum:TRUE" for layer in ("ip", "tcp", "udp")]


def tshark(path, *arguments):
    command = [program("tshark"), "-n", "-r", str(path), *CHECKSUMS, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module", params=list(PROFILES))
def made(request, tmp_path_factory):
    """Return a capture of a profile and what is said to be in it."""
    path = tmp_path_factory.mktemp("generated") / f"{request.param}.pcap"
    return path, generate(path, packets=20_000, profile=request.param, seed=7)


def test_sipscope_finds_every_packet_and_message_that_was_made(made):
    path, said = made
    read = read_captures(path)
    assert len(read.messages) == said.messages
    assert read.fates["packets"].sum() == said.packets == 20_000
    assert path.stat().st_size == said.bytes
    assert read.anomalies.empty
    assert read.messages["time"].is_monotonic_increasing


def test_every_answer_belongs_to_a_request(made):
    messages = read_captures(made[0]).messages
    asked = set(messages.loc[messages["status"].isna(), "branch"])
    assert set(messages.loc[messages["status"].notna(), "branch"]) <= asked


def test_tshark_understands_every_packet(made):
    path, said = made
    wrong = "_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0"
    assert tshark(path, "-Y", wrong) == []
    assert tshark(path, "-Y", "_ws.expert.severity >= 6291456") == []
    assert len(tshark(path, "-Y", "sip && !tcp.reassembled_in")) == said.messages


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        generate(tmp_path / name, messages=3_000, profile="scan", seed=seed)
    one, same, other = ((tmp_path / name).read_bytes() for name in ("one", "same", "other"))
    assert one == same != other


def test_a_capture_is_as_large_as_asked_for(tmp_path):
    path = tmp_path / "made.pcap"
    assert generate(path, messages=1_234).messages == 1_234
    assert generate(path, packets=4_321, profile="mixed").packets == 4_321
    generate(path, most_bytes=1_000_000)
    assert 999_000 <= path.stat().st_size <= 1_000_000


def test_the_share_of_sip_can_be_set(tmp_path):
    said = generate(tmp_path / "made.pcap", packets=50_000, share=0.2, profile="mixed")
    assert said.messages / said.packets == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize("compress", ["gz", "zst"])
def test_it_can_be_compressed(compress, tmp_path):
    plain, packed = tmp_path / "made.pcap", tmp_path / f"made.pcap.{compress}"
    assert generate(plain, messages=500) == generate(packed, messages=500, compress=compress)
    assert packed.stat().st_size < plain.stat().st_size / 2
    assert len(read_captures(packed).messages) == 500


def test_text_that_does_not_repeat_in_the_wild_does_not_repeat_here(tmp_path):
    generate(tmp_path / "made.pcap", messages=20_000)
    messages = read_captures(tmp_path / "made.pcap").messages
    opening = messages[messages["status"].isna() & ~messages["in_dialog"] & (messages["method"] != "ACK")]
    assert opening["branch"].nunique() > 0.95 * len(opening)  # one scanner has a fixed branch
    assert 0.3 * len(opening) < opening["call_id"].nunique()


# --- the measurement


SMALL = Capture(Path("small.pcap"), messages=1_846, packets=1_876, bytes=1_000_000)
MAIN = Capture(Path("main.pcap"), messages=1_000_000, packets=1_014_000, bytes=544_000_000)
MIXED = Capture(Path("mixed.pcap"), messages=100_000, packets=10_000_000, bytes=2_580_000_000)


def measured(**wall):
    """Return results in which every process took 1 s, but for those named."""
    names = [*PEER_NAMES, "sipscope messages", "sipscope report", "first report", "later report", "--help", "one core"]
    names += ["two cores", "mixed", "tenth", "tenth report"]
    costs = {name: Cost(wall=wall.get(name.replace(" ", "_"), 1.0), user=0.5, system=0.1, peak=10**8) for name in names}
    sizes = {"small": SMALL, "mixed": MIXED, "tenth": SMALL, "dpkt": SMALL}
    return Results(main=MAIN, costs=costs, sizes=sizes, equal=True, steps={"decode": 0.5, "whole": 1.0})


PEER_NAMES = [peer.name for peer in PEERS]


def verdict(results, what):
    (claim,) = (claim for claim in claims(results) if what in claim.what)
    return claim.holds


def test_every_figure_that_must_hold_is_judged():
    slow, fast = measured(), measured(sipscope_messages=0.009, sipscope_report=0.9, mixed=1.9, one_core=1.7)
    assert verdict(slow, "`messages` against") is False
    assert verdict(fast, "`messages` against") is True
    assert verdict(fast, "`report` against") is True
    assert verdict(fast, "-T fields") is True
    assert verdict(fast, "packets/s on one core") is True
    assert verdict(measured(mixed=2.1), "packets/s on one core") is False
    assert verdict(fast, "two cores against one") is True
    assert verdict(slow, "two cores against one") is False
    assert verdict(slow, "--help") is False
    assert verdict(slow, "first `report`") is True
    assert verdict(measured(sipscope_messages=11.5), "growth of `messages`, 100,000 to") is False
    assert verdict(slow, "4 GB with") is None


def test_the_results_name_every_peer_and_what_is_missing():
    results = measured()
    del results.costs["sipgrep -I"]
    results.missing["sipgrep -I"] = "not installed: apt-get install sipgrep"
    text = render(results, command="make bench")
    assert all(f"`{name}`" in text for name in PEER_NAMES)
    assert "- `sipgrep -I`: not installed: apt-get install sipgrep" in text
    assert "| `sipgrep -I` | missing" in block_of(text)


def test_a_peer_that_is_not_there_has_no_version(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert all(peer.version is None for peer in PEERS if not peer.library)


def test_the_readme_quotes_the_results():
    results = ROOT / "benchmarks" / "RESULTS.md"
    need(results.exists(), "benchmarks/RESULTS.md, which make bench writes,")
    assert block_of((ROOT / "README.md").read_text(encoding="utf-8")) == block_of(results.read_text(encoding="utf-8"))


def test_quoting_puts_the_block_in_its_place(tmp_path):
    document = tmp_path / "README.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    text = render(measured(), command="make bench")
    quote(text, document)
    assert document.read_text(encoding="utf-8") == f"before\n{block_of(text)}\nafter\n"


def test_a_process_is_measured_whole():
    code = "import subprocess, sys; x = bytearray(10**8); subprocess.run([sys.executable, '-c', 'sum(range(10**7))'])"
    cost = run([sys.executable, "-c", code])
    assert cost.peak > 10**8
    assert cost.wall * 1.5 + 0.2 > cost.cpu > 0.05


def test_a_process_that_fails_says_why():
    with pytest.raises(FailedError, match=r"ended with 3: oh"):
        run([sys.executable, "-c", "import sys; print('oh', file=sys.stderr); sys.exit(3)"])
    with pytest.raises(FailedError, match="No such file"):
        run(["no-such-program-anywhere"])
    with pytest.raises(FailedError, match="ended with -9"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], seconds=0.3)


def test_a_process_keeps_to_its_cores():
    core = min(os.sched_getaffinity(0))
    run([sys.executable, "-c", f"import os; assert os.sched_getaffinity(0) == {{{core}}}"], cores={core})
    assert core in os.sched_getaffinity(0)


def test_the_slice_is_the_beginning_of_the_capture(tmp_path):
    generate(tmp_path / "made.pcap", messages=300)
    assert cut(tmp_path / "made.pcap", 100, tmp_path / "cut.pcap") == 100
    assert cut(tmp_path / "made.pcap", 10_000, tmp_path / "all.pcap") >= 300
    assert (tmp_path / "all.pcap").read_bytes() == (tmp_path / "made.pcap").read_bytes()
    assert (tmp_path / "made.pcap").read_bytes().startswith((tmp_path / "cut.pcap").read_bytes())
    assert len(read_captures(tmp_path / "cut.pcap").messages) > 90


@pytest.mark.parametrize("place", [place for places in STEPS.values() for place in places])
def test_every_step_that_is_timed_exists(place):
    module, name = place.split(":")
    assert callable(functools.reduce(getattr, name.split("."), importlib.import_module(module)))


@pytest.mark.slow
def test_every_step_takes_time(tmp_path):
    generate(tmp_path / "made.pcap", messages=1_000, profile="scan")
    command = [sys.executable, "-m", "benchmarks.steps", str(tmp_path / "made.pcap"), str(tmp_path / "report")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    steps = json.loads(done.stdout)
    assert set(steps) == {*STEPS, "whole"}
    assert all(seconds > 0 for seconds in steps.values()), steps


@pytest.mark.slow
def test_the_whole_measurement_of_one_section(tmp_path):
    asked = argparse.Namespace(messages=500, packets=2_000, rounds=1, seed=1, full=False)
    bench = Bench(tmp_path, asked)
    for name in ("same-file", "cores"):
        SECTIONS[name](bench)
    present = {peer.name for peer in PEERS if peer.packets is None and peer.version}
    assert present | {"sipscope messages", "sipscope report"} <= set(bench.results.costs)
    assert bench.results.equal is not False
    assert "| `sipscope messages` |" in block_of(render(bench.results, command="x"))
