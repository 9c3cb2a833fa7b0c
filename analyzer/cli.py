"""The command line: its commands, and one sentence for what goes wrong."""

import gc
import sys

import click

from analyzer.commands.abuse import abuse
from analyzer.commands.anonymize import anonymize
from analyzer.commands.block import block
from analyzer.commands.completion import completion
from analyzer.commands.extract import extract
from analyzer.commands.help import help_topic
from analyzer.commands.job import job
from analyzer.commands.record import record
from analyzer.commands.report import report
from analyzer.commands.share import share
from analyzer.commands.store import store
from analyzer.commands.tables import TABLE_COMMANDS
from analyzer.commands.tools import tools
from analyzer.commands.watch import watch
from analyzer.errors import AnalyzerError

STOPPED = 130
"""The exit code after Ctrl-C, as shells have it."""


class Commands(click.Group):
    """Commands that are listed with their whole first sentence, on as many lines as it takes."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        rows = [(name, self.commands[name].get_short_help_str(limit=200)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sipscope", message="%(prog)s %(version)s")
def cli() -> None:
    """Find out who is scanning your SIP, as which campaign, and whether anyone got in.

    A CAPTURE is a pcap or pcapng file, plain or compressed, a folder of them, a quoted pattern, or - for standard
    input. Nothing is ever sent, and no name is looked up.
    """


for _command in (
    report,
    block,
    abuse,
    extract,
    anonymize,
    record,
    watch,
    job,
    share,
    store,
    *TABLE_COMMANDS,
    tools,
    completion,
    help_topic,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; print one sentence for what goes wrong."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort as stop:
        _fail(str(stop.__cause__ or "") or "stopped", STOPPED)
    except KeyboardInterrupt:
        _fail("stopped", STOPPED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AnalyzerError as error:
        _fail(str(error), 1)
    except BrokenPipeError:
        # Whoever read our output has enough; nothing is left to say, and no traceback is to follow at exit.
        sys.stdout = None
        sys.exit(0)
    finally:
        gc.freeze()  # at its end, Python would look for circles of objects among all that there are, again and again


def _fail(problem: str, code: int) -> None:
    click.echo(f"sipscope: {problem}", err=True)
    sys.exit(code)
