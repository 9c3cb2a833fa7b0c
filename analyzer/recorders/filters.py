"""What is recorded: the capture filter (pcap-filter(7)) that finds SIP where a plain 'port 5060' does not."""

from collections.abc import Sequence

FRAGMENTS = ("ip[6:2] & 0x1fff != 0", "ip6[6] == 44")
"""All but the first fragment of an IPv4 datagram, and every one of IPv6: they have no ports that a filter could see."""
EXTENDED = (
    "ip proto 51",
    "(ip6[6] == 0 and ip6[40] != 58)",
    "ip6[6] == 43",
    "ip6[6] == 51",
    "ip6[6] == 60",
    "ip6[6] == 135",
)
"""Packets with headers between that of IP and that of UDP: authentication (AH), and the extensions of IPv6.

Not those of its multicast: a hop-by-hop header before ICMPv6."""
INNER_PROTOCOLS = (4, 41, 47, 97, 115, 137)
"""IP in IP, IPv6 in IP (6in4), GRE, EtherIP, L2TPv3, MPLS in IP."""
TUNNEL_PORTS = (1701, 2152, 4789, 6081, 6635, 8472, 9060)
"""L2TP, GTP-U, VXLAN, Geneve, MPLS in UDP, VXLAN as Linux had it, HEP3 (which comes over TCP, too)."""
ETHERTYPES = (0x8847, 0x8848, 0x8864)
"""MPLS, and PPPoE sessions."""
TAGS = (0x8100, 0x88A8, 0x9100)
"""VLAN tags, of which Linux takes the outer one off where it can."""
_TAGS_DEEP = 2


def default_filter(ports: Sequence[int | tuple[int, int]], *, tagged: bool = True) -> str:
    """Return the filter for SIP on ports (or ranges of them), its fragments, and tunnels, whatever they carry.

    With tagged=True, for links that may have VLAN tags (Ethernet), all that in one and two tags, too.

    In the language of pcap filters, 'vlan' moves every offset to its right by the four bytes of the tag, and nothing
    moves them back: 'vlan and x or y' finds y in tagged packets alone. So what has no tag comes first, and what has
    another tag is nested in what has one.
    """
    untagged = _untagged(ports)
    if not tagged:
        # As many tags as the link layer does not take off itself are a protocol of their own here.
        return " or ".join([untagged, *(f"ether proto {tag:#x}" for tag in TAGS)])
    text = untagged
    for _ in range(_TAGS_DEEP):
        text = f"{untagged} or (vlan and ({text}))"
    return text


def _untagged(ports: Sequence[int | tuple[int, int]]) -> str:
    terms = [f"port {port}" if isinstance(port, int) else f"portrange {port[0]}-{port[1]}" for port in ports]
    terms += [*FRAGMENTS, *EXTENDED]
    terms += [f"proto {number}" for number in INNER_PROTOCOLS]
    terms += [f"port {port}" for port in TUNNEL_PORTS]
    terms += [f"ether proto {kind:#x}" for kind in ETHERTYPES]
    return " or ".join(terms)
