"""Innocent worlds that look like campaigns: many customers with the same misfortune, or one at many addresses."""

import random

from unseen.customers import DAY, Customers
from unseen.stacks import PHONES, SERVERS, TRUNKS
from unseen.talk import Server, World
from unseen.variants import ASTERISK, MIDNIGHT, NAT_NETS, servers

MANY = 16


def _begin(seed: int, days: float) -> tuple[World, Customers]:
    world = World(random.Random(seed), servers("198.51.100", [Server("", ASTERISK)]))
    return world, Customers(world, MIDNIGHT, days, NAT_NETS, "44")


def new_address_each_day(seed: int, every: float = DAY) -> World:
    """A telephone with a wrong password behind a line that is given a new address each day."""
    world, people = _begin(seed, 7)
    stack, user, when, end = people.rng.choice(PHONES), people.user(), MIDNIGHT + 2000, MIDNIGHT + 8 * every
    while when < end:
        client = people.client("moving", stack, shown="192.168.1.5")
        call, stop = world.call(client, people.main[0], user, user), when + every
        while when < stop:
            world.register(when, call, "old", 403)
            call.nonce, call.cseq, when = "", call.cseq + 1, when + 600
    return world


def provisioning(seed: int, *, times: int = 8, every: float = 60, known: bool = True) -> World:
    """Telephones of one make that were all given a wrong password, or none."""
    world, people = _begin(seed, 1)
    stack = people.rng.choice(PHONES)
    for _ in range(MANY):
        client, user, when = people.client("provisioning", stack), people.user(), MIDNIGHT + people.rng.uniform(0, 300)
        for _ in range(times):
            call = world.call(client, people.main[0], user, user)
            world.register(when, call, "old" if known else None, 403 if known else 401)
            when += every * people.rng.uniform(0.9, 1.1)
    return world


def misrouted(seed: int) -> World:
    """Carriers with the same switch who route a call to us by mistake."""
    world, people = _begin(seed, 1)
    stack = people.rng.choice(TRUNKS)
    for _ in range(MANY):
        client = people.client("misrouted", stack, shown="")
        caller, called = (
            "+" + str(people.rng.randrange(10**10, 10**11)),
            "+44" + str(people.rng.randrange(10**8, 10**9)),
        )
        call = world.call(client, people.main[0], caller, called, domain=client.address)
        world.invite(people.when(), call, answers=(404,))
    return world


def pings(seed: int) -> World:
    """The nodes of a carrier's switch, each of which asks three of our servers once while the capture lasts."""
    world, people = _begin(seed, 1)
    for _ in range(MANY):
        client = people.client("ping", SERVERS["freeswitch"], shown="")
        for server in people.main:
            call = world.call(client, server, "trunk1", "", f"sip:{server.address}")
            world.options(MIDNIGHT + people.rng.uniform(0, 50), call)
    return world


def typing(seed: int) -> World:
    """People with one soft phone who type wrong passwords before the right one."""
    world, people = _begin(seed, 1)
    stack = people.rng.choice(PHONES)
    for _ in range(MANY):
        client, user, when = people.client("typing", stack), people.user(), people.when()
        for attempt in range(8):
            world.register(when, world.call(client, people.main[0], user, user), f"typo{attempt}", 403)
            when += 20
        people.keep(client, people.main[0], user, when, 5)
    return world


MISHAPS = {
    "a new address each day": new_address_each_day,
    "a new address every six hours": lambda seed: new_address_each_day(seed, DAY / 4),
    "wrong passwords": provisioning,
    "wrong passwords all day": lambda seed: provisioning(seed, times=100, every=600),
    "no passwords": lambda seed: provisioning(seed, known=False),
    "misrouted calls": misrouted,
    "pings": pings,
    "typing": typing,
}
