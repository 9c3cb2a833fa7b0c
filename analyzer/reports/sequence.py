"""What a campaign did, in order: its phases, and the messages that decided it as a sequence diagram."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.reports.answer import rank_outcomes, worst_first
from analyzer.reports.words import count, quoted
from analyzer.responses import phrase
from analyzer.tables import OUTCOMES

if TYPE_CHECKING:
    from analyzer.analysis import Analysis

STEPS = 14
"""Messages that a diagram shows at most."""
LANES = 4
"""Addresses that it shows at most; messages of others are left out."""
SAID = {
    "tool": "found us", "sweep": "found us", "probe": "found us", "enumeration": "enumerated accounts",
    "password-guessing": "guessed passwords", "toll-fraud": "called", "ghost-call": "called", "flood": "flooded",
    "exploit": "tried to break the server",
}  # fmt: skip
"""What an attack of each kind is in the story of a campaign."""
SHIFT = 40
"""More bits than the number of a packet has."""
_SHOWN = [
    "time", "capture", "packet", "source", "destination", "method", "status", "authorized", "to_user", "uri_user",
    "answer_packet",
]  # fmt: skip


@dataclass(frozen=True)
class Phase:
    """What a campaign did for a time."""

    what: str
    when: str
    who: str
    requests: str
    outcome: str


@dataclass(frozen=True)
class Step:
    """A message of a sequence diagram."""

    time: str
    packet: str
    lanes: tuple[int, int]
    """The numbers of the lanes that it goes from and to."""
    label: str
    request: bool


@dataclass(frozen=True)
class Sequence:
    """Messages between addresses, in the order of time."""

    capture: str
    lanes: list[str]
    steps: list[Step]

    @property
    def words(self) -> str:
        """The diagram for those who do not see it."""
        told = (
            f"packet {step.packet}, {self.lanes[step.lanes[0]]} to {self.lanes[step.lanes[1]]}: {step.label}"
            for step in self.steps
        )
        return "; ".join(told)


def phases(attacks: pd.DataFrame) -> list[Phase]:
    """Return the phases of a campaign's attacks in the order in which they began."""
    told = []
    said = attacks["kind"].astype("str").map(SAID).fillna("attacked")
    for what, group in sorted(attacks.groupby(said), key=lambda item: item[1]["start"].min()):
        worst = int(rank_outcomes(group).max())
        start, end = group["start"].min(), group["end"].max()
        when = f"{start:%Y-%m-%d %H:%M:%S}"
        if end.floor("s") > start.floor("s"):
            when += f" – {end.strftime('%H:%M:%S' if end.date() == start.date() else '%Y-%m-%d %H:%M:%S')}"
        told.append(
            Phase(
                what=str(what),
                when=when,
                who=count(group["source"].nunique(), "source"),
                requests=count(int(group["messages"].sum()), "request"),
                outcome=OUTCOMES[worst] if worst >= 0 else "",
            )
        )
    return told


def sequences(attacks: pd.DataFrame, analysis: "Analysis", names: dict[str, str]) -> dict[str, Sequence]:
    """Return, by campaign, the messages that decided its worst attack; campaigns without evidence have none."""
    worst = worst_first(attacks).drop_duplicates("campaign")
    proofs = {str(attack["campaign"]): _proofs(attack) for _, attack in worst.iterrows()}
    exchanged = _exchanged(
        worst.assign(proofs=pd.Series([*proofs.values()], index=worst.index, dtype="object")), analysis.messages
    )
    return {
        campaign: found
        for (campaign, packets), (_, attack) in zip(proofs.items(), worst.iterrows(), strict=True)
        if (found := _sequence(attack, packets, exchanged, names))
    }


