"""Packets on the wire of a network with SIP servers: a pcap writer for UDP and TCP over IPv4 and IPv6."""

import ipaddress
import struct
from dataclasses import dataclass, field
from pathlib import Path

SYN, FIN, PSH, ACK = 2, 1, 8, 16


@dataclass
class Wire:
    """What passes the tap, in any order; written sorted by time."""

    packets: list[tuple[float, bytes]] = field(default_factory=list)
    sequences: dict[tuple[str, int, str, int], int] = field(default_factory=dict)

    def udp(self, when: float, source: tuple[str, int], destination: tuple[str, int], payload: bytes) -> None:
        """Send a datagram."""
        body = struct.pack(">HHHH", source[1], destination[1], 8 + len(payload), 0) + payload
        self._frame(when, source[0], destination[0], 17, body)

    def tcp(self, when: float, source: tuple[str, int], destination: tuple[str, int], payload: bytes) -> None:
        """Send a message over a connection, opened by a handshake when there is none yet."""
        key = (*source, *destination)
        if key not in self.sequences:
            self.sequences[key], self.sequences[key[2:] + key[:2]] = 1001, 5001
            self.segment(when - 0.09, source, destination, SYN, 1000, 0)
            self.segment(when - 0.06, destination, source, SYN | ACK, 5000, 1001)
            self.segment(when - 0.03, source, destination, ACK, 1001, 5001)
        number, other = self.sequences[key], self.sequences[key[2:] + key[:2]]
        self.segment(when, source, destination, PSH | ACK, number, other, payload)
        self.sequences[key] = number + len(payload)

    def segment(
        self,
        when: float,
        source: tuple[str, int],
        destination: tuple[str, int],
        flags: int,
        number: int = 1000,
        acknowledged: int = 0,
        payload: bytes = b"",
    ) -> None:
        """Send one TCP segment."""
        body = struct.pack(">HHIIBBHHH", source[1], destination[1], number, acknowledged, 0x50, flags, 64240, 0, 0)
        self._frame(when, source[0], destination[0], 6, body + payload)

    def _frame(self, when: float, source: str, destination: str, protocol: int, body: bytes) -> None:
        ends = [ipaddress.ip_address(address).packed for address in (source, destination)]
        if len(ends[0]) == 4:
            header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), len(self.packets) & 0xFFFF, 0, 52, protocol, 0)
            kind = b"\x08\x00"
        else:
            header = struct.pack(">IHBB", 6 << 28, len(body), protocol, 52)
            kind = b"\x86\xdd"
        self.packets.append((when, b"\x02" * 12 + kind + header + ends[0] + ends[1] + body))

    def write(self, path: Path) -> None:
        """Write what was sent as a pcap with microseconds."""
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for when, packet in sorted(self.packets, key=lambda item: item[0]):
                micros = round(when * 1e6)
                file.write(struct.pack("<IIII", micros // 10**6, micros % 10**6, len(packet), len(packet)) + packet)
