"""What phones, PBXs and their stacks write, whatever they claim to be, and what claims contradict it."""

import os
from pathlib import Path

import pandas as pd
import pytest
from factories import messages
from scenarios import INNOCENT, make
from scenarios.wire import write_capture

from analyzer.engines.native import read_packets
from analyzer.sip.assembly import merge
from analyzer.sip.parser import parse
from analyzer.tools import contradictions, load_signatures, recognise, writers
from analyzer.tools.handwriting import COLUMNS
from analyzer.tools.signatures import WRITERS

FOLDER = Path(__file__).parent / "handwriting"
UUID = "862c3c7f-c690-40d3-b31c-c17a4a9db690"
HEX32 = "e7a0adcb65b036bcce0655cc90649308"

HANDS = {
    # Cisco, "Configuring SIP-T features": OPTIONS of an IOS gateway
    "Cisco IOS": {
        "branch": "z9hG4bKE211D", "from_tag": "1005B0-1CB", "call_id": "2EE072F6-E93E11DE-801BBA85-BFCDE3D6@192.0.2.1",
        "user_agent": "Cisco-SIPGateway/IOS-12.x",
    },
    # Cisco, call recording guide: INVITE of CUCM 10.5
    "Cisco Unified CM": {
        "branch": "z9hG4bK204d520fedb3", "from_tag": "73601~713e2333-4032-45f1-b1f5-e33cf471acec-38960754",
        "call_id": "abbb8e00-4291f775-204c-5a20300e@192.0.2.1", "user_agent": "Cisco-CUCM10.5",
    },
    # SPA-Call-Manager-Pro, issue 8: NOTIFY of an SPA942
    "Cisco SPA": {
        "branch": "z9hG4bK-edba58c2", "from_tag": "ef768b8611d9b415o0", "call_id": "2ec7053e-2a88f2f3@192.0.2.1",
        "user_agent": "Linksys/SPA942-6.1.5(a)",
    },
    # the form of Yealink's T4x; the account's number stands before the Call-ID
    "Yealink": {
        "branch": "z9hG4bK1257581178", "from_tag": "3480719511", "call_id": "0_1257581178@192.0.2.1",
        "user_agent": "Yealink SIP-T22P 7.73.14.2",
    },
    # a published INVITE of an HT801: each digit of the address a letter
    "Grandstream": {
        "branch": "z9hG4bK1116045215", "from_tag": "34360856", "call_id": "267155984-5060-9@BHC.FA.B.BAD",
        "user_agent": "Grandstream HT801 1.0.3.2",
    },
    # a published REGISTER of a VVX 350
    "Polycom": {
        "branch": "z9hG4bKef06bc0929D70FF", "from_tag": "F87D2248-BCC05E87", "call_id": HEX32,
        "layout": "Via,From,To,CSeq,Call-ID,Contact,User-Agent,Accept-Language,Max-Forwards,Expires,Content-Length",
        "user_agent": "PolycomVVX-VVX_350-UA/5.9.5.0614",
    },
    # the PUBLISH of a snom821 in a test of HOMER's
    "Snom": {
        "branch": "z9hG4bK-2atcagwblzv2", "from_tag": "2ygtpy7bgk", "call_id": "89596257635d-ip18q8n0lp1b",
        "user_agent": "snom821/873_19_20130321",
    },
    # the form of the Contact as AVM's routers register
    "AVM FRITZ!Box": {
        "branch": "z9hG4bKA3F54CA6A3D10F24", "from_tag": "77A5C7EA10F3AC5B",
        "contact": "<sip:620@192.0.2.1;uniq=0123456789ABCDEF0123456789ABCDEF>", "user_agent": "FRITZ!OS",
    },
    # nDPI's gre.pcap
    "Aastra 400": {
        "branch": "z9hG4bK_AI2000Aug06491367227110", "from_tag": "AICCF805E578CE6403",
        "call_id": "AI1737AB5491ADC392@192.0.2.1", "user_agent": "Aastra 400",
    },
    # build_via() and make_our_tag() in Asterisk's old driver
    "Asterisk chan_sip": {
        "branch": "z9hG4bK114f0fe5", "from_tag": "as51f0a6ca", "call_id": f"{HEX32}@192.0.2.1:5060",
        "user_agent": "Asterisk PBX 11.13.0",
    },
    # heplify's sip_tcp_websocket.pcap
    "FreeSWITCH": {
        "branch": "z9hG4bKZQc0S64KHSyeg", "from_tag": "jSvFv18y0pmZD", "call_id": UUID,
        "layout": "Via,Max-Forwards,From,To,Call-ID,CSeq,Contact,User-Agent,Allow,Supported,Content-Length",
        "user_agent": "FreeSWITCH-mod_sofia/1.8.2-3-a98a958ac3~64bit",
    },
    # heplify's sip_tcp_websocket.pcap
    "Kamailio": {
        "branch": "z9hG4bK39ef.fa114fe2.0", "from_tag": "92fe177f1e5705ca79fdae5a939bb480-5127",
        "user_agent": "OpenSIPS (2.4.3 (x86_64/linux))",
    },
    # nDPI's FAX-Call-t38-CA-TDM-SIP-FB-1.pcap
    "Oracle SBC": {"branch": "z9hG4bKif3pu230eol0uac9o1c1.1", "from_tag": "SD4909701-00e9d478", "user_agent": "other"},
    # resip/stack/BranchParameter.cxx: the cookie -524287-; before it was -d8754z-
    "resiprocate": {
        "branch": "z9hG4bK-524287-1---32b535bdb3a4fd7c", "from_tag": "70d7b60b", "user_agent": "Bria 5 release 5.8.3",
    },
    # suricata-verify's public-cloudshark-sip-s0.pcap
    "Xten": {
        "branch": "z9hG4bK4E76DAE7C5584B21BF8C5F687296CCA5", "from_tag": "3848902025",
        "call_id": "D3A26FC3974B44ECB5A96E07282903E3@example.com", "user_agent": "X-Lite release 1103m",
    },
    # pjsip/src/pjsip/sip_util.c: "Pj" behind the magic cookie; a GUID as tag
    "PJSIP": {
        "branch": "z9hG4bKPjNvs.IZBnUa1W4l8oHPpk3SUMmcx3MMcE", "from_tag": "SvS155QzhrmDG3rG7IWOxLbXxsyZL6pC",
        "user_agent": "MicroSIP/3.22.3",
    },
    # a published INVITE of LinphoneAndroid 4.2; belle-sip/src/transaction.c
    "belle-sip": {
        "branch": "z9hG4bK.0FnzE-nBz", "from_tag": "f3wEV1LzB", "call_id": "CNKVBJgNGj",
        "user_agent": "LinphoneAndroid/4.2 (Moto G Play) LinphoneSDK/4.3 (tags/4.3^0)",
    },
    # a published REGISTER of JsSIP 3.10
    "JsSIP": {
        "branch": "z9hG4bK4018982", "from_tag": "ncim0lsirg", "call_id": "13svkc3n543locv44iqoqs",
        "layout": "Via,Max-Forwards,To,From,Call-ID,CSeq,Contact,Expires,Allow,Supported,User-Agent,Content-Length",
        "user_agent": "JsSIP 3.10.0",
    },
    # handwriting/stacks/baresip-register.sip
    "baresip": {
        "branch": "z9hG4bK28821b708b26c44f", "from_tag": "ee3d654bc8603efc", "call_id": "0e80a19f1d1e9441",
        "layout": "Via,Contact,Max-Forwards,To,From,Call-ID,CSeq,User-Agent,Allow,Content-Length",
        "user_agent": "baresip v1.0.0 (x86_64/linux)",
    },
    # sipnab's DTMFsipinfo.pcap
    "OPAL": {
        "branch": f"z9hG4bK{UUID}", "from_tag": UUID, "call_id": f"{UUID}@desktop",
        "layout": "Date,CSeq,Via,User-Agent,From,Call-ID,To,Contact,Allow,Content-Type,Content-Length,Max-Forwards",
        "user_agent": "Ekiga/3.2.0",
    },
    # suricata-verify's public-cloudshark-sip-s0.pcap
    "Nero SIPPS": {
        "branch": "z9hG4bKnp104984053-44ce4a41192.0.2.1", "from_tag": "6433ef9",
        "call_id": "105090259-446faf7a@192.0.2.1", "user_agent": "Nero SIPPS IP Phone Version 2.0.51.16",
    },
}  # fmt: skip
RELAYS = ("FreeSWITCH", "Kamailio", "Oracle SBC")


