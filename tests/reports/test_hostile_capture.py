"""Hostile text in every field of a capture: whatever shows it, nothing is run, hidden, forged or reckoned.

The capture holds break-ins and an answered call, so that every part of a report has something to tell.
"""

import csv
import json
import re
import zlib

import pytest
from click.testing import CliRunner
from engines import pcaps
from engines.tls import Wire
from reports import synthetic
from reports.browsing import Opened, chromium
from reports.synthetic import HOSTILE, hostile_analysis
from rich.cells import cell_len

from analyzer import analyze
from analyzer.cli import cli
from analyzer.reports import terminal
from analyzer.reports.html import write_html
from analyzer.reports.notebook import render_answer
from analyzer.tables import TABLES

SERVER = "192.0.2.10"
TEXTS = [
    *(re.sub(r"[\r\n\0]", "", text[:2000]).encode() for text in HOSTILE),
    b"\xff\xfe\x80<img src=x onerror=alert(2)>\xc3",
    b"\xe2\x80\xaegnp.exe\xe2\x81\xa6\xef\xbb\xbf",
    b"y" * 60_000,
]
"""What the fields hold; a line break would end the field."""
LONGEST = 1_000_000
"""Bytes of a User-Agent that comes over TCP, of which the parser takes no more than fits into a datagram."""
GUESSES = 22
FORMULA = re.compile(r"[=+\-@\t\r＝＋－＠]")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")


def request(method, text, number, *, call, account=b"", secret=b""):
    """Return a request with a text in every field that takes one."""
    lines = [
        b"%s sip:%s@192.0.2.10 SIP/2.0" % (method, text[:300]),
        b"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK%d%s;x=%s" % (number, call, text[:300]),
        b'From: "%s" <sip:%s@%s>;tag=%s' % (text[:300], text[:300], text[:300], text[:300]),
        b"To: <sip:%s@192.0.2.10>" % text[:300],
        b"Call-ID: %s%d-%s" % (call, number, text[:300]),
        b"CSeq: %d %s" % (number, method),
        b"Contact: <sip:%s@198.51.100.7>" % text[:300],
        b"Subject: %s" % text[:300],
        b"User-Agent: %s" % text,
    ]
    if account:
        given = b'username="%s", realm="%s", nonce="n%d", uri="sip:h", response="%032x"'
        lines.append(b"Authorization: Digest " + given % (account, text[:100], number, zlib.crc32(secret + text) << 9))
    return b"\r\n".join([*lines, b"Content-Length: 0", b"", b""])


def reply(to, status):
    """Return the response to a request."""
    kept = [line for line in to.split(b"\r\n") if re.match(rb"(Via|From|To|Call-ID|CSeq):", line)]
    challenge = [b'WWW-Authenticate: Digest realm="h", nonce="n"'] if status == 401 else []
    head = b"SIP/2.0 %d %s" % (status, b"OK" if status == 200 else b"Unauthorized")
    return b"\r\n".join(
        [head, *kept, *challenge, b"Server: %s" % to.split(b"Subject: ")[1].split(b"\r\n")[0], b"", b""]
    )


