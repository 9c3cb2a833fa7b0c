"""Other names for users, hosts, numbers and secrets: of the same length and form, the same for the same key.

Letters become letters, digits digits, in the same case; signs stay. Each character depends on all the others of its
word, and the whole is one to one. Of a telephone number, the prefix that was dialled and the country stay, since they
are what is asked of it; at most its last nine digits change, alike behind every prefix.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b

from analyzer.anonymizing.addresses import Addresses
from analyzer.dialling import TAIL, take_apart

WORDS = frozenset({
    "sipvicious", "nmap", "nse", "sipsak", "sipp", "sip", "sips", "sipsscuser", "sipssc", "asterisk", "anonymous",
    "unknown", "unavailable", "test", "user", "admin", "root", "nm", "smap", "tester", "sivus", "caller", "guest",
    "ping", "monitor", "monitoring", "nagios", "keepalive", "keep-alive", "options", "probe", "heartbeat", "federation",
    "trunk", "gateway", "proxy", "server", "kamailio", "opensips", "freeswitch", "check", "qualify", "dispatcher",
    "localhost", "invalid", "local", "internal", "restricted", "private", "session", "call", "default",
})  # fmt: skip
"""Words that everybody uses and tools write by default: they are nobody's."""
LONGEST = 64
"""How many characters are mixed with each other; longer words are taken apart."""
_DIGITS, _LETTERS, _HEX = "0123456789", "abcdefghijklmnopqrstuvwxyz", "0123456789abcdef"
_TOKEN = re.compile(r"%[0-9A-Fa-f]{2}|[0-9A-Za-z]+|[^\x00-\x7f]+|[^0-9A-Za-z]")
_NUMBER = re.compile(r"[-+*#.() 0-9]*[0-9][-+*#.() 0-9]*")
_HEXADECIMAL = re.compile(
    r"(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,}|(?=[0-9A-F]*[0-9])(?=[0-9A-F]*[A-F])[0-9A-F]{8,}"
)
_DOTTED = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")
_SHORTEST_NUMBER = 8
_TRIES = 48


