"""The captures that speed is measured on are what they say."""

import subprocess

import pytest
from needs import program

from analyzer.analysis import read_captures
from benchmarks.generate import PROFILES, generate

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
