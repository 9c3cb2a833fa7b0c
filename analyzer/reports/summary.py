"""summary.json: the answer for programs, in a structure that later versions keep.

    schema      1; a later number may add keys, and takes none away
    sipscope    the version that wrote it
    period      since and until, of a period of a store; null for captures
    settings    thresholds that differ from their defaults (detector, name, value, default; times in seconds), detectors
                added and left_out, allow (entries, files), signatures and geoip (files), engine, keylog, most_bytes,
                ports, recorded (by a job), narrowed
    answer      the sentences of the answer, as {role, text}; the same words as in the other reports
    captures    the captures table
    counts      captures, packets, messages, sources, attacks, campaigns, anomalies
    fates       packets by fate (message, set-aside, unreadable) and reason; they add up to counts.packets
    anomalies   how many, by reason
    breaches    accounts taken over: account, source, campaign, time, guesses, password, capture, packet
    answered    calls answered: dialled, wanted, source, campaign, time, talked (seconds), audio, times, capture, packet
    campaigns   the campaigns table, worst first, all columns
    sources     sources by verdict: attacking, suspicious, innocent

Times are ISO 8601 in UTC, lists are lists, missing is null. Passwords are masked unless they were asked for.
"""

import json
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyzer.exports.files import open_whole
from analyzer.exports.secrets import mask, mask_secrets
from analyzer.reports.answer import Answer, answer, worst_first
from analyzer.reports.settings import settings_for_programs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.analysis import Analysis

SCHEMA = 1
VERDICTS = ("attacking", "suspicious", "innocent")


def write_summary(
    analysis: "Analysis", path: str | Path, *, show_secrets: bool = False, told: Answer | None = None
) -> None:
    """Write summary.json to path; raise SettingsError if it cannot be written. Told is the answer, if known."""
    whole = summarize(analysis, show_secrets=show_secrets, told=told)
    # Line by line, so that people can read it; without indents, which only the slow encoder makes.
    text = "{\n" + ",\n".join(f"{json.dumps(name)}: {_json(part)}" for name, part in whole.items()) + "\n}"
    with open_whole(path) as file:
        file.write(f"{text}\n".encode())


def _json(part: object) -> str:
    """Return a part of the summary; of a list, an entry per line."""
    if not isinstance(part, list) or not part:
        return json.dumps(part)
    return "[\n" + ",\n".join(map(json.dumps, part)) + "\n]"


def summarize(analysis: "Analysis", *, show_secrets: bool = False, told: Answer | None = None) -> dict[str, Any]:
    """Return what summary.json holds, see this module's docstring; told is the answer of the analysis, if known."""
    told = told or answer(analysis, show_secrets=show_secrets)
    campaigns = worst_first(analysis.campaigns)
    return {
        "schema": SCHEMA,
        "sipscope": version("sipscope"),
        "period": analysis.period and {name: _moment(time) for name, time in asdict(analysis.period).items()},
        "settings": settings_for_programs(analysis.settings),
        "answer": [{"role": line.role, "text": line.text} for line in told.lines],
        "captures": _records(analysis.captures),
        "counts": _counts(analysis),
        "fates": _fates(analysis.fates),
        "anomalies": _tally(analysis.anomalies["reason"]),
        "breaches": [_plain(_masked(asdict(breach), show=show_secrets)) for breach in told.breaches],
        "answered": [_plain(asdict(call)) for call in told.calls],
        "campaigns": _records(campaigns if show_secrets else mask_secrets(campaigns)),
        "sources": dict.fromkeys(VERDICTS, 0) | _tally(analysis.sources["verdict"]),
    }


def _moment(time: datetime | None) -> str | None:
    """Return a time as '2026-11-22T14:50:00Z'."""
    return None if time is None else time.replace(tzinfo=None).isoformat() + "Z"


def _counts(analysis: "Analysis") -> dict[str, int]:
    names = ("captures", "messages", "sources", "attacks", "campaigns", "anomalies")
    counts = {name: len(getattr(analysis, name)) for name in names}
    return counts | {"packets": int(analysis.captures["packets"].sum())}


def _fates(fates: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return packets by fate and reason."""
    grouped: dict[str, dict[str, int]] = {"message": {}, "set-aside": {}, "unreadable": {}}
    for fate, reason, packets in zip(
        fates["fate"], fates["reason"].astype("str").fillna(""), fates["packets"], strict=True
    ):
        reasons = grouped.setdefault(str(fate), {})
        reasons[reason] = reasons.get(reason, 0) + int(packets)
    return grouped


def _tally(words: "pd.Series[Any]") -> dict[str, int]:
    return {str(word): int(number) for word, number in words.value_counts().items() if number}


def _masked(breach: dict[str, Any], *, show: bool) -> dict[str, Any]:
    password = breach["password"]
    return breach if show or password is None else {**breach, "password": mask(password)}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [_plain(row) for row in frame.to_dict("records")]


def _plain(row: "Mapping[Any, Any]") -> dict[str, Any]:
    return {str(name): _value(value) for name, value in row.items()}


def _value(value: object) -> object:
    """Return a cell as JSON has it."""
    if isinstance(value, list):
        return value
    if isinstance(value, pd.Timestamp):
        return f"{value.tz_localize(None).isoformat(timespec='nanoseconds')}Z"
    return None if pd.isna(value) else value  # type: ignore[call-overload]
