"""Crypto-PAn (Xu, Fan, Ammar, Moon: prefix-preserving IP address anonymization, 2002), for IPv4 and IPv6.

Each bit of an address is turned, or not, by what AES makes of the bits before it: addresses that share their first
bits share as many afterwards, and without the key nobody turns them back.
"""

from ipaddress import IPv4Address, IPv6Address

KEY_BYTES = 32
_BLOCK = 16


class CryptoPan:
    """The scheme with one key: 16 bytes for AES, and 16 that are encrypted to become the padding."""

    def __init__(self, key: bytes) -> None:
        """Take a key of KEY_BYTES bytes."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        if len(key) != KEY_BYTES:
            raise ValueError(f"Crypto-PAn needs a key of {KEY_BYTES} bytes, not {len(key)}")
        # One block at a time is what the scheme asks for: each is the input of a pseudo-random function.
        self._aes = Cipher(algorithms.AES(key[:_BLOCK]), modes.ECB()).encryptor()  # noqa: S305
        self._pad = int.from_bytes(self._aes.update(key[_BLOCK:]), "big")

    def turn(self, value: int, known: int, bits: int) -> int:
        """Return a number of known + bits bits with the last so many turned, each by all that come before it."""
        blocks = bytearray()
        for place in range(known, known + bits):
            kept = value >> (known + bits - place) << (128 - place)
            blocks += (kept | self._pad & ((1 << 128 - place) - 1)).to_bytes(_BLOCK, "big")
        mask = 0
        for byte in self._aes.update(bytes(blocks))[::_BLOCK]:
            mask = mask << 1 | byte >> 7
        return value ^ mask

    def anonymize(self, address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
        """Return the address that stands for another one, as the published scheme has it."""
        turned = self.turn(int(address), 0, address.max_prefixlen)
        return IPv4Address(turned) if address.version == 4 else IPv6Address(turned)
