"""User-Agents are matched as tokens, and prove what their tier allows."""

import pandas as pd
import pytest
from factories import messages

from analyzer.tools import load_signatures, recognise
from analyzer.tools.signatures import TOOLS

HIGH = {
    "friendly-scanner": "SIPVicious", "Friendly-Scanner": "SIPVicious", "friendly-request": "SIPVicious",
    "sipvicious": "SIPVicious", "sipvicious/0.3.4": "SIPVicious", "sipv": "SIPVicious", "sipcli": "sipcli",
    "sipcli/v1.8": "sipcli", "sipcli v1.8": "sipcli", "sipsak 0.9.8.1": "sipsak", "sipsak": "sipsak",
    "sipscan": "sipscan", "SIPScan": "sipscan", "sip-scan": "sipscan", "sundayddr": "sundayddr",
    "sundayaddr": "sundayddr", "sundayddos": "sundayddr", "sipsscuser": "sundayddr", "pplsip": "sippts",
    "sipptk": "sippts", "Viproy Penetration Testing Kit - Test Agent": "Viproy",
    "siparmyknife": "SIP Army Knife", "iWar": "iWar", "iWar/0.08": "iWar", "SIVuS": "SIVuS",
    "smap": "smap", "smap 0.6.0": "smap", "Gulp": "Gulp", "VaxSIPUserAgent": "VaxSIPUserAgent",
    "VaxSIPUserAgent/3.1": "VaxSIPUserAgent", "VaxIPUserAgent": "VaxSIPUserAgent", "Nmap NSE": "nmap",
    "Hacker": "Hacker", "Matrix": "Matrix", "Test Agent": "Test Agent", "UsaAirport": "UsaAirport",
    "Conaito": "Conaito", "aaaaaaaa": "aaaaaaaa", "A_B_C": "A_B_C", "China": "China", "dr.pes": "dr.pes",
    "FourCats": "FourCats", "fgfdhgfxjfhyjhkj": "fgfdhgfxjfhyjhkj", "Z 3": "Z 3", "x": "x",
}  # fmt: skip
MEDIUM = {
    "PortSIP VoIP SDK 11.2": "PortSIP", "PortSIP VoIP SDK for clearip": "PortSIP", "PortSIP": "PortSIP",
    "Ozeki VoIP SIP SDK v10.1.8": "Ozeki", "MizuPhone": "MizuPhone", "MizuPhone/2.4": "MizuPhone",
    "CSipSimple": "CSipSimple", "CSipSimple_GT-I9300-18/r2330": "CSipSimple", "Custom SIP Phone": "Custom SIP Phone",
    "custom": "custom", "SIPp": "SIPp", "SIPp v3": "SIPp", "SIPp/3.6.1": "SIPp", "Vicidial": "Vicidial",
    "IM-client/OMA1.0": "IM-client/OMA1.0", "voip": "voip", "VOIP": "VOIP", "VoIP SIP": "VoIP SIP", "PBX": "PBX",
    "Asterix PBX": "Asterix PBX", "xlite": "xlite", "eyeBeam release 3006o stamp 17551": "eyeBeam",
    "eyeBeam release 3007n stamp 17816": "eyeBeam", "eyeBeam release 3004t stamp 16741": "eyeBeam",
    "voxalot": "voxalot", "Cisco v11.0.0": "Cisco v11.0.0",
}  # fmt: skip
LOW = [
    "Asterisk PBX", "Asterisk PBX 1.6.0.6", "Zoiper", "Zoiper rev.11137", "eyeBeam",
    "eyeBeam release 1102u stamp 52345",
    "X-Lite", "X-Lite 4 release 4.0 stamp 58832", "Cisco-SIPGateway/IOS-12.x", "Cisco-CUCM8.6", "Linksys/SPA942-6.1.5",
    "FPBX", "FPBX-2.8.1(1.8.9.2)", "FreePBX",
]  # fmt: skip
NEAR = [
    "Hackerspace Phone", "Hacker 2", "hacker", "My-sipcli-free client", "sipclient/2.0", "sipcli-ng/1.0",
    "not sipcli/v1.8",
    "sipvicious-detector/1.0", "anti sipvicious", "sipvicious detector", "Gulping", "Gulp Phone", "Matrixswitch",
    "Matrix SETU VFX", "Smapper", "smap-ng", "iWarsaw", "i War", "unfriendly-scanner", "friendly-scanner-blocker/2",
    "friendly", "sipsaker", "SIPphone", "SIPper 1", "sippy", "SIPp2", "xphone", "x 1", "X", "China Mobile IMS",
    "Chinavasion", "aaaaaaaaa", "Test Agent 7", "UsaAirports", "Conaitos", "Z 3.3.25608 r25552", "PBX 4", "VOIP Phone",
    "customer", "Vicidialer", "voxalot.com", "PortSIPhone", "MizuPhonebook", "CSipSimpler", "Cisco v11.0.0.1",
    "Cisco v11", "VaxSIPUserAgentX", "Nmap NSE-like", "sipv6 phone", "sipvoice", "", " ", "Sivus2000x y", "sip",
]  # fmt: skip


