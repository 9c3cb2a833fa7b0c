"""Messages to attacks: each file here finds one kind of attack, looking at one source at a time.

A detector is a frozen dataclass of thresholds. It gets the opening requests (analyzer.evidence) and returns
rows of the attacks table. A confidence below SURE is a suspicion: it becomes an attack only where a campaign
of several sources confirms it (analyzer.campaigns).
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from analyzer.errors import SettingsError
from analyzer.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

SURE = 0.5
"""The confidence from which a finding is an attack by itself."""


class Detector(Protocol):
    """A frozen dataclass of thresholds that turns opening requests into attacks."""

    kind: ClassVar[str]
    """The kind of the attacks that it finds."""

    def __call__(self, requests: "pd.DataFrame") -> "pd.DataFrame":
        """Return one row of the attacks table for each attack found."""


DETECTORS: Registry[type[Detector]] = Registry(
    "detector",
    {
        "known-tool": "analyzer.detectors.known_tool:KnownTool",
        "sweep": "analyzer.detectors.sweep:Sweep",
        "enumeration": "analyzer.detectors.enumeration:Enumeration",
        "password-guessing": "analyzer.detectors.password_guessing:PasswordGuessing",
        "toll-fraud": "analyzer.detectors.toll_fraud:TollFraud",
        "ghost-call": "analyzer.detectors.ghost_call:GhostCall",
        "flood": "analyzer.detectors.flood:Flood",
        "exploit": "analyzer.detectors.exploit:Exploit",
        "fuzzing": "analyzer.detectors.fuzzing:Fuzzing",
        "probe": "analyzer.detectors.probe:Probe",
    },
)


def find_attacks(
    messages: "pd.DataFrame",
    detectors: Iterable[Detector] | None = None,
    *,
    requests: "pd.DataFrame | None" = None,
) -> "pd.DataFrame":
    """Return what the detectors find in messages (with transactions followed); by default all detectors do.

    The rows are in the order of time and have no campaign yet; suspicions are among them. Who has the opening requests
    of messages at hand may give them.
    """
    import pandas as pd

    from analyzer.evidence import opening_requests
    from analyzer.tables import ATTACKS

    if detectors is None:
        detectors = [detector() for detector in DETECTORS.values()]
    requests = opening_requests(messages) if requests is None else requests
    found = [attacks for detect in detectors if len(attacks := detect(requests))]
    if not found:
        return ATTACKS.empty()
    attacks = pd.concat(found).sort_values(["start", "source", "kind"], kind="stable", ignore_index=True)
    return ATTACKS.conform(attacks.assign(attack=_names(attacks)))


def configure(settings: Mapping[str, Any], *, file: str | None = None) -> list[Detector]:
    """Return all detectors, with the thresholds of settings ({"sweep": {"targets": 20}}); times are in seconds.

    Raises SettingsError for a detector or a threshold that does not exist, or a value of another type.
    """
    for name in settings:
        if name not in DETECTORS:
            raise SettingsError(f"there is no such detector; choose from {', '.join(DETECTORS)}", file=file, key=name)
    return [_configured(name, DETECTORS[name], settings.get(name, {}), file) for name in DETECTORS]


def _configured(name: str, detector: type[Detector], given: Any, file: str | None) -> Detector:  # noqa: ANN401
    if not isinstance(given, Mapping):
        raise SettingsError("a table of thresholds is expected here", file=file, key=f"detectors.{name}")
    defaults = {field.name: field.default for field in fields(detector)}  # type: ignore[arg-type]
    values = {}
    for key, value in given.items():
        where = f"detectors.{name}.{key}"
        if key not in defaults:
            raise SettingsError(f"unknown threshold; {name} has {', '.join(defaults)}", file=file, key=where)
        values[key] = _threshold(defaults[key], value, file, where)
    return detector(**values)


def _threshold(default: Any, value: Any, file: str | None, key: str) -> Any:  # noqa: ANN401
    if isinstance(default, frozenset) and isinstance(value, list):
        return frozenset(map(str, value))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or isinstance(default, frozenset) or value < 0:
        expected = "a list of words" if isinstance(default, frozenset) else "a number, 0 or more, is"
        raise SettingsError(f"{value!r} does not fit: {expected} expected", file=file, key=key)
    if isinstance(default, timedelta):
        return timedelta(seconds=value)
    if isinstance(default, int) and int(value) != value:
        raise SettingsError(f"{value!r} does not fit: a whole number is expected", file=file, key=key)
    return type(default)(value)


def _names(attacks: "pd.DataFrame") -> list[str]:
    """Return an id for each attack: the same source, kind and start give the same id in any capture."""
    from hashlib import blake2b

    starts = attacks["start"].to_numpy(dtype="datetime64[ns]").astype("int64")
    return [
        blake2b(f"{source} {kind} {start}".encode(), digest_size=5).hexdigest()
        for source, kind, start in zip(attacks["source"], attacks["kind"], starts.tolist(), strict=True)
    ]
