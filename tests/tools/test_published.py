"""Programs that cannot be installed, in the form in which their marks are published."""

import pytest
from factories import messages

from analyzer.tools import load_signatures, recognise

SIPVICIOUS_2 = "Via,Content-Length,From,Accept,User-Agent,To,Contact,CSeq,Call-ID,Max-Forwards"
SIPVICIOUS_3 = "Via,Max-Forwards,To,From,User-Agent,Call-ID,Contact,CSeq,Accept,Content-Length"
SIPPTS = "Via,From,To,Contact,Call-ID,CSeq,Max-Forwards,User-Agent,Allow,Expires,Content-Length"
SIPCLI = "To,From,Via,Call-ID,CSeq,Contact,Max-Forwards,Allow,User-Agent,Content-Type,Content-Length"
METASPLOIT = "Via,From,To,Call-ID,CSeq,Contact:__,Max-Forwards,User-Agent,Accept,Content-Length"
METASPLOIT_OLD = "Via,From,To,Call-ID,CSeq,Contact,Content-Length,Max-Forwards,User-Agent,Accept"
UUID = "862c3c7f-c690-40d3-b31c-c17a4a9db690"
HEX32 = "e7a0adcb65b036bcce0655cc90649308"
BRANCH71 = "q7d0mzk3x9" * 7 + "a"

