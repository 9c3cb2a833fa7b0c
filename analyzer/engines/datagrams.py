"""IP datagrams put together from their fragments, for engines that hand packets over as Python values.

The rules are those of the native engine: of bytes that came twice in IPv4 the first ones count; in IPv6 an overlap
spoils the datagram (RFC 5722) unless it is a repetition (RFC 8200 section 4.5); what is not complete after a minute
is given up, as is the oldest when there is no more room.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_TIMEOUT = 60 * 1_000_000_000
"""Nanoseconds, RFC 8200 section 4.5."""
_MOST_DATAGRAMS = 16_384
_MOST_BYTES = 64 << 20
_LARGEST = 65_535


class Fragment(NamedTuple):
    """A part of a datagram."""

    key: bytes
    """What tells its datagram from others."""
    six: bool
    """It is of IPv6."""
    protocol: int
    offset: int
    more: bool
    """It is not the last one."""
    data: bytes
    """What was captured of it."""
    size: int
    """How many bytes it had on the wire."""


@dataclass
class Datagram:
    """What came of a datagram so far."""

    time: int
    """When its first fragment came, in ns."""
    number: int
    """The number of the packet that brought it."""
    protocol: int
    data: bytearray = field(default_factory=bytearray)
    packets: int = 0
    total: int = -1
    """How many bytes it has; -1 until the last fragment came."""
    held: int = 1 << 16
    """Where the first byte is that was not captured."""
    came: int = 0
    """A bit for each unit of eight bytes that came."""
    spoilt: bool = False

    @property
    def complete(self) -> bool:
        """Whether there is nothing more to come."""
        return not self.spoilt and self.total >= 0 and self.came == (1 << (self.total + 7 >> 3)) - 1

    def take_in(self, fragment: Fragment) -> None:
        """Take in a fragment, unless it contradicts what is known."""
        finish = fragment.offset + fragment.size
        known = fragment.offset + len(fragment.data)
        reach = self.came.bit_length() * 8
        if (self.total >= 0 and (finish > self.total or (not fragment.more and finish != self.total))) or (
            not fragment.more and reach > finish + 7
        ):
            self.spoilt = True
            return
        if not fragment.more:
            self.total = finish
        first, last = fragment.offset >> 3, finish + 7 >> 3
        wanted = (1 << last) - (1 << first)
        old, new = wanted & self.came, wanted & ~self.came
        if fragment.six and old and (new or self._differs(fragment)):
            self.spoilt = True
            return
        self.came |= wanted
        if known < finish:
            self.held = min(self.held, known)
        self._fill(fragment, old, new)

    def _differs(self, fragment: Fragment) -> bool:
        stop = min(fragment.offset + len(fragment.data), self.held)
        return self.data[fragment.offset : stop] != fragment.data[: max(stop - fragment.offset, 0)]

    def _fill(self, fragment: Fragment, old: int, new: int) -> None:
        start, stop = fragment.offset, fragment.offset + len(fragment.data)
        self.data.extend(bytes(max(stop - len(self.data), 0)))
        if not old:
            self.data[start:stop] = fragment.data
            return
        while new:
            unit = (new & -new).bit_length() - 1
            new &= new - 1
            lower, upper = unit * 8, min(unit * 8 + 8, stop)
            self.data[lower:upper] = fragment.data[lower - start : max(upper - start, 0)]


class Datagrams:
    """The datagrams of which not all fragments came; what they take up is bounded."""

    def __init__(self) -> None:
        """Hold none."""
        self._held: OrderedDict[bytes, Datagram] = OrderedDict()
        self._bytes = 0

    def join(self, fragment: Fragment, time: int, number: int, packets: int) -> Datagram | None:
        """Take in a fragment that came in so many packets; return its datagram if it is complete now."""
        datagram = self._held.get(fragment.key)
        if datagram is None:
            datagram = self._held[fragment.key] = Datagram(time, number, fragment.protocol)
        if fragment.six and fragment.offset == 0:
            datagram.protocol = fragment.protocol
        datagram.packets += packets
        if not datagram.spoilt:
            before = len(datagram.data)
            datagram.take_in(fragment)
            self._bytes += len(datagram.data) - before
        if not datagram.complete:
            return None
        self._forget(fragment.key)
        return datagram

    def give_up(self, time: int) -> Iterator[Datagram]:
        """Yield, and forget, what began long before time (ns), and what there is no room for."""
        while self._held:
            key, oldest = next(iter(self._held.items()))
            late = 0 <= oldest.time < time - _TIMEOUT
            if not late and len(self._held) <= _MOST_DATAGRAMS and self._bytes <= _MOST_BYTES:
                return
            yield self._forget(key)

    def give_up_all(self) -> Iterator[Datagram]:
        """Yield, and forget, all that is left."""
        while self._held:
            yield self._forget(next(iter(self._held)))

    def _forget(self, key: bytes) -> Datagram:
        datagram = self._held.pop(key)
        self._bytes -= len(datagram.data)
        return datagram


def is_sound(fragment: Fragment) -> bool:
    """Say whether a fragment lies within a datagram, and ends where fragments may end."""
    finish = fragment.offset + fragment.size
    return fragment.offset < finish <= _LARGEST and not (fragment.more and finish & 7)