def _proofs(attack: "pd.Series") -> list[int]:
    """Return the packets of an attack's evidence nearest to the decisive one."""
    packets = sorted({packet for packet in attack["evidence"] if isinstance(packet, int)})
    if pd.isna(attack["decisive"]):
        return packets[: STEPS // 2]
    decisive = int(attack["decisive"])
    return sorted(sorted({*packets, decisive}, key=lambda packet: abs(packet - decisive))[: STEPS // 2])


def _exchanged(attacks: pd.DataFrame, messages: pd.DataFrame) -> pd.DataFrame:
    """Return the messages that prove attacks, with the requests that they answer and their answers."""
    captures = messages["capture"].cat
    of = pd.Index(captures.categories.astype("str")).get_indexer(pd.Index(attacks["capture"].astype("str")))
    wanted = np.array(
        [place << SHIFT | packet for place, packets in zip(of, attacks["proofs"], strict=True) for packet in packets]
    )
    place = captures.codes.to_numpy().astype(np.int64) << SHIFT
    packet = place | messages["packet"].to_numpy()
    answer = messages["answer_packet"].to_numpy(dtype=np.int64, na_value=0)
    shown = np.isin(packet, wanted)
    answers = (place | answer)[shown & (answer > 0)]
    asked = (answer > 0) & np.isin(place | answer, wanted)
    rows = shown | asked | np.isin(packet, answers)
    return messages.loc[rows, _SHOWN].sort_values(["time", "packet"], kind="stable")


def _sequence(
    attack: "pd.Series", proofs: list[int], exchanged: pd.DataFrame, names: dict[str, str]
) -> Sequence | None:
    """Return the diagram of an attack from the messages that prove attacks."""
    theirs = exchanged[exchanged["capture"] == attack["capture"]]
    answers = theirs.loc[theirs["packet"].isin(proofs), "answer_packet"].dropna()
    about = theirs["packet"].isin([*proofs, *answers]) | theirs["answer_packet"].isin(proofs).fillna(value=False)
    theirs = theirs[about]
    ends = pd.concat([theirs["source"].astype("str"), theirs["destination"].astype("str")]).drop_duplicates()
    lanes = [str(attack["source"]), *(end for end in ends if end != attack["source"])][:LANES]
    ends_shown = theirs["source"].astype("str").isin(lanes) & theirs["destination"].astype("str").isin(lanes)
    answered = theirs.dropna(subset=["answer_packet"])
    asked = dict(zip(answered["answer_packet"].tolist(), answered["packet"].tolist(), strict=True))
    steps = [_step(message, lanes, asked) for message in theirs[ends_shown].head(STEPS).to_dict("records")]
    if not steps:
        return None
    capture = str(attack["capture"])
    return Sequence(capture=quoted(names.get(capture, capture)), lanes=list(map(quoted, lanes)), steps=steps)


def _step(message: dict[str, object], lanes: list[str], asked: dict[int, int]) -> Step:
    """Return a line of the diagram; asked has the packets of requests by those of their answers."""
    request = bool(pd.isna(message["status"]))  # type: ignore[call-overload]
    time: pd.Timestamp = message["time"]  # type: ignore[assignment]
    return Step(
        time=f"{time:%H:%M:%S}.{time.microsecond // 1000:03}",
        packet=f"{message['packet']:,}",
        lanes=(lanes.index(str(message["source"])), lanes.index(str(message["destination"]))),
        label=_request(message) if request else _response(message, asked),
        request=request,
    )


def _request(message: dict[str, object]) -> str:
    user = message["to_user"] if message["method"] == "REGISTER" else message["uri_user"]
    about = f" {quoted(user)}" if isinstance(user, str) else ""
    return f"{quoted(message['method'])}{about}{', with credentials' if message['authorized'] else ''}"


def _response(message: dict[str, object], asked: dict[int, int]) -> str:
    """Return '200 OK to INVITE of packet 142'."""
    status, method, packet = int(str(message["status"])), message["method"], asked.get(int(str(message["packet"])))
    said = f"{status} {phrase(status)}".strip()
    said += f" to {quoted(method)}" if isinstance(method, str) else ""
    return said if packet is None else f"{said} of packet {packet:,}"