PUBLISHED = {
    "python 2": (
        "SIPVicious",
        {"layout": SIPVICIOUS_2, "branch": "z9hG4bK-4139097255", "call_id": "141335499045307758303004"},
    ),
    "python 2, challenged": (
        "SIPVicious",
        {"layout": f"{SIPVICIOUS_2},Authorization", "branch": "z9hG4bK-41", "call_id": "1413354990"},
    ),
    "python 2, compact": (
        "SIPVicious",
        {
            "layout": "v,Content-Length,f,i,m,Accept,CSeq,t,Max-Forwards",
            "branch": "z9hG4bK-4139097255",
            "call_id": "1413354990",
        },
    ),
    "copy without magic cookie": (
        "SIPVicious",
        {"layout": SIPVICIOUS_2, "branch": "a8Zk3Lm0pQ", "user_agent": "Asterisk PBX", "from_tag": "as62b3"},
    ),
    "renamed copy": (
        "SIPVicious",
        {
            "layout": "Via,To,From,Call-ID,CSeq,Content-Length",
            "from_tag": "6333373161633236313363350131313732393735333339",
            "user_agent": "Linksys/SPA942",
        },
    ),
    "svcrack's first": ("SIPVicious", {"from_tag": "3206210844"}),
    "svcrash": ("SIPVicious", {"from_tag": "683a653a7901746865726501627965"}),
    "100@1.1.1.1": ("SIPVicious", {"from_user": "100", "from_host": "1.1.1.1"}),
    "sunday branch": ("sundayddr", {"branch": "zqwehwebK-3820476"}),
    "sunday users": ("sundayddr", {"from_user": "sipsscuser", "to_user": "sipssc", "from_host": "192.168.1.9"}),
    "sunday tag": (
        "sundayddr",
        {"branch": "zqwehwebK-38", "from_tag": "6333373161633236313363350131313732393735333339"},
    ),
    "sality": (
        "Sality sipscan",
        {
            "method": "REGISTER",
            "user_agent": "Asterisk PBX",
            "from_user": "3982516068",
            "layout": SIPVICIOUS_2,
            "branch": "1F8b5C6T44G2CJt",
            "from_tag": "33393832353136303638013237313733",
            "call_id": "4157190471",
        },
    ),
    "sality, another branch": (
        "Sality sipscan",
        {
            "method": "REGISTER",
            "user_agent": "Asterisk PBX",
            "from_user": "3982516068",
            "branch": "9G8b5C6T44G2CJa",
            "from_tag": "33393832353136303638013237313733",
            "call_id": "4157190471",
        },
    ),
    "sippts": (
        "sippts",
        {"layout": SIPPTS, "branch": BRANCH71, "from_tag": "0fa3b721", "call_id": HEX32, "user_agent": "Zoiper"},
    ),
    "sippts branch": ("sippts", {"branch": BRANCH71}),
    "sippts session": ("sippts", {"sdp_session": "SIPPTS"}),
    "sippts, several weak marks": (
        "sippts",
        {
            "layout": SIPPTS,
            "from_tag": "0fa3b721",
            "call_id": HEX32,
            "contact": "<sip:100@10.0.0.1:5060;transport=udp>;expires=120",
        },
    ),
    "Mr.SIP": (
        "Mr.SIP",
        {"branch": "z9hG4bK-8371950264", "from_tag": "482910", "call_id": "0a9b8c7d6e5f4g3h2i1jklmnopq48291"},
    ),
    "Mr.SIP options": (
        "Mr.SIP",
        {
            "layout": "LF Via,From,To,Call-ID,CSeq,Contact,Accept,Max-Forwards,Content-Length",
            "branch": "z9hG4bK-8371950264",
            "from_tag": "482910",
        },
    ),
    "Mr.SIP register": (
        "Mr.SIP",
        {
            "layout": "LF Via,Max-Forwards,To,From,Call-ID,CSeq,Contact,Expires,User-Agent,Content-Length",
            "branch": "z9hG4bK-8371950264",
            "from_tag": "482910",
        },
    ),
    "Mr.SIP body": ("Mr.SIP", {"sdp_origin": "Z 192.168.1.45", "branch": "z9hG4bK-8371950264"}),
    "metasploit tag": ("Metasploit", {"from_tag": "70c00e8c"}),
    "metasploit": (
        "Metasploit",
        {"layout": METASPLOIT, "branch": "z9hG4bK.0a1b2c3d", "user_agent": "f4Tq", "from_user": "f4Tq"},
    ),
    "metasploit of old": (
        "Metasploit",
        {"layout": METASPLOIT_OLD, "branch": "z9hG4bK.0a1b2c3d", "user_agent": "f4Tq", "from_user": "f4Tq"},
    ),
    "metasploit, another layout": (
        "Metasploit",
        {"branch": "z9hG4bK.0a1b2c3d", "user_agent": "f4Tq", "from_user": "f4Tq"},
    ),
    "viproy": ("Viproy", {"branch": "branchA1b2C3d4E5", "call_id": f"call{'aB3' * 10}@192.0.2.1"}),
    "viproy layout": (
        "Viproy",
        {
            "layout": "Via,Max-Forwards,From,To,Call-ID,CSeq,Contact,User-Agent,Supported,Allow,Expires,Content-Length",
            "call_id": f"call{'aB3' * 10}@192.0.2.1",
            "from_tag": "a1B2c3D4e5",
            "user_agent": "Cisco IP Phone 7945",
        },
    ),
    "viproy, Call-ID changed": ("Viproy", {"branch": "branchA1b2C3d4E5", "from_tag": "a1B2c3D4e5"}),
    "sipsak subject": ("sipsak", {"subject": "DONT ANSWER this test call!"}),
    "sipcli": ("sipcli", {"branch": f"z9hG4bK-{HEX32}", "call_id": HEX32}),
    "sipcli layout": ("sipcli", {"layout": SIPCLI, "from_tag": "5834bcd7", "call_id": HEX32}),
    "sipcli body": ("sipcli", {"sdp_origin": "sipcli-Session 192.168.1.102"}),
    "sipcli session": ("sipcli", {"sdp_session": "sipcli"}),
    "sipp subject": ("SIPp", {"from_user": "sipp", "subject": "Performance Test"}),
    "SIVuS": ("SIVuS", {"from_name": "SIVuS_VoIP_Scanner", "from_user": "SIVuS"}),
    "SIVuS user": ("SIVuS", {"from_user": "SIVuS"}),
    "SIVuS discovery": ("SIVuS", {"uri": "sip:sivus-discovery@vopsecurity.org", "to_user": "sivus-discovery"}),
    "SIVuS discovery uri": ("SIVuS", {"uri": "sip:sivus-discovery@vopsecurity.org"}),
    "SIVuS discovery from": ("SIVuS", {"from_user": "sivus-discovery"}),
    "smap": ("smap", {"from_user": "smap"}),
    "Voiper": ("Voiper", {"from_user": "tester", "method": "!interesting-Method0123456789_*+`.%indeed'~"}),
    "Voiper uri": ("Voiper", {"from_user": "tester", "uri": "sip:1_unusual.URI~(to-be!sure)&isn't@example.com"}),
    "sipscan": ("sipscan", {"uri_user": "thisisthecanary", "from_user": "test"}),
    "sipscan to": ("sipscan", {"to_user": "thisisthecanary"}),
    "sipscan from": ("sipscan", {"from_user": "thisisthecanary"}),
    "nmap -sV": ("nmap", {"from_user": "nm", "from_host": "nm"}),
    "nmap -sV's tokens": ("nmap", {"from_tag": "root", "branch": "foo"}),
    "nmap -sV's numbers": ("nmap", {"cseq": 42, "call_id": "50000"}),
    "Cisco v11.0.0": (
        "Cisco v11.0.0",
        {
            "user_agent": "Cisco v11.0.0",
            "call_id": "oyqnsaloresntguiunncboqtveevcaaunvelqctjqcqcxjberb",
            "from_tag": "wgbkxaiv",
            "branch": f"z9hG4bK{UUID}",
        },
    ),
}

