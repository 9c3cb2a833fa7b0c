"""Synthetic analyses for the tests of reports and exports."""

import pandas as pd
from factories import answers, capture_of, messages

from analyzer.analysis import Analysis
from analyzer.tables import COUNT, LIST, NUMBER, TABLES, TEXT, TIME, WORD


def analysis(**tables):
    """Return an analysis of the tables given, as frames or as lists of rows; the others are empty."""
    whole = {}
    for name, table in TABLES.items():
        rows = tables.get(name, [])
        whole[name] = table.conform(
            pd.DataFrame(rows, index=range(len(rows))) if isinstance(rows, list) else rows, missing=True
        )
    return Analysis(**whole)


def capture(**columns):
    """Return a row of captures."""
    return {
        "capture": "test.pcap",
        "format": "pcap",
        "bytes": 1000,
        "packets": 10,
        "messages": 0,
        "start": "2026-11-22T09:14:05Z",
        "end": "2026-11-22T11:02:41Z",
        **columns,
    }


def fate(fate, reason, packets, capture="test.pcap"):
    """Return a row of fates."""
    return {"capture": capture, "fate": fate, "reason": reason, "packets": packets}


def guesses(count=3, *, account="101", source="10.77.0.2", start="2026-11-22T09:41:00Z", right="secret99"):
    """Return guesses of which the last is right, one a second, and the answers to them."""
    tries = messages(
        count,
        start=start,
        source=source,
        destination="10.77.0.100",
        method="REGISTER",
        authorized=True,
        auth_user=account,
        from_user=account,
        user_agent="friendly-scanner",
        tool="sipvicious",
        tag_password=[f"guess-{i}" for i in range(count - 1)] + [right],
    )
    tries["answer"] = pd.array([401] * (count - 1) + [200], dtype="Int64")
    replies = answers(tries)
    replies["status"] = tries["answer"]
    tries["answer_packet"] = replies["packet"].astype("Int64")
    return capture_of(tries, replies)


def call(dialled="900442037690880", *, source="10.77.0.3", start="2026-11-22T10:12:39Z", talked=41):
    """Return a call that is answered after a second, and ends after so many seconds."""
    invite = messages(
        1,
        start=start,
        source=source,
        destination="10.77.0.100",
        method="INVITE",
        uri_user=dialled,
        call_id=f"c-{dialled}",
    )
    answer = answers(invite, delay="1s")
    invite["answer"] = pd.array([200], dtype="Int64")
    invite["answer_packet"] = answer["packet"].astype("Int64")
    later = pd.Timestamp(start) + pd.Timedelta(seconds=1 + (talked or 0))
    bye = messages(1, start=later, source=source, destination="10.77.0.100", method="BYE", call_id=f"c-{dialled}")
    return capture_of(invite, answer, bye) if talked is not None else capture_of(invite, answer)


