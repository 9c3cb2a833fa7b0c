"""Guessing passwords: credentials that fail, again and again, or for one account after another."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import pandas as pd

from analyzer.evidence import describe
from analyzer.tables import ATTACKS

REFUSED = (400, 401, 403, 404, 407, 603)
"""What servers answer to credentials that they do not accept (Asterisk, Kamailio, FreeSWITCH, Cisco)."""
GUESS = ["bout", "account"]


@dataclass(frozen=True, kw_only=True)
class PasswordGuessing:
    """Credentials were refused too often, too fast or for too many accounts to be a telephone's mistake.

    A telephone with a wrong password tries one account, at the pace of its registration timer, and keeps its
    Call-ID (RFC 3261 10.2.4); a challenge that replaces an old nonce is followed by success. A guesser makes
    each try anew, quickly, or walks through accounts.
    """

    kind: ClassVar[str] = "password-guessing"
    technique: ClassVar[str] = "T1110"

    attempts: int = 20
    """Refusals in a row for one account, each a call of its own or a guess without a pause, that are an attack."""
    hammering: int = 120
    """Refusals in a row for one account in the manner of a telephone that are an attack, if they come fast."""
    pace: timedelta = timedelta(seconds=10)
    """The mean time between refusals below which they come fast."""
    hammer: timedelta = timedelta(seconds=2)
    """The same for refusals in the manner of a telephone: some try again after a few seconds."""
    patience: timedelta = timedelta(seconds=60)
    """The mean time between refusals up to which tries with a Call-ID and a port of their own are an attack."""
    suspect: float = 0.3
    """The confidence of refusals that are no attack by themselves: other sources may share the account."""
    doubtful: float = 0.4
    """The same where each try has a Call-ID and a port of its own, but comes too seldom to be sure."""
    accounts: int = 5
    """Accounts refused and never accepted that are an attack, if most tries are calls of their own."""
    tooled: int = 5
    """Refusals, over all accounts, that are an attack if a known attack tool sent the credentials."""
    tool_confidence: float = 0.8
    """How sure the recognition of that tool must be."""
    turns: int = 3
    """Accounts in turn, none ever accepted, that are an attack if each try has a Call-ID and a port of its own."""
    fresh: float = 0.5
    """The share of tries with a Call-ID of their own from which on they are calls of their own."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one attack for each bout that guesses, with the accounts that gave way as breached."""
        requests = requests[~requests["from_server"]]
        tries = requests[requests["authorized"] & requests["account"].notna() & ~requests["repeated"]]
        if tries.empty:
            return ATTACKS.empty()
        tries = tries.assign(account=tries["auth_user"].astype("str").fillna(tries["account"].astype("str")))
        runs = self._runs(tries)
        if runs.empty:
            return ATTACKS.empty()
        guilty = self._guilty(tries, runs)
        failed = (~runs["accepted"]).groupby(level="bout").sum()
        guilty = guilty[guilty | ((failed > 0) & (_customers(tries, failed.index) <= failed))]
        restless = ((runs["refused"] >= self.attempts) & self._anew(runs)).groupby(level="bout").any()
        rows = self._rows(requests[requests["bout"].isin(guilty.index)], tries, runs)
        if rows.empty:
            return ATTACKS.empty()
        confidence = _confidence(runs).where(guilty, self.suspect).mask(~guilty & restless, self.doubtful)
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)

    def _runs(self, tries: pd.DataFrame) -> pd.DataFrame:
        """Return, for each bout and account: refusals, the longest run of them, its pace, calls and success."""
        refused = tries["answer"].isin(REFUSED).fillna(value=False).astype(bool)
        accepted = tries["accepted"]
        keys = [tries["bout"], tries["account"]]
        run = accepted.groupby(keys, observed=True).cumsum()
        failed = tries[refused].assign(run=run)
        grouped = failed.groupby([*GUESS, "run"], observed=True)
        runs = grouped.agg(
            refused=("time", "size"), start=("time", "min"), end=("time", "max"), calls=("call_id", "nunique"),
            ports=("source_port", "nunique"),
            guesses=("cseq", "nunique"), passwords=("tag_password", "nunique"),
        )  # fmt: skip
        runs = runs.reset_index().sort_values([*GUESS, "refused"], ascending=[True, True, False])
        runs = runs.drop_duplicates(GUESS).set_index(GUESS)
        runs["accepted"] = accepted.groupby(keys, observed=True).any().reindex(runs.index, fill_value=False)
        return runs

    def _guilty(self, tries: pd.DataFrame, runs: pd.DataFrame) -> "pd.Series[bool]":
        pace = (runs["end"] - runs["start"]) / (runs["refused"] - 1).clip(lower=1)
        fast = pace <= self.pace
        anew = (runs["calls"] >= self.fresh * runs["refused"]) | (runs["guesses"] < self.fresh * runs["refused"])
        told = runs["passwords"] >= 2
        hammered = (runs["refused"] >= self.attempts) & anew & fast
        hammered |= (runs["refused"] >= self.attempts) & self._anew(runs) & (pace <= self.patience)
        hammered |= (runs["refused"] >= self.hammering) & (pace <= self.hammer)
        failing = runs[~runs["accepted"] | (runs["refused"] >= self.attempts)]
        walked = failing.groupby("bout").agg(
            accounts=("refused", "size"), refused=("refused", "sum"), calls=("calls", "sum")
        )
        walking = (walked["accounts"] >= self.accounts) & (walked["calls"] >= self.fresh * walked["refused"])
        customers = _customers(tries, walked.index)
        walking &= customers < walked["accounts"]
        walking |= (walked["accounts"] >= self.turns) & (customers == 0) & self._in_turn(runs).reindex(walked.index)
        guilty = (hammered | told).groupby(level="bout").any()
        armed = tries[(tries["tool_confidence"].fillna(0) >= self.tool_confidence)].groupby("bout").size()
        total = runs["refused"].groupby(level="bout").sum()
        guilty |= (total >= self.tooled) & (armed.reindex(total.index, fill_value=0) >= self.tooled)
        return guilty | walking.reindex(guilty.index, fill_value=False)

    def _in_turn(self, runs: pd.DataFrame) -> "pd.Series[bool]":
        """Say which bouts went round their accounts, every try anew, without patience."""
        anew = self._anew(runs).groupby(level="bout").all()
        bout = runs.groupby(level="bout").agg(refused=("refused", "sum"), start=("start", "min"), end=("end", "max"))
        pace = (bout["end"] - bout["start"]) / (bout["refused"] - 1).clip(lower=1)
        return anew & (bout["refused"] >= self.attempts) & (pace <= self.patience)

    def _anew(self, runs: pd.DataFrame) -> "pd.Series[bool]":
        """Say where most tries have a Call-ID and a port of their own."""
        return runs[["calls", "ports"]].min(axis=1) >= self.fresh * runs["refused"]

    def _rows(self, requests: pd.DataFrame, tries: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
        """Return the requests of the guessing, those without credentials that drew the challenges among them.

        An account counts as breached if its credentials were accepted after guesses for it, or in the handwriting of
        the guesses; not if the source had used it before: an innocent telephone may share the address.
        """
        account = requests["auth_user"].astype("str").fillna(requests["account"].astype("str"))
        rows = requests.assign(account=account)
        run = runs.reindex(pd.MultiIndex.from_frame(rows[GUESS])).set_axis(rows.index)
        guessed = run["refused"].fillna(0)
        accepted = rows["accepted"] & rows["authorized"]
        first = rows["bout"].map(runs.groupby(level="bout")["start"].min())
        before = accepted & (rows["time"] < run["start"].fillna(first))
        owned = before.groupby([rows["bout"], rows["account"]], observed=True).transform("any").astype(bool)
        refusals = tries[tries["answer"].isin(REFUSED).fillna(value=False)]
        hand = pd.MultiIndex.from_frame(refusals[["bout", "layout"]].astype({"layout": "str"}).drop_duplicates())
        alike = pd.MultiIndex.from_frame(rows[["bout", "layout"]].astype({"layout": "str"})).isin(hand)
        breached = accepted & ~owned & ((guessed >= 2) | alike)
        tried = rows["authorized"].groupby([rows["bout"], rows["account"]], observed=True).transform("any").astype(bool)
        wanted = (tried | (guessed > 0)) & ~owned
        refused = rows["authorized"] & (guessed > 0) & ~run["accepted"].fillna(value=False).astype(bool)
        return rows.assign(breached=breached, guessed=refused, account=account.astype("category"))[wanted]


def _customers(tries: pd.DataFrame, bouts: "pd.Index[int]") -> "pd.Series[int]":
    """Return how many accounts of each bout had their credentials accepted."""
    return tries[tries["accepted"]].groupby("bout")["account"].nunique().reindex(bouts, fill_value=0)


def _confidence(runs: pd.DataFrame) -> "pd.Series[float]":
    refused = runs["refused"].groupby(level="bout").sum()
    return 0.85 + 0.14 * (refused / 100).clip(upper=1)
