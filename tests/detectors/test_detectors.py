"""Each detector: enough is an attack, the look-alikes of honest people are none."""

from datetime import timedelta

import pandas as pd
import pytest
from factories import answers, capture_of, messages

from analyzer.detectors import DETECTORS, configure, find_attacks
from analyzer.detectors.enumeration import Enumeration
from analyzer.detectors.flood import Flood
from analyzer.detectors.ghost_call import GhostCall
from analyzer.detectors.known_tool import KnownTool
from analyzer.detectors.password_guessing import PasswordGuessing
from analyzer.detectors.probe import Probe
from analyzer.detectors.sweep import Sweep
from analyzer.detectors.toll_fraud import TollFraud
from analyzer.errors import SettingsError
from analyzer.evidence import opening_requests, ordinary_keys, walking
from analyzer.sip.transactions import follow

SERVER = "198.51.100.1"


def found(detector, *tables):
    return find_attacks(follow(capture_of(*tables)), [detector])


def numbered(count, form="{}"):
    return [form.format(number) for number in range(count)]


# --- known tool


def test_one_message_of_a_known_tool_is_enough():
    (attack,) = found(KnownTool(), messages(1, tool="SIPVicious", tool_confidence=0.99)).to_dict("records")
    assert (attack["kind"], attack["tool"], attack["source"]) == ("tool", "SIPVicious", "192.0.2.1")


@pytest.mark.parametrize("doubt", [0.3, 0.79])
def test_a_doubtful_tool_is_none(doubt):
    assert found(KnownTool(), messages(50, tool="PortSIP", tool_confidence=doubt)).empty


def test_a_watch_with_an_administrators_tool_is_no_attack():
    watch = messages(100, tool="sipsak", tool_confidence=0.98)
    assert found(KnownTool(), watch, answers(watch)).empty


def test_an_administrators_tool_that_registers_is_an_attack():
    assert len(found(KnownTool(), messages(1, method="REGISTER", tool="sipsak", tool_confidence=0.98))) == 1


def test_a_load_test_is_no_attack():
    calls = messages(500, method="INVITE", every="1ms", tool="SIPp", tool_confidence=0.99, uri_user="service")
    assert find_attacks(follow(capture_of(calls, answers(calls)))).empty


@pytest.mark.parametrize(("status", "attacks"), [(200, 0), (403, 1)])
def test_a_customers_softphone_may_be_made_with_a_known_kit(status, attacks):
    kit = {"tool": "VaxSIPUserAgent", "tool_confidence": 0.9, "method": "REGISTER", "to_user": "101"}
    tried = messages(3, every="1h", authorized=True, auth_user="101", nonce="n", **kit)
    assert len(found(KnownTool(), tried, answers(tried, status))) == attacks


# --- sweep


def swept(count=10, **columns):
    return messages(count, destination=numbered(count, "198.51.100.{}"), uri_user="100", **columns)


def test_ten_silent_targets_are_a_sweep():
    (attack,) = found(Sweep(), swept()).to_dict("records")
    assert len(attack["targets"]) == 10
    assert attack["outcome"] == "no-reply"


def test_nine_are_none():
    assert found(Sweep(), swept(9)).empty


def test_ports_of_one_host_are_targets_too():
    assert len(found(Sweep(), messages(10, destination_port=list(range(5060, 5070))))) == 1


def test_a_server_that_watches_over_its_telephones_does_not_sweep():
    watch = messages(40, destination=numbered(40, "198.51.100.{}"), uri_user=numbered(40))
    assert found(Sweep(), watch, answers(watch.iloc[:36])).empty


def test_a_watch_over_dead_trunks_does_not_sweep():
    rounds = [swept(12, start=f"2024-01-01T00:{minute:02}Z") for minute in range(6)]
    assert found(Sweep(), *rounds).empty


# --- enumeration


