"""What innocents do, above all what looks like an attack: each function adds one such thing to a world."""

from dataclasses import replace

from scenarios import stacks
from scenarios.stacks import token
from scenarios.world import DAY, HOUR, MINUTE, Server


def _phones(world, server, ip, count, choice=stacks.DESK_PHONES, **more):
    """Return phones with accounts of their own behind one address."""
    rng = world.rng
    while len(server.accounts) < count:
        server.accounts.append(str(int(server.accounts[-1]) + 1))
    users = rng.sample(server.accounts, count)
    return [world.agent(rng.choice(choice), server, ip, user, natted=True, **more) for user in users]


def _keep_registered(world, server, agent, time, until, every, **how):
    """Register again and again; a phone keeps its Call-ID."""
    rng, leg = world.rng, agent.leg(world.rng)
    while time < until:
        world.register(agent, server, time, leg, expires=int(every), stale=rng.random() < 0.1, **how)
        time += every * rng.uniform(0.45, 0.95)


def background(world, site, time, hours=2.0):
    """A small office at work: six phones, some calls, a carrier that calls in."""
    rng, server = world.rng, site.pbx
    phones = [world.agent(rng.choice(stacks.PHONES), server, world.address("phone"), natted=True) for _ in range(6)]
    for agent in phones:
        _keep_registered(
            world, server, agent, time + rng.uniform(0, 600), time + hours * HOUR, rng.choice((300, 600, 3600))
        )
        for _ in range(rng.randrange(1, 4)):
            number = rng.choice((rng.choice(server.accounts), _national(rng)))
            world.call(
                agent,
                server,
                time + rng.uniform(0, hours * HOUR),
                number,
                rng.choice(("answered", "answered", 486, "cancelled")),
            )
    carrier = world.agent(stacks.SONUS, server, world.address("carrier"), "+441223" + token(rng, "{d6}"))
    for _ in range(5):
        world.call(
            carrier,
            server,
            time + rng.uniform(0, hours * HOUR),
            "441632" + token(rng, "{d6}"),
            rng.choice(("answered", "cancelled", 486)),
            sign=False,
        )


def _national(rng):
    """Return a national number of eleven digits."""
    area = rng.choice(("0171", "01223", "0207", "07700", "0800", "0161", "01632", "0131"))
    return area + "".join(rng.choices("0123456789", k=11 - len(area)))


# --- telephones


def branch(world, site, time, hours=6.0):
    """Forty phones behind one address."""
    rng, server, ip = world.rng, site.pbx, world.address("branch")
    for agent in _phones(world, server, ip, 40):
        _keep_registered(
            world,
            server,
            agent,
            time + rng.uniform(0, 900),
            time + hours * HOUR,
            rng.choice((60, 120, 300, 600, 3600, 3600)),
        )


def reboot_branch(world, site, time):
    """The same after a power cut: all at once, and the server cannot keep up."""
    rng, server, ip = world.rng, site.pbx, world.address("branch reboot")
    for agent in _phones(world, server, ip, 40):
        at, leg = time + rng.uniform(0, 20), agent.leg(rng)
        for _ in range(rng.randrange(0, 4)):
            if rng.random() < 0.5:
                at = world.ask(
                    agent,
                    server,
                    at,
                    "REGISTER",
                    leg,
                    [503],
                    extra={"Expires": "3600"},
                    answer_extra={"Retry-After": "20"},
                ) + rng.uniform(18, 30)
            else:
                at = world.ask(agent, server, at, "REGISTER", leg, [], extra={"Expires": "3600"}) + rng.uniform(1, 30)
            leg.cseq += 1
        world.register(agent, server, at, leg, lost=rng.randrange(0, 4))


def server_down(world, site, time, *, back=True):
    """Forty home phones of one model; the server is silent for minutes, then up again, or not."""
    rng, server = world.rng, site.pbx
    stack = rng.choice(stacks.PHONES)
    program, until = rng.choice(stack.agents), time + rng.uniform(5, 25) * MINUTE
    for _ in range(40):
        agent = world.agent(stack, server, world.address("phone, server down"), natted=True, program=program)
        leg, at = agent.leg(rng), time + rng.uniform(0, 300)
        while at < until:
            at = world.ask(agent, server, at, "REGISTER", leg, [], extra={"Expires": "600"}) + rng.uniform(10, 60)
            leg.cseq += 1
        if back:
            world.register(agent, server, at, leg)


