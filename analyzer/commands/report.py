"""The command that says what happened."""

from typing import Any

import click

from analyzer.commands.options import TABLE_FORMATS, analyze, reading


@click.command()
@reading
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
def report(output: str, tables: tuple[str, ...], show_secrets: bool, quiet: bool, **options: Any) -> None:
    """Say what happened, and write report.html, summary.json and all tables.

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
        from analyzer.reports.terminal import print_told

        print_told(told.reported(written["report.html"]))
