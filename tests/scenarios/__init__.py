"""Labelled scenarios: captures made from knowledge of telephones and attackers, with the truth about every source.

They are written without regard to the rules that they judge. `make(name, seed)` returns a world: `world.write(path)`
writes the capture, `world.truth()` says who attacks, as which campaign, with what success.
"""

import random
from functools import partial

from scenarios import attacks, innocent
from scenarios.world import HOUR, Site, World

ATTACKS = {
    "svmap sweep": attacks.svmap_sweep,
    "svmap, several machines": attacks.spoofed_sweep,
    "script sweep, slow": attacks.script_sweep,
    "svwar, 404": partial(attacks.svwar_enumeration, alike=False),
    "svwar, alwaysauthreject": partial(attacks.svwar_enumeration, alike=True),
    "svcrack, in vain": partial(attacks.svcrack, breach=False),
    "svcrack, breach": partial(attacks.svcrack, breach=True),
    "custom forcer, slow": partial(attacks.custom_forcer, breach=False),
    "custom forcer, breach": partial(attacks.custom_forcer, breach=True),
    "spray, one source": attacks.spray,
    "spray, 30 sources": partial(attacks.spray, sources=30),
    "toll fraud, one source": attacks.toll_one,
    "toll fraud, 5-20 sources": attacks.toll_many,
    "toll fraud, one a quarter": attacks.night_dialler,
    "toll fraud, low and slow": attacks.toll_slow,
    "probes, low and slow": attacks.probes_slow,
    "sality": attacks.sality,
    "word list, 40 sources": attacks.enumerate_many,
    "ghost calls": attacks.ghost_calls,
    "INVITE flood": partial(attacks.flood, method="INVITE"),
    "REGISTER flood": partial(attacks.flood, method="REGISTER"),
    "phases": attacks.phases,
    "twin toll frauds": attacks.twin_tolls,
    "mimic": attacks.mimic,
    "sweep, 30 sources": attacks.sweep_many,
    "toll fraud, two numbers": attacks.toll_two_numbers,
    "through our proxy": attacks.through_proxy,
    "patient guesser": attacks.patient_guesser,
    "guessing, 60 sources": attacks.guess_many,
    "svwar, INVITE": attacks.svwar_calls,
    "low and slow, answered": attacks.toll_slow_answered,
    **{
        f"{tool} sweep": partial(attacks.tool_sweep, kind=tool)
        for tool in ("nmap", "sipsak", "metasploit", "sippts", "mrsip")
    },
}
"""Attacks by name; each is added to a small office at work."""
INNOCENT = {
    "branch of 40": innocent.branch,
    "reboot storm": innocent.reboot_branch,
    "server down, then up": innocent.server_down,
    "server down, capture ends": innocent.server_gone,
    "wrong password, keeps": partial(innocent.wrong_password, manner="keeps"),
    "wrong password, renews": partial(innocent.wrong_password, manner="renews"),
    "wrong password, hasty": partial(innocent.wrong_password, manner="hasty"),
    "new passwords": innocent.new_passwords,
    "deleted account": innocent.deleted_account,
    "roaming": innocent.roaming,
    "home router": innocent.dual_home,
    "soft phones": innocent.soft_phones,
    "web phones": innocent.web_phones,
    "one direction only": innocent.half_captured,
    "short capture": innocent.short_capture,
    "presence": innocent.presence,
    "qualify": innocent.qualify,
    "trunk keep-alive": innocent.trunk_alive,
    "SBC pings": innocent.sbc_pings,
    "monitors": innocent.monitors,
    "federation": innocent.federation,
    "research": innocent.research,
    "call centre": innocent.call_centre,
    "mistyping users": innocent.mistypers,
    "international office": innocent.international,
    "inbound trunk": innocent.inbound,
    "missed calls": innocent.missed_calls,
    "trunk accounts": innocent.trunk_accounts,
    "load test": innocent.load_test,
    "overload test": innocent.overload_test,
    "registration test": innocent.register_test,
    "popular number": innocent.popular_number,
    "carrier NAT": innocent.carrier_nat,
    "branch with faults": innocent.branch_with_fault,
    "ring group": innocent.ring_group,
    "outgoing trunk": innocent.outgoing_trunk,
    "alarm panel": innocent.alarm_panel,
    "voicemail lamps": innocent.voicemail_lamps,
    "cut capture": innocent.cut_capture,
    "mirrored": innocent.mirrored,
    "behind our proxy": innocent.behind_proxy,
    "closed accounts": innocent.closed_accounts,
    "closed accounts, briefly": innocent.closed_accounts_briefly,
    "another's customers": innocent.strangers,
    "televote": innocent.televote,
    "IP trunks": innocent.ip_trunks,
}
"""Innocent look-alikes by name; each is alone in its capture."""


