"""The command that tells others."""

from typing import Any

import click

from analyzer.commands.options import analyze, reading
from analyzer.sharing import SHARES, TLP, Told


@click.command()
@reading
@click.option("--format", "as_format", type=click.Choice(tuple(SHARES)), required=True, help="The form to share in.")
@click.option("-o", "--output", metavar="FILE", default="-", help="Where it goes; standard output without.")
@click.option("--campaign", metavar="ID", help="Share this campaign alone; the beginning of its id will do.")
@click.option("--tlp", type=click.Choice(TLP), default="amber", show_default=True,
              help="How far it may be handed on (stix, misp).")  # fmt: skip
@click.option("--with-targets", is_flag=True, help="Tell which of your addresses were attacked too (stix, misp).")
def share(
    as_format: str, output: str, campaign: str | None, tlp: str, with_targets: bool, quiet: bool, **options: Any
) -> None:
    """Write campaigns and messages for other people's programs.

    stix is a STIX 2.1 bundle and misp a MISP event: campaigns, who takes part, whom to block and until when, by the
    same rules as `sipscope block`. ecs (Elastic), zeek (sip.log) and eve (in Suricata's manner) are messages, line by
    line, ecs and eve with an alert for each attack.

    Example: sipscope share captures/ --format stix -o campaigns.json
    """
    from analyzer.allow import load_allowed
    from analyzer.blocking import find_blocks
    from analyzer.progress import watched
    from analyzer.sharing import share as write

    with watched(quiet=quiet) as work:
        SHARES[as_format]  # a package that is missing is said before anything is read
        whole = analyze(work, **options)
        blocks = find_blocks(whole, allow=load_allowed(*options["allow"]))
        analysis = whole if campaign is None else whole.campaign(campaign)
        work.begin(f"while writing to {output}")
        write(Told(analysis=analysis, blocks=blocks, tlp=tlp, targets=with_targets), output, format=as_format)
