"""What recorders that are Python packages have in common: a process of their own, which writes pcap to a pipe."""

import sys
from typing import ClassVar

from analyzer.errors import SettingsError
from analyzer.pcapng import Lost
from analyzer.recorders import Order


class Library:
    """A Python package that records; it does not know what it loses."""

    name: ClassVar[str]
    writes_files: ClassVar[bool] = False
    begun: ClassVar[str] = "recording"

    def locate(self) -> list[str]:
        """Return the command that starts the module of this name beside this one."""
        return [sys.executable, "-P", "-m", f"analyzer.recorders.{self.name}"]

    def command(self, order: Order, output: str) -> list[str]:
        """Return the command that records to standard output."""
        if output != "-":
            raise SettingsError(f"{self.name} records to a pipe alone", key="recorder")
        return [*self.locate(), order.interface, order.filter, "promiscuous" if order.promiscuous else ""]

    def lost(self, said: str) -> Lost:  # noqa: ARG002
        """Return that nothing is known."""
        return Lost()
