"""Captures into a store: each is read, examined and added by itself, and counts once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.analysis import examine
from analyzer.capture import describe, find_captures
from analyzer.reading import READERS_OF_ANYTHING, Captures, Progress, read_captures
from analyzer.store import Store, content_id

if TYPE_CHECKING:
    from analyzer.detectors import Detector


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What became of one capture that was to be stored."""

    capture: str
    """Its name."""
    id: str
    """Its content_id()."""
    new: bool
    """Whether it was added; otherwise it was there already."""
    packets: int = 0
    messages: int = 0
    attacks: int = 0


def store_captures(  # noqa: PLR0913
    captures: Captures,
    store: Store | str | Path,
    *,
    engine: str = "native",
    keylog: str | Path | None = None,
    most_bytes: int | None = None,
    detectors: "Sequence[Detector] | None" = None,
    signatures: Sequence[str | Path] = (),
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[Stored]:
    """Add captures to a store, which is made if it is missing; yield what became of each as soon as it is there.

    The other arguments are those of analyze(), and so is what it raises; a StoreError if the store cannot be written.
    Captures that were added before an error are in the store. Memory is that of the largest capture.
    """
    store = store if isinstance(store, Store) else Store.create(store)
    for path in find_captures(captures, foreign=engine in READERS_OF_ANYTHING):
        identity = content_id(path, most_bytes=most_bytes)
        if store.holds(identity):
            yield Stored(capture=describe(path)[0], id=identity, new=False)
            continue
        reading = read_captures(
            path,
            engine=engine,
            keylog=keylog,
            most_bytes=most_bytes,
            signatures=signatures,
            threads=threads,
            progress=progress,
        )
        attacks = examine(reading, detectors=detectors, signatures=signatures).attacks
        new = store.add(identity, reading, attacks)
        yield Stored(
            capture=describe(path)[0],
            id=identity,
            new=new,
            packets=int(reading.captures["packets"].sum()),
            messages=len(reading.messages),
            attacks=len(attacks),
        )