def tried(count=12, status=404, **columns):
    users = numbered(count)
    asked = messages(count, method="REGISTER", to_user=users, from_user=users, contact="sip:x@198.51.100.1", **columns)
    return capture_of(asked, answers(asked, status)) if status else asked


def test_many_accounts_without_credentials_are_an_enumeration():
    (attack,) = found(Enumeration(), tried()).to_dict("records")
    assert len(attack["accounts"]) == 12
    assert attack["outcome"] == "rejected"


def test_accounts_that_are_answered_differently_are_found():
    known = tried(2, 401)
    unknown = messages(10, method="REGISTER", to_user=numbered(10, "no-{}"))
    (attack,) = found(Enumeration(), known, unknown, answers(unknown, 404)).to_dict("records")
    assert attack["found"] == ["0", "1"]
    assert attack["outcome"] == "accounts-found"


def test_a_server_that_answers_all_alike_gives_nothing_away():
    (attack,) = found(Enumeration(), tried(20, 401)).to_dict("records")
    assert attack["found"] == []
    assert attack["outcome"] == "challenged"


@pytest.mark.parametrize(("status", "attacks"), [(200, 0), (403, 1)])
def test_who_has_an_account_may_watch_over_those_who_have_left(status, attacks):
    own = messages(1, method="REGISTER", to_user="101", auth_user="101", authorized=True, nonce="n")
    buddies = messages(30, start="2024-01-01T00:00:05Z", method="SUBSCRIBE", uri_user=numbered(30))
    assert len(found(Enumeration(), own, answers(own, status), buddies, answers(buddies, 404))) == attacks


NUMBERS = [f"9004420794{number:05}" for number in range(20)]


@pytest.mark.parametrize(("minutes", "attacks"), [(12, 0), (5, 1)])
@pytest.mark.parametrize(("detector", "called"), [(Enumeration(), numbered(20)), (TollFraud(), NUMBERS)])
def test_a_peer_that_keeps_its_server_alive_may_have_a_wrong_dial_plan(detector, called, minutes, attacks):
    watch = messages(minutes, every="1min")
    calls = messages(20, every="10s", method="INVITE", uri_user=called, from_user="200")
    assert len(found(detector, watch, answers(watch), calls, answers(calls, 404))) == attacks


def test_telephone_numbers_are_no_accounts():
    calls = messages(20, method="INVITE", uri_user=NUMBERS)
    assert found(Enumeration(), calls, answers(calls, 404)).empty


@pytest.mark.parametrize(("callers", "sure"), [(6, False), (2, True)])
def test_an_exchange_whose_line_is_closed_is_only_suspect(callers, sure):
    users = [str(200 + number % callers) for number in range(20)]
    calls = messages(20, every="1min", method="INVITE", uri_user=NUMBERS, from_user=users)
    (attack,) = found(TollFraud(), calls, answers(calls, 403)).to_dict("records")
    assert (attack["confidence"] >= 0.5) == sure


def office(count=40, accepted=200):
    """Telephones behind one address: challenged, then with credentials."""
    users, ports = numbered(count), list(range(20000, 20000 + count))
    contacts = [f"<sip:{user}@192.168.0.{user}:5060>" for user in users]
    phone = {"method": "REGISTER", "to_user": users, "from_user": users, "source_port": ports, "contact": contacts}
    first = messages(count, every="1ms", **phone)
    again = messages(
        count, start="2024-01-01T00:00:01Z", every="1ms", authorized=True, auth_user=users, nonce="n",
        **{**phone, "call_id": first["call_id"].tolist(), "cseq": 2},
    )  # fmt: skip
    tables = [first, answers(first, 401, nonce="n"), again]
    return capture_of(*tables, *([answers(again, accepted)] if accepted else []))


def test_a_branch_office_is_innocent():
    assert find_attacks(follow(office())).query("confidence >= 0.5").empty


