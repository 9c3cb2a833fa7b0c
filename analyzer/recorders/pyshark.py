"""pyshark's LiveCapture: TShark behind Python, for few packets; it does not know what it loses."""

import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

from analyzer.errors import AnalyzerError, SettingsError, UnavailableError
from analyzer.recorders import SNAP_BYTES, Order, find_program, refused
from analyzer.recorders.library import Library

_LINKS = {1: 1, 7: 101, 15: 0, 25: 113, 210: 276}
"""The link type of pcap for some of Wireshark's: Ethernet, IP, loopback, and cooked capture, old and new."""
_PCAP_NS = 0xA1B23C4D


@dataclass(frozen=True)
class Pyshark(Library):
    """pyshark writes pcap, in a process of its own, with TShark and dumpcap behind it."""

    name: ClassVar[str] = "pyshark"

    def locate(self) -> list[str]:
        """Return the command that starts it; raise UnavailableError if something is missing."""
        if find_spec("pyshark") is None:
            raise UnavailableError("the Python package pyshark is missing; install it with pip")
        find_program("tshark", "install it (Debian: apt install tshark)")
        find_program("dumpcap", "install Wireshark's (Debian: apt install wireshark-common)")
        return super().locate()

    def explain(self, said: str, order: Order) -> AnalyzerError | None:
        """Return what went wrong for good, by what it said; None if it may be started again."""
        if "permission" in said or "not permitted" in said:
            return refused(order, "dumpcap")
        if "capture filter" in said:
            return SettingsError(f"'{order.filter}' is no capture filter; see man pcap-filter")
        return None


PYSHARK = Pyshark()


def main() -> None:
    """Record the interface and filter of the arguments to standard output, as pcap, until told to end."""
    import signal
    import threading

    from pyshark import LiveCapture

    interface, text, promiscuous = sys.argv[1:4]

    class Capture(LiveCapture):  # type: ignore[misc]
        """A live capture that leaves the interface as it is."""

        def _get_dumpcap_parameters(self) -> list[str]:
            return [*super()._get_dumpcap_parameters(), *([] if promiscuous else ["-p"])]

    signal.signal(signal.SIGINT, signal.default_int_handler)
    capture = Capture(interface, bpf_filter=text, use_json=True, include_raw=True)
    threading.Timer(0, lambda: sys.stderr.write("recording\n")).start()
    try:
        _write(capture.sniff_continuously())
    except (KeyboardInterrupt, BrokenPipeError):
        return


def _write(packets: Iterable[Any]) -> None:
    """Write packets to standard output, as pcap with times in ns."""
    out = sys.stdout.buffer
    begun = False
    for packet in packets:
        if not begun:
            begun = True
            link = _LINKS.get(int(packet.frame_info.encap_type), _LINKS[1])
            out.write(struct.pack("=IHHiIII", _PCAP_NS, 2, 4, 0, 0, SNAP_BYTES, link))
        data = packet.get_raw_packet()
        seconds, _, rest = str(packet.sniff_timestamp).partition(".")
        wire = max(int(packet.length), len(data))
        out.write(struct.pack("=IIII", int(seconds), int(rest[:9].ljust(9, "0")), len(data), wire) + data)
        out.flush()


if __name__ == "__main__":
    main()
