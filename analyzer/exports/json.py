"""JSON: one array of records, one record per line, in ASCII; missing is null, times are ISO 8601 in UTC."""

from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import pandas as pd

ROWS = 20_000
"""Rows that are written at a time."""


def write_json(frame: "pd.DataFrame", file: BinaryIO) -> None:
    """Write frame to file as one JSON array of records."""
    file.write(b"[")
    for start in range(0, len(frame), ROWS):
        rows = frame.iloc[start : start + ROWS]
        lines = rows.to_json(orient="records", lines=True, date_format="iso", date_unit="ns")
        records = ",\n".join(lines.rstrip("\n").split("\n"))
        file.write(f"{',' if start else ''}\n{records}".encode())
    file.write(b"\n]\n")
