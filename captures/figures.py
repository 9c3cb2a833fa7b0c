"""What a capture holds, counted by tshark, and the places that tell it: truth.toml and README.md."""

import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from stage import HERE, StageError, program

TRUTH = HERE / "truth.toml"
README = HERE / "README.md"
TABLE = re.compile(r"(<!-- figures -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Figures:
    """The packets of a capture, and its SIP messages by method (requests) and status (responses).

    What ICMP quotes of a message is none.
    """

    packets: int
    methods: dict[str, int]
    statuses: dict[str, int]

    @property
    def messages(self) -> int:
        """All SIP messages, requests and responses."""
        return sum(self.methods.values()) + sum(self.statuses.values())


def count(capture: Path) -> Figures:
    """Return a capture's figures; StageError if tshark finds anything in it malformed."""
    if broken := _fields(capture, "frame.number", "_ws.malformed"):
        raise StageError(f"{capture.name}: tshark calls packet {broken[0]} malformed")
    methods = Counter(_fields(capture, "sip.Method", "sip && !icmp && !icmpv6"))
    statuses = Counter(_fields(capture, "sip.Status-Code", "sip && !icmp && !icmpv6"))
    return Figures(len(_fields(capture, "frame.number")), dict(sorted(methods.items())), dict(sorted(statuses.items())))


def write_truth(capture: str, figures: Figures) -> None:
    """Renew the figures of one capture in truth.toml; what is true of it besides is written by hand."""
    text = TRUTH.read_text()
    start = text.index(f"[{capture}]")
    end = text.find("\n[", start)
    section = text[start : end if end > 0 else len(text)]
    renewed = section
    for name, value in _as_toml(figures).items():
        renewed = re.sub(rf"^{name} = .*$", f"{name} = {value}", renewed, flags=re.MULTILINE)
    TRUTH.write_text(text.replace(section, renewed))


def write_table(files: dict[str, str]) -> None:
    """Renew the table of figures in README.md from the captures that are there; files are named by capture."""
    rows = ["| file | bytes | packets | SIP messages | requests | responses |", "|---|--:|--:|--:|---|---|"]
    for file in files.values():
        path = HERE / file
        if path.exists():
            figures = count(path)
            requests, responses = _as_words(figures.methods), _as_words(figures.statuses)
            rows.append(
                f"| `{file}` | {path.stat().st_size:,} | {figures.packets:,} | {figures.messages:,} "
                f"| {requests} | {responses} |"
            )
    README.write_text(TABLE.sub(lambda match: match[1] + "\n".join(rows) + "\n" + match[2], README.read_text()))


def _fields(capture: Path, field: str, display_filter: str = "frame") -> list[str]:
    command = [program("tshark"), "-n", "-r", str(capture), "-Y", display_filter, "-T", "fields", "-e", field]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def _as_toml(figures: Figures) -> dict[str, str]:
    def table(counts: dict[str, int]) -> str:
        return "{ " + ", ".join(f"{name} = {number}" for name, number in counts.items()) + " }"

    return {
        "packets": str(figures.packets),
        "messages": str(figures.messages),
        "methods": table(figures.methods),
        "statuses": table(figures.statuses),
    }


def _as_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items())
