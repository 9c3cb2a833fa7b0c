"""dumpcap, Wireshark's recorder: the default, since it alone may have the right to record when nobody else does."""

import re
from dataclasses import dataclass
from typing import ClassVar

from analyzer.errors import AnalyzerError, SettingsError
from analyzer.pcapng import Lost
from analyzer.recorders import SNAP_BYTES, Order, find_program, refused

_COUNTERS = re.compile(
    r"Packets received/dropped on interface '.*': (\d+)/\d+ \(pcap:(\d+)/dumpcap:(\d+)/flushed:(\d+)/ps_ifdrop:(\d+)\)"
)
_REFUSALS = ("permission", "Operation not permitted", "EPERM", "CAP_NET_RAW")
_MOST_QUOTED = 160


@dataclass(frozen=True)
class Dumpcap:
    """dumpcap writes pcapng; what it lost it says when it ends."""

    name: ClassVar[str] = "dumpcap"
    writes_files: ClassVar[bool] = True
    begun: ClassVar[str] = "File: "

    def locate(self) -> list[str]:
        """Return the command that starts it; raise UnavailableError if it is missing."""
        return [find_program("dumpcap", "install Wireshark's (Debian: apt install wireshark-common)")]

    def command(self, order: Order, output: str) -> list[str]:
        """Return the command that records to output, a path or - for standard output."""
        options = ["-i", order.interface, "-f", order.filter, "-s", str(SNAP_BYTES), "-B", str(order.buffer), "-n"]
        return [*self.locate(), *options, "-q", *([] if order.promiscuous else ["-p"]), "-w", output]

    def explain(self, said: str, order: Order) -> AnalyzerError | None:
        """Return what went wrong for good, by what it said; None if it may be started again."""
        if "capture filter" in said:
            return SettingsError(f"'{order.filter}' is no capture filter ({_quote(said)}); see man pcap-filter")
        if any(word in said for word in _REFUSALS):
            return refused(order, self.name)
        return None

    def lost(self, said: str) -> Lost:
        """Return the counters that it told when it ended."""
        if not (found := _COUNTERS.findall(said)):
            return Lost()
        received, kernel, own, flushed, interface = map(int, found[-1])
        return Lost(received=received, kernel=kernel + own + flushed, interface=interface)


def _quote(said: str) -> str:
    """Return what the program said of a filter, in one line."""
    reason = re.search(r"\(([^()]+)\)", said)
    words = " ".join((reason[1] if reason else said).split())
    return words[:_MOST_QUOTED].rstrip(".")


DUMPCAP = Dumpcap()