@pytest.fixture(scope="module")
def named():
    """Return what is found of a message that has nothing but a User-Agent."""
    names = [*HIGH, *MEDIUM, *LOW, *NEAR]
    found = recognise(messages(len(names), user_agent=names)).set_axis(names)
    return lambda user_agent: found.loc[user_agent]


@pytest.mark.parametrize(("user_agent", "tool"), HIGH.items())
def test_a_scanner_by_name(user_agent, tool, named):
    found = named(user_agent)
    assert (found["tool"], found["tool_confidence"], found["tool_reason"]) == (tool, 0.9, "user-agent")


@pytest.mark.parametrize(("user_agent", "tool"), MEDIUM.items())
def test_an_abused_name_is_a_hint(user_agent, tool, named):
    found = named(user_agent)
    assert (found["tool"], found["tool_confidence"], found["tool_reason"]) == (tool, 0.4, "user-agent")


@pytest.mark.parametrize("user_agent", LOW)
def test_a_legitimate_name_proves_nothing(user_agent, named):
    assert pd.isna(named(user_agent)["tool"])


@pytest.mark.parametrize("user_agent", NEAR)
def test_a_name_that_merely_contains_one_is_no_match(user_agent, named):
    assert pd.isna(named(user_agent)["tool"])


def test_every_listed_name_is_tested():
    signatures = load_signatures()
    tools = [tool for tool in signatures.tools.values() if tool.kind in TOOLS]
    listed = {name for tool in tools for agents in tool.user_agents for name in agents.names}
    tested = {name.lower() for name in (*HIGH, *MEDIUM)}
    assert {name for name in listed if name.lower() not in tested} <= {
        "sippts", "SIVuS_VoIP_Scanner", "Voiper", "Ozeki", "PortSIP VoIP SDK", "Ozeki VoIP SIP SDK",
    }  # fmt: skip
    assert {name for names in signatures.forged for name in names.names} <= {
        low.split(" ")[0] if not low.startswith("Asterisk") else "Asterisk PBX" for low in LOW
    } | {"Cisco-SIPGateway", "Cisco-CUCM", "Linksys"}  # fmt: skip


def test_no_name_matches_as_a_part_of_another():
    listed = {
        name
        for tool in load_signatures().tools.values()
        for agents in tool.user_agents
        for name in agents.names
        if not agents.patterns
    }
    longer = [
        form.format(name) for name in sorted(listed) for form in ("{}ish", "my{}", "{} Phone", "My {}", "{}-x/1.0")
    ]
    found = recognise(messages(len(longer), user_agent=longer))
    assert found.loc[found["tool"].notna(), "user_agent"].empty


@pytest.mark.parametrize("name", ["friendly-scanner ", " friendly-scanner", "friendly-scanner\t "])
def test_blanks_around_a_name_hide_nobody(name):
    assert recognise(messages(1, user_agent=name))["tool"].tolist() == ["SIPVicious"]
