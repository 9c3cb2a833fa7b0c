"""What engines said of the packets of a capture, added up block by block."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.engines import Packets


class Counts:
    """How many packets of a capture there are so far, from when to when, and the fate of each."""

    def __init__(self) -> None:
        """Begin with none."""
        self.packets = 0
        self.rows = 0
        """Payloads that may be SIP messages, of packets and of streams."""
        self.first = self.last = -1
        """The earliest and the latest time of any packet, in ns since 1970; -1 before the first that has one."""
        self.dropped: int | None = None
        """Packets that the recorder says it lost; None while it has said nothing."""
        self.format = ""
        self.fates: dict[tuple[str, str], int] = {}
        """How many packets had each fate, by fate and reason."""

    def count(self, packets: "Packets") -> None:
        """Count a block of packets as the engine decoded it."""
        self.packets += packets.captured
        if times := [time for time in (self.first, self.last, packets.first, packets.last) if time >= 0]:
            self.first, self.last = min(times), max(times)
        self.format = packets.format or self.format
        if packets.dropped is not None:
            self.dropped = (self.dropped or 0) + packets.dropped

    def settle(self, packets: "Packets") -> None:
        """Count the fates of packets, and their rows."""
        self.rows += len(packets)
        self._add("message", {"sip": packets.carriers})
        self._add("set-aside", packets.set_aside)
        self._add("unreadable", packets.unreadable)

    def _add(self, fate: str, reasons: Mapping[str, int]) -> None:
        for reason, count in reasons.items():
            if count:
                self.fates[fate, reason] = self.fates.get((fate, reason), 0) + count
