"""Ordinary phones, played by SIPp: they register, rest, ring, answer, call and hang up, each in its own handwriting."""

import re
import string
import struct
import textwrap
import threading
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from subprocess import Popen
from typing import Any

from stage import PBX, PBX6, SCENARIOS, Host, Stage, StageError, finish, in_uri, random_word

MODELS: dict[str, dict[str, Any]] = tomllib.loads((SCENARIOS / "models.toml").read_text())
ALPHABETS = {
    "d": "123456789",
    "x": string.digits + "abcdef",
    "X": string.digits + "ABCDEF",
    "a": string.ascii_lowercase + string.digits,
}
EXPIRES = 60
REFRESH = 50.0
"""Seconds from one registration to the next, before the first expires."""
SPEECH = 0.04
"""Seconds of speech in one RTP packet: two silent frames of G.729 of ten bytes each."""


def mint(pattern: str) -> str:
    """Return a token of a pattern such as 'z9hG4bK{d10}': fixed text, and so many characters of an alphabet."""
    return re.sub(r"\{([dxXa])(\d+)\}", lambda match: random_word(ALPHABETS[match[1]], int(match[2])), pattern)


def record_speech(path: Path, seconds: float) -> Path:
    """Write a capture of RTP packets (RFC 3550) for SIPp to send, and return its path."""
    stream = random_word("123456789", 9)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in range(round(seconds / SPEECH)):
            rtp = struct.pack("!BBHII", 0x80, 18, 1000 + number, 16000 + 320 * number, int(stream)) + bytes(20)
            udp = struct.pack("!HHHH", 6000, 6000, 8 + len(rtp), 0) + rtp
            ip = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, 0x7F000001, 0x7F000001) + udp
            frame = bytes(12) + b"\x08\x00" + ip
            second, microsecond = divmod(round(number * SPEECH * 1e6), 1_000_000)
            file.write(struct.pack("<IIII", second, microsecond, len(frame), len(frame)) + frame)
    return path


def render(scenario: str, values: dict[str, str], order: Sequence[str] = (), extra: Sequence[str] = ()) -> str:
    """Return a scenario with its {tokens} filled in and the headers of its messages in the phone's own order."""

    def message(match: re.Match[str]) -> str:
        head, _, body = textwrap.dedent(match[1]).strip("\n").rstrip().partition("\n\n")
        start, *headers = head.splitlines()
        if any(line.startswith("Allow:") for line in headers):
            headers += extra
        if order:
            headers.sort(key=lambda line: order.index(_header(line)))
        return "<![CDATA[\n\n" + "\n".join([start, *headers, "", *body.splitlines(), *([""] if body else [])]) + "\n]]>"

    text = (SCENARIOS / f"{scenario}.xml").read_text()
    text = re.sub(r"<!\[CDATA\[(.*?)\]\]>", message, text, flags=re.DOTALL)
    return re.sub(r"\{([a-z_]+(?:\.\d)?)\}", lambda match: values[match[1]], text)


def _header(line: str) -> str:
    """Return the name of a header line, also of the lines that SIPp fills in."""
    if line == "[routes]":
        return "Route"
    if line.startswith("[authentication"):
        return "Authorization"
    return line.removeprefix("[last_").partition(":")[0]


