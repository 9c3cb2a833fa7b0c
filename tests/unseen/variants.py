"""Three worlds that differ in structure: who attacks, with what handwriting, how the servers answer."""

import random
from collections.abc import Callable

from unseen.attackers import Attackers, plain, replace, sality, script, sipcli, sipvicious, stolen
from unseen.customers import add_customers
from unseen.talk import Server, World

MIDNIGHT = 1_760_918_400.0
ASTERISK, OLD = "Asterisk PBX 18.20.2", "FPBX-13.0.197(11.25.3)"
KAMAILIO, FREESWITCH = "kamailio (5.7.2 (x86_64/linux))", "FreeSWITCH-mod_sofia/1.10.11-release"
NAT_NETS = ["86.14.201", "90.53.12", "79.212.88", "2.30.147", "188.74.66", "109.145.33"]


def servers(network: str, styles: list[Server]) -> list[Server]:
    """A /28 of servers: 14 addresses, in the styles given by turns."""
    return [replace(styles[index % len(styles)], address=f"{network}.{17 + index}") for index in range(14)]


def first(rng: random.Random) -> World:
    """A week: low and slow fraud with a leak, ever new sources, renamed svwar, guessing with a breach."""
    world = World(
        rng,
        servers(
            "198.51.100",
            [
                Server("", ASTERISK),
                Server("", OLD, alike=False),
                Server("", KAMAILIO, status=407),
                Server("", FREESWITCH),
                Server("", ASTERISK, silent=True),
            ],
        ),
    )
    them = Attackers(world, MIDNIGHT, 7, NAT_NETS)
    them.toll(
        "toll-il",
        120,
        script(rng),
        ["972592277663", "972595632177"],
        ["", "00", "011", "9011", "900", "000", "0000", "+", "810", "9900"],
        leak="192.168.77.9",
    )
    them.once("sality", 60, sality(), "REGISTER", names="Asterisk PBX", users="digits")
    them.enumerate("svwar", 20, sipvicious("x", new=True), [str(n) for n in range(100, 1000)], each=45)
    them.guess(
        "crack",
        30,
        script(rng),
        ["101", "200", "3000"],
        breach="200",
        each=30,
        reuse=True,
        toll=("48221234567", ["00", "9011", "900"]),
    )
    them.guess(
        "spray",
        24,
        script(rng),
        [str(n) for n in range(100, 340)],
        spray="1234",
        each=10,
        pace=40,
        where=0.1,
        length=0.7,
    )
    them.sweep(
        "go",
        40,
        plain("Go", "Via Max-Forwards From To Call-ID CSeq Contact Content-Length User-Agent", "hex", "hex", "hex"),
        names="each",
    )
    them.ghost("ghost", 5, script(rng))
    them.sweep("h323", 12, script(rng), h323=True, where=0.5, length=0.3, names="random")
    them.toll(
        "toll-uk",
        53,
        stolen(rng),
        ["442037691880"],
        ["00", "011", "9", "900", "0", "00000", "*9"],
        answered=1,
        polite=True,
        where=0.3,
        length=0.5,
    )
    add_customers(world, MIDNIGHT, 7, NAT_NETS, "44")
    return world


