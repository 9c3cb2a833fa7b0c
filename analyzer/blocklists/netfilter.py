"""Linux: nftables, ipset and iptables.

Packets are dropped in the raw table, before connections are tracked: a connection that is known already, as that of a
telephone that a thief registered, ends too.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from analyzer.blocking.networks import ranges
from analyzer.blocklists import BLOCK, Rule, Rules
from analyzer.blocklists.comments import comment, lines
from analyzer.blocklists.lists import named

NAME = "sipscope"
FAMILIES = {4: ("inet", "ip", "iptables"), 6: ("inet6", "ip6", "ip6tables")}
"""What ipset, nftables and iptables call the versions of IP."""
NFT_COMMENT = 120
"""Characters of a comment; nft takes 128 bytes."""
IPSET_COMMENT = 200
"""Characters of a comment; ipset and iptables take 255."""
IPSET_LONGEST = 2_147_483
"""Seconds that ipset counts at most."""
IPSET_ELEMENTS = 1 << 20
"""Elements that a set has room for, at least."""
LAST_SECOND = datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC)
"""The last time that iptables' match of times knows."""


def write_nftables(rules: Rules) -> str:
    """Write a table that replaces the one that was loaded before, in one transaction: nft -f FILE."""
    block = rules.mode == BLOCK
    word = "blocked" if block else "allowed"
    told = [f"# {rules.title}", f"# load: nft -f FILE    remove: nft delete table inet {NAME}"]
    told += [f"table inet {NAME}", f"delete table inet {NAME}", f"table inet {NAME} {{"]
    for version in FAMILIES:
        told += [f"\tset {word}{version} {{", f"\t\ttype ipv{version}_addr"]
        told += [f"\t\tflags interval{', timeout' if block else ''}"]
        elements = [_nft_element(rule) for rule in rules.of(version)]
        if elements:
            told += ["\t\telements = {", *(f"\t\t\t{element}," for element in elements), "\t\t}"]
        told += ["\t}"]
    told += ["\tchain prerouting {", "\t\ttype filter hook prerouting priority -300; policy accept;"]
    ports = f"th dport {{ {', '.join(map(str, rules.ports))} }}"
    for version, (_, protocol, _) in FAMILIES.items():
        if block:
            told += [f"\t\t{protocol} saddr @blocked{version} counter drop"]
        else:
            told += [f"\t\tmeta l4proto {{ tcp, udp }} {ports} {protocol} saddr != @allowed{version} counter drop"]
    return lines(*told, "\t}", "}")


def _nft_element(rule: Rule) -> str:
    timeout = f" timeout {rule.seconds}s" if rule.seconds else ""
    return f"{named(rule)}{timeout}{_quoted(rule, NFT_COMMENT)}"


def _quoted(rule: Rule, limit: int) -> str:
    """Return the comment of nftables and ipset; neither lets a quote stand in it."""
    about = comment(rule.why, limit)
    return f' comment "{about}"' if about else ""


def write_ipset(rules: Rules) -> str:
    """Write two sets that take the place of those loaded before, each at once: ipset restore -file FILE."""
    told = [f"# {rules.title}", "# load: ipset restore -file FILE; then once:"]
    for version, (_, _, program) in FAMILIES.items():
        told += [f"#   {line}" for line in _ipset_rules(rules, program, version)]
    for version, (family, _, _) in FAMILIES.items():
        name, new = f"{NAME}{version}", f"{NAME}{version}-new"
        elements = list(_ipset_elements(new, rules.of(version)))
        room = max(IPSET_ELEMENTS, 1 << len(elements).bit_length())
        made = f"hash:net family {family} maxelem {room} timeout 0 comment"
        told += [f"create {name} {made} -exist", f"create {new} {made} -exist", f"flush {new}"]
        told += [*elements, f"swap {new} {name}", f"destroy {new}"]
    return lines(*told)


def _ipset_rules(rules: Rules, program: str, version: int) -> Iterator[str]:
    """Yield the commands that make a firewall look into a set."""
    if rules.mode == BLOCK:
        yield f"{program} -t raw -I PREROUTING -m set --match-set {NAME}{version} src -j DROP"
        return
    for protocol in ("udp", "tcp"):
        ports = f"-p {protocol} -m multiport --dports {','.join(map(str, rules.ports))}"
        yield f"{program} -t raw -I PREROUTING {ports} -m set ! --match-set {NAME}{version} src -j DROP"


def _ipset_elements(name: str, rules: list[Rule]) -> Iterator[str]:
    for rule in rules:
        timeout = f" timeout {min(rule.seconds, IPSET_LONGEST)}" if rule.seconds else ""
        for network in ranges([rule.network]):
            yield f"add {name} {named(Rule(network=network))}{timeout}{_quoted(rule, IPSET_COMMENT)}"


def write_iptables(rules: Rules) -> str:
    """Write a chain for both versions of IP; rules that have a time end by themselves.

    It replaces the chain that was loaded before, in one transaction.
    """
    chain = NAME.upper()
    told = [f"# {rules.title}", "# load: iptables-restore --noflush FILE; ip6tables-restore --noflush FILE"]
    told += ["# (without --noflush all other rules of the raw table are lost); then once:"]
    told += [f"#   {program} -t raw -I PREROUTING -j {chain}" for _, _, program in FAMILIES.values()]
    told += ["*raw", f":{chain} - [0:0]"]
    for rule in rules.rules:
        told.append(_iptables_rule(rule, chain, "DROP" if rules.mode == BLOCK else "RETURN"))
    if rules.mode != BLOCK:
        for protocol in ("udp", "tcp"):
            ports = ",".join(map(str, rules.ports))
            told.append(f"-A {chain} -p {protocol} -m multiport --dports {ports} -j DROP")
    return lines(*told, "COMMIT")


def _iptables_rule(rule: Rule, chain: str, verdict: str) -> str:
    parts = [f"-{rule.network.version} -A {chain} -s {rule.network}"]
    if rule.until:
        until = min(rule.until, LAST_SECOND).astimezone(UTC)
        parts.append(f"-m time --datestop {until:%Y-%m-%dT%H:%M:%S}")
    if about := comment(rule.why, IPSET_COMMENT):
        parts.append(f'-m comment --comment "{about}"')
    return " ".join([*parts, f"-j {verdict}"])
