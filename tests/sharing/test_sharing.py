"""Findings in the formats of others, read by the programs of others."""

import json
from io import BytesIO
from ipaddress import ip_address

import pandas as pd
import pytest
from click.testing import CliRunner
from needs import CAPTURES
from pymisp import MISPEvent
from reports.synthetic import analysis, hostile_analysis
from stix2validator import ValidationOptions, validate_string

from analyzer import analyze
from analyzer.allow import AllowList
from analyzer.blocking import Policy, find_blocks
from analyzer.cli import cli
from analyzer.responses import PHRASES
from analyzer.sharing import SHARES, Told
from analyzer.sharing.zeek import FIELDS
from analyzer.tables import TABLES

KEYWORD, LONG, FLOAT, DATE, IP = "keyword", "long", "float", "date", "ip"
ECS = {
    "@timestamp": DATE, "ecs.version": KEYWORD, "event.kind": KEYWORD, "event.module": KEYWORD,
    "event.dataset": KEYWORD, "event.category": KEYWORD, "event.type": KEYWORD, "event.action": KEYWORD,
    "event.sequence": LONG, "event.id": KEYWORD, "event.start": DATE, "event.end": DATE, "event.outcome": KEYWORD,
    "event.severity": LONG, "event.risk_score": FLOAT, "source.ip": IP, "source.address": KEYWORD, "source.port": LONG,
    "destination.ip": IP, "destination.address": KEYWORD, "destination.port": LONG, "network.protocol": KEYWORD,
    "network.transport": KEYWORD, "network.type": KEYWORD, "network.bytes": LONG, "user.name": KEYWORD,
    "user_agent.original": KEYWORD, "related.ip": IP, "rule.name": KEYWORD, "rule.ruleset": KEYWORD,
    "threat.framework": KEYWORD, "threat.technique.id": KEYWORD, "labels.campaign": KEYWORD, "labels.tool": KEYWORD,
    "labels.outcome": KEYWORD,
}  # fmt: skip
"""Fields of the Elastic Common Schema 8.17 (its field reference), with their types; labels are free keywords."""
ARRAYS = {"event.category", "event.type", "related.ip"}
"""Fields that the schema wants as arrays."""
PACKETBEAT = {
    "sip.type": KEYWORD, "sip.version": KEYWORD, "sip.method": KEYWORD, "sip.code": LONG, "sip.status": KEYWORD,
    "sip.uri.original": KEYWORD, "sip.uri.username": KEYWORD, "sip.call_id": KEYWORD, "sip.cseq.code": LONG,
    "sip.cseq.method": KEYWORD, "sip.from.display_info": KEYWORD, "sip.from.uri.original": KEYWORD,
    "sip.from.tag": KEYWORD, "sip.to.uri.original": KEYWORD, "sip.to.tag": KEYWORD, "sip.contact.uri.original": KEYWORD,
    "sip.user_agent.original": KEYWORD, "sip.content_length": LONG,
}  # fmt: skip
"""Fields of Packetbeat's SIP protocol (its exported fields); it has the two codes as keywords, which take numbers."""
ALLOWED = {
    "event.kind": {"alert", "event"}, "event.category": {"network", "intrusion_detection"},
    "event.type": {"protocol", "info"}, "event.outcome": {"success", "failure", "unknown"},
    "network.transport": {"udp", "tcp"}, "network.type": {"ipv4", "ipv6"}, "sip.type": {"request", "response"},
}  # fmt: skip
"""The values that fields may have; those of the schema that we mean."""


def is_of(value, kind):
    """Say whether a value is what Elasticsearch takes for a field of that type without changing it."""
    if kind == IP:
        return bool(ip_address(value))
    if kind == DATE:
        return value.endswith("Z") and pd.Timestamp(value).tz is not None
    numbers = {LONG: int, FLOAT: (int, float)}
    return isinstance(value, numbers.get(kind, str)) and not isinstance(value, bool)


@pytest.fixture(scope="module")
def whole():
    return analyze(CAPTURES)


def told(found, **options):
    return Told(analysis=found, blocks=to_block(found), **options)


