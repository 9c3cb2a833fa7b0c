"""Fuzzing: requests that are wrong in ever new ways, to find out what the server does with them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from analyzer.evidence import describe, packet_keys
from analyzer.tables import ATTACKS

FLAWS = (
    "header without colon", "bad header name", "no blank line", "missing header", "content-length too large",
    "bad content-length", "bytes after the message", "bad cseq", "cseq method differs", "repeated header",
    "not utf-8", "control character", "too many headers",
)  # fmt: skip
"""The anomalies of requests that their writer is to blame for, not the recorder."""


def mark_flaws(requests: pd.DataFrame, anomalies: pd.DataFrame) -> pd.DataFrame:
    """Return opening requests with the column flaws (int64): a bit for each of FLAWS that anomalies tell of them."""
    bit = pd.Index(FLAWS).get_indexer(pd.Index(anomalies["reason"].astype("str")))
    shown, packets = packet_keys(requests, anomalies)
    told = (bit >= 0) & (packets >= 0)
    if not told.any():
        return requests.assign(flaws=np.int64(0))
    flags = pd.DataFrame({"key": packets[told], "flag": np.left_shift(1, bit[told])}).drop_duplicates()
    masks = flags.groupby("key")["flag"].sum()
    return requests.assign(flaws=masks.reindex(shown, fill_value=0).to_numpy(dtype=np.int64))


@dataclass(frozen=True, kw_only=True)
class Fuzzing:
    """One source, many malformed requests, each malformed in another way.

    A telephone with a fault makes the same one in every request, and a conformance test (RFC 4475) asks each of its
    questions once; a fuzzer (PROTOS c07-sip, Voiper) sends hundreds that have little in common.
    """

    kind: ClassVar[str] = "exploit"
    technique: ClassVar[str] = "T1190"

    requests: int = 60
    """The malformed requests that make an attack."""
    ways: int = 5
    """How many different combinations of flaws they show at least."""
    share: float = 0.2
    """The share of malformed requests among all of the source: more than an unlucky network garbles."""
    confidence: float = 0.85
    """The confidence of an attack."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one attack for each bout of malformed requests; none if nobody marked the flaws."""
        if "flaws" not in requests:
            return ATTACKS.empty()
        rows = requests[(requests["flaws"] > 0) & ~requests["from_server"]]
        if rows.empty:
            return ATTACKS.empty()
        bout = rows.groupby("bout")
        customer = requests["accepted"].groupby(requests["bout"]).any()
        share = bout.size() / requests.groupby("bout").size()
        fuzzed = (bout.size() >= self.requests) & (bout["flaws"].nunique() >= self.ways) & (share >= self.share)
        fuzzed = fuzzed.reindex(customer.index, fill_value=False) & ~customer
        rows = rows[rows["bout"].map(fuzzed).astype(bool)]
        if rows.empty:
            return ATTACKS.empty()
        confidence = pd.Series(self.confidence, index=rows["bout"].unique())
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)
