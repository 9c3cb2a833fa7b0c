"""STIX 2.1: campaigns, what they use, whom to block until when, and what was seen (OASIS, 10 June 2021).

Identifiers follow from what they name, so that the same campaign, shared again next week, is the same object.
"""

import json
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import UUID, uuid5

import pandas as pd
import stix2

from analyzer.reports.phone import describe_number

if TYPE_CHECKING:
    from datetime import datetime

    from analyzer.sharing import Told

SPACE = UUID("6f2a7f5e-4a53-5d0c-9c2e-0b7a4f0d5060")
"""The namespace of our identifiers (RFC 9562 5.5)."""
TLP = {"clear": stix2.TLP_WHITE, "green": stix2.TLP_GREEN, "amber": stix2.TLP_AMBER, "red": stix2.TLP_RED}
NAMES = {
    "T1110": "Brute Force", "T1087": "Account Discovery", "T1595": "Active Scanning", "T1190": "Exploit Public-Facing "
    "Application", "T1496": "Resource Hijacking", "T1498": "Network Denial of Service", "T1499": "Endpoint Denial of "
    "Service", "T1046": "Network Service Discovery", "T1589": "Gather Victim Identity Information",
}  # fmt: skip
"""The names of ATT&CK techniques, by their ids without a sub-technique."""
BEGINNING = pd.Timestamp("2002-06-01T00:00Z")
"""When objects that are always the same were made: RFC 3261's month."""
LINES = 20


def write_stix(told: "Told", file: BinaryIO) -> None:
    """Write a bundle with all campaigns."""
    objects = {made["id"]: made for made in (json.loads(one.serialize()) for one in _objects(told))}
    name = f"{told.analysis.campaigns['campaign'].astype('str').tolist()} {told.blocks.now}"
    bundle = {"type": "bundle", "id": _id("bundle", name), "objects": list(objects.values())}
    file.write(json.dumps(bundle, indent=1).encode() + b"\n")


def _id(kind: str, name: str) -> str:
    return f"{kind}--{uuid5(SPACE, f'{kind} {name}')}"


def _objects(told: "Told") -> Iterator[Any]:
    """Yield the objects of a bundle; some of them more than once."""
    marking = TLP[told.tlp]
    us = stix2.Identity(
        id=_id("identity", "sipscope"), created=BEGINNING, modified=BEGINNING, name="sipscope", identity_class="system"
    )
    yield from (marking, us)
    analysis, common = told.analysis, {"created_by_ref": us.id, "object_marking_refs": [marking.id]}
    attacks = dict(iter(analysis.attacks.groupby(analysis.attacks["campaign"].astype("str"))))
    for row in analysis.campaigns.to_dict("records"):
        theirs = attacks.get(str(row["campaign"]), analysis.attacks.iloc[:0])
        yield from _campaign(row, theirs, told, common)


def _campaign(row: dict[Any, Any], attacks: pd.DataFrame, told: "Told", common: dict[str, Any]) -> Iterator[Any]:
    """Yield a campaign with what it uses, its indicators and its sightings."""
    made = {**common, "created": row["start"], "modified": row["end"]}
    campaign = stix2.Campaign(
        id=_id("campaign", row["campaign"]),
        name=f"{row['title']} ({row['campaign']})",
        description=_description(row),
        first_seen=row["start"],
        last_seen=_after(row["start"], row["end"]),
        confidence=round(100 * row["confidence"]) if row["confidence"] == row["confidence"] else None,
        **made,
    )
    yield campaign
    used = [_technique(technique, common) for technique in attacks["technique"].dropna().astype("str").unique()]
    used += [_tool(tool, common) for tool in row["tools"]]
    for one in used:
        yield from (one, _relation(campaign, "uses", one, made))
    for source, group in attacks.groupby(attacks["source"].astype("str"), sort=False):
        yield from _source(str(source), group, campaign, told, common)


def _description(row: dict[Any, Any]) -> str:
    """Return in words what a campaign wanted and why it is one; no account and no password of ours."""
    numbers = "; ".join(str(describe_number(str(number))) for number in row["numbers"][:LINES])
    lines = [
        f"{', '.join(row['kinds'])} from {len(row['sources']):,} address(es); worst outcome: {row['outcome']}.",
        f"Numbers wanted: {numbers}." if numbers else "",
        f"Dial prefixes tried: {', '.join(row['prefixes'][:LINES])}." if row["prefixes"] else "",
        *(f"Joined by {reason}." for reason in row["reasons"][:LINES]),
    ]
    return "\n".join(line for line in lines if line)


