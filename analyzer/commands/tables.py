"""One command per table: it writes the table."""

import sys
from typing import Any

import click

from analyzer.commands.options import TABLE_FORMATS, analyze, in_period, read, reading

READ = ("messages", "anomalies", "fates", "strays")
"""The tables for which nothing needs to be detected."""


def _table_command(name: str, meaning: str) -> click.Command:
    """Return the command that writes one table."""

    @click.command(name, help=f"{meaning}\n\nExample: sipscope {name} captures/ -o {name}.csv")
    @reading
    @in_period
    @click.option("-o", "--output", metavar="FILE", help="A .csv, .json or .parquet file; standard output without.")
    @click.option("--format", "as_format", type=click.Choice(TABLE_FORMATS), help="The format, if not by suffix.")
    @click.option("--show-secrets", is_flag=True, help="Show guessed passwords instead of masking them.")
    def command(output: str | None, as_format: str | None, show_secrets: bool, quiet: bool, **options: Any) -> None:
        from analyzer.progress import watched

        with watched(quiet=quiet) as work:
            frame = getattr((read if name in READ else analyze)(work, **options), name)
            from analyzer.exports import write_table
            from analyzer.exports.secrets import mask_secrets

            frame = frame if show_secrets else mask_secrets(frame)
            if output is not None or as_format is not None or not sys.stdout.isatty():
                whole = "nothing was written" if output else "what was written is not whole"
                work.begin(f"while writing to {output or 'standard output'}", whole=whole)
                write_table(frame, output or "-", format=as_format)
                return
        from analyzer.reports.terminal import print_table

        print_table(name, frame)

    return command


_MEANINGS = {
    "messages": "Write every SIP message as a row.",
    "sources": "Write who sent requests, with a verdict and its reasons.",
    "attacks": "Write what the detectors found.",
    "campaigns": "Write the attacks that belong together, and why.",
    "anomalies": "Write what could not be understood, and why.",
    "fates": "Write what became of every packet.",
    "strays": "Write who sent packets without SIP to SIP ports.",
    "calls": "Write the calls that were answered, how long they talked, and whether audio went both ways.",
}
TABLE_COMMANDS = tuple(_table_command(name, meaning) for name, meaning in _MEANINGS.items())
