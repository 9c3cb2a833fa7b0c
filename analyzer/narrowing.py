"""Smaller analyses of an analysis: one campaign, some sources, a period.

Rows are chosen, and none is changed: a campaign that reaches beyond the period still says when it began, and names all
its sources. The fates and captures tables stay those of the captures that something is left of, since they count
packets and not messages.
"""

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyzer.errors import SettingsError

if TYPE_CHECKING:
    from analyzer.analysis import Analysis
    from analyzer.settings import Settings

When = str | pd.Timestamp | None

REPLIES = pd.Timedelta(32, "s")
"""How long after a request its final response may come: timers B and F of RFC 3261 17.1 (64 times T1)."""
SHOWN = 5
"""How many names an error tells."""


def of_campaign(analysis: "Analysis", campaign: str) -> "Analysis":
    """Return what belongs to the campaign whose id begins with these letters: its attacks, sources and messages.

    Raises SettingsError if none begins so, or several do.
    """
    ids = analysis.campaigns["campaign"].astype("str")
    found = ids[ids.str.startswith(campaign)] if campaign else ids[:0]
    if len(found) != 1:
        raise SettingsError(_which(campaign, list(found), list(ids)))
    campaigns = analysis.campaigns.loc[found.index]
    attacks = analysis.attacks[analysis.attacks["campaign"].astype("str").isin(found)]
    start, end = campaigns["start"].iloc[0], campaigns["end"].iloc[0] + REPLIES
    smaller = _from(analysis, attacks["source"].astype("str").unique().tolist(), start, end)
    return replace(
        smaller,
        attacks=attacks.reset_index(drop=True),
        campaigns=campaigns.reset_index(drop=True),
        settings=_narrowed(analysis, f"the campaign {found.iloc[0]}"),
    )


def of_sources(analysis: "Analysis", *sources: str) -> "Analysis":
    """Return what these addresses sent and were sent, their attacks, and the campaigns that these belong to.

    Raises SettingsError for what is no address, and for an address that sent no request.
    """
    wanted = [_canonical(source) for source in sources]
    known = set(analysis.sources["source"].astype("str"))
    for source in wanted:
        if source not in known:
            raise SettingsError(f"{source} sent no request; analysis.sources lists who did")
    attacks = analysis.attacks[analysis.attacks["source"].astype("str").isin(wanted)].reset_index(drop=True)
    return replace(
        _from(analysis, wanted),
        attacks=attacks,
        campaigns=_named(analysis.campaigns, attacks),
        settings=_narrowed(analysis, f"what {', '.join(wanted)} sent and {'was' if len(wanted) == 1 else 'were'} sent"),
    )


def in_period(analysis: "Analysis", start: When = None, end: When = None) -> "Analysis":
    """Return what happened from start on and before end (UTC where no zone is named); None is open.

    Attacks, campaigns, calls and strays are those that overlap the period.
    Raises SettingsError for what is no time.
    """
    since, until = _time(start, "start"), _time(end, "end")
    messages = _during(analysis.messages, "time", "time", since, until)
    attacks = _during(analysis.attacks, "start", "end", since, until)
    return replace(
        analysis,
        messages=messages,
        attacks=attacks,
        campaigns=_named(analysis.campaigns, attacks),
        sources=_during(analysis.sources, "first", "last", since, until),
        anomalies=_during(analysis.anomalies, "time", "time", since, until),
        strays=_during(analysis.strays, "start", "end", since, until),
        calls=_during(analysis.calls, "answered_at", "ended_at", since, until),
        settings=_narrowed(analysis, *_bounds(since, until)),
        **_captures(analysis, messages),
    )


def _narrowed(analysis: "Analysis", *what: str) -> "Settings":
    """Return the settings of an analysis that tell as well what it is narrowed to."""
    settings = analysis.settings
    return replace(settings, narrowed=(*settings.narrowed, *what))


def _bounds(since: pd.Timestamp | None, until: pd.Timestamp | None) -> list[str]:
    """Return a period in words; nothing for all time."""
    ends = {"from": since, "before": until}
    told = [f"{word} {time:%Y-%m-%d %H:%M:%S}" for word, time in ends.items() if time is not None]
    return [f"{' and '.join(told)} UTC"] if told else []


def _from(
    analysis: "Analysis",
    sources: list[str],
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
) -> "Analysis":
    """Return what these sources sent and were sent between start and end."""
    messages = analysis.messages
    theirs = messages[messages["source"].isin(sources) | messages["destination"].isin(sources)]
    messages = _during(theirs, "time", "time", start, end)
    packets = pd.MultiIndex.from_frame(messages[["capture", "packet"]])
    anomalies = analysis.anomalies
    kept = pd.MultiIndex.from_frame(anomalies[["capture", "packet"]]).isin(packets)
    return replace(
        analysis,
        messages=messages,
        sources=_of(analysis.sources, sources),
        anomalies=anomalies[kept].reset_index(drop=True),
        strays=_of(analysis.strays, sources),
        calls=_of(analysis.calls, sources),
        **_captures(analysis, messages),
    )


def _of(table: pd.DataFrame, sources: list[str]) -> pd.DataFrame:
    return table[table["source"].astype("str").isin(sources)].reset_index(drop=True)


def _named(campaigns: pd.DataFrame, attacks: pd.DataFrame) -> pd.DataFrame:
    """Return the campaigns of attacks."""
    ids = attacks["campaign"].astype("str")
    return campaigns[campaigns["campaign"].astype("str").isin(ids)].reset_index(drop=True)


def _captures(analysis: "Analysis", messages: pd.DataFrame) -> dict[str, Any]:
    """Return the captures and fates tables of the captures that these messages are from."""
    names = messages["capture"].astype("str").unique()
    tables = {"captures": analysis.captures, "fates": analysis.fates}
    return {
        name: table[table["capture"].astype("str").isin(names)].reset_index(drop=True) for name, table in tables.items()
    }


def _during(
    table: pd.DataFrame, first: str, last: str, start: pd.Timestamp | None, end: pd.Timestamp | None
) -> pd.DataFrame:
    """Return the rows that overlap the time from start to before end; what has not ended lasts."""
    kept = pd.Series(data=True, index=table.index)
    if start is not None:
        kept &= (table[last] >= start) | table[last].isna()
    if end is not None:
        kept &= table[first] < end
    return table[kept].reset_index(drop=True)


def _time(when: When, name: str) -> pd.Timestamp | None:
    if when is None:
        return None
    try:
        time = pd.Timestamp(when)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{when!r} is no time; write it like 2026-11-22 09:14", key=name) from error
    return time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")


def _canonical(source: str) -> str:
    try:
        return str(ip_address(source))
    except ValueError as error:
        raise SettingsError(f"{source!r} is no address; write it like 203.0.113.9") from error


def _which(campaign: str, found: list[str], ids: list[str]) -> str:
    """Return what is wrong with the beginning of an id, and which ids there are."""
    if not ids:
        return "there is no campaign in this analysis"
    what = f"{len(found)} campaigns begin" if found else "no campaign begins"
    names = found or ids
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{what} with '{campaign}'; there are {', '.join(names[:SHOWN])}{more}"
