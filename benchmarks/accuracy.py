"""How well attacks are found, and how seldom the innocent are accused: `python benchmarks/accuracy.py`.

Runs the whole analysis over the labelled scenarios of tests/scenarios and prints, for each: how many sources attack
and how many do not, how many of each are accused (verdict 'attacking'), precision, recall, how many campaigns there are
and were found, how well these agree (adjusted Rand index over the attacking sources, where there are several), and the
break-ins and answered calls found, missed and invented. Simple rules of thumb are measured on the same captures.
Seeds 0 to 99 are for development; the published figures are those of seeds from 3000 on.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from math import comb
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED_FROM = 3000
"""Development uses seeds below this."""
SCANNERS = (
    "friendly-scanner",
    "sipvicious",
    "sipcli",
    "sipsak",
    "sundayddr",
    "pplsip",
    "nmap",
    "vaxsip",
    "sipscan",
    "smap",
    "sipp",
)


@dataclass
class Score:
    """What was found and missed in one or several captures."""

    true: set[str] = field(default_factory=set)
    """Attacking sources that were accused."""
    false: set[str] = field(default_factory=set)
    """Innocent sources that were accused."""
    missed: set[str] = field(default_factory=set)
    """Attacking sources that were not accused."""
    innocent: int = 0
    """Innocent sources that sent requests."""
    rand: list[float] = field(default_factory=list)
    """Adjusted Rand index of the campaigns, per capture with several of them."""
    campaigns: Counter[str] = field(default_factory=Counter)
    """Campaigns that there are (true) and that attackers were sorted into (found)."""
    breaches: Counter[str] = field(default_factory=Counter)
    """Break-ins found, missed and invented."""
    answered: Counter[str] = field(default_factory=Counter)
    """Answered calls found, missed and invented."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why each wrongly judged source was judged so, in words."""

    @property
    def precision(self) -> float:
        """The share of the accused that attack; 1 if nobody is accused."""
        accused = len(self.true) + len(self.false)
        return len(self.true) / accused if accused else 1.0

    @property
    def recall(self) -> float:
        """The share of the attackers that are accused; 1 if there are none."""
        attackers = len(self.true) + len(self.missed)
        return len(self.true) / attackers if attackers else 1.0

    def add(self, other: "Score", place: str) -> None:
        """Take in the score of another capture; place tells its addresses from others'."""
        for name in ("true", "false", "missed"):
            getattr(self, name).update(f"{place} {ip}" for ip in getattr(other, name))
        self.innocent += other.innocent
        self.rand += other.rand
        self.campaigns += other.campaigns
        self.breaches += other.breaches
        self.answered += other.answered
        self.reasons.update({f"{place} {ip}": why for ip, why in other.reasons.items()})


def adjusted_rand(first: list[str], second: list[str]) -> float:
    """Return the adjusted Rand index of two labellings of the same things (Hubert and Arabie 1985)."""
    pairs = comb(len(first), 2)
    both = sum(comb(count, 2) for count in Counter(zip(first, second, strict=True)).values())
    one = sum(comb(count, 2) for count in Counter(first).values())
    two = sum(comb(count, 2) for count in Counter(second).values())
    expected = one * two / pairs if pairs else 0.0
    most = (one + two) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def judge(name: str, seed: int, folder: Path) -> tuple[Score, dict[str, Score]]:
    """Return the score of the analysis, and of each rule of thumb, for one scenario."""
    from scenarios import make

    from analyzer import analyze

    world = make(name, seed)
    path = folder / "scenario.pcap"
    world.write(path)
    truth, analysis = world.truth(), analyze(path)
    accused = set(analysis.sources.loc[analysis.sources["verdict"] == "attacking", "source"].astype(str))
    senders = set(analysis.sources["source"].astype(str))
    score = _score(truth, accused, senders)
    why = {str(row.source): f"{row.verdict}: {row.why}" for row in analysis.sources.itertuples()}
    score.reasons = {
        ip: f"{_role(truth, ip)} — {why.get(ip, 'not in the sources table')}" for ip in score.false | score.missed
    }
    _score_campaigns(score, truth, analysis)
    rules = {rule: _score(truth, set(found), senders) for rule, found in thumb_rules(analysis.messages).items()}
    return score, rules


def _role(truth: dict[str, Any], ip: str) -> str:
    return str(truth["labels"].get(ip) or truth["roles"].get(ip, "?"))


def _score(truth: dict[str, Any], accused: set[str], senders: set[str]) -> Score:
    attackers = set(truth["labels"])
    return Score(
        true=accused & attackers,
        false=accused - attackers,
        missed=attackers - accused,
        innocent=len(senders - attackers),
    )


