"""tcpdump: tells what it lost whenever it is asked, but needs root."""

import re
from dataclasses import dataclass
from typing import ClassVar

from analyzer.errors import AnalyzerError, SettingsError
from analyzer.pcapng import Lost
from analyzer.recorders import SNAP_BYTES, Order, find_program, refused

_COUNTERS = {
    "received": re.compile(r"(\d+) packets? received by filter"),
    "kernel": re.compile(r"(\d+) packets? dropped by kernel"),
    "interface": re.compile(r"(\d+) packets? dropped by interface"),
}
_MOST_QUOTED = 160


@dataclass(frozen=True)
class Tcpdump:
    """tcpdump writes pcap; SIGUSR1 makes it tell its counters.

    It writes out each packet at once (-U): SIGUSR2, which asks for what it holds, may come while it writes, and then
    the same bytes come twice.
    """

    name: ClassVar[str] = "tcpdump"
    writes_files: ClassVar[bool] = False
    begun: ClassVar[str] = "listening on"

    def locate(self) -> list[str]:
        """Return the command that starts it; raise UnavailableError if it is missing."""
        return [find_program("tcpdump", "install it (Debian: apt install tcpdump)")]

    def command(self, order: Order, output: str) -> list[str]:
        """Return the command that records to output, a path or - for standard output."""
        options = ["-i", order.interface, "-s", str(SNAP_BYTES), "-B", str(order.buffer << 10), "-n", "--nano", "-U"]
        return [*self.locate(), *options, *([] if order.promiscuous else ["-p"]), "-w", output, "--", order.filter]

    def explain(self, said: str, order: Order) -> AnalyzerError | None:
        """Return what went wrong for good, by what it said; None if it may be started again."""
        if "ermission" in said or "not permitted" in said:
            return refused(order, self.name)
        if wrong := re.search(r"tcpdump: (.*(?:syntax error|expression|unknown|parse|no VLAN).*)", said):
            reason = wrong[1][:_MOST_QUOTED]
            return SettingsError(f"'{order.filter}' is no capture filter ({reason}); see man pcap-filter")
        return None

    def lost(self, said: str) -> Lost:
        """Return the counters that it told last; zero is not told of the interface."""
        last = {name: found[-1] for name, words in _COUNTERS.items() if (found := words.findall(said))}
        return Lost(**{name: int(count) for name, count in last.items()})


TCPDUMP = Tcpdump()