def test_an_office_whose_server_is_down_is_innocent():
    storm = messages(
        40, every="1ms", method="REGISTER", to_user=numbered(40), source_port=list(range(20000, 20040)),
        contact=numbered(40, "<sip:a@192.168.0.{}:5060>"),
    )  # fmt: skip
    again = storm.assign(time=storm["time"] + pd.Timedelta("500ms"))
    assert find_attacks(follow(capture_of(storm, again))).query("confidence >= 0.5").empty


# --- password guessing


def guessed(count=25, every="1s", **columns):
    tries = messages(count, every=every, **{
        "method": "REGISTER", "to_user": "101", "auth_user": "101", "authorized": True, **columns,
    })  # fmt: skip
    return capture_of(tries, answers(tries, 401))


def test_guesses_without_a_pause_are_an_attack():
    (attack,) = found(PasswordGuessing(), guessed()).to_dict("records")
    assert attack["accounts"] == ["101"]
    assert attack["breached"] == []


@pytest.mark.parametrize(
    "innocent",
    [
        guessed(19),
        guessed(400, every="60s", call_id="one", cseq=list(range(400))),
        guessed(60, every="5s", call_id="one", cseq=list(range(60))),
        guessed(100, every="30s"),
        office(accepted=200),
    ],
    ids=["too few", "a wrong password", "an impatient telephone", "a new call each time", "an office"],
)
def test_a_telephones_mistakes_are_none(innocent):
    assert found(PasswordGuessing(), innocent).query("confidence >= 0.5").empty


def test_a_replaced_nonce_is_no_refusal():
    stale = messages(200, every="30s", method="REGISTER", to_user="101", auth_user="101", authorized=True)
    fresh = stale.assign(time=stale["time"] + pd.Timedelta("1s"), branch=numbered(200), cseq=2)
    assert found(PasswordGuessing(), stale, answers(stale, 401), fresh, answers(fresh, 200)).empty


def test_one_account_after_another_is_an_attack():
    users = [str(number % 6) for number in range(60)]
    (attack,) = found(PasswordGuessing(), guessed(60, every="60s", to_user=users, auth_user=users)).to_dict("records")
    assert attack["accounts"] == ["0", "1", "2", "3", "4", "5"]


def test_success_after_guesses_is_a_breach():
    hit = messages(1, start="2024-01-01T00:01Z", method="REGISTER", to_user="101", auth_user="101", authorized=True)
    table = follow(capture_of(guessed(), hit, answers(hit, 200)))
    (attack,) = find_attacks(table, [PasswordGuessing()]).to_dict("records")
    assert (attack["outcome"], attack["breached"]) == ("breached", ["101"])
    decisive = table[table["packet"] == attack["decisive"]]
    assert decisive["status"].tolist() == [200]
    assert attack["decisive"] in attack["evidence"]


def test_a_telephone_that_shares_the_address_is_not_breached():
    phone = {"method": "REGISTER", "to_user": "201", "auth_user": "201", "authorized": True, "layout": "phone"}
    before, after = messages(1, start="2023-12-31T23:00Z", **phone), messages(1, start="2024-01-01T01:00Z", **phone)
    tables = [guessed(), before, answers(before), after, answers(after)]
    (attack,) = found(PasswordGuessing(), *tables).to_dict("records")
    assert attack["breached"] == []
    assert attack["accounts"] == ["101"]


def refusals(sources=6, tries=1, start="2024-01-01T00:00Z", **columns):
    """Return tries of several sources for one account, each in one call as a telephone makes it, all refused."""
    tables = []
    for number in range(sources):
        tried = messages(
            tries, start=start, every="2min", method="REGISTER", to_user="101", auth_user="101", authorized=True,
            nonce="n", source=f"192.0.2.{10 + number}", call_id=f"of-{number}", cseq=list(range(tries)),
            layout="Via,From", **columns,
        )  # fmt: skip
        tables += [tried, answers(tried, 403)]
    return tables


