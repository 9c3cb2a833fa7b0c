"""How telephones, PBXs and attack tools write SIP: header order, token shapes, fixed headers.

A shape is text with marks: {h8} eight lower-case hexadecimal digits, {H8} upper-case, {d10} a decimal number of ten
digits, {a12} letters and digits, {n13} capitals and digits, {l50} lower-case letters, {b22} lower-case letters and
digits, {u} a UUID, {ip} the address that the program believes it has.
"""

import re
import string
from dataclasses import dataclass, field, replace
from functools import cache

ALPHABETS = {
    "a": string.ascii_letters + string.digits,
    "n": string.ascii_uppercase + string.digits,
    "l": string.ascii_lowercase,
    "b": string.ascii_lowercase + string.digits,
}
MARK = re.compile(r"\{(\w+?)(\d*)\}")


@cache
def _marks(shape):
    parts, end = [], 0
    for found in MARK.finditer(shape):
        parts.append(("", shape[end : found.start()]))
        parts.append((found[1], int(found[2] or 0)))
        end = found.end()
    return [part for part in [*parts, ("", shape[end:])] if part != ("", "")]


def token(rng, shape, ip=""):
    """Return a text of that shape."""
    return "".join(_piece(rng, kind, value, ip) for kind, value in _marks(shape))


def _piece(rng, kind, value, ip):
    if kind == "":
        return value
    if kind in {"h", "H"}:
        text = f"{rng.getrandbits(4 * value):0{value}x}"
        return text.upper() if kind == "H" else text
    if kind == "d":
        return str(rng.randrange(10 ** (value - 1), 10**value))
    if kind == "u":
        text = f"{rng.getrandbits(128):032x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    if kind == "ip":
        return ip
    return "".join(rng.choices(ALPHABETS[kind], k=value))


