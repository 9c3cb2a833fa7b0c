"""The command that says whom to block, in the language of a firewall."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from analyzer.commands.options import analyze, in_period, reading
from analyzer.commands.values import BAN, MOMENT
from analyzer.errors import SettingsError

if TYPE_CHECKING:
    from analyzer.analysis import Analysis
    from analyzer.blocking import Blocks
    from analyzer.blocklists import Rules

FORMATS = (
    "plain", "nftables", "ipset", "iptables", "pf", "fail2ban", "fail2ban-filter", "mikrotik", "cisco", "csv", "json",
)  # fmt: skip


@click.command()
@reading
@in_period
@click.option("--format", "as_format", type=click.Choice(FORMATS), default="plain", show_default=True,
              help="The program that is to block.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="Where the list goes; standard output without.")
@click.option("--mode", type=click.Choice(("block", "allow")), default="block", show_default=True,
              help="Block attackers, or let only those on the allow-list send to SIP ports.")  # fmt: skip
@click.option("--for", "period", type=BAN, metavar="PERIOD",
              help="How long after its last attack a source is blocked; by kind of attack without.")  # fmt: skip
@click.option("--from-now", is_flag=True, help="Count the time from now instead of the last attack.")
@click.option("--include-spoofable", is_flag=True, help="Also block sources whose addresses may be forged.")
@click.option("--include-private", is_flag=True, help="Also block private and reserved addresses.")
@click.option("--aggregate/--no-aggregate", default=True, show_default=True,
              help="Block networks that are full of attackers.")  # fmt: skip
@click.option("--diff", "old", metavar="OLD", help="Say what to add to and remove from a list made before.")
@click.option("--sip-port", "ports", type=click.IntRange(1, 65535), multiple=True, default=(5060, 5061),
              show_default=True, metavar="PORT", help="A port that --mode allow guards; up to 15.")  # fmt: skip
@click.option("--now", type=MOMENT, metavar="TIME", help="Decide as of this time instead of the clock's.")
def block(
    as_format: str, output: str | None, mode: str, period: timedelta | None, from_now: bool, include_spoofable: bool,
    include_private: bool, aggregate: bool, old: str | None, ports: tuple[int, ...], now: datetime | None,
    quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Say whom to block, why and until when, in the language of a firewall.

    Blocked are sources that attack for certain and whose addresses are proven; not those on the allow-list, your own
    servers, and addresses that innocent telephones share. Who is held back, and why, goes to standard error.

    Example: sipscope block captures/ --allow good.txt --format nftables -o block.nft
    """
    from analyzer.blocking import Policy
    from analyzer.blocklists import rules_to_block, save, write_rules
    from analyzer.blocklists.difference import difference, read_networks
    from analyzer.progress import watched

    before = None if old is None else read_networks(old)
    policy = Policy(
        spoofable=include_spoofable, private=include_private, aggregate=aggregate, period=period,
        from_now=from_now,
    )  # fmt: skip
    with watched(quiet=quiet) as work:
        allow = _allowed(options["allow"], mode)
        analysis = analyze(work, **options)
        blocks, rules = None, None
        if mode == "block":
            blocks = _decide(analysis, policy, allow, now)
            rules = rules_to_block(blocks)
        else:
            rules = _allowing(allow, ports, now)
        text = write_rules(rules, format=as_format)
        if output is not None or before is None:
            work.begin(f"while writing to {output or 'standard output'}")
            save(text, output or "-")
        if before is not None:
            save(difference(rules, before, blocks))
    if not quiet:
        _tell(analysis, blocks, rules, allow)


def _allowed(files: tuple[str, ...], mode: str) -> Any:
    from analyzer.allow import load_allowed

    if mode == "allow" and not files:
        raise SettingsError("--mode allow needs the known-good addresses; name a file with --allow")
    return load_allowed(*files)


def _decide(analysis: "Analysis", policy: Any, allow: Any, now: datetime | None) -> "Blocks":
    from analyzer.blocking import find_blocks

    return find_blocks(analysis, policy=policy, allow=allow, now=now)


def _allowing(allow: Any, ports: tuple[int, ...], now: datetime | None) -> "Rules":
    from analyzer.blocklists import rules_to_allow

    return rules_to_allow(allow, now or datetime.now(UTC), ports)


def _tell(analysis: "Analysis", blocks: "Blocks | None", rules: "Rules", allow: Any) -> None:
    """Say on standard error what was decided: standard output is for the firewall."""
    from analyzer.reports.blocking import tell_allowed, tell_blocks

    if blocks is not None:
        click.echo(tell_blocks(blocks), err=True, nl=False)
        return
    from analyzer.blocking.allowing import stopped

    click.echo(tell_allowed(rules, stopped(analysis, allow, rules.ports)), err=True, nl=False)
