"""Small analyses in one call: who attacks, who telephones, who serves, and what was seen of each."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd

from analyzer.analysis import Analysis
from analyzer.tables import TABLES

START = pd.Timestamp("2026-11-22T09:00Z")
EMPTY = {name: table.empty() for name, table in TABLES.items()}
WORDS = (
    "capture", "transport", "source", "destination", "method", "uri_user", "to_user", "auth_user", "from_user",
    "user_agent", "proof",
)  # fmt: skip
FLAGS = ("authorized", "rang", "in_dialog", "from_server")
NUMBERS = ("status", "answer")
MESSAGE = {
    "capture": "test.pcap", "transport": "udp", "source": "45.9.0.1", "destination": "185.3.0.5", "method": "OPTIONS",
    "uri_user": None, "to_user": None, "auth_user": None, "from_user": None, "user_agent": None, "proof": None,
    "uri": "sip:185.3.0.5", "call_id": None, "authorized": False, "rang": False, "in_dialog": False,
    "from_server": False, "status": None, "answer": None, "time": START, "source_port": 5060, "destination_port": 5060,
}  # fmt: skip
ATTACK = {
    "attack": "a1", "kind": "toll-fraud", "campaign": "k7f2", "tool": None, "start": START,
    "end": START + pd.Timedelta("1h"), "messages": 10, "targets": ["185.3.0.5"], "accounts": [], "numbers": [],
    "prefixes": [], "passwords": [], "outcome": "rejected", "found": [], "breached": [], "answered": [],
    "confidence": 0.9, "technique": "T1496", "capture": "test.pcap", "evidence": [], "decisive": None, "keys": [],
}  # fmt: skip
SOURCE = {
    "verdict": "innocent", "why": "", "proven": None, "first": START, "last": START, "requests": 1, "methods": [],
    "answers": [], "targets": [], "accounts": [], "user_agents": [], "tools": [], "campaign": None, "allowed": None,
    "country": None, "country_name": None, "asn": None, "network": None, "remarks": [],
}  # fmt: skip


def _frame(rows, defaults):
    """Return rows as a table of the columns that are used, in their dtypes; faster than conform() for a few rows."""
    columns = {}
    for name, default in defaults.items():
        values = [row.get(name, default) for row in rows]
        if name in WORDS:
            columns[name] = pd.Categorical(values)
        elif name in FLAGS:
            columns[name] = np.array(values, np.bool_)
        elif name in NUMBERS:
            mask = np.array([value is None for value in values], np.bool_)
            columns[name] = pd.arrays.IntegerArray(np.array([value or 0 for value in values], np.int64), mask)
        elif isinstance(default, list):
            cells = np.empty(len(values), object)
            cells[:] = values
            columns[name] = cells
        elif name == "call_id":
            columns[name] = pd.array(values, dtype="str")
        else:
            columns[name] = values
    return pd.DataFrame(columns)


def messages(rows):
    """Return a table of messages; each row says what differs from an OPTIONS of 45.9.0.1 to 185.3.0.5."""
    if not rows:
        return EMPTY["messages"]
    table = _frame(rows, MESSAGE)
    table["packet"] = [row.get("packet", number) for number, row in enumerate(rows, 1)]
    return table


def analysis(rows=(), attacks=(), sources=(), campaigns=()):
    """Return an analysis of these rows, of which each says what differs from the ordinary."""
    return Analysis(
        **EMPTY
        | {
            "messages": messages(list(rows)),
            "attacks": _frame(list(attacks), {"source": "45.9.0.1", **ATTACK}) if attacks else EMPTY["attacks"],
            "sources": _frame(list(sources), {"source": "45.9.0.1", **SOURCE}) if sources else EMPTY["sources"],
            "campaigns": pd.DataFrame(list(campaigns)) if campaigns else EMPTY["campaigns"],
        }
    )


class Scene:
    """A capture in the making: who is added sends messages and is judged."""

    def __init__(self):
        self.rows, self.attacks, self.sources = [], {}, {}
        self._serial = itertools.count(1)

    def add(self, source, **columns):
        """Add a message of a source; return its packet number."""
        packet = len(self.rows) + 1
        self.rows.append({"source": source, "packet": packet, **columns})
        self.sources.setdefault(source, {"source": source})
        return packet

    def attacker(self, source, *, proven=True, target="185.3.0.5", **attack):
        """Add calls that are refused, each with an ACK that proves it, or without, and the attack that they are."""
        call = f"attack-{next(self._serial)}"
        packet = self.add(source, method="INVITE", uri_user="900441", call_id=call, destination=target, answer=404)
        if proven:
            self.add(source, method="ACK", call_id=call, destination=target, proof="an ACK with the server's tag")
        self.accuse(source, evidence=[packet], targets=[target], **attack)
        return self

    def accuse(self, source, **attack):
        """Say that a source attacks."""
        self.attacks.setdefault(source, []).append({"source": source, **attack})
        self.sources.setdefault(source, {"source": source})["verdict"] = "attacking"
        return self

    def telephone(self, source, account="101", target="185.3.0.5"):
        """Add a telephone that registers with credentials, which proves its address."""
        call = f"phone-{next(self._serial)}"
        self.add(source, method="REGISTER", to_user=account, call_id=call, destination=target, answer=401)
        self.add(
            source, method="REGISTER", to_user=account, auth_user=account, authorized=True, call_id=call,
            destination=target, answer=200, proof="credentials for the server's nonce",
        )  # fmt: skip
        self.sources[source]["proven"] = "credentials for the server's nonce"
        return self

    def server(self, source, peer="45.200.0.9"):
        """Add a server of ours, that asks others."""
        self.add(source, method="OPTIONS", destination=peer, from_server=True, call_id=f"s-{next(self._serial)}")
        return self

    def claim(self, source, **columns):
        """Say more of a source."""
        self.sources.setdefault(source, {"source": source}).update(columns)
        return self

    def analysis(self):
        """Return the analysis."""
        attacks = [attack for attacks in self.attacks.values() for attack in attacks]
        return analysis(self.rows, attacks, list(self.sources.values()))


def without_messages(told):
    """Return an analysis of which the messages are not at hand."""
    return replace(told, messages=EMPTY["messages"])
