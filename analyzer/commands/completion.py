"""The command that prints what a shell needs to complete commands and options."""

from typing import cast

import click
from click.shell_completion import ShellComplete, get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script with which the SHELL completes commands, options and their values.

    Example: sipscope completion bash > /etc/bash_completion.d/sipscope
    """
    complete = cast("type[ShellComplete]", get_completion_class(shell))
    click.echo(complete(context.find_root().command, {}, "sipscope", "_SIPSCOPE_COMPLETE").source())
