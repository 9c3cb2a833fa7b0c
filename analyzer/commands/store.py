"""The command that keeps what captures hold."""

from typing import Any

import click

from analyzer.commands.options import (
    CAPTURES,
    ENGINE,
    KEYLOG,
    MOST_BYTES,
    QUIET,
    SETTINGS,
    SIGNATURES,
    THREADS,
    load_detectors,
)
from analyzer.quantities import count


@click.command()
@CAPTURES
@click.option("-o", "--output", metavar="STORE", required=True, help="The store's folder; made if it is missing.")
@SETTINGS
@SIGNATURES
@ENGINE
@KEYLOG
@MOST_BYTES
@THREADS
@QUIET
def store(captures: tuple[str, ...], output: str, settings: str | None, quiet: bool, **options: Any) -> None:
    """Analyse captures and keep their messages and attacks, so that reports need not read them again.

    The store is a folder of Parquet files by day (UTC) that pandas, DuckDB and Spark read as well. A capture counts
    once, whatever it is called and however it is compressed.

    Example: sipscope store captures/ -o store
    """
    from analyzer.compiled import prepare
    from analyzer.progress import watched
    from analyzer.reading import save_memory
    from analyzer.storing import store_captures

    with watched(quiet=quiet) as work:
        save_memory()
        detectors = load_detectors(settings)
        prepare(work.announce)
        done = []
        for stored in store_captures(captures, output, detectors=detectors, progress=work, **options):
            done.append(stored)
            work.begin("while storing", whole=f"{len(done):,} captures are in {output}")
    if not quiet:
        click.echo(_told(done, output))


def _told(done: list[Any], output: str) -> str:
    """Return what was added, as a sentence."""
    added = [stored for stored in done if stored.new]
    messages = sum(stored.messages for stored in added)
    attacks = sum(stored.attacks for stored in added)
    there = len(done) - len(added)
    known = f"; {_captures(there)} {'was' if there == 1 else 'were'} there already" if there else ""
    what = f" ({messages:,} SIP messages, {attacks:,} attacks)" if added else ""
    return f"{_captures(len(added))} added to {output}{what}{known}"


def _captures(number: int) -> str:
    return count(number, "capture") if number else "nothing"
