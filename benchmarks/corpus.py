"""How well real captures are read: `python benchmarks/corpus.py`.

Compares the messages table of every capture of ../shared/corpus with the ground truth that TShark made of it: each
SIP message over UDP, TCP or WebSocket that is not quoted by an ICMP error, by its packet, its addresses and ports, its
method or status, Call-ID, CSeq, User-Agent and Server. Prints how many there are and how many agree, whether the fates
of the packets add up to what capinfos (or, without it, the manifest) counts, and then each deviation with its reason.
SIP over SCTP is not decoded: it is counted apart. Ends with 1 if a deviation is unexplained, a packet has no fate, or
a valid message of RFC 4475 is not read.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT.parent / "shared" / "corpus"
TRANSPORTS = ("udp", "tcp", "ws")
COLUMNS = (
    "transport", "source", "source_port", "destination", "destination_port", "method", "status", "call_id", "cseq",
    "user_agent", "server",
)  # fmt: skip
"""The columns that must equal the truth, byte by byte; missing is ""."""


class Deviation(NamedTuple):
    """A packet of which our messages are not those of the truth."""

    capture: str
    packet: int
    truth: tuple[tuple[str, ...], ...]
    """The messages of the truth that we lack, as COLUMNS."""
    ours: tuple[tuple[str, ...], ...]
    """Our messages that the truth lacks, as COLUMNS."""

    def words(self) -> str:
        """Return what deviates, on one line per message."""
        lacking = [f"    truth: {' | '.join(row)}" for row in self.truth]
        surplus = [f"    ours:  {' | '.join(row)}" for row in self.ours]
        return "\n".join([f"{self.capture}, packet {self.packet:,}", *lacking, *surplus])


EXPLAINED: dict[Deviation, str] = {}
"""Each known deviation, byte by byte, and why the truth is wrong or says the same in other words.

There are none: this truth was made such that TShark is not wrong about UDP port 1293 and TCP port 6060."""


@dataclass
class Agreement:
    """How one capture is read."""

    capture: str
    truth: int = 0
    """Messages of the ground truth over UDP, TCP and WebSocket."""
    ours: int = 0
    equal: int = 0
    sctp: int = 0
    """Messages of the ground truth over SCTP, which is set aside."""
    fates: int = 0
    """Packets that have a fate."""
    packets: int = 0
    """Packets that there are."""
    deviations: list[Deviation] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Messages of the truth that we lack, or have otherwise."""
        return self.truth - self.equal

    @property
    def beyond(self) -> int:
        """Our messages that the truth lacks, or has otherwise."""
        return self.ours - self.equal

    @property
    def unexplained(self) -> list[Deviation]:
        """The deviations that nobody has explained."""
        return [deviation for deviation in self.deviations if deviation not in EXPLAINED]

    def row(self) -> str:
        """Return the line of the table."""
        fates = f"{self.fates:,}" if self.fates == self.packets else f"{self.fates:,} of {self.packets:,}!"
        numbers = f"{self.truth:>6,} {self.ours:>6,} {self.equal:>6,} {self.missing:>7,} {self.beyond:>6,} {fates:>8}"
        return f"{self.capture:<70} {numbers}" + (f"  and {self.sctp} over sctp" if self.sctp else "")


HEADING = f"{'capture':<70} {'truth':>6} {'ours':>6} {'equal':>6} {'missing':>7} {'beyond':>6} {'fates':>8}"


def read_truth(capture: Path) -> tuple[dict[int, Counter[tuple[str, ...]]], int]:
    """Return the messages of the ground truth, by packet, as COLUMNS, and how many more SCTP carries."""
    truth: dict[int, Counter[tuple[str, ...]]] = {}
    path = capture.with_name(f"{capture.name}.sip.tsv")
    if not path.exists():
        return truth, 0
    sctp = 0
    with path.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["in_icmp"] != "0":
                continue
            if row["transport"] not in TRANSPORTS:
                sctp += 1
                continue
            truth.setdefault(int(row["frame.number"]), Counter())[_columns(row)] += 1
    return truth, sctp


def _columns(row: dict[str, str]) -> tuple[str, ...]:
    """Return a row of the truth as COLUMNS."""
    cseq, _, method = row["sip.CSeq"].partition(" ")
    ends = (row["ip.src"], row["srcport"], row["ip.dst"], row["dstport"])
    named = (row["sip.Method"] or method, row["sip.Status-Code"], row["sip.Call-ID"], cseq)
    return (row["transport"], *ends, *named, row["sip.User-Agent"], row["sip.Server"])


def sort_ours(messages: "pd.DataFrame") -> dict[int, Counter[tuple[str, ...]]]:
    """Return our messages, by packet, as COLUMNS."""
    columns = [messages[name].astype("object") for name in COLUMNS]
    texts = [
        ["" if gone else str(value) for value, gone in zip(column, column.isna(), strict=True)] for column in columns
    ]
    ours: dict[int, Counter[tuple[str, ...]]] = {}
    for packet, *row in zip(messages["packet"].tolist(), *texts, strict=True):
        ours.setdefault(packet, Counter())[tuple(row)] += 1
    return ours


