"""One command per table, and one for the report: parse, call one public function, print."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.errors import AnalyzerError

if TYPE_CHECKING:
    from analyzer.analysis import Analysis
    from analyzer.progress import Work
    from analyzer.reading import Reading

STOPPED = 130
"""The exit code after Ctrl-C, as shells have it."""
TABLE_FORMATS = ("csv", "json", "parquet")
READ = ("messages", "anomalies", "fates", "strays")
"""The tables for which nothing needs to be detected."""

ENGINES = ("native", "scapy", "pyshark")
_captures = click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")
_settings = click.option("--settings", metavar="FILE", help="A TOML file that sets the detectors' thresholds.")
_signatures = click.option("--signatures", metavar="FILE", multiple=True, help="A TOML file with more tools.")
_engine = click.option(
    "--engine", type=click.Choice(ENGINES), default="native", show_default=True, help="What decodes the packets."
)
_keylog = click.option("--keylog", metavar="FILE", help="A TLS key log, to decrypt with (needs --engine pyshark).")
_most_bytes = click.option(
    "--most-bytes", type=click.IntRange(min=1), metavar="N", help="How many bytes a compressed capture may hold."
)


_allow = click.option("--allow", metavar="FILE", multiple=True, help="A text file of addresses known to be good.")
_geoip = click.option("--geoip", metavar="FILE", multiple=True, help="An MMDB file that says where addresses are from.")
_jobs = click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes that read captures; by their size without."
)
_threads = click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="Threads that parse; as many as processors without."
)
_quiet = click.option("-q", "--quiet", is_flag=True, help="Show no bar and no answer, only what goes wrong.")


def _reading(command: Callable[..., None]) -> Callable[..., None]:
    """Add what all commands that read captures take."""
    for option in (
        _quiet,
        _threads,
        _jobs,
        _most_bytes,
        _keylog,
        _engine,
        _geoip,
        _allow,
        _signatures,
        _settings,
        _captures,
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sipscope", message="%(prog)s %(version)s")
def cli() -> None:
    """Find out who is scanning your SIP, as which campaign, and whether anyone got in.

    A CAPTURE is a pcap or pcapng file, plain or compressed, a folder of them, a quoted pattern, or - for standard
    input. Nothing is ever sent, and no name is looked up.
    """


@cli.command()
@_reading
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
def report(output: str, tables: tuple[str, ...], show_secrets: bool, quiet: bool, **reading: Any) -> None:
    """Say what happened, and write report.html, summary.json and all tables.

    Example: sipscope report captures/ -o report
    """
    from analyzer.progress import watched
    from analyzer.reports import Writing

    with watched(quiet=quiet) as work, Writing(output, tables=tables, show_secrets=show_secrets) as writing:
        analysis = _analyze(work, on_messages=writing.begin, **reading)
        from analyzer.reports.answer import answer

        work.begin(f"while writing to {output}", whole="the files that are there are whole")
        told = answer(analysis, show_secrets=show_secrets)
        written = writing.write(analysis, told)
    if not quiet:
        from analyzer.reports.terminal import print_told

        print_told(told.reported(written["report.html"]))


def _table_command(name: str, meaning: str) -> Callable[..., None]:
    """Return the command that writes one table."""

    @cli.command(name, help=f"{meaning}\n\nExample: sipscope {name} captures/ -o {name}.csv")
    @_reading
    @click.option("-o", "--output", metavar="FILE", help="A .csv, .json or .parquet file; standard output without.")
    @click.option("--format", "as_format", type=click.Choice(TABLE_FORMATS), help="The format, if not by suffix.")
    @click.option("--show-secrets", is_flag=True, help="Show guessed passwords instead of masking them.")
    def command(output: str | None, as_format: str | None, show_secrets: bool, quiet: bool, **reading: Any) -> None:
        from analyzer.progress import watched

        with watched(quiet=quiet) as work:
            frame = getattr((_read if name in READ else _analyze)(work, **reading), name)
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


for _name, _meaning in {
    "messages": "Write every SIP message as a row.",
    "sources": "Write who sent requests, with a verdict and its reasons.",
    "attacks": "Write what the detectors found.",
    "campaigns": "Write the attacks that belong together, and why.",
    "anomalies": "Write what could not be understood, and why.",
    "fates": "Write what became of every packet.",
    "strays": "Write who sent packets without SIP to SIP ports.",
    "calls": "Write the calls that were answered, how long they talked, and whether audio went both ways.",
}.items():
    _table_command(_name, _meaning)


@cli.command()
@_signatures
def tools(signatures: tuple[str, ...]) -> None:
    """List the programs that sipscope recognises.

    Example: sipscope tools --signatures mine.toml
    """
    from analyzer.reports.terminal import print_tools
    from analyzer.tools import load_signatures

    print_tools(load_signatures(*signatures))


def _analyze(work: "Work", captures: tuple[str, ...], settings: str | None, **options: Any) -> "Analysis":
    from analyzer.analysis import analyze
    from analyzer.compiled import prepare
    from analyzer.reading import save_memory

    save_memory()
    detectors = _detectors(settings)
    prepare(work.announce)
    return analyze(captures, detectors=detectors, progress=work, **options)


def _read(
    work: "Work",
    captures: tuple[str, ...],
    settings: str | None,
    allow: tuple[str, ...],
    geoip: tuple[str, ...],
    **options: Any,
) -> "Reading":
    from analyzer.allow import load_allowed
    from analyzer.compiled import prepare
    from analyzer.places import load_places
    from analyzer.reading import read_captures, save_memory

    save_memory()
    # What is wrong with these files is said by every command.
    _detectors(settings)
    load_allowed(*allow)
    load_places(*geoip)
    prepare(work.announce)
    return read_captures(captures, progress=work, **options)


def _detectors(settings: str | None) -> Any:
    if settings is None:
        return None
    from analyzer.detectors import configure

    return configure(_read_settings(settings).get("detectors", {}), file=settings)


def _read_settings(path: str) -> Mapping[str, Any]:
    import tomllib

    from analyzer.errors import SettingsError

    try:
        settings = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"these settings cannot be read: {error}", file=path) from error
    if unknown := set(settings) - {"detectors"}:
        raise SettingsError("unknown section; allowed is detectors", file=path, key=sorted(unknown)[0])
    return settings


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


def _fail(problem: str, code: int) -> None:
    click.echo(f"sipscope: {problem}", err=True)
    sys.exit(code)
