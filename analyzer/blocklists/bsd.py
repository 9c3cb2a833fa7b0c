"""The BSDs: a table of pf."""

from analyzer.blocklists import BLOCK, Rules
from analyzer.blocklists.comments import comment, iso, lines
from analyzer.blocklists.lists import named

NAME = "sipscope"


def write_pf(rules: Rules) -> str:
    """Write the file of a pf table: pfctl -t sipscope -T replace -f FILE.

    pf knows no times: the first end is said, and the list is to be made again by then.
    """
    told = [f"# {rules.title}", f"# load: pfctl -t {NAME} -T replace -f FILE", "# in pf.conf:"]
    told += [f"#   table <{NAME}> persist"]
    if rules.mode == BLOCK:
        told += [f"#   block drop quick from <{NAME}>"]
        ends = [rule.until for rule in rules.rules if rule.until]
        told += [f"# pf does not end blocks by itself: make this list again by {iso(min(ends))}"] if ends else []
    else:
        ports = " ".join(map(str, rules.ports))
        told += [f"#   block drop quick proto {{ tcp udp }} from ! <{NAME}> to any port {{ {ports} }}"]
    for rule in rules.rules:
        until = f"until {iso(rule.until)}, " if rule.until else ""
        told += [f"# {until}{comment(rule.why)}".rstrip(" ,"), named(rule)]
    return lines(*told)
