"""Evidence: the packets that prove attacks, and no others, in a file of their own.

What is written is analysed again. If the attacks that were asked for are not found in it as they were (their ids,
kinds, outcomes and campaigns), more is added, step by step: a suspicion may hold only in the company of others.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from analyzer.capture import STDIN, describe, find_captures
from analyzer.errors import SettingsError
from analyzer.exports.files import open_whole, refuse_output

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.analysis import Analysis
    from analyzer.reading import Captures, Reading

__all__ = ["Extracted", "extract"]

TOLD = 200
"""How many attacks, and how many sources, the comment on the whole file names."""
_SAME = ("attack", "kind", "outcome", "campaign")


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What was written, and whether it proves what it was written for."""

    attacks: "pd.DataFrame"
    """The attacks that were asked for."""
    packets: int
    """How many packets were written."""
    captured: int
    """How many packets the captures have."""
    captures: tuple[str, ...]
    """The names of the captures that packets were taken from."""
    holding: str
    """What was taken: one of analyzer.extracting.selection.WIDTHS."""
    lost: tuple[str, ...]
    """The ids of the attacks that are not found again, or not as they were."""


def extract(  # noqa: PLR0913
    captures: "Captures",
    output: str | Path,
    *,
    campaigns: Sequence[str] = (),
    attacks: Sequence[str] = (),
    sources: Sequence[str] = (),
    begin: Callable[[str], None] | None = None,
    **options: Any,  # noqa: ANN401
) -> Extracted:
    """Write the packets that prove attacks to a new pcapng file, with comments that say why.

    Args:
        captures: as analyze() has them; each is read several times, so that no pipe will do.
        output: the file, which must not exist.
        campaigns: ids of campaigns.
        attacks: ids of attacks.
        sources: addresses; whatever they sent and got is taken, also of those that did not attack.
        begin: called with what is done next, for people.
        options: those of analyze().

    Raises:
        SettingsError: nothing is asked for, there is no such id, or the output exists or cannot be written.
        CaptureError, UnavailableError: as analyze() does.
    """
    from analyzer.allow import load_allowed
    from analyzer.analysis import examine
    from analyzer.extracting.selection import WIDTHS, choose_attacks
    from analyzer.places import load_places
    from analyzer.reading import READERS_OF_ANYTHING, read_captures

    if not (campaigns or attacks or sources):
        raise SettingsError("nothing to extract was named; name a campaign, an attack or a source")
    foreign = options.get("engine") in READERS_OF_ANYTHING
    paths = find_captures(captures, foreign=foreign)
    refuse_output(output, paths)
    _refuse_pipes(paths)
    judging = {name: options.pop(name) for name in ("detectors",) if name in options}
    judging |= {"signatures": options.get("signatures", ())}
    judging |= {"allowed": load_allowed(*options.pop("allow", ())), "places": load_places(*options.pop("geoip", ()))}
    reading = read_captures(captures, **options)
    analysis = examine(reading, **judging)
    wanted = choose_attacks(analysis, campaigns=campaigns, attacks=attacks, sources=sources)
    again = {name: value for name, value in options.items() if name not in {"progress", "jobs"}}
    say = begin or (lambda _: None)
    with open_whole(output) as file:
        for width in WIDTHS:
            say("while writing the evidence")
            writing = _Writing(paths, analysis, reading, wanted, options.get("most_bytes"))
            packets, names, captured = writing.write(file, sources, width)
            say("while analysing the evidence again")
            lost = _lost(wanted, examine(read_captures(file.name, **again), **judging))
            if not lost:
                break
    return Extracted(attacks=wanted, packets=packets, captured=captured, captures=names, holding=width, lost=lost)


def _refuse_pipes(paths: Sequence[Path]) -> None:
    for path in paths:
        name, size = describe(path)
        if size is None or path == STDIN:
            raise SettingsError(f"{name} can be read once only, and extracting reads several times; save it to a file")


def _lost(wanted: "pd.DataFrame", found: "Analysis") -> tuple[str, ...]:
    """Return the ids of wanted attacks that were not found as they were."""
    there = set(found.attacks[list(_SAME)].astype("str").itertuples(index=False, name=None))
    rows = wanted[list(_SAME)].astype("str").itertuples(index=False, name=None)
    return tuple(row[0] for row in rows if row not in there)


class _Writing:
    """What evidence is written from."""

    def __init__(
        self,
        paths: Sequence[Path],
        analysis: "Analysis",
        reading: "Reading",
        wanted: "pd.DataFrame",
        most_bytes: int | None,
    ) -> None:
        self._paths, self._analysis, self._reading = paths, analysis, reading
        self._wanted, self._most_bytes = wanted, most_bytes

    def write(self, file: BinaryIO, sources: Sequence[str], width: str) -> tuple[int, tuple[str, ...], int]:
        """Write evidence of that width; return its packets, its captures, and how many packets they had."""
        from analyzer.exports.pcapng import PcapngWriter
        from analyzer.extracting.blocks import write_packets
        from analyzer.extracting.selection import choose_messages, explain, find_media
        from analyzer.extracting.tracks import Tracks

        chosen = choose_messages(self._analysis, self._wanted, sources, width)
        reasons = explain(self._analysis.messages, chosen, self._wanted)
        media = find_media(self._analysis, self._reading.flows, chosen)
        needed: list[tuple[Path, dict[int, str]]] = []
        for path in self._paths:
            name, _ = describe(path)
            if name in reasons:
                tracks = Tracks(path, reasons[name], media.get(name, ()), self._most_bytes)
                needed.append((path, tracks.find()))
        file.seek(0)
        file.truncate()
        writer = PcapngWriter(file, comment=_comment(needed, self._wanted, sources, width), program=_version())
        write_packets(file, writer, needed, self._most_bytes)
        file.flush()
        captured = int(self._analysis.captures["packets"].sum())
        return sum(len(found) for _, found in needed), tuple(str(path) for path, _ in needed), captured


def _comment(
    needed: list[tuple[Path, dict[int, str]]], wanted: "pd.DataFrame", sources: Sequence[str], width: str
) -> str:
    """Return what the section says of itself."""
    lines = [f"Evidence extracted by {_version()}: {width}."]
    for path, found in needed:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"From {path.name}, {len(found):,} packet(s); SHA-256 of the file {digest}")
    lines += _some([f"All messages of {source}" for source in sources])
    told = [
        f"Attack {attack['attack']} of campaign {attack['campaign']}: {attack['kind']} by {attack['source']},"
        f" {attack['start']:%Y-%m-%d %H:%M:%S} to {attack['end']:%H:%M:%S} UTC, outcome {attack['outcome']}"
        for attack in wanted.head(TOLD + 1).to_dict("records")
    ]
    return "\n".join([*lines, *_some(told, of=len(wanted))])


def _some(lines: Sequence[str], of: int | None = None) -> list[str]:
    """Return the first lines, and how many more there are."""
    more = (len(lines) if of is None else of) - TOLD
    return [*lines[:TOLD], f"and {more:,} more"] if more > 0 else list(lines)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"sipscope {version('sipscope')}"
    except PackageNotFoundError:
        return "sipscope"