HINTS = {
    "weak SIPVicious": (
        "SIPVicious",
        {"branch": "z9hG4bK-1", "call_id": "17", "contact": "sip:100@10.0.0.1"},
    ),
    "sipcli's ACK": (
        "sipcli",
        {"branch": f"z9hG4bK-{HEX32[::-1]}", "call_id": HEX32, "from_tag": "5834bcd7"},
    ),
    "RFC 3261": ("RFC 3261 example", {"via_host": "pc33.atlanta.com:5060"}),
    "RFC 4475 method": ("Voiper", {"method": "!interesting-Method0123456789_*+`.%indeed'~"}),
    "RFC 4475 uri": ("Voiper", {"uri": "sip:1_unusual.URI~(to-be!sure)&isn't@example.com"}),
    "sipp user": ("SIPp", {"from_user": "sipp"}),
    "sipp subject": ("SIPp", {"subject": "Performance Test"}),
    "Cisco v11.0.0 renamed": (
        "Cisco v11.0.0",
        {
            "call_id": "oyqnsaloresntguiunncboqtveevcaaunvelqctjqcqcxjberb",
            "from_tag": "wgbkxaiv",
            "branch": f"z9hG4bK{UUID}",
            "contact": "<sip:10@10.0.0.1:25760;rinstance=f74ef0c245dcda44>",
        },
    ),
}