@dataclass
class Phone:
    """One phone of one account; behind is its private address if a router translates it (NAT)."""

    stage: Stage
    host: Host
    account: str
    name: str
    model: str
    password: str
    port: int = 5060
    behind: str = ""
    refresh: float = REFRESH
    ring: float = 2.0
    cseq: int = field(default_factory=lambda: int(random_word("123456789", 2)))

    @property
    def address(self) -> str:
        """The address that its packets come from."""
        return self.host.addresses[0]

    @cached_property
    def registration(self) -> str:
        """The Call-ID that it keeps for all its registrations (RFC 3261, section 10.2.4)."""
        return self._call_id()

    def register(self) -> None:
        """Register: a challenge, then credentials."""
        self._play("register", self.registration, cseq=self.cseq)
        self.cseq += 2

    def keep_alive(self) -> None:
        """Ask the server for a sign of life."""
        self._play("keepalive", self._call_id())

    def call(self, number: str, talk: float = 2.0) -> None:
        """Call a number, talk so many seconds and hang up."""
        self._play("call", self._call_id(), number=number, talk=talk)

    def hang_up(self, number: str, ringing: float = 1.2) -> None:
        """Call a number and cancel while it rings."""
        self._play("hang_up", self._call_id(), number=number, talk=ringing)

    def live(self, seconds: float, plan: Sequence[tuple[float, Callable[["Phone"], None]]] = ()) -> None:
        """Register again and again for so many seconds, do what is planned at its time, and answer calls in between."""
        begin = time.monotonic()
        first = 0.3 + (sum(map(ord, self.account)) * 7 % 40) / 10
        times = [first + number * self.refresh for number in range(int((seconds - first - 1) / self.refresh) + 1)]
        agenda = [*((moment, Phone.register) for moment in times), *plan]
        if MODELS[self.model]["keeps_alive"]:
            agenda += [(moment + 0.5 * self.refresh, Phone.keep_alive) for moment in times[:-1]]
        for moment, action in sorted(agenda, key=lambda entry: entry[0]):
            self.rest(begin + moment - time.monotonic())
            action(self)
        self.rest(begin + seconds - time.monotonic())

    def rest(self, seconds: float) -> None:
        """Answer calls and the server's OPTIONS for so many seconds."""
        if seconds <= 0:
            return
        resting = self.answer()
        try:
            time.sleep(seconds)
        finally:
            finish(resting)

    def answer(self) -> Popen[bytes]:
        """Start to answer calls and the server's OPTIONS; finish() ends it."""
        path = self._scenario("answer", ring=self.ring)
        # only who answers echoes: two that echo would never stop talking
        return self.stage.start(self.host.name, "sipp", "-sf", str(path), *self._options(), "-rtp_echo")

    def _play(self, scenario: str, call_id: str, *, talk: float = 0.0, cseq: int = 1, number: str = "") -> None:
        path = self._scenario(scenario, talk=talk, cseq=cseq, number=number)
        code = self.stage.run(
            self.host.name, "sipp", self._server() + ":5060", "-sf", str(path), "-m", "1", "-cid_str", call_id,
            *self._options(), seconds=20 + talk,
        )  # fmt: skip
        if code:
            raise StageError(f"{self.stage.scene}: phone {self.account} could not {scenario}: {self._last_error()}")

    def _last_error(self) -> str:
        errors = self.stage.scratch / f"{self.account}-errors.log"
        return errors.read_text(errors="replace").strip()[-400:] if errors.exists() else "SIPp does not say why"

    def _options(self) -> list[str]:
        media = 4 * (int(self.account) + 3000) if self.account.isdecimal() else 16400
        return [
            "-i", self.address, "-p", str(self.port), "-mi", self.address, "-mp", str(media), "-nostdin",
            "-trace_err", "-error_file", str(self.stage.scratch / f"{self.account}-errors.log"),
            # to SIPp, a bracket opens a keyword: only as keywords can IPv6 addresses go into a scenario
            "-key", "registrar", self._server(), "-key", "own", in_uri(self.behind or self.address),
        ]  # fmt: skip

    def _server(self) -> str:
        return in_uri(PBX6 if ":" in self.address else PBX)

    def _call_id(self) -> str:
        return mint(MODELS[self.model]["call_id"].replace("{address}", self.behind or self.address))

    def _scenario(
        self, scenario: str, *, talk: float = 0.0, ring: float = 0.0, cseq: int = 1, number: str = ""
    ) -> Path:
        model, own = MODELS[self.model], self.behind or self.address
        sent_by = f"[own]:{5060 if self.behind else self.port}"
        hand = partial(str.replace, model["via"], "{branch}")
        values = {
            "server": "[registrar]", "account": self.account, "name": f'"{self.name}"', "password": self.password,
            "sent_by": sent_by, "user_agent": model["user_agent"], "expires": str(EXPIRES), "number": number,
            "cseq": str(cseq), "next_cseq": str(cseq + 1), "bye_cseq": str(cseq + 2), "tag.1": mint(model["tag"]),
            "family": "IP6" if ":" in own else "IP4", "media_address": own, "session": mint("{d8}"),
            "talk": str(round(talk * 1000)), "ring": str(round(ring * 1000)),
            **{f"via.{n}": hand(mint(model["branch"])).replace("{sent_by}", sent_by) for n in range(1, 5)},
        }  # fmt: skip
        path = self.stage.scratch / f"{self.account}-{scenario}-{random_word(string.digits, 6)}"
        values["voice"] = str(record_speech(path.with_suffix(".pcap"), max(talk - 0.3, 0)))
        path.with_suffix(".xml").write_text(render(scenario, values, model["order"], model["extra"]))
        return path.with_suffix(".xml")


class Household:
    """Phones that live beside each other, each in a thread, until all are done."""

    def __init__(self) -> None:
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def add(self, phone: Phone, seconds: float, *plan: tuple[float, Callable[[Phone], None]]) -> None:
        """Let a phone live for so many seconds."""
        thread = threading.Thread(target=self._live, args=(phone, seconds, plan), daemon=True)
        self._threads.append(thread)
        thread.start()

    def wait(self) -> None:
        """Wait until all phones are done; raises what any of them raised."""
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _live(self, phone: Phone, seconds: float, plan: Sequence[tuple[float, Callable[[Phone], None]]]) -> None:
        try:
            phone.live(seconds, plan)
        except BaseException as failure:  # noqa: BLE001  it is raised again where wait() is called
            self._failures.append(failure)
