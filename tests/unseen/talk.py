"""SIP between clients and the servers that the tap stands before."""

import hashlib
import random
import struct
from dataclasses import dataclass, field, replace

from unseen.stacks import HEX, Stack, chars, draw
from unseen.wire import Wire

Truth = dict[str, str]


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Client:
    """One program at one address and port, and what it says about itself."""

    address: str
    port: int
    stack: Stack
    shown: str = ""
    transport: str = "udp"
    agent: str | None = None
    sdp: str = ""

    @property
    def host(self) -> str:
        """What it writes into Via and Contact."""
        text = self.shown or self.address
        return f"[{text}]" if ":" in text else text


@dataclass(frozen=True)
class Server:
    """One server: its address, what it writes, and how it answers strangers."""

    address: str
    banner: str
    tag: str = ""
    alike: bool = True
    silent: bool = False
    status: int = 401
    port: int = 5060


REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    407: "Proxy Authentication Required",
    480: "Temporarily Unavailable",
    482: "Loop Detected",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    603: "Decline",
}


@dataclass
class Call:
    """One dialog or registration: what stays the same in it."""

    client: Client
    server: Server
    user: str
    to: str
    domain: str
    call_id: str
    tag: str
    cseq: int
    uri: str
    branch: str = ""
    nonce: str = ""
    to_tag: str = ""


