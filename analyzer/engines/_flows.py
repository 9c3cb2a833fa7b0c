"""TCP flows: which segments may carry SIP."""

# ruff: noqa: FBT001, PLR1714 (kernels are called by position, and compile best as flat loops)
# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.engines._layout import AT, CUT, END, NEWEST, OLDEST, PLACES, SEGMENT, STOP, TCP
from analyzer.engines._places import add_place, drop_place, find_place, is_full, leave_queue, queue_place
from analyzer.engines._rows import write_row
from analyzer.engines._start_lines import opens_sip
from analyzer.engines._words import big16, big32


@part
def is_sip_port(port: int) -> bool:
    """Say whether SIP over TCP, or TLS, is at home on a port: 5060, 5061, and 5080 where a PBX has a second one."""
    return port == 5060 or port == 5061 or port == 5080


@part
def ask_flow(keys: np.ndarray, row: np.void) -> None:
    """Make the flow of a segment the key that is looked for; both directions are one flow."""
    source, destination = row["source"], row["destination"]
    turned = source[0] > destination[0] or (source[0] == destination[0] and source[1] > destination[1])
    if source[0] == destination[0] and source[1] == destination[1]:
        turned = row["source_port"] > row["destination_port"]
    for half in range(2):
        keys[PLACES, half] = destination[half] if turned else source[half]
        keys[PLACES, 2 + half] = source[half] if turned else destination[half]
    ports = np.int64(row["source_port"]), np.int64(row["destination_port"])
    keys[PLACES, 4] = ports[1] << 16 | ports[0] if turned else ports[0] << 16 | ports[1]


@part
def is_followed(table: np.void, row: np.void, opens: bool) -> bool:
    """Say whether a segment on other ports is of a flow that may carry SIP; remember the flow if its payload opens one.

    What came on a flow before its first start line is not remembered: on ports that are not those of SIP, segments
    that overtook it are lost. When there is no more room, the flow that was silent longest is forgotten.
    """
    ask_flow(table["keys"], row)
    place = find_place(table)
    if place >= 0:
        leave_queue(table, place)
        queue_place(table, place)
        return True
    if opens:
        if is_full(table):
            drop_place(table, table["state"][OLDEST])
        add_place(table)
    return opens


@part
def settle_segment(data: np.ndarray, place: np.ndarray, table: np.void, row: np.void) -> int:
    """Return the fate of a TCP segment, its row written if it may carry SIP."""
    tcp, stop = place[AT], place[STOP]
    payload = tcp + np.int64(data[tcp + 12] >> 4) * 4
    source = big16(data, tcp)
    at_home = is_sip_port(source) or is_sip_port(big16(data, tcp + 2))
    opens = not at_home and opens_sip(data, payload, stop, source)
    fate = CUT if stop <= payload < place[END] else TCP
    if not at_home and not opens and table["state"][NEWEST] < 0:
        return fate
    write_row(data, place, tcp, payload, row)
    if not at_home and not is_followed(table, row, opens):
        return fate
    if stop < payload:
        return CUT
    row["sequence"] = big32(data, tcp + 4)
    row["flags"] = data[tcp + 13] & 31
    return SEGMENT
