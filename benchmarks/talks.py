"""Many like exchanges at once: what phones, trunks, scanners and everything else say to each other.

A scene is a function of (rng, time, first): it makes one exchange for each time at which one begins, the first of which
is number `first` of its kind, and returns the packets as parts. Who takes part follows from the number alone, so that
phones come back, scans last, and a capture of ten times the size has more of everything.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scenarios import stacks
from scenarios.attacks import PREFIXES
from scenarios.stacks import Stack
from scenarios.world import STYLES, Style

from benchmarks.frames import (
    ACK,
    FIN,
    PUSH,
    SYN,
    Flow,
    Numbers,
    Rows,
    decimal,
    dotted,
    hexadecimal,
    joined,
    lengths,
    other,
    tcp,
    udp,
    words,
    write,
)


class Part(NamedTuple):
    """Packets of one kind."""

    time: Numbers
    """When each was captured, in microseconds."""
    records: list[bytes]
    """Their pcap records."""
    messages: bool
    """Whether each carries one SIP message; else none does."""


Scene = Callable[[np.random.Generator, Numbers, int], list[Part]]
OURS = {"chan_sip": 0xC633640A, "kamailio": 0xC6336414}
"""The first address of the servers of each style: 198.51.100.10 and .20."""
SERVERS = 4
"""How many servers of each style there are."""
GATEWAY, CARRIER = 0xC6336405, 0xC0000205
MEDIA = 52_000
"""The first port of RTP, beyond those that TShark takes for other protocols'."""
PHONE = Style(
    order="Via From To Call-ID CSeq Contact User-Agent Allow Supported Content-Type Content-Length",
    software=("Yealink SIP-T46S 66.84.0.15",),
    realm="",
    nonce="",
    tag="{d10}",
    wrong=0,
    unknown=0,
)
DESKS = (stacks.YEALINK, stacks.GRANDSTREAM, stacks.SNOM, stacks.MICROSIP)
PHONES_OF_A_MAKE = 600
SDP = (
    "v=0\r\no={maker} {session} {session} IN IP4 {side}\r\ns={title}\r\nc=IN IP4 {side}\r\nt=0 0\r\n"
    "m=audio {media} RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
)
REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 407: "Proxy Authentication Required",
}  # fmt: skip