def server_gone(world, site, time):
    """The capture ends before the server is up again."""
    server_down(world, site, time, back=False)


def wrong_password(world, site, time, hours=None, manner=None):
    """One phone that retries with a wrong password for hours."""
    rng, server = world.rng, site.pbx
    hours, manner = hours or rng.uniform(1, 6), manner or rng.choice(("keeps", "keeps", "renews", "hasty"))
    agent = world.agent(rng.choice(stacks.PHONES), server, world.address(f"wrong password, {manner}"), natted=True)
    leg, until = agent.leg(rng), time + hours * (0.2 if manner == "hasty" else 1) * HOUR
    pause = 5 if manner == "hasty" else rng.choice((30, 60, 120, 300))
    while time < until:
        if manner == "renews":
            leg = agent.leg(rng)
        time, _ = world.register(agent, server, time, leg, good=False)
        time += pause * rng.uniform(0.95, 1.05)


def new_passwords(world, site, time):
    """The administrator changed all passwords: twenty phones of an office fail for half an hour."""
    rng, server, ip = world.rng, site.pbx, world.address("office, new passwords")
    for agent in _phones(world, server, ip, 20):
        leg, at, fixed = agent.leg(rng), time + rng.uniform(0, 120), time + rng.uniform(20, 45) * MINUTE
        pause = rng.choice((20, 30, 60, 120))
        while at < fixed:
            at, _ = world.register(agent, server, at, leg, good=False)
            at += pause * rng.uniform(0.95, 1.05)
        world.register(agent, server, at, leg)


def deleted_account(world, site, time):
    """A phone whose account was deleted: 404 or 403 to each REGISTER, all day."""
    rng, server = world.rng, site.pbx
    agent = world.agent(
        rng.choice(stacks.PHONES), server, world.address("deleted account"), "7" + token(rng, "{d3}"), natted=True
    )
    leg, until = agent.leg(rng), time + 10 * HOUR
    while time < until:
        time, _ = world.register(agent, server, time, leg, known=False)
        time += rng.choice((60, 120, 300))


def roaming(world, site, time):
    """One user registers from five networks in a day."""
    rng, server = world.rng, site.pbx
    user = rng.choice(server.accounts)
    stack = rng.choice(stacks.SOFT_PHONES)
    program = rng.choice(stack.agents)
    for _ in range(5):
        agent = world.agent(stack, server, world.address("roaming"), user, natted=True, program=program)
        _keep_registered(world, server, agent, time, time + 2 * HOUR, 600)
        world.call(agent, server, time + 900, _national(rng), "answered")
        time += 2.5 * HOUR


def dual_home(world, site, time):
    """A home router with three accounts, some with a forgotten password, and calls that fail."""
    rng, server = world.rng, site.pbx
    ip = world.address("home router")
    for number in range(3):
        agent = world.agent(stacks.FRITZBOX, server, ip, natted=True)
        _keep_registered(world, server, agent, time + rng.uniform(0, 60), time + 4 * HOUR, 600, good=number != 2)
        for _ in range(3):
            world.call(
                agent, server, time + rng.uniform(0, 3 * HOUR), _national(rng), rng.choice((404, 480, "answered", 484))
            )


def soft_phones(world, site, time):
    """Soft phones at home whose Via shows 192.168.1.x."""
    rng, server = world.rng, site.pbx
    for _ in range(20):
        agent = world.agent(
            rng.choice(stacks.SOFT_PHONES),
            server,
            world.address("soft phone"),
            natted=True,
            inside=rng.choice(("192.168.1.9", "10.0.0.5", "192.168.1.83", "192.168.1.2", "192.168.0.12")),
        )
        at = time + rng.uniform(0, 6 * HOUR)
        _keep_registered(world, server, agent, at, at + HOUR, 300)
        for _ in range(rng.randrange(3)):
            world.call(
                agent,
                server,
                at + rng.uniform(10, HOUR),
                _national(rng),
                rng.choice(("answered", "cancelled", 486, 404)),
            )