@pytest.fixture
def claimed():
    """Return what is said of messages in a hand that claim to be something else."""
    return lambda hand, user_agent: contradictions(messages(1, **HANDS[hand] | {"user_agent": user_agent}))


def test_every_certain_hand_has_an_example():
    assert {rule.tool for rule in load_signatures().hands if rule.confidence >= 0.9} == set(HANDS)


@pytest.mark.parametrize("program", HANDS)
@pytest.mark.parametrize("user_agent", ["own", "an unknown name", None])
def test_a_hand_is_known_whatever_it_claims_and_accuses_nobody(program, user_agent):
    own = {} if user_agent == "own" else {"user_agent": user_agent}
    table = messages(1, **HANDS[program] | own)
    assert writers(table).tolist() == [program]
    assert recognise(table)["tool"].isna().all()
    assert contradictions(table).empty


@pytest.mark.parametrize("program", sorted(set(HANDS) - {*RELAYS, "Cisco IOS"}))
def test_another_name_is_a_contradiction(program):
    table = messages(9, **HANDS[program] | {"user_agent": "Cisco-SIPGateway/IOS-15.2"})
    (row,) = contradictions(table).to_dict("records")
    assert row["reason"] == f"claims Cisco IOS, writes like {program}"
    assert (row["claims"], row["writes"], row["source"]) == ("Cisco IOS", program, "192.0.2.1")
    assert row["user_agent"] == "Cisco-SIPGateway/IOS-15.2"
    assert row["requests"] == 4
    assert row["packet"] == table["packet"].iloc[0]


