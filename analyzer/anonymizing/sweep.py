"""Traces of names in text whose form nobody knows: addresses, known words, and both of them in hex and base64."""

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

from analyzer.anonymizing.names import WORDS, Names

_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\w)")
_DOTTED = re.compile(r"(\d+)((?:\.\d{1,3}){2}\.)(\d+)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]{2,39}(?:(?<=:)(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])"
)
_MAC = re.compile(r"(?<![\w:-])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}(?![\w:-])")
_UUID = re.compile(r"([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-1[0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-)([0-9A-Fa-f]{12})")
"""A UUID of version 1 ends with the hardware address of who made it (RFC 9562 5.1)."""
_PLACES = re.compile("|".join(re.sub(r"\\1", "[:-]", found.pattern) for found in (_MAC, _IPV4, _IPV6)))
_DOMAIN = re.compile(r"(?<![\w.-])[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+\.?(?![\w-])")
_RUN = re.compile(r"[A-Za-z0-9]{4,}")
_HEX = re.compile(r"[0-9A-Fa-f]{8,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}|[A-Za-z0-9_-]{8,}={0,2}")
_CLEAR = re.compile(rb"[\x20-\x7e\r\n\t]{4,}")
SHORTEST_WORD, SHORTEST_NUMBER = 4, 5
"""How long a known word or number is that is looked for wherever it stands; shorter ones stand there by chance."""
_DEPTH = 3


