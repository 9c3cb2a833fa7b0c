"""TCP streams as a whole: the ground truth of real captures, and a million segments."""

import csv
import dataclasses
import time as clock

import numpy as np
import pandas as pd
import pytest
from needs import CORPUS, corpus
from sip.segments import ACK, CLIENT, START, message, segments

from analyzer.engines import ENGINES
from analyzer.sip.assembly import merge
from analyzer.sip.parser import parse
from analyzer.sip.streams import Streams

# --- the ground truth of the corpus

TRUTH = sorted(
    str(path.relative_to(CORPUS)).removesuffix(".sip.tsv")
    for path in CORPUS.glob("*/*.sip.tsv")
    if "\ttcp\t" in path.read_text("latin-1") or "\tws\t" in path.read_text("latin-1")
)
COLUMNS = {
    "ip.src": "source", "ip.dst": "destination", "srcport": "source_port", "dstport": "destination_port",
    "method": "method", "sip.Status-Code": "status", "sip.Call-ID": "call_id", "cseq": "cseq",
    "sip.User-Agent": "user_agent", "sip.Server": "server", "transport": "transport",
}  # fmt: skip


@pytest.mark.parametrize("capture", TRUTH)
def test_messages_are_those_of_the_truth(capture):
    with corpus(f"{capture}.sip.tsv").open(newline="") as file:
        truth = [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row["transport"] in
                 ("tcp", "ws")]  # fmt: skip
    streams = Streams()
    given_segments = [
        packets.segments for packets in ENGINES["native"](corpus(capture)) if packets.segments is not None
    ]
    parts = [*map(streams.add, given_segments), streams.finish()]
    ours = merge([parse(part, capture=capture)[0] for part in parts])
    wanted, found = [], []
    for row in truth:
        row["cseq"], _, method = row["sip.CSeq"].partition(" ")
        row["method"] = row["sip.Method"] or method
        wanted.append((int(row["frame.number"]), *(row[key] for key in COLUMNS)))
    for row in ours.to_dict("records"):
        cells = ("" if pd.isna(row[column]) else str(row[column]) for column in COLUMNS.values())
        found.append((row["packet"], *cells))

    assert sorted(found) == sorted(wanted)
    assert sum(part.captured for part in parts) == sum(map(len, given_segments))


def test_the_corpus_has_streams():
    corpus()
    assert len(TRUTH) == 9


# --- speed


def many_segments(data, sizes, order=None):
    """Return Segments of consecutive pieces of one stream, fast."""
    few = segments([(CLIENT, 0, ACK, b"")])
    count = len(sizes)
    starts = np.cumsum([0, *sizes[:-1]]) if order is None else order
    return dataclasses.replace(
        few,
        data=np.frombuffer(data, np.uint8),
        number=np.arange(1, count + 1),
        time=START + np.arange(count) * 1000,
        start=starts,
        length=np.asarray(sizes, np.int64),
        sequence=(starts + 1).astype(np.uint32),
        flags=np.full(count, ACK, np.uint8),
        **{
            name: np.repeat(getattr(few, name), count, axis=0)
            for name in ("ttl", "source", "source_port", "destination", "destination_port", "missing")
        },
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["messages", "one header", "junk", "shuffled", "holes"])
def test_a_million_segments_of_one_byte(kind):
    count = 1_000_000
    data = {"one header": b"INVITE sip:a SIP/2.0\r\nX: " + b"y" * count, "junk": b"A" * count}.get(
        kind, message(1, body=b"hello") * (count // 100)
    )[:count]
    order = np.arange(count)
    if kind == "shuffled":
        order = np.random.default_rng(1).permutation(count)
    elif kind == "holes":
        data = data * 2
        order = 2 * order
    streams = Streams()
    streams.add(segments([]))  # compiles the kernels
    begun = clock.process_time()
    parts = [streams.add(many_segments(data, np.ones(count, np.int64), order)), streams.finish()]

    assert clock.process_time() - begun < 10
    assert sum(part.captured for part in parts) == count
    assert len(streams._arena) < 50_000_000