@pytest.mark.parametrize("program", RELAYS)
def test_whoever_hands_on_names_contradicts_none(program, claimed):
    assert claimed(program, "Cisco-SIPGateway/IOS-15.2").empty


@pytest.mark.parametrize(
    ("program", "user_agent"),
    [
        ("PJSIP", "Asterisk PBX 18.10.0"), ("PJSIP", "FPBX-15.0.17.12(16.15.1)"), ("resiprocate", "Zoiper rv2.10.11"),
        ("resiprocate", "Z 5.6.1 v2.10.19.9"), ("resiprocate", "3CXPhoneSystem 18.0"), ("Xten", "X-PRO release 1103"),
        ("resiprocate", "eyeBeam release 1014g stamp 44944"), ("Cisco SPA", " Cisco/SPA504G-7.6.2c "),
    ],
)  # fmt: skip
def test_names_that_a_stack_goes_by(program, user_agent, claimed):
    assert claimed(program, user_agent).empty


def test_a_message_in_no_known_hand_contradicts_nothing():
    table = messages(1, user_agent="Cisco-SIPGateway/IOS-15.2", branch="z9hG4bKxyz", from_tag="xyz", call_id="xyz")
    assert writers(table).isna().all()
    assert contradictions(table).empty


def test_one_odd_message_among_others_is_no_contradiction():
    columns = pd.DataFrame([HANDS["Yealink"]] * 3 + [HANDS["PJSIP"]]).to_dict("list") | {"user_agent": "Yealink T"}
    assert contradictions(messages(4, **columns)).empty


def test_each_source_speaks_for_itself():
    table = messages(2, **HANDS["PJSIP"] | {"user_agent": "Polycom"}, source=["192.0.2.1", "192.0.2.2"])
    assert contradictions(table)["source"].tolist() == ["192.0.2.1", "192.0.2.2"]
    assert contradictions(table.iloc[1:])["source"].tolist() == ["192.0.2.2"]


def test_responses_and_the_nameless_claim_nothing():
    assert contradictions(messages(1, **HANDS["PJSIP"] | {"user_agent": None})).empty
    assert contradictions(messages(1, status=200, **HANDS["PJSIP"] | {"user_agent": "Polycom"})).empty
    assert list(contradictions(messages(0))) == list(COLUMNS)
    assert writers(messages(0)).empty


def test_the_index_is_kept():
    table = messages(3, **HANDS["PJSIP"]).iloc[[2, 0]]
    assert writers(table).index.tolist() == [2, 0]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("sv*.sip")), ids=lambda path: path.stem)
def test_a_scanner_behind_a_phones_name(path, written):
    found = contradictions(written(path.read_bytes(), user_agent="snomD725/10.1.54.13"))
    assert found["reason"].tolist() == ["claims Snom, writes like SIPVicious"]


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("sofia-options", "FreeSWITCH"),
        ("baresip-register", "baresip"),
        ("baresip-register-authorized", "baresip"),
        ("kamailio-options", "Kamailio"),
    ],
)
def test_real_stacks(name, program, written):
    table = written((FOLDER / "stacks" / f"{name}.sip").read_bytes())
    assert writers(table).tolist() == [program]
    assert recognise(table)["tool"].isna().all()
    assert contradictions(table).empty


def test_those_that_are_never_named_are_not_hostile():
    tools = load_signatures().tools.values()
    assert not any(tool.hostile for tool in tools if tool.kind in WRITERS)
    assert {tool.kind for tool in tools} >= set(WRITERS)


def read(path):
    return merge([parse(packets, capture=path.name)[0] for packets in read_packets(path)])


@pytest.mark.slow
@pytest.mark.parametrize("name", INNOCENT)
def test_the_innocent_neither_use_tools_nor_contradict_themselves(name, tmp_path):
    write_capture(tmp_path / "innocent.pcap", make(name, 23).packets)
    found = recognise(read(tmp_path / "innocent.pcap"))
    hostile = {tool.name for tool in load_signatures().tools.values() if tool.hostile}
    assert hostile.isdisjoint(found["tool"].dropna())
    assert contradictions(found).empty


CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


@pytest.mark.skipif(not CORPUS.is_dir() and os.environ.get("SIPSCOPE_TESTS") != "all", reason=f"{CORPUS} is not there")
def test_nobody_in_the_corpus_contradicts_himself():
    captures = [path for path in sorted(CORPUS.rglob("*")) if path.suffix in {".pcap", ".pcapng", ".cap"}]
    parts = [read(path) for path in captures if not path.name.startswith("SIP-")]
    assert len(parts) > 40
    assert [found.to_dict() for table in parts if len(found := contradictions(table))] == []