def web_phones(world, site, time):
    """Thirty browsers behind one edge proxy; each shows a made-up host."""
    rng, server = world.rng, site.pbx
    ip = world.address("WebRTC edge")
    for _ in range(30):
        host = token(rng, "{b12}") + ".invalid"
        agent = world.agent(stacks.JSSIP, server, ip, inside=host, natted=True)
        at = time + rng.uniform(0, 3 * HOUR)
        _keep_registered(world, server, agent, at, at + HOUR, 600)
        world.call(agent, server, at + 300, rng.choice(server.accounts), rng.choice(("answered", "cancelled", 480)))


def half_captured(world, site, time):
    """Ordinary phones, but the answers go another way and are not captured."""
    rng = world.rng
    server = replace(site.pbx, mute=True)
    for _ in range(20):
        agent = world.agent(rng.choice(stacks.PHONES), server, world.address("one direction only"), natted=True)
        _keep_registered(world, server, agent, time + rng.uniform(0, 600), time + 3 * HOUR, rng.choice((60, 300, 600)))
        for _ in range(rng.randrange(4)):
            world.call(
                agent,
                server,
                time + rng.uniform(0, 3 * HOUR),
                rng.choice((_national(rng), rng.choice(server.accounts))),
                rng.choice(("answered", "cancelled", 486)),
            )


def short_capture(world, site, time):
    """Half a minute in which each thing is seen once."""
    rng, server = world.rng, site.pbx
    for _ in range(12):
        agent = world.agent(rng.choice(stacks.PHONES), server, world.address("short capture"), natted=True)
        at = time + rng.uniform(0, 30)
        what = rng.randrange(5)
        if what == 0:
            world.register(agent, server, at, good=rng.random() < 0.8)
        elif what == 1:
            world.call(
                agent,
                server,
                at,
                rng.choice((_national(rng), "00" + "4930" + token(rng, "{d7}"))),
                rng.choice(("answered", 404, 486, None)),
            )
        elif what == 2:
            world.ask(agent, server, at, "OPTIONS", agent.leg(rng), [200], to=f"<sip:{server.domain}>")
        elif what == 3:
            world.ask(
                agent, server, at, "REGISTER", agent.leg(rng), rng.choice(([], [401], [404])), extra={"Expires": "3600"}
            )
        else:
            world.ask(
                agent,
                server,
                at,
                "SUBSCRIBE",
                agent.leg(rng),
                [rng.choice((202, 489, 401))],
                extra={"Event": "message-summary", "Expires": "3600"},
            )


def presence(world, site, time):
    """Phones that subscribe to all their colleagues' lamps."""
    rng, server, ip = world.rng, site.pbx, world.address("presence")
    for agent in _phones(world, server, ip, 15):
        at = time + rng.uniform(0, 60)
        for colleague in rng.sample(server.accounts, min(30, len(server.accounts))):
            leg = agent.leg(rng)
            head, nonce = world.challenge(server, 401)
            uri, extra = f"sip:{colleague}@{server.domain}", {"Event": "dialog", "Expires": "3600"}
            to = f"<{uri}>"
            world.ask(agent, server, at, "SUBSCRIBE", leg, [401], uri=uri, to=to, extra=extra, answer_extra=head)
            leg.cseq += 1
            sign = world.credentials(agent, server, "SUBSCRIBE", uri, nonce, "right")
            world.ask(
                agent,
                server,
                at + 0.05,
                "SUBSCRIBE",
                leg,
                [rng.choice((200, 202, 200, 404))],
                uri=uri,
                to=to,
                extra={**extra, **sign},
            )
            at += rng.uniform(0.01, 0.3)
        _notified(world, server, agent, time + 120, colleagues=server.accounts)


def _notified(world, server, agent, time, colleagues):
    """The PBX tells a phone who is on the line; the phone answers."""
    rng = world.rng
    pbx, phone = _as_client(world, server, agent)
    for colleague in rng.sample(colleagues, min(10, len(colleagues))):
        leg = pbx.leg(rng)
        leg.to_tag = token(rng, "{h8}")
        pbx.user = colleague
        world.ask(
            pbx,
            phone,
            time + rng.uniform(0, HOUR),
            "NOTIFY",
            leg,
            [200],
            to=f"<sip:{agent.user}@{server.domain}>",
            uri=f"sip:{agent.user}@{agent.inside}",
            extra={"Event": "dialog", "Subscription-State": "active"},
        )


