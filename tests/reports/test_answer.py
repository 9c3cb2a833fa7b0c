import pandas as pd
import pytest
from factories import answers, capture_of, messages
from reports.synthetic import analysis, attacked, call, capture, fate, guesses, hostile_analysis

from analyzer.reports.answer import Answer, Line, answer, short_names, worst_first
from analyzer.tables import CAMPAIGNS, OUTCOMES

SPAN = "2026-11-22 09:14 to 11:02 UTC"
START, END = "2026-11-22T09:14:00Z", "2026-11-22T10:58:00Z"


def breach_of(table, **columns):
    attack = {
        "attack": "a",
        "kind": "password-guessing",
        "source": "10.77.0.2",
        "campaign": "k7f2",
        "outcome": "breached",
        "breached": ["101"],
        **columns,
    }
    found = analysis(messages=table, attacks=[attack], captures=[capture()], fates=[fate("message", None, 10)])
    return [line.text for line in answer(found).of("breach")]


def call_of(table, dialled="900442037690880", wanted="442037690880", *, calls=(), **columns):
    attack = {
        "attack": "a",
        "kind": "toll-fraud",
        "source": "10.77.0.3",
        "numbers": [wanted],
        "answered": [dialled],
        "outcome": "answered",
        **columns,
    }
    tables = {"messages": table, "attacks": [attack], "calls": list(calls)}
    found = analysis(**tables, captures=[capture()], fates=[fate("message", None, 10)])
    return [line.text for line in answer(found).of("answered")]


def test_the_whole_answer():
    told = attacked()
    breach, picked_up = told.messages.loc[told.messages["status"] == 200, "packet"]

    assert answer(told).text.splitlines() == [
        "1 capture, 330 packets, 9 SIP messages, 2026-11-22 09:14 to 11:02 UTC; none dropped, 1 anomaly",
        (
            "BREACH  extension 101 was taken over by 10.77.0.2 at 09:41:02, after 3 passwords, the right one s••••••"
            f" (packet {breach:,})"
        ),
        (
            "ANSWERED  a call to +44 20 3769 0880 (United Kingdom), dialled 900442037690880, from 10.77.0.3 was"
            f" answered at 10:12:40 and talked 41 s (packet {picked_up:,})"
        ),
        "3 campaigns from 4 sources; 2 other sources look innocent, 1 suspicious",
        "k7f2  SIPVicious: sweep, enumeration, password guessing  1 source  09:14-09:41  1 target  breached",
        "m3qd  toll fraud to +44 20 3769 0880 through 00, 900, 9011  2 sources  09:50-10:58  1 target  answered",
        "joined by: the same number; the same leaked address 192.168.77.9",
        "p0aa  an unknown tool: sweep  1 source  09:14  254 targets  rejected",
        "DO NOW  change the password of extension 101, and end the registrations made with it",
        "DO NOW  bar calls to +44 20 3769 0880 (United Kingdom), and ask your carrier what was charged",
        (
            "DO NOW  block nobody: 3 sources came from private or reserved addresses: left out of block-lists without"
            " --include-private: 10.77.0.2, 10.77.0.3, 10.77.0.9"
        ),
        "PACKETS  14 carry SIP; set aside: 312 tcp, 4 fragment; anomalies: 1 bad content length",
    ]


def test_the_report_is_named_last():
    assert answer(attacked(), report="report/report.html").lines[-1] == Line("report", "Report: report/report.html")


def test_a_secret_is_shown_when_asked_for():
    assert "the right one secret99 (" in answer(attacked(), show_secrets=True).text
    assert "secret99" not in answer(attacked()).text


