"""The settings that an analysis was made with: in every form of the report, what differs from the defaults first."""

import json
import re
from dataclasses import dataclass, replace
from html import unescape
from typing import ClassVar

import pytest
from click.testing import CliRunner
from needs import CAPTURES, ROOT
from reports.synthetic import analysis

from analyzer import analyze
from analyzer.cli import cli
from analyzer.detectors import configure
from analyzer.detectors.probe import Probe
from analyzer.detectors.sweep import Sweep
from analyzer.jobs import work
from analyzer.jobs.settings import EXAMPLE, load_job
from analyzer.reports.answer import answer
from analyzer.reports.settings import settings_for_programs, settings_in_words
from analyzer.settings import Settings, settings_of
from analyzer.tables import ATTACKS

CAPTURE = str(CAPTURES / "svwar-svcrack.pcapng")
DIFFERENCES = ["password-guessing attempts", "password-guessing pace", "allow-list", "signatures of tools"]
OTHERS = ["detectors", "places of addresses", "time range", "ports", "filter", "engine"]


@dataclass(frozen=True, kw_only=True)
class Honey:
    """A detector of somebody's own."""

    kind: ClassVar[str] = "probe"
    calls: int = 1

    def __call__(self, _requests):
        """Return nothing."""
        return ATTACKS.empty()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of a report for which everything was set, and what the command printed as Markdown."""
    folder = tmp_path_factory.mktemp("settings")
    (folder / "good.txt").write_text("203.0.113.140  # our own scanner\n198.51.100.0/24  # the laboratory\n")
    (folder / "set.toml").write_text("[detectors.password-guessing]\nattempts = 10\npace = 5\n")
    (extending,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)
    (folder / "more.toml").write_text(extending)
    files = {"--settings": "set.toml", "--allow": "good.txt", "--signatures": "more.toml", "-o": "report"}
    given = [word for option, name in files.items() for word in (option, str(folder / name))]
    told = CliRunner().invoke(cli, ["report", CAPTURE, "--format", "markdown", *given])
    assert told.exit_code == 0, told.output
    (folder / "said.md").write_text(told.output)
    return folder


def names(told):
    return [used.name for used in told]


def test_the_page_shows_them_among_the_facts_of_the_captures(folder):
    page = (folder / "report" / "report.html").read_text()
    (section,) = re.findall(r'<h2 id="settings">.*?</section>', page, re.DOTALL)
    rows = [[unescape(cell) for cell in row] for row in re.findall(r"<tr><td.*?>(.*?)</td><td.*?>(.*?)</td>", section)]
    assert [name for name, _ in rows] == DIFFERENCES + OTHERS
    assert dict(map(tuple, rows))["password-guessing attempts"] == "10 instead of 20"
    assert dict(map(tuple, rows))["password-guessing pace"] == "5 s instead of 10 s"
    assert dict(map(tuple, rows))["allow-list"] == "2 entries of good.txt"
    assert dict(map(tuple, rows))["signatures of tools"] == "built in, and those of more.toml"
    assert str(folder) not in section


def test_markdown_shows_them(folder):
    (line,) = [line for line in (folder / "said.md").read_text().splitlines() if line.startswith("**Settings**")]
    assert re.findall(r"(?:\*\* |; )([^:;]+):", line) == DIFFERENCES + OTHERS


def test_programs_read_them(folder):
    told = json.loads((folder / "report" / "summary.json").read_text())["settings"]
    assert told["thresholds"] == [
        {"detector": "password-guessing", "name": "attempts", "value": 10, "default": 20},
        {"detector": "password-guessing", "name": "pace", "value": 5.0, "default": 10.0},
    ]
    assert told["allow"] == {"entries": 2, "files": [str(folder / "good.txt")]}
    assert (told["ports"], told["engine"], told["signatures"]) == ("all", "native", [str(folder / "more.toml")])


def test_the_answer_tells_only_what_differs(folder):
    told = json.loads((folder / "report" / "summary.json").read_text())["answer"]
    (line,) = [line["text"] for line in told if line["role"] == "settings"]
    assert line.startswith("password-guessing attempts 10 instead of 20; ")
    assert "allow-list 2 entries of good.txt" in line
    assert answer(analysis()).of("settings") == []


def test_by_default_nothing_differs():
    told = settings_in_words(analysis())
    assert not any(used.differs for used in told)
    assert names(told) == ["detectors", "allow-list", "signatures of tools", *OTHERS[1:]]
    assert settings_of(None) == Settings()
    assert settings_of(configure({})) == Settings()


def test_own_and_missing_detectors_are_told():
    made = settings_of([Sweep(), Probe(), Honey()])
    assert made.added == ("Honey",)
    assert "toll-fraud" in made.left_out
    assert "sweep" not in made.left_out
    assert settings_for_programs(made)["added"] == ("Honey",)


def test_every_threshold_can_be_told():
    for detector in configure({}):
        made = settings_of([type(detector)(**{name: _other(value) for name, value in vars(detector).items()})])
        assert {one.name for one in made.thresholds} == set(vars(detector))
        json.dumps(settings_for_programs(made))


def _other(value):
    return frozenset({"x"}) if isinstance(value, frozenset) else value * 2 + type(value)(1) if value else value


def test_what_an_analysis_is_narrowed_to_is_told():
    whole = analyze(CAPTURE)
    mine = whole.campaign(whole.campaigns["campaign"][0]).between("2026-11-22 14:40").source("203.0.113.77")
    told = [used.value for used in settings_in_words(mine) if used.name == "only"]
    assert told == [
        f"the campaign {whole.campaigns['campaign'][0]}",
        "from 2026-11-22 14:40:00 UTC",
        "what 203.0.113.77 sent and was sent",
    ]
    assert "from 2026-11-22 14:40:00 UTC" in answer(mine).of("settings")[0].text
    assert whole.between().settings == whole.settings


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ("", "", "eth0, SIP ports 5060, 5061"),
        ("ports = [5060, 5061]  ", 'ports = [5060, "6000-6010"]', "eth0, SIP ports 5060, 6000-6010"),
        ("ports = [5060, 5061]  ", 'filter = "udp"', "eth0, the filter udp"),
    ],
)
def test_a_job_tells_what_it_records(theirs, ours, said, tmp_path):
    (tmp_path / "job.toml").write_text(EXAMPLE.replace("/var/lib/sipscope", str(tmp_path)).replace(theirs, ours))
    recorded = work._recorded(load_job(tmp_path / "job.toml"))
    assert recorded == said
    told = settings_in_words(replace(analysis(), settings=replace(settings_of(None), recorded=recorded)))
    assert ("recorded", said) in [(used.name, used.value) for used in told]
    assert not any(used.differs for used in told)


def test_hostile_names_of_files_do_nothing():
    made = settings_of(None, ["/tmp/\x1b[31m<script>.toml"])  # noqa: S108  no such file is made
    (used,) = [used for used in settings_in_words(replace(analysis(), settings=made)) if used.differs]
    assert used.value.isprintable()
