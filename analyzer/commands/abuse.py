"""The command that writes to abuse desks."""

from typing import TYPE_CHECKING, Any

import click

from analyzer.commands.options import analyze, in_period, reading

if TYPE_CHECKING:
    from analyzer.abuse import Complaint


@click.command()
@reading
@in_period
@click.option("--campaign", metavar="ID", required=True, help="The campaign, by its id.")
@click.option("--source", "sources", metavar="ADDR", multiple=True, help="Only this address of it.")
@click.option("--format", "as_format", type=click.Choice(("text", "xarf")), default="text", show_default=True,
              help="Letters, or X-ARF: a JSON object on a line for each address.")  # fmt: skip
@click.option("--reporter", metavar="NAME", default="", help="Your organisation.")
@click.option("--contact", metavar="EMAIL", default="", help="Your e-mail address.")
@click.option("--include-spoofable", is_flag=True, help="Also complain of addresses that may be forged.")
@click.option("-o", "--output", metavar="FILE", help="Where it goes; standard output without.")
def abuse(
    campaign: str, sources: tuple[str, ...], as_format: str, reporter: str, contact: str, include_spoofable: bool,
    output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Write to the abuse desks of the networks that a campaign came from.

    There is a letter for each network where --geoip names it, else for each address, with times in UTC and lines of
    evidence. Nothing is sent.

    Example: sipscope abuse captures/ --campaign 4whv --reporter "Example Ltd" --contact noc@example.net
    """
    from analyzer.abuse import Reporter, as_letters, as_xarf, complain
    from analyzer.blocklists import save
    from analyzer.progress import watched

    who = Reporter(organisation=reporter, contact=contact)
    with watched(quiet=quiet) as work:
        complaint = complain(analyze(work, **options), campaign, sources=set(sources), spoofable=include_spoofable)
        text = as_xarf(complaint, who) if as_format == "xarf" else as_letters(complaint, who)
        work.begin(f"while writing to {output or 'standard output'}")
        save(text, output or "-")
    if not quiet:
        _tell(complaint)


def _tell(complaint: "Complaint") -> None:
    """Say on standard error who was left out."""
    from analyzer.reports.words import count, few

    if ours := complaint.ours:
        look = "looks like a server" if len(ours) == 1 else "look like servers"
        who = f"{count(len(ours), 'address', 'addresses')} {look} of yours and {'is' if len(ours) == 1 else 'are'}"
        click.echo(f"{who} left out: {few(ours, 6, of=len(ours))}; name one with --source to write of it", err=True)
    if left := complaint.left_out:
        who = (
            f"{count(len(left), 'address', 'addresses')} may be forged and {'is' if len(left) == 1 else 'are'} left out"
        )
        click.echo(f"{who}: {few(left, 6, of=len(left))}; add them with --include-spoofable", err=True)