INNOCENT = {
    "sippts's tag": {"from_tag": "0fa3b721"},
    "sippts's Call-ID": {"from_tag": "0fa3b721", "call_id": HEX32},
    "sippts's layout": {"layout": SIPPTS},
    "70 characters": {"branch": BRANCH71[:70]},
    "72 characters": {"branch": BRANCH71 + "a"},
    "71 with the magic cookie": {"branch": "z9hG4bK" + BRANCH71[7:]},
    "SIPVicious layout, Python 3": {"layout": SIPVICIOUS_3},
    "SIPVicious branch": {"branch": "z9hG4bK-4139097255"},
    "Mr.SIP's origin is a Zoiper's": {"sdp_origin": "Z 192.168.1.45", "sdp_session": "Z"},
    "PJSIP": {"branch": f"z9hG4bKPj{UUID}", "from_tag": UUID, "call_id": UUID, "user_agent": "MicroSIP/3.21.3"},
    "Asterisk chan_sip": {
        "branch": "z9hG4bK5f1a3e2b",
        "from_tag": "as0e1a5b2c",
        "call_id": "5d3a9c0b1a2b3c4d5e6f708192a3b4c5@10.0.0.1:5060",
        "user_agent": "Asterisk PBX 11.13.0~dfsg-1",
        "layout": "Via,Max-Forwards,From,To,Contact,Call-ID,CSeq,User-Agent,Date,Allow,Supported,Content-Length",
    },
    "FreeSWITCH": {"branch": "z9hG4bK7Xtrv8eDvUp9F", "from_tag": "p8BHyF2Qa7vrN", "call_id": UUID},
    "Cisco phone": {"branch": "z9hG4bK1f9a0c3e", "from_tag": "001ae2bc5f14000b2ac1d6b4-4f0f3a2b"},
    "Linphone": {"branch": "z9hG4bK1396173553", "from_tag": "829467312", "call_id": "1845297310"},
    "Linphone of today": {"branch": "z9hG4bK.XIHvVKK0V", "from_tag": "~vSLGqc2x", "call_id": "Jp8kQ3xYzA"},
    "Yealink": {"branch": "z9hG4bK3948572910", "from_tag": "3948572910", "call_id": "0_2839174650@192.168.0.4"},
    "Grandstream": {"branch": "z9hG4bK1283746501", "from_tag": "1283746501", "call_id": "1820-5060-1@BJC.BGI.B.BE"},
    "Snom": {"branch": "z9hG4bK-1pkx2bd7l0vm", "from_tag": "r0pm6fk5j8", "call_id": "313635303030-q8dbd5prv7vc"},
    "Polycom": {"branch": "z9hG4bK8e3ad1f3A7B8C9D0", "from_tag": "A1B2C3D4-E5F60718", "call_id": f"{HEX32}"},
    "X-Lite": {
        "branch": "z9hG4bK-524287-1---51b8d2f6c0a4b3e2",
        "from_tag": "3b2a1c4d",
        "call_id": "MzQyNzA4MDE5ZGY3",
        "contact": "<sip:10@10.0.0.1:25760;rinstance=f74ef0c245dcda44>",
    },
    "Zoiper": {"branch": "z9hG4bK-524287-1---9b2f1a1c5d", "sdp_session": "Z", "user_agent": "Zoiper rev.11137"},
    "two missing values are not the same": {"user_agent": None, "from_user": None, "branch": "z9hG4bK.0a1b2c3d"},
    "nothing at all": {"branch": None, "from_tag": None, "call_id": None, "cseq": None},
}


MESSAGES = {
    "Metasploit": """\
OPTIONS sip:nobody@127.7.7.7 SIP/2.0
Via: SIP/2.0/UDP 127.7.7.8:5060;branch=z9hG4bK.0a1b2c3d;rport;alias
From: sip:f4Tq@127.7.7.8:5060;tag=0fa3b721
To: sip:nobody@127.7.7.7
Call-ID: 2874490434@127.7.7.8
CSeq: 1 OPTIONS
Contact:  sip:f4Tq@127.7.7.8:5060
Max-Forwards: 20
User-Agent: f4Tq
Accept: text/plain
Content-Length: 0
""",
    "sippts": f"""\
REGISTER sip:127.7.7.7 SIP/2.0
Via: SIP/2.0/UDP 127.7.7.8:5070;branch={BRANCH71};rport
From: 100 <sip:100@127.7.7.7>;tag=0fa3b721
To: 100 <sip:100@127.7.7.7>
Contact: <sip:100@127.7.7.8:5070;transport=udp>;expires=120
Call-ID: {HEX32}
CSeq: 1 REGISTER
Max-Forwards: 70
User-Agent: Zoiper rev.11137
Allow: INVITE, REGISTER, ACK, CANCEL, BYE, NOTIFY, REFER, OPTIONS, INFO, SUBSCRIBE, UPDATE, PRACK, MESSAGE
Expires: 120
Content-Length: 0
""",
    "Mr.SIP": """\
OPTIONS sip:100@127.7.7.7 SIP/2.0
Via: SIP/2.0/UDP 127.7.7.8:32145;branch=z9hG4bK-8371950264;rport
From: <sip:200@127.7.7.8>;tag=482910
To: <sip:100@127.7.7.7>
Call-ID: not-its-own
CSeq: 1 OPTIONS
Contact: <sip:200@127.7.7.8:32145>
Accept: application/sdp
Max-Forwards: 70
Content-Length: 0
""",
    "sipcli": f"""\
INVITE sip:9011442037690000@127.7.7.7 SIP/2.0
To: 9011442037690000<sip:9011442037690000@127.7.7.7>
From: 200<sip:200@127.7.7.7>;tag=2fd7b751
Via: SIP/2.0/UDP 127.7.7.8:5078;branch=z9hG4bK-{HEX32};rport
Call-ID: {HEX32}
CSeq: 1 INVITE
Contact: <sip:200@127.7.7.8:5078>
Max-Forwards: 70
Allow: INVITE, ACK, CANCEL, BYE
User-Agent: Zoiper rev.11137
Content-Length: 0
""",
}
LINE_ENDS = {"Mr.SIP": "\n"}


