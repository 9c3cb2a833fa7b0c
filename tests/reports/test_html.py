import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from subprocess import run

import pytest
from needs import program
from reports.synthetic import analysis, attacked, capture, fate, hostile_analysis

from analyzer.errors import SettingsError
from analyzer.reports.answer import answer
from analyzer.reports.html import render_html, write_html

TAGS = {
    *("html", "head", "meta", "title", "style", "body", "div", "header", "h1", "h2", "h3", "nav", "a", "main"),
    *("section", "p", "b", "span", "table", "thead", "tbody", "tr", "th", "td", "article", "dl", "dt", "dd", "ul"),
    *(
        "li",
        "ol",
        "details",
        "summary",
        "script",
        "figure",
        "footer",
        "svg",
        "g",
        "path",
        "defs",
        "clippath",
        "rect",
        "use",
        "text",
        "tspan",
    ),
}
"""The tags that the template, and matplotlib's SVG, are made of."""
EMPTY = {"meta", "path", "rect", "use"}


class Page(HTMLParser):
    """What a browser sees of a page: its tags, their attributes, its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes what is not open"

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"style", "script"}:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(params=[analysis, attacked, hostile_analysis], ids=["nothing", "attacked", "hostile"], scope="module")
def page(request):
    return render_html(request.param())


def test_the_page_is_well_formed_and_made_of_known_tags(page):
    parsed = Page(page)

    assert parsed.open == []
    assert set(parsed.tags) <= TAGS


def test_the_page_asks_for_nothing_from_anywhere(page):
    for tag, name, value in Page(page).attributes:
        assert not name.startswith("on")
        assert name not in {"src", "srcset", "action", "formaction", "background", "ping"}
        if name in {"href", "xlink:href"}:
            assert value.startswith("#"), (tag, value)
        assert "url(" not in value.replace("url(#", "")
    assert not re.search(r"https?:|@import", page)


def test_the_page_forbids_everything_that_it_does_not_need(page):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)

    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none';")
    assert re.findall(r"script-src ([^;]*);", policy) == [f"'sha256-{digest}'"]


def test_links_lead_somewhere(page):
    attributes = Page(page).attributes
    places = [value for _, name, value in attributes if name == "id"]

    assert len(places) == len(set(places))
    assert {value[1:] for _, name, value in attributes if name.endswith("href")} <= set(places)


def test_hostile_text_is_shown_and_nothing_else():
    page = render_html(hostile_analysis())

    assert all(character.isprintable() or character == "\n" for character in page)
    assert page.count("<script") == 1
    assert "<img" not in page
    assert "{{ 7 * 7 }}" in Page(page).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert len(page) < 3_000_000


def test_the_page_begins_with_the_words_of_the_answer():
    told = attacked()
    text = Page(render_html(told)).text
    place = 0
    for line in answer(told).lines:
        for words in line.cells or [line.text]:
            found = text.find(words, place)
            assert found >= place, words
            place = found
    assert place < text.index("Who 1 source: 10.77.0.2 (proven)")


def test_a_campaign_has_its_card():
    text = Page(render_html(attacked())).text

    assert "calls to +44 20 3769 0880 (United Kingdom) prefixes tried: 00, 900, 9011" in text
    assert "calls answered, as dialled: 900442037690880" in text
    assert "the same leaked address 192.168.77.9" in text
    assert "toll fraud by 10.77.0.3: 3 of test.pcap" in text


def test_passwords_are_masked_unless_asked_for():
    assert "secret99" not in render_html(attacked())
    assert "secret99" in render_html(attacked(), show_secrets=True)


def test_an_empty_analysis_is_a_page_that_says_so():
    told = analysis(captures=[capture()], fates=[fate("set-aside", "udp without sip", 10)])
    text = Page(render_html(told)).text

    assert "No SIP in this capture: 10 packets, all udp without sip" in text
    assert "Campaigns" not in text
    assert "Captures" in text


def test_charts_have_a_title_and_an_alternative(page):
    labels = [value for tag, name, value in Page(page).attributes if tag == "div" and name == "aria-label"]
    charts = [
        label for label in labels if label.startswith(("Messages over time", "Methods", "User-Agents", "Sources"))
    ]

    assert len(charts) == (4 if "<svg" in page else 0)


def test_charts_follow_the_theme():
    page = render_html(attacked())

    assert "fill: var(--ink)" in page
    assert "#1b1f24" not in page[page.index("<svg") :].lower()


def test_more_than_fits_is_counted():
    rows = [{"attack": f"a{i}", "source": f"10.0.{i // 200}.{i % 200}", "kind": "sweep"} for i in range(300)]

    assert "all 300 are in attacks.csv" in Page(render_html(analysis(attacks=rows))).text


def test_the_same_analysis_is_the_same_page():
    told = attacked()

    assert render_html(told) == render_html(told)


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(SettingsError, match="cannot write"):
        write_html(analysis(), tmp_path / "missing" / "report.html")


SIZE = ["--window-size=2600,1000"]
FRAME = """<!doctype html><body style="margin:0">
<iframe id="f" src="report.html" style="border:0;width:{width}px;height:900px"></iframe><script>onload = () => {{
  const page = document.getElementById("f").contentDocument.documentElement;
  document.title = `${{page.scrollWidth}} of ${{page.clientWidth}}`;
}}</script>"""


@pytest.mark.parametrize("told", [attacked, hostile_analysis], ids=["attacked", "hostile"])
@pytest.mark.parametrize("width", [400, 768, 1280, 2560])
def test_nothing_overflows_at_any_width(told, width, tmp_path):
    chromium = program("chromium")
    write_html(told(), tmp_path / "report.html")
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width))
    shown = run(
        _command(chromium, tmp_path, frame, "--dump-dom"), capture_output=True, text=True, timeout=60, check=True
    )
    inside, room = map(int, re.search(r"<title>(\d+) of (\d+)</title>", shown.stdout).groups())

    assert inside <= room


def test_the_page_prints(tmp_path):
    chromium = program("chromium")
    write_html(attacked(), tmp_path / "report.html")
    command = _command(chromium, tmp_path, tmp_path / "report.html", f"--print-to-pdf={tmp_path / 'report.pdf'}")
    run(command, capture_output=True, timeout=60, check=True)

    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def _command(chromium: str, folder: Path, page: Path, *what: str) -> list[str]:
    quiet = ["gpu", "background-networking", "component-update", "sync", "quic", "extensions", "default-apps"]
    quiet = [f"--disable-{name}" for name in quiet]
    files = ["--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}"]
    return [chromium, "--headless", "--no-sandbox", "--no-first-run", *SIZE, *quiet, *files, *what, page.as_uri()]
