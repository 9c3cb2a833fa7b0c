import numpy as np
import pandas as pd
import pytest
from factories import answers, capture_of, messages
from matplotlib.figure import Figure
from reports.synthetic import HOSTILE, analysis, attacked, hostile_analysis

from analyzer.reports import charts, tally
from analyzer.tables import MESSAGES

NO_ATTACKS = analysis().attacks


def attacks(campaigns, **columns):
    """Return an attack for each source, by the campaign given for it."""
    rows = [
        {"attack": f"a{i}", "source": source, "campaign": name, **columns} for i, (source, name) in enumerate(campaigns)
    ]
    return analysis(attacks=rows).attacks


def legend(ax):
    return [text.get_text() for text in ax.get_legend().texts]


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def drawn(ax):
    ax.figure.savefig("/dev/null", format="svg")
    return ax


CHARTS = {
    "over time": lambda told: charts.messages_over_time(told.messages, told.attacks),
    "methods": lambda told: charts.methods_and_responses(told.messages),
    "tools": lambda told: charts.claimed_and_recognised(told.messages),
    "targets": lambda told: charts.sources_and_targets(told.messages),
}


@pytest.fixture(params=sorted(CHARTS))
def chart(request):
    return CHARTS[request.param]


def test_messages_are_stacked_by_campaign():
    table = capture_of(messages(60, every="1min", source="192.0.2.1"), messages(30, every="1min", source="192.0.2.2"))
    ax = charts.messages_over_time(table, attacks([("192.0.2.1", "k7f2")]))

    assert legend(ax) == ["k7f2", "no campaign"]
    assert max(patch.get_data()[0].max() for patch in ax.patches) == 2
    assert sum(np.sum(patch.get_data()[0] - patch.get_data()[2]) for patch in ax.patches) == 90
    assert ax.get_ylabel() == "messages per minute"
    assert ax.get_xlabel() == "2024-01-01 (UTC)"


def test_answers_count_for_the_campaign_that_drew_them():
    asked = messages(10, source="192.0.2.1")
    table = capture_of(asked, answers(asked))

    assert set(tally.campaign_of(table, attacks([("192.0.2.1", "k7f2")]))) == {"k7f2"}


def test_a_source_of_two_campaigns_counts_for_the_one_that_was_going_on():
    table = messages(3, every="1h", source="192.0.2.1")
    first, _, last = table["time"]
    both = pd.concat([
        attacks([("192.0.2.1", "early")], start=first, end=first),
        attacks([("192.0.2.1", "late")], start=last, end=last),
    ])  # fmt: skip

    assert list(tally.campaign_of(table, both)) == ["early", "no campaign", "late"]


@pytest.mark.parametrize(
    ("every", "count", "unit"),
    [
        ("1ms", 100, "second"), ("1s", 60, "second"), ("1s", 600, "10 seconds"), ("1min", 600, "10 minutes"),
        ("1h", 48, "hour"), ("1D", 365, "7 days"), ("3650D", 20, "1825 days"),
    ],
)  # fmt: skip
def test_periods_fit_what_they_show(every, count, unit):
    ax = drawn(charts.messages_over_time(messages(count, every=every), NO_ATTACKS))
    (patch,) = ax.patches

    assert ax.get_ylabel() == f"messages per {unit}"
    assert len(patch.get_data()[0]) <= charts.BINS
    assert 1 <= len(ax.get_xticks()) <= 9


def test_500_campaigns_are_a_few_and_the_rest():
    pairs = [(f"10.0.{i // 200}.{i % 200}", f"c{i}") for i in range(500)]
    table = messages(500, source=[source for source, _ in pairs])
    ax = drawn(charts.messages_over_time(table, attacks(pairs)))

    assert len(legend(ax)) == charts.CAMPAIGNS + 1
    assert legend(ax)[-1] == f"{500 - charts.CAMPAIGNS} other campaigns"
    assert len(set(charts.colours_of(ax).values())) == charts.CAMPAIGNS + 1


def test_methods_have_their_requests_and_the_classes_of_their_responses():
    asked = messages(5, method="REGISTER")
    table = capture_of(asked, answers(asked, status=401), messages(2, method="INVITE"))
    ax = charts.methods_and_responses(table)

    assert labels(ax.yaxis) == ["REGISTER", "INVITE"]
    assert legend(ax) == ["requests", "4xx client error"]
    assert [bar.get_width() for bar in ax.containers[0]] == [5, 2]


