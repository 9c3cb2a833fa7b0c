"""Network interfaces, as this process may see them without any right: their names, and whether they are up."""

import fcntl
import socket
import struct

from analyzer.errors import CaptureError

ANY = "any"
"""The name that stands for all interfaces at once."""
_SIOCGIFFLAGS = 0x8913
_SIOCGIFHWADDR = 0x8927
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_ARPHRD_ETHER, _ARPHRD_LOOPBACK = 1, 772
_MOST_NAMED = 8


def check_interface(name: str) -> None:
    """Raise CaptureError, with the names that there are, unless there is an interface of that name."""
    names = list_interfaces()
    if name != ANY and name not in names:
        there = ", ".join(names[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")
        raise CaptureError(name, f"there is no such interface; choose from {there or 'none'}, or {ANY} for all")


def list_interfaces() -> list[str]:
    """Return the names of the interfaces that there are."""
    return [name for _, name in socket.if_nameindex()]


def is_up(name: str) -> bool:
    """Say whether an interface is there, is switched on, and has a link; the interface 'any' always does."""
    if name == ANY:
        return True
    flags = struct.unpack_from("=H", _ask(name, _SIOCGIFFLAGS))[0]
    return bool(flags & _IFF_UP) and bool(flags & _IFF_RUNNING)


def has_tags(name: str) -> bool:
    """Say whether the packets of an interface come as Ethernet frames, which may have VLAN tags."""
    return name != ANY and struct.unpack_from("=H", _ask(name, _SIOCGIFHWADDR))[0] in (_ARPHRD_ETHER, _ARPHRD_LOOPBACK)


def _ask(name: str, question: int) -> bytes:
    """Return the kernel's answer about an interface; zeros if there is none of that name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            return fcntl.ioctl(any_socket, question, struct.pack("16s24x", name.encode()[:15]))[16:]
        except OSError:
            return bytes(24)