@pytest.mark.parametrize(
    ("captures", "headline"),
    [
        ([capture()], f"1 capture, 10 packets, no SIP messages, {SPAN}; drops unknown, no anomalies"),
        ([capture(dropped=0)], f"1 capture, 10 packets, no SIP messages, {SPAN}; none dropped, no anomalies"),
        (
            [capture(dropped=12), capture(capture="b.pcap", packets=21_334, end="2026-11-24T08:00:00Z")],
            ("2 captures, 21,344 packets, no SIP messages, 2026-11-22 09:14 to 2026-11-24 08:00 UTC;"
            " at least 12 dropped, no anomalies"),
        ),
        ([capture(packets=1, end="2026-11-22T09:14:05Z", dropped=1)],
         "1 capture, 1 packet, no SIP messages, 2026-11-22 09:14:05 UTC; 1 dropped, no anomalies"),
        ([capture(end="2026-11-22T09:14:30Z")],
         "1 capture, 10 packets, no SIP messages, 2026-11-22 09:14:05 to 09:14:30 UTC; drops unknown, no anomalies"),
        (
            [capture(packets=0, start=None, end=None)],
            "1 capture, no packets, no SIP messages; drops unknown, no anomalies",
        ),
    ],
    ids=["unknown drops", "no drops", "two days", "one packet", "half a minute", "nothing"],
)  # fmt: skip
def test_the_headline(captures, headline):
    assert answer(analysis(captures=captures)).lines[0].text == headline


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        (
            {"captures": [capture()], "fates": [fate("set-aside", "udp without sip", 10)]},
            "No SIP in this capture: 10 packets, all udp without sip",
        ),
        (
            {"captures": [capture()], "fates": [fate("set-aside", "tcp", 7), fate("set-aside", "not-ip", 3)]},
            "No SIP in this capture: 10 packets, 7 tcp, 3 not ip",
        ),
        ({"captures": [capture(packets=0)]}, "No SIP in this capture: no packets"),
        ({"captures": [capture(packets=0), capture(packets=0)]}, "No SIP in these captures: no packets"),
        (
            {
                "captures": [capture(packets=81)],
                "fates": [fate("message", None, 81)],
                "messages": messages(81),
                "sources": [
                    {"source": "192.0.2.1", "verdict": "innocent"},
                    {"source": "192.0.2.2", "verdict": "innocent"},
                ],
            },
            "No attack was found: 81 messages from 2 sources, none of them suspicious",
        ),
        (
            {
                "captures": [capture(packets=1)],
                "fates": [fate("message", None, 1)],
                "messages": messages(1),
                "sources": [{"source": "192.0.2.1", "verdict": "suspicious"}],
            },
            "No attack was found: 1 message from 1 source, 1 of them suspicious, see the report",
        ),
    ],
    ids=["no SIP", "no SIP for two reasons", "no packets", "no packets twice", "innocent", "suspicious"],
)
def test_without_attacks_one_sentence_says_so(tables, sentence):
    told = answer(analysis(**tables))

    assert [line.text for line in told.of("verdict")] == [sentence]
    assert not told.of("campaign", "advice", "breach", "answered", "warning")


def test_a_capture_cut_short_is_a_warning_after_the_headline():
    cut = {
        "capture": "/data/a.pcap",
        "packet": 0,
        "reason": "cut short",
        "detail": "the packet at byte 1,234 is cut short",
    }
    told = answer(
        analysis(captures=[capture(capture="/data/a.pcap", packets=0)], anomalies=[cut], messages=messages(1)),
    )

    assert told.lines[1] == Line("warning", "a.pcap: the packet at byte 1,234 is cut short")


def test_unreadable_packets_are_a_warning_with_their_reasons_and_told_once():
    fates = [fate("message", None, 5), fate("unreadable", "bad-ip", 3), fate("unreadable", "bad-udp", 2)]
    more = {"capture": "test.pcap", "packet": 0, "reason": "bad-ip", "detail": "2 more packet(s) like this"}
    told = answer(analysis(captures=[capture()], fates=fates, anomalies=[more]))

    assert [line.text for line in told.of("warning")] == ["5 of 10 packets could not be read: 3 bad ip, 2 bad udp"]
    assert told.of("fates")[0].text == "5 carry SIP; 5 unreadable; anomalies: 1 bad ip"


def test_packets_without_a_fate_are_a_warning():
    told = answer(analysis(captures=[capture()], fates=[fate("message", None, 7)]))

    assert "what became of 3 packets is not known" in told.of("warning")[0].text


def test_a_breach_is_told_with_the_packet_of_the_answer():
    table = guesses(3)
    packet = table.loc[table["status"] == 200, "packet"].iloc[0]

    assert breach_of(table) == [
        (
            "extension 101 was taken over by 10.77.0.2 at 09:41:02, after 3 passwords, the right one s••••••"
            f" (packet {packet:,})"
        )
    ]


def test_retransmissions_and_other_accounts_are_no_guesses():
    table = capture_of(guesses(3), guesses(9, account="200", start="2026-11-22T09:40:00Z"))
    table.loc[table.index[table["status"].isna() & (table["auth_user"] == "101")][:1], "repeated"] = True

    assert "after 2 passwords" in breach_of(table)[0]


def test_a_breach_at_the_first_try():
    assert "with the first password" in breach_of(guesses(1))[0]


def test_a_breach_of_which_nothing_more_is_known_says_no_more():
    assert breach_of(messages(1)) == ["extension 101 was taken over by 10.77.0.2"]


def test_a_breach_that_only_the_attack_proves():
    table = answers(messages(1, start="2026-11-22T09:41:00Z"))
    packet = table["packet"].iloc[0]

    assert breach_of(table, capture="test.pcap", decisive=packet, breached=["alice"]) == [
        f"account alice was taken over by 10.77.0.2 at 09:41:00 (packet {packet:,})"
    ]