def _as_client(world, server, agent):
    """Return our server as a user agent, and the phone as what it sends to."""
    stack = next(
        stack
        for stack in (stacks.ASTERISK, stacks.ASTERISK_PJSIP, stacks.FREESWITCH, stacks.THREECX, stacks.KAMAILIO)
        if stack.agents[0][:5].lower() in server.software.lower() or stack is stacks.KAMAILIO
    )
    pbx = world.agent(stack, server, server.ip, "asterisk", program=server.software)
    phone = Server(agent.ip, server.style, server.domain, [], agent.program, port=agent.port, rtt=0.05)
    return pbx, phone


# --- keep-alives and monitors


def qualify(world, site, time, hours=4.0):
    """A PBX asks sixty phones every minute whether they are there; they say 200, 404 or nothing."""
    rng, server = world.rng, site.pbx
    for user in range(60):
        agent = world.agent(rng.choice(stacks.PHONES), server, world.address("phone"), str(user), natted=True)
        pbx, phone = _as_client(world, server, agent)
        leg, answer = agent.leg(rng), rng.choice(([200], [200], [200], [404], []))
        world.register(agent, server, time, leg)
        at = time + rng.uniform(1, 60)
        while at < time + hours * HOUR:
            leg = pbx.leg(rng)
            world.ask(
                pbx,
                phone,
                at,
                "OPTIONS",
                leg,
                answer,
                uri=f"sip:{agent.user}@{agent.inside}:{agent.inside_port}",
                to=f"<sip:{agent.user}@{agent.inside}>",
                tries=6,
            )
            at += 60 if answer else 300


def trunk_alive(world, site, time, hours=12.0):
    """Carriers' SBCs and our PBXs ask each other every half minute or minute; one peer is dead."""
    rng = world.rng
    for number in range(rng.randrange(2, 5)):
        sbc, server = world.address("carrier"), rng.choice(site.servers)
        agent = world.agent(rng.choice(stacks.SBCS), server, sbc, "ping")
        peer = Server(sbc, server.style, sbc, [], "", rtt=0.04)
        pbx, _ = _as_client(world, server, agent)
        at, dead = time + rng.uniform(0, 60), number == 0
        while at < time + hours * HOUR:
            world.ask(
                agent,
                server,
                at,
                "OPTIONS",
                agent.leg(rng),
                [200],
                uri=f"sip:{server.ip}:5060",
                to=f"<sip:ping@{server.ip}>",
            )
            world.ask(
                pbx,
                peer,
                at + 7,
                "OPTIONS",
                pbx.leg(rng),
                [] if dead else [200],
                uri=f"sip:{sbc}",
                to=f"<sip:{sbc}>",
                tries=6,
            )
            at += rng.choice((60, 120)) if not dead else 300


def sbc_pings(world, site, time, hours=2.0):
    """An SBC in front of sixty customers' PBXs pings all of them; they are in our network."""
    rng, sbc = world.rng, world.address("SBC")
    hosts = rng.sample(range(2, 250), 60)
    peers = [
        Server(f"{site.network}.{host}", site.pbx.style, f"{site.network}.{host}", [], "Asterisk PBX 13.38.3", rtt=0.02)
        for host in hosts
    ]
    stack = rng.choice((stacks.ORACLE, stacks.SONUS, stacks.KAMAILIO))
    dead = set(rng.sample(hosts, 6))
    for host, peer in zip(hosts, peers, strict=True):
        agent = world.agent(stack, peer, sbc, rng.choice(("ping", "monitor", "keepalive")))
        at = time + rng.uniform(0, 60)
        while at < time + hours * HOUR:
            world.ask(
                agent,
                peer,
                at,
                "OPTIONS",
                agent.leg(rng),
                [] if host in dead else [rng.choice((200, 200, 404))],
                uri=f"sip:{peer.ip}",
                to=f"<sip:{peer.ip}>",
                tries=3,
            )
            at += 60


def monitors(world, site, time, hours=6.0):
    """Probes from three places: sipsak each minute, check_sip each five, all targets in turn."""
    rng = world.rng
    for number in range(3):
        ip, stack = world.address("monitoring"), (stacks.SIPSAK, stacks.CHECK_SIP, stacks.SIPSAK)[number]
        for server in site.servers:
            agent = world.agent(stack, server, ip, "sipsak", port=rng.randrange(32768, 60000))
            at = time + rng.uniform(0, 60)
            while at < time + hours * HOUR:
                agent.port = rng.randrange(32768, 60000)
                world.ask(
                    agent,
                    server,
                    at,
                    "OPTIONS",
                    agent.leg(rng),
                    [rng.choice((200, 200, 200, 404))],
                    uri=f"sip:{server.domain}",
                    to=f"sip:{server.domain}",
                )
                at += 60 if number != 1 else 300


