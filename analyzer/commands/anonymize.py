"""The command that gives a capture other names."""

from collections import Counter
from typing import TYPE_CHECKING

import click

from analyzer.commands.options import MOST_BYTES, QUIET

if TYPE_CHECKING:
    from analyzer.anonymizing import Anonymized

SHOWN = 6
"""How many kinds of what was left out are named."""


@click.command()
@click.argument("capture", metavar="CAPTURE")
@click.option("-o", "--output", metavar="OUT", required=True, help="The new pcapng file.")
@click.option("--key", metavar="FILE", help="A file of secret bytes: the same gives the same names in every capture.")
@click.option("--keep-attackers", is_flag=True, help="Keep attackers' addresses and the numbers that they wanted.")
@MOST_BYTES
@QUIET
def anonymize(
    capture: str, output: str, key: str | None, keep_attackers: bool, most_bytes: int | None, quiet: bool
) -> None:
    """Write a capture with other addresses, names and numbers, to show it to others.

    Every address, user, domain, number and credential becomes another one of the same form and length, wherever it
    stands; networks stay networks (Crypto-PAn). What tools are and do stays: User-Agents, header order, dialled
    prefixes, countries of numbers, ports, times. Payloads that are not understood are zeroed, packets that are not are
    dropped, and both are counted. Without --key the names are made with a key that is thrown away.

    Example: sipscope anonymize capture.pcap -o shown.pcapng --key secret.key
    """
    from analyzer.anonymizing import anonymize as anonymize_capture
    from analyzer.anonymizing import read_key
    from analyzer.compiled import prepare
    from analyzer.progress import watched
    from analyzer.reading import save_memory

    with watched(quiet=quiet) as work:
        save_memory()
        secret = read_key(key) if key else None
        prepare(work.announce)
        done = anonymize_capture(
            capture, output, key=secret, keep_attackers=keep_attackers, begin=work.begin, progress=work,
            most_bytes=most_bytes,
        )  # fmt: skip
    for sentence in _warnings(done):
        click.echo(f"sipscope: {sentence}", err=True)
    for sentence in () if quiet else _told(done, output):
        click.echo(sentence)


def _told(done: "Anonymized", output: str) -> list[str]:
    """Return what was written, in sentences."""
    told = [f"{done.packets:,} of {done.captured:,} packets, {done.messages:,} SIP messages, all names replaced"]
    if done.dropped:
        told.append(f"dropped, since not understood: {_counted(done.dropped)}")
    if done.zeroed:
        told.append(f"payloads zeroed: {_counted(done.zeroed)}")
    if done.blotted:
        told.append(f"bodies of messages blotted out: {_counted(done.blotted)}")
    if done.campaigns and done.same:
        what = "its campaign is" if done.campaigns == 1 else f"its {done.campaigns:,} campaigns are"
        told.append(f"analysed again, {what} found as before")
    told.append("kept: times, ports, tokens, User-Agents, words that everybody uses, dialled prefixes and countries")
    return [*told, f"Anonymised capture: {output}"]


def _warnings(done: "Anonymized") -> list[str]:
    """Return what the user should know before showing it to anybody."""
    warnings = []
    if not done.same:
        warnings.append("the campaigns of what was written are not quite those of the capture; compare the reports")
    if done.messages != done.messages_before:
        warnings.append(f"{done.messages:,} SIP messages are read in it, {done.messages_before:,} in the capture")
    if done.shared:
        plural = "s are" if done.shared != 1 else " is"
        warnings.append(f"{done.shared:,} new name{plural} also an old one, of somebody else: too few of that length")
    return warnings


def _counted(counter: Counter[str]) -> str:
    """Return what was counted, the most first."""
    told = [f"{count:,} {what}" for what, count in counter.most_common(SHOWN)]
    rest = sum(counter.values()) - sum(count for _, count in counter.most_common(SHOWN))
    return ", ".join([*told, f"{rest:,} others"] if rest else told)
