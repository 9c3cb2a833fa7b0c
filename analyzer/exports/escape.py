r"""Text from the wire, made fit to be shown.

Attackers write it. A character that is not seen (a control character, an escape sequence's ESC, a
change of writing direction, a line break) can hide, forge or reorder what is shown, so each becomes an
escape such as `\x1b` or `\u202e`. All that is left is printable.
"""

import unicodedata

CUT = "…"
FEW = 128
"""Different characters of a text up to which each is looked for in the whole of it."""


class _Escapes(dict[int, str]):
    """The text that stands for a character, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = shown = _escape_character(code)
        return shown


def _escape_character(code: int) -> str:
    character = chr(code)
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ESCAPES = _Escapes()


def _escaped(text: str) -> str:
    """Return text with its escapes; few that are repeated are put in one after another, which is faster."""
    found = set(text)
    if len(found) > FEW:
        return text.translate(_ESCAPES)
    for character in found:
        if not character.isprintable():
            text = text.replace(character, _ESCAPES[ord(character)])
    return text


def escape(text: str, *, limit: int | None = None) -> str:
    """Return text with an escape for each unprintable character, cut to limit characters."""
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + CUT
    if not text.isprintable():
        text = _escaped(text)
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + CUT
    return text
