"""Findings for other people's programs: each file here writes one format.

A share is a callable `share(told, file)` that writes what is to be shared to a binary file. What is on our side stays
with us unless it is asked for: the addresses of our servers, the accounts that exist, and passwords always.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from analyzer.registry import Registry

if TYPE_CHECKING:
    from analyzer.analysis import Analysis
    from analyzer.blocking import Blocks

TLP = ("clear", "green", "amber", "red")
"""How far it may be handed on (Traffic Light Protocol 2.0)."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is shared."""

    analysis: "Analysis"
    blocks: "Blocks"
    """Whom to block and until when: these sources are indicators, others were only seen."""
    tlp: str = "amber"
    """How far it may be handed on, a word of TLP."""
    targets: bool = False
    """Whether the addresses that were attacked are told."""

    @property
    def until(self) -> dict[str, str]:
        """Until when (ISO 8601) each source that is to be blocked is, by its address."""
        entries = self.blocks.entries
        return {
            str(source): f"{until:%Y-%m-%dT%H:%M:%S}Z"
            for sources, until in zip(entries["sources"], entries["until"], strict=True)
            for source in sources
        }


class Share(Protocol):
    """Writes findings in one format."""

    def __call__(self, told: Told, file: BinaryIO) -> None:
        """Write what is told, all of it, to file."""


SHARES: Registry[Share] = Registry(
    "format to share in",
    {
        "stix": "analyzer.sharing.stix:write_stix",
        "misp": "analyzer.sharing.misp:write_misp",
        "ecs": "analyzer.sharing.ecs:write_ecs",
        "zeek": "analyzer.sharing.zeek:write_zeek",
        "eve": "analyzer.sharing.eve:write_eve",
    },
)


def share(told: Told, path: str | Path, *, format: str) -> None:  # noqa: A002
    """Write findings to path, or to standard output for "-".

    Raises SettingsError for an unknown format and a file that cannot be written, UnavailableError if the package that
    a format needs is missing.
    """
    import sys

    from analyzer.exports.files import open_whole

    writer = SHARES[format]
    if str(path) == "-":
        writer(told, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    with open_whole(Path(path)) as file:
        writer(told, file)
