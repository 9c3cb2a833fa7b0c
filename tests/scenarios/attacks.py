"""What attackers do: each function adds one attack, or one campaign of many sources, to a world and its truth."""

from dataclasses import replace

from scenarios import stacks
from scenarios.stacks import token
from scenarios.world import HOUR, MINUTE, Server, hexed

PREFIXES = (
    "",
    "0",
    "00",
    "000",
    "0000",
    "9",
    "90",
    "900",
    "9000",
    "011",
    "9011",
    "90011",
    "+",
    "0011",
    "810",
    "7011",
    "1011",
    "8011",
    "8",
    "800",
    "900900",
    "1",
    "2011",
    "3011",
    "99",
    "9900",
    "99900",
    "100",
    "10000",
    "1010222011",
    "6",
    "600",
)
WANTED = (
    ("44", 10, "1223"),
    ("972", 9, "59"),
    ("48", 9, "22"),
    ("46", 9, "8"),
    ("970", 9, "59"),
    ("33", 9, "8"),
    ("881", 9, "6"),
    ("1", 10, "84"),
    ("371", 8, "6"),
    ("252", 8, "6"),
)
WORDS = (
    "admin",
    "test",
    "user",
    "guest",
    "1000",
    "1001",
    "2000",
    "demo",
    "sip",
    "voip",
    "phone",
    "office",
    "support",
    "fax",
    "reception",
    "sales",
    "info",
    "101",
    "102",
    "200",
    "201",
    "300",
    "1234",
    "9999",
    "trunk",
    "operator",
    "service",
    "asterisk",
    "cisco",
    "polycom",
    "alice",
    "bob",
    "john",
    "david",
    "michael",
    "maria",
    "anna",
    "peter",
)
LEAKS = ("192.168.1.9", "10.0.0.5", "192.168.77.9", "172.16.31.4", "192.168.1.83", "10.42.7.19", "192.168.204.131")
FALSE_NAMES = (
    "Yealink SIP-T46S 66.84.0.15",
    "Grandstream GXP2160 1.0.9.108",
    "PolycomVVX-VVX_411-UA/5.9.0.9373",
    "Asterisk PBX",
    "Cisco/SPA504G-7.6.2c",
    "Avaya one-X Deskphone",
    "snom320/8.7.5.35",
    "Linksys/SPA942-6.1.5(a)",
    "Zoiper rv2.8.30",
)


def wanted_number(rng):
    """Return a number that a fraudster wants called, with its country code."""
    country, digits, start = rng.choice(WANTED)
    return country + start + "".join(rng.choices("0123456789", k=digits - len(start)))


def renamed(rng, stack):
    """Return a User-Agent: the tool's own, another's, or (empty) none."""
    return rng.choice((stack.agents[0], rng.choice(FALSE_NAMES), token(rng, "{a8}"), ""))


def silence(world, site, taken):
    """Return an address of the site where nobody answers, as a server to send to."""
    ip = f"{site.network}.{taken}"
    known = {server.ip: server for server in site.servers}
    return known.get(ip) or Server(ip, site.pbx.style, ip, [], "", rtt=0.03)


def svtag(world, data):
    """Return a From tag as SIPVicious makes it: what it wants to remember, 0x01, a random number, in hexadecimal."""
    return (data.encode() + b"\x01" + str(world.rng.getrandbits(32)).encode()).hex()


# --- 1, 15: sweeps


def svmap_sweep(world, site, time, campaign=None, source=None, program=None):
    """Sweep a network with svmap, under its own or another name."""
    rng = world.rng
    campaign = campaign or world.campaign("svmap")
    campaign.kinds.add("sweep")
    campaign.tool = "sipvicious"
    source = source or world.attacker(campaign)
    stack = rng.choice((stacks.SIPVICIOUS, stacks.SIPVICIOUS3))
    program = renamed(rng, stack) if program is None else program
    hosts = range(1, rng.choice((64, 128, 255)))
    for host in hosts:
        time = _svmap_probe(world, site, time, host, stack, source, program)
    return time


