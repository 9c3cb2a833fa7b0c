"""The slow and obvious way to write CSV: one cell after another."""

import pandas as pd
import pyarrow as pa

from analyzer.exports.escape import escape

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv(frame):
    lines = [",".join(escape(name) for name in frame.columns)]
    lines += [",".join(map(cell, row)) for row in zip(*(frame[name] for name in frame), strict=True)]
    return "".join(f"{line}\n" for line in lines).encode()


def cell(value):
    if isinstance(value, list):
        return quoted(";".join(map(item, value))) if value else ""
    if pd.isna(value):
        return ""
    if isinstance(value, str):
        return quoted(harmless(value))
    if isinstance(value, pd.Timestamp):
        return value.tz_localize(None).isoformat(timespec="nanoseconds") + "Z"
    return pa.scalar(value).cast(pa.string()).as_py()


def item(value):
    return str(value) if isinstance(value, int) else harmless(value).replace(";", "\\x3b")


def harmless(text):
    return ("'" if text.startswith(FORMULAS) else "") + escape(text)


def quoted(text):
    return '"' + text.replace('"', '""') + '"' if not text or set(text) & set('",;') else text
