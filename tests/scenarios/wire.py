"""SIP over UDP over IPv4 over Ethernet as a pcap file, fast and without a packet library."""

import socket
import struct
from pathlib import Path

GLOBAL = struct.Struct("<IHHiIII")
RECORD = struct.Struct("<IIII")
IP = struct.Struct(">BBHHHBBH4s4s")
UDP = struct.Struct(">HHHH")
ETHERNET = bytes.fromhex("525400a1b2c300163e1f2a3b0800")


def write_capture(path, packets, *, order=sorted):
    """Write packets (time in s, source, port, destination, port, ttl, payload) as pcap, by default by time."""
    numbers = {}
    with Path(path).open("wb") as file:
        file.write(GLOBAL.pack(0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for serial, (time, source, sport, destination, dport, ttl, payload) in enumerate(order(packets)):
            for name in (source, destination):
                if name not in numbers:
                    numbers[name] = socket.inet_aton(name)
            frame = _frame(serial, numbers[source], sport, numbers[destination], dport, ttl, payload)
            micro = round(time * 1e6)
            file.write(RECORD.pack(micro // 1_000_000, micro % 1_000_000, len(frame), len(frame)) + frame)


def _frame(serial, source, sport, destination, dport, ttl, payload):
    length = 28 + len(payload)
    header = IP.pack(0x45, 0, length, serial & 0xFFFF, 0, ttl, 17, 0, source, destination)
    total = sum(struct.unpack(">10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack(">H", total ^ 0xFFFF) + header[12:]
    return ETHERNET + header + UDP.pack(sport, dport, length - 20, 0) + payload