class Talk:
    """Exchanges that go alike, between clients that write alike and servers that answer alike."""

    def __init__(
        self, rng: np.random.Generator, stack: Stack, style: Style, flow: Flow, fields: dict[str, Rows]
    ) -> None:
        """Begin exchanges at flow.time; the fields user and agent, at least, are what the clients say of themselves."""
        count = len(flow.time)
        self.rng, self.stack, self.style, self.flow, self.count = rng, stack, style, flow, count
        self.time, self.parts, self.transport = flow.time, list[Part](), "UDP"
        host = dotted(_all(flow.source, count))
        self.fields = {
            "host": host, "source": host, "domain": dotted(_all(flow.destination, count)),
            "port": decimal(_all(flow.source_port, count)), "name": fields["user"], **fields,
        }  # fmt: skip
        self.fields["ip"] = self.fields["host"]
        for name, shape in (("tag", stack.tag), ("call_id", stack.call_id), ("contact", stack.contact)):
            if name not in self.fields:
                self.fields[name] = self.write(shape)
        self.cseq = rng.integers(1, 30_000, count) if "{" in stack.cseq else np.full(count, int(stack.cseq) - 1)
        self.fields["agent"] = fields.get("agent", words(stack.agents, np.arange(count)))
        self.fields["session"], self.fields["title"] = self.write("{d9}"), self.write(stack.session)
        low, high = stack.media
        self.fields["media"] = decimal(rng.integers(low // 2, high // 2, count) * 2)
        self._sequence = (rng.integers(0, 1 << 32, count), rng.integers(0, 1 << 32, count))

    def write(self, template: str) -> Rows:
        """Return a template filled from the fields."""
        return write(self.rng, self.count, template, self.fields)

    def ask(  # noqa: PLR0913
        self,
        wait: int,
        method: str,
        uri: str,
        *,
        to: str = "",
        dialog: bool = False,
        same: bool = False,
        secret: str = "",
        body: bool = False,
    ) -> None:
        """Let the clients send a request, about `wait` microseconds later.

        It is part of a dialog with the server's tag, has the same branch and CSeq as the one before (the ACK of a
        failure, RFC 3261 17.1.1.3), carries credentials in the header named by secret, or an offer of audio.
        """
        if not same:
            self.fields["branch"] = self.write(self.stack.branch)
        if method != "ACK":
            self.cseq = self.cseq + 1
            self.fields["cseq"] = decimal(self.cseq)
        values = self._request(method, to or self.stack.to, dialog=dialog)
        if secret:
            values[secret] = (
                f'Digest username="{{user}}", realm="asterisk", nonce="{{nonce}}", uri="{uri}", '
                'response="{h32}", algorithm=MD5'
            )
        if method in {"REGISTER", "SUBSCRIBE"}:
            values["Expires"] = values.get("Expires", "3600")
        lines = [f"{method} {uri} SIP/2.0"]
        lines += [f"{name}: {values[name]}" for name in self.stack.headers if name in values]
        self._send(wait, lines, self.stack.origin if body else "", "host", ahead=True)

    def _request(self, method: str, to: str, *, dialog: bool) -> dict[str, str]:
        stack = self.stack
        address = stack.address
        values = {"Max-Forwards": "70", "User-Agent": "{agent}", "Content-Type": "application/sdp", **stack.fixed}
        values["Via"] = f"SIP/2.0/{self.transport} {stack.via}"
        values["From"] = address if ";tag=" in address else f"{address};tag={{tag}}"
        values["To"] = to + (";tag={to_tag}" if dialog else "")
        values["Call-ID"], values["CSeq"] = "{call_id}", f"{{cseq}} {method}"
        if method in stack.contact_in:
            values["Contact"] = "{contact}"
        values["Content-Length"] = stack.length.format("{length}").split(": ", 1)[1]
        self._asked, self._to, self._in_dialog = method, to, dialog
        return values

    def reply(self, wait: int, status: int, *, extra: dict[str, str] | None = None, body: bool = False) -> None:
        """Let the servers answer the last request, about `wait` microseconds later; 401 and 407 challenge."""
        values = {"Content-Type": "application/sdp"}
        if self._asked != "REGISTER" and status == 200:
            values |= {"Allow": stacks.METHODS, "Supported": "replaces, timer"}
        values["Server"] = values["User-Agent"] = self.style.software[0]
        via = self.stack.via.replace(";rport", ";rport={port}")
        values["Via"] = f"SIP/2.0/{self.transport} {via};received={{source}}"
        values["From"] = self._request(self._asked, self._to, dialog=self._in_dialog)["From"]
        if "to_tag" not in self.fields or not (self._in_dialog or self._asked == "INVITE"):
            self.fields["to_tag"] = self.write(self.style.tag)
        values["To"] = self._to + ("" if status == 100 else ";tag={to_tag}")
        values["Call-ID"], values["CSeq"] = "{call_id}", f"{{cseq}} {self._asked}"
        values["Content-Length"] = "{length}"
        if status in {401, 407}:
            self.fields["nonce"] = self.write(self.style.nonce)
            header = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
            values[header] = 'Digest realm="asterisk", nonce="{nonce}", algorithm=MD5'
        values |= extra or {}
        lines = [f"SIP/2.0 {status} {REASONS[status]}"]
        lines += [f"{name}: {values[name]}" for name in self.style.order.split() if name in values]
        self._send(wait, lines, "root" if body else "", "domain", ahead=False)

    def _send(self, wait: int, lines: list[str], maker: str, side: str, *, ahead: bool) -> None:
        body = np.zeros((self.count, 0), np.uint8)
        if maker:
            body = self.write(SDP.replace("{maker}", maker).replace("{side}", f"{{{side}}}"))
        else:
            lines = [line for line in lines if not line.startswith("Content-Type")]
        self.fields["length"] = decimal(lengths(body))
        text = joined(self.write("\r\n".join(lines) + "\r\n\r\n"), body)
        self.time = self.time + self.rng.integers(wait // 2, wait * 3 // 2 + 1, self.count)
        flow = self.flow.at(self.time) if ahead else self.flow.back(self.time)
        if self.transport == "UDP":
            self.parts.append(Part(self.time, udp(flow, text), messages=True))
        else:
            self._segment(flow, text, PUSH | ACK, ahead=ahead)

    def _segment(self, flow: Flow, text: Rows, flags: int, *, ahead: bool) -> None:
        own, theirs = self._sequence if ahead else self._sequence[::-1]
        records = tcp(flow, own, theirs if flags & ACK else np.zeros_like(own), flags, text)
        self.parts.append(Part(flow.time, records, messages=text.shape[1] > 0))
        own = (own + lengths(text) + bool(flags & (SYN | FIN))) & 0xFFFFFFFF
        self._sequence = (own, theirs) if ahead else (theirs, own)

    def handshake(self, *flags: int) -> None:
        """Open (SYN) or close (FIN) TCP connections: the flags of segments without payload, ours and theirs in turn."""
        self.transport, empty = "TCP", np.zeros((self.count, 0), np.uint8)
        for turn, flag in enumerate(flags):
            self.time = self.time + 5_000
            flow = self.flow.back(self.time) if turn % 2 else self.flow.at(self.time)
            self._segment(flow, empty, flag, ahead=turn % 2 == 0)


def _all(numbers: Numbers | int, count: int) -> Numbers:
    return np.broadcast_to(np.asarray(numbers, np.int64), (count,))


def _server(style: str, index: Numbers) -> Numbers:
    return OURS[style] + index % SERVERS


# --- the innocent


def _phones(rng: np.random.Generator, time: Numbers, first: int) -> Iterator[Talk]:
    """Yield the exchanges of the phones of each make with their PBX."""
    for make, stack in enumerate(DESKS):
        number = (first + np.arange(len(time))[make :: len(DESKS)]) // len(DESKS) % PHONES_OF_A_MAKE
        if len(number):
            address = 0x0A140000 + (make << 16) + (number // 200 << 8) + number % 200 + 20
            flow = Flow(time[make :: len(DESKS)], address, 5060, _server("chan_sip", number), 5060)
            user = decimal(1000 + 1000 * make + number)
            yield Talk(rng, stack, STYLES["chan_sip"], flow, {"user": user, "agent": words(stack.agents, number)})


def registrations(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """Phones register: challenged, then accepted."""
    parts = []
    for talk in _phones(rng, time, first):
        talk.ask(0, "REGISTER", "sip:{domain}")
        talk.reply(8_000, 401)
        talk.ask(20_000, "REGISTER", "sip:{domain}", secret="Authorization")
        talk.reply(8_000, 200, extra={"Contact": "{contact}", "Expires": "3600"})
        parts += talk.parts
    return parts


def renewals(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """Phones register again, with the nonce that they have."""
    parts = []
    for talk in _phones(rng, time, first):
        talk.fields["nonce"] = talk.write("{h8}")
        talk.ask(0, "REGISTER", "sip:{domain}", secret="Authorization")
        talk.reply(8_000, 200, extra={"Contact": "{contact}", "Expires": "3600"})
        parts += talk.parts
    return parts


def keepalives(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """The PBX asks its phones for a sign of life."""
    number = first + np.arange(len(time))
    make, phone = number % len(DESKS), number // len(DESKS) % PHONES_OF_A_MAKE
    address = 0x0A140000 + (make << 16) + (phone // 200 << 8) + phone % 200 + 20
    flow = Flow(time, _server("chan_sip", phone), 5060, address, 5060)
    user = words(("asterisk",), number)
    fields = {"user": user, "agent": words(stacks.ASTERISK.agents[:1], number), "phone": decimal(1000 * make + phone)}
    talk = Talk(rng, stacks.ASTERISK, PHONE, flow, fields)
    talk.ask(0, "OPTIONS", "sip:{phone}@{domain}:5060", to="<sip:{phone}@{domain}:5060>")
    talk.reply(15_000, 200)
    return talk.parts


def calls(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """Phones call each other and hang up."""
    parts = []
    for talk in _phones(rng, time, first):
        talk.fields["callee"] = decimal(rng.integers(1000, 1000 * len(DESKS) + 1000, talk.count))
        uri, to = "sip:{callee}@{domain}", "<sip:{callee}@{domain}>"
        talk.ask(0, "INVITE", uri, to=to, body=True)
        talk.reply(4_000, 407)
        talk.ask(10_000, "ACK", uri, to=to, dialog=True, same=True)
        del talk.fields["to_tag"]
        talk.ask(10_000, "INVITE", uri, to=to, body=True, secret="Proxy-Authorization")
        talk.reply(4_000, 100)
        talk.reply(100_000, 180)
        talk.reply(4_000_000, 200, extra={"Contact": "<sip:{callee}@{domain}:5060>"}, body=True)
        talk.ask(20_000, "ACK", uri, to=to, dialog=True)
        talk.ask(30_000_000, "BYE", uri, to=to, dialog=True)
        talk.reply(4_000, 200)
        parts += talk.parts
    return parts


def trunk(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """The carrier brings calls to our gateway."""
    count = len(time)
    flow = Flow(time, CARRIER + (first + np.arange(count)) % 3, 5060, np.full(count, GATEWAY), 5060, ttl=57)
    fields = {"user": joined(words(("+4420",), np.arange(count)), write(rng, count, "{d8}", {}))}
    fields["callee"] = joined(words(("+44207946",), np.arange(count)), decimal(rng.integers(1000, 9999, count)))
    talk = Talk(rng, stacks.ORACLE, STYLES["chan_sip"], flow, fields)
    uri, to = "sip:{callee}@{domain}:5060", "<sip:{callee}@{domain}>"
    talk.ask(0, "INVITE", uri, to=to, body=True)
    talk.reply(4_000, 100)
    talk.reply(200_000, 183, body=True)
    talk.reply(6_000_000, 200, extra={"Contact": "<sip:{callee}@{domain}:5060>"}, body=True)
    talk.ask(20_000, "ACK", uri, to=to, dialog=True)
    talk.ask(40_000_000, "BYE", uri, to=to, dialog=True)
    talk.reply(4_000, 200)
    return talk.parts


def over_tcp(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """Soft-phones register over TCP, each in a connection of its own."""
    number = first + np.arange(len(time))
    flow = Flow(time, 0x0A280000 + number % 500, 20_000 + number // 500 % 40_000, _server("kamailio", number), 5060)
    talk = Talk(rng, stacks.LINPHONE, STYLES["kamailio"], flow, {"user": decimal(6000 + number % 500)})
    talk.handshake(SYN, SYN | ACK, ACK)
    talk.ask(2_000, "REGISTER", "sip:{domain};transport=tcp")
    talk.reply(8_000, 401)
    talk.ask(20_000, "REGISTER", "sip:{domain};transport=tcp", secret="Authorization")
    talk.reply(8_000, 200, extra={"Contact": "{contact};expires=3600"})
    talk.handshake(FIN | ACK, FIN | ACK, ACK)
    return talk.parts


# --- attackers


def _runs(first: int, count: int, steps: int, at_once: int) -> tuple[Numbers, Numbers]:
    """Return the run that each exchange belongs to, and its step in it: at_once runs go on at any time."""
    number = first + np.arange(count)
    return number // (at_once * steps) * at_once + number % at_once, number // at_once % steps


def _scanner(run: Numbers) -> Numbers:
    """Return the address of an attacker, in 198.18.0.0/15."""
    return 0xC6120000 + run * 40_503 % (1 << 17)


def _svtag(rng: np.random.Generator, data: Rows) -> Rows:
    """Return From tags as SIPVicious makes them."""
    mark = np.ones((len(data), 1), np.uint8)
    return hexadecimal(joined(data, mark, decimal(rng.integers(0, 1 << 32, len(data)))))


def sweeps(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """Run svmap over networks: of four targets one answers."""
    run, step = _runs(first, len(time), 192, 3)
    parts = []
    for turn in range(4):
        target = np.array([0xC0000200, 0xC6336400, 0xCB007100])[step * 4 // 256 % 3] + (step * 4 + turn) % 256
        flow = Flow(time + turn * 5_000, _scanner(run), 5060, target, 5060, ttl=48)
        fields = {"user": words(("100",), run), "name": words(("sipvicious",), run), "domain": words(("1.1.1.1",), run)}
        hidden = joined(_digits(target), words(("13c4",), run))
        fields |= {"tag": _svtag(rng, hidden), "call_id": write(rng, len(time), "{d24}", {}), "target": dotted(target)}
        talk = Talk(rng, stacks.SIPVICIOUS3, STYLES["kamailio"], flow, fields)
        talk.ask(0, "OPTIONS", "sip:100@{target}")
        if turn == 0:
            talk.reply(30_000, 200)
        parts += talk.parts
    return parts


def _digits(addresses: Numbers) -> Rows:
    """Return addresses as eight hexadecimal digits."""
    shifts = np.arange(28, -1, -4)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    return digits[addresses[:, None] >> shifts & 15]


def enumerations(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """Run svwar against the extensions of our servers: one in ten exists."""
    run, step = _runs(first, len(time), 900, 4)
    parts = []
    for status, chosen in ((404, step % 10 != 0), (401, step % 10 == 0)):
        if chosen.any():
            flow = Flow(time[chosen], _scanner(run[chosen]), 5060, _server("kamailio", run[chosen]), 5060, ttl=50)
            user = decimal(100 + step[chosen])
            talk = Talk(rng, stacks.SIPVICIOUS3, STYLES["kamailio"], flow, {"user": user, "tag": _svtag(rng, user)})
            talk.ask(0, "REGISTER", "sip:{domain}")
            talk.reply(30_000, status)
            parts += talk.parts
    return parts


def guesses(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """Run svcrack against one account after the other."""
    run, step = _runs(first, len(time), 2_000, 4)
    user, password = decimal(1000 + run % 97), decimal(step * 7 + 1000)
    tag = _svtag(rng, joined(user, words((":",), run), password))
    flow = Flow(time, _scanner(run + 1_000_003), 5062, _server("kamailio", run), 5060, ttl=50)
    talk = Talk(rng, stacks.SIPVICIOUS3, STYLES["kamailio"], flow, {"user": user, "tag": tag})
    talk.fields["nonce"] = talk.write("{a32}")
    talk.ask(0, "REGISTER", "sip:{domain}", secret="Authorization")
    talk.reply(30_000, 401)
    return talk.parts


def frauds(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """Dial numbers abroad through one prefix after the other, as sipcli does; nobody lets them."""
    run, step = _runs(first, len(time), 300, 5)
    number = joined(words(("44122360", "97259950", "4822620", "37167000"), run), decimal(1000 + run % 9_000))
    fields = {"user": decimal(100 + run % 9 * 100), "callee": joined(words(PREFIXES, step), number)}
    flow = Flow(time, _scanner(run + 2_000_003), 5078, _server("chan_sip", run), 5060, ttl=113)
    talk = Talk(rng, stacks.SIPCLI, STYLES["chan_sip"], flow, fields)
    uri, to = "sip:{callee}@{domain}", "<sip:{callee}@{domain}>"
    talk.ask(0, "INVITE", uri, to=to, body=True)
    talk.reply(30_000, 403)
    talk.ask(40_000, "ACK", uri, to=to, dialog=True, same=True)
    return talk.parts


def scattered(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """Scan from everywhere: a source sends one request or two and never comes back."""
    number = first + np.arange(len(time))
    source = 0x64400000 + number // 2 * 1_664_525 % (1 << 22)
    even = number % 2 == 0
    parts = []
    for stack, chosen in ((stacks.SALITY, even), (stacks.DIALLER, ~even)):
        count = int(chosen.sum())
        if count == 0:
            continue
        flow = Flow(time[chosen], source[chosen], 5060, _server("chan_sip", number[chosen]), 5060, ttl=108)
        fields = {"user": write(rng, count, "{d10}", {})}
        if stack is stacks.DIALLER:
            fields = {"user": decimal(rng.integers(100, 999, count)), "host": words(("192.168.1.83",), number[chosen])}
            fields["callee"] = joined(words(PREFIXES, number[chosen] // 7), words(("442079460958",), number[chosen]))
            fields["agent"] = words(stack.agents, number[chosen] // 2)
        talk = Talk(rng, stack, STYLES["chan_sip"], flow, fields)
        if stack is stacks.DIALLER:
            talk.ask(0, "INVITE", "sip:{callee}@{domain}", to="<sip:{callee}@{domain}>", body=True)
        else:
            talk.ask(0, "REGISTER", "sip:{domain}")
        talk.reply(30_000, 403 if stack is stacks.DIALLER else 404)
        parts += talk.parts
    return parts


# --- everything else that a network carries


def media(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """RTP of 20 ms of G.711 in 400 streams at a time, each of 3,000 packets."""
    run, step = _runs(first, len(time), 3_000, 400)
    header = np.zeros((len(time), 12), np.uint8)
    header[:, 0], header[:, 1] = 0x80, 8
    for column, shift in ((2, 8), (3, 0)):
        header[:, column] = step >> shift & 255
    for column in range(4):
        header[:, 4 + column] = step * 160 >> 8 * (3 - column) & 255
        header[:, 8 + column] = run * 2_654_435_761 >> 8 * (3 - column) & 255
    sound = np.frombuffer(rng.bytes(len(time) * 160), np.uint8).reshape(-1, 160)
    phone = 0x0A140000 + (run % 3 << 8) + run // 3 % 200 + 20
    flow = Flow(time, phone, MEDIA + run % 500 * 2, np.full(len(time), GATEWAY), MEDIA + run % 2_000 * 2)
    return [Part(time, udp(flow, joined(header, sound), binary=True), messages=False)]


def reports(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """RTCP: a sender report with a CNAME, as each stream sends every few seconds."""
    run = first + np.arange(len(time))
    head = (
        bytes.fromhex("80c80006") + bytes(24) + bytes.fromhex("81ca0005") + bytes(4) + b"\x01\x0b" + bytes(11) + b"\0"
    )
    rows = np.tile(np.frombuffer(head, np.uint8), (len(time), 1))
    rows[:, 8:28] = rng.integers(0, 256, (len(time), 20), dtype=np.uint8)
    rows[:, 4:8] = rows[:, 32:36] = (run * 2_654_435_761 & 0xFFFFFFFF).astype(">u4").view(np.uint8).reshape(-1, 4)
    rows[:, 38:49] = np.frombuffer(b"phone@desk1", np.uint8)
    flow = Flow(time, 0x0A140000 + run % 200 + 20, MEDIA + 1 + run % 500 * 2, np.full(len(time), GATEWAY), MEDIA + 1)
    return [Part(time, udp(flow, rows, binary=True), messages=False)]


def names(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """DNS: who asks for an address gets one."""
    count, number = len(time), first + np.arange(len(time))
    asked = b"\x07example\x03net\0\0\x01\0\x01"
    query = joined(
        rng.integers(0, 256, (count, 2), dtype=np.uint8),
        np.tile(np.frombuffer(bytes.fromhex("01000001000000000000") + b"\x08", np.uint8), (count, 1)),
        write(rng, count, "{l8}", {}),
        np.tile(np.frombuffer(asked, np.uint8), (count, 1)),
    )
    answer = np.tile(np.frombuffer(bytes.fromhex("c00c000100010000012c0004c6336414"), np.uint8), (count, 1))
    reply = joined(query, answer)
    reply[:, 2:4], reply[:, 7] = (0x81, 0x80), 1
    flow = Flow(time, 0x0A140000 + number % 200 + 20, 32_768 + number % 28_000, np.full(count, 0x0A140001), 53)
    later = time + rng.integers(500, 30_000, count)
    return [
        Part(time, udp(flow, query, binary=True), messages=False),
        Part(later, udp(flow.back(later), reply, binary=True), messages=False),
    ]


def pages(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """HTTP: phones fetch their settings, in a connection of ten packets."""
    number = first + np.arange(len(time))
    flow = Flow(time, 0x0A140000 + number % 200 + 20, 32_768 + number % 28_000, np.full(len(time), 0xC6336450), 80)
    talk = Talk(rng, stacks.YEALINK, PHONE, flow, {"user": decimal(number)})
    talk.handshake(SYN, SYN | ACK, ACK)
    setting = "account.1.display_name = {a40}\r\n"
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3900\r\n\r\n"
    sent = ("GET /{h12}.cfg HTTP/1.1\r\nHost: provisioning.example.net\r\nUser-Agent: Yealink\r\n\r\n", head)
    for turn, text in enumerate((*sent, *[setting * 20] * 3)):
        talk.time = talk.time + 2_000
        way = talk.flow.at(talk.time) if turn == 0 else talk.flow.back(talk.time)
        talk._segment(way, talk.write(text), PUSH | ACK, ahead=turn == 0)  # noqa: SLF001
    talk.handshake(FIN | ACK, FIN | ACK)
    return [part._replace(messages=False) for part in talk.parts]


def whohas(rng: np.random.Generator, time: Numbers, first: int) -> list[Part]:
    """ARP: phones ask where the gateway is."""
    head = bytes.fromhex(
        "ffffffffffff00163e1f2a3b08060001080006040001" + "00163e1f2a3b0a140014" + "0000000000000a140001"
    )
    rows = np.tile(np.frombuffer(head + bytes(18), np.uint8), (len(time), 1))
    rows[:, 31] = (first + rng.integers(0, 200, len(time))) % 200 + 20
    return [Part(time, other(time, rows), messages=False)]


TALKS: dict[str, tuple[Scene, int]] = {
    "registrations": (registrations, 4), "renewals": (renewals, 2), "keepalives": (keepalives, 2), "calls": (calls, 10),
    "trunk": (trunk, 7), "over-tcp": (over_tcp, 4), "sweeps": (sweeps, 5), "enumerations": (enumerations, 2),
    "guesses": (guesses, 2), "frauds": (frauds, 3), "scattered": (scattered, 2),
}  # fmt: skip
"""Each scene of SIP, and how many messages one exchange of it has."""
NOISE: dict[str, tuple[Scene, int]] = {
    "media": (media, 1), "reports": (reports, 1), "names": (names, 2), "pages": (pages, 10), "whohas": (whohas, 1),
}  # fmt: skip
"""Each scene of other traffic, and how many packets one exchange of it has."""
