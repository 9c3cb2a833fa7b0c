"""The simulated network: addresses, servers, user agents, their exchanges, and the truth about them."""

import hashlib
import socket
from dataclasses import dataclass, field

from scenarios.stacks import token
from scenarios.wire import write_capture

EPOCH = 1_772_409_600.0
"""2026-03-02 00:00 UTC; times in scenarios are seconds from here."""
DAY, HOUR, MINUTE = 86400.0, 3600.0, 60.0
NETWORKS = 48
"""How many /16 networks customers and attackers alike come from."""
PHRASES = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    489: "Bad Event",
    503: "Service Unavailable",
    603: "Declined",
    604: "Does Not Exist Anywhere",
}


@dataclass(frozen=True)
class Style:
    """How a server writes its answers, and what it says to wrong credentials and unknown users."""

    order: str
    software: tuple
    realm: str
    nonce: str
    tag: str
    wrong: int
    unknown: int
    qop: bool = False


VIA = "Via From To Call-ID CSeq"
STYLES = {
    "chan_sip": Style(
        order=VIA
        + " Server Allow Supported WWW-Authenticate Proxy-Authenticate Retry-After Expires Contact Content-Type"
        " Content-Length",
        software=("Asterisk PBX 13.38.3", "FPBX-14.0.16.4(13.22.0)", "Asterisk PBX 1.8.32.3"),
        realm="asterisk",
        nonce="{h8}",
        tag="as{h8}",
        wrong=403,
        unknown=404,
    ),
    "pjsip": Style(
        order=(
            "Via Call-ID From To CSeq WWW-Authenticate Proxy-Authenticate Retry-After Server Allow Contact"
            " Expires Content-Type"
            " Content-Length"
        ),
        software=("Asterisk PBX 16.8.0", "FPBX-15.0.17.12(16.15.1)"),
        realm="asterisk",
        nonce="{d10}/{h32}",
        tag="z9hG4bK{u}",
        wrong=401,
        unknown=401,
        qop=True,
    ),
    "kamailio": Style(
        order=VIA + " WWW-Authenticate Proxy-Authenticate Retry-After Contact Server Content-Type Content-Length",
        software=("kamailio (5.5.2 (x86_64/linux))",),
        realm="",
        nonce="{a32}",
        tag="{h32}.{h4}",
        wrong=401,
        unknown=404,
        qop=True,
    ),
    "freeswitch": Style(
        order=VIA
        + " User-Agent Allow Supported WWW-Authenticate Proxy-Authenticate Retry-After Contact Expires Content-Type"
        " Content-Length",
        software=("FreeSWITCH-mod_sofia/1.10.7-release~64bit",),
        realm="",
        nonce="{u}",
        tag="{n13}",
        wrong=403,
        unknown=403,
        qop=True,
    ),
    "3cx": Style(
        order=(
            "Via WWW-Authenticate Proxy-Authenticate Contact To From Call-ID CSeq User-Agent Retry-After Expires"
            " Content-Type"
            " Content-Length"
        ),
        software=("3CXPhoneSystem 18.0.2.315 (311)",),
        realm="3CXPhoneSystem",
        nonce="414d535c{h12}:{h32}",
        tag="{h8}",
        wrong=407,
        unknown=404,
    ),
}


@dataclass
class Server:
    """A PBX, proxy or trunk of ours."""

    ip: str
    style: Style
    domain: str
    accounts: list
    software: str = ""
    port: int = 5060
    rtt: float = 0.03
    mute: bool = False
    """Its answers are not captured."""
    alike: bool = True
    """It challenges unknown users too (alwaysauthreject)."""

    @property
    def realm(self):
        """What it calls itself in challenges."""
        return self.style.realm or self.domain


@dataclass
class Leg:
    """A dialog or a series of registrations of one user agent."""

    call_id: str
    tag: str
    cseq: int
    to_tag: str = ""
    contact: str = ""
    last_tag: str = ""


