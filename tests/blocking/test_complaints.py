"""Complaints are what their readers take: X-ARF by its schema, letters by Python's package for e-mail."""

import base64
import email
import email.policy
import hashlib
import json
from dataclasses import replace

import pandas as pd
import pytest
from blocking.rows import Scene
from blocking.test_formats import HOSTILE
from jsonschema import Draft202012Validator, FormatChecker
from needs import CAPTURES

from analyzer import analyze
from analyzer.abuse import WIDTH, Reporter, as_letters, as_xarf, complain

TIME, PORT = {"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 1, "maximum": 65535}
CONTACT = {
    "type": "object",
    "required": ["org", "contact", "domain"],
    "properties": {
        "org": {"type": "string", "maxLength": 200},
        "contact": {"type": "string", "format": "email"},
        "domain": {"type": "string", "format": "hostname"},
    },
    "additionalProperties": False,
}
EVIDENCE = {
    "type": "object",
    "required": ["content_type", "payload"],
    "properties": {
        "content_type": {"type": "string"},
        "description": {"type": "string", "maxLength": 500},
        "payload": {"type": "string"},
        "hash": {"type": "string", "pattern": "^(md5|sha1|sha256|sha512):[a-fA-F0-9]+$"},
        "size": {"type": "integer", "minimum": 0, "maximum": 5 << 20},
    },
    "additionalProperties": False,
}
XARF = {
    "type": "object",
    "required": [
        "xarf_version", "report_id", "timestamp", "reporter", "sender", "source_identifier", "category", "type",
        "protocol", "first_seen",
    ],
    "properties": {
        "xarf_version": {"type": "string", "pattern": r"^4\.[0-9]+\.[0-9]+$"},
        "report_id": {"type": "string", "format": "uuid"},
        "timestamp": TIME, "first_seen": TIME, "last_seen": TIME,
        "reporter": CONTACT, "sender": CONTACT,
        "source_identifier": {"type": "string"}, "source_port": PORT, "destination_port": PORT,
        "destination_ip": {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
        "category": {"const": "connection"},
        "type": {"enum": ["login_attack", "ddos", "vuln_scanning", "port_scan"]},
        "protocol": {"enum": ["tcp", "udp"]},
        "evidence_source": {"enum": ["firewall_logs", "ids_detection", "flow_analysis", "honeypot"]},
        "evidence": {"type": "array", "maxItems": 50, "items": EVIDENCE},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "description": {"type": "string", "maxLength": 1000},
        "tags": {
            "type": "array", "maxItems": 20,
            "items": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_+-]*:[a-z0-9][a-z0-9_+.-]*$"},
        },
        "scan_type": {"enum": ["port_scan", "vulnerability_scan", "service_enumeration", "mixed"]},
    },
    "additionalProperties": False,
    "if": {"properties": {"type": {"const": "vuln_scanning"}}},
    "then": {"required": ["scan_type"]},
}  # fmt: skip
"""X-ARF 4: the required fields, their types and bounds, of schemas/v4/xarf-core.json and of the four types of
schemas/v4/types/ that we write (github.com/xarf/xarf-spec); nothing else may be there, so that a misspelt field is
found."""
WHO = Reporter(organisation="Example Ltd", contact="noc@example.net")
KINDS = {
    "toll-fraud": "vuln_scanning", "ghost-call": "vuln_scanning", "exploit": "vuln_scanning", "flood": "ddos",
    "password-guessing": "login_attack", "enumeration": "login_attack", "sweep": "port_scan", "probe": "port_scan",
    "tool": "port_scan",
}  # fmt: skip


def complaint_of(kind="toll-fraud", text="x", source="45.9.0.1", **message):
    """Return a complaint of a source that did this, in all of whose names a text stands."""
    scene = Scene().attacker(source, kind=kind, tool=text, campaign="k7f2")
    scene.add(source, method="INVITE", uri=text, from_user=text, user_agent=text, call_id="h", **message)
    scene.attacks[source][0]["evidence"].append(len(scene.rows))
    scene.claim(source, user_agents=[text], asn=64500, network=text)
    row = {"campaign": ["k7f2"], "confidence": [0.9], "title": [text], "sources": [[source]]}
    return complain(replace(scene.analysis(), campaigns=pd.DataFrame(row)), "k7f2")


def reports_of(complaint):
    """Return the X-ARF reports of a complaint, each of which the schema takes and whose evidence is whole."""
    reports = [json.loads(line) for line in as_xarf(complaint, WHO).splitlines()]
    assert len(reports) == len(complaint.deeds)
    for report in reports:
        Draft202012Validator(XARF, format_checker=FormatChecker()).validate(report)
        for evidence in report["evidence"]:
            payload = base64.b64decode(evidence["payload"], validate=True)
            assert len(payload) == evidence["size"]
            assert evidence["hash"] == f"sha256:{hashlib.sha256(payload).hexdigest()}"
    return reports


def letters_of(complaint, reporter=WHO):
    """Return the letters of a complaint as messages, which Python's package for e-mail reads without a defect."""
    texts = as_letters(complaint, reporter).split(f"\n{'=' * WIDTH}\n\n")
    messages = [email.message_from_bytes(text.encode(), policy=email.policy.default) for text in texts]
    for text, message in zip(texts, messages, strict=True):
        assert message.defects == []
        assert message.keys()[0] == "Subject"
        assert message.keys()[1:] in ([], ["MIME-Version", "Content-Type", "Content-Transfer-Encoding"])
        assert text.partition("\n\n")[0].isascii()
        assert message["Subject"].defects == ()
        assert max(map(len, text.splitlines())) <= 998  # RFC 5322 2.1.1
        assert message.get_content() == text.partition("\n\n")[2]
        again = email.message_from_bytes(message.as_bytes(policy=email.policy.SMTP), policy=email.policy.SMTP)
        assert again["Subject"] == message["Subject"]
        assert again.get_content().replace("\r\n", "\n") == message.get_content()
    return messages


@pytest.fixture(scope="module")
def captured():
    return analyze(CAPTURES)


def test_the_schema_finds_what_is_wrong():
    (report,) = reports_of(complaint_of())
    validator = Draft202012Validator(XARF, format_checker=FormatChecker())
    for name, value in (
        ("timestamp", "yesterday"), ("report_id", "1"), ("source_port", 0), ("destination_ip", "a"), ("type", "sip"),
        ("extra", 1), ("tags", ["sip"]), ("confidence", 2), ("reporter", {"org": "x"}),
    ):  # fmt: skip
        assert not validator.is_valid(report | {name: value}), name
    for name in XARF["required"]:
        assert not validator.is_valid({key: value for key, value in report.items() if key != name}), name


@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_of_every_kind_is_reported_by_the_schema(kind):
    (report,) = reports_of(complaint_of(kind))
    assert report["type"] == KINDS[kind]


@pytest.mark.parametrize("more", [{"transport": "tcp"}, {"source_port": 0, "destination_port": 0}, {"answer": 404}])
def test_whatever_was_sent_is_reported_by_the_schema(more):
    (report,) = reports_of(complaint_of(source="2a01:4f8::9", **more))
    assert report["source_identifier"] == "2a01:4f8::9"


def test_every_campaign_of_the_captures_is_reported_and_written_of(captured):
    said = 0
    for campaign in captured.campaigns["campaign"]:
        complaint = complain(captured, campaign, spoofable=True)
        reports, letters = reports_of(complaint), letters_of(complaint)
        for report in reports:
            of = [letter for letter in letters if f" {report['source_identifier']}, " in letter["Subject"]]
            assert len(of) == 1
            assert report["source_identifier"] in of[0].get_content()
            said += 1
    assert said == 10


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_hostile_text_breaks_neither_a_letter_nor_a_report(text):
    complaint = complaint_of(text=text)
    (report,), (letter,) = reports_of(complaint), letters_of(complaint)
    assert letter["Subject"].startswith("SIP attack (toll fraud) from 45.9.0.1, 2026-11-22T09:00:00.000Z to ")
    assert report["source_identifier"] == "45.9.0.1"
    assert letters_of(complaint, Reporter(organisation=text, contact="x"))


def test_no_complaint_is_made_of_our_own_server_unless_it_is_named():
    scene = Scene().attacker("45.9.0.1", campaign="k7f2").attacker("45.9.0.2", campaign="k7f2")
    scene.attacker("45.8.0.1", target="45.9.0.2", campaign="x4x4")
    row = {"campaign": ["k7f2"], "confidence": [0.9], "title": ["x"], "sources": [["45.9.0.1", "45.9.0.2"]]}
    told = replace(scene.analysis(), campaigns=pd.DataFrame(row))
    complaint = complain(told, "k7f2")
    assert ([deed.source for deed in complaint.deeds], complaint.ours) == (["45.9.0.1"], ("45.9.0.2",))
    named = complain(told, "k7f2", sources=["45.9.0.2"])
    assert ([deed.source for deed in named.deeds], named.ours) == (["45.9.0.2"], ())
