"""What formats with a line for each message have in common."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

ROWS = 20_000
"""Rows that are written at a time."""


def chunks(frame: "pd.DataFrame") -> Iterator["pd.DataFrame"]:
    """Yield the rows of a table, some at a time."""
    for start in range(0, len(frame), ROWS):
        yield frame.iloc[start : start + ROWS]


def party(frame: "pd.DataFrame", side: str) -> "pd.Series[str]":
    """Return the From or To ("from", "to") of messages as it is written: "name" <sip:user@host>;tag=tag."""
    host = frame[f"{side}_host"].astype("str")
    user = frame[f"{side}_user"].astype("str")
    address = "<sip:" + (user + "@").fillna("") + host + ">"
    if side == "from":
        name = frame["from_name"].astype("str")
        address = ('"' + name + '" ').fillna("") + address
    return address + (";tag=" + frame[f"{side}_tag"].astype("str")).fillna("")
