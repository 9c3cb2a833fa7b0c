"""The command that copies the packets that prove something."""

from typing import TYPE_CHECKING, Any

import click

from analyzer.commands.options import load_detectors, reading

if TYPE_CHECKING:
    from analyzer.extracting import Extracted


@click.command()
@reading
@click.option("--campaign", "campaigns", metavar="ID", multiple=True, help="A campaign; may be given more than once.")
@click.option("--attack", "attacks", metavar="ID", multiple=True, help="An attack; may be given more than once.")
@click.option("--source", "sources", metavar="ADDR", multiple=True, help="A source: all that it sent and got.")
@click.option("-o", "--output", metavar="FILE", required=True, help="The new pcapng file for the evidence.")
def extract(
    campaigns: tuple[str, ...],
    attacks: tuple[str, ...],
    sources: tuple[str, ...],
    output: str,
    captures: tuple[str, ...],
    settings: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Copy the packets that prove an attack to a pcapng file.

    With them go the dialogs that they belong to, all fragments, whole TCP connections, and the first packets of the
    audio of answered calls. Comments say why each packet is there. What is written is analysed again, to see that it
    proves the same.

    Example: sipscope extract captures/ --campaign 4whv -o evidence.pcapng
    """
    if not (campaigns or attacks or sources):
        raise click.UsageError("Name what to extract: --campaign ID, --attack ID or --source ADDR.")
    from analyzer.compiled import prepare
    from analyzer.extracting import extract as extract_evidence
    from analyzer.progress import watched
    from analyzer.reading import save_memory

    with watched(quiet=quiet) as work:
        save_memory()
        detectors = load_detectors(settings)
        prepare(work.announce)
        written = extract_evidence(
            captures, output, campaigns=campaigns, attacks=attacks, sources=sources, begin=work.begin, progress=work,
            detectors=detectors, **options,
        )  # fmt: skip
    for sentence in () if quiet and not written.lost else _told(written, output):
        click.echo(sentence, err=bool(written.lost) and sentence.startswith("sipscope:"))


def _told(written: "Extracted", output: str) -> list[str]:
    """Return what was written, in sentences."""
    several = f"{len(written.captures):,} captures" if len(written.captures) != 1 else "1 capture"
    told = [f"{written.packets:,} of {written.captured:,} packets, from {several}: {written.holding}"]
    count = len(written.attacks)
    if count and not written.lost:
        what = "the attack is" if count == 1 else f"all {count:,} attacks are"
        told.append(f"analysed again, {what} found as before")
    if written.lost:
        shown = ", ".join(written.lost[:8]) + (" …" if len(written.lost) > 8 else "")
        told.append(f"sipscope: {len(written.lost):,} attack(s) of {count:,} hold only beside other traffic: {shown}")
    return [*told, f"Evidence: {output}"]