def _technique(technique: str, common: dict[str, Any]) -> Any:  # noqa: ANN401
    reference = {
        "source_name": "mitre-attack",
        "external_id": technique,
        "url": f"https://attack.mitre.org/techniques/{technique.replace('.', '/')}",
    }
    return stix2.AttackPattern(
        id=_id("attack-pattern", technique),
        created=BEGINNING,
        modified=BEGINNING,
        name=NAMES.get(technique.partition(".")[0], technique),
        external_references=[reference],
        **common,
    )


def _tool(tool: str, common: dict[str, Any]) -> Any:  # noqa: ANN401
    return stix2.Tool(id=_id("tool", tool), created=BEGINNING, modified=BEGINNING, name=tool, **common)


def _source(
    source: str,
    attacks: pd.DataFrame,
    campaign: Any,  # noqa: ANN401
    told: "Told",
    common: dict[str, Any],
) -> Iterator[Any]:
    """Yield what was seen of a source; an indicator too if it is to be blocked."""
    first, last = attacks["start"].min(), attacks["end"].max()
    made = {**common, "created": first, "modified": last}
    address = _address(source)
    traffic, *others = _traffic(address, attacks, told)
    seen = stix2.ObservedData(
        id=_id("observed-data", f"{campaign.id} {source} {first.value}"),
        first_observed=first,
        last_observed=last,
        number_observed=min(max(1, int(attacks["messages"].sum())), 999_999_999),
        object_refs=[address.id, traffic.id, *(other.id for other in others)],
        **made,
    )
    yield from (address, traffic, *others, seen)
    sighted = campaign
    if source in told.until:
        kind = "ipv6" if ":" in source else "ipv4"
        sighted = stix2.Indicator(
            id=_id("indicator", f"{campaign.id} {source}"),
            name=f"SIP attacks from {source}",
            indicator_types=["malicious-activity"],
            pattern=f"[{kind}-addr:value = '{source}']",
            pattern_type="stix",
            valid_from=first,
            valid_until=told.until[source],
            **made,
        )
        yield from (sighted, _relation(sighted, "indicates", campaign, made))
    yield stix2.Sighting(
        id=_id("sighting", f"{sighted.id} {source} {first.value}"),
        sighting_of_ref=sighted.id,
        observed_data_refs=[seen.id],
        where_sighted_refs=[common["created_by_ref"]],
        first_seen=first,
        last_seen=_after(first, last),
        count=seen.number_observed,
        **made,
    )


def _address(address: str) -> Any:  # noqa: ANN401
    six = ip_address(address).version == 6
    return stix2.IPv6Address(value=address) if six else stix2.IPv4Address(value=address)


def _traffic(source: Any, attacks: pd.DataFrame, told: "Told") -> Iterator[Any]:  # noqa: ANN401
    """Yield the traffic of a source, and the address that it went to if that is told."""
    ends: list[Any] = []
    if told.targets:
        targets = sorted({target for targets in attacks["targets"] for target in targets})
        ends = [_address(target) for target in targets[:1]]
    yield stix2.NetworkTraffic(
        src_ref=source.id,
        protocols=["ipv6" if source.type == "ipv6-addr" else "ipv4", "udp", "sip"],
        start=attacks["start"].min(),
        end=_after(attacks["start"].min(), attacks["end"].max()),
        is_active=False,
        **({"dst_ref": ends[0].id} if ends else {}),
    )
    yield from ends


def _relation(one: Any, how: str, other: Any, made: dict[str, Any]) -> Any:  # noqa: ANN401
    return stix2.Relationship(
        id=_id("relationship", f"{one.id} {how} {other.id}"),
        relationship_type=how,
        source_ref=one.id,
        target_ref=other.id,
        **made,
    )


def _after(start: "datetime", end: "datetime") -> "datetime":
    """Return an end that is later than its start, as STIX wants it."""
    return max(end, start + pd.Timedelta(1, "ms"))