def _score_campaigns(score: Score, truth: dict[str, Any], analysis: Any) -> None:  # noqa: ANN401
    found = {
        str(row.source): str(row.campaign) for row in analysis.sources.itertuples() if isinstance(row.campaign, str)
    }
    attackers = sorted(truth["labels"])
    labels = [truth["labels"][ip] for ip in attackers]
    if len(set(labels)) > 1:
        score.rand.append(adjusted_rand(labels, [found.get(ip, f"none {ip}") for ip in attackers]))
    score.campaigns.update(true=len(set(labels)), found=len({found[ip] for ip in attackers if ip in found}))
    _compare(score.breaches, truth["breached"], (account for row in analysis.attacks["breached"] for account in row))
    _compare(score.answered, truth["answered"], (number for row in analysis.attacks["answered"] for number in row))


def _compare(counts: Counter[str], true: set[str], found: Iterable[str]) -> None:
    there = set(found)
    counts.update(found=len(true & there), missed=len(true - there), invented=len(there - true))


def thumb_rules(messages: "pd.DataFrame") -> dict[str, Iterator[str]]:
    """Return whom the usual simple rules accuse."""
    requests = messages[messages["status"].isna()]
    failures = messages[messages["status"].isin([401, 403, 404, 407])]["destination"].value_counts()
    agents = requests["user_agent"].astype("str").str.lower()
    named = requests[agents.str.contains("|".join(SCANNERS), na=False)]["source"].unique()
    opening = requests[requests["method"].isin(["REGISTER", "OPTIONS", "INVITE", "SUBSCRIBE"])]
    wide = opening.groupby("source", observed=True)[["to_user", "destination"]].nunique()
    by_minute = requests.groupby(["source", requests["time"].dt.floor("1min")], observed=True).size()
    return {
        "User-Agent list": map(str, named),
        "5 failures": map(str, failures[failures >= 5].index),
        "20 accounts or targets": map(str, wide[(wide >= 20).any(axis=1)].index),
        "100 requests a minute": map(str, set(by_minute[by_minute >= 100].index.get_level_values(0))),
    }


def row_of(name: str, score: Score) -> str:
    """Return one line of the table."""
    rand = f"{sum(score.rand) / len(score.rand):6.3f}" if score.rand else "     -"
    campaigns = f"{score.campaigns['true']}/{score.campaigns['found']}"
    counts = [f"{one['found']}/{one['missed']}/{one['invented']}" for one in (score.breaches, score.answered)]
    sizes = (len(score.true) + len(score.missed), score.innocent, len(score.true), len(score.false), len(score.missed))
    return (
        f"{name:28} {' '.join(f'{size:6}' for size in sizes)} {score.precision:6.3f} {score.recall:6.3f} {campaigns:>9}"
        f" {rand} {counts[0]:>9} {counts[1]:>9}"
    )


HEADING = (
    f"{'scenario':28} attack innoc.   true  false missed  prec. recall {'campaigns':>9} {'rand':>6}"
    f" {'breaches':>9} {'answered':>9}"
)


def measure(
    names: Iterable[str], seeds: Iterable[int], *, show: bool = True, jobs: int = 1
) -> tuple[dict[str, Score], dict[str, Score]]:
    """Return the scores by scenario and by rule of thumb, over all seeds; jobs is how many processes share them."""
    names, seeds = list(names), list(seeds)
    scores: dict[str, Score] = {name: Score() for name in names}
    rules: dict[str, Score] = {}
    tasks = [(name, seed) for name in names for seed in seeds]
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(jobs, get_context("spawn"), _find) as processes:
        for (name, seed), (score, thumbs) in zip(tasks, processes.map(_judge, tasks, repeat(folder)), strict=True):
            scores[name].add(score, f"{name}/{seed}")
            for rule, thumb in thumbs.items():
                rules.setdefault(rule, Score()).add(thumb, f"{name}/{seed}")
            if show and seed == seeds[-1]:
                print(row_of(name, scores[name]), flush=True)
    return scores, rules


def _find() -> None:
    """Let a new process find the scenarios."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def _judge(task: tuple[str, int], folder: str) -> tuple[Score, dict[str, Score]]:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        return judge(*task, Path(own))


def total_of(scores: Iterable[Score]) -> Score:
    """Return several scores as one."""
    total = Score()
    for score in scores:
        total.add(score, "")
    return total


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds of each scenario (default: 20)")
    parser.add_argument("--first", type=int, default=PUBLISHED_FROM, help=f"the first seed (default: {PUBLISHED_FROM})")
    parser.add_argument("--only", action="append", help="only scenarios whose name contains this")
    parser.add_argument("--wrong", action="store_true", help="name the sources that were judged wrongly")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: as many as processors)")
    asked = parser.parse_args()
    from scenarios import SCENARIOS

    names = [name for name in SCENARIOS if not asked.only or any(part in name for part in asked.only)]
    print(HEADING)
    scores, rules = measure(names, range(asked.first, asked.first + asked.seeds), jobs=asked.jobs)
    print("-" * len(HEADING))
    total = total_of(scores.values())
    print(row_of("all", total))
    for rule, score in rules.items():
        print(row_of(rule, score))
    print("campaigns: true/found; rand: where there are several; breaches and answered: found/missed/invented")
    if asked.wrong:
        print(*(f"{where}: {why}" for where, why in sorted(total.reasons.items())), sep="\n")
    return 0


if __name__ == "__main__":
    _find()
    sys.exit(main())
