"""What a firewall that lets only the known-good addresses send to SIP ports would have stopped."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.allow import AllowList
    from analyzer.analysis import Analysis


def stopped(analysis: "Analysis", allow: "AllowList", ports: Collection[int]) -> "pd.DataFrame":
    """Return the sources whose requests to these ports would have been stopped, the innocent first.

    They are rows of the sources table. Servers and telephones of our own are among them, if they are not allowed and
    the capture shows what they send: a firewall between them and others would stop them too.
    """
    messages = analysis.messages
    asking = messages["status"].isna().to_numpy() & messages["method"].notna().to_numpy()
    asking &= np.isin(messages["destination_port"].to_numpy(), list(ports))
    senders = messages["source"].take(np.flatnonzero(asking)).dropna().unique().astype("str")
    unknown = [sender for sender, name in zip(senders, allow.names(senders), strict=True) if name is None]
    sources = analysis.sources[analysis.sources["source"].isin(unknown)]
    order = sources["verdict"].astype("str").map({"innocent": 0, "suspicious": 1, "attacking": 2})
    return sources.loc[order.sort_values(kind="stable").index].reset_index(drop=True)