def talk(number, text):
    """Yield packets: a source that guesses the password of an account until it is accepted, and then calls."""
    source = f"203.0.113.{number + 1}"
    account = text[:500].replace(b'"', b"'")
    said = []
    for guess in range(GUESSES):
        asked = request(b"REGISTER", text, guess + 1, call=b"r%d" % number, account=account, secret=b"%d" % guess)
        said += [(asked, True), (reply(asked, 200 if guess == GUESSES - 1 else 401), False)]
    call = request(b"INVITE", b"00442079460958" + text[:20], 1, call=b"i%d" % number)
    said += [(call, True), (reply(call, 200), False)]
    for payload, asks in said:
        ends = {"source": source, "destination": SERVER} if asks else {"source": SERVER, "destination": source}
        yield pcaps.ipv4(pcaps.udp(payload), **ends)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the capture and with its report, and with what the command printed."""
    folder = tmp_path_factory.mktemp("hostile")
    packets = [packet for number, text in enumerate(TEXTS) for packet in talk(number, text)]
    wire = Wire(client=("203.0.113.250", 40_000), server=(SERVER, 5060))
    wire.send(True, request(b"OPTIONS", b"<script>alert(3)</script>" + b"z" * LONGEST, 1, call=b"long"))
    capture = folder / "=cmd<script>alert(4)</script>.pcap".replace("/", "")
    capture.write_bytes(pcaps.pcap([*packets, *wire.packets], link=pcaps.RAW))
    for form in ("text", "markdown"):
        done = CliRunner().invoke(cli, ["report", str(capture), "-o", str(folder / "report"), "--format", form])
        assert done.exit_code == 0, done.output
        (folder / form).write_text(done.output, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def test_the_capture_has_something_to_tell(folder):
    told = json.loads((folder / "report" / "summary.json").read_text())
    assert len(told["breaches"]) > 15
    assert told["counts"]["messages"] > len(TEXTS) * GUESSES
    assert told["counts"]["anomalies"] > 0
    assert max(len(text) for text in analyze(capture_of(folder)).messages["user_agent"].dropna()) > 60_000


def capture_of(folder):
    (capture,) = folder.glob("*.pcap")
    return capture


def test_the_report_runs_nothing_and_keeps_its_shape(browser, folder):
    page = folder / "report" / "report.html"
    with Opened(browser, page, viewport={"width": 400, "height": 900}) as opened:
        assert opened.handlers() == []
        assert "img" not in opened.elements()
        assert opened.page.locator("script").count() == 1
        assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        opened.page.evaluate("document.querySelectorAll('details').forEach((story) => { story.open = true; })")
        shown = opened.page.locator("body").inner_text()
    assert "<script>alert(1)</script>" in shown
    assert "\u202e" not in shown
    assert page.stat().st_size < 5_000_000


def test_what_is_copied_from_the_report_is_no_formula(browser, folder):
    with Opened(
        browser, folder / "report" / "report.html", permissions=["clipboard-read", "clipboard-write"]
    ) as opened:
        for table in ("Sources", "Accounts tried", "Attacks"):
            opened.page.get_by_role("button", name=f"Copy rows: {table}").click()
            rows = opened.page.evaluate("navigator.clipboard.readText()").split("\n")
            assert len(rows) > 15
            cells = [cell for row in rows for cell in row.split("\t")]
            assert [cell for cell in cells if FORMULA.match(cell) and not re.fullmatch(r"[+-]?[\d.,]+", cell)] == []


def test_the_terminal_shows_only_what_can_be_seen(folder):
    lines = (folder / "text").read_text(encoding="utf-8").splitlines()
    assert all(line.isprintable() for line in lines)
    assert max(map(cell_len, lines[:-1])) <= 80  # the last one names the folder
    assert "BREACH" in lines[3] + lines[4] + lines[5]


@pytest.mark.parametrize("name", TABLES)
def test_tables_on_the_terminal_show_only_what_can_be_seen(name, folder):
    if name in cli.commands:
        done = CliRunner().invoke(cli, [name, str(capture_of(folder))])
        assert done.exit_code == 0, done.output
        assert all(line.isprintable() for line in done.output.splitlines())


def test_a_watch_shows_only_what_can_be_seen(folder):
    for form in ([], ["--json"]):
        done = CliRunner().invoke(cli, ["watch", str(capture_of(folder)), *form])
        assert done.exit_code == 0, done.output
        assert len(done.stdout.splitlines()) > 15
        assert all(line.isprintable() for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", TABLES)
def test_no_cell_of_a_csv_file_is_a_formula(name, folder):
    csv.field_size_limit(10**8)
    with (folder / "report" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    cells = [cell for row in rows for cell in row]
    assert {len(row) for row in rows} == {len(TABLES[name].contract)}
    assert [cell[:80] for cell in cells if FORMULA.match(cell) and not NUMBER.fullmatch(cell)] == []
    assert all(cell.isprintable() for cell in cells)


def test_markdown_has_no_mark_of_theirs(folder):
    text = (folder / "markdown").read_text(encoding="utf-8")
    assert all(line.isprintable() for line in text.splitlines())
    bare = re.sub(r"\\[\\`*_{}\[\]<>#!|~&@:.]", "", text)
    assert not re.search(r"[<\[`]|(?<!\*)\*(?!\*)", bare)
    assert {line.count("|") for line in bare.splitlines() if line.startswith("| ")} == {7}


def test_texts_of_a_megabyte_in_every_field_do_nothing(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "HOSTILE", [*HOSTILE[:-1], "<b>" + "x" * LONGEST])
    told = hostile_analysis()
    write_html(told, tmp_path / "report.html")
    (tmp_path / "answer.html").write_text(f"<title>x</title>{render_answer(told)}", encoding="utf-8")
    for name in ("report.html", "answer.html"):
        assert (tmp_path / name).stat().st_size < 3_000_000
        with Opened(browser, tmp_path / name, viewport={"width": 400, "height": 900}) as opened:
            assert "b" not in opened.elements() or name == "report.html"
            assert name == "answer.html" or opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert all(line.isprintable() for line in str(terminal.render(told)).splitlines())


def test_a_notebook_runs_nothing(browser, folder):
    """A page with the answer, and with every table as Jupyter shows it."""
    for number, told in enumerate((analyze(capture_of(folder)), hostile_analysis())):
        page = folder / f"notebook{number}.html"
        shown = [render_answer(told), *(getattr(told, name)._repr_html_() for name in TABLES)]
        page.write_text(f"<!doctype html><meta charset=utf-8><title>x</title>{''.join(shown)}", encoding="utf-8")
        with Opened(browser, page) as opened:
            assert opened.handlers() == []
            assert opened.elements() <= {
                *("html", "head", "meta", "title", "style", "body", "div", "p", "strong", "ul", "li", "table", "thead"),
                *("tbody", "tr", "th", "td"),
            }
            answer = opened.page.locator(".sipscope").inner_text()
        assert all(line.isprintable() for line in re.split(r"[\n\t]", answer))