def _svmap_probe(world, site, time, host, stack, source, program):
    rng = world.rng
    server = silence(world, site, host)
    agent = world.agent(
        stack, server, source, "100", program=program, name="sipvicious", inside="127.0.1.1", port=5060 + (host & 1)
    )
    agent.domain = "1.1.1.1"
    leg = agent.leg(rng)
    leg.tag, leg.call_id = svtag(world, hexed(server.ip) + "13c4"), token(rng, "{d24}")
    answers = [rng.choice((200, 200, 404))] if server in site.servers else []
    world.ask(
        agent, server, time, "OPTIONS", leg, answers, uri=f"sip:100@{server.ip}", to='"sipvicious"<sip:100@1.1.1.1>'
    )
    return time + rng.uniform(0.005, 0.03)


def tool_sweep(world, site, time, kind):
    """Sweep with one of the other tools; one source, one campaign."""
    rng = world.rng
    stack = {
        "nmap": stacks.NMAP_NSE,
        "sipsak": stacks.SIPSAK,
        "metasploit": stacks.METASPLOIT,
        "sippts": stacks.SIPPTS,
        "mrsip": stacks.MRSIP,
    }[kind]
    campaign = world.campaign(kind, kind, {"sweep"})
    source = world.attacker(campaign)
    for host in range(1, rng.choice((40, 80, 200))):
        server = silence(world, site, host)
        user = {"nmap": "nmap", "sippts": "100", "mrsip": token(rng, "{d4}"), "metasploit": token(rng, "{b6}")}.get(
            kind, "sipsak"
        )
        program = user if kind == "metasploit" else rng.choice(stack.agents)
        agent = world.agent(stack, server, source, user, program=program, port=rng.randrange(10000, 65535))
        answers = [rng.choice((200, 404))] if server in site.servers else []
        world.ask(
            agent,
            server,
            time,
            "OPTIONS",
            agent.leg(rng),
            answers,
            uri=f"sip:{server.ip}",
            to=f"<sip:{server.ip}>",
            tries=1,
        )
        time += rng.uniform(0.01, 0.3)


def script_sweep(world, site, time):
    """Sweep slowly with a home-made script: no name, one address every few minutes, two passes."""
    rng = world.rng
    campaign = world.campaign("script-sweep", "", {"sweep"})
    source = world.attacker(campaign)
    user = token(rng, "{b6}")
    for host in rng.sample(range(1, 255), rng.randrange(30, 90)):
        server = silence(world, site, host)
        agent = world.agent(stacks.SCRIPT, server, source, user, port=5060)
        answers = [rng.choice((200, 404))] if server in site.servers else []
        world.ask(agent, server, time, "OPTIONS", agent.leg(rng), answers, uri=f"sip:{user}@{server.ip}", tries=1)
        time += rng.uniform(20, 200)


# --- 2, 9: enumeration


def svwar_enumeration(world, site, time, campaign=None, source=None, alike=None, program=None):
    """Try extensions 100 to 999 with svwar; a PBX answers 404 or 401, or 401 to all."""
    rng, server = world.rng, site.pbx
    campaign = campaign or world.campaign("svwar")
    campaign.kinds.add("enumeration")
    campaign.tool = "sipvicious"
    source = source or world.attacker(campaign)
    stack = rng.choice((stacks.SIPVICIOUS, stacks.SIPVICIOUS3))
    program = renamed(rng, stack) if program is None else program
    alike = rng.random() < 0.5 if alike is None else alike
    users = [str(rng.getrandbits(32)), *map(str, range(100, rng.choice((200, 400, 1000))))]
    for user in users:
        agent = world.agent(stack, server, source, user, program=program, inside="127.0.0.1", port=5061)
        agent.domain = server.ip
        leg = agent.leg(rng)
        leg.tag = svtag(world, user)
        status = 401 if alike or user in server.accounts else 404
        head = world.challenge(server, 401)[0] if status == 401 else None
        world.ask(agent, server, time, "REGISTER", leg, [status], uri=f"sip:{server.ip}", answer_extra=head)
        time += rng.uniform(0.02, 0.1)
    return time


