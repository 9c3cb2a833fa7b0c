"""The report in a real browser: it asks for nothing, complains of nothing, and does what it offers."""

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from needs import CAPTURES, corpus
from reports.browsing import Opened, chromium
from reports.synthetic import analysis, attacked, capture, fate, hostile_analysis

from analyzer import analyze, write_report
from analyzer.reports.html import write_html
from analyzer.tables import OUTCOMES

LARGEST = 5_000_000
"""Bytes of a page at most."""
PATIENCE = 2.0
"""Seconds until it can be used."""
TRIES = 5
"""How often that is measured, since other tests run beside it."""


def large():
    """Return an analysis with 500 campaigns and 100,000 sources."""
    rng = np.random.default_rng(5)
    count, many = 500, 100_000
    names = pd.Series([f"c{number:03}" for number in range(count)])
    sources = pd.Series([f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(many)])
    times = pd.Timestamp("2026-11-22T00:00Z") + pd.to_timedelta(rng.uniform(0, 86_000, many), unit="s")
    of = pd.Series(np.arange(many) % count)
    listed = sources.groupby(of).agg(list)
    outcome = pd.Series(rng.choice(OUTCOMES[:-1], count))
    numbers = [["442079460958"]] * count
    attacks = pd.DataFrame(
        {
            "attack": sources.index.astype("str"), "kind": "toll-fraud", "source": sources,
            "campaign": names.take(of).array, "start": times, "end": times, "messages": 3,
            "outcome": outcome.take(of).array, "confidence": 0.9, "capture": "test.pcap", "evidence": [[1, 2]] * many,
        }
    )  # fmt: skip
    campaigns = pd.DataFrame(
        {
            "campaign": names, "title": "toll fraud to +44 20 7946 0958", "sources": listed, "numbers": numbers,
            "start": times.min(), "end": times.max(), "messages": 600, "outcome": outcome,
            "kinds": [["toll-fraud"]] * count,
        }
    )  # fmt: skip
    judged = pd.DataFrame(
        {
            "source": sources, "verdict": "attacking", "why": "toll-fraud (rejected)", "requests": 3,
            "campaign": names.take(of).array, "first": times, "last": times,
        }
    )  # fmt: skip
    return analysis(
        attacks=attacks, campaigns=campaigns, sources=judged, messages=attacked().messages,
        captures=[capture(packets=300_000)], fates=[fate("message", "sip", 300_000)],
    )  # fmt: skip