@dataclass
class Agent:
    """A user agent: where it really is, where it believes it is, how it writes, whom it claims to be."""

    stack: object
    user: str
    domain: str
    ip: str
    port: int = 5060
    inside: str = ""
    inside_port: int = 0
    name: str | None = None
    program: str | None = None
    fixed: dict = field(default_factory=dict)
    ttl: int = 54

    def __post_init__(self):
        self.inside = self.inside or self.ip
        self.inside_port = self.inside_port or self.port
        self.name = self.user if self.name is None else self.name
        self.program = self.stack.agents[0] if self.program is None else self.program

    def write(self, rng, method, uri, leg, branch, to, extra, body):
        """Return the text of a request, and its headers by name."""
        stack, marks = (
            self.stack,
            {"host": self.inside, "port": self.inside_port, "user": self.user, "domain": self.domain},
        )
        values = {**stack.fixed, **self.fixed}
        values["Via"] = "SIP/2.0/UDP " + stack.via.format(branch=branch, **marks)
        address = stack.address.format(name=self.name, **marks)
        values["From"] = address if ";tag=" in address else f"{address};tag={leg.tag}"
        values["To"] = to + (f";tag={leg.to_tag}" if leg.to_tag else "")
        values["Call-ID"], values["CSeq"] = leg.call_id, f"{leg.cseq} {method}"
        values["Max-Forwards"] = values.get("Max-Forwards", "70")
        if method in stack.contact_in:
            values["Contact"] = self._contact(rng, leg, marks)
        if self.program:
            values["User-Agent"] = self.program
        if body:
            values["Content-Type"] = "application/sdp"
        values["Content-Length"] = stack.length.format(len(body)).split(": ", 1)[1]
        if extra:
            values.update(extra)
        lines = [f"{method} {uri} SIP/2.0"]
        lines += [f"{name}: {values[name]}" for name in stack.headers if name in values]
        return "\r\n".join(lines) + "\r\n\r\n" + body, values

    def _contact(self, rng, leg, marks):
        if not leg.contact:
            shape = self.stack.contact
            for name, value in {**marks, "name": self.name}.items():
                shape = shape.replace("{" + name + "}", str(value))
            leg.contact = token(rng, shape, self.inside)
        return leg.contact

    def leg(self, rng):
        """Return a new dialog."""
        stack = self.stack
        return Leg(token(rng, stack.call_id, self.inside), token(rng, stack.tag), int(token(rng, stack.cseq)))

    def sdp(self, rng):
        """Return a body that offers audio."""
        stack, serial = self.stack, rng.randrange(10**8, 10**9)
        port = rng.randrange(*stack.media) & ~1
        return (
            f"v=0\r\no={stack.origin} {serial} {serial} IN IP4 {self.inside}\r\n"
            f"s={stack.session}\r\nc=IN IP4 {self.inside}\r\n"
            f"t=0 0\r\nm=audio {port} RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
            "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
        )


@dataclass
class Campaign:
    """The truth about one attacker."""

    name: str
    tool: str = ""
    kinds: set = field(default_factory=set)
    sources: set = field(default_factory=set)
    breached: set = field(default_factory=set)
    answered: set = field(default_factory=set)


@dataclass
class Site:
    """What is ours: servers, and a network in which nobody else answers."""

    servers: list
    network: str

    @property
    def pbx(self):
        """The server that most traffic goes to."""
        return self.servers[0]