def enumerate_many(world, site, time):
    """Forty sources share one word list; each tries five to twenty-five accounts."""
    rng, server = world.rng, site.pbx
    campaign = world.campaign("wordlist", "", {"enumeration"})
    words = [*WORDS, *(f"{word}{number}" for word in WORDS[:12] for number in range(1, 20))]
    leak = rng.choice(LEAKS)
    stack = replace(stacks.SCRIPT, branch="z9hG4bK-{d8}-{h6}", tag="{h14}", call_id="{b26}")
    program = rng.choice(("", "sipsscuser", "VoIP", "Asterisk PBX", "PBX"))
    cursor = 0
    for _ in range(40):
        source, count = world.attacker(campaign), rng.randrange(5, 26)
        at = time + rng.uniform(0, 6 * HOUR)
        for user in (words * 4)[cursor : cursor + count]:
            agent = world.agent(
                stack, server, source, user, program=program, inside=leak, port=rng.randrange(1024, 65000)
            )
            agent.domain = server.ip
            known = user in server.accounts or server.alike
            head = world.challenge(server, 401)[0] if known else None
            world.ask(agent, server, at, "REGISTER", agent.leg(rng), [401 if known else 404], answer_extra=head)
            at += rng.uniform(1, 20)
        cursor = (cursor + count) % len(words)


# --- 3, 4, 5: password guessing


def svcrack(world, site, time, campaign=None, source=None, breach=None, account=None):
    """Guess one account's password with svcrack, named after another program or not at all."""
    rng, server = world.rng, site.pbx
    campaign = campaign or world.campaign("svcrack")
    campaign.kinds.add("password-guessing")
    campaign.tool = "sipvicious"
    source = source or world.attacker(campaign)
    stack = rng.choice((stacks.SIPVICIOUS, stacks.SIPVICIOUS3))
    program, user = renamed(rng, stack), account or rng.choice(server.accounts)
    breach = rng.random() < 0.5 if breach is None else breach
    tries = rng.randrange(60, 900)
    agent = world.agent(stack, server, source, user, program=program, inside="127.0.1.1", port=5062)
    agent.domain = server.ip
    agent.port = 5062
    for number in range(tries):
        password = str(1000 + number)
        final = 200 if breach and number == tries - 1 else server.style.wrong
        time = _svcrack_try(world, server, agent, time, user, password, final, first=number == 0)
    if breach:
        campaign.breached.add(user)
    return time, user


def _svcrack_try(world, server, agent, time, user, password, final, *, first):
    rng, leg = world.rng, agent.leg(world.rng)
    head, nonce = world.challenge(server, 401)
    leg.tag = "3206210844" if first else svtag(world, f"{user}:{password}")
    world.ask(agent, server, time, "REGISTER", leg, [401], answer_extra=head, uri=f"sip:{server.ip}")
    leg.cseq += 1
    leg.tag = svtag(world, f"{user}:{password}")
    sign = world.credentials(agent, server, "REGISTER", f"sip:{server.ip}", nonce, password)
    more = world.challenge(server, 401)[0] if final == 401 else None
    final = 401 if final == 407 else final
    world.ask(
        agent, server, time + 0.04, "REGISTER", leg, [final], extra=sign, answer_extra=more, uri=f"sip:{server.ip}"
    )
    return time + rng.uniform(0.08, 0.4)


def custom_forcer(world, site, time, breach=None, slow=None):
    """Guess with a program of one's own: new Call-ID and port each time, accounts in turn, seldom."""
    rng, server = world.rng, site.pbx
    campaign = world.campaign("forcer", "", {"password-guessing"})
    source = world.attacker(campaign)
    users = rng.sample(server.accounts, min(len(server.accounts), rng.randrange(3, 30)))
    breach = rng.random() < 0.4 if breach is None else breach
    pause = (20, 60) if slow is None or slow else (0.3, 2)
    program = rng.choice(stacks.FORCER.agents)
    tries = rng.randrange(80, 400)
    for number in range(tries):
        user = users[number % len(users)]
        agent = world.agent(stacks.FORCER, server, source, user, program=program, port=rng.randrange(1024, 65000))
        agent.domain = server.ip
        won = breach and number == tries - 1
        world.register(
            agent,
            server,
            time,
            good=won,
            password=token(rng, "{b8}"),
            expires=60,
            final=None if won else rng.choice((401, 401, 403, server.style.wrong)),
        )
        if won:
            campaign.breached.add(user)
        time += rng.uniform(*pause)


