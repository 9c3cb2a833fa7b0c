"""The settings that an analysis was made with, in words: what differs from the defaults first."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.detectors import DETECTORS
from analyzer.reports.words import count, listed, quoted, within

if TYPE_CHECKING:
    from analyzer.analysis import Analysis
    from analyzer.settings import Settings, Threshold

NAMES = 6
"""Files, words and addresses that a value names."""


class Used(NamedTuple):
    """One setting, and what it was."""

    name: str
    value: str
    differs: bool = False
    """Whether it differs from the defaults in a way that bears on who is accused or told of."""


def settings_in_words(analysis: "Analysis") -> tuple[Used, ...]:
    """Return the settings of an analysis, those that differ from the defaults first."""
    settings = analysis.settings
    told = [
        *(Used(f"{one.detector} {one.name}", _instead(one), differs=True) for one in settings.thresholds),
        Used("detectors", _detectors(settings), differs=bool(settings.added or settings.left_out)),
        *_lists(settings),
        *_reading(analysis, settings),
    ]
    return tuple(sorted(told, key=lambda used: not used.differs))


def settings_for_programs(settings: "Settings") -> dict[str, Any]:
    """Return settings as summary.json has them."""
    plain = asdict(settings)
    entries, files = plain.pop("allowed"), plain.pop("allow")
    thresholds = [
        {**asdict(one), "value": _countable(one.value), "default": _countable(one.default)}
        for one in settings.thresholds
    ]
    return plain | {"thresholds": thresholds, "allow": {"entries": entries, "files": files}, "ports": "all"}


def _lists(settings: "Settings") -> list[Used]:
    """Return what the analysis was given of known-good addresses, tools and places."""
    entries = count(settings.allowed, "entry", "entries")
    allow = f"{entries} of {_files(settings.allow)}" if settings.allow else entries if settings.allowed else "none"
    tools = f"built in, and those of {_files(settings.signatures)}" if settings.signatures else "built in"
    return [
        Used("allow-list", allow, differs=bool(settings.allowed or settings.allow)),
        Used("signatures of tools", tools, differs=bool(settings.signatures)),
        Used("places of addresses", _files(settings.geoip) or "not asked for"),
    ]


def _reading(analysis: "Analysis", settings: "Settings") -> list[Used]:
    """Return what was read, and how."""
    period = within(analysis.period.since, analysis.period.until) if analysis.period else ""
    told = [Used("time range", period or "all that was read", differs=False)]
    told += [Used("only", quoted(part), differs=True) for part in settings.narrowed]
    told.append(Used("ports", "any; SIP is recognised by its content"))
    told.append(Used("filter", "none; every packet that was recorded is looked at"))
    told += [Used("recorded", quoted(settings.recorded))] if settings.recorded else []
    told += [Used("engine", quoted(settings.engine))] if analysis.store is None else []
    told += [Used("TLS key log", _files([settings.keylog]))] if settings.keylog else []
    told += [Used("most bytes of a capture", f"{settings.most_bytes:,}")] if settings.most_bytes else []
    return told


def _detectors(settings: "Settings") -> str:
    """Return 'all 10, otherwise with their defaults', and which were added or left out."""
    told = f"{'' if settings.left_out else 'all '}{len(DETECTORS) - len(settings.left_out)}"
    told += ", otherwise" if settings.thresholds else ""
    told += " with their defaults"
    told += f"; also {listed(map(quoted, settings.added), NAMES)}" if settings.added else ""
    return f"{told}; without {listed(settings.left_out, NAMES)}" if settings.left_out else told


def _instead(one: "Threshold") -> str:
    return f"{_plain(one.value)} instead of {_plain(one.default)}"


def _plain(value: object) -> str:
    """Return a threshold as people read it."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, frozenset):
        return listed(map(quoted, sorted(value)), NAMES) or "nothing"
    return quoted(value)


def _countable(value: object) -> object:
    """Return a threshold as a settings file has it: seconds, a number, or a list of words."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return value if isinstance(value, int | float | None) else str(value)


def _files(paths: Iterable[str]) -> str:
    """Return the names of files without their folders, which are nobody else's business."""
    return listed((quoted(PurePath(path).name) for path in paths), NAMES)
