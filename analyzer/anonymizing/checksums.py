"""Internet checksums (RFC 1071) after bytes were exchanged: right if they were right, as wrong as before if not."""


def total(data: bytes | bytearray | memoryview) -> int:
    """Return the sum of 16-bit words, modulo 65,535; an odd last byte counts as if a zero followed."""
    value = int.from_bytes(data, "big")
    return (value << 8 if len(data) % 2 else value) % 0xFFFF


def adjust(buffer: bytearray, at: int, change: int, *, udp: bool = False) -> None:
    """Change the checksum at at for what the sum of all it covers changed by (RFC 1624); 0 of UDP means none."""
    if at + 2 > len(buffer):
        return
    old = int.from_bytes(buffer[at : at + 2], "big")
    if (udp and not old) or not change % 0xFFFF:
        return
    new = (old - change) % 0xFFFF or 0xFFFF  # the other zero: of zeros alone it is the only one that is right
    buffer[at : at + 2] = new.to_bytes(2, "big")


def crc32c(data: bytes) -> int:
    """Return the checksum of SCTP (RFC 9260 appendix A)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CASTAGNOLI[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_CASTAGNOLI = [_row(value) for value in range(256)]
