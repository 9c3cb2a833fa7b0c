"""The commands of jobs: record, analyse, report, repeat, unattended."""

from typing import TYPE_CHECKING

import click

from analyzer.commands.options import QUIET

if TYPE_CHECKING:
    from analyzer.jobs.settings import Job

FILE = click.argument("file", metavar="JOB.toml")
PARTS = ("record", "report")


class _WithExample(click.Group):
    """A group whose help ends in an example of the file that its commands take."""

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from analyzer.jobs.settings import EXAMPLE

        with formatter.section("A JOB.toml"):
            for line in EXAMPLE.splitlines():
                formatter.write(f"{'  ' if line else ''}{line}\n")


@click.group(cls=_WithExample)
def job() -> None:
    """Record, analyse, report, repeat: unattended, as a TOML file says.

    Example: sipscope job run JOB.toml
    """


@job.command()
@FILE
@click.option("--once", is_flag=True, help="One round, for cron: until the next report is made.")
@click.option("--only", type=click.Choice(PARTS), help="Record, or analyse and report; another process does the rest.")
@QUIET
def run(file: str, once: bool, only: str | None, quiet: bool) -> None:
    """Run a job until it is stopped (SIGTERM, Ctrl-C).

    What is done is said on standard error, a line each. Everything may be killed at any time: the next start goes on.

    Example: sipscope job run --once JOB.toml
    """
    from analyzer.jobs.check import require
    from analyzer.jobs.log import speak
    from analyzer.jobs.run import run_job

    speak(quiet=quiet)
    run_job(require(file), once=once, record=only != "report", report=only != "record", quiet=quiet)


@job.command()
@FILE
def check(file: str) -> None:
    """Say what is wrong with a job, all at once, or what it does, and when next.

    Example: sipscope job check JOB.toml
    """
    from analyzer.jobs.check import describe, find_problems
    from analyzer.jobs.settings import join_problems

    found, problems, remarks = find_problems(file)
    if problems or found is None:
        raise join_problems(file, problems)
    click.echo(describe(found, remarks))


@job.command()
@FILE
@click.option("--cron", is_flag=True, help="A line for crontab instead.")
@click.option("--user", default="sipscope", show_default=True, help="Who it runs as.")
@click.option("-o", "--output", metavar="DIR", help="Write the files into a folder, instead of printing them.")
def unit(file: str, cron: bool, user: str, output: str | None) -> None:
    """Print systemd units that run a job with few rights.

    Example: sipscope job unit JOB.toml -o /etc/systemd/system
    """
    from analyzer.jobs.settings import load_job
    from analyzer.jobs.unit import crontab, units, write_units

    loaded: Job = load_job(file)
    if cron:
        click.echo(crontab(loaded))
    elif output is not None:
        for path in write_units(units(loaded, user=user), output):
            click.echo(path)
    else:
        click.echo("\n".join(f"# {name}\n{text}" for name, text in units(loaded, user=user).items()))
