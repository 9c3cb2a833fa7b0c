"""What is written of a packet that may carry SIP: where it came from and went to, when, and where its payload lies."""

# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.engines._layout import AT, END, IP_AT, PACKET, PAYLOAD, SHIFT, SIP, SIP_PORT, STOP, TIME
from analyzer.engines._start_lines import may_be_sip
from analyzer.engines._words import big16, big32


@part
def write_row(data: np.ndarray, place: np.ndarray, ports: int, payload: int, row: np.void) -> None:
    """Write the row of a packet of which the ports lie at ports, and the payload at payload."""
    ip, stop = place[IP_AT], place[STOP]
    source, destination = row["source"], row["destination"]
    if data[ip] >> 4 == 4:
        row["ttl"] = data[ip + 8]
        source[0] = destination[0] = 0
        source[1] = 0xFFFF00000000 | big32(data, ip + 12)
        destination[1] = 0xFFFF00000000 | big32(data, ip + 16)
    else:
        row["ttl"] = data[ip + 7]
        for half in range(2):
            at = ip + 8 + 8 * half
            source[half] = big32(data, at) << 32 | big32(data, at + 4)
            destination[half] = big32(data, at + 16) << 32 | big32(data, at + 20)
    row["number"] = place[PACKET]
    row["time"] = place[TIME]
    row["source_port"] = big16(data, ports)
    row["destination_port"] = big16(data, ports + 2)
    row["transport"] = 0
    row["start"] = payload + place[SHIFT]
    row["length"] = stop - payload
    row["missing"] = place[END] - stop


@part
def settle_datagram(data: np.ndarray, place: np.ndarray, row: np.void) -> int:
    """Return SIP, the row written, if a UDP datagram may be that, and PAYLOAD if not."""
    at = place[AT]
    sip_port = big16(data, at - 8) == SIP_PORT or big16(data, at - 6) == SIP_PORT
    if not may_be_sip(data, at, place[STOP], sip_port):
        return PAYLOAD
    write_row(data, place, at - 8, at, row)
    return SIP
