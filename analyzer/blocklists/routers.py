"""Routers: MikroTik RouterOS and Cisco IOS."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from analyzer.blocklists import BLOCK, Rule, Rules
from analyzer.blocklists.comments import comment, lines
from analyzer.blocklists.lists import named

NAME = "sipscope"
ROUTEROS_LONGEST = 35 * 7 * 86_400
"""Seconds that RouterOS counts at most, in whole weeks."""
ROUTEROS_COMMENT = 200
IOS_REMARK = 100
"""Characters of a remark."""
HOUR = timedelta(hours=1)
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def write_mikrotik(rules: Rules) -> str:
    """Write a script for RouterOS: /import file-name=FILE.rsc."""
    told = [f"# {rules.title}", "# load: /import file-name=FILE.rsc"]
    for version, menu in ((4, "/ip"), (6, "/ipv6")):
        told += [f"{menu} firewall address-list remove [find list={NAME}]"]
        told += [f"{menu} firewall address-list add {_routeros(rule)}" for rule in rules.of(version)]
        told += [f'{menu} firewall raw remove [find comment="{NAME}"]']
        told += [
            f'{menu} firewall raw add chain=prerouting {what} action=drop comment="{NAME}"' for what in _who(rules)
        ]
    return lines(*told)


def _who(rules: Rules) -> Iterator[str]:
    if rules.mode == BLOCK:
        yield f"src-address-list={NAME}"
        return
    ports = ",".join(map(str, rules.ports))
    for protocol in ("udp", "tcp"):
        yield f"protocol={protocol} dst-port={ports} src-address-list=!{NAME}"


def _routeros(rule: Rule) -> str:
    parts = [f"list={NAME}", f"address={named(rule)}"]
    if rule.seconds:
        parts.append(f"timeout={_routeros_time(min(rule.seconds, ROUTEROS_LONGEST))}")
    if about := comment(rule.why, ROUTEROS_COMMENT):
        parts.append(f'comment="{about}"')
    return " ".join(parts)


def _routeros_time(seconds: int) -> str:
    """Return seconds as '6d23:59:01'."""
    days, rest = divmod(seconds, 86_400)
    return f"{days}d{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"


def write_cisco(rules: Rules) -> str:
    """Write named access lists for IOS, with time ranges so that each entry ends, at the next full hour (UTC)."""
    list4, list6 = f"{NAME.upper()}-4", f"{NAME.upper()}-6"
    told = [f"! {rules.title}", "! load: copy FILE running-config, with the router's clock in UTC; then once:"]
    told += [f"!  interface ...: ip access-group {list4} in", f"!  interface ...: ipv6 traffic-filter {list6} in"]
    for hour in sorted({_hour(rule.until) for rule in rules.rules if rule.until}):
        told += [
            f"time-range {_range(hour)}",
            f" absolute end {hour:%H:%M} {hour.day} {MONTHS[hour.month - 1]} {hour.year}",
        ]
    for version, protocol, head, name in (
        (4, "ip", "ip access-list extended", list4),
        (6, "ipv6", "ipv6 access-list", list6),
    ):
        told += [f"no {head} {name}", f"{head} {name}"]
        for rule in rules.of(version):
            told += [f" remark {about}"] if (about := comment(rule.why, IOS_REMARK)) else []
            told += [f" {_ios(rule, protocol, 'deny' if rules.mode == BLOCK else 'permit')}"]
        if rules.mode != BLOCK:
            told += [f" deny {carrier} any any eq {port}" for carrier in ("udp", "tcp") for port in rules.ports]
        told += [f" permit {protocol} any any"]
    return lines(*told, "end")


def _ios(rule: Rule, protocol: str, verdict: str) -> str:
    network = rule.network
    if network.num_addresses == 1:
        source = f"host {network.network_address}"
    elif not network.prefixlen:
        source = "any"
    else:
        source = f"{network.network_address} {network.hostmask}" if network.version == 4 else str(network)
    during = f" time-range {_range(_hour(rule.until))}" if rule.until else ""
    return f"{verdict} {protocol} {source} any{during}"


def _hour(until: datetime) -> datetime:
    """Return the next full hour."""
    until = until.astimezone(UTC)
    hour = until.replace(minute=0, second=0, microsecond=0)
    return hour if hour == until else hour + HOUR


def _range(hour: datetime) -> str:
    return f"{NAME.upper()}-{hour:%Y%m%d%H}"