def second(rng: random.Random) -> World:
    """Two days: two frauds at once with one tool, IPv6, TCP, extension lists by INVITE, no leak."""
    world = World(
        rng,
        servers(
            "203.0.113",
            [Server("", KAMAILIO, status=407), Server("", ASTERISK), Server("", ASTERISK, alike=False, silent=False)],
        ),
    )
    them = Attackers(world, MIDNIGHT, 2, NAT_NETS[3:])
    tool = sipcli("x")
    them.toll(
        "toll-a",
        70,
        tool,
        ["970599123456"],
        ["00", "011", "9011", "+", "1010222011", "1010333011", "8011"],
        names="each",
        statuses=[(401,), (482,), (503,), (403,)],
        polite=True,
    )
    them.toll(
        "toll-b",
        45,
        tool,
        ["46812345678", "46855501234"],
        ["00", "000", "0000", "00000", "900", "9000", "99900"],
        names="each",
        each=(2, 5),
        answered=1,
        polite=True,
    )
    them.once("v6", 50, script(rng), "OPTIONS", v6=True, names="each")
    them.sweep("tcp", 30, script(rng), "INVITE", transport="tcp", names="each", where=0.1, length=0.3, user="1001")
    them.enumerate(
        "invite-list",
        25,
        script(rng),
        [
            "1000",
            "1001",
            "1100",
            "2000",
            "2001",
            "admin",
            "test",
            "sip",
            "voip",
            "phone",
            "cisco",
            "guest",
            "user",
            "300",
            "301",
            "302",
            "8000",
            "8001",
            "9000",
            "9001",
        ],
        each=8,
        method="INVITE",
        tags=False,
        pace=70,
        length=0.6,
    )
    them.guess(
        "go-crack",
        35,
        plain(
            "-",
            "Via From To Call-ID CSeq Max-Forwards Contact User-Agent Authorization Expires Content-Length",
            "aln",
            "dec",
            "aln",
        ),
        ["1001", "1002", "500", "600"],
        each=12,
        breach="600",
        pace=20,
    )
    them.guess(
        "spray", 45, stolen(rng), [str(n) for n in range(1000, 1300)], spray="password", each=6, pace=100, length=0.5
    )
    them.exploit("sql", 14, script(rng))
    them.sweep("renamed-svmap", 50, sipvicious("x", new=False), names="each", where=0.6, length=0.2)
    add_customers(world, MIDNIGHT, 2, NAT_NETS, "49")
    return world


def third(rng: random.Random) -> World:
    """Five days: no User-Agent at all, pauses of two days, phones' own libraries, ghost calls that nobody ends."""
    world = World(
        rng,
        servers("192.0.2", [Server("", OLD, alike=False), Server("", FREESWITCH, status=407), Server("", ASTERISK)]),
    )
    them = Attackers(world, MIDNIGHT, 5, NAT_NETS[:3])
    them.toll(
        "toll-pause",
        90,
        replace(script(rng), contact="<sip:{user}@{host}>"),
        ["25261234567", "252907712345"],
        ["00", "011", "+", "000", "9011", "90011"],
        names="none",
        pause=True,
        leak="10.0.0.44",
        user="same",
    )
    them.toll(
        "toll-phone",
        40,
        stolen(rng),
        ["37125552222"],
        ["00", "011", "000", "0011", "810", "00810"],
        names="each",
        where=0.2,
        length=0.6,
        polite=True,
    )
    them.once("options", 64, script(rng), "OPTIONS", names="none")
    them.once("register", 40, script(rng), "REGISTER", names="random", users="digits", where=0.4, length=0.5)
    them.enumerate(
        "options-list",
        20,
        script(rng),
        [str(n) for n in range(200, 500)],
        each=15,
        method="OPTIONS",
        tags=False,
        pace=5,
        names="none",
    )
    them.guess(
        "tcp-crack",
        20,
        stolen(rng),
        ["700", "701", "702"],
        each=40,
        breach="701",
        transport="tcp",
        reuse=True,
        pace=3,
        names="none",
        toll=("88216123456", ["00", "000", "900"]),
    )
    them.guess("svcrack", 25, sipvicious("x", new=True), ["100", "101", "102", "103"], each=25, tags=True, names="none")
    them.ghost("ghost", 15, stolen(rng), hang_up=False, each=6, names="each", length=0.4)
    them.sweep(
        "python",
        50,
        plain(
            "py", "Via To From CSeq Call-ID Max-Forwards Contact Accept User-Agent Content-Length", "dec", "dec", "dec"
        ),
        "REGISTER",
        names="none",
        user="1000",
        where=0.6,
        length=0.3,
    )
    add_customers(world, MIDNIGHT, 5, NAT_NETS, "1")
    return world


VARIANTS: dict[str, Callable[[random.Random], World]] = {"first": first, "second": second, "third": third}
