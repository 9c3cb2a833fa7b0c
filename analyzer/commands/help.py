"""The command that shows what there is to look up."""

from difflib import get_close_matches
from typing import cast

import click


@click.command("help")
@click.argument("topic", required=False)
@click.pass_context
def help_topic(context: click.Context, topic: str | None) -> None:
    """Show the page of a command, of a table and its columns, or of a detector and its thresholds.

    Without a TOPIC, say what topics there are.

    Example: sipscope help password-guessing
    """
    from analyzer.reference import pages
    from analyzer.reports.terminal import print_page

    group = cast("click.Group", context.find_root().command)
    found = pages(group.commands)
    if topic is None:
        click.echo(group.get_help(context.find_root()))
        others = [name for name in found if name not in group.commands]
        print_page("Further topics: " + ", ".join(others))
        return
    if topic not in found:
        near = get_close_matches(topic, found, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "'sipscope help' lists them."
        raise click.UsageError(f"No such topic '{topic}'. {hint}", context)
    print_page(found[topic]())