def test_telephones_with_an_old_password_confirm_nobody():
    suspicions = found(PasswordGuessing(), *refusals(tries=5))
    assert set(suspicions["confidence"]) == {PasswordGuessing().phone}
    assert set(found(PasswordGuessing(), *refusals())["confidence"]) == {PasswordGuessing().suspect}


def let_in(source="192.0.2.99", layout="Via,From", start="2024-01-01T01:00Z"):
    right = messages(
        1, start=start, method="REGISTER", to_user="101", auth_user="101", authorized=True, nonce="n", source=source,
        layout=layout,
    )  # fmt: skip
    return [right, answers(right)]


def test_who_is_let_in_after_a_crowd_like_him_guessed_is_one_of_them():
    attacks = found(PasswordGuessing(), *refusals(), *let_in())
    (thief,) = attacks[attacks["source"] == "192.0.2.99"].to_dict("records")
    assert (thief["breached"], thief["outcome"]) == (["101"], "breached")
    assert len(attacks) == 7


@pytest.mark.parametrize(
    "tables",
    [
        [*refusals(4), *let_in()],
        [*refusals(), *let_in(layout="Via,To")],
        [*refusals(), *let_in(start="2023-12-31T23:00Z"), *let_in()],
        [*refusals(), *let_in("192.0.2.10")],
        let_in(),
    ],
    ids=["no crowd", "written otherwise", "its owner", "a telephone that was mended", "nobody else"],
)
def test_who_has_the_right_password_is_its_owner(tables):
    assert not found(PasswordGuessing(), *tables)["breached"].map(bool).any()


# --- toll fraud

LONDON = "442079460123"


def dialled(prefixes, status=403, number=LONDON, **columns):
    calls = messages(len(prefixes), method="INVITE", uri_user=[prefix + number for prefix in prefixes], **columns)
    return capture_of(calls, answers(calls, status))


def test_one_number_behind_three_prefixes_is_an_attack():
    (attack,) = found(TollFraud(), dialled(["00", "900", "9011"])).to_dict("records")
    assert attack["numbers"] == [LONDON]
    assert attack["prefixes"] == ["00", "900", "9011"]


def test_the_call_that_was_answered_is_told():
    lucky = messages(1, start="2024-01-01T00:01Z", method="INVITE", uri_user="900" + LONDON)
    (attack,) = found(TollFraud(), dialled(["00", "000", "9011"]), lucky, answers(lucky)).to_dict("records")
    assert (attack["outcome"], attack["answered"]) == ("answered", ["900" + LONDON])


@pytest.mark.parametrize("prefixes", [["00"], ["00", "+"], ["", "0"]])
def test_who_dials_once_more_after_a_mistake_is_innocent(prefixes):
    assert found(TollFraud(), dialled(prefixes)).empty


def test_strangers_who_insist_on_calling_abroad_attack():
    calls = messages(5, method="INVITE", uri_user=[f"0046812345{number}78" for number in range(5)])
    assert len(found(TollFraud(), calls, answers(calls, 407))) == 1


def test_a_call_centre_is_innocent():
    numbers = [f"00442079{460000 + number}" for number in range(300)]
    calls = messages(300, method="INVITE", uri_user=numbers)
    served, busy = calls.iloc[:200], calls.iloc[200:]
    assert found(TollFraud(), calls, answers(served), answers(busy, 486)).empty


# --- ghost calls


def rung(count=3, status=487, **columns):
    calls = messages(
        count, every="1min", method="INVITE",
        **{"from_user": "100", "from_host": SERVER, "uri_user": numbered(count, "room-{}"), **columns},
    )  # fmt: skip
    return capture_of(calls, answers(calls, 180), answers(calls, status, delay="20s"))


def test_rooms_that_ring_for_nobody_are_an_attack():
    (attack,) = found(GhostCall(), rung()).to_dict("records")
    assert attack["outcome"] == "rang"


