"""The 189 who mean no harm, as an operator of public SIP servers knows them."""

from unseen.stacks import PHONES, PROGRAMS, SERVERS, TRUNKS
from unseen.talk import Client, Server, World

DAY = 86400.0


class Customers:
    """Adds customers to a world."""

    def __init__(self, world: World, start: float, days: float, nets: list[str], country: str) -> None:
        self.world, self.rng, self.start, self.days, self.country = world, world.rng, start, days, country
        self.nets, self.used, self.main = nets, set(), [s for s in world.servers if not s.silent][:3]
        self.extension = 200

    def address(self, net: str | None = None, *, v6: bool = False) -> str:
        """An address nobody has yet."""
        while True:
            rng = self.rng
            text = (
                f"2001:db8:{rng.randrange(1, 99):x}:{rng.randrange(1, 9):x}::{rng.randrange(1, 65000):x}"
                if v6
                else f"{net or rng.choice(self.nets)}.{rng.randrange(2, 254)}"
            )
            if text not in self.used and text not in self.world.attackers:
                self.used.add(text)
                return text

    def client(self, kind: str, stack=None, **more) -> Client:
        """A new customer with an address of its own."""
        address = self.address(v6=more.pop("v6", False))
        self.world.benign[address] = kind
        shown = more.pop("shown", None)
        if shown is None and self.rng.random() < 0.6 and ":" not in address:
            shown = f"192.168.{self.rng.choice([0, 1, 1, 2, 178, 100])}.{self.rng.randrange(2, 250)}"
        port = self.rng.choice([5060, 5060, self.rng.randrange(1024, 65000)])
        return Client(address, port, stack or self.rng.choice(PHONES), shown or "", **more)

    def when(self) -> float:
        """Some working hour."""
        return (
            self.start
            + int(self.rng.random() * max(1, self.days)) * DAY
            + min(self.days, 1) * self.rng.uniform(0.3, 0.75) * DAY
        )

    def user(self) -> str:
        """The next extension."""
        self.extension += 1
        return str(self.extension)

    def national(self) -> str:
        """A number of the country as its people dial it."""
        return "0" + str(self.rng.randrange(10**8, 10**9))

    def abroad(self) -> str:
        """A number abroad as people dial it."""
        return (
            self.rng.choice(["00", "00", "+", "000", "900"])
            + self.rng.choice(["4420", "331", "4930", "1212", "3906", "9723", "4822"])
            + str(self.rng.randrange(10**6, 10**7))
        )

    def keep(self, client: Client, server: Server, user: str, when: float, times: int, every: float = 600.0) -> float:
        """Stay registered for a while."""
        call = self.world.call(client, server, user, user)
        for _ in range(times):
            self.world.register(when, call, "right" + user, tries=2 if self.rng.random() < 0.05 else 1)
            call.cseq += 1
            if self.rng.random() < 0.5:
                call.nonce = ""
            when += every * self.rng.uniform(0.95, 1.05)
        return when

    def calls(self, client: Client, server: Server, user: str, when: float, many: int) -> None:
        """Call colleagues, people in the country, and sometimes abroad."""
        for _ in range(many):
            to = self.rng.choice([str(self.rng.randrange(201, 260)), self.national(), self.national(), self.abroad()])
            answers = self.rng.choice(
                [
                    (100, 180, 200),
                    (100, 180, 200),
                    (100, 183, 200),
                    (100, 180, 486),
                    (100, 180, 487),
                    (100, 404),
                    (100, 484),
                ]
            )
            call = self.world.call(client, server, user, to)
            self.world.invite(
                when,
                call,
                password="right" + user,
                answers=answers,
                talk=self.rng.uniform(5, 90),
                voice=self.rng.random() < 0.3,
                cancel=answers[-1] == 487,
                ring=self.rng.uniform(2, 15),
            )
            when += self.rng.uniform(120, 2400)

    # ------------------------------------------------------------------ kinds of customers

    def phones(self, many: int, **more) -> None:
        """Phones that register and call."""
        for _ in range(many):
            client, server, user, when = (
                self.client("phone", **more),
                self.rng.choice(self.main),
                self.user(),
                self.when(),
            )
            self.keep(client, server, user, when, self.rng.randrange(3, 20), self.rng.choice([300, 600, 1800]))
            self.calls(client, server, user, when + 30, self.rng.randrange(0, 6))

    def wrong_password(self, many: int) -> None:
        """Phones whose password was changed; they try on and on."""
        for _ in range(many):
            client, server, user, when = (
                self.client("wrong password"),
                self.rng.choice(self.main),
                self.user(),
                self.when(),
            )
            every, status = self.rng.choice([30, 60, 120, 600]), self.rng.choice([401, 403, 403])
            call = self.world.call(client, server, user, user)
            for _ in range(self.rng.randrange(10, 200)):
                self.world.register(when, call, "old" + user, status)
                call.nonce, call.cseq = "", call.cseq + 1
                when += every
            if self.rng.random() < 0.4:
                self.keep(client, server, user, when, 4)

    def typing(self, many: int) -> None:
        """People who type a few wrong passwords, then the right one."""
        for _ in range(many):
            client, server, user, when = self.client("typing"), self.rng.choice(self.main), self.user(), self.when()
            for attempt in range(self.rng.randrange(2, 7)):
                self.world.register(when, self.world.call(client, server, user, user), f"typo{attempt}", 403)
                when += self.rng.uniform(8, 60)
            self.keep(client, server, user, when, 5)

    def deleted(self, many: int) -> None:
        """Phones whose account is gone."""
        for _ in range(many):
            client, server, user, when = (
                self.client("deleted account"),
                self.rng.choice(self.main),
                self.user(),
                self.when(),
            )
            for _ in range(self.rng.randrange(5, 80)):
                self.world.register(when, self.world.call(client, server, user, user), None, 404)
                when += self.rng.choice([60, 120, 300])

    def no_password(self, many: int) -> None:
        """Phones that were never given a password: each challenge is their last word."""
        for _ in range(many):
            client, server, user, when = (
                self.client("no password"),
                self.rng.choice(self.main),
                self.user(),
                self.when(),
            )
            for _ in range(self.rng.randrange(5, 80)):
                self.world.register(when, self.world.call(client, server, user, user), None, 401)
                when += self.rng.choice([30, 60, 120])

    def branches(self, many: int) -> None:
        """Offices behind one address; the power fails once."""
        for _ in range(many):
            first, server = self.client("office"), self.rng.choice(self.main)
            stack, when = self.rng.choice(PHONES), self.when()
            for seat in range(self.rng.randrange(5, 26)):
                client = Client(
                    first.address,
                    20000 + seat * 7,
                    stack if self.rng.random() < 0.8 else self.rng.choice(PHONES),
                    f"192.168.10.{20 + seat}",
                )
                user = self.user()
                self.keep(client, server, user, when + self.rng.uniform(0, 300), 6)
                self.keep(client, server, user, when + 7000 + self.rng.uniform(0, 4), 3)
                self.calls(client, server, user, when + 400, self.rng.randrange(0, 3))

    def gateways(self, many: int) -> None:
        """Gateways with 24 analogue ports: consecutive accounts from one port, all at once after a reboot."""
        for _ in range(many):
            client, server, when = (
                self.client("gateway", self.rng.choice([p for p in PHONES if "Patton" in p.agent or "ATA" in p.agent])),
                self.rng.choice(self.main),
                self.when(),
            )
            users = [self.user() for _ in range(24)]
            for turn in range(4):
                for index, user in enumerate(users):
                    wrong = index in (7, 8) and turn < 9
                    call = self.world.call(client, server, user, user)
                    self.world.register(when + turn * 1800 + index * 0.2, call, "right" + user, 403 if wrong else 200)

    def roaming(self, people: int, each: int) -> None:
        """People whose phone shows up at one address after another, for one or two messages each."""
        for _ in range(people):
            stack, user, server, when = self.rng.choice(PHONES), self.user(), self.rng.choice(self.main), self.when()
            for _ in range(each):
                client = self.client("roaming", stack)
                self.keep(client, server, user, when, 1)
                when += self.rng.uniform(600, 9000)

    def trunks(self, many: int) -> None:
        """Carriers that bring calls for many of our numbers, without a password, and ping us."""
        for _ in range(many):
            client, server, when = (
                self.client("trunk", self.rng.choice(TRUNKS), shown=""),
                self.rng.choice(self.main),
                self.when(),
            )
            prefix = f"{self.country}{self.rng.randrange(20, 90)}{self.rng.randrange(1000, 9999)}"
            for _ in range(self.rng.randrange(10, 80)):
                caller = self.rng.choice(["", "+"]) + str(self.rng.randrange(10**10, 10**11))
                called = self.rng.choice(["+", ""]) + prefix + f"{self.rng.randrange(100):02}"
                answers = self.rng.choice(
                    [(100, 180, 200), (100, 180, 200), (100, 180, 487), (100, 486), (404,), (100, 480)]
                )
                self.world.invite(
                    when,
                    self.world.call(client, server, caller, called),
                    answers=answers,
                    talk=self.rng.uniform(5, 60),
                    voice=self.rng.random() < 0.2,
                    cancel=answers[-1] == 487,
                )
                when += self.rng.uniform(5, 300)
                if self.rng.random() < 0.3:
                    self.world.options(
                        when - 1, self.world.call(client, server, "ping", "ping", f"sip:{server.address}")
                    )

    def pings(self, many: int) -> None:
        """Border controllers and proxies that ask every minute whether we live."""
        for _ in range(many):
            stack = self.rng.choice([SERVERS["kamailio"], *TRUNKS])
            client, server, when = self.client("ping", stack, shown=""), self.rng.choice(self.main), self.when()
            call = self.world.call(client, server, "ping", "", f"sip:{server.address}:5060")
            for _ in range(self.rng.randrange(20, 120)):
                self.world.options(when, call, self.rng.choice([200, 200, 200, 404]))
                call.cseq, when = call.cseq + 1, when + 60

    def monitors(self, many: int) -> None:
        """Monitoring of our own, of five servers each."""
        monitors = PROGRAMS["check_sip"], PROGRAMS["sipsak"], SERVERS["kamailio"]
        for index in range(many):
            client, when = self.client("monitor", monitors[index % 3], shown=""), self.start + 100 + index
            targets = self.world.servers[:5]
            for _ in range(int(self.days * 24)):
                for server in targets:
                    user = "sipsak" if index % 3 == 1 else "monitor"
                    self.world.options(when, self.world.call(client, server, user, user, f"sip:{server.address}"))
                    when += 1
                when += 3600 - len(targets)

    def guests(self, many: int) -> None:
        """Strangers who call an address of ours once, as RFC 3261 means it, from other domains."""
        for index in range(many):
            client, server = self.client("guest"), self.rng.choice(self.main)
            to = self.rng.choice(
                ["info", "sales", "reception", "anna.smith", "support", "conference", f"room{index % 7}"]
            )
            caller = self.rng.choice(["peter", "maria", "office", "bob", "j.doe", "ivan"]) + str(index)
            call = self.world.call(client, server, caller, to, domain="sip.example.org")
            answers = self.rng.choice([(100, 180, 200), (100, 180, 487), (404,), (100, 180, 486), (100, 480)])
            self.world.invite(self.when(), call, answers=answers, cancel=answers[-1] == 487, voice=True, talk=20)

    def doors(self, many: int) -> None:
        """Door stations that ring the desk without a password, sometimes for nobody."""
        for _ in range(many):
            client, server, when = (
                self.client("door", next(p for p in PHONES if "2N" in p.agent)),
                self.rng.choice(self.main),
                self.when(),
            )
            for _ in range(self.rng.randrange(1, 9)):
                answers = self.rng.choice([(100, 180, 200), (100, 180, 487), (100, 180, 487), (100, 180, 486)])
                self.world.invite(
                    when,
                    self.world.call(client, server, "door", "100"),
                    answers=answers,
                    cancel=answers[-1] == 487,
                    ring=20,
                    talk=10,
                    voice=True,
                )
                when += self.rng.uniform(300, 9000)

    def hotels(self, many: int) -> None:
        """Guests who try prefix after prefix until they get through: with a password, to a number they mean."""
        for _ in range(many):
            client, server, user, when = self.client("hotel"), self.rng.choice(self.main), self.user(), self.when()
            self.keep(client, server, user, when - 60, 4)
            number = self.rng.choice(["4420", "331", "4930"]) + str(self.rng.randrange(10**6, 10**7))
            for prefix in ("", "00", "000", "900", "+"):
                answers = (100, 183, 200) if prefix == "+" else self.rng.choice([(100, 404), (100, 484), (100, 480)])
                self.world.invite(
                    when,
                    self.world.call(client, server, user, prefix + number),
                    password="right" + user,
                    answers=answers,
                    talk=120,
                    voice=True,
                )
                when += self.rng.uniform(20, 60)

    def call_centres(self, many: int) -> None:
        """Hundreds of calls to people in the country, many of which nobody takes."""
        for _ in range(many):
            client, server, user, when = (
                self.client("call centre", self.rng.choice([SERVERS["asterisk"], *PHONES])),
                self.rng.choice(self.main),
                self.user(),
                self.when(),
            )
            self.keep(client, server, user, when, 6)
            for _ in range(150):
                answers = self.rng.choice([(100, 180, 200), (100, 180, 487), (100, 180, 487), (100, 486), (100, 404)])
                self.world.invite(
                    when,
                    self.world.call(client, server, user, self.national()),
                    password="right" + user,
                    answers=answers,
                    cancel=answers[-1] == 487,
                    talk=self.rng.uniform(2, 60),
                )
                when += self.rng.uniform(5, 40)

    def load_test(self) -> None:
        """A load test of our own."""
        client, server, when = self.client("load test", PROGRAMS["sipp"], shown=""), self.main[0], self.when()
        for _ in range(300):
            self.world.invite(
                when, self.world.call(client, server, "sipp", "service"), answers=(100, 180, 200), ring=0.5, talk=1
            )
            when += 0.2

    def wrong_server(self, many: int) -> None:
        """Soft phones of other companies with our address in their settings."""
        for index in range(many):
            client, server, when = self.client("wrong server"), self.rng.choice(self.world.servers), self.when()
            for _ in range(self.rng.randrange(2, 30)):
                self.world.register(
                    when,
                    self.world.call(client, server, f"user{index}", "", domain="voip.example.net"),
                    None,
                    self.rng.choice([403, 404, 403]),
                )
                when += self.rng.choice([30, 60, 300])

    def wrong_numbers(self, many: int) -> None:
        """Carriers that route a call to us once by mistake."""
        for _ in range(many):
            client, server = self.client("misrouted", self.rng.choice(TRUNKS), shown=""), self.rng.choice(self.main)
            call = self.world.call(
                client,
                server,
                "+" + str(self.rng.randrange(10**10, 10**11)),
                "+" + self.country + str(self.rng.randrange(10**8, 10**9)),
            )
            self.world.invite(self.when(), call, answers=(404,))


def add_customers(world: World, start: float, days: float, nets: list[str], country: str) -> None:
    """Add 189 customers."""
    people = Customers(world, start, days, nets, country)
    people.phones(46)
    people.phones(8, v6=True)
    people.phones(6, transport="tcp")
    people.wrong_password(12)
    people.typing(6)
    people.deleted(6)
    people.no_password(4)
    people.branches(10)
    people.gateways(3)
    people.roaming(4, 6)
    people.trunks(10)
    people.pings(9)
    people.monitors(3)
    people.guests(12)
    people.doors(7)
    people.hotels(3)
    people.call_centres(3)
    people.load_test()
    people.wrong_server(6)
    people.wrong_numbers(10)
    assert len(world.benign) == 189, len(world.benign)
