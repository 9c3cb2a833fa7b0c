"""The command that lists the programs that are recognised."""

import click

from analyzer.commands.options import SIGNATURES


@click.command()
@SIGNATURES
def tools(signatures: tuple[str, ...]) -> None:
    """List the programs that sipscope recognises.

    Example: sipscope tools --signatures mine.toml
    """
    from analyzer.reports.terminal import print_tools
    from analyzer.tools import load_signatures

    print_tools(load_signatures(*signatures))
