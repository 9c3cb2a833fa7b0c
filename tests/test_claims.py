"""Every claim of an attack leads to packets that show it: the packet numbers are followed into the messages."""

import pytest
from needs import CAPTURES
from scenarios import make

from analyzer import analyze

SEED = 9
"""A development seed."""
DAYS = ("mixture", "svcrack, breach", "low and slow, answered", "ghost calls", "svwar, 404")
SHOWN = 50
"""The values of a list that are all to be shown; of longer ones, that many."""


@pytest.fixture(scope="module", params=["captures", *DAYS])
def analysis(request, tmp_path_factory):
    if request.param == "captures":
        return analyze(CAPTURES)
    path = tmp_path_factory.mktemp("claims") / "day.pcap"
    make(request.param, SEED).write(path)
    return analyze(path)


@pytest.fixture(scope="module")
def shown(analysis):
    """Return each attack with the messages that its evidence names."""
    messages = analysis.messages.assign(capture=analysis.messages["capture"].astype(str))
    by_capture = {name: table.set_index("packet") for name, table in messages.groupby("capture")}
    return [
        (attack, by_capture[str(attack.capture)].loc[list(attack.evidence)]) for attack in analysis.attacks.itertuples()
    ]


def requests(evidence, attack):
    return evidence[(evidence["source"].astype(str) == attack.source) & evidence["status"].isna()]


def test_there_is_something_to_follow(shown):
    assert shown


def test_evidence_is_of_the_attack(shown):
    for attack, evidence in shown:
        ours = (evidence["source"].astype(str) == attack.source) | (
            evidence["destination"].astype(str) == attack.source
        )
        assert ours.all()
        assert len(requests(evidence, attack))


def test_the_decisive_packet_is_evidence(shown):
    for attack, evidence in shown:
        assert attack.decisive in evidence.index
        if attack.outcome in ("answered", "breached"):
            assert 200 <= evidence.loc[[attack.decisive], "status"].iloc[0] < 300


def test_targets_are_shown(shown):
    for attack, evidence in shown:
        assert set(requests(evidence, attack)["destination"].astype(str)) <= set(attack.targets)


def test_the_tool_is_shown(shown):
    for attack, evidence in shown:
        if isinstance(attack.tool, str):
            assert attack.tool in set(requests(evidence, attack)["tool"].astype(str))


def test_every_breach_is_shown(shown):
    for attack, evidence in shown:
        asked = requests(evidence, attack)
        accepted = asked[asked["answer"].between(200, 299)]
        accounts = set(accepted["auth_user"].astype(str)) | set(accepted["to_user"].astype(str))
        accounts |= set(accepted["tag_account"].astype(str))
        assert set(attack.breached[:SHOWN]) <= accounts
        assert set(accepted["answer_packet"]) <= set(evidence.index)


def test_every_answered_call_is_shown(shown):
    for attack, evidence in shown:
        asked = requests(evidence, attack)
        calls = asked[(asked["method"] == "INVITE") & asked["answer"].between(200, 299)]
        assert set(attack.answered[:SHOWN]) <= set(calls["uri_user"].astype(str))


def test_every_account_that_was_found_is_shown(shown):
    for attack, evidence in shown:
        asked = requests(evidence, attack)
        accounts = set(asked["to_user"].astype(str)) | set(asked["uri_user"].astype(str))
        assert len(set(attack.found) & accounts) >= min(SHOWN, len(attack.found))


def test_every_number_and_prefix_is_shown(shown):
    for attack, evidence in shown:
        dialled = [user.lstrip("+") for user in requests(evidence, attack)["uri_user"].dropna().astype(str)]
        numbers = {number for number in attack.numbers for user in dialled if user.endswith(number)}
        assert len(numbers) >= min(SHOWN, len(attack.numbers))
        led = {user[: -len(number)] for number in attack.numbers for user in dialled if user.endswith(number)}
        prefixes = {prefix for prefix in attack.prefixes if prefix.lstrip("+") in led}
        assert len(prefixes) >= min(SHOWN, len(attack.prefixes))


def test_every_attack_of_a_campaign_is_there(analysis):
    for campaign in analysis.campaigns.itertuples():
        attacks = analysis.attacks[analysis.attacks["campaign"] == campaign.campaign]
        assert set(attacks["source"].astype(str)) == set(campaign.sources)
        for name in ("numbers", "prefixes", "breached", "answered", "found"):
            assert set(getattr(campaign, name)) == {value for cell in attacks[name] for value in cell}