def spray(world, site, time, sources=1, breach=None):
    """Try one or two passwords on very many accounts, from one source or from thirty."""
    rng, server = world.rng, site.pbx
    campaign = world.campaign("spray", "", {"password-guessing"})
    users = list(server.accounts) if sources == 1 else [*server.accounts, *(str(number) for number in range(100, 250))]
    addresses = [world.attacker(campaign) for _ in range(sources)]
    stack = replace(rng.choice((stacks.MICROSIP, stacks.SCRIPT, stacks.BRIA)), retries=False)
    program = rng.choice(("", *FALSE_NAMES))
    weak = rng.choice(server.accounts) if (rng.random() < 0.5 if breach is None else breach) else None
    leak = rng.choice(LEAKS) if sources > 1 else ""
    rng.shuffle(users)
    for number, user in enumerate(users):
        agent = world.agent(
            stack,
            server,
            addresses[number % sources],
            user,
            program=program,
            inside=leak,
            port=rng.randrange(1024, 65000),
        )
        agent.domain = server.ip
        known = user in server.accounts
        for guess in ("1234", user)[: rng.choice((1, 1, 2))]:
            won = user == weak and guess == "1234"
            world.register(
                agent,
                server,
                time,
                good=won,
                known=known,
                password=guess,
                final=200 if won else 403 if server.style.wrong == 407 else None,
            )
            time += rng.uniform(2, 15)
            if won:
                campaign.breached.add(user)
                break


# --- 6, 7, 13: toll fraud


def _dial(world, server, agent, time, dialled, outcome):
    """Call without credentials: refused, challenged, or, through a careless PBX, answered."""
    world.call(agent, server, time, dialled, outcome, sign=False, talk=world.rng.uniform(5, 60), early=(100, 183))


def refusal(world, server):
    """Return what a PBX says to a stranger's call."""
    return world.rng.choice(
        {"kamailio": (407, 404, 403), "chan_sip": (401, 401, 404, 603), "pjsip": (401, 401, 404)}.get(
            "kamailio" if "kamailio" in server.software else "chan_sip" if server.style.wrong == 403 else "pjsip",
            (401,),
        )
    )


def _fraudster(world, server, source, stack, program, user, **more):
    agent = world.agent(stack, server, source, user, program=program, **more)
    agent.domain = server.ip
    return agent


def toll_one(world, site, time, answered=None):
    """One source puts prefix after prefix before one number."""
    rng, server = world.rng, site.pbx
    campaign = world.campaign("toll", "", {"toll-fraud"})
    source, number = world.attacker(campaign), wanted_number(rng)
    stack = rng.choice((stacks.SIPCLI, stacks.DIALLER, stacks.SIPVICIOUS, stacks.MICROSIP))
    stack = replace(stack, retries=False)
    program, user = rng.choice(stack.agents), rng.choice(("100", "1000", "200", "101", token(rng, "{d4}")))
    no = refusal(world, server)
    prefixes = rng.sample(PREFIXES, rng.randrange(8, len(PREFIXES)))
    lucky = rng.choice(prefixes) if (rng.random() < 0.4 if answered is None else answered) else None
    for prefix in prefixes:
        agent = _fraudster(world, server, source, stack, program, user, port=rng.choice((5060, 5071, 5078)))
        dialled = prefix + number
        _dial(world, server, agent, time, dialled, "answered" if prefix == lucky else no)
        if prefix == lucky:
            campaign.answered.add(dialled)
        time += rng.uniform(1, 400)


