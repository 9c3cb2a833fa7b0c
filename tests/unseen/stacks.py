"""How programs write SIP: phones and servers as published, and scripts whose handwriting is made up from a seed.

The published ones are in stacks.toml, which says how the shape of a token is written.
"""

import random
import re
import string
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

DIGITS, HEX = string.digits, "0123456789abcdef"
LOWER, ALNUM = string.ascii_lowercase, string.ascii_letters + string.digits
ALPHABETS = {"digit": DIGITS, "hex": HEX, "lower": LOWER, "alnum": ALNUM}
_MARK = re.compile(r"\{([a-z]+)(\d*)\}")


def chars(rng: random.Random, alphabet: str, count: int) -> str:
    """Draw characters."""
    return "".join(rng.choices(alphabet, k=count))


def draw(rng: random.Random, shape: str, host: str) -> str:
    """Draw a token of some shape, for a program that believes host to be its address."""

    def piece(mark: re.Match[str]) -> str:
        kind, number = mark.groups()
        if kind == "host":
            return host
        if kind == "uuid":
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))
        return str(rng.randrange(int(number))) if kind == "below" else chars(rng, ALPHABETS[kind], int(number))

    return _MARK.sub(piece, shape)


@dataclass(frozen=True)
class Stack:
    """One program's handwriting."""

    agent: str
    order: str
    """The names of its headers, in order."""
    branch: str
    """The shape of its branches, as those of its tags and Call-IDs."""
    tag: str
    call_id: str
    contact: str = "<sip:{user}@{host}:{port}>"
    person: str = "<sip:{user}@{domain}>"
    via: str = "{branch};rport"
    allow: str = "INVITE, ACK, CANCEL, OPTIONS, BYE"
    supported: str = "replaces"
    accept: str = "application/sdp"
    first_cseq: int = 1
    owner: str = "-"
    session: str = "-"


def _stack(written: Mapping[str, Any]) -> Stack:
    order = _WRITTEN["orders"].get(written["order"], written["order"])
    return Stack(**{**written, "order": " ".join(order.split())})


_WRITTEN = tomllib.loads(Path(__file__).with_name("stacks.toml").read_text(encoding="utf-8"))
PHONES = [_stack(phone) for phone in _WRITTEN["phones"]]
SERVERS = {name: _stack(server) for name, server in _WRITTEN["servers"].items()}
PROGRAMS = {name: _stack(program) for name, program in _WRITTEN["programs"].items()}
TRUNKS = [SERVERS[name] for name in ("freeswitch", "asterisk", "pjsip", "audiocodes", "cucm", "sonus")]


def sipvicious(agent: str, *, new: bool) -> Stack:
    """SIPVicious under another name; the tags are made by the attack itself."""
    return replace(PROGRAMS["sipvicious" if new else "sipvicious_old"], agent=agent)


def sipcli(agent: str) -> Stack:
    """sipcli under another name (branch and Call-ID are made equal by the attack)."""
    return replace(PROGRAMS["sipcli"], agent=agent)


def made_up(rng: random.Random, agent: str = "") -> Stack:
    """A script nobody has seen: the order of its headers and the shapes of its tokens are drawn."""
    names = ["From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "User-Agent", "Authorization", "Expires"]
    if rng.random() < 0.5:
        names += ["Allow"]
    if rng.random() < 0.4:
        names += ["Accept"]
    rng.shuffle(names)
    tokens = [
        f"{{hex{rng.choice([8, 10, 12, 20, 32])}}}",
        f"{{digit{rng.randint(5, 12)}}}",
        f"{{alnum{rng.randint(6, 24)}}}",
        "{uuid}",
        f"{{lower{rng.randint(8, 20)}}}",
    ]
    branch = rng.choice(tokens)
    magic = rng.choice(["z9hG4bK", "z9hG4bK-", "z9hG4bK.", "z9hG4bK", ""])
    call_id = rng.choice(tokens)
    at = rng.choice(["", "@{host}", "@localhost", "@127.0.0.1"])
    return Stack(
        agent,
        " ".join(["Via", *names, "Content-Type", "Content-Length"]),
        magic + branch,
        rng.choice(tokens),
        call_id + at,
        rng.choice(["<sip:{user}@{host}:{port}>", "<sip:{user}@{host}>", "sip:{user}@{host}:{port}"]),
        rng.choice(
            [
                "<sip:{user}@{domain}>",
                '"{user}" <sip:{user}@{domain}>',
                "sip:{user}@{domain}",
                '"{user}"<sip:{user}@{domain}>',
            ]
        ),
        rng.choice(["{branch}", "{branch};rport", "rport;{branch}"]),
        owner=rng.choice(["-", "root", "user", "root"]),
        session=rng.choice(["-", "call", "session", "sip", "Go"]),
        first_cseq=rng.choice([1, 1, 1, 2, 100]),
    )
