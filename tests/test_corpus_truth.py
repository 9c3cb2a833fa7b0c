"""Real captures: every message of the ground truth over UDP, TCP and WebSocket is read, and none beyond it."""

import importlib.util
import shutil
import sys

import pytest
from needs import ROOT, corpus

SMALL = "sipcapture__heplify/sip_tcp_websocket.pcap"


def load():
    spec = importlib.util.spec_from_file_location("benchmark_corpus", ROOT / "benchmarks" / "corpus.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


benchmark = load()


def copy(folder, change=lambda text: text):
    """Copy the small capture and its truth, changed, into a folder."""
    shutil.copy(corpus(SMALL), folder / "small.pcap")
    (folder / "small.pcap.sip.tsv").write_text(change(corpus(f"{SMALL}.sip.tsv").read_text()))
    return benchmark.compare(folder / "small.pcap", "small.pcap", 61)


@pytest.mark.slow
def test_all_agrees_with_the_truth(capsys):
    agreements = benchmark.compare_all(corpus("MANIFEST.csv").parent)

    assert len(agreements) == 62
    assert sum(agreement.truth for agreement in agreements) == 4222
    assert [deviation.words() for agreement in agreements for deviation in agreement.unexplained] == []
    assert [agreement.capture for agreement in agreements if agreement.fates != agreement.packets] == []
    assert benchmark.show(agreements, benchmark.read_torture()) == 0
    assert "UNEXPLAINED" not in capsys.readouterr().out


def test_valid_torture_messages_are_read():
    corpus("torture")
    read = benchmark.read_torture()
    assert len(read) == 13
    assert benchmark.count_wrong([], read) == 0


def test_every_explanation_is_needed():
    corpus("torture")
    assert set(benchmark.TORTURE) == {(name, wrong) for name, wrong in benchmark.read_torture().items() if wrong}


def test_the_truth_agrees_with_itself(tmp_path):
    agreement = copy(tmp_path)
    assert (agreement.truth, agreement.ours, agreement.equal, agreement.deviations) == (39, 39, 39, [])


@pytest.mark.parametrize(
    ("old", "new"), [("SIP.js/0.11.5", "SIP.js/0.11.6"), ("\t8080\t", "\t8081\t"), ("14 OPTIONS", "15 OPTIONS")]
)
def test_every_difference_is_told(tmp_path, old, new):
    agreement = copy(tmp_path, lambda text: text.replace(old, new, 1))
    (deviation,) = agreement.unexplained
    assert (agreement.missing, agreement.beyond) == (1, 1)
    assert (len(deviation.truth), len(deviation.ours)) == (1, 1)
    assert benchmark.count_wrong([agreement], {}) == 1


def test_a_message_too_many_is_told(tmp_path):
    agreement = copy(tmp_path, lambda text: "\n".join(text.splitlines()[:-1]) + "\n")
    assert (agreement.missing, agreement.beyond, len(agreement.unexplained)) == (0, 1, 1)


def test_a_packet_without_a_fate_is_told(tmp_path):
    agreement = copy(tmp_path)
    agreement.packets += 1
    assert benchmark.count_wrong([agreement], {}) == 1


def test_a_valid_message_that_is_not_read_is_told():
    assert benchmark.count_wrong([], {"esc01.dat": "no method"}) == 1
    assert benchmark.count_wrong([], {"dblreq.dat": "bytes after the message (451 bytes)"}) == 1