def toll_many(
    world, site, time, sources=None, campaign=None, number=None, stack=None, answered=None, leak=None, span=8 * HOUR
):
    """Five to twenty sources want the same number through different prefixes."""
    rng = world.rng
    campaign = campaign or world.campaign("toll-many", "", {"toll-fraud"})
    number, stack = (
        number or wanted_number(rng),
        stack or replace(stacks.DIALLER, branch=f"z9hG4bK-{token(rng, '{d6}')}-1---{{b16}}"),
    )
    lucky = rng.random() < 0.5 if answered is None else answered
    refusals = {server.ip: refusal(world, server) for server in site.servers}
    for _ in range(sources or rng.randrange(5, 21)):
        source, at = world.attacker(campaign), time + rng.uniform(0, span)
        program, user = rng.choice(stack.agents), rng.choice(("100", "1000", "200", "500", "8001"))
        for prefix in rng.sample(PREFIXES, rng.randrange(3, 9)):
            server = rng.choice(site.servers)
            agent = _fraudster(
                world, server, source, stack, program, user, inside=leak or "", port=rng.randrange(5060, 5090)
            )
            outcome = "answered" if lucky and rng.random() < 0.2 else refusals[server.ip]
            if outcome == "answered":
                lucky = False
                campaign.answered.add(prefix + number)
            _dial(world, server, agent, at, prefix + number, outcome)
            at += rng.uniform(1, 600)


def toll_slow(world, site, time, sources=None, span=None):
    """Very many sources, one or two calls each, one wanted number, a new name each time."""
    rng = world.rng
    campaign = world.campaign("toll-slow", "", {"toll-fraud"})
    number = world.wanted = wanted_number(rng)
    span = span or 20 * HOUR
    names = [program for stack in stacks.PHONES for program in stack.agents] + list(stacks.DIALLER.agents)
    styles = [
        replace(stack, retries=False)
        for stack in (stacks.DIALLER, stacks.SIPCLI, stacks.MICROSIP, stacks.SCRIPT, stacks.BRIA)
    ]
    refusals = {server.ip: refusal(world, server) for server in site.servers}
    for _ in range(sources or rng.randrange(150, 301)):
        source, at = world.attacker(campaign), time + rng.uniform(0, span)
        for _ in range(rng.choice((1, 1, 2))):
            server = rng.choice(site.servers)
            agent = _fraudster(
                world,
                server,
                source,
                rng.choice(styles),
                rng.choice(names),
                token(rng, rng.choice(("{d3}", "{d4}", "{b6}"))),
                port=rng.randrange(1024, 65000),
            )
            _dial(world, server, agent, at, rng.choice(PREFIXES) + number, refusals[server.ip])
            at += rng.uniform(1, 900)


def twin_tolls(world, site, time):
    """Two campaigns with the same tool, targets and hours want different numbers."""
    rng = world.rng
    stack = replace(stacks.DIALLER, branch="z9hG4bK-{d6}-1---{b16}")
    first, second = wanted_number(rng), wanted_number(rng)
    for number in (first, second):
        toll_many(world, site, time, number=number, stack=stack, campaign=world.campaign("twin", "", {"toll-fraud"}))


# --- 8: low and slow


def probes_slow(world, site, time, sources=None, leak=None, method=None):
    """A hundred and more sources send one OPTIONS or REGISTER each, in one handwriting, with one leaked address."""
    rng = world.rng
    campaign = world.campaign("probes-slow", "", {"enumeration", "probe", "sweep"})
    leak = leak or rng.choice(LEAKS)
    method = method or rng.choice(("OPTIONS", "REGISTER"))
    stack = replace(
        stacks.SCRIPT,
        branch="z9hG4bK-{d5}{h7}",
        tag="{d9}",
        call_id="{h18}",
        order="Via To From Call-ID CSeq Contact User-Agent Max-Forwards Accept Content-Length",
    )
    program = rng.choice(("", "Asterisk PBX", "VoIP", "SIP UA"))
    for _ in range(sources or rng.randrange(100, 180)):
        source, at, server = world.attacker(campaign), time + rng.uniform(0, 20 * HOUR), rng.choice(site.servers)
        agent = _fraudster(
            world,
            server,
            source,
            stack,
            program,
            token(rng, rng.choice(("{d3}", "{d4}", "{d6}"))),
            inside=leak,
            port=rng.randrange(1024, 65000),
        )
        _single(world, server, agent, at, method)


