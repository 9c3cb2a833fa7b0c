"""MISP: one event with the sources, numbers and names of all campaigns; made offline, to be imported."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid5

from pymisp import MISPEvent, MISPObject

from analyzer.reports.words import count
from analyzer.sharing.stix import SPACE

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.sharing import Told

HIGH, LOW = 1, 3
"""Threat levels: somebody got in; nobody did."""
ENDED, HERE = 2, 0
"""The analysis is complete; the distribution is your organisation's alone, until you choose another."""
SERIOUS = ("breached", "answered")


def write_misp(told: "Told", file: BinaryIO) -> None:
    """Write the event as JSON."""
    file.write(_event(told).to_json(indent=1, sort_keys=True).encode() + b"\n")


def _event(told: "Told") -> MISPEvent:
    analysis = told.analysis
    campaigns = analysis.campaigns
    event = MISPEvent()
    names = " ".join(campaigns["campaign"].astype("str"))
    event.uuid = str(uuid5(SPACE, f"misp {names} {told.blocks.now}"))
    event.info = f"SIP scan campaigns: {count(len(campaigns), 'campaign')} from {count(_sources(campaigns), 'source')}"
    event.set_date(campaigns["start"].min().date() if len(campaigns) else told.blocks.now.date())
    event.threat_level_id = HIGH if campaigns["outcome"].isin(SERIOUS).any() else LOW
    event.analysis = ENDED
    event.distribution = HERE
    event.add_tag(f"tlp:{told.tlp}")
    for campaign in campaigns.to_dict("records"):
        _add_campaign(event, campaign, told)
    return event


def _sources(campaigns: "pd.DataFrame") -> int:
    return len({source for sources in campaigns["sources"] for source in sources})


def _add_campaign(event: MISPEvent, campaign: dict[Any, Any], told: "Told") -> None:
    """Add the attributes of a campaign, and an object for the traffic of each of its sources."""
    attacks = told.analysis.attacks
    attacks = attacks[attacks["campaign"].astype("str") == campaign["campaign"]]
    name = f"campaign {campaign['campaign']}: {campaign['title']}"
    for source, theirs in attacks.groupby(attacks["source"].astype("str"), sort=False):
        address, first, last = str(source), theirs["start"].min(), theirs["end"].max()
        until = told.until.get(address)
        event.add_attribute(
            "ip-src",
            address,
            comment=f"{name}; {f'block until {until}' if until else 'seen; its address may be forged, do not block'}",
            to_ids=until is not None,
            first_seen=first.to_pydatetime(warn=False),
            last_seen=last.to_pydatetime(warn=False),
        )
        traffic = MISPObject("network-connection")
        traffic.add_attribute("ip-src", address, to_ids=False)
        traffic.add_attribute("layer7-protocol", "SIP")
        traffic.add_attribute("first-packet-seen", first.to_pydatetime(warn=False))
        if told.targets:
            for target in sorted({target for targets in theirs["targets"] for target in targets})[:1]:
                traffic.add_attribute("ip-dst", target, to_ids=False)
        event.add_object(traffic)
    agents = told.analysis.sources.set_index(told.analysis.sources["source"].astype("str"))["user_agents"]
    claimed = {agent for source in campaign["sources"] if source in agents for agent in agents[source]}
    _add(event, "phone-number", campaign["numbers"], f"{name}: wanted")
    _add(event, "user-agent", sorted(claimed), f"{name}: claimed")
    for technique in attacks["technique"].dropna().astype("str").unique():
        event.add_tag(f'misp-galaxy:mitre-attack-pattern="{technique}"')
    for reason in campaign["reasons"]:
        event.add_attribute("comment", f"{name}: joined by {reason}", category="Other")


def _add(event: MISPEvent, kind: str, values: Iterable[str], comment: str) -> None:
    """Add attributes that are no ground to block anybody."""
    for value in values:
        if str(value).strip():
            event.add_attribute(kind, str(value), comment=comment, to_ids=False)