def to_block(found):
    """Return whom to block; the addresses of documents (RFC 5737) count here."""
    return find_blocks(found, policy=Policy(private=True), allow=AllowList())


def hostile():
    """Return an analysis in which all that is no address and no number is written by an attacker."""
    found = hostile_analysis()
    addresses = pd.Series([f"198.51.100.{number}" for number in range(1, 23)])
    tables = {}
    for name in TABLES:
        table = getattr(found, name)
        own = [column for column in ("source", "destination") if column in table]
        tables[name] = table.assign(**dict.fromkeys(own, addresses[: len(table)].array))
    tables["attacks"] = tables["attacks"].assign(evidence=[[1, 2]] * 22, targets=[["192.0.2.1"]] * 22)
    tables["campaigns"] = tables["campaigns"].assign(sources=[[address] for address in addresses])
    return analysis(**tables)


def written(name, found, **options):
    file = BytesIO()
    SHARES[name](told(found, **options), file)
    return file.getvalue().decode()


def lines(name, found):
    return [json.loads(line) for line in written(name, found).splitlines()]


@pytest.mark.parametrize("found", [analysis, hostile], ids=["nothing", "hostile"])
@pytest.mark.parametrize("name", SHARES)
def test_whatever_there_is_can_be_written(name, found):
    text = written(name, found())
    assert "\x1b" not in text
    if name in ("stix", "misp"):
        json.loads(text)
    elif name == "zeek":
        rows = [line for line in text.splitlines() if not line.startswith("#")]
        assert {row.count("\t") for row in rows} <= {len(FIELDS) - 1}
    else:
        assert all(json.loads(line) for line in text.splitlines())


@pytest.mark.parametrize("targets", [False, True])
def test_stix_is_valid(whole, targets):
    text = written("stix", whole, targets=targets)
    found = validate_string(text, ValidationOptions(version="2.1", strict=False))
    assert found.is_valid, [str(error) for error in found.errors]
    objects = json.loads(text)["objects"]
    ids = {one["id"] for one in objects}
    assert len(ids) == len(objects)
    for one in objects:
        refs = [value for name, value in one.items() if name.endswith("_ref")]
        refs += [ref for name, values in one.items() if name.endswith("_refs") for ref in values]
        assert set(refs) <= ids
    kinds = pd.Series([one["type"] for one in objects]).value_counts()
    assert kinds["campaign"] == len(whole.campaigns)
    assert kinds["sighting"] == kinds["observed-data"] == whole.attacks.groupby(["campaign", "source"]).ngroups


def test_stix_blocks_whom_a_block_list_would(whole):
    objects = json.loads(written("stix", whole))["objects"]
    blocked = to_block(whole).entries
    indicators = {one["pattern"]: one for one in objects if one["type"] == "indicator"}
    sources = {source for cell in blocked["sources"] for source in cell}
    assert sources
    assert {pattern.split("'")[1] for pattern in indicators} == sources
    assert all(one["valid_until"] > one["valid_from"] for one in indicators.values())
    techniques = {ref["external_id"] for one in objects for ref in one.get("external_references", [])}
    assert techniques == set(whole.attacks["technique"].dropna().astype("str"))


def test_the_same_campaign_is_the_same_object(whole):
    once, again = (
        {one["id"]: one for one in json.loads(written("stix", found))["objects"]}
        for found in (whole, whole.campaign("hppm"))
    )
    shared = {identity for identity in again if not identity.startswith("identity")}
    assert shared <= set(once)
    assert [identity for identity in shared if once[identity] != again[identity]] == []


@pytest.mark.parametrize("name", ["stix", "misp"])
def test_what_is_ours_stays_with_us(whole, name):
    text = written(name, whole)
    assert "192.0.2.10" not in text
    assert "sunshine" not in text
    assert '"105"' not in text
    assert "192.0.2.10" in written(name, whole, targets=True)