def rooms(count=5, **columns):
    return rung(count, **{"from_user": "cisco", "destination": numbered(count, "198.51.100.{}"), **columns})


def test_a_caller_who_rings_one_room_after_another_calls_nobody():
    (attack,) = found(GhostCall(), rooms()).to_dict("records")
    assert len(attack["targets"]) == 5


@pytest.mark.parametrize(
    "innocent",
    [rooms(3), rooms(from_user=numbered(5, "44207946012{}")), rooms(status=[487, 487, 487, 487, 200])],
    ids=["few rooms", "a proxy that rings a group", "somebody answers"],
)
def test_who_rings_rooms_for_a_reason_is_innocent(innocent):
    assert found(GhostCall(), innocent).empty


@pytest.mark.parametrize(
    "innocent",
    [rung(2), rung(from_user="442079460123"), rung(from_host="192.0.2.1"), rung(status=200)],
    ids=["twice", "a caller with a number", "from its own PBX", "answered"],
)
def test_missed_calls_are_none(innocent):
    assert found(GhostCall(), innocent).empty


# --- flood


def test_requests_that_nobody_needs_are_a_flood():
    (attack,) = found(Flood(), messages(600, every="10ms", uri_user="100")).to_dict("records")
    assert attack["messages"] >= 500


@pytest.mark.parametrize("every", ["100ms", "1s"])
def test_a_busy_customer_is_no_flood(every):
    assert found(Flood(), messages(600, every=every, uri_user="100")).empty


def test_who_is_served_does_not_flood():
    calls = messages(1000, every="2ms", method="INVITE", uri_user="service")
    assert found(Flood(), calls, answers(calls)).empty


# --- probes


def test_a_probe_alone_is_only_suspect():
    (attack,) = found(Probe(), messages(1)).to_dict("records")
    assert attack["confidence"] < 0.5


@pytest.mark.parametrize("destination", ["224.0.1.75", "ff02::1"])
def test_who_asks_a_group_does_not_probe(destination):
    assert found(Probe(), messages(1, method="SUBSCRIBE", destination=destination)).empty


def handwritten(detector, *tables):
    (attack,) = found(detector, *tables).to_dict("records")
    return any(key.startswith("handwriting:") for key in attack["keys"])


@pytest.mark.parametrize(
    ("columns", "telling"),
    [
        ({"from_user": "49301234567", "uri_user": "03012345678"}, False),
        ({"from_user": "100", "uri_user": "03012345678"}, True),
        ({"from_user": "49301234567", "uri_user": "100"}, True),
    ],
    ids=["numbers", "from an extension", "to an extension"],
)
def test_a_call_from_one_number_to_another_is_written_like_any(columns, telling):
    call = messages(1, method="INVITE", from_host=SERVER, layout="Via,From", **columns)
    assert handwritten(Probe(), call, answers(call, 404)) == telling


@pytest.mark.parametrize(("times", "telling"), [(1, True), (3, False)])
def test_a_telephone_asks_for_its_messages_again_and_again(times, telling):
    asked = messages(times, every="10min", method="SUBSCRIBE", uri_user="101", layout="Via,From")
    assert handwritten(Probe(), asked, answers(asked, 404)) == telling


def test_who_has_an_account_does_not_probe():
    assert found(Probe(), office(1)).empty


# --- all of them


@pytest.mark.parametrize("name", list(DETECTORS))
def test_nothing_is_found_in_nothing(name):
    assert find_attacks(follow(messages(0)), [DETECTORS[name]()]).empty


@pytest.mark.parametrize("name", list(DETECTORS))
def test_broken_messages_do_not_trouble_a_detector(name):
    nothing = dict.fromkeys(
        ("uri", "uri_user", "from_user", "to_user", "call_id", "branch", "from_tag", "cseq", "layout", "contact")
    )
    table = messages(600, every="1ms", **nothing)
    find_attacks(follow(table), [DETECTORS[name]()])