def attacked():
    """Return an analysis with a breach, an answered call, three campaigns and two kinds of bystanders."""
    cracked, called = guesses(), call()
    start, end = "2026-11-22T09:14:00Z", "2026-11-22T09:41:30Z"
    later = {"start": "2026-11-22T09:50:00Z", "end": "2026-11-22T10:58:00Z"}
    attacks = [
        {
            "attack": "a1",
            "kind": "password-guessing",
            "source": "10.77.0.2",
            "campaign": "k7f2",
            "tool": "sipvicious",
            "start": start,
            "end": end,
            "messages": 812,
            "targets": ["10.77.0.100"],
            "accounts": ["101"],
            "passwords": ["101:secret99"],
            "outcome": "breached",
            "breached": ["101"],
            "confidence": 1.0,
            "technique": "T1110.001",
            "capture": "test.pcap",
            "evidence": [1, 2],
            "decisive": 2,
        },
        {
            "attack": "a2",
            "kind": "toll-fraud",
            "source": "10.77.0.3",
            "campaign": "m3qd",
            "tool": "sipp",
            **later,
            "messages": 12,
            "targets": ["10.77.0.100"],
            "numbers": ["442037690880"],
            "prefixes": ["00", "900", "9011"],
            "outcome": "answered",
            "answered": ["900442037690880"],
            "confidence": 0.9,
            "technique": "T1496",
            "capture": "test.pcap",
            "evidence": [3],
        },
        {
            "attack": "a3",
            "kind": "sweep",
            "source": "10.77.0.9",
            "campaign": "p0aa",
            "tool": None,
            "start": start,
            "end": start,
            "messages": 300,
            "targets": [f"10.0.0.{i}" for i in range(254)],
            "outcome": "rejected",
            "confidence": 0.7,
        },
    ]
    campaigns = [
        {
            "campaign": "p0aa",
            "title": "an unknown tool: sweep",
            "kinds": ["sweep"],
            "sources": ["10.77.0.9"],
            "start": start,
            "end": start,
            "targets": [f"10.0.0.{i}" for i in range(254)],
            "messages": 300,
            "outcome": "rejected",
        },
        {
            "campaign": "m3qd",
            "title": "toll fraud to +44 20 3769 0880 through 00, 900, 9011",
            "kinds": ["toll-fraud"],
            "sources": ["10.77.0.3", "10.77.0.4"],
            "tools": ["sipp"],
            "targets": ["10.77.0.100"],
            **later,
            "messages": 12,
            "numbers": ["442037690880"],
            "prefixes": ["00", "900", "9011"],
            "outcome": "answered",
            "answered": ["900442037690880"],
            "reasons": ["the same number", "the same leaked address 192.168.77.9"],
            "confidence": 0.9,
        },
        {
            "campaign": "k7f2",
            "title": "SIPVicious: sweep, enumeration, password guessing",
            "sources": ["10.77.0.2"],
            "kinds": ["sweep", "enumeration", "password-guessing"],
            "tools": ["sipvicious"],
            "targets": ["10.77.0.100"],
            "start": start,
            "end": end,
            "accounts": ["100", "101"],
            "passwords": ["101:secret99"],
            "messages": 900,
            "outcome": "breached",
            "breached": ["101"],
            "confidence": 1.0,
        },
    ]
    sources = [
        {
            "source": "10.77.0.2",
            "verdict": "attacking",
            "why": "guesses passwords",
            "proven": "answered a challenge",
            "campaign": "k7f2",
            "requests": 812,
            "first": start,
            "last": end,
            "tools": ["sipvicious"],
        },
        {"source": "10.77.0.3", "verdict": "attacking", "why": "toll fraud", "campaign": "m3qd", "requests": 12},
        {"source": "10.77.0.4", "verdict": "attacking", "why": "toll fraud", "campaign": "m3qd", "requests": 12},
        {"source": "10.77.0.9", "verdict": "attacking", "why": "sweep", "campaign": "p0aa", "requests": 300},
        {"source": "10.77.0.50", "verdict": "innocent", "why": "a phone", "requests": 20},
        {"source": "10.77.0.51", "verdict": "innocent", "why": "a phone", "requests": 20},
        {"source": "10.77.0.60", "verdict": "suspicious", "why": "unknown User-Agent", "requests": 2},
    ]
    return analysis(
        messages=capture_of(cracked, called),
        attacks=attacks,
        campaigns=campaigns,
        sources=sources,
        captures=[capture(packets=330, dropped=0)],
        fates=[fate("message", None, 14), fate("set-aside", "tcp", 312), fate("set-aside", "fragment", 4)],
        anomalies=[
            {"time": start, "capture": "test.pcap", "packet": 7, "reason": "bad-content-length", "detail": "longer"}
        ],
    )


HOSTILE = [
    "<script>alert(1)</script>",
    '"onload="alert(1)',
    "'><img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egnp.exe",
    "a\x00b",
    "x" * 100_000,
    "\\x41",
    "$x^2$ \\frac{1}",
    "two\nlines",
    "{{ 7 * 7 }}{% raw %}",
    "日本語 \U0001f600",
    "]]></style>--></svg>",
    "_hidden",
    "a;b,c",
]
"""What attackers may write into any text."""


def hostile(name):
    """Return a table with a row for each hostile text, in every column that takes text."""
    table = TABLES[name]
    columns = {}
    for column in table.contract.values():
        if column.dtype in {WORD, TEXT}:
            columns[column.name] = HOSTILE
        elif column.dtype == LIST:
            columns[column.name] = [[text, "b"] for text in HOSTILE]
        elif column.dtype == TIME:
            columns[column.name] = pd.date_range("2026-11-22T09:00Z", periods=len(HOSTILE), freq="1s", unit="ns")
        elif column.dtype in {COUNT, NUMBER}:
            columns[column.name] = range(1, len(HOSTILE) + 1)
    return table.conform(pd.DataFrame(columns), missing=True)


def hostile_analysis():
    """Return an analysis of nothing but hostile text, with breaches, calls and every verdict in it."""
    tables = {name: hostile(name) for name in TABLES}
    count = len(HOSTILE)
    tables["messages"] = tables["messages"].assign(
        status=pd.array([None, 200] * (count // 2), dtype="Int64"),
        answer=pd.array([200, None] * (count // 2), dtype="Int64"),
        method=pd.Categorical(["INVITE", "REGISTER", *HOSTILE[2:]]),
        authorized=True,
    )
    tables["attacks"]["outcome"] = pd.Categorical(["breached", "answered", *HOSTILE[2:]])
    tables["attacks"]["evidence"] = [[1, 2]] * count
    tables["sources"]["verdict"] = pd.Categorical(["attacking", "suspicious", "innocent", *HOSTILE[3:]])
    tables["fates"]["fate"] = pd.Categorical(["message", "set-aside", "unreadable", *HOSTILE[3:]])
    tables["anomalies"]["packet"] = [0, 0, *range(2, count)]
    return Analysis(**tables)
