"""The command that says what happened."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.commands.options import TABLE_FORMATS, analyze, in_period, reading

if TYPE_CHECKING:
    from analyzer.reports.answer import Answer


FOUND = 3
"""The exit code where --fail-on finds what it names."""


def _print_text(told: "Answer", _summary: Path) -> None:
    from analyzer.reports.terminal import print_told

    print_told(told)


def _print_markdown(told: "Answer", _summary: Path) -> None:
    from analyzer.reports.markdown import render_markdown

    click.echo(render_markdown(told), nl=False)


def _print_json(_told: "Answer", summary: Path) -> None:
    click.echo(summary.read_bytes(), nl=False)


ANSWERS = {"text": _print_text, "json": _print_json, "markdown": _print_markdown}


@click.command()
@reading
@in_period
@click.option("-o", "--output", default="report", metavar="DIR", show_default=True, help="Where the report goes.")
@click.option(
    "--tables",
    type=click.Choice(TABLE_FORMATS),
    multiple=True,
    default=("csv",),
    show_default=True,
    help="A format to write every table in; may be given more than once.",
)
@click.option("--show-secrets", is_flag=True, help="Show guessed passwords instead of masking them.")
@click.option(
    "--format",
    "as_format",
    type=click.Choice(tuple(ANSWERS)),
    default="text",
    show_default=True,
    help="How the answer is printed; json is what summary.json holds.",
)
@click.option(
    "--fail-on",
    type=click.Choice(("breach", "attack")),
    help=f"End with code {FOUND} if an account was taken over, or if there was any attack.",
)
def report(
    output: str,
    tables: tuple[str, ...],
    show_secrets: bool,
    as_format: str,
    fail_on: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Say what happened, and write report.html, summary.json and all tables.

    In place of captures, a store that sipscope store made: of a period, campaigns are new, continuing or returned.

    Example: sipscope report captures/ -o report
    """
    from analyzer.progress import watched
    from analyzer.reports import Writing

    with watched(quiet=quiet) as work, Writing(output, tables=tables, show_secrets=show_secrets) as writing:
        analysis = analyze(work, on_messages=writing.begin, **options)
        from analyzer.reports.answer import answer

        work.begin(f"while writing to {output}", whole="the files that are there are whole")
        told = answer(analysis, show_secrets=show_secrets)
        written = writing.write(analysis, told)
    if not quiet:
        ANSWERS[as_format](told.reported(written["report.html"]), written["summary.json"])
    found = {"attack": len(analysis.attacks), "breach": len(told.breaches)}
    if fail_on and found[fail_on]:
        sys.exit(FOUND)