class World:
    """Everything that is sent in one scenario, and who sent it why."""

    def __init__(self, rng, start=0.0):
        self.rng, self.start = rng, EPOCH + start
        self.packets, self.campaigns, self.roles = [], [], {}
        self.used = set()
        self.networks = [
            f"{rng.choice([*range(31, 99), *range(101, 127), *range(128, 169)])}.{rng.randrange(256)}"
            for _ in range(NETWORKS)
        ]
        self.ttls = {}
        self.wanted = ""

    # --- places and people

    def address(self, role=""):
        """Return a new public address; a role makes it an innocent one."""
        while True:
            ip = f"{self.rng.choice(self.networks)}.{self.rng.randrange(256)}.{self.rng.randrange(1, 255)}"
            if ip not in self.used:
                break
        self.used.add(ip)
        if role:
            self.roles[ip] = role
        return ip

    def server(self, ip, kind=None, accounts=None):
        """Return a new server at that address."""
        rng = self.rng
        style = STYLES[kind or rng.choice(("chan_sip", "pjsip", "kamailio", "freeswitch", "chan_sip"))]
        domain = rng.choice((ip, ip, f"sip.{token(rng, '{l7}')}.net", f"pbx.{token(rng, '{l6}')}.com"))
        if accounts is None:
            first = rng.choice((100, 200, 1000, 2000, 6000))
            accounts = [str(number) for number in range(first + 1, first + rng.randrange(40, 90))]
        self.roles.setdefault(ip, "server")
        rtt = rng.uniform(0.005, 0.06)
        return Server(ip, style, domain, accounts, rng.choice(style.software), rtt=rtt, alike=rng.random() < 0.6)

    def site(self, servers=None, kind=None):
        """Return a new site of a few servers in one /24."""
        while True:
            network = (
                f"{self.rng.choice((185, 193, 194, 195, 212, 213))}.{self.rng.randrange(256)}.{self.rng.randrange(256)}"
            )
            if network not in self.used:
                break
        self.used.add(network)
        hosts = self.rng.sample(range(2, 250), servers or self.rng.randrange(2, 7))
        return Site([self.server(f"{network}.{host}", kind) for host in sorted(hosts)], network)

    def campaign(self, name, tool="", kinds=()):
        """Open a new attack campaign."""
        campaign = Campaign(f"{name}-{len(self.campaigns) + 1}", tool, set(kinds))
        self.campaigns.append(campaign)
        return campaign

    def attacker(self, campaign):
        """Return a new attacking address."""
        ip = self.address()
        campaign.sources.add(ip)
        return ip

    def agent(self, stack, server, ip, user=None, *, natted=False, port=None, inside=None, **more):
        """Return a user agent that talks to server; natted: behind a translator, on a private address."""
        rng = self.rng
        user = rng.choice(server.accounts) if user is None else user
        if natted and inside is None:
            inside = f"192.168.{rng.choice((0, 1, 1, 1, 2, 10, 178))}.{rng.randrange(2, 254)}"
        port = port or (rng.randrange(1024, 65000) if natted else 5060)
        inside_port = rng.choice((5060, 5060, 5062, rng.randrange(10000, 65000))) if natted else port
        program = more.pop("program", rng.choice(stack.agents))
        return Agent(stack, user, server.domain, ip, port, inside or ip, inside_port, program=program, **more)

    # --- messages

    def send(self, time, source, sport, destination, dport, text):
        """Put one datagram on the wire."""
        ttl = self.ttls.get(source)
        if ttl is None:
            ttl = self.ttls[source] = self.rng.choice((64, 128)) - self.rng.randrange(5, 20)
        payload = text if isinstance(text, bytes) else text.encode()
        self.packets.append((self.start + time, source, sport, destination, dport, ttl, payload))

    def reply(self, time, agent, server, values, status, extra=None, *, tag="", body=""):
        """Send a server's answer to a request with those headers."""
        if server.mute:
            return
        via = values["Via"].replace(";rport", f";rport={agent.port}") + f";received={agent.ip}"
        to = values["To"] if ";tag=" in values["To"] or status == 100 else f"{values['To']};tag={tag}"
        head = {"Via": via, "From": values["From"], "To": to, "Call-ID": values["Call-ID"], "CSeq": values["CSeq"]}
        head |= {
            "Server": server.software,
            "User-Agent": server.software,
            "Supported": "replaces, timer",
            "Allow": "INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE",
            "Content-Length": str(len(body)),
        }
        if body:
            head["Content-Type"] = "application/sdp"
        head |= extra or {}
        lines = [f"SIP/2.0 {status} {PHRASES[status]}"]
        lines += [f"{name}: {head[name]}" for name in server.style.order.split() if name in head]
        self.send(time, server.ip, server.port, agent.ip, agent.port, "\r\n".join(lines) + "\r\n\r\n" + body)

    def challenge(self, server, status, *, stale=False):
        """Return the headers of a 401 or 407 and its nonce."""
        nonce = token(self.rng, server.style.nonce)
        text = f'Digest realm="{server.realm}", nonce="{nonce}", algorithm=MD5' + (
            ', qop="auth"' if server.style.qop else ""
        )
        return {
            "WWW-Authenticate" if status == 401 else "Proxy-Authenticate": text + (", stale=true" if stale else "")
        }, nonce

    def credentials(self, agent, server, method, uri, nonce, password, *, proxy=False):
        """Return the header that answers a challenge (RFC 2617)."""
        first = _md5(f"{agent.user}:{server.realm}:{password}")
        second = _md5(f"{method}:{uri}")
        text = f'Digest username="{agent.user}", realm="{server.realm}", nonce="{nonce}", uri="{uri}"'
        if server.style.qop:
            cnonce = token(self.rng, "{h16}")
            text += f', response="{_md5(f"{first}:{nonce}:00000001:{cnonce}:auth:{second}")}", algorithm=MD5'
            text += f', cnonce="{cnonce}", qop=auth, nc=00000001'
        else:
            text += f', response="{_md5(f"{first}:{nonce}:{second}")}", algorithm=MD5'
        return {"Proxy-Authorization" if proxy else "Authorization": text}

    def ask(
        self,
        agent,
        server,
        time,
        method,
        leg,
        answers,
        *,
        uri=None,
        to=None,
        extra=None,
        body="",
        lost=0,
        tries=None,
        answer_extra=None,
    ):
        """Send a request, its retransmissions and its answers; return when it was over.

        answers: the statuses, after a round trip each; none: no reply. lost: how many transmissions stay unanswered.
        tries: how often it is sent at most without a reply.
        """
        rng = self.rng
        uri = uri or f"sip:{agent.domain}"
        to = to or agent.stack.to.format(user=agent.user, domain=agent.domain)
        branch = token(rng, agent.stack.branch)
        text, values = agent.write(rng, method, uri, leg, branch, to, extra, body)
        sent = self._repeat(
            agent, time, server, text, method, lost if answers else (tries or self._patience(agent, method)) - 1
        )
        tag = token(rng, server.style.tag) if not leg.to_tag else leg.to_tag
        for status in answers:
            sent += (
                server.rtt * rng.uniform(0.8, 1.3)
                if status < 180 or status >= 300 or method != "INVITE"
                else rng.uniform(0.1, 3)
            )
            more = answer_extra if status >= 200 else None
            self.reply(sent, agent, server, values, status, more, tag=tag, body=_answer_body(server, method, status))
        if method == "INVITE" and answers and answers[-1] >= 300:
            self._ack(agent, server, sent + 0.002 + server.rtt * 0.1, leg, branch, uri, values["To"], tag)
        leg.last_tag = tag
        return sent

    def _patience(self, agent, method):
        if not agent.stack.retries:
            return 1
        return 7 if method == "INVITE" else self.rng.choice((5, 7, 11))

    def _repeat(self, agent, time, server, text, method, times):
        self.send(time, agent.ip, agent.port, server.ip, server.port, text)
        pause = 0.5
        for _ in range(times):
            time += pause
            pause = pause * 2 if method == "INVITE" else min(pause * 2, 4.0)
            self.send(time, agent.ip, agent.port, server.ip, server.port, text)
        return time

    def _ack(self, agent, server, time, leg, branch, uri, to, tag):
        last, leg.to_tag = leg.to_tag, ""
        text, _ = agent.write(
            self.rng, "ACK", uri, leg, branch, f"{to};tag={tag}" if ";tag=" not in to else to, None, ""
        )
        leg.to_tag = last
        self.send(time, agent.ip, agent.port, server.ip, server.port, text)

    # --- what telephones do

    def register(
        self,
        agent,
        server,
        time,
        leg=None,
        *,
        good=True,
        known=True,
        expires=3600,
        lost=0,
        password=None,
        stale=False,
        final=None,
    ):
        """Register with the usual two steps; return when it was over and with what status."""
        leg = leg or agent.leg(self.rng)
        uri = f"sip:{server.domain}"
        base = {"Expires": str(expires)}
        if not known and not server.alike and server.style.unknown != 401:
            return self.ask(
                agent, server, time, "REGISTER", leg, [server.style.unknown], uri=uri, extra=base, lost=lost
            ), server.style.unknown
        head, nonce = self.challenge(server, 401)
        if stale:
            head, nonce, time = self._stale(agent, server, time, leg, uri, base)
        else:
            time = self.ask(
                agent, server, time, "REGISTER", leg, [401], uri=uri, extra=base, lost=lost, answer_extra=head
            )
        leg.cseq += 1
        time += self.rng.uniform(0.003, 0.03)
        status = final or (200 if good and known else server.style.wrong)
        more = {"Expires": str(expires), "Contact": f"{leg.contact};expires={expires}"} if status == 200 else None
        if status in {401, 407}:
            more, _ = self.challenge(server, status)
        sign = self.credentials(agent, server, "REGISTER", uri, nonce, password or ("right" if good else "wrong"))
        time = self.ask(
            agent, server, time, "REGISTER", leg, [status], uri=uri, extra={**base, **sign}, answer_extra=more
        )
        leg.cseq += 1
        return time, status

    def _stale(self, agent, server, time, leg, uri, base):
        old = self.credentials(agent, server, "REGISTER", uri, token(self.rng, server.style.nonce), "right")
        head, nonce = self.challenge(server, 401, stale=True)
        time = self.ask(agent, server, time, "REGISTER", leg, [401], uri=uri, extra={**base, **old}, answer_extra=head)
        return head, nonce, time

    def call(
        self,
        agent,
        server,
        time,
        number,
        outcome,
        *,
        sign=True,
        good=True,
        ring=None,
        talk=None,
        challenge=407,
        early=(100, 180),
    ):
        """Call a number; return when it was over.

        outcome: 'answered', 'cancelled', None (no reply) or the final status.
        """
        rng, leg = self.rng, agent.leg(self.rng)
        uri, to = f"sip:{number}@{server.domain}", agent.stack.to.format(user=number, domain=server.domain)
        body, extra = agent.sdp(rng), None
        how = {"uri": uri, "to": to, "body": body}
        if outcome is None:
            return self.ask(agent, server, time, "INVITE", leg, [], **how)
        if sign:
            head, nonce = self.challenge(server, challenge)
            time = self.ask(agent, server, time, "INVITE", leg, [challenge], answer_extra=head, **how) + rng.uniform(
                0.003, 0.02
            )
            extra = self.credentials(
                agent, server, "INVITE", uri, nonce, "right" if good else "wrong", proxy=challenge == 407
            )
            leg.cseq += 1
        if outcome == "cancelled":
            return self._cancelled(agent, server, time, leg, how, extra, early, ring or rng.uniform(5, 30))
        if outcome == "answered":
            return self._answered(agent, server, time, leg, how, extra, early, talk or rng.uniform(10, 240))
        before = {401: (), 407: (), 403: (100,), 404: (100,), 484: (100,), 503: (100,), 603: (100,)}.get(outcome, early)
        return self.ask(agent, server, time, "INVITE", leg, [*before, outcome], extra=extra, **how)

    def _answered(self, agent, server, time, leg, how, extra, early, talk):
        rng = self.rng
        time = self.ask(
            agent,
            server,
            time,
            "INVITE",
            leg,
            [*early, 200],
            extra=extra,
            answer_extra={"Contact": f"<sip:{server.ip}:5060>"},
            **how,
        )
        leg.to_tag = leg.last_tag
        uri = f"sip:{server.ip}:5060"
        text, _ = agent.write(rng, "ACK", uri, leg, token(rng, agent.stack.branch), how["to"], None, "")
        self.send(time + 0.02, agent.ip, agent.port, server.ip, server.port, text)
        self._media(agent, server, time + 0.1, talk)
        leg.cseq += 1
        return self.ask(agent, server, time + talk, "BYE", leg, [200], uri=uri, to=how["to"])

    def _media(self, agent, server, time, talk):
        here, there = self.rng.randrange(10000, 20000) & ~1, self.rng.randrange(10000, 20000) & ~1
        for step in range(min(12, int(talk * 2))):
            packet = (
                bytes((0x80, 8))
                + step.to_bytes(2, "big")
                + (step * 160).to_bytes(4, "big")
                + b"\x12\x34\x56\x78"
                + b"\xd5" * 160
            )
            self.send(time + step * 0.02, agent.ip, here, server.ip, there, packet)
            self.send(time + step * 0.02 + 0.01, server.ip, there, agent.ip, here, packet)

    def _cancelled(self, agent, server, time, leg, how, extra, early, ring):
        rng = self.rng
        branch, tag = token(rng, agent.stack.branch), token(rng, server.style.tag)
        text, values = agent.write(rng, "INVITE", how["uri"], leg, branch, how["to"], extra, how["body"])
        self.send(time, agent.ip, agent.port, server.ip, server.port, text)
        for status in early:
            time += rng.uniform(0.02, 0.5)
            self.reply(time, agent, server, values, status, tag=tag)
        time += ring
        text, cancel = agent.write(rng, "CANCEL", how["uri"], leg, branch, how["to"], None, "")
        self.send(time, agent.ip, agent.port, server.ip, server.port, text)
        self.reply(time + server.rtt, agent, server, cancel, 200, tag=tag)
        self.reply(time + server.rtt * 1.1, agent, server, values, 487, tag=tag)
        self._ack(agent, server, time + server.rtt * 1.3, leg, branch, how["uri"], how["to"], tag)
        return time + server.rtt * 2

    # --- the end

    def relay(self, proxy, inner):
        """Let proxy be a relay in front of inner: what it gets and gives is captured on its inner side too."""
        copies = []
        for time, source, _, destination, _, _, payload in self.packets:
            if b"SIP/2.0" not in payload[:400]:
                continue
            if destination == proxy.ip:
                copies.append((time + 0.0008, proxy.ip, 5060, inner.ip, 5060, 64, _with_via(payload, proxy.ip, source)))
            elif source == proxy.ip:
                copies.append(
                    (time - 0.0008, inner.ip, 5060, proxy.ip, 5060, 64, _with_via(payload, proxy.ip, destination))
                )
        self.packets += copies

    def truth(self):
        """Return what there is to be found, as plain data."""
        labels = {ip: campaign.name for campaign in self.campaigns for ip in campaign.sources}
        return {
            "labels": labels,
            "roles": {ip: role for ip, role in self.roles.items() if ip not in labels},
            "campaigns": {campaign.name: campaign for campaign in self.campaigns},
            "breached": {account for campaign in self.campaigns for account in campaign.breached},
            "answered": {number for campaign in self.campaigns for number in campaign.answered},
        }

    def write(self, path):
        """Write the capture."""
        write_capture(path, self.packets)


