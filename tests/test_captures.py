"""The bundled captures, made with real programs: the analysis says what captures/truth.toml says."""

import tomllib

import pytest
from needs import CAPTURES

from analyzer.analysis import analyze

TRUTH = {
    name: truth
    for name, truth in tomllib.loads((CAPTURES / "truth.toml").read_text(encoding="utf-8")).items()
    if isinstance(truth, dict) and "file" in truth
}
ATTACKERS = [(name, attacker) for name, truth in TRUTH.items() for attacker in truth.get("attackers", [])]


@pytest.fixture(scope="module")
def analyses():
    return {name: analyze(CAPTURES / truth["file"]) for name, truth in TRUTH.items()}


def of(analysis, source):
    return analysis.attacks[analysis.attacks["source"].astype("str") == source]


def listed(attacks, column):
    return sorted({value for cell in attacks[column] for value in cell})


@pytest.mark.parametrize("name", TRUTH)
def test_every_packet_has_a_fate_and_every_message_a_row(name, analyses):
    analysis, truth = analyses[name], TRUTH[name]
    assert analysis.fates["packets"].sum() == truth["packets"]
    assert len(analysis.messages) == truth["messages"]
    requests = analysis.messages[analysis.messages["status"].isna()]
    assert requests["method"].astype("str").value_counts().to_dict() == truth["methods"]
    statuses = analysis.messages["status"].dropna().astype("int64").astype("str").value_counts().to_dict()
    assert statuses == truth["statuses"]


@pytest.mark.parametrize("name", TRUTH)
def test_exactly_the_attackers_are_accused(name, analyses):
    sources, truth = analyses[name].sources, TRUTH[name]
    accused = set(sources.loc[sources["verdict"] == "attacking", "source"].astype("str"))
    assert accused == {attacker["source"] for attacker in truth.get("attackers", [])}
    suspected = set(sources.loc[sources["verdict"] == "suspicious", "source"].astype("str"))
    assert not suspected & set(truth["innocent"])


@pytest.mark.parametrize(
    ("name", "attacker"), ATTACKERS, ids=lambda value: value if isinstance(value, str) else value["source"]
)
def test_an_attacker_is_understood(name, attacker, analyses):
    attacks = of(analyses[name], attacker["source"])
    assert set(attacker["kinds"]) <= set(attacks["kind"].astype("str"))
    assert set(attacker["tools"]) == set(attacks["tool"].dropna().astype("str"))
    assert len(listed(attacks, "targets")) == attacker["targets"] if "targets" in attacker else True
    for column in ("found", "breached", "answered", "numbers"):
        if column in attacker:
            assert listed(attacks, column) == attacker[column]
    if "prefixes" in attacker:
        assert listed(attacks, "prefixes") == sorted(set(attacker["prefixes"]) - {""})
    if "passwords" in attacker:
        assert set(attacker["passwords"]) <= set(listed(attacks, "passwords"))
    if "outcome" in attacker:
        assert attacker["outcome"] in set(attacks["outcome"].astype("str"))


@pytest.mark.parametrize("name", TRUTH)
def test_nothing_is_invented(name, analyses):
    analysis, attackers = analyses[name], TRUTH[name].get("attackers", [])
    for column in ("breached", "answered"):
        said = listed(analysis.campaigns, column)
        assert said == sorted({value for attacker in attackers for value in attacker.get(column, [])})


@pytest.mark.parametrize("name", TRUTH)
def test_evidence_leads_to_packets_that_show_it(name, analyses):
    messages = analyses[name].messages.set_index("packet")
    for attack in analyses[name].attacks.to_dict("records"):
        assert attack["evidence"]
        assert attack["decisive"] in attack["evidence"]
        for number in attack["evidence"]:
            message = messages.loc[number]
            assert attack["source"] in (message["source"], message["destination"])
        if attack["outcome"] in ("breached", "answered"):
            assert messages.loc[attack["decisive"], "status"] == 200
        if attack["outcome"] == "no-reply":
            assert attack["decisive"] == messages.loc[[attack["decisive"]]].index[0]


def test_the_leak_is_why_the_diallers_are_one_campaign(analyses):
    (campaign,) = analyses["tollfraud"].campaigns.to_dict("records")
    assert any(TRUTH["tollfraud"]["leak"] in reason for reason in campaign["reasons"])
    assert len(campaign["sources"]) == 3


def test_a_renamed_scanner_is_told_by_its_handwriting(analyses):
    sources = analyses["renamed-svwar"].sources
    (why,) = sources.loc[sources["source"].astype("str") == "203.0.113.99", "why"]
    assert "claims Cisco SPA, writes like SIPVicious (packet " in why
