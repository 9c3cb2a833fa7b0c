"""NDJSON in the manner of Suricata's EVE: a sip event for each message, and an alert for each attack."""

import json
from typing import TYPE_CHECKING, Any, BinaryIO

import pandas as pd

from analyzer.responses import phrase
from analyzer.sharing.lines import chunks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.sharing import Told

SEVERITY = {"breached": 1, "answered": 1, "rang": 2, "accounts-found": 2}
"""Severity by outcome: 1 is the highest; 3 for others."""
RULES = {
    "tool": 1, "sweep": 2, "enumeration": 3, "password-guessing": 4, "toll-fraud": 5, "ghost-call": 6, "flood": 7,
    "exploit": 8, "probe": 9,
}  # fmt: skip
"""signature_id by kind, beside GROUP."""
GROUP = 5060
"""gid of our alerts: Suricata's own rules have 1."""
PROTOCOLS = {"udp": "UDP", "tcp": "TCP", "ws": "TCP"}
_SHOWN = ["time", "capture", "packet", "transport", "source", "source_port", "destination", "destination_port",
          "method", "status", "uri", "call_id", "from_user", "to_user", "user_agent"]  # fmt: skip


def write_eve(told: "Told", file: BinaryIO) -> None:
    """Write the messages in the order of time, then the attacks."""
    for rows in chunks(told.analysis.messages[_SHOWN]):
        _write((_message(row) for row in rows.to_dict("records")), file)
    for rows in chunks(told.analysis.attacks):
        _write((_alert(row) for row in rows.to_dict("records")), file)


def _write(events: "Iterable[dict[str, Any]]", file: BinaryIO) -> None:
    file.write("".join(f"{json.dumps(event)}\n" for event in events).encode())


def _time(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}+0000"


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts that are not missing."""
    return {name: value for name, value in facts.items() if not pd.isna(value)}


def _message(row: dict[Any, Any]) -> dict[str, Any]:
    facts = {"method": row["method"], "version": "SIP/2.0"}
    if pd.isna(row["status"]):
        if isinstance(row["uri"], str) and isinstance(row["method"], str):
            facts |= {"uri": row["uri"], "request_line": f"{row['method']} {row['uri']} SIP/2.0"}
    else:
        code, reason = str(row["status"]), phrase(int(row["status"]))
        facts |= {"code": code, "reason": reason, "response_line": f"SIP/2.0 {code} {reason}".rstrip()}
    names = ("call_id", "from_user", "to_user", "user_agent")
    return {
        "timestamp": _time(row["time"]),
        "event_type": "sip",
        "pcap_cnt": row["packet"],
        "pcap_filename": row["capture"],
        **_ends(row),
        "proto": PROTOCOLS.get(row["transport"], "UDP"),
        "app_proto": "sip",
        "sip": _known({**facts, **{name: row[name] for name in names}}),
    }


def _ends(row: dict[Any, Any]) -> dict[str, Any]:
    return _known(
        {
            "src_ip": row["source"], "src_port": row["source_port"], "dest_ip": row["destination"],
            "dest_port": row["destination_port"],
        }
    )  # fmt: skip


def _alert(row: dict[Any, Any]) -> dict[str, Any]:
    outcome = row["outcome"] if isinstance(row["outcome"], str) else "no-reply"
    packet = row["decisive"] if not pd.isna(row["decisive"]) else next(iter(row["evidence"]), None)
    facts = {"campaign": row["campaign"], "tool": row["tool"], "technique": row["technique"], "outcome": outcome}
    return {
        "timestamp": _time(row["start"]),
        "event_type": "alert",
        **_known({"pcap_cnt": packet, "pcap_filename": row["capture"]}),
        "src_ip": row["source"],
        **({"dest_ip": row["targets"][0]} if row["targets"] else {}),
        "app_proto": "sip",
        "alert": {
            "action": "allowed",
            "gid": GROUP,
            "signature_id": RULES.get(row["kind"], 0),
            "rev": 1,
            "signature": f"sipscope {row['kind']}: {outcome}",
            "category": "SIP scan",
            "severity": SEVERITY.get(outcome, 3),
            "metadata": {name: [str(value)] for name, value in _known(facts).items()},
        },
    }
