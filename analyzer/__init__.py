"""sipscope: who is scanning our SIP, as which campaign, with what tool, for what, and did anyone get in?

    capture ─▶ packets ─▶ messages ─┬─▶ sources ─┐
                              │     └─▶ attacks ─┴─▶ campaigns ─▶ report
                              └─▶ anomalies                   └─▶ exports

    >>> import analyzer
    >>> analysis = analyzer.analyze("captures/")
    >>> analysis.campaigns[["campaign", "tools", "outcome"]].head(2)
      campaign         tools   outcome
    0     4whv  [SIPVicious]  breached
    1     hppm        [SIPp]  answered

Every table is a pandas DataFrame whose columns analyzer.tables declares. Nothing heavy is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analyzer.analysis import Analysis, analyze, read_messages
    from analyzer.errors import AnalyzerError, CaptureError, SettingsError, StoreError, TableError, UnavailableError
    from analyzer.exports import write_table
    from analyzer.reports import charts, write_report
    from analyzer.store import Store
    from analyzer.storing import store_captures

__all__ = [
    "Analysis",
    "AnalyzerError",
    "CaptureError",
    "SettingsError",
    "Store",
    "StoreError",
    "TableError",
    "UnavailableError",
    "analyze",
    "charts",
    "read_messages",
    "store_captures",
    "write_report",
    "write_table",
]

_HOMES = {
    "Analysis": "analyzer.analysis",
    "analyze": "analyzer.analysis",
    "read_messages": "analyzer.analysis",
    "Store": "analyzer.store",
    "store_captures": "analyzer.storing",
    "write_report": "analyzer.reports",
    "write_table": "analyzer.exports",
    **dict.fromkeys(
        ("AnalyzerError", "CaptureError", "SettingsError", "StoreError", "TableError", "UnavailableError"),
        "analyzer.errors",
    ),
}

_MODULES = {"charts": "analyzer.reports.charts"}
"""Public modules that lie deeper."""


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a public name on first use (PEP 562)."""
    if name not in {*_HOMES, *_MODULES}:
        raise AttributeError(f"module 'analyzer' has no attribute '{name}'")
    if name in _MODULES:
        return import_module(_MODULES[name])
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