def _answer_body(server, method, status):
    if method != "INVITE" or status not in {183, 200}:
        return ""
    head = f"v=0\r\no=root 1 1 IN IP4 {server.ip}\r\ns=session\r\nc=IN IP4 {server.ip}\r\nt=0 0\r\n"
    return head + "m=audio 14000 RTP/AVP 8 101\r\n"


def _with_via(payload, proxy, peer):
    """Return a message as a stateful proxy relays it: one more Via on top, one hop less, the peer noted."""
    first, _, rest = payload.partition(b"\r\n")
    branch = rest.partition(b"branch=")[2].partition(b"\r\n")[0].partition(b";")[0]
    mark = hashlib.md5(branch, usedforsecurity=False).hexdigest()
    via = f"Via: SIP/2.0/UDP {proxy};branch=z9hG4bK{mark[:4]}.{mark[4:]}.0\r\n".encode()
    rest = rest.replace(b"Max-Forwards: 70", b"Max-Forwards: 69", 1)
    if not first.startswith(b"SIP/2.0"):
        rest = rest.replace(b";rport\r\n", b";rport=5060;received=" + peer.encode() + b"\r\n", 1)
    return first + b"\r\n" + via + rest


def _md5(text):
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def hexed(address):
    """Return an IPv4 address as eight hexadecimal digits."""
    return socket.inet_aton(address).hex()
