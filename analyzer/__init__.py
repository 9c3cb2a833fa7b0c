"""sipscope: who is scanning our SIP, as which campaign, with what tool, for what, and did anyone get in?

    capture ─▶ packets ─▶ messages ─┬─▶ sources ─┐
                              │     └─▶ attacks ─┴─▶ campaigns ─▶ report
                              └─▶ anomalies                   └─▶ exports

    >>> import analyzer
    >>> analysis = analyzer.analyze("captures/")              # doctest: +SKIP
    >>> analysis.campaigns[["title", "sources", "outcome"]]   # doctest: +SKIP

Every table is a pandas DataFrame whose columns analyzer.tables declares. Nothing heavy is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analyzer.analysis import Analysis, analyze, read_messages
    from analyzer.errors import AnalyzerError, CaptureError, SettingsError, TableError, UnavailableError
    from analyzer.exports import write_table
    from analyzer.reports import write_report

__all__ = [
    "Analysis",
    "AnalyzerError",
    "CaptureError",
    "SettingsError",
    "TableError",
    "UnavailableError",
    "analyze",
    "read_messages",
    "write_report",
    "write_table",
]

_HOMES = {
    "Analysis": "analyzer.analysis",
    "analyze": "analyzer.analysis",
    "read_messages": "analyzer.analysis",
    "write_report": "analyzer.reports",
    "write_table": "analyzer.exports",
    **dict.fromkeys(
        ("AnalyzerError", "CaptureError", "SettingsError", "TableError", "UnavailableError"), "analyzer.errors"
    ),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'analyzer' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
