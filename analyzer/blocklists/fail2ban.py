"""fail2ban: commands that ban what was decided, and a filter that reads the plain list as a log."""

from collections.abc import Iterator
from itertools import groupby

from analyzer.blocklists import Rule, Rules
from analyzer.blocklists.comments import comment, iso, lines
from analyzer.blocklists.lists import named

JAIL = "sipscope"
MANY = 100
"""Addresses that one command bans."""


def write_fail2ban(rules: Rules) -> str:
    """Write a shell script that bans each entry for its time, in a jail of that name."""
    told = ["#!/bin/sh", f"# {rules.title}", "# load: sh FILE, with a running jail:"]
    told += ["#   sipscope block ... --format fail2ban-filter says how to make it", "set -e"]
    for rule in rules.rules:
        told.append(
            f"# {named(rule)} until {iso(rule.until)}: {comment(rule.why)}" if rule.until else f"# {named(rule)}"
        )
    ordered = sorted(rules.rules, key=_seconds)
    for seconds, chosen in groupby(ordered, key=_seconds):
        told.append(f"fail2ban-client set {JAIL} bantime {seconds}")
        told += [f"fail2ban-client set {JAIL} banip {' '.join(part)}" for part in _parts(list(chosen))]
    return lines(*told)


def _seconds(rule: Rule) -> int:
    return rule.seconds or 1


def _parts(rules: list[Rule]) -> Iterator[list[str]]:
    for start in range(0, len(rules), MANY):
        yield [named(rule) for rule in rules[start : start + MANY]]


def write_fail2ban_filter(rules: Rules) -> str:
    """Write a filter for the lines of the plain list, and the jail that uses it; both are the same for every list."""
    del rules
    return lines(
        "# Save as /etc/fail2ban/filter.d/sipscope.conf; make the log with",
        "#   sipscope block CAPTURE... --format plain -o /var/log/sipscope.list",
        "# and add a jail, as /etc/fail2ban/jail.d/sipscope.conf:",
        "#   [sipscope]",
        "#   enabled = true",
        "#   filter = sipscope",
        "#   logpath = /var/log/sipscope.list",
        "#   backend = polling",
        "#   maxretry = 1",
        "#   findtime = 7d",
        "#   bantime = 7d",
        "#   protocol = all",
        "#   banaction = iptables[type=allports]",
        "# (a jail leaves UDP open unless told; and the action of nftables takes no networks)",
        "[Definition]",
        r"failregex = ^<SUBNET>  # last\s",
        "ignoreregex =",
        # What is in the group is taken out of the line before failregex is tried (jail.conf(5)).
        r"datepattern = ^\S+  # last (%%Y-%%m-%%dT%%H:%%M:%%S%%z)",
        "              ^NONE$",
    )
