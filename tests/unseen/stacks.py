"""How programs write SIP: phones and servers as published, and scripts whose handwriting is made up from a seed."""

import random
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass

Maker = Callable[[random.Random, str], str]
DIGITS, HEX = string.digits, "0123456789abcdef"
LOWER, ALNUM = string.ascii_lowercase, string.ascii_letters + string.digits


def chars(rng: random.Random, alphabet: str, count: int) -> str:
    """Draw characters."""
    return "".join(rng.choices(alphabet, k=count))


def of(alphabet: str, count: int, before: str = "", after: str = "") -> Maker:
    """Make tokens of a fixed shape; {host} in the text after is the writer's host."""
    return lambda rng, host: before + chars(rng, alphabet, count) + after.replace("{host}", host)


def an_uuid(before: str = "", after: str = "") -> Maker:
    """Make UUIDs."""
    return lambda rng, host: (
        before + str(uuid.UUID(int=rng.getrandbits(128), version=4)) + after.replace("{host}", host)
    )


@dataclass(frozen=True)
class Stack:
    """One program's handwriting."""

    agent: str
    order: str
    branch: Maker
    tag: Maker
    call_id: Maker
    contact: str = "<sip:{user}@{host}:{port}>"
    person: str = "<sip:{user}@{domain}>"
    via: str = "{branch};rport"
    allow: str = "INVITE, ACK, CANCEL, OPTIONS, BYE"
    supported: str = "replaces"
    accept: str = "application/sdp"
    first_cseq: int = 1
    owner: str = "-"
    session: str = "-"
    compact: bool = False


PJ_ORDER = (
    "Via Max-Forwards From To Contact Call-ID CSeq "
    "Allow Supported Expires User-Agent Authorization Content-Type Content-Length"
)
RESIP = (
    "Via Max-Forwards Contact To From Call-ID CSeq "
    "Expires Allow Content-Type Supported User-Agent Authorization Content-Length"
)
EXOSIP = (
    "Via From To Call-ID CSeq Contact Authorization Content-Type Allow Max-Forwards User-Agent Expires Content-Length"
)
SOFIA = (
    "Via Max-Forwards From To Call-ID CSeq Contact "
    "Expires User-Agent Authorization Allow Supported Content-Type Content-Length"
)
CHAN = (
    "Via Max-Forwards From To Contact Call-ID CSeq "
    "User-Agent Authorization Expires Allow Supported Content-Type Content-Length"
)
YEALINK = (
    "Via From To Call-ID CSeq Contact Authorization "
    "Content-Type Allow Max-Forwards User-Agent Expires Supported Content-Length"
)
SPA = (
    "Via From To Call-ID CSeq Max-Forwards Authorization "
    "Contact Expires User-Agent Content-Length Content-Type Allow Supported"
)
SNOM = (
    "Via From To Call-ID CSeq Max-Forwards User-Agent "
    "Contact Allow Supported Authorization Expires Content-Type Content-Length"
)
POLY = (
    "Via From To CSeq Call-ID Contact Allow "
    "User-Agent Supported Authorization Max-Forwards Expires Content-Type Content-Length"
)
KAMA = "Via To From CSeq Call-ID Max-Forwards Content-Length User-Agent Contact"
AUDIOC = (
    "Via Max-Forwards From To Call-ID CSeq Contact "
    "Supported Allow Authorization Expires User-Agent Content-Type Content-Length"
)