def _single(world, server, agent, time, method):
    rng = world.rng
    status = (
        rng.choice((200, 404)) if method == "OPTIONS" else 401 if server.alike or agent.user in server.accounts else 404
    )
    head = world.challenge(server, 401)[0] if status == 401 else None
    world.ask(agent, server, time, method, agent.leg(rng), [status], answer_extra=head, tries=1)


def sality(world, site, time, sources=None):
    """The Sality botnet's sipscan: one REGISTER of a random ten-digit user from each source."""
    rng = world.rng
    campaign = world.campaign("sality", "sality", {"enumeration", "probe", "sweep"})
    for _ in range(sources or rng.randrange(100, 180)):
        source, at, server = world.attacker(campaign), time + rng.uniform(0, 20 * HOUR), rng.choice(site.servers)
        agent = _fraudster(
            world, server, source, stacks.SALITY, "Asterisk PBX", token(rng, "{d10}"), port=rng.randrange(1024, 65000)
        )
        _single(world, server, agent, at, "REGISTER")


# --- 10, 11


def ghost_calls(world, site, time):
    """Ring room systems in the name of 100 or 1000, and cancel."""
    rng = world.rng
    campaign = world.campaign("ghost", "", {"ghost-call", "toll-fraud"})
    source = world.attacker(campaign)
    stack = rng.choice((stacks.SIPVICIOUS, stacks.SIPVICIOUS3, stacks.SCRIPT))
    program, user = renamed(rng, stack), rng.choice(("100", "1000", "1001"))
    for _ in range(rng.randrange(12, 40)):
        server = rng.choice(site.servers)
        agent = _fraudster(world, server, source, stack, program, user, port=rng.choice((5060, 5061, 5062)))
        world.call(
            agent,
            server,
            time,
            rng.choice(("100", "1000", user, "room1")),
            "cancelled",
            sign=False,
            ring=rng.uniform(0.2, 20),
        )
        time += rng.uniform(5, 400)


def flood(world, site, time, method=None):
    """Send INVITE or REGISTER as fast as the line takes, for some seconds."""
    rng, server = world.rng, site.pbx
    campaign = world.campaign("flood", "", {"flood"})
    source, method = world.attacker(campaign), method or rng.choice(("INVITE", "REGISTER"))
    stack = rng.choice((stacks.SCRIPT, stacks.MRSIP, replace(stacks.MICROSIP, retries=False)))
    program, rate, user = renamed(rng, stack), rng.randrange(80, 300), rng.choice(server.accounts)
    for number in range(rng.randrange(1500, 4000)):
        agent = _fraudster(world, server, source, stack, program, user, port=rng.randrange(1024, 65000))
        answers = [rng.choice((401, 503))] if number % 7 == 0 else []
        head = world.challenge(server, 401)[0] if answers == [401] else None
        body = agent.sdp(rng) if method == "INVITE" else ""
        world.ask(
            agent,
            server,
            time,
            method,
            agent.leg(rng),
            answers,
            body=body,
            tries=1,
            answer_extra=head,
            uri=f"sip:{user}@{server.ip}" if body else None,
        )
        time += rng.expovariate(rate)


# --- 12, 14


def phases(world, site, time):
    """Sweep, enumerate, guess, break in, and call out with the stolen account."""
    rng, server = world.rng, site.pbx
    campaign = world.campaign("phases", "sipvicious")
    source = world.attacker(campaign)
    program = renamed(rng, stacks.SIPVICIOUS)
    time = svmap_sweep(world, site, time, campaign, source, program) + rng.uniform(30, 900)
    time = svwar_enumeration(world, site, time, campaign, source, program=program) + rng.uniform(30, 900)
    time, account = svcrack(world, site, time, campaign, source, breach=True)
    time += rng.uniform(60, 1800)
    agent = _fraudster(world, server, source, replace(stacks.MICROSIP, retries=False), None, account, port=5060)
    agent.program = rng.choice(stacks.MICROSIP.agents)
    time, _ = world.register(agent, server, time)
    number = wanted_number(rng)
    campaign.kinds.add("toll-fraud")
    for prefix in ("", "00", "9", "900", "0"):
        outcome = "answered" if prefix == "900" else 404
        world.call(agent, server, time + 20, prefix + number, outcome, talk=90)
        if outcome == "answered":
            campaign.answered.add(prefix + number)
        time += rng.uniform(60, 200)


