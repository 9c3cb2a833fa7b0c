"""Innocents that look like attackers: crowds that only fail, servers that only ask, captures that hold the half."""

import random

import pytest
from scenarios.wire import write_capture

from analyzer import analyze

START = 1_700_000_000.0
PBX, OFFICE = "198.51.100.5", "203.0.113.20"


def _request(method, uri, user, host, contact, call, cseq, extra=()):
    to = f"sip:{user}@{host}" if method == "REGISTER" else uri
    return "\r\n".join([
        f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {contact};branch=z9hG4bK{call}{cseq};rport",
        f'From: "{user}" <sip:{user}@{host}>;tag={call}', f"To: <{to}>",
        f"Call-ID: 0_{call}@{contact.partition(':')[0]}", f"CSeq: {cseq} {method}", f"Contact: <sip:{user}@{contact}>",
        "Max-Forwards: 70", *extra, "User-Agent: Yealink SIP-T46S 66.85.0.5", "Content-Length: 0", "", "",
    ])  # fmt: skip


def _answer(request, status):
    kept = [line for line in request.split("\r\n") if line.startswith(("Via", "From", "To", "Call-ID", "CSeq"))]
    kept = [f"{line};tag=as1" if line.startswith("To") else line for line in kept]
    return "\r\n".join([f"SIP/2.0 {status}", *kept, "Content-Length: 0", "", ""])


def _asked(time, source, port, target, request, status=""):
    yield time, source, port, target, 5060, 60, request.encode()
    if status:
        yield time + 0.03, target, 5060, source, port, 60, _answer(request, status).encode()


def closed_office(rng):
    """Forty telephones behind one address; their accounts are closed, and each asks for its own every minute."""
    for number in range(40):
        call, contact = f"{rng.randrange(10**9):09}", f"192.168.7.{20 + number}:5060"
        for turn in range(6):
            request = _request("REGISTER", f"sip:{PBX}", str(600 + number), PBX, contact, call, turn + 1)
            yield from _asked(START + 60 * turn + number, OFFICE, 20000 + number, PBX, request, "403 Forbidden")


def homes(rng):
    """Sixty homes with the same router ask a provider that has closed their accounts, once or twice each."""
    for number in range(60):
        source, user, host = f"203.0.{number}.9", f"4930{rng.randrange(10**8):08}", "sip.provider.example"
        for turn in range(1 + number % 2):
            call = f"{rng.randrange(10**9):09}"
            request = _request("REGISTER", f"sip:{host}", user, host, "192.168.178.20:5060", call, 1)
            yield from _asked(START + 300 * turn + number, source, 5060, PBX, request, "404 Not Found")


def branches(rng):
    """Forty branches share an account, whose password was changed; each has its router's usual network."""
    for number in range(40):
        call, source = f"{rng.randrange(10**9):09}", f"203.0.{number}.9"
        for turn in range(8):
            request = _request(
                "REGISTER", f"sip:{PBX}", "trunk", PBX, "192.168.1.10:5060", call, turn + 1,
                ['Authorization: Digest username="trunk", realm="x", nonce="n", uri="sip:x", response="0"'],
            )  # fmt: skip
            yield from _asked(START + 120 * turn + number, source, 5060, PBX, request, "403 Forbidden")


def routers(rng):
    """A hundred routers of one make, with accounts of their own that were closed: two tries each."""
    for number in range(100):
        source, user = f"203.0.{number}.9", f"4930{rng.randrange(10**8):08}"
        call = f"{rng.randrange(10**9):09}"
        for turn in range(2):
            request = _request(
                "REGISTER", f"sip:{PBX}", user, PBX, "192.168.178.1:5060", call, turn + 1,
                [f'Authorization: Digest username="{user}", realm="x", nonce="n", uri="sip:x", response="0"'],
            )  # fmt: skip
            yield from _asked(START + 300 * turn + number, source, 5060, PBX, request, "403 Forbidden")


def registrar(rng):
    """A registrar asks whether the telephones behind one address are there; they are switched off."""
    for number in range(60):
        for turn in range(5):
            uri, call = f"sip:{300 + number}@{OFFICE}:5060", f"{rng.randrange(10**9):09}"
            request = _request("OPTIONS", uri, "pinger", "registrar.example", f"{PBX}:5060", call, 1)
            yield from _asked(START + 30 * turn + number / 10, PBX, 5060, OFFICE, request)


def carrier(rng):
    """A carrier hands over calls of many to a block of numbers of which most are not in use."""
    for number in range(120):
        called, caller = f"+44207946{rng.randrange(10**4):04}", f"+4420{rng.randrange(10**8):08}"
        call = f"{rng.randrange(10**9):09}"
        request = _request("INVITE", f"sip:{called}@{PBX}", caller, OFFICE, f"{OFFICE}:5060", call, 1)
        yield from _asked(START + 60 * number, OFFICE, 5060, PBX, request, "404 Not Found")


def one_way(rng):
    """An office calls abroad; the answers of its server go another way."""
    for number in range(30):
        dialled, call = f"900{rng.choice(('44', '49', '46'))}20{rng.randrange(10**7):07}", f"{rng.randrange(10**9):09}"
        uri, contact = f"sip:{dialled}@{PBX}", f"{OFFICE}:5060"
        sign = f'Authorization: Digest username="200", realm="a", nonce="{call}", uri="{uri}", response="{0:032x}"'
        for turn, extra in enumerate(((), (sign,))):
            request = _request("INVITE", uri, "200", PBX, contact, call, turn + 1, extra)
            yield from _asked(START + 90 * number + turn, OFFICE, 5060, PBX, request)


@pytest.mark.parametrize(
    ("lookalike", "words"),
    [
        (closed_office, "asks for 40 accounts of its own, refused: closed or unknown to the server"),
        (homes, "asks for 1 account of its own, refused: closed or unknown to the server"),
        (branches, "credentials refused, at the pace and in the manner of a telephone: a wrong password"),
        (routers, "credentials refused, at the pace and in the manner of a telephone: a wrong password"),
        (registrar, "keeps alive with OPTIONS"),
        (carrier, "120 calls, 0 answered: a trunk that hands over the calls of many"),
        (one_way, "30 calls, 0 answered; answers to it were not captured, or in part"),
    ],
)
def test_nobody_is_accused_and_the_report_says_what_they_are(lookalike, words, tmp_path):
    write_capture(tmp_path / "a.pcap", list(lookalike(random.Random(5))))
    analysis = analyze(tmp_path / "a.pcap")
    assert analysis.attacks.empty
    assert set(analysis.sources["verdict"]) == {"innocent"}
    assert set(analysis.sources["why"]) == {words}