def federation(world, site, time):
    """Peers that send one OPTIONS a day."""
    rng = world.rng
    for _ in range(4):
        server, ip = rng.choice(site.servers), world.address("federation")
        agent = world.agent(
            rng.choice((stacks.KAMAILIO, stacks.ORACLE, stacks.ASTERISK_PJSIP)), server, ip, "federation"
        )
        for day in range(2):
            at = time + day * DAY + rng.uniform(0, HOUR)
            world.ask(
                agent,
                server,
                at,
                "OPTIONS",
                agent.leg(rng),
                [rng.choice((200, 404))],
                uri=f"sip:{server.domain}",
                to=f"<sip:{server.domain}>",
            )


def research(world, site, time):
    """A research scanner that asks the few hosts of ours that it knows, once each."""
    rng, ip = world.rng, world.address("research")
    user = rng.choice(("research", "scan", "nm"))
    for server in site.servers:
        agent = world.agent(stacks.SCRIPT, server, ip, user, program="")
        world.ask(
            agent,
            server,
            time,
            "OPTIONS",
            agent.leg(rng),
            [rng.choice((200, 404))],
            uri=f"sip:{server.ip}",
            to=f"<sip:{server.ip}>",
        )
        time += rng.uniform(1, 600)


# --- calls


def call_centre(world, site, time, calls=None):
    """A dialler calls hundreds of numbers through our trunk; a third of the calls fail."""
    rng, server = world.rng, site.pbx
    ip, calls = world.address("call centre"), calls or rng.randrange(500, 1500)
    stack = rng.choice((stacks.ASTERISK, stacks.ASTERISK_PJSIP, stacks.FREESWITCH))
    agent = world.agent(stack, server, ip, rng.choice(server.accounts))
    sign = rng.random() < 0.6
    for _ in range(calls):
        outcome = rng.choice(("answered",) * 13 + (404, 480, 486, 486, 484, "cancelled", "cancelled"))
        world.call(
            agent, server, time, _national(rng), outcome, sign=sign, ring=rng.uniform(3, 20), talk=rng.uniform(3, 60)
        )
        time += rng.expovariate(0.1)


def mistypers(world, site, time):
    """Users who mistype, and then write one number as +44, 0044, 044 and 44."""
    rng, server = world.rng, site.pbx
    for _ in range(8):
        agent = world.agent(rng.choice(stacks.PHONES), server, world.address("mistyping user"), natted=True)
        at = time + rng.uniform(0, 2 * HOUR)
        world.register(agent, server, at)
        number = rng.choice(("441223", "4930", "3314", "97259")) + token(rng, "{d6}")
        forms = rng.sample(
            (number, "+" + number, "00" + number, "0" + number, "000" + number, "900" + number, "0" + number[2:]),
            rng.randrange(2, 6),
        )
        for turn, form in enumerate(forms):
            at += rng.uniform(5, 40)
            world.call(
                agent, server, at, form, "answered" if turn == len(forms) - 1 else rng.choice((404, 484, 603, 480))
            )


def international(world, site, time):
    """An office that calls many countries with 00, some often."""
    rng, server = world.rng, site.pbx
    ip = world.address("international office")
    friends = [
        "00" + country + token(rng, "{d8}")
        for country in ("44", "49", "33", "972", "91", "86", "7", "1", "48", "46", "881", "34", "970", "212")
    ]
    for agent in _phones(world, server, ip, 8):
        world.register(agent, server, time + rng.uniform(0, 60))
        for _ in range(rng.randrange(10, 25)):
            world.call(
                agent,
                server,
                time + rng.uniform(100, 8 * HOUR),
                rng.choice(friends),
                rng.choice(("answered",) * 3 + (486, 404, 480, "cancelled")),
            )


