"""Words about an entry, made fit to stand in any rule file.

Attackers write User-Agents, account names and campaign titles. A comment is made of letters, digits and a few signs
that mean nothing to a shell, to nftables, ipset, iptables, pf, RouterOS or IOS; every other byte is percent-encoded
(RFC 3986 2.1), so that nothing is lost and nothing ends a line, a quotation or a command.
"""

from datetime import UTC, datetime

SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,:/_+()@-")
LONGEST = 300
"""Characters of a comment that has a line of its own."""
_ENCODED = tuple(chr(byte) if byte in SAFE else f"%{byte:02X}" for byte in range(256))


def comment(text: str, limit: int = LONGEST) -> str:
    """Return text as a comment of at most limit characters, cut where it is longer; `;` becomes `,`.

    A character is encoded whole or left out, and the comment neither begins nor ends with a space.
    """
    made: list[str] = []
    room = limit
    for character in text[:limit].replace(";", ",").strip():
        part = "".join(_ENCODED[byte] for byte in character.encode("utf-8", "replace"))
        if len(part) > room:
            break
        made.append(part)
        room -= len(part)
    return "".join(made).strip()


def iso(time: datetime) -> str:
    """Return a time as '2026-11-22T14:40:57Z'."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def lines(*texts: str) -> str:
    """Return texts as lines of a file."""
    return "".join(f"{text}\n" for text in texts)