def test_a_rest_opens_a_new_attack():
    monday, thursday = guessed(), guessed(start="2024-01-04T00:00Z")
    assert len(found(PasswordGuessing(), monday, thursday)) == 2


def test_thresholds_are_settings():
    detectors = configure({"password-guessing": {"attempts": 10, "pace": 5}})
    guessing = next(detector for detector in detectors if detector.kind == "password-guessing")
    assert guessing == PasswordGuessing(attempts=10, pace=timedelta(seconds=5))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"swep": {}}, "there is no such detector; choose from known-tool, sweep"),
        ({"sweep": {"target": 5}}, "sweep has targets, rounds, served, sure"),
        ({"sweep": {"targets": "many"}}, "a number, 0 or more, is expected"),
        ({"sweep": {"targets": -1}}, "a number, 0 or more, is expected"),
        ({"sweep": {"targets": 2.5}}, "a whole number is expected"),
        ({"sweep": 5}, "a table of thresholds is expected"),
        ({"known-tool": {"testers": 1}}, "a list of words expected"),
    ],
)
def test_a_wrong_setting_says_what_is_allowed(settings, words):
    with pytest.raises(SettingsError, match=words):
        configure(settings)


# --- a walk through accounts whose first guess is right


def walk(users, right, **columns):
    """Return REGISTERs for users, with their answers: 404 for those unknown, a challenge and success for the right."""
    tables, time = [], pd.Timestamp("2024-01-01T00:00Z")
    for number, user in enumerate(users):
        who = {"method": "REGISTER", "to_user": user, "from_user": user, "call_id": f"walk-{number}", **columns}
        asked = messages(1, start=time, layout="Via,From", **who)
        tables += [asked, answers(asked, 401 if user in right else 404)]
        if user in right:
            signed = {"cseq": 2, "authorized": True, "auth_user": user, "nonce": "n"}
            tried = messages(1, start=time + pd.Timedelta("1s"), layout="Via,From,Authorization", **who, **signed)
            tables += [tried, answers(tried)]
        time += pd.Timedelta("5s")
    return tables


def refusal(user="9", **columns):
    tried = messages(1, method="REGISTER", authorized=True, auth_user=user, to_user=user, nonce="n", **columns)
    return [tried, answers(tried, 403)]


def test_the_first_guess_may_be_right():
    attacks = found(PasswordGuessing(), *walk(["1001", "1", "2", "3", "4"], {"1001"}), *refusal(source="192.0.2.9"))
    (attack,) = attacks[attacks["source"] == "192.0.2.1"].to_dict("records")
    assert (attack["breached"], attack["outcome"]) == (["1001"], "breached")
    assert attack["confidence"] < 0.5


def test_a_telephone_that_comes_back_is_its_owners():
    tables = [*walk(["1001", "1", "2", "3", "4"], {"1001"}), *walk(["1001"], {"1001"})]
    assert not found(PasswordGuessing(), *tables, *refusal(source="192.0.2.9"))["breached"].map(bool).any()


def test_what_a_walker_carries_is_no_customers_habit():
    thief, customer = walk(["1001", "1", "2", "3"], {"1001"}), walk(["1002"], {"1002"}, source="192.0.2.2")
    requests = opening_requests(follow(capture_of(*thief, *customer)))
    assert walking(requests).tolist() == (requests["source"].astype(str) == "192.0.2.1").tolist()
    alone = opening_requests(follow(capture_of(*thief)))
    assert not ordinary_keys(alone, pd.Series([], dtype="str"))
    assert ordinary_keys(requests, pd.Series([], dtype="str"))


def test_an_office_with_a_wrong_password_is_a_customer():
    tables = walk([*numbered(10, "10{}"), "1", "2", "3"], set(numbered(10, "10{}")))
    assert not walking(opening_requests(follow(capture_of(*tables)))).any()