def inbound(world, site, time):
    """A carrier's six SBCs bring calls to our numbers; some are not assigned."""
    rng, server = world.rng, site.pbx
    stack = rng.choice(stacks.SBCS)
    block = "441632" + token(rng, "{d3}")
    for _ in range(6):
        agent = world.agent(stack, server, world.address("carrier"), "anonymous")
        for _ in range(rng.randrange(20, 60)):
            agent.user = rng.choice(("+44", "+49", "0044", "07")) + token(rng, "{d9}")
            outcome = rng.choice(("answered",) * 5 + (404, 486, "cancelled", "cancelled", 480))
            world.call(
                agent,
                server,
                time + rng.uniform(0, 9 * HOUR),
                rng.choice(("", "+")) + block + f"{rng.randrange(1000):03d}",
                outcome,
                sign=False,
            )


def missed_calls(world, site, time):
    """Calls from a trunk that ring and are cancelled: nobody is at home."""
    rng, server = world.rng, site.pbx
    agent = world.agent(
        rng.choice((*stacks.SBCS, *stacks.PBXS)), server, world.address("missed calls"), "+441223400100"
    )
    for _ in range(rng.randrange(10, 30)):
        agent.user = rng.choice(("+441223400100", "07700900" + token(rng, "{d3}"), "anonymous"))
        world.call(agent, server, time, rng.choice(server.accounts), "cancelled", sign=False, ring=rng.uniform(8, 45))
        time += rng.uniform(60, 900)


def trunk_accounts(world, site, time):
    """An Asterisk registers twelve trunk accounts with us, from one address, every two minutes."""
    rng, server, ip = world.rng, site.pbx, world.address("customer PBX")
    stack = rng.choice((stacks.ASTERISK, stacks.ASTERISK_PJSIP, stacks.FREESWITCH))
    program = rng.choice(stack.agents)
    for number in range(12):
        agent = world.agent(
            stack,
            server,
            ip,
            f"trunk{number:02d}" if rng.random() < 0.3 else rng.choice(server.accounts),
            program=program,
        )
        _keep_registered(world, server, agent, time + number * 0.2, time + 4 * HOUR, 120, good=number != 11)


# --- load


def load_test(world, site, time, calls=None, *, overloaded=False):
    """SIPp from our own laboratory; with overloaded=True the server gives way."""
    rng, server = world.rng, site.pbx
    agent = world.agent(stacks.SIPP, server, world.address("load test"), "sipp", port=5061)
    for _ in range(calls or rng.randrange(1000, 2500)):
        outcome = (
            rng.choice((503, 503, None, "answered", 408)) if overloaded else rng.choice(("answered",) * 40 + (486,))
        )
        if outcome == "answered":
            world.call(
                agent, server, time, "service", "answered", sign=False, talk=rng.uniform(0.5, 2), early=(100, 180)
            )
        else:
            world.call(agent, server, time, "service", outcome, sign=False)
        time += rng.expovariate(50)


def overload_test(world, site, time):
    """SIPp against a server that gives way: 503s and timeouts."""
    load_test(world, site, time, 600, overloaded=True)


def register_test(world, site, time):
    """SIPp registers two hundred accounts, one after the other, all accepted."""
    rng, server, ip = world.rng, site.pbx, world.address("registration test")
    for number in range(rng.randrange(200, 600)):
        agent = world.agent(stacks.SIPP, server, ip, f"user{number:04d}", port=5061)
        world.register(agent, server, time)
        time += 0.02


# --- many who do the same


def popular_number(world, site, time):
    """Thirty customers call one hotline abroad, each in the form that they know."""
    rng, server = world.rng, site.pbx
    number = rng.choice(("44800", "49800", "1800", "353180")) + token(rng, "{d7}")
    forms = ("+" + number, "00" + number, "00" + number, "0" + number, number, "9" + "00" + number, "000" + number)
    for _ in range(30):
        agent = world.agent(rng.choice(stacks.PHONES), server, world.address("calls the hotline"), natted=True)
        at = time + rng.uniform(0, 8 * HOUR)
        world.register(agent, server, at)
        for _ in range(rng.randrange(1, 3)):
            at += rng.uniform(20, 600)
            world.call(
                agent, server, at, rng.choice(forms), rng.choice(("answered",) * 3 + (486, 404, 503, "cancelled"))
            )