class Names:
    """All names by one key."""

    def __init__(
        self, key: bytes, *, kept_addresses: Iterable[str] = (), keep: Callable[[str], bool] | None = None
    ) -> None:
        """Take a key, addresses that stay, and a test for texts that stay as a whole: those of tools."""
        self._key = blake2b(key, digest_size=32, person=b"sipscope names").digest()
        self.address = Addresses(blake2b(key, digest_size=32, person=b"sipscope cryptop").digest(), kept=kept_addresses)
        self._keep = keep or (lambda _: False)
        self._cards: dict[bytes, bytes] = {}
        self._numbers: dict[str, str] = {}
        self._tails: dict[str, tuple[int, int]] = {}
        self.word = lru_cache(maxsize=1 << 18)(self._word)
        self.user = lru_cache(maxsize=1 << 18)(self._user)

    # --- what stands in messages

    def stays(self, text: str) -> bool:
        """Say whether text is kept on purpose: everybody's word, a tool's own, or without letters and digits."""
        return text.lower() in WORDS or self._keep(text) or not any(map(str.isalnum, text))

    def _user(self, text: str) -> str:
        """Return the name of a user, or of a number that is dialled."""
        if self.stays(text):
            return text
        if _DOTTED.fullmatch(text):
            return self.address(text)
        if _NUMBER.fullmatch(text):
            return self._number(text)
        return "".join(self._piece(piece) for piece in _TOKEN.findall(text))

    def phrase(self, text: str) -> str:
        """Return the name of a display name, or of other text: word by word."""
        if self.stays(text):
            return text
        if _NUMBER.fullmatch(text.strip()):
            start = len(text) - len(text.lstrip())
            return text[:start] + self.user(text.strip()) + text[start + len(text.strip()) :]
        return "".join(self._piece(piece) for piece in _TOKEN.findall(text))

    def host(self, text: str) -> str:
        """Return the name of a host: an address, or a domain whose last label stays."""
        if text.startswith("[") and "]" in text:
            inner, bracket, rest = text[1:].partition("]")
            return f"[{self.address(inner)}{bracket}{rest}"
        if _DOTTED.fullmatch(text) or text.count(":") > 1:
            return self.address(text)
        if self._keep(text):
            return text
        labels = text.split(".")
        last = len(labels) - (2 if len(labels) > 1 and not labels[-1] else 1)
        return ".".join(
            label if place >= last > 0 else "".join(map(self._piece, _TOKEN.findall(label)))
            for place, label in enumerate(labels)
        )

    def secret(self, text: str) -> str:
        """Return something of the same form that says nothing of a secret."""
        return "".join(self._piece(piece, secret=True) for piece in _TOKEN.findall(text))

    def mac(self, address: bytes) -> bytes:
        """Return the name of a hardware address; those of groups stay."""
        if address[0] & 1 or not any(address):
            return address
        known = self._cards.get(address)
        if known is None:
            named = blake2b(address, key=self._key, digest_size=len(address), person=b"mac").digest()
            known = self._cards[address] = bytes([named[0] & 0xFC | 2]) + named[1:]
        return known

    @property
    def cards(self) -> Iterable[bytes]:
        """All hardware addresses that were asked for."""
        return self._cards.keys()

    def token(self, data: bytes) -> bytes:
        """Return the name of bytes that were drawn at random, to tell one exchange from another."""
        return blake2b(data, key=self._key, digest_size=len(data), person=b"token").digest()

    def _piece(self, piece: str, *, secret: bool = False) -> str:
        """Return the name of a word, an escape or a sign."""
        if piece[0] == "%" and len(piece) == 3:
            sign = chr(int(piece[1:], 16))
            if not sign.isascii() or not sign.isalnum():
                return piece
            code = f"{ord(self.word(sign)):02x}"
            return "%" + (code.upper() if piece.isupper() else code)
        if piece[0] > "\x7f":
            return self._foreign(piece)
        if not piece.isalnum() or (not secret and piece.lower() in WORDS):
            return piece
        return self.word(piece)

    def _foreign(self, piece: str) -> str:
        """Return other characters beyond ASCII, which are bytes here: UTF-8 stays UTF-8."""
        raw = bytearray(piece.encode("latin-1"))
        for place, byte in enumerate(raw):
            ends = place + 1 == len(raw) or raw[place + 1] & 0xC0 != 0x80
            if byte & 0xC0 == 0x80 and ends:
                raw[place] = 0x80 | (byte + 1 + self._mix(bytes(raw), place) % 63) & 0x3F
        return raw.decode("latin-1")

    # --- words

    def _word(self, text: str) -> str:
        """Return another word of the same form, never the same one; a zero alone stays."""
        if len(text) > LONGEST:
            return "".join(self._word(text[at : at + LONGEST]) for at in range(0, len(text), LONGEST))
        plain = text.lower()
        hexadecimal = _HEXADECIMAL.fullmatch(text) is not None
        alphabets = [_HEX if hexadecimal else _DIGITS if sign.isdigit() else _LETTERS for sign in plain]
        if plain.isdigit():  # a zero at the beginning stays one: else two numbers could become the same
            alphabets[0] = _DIGITS[1:] if plain[0] != "0" else _DIGITS[:1]
        codes = bytearray(alphabet.index(sign) for alphabet, sign in zip(alphabets, plain, strict=True))
        self._mingle(codes, [len(alphabet) for alphabet in alphabets])
        named = [alphabet[code] for alphabet, code in zip(alphabets, codes, strict=True)]
        return "".join(new.upper() if old.isupper() else new for old, new in zip(text, named, strict=True))

    def _mingle(self, codes: bytearray, sizes: list[int]) -> None:
        """Turn each code by all the others; the last one once and never by nothing, so that no word stays as it is."""
        last = max((place for place, size in enumerate(sizes) if size > 1), default=-1)
        before = [place for place in range(len(codes)) if place != last]
        for turn, places in enumerate((before, [last] if last >= 0 else [], before)):
            for place in places:
                own, codes[place], size = codes[place], 0, sizes[place]
                mixed = self._mix(bytes(codes), turn << 8 | place)
                codes[place] = (own + (1 + mixed % (size - 1) if place == last else mixed)) % size

    def _mix(self, data: bytes, salt: int) -> int:
        mixed = blake2b(data, key=self._key, digest_size=4, salt=salt.to_bytes(4, "big")).digest()
        return int.from_bytes(mixed, "big")

    # --- numbers

    def learn_numbers(self, texts: Iterable[str]) -> None:
        """Take in what was dialled, so that each number is told from the prefixes that it was dialled with."""
        families: dict[str, list[str]] = {}
        for text in texts:
            digits = _digits(text)
            if len(digits) >= _SHORTEST_NUMBER and _NUMBER.fullmatch(text):
                families.setdefault(digits[-TAIL:], []).append(text)
        for tail, family in families.items():
            parts = take_apart(family)
            changing = min((_changing(part.number) for part in parts.values()), default=_SHORTEST_NUMBER - 1)
            before = {text: (part.prefix, len(part.number), part.abroad) for text, part in parts.items()}
            best = 0
            for attempt in range(_TRIES):
                named = {text: self._renumbered(text, changing, attempt) for text in family}
                after = take_apart(named.values())
                told = {
                    text: (part.prefix, len(part.number), part.abroad)
                    for text, name in named.items()
                    if (part := after.get(name))
                }
                if told == before and not set(named.values()) & set(family):
                    best = attempt
                    break
            self._tails[tail] = changing, best
            self._numbers |= {text: self._renumbered(text, changing, best) for text in family}
        self.user.cache_clear()

    def _number(self, text: str) -> str:
        known = self._numbers.get(text)
        if known is not None:
            return known
        digits = _digits(text)
        if len(digits) < _SHORTEST_NUMBER:
            return "".join(self.word(piece) if piece.isdigit() else piece for piece in _TOKEN.findall(text))
        changing, attempt = self._tails.get(digits[-TAIL:], (min(_changing(digits), len(digits) - 1), 0))
        return self._renumbered(text, changing, attempt)

    def _renumbered(self, text: str, changing: int, attempt: int) -> str:
        """Return a number whose last digits are others, each by those behind it: alike behind any prefix."""
        signs, behind = list(text), ""
        for place in range(len(signs) - 1, -1, -1):
            if not signs[place].isdigit() or len(behind) == changing:
                continue
            digit = signs[place]
            turn = (
                self._mix(f"{attempt} {behind}".encode(), 0xFFFF) % 9 + 1
                if not behind
                else self._mix(f"{attempt} {behind}".encode(), 0xFFFF)
            )
            signs[place] = str((int(digit) + turn) % 10)
            behind = digit + behind
        return "".join(signs)