def mimic(world, site, time):
    """Claim to be a telephone, and write like SIPVicious or PJSIP: enumerate, guess, or dial."""
    rng, server = world.rng, site.pbx
    campaign = world.campaign("mimic")
    source, name = world.attacker(campaign), rng.choice(FALSE_NAMES)
    what = rng.choice(("enumeration", "password-guessing", "toll-fraud"))
    campaign.kinds.add(what)
    stack = replace(rng.choice((stacks.SIPVICIOUS3, stacks.MICROSIP, stacks.BRIA)), retries=False)
    number = wanted_number(rng)
    for step in range(rng.randrange(20, 60)):
        user = str(1000 + step) if what == "enumeration" else server.accounts[3]
        agent = _fraudster(world, server, source, stack, name, user, inside="10.0.0.5", port=rng.randrange(5060, 5200))
        if what == "enumeration":
            _single(world, server, agent, time, "REGISTER")
        elif what == "password-guessing":
            world.register(agent, server, time, good=False, password=token(rng, "{b6}"), final=403)
        else:
            _dial(world, server, agent, time, PREFIXES[step % len(PREFIXES)] + number, refusal(world, server))
        time += rng.uniform(1, 30)


def spoofed_sweep(world, site, time):
    """SIPVicious' svmap from several machines of one attacker, parts of the network each, the same hour."""
    rng = world.rng
    campaign = world.campaign("svmap-shared", "sipvicious", {"sweep"})
    program = renamed(rng, stacks.SIPVICIOUS)
    parts = rng.randrange(3, 6)
    addresses = [world.attacker(campaign) for _ in range(parts)]
    for host in range(1, 255):
        _svmap_probe(world, site, time, host, stacks.SIPVICIOUS3, addresses[host % parts], program)
        time += rng.uniform(0.02, 0.2)


def night_dialler(world, site, time):
    """One source, one try every quarter of an hour to the same number with growing zeros, over a night."""
    rng, server = world.rng, site.pbx
    campaign = world.campaign("night", "", {"toll-fraud"})
    source, number = world.attacker(campaign), wanted_number(rng)
    stack = replace(stacks.DIALLER, retries=False)
    no = refusal(world, server)
    for zeros in range(rng.randrange(8, 20)):
        agent = _fraudster(world, server, source, stack, rng.choice(stack.agents), "100", port=5060)
        _dial(world, server, agent, time, "0" * zeros + number, no)
        time += rng.uniform(10, 20) * MINUTE


# --- more that an author of tests would think of


def sweep_many(world, site, time):
    """Thirty sources share a sweep: each asks five to fifteen of our addresses, in one handwriting."""
    rng = world.rng
    campaign = world.campaign("sweep-many", "", {"sweep"})
    stack = replace(stacks.SCRIPT, branch="z9hG4bK-{b7}-{d9}", tag="{b13}", call_id="{H20}")
    leak, program = rng.choice(LEAKS), rng.choice(("", "SIP Client", "Asterisk PBX"))
    for _ in range(30):
        source, at = world.attacker(campaign), time + rng.uniform(0, 8 * HOUR)
        for host in rng.sample(range(1, 255), rng.randrange(5, 16)):
            server = silence(world, site, host)
            agent = _fraudster(
                world, server, source, stack, program, "100", inside=leak, port=rng.randrange(1024, 65000)
            )
            answers = [rng.choice((200, 404))] if server in site.servers else []
            world.ask(agent, server, at, "OPTIONS", agent.leg(rng), answers, uri=f"sip:100@{server.ip}", tries=1)
            at += rng.uniform(0.5, 30)


