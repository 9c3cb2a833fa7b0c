"""The tables of the HTML report: their first rows, in words."""

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from analyzer.exports.escape import escape
from analyzer.reports.answer import short_names, worst_first
from analyzer.reports.cards import kind_in_words, proofs
from analyzer.reports.phone import describe_number
from analyzer.reports.settings import settings_in_words
from analyzer.reports.words import SHOWN, listed, quoted

if TYPE_CHECKING:
    from analyzer.analysis import Analysis

ROWS = 200
"""Rows of a table that the page shows; the exports hold all."""
NAMES = 4
"""Values of a list that a cell shows."""
SENTENCE = 300
"""Characters of a sentence that a cell shows."""
VERDICTS = ("attacking", "suspicious", "innocent")
PACKAGES = ("sipscope", "numba", "numpy", "pandas", "pyarrow", "scipy", "matplotlib", "phonenumbers")


class Column(NamedTuple):
    """The name of a column, and the classes of its cells."""

    name: str
    looks: str = ""


@dataclass(frozen=True)
class Grid:
    """A table as the page shows it."""

    name: str
    title: str
    columns: list[Column]
    rows: list[list[str]]
    note: str = ""


def grids(analysis: "Analysis", attacks: pd.DataFrame) -> list[Grid]:
    """Return the tables of the page that have rows; attacks may have its passwords masked."""
    names = short_names(analysis.captures["capture"].astype("str"))
    every = [
        _attacks(attacks, names),
        _sources(analysis.sources),
        _numbers(attacks),
        _accounts(attacks),
        _captures(analysis.captures, names),
        _fates(analysis.fates),
        _anomalies(analysis.anomalies, names),
        _settings(analysis),
        _versions(),
    ]
    return [grid for grid in every if grid.rows]


