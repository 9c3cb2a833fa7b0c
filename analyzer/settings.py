"""With what settings an analysis was made: what differs from the defaults, and the files that it was given."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.allow import AllowList
    from analyzer.detectors import Detector
    from analyzer.places import Places

ENGINE = "native"
"""What decodes packets unless another engine is asked for."""


@dataclass(frozen=True)
class Threshold:
    """A threshold of a detector that differs from its default."""

    detector: str
    name: str
    value: object
    default: object


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an analysis was told to do otherwise than it does by itself."""

    thresholds: tuple[Threshold, ...] = ()
    """Those that differ from their defaults, in the order of the detectors."""
    added: tuple[str, ...] = ()
    """Detectors that sipscope does not have."""
    left_out: tuple[str, ...] = ()
    """Detectors that it has, and that did not look."""
    allowed: int = 0
    """How many entries the allow-list has."""
    allow: tuple[str, ...] = ()
    """The files of the allow-list, if it is of files."""
    signatures: tuple[str, ...] = ()
    """Files with more tools than are built in."""
    geoip: tuple[str, ...] = ()
    """Files that say where addresses are from."""
    engine: str = ENGINE
    keylog: str | None = None
    """The TLS key log that packets were decrypted with."""
    most_bytes: int | None = None
    """How many bytes a compressed capture might hold, if that was said."""
    recorded: str | None = None
    """What was recorded of what interface, where a job knows it."""
    narrowed: tuple[str, ...] = ()
    """What the analysis was narrowed to afterwards, in words."""


def settings_of(
    detectors: "Iterable[Detector] | None",
    signatures: Sequence[object] = (),
    allowed: "AllowList | None" = None,
    places: "Places | None" = None,
) -> Settings:
    """Return the settings that an analysis has by its detectors (None: all, by default), files and lists."""
    names = _names() if detectors is not None else {}
    used = list(detectors or ())
    return Settings(
        thresholds=tuple(changed for detector in used for changed in _changed(detector, names.get(type(detector)))),
        added=tuple(type(detector).__name__ for detector in used if type(detector) not in names),
        left_out=tuple(name for kind, name in names.items() if kind not in map(type, used)),
        allowed=0 if allowed is None else len(allowed.entries),
        signatures=tuple(map(str, signatures)),
        geoip=() if places is None else tuple(database.file for database in places.databases),
    )


def _names() -> "dict[type[Detector], str]":
    """Return the names of the detectors that look without being asked, by their classes."""
    from analyzer.detectors import DETECTORS

    return {kind: name for name, kind in DETECTORS.items()}


def _changed(detector: "Detector", name: str | None) -> Iterator[Threshold]:
    """Yield the thresholds of a detector of this name that differ from their defaults."""
    for threshold in fields(detector) if name else ():  # type: ignore[arg-type]  # a detector is a dataclass
        value = getattr(detector, threshold.name)
        if value != threshold.default:
            yield Threshold(str(name), threshold.name, value, threshold.default)
