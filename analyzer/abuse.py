"""A campaign to the networks that it came from: letters to abuse desks, and the same as X-ARF.

Nothing is sent and no contact is looked up. A letter is about one network where a database of places names it, else
about one address; it holds times in UTC and lines of evidence, and no password. X-ARF is version 4.0.0
(https://xarf.org), a JSON object for each address.
"""

import base64
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from hashlib import blake2b, sha256
from textwrap import wrap
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

from analyzer.blocking import OWN, Policy, judge
from analyzer.blocking.accusations import Accusation, accusations
from analyzer.blocking.circumstances import circumstances
from analyzer.errors import SettingsError
from analyzer.exports.escape import escape
from analyzer.reports.words import count, listed, quoted

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.analysis import Analysis

WIDTH = 78
"""Columns of a letter (RFC 5322 2.1.1)."""
MIME = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
LINES = 20
"""Lines of evidence for each address."""
SHOWN = 120
"""Characters of a text from the wire that a line of evidence quotes."""
NAMED = 10
"""Addresses and User-Agents that a sentence names."""
VERSION = "4.0.0"
CLASSES = (
    ("login_attack", ("password-guessing", "enumeration")),
    ("ddos", ("flood",)),
    ("vuln_scanning", ("toll-fraud", "ghost-call", "exploit")),
    ("port_scan", ("sweep", "tool", "probe")),
)
"""The type of an X-ARF report, all of the category connection, by kind of attack; the first that fits."""
REACHED = {
    "no-reply": "no answer of ours was seen",
    "rejected": "every request was refused",
    "replied": "our server answered",
    "challenged": "our server asked for credentials",
    "accounts-found": "it found out which accounts exist",
    "rang": "telephones rang",
    "answered": "a call was put through, which may have cost money",
    "breached": "it found the password of an account",
}
_COLUMNS = (
    "time", "capture", "packet", "transport", "source", "source_port", "destination", "destination_port", "method",
    "uri", "from_user", "auth_user", "user_agent", "answer",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """Who complains."""

    organisation: str = ""
    contact: str = ""
    """An e-mail address."""

    @property
    def domain(self) -> str:
        """The domain of the e-mail address."""
        return self.contact.rpartition("@")[2]


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What one address did in a campaign."""

    accusation: Accusation
    requests: int
    targets: tuple[str, ...]
    proof: str | None
    """What proves the address; None if it may be forged."""
    network: str
    """The network that it is of, as 'AS64500 (Example)'; empty if that is not known."""
    transport: str
    source_port: int | None
    destination_port: int | None
    lines: tuple[str, ...]

    @property
    def source(self) -> str:
        """The address."""
        return self.accusation.source


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """A campaign and what each of its addresses did; those that may be forged are left out, unless asked for."""

    campaign: str
    title: str
    deeds: tuple[Deed, ...]
    left_out: tuple[str, ...]
    """Addresses that may be forged."""
    ours: tuple[str, ...] = ()
    """Addresses that are left out because they look like servers of ours; none that was asked for by name."""


def complain(
    analysis: "Analysis", campaign: str, *, sources: Collection[str] = (), spoofable: bool = False
) -> Complaint:
    """Return what the addresses of a campaign did.

    Args:
        analysis: what captures were analysed to.
        campaign: the id of a campaign.
        sources: the addresses to complain of; all of the campaign without.
        spoofable: also complain of addresses that may be forged.

    Raises SettingsError if there is no such campaign, or an address is none of it.
    """
    chosen = analysis.campaigns[analysis.campaigns["campaign"] == campaign]
    if chosen.empty:
        known = listed(map(quoted, analysis.campaigns["campaign"]), NAMED) or "none"
        raise SettingsError(f"there is no campaign '{escape(campaign, limit=SHOWN)}'; there are {known}")
    row = chosen.iloc[0]
    if strange := sorted(set(sources) - set(row["sources"])):
        raise SettingsError(f"'{escape(strange[0], limit=SHOWN)}' took no part in campaign {quoted(campaign)}")
    attacks = analysis.attacks[analysis.attacks["campaign"] == campaign]
    theirs = _Part(analysis, attacks)
    asked = [source for source in theirs.accused if not sources or source in sources]
    accused = [source for source in asked if source in sources or source not in theirs.ours]
    sure = [source for source in accused if spoofable or source in theirs.proofs]
    return Complaint(
        campaign=campaign,
        title=str(row["title"]),
        deeds=tuple(theirs.deed(source) for source in sure),
        left_out=tuple(source for source in accused if source not in sure),
        ours=tuple(source for source in asked if source not in accused),
    )


class _Part:
    """The attacks of one campaign, and the messages that prove them."""

    def __init__(self, analysis: "Analysis", attacks: "pd.DataFrame") -> None:
        from dataclasses import replace

        self.attacks = attacks
        part = replace(analysis, attacks=attacks)
        self.accused = accusations(part, Policy())
        self.proofs = circumstances(part, self.accused).proofs
        # Judged by all attacks: who is attacked in another campaign is ours too.
        reasons = judge(analysis).held
        self.ours = {source for source in self.accused if reasons.get(source) == OWN}
        self.sources = analysis.sources
        self.messages = _of_sources(analysis.messages, self.accused)

    def deed(self, source: str) -> Deed:
        attacks = self.attacks[self.attacks["source"] == source]
        rows = self._evidence(source, attacks)
        return Deed(
            accusation=self.accused[source],
            requests=int(attacks["messages"].max()),
            targets=tuple(sorted({target for targets in attacks["targets"] for target in targets})),
            proof=self.proofs.get(source),
            network=_network(self.sources[self.sources["source"] == source].iloc[0]),
            transport="udp" if rows.empty or _most(rows["transport"]) == "udp" else "tcp",
            source_port=None if rows.empty else int(_most(rows["source_port"])) or None,
            destination_port=None if rows.empty else int(_most(rows["destination_port"])) or None,
            lines=tuple(_line(row) for row in rows.head(LINES).to_dict("records")),
        )

    def _evidence(self, source: str, attacks: "pd.DataFrame") -> "pd.DataFrame":
        """Return the requests of a source that prove its attacks, in the order of time."""
        sent = self.messages[self.messages["source"] == source]
        shown = np.zeros(len(sent), np.bool_)
        for capture, packets in zip(attacks["capture"], attacks["evidence"], strict=True):
            shown |= ((sent["capture"] == capture) & sent["packet"].isin(packets)).to_numpy()
        return sent[shown].sort_values(["time", "packet"], kind="stable")


def _of_sources(messages: "pd.DataFrame", sources: Iterable[str]) -> "pd.DataFrame":
    rows = messages["status"].isna() & messages["method"].notna() & messages["source"].isin(list(sources))
    return messages.loc[rows, list(_COLUMNS)]


def _most(values: "pd.Series[Any]") -> Any:  # noqa: ANN401
    return Counter(values.tolist()).most_common(1)[0][0]


def _network(source: "pd.Series[Any]") -> str:
    number, name = source["asn"], source["network"]
    told = f"AS{int(number)}" if isinstance(number, int | np.integer) else ""
    if isinstance(name, str):
        told = f"{told} ({quoted(name)})" if told else quoted(name)
    return told


def _line(row: Mapping[Any, Any]) -> str:
    """Return one line of evidence: when, from where to where, what, and the answer."""
    parts = [
        _iso(row["time"].to_pydatetime(warn=False)),
        str(row["transport"]).upper(),
        f"{_end(row['source'], row['source_port'])} > {_end(row['destination'], row['destination_port'])}",
        *(escape(str(row[name]), limit=SHOWN) for name in ("method", "uri") if isinstance(row[name], str)),
    ]
    for word, name in (("from", "from_user"), ("as", "auth_user"), ("agent", "user_agent")):
        if isinstance(row[name], str):
            parts.append(f'{word} "{escape(row[name], limit=SHOWN)}"')
    if isinstance(row["answer"], int | np.integer):
        parts.append(f"answered {int(row['answer'])}")
    return " ".join([*parts, f"(packet {row['packet']})"])


def _end(address: object, port: object) -> str:
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- letters


def as_letters(complaint: Complaint, reporter: Reporter | None = None) -> str:
    """Return a letter for each network, one below the other, in lines of 78 columns but for addresses and texts."""
    networks: dict[str, list[Deed]] = {}
    for deed in complaint.deeds:
        networks.setdefault(deed.network or deed.source, []).append(deed)
    letters = [_letter(complaint, deeds, reporter or Reporter()) for deeds in networks.values()]
    return f"\n{'=' * WIDTH}\n\n".join(letters)


def _letter(complaint: Complaint, deeds: Sequence[Deed], reporter: Reporter) -> str:
    first = min(deed.accusation.first for deed in deeds)
    last = max(deed.accusation.last for deed in deeds)
    kinds = list(dict.fromkeys(_said(kind) for deed in deeds for kind in deed.accusation.kinds))
    who = deeds[0].source if len(deeds) == 1 else f"{len(deeds):,} addresses of {deeds[0].network}"
    many = "the address below attacks" if len(deeds) == 1 else "the addresses below attack"
    whose = f" of {deeds[0].network}" if deeds[0].network else ""
    subject = f"SIP attack ({', '.join(kinds)}) from {who}, {_iso(first)} to {_iso(last)}"
    told = [f"To the abuse desk{whose}", ""]
    told += _wrapped(
        f"{many[0].upper()}{many[1:]} our SIP telephone servers. Please stop it, and tell us what you found. All times "
        "are in UTC."
    )
    for deed in deeds:
        told += ["", *_facts(deed, complaint), "", "  Evidence:"]
        told += [part for line in deed.lines for part in _wrapped(line, "    ", "      ")]
        told += [] if deed.lines else ["    the messages are not at hand"]
    sign = [part for part in (reporter.organisation, reporter.contact) if part]
    told += ["", *(escape(part, limit=SHOWN) for part in sign or ["(your name and address)"])]
    return _mail(subject, "".join(f"{line}\n" for line in told))


def _mail(subject: str, text: str) -> str:
    """Return a message as RFC 5322 has it; text beyond ASCII is declared (RFC 2045), in the subject encoded (RFC 2047).

    The subject is one line.
    """
    if not subject.isascii():
        subject = Header(subject, "utf-8").encode(maxlinelen=0)
    mime = "" if text.isascii() else MIME
    return f"Subject: {subject}\n{mime}\n{text}"


def _facts(deed: Deed, complaint: Complaint) -> list[str]:
    what = deed.accusation
    port = f", {deed.transport.upper()} port {deed.source_port}" if deed.source_port else ""
    facts = {
        "Address": f"{deed.source}{port}",
        "Proof": f"not forged: {deed.proof}" if deed.proof else "none: the address may be forged",
        "What": ", ".join(_said(kind) for kind in what.kinds),
        "First": _iso(what.first),
        "Last": _iso(what.last),
        "Requests": f"{deed.requests:,} to {count(len(deed.targets), 'server')}: {listed(deed.targets, NAMED)}",
        "Result": REACHED[what.outcome],
        "Program": ", ".join(map(quoted, what.tools)),
        "Claims": ", ".join(f'"{quoted(agent)}"' for agent in what.user_agents[:NAMED]),
        "Campaign": f"{quoted(complaint.campaign)}, {quoted(complaint.title)}",
    }
    return [part for word, fact in facts.items() if fact for part in _wrapped(fact, f"  {word:<10}", " " * 12)]


def _said(kind: str) -> str:
    return "known attack program" if kind == "tool" else kind.replace("-", " ")


def _wrapped(text: str, first: str = "", others: str = "") -> list[str]:
    return wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )


# --- X-ARF


def as_xarf(complaint: Complaint, reporter: Reporter) -> str:
    """Return X-ARF 4.0.0: a JSON object on a line for each address.

    Raises SettingsError without an organisation and an e-mail address, which X-ARF demands.
    """
    if not reporter.organisation or "@" not in reporter.contact or not reporter.domain:
        raise SettingsError("X-ARF needs who reports; name an organisation and an e-mail address")
    return "".join(json.dumps(_report(complaint, deed, reporter)) + "\n" for deed in complaint.deeds)


def _report(complaint: Complaint, deed: Deed, reporter: Reporter) -> dict[str, Any]:
    what = deed.accusation
    who = {"org": reporter.organisation[:200], "contact": reporter.contact, "domain": reporter.domain}
    kind = next(kind for kind, kinds in CLASSES if set(kinds) & set(what.kinds) or kind == CLASSES[-1][0])
    told = f"SIP: {', '.join(map(_said, what.kinds))}; {REACHED[what.outcome]}; {deed.requests} requests"
    evidence = "".join(f"{line}\n" for line in deed.lines).encode()
    named = f"{complaint.campaign}|{deed.source}|{_iso(what.first)}|{_iso(what.last)}|{reporter.contact}"
    report: dict[str, Any] = {
        "xarf_version": VERSION,
        # The same complaint has the same number, however often it is made.
        "report_id": str(UUID(bytes=blake2b(named.encode(), digest_size=16).digest(), version=4)),
        "timestamp": _iso(what.last),
        "reporter": who,
        "sender": who,
        "source_identifier": deed.source,
        "category": "connection",
        "type": kind,
        "protocol": deed.transport,
        "first_seen": _iso(what.first),
        "last_seen": _iso(what.last),
        "evidence_source": "flow_analysis",
        "confidence": round(min(max(what.confidence, 0.0), 1.0), 2),
        "description": told[:1000],
        "tags": _tags(complaint, what),
    }
    if kind == "vuln_scanning":
        report["scan_type"] = "vulnerability_scan"
    if deed.targets:
        report["destination_ip"] = deed.targets[0]
    for name in ("source_port", "destination_port"):
        if port := getattr(deed, name):
            report[name] = port
    if evidence:
        report["evidence"] = [
            {
                "content_type": "text/plain",
                "description": "SIP requests, times in UTC",
                "payload": base64.b64encode(evidence).decode(),
                "hash": f"sha256:{sha256(evidence).hexdigest()}",
                "size": len(evidence),
            }
        ]
    return report


def _tags(complaint: Complaint, what: Accusation) -> list[str]:
    """Return tags as 'namespace:predicate' of what is fit for one."""
    told = [f"sip:{kind}" for kind in what.kinds] + [f"campaign:{complaint.campaign}"]
    told += [f"tool:{tool.lower().replace(' ', '-')}" for tool in what.tools]
    fit = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_+-.:")
    return [tag for tag in told if set(tag) <= fit and tag.count(":") == 1 and tag.partition(":")[2][:1].isalnum()][:20]