def compare(capture: Path, name: str, packets: int) -> Agreement:
    """Read a capture and compare it with its ground truth."""
    from analyzer.analysis import read_captures

    reading = read_captures(capture)
    truth, sctp = read_truth(capture)
    ours = sort_ours(reading.messages)
    found = Agreement(name, sctp=sctp, fates=int(reading.fates["packets"].sum()), packets=packets)
    for packet in sorted(truth.keys() | ours.keys()):
        theirs, own = truth.get(packet, Counter()), ours.get(packet, Counter())
        found.truth += theirs.total()
        found.ours += own.total()
        found.equal += (theirs & own).total()
        if theirs != own:
            lacking, surplus = theirs - own, own - theirs
            found.deviations.append(
                Deviation(name, packet, tuple(sorted(lacking.elements())), tuple(sorted(surplus.elements())))
            )
    return found


def count_packets(capture: Path, listed: int) -> int:
    """Return how many packets capinfos counts in a capture; without capinfos, what the manifest lists."""
    program = shutil.which("capinfos", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin")
    if program is None:
        return listed
    done = subprocess.run([program, "-c", "-M", "-T", "-r", capture], capture_output=True, text=True, check=True)
    counted = int(done.stdout.split("\t")[1])
    return counted if counted == listed else -1


def compare_all(corpus: Path = CORPUS) -> list[Agreement]:
    """Return how each capture of the corpus is read, in the order of its manifest."""
    with (corpus / "MANIFEST.csv").open(newline="") as manifest:
        rows = list(csv.DictReader(manifest))
    return [
        compare(corpus / row["file"], row["file"], count_packets(corpus / row["file"], int(row["packets"])))
        for row in rows
    ]


def read_torture(corpus: Path = CORPUS) -> dict[str, str]:
    """Return what is wrong with the valid messages of RFC 4475 3.1.1, by file: "" where nothing is."""
    return {path.name: _read_torture(path) for path in sorted((corpus / "torture").glob("*.dat"))}


def _read_torture(path: Path) -> str:
    """Say what is wrong with a message that is sent alone over UDP."""
    import numpy as np

    from analyzer.engines import Packets
    from analyzer.sip.parser import parse

    payload = path.read_bytes()
    address = np.array([[0, 0xFFFF_C000_0201]], np.uint64)
    packets = Packets(
        data=np.frombuffer(payload, np.uint8), number=np.ones(1, np.int64), time=np.zeros(1, np.int64),
        transport=np.zeros(1, np.uint8), ttl=np.full(1, 64, np.uint8), source=address,
        source_port=np.full(1, 5060, np.uint16), destination=address, destination_port=np.full(1, 5060, np.uint16),
        start=np.zeros(1, np.int64), length=np.full(1, len(payload)), missing=np.zeros(1, np.int64), captured=1,
    )  # fmt: skip
    messages, anomalies = parse(packets, capture=path.name)
    absent = [name for name in ("method", "call_id", "cseq", "from_host", "to_host") if messages[name].isna().any()]
    told = [f"{reason} ({detail})" for reason, detail in zip(anomalies["reason"], anomalies["detail"], strict=True)]
    return "; ".join([*(f"no {name}" for name in absent), *told])


TORTURE = {
    ("dblreq.dat", "bytes after the message (450 bytes)"): (
        "right: a second request follows the first in one datagram, and is to be ignored (3.1.1.8)"
    ),
    ("intmeth.dat", "control character (byte 7 at offset 234)"): (
        "right: the display name of To holds BEL, which a backslash allows (3.1.1.2); it is shown, not refused"
    ),
}
"""What is said of valid messages of RFC 4475 beside reading them, and why that is right."""


def show(agreements: Iterable[Agreement], torture: dict[str, str]) -> int:
    """Print the tables and the deviations; return how much is wrong and not explained."""
    agreements = list(agreements)
    total = Agreement("all")
    print(HEADING)
    for agreement in agreements:
        print(agreement.row())
        for name in ("truth", "ours", "equal", "sctp", "fates", "packets"):
            setattr(total, name, getattr(total, name) + getattr(agreement, name))
    print(total.row())
    for deviation in (deviation for agreement in agreements for deviation in agreement.deviations):
        print(f"\n{deviation.words()}\n    {EXPLAINED.get(deviation, 'UNEXPLAINED')}")
    print(f"\nRFC 4475: {len(torture)} valid messages")
    for name, wrong in torture.items():
        print(f"    {name:<16} {wrong or 'read whole'}")
        if wrong:
            print(f"    {'':<16} {TORTURE.get((name, wrong), 'UNEXPLAINED')}")
    return count_wrong(agreements, torture)


def count_wrong(agreements: Iterable[Agreement], torture: dict[str, str]) -> int:
    """Return how many deviations are unexplained, packets without a fate, and valid messages not read whole."""
    agreements = list(agreements)
    fateless = sum(agreement.fates != agreement.packets for agreement in agreements)
    unread = sum(bool(wrong) and (name, wrong) not in TORTURE for name, wrong in torture.items())
    return sum(len(agreement.unexplained) for agreement in agreements) + fateless + unread


def main() -> int:
    """Print the agreement with the corpus; return 1 if a deviation is unexplained, 2 without the corpus."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    if not (CORPUS / "MANIFEST.csv").exists():
        print(f"the corpus of real captures is missing: {CORPUS}", file=sys.stderr)
        return 2
    wrong = show(compare_all(), read_torture())
    print(f"\n{wrong} unexplained" if wrong else "\nall agrees, but for what is explained")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
