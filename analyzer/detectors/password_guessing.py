"""Guessing passwords: credentials that fail, again and again, or for one account after another."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from analyzer.evidence import REFUSED, describe, knows_domain, rehearsed, walking
from analyzer.grouping import any_in, coded, codes_of, count_distinct, merged, numbered, sum_in
from analyzer.links import OWN_ACCOUNTS
from analyzer.tables import ATTACKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLUMNS = (
    "bout", "time", "account", "auth_user", "authorized", "repeated", "accepted", "answer", "call_id", "source_port",
    "cseq", "tag_password", "tool_confidence", "layout", "method", "uri", "uri_user", "to_host", "from_host",
    "tool", "source", "destination",
)  # fmt: skip


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
    phone: float = 0.2
    """The confidence of who tries one account again and again as a telephone does: it confirms nobody else."""
    visits: int = 2
    """Refusals in one call (RFC 3261 10.2.4), with a timer's pause between them, that are a telephone's."""
    timer: timedelta = timedelta(seconds=20)
    """The least of that pause, on the mean."""
    doubtful: float = 0.4
    """The same where each try has a Call-ID and a port of its own, but comes too seldom to be sure."""
    lucky: int = 5
    """Refusals in a row for one account from which on the credentials accepted after them may be guessed ones."""
    accounts: int = 5
    """Accounts refused and never accepted that are an attack, if most tries are calls of their own."""
    tooled: int = 5
    """Refusals, over all accounts, that are an attack if a known attack tool sent the credentials."""
    tool_confidence: float = 0.8
    """How sure the recognition of that tool must be."""
    turns: int = 3
    """Accounts in turn, none ever accepted, that are an attack if each try has a Call-ID and a port of its own."""
    crowd: int = 5
    """Sources refused for one account in one handwriting, among which the one that is let in guessed it as well."""
    fresh: float = 0.5
    """The share of tries with a Call-ID of their own from which on they are calls of their own."""

    def __call__(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return one attack for each bout that guesses, with the accounts that gave way as breached."""
        refused = requests["authorized"] & requests["answer"].isin(REFUSED).fillna(value=False)
        if not refused.any():
            return ATTACKS.empty()
        rows = requests.loc[~requests["from_server"], list(_COLUMNS)]
        account = merged(rows["account"], rows["auth_user"], rows["auth_user"].notna().to_numpy())
        rows = rows.assign(account=account, guess=numbered(rows["bout"].to_numpy(), account.codes))
        tries = rows[rows["authorized"] & rows["account"].notna() & ~rows["repeated"] & ~rehearsed(rows)]
        tries = tries[~self._calling(tries)]
        if tries.empty:
            return ATTACKS.empty()
        runs = self._runs(tries)
        if runs.empty:
            return ATTACKS.empty()
        guilty = self._guilty(tries, runs)
        failed = (~runs["accepted"] | (runs["refused"] >= self.lucky)).groupby(level="bout").sum()
        set_up = pd.Series(knows_domain(tries)).groupby(tries["bout"].to_numpy()).any().reindex(failed.index)
        guilty = guilty[guilty | ((failed > 0) & (_customers(tries, failed.index) <= failed) & ~set_up)]
        restless = ((runs["refused"] >= self.attempts) & self._anew(runs)).groupby(level="bout").any()
        rows = rows.assign(walking=walking(requests)[rows.index])
        others = rows[~rows["bout"].isin(guilty.index)]
        alike = _lucky(others)
        taken = self._taken_in_turns(rows).loc[lambda fates: fates.index.isin(others.index.difference(alike.index))]
        fates = pd.concat([self._fates(rows[rows["bout"].isin(guilty.index)], tries, runs), alike, taken]).sort_index()
        suspect = self._phones(rows, runs).map({True: self.phone, False: self.suspect})
        rows = requests.loc[fates.index].assign(**fates)
        if rows.empty:
            return ATTACKS.empty()
        confidence = _confidence(runs).where(guilty, suspect).mask(~guilty & restless, self.doubtful)
        confidence = confidence.reindex(rows["bout"].unique(), fill_value=self.suspect)
        return describe(rows, kind=self.kind, technique=self.technique, confidence=confidence)

    def _calling(self, tries: pd.DataFrame) -> "NDArray[np.bool_]":
        """Say which tries are calls to ever other numbers: a customer whose calls are refused, and goes on calling.

        Who guesses with INVITE (RFC 3261 22.3) has no use for many numbers.
        """
        call = (tries["method"] == "INVITE").to_numpy()
        guess = numbered(tries["guess"].to_numpy())
        called = count_distinct(guess, np.where(call, coded(tries["uri_user"])[0], -1), len(tries))[guess]
        return call & (called >= self.fresh * sum_in(guess, call)) & (called > 1)

    def _runs(self, tries: pd.DataFrame) -> pd.DataFrame:
        """Return, for each bout, the index, and account: refusals, the longest run of them, its pace, calls, success.

        The column guess numbers the pairs of a bout and an account.
        """
        run = tries["accepted"].groupby(tries["guess"]).cumsum().to_numpy()
        refused = np.flatnonzero(tries["answer"].isin(REFUSED).fillna(value=False))
        failed = tries.take(refused)
        number = numbered(failed["guess"].to_numpy(), run[refused])
        runs = failed[["guess", "bout"]].groupby(number).first()
        time = failed["time"].groupby(number)
        runs = runs.assign(refused=time.size(), start=time.min(), end=time.max())
        counted = {"calls": "call_id", "ports": "source_port", "guesses": "cseq", "passwords": "tag_password"}
        for name, column in counted.items():
            runs[name] = count_distinct(number, coded(failed[column])[0], len(runs))
        runs = runs.sort_values(["guess", "refused"], ascending=[True, False], kind="stable")
        runs = runs.drop_duplicates("guess")
        accepted = tries.loc[tries["accepted"], "guess"].unique()
        return runs.assign(accepted=runs["guess"].isin(accepted)).set_index("bout")

    def _guilty(self, tries: pd.DataFrame, runs: pd.DataFrame) -> "pd.Series[bool]":
        pace = _pace(runs)
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
        pace = _pace(bout)
        return anew & (bout["refused"] >= self.attempts) & (pace <= self.patience)

    def _taken_in_turns(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the fates of the first credentials that were right, after many sources guessed, each a few times.

        Whoever writes like the crowd that was refused for an account is of the crowd; not if somebody who writes like
        that used the account before, or was refused there himself: a telephone was given a new password.
        """
        asking = (rows["authorized"] & rows["account"].notna()).to_numpy()
        refused = asking & rows["answer"].isin(REFUSED).fillna(value=False).to_numpy(dtype=np.bool_)
        accepted = asking & rows["accepted"].to_numpy()
        hand = numbered(codes_of(rows["account"]), codes_of(rows["destination"]), codes_of(rows["layout"]))
        size = len(rows)
        guessing = count_distinct(hand, np.where(refused, codes_of(rows["source"]).astype(np.int64), -1), size)[hand]
        first = rows["time"].where(refused).groupby(hand).transform("min")
        owned = any_in(hand, accepted & ~(rows["time"] > first).to_numpy())
        own = any_in(rows["guess"].to_numpy(), refused)
        breached = accepted & (guessing >= self.crowd) & ~owned & ~own
        return rows[["account"]].assign(breached=breached, guessed=True)[breached]

    def _phones(self, rows: pd.DataFrame, runs: pd.DataFrame) -> "pd.Series[bool]":
        """Say which bouts try the few accounts that they ask for at the pace and in the manner of a telephone."""
        pace = _pace(runs)
        phone = (runs["refused"] >= self.visits) & (runs["calls"] <= runs["refused"] // self.visits)
        asked = rows[rows["account"].notna()].drop_duplicates("guess").groupby("bout").size()
        phones = (phone & (pace >= self.timer)).groupby(level="bout").all()
        return phones & (asked.reindex(phones.index, fill_value=0) <= OWN_ACCOUNTS)

    def _anew(self, runs: pd.DataFrame) -> "pd.Series[bool]":
        """Say where most tries have a Call-ID and a port of their own."""
        return runs[["calls", "ports"]].min(axis=1) >= self.fresh * runs["refused"]

    def _fates(self, rows: pd.DataFrame, tries: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
        """Return the account of each request of the guessing, and whether its account was breached or guessed.

        Those without credentials that drew the challenges are among them. An account counts as breached if its
        credentials were accepted after guesses for it, or in the handwriting of the guesses; not if the source had used
        it before: an innocent telephone may share the address. It would come back, but for who walks through accounts.
        """
        guess = rows["guess"].to_numpy()
        run = runs.set_index("guess")[["refused", "start", "accepted"]].reindex(guess).set_axis(rows.index)
        guessed = run["refused"].fillna(0)
        accepted = rows["accepted"] & rows["authorized"]
        first = rows["bout"].map(runs.groupby(level="bout")["start"].min())
        before = accepted & (rows["time"] < run["start"].fillna(first)) & ~_once(rows)
        owned = any_in(guess, before.to_numpy()) | rows["account"].isna()
        refusals = tries[tries["answer"].isin(REFUSED).fillna(value=False)]
        breached = accepted & ~owned & ((guessed >= 2) | np.isin(_hand(rows), pd.unique(_hand(refusals))))
        wanted = (any_in(guess, rows["authorized"].to_numpy()) | (guessed > 0)) & ~owned
        mistaken = run["accepted"].fillna(value=False).astype(bool) & (guessed < self.lucky)
        refused = rows["authorized"] & (guessed > 0) & ~mistaken
        return rows[["account"]].assign(breached=breached, guessed=refused)[wanted]


def _pace(runs: pd.DataFrame) -> "pd.Series[pd.Timedelta]":
    """Return the mean time between refusals."""
    return (runs["end"] - runs["start"]) / (runs["refused"] - 1).clip(lower=1)


def _once(rows: pd.DataFrame) -> "NDArray[np.bool_]":
    """Say which requests are for accounts that a walk through accounts saw accepted, and did not come back to."""
    accepted = (rows["accepted"] & rows["authorized"] & ~rows["repeated"]).to_numpy()
    return np.asarray(rows["walking"]) & (sum_in(rows["guess"].to_numpy(), accepted) == 1)


def _lucky(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the fates of requests that walked through accounts and met no refused credentials, but accepted ones.

    The first guess may be right. It is the walker's if the account was asked for in the handwriting of the others.
    """
    rows = rows[rows["walking"].to_numpy() & rows["account"].notna().to_numpy()]
    guess, hand = rows["guess"].to_numpy(), _hand(rows)
    once = _once(rows)
    strange = ~any_in(guess, (rows["accepted"] & rows["authorized"]).to_numpy())
    lucky = once & any_in(guess, np.isin(hand, pd.unique(hand[strange])))
    breached = lucky & (rows["accepted"] & rows["authorized"]).to_numpy()
    fates = rows[["account"]].assign(breached=breached, guessed=False)
    return fates[any_in(rows["bout"].to_numpy(), breached) & (strange | lucky)]


def _hand(rows: pd.DataFrame) -> "NDArray[np.int64]":
    """Return the bout and the layout of each request as one number."""
    width = len(rows["layout"].cat.categories) + 1
    return rows["bout"].to_numpy() * width + codes_of(rows["layout"]) + 1


def _customers(tries: pd.DataFrame, bouts: "pd.Index[int]") -> "pd.Series[int]":
    """Return how many accounts of each bout had their credentials accepted."""
    accepted = tries[tries["accepted"]].drop_duplicates("guess")
    return accepted.groupby("bout").size().reindex(bouts, fill_value=0)


def _confidence(runs: pd.DataFrame) -> "pd.Series[float]":
    refused = runs["refused"].groupby(level="bout").sum()
    return 0.85 + 0.14 * (refused / 100).clip(upper=1)