PHONES = [
    Stack(
        "MicroSIP/3.21.3",
        PJ_ORDER,
        of(HEX, 32, "z9hG4bKPj"),
        of(HEX, 32),
        of(HEX, 32),
        "<sip:{user}@{host}:{port};ob>",
        via="rport;{branch}",
    ),
    Stack(
        "PJSUA v2.14.1 Linux-5.15",
        PJ_ORDER,
        an_uuid("z9hG4bKPj"),
        an_uuid(),
        an_uuid(),
        "<sip:{user}@{host}:{port};ob>",
        via="rport;{branch}",
        owner="-",
        session="pjmedia",
    ),
    Stack(
        "X-Lite release 5.8.3 stamp 107650",
        RESIP,
        of(HEX, 16, "z9hG4bK-524287-1---"),
        of(HEX, 8),
        of(ALNUM, 42, after="."),
        "<sip:{user}@{host}:{port};rinstance=5cc11e1b99e9f2d3>",
        '"{user}"<sip:{user}@{domain}>',
        session="X-Lite",
    ),
    Stack(
        "Z 5.6.1 v2.10.19.9",
        RESIP,
        of(HEX, 16, "z9hG4bK-524287-1---"),
        of(HEX, 8),
        of(ALNUM, 22, after=".."),
        "<sip:{user}@{host}:{port};transport=UDP;rinstance=9a80b1e5d6c1f6ad>",
        session="Z",
    ),
    Stack(
        "Linphone/3.12.0 (belle-sip/1.6.3)",
        EXOSIP,
        of(ALNUM, 9, "z9hG4bK."),
        of(ALNUM, 9),
        of(ALNUM, 10),
        "<sip:{user}@{host}:{port};transport=udp>",
        via="{branch};rport",
        first_cseq=20,
        session="Talk",
    ),
    Stack(
        "Yealink SIP-T46S 66.85.0.5",
        YEALINK,
        of(DIGITS, 10, "z9hG4bK"),
        of(DIGITS, 10),
        of(DIGITS, 10, "0_", "@{host}"),
        "<sip:{user}@{host}:{port}>",
        '"{user}" <sip:{user}@{domain}>',
        "{branch}",
        session="SDP data",
    ),
    Stack(
        "Yealink SIP-T21P_E2 52.83.0.35",
        YEALINK,
        of(DIGITS, 10, "z9hG4bK"),
        of(DIGITS, 10),
        of(DIGITS, 10, "0_", "@{host}"),
        "<sip:{user}@{host}:{port}>",
        '"{user}" <sip:{user}@{domain}>',
        "{branch}",
        session="SDP data",
    ),
    Stack(
        "Grandstream GXP2160 1.0.11.10",
        EXOSIP,
        of(DIGITS, 9, "z9hG4bK"),
        of(DIGITS, 10),
        of(DIGITS, 9, after="-5060-1@BJC.BGI.B.BAF"),
        "<sip:{user}@{host}:{port}>",
        via="{branch};rport",
        first_cseq=2000,
    ),
    Stack(
        "PolycomVVX-VVX_410-UA/5.9.3.2857",
        POLY,
        of(HEX, 16, "z9hG4bK"),
        of(HEX, 8),
        of(HEX, 32),
        via="{branch}",
        person='"{user}" <sip:{user}@{domain}>',
    ),
    Stack(
        "Cisco/SPA504G-7.6.2",
        SPA,
        of(HEX, 8, "z9hG4bK-"),
        of(HEX, 16, after="o0"),
        of(HEX, 8, after="-{host}"),
        person='"{user}" <sip:{user}@{domain}>',
        via="{branch}",
    ),
    Stack(
        "snom821/8.7.5.35",
        SNOM,
        of(ALNUM, 12, "z9hG4bK-"),
        of(ALNUM, 10),
        of(ALNUM, 12, "3c26700c5d01-"),
        "<sip:{user}@{host}:{port};line=4j2rqk0k>;reg-id=1",
        '"{user}" <sip:{user}@{domain}>',
        "{branch};rport",
    ),
    Stack(
        "AVM FRITZ!Box 7590 154.07.29",
        "Via From To Call-ID CSeq Contact Max-Forwards "
        "Expires User-Agent Supported Authorization Allow Content-Type Content-Length",
        of(HEX, 16, "z9hG4bK"),
        of(HEX, 16),
        of(HEX, 16, after="@{host}"),
        "<sip:{user}@{host}:{port};uniq=5F0FE9A6D2C9D03E9B4BA2C1BA9D3>",
        via="{branch}",
    ),
    Stack(
        "Gigaset N510 IP PRO/42.250",
        EXOSIP,
        of(HEX, 32, "z9hG4bK"),
        of(DIGITS, 10),
        of(DIGITS, 10, after="@192_168_2_60"),
        via="{branch};rport",
    ),
    Stack(
        "baresip v2.10.0 (x86_64/Linux)",
        "Via Contact Max-Forwards Authorization To From Call-ID "
        "CSeq Supported User-Agent Allow Expires Content-Type Content-Length",
        of(HEX, 16, "z9hG4bK"),
        of(HEX, 16),
        of(HEX, 16),
        via="{branch};rport",
    ),
    Stack(
        "Acrobits Softphone/23.1", PJ_ORDER, of(HEX, 32, "z9hG4bKPj"), of(HEX, 16), of(HEX, 40), via="rport;{branch}"
    ),
    Stack(
        "3CXPhone 6.0.26523.0",
        RESIP,
        of(HEX, 16, "z9hG4bK-d8754z-", "-1---d8754z-"),
        of(HEX, 8),
        of(ALNUM, 43, after="."),
        "<sip:{user}@{host}:{port};rinstance=0da1b7a60b5f0e8e>",
        '"{user}"<sip:{user}@{domain}>',
    ),
    Stack(
        "Mitel 6869i/5.1.0.1024",
        "Via Max-Forwards To From Call-ID CSeq Contact "
        "Allow Supported Authorization Expires User-Agent Content-Type Content-Length",
        of(HEX, 10, "z9hG4bK"),
        of(HEX, 10),
        of(HEX, 16),
        person='"{user}" <sip:{user}@{domain}:5060>',
        via="{branch}",
    ),
    Stack(
        "2N Helios IP 2.32",
        "Via From To Call-ID CSeq Contact Max-Forwards "
        "User-Agent Allow Supported Authorization Expires Content-Type Content-Length",
        of(DIGITS, 8, "z9hG4bK-"),
        of(DIGITS, 8),
        of(DIGITS, 12, after="@{host}"),
        via="{branch};rport",
        session="2N",
    ),
    Stack(
        "Patton SN4120 1FXO",
        "Via Max-Forwards From To Call-ID CSeq "
        "Contact Expires Supported User-Agent Authorization Content-Type Content-Length",
        of(HEX, 17, "z9hG4bK"),
        of(HEX, 10),
        of(HEX, 16),
        via="{branch}",
    ),
    Stack(
        "Cisco ATA 191/11.2.2",
        SPA,
        of(HEX, 8, "z9hG4bK-"),
        of(HEX, 16, after="o0"),
        of(HEX, 8, after="-{host}"),
        person='"{user}" <sip:{user}@{domain}>',
        via="{branch}",
    ),
]
FREESWITCH = Stack(
    "FreeSWITCH-mod_sofia/1.10.9-release~64bit",
    SOFIA,
    of(ALNUM, 13, "z9hG4bK"),
    of(ALNUM, 13),
    an_uuid(),
    "<sip:gw+carrier@{host}:{port};transport=udp;gw=carrier>",
    '"{user}" <sip:{user}@{domain}>',
    "rport;{branch}",
    first_cseq=126530010,
    owner="FreeSWITCH",
    session="FreeSWITCH",
)
ASTERISK = Stack(
    "Asterisk PBX 16.30.0",
    CHAN,
    of(HEX, 8, "z9hG4bK"),
    of(HEX, 8, "as"),
    of(HEX, 32, after="@{host}:5060"),
    "<sip:{user}@{host}:{port}>",
    '"{user}" <sip:{user}@{domain}>',
    first_cseq=102,
    owner="root",
    session="Asterisk PBX 16.30.0",
)
PJSIP_PBX = Stack(
    "FPBX-16.0.40.7(18.19.0)",
    PJ_ORDER,
    an_uuid("z9hG4bKPj"),
    an_uuid(),
    an_uuid(),
    "<sip:asterisk@{host}:{port}>",
    via="rport;{branch}",
    first_cseq=20310,
    session="Asterisk",
)
AUDIOCODES = Stack(
    "Mediant 800/v.7.20A.258.006",
    AUDIOC,
    of(DIGITS, 10, "z9hG4bKac"),
    of(DIGITS, 10, "1c"),
    of(DIGITS, 21, after="@{host}"),
    via="{branch}",
)
CUCM = Stack(
    "Cisco-CUCM12.5",
    "Via From To Call-ID CSeq User-Agent Contact Expires Max-Forwards Supported Allow Content-Type Content-Length",
    of(HEX, 12, "z9hG4bK"),
    of(DIGITS, 8, "251~", "-b5b7-4a43"),
    of(HEX, 24, after="@{host}"),
    via="{branch}",
    first_cseq=101,
)
SONUS = Stack(
    "",
    "Via From Call-ID To CSeq Max-Forwards Contact Allow Supported Content-Type Content-Length",
    of(HEX, 26, "z9hG4bK"),
    of(HEX, 8, "gK"),
    of(DIGITS, 17, after="@{host}"),
    via="{branch}",
)
TRUNKS = [FREESWITCH, ASTERISK, PJSIP_PBX, AUDIOCODES, CUCM, SONUS]
KAMAILIO = Stack(
    "kamailio (5.6.4 (x86_64/linux))",
    KAMA,
    of(HEX, 12, "z9hG4bK", ".0"),
    of(HEX, 32, after="-5127"),
    of(HEX, 16, after="-8191@0.0.0.0"),
    via="{branch}",
)
SIPSAK = Stack(
    "sipsak 0.9.8.1",
    "Via From To Call-ID CSeq Contact Content-Length Max-Forwards User-Agent Accept",
    of(HEX, 8, "z9hG4bK."),
    of(HEX, 8),
    of(DIGITS, 9, after="@{host}"),
    "sip:sipsak@{host}:{port}",
    "sip:sipsak@{host}:{port}",
    "{branch};rport;alias",
)
CHECK_SIP = Stack(
    "check_sip 1.3",
    "Via Max-Forwards From To Call-ID CSeq Contact User-Agent Accept Content-Length",
    of(ALNUM, 12, "z9hG4bK"),
    of(DIGITS, 6),
    of(HEX, 12, after="@{host}"),
    via="{branch}",
)
SIPP = Stack(
    "",
    "Via From To Call-ID CSeq Contact Max-Forwards Subject Content-Type Content-Length",
    lambda rng, _: f"z9hG4bK-{rng.randrange(4000)}-{rng.randrange(900)}-0",
    lambda rng, _: f"{rng.randrange(4000)}SIPpTag00{rng.randrange(900)}",
    lambda rng, host: f"{rng.randrange(10**6)}-4127@{host}",
    "sip:sipp@{host}:{port}",
    "sipp <sip:sipp@{host}:{port}>",
    "{branch}",
    owner="user1",
)