def mixture(world, site, *, campaigns=9):
    """Add a day on which attackers and innocents mix, their networks interleaved."""
    rng = world.rng
    chosen = [attacks.toll_slow, *rng.sample(_MIXABLE, campaigns - 1)]
    for add in chosen:
        start = rng.uniform(0, 3 * HOUR) if add in _LONG else rng.uniform(0, 16 * HOUR)
        add(world, site, start)
    for add in [*rng.sample(_EVERYDAY, 16), *_ORDINARY]:
        servers = rng.sample(site.servers, len(site.servers))
        add(world, Site(servers, site.network), rng.uniform(0, 10 * HOUR))


_LONG = (attacks.toll_slow, attacks.probes_slow, attacks.sality)
_MIXABLE = [
    attacks.svmap_sweep,
    attacks.spoofed_sweep,
    attacks.script_sweep,
    attacks.svwar_enumeration,
    attacks.svcrack,
    attacks.custom_forcer,
    attacks.spray,
    partial(attacks.spray, sources=30),
    attacks.toll_one,
    attacks.toll_many,
    attacks.night_dialler,
    attacks.probes_slow,
    attacks.sality,
    attacks.enumerate_many,
    attacks.ghost_calls,
    attacks.flood,
    attacks.phases,
    attacks.twin_tolls,
    attacks.mimic,
    partial(attacks.tool_sweep, kind="sippts"),
    partial(attacks.tool_sweep, kind="mrsip"),
    attacks.sweep_many,
    attacks.toll_two_numbers,
    attacks.patient_guesser,
    attacks.guess_many,
    attacks.svwar_calls,
]
_EVERYDAY = [
    innocent.branch,
    innocent.reboot_branch,
    innocent.server_down,
    innocent.wrong_password,
    innocent.wrong_password,
    innocent.new_passwords,
    innocent.deleted_account,
    innocent.roaming,
    innocent.dual_home,
    innocent.soft_phones,
    innocent.web_phones,
    innocent.presence,
    innocent.qualify,
    innocent.trunk_alive,
    innocent.sbc_pings,
    innocent.monitors,
    innocent.federation,
    innocent.research,
    innocent.call_centre,
    innocent.mistypers,
    innocent.international,
    innocent.inbound,
    innocent.missed_calls,
    innocent.trunk_accounts,
    innocent.load_test,
    innocent.short_capture,
    innocent.popular_number,
    innocent.carrier_nat,
    innocent.branch_with_fault,
    innocent.ring_group,
    innocent.outgoing_trunk,
    innocent.alarm_panel,
    innocent.voicemail_lamps,
    innocent.closed_accounts,
    innocent.strangers,
    innocent.televote,
    innocent.ip_trunks,
]
_ORDINARY = [innocent.background] * 4 + [
    innocent.soft_phones,
    innocent.soft_phones,
    innocent.short_capture,
    innocent.mistypers,
]
MIXTURES = {"mixture": mixture, "mixture, mostly innocent": partial(mixture, campaigns=4)}
"""Full days."""
SCENARIOS = (*ATTACKS, *INNOCENT, *MIXTURES)
"""All names."""


def make(name, seed):
    """Return the world of that scenario; the same for the same seed."""
    world = World(random.Random(f"{name}/{seed}"))
    site = world.site()
    if name in MIXTURES:
        MIXTURES[name](world, site)
    elif name in ATTACKS:
        start = world.rng.uniform(600, 4 * HOUR)
        innocent.background(world, site, max(start - HOUR, 0))
        ATTACKS[name](world, site, start)
    else:
        INNOCENT[name](world, site, world.rng.uniform(600, 4 * HOUR))
    return world