def test_misp_loads(whole):
    event = MISPEvent()
    event.from_json(written("misp", whole, tlp="green"))
    blocked = {attribute.value for attribute in event.attributes if attribute.to_ids}
    assert blocked == set(told(whole).until)
    assert {attribute.value for attribute in event.attributes if attribute.type == "ip-src"} == set(
        whole.sources.query("verdict == 'attacking'")["source"]
    )
    assert {attribute.value for attribute in event.attributes if attribute.type == "phone-number"} == {"442079460958"}
    assert "tlp:green" in {tag.name for tag in event.tags}
    assert len(event.objects) == len(whole.sources.query("verdict == 'attacking'"))


def test_ecs_has_the_names_of_the_schema(whole):
    events = lines("ecs", whole)
    types = ECS | PACKETBEAT
    assert {name for event in events for name in event} == types.keys()
    for event in events:
        for name, value in event.items():
            if value is None:
                continue
            assert isinstance(value, list) == (name in ARRAYS), name
            for one in value if name in ARRAYS else [value]:
                assert is_of(one, types[name]), (name, one)
                assert one in ALLOWED.get(name, {one}), (name, one)
    kinds = pd.Series([event["event.kind"] for event in events]).value_counts()
    assert (kinds["event"], kinds["alert"]) == (len(whole.messages), len(whole.attacks))
    breach = [event for event in events if event.get("labels.outcome") == "breached"]
    assert [(event["event.severity"], event["event.outcome"], event["source.ip"]) for event in breach] == [
        (99, "success", "203.0.113.77")
    ]


def test_eve_is_what_suricata_writes(whole):
    events = lines("eve", whole)
    sip = [event["sip"] for event in events if event["event_type"] == "sip"]
    assert len(sip) == len(whole.messages)
    assert {frozenset({"request_line", "uri"} & set(one)) for one in sip} == {
        frozenset({"request_line", "uri"}),
        frozenset(),
    }
    assert all(one["response_line"] == f"SIP/2.0 {one['code']} {one['reason']}" for one in sip if "code" in one)
    alerts = [event for event in events if event["event_type"] == "alert"]
    assert len(alerts) == len(whole.attacks)
    assert max(alert["alert"]["severity"] for alert in alerts) == 3
    pd.to_datetime([event["timestamp"] for event in events], format="ISO8601")


def test_the_zeek_log_reads_back_as_a_table(whole):
    text = written("zeek", whole)
    head = {line.split("\t")[0]: line.split("\t")[1:] for line in text.splitlines() if line.startswith("#")}
    log = pd.read_csv(
        BytesIO(text.encode()),
        sep="\t",
        comment="#",
        names=head["#fields"],
        na_values="-",
        keep_default_na=False,
        quoting=3,
    )
    requests = whole.messages[whole.messages["status"].isna()].reset_index(drop=True)
    assert head["#fields"] == list(FIELDS)
    assert head["#types"] == list(FIELDS.values())
    assert log["call_id"].tolist() == requests["call_id"].tolist()
    assert log["status_code"].dropna().astype(int).tolist() == requests["answer"].dropna().tolist()
    assert log["method"].tolist() == requests["method"].tolist()
    assert (log["ts"] - requests["time"].astype("int64") / 1e9).abs().max() < 1e-5
    assert log["status_msg"].dropna().isin(PHRASES.values()).all()


def test_a_line_of_zeek_cannot_be_broken():
    requests = hostile_analysis().messages
    requests = requests[requests["status"].isna()]
    text = written("zeek", analysis(messages=requests.assign(subject="a\tb\nc\r\\-")))
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    assert len(rows) == len(requests)
    assert {row[list(FIELDS).index("subject")] for row in rows} <= {r"a\x09b\x0ac\x0d\\-"}


def test_the_command_writes_one_campaign(tmp_path):
    path = tmp_path / "campaign.json"
    done = CliRunner().invoke(
        cli, ["share", str(CAPTURES), "--format", "stix", "--campaign", "hppm", "--tlp", "clear", "-o", str(path)]
    )
    assert done.exit_code == 0
    objects = json.loads(path.read_text())["objects"]
    assert [one["name"] for one in objects if one["type"] == "campaign"] == ["SIPp: toll fraud to +442079460958 (hppm)"]
    assert [one["name"] for one in objects if one["type"] == "marking-definition"] == ["TLP:WHITE"]
