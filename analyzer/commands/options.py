"""What commands that read captures have in common: their options, and how they are carried out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.errors import SettingsError

if TYPE_CHECKING:
    from analyzer.analysis import Analysis
    from analyzer.progress import Work
    from analyzer.reading import Reading

TABLE_FORMATS = ("csv", "json", "parquet")
ENGINES = ("native", "scapy", "pyshark")
CAPTURES = click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")
SETTINGS = click.option("--settings", metavar="FILE", help="A TOML file that sets the detectors' thresholds.")
SIGNATURES = click.option("--signatures", metavar="FILE", multiple=True, help="A TOML file with more tools.")
ENGINE = click.option(
    "--engine", type=click.Choice(ENGINES), default="native", show_default=True, help="What decodes the packets."
)
KEYLOG = click.option("--keylog", metavar="FILE", help="A TLS key log, to decrypt with (needs --engine pyshark).")
MOST_BYTES = click.option(
    "--most-bytes", type=click.IntRange(min=1), metavar="N", help="How many bytes a compressed capture may hold."
)
ALLOW = click.option("--allow", metavar="FILE", multiple=True, help="A text file of addresses known to be good.")
GEOIP = click.option("--geoip", metavar="FILE", multiple=True, help="An MMDB file that says where addresses are from.")
JOBS = click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes that read captures; by their size without."
)
THREADS = click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="Threads that parse; as many as processors without."
)
SINCE = click.option("--since", metavar="AGE", help="Of a store: how far back, as 24h, 7d or 4w.")
FROM = click.option("--from", "begin", metavar="TIME", help="Of a store: from when on, as 2026-11-22T06:00 (UTC).")
TO = click.option("--to", "until", metavar="TIME", help="Of a store: before when; until now without.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="Show no bar and no answer, only what goes wrong.")


def reading(command: Callable[..., None]) -> Callable[..., None]:
    """Add what all commands that read captures take."""
    for option in (
        QUIET,
        THREADS,
        JOBS,
        MOST_BYTES,
        KEYLOG,
        ENGINE,
        GEOIP,
        ALLOW,
        SIGNATURES,
        SETTINGS,
        CAPTURES,
    ):
        command = option(command)
    return command


def in_period(command: Callable[..., None]) -> Callable[..., None]:
    """Add what commands take that read a store as well: of which period."""
    for option in (TO, FROM, SINCE):
        command = option(command)
    return command


def analyze(
    work: "Work",
    captures: tuple[str, ...],
    settings: str | None,
    since: str | None = None,
    begin: str | None = None,
    until: str | None = None,
    **options: Any,
) -> "Analysis":
    """Return the analysis of captures, with the options of reading() and, of a store, those of in_period()."""
    from analyzer.analysis import analyze as analyze_captures
    from analyzer.compiled import prepare, spare_algebra
    from analyzer.reading import collect_seldom, save_memory

    save_memory()
    collect_seldom()
    spare_algebra()
    detectors = load_detectors(settings)
    prepare(work.announce)
    return analyze_captures(
        captures, since=_begin(since, begin), until=until, detectors=detectors, progress=work, **options
    )


def read(
    work: "Work",
    captures: tuple[str, ...],
    settings: str | None,
    allow: tuple[str, ...],
    geoip: tuple[str, ...],
    since: str | None = None,
    begin: str | None = None,
    until: str | None = None,
    **options: Any,
) -> "Reading":
    """Return what was read from captures or from a period of a store, with the options of analyze()."""
    from analyzer.allow import load_allowed
    from analyzer.compiled import prepare, spare_algebra
    from analyzer.places import load_places
    from analyzer.reading import collect_seldom, read_captures, save_memory
    from analyzer.store import find_store

    save_memory()
    collect_seldom()
    spare_algebra()
    # What is wrong with these files is said by every command.
    load_detectors(settings)
    load_allowed(*allow)
    load_places(*geoip)
    prepare(work.announce)
    store = find_store(captures, _begin(since, begin), until)
    if store is not None:
        signatures, threads = options["signatures"], options["threads"]
        return store.read(_begin(since, begin), until, signatures=signatures, threads=threads, progress=work)
    return read_captures(captures, progress=work, **options)


def _begin(since: str | None, begin: str | None) -> str | None:
    """Return when a period begins, as --since or as --from says."""
    if since is not None and begin is not None:
        raise click.UsageError("--since and --from both say when the period begins; name one of them.")
    return begin if since is None else since


def load_detectors(settings: str | None) -> Any:
    """Return the detectors with the thresholds of a settings file; None without one."""
    if settings is None:
        return None
    from analyzer.detectors import configure

    return configure(_read_settings(settings).get("detectors", {}), file=settings)


def _read_settings(path: str) -> Mapping[str, Any]:
    import tomllib

    try:
        settings = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"these settings cannot be read: {error}", file=path) from error
    if unknown := set(settings) - {"detectors"}:
        raise SettingsError("unknown section; allowed is detectors", file=path, key=sorted(unknown)[0])
    return settings