def carrier_nat(world, site, time):
    """A mobile operator puts sixty unrelated soft phones behind one address."""
    rng, server, ip = world.rng, site.pbx, world.address("carrier NAT")
    for agent in _phones(world, server, ip, 60, stacks.SOFT_PHONES):
        at = time + rng.uniform(0, 5 * HOUR)
        good = rng.random() < 0.9
        _keep_registered(world, server, agent, at, at + HOUR, rng.choice((120, 300, 600)), good=good)
        if good and rng.random() < 0.5:
            world.call(
                agent,
                server,
                at + 100,
                rng.choice(("00" + rng.choice(("49", "44", "48")) + token(rng, "{d9}"), _national(rng))),
                rng.choice(("answered", 486, 404, "cancelled")),
            )


def branch_with_fault(world, site, time):
    """A branch of twenty-five phones, three of them with a wrong password."""
    rng, server, ip = world.rng, site.pbx, world.address("branch with faults")
    for number, agent in enumerate(_phones(world, server, ip, 25)):
        _keep_registered(
            world,
            server,
            agent,
            time + rng.uniform(0, 300),
            time + 3 * HOUR,
            60 if number < 3 else 600,
            good=number >= 3,
        )


def ring_group(world, site, time):
    """The PBX rings twelve phones at once; one answers, the others are cancelled."""
    rng, server = world.rng, site.pbx
    phones = [
        world.agent(rng.choice(stacks.PHONES), server, world.address("phone"), str(number), natted=True)
        for number in range(201, 213)
    ]
    for agent in phones:
        world.register(agent, server, time + rng.uniform(0, 30))
    for _ in range(rng.randrange(8, 25)):
        time += rng.uniform(60, 1200)
        taken = rng.randrange(16)
        for number, agent in enumerate(phones):
            pbx, phone = _as_client(world, server, agent)
            pbx.user = pbx.name = "+44" + token(rng, "{d9}")
            pbx.domain = server.ip
            world.call(
                pbx,
                phone,
                time,
                agent.user,
                "answered" if number == taken else "cancelled",
                sign=False,
                ring=rng.uniform(3, 25),
                early=(180,),
            )


def outgoing_trunk(world, site, time):
    """Our PBX sends its users' calls to a carrier; a third fail."""
    rng, server = world.rng, site.pbx
    carrier = Server(world.address("carrier"), server.style, "sip.carrier.example", [], "", rtt=0.05)
    pbx, _ = _as_client(world, server, world.agent(stacks.SONUS, server, carrier.ip, "x"))
    pbx.user, pbx.domain = "441223400100", carrier.ip
    sign = rng.random() < 0.5
    for _ in range(rng.randrange(200, 500)):
        number = rng.choice(
            (_national(rng), _national(rng), "00" + rng.choice(("44", "1", "91", "972")) + token(rng, "{d9}"))
        )
        world.call(
            pbx,
            carrier,
            time,
            number,
            rng.choice(("answered",) * 8 + (404, 486, 480, 484, "cancelled")),
            sign=sign,
            early=(100, 183),
        )
        time += rng.expovariate(1 / 60)


def alarm_panel(world, site, time):
    """An alarm panel dials one number abroad every five minutes, in vain, all day."""
    rng, server = world.rng, site.pbx
    agent = world.agent(stacks.CISCO_SPA, server, world.address("alarm panel"), natted=True)
    number, status = rng.choice(("0044", "+44", "00972", "0")) + token(rng, "{d10}"), rng.choice((404, 480, 486, 503))
    for _ in range(100):
        world.call(agent, server, time, number, status)
        time += 300


def voicemail_lamps(world, site, time):
    """The PBX tells sixty phones unasked how many messages wait; some know nothing of it."""
    rng, server = world.rng, site.pbx
    for number in range(60):
        agent = world.agent(rng.choice(stacks.PHONES), server, world.address("phone"), str(300 + number), natted=True)
        world.register(agent, server, time + rng.uniform(0, 20))
        pbx, phone = _as_client(world, server, agent)
        for turn in range(4):
            world.ask(
                pbx,
                phone,
                time + 30 + turn * 1800 + number * 0.05,
                "NOTIFY",
                pbx.leg(rng),
                rng.choice(([200], [200], [481], [489], [])),
                to=f"<sip:{agent.user}@{agent.inside}>",
                uri=f"sip:{agent.user}@{agent.inside}",
                extra={"Event": "message-summary"},
                tries=4,
            )


