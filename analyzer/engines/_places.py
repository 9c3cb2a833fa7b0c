"""Tables that remember: no more places than they have, and no more work per packet than a few steps."""

# mypy: disallow-untyped-decorators=False, disallow-any-generics=False, disable-error-code="assignment,return-value"

import numpy as np

from analyzer.compiled import part
from analyzer.engines._layout import (
    ASKED,
    CHAIN_OF,
    CHAINED,
    FREE,
    FRESH,
    KEY,
    LIMIT,
    NEWER,
    NEWEST,
    OLDER,
    OLDEST,
    PLACES,
    SECRET,
)  # fmt: skip


@part
def find_place(table: np.void) -> int:
    """Return the place of the key that is looked for, -1 if it has none.

    Its chain is a polynomial over 2 ** 31 - 1 at a secret point: who writes packets cannot make chains long.
    """
    keys = table["keys"]
    state = table["state"]
    total = np.int64(0)
    for index in range(KEY):
        word = keys[PLACES, index]
        for shift in range(0, 64, 22):
            total = total * state[SECRET] + (word >> shift & 0x3FFFFF)
            total = (total & 0x7FFFFFFF) + (total >> 31)
            total = (total & 0x7FFFFFFF) + (total >> 31)
    state[ASKED] = total & (PLACES - 1)
    place = np.int64(table["heads"][state[ASKED]]) - 1
    while place >= 0:
        same = 0
        while same < KEY and keys[place, same] == keys[PLACES, same]:
            same += 1
        if same == KEY:
            break
        place = np.int64(table["links"][place, CHAINED])
    return place


@part
def is_full(table: np.void) -> bool:
    """Say whether no place is free."""
    return table["state"][FREE] < 0 and table["state"][FRESH] >= table["state"][LIMIT]


@part
def add_place(table: np.void) -> int:
    """Give the key that find_place did not find a place, and return it; there must be a free one."""
    state = table["state"]
    links = table["links"]
    place = state[FREE]
    if place >= 0:
        state[FREE] = links[place, CHAINED]
    else:
        place = state[FRESH]
        state[FRESH] += 1
    for index in range(KEY):
        table["keys"][place, index] = table["keys"][PLACES, index]
    links[place, CHAIN_OF] = state[ASKED]
    links[place, CHAINED] = table["heads"][state[ASKED]] - 1
    table["heads"][state[ASKED]] = place + 1
    queue_place(table, place)
    return place


@part
def queue_place(table: np.void, place: int) -> None:
    """Make a place the newest."""
    newest = table["state"][NEWEST]
    table["links"][place, OLDER] = newest
    table["links"][place, NEWER] = -1
    if newest >= 0:
        table["links"][newest, NEWER] = place
    else:
        table["state"][OLDEST] = place
    table["state"][NEWEST] = place


@part
def leave_queue(table: np.void, place: int) -> None:
    """Take a place out of the order of age."""
    older = np.int64(table["links"][place, OLDER])
    newer = np.int64(table["links"][place, NEWER])
    if older >= 0:
        table["links"][older, NEWER] = newer
    else:
        table["state"][OLDEST] = newer
    if newer >= 0:
        table["links"][newer, OLDER] = older
    else:
        table["state"][NEWEST] = older


@part
def drop_place(table: np.void, place: int) -> None:
    """Make a place free."""
    links = table["links"]
    chain = links[place, CHAIN_OF]
    at = np.int64(table["heads"][chain]) - 1
    if at == place:
        table["heads"][chain] = links[place, CHAINED] + 1
    else:
        while links[at, CHAINED] != place:
            at = np.int64(links[at, CHAINED])
        links[at, CHAINED] = links[place, CHAINED]
    leave_queue(table, place)
    links[place, CHAINED] = table["state"][FREE]
    table["state"][FREE] = place