@dataclass(frozen=True)
class Stack:
    """One program's way of writing a request."""

    agents: tuple
    order: str
    """The names of its headers, in order; those without a value for a request are left out."""
    branch: str
    tag: str
    call_id: str
    via: str = "{host}:{port};branch={branch};rport"
    contact: str = "<sip:{user}@{host}:{port}>"
    address: str = '"{name}" <sip:{user}@{domain}>'
    to: str = "<sip:{user}@{domain}>"
    cseq: str = "1"
    session: str = "-"
    origin: str = "-"
    media: tuple = (10000, 20000)
    contact_in: tuple = ("REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "NOTIFY")
    fixed: dict = field(default_factory=dict)
    length: str = "Content-Length: {}"
    retries: bool = True
    """Retransmits what is not answered (RFC 3261 17.1); scanners do not."""

    @property
    def headers(self):
        """The names of its headers, in order."""
        return tuple(self.order.split())


METHODS = "INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, INFO"
YEALINK = Stack(
    agents=(
        "Yealink SIP-T46S 66.84.0.15",
        "Yealink SIP-T42G 29.83.0.50",
        "Yealink W52P 25.81.0.60",
        "Yealink SIP-T21P_E2 52.84.0.15",
    ),
    order=(
        "Via From To Call-ID CSeq Contact Authorization Proxy-Authorization Content-Type Allow Max-Forwards"
        " User-Agent Expires"
        " Allow-Events Event Supported Content-Length"
    ),
    branch="z9hG4bK{d10}",
    tag="{d10}",
    call_id="0_{d10}@{ip}",
    via="{host}:{port};branch={branch}",
    to='"{user}" <sip:{user}@{domain}>',
    fixed={
        "Allow": (
            "INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REGISTER, SUBSCRIBE, REFER, PUBLISH, UPDATE,"
            " MESSAGE"
        ),
        "Allow-Events": "talk,hold,conference,refer,check-sync",
    },
    session="SDP data",
    media=(11780, 12780),
)
GRANDSTREAM = Stack(
    agents=(
        "Grandstream GXP2160 1.0.9.108",
        "Grandstream GXP1625 1.0.4.119",
        "Grandstream HT802 1.0.27.2",
        "Grandstream GXP2135 1.0.11.3",
    ),
    order=(
        "Via From To Call-ID CSeq Contact Authorization Proxy-Authorization Max-Forwards User-Agent"
        " Supported Expires Event Allow"
        " Content-Type Content-Length"
    ),
    branch="z9hG4bK{d9}",
    tag="{d9}",
    call_id="{d9}-5060-1@BJC.BGI.B.CAF",
    address="<sip:{user}@{domain}>",
    cseq="200{d1}",
    contact='<sip:{user}@{host}:{port}>;reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000B82A1B2C3>"',
    fixed={"Supported": "path", "Allow": METHODS + ", SUBSCRIBE, UPDATE, PRACK, MESSAGE"},
    session="SIP Call",
    media=(5004, 5044),
)
POLYCOM = Stack(
    agents=(
        "PolycomVVX-VVX_411-UA/5.9.0.9373",
        "PolycomSoundPointIP-SPIP_550-UA/4.0.8.1608",
        "PolycomVVX-VVX_250-UA/6.3.1.8427",
    ),
    order=(
        "Via From To CSeq Call-ID Contact Event Allow Supported User-Agent Accept-Language Authorization"
        " Proxy-Authorization"
        " Max-Forwards Expires Content-Type Content-Length"
    ),
    branch="z9hG4bK{h8}{H8}",
    tag="{H8}-{H8}",
    call_id="{h32}",
    via="{host};branch={branch}",
    contact='<sip:{user}@{host}>;methods="INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, SUBSCRIBE, NOTIFY"',
    fixed={"Accept-Language": "en", "Supported": "100rel,replaces"},
    session="Polycom IP Phone",
    media=(2222, 2268),
)
SNOM = Stack(
    agents=("snom320/8.7.5.35", "snomD725/10.1.54.13", "snom370/8.4.35"),
    order=(
        "Via From To Call-ID CSeq Max-Forwards User-Agent Contact X-Serialnumber Event Authorization"
        " Proxy-Authorization"
        " Allow-Events Supported Allow Expires Content-Type Content-Length"
    ),
    branch="z9hG4bK-{b12}",
    tag="{b10}",
    call_id="{h12}-{b12}",
    contact="<sip:{user}@{host}:{port};line={b8}>;reg-id=1",
    fixed={"Allow-Events": "dialog", "Supported": "path, gruu", "X-Serialnumber": "000413A1B2C3"},
    session="call",
    media=(49152, 65000),
)
CISCO_SPA = Stack(
    agents=(
        "Cisco/SPA504G-7.6.2c",
        "Cisco/SPA303-7.5.2",
        "Linksys/SPA942-6.1.5(a)",
        "Linksys/PAP2T-5.1.6(LS)",
        "Cisco/SPA112-1.4.1",
    ),
    order=(
        "Via From To Call-ID CSeq Max-Forwards Authorization Proxy-Authorization Contact Event User-Agent"
        " Expires Content-Type"
        " Content-Length Allow Supported"
    ),
    branch="z9hG4bK-{h8}",
    tag="{h16}o0",
    call_id="{h8}-{h8}@{ip}",
    via="{host}:{port};branch={branch}",
    address="{name} <sip:{user}@{domain}>",
    cseq="{d5}",
    contact="{name} <sip:{user}@{host}:{port}>;expires=3600",
    fixed={"Allow": METHODS + ", UPDATE", "Supported": "replaces"},
    media=(16384, 16482),
)
LINPHONE = Stack(
    agents=(
        "Linphone/3.6.1 (eXosip2/4.1.0)",
        "LinphoneAndroid/4.6.13 (Galaxy A52) LinphoneSDK/5.1.58",
        "Linphone Desktop/4.4.10 (Windows 10)",
    ),
    order=(
        "Via From To CSeq Call-ID Max-Forwards Supported Allow Content-Type Content-Length Contact Expires"
        " Event User-Agent"
        " Authorization Proxy-Authorization"
    ),
    branch="z9hG4bK.{a9}",
    tag="{a9}",
    call_id="{a10}",
    via="{host}:{port};branch={branch};rport",
    address="<sip:{user}@{domain}>",
    to="sip:{user}@{domain}",
    cseq="20",
    contact='<sip:{user}@{host}:{port};transport=udp>;+sip.instance="<urn:uuid:{u}>"',
    fixed={"Supported": "replaces, outbound, gruu"},
    session="Talk",
    media=(7078, 7178),
)
RESIP = (
    "Via Max-Forwards Contact To From Call-ID CSeq Expires Allow Content-Type Proxy-Authorization"
    " Authorization User-Agent"
    " Event Allow-Events Content-Length"
)
ZOIPER = Stack(
    agents=("Z 5.4.12 v2.10.13.2", "Zoiper rv2.8.30", "Z 5.5.14 v2.10.18.6", "Zoiper r42735"),
    order=RESIP,
    branch="z9hG4bK-524287-1---{h16}",
    tag="{h8}",
    call_id="{a22}..",
    contact="<sip:{user}@{host}:{port};rinstance={h16};transport=UDP>",
    fixed={"Allow": METHODS + ", MESSAGE, SUBSCRIBE", "Allow-Events": "presence, kpml, talk"},
    session="Z",
    origin="Z",
    media=(8000, 8998),
    address="<sip:{user}@{domain};transport=UDP>",
    to="<sip:{user}@{domain};transport=UDP>",
)
BRIA = Stack(
    agents=(
        "X-Lite release 5.0.0 stamp 67284",
        "Bria 5 release 5.8.3 stamp 104210",
        "eyeBeam release 1011s stamp 41150",
    ),
    order=RESIP,
    branch="z9hG4bK-d8754z-{h16}-1---d8754z-",
    tag="{h8}",
    call_id="{a48}.",
    contact="<sip:{user}@{host}:{port};rinstance={h16}>",
    fixed={"Allow": METHODS + ", MESSAGE, SUBSCRIBE"},
    session="CounterPath X-Lite",
    media=(49152, 65000),
)
PJSIP = (
    "Via Max-Forwards From To Contact Call-ID CSeq Event Allow Supported User-Agent Expires"
    " Authorization Proxy-Authorization"
    " Content-Type Content-Length"
)
MICROSIP = Stack(
    agents=(
        "MicroSIP/3.21.3",
        "MicroSIP/3.20.7",
        "PJSUA v2.10 Linux-5.4/x86_64/glibc-2.31",
        "CSipSimple_a5xelte-26/r2457",
    ),
    order=PJSIP,
    branch="z9hG4bKPj{h32}",
    tag="{h32}",
    call_id="{h32}",
    via="{host}:{port};rport;branch={branch}",
    cseq="{d5}",
    contact='"{name}" <sip:{user}@{host}:{port};ob>',
    length="Content-Length:  {}",
    session="pjmedia",
    fixed={
        "Allow": "PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS",
        "Supported": "replaces, 100rel, timer, norefersub",
    },
    media=(4000, 4020),
)
ASTERISK = Stack(
    agents=(
        "Asterisk PBX 13.38.3",
        "FPBX-14.0.16.4(13.22.0)",
        "Asterisk PBX",
        "Asterisk PBX 1.8.32.3",
        "FPBX-2.11.0(11.25.3)",
    ),
    order=(
        "Via Max-Forwards From To Contact Call-ID CSeq User-Agent Authorization Proxy-Authorization Expires"
        " Event Date Allow Supported"
        " Content-Type Content-Length"
    ),
    branch="z9hG4bK{h8}",
    tag="as{h8}",
    call_id="{h32}@{ip}:5060",
    cseq="102",
    session="Asterisk PBX",
    origin="root",
    fixed={"Allow": METHODS + ", SUBSCRIBE, PUBLISH, MESSAGE", "Supported": "replaces, timer"},
)
ASTERISK_PJSIP = Stack(
    agents=(
        "Asterisk PBX 16.8.0",
        "FPBX-15.0.17.12(16.15.1)",
        "Asterisk PBX 18.10.0~dfsg",
        "Asterisk PBX certified/18.9",
    ),
    order=(
        "Via From To Contact Call-ID CSeq Event Allow Supported Expires Max-Forwards User-Agent"
        " Authorization Proxy-Authorization"
        " Content-Type Content-Length"
    ),
    branch="z9hG4bKPj{u}",
    tag="{u}",
    call_id="{u}",
    via="{host}:{port};rport;branch={branch}",
    cseq="{d5}",
    length="Content-Length:  {}",
    session="Asterisk",
    fixed={
        "Allow": "OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK",
        "Supported": "100rel, timer, replaces, norefersub",
    },
)
FREESWITCH = Stack(
    agents=(
        "FreeSWITCH-mod_sofia/1.10.7-release+git~20211024T163933Z~883d2cb662~64bit",
        "FreeSWITCH-mod_sofia/1.6.20~64bit",
    ),
    order=(
        "Via Max-Forwards From To Call-ID CSeq Contact Expires Event User-Agent Allow Supported"
        " Authorization Proxy-Authorization"
        " Allow-Events Content-Type Content-Disposition Content-Length X-FS-Support"
    ),
    branch="z9hG4bK{n13}",
    tag="{n13}",
    call_id="{u}",
    via="{host};rport;branch={branch}",
    cseq="{d8}",
    contact="<sip:gw+carrier@{host}:5060;transport=udp;gw=carrier>",
    session="FreeSWITCH",
    origin="FreeSWITCH",
    fixed={"Allow": METHODS + ", UPDATE, MESSAGE", "Supported": "timer, path, replaces"},
    media=(16384, 32768),
)
KAMAILIO = Stack(
    agents=("kamailio (5.5.2 (x86_64/linux))", "OpenSIPS (3.1.4 (x86_64/linux))"),
    order="Via To From CSeq Call-ID Max-Forwards Content-Length User-Agent Contact",
    branch="z9hG4bK{d4}.{h8}000000000000000000000000.0",
    tag="{h32}-{h8}",
    call_id="{h16}-{d5}@{ip}",
    via="{host};branch={branch}",
    cseq="10",
    address="<sip:{user}@{domain}>",
    contact_in=(),
)
THREECX = Stack(
    agents=("3CXPhoneSystem 18.0.2.315 (311)", "3CXPhoneSystem 16.0.8.9 (6)"),
    order=RESIP,
    branch="z9hG4bK-524287-1---{h16}",
    tag="{h8}",
    call_id="{a22}..",
    contact="<sip:{user}@{host}:{port};rinstance={h16}>",
    fixed={"Allow": METHODS + ", SUBSCRIBE, UPDATE"},
    session="3cxVCE Audio Call",
    origin="3cxVCE",
)
SONUS = Stack(
    agents=("",),
    order=(
        "Via From To Call-ID CSeq Max-Forwards Allow Accept Contact Supported Content-Length Content-Disposition"
        " Content-Type"
    ),
    branch="z9hG4bK0{h1}B{h8}",
    tag="gK0{h1}{h6}",
    call_id="{d9}_{d8}@{ip}",
    via="{host}:{port};branch={branch}",
    address="<sip:{user}@{domain}>",
    cseq="{d5}",
    fixed={"Allow": METHODS + ", PRACK, UPDATE", "Accept": "application/sdp", "Supported": "100rel"},
    session="-",
    origin="Sonus_UAC",
)
ORACLE = Stack(
    agents=("",),
    order="Via From To Call-ID CSeq Max-Forwards Contact Allow Supported Content-Type Content-Length",
    branch="z9hG4bK{b20}.1",
    tag="SD{b7}01-{h8}",
    call_id="SD{b8}01-{h32}-v3000",
    via="{host}:{port};branch={branch}",
    address="<sip:{user}@{domain}>",
    cseq="{d6}",
    fixed={"Allow": METHODS + ", PRACK, UPDATE"},
    contact="<sip:{user}@{host}:{port};transport=udp>",
    session="sip call",
)
JSSIP = Stack(
    agents=("JsSIP 3.10.0", "SIP.js/0.20.0", "JsSIP 3.3.11"),
    order=(
        "Via Max-Forwards To From Call-ID CSeq Authorization Proxy-Authorization Contact Expires Allow"
        " Supported User-Agent"
        " Content-Type Content-Length"
    ),
    branch="z9hG4bK{d7}",
    tag="{b10}",
    call_id="{b22}",
    via="{host};branch={branch}",
    contact="<sip:{b8}@{host};transport=ws>;reg-id=1;expires=600",
    address="<sip:{user}@{domain}>",
    cseq="{d4}",
    fixed={
        "Allow": "INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY",
        "Supported": "path,gruu,outbound",
    },
)
FRITZBOX = Stack(
    agents=("FRITZ!OS", "AVM FRITZ!Box 7590 154.07.29", "AVM FRITZ!Box Fon WLAN 7390 84.06.83"),
    order=(
        "Via From To Call-ID CSeq Contact Max-Forwards Expires User-Agent Supported Allow Authorization"
        " Proxy-Authorization"
        " Content-Type Content-Length"
    ),
    branch="z9hG4bK{H16}",
    tag="{H16}",
    call_id="{H16}@{ip}",
    via="{host}:{port};rport;branch={branch}",
    address="<sip:{user}@{domain}>",
    contact="<sip:{user}@{host}:{port};uniq={H32}>",
    cseq="{d2}",
    fixed={"Supported": "100rel,replaces,timer"},
)
PHONES = (YEALINK, GRANDSTREAM, POLYCOM, SNOM, CISCO_SPA, LINPHONE, ZOIPER, BRIA, MICROSIP, FRITZBOX)
DESK_PHONES = (YEALINK, GRANDSTREAM, POLYCOM, SNOM, CISCO_SPA)
SOFT_PHONES = (LINPHONE, ZOIPER, BRIA, MICROSIP)
PBXS = (ASTERISK, ASTERISK_PJSIP, FREESWITCH, THREECX)
SBCS = (SONUS, ORACLE)

# --- monitoring and test programs

SIPSAK = Stack(
    agents=("sipsak 0.9.8.1", "sipsak 0.9.6"),
    order="Via From To Call-ID CSeq Contact Content-Length Max-Forwards User-Agent Accept",
    branch="z9hG4bK.{h8}",
    tag="{h8}",
    call_id="{d9}@{ip}",
    via="{host}:{port};branch={branch};rport;alias",
    address="sip:sipsak@{domain}",
    to="sip:{domain}",
    contact="sip:sipsak@{host}:{port}",
    fixed={"Accept": "text/plain"},
)
CHECK_SIP = Stack(
    agents=("check_sip 1.3", "Nagios check_sip"),
    order="Via Max-Forwards From To Call-ID CSeq Contact User-Agent Accept Content-Length",
    branch="z9hG4bK{d8}",
    tag="{d8}",
    call_id="{d8}@{ip}",
    address="<sip:checksip@{domain}>",
    fixed={"Accept": "application/sdp"},
    retries=False,
)
SIPP = Stack(
    agents=("",),
    order="Via From To Call-ID CSeq Contact Max-Forwards Subject Content-Type Content-Length",
    branch="z9hG4bK-{d4}-{d4}-0",
    tag="{d4}SIPpTag00{d4}",
    call_id="{d4}-{d4}@{ip}",
    via="{host}:{port};branch={branch}",
    address="sipp <sip:{user}@{host}:{port}>",
    to="{user} <sip:{user}@{domain}>",
    contact="sip:{user}@{host}:{port}",
    fixed={"Subject": "Performance Test"},
    origin="user1",
)

# --- attack tools (names and marks as documented by their authors and by those who met them)

SIPVICIOUS = Stack(
    agents=("friendly-scanner",),
    order="Via Content-Length From Accept User-Agent To Contact CSeq Call-ID Max-Forwards Authorization",
    branch="z9hG4bK-{d10}",
    tag="{h40}",
    call_id="{d10}",
    via="{host}:{port};branch={branch};rport",
    address='"{name}"<sip:{user}@{domain}>',
    to='"{user}"<sip:{user}@{domain}>',
    contact="sip:{user}@{domain}",
    fixed={"Accept": "application/sdp"},
    retries=False,
    session="svwar",
)
SIPVICIOUS3 = replace(
    SIPVICIOUS, order="Via Max-Forwards To From User-Agent Call-ID Contact CSeq Accept Authorization Content-Length"
)
SIPCLI = Stack(
    agents=("sipcli/v1.8",),
    order="To From Via Call-ID CSeq Contact Max-Forwards User-Agent Allow Content-Type Content-Length Authorization",
    branch="z9hG4bK-{h32}",
    tag="{h8}",
    call_id="{h32}",
    via="{host}:5078;branch={branch};rport",
    address='"{name}" <sip:{user}@{domain}>',
    contact="<sip:{user}@{host}:5078>",
    session="sipcli-Session",
    origin="sipcli-Session",
    retries=False,
    fixed={"Allow": "INVITE, ACK, CANCEL, BYE, OPTIONS"},
)
SIPPTS = Stack(
    agents=("pplsip",),
    order=(
        "Via From To Contact Call-ID CSeq Max-Forwards User-Agent Allow Expires Content-Type Content-Length"
        " Authorization"
    ),
    branch="{b71}",
    tag="{h8}",
    call_id="{h32}",
    via="{host}:{port};branch={branch};rport",
    contact="<sip:{user}@{host}:{port};transport=udp>;expires=120",
    address="{name} <sip:{user}@{domain}>",
    session="SIPPTS",
    media=(12194, 12195),
    retries=False,
    fixed={"Allow": "INVITE,REGISTER,ACK,BYE,CANCEL,OPTIONS,NOTIFY,REFER,MESSAGE", "Expires": "120"},
)
MRSIP = Stack(
    agents=("",),
    order="Via From To Call-ID CSeq Contact Max-Forwards Content-Length",
    branch="z9hG4bK-{d10}",
    tag="{d6}",
    call_id="{d10}@{ip}",
    address="<sip:{user}@{domain}>",
    retries=False,
    session="Z",
    origin="Z",
)
NMAP_NSE = Stack(
    agents=("Nmap NSE",),
    order="Via From To Call-ID CSeq User-Agent Max-Forwards Expires Contact Accept Content-Length",
    branch="z9hG4bK{b25}",
    tag="{h8}",
    call_id="{h32}",
    address="Nmap NSE <sip:{user}@{domain}>",
    cseq="1234",
    length="Content-Length:  {}",
    fixed={"Accept": "application/sdp"},
    retries=False,
)
METASPLOIT = Stack(
    agents=("",),
    order="Via From To Call-ID CSeq Contact Max-Forwards User-Agent Accept Content-Length",
    branch="z9hG4bK.{h8}",
    tag="70c00e8c",
    call_id="{d9}@{ip}",
    via="{host}:{port};branch={branch};rport;alias",
    address="sip:{user}@{domain};tag=70c00e8c",
    contact="sip:{user}@{host}:{port}",
    fixed={"Accept": "text/plain"},
    retries=False,
)
FORCER = Stack(
    agents=("Cisco v11.0.0", "Cisco v11.0.0", "Linksys v4.2", "VoIP v11.0.0", "Cisco v12.1.1"),
    order="Via Max-Forwards Contact To From Call-ID CSeq Expires User-Agent Allow Authorization Content-Length",
    branch="z9hG4bK{u}",
    tag="{l8}",
    call_id="{l50}",
    via="{host}:{port};branch={branch};rport",
    contact="<sip:{user}@{host}:{port};rinstance={h16}>",
    address='"{user}"<sip:{user}@{domain}>',
    to='"{user}"<sip:{user}@{domain}>',
    fixed={"Allow": "INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY"},
    retries=False,
)
SALITY = Stack(
    agents=("Asterisk PBX",),
    order="Via Content-Length From Accept User-Agent To Contact CSeq Call-ID Max-Forwards",
    branch="1F8b5C6T44G2CJt",
    tag="{d24}",
    call_id="{d10}",
    via="{domain}:{port};branch={branch};rport",
    address='"{user}"<sip:{user}@{domain}>',
    to='"{user}"<sip:{user}@{domain}>',
    contact="sip:123@1.1.1.1",
    fixed={"Accept": "application/sdp"},
    retries=False,
)
SUNDAY = Stack(
    agents=("sundayddr",),
    order="Via From To Call-ID CSeq Contact User-Agent Max-Forwards Content-Length",
    branch="zqwehwebK-{d10}",
    tag="{d10}",
    call_id="{d10}@192.168.1.9",
    via="192.168.1.9:{port};branch={branch};rport",
    address="<sip:sipsscuser@192.168.1.9>",
    to="<sip:sipssc@{domain}>",
    contact="<sip:sipsscuser@192.168.1.9:{port}>",
    retries=False,
)
DIALLER = Stack(
    agents=(
        "eyeBeam release 3006o stamp 17551",
        "Z 3.14.38765 rv2.8.3",
        "X-Lite 4.7.1 74247",
        "VaxSIPUserAgent/3.1",
        "pplsip",
        "Ozeki",
        "Avaya one-X",
        "Asterisk PBX 1.6.2",
        "Cisco-SIPGateway/IOS-12.x",
        "PBX",
        "sipcli/v1.8",
        "Grandstream GXP2000",
        "snom300/8.4",
    ),
    order="Via Max-Forwards Contact To From Call-ID CSeq Content-Type User-Agent Allow Content-Length Authorization",
    branch="z9hG4bK-{d6}-1---{b16}",
    tag="{b8}",
    call_id="{b24}",
    via="{host}:{port};branch={branch};rport",
    contact="<sip:{user}@{host}:{port}>",
    to="<sip:{user}@{domain}>",
    session="call",
    origin="caller",
    retries=False,
    fixed={"Allow": METHODS},
)
SCRIPT = Stack(
    agents=("",),
    order="Via From To Call-ID CSeq Max-Forwards Contact User-Agent Content-Length Authorization Content-Type",
    branch="z9hG4bK{b16}",
    tag="{b10}",
    call_id="{b20}@{ip}",
    address="<sip:{user}@{domain}>",
    retries=False,
    session="-",
    origin="user",
)
