"""What the native engine remembers from packet to packet: flows of SIP over TCP, and datagrams in fragments."""

import secrets
from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.engines import Anomaly
from analyzer.engines import _layout as layout

if TYPE_CHECKING:
    from numpy.typing import NDArray


def make_memory(*, places: int = layout.PLACES, chunks: int = layout.POOL) -> np.void:
    """Return an empty MEMORY for so many flows and datagrams, and so many chunks of 2,048 bytes.

    chunks must be 32 at least, so that one datagram can be whole. What is not used costs no memory.
    """
    memory = np.zeros(1, layout.MEMORY)[0]
    memory["spare"][:] = -1, 0, chunks
    for table in (memory["flows"], memory["datagrams"]):
        table["state"][:] = 0, -1, -1, -1, places, 1 + secrets.randbelow(2**31 - 2), 0
    return memory


def tell_lost(lost: "NDArray[Any]", count: int) -> Iterator[Anomaly]:
    """Yield an anomaly for each FACTS of lost, of which the first count are written, and one for all others."""
    told = lost[:count]
    for datagram in told:
        yield _tell(datagram)
    if count > len(told):
        detail = f"{count - len(told):,} more datagram(s) like these, not listed one by one"
        yield Anomaly(-1, 0, "incomplete datagram", detail)


def _tell(datagram: "NDArray[Any]") -> Anomaly:
    fragments = int(datagram["fragments"])
    shown = ", ".join(f"{number:,}" for number in datagram["shown"][:fragments].tolist())
    more = "" if fragments <= layout.SHOWN else f" and {fragments - layout.SHOWN:,} more"
    ends = f"from {_address(datagram['source'])} to {_address(datagram['destination'])}"
    which = f"{fragments:,} fragment(s) {ends} (packets {shown}{more})"
    reason, what = "overlapping fragments", "contradict each other, and are not put together"
    if datagram["state"] == layout.GROWING:
        reason, what = "incomplete datagram", "are not all of their datagram"
    elif datagram["state"] == layout.CLASHED:
        what = "contradict each other: of each byte the first one counts"
    return Anomaly(int(datagram["time"]), int(datagram["number"]), reason, f"{which} {what}")


def _address(halves: "NDArray[Any]") -> str:
    high, low = halves.view(np.uint64).tolist()
    address = IPv6Address(high << 64 | low)
    return str(address.ipv4_mapped or address)
