"""Scapy's AsyncSniffer: where there is no program that records, and root; it does not know what it loses."""

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

from analyzer.errors import AnalyzerError, SettingsError, UnavailableError
from analyzer.recorders import Order, refused
from analyzer.recorders.library import Library


@dataclass(frozen=True)
class Scapy(Library):
    """Scapy writes pcap, in a process of its own."""

    name: ClassVar[str] = "scapy"

    def locate(self) -> list[str]:
        """Return the command that starts it; raise UnavailableError if it is missing."""
        if find_spec("scapy") is None:
            raise UnavailableError("the Python package scapy is missing; install it with pip")
        return super().locate()

    def explain(self, said: str, order: Order) -> AnalyzerError | None:
        """Return what went wrong for good, by what it said; None if it may be started again."""
        if "not permitted" in said or "PermissionError" in said:
            return refused(order, "dumpcap")
        if "filter" in said.lower() and "rror" in said:
            return SettingsError(f"'{order.filter}' is no capture filter; see man pcap-filter")
        return None


SCAPY = Scapy()


def main() -> None:
    """Record the interface and filter of the arguments to standard output, as pcap, until told to end."""
    import signal
    import threading

    from scapy.config import conf
    from scapy.sendrecv import AsyncSniffer
    from scapy.utils import PcapWriter

    interface, text, promiscuous = sys.argv[1:4]
    ended = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    writer: Any = PcapWriter(sys.stdout.buffer, sync=True, nano=True)
    conf.sniff_promisc = bool(promiscuous)

    def begun() -> None:
        sys.stderr.write("recording\n")
        sys.stderr.flush()

    sniffer: Any = AsyncSniffer(iface=interface, filter=text, store=False, prn=writer.write, started_callback=begun)
    sniffer.start()
    while not ended.wait(0.2) and sniffer.thread.is_alive():
        pass
    if sniffer.thread.is_alive() and sniffer.running:
        sniffer.stop()
    elif error := getattr(sniffer, "exception", None):
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