def toll_two_numbers(world, site, time):
    """One gang wants two numbers; the same leaked address gives it away."""
    rng = world.rng
    campaign, leak = (
        world.campaign("toll-two", "", {"toll-fraud"}),
        rng.choice(("10.42.7.19", "172.16.31.4", "192.168.204.131")),
    )
    stack = replace(stacks.DIALLER, call_id="{b24}@{ip}")
    for number in (wanted_number(rng), wanted_number(rng)):
        toll_many(
            world, site, time, sources=8, campaign=campaign, number=number, stack=stack, leak=leak, answered=False
        )


def through_proxy(world, site, time):
    """Enumeration and guessing through our edge proxy, whose inner side is captured too: the proxy is innocent."""
    time = svwar_enumeration(world, site, time)
    svcrack(world, site, time + 60, world.campaigns[-1], min(world.campaigns[-1].sources), breach=True)
    world.relay(site.pbx, world.server(f"{site.network}.251"))


def patient_guesser(world, site, time):
    """One source, one account, one try every five to ten minutes for a day, a new call each time, no name."""
    rng, server = world.rng, site.pbx
    campaign = world.campaign("patient", "", {"password-guessing"})
    source, user = world.attacker(campaign), rng.choice(server.accounts)
    for _ in range(rng.randrange(100, 200)):
        agent = world.agent(
            replace(stacks.SCRIPT, order=stacks.FORCER.order),
            server,
            source,
            user,
            program="",
            port=rng.randrange(1024, 65000),
        )
        agent.domain = server.ip
        world.register(agent, server, time, good=False, password=token(rng, "{b8}"), final=403)
        time += rng.uniform(5, 10) * MINUTE


def guess_many(world, site, time):
    """Sixty sources try two or three passwords each on a few accounts, in one handwriting; nobody does it often."""
    rng, server = world.rng, site.pbx
    campaign = world.campaign("guess-many", "", {"password-guessing"})
    users, program = rng.sample(server.accounts, 6), rng.choice(stacks.FORCER.agents)
    breach = rng.random() < 0.4
    for number in range(60):
        source, at = world.attacker(campaign), time + rng.uniform(0, 10 * HOUR)
        for turn in range(rng.randrange(2, 4)):
            user = users[(number + turn) % len(users)]
            agent = _fraudster(world, server, source, stacks.FORCER, program, user, port=rng.randrange(1024, 65000))
            won = breach and number == 40 and turn == 1
            world.register(agent, server, at, good=won, password=token(rng, "{b8}"), final=200 if won else 403)
            if won:
                campaign.breached.add(user)
            at += rng.uniform(5, 90)


def svwar_calls(world, site, time):
    """svwar with INVITE: extensions are called, those that exist ring, and the call is cancelled."""
    rng, server = world.rng, site.pbx
    campaign = world.campaign("svwar-invite", "sipvicious", {"enumeration", "ghost-call"})
    source = world.attacker(campaign)
    stack = rng.choice((stacks.SIPVICIOUS, stacks.SIPVICIOUS3))
    program = renamed(rng, stack)
    for user in [str(rng.getrandbits(32)), *map(str, range(100, rng.choice((160, 300))))]:
        agent = _fraudster(world, server, source, stack, program, user, inside="127.0.0.1", port=5063)
        outcome = "cancelled" if user in server.accounts else 404
        world.call(agent, server, time, user, outcome, sign=False, ring=rng.uniform(0.05, 0.5), early=(180,))
        time += rng.uniform(0.05, 0.3)


def toll_slow_answered(world, site, time):
    """Low and slow, and at last one call is answered."""
    rng = world.rng
    toll_slow(world, site, time, sources=80)
    campaign, number = world.campaigns[-1], world.wanted
    source, server = world.attacker(campaign), rng.choice(site.servers)
    agent = _fraudster(world, server, source, stacks.DIALLER, rng.choice(stacks.DIALLER.agents), "1001")
    _dial(world, server, agent, time + 15 * HOUR, "900" + number, "answered")
    campaign.answered.add("900" + number)
