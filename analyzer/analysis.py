"""The steps in order: captures in, an Analysis out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The tables of one analysis (see analyzer.tables for their columns)."""

    messages: "pd.DataFrame"
    sources: "pd.DataFrame"
    attacks: "pd.DataFrame"
    campaigns: "pd.DataFrame"
    anomalies: "pd.DataFrame"
    fates: "pd.DataFrame"
    captures: "pd.DataFrame"