def _digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isdigit())


@lru_cache(maxsize=1 << 16)
def _changing(number: str) -> int:
    """Return how many of a number's last digits change: not those of its country, and nine at the most."""
    import phonenumbers

    country = 2
    with suppress(phonenumbers.NumberParseException):
        country = len(str(phonenumbers.parse("+" + number).country_code))
    return max(min(TAIL, len(number) - country), 4)


def keeper() -> Callable[[str], bool]:
    """Return the test for texts that are a tool's own, by the marks of analyzer.tools."""
    from analyzer.tools import load_signatures

    patterns = set()
    for rule in load_signatures().rules:
        for mark in rule.marks:
            if mark.column in _TOOL_COLUMNS and (mark.pattern or mark.equals):
                pattern = mark.pattern or re.escape(str(mark.equals))
                if re.search(r"[A-Za-z]{2}", re.sub(r"\[[^]]*\]|\(\?i\)|\\.", "", pattern)):
                    patterns.add(f"(?:{pattern})")
    plain = [pattern.replace("(?i)", "") for pattern in sorted(patterns)]
    known = re.compile("|".join(plain), re.IGNORECASE)
    return lru_cache(maxsize=1 << 16)(lambda text: len(text) <= 128 and known.fullmatch(text) is not None)


_TOOL_COLUMNS = (
    "from_user",
    "to_user",
    "uri_user",
    "from_name",
    "from_host",
    "via_host",
    "sdp_session",
    "subject",
    "user_agent",
)