def sipvicious(agent: str, *, new: bool) -> Stack:
    """SIPVicious under another name; the tags are made by the attack itself."""
    order = (
        "Via Max-Forwards To From User-Agent Call-ID Contact CSeq Authorization Accept Content-Length"
        if new
        else ("Via Content-Length From Accept User-Agent To Contact CSeq Authorization Call-ID Max-Forwards")
    )
    return Stack(
        agent,
        order,
        of(DIGITS, 10, "z9hG4bK-"),
        of(HEX, 32),
        of(DIGITS, 10),
        "sip:{user}@{domain}",
        '"{user}"<sip:{user}@{domain}>',
    )


def sipcli(agent: str) -> Stack:
    """sipcli under another name (branch and Call-ID are made equal by the attack)."""
    order = "To From Via Call-ID CSeq Contact Max-Forwards Allow User-Agent Content-Type Content-Length"
    return Stack(
        agent,
        order,
        of(HEX, 32, "z9hG4bK-"),
        of(HEX, 8),
        of(HEX, 32),
        person="{user}<sip:{user}@{domain}>",
        allow="INVITE, ACK, CANCEL, BYE",
        owner="sipcli-Session",
        session="sipcli",
    )


def made_up(rng: random.Random, agent: str = "") -> Stack:
    """A script nobody has seen: the order of its headers and the shapes of its tokens are drawn."""
    names = [
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Contact",
        "Max-Forwards",
        "User-Agent",
        "Authorization",
        "Expires",
    ]
    if rng.random() < 0.5:
        names += ["Allow"]
    if rng.random() < 0.4:
        names += ["Accept"]
    rest = names[1:]
    rng.shuffle(rest)
    order = " ".join(["Via", *rest, "Content-Type", "Content-Length"])
    token = [
        of(HEX, rng.choice([8, 10, 12, 20, 32])),
        of(DIGITS, rng.randint(5, 12)),
        of(ALNUM, rng.randint(6, 24)),
        an_uuid(),
        of(LOWER, rng.randint(8, 20)),
    ]
    branch = rng.choice(token)
    magic = rng.choice(["z9hG4bK", "z9hG4bK-", "z9hG4bK.", "z9hG4bK", ""])
    call_id = rng.choice(token)
    at = rng.choice(["", "@{host}", "@localhost", "@127.0.0.1"])
    return Stack(
        agent,
        order,
        lambda r, h: magic + branch(r, h),
        rng.choice(token),
        lambda r, h: call_id(r, h) + at.replace("{host}", h),
        rng.choice(["<sip:{user}@{host}:{port}>", "<sip:{user}@{host}>", "sip:{user}@{host}:{port}"]),
        rng.choice(
            [
                "<sip:{user}@{domain}>",
                '"{user}" <sip:{user}@{domain}>',
                "sip:{user}@{domain}",
                '"{user}"<sip:{user}@{domain}>',
            ]
        ),
        rng.choice(["{branch}", "{branch};rport", "rport;{branch}"]),
        owner=rng.choice(["-", "root", "user", "root"]),
        session=rng.choice(["-", "call", "session", "sip", "Go"]),
        first_cseq=rng.choice([1, 1, 1, 2, 100]),
    )