def test_a_call_is_told_as_dialled_and_as_wanted():
    (told,) = call_of(call(talked=200))

    assert told.startswith("a call to +44 20 3769 0880 (United Kingdom), dialled 900442037690880, from 10.77.0.3")
    assert " was answered at 10:12:40 and talked 3 min 20 s (packet " in told


def test_a_call_that_was_not_seen_to_end_has_no_duration():
    assert "talked" not in call_of(call(talked=None))[0]


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        ("two-way", "talked 41 s, two-way audio seen ("),
        ("one-way", "talked 41 s, audio seen in one direction only ("),
        ("none", "talked 41 s, no audio seen ("),
        (None, "talked 41 s ("),
    ],
)
def test_the_audio_of_a_call_is_told(audio, words):
    table = call()
    row = {"capture": "test.pcap", "answer_packet": table["answer_packet"].dropna().iloc[0], "audio": audio}

    assert words in call_of(table, calls=[row])[0]


def test_a_number_that_is_none_is_told_as_it_is():
    (told,) = call_of(call("100"), dialled="100", wanted="100")

    assert told.startswith("a call to 100 from 10.77.0.3 was answered at 10:12:40")


def test_a_satellite_number_has_no_country_but_a_network():
    (told,) = call_of(call("881612345678"), dialled="881612345678", wanted="881612345678")

    assert "+881 6 123 45678 (satellite or international network)" in told


def test_the_first_of_several_answered_calls_is_told():
    table = capture_of(call(start="2026-11-22T10:12:39Z"), call(start="2026-11-22T10:20:00Z"))

    assert "answered at 10:12:40 and talked 41 s, the first of 2 (" in call_of(table)[0]


def test_over_days_each_time_has_its_date():
    told = attacked()
    captures = pd.concat([told.captures, told.captures.assign(start=told.captures["start"] - pd.Timedelta("3D"))])
    told = analysis(**{**vars(told), "captures": captures})

    assert "at 2026-11-22 09:41:02" in answer(told).of("breach")[0].text
    assert answer(told).of("campaign")[0].cells[3] == "2026-11-22 09:14-09:41"


def test_of_several_captures_the_one_with_the_packet_is_named():
    told = attacked()
    other = told.captures.assign(capture=pd.Categorical(["other.pcap"]), packets=0)
    told = analysis(**{**vars(told), "captures": pd.concat([told.captures, other])})

    assert " of test.pcap)" in answer(told).of("breach")[0].text


def test_long_lists_are_cut_and_say_so():
    rows = [
        {"campaign": f"c{i}", "title": "t", "sources": [f"10.0.0.{i}"], "start": START, "end": END} for i in range(22)
    ]
    sources = [{"source": f"10.0.0.{i}", "verdict": "attacking"} for i in range(22)]
    attacks = [{"attack": f"a{i}", "source": f"10.0.0.{i}", "start": START, "end": END} for i in range(22)]
    told = answer(analysis(campaigns=rows, sources=sources, attacks=attacks, captures=[capture(packets=0)]))

    assert len(told.of("campaign")) == 10
    assert told.of("more")[0].text == "and 12 more, see the report"
    assert told.of("advice")[0].text.endswith("10.0.0.11 and 10 more")


def test_many_breaches_are_counted():
    told = answer(
        analysis(
            captures=[capture(packets=0)],
            attacks=[{"attack": "a", "source": "10.0.0.1", "breached": [str(100 + i) for i in range(30)]}],
        )
    )

    assert len(told.of("breach")) == 11
    assert told.of("breach")[-1].text == "and 20 more accounts, see the report"


def test_the_worst_campaign_comes_first():
    rows = [{"campaign": outcome, "outcome": outcome, "messages": 1} for outcome in OUTCOMES]
    frame = CAMPAIGNS.conform(pd.DataFrame([{"campaign": "unknown"}, *rows]), missing=True)

    assert list(worst_first(frame)["campaign"]) == [*reversed(OUTCOMES), "unknown"]


def test_captures_of_one_name_keep_their_folders():
    assert short_names(["a/x.pcap", "b/x.pcap", "b/y.pcap"]) == {
        "a/x.pcap": "a/x.pcap",
        "b/x.pcap": "b/x.pcap",
        "b/y.pcap": "y.pcap",
    }


def test_hostile_text_is_told_with_escapes_and_in_bounds():
    text = answer(hostile_analysis()).text

    assert all(character.isprintable() or character == "\n" for character in text)
    assert len(text) < 20_000


def test_an_answer_finds_its_lines():
    told = Answer((Line("headline", "a"), Line("warning", "b")))

    assert told.of("warning") == [Line("warning", "b")]
    assert told.text == "a\nWARNING  b"
