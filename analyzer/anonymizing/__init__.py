"""Captures that can be shown: all addresses, names, numbers and credentials are others, everything else is as it was.

What stands for something has its length, so that no length changes: not that of a message, a datagram or a stream.
The same key gives the same names in every capture; without one, a key is drawn and forgotten.
"""

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.capture import STDIN, describe, find_captures
from analyzer.errors import SettingsError
from analyzer.exports.files import open_whole, refuse_output

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.analysis import Analysis
    from analyzer.anonymizing.names import Names
    from analyzer.anonymizing.packets import Packets
    from analyzer.anonymizing.sweep import Sweep

__all__ = ["Anonymized", "anonymize", "read_key"]

SHORTEST_KEY = 16
"""The fewest bytes of a file that is a key."""
CARD = 6
"""Bytes of a hardware address."""
DRAWS = 16
"""How many keys are drawn at the most until no name is another one's original."""
_JUDGED = ("tools", "outcome", "messages")
_COUNTED = ("sources", "targets", "numbers", "accounts", "prefixes", "found", "breached", "answered")


@dataclass(frozen=True, kw_only=True)
class Anonymized:
    """What was written, and what was left out of it."""

    packets: int
    """How many packets were written."""
    captured: int
    """How many the capture has."""
    messages: int
    """SIP messages that were read again in what was written, of as many as before if nothing went wrong."""
    messages_before: int
    campaigns: int
    """Campaigns in the capture."""
    same: bool
    """The campaigns of what was written are those of the capture, but for the names."""
    shared: int
    """Names that are those of others in the capture: only a key that was given makes any, or a crowded network."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Packets that were left out, by what they were."""
    zeroed: Counter[str] = field(default_factory=Counter)
    """Payloads that were zeroed, by what they were."""
    blotted: Counter[str] = field(default_factory=Counter)
    """Bodies of messages of which only the form is left, by type."""