class Sweep:
    """Replaces what is known of a capture wherever it stands."""

    def __init__(self, names: Names) -> None:
        """Know nothing yet."""
        self._names = names
        self._words: set[str] = set()
        self._domains: set[str] = set()
        self._packed: set[bytes] = set()

    def learn(self, *, words: Iterable[str] = (), hosts: Iterable[str] = (), addresses: Iterable[bytes] = ()) -> None:
        """Take in users, numbers and passwords; domains and other hosts; addresses of 4, 6 (hardware) or 16 bytes."""
        for word in words:
            plain = word.lower()
            if plain in WORDS or self._names.user(word) == word:
                continue
            for part in (plain, *_RUN.findall(plain)):
                if len(part) >= (SHORTEST_NUMBER if part.isdigit() else SHORTEST_WORD) and part not in WORDS:
                    self._words.add(part)
        for host in hosts:
            plain = host.lower().rstrip(".")
            if self._names.address(host) != host:
                continue
            if "." in plain and self._names.host(plain) != plain:
                self._domains.add(plain)
            elif len(plain) >= SHORTEST_WORD and plain not in WORDS and not plain.isdigit():
                self._words.add(plain)
        self._packed.update(address for address in addresses if self._packed_name(address) != address)

    def _packed_name(self, address: bytes) -> bytes:
        return self._names.mac(address) if len(address) == 6 else self._names.address.packed(address)

    def __call__(self, text: str, depth: int = 0) -> str:
        """Return text with everything known in it replaced, in the same length."""
        text = _MAC.sub(self._mac, text) if text.count(":") + text.count("-") >= 5 else text
        text = _DOTTED.sub(self._ipv4, text) if text.count(".") >= 3 else text
        text = _IPV6.sub(self._ipv6, text) if text.count(":") >= 2 else text
        text = _DOMAIN.sub(self._domain, text) if "." in text and self._domains else text
        if self._words:
            text = _RUN.sub(self._known, text)
        text = _UUID.sub(lambda found: found[1] + self._names.mac(bytes.fromhex(found[2])).hex(), text)
        if depth < _DEPTH:
            text = _HEX.sub(lambda found: self._hex(found[0], depth), text)
            text = _BASE64.sub(lambda found: self._base64(found[0], depth), text)
        return text

    def knows(self, text: str) -> bool:
        """Say whether text is an address of this capture, or a private one."""
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return address.packed in self._packed or address.is_private

    def phrase(self, text: str) -> str:
        """Return text with all words replaced, and the addresses in it as addresses."""
        pieces, at = [], 0
        for found in _PLACES.finditer(text):
            pieces.append(self._names.phrase(text[at : found.start()]) + self(found[0], _DEPTH))
            at = found.end()
        return "".join(pieces) + self._names.phrase(text[at:])

    def _mac(self, found: re.Match[str]) -> str:
        sign = found[1]
        named = self._names.mac(bytes.fromhex(found[0].replace(sign, ""))).hex(sign)
        return named.upper() if found[0].upper() == found[0] else named

    def _ipv4(self, found: re.Match[str]) -> str:
        """Return the name of an address; where digits stand before or behind it, of one that is known."""
        first, middle, last = found.groups()
        before = found.string[found.start() - 1] if found.start() else ""
        after = found.string[found.end() : found.end() + 1]
        if len(first) < 4 and len(last) < 4 and "." not in {before, after}:
            return self._names.address(found[0])
        for start in range(max(len(first) - 3, 0), len(first)):
            for stop in range(min(len(last), 3), 0, -1):
                text = first[start:] + middle + last[:stop]
                with suppress(ValueError):
                    if IPv4Address(text).packed in self._packed:
                        return first[:start] + self._names.address(text) + last[stop:]
        return self._names.address(found[0]) if len(first) < 4 and len(last) < 4 else found[0]

    def _ipv6(self, found: re.Match[str]) -> str:
        try:
            IPv6Address(found[0])
        except ValueError:
            return found[0]
        return self._names.address(found[0])

    def _domain(self, found: re.Match[str]) -> str:
        """Return the name of a domain that is known, or is below or above one that is."""
        plain = found[0].lower().rstrip(".")
        if plain in self._domains:
            return self._names.host(found[0])
        at = plain.find(".")
        while at >= 0:
            if plain[at + 1 :] in self._domains:
                return self._names.host(found[0])
            at = plain.find(".", at + 1)
        return found[0]

    def _known(self, found: re.Match[str]) -> str:
        plain = found[0].lower()
        return self._names.user(found[0]) if plain in self._words else found[0]

    # --- in disguise

    def _hex(self, token: str, depth: int) -> str:
        """Return hexadecimal text with the addresses, and the text, that it holds replaced."""
        for start in range(min(2, len(token) - 7)):
            even = token[start : start + (len(token) - start) // 2 * 2]
            named = self._swept(bytes.fromhex(even), depth)
            if named is not None:
                text = named.hex()
                text = text.upper() if even.upper() == even and even.lower() != even else text
                token = token[:start] + text + token[start + len(text) :]
        return token

    def _base64(self, token: str, depth: int) -> str:
        """Return text in base64 with the addresses, and the text, that it holds replaced, wherever it begins."""
        urls = "-" in token or "_" in token
        for start in range(4):
            body = token[start:].rstrip("=")
            body = body[: len(body) // 4 * 4 + (len(body) % 4 if len(body) % 4 > 1 else 0)]
            if len(body) < 6:
                break
            try:
                raw = b64decode(body + "=" * (-len(body) % 4), b"-_" if urls else b"+/", validate=True)
            except (Error, ValueError):
                continue
            named = self._swept(raw, depth)
            if named is not None:
                text = b64encode(named, b"-_" if urls else b"+/").decode()[: len(body)]
                token = token[:start] + text + token[start + len(text) :]
        return token

    def _swept(self, raw: bytes, depth: int) -> bytes | None:
        """Return bytes with the addresses, and the clear text, in them replaced; None if nothing is."""
        named = bytearray(raw)
        for size in (4, 6, 16):
            for at in range(len(raw) - size + 1):
                if raw[at : at + size] in self._packed:
                    named[at : at + size] = self._packed_name(raw[at : at + size])
        for found in _CLEAR.finditer(raw):
            clear = found[0].decode("ascii")
            text = self(clear, depth + 1)
            if text != clear:
                named[found.start() : found.end()] = text.encode("latin-1")
        return bytes(named) if named != raw else None
