"""NDJSON in the names of the Elastic Common Schema: an event for each message, and an alert for each attack.

The names under sip are those of Packetbeat's SIP protocol. Names are flat ("source.ip"), which Elasticsearch takes as
objects.
"""

from typing import TYPE_CHECKING, BinaryIO

import pandas as pd

from analyzer.responses import PHRASES
from analyzer.sharing.lines import chunks, party

if TYPE_CHECKING:
    from analyzer.sharing import Told

VERSION = "8.17.0"
"""The version of the schema."""
SEVERITY = {"breached": 99, "answered": 73, "rang": 47, "accounts-found": 47}
"""event.severity by outcome, on Elastic's scale; 21 for others."""


def write_ecs(told: "Told", file: BinaryIO) -> None:
    """Write the messages in the order of time, then the attacks."""
    campaign = told.analysis.sources.set_index(told.analysis.sources["source"].astype("str"))["campaign"].astype("str")
    for rows in chunks(told.analysis.messages):
        _write(_events(rows, campaign), file)
    for rows in chunks(told.analysis.attacks):
        _write(_alerts(rows), file)


def _write(frame: pd.DataFrame, file: BinaryIO) -> None:
    text = frame.to_json(orient="records", lines=True, date_format="iso", date_unit="ns")
    file.write(text.encode() if text.endswith("\n") or not text else f"{text}\n".encode())


def _events(rows: pd.DataFrame, campaign: "pd.Series[str]") -> pd.DataFrame:
    source, destination = rows["source"].astype("str"), rows["destination"].astype("str")
    request = rows["status"].isna()
    return pd.DataFrame(
        {
            "@timestamp": rows["time"], "ecs.version": VERSION, "event.kind": "event", "event.module": "sipscope",
            "event.dataset": "sipscope.messages", "event.category": [["network"]] * len(rows),
            "event.type": [["protocol", "info"]] * len(rows),
            "event.action": "sip-" + rows["method"].astype("str").str.lower(),
            "event.sequence": rows["packet"],
            "source.ip": source, "source.address": source, "source.port": rows["source_port"],
            "destination.ip": destination, "destination.address": destination,
            "destination.port": rows["destination_port"],
            "network.protocol": "sip", "network.transport": rows["transport"].astype("str").replace("ws", "tcp"),
            "network.type": source.str.contains(":", regex=False).map({True: "ipv6", False: "ipv4"}),
            "network.bytes": rows["message_bytes"],
            "user.name": rows["auth_user"].astype("str"), "user_agent.original": rows["user_agent"].astype("str"),
            "sip.type": request.map({True: "request", False: "response"}), "sip.version": "2.0",
            "sip.method": rows["method"].astype("str"), "sip.code": rows["status"],
            "sip.status": rows["status"].map(PHRASES),
            "sip.uri.original": rows["uri"], "sip.uri.username": rows["uri_user"].astype("str"),
            "sip.call_id": rows["call_id"], "sip.cseq.code": rows["cseq"],
            "sip.cseq.method": rows["method"].astype("str"),
            "sip.from.display_info": rows["from_name"].astype("str"), "sip.from.uri.original": party(rows, "from"),
            "sip.from.tag": rows["from_tag"], "sip.to.uri.original": party(rows, "to"), "sip.to.tag": rows["to_tag"],
            "sip.contact.uri.original": rows["contact"], "sip.user_agent.original": rows["user_agent"].astype("str"),
            "sip.content_length": rows["body_bytes"],
            "related.ip": list(map(list, zip(source, destination, strict=True))),
            "labels.campaign": source.map(campaign), "labels.tool": rows["tool"].astype("str"),
        }
    )  # fmt: skip


def _alerts(rows: pd.DataFrame) -> pd.DataFrame:
    source, outcome = rows["source"].astype("str"), rows["outcome"].astype("str")
    return pd.DataFrame(
        {
            "@timestamp": rows["start"], "ecs.version": VERSION, "event.kind": "alert", "event.module": "sipscope",
            "event.dataset": "sipscope.attacks", "event.category": [["intrusion_detection"]] * len(rows),
            "event.type": [["info"]] * len(rows), "event.id": rows["attack"].astype("str"),
            "event.start": rows["start"], "event.end": rows["end"], "event.action": rows["kind"].astype("str"),
            "event.outcome": outcome.isin(["breached", "answered"]).map({True: "success", False: "failure"}),
            "event.severity": outcome.map(SEVERITY).fillna(21).astype("int64"),
            "event.risk_score": rows["confidence"] * 100,
            "rule.name": rows["kind"].astype("str"), "rule.ruleset": "sipscope",
            "threat.framework": "MITRE ATT&CK", "threat.technique.id": rows["technique"].astype("str"),
            "source.ip": source, "source.address": source, "related.ip": [[address] for address in source],
            "labels.campaign": rows["campaign"].astype("str"), "labels.outcome": outcome,
            "labels.tool": rows["tool"].astype("str"),
        }
    )  # fmt: skip