def read_key(path: str | Path) -> bytes:
    """Return the key that the content of a file is; raise SettingsError for a file that is none."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"this key cannot be read: {error.strerror or error}", file=path) from error
    if len(content) < SHORTEST_KEY:
        advice = f"make one with: head -c 32 /dev/urandom > {path}.new"
        raise SettingsError(f"a key has {SHORTEST_KEY} bytes or more, this has {len(content)}; {advice}", file=path)
    return blake2b(content, digest_size=32, person=b"sipscope key").digest()


def anonymize(
    capture: str | Path,
    output: str | Path,
    *,
    key: bytes | None = None,
    keep_attackers: bool = False,
    begin: Callable[[str], None] | None = None,
    **options: Any,  # noqa: ANN401
) -> Anonymized:
    """Write a capture with other names to a new pcapng file.

    Args:
        capture: a pcap or pcapng file; it is read several times, so that no pipe will do.
        output: the file, which must not exist.
        key: what the names are made with (read_key()); drawn and forgotten without.
        keep_attackers: leave the addresses of attacking sources, and the numbers that they wanted, as they are.
        begin: called with what is done next, for people.
        options: those of analyze().

    Raises:
        SettingsError: the output exists, or cannot be written.
        CaptureError: the capture cannot be read.
    """
    from analyzer.analysis import analyze

    paths = find_captures([capture])
    if len(paths) != 1:
        raise SettingsError(f"'{capture}' is {len(paths):,} captures; anonymize one at a time, with one key for all")
    refuse_output(output, paths)
    name, size = describe(paths[0])
    if size is None or paths[0] == STDIN:
        raise SettingsError(f"{name} can be read once only, and anonymizing reads several times; save it to a file")
    say = begin or (lambda _: None)
    before = analyze(paths, **options)
    say("while renaming")
    most_bytes = options.get("most_bytes")
    renaming = _Renaming(before, keep_attackers=keep_attackers)
    renaming.collect(paths[0], most_bytes)
    packets = renaming.choose(key)
    with open_whole(output) as file:
        written, captured, dropped = _write(paths[0], packets, file, most_bytes)
        file.flush()
        say("while analysing what was written")
        again = {option: value for option, value in options.items() if option not in {"progress", "on_messages"}}
        after = analyze(file.name, **again)
    return Anonymized(
        packets=written,
        captured=captured,
        messages=len(after.messages),
        messages_before=len(before.messages),
        campaigns=len(before.campaigns),
        same=_judged(before.campaigns) == _judged(after.campaigns),
        shared=renaming.shared,
        dropped=dropped,
        zeroed=packets.zeroed,
        blotted=packets.blotted,
    )


def _judged(campaigns: "pd.DataFrame") -> list[tuple[str, ...]]:
    """Return campaigns without names, in an order that does not depend on them."""
    rows = campaigns.to_dict("records")
    return sorted(
        (str(sorted(row["kinds"])), *(str(row[name]) for name in _JUDGED), *(str(len(row[name])) for name in _COUNTED))
        for row in rows
    )


def _write(path: Path, packets: "Packets", file: Any, most_bytes: int | None) -> tuple[int, int, Counter[str]]:  # noqa: ANN401
    """Write all packets, renamed; return how many were written, how many there are, and what was left out."""
    from analyzer.anonymizing.packets import DroppedError
    from analyzer.exports.pcapng import PcapngWriter
    from analyzer.records import read_records

    writer = PcapngWriter(file, comment="Anonymised: addresses, names and numbers are others.", program="sipscope")
    interfaces: dict[tuple[int, int], int] = {}
    dropped: Counter[str] = Counter()
    captured = 0
    for records in read_records(path, most_bytes=most_bytes):
        for at in range(len(records)):
            captured += 1
            packet, kind = bytearray(records.bytes_of(at)), (records.link_of(at), records.snap_of(at))
            packets.assembly.begin(records.first + at, records.time_of(at))
            try:
                packets.rewrite(packet, kind[0])
            except DroppedError as error:
                dropped[str(error)] += 1
                continue
            if kind not in interfaces:
                interfaces[kind] = writer.add_interface(kind[0], snap=kind[1])
            writer.add_packet(interfaces[kind], records.time_of(at), bytes(packet), missing=records.missing_of(at))
    return captured - dropped.total(), captured, dropped


class _Renaming:
    """What is known of a capture before it is renamed."""

    def __init__(self, analysis: "Analysis", *, keep_attackers: bool) -> None:
        from analyzer.anonymizing.assembly import Assembly
        from analyzer.anonymizing.learning import learn

        self._learnt = learn(analysis, keep_attackers=keep_attackers)
        self._assembly = Assembly()
        self._addresses: frozenset[bytes] = frozenset()
        self._cards: frozenset[bytes] = frozenset()
        self.shared = 0

    def collect(self, path: Path, most_bytes: int | None) -> None:
        """Have all that comes in pieces put together, and all addresses of packets noted."""
        from analyzer.anonymizing.packets import DroppedError
        from analyzer.records import read_records

        names, sweep = self._learnt.name(secrets.token_bytes(32))
        packets = self._packets(names, sweep)
        self._assembly.collecting = True
        for records in read_records(path, most_bytes=most_bytes):
            for at in range(len(records)):
                self._assembly.begin(records.first + at, records.time_of(at))
                try:
                    packets.rewrite(bytearray(records.bytes_of(at)), records.link_of(at))
                except DroppedError:
                    continue
        self._assembly.collecting = False
        self._addresses = frozenset(names.address.known)
        self._cards = frozenset(card for card in names.cards if len(card) == CARD)

    def choose(self, key: bytes | None) -> "Packets":
        """Return what renames packets with a key; without one, with one of which no name is another one's original."""
        best = None
        for _ in range(1 if key else DRAWS):
            names, sweep = self._learnt.name(key or secrets.token_bytes(32))
            shared = self._learnt.shared(names, self._addresses)
            if best is None or shared < self.shared:
                best, self.shared = (names, sweep), shared
            if not shared:
                break
        assert best is not None  # noqa: S101 (one key at least was tried)
        best[1].learn(addresses=self._cards)
        packets = self._packets(*best)
        packets.originals = frozenset(old for old in self._addresses if not best[0].address.stays(old))
        return packets

    def _packets(self, names: "Names", sweep: "Sweep") -> "Packets":
        from analyzer.anonymizing.packets import Packets
        from analyzer.anonymizing.sip import Messages

        messages = Messages(names, sweep)
        messages.targets = self._learnt.targets
        return Packets(names, messages, self._assembly)