REPORTS = {
    "captures": lambda: analyze(CAPTURES),
    "corpus": lambda: analyze(corpus("initconf__sip-attacks/SIP-Bruteforce-Single-IP.pcap")),
    "nothing": analysis,
    "large": large,
    "hostile": hostile_analysis,
}


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module", params=REPORTS)
def written(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(REPORTS[request.param](), path)
    return path


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    return write_report(analyze(CAPTURES), tmp_path_factory.mktemp("example"), tables=())["report.html"]


@pytest.mark.parametrize("width", [400, 1280, 2560])
def test_nothing_is_asked_for_nothing_overflows_and_nothing_goes_wrong(browser, written, width):
    assert written.stat().st_size < LARGEST
    with Opened(browser, written, viewport={"width": width, "height": 900}) as opened:
        opened.page.wait_for_selector("html.live")
        assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert "alert" not in opened.page.title()


def test_the_page_can_be_used_at_once(browser, written):
    spent = []
    while not spent or (min(spent) > PATIENCE * 1000 and len(spent) < TRIES):
        with Opened(browser, written) as opened:
            spent.append(opened.page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive"))
    assert min(spent) <= PATIENCE * 1000


def violations(opened):
    """Return the serious and critical violations of accessibility that axe-core finds, each with an example."""
    opened.page.evaluate("document.querySelectorAll('details').forEach((story) => { story.open = true; })")
    found = Axe().run(opened.page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


def test_no_serious_violation_of_accessibility(browser, written):
    with Opened(browser, written) as opened:
        assert violations(opened) == []


def test_no_serious_violation_of_accessibility_in_the_dark(browser, example):
    with Opened(browser, example, color_scheme="dark", viewport={"width": 400, "height": 900}) as opened:
        assert violations(opened) == []


def column(page, table, number):
    return page.locator(f"section:has(#{table}) tbody td:nth-child({number})").all_text_contents()


def test_tables_sort_by_every_column(browser, example):
    with Opened(browser, example) as opened:
        page = opened.page
        heads = page.locator("section:has(#sources) th button").all_text_contents()
        requests = heads.index("requests") + 1
        button = page.locator("section:has(#sources) th button").nth(requests - 1)
        button.click()
        up = [int(text.replace(",", "")) for text in column(page, "sources", requests)]
        assert up == sorted(up)
        button.press("Enter")
        assert [int(text.replace(",", "")) for text in column(page, "sources", requests)] == sorted(up, reverse=True)
        assert page.locator("section:has(#sources) th[aria-sort=descending]").count() == 1
        page.locator("section:has(#sources) th button").first.click()
        assert len(column(page, "sources", 1)) == len(up)


def test_tables_filter(browser, example):
    with Opened(browser, example) as opened:
        page = opened.page
        box = page.get_by_label("Filter: Sources")
        box.fill("innocent nonce")
        verdicts = column(page, "sources", 2)
        assert verdicts
        assert {verdict.strip() for verdict in verdicts} == {"innocent"}
        assert f"of {len(verdicts)} (of 23)" in page.locator("section:has(#sources) [role=status]").text_content()
        box.fill("nothing has this")
        assert page.locator("section:has(#sources) [role=status]").text_content().startswith("no row")
        box.fill("")
        assert len(column(page, "sources", 2)) == 23


def test_tables_page(browser, tmp_path):
    write_html(large(), tmp_path / "report.html")
    with Opened(browser, tmp_path / "report.html") as opened:
        page = opened.page
        first = column(page, "sources", 1)
        assert len(first) == 25
        back, onward = (page.get_by_role("button", name=f"{name}: Sources") for name in ("Page back", "Next page"))
        assert back.is_disabled()
        onward.click()
        assert not set(column(page, "sources", 1)) & set(first)
        back.click()
        assert column(page, "sources", 1) == first
        for _ in range(7):
            onward.click()
        assert onward.is_disabled()
        assert page.locator("section:has(#sources) .note").first.text_content().endswith("100,000 are in sources.csv.")


def test_tables_copy(browser, example):
    with Opened(browser, example, permissions=["clipboard-read", "clipboard-write"]) as opened:
        page = opened.page
        page.get_by_label("Filter: Sources").fill("203.0.113.77")
        page.get_by_role("button", name="Copy rows: Sources").click()
        page.get_by_text("Copied", exact=True).wait_for()
        head, row = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert head.split("\t")[:2] == ["source", "verdict"]
    assert row.split("\t")[:2] == ["203.0.113.77", "attacking"]


def test_the_timeline_zooms(browser, example):
    with Opened(browser, example) as opened:
        page = opened.page
        chart = page.locator("figure.zoomable").first
        box = lambda: [float(part) for part in chart.locator("svg").get_attribute("viewBox").split()]  # noqa: E731
        whole = box()
        assert chart.get_by_label("Zoom out").is_disabled()
        chart.get_by_label("Zoom in").click()
        near = box()
        assert near[2] < whole[2]
        place = chart.locator("svg").bounding_box()
        page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        page.mouse.down()
        page.mouse.move(place["x"] + place["width"] / 4, place["y"] + place["height"] / 2)
        page.mouse.up()
        assert box()[0] > near[0]
        chart.get_by_label("Show the whole chart").click()
        assert box() == whole


def test_a_link_opens_the_story_of_a_campaign(browser, example):
    with Opened(browser, example) as opened:
        page = opened.page
        assert not page.locator("#campaign-1 details").evaluate("story => story.open")
        page.locator("table.brief a").first.click()
        page.wait_for_function("document.querySelector('#campaign-1 details').open")
        assert "guessed passwords" in page.locator("#campaign-1 .phases").text_content()
        assert "packet 277" in page.locator("#campaign-1 svg.sequence").text_content()
        assert "200 OK to REGISTER of packet 276" in page.locator("#campaign-1 svg.sequence").text_content()
        assert page.locator("#campaign-1 svg.sequence").get_attribute("aria-label").count("REGISTER") > 3


def test_dark_and_light_differ_and_print_is_light(browser, example):
    def colour(**options):
        with Opened(browser, example, **options) as opened:
            return opened.page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert colour(color_scheme="light") != colour(color_scheme="dark")
    with Opened(browser, example, color_scheme="dark") as opened:
        opened.page.emulate_media(media="print")
        assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert opened.page.locator(".bar").first.is_hidden()
        assert opened.page.pdf().startswith(b"%PDF")


LANDSCAPE = 1032
"""Pixels of a page of A4 across, between its margins."""
TALLEST = """[...document.querySelectorAll("section:not(.answer) tbody tr")].reduce(
  (most, row) => Math.max(most, row.getBoundingClientRect().height), 0)"""


@pytest.mark.parametrize("name", ["captures", "corpus", "hostile"])
def test_tables_fit_on_paper_and_their_words_stay_whole(browser, name, tmp_path):
    write_html(REPORTS[name](), tmp_path / "report.html")
    with Opened(browser, tmp_path / "report.html", viewport={"width": LANDSCAPE, "height": 700}) as opened:
        opened.page.emulate_media(media="print")
        widths = opened.page.evaluate("[...document.querySelectorAll('table')].map((it) => it.scrollWidth)")
        assert max(widths) <= LANDSCAPE
        if name != "hostile":  # whose words are as long as may be
            assert opened.page.evaluate(TALLEST) < 160
        printed = opened.page.pdf(prefer_css_page_size=True)
    assert printed.count(b"/MediaBox [0 0 841.9") > 0  # pages that lie across
    assert printed.count(b"/MediaBox [0 0 594.9") > 0


def test_it_says_the_same_without_a_script(browser, example):
    with Opened(browser, example, java_script_enabled=False) as opened:
        shown = opened.page.locator("section:has(#sources) tbody tr")
        assert shown.count() == 23
        assert opened.page.locator("button").count() == 0
        assert opened.page.locator("#campaign-1 details summary").is_visible()


def test_hostile_text_does_nothing(browser, tmp_path):
    write_html(hostile_analysis(), tmp_path / "report.html")
    with Opened(browser, tmp_path / "report.html") as opened:
        page = opened.page
        assert page.locator("script").count() == 1
        assert page.locator("img").count() == 0
        assert opened.handlers() == []
        for box in page.locator(".bar input").all():
            box.fill("<script>alert(1)</script>")
        for button in page.locator("th button").all():
            button.click()