def cut_capture(world, site, time):
    """Ten minutes out of a busy day: dialogs begin before it and end after it."""
    branch(world, site, time, hours=2)
    call_centre(world, site, time, calls=400)
    inbound(world, site, time)
    begin = world.start + time + HOUR
    world.packets = [packet for packet in world.packets if begin <= packet[0] < begin + 10 * MINUTE]


def mirrored(world, site, time):
    """The switch mirrors in and out: every packet is captured twice."""
    branch(world, site, time, hours=2)
    wrong_password(world, site, time, 2, "keeps")
    mistypers(world, site, time)
    world.packets += [(packet[0] + 0.00002, *packet[1:]) for packet in world.packets]


def behind_proxy(world, site, time):
    """A branch registers through our edge proxy; both sides of it are captured."""
    branch(world, site, time, hours=2)
    wrong_password(world, site, time, 2, "keeps")
    world.relay(site.pbx, world.server(f"{site.network}.251"))


# --- crowds of strangers


def _crowd(world, site, time, role, stack, count, hours, answers):
    """Each of many phones asks for its own account again and again and is told the same each time."""
    rng, server = world.rng, site.pbx
    for number in range(count):
        choice = stack or rng.choice(stacks.PHONES)
        user = rng.choice(
            (str(70000 + number * 7), f"4922{rng.randrange(10**6, 10**7)}", f"user{rng.randrange(10**4)}")
        )
        agent = world.agent(choice, server, world.address(role), user, natted=True, program=choice.agents[0])
        leg, at, status = agent.leg(rng), time + rng.uniform(0, 600), rng.choice(answers)
        while at < time + hours * HOUR:
            head = world.challenge(server, 401)[0] if status == 401 else None
            if status == 401:
                at, _ = world.register(agent, server, at, leg, good=False)
            else:
                at = world.ask(
                    agent, server, at, "REGISTER", leg, [status], extra={"Expires": "600"}, answer_extra=head
                )
                leg.cseq += 1
            at += rng.choice((60, 120, 300)) * rng.uniform(0.9, 1.1)


def closed_accounts(world, site, time):
    """A provider closed forty accounts; the phones, all of one model, do not know yet."""
    _crowd(
        world, site, time, "closed account", world.rng.choice(stacks.PHONES), 40, 2.0, (world.rng.choice((403, 404)),)
    )


def closed_accounts_briefly(world, site, time):
    """The same in a capture of ten minutes: each is seen a few times, some once."""
    _crowd(
        world, site, time, "closed account", world.rng.choice(stacks.PHONES), 40, 0.2, (world.rng.choice((403, 404)),)
    )


def strangers(world, site, time):
    """Another provider's customers ask us: an old DNS record leads them here."""
    _crowd(world, site, time, "lost customer", None, 50, 2.0, (404, 404, 403, 401))


def televote(world, site, time):
    """A hundred and twenty customers call one number of a television show within minutes; half are turned away."""
    rng, server = world.rng, site.pbx
    number = rng.choice(("0137", "0900", "09011", "0845")) + token(rng, "{d6}")
    for _ in range(120):
        agent = world.agent(rng.choice(stacks.PHONES), server, world.address("television viewer"), natted=True)
        at = time + rng.uniform(0, 900)
        for _ in range(rng.randrange(1, 4)):
            outcome = rng.choice(("answered", 486, 486, 503, 503, None, "cancelled"))
            world.call(
                agent, server, at, rng.choice((number, number, "+49" + number[1:])), outcome, talk=rng.uniform(5, 20)
            )
            at += rng.uniform(20, 120)


def ip_trunks(world, site, time):
    """Thirty customers' PBXs are known by their address: no registration, no credentials; they call one hotline too."""
    rng, server = world.rng, site.pbx
    hotline = rng.choice(("44800", "1800", "4930")) + token(rng, "{d7}")
    for number in range(30):
        stack = rng.choice(stacks.PBXS)
        agent = world.agent(stack, server, world.address("IP trunk"), "+441223" + token(rng, "{d6}"))
        calls = 1 if number < 12 else rng.randrange(2, 20)
        form = rng.choice(("00", "00", "+", "000", ""))
        for _ in range(calls):
            abroad = rng.random() < 0.4 or calls == 1
            dialled = form + hotline if abroad else _national(rng)
            outcome = rng.choice(("answered",) * 5 + (404, 486, 503, 480, "cancelled"))
            world.call(agent, server, time + rng.uniform(0, 9 * HOUR), dialled, outcome, sign=False)