def test_claims_are_set_against_tools():
    table = capture_of(
        messages(3, user_agent="Asterisk PBX", tool="sipvicious"), messages(2, user_agent="Asterisk PBX"), messages(1)
    )
    ax = charts.claimed_and_recognised(table)

    assert labels(ax.yaxis) == ["Asterisk PBX", "(none)"]
    assert labels(ax.xaxis) == ["sipvicious", "not recognised"]
    assert sorted(text.get_text() for text in ax.texts) == ["1", "2", "3"]


def test_500_sources_are_the_busiest_and_the_rest():
    table = messages(500, source=[f"10.0.{i // 200}.{i % 200}" for i in range(500)])
    ax = drawn(charts.sources_and_targets(table))

    assert len(labels(ax.yaxis)) == charts.ROWS + 1
    assert labels(ax.yaxis)[-1] == f"{500 - charts.ROWS} other sources"
    assert sum(int(text.get_text().replace(",", "")) for text in ax.texts) == 500


def test_an_address_is_shown_whole():
    address = "2001:db8:1111:2222:3333:4444:5555:6666"
    assert labels(charts.sources_and_targets(messages(1, source=address)).yaxis) == [address]


@pytest.mark.parametrize("told", [analysis, attacked, hostile_analysis], ids=["nothing", "attacked", "hostile"])
def test_every_chart_draws_anything_without_a_warning(chart, told):
    ax = drawn(chart(told()))

    assert ax.get_title(loc="left")
    assert "\x1b" not in charts.describe(ax)


@pytest.mark.parametrize("text", HOSTILE)
def test_every_chart_draws_a_single_hostile_text(chart, text):
    table = messages(1, method=text, user_agent=text, source=text, destination=text, tool=text)
    drawn(chart(analysis(messages=table)))


def test_a_chart_draws_where_it_is_told_to(chart):
    ax = Figure().subplots()

    assert charts.methods_and_responses(messages(1), ax=ax) is ax
    assert charts.sources_and_targets(messages(1), ax=ax) is ax
    assert charts.claimed_and_recognised(messages(1), ax=ax) is ax
    assert charts.messages_over_time(messages(1), NO_ATTACKS, ax=ax) is ax


def test_a_million_messages_are_as_many_artists_as_ten():
    few, many = (charts.messages_over_time(messages(count, every="1ms"), NO_ATTACKS) for count in (10, 20_000))

    assert len(few.patches) == len(many.patches) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"), ("$x^2$", r"\$x^2\$"), ("\x1b[31m", r"\x1b[31m"), ("日本", "□□"), ("_a", " _a"),
        ("x" * 100, "x" * 27 + "…"),
    ],
)  # fmt: skip
def test_a_label_is_text_that_the_font_has(text, shown):
    assert charts.label(text) == shown


@pytest.mark.parametrize("start", ["1970-01-01T00:00Z", "2255-12-31T23:59:59Z"])
def test_time_begins_and_ends_somewhere(start):
    drawn(charts.messages_over_time(messages(2, start=start), NO_ATTACKS))


def test_all_of_time_fits():
    table = messages(2).assign(time=pd.to_datetime(["1970-01-01T00:00:00Z", "2255-12-31T23:59:59Z"]).as_unit("ns"))
    ax = drawn(charts.messages_over_time(table, NO_ATTACKS))

    assert 2 <= len(ax.get_xticks()) <= 9


def test_a_description_names_what_is_shown():
    ax = charts.methods_and_responses(messages(1, method="$x$"))

    assert charts.describe(ax) == "Methods and responses; messages; requests"
    assert "$x$" in charts.describe(charts.claimed_and_recognised(messages(1, user_agent="$x$")))


def test_nothing_is_said_to_be_nothing(chart):
    ax = chart(analysis())

    assert [text.get_text() for text in ax.texts] == ["nothing to show"]
    assert isinstance(ax.figure, Figure)


def test_categories_that_no_message_has_are_not_drawn():
    table = messages(4, method=["A", "A", "B", "C"])
    table = MESSAGES.conform(table[table["method"] == "A"])

    assert labels(charts.methods_and_responses(table).yaxis) == ["A"]
    assert np.isfinite(charts.methods_and_responses(table).get_xlim()).all()