@dataclass
class World:
    """The tap, the servers, and what is true."""

    rng: random.Random
    servers: list[Server]
    wire: Wire = field(default_factory=Wire)
    attackers: Truth = field(default_factory=dict)
    benign: Truth = field(default_factory=dict)
    breaches: set[tuple[str, str]] = field(default_factory=set)
    answered: set[tuple[str, str]] = field(default_factory=set)

    def call(self, client: Client, server: Server, user: str, to: str, uri: str = "", domain: str = "") -> Call:
        """Begin a dialog."""
        if ":" in client.address:
            server = replace(server, address="2001:db8:ff::" + server.address.rpartition(".")[2])
        domain = domain or server.address
        domain = f"[{domain}]" if ":" in domain else domain
        stack, rng = client.stack, self.rng
        first = stack.first_cseq if stack.first_cseq < 1000 else stack.first_cseq + rng.randrange(5000)
        return Call(
            client,
            server,
            user,
            to,
            domain,
            draw(rng, stack.call_id, client.host),
            draw(rng, stack.tag, client.host),
            first,
            uri or f"sip:{to}@{domain}",
        )

    def text(
        self,
        call: Call,
        method: str,
        *,
        password: str | None = None,
        body: str = "",
        extra: tuple[str, ...] = (),
        expires: int | None = None,
        same: bool = False,
    ) -> bytes:
        """Write a request as the client's stack writes it."""
        stack, client = call.client.stack, call.client
        if not same or not call.branch:
            call.branch = draw(self.rng, stack.branch, client.host)
        fields = {"user": call.user, "host": client.host, "port": client.port, "domain": call.domain}
        to = stack.person.format(**{**fields, "user": call.to}) + (f";tag={call.to_tag}" if call.to_tag else "")
        values = {
            "Via": f"SIP/2.0/{client.transport.upper()} {client.host}:{client.port};"
            + stack.via.format(branch="branch=" + call.branch),
            "From": stack.person.format(**fields) + f";tag={call.tag}",
            "To": to,
            "Call-ID": call.call_id,
            "CSeq": f"{call.cseq} {method}",
            "Max-Forwards": "70",
            "Contact": stack.contact.format(**fields) if method not in ("ACK", "BYE", "CANCEL") else "",
            "User-Agent": stack.agent if client.agent is None else client.agent,
            "Allow": stack.allow if method in ("INVITE", "REGISTER", "OPTIONS") else "",
            "Supported": stack.supported if method in ("INVITE", "OPTIONS") else "",
            "Accept": stack.accept if method == "OPTIONS" else "",
            "Expires": str(expires) if expires is not None else "",
            "Subject": "Performance Test" if method == "INVITE" else "",
            "Content-Type": "application/sdp" if body else "",
            "Content-Length": str(len(body)),
            "Authorization": self._authorization(call, method, password) if password is not None and call.nonce else "",
        }
        lines = [f"{method} {call.uri} SIP/2.0"]
        for name in stack.order.split():
            if values.get(name):
                shown = "Proxy-Authorization" if name == "Authorization" and call.server.status == 407 else name
                lines.append(f"{shown}: {values[name]}")
        at = len(lines) - 1 if lines[-1].startswith("Content-Length") else len(lines)
        lines[at:at] = extra
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def _authorization(self, call: Call, method: str, password: str) -> str:
        first = _digest(f"{call.user}:{self.realm(call.server)}:{password}")
        response = _digest(f"{first}:{call.nonce}:{_digest(f'{method}:{call.uri}')}")
        fields = {
            "username": call.user, "realm": self.realm(call.server), "nonce": call.nonce, "uri": call.uri,
            "response": response,
        }  # fmt: skip
        return "Digest " + ", ".join(f'{name}="{value}"' for name, value in fields.items()) + ", algorithm=MD5"

    @staticmethod
    def realm(server: Server) -> str:
        """What the server calls its realm."""
        return "asterisk" if "ster" in server.banner else server.address

    def send(self, when: float, call: Call, text: bytes) -> None:
        """Put a request on the wire."""
        way = self.wire.tcp if call.client.transport == "tcp" else self.wire.udp
        way(when, (call.client.address, call.client.port), (call.server.address, call.server.port), text)

    def answer(self, when: float, call: Call, request: bytes, status: int, body: str = "") -> None:
        """Answer a request as the server does."""
        server, rng = call.server, self.rng
        if server.silent:
            return
        lines = request.split(b"\r\n\r\n")[0].decode("utf-8", "replace").split("\r\n")
        method = lines[0].split(" ")[0]
        kept = {
            name: [line for line in lines[1:] if line.lower().startswith(name + ":")]
            for name in ("via", "from", "to", "call-id", "cseq")
        }
        via = [
            line.replace(";rport", f";rport={call.client.port}") + f";received={call.client.address}"
            for line in kept["via"]
        ]
        if status > 100 and not call.to_tag:
            call.to_tag = "as" + chars(rng, HEX, 8) if "Asterisk" in server.banner else chars(rng, HEX, 32)
        to = kept["to"][0]
        if status > 100 and ";tag=" not in to:
            to += f";tag={call.to_tag}"
        out = [f"SIP/2.0 {status} {REASONS[status]}", *via, *kept["from"], to, *kept["call-id"], *kept["cseq"]]
        if status in (401, 407):
            call.nonce = chars(rng, HEX, 8)
            name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
            out.append(f'{name}: Digest algorithm=MD5, realm="{self.realm(server)}", nonce="{call.nonce}"')
        if status == 200 and method == "REGISTER":
            out.append(f"Contact: <sip:{call.user}@{call.client.host}:{call.client.port}>;expires=3600")
        if status in (180, 183, 200) and method == "INVITE":
            out.append(f"Contact: <sip:{call.to}@{server.address}:5060>")
        out += [f"Server: {server.banner}", "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO"]
        if body:
            out.append("Content-Type: application/sdp")
        out += [f"Content-Length: {len(body)}", "", body]
        way = self.wire.tcp if call.client.transport == "tcp" else self.wire.udp
        way(when, (server.address, server.port), (call.client.address, call.client.port), "\r\n".join(out).encode())
        if status >= 200 and method in ("REGISTER", "OPTIONS"):
            call.to_tag = ""

    def sdp(self, host: str, port: int, stack: Stack) -> str:
        """Write a session description."""
        number = self.rng.randrange(10**9)
        lines = [
            "v=0", f"o={stack.owner} {number} {number} IN IP4 {host}", f"s={stack.session}", f"c=IN IP4 {host}",
            "t=0 0", f"m=audio {port} RTP/AVP 0 8 101", "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=sendrecv", "",
        ]  # fmt: skip
        return "\r\n".join(lines)

    def media(self, when: float, client: Client, server: Server, port: int, seconds: float) -> float:
        """Pass voice both ways, sampled: one packet in 20 ms for at most one second."""
        for index in range(min(50, int(seconds * 50))):
            packet = struct.pack(">BBHII", 0x80, 0, 100 + index, index * 160, 77) + b"\xff" * 160
            self.wire.udp(when + index * 0.02, (client.address, port), (server.address, 14000), packet)
            self.wire.udp(when + index * 0.02 + 0.01, (server.address, 14000), (client.address, port), packet)
        return when + seconds

    # ------------------------------------------------------------------ whole transactions

    def register(
        self, when: float, call: Call, password: str | None, status: int = 200, expires: int = 3600, tries: int = 1
    ) -> float:
        """Register: challenge, then credentials (none when the password is None), then the status."""
        call.uri = f"sip:{call.domain}"
        call.to = call.user
        rtt = self.rng.uniform(0.02, 0.09)
        if not call.nonce:
            first = self.text(call, "REGISTER", expires=expires)
            for again in range(tries):
                self.send(when + again * 0.5, call, first)
            when += rtt
            self.answer(
                when, call, first, call.server.status if password is not None or status in (401, 407, 200) else status
            )
            if status == 200 and password is None:
                return when
        if password is None:
            return when
        call.cseq += 1
        when += rtt / 2
        second = self.text(call, "REGISTER", password=password, expires=expires)
        self.send(when, call, second)
        self.answer(when + rtt, call, second, status)
        return when + rtt

    def invite(  # noqa: C901
        self,
        when: float,
        call: Call,
        *,
        password: str | None = None,
        answers: tuple[int, ...] = (),
        ring: float = 4.0,
        talk: float = 30.0,
        ack: bool = True,
        sdp_host: str = "",
        voice: bool = False,
        cancel: bool = False,
        challenge: bool | None = None,
    ) -> float:
        """Call: challenge and credentials when there is a password, then the answers one after another."""
        client, rng = call.client, self.rng
        port = rng.randrange(8000, 9000) * 2
        rtt = rng.uniform(0.02, 0.09)
        body = self.sdp(sdp_host or client.sdp or client.host.strip("[]"), port, client.stack)
        request = self.text(call, "INVITE", body=body)
        self.send(when, call, request)
        if challenge if challenge is not None else password is not None:
            when += rtt
            self.answer(when, call, request, call.server.status)
            if ack:
                self.send(when + rtt, call, self.text(call, "ACK", same=True))
            call.to_tag = ""
            if password is None:
                return when
            call.cseq += 1
            when += rtt + 0.01
            request = self.text(call, "INVITE", body=body, password=password)
            self.send(when, call, request)
        for status in answers:
            when += rtt if status in (100,) or status >= 400 else 0.3
            if status in (486, 487, 480) and 180 in answers and not cancel:
                when += ring
            if status == 200:
                when += ring
            if status == 487 and cancel:
                when += ring
                stop = self.text(call, "CANCEL", same=True)
                self.send(when, call, stop)
                self.answer(when + rtt, call, stop, 200)
                when += rtt
            back = self.sdp(call.server.address, 14000, client.stack) if status in (183, 200) else ""
            self.answer(when, call, request, status, back)
            if status >= 200 and ack:
                self.send(when + rtt, call, self.text(call, "ACK", same=status >= 300))
        if answers and answers[-1] == 200 and ack:
            if voice:
                self.media(when + rtt, client, call.server, port, talk)
            call.cseq += 1
            bye = self.text(call, "BYE")
            self.send(when + talk, call, bye)
            self.answer(when + talk + rtt, call, bye, 200)
            when += talk
        return when

    def options(self, when: float, call: Call, status: int = 200, extra: tuple[str, ...] = ()) -> float:
        """Ask for capabilities."""
        request = self.text(call, "OPTIONS", extra=extra)
        self.send(when, call, request)
        when += self.rng.uniform(0.02, 0.09)
        self.answer(when, call, request, status)
        return when

    def named(self, client: Client, agent: str | None) -> Client:
        """The same client under another name."""
        return replace(client, agent=agent)
