"""What was dialled, taken apart: the prefixes that were tried, and the number really wanted.

Toll fraud tries one number behind many prefixes until a dial plan lets it out: PBX exit codes (0, 9),
access codes of the international network (00, 011), carrier selection (1010xxx), and their combinations.
The wanted number is what remains, in international form (ITU-T E.164), at most 15 digits.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

DIGITS = 15
"""The most digits that a number has (E.164 6.2.1)."""
SHORTEST = 8
"""Fewer digits than this are an extension or a short code, not a number abroad."""
TAIL = 9
"""Dialled strings that end in the same digits, this many, are taken for variants of one number."""
LONGEST = 255
"""No dialled string has more characters; who writes more wants to keep us busy."""
SAMPLE = 24
"""How many variants of one number are asked what the number is."""

_EXIT = r"[0-9*#]{0,4}?"
_CARRIER = r"(?:1010\d{3})?"
_ACCESS = r"(?:0{2,9}|0{0,3}011|0{0,2}11|7?011|1?011|810|8\*10|0011|119|010|\+)"
_PREFIX = re.compile(rf"{_EXIT}{_CARRIER}{_ACCESS}")
"""A prefix that leads abroad: exit code, carrier selection, then an access code."""
_PLAIN = re.compile(r"|[09*#]{1,3}|\+")
"""A prefix that leads outside, or none."""
_SEPARATORS = re.compile(r"[-.() ]")
_DIALLED = re.compile(r"[0-9*#]*\+?[0-9]{8,40}")


class Dialled(NamedTuple):
    """A dialled string, taken apart."""

    prefix: str
    """What comes before the number; empty if nothing does, '+' is a prefix too."""
    number: str
    """The number wanted, in international form without '+'."""
    abroad: bool
    """The prefix asks for the international network."""


def take_apart(dialled: Iterable[str]) -> dict[str, Dialled]:
    """Return the parts of each distinct dialled string that holds a number; others are left out.

    Variants of one number (the same last digits) are judged together, so that a prefix that would
    pass for a country code is told from one by what remains under the other prefixes.
    """
    families: dict[str, list[str]] = {}
    for text in dict.fromkeys(dialled):
        if len(text) > LONGEST:
            continue
        bare = _SEPARATORS.sub("", text)
        if _DIALLED.fullmatch(bare):
            families.setdefault(bare[-TAIL:], []).append(text)
    return {text: parts for family in families.values() for text, parts in _judge(family).items()}


def leads_abroad(prefix: str) -> bool:
    """Say whether a prefix asks for the international network in the manner of a dial plan; '+' is everybody's."""
    return prefix != "+" and _PREFIX.fullmatch(prefix) is not None


def _judge(family: list[str]) -> dict[str, Dialled]:
    bare = {text: _SEPARATORS.sub("", text) for text in family}
    votes: Counter[str] = Counter()
    for text in family[:SAMPLE]:
        for number, score in _candidates(bare[text]):
            votes[number] += score
    ranked = sorted(votes, key=lambda number: (-votes[number], -len(number), number))
    judged = {}
    for text in family:
        number = next((number for number in ranked if bare[text].endswith(number)), "")
        if number:
            prefix = bare[text][: len(bare[text]) - len(number)]
            judged[text] = Dialled(prefix, number, bool(_PREFIX.fullmatch(prefix)))
    return judged


def _candidates(text: str) -> list[tuple[str, int]]:
    """Return what may be the number in a dialled string, with a score for how well prefix and number fit."""
    found = []
    for cut in range(max(0, len(text) - DIGITS), len(text) - SHORTEST + 1):
        prefix, number = text[:cut], text[cut:]
        if number.startswith("0") or not number.isdigit():
            continue
        known = 4 if _PREFIX.fullmatch(prefix) else 2 if _PLAIN.fullmatch(prefix) else 0
        if known:
            found.append((number, known * _plausible(number)))
    return [(number, score) for number, score in found if score] or [(text[-12:].lstrip("0+*#"), 1)]


@lru_cache(maxsize=65536)
def _plausible(number: str) -> int:
    """Return 3 for a number that exists in its country's plan, 1 for a possible one, else 0."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse("+" + number)
    except phonenumbers.NumberParseException:
        return 0
    return 3 if phonenumbers.is_valid_number(parsed) else int(phonenumbers.is_possible_number(parsed))
