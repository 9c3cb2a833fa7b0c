"""The steps in order: captures in, an Analysis out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.reading import Captures, Progress, Reading, read_captures, read_messages
from analyzer.settings import Settings, settings_of

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.allow import AllowList
    from analyzer.detectors import Detector
    from analyzer.narrowing import When
    from analyzer.places import Places
    from analyzer.store import Period, Since, Until

Files = str | Path | Sequence[str | Path]

__all__ = ["Analysis", "Captures", "Progress", "Reading", "analyze", "examine", "read_captures", "read_messages"]


def _empty(table: str) -> "pd.DataFrame":
    from analyzer.tables import TABLES

    return TABLES[table].empty()


@dataclass(frozen=True, kw_only=True, repr=False)
class Analysis:
    """The tables of one analysis (see analyzer.tables for their columns)."""

    messages: "pd.DataFrame"
    sources: "pd.DataFrame"
    attacks: "pd.DataFrame"
    campaigns: "pd.DataFrame"
    anomalies: "pd.DataFrame"
    fates: "pd.DataFrame"
    captures: "pd.DataFrame"
    strays: "pd.DataFrame" = field(default_factory=partial(_empty, "strays"))
    calls: "pd.DataFrame" = field(default_factory=partial(_empty, "calls"))
    period: "Period | None" = None
    """Of which period of a store it is; None if it is of captures, or of a whole store."""
    store: str | None = None
    """Of which store it is; None if it is of captures."""
    settings: Settings = field(default_factory=Settings)
    """How it was made, where that differs from the defaults."""

    def campaign(self, campaign: str) -> "Analysis":
        """Return what belongs to the campaign whose id begins with these letters; raise SettingsError if it is not one.

        >>> import analyzer
        >>> analysis = analyzer.analyze("captures/svwar-svcrack.pcapng")
        >>> analysis.campaign(analysis.campaigns["campaign"][0]).attacks["kind"].tolist()
        ['enumeration', 'tool', 'password-guessing']
        """
        from analyzer.narrowing import of_campaign

        return of_campaign(self, campaign)

    def source(self, *addresses: str) -> "Analysis":
        """Return what these addresses sent and were sent; raise SettingsError for one that sent no request.

        >>> import analyzer
        >>> analyzer.analyze("captures/svwar-svcrack.pcapng").source("203.0.113.77").sources["verdict"].tolist()
        ['attacking']
        """
        from analyzer.narrowing import of_sources

        return of_sources(self, *addresses)

    def between(self, start: "When" = None, end: "When" = None) -> "Analysis":
        """Return what happened from start on and before end (in UTC, unless they name a zone); None is open.

        >>> import analyzer
        >>> analyzer.analyze("captures/svwar-svcrack.pcapng").between("2030-01-01").campaigns.empty
        True
        """
        from analyzer.narrowing import in_period

        return in_period(self, start, end)

    def __repr__(self) -> str:
        """Return how much there is of what."""
        from analyzer.reports.words import count

        names = {"captures": "capture", "messages": "SIP message", "sources": "source", "campaigns": "campaign"}
        return f"<Analysis: {', '.join(count(len(getattr(self, name)), one) for name, one in names.items())}>"

    def _repr_html_(self) -> str:
        """Return the answer, for a notebook; passwords are masked."""
        from analyzer.reports.notebook import render_answer

        return render_answer(self)


def analyze(  # noqa: PLR0913
    captures: Captures,
    *,
    since: "Since" = None,
    until: "Until" = None,
    engine: str = "native",
    keylog: str | Path | None = None,
    most_bytes: int | None = None,
    detectors: "Sequence[Detector] | None" = None,
    signatures: Sequence[str | Path] = (),
    allow: Files = (),
    geoip: Files = (),
    threads: int | None = None,
    jobs: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    on_messages: "Callable[[pd.DataFrame], None] | None" = None,
) -> Analysis:
    """Read captures, find the attacks in them, join them to campaigns and judge the sources.

    Args:
        captures: a capture, a folder of captures, or several of either; "-" is standard input. Or a store
            (analyzer.store), for which the engine, its options and jobs mean nothing.
        since: of a store, from when on, or an age as "7d"; campaigns are then new, continuing or returned.
        until: of a store, before when; times without a zone are UTC.
        engine: the name of the engine that decodes packets (analyzer.engines.ENGINES).
        keylog: a TLS key log with which SIP over TLS is decrypted; by the engine pyshark only.
        most_bytes: how many bytes a compressed capture may hold; by the engine native only. Without it, 64 GiB, and
            400 times the compressed size beyond 1 GiB.
        detectors: what to look for, with what thresholds; all detectors with their defaults without.
        signatures: files with more tools to recognise, in the form of analyzer/tools/signatures.toml.
        allow: one or more files that name the known-good addresses, in the form that analyzer.allow describes.
        geoip: one or more MMDB files that say where addresses are from (see analyzer.places).
        threads: how many threads parse beside the one that decodes; as many as there are processors, up to 8, without.
        jobs: how many processes read captures in parallel; without it as many as are worth while: one for each 512 MiB
            of captures (4 MiB with scapy, 1 MiB with pyshark), and no more than processors. Standard input is read by
            this process. The tables depend neither on threads nor on jobs.
        progress: called with how far reading has come, after each block; with several jobs, after each capture.
        on_messages: called with the messages table before attacks are looked for, so that it can be written meanwhile;
            it must not be changed.

    Raises:
        CaptureError: a capture is missing, unreadable, or none.
        StoreError: a store cannot be read.
        UnavailableError: the engine needs a package or a program that is missing.
        SettingsError: there is no such engine, it cannot do what is asked, or a file with signatures, known-good
            addresses or places cannot be used.
    """
    from analyzer.allow import load_allowed
    from analyzer.places import load_places
    from analyzer.store import find_store, make_period

    known, places = load_allowed(*_files(allow)), load_places(*_files(geoip))
    captures = [captures] if isinstance(captures, str | Path) else list(captures)
    store = find_store(captures, since, until)
    period = None if store is None else make_period(since, until)
    if store is None or period is None:
        reading = read_captures(
            captures,
            engine=engine,
            keylog=keylog,
            most_bytes=most_bytes,
            signatures=signatures,
            threads=threads,
            jobs=jobs,
            progress=progress,
        )
    else:
        reading = store.read(period, signatures=signatures, threads=threads, progress=progress)
    if on_messages is not None:
        on_messages(reading.messages)
    past = store.past(period.since) if store and period and period.since else None
    found = examine(reading, detectors=detectors, signatures=signatures, allowed=known, places=places, past=past)
    told = replace(
        found.settings,
        allow=tuple(map(str, _files(allow))),
        engine=engine,
        keylog=None if keylog is None else str(keylog),
        most_bytes=most_bytes,
    )
    return replace(found, settings=told)


def examine(  # noqa: PLR0913
    reading: Reading,
    *,
    detectors: "Sequence[Detector] | None" = None,
    signatures: Sequence[str | Path] = (),
    allowed: "AllowList | None" = None,
    places: "Places | None" = None,
    past: "pd.DataFrame | None" = None,
) -> Analysis:
    """Find the attacks in what was read, join them to campaigns and judge the sources.

    The arguments are those of analyze(), loaded: what load_allowed() and load_places() return. With past, the attacks
    that are known from before (Store.past()), campaigns are new, continuing or returned.
    """
    from analyzer.allow import load_allowed, mark_allowed
    from analyzer.calls import find_calls, prove_by_media
    from analyzer.campaigns import join_campaigns, prowlers
    from analyzer.detectors import find_attacks
    from analyzer.detectors.fuzzing import mark_flaws
    from analyzer.evidence import mark_cut, opening_requests, ordinary_keys
    from analyzer.history import recall
    from analyzer.places import load_places, place_sources
    from analyzer.sources import judge_sources
    from analyzer.strays import remark_strays

    messages = reading.messages
    opening = mark_cut(mark_flaws(opening_requests(messages), reading.anomalies), reading.anomalies)
    found = find_attacks(messages, detectors, requests=opening)
    ordinary = ordinary_keys(opening, prowlers(found)) if len(found) else frozenset[str]()
    attacks, campaigns = join_campaigns(found, messages, ordinary=ordinary)
    if past is not None:
        attacks, campaigns = recall(attacks, campaigns, past, ordinary=ordinary)
    sources = _disguised(judge_sources(messages, attacks, found, opening=opening), messages, signatures)
    calls = find_calls(messages, reading.flows)
    sources = mark_allowed(prove_by_media(sources, calls), load_allowed() if allowed is None else allowed)
    return Analysis(
        messages=messages,
        sources=place_sources(remark_strays(sources, reading.strays), load_places() if places is None else places),
        attacks=attacks,
        campaigns=campaigns,
        anomalies=reading.anomalies,
        fates=reading.fates,
        captures=reading.captures,
        strays=reading.strays,
        calls=calls,
        period=reading.period,
        store=reading.store,
        settings=settings_of(detectors, signatures, allowed, places),
    )


def _disguised(sources: "pd.DataFrame", messages: "pd.DataFrame", signatures: Sequence[str | Path]) -> "pd.DataFrame":
    """Return the sources table, with what attackers claim to be told beside what they write like.

    A contradiction says nothing of the innocent: a border controller hands on what others claim.
    """
    from analyzer.tools import contradictions, load_signatures

    attacking = sources["verdict"] == "attacking"
    if not attacking.any():
        return sources
    claiming = sources.loc[attacking, "source"].astype("str")
    found = contradictions(messages, load_signatures(*signatures), sources=claiming)
    if found.empty:
        return sources
    said = found["reason"] + " (packet " + found["packet"].astype("str") + ")"
    told = sources["source"].astype("str").map(said.groupby(found["source"].astype("str")).agg("; ".join))
    why = sources["why"].where(told.isna(), sources["why"] + "; " + told)
    return sources.assign(why=why)


def _files(files: Files) -> Sequence[str | Path]:
    return [files] if isinstance(files, str | Path) else files