@cache
def versions() -> dict[str, str]:
    """Return the versions of this program and of what it counts with."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return {**found, "Python": platform.python_version()}


def _attacks(attacks: pd.DataFrame, names: dict[str, str]) -> Grid:
    columns = [
        Column("kind", "fixed"),
        Column("source", "fixed mono"),
        Column("tool", "fixed"),
        Column("when (UTC)", "fixed"),
        Column("requests", "num"),
        Column("targets", "num"),
        Column("after", "wrap"),
        Column("outcome", "pill fixed"),
        Column("sure", "num"),
        Column("ATT&CK", "fixed"),
        Column("campaign", "fixed mono"),
        Column("packets", "wrap wide"),
    ]
    rows = [
        [
            kind_in_words(attack["kind"]),
            _text(attack["source"]),
            _text(attack["tool"]),
            _times(attack["start"], attack["end"]),
            f"{attack['messages']:,}",
            f"{len(attack['targets']):,}",
            _after(attack),
            _text(attack["outcome"]),
            _share(attack["confidence"]),
            _text(attack["technique"]),
            _text(attack["campaign"]),
            _packets(attack, names),
        ]
        for _, attack in worst_first(attacks, ROWS).iterrows()
    ]
    return Grid("attacks", "Attacks", columns, rows, _note(len(attacks), "attacks", "The worst"))


def _sources(sources: pd.DataFrame) -> Grid:
    columns = [
        Column("source", "fixed mono"),
        Column("verdict", "pill fixed"),
        Column("why", "wrap wide"),
        Column("proven by", "wrap"),
        Column("seen (UTC)", "fixed"),
        Column("requests", "num"),
        Column("methods", "wrap"),
        Column("answers", "wrap"),
        Column("targets", "num"),
        Column("User-Agents", "wrap wide"),
        Column("tools", "fixed"),
        Column("campaign", "fixed mono"),
    ]
    order = sources.assign(rank=sources["verdict"].astype("str").map({name: i for i, name in enumerate(VERDICTS)}))
    order = order.sort_values(["rank", "requests"], ascending=[True, False], kind="stable")
    rows = [
        [
            _text(source["source"]),
            _text(source["verdict"]),
            _text(source["why"], SENTENCE),
            _text(source["proven"]) or ("may be forged" if source["verdict"] == "attacking" else ""),
            _times(source["first"], source["last"]),
            f"{source['requests']:,}",
            _few(source["methods"]),
            _few(source["answers"]),
            f"{len(source['targets']):,}",
            _few(source["user_agents"]),
            _few(source["tools"]),
            _text(source["campaign"]),
        ]
        for _, source in order.head(ROWS).iterrows()
    ]
    return Grid("sources", "Sources", columns, rows, _note(len(sources), "sources", "The worst and busiest"))


def _numbers(attacks: pd.DataFrame) -> Grid:
    columns = [
        Column("number wanted", "fixed"),
        Column("country"),
        Column("sources", "num"),
        Column("attacks", "num"),
        Column("prefixes tried", "wrap"),
        Column("answered, as dialled", "wrap"),
    ]
    rows = []
    spread = attacks[["numbers", "source", "prefixes", "answered"]].explode("numbers").dropna(subset=["numbers"])
    for wanted, found in _largest(spread, "numbers"):
        number = describe_number(str(wanted))
        prefixes = {prefix for prefixes in found["prefixes"] for prefix in prefixes}
        calls = {call for calls in found["answered"] for call in calls if str(call).endswith(str(wanted).lstrip("+"))}
        rows.append(
            [
                number.text,
                number.country,
                f"{found['source'].nunique():,}",
                f"{len(found):,}",
                _few(sorted(prefixes), 4 * NAMES),
                _few(sorted(calls)),
            ]
        )
    return Grid(
        "numbers", "Numbers wanted", columns, rows, _note(spread["numbers"].nunique(), "attacks", "The most wanted")
    )


def _accounts(attacks: pd.DataFrame) -> Grid:
    columns = [
        Column("account", "fixed"),
        Column("what became of it", "pill fixed"),
        Column("sources", "num"),
        Column("attacks", "num"),
        Column("passwords guessed", "wrap"),
    ]
    breached = {account for accounts in attacks["breached"] for account in accounts}
    found = {account for accounts in attacks["found"] for account in accounts}
    spread = (
        attacks[["accounts", "source", "passwords"]]
        .explode("accounts")
        .dropna(subset=["accounts"])
        .rename(columns={"accounts": "account"})
    )
    spread = spread.assign(rank=spread["account"].isin(breached) * 2 + spread["account"].isin(found))
    rows = []
    for account, tried in _largest(spread, "account"):
        became = "breached" if account in breached else "exists" if account in found else ""
        guesses = {pair for pairs in tried["passwords"] for pair in pairs if pair.startswith(f"{account}:")}
        rows.append(
            [
                quoted(account),
                became,
                f"{tried['source'].nunique():,}",
                f"{len(tried):,}",
                _few(sorted(guesses), 2 * NAMES),
            ]
        )
    return Grid(
        "accounts", "Accounts tried", columns, rows, _note(spread["account"].nunique(), "attacks", "The worst hit")
    )


def _largest(spread: pd.DataFrame, column: str) -> Iterable[tuple[Any, pd.DataFrame]]:
    """Return the values of a column with their rows: the highest rank first, then those with most rows."""
    tally = spread.groupby(column, sort=True).size().rename("rows").to_frame()
    tally["rank"] = spread.groupby(column)["rank"].max() if "rank" in spread else 0
    largest = tally.sort_values(["rank", "rows"], ascending=False, kind="stable").head(ROWS).index
    rows = dict(iter(spread[spread[column].isin(largest)].groupby(column)))
    for value in largest:
        yield value, rows[value]


def _captures(captures: pd.DataFrame, names: dict[str, str]) -> Grid:
    columns = [
        Column("capture", "wrap"),
        Column("format"),
        Column("bytes", "num"),
        Column("packets", "num"),
        Column("SIP messages", "num"),
        Column("dropped", "num"),
        Column("when (UTC)", "fixed"),
    ]
    rows = [
        [
            quoted(names.get(capture["capture"], capture["capture"])),
            _text(capture["format"]),
            f"{capture['bytes']:,}",
            f"{capture['packets']:,}",
            f"{capture['messages']:,}",
            "unknown" if pd.isna(capture["dropped"]) else f"{capture['dropped']:,}",
            _times(capture["start"], capture["end"]),
        ]
        for _, capture in captures.head(ROWS).iterrows()
    ]
    return Grid("captures", "Captures", columns, rows, _note(len(captures), "captures", "The first"))


def _fates(fates: pd.DataFrame) -> Grid:
    columns = [Column("fate", "fixed"), Column("reason", "wrap"), Column("packets", "num"), Column("share", "num")]
    named = fates.assign(**{name: fates[name].astype("str").fillna("") for name in ("fate", "reason")})
    counts = named.groupby(["fate", "reason"])["packets"].sum().sort_values(ascending=False).reset_index()
    total = int(counts["packets"].sum())
    rows = [
        [
            quoted(row["fate"]).replace("-", " "),
            quoted(row["reason"]),
            f"{row['packets']:,}",
            _share(row["packets"] / total),
        ]
        for row in counts[counts["packets"] > 0].to_dict("records")
    ]
    note = f"Every packet has one fate; together they are {total:,} packets."
    return Grid("fates", "What became of the packets", columns, rows, note)


def _anomalies(anomalies: pd.DataFrame, names: dict[str, str]) -> Grid:
    columns = [
        Column("reason", "fixed"),
        Column("how many", "num"),
        Column("the first of them", "fixed"),
        Column("detail", "wrap wide"),
    ]
    firsts = anomalies.drop_duplicates("reason")
    counts = anomalies["reason"].value_counts()
    rows = [
        [_text(first["reason"]), f"{counts[first['reason']]:,}", _place(first, names), _text(first["detail"], SENTENCE)]
        for _, first in firsts.dropna(subset=["reason"]).iterrows()
    ]
    rows.sort(key=lambda row: -int(row[1].replace(",", "")))
    note = "Traffic that could not be understood, by reason; each one is in anomalies.csv."
    return Grid("anomalies", "Anomalies", columns, rows[:ROWS], note)


def _settings(analysis: "Analysis") -> Grid:
    used = settings_in_words(analysis)
    note = "What differs from the defaults is named first." if any(one.differs for one in used) else ""
    rows = [[one.name, one.value] for one in used]
    return Grid("settings", "Settings used", [Column("setting", "fixed"), Column("value", "wrap")], rows, note)


def _versions() -> Grid:
    rows = [[name, number] for name, number in versions().items()]
    return Grid("versions", "Versions", [Column("program", "fixed"), Column("version")], rows)


def _note(number: int, table: str, which: str) -> str:
    return f"{which} {ROWS} are shown; all {number:,} are in {table}.csv." if number > ROWS else ""


def _place(anomaly: "pd.Series", names: dict[str, str]) -> str:
    capture = names.get(anomaly["capture"], _text(anomaly["capture"]))
    return f"{quoted(capture)}, packet {anomaly['packet']:,}" if anomaly["packet"] else quoted(capture)


def _after(attack: "pd.Series") -> str:
    """Return what an attack was after: numbers, else accounts."""
    if attack["numbers"]:
        return listed((describe_number(str(number)).text for number in attack["numbers"]), NAMES)
    return _few(attack["accounts"])


def _packets(attack: "pd.Series", names: dict[str, str]) -> str:
    packets = listed(proofs(attack), NAMES)
    capture = attack["capture"]
    many = len(names) > 1 and isinstance(capture, str)
    return f"{packets} of {quoted(names.get(capture, capture))}" if packets and many else packets


def _times(start: object, end: object) -> str:
    """Return when it began and ended, the date said once."""
    first = start if isinstance(start, pd.Timestamp) else None
    last = end if isinstance(end, pd.Timestamp) else None
    if first is None or last is None:
        return ""
    if first.floor("s") == last.floor("s"):
        return f"{first:%Y-%m-%d %H:%M:%S}"
    clock = "%H:%M:%S" if first.date() == last.date() else "%Y-%m-%d %H:%M:%S"
    return f"{first:%Y-%m-%d %H:%M:%S} – {last.strftime(clock)}"


def _few(values: Iterable[object], limit: int = NAMES) -> str:
    return listed(map(quoted, values), limit)


def _text(value: object, limit: int = SHOWN) -> str:
    return escape(value, limit=limit) if isinstance(value, str) else ""


def _share(value: object) -> str:
    return f"{value:.0%}" if isinstance(value, float) and not isnan(value) else ""