@pytest.mark.parametrize("tool", MESSAGES)
def test_a_published_message_is_named_under_a_false_name(tool, written):
    payload = (MESSAGES[tool] + "\n").replace("\n", LINE_ENDS.get(tool, "\r\n")).encode()
    found = recognise(written(payload))
    assert found["tool"].item() == tool
    assert found["tool_confidence"].item() >= 0.9
    assert "user-agent" not in found["tool_reason"].item() or tool == "Metasploit"


@pytest.mark.parametrize(("tool", "columns"), PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_published_mark_names_its_tool(tool, columns):
    found = recognise(messages(1, **columns))
    assert found["tool"].item() == tool
    assert found["tool_confidence"].item() >= 0.8


@pytest.mark.parametrize(("tool", "columns"), HINTS.values(), ids=HINTS.keys())
def test_a_weak_mark_is_a_hint_only(tool, columns):
    found = recognise(messages(1, **columns))
    assert found["tool"].item() == tool
    assert found["tool_confidence"].item() <= 0.6


@pytest.mark.parametrize("columns", INNOCENT.values(), ids=INNOCENT.keys())
def test_what_phones_share_names_nothing(columns):
    found = recognise(messages(1, **columns))
    assert found[["tool", "tool_confidence", "tool_reason"]].isna().all(axis=None)


def test_every_rule_is_proved_by_an_example():
    """No rule that is never the one to decide: the published forms above and the recordings use all tools."""
    shown = {tool for tool, _ in (*PUBLISHED.values(), *HINTS.values())}
    with_rules = {rule.tool for rule in load_signatures().rules if rule.reason != "user-agent"}
    assert with_rules <= shown


def test_a_response_is_never_named():
    echoed = messages(1, status=404, from_tag="6333373161633236313363350131313732393735333339", branch="foo")
    found = recognise(echoed)
    assert found[["tool", "tag_target"]].isna().all(axis=None)


def test_the_surest_of_several_reasons_counts():
    found = recognise(messages(1, user_agent="sipcli/v1.8", branch=f"z9hG4bK-{HEX32}", call_id=HEX32))
    assert found["tool_reason"].item() == "call-id, branch"
    assert found["tool_confidence"].item() == 0.95


def test_the_rest_of_the_table_stays_as_it_is():
    table = messages(5, user_agent=["sipcli/v1.8", None, "friendly-scanner", "x", "Zoiper"])
    found = recognise(table)
    filled = [name for name in table.columns if name.startswith(("tool", "tag_"))]
    assert found.drop(columns=filled).equals(table.drop(columns=filled))
    assert found.dtypes.astype("str").equals(table.dtypes.astype("str"))
    assert set(found["tool"].cat.categories) == {"sipcli", "SIPVicious", "x"}
    assert recognise(found).equals(found)


def test_nothing_is_found_in_nothing():
    assert recognise(messages(0)).empty
